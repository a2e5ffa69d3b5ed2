//! The one thread that writes: gathers what waits, writes evidence, fsyncs it, appends the lines, fsyncs once, and only
//! then says that they are there.

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};

use jiff::{Timestamp, Unit};
use sha2::{Digest as _, Sha256};
use tokio::sync::{oneshot, watch};

use crate::{
    journal::{
        Closing, Continues, FileRef, JournalError, Line, Record,
        checkpoint::{self, Signer},
        disk,
        evidence::{Exhibit, file_ref},
        folder::{CHECKPOINTS, EVIDENCE, JOURNAL, SEAL_NOTE},
        hash::{ZEROS, hex, sha256_hex},
        hooks::{Crash, Hooks, Leaves},
        merkle::Tree,
        recover::free_name,
        seal,
        spill::Spill,
    },
    model::{Clock, Exchange, Outcome},
};

/// Most lines in one commit.
const BATCH: usize = 256;

/// Most new files that wait for their fsync at once: a process may have few open.
const UNSYNCED: usize = 64;

/// How an append is answered.
pub(crate) type Reply = oneshot::Sender<Result<u64, JournalError>>;

/// A line that waits to be written.
pub(crate) struct Pending {
    pub(crate) record: Record,
    pub(crate) exchanges: Vec<Exchange>,
    pub(crate) reply: Reply,
}

/// What the handle sends to the thread.
#[expect(clippy::large_enum_variant, reason = "appends are nearly all that is ever sent")]
pub(crate) enum Message {
    Append(Pending),
    Close(Closing, Reply),
    StopAfter(u64),
    CrashAt(Crash),
    FillAfter(u64),
}

/// What comes next, and what came so far.
pub(crate) struct Commit {
    dir: PathBuf,
    run: String,
    file: File,
    clock: Arc<dyn Clock>,
    seq: u64,
    prev: String,
    /// Of all bytes of the journal so far.
    whole: Sha256,
    /// Of all lines so far.
    tree: Tree,
    /// Gone once the run is closed.
    signer: Option<Signer>,
    /// Whether a call was announced.
    intended: bool,
    /// What the first line must say of the signatures in a run that was taken up again.
    continues: Option<Continues>,
    /// All files besides the journal.
    files: BTreeMap<String, FileRef>,
    outcomes: BTreeMap<String, Outcome>,
    must_resume: bool,
    closed: bool,
    /// Lines of the batch that is being written.
    waiting: VecDeque<Pending>,
    /// Of these, what is ready to be written.
    made: Vec<Ready>,
    failed: Option<Arc<JournalError>>,
    spill: Spill,
    hooks: Hooks,
}

/// A line that is ready to be written.
struct Ready {
    bytes: Vec<u8>,
    exhibits: Vec<Exhibit>,
    is_result: bool,
    reply: Option<Reply>,
    seq: u64,
}

impl Commit {
    pub(crate) fn new(dir: &Path, run: &str, file: File, clock: Arc<dyn Clock>) -> Self {
        Self {
            dir: dir.to_owned(),
            run: run.to_owned(),
            file,
            clock,
            seq: 0,
            prev: ZEROS.to_owned(),
            whole: Sha256::new(),
            tree: Tree::default(),
            signer: None,
            intended: false,
            continues: None,
            files: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            must_resume: false,
            closed: false,
            waiting: VecDeque::new(),
            made: Vec::new(),
            failed: None,
            spill: Spill::new(run),
            hooks: Hooks::from_env(),
        }
    }

    /// Goes on behind lines that are there already.
    pub(crate) fn continue_after(&mut self, lines: &[Line], bytes: &[u8]) {
        self.seq = lines.len() as u64;
        self.whole.update(bytes);
        let last = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let last = last.rsplit(|b| *b == b'\n').next().unwrap_or_default();
        self.prev = sha256_hex(last);
        self.tree = Tree::of(bytes.split_inclusive(|b| *b == b'\n').filter_map(|line| line.strip_suffix(b"\n")));
        for line in lines {
            self.count(&line.record);
        }
        // Also where the lines say that the run was taken up before: not by this process.
        self.must_resume = true;
    }

