use super::policy::ANONYMOUS;
use super::{AuthError, Claims, Policy, Scope, TOKEN_LIFETIME, TokenKey, Users, sign};
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

    /// As much of what a token is asked for as its user may do.
    #[must_use]
    pub fn narrow(&self, user: Option<&str>, asked: impl Iterator<Item = Scope>) -> Vec<Scope> {
        asked.filter_map(|scope| self.narrow_one(user, scope)).collect()
    }

    /// A token for a user, or for nobody in particular, good for `access` or,
    /// without one, for all that the user may do.
    ///
    /// # Errors
    /// None in practice: see [`sign`].
    pub fn issue(
        &self,
        user: Option<&str>,
        access: Option<Vec<Scope>>,
        now: u64,
    ) -> Result<String, serde_json::Error> {
        sign(&Claims::new(user.unwrap_or_default(), access, now, TOKEN_LIFETIME), &self.key)
    }

    /// The users whom the policy names and the users' file doesn't, with the
    /// policy's lines.
    pub fn strangers(&self) -> impl Iterator<Item = (&str, usize)> {
        let named = self.policy.iter().flat_map(Policy::users);
        named.filter(|(name, _)| !self.users.contains(name))
    }

    fn narrow_one(&self, user: Option<&str>, scope: Scope) -> Option<Scope> {
        if scope.kind == "registry" {
            return (scope.name == "catalog" && self.may_list(user)).then_some(scope);
        }
        if scope.kind != "repository" {
            return None;
        }
        let asked = scope.actions.iter().filter_map(|name| Actions::from_name(name));
        let asked = asked.fold(Actions::NONE, |all, one| all | one);
        let granted = asked.intersection(self.granted(user, &scope.name));
        let names: Vec<_> = granted.names().collect();
        (!names.is_empty()).then(|| Scope::repository(&scope.name, &names))
    }
}
