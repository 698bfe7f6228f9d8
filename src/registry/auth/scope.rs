use std::fmt;

use serde::{Deserialize, Serialize};

/// One row of an access list: a resource and what may be done with it, as the
/// distribution token specification writes it in `scope=` and in the `access`
/// claim.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// `repository` or `registry`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The repository's name, or `catalog`.
    pub name: String,
    /// `pull`, `push`, `delete`, `*`.
    pub actions: Vec<String>,
}

impl Scope {
    /// A scope of one repository.
    #[must_use]
    pub fn repository(name: &str, actions: &[&str]) -> Self {
        Self {
            kind: "repository".to_owned(),
            name: name.to_owned(),
            actions: actions.iter().map(|&action| action.to_owned()).collect(),
        }
    }

    /// The catalog of all repositories.
    #[must_use]
    pub fn catalog() -> Self {
        Self {
            kind: "registry".to_owned(),
            name: "catalog".to_owned(),
            actions: vec!["*".to_owned()],
        }
    }

    /// Reads the value of one `scope` parameter: scopes separated by spaces.
    /// What is no scope is dropped, as the specification lets a token server
    /// grant less than it was asked for.
    #[must_use]
    pub fn parse_list(text: &str) -> Vec<Self> {
        text.split(' ').filter_map(Self::parse).collect()
    }

    /// Reads `type:name:action,action`. The name may hold colons: a host
    /// with a port does.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (kind, rest) = text.split_once(':')?;
        let (name, actions) = rest.rsplit_once(':')?;
        // `repository(plugin)` is the older spelling of the same resource.
        let kind = kind.split_once('(').map_or(kind, |(kind, _)| kind);
        if kind.is_empty() || name.is_empty() {
            return None;
        }
        let actions =
            actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned).collect();
        Some(Self { kind: kind.to_owned(), name: name.to_owned(), actions })
    }

    /// Whether this row allows all that `wanted` asks.
    #[must_use]
    pub fn covers(&self, wanted: &Self) -> bool {
        self.kind == wanted.kind
            && self.name == wanted.name
            && wanted.actions.iter().all(|action| {
                self.actions.iter().any(|granted| granted == action || granted == "*")
            })
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.name, self.actions.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_clients_send() {
        let both = Scope::parse_list("repository:a/b:pull,push repository:c:pull");
        assert_eq!(
            both,
            [Scope::repository("a/b", &["pull", "push"]), Scope::repository("c", &["pull"])]
        );
        assert_eq!(Scope::parse("registry:catalog:*"), Some(Scope::catalog()));
        assert_eq!(
            Scope::parse("repository:host:5000/a:pull").map(|scope| scope.name).as_deref(),
            Some("host:5000/a")
        );
        assert_eq!(Scope::parse_list("push/pull repository:: ::"), []);
        assert_eq!(Scope::repository("a", &["pull", "push"]).to_string(), "repository:a:pull,push");
    }

    #[test]
    fn covers_no_more_than_it_says() {
        let granted = Scope::repository("a", &["pull", "push"]);
        assert!(granted.covers(&Scope::repository("a", &["push"])));
        assert!(!granted.covers(&Scope::repository("a", &["delete"])));
        assert!(!granted.covers(&Scope::repository("b", &["pull"])));
        assert!(!granted.covers(&Scope::catalog()));
        assert!(Scope::repository("a", &["*"]).covers(&Scope::repository("a", &["delete"])));
    }
}
