//! A run that dies at any point of any change, with the change applied or not, and is taken up again: it comes to the
//! same end, changes nothing twice, and its record says what was found.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use common::{World, bind, one_step};
use mock_server::faults::{Effect, Fault, Match};
use serde_json::{Value, json};
use staunch::{
    action::DynAction,
    actions::REGISTRY,
    journal::{self, Approval, Crash, Found, History, Leaves, Line, Record, Said, SentOutcome},
    model::{Call, HandOver, Outcome, Replay, Write},
    plan::PlanFile,
    report::Report,
};

/// What becomes of the call over which the run dies.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    /// It is sent as ever, if it came to that.
    Plain,
    /// It takes effect and its answer is lost.
    LostApplied,
    /// It is lost on its way.
    LostNotApplied,
    /// It was not sent, and somebody else makes the same change before the run is taken up again.
    ByOthers,
}

/// Where a run dies, by what its journal is left with.
#[derive(Clone, Copy, Debug)]
struct Point {
    kind: &'static str,
    leaves: Leaves,
    fates: &'static [Fate],
}

const UNSENT: &[Fate] = &[Fate::Plain, Fate::ByOthers];
const SENT: &[Fate] = &[Fate::Plain, Fate::LostApplied, Fate::LostNotApplied];

/// The life of a change, point by point.
const POINTS: &[Point] = &[
    // 1: before evidence
    Point { kind: "observed", leaves: Leaves::Nothing, fates: UNSENT },
    // 2: after evidence
    Point { kind: "observed", leaves: Leaves::Evidence, fates: &[Fate::Plain] },
    Point { kind: "observed", leaves: Leaves::Half, fates: &[Fate::Plain] },
    Point { kind: "observed", leaves: Leaves::All, fates: UNSENT },
    // 3: after the intent's fsync, or in the middle of its line
    Point { kind: "intent", leaves: Leaves::Half, fates: &[Fate::Plain] },
    Point { kind: "intent", leaves: Leaves::All, fates: UNSENT },
    // 4: after the request was sent, before its answer is on record
    Point { kind: "sent", leaves: Leaves::Nothing, fates: SENT },
    Point { kind: "sent", leaves: Leaves::Evidence, fates: &[Fate::LostNotApplied] },
    Point { kind: "sent", leaves: Leaves::Half, fates: &[Fate::Plain] },
    // 5: after the result
    Point { kind: "sent", leaves: Leaves::All, fates: SENT },
    // 6: after the read-back
    Point { kind: "verified", leaves: Leaves::Nothing, fates: &[Fate::Plain] },
    Point { kind: "verified", leaves: Leaves::All, fates: &[Fate::Plain] },
    Point { kind: "ended", leaves: Leaves::All, fates: &[Fate::Plain] },
];

/// The same for a change whose new secret is handed over.
const SEALED: &[Point] = &[
    Point { kind: "sealed", leaves: Leaves::Nothing, fates: UNSENT },
    Point { kind: "sealed", leaves: Leaves::Half, fates: &[Fate::Plain] },
    Point { kind: "sealed", leaves: Leaves::All, fates: UNSENT },
];

/// A plan of one action on a tenant of its own: an example of the action, or the way back from it.
#[derive(Clone, Copy)]
struct Scene {
    action: &'static dyn DynAction,
    example: usize,
    back: bool,
}

/// A tenant, and the plan that is run on it.
struct Stage {
    world: World,
    file: PlanFile,
    /// Opens what is sealed.
    key: age::x25519::Identity,
    mutations: usize,
}

impl Scene {
    fn all() -> Vec<Self> {
        let both = |action| [false, true].map(|back| Self { action, example: 0, back });
        REGISTRY.iter().flat_map(both).collect()
    }

    fn name(self) -> String {
        format!("{}{}", self.action.meta().id, if self.back { ", back" } else { "" })
    }

    async fn set(self) -> Stage {
        let key = age::x25519::Identity::generate();
        let mut world = World::aitm().await;
        world.recipients.push(key.to_public().to_string());
        let example: Value = serde_saphyr::from_str(self.action.examples()[self.example].input).unwrap();
        let mut file = world.plan(&one_step(self.action.meta().id, &example)).await;
        if self.back {
            let forth = world.run(file).await;
            file = world.undo_plan(&forth.dir).await;
        }
        let mutations = mutations(&world);
        Stage { world, file, key, mutations }
    }
}

impl Stage {
    fn calls(&self) -> Vec<Call> {
        self.file.plan().changes().flat_map(|change| change.calls.clone()).collect()
    }

    /// Requests that changed something since the stage was set.
    fn mutations(&self) -> usize {
        mutations(&self.world) - self.mutations
    }

