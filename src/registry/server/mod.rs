//! The running server: listeners, TLS, the application, and a stop that lets
//! requests finish. [`Server`] is what a program embeds, [`run`] is the whole
//! command line.

mod app;
mod audit;
mod command;
mod connection;
mod control;
mod descriptors;
mod drain;
mod error;
mod exchange;
mod limits;
mod linger;
mod listen;
mod logging;
mod observe;
mod operation;
mod otlp;
mod reload;
mod request_id;
mod roster;
mod sendfile;
mod signals;
#[cfg(test)]
mod tests;
mod tls;
mod trace;
mod upkeep_command;
mod users;
mod watched;
mod windows;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;

use app::Around;
pub use command::run;
use connection::Serving;
pub use error::{ServerError, TlsError};
use limits::Uploads;
use observe::Observer;
use otlp::Exporter;
use request_id::RequestIds;
use roster::Roster;

pub use reload::{Reloader, Renewal, Stamps};
pub use signals::{reload_on_hangup, stop_signal};
pub use tls::{TlsSwitch, load as load_tls};
use trace::Tracer;

use super::admission::Rules;
use super::auth::{Authenticator, TokenKey};
use super::http::authenticate::Gate;
use super::http::base_url::Connection;
use super::http::cors::Cors;
use super::service::Registry;
use super::settings::{Settings, Tls, Upkeep};
use super::store::{CollectPolicy, FsOptions, FsStore, Store};
use super::swap::Swap;
use super::upkeep::Schedule;
use crate::fs;

/// How long a connection waits for an idle one to go, before it looks again.
const EVICT_AGAIN: Duration = Duration::from_millis(100);

/// A server that listens already and serves when it [runs](Server::run).
pub struct Server {
    listeners: Vec<TcpListener>,
    serving: Serving,
    /// Runs beside the connections for as long as the server does.
    housekeeping: Pin<Box<dyn Future<Output = ()> + Send>>,
    tracer: Option<Arc<Tracer>>,
    settings: Settings,
    reloader: Arc<Reloader>,
}

/// What is read before anything is opened or listened to.
struct Prepared {
    authenticator: Authenticator,
    tls: Option<Arc<TlsSwitch>>,
    /// The files as they were before any was read.
    seen: Stamps,
}

impl Prepared {
    fn new(settings: &Settings) -> Result<Self, ServerError> {
        let seen = Stamps::of(settings);
        let tls = load_tls_of(settings)?.map(|config| Arc::new(TlsSwitch::new(config)));
        let list = users::access_list(settings, || {
            prepare_data_dir(settings)?;
            users::token_key(settings)
        })?;
        warn(settings, list.is_open());
        let connections = settings.max_connections.value;
        let authenticator = Authenticator::new(list)?.for_connections(connections);
        Ok(Self { authenticator, tls, seen })
    }
}

/// A connection on its way from a listener to its task.
struct Accepted {
    stream: TcpStream,
    connection: Connection,
    permit: OwnedSemaphorePermit,
}

impl Server {
    /// Makes the data folder, opens the store in it, reads users, keys and
    /// certificates, and listens.
    ///
    /// # Errors
    /// [`ServerError`], which names what can't be used, where the setting
    /// comes from, and the way out.
    pub async fn bind(settings: Settings) -> Result<Self, ServerError> {
        let prepared = Prepared::new(&settings)?;
        let lease = settings.upkeep.gc_lease.value;
        let options = FsOptions { lease, ..FsOptions::default() };
        let store = FsStore::open_with(&settings.data_dir.value, options)?;
        Box::pin(Self::assemble(settings, prepared, store)).await
    }

    /// The same over another store. The data folder still holds the token key.
    ///
    /// # Errors
    /// [`ServerError`].
    pub async fn bind_with<S: Store>(settings: Settings, store: S) -> Result<Self, ServerError> {
        let prepared = Prepared::new(&settings)?;
        Box::pin(Self::assemble(settings, prepared, store)).await
    }

