//! A disk that is full at any moment of a run: nothing is changed whose intent is not on it, what could not be written is
//! put elsewhere, and with room again the run comes to the same end.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::Command,
};

use common::{World, one_step};
use serde_json::{Value, json};
use staunch::{
    engine::{self, EngineError, Options},
    journal::{self, History, Journal, Record},
    model::Outcome,
    plan::PlanFile,
};

/// Says to the child of a test where its small disk is to be.
const SMALL_DISK: &str = "STAUNCH_TEST_SMALL_DISK";
/// Begins a line of such a child: the result of this request was printed.
const PRINTED: &str = "printed: ";
/// What a run must find, and a little more.
const SIZE: u64 = 1536 * 1024;
const PAGE: u64 = 4096;

/// A tenant, and a plan with one change that is to be run.
async fn stage() -> (World, PlanFile) {
    let world = World::aitm().await;
    let file = world.plan(&one_step("user.block-sign-in", &json!({"user": world.victim()}))).await;
    (world, file)
}

fn comparable(world: &World) -> Value {
    world.tenant.diff_from_seed().iter().map(|difference| json!(difference)).collect()
}

async fn whole() -> Value {
    let (world, file) = stage().await;
    let ran = world.run(file).await;
    assert_eq!(ran.outcomes(), [Outcome::Done]);
    comparable(&world)
}

/// Runs a plan over a journal whose disk is full at some moment; checks what is left, and goes on with room again. Gives
/// where it stopped; none when the disk sufficed.
async fn run_out_of_room(
    world: &World,
    file: PlanFile,
    journal: Journal,
    make_room: impl FnOnce(),
    wanted: &Value,
) -> Option<BTreeSet<&'static str>> {
    let dir = journal.run_dir().to_owned();
    let approved = world.approve(file).await;
    let error = match engine::run(approved, world.deps(journal).await, Options::default()).await {
        Ok(_) => return None,
        Err(EngineError::Journal(error)) => error,
        Err(other) => panic!("{other:?}"),
    };
    let left = History::load(&dir).unwrap();
    let announced: BTreeSet<String> = left
        .lines
        .iter()
        .filter_map(|line| match &line.record {
            Record::Intent { client_request_id, .. } => Some(client_request_id.clone()),
            _ => None,
        })
        .collect();
    let writes: Vec<String> = world
        .tenant
        .requests()
        .into_iter()
        .filter(|request| request.method == "PATCH")
        .map(|request| request.client_request_id.unwrap())
        .collect();
    assert!(writes.iter().all(|id| announced.contains(id)), "{error:?}: sent without a durable intent");
    let is_told = left.lines.iter().any(|line| matches!(line.record, Record::Sent { .. }));
    let spilled = error.spilled().cloned().unwrap_or_default();
    let text = spilled.file.as_ref().map(|file| fs::read_to_string(file).unwrap());
    if !writes.is_empty() && !is_told {
        assert!(!spilled.is_none(), "{error:?}: the result is nowhere");
        match &text {
            Some(text) => assert!(text.contains(&writes[0]), "{text}"),
            // The test that started this process looks for it.
            None => io::stderr().write_all(format!("{PRINTED}{}\n", writes[0]).as_bytes()).unwrap(),
        }
    }
    if let Some(file) = &spilled.file {
        assert!(!text.unwrap().is_empty(), "a file is named that holds nothing");
        fs::remove_file(file).unwrap();
    }
    let stopped = where_it_stopped(&error, &left);
    make_room();

    // The last line can be there though its fsync failed: then all is, and nothing is to be resumed.
    if !left.closed {
        let summary = world.resume(&dir).await.unwrap();
        assert!(summary.outcomes.values().all(|outcome| outcome.holds()), "{error:?}: {summary:?}");
    }
    assert_eq!(comparable(world), *wanted, "{error:?}");
    assert_eq!(world.tenant.requests().iter().filter(|request| request.mutated).count(), 1, "{error:?}");
    let verification = journal::verify(&dir);
    assert_eq!(verification.verdict, journal::Verdict::Consistent, "{error:?}: {:#?}", verification.findings);
    Some(stopped)
}

