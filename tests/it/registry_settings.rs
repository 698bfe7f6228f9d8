//! Flags of every generation, variables, environments: what they resolve to,
//! and what is said about those that are wrong.

use std::path::Path;
use std::time::Duration;

use warren::registry::settings::{
    Flags, LogFormat, Origin, Output, PasswordSource, Settings, Tls, Variables,
};

fn resolve_with(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings, String> {
    let line = ["warren-registry"].iter().chain(arguments);
    let flags = Flags::parse_line(line).map_err(|error| error.to_string())?;
    Settings::resolve(&flags, &Variables::these(variables)).map_err(|error| error.to_string())
}

fn resolve(arguments: &[&str]) -> Settings {
    resolve_with(arguments, &[]).unwrap_or_else(|error| panic!("{arguments:?}: {error}"))
}

fn refused(arguments: &[&str]) -> String {
    resolve_with(arguments, &[]).map(|_| ()).unwrap_err()
}

fn on(certificate: &str, key: &str) -> Tls {
    Tls::On { certificate: certificate.into(), key: key.into() }
}

fn bound(settings: &Settings) -> Vec<String> {
    settings.bind.value.iter().map(ToString::to_string).collect()
}

/// The argument list of the notes' `StatefulSet`, to the letter.
#[test]
fn the_stateful_set_of_2020_starts_unchanged() {
    let line = "--no-tls -n paasregistry.lapin.io -u trow-pass --password-file /etc/trow/pass";
    let settings = resolve(&line.split(' ').collect::<Vec<_>>());
    assert_eq!(settings.tls.value, Tls::Off);
    assert_eq!(settings.tls.origin, Origin::Flag("--no-tls"));
    assert_eq!(bound(&settings), ["0.0.0.0:8000"]);
    assert_eq!(settings.hostnames.value, ["paasregistry.lapin.io"]);
    assert_eq!(settings.user.value.as_deref(), Some("trow-pass"));
    assert_eq!(settings.password.value, Some(PasswordSource::File("/etc/trow/pass".into())));
    assert_eq!(settings.data_dir.value, Path::new("./data"));
    assert_eq!(settings.unserved(), [""; 0]);
}

#[test]
fn every_flag_of_2020_is_known() {
    let settings = resolve(&[
        "--host",
        "127.0.0.1",
        "--port",
        "5000",
        "-c",
        "a.crt",
        "-k",
        "a.key",
        "--names",
        "r.example:5000, second",
        "-u",
        "me",
        "-p",
        "file://literal",
        "-d",
        "/data",
        "--allow-prefixes",
        "quay.io/,gcr.io/",
        "--allow-images",
        "a/b:1",
        "--disallow-local-prefixes",
        "beta",
        "--disallow-local-images",
        "x:1",
        "--allow-docker-official",
        "--deny-k8s-images",
        "--proxy-docker-hub",
        "--hub-user",
        "h",
        "--hub-token",
        "t",
        "--hub-token-file",
        "/t",
        "--enable-cors",
        "--max-manifest-size",
        "8",
        "--max-blob-size",
        "100",
        "--log-level",
        "DEBUG",
        "--dry-run",
    ]);
    assert_eq!(bound(&settings), ["127.0.0.1:5000"]);
    assert_eq!(settings.tls.value, on("a.crt", "a.key"));
    assert_eq!(settings.hostnames.value, ["r.example:5000", "second"]);
    let Some(PasswordSource::Value(password)) = settings.password.value.clone() else {
        panic!("the 2020 generation reads no file:// passwords");
    };
    assert_eq!(password.expose(), "file://literal");
    let rules = settings.validation.value.clone().unwrap();
    assert_eq!(rules.allow_prefixes, ["quay.io/", "gcr.io/", "docker.io/"]);
    assert_eq!(settings.max_manifest_size.value, 8 << 20);
    assert_eq!(settings.max_blob_size.value, Some(100 << 20));
    assert_eq!(settings.log_level.value, "DEBUG");
    assert_eq!(settings.unserved(), ["proxied registries (flag --proxy-docker-hub)"]);
}

#[test]
fn tls_and_port_follow_the_generation() {
    let default = on("./certs/domain.crt", "./certs/domain.key");
    for (arguments, tls, address) in [
        // 2020: TLS unless told otherwise, the port by TLS.
        (&["--names", "a"][..], &default, "0.0.0.0:8443"),
        (&["-u", "a", "-p", "b"], &default, "0.0.0.0:8443"),
        (&["--host", "127.0.0.1"], &default, "127.0.0.1:8443"),
        (&["--host", "127.0.0.1", "--no-tls"], &Tls::Off, "127.0.0.1:8000"),
        (&["--no-tls", "--cert", "x"], &Tls::Off, "0.0.0.0:8000"),
        (&["--port", "1234", "--no-tls"], &Tls::Off, "0.0.0.0:1234"),
        (&["-c", "x"], &on("x", "./certs/domain.key"), "0.0.0.0:8443"),
        // 0.10 and ours: plain unless told otherwise, one port.
        (&[], &Tls::Off, "[::]:8000"),
        (&["-n", "a", "-d", "/data"], &Tls::Off, "[::]:8000"),
        (&["--tls"], &default, "[::]:8000"),
        (&["--tls=a,b"], &on("a", "b"), "[::]:8000"),
        (&["--tls=a,b", "--bind", "[::1]:9"], &on("a", "b"), "[::1]:9"),
        (&["-u", "a", "-p", "b", "--bind", "0.0.0.0"], &Tls::Off, "0.0.0.0:8000"),
        (&["--environment", "sandbox", "-u", "a", "-p", "b"], &Tls::Off, "[::]:8000"),
    ] {
        let settings = resolve(arguments);
        assert_eq!(settings.tls.value, *tls, "{arguments:?}");
        assert_eq!(bound(&settings), [address], "{arguments:?}");
    }
}

/// One more flag on a line of 2020 must not serve in plain what was encrypted.
#[test]
fn what_is_added_to_a_line_of_2020_does_not_end_its_tls() {
    let default = on("./certs/domain.crt", "./certs/domain.key");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trow.yaml");
    let write = |text: &str| {
        warren::fs::write_atomic(&file, text.as_bytes(), warren::fs::Access::Everyone).unwrap();
    };
    write("registry_proxies:\n");
    let config = format!("--config-file={}", file.display());
    let old = "-n h -u u --password-file f".split(' ').collect::<Vec<_>>();
    let with = |more: &[&str]| resolve(&[old.as_slice(), more].concat());
    for more in [
        &[][..],
        &["--htpasswd=x"],
        &["--cors=https://a"],
        &[&*config],
        &["--policy=x", "--metrics=off", "--max-uploads=1"],
        &["--htpasswd=x", "--cors=https://a", &*config],
    ] {
        let settings = with(more);
        assert_eq!(settings.tls.value, default, "{more:?}");
        assert_eq!(bound(&settings), ["0.0.0.0:8443"], "{more:?}");
        assert!(settings.validation.value.is_some(), "{more:?}");
        assert_eq!(settings.warnings, [""; 0], "{more:?}");
    }
    // Where something says how to listen the line is a newer one, and says so.
    for (more, tls, address, warned) in [
        (&["--bind=[::]:5"][..], &Tls::Off, "[::]:5", Some("--bind")),
        (&["--environment=sandbox"], &Tls::Off, "[::]:8000", Some("--environment")),
        (&["--bind=[::]:5", "--htpasswd=x"], &Tls::Off, "[::]:5", Some("--bind")),
        (&["--bind=[::]:5", "--no-tls"], &Tls::Off, "[::]:5", None),
        (&["--environment=sandbox", "--no-tls"], &Tls::Off, "[::]:8000", None),
        (&["--bind=[::]:5", "--tls"], &default, "[::]:5", None),
        (&["--bind=[::]:5", "-c", "./certs/domain.crt"], &default, "[::]:5", None),
        (&["--tls"], &default, "[::]:8000", None),
    ] {
        let settings = with(more);
        assert_eq!((&settings.tls.value, bound(&settings)), (tls, vec![address.to_owned()]));
        let said = settings.warnings.iter().find(|warning| warning.starts_with("TLS is off: "));
        assert_eq!(said.is_some(), warned.is_some(), "{more:?}: {said:?}");
        if let Some((said, newer)) = said.zip(warned) {
            let way_out = said.contains("--tls") && said.contains("--no-tls");
            assert!(said.contains(newer) && way_out, "{said}");
        }
    }
    let newer = ["-U", "u", "-P", "p", "--bind=[::]:5", "--max-manifest-size=8"];
    assert_eq!(resolve(&newer).warnings, [""; 0]);
    // Rules of the file stand in the place of those that nobody named.
    write("registry_proxies:\nimage_validation:\n  default: Deny\n  allow: []\n  deny: []\n");
    assert!(with(&[&*config]).validation.value.is_none());
    assert!(with(&[&*config, "--allow-docker-official"]).validation.value.is_some());
}

#[test]
fn every_flag_of_0_10_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("trow.yaml");
    let text = "registry_proxies:\n  registries: [{host: ghcr.io}]\nimage_validation:\n  default: Deny\n  allow: []\n  deny: []\nextra: 1\n";
    warren::fs::write_atomic(&file, text.as_bytes(), warren::fs::Access::Everyone).unwrap();
    let settings = resolve(&[
        "--bind",
        "[::]:8000",
        "--tls=c.pem,k.pem",
        "--hostname",
        "r.example",
        "--data-dir",
        "/data",
        "--user",
        "me",
        "--password",
        "file:///etc/pass",
        "--config-file",
        file.to_str().unwrap(),
        "--dry-run",
        "--cors",
        "https://a,https://b",
    ]);
    assert_eq!(settings.tls.value, on("c.pem", "k.pem"));
    assert_eq!(settings.password.value, Some(PasswordSource::File("/etc/pass".into())));
    assert_eq!(settings.cors.value, ["https://a", "https://b"]);
    assert_eq!(settings.proxied.value, ["ghcr.io"]);
    assert_eq!(settings.proxied.origin, Origin::ConfigFile(file.clone()));
    assert_eq!(settings.unserved().len(), 1);
    assert!(settings.warnings.iter().any(|warning| warning.contains("extra")));
    let short = resolve(&["-n", "h", "-d", "/d", "-U", "me", "-P", "a:b"]);
    let Some(PasswordSource::Value(password)) = short.password.value else { panic!() };
    assert_eq!(password.expose(), "a:b");
}

