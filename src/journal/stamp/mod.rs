//! A time stamp over a run's seal (RFC 3161): that this record existed at a time, by the word of an authority that never
//! sees more of it than a digest. What is asked, what an answer must be, and where it is kept.

#[cfg(feature = "timestamp")]
#[cfg(test)]
mod tests;
#[cfg(feature = "timestamp")]
mod token;
#[cfg(feature = "timestamp")]
mod wire;

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;

#[cfg(feature = "timestamp")]
pub use token::stamp_request;

use crate::journal::{JournalError, SignatureError, disk, folder::SEAL_TSR, seal_of};

/// Largest answer of an authority, in bytes.
pub const LARGEST_STAMP: usize = 256 << 10;

/// Drawn for one request, and repeated by its answer: an older answer is not taken for it.
pub type Nonce = [u8; 8];

/// Why a time stamp does not hold, or cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum StampError {
    /// The folder is not a closed run.
    #[error(transparent)]
    Run(#[from] SignatureError),
    /// It cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Not an answer of RFC 3161.
    #[error("read the time stamp: {0}")]
    Form(String),
    /// The authority did not grant it.
    #[error("get a time stamp: the authority answered with status {status} {text}")]
    Refused {
        /// `PKIStatus`.
        status: u8,
        /// In the authority's words; safe to print.
        text: String,
    },
    /// It is not what it should be.
    #[error("check the time stamp: {0}")]
    Wrong(&'static str),
    /// No root that was given stands behind it.
    #[error("check the time stamp: no root that was given stands behind its authority: {0}")]
    Chain(String),
    /// The program was built without it.
    #[error("check the time stamp: this program was built without `timestamp`")]
    NotBuilt,
}

/// What a time stamp shows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Stamp {
    /// The record existed no later than this, by the authority's clock.
    pub time: Timestamp,
    /// Who says so: the subject of the certificate that signed; safe to print.
    pub authority: String,
    /// Number of the stamp, in hex.
    pub serial: String,
    /// Under which rules of the authority, as an object identifier.
    pub policy: String,
    /// Whether a root that was given stands behind the authority. Without, anybody could have made the stamp.
    pub is_anchored: bool,
}

/// Certificates of authorities that are believed about time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StampRoots(Vec<Vec<u8>>);

impl StampRoots {
    /// Certificates in PEM.
    ///
    /// # Errors
    /// When the text holds none.
    pub fn pem(text: &str) -> Result<Self, StampError> {
        let all = pem::parse_many(text).map_err(|error| StampError::Form(error.to_string()))?;
        let all = all.into_iter().filter(|pem| pem.tag() == "CERTIFICATE").map(pem::Pem::into_contents);
        let certificates: Vec<Vec<u8>> = all.collect();
        if certificates.is_empty() {
            return Err(StampError::Form("the file of roots holds no certificate".to_owned()));
        }
        Ok(Self(certificates))
    }

    #[cfg(feature = "timestamp")]
    fn certificates(&self) -> &[Vec<u8>] {
        &self.0
    }
}

/// Checks an answer against the seal that it should be about. The nonce is known to whoever asked.
///
/// # Errors
/// When it is not a stamp over this seal that its authority signed; with roots, also when none stands behind it.
#[cfg(feature = "timestamp")]
pub fn check_stamp(
    seal: &[u8],
    answer: &[u8],
    nonce: Option<&Nonce>,
    roots: Option<&StampRoots>,
) -> Result<Stamp, StampError> {
    token::check(seal, answer, nonce, roots)
}

/// Without the feature nothing can be checked.
///
/// # Errors
/// Always.
#[cfg(not(feature = "timestamp"))]
pub fn check_stamp(
    _seal: &[u8],
    _answer: &[u8],
    _nonce: Option<&Nonce>,
    _roots: Option<&StampRoots>,
) -> Result<Stamp, StampError> {
    Err(StampError::NotBuilt)
}

/// Adds the answer of an authority to a closed run, once.
///
/// # Errors
/// As `check_stamp`; when the run is not closed, or has one.
pub fn attach_stamp(
    run: &Path,
    answer: &[u8],
    nonce: Option<&Nonce>,
    roots: Option<&StampRoots>,
) -> Result<Stamp, StampError> {
    let stamp = check_stamp(&seal_of(run)?, answer, nonce, roots)?;
    disk::write_new_synced(&run.join(SEAL_TSR), answer)?;
    disk::sync_dir(run)?;
    Ok(stamp)
}
