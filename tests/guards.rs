//! Every guard on the mock tenant: it refuses and nothing is sent, and its override is in the plan and the journal.

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
    one_step,
};
use mock_server::Scenario;
use serde_json::json;
use staunch::{
    actions::REGISTRY,
    journal::Record,
    model::{CaveatKind, Cloud, Item, Outcome, Override, Preflight},
    plan::{Discovery, Guard, Overrides, Plan, PlanFile, PlanRefused, Recipe, Selection, terminal},
    playbook::Bound,
};

/// Names of the guards that refused an object.
fn refusing(plan: &Plan) -> Vec<String> {
    let refused = plan.items().filter_map(|(_, item)| match item {
        Item::Refused { refusal, .. } => Some(refusal.guard.clone()),
        _ => None,
    });
    refused.collect()
}

/// Plans with everything that was found picked.
async fn plan_all(world: &World, bound: &Bound) -> PlanFile {
    let all = |discovery: &staunch::plan::Discovery| {
        let ids =
            |question: &staunch::plan::Question| question.candidates.iter().map(|it| it.target.id.clone()).collect();
        discovery.questions().iter().map(|it| (it.step.clone(), Selection::Ids(ids(it)))).collect()
    };
    world.plan_with(bound, all).await
}

/// What the record says was overridden.
fn recorded(lines: &[staunch::journal::Line]) -> Vec<Override> {
    let approved = lines.iter().find_map(|line| match &line.record {
        Record::Approved { overrides, .. } => Some(overrides.clone()),
        _ => None,
    });
    approved.unwrap()
}

/// The plan is refused by this guard at its only object and sends nothing; with the guard overridden it is planned, and
/// the record says why.
async fn refuses_one(mut world: World, bound: &Bound, guard: Guard) {
    let file = plan_all(&world, bound).await;
    assert_eq!(refusing(file.plan()), [guard.name()], "{:#?}", file.plan());
    let refused = check(&world, &file).await.unwrap_err();
    assert_eq!(blocking(&refused), [guard.name()], "{refused}");

    world.overrides = std::mem::take(&mut world.overrides).with(guard, REASON);
    let file = plan_all(&world, bound).await;
    assert_eq!(refusing(file.plan()), Vec::<String>::new());
    assert_eq!(file.plan().changes().count(), 1, "{:#?}", file.plan());
    let shown = terminal(&file);
    assert!(shown.contains(&format!("OVERRIDDEN: guard {}", guard.name())) && shown.contains(REASON), "{shown}");
    let planned = file.plan().overrides.clone();
    let made = planned.iter().find(|it| it.guard == guard.name()).unwrap();
    assert_eq!(made.reason, REASON);
    assert!(made.target.is_some(), "{made:?}");
    let ran = world.run(file).await;
    assert_eq!(recorded(&ran.history().lines), planned);
}

/// The plan is refused as a whole by this guard; with the guard overridden it can be approved.
async fn refuses_all(mut world: World, bound: &Bound, guard: Guard) {
    let file = world.plan(bound).await;
    assert!(!file.plan().blocked.is_empty(), "{:#?}", file.plan());
    assert!(file.plan().blocked.iter().all(|refusal| refusal.guard == guard.name()), "{:?}", file.plan().blocked);
    let blocked = check(&world, &file).await.unwrap_err();
    assert!(blocking(&blocked).iter().all(|by| *by == guard.name()), "{blocked}");

    world.overrides = std::mem::take(&mut world.overrides).with(guard, REASON);
    let file = world.plan(bound).await;
    assert!(file.plan().blocked.is_empty(), "{:?}", file.plan().blocked);
    let planned = file.plan().overrides.clone();
    assert!(planned.iter().any(|it| it.guard == guard.name() && it.reason == REASON), "{planned:?}");
    let ran = world.run(file).await;
    assert_eq!(recorded(&ran.history().lines), planned);
}

#[tokio::test]
async fn an_emergency_account_is_refused_by_id_by_name_and_by_group() {
    for by in ["id", "name", "group"] {
        let mut world = World::aitm().await;
        let group = world.tenant.inspect(|state| {
            state.groups.values().find(|group| group.display_name == "Purchasing").unwrap().id.clone()
        });
        let entry = match by {
            "id" => user_id(&world, VICTIM),
            "name" => VICTIM.to_uppercase(),
            _ => group,
        };
        world.protected.break_glass = vec![entry];
        refuses_one(world, &block(VICTIM), Guard::BreakGlass).await;
    }
}

