//! What a manifest says: the little of it that the registry has to know.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::error::{ErrorCode, RegistryError};
use super::media::{self, Kind};
use super::object::Object;
use crate::digest::Digest;

/// A content descriptor, as a list of referrers shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The media type of the content.
    pub media_type: String,
    /// The digest of the content.
    pub digest: String,
    /// The length of the content in bytes.
    pub size: u64,
    /// What kind of artifact the content is.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub artifact_type: Option<String>,
    /// The annotations of the content.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub annotations: Option<BTreeMap<String, String>>,
}

/// What the registry has to know of a manifest. Whatever else it says is kept
/// with its bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// The blobs that must be in the repository: the config and the layers.
    pub blobs: Vec<Digest>,
    /// The manifests that must be in the repository.
    pub manifests: Vec<Digest>,
    /// How many layers live elsewhere and are never pushed.
    pub elsewhere: usize,
    /// The manifest that this one refers to; it need not exist.
    pub subject: Option<Digest>,
    /// What kind of artifact it is: its own word, else its config's type.
    pub artifact_type: Option<String>,
    /// Its annotations.
    pub annotations: Option<BTreeMap<String, String>>,
}

impl Manifest {
    /// Reads a manifest that was pushed with this media type, or without one;
    /// gives back the media type that it has with what it says.
    ///
    /// # Errors
    /// `MANIFEST_INVALID` where the bytes aren't what the media type says,
    /// `DIGEST_INVALID` where a digest in them is malformed.
    pub fn parse(
        content_type: Option<&str>,
        bytes: &[u8],
    ) -> Result<(String, Self), RegistryError> {
        let content_type =
            match content_type {
                None => None,
                Some(text) => Some(media::essence(text).ok_or_else(|| {
                    invalid(format!("the Content-Type `{text}` is no media type"))
                })?),
            };
        let told = content_type.clone().or_else(|| media_type_in(bytes));
        if let Some(media_type) = told
            && media::kind(&media_type) == Kind::Other
            && !is_schema_1(&media_type)
        {
            return Ok((media_type, Self::of_unknown(bytes)));
        }
        let raw = match serde_json::from_slice::<Object<Raw>>(bytes) {
            Ok(Object(raw)) => raw,
            Err(error) => return Err(invalid(format!("the manifest can't be read: {error}"))),
        };
        let media_type = match (content_type, &raw.media_type) {
            (Some(header), Some(field)) if header != *field => {
                return Err(invalid(format!(
                    "the Content-Type is {header}, but the manifest's mediaType is {field}"
                )));
            }
            (Some(header), _) => header,
            (None, Some(field)) => media::essence(field)
                .ok_or_else(|| invalid(format!("the mediaType `{field}` is no media type")))?,
            (None, None) => {
                return Err(invalid("the manifest has neither a Content-Type nor a mediaType"));
            }
        };
        if is_schema_1(&media_type) {
            return Err(invalid("Docker schema 1 manifests are not supported; push schema 2"));
        }
        let manifest = raw.into_manifest(media::kind(&media_type))?;
        Ok((media_type, manifest))
    }

    /// What a manifest of a type that the registry doesn't know says. It may be
    /// anything at all, so nothing in it is wrong and nothing is required of
    /// its repository. One that names a subject as OCI's do is its referrer.
    fn of_unknown(bytes: &[u8]) -> Self {
        let Ok(Object(found)) = serde_json::from_slice::<Object<Unknown>>(bytes) else {
            return Self::default();
        };
        let text = |value: Option<&Value>| {
            value.and_then(Value::as_str).filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let field = |value: &Option<Value>, name: &str| text(value.as_ref()?.get(name));
        let annotations = found.annotations.and_then(|found| annotations(found).ok()).flatten();
        Self {
            subject: field(&found.subject, "digest").and_then(|digest| digest.parse().ok()),
            artifact_type: text(found.artifact_type.as_ref())
                .or_else(|| field(&found.config, "mediaType")),
            annotations,
            ..Self::default()
        }
    }
}

/// The media type that a manifest says it has, if it says one.
fn media_type_in(bytes: &[u8]) -> Option<String> {
    let Object(found) = serde_json::from_slice::<Object<Typed>>(bytes).ok()?;
    media::essence(found.media_type?.as_str()?)
}

/// A manifest of which nothing but its type is looked at.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Typed {
    media_type: Option<Value>,
}

