//! What an honest run leaves on disk, and what a failing disk does to it.

use std::{
    fs,
    path::Path,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::json;

use crate::{
    journal::{
        Closing, History, Journal, JournalError, Record, SentOutcome, Verdict, sha256_hex,
        testing::{
            Bench, PLAYBOOK, approved, ended, exchange, header, intent, noon, observed, plan, sent, small, target,
        },
        verify,
    },
    model::{Clock, ManualClock, Outcome},
};

#[tokio::test]
async fn a_closed_run_is_consistent_and_reads_back() {
    let case = tempfile::tempdir().unwrap();
    let run = small(case.path(), "r1").await.close().await;
    let verification = verify(&run);
    assert_eq!(verification.verdict, Verdict::Consistent, "{verification:#?}");
    assert_eq!(verification.problems().count(), 0);

    let history = History::load(&run).unwrap();
    assert!(history.closed);
    assert_eq!(history.torn, None);
    assert_eq!(history.header, header("r1", &plan()));
    assert_eq!(history.plan, plan());
    assert_eq!(history.lines.len() as u64, verification.records);
    assert_eq!(history.lines[1].record, approved());
    assert_eq!(history.lines[1].mono_ms, 1000);
    assert_eq!(history.lines[1].t.to_string(), "2023-12-12T12:00:01Z");
    let Record::Closed { outcomes, .. } = &history.lines.last().unwrap().record else {
        panic!("{:?}", history.lines.last());
    };
    assert_eq!(outcomes.get("done"), Some(&2));
}

#[tokio::test]
async fn the_chain_and_the_digest_are_what_sha256sum_says() {
    let case = tempfile::tempdir().unwrap();
    let run = small(case.path(), "r1").await.close().await;
    let journal = fs::read(run.join("journal.jsonl")).unwrap();
    let lines: Vec<&[u8]> = journal.split(|b| *b == b'\n').collect();
    let second: serde_json::Value = serde_json::from_slice(lines[1]).unwrap();
    assert_eq!(second["prev"], sha256_hex(lines[0]));
    assert_eq!(
        fs::read_to_string(run.join("journal.sha256")).unwrap(),
        format!("{}  journal.jsonl\n", sha256_hex(&journal))
    );
    let body = run.join("evidence/000003-0-get-users.body");
    assert_eq!(fs::read_to_string(body).unwrap(), r#"{"accountEnabled":true}"#);
}

#[tokio::test]
async fn many_at_once_each_get_a_line_of_their_own() {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    let appends = (0..200).map(|n| {
        let exchanges = vec![exchange(&format!("e{n}"), "GET", "https://g.example/users/x", "{}")];
        bench.journal.append(observed("c001", json!({ "n": n })), exchanges)
    });
    let mut seqs: Vec<u64> = join_all(appends).await.into_iter().map(Result::unwrap).collect();
    seqs.sort_unstable();
    assert_eq!(seqs, (1..=200).collect::<Vec<u64>>());
    let run = bench.close().await;
    assert_eq!(verify(&run).verdict, Verdict::Consistent);
}

/// Says to the child of the next test that it is one.
#[cfg(unix)]
const FEW_FILES: &str = "STAUNCH_TEST_FEW_FILES";

/// macOS lets a process have 256 files open, and a batch has as many lines. Runs itself anew with fewer.
#[cfg(unix)]
#[tokio::test]
async fn a_batch_needs_few_open_files() {
    if std::env::var_os(FEW_FILES).is_some() {
        return a_batch_within_few_files().await;
    }
    let mut child = std::process::Command::new("sh");
    child.args(["-c", "ulimit -n 96; exec \"$0\" --exact \"$1\""]).arg(std::env::current_exe().unwrap());
    child.arg("journal::tests::writing::a_batch_needs_few_open_files").env(FEW_FILES, "1");
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[cfg(unix)]
async fn a_batch_within_few_files() {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    for n in 0..400 {
        let answers = vec![exchange(&format!("e{n}"), "GET", "https://g.example/users/x", "{}")];
        bench.journal.post(observed(&format!("c{n}"), json!({})), answers).unwrap();
    }
    assert_eq!(bench.journal.append(approved(), vec![]).await.unwrap(), 401);
}

#[tokio::test]
async fn a_case_belongs_to_one_process_at_a_time() {
    let case = tempfile::tempdir().unwrap();
    let first = Bench::new(case.path(), "r1");
    let again = |id: &str| {
        let clock = ManualClock::at(noon());
        Journal::create(case.path(), &header(id, &plan()), &plan(), Some(PLAYBOOK), clock)
    };
    assert!(matches!(again("r2").err().unwrap(), JournalError::Locked { .. }));
    drop(first);
    assert!(matches!(again("r1").err().unwrap(), JournalError::Exists { .. }));
    again("r2").unwrap();
}

#[test]
fn a_header_that_does_not_fit_is_refused_before_a_run_is_made() {
    let case = tempfile::tempdir().unwrap();
    let good = header("r1", &plan());
    let mut outside = good.clone();
    outside.run_id = "../r1".into();
    let mut other_plan = good.clone();
    other_plan.plan_sha256 = sha256_hex(b"x");
    let mut no_playbook = good.clone();
    no_playbook.playbook = None;
    for header in [outside, other_plan, no_playbook] {
        let clock = ManualClock::at(noon());
        let error = Journal::create(case.path(), &header, &plan(), Some(PLAYBOOK), clock).err();
        assert!(matches!(error, Some(JournalError::Header(_))), "{error:?}");
    }
    assert_eq!(fs::read_dir(case.path().join("runs")).unwrap().count(), 0);
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_before_the_first_change() {
    let dir = tempfile::tempdir().unwrap();
    let case = dir.path().join("file");
    fs::write(&case, "not a folder").unwrap();
    let clock = ManualClock::at(noon());
    let error = Journal::create(&case, &header("r1", &plan()), &plan(), Some(PLAYBOOK), clock);
    assert!(matches!(error.err().unwrap(), JournalError::Io { .. }));
}

#[tokio::test]
async fn lines_that_the_journal_writes_itself_are_refused() {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    let resumed = Record::Resumed { records: 1, torn: None, by: "ilse".into(), identity: None, continues: None };
    let error = bench.journal.append(resumed, vec![]).await.unwrap_err();
    assert!(matches!(error, JournalError::OutOfPlace { kind: "resumed", .. }));
    let second = bench.journal.clone();
    bench.close().await;
    let error = second.append(approved(), vec![]).await.unwrap_err();
    assert!(matches!(error, JournalError::Closed));
    let error = second.close(Closing::default()).await.unwrap_err();
    assert!(matches!(error, JournalError::Closed));
}

#[tokio::test]
async fn after_a_failed_write_nothing_is_written_any_more_and_results_are_spilled() {
    let case = tempfile::tempdir().unwrap();
    let run_id = format!("r-{}", uuid::Uuid::now_v7());
    let bench = Bench::new(case.path(), &run_id);
    let run = bench.journal.run_dir().to_owned();
    bench.add(approved(), vec![]).await;
    let before = fs::read(run.join("journal.jsonl")).unwrap();

    // The disk goes away under the evidence.
    fs::rename(run.join("evidence"), run.join("gone")).unwrap();
    let body = "the tenant's answer";
    let answer = vec![exchange("i1", "PATCH", "https://g.example/users/x", body)];
    let result = sent("c001", "i1", SentOutcome::Accepted);
    let error = bench.journal.append(result, answer).await.unwrap_err();
    let JournalError::Write { spilled, source } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**source, JournalError::Io { .. }));
    let file = spilled.file.as_ref().unwrap();
    assert!(error.to_string().contains(&file.display().to_string()) && !spilled.printed);

    // It is back, but nothing is promised any more.
    fs::rename(run.join("gone"), run.join("evidence")).unwrap();
    let error = bench.journal.append(approved(), vec![]).await.unwrap_err();
    assert_eq!(error.spilled(), Some(spilled), "{error:?}");
    let user = target("user", "u1", "x");
    let last = ended("c001", Outcome::Unknown, user, [None, None]);
    let error = bench.journal.append(last, vec![]).await.unwrap_err();
    assert_eq!(error.spilled(), Some(spilled));
    assert!(bench.journal.close(Closing::default()).await.is_err());

    assert_eq!(fs::read(run.join("journal.jsonl")).unwrap(), before);
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(r#""type":"sent""#) && text.contains(body));
    assert!(text.contains(r#""type":"ended""#) && text.contains(r#""outcome":"unknown""#));
    fs::remove_file(file).unwrap();
}

/// A clock that panics once when it is asked.
struct Falls(AtomicBool);

impl Clock for Falls {
    fn now(&self) -> jiff::Timestamp {
        assert!(!self.0.swap(false, Ordering::SeqCst), "a fault of the program");
        noon()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::ready(()))
    }
}

#[tokio::test]
async fn a_panic_of_the_writer_ends_the_journal_and_later_results_are_spilled() {
    let case = tempfile::tempdir().unwrap();
    let clock = Arc::new(Falls(AtomicBool::new(false)));
    let run_id = format!("r-{}", uuid::Uuid::now_v7());
    let journal =
        Journal::create(case.path(), &header(&run_id, &plan()), &plan(), Some(PLAYBOOK), clock.clone()).unwrap();
    clock.0.store(true, Ordering::SeqCst);
    journal.post(observed("c001", json!({})), vec![]).unwrap();
    let answer = vec![exchange("i1", "PATCH", "https://g.example/users/x", "the answer")];
    journal.post(sent("c001", "i1", SentOutcome::Accepted), answer).unwrap();
    let error = journal.append(approved(), vec![]).await.unwrap_err();
    let JournalError::Failed { spilled, source } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**source, JournalError::Gone), "{error:?}");
    let file = spilled.file.as_ref().unwrap();
    let text = fs::read_to_string(file).unwrap();
    assert!(text.contains(r#""type":"sent""#) && text.contains("the answer"), "{text}");
    fs::remove_file(file).unwrap();
    let run = journal.run_dir().to_owned();
    drop(journal);
    assert_eq!(History::load(&run).unwrap().lines.len(), 1);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_under_the_journal_is_an_error_of_the_append() {
    let error = full_disk_append().unwrap_err();
    let JournalError::Io { doing, source, .. } = &error else {
        panic!("{error:?}");
    };
    assert_eq!(*doing, "append to");
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
}

/// Appends to a device that is always full.
#[cfg(target_os = "linux")]
fn full_disk_append() -> Result<(), JournalError> {
    let file = fs::File::options().append(true).open("/dev/full").unwrap();
    let clock: Arc<ManualClock> = ManualClock::at(noon());
    let mut commit = crate::journal::commit::Commit::new(Path::new("/"), "r1", file, clock);
    commit.open(approved())
}

#[tokio::test]
async fn a_line_is_written_even_where_nobody_waits_for_it() {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    let run = bench.journal.run_dir().to_owned();
    {
        let mut append = Box::pin(bench.journal.append(approved(), vec![]));
        let first_poll = futures_util::future::poll_immediate(&mut append).await;
        drop(first_poll);
    }
    drop(bench);
    assert_eq!(History::load(&run).unwrap().lines.len(), 2);
}

/// No signature, no change: a disk that takes the line but not the note stops the run before the call.
#[tokio::test]
async fn what_cannot_be_signed_is_not_acknowledged_and_nothing_is_announced_after_it() {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    let run = bench.journal.run_dir().to_owned();
    bench.add(approved(), vec![]).await;
    bench.add(observed("c001", json!({})), vec![]).await;
    let before = fs::read(run.join("journal.jsonl")).unwrap();
    fs::rename(run.join("checkpoints"), run.join("gone")).unwrap();
    let error = bench.journal.append(intent("c001", "i1", json!({})), vec![]).await.unwrap_err();
    assert!(matches!(error, JournalError::Failed { .. } | JournalError::Write { .. }), "{error:?}");
    assert_eq!(fs::read(run.join("journal.jsonl")).unwrap(), before, "the call was not announced");
    fs::rename(run.join("gone"), run.join("checkpoints")).unwrap();
    assert!(bench.journal.append(intent("c001", "i1", json!({})), vec![]).await.is_err());
}