#[test]
fn several_addresses() {
    assert_eq!(
        bound(&resolve(&["--bind", "127.0.0.1:1,[::1]:2", "--bind", "::"])),
        ["127.0.0.1:1", "[::1]:2", "[::]:8000"]
    );
}

#[test]
fn an_environment_gives_defaults_and_flags_override_them() {
    let settings = resolve(&["--environment", "sandbox"]);
    assert_eq!(settings.hostnames.value, ["paasregistry.lapin.io"]);
    assert_eq!(settings.hostnames.origin, Origin::Environment("sandbox"));
    assert_eq!(settings.user.value.as_deref(), Some("trow-pass"));
    let settings =
        resolve(&["--environment", "sandbox", "-n", "other.example", "--bind", "127.0.0.1:0"]);
    assert_eq!(settings.hostnames.value, ["other.example"]);
    assert_eq!(settings.hostnames.origin, Origin::Flag("--hostname"));
    assert_eq!(settings.user.origin, Origin::Environment("sandbox"));
}

#[test]
fn variables_stand_between_flags_and_environment() {
    let variables = [
        ("WARREN_ENVIRONMENT", "sandbox"),
        ("WARREN_REGISTRY_HOSTNAME", "var.example"),
        ("WARREN_REGISTRY_DATA_DIR", "/var/data"),
        ("WARREN_REGISTRY_USER", ""),
        ("WARREN_REGISTRY_LOG_FORMAT", "json"),
        ("WARREN_REGISTRY_STOP_TIMEOUT", "7"),
        ("RUST_LOG", "warn"),
    ];
    let settings = resolve_with(&["-d", "/flag"], &variables).unwrap();
    assert_eq!(settings.environment.origin, Origin::Variable("WARREN_ENVIRONMENT"));
    assert_eq!(settings.hostnames.origin, Origin::Variable("WARREN_REGISTRY_HOSTNAME"));
    assert_eq!(settings.data_dir.origin, Origin::Flag("--data-dir"));
    assert_eq!(settings.user.origin, Origin::Environment("sandbox"), "empty counts as unset");
    assert_eq!(settings.log_format.value, LogFormat::Json);
    assert_eq!(settings.stop_timeout.value, Duration::from_secs(7));
    assert_eq!(settings.log_level.origin, Origin::Variable("RUST_LOG"));
}