fn is_schema_1(media_type: &str) -> bool {
    matches!(media_type, media::DOCKER_SCHEMA_1 | media::DOCKER_SCHEMA_1_SIGNED)
}

/// The fields of a manifest of an unknown type that may say who it refers to.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Unknown {
    artifact_type: Option<Value>,
    config: Option<Value>,
    subject: Option<Value>,
    annotations: Option<Value>,
}

/// The fields of image manifests and indexes that matter here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    schema_version: Option<Value>,
    media_type: Option<String>,
    artifact_type: Option<String>,
    config: Option<Object<RawDescriptor>>,
    #[serde(default, deserialize_with = "list")]
    layers: Option<List>,
    #[serde(default, deserialize_with = "list")]
    manifests: Option<List>,
    subject: Option<Object<RawDescriptor>>,
    #[serde(default, deserialize_with = "annotations")]
    annotations: Option<BTreeMap<String, String>>,
}

/// A list that is there, or the `null` that Go writes for an empty one.
#[derive(Deserialize)]
struct List(Option<Vec<Object<RawDescriptor>>>);

impl List {
    fn descriptors(&self) -> impl Iterator<Item = &RawDescriptor> + Clone {
        self.0.iter().flatten().map(|Object(descriptor)| descriptor)
    }
}

/// Tells a list that is `null` from none at all.
fn list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<List>, D::Error> {
    List::deserialize(deserializer).map(Some)
}

/// Annotations as Go reads them: one that is `null` is empty.
fn annotations<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<BTreeMap<String, String>>, D::Error> {
    let found = Option::<BTreeMap<String, Option<String>>>::deserialize(deserializer)?;
    let whole = |(name, text): (String, Option<String>)| (name, text.unwrap_or_default());
    Ok(found.map(|found| found.into_iter().map(whole).collect()))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawDescriptor {
    #[serde(default)]
    media_type: String,
    digest: String,
    #[serde(default)]
    urls: Option<Vec<String>>,
}

impl RawDescriptor {
    fn digest(&self) -> Result<Digest, RegistryError> {
        self.digest.parse().map_err(|error: crate::digest::DigestError| {
            RegistryError::new(
                ErrorCode::DigestInvalid,
                format!("the manifest names the digest `{}`: {error}", self.digest),
            )
        })
    }

    /// Whether the content has to be in the repository.
    fn is_here(&self) -> bool {
        media::is_distributed(&self.media_type)
            && self.urls.as_ref().is_none_or(std::vec::Vec::is_empty)
    }
}

impl Raw {
    fn into_manifest(self, kind: Kind) -> Result<Manifest, RegistryError> {
        let version_2 = self.schema_version.as_ref().and_then(Value::as_u64) == Some(2);
        if !version_2 {
            return Err(invalid("the manifest's schemaVersion must be 2"));
        }
        let says = |list: &Option<List>| list.as_ref().is_some_and(|list| list.0.is_some());
        match kind {
            Kind::Image if self.config.is_none() || self.layers.is_none() => {
                return Err(invalid("an image manifest has a config and layers"));
            }
            Kind::Image if says(&self.manifests) => {
                return Err(invalid("an image manifest has no manifests; that is an index"));
            }
            Kind::Index if self.manifests.is_none() => {
                return Err(invalid("an index has manifests"));
            }
            Kind::Index if self.config.is_some() || says(&self.layers) => {
                return Err(invalid("an index has no config and no layers"));
            }
            _ => {}
        }
        let layers = self.layers.iter().flat_map(List::descriptors);
        let config = self.config.as_ref().map(|Object(descriptor)| descriptor);
        let blobs = config.into_iter().chain(layers);
        let manifests = self.manifests.iter().flat_map(List::descriptors);
        let subject = self.subject.as_ref().map(|Object(subject)| subject.digest()).transpose()?;
        let elsewhere = blobs.clone().filter(|descriptor| !descriptor.is_here()).count();
        let blobs = here(blobs)?;
        let manifests = here(manifests)?;
        let artifact_type = self.artifact_type.filter(|text| !text.is_empty()).or_else(|| {
            self.config.map(|Object(config)| config.media_type).filter(|text| !text.is_empty())
        });
        Ok(Manifest {
            blobs,
            manifests,
            elsewhere,
            subject,
            artifact_type,
            annotations: self.annotations,
        })
    }
}

/// The digests of those that must be in the repository, each once.
fn here<'a>(
    descriptors: impl Iterator<Item = &'a RawDescriptor>,
) -> Result<Vec<Digest>, RegistryError> {
    let mut digests = Vec::new();
    for descriptor in descriptors {
        let digest = descriptor.digest()?;
        if descriptor.is_here() {
            digests.push(digest);
        }
    }
    digests.sort();
    digests.dedup();
    Ok(digests)
}

