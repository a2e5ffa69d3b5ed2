//! Whether a run's folder is what was written: every finding that digests, the chain and the rules of a run allow,
//! from the folder alone. It never writes, never panics, and does not stop at the first problem.
//!
//! Nothing is called good without a signature, and nothing authentic without a key from elsewhere: whoever can write
//! to the folder could make all of it anew under a key of their own.

mod attached;
mod chain;
mod clock;
mod files;
mod finding;
mod ledger;
mod plan;
mod policy;
mod signed;
mod subject;
mod trust;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use clock::ClockOffset;
pub use finding::{Code, Finding, Severity};
pub use subject::Subject;
pub use trust::{PolicyError, RootError, Trust};

use crate::journal::{
    Anchor, JOURNAL_FORMAT, RUN_FORMAT, RunHeader, disk,
    folder::{HEADER, JOURNAL},
    hash::{ZEROS, sha256_hex},
    strict,
};
use chain::Chain;
use finding::Findings;
use plan::Plan;

/// What a folder is worth as a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Complete and signed, and what was given from elsewhere covers all of it.
    Authentic,
    /// Complete and signed, and everything fits together; but nothing was given, so it may be a forgery as a whole.
    Consistent,
    /// Everything fits together as far as it goes, but the run was not closed: it is still going on, or crashed.
    Open,
    /// As `open`, and the last line is incomplete.
    TornTail,
    /// Something does not fit.
    Broken,
}

impl std::fmt::Display for Verdict {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.word())
    }
}

impl Verdict {
    /// Whether the record is whole and signed. `consistent` is, and is still not authenticated.
    pub fn is_good(self) -> bool {
        matches!(self, Self::Authentic | Self::Consistent)
    }

    /// The word that is shown and written.
    pub fn word(self) -> &'static str {
        match self {
            Self::Authentic => "authentic",
            Self::Consistent => "consistent",
            Self::Open => "open",
            Self::TornTail => "torn-tail",
            Self::Broken => "broken",
        }
    }
}

/// What verification came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verification {
    /// In one word.
    pub verdict: Verdict,
    /// Whose run it is, and when it was; none where the header cannot be read.
    #[serde(default)]
    pub subject: Option<Subject>,
    /// Whole lines in the journal.
    pub records: u64,
    /// SHA-256 of the last whole line.
    pub head: String,
    /// The key that signs, and the root over all whole lines: whoever noted them elsewhere can tell whether the
    /// journal was written anew. None where no key can be read.
    pub anchor: Option<Anchor>,
    /// How far the responder's clock was from the tenant's; none where no answer says.
    pub clock: Option<ClockOffset>,
    /// Problems first, then notes; each in the order of the journal.
    pub findings: Vec<Finding>,
}

impl Verification {
    /// What makes the record broken.
    pub fn problems(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.severity == Severity::Problem)
    }
}

/// How often a folder is read again that changed under the reading.
const READINGS: u32 = 3;

/// Checks the folder of a run, be it closed, crashed or still being written, with nothing but the folder.
pub fn verify(run: &Path) -> Verification {
    verify_with(run, &Trust::default())
}

/// Checks the folder of a run against keys from elsewhere.
pub fn verify_with(run: &Path, trust: &Trust) -> Verification {
    let mut before = size(run);
    let mut verification = read(run, trust);
    for _ in 1..READINGS {
        let after = size(run);
        if verification.verdict != Verdict::Broken || after == before {
            break;
        }
        before = after;
        verification = read(run, trust);
    }
    verification
}

/// How much there is: it only grows while a run goes on.
fn size(run: &Path) -> (usize, Option<u64>) {
    let journal = run.join(JOURNAL).symlink_metadata().ok();
    (files::list(run, &mut Findings::default()).len(), journal.map(|journal| journal.len()))
}

