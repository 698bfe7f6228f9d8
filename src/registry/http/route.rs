//! Which operation of the specification a request is, and what it needs.

use axum::http::Method;

use crate::digest::Digest;
use crate::registry::access::Actions;
use crate::registry::error::{ErrorCode, RegistryError};
use crate::registry::name::RepositoryName;
use crate::registry::reference::{Reference, Tag};
use crate::registry::store::UploadId;

/// An operation below `/v2/` ("Endpoints"). Every part of the path is parsed;
/// query parameters are the handlers' own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /v2/`: is this a registry, and may I in?
    Version,
    /// `GET /v2/_catalog`
    Catalog,
    /// `GET /v2/<name>/tags/list`
    Tags(RepositoryName),
    /// `GET /v2/<name>/manifest_history/<tag>`, which Trow had
    TagHistory(RepositoryName, Tag),
    /// `GET /v2/<name>/referrers/<digest>`
    Referrers(RepositoryName, Digest),
    /// `GET|HEAD /v2/<name>/manifests/<reference>`
    PullManifest(RepositoryName, Reference),
    /// `PUT /v2/<name>/manifests/<reference>`
    PushManifest(RepositoryName, Reference),
    /// `DELETE /v2/<name>/manifests/<reference>`
    DeleteManifest(RepositoryName, Reference),
    /// `GET|HEAD /v2/<name>/blobs/<digest>`
    PullBlob(RepositoryName, Digest),
    /// `DELETE /v2/<name>/blobs/<digest>`
    DeleteBlob(RepositoryName, Digest),
    /// `POST /v2/<name>/blobs/uploads/`
    StartUpload(RepositoryName),
    /// `GET|HEAD /v2/<name>/blobs/uploads/<id>`
    UploadStatus(RepositoryName, UploadId),
    /// `PATCH /v2/<name>/blobs/uploads/<id>`
    AppendUpload(RepositoryName, UploadId),
    /// `PUT /v2/<name>/blobs/uploads/<id>`
    FinishUpload(RepositoryName, UploadId),
    /// `DELETE /v2/<name>/blobs/uploads/<id>`
    CancelUpload(RepositoryName, UploadId),
}

impl Route {
    /// Reads the method and the path as it came over the wire, still
    /// percent-encoded, from `/v2` on.
    ///
    /// # Errors
    /// `NAME_INVALID`, `DIGEST_INVALID`, `TAG_INVALID` (400) where a part of
    /// the path is malformed, `BLOB_UPLOAD_UNKNOWN` (404) for an id that no
    /// upload has, `UNSUPPORTED` (405, with `Allow`) for a method that the path
    /// doesn't have, a plain 404 for a path that is none of the registry's.
    pub fn parse(method: &Method, path: &str) -> Result<Self, RegistryError> {
        let path = decode(path)?;
        let rest = match path.strip_prefix("/v2") {
            Some("" | "/") => return read_only(method, Self::Version),
            Some(rest) => rest.strip_prefix('/').ok_or_else(no_such_path)?,
            None => return Err(no_such_path()),
        };
        if rest == "_catalog" {
            return read_only(method, Self::Catalog);
        }
        if rest.split('/').any(|segment| matches!(segment, "." | "..")) {
            return Err(RegistryError::new(ErrorCode::NameInvalid, "a path has no . or .. in it"));
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return read_only(method, Self::Tags(name.parse()?));
        }
        if let Some(name) =
            rest.strip_suffix("/blobs/uploads/").or(rest.strip_suffix("/blobs/uploads"))
        {
            let name = name.parse()?;
            return match *method {
                Method::POST => Ok(Self::StartUpload(name)),
                _ => Err(unsupported(method, "POST")),
            };
        }
        let (front, last) = rest.rsplit_once('/').ok_or_else(no_such_path)?;
        if let Some(name) = front.strip_suffix("/blobs/uploads") {
            return Self::upload(method, name.parse()?, last);
        }
        if let Some(name) = front.strip_suffix("/manifests") {
            return Self::manifest(method, name.parse()?, last);
        }
        if let Some(name) = front.strip_suffix("/blobs") {
            let (name, digest) = (name.parse()?, digest(last)?);
            return match *method {
                Method::GET | Method::HEAD => Ok(Self::PullBlob(name, digest)),
                Method::DELETE => Ok(Self::DeleteBlob(name, digest)),
                _ => Err(unsupported(method, "GET, HEAD, DELETE")),
            };
        }
        if let Some(name) = front.strip_suffix("/manifest_history") {
            return read_only(method, Self::TagHistory(name.parse()?, last.parse()?));
        }
        if let Some(name) = front.strip_suffix("/referrers") {
            return read_only(method, Self::Referrers(name.parse()?, digest(last)?));
        }
        Err(misplaced(rest))
    }

