//! What composition needs to know of the upstream.

use serde::Deserialize;

use super::super::origins::Origins;
use super::id::{self, GitId};
use super::lock::LockedRow;
use crate::digest::Digest;

/// The upstream's facts, from the lock alone: they are there whether or not
/// the upstream could be reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    /// The version, such as `0.10.0`.
    pub version: String,
    /// The tag, such as `v0.10.0`.
    pub tag: String,
    /// The commit's id in full.
    pub commit: GitId,
    /// The image of this version.
    pub image: Image,
    /// The TCP port that it listens on when told nothing else.
    pub port: u16,
    /// Where in the image's file system its data goes.
    pub data_path: String,
    /// The uid and gid that the image is made for.
    pub image_user: u32,
    /// The path that says whether it lives.
    pub liveness_path: String,
    /// The path that says whether it can serve.
    pub readiness_path: String,
    /// Where the lock states each of these.
    pub origins: Origins,
}

/// The upstream's container image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Image {
    /// The name without a tag.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// The digest of the image's manifest or index, once someone resolved it.
    #[serde(default, deserialize_with = "id::some_digest")]
    pub digest: Option<Digest>,
}

impl std::fmt::Display for Image {
    /// `repository:tag`, and `@digest` where it is known.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.repository, self.tag)?;
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl Upstream {
    /// Picks the facts from the contract's rows; the message names the row
    /// that is missing or of the wrong form.
    pub(super) fn from_rows(
        tag: &str,
        commit: GitId,
        image: &Image,
        rows: &[LockedRow],
    ) -> Result<Self, String> {
        let text = |name: &str| {
            let row = rows.iter().find(|row| row.name == name);
            row.map(|row| row.value.clone()).ok_or_else(|| {
                format!(
                    "the contract has no row `{name}`, which composition needs: add it to \
                     vendor/trow.contract.toml and pin again"
                )
            })
        };
        Ok(Self {
            version: text("version")?,
            tag: tag.to_owned(),
            commit,
            image: image.clone(),
            port: number("port", &text("port")?)?,
            data_path: text("data-path")?,
            image_user: number("image-user", &text("image-user")?)?,
            liveness_path: text("liveness-path")?,
            readiness_path: text("readiness-path")?,
            origins: Origins::default(),
        })
    }
}

fn number<T: std::str::FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("the value `{text}` of the row `{name}` is no number that fits"))
}
