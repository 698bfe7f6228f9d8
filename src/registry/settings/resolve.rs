use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};

use super::flags::Flags;
use super::layers::{Layers, flag};
use super::values::{list, web_origin};
use super::{
    ConfigFile, EnvironmentDefaults, LogFormat, Operating, Origin, PasswordSource, Setting,
    Settings, SettingsError, Source, Validation, Variables, bind, env_vars, tls, upkeep,
};
use crate::fs;
use crate::registry::http::base_url::is_authority;
use crate::registry::network::Network;

/// What the spec asks a registry to take at least, and Trow's own limit.
const MAX_MANIFEST_MIB: u64 = 4;
const MAX_CONNECTIONS: usize = 4096;
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
const RELOAD_INTERVAL: Duration = Duration::from_secs(5);
const MIB: u64 = 1 << 20;

impl Settings {
    /// Resolves flags, variables, the environment's and the built-in defaults,
    /// in this order.
    ///
    /// # Errors
    /// [`SettingsError`], which names the setting and where its value comes
    /// from.
    pub fn resolve(flags: &Flags, variables: &Variables) -> Result<Self, SettingsError> {
        let environment = environment(flags, variables)?;
        let defaults = environment.value;
        let layers = Layers { variables, environment: defaults };
        let text = |setting, spelling, value: &Option<String>| {
            layers.text(setting, flag(spelling, value.as_deref()))
        };
        let old = &flags.old;
        let mut warnings = Vec::new();

        let tls = tls::resolve(flags, &layers, &mut warnings)?;
        let bind = bind::resolve(flags, &layers, &tls.value)?;
        let hostname = match &old.names {
            Some(names) => flag("--names", Some(names)),
            None => flag("--hostname", flags.hostname.as_deref()),
        };
        let hostnames = layers.parsed("hostname", hostname, hostnames)?;
        let external = flag("--external-url", flags.external_url.as_deref());
        let external =
            layers.parsed("external-url", external, |text| external_url(text).map(Some))?;
        let (user, password) = user(flags, &layers, &mut warnings)?;
        let config_file = optional_path(text("config-file", "--config-file", &flags.config_file)?);
        let config = read_config(&config_file, &mut warnings)?;
        let cors = cors(flags, &layers, &mut warnings)?;
        let level = flag("--log-level", flags.log_level.as_deref());
        let by_file = config.as_ref().and_then(|config| config.log_level.clone());
        let by_file = by_file
            .zip(config_file.value.clone())
            .map(|(value, file)| Setting { value, origin: Origin::ConfigFile(file) });
        let log_level = log_level_setting(&layers, level, by_file, variables)?;
        let log_format = flag("--log-format", flags.log_format.as_deref());
        let connections = flag("--max-connections", flags.max_connections.as_deref());
        let stop = flag("--stop-timeout", flags.stop_timeout.as_deref());
        let sparse = flag("--allow-sparse-manifests", flags.allow_sparse_manifests.as_deref());
        let manifest = flag("--max-manifest-size", old.max_manifest_size.as_deref());
        let blob = flag("--max-blob-size", old.max_blob_size.as_deref());

        let proxies = flags.trusted_proxies.as_ref().map(|networks| networks.join(","));
        let proxies = flag("--trusted-proxies", proxies.as_deref());
        let reload = flag("--reload-interval", flags.reload_interval.as_deref());

        Ok(Self {
            environment: environment.map(|found| found.map(|found| found.name)),
            bind,
            tls,
            hostnames: hostnames.unwrap_or_else(|| Setting::built_in(Vec::new())),
            external_url: external.unwrap_or(Setting::built_in(None)),
            data_dir: text("data-dir", "--data-dir", &flags.data_dir)?
                .unwrap_or_else(|| Setting::built_in("./data".to_owned()))
                .map(PathBuf::from),
            user,
            password,
            htpasswd: optional_path(text("htpasswd", "--htpasswd", &flags.htpasswd)?),
            policy: optional_path(text("policy", "--policy", &flags.policy)?),
            token_key_file: optional_path(text(
                "token-key-file",
                "--token-key-file",
                &flags.token_key_file,
            )?),
            trusted_proxies: layers
                .parsed("trusted-proxies", proxies, networks)?
                .unwrap_or(Setting::built_in(Vec::new())),
            reload_interval: layers
                .parsed("reload-interval", reload, |text| {
                    whole::<u32>(text, &0)
                        .map(|seconds| (seconds > 0).then(|| Duration::from_secs(seconds.into())))
                })?
                .unwrap_or(Setting::built_in(Some(RELOAD_INTERVAL))),
            proxied: proxied(flags, config.as_ref(), &config_file),
            validation: validation(flags, config.as_ref()),
            config_file,
            config,
            cors,
            max_manifest_size: layers
                .parsed("max-manifest-size", manifest, mebibytes)?
                .unwrap_or(Setting::built_in(MAX_MANIFEST_MIB * MIB)),
            max_blob_size: layers
                .parsed("max-blob-size", blob, |text| mebibytes(text).map(Some))?
                .unwrap_or(Setting::built_in(None)),
            log_level,
            log_format: layers
                .parsed("log-format", log_format, log_format_of)?
                .unwrap_or(Setting::built_in(LogFormat::Text)),
            max_connections: layers
                .parsed("max-connections", connections, |text| whole(text, &1))?
                .unwrap_or(Setting::built_in(MAX_CONNECTIONS)),
            stop_timeout: layers
                .parsed("stop-timeout", stop, |text| {
                    whole::<u32>(text, &0).map(|seconds| Duration::from_secs(seconds.into()))
                })?
                .unwrap_or(Setting::built_in(STOP_TIMEOUT)),
            allow_sparse_manifests: layers
                .parsed("allow-sparse-manifests", sparse, yes_or_no)?
                .unwrap_or(Setting::built_in(false)),
            operating: Operating::resolve(flags, &layers)?,
            upkeep: upkeep::resolve(flags, &layers)?,
            warnings,
            source: Arc::new(Source { flags: flags.clone(), variables: variables.clone() }),
        })
    }