#[test]
fn print_config_says_where_each_value_comes_from() {
    let settings = resolve_with(
        &["--environment", "sandbox", "--password", "hunter2", "--no-tls"],
        &[("WARREN_REGISTRY_DATA_DIR", "/srv")],
    )
    .unwrap();
    let text = settings.print(Output::Text);
    let line = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("environment"), "environment sandbox flag --environment");
    assert_eq!(line("hostname"), "hostname paasregistry.lapin.io environment sandbox");
    assert_eq!(line("data-dir"), "data-dir /srv variable WARREN_REGISTRY_DATA_DIR");
    assert_eq!(line("tls"), "tls off flag --no-tls");
    assert_eq!(line("password"), "password (set) flag --password");
    assert_eq!(line("log-level"), "log-level info environment sandbox");
    assert!(!text.contains("hunter2"));

    let json: serde_json::Value = serde_json::from_str(&settings.print(Output::Json)).unwrap();
    assert_eq!(json["data-dir"]["value"], "/srv");
    assert_eq!(json["data-dir"]["origin"]["kind"], "variable");
    assert_eq!(json["data-dir"]["origin"]["name"], "WARREN_REGISTRY_DATA_DIR");
    assert_eq!(json["password"]["value"], "(set)");
    assert!(!json.to_string().contains("hunter2"));
    assert!(!format!("{settings:?}").contains("hunter2"));
}

