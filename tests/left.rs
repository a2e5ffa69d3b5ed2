//! What cannot be sent for now is left: the others go on, the record stays open, and `resume` takes it up.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};

use common::{World, bind, one_step};
use mock_server::faults::{Effect, Fault, Match, RetryAfter};
use serde_json::json;
use staunch::{
    client::{Session, SessionOptions},
    engine::{self, Event, Options, Progress, Summary},
    journal::{self, History, Record, Verdict},
    model::Outcome,
    plan::PlanFile,
};

const VICTIM: &str = "johanna@sunnyside08.example";
const OTHER: &str = "grady@sunnyside08.example";

/// Blocks both users and resets their passwords, then ends their sessions.
const STAGES: &str = "  - id: first
    steps:
      - {id: block, on_error: ON_ERROR, each: inputs.users, do: {user.block-sign-in: {user: each}}}
      - {id: password, each: inputs.users, do: {user.reset-password: {user: each}}}
  - id: second
    steps:
      - {id: sessions, when: WHEN, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
";

async fn plan(world: &World, on_error: &str, when: &str) -> PlanFile {
    let stages = STAGES.replace("ON_ERROR", on_error).replace("WHEN", when);
    let text = format!(
        "schema: staunch/v1\nid: test\nversion: 1.0.0\ntitle: Test\ninputs:\n  users: {{type: users}}\n  \
         yes: {{type: bool, default: true}}\nlimits: {{changes: 50}}\nstages:\n{stages}"
    );
    world.plan(&bind(&text, &[("users", json!([VICTIM, OTHER]))])).await
}

/// The change of a step for a user.
fn change(file: &PlanFile, step: &str, user: &str) -> String {
    let of = |change: &&staunch::model::Change| change.step == step && change.target.name.raw() == user;
    file.plan().changes().find(of).unwrap().id.clone()
}

/// What is asked of a user's object is throttled without end.
fn throttle(world: &World, user: &str) {
    let id = world.tenant.inspect(|state| state.user(user).unwrap().id.clone());
    let on = Match::method_path("PATCH", &format!("/users/{id}"));
    world.tenant.faults().add(Fault::always(on, Effect::Throttle(RetryAfter::Seconds(60))));
}

/// Runs a plan in a session of its own; gives its folder, too.
async fn run(world: &World, file: PlanFile, change: impl FnOnce(&mut SessionOptions)) -> (PathBuf, Summary) {
    let journal = world.journal(&file);
    let dir = journal.run_dir().to_owned();
    let approved = world.approve(file).await;
    let mut options = world.options();
    change(&mut options);
    let mut deps = world.deps(journal).await;
    deps.session = Session::open(options, world.clock.clone()).await.unwrap();
    (dir, engine::run(approved, deps, Options::default()).await.unwrap())
}

fn verdict(dir: &Path) -> Verdict {
    journal::verify(dir).verdict
}

/// Why the run was interrupted, by its last line.
fn why(dir: &Path) -> String {
    match History::load(dir).unwrap().lines.pop().unwrap().record {
        Record::Interrupted { reason } => reason,
        other => panic!("{other:?}"),
    }
}

async fn resumes_to_the_end(world: &World, dir: &Path, changes: usize) {
    world.tenant.faults().clear();
    let resumed = world.resume(dir).await.unwrap();
    assert!(resumed.is_closed() && resumed.outcomes.len() == changes, "{resumed:?}");
    assert!(resumed.outcomes.values().all(|outcome| *outcome == Outcome::Done), "{resumed:?}");
    assert_eq!(verdict(dir), Verdict::Consistent);
    assert!([VICTIM, OTHER].iter().all(|user| world.tenant.passwords_set(user) == 1));
}

#[tokio::test]
async fn one_account_that_stays_throttled_holds_up_no_other_and_is_taken_up_again() {
    let world = World::aitm_on_one_clock().await;
    let file = plan(&world, "continue", "inputs.yes").await;
    let left = ["block", "password"].map(|step| change(&file, step, VICTIM));
    throttle(&world, VICTIM);
    let ran = world.run(file).await;
    assert!(!ran.summary.is_closed() && !ran.summary.interrupted, "nobody asked");
    assert!(ran.summary.left.keys().eq(&left), "{:?}", ran.summary.left);
    assert_eq!(ran.outcomes(), [Outcome::Done; 4], "{:?}", ran.summary);
    assert_eq!(verdict(&ran.dir), Verdict::Open);
    assert_eq!(why(&ran.dir), format!("not made for now: {}; resume goes on from here", left.join(", ")));
    let lines = ran.history().lines;
    let ended = |line: &&staunch::journal::Line| matches!(&line.record, Record::StageEnded { .. });
    assert_eq!(lines.iter().filter(ended).count(), 1, "the first stage is not over");
    resumes_to_the_end(&world, &ran.dir, 6).await;
}

#[tokio::test]
async fn what_depends_on_a_change_that_is_left_is_left_too() {
    for (on_error, when, left) in
        [("next-target", "inputs.yes", 4), ("stop", "inputs.yes", 6), ("continue", "steps.block.outcome", 6)]
    {
        let world = World::aitm_on_one_clock().await;
        let file = plan(&world, on_error, when).await;
        throttle(&world, VICTIM);
        // The other account's lane waits, too, so that it meets a run that was halted.
        throttle(&world, OTHER);
        let ran = world.run(file).await;
        assert!(ran.outcomes().iter().all(|outcome| *outcome == Outcome::Done), "skipped: {:?}", ran.summary);
        assert_eq!(ran.summary.left.len(), left, "{on_error}, {when}: {:?}", ran.summary.left);
        resumes_to_the_end(&world, &ran.dir, 6).await;
    }
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_taken_for_now_leaves_the_change() {
    let world = World::aitm_on_one_clock().await;
    let file = world.plan(&one_step("user.block-sign-in", &json!({"user": VICTIM}))).await;
    let began = world.clock.monotonic();
    let journal = world.journal(&file);
    let dir = journal.run_dir().to_owned();
    let (approved, deps) = (world.approve(file).await, world.deps(journal).await);
    world
        .tenant
        .faults()
        .add(Fault::always(Match::path("/v1.0/"), Effect::ServerError { status: 503, applied: false }));
    let summary = engine::run(approved, deps, Options::default()).await.unwrap();
    assert_eq!((summary.left.len(), summary.outcomes.len()), (1, 0), "{summary:?}");
    let waited = world.clock.monotonic() - began;
    assert!((Duration::from_mins(13)..Duration::from_mins(16)).contains(&waited), "{waited:?}");
    world.tenant.faults().clear();
    let resumed = world.resume(&dir).await.unwrap();
    assert_eq!(resumed.outcomes.into_values().collect::<Vec<_>>(), [Outcome::Done]);
}

/// Somebody disables our application during the run: each service asks for a fresh token, and Entra gives none.
#[tokio::test]
async fn a_sign_in_that_is_refused_leaves_what_was_not_made_before_its_snapshot_and_behind_it() {
    for on in ["GET", "PATCH"] {
        let world = World::aitm_on_one_clock().await;
        let file = plan(&world, "continue", "inputs.yes").await;
        let journal = world.journal(&file);
        let dir = journal.run_dir().to_owned();
        let (approved, deps) = (world.approve(file).await, world.deps(journal).await);
        let faults = world.tenant.faults();
        let users = Match { method: Some(on.to_owned()), ..Match::path("/v1.0/users") };
        faults.add(Fault::always(users, Effect::Unauthorized { challenge: true }));
        let refused =
            json!({"error": "unauthorized_client", "error_description": "AADSTS7000112", "error_codes": [7000112]});
        let (content_type, body) = ("application/json".to_owned(), refused.to_string());
        let refused = Effect::Answer { status: 400, content_type, body, applied: false };
        faults.add(Fault::always(Match::path("/oauth2/v2.0/token"), refused));
        let summary = engine::run(approved, deps, Options::default()).await.unwrap();
        assert!(summary.outcomes.is_empty() && summary.left.len() == 6, "{on}: {summary:?}");
        let told = summary
            .left
            .values()
            .filter(|why| why.contains("our service principal was disabled or flagged: AADSTS7000112"));
        assert!(told.count() >= 2, "{on}: {:?}", summary.left);
        assert!(world.tenant.requests().iter().all(|request| !request.mutated), "{on}");
        assert_eq!(verdict(&dir), Verdict::Open);
        resumes_to_the_end(&world, &dir, 6).await;
    }
}

#[tokio::test]
async fn a_network_that_is_gone_for_longer_leaves_what_needs_it() {
    let world = World::aitm_on_one_clock().await;
    let text = "schema: staunch/v1\nid: test\nversion: 1.0.0\ntitle: Test\ninputs:\n  users: {type: users}\nlimits: {changes: 50}\nstages:\n  \
        - id: first\n    steps:\n      - {id: rules, each: inputs.users, pick: operator, do: {mailbox.disable-inbox-rules: {user: each}}}\n      \
        - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}\n";
    let file = world.plan(&bind(text, &[("users", json!([VICTIM]))])).await;
    let changes = file.plan().changes().count();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let began = world.clock.monotonic();
    let gone = |options: &mut SessionOptions| options.endpoints.exchange = format!("http://{nobody}").parse().unwrap();
    let (dir, summary) = run(&world, file, gone).await;
    assert_eq!((summary.left.len(), summary.outcomes.len()), (changes - 1, 1), "{summary:?}");
    assert!(summary.left.values().all(|reason| reason.contains("no answer")), "{:?}", summary.left);
    let waited = world.clock.monotonic() - began;
    assert!(waited < Duration::from_mins(20), "{waited:?}: every change waited anew");
    let resumed = world.resume(&dir).await.unwrap();
    assert!(resumed.is_closed() && resumed.outcomes.values().all(|it| *it == Outcome::Done), "{resumed:?}");
}

#[tokio::test]
async fn at_its_deadline_a_run_ends_and_can_be_resumed() {
    let world = World::aitm_on_one_clock().await;
    let file = plan(&world, "continue", "inputs.yes").await;
    // Accepted, and not seen for longer than the deadline.
    world.tenant.set(|settings| settings.lag.object = 90_000);
    let began = world.clock.monotonic();
    let deadline = Duration::from_mins(1);
    let (dir, summary) = run(&world, file, |options| options.run_deadline = Some(deadline)).await;
    let took = world.clock.monotonic() - began;
    assert!(summary.interrupted && !summary.is_closed() && summary.left.is_empty(), "{summary:?}");
    assert!(took >= deadline && took < deadline * 2, "{took:?}");
    assert_eq!(why(&dir), "the deadline has passed; resume goes on from here");
    let lines = History::load(&dir).unwrap().lines;
    // What the reads showed until then is on record; nothing is concluded from it.
    let holds = |record: &Record| matches!(record, Record::Verified { verdict: staunch::model::Verdict::Holds, .. });
    assert!(!lines.iter().any(|line| matches!(line.record, Record::Ended { .. }) || holds(&line.record)));
    assert_eq!(verdict(&dir), Verdict::Open);
    resumes_to_the_end(&world, &dir, 6).await;
}

#[tokio::test]
async fn a_run_with_a_deadline_that_is_throttled_beyond_it_does_not_wait() {
    let world = World::aitm_on_one_clock().await;
    let file = plan(&world, "continue", "inputs.yes").await;
    let on = Match { method: Some("PATCH".into()), ..Match::default() };
    world.tenant.faults().add(Fault::always(on, Effect::Throttle(RetryAfter::Seconds(300))));
    let began = world.clock.monotonic();
    let deadline = Duration::from_mins(2);
    let (dir, summary) = run(&world, file, |options| options.run_deadline = Some(deadline)).await;
    assert!(!summary.is_closed() && !summary.outcomes.values().any(|outcome| *outcome == Outcome::Failed));
    assert!(world.clock.monotonic() - began < deadline * 2);
    resumes_to_the_end(&world, &dir, 6).await;
}

#[tokio::test]
async fn who_gives_up_closes_the_record() {
    let world = World::aitm_on_one_clock().await;
    let file = world.plan(&one_step("user.block-sign-in", &json!({"user": VICTIM}))).await;
    throttle(&world, VICTIM);
    let ran = world.run(file).await;
    assert_eq!(ran.summary.left.len(), 1);
    let options = Options { give_up: true, ..Options::default() };
    let taken_up = world.take_up_with(&ran.dir, options).await.unwrap();
    let resumed = taken_up.clear(&world.protected).await.unwrap().go_on().await.unwrap();
    assert_eq!(resumed.outcomes.into_values().collect::<Vec<_>>(), [Outcome::Failed]);
    assert_eq!(verdict(&ran.dir), Verdict::Consistent);
}

/// What is told of a run.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Progress for Told {
    fn event(&self, event: Event) {
        let line = match event {
            Event::Waiting(wait) => wait.to_string(),
            Event::Left { change, reason } => format!("{change}: {reason}"),
            _ => return,
        };
        self.0.lock().unwrap().push(line);
    }
}

#[tokio::test]
async fn a_wait_is_told_when_it_begins_and_what_is_left_too() {
    let world = World::aitm_on_one_clock().await;
    let file = world.plan(&one_step("user.block-sign-in", &json!({"user": VICTIM}))).await;
    throttle(&world, VICTIM);
    let (journal, told) = (world.journal(&file), Arc::<Told>::default());
    let approved = world.approve(file).await;
    let mut deps = world.deps(journal).await;
    deps.progress = told.clone();
    engine::run(approved, deps, Options::default()).await.unwrap();
    let told = told.0.lock().unwrap().clone();
    let (last, waits) = told.split_last().unwrap();
    assert!(last.contains("the tenant refused: 429"), "{last}");
    assert!(waits.iter().all(|line| line.starts_with("throttled by the directory until ")), "{waits:?}");
    assert!((10..=16).contains(&waits.len()), "one a minute: {waits:?}");
}
