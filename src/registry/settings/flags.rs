use std::ffi::OsString;

use clap::{ArgAction, Parser, ValueEnum};

use super::UpkeepFlags;

/// The arguments as typed. Nothing is resolved here: values are text, and
/// what is not given is absent. The flags of both generations of Trow are
/// accepted, so that a manifest changes its image and nothing else.
#[derive(Clone, Debug, Default, Parser)]
#[command(
    name = "warren-registry",
    version = env!("WARREN_VERSION"),
    about = "A container registry: a drop-in for Trow, with the defaults of an environment",
    disable_version_flag = true,
    after_help = AFTER_HELP,
    max_term_width = 100
)]
pub struct Flags {
    /// Take the defaults of one of Warren's environments, as the build baked
    /// them in
    #[arg(long, value_name = "NAME")]
    pub environment: Option<String>,

    /// Address to listen on, IP or IP:PORT; comma list, or several times
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',')]
    pub bind: Vec<String>,

    /// Serve TLS with this certificate and key [files: ./certs/domain.crt,./certs/domain.key]
    #[arg(
        long,
        value_name = "CERT,KEY",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = ""
    )]
    pub tls: Option<String>,

    /// Host names of the registry; comma or space list
    #[arg(short = 'n', long, value_name = "NAMES")]
    pub hostname: Option<String>,

    /// URL that clients reach the registry by, such as `https://registry.example.org`, where
    /// a load balancer ends TLS and no header says so [default: what each request says]
    #[arg(long, value_name = "URL")]
    pub external_url: Option<String>,

    /// Folder of images, tags and keys; it is made if it is not there
    #[arg(short = 'd', long, value_name = "FOLDER")]
    pub data_dir: Option<String>,

    /// User who may log in
    #[arg(short = 'U', long, value_name = "NAME")]
    pub user: Option<String>,

    /// The user's password, or `file://PATH` of a file that holds it
    #[arg(short = 'P', long, value_name = "PASSWORD")]
    pub password: Option<RedactedArg>,

    /// File of several users, one `user:hash` a line, bcrypt (`htpasswd -B`) or argon2id
    #[arg(long, value_name = "FILE")]
    pub htpasswd: Option<String>,

    /// TOML file of who may pull, push and delete where; without it every user may do everything
    #[arg(long, value_name = "FILE")]
    pub policy: Option<String>,

    /// File of the key that signs tokens, for several replicas with one key
    /// [default: auth/token.key in the data folder, made if it is not there]
    #[arg(long, value_name = "FILE")]
    pub token_key_file: Option<String>,

    /// Proxies whose X-Forwarded-For is believed; comma list of addresses and networks
    #[arg(long, value_name = "NETWORKS", value_delimiter = ',')]
    pub trusted_proxies: Option<Vec<String>>,

    /// Seconds between looks at users, policy, configuration and certificates for changes;
    /// 0 looks on SIGHUP alone
    #[arg(long, value_name = "SECONDS")]
    pub reload_interval: Option<String>,

    /// Trow's YAML file of proxied registries and image validation
    #[arg(long, value_name = "FILE")]
    pub config_file: Option<String>,

    /// Origins that browsers may call from; comma list
    #[arg(long, value_name = "ORIGINS", value_delimiter = ',')]
    pub cors: Option<Vec<String>>,

    /// Check the settings, start nothing
    #[arg(long)]
    pub dry_run: bool,

    /// Show each setting with where it comes from, start nothing
    #[arg(long)]
    pub print_config: bool,

    /// How --print-config writes
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t)]
    pub output: Output,

    /// off, error, warn, info, debug, trace, or a list of module=level
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,

    /// text or json
    #[arg(long, value_name = "FORMAT")]
    pub log_format: Option<String>,

    /// Connections at the same time; more wait
    #[arg(long, value_name = "COUNT")]
    pub max_connections: Option<String>,

    /// Seconds that requests in flight get to finish after SIGTERM or SIGINT
    #[arg(long, value_name = "SECONDS")]
    pub stop_timeout: Option<String>,

    /// Take manifests whose blobs or child manifests are not here
    #[arg(
        long,
        value_name = "true|false",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true"
    )]
    pub allow_sparse_manifests: Option<String>,

    /// Largest head of a request, in KiB
    #[arg(long, value_name = "KIB")]
    pub max_head_size: Option<String>,

    /// Seconds that a client gets for a TLS handshake and for the head of a
    /// request
    #[arg(long, value_name = "SECONDS")]
    pub head_timeout: Option<String>,

    /// Seconds that a connection may do nothing
    #[arg(long, value_name = "SECONDS")]
    pub idle_timeout: Option<String>,

    /// Requests that bring a blob or a manifest at the same time; more are
    /// refused for the moment
    #[arg(long, value_name = "COUNT")]
    pub max_uploads: Option<String>,

    /// How many of them one client may have [default: half]
    #[arg(long, value_name = "COUNT")]
    pub max_uploads_per_client: Option<String>,

    /// KiB a second that a client sends of a request's body at least, and takes
    /// of what is sent to it, over a minute; 0 for any
    #[arg(long, value_name = "KIB")]
    pub min_body_rate: Option<String>,

    /// Who may read /metrics: open, login or off
    #[arg(long, value_name = "ACCESS")]
    pub metrics: Option<String>,

    /// Send a trace of each request to this `OpenTelemetry` collector (OTLP over
    /// HTTP)
    #[arg(long, value_name = "URL")]
    pub otlp_endpoint: Option<String>,

    /// Print the version
    #[arg(short = 'V', short_alias = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,

    /// What is done for the store without being asked.
    #[command(flatten)]
    pub upkeep: UpkeepFlags,

    /// The flags that only Trow before 0.6 had.
    #[command(flatten)]
    pub old: OldFlags,
}

