use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Origin, Output, Setting, Settings};

/// One line of `--print-config`.
struct Row {
    name: &'static str,
    value: Value,
    origin: Origin,
}

impl Settings {
    /// Each setting with its value and where it comes from. A password shows
    /// as `(set)`.
    #[must_use]
    pub fn print(&self, output: Output) -> String {
        match output {
            Output::Text => text(&self.rows()),
            Output::Json => json(&self.rows()),
        }
    }

    fn rows(&self) -> Vec<Row> {
        vec![
            row("environment", &self.environment, |name| json!(name)),
            row("bind", &self.bind, |addresses| {
                addresses.iter().map(ToString::to_string).collect::<Vec<_>>().into()
            }),
            row("tls", &self.tls, |tls| json!(tls.to_string())),
            row("hostname", &self.hostnames, |names| json!(names)),
            row("external-url", &self.external_url, |url| json!(url)),
            row("data-dir", &self.data_dir, |path| json!(path.display().to_string())),
            row("user", &self.user, |user| json!(user)),
            row("password", &self.password, |password| {
                json!(password.as_ref().map(ToString::to_string))
            }),
            row("htpasswd", &self.htpasswd, |path| {
                json!(path.as_ref().map(|path| path.display().to_string()))
            }),
            row("policy", &self.policy, |path| {
                json!(path.as_ref().map(|path| path.display().to_string()))
            }),
            row("token-key-file", &self.token_key_file, |path| {
                json!(path.as_ref().map(|path| path.display().to_string()))
            }),
            row("trusted-proxies", &self.trusted_proxies, |networks| {
                networks.iter().map(ToString::to_string).collect::<Vec<_>>().into()
            }),
            row("reload-interval", &self.reload_interval, |interval| {
                json!(interval.map_or(0, |interval| interval.as_secs()))
            }),
            row("config-file", &self.config_file, |path| {
                json!(path.as_ref().map(|path| path.display().to_string()))
            }),
            row("cors", &self.cors, |origins| json!(origins)),
            row("proxied-registries", &self.proxied, |hosts| json!(hosts)),
            row("validation", &self.validation, |rules| {
                json!(rules.as_ref().map(|rules| json!({
                    "allow-prefixes": rules.allow_prefixes,
                    "allow-images": rules.allow_images,
                    "disallow-local-prefixes": rules.deny_local_prefixes,
                    "disallow-local-images": rules.deny_local_images,
                })))
            }),
            row("max-manifest-size", &self.max_manifest_size, |bytes| json!(bytes)),
            row("max-blob-size", &self.max_blob_size, |bytes| json!(bytes)),
            row("log-level", &self.log_level, |level| json!(level)),
            row("log-format", &self.log_format, |format| json!(format.name())),
            row("max-connections", &self.max_connections, |count| json!(count)),
            row("stop-timeout", &self.stop_timeout, |timeout| json!(timeout.as_secs())),
            row("allow-sparse-manifests", &self.allow_sparse_manifests, |allowed| json!(allowed)),
            row("max-head-size", &self.operating.max_head_size, |bytes| json!(bytes)),
            row("head-timeout", &self.operating.head_timeout, |time| json!(time.as_secs())),
            row("idle-timeout", &self.operating.idle_timeout, |time| json!(time.as_secs())),
            row("max-uploads", &self.operating.max_uploads, |count| json!(count)),
            row("max-uploads-per-client", &self.operating.max_uploads_per_client, |count| {
                json!(count)
            }),
            row("min-body-rate", &self.operating.min_body_rate, |bytes| json!(bytes)),
            row("metrics", &self.operating.metrics, |access| json!(access.name())),
            row("otlp-endpoint", &self.operating.otlp_endpoint, |url| json!(url)),
            row("gc-interval", &self.upkeep.gc_interval, |span| {
                json!(span.as_ref().map(Duration::as_secs))
            }),
            row("gc-lease", &self.upkeep.gc_lease, |lease| json!(lease.as_secs())),
            row("gc-untagged", &self.upkeep.gc_untagged, |span| {
                json!(span.as_ref().map(Duration::as_secs))
            }),
            row("scrub-interval", &self.upkeep.scrub_interval, |span| {
                json!(span.as_ref().map(Duration::as_secs))
            }),
            row("scrub-rate", &self.upkeep.scrub_rate, |rate| json!(rate)),
        ]
    }
}

fn row<T>(name: &'static str, setting: &Setting<T>, value: impl FnOnce(&T) -> Value) -> Row {
    Row { name, value: value(&setting.value), origin: setting.origin.clone() }
}

fn text(rows: &[Row]) -> String {
    let cells: Vec<(&str, String, String)> =
        rows.iter().map(|row| (row.name, cell(&row.value), row.origin.to_string())).collect();
    let names = cells.iter().map(|(name, ..)| name.len()).max().unwrap_or(0);
    let values = cells.iter().map(|(_, value, _)| value.chars().count()).max().unwrap_or(0);
    let mut out = String::new();
    for (name, value, origin) in cells {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{name:names$}  {value:values$}  {origin}");
    }
    out
}

/// A value in one cell: lists with commas, nothing as a dash.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "-".to_owned(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn json(rows: &[Row]) -> String {
    let mut object = serde_json::Map::new();
    for row in rows {
        let mut origin = json!({"kind": row.origin.kind()});
        if let (Some(name), Some(fields)) = (row.origin.name(), origin.as_object_mut()) {
            fields.insert("name".to_owned(), name.into());
        }
        object.insert(row.name.to_owned(), json!({"value": row.value, "origin": origin}));
    }
    format!("{:#}\n", Value::Object(object))
}
