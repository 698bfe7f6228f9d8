//! How a server ends, over an application whose requests last as long as the
//! test wants.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::routing::{get, put};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::metrics::Metrics;
use super::super::settings::{Flags, Settings, Variables};
use super::connection::Serving;
use super::roster::{Patience, Roster};
use super::{Reloader, Server, Stamps};

/// More than the system keeps of what a client does not read.
const LARGE: usize = 64 << 20;

struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn start(arguments: &[&str]) -> Running {
    start_with(arguments, |_| ()).await
}

/// The same, with something else about how connections are served.
async fn start_with(arguments: &[&str], adjust: impl FnOnce(&mut Serving)) -> Running {
    let flags = Flags::parse_line([&["warren-registry"], arguments].concat()).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = Router::new()
        .route("/", put(|body: Bytes| async { body }))
        .route("/large", get(async || vec![0; LARGE]));
    let settings = Settings::resolve(&flags, &Variables::these(&[])).unwrap();
    let seen = Stamps::of(&settings);
    let mut serving = Serving::new(app, None, &settings, Metrics::default());
    adjust(&mut serving);
    let server = Server {
        reloader: Arc::new(Reloader::new(settings.clone(), seen, |_| Ok(Box::new(|| ())))),
        listeners: vec![listener],
        serving,
        housekeeping: Box::pin(std::future::pending()),
        tracer: None,
        settings,
    };
    let (stop, stopped) = oneshot::channel();
    let task = tokio::spawn(server.run(async {
        let _ = stopped.await;
    }));
    Running { address, stop, task }
}

/// A request whose body is still to come.
async fn begin(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = "PUT / HTTP/1.1\r\nhost: r\r\nexpect: 100-continue\r\ncontent-length: 2\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 25];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100 Continue\r\n\r\n");
    stream
}

async fn rest(stream: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    // A reset is an end as well.
    let _ = stream.read_to_end(&mut rest).await;
    String::from_utf8(rest).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_lets_a_request_finish_and_takes_no_new_ones() {
    // Less than a silent client would get without a stop.
    let server = start(&["--stop-timeout", "20"]).await;
    let mut silent = TcpStream::connect(server.address).await.unwrap();
    let mut idle = begin(server.address).await;
    idle.write_all(b"ab").await.unwrap();
    let mut status = [0; 12];
    idle.read_exact(&mut status).await.unwrap();
    assert_eq!(&status, b"HTTP/1.1 200");
    let mut busy = begin(server.address).await;

    server.stop.send(()).unwrap();
    assert!(rest(&mut idle).await.ends_with("ab"), "what is kept alive is closed");
    assert_eq!(rest(&mut silent).await, "", "who said nothing is not waited for");
    assert!(TcpStream::connect(server.address).await.is_err());
    assert!(!server.task.is_finished());

    busy.write_all(b"cd").await.unwrap();
    let answer = rest(&mut busy).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("cd"), "{answer}");
    server.task.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_for_ever() {
    let server = start(&["--stop-timeout", "0"]).await;
    let mut busy = begin(server.address).await;
    server.stop.send(()).unwrap();
    server.task.await.unwrap();
    assert_eq!(rest(&mut busy).await, "");
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_beyond_the_limit_wait_for_their_turn() {
    let server = start(&["--max-connections", "1"]).await;
    let first = begin(server.address).await;
    let address = server.address;
    let second = tokio::spawn(async move {
        let mut second = begin(address).await;
        second.write_all(b"ef").await.unwrap();
        let mut status = [0; 12];
        second.read_exact(&mut status).await.unwrap();
        status
    });
    tokio::task::yield_now().await;
    assert!(!second.is_finished());
    drop(first);
    assert_eq!(&second.await.unwrap(), b"HTTP/1.1 200");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_waits_for_a_place_waits_for_the_rest_of_an_answer() {
    // The answer is one piece: it waits to be sent, and its body is gone.
    let server = start(&["--max-connections", "1"]).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /large HTTP/1.1\r\nhost: r\r\n\r\n").await.unwrap();
    assert_eq!(first.read_u8().await.unwrap(), b'H');
    let second = tokio::spawn(begin(server.address));
    // The server looks for room more than once in that time.
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut piece = vec![0; 1 << 20];
    let mut left = LARGE;
    while left > 0 {
        let read = first.read(&mut piece).await.unwrap_or_default();
        assert!(read > 0, "{left} bytes are missing");
        left = left.saturating_sub(read);
    }
    // Now the first one is idle, and makes room.
    second.await.unwrap();
}

/// The one reads a byte and no more, the other a part now and then.
#[tokio::test(flavor = "multi_thread")]
async fn who_takes_next_to_nothing_is_ended_and_who_takes_an_answer_slowly_gets_it() {
    let (for_ever, window) = (Duration::from_hours(1), Duration::from_secs(2));
    let patience = Patience { head: for_ever, idle: for_ever, rate: 1024, window };
    let metrics = Metrics::default();
    let roster = Arc::new(Roster::new(patience, metrics.clone()));
    let server = start_with(&[], |serving| serving.roster = roster).await;
    let [mut nothing, mut slowly] = [
        TcpStream::connect(server.address).await.unwrap(),
        TcpStream::connect(server.address).await.unwrap(),
    ];
    for stream in [&mut nothing, &mut slowly] {
        stream.write_all(b"GET /large HTTP/1.1\r\nhost: r\r\n\r\n").await.unwrap();
        assert_eq!(stream.read_u8().await.unwrap(), b'H');
    }
    // Together longer than a window and the look after it.
    let mut part = vec![0; 1 << 20];
    for _ in 0..LARGE / part.len() {
        slowly.read_exact(&mut part).await.expect("it was ended");
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
    let ended = r#"connections_closed_early_total{reason="idle"} 1"#;
    for _ in 0..600 {
        if metrics.render().contains(ended) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let text = metrics.render();
    assert!(text.contains(ended), "{text}");
    let rest = rest(&mut nothing).await;
    assert!(rest.len() < LARGE, "{} bytes", rest.len());
}
