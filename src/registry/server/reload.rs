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
/// How often they are read, where they change meanwhile, before all of it is
/// refused.
const MOST_READS: u32 = 3;

/// Reads again what the settings name: users, policy, token key,
/// configuration, certificate. All of it is taken or none.
pub struct Reloader {
    settings: Swap<Settings>,
    /// Reads what these settings name, and changes nothing yet.
    read: Box<Read>,
    /// The files as they were when they were last read, well or not: what was
    /// refused is not tried again until it changes.
    seen: Mutex<Stamps>,
}

/// Puts what was read into the place of what was there.
pub type Renewal = Box<dyn FnOnce()>;

type Read = dyn Fn(&Settings) -> Result<Renewal, ServerError> + Send + Sync;

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
    /// Reloads what these settings name, by a function that reads it; `seen` is
    /// what the files looked like before they were first read.
    pub fn new(
        settings: Settings,
        seen: Stamps,
        read: impl Fn(&Settings) -> Result<Renewal, ServerError> + Send + Sync + 'static,
    ) -> Self {
        Self { settings: Swap::new(settings), read: Box::new(read), seen: Mutex::new(seen) }
    }

    /// Reads everything again. Requests and connections that are under way
    /// keep what they began with.
    ///
    /// The files are read one after the other. Where one changed meanwhile they
    /// may not belong together, even if that shows as an error: then they are
    /// read once more.
    ///
    /// # Errors
    /// [`ServerError`], which names the file; nothing has changed then.
    pub fn reload(&self) -> Result<(), ServerError> {
        // Held to the end: of two reloads the later one has the last word.
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let settings = self.settings.current();
        for _ in 0..MOST_READS {
            *seen = Stamps::of(&settings);
            let read = self.read_all(&settings);
            if Stamps::of(&settings) != *seen {
                continue;
            }
            let (settings, renewal) = read?;
            renewal();
            self.settings.replace(settings);
            return Ok(());
        }
        Err(ServerError::Unsettled { times: MOST_READS })
    }

    fn read_all(&self, settings: &Settings) -> Result<(Settings, Renewal), ServerError> {
        let settings = settings.again()?;
        let renewal = (self.read)(&settings)?;
        Ok((settings, renewal))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::fs::Access;
    use crate::registry::settings::{Flags, Variables};

    /// What a reload came to, how often the file was read for it, and what was
    /// put into place, where the file changes during the first `changes` reads;
    /// text that begins with `bad` is refused.
    fn reload(texts: [&'static str; 5], changes: u32) -> (Result<(), String>, u32, Vec<String>) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("users");
        let write = |path: &Path, text: &str| {
            fs::write_atomic(path, text.as_bytes(), Access::Owner).unwrap();
        };
        write(&file, texts[0]);
        let line = ["warren-registry", "--htpasswd", file.to_str().unwrap()];
        let flags = Flags::parse_line(line).unwrap();
        let settings = Settings::resolve(&flags, &Variables::these(&[])).unwrap();
        let (reads, put) = (Arc::new(AtomicU32::new(0)), Arc::new(Mutex::new(Vec::new())));
        let reloader = Reloader::new(settings.clone(), Stamps::of(&settings), {
            let (reads, put) = (Arc::clone(&reads), Arc::clone(&put));
            move |_| {
                let text = fs::read_to_string(&file).unwrap();
                let read = reads.fetch_add(1, Ordering::Relaxed) + 1;
                if read <= changes {
                    write(&file, texts[usize::try_from(read).unwrap()]);
                }
                if text.starts_with("bad") {
                    return Err(ServerError::Unsettled { times: 0 });
                }
                let put = Arc::clone(&put);
                Ok(Box::new(move || put.lock().unwrap().push(text)))
            }
        });
        let outcome = reloader.reload().map_err(|error| error.to_string());
        let put = put.lock().unwrap().clone();
        (outcome, reads.load(Ordering::Relaxed), put)
    }

    #[test]
    fn files_that_change_while_they_are_read_are_read_again() {
        let texts = ["one", "two", "three", "four", "five"];
        assert_eq!(reload(texts, 0), (Ok(()), 1, vec!["one".to_owned()]));
        assert_eq!(reload(texts, 1), (Ok(()), 2, vec!["two".to_owned()]));
        assert_eq!(reload(texts, 2), (Ok(()), 3, vec!["three".to_owned()]));
        let (outcome, reads, put) = reload(texts, 4);
        assert!(outcome.unwrap_err().contains("changed each of the 3 times"));
        assert_eq!((reads, put), (3, Vec::new()), "a mixture is never put into place");
    }

    #[test]
    fn an_error_counts_only_where_nothing_changed() {
        let mixed = ["bad", "good", "", "", ""];
        assert_eq!(reload(mixed, 1), (Ok(()), 2, vec!["good".to_owned()]));
        let (outcome, reads, put) = reload(mixed, 0);
        assert!(outcome.is_err());
        assert_eq!((reads, put), (1, Vec::new()));
    }
}
