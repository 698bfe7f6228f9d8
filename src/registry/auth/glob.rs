/// A pattern for names of repositories: `*` stands for any characters within
/// one part of the path, `**` for any characters at all, slashes included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob(Vec<Piece>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    /// These bytes.
    Text(String),
    /// `*`
    Part,
    /// `**`
    Anything,
}

impl Glob {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let known = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/*".contains(c);
        if text.is_empty() {
            return Err("the pattern is empty: `**` stands for every repository".to_owned());
        }
        if let Some(other) = text.chars().find(|c| !known(*c)) {
            return Err(format!(
                "the pattern {text:?} holds {other:?}, which no name of a repository has; a \
                 pattern is made of a-z, 0-9, `.`, `_`, `-`, `/`, `*` and `**`"
            ));
        }
        if text.starts_with('/') || text.ends_with('/') || text.contains("***") {
            return Err(format!(
                "the pattern {text:?} matches nothing: a name neither begins nor ends with a \
                 slash, and there are `*` and `**` only"
            ));
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, length) = if rest.starts_with("**") {
                (Piece::Anything, 2)
            } else if rest.starts_with('*') {
                (Piece::Part, 1)
            } else {
                let length = rest.find('*').unwrap_or(rest.len());
                (Piece::Text(rest.get(..length).unwrap_or_default().to_owned()), length)
            };
            pieces.push(piece);
            rest = rest.get(length..).unwrap_or_default();
        }
        Ok(Self(pieces))
    }

    /// Whether the whole name is as the pattern says.
    ///
    /// Each piece moves every place in the name that may have been reached so
    /// far: the work is the length of the pattern times that of the name, also
    /// for patterns that were made to be slow.
    #[must_use]
    pub fn matches(&self, name: &str) -> bool {
        match self.0.as_slice() {
            [Piece::Text(text)] => return text == name,
            [Piece::Anything] => return true,
            [Piece::Text(front), Piece::Anything] => return name.starts_with(front.as_str()),
            _ => {}
        }
        let mut places = vec![false; name.len() + 1];
        if let Some(first) = places.first_mut() {
            *first = true;
        }
        for piece in &self.0 {
            places = piece.step(name, &places);
        }
        places.last().copied().unwrap_or(false)
    }
}

impl Piece {
    /// The places that can be reached from these.
    fn step(&self, name: &str, places: &[bool]) -> Vec<bool> {
        let mut reached = vec![false; places.len()];
        let mut open = false;
        for (place, from) in places.iter().enumerate() {
            match self {
                Self::Text(text) => {
                    let there = name.get(place..).is_some_and(|rest| rest.starts_with(&**text));
                    if *from
                        && there
                        && let Some(end) = reached.get_mut(place + text.len())
                    {
                        *end = true;
                    }
                }
                Self::Part | Self::Anything => {
                    open |= *from;
                    if let Some(here) = reached.get_mut(place) {
                        *here = open;
                    }
                    if *self == Self::Part && name.as_bytes().get(place) == Some(&b'/') {
                        open = false;
                    }
                }
            }
        }
        reached
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        for (pattern, yes, no) in [
            ("**", &["a", "a/b/c"][..], &[][..]),
            ("*", &["a", "a-b"], &["a/b"]),
            ("team/app", &["team/app"], &["team/app2", "team", "x/team/app"]),
            ("team/*", &["team/a", "team/a.b"], &["team/a/b", "team", "teams/a"]),
            ("team/**", &["team/a", "team/a/b"], &["team", "teams/a"]),
            ("team**", &["team", "teams/a", "team/a/b"], &["tea"]),
            ("**/app", &["a/app", "a/b/app"], &["app", "a/app/c"]),
            ("*/app", &["a/app"], &["a/b/app", "app"]),
            ("a*c/*d", &["ac/d", "abc/xd"], &["a/c/d", "abc/dx"]),
            ("a**c*e", &["ab/c/ce", "ace", "acde"], &["ac/e/", "ab"]),
        ] {
            let glob = Glob::parse(pattern).unwrap();
            for name in yes {
                assert!(glob.matches(name), "{pattern} {name}");
            }
            for name in no {
                assert!(!glob.matches(name), "{pattern} {name}");
            }
        }
    }

    #[test]
    fn what_can_match_nothing_is_refused() {
        for pattern in ["", "Team/*", "/a", "a/", "a/***", "a?", "a b", "é", "[ab]"] {
            assert!(Glob::parse(pattern).is_err(), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_made_to_be_slow_is_not() {
        let glob = Glob::parse(&"**a*b".repeat(60)).unwrap();
        assert!(!glob.matches(&format!("{}a/", "ab".repeat(59))));
        assert!(glob.matches(&"ab".repeat(60)));
    }
}
