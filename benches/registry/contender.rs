//! A peer with its servers running and the content of the comparison in them.

use std::path::{Path, PathBuf};

use warren::fs;

use super::Result;
use super::content::{self, Large};
use super::http::{Client, Endpoint};
use super::load::{OCTETS, finish_path};
use super::peer::{Kind, Mode, Peer};
use super::plan::Plan;
use super::secrets::Secrets;
use super::server::Server;

/// Where everything is.
pub const REPOSITORY: &str = "bench/image";

/// The path of the manifest that is pulled.
pub fn manifest_path() -> String {
    format!("/v2/{REPOSITORY}/manifests/latest")
}

/// The path of a blob.
pub fn blob_path(digest: &str) -> String {
    format!("/v2/{REPOSITORY}/blobs/{digest}")
}

/// What everyone is given.
pub struct Content {
    /// What is pulled in one piece.
    pub large: Large,
    /// Layers of 1 MiB.
    pub layers: Vec<(String, Vec<u8>)>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Content {
    /// Makes it.
    pub fn new(plan: &Plan) -> Self {
        let layer = |number: usize| {
            let bytes = content::random(1000 + number as u64, content::BLOCK);
            (content::digest(&bytes), bytes)
        };
        let config = b"{}".to_vec();
        let manifest = content::manifest(&config, 4096);
        Self {
            large: Large::new(1, plan.large),
            layers: (0..plan.layers).map(layer).collect(),
            config,
            manifest,
        }
    }
}

/// A peer, running.
pub struct Contender<'a> {
    /// Who it is.
    pub peer: &'a Peer,
    /// What most is measured with: without users, except ours, which has them always.
    pub main: Server,
    /// The folder of `main`.
    pub data: PathBuf,
    /// With users; ours is `main`. Held so that it runs on.
    _users: Option<Server>,
    /// Over TLS.
    pub tls: Server,
    /// With users and the user's password.
    pub basic: Option<Endpoint>,
}

impl<'a> Contender<'a> {
    /// Starts its servers over fresh folders and fills them.
    pub fn start(
        peer: &'a Peer,
        folder: &Path,
        secrets: &Secrets,
        content: &Content,
    ) -> Result<Self> {
        let data = |mode: Mode| folder.join(format!("{}-{mode:?}", peer.name.replace(' ', "-")));
        let start = |mode: Mode| peer.start(mode, &data(mode), folder, secrets);
        let ours = peer.kind == Kind::Warren;
        let mut main = start(if ours { Mode::Users } else { Mode::Open })?;
        let tls = start(Mode::Tls)?;
        let users = if ours || !peer.is_registry() { None } else { Some(start(Mode::Users)?) };
        let mut basic =
            peer.is_registry().then(|| users.as_ref().unwrap_or(&main).endpoint.clone());
        if let Some(basic) = &mut basic {
            basic.authorization = Some(Secrets::basic());
        }
        if ours && let Some(basic) = &basic {
            main.endpoint.authorization = Some(token(basic)?);
        }
        if peer.is_registry() {
            fill(&main.endpoint, content, true)?;
            push_large(&tls.endpoint, &content.large)?;
            if users.is_some()
                && let Some(basic) = &basic
            {
                fill(basic, content, false)?;
            }
        } else {
            lay_out(&data(Mode::Open), content)?;
            lay_out(&data(Mode::Tls), content)?;
        }
        let data = data(if ours { Mode::Users } else { Mode::Open });
        Ok(Self { peer, main, data, _users: users, tls, basic })
    }
}

/// A token of ours, which is good for an hour.
fn token(basic: &Endpoint) -> Result<String> {
    let (head, body) = Client::connect(basic)?.call("GET", "/login", "", b"")?;
    let body: serde_json::Value = serde_json::from_slice(&body)?;
    let token = body["token"].as_str().ok_or(format!("no token, but {}", head.status))?;
    Ok(format!("Bearer {token}"))
}

/// Pushes the manifest and, where `all` is wanted, the blobs.
fn fill(endpoint: &Endpoint, content: &Content, all: bool) -> Result<()> {
    push(endpoint, &content::digest(&content.config), &content.config)?;
    let mut client = Client::connect(endpoint)?;
    let header = format!("Content-Type: {}\r\n", content::MANIFEST);
    let (head, body) = client.call("PUT", &manifest_path(), &header, &content.manifest)?;
    if head.status != 201 {
        return Err(
            format!("a manifest got {}: {}", head.status, String::from_utf8_lossy(&body)).into()
        );
    }
    if all {
        push_large(endpoint, &content.large)?;
        for (digest, layer) in &content.layers {
            push(endpoint, digest, layer)?;
        }
    }
    Ok(())
}

/// Pushes a blob under this digest; an error where it is refused.
pub fn push(endpoint: &Endpoint, digest: &str, bytes: &[u8]) -> Result<()> {
    let large = Large { block: bytes.to_vec(), blocks: 1, digest: digest.to_owned() };
    push_large(endpoint, &large)
}

/// Pushes a blob with one POST and one PUT.
pub fn push_large(endpoint: &Endpoint, large: &Large) -> Result<()> {
    let mut client = Client::connect(endpoint)?;
    let (head, _) = client.call("POST", &format!("/v2/{REPOSITORY}/blobs/uploads/"), "", b"")?;
    let location = head.location.ok_or("an upload without a location")?;
    client.send("PUT", &finish_path(&location, &large.digest), OCTETS, large.size())?;
    for _ in 0..large.blocks {
        client.write(&large.block)?;
    }
    let head = client.head()?;
    let body = client.body(&head)?;
    if head.status != 201 {
        return Err(
            format!("a blob got {}: {}", head.status, String::from_utf8_lossy(&body)).into()
        );
    }
    Ok(())
}

/// The same content as files for nginx.
fn lay_out(root: &Path, content: &Content) -> Result<()> {
    let place = |path: String| -> Result<(PathBuf, std::fs::File)> {
        let path = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        Ok((path.clone(), std::fs::File::create(path)?))
    };
    let mut large = place(blob_path(&content.large.digest))?.1;
    for _ in 0..content.large.blocks {
        std::io::Write::write_all(&mut large, &content.large.block)?;
    }
    for (digest, bytes) in &content.layers {
        std::io::Write::write_all(&mut place(blob_path(digest))?.1, bytes)?;
    }
    std::io::Write::write_all(&mut place(manifest_path())?.1, &content.manifest)?;
    Ok(())
}
