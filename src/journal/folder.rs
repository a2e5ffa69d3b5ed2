//! What lies in a run's folder: names, the header, and reading a record back.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    journal::{
        Continues, FileRef, JournalError, Line, Record, SentOutcome, Torn, disk,
        hash::{ZEROS, sha256_hex},
        strict,
    },
    model::{Cloud, Identity},
};

/// The header.
pub(crate) const HEADER: &str = "run.json";
/// The plan, as it was approved.
pub(crate) const PLAN: &str = "plan.json";
/// The playbook, as it was read.
pub(crate) const PLAYBOOK: &str = "playbook.yaml";
/// The record.
pub(crate) const JOURNAL: &str = "journal.jsonl";
/// The folder of the exchanges.
pub(crate) const EVIDENCE: &str = "evidence";
/// All other files with their digests, written at the close.
pub(crate) const MANIFEST: &str = "manifest.json";
/// The digest of the whole journal as `sha256sum -c` reads it, written at the close.
pub(crate) const SEAL: &str = "journal.sha256";
/// The folder of the signed roots.
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The signed root over the whole journal, written at the close.
pub(crate) const SEAL_NOTE: &str = "seal.note";
/// A time stamp over the seal, where one was added.
pub(crate) const SEAL_TSR: &str = "seal.tsr";
/// A person's signature over the seal, where one was added.
pub(crate) const SEAL_SIG: &str = "seal.sig";
/// The custody log, in the folder of the case.
pub(crate) const CUSTODY: &str = "custody.jsonl";
/// Reports and exports; never evidence.
pub(crate) const DERIVED: &str = "derived";

/// Whether a run changes the tenant forward or takes a run back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Containment.
    Apply,
    /// The way back.
    Undo,
}

/// Which program wrote the record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// `staunch`
    pub name: String,
    /// Semantic version.
    pub version: String,
    /// The commit that it was built from, where the build was told (`STAUNCH_COMMIT`).
    pub commit: Option<String>,
    /// SHA-256 of the executable, where it could be read.
    pub sha256: Option<String>,
}

/// The playbook that a run followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlaybookRef {
    /// Its `id`.
    pub id: String,
    /// Its `version`.
    pub version: String,
    /// SHA-256 of its text.
    pub sha256: String,
}

/// `run.json`: who works on what, from where. Written once, before anything else.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RunHeader {
    /// `staunch.run/v1`
    #[schemars(extend("const" = crate::journal::RUN_FORMAT))]
    pub format: String,
    /// The folder's name: ASCII letters, digits and `-`.
    pub run_id: String,
    /// The case, as the user calls it.
    pub case: String,
    /// Which program.
    pub tool: Tool,
    /// The machine's name.
    pub host: String,
    /// The user of the machine.
    pub os_user: String,
    /// By the machine's clock.
    pub started: Timestamp,
    /// The machine's time zone, by its name: times in the record are UTC, those that people noted may not be.
    pub time_zone: Option<String>,
    /// On whose authority the work is done, as it was given: ticket, engagement, legal basis.
    pub authority: Option<String>,
    /// Forward or back.
    pub mode: Mode,
    /// The run that is taken back.
    pub undo_of: Option<String>,
    /// The tenant.
    pub tenant_id: String,
    /// Its cloud.
    pub cloud: Cloud,
    /// Who we are to the tenant, from the token.
    pub identity: Identity,
    /// None for an undo.
    pub playbook: Option<PlaybookRef>,
    /// SHA-256 of `plan.json`'s bytes.
    pub plan_sha256: String,
    /// The plan's id.
    pub plan_id: String,
    /// The command line, secrets left out.
    pub command: Vec<String>,
}

/// A run as its folder tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// Who works on what.
    pub header: RunHeader,
    /// The bytes of `plan.json`.
    pub plan: Vec<u8>,
    /// All whole lines, in order; their chain holds.
    pub lines: Vec<Line>,
    /// What a crash left that no line names yet.
    pub torn: Option<Torn>,
    /// What the first line of a run that was taken up again says of the signatures; none where it was only read.
    pub continues: Option<Continues>,
    /// Whether the last line is `closed`.
    pub closed: bool,
}

impl History {
    /// Reads a run without writing or locking anything.
    ///
    /// # Errors
    /// When the folder is not a run, or its record is damaged other than by a torn last line. `verify` tells all
    /// that is wrong with it.
    pub fn load(run: &Path) -> Result<Self, JournalError> {
        let raw = Raw::load(run)?;
        let torn = raw.torn();
        Ok(raw.history(torn))
    }
}

impl History {
    /// Reads as much of a run as can be understood, for a report that says itself that the record is broken. Lines
    /// that cannot be understood are left out, and no chain is checked.
    ///
    /// # Errors
    /// When there is no header, which every other word about the run would need, or no journal.
    pub fn salvage(run: &Path) -> Result<Self, JournalError> {
        let header = strict::from_slice(&disk::read_plain(&run.join(HEADER))?)
            .map_err(|error| JournalError::Damaged { path: run.to_owned(), reason: format!("{HEADER}: {error}") })?;
        let bytes = disk::read_plain(&run.join(JOURNAL))?;
        let whole = bytes.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
        let lines: Vec<Line> = whole.filter_map(|line| strict::from_slice(line).ok()).collect();
        let closed = lines.iter().any(|line| matches!(line.record, Record::Closed { .. }));
        let plan = disk::read_plain(&run.join(PLAN)).unwrap_or_default();
        Ok(Self { header, plan, lines, torn: None, continues: None, closed })
    }
}

