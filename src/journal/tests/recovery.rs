//! What a crash leaves, and how a run goes on after it.

use std::{fs, io::Write as _, path::Path};

use serde_json::json;

use super::both::both;
use crate::{
    journal::{
        Closing, History, Journal, JournalError, Record, Verdict, Vkey, sha256_hex,
        testing::{Bench, approved, exchange, noon, observed, small},
        verify,
        verify::Code,
    },
    model::{Identity, ManualClock},
};

fn tear(run: &Path, bytes: &[u8]) {
    let path = run.join("journal.jsonl");
    let mut file = fs::File::options().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
}

fn reopen(run: &Path) -> (Journal, History) {
    Journal::reopen(run, ManualClock::at(noon())).unwrap()
}

async fn resume(run: &Path) -> (Journal, History) {
    let (journal, history) = reopen(run);
    let resumed = Record::Resumed {
        records: history.lines.len() as u64,
        torn: history.torn.clone(),
        by: "ilse".into(),
        identity: Some(Box::new(history.header.identity.clone())),
        continues: history.continues.clone(),
    };
    journal.append(resumed, vec![]).await.unwrap();
    (journal, history)
}

async fn crashed(case: &Path) -> std::path::PathBuf {
    let bench = small(case, "r1").await;
    bench.journal.run_dir().to_owned()
}

/// Whoever reads the header must not take one application's changes for another's.
#[tokio::test]
async fn a_run_that_goes_on_as_somebody_else_is_told_by_both_verifiers() {
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    let resumed = |history: &History, us: Identity| Record::Resumed {
        records: history.lines.len() as u64,
        torn: None,
        by: "ilse".into(),
        identity: Some(Box::new(us)),
        continues: history.continues.clone(),
    };
    // A newer token of the same application is no other.
    let (journal, history) = reopen(&run);
    let same = Identity { token_id: None, permissions: Vec::new(), ..history.header.identity.clone() };
    journal.append(resumed(&history, same), vec![]).await.unwrap();
    drop(journal);
    let (journal, history) = reopen(&run);
    let other = Identity { app_id: "other-app".into(), ..history.header.identity.clone() };
    journal.append(resumed(&history, other), vec![]).await.unwrap();
    journal.close(Closing::default()).await.unwrap();
    let verification = both(&run, &[]);
    assert_eq!(verification.verdict, Verdict::Consistent, "{verification:#?}");
    let told: Vec<_> = verification.findings.iter().filter(|it| it.code == Code::OtherIdentity).collect();
    assert_eq!(told.len(), 1, "{verification:#?}");
    assert_eq!(told[0].line, Some(history.lines.len() as u64));
    assert!(told[0].text.contains("application other-app"), "{}", told[0].text);
}

#[tokio::test]
async fn a_run_that_was_not_closed_is_open_and_goes_on() {
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    assert_eq!(both(&run, &[]).verdict, Verdict::Open);

    let (journal, history) = resume(&run).await;
    assert_eq!((history.torn, history.closed), (None, false));
    journal.append(approved(), vec![]).await.unwrap();
    journal.close(Closing::default()).await.unwrap();
    let verification = both(&run, &[]);
    assert_eq!(verification.verdict, Verdict::Consistent, "{verification:#?}");
    let lines = History::load(&run).unwrap().lines;
    let Record::Closed { outcomes, .. } = &lines.last().unwrap().record else {
        panic!("not closed");
    };
    assert_eq!(outcomes.get("done"), Some(&2), "those before the crash count too");
}

