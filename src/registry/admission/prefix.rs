use std::fmt;

use super::image::{self, ImageName};

/// The beginning of image names, as an operator wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prefix {
    written: String,
    /// What is compared: the host as [`ImageName`] has it. Docker's hub has
    /// two forms, since `docker.io/ub` begins both `docker.io/library/ubuntu`
    /// and `docker.io/ubports/app`.
    forms: Vec<String>,
}

impl Prefix {
    pub fn new(written: &str) -> Self {
        let form = match written.split_once('/') {
            Some((first, rest)) if image::looks_like_host(first) => match image::host(first) {
                Some(host) => format!("{host}/{rest}"),
                None => written.to_owned(),
            },
            Some(_) => written.to_owned(),
            // A whole host, or the beginning of one.
            None => image::looks_like_host(written)
                .then(|| image::host(written))
                .flatten()
                .unwrap_or_else(|| written.to_ascii_lowercase()),
        };
        let library = form
            .strip_prefix("docker.io/")
            .filter(|rest| !rest.is_empty() && !rest.contains('/'))
            .map(|rest| format!("docker.io/library/{rest}"));
        Self {
            written: written.to_owned(),
            forms: [Some(form), library].into_iter().flatten().collect(),
        }
    }

    /// How many bytes of the image's name this prefix allows for; `None` where
    /// the name doesn't begin so. A prefix without a slash names a whole host:
    /// allowing `quay.io` is not allowing `quay.io.example`.
    pub fn allows(&self, image: &str) -> Option<usize> {
        self.longest(image, |rest, form| form.contains('/') || rest.starts_with(['/', ':']))
    }

    /// The same for a prefix that forbids: there the bytes alone count.
    pub fn forbids(&self, image: &str) -> Option<usize> {
        self.longest(image, |_, _| true)
    }

    /// Whether the part of a local image's name after its host begins so.
    pub fn begins_local(&self, image: &ImageName) -> bool {
        !self.written.is_empty() && image.local().starts_with(&self.written)
    }

    fn longest(&self, image: &str, ends: impl Fn(&str, &str) -> bool) -> Option<usize> {
        let matching = self.forms.iter().filter(|form| {
            !form.is_empty()
                && image.strip_prefix(form.as_str()).is_some_and(|rest| ends(rest, form))
        });
        matching.map(String::len).max()
    }
}

/// As it was written.
impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_allowed_as_a_whole_and_forbidden_by_its_bytes() {
        let prefix = Prefix::new("quay.io");
        assert_eq!(prefix.allows("quay.io/a:latest"), Some(7));
        assert_eq!(prefix.allows("quay.io:5000/a:latest"), Some(7));
        assert_eq!(prefix.allows("quay.io.example/a:latest"), None);
        assert_eq!(prefix.forbids("quay.io.example/a:latest"), Some(7));
        assert_eq!(Prefix::new("quay.io/co").allows("quay.io/coreos/etcd:v1"), Some(10));
        assert_eq!(Prefix::new("").allows("quay.io/a:latest"), None);
        assert_eq!(Prefix::new("").forbids("quay.io/a:latest"), None);
    }

    #[test]
    fn a_prefix_is_read_as_a_name_is() {
        assert_eq!(Prefix::new("Quay.IO:443/a").allows("quay.io/a:latest"), Some(9));
        assert_eq!(Prefix::new("Quay.IO:443").forbids("quay.io/a:latest"), Some(7));
        assert_eq!(Prefix::new("quay.").forbids("quay.io/a:latest"), Some(5));
        let hub = Prefix::new("index.docker.io/ub");
        assert_eq!(hub.allows("docker.io/library/ubuntu:latest"), Some(20));
        assert_eq!(hub.allows("docker.io/ubports/app:latest"), Some(12));
        assert_eq!(Prefix::new("docker.io/me/").allows("docker.io/library/me:latest"), None);
    }
}