    /// Makes the `nth` call of the plan suffer its fate.
    fn strike(&self, nth: u32, fate: Fate) {
        let applied = match fate {
            Fate::LostApplied => true,
            Fate::LostNotApplied => false,
            Fate::Plain | Fate::ByOthers => return,
        };
        let calls = self.calls();
        let at = nth as usize - 1;
        let on = requests_of(&calls[at]);
        let before = calls[..at].iter().filter(|call| requests_of(call) == on).count() as u64;
        self.world.tenant.faults().add(Fault::nth(on, before, 1, Effect::Drop { applied }));
    }
}

fn mutations(world: &World) -> usize {
    world.tenant.requests().iter().filter(|request| request.mutated).count()
}

fn requests_of(call: &Call) -> Match {
    match &call.write {
        Write::Graph { verb, path, .. } => {
            let path = path.as_str().split('?').next().unwrap_or_default().replace("%5C", "\\");
            let method = serde_json::to_value(verb).unwrap();
            Match::method_path(method.as_str().unwrap(), &path)
        }
        Write::Cmdlet { name, .. } => Match::cmdlet(name.name()),
    }
}

/// The tenant's state but for times, and for the ids of what was created anew.
fn comparable(world: &World, back: bool) -> Value {
    let mut state = world.tenant.state();
    blank(&mut state, &["signInSessionsValidFromDateTime", "lastPasswordChangeDateTime", "createdDateTime"]);
    if back { anonymous(&state) } else { state }
}

fn blank(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if names.contains(&name.as_str()) { *value = Value::Null } else { blank(value, names) }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| blank(item, names)),
        _ => {}
    }
}

/// The same without the ids under which objects are kept: each map becomes the sorted list of its values.
fn anonymous(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let keyed_by_id = !map.is_empty() && map.values().all(Value::is_object);
            if keyed_by_id {
                let mut values: Vec<Value> = map.values().map(anonymous).collect();
                values.sort_by_key(Value::to_string);
                return Value::Array(values);
            }
            let plain = map.iter().filter(|(name, _)| !matches!(name.as_str(), "id" | "ruleId" | "identity"));
            Value::Object(plain.map(|(name, value)| (name.clone(), anonymous(value))).collect())
        }
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(anonymous).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        other => other.clone(),
    }
}

/// What an uninterrupted run comes to.
struct Whole {
    state: Value,
    mutations: usize,
    lines: Vec<Line>,
}

impl Whole {
    /// None where there is nothing to run: no way back.
    async fn of(scene: Scene) -> Option<Self> {
        let stage = scene.set().await;
        if stage.file.plan().changes().count() == 0 {
            return None;
        }
        let file = PlanFile::parse(stage.file.bytes().to_vec()).unwrap();
        let ran = stage.world.run(file).await;
        assert!(ran.outcomes().iter().all(|outcome| *outcome == Outcome::Done), "{}: {:?}", scene.name(), ran.summary);
        let state = comparable(&stage.world, scene.back);
        Some(Self { state, mutations: stage.mutations(), lines: ran.history().lines })
    }

    fn count(&self, kind: &str) -> u32 {
        self.lines.iter().filter(|line| line.record.kind() == kind).count() as u32
    }
}

/// A call of which the journal does not say how it ended.
struct Open {
    change: String,
    call: usize,
    id: String,
}

fn open_calls(lines: &[Line]) -> Vec<Open> {
    let mut open: Vec<Open> = Vec::new();
    for line in lines {
        match &line.record {
            Record::Intent { change, call, client_request_id, .. } => {
                open.retain(|it| it.change != *change);
                open.push(Open { change: change.clone(), call: *call as usize, id: client_request_id.clone() });
            }
            Record::Sent { client_request_id, outcome, .. } if *outcome != SentOutcome::Unknown => {
                open.retain(|it| it.id != *client_request_id);
            }
            _ => {}
        }
    }
    open
}

fn assert_sound(run: &Path, what: &str) {
    let verification = journal::verify(run);
    assert_eq!(verification.verdict, journal::Verdict::Consistent, "{what}: {:#?}", verification.findings);
}

