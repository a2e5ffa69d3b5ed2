//! Preflight on the mock tenant: what the plan says that we can and cannot do is what the tenant then says.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::sync::Arc;

use common::{
    World,
    guarding::{ADMIN, VICTIM, block, user_id},
    one_step,
};
use mock_server::{Tenant, tenant::roles::RoleAssignment};
use serde_json::json;
use staunch::{
    action::permissions::Needs,
    actions::REGISTRY,
    client::{Attendant, Credential, Session, UserCode},
    model::{IdentityKind, Outcome, Preflight},
    plan::{Discovery, GUARD_READS, Picks, PlanFile, terminal},
    playbook::Bound,
};
use url::Url;

const BOARD: &str = "board@sunnyside08.example";

/// What the plan of one change says of it.
fn preflight(file: &PlanFile) -> Preflight {
    file.plan().changes().next().unwrap_or_else(|| panic!("{:#?}", file.plan())).preflight.clone()
}

fn cannot(file: &PlanFile) -> Option<String> {
    match preflight(file) {
        Preflight::Cannot { reason } => Some(reason),
        Preflight::Can | Preflight::WillNotLast { .. } => None,
    }
}

#[tokio::test]
async fn an_application_that_may_only_read_plans_for_another_one() {
    let world = World::aitm().await;
    world.tenant.grant_only(&["User.Read.All"]);
    let file = world.plan(&block(VICTIM)).await;
    let change = file.plan().changes().next().unwrap();
    assert!(matches!(&change.preflight, Preflight::Cannot { reason } if reason.contains("User.EnableDisable")));
    assert!(terminal(&file).contains("CANNOT, as it seems"));
}

#[tokio::test]
async fn what_the_tenant_will_refuse_or_turn_back_is_told() {
    let world = World::aitm().await;
    let of = async |user: &str| {
        let file = world.plan(&block(&format!("{user}@sunnyside08.example"))).await;
        file.plan().changes().next().unwrap_or_else(|| panic!("{:#?}", file.plan())).preflight.clone()
    };
    assert_eq!(of("johanna").await, Preflight::Can);
    let Preflight::Cannot { reason } = of("per").await else { panic!("a help desk is out of reach") };
    assert!(reason.contains("Helpdesk Administrator") && reason.contains("the role User Administrator or"), "{reason}");
    let Preflight::Cannot { reason } = of("vault").await else { panic!("members of the group are out of reach") };
    assert!(reason.contains("Privileged Authentication Administrator"), "{reason}");
    let Preflight::Cannot { reason } = of("board").await else { panic!("the unit is restricted") };
    assert!(reason.contains("restricted management"), "{reason}");
    assert!(matches!(of("klaus").await, Preflight::WillNotLast { .. }), "it is mastered on-premises");

    world.tenant.assign_roles(&["User Administrator"]);
    assert_eq!(of("per").await, Preflight::Can, "with the role it can");
}

#[tokio::test]
async fn what_is_told_of_privileged_targets_is_what_the_tenant_then_says() {
    for user in ["johanna", "per", "vault", "board", "grady"] {
        let world = World::aitm().await;
        let file = world.plan(&block(&format!("{user}@sunnyside08.example"))).await;
        let can = file.plan().changes().next().unwrap().preflight == Preflight::Can;
        let outcome = world.run(file).await.outcomes()[0];
        assert_eq!(can, outcome == Outcome::Done, "{user}: {outcome:?}");
    }
}

/// A unit of the tenant with these members, and our role over it.
fn administers(world: &World, us: &str, (unit, restricted): (&str, bool), members: &[&str], role: &str) {
    world.tenant.edit(|state| {
        let mut made = state.administrative_units.values().next().unwrap().clone();
        made.id = format!("00000000-0000-4000-8000-{unit:0>12}");
        made.is_member_management_restricted = Some(restricted);
        made.hidden.members = members.iter().map(|name| state.user_id(name)).collect();
        let row = RoleAssignment {
            id: format!("over-{unit}"),
            principal_id: us.to_owned(),
            role_definition_id: mock_server::tenant::roles::template(role).unwrap().id.to_owned(),
            directory_scope_id: format!("/administrativeUnits/{}", made.id),
        };
        state.administrative_units.insert(made.id.clone(), made);
        state.role_assignments.insert(row.id.clone(), row);
    });
}

#[tokio::test]
async fn a_role_reaches_who_is_in_its_restricted_unit_and_only_a_role_for_the_action_does() {
    let (user, groups) = ("User Administrator", "Groups Administrator");
    let cases: [(bool, &[&str], &str, Option<&str>); 5] = [
        (true, &[BOARD], user, None),
        (true, &[], user, Some("do not reach it")),
        (false, &[BOARD], user, Some("do not reach it")),
        (true, &[BOARD], groups, Some("over its unit")),
        (true, &[BOARD], "Privileged Authentication Administrator", None),
    ];
    for (restricted, members, role, refused) in cases {
        let world = World::aitm().await;
        let us = world.session().await.identity().object_id.clone();
        administers(&world, &us, ("1", restricted), members, role);
        let file = world.plan(&block(BOARD)).await;
        match (cannot(&file), refused) {
            (None, None) => {}
            (Some(reason), Some(words)) => assert!(reason.contains(words), "{reason}"),
            (told, _) => panic!("{role}, restricted {restricted}, {members:?}: {told:?}"),
        }
        assert_eq!(world.run(file).await.outcomes()[0] == Outcome::Done, refused.is_none(), "{role} {restricted}");
    }
}

