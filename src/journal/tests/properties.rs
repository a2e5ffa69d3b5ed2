//! The journal cut or flipped at every byte: never a panic, never called consistent.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
    thread,
};

use proptest::prelude::*;
use serde_json::json;
use tempfile::TempDir;

use super::both::both;
use crate::{
    journal::{
        Approval, Closing, Found, History, Journal, Line, Record, Said, SentOutcome, Verdict,
        testing::{
            Bench, approved, behind, ended, exchange, noon, observed, secret_intent, sent, small, target, verified,
        },
        verify,
    },
    model::{ManualClock, Outcome},
};

/// One closed run that all cases copy.
static RUN: LazyLock<(TempDir, PathBuf, Vec<u8>)> = LazyLock::new(|| {
    let case = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = runtime.block_on(async { small(case.path(), "r1").await.close().await });
    let journal = fs::read(run.join("journal.jsonl")).unwrap();
    (case, run, journal)
});

/// One closed run with a line of each type, taken up once.
static FULL: LazyLock<(TempDir, PathBuf, Vec<u8>)> = LazyLock::new(|| {
    let case = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = runtime.block_on(every_type(case.path()));
    let journal = fs::read(run.join("journal.jsonl")).unwrap();
    (case, run, journal)
});

async fn every_type(case: &Path) -> PathBuf {
    let bench = Bench::new(case, "r1");
    let run = bench.journal.run_dir().to_owned();
    let stage = || "cut".to_owned();
    let url = "https://g.example/users/u1";
    bench.add(approved(), vec![]).await;
    bench.add(Record::StageStarted { stage: stage() }, vec![]).await;
    bench.add(observed("c001", json!({})), vec![exchange("r", "GET", url, "{}")]).await;
    let sealed = Record::Sealed {
        change: "c001".into(),
        file: "handover/r1/c001.age".into(),
        sha256: "0".repeat(64),
        recipients: vec!["age1x".into()],
        owner: "johanna@contoso.example".into(),
    };
    bench.add(sealed, vec![]).await;
    bench.add(secret_intent("c001", "i"), vec![]).await;
    bench.tell(sent("c001", "i", SentOutcome::Unknown)).await;
    bench.add(Record::Interrupted { reason: "asked".into() }, vec![]).await;
    drop(bench);
    let (journal, history) = Journal::reopen(&run, ManualClock::at(noon())).unwrap();
    let records = history.lines.len() as u64;
    let lines = [
        Record::Resumed {
            records,
            torn: history.torn,
            by: "ilse".into(),
            identity: None,
            continues: history.continues,
        },
        Record::Reconciled {
            change: "c001".into(),
            call: 0,
            client_request_id: "i".into(),
            found: Found::Indeterminate,
            reason: "it cannot be read".into(),
        },
        Record::Decided { change: "c001".into(), said: Said::Applied, by: "ilse".into(), how: Approval::Prompt },
        verified("c001", json!({})),
        ended("c001", Outcome::Done, target("user", "u1", "j"), [None, None]),
        Record::StageEnded { stage: stage() },
    ];
    for line in lines {
        let exchanges = behind(&line);
        journal.append(line, exchanges).await.unwrap();
    }
    journal.close(Closing::default()).await.unwrap();
    run
}

/// The run's folder with another journal in it.
fn with_journal(journal: &[u8]) -> TempDir {
    copy_of(&RUN.1, journal)
}