/// Lets a run of a scene die at a point, over the `nth` line of its kind, and takes it up again.
async fn die_and_go_on(scene: Scene, whole: &Whole, point: Point, nth: u32, fate: Fate) {
    let what = format!("{}, {} {nth} leaves {:?}, {fate:?}", scene.name(), point.kind, point.leaves);
    let stage = scene.set().await;
    stage.strike(nth, fate);
    let file = PlanFile::parse(stage.file.bytes().to_vec()).unwrap();
    let crash = Crash { kind: point.kind, nth, leaves: point.leaves };
    let dir = stage.world.run_to(file, crash).await;
    stage.world.tenant.faults().clear();
    let died = History::load(&dir).unwrap();
    assert!(!died.closed, "{what}: it did not die");
    if fate == Fate::ByOthers {
        let theirs = PlanFile::parse(stage.file.bytes().to_vec()).unwrap();
        stage.world.run_by_others(theirs).await;
    }
    let mut taken_up = stage.world.take_up(&dir).await.unwrap();
    // A request that was under way when the run died may have come to the tenant since.
    let expected: BTreeMap<String, Found> = open_calls(&died.lines)
        .into_iter()
        .map(|open| {
            let change = stage.file.plan().changes().find(|it| it.id == open.change).unwrap();
            let created = change.calls[open.call].replay == Replay::New;
            let mut requests = stage.world.tenant.requests().into_iter();
            let applied = requests.any(|it| it.mutated && it.client_request_id.as_ref() == Some(&open.id));
            let found = match applied || fate == Fate::ByOthers {
                true => Found::Applied,
                false if created => Found::Indeterminate,
                false => Found::NotApplied,
            };
            (open.id, found)
        })
        .collect();
    let is_open = expected.values().next().copied();
    match (point.kind, point.leaves, fate) {
        ("sent", Leaves::All, Fate::Plain)
        | ("ended" | "observed" | "sealed" | "verified", _, _)
        | ("intent", Leaves::Half, _) => {}
        ("intent", _, Fate::Plain) | (_, _, Fate::LostNotApplied) => {
            assert_ne!(is_open, Some(Found::Applied), "{what}")
        }
        _ => assert_eq!(is_open, Some(Found::Applied), "{what}"),
    }
    let undecided: Vec<String> = taken_up.undecided().iter().map(|it| it.change.clone()).collect();
    let asked = expected.values().filter(|found| **found == Found::Indeterminate).count();
    assert_eq!(undecided.len(), asked, "{what}: {expected:?}");
    for change in &undecided {
        taken_up.decide(change, Said::NotApplied, "ilse", Approval::Prompt).await.unwrap();
    }
    let summary = taken_up.clear(&stage.world.protected).await.unwrap().go_on().await.unwrap();

    assert!(
        summary.outcomes.values().all(|outcome| matches!(outcome, Outcome::Done | Outcome::Already)),
        "{what}: {summary:?}"
    );
    // Somebody else's revocation or password is no reason to leave out ours.
    let twice = fate == Fate::ByOthers && scene.action.meta().always && expected.is_empty();
    if !twice {
        assert_eq!(comparable(&stage.world, scene.back), whole.state, "{what}");
    }
    let effects = if twice { 2 * whole.mutations } else { whole.mutations };
    assert_eq!(stage.mutations(), effects, "{what}: a second effect");
    assert_sound(&dir, &what);
    let lines = History::load(&dir).unwrap().lines;
    assert_torn(&lines, point, &what);
    let found: BTreeMap<String, Found> = lines
        .iter()
        .filter_map(|line| match &line.record {
            Record::Reconciled { client_request_id, found, .. } => Some((client_request_id.clone(), *found)),
            _ => None,
        })
        .collect();
    assert_eq!(found, expected, "{what}");
    let decided = lines.iter().filter(|line| matches!(line.record, Record::Decided { .. })).count();
    assert_eq!(decided, undecided.len(), "{what}");
    // Reading does not tell somebody else's password from ours.
    if fate != Fate::ByOthers || expected.is_empty() {
        assert_handed_over(&stage, &dir, &what);
    }
}

/// The new secret that the report hands over is the one that its account has.
fn assert_handed_over(stage: &Stage, run: &Path, what: &str) {
    let is_sealed = |call: &Call| call.secrets.iter().any(|slot| slot.hand_over == HandOver::Sealed);
    if !stage.calls().iter().any(is_sealed) {
        return;
    }
    let secrets = Report::read(run).unwrap().secrets;
    let [sealed] = secrets.as_slice() else {
        panic!("{what}: {secrets:#?}");
    };
    let (owner, secret) = stage.world.opened(&sealed.file, &stage.key);
    assert!(stage.world.tenant.password_is(&owner, &secret), "{what}: it opens nothing");
}

/// What the crash left is named by the first line of the new process.
fn assert_torn(lines: &[Line], point: Point, what: &str) {
    let torn = lines.iter().find_map(|line| match &line.record {
        Record::Resumed { torn, .. } => Some(torn.clone()),
        _ => None,
    });
    let torn = torn.unwrap();
    let has_evidence = matches!(point.kind, "observed" | "sent" | "verified");
    match point.leaves {
        Leaves::Nothing | Leaves::All => assert_eq!(torn, None, "{what}"),
        Leaves::Evidence => assert!(torn.unwrap().kept.len() >= 2, "{what}"),
        Leaves::Half => {
            let torn = torn.unwrap();
            assert!(torn.len > 0 && (!has_evidence || torn.kept.len() >= 3), "{what}: {torn:?}");
        }
    }
}

