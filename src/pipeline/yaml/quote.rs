//! Which strings can stand without quotes, and which in a block.

/// Whether every reader (YAML 1.1, 1.2, JSON-like) takes this text, written
/// without quotes in block style, for the same string.
pub(super) fn plain_is_safe(text: &str) -> bool {
    !text.is_empty()
        && plain_is_possible(text)
        && !is_word_with_a_type(text)
        && !looks_like_a_number_or_date(text)
}

/// Whether this text, written without quotes in block style, comes back as it
/// is, whatever type it then has.
pub(super) fn plain_is_possible(text: &str) -> bool {
    let Some(first) = text.chars().next() else { return false };
    let second = text.chars().nth(1);
    let starts_well = match first {
        '-' | '?' | ':' => second.is_some_and(|c| !is_blank(c)),
        '!' | '&' | '*' | '[' | ']' | '{' | '}' | ',' | '#' | '|' | '>' | '@' | '`' | '"'
        | '\'' | '%' => false,
        c => !is_blank(c),
    };
    starts_well
        && text.chars().all(is_printable)
        && !text.ends_with([' ', '\t', ':'])
        && !text.contains(": ")
        && !text.contains(":\t")
        && !text.contains(" #")
        && !text.contains("\t#")
        && !text.contains('\t')
        && !text.starts_with("---")
        && !text.starts_with("...")
}

/// Whether this text of several lines comes back as it is from a `|` block.
pub(super) fn literal_is_safe(text: &str) -> bool {
    let first = text.lines().next().unwrap_or_default();
    !first.is_empty()
        && !first.starts_with([' ', '\t'])
        && text.chars().all(|c| c == '\n' || c == '\t' || is_printable(c))
        && text.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}

/// Whether this text comes back as it is from `'…'` on one line.
pub(super) fn single_is_possible(text: &str) -> bool {
    text.chars().all(is_printable)
}

/// Whether a character can be shown in YAML without an escape on one line.
pub(super) fn is_printable(c: char) -> bool {
    !matches!(c,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}'
        | '\u{fffe}' | '\u{ffff}')
}

fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t')
}

/// Words that some reader takes for a bool, null, not-a-number, or syntax.
fn is_word_with_a_type(text: &str) -> bool {
    const WORDS: [&str; 23] = [
        "y", "n", "yes", "no", "on", "off", "true", "false", "null", "~", "nan", ".nan", "inf",
        ".inf", "+.inf", "-.inf", "+inf", "-inf", "infinity", "none", "nil", "=", "<<",
    ];
    WORDS.iter().any(|word| word.eq_ignore_ascii_case(text))
}

/// Numbers in any base, with underscores, exponents, sixties (`1:30`), and
/// dates: a digit early on and nothing that none of those has. Quoting one
/// too many (an address, a version) harms nobody.
fn looks_like_a_number_or_date(text: &str) -> bool {
    let start = text.trim_start_matches(['+', '-', '.', '_']);
    let begins = start.starts_with(|c: char| c.is_ascii_digit());
    let only = |c: char| {
        matches!(c, '0'..='9' | 'a'..='f' | 'A'..='F' | 'x' | 'X' | 'o' | 'O' | '_' | '.' | ':'
            | '+' | '-' | 't' | 'T' | 'z' | 'Z' | ' ')
    };
    begins && text.chars().all(only)
}
