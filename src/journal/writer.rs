//! The handle on a run's record: opens a folder, hands lines to the thread that writes them, waits until they are
//! durable. What that thread does is in `commit`.

use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

use tokio::sync::{oneshot, watch};

use crate::{
    journal::{
        Anchor, History, JOURNAL_FORMAT, JournalError, RUN_FORMAT, Record, RunHeader,
        case::{Case, RUNS, room_for},
        checkpoint::Signer,
        commit::{Commit, Message, Pending},
        disk,
        folder::{CHECKPOINTS, EVIDENCE, HEADER, JOURNAL, PLAN, PLAYBOOK},
        hash::sha256_hex,
        hooks::Crash,
        ledger, recover,
    },
    model::{Clock, Exchange},
};

/// The open record of one run. Cheap to clone; when the last clone goes, what was handed over is written and the
/// case is unlocked.
#[derive(Clone)]
pub struct Journal {
    inner: Arc<Inner>,
}

struct Inner {
    case: PathBuf,
    run: PathBuf,
    to_thread: Option<mpsc::Sender<Message>>,
    thread: Option<JoinHandle<()>>,
    stopped: watch::Receiver<bool>,
    anchor: Anchor,
    waiting: watch::Sender<usize>,
}

/// Somebody who waits for the disk.
struct Waiting<'j>(&'j watch::Sender<usize>);

impl<'j> Waiting<'j> {
    fn on(count: &'j watch::Sender<usize>) -> Self {
        count.send_modify(|count| *count += 1);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count -= 1);
    }
}

/// What only the engine can say at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closing {
    /// From the start of the run to the last cut of an access, in milliseconds.
    pub last_cut_off_ms: Option<u64>,
    /// From the start of the run until everything was verified, in milliseconds.
    pub contained_ms: Option<u64>,
}