    /// What was asked for, accepted, and is not there in this version: the
    /// flags or keys by name.
    #[must_use]
    pub fn unserved(&self) -> Vec<String> {
        let asked = !self.proxied.value.is_empty();
        let feature = asked.then(|| format!("proxied registries ({})", self.proxied.origin));
        feature.into_iter().collect()
    }
}

type Environment = Setting<Option<&'static EnvironmentDefaults>>;

fn environment(flags: &Flags, variables: &Variables) -> Result<Environment, SettingsError> {
    let (name, origin) = match &flags.environment {
        Some(name) => (name.clone(), Origin::Flag("--environment")),
        None => match variables.get(env_vars::WARREN_ENVIRONMENT)? {
            Some(name) => (name, Origin::Variable(env_vars::WARREN_ENVIRONMENT)),
            None => return Ok(Setting::built_in(None)),
        },
    };
    Ok(Setting { value: Some(EnvironmentDefaults::find(&name)?), origin })
}

type User = (Setting<Option<String>>, Setting<Option<PasswordSource>>);

/// Resolves the one user. The 2020 generation let `--password` win over
/// `--password-file`; so does this.
fn user(flags: &Flags, layers: &Layers, warnings: &mut Vec<String>) -> Result<User, SettingsError> {
    let old = &flags.old;
    let user = match &old.old_user {
        Some(user) => flag("-u", Some(user)),
        None => flag("--user", flags.user.as_deref()),
    };
    let user = layers.parsed("user", user, user_name)?;
    let typed = if let Some(password) = &old.old_password {
        let value = PasswordSource::Value(crate::registry::auth::Secret::new(&*password.0));
        Some(Setting { value, origin: Origin::Flag("-p") })
    } else if let Some(password) = &flags.password {
        let origin = Origin::Flag("--password");
        Some(Setting { value: PasswordSource::parse(&password.0), origin })
    } else {
        old.password_file.as_ref().map(|file| Setting {
            value: PasswordSource::File(file.into()),
            origin: Origin::Flag("--password-file"),
        })
    };
    if let Some(password) = &typed
        && old.password_file.is_some()
        && password.origin != Origin::Flag("--password-file")
    {
        warnings.push(format!("--password-file is not read, because {} is there", password.origin));
    }
    let password = match typed {
        Some(password) => Some(password),
        None => layers.parsed("password", None, |text| Ok(PasswordSource::parse(text)))?,
    };
    if let Some(Setting { value: PasswordSource::Value(secret), origin }) = &password
        && secret.expose().is_empty()
    {
        let problem = "the password is empty".to_owned();
        return Err(SettingsError::Value { setting: "password", origin: origin.clone(), problem });
    }
    match (user, password) {
        (Some(user), Some(password)) => Ok((user.map(Some), password.map(Some))),
        (None, None) => Ok((Setting::built_in(None), Setting::built_in(None))),
        (Some(Setting { origin, .. }), None) => {
            Err(SettingsError::Half { given: "user", origin, missing: "password" })
        }
        (None, Some(Setting { origin, .. })) => {
            Err(SettingsError::Half { given: "password", origin, missing: "user" })
        }
    }
}

