//! The end of a process on SIGTERM, and what its successor finds.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use warren::digest::Digest;

use crate::registry_process::Process;
use crate::registry_server::Pki;
use crate::registry_support::{Running, has_ipv6, http1, http2, tls};

/// More than the buffers of a socket hold on both sides.
const LARGE: usize = 48 << 20;

/// Pushes a large blob, and begins to pull it.
fn begin_pull(process: &Process) -> (TcpStream, Vec<u8>) {
    let blob: Vec<u8> = (0..251).cycle().take(LARGE).collect();
    let digest = Digest::sha256(&blob);
    let line = format!("POST /v2/a/blobs/uploads/?digest={digest}");
    assert_eq!(process.send(&line, &[], &blob).status, 201);

    let mut pull = TcpStream::connect(&process.address).unwrap();
    let head = format!("GET /v2/a/blobs/{digest} HTTP/1.1\r\nhost: r\r\n\r\n");
    pull.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 12];
    pull.read_exact(&mut first).unwrap();
    assert_eq!(&first, b"HTTP/1.1 200");
    (pull, blob)
}

#[test]
fn a_pull_that_is_under_way_ends_whole() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &["--stop-timeout=60"]);
    let (mut pull, blob) = begin_pull(&process);
    process.terminate();
    process.line(|line| line["message"].as_str().unwrap().starts_with("stopping"));
    assert!(TcpStream::connect(&process.address).is_err(), "nothing new is taken");
    let mut rest = Vec::new();
    pull.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(&blob), "{} bytes", rest.len());
    process.ended();
}

#[test]
fn a_pull_that_its_client_leaves_lying_is_cut_off_and_keeps_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &["--stop-timeout=1"]);
    let (mut pull, blob) = begin_pull(&process);
    process.terminate();
    // The client reads nothing meanwhile.
    let log = process.ended_within(Duration::from_mins(1));
    let cut = |line: &String| line.contains("cut off what did not finish in time");
    assert!(log.iter().any(cut), "{log:?}");
    let mut rest = Vec::new();
    // What the system still holds may come, and a reset instead of an end.
    let _ = pull.read_to_end(&mut rest);
    assert!(rest.len() < blob.len(), "{} bytes", rest.len());
}

/// The parts of an answer that come before the stop and after it, over whatever
/// the client speaks.
async fn pull_across_the_stop(mut server: Running, answer: Response<Incoming>, blob: &[u8]) {
    assert_eq!(answer.status(), 200);
    let mut body = answer.into_body();
    let first = body.frame().await.unwrap().unwrap().into_data().unwrap();
    server.begin_stop();
    while tokio::net::TcpStream::connect(server.address).await.is_ok() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let rest = body.collect().await.unwrap().to_bytes();
    assert_eq!(first.len() + rest.len(), blob.len());
    assert!(blob.starts_with(&first) && blob.ends_with(&rest));
    server.stopped().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pull_ends_whole_over_tls_and_both_versions_of_http() {
    let dir = tempfile::tempdir().unwrap();
    let pki = Pki::new(dir.path(), "server");
    let blob: Vec<u8> = (0..251).cycle().take(LARGE).collect();
    let digest = Digest::sha256(&blob);
    let get = |uri: String| Request::get(uri).header("host", "r").body(Body::empty()).unwrap();
    for (encrypted, version) in [(false, 2), (true, 1), (true, 2)] {
        let data = tempfile::tempdir().unwrap();
        let flag = pki.flag();
        let arguments = ["--stop-timeout=60", &flag];
        let used = if encrypted { &arguments[..] } else { &arguments[..1] };
        let server = Running::start(data.path(), used).await;
        let stream = server.connect().await;
        let stream: Box<dyn Stream> = if encrypted {
            let protocols: &[&str] = if version == 2 { &["h2"] } else { &["http/1.1"] };
            Box::new(tls(stream, &pki.ca, "localhost", protocols).await.0)
        } else {
            Box::new(stream)
        };
        let push = Request::post(format!("https://r/v2/a/blobs/uploads/?digest={digest}"))
            .header("host", "r")
            .body(Body::from(blob.clone()))
            .unwrap();
        let uri = format!("https://r/v2/a/blobs/{digest}");
        let stream = TokioIo::new(stream);
        if version == 2 {
            let (mut sender, connection) =
                hyper::client::conn::http2::handshake(TokioExecutor::new(), stream).await.unwrap();
            tokio::spawn(connection);
            assert_eq!(sender.send_request(push).await.unwrap().status(), 201);
            let answer = sender.send_request(get(uri)).await.unwrap();
            pull_across_the_stop(server, answer, &blob).await;
        } else {
            let (mut sender, connection) =
                hyper::client::conn::http1::handshake(stream).await.unwrap();
            tokio::spawn(connection);
            assert_eq!(sender.send_request(push).await.unwrap().status(), 201);
            sender.ready().await.unwrap();
            let answer = sender.send_request(get(uri)).await.unwrap();
            pull_across_the_stop(server, answer, &blob).await;
        }
    }
}

/// What both kinds of connections are.
trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

#[test]
fn an_upload_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start(dir.path(), &["--stop-timeout=0"]);
    let begin = process.send("POST /v2/a/blobs/uploads/", &[], b"");
    let path = begin.header("location").to_owned();
    assert_eq!(process.send(&format!("PATCH {path}"), &[], b"first ").status, 202);
    // One more part is half way when the process ends.
    let mut half = TcpStream::connect(&process.address).unwrap();
    let head = format!("PATCH {path} HTTP/1.1\r\nhost: r\r\ncontent-length: 100\r\n\r\nsecond");
    half.write_all(head.as_bytes()).unwrap();
    process.terminate();
    process.ended();

    let process = Process::start(dir.path(), &[]);
    let status = process.send(&format!("GET {path}"), &[], b"");
    assert_eq!(status.status, 204);
    let (_, last) = status.header("range").split_once('-').unwrap();
    let received = last.parse::<usize>().unwrap() + 1;
    let whole = b"first second third";
    assert!((6..=12).contains(&received), "{received}");
    let more = process.send(&format!("PATCH {path}"), &[], &whole[received..]);
    assert_eq!(more.status, 202);
    let digest = Digest::sha256(whole);
    let done = process.send(&format!("PUT {path}?digest={digest}"), &[], b"");
    assert_eq!(done.status, 201);
    let blob = process.send(&format!("GET /v2/a/blobs/{digest}"), &[], b"");
    assert_eq!(blob.body, whole);
}

#[tokio::test(flavor = "multi_thread")]
async fn both_versions_of_http_on_both_versions_of_ip() {
    let dir = tempfile::tempdir().unwrap();
    let six = has_ipv6();
    let bind = if six { "--bind=[::]:0" } else { "--bind=0.0.0.0:0" };
    let server = Running::start(dir.path(), &[bind]).await;
    let port = server.address.port();
    for host in ["127.0.0.1", "[::1]"] {
        if host == "[::1]" && !six {
            continue;
        }
        let address = format!("{host}:{port}");
        let get = |uri: &str| Request::get(uri).header("host", "r").body(Body::empty()).unwrap();
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        assert_eq!(http1(stream, get("/v2/")).await.status(), 200, "{address}");
        let stream = tokio::net::TcpStream::connect(&address).await.unwrap();
        let answer = http2(stream, get(&format!("http://{address}/v2/"))).await;
        assert_eq!(
            (answer.status().as_u16(), answer.version()),
            (200, axum::http::Version::HTTP_2)
        );
    }
}