#[tokio::test]
async fn a_torn_line_is_kept_cut_off_and_named() {
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    let whole = fs::read(run.join("journal.jsonl")).unwrap();
    let torn = br#"{"seq":13,"run":"r1","prev":"ab"#;
    tear(&run, torn);
    assert_eq!(both(&run, &[]).verdict, Verdict::TornTail);
    let seen = History::load(&run).unwrap().torn.unwrap();
    assert_eq!((seen.len, seen.sha256), (torn.len() as u64, sha256_hex(torn)));

    let (journal, history) = resume(&run).await;
    let told = history.torn.unwrap();
    assert_eq!(told.len, torn.len() as u64);
    assert_eq!(told.kept[0].path, "journal.torn");
    assert_eq!(fs::read(run.join("journal.torn")).unwrap(), torn);
    assert!(fs::read(run.join("journal.jsonl")).unwrap().starts_with(&whole));
    journal.close(Closing::default()).await.unwrap();
    let verification = both(&run, &[]);
    assert_eq!(verification.verdict, Verdict::Consistent, "{verification:#?}");

    fs::write(run.join("journal.torn"), "nothing").unwrap();
    let verification = both(&run, &[]);
    assert!(verification.problems().any(|f| f.code == Code::EvidenceEdited));
}

#[tokio::test]
async fn evidence_without_a_line_is_set_aside_and_its_name_is_free_again() {
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    let next = History::load(&run).unwrap().lines.len() + 1;
    let name = format!("evidence/{next:06}-0-get-users");
    fs::write(run.join(format!("{name}.head")), "half").unwrap();
    let verification = both(&run, &[]);
    assert_eq!(verification.verdict, Verdict::Open);
    assert!(verification.findings.iter().any(|f| f.code == Code::Leftover));

    let (journal, history) = resume(&run).await;
    let kept = history.torn.unwrap().kept;
    assert_eq!(kept[0].path, format!("{name}.head.torn"));
    let read = vec![exchange("e", "GET", "https://g.example/users/u1", "{}")];
    journal.append(observed("c001", json!({})), read).await.unwrap();
    assert!(run.join(format!("{name}.head")).is_file());
    journal.close(Closing::default()).await.unwrap();
    let verification = both(&run, &[]);
    assert_eq!(verification.verdict, Verdict::Consistent, "{verification:#?}");
}

#[tokio::test]
async fn a_crash_during_recovery_loses_nothing_either() {
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    tear(&run, b"first");
    drop(reopen(&run));
    // Set aside, but no line names it yet.
    assert_eq!(both(&run, &[]).verdict, Verdict::Open);
    tear(&run, b"second");
    let (journal, history) = resume(&run).await;
    let torn = history.torn.unwrap();
    let kept: Vec<&str> = torn.kept.iter().map(|file| file.path.as_str()).collect();
    assert_eq!(kept, ["journal.torn", "journal.torn.2"]);
    assert_eq!(torn.len, 6);
    journal.close(Closing::default()).await.unwrap();
    assert_eq!(both(&run, &[]).verdict, Verdict::Consistent);
}

#[tokio::test]
async fn a_run_can_be_taken_up_as_often_as_it_dies() {
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    for _ in 0..3 {
        drop(resume(&run).await);
        assert_eq!(both(&run, &[]).verdict, Verdict::Open);
    }
    let (journal, _) = resume(&run).await;
    journal.close(Closing::default()).await.unwrap();
    assert_eq!(both(&run, &[]).verdict, Verdict::Consistent);
}

#[tokio::test]
async fn a_crash_during_the_close_can_be_closed_again() {
    let case = tempfile::tempdir().unwrap();
    let bench = small(case.path(), "r1").await;
    let run = bench.close().await;
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap();
    let (before, _) = journal.trim_end().rsplit_once('\n').unwrap();
    fs::write(run.join("journal.jsonl"), format!("{before}\n")).unwrap();
    let verification = both(&run, &[]);
    assert_eq!(verification.verdict, Verdict::Open, "{verification:#?}");

    let (journal, _) = resume(&run).await;
    journal.close(Closing::default()).await.unwrap();
    assert_eq!(both(&run, &[]).verdict, Verdict::Consistent);
}

