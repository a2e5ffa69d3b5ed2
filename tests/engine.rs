//! The engine on the mock tenant: order, stops, lost creations, drift, guards, sealed secrets, interruption.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::sync::{Arc, Mutex};

use common::{World, bind, one_step};
use mock_server::faults::{Effect, Fault, Match};
use serde_json::json;
use staunch::{
    actions::REGISTRY,
    engine::{self, Event, Options, Progress, Stop},
    journal::{History, Purpose, Record},
    model::{Item, Outcome, Undo},
    plan::{Discovery, PickError, Picks, PlanFile, Selection},
};

const VICTIM: &str = "johanna@sunnyside08.example";
const OTHER: &str = "grady@sunnyside08.example";

fn playbook(stages: &str) -> String {
    format!(
        "schema: staunch/v1\nid: test\nversion: 1.0.0\ntitle: Test\ninputs:\n  users: {{type: users}}\nlimits: {{changes: 50}}\nstages:\n{stages}"
    )
}

const TWO_STAGES: &str = "  - id: first
    steps:
      - {id: block, on_error: ON_ERROR, each: inputs.users, do: {user.block-sign-in: {user: each}}}
      - {id: password, on_error: ON_ERROR, each: inputs.users, do: {user.reset-password: {user: each}}}
  - id: second
    steps:
      - {id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
";

/// Outcomes of the steps of [`TWO_STAGES`] for both users, when blocking the first one is refused.
async fn refused_first(on_error: &str) -> Vec<(String, String, Outcome)> {
    let world = World::aitm().await;
    let bound = bind(&playbook(&TWO_STAGES.replace("ON_ERROR", on_error)), &[("users", json!([VICTIM, OTHER]))]);
    let file = world.plan(&bound).await;
    let of = |change: &staunch::model::Change| {
        (change.id.clone(), change.step.clone(), change.target.name.raw().to_owned(), change.target.id.clone())
    };
    let changes: Vec<_> = file.plan().changes().map(of).collect();
    let (_, _, _, id) = changes.iter().find(|(_, _, name, _)| name == VICTIM).unwrap();
    // Rejected once: the account itself refuses to be blocked.
    world.tenant.faults().add(Fault::once(
        Match::method_path("PATCH", &format!("/users/{id}")),
        Effect::ServerError { status: 403, applied: false },
    ));
    let ran = world.run(file).await;
    changes.into_iter().map(|(change, step, name, _)| (step, name, ran.summary.outcomes[&change])).collect()
}

fn outcome(of: &[(String, String, Outcome)], step: &str, user: &str) -> Outcome {
    of.iter().find(|(s, u, _)| s == step && u == user).unwrap().2
}

#[tokio::test]
async fn one_failed_change_does_not_stop_the_others() {
    let outcomes = refused_first("continue").await;
    assert_eq!(outcome(&outcomes, "block", VICTIM), Outcome::Failed);
    assert_eq!(outcomes.iter().filter(|(_, _, outcome)| *outcome == Outcome::Done).count(), 5, "{outcomes:?}");
}

#[tokio::test]
async fn next_target_leaves_out_the_rest_of_that_user_in_the_stage() {
    let outcomes = refused_first("next-target").await;
    assert_eq!(outcome(&outcomes, "block", VICTIM), Outcome::Failed);
    assert_eq!(outcome(&outcomes, "password", VICTIM), Outcome::Skipped);
    assert_eq!(outcome(&outcomes, "password", OTHER), Outcome::Done);
    assert_eq!(outcome(&outcomes, "sessions", VICTIM), Outcome::Done);
}

#[tokio::test]
async fn stop_begins_nothing_more() {
    let outcomes = refused_first("stop").await;
    assert_eq!(outcome(&outcomes, "block", VICTIM), Outcome::Failed);
    assert_eq!(outcome(&outcomes, "sessions", VICTIM), Outcome::Skipped);
    assert_eq!(outcome(&outcomes, "sessions", OTHER), Outcome::Skipped);
}

#[tokio::test]
async fn a_step_that_waits_for_another_is_skipped_when_that_does_not_hold() {
    let world = World::aitm().await;
    let text = playbook(
        "  - id: first\n    steps:\n      - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}\n  \
         - id: second\n    steps:\n      - {id: password, when: steps.block.outcome, each: inputs.users, do: {user.reset-password: {user: each}}}\n",
    );
    let file = world.plan(&bind(&text, &[("users", json!([VICTIM]))])).await;
    world
        .tenant
        .faults()
        .add(Fault::once(Match::method_path("PATCH", "/users/"), Effect::ServerError { status: 403, applied: false }));
    let ran = world.run(file).await;
    assert_eq!(ran.outcomes(), [Outcome::Failed, Outcome::Skipped]);
    assert_eq!(world.tenant.passwords_set(VICTIM), 0);
}

#[tokio::test]
async fn a_gate_holds_the_next_stage_until_all_is_verified() {
    let world = World::aitm().await;
    let text = playbook(
        "  - id: first\n    gate: verified\n    steps:\n      - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}\n  \
         - id: second\n    steps:\n      - {id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}\n",
    );
    let ran = world.run(world.plan(&bind(&text, &[("users", json!([VICTIM, OTHER]))])).await).await;
    let lines = ran.history().lines;
    let second =
        lines.iter().position(|line| matches!(&line.record, Record::StageStarted { stage } if stage == "second"));
    let ended = lines.iter().take(second.unwrap()).filter(|line| matches!(line.record, Record::Ended { .. })).count();
    assert_eq!(ended, 2);
}

#[tokio::test]
async fn a_rule_that_the_run_itself_disabled_can_be_removed_by_a_later_stage() {
    let world = World::aitm().await;
    let text = playbook(
        "  - id: first\n    steps:\n      - {id: off, each: inputs.users, pick: operator, do: {mailbox.disable-inbox-rules: {user: each}}}\n  \
         - id: second\n    steps:\n      - {id: away, each: inputs.users, pick: operator, do: {mailbox.remove-inbox-rules: {user: each}}}\n",
    );
    let ran = world.run(world.plan(&bind(&text, &[("users", json!([VICTIM]))])).await).await;
    assert_eq!(ran.outcomes(), [Outcome::Done; 4], "{:?}", ran.summary);
}

#[tokio::test]
async fn what_was_turned_back_behind_our_back_is_drift_and_what_is_done_already_is_said() {
    let world = World::aitm().await;
    let bound = one_step("user.block-sign-in", &json!({"user": VICTIM}));
    let file = world.plan(&bound).await;
    world.tenant.edit(|state| {
        let id = state.user(VICTIM).unwrap().id.clone();
        state.users.get_mut(&id).unwrap().account_enabled = false;
    });
    let ran = world.run(file).await;
    assert_eq!(ran.outcomes(), [Outcome::Already]);
    let undo = world.undo_plan(&ran.dir).await;
    assert_eq!(undo.plan().changes().count(), 0, "what was not changed is not taken back");
}

#[tokio::test]
async fn an_undo_leaves_alone_what_somebody_else_changed_since() {
    let world = World::aitm().await;
    let ran = world.run(world.plan(&one_step("mailbox.disable-inbox-rules", &json!({"user": VICTIM}))).await).await;
    let rogue = world.tenant.incident().rogue.iter().find(|object| object.kind == "inboxRule").unwrap().id.clone();
    world.tenant.edit(|state| {
        let user = state.user(VICTIM).unwrap().id.clone();
        let mailbox = state.mailboxes.get_mut(&user).unwrap();
        mailbox.rules.retain(|rule| rule.rule_identity.to_string() != rogue);
    });
    let undo = world.undo_plan(&ran.dir).await;
    let problems: Vec<_> = undo.plan().items().filter(|(_, item)| matches!(item, Item::Problem { .. })).collect();
    assert_eq!(problems.len(), 1, "{:#?}", undo.plan());
    assert!(undo.plan().changes().all(|change| change.target.id != rogue));
}

#[tokio::test]
async fn a_lost_creation_is_found_and_never_made_twice() {
    for applied in [true, false] {
        let world = World::aitm().await;
        let ran = world.run(world.plan(&one_step("mailbox.remove-inbox-rules", &json!({"user": VICTIM}))).await).await;
        let undo = world.undo_plan(&ran.dir).await;
        assert!(undo.plan().changes().count() > 0, "{:#?}", undo.plan());
        world.tenant.faults().add(Fault::once(Match::cmdlet("New-InboxRule"), Effect::Drop { applied }));
        let back = world.run(undo).await;
        let created = world
            .tenant
            .requests()
            .iter()
            .filter(|request| request.cmdlet.as_deref() == Some("New-InboxRule") && request.mutated)
            .count();
        let changes = back.summary.outcomes.len();
        if applied {
            assert_eq!(created, changes, "one creation for each rule");
            assert!(back.outcomes().iter().all(|outcome| *outcome == Outcome::Done), "{:?}", back.summary);
        } else {
            assert_eq!(created, changes - 1, "what may have been made is not made again");
            assert_eq!(back.outcomes().iter().filter(|outcome| **outcome == Outcome::Unknown).count(), 1);
        }
    }
}

#[tokio::test]
async fn a_change_of_which_a_part_was_refused_is_not_called_unchanged() {
    let world = World::aitm_on_one_clock().await;
    world.tenant.edit(|state| {
        let user = state.user(VICTIM).unwrap().id.clone();
        state.mailboxes.get_mut(&user).unwrap().rules.iter_mut().for_each(|rule| rule.enabled = false);
    });
    let ran = world.run(world.plan(&one_step("mailbox.remove-inbox-rules", &json!({"user": VICTIM}))).await).await;
    // The rule is made anew, and cannot be disabled.
    let undo = world.undo_plan(&ran.dir).await;
    assert!(undo.plan().changes().any(|change| change.calls.len() == 2), "{:#?}", undo.plan());
    let denied = Effect::ServerError { status: 403, applied: false };
    world.tenant.faults().add(Fault::always(Match::cmdlet("Disable-InboxRule"), denied));
    let back = world.run(undo).await;
    assert!(back.outcomes().contains(&Outcome::Unknown) && !back.outcomes().contains(&Outcome::Failed), "{back:?}");
}

#[tokio::test]
async fn what_is_put_off_after_a_lost_answer_goes_on_from_there() {
    for applied in [true, false] {
        let world = World::aitm_on_one_clock().await;
        let file = world.plan(&one_step("user.remove-auth-methods", &json!({"user": VICTIM}))).await;
        let changes = file.plan().changes().count();
        // Behind for as long as it is looked for at once.
        world.tenant.set(|settings| settings.lag.list = 10_000);
        let on = Match { method: Some("DELETE".into()), ..Match::default() };
        world.tenant.faults().add(Fault::once(on.clone(), Effect::Drop { applied }));
        world.tenant.faults().add(Fault::once(on, Effect::ServerError { status: 400, applied: false }));
        let ran = world.run(file).await;
        assert_eq!(ran.outcomes(), vec![Outcome::Done; changes], "{applied}: {:?}", ran.summary);
        let snapshots = ran
            .history()
            .lines
            .into_iter()
            .filter(|line| matches!(&line.record, Record::Observed { purpose: Purpose::Before, .. }));
        assert_eq!(snapshots.count(), changes, "the state before is that before the first try");
    }
}

#[tokio::test]
async fn a_lost_creation_that_shows_late_is_waited_for_as_long_as_it_may_take() {
    let world = World::aitm_on_one_clock().await;
    let ran = world.run(world.plan(&one_step("mailbox.remove-inbox-rules", &json!({"user": VICTIM}))).await).await;
    let undo = world.undo_plan(&ran.dir).await;
    let changes = undo.plan().changes().count();
    world.tenant.set(|settings| settings.lag.exchange = 60_000);
    world.tenant.faults().add(Fault::once(Match::cmdlet("New-InboxRule"), Effect::Drop { applied: true }));
    let back = world.run(undo).await;
    assert_eq!(back.outcomes(), vec![Outcome::Done; changes], "{:?}", back.summary);
    let requests = world.tenant.requests();
    let created = requests.iter().filter(|it| it.cmdlet.as_deref() == Some("New-InboxRule") && it.mutated).count();
    assert_eq!(created, changes, "one creation for each rule");
}

#[tokio::test]
async fn all_methods_go_and_the_default_one_goes_last() {
    let world = World::aitm().await;
    let bound = one_step("user.remove-auth-methods", &json!({"user": VICTIM}));
    let file = world
        .plan_with(&bound, |discovery| {
            let all = |question: staunch::plan::Question| {
                let ids = question.candidates.into_iter().map(|candidate| candidate.target.id);
                (question.step, Selection::Ids(ids.collect()))
            };
            discovery.questions().into_iter().map(all).collect()
        })
        .await;
    let planned = file.plan().changes().count();
    assert!(planned >= 4, "{:#?}", file.plan());
    let ran = world.run(file).await;
    assert!(ran.outcomes().iter().all(|outcome| *outcome == Outcome::Done), "{:?}", ran.summary);
    let state = world.tenant.state();
    let id = world.tenant.inspect(|state| state.user(VICTIM).unwrap().id.clone());
    let methods = state["methods"][&id].as_object().map_or(0, serde_json::Map::len);
    assert!(methods <= 1, "only the password is left, not {methods} methods");
}

#[tokio::test]
async fn a_method_id_that_every_user_has_names_one_user_only_with_its_owner() {
    const MOBILE: &str = "3179e48a-750b-4051-897c-87b9720928f7";
    let world = World::aitm().await;
    let text = playbook(
        "  - id: first\n    steps:\n      - {id: methods, each: inputs.users, pick: operator, do: {user.remove-auth-methods: {user: each}}}\n",
    );
    let bound = bind(&text, &[("users", json!([VICTIM, "ines@sunnyside08.example"]))]);
    let session = world.session().await;
    let discovery = Discovery::run(&bound, REGISTRY, &session.reader()).await;
    let pick = |id: &str| Picks::from([("methods".to_owned(), Selection::Ids([id.to_owned()].into()))]);
    let errors = discovery.check(&pick(MOBILE)).unwrap_err();
    assert!(matches!(&errors[0], PickError::Ambiguous { keys, .. } if keys.len() == 2), "{errors:?}");
    let one = format!("{VICTIM}/{MOBILE}");
    discovery.check(&pick(&one)).unwrap();
    let file = world.plan_with(&bound, |_| pick(&one)).await;
    let changes: Vec<_> = file.plan().changes().collect();
    assert_eq!(changes.len(), 1, "{changes:#?}");
    assert_eq!(changes[0].target.of.as_ref().unwrap().raw(), VICTIM);
}

#[tokio::test]
async fn a_change_that_shows_late_is_waited_for_and_one_that_never_shows_is_unverified() {
    for (lag, outcome) in [(30_000, Outcome::Done), (3_600_000, Outcome::Unverified)] {
        let world = World::aitm_on_one_clock().await;
        let file = world.plan(&one_step("user.block-sign-in", &json!({"user": VICTIM}))).await;
        world.tenant.set(|settings| settings.lag.object = lag);
        let ran = world.run(file).await;
        assert_eq!(ran.outcomes(), [outcome], "lag {lag} ms");
        let lines = ran.history().lines;
        let waited = lines.iter().find_map(|line| match line.record {
            Record::Verified { reads, waited_ms, .. } => Some((reads, waited_ms)),
            _ => None,
        });
        let (reads, waited) = waited.unwrap();
        assert!(reads > 3 && waited >= 29_000, "{reads} reads in {waited} ms");
    }
}

#[tokio::test]
async fn an_emergency_account_is_refused_and_nothing_is_sent_for_it() {
    let mut world = World::aitm().await;
    world.protected.break_glass = vec![VICTIM.to_uppercase()];
    let text = playbook(
        "  - id: first\n    steps:\n      - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}\n",
    );
    let file = world.plan(&bind(&text, &[("users", json!([VICTIM, OTHER]))])).await;
    let refused = file
        .plan()
        .items()
        .filter(|(_, item)| matches!(item, Item::Refused { refusal, .. } if refusal.guard == "break-glass"));
    assert_eq!(refused.count(), 1);
    world.run(file).await;
    let enabled = |name: &str| world.tenant.inspect(|state| state.user(name).unwrap().account_enabled);
    assert_eq!((enabled(VICTIM), world.tenant.diff_from_seed().len()), (true, 1), "the other account goes on");
}

#[tokio::test]
async fn a_plan_over_its_limit_is_refused_as_a_whole() {
    let world = World::aitm().await;
    let text = playbook(
        "  - id: first\n    steps:\n      - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}\n",
    )
    .replace("changes: 50", "changes: 1");
    let file = world.plan(&bind(&text, &[("users", json!([VICTIM, OTHER]))])).await;
    assert_eq!(file.plan().blocked.len(), 1, "{:?}", file.plan().blocked);
    let session = world.session().await;
    let accept = staunch::plan::Accept {
        identity: session.identity(),
        now: file.plan().made_at,
        max_age: std::time::Duration::from_secs(60),
        applied: &[],
    };
    assert!(file.check(&accept).unwrap_err().to_string().contains("limit"));
}

#[tokio::test]
async fn a_sealed_password_opens_with_the_key_and_is_the_one_that_was_set() {
    let key = age::x25519::Identity::generate();
    let mut world = World::aitm().await;
    world.recipients = vec![key.to_public().to_string()];
    let bound = one_step("user.reset-password", &json!({"user": VICTIM, "hand_over": "sealed"}));
    let ran = world.run(world.plan(&bound).await).await;
    assert_eq!(ran.outcomes(), [Outcome::Done]);
    let lines = ran.history().lines;
    let sealed = lines.iter().position(|line| matches!(line.record, Record::Sealed { .. })).unwrap();
    let intent = lines.iter().position(|line| matches!(line.record, Record::Intent { .. })).unwrap();
    assert!(sealed < intent, "sealed before it was set");
    let Record::Sealed { file, owner, .. } = &lines[sealed].record else { unreachable!() };
    assert_eq!(owner, VICTIM);
    let path = world.case().join(file);
    assert!(!path.starts_with(&ran.dir), "outside the run's folder");
    let (named, password) = world.opened(file, &key);
    assert_eq!(named, VICTIM);
    assert!(world.tenant.password_is(VICTIM, &password));
}

#[tokio::test]
async fn without_a_recipient_the_plan_says_that_the_password_is_discarded() {
    let world = World::aitm().await;
    let bound = one_step("user.reset-password", &json!({"user": VICTIM, "hand_over": "sealed"}));
    let file = world.plan(&bound).await;
    let change = file.plan().changes().next().unwrap();
    assert!(change.caveats.iter().any(|caveat| caveat.text.contains("discarded")), "{:?}", change.caveats);
    assert!(matches!(change.undo, Undo::Impossible(_)));
    let ran = world.run(file).await;
    assert_eq!(ran.outcomes(), [Outcome::Done]);
    assert!(!world.case().join("handover").exists());
}

#[tokio::test]
async fn every_intent_has_its_snapshot_on_record_before_it() {
    let world = World::aitm().await;
    let bound = one_step("device.disable", &json!({"user": VICTIM}));
    let ran = world.run(world.plan(&bound).await).await;
    let lines = ran.history().lines;
    for (at, line) in lines.iter().enumerate() {
        if let Record::Intent { change, .. } = &line.record {
            let before = lines.iter().take(at).find(|line| {
                matches!(&line.record, Record::Observed { change: c, purpose: Purpose::Before, .. } if c == change)
            });
            assert!(!before.unwrap().ev.is_empty(), "the snapshot has its exact bytes");
        }
    }
}

/// Asks a run to stop once a change was sent.
struct StopAfter(Stop, Mutex<u32>);

impl Progress for StopAfter {
    fn event(&self, event: Event) {
        if let Event::Sent { .. } = event {
            let mut left = self.1.lock().unwrap();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.0.request();
            }
        }
    }
}

