//! The notes' own test, done by our client: login, push, pull, compare digests.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::client::{Client, ClientError, Credentials, Manifest, Trust};
use crate::digest::Digest;

use super::home::Home;

/// The repository that the proof pushes to.
pub const REPOSITORY: &str = "warren/proof";
/// The tag that it pushes.
pub const TAG: &str = "latest";

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// One step that passed, and how long it took.
#[derive(Debug, serde::Serialize)]
pub struct Step {
    /// What was done.
    pub name: &'static str,
    /// What came of it.
    pub outcome: String,
    /// Seconds.
    pub seconds: f64,
}

/// Proves a registry: a client that trusts nothing but the private CA must be
/// let in with the right password, kept out with a wrong one, and get back
/// what it pushed.
///
/// # Errors
/// The first step that did not go as the specification says.
pub fn prove(home: &Home, base: &str, dial: std::net::SocketAddr) -> Result<Vec<Step>, ProofError> {
    let trust = Trust::Authority(home.authority.certificate_pem().to_owned());
    let right = Credentials { user: home.user.clone(), password: home.password.clone() };
    let wrong = Credentials { user: home.user.clone(), password: format!("{}-", home.password) };
    let client = Client::new(base, Some(right), &trust, Some(dial))?;
    let stranger = Client::new(base, Some(wrong), &trust, Some(dial))?;
    let mut steps = Vec::new();

    timed(&mut steps, "login", || {
        client.login()?;
        Ok(format!("{} over TLS under {}", home.user, home.authority.certificate_path().display()))
    })?;
    timed(&mut steps, "wrong password", || match stranger.login() {
        Err(ClientError::Answer { found, .. }) if found.starts_with("401") => {
            Ok("refused".to_owned())
        }
        Err(error) => Err(error.into()),
        Ok(()) => Err(ProofError::LetIn),
    })?;
    // Two zero blocks are an empty tar archive: the smallest layer there is.
    let layer = vec![0; 1024];
    let mut pushed = None;
    timed(&mut steps, "push", || {
        let image = push(&client, &layer)?;
        let text = format!("{REPOSITORY}:{TAG} is {}", image.digest);
        pushed = Some(image);
        Ok(text)
    })?;
    let Some(image) = pushed else { return Err(ProofError::LetIn) };
    timed(&mut steps, "pull", || {
        let manifest = client.pull_manifest(REPOSITORY, TAG)?;
        let by_digest = client.pull_manifest(REPOSITORY, &image.digest.to_string())?;
        let config = client.pull_blob(REPOSITORY, &image.config)?;
        let back = client.pull_blob(REPOSITORY, &image.layer)?;
        let found = Digest::sha256(&manifest.bytes);
        if found != image.digest || by_digest != manifest || back != layer {
            return Err(ProofError::Differs { pushed: image.digest.clone(), pulled: found });
        }
        Ok(format!("{} bytes, digests equal", manifest.bytes.len() + config.len() + back.len()))
    })?;
    Ok(steps)
}

/// Why the proof failed.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// A request failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A wrong password was accepted.
    #[error("a wrong password was let in")]
    LetIn,
    /// What was pulled is not what was pushed.
    #[error("pushed {pushed}, pulled {pulled}")]
    Differs {
        /// The digest of what went in.
        pushed: Digest,
        /// The digest of what came out.
        pulled: Digest,
    },
}

struct Image {
    digest: Digest,
    config: Digest,
    layer: Digest,
}

fn push(client: &Client, layer: &[u8]) -> Result<Image, ProofError> {
    let digest = client.push_blob(REPOSITORY, layer)?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [digest.to_string()] },
    })
    .to_string();
    let config_digest = client.push_blob(REPOSITORY, config.as_bytes())?;
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": {
            "mediaType": CONFIG_TYPE, "digest": config_digest.to_string(), "size": config.len(),
        },
        "layers": [{
            "mediaType": LAYER_TYPE, "digest": digest.to_string(), "size": layer.len(),
        }],
    });
    let manifest =
        Manifest { media_type: MANIFEST_TYPE.to_owned(), bytes: manifest.to_string().into_bytes() };
    let pushed = client.push_manifest(REPOSITORY, TAG, &manifest)?;
    Ok(Image { digest: pushed, config: config_digest, layer: digest })
}

fn timed(
    steps: &mut Vec<Step>,
    name: &'static str,
    step: impl FnOnce() -> Result<String, ProofError>,
) -> Result<(), ProofError> {
    let start = Instant::now();
    let outcome = step()?;
    let seconds = Duration::as_secs_f64(&start.elapsed());
    steps.push(Step { name, outcome, seconds });
    Ok(())
}
