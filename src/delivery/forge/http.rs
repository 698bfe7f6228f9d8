//! Requests to a forge's API.

use std::time::Duration;

use serde_json::Value;
use ureq::http::{Method, StatusCode};
use ureq::tls::TlsConfig;

use super::{Kind, Pull};
use crate::pipeline::fetch::{at_same_origin, root_certificates};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(30);

/// How many times a request is sent elsewhere at most.
const MOVES: usize = 4;

/// Why a forge has no pull request of ours.
#[derive(Debug, thiserror::Error)]
pub enum ForgeError {
    /// It was not reached.
    #[error("{url} can't be reached: {reason}")]
    Unreachable {
        /// What was asked.
        url: String,
        /// What went wrong.
        reason: String,
    },
    /// It refused.
    #[error("{method} {url} was answered {status}: {reason}")]
    Refused {
        /// How it was asked.
        method: String,
        /// What was asked.
        url: String,
        /// The status of HTTP.
        status: u16,
        /// What it said.
        reason: String,
    },
    /// It answered something else than its API says.
    #[error("{url} answered something that is no pull request: {reason}")]
    Answer {
        /// What was asked.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl ForgeError {
    /// The way out, where there is a known one.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Refused { status: 401, .. } => {
                Some("the token is wrong or has expired: make a new one, as WARREN_FORGE_TOKEN")
            }
            Self::Refused { status: 403, .. } => {
                Some("the token needs the right to read and write pull requests")
            }
            Self::Refused { status: 404, .. } => Some(
                "either there is no such repository, or the token may not see it; --api names the \
                 forge's API and --forge its kind",
            ),
            Self::Refused { status: 300..=399, .. } => Some(
                "the repository has another address now: give it to git remote set-url, or the \
                 API's to --api",
            ),
            Self::Answer { .. } => Some("is it the forge that --forge names, at --api?"),
            _ => None,
        }
    }
}

/// A forge's API.
#[derive(Debug)]
pub(super) struct Http {
    kind: Kind,
    api: String,
    authorization: Secret,
    agent: ureq::Agent,
}

struct Secret(String);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl Http {
    pub(super) fn new(kind: Kind, api: &str, token: &str) -> Self {
        let authorization = match kind {
            Kind::Github | Kind::Gitlab => format!("Bearer {token}"),
            Kind::Gitea | Kind::Forgejo => format!("token {token}"),
        };
        let agent = ureq::Agent::config_builder()
            .http_status_as_error(false)
            // Followed below: the token must not go to another host.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .timeout_global(Some(LIMIT))
            .tls_config(TlsConfig::builder().root_certs(root_certificates()).build())
            .build()
            .new_agent();
        Self { kind, api: api.to_owned(), authorization: Secret(authorization), agent }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, ForgeError> {
        self.send(&Method::GET, path, None)
    }

    pub(super) fn send(
        &self,
        method: &Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Value, ForgeError> {
        let mut url = format!("{}{path}", self.api);
        let body = body.map(Value::to_string).unwrap_or_default();
        // A repository that was renamed is answered for at its number: GitHub's API says
        // to ask there, in the same way.
        for _ in 0..MOVES {
            let (status, location, text) = self.ask(method, &url, &body)?;
            if status.is_redirection()
                && let Some(next) = location.and_then(|location| at_same_origin(&url, &location))
            {
                url = next;
                continue;
            }
            let answer: Option<Value> = serde_json::from_str(&text).ok();
            if status.is_success() {
                let begins: String = text.chars().take(40).collect();
                let reason = format!("it is no JSON, and begins with {begins:?}");
                return answer.ok_or(ForgeError::Answer { url, reason });
            }
            let (method, reason) = (method.to_string(), reason(status, answer.as_ref()));
            return Err(ForgeError::Refused { method, url, status: status.as_u16(), reason });
        }
        let reason = format!("it was sent elsewhere {MOVES} times");
        Err(ForgeError::Unreachable { url, reason })
    }

    /// One request: the status, where it sends us, and the body of its answer.
    fn ask(
        &self,
        method: &Method,
        url: &str,
        body: &str,
    ) -> Result<(StatusCode, Option<String>, String), ForgeError> {
        let unreachable = |reason: String| ForgeError::Unreachable { url: url.to_owned(), reason };
        let accept = match self.kind {
            Kind::Github => "application/vnd.github+json",
            _ => "application/json",
        };
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(url)
            .header("Authorization", &self.authorization.0)
            .header("Accept", accept)
            .header("Content-Type", "application/json")
            .header("User-Agent", "warren")
            .body(body.to_owned())
            .map_err(|error| unreachable(error.to_string()))?;
        let mut response =
            self.agent.run(request).map_err(|error| unreachable(error.to_string()))?;
        let location = response.headers().get("location").and_then(|value| value.to_str().ok());
        let location = location.map(str::to_owned);
        let status = response.status();
        let text =
            response.body_mut().read_to_string().map_err(|error| unreachable(error.to_string()))?;
        Ok((status, location, text))
    }

    /// The pull request in an answer to this path, by the names of its fields.
    pub(super) fn pull(
        &self,
        path: &str,
        answer: &Value,
        [number, url, body]: [&str; 3],
    ) -> Result<Pull, ForgeError> {
        let text = |key: &str| answer.get(key).and_then(Value::as_str).unwrap_or_default();
        match answer.get(number).and_then(Value::as_u64) {
            Some(number) => Ok(Pull {
                number,
                url: text(url).to_owned(),
                title: text("title").to_owned(),
                body: text(body).to_owned(),
            }),
            None => Err(ForgeError::Answer {
                url: format!("{}{path}", self.api),
                reason: format!("it has no `{number}`"),
            }),
        }
    }

    /// The pull requests in an answer to this path.
    pub(super) fn list<'a>(
        &self,
        path: &str,
        answer: &'a Value,
    ) -> Result<&'a Vec<Value>, ForgeError> {
        answer.as_array().ok_or_else(|| ForgeError::Answer {
            url: format!("{}{path}", self.api),
            reason: "it is no list".to_owned(),
        })
    }
}

/// What a forge says of its refusal.
fn reason(status: StatusCode, answer: Option<&Value>) -> String {
    let message = answer.and_then(|answer| answer.get("message").or_else(|| answer.get("error")));
    let mut text = match message {
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
        None => status.canonical_reason().unwrap_or_default().to_owned(),
    };
    let errors = answer.and_then(|answer| answer.get("errors")).and_then(Value::as_array);
    for error in errors.into_iter().flatten() {
        let more = error.get("message").unwrap_or(error);
        text = format!("{text}; {}", more.as_str().map_or_else(|| more.to_string(), str::to_owned));
    }
    text
}