#[tokio::test]
async fn an_interrupted_run_ends_cleanly_and_resumes() {
    let world = World::aitm().await;
    let text = playbook(&TWO_STAGES.replace("ON_ERROR", "continue"));
    let file = world.plan(&bind(&text, &[("users", json!([VICTIM, OTHER]))])).await;
    let changes = file.plan().changes().count();
    let journal = world.journal(&file);
    let dir = journal.run_dir().to_owned();
    let approved = world.approve(PlanFile::parse(file.bytes().to_vec()).unwrap()).await;
    let mut deps = world.deps(journal).await;
    deps.progress = Arc::new(StopAfter(deps.stop.clone(), Mutex::new(2)));
    let summary = engine::run(approved, deps, Options::default()).await.unwrap();
    assert!(summary.interrupted && summary.outcomes.len() < changes, "{summary:?}");
    let history = History::load(&dir).unwrap();
    assert!(!history.closed);
    assert!(matches!(history.lines.last().unwrap().record, Record::Interrupted { .. }));
    let resumed = world.resume(&dir).await.unwrap();
    assert_eq!(resumed.outcomes.len(), changes);
    assert!(resumed.outcomes.values().all(|outcome| *outcome == Outcome::Done), "{resumed:?}");
    assert!([VICTIM, OTHER].iter().all(|user| world.tenant.passwords_set(user) == 1));
}

#[tokio::test]
async fn the_catalogue_has_the_eight_actions_of_the_spine() {
    let ids: Vec<&str> = REGISTRY.iter().map(|action| action.meta().id).collect();
    for id in [
        "user.block-sign-in",
        "user.revoke-sessions",
        "user.reset-password",
        "user.remove-auth-methods",
        "device.disable",
        "mailbox.disable-inbox-rules",
        "mailbox.remove-inbox-rules",
        "app.disable-service-principal",
    ] {
        assert!(ids.contains(&id), "{id} is missing");
    }
}
