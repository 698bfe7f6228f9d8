//! Clients who mean harm: the server stays up and answers others.

use axum::body::Body;
use axum::http::Request;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use warren::digest::Digest;

use crate::registry_process::Process;
use crate::registry_support::{Running, header, http1, http2, request};

async fn still_answers(server: &Running) {
    assert_eq!(server.get("/v2/", &[]).await.status(), 200);
}

/// Everything until the server closes the connection.
async fn to_the_end(stream: &mut TcpStream) -> Vec<u8> {
    let mut all = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut all).await;
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_never_ends_is_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["--head-timeout=1", "--idle-timeout=3600"]).await;
    // One that has said nothing, one that has begun, one after its first
    // request, and one that keeps on saying a little.
    let mut silent = server.connect().await;
    let mut begun = server.connect().await;
    begun.write_all(b"GET /v2/ HTTP/1.1\r\nhost: r\r\nx-a: ").await.unwrap();
    let mut second = server.connect().await;
    second.write_all(b"GET /v2/ HTTP/1.1\r\nhost: r\r\n\r\n").await.unwrap();
    assert_eq!(second.read_u8().await.unwrap(), b'H');
    second.write_all(b"GET /v2/ HTTP/1.1\r\n").await.unwrap();
    let drips = server.connect().await;
    let (mut read, mut write) = drips.into_split();
    let dripping = tokio::spawn(async move {
        while write.write_all(b"G").await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    still_answers(&server).await;
    assert!(to_the_end(&mut silent).await.is_empty());
    assert!(to_the_end(&mut begun).await.is_empty());
    to_the_end(&mut second).await;
    let mut all = Vec::new();
    let _ = read.read_to_end(&mut all).await;
    drop(read);
    dripping.await.unwrap();
    still_answers(&server).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_make_room() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["--max-connections=4"]).await;
    let mut idle = Vec::new();
    for turn in 0..32 {
        let mut stream = server.connect().await;
        if turn % 2 == 0 {
            stream.write_all(b"GET /v2/ HTTP/1.1\r\nhost: r\r\n\r\n").await.unwrap();
            assert_eq!(stream.read_u8().await.unwrap(), b'H');
        }
        idle.push(stream);
    }
    still_answers(&server).await;
    // Also where the first of them speaks again.
    to_the_end(&mut idle[0]).await;
    let text = server.get("/metrics", &[]).await;
    let text = String::from_utf8(text.body().to_vec()).unwrap();
    let evicted = r#"warren_registry_connections_closed_early_total{reason="evicted"} "#;
    let evicted = text.lines().find_map(|line| line.strip_prefix(evicted)).unwrap();
    assert!(evicted.parse::<u32>().unwrap() >= 28, "{evicted}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_that_is_too_large_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["--max-head-size=8"]).await;
    let large = "x".repeat(9000);
    let one = request("GET", "/v2/", &[("x-a", &large), ("x-request-id", "one")]);
    let two = Request::get("http://r/v2/").header("x-a", &large).header("x-request-id", "two");
    let two = two.body(Body::empty()).unwrap();
    for (answer, id) in [
        (http1(server.connect().await, one).await, "one"),
        (http2(server.connect().await, two).await, "two"),
    ] {
        assert_eq!(answer.status(), 431);
        assert_eq!(header(&answer, "x-request-id"), id, "it was looked at as every other");
    }
    // Not whole, and as much as is read of a head: the limit and 4 KiB.
    let mut stream = server.connect().await;
    let head = "GET /v2/ HTTP/1.1\r\nx-a: ";
    let head = format!("{head}{}", "x".repeat((12 << 10) - head.len()));
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut status = [0; 12];
    stream.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 431");
    // Far beyond it.
    let mut stream = server.connect().await;
    let head = format!("GET /v2/ HTTP/1.1\r\nx-a: {}", "x".repeat(1 << 20));
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = to_the_end(&mut stream).await;
    still_answers(&server).await;
    for (operation, method) in [("version", "GET"), ("other", "other")] {
        let labels = format!(r#"operation="{operation}",method="{method}",status="4xx""#);
        counted(&server, &format!("warren_registry_http_requests_total{{{labels}}} 2")).await;
    }
}

/// Waits for a line of the metrics: a client sees the end of its connection
/// before that is counted.
async fn counted(server: &Running, line: &str) {
    let mut text = String::new();
    for _ in 0..600 {
        let answer = server.get("/metrics", &[]).await;
        text = String::from_utf8(answer.body().to_vec()).unwrap();
        if text.lines().any(|found| found == line) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("{line} is not in\n{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endless_manifest_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["--max-manifest-size=1"]).await;
    let stream = server.connect().await;
    let (mut read, mut write) = stream.into_split();
    let sending = tokio::spawn(async move {
        let head =
            "PUT /v2/a/manifests/x HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\n\r\n";
        let _ = write.write_all(head.as_bytes()).await;
        let chunk = [b"10000\r\n", &vec![b'x'; 0x10000][..], b"\r\n"].concat();
        while write.write_all(&chunk).await.is_ok() {}
    });
    let mut status = [0; 12];
    read.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 413");
    let mut rest = Vec::new();
    let _ = read.read_to_end(&mut rest).await;
    drop(read);
    sending.await.unwrap();
    still_answers(&server).await;
}

/// What never ends is taken as far as the disk goes; then it is refused, the
/// connection ends, and nothing of it is left.
#[tokio::test(flavor = "multi_thread")]
async fn an_endless_blob_ends_with_the_disk() {
    let dir = tempfile::tempdir().unwrap();
    let process = Process::start_limited(dir.path(), 4096, &[]);
    let digest = Digest::sha256(b"");
    let begun = process.send("POST /v2/a/blobs/uploads/", &[], b"");
    let path = begun.header("location").to_owned();
    for line in [
        format!("POST /v2/a/blobs/uploads/?digest={digest}"),
        format!("PATCH {path}"),
        format!("PUT {path}?digest={digest}"),
    ] {
        let stream = TcpStream::connect(&process.address).await.unwrap();
        let (mut read, mut write) = stream.into_split();
        let head = format!("{line} HTTP/1.1\r\nhost: r\r\ntransfer-encoding: chunked\r\n\r\n");
        let sending = tokio::spawn(async move {
            let _ = write.write_all(head.as_bytes()).await;
            let chunk = [b"10000\r\n", &vec![b'x'; 0x10000][..], b"\r\n"].concat();
            while write.write_all(&chunk).await.is_ok() {}
        });
        let mut status = [0; 12];
        read.read_exact(&mut status).await.unwrap();
        assert_eq!(String::from_utf8_lossy(&status), "HTTP/1.1 507", "{line}");
        let mut rest = Vec::new();
        let _ = read.read_to_end(&mut rest).await;
        drop(read);
        sending.await.unwrap();
        assert_eq!(process.send("GET /v2/", &[], b"").status, 200);
    }
    assert_eq!(process.send(&format!("DELETE {path}"), &[], b"").status, 204);
    let left = |folder: &str| warren::fs::list(&dir.path().join(folder)).unwrap();
    assert_eq!((left("tmp").len(), left("uploads").len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_beyond_the_limit_are_asked_to_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["--max-uploads=1"]).await;
    let begin = server.send(request("POST", "/v2/a/blobs/uploads/", &[])).await;
    let path = header(&begin, "location");
    let mut busy = server.connect().await;
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nhost: r\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n"
    );
    busy.write_all(head.as_bytes()).await.unwrap();
    let mut go_on = [0; 12];
    busy.read_exact(&mut go_on).await.unwrap();
    assert_eq!(&go_on, b"HTTP/1.1 100");
    let push = async |path: &str| {
        let request = Request::put(path).header("host", "r").body(Body::from("{}")).unwrap();
        server.send(request).await
    };
    let answer = push("/v2/a/manifest%73/x").await;
    assert_eq!(answer.status(), 429, "the same path in other letters");
    let answer = push("/v2/a/manifests/x").await;
    assert_eq!(answer.status(), 429);
    assert_eq!(header(&answer, "retry-after"), "2");
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(body["errors"][0]["code"], "TOOMANYREQUESTS");
    still_answers(&server).await;
    busy.write_all(b"ab").await.unwrap();
    let mut rest = [0; 25];
    busy.read_exact(&mut rest).await.unwrap();
    assert!(String::from_utf8_lossy(&rest).contains("202"), "{}", String::from_utf8_lossy(&rest));
}

/// The head of a review whose body never comes, and its first byte.
const SLOW_REVIEW: &[u8] =
    b"POST /validate-image HTTP/1.1\r\nhost: r\r\ncontent-length: 100000\r\n\r\n{";

async fn review(server: &Running) -> u16 {
    let text = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"1","kind":{"group":"","version":"v1","kind":"Pod"},"operation":"DELETE"}}"#;
    let request = Request::post("/validate-image").header("host", "r").body(Body::from(text));
    server.send(request.unwrap()).await.status().as_u16()
}

/// Whether the server has neither answered nor closed.
fn is_waiting(stream: &TcpStream) -> bool {
    let read = stream.try_read(&mut [0; 1]);
    read.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_review_does_not_wait_for_slow_ones() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    let mut slow = Vec::new();
    for _ in 0..32 {
        let mut stream = server.connect().await;
        stream.write_all(SLOW_REVIEW).await.unwrap();
        slow.push(stream);
    }
    // Those that are there are read in the order that they came.
    still_welcomes(&server).await;
    assert_eq!(review(&server).await, 200);
    assert!(slow.iter().all(is_waiting), "it was answered before any of them was given up");
}

/// As [`still_answers`], where there are users.
async fn still_welcomes(server: &Running) {
    assert_eq!(server.get("/healthz", &[]).await.status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_who_send_slowly_lock_nobody_out() {
    const PLACES: usize = 16;
    let dir = tempfile::tempdir().unwrap();
    let places = format!("--max-connections={PLACES}");
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p", &places]).await;
    // A push that is refused is read to its end as well, for a while.
    let push = b"PUT /v2/a/manifests/x HTTP/1.1\r\nhost: r\r\ncontent-length: 100000\r\n\r\n{";
    for head in [SLOW_REVIEW, push] {
        let mut attack = Vec::new();
        for _ in 0..2 * PLACES {
            let address = server.address;
            attack.push(tokio::spawn(async move {
                loop {
                    let Ok(mut stream) = TcpStream::connect(address).await else { continue };
                    let _ = stream.write_all(head).await;
                    to_the_end(&mut stream).await;
                }
            }));
        }
        // Time to take every place.
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        for _ in 0..3 {
            let answered =
                tokio::time::timeout(std::time::Duration::from_secs(8), still_welcomes(&server));
            assert!(answered.await.is_ok(), "locked out");
        }
        for task in attack {
            task.abort();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_for_reviews_is_shared() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["-U", "u", "-P", "p"]).await;
    // Almost the largest review each, and the whole memory together.
    let mut slow = Vec::new();
    for _ in 0..3 {
        let mut stream = server.connect().await;
        let head = "POST /validate-image HTTP/1.1\r\nhost: r\r\ncontent-length: 8000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        // The first of them is ended meanwhile.
        let _ = stream.write_all(&vec![b' '; 7_900_000]).await;
        slow.push(stream);
    }
    let mut first = [0; 12];
    slow[0].read_exact(&mut first).await.unwrap();
    assert_eq!(&first, b"HTTP/1.1 429");
    assert_eq!(review(&server).await, 200);
    assert!(is_waiting(&slow[2]));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_client_leaves_places_for_the_uploads_of_others() {
    let dir = tempfile::tempdir().unwrap();
    let arguments = ["--max-uploads=3", "--trusted-proxies=127.0.0.1"];
    let server = Running::start(dir.path(), &arguments).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut stream = server.connect().await;
        let head = "PUT /v2/a/manifests/x HTTP/1.1\r\nhost: r\r\nx-forwarded-for: 192.0.2.1\r\ncontent-length: 2\r\nexpect: 100-continue\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut go_on = [0; 12];
        stream.read_exact(&mut go_on).await.unwrap();
        assert_eq!(&go_on, b"HTTP/1.1 100");
        busy.push(stream);
    }
    let push = async |client: &str| {
        let request = Request::put("/v2/a/manifests/y")
            .header("host", "r")
            .header("x-forwarded-for", client)
            .header("content-type", "text/plain")
            .body(Body::from("{}"));
        server.send(request.unwrap()).await
    };
    let refused = push("192.0.2.1").await;
    assert_eq!(refused.status(), 429);
    assert_eq!(header(&refused, "retry-after"), "2");
    assert_eq!(push("192.0.2.2").await.status(), 201);
}

/// A frame of HTTP/2 (RFC 9113, section 4.1).
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// `GET http://r/` in HPACK: three fields of the static table, and `:authority`.
const FIELDS: &[u8] = &[0x82, 0x86, 0x84, 0x41, 1, b'r'];

async fn opened(server: &Running) -> TcpStream {
    let mut stream = server.connect().await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    stream.write_all(&frame(SETTINGS, 0, 0, &[])).await.unwrap();
    stream
}

/// The error code of the frame by which the server says goodbye, if it does.
fn goodbye(mut bytes: &[u8]) -> Option<u32> {
    while bytes.len() >= 9 {
        let length =
            usize::from(bytes[0]) << 16 | usize::from(bytes[1]) << 8 | usize::from(bytes[2]);
        let payload = bytes.get(9..9 + length)?;
        if bytes[3] == GOAWAY {
            return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
        }
        bytes = &bytes[9 + length..];
    }
    None
}

/// CVE-2023-44487: streams that are opened and reset at once, without end.
#[tokio::test(flavor = "multi_thread")]
async fn rapid_resets_end_the_connection() {
    const ENHANCE_YOUR_CALM: u32 = 11;
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &[]).await;
    let (mut read, mut write) = opened(&server).await.into_split();
    let attack = tokio::spawn(async move {
        for number in 0_u32.. {
            let stream = number * 2 + 1;
            let pair = [
                frame(HEADERS, END_STREAM | END_HEADERS, stream, FIELDS),
                frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes()),
            ];
            if write.write_all(&pair.concat()).await.is_err() {
                return number;
            }
        }
        0
    });
    still_answers(&server).await;
    let mut all = Vec::new();
    let _ = read.read_to_end(&mut all).await;
    drop(read);
    assert_eq!(goodbye(&all), Some(ENHANCE_YOUR_CALM));
    assert!(attack.await.unwrap() > 0);
    still_answers(&server).await;
}

/// CVE-2024-27316 and its like: a head in pieces, without end.
#[tokio::test(flavor = "multi_thread")]
async fn endless_continuations_end_the_connection() {
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &[]).await;
    let (mut read, mut write) = opened(&server).await.into_split();
    let attack = tokio::spawn(async move {
        let _ = write.write_all(&frame(HEADERS, END_STREAM, 1, FIELDS)).await;
        // Literal fields `a: xxx…` that no table remembers.
        let field = [&[0x10, 1, b'a', 100], &[b'x'; 100][..]].concat();
        let piece = frame(CONTINUATION, 0, 1, &field.repeat(100));
        while write.write_all(&piece).await.is_ok() {}
    });
    still_answers(&server).await;
    let mut all = Vec::new();
    let _ = read.read_to_end(&mut all).await;
    drop(read);
    assert!(goodbye(&all).is_some_and(|code| code != 0), "{all:?}");
    attack.await.unwrap();
    still_answers(&server).await;
}

/// A client that has no room for the answer that it asks for, and says so
/// without end that it is still there.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_nobody_takes_ends_with_its_connection() {
    const INITIAL_WINDOW_SIZE: [u8; 2] = [0, 4];
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &["--idle-timeout=1"]).await;
    let (mut read, mut write) = opened(&server).await.into_split();
    let no_room = [&INITIAL_WINDOW_SIZE[..], &[0; 4]].concat();
    write.write_all(&frame(SETTINGS, 0, 0, &no_room)).await.unwrap();
    write.write_all(&frame(HEADERS, END_STREAM | END_HEADERS, 1, FIELDS)).await.unwrap();
    let pings = tokio::spawn(async move {
        while write.write_all(&frame(PING, 0, 0, &[0; 8])).await.is_ok() {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let mut all = Vec::new();
    let end = tokio::time::timeout(std::time::Duration::from_secs(30), read.read_to_end(&mut all));
    assert!(end.await.is_ok(), "it is there for ever");
    drop(read);
    pings.await.unwrap();
    still_answers(&server).await;
}

/// What the server's first frame, its settings, says of one of them.
async fn setting(stream: &mut TcpStream, which: u16) -> u32 {
    let mut start = [0; 9];
    stream.read_exact(&mut start).await.unwrap();
    assert_eq!(start[3], SETTINGS);
    let length = usize::from(start[1]) << 8 | usize::from(start[2]);
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).await.unwrap();
    let found = payload.chunks_exact(6).find(|pair| pair[..2] == which.to_be_bytes());
    u32::from_be_bytes(found.expect("the setting is there")[2..].try_into().unwrap())
}

/// What nobody has read yet lies in memory, of each connection as much as its
/// window is large.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_over_http_2_gets_small_windows() {
    const INITIAL_WINDOW_SIZE: u16 = 4;
    const CROWD: usize = 100;
    let dir = tempfile::tempdir().unwrap();
    let server = Running::start(dir.path(), &[]).await;
    let mut crowd = Vec::new();
    let mut windows = Vec::new();
    for _ in 0..CROWD {
        let mut stream = opened(&server).await;
        windows.push(setting(&mut stream, INITIAL_WINDOW_SIZE).await);
        crowd.push(stream);
    }
    assert_eq!((windows[0], windows[CROWD - 1]), (1 << 20, 1 << 16));
    // Small ones are enough for a push.
    let blob = vec![b'x'; 1 << 20];
    let digest = Digest::sha256(&blob);
    let push = Request::post(format!("http://r/v2/a/blobs/uploads/?digest={digest}"));
    let push = push.body(Body::from(blob)).unwrap();
    assert_eq!(http2(server.connect().await, push).await.status(), 201);
    drop(crowd);
    let mut again = 0;
    for _ in 0..600 {
        let mut stream = opened(&server).await;
        again = setting(&mut stream, INITIAL_WINDOW_SIZE).await;
        if again == 1 << 20 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    assert_eq!(again, 1 << 20, "the crowd has gone");
}