    /// Signs from now on, beginning with the next line that asks for it.
    pub(crate) fn sign_with(&mut self, signer: Signer) {
        self.signer = Some(signer);
    }

    /// Holds the first line to what it continues.
    pub(crate) fn expect(&mut self, continues: Continues) {
        self.continues = Some(continues);
    }

    /// The lines so far.
    pub(crate) fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Enters a file into the manifest to come.
    pub(crate) fn keep(&mut self, path: &str, bytes: &[u8]) {
        self.keep_ref(file_ref(path.to_owned(), bytes));
    }

    /// Enters a file into the manifest to come.
    pub(crate) fn keep_ref(&mut self, file: FileRef) {
        self.files.insert(file.path.clone(), file);
    }

    /// Writes line 0.
    pub(crate) fn open(&mut self, record: Record) -> Result<(), JournalError> {
        let ready = self.ready(record, Vec::new(), None)?;
        self.write(std::slice::from_ref(&ready))?;
        disk::sync_dir(&self.dir)?;
        self.sign()?;
        self.acknowledge(vec![ready]);
        Ok(())
    }

    /// Works until every handle is gone. A panic ends the journal and loses the line that it fell over, as a kill would;
    /// what is handed over then is treated as after any other failure.
    pub(crate) fn serve(mut self, messages: &mpsc::Receiver<Message>, tell_stopped: &watch::Sender<bool>) {
        if let Some(operations) = self.hooks.full_after {
            disk::fill_after(operations);
        }
        while panic::catch_unwind(AssertUnwindSafe(|| self.work(messages, tell_stopped))).is_err() {
            let made = std::mem::take(&mut self.made);
            self.fail(JournalError::Gone, made);
        }
    }

    fn work(&mut self, messages: &mpsc::Receiver<Message>, tell_stopped: &watch::Sender<bool>) {
        // What a panic left.
        self.commit();
        let mut next = None;
        while let Some(message) = next.take().or_else(|| messages.recv().ok()) {
            match message {
                Message::StopAfter(seq) => self.hooks.stop_after = Some(seq),
                Message::CrashAt(crash) => self.hooks.crash = Some(crash),
                Message::FillAfter(operations) => disk::fill_after(operations),
                Message::Append(first) => {
                    if let Some(leaves) = self.hooks.meet(&first.record) {
                        self.die_over(first, leaves);
                        return hold(messages, tell_stopped);
                    }
                    self.waiting.push_back(first);
                    let most = if self.hooks.are_set() { 1 } else { BATCH };
                    while self.waiting.len() < most && next.is_none() {
                        match messages.try_recv() {
                            Ok(Message::Append(more)) => self.waiting.push_back(more),
                            Ok(other) => next = Some(other),
                            Err(_) => break,
                        }
                    }
                    self.commit();
                }
                Message::Close(closing, reply) => self.close(closing, reply),
            }
            if self.hooks.stop_after.is_some_and(|seq| self.seq > seq) {
                return hold(messages, tell_stopped);
            }
        }
    }

    /// Leaves what a process leaves that dies while it writes this line.
    fn die_over(&mut self, last: Pending, leaves: Leaves) {
        let Pending { record, exchanges, reply } = last;
        // The test's `append` is to hang, and a dropped sender would wake it.
        std::mem::forget(reply);
        if leaves == Leaves::Nothing {
            return;
        }
        let is_first_intent = !self.intended && matches!(record, Record::Intent { .. });
        let signed = if is_first_intent { self.sign() } else { Ok(()) };
        let left = signed.and_then(|()| self.ready(record, exchanges, None)).and_then(|mut line| {
            match leaves {
                Leaves::All => return self.write(std::slice::from_ref(&line)),
                Leaves::Half => line.bytes.truncate(line.bytes.len() / 2),
                Leaves::Evidence | Leaves::Nothing => line.bytes.clear(),
            }
            self.write_evidence(std::slice::from_ref(&line))?;
            let path = self.dir.join(JOURNAL);
            disk::append(&mut self.file, &path, &line.bytes)?;
            disk::sync_data(&self.file, &path)
        });
        drop(left);
    }

