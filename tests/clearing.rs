//! Guards where a plan is applied, or a run is taken up: the tenant, the identity and the profile may not be as they were.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use common::{
    World, bind,
    guarding::{
        ADMIN, GLOBAL_ADMINISTRATOR, REASON, SHORT_SIGHTED, VICTIM, assign, block, blocking, check, eleven, playbook,
        user_id,
    },
};
use mock_server::Scenario;
use serde_json::json;
use staunch::{
    engine::EngineError,
    journal::{Crash, History, Leaves, Record},
    model::Outcome,
    plan::{Guard, Overrides, PlanFile},
};

#[tokio::test]
async fn two_plans_do_not_lock_out_every_administrator() {
    let mut world = World::aitm().await;
    world.overrides = Overrides::default().with(Guard::ProtectedRole, "administrators were phished");
    world.tenant.assign_roles(&["Privileged Authentication Administrator"]);
    assign(&world, &user_id(&world, VICTIM), GLOBAL_ADMINISTRATOR, false);
    let (one, other) = (world.plan(&block(VICTIM)).await, world.plan(&block(ADMIN)).await);
    assert_eq!(world.run(one).await.outcomes(), [Outcome::Done]);
    let refused = check(&world, &other).await.unwrap_err();
    assert_eq!(blocking(&refused), ["last-administrator"], "{refused}");
    assert!(refused.to_string().contains(ADMIN), "who: {refused}");
}

#[tokio::test]
async fn whoever_applies_a_plan_is_not_touched_by_it_and_neither_is_who_owns_that_application() {
    let world = World::aitm().await;
    let file = world.plan(&block(VICTIM)).await;
    check(&world, &file).await.unwrap();
    let (us, owner) = (world.tenant.credentials().client_id, user_id(&world, VICTIM));
    world.tenant.edit(|state| {
        let id = state.service_principal_of(&us).unwrap().id.clone();
        state.service_principals.get_mut(&id).unwrap().hidden.owners.push(owner);
    });
    assert_eq!(blocking(&check(&world, &file).await.unwrap_err()), ["self"]);
}

#[tokio::test]
async fn a_group_on_the_list_of_the_profile_that_applies_protects_its_members() {
    let mut world = World::aitm().await;
    let file = world.plan(&block(VICTIM)).await;
    let named = |state: &mock_server::tenant::state::State| {
        state.groups.values().find(|group| group.display_name == "Purchasing").unwrap().id.clone()
    };
    world.protected.break_glass = vec![world.tenant.inspect(named)];
    assert_eq!(blocking(&check(&world, &file).await.unwrap_err()), ["break-glass"]);
    world.tenant.grant_only(&SHORT_SIGHTED);
    let refused = check(&world, &file).await.unwrap_err();
    assert_eq!(blocking(&refused), ["blind-spot"], "where the group cannot be read: {refused}");
}

#[tokio::test]
async fn a_role_that_was_given_since_is_seen_and_what_was_overridden_stays_so_for_its_object_alone() {
    let mut world = World::aitm().await;
    let other = "grady@sunnyside08.example";
    world.overrides = Overrides::default().with(Guard::ProtectedRole, REASON);
    world.tenant.assign_roles(&["Privileged Authentication Administrator"]);
    assign(&world, &user_id(&world, VICTIM), GLOBAL_ADMINISTRATOR, true);
    let both = bind(&playbook("user.block-sign-in", 50), &[("users", json!([VICTIM, other]))]);
    let file = world.plan(&both).await;
    assert_eq!(file.plan().overrides.len(), 1, "{:?}", file.plan().overrides);
    check(&world, &file).await.unwrap();
    assign(&world, &user_id(&world, other), GLOBAL_ADMINISTRATOR, true);
    let refused = check(&world, &file).await.unwrap_err();
    assert_eq!(blocking(&refused), ["protected-role"]);
    assert!(refused.to_string().contains(other) && !refused.to_string().contains(VICTIM), "{refused}");
}

#[tokio::test]
async fn who_applies_a_plan_is_judged_and_not_who_made_it() {
    let world = World::aitm().await;
    world.tenant.grant_only(&["User.Read.All"]);
    let rehearsed = world.plan(&block(VICTIM)).await;
    let refused = check(&world, &rehearsed).await.unwrap_err();
    assert_eq!(blocking(&refused), ["preflight"], "who made it may only read");

    world.tenant.grant_only(&["User.Read.All", "User.EnableDisableAccount.All"]);
    let cleared = world.clear_as(&world.session().await, rehearsed).await.unwrap();
    assert!(cleared.news().iter().any(|it| it.contains("we can")), "{:?}", cleared.news());
}

#[tokio::test]
async fn a_permission_that_was_taken_since_is_told_once_for_all_accounts() {
    let world = World::aitm().await;
    let users = json!([VICTIM, "grady@sunnyside08.example"]);
    let file = world.plan(&bind(&playbook("user.block-sign-in", 50), &[("users", users)])).await;
    assert_eq!(file.plan().changes().count(), 2);
    world.tenant.grant_only(&["User.Read.All", "User.RevokeSessions.All"]);
    let refused = check(&world, &file).await.unwrap_err();
    assert_eq!(blocking(&refused), ["preflight"], "{refused}");
    assert!(refused.to_string().contains("user.block-sign-in: our application lacks"), "{refused}");
}

