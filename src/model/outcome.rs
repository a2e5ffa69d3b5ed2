//! How a change ended, in words that do not promise more than was seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a read says about a wanted state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The wanted state is there.
    Holds,
    /// It is not, or not yet.
    NotYet,
}

/// The outcome of one change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Changed, and a second read shows it.
    Done,
    /// It was so before; nothing was sent.
    Already,
    /// Done, but the object is mastered on-premises and the next synchronisation may turn it back.
    DoneWillRevert,
    /// Accepted; the tenant said that it is still working on it when the budget ended.
    Pending,
    /// The object is no longer as the plan saw it; nothing was sent.
    Drifted,
    /// A guard refused; nothing was sent.
    Refused,
    /// The tenant refused, or the object could not be read.
    Failed,
    /// A request was sent, its answer was lost, and reading did not settle whether it took effect.
    Unknown,
    /// Accepted, but no read showed the wanted state within the budget.
    Unverified,
    /// Not reached: an earlier change said stop, or its condition was not met.
    Skipped,
}

impl Outcome {
    /// Whether the wanted state is known to hold now.
    pub fn holds(self) -> bool {
        matches!(self, Self::Done | Self::Already | Self::DoneWillRevert)
    }

    /// The word that is shown and written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Already => "already",
            Self::DoneWillRevert => "done-will-revert",
            Self::Pending => "pending",
            Self::Drifted => "drifted",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
            Self::Unverified => "unverified",
            Self::Skipped => "skipped",
        }
    }

    /// What a responder does next.
    pub fn next_step(self) -> &'static str {
        match self {
            Self::Done | Self::Already => "nothing",
            Self::DoneWillRevert => "make the same change on-premises before the next synchronisation",
            Self::Pending => "plan again in a few minutes, which looks",
            Self::Drifted => "look at what changed, then plan again",
            Self::Refused => "have a person decide; the guard says why",
            Self::Failed => "read the reason, mend it, then plan again",
            Self::Unknown => "look at the object by hand, then resume or plan again",
            Self::Unverified => "plan again in a few minutes, which looks; treat as not contained until then",
            Self::Skipped => "mend the change that stopped the run, then plan again",
        }
    }
}