#[tokio::test]
async fn a_later_process_signs_with_a_key_of_its_own_and_names_what_it_continues() {
    let case = tempfile::tempdir().unwrap();
    let bench = small(case.path(), "r1").await;
    let first: Vkey = bench.journal.anchor().vkey.parse().unwrap();
    let run = bench.journal.run_dir().to_owned();
    drop(bench);
    let (journal, history) = resume(&run).await;
    let second: Vkey = journal.anchor().vkey.parse().unwrap();
    assert_ne!(first, second);
    let continues = history.continues.unwrap();
    assert_eq!(continues.root, journal.anchor().root);
    assert_eq!(continues.note, Some(fs::read_to_string(run.join("checkpoints/000014.note")).unwrap()));
    journal.close(Closing::default()).await.unwrap();

    assert!(both(&run, &[]).findings.iter().any(|f| f.code == Code::Continued && f.text.contains("closed by")));
    assert_eq!(both(&run, &[&second]).verdict, Verdict::Authentic);
    // The first key did not sign the end: whoever cut it off could have gone on under a key of their own.
    let early = both(&run, &[&first]);
    assert_eq!(early.verdict, Verdict::Broken);
    assert!(early.problems().all(|f| f.code == Code::WrongKey));
}

#[tokio::test]
async fn what_was_changed_after_it_was_signed_is_not_taken_up_again() {
    for name in ["checkpoints/000002.note", "checkpoints/000014.note"] {
        let case = tempfile::tempdir().unwrap();
        let run = crashed(case.path()).await;
        let other = tempfile::tempdir().unwrap();
        let foreign = crashed(other.path()).await;
        fs::copy(foreign.join(name), run.join(name)).unwrap();
        let error = Journal::reopen(&run, ManualClock::at(noon())).err().unwrap();
        assert!(matches!(error, JournalError::Rewritten { .. }), "{error:?}");
    }
    // A chain that was made anew between crash and resumption.
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    let journal = fs::read_to_string(run.join("journal.jsonl")).unwrap().replace("johanna", "johanne");
    let mut prev = "0".repeat(64);
    let lines = journal.lines().map(|line| {
        let at = line.find(r#""prev":""#).unwrap() + 8;
        let line = format!("{}{prev}{}", &line[..at], &line[at + 64..]);
        prev = sha256_hex(line.as_bytes());
        line + "\n"
    });
    let forged: String = lines.collect();
    fs::write(run.join("journal.jsonl"), forged).unwrap();
    let error = Journal::reopen(&run, ManualClock::at(noon())).err().unwrap();
    assert!(matches!(error, JournalError::Rewritten { .. }), "{error:?}");
}

#[tokio::test]
async fn a_line_that_was_changed_under_the_writer_is_not_signed() {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    let path = bench.journal.run_dir().join("journal.jsonl");
    let edited = fs::read_to_string(&path).unwrap().replace("staunch.journal", "stauncg.journal");
    fs::write(&path, edited).unwrap();
    let error = bench.journal.append(approved(), vec![]).await.unwrap_err();
    let JournalError::Write { source, .. } = &error else {
        panic!("{error:?}");
    };
    assert!(matches!(**source, JournalError::Rewritten { .. }));
}

#[tokio::test]
async fn a_note_that_was_half_written_is_set_aside() {
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    fs::remove_file(run.join("checkpoints/000014.note")).unwrap();
    fs::write(run.join("checkpoints/000014.note.torn"), "stau").unwrap();
    assert_eq!(both(&run, &[]).verdict, Verdict::Open);
    let (journal, history) = resume(&run).await;
    assert_eq!(history.torn.unwrap().kept[0].path, "checkpoints/000014.note.torn");
    journal.close(Closing::default()).await.unwrap();
    assert_eq!(both(&run, &[]).verdict, Verdict::Consistent);
}

#[tokio::test]
async fn each_run_of_a_case_names_the_one_before_it() {
    let case = tempfile::tempdir().unwrap();
    let first = small(case.path(), "r1").await.close().await;
    let second = small(case.path(), "r2").await.close().await;
    let third = small(case.path(), "r3").await.close().await;
    let earlier = |run: &Path| -> Vec<String> {
        match &History::load(run).unwrap().lines[0].record {
            Record::RunOpened { earlier, .. } => earlier.iter().map(|run| run.run.clone()).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(
        [earlier(&first), earlier(&second), earlier(&third)],
        [vec![], vec!["r1".to_owned()], vec!["r2".to_owned()]]
    );
    assert_eq!(both(&third, &[]).verdict, Verdict::Consistent);

    let codes = |run: &Path| both(run, &[]).problems().map(|f| f.code).collect::<Vec<_>>();
    let other = tempfile::tempdir().unwrap();
    let foreign = small(other.path(), "r2").await.close().await;
    fs::rename(second.join("seal.note"), case.path().join("seal")).unwrap();
    fs::copy(foreign.join("seal.note"), second.join("seal.note")).unwrap();
    assert_eq!(codes(&third), [Code::EarlierRunChanged]);
    fs::rename(&second, case.path().join("gone")).unwrap();
    assert_eq!(codes(&third), [Code::EarlierRunMissing]);
    fs::rename(&foreign, &second).unwrap();
    assert_eq!(codes(&third), [Code::EarlierRunChanged]);

    let copy = third.with_file_name("r9");
    fs::create_dir(&copy).unwrap();
    fs::copy(third.join("run.json"), copy.join("run.json")).unwrap();
    assert!(verify(&third).problems().any(|f| f.code == Code::RunIdReused));
}

#[tokio::test]
async fn what_is_closed_or_damaged_is_not_taken_up_again() {
    let case = tempfile::tempdir().unwrap();
    let run = small(case.path(), "r1").await.close().await;
    let refused = |run: &Path| Journal::reopen(run, ManualClock::at(noon())).err().unwrap();
    assert!(matches!(refused(&run), JournalError::Closed));

    let run = small(case.path(), "r2").await.journal.run_dir().to_owned();
    let path = run.join("journal.jsonl");
    let edited = fs::read_to_string(&path).unwrap().replace("johanna", "johanne");
    fs::write(&path, edited).unwrap();
    assert!(matches!(refused(&run), JournalError::Damaged { .. }));

    let run = small(case.path(), "r3").await.journal.run_dir().to_owned();
    fs::write(run.join("plan.json"), "{}").unwrap();
    assert!(matches!(refused(&run), JournalError::Damaged { .. }));
    assert!(refused(case.path()).to_string().contains("runs"));
}

#[tokio::test]
async fn the_first_line_of_a_later_process_says_so() {
    let case = tempfile::tempdir().unwrap();
    let run = crashed(case.path()).await;
    let (journal, _) = reopen(&run);
    let error = journal.append(approved(), vec![]).await.unwrap_err();
    assert!(matches!(error, JournalError::OutOfPlace { kind: "approved", .. }));
}

#[tokio::test]
async fn a_stop_leaves_exactly_the_lines_before_it() {
    for after in 1..4 {
        let case = tempfile::tempdir().unwrap();
        let bench = Bench::new(case.path(), "r1");
        let run = bench.journal.run_dir().to_owned();
        bench.journal.stop_after(after).unwrap();
        let work = async {
            for n in 0.. {
                let state = observed(&format!("c{n}"), json!({}));
                bench.journal.append(state, vec![]).await.unwrap();
            }
        };
        tokio::select! {
            () = work => panic!("it went on"),
            () = bench.journal.stopped() => {}
        }
        drop(bench);
        assert_eq!(History::load(&run).unwrap().lines.len() as u64, after + 1);
        assert!(reopen(&run).1.torn.is_none());
    }
}

/// Where the child of the next test works.
const CHILD: &str = "STAUNCH_TEST_CASE";

/// Does nothing but as a child of the next test.
#[tokio::test]
async fn child_that_writes_until_it_is_killed() {
    let Some(case) = std::env::var_os(CHILD) else {
        return;
    };
    small(Path::new(&case), "r1").await.close().await;
}

#[cfg(unix)]
#[test]
fn a_process_killed_after_a_line_leaves_exactly_the_lines_up_to_it() {
    use std::os::unix::process::ExitStatusExt as _;
    for after in [0_u64, 1, 6, 13] {
        let case = tempfile::tempdir().unwrap();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "journal::tests::recovery::child_that_writes_until_it_is_killed"])
            .env(CHILD, case.path())
            .env("STAUNCH_CRASH_AFTER", after.to_string())
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert_eq!(status.signal(), Some(9), "killed after line {after}");
        let history = History::load(&case.path().join("runs/r1")).unwrap();
        assert_eq!(history.lines.len() as u64, after + 1);
        assert_eq!(history.torn, None);
    }
}
