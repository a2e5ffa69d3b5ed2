//! The signatures: that the journal is what its keys signed, every time that it was due, and that a key is one that is
//! trusted from elsewhere.

use std::{collections::BTreeMap, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    chain::Chain,
    chain_of,
    files::{Tree as Files, is_note},
    finding::{Code, Findings},
    trust::Trust,
};
use crate::journal::{
    Anchor, Continues, Record, RunHeader,
    checkpoint::{self, Checkpoint},
    disk,
    folder::{JOURNAL, SEAL_NOTE},
    merkle::{Hash, Tree},
    note::Vkey,
};

/// A signature that holds: who signed how many lines, and which root.
type Held = BTreeMap<(String, u64), Hash>;

/// What the signatures are held against.
struct Signed<'a> {
    run: &'a Path,
    chain: &'a Chain,
    tree: Tree,
    origin: Option<String>,
    keys: Vec<(u64, &'a str)>,
    held: Held,
}

/// Checks all signatures. Gives the key of the last process with the root over all lines, where there is a key; and
/// whether something that was given covers all lines.
pub(super) fn check(
    run: &Path,
    (journal, chain): (&[u8], &Chain),
    (header, files): (Option<&RunHeader>, &Files),
    trust: &Trust,
    found: &mut Findings,
) -> (Option<Anchor>, bool) {
    let whole = journal.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n"));
    let mut signed = Signed {
        run,
        chain,
        tree: Tree::of(whole),
        origin: header.map(|header| checkpoint::origin(&header.case, &header.run_id)),
        keys: checkpoint::keys(chain.records()),
        held: Held::new(),
    };
    signed.keys_are_of_this_run(found);
    for path in files.iter().filter(|path| is_note(path)) {
        signed.checkpoint(path, found);
    }
    signed.every_time_that_it_was_due(found);
    signed.continuations(found);
    signed.seal(files, found);
    let by_root = signed.noted_roots(trust, found);
    let is_authentic = signed.noted_keys(trust, found) || by_root;
    let anchor =
        signed.keys.last().map(|(_, key)| Anchor::new((*key).to_owned(), signed.tree.size(), signed.tree.root()));
    (anchor, is_authentic)
}

