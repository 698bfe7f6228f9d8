//! An HTTP server of a test on a port of its own, in a thread of its own, so
//! that programs can talk to it. It ends with the test's process.

use std::net::SocketAddr;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use hyper_util::service::TowerToHyperService;

/// Serves these routes; where they are.
pub fn serve(router: Router) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let service = TowerToHyperService::new(router.clone());
                let http = auto::Builder::new(TokioExecutor::new());
                tokio::spawn(async move {
                    // The client may go away at any time: that is its right.
                    let _ = http.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
    });
    address
}
