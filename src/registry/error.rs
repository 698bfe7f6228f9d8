//! What a client is told when something goes wrong, and what the log gets.

use std::error::Error;
use std::fmt;

/// The error codes of the OCI distribution specification ("Error codes"), and
/// those of its Docker ancestor that clients still know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The repository has no such blob.
    BlobUnknown,
    /// An upload request contradicts the state of its upload.
    BlobUploadInvalid,
    /// There is no such upload in this repository.
    BlobUploadUnknown,
    /// A digest is malformed, or isn't that of the content.
    DigestInvalid,
    /// A manifest refers to a blob or manifest that the repository lacks.
    ManifestBlobUnknown,
    /// A manifest can't be read, or contradicts its media type.
    ManifestInvalid,
    /// The repository has no such manifest or tag.
    ManifestUnknown,
    /// A repository name breaks the grammar.
    NameInvalid,
    /// There is no such repository.
    NameUnknown,
    /// A page size is no number.
    PaginationNumberInvalid,
    /// A range is malformed, out of order or beyond the content.
    RangeInvalid,
    /// A length is wrong or above the limit.
    SizeInvalid,
    /// A tag breaks the grammar.
    TagInvalid,
    /// The request needs credentials.
    Unauthorized,
    /// The caller may not do this.
    Denied,
    /// The operation exists but not here.
    Unsupported,
    /// The caller asks too often.
    TooManyRequests,
    /// The registry can't do its work now.
    Unavailable,
    /// Something that the client can't do anything about.
    Unknown,
}

impl ErrorCode {
    /// The code as it stands in the error body. To a client's mistake the
    /// specification allows only the codes of its own list, and [`TAG_INVALID`]
    /// of old: what is told apart here beyond that shares one of those.
    ///
    /// [`TAG_INVALID`]: Self::TagInvalid
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::BlobUnknown => "BLOB_UNKNOWN",
            Self::BlobUploadInvalid => "BLOB_UPLOAD_INVALID",
            Self::BlobUploadUnknown => "BLOB_UPLOAD_UNKNOWN",
            Self::DigestInvalid => "DIGEST_INVALID",
            Self::ManifestBlobUnknown => "MANIFEST_BLOB_UNKNOWN",
            Self::ManifestInvalid => "MANIFEST_INVALID",
            Self::ManifestUnknown => "MANIFEST_UNKNOWN",
            Self::NameInvalid => "NAME_INVALID",
            Self::NameUnknown => "NAME_UNKNOWN",
            Self::RangeInvalid | Self::SizeInvalid => "SIZE_INVALID",
            Self::TagInvalid => "TAG_INVALID",
            Self::Unauthorized => "UNAUTHORIZED",
            Self::Denied => "DENIED",
            Self::PaginationNumberInvalid | Self::Unsupported => "UNSUPPORTED",
            Self::TooManyRequests => "TOOMANYREQUESTS",
            Self::Unavailable => "UNAVAILABLE",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The HTTP status that goes with the code unless an error says otherwise.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::BlobUploadInvalid
            | Self::DigestInvalid
            | Self::ManifestInvalid
            | Self::NameInvalid
            | Self::PaginationNumberInvalid
            | Self::SizeInvalid
            | Self::TagInvalid => 400,
            Self::Unauthorized => 401,
            Self::Denied => 403,
            Self::BlobUnknown
            | Self::BlobUploadUnknown
            | Self::ManifestBlobUnknown
            | Self::ManifestUnknown
            | Self::NameUnknown => 404,
            Self::Unsupported => 405,
            Self::RangeInvalid => 416,
            Self::TooManyRequests => 429,
            Self::Unavailable => 503,
            Self::Unknown => 500,
        }
    }
}

/// An error on its way to a client. The message is for the client; the source,
/// if there is one, is for the log and never leaves the server.
#[derive(Debug)]
pub struct RegistryError {
    status: u16,
    code: ErrorCode,
    message: String,
    detail: Option<serde_json::Value>,
    headers: Vec<(&'static str, String)>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl RegistryError {
    /// An error with the code's own status.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status: code.status(),
            code,
            message: message.into(),
            detail: None,
            headers: Vec::new(),
            source: None,
        }
    }

    /// An error that the client can't do anything about: a bare 500 for the
    /// client, everything there is to know for the log.
    pub fn internal(source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(ErrorCode::Unknown, "the registry failed; its log says why").with_source(source)
    }

    /// The same error with another HTTP status.
    #[must_use]
    pub fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// The same error with the `detail` that the body shall carry.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<serde_json::Value>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// The same error with one more response header, its name in lower case.
    #[must_use]
    pub fn with_header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same error with what the log shall get.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The code in the body.
    #[must_use]
    pub fn code(&self) -> ErrorCode {
        self.code
    }

    /// What the client is told.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Response headers beyond those of every error.
    #[must_use]
    pub fn headers(&self) -> &[(&'static str, String)] {
        &self.headers
    }

    /// The body: `{"errors":[{"code","message","detail"}]}`.
    #[must_use]
    pub fn body(&self) -> serde_json::Value {
        let mut error = serde_json::json!({"code": self.code.name(), "message": self.message});
        if let (Some(detail), Some(fields)) = (&self.detail, error.as_object_mut()) {
            fields.insert("detail".to_owned(), detail.clone());
        }
        serde_json::json!({"errors": [error]})
    }
}

/// The client's message; the log adds the chain of sources.
impl fmt::Display for RegistryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.name(), self.message)
    }
}

impl Error for RegistryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_source_stays_out_of_the_body() {
        let error = RegistryError::internal("cannot read /data/secret");
        assert_eq!(error.status(), 500);
        assert!(!error.body().to_string().contains("/data"));
        assert!(error.source().unwrap().to_string().contains("/data/secret"));
    }

    #[test]
    fn a_client_s_mistake_has_a_code_of_the_specification() {
        use ErrorCode as Code;
        let listed = [
            Code::BlobUnknown,
            Code::BlobUploadInvalid,
            Code::BlobUploadUnknown,
            Code::DigestInvalid,
            Code::ManifestBlobUnknown,
            Code::ManifestInvalid,
            Code::ManifestUnknown,
            Code::NameInvalid,
            Code::NameUnknown,
            Code::SizeInvalid,
            Code::Unauthorized,
            Code::Denied,
            Code::Unsupported,
            Code::TooManyRequests,
        ];
        for code in [Code::RangeInvalid, Code::PaginationNumberInvalid] {
            assert!(listed.iter().any(|listed| listed.name() == code.name()), "{code:?}");
        }
        assert!(listed.iter().all(|code| code.status() < 500));
        assert_eq!([Code::Unavailable, Code::Unknown].map(Code::status), [503, 500]);
    }

    #[test]
    fn the_body_has_the_form_of_the_specification() {
        let error = RegistryError::new(ErrorCode::NameUnknown, "no such repository")
            .with_detail(serde_json::json!({"name": "x"}));
        assert_eq!(
            error.body(),
            serde_json::json!({"errors": [
                {"code": "NAME_UNKNOWN", "message": "no such repository", "detail": {"name": "x"}}
            ]})
        );
    }
}
