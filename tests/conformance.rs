//! One suite over every registered action: what an action may not get wrong, whoever wrote it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

#[path = "conformance/batches.rs"]
mod batches;
mod common;
#[path = "conformance/faults.rs"]
mod faults;
#[path = "conformance/hostile.rs"]
mod hostile;
#[path = "conformance/list.rs"]
mod list;
#[path = "conformance/lost.rs"]
mod lost;
#[path = "conformance/table.rs"]
mod table;
#[path = "conformance/undo.rs"]
mod undo;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use common::{World, one_step};
use serde_json::Value;
use staunch::{
    action::{DynAction, docs},
    actions::REGISTRY,
    journal::{self, History},
    model::{Catalog, Item, Outcome, Permission, Undo},
    plan::PlanFile,
};

/// The first example of an action, as JSON.
fn example(action: &dyn DynAction) -> Value {
    let example = action.examples().first().unwrap_or_else(|| panic!("{} has no example", action.meta().id));
    serde_saphyr::from_str(example.input).unwrap()
}

async fn plan(world: &World, action: &dyn DynAction) -> PlanFile {
    let file = world.plan(&one_step(action.meta().id, &example(action))).await;
    let problems: Vec<&Item> = file
        .plan()
        .items()
        .map(|(_, item)| item)
        .filter(|item| matches!(item, Item::Problem { .. } | Item::Refused { .. }))
        .collect();
    assert!(problems.is_empty(), "{}: {problems:#?}", action.meta().id);
    assert!(file.plan().changes().count() > 0, "{}: the example plans no change", action.meta().id);
    file
}

fn assert_sound(run: &Path) {
    let verification = journal::verify(run);
    assert_eq!(verification.verdict, journal::Verdict::Consistent, "{:#?}", verification.findings);
}

fn all_done(outcomes: &[Outcome]) -> bool {
    !outcomes.is_empty() && outcomes.iter().all(|outcome| *outcome == Outcome::Done)
}

/// What an uninterrupted run of an action's example leaves.
async fn end_state(action: &dyn DynAction) -> Value {
    let world = World::aitm().await;
    let file = plan(&world, action).await;
    let ran = world.run(file).await;
    assert!(all_done(&ran.outcomes()), "{}: {:?}", action.meta().id, ran.summary.outcomes);
    comparable(world.tenant.state())
}

/// Times of revocations and passwords differ from run to run; everything else must not.
fn comparable(mut state: Value) -> Value {
    blank(&mut state, &["signInSessionsValidFromDateTime", "lastPasswordChangeDateTime"]);
    state
}

fn blank(value: &mut Value, names: &[&str]) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                if names.contains(&name.as_str()) {
                    *value = Value::Null;
                } else {
                    blank(value, names);
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| blank(item, names)),
        _ => {}
    }
}

#[tokio::test]
async fn planning_sends_only_reads() {
    for action in REGISTRY.iter() {
        let world = World::aitm().await;
        plan(&world, action).await;
        let requests = world.tenant.requests();
        assert!(requests.len() > 1);
        for request in requests {
            let reads = match (request.method.as_str(), request.cmdlet.as_deref()) {
                (_, Some(cmdlet)) => cmdlet.starts_with("Get-"),
                ("GET", None) => true,
                ("POST", None) => request.path.ends_with("/oauth2/v2.0/token") || request.path == "/v1.0/$batch",
                _ => false,
            };
            assert!(reads && !request.mutated, "{}: {request:?}", action.meta().id);
        }
        assert_eq!(world.tenant.diff_from_seed(), [], "{}", action.meta().id);
    }
}

#[tokio::test]
async fn a_change_holds_and_planning_again_finds_nothing_to_do() {
    for action in REGISTRY.iter() {
        let world = World::aitm().await;
        let file = plan(&world, action).await;
        let ran = world.run(file).await;
        assert!(all_done(&ran.outcomes()), "{}: {:?}", action.meta().id, ran.summary.outcomes);
        assert_sound(&ran.dir);
        let again = world.plan(&one_step(action.meta().id, &example(action))).await;
        let changes = again.plan().changes().count();
        assert_eq!(changes > 0, action.meta().always, "{}: {:#?}", action.meta().id, again.plan());
    }
}

