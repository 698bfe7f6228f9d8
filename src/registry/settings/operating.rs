use std::time::Duration;

use super::flags::Flags;
use super::layers::{Layers, flag};
use super::resolve::whole;
use super::{MetricsAccess, Setting, SettingsError};

/// What is too much, and how the server is watched.
#[derive(Clone, Debug)]
pub struct Operating {
    /// The largest head of a request, in bytes.
    pub max_head_size: Setting<usize>,
    /// How long a client may take for a TLS handshake or the head of a request.
    pub head_timeout: Setting<Duration>,
    /// How long a connection may do nothing.
    pub idle_timeout: Setting<Duration>,
    /// Requests that bring a blob or a manifest at the same time.
    pub max_uploads: Setting<usize>,
    /// How many of them one client may have.
    pub max_uploads_per_client: Setting<usize>,
    /// Bytes of a request's body that come in a second at least, and bytes of the
    /// answers that the client takes; none for any.
    pub min_body_rate: Setting<u64>,
    /// Who may read `/metrics`.
    pub metrics: Setting<MetricsAccess>,
    /// The collector that traces go to.
    pub otlp_endpoint: Setting<Option<String>>,
}

const KIB: usize = 1 << 10;
const MAX_HEAD_KIB: usize = 64;
/// What HTTP/1's read buffer holds.
const MOST_HEAD_KIB: usize = 96;
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
const IDLE_TIMEOUT: Duration = Duration::from_mins(1);
const MAX_UPLOADS: usize = 256;
/// Over a minute, which the slowest of lines manages.
const MIN_BODY_RATE: u64 = 1 << 10;

impl Operating {
    pub(super) fn resolve(flags: &Flags, layers: &Layers) -> Result<Self, SettingsError> {
        let text = |spelling, value: &Option<String>| flag(spelling, value.as_deref());
        let head = text("--max-head-size", &flags.max_head_size);
        let head_timeout = text("--head-timeout", &flags.head_timeout);
        let idle_timeout = text("--idle-timeout", &flags.idle_timeout);
        let uploads = text("--max-uploads", &flags.max_uploads);
        let per_client = text("--max-uploads-per-client", &flags.max_uploads_per_client);
        let body_rate = text("--min-body-rate", &flags.min_body_rate);
        let metrics = text("--metrics", &flags.metrics);
        let otlp = text("--otlp-endpoint", &flags.otlp_endpoint);
        let max_uploads = layers
            .parsed("max-uploads", uploads, |text| whole(text, &1))?
            .unwrap_or(Setting::built_in(MAX_UPLOADS));
        let half = max_uploads.value.div_ceil(2);
        Ok(Self {
            max_head_size: layers
                .parsed("max-head-size", head, head_size)?
                .unwrap_or(Setting::built_in(MAX_HEAD_KIB * KIB)),
            head_timeout: layers
                .parsed("head-timeout", head_timeout, seconds)?
                .unwrap_or(Setting::built_in(HEAD_TIMEOUT)),
            idle_timeout: layers
                .parsed("idle-timeout", idle_timeout, seconds)?
                .unwrap_or(Setting::built_in(IDLE_TIMEOUT)),
            max_uploads,
            max_uploads_per_client: layers
                .parsed("max-uploads-per-client", per_client, |text| whole(text, &1))?
                .unwrap_or(Setting::built_in(half)),
            min_body_rate: layers
                .parsed("min-body-rate", body_rate, |text| {
                    whole::<u32>(text, &0).map(|kibibytes| u64::from(kibibytes) << 10)
                })?
                .unwrap_or(Setting::built_in(MIN_BODY_RATE)),
            metrics: layers
                .parsed("metrics", metrics, metrics_access)?
                .unwrap_or(Setting::built_in(MetricsAccess::Open)),
            otlp_endpoint: layers
                .parsed("otlp-endpoint", otlp, |text| endpoint(text).map(Some))?
                .unwrap_or(Setting::built_in(None)),
        })
    }
}

fn head_size(text: &str) -> Result<usize, String> {
    let kibibytes = whole(text, &1)?;
    if kibibytes > MOST_HEAD_KIB {
        return Err(format!("{kibibytes} KiB are more than the {MOST_HEAD_KIB} that can be read"));
    }
    Ok(kibibytes * KIB)
}

fn seconds(text: &str) -> Result<Duration, String> {
    whole::<u32>(text, &1).map(|seconds| Duration::from_secs(seconds.into()))
}

fn metrics_access(text: &str) -> Result<MetricsAccess, String> {
    MetricsAccess::ALL.into_iter().find(|access| access.name() == text).ok_or_else(|| {
        format!("{text:?} is nothing that /metrics can be: open, login and off are possible")
    })
}

/// A URL without a user, who would show in `--print-config`.
fn endpoint(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split('/').next()).unwrap_or_default();
    if host.is_empty() || host.contains(['@', ' ']) {
        return Err(
            "the collector is named by a URL without a user, such as http://collector:4318"
                .to_owned(),
        );
    }
    Ok(text.trim_end_matches('/').to_owned())
}
