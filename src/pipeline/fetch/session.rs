//! The HTTP exchanges of one fetch or push: limits, redirects, and the error that the
//! way through libgit2 would lose.

use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use ureq::http::{Method, Request, Response, Uri, header};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use super::address::Address;
use super::budget::Budget;
use super::error::FetchError;
use super::redirect::{self, Refusal};

/// How often a redirect is followed.
const REDIRECTS: usize = 5;

/// The requests of a fetch, and those of a push.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Which refs are there, to fetch.
    Refs,
    /// Send the objects.
    Pack,
    /// Which refs are there, to push.
    PushRefs,
    /// Take the objects.
    Push,
}

impl Step {
    fn path(self) -> &'static str {
        match self {
            Self::Refs => "/info/refs?service=git-upload-pack",
            Self::Pack => "/git-upload-pack",
            Self::PushRefs => "/info/refs?service=git-receive-pack",
            Self::Push => "/git-receive-pack",
        }
    }

    fn answer(self) -> &'static str {
        match self {
            Self::Refs => "application/x-git-upload-pack-advertisement",
            Self::Pack => "application/x-git-upload-pack-result",
            Self::PushRefs => "application/x-git-receive-pack-advertisement",
            Self::Push => "application/x-git-receive-pack-result",
        }
    }

    /// The type of what is sent; nothing is sent to ask for refs.
    fn request(self) -> Option<&'static str> {
        match self {
            Self::Refs | Self::PushRefs => None,
            Self::Pack => Some("application/x-git-upload-pack-request"),
            Self::Push => Some("application/x-git-receive-pack-request"),
        }
    }

    /// Whether it is the first request of an exchange.
    fn is_first(self) -> bool {
        self.request().is_none()
    }
}

/// One fetch from one source, or one push to it.
#[derive(Debug)]
pub(super) struct Session {
    address: Address,
    budget: Arc<Budget>,
    /// For the first answer of this source.
    reach: Duration,
    agent: ureq::Agent,
    /// The url in front of a step's path; a redirect moves it.
    base: Mutex<String>,
    error: Mutex<Option<FetchError>>,
    received: AtomicU64,
}

impl Session {
    /// A session with `address`, which may take `reach` to give its first answer.
    pub(super) fn new(address: Address, budget: Arc<Budget>, reach: Duration) -> Arc<Self> {
        let agent = agent(&address, &budget);
        let base = Mutex::new(address.url().to_owned());
        let error = Mutex::new(None);
        Arc::new(Self { address, budget, reach, agent, base, error, received: AtomicU64::new(0) })
    }

    /// The error that ended the session, if it was one of HTTP.
    pub(super) fn take_error(&self) -> Option<FetchError> {
        self.error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Makes the request and gives the answer's body.
    pub(super) fn open(self: &Arc<Self>, step: Step, body: &[u8]) -> io::Result<Answer> {
        match self.exchange(step, body) {
            Ok(response) => {
                let body = response.into_body().into_reader();
                Ok(Answer { session: Arc::clone(self), body: Box::new(body) })
            }
            Err(error) => Err(self.fail(error)),
        }
    }

    fn exchange(&self, step: Step, body: &[u8]) -> Result<Response<ureq::Body>, FetchError> {
        let base = self.base.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut url = format!("{base}{}", step.path());
        let started = Instant::now();
        for _ in 0..=REDIRECTS {
            let limit = if step.is_first() {
                self.reach.saturating_sub(started.elapsed())
            } else {
                self.budget.limits().stall
            };
            let answer = self.send(step, &url, body, limit.min(self.budget.left()));
            if step.is_first() {
                self.budget.spend(started.elapsed());
            }
            let response = answer?;
            if response.status().is_redirection() {
                url = self.redirected(&url, &response)?;
                continue;
            }
            self.check(step, &response)?;
            if let Some(base) = url.strip_suffix(step.path()) {
                base.clone_into(&mut self.base.lock().unwrap_or_else(PoisonError::into_inner));
            }
            return Ok(response);
        }
        Err(self.not_git(format!("it redirects more than {REDIRECTS} times")))
    }

    /// Sends one request and waits for the head of its answer. The request
    /// runs in a thread of its own, so that whatever hangs in it (a resolver,
    /// a handshake) can be left behind when its time is over.
    fn send(
        &self,
        step: Step,
        url: &str,
        body: &[u8],
        limit: Duration,
    ) -> Result<Response<ureq::Body>, FetchError> {
        let late = || FetchError::NoAnswer { url: self.shown(), seconds: limit.as_secs_f64() };
        if limit.is_zero() {
            return Err(late());
        }
        let request = self.request(step, url, body)?;
        let agent = self.agent.clone();
        let (sender, answer) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().spawn(move || {
            let _ = sender.send(agent.run(request));
        });
        if let Err(error) = thread {
            return Err(self.unreachable(&error));
        }
        match answer.recv_timeout(limit) {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(ureq::Error::Timeout(_))) | Err(mpsc::RecvTimeoutError::Timeout) => Err(late()),
            Ok(Err(ureq::Error::HostNotFound)) => Err(self.unreachable(&"no such host")),
            Ok(Err(error)) => Err(self.unreachable(&error)),
            Err(mpsc::RecvTimeoutError::Disconnected) => {
                Err(self.unreachable(&"the request was given up"))
            }
        }
    }

