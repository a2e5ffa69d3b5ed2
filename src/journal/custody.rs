//! The custody log of a case: what became of its runs after they were written, who did it and when, one chained line for
//! each handling. It is kept by whoever holds the case and signed by nobody; the runs are verified without it.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::journal::{
    FileRef, JournalError, Verdict, disk,
    evidence::file_ref,
    folder::{CUSTODY, SEAL_NOTE},
    hash::{ZEROS, sha256_hex},
    recover::free_name,
    strict,
};

/// One handling: one line of `custody.jsonl`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Custody {
    /// Place in the file, from 0.
    pub seq: u64,
    /// SHA-256 of the line before, without its newline; 64 zeros on line 0.
    pub prev: String,
    /// When, by the machine's clock.
    pub t: Timestamp,
    /// The run.
    pub run: String,
    /// SHA-256 of the run's `seal.note`, once it is closed: which state of it was handled.
    pub seal_sha256: Option<String>,
    /// Who: a name that was given, nobody proved it.
    pub by: String,
    /// On which machine.
    pub host: String,
    /// What was done.
    pub what: Handling,
    /// Half a line that a crash had left behind the line before: it was set aside into this file of the case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub torn: Option<FileRef>,
}

/// What was done with a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Handling {
    /// It was begun.
    Created,
    /// It was closed and signed.
    Sealed,
    /// An authority stamped its seal.
    Stamped {
        /// The authority's time.
        time: Timestamp,
        /// The authority.
        authority: String,
    },
    /// A person signed its seal.
    Signed {
        /// With this key.
        key: String,
    },
    /// Something was taken out of it: a proof, a report, an export.
    Exported {
        /// What, in words.
        form: String,
        /// The file's name, as it was given.
        file: String,
        /// SHA-256 of what was written.
        sha256: String,
    },
    /// A copy was written to a store, and read back.
    Copied {
        /// Where to: the store's address and the folder in it.
        to: String,
    },
    /// It was fetched from a store into this case.
    Fetched {
        /// Where from: the store's address and the folder in it.
        from: String,
    },
    /// A copy was given to somebody.
    HandedOver {
        /// To whom.
        to: String,
        /// Of which organisation.
        organisation: Option<String>,
        /// How: in person, by which service, on which medium.
        channel: String,
    },
    /// It was verified.
    Verified {
        /// With this result.
        verdict: Verdict,
    },
}

/// A handling that is not written yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handled {
    /// Who.
    pub by: String,
    /// On which machine.
    pub host: String,
    /// When.
    pub t: Timestamp,
    /// What.
    pub what: Handling,
}

/// The log as it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustodyLog {
    /// The handlings.
    pub lines: Vec<Custody>,
    /// Bytes of half a line at the end: a crash left them, nobody was told that they are there, and the next handling
    /// sets them aside.
    pub torn: usize,
    /// SHA-256 of the last line.
    head: String,
}

/// Why the custody log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum CustodyError {
    /// The disk said no.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A line was edited, removed, inserted or moved.
    #[error("read the custody log {}: line {line} {reason}", path.display())]
    Broken {
        /// The log.
        path: PathBuf,
        /// Counted from 0.
        line: u64,
        /// In words.
        reason: &'static str,
    },
}

/// Where the log of a run's case is; none for a run that was copied out of its case.
pub fn custody_of(run: &Path) -> Option<PathBuf> {
    let run = run.canonicalize().ok()?;
    let runs = run.parent().filter(|runs| runs.ends_with("runs"))?;
    Some(runs.parent()?.join(CUSTODY))
}

/// Adds a line, durably, and gives it; none where the run does not lie in a case. Half a line that a crash left is set
/// aside first.
///
/// # Errors
/// When the log is broken, which it then stays, or cannot be written.
pub fn note_custody(run: &Path, handled: Handled) -> Result<Option<Custody>, CustodyError> {
    let Some(path) = custody_of(run) else {
        return Ok(None);
    };
    let mut options = File::options();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let failed = |doing| JournalError::io(doing, &path);
    let mut file = options.open(&path).map_err(failed("open"))?;
    // Another process may be noting something too.
    file.lock().map_err(failed("lock"))?;
    let mut bytes = Vec::new();
    file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut bytes)).map_err(failed("read"))?;
    let log = parse(&path, &bytes)?;
    let torn = set_aside(&path, &file, &bytes, log.torn)?;
    let name = run.canonicalize().ok().and_then(|run| run.file_name().map(|name| name.to_string_lossy().into_owned()));
    let line = Custody {
        seq: log.lines.len() as u64,
        prev: log.head,
        t: handled.t,
        run: name.unwrap_or_default(),
        seal_sha256: fs::read(run.join(SEAL_NOTE)).ok().as_deref().map(sha256_hex),
        by: handled.by,
        host: handled.host,
        what: handled.what,
        torn,
    };
    let mut text = serde_json::to_string(&line).map_err(std::io::Error::from).map_err(failed("write"))?;
    text.push('\n');
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed("write"))?;
    if let (0, Some(case)) = (line.seq, path.parent()) {
        disk::sync_dir(case)?;
    }
    Ok(Some(line))
}

