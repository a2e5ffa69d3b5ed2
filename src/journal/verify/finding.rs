//! What verification can say, each kind with a name of its own.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::Untrusted;

/// Whether a finding breaks the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The folder is not what an honest run leaves.
    Problem,
    /// Worth knowing.
    Note,
}

/// One thing that verification found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finding {
    /// Which kind.
    pub code: Code,
    /// Whether it breaks the record.
    pub severity: Severity,
    /// Line of the journal, from 0.
    pub line: Option<u64>,
    /// File, relative to the run's folder; safe to print.
    pub path: Option<String>,
    /// In words; safe to print.
    pub text: String,
}

/// The kinds of finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A file that every run has is missing or cannot be read.
    UnreadableFile,
    /// A link, a device or a folder where a plain file belongs.
    NotPlain,
    /// A file that no line names.
    UnlistedFile,
    /// A path that leaves the folder, or is not of the form that evidence has.
    BadPath,
    /// Another version wrote it, whose format this one cannot check.
    UnknownVersion,
    /// `run.json` is not a header.
    BadHeader,
    /// `run.json` is not the one of line 0.
    HeaderMismatch,
    /// `plan.json` is not the one of line 0, or of the header.
    PlanMismatch,
    /// The plan in `plan.json` is not the one that its digest was made of.
    PlanEdited,
    /// `playbook.yaml` is not the one of line 0, or of the header.
    PlaybookMismatch,
    /// A line that is not JSON, or lacks something.
    BadLine,
    /// A line that names a key twice.
    DuplicateKey,
    /// A line of a kind that this version does not know.
    UnknownRecord,
    /// A line's number is not its place.
    WrongSeq,
    /// A line does not name the digest of the line before it.
    BrokenChain,
    /// A line of another run.
    WrongRun,
    /// The monotonic clock ran backwards, though no process had started anew.
    MonoBackwards,
    /// Line 0 does not open a run, or a later one opens it again.
    NotOpened,
    /// A line after the last one.
    AfterClosed,
    /// A `resumed` line counts other lines than there are.
    ResumeMismatch,
    /// Evidence that a line names is not there.
    EvidenceMissing,
    /// Evidence has other bytes than when it was written.
    EvidenceEdited,
    /// Evidence that two lines claim.
    EvidenceNamedTwice,
    /// The head of an exchange does not parse, or speaks of another request.
    EvidenceSwapped,
    /// A call was to be sent before its plan was approved.
    IntentWithoutApproval,
    /// A call was to be sent before its object was read.
    IntentWithoutSnapshot,
    /// A call was sent without having been announced, or twice.
    SentWithoutIntent,
    /// A secret was used that had not been sealed.
    SecretNotSealed,
    /// A change is called done for which no call was announced.
    DoneWithoutIntent,
    /// A change is called done that no read showed.
    DoneWithoutProof,
    /// Another plan was approved.
    ApprovalOfAnotherPlan,
    /// The run is closed but a change that was begun has no end.
    ChangeNotEnded,
    /// A line speaks of a change that the plan does not have.
    ChangeNotPlanned,
    /// A call is not one of its change in the plan, nor one that a read of what was left asked for.
    CallNotPlanned,
    /// A read or an answer without the exchange that shows it.
    NoExchange,
    /// Header, identity and plan name more than one tenant.
    TenantMismatch,
    /// The last line counts other outcomes than the `ended` lines.
    OutcomesMismatch,
    /// The run is closed but has no manifest.
    ManifestMissing,
    /// The manifest is not the one of the last line, or lists other files than there are.
    ManifestMismatch,
    /// The run is closed but `journal.sha256` is missing.
    DigestMissing,
    /// `journal.sha256` is not that of the journal.
    DigestMismatch,
    /// A sealed secret has other bytes than when it was written.
    HandoverEdited,
    /// The last line is incomplete.
    TornTail,
    /// The run was not closed.
    NotClosed,
    /// A file whose line never became durable: a run that goes on or crashed has such files.
    Leftover,
    /// The wall clock was set back.
    WallClockBackwards,
    /// The folder does not bear the name of its run.
    FolderRenamed,
    /// A sealed secret is no longer beside the run.
    HandoverGone,
    /// A signature was due and is not there.
    CheckpointMissing,
    /// What was signed is not what is here.
    CheckpointMismatch,
    /// A signed note or a key that cannot be read.
    BadNote,
    /// The key of its time did not sign a note.
    BadSignature,
    /// A note or a key of another run or case.
    WrongOrigin,
    /// The key is not one that was given.
    WrongKey,
    /// A later process signs with the key of the one before it.
    KeyReused,
    /// The run is of another tenant than was asked for.
    WrongTenant,
    /// The run is closed but not signed.
    SealMissing,
    /// One key signed two different histories.
    Equivocation,
    /// A run that this one names as an earlier one is gone from the case.
    EarlierRunMissing,
    /// A run that this one names as an earlier one is not what it was.
    EarlierRunChanged,
    /// Another folder of the case claims to be this run.
    RunIdReused,
    /// The earlier runs are not beside this one, so they were not checked.
    EarlierRunsElsewhere,
    /// A time stamp stands over the seal.
    Stamped,
    /// A time stamp does not hold, or no root that was given stands behind it.
    StampBad,
    /// A time stamp is asked for and is not there.
    StampMissing,
    /// This program was built without what checks time stamps.
    StampNotChecked,
    /// A person signed the seal.
    Signed,
    /// A person's signature does not hold.
    SignatureBad,
    /// A person's signature is asked for and is not there.
    SignatureMissing,
    /// A person signed who is not one of the allowed signers.
    SignerUnknown,
    /// A later process went on under a new key.
    Continued,
    /// A later process went on as somebody else to the tenant.
    OtherIdentity,
    /// A root that was given is not that of these lines.
    RootMismatch,
    /// A root that was given is that of the first lines only.
    RootOfFirstLines,
    /// Nothing was given from elsewhere that covers all lines.
    NotAuthenticated,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The findings so far.