#[tokio::test]
async fn what_the_guards_of_who_applies_cannot_see_is_told_and_recorded() {
    let mut world = World::aitm().await;
    let file = world.plan(&block(VICTIM)).await;
    world.tenant.grant_only(&SHORT_SIGHTED);
    let cleared = world.clear_as(&world.session().await, file.clone()).await.unwrap();
    assert!(
        cleared.news().iter().any(|it| it.starts_with("BLIND: who holds a directory role")),
        "{:?}",
        cleared.news()
    );
    let ran = world.run(file.clone()).await;
    let recorded = ran.history().lines.into_iter().find_map(|line| match line.record {
        Record::Approved { unseen, .. } => Some(unseen),
        _ => None,
    });
    assert!(recorded.unwrap().iter().any(|it| it.text.starts_with("who holds a directory role")));
    world.protected.strict = true;
    let refused = check(&world, &file).await.unwrap_err();
    assert!(blocking(&refused).iter().all(|guard| *guard == "blind-spot"), "{refused}");
}

#[tokio::test]
async fn a_plan_over_the_share_of_the_tenant_that_the_profile_that_applies_allows_is_refused() {
    let mut world = World::of(&Scenario::builtin("aitm").unwrap().with_users(60)).await;
    world.protected.max_percent = 20;
    let file = world.plan(&eleven(&world)).await;
    check(&world, &file).await.unwrap();
    world.protected.max_percent = 10;
    assert_eq!(blocking(&check(&world, &file).await.unwrap_err()), ["percent"]);
}

#[tokio::test]
async fn an_undo_is_asked_about_again_where_it_is_applied() {
    let world = World::aitm().await;
    let ran = world.run(world.plan(&block(VICTIM)).await).await;
    let undo = world.undo_plan(&ran.dir).await;
    check(&world, &undo).await.unwrap();
    assign(&world, &user_id(&world, VICTIM), GLOBAL_ADMINISTRATOR, true);
    assert_eq!(blocking(&check(&world, &undo).await.unwrap_err()), ["protected-role"]);
}

/// Blocks two users, one after the other.
const IN_TURN: &str = "schema: staunch/v1\nid: test\nversion: 1.0.0\ntitle: Test\nlimits: {changes: 50}\ninputs:\n  \
    first: {type: users}\n  then: {type: users}\nstages:\n  - id: one\n    gate: verified\n    steps:\n      \
    - {id: one, each: inputs.first, do: {user.block-sign-in: {user: each}}}\n  - id: two\n    steps:\n      \
    - {id: two, each: inputs.then, do: {user.block-sign-in: {user: each}}}\n";

const OTHER: &str = "grady@sunnyside08.example";

/// A run that died between its two changes.
async fn half_done(world: &World) -> (PlanFile, std::path::PathBuf) {
    let bound = bind(IN_TURN, &[("first", json!([VICTIM])), ("then", json!([OTHER]))]);
    let file = world.plan(&bound).await;
    let dir = world.run_to(file.clone(), Crash { kind: "stage-started", nth: 2, leaves: Leaves::All }).await;
    (file, dir)
}

fn mutations(world: &World) -> usize {
    world.tenant.requests().iter().filter(|request| request.mutated).count()
}

#[tokio::test]
async fn a_run_that_is_taken_up_does_not_touch_who_became_an_emergency_account() {
    let mut world = World::aitm().await;
    let (_, dir) = half_done(&world).await;
    assert_eq!(mutations(&world), 1);
    world.protected.break_glass = vec![OTHER.to_owned()];
    let refused = world.resume(&dir).await.unwrap_err();
    let EngineError::Refused(refusals) = &refused else { panic!("{refused}") };
    assert_eq!((refusals.len(), refusals[0].guard.as_str()), (1, "break-glass"), "{refusals:?}");
    let history = History::load(&dir).unwrap();
    let Record::Interrupted { reason } = &history.lines.last().unwrap().record else { panic!("{history:?}") };
    assert!(reason.contains("guard break-glass: user") && reason.contains(OTHER), "{reason}");
    assert_eq!((mutations(&world), history.closed), (1, false), "nothing was sent, and it can be taken up again");

    world.protected.break_glass.clear();
    let summary = world.resume(&dir).await.unwrap();
    assert!(summary.outcomes.values().all(|outcome| *outcome == Outcome::Done), "{summary:?}");
}

#[tokio::test]
async fn a_run_that_is_taken_up_asks_for_nobody_whose_change_was_made() {
    let mut world = World::aitm().await;
    let (_, dir) = half_done(&world).await;
    world.protected.break_glass = vec![VICTIM.to_owned()];
    let summary = world.resume(&dir).await.unwrap();
    assert!(summary.outcomes.values().all(|outcome| *outcome == Outcome::Done), "{summary:?}");
}

#[tokio::test]
async fn a_run_that_is_taken_up_asks_for_a_change_that_did_not_take_effect() {
    let mut world = World::aitm().await;
    let file = world.plan(&block(VICTIM)).await;
    // The intent is on disk, and the call was never sent.
    let dir = world.run_to(file, Crash { kind: "intent", nth: 1, leaves: Leaves::All }).await;
    assert_eq!(mutations(&world), 0);
    world.protected.break_glass = vec![VICTIM.to_owned()];
    let refused = world.resume(&dir).await.unwrap_err();
    assert!(matches!(refused, EngineError::Refused(_)), "{refused}");
    assert_eq!(mutations(&world), 0);
}

#[tokio::test]
async fn a_run_is_not_taken_up_by_who_lacks_the_permission_for_the_rest() {
    let world = World::aitm().await;
    let (_, dir) = half_done(&world).await;
    world.tenant.grant_only(&["User.Read.All"]);
    let refused = world.resume(&dir).await.unwrap_err();
    assert!(refused.to_string().contains("guard preflight: user.block-sign-in: our application lacks"), "{refused}");
    assert_eq!(mutations(&world), 1);
}
