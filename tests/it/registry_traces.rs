//! Traces, against a collector of a few lines.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use serde_json::Value;

use crate::registry_support::{Running, header, request};

/// A collector that takes everything: where it is, and what it got.
fn collector() -> (String, Receiver<(String, Value)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            let mut stream = BufReader::new(stream.unwrap());
            std::thread::spawn(move || {
                loop {
                    let (mut head, mut length) = (String::new(), 0);
                    while !head.ends_with("\r\n\r\n") {
                        let before = head.len();
                        if stream.read_line(&mut head).unwrap_or(0) == 0 {
                            return;
                        }
                        let line = head[before..].to_ascii_lowercase();
                        if let Some(text) = line.strip_prefix("content-length:") {
                            length = text.trim().parse().unwrap();
                        }
                    }
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).unwrap();
                    let first = head.lines().next().unwrap().to_owned();
                    let _ = sender.send((first, serde_json::from_slice(&body).unwrap()));
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
                    stream.get_mut().write_all(answer).unwrap();
                }
            });
        }
    });
    (url, received)
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    let attributes = span["attributes"].as_array().unwrap();
    &attributes.iter().find(|attribute| attribute["key"] == key).unwrap()["value"]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_a_span_of_its_caller_s_trace() {
    let dir = tempfile::tempdir().unwrap();
    let (url, received) = collector();
    let server = Running::start(dir.path(), &["--otlp-endpoint", &url]).await;
    let (trace, parent) = ("0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331");
    let of = |flags: &str| format!("00-{trace}-{parent}-{flags}");
    let (sampled, not) = (of("01"), of("00"));
    let answer = server.get("/v2/a/tags/list?n=1", &[("traceparent", &sampled)]).await;
    assert_eq!(answer.status(), 404);
    let id = header(&answer, "x-request-id");
    server.get("/v2/", &[("traceparent", &not)]).await;
    server.get("/healthz", &[]).await;
    let long = format!("/{}", "x".repeat(5000));
    server.send(request(&"M".repeat(5000), &long, &[])).await;
    // The end sends what is left.
    server.stopped().await;

    let mut spans = Vec::new();
    while let Ok((line, body)) =
        received.recv_timeout(Duration::from_secs(if spans.len() < 3 { 60 } else { 0 }))
    {
        assert_eq!(line, "POST /v1/traces HTTP/1.1");
        let resource = &body["resourceSpans"][0];
        assert_eq!(
            attribute(&resource["resource"], "service.name")["stringValue"],
            "warren-registry"
        );
        spans.extend(resource["scopeSpans"][0]["spans"].as_array().unwrap().clone());
    }
    spans.sort_by_key(|span| span["name"].as_str().unwrap().to_owned());
    let names: Vec<_> = spans.iter().map(|span| span["name"].as_str().unwrap()).collect();
    assert_eq!(
        names,
        ["GET probe", "GET tags", "other other"],
        "what the caller does not record is not recorded"
    );
    let [probe, tags, strange] = &spans[..] else { unreachable!() };
    assert_eq!(tags["traceId"], trace);
    assert_eq!(tags["parentSpanId"], parent);
    assert_eq!(tags["kind"], 2);
    assert_eq!(attribute(tags, "url.path")["stringValue"], "/v2/a/tags/list");
    assert_eq!(attribute(tags, "http.response.status_code")["intValue"], "404");
    assert_eq!(attribute(tags, "warren.request_id")["stringValue"], id);
    assert_eq!(attribute(tags, "client.address")["stringValue"], "127.0.0.1");
    let time = |key: &str| tags[key].as_str().unwrap().parse::<u128>().unwrap();
    assert!(time("startTimeUnixNano") <= time("endTimeUnixNano"));
    assert_eq!(attribute(strange, "url.path")["stringValue"], long[..512]);
    assert_eq!(probe["traceId"].as_str().unwrap().len(), 32);
    assert_ne!(probe["traceId"], trace);
    assert_eq!(probe.get("parentSpanId"), None);
    assert_ne!(probe["spanId"], tags["spanId"]);
}

/// A port that is not served, and one where nobody ever answers.
#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_takes_nothing_is_no_one_s_trouble() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap()
    };
    for address in [silent.local_addr().unwrap(), closed] {
        let dir = tempfile::tempdir().unwrap();
        let url = format!("http://{address}");
        let server = Running::start(dir.path(), &["--otlp-endpoint", &url]).await;
        for _ in 0..100 {
            assert_eq!(server.get("/v2/", &[]).await.status(), 200);
        }
        let text = server.get("/metrics", &[]).await;
        let text = String::from_utf8(text.body().to_vec()).unwrap();
        assert!(text.contains("warren_registry_spans_exported_total 0"), "{text}");
        server.stopped().await;
    }
}