#[tokio::test]
async fn what_an_emergency_account_owns_is_refused_when_only_its_id_is_listed() {
    let mut world = World::aitm().await;
    world.protected.break_glass = vec![user_id(&world, VICTIM)];
    let file = world.plan(&one_step("device.disable", &json!({ "user": VICTIM }))).await;
    assert_eq!(refusing(file.plan()), ["break-glass"], "a device names its owner by principal name");
}

/// What is wrong with the emergency list, by what makes it so.
const UNRESOLVED: [(&str, &str); 4] = [
    ("unknown", "names no user and no group"),
    ("empty", "entry is empty"),
    ("denied", "could not be looked up"),
    ("nobody in it", "no member is to be seen"),
];

#[tokio::test]
async fn an_emergency_entry_that_protects_nobody_refuses_the_plan() {
    for (how, words) in UNRESOLVED {
        let mut world = World::aitm().await;
        let named = |name: &str| {
            world.tenant.inspect(|state| state.groups.values().find(|it| it.display_name == name).unwrap().id.clone())
        };
        let entry = match how {
            "unknown" => "00000000-0000-4000-8000-00000000dead".to_owned(),
            "empty" => " ".to_owned(),
            _ => named("Purchasing"),
        };
        match how {
            "denied" => world.tenant.grant_only(&SHORT_SIGHTED),
            "nobody in it" => world.tenant.edit(|state| state.groups.get_mut(&entry).unwrap().hidden.members.clear()),
            _ => {}
        }
        world.protected.break_glass = vec![entry, user_id(&world, "grady@sunnyside08.example")];
        let file = world.plan(&block(VICTIM)).await;
        let told = &file.plan().caveats;
        assert!(told[0].text.contains(words), "{how}: {told:?}");
        refuses_all(world, &block(VICTIM), Guard::BlindSpot).await;
    }
}

#[tokio::test]
async fn the_owner_of_our_own_application_is_refused() {
    let world = World::aitm().await;
    let (us, owner) = (world.tenant.credentials().client_id, user_id(&world, VICTIM));
    world.tenant.edit(|state| {
        let id = state.service_principal_of(&us).unwrap().id.clone();
        state.service_principals.get_mut(&id).unwrap().hidden.owners.push(owner);
    });
    refuses_one(world, &block(VICTIM), Guard::Own).await;
}

#[tokio::test]
async fn a_device_is_refused_for_what_its_owner_is() {
    let mut world = World::aitm().await;
    assign(&world, &user_id(&world, VICTIM), GLOBAL_ADMINISTRATOR, false);
    let bound = one_step("device.disable", &json!({ "user": VICTIM }));
    let file = plan_all(&world, &bound).await;
    let refused = refusing(file.plan());
    assert!(!refused.is_empty() && refused.iter().all(|guard| guard == "protected-role"), "{refused:?}");
    world.overrides = Overrides::default().with(Guard::ProtectedRole, REASON);
    assert_eq!(plan_all(&world, &bound).await.plan().changes().count(), refused.len());
}

#[tokio::test]
async fn our_own_application_is_refused() {
    let world = World::aitm().await;
    let us = world.tenant.credentials().client_id;
    let file = plan_all(&world, &one_step("app.disable-service-principal", &json!({ "app": us }))).await;
    assert_eq!(refusing(file.plan()), ["self"]);
    check(&world, &file).await.unwrap_err();
}

#[tokio::test]
async fn applications_of_the_platform_are_refused() {
    for (name, guard) in [("Microsoft Teams", Guard::FirstParty), ("sunny-functions", Guard::ManagedIdentity)] {
        let world = World::aitm().await;
        let app = world.tenant.inspect(|state| {
            state.service_principals.values().find(|it| it.display_name == name).unwrap().app_id.clone()
        });
        refuses_one(world, &one_step("app.disable-service-principal", &json!({ "app": app })), guard).await;
    }
}

#[tokio::test]
async fn the_last_administrator_is_not_locked_out_even_if_the_role_is_overridden() {
    let mut world = World::aitm().await;
    world.overrides = Overrides::default().with(Guard::ProtectedRole, "an administrator was phished");
    refuses_one(world, &block(ADMIN), Guard::LastAdministrator).await;
}