    fn commit(&mut self) {
        while let Some(pending) = self.waiting.pop_front() {
            if let Err(error) = self.check_place(&pending.record) {
                answer(pending.reply, Err(error));
                continue;
            }
            // What fails here must stop this very line: no call is announced over lines that could not be signed.
            if !self.intended && matches!(pending.record, Record::Intent { .. }) {
                self.flush(true);
            }
            if let Some(failed) = &self.failed {
                let source = Arc::clone(failed);
                self.spill_pending(pending.record, pending.exchanges);
                answer(pending.reply, Err(JournalError::Failed { spilled: self.spill.spilled(), source }));
                continue;
            }
            let is_signed = checkpoint::follows(&pending.record);
            match self.ready(pending.record, pending.exchanges, Some(pending.reply)) {
                Ok(line) => self.made.push(line),
                Err(error) => self.failed = Some(Arc::new(error)),
            }
            if is_signed {
                self.flush(true);
            }
        }
        self.flush(false);
    }

    /// Writes what is ready, signs where that is due, and only then says that it is there.
    fn flush(&mut self, is_signed: bool) {
        let ready = std::mem::take(&mut self.made);
        if self.failed.is_some() && ready.is_empty() {
            return;
        }
        let written = if ready.is_empty() { Ok(()) } else { self.write(&ready) };
        let written = if is_signed { written.and_then(|()| self.sign()) } else { written };
        match written {
            Ok(()) => self.acknowledge(ready),
            Err(error) => self.fail(error, ready),
        }
    }

    /// Signs the root over the lines on disk. A note comes into being whole or not at all: a crash leaves a `.torn`.
    fn sign(&mut self) -> Result<(), JournalError> {
        let Some(signer) = self.signer.as_mut().filter(|signer| signer.signed() < self.tree.size()) else {
            return Ok(());
        };
        let path = self.dir.join(JOURNAL);
        let on_disk = Sha256::digest(disk::read_plain(&path)?);
        let note = if on_disk == self.whole.clone().finalize() { signer.sign(&self.tree) } else { None };
        let note = note.ok_or(JournalError::Rewritten { path })?;
        let name = checkpoint::path(self.tree.size());
        self.write_note(CHECKPOINTS, &name, &note)?;
        self.keep(&name, note.as_bytes());
        Ok(())
    }

    fn write_note(&self, folder: &str, name: &str, note: &str) -> Result<(), JournalError> {
        let folder = self.dir.join(folder);
        let path = self.dir.join(name);
        if path.symlink_metadata().is_ok() {
            return Err(JournalError::Rewritten { path });
        }
        let unfinished = free_name(&path);
        disk::write_new_synced(&unfinished, note.as_bytes())?;
        disk::rename(&unfinished, &path)?;
        disk::sync_dir(&folder)
    }

    fn acknowledge(&self, ready: Vec<Ready>) {
        for line in ready {
            if self.hooks.kill_after == Some(line.seq) {
                kill_ourselves();
            }
            let held = self.hooks.stop_after.is_some_and(|seq| line.seq >= seq);
            match line.reply {
                // The test's `append` is to hang, and a dropped sender would wake it.
                Some(reply) if held => std::mem::forget(reply),
                Some(reply) => answer(reply, Ok(line.seq)),
                None => {}
            }
        }
    }

    fn fail(&mut self, error: JournalError, ready: Vec<Ready>) {
        let source = Arc::new(error);
        // The first failure is the one that tells.
        let source = Arc::clone(self.failed.get_or_insert(source));
        for line in ready.iter().filter(|line| line.is_result) {
            self.spill.put(&line.bytes, &line.exhibits);
        }
        for reply in ready.into_iter().filter_map(|line| line.reply) {
            answer(reply, Err(JournalError::Write { spilled: self.spill.spilled(), source: Arc::clone(&source) }));
        }
    }