#[tokio::test]
async fn undo_restores_the_seed_or_says_why_not() {
    for action in REGISTRY.iter() {
        let id = action.meta().id;
        let world = World::aitm().await;
        let file = plan(&world, action).await;
        let promised: BTreeMap<String, bool> = file
            .plan()
            .changes()
            .map(|change| {
                if let Undo::Impossible(reason) = &change.undo {
                    assert!(reason.0.len() > 10, "{id}: {reason:?}");
                }
                (change.target.id.clone(), matches!(change.undo, Undo::Calls(_)))
            })
            .collect();
        let ran = world.run(file).await;
        let undo = world.undo_plan(&ran.dir).await;
        let undone = undo.plan().changes().count();
        assert_eq!(undone, promised.values().filter(|possible| **possible).count(), "{id}: {:#?}", undo.plan());
        if undone > 0 {
            let back = world.run(undo).await;
            assert!(all_done(&back.outcomes()), "{id}: {:?}", back.summary.outcomes);
        }
        if promised.values().all(|possible| *possible) {
            let left = world.tenant.diff_from_seed();
            assert_eq!(left, [], "{id}");
        }
    }
}

/// Number of requests that changed something.
fn mutations(world: &World) -> usize {
    world.tenant.requests().iter().filter(|request| request.mutated).count()
}

#[tokio::test]
async fn a_run_cut_after_any_record_resumes_to_the_same_end() {
    for action in REGISTRY.iter() {
        let id = action.meta().id;
        let wanted = end_state(action).await;
        for last in 0..1_000 {
            let world = World::aitm().await;
            let file = plan(&world, action).await;
            let dir = world.run_until(file, last).await;
            if History::load(&dir).unwrap().closed {
                assert!(last > 5, "{id}: the run had only {last} records");
                break;
            }
            let summary = world.resume(&dir).await.unwrap();
            let outcomes: Vec<Outcome> = summary.outcomes.values().copied().collect();
            assert!(all_done(&outcomes), "{id}, cut after {last}: {:?}", summary.outcomes);
            assert_eq!(comparable(world.tenant.state()), wanted, "{id}, cut after {last}");
            assert_sound(&dir);
            assert!(world.tenant.passwords_set(&world.victim()) <= 1, "{id}, cut after {last}: a second password");
        }
    }
}

#[tokio::test]
async fn what_drifted_since_the_plan_is_left_alone() {
    for action in REGISTRY.iter().filter(|action| !action.meta().always) {
        let id = action.meta().id;
        let world = World::aitm().await;
        let mut plan = plan(&world, action).await.plan().clone();
        let (mut drifted, mut touched) = (0, 0);
        for item in plan.stages.iter_mut().flat_map(|stage| &mut stage.steps).flat_map(|step| &mut step.items) {
            if let Item::Change(change) = item {
                drifted += usize::from(make_it_drift(&mut change.before));
                touched += 1;
            }
        }
        assert_eq!(drifted, touched, "{id}: no state to drift");
        let ran = world.run(PlanFile::freeze(plan).unwrap()).await;
        assert!(ran.outcomes().iter().all(|outcome| *outcome == Outcome::Drifted), "{id}: {:?}", ran.summary.outcomes);
        assert_eq!(mutations(&world), 0, "{id}");
    }
}

/// Makes a planned state another one than the tenant's: turns its first boolean, or empties its first text.
fn make_it_drift(state: &mut Value) -> bool {
    match state {
        Value::Bool(value) => {
            *value = !*value;
            true
        }
        Value::String(text) if !text.is_empty() => {
            *text = "another".to_owned();
            true
        }
        Value::Object(map) => map.values_mut().any(make_it_drift),
        Value::Array(items) => items.iter_mut().any(make_it_drift),
        _ => false,
    }
}

fn least(action: &dyn DynAction) -> BTreeSet<&'static str> {
    let meta = action.meta();
    meta.reads.iter().chain(meta.writes).map(Permission::least).collect()
}

#[tokio::test]
async fn the_permissions_that_an_action_names_are_enough() {
    for action in REGISTRY.iter() {
        let world = World::aitm().await;
        world.tenant.grant_only(&least(action).into_iter().collect::<Vec<_>>());
        let file = plan(&world, action).await;
        let ran = world.run(file).await;
        assert!(all_done(&ran.outcomes()), "{}: {:?}", action.meta().id, ran.summary.outcomes);
    }
}

