//! Texts with `*` for any characters and `?` for one.

use serde::Deserialize;

/// A text in which `*` and `?` stand for others.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[cfg_attr(warren_schema, derive(schemars::JsonSchema))]
pub struct Glob(String);

impl Glob {
    /// The text itself.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text with its stars.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it stands for this text. It takes no more steps than the product
    /// of both lengths.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let (mut pattern, mut rest) = (self.0.as_str(), text);
        // Where to go on when the last star has to take one character more.
        let mut star: Option<(&str, &str)> = None;
        loop {
            let mut next = pattern.chars();
            let mut characters = rest.chars();
            match (next.next(), characters.next()) {
                (Some('*'), _) => {
                    pattern = next.as_str();
                    star = Some((pattern, rest));
                    continue;
                }
                (Some(wanted), Some(found)) if wanted == '?' || wanted == found => {
                    (pattern, rest) = (next.as_str(), characters.as_str());
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((after, from)) = star else { return false };
            let mut taken = from.chars();
            if taken.next().is_none() {
                return false;
            }
            (pattern, rest) = (after, taken.as_str());
            star = Some((after, rest));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_any_characters() {
        for (glob, text, matches) in [
            ("trow-*", "trow-set", true),
            ("trow-*", "trow-", true),
            ("trow-*", "trow", false),
            ("*", "", true),
            ("", "", true),
            ("", "a", false),
            ("*set", "trow-setset", true),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbYbZ", false),
            ("v1?", "v1", false),
            ("?é?", "xéy", true),
            ("**a**", "bab", true),
        ] {
            assert_eq!(Glob::new(glob).matches(text), matches, "{glob} {text}");
        }
    }
}
