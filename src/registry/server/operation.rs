//! Which operation a request is for the metrics: a glance at its path, without
//! the care of [`Route`](crate::registry::http::Route).

use axum::http;

use crate::registry::metrics::{Method, Operation};

/// The operation of a method and a path.
#[must_use]
pub fn operation(method: &http::Method, path: &str) -> Operation {
    let Some(rest) = path.strip_prefix("/v2") else {
        return match path {
            "/" => Operation::Page,
            "/healthz" | "/readiness" => Operation::Probe,
            "/metrics" => Operation::Metrics,
            "/login" => Operation::Login,
            "/validate-image" => Operation::Validate,
            _ if path.contains("/manifest_history/") => Operation::Tags,
            _ => Operation::Other,
        };
    };
    match rest {
        "" | "/" => return Operation::Version,
        "/_catalog" => return Operation::Catalog,
        _ if rest.ends_with("/tags/list") => return Operation::Tags,
        _ if rest.ends_with("/blobs/uploads") => return upload(method, true),
        _ => {}
    }
    let Some((front, last)) = rest.rsplit_once('/') else { return Operation::Other };
    if front.ends_with("/blobs/uploads") {
        upload(method, last.is_empty())
    } else if front.ends_with("/manifests") {
        match *method {
            http::Method::GET | http::Method::HEAD => Operation::PullManifest,
            http::Method::PUT => Operation::PushManifest,
            http::Method::DELETE => Operation::DeleteManifest,
            _ => Operation::Other,
        }
    } else if front.ends_with("/blobs") {
        match *method {
            http::Method::GET | http::Method::HEAD => Operation::PullBlob,
            http::Method::DELETE => Operation::DeleteBlob,
            _ => Operation::Other,
        }
    } else if front.ends_with("/referrers") {
        Operation::Referrers
    } else {
        Operation::Other
    }
}

fn upload(method: &http::Method, start: bool) -> Operation {
    match *method {
        http::Method::POST if start => Operation::StartUpload,
        http::Method::GET | http::Method::HEAD if !start => Operation::UploadStatus,
        http::Method::PATCH if !start => Operation::AppendUpload,
        http::Method::PUT if !start => Operation::FinishUpload,
        http::Method::DELETE if !start => Operation::CancelUpload,
        _ => Operation::Other,
    }
}

/// The method as a label.
#[must_use]
pub fn method(method: &http::Method) -> Method {
    match *method {
        http::Method::GET => Method::Get,
        http::Method::HEAD => Method::Head,
        http::Method::POST => Method::Post,
        http::Method::PUT => Method::Put,
        http::Method::PATCH => Method::Patch,
        http::Method::DELETE => Method::Delete,
        http::Method::OPTIONS => Method::Options,
        _ => Method::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_is_seen() {
        let of = |line: &str| {
            let (method, path) = line.split_once(' ').unwrap();
            operation(&method.parse().unwrap(), path).name()
        };
        for (line, expected) in [
            ("GET /", "page"),
            ("GET /healthz", "probe"),
            ("GET /v2", "version"),
            ("GET /v2/", "version"),
            ("GET /v2/_catalog", "catalog"),
            ("GET /v2/a/b/tags/list", "tags"),
            ("GET /v2/a/b/manifests/latest", "pull_manifest"),
            ("HEAD /v2/a/manifests/sha256:0", "pull_manifest"),
            ("PUT /v2/a/manifests/x", "push_manifest"),
            ("DELETE /v2/a/manifests/x", "delete_manifest"),
            ("GET /v2/a/blobs/sha256:0", "pull_blob"),
            ("DELETE /v2/a/blobs/sha256:0", "delete_blob"),
            ("POST /v2/a/blobs/uploads/", "start_upload"),
            ("POST /v2/a/blobs/uploads", "start_upload"),
            ("GET /v2/a/blobs/uploads/1", "upload_status"),
            ("PATCH /v2/a/blobs/uploads/1", "append_upload"),
            ("PUT /v2/a/blobs/uploads/1", "finish_upload"),
            ("DELETE /v2/a/blobs/uploads/1", "cancel_upload"),
            ("GET /v2/a/referrers/sha256:0", "referrers"),
            ("BREW /v2/a/manifests/x", "other"),
            ("GET /v2/a", "other"),
            ("GET /favicon.ico", "other"),
        ] {
            assert_eq!(of(line), expected, "{line}");
        }
    }
}