/// What only the 2020 generation of Trow had (0.2 to 0.5). With one of these,
/// and nothing newer that says how to listen, its defaults hold too: TLS is on
/// unless `--no-tls` is there.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Flags of Trow 0.2 to 0.5")]
#[allow(clippy::struct_excessive_bools, reason = "a switch of a command line is a bool")]
pub struct OldFlags {
    /// Host or interface to listen on
    #[arg(long, value_name = "HOST", conflicts_with = "bind")]
    pub host: Option<String>,

    /// Port to listen on: 8443 with TLS, 8000 without
    #[arg(long, value_name = "PORT", conflicts_with = "bind")]
    pub port: Option<String>,

    /// Serve plain HTTP
    #[arg(long, conflicts_with = "tls")]
    pub no_tls: bool,

    /// Certificate file; turns TLS on
    #[arg(short = 'c', long, value_name = "FILE", conflicts_with = "tls")]
    pub cert: Option<String>,

    /// Key file; turns TLS on
    #[arg(short = 'k', long, value_name = "FILE", conflicts_with = "tls")]
    pub key: Option<String>,

    /// Same as --hostname
    #[arg(long, value_name = "NAMES", conflicts_with = "hostname")]
    pub names: Option<String>,

    /// Same as --user
    #[arg(short = 'u', value_name = "NAME", conflicts_with = "user")]
    pub old_user: Option<String>,

    /// The password itself, never a file
    #[arg(short = 'p', value_name = "PASSWORD", conflicts_with = "password")]
    pub old_password: Option<RedactedArg>,

    /// File that holds the password
    #[arg(long, value_name = "FILE")]
    pub password_file: Option<String>,

    /// Validation: allow images that begin so
    #[arg(long, value_name = "PREFIXES")]
    pub allow_prefixes: Option<String>,

    /// Validation: allow these images
    #[arg(long, value_name = "IMAGES")]
    pub allow_images: Option<String>,

    /// Validation: deny local images that begin so
    #[arg(long, value_name = "PREFIXES")]
    pub disallow_local_prefixes: Option<String>,

    /// Validation: deny these local images
    #[arg(long, value_name = "IMAGES")]
    pub disallow_local_images: Option<String>,

    /// Validation: allow docker.io
    #[arg(long)]
    pub allow_docker_official: bool,

    /// Validation: deny the images of Kubernetes itself
    #[arg(long)]
    pub deny_k8s_images: bool,

    /// Proxy Docker Hub under f/docker/
    #[arg(long)]
    pub proxy_docker_hub: bool,

    /// Docker Hub user
    #[arg(long, value_name = "NAME")]
    pub hub_user: Option<String>,