impl History {
    /// Who made the changes, to the tenant: whoever began the run, and others who took it up again.
    pub fn identities(&self) -> Vec<&Identity> {
        let mut all = vec![&self.header.identity];
        for line in &self.lines {
            if let Record::Resumed { identity: Some(us), .. } = &line.record
                && !all.iter().any(|known| us.is_same_as(known))
            {
                all.push(us);
            }
        }
        all
    }

    /// Changes with a call of which the lines do not say how it ended: they are cut off in the middle of it.
    pub fn under_way(&self) -> BTreeSet<&str> {
        let mut open = BTreeSet::new();
        for line in &self.lines {
            match &line.record {
                Record::Intent { change, .. } => {
                    open.insert(change.as_str());
                }
                Record::Sent { outcome: SentOutcome::Unknown, .. } => {}
                Record::Sent { change, .. } | Record::Ended { change, .. } => {
                    open.remove(change.as_str());
                }
                _ => {}
            }
        }
        open
    }
}

/// Whether a run came to write its first line. Without it nothing was sent.
pub fn has_begun(run: &Path) -> bool {
    let mut line = Vec::new();
    let read = fs::File::open(run.join(JOURNAL)).and_then(|file| BufReader::new(file).read_until(b'\n', &mut line));
    read.is_ok() && line.ends_with(b"\n")
}

/// A history together with the bytes that it was read from.
pub(crate) struct Raw {
    pub(crate) header: RunHeader,
    pub(crate) plan: Vec<u8>,
    pub(crate) lines: Vec<Line>,
    pub(crate) bytes: Vec<u8>,
    /// Length of the whole lines.
    pub(crate) whole: usize,
}

impl Raw {
    pub(crate) fn load(run: &Path) -> Result<Self, JournalError> {
        let damaged = |reason: String| JournalError::Damaged { path: run.to_owned(), reason };
        let header_bytes = disk::read_plain(&run.join(HEADER))?;
        let header: RunHeader =
            strict::from_slice(&header_bytes).map_err(|error| damaged(format!("{HEADER}: {error}")))?;
        let plan = disk::read_plain(&run.join(PLAN))?;
        let bytes = disk::read_plain(&run.join(JOURNAL))?;
        let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |n| n + 1);
        let lines = chained(bytes.get(..whole).unwrap_or_default(), &header.run_id)
            .map_err(|(seq, reason)| damaged(format!("line {seq}: {reason}")))?;
        match lines.first().map(|line| &line.record) {
            Some(Record::RunOpened { header_sha256, plan_sha256, .. }) => {
                if *header_sha256 != sha256_hex(&header_bytes) {
                    return Err(damaged(format!("{HEADER} is not the one of line 0")));
                }
                if *plan_sha256 != sha256_hex(&plan) {
                    return Err(damaged(format!("{PLAN} is not the one of line 0")));
                }
            }
            Some(_) => return Err(damaged("line 0 does not open a run".to_owned())),
            None => {
                return Err(damaged("nothing was recorded, so nothing was done".to_owned()));
            }
        }
        Ok(Self { header, plan, lines, bytes, whole })
    }

    /// The bytes after the last whole line.
    pub(crate) fn tail(&self) -> &[u8] {
        self.bytes.get(self.whole..).unwrap_or_default()
    }

    pub(crate) fn closed(&self) -> bool {
        matches!(self.lines.last().map(|line| &line.record), Some(Record::Closed { .. }))
    }

    fn torn(&self) -> Option<Torn> {
        let tail = self.tail();
        (!tail.is_empty()).then(|| Torn { len: tail.len() as u64, sha256: sha256_hex(tail), kept: Vec::new() })
    }

    pub(crate) fn history(self, torn: Option<Torn>) -> History {
        let closed = self.closed();
        History { header: self.header, plan: self.plan, lines: self.lines, torn, continues: None, closed }
    }
}

/// Parses whole lines and holds them to their chain.
fn chained(bytes: &[u8], run: &str) -> Result<Vec<Line>, (u64, String)> {
    let mut prev = ZEROS.to_owned();
    let mut lines = Vec::new();
    for (seq, raw) in (0_u64..).zip(bytes.split_inclusive(|b| *b == b'\n')) {
        let raw = raw.strip_suffix(b"\n").unwrap_or(raw);
        let line: Line = strict::from_slice(raw).map_err(|error| (seq, error.to_string()))?;
        let fault = if line.seq != seq {
            Some("its number is wrong")
        } else if line.prev != prev {
            Some("it does not follow the line before it")
        } else if line.run != run {
            Some("it belongs to another run")
        } else {
            None
        };
        if let Some(fault) = fault {
            return Err((seq, fault.to_owned()));
        }
        prev = sha256_hex(raw);
        lines.push(line);
    }
    Ok(lines)
}

/// All files that lines point at.
pub(crate) fn referenced(lines: &[Line]) -> impl Iterator<Item = &FileRef> {
    lines.iter().flat_map(|line| {
        let kept = match &line.record {
            Record::Resumed { torn: Some(torn), .. } => torn.kept.as_slice(),
            _ => &[],
        };
        line.ev.iter().flat_map(|ev| [&ev.head, &ev.body]).chain(kept)
    })
}

/// Names of the plain files in a folder, sorted.
pub(crate) fn file_names(folder: &Path) -> Result<Vec<String>, JournalError> {
    let failed = || JournalError::io("list", folder);
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed())? {
        let entry = entry.map_err(failed())?;
        if entry.file_type().map_err(failed())?.is_file() {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    names.sort();
    Ok(names)
}
