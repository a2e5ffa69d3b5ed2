//! What one journal line says. Types only: how lines are chained, written and checked is elsewhere.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    journal::Earlier,
    model::{Call, Caveat, Identity, Outcome, Override, Target, Untrusted, Verdict},
};

/// One line of `journal.jsonl`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Line {
    /// Place in the file, from 0.
    pub seq: u64,
    /// The run that it belongs to.
    pub run: String,
    /// SHA-256, in lower-case hex, of the previous line's bytes without its newline; 64 zeros on line 0.
    pub prev: String,
    /// Wall clock, UTC, whole milliseconds.
    pub t: Timestamp,
    /// Monotonic milliseconds since the process began; starts again at a `resumed` line.
    pub mono_ms: u64,
    /// The exchanges that stand behind this line.
    pub ev: Vec<EvidenceRef>,
    /// The fact.
    pub record: Record,
}

/// One exchange with the tenant, as two files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EvidenceRef {
    /// What was asked and how it was answered: JSON.
    pub head: FileRef,
    /// The exact bytes of the answer.
    pub body: FileRef,
    /// The exchange's `client-request-id`, as the head names it too.
    pub client_request_id: String,
}

/// A file of the run's folder, with what it held when it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FileRef {
    /// Relative to the run's folder, with `/`.
    pub path: String,
    /// Bytes.
    pub len: u64,
    /// SHA-256 in lower-case hex.
    pub sha256: String,
}

/// How a plan was approved, or a question answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Approval {
    /// A person answered at the prompt.
    Prompt,
    /// It was given on the command line.
    Flag,
    /// The embedded tenant's rehearsal approves itself.
    Demo,
}

/// Why an object was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The snapshot before a change.
    Before,
    /// To find out whether a call took effect whose answer was lost.
    Probe,
}

/// How the sending of a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SentOutcome {
    /// 2xx. Not a proof.
    Accepted,
    /// The object is not there.
    NotFound,
    /// Refused before it took effect.
    Rejected,
    /// Nothing reached the tenant.
    NotSent,
    /// Sent, and the answer was lost.
    Unknown,
}

/// What reading showed of a call of which nobody knew whether it took effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Found {
    /// It took effect.
    Applied,
    /// It did not.
    NotApplied,
    /// Reading cannot tell: the object cannot be read, or a creation does not show, which may come later.
    Indeterminate,
}

/// What a person says of a call that reading cannot settle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Said {
    /// It took effect: it is not sent again, and the object is read back.
    Applied,
    /// It did not: what is left is sent.
    NotApplied,
    /// Nobody can say: the change ends as `unknown`.
    Unknown,
}

/// What a crash left behind that belongs to no durable line. Nothing of it is thrown away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Torn {
    /// Bytes that stood after the last whole line of the journal and were cut off.
    pub len: u64,
    /// SHA-256 of these bytes.
    pub sha256: String,
    /// The files that keep what was left: those bytes, and evidence whose line never became durable.
    pub kept: Vec<FileRef>,
}

/// What a later process found signed, and the key that it signs with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Continues {
    /// Root over all lines before this one, in Base64.
    pub root: String,
    /// The newest note of the process before, where it came to write one.
    pub note: Option<String>,
    /// The public key of this process.
    pub vkey: String,
}