impl Journal {
    /// Holds a case and begins a run of a few changes in it.
    ///
    /// # Errors
    /// As `Case::hold` and `Journal::begin`.
    pub fn create(
        case: &Path,
        header: &RunHeader,
        plan: &[u8],
        playbook: Option<&[u8]>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, JournalError> {
        Self::begin(Case::hold(case, room_for(plan.len(), 0))?, header, plan, playbook, clock)
    }

    /// Makes `<case>/runs/<run-id>/` with header, plan and playbook, and writes line 0. All of it is durable when this
    /// returns.
    ///
    /// # Errors
    /// When the disk is full or not writable, the run is there already, or the header's digests are not those of the
    /// plan and the playbook.
    pub fn begin(
        case: Case,
        header: &RunHeader,
        plan: &[u8],
        playbook: Option<&[u8]>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, JournalError> {
        check_header(header, plan, playbook)?;
        let runs = case.folder().join(RUNS);
        let run = runs.join(&header.run_id);
        if run.symlink_metadata().is_ok() {
            return Err(JournalError::Exists { path: run });
        }
        let earlier = ledger::heads(&runs);
        let signer = Signer::draw(&header.case, &header.run_id).map_err(JournalError::io("draw a key for", &run))?;
        let vkey = signer.vkey();
        disk::make_new_dir(&run)?;
        let header_bytes = to_json(header, &run)?;
        disk::write_new_synced(&run.join(HEADER), &header_bytes)?;
        disk::write_new_synced(&run.join(PLAN), plan)?;
        if let Some(playbook) = playbook {
            disk::write_new_synced(&run.join(PLAYBOOK), playbook)?;
        }
        disk::make_new_dir(&run.join(EVIDENCE))?;
        disk::make_new_dir(&run.join(CHECKPOINTS))?;
        let path = run.join(JOURNAL);
        let file = disk::new_file().append(true).open(&path).map_err(JournalError::io("create", path))?;
        disk::sync_dir(&run)?;

        let mut commit = Commit::new(&run, &header.run_id, file, clock);
        commit.keep(HEADER, &header_bytes);
        commit.keep(PLAN, plan);
        if let Some(playbook) = playbook {
            commit.keep(PLAYBOOK, playbook);
        }
        commit.sign_with(signer);
        commit.open(Record::RunOpened {
            format: JOURNAL_FORMAT.to_owned(),
            header_sha256: sha256_hex(&header_bytes),
            plan_sha256: sha256_hex(plan),
            playbook_sha256: playbook.map(sha256_hex),
            vkey: vkey.clone(),
            earlier,
        })?;
        let anchor = Anchor::new(vkey, commit.tree().size(), commit.tree().root());
        Self::start(case, &run, commit, anchor)
    }

    /// Takes a run up again that was not closed. What a crash left behind the last whole line is kept aside and
    /// told in `History::torn`; the first line to append is `resumed`.
    ///
    /// # Errors
    /// When the run is closed, damaged other than by a torn last line, or its case is locked.
    pub fn reopen(run: &Path, clock: Arc<dyn Clock>) -> Result<(Self, History), JournalError> {
        let run = run.canonicalize().map_err(JournalError::io("find the run", run))?;
        let case = match run.parent() {
            Some(runs) if runs.ends_with(RUNS) => runs.parent().unwrap_or(runs).to_owned(),
            _ => {
                let reason = "it does not lie in the folder `runs` of a case".to_owned();
                return Err(JournalError::Damaged { path: run, reason });
            }
        };
        let case = Case::locked(&case)?;
        let (commit, history) = recover::recover(&run, clock)?;
        let vkey = history.continues.as_ref().map(|continues| continues.vkey.clone()).unwrap_or_default();
        let anchor = Anchor::new(vkey, commit.tree().size(), commit.tree().root());
        Ok((Self::start(case, &run, commit, anchor)?, history))
    }

    fn start(case: Case, run: &Path, commit: Commit, anchor: Anchor) -> Result<Self, JournalError> {
        let folder = case.folder().to_owned();
        let lock = case.into_lock();
        let (to_thread, messages) = mpsc::channel();
        let (tell, stopped) = watch::channel(false);
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || {
                commit.serve(&messages, &tell);
                drop(lock);
            })
            .map_err(JournalError::io("start the writer of", run))?;
        Ok(Self {
            inner: Arc::new(Inner {
                case: folder,
                run: run.to_owned(),
                to_thread: Some(to_thread),
                thread: Some(thread),
                stopped,
                anchor,
                waiting: watch::Sender::new(0),
            }),
        })
    }

    /// For the benchmark: says of every line that it is durable, and keeps none.
    ///
    /// # Errors
    /// When no thread can be started.
    #[cfg(feature = "unrecorded")]
    #[doc(hidden)]
    pub fn unrecorded(case: &Path) -> Result<Self, JournalError> {
        let (to_thread, messages) = mpsc::channel();
        let forget = move || {
            for (seq, message) in (0..).zip(messages) {
                if let Message::Append(Pending { reply, .. }) | Message::Close(_, reply) = message {
                    drop(reply.send(Ok(seq)));
                }
            }
        };
        let thread = thread::Builder::new().spawn(forget).map_err(JournalError::io("start a thread for", case))?;
        let (to_thread, thread) = (Some(to_thread), Some(thread));
        let (case, run) = (case.to_owned(), case.to_owned());
        let anchor = Anchor::new(String::new(), 0, [0; 32]);
        let (stopped, waiting) = (watch::channel(false).1, watch::Sender::new(0));
        Ok(Self { inner: Arc::new(Inner { case, run, to_thread, thread, stopped, waiting, anchor }) })
    }

    /// The key of this process, and the root over the lines that were there when it began: to be noted elsewhere.
    pub fn anchor(&self) -> &Anchor {
        &self.inner.anchor
    }

    /// Adds a line, with the exchanges behind it. Both are durable when this returns the line's number; they are
    /// written even where the future is dropped before.
    ///
    /// # Errors
    /// When the disk fails: then every further append fails too, and a result (`sent`, `verified`, `ended`) is
    /// written to a file in the system's folder for temporary files, which the error names. When the run is closed,
    /// or the line does not belong there.
    pub async fn append(&self, record: Record, exchanges: Vec<Exchange>) -> Result<u64, JournalError> {
        let _waiting = Waiting::on(&self.inner.waiting);
        let (reply, answer) = oneshot::channel();
        self.send(Message::Append(Pending { record, exchanges, reply }))?;
        answer.await.map_err(|_| JournalError::Gone)?
    }

    /// Adds a line without waiting for it. It is durable when any later line is: lines are written in the order in which
    /// they are handed over, and none is after one that failed, which the next `append` or `close` tells.
    ///
    /// # Errors
    /// When the thread that writes is gone.
    pub fn post(&self, record: Record, exchanges: Vec<Exchange>) -> Result<(), JournalError> {
        let (reply, _) = oneshot::channel();
        self.send(Message::Append(Pending { record, exchanges, reply }))
    }

    /// Writes the manifest, the digest of the journal, the signed root, and the last line, in this order, and destroys
    /// the key.
    ///
    /// # Errors
    /// As `append`.
    pub async fn close(self, closing: Closing) -> Result<(), JournalError> {
        let _waiting = Waiting::on(&self.inner.waiting);
        let (reply, answer) = oneshot::channel();
        self.send(Message::Close(closing, reply))?;
        answer.await.map_err(|_| JournalError::Gone)?.map(drop)
    }

    fn send(&self, message: Message) -> Result<(), JournalError> {
        self.inner.to_thread.as_ref().and_then(|sender| sender.send(message).ok()).ok_or(JournalError::Gone)
    }

    /// The run's folder.
    pub fn run_dir(&self) -> &Path {
        &self.inner.run
    }

    /// The case's folder.
    pub fn case_dir(&self) -> &Path {
        &self.inner.case
    }

    /// For crash tests: once line `seq` is durable, nothing more is written, and its `append` and all later ones
    /// never return. Drop every clone of the journal to let go of the case.
    #[doc(hidden)]
    pub fn stop_after(&self, seq: u64) -> Result<(), JournalError> {
        self.send(Message::StopAfter(seq))
    }

    /// For tests on a simulated clock, which must not move on meanwhile: how many wait for the disk.
    #[doc(hidden)]
    pub fn waiting(&self) -> watch::Receiver<usize> {
        self.inner.waiting.subscribe()
    }

    /// For crash tests: at this point nothing more is written, and no `append` returns any more. Drop every clone of the
    /// journal to let go of the case.
    #[doc(hidden)]
    pub fn crash_at(&self, crash: Crash) -> Result<(), JournalError> {
        self.send(Message::CrashAt(crash))
    }

    /// For tests: after so many more operations the disk is full, and stays so.
    #[doc(hidden)]
    pub fn fill_after(&self, operations: u64) -> Result<(), JournalError> {
        self.send(Message::FillAfter(operations))
    }

    /// For crash tests: returns when the point of `stop_after` or `crash_at` is reached.
    #[doc(hidden)]
    pub async fn stopped(&self) {
        let mut stopped = self.inner.stopped.clone();
        if stopped.wait_for(|stopped| *stopped).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        drop(self.to_thread.take());
        if let Some(thread) = self.thread.take() {
            // A panic over there was told to every append that waited.
            drop(thread.join());
        }
    }
}

fn to_json(header: &RunHeader, run: &Path) -> Result<Vec<u8>, JournalError> {
    let mut bytes = serde_json::to_vec_pretty(header)
        .map_err(std::io::Error::from)
        .map_err(JournalError::io("write", run.join(HEADER)))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn check_header(header: &RunHeader, plan: &[u8], playbook: Option<&[u8]>) -> Result<(), JournalError> {
    let fault = |text: &str| Err(JournalError::Header(text.to_owned()));
    let id = &header.run_id;
    if id.is_empty() || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return fault("its id may hold ASCII letters, digits and `-` only");
    }
    if header.format != RUN_FORMAT {
        return fault("its format is not the one that this program writes");
    }
    if header.plan_sha256 != sha256_hex(plan) {
        return fault("`plan_sha256` is not the digest of the plan's bytes");
    }
    let named = header.playbook.as_ref().map(|playbook| &playbook.sha256);
    if named != playbook.map(sha256_hex).as_ref() {
        return fault("its playbook is not the one that was given");
    }
    Ok(())
}
