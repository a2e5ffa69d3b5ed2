//! Why a store did not take or give something.

use std::{error::Error, path::PathBuf};

use crate::{
    journal::{JournalError, Verdict},
    model::json_for_terminal,
    store::Claim,
};

/// Reads after "failed to". What a store said is escaped: it is somebody else's text.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The store cannot be used as it is set up: no credential, no such folder.
    #[error("use the store {store}: {reason}")]
    Unusable {
        /// Its address.
        store: String,
        /// Why.
        reason: String,
    },
    /// The store cannot be reached, or does not let us.
    #[error("{doing} {object} in {store}: {reason}")]
    Refused {
        /// What was tried.
        doing: &'static str,
        /// Name of the object, under the prefix.
        object: String,
        /// The store's address.
        store: String,
        /// What it said.
        reason: String,
    },
    /// Another run has this plan.
    #[error("claim the plan: {} holds it with run {} since {}, by {object} in {store}", who(claim), shown(&claim.run), claim.at)]
    Held {
        /// Whose it is.
        claim: Box<Claim>,
        /// The claim's name.
        object: String,
        /// The store's address.
        store: String,
    },
    /// Something else stands where the claim would.
    #[error("claim the plan: {object} in {store} is there already, and is no claim that this program can read")]
    NotAClaim {
        /// The claim's name.
        object: String,
        /// The store's address.
        store: String,
    },
    /// There is an object of this name with other content. It was left as it is.
    #[error("copy {object} to {store}: something else is there already under that name")]
    Different {
        /// Name of the object.
        object: String,
        /// The store's address.
        store: String,
    },
    /// What was read back is not what was put.
    #[error("copy {object} to {store}: what was read back is not what was put there")]
    Changed {
        /// Name of the object.
        object: String,
        /// The store's address.
        store: String,
    },
    /// A record that is not closed, or does not verify, is not copied: it would be kept as it is for ever.
    #[error("copy the run: its record is {}, not closed and whole", .0.word())]
    NotWhole(Verdict),
    /// The store holds no whole copy of this run.
    #[error("fetch the run {run} from {store}: {reason}")]
    NoCopy {
        /// The run.
        run: String,
        /// The store's address.
        store: String,
        /// What is missing.
        reason: &'static str,
    },
    /// A file of ours.
    #[error("read or write the run's files")]
    File(#[from] JournalError),
    /// The folder that a copy should be fetched into.
    #[error("fetch the run into {}: it is there already", .0.display())]
    Exists(PathBuf),
}

fn who(claim: &Claim) -> String {
    shown(&format!("{}@{}", claim.os_user, claim.host))
}

/// Somebody else's text, fit for a terminal, in one line.
pub(super) fn shown(text: &str) -> String {
    json_for_terminal(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// What a store said, in one line, without what it said twice.
pub(super) fn reason(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        next = cause.source();
    }
    shown(&line)
}
