use std::collections::BTreeMap;

use super::policy::ANONYMOUS;
use super::{AuthError, Claims, Policy, Scope, SignError, TOKEN_LIFETIME, TokenKey, Users, sign};
use crate::registry::access::Actions;

/// Who there is and what they may do: what a reload exchanges as a whole.
pub struct AccessList {
    users: Users,
    policy: Option<Policy>,
    key: TokenKey,
}

impl AccessList {
    /// These users, what the policy lets them do, and the key of their tokens.
    /// Without a policy each user may do everything; without users and policy
    /// so may everyone.
    ///
    /// # Errors
    /// [`AuthError::Reserved`] for a user whose name means something else in a
    /// policy.
    pub fn new(users: Users, policy: Option<Policy>, key: TokenKey) -> Result<Self, AuthError> {
        if policy.is_some()
            && let Some(name) = [ANONYMOUS, "*"].into_iter().find(|name| users.contains(name))
        {
            return Err(AuthError::Reserved { name });
        }
        Ok(Self { users, policy, key })
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The key of the tokens.
    #[must_use]
    pub fn key(&self) -> &TokenKey {
        &self.key
    }

    /// Whether everyone may do everything, because nobody is named.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.users.is_empty() && self.policy.is_none()
    }

    /// Whether there is anything that needs no login.
    #[must_use]
    pub fn is_for_anyone(&self) -> bool {
        self.is_open() || self.policy.as_ref().is_some_and(Policy::is_for_anyone)
    }

    /// What somebody may do in a repository; who did not log in is `None`.
    #[must_use]
    pub fn granted(&self, user: Option<&str>, repository: &str) -> Actions {
        match &self.policy {
            Some(policy) => policy.granted(user, repository),
            None if user.is_some() || self.is_open() => Actions::ALL,
            None => Actions::NONE,
        }
    }

    /// Whether somebody may have the catalog. It shows what they may pull.
    #[must_use]
    pub fn may_list(&self, user: Option<&str>) -> bool {
        user.is_some() || self.is_for_anyone()
    }

    /// As much of what a token is asked for as its user may do. There is one row
    /// for each resource, however often it was named: what a request needs has to
    /// be in one.
    #[must_use]
    pub fn narrow(&self, user: Option<&str>, asked: impl Iterator<Item = Scope>) -> Vec<Scope> {
        let mut repositories = BTreeMap::<String, Actions>::new();
        let mut catalog = false;
        for scope in asked {
            match scope.kind.as_str() {
                "registry" if scope.name == "catalog" => {
                    catalog |= scope.actions.iter().any(|action| action == "*");
                }
                "repository" => {
                    let asked = scope.actions.iter().filter_map(|name| Actions::from_name(name));
                    let asked = asked.fold(Actions::NONE, |all, one| all | one);
                    let granted = asked.intersection(self.granted(user, &scope.name));
                    let row = repositories.entry(scope.name).or_default();
                    *row = *row | granted;
                }
                _ => {}
            }
        }
        let catalog = (catalog && self.may_list(user)).then(Scope::catalog);
        repositories
            .iter()
            .filter(|(_, granted)| !granted.is_empty())
            .map(|(name, granted)| Scope::repository(name, &granted.names().collect::<Vec<_>>()))
            .chain(catalog)
            .collect()
    }

    /// A token for a user, or for nobody in particular, good for `access` or,
    /// without one, for all that the user may do.
    ///
    /// # Errors
    /// As [`sign`].
    pub fn issue(
        &self,
        user: Option<&str>,
        access: Option<Vec<Scope>>,
        now: u64,
    ) -> Result<String, SignError> {
        sign(&Claims::new(user.unwrap_or_default(), access, now, TOKEN_LIFETIME), &self.key)
    }

    /// The users whom the policy names and the users' file doesn't, with the
    /// policy's lines.
    pub fn strangers(&self) -> impl Iterator<Item = (&str, usize)> {
        let named = self.policy.iter().flat_map(Policy::users);
        named.filter(|(name, _)| !self.users.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_asked_for_of_one_resource_is_one_row() {
        let list = AccessList::new(Users::default(), None, TokenKey::random().unwrap()).unwrap();
        let asked = "repository:b:push repository:a:pull registry:catalog:* repository:a:push,pull \
                     repository:c:write other:a:delete registry:catalog:* repository(plugin):a:delete";
        let narrowed = list.narrow(None, Scope::parse_list(asked).into_iter());
        let rows = [
            Scope::repository("a", &["pull", "push", "delete"]),
            Scope::repository("b", &["push"]),
            Scope::catalog(),
        ];
        assert_eq!(narrowed, rows);
        assert_eq!(list.narrow(None, Scope::parse_list("registry:catalog:pull").into_iter()), []);
    }
}