fn user_name(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("the user name is empty".to_owned());
    }
    if text.contains(|c: char| c == ':' || c.is_control()) {
        return Err(format!(
            "{text:?} holds a colon or a control character, which Basic authentication cannot carry"
        ));
    }
    Ok(text.to_owned())
}

fn hostnames(text: &str) -> Result<Vec<String>, String> {
    let names = list(text);
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-_:[]".contains(c);
    match names.iter().find(|name| !name.chars().all(plain)) {
        Some(name) => Err(format!("{name:?} is no host name")),
        None => Ok(names),
    }
}

/// A scheme with a host, and maybe a port.
fn external_url(text: &str) -> Result<String, String> {
    let named = |url: &String| {
        url.split_once("://")
            .is_some_and(|(scheme, host)| ["http", "https"].contains(&scheme) && is_authority(host))
    };
    // It may hold a password, so nothing of it is said.
    web_origin(text).filter(named).ok_or_else(|| {
        "this is not the URL of a registry: https://host or https://host:port, without a user or a path".to_owned()
    })
}

fn networks(text: &str) -> Result<Vec<Network>, String> {
    list(text).iter().map(|item| item.parse()).collect()
}

fn optional_path(text: Option<Setting<String>>) -> Setting<Option<PathBuf>> {
    text.map_or_else(|| Setting::built_in(None), |text| text.map(|text| Some(PathBuf::from(text))))
}

fn read_config(
    path: &Setting<Option<PathBuf>>,
    warnings: &mut Vec<String>,
) -> Result<Option<ConfigFile>, SettingsError> {
    let Some(file) = &path.value else { return Ok(None) };
    let text = fs::read_to_string(file).map_err(|source| SettingsError::File {
        setting: "config-file",
        origin: path.origin.clone(),
        source,
    })?;
    let (config, unknown) = ConfigFile::parse(file, &text)?;
    for key in unknown {
        warnings.push(format!("{}: the key {key} means nothing and is ignored", file.display()));
    }
    Ok(Some(config))
}

fn cors(
    flags: &Flags,
    layers: &Layers,
    warnings: &mut Vec<String>,
) -> Result<Setting<Vec<String>>, SettingsError> {
    if flags.old.enable_cors && flags.cors.is_none() {
        return Ok(Setting { value: vec!["*".to_owned()], origin: Origin::Flag("--enable-cors") });
    }
    let typed = flags.cors.as_ref().map(|origins| origins.join(","));
    let cors = layers.parsed("cors", flag("--cors", typed.as_deref()), |text| Ok(list(text)))?;
    let cors = cors.unwrap_or_else(|| Setting::built_in(Vec::new()));
    // Trow takes any text here; one that no browser sends is no use, nor a harm.
    let useless = |text: &&String| *text != "*" && web_origin(text).is_none();
    for text in cors.value.iter().filter(useless) {
        warnings.push(format!(
            "{text:?} of {} lets no page in: an origin is scheme://host or scheme://host:port",
            cors.origin
        ));
    }
    Ok(cors)
}

fn proxied(
    flags: &Flags,
    config: Option<&ConfigFile>,
    config_file: &Setting<Option<PathBuf>>,
) -> Setting<Vec<String>> {
    if flags.old.proxies() {
        let origin = Origin::Flag("--proxy-docker-hub");
        return Setting { value: vec!["docker.io".to_owned()], origin };
    }
    let hosts: Vec<String> = config
        .iter()
        .flat_map(|config| &config.registry_proxies.registries)
        .map(|registry| registry.host.clone())
        .collect();
    match &config_file.value {
        Some(file) if !hosts.is_empty() => {
            Setting { value: hosts, origin: Origin::ConfigFile(file.clone()) }
        }
        _ => Setting::built_in(Vec::new()),
    }
}

