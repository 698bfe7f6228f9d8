//! One client of one registry.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use ureq::http::{Method, Request, Response};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};
use ureq::{Agent, Body};

use super::challenge::Challenge;
use crate::digest::Digest;

/// A user and the password.
#[derive(Clone)]
pub struct Credentials {
    /// The login name.
    pub user: String,
    /// The password. Never printed.
    pub password: String,
}

/// Which authorities a client trusts.
pub enum Trust {
    /// The public ones.
    Public,
    /// Those in this PEM text, and no other.
    Authority(String),
}

/// Why a registry could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// No answer came.
    #[error("{method} {url}: {source}")]
    Transport {
        /// The HTTP method.
        method: Method,
        /// The whole URL.
        url: String,
        /// What the transport said.
        source: Box<ureq::Error>,
    },
    /// The answer was not the one that the specification asks for.
    #[error("{method} {url}: expected {expected}, got {found}{message}")]
    Answer {
        /// The HTTP method.
        method: Method,
        /// The whole URL.
        url: String,
        /// What should have come.
        expected: String,
        /// What came.
        found: String,
        /// What the registry said of it, after a colon; or nothing.
        message: String,
    },
    /// Content under a digest is other content.
    #[error("{url} gave {found} under {expected}")]
    Content {
        /// The whole URL.
        url: String,
        /// The digest that was asked for.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// The trusted authority's PEM is none.
    #[error("the authority to trust is not a PEM certificate: {0}")]
    Authority(String),
}

/// A manifest as the registry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// Its media type.
    pub media_type: String,
    /// Its bytes, unchanged.
    pub bytes: Vec<u8>,
}

/// A client of one registry. It keeps the tokens that it was given.
pub struct Client {
    agent: Agent,
    base: String,
    credentials: Option<Credentials>,
    tokens: Mutex<HashMap<String, String>>,
}

/// Media types that a pull accepts.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, \
     application/vnd.oci.image.manifest.v1+json, \
     application/vnd.docker.distribution.manifest.list.v2+json, \
     application/vnd.docker.distribution.manifest.v2+json";

/// No answer is longer than this in memory: 64 MiB.
const LARGEST_ANSWER: u64 = 64 << 20;

impl Client {
    /// A client of the registry at `base`, such as `https://registry.example:8443`.
    /// With `dial`, the host's name is not looked up: that address is used.
    ///
    /// # Errors
    /// When the authority to trust is not a PEM certificate.
    pub fn new(
        base: &str,
        credentials: Option<Credentials>,
        trust: &Trust,
        dial: Option<SocketAddr>,
    ) -> Result<Self, ClientError> {
        let roots = match trust {
            Trust::Public => RootCerts::WebPki,
            Trust::Authority(pem) => {
                let mut reader = pem.as_bytes();
                let certificates = rustls_pemfile::certs(&mut reader)
                    .map(|found| found.map(|der| Certificate::from_der(&der).to_owned()))
                    .collect::<Result<Vec<_>, _>>();
                match certificates {
                    Ok(found) if !found.is_empty() => RootCerts::Specific(Arc::new(found)),
                    Ok(_) => return Err(ClientError::Authority("there is none in it".to_owned())),
                    Err(error) => return Err(ClientError::Authority(error.to_string())),
                }
            }
        };
        let mut config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(3)
            .timeout_connect(Some(Duration::from_secs(10)))
            .timeout_recv_response(Some(Duration::from_mins(1)))
            .tls_config(TlsConfig::builder().root_certs(roots).build());
        if dial.is_some() {
            config = config.proxy(None);
        }
        let config = config.build();
        let agent = match dial {
            Some(address) => Agent::with_parts(config, DefaultConnector::default(), Dial(address)),
            None => Agent::new_with_config(config),
        };
        let base = base.trim_end_matches('/').to_owned();
        Ok(Self { agent, base, credentials, tokens: Mutex::default() })
    }

    /// Logs in as `podman login` does: the base endpoint must answer 200.
    ///
    /// # Errors
    /// When the registry refuses the credentials or does not answer.
    pub fn login(&self) -> Result<(), ClientError> {
        self.call(&Method::GET, "/v2/", "", &[], None, &[200]).map(drop)
    }