    /// The repository that the operation is about, and what it does to it: the
    /// parts of a token scope. Pushing reads too, as its clients expect.
    #[must_use]
    pub fn access(&self) -> (Option<&RepositoryName>, Actions) {
        let push = Actions::PULL | Actions::PUSH;
        match self {
            Self::Version | Self::Catalog => (None, Actions::NONE),
            Self::Tags(name)
            | Self::TagHistory(name, _)
            | Self::Referrers(name, _)
            | Self::PullManifest(name, _)
            | Self::PullBlob(name, _) => (Some(name), Actions::PULL),
            Self::PushManifest(name, _)
            | Self::StartUpload(name)
            | Self::UploadStatus(name, _)
            | Self::AppendUpload(name, _)
            | Self::FinishUpload(name, _)
            | Self::CancelUpload(name, _) => (Some(name), push),
            Self::DeleteManifest(name, _) | Self::DeleteBlob(name, _) => {
                (Some(name), Actions::DELETE)
            }
        }
    }

    fn upload(method: &Method, name: RepositoryName, id: &str) -> Result<Self, RegistryError> {
        let id = id.parse().map_err(|_| {
            RegistryError::new(ErrorCode::BlobUploadUnknown, "there is no such upload")
        })?;
        match *method {
            Method::GET | Method::HEAD => Ok(Self::UploadStatus(name, id)),
            Method::PATCH => Ok(Self::AppendUpload(name, id)),
            Method::PUT => Ok(Self::FinishUpload(name, id)),
            Method::DELETE => Ok(Self::CancelUpload(name, id)),
            _ => Err(unsupported(method, "GET, HEAD, PATCH, PUT, DELETE")),
        }
    }

    fn manifest(method: &Method, name: RepositoryName, text: &str) -> Result<Self, RegistryError> {
        let reference = text.parse()?;
        match *method {
            Method::GET | Method::HEAD => Ok(Self::PullManifest(name, reference)),
            Method::PUT => Ok(Self::PushManifest(name, reference)),
            Method::DELETE => Ok(Self::DeleteManifest(name, reference)),
            _ => Err(unsupported(method, "GET, HEAD, PUT, DELETE")),
        }
    }
}

/// Undoes percent-encoding, but only of characters that can stand in a name,
/// a tag, a digest or an upload id: an encoded slash or control character has
/// no business in a path of the registry.
fn decode(path: &str) -> Result<String, RegistryError> {
    let refused = || {
        RegistryError::new(
            ErrorCode::NameInvalid,
            "a path holds only letters, digits, and the characters - . _ : /",
        )
    };
    let mut bytes = path.bytes();
    let mut decoded = String::with_capacity(path.len());
    while let Some(byte) = bytes.next() {
        let plain = if byte == b'%' {
            let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
            let (high, low) = (digit(bytes.next()), digit(bytes.next()));
            let code = high.zip(low).map(|(high, low)| high * 16 + low);
            code.and_then(|code| u8::try_from(code).ok()).filter(|byte| *byte != b'/')
        } else {
            Some(byte)
        };
        match plain {
            Some(byte) if byte.is_ascii_alphanumeric() || b"-._:/".contains(&byte) => {
                decoded.push(char::from(byte));
            }
            _ => return Err(refused()),
        }
    }
    Ok(decoded)
}

fn digest(text: &str) -> Result<Digest, RegistryError> {
    text.parse().map_err(|error: crate::digest::DigestError| {
        RegistryError::new(ErrorCode::DigestInvalid, error.to_string())
    })
}

fn read_only(method: &Method, route: Route) -> Result<Route, RegistryError> {
    match *method {
        Method::GET | Method::HEAD => Ok(route),
        _ => Err(unsupported(method, "GET, HEAD")),
    }
}

/// A method that a path doesn't have, with those that it has (RFC 9110, 15.5.6).
fn unsupported(method: &Method, allowed: &str) -> RegistryError {
    RegistryError::new(ErrorCode::Unsupported, format!("this path has no {method}"))
        .with_header("allow", allowed)
}

fn no_such_path() -> RegistryError {
    RegistryError::new(ErrorCode::NameUnknown, "the registry has no such path")
}

