//! An image of one static program, written without a container engine: an OCI
//! image layout in a tar file. The same program, owner and time give the same
//! bytes, whoever builds them and where.

mod elf;
mod tar;

use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

pub use elf::{ElfError, architecture};
use tar::Tar;

use crate::digest::Digest;

/// What an image is made of.
#[derive(Clone, Debug)]
pub struct Recipe<'a> {
    /// The program, which must be static: there is nothing else in the image.
    pub program: &'a [u8],
    /// Where it is in the image, without the first slash.
    pub path: &'a str,
    /// Folders for its data, without the first slash; they belong to the user.
    pub folders: &'a [&'a str],
    /// The number of the user and of the group that it runs as.
    pub owner: u32,
    /// The port that it listens on.
    pub port: u16,
    /// What the image is called, with a tag.
    pub name: &'a str,
    /// Labels, in byte order.
    pub labels: &'a [(&'a str, &'a str)],
    /// Seconds since 1970: when it was made, as it says.
    pub time: u64,
}

/// An image, ready to be written to a file.
#[derive(Debug)]
pub struct Image {
    /// The tar file that `podman load` and `skopeo copy oci-archive:` take.
    pub archive: Vec<u8>,
    /// The digest of the manifest.
    pub digest: Digest,
}

/// A blob with its descriptor.
struct Blob {
    bytes: Vec<u8>,
    digest: Digest,
    media_type: &'static str,
}

impl Blob {
    fn new(bytes: Vec<u8>, media_type: &'static str) -> Self {
        let digest = Digest::sha256(&bytes);
        Self { bytes, digest, media_type }
    }

    fn json(value: &Value, media_type: &'static str) -> Self {
        Self::new(value.to_string().into_bytes(), media_type)
    }

    fn descriptor(&self) -> Value {
        json!({"mediaType": self.media_type, "digest": self.digest.to_string(),
               "size": self.bytes.len()})
    }
}

/// Makes an image.
///
/// # Errors
/// [`ElfError`] where the program is none of Linux, or not static.
pub fn build(recipe: &Recipe) -> Result<Image, ElfError> {
    let architecture = architecture(recipe.program)?;
    let layer = Blob::new(layer(recipe), "application/vnd.oci.image.layer.v1.tar");
    let config = Blob::json(
        &config(recipe, architecture, &layer.digest),
        "application/vnd.oci.image.config.v1+json",
    );
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.descriptor(),
        "layers": [layer.descriptor()],
    });
    let manifest = Blob::json(&manifest, media_type);
    let mut listed = manifest.descriptor();
    if let Some(fields) = listed.as_object_mut() {
        fields.insert("platform".to_owned(), json!({"architecture": architecture, "os": "linux"}));
        let name = json!({"org.opencontainers.image.ref.name": recipe.name});
        fields.insert("annotations".to_owned(), name);
    }
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [listed],
    });

    let mut archive = Tar::new(recipe.time);
    archive.folder("blobs", 0);
    archive.folder("blobs/sha256", 0);
    for blob in [&layer, &config, &manifest] {
        archive.file(&format!("blobs/sha256/{}", blob.digest.hex()), 0o644, &blob.bytes);
    }
    archive.file("index.json", 0o644, index.to_string().as_bytes());
    archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#);
    Ok(Image { archive: archive.end(), digest: manifest.digest })
}

/// The one layer: the program, its folders, and the name of its user.
fn layer(recipe: &Recipe) -> Vec<u8> {
    let Recipe { owner, path, .. } = recipe;
    let mut layer = Tar::new(recipe.time);
    for folder in recipe.folders {
        layer.folder(folder, *owner);
    }
    layer.folder("etc", 0);
    layer.file("etc/group", 0o644, format!("warren:x:{owner}:\n").as_bytes());
    let user = format!("warren:x:{owner}:{owner}::/:/sbin/nologin\n");
    layer.file("etc/passwd", 0o644, user.as_bytes());
    layer.file(path, 0o755, recipe.program);
    layer.end()
}

fn config(recipe: &Recipe, architecture: &str, layer: &Digest) -> Value {
    let Recipe { owner, path, port, labels, time, .. } = recipe;
    let time = i64::try_from(*time).ok();
    let created = time
        .and_then(|time| OffsetDateTime::from_unix_timestamp(time).ok())
        .and_then(|time| time.format(&Rfc3339).ok());
    let volumes: serde_json::Map<_, _> =
        recipe.folders.iter().map(|folder| (format!("/{folder}"), json!({}))).collect();
    let labels: serde_json::Map<_, _> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
    json!({
        "created": created,
        "architecture": architecture,
        "os": "linux",
        "config": {
            "User": format!("{owner}:{owner}"),
            "ExposedPorts": {format!("{port}/tcp"): {}},
            "Entrypoint": [format!("/{path}")],
            "Volumes": volumes,
            "WorkingDir": "/",
            "Labels": labels,
            "StopSignal": "SIGTERM",
        },
        "rootfs": {"type": "layers", "diff_ids": [layer.to_string()]},
        "history": [{"created": created, "created_by": "warren image"}],
    })
}
