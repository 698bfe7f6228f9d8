//! The page at `/`.

use crate::registry_support::{Running, header};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");

#[tokio::test(flavor = "multi_thread")]
async fn curl_gets_trow_s_welcome_and_a_browser_the_page() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    for accept in [None, Some("*/*"), Some("application/json"), Some("text/plain, text/htmlx")] {
        let headers: Vec<_> = accept.map(|accept| ("accept", accept)).into_iter().collect();
        let answer = server.get("/", &headers).await;
        let text = String::from_utf8_lossy(answer.body());
        assert!(text.contains("<h1>Welcome to Trow, the cluster registry</h1>"), "{accept:?}");
        assert_eq!(header(&answer, "vary"), "Accept");
    }
    let answer = server.get("/", &[BROWSER]).await;
    assert_eq!(answer.status(), 200);
    assert_eq!(header(&answer, "vary"), "Accept");
    assert_eq!(header(&answer, "content-type"), "text/html; charset=utf-8");
    assert!(String::from_utf8_lossy(answer.body()).contains("<script src=\"ui/app.js\" defer>"));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_is_its_three_files_and_runs_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    let mut texts = Vec::new();
    for (path, kind) in [
        ("/", "text/html; charset=utf-8"),
        ("/ui/app.js", "text/javascript; charset=utf-8"),
        ("/ui/style.css", "text/css; charset=utf-8"),
    ] {
        let answer = server.get(path, &[BROWSER]).await;
        assert_eq!(answer.status(), 200, "{path}");
        assert_eq!(header(&answer, "content-type"), kind);
        assert_eq!(header(&answer, "x-content-type-options"), "nosniff");
        assert_eq!(header(&answer, "x-frame-options"), "DENY");
        let policy = header(&answer, "content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe") && !policy.contains('*'), "{policy}");
        texts.push(String::from_utf8(answer.body().to_vec()).unwrap());
    }
    for text in &texts {
        assert!(!text.contains("//cdn") && !text.contains("http:") && !text.contains("https:"));
    }
    let (html, script) = (&texts[0], &texts[1]);
    for inline in ["<script>", "<style", " style=", " onclick=", "javascript:"] {
        assert!(!html.contains(inline), "{inline}");
    }
    // What could turn a name or an annotation into markup.
    for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
        assert!(!script.contains(way), "{way}");
    }
    for keeps in ["localStorage", "sessionStorage", "indexedDB", "document.cookie"] {
        assert!(!script.contains(keeps), "{keeps}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_nothing_without_the_login_of_the_api() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    assert_eq!(server.get("/", &[BROWSER]).await.status(), 200);
    assert_eq!(server.get("/v2/_catalog", &[BROWSER]).await.status(), 401);
}