    fn spill_pending(&mut self, record: Record, exchanges: Vec<Exchange>) {
        if record.is_result()
            && let Ok(ready) = self.ready(record, exchanges, None)
        {
            self.spill.put(&ready.bytes, &ready.exhibits);
        }
    }

    fn check_place(&self, record: &Record) -> Result<(), JournalError> {
        if self.closed {
            return Err(JournalError::Closed);
        }
        let reason = match record {
            Record::RunOpened { .. } => "the journal itself writes it when it is created",
            Record::Closed { .. } => "`close` writes it",
            Record::Resumed { .. } if !self.must_resume => "the run goes on in the same process",
            Record::Resumed { continues, .. } if *continues != self.continues => {
                "it does not continue what was signed before"
            }
            record if self.must_resume && !matches!(record, Record::Resumed { .. }) => {
                "`resumed` comes first in a run that was taken up again"
            }
            _ => return Ok(()),
        };
        Err(JournalError::OutOfPlace { kind: record.kind(), reason })
    }

    /// Makes the next line. From here on it counts, written or not: a failed write ends the journal.
    fn ready(&mut self, record: Record, exchanges: Vec<Exchange>, reply: Option<Reply>) -> Result<Ready, JournalError> {
        let seq = self.seq;
        let path = self.dir.join(JOURNAL);
        let unwritable = |error: serde_json::Error| JournalError::io("write", &path)(error.into());
        let exhibits = exchanges
            .into_iter()
            .enumerate()
            .map(|(index, exchange)| Exhibit::new(seq, index, exchange))
            .collect::<Result<Vec<_>, _>>()
            .map_err(unwritable)?;
        let is_result = record.is_result();
        self.count(&record);
        let line = Line {
            seq,
            run: self.run.clone(),
            prev: self.prev.clone(),
            t: milliseconds(self.clock.now()),
            mono_ms: u64::try_from(self.clock.monotonic().as_millis()).unwrap_or(u64::MAX),
            ev: exhibits.iter().map(|e| e.reference.clone()).collect(),
            record,
        };
        let bytes = serde_json::to_vec(&line).map_err(unwritable)?;
        self.prev = sha256_hex(&bytes);
        self.seq += 1;
        Ok(Ready { bytes, exhibits, is_result, reply, seq })
    }

    fn count(&mut self, record: &Record) {
        match record {
            Record::Ended { change, outcome, .. } => {
                self.outcomes.insert(change.clone(), *outcome);
            }
            Record::Intent { .. } => self.intended = true,
            Record::Resumed { .. } => self.must_resume = false,
            Record::Closed { .. } => self.closed = true,
            _ => {}
        }
    }

    /// Evidence first, each file and then their folder; then the lines, with one fsync.
    fn write(&mut self, ready: &[Ready]) -> Result<(), JournalError> {
        self.write_evidence(ready)?;
        let mut bytes = Vec::with_capacity(ready.iter().map(|line| line.bytes.len() + 1).sum());
        for line in ready {
            bytes.extend_from_slice(&line.bytes);
            bytes.push(b'\n');
        }
        let path = self.dir.join(JOURNAL);
        disk::append(&mut self.file, &path, &bytes)?;
        disk::sync_data(&self.file, &path)?;
        self.whole.update(&bytes);
        ready.iter().for_each(|line| self.tree.push(&line.bytes));
        Ok(())
    }

    fn write_evidence(&mut self, ready: &[Ready]) -> Result<(), JournalError> {
        let exhibits = ready.iter().flat_map(|line| &line.exhibits);
        let files: Vec<(&FileRef, &[u8])> = exhibits.flat_map(Exhibit::files).collect();
        let folder = self.dir.join(EVIDENCE);
        for some in files.chunks(UNSYNCED) {
            let write = |(file, bytes): &(&FileRef, &[u8])| disk::write_exhibit(&self.dir.join(&file.path), bytes);
            let written = some.iter().map(write).collect::<Result<Vec<_>, _>>()?;
            disk::sync_all(&written).map_err(JournalError::io("fsync a file in", &folder))?;
        }
        if !files.is_empty() {
            disk::sync_dir(&folder)?;
        }
        self.files.extend(files.into_iter().map(|(file, _)| (file.path.clone(), file.clone())));
        Ok(())
    }

