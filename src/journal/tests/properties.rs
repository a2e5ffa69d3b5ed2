//! The journal cut or flipped at every byte: never a panic, never called consistent.

use std::{fs, path::PathBuf, sync::LazyLock};

use proptest::prelude::*;
use tempfile::TempDir;

use crate::journal::{History, Verdict, testing::small, verify};

/// One closed run that all cases copy.
static RUN: LazyLock<(TempDir, PathBuf, Vec<u8>)> = LazyLock::new(|| {
    let case = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let run = runtime.block_on(async { small(case.path(), "r1").await.close().await });
    let journal = fs::read(run.join("journal.jsonl")).unwrap();
    (case, run, journal)
});

/// The run's folder with another journal in it.
fn with_journal(journal: &[u8]) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for folder in ["evidence", "checkpoints"] {
        fs::create_dir(copy.path().join(folder)).unwrap();
    }
    for folder in ["", "evidence", "checkpoints"] {
        for entry in fs::read_dir(RUN.1.join(folder)).unwrap() {
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