    /// Pushes a blob in one POST and one PUT, and returns its digest.
    ///
    /// # Errors
    /// When the registry refuses it or does not answer.
    pub fn push_blob(&self, repository: &str, bytes: &[u8]) -> Result<Digest, ClientError> {
        let digest = Digest::sha256(bytes);
        let scope = format!("repository:{repository}:pull,push");
        let path = format!("/v2/{repository}/blobs/uploads/");
        let started = self.call(&Method::POST, &path, &scope, &[], Some(b""), &[202])?;
        let location = header(&started, "location").ok_or_else(|| {
            self.unexpected(&Method::POST, &path, "a Location", "none", String::new())
        })?;
        let path = location.strip_prefix(&self.base).unwrap_or(&location);
        let joint = if path.contains('?') { '&' } else { '?' };
        let path = format!("{path}{joint}digest={digest}");
        let kind = [("Content-Type", "application/octet-stream")];
        self.call(&Method::PUT, &path, &scope, &kind, Some(bytes), &[201])?;
        Ok(digest)
    }

    /// Pushes a manifest under a tag or digest and returns the digest that the
    /// registry says it has.
    ///
    /// # Errors
    /// When the registry refuses it, names another digest, or does not answer.
    pub fn push_manifest(
        &self,
        repository: &str,
        reference: &str,
        manifest: &Manifest,
    ) -> Result<Digest, ClientError> {
        let scope = format!("repository:{repository}:pull,push");
        let path = format!("/v2/{repository}/manifests/{reference}");
        let kind = [("Content-Type", manifest.media_type.as_str())];
        let answer =
            self.call(&Method::PUT, &path, &scope, &kind, Some(&manifest.bytes), &[201])?;
        let found = self.digest_of(&Method::PUT, &path, &answer)?;
        let expected = Digest::sha256(&manifest.bytes);
        if found == expected {
            return Ok(found);
        }
        Err(ClientError::Content { url: format!("{}{path}", self.base), expected, found })
    }

    /// The digest under a tag, without its content.
    ///
    /// # Errors
    /// When there is no such tag or the registry does not answer.
    pub fn resolve(&self, repository: &str, tag: &str) -> Result<Digest, ClientError> {
        let scope = format!("repository:{repository}:pull");
        let path = format!("/v2/{repository}/manifests/{tag}");
        let accept = [("Accept", MANIFESTS)];
        let answer = self.call(&Method::HEAD, &path, &scope, &accept, None, &[200])?;
        self.digest_of(&Method::HEAD, &path, &answer)
    }

    /// Pulls a manifest by tag or digest; by digest, its content is verified.
    ///
    /// # Errors
    /// When it is not there, is other content, or the registry does not answer.
    pub fn pull_manifest(
        &self,
        repository: &str,
        reference: &str,
    ) -> Result<Manifest, ClientError> {
        let scope = format!("repository:{repository}:pull");
        let path = format!("/v2/{repository}/manifests/{reference}");
        let accept = [("Accept", MANIFESTS)];
        let answer = self.call(&Method::GET, &path, &scope, &accept, None, &[200])?;
        let media_type = header(&answer, "content-type").unwrap_or_default();
        let bytes = self.body(&Method::GET, &path, answer)?;
        if let Ok(expected) = reference.parse() {
            self.same(&path, &expected, &bytes)?;
        }
        Ok(Manifest { media_type, bytes })
    }

    /// Pulls a blob and verifies it.
    ///
    /// # Errors
    /// When it is not there, is other content, or the registry does not answer.
    pub fn pull_blob(&self, repository: &str, digest: &Digest) -> Result<Vec<u8>, ClientError> {
        let scope = format!("repository:{repository}:pull");
        let path = format!("/v2/{repository}/blobs/{digest}");
        let answer = self.call(&Method::GET, &path, &scope, &[], None, &[200])?;
        let bytes = self.body(&Method::GET, &path, answer)?;
        self.same(&path, digest, &bytes)?;
        Ok(bytes)
    }

