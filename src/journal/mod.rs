//! The record of a run: chained lines, evidence files, and the check that nobody altered them since.
//!
//! Everything here is about a folder on disk; nothing here knows what an action is or sends a request. What the
//! folder looks like, and how to check it without this program, is in `docs/evidence-format.md`.

mod case;
mod checkpoint;
mod commit;
mod custody;
pub(crate) mod disk;
mod error;
mod evidence;
mod folder;
mod hash;
mod hooks;
mod ledger;
mod merkle;
mod note;
mod operator;
mod prove;
mod record;
mod recover;
mod schema;
mod seal;
mod spill;
mod stamp;
mod strict;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod verify;
mod words;
mod writer;

pub use case::{Case, room_for};
pub use checkpoint::Anchor;
pub use custody::{Custody, CustodyError, CustodyLog, Handled, Handling, custody_of, note_custody, read_custody};
pub use error::JournalError;
pub use evidence::read_head;
pub(crate) use folder::{DERIVED, SEAL_NOTE};
pub use folder::{History, Mode, PlaybookRef, RunHeader, Tool, has_begun};
pub use hash::sha256_hex;
#[doc(hidden)]
pub use hooks::{Crash, Leaves};
pub use ledger::Earlier;
pub use note::{Vkey, VkeyError};
pub use operator::{
    AllowedSigners, SIGNATURE_NAMESPACE, SignatureError, SignedBy, SignersError, attach_signature, seal_of,
};
pub use prove::{ProofError, Proven, check_proof, prove};
pub use record::{Approval, Continues, EvidenceRef, FileRef, Found, Line, Purpose, Record, Said, SentOutcome, Torn};
pub use schema::schema;
pub use spill::Spilled;
#[cfg(feature = "timestamp")]
pub use stamp::stamp_request;
pub use stamp::{LARGEST_STAMP, Nonce, Stamp, StampError, StampRoots, attach_stamp, check_stamp};
pub use verify::{ClockOffset, Finding, Subject, Trust, Verdict, Verification, verify, verify_with};
pub use writer::{Closing, Journal};

/// Version of the run header.
pub const RUN_FORMAT: &str = "staunch.run/v1";
/// Version of the journal's lines.
pub const JOURNAL_FORMAT: &str = "staunch.journal/v1";
/// Version of the manifest.
pub const MANIFEST_FORMAT: &str = "staunch.manifest/v1";