#[tokio::test]
async fn an_administrator_is_not_the_last_one_while_another_can_sign_in() {
    let mut world = World::aitm().await;
    world.overrides = Overrides::default().with(Guard::ProtectedRole, "an administrator was phished");
    let other = user_id(&world, "grady@sunnyside08.example");
    assign(&world, &other, GLOBAL_ADMINISTRATOR, false);
    assert!(refusing(world.plan(&block(ADMIN)).await.plan()).is_empty());
    world.tenant.edit(|state| state.user_mut(&other).unwrap().account_enabled = false);
    assert_eq!(refusing(world.plan(&block(ADMIN)).await.plan()), ["last-administrator"], "the other is disabled");
}

#[tokio::test]
async fn where_nobody_holds_the_role_those_who_can_activate_it_are_counted() {
    let mut world = World::aitm().await;
    world.overrides = Overrides::default().with(Guard::ProtectedRole, "an administrator was phished");
    let admin = user_id(&world, ADMIN);
    let other = user_id(&world, "grady@sunnyside08.example");
    world.tenant.edit(|state| {
        let held = state.role_assignments.values().filter(|row| row.role_definition_id == GLOBAL_ADMINISTRATOR);
        for id in held.map(|row| row.id.clone()).collect::<Vec<_>>() {
            state.role_assignments.remove(&id);
        }
    });
    assign(&world, &admin, GLOBAL_ADMINISTRATOR, true);
    assert_eq!(refusing(world.plan(&block(ADMIN)).await.plan()), ["last-administrator"]);
    assign(&world, &other, GLOBAL_ADMINISTRATOR, true);
    assert!(refusing(world.plan(&block(ADMIN)).await.plan()).is_empty(), "the other can activate it");
    world.tenant.edit(|state| state.user_mut(&other).unwrap().account_enabled = false);
    assert_eq!(refusing(world.plan(&block(ADMIN)).await.plan()), ["last-administrator"], "the other is disabled");
}

#[tokio::test]
async fn two_administrators_are_not_both_locked_out_by_one_plan() {
    let mut world = World::aitm().await;
    world.overrides = Overrides::default().with(Guard::ProtectedRole, "administrators were phished");
    assign(&world, &user_id(&world, VICTIM), GLOBAL_ADMINISTRATOR, false);
    let both = bind(&playbook("user.block-sign-in", 50), &[("users", json!([VICTIM, ADMIN]))]);
    assert_eq!(refusing(world.plan(&both).await.plan()), ["last-administrator", "last-administrator"]);
}

#[tokio::test]
async fn a_protected_role_is_seen_held_eligible_and_through_a_group() {
    let revoke = |user: &str| one_step("user.revoke-sessions", &json!({ "user": user }));
    refuses_one(World::aitm().await, &revoke(ADMIN), Guard::ProtectedRole).await;

    let world = World::aitm().await;
    assign(&world, &user_id(&world, VICTIM), GLOBAL_ADMINISTRATOR, true);
    refuses_one(world, &revoke(VICTIM), Guard::ProtectedRole).await;

    let world = World::aitm().await;
    let group = world
        .tenant
        .inspect(|state| state.groups.values().find(|group| group.display_name == "Tier zero").unwrap().id.clone());
    assign(&world, &group, GLOBAL_ADMINISTRATOR, false);
    refuses_one(world, &revoke("vault@sunnyside08.example"), Guard::ProtectedRole).await;
}

#[tokio::test]
async fn an_account_that_synchronises_is_refused() {
    let mut scenario = Scenario::builtin("aitm").unwrap();
    let mut account = scenario.users.iter().find(|user| user.name == "klaus").unwrap().clone();
    account.name = "Sync_SRV01_0123456789ab".into();
    scenario.users.push(account);
    let bound = one_step("user.revoke-sessions", &json!({ "user": "Sync_SRV01_0123456789ab@sunnyside08.example" }));
    refuses_one(World::of(&scenario).await, &bound, Guard::SyncAccount).await;
}

#[tokio::test]
async fn a_plan_over_the_playbooks_limit_is_refused() {
    let bound = bind(&playbook("user.revoke-sessions", 1), &[("users", json!([VICTIM, "grady@sunnyside08.example"]))]);
    refuses_all(World::aitm().await, &bound, Guard::Limit).await;
}