fn copy_of(run: &Path, journal: &[u8]) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["evidence", "checkpoints"] {
        fs::create_dir(copy.path().join(folder)).unwrap();
    }
    for folder in ["", "evidence", "checkpoints"] {
        for entry in fs::read_dir(run.join(folder)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                let to = copy.path().join(folder).join(entry.file_name());
                fs::copy(entry.path(), to).unwrap();
            }
        }
    }
    fs::write(copy.path().join("journal.jsonl"), journal).unwrap();
    copy
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn a_cut_is_never_consistent(at in any::<prop::sample::Index>()) {
        let at = at.index(RUN.2.len());
        let copy = with_journal(&RUN.2[..at]);
        prop_assert_ne!(verify(copy.path()).verdict, Verdict::Consistent);
        drop(History::load(copy.path()));
    }

    #[test]
    fn a_flipped_byte_is_never_consistent(at in any::<prop::sample::Index>(), mask in 1_u8..) {
        let mut journal = RUN.2.clone();
        let at = at.index(journal.len());
        journal[at] ^= mask;
        let copy = with_journal(&journal);
        prop_assert_ne!(verify(copy.path()).verdict, Verdict::Consistent);
        drop(History::load(copy.path()));
    }

    #[test]
    fn any_bytes_at_all_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let copy = with_journal(&bytes);
        prop_assert_ne!(verify(copy.path()).verdict, Verdict::Consistent);
        prop_assert!(History::load(copy.path()).is_err());
    }
}

#[test]
fn every_cut_at_the_end_of_a_line_is_seen() {
    let ends = RUN.2.iter().enumerate().filter(|(_, b)| **b == b'\n');
    let ends: Vec<usize> = ends.map(|(at, _)| at + 1).collect();
    for end in &ends[..ends.len() - 1] {
        let copy = with_journal(&RUN.2[..*end]);
        let verdict = verify(copy.path()).verdict;
        // Only the line before the last could be where an honest close crashed.
        let expected = if *end == ends[ends.len() - 2] { Verdict::Open } else { Verdict::Broken };
        assert_eq!(verdict, expected, "cut at {end}");
    }
    let copy = with_journal(&RUN.2);
    assert_eq!(verify(copy.path()).verdict, Verdict::Consistent);
}

/// Checks many journals in one copy of a run's folder for each processor.
fn each(run: &Path, journals: usize, check: impl Fn(usize, &Path) + Sync) {
    let workers = thread::available_parallelism().map_or(2, usize::from);
    thread::scope(|scope| {
        for worker in 0..workers {
            let check = &check;
            scope.spawn(move || {
                let copy = copy_of(run, b"");
                (worker..journals).step_by(workers).for_each(|at| check(at, copy.path()));
            });
        }
    });
}

/// What recovery would go on from: nothing, or a beginning of what was truly written. The chain covers each line but the
/// last; that one is covered by signatures, which taking a run up checks besides.
fn assert_beginning(run: &Path, whole: &[Line], what: &str) {
    if let Ok(history) = History::load(run) {
        let chained = history.lines.len() - 1;
        assert!(whole.starts_with(&history.lines[..chained]), "{what}: it goes on from what was never written");
    }
}

#[test]
fn the_journal_has_a_line_of_each_type_and_is_whole() {
    let kinds: std::collections::BTreeSet<&str> =
        History::load(&FULL.1).unwrap().lines.iter().map(|line| line.record.kind()).collect();
    assert_eq!(kinds.len(), 15, "{kinds:?}");
    assert_eq!(both(&FULL.1, &[]).verdict, Verdict::Consistent);
}

#[test]
fn a_cut_at_every_byte_is_seen_and_leaves_a_beginning() {
    let (_, run, journal) = &*FULL;
    let whole = History::load(run).unwrap().lines;
    each(run, journal.len(), |at, copy| {
        fs::write(copy.join("journal.jsonl"), &journal[..at]).unwrap();
        assert!(!verify(copy).verdict.is_good(), "cut at {at}");
        assert_beginning(copy, &whole, &format!("cut at {at}"));
    });
}

