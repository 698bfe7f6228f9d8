//! The `[storage]` table: where the registry's data lives.

use serde::Deserialize;

use super::text::{AbsolutePath, ObjectName, Quantity};

/// Where the registry's data lives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct Storage {
    /// The kind of volume, with the node that holds it.
    pub volume: Volume,
    /// The folder on the node.
    pub path: AbsolutePath,
    /// What the volume offers and the claim asks for.
    pub size: Quantity,
    /// Who owns the files.
    pub owner: Owner,
}

impl Storage {
    /// The node that holds the data, where one is named.
    #[must_use]
    pub fn node(&self) -> Option<&ObjectName> {
        match &self.volume {
            Volume::HostPath { node } => node.as_ref(),
            Volume::Local { node } => Some(node),
        }
    }
}

/// The kind of volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// A folder of whichever node runs the pod: `kind = "host-path"`. A
    /// cluster of several nodes needs the node named.
    HostPath {
        /// Ties the volume to one node.
        node: Option<ObjectName>,
    },
    /// A folder of one node, which the scheduler follows: `kind = "local"`.
    Local {
        /// The node, by its label `kubernetes.io/hostname`.
        node: ObjectName,
    },
}

/// Owner and group of the files, as numbers; 999 and 999 unless given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "OwnerKeys")]
pub struct Owner {
    /// The user that runs the registry; never root.
    pub uid: u32,
    /// The group that runs the registry; never root's.
    pub gid: u32,
}

impl Default for Owner {
    fn default() -> Self {
        Self { uid: 999, gid: 999 }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Keys {
    kind: Kind,
    path: AbsolutePath,
    size: Quantity,
    #[serde(default)]
    node: Option<ObjectName>,
    #[serde(default)]
    owner: Owner,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Kind {
    HostPath,
    Local,
}

impl TryFrom<Keys> for Storage {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        let Keys { kind, path, size, node, owner } = keys;
        let volume = match (kind, node) {
            (Kind::HostPath, node) => Volume::HostPath { node },
            (Kind::Local, Some(node)) => Volume::Local { node },
            (Kind::Local, None) => {
                return Err("a local volume lives on one node: add `node = \"…\"`");
            }
        };
        Ok(Self { volume, path, size, owner })
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnerKeys {
    uid: u32,
    gid: u32,
}

impl TryFrom<OwnerKeys> for Owner {
    type Error = &'static str;

    fn try_from(OwnerKeys { uid, gid }: OwnerKeys) -> Result<Self, Self::Error> {
        // Kubernetes takes ids as signed 32-bit numbers.
        let valid = 1..=i32::MAX.unsigned_abs();
        if valid.contains(&uid) && valid.contains(&gid) {
            Ok(Self { uid, gid })
        } else {
            Err("the registry does not run as root: give a uid and gid from 1 to 2147483647")
        }
    }
}
