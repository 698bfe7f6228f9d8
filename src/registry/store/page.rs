//! Pages of sorted lists.

use std::collections::BTreeSet;

/// Which part of a list is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// Only what sorts after this, in byte order. It need not be in the list.
    pub last: Option<String>,
    /// At most so many; everything without.
    pub count: Option<usize>,
}

/// A part of a list, in byte order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing<T> {
    /// The entries of the page.
    pub entries: Vec<T>,
    /// Whether there are entries beyond it.
    pub more: bool,
}

impl<T: Ord + AsRef<str>> Listing<T> {
    /// Picks a page out of entries in any order, holding no more of them at a
    /// time than the page has.
    pub fn pick(entries: impl IntoIterator<Item = T>, page: &Page) -> Self {
        let count = page.count.unwrap_or(usize::MAX);
        let mut picked = BTreeSet::new();
        let mut more = false;
        for entry in entries {
            if page.last.as_deref().is_some_and(|last| entry.as_ref() <= last) {
                continue;
            }
            if picked.len() < count {
                picked.insert(entry);
            } else {
                more = true;
                if picked.last().is_some_and(|highest| entry < *highest) {
                    picked.pop_last();
                    picked.insert(entry);
                }
            }
        }
        Self { entries: picked.into_iter().collect(), more }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pick(count: Option<usize>, last: Option<&str>) -> (Vec<&'static str>, bool) {
        let page = Page { last: last.map(str::to_owned), count };
        let listing = Listing::pick(["c", "B", "a", "d", "_"], &page);
        (listing.entries, listing.more)
    }

    #[test]
    fn pages_are_in_byte_order() {
        assert_eq!(pick(None, None), (vec!["B", "_", "a", "c", "d"], false));
        assert_eq!(pick(Some(2), None), (vec!["B", "_"], true));
        assert_eq!(pick(Some(2), Some("_")), (vec!["a", "c"], true));
        assert_eq!(pick(Some(2), Some("b")), (vec!["c", "d"], false));
        assert_eq!(pick(Some(2), Some("z")), (vec![], false));
        assert_eq!(pick(Some(0), None), (vec![], true));
    }
}
