//! The address of a store, as it stands in a profile or on the command line. It holds no credential.

use std::{fmt, path::PathBuf, str::FromStr};

use url::Url;

/// `file:///folder`, `s3://bucket/prefix` or `az://container/prefix`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    url: Url,
}

/// Why a text is no address of a store.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("use the store {text}: {reason}")]
pub struct AddressError {
    /// What was given; without it where it may hold a credential.
    text: String,
    reason: &'static str,
}

/// Which service it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Folder,
    S3,
    Azure,
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fault = |text: &str, reason| Err(AddressError { text: text.to_owned(), reason });
        let Ok(url) = Url::parse(text) else {
            return fault(text, "it is no URL; file:///folder, s3://bucket/prefix and az://container/prefix are");
        };
        let bare = url.username().is_empty() && url.password().is_none() && url.query().is_none();
        if !bare || url.fragment().is_some() {
            return fault("that was given", "an address holds no credential and no query; the environment does");
        }
        let host = url.host_str().unwrap_or_default();
        match url.scheme() {
            "file" if host.is_empty() && url.to_file_path().is_ok() => Ok(Self { url }),
            "file" => fault(text, "a folder is file:///and its whole path"),
            "s3" | "az" if host.is_empty() => fault(text, "it names no bucket or container"),
            "s3" | "az" if url.port().is_some() => {
                fault(text, "another endpoint is AWS_ENDPOINT or AZURE_STORAGE_ENDPOINT in the environment")
            }
            "s3" | "az" => Ok(Self { url }),
            _ => fault(text, "its scheme is none of file, s3 and az"),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.url.as_str().trim_end_matches('/'))
    }
}

impl Address {
    pub(super) fn kind(&self) -> Kind {
        match self.url.scheme() {
            "s3" => Kind::S3,
            "az" => Kind::Azure,
            _ => Kind::Folder,
        }
    }

    /// Bucket or container.
    pub(super) fn container(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    /// The folder of `file:`.
    pub(super) fn folder(&self) -> Option<PathBuf> {
        self.url.to_file_path().ok()
    }

    /// What stands before the name of every object; none for a folder, which is the root itself.
    pub(super) fn prefix(&self) -> &str {
        if self.kind() == Kind::Folder { "" } else { self.url.path() }
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Kind};

    fn parsed(text: &str) -> Address {
        text.parse().unwrap()
    }

    #[test]
    fn the_three_kinds_are_read() {
        assert_eq!(parsed("file:///srv/records").kind(), Kind::Folder);
        let s3 = parsed("s3://evidence/cases/one/");
        assert_eq!((s3.kind(), s3.container(), s3.prefix()), (Kind::S3, "evidence", "/cases/one/"));
        assert_eq!(s3.to_string(), "s3://evidence/cases/one");
        assert_eq!(parsed("az://evidence").kind(), Kind::Azure);
    }

    #[test]
    fn what_is_no_address_is_refused_and_a_credential_is_not_repeated() {
        for (text, says) in [
            ("/srv/records", "is no URL"),
            ("file://host/srv", "whole path"),
            ("s3:///prefix", "no bucket"),
            ("s3://bucket:9000/prefix", "AWS_ENDPOINT"),
            ("https://bucket.example/x", "none of file, s3 and az"),
            ("s3://key:hunter2@bucket/x", "no credential"),
            ("az://container/x?sig=hunter2", "no credential"),
        ] {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