    /// Docker Hub token
    #[arg(long, value_name = "TOKEN")]
    pub hub_token: Option<RedactedArg>,

    /// File of the Docker Hub token
    #[arg(long, value_name = "FILE")]
    pub hub_token_file: Option<String>,

    /// Let browsers call from anywhere
    #[arg(long)]
    pub enable_cors: bool,

    /// Largest manifest, in MiB
    #[arg(long, value_name = "MIB")]
    pub max_manifest_size: Option<String>,

    /// Largest blob, in MiB; without it of any size
    #[arg(long, value_name = "MIB")]
    pub max_blob_size: Option<String>,
}

/// How `--print-config` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// Columns for people.
    #[default]
    Text,
    /// One JSON object for programs.
    Json,
}

/// An argument that `Debug` does not show.
#[derive(Clone)]
pub struct RedactedArg(pub String);

impl std::fmt::Debug for RedactedArg {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("(set)")
    }
}

impl From<&str> for RedactedArg {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl Flags {
    /// Reads a command line; the first argument is the program's name.
    ///
    /// # Errors
    /// What clap finds wrong with it, or its help or version text.
    pub fn parse_line<I, T>(line: I) -> Result<Self, clap::Error>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        Self::try_parse_from(line)
    }

    /// Whether the line is one of Trow 0.2 to 0.5: it has a flag that only
    /// those had, and none that says in the newer way how to listen. What else
    /// is newer may be added to such a line, and takes no TLS from it.
    #[must_use]
    pub fn is_old(&self) -> bool {
        self.old.any() && !self.says_how_to_listen()
    }

    /// What ends the defaults of a line that has flags of Trow 0.2 to 0.5 alone.
    pub(super) fn ends_old_defaults(&self) -> Option<&'static str> {
        let newer = if self.bind.is_empty() { "--environment" } else { "--bind" };
        (self.old.mark() && self.says_how_to_listen()).then_some(newer)
    }

    /// Whether a newer flag does: an environment has addresses, too.
    fn says_how_to_listen(&self) -> bool {
        self.environment.is_some() || !self.bind.is_empty() || self.tls.is_some()
    }
}

impl OldFlags {
    /// Whether there is any.
    #[must_use]
    pub fn any(&self) -> bool {
        // Newer lines may have these two as well.
        self.mark() || self.max_manifest_size.is_some() || self.max_blob_size.is_some()
    }

    /// Whether there is one that only old lines have.
    fn mark(&self) -> bool {
        let texts = [
            &self.host,
            &self.port,
            &self.cert,
            &self.key,
            &self.names,
            &self.old_user,
            &self.password_file,
            &self.hub_user,
            &self.hub_token_file,
        ];
        self.no_tls
            || self.old_password.is_some()
            || self.hub_token.is_some()
            || self.enable_cors
            || self.proxies()
            || self.validates()
            || texts.iter().any(|text| text.is_some())
    }

    /// Whether a flag asks for a proxy.
    #[must_use]
    pub fn proxies(&self) -> bool {
        self.proxy_docker_hub
    }

    /// Whether a flag asks for the validation of images.
    #[must_use]
    pub fn validates(&self) -> bool {
        let texts = [
            &self.allow_prefixes,
            &self.allow_images,
            &self.disallow_local_prefixes,
            &self.disallow_local_images,
        ];
        self.allow_docker_official
            || self.deny_k8s_images
            || texts.iter().any(|text| text.is_some())
    }
}

const AFTER_HELP: &str = "\
Each setting comes from the first of: its flag, its environment variable, the
defaults of --environment, the built-in default. --print-config shows which.
The variables are WARREN_ENVIRONMENT and, for a flag --some-flag,
WARREN_REGISTRY_SOME_FLAG.

Exit codes: 0 ended as asked, 1 failed, 2 the arguments or settings are wrong.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Flags::command().debug_assert();
    }

    #[test]
    fn debug_shows_no_password() {
        let line = ["warren-registry", "-U", "u", "-P", "hunter2", "--hub-token", "hunter2"];
        let flags = Flags::parse_line(line).unwrap();
        assert!(!format!("{flags:?}").contains("hunter2"));
    }
}
