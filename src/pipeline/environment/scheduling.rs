//! The `[scheduling]` table: which nodes the registry's pods run on.

use std::collections::BTreeMap;
use std::num::NonZeroU8;

use serde::{Deserialize, Serialize};

use super::text::{DottedName, LabelKey, LabelValue, typed_as};

/// Which nodes the registry's pods run on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct Scheduling {
    /// Labels that a node must have.
    pub node_selector: BTreeMap<LabelKey, LabelValue>,
    /// Labels that nodes are to be given, by the node's name; `warren check`
    /// prints the commands.
    pub node_labels: BTreeMap<DottedName, BTreeMap<LabelKey, LabelValue>>,
    /// What nodes must have, or, with a weight, had better have.
    pub affinity: Vec<NodeRule>,
    /// Keeps the registry's pods apart from each other.
    pub anti_affinity: Option<AntiAffinity>,
    /// Taints that the pods put up with.
    pub tolerations: Vec<Toleration>,
    /// How evenly the pods are spread.
    pub topology_spread: Vec<Spread>,
}

/// One requirement of nodes' labels.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "NodeRuleKeys")]
pub struct NodeRule {
    /// The label.
    pub key: LabelKey,
    /// How it is compared.
    pub operator: NodeOperator,
    /// What it is compared with.
    pub values: Vec<LabelValue>,
    /// From 1 to 100 where it is a preference; a requirement where it is absent.
    pub weight: Option<NonZeroU8>,
}

typed_as!(NodeRule, NodeRuleKeys);

/// How a node's label is compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
pub enum NodeOperator {
    /// Its value is one of these.
    #[default]
    In,
    /// Its value is none of these.
    NotIn,
    /// It is there.
    Exists,
    /// It is not there.
    DoesNotExist,
}

impl NodeOperator {
    /// The word as a pod's affinity takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::In => "In",
            Self::NotIn => "NotIn",
            Self::Exists => "Exists",
            Self::DoesNotExist => "DoesNotExist",
        }
    }
}

/// One requirement of nodes' labels.
#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct NodeRuleKeys {
    /// The label.
    key: LabelKey,
    /// How it is compared.
    #[serde(default)]
    operator: NodeOperator,
    /// What it is compared with.
    #[serde(default)]
    values: Vec<LabelValue>,
    /// From 1 to 100 where it is a preference; a requirement where it is absent.
    #[serde(default)]
    weight: Option<NonZeroU8>,
}

impl TryFrom<NodeRuleKeys> for NodeRule {
    type Error = &'static str;

    fn try_from(keys: NodeRuleKeys) -> Result<Self, Self::Error> {
        let NodeRuleKeys { key, operator, values, weight } = keys;
        let compares = matches!(operator, NodeOperator::In | NodeOperator::NotIn);
        if compares && values.is_empty() {
            return Err("`In` and `NotIn` compare with values: add `values = [\"…\"]`");
        }
        if !compares && !values.is_empty() {
            return Err("`Exists` and `DoesNotExist` compare with nothing: remove `values`");
        }
        if weight.is_some_and(|weight| weight.get() > 100) {
            return Err("a weight goes from 1 to 100");
        }
        Ok(Self { key, operator, values, weight })
    }
}

/// How pods of the registry are kept apart.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
pub struct AntiAffinity {
    /// `true`: two pods never share a place; `false`: only where there is no
    /// other.
    pub required: bool,
    /// The label of nodes that makes a place.
    pub topology_key: LabelKey,
}

impl Default for AntiAffinity {
    fn default() -> Self {
        Self { required: false, topology_key: LabelKey::literal("kubernetes.io/hostname") }
    }
}

/// A taint that the pods put up with.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "TolerationKeys")]
pub struct Toleration {
    /// The taint's key; every taint where it is absent.
    pub key: Option<LabelKey>,
    /// The taint's value; any where it is absent.
    pub value: Option<LabelValue>,
    /// The taint's effect; every one where it is absent.
    pub effect: Option<TaintEffect>,
    /// How long a pod that runs may stay, with the effect `NoExecute`.
    pub seconds: Option<u32>,
}

typed_as!(Toleration, TolerationKeys);

/// What a taint does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
pub enum TaintEffect {
    /// No new pod.
    NoSchedule,
    /// No new pod, if there is another node.
    PreferNoSchedule,
    /// No pod at all.
    NoExecute,
}

impl TaintEffect {
    /// The word as a toleration takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NoSchedule => "NoSchedule",
            Self::PreferNoSchedule => "PreferNoSchedule",
            Self::NoExecute => "NoExecute",
        }
    }
}

/// A taint that the pods put up with.
#[derive(Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct TolerationKeys {
    /// The taint's key; every taint where it is absent.
    #[serde(default)]
    key: Option<LabelKey>,
    /// The taint's value; any where it is absent.
    #[serde(default)]
    value: Option<LabelValue>,
    /// The taint's effect; every one where it is absent.
    #[serde(default)]
    effect: Option<TaintEffect>,
    /// How many seconds a pod that runs may stay, with the effect `NoExecute`.
    #[serde(default)]
    seconds: Option<u32>,
}

impl TryFrom<TolerationKeys> for Toleration {
    type Error = &'static str;

    fn try_from(keys: TolerationKeys) -> Result<Self, Self::Error> {
        let TolerationKeys { key, value, effect, seconds } = keys;
        if key.is_none() && value.is_some() {
            return Err("a value belongs to a taint's key: add `key = \"…\"`");
        }
        if seconds.is_some() && effect != Some(TaintEffect::NoExecute) {
            return Err("`seconds` has a meaning with `effect = \"NoExecute\"` alone");
        }
        Ok(Self { key, value, effect, seconds })
    }
}

/// How evenly the pods are spread over the places of one kind.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The label of nodes that makes a place, such as
    /// `topology.kubernetes.io/zone`.
    pub topology_key: LabelKey,
    /// How many pods more one place may have than another.
    #[serde(default = "one")]
    pub max_skew: NonZeroU8,
    /// What happens to a pod that would break it.
    #[serde(default)]
    pub when_unsatisfiable: Unsatisfiable,
}

fn one() -> NonZeroU8 {
    NonZeroU8::MIN
}

/// What happens to a pod that has no place by the rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
pub enum Unsatisfiable {
    /// It waits.
    #[default]
    DoNotSchedule,
    /// It goes where it breaks them least.
    ScheduleAnyway,
}

impl Unsatisfiable {
    /// The word as a pod takes it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::DoNotSchedule => "DoNotSchedule",
            Self::ScheduleAnyway => "ScheduleAnyway",
        }
    }
}
