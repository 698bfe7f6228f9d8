//! Every environment variable that the registry reads.

/// The environment whose baked defaults are taken; the flag is
/// `--environment`.
pub const WARREN_ENVIRONMENT: &str = "WARREN_ENVIRONMENT";

/// Stands in for `--log-level` where nothing else sets it, as in Trow.
pub const RUST_LOG: &str = "RUST_LOG";

/// The settings that a variable of their own can give: the name of the
/// setting, and the variable. An empty variable counts as unset.
pub const SETTINGS: &[(&str, &str)] = &[
    // Addresses to listen on, comma list.
    ("bind", "WARREN_REGISTRY_BIND"),
    // `off`, or `cert,key`.
    ("tls", "WARREN_REGISTRY_TLS"),
    // Host names, comma or space list.
    ("hostname", "WARREN_REGISTRY_HOSTNAME"),
    // The data folder.
    ("data-dir", "WARREN_REGISTRY_DATA_DIR"),
    // The user who may log in.
    ("user", "WARREN_REGISTRY_USER"),
    // Their password, or `file://path`.
    ("password", "WARREN_REGISTRY_PASSWORD"),
    // The file of several users.
    ("htpasswd", "WARREN_REGISTRY_HTPASSWD"),
    // Who may do what where.
    ("policy", "WARREN_REGISTRY_POLICY"),
    // The file of the key of tokens.
    ("token-key-file", "WARREN_REGISTRY_TOKEN_KEY_FILE"),
    // The URL that clients reach the registry by.
    ("external-url", "WARREN_REGISTRY_EXTERNAL_URL"),
    // Proxies that are believed, comma list of addresses and networks.
    ("trusted-proxies", "WARREN_REGISTRY_TRUSTED_PROXIES"),
    // Seconds between looks for changed files; 0 for none.
    ("reload-interval", "WARREN_REGISTRY_RELOAD_INTERVAL"),
    // Trow's YAML file.
    ("config-file", "WARREN_REGISTRY_CONFIG_FILE"),
    // Origins that browsers may call from, comma list.
    ("cors", "WARREN_REGISTRY_CORS"),
    // Largest manifest, in MiB.
    ("max-manifest-size", "WARREN_REGISTRY_MAX_MANIFEST_SIZE"),
    // Largest blob, in MiB.
    ("max-blob-size", "WARREN_REGISTRY_MAX_BLOB_SIZE"),
    // Levels of the log.
    ("log-level", "WARREN_REGISTRY_LOG_LEVEL"),
    // `text` or `json`.
    ("log-format", "WARREN_REGISTRY_LOG_FORMAT"),
    // Connections at the same time.
    ("max-connections", "WARREN_REGISTRY_MAX_CONNECTIONS"),
    // Seconds for requests in flight at the end.
    ("stop-timeout", "WARREN_REGISTRY_STOP_TIMEOUT"),
    // Whether manifests may lack their blobs: `true` or `false`.
    ("allow-sparse-manifests", "WARREN_REGISTRY_ALLOW_SPARSE_MANIFESTS"),
    // Largest head of a request, in KiB.
    ("max-head-size", "WARREN_REGISTRY_MAX_HEAD_SIZE"),
    // Seconds for a TLS handshake and for the head of a request.
    ("head-timeout", "WARREN_REGISTRY_HEAD_TIMEOUT"),
    // Seconds that a connection may do nothing.
    ("idle-timeout", "WARREN_REGISTRY_IDLE_TIMEOUT"),
    // Requests that bring a blob or a manifest at the same time.
    ("max-uploads", "WARREN_REGISTRY_MAX_UPLOADS"),
    // How many of them one client may have.
    ("max-uploads-per-client", "WARREN_REGISTRY_MAX_UPLOADS_PER_CLIENT"),
    // KiB a second that a client sends of a body, and takes of its answers, at least.
    ("min-body-rate", "WARREN_REGISTRY_MIN_BODY_RATE"),
    // Who may read `/metrics`: `open`, `login` or `off`.
    ("metrics", "WARREN_REGISTRY_METRICS"),
    // The collector of traces.
    ("otlp-endpoint", "WARREN_REGISTRY_OTLP_ENDPOINT"),
    // Time between two collections.
    ("gc-interval", "WARREN_REGISTRY_GC_INTERVAL"),
    // How long what was touched is kept from collection.
    ("gc-lease", "WARREN_REGISTRY_GC_LEASE"),
    // Age at which untagged manifests are collected.
    ("gc-untagged", "WARREN_REGISTRY_GC_UNTAGGED"),
    // Time between two scrubs.
    ("scrub-interval", "WARREN_REGISTRY_SCRUB_INTERVAL"),
    // MiB that a scrub reads in a second.
    ("scrub-rate", "WARREN_REGISTRY_SCRUB_RATE"),
];

/// The variable of a setting.
#[must_use]
pub fn of(setting: &str) -> Option<&'static str> {
    SETTINGS.iter().find(|(name, _)| *name == setting).map(|(_, variable)| *variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_follow_one_rule() {
        for (setting, variable) in SETTINGS {
            let rule = format!("WARREN_REGISTRY_{}", setting.to_uppercase().replace('-', "_"));
            assert_eq!(*variable, rule);
        }
    }
}
