//! A tenant in which somebody works against us meanwhile: names that are written for a terminal, and our own application
//! disabled in the middle of a run.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use mock_server::Tenant;
use serde_json::json;
use staunch::{
    actions::REGISTRY,
    engine::{self, Event, Options, Progress},
    journal::Verdict,
    model::Outcome,
    report::{Audience, Known, Report},
};

use super::{
    all_done, assert_sound,
    common::{World, bind, one_step},
    example,
    faults::changed,
    mutations, plan,
};

/// A clear screen, a title, a colour, a text that runs backwards, an invisible sign, a new line, and markup.
const NAME: &str = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}gnp\u{2066}\u{200b}\r\nCONTAINED | <img src=x> ![x](x)";

/// Gives every object that an action may touch a name like that.
fn rename_all(tenant: &Tenant) {
    tenant.edit(|state| {
        let ids: Vec<String> = state.users.values().map(|user| user.id.clone()).collect();
        ids.iter().for_each(|id| state.users.get_mut(id).unwrap().display_name = NAME.to_owned());
        let ids: Vec<String> = state.devices.values().map(|device| device.id.clone()).collect();
        ids.iter().for_each(|id| state.devices.get_mut(id).unwrap().display_name = NAME.to_owned());
        let ids: Vec<String> = state.service_principals.values().map(|it| it.id.clone()).collect();
        ids.iter().for_each(|id| state.service_principals.get_mut(id).unwrap().display_name = NAME.to_owned());
        let ids: Vec<String> = state.mailboxes.values().map(|mailbox| mailbox.user_id.clone()).collect();
        for id in ids {
            let mailbox = state.mailboxes.get_mut(&id).unwrap();
            mailbox.display_name = NAME.to_owned();
            mailbox.rules.iter_mut().for_each(|rule| rule.name = NAME.to_owned());
        }
    });
}

/// What a terminal would obey: all control characters but a line's end, and what turns or hides text.
fn obeyed(text: &str) -> Option<char> {
    let turns = |c: char| matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}');
    text.chars().find(|c| c.is_control() && *c != '\n' || turns(*c))
}

#[tokio::test]
async fn names_that_are_written_for_a_terminal_are_shown_and_not_obeyed() {
    for action in REGISTRY.iter() {
        let id = action.meta().id;
        let world = World::aitm().await;
        rename_all(&world.tenant);
        let file = plan(&world, action).await;
        let shown = [staunch::plan::terminal(&file), staunch::plan::confirmation(&file)];
        let ran = world.run(file).await;
        assert!(all_done(&ran.outcomes()), "{id}: {:?}", ran.summary.outcomes);
        assert_sound(&ran.dir);
        let report = Report::read_with(&ran.dir, &Known::actions(&|id| REGISTRY.meta(id))).unwrap();
        let all = [Audience::Owner, Audience::Technical, Audience::Management, Audience::Regulator];
        let reports = all.map(|audience| [report.markdown_for(audience), report.terminal_for(audience, 100, false)]);
        // In code nothing is markup.
        let prose = reports.iter().flat_map(|[markdown, _]| markdown.split('`').step_by(2));
        prose.for_each(|text| assert!(!text.contains("<img") && !text.contains("![x]"), "{id}: {text}"));
        for text in shown.iter().chain(reports.as_flattened()) {
            assert_eq!(obeyed(text), None, "{id}: {text}");
            assert!(text.lines().all(|line| !line.trim_start().starts_with("CONTAINED | ")), "{id}: {text}");
        }
    }
}

/// Three changes to each of two accounts, one stage after the other.
const STAGES: &str = "schema: staunch/v1
id: test
version: 1.0.0
title: Several
inputs:
  users: {type: users}
limits: {changes: 50}
stages:
  - id: first
    steps: [{id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}]
  - id: second
    steps: [{id: password, each: inputs.users, do: {user.reset-password: {user: each}}}]
  - id: third
    steps: [{id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}]
";

/// Disables our own application as soon as a change was sent.
struct Saboteur {
    tenant: Tenant,
    sent: AtomicBool,
}

fn set_ours(tenant: &Tenant, enabled: bool) {
    let us = tenant.credentials().client_id;
    tenant.edit(|state| {
        let id = state.service_principals.values().find(|it| it.app_id == us).unwrap().id.clone();
        state.service_principals.get_mut(&id).unwrap().account_enabled = enabled;
    });
}

impl Progress for Saboteur {
    fn event(&self, event: Event) {
        if matches!(event, Event::Sent { .. }) && !self.sent.swap(true, Ordering::SeqCst) {
            set_ours(&self.tenant, false);
        }
    }
}

#[tokio::test]
async fn an_application_that_is_disabled_in_the_middle_of_a_run_leaves_what_resume_takes_up() {
    let all = REGISTRY.iter().map(|action| one_step(action.meta().id, &example(action)));
    // One action after the other; the first change of all is followed by the loss of the sign-in.
    let several = bind(STAGES, &[("users", json!(["johanna@sunnyside08.example", "grady@sunnyside08.example"]))]);
    for bound in all.chain([several]) {
        let calm = World::aitm_on_one_clock().await;
        let file = calm.plan(&bound).await;
        assert!(all_done(&calm.run(file).await.outcomes()));

        let world = World::aitm_on_one_clock().await;
        world.tenant.set(|settings| settings.continuous_access = true);
        let file = world.plan(&bound).await;
        let (what, changes) = (file.plan().title.clone(), file.plan().changes().count());
        let journal = world.journal(&file);
        let dir = journal.run_dir().to_owned();
        let (approved, mut deps) = (world.approve(file).await, world.deps(journal).await);
        deps.progress = Arc::new(Saboteur { tenant: world.tenant.clone(), sent: AtomicBool::new(false) });
        let summary = engine::run(approved, deps, Options::default()).await.unwrap();
        // What cannot be looked at again is not called done; what cannot be sent for now is not called refused.
        let known = |outcome: &Outcome| matches!(outcome, Outcome::Done | Outcome::Unverified);
        assert!(summary.outcomes.values().all(known), "{what}: {summary:?}");
        assert_eq!(summary.outcomes.len() + summary.left.len(), changes, "{what}: {summary:?}");
        assert_eq!(summary.is_closed(), summary.left.is_empty(), "{what}: {summary:?}");
        set_ours(&world.tenant, true);
        if summary.is_closed() {
            assert_sound(&dir);
        } else {
            assert_eq!(staunch::journal::verify(&dir).verdict, Verdict::Open, "{what}");
            let resumed = world.resume(&dir).await.unwrap();
            assert!(resumed.is_closed() && resumed.outcomes.values().all(known), "{what}: {resumed:?}");
            assert_sound(&dir);
        }
        assert_eq!((mutations(&world), changed(&world)), (mutations(&calm), changed(&calm)), "{what}");
        assert!(changes < 6 || summary.left.len() >= 4, "{what}: {summary:?}");
    }
}
