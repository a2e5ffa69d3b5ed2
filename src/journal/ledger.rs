//! The runs of a case as a chain of their own: each names those before it, so that a run that is taken away is missed.

use std::{collections::BTreeSet, fs, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{
    Line, Record, disk,
    folder::{JOURNAL, SEAL_NOTE},
    hash::sha256_hex,
    strict,
};

/// An earlier run of the case that no other run had named yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Earlier {
    /// Its id.
    pub run: String,
    /// Lines that it had then: one that was not closed may go on.
    pub lines: u64,
    /// SHA-256 of the last of these lines.
    pub head: String,
    /// SHA-256 of its `seal.note`, where it was closed.
    pub seal_sha256: Option<String>,
}

/// The runs in this folder that no run there names as an earlier one, by id. What cannot be read is not a run.
pub(crate) fn heads(runs: &Path) -> Vec<Earlier> {
    let mut found = Vec::new();
    let mut named = BTreeSet::new();
    for id in ids(runs) {
        let Ok(bytes) = disk::read_plain(&runs.join(&id).join(JOURNAL)) else {
            continue;
        };
        let whole: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').filter_map(|l| l.strip_suffix(b"\n")).collect();
        let (Some(first), Some(last)) = (whole.first(), whole.last()) else {
            continue;
        };
        if let Ok(Line { record: Record::RunOpened { earlier, .. }, .. }) = strict::from_slice(first) {
            named.extend(earlier.into_iter().map(|earlier| earlier.run));
        }
        let seal = disk::read_plain(&runs.join(&id).join(SEAL_NOTE)).ok();
        let seal_sha256 = seal.as_deref().map(sha256_hex);
        found.push(Earlier { run: id, lines: whole.len() as u64, head: sha256_hex(last), seal_sha256 });
    }
    found.retain(|run| !named.contains(&run.run));
    found
}

/// Names of the folders of a case's runs, sorted.
pub(crate) fn ids(runs: &Path) -> Vec<String> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut ids: Vec<String> = folders.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    ids.sort();
    ids
}

/// Whether an earlier run is still what it was, or has only grown since; in words where not.
pub(crate) fn differs(runs: &Path, earlier: &Earlier) -> Option<&'static str> {
    let run = runs.join(&earlier.run);
    let Ok(bytes) = disk::read_plain(&run.join(JOURNAL)) else {
        return Some("its journal is gone");
    };
    let at = usize::try_from(earlier.lines).ok().and_then(|lines| lines.checked_sub(1));
    let line = at.and_then(|at| bytes.split(|b| *b == b'\n').nth(at)).map(sha256_hex);
    if line.as_ref() != Some(&earlier.head) {
        return Some("its journal is not the one that stood there");
    }
    let seal = disk::read_plain(&run.join(SEAL_NOTE)).ok().as_deref().map(sha256_hex);
    if earlier.seal_sha256.is_some() && seal != earlier.seal_sha256 {
        return Some("its seal is not the one that stood there");
    }
    None
}