#[test]
fn a_flip_at_every_byte_is_seen_and_leaves_a_beginning() {
    let (_, run, journal) = &*FULL;
    let whole = History::load(run).unwrap().lines;
    let last_line = journal[..journal.len() - 1].iter().rposition(|byte| *byte == b'\n').unwrap() + 1;
    each(run, journal.len(), |at, copy| {
        let mut flipped = journal.clone();
        flipped[at] ^= 1 << (at % 8);
        fs::write(copy.join("journal.jsonl"), flipped).unwrap();
        let verdict = verify(copy).verdict;
        assert!(!verdict.is_good(), "bit {} of byte {at}", at % 8);
        // Without its newline the last line looks like one over which the run crashed while it was closed.
        assert!(verdict == Verdict::Broken || at + 1 >= last_line, "bit {} of byte {at}: {verdict:?}", at % 8);
        assert_beginning(copy, &whole, &format!("bit {} of byte {at}", at % 8));
    });
}

/// One edit of a journal.
#[derive(Clone, Debug)]
enum Edit {
    Flip(prop::sample::Index, u8),
    Cut(prop::sample::Index),
    Insert(prop::sample::Index, Vec<u8>),
    Delete(prop::sample::Index, usize),
    SwapLines(prop::sample::Index, prop::sample::Index),
    RepeatLine(prop::sample::Index),
    DropLine(prop::sample::Index),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 1_u8..).prop_map(|(at, mask)| Edit::Flip(at, mask)),
        at().prop_map(Edit::Cut),
        (at(), proptest::collection::vec(any::<u8>(), 1..40)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        (at(), 1_usize..200).prop_map(|(at, count)| Edit::Delete(at, count)),
        (at(), at()).prop_map(|(one, other)| Edit::SwapLines(one, other)),
        at().prop_map(Edit::RepeatLine),
        at().prop_map(Edit::DropLine),
    ]
}

fn edited(journal: &[u8], edit: &Edit) -> Vec<u8> {
    if journal.is_empty() {
        return Vec::new();
    }
    let mut bytes = journal.to_vec();
    let mut lines: Vec<&[u8]> = journal.split_inclusive(|byte| *byte == b'\n').collect();
    match edit {
        Edit::Flip(at, mask) => bytes[at.index(journal.len())] ^= mask,
        Edit::Cut(at) => bytes.truncate(at.index(journal.len())),
        Edit::Insert(at, more) => drop(bytes.splice(at.index(journal.len())..at.index(journal.len()), more.clone())),
        Edit::Delete(at, count) => {
            let at = at.index(journal.len());
            drop(bytes.drain(at..(at + count).min(journal.len())));
        }
        Edit::SwapLines(one, other) => {
            let (one, other) = (one.index(lines.len()), other.index(lines.len()));
            lines.swap(one, other);
            bytes = lines.concat();
        }
        Edit::RepeatLine(at) => {
            let at = at.index(lines.len());
            lines.insert(at, lines[at]);
            bytes = lines.concat();
        }
        Edit::DropLine(at) => {
            lines.remove(at.index(lines.len()));
            bytes = lines.concat();
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_edits_are_seen_and_nothing_is_taken_up_that_was_signed_otherwise(
        edits in proptest::collection::vec(edit(), 1..4)
    ) {
        let (_, run, journal) = &*FULL;
        let bytes = edits.iter().fold(journal.clone(), |bytes, edit| edited(&bytes, edit));
        prop_assume!(bytes != *journal);
        let whole = History::load(run).unwrap().lines;
        // In a case of its own, so that it can be taken up.
        let case = tempfile::tempdir().unwrap();
        let copy = case.path().join("runs/r1");
        fs::create_dir(case.path().join("runs")).unwrap();
        fs::rename(copy_of(run, &bytes).keep(), &copy).unwrap();
        let ours = verify(&copy).verdict;
        prop_assert!(!ours.is_good(), "{:?}", ours);
        assert_beginning(&copy, &whole, "edited");
        if let Ok((_, history)) = Journal::reopen(&copy, ManualClock::at(noon())) {
            // The last note signs all lines but the close: with fewer, nothing is taken up.
            prop_assert!(whole.starts_with(&history.lines));
            prop_assert_eq!(history.lines.len(), whole.len() - 1);
        }
    }
}