    fn request(&self, step: Step, url: &str, body: &[u8]) -> Result<Request<Vec<u8>>, FetchError> {
        let mut request = Request::builder().uri(url).header(header::USER_AGENT, "git/2 (warren)");
        if let Some(authorization) = self.address.authorization(url) {
            request = request.header(header::AUTHORIZATION, authorization);
        }
        request = request.header(header::ACCEPT, step.answer());
        let request = match step.request() {
            None => request.method(Method::GET),
            Some(kind) => request.method(Method::POST).header(header::CONTENT_TYPE, kind),
        };
        request.body(body.to_vec()).map_err(|error| self.unreachable(&error))
    }

    fn redirected(&self, url: &str, response: &Response<ureq::Body>) -> Result<String, FetchError> {
        let location = response.headers().get(header::LOCATION);
        let Some(location) = location.and_then(|value| value.to_str().ok()) else {
            return Err(self.not_git(format!("it answered {} to nowhere", response.status())));
        };
        redirect::follow(url, location).map_err(|refusal| match refusal {
            Refusal::OtherHost { from, to } => FetchError::OtherHost { from, to },
            Refusal::Unusable(reason) => self.not_git(reason),
        })
    }

    fn check(&self, step: Step, response: &Response<ureq::Body>) -> Result<(), FetchError> {
        if response.status() != ureq::http::StatusCode::OK {
            return Err(self.not_git(format!("it answered {}", response.status())));
        }
        let found = response.headers().get(header::CONTENT_TYPE);
        let found = found.and_then(|value| value.to_str().ok()).unwrap_or("nothing");
        if found == step.answer() {
            return Ok(());
        }
        Err(self.not_git(format!("it sent {found} instead of {}", step.answer())))
    }

    /// Keeps the error for who started the fetch; libgit2 only carries its text.
    fn fail(&self, error: FetchError) -> io::Error {
        let text = error.to_string();
        self.error.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        io::Error::other(text)
    }

    fn shown(&self) -> String {
        self.address.shown().to_owned()
    }

    fn unreachable(&self, reason: &impl ToString) -> FetchError {
        FetchError::Unreachable { url: self.shown(), reason: reason.to_string() }
    }

    fn not_git(&self, reason: String) -> FetchError {
        FetchError::NotGit { url: self.shown(), reason }
    }
}

/// The body of an answer, within the session's limits.
pub(super) struct Answer {
    session: Arc<Session>,
    body: Box<dyn Read + Send>,
}

impl Read for Answer {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let session = &self.session;
        let limits = session.budget.limits();
        let too_slow =
            || FetchError::TooSlow { url: session.shown(), seconds: limits.total.as_secs_f64() };
        if session.budget.left().is_zero() {
            return Err(session.fail(too_slow()));
        }
        let count = self.body.read(buffer).map_err(|error| {
            session.fail(match timeout(&error) {
                Some(ureq::Timeout::Global) => too_slow(),
                Some(_) => FetchError::Stalled {
                    url: session.shown(),
                    seconds: limits.stall.as_secs_f64(),
                },
                None => FetchError::Truncated { url: session.shown(), detail: error.to_string() },
            })
        })?;
        let more = u64::try_from(count).unwrap_or(u64::MAX);
        if session.received.fetch_add(more, Ordering::Relaxed).saturating_add(more) > limits.bytes {
            let error = FetchError::TooLarge { url: session.shown(), bytes: limits.bytes };
            return Err(session.fail(error));
        }
        Ok(count)
    }
}

fn timeout(error: &io::Error) -> Option<ureq::Timeout> {
    match error.get_ref().and_then(|error| error.downcast_ref::<ureq::Error>()) {
        Some(ureq::Error::Timeout(timeout)) => Some(*timeout),
        _ => None,
    }
}

/// An HTTP client for the session. A proxy from the environment is honoured,
/// except towards this machine itself, where none could help.
fn agent(address: &Address, budget: &Budget) -> ureq::Agent {
    let limits = budget.limits();
    let uri = address.url().parse::<Uri>().unwrap_or_default();
    let host = uri.host().unwrap_or_default();
    let here = matches!(host, "localhost" | "[::1]") || host.starts_with("127.");
    let mut config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .timeout_global(Some(budget.left()))
        .timeout_per_read(Some(limits.stall))
        .timeout_per_write(Some(limits.stall));
    if here {
        config = config.proxy(None);
    }
    if uri.scheme_str() == Some("https") || !here {
        config = config.tls_config(TlsConfig::builder().root_certs(root_certificates()).build());
    }
    config.build().new_agent()
}

/// What this machine trusts; where it says nothing, what browsers trust.
#[must_use]
pub fn root_certificates() -> RootCerts {
    let found = rustls_native_certs::load_native_certs().certs;
    if found.is_empty() {
        return RootCerts::WebPki;
    }
    let own: Vec<_> = found.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    RootCerts::new_with_certs(&own)
}
