//! Faults on the `$batch` that carries reads, not on one of the reads in it: all of them are lost together.

use mock_server::faults::{Fault, Match};
use serde_json::Value;
use staunch::{actions::REGISTRY, model::Outcome};

use super::{
    all_done,
    common::{World, one_step},
    example,
    faults::{Calm, Stranger, answers, calm, changed, planned, tells},
    mutations,
    table::{Read, Row},
};

/// The outer request: the reads in it have paths of their own.
fn outer() -> Match {
    Match::method_path("POST", "/$batch")
}

/// Number of outer requests.
fn batches(world: &World) -> usize {
    world.tenant.requests().iter().filter(|request| request.path == "/v1.0/$batch").count()
}

/// Struck once while it is planned, and once while it is run.
async fn once(calm: &Calm, row: &Row) -> usize {
    let what = format!("{}, {:?} on a batch once, {}", calm.action.meta().id, row.effect, row.why);
    let world = World::aitm_on_one_clock().await;
    world.tenant.faults().add(Fault::once(outer(), row.effect.clone()));
    let file = world.plan(&one_step(calm.action.meta().id, &example(calm.action))).await;
    let whole = planned(&file) == planned(&calm.file);
    let costs_nothing = matches!(row.read, Read::AskedAgain | Read::Whole);
    assert!(whole && !tells(&file) || !costs_nothing && (whole || tells(&file)), "{what}: {:#?}", file.plan());
    world.tenant.faults().clear();
    world.tenant.faults().add(Fault::once(outer(), row.effect.clone()));
    let ran = world.run(calm.file.clone()).await;
    let outcomes = ran.outcomes();
    if costs_nothing {
        assert!(all_done(&outcomes), "{what}: {outcomes:?}");
        assert_eq!((mutations(&world), changed(&world)), (calm.mutations, calm.end.clone()), "{what}");
    }
    let fits = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Failed);
    assert!(outcomes.iter().all(fits), "{what}: {outcomes:?}");
    batches(&world)
}

/// Struck for ever: silently nothing less is planned, and nothing is sent that was not seen.
async fn always(calm: &Calm, row: &Row) {
    let what = format!("{}, {:?} on a batch for ever, {}", calm.action.meta().id, row.effect, row.why);
    let world = World::aitm_on_one_clock().await;
    world.tenant.faults().add(Fault::always(outer(), row.effect.clone()));
    let file = world.plan(&one_step(calm.action.meta().id, &example(calm.action))).await;
    let whole = planned(&file) == planned(&calm.file);
    assert!(whole || tells(&file), "{what}: silently less is planned");
    let ran = world.run(calm.file.clone()).await;
    assert!(ran.outcomes().iter().all(|outcome| *outcome != Outcome::Unknown), "{what}: {:?}", ran.summary);
    match mutations(&world) {
        0 => assert_eq!(changed(&world), Value::Array(vec![]), "{what}"),
        made => assert!(made <= calm.mutations, "{what}: a second effect"),
    }
}

#[tokio::test]
async fn a_batch_that_meets_a_fault_costs_no_read_its_answer() {
    let stranger = Stranger::new();
    let mut met = 0;
    for action in REGISTRY.iter() {
        let calm = calm(action).await;
        for row in answers(&stranger.url) {
            met += once(&calm, &row).await;
        }
    }
    assert!(met > 100, "only {met} batches were sent");
    stranger.assert_alone();
}

#[tokio::test]
async fn a_batch_that_always_meets_a_fault_hides_nothing() {
    let stranger = Stranger::new();
    for action in REGISTRY.iter() {
        let calm = calm(action).await;
        for row in answers(&stranger.url) {
            always(&calm, &row).await;
        }
    }
    stranger.assert_alone();
}