#[test]
fn what_is_wrong_is_named_with_its_origin() {
    for (arguments, expected) in [
        (&["--environment", "sandbocks"][..], "no environment \"sandbocks\"; there are: "),
        (&["--bind", "localhost"], "bind (flag --bind): \"localhost\" is no address"),
        (&["--bind", "1.2.3.4:99999"], "bind (flag --bind)"),
        (&["--port", "99999"], "bind (flag --port): \"99999\" is no port"),
        (&["--tls=a"], "tls (flag --tls): \"a\" is not two paths"),
        (&["--tls=a,b,c"], "is not two paths"),
        (&["--no-tls", "--tls"], "cannot be used with"),
        (&["-U", "a:b", "-P", "x"], "holds a colon"),
        (&["-U", "a"], "user is set (flag --user) but password is not"),
        (&["-P", "a"], "password is set (flag --password) but user is not"),
        (&["-U", "a", "-P", ""], "the password is empty"),
        (&["-n", "a/b"], "\"a/b\" is no host name"),
        (&["--log-level", "loud"], "\"loud\" is no level"),
        (&["--log-format", "xml"], "\"xml\" is no log format"),
        (&["--max-connections", "0"], "no whole number from 1 on"),
        (&["--max-manifest-size", "0"], "no whole number from 1 on"),
        (&["--allow-sparse-manifests=maybe"], "\"maybe\" is neither true nor false"),
        (&["--config-file", "/nowhere/trow.yaml"], "/nowhere/trow.yaml"),
        (&["-Z"], "unexpected argument"),
        (&["stray"], "unexpected argument"),
    ] {
        let error = refused(arguments);
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    let error = resolve_with(&[], &[("WARREN_ENVIRONMENT", "nowhere")]).map(|_| ()).unwrap_err();
    assert!(error.contains("sandbox"), "{error}");
}

#[test]
fn one_client_gets_half_of_the_uploads_unless_told_otherwise() {
    let share = |arguments: &[&str]| resolve(arguments).operating.max_uploads_per_client.value;
    assert_eq!(share(&[]), 128);
    assert_eq!(share(&["--max-uploads=3"]), 2);
    assert_eq!(share(&["--max-uploads=1"]), 1);
    assert_eq!(share(&["--max-uploads-per-client=7"]), 7);
    let rate = |arguments: &[&str]| resolve(arguments).operating.min_body_rate.value;
    assert_eq!((rate(&[]), rate(&["--min-body-rate=8"])), (1024, 8192));
    assert_eq!(rate(&["--min-body-rate=0"]), 0);
    assert!(refused(&["--max-uploads-per-client=0"]).contains("from 1 on"));
}

#[test]
fn sparse_manifests_are_off_unless_asked_for() {
    let allowed = |arguments: &[&str], variables: &[(&str, &str)]| {
        resolve_with(arguments, variables).unwrap().allow_sparse_manifests.value
    };
    let variable = "WARREN_REGISTRY_ALLOW_SPARSE_MANIFESTS";
    assert!(!allowed(&[], &[]));
    assert!(allowed(&["--allow-sparse-manifests"], &[]));
    assert!(allowed(&[], &[(variable, "true")]));
    assert!(!allowed(&["--allow-sparse-manifests=false"], &[(variable, "true")]));
}

#[test]
fn an_external_url_is_a_scheme_and_a_host() {
    assert_eq!(resolve(&[]).external_url.value, None);
    for (given, url) in [
        ("https://r.example", "https://r.example"),
        ("https://r.example/", "https://r.example"),
        ("https://R.example:443", "https://r.example"),
        ("HTTP://[::1]:5000", "http://[::1]:5000"),
    ] {
        let settings = resolve(&["--external-url", given]);
        assert_eq!(settings.external_url.value.as_deref(), Some(url));
    }
    for wrong in [
        "r.example",
        "",
        "https://",
        "ftp://r.example",
        "https://r.example:port",
        "https://r.example:99999",
        "https://[::1",
        "https://r.example/registry",
        "https://r.example//",
        "https://user:secret@r.example",
        "https://r.example\",service=\"evil",
    ] {
        let said = refused(&["--external-url", wrong]);
        assert!(said.contains("external-url") && said.contains("https://host"), "{wrong}: {said}");
        assert!(!said.contains("secret"), "{said}");
    }
}