/// Moves half a line at the end of the log into a file beside it.
fn set_aside(path: &Path, log: &File, bytes: &[u8], torn: usize) -> Result<Option<FileRef>, JournalError> {
    let (whole, tail) = bytes.split_at(bytes.len().saturating_sub(torn));
    if tail.is_empty() {
        return Ok(None);
    }
    let aside = free_name(path);
    disk::write_new_synced(&aside, tail)?;
    disk::sync_dir(path.parent().unwrap_or(path))?;
    let cut = log.set_len(whole.len() as u64).and_then(|()| log.sync_all());
    cut.map_err(JournalError::io("cut off half a line of", path))?;
    let name = aside.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Ok(Some(file_ref(name, tail)))
}

/// Reads the log and holds it to its chain; nothing where there is none.
///
/// # Errors
/// When a line is not one, or does not follow the line before it.
pub fn read_custody(path: &Path) -> Result<CustodyLog, CustodyError> {
    if path.symlink_metadata().is_err() {
        return Ok(CustodyLog::default());
    }
    parse(path, &disk::read_plain(path)?)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<CustodyLog, CustodyError> {
    let mut log = CustodyLog { head: ZEROS.to_owned(), ..CustodyLog::default() };
    for (seq, raw) in (0_u64..).zip(bytes.split_inclusive(|b| *b == b'\n')) {
        let Some(raw) = raw.strip_suffix(b"\n") else {
            log.torn = raw.len();
            break;
        };
        let broken = |reason| CustodyError::Broken { path: path.to_owned(), line: seq, reason };
        let line: Custody = strict::from_slice(raw).map_err(|_| broken("is not a line of it"))?;
        if line.seq != seq || line.prev != log.head {
            return Err(broken("does not follow the line before it"));
        }
        log.head = sha256_hex(raw);
        log.lines.push(line);
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{CustodyError, Handled, Handling, custody_of, note_custody, read_custody};
    use crate::journal::testing::{noon, small};

    fn handled(what: Handling) -> Handled {
        Handled { by: "ilse".into(), host: "ws1".into(), t: noon(), what }
    }

    #[tokio::test]
    async fn each_handling_is_a_line_behind_the_one_before_it() {
        let case = tempfile::tempdir().unwrap();
        let run = small(case.path(), "r1").await.close().await;
        let over = Handling::HandedOver { to: "j".into(), organisation: None, channel: "usb".into() };
        for what in [Handling::Created, Handling::Sealed, over] {
            assert!(note_custody(&run, handled(what)).unwrap().is_some());
        }
        let path = custody_of(&run).unwrap();
        let lines = read_custody(&path).unwrap().lines;
        assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(lines.iter().all(|line| line.run == "r1" && line.seal_sha256.is_some()));

        let text = fs::read_to_string(&path).unwrap();
        let attacks = [
            text.replace("usb", "mail").replace("created", "sealed"),
            text.lines().skip(1).map(|line| format!("{line}\n")).collect(),
            text.replacen("\"by\":\"ilse\"", "\"by\":\"otto\"", 1),
        ];
        for attack in attacks {
            fs::write(&path, &attack).unwrap();
            assert!(matches!(read_custody(&path), Err(CustodyError::Broken { .. })), "{attack}");
            assert!(note_custody(&run, handled(Handling::Created)).is_err(), "nothing is added behind a break");
        }
    }

    #[tokio::test]
    async fn half_a_line_that_a_crash_left_is_set_aside_and_named() {
        let case = tempfile::tempdir().unwrap();
        let run = small(case.path(), "r1").await.close().await;
        note_custody(&run, handled(Handling::Created)).unwrap();
        let path = custody_of(&run).unwrap();
        let whole = fs::read_to_string(&path).unwrap();
        // Also a line that lacks its newline only: nobody was told that it is there.
        let tails = [("custody.jsonl.torn", r#"{"seq":1,"prev":"#), ("custody.jsonl.torn.2", whole.trim_end())];
        for (name, tail) in tails {
            let before = read_custody(&path).unwrap().lines;
            fs::write(&path, fs::read_to_string(&path).unwrap() + tail).unwrap();
            let log = read_custody(&path).unwrap();
            assert_eq!((log.lines, log.torn), (before, tail.len()), "reading alone changes nothing");
            let torn = note_custody(&run, handled(Handling::Sealed)).unwrap().unwrap().torn.unwrap();
            assert_eq!((torn.path.as_str(), torn.len), (name, tail.len() as u64));
            assert_eq!(fs::read_to_string(case.path().join(name)).unwrap(), tail);
            assert_eq!(read_custody(&path).unwrap().torn, 0);
        }
        let lines = read_custody(&path).unwrap().lines;
        assert_eq!(lines.iter().map(|line| line.seq).collect::<Vec<_>>(), [0, 1, 2]);
        assert!(fs::read_to_string(&path).unwrap().starts_with(&whole), "a line that tore nothing says nothing of it");
        assert!(!whole.contains("torn"));
    }

    #[tokio::test]
    async fn a_run_outside_of_a_case_has_no_log() {
        let case = tempfile::tempdir().unwrap();
        let run = small(case.path(), "r1").await.close().await;
        let alone = case.path().join("copy");
        fs::rename(&run, &alone).unwrap();
        assert_eq!(note_custody(&alone, handled(Handling::Sealed)).unwrap(), None);
    }
}