    /// Deletes a manifest by its digest. Whether the registry lets us: one
    /// that does not delete, or not for this user, answers 403 or 405.
    ///
    /// # Errors
    /// When it answers something else, or not.
    pub fn delete_manifest(&self, repository: &str, digest: &Digest) -> Result<bool, ClientError> {
        let scope = format!("repository:{repository}:delete,pull");
        let path = format!("/v2/{repository}/manifests/{digest}");
        let expected = [202, 401, 403, 405];
        let answer = self.call(&Method::DELETE, &path, &scope, &[], None, &expected)?;
        Ok(answer.status() == 202)
    }

    /// Where the registry's host sends a request over plain HTTP on port 80;
    /// `None` where it answers without a redirect.
    ///
    /// # Errors
    /// When nothing answers there.
    pub fn redirect(&self, host: &str) -> Result<Option<String>, ClientError> {
        let url = format!("http://{host}/v2/");
        let request = self.agent.get(&url).config().max_redirects(0).build();
        let answer = request.call().map_err(|error| self.transport(&Method::GET, &url, error))?;
        Ok(header(&answer, "location").filter(|_| answer.status().is_redirection()))
    }

    fn same(&self, path: &str, expected: &Digest, bytes: &[u8]) -> Result<(), ClientError> {
        let found = Digest::of(expected.algorithm(), bytes);
        if found == *expected {
            return Ok(());
        }
        let (url, expected) = (format!("{}{path}", self.base), expected.clone());
        Err(ClientError::Content { url, expected, found })
    }

    fn digest_of(
        &self,
        method: &Method,
        path: &str,
        answer: &Response<Body>,
    ) -> Result<Digest, ClientError> {
        let found = header(answer, "docker-content-digest").unwrap_or_default();
        found.parse().map_err(|_| {
            self.unexpected(method, path, "a Docker-Content-Digest", &found, String::new())
        })
    }

    /// One request: sent with what is known, and once more when challenged.
    fn call(
        &self,
        method: &Method,
        path: &str,
        scope: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
        expected: &[u16],
    ) -> Result<Response<Body>, ClientError> {
        let mut answer = self.send(method, path, headers, body, self.known(scope))?;
        if answer.status() == 401
            && let Some(authorization) = self.meet(&answer, scope)?
        {
            answer = self.send(method, path, headers, body, Some(authorization))?;
        }
        if expected.contains(&answer.status().as_u16()) {
            return Ok(answer);
        }
        let found = answer.status().to_string();
        let expected: Vec<_> = expected.iter().map(u16::to_string).collect();
        let text = answer.body_mut().with_config().limit(64 << 10).read_to_string();
        Err(self.unexpected(method, path, &expected.join(" or "), &found, said(text)))
    }

    fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Option<&[u8]>,
        authorization: Option<String>,
    ) -> Result<Response<Body>, ClientError> {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.into() };
        let mut request = Request::builder().method(method.clone()).uri(&url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some(authorization) = authorization {
            request = request.header("Authorization", authorization);
        }
        let result = match body {
            Some(bytes) => {
                request.body(bytes).map_err(ureq::Error::from).and_then(|r| self.agent.run(r))
            }
            None => request.body(()).map_err(ureq::Error::from).and_then(|r| self.agent.run(r)),
        };
        result.map_err(|error| self.transport(method, &url, error))
    }

    /// The authorization that an earlier challenge of this scope led to.
    fn known(&self, scope: &str) -> Option<String> {
        self.tokens.lock().unwrap_or_else(PoisonError::into_inner).get(scope).cloned()
    }

    /// Does what the challenge asks for; `None` where we can't.
    fn meet(&self, answer: &Response<Body>, scope: &str) -> Result<Option<String>, ClientError> {
        let challenges = answer.headers().get_all("www-authenticate");
        let challenge =
            challenges.iter().filter_map(|value| value.to_str().ok()).find_map(Challenge::parse);
        let authorization = match (challenge, &self.credentials) {
            (Some(Challenge::Basic), Some(credentials)) => Some(basic(credentials)),
            (Some(Challenge::Bearer { realm, service, .. }), credentials) => {
                let service = escape(&service.unwrap_or_default());
                let joint = if realm.contains('?') { '&' } else { '?' };
                let mut url = format!("{realm}{joint}service={service}");
                if !scope.is_empty() {
                    url = format!("{url}&scope={}", escape(scope));
                }
                // A realm on another host gets no password of ours: whoever
                // answers for the registry could have named any.
                let ours = authority(&url) == authority(&self.base);
                let with = credentials.as_ref().filter(|_| ours).map(basic);
                let answer = self.send(&Method::GET, &url, &[], None, with)?;
                if answer.status() != 200 {
                    let found = answer.status().to_string();
                    return Err(self.unexpected(&Method::GET, &url, "200", &found, String::new()));
                }
                let bytes = self.body(&Method::GET, &url, answer)?;
                token(&bytes).map(|token| format!("Bearer {token}"))
            }
            _ => None,
        };
        if let Some(authorization) = &authorization {
            let mut tokens = self.tokens.lock().unwrap_or_else(PoisonError::into_inner);
            tokens.insert(scope.to_owned(), authorization.clone());
        }
        Ok(authorization)
    }

    fn body(
        &self,
        method: &Method,
        path: &str,
        mut answer: Response<Body>,
    ) -> Result<Vec<u8>, ClientError> {
        let read = answer.body_mut().with_config().limit(LARGEST_ANSWER).read_to_vec();
        read.map_err(|error| self.transport(method, path, error))
    }

    #[allow(clippy::unused_self, reason = "it stands beside `unexpected`")]
    fn transport(&self, method: &Method, url: &str, error: ureq::Error) -> ClientError {
        let (method, url) = (method.clone(), url.to_owned());
        ClientError::Transport { method, url, source: Box::new(error) }
    }

    fn unexpected(
        &self,
        method: &Method,
        path: &str,
        expected: &str,
        found: &str,
        message: String,
    ) -> ClientError {
        let url = if path.starts_with('/') { format!("{}{path}", self.base) } else { path.into() };
        let (expected, found) = (expected.to_owned(), found.to_owned());
        ClientError::Answer { method: method.clone(), url, expected, found, message }
    }
}

/// Answers every look-up with one address.
#[derive(Debug)]
struct Dial(SocketAddr);

impl Resolver for Dial {
    fn resolve(
        &self,
        _uri: &ureq::http::Uri,
        _config: &ureq::config::Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

fn header(answer: &Response<Body>, name: &str) -> Option<String> {
    answer.headers().get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}

/// Scheme, host and port of a URL; the port is the scheme's own where none is
/// named.
fn authority(url: &str) -> Option<(String, String, u16)> {
    let uri: ureq::http::Uri = url.parse().ok()?;
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let port = uri.port_u16().unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, uri.host()?.to_ascii_lowercase(), port))
}

fn basic(credentials: &Credentials) -> String {
    let pair = format!("{}:{}", credentials.user, credentials.password);
    format!("Basic {}", BASE64.encode(pair))
}

/// The token of a token endpoint's answer; it has two names.
fn token(bytes: &[u8]) -> Option<String> {
    let value: serde_json::Value = serde_json::from_slice(bytes).ok()?;
    let token = value.get("token").or_else(|| value.get("access_token"))?;
    token.as_str().map(str::to_owned)
}

/// What the registry said of an error: the first entry of its `errors`.
fn said(text: Result<String, ureq::Error>) -> String {
    let value: serde_json::Value =
        text.ok().and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default();
    let error = &value["errors"][0];
    match (error["code"].as_str(), error["message"].as_str()) {
        (Some(code), Some(message)) => format!(" ({code}: {message})"),
        (Some(code), None) => format!(" ({code})"),
        _ => String::new(),
    }
}

/// What stays as it is in a query value of ours: what is unreserved (RFC 3986,
/// 2.3), and what scopes are made of.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'/')
    .remove(b',');

/// Percent-encodes a query value.
fn escape(text: &str) -> String {
    utf8_percent_encode(text, QUERY).to_string()
}

#[cfg(test)]
mod tests {
    use super::authority;

    #[test]
    fn a_port_that_goes_without_saying_is_the_same() {
        assert_eq!(authority("https://Reg.example/x"), authority("https://reg.example:443/y"));
        assert_eq!(authority("http://reg.example"), authority("http://reg.example:80"));
        assert_ne!(authority("https://reg.example"), authority("http://reg.example:443"));
        assert_ne!(authority("https://reg.example"), authority("https://reg.example:8443"));
        assert_ne!(authority("https://reg.example"), authority("https://reg.example.evil"));
    }
}