    fn close(&mut self, closing: Closing, reply: Reply) {
        if self.closed || self.must_resume {
            return answer(reply, Err(JournalError::Closed));
        }
        if let Some(source) = self.failed.clone() {
            return answer(reply, Err(JournalError::Failed { spilled: self.spill.spilled(), source }));
        }
        match self.seal(closing, reply) {
            Ok(line) => self.commit_last(line),
            Err((error, reply)) => {
                let source = Arc::new(error);
                self.failed = Some(Arc::clone(&source));
                answer(reply, Err(JournalError::Write { spilled: self.spill.spilled(), source }));
            }
        }
    }

    /// The manifest, the digest and the signature are durable before the last line speaks of them, so a closed run without them
    /// is one that was tampered with.
    fn seal(&mut self, closing: Closing, reply: Reply) -> Result<Ready, (JournalError, Reply)> {
        let manifest = seal::manifest(&self.run, self.seq, &self.prev, &self.files);
        let manifest = match manifest.and_then(|bytes| seal::write_manifest(&self.dir, bytes)) {
            Ok(sha256) => sha256,
            Err(error) => return Err((error, reply)),
        };
        let record = Record::Closed {
            outcomes: self.tally(),
            last_cut_off_ms: closing.last_cut_off_ms,
            contained_ms: closing.contained_ms,
            manifest_sha256: manifest,
        };
        let made = self.ready(record, Vec::new(), None).and_then(|line| {
            let mut whole = self.whole.clone();
            whole.update(&line.bytes);
            whole.update(b"\n");
            seal::write_digest(&self.dir, &hex(&whole.finalize()))?;
            self.sign_seal(&line)?;
            Ok(line)
        });
        match made {
            Ok(line) => Ok(Ready { reply: Some(reply), ..line }),
            Err(error) => Err((error, reply)),
        }
    }

    /// Signs the journal as it will be with its last line, and destroys the key.
    fn sign_seal(&mut self, last: &Ready) -> Result<(), JournalError> {
        let Some(mut signer) = self.signer.take() else {
            return Ok(());
        };
        let mut tree = self.tree.clone();
        tree.push(&last.bytes);
        let path = self.dir.join(JOURNAL);
        let note = signer.sign(&tree).ok_or(JournalError::Rewritten { path })?;
        self.write_note("", SEAL_NOTE, &note)
    }

    fn commit_last(&mut self, line: Ready) {
        match self.write(std::slice::from_ref(&line)) {
            Ok(()) => self.acknowledge(vec![line]),
            Err(error) => self.fail(error, vec![line]),
        }
    }

    fn tally(&self) -> BTreeMap<String, u32> {
        let mut tally = BTreeMap::new();
        for outcome in self.outcomes.values() {
            *tally.entry(outcome.word().to_owned()).or_insert(0) += 1;
        }
        tally
    }
}

/// Nobody listens any more where a future was dropped; the line is written all the same.
fn answer(reply: Reply, result: Result<u64, JournalError>) {
    drop(reply.send(result));
}

/// Answers nobody and writes nothing, until every handle is gone.
fn hold(messages: &mpsc::Receiver<Message>, tell_stopped: &watch::Sender<bool>) {
    tell_stopped.send_replace(true);
    let mut held = Vec::new();
    while let Ok(message) = messages.recv() {
        held.push(message);
    }
}

/// The journal's times have whole milliseconds.
fn milliseconds(t: Timestamp) -> Timestamp {
    t.round(Unit::Millisecond).unwrap_or(t)
}

/// A crash as the tests want it: no destructor, no flush.
fn kill_ourselves() {
    #[cfg(unix)]
    rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL).unwrap_or_default();
}