/// What could not be written: by the file over which the disk was full, and by the first line that is missing.
fn where_it_stopped(error: &journal::JournalError, left: &History) -> BTreeSet<&'static str> {
    let mut error: &dyn std::error::Error = error;
    let mut texts = error.to_string();
    while let Some(source) = error.source() {
        texts.push_str(&source.to_string());
        error = source;
    }
    assert!(texts.contains("space") || texts.contains("storage"), "{texts}");
    let files = ["evidence", "checkpoints", "manifest.json", "journal.sha256", "seal.note"];
    let mut stopped: BTreeSet<&str> = files.into_iter().filter(|file| texts.contains(file)).collect();
    let kinds: BTreeSet<&str> = left.lines.iter().map(|line| line.record.kind()).collect();
    let order = ["approved", "observed", "intent", "sent", "verified", "ended", "closed"];
    stopped.extend(order.into_iter().find(|kind| !kinds.contains(kind)));
    stopped
}

fn assert_everywhere(stopped: &BTreeSet<&str>) {
    for place in
        ["evidence", "checkpoints", "manifest.json", "seal.note", "observed", "intent", "sent", "ended", "closed"]
    {
        // A small disk may have its last page taken by either of two neighbours.
        let or = [("ended", "verified"), ("verified", "ended")].into_iter().find(|(it, _)| *it == place);
        assert!(
            stopped.contains(place) || or.is_some_and(|(_, or)| stopped.contains(or)),
            "never full at {place}: {stopped:?}"
        );
    }
}

#[tokio::test]
async fn full_after_any_operation_of_the_journal() {
    let wanted = whole().await;
    let mut everywhere = BTreeSet::new();
    for operations in 0.. {
        let (world, file) = stage().await;
        let journal = world.journal(&file);
        journal.fill_after(operations).unwrap();
        match run_out_of_room(&world, file, journal, || (), &wanted).await {
            Some(stopped) => everywhere.extend(stopped),
            None => {
                assert!(operations > 20, "the run needed only {operations} operations");
                break;
            }
        }
    }
    assert_everywhere(&everywhere);
}

/// Runs a test of this file once more, where it may mount: in namespaces of its own.
#[cfg(target_os = "linux")]
#[test]
fn full_at_any_page_of_a_small_disk() {
    let may_mount = |program: &mut Command| program.status().is_ok_and(|status| status.success());
    if !may_mount(Command::new("unshare").args(["-rm", "true"])) {
        common::skip::skip("small-disk", "no real disk was full: there is no namespace to mount a small one in");
        return;
    }
    // The folder for temporary files is elsewhere, or on the same disk: a laptop has one partition.
    for is_elsewhere in [true, false] {
        let place = tempfile::tempdir().unwrap();
        let mut child = Command::new("unshare");
        child.arg("-rm").arg(env::current_exe().unwrap()).args(["--exact", "on_a_small_disk", "--nocapture"]);
        child.env(SMALL_DISK, place.path());
        if !is_elsewhere {
            child.env("TMPDIR", place.path());
        }
        let output = child.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &said;
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        let printed: Vec<&str> = said.lines().filter_map(|line| line.strip_prefix(PRINTED)).collect();
        assert_eq!(printed.is_empty(), is_elsewhere, "{text}");
        for id in printed {
            let line = |line: &str| line.contains(r#""type":"sent""#) && line.contains(id);
            let head = |line: &str| line.trim() == format!(r#""client_request_id": "{id}","#);
            assert!(said.lines().any(line) && said.lines().any(head), "{id} is nowhere: {text}");
        }
    }
}

/// Does nothing but as a child of the test above.
#[tokio::test]
async fn on_a_small_disk() {
    let Some(disk) = env::var_os(SMALL_DISK).map(PathBuf::from) else {
        return;
    };
    let options = format!("size={SIZE},mode=700");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(&disk).status().unwrap();
    assert!(mounted.success());
    let wanted = whole().await;
    let mut everywhere = BTreeSet::new();
    for pages in 0.. {
        let (world, file) = stage().await;
        let world = world.with_case_in(&disk);
        let journal = world.journal(&file);
        let filler = disk.join("filler");
        fill(&disk, &filler, pages * PAGE);
        let ended = run_out_of_room(&world, file, journal, || fs::remove_file(&filler).unwrap(), &wanted).await;
        match ended {
            Some(stopped) => everywhere.extend(stopped),
            None => {
                assert!(pages > 8, "the run needed only {pages} pages");
                break;
            }
        }
    }
    assert_everywhere(&everywhere);
}

/// Leaves so many bytes free.
fn fill(disk: &Path, filler: &Path, left: u64) {
    let free = fs4::available_space(disk).unwrap();
    fs::write(filler, vec![0; usize::try_from(free - left).unwrap()]).unwrap();
    assert_eq!(fs4::available_space(disk).unwrap(), left);
}