/// A path of no operation: where a slash slipped into a digest or a reference,
/// the client is told about that.
fn misplaced(rest: &str) -> RegistryError {
    if rest.contains("/blobs/") || rest.contains("/referrers/") {
        RegistryError::new(ErrorCode::DigestInvalid, "a digest is written algorithm:hex")
    } else if rest.contains("/manifests/") {
        RegistryError::new(ErrorCode::ManifestInvalid, "a manifest has a tag or a digest")
            .with_status(400)
    } else {
        no_such_path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get(path: &str) -> Result<Route, RegistryError> {
        Route::parse(&Method::GET, path)
    }

    fn name(text: &str) -> RepositoryName {
        text.parse().unwrap()
    }

    #[test]
    fn every_operation_has_its_route() {
        let digest = Digest::sha256(b"");
        let latest: Reference = "latest".parse().unwrap();
        assert_eq!(get("/v2").unwrap(), Route::Version);
        assert_eq!(get("/v2/").unwrap(), Route::Version);
        assert_eq!(get("/v2/_catalog").unwrap(), Route::Catalog);
        assert_eq!(get("/v2/a/b/tags/list").unwrap(), Route::Tags(name("a/b")));
        assert_eq!(
            get("/v2/a/manifests/latest").unwrap(),
            Route::PullManifest(name("a"), latest.clone())
        );
        assert_eq!(
            get(&format!("/v2/a/blobs/{}", digest.to_string().replace(':', "%3A"))).unwrap(),
            Route::PullBlob(name("a"), digest.clone())
        );
        assert_eq!(
            get(&format!("/v2/a/referrers/{digest}")).unwrap(),
            Route::Referrers(name("a"), digest)
        );
        for path in ["/v2/a/blobs/uploads/", "/v2/a/blobs/uploads"] {
            let route = Route::parse(&Method::POST, path).unwrap();
            assert_eq!(route, Route::StartUpload(name("a")));
            assert_eq!(route.access(), (Some(&name("a")), Actions::PULL | Actions::PUSH));
        }
        assert_eq!(
            get("/v2/a/blobs/uploads/manifests/latest").unwrap(),
            Route::PullManifest(name("a/blobs/uploads"), latest)
        );
    }

    #[test]
    fn a_path_that_is_no_path_of_ours_is_refused() {
        for (path, status, code) in [
            ("/v2/../etc/manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2/%2e%2e/manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2/a%2fb/manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2/a%00/manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2/a%/manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2/a%e9/manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2//manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2/A/manifests/x", 400, ErrorCode::NameInvalid),
            ("/v2/a/blobs/sha256:..", 400, ErrorCode::DigestInvalid),
            ("/v2/a/blobs/sha256:../x", 400, ErrorCode::DigestInvalid),
            ("/v2/a/blobs/../../x", 400, ErrorCode::NameInvalid),
            ("/v2/a/manifests/sha256:x", 400, ErrorCode::DigestInvalid),
            ("/v2/a/manifests/.x", 400, ErrorCode::TagInvalid),
            ("/v2/a/blobs/uploads/nonsense", 404, ErrorCode::BlobUploadUnknown),
            ("/v2/a", 404, ErrorCode::NameUnknown),
            ("/v2x", 404, ErrorCode::NameUnknown),
            ("/other", 404, ErrorCode::NameUnknown),
        ] {
            let error = get(path).unwrap_err();
            assert_eq!((error.status(), error.code()), (status, code), "{path}");
        }
    }

    #[test]
    fn a_method_that_a_path_lacks_is_refused_with_those_that_it_has() {
        let (digest, id) = (Digest::sha256(b""), "0".repeat(32));
        for (path, allowed) in [
            ("/v2/", "GET, HEAD"),
            ("/v2/_catalog", "GET, HEAD"),
            ("/v2/a/tags/list", "GET, HEAD"),
            ("/v2/a/manifest_history/x", "GET, HEAD"),
            (&*format!("/v2/a/referrers/{digest}"), "GET, HEAD"),
            ("/v2/a/manifests/x", "GET, HEAD, PUT, DELETE"),
            (&*format!("/v2/a/blobs/{digest}"), "GET, HEAD, DELETE"),
            ("/v2/a/blobs/uploads/", "POST"),
            (&*format!("/v2/a/blobs/uploads/{id}"), "GET, HEAD, PATCH, PUT, DELETE"),
        ] {
            let every = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
            for method in every {
                let parsed = Route::parse(&method.parse().unwrap(), path);
                if allowed.split(", ").any(|name| name == method) {
                    parsed.unwrap();
                    continue;
                }
                let error = parsed.unwrap_err();
                assert_eq!((error.status(), error.code()), (405, ErrorCode::Unsupported));
                let allow = ("allow", allowed.to_owned());
                assert_eq!(error.headers(), [allow], "{method} {path}");
            }
        }
    }
}