    async fn assemble<S: Store>(
        settings: Settings,
        prepared: Prepared,
        store: S,
    ) -> Result<Self, ServerError> {
        let Prepared { authenticator, tls, seen } = prepared;
        let gate = Arc::new(Gate {
            authenticator,
            external_url: settings.external_url.value.clone(),
            hostname: settings.hostnames.value.first().cloned(),
            proxies: settings.trusted_proxies.value.clone(),
        });
        let mut registry = Registry::new(store);
        registry.limits.manifest_bytes =
            usize::try_from(settings.max_manifest_size.value).unwrap_or(usize::MAX);
        registry.limits.blob_bytes = settings.max_blob_size.value;
        registry.limits.body_rate = settings.operating.min_body_rate.value;
        registry.limits.sparse_manifests = settings.allow_sparse_manifests.value;
        registry.admission.replace(Rules::of(&settings));
        let registry = Arc::new(registry);
        let (gate, metrics) = (Arc::new(gate), registry.metrics.clone());
        let operating = &settings.operating;
        let tracer = match &operating.otlp_endpoint.value {
            None => None,
            Some(endpoint) => Some(Tracer::new(Exporter::start(endpoint, metrics.traces.clone())?)),
        };
        let tracer = tracer.map(Arc::new);
        let around = Around {
            observer: Arc::new(Observer {
                metrics: metrics.clone(),
                ids: RequestIds::new(),
                gate: Arc::clone(&gate),
                max_head: operating.max_head_size.value,
                tracer: tracer.clone(),
            }),
            uploads: Arc::new(Uploads::new(
                operating.max_uploads.value,
                operating.max_uploads_per_client.value,
                settings.trusted_proxies.value.clone(),
                metrics.clone(),
            )),
            metrics: operating.metrics.value,
        };
        let origins = Arc::new(Swap::new(Cors::new(&settings.cors.value)));
        let app = app::app(Arc::clone(&registry), Arc::clone(&gate), origins, around);
        let listeners = listen::listen(&settings.bind).await?;
        let serving = Serving::new(app, tls, &settings, metrics);
        let reloader = Arc::new(Reloader::new(settings.clone(), seen, {
            let (registry, tls) = (Arc::clone(&registry), serving.tls.clone());
            move |settings| renew(settings, &gate, &registry, tls.as_ref())
        }));
        let watch = settings.reload_interval.value.map(|every| Arc::clone(&reloader).watch(every));
        let schedule = schedule(&settings.upkeep);
        let data_dir = settings.data_dir.value.clone();
        let housekeeping = Box::pin(async move {
            let watch = async {
                if let Some(watch) = watch {
                    watch.await;
                }
            };
            tokio::join!(
                registry.keep_up(schedule),
                control::serve(Arc::clone(&registry), data_dir),
                watch
            );
        });
        Ok(Self { listeners, serving, housekeeping, tracer, settings, reloader })
    }

    /// Checks what [`Server::bind`] would use without making or listening to
    /// anything.
    ///
    /// # Errors
    /// [`ServerError`].
    pub fn check(settings: &Settings) -> Result<(), ServerError> {
        load_tls_of(settings)?;
        let list = users::access_list(settings, || match &settings.token_key_file.value {
            Some(_) => users::token_key(settings),
            None => Ok(TokenKey::random()?),
        })?;
        warn(settings, list.is_open());
        let data_dir = &settings.data_dir.value;
        match data_dir.ancestors().find(|folder| folder.exists()) {
            Some(folder) => fs::probe_writable(folder)
                .or_else(unless_there(data_dir))
                .map_err(|error| unusable(settings, &error)),
            None => Ok(()),
        }
    }

    /// The addresses that are listened on; a port that was asked for as 0 has
    /// its number.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.listeners.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// What reads the files of the settings again.
    #[must_use]
    pub fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// What the server began to run with.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Serves until `stop` is ready. Then nothing new is accepted, idle
    /// connections close, and requests in flight get the settings' stop
    /// timeout to finish.
    pub async fn run(self, stop: impl Future<Output = ()>) {
        let Self { listeners, serving, housekeeping, tracer, settings, .. } = self;
        let scheme = if serving.tls.is_some() { "https" } else { "http" };
        let serving = Arc::new(serving);
        let graceful = GracefulShutdown::new();
        let permits =
            Arc::new(Semaphore::new(settings.max_connections.value.min(Semaphore::MAX_PERMITS)));
        let (sender, mut accepted) = mpsc::channel(1);
        let mut background = JoinSet::new();
        for listener in listeners {
            if let Ok(address) = listener.local_addr() {
                tracing::info!(%address, scheme, "listening");
            }
            let tls = serving.tls.is_some();
            let (permits, roster) = (Arc::clone(&permits), Arc::clone(&serving.roster));
            background.spawn(accept(listener, tls, permits, roster, sender.clone()));
        }
        let roster = Arc::clone(&serving.roster);
        background.spawn(async move { roster.watch().await });
        background.spawn(housekeeping);
        drop(sender);

        let mut connections = JoinSet::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(Accepted { stream, connection, permit }) = accepted.recv() => {
                    let serving = Arc::clone(&serving);
                    let watcher = graceful.watcher();
                    connections.spawn(async move {
                        serving.serve(stream, connection, watcher).await;
                        drop(permit);
                    });
                }
                Some(_) = connections.join_next() => {}
            }
        }

        drop(accepted);
        background.shutdown().await;
        serving.stopping.cancel();
        let timeout = settings.stop_timeout.value;
        tracing::info!(seconds = timeout.as_secs(), "stopping; requests in flight may finish");
        if tokio::time::timeout(timeout, graceful.shutdown()).await.is_err() {
            while connections.try_join_next().is_some() {}
            tracing::warn!(connections = connections.len(), "cut off what did not finish in time");
        }
        connections.shutdown().await;
        if let Some(tracer) = tracer {
            tracer.flush().await;
        }
        tracing::info!("stopped");
    }
}

