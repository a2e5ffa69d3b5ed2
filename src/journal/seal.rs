//! What the close of a run writes beside the last line: the list of all files, and the digest of the journal. What it
//! signs is in `checkpoint`.

use std::{collections::BTreeMap, io, path::Path};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::journal::{
    FileRef, JournalError, MANIFEST_FORMAT, disk,
    folder::{JOURNAL, MANIFEST, SEAL},
    hash::sha256_hex,
};

/// `manifest.json`: every file of the run besides the journal, this file and the journal's digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// `staunch.manifest/v1`
    #[schemars(extend("const" = MANIFEST_FORMAT))]
    pub(crate) format: String,
    /// The run.
    pub(crate) run: String,
    /// Lines before the last one.
    pub(crate) lines: u64,
    /// SHA-256 of the line before the last one.
    pub(crate) head: String,
    /// By path.
    pub(crate) files: Vec<FileRef>,
}

pub(crate) fn manifest(
    run: &str,
    lines: u64,
    head: &str,
    files: &BTreeMap<String, FileRef>,
) -> Result<Vec<u8>, JournalError> {
    let manifest = Manifest {
        format: MANIFEST_FORMAT.to_owned(),
        run: run.to_owned(),
        lines,
        head: head.to_owned(),
        files: files.values().cloned().collect(),
    };
    let mut bytes =
        serde_json::to_vec_pretty(&manifest).map_err(io::Error::from).map_err(JournalError::io("write", MANIFEST))?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// Writes the manifest and gives its digest.
pub(crate) fn write_manifest(dir: &Path, bytes: Vec<u8>) -> Result<String, JournalError> {
    disk::write_new_synced(&dir.join(MANIFEST), &bytes)?;
    Ok(sha256_hex(&bytes))
}

/// Writes the digest of the journal as it will be with its last line, in the form that `sha256sum -c` reads.
pub(crate) fn write_digest(dir: &Path, sha256: &str) -> Result<(), JournalError> {
    disk::write_new_synced(&dir.join(SEAL), digest_line(sha256).as_bytes())?;
    disk::sync_dir(dir)
}

pub(crate) fn digest_line(sha256: &str) -> String {
    format!("{sha256}  {JOURNAL}\n")
}
