//! Taking a run up again after a crash: what was not durable is set aside, never thrown away, and then named by the
//! first line that is written.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::{
    journal::{
        Continues, FileRef, History, JournalError, Torn,
        checkpoint::{self, Checkpoint, Signer},
        commit::Commit,
        disk,
        evidence::file_ref,
        folder::{
            CHECKPOINTS, EVIDENCE, HEADER, JOURNAL, MANIFEST, PLAN, PLAYBOOK, Raw, SEAL, SEAL_NOTE, file_names,
            referenced,
        },
        hash::sha256_hex,
    },
    model::Clock,
};

/// Marks a file that a crash left. A second one of the same name gets `.torn.2`, and so on.
pub(crate) const TORN: &str = ".torn";

/// Whether a file's name says that a crash left it.
pub(crate) fn is_torn(name: &str) -> bool {
    name.ends_with(TORN)
        || name.rsplit_once('.').is_some_and(|(stem, n)| n.parse::<u32>().is_ok() && stem.ends_with(TORN))
}

/// Sets aside what a crash left and makes ready to write behind the last whole line.
pub(crate) fn recover(run: &Path, clock: Arc<dyn Clock>) -> Result<(Commit, History), JournalError> {
    let raw = Raw::load(run)?;
    if raw.closed() {
        return Err(JournalError::Closed);
    }
    discard_unfinished_seal(run)?;
    let moved = set_evidence_aside(run, &raw)? | set_seal_aside(run)?;
    let cut = cut_tail(run, &raw)?;
    let kept = unnamed_leftovers(run, &raw)?;
    disk::sync_dir(run)?;

    let file =
        File::options().append(true).open(run.join(JOURNAL)).map_err(JournalError::io("open", run.join(JOURNAL)))?;
    let mut commit = Commit::new(run, &raw.header.run_id, file, clock);
    commit.continue_after(&raw.lines, raw.bytes.get(..raw.whole).unwrap_or_default());
    for name in [HEADER, PLAN, PLAYBOOK] {
        if run.join(name).is_file() {
            commit.keep(name, &disk::read_plain(&run.join(name))?);
        }
    }
    for file in referenced(&raw.lines).chain(&kept) {
        commit.keep_ref(file.clone());
    }
    let notes = notes(run)?;
    for (_, path, note) in &notes {
        commit.keep(path, note.as_bytes());
    }
    let continues = continues(run, &raw, &mut commit, notes)?;
    let torn = (moved || cut || !kept.is_empty()).then(|| Torn {
        len: raw.tail().len() as u64,
        sha256: sha256_hex(raw.tail()),
        kept,
    });
    let history = History { continues: Some(continues), ..raw.history(torn) };
    Ok((commit, history))
}

/// The notes of the processes before, by the number of lines that they sign.
fn notes(run: &Path) -> Result<Vec<(u64, String, String)>, JournalError> {
    let mut notes = Vec::new();
    for name in file_names(&run.join(CHECKPOINTS))?.into_iter().filter(|name| !is_torn(name)) {
        let path = format!("{CHECKPOINTS}/{name}");
        let damaged = || JournalError::Damaged { path: run.to_owned(), reason: format!("{path} is not a checkpoint") };
        let note = String::from_utf8(disk::read_plain(&run.join(&path))?).map_err(|_| damaged())?;
        let size = Checkpoint::of_note(&note).map(|(checkpoint, _)| checkpoint.size);
        let size = size.filter(|size| checkpoint::path(*size) == path).ok_or_else(damaged)?;
        notes.push((size, path, note));
    }
    notes.sort();
    Ok(notes)
}