fn without(all: &[&'static str], dropped: &str) -> Vec<&'static str> {
    all.iter().copied().filter(|name| *name != dropped).collect()
}

fn something_was_denied(world: &World) -> bool {
    world.tenant.requests().iter().any(|request| matches!(request.status, 401 | 403))
}

#[tokio::test]
async fn none_of_the_permissions_that_an_action_names_is_too_many() {
    for action in REGISTRY.iter() {
        let meta = action.meta();
        let names = |permissions: &[Permission]| permissions.iter().map(Permission::least).collect::<Vec<_>>();
        // A permission to write includes reading, so those to read are tried among themselves.
        for dropped in names(meta.reads) {
            let world = World::aitm().await;
            world.tenant.grant_only(&without(&names(meta.reads), dropped));
            world.plan(&one_step(meta.id, &example(action))).await;
            assert!(something_was_denied(&world), "{}: nothing was denied without {dropped}", meta.id);
        }
        for dropped in names(meta.writes) {
            let world = World::aitm().await;
            let approved = world.approve(plan(&world, action).await).await;
            world.tenant.grant_only(&without(&least(action).into_iter().collect::<Vec<_>>(), dropped));
            let ran = world.run_approved(world.session().await, approved).await;
            assert!(something_was_denied(&world), "{}: nothing was denied without {dropped}", meta.id);
            assert!(!ran.outcomes().contains(&Outcome::Done), "{} without {dropped}: {:?}", meta.id, ran.summary);
        }
    }
}

#[tokio::test]
async fn the_rehearsal_permissions_are_enough_to_plan() {
    for action in REGISTRY.iter() {
        let world = World::aitm().await;
        let reads: Vec<&str> = action.meta().reads.iter().map(Permission::least).collect();
        world.tenant.grant_only(&reads);
        plan(&world, action).await;
    }
}

fn files(under: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![under.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { open.push(path) } else { found.push(path) }
        }
    }
    found
}

#[tokio::test]
async fn no_secret_reaches_a_file_or_a_text() {
    for action in REGISTRY.iter() {
        let id = action.meta().id;
        let world = World::aitm().await;
        let file = plan(&world, action).await;
        let mut texts = vec![file.bytes().to_vec(), staunch::plan::terminal(&file).into_bytes()];
        let ran = world.run(file).await;
        let report = staunch::report::Report::read(&ran.dir).unwrap();
        texts.push(report.terminal(100, false).into_bytes());
        texts.push(report.markdown().into_bytes());
        texts.push(format!("{:?}{:?}", ran.summary, ran.history()).into_bytes());
        texts.extend(files(&world.case()).iter().map(|path| fs::read(path).unwrap()));
        let secret = world.tenant.credentials().client_secret;
        for text in texts {
            assert!(!contains(&text, secret.as_bytes()), "{id}: the client secret");
            // The joint of a JWT's header and payload; "eyJ" alone also stands in a signature now and then.
            assert!(!contains(&text, b".eyJ"), "{id}: something like a token");
            assert!(!holds_the_password(&world, &text), "{id}: the new password");
        }
        let set = world.tenant.passwords_set(&world.victim());
        assert_eq!(set, u32::from(id == "user.reset-password"), "{id}");
    }
}

fn contains(text: &[u8], part: &[u8]) -> bool {
    text.windows(part.len()).any(|window| window == part)
}

/// Whether any 32 bytes of a text are the victim's password, as the tenant knows it.
fn holds_the_password(world: &World, text: &[u8]) -> bool {
    let victim = world.victim();
    text.windows(32)
        .filter_map(|window| std::str::from_utf8(window).ok())
        .any(|guess| !guess.contains([' ', '"', '/']) && world.tenant.password_is(&victim, guess))
}

#[test]
fn examples_fit_the_schema_and_titles_begin_with_a_verb() {
    for action in REGISTRY.iter() {
        let meta = action.meta();
        let schema = action.input_schema();
        let validator = jsonschema::validator_for(&schema).unwrap();
        for example in action.examples() {
            let input: Value = serde_saphyr::from_str(example.input).unwrap();
            assert!(validator.is_valid(&input), "{}: {input}", meta.id);
            action.check_input(&input).unwrap();
        }
        let verb = meta.title.split(' ').next().unwrap_or_default();
        let named = meta.id.split(['.', '-']).nth(1).unwrap_or_default();
        assert_eq!(verb.to_lowercase(), named, "{}: the title begins with another verb", meta.id);
        assert!(!meta.sources.is_empty() && meta.sources.iter().all(|source| source.url.starts_with("https://")));
        assert!(!meta.attack.is_empty() && !meta.writes.is_empty() && !meta.reads.is_empty(), "{}", meta.id);
        assert!(!meta.propagation.is_zero(), "{}", meta.id);
        let page = docs::page(action);
        for part in [meta.id, meta.title, "Undo", "Why"] {
            assert!(page.contains(part), "{}: the page lacks {part}", meta.id);
        }
    }
}

#[test]
fn every_id_of_a_technique_or_countermeasure_is_known_by_name() {
    for action in REGISTRY.iter() {
        for catalog in Catalog::ALL {
            for id in catalog.ids(action.meta()) {
                assert!(catalog.name_of(id).is_some(), "{}: {id} is not in {}", action.meta().id, catalog.name());
            }
        }
        assert!(!action.meta().attack.is_empty() && !action.meta().d3fend.is_empty(), "{}", action.meta().id);
    }
}