/// A fact in the journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Record {
    /// Line 0, written when the journal is created.
    RunOpened {
        /// `staunch.journal/v1`
        #[schemars(extend("const" = crate::journal::JOURNAL_FORMAT))]
        format: String,
        /// SHA-256 of `run.json`.
        header_sha256: String,
        /// SHA-256 of `plan.json`.
        plan_sha256: String,
        /// SHA-256 of `playbook.yaml`, where there is one.
        playbook_sha256: Option<String>,
        /// The public key of the process that writes; what it signs is in `checkpoints/` and `seal.note`.
        vkey: String,
        /// The runs of the case that no run had named yet: usually the one before this.
        earlier: Vec<Earlier>,
    },
    /// Somebody approved exactly this plan.
    Approved {
        /// The plan's digest.
        digest: String,
        /// The name that was given; nobody proved it.
        by: String,
        /// How.
        how: Approval,
        /// The guards that the plan overrides, with the reasons given.
        #[serde(default)]
        overrides: Vec<Override>,
        /// What the guards could not see when it was approved.
        #[serde(default)]
        unseen: Vec<Caveat>,
    },
    /// The guards were asked again when the run was taken up, and refused nothing that is still to be sent.
    Cleared {
        /// What they could not see.
        unseen: Vec<Caveat>,
    },
    /// A stage began.
    StageStarted {
        /// Which.
        stage: String,
    },
    /// All changes of a stage were sent or given up. Verification may still be going on.
    StageEnded {
        /// Which.
        stage: String,
    },
    /// An object was read.
    Observed {
        /// The change that it was read for.
        change: String,
        /// The slice that the action owns; none when it could not be read.
        state: Option<Value>,
        /// What to know about it.
        caveats: Vec<Caveat>,
        /// Why it could not be read.
        error: Option<String>,
        /// What for.
        purpose: Purpose,
    },
    /// A new secret was encrypted and is on disk, before it is used.
    Sealed {
        /// The change that will set it.
        change: String,
        /// The encrypted file, relative to the case's folder.
        file: String,
        /// Of the encrypted file.
        sha256: String,
        /// The age recipients that can open it.
        recipients: Vec<String>,
        /// Whose secret it is.
        owner: String,
    },
    /// A call is about to be sent. Without this line on disk, it is not.
    Intent {
        /// The change.
        change: String,
        /// Index of the call in the change.
        call: u32,
        /// What the tenant's own logs will show for it.
        client_request_id: String,
        /// What will be sent; secrets are placeholders.
        request: Call,
        /// The state that it is to bring about.
        wanted: Value,
        /// The tenant's time just before.
        server_time: Timestamp,
    },
    /// A call was sent, or could not be.
    Sent {
        /// The change.
        change: String,
        /// Index of the call in the change.
        call: u32,
        /// As in its intent.
        client_request_id: String,
        /// How it ended.
        outcome: SentOutcome,
        /// HTTP status, where one came.
        status: Option<u16>,
        /// The tenant's words, or ours.
        reason: Option<String>,
        /// The tenant's error code.
        code: Option<String>,
        /// Warnings beside a success.
        warnings: Vec<Untrusted>,
    },
    /// A call of which nobody knew whether it took effect was looked for; the reads are the `probe`s before this line.
    Reconciled {
        /// The change.
        change: String,
        /// Index of the call in the change.
        call: u32,
        /// As in its intent.
        client_request_id: String,
        /// What was found.
        found: Found,
        /// In words.
        reason: String,
    },
    /// A person settled what reading could not.
    Decided {
        /// The change.
        change: String,
        /// What they said.
        said: Said,
        /// The name that was given; nobody proved it.
        by: String,
        /// How.
        how: Approval,
    },
    /// The object was read again, until the wanted state was there or the budget was spent.
    Verified {
        /// The change.
        change: String,
        /// What the last read showed.
        verdict: Verdict,
        /// How many reads it took.
        reads: u32,
        /// How long, in milliseconds.
        waited_ms: u64,
        /// The last state seen.
        state: Option<Value>,
        /// Why it could not be read.
        error: Option<String>,
    },
    /// A change is over. Where a change ends more than once, the last line counts.
    Ended {
        /// The change.
        change: String,
        /// How.
        outcome: Outcome,
        /// In words.
        reason: String,
        /// State before, as observed.
        before: Option<Value>,
        /// State after, as read back.
        after: Option<Value>,
        /// The object, under its new id where it moved.
        target: Box<Target>,
        /// What to know.
        caveats: Vec<Caveat>,
    },
    /// A later process took the run up again. The first line that it writes.
    Resumed {
        /// Whole lines that were found.
        records: u64,
        /// What the crash left, where it left anything.
        torn: Option<Torn>,
        /// The name that was given; nobody proved it.
        by: String,
        /// Who this process is to the tenant, from the token. Records that were made before this was kept have none.
        #[serde(default)]
        identity: Option<Box<Identity>>,
        /// What is gone on with, and under which new key; the old one died with its process.
        continues: Option<Continues>,
    },
    /// The run stopped before its end, on purpose.
    Interrupted {
        /// Why.
        reason: String,
    },
    /// The last line.
    Closed {
        /// Changes by the word of their outcome, counted from the `ended` lines.
        outcomes: BTreeMap<String, u32>,
        /// From the start of the run to the last cut of an access.
        last_cut_off_ms: Option<u64>,
        /// From the start of the run until everything was verified.
        contained_ms: Option<u64>,
        /// SHA-256 of `manifest.json`.
        manifest_sha256: String,
    },
}

impl Record {
    /// The `type` of the line.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunOpened { .. } => "run-opened",
            Self::Approved { .. } => "approved",
            Self::Cleared { .. } => "cleared",
            Self::StageStarted { .. } => "stage-started",
            Self::StageEnded { .. } => "stage-ended",
            Self::Observed { .. } => "observed",
            Self::Sealed { .. } => "sealed",
            Self::Intent { .. } => "intent",
            Self::Sent { .. } => "sent",
            Self::Reconciled { .. } => "reconciled",
            Self::Decided { .. } => "decided",
            Self::Verified { .. } => "verified",
            Self::Ended { .. } => "ended",
            Self::Resumed { .. } => "resumed",
            Self::Interrupted { .. } => "interrupted",
            Self::Closed { .. } => "closed",
        }
    }

    /// The change that the line is about.
    pub fn change(&self) -> Option<&str> {
        match self {
            Self::Observed { change, .. }
            | Self::Sealed { change, .. }
            | Self::Intent { change, .. }
            | Self::Sent { change, .. }
            | Self::Reconciled { change, .. }
            | Self::Decided { change, .. }
            | Self::Verified { change, .. }
            | Self::Ended { change, .. } => Some(change),
            _ => None,
        }
    }

    /// Whether it tells what has already happened in the tenant, so that it must not get lost with the disk.
    pub(crate) fn is_result(&self) -> bool {
        matches!(self, Self::Sent { .. } | Self::Verified { .. } | Self::Ended { .. })
    }
}