#[tokio::test]
async fn sessions_and_methods_of_a_user_in_a_restricted_unit_are_out_of_reach_too_and_the_unit_is_named() {
    for (action, reached) in
        [("user.revoke-sessions", false), ("user.remove-auth-methods", false), ("user.remove-auth-methods", true)]
    {
        let world = World::aitm().await;
        if reached {
            let us = world.session().await.identity().object_id.clone();
            administers(&world, &us, ("1", true), &[BOARD], "Authentication Administrator");
        }
        let file = plan_all(&world, &one_step(action, &json!({ "user": BOARD })), &world.session().await).await;
        let told = cannot(&file);
        assert_eq!(told.is_none(), reached, "{action}: {told:?}");
        assert!(told.as_ref().is_none_or(|reason| reason.contains("unit (\"Board\", ")), "{action}: {told:?}");
        assert_eq!(world.run(file).await.outcomes()[0] == Outcome::Done, reached, "{action}");
    }
}

#[tokio::test]
async fn a_device_is_in_the_unit_that_it_is_in_itself_and_not_in_that_of_its_owner() {
    let held = |own: bool| async move {
        let world = World::aitm().await;
        let us = world.session().await.identity().object_id.clone();
        let rogue = world.tenant.incident().rogue.clone();
        let device =
            rogue.iter().find(|planted| world.tenant.inspect(|state| state.devices.contains(&planted.id))).unwrap();
        world.tenant.edit(|state| state.devices.get_mut(&device.id).unwrap().is_management_restricted = Some(true));
        let member = if own { device.id.clone() } else { user_id(&world, VICTIM) };
        administers(&world, &us, ("1", true), &[], "Cloud Device Administrator");
        world.tenant.edit(|state| {
            let unit = "00000000-0000-4000-8000-000000000001";
            state.administrative_units.get_mut(unit).unwrap().hidden.members.push(member);
        });
        let file = world.plan(&one_step("device.disable", &json!({ "user": VICTIM }))).await;
        let told = cannot(&file);
        (told, world.run(file).await.outcomes()[0])
    };
    let (told, outcome) = held(true).await;
    assert_eq!((told, outcome), (None, Outcome::Done));
    let (told, outcome) = held(false).await;
    assert!(told.is_some_and(|reason| reason.contains("the device is in a restricted")) && outcome != Outcome::Done);
}

/// Plans as whoever is signed in, with everything that was found.
async fn plan_all(world: &World, bound: &Bound, session: &Session) -> PlanFile {
    let reader = session.reader();
    let discovery = Discovery::run(bound, REGISTRY, &reader).await;
    let all = |question: staunch::plan::Question| {
        let ids = question.candidates.into_iter().map(|it| it.target.id).collect();
        (question.step, staunch::plan::Selection::Ids(ids))
    };
    let picks: Picks = discovery.questions().into_iter().map(all).collect();
    let plan = discovery.plan(bound, &picks, world.recipe(bound), REGISTRY, &reader).await.unwrap();
    PlanFile::freeze(plan).unwrap()
}

/// Somebody who enters the code that they are shown.
#[derive(Debug)]
struct Person(Tenant, &'static str);

impl Attendant for Person {
    fn browse(&self, _: &Url) {}

    fn enter_code(&self, code: &UserCode) {
        assert!(self.0.approve_device(&code.code, self.1));
    }
}

async fn sign_in(world: &World, name: &'static str) -> Session {
    let mut options = world.options();
    options.credential = Credential::DeviceCode(Arc::new(Person(world.tenant.clone(), name)));
    Session::open(options, world.clock.clone()).await.unwrap()
}

#[tokio::test]
async fn what_is_told_a_person_is_what_the_tenant_then_says() {
    for (person, role, lacks) in [
        ("grady@sunnyside08.example", None, Some("you need, besides the permission, one of these roles: ")),
        (
            "per@sunnyside08.example",
            Some("a Helpdesk Administrator sets no sensitive property"),
            Some("User Administrator"),
        ),
        (ADMIN, Some("a Global Administrator"), None),
    ] {
        let world = World::aitm().await;
        let session = sign_in(&world, person).await;
        assert_eq!(session.identity().kind, IdentityKind::User);
        let file = plan_all(&world, &block(VICTIM), &session).await;
        let told = cannot(&file);
        assert_eq!(told.is_some(), lacks.is_some(), "{person}, {role:?}: {told:?}");
        assert!(lacks.is_none_or(|words| told.unwrap().contains(words)), "{person}");
        let approved = world.approve_as(&session, file).await;
        let outcome = world.run_approved(session, approved).await.outcomes()[0];
        assert_eq!(outcome == Outcome::Done, lacks.is_none(), "{person}: {outcome:?}");
    }
}

#[test]
fn a_manifest_of_any_actions_is_whole() {
    let each = REGISTRY.iter().map(|action| Needs::of(&[action.meta()], GUARD_READS));
    for needs in each.chain([Needs::of(&[], GUARD_READS)]) {
        let unknown: Vec<_> = needs.all().filter(|need| need.id.is_none()).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }
}