#[tokio::test]
async fn a_plan_over_so_many_percent_of_the_tenant_is_refused() {
    let mut world = World::of(&Scenario::builtin("aitm").unwrap().with_users(60)).await;
    let bound = eleven(&world);
    world.protected.max_percent = 20;
    let allowed = world.plan(&bound).await;
    assert!(allowed.plan().blocked.is_empty(), "{:?}", allowed.plan().blocked);
    world.protected.max_percent = 10;
    refuses_all(world, &bound, Guard::Percent).await;
}

#[tokio::test]
async fn what_destroys_is_refused_unless_it_is_allowed() {
    let mut world = World::aitm().await;
    world.overrides = Overrides::default();
    refuses_all(world, &one_step("user.remove-auth-methods", &json!({ "user": VICTIM })), Guard::Irreversible).await;
    let mut world = World::aitm().await;
    world.overrides = Overrides::default();
    let file = world.plan(&one_step("user.reset-password", &json!({ "user": VICTIM }))).await;
    assert!(file.plan().blocked.is_empty(), "a new password has no undo, and destroys nothing");
}

#[tokio::test]
async fn a_plan_is_checked_again_by_the_profile_that_applies_it() {
    let mut world = World::aitm().await;
    let file = world.plan(&block(VICTIM)).await;
    check(&world, &file).await.unwrap();
    world.protected.break_glass = vec![VICTIM.to_owned()];
    let refused = check(&world, &file).await.unwrap_err();
    assert_eq!(blocking(&refused), ["break-glass"], "{refused}");
    world.overrides = Overrides::default().with(Guard::BreakGlass, REASON);
    check(&world, &world.plan(&block(VICTIM)).await).await.unwrap();
}

#[tokio::test]
async fn a_guard_that_cannot_see_says_so_and_refuses_where_the_profile_is_strict() {
    let mut world = World::aitm().await;
    world.tenant.grant_only(&SHORT_SIGHTED);
    let file = world.plan(&block(VICTIM)).await;
    let plan = file.plan();
    assert!(plan.blocked.is_empty() && plan.changes().count() == 1, "{plan:#?}");
    assert!(plan.caveats.iter().all(|caveat| caveat.kind == CaveatKind::BlindSpot));
    let shown = terminal(&file);
    for what in ["BLIND: who holds a directory role", "BLIND: who owns our own application"] {
        assert!(shown.contains(what), "{what}:\n{shown}");
    }
    world.protected.strict = true;
    refuses_all(world, &block(VICTIM), Guard::BlindSpot).await;
}

#[tokio::test]
async fn a_plan_that_sees_everything_has_no_blind_spot() {
    let file = World::aitm().await.plan(&block(VICTIM)).await;
    assert_eq!(file.plan().caveats, []);
    assert_eq!(file.plan().overrides, [], "an override that nothing needed is not recorded");
}

#[tokio::test]
async fn a_missing_permission_is_told_before_anything_is_sent() {
    let mut world = World::aitm().await;
    world.tenant.grant_only(&["User.Read.All", "User.RevokeSessions.All"]);
    let file = world.plan(&block(VICTIM)).await;
    let told = file.plan().items().find_map(|(_, item)| match item {
        Item::Refused { refusal, .. } => Some((refusal.guard.clone(), refusal.reason.clone())),
        _ => None,
    });
    let (guard, reason) = told.unwrap();
    assert_eq!(guard, "preflight");
    assert_eq!(reason, "our application lacks the permission User.EnableDisableAccount.All");
    world.overrides = Overrides::default().with(Guard::Preflight, REASON);
    let file = world.plan(&block(VICTIM)).await;
    assert!(matches!(file.plan().changes().next().unwrap().preflight, Preflight::Cannot { .. }));
    assert_eq!(file.plan().overrides.len(), 1);
    assert_eq!(world.run(file).await.outcomes(), [Outcome::Failed], "the tenant's answer counts");
}