/// Draws the key of this process, for a journal that is an extension of what was signed before.
fn continues(
    run: &Path,
    raw: &Raw,
    commit: &mut Commit,
    mut notes: Vec<(u64, String, String)>,
) -> Result<Continues, JournalError> {
    let keys = checkpoint::keys((0..).zip(raw.lines.iter().map(|line| &line.record)));
    let extends = |(size, _, text): &(u64, String, String)| {
        let key = checkpoint::key_for(&keys, *size);
        Checkpoint::of_note(text).zip(key).is_some_and(|((checkpoint, note), key)| {
            note.is_signed_by(&key) && commit.tree().root_at(*size) == Some(checkpoint.root)
        })
    };
    if !notes.iter().all(extends) {
        return Err(JournalError::Rewritten { path: run.join(JOURNAL) });
    }
    let signer = Signer::draw(&raw.header.case, &raw.header.run_id).map_err(JournalError::io("draw a key for", run))?;
    let continues = Continues {
        root: BASE64_STANDARD.encode(commit.tree().root()),
        note: notes.pop().map(|(_, _, note)| note),
        vkey: signer.vkey(),
    };
    commit.sign_with(signer);
    commit.expect(continues.clone());
    Ok(continues)
}

/// A seal that was written before the last line that it signs: kept, since it was signed.
fn set_seal_aside(run: &Path) -> Result<bool, JournalError> {
    let path = run.join(SEAL_NOTE);
    let is_there = path.symlink_metadata().is_ok();
    if is_there {
        fs::rename(&path, free_name(&path)).map_err(JournalError::io("rename", path))?;
    }
    Ok(is_there)
}

/// A crash while the run was being closed leaves these two; the next close makes them anew from the journal.
fn discard_unfinished_seal(run: &Path) -> Result<(), JournalError> {
    for name in [MANIFEST, SEAL] {
        let path = run.join(name);
        if path.symlink_metadata().is_ok() {
            fs::remove_file(&path).map_err(JournalError::io("remove the unfinished", path))?;
        }
    }
    Ok(())
}

/// Renames evidence that no line points at. Its name would be needed again.
fn set_evidence_aside(run: &Path, raw: &Raw) -> Result<bool, JournalError> {
    let known: BTreeSet<&str> = referenced(&raw.lines).map(|f| f.path.as_str()).collect();
    let folder = run.join(EVIDENCE);
    let mut moved = false;
    for name in file_names(&folder)? {
        if is_torn(&name) || known.contains(format!("{EVIDENCE}/{name}").as_str()) {
            continue;
        }
        let from = folder.join(&name);
        fs::rename(&from, free_name(&from)).map_err(JournalError::io("rename", from))?;
        moved = true;
    }
    if moved {
        disk::sync_dir(&folder)?;
    }
    Ok(moved)
}

/// Keeps the bytes behind the last whole line in a file of their own, then cuts them off.
fn cut_tail(run: &Path, raw: &Raw) -> Result<bool, JournalError> {
    if raw.tail().is_empty() {
        return Ok(false);
    }
    disk::write_new_synced(&free_name(&run.join("journal")), raw.tail())?;
    disk::sync_dir(run)?;
    let path = run.join(JOURNAL);
    File::options()
        .write(true)
        .open(&path)
        .and_then(|file| {
            file.set_len(raw.whole as u64)?;
            file.sync_all()
        })
        .map_err(JournalError::io("cut the torn line off", path))?;
    Ok(true)
}

/// Everything that was set aside and that no line names: a crash may have come before the `resumed` line.
fn unnamed_leftovers(run: &Path, raw: &Raw) -> Result<Vec<FileRef>, JournalError> {
    let known: BTreeSet<&str> = referenced(&raw.lines).map(|f| f.path.as_str()).collect();
    let mut paths = file_names(run)?;
    for folder in [EVIDENCE, CHECKPOINTS] {
        let names = file_names(&run.join(folder))?;
        paths.extend(names.into_iter().map(|name| format!("{folder}/{name}")));
    }
    paths
        .into_iter()
        .filter(|path| is_torn(path) && !known.contains(path.as_str()))
        .map(|path| {
            let bytes = disk::read_plain(&run.join(&path))?;
            Ok(file_ref(path, &bytes))
        })
        .collect()
}

/// A name beside this one that says that the file is not whole, or belongs to no line.
pub(crate) fn free_name(path: &Path) -> PathBuf {
    let ending = |ending: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        PathBuf::from(name)
    };
    let first = ending(TORN);
    if first.symlink_metadata().is_err() {
        return first;
    }
    (2_u32..).map(|n| ending(&format!("{TORN}.{n}"))).find(|path| path.symlink_metadata().is_err()).unwrap_or(first)
}
