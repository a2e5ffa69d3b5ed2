//! An answer that was lost, replicas that are behind, and a no to the second try: what took effect is not called
//! unchanged, and is taken back.

use std::time::Duration;

use mock_server::{
    LoggedRequest,
    faults::{Effect, Fault, Match, RetryAfter},
};
use staunch::{
    action::DynAction,
    actions::REGISTRY,
    journal::Record,
    model::{Outcome, Replay, Undo},
    plan::PlanFile,
};

use super::{
    common::{Ran, World},
    faults::{assert_recorded, requests_of, strike_writes},
    mutations, plan,
};

/// An hour: longer than any action waits for a change to show.
const LONG: i64 = 3_600_000;

/// Runs an action's example: the answer to the first try of each call is lost after it took effect, the second try meets
/// `then`, and reads are behind by so many milliseconds.
async fn run(action: &dyn DynAction, lag: i64, then: &Effect) -> (World, PlanFile, Ran) {
    let world = World::aitm_on_one_clock().await;
    let file = plan(&world, action).await;
    show_after(&world, lag);
    let struck: Vec<Match> = file.plan().changes().flat_map(|change| &change.calls).map(requests_of).collect();
    for (_, on) in struck.iter().enumerate().filter(|(at, on)| !struck[..*at].contains(on)) {
        // Of changes that look the same to a rule, only the first has a try that takes effect.
        world.tenant.faults().add(Fault::once(on.clone(), Effect::Drop { applied: true }));
        world.tenant.faults().add(Fault::always(on.clone(), then.clone()));
    }
    let ran = world.run(file.clone()).await;
    world.tenant.faults().clear();
    (world, file, ran)
}

fn show_after(world: &World, lag: i64) {
    world.tenant.set(|settings| {
        settings.lag.object = lag;
        settings.lag.list = lag;
        settings.lag.exchange = lag;
    });
}

fn no() -> Effect {
    Effect::ServerError { status: 403, applied: false }
}

#[tokio::test]
async fn what_shows_late_is_done_whatever_was_said_to_the_second_try() {
    for action in REGISTRY.iter() {
        let (world, file, ran) = run(action, 60_000, &no()).await;
        let (id, outcomes) = (action.meta().id, ran.outcomes());
        assert_recorded(&ran);
        let (done, failed) = (of(&outcomes, Outcome::Done), of(&outcomes, Outcome::Failed));
        assert_eq!(
            (done + failed, file.plan().changes().count()),
            (outcomes.len(), outcomes.len()),
            "{id}: {outcomes:?}"
        );
        assert!(done > 0 && done == mutations(&world), "{id}: {outcomes:?}");
    }
}

#[tokio::test]
async fn what_does_not_show_is_unknown_and_undo_takes_back_what_took_effect() {
    for action in REGISTRY.iter() {
        let (world, file, ran) = run(action, LONG, &no()).await;
        let (id, outcomes) = (action.meta().id, ran.outcomes());
        assert_recorded(&ran);
        let unknown = of(&outcomes, Outcome::Unknown);
        assert!(unknown > 0 && unknown == mutations(&world), "{id}: {outcomes:?}");
        assert_eq!(unknown + of(&outcomes, Outcome::Failed), outcomes.len(), "{id}: {outcomes:?}");
        world.clock.sleep(Duration::from_hours(2)).await;
        show_after(&world, 0);
        let undo = world.undo_plan(&ran.dir).await;
        let possible = file.plan().changes().filter(|change| {
            ran.summary.outcomes[&change.id] == Outcome::Unknown && matches!(change.undo, Undo::Calls(_))
        });
        assert_eq!(undo.plan().changes().count(), possible.count(), "{id}: {:#?}", undo.plan());
    }
}

#[tokio::test]
async fn what_cannot_be_tried_again_for_now_is_left_and_found_later() {
    let throttled = Effect::Throttle(RetryAfter::Seconds(60));
    for action in REGISTRY.iter() {
        let (world, file, ran) = run(action, LONG, &throttled).await;
        let id = action.meta().id;
        assert_recorded(&ran);
        assert_eq!(ran.summary.left.len(), file.plan().changes().count(), "{id}: {:?}", ran.summary);
        let made = mutations(&world);
        assert!(made > 0, "{id}");
        world.clock.sleep(Duration::from_hours(2)).await;
        show_after(&world, 0);
        let resumed = world.resume(&ran.dir).await.unwrap();
        assert!(resumed.is_closed() && resumed.outcomes.values().all(|it| *it == Outcome::Done), "{id}: {resumed:?}");
        super::assert_sound(&ran.dir);
        let all = file.plan().changes().map(|change| change.calls.len()).sum::<usize>();
        assert_eq!(mutations(&world), all, "{id}: nothing is done twice, and nothing is left out");
    }
}

/// Some replicas are a minute late: what one read shows is gone in the next, and comes back. The answer to each call is lost,
/// so that only these reads tell.
#[tokio::test]
async fn replicas_that_disagree_make_nobody_send_anything_twice_that_must_not_be() {
    for action in REGISTRY.iter() {
        let id = action.meta().id;
        for loses in [false, true] {
            let world = World::aitm_on_one_clock().await;
            let file = plan(&world, action).await;
            show_after(&world, 60_000);
            world.tenant.set(|settings| settings.lag.flapping = true);
            if loses {
                strike_writes(&world, &file, &Effect::Drop { applied: true }, false);
            }
            let ran = world.run(file.clone()).await;
            world.tenant.faults().clear();
            assert_recorded(&ran);
            assert!(super::all_done(&ran.outcomes()), "{id}, answers lost: {loses}: {:?}", ran.summary);
            let undo = world.undo_plan(&ran.dir).await;
            if undo.plan().changes().count() == 0 {
                continue;
            }
            world.tenant.clear_requests();
            if loses {
                strike_writes(&world, &undo, &Effect::Drop { applied: true }, false);
            }
            let back = world.run(undo.clone()).await;
            let news = undo.plan().changes().flat_map(|change| &change.calls).filter(|call| call.replay == Replay::New);
            let news = news.count();
            let is_new = |request: &&LoggedRequest| {
                request.mutated && request.cmdlet.as_deref().is_some_and(|cmdlet| cmdlet.starts_with("New-"))
            };
            assert_eq!(world.tenant.requests().iter().filter(is_new).count(), news, "{id}: made twice");
            let known = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Unknown | Outcome::Drifted);
            assert!(back.outcomes().iter().all(known), "{id}, answers lost: {loses}: {:?}", back.summary);
        }
    }
}

#[tokio::test]
async fn a_bare_404_costs_no_change() {
    let bare = Effect::Answer { status: 404, content_type: "text/html".into(), body: "<html>".into(), applied: false };
    for action in REGISTRY.iter() {
        let world = World::aitm_on_one_clock().await;
        let file = plan(&world, action).await;
        for call in file.plan().changes().flat_map(|change| &change.calls) {
            world.tenant.faults().add(Fault::once(requests_of(call), bare.clone()));
        }
        let ran = world.run(file).await;
        assert!(super::all_done(&ran.outcomes()), "{}: {:?}", action.meta().id, ran.summary);
        let lost = ran.history().lines.into_iter().filter(|line| matches!(line.record, Record::Reconciled { .. }));
        assert!(lost.count() > 0, "{}", action.meta().id);
    }
}

fn of(outcomes: &[Outcome], wanted: Outcome) -> usize {
    outcomes.iter().filter(|outcome| **outcome == wanted).count()
}