#[tokio::test]
async fn an_undo_says_too_what_it_lacks() {
    let world = World::aitm().await;
    let ran = world.run(world.plan(&block(VICTIM)).await).await;
    world.tenant.grant_only(&["User.Read.All", "User.RevokeSessions.All"]);
    let undo = world.undo_plan(&ran.dir).await;
    let told = undo.plan().items().any(|(_, item)| {
        matches!(item, Item::Refused { refusal, .. } if refusal.reason.contains("the permission User.EnableDisable"))
    });
    assert!(told, "{:#?}", undo.plan());
}

#[tokio::test]
async fn a_cloud_without_the_action_is_told() {
    let world = World::aitm().await;
    let session = world.session().await;
    let bound = one_step("user.remove-auth-methods", &json!({ "user": VICTIM }));
    let discovery = Discovery::run(&bound, REGISTRY, &session.reader()).await;
    let picks = world.pick_planted(&discovery);
    let recipe = Recipe { cloud: Cloud::China, ..world.recipe(&bound) };
    let plan = discovery.plan(&bound, &picks, recipe, REGISTRY, &session.reader()).await.unwrap();
    let told = plan.items().filter(|(_, item)| {
        matches!(item, Item::Refused { refusal, .. } if refusal.reason == "this action does not exist in this cloud")
    });
    assert_eq!((told.count(), plan.changes().count()), (1, 0), "{plan:#?}");
}

#[tokio::test]
async fn an_undo_gives_no_administrator_its_access_back_without_an_override() {
    let mut world = World::aitm().await;
    world.overrides = Overrides::default()
        .with(Guard::ProtectedRole, "an administrator was phished")
        .with(Guard::LastAdministrator, "another one is being made");
    world.tenant.assign_roles(&["Privileged Authentication Administrator"]);
    let ran = world.run(world.plan(&block(ADMIN)).await).await;
    assert_eq!(ran.outcomes(), [Outcome::Done]);
    let before = world.tenant.diff_from_seed();
    world.overrides = Overrides::default();
    let file = world.undo_plan(&ran.dir).await;
    assert_eq!(refusing(file.plan()), ["protected-role"], "{:#?}", file.plan());
    check(&world, &file).await.unwrap_err();
    assert_eq!(world.tenant.diff_from_seed(), before, "nothing was sent");

    world.overrides = Overrides::default().with(Guard::ProtectedRole, REASON);
    let file = world.undo_plan(&ran.dir).await;
    let planned = file.plan().overrides.clone();
    assert_eq!((planned.len(), planned[0].reason.as_str()), (1, REASON), "{planned:?}");
    let undone = world.run(file).await;
    assert_eq!(recorded(&undone.history().lines), planned);
}

#[tokio::test]
async fn an_undo_puts_an_emergency_account_back() {
    let mut world = World::aitm().await;
    let ran = world.run(world.plan(&block(VICTIM)).await).await;
    world.protected.break_glass = vec![VICTIM.to_owned(), "gone@sunnyside08.example".to_owned()];
    let file = world.undo_plan(&ran.dir).await;
    assert_eq!((refusing(file.plan()), file.plan().changes().count()), (vec![], 1));
    check(&world, &file).await.unwrap();
}

#[tokio::test]
async fn an_undo_that_cannot_see_who_is_privileged_says_so_and_is_refused_where_the_profile_is_strict() {
    let mut world = World::aitm().await;
    let ran = world.run(world.plan(&block(VICTIM)).await).await;
    world.tenant.grant_only(&SHORT_SIGHTED);
    let file = world.undo_plan(&ran.dir).await;
    assert!(file.plan().caveats.iter().any(|caveat| caveat.kind == CaveatKind::BlindSpot), "{:#?}", file.plan());
    check(&world, &file).await.unwrap();
    world.protected.strict = true;
    let refused = check(&world, &world.undo_plan(&ran.dir).await).await.unwrap_err();
    assert!(blocking(&refused).contains(&"blind-spot"), "{refused}");
}

#[tokio::test]
async fn the_undo_of_a_run_is_refused_in_another_tenant() {
    let world = World::aitm().await;
    let ran = world.run(world.plan(&block(VICTIM)).await).await;
    let mut plan = world.undo_plan(&ran.dir).await.plan().clone();
    plan.tenant_id = "00000000-0000-4000-8000-00000000beef".to_owned();
    let refused = check(&world, &PlanFile::freeze(plan).unwrap()).await.unwrap_err();
    assert!(matches!(refused, PlanRefused::Foreign { .. }), "{refused}");
}
