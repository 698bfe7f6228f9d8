use std::fmt::Write as _;

use prometheus_client::encoding::{EncodeLabelValue, LabelValueEncoder};

/// An enum whose variants are all the values that a label can have. Nothing
/// that a client sends gets into a label: their number is known beforehand.
macro_rules! label {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The value as it is exposed.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }
        }

        impl EncodeLabelValue for $name {
            fn encode(&self, encoder: &mut LabelValueEncoder) -> Result<(), std::fmt::Error> {
                encoder.write_str(self.name())
            }
        }
    };
}

label! {
    /// What a request is about.
    Operation {
        /// `/`
        Page = "page",
        /// `/healthz` and `/readiness`
        Probe = "probe",
        /// `/metrics`
        Metrics = "metrics",
        /// `/login`
        Login = "login",
        /// `/validate-image`
        Validate = "validate",
        /// `/v2/`
        Version = "version",
        /// `/v2/_catalog`
        Catalog = "catalog",
        /// Lists of tags and their history.
        Tags = "tags",
        /// Lists of referrers.
        Referrers = "referrers",
        /// Reading a manifest.
        PullManifest = "pull_manifest",
        /// Writing a manifest.
        PushManifest = "push_manifest",
        /// Deleting a manifest or a tag.
        DeleteManifest = "delete_manifest",
        /// Reading a blob.
        PullBlob = "pull_blob",
        /// Deleting a blob.
        DeleteBlob = "delete_blob",
        /// Beginning an upload, a mount, or a whole blob in one request.
        StartUpload = "start_upload",
        /// Asking how far an upload is.
        UploadStatus = "upload_status",
        /// Sending a part of a blob.
        AppendUpload = "append_upload",
        /// Ending an upload.
        FinishUpload = "finish_upload",
        /// Giving an upload up.
        CancelUpload = "cancel_upload",
        /// Everything else.
        Other = "other",
    }
}

label! {
    /// A method of HTTP.
    Method {
        /// GET
        Get = "GET",
        /// HEAD
        Head = "HEAD",
        /// POST
        Post = "POST",
        /// PUT
        Put = "PUT",
        /// PATCH
        Patch = "PATCH",
        /// DELETE
        Delete = "DELETE",
        /// OPTIONS
        Options = "OPTIONS",
        /// Every other one.
        Other = "other",
    }
}

label! {
    /// The first digit of a status.
    StatusClass {
        /// 1xx
        Informational = "1xx",
        /// 2xx
        Success = "2xx",
        /// 3xx
        Redirection = "3xx",
        /// 4xx
        ClientError = "4xx",
        /// 5xx
        ServerError = "5xx",
    }
}

impl StatusClass {
    /// The class of a status.
    #[must_use]
    pub fn of(status: u16) -> Self {
        match status / 100 {
            1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

label! {
    /// Why someone was not let in.
    AuthFailure {
        /// A wrong user or password.
        Password = "password",
        /// A token that is not valid, or not good for this.
        Token = "token",
        /// Credentials of a kind that is none of ours.
        Malformed = "malformed",
        /// The right user, for whom this is not allowed.
        Denied = "denied",
        /// Too many attempts.
        Throttled = "throttled",
    }
}

label! {
    /// How something ended.
    Outcome {
        /// As it should.
        Ok = "ok",
        /// Not.
        Failed = "failed",
    }
}

label! {
    /// Why the server closed a connection.
    Closed {
        /// The client said nothing, or took next to nothing, for too long.
        Idle = "idle",
        /// It made room for another one, being the longest idle of all.
        Evicted = "evicted",
        /// It broke the rules of the protocol, or was cut.
        Broken = "broken",
    }
}

label! {
    /// What runs in the background.
    Job {
        /// Sweeping out uploads that nobody touches.
        Sweep = "sweep",
        /// Collecting content that nothing refers to.
        Collection = "collection",
        /// Comparing content with its digests.
        Scrub = "scrub",
    }
}

label! {
    /// What a job did with one item.
    Treatment {
        /// Looked at it.
        Examined = "examined",
        /// Removed it.
        Removed = "removed",
        /// Found it damaged.
        Damaged = "damaged",
        /// Could not read it.
        Unreadable = "unreadable",
    }
}