#[derive(Debug, Default)]
pub(super) struct Findings {
    list: Vec<Finding>,
}

impl Findings {
    /// A problem with a line.
    pub(super) fn line(&mut self, code: Code, line: u64, text: impl Into<String>) {
        self.push(code, Severity::Problem, Some(line), None, text.into());
    }

    /// A problem with a file.
    pub(super) fn file(&mut self, code: Code, path: &str, text: impl Into<String>) {
        self.push(code, Severity::Problem, None, Some(shown(path)), text.into());
    }

    /// A problem with a file that a line names.
    pub(super) fn named(&mut self, code: Code, line: u64, path: &str, text: impl Into<String>) {
        self.push(code, Severity::Problem, Some(line), Some(shown(path)), text.into());
    }

    /// Something worth knowing.
    pub(super) fn note(&mut self, code: Code, text: impl Into<String>) {
        self.push(code, Severity::Note, None, None, text.into());
    }

    /// Something worth knowing about a line.
    pub(super) fn note_line(&mut self, code: Code, line: u64, text: impl Into<String>) {
        self.push(code, Severity::Note, Some(line), None, text.into());
    }

    /// Something worth knowing about a file.
    pub(super) fn note_file(&mut self, code: Code, path: &str, text: impl Into<String>) {
        self.push(code, Severity::Note, None, Some(shown(path)), text.into());
    }

    fn push(&mut self, code: Code, severity: Severity, line: Option<u64>, path: Option<String>, text: String) {
        self.list.push(Finding { code, severity, line, path, text });
    }

    pub(super) fn has_problem(&self) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Problem)
    }

    pub(super) fn has_problem_of(&self, code: Code) -> bool {
        self.list.iter().any(|finding| finding.severity == Severity::Problem && finding.code == code)
    }

    pub(super) fn sorted(mut self) -> Vec<Finding> {
        self.list.sort_by_key(|finding| (finding.severity, finding.line.unwrap_or(u64::MAX)));
        self.list
    }
}

/// Text that an attacker may have chosen, safe to print; plain text stays as it is.
pub(super) fn shown(text: &str) -> String {
    let plain = |c: char| c == ' ' || c.is_ascii_graphic();
    if text.chars().all(plain) { text.to_owned() } else { Untrusted::from(text).term() }
}
