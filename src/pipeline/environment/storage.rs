//! The `[storage]` table: where the registry's data lives.

use serde::{Deserialize, Serialize};

use super::text::{AbsolutePath, DottedName, ObjectName, Quantity, typed_as};

/// Where the registry's data lives.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Keys")]
pub struct Storage {
    /// The kind of volume, with what that kind needs.
    pub volume: Volume,
    /// What the volume offers and the claim asks for; none where the claim is
    /// somebody else's.
    pub size: Option<Quantity>,
    /// Who may mount it.
    pub access_mode: AccessMode,
    /// Who owns the files.
    pub owner: Owner,
}

typed_as!(Storage, Keys);

impl Storage {
    /// The node that holds the data, where one is named.
    #[must_use]
    pub fn node(&self) -> Option<&ObjectName> {
        match &self.volume {
            Volume::HostPath { node, .. } => node.as_ref(),
            Volume::Local { node, .. } => Some(node),
            Volume::Dynamic { .. } | Volume::ExistingClaim { .. } => None,
        }
    }

    /// The folder on the node, where the volume is one.
    #[must_use]
    pub fn path(&self) -> Option<&AbsolutePath> {
        match &self.volume {
            Volume::HostPath { path, .. } | Volume::Local { path, .. } => Some(path),
            Volume::Dynamic { .. } | Volume::ExistingClaim { .. } => None,
        }
    }
}

/// The kind of volume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Volume {
    /// A folder of whichever node runs the pod: `kind = "host-path"`. A
    /// cluster of several nodes needs the node named.
    HostPath {
        /// The folder.
        path: AbsolutePath,
        /// Ties the volume to one node.
        node: Option<ObjectName>,
    },
    /// A folder of one node, which the scheduler follows: `kind = "local"`.
    Local {
        /// The folder.
        path: AbsolutePath,
        /// The node, by its label `kubernetes.io/hostname`.
        node: ObjectName,
    },
    /// What a provisioner makes for the claim: `kind = "dynamic"`.
    Dynamic {
        /// The `StorageClass`; the cluster's default one where none is named.
        class: Option<DottedName>,
    },
    /// A claim that is there already: `kind = "existing-claim"`.
    ExistingClaim {
        /// Its name.
        claim: DottedName,
    },
}

/// Owner and group of the files, as numbers; 999 and 999 unless given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "OwnerKeys")]
pub struct Owner {
    /// The user that runs the registry; never root.
    pub uid: u32,
    /// The group that runs the registry; never root's.
    pub gid: u32,
}

typed_as!(Owner, OwnerKeys);

impl Default for Owner {
    fn default() -> Self {
        Self { uid: 999, gid: 999 }
    }
}

/// Who may mount a volume at the same time.
#[allow(clippy::enum_variant_names, reason = "these are the words of Kubernetes")]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
pub enum AccessMode {
    /// The pods of one node.
    #[default]
    ReadWriteOnce,
    /// One pod alone.
    ReadWriteOncePod,
    /// The pods of any node.
    ReadWriteMany,
}

impl AccessMode {
    /// The word as a claim takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWriteOnce => "ReadWriteOnce",
            Self::ReadWriteOncePod => "ReadWriteOncePod",
            Self::ReadWriteMany => "ReadWriteMany",
        }
    }
}

/// Where the registry's data lives.
#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct Keys {
    /// `host-path`, a folder of the node as it is; `local`, a folder of a named
    /// node which the scheduler follows; `dynamic`, what a provisioner makes;
    /// `existing-claim`, a claim that is there already.
    kind: Kind,
    /// The folder on the node, absolute; `host-path` and `local` need it.
    #[serde(default)]
    path: Option<AbsolutePath>,
    /// What the volume offers and the claim asks for; all but `existing-claim`
    /// need it.
    #[serde(default)]
    size: Option<Quantity>,
    /// The node's label `kubernetes.io/hostname`; `local` needs it, and
    /// `host-path` does where there are several nodes.
    #[serde(default)]
    node: Option<ObjectName>,
    /// The `StorageClass` of a `dynamic` volume; the cluster's default one where
    /// it is absent.
    #[serde(default)]
    class: Option<DottedName>,
    /// The name of the claim; `existing-claim` needs it.
    #[serde(default)]
    claim: Option<DottedName>,
    /// Who may mount the volume at the same time.
    #[serde(default)]
    access_mode: AccessMode,
    /// Owner and group of the files and of the registry's process; never root.
    #[serde(default)]
    owner: Owner,
}

#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
enum Kind {
    HostPath,
    Local,
    Dynamic,
    ExistingClaim,
}

impl TryFrom<Keys> for Storage {
    type Error = &'static str;

    fn try_from(keys: Keys) -> Result<Self, Self::Error> {
        let Keys { kind, path, size, node, class, claim, access_mode, owner } = keys;
        let folder = || path.ok_or("this kind of volume is a folder of a node: add `path = \"…\"`");
        let volume = match (kind, node) {
            (Kind::HostPath, node) => Volume::HostPath { path: folder()?, node },
            (Kind::Local, Some(node)) => Volume::Local { path: folder()?, node },
            (Kind::Local, None) => {
                return Err("a local volume lives on one node: add `node = \"…\"`");
            }
            (Kind::Dynamic, _) => Volume::Dynamic { class },
            (Kind::ExistingClaim, _) => Volume::ExistingClaim {
                claim: claim.ok_or("which claim is there already: add `claim = \"…\"`")?,
            },
        };
        let size = match volume {
            Volume::ExistingClaim { .. } => None,
            _ => Some(size.ok_or("how large is the volume: add `size = \"10Gi\"`")?),
        };
        Ok(Self { volume, size, access_mode, owner })
    }
}

/// Owner and group, as numbers.
#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
struct OwnerKeys {
    /// The user of the files and of the registry's process; never root.
    uid: u32,
    /// The same of the group.
    gid: u32,
}

impl Default for OwnerKeys {
    fn default() -> Self {
        let Owner { uid, gid } = Owner::default();
        Self { uid, gid }
    }
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
