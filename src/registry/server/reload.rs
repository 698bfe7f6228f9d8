use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::ServerError;
use crate::fs::{self, Stamp};
use crate::registry::settings::{PasswordSource, Settings, Tls};
use crate::registry::swap::Swap;

/// How long files have to be left alone before they are read: who writes
/// several of them, or one in several pieces, is let finish.
const SETTLED: Duration = Duration::from_millis(200);
/// How often is waited for that before they are read all the same.
const MOST_WAITS: u32 = 25;

/// Reads again what the settings name: users, policy, token key,
/// configuration, certificate. All of it is taken or none.
pub struct Reloader {
    settings: Swap<Settings>,
    /// Puts what these settings name into place, or leaves what is there.
    apply: Box<Apply>,
    /// The files as they were when they were last read, well or not: what was
    /// refused is not tried again until it changes.
    seen: Mutex<Stamps>,
}

type Apply = dyn Fn(&Settings) -> Result<(), ServerError> + Send + Sync;

/// What the files of some settings look like from outside.
#[derive(Debug, PartialEq, Eq)]
pub struct Stamps(Vec<Option<Stamp>>);

impl Stamps {
    /// Looks at the files. Links are followed: a `ConfigMap` changes by a link
    /// to a folder that is exchanged, and no file in it ever does.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let password = match &settings.password.value {
            Some(PasswordSource::File(path)) => Some(path),
            Some(PasswordSource::Value(_)) | None => None,
        };
        let (certificate, key) = match &settings.tls.value {
            Tls::On { certificate, key } => (Some(certificate), Some(key)),
            Tls::Off => (None, None),
        };
        let files = [
            password,
            settings.htpasswd.value.as_ref(),
            settings.policy.value.as_ref(),
            settings.token_key_file.value.as_ref(),
            settings.config_file.value.as_ref(),
            certificate,
            key,
        ];
        Self(files.into_iter().flatten().map(|path| fs::stamp(Path::new(path))).collect())
    }
}

impl Reloader {
    /// Reloads what these settings name; `seen` is what the files looked like
    /// before they were first read.
    pub fn new(
        settings: Settings,
        seen: Stamps,
        apply: impl Fn(&Settings) -> Result<(), ServerError> + Send + Sync + 'static,
    ) -> Self {
        Self { settings: Swap::new(settings), apply: Box::new(apply), seen: Mutex::new(seen) }
    }

    /// Reads everything again. Requests and connections that are under way
    /// keep what they began with.
    ///
    /// # Errors
    /// [`ServerError`], which names the file; nothing has changed then.
    pub fn reload(&self) -> Result<(), ServerError> {
        // Held to the end: of two reloads the later one has the last word.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = self.settings.current();
        *seen = Stamps::of(&settings);
        let settings = settings.again()?;
        (self.apply)(&settings)?;
        self.settings.replace(settings);
        Ok(())
    }

    /// The same, away from the threads that serve requests, and with a line in
    /// the log about what came of it.
    pub async fn reload_and_log(self: &Arc<Self>, cause: &'static str) {
        let this = Arc::clone(self);
        match tokio::task::spawn_blocking(move || this.reload()).await {
            Ok(Ok(())) => tracing::info!(
                cause,
                "users, policy, configuration and certificates are read again and hold from now on"
            ),
            Ok(Err(error)) => tracing::error!(
                cause,
                "the new files are refused, and all that was there before still holds: {error}"
            ),
            Err(error) => tracing::error!(cause, %error, "the reload did not end"),
        }
    }

    /// Looks at the files now and then, for ever, and reads them when they
    /// have changed. It asks for no notifications: those of a file say nothing
    /// when a link on the way to it changes, and network folders have none.
    pub async fn watch(self: Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            if self.changed().is_none() {
                continue;
            }
            let mut last = self.changed();
            for _ in 0..MOST_WAITS {
                tokio::time::sleep(SETTLED).await;
                let now = self.changed();
                if now == last {
                    break;
                }
                last = now;
            }
            if last.is_some() {
                self.reload_and_log("the files changed").await;
            }
        }
    }

    /// What the files look like, if it is not what they did.
    fn changed(&self) -> Option<Stamps> {
        let now = Stamps::of(&self.settings.current());
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        (now != *seen).then_some(now)
    }
}
