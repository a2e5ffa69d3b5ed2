//! Every fault of the mock tenant on the way back: undo makes objects anew, which nothing else does, and an answer to such a
//! call that was lost must not bring forth a second one.

use serde_json::Value;
use staunch::{
    action::DynAction,
    actions::REGISTRY,
    model::{Change, Replay},
    plan::PlanFile,
};

use super::{
    all_done,
    common::{Ran, World},
    faults::{Stranger, assert_recorded, changed, right, strike_writes},
    mutations, plan,
    table::{Kind, Row, Write, rows},
};

/// The tenant after an action's example, and the plan that takes it back.
async fn done(action: &'static dyn DynAction) -> (World, PlanFile) {
    let world = World::aitm_on_one_clock().await;
    let file = plan(&world, action).await;
    let ran = world.run(file).await;
    assert!(all_done(&ran.outcomes()), "{}: {:?}", action.meta().id, ran.summary.outcomes);
    let undo = world.undo_plan(&ran.dir).await;
    world.tenant.clear_requests();
    (world, undo)
}

/// Ids of what is made anew differ from run to run.
fn ends(world: &World) -> Vec<String> {
    let Value::Array(differences) = changed(world) else { panic!("no list") };
    let path = |it: &Value| format!("{} {}", it["path"].as_str().unwrap().split('/').next().unwrap(), it["after"]);
    let mut ends: Vec<String> = differences.iter().map(path).collect();
    ends.sort();
    ends
}

fn makes_anew(change: &Change) -> bool {
    change.calls.iter().any(|call| call.replay == Replay::New)
}

/// What is right for a change of an undo: a call that makes something anew and may have done so is not sent again.
fn wanted(row: &Row, change: &Change) -> Write {
    match row.write {
        (Write::Done, Write::Unknown) if makes_anew(change) => Write::Unknown,
        (once, _) => once,
    }
}

fn all_right(row: &Row, undo: &PlanFile, ran: &Ran) -> bool {
    right(|change| wanted(row, change), undo, ran)
}

#[tokio::test]
async fn a_fault_on_the_way_back_brings_forth_nothing_twice_and_loses_nothing() {
    let stranger = Stranger::new();
    let (mut undone, mut anew) = (0, 0);
    for action in REGISTRY.iter() {
        let (world, undo) = done(action).await;
        if undo.plan().changes().count() == 0 {
            continue;
        }
        undone += 1;
        anew += undo.plan().changes().filter(|change| makes_anew(change)).count();
        let calm = world.run(undo).await;
        assert!(all_done(&calm.outcomes()), "{}: {:?}", action.meta().id, calm.summary.outcomes);
        let (calm_end, calm_mutations) = (ends(&world), mutations(&world));
        // What an attacker puts back is what was removed or blocked: the way back does neither.
        for row in rows(&stranger.url).iter().filter(|row| Kind::of(&row.effect) != Kind::PutBack) {
            let what = format!("undo of {}, {:?}, {}", action.meta().id, row.effect, row.why);
            let (world, undo) = done(action).await;
            strike_writes(&world, &undo, &row.effect, false);
            let ran = world.run(undo.clone()).await;
            world.tenant.faults().clear();
            assert!(all_right(row, &undo, &ran), "{what}: {:?}", ran.summary);
            assert_recorded(&ran);
            let made = mutations(&world);
            assert!(made <= calm_mutations, "{what}: a second effect, {made} of {calm_mutations}");
            if all_done(&ran.outcomes()) {
                assert_eq!((made, ends(&world)), (calm_mutations, calm_end.clone()), "{what}: a lost change");
            }
        }
    }
    assert!(undone > 3 && anew > 0, "{undone} actions with a way back, {anew} changes that make something anew");
    stranger.assert_alone();
}
