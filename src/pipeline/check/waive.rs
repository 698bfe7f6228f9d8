//! What the environment waives, with its reasons.

use super::super::environment::Waive;
use super::finding::Finding;
use super::findings::Findings;
use super::rules;

/// Marks what is waived, and adds what is wrong with the waivers themselves.
pub(super) fn apply(waivers: &[Waive], mut findings: Findings<'_>) -> Vec<Finding> {
    let mut unused = Vec::new();
    for (index, waive) in waivers.iter().enumerate() {
        let key = format!("waive[{index}]");
        match rules::rule(&waive.code) {
            None => {
                let known = rules::RULES.iter().map(|rule| rule.code);
                unused.push((key, format!("`{}` is no code{}", waive.code, near(waive, known))));
            }
            Some(rule) if !rule.waivable => {
                let message = format!("`{}` can't be waived", waive.code);
                findings.add_at_key(rules::WAIVE_REFUSED, &key, message);
            }
            Some(_) => {
                let mut used = false;
                for found in findings.list_mut().iter_mut().filter(|found| matches(waive, found)) {
                    found.waived = Some(waive.reason.as_str().to_owned());
                    used = true;
                }
                if !used {
                    let object = waive.object.as_deref();
                    let object = object.map(|object| format!(" of {object}")).unwrap_or_default();
                    let message = format!("waives `{}`{object}, which is not found", waive.code);
                    unused.push((key, message));
                }
            }
        }
    }
    for (key, message) in unused {
        findings.add_at_key(rules::WAIVE_UNUSED, &key, message);
    }
    findings.into_list()
}

/// A code without the part after `/` means all of its family.
fn matches(waive: &Waive, found: &Finding) -> bool {
    let family = found.code.split_once('/').map_or(found.code.as_str(), |(family, _)| family);
    (waive.code == found.code || waive.code == family)
        && waive.object.as_ref().is_none_or(|object| *object == found.object)
}

fn near<'a>(waive: &Waive, known: impl Iterator<Item = &'a str>) -> String {
    let distance = |word: &&str| strsim::damerau_levenshtein(&waive.code, word);
    let nearest = known.min_by_key(distance).filter(|word| distance(word) <= word.len() / 2);
    nearest.map(|word| format!("; the nearest is `{word}`")).unwrap_or_default()
}