fn read(run: &Path, trust: &Trust) -> Verification {
    let mut found = Findings::default();
    // Before the journal: in a run that goes on, a file is there before its line is.
    let tree = files::list(run, &mut found);
    let journal = plain(run, JOURNAL, &mut found).unwrap_or_default();
    let header = plain(run, HEADER, &mut found);
    other_versions(header.as_deref(), &journal, &mut found);
    if found.has_problem_of(Code::UnknownVersion) {
        return unchecked(&journal, found);
    }
    let header = header.and_then(|bytes| parse_header(&bytes, &mut found));
    let chain = Chain::read(&journal, header.as_ref(), &mut found);
    let plan = files::opened(run, &chain, header.as_ref(), &mut found);
    let plan = plan.and_then(|bytes| Plan::read(&bytes, &mut found));
    files::evidence(run, &chain, &mut found);
    files::sealed(run, &journal, &chain, &tree, &mut found);
    files::unlisted(&chain, &tree, &mut found);
    files::handed_over(run, &chain, &mut found);
    policy::check(&chain, plan.as_ref(), header.as_ref(), &mut found);
    ledger::check(run, &chain, &mut found);
    let (anchor, is_authentic) = signed::check(run, (&journal, &chain), (header.as_ref(), &tree), trust, &mut found);
    let is_vouched_for = attached::check(run, &tree, trust, &mut found);
    let is_authentic = is_authentic || is_vouched_for;
    if !is_authentic {
        let text = "nothing was given that covers all lines: whoever could write to this folder could have made all of \
                    it anew under a key of their own; give the key that was noted when the run began (`--key`), or the \
                    root that was noted at its end (`--root`)";
        found.note(Code::NotAuthenticated, text);
    }
    name_of_folder(run, header.as_ref(), &mut found);
    let subject = header.as_ref().map(|header| Subject::of(header, &chain));
    if let (Some(subject), Some(tenant)) = (&subject, trust.wanted_tenant()) {
        subject.is_of(tenant, &mut found);
    }
    let verdict = if found.has_problem() {
        Verdict::Broken
    } else if chain.torn > 0 {
        Verdict::TornTail
    } else if !chain.closed() {
        Verdict::Open
    } else if is_authentic {
        Verdict::Authentic
    } else {
        Verdict::Consistent
    };
    let records = chain.lines.len() as u64;
    let clock = clock::offset(run, &chain);
    Verification { verdict, subject, records, head: chain.head, anchor, clock, findings: found.sorted() }
}

/// Paths of the plain files of a run, relative to its folder, without what was derived. For a run that verifies.
pub(crate) fn files_of(run: &Path) -> Vec<String> {
    files::list(run, &mut Findings::default()).into_iter().collect()
}

/// Whether header or journal say that their format is another than the one that can be checked here.
fn other_versions(header: Option<&[u8]>, journal: &[u8], found: &mut Findings) {
    let is_other = |json: &[u8], at: &str, known: &str| {
        let value = serde_json::from_slice::<serde_json::Value>(json).ok();
        value.as_ref().and_then(|value| value.pointer(at)?.as_str()).is_some_and(|format| format != known)
    };
    let text = "another version of this program wrote it, and can check it; this one cannot";
    if header.is_some_and(|header| is_other(header, "/format", RUN_FORMAT)) {
        found.file(Code::UnknownVersion, HEADER, text);
    }
    let first = journal.split(|b| *b == b'\n').next().unwrap_or_default();
    if is_other(first, "/record/format", JOURNAL_FORMAT) {
        found.line(Code::UnknownVersion, 0, text);
    }
}

/// What is said of a record whose rules are not known here.
fn unchecked(journal: &[u8], found: Findings) -> Verification {
    let whole: Vec<&[u8]> = journal.split_inclusive(|b| *b == b'\n').filter_map(|l| l.strip_suffix(b"\n")).collect();
    Verification {
        verdict: Verdict::Broken,
        subject: None,
        records: whole.len() as u64,
        head: whole.last().map_or_else(|| ZEROS.to_owned(), |line| sha256_hex(line)),
        anchor: None,
        clock: None,
        findings: found.sorted(),
    }
}

fn parse_header(bytes: &[u8], found: &mut Findings) -> Option<RunHeader> {
    match strict::from_slice(bytes) {
        Ok(header) => Some(header),
        Err(error) => {
            found.file(Code::BadHeader, HEADER, finding::shown(&error.to_string()));
            None
        }
    }
}

fn name_of_folder(run: &Path, header: Option<&RunHeader>, found: &mut Findings) {
    let name = run.canonicalize().ok();
    let name = name.as_deref().and_then(Path::file_name);
    if let (Some(name), Some(header)) = (name, header)
        && name != header.run_id.as_str()
    {
        found.note(Code::FolderRenamed, "the folder does not bear the name of its run");
    }
}

/// An error with its sources, in one line.
fn chain_of(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    finding::shown(&text)
}

/// A file that every run has.
fn plain(run: &Path, name: &str, found: &mut Findings) -> Option<Vec<u8>> {
    match disk::read_plain(&run.join(name)) {
        Ok(bytes) => Some(bytes),
        Err(error) => {
            found.file(Code::UnreadableFile, name, chain_of(&error));
            None
        }
    }
}