/// False where there is nothing to run.
async fn dies_at(scene: Scene, points: &[Point]) -> bool {
    let Some(whole) = Whole::of(scene).await else {
        return false;
    };
    for point in points {
        // The first line of its kind, and the last.
        for nth in BTreeSet::from([1, whole.count(point.kind)]) {
            for fate in point.fates {
                die_and_go_on(scene, &whole, *point, nth, *fate).await;
            }
        }
    }
    true
}

async fn every_action_dies(points: &[Point]) {
    let mut deaths = BTreeSet::new();
    for scene in Scene::all() {
        if dies_at(scene, points).await {
            deaths.insert(scene.name());
        }
    }
    assert!(REGISTRY.iter().all(|action| deaths.contains(action.meta().id)), "{deaths:?}");
    assert!(deaths.len() > REGISTRY.iter().count() + 2, "no way back died: {deaths:?}");
}

#[tokio::test]
async fn before_and_after_evidence() {
    every_action_dies(&POINTS[..4]).await;
}

#[tokio::test]
async fn over_and_after_the_intent() {
    every_action_dies(&POINTS[4..6]).await;
}

#[tokio::test]
async fn after_the_request_before_its_answer_is_on_record() {
    every_action_dies(&POINTS[6..9]).await;
}

#[tokio::test]
async fn after_the_result() {
    every_action_dies(&POINTS[9..10]).await;
}

#[tokio::test]
async fn after_the_read_back() {
    every_action_dies(&POINTS[10..13]).await;
}

#[tokio::test]
async fn a_secret_that_is_handed_over_is_the_one_that_was_set() {
    let action = REGISTRY.get("user.reset-password").unwrap();
    let is_sealed = |example: &staunch::action::Example| example.input.contains("sealed");
    let example = action.examples().iter().position(is_sealed).unwrap();
    let scene = Scene { action, example, back: false };
    assert!(dies_at(scene, SEALED).await && dies_at(scene, POINTS).await);
}

/// A playbook whose first step fails, and what its `on_error`, or the condition of a later step, makes of the others.
const FAILING: &[(&str, &str)] = &[("stop", "always"), ("next-target", "always"), ("continue", "steps.block.outcome")];

/// Blocks the victim, which the tenant refuses, and revokes its sessions; then those of somebody else.
fn failing(on_error: &str, when: &str) -> String {
    let when = if when == "always" { String::new() } else { format!("when: {when}, ") };
    format!(
        "schema: staunch/v1\nid: failing\nversion: 1.0.0\ntitle: A change fails\n\
         inputs: {{users: {{type: users}}, others: {{type: users}}}}\nlimits: {{changes: 10}}\nstages:\n  \
         - id: first\n    steps:\n      \
         - {{id: block, on_error: {on_error}, each: inputs.users, do: {{user.block-sign-in: {{user: each}}}}}}\n      \
         - {{id: same, each: inputs.users, do: {{user.revoke-sessions: {{user: each}}}}}}\n  \
         - id: second\n    steps:\n      \
         - {{id: other, {when}each: inputs.others, do: {{user.revoke-sessions: {{user: each}}}}}}\n"
    )
}

/// A tenant that refuses the first change, and the plan.
async fn about_to_fail(on_error: &str, when: &str) -> (World, PlanFile) {
    let world = World::aitm().await;
    let inputs = [("users", json!([world.victim()])), ("others", json!(["grady@sunnyside08.example"]))];
    let file = world.plan(&bind(&failing(on_error, when), &inputs)).await;
    let refused = Effect::ServerError { status: 403, applied: false };
    world.tenant.faults().add(Fault::always(Match::method_path("PATCH", "/users/"), refused));
    (world, file)
}

#[tokio::test]
async fn what_a_failed_change_means_for_the_others_is_not_forgotten() {
    let mut ends = BTreeSet::new();
    for (on_error, when) in FAILING {
        let (world, file) = about_to_fail(on_error, when).await;
        let whole = world.run(file).await;
        let lines = whole.history().lines.len() as u64;
        ends.insert(format!("{:?}", whole.outcomes()));
        // After the approval, and after every line but the last.
        for last in 1..lines - 1 {
            let what = format!("on_error: {on_error}, when: {when}, after line {last}");
            let (world, file) = about_to_fail(on_error, when).await;
            let dir = world.run_until(file, last).await;
            let mut summary = world.resume(&dir).await.unwrap();
            // Of a call that was about to be sent nobody can say that it was not: what is refused then is not known to fail.
            for outcome in summary.outcomes.values_mut().filter(|outcome| **outcome == Outcome::Unknown) {
                *outcome = Outcome::Failed;
            }
            assert_eq!(summary.outcomes, whole.summary.outcomes, "{what}");
            assert_sound(&dir, &what);
        }
    }
    assert_eq!(ends.len(), FAILING.len(), "the rows do not differ: {ends:?}");
}
