//! The notes' own test, done by our client: login, push, pull, compare digests.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Client, ClientError, Manifest};
use crate::digest::Digest;

/// The tag that a proof pushes.
pub const TAG: &str = "latest";

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";
const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";

/// One step, and how long it took.
#[derive(Debug, serde::Serialize)]
pub struct Step {
    /// What was done.
    pub name: &'static str,
    /// Whether it passed.
    pub passed: bool,
    /// What came of it, or why it did not pass.
    pub outcome: String,
    /// Seconds.
    pub seconds: f64,
}

/// Proves a registry: `client` must be let in with the right password,
/// `stranger` be kept out with a wrong one, and `client` get back what it
/// pushed to this repository. `who` is said of the login. Each step is in
/// `steps`, the last of them perhaps one that failed. The digest of what was pushed.
///
/// # Errors
/// The first step that did not go as the specification says.
pub fn prove(
    client: &Client,
    stranger: &Client,
    repository: &str,
    who: &str,
    steps: &mut Vec<Step>,
) -> Result<Digest, ProofError> {
    timed(steps, "login", || {
        client.login()?;
        Ok::<_, ProofError>(((), who.to_owned()))
    })?;
    timed(steps, "wrong password", || match stranger.login() {
        Err(ClientError::Answer { found, .. }) if found.starts_with("401") => {
            Ok(((), "refused".to_owned()))
        }
        Err(error) => Err(error.into()),
        Ok(()) => Err(ProofError::LetIn),
    })?;
    // Two zero blocks are an empty tar archive: the smallest layer there is.
    let layer = vec![0; 1024];
    let image = timed(steps, "push", || {
        let image = push(client, repository, &layer)?;
        let text = format!("{repository}:{TAG} is {}", image.digest);
        Ok::<_, ProofError>((image, text))
    })?;
    timed(steps, "pull", || {
        let manifest = client.pull_manifest(repository, TAG)?;
        let by_digest = client.pull_manifest(repository, &image.digest.to_string())?;
        let config = client.pull_blob(repository, &image.config)?;
        let back = client.pull_blob(repository, &image.layer)?;
        let found = Digest::sha256(&manifest.bytes);
        if found != image.digest || by_digest != manifest || back != layer {
            return Err(ProofError::Differs { pushed: image.digest.clone(), pulled: found });
        }
        let size = manifest.bytes.len() + config.len() + back.len();
        Ok(((), format!("{size} bytes, digests equal")))
    })?;
    Ok(image.digest)
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

fn push(client: &Client, repository: &str, layer: &[u8]) -> Result<Image, ProofError> {
    let digest = client.push_blob(repository, layer)?;
    let config = json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [digest.to_string()] },
    })
    .to_string();
    let config_digest = client.push_blob(repository, config.as_bytes())?;
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
    let pushed = client.push_manifest(repository, TAG, &manifest)?;
    Ok(Image { digest: pushed, config: config_digest, layer: digest })
}

/// Runs one step; what it gives, and what is said of it.
///
/// # Errors
/// Those of the step.
pub fn timed<T, E: std::fmt::Display>(
    steps: &mut Vec<Step>,
    name: &'static str,
    step: impl FnOnce() -> Result<(T, String), E>,
) -> Result<T, E> {
    let start = Instant::now();
    let done = step();
    let seconds = Duration::as_secs_f64(&start.elapsed());
    match done {
        Ok((value, outcome)) => {
            steps.push(Step { name, passed: true, outcome, seconds });
            Ok(value)
        }
        Err(error) => {
            steps.push(Step { name, passed: false, outcome: error.to_string(), seconds });
            Err(error)
        }
    }
}
