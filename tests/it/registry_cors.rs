//! What browsers may do from pages of other origins.

use crate::registry_support::{Running, basic, header, request};

const UI: &str = "https://ui.example";

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_may_ask_before_it_logs_in() {
    let dir = tempfile::tempdir().unwrap();
    let line = ["-U", "u", "-P", "p", "--cors", "https://other.example,HTTPS://UI.example:443/"];
    let server = Running::start(dir.path(), &line).await;
    for path in ["/v2/", "/v2/_catalog", "/v2/a/manifests/latest", "/login", "/"] {
        let asked = [("origin", UI), ("access-control-request-method", "DELETE")];
        let answer = server.send(request("OPTIONS", path, &asked)).await;
        assert_eq!(answer.status(), 204, "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), UI);
        assert_eq!(header(&answer, "access-control-allow-credentials"), "true");
        assert_eq!(header(&answer, "vary"), "Origin");
        for method in ["GET", "HEAD", "DELETE", "PUT", "OPTIONS"] {
            assert!(header(&answer, "access-control-allow-methods").contains(method), "{method}");
        }
        for name in ["Authorization", "Accept", "Cache-Control"] {
            assert!(header(&answer, "access-control-allow-headers").contains(name), "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_which_page_may_read_what_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p", "--cors", UI]).await;
    let login = basic("u", "p");
    for (authorization, status) in [(login.as_str(), 200), ("Basic wrong", 401)] {
        let sent = [("origin", UI), ("authorization", authorization)];
        let answer = server.get("/v2/_catalog", &sent).await;
        assert_eq!(answer.status(), status);
        assert_eq!(header(&answer, "access-control-allow-origin"), UI);
        assert_eq!(header(&answer, "access-control-allow-credentials"), "true");
        let exposed = header(&answer, "access-control-expose-headers");
        for name in ["Docker-Content-Digest", "Link", "WWW-Authenticate", "Location", "Range"] {
            assert!(exposed.split(", ").any(|found| found == name), "{name}: {exposed}");
        }
    }
    // Other pages, and none at all.
    for origin in [Some("https://evil.example"), Some("null"), Some("http://ui.example"), None] {
        for method in ["GET", "OPTIONS"] {
            let mut sent = vec![("access-control-request-method", "GET")];
            sent.extend(origin.map(|origin| ("origin", origin)));
            let answer = server.send(request(method, "/healthz", &sent)).await;
            assert_eq!(header(&answer, "access-control-allow-origin"), "", "{origin:?}");
            assert_eq!(header(&answer, "access-control-allow-credentials"), "");
            assert_eq!(header(&answer, "vary"), "Origin");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_may_call_but_not_in_the_user_s_name() {
    let dir = tempfile::tempdir().unwrap();
    let line = ["--no-tls", "--host", "127.0.0.1", "--port", "0", "--enable-cors"];
    let server = Running::start_2020(dir.path(), &line).await;
    let answer = server.get("/v2/", &[("origin", "https://any.example")]).await;
    assert_eq!(header(&answer, "access-control-allow-origin"), "*");
    assert_eq!(header(&answer, "access-control-allow-credentials"), "");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_setting_nothing_is_said() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    let asked = [("origin", UI), ("access-control-request-method", "GET")];
    let answer = server.send(request("OPTIONS", "/v2/", &asked)).await;
    assert_eq!(answer.status(), 401);
    for name in ["access-control-allow-origin", "vary"] {
        assert_eq!(header(&answer, name), "");
    }
}

#[test]
fn an_origin_that_no_browser_sends_is_a_warning() {
    use warren::registry::settings::{Flags, Settings, Variables};
    let flags = Flags::parse_line(["warren-registry", "--cors", "ui.example,https://a"]).unwrap();
    let settings = Settings::resolve(&flags, &Variables::these(&[])).unwrap();
    assert_eq!(settings.warnings.len(), 1);
    assert!(settings.warnings[0].starts_with("\"ui.example\" of flag --cors lets no page in"));
}