/// Takes connections from one listener for ever. Where no permit is free the
/// connection that has been idle longest ends. Where all are busy the new one
/// waits, and with it those behind it, in the system's queue.
async fn accept(
    listener: TcpListener,
    tls: bool,
    permits: Arc<Semaphore>,
    roster: Arc<Roster>,
    accepted: mpsc::Sender<Accepted>,
) {
    loop {
        let (stream, peer) = match listener.accept().await {
            Ok(taken) => taken,
            Err(error) => {
                // A client that left again is nothing; a lack of descriptors
                // passes when connections end.
                if !is_client_s(&error) {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
        };
        let Some(permit) = permit(&permits, &roster).await else { return };
        let Ok(local) = stream.local_addr() else { continue };
        let connection = Connection { tls, local, peer };
        if accepted.send(Accepted { stream, connection, permit }).await.is_err() {
            return;
        }
    }
}

/// Waits for a permit, and makes room for it where that is possible.
async fn permit(permits: &Arc<Semaphore>, roster: &Roster) -> Option<OwnedSemaphorePermit> {
    if let Ok(permit) = Arc::clone(permits).try_acquire_owned() {
        return Some(permit);
    }
    loop {
        roster.evict();
        let free = Arc::clone(permits).acquire_owned();
        // Those that are busy now may be idle by then.
        if let Ok(permit) = tokio::time::timeout(EVICT_AGAIN, free).await {
            return permit.ok();
        }
    }
}

fn is_client_s(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn schedule(upkeep: &Upkeep) -> Schedule {
    Schedule {
        collect: upkeep.gc_interval.value,
        policy: CollectPolicy { untagged: upkeep.gc_untagged.value, ..CollectPolicy::default() },
        scrub: upkeep.scrub_interval.value,
        scrub_rate: Some(upkeep.scrub_rate.value),
    }
}

/// Reads all that these settings name, and gives what puts it into the place of
/// what a running server has.
fn renew<S: Store>(
    settings: &Settings,
    gate: &Arc<Gate>,
    registry: &Arc<Registry<S>>,
    tls: Option<&Arc<TlsSwitch>>,
) -> Result<Renewal, ServerError> {
    let list = users::access_list(settings, || match &settings.token_key_file.value {
        Some(_) => users::token_key(settings),
        // The one in the data folder is ours, and nobody else changes it.
        None => Ok(gate.authenticator.list().key().clone()),
    })?;
    let certificate = load_tls_of(settings)?;
    let (settings, gate, registry) = (settings.clone(), Arc::clone(gate), Arc::clone(registry));
    let tls = tls.cloned();
    Ok(Box::new(move || {
        for warning in &settings.warnings {
            tracing::warn!("{warning}");
        }
        gate.authenticator.replace(list);
        registry.admission.replace(Rules::of(&settings));
        if let Some((tls, certificate)) = tls.zip(certificate) {
            tls.replace(certificate);
        }
        logging::set_levels(&settings);
    }))
}

fn load_tls_of(settings: &Settings) -> Result<Option<Arc<ServerConfig>>, ServerError> {
    match &settings.tls.value {
        Tls::Off => Ok(None),
        Tls::On { certificate, key } => Ok(Some(load_tls(certificate, key, &settings.tls.origin)?)),
    }
}

/// Makes the data folder where it is not there; Trow would end here.
fn prepare_data_dir(settings: &Settings) -> Result<(), ServerError> {
    let data_dir: &Path = &settings.data_dir.value;
    fs::create_dir_all(data_dir)
        .and_then(|()| fs::probe_writable(data_dir))
        .or_else(unless_there(data_dir))
        .map_err(|error| unusable(settings, &error))
}

/// A store that is there is served also where its disk takes no writes now:
/// else a pod that is started again on a full disk could neither be pulled from
/// nor make room by deletions.
fn unless_there(data_dir: &Path) -> impl FnOnce(fs::FsError) -> Result<(), fs::FsError> {
    move |error| {
        if !error.takes_no_writes() || !FsStore::is_in(data_dir) {
            return Err(error);
        }
        tracing::warn!(%error, "the data folder takes no writes: what it holds is served, pushes are refused, and the readiness says so");
        Ok(())
    }
}

fn unusable(settings: &Settings, error: &fs::FsError) -> ServerError {
    ServerError::DataDir {
        path: settings.data_dir.value.clone(),
        origin: settings.data_dir.origin.clone(),
        problem: error.source.to_string(),
    }
}

/// Says once at the start what the operator should know.
fn warn(settings: &Settings, open: bool) {
    for warning in &settings.warnings {
        tracing::warn!("{warning}");
    }
    let unserved = settings.unserved();
    if !unserved.is_empty() {
        tracing::warn!("accepted, not served by this version: {}", unserved.join("; "));
    }
    if open {
        tracing::warn!(
            "no user is configured: everyone who reaches this registry may read, write and delete; set one with --user and --password, or --htpasswd"
        );
    }
}
