use super::image::ImageName;
use super::prefix::Prefix;
use crate::registry::settings::{ImageValidation, Settings, Validation, Verdict};

/// Every rule that holds. An image comes in if each set of rules lets it in;
/// where there is none, nothing was configured, and no image comes in.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// Those of the configuration file.
    pub prefixes: Option<PrefixRules>,
    /// Those of the older flags.
    pub local: Option<LocalRules>,
}

/// The rules of Trow 0.10: the longest matching prefix wins, and forbids where
/// two are as long.
#[derive(Clone, Debug)]
pub struct PrefixRules {
    default: Verdict,
    allow: Vec<Prefix>,
    deny: Vec<Prefix>,
}

/// The rules of Trow 0.2 to 0.5: what is in this registry comes in unless it
/// is forbidden, everything else only if it is allowed.
#[derive(Clone, Debug)]
pub struct LocalRules {
    hosts: Vec<String>,
    allow_prefixes: Vec<Prefix>,
    allow_images: Vec<String>,
    deny_prefixes: Vec<Prefix>,
    deny_images: Vec<String>,
}

/// What rules say of an image. The texts name image and rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// It comes in.
    Allowed,
    /// It does not, because of this.
    Denied(String),
    /// It comes in if this registry has it; why not, otherwise.
    IfHeld(String),
}

impl Rules {
    /// The rules that settings ask for.
    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        let file = settings.config.as_ref().and_then(|config| config.image_validation.as_ref());
        let external = settings.external_url.value.as_deref();
        let external = external.and_then(|url| url.split_once("://")).map(|(_, host)| host);
        let names = settings.hostnames.value.iter().map(String::as_str);
        let hosts: Vec<String> = names.chain(external).map(str::to_owned).collect();
        Self {
            prefixes: file.map(PrefixRules::new),
            local: settings.validation.value.as_ref().map(|flags| LocalRules::new(flags, &hosts)),
        }
    }

    /// What all rules say of an image, by the name that stands in the pod.
    #[must_use]
    pub fn judge(&self, written: &str) -> (Option<ImageName>, Judgement) {
        let Some(image) = ImageName::parse(written) else {
            let why = format!("{written:?} is no image name");
            return (None, Judgement::Denied(why));
        };
        let verdicts = [
            self.prefixes.as_ref().map(|rules| rules.judge(written, &image)),
            self.local.as_ref().map(|rules| rules.judge(written, &image)),
        ];
        let worst = verdicts.into_iter().flatten().max_by_key(severity);
        let judgement = worst.unwrap_or_else(|| {
            Judgement::Denied(format!(
                "{written} ({image}) does not come in: this registry has no rules for images; set image_validation in its --config-file"
            ))
        });
        (Some(image), judgement)
    }
}

fn severity(judgement: &Judgement) -> u8 {
    match judgement {
        Judgement::Allowed => 0,
        Judgement::IfHeld(_) => 1,
        Judgement::Denied(_) => 2,
    }
}

impl PrefixRules {
    /// The rules that a configuration file holds.
    #[must_use]
    pub fn new(config: &ImageValidation) -> Self {
        let prefixes = |texts: &[String]| texts.iter().map(|text| Prefix::new(text)).collect();
        Self {
            default: config.default,
            allow: prefixes(&config.allow),
            deny: prefixes(&config.deny),
        }
    }

    fn judge(&self, written: &str, image: &ImageName) -> Judgement {
        let full = image.to_string();
        let longest = |found: Option<(usize, &Prefix)>| found.map_or(0, |(length, _)| length);
        let allow = self.allow.iter().filter_map(|rule| Some((rule.allows(&full)?, rule)));
        let allow = allow.max_by_key(|(length, _)| *length);
        let deny = self.deny.iter().filter_map(|rule| Some((rule.forbids(&full)?, rule)));
        let deny = deny.max_by_key(|(length, _)| *length);
        match (deny, self.default) {
            (Some((length, rule)), _) if length >= longest(allow) => Judgement::Denied(format!(
                "{written} ({full}) is denied by the prefix {rule} of image_validation.deny"
            )),
            _ if allow.is_some() => Judgement::Allowed,
            (_, Verdict::Allow) => Judgement::Allowed,
            (_, Verdict::Deny) => Judgement::Denied(format!(
                "{written} ({full}) matches no prefix of image_validation.allow, and image_validation.default is Deny"
            )),
        }
    }
}

impl LocalRules {
    /// The rules of flags. `hosts` are the registry's own names.
    #[must_use]
    pub fn new(flags: &Validation, hosts: &[String]) -> Self {
        let prefixes = |texts: &[String]| texts.iter().map(|text| Prefix::new(text)).collect();
        let host = |text: &String| super::image::host(text).unwrap_or_else(|| text.clone());
        let full = |text: &String| ImageName::parse(text).map(|image| image.to_string());
        Self {
            hosts: hosts.iter().map(host).collect(),
            allow_prefixes: prefixes(&flags.allow_prefixes),
            allow_images: flags.allow_images.iter().filter_map(full).collect(),
            deny_prefixes: prefixes(&flags.deny_local_prefixes),
            deny_images: flags.deny_local_images.clone(),
        }
    }

    fn judge(&self, written: &str, image: &ImageName) -> Judgement {
        let full = image.to_string();
        let local = self.hosts.contains(&image.host);
        if local && let Some(rule) = self.denied(image, &full) {
            return Judgement::Denied(format!("{written} ({full}) is denied by {rule}"));
        }
        let allowed = self.allow_images.contains(&full)
            || self.allow_prefixes.iter().any(|prefix| prefix.allows(&full).is_some());
        if allowed {
            return Judgement::Allowed;
        }
        let unlisted = "neither --allow-prefixes nor --allow-images allows it";
        if local {
            let why = format!("{written} ({full}) is not in this registry, and {unlisted}");
            return Judgement::IfHeld(why);
        }
        Judgement::Denied(format!("{written} ({full}) is not of this registry, and {unlisted}"))
    }

    /// The rule that forbids a local image. Rules are written without the
    /// host; with it they are understood as well.
    fn denied(&self, image: &ImageName, full: &str) -> Option<String> {
        let prefix = self
            .deny_prefixes
            .iter()
            .find(|prefix| prefix.begins_local(image) || prefix.forbids(full).is_some())
            .map(|prefix| format!("the prefix {prefix} of --disallow-local-prefixes"));
        prefix.or_else(|| {
            let names = [image.local(), image.repository.to_string()];
            let full = names.each_ref().map(|name| format!("{}/{name}", image.host));
            self.deny_images
                .iter()
                .find(|rule| names.contains(rule) || full.contains(rule))
                .map(|rule| format!("the image {rule} of --disallow-local-images"))
        })
    }
}