impl Signed<'_> {
    fn keys_are_of_this_run(&self, found: &mut Findings) {
        for (seq, key) in &self.keys {
            match key.parse::<Vkey>() {
                Ok(vkey) if self.origin.as_ref().is_some_and(|origin| vkey.name() != origin) => {
                    found.line(Code::WrongOrigin, *seq, "its key is that of another run or case");
                }
                Ok(_) => {}
                Err(error) => found.line(Code::BadNote, *seq, format!("its key cannot be used: {error}")),
            }
        }
        for ((_, before), (seq, key)) in self.keys.iter().zip(self.keys.iter().skip(1)) {
            if before == key {
                found.line(Code::KeyReused, *seq, "a later process signs with the key of the one before it");
            }
        }
    }

    /// One file of `checkpoints/`.
    fn checkpoint(&mut self, path: &str, found: &mut Findings) {
        let Some(text) = self.read(path, found) else {
            return;
        };
        let Some((checkpoint, _)) = Checkpoint::of_note(&text) else {
            return found.file(Code::BadNote, path, "it is not a checkpoint in a signed note");
        };
        if checkpoint::path(checkpoint.size) != path {
            found.file(Code::BadNote, path, "it signs another number of lines than its name says");
        }
        self.note(path, &text, found);
    }

    fn read(&self, path: &str, found: &mut Findings) -> Option<String> {
        match disk::read_plain(&self.run.join(path)) {
            Ok(bytes) => String::from_utf8(bytes)
                .inspect_err(|_| found.file(Code::BadNote, path, "it is not a checkpoint in a signed note"))
                .ok(),
            Err(error) => {
                found.file(Code::UnreadableFile, path, chain_of(&error));
                None
            }
        }
    }

    /// A note, wherever it stands: signed by the key in force, over the lines that are here.
    fn note(&mut self, path: &str, text: &str, found: &mut Findings) -> Option<Checkpoint> {
        let Some((checkpoint, note)) = Checkpoint::of_note(text) else {
            found.file(Code::BadNote, path, "it is not a checkpoint in a signed note");
            return None;
        };
        if self.origin.as_ref().is_some_and(|origin| *origin != checkpoint.origin) {
            found.file(Code::WrongOrigin, path, "it is of another run or case");
        }
        let key = checkpoint::key_for(&self.keys, checkpoint.size);
        match key.filter(|key| note.is_signed_by(key)) {
            None => found.file(Code::BadSignature, path, "the key of its time did not sign it"),
            Some(key) => {
                let before = self.held.insert((key.to_string(), checkpoint.size), checkpoint.root);
                if before.is_some_and(|root| root != checkpoint.root) {
                    found.file(Code::Equivocation, path, "the same key signed other lines under the same number");
                }
            }
        }
        match self.tree.root_at(checkpoint.size) {
            None => {
                let text = format!("it signs {} lines, of which {} are here", checkpoint.size, self.chain.lines.len());
                found.file(Code::CheckpointMismatch, path, text);
            }
            Some(root) if root != checkpoint.root => {
                found.file(Code::CheckpointMismatch, path, "the lines are not those that were signed");
            }
            Some(_) => {}
        }
        Some(checkpoint)
    }

    /// A checkpoint that should be there and is not: somebody took it away, with what it would have shown.
    fn every_time_that_it_was_due(&self, found: &mut Findings) {
        let mut intended = false;
        let mut due = Vec::new();
        for (seq, record) in self.chain.records() {
            if matches!(record, Record::Intent { .. }) && !std::mem::replace(&mut intended, true) {
                due.push((seq, false));
            }
            if checkpoint::follows(record) {
                due.push((seq + 1, self.may_have_crashed_before(seq + 1)));
            }
        }
        for (size, excused) in due.into_iter().filter(|(size, _)| *size > 0) {
            let path = checkpoint::path(size);
            if !excused && self.run.join(&path).symlink_metadata().is_err() {
                found.file(Code::CheckpointMissing, &path, "the journal was to be signed here and is not");
            }
        }
    }

    /// Whether the process may have died between line `size - 1` and its signature.
    fn may_have_crashed_before(&self, size: u64) -> bool {
        let next = usize::try_from(size).ok().and_then(|at| self.chain.lines.get(at));
        match next.map(Option::as_ref) {
            None => !self.chain.closed(),
            Some(line) => line.is_some_and(|line| matches!(line.record, Record::Resumed { .. })),
        }
    }

    fn continuations(&mut self, found: &mut Findings) {
        let chain = self.chain;
        for (seq, record) in chain.records() {
            let Record::Resumed { continues, .. } = record else {
                continue;
            };
            let Some(Continues { root, note, .. }) = continues else {
                found.line(Code::ResumeMismatch, seq, "it does not say what it continues, nor under which key");
                continue;
            };
            if self.tree.root_at(seq).map(|root| BASE64_STANDARD.encode(root)).as_ref() != Some(root) {
                found.line(Code::ResumeMismatch, seq, "it continues other lines than stand before it");
            }
            let size = note.as_ref().and_then(|note| self.note(&format!("note in line {seq}"), note, found));
            let size = size.map_or(0, |checkpoint| checkpoint.size);
            let text = format!(
                "closed by continuation: line {seq} begins under a new key; the key before signed {size} lines, so \
                 lines {size} to {} rest on the new key alone",
                seq.saturating_sub(1)
            );
            found.note_line(Code::Continued, seq, text);
        }
    }

    fn seal(&mut self, files: &Files, found: &mut Findings) {
        let is_there = files.contains(SEAL_NOTE);
        let lines = self.chain.lines.len() as u64;
        if self.chain.closed() && !is_there {
            return found.file(Code::SealMissing, SEAL_NOTE, "the run is closed and is not signed");
        }
        if !is_there {
            return;
        }
        let Some(text) = self.read(SEAL_NOTE, found) else {
            return;
        };
        let size = Checkpoint::of_note(&text).map(|(checkpoint, _)| checkpoint.size);
        if !self.chain.closed() && size == Some(lines + 1) {
            let text = "the run was being closed when it ended, or its last line is missing";
            return found.note_file(Code::Leftover, SEAL_NOTE, text);
        }
        if size.is_some_and(|size| size < lines) {
            found.file(Code::CheckpointMismatch, SEAL_NOTE, "it does not sign all lines");
        }
        self.note(SEAL_NOTE, &text, found);
    }

    /// Whether the last key, which signs everything before it too, is one that was noted elsewhere.
    fn noted_keys(&self, trust: &Trust, found: &mut Findings) -> bool {
        let Some((seq, last)) = self.keys.last().filter(|_| trust.has_keys()) else {
            return false;
        };
        if trust.has(last) {
            return true;
        }
        let text = if self.keys.iter().any(|(_, key)| trust.has(key)) {
            "a key that was given signed the beginning only; the run was taken up again under this one, which was \
             shown then: give that too"
        } else {
            "the journal was signed by this key, which is not one that was given"
        };
        found.line(Code::WrongKey, *seq, text);
        false
    }

    /// Whether a root that was noted elsewhere is that of all lines. It also finds what the key itself, in the wrong
    /// hands, has signed anew.
    fn noted_roots(&self, trust: &Trust, found: &mut Findings) -> bool {
        let mut covers_all = false;
        for root in trust.roots() {
            match self.tree.size_under(root) {
                Some(size) if size == self.tree.size() => covers_all = true,
                Some(size) => {
                    let text = format!("a root that was given is that of the first {size} lines");
                    found.note(Code::RootOfFirstLines, text);
                }
                None => {
                    let root = BASE64_STANDARD.encode(root);
                    found.file(
                        Code::RootMismatch,
                        JOURNAL,
                        format!("{root} is not the root of any number of its lines"),
                    );
                }
            }
        }
        covers_all
    }
}
