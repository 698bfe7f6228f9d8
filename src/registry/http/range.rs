//! Byte ranges: of blobs on their way out, of chunks on their way in.

use std::ops::Range;

/// What a `Range` header asks for, once the length is known (RFC 9110, 14.2).
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All of it: no range, several, or none that is understood.
    Everything,
    /// These bytes, at least one.
    Part(Range<u64>),
    /// Nothing that there is.
    Nothing,
}

/// Reads a `Range` header for content of this length in bytes.
pub(super) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some((unit, set)) = header.and_then(|text| text.split_once('=')) else {
        return Wanted::Everything;
    };
    let Some((first, last)) = set.trim().split_once('-') else { return Wanted::Everything };
    if !unit.trim().eq_ignore_ascii_case("bytes") || set.contains(',') {
        return Wanted::Everything;
    }
    let range = match (number(first), number(last)) {
        (Some(first), Some(last)) => first..last.saturating_add(1).min(size),
        (Some(first), None) if last.is_empty() => first..size,
        (None, Some(count)) if first.is_empty() => size.saturating_sub(count)..size,
        _ => return Wanted::Everything,
    };
    if range.is_empty() { Wanted::Nothing } else { Wanted::Part(range) }
}

/// Reads the `Content-Range` of a chunk, `<first>-<last>`, both inclusive
/// ("Pushing a blob in chunks"); also in HTTP's own form, `bytes 0-9/10`.
pub(super) fn chunk(header: &str) -> Option<Range<u64>> {
    let text = header.trim();
    let text = text.strip_prefix("bytes").map_or(text, |rest| rest.trim_start_matches([' ', '=']));
    let text = text.split('/').next().unwrap_or_default();
    let (first, last) = text.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some(first..last.checked_add(1)?)
}

/// How far an upload is, as its responses say it. Nothing and one byte look
/// the same; that is how the protocol has it.
pub(super) fn received(count: u64) -> String {
    format!("0-{}", count.saturating_sub(1))
}

/// Digits only: a sign is none.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_of_ten_bytes() {
        for (header, expected) in [
            ("bytes=0-3", Wanted::Part(0..4)),
            ("bytes=4-", Wanted::Part(4..10)),
            ("bytes=-4", Wanted::Part(6..10)),
            ("bytes=-40", Wanted::Part(0..10)),
            ("bytes=8-40", Wanted::Part(8..10)),
            ("bytes=0-18446744073709551615", Wanted::Part(0..10)),
            ("bytes=10-", Wanted::Nothing),
            ("bytes=5-4", Wanted::Nothing),
            ("bytes=-0", Wanted::Nothing),
            ("bytes=0-1,3-4", Wanted::Everything),
            ("bytes=-", Wanted::Everything),
            ("bytes=+1-2", Wanted::Everything),
            ("bytes=a-b", Wanted::Everything),
            ("lines=0-3", Wanted::Everything),
            ("", Wanted::Everything),
        ] {
            assert_eq!(wanted(Some(header), 10), expected, "{header}");
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(None, 10), Wanted::Everything);
    }

    #[test]
    fn ranges_of_chunks() {
        assert_eq!(chunk("0-9"), Some(0..10));
        assert_eq!(chunk("bytes 5-9/10"), Some(5..10));
        for bad in ["", "-", "9", "9-0", "-1-2", "a-b", "0-18446744073709551615", "0-1-2"] {
            assert_eq!(chunk(bad), None, "{bad}");
        }
    }
}