/// The rules of the older flags. A command line of that generation has rules
/// also where it names none, and neither does the file: what Trow let in then.
fn validation(flags: &Flags, config: Option<&ConfigFile>) -> Setting<Option<Validation>> {
    let old = &flags.old;
    let by_file = config.is_some_and(|config| config.image_validation.is_some());
    if !old.validates() && (by_file || !flags.is_old()) {
        return Setting::built_in(None);
    }
    let lists = |text: &Option<String>| text.as_deref().map(list).unwrap_or_default();
    let mut rules = Validation {
        allow_prefixes: lists(&old.allow_prefixes),
        allow_images: lists(&old.allow_images),
        deny_local_prefixes: lists(&old.disallow_local_prefixes),
        deny_local_images: lists(&old.disallow_local_images),
    };
    if old.allow_docker_official {
        rules.allow_prefixes.push("docker.io/".to_owned());
    }
    if !old.deny_k8s_images {
        let always = ["k8s.gcr.io/", "registry.k8s.io/", "docker.io/containersol/trow"];
        rules.allow_prefixes.extend(always.map(str::to_owned));
    }
    let spellings = [
        ("--allow-prefixes", old.allow_prefixes.is_some()),
        ("--allow-images", old.allow_images.is_some()),
        ("--disallow-local-prefixes", old.disallow_local_prefixes.is_some()),
        ("--disallow-local-images", old.disallow_local_images.is_some()),
        ("--allow-docker-official", old.allow_docker_official),
    ];
    let first = spellings.iter().find(|(_, given)| *given).map(|(spelling, _)| *spelling);
    match first.or(old.deny_k8s_images.then_some("--deny-k8s-images")) {
        Some(spelling) => Setting { value: Some(rules), origin: Origin::Flag(spelling) },
        None => Setting::built_in(Some(rules)),
    }
}

pub(super) fn log_level(text: &str) -> Result<String, String> {
    // A bare word that is no level would be taken for a module's name.
    let bare = |item: &&str| !item.contains('=') && item.trim().parse::<LevelFilter>().is_err();
    if text.split(',').find(bare).is_none() && text.parse::<Targets>().is_ok() {
        return Ok(text.to_owned());
    }
    Err(format!(
        "{text:?} is no level: off, error, warn, info, debug, trace, or a list of module=level"
    ))
}

/// The level of flag, variable or config file; `RUST_LOG`, which Trow reads, stands before
/// what the environment says. It is often set for other programs: what is no
/// level for this one is not an error.
fn log_level_setting(
    layers: &Layers,
    flag: Option<Setting<String>>,
    by_file: Option<Setting<String>>,
    variables: &Variables,
) -> Result<Setting<String>, SettingsError> {
    let given = layers.parsed("log-level", flag, log_level)?;
    let own = given.filter(|given| !matches!(given.origin, Origin::Environment(_)));
    if let Some(own) = own.or(by_file) {
        return Ok(own);
    }
    let level = variables.get(env_vars::RUST_LOG)?.and_then(|text| log_level(&text).ok());
    if let Some(value) = level {
        return Ok(Setting { value, origin: Origin::Variable(env_vars::RUST_LOG) });
    }
    let environment = layers.parsed("log-level", None, log_level)?;
    Ok(environment.unwrap_or_else(|| Setting::built_in("info".to_owned())))
}

fn log_format_of(text: &str) -> Result<LogFormat, String> {
    match text {
        "text" => Ok(LogFormat::Text),
        "json" => Ok(LogFormat::Json),
        _ => Err(format!("{text:?} is no log format: text and json are possible")),
    }
}

fn mebibytes(text: &str) -> Result<u64, String> {
    whole::<u64>(text, &1)?
        .checked_mul(MIB)
        .ok_or_else(|| format!("{text} MiB are more than any machine has"))
}

fn yes_or_no(text: &str) -> Result<bool, String> {
    text.trim().parse().map_err(|_| format!("{text:?} is neither true nor false"))
}

/// A whole number from `least` on.
pub(super) fn whole<T>(text: &str, least: &T) -> Result<T, String>
where
    T: std::str::FromStr + PartialOrd + std::fmt::Display,
{
    text.trim()
        .parse()
        .ok()
        .filter(|number| number >= least)
        .ok_or_else(|| format!("{text:?} is no whole number from {least} on"))
}
