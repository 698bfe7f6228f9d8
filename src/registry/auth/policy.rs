use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::AuthError;
use super::glob::Glob;
use crate::registry::access::Actions;

/// Stands for those who did not log in.
pub const ANONYMOUS: &str = "anonymous";
/// Stands for each user who did.
const EVERY_USER: &str = "*";

/// Who may do what where. What no rule allows is not allowed.
#[derive(Clone, Debug)]
pub struct Policy {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    users: Vec<Who>,
    repositories: Vec<Glob>,
    actions: Actions,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Who {
    /// Everyone, also those who did not log in.
    Anyone,
    /// Everyone who logged in.
    EveryUser,
    /// This user, whom a line of the file names.
    User(String, usize),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    rule: Vec<RuleText>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleText {
    users: Spanned<Vec<Spanned<String>>>,
    repositories: Spanned<Vec<Spanned<String>>>,
    actions: Spanned<Vec<Spanned<String>>>,
}

impl Policy {
    /// Reads the text of a policy file. `path` is for the errors.
    ///
    /// # Errors
    /// [`AuthError::Policy`] with line and column.
    pub fn parse(path: &Path, text: &str) -> Result<Self, AuthError> {
        let refused = |place: usize, problem: String| AuthError::Policy {
            path: path.to_owned(),
            line: line(text, place),
            column: place - start_of_line(text, place) + 1,
            problem,
        };
        let file: File = toml::from_str(text).map_err(|error| {
            refused(error.span().map_or(0, |span| span.start), error.message().to_owned())
        })?;
        if file.rule.is_empty() {
            let problem = "there is no [[rule]], so nobody might do anything; to let every user \
                           do everything leave --policy out";
            return Err(refused(0, problem.to_owned()));
        }
        let rules = file.rule.into_iter().map(|rule| rule.read(text));
        let rules = rules.collect::<Result<_, _>>();
        rules.map(|rules| Self { rules }).map_err(|(place, problem)| refused(place, problem))
    }

    /// What somebody may do in a repository; nobody in particular is `None`.
    #[must_use]
    pub fn granted(&self, user: Option<&str>, repository: &str) -> Actions {
        let mut granted = Actions::NONE;
        for rule in &self.rules {
            if !granted.contains(rule.actions)
                && rule.users.iter().any(|who| who.is(user))
                && rule.repositories.iter().any(|glob| glob.matches(repository))
            {
                granted = granted | rule.actions;
            }
        }
        granted
    }

    /// Whether there is anything that needs no login.
    #[must_use]
    pub fn is_for_anyone(&self) -> bool {
        self.rules.iter().any(|rule| rule.users.contains(&Who::Anyone))
    }

    /// The users by name, with the lines that name them.
    pub fn users(&self) -> impl Iterator<Item = (&str, usize)> {
        self.rules.iter().flat_map(|rule| &rule.users).filter_map(|who| match who {
            Who::User(name, line) => Some((name.as_str(), *line)),
            Who::Anyone | Who::EveryUser => None,
        })
    }
}

impl Who {
    fn is(&self, user: Option<&str>) -> bool {
        match self {
            Self::Anyone => true,
            Self::EveryUser => user.is_some(),
            Self::User(name, _) => user == Some(name),
        }
    }
}

/// A place in the text and what is wrong there.
type Problem = (usize, String);

impl RuleText {
    fn read(self, text: &str) -> Result<Rule, Problem> {
        let users = each("users", self.users, |name, place| match name {
            ANONYMOUS => Ok(Who::Anyone),
            EVERY_USER => Ok(Who::EveryUser),
            "" => Err("a user name is not empty".to_owned()),
            _ => Ok(Who::User(name.to_owned(), line(text, place))),
        })?;
        let repositories = each("repositories", self.repositories, |glob, _| Glob::parse(glob))?;
        let actions = each("actions", self.actions, |name, _| {
            Actions::from_name(name)
                .filter(|_| name != "*")
                .ok_or_else(|| format!("{name:?} is no action: pull, push and delete are possible"))
        })?;
        let actions = actions.into_iter().fold(Actions::NONE, |all, one| all | one);
        Ok(Rule { users, repositories, actions })
    }
}

/// Reads each item of a list, which has at least one.
fn each<T>(
    key: &str,
    list: Spanned<Vec<Spanned<String>>>,
    read: impl Fn(&str, usize) -> Result<T, String>,
) -> Result<Vec<T>, Problem> {
    let place = list.span().start;
    let items = list.into_inner();
    if items.is_empty() {
        return Err((place, format!("the list `{key}` is empty: the rule would be for nothing")));
    }
    let items = items.iter().map(|item| {
        let place = item.span().start;
        read(item.get_ref(), place).map_err(|problem| (place, problem))
    });
    items.collect()
}

/// The line of a place in a text, counted from 1.
fn line(text: &str, place: usize) -> usize {
    text.bytes().take(place).filter(|byte| *byte == b'\n').count() + 1
}

fn start_of_line(text: &str, place: usize) -> usize {
    text.get(..place).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Policy, String> {
        Policy::parse("policy.toml".as_ref(), text).map_err(|error| error.to_string())
    }

    #[test]
    fn rules_add_up_and_nothing_else_is_allowed() {
        let policy = parse(
            r#"
            [[rule]]
            users = ["anonymous"]
            repositories = ["public/**"]
            actions = ["pull"]
            [[rule]]
            users = ["*"]
            repositories = ["shared", "public/**"]
            actions = ["pull", "push"]
            [[rule]]
            users = ["alice"]
            repositories = ["alice/*"]
            actions = ["pull", "push", "delete"]
            "#,
        )
        .unwrap();
        let push = Actions::PULL | Actions::PUSH;
        for (user, repository, granted) in [
            (None, "public/a/b", Actions::PULL),
            (None, "shared", Actions::NONE),
            (None, "alice/a", Actions::NONE),
            (Some("bob"), "public/a", push),
            (Some("bob"), "shared", push),
            (Some("bob"), "alice/a", Actions::NONE),
            (Some("alice"), "alice/a", Actions::ALL),
            (Some("alice"), "alice/a/b", Actions::NONE),
            (Some("alice"), "other", Actions::NONE),
        ] {
            assert_eq!(policy.granted(user, repository), granted, "{user:?} {repository}");
        }
        assert!(policy.is_for_anyone());
        assert_eq!(policy.users().collect::<Vec<_>>(), [("alice", 11)]);
    }

    #[test]
    fn errors_say_where() {
        let rule = "[[rule]]\nusers = [\"a\"]\nrepositories = [\"**\"]\nactions = [\"pull\"]\n";
        assert!(!parse(rule).unwrap().is_for_anyone());
        for (from, to, place, expected) in [
            ("users", "user", "2:1", "unknown field `user`"),
            ("[\"a\"]", "\"a\"", "2:9", "expected a sequence"),
            ("[\"a\"]", "[]", "2:9", "`users` is empty"),
            ("\"**\"", "\"Upper\"", "3:17", "holds 'U'"),
            ("\"pull\"", "\"pull\", \"write\"", "4:20", "\"write\" is no action"),
            ("\"pull\"", "\"*\"", "4:12", "is no action"),
            ("actions = [\"pull\"]\n", "", "1:1", "missing field `actions`"),
            ("actions", "actions actions", "4:9", ""),
        ] {
            let error = parse(&rule.replacen(from, to, 1)).map(|_| ()).unwrap_err();
            assert!(error.starts_with(&format!("policy.toml:{place}: ")), "{to}: {error}");
            assert!(error.contains(expected), "{to}: {error}");
        }
        let error = parse("# nothing yet\n").map(|_| ()).unwrap_err();
        assert!(error.starts_with("policy.toml:1:1: there is no [[rule]]"), "{error}");
    }
}