fn invalid(message: impl Into<String>) -> RegistryError {
    RegistryError::new(ErrorCode::ManifestInvalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(extra: &str) -> String {
        let digest = Digest::sha256(b"");
        format!(
            r#"{{"schemaVersion":2,"config":{{"mediaType":"a/config","digest":"{digest}","size":0}},"layers":[{{"mediaType":"a/b","digest":"{digest}","size":0}}]{extra}}}"#
        )
    }

    #[test]
    fn an_array_with_the_fields_in_their_order_is_no_object() {
        let digest = Digest::sha256(b"");
        let descriptor = format!(r#"["a/b","{digest}",null]"#);
        let parse = |text: String| Manifest::parse(Some(media::OCI_MANIFEST), text.as_bytes());
        assert!(parse(image("")).is_ok());
        let object = format!(r#"{{"mediaType":"a/b","digest":"{digest}"}}"#);
        for text in [
            format!(r"[2,null,null,{object},[{object}],null,null,null]"),
            image(&format!(r#","subject":{descriptor}"#)),
            format!(r#"{{"schemaVersion":2,"config":{descriptor},"layers":[]}}"#),
            format!(r#"{{"schemaVersion":2,"config":{object},"layers":[{descriptor}]}}"#),
        ] {
            assert!(parse(text.clone()).is_err(), "{text}");
        }
    }

    #[test]
    fn an_image_names_its_blobs_once() {
        let (media_type, manifest) =
            Manifest::parse(Some(media::OCI_MANIFEST), image("").as_bytes()).unwrap();
        assert_eq!(media_type, media::OCI_MANIFEST);
        assert_eq!(manifest.blobs, [Digest::sha256(b"")]);
        assert_eq!(manifest.artifact_type.unwrap(), "a/config");
    }

    #[test]
    fn the_media_type_may_stand_in_the_manifest_alone_but_not_twice_and_different() {
        let field = format!(r#","mediaType":"{}""#, media::DOCKER_MANIFEST);
        let (media_type, _) = Manifest::parse(None, image(&field).as_bytes()).unwrap();
        assert_eq!(media_type, media::DOCKER_MANIFEST);
        for content_type in [Some(media::OCI_MANIFEST), Some("nonsense")] {
            let error = Manifest::parse(content_type, image(&field).as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ManifestInvalid);
        }
        assert!(Manifest::parse(None, image("").as_bytes()).is_err());
    }

    #[test]
    fn layers_that_live_elsewhere_are_not_asked_for() {
        let digest = Digest::sha256(b"x");
        let text = format!(
            r#"{{"schemaVersion":2,"config":{{"digest":"{digest}"}},"layers":[
            {{"mediaType":"application/vnd.docker.image.rootfs.foreign.diff.tar.gzip","digest":"{0}"}},
            {{"mediaType":"a/b","digest":"{0}","urls":["https://example.com/x"]}}]}}"#,
            Digest::sha256(b"y")
        );
        let (_, manifest) = Manifest::parse(Some(media::OCI_MANIFEST), text.as_bytes()).unwrap();
        assert_eq!((manifest.blobs, manifest.elsewhere), (vec![digest], 2));
    }

    #[test]
    fn what_go_writes_as_null_is_empty() {
        let digest = Digest::sha256(b"");
        let config = format!(r#""schemaVersion":2,"config":{{"digest":"{digest}"}}"#);
        let text = format!(
            r#"{{{config},"layers":null,"manifests":null,"subject":null,"annotations":null}}"#
        );
        let (_, image) = Manifest::parse(Some(media::OCI_MANIFEST), text.as_bytes()).unwrap();
        assert_eq!(image, Manifest { blobs: vec![digest], ..Manifest::default() });
        let text = r#"{"schemaVersion":2,"manifests":null,"layers":null,"config":null,
                       "annotations":{"a":null,"b":"c"}}"#;
        let (_, index) = Manifest::parse(Some(media::OCI_INDEX), text.as_bytes()).unwrap();
        let noted = [("a", ""), ("b", "c")].map(|(name, text)| (name.to_owned(), text.to_owned()));
        let noted = Some(BTreeMap::from(noted));
        assert_eq!(index, Manifest { annotations: noted.clone(), ..Manifest::default() });
        let (_, unknown) = Manifest::parse(Some("a/x"), text.as_bytes()).unwrap();
        assert_eq!(unknown.annotations, noted);
        // But a list that isn't there is no empty one, and nobody has both.
        for (kind, text) in [
            (media::OCI_MANIFEST, format!("{{{config}}}")),
            (media::OCI_MANIFEST, format!(r#"{{{config},"layers":null,"manifests":[]}}"#)),
            (media::OCI_INDEX, r#"{"schemaVersion":2,"layers":null}"#.to_owned()),
            (media::OCI_INDEX, r#"{"schemaVersion":2,"manifests":null,"layers":[]}"#.to_owned()),
        ] {
            let error = Manifest::parse(Some(kind), text.as_bytes()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::ManifestInvalid, "{text}");
        }
    }

    #[test]
    fn unknown_types_are_kept_as_they_are() {
        let (media_type, manifest) = Manifest::parse(Some("a/x"), b"\xff not json").unwrap();
        assert_eq!((media_type.as_str(), manifest), ("a/x", Manifest::default()));
        let digest = Digest::sha256(b"absent");
        let layers = format!(r#"{{"layers":[{{"digest":"{digest}"}}],"schemaVersion":7}}"#);
        for text in [
            r#"{"mediaType":"text/plain"}"#,
            r#"{"manifests":[{"digest":"whatever"}]}"#,
            r#"{"subject":{"digest":"none"}}"#,
            r#"{"subject":5,"config":[],"annotations":{"a":1},"layers":{"a":[]}}"#,
            "[[[]]]",
            &layers,
        ] {
            let parsed = Manifest::parse(Some("application/vnd.example+json"), text.as_bytes());
            let (media_type, manifest) = parsed.unwrap();
            assert_eq!(media_type, "application/vnd.example+json");
            assert_eq!(manifest, Manifest::default(), "{text}");
        }
    }

    #[test]
    fn an_unknown_type_may_refer_to_a_subject() {
        let digest = Digest::sha256(b"subject");
        for (content_type, field) in [(Some("a/x"), "text/plain"), (None, "a/x")] {
            let text = format!(
                r#"{{"mediaType":"{field}","subject":{{"digest":"{digest}"}},"config":{{"mediaType":"a/config"}},"annotations":{{"a":"b"}}}}"#
            );
            let (media_type, manifest) = Manifest::parse(content_type, text.as_bytes()).unwrap();
            assert_eq!((media_type.as_str(), manifest.subject.unwrap()), ("a/x", digest.clone()));
            assert_eq!(manifest.artifact_type.as_deref(), Some("a/config"));
            assert_eq!(manifest.annotations.unwrap()["a"], "b");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let index = |text: &str| Manifest::parse(Some(media::OCI_INDEX), text.as_bytes());
        for text in
            ["", "[]", "{}", r#"{"schemaVersion":2}"#, r#"{"schemaVersion":1,"manifests":[]}"#]
        {
            assert_eq!(index(text).unwrap_err().code(), ErrorCode::ManifestInvalid, "{text}");
        }
        let error = index(r#"{"schemaVersion":2,"manifests":[{"digest":"sha256:../x"}]}"#);
        assert_eq!(error.unwrap_err().code(), ErrorCode::DigestInvalid);
        assert!(index(&image("")).is_err());
    }
}
