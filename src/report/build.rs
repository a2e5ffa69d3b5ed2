//! Journal and plan, put together.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use super::{
    gather::{ChangeFacts, Facts, denied},
    intrusion,
    plan::{Placed, PlanFile},
    types::{
        Account, Change, Clock, Containment, Exhibit, Exposure, FORMAT, LeftAlone, Method, NotPlanned, Proof, Report,
        RequestFor, Rollback, Spot, Status, WayBack,
    },
};
use crate::{
    journal::{History, Verification},
    model::{self, CaveatKind, Difference, Exchange, Item, Outcome, Target, Undo, Untrusted, diff},
};

/// How long an access token lives by default, about.
///
/// Source: Microsoft Entra, "Continuous access evaluation" and "Access token lifetime".
const TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(1);

/// How long one of continuous access evaluation lives at most. A service that supports it refuses it within minutes.
///
/// Source: Microsoft Entra, "Continuous access evaluation", long-lived tokens.
const LONG_TOKEN_LIFE: SignedDuration = SignedDuration::from_hours(28);

/// The input by which playbooks name the first access of the intruder.
const INCIDENT_START: &str = "incident_start";

/// A change as the plan has it.
struct Planned {
    stage: String,
    step: String,
    change: model::Change,
}

/// What the plan says, sorted.
#[derive(Default)]
struct Sorted {
    changes: Vec<Planned>,
    left_alone: Vec<LeftAlone>,
    not_planned: Vec<NotPlanned>,
    nothing_found: Vec<(String, Untrusted)>,
    blind_spots: Vec<Spot>,
}

pub(super) fn report(
    history: &History,
    facts: &Facts,
    exchanges: Vec<(Exhibit, Option<Exchange>)>,
    verification: Verification,
) -> Report {
    let file = PlanFile::parse(&history.plan);
    let mut sorted = Sorted::default();
    sorted.note_unseen(&file.caveats().collect::<Vec<_>>());
    for placed in file.items() {
        sorted.take(placed);
    }
    let changes = changes(&sorted.changes, facts);
    let rollback = changes.iter().filter_map(rollback).collect();
    let status = status(history, facts, verification, (&changes, sorted.not_planned.len()));
    let method = method(history, facts, &file, &sorted, &exchanges);
    let exposure = exposure(facts, &file);
    Report {
        format: FORMAT.to_owned(),
        title: if file.plan.title.is_empty() { history.header.plan_id.clone() } else { file.plan.title.clone() },
        marking: None,
        status,
        intrusion: Vec::new(),
        steps: file.steps().collect(),
        accounts: by_account(changes),
        left_alone: sorted.left_alone,
        not_planned: sorted.not_planned,
        nothing_found: sorted.nothing_found,
        exposure,
        requests: file.tasks().map(|task| RequestFor { to: task.to, task: task.task }).collect(),
        secrets: facts.secrets.clone(),
        rollback,
        evidence: exchanges.into_iter().map(|(exhibit, _)| exhibit).collect(),
        method,
        timeline: Vec::new(),
        timeline_findings: Vec::new(),
        indicators: Vec::new(),
        techniques: Vec::new(),
        playbook_counters: intrusion::stated(&file.counters()),
    }
}

impl Sorted {
    fn take(&mut self, placed: Placed<'_>) {
        let Placed { stage, step, item } = placed;
        let id = step.id.clone();
        match item {
            Item::Change(change) | Item::Already(change) => {
                self.note_unseen(&change.caveats);
                self.changes.push(Planned { stage: stage.to_owned(), step: id, change: *change });
            }
            Item::NotPicked { target, note, certain, caveats } => {
                self.note_unseen(&caveats);
                self.left_alone.push(LeftAlone { step: id, target: *target, note, certain, caveats });
            }
            Item::Refused { target, refusal } => self.not_planned.push(NotPlanned {
                step: id,
                guard: Some(refusal.guard),
                target: Some(*target),
                subject: None,
                reason: refusal.reason,
            }),
            Item::Problem { subject, reason } => self.not_planned.push(NotPlanned {
                step: id,
                guard: None,
                target: None,
                subject: Some(subject),
                reason,
            }),
            Item::Stays { target, reason } => {
                let note = format!("stays as the run left it: {}", reason.0).into();
                self.left_alone.push(LeftAlone { step: id, target: *target, note, certain: true, caveats: Vec::new() });
            }
            Item::Nothing { subject } => self.nothing_found.push((id, subject)),
        }
    }

    fn note_unseen(&mut self, caveats: &[model::Caveat]) {
        for caveat in caveats.iter().filter(|caveat| caveat.kind == CaveatKind::BlindSpot) {
            self.blind_spots.push(Spot { seq: None, text: caveat.text.clone() });
        }
    }
}

/// All changes: those of the plan in its order, then what only the journal knows.
fn changes(planned: &[Planned], facts: &Facts) -> Vec<Change> {
    let known = |id: &String| planned.iter().any(|planned| planned.change.id == *id);
    let of_plan = planned.iter().map(|planned| change(&planned.change.id, Some(planned), facts));
    let others = facts.order.iter().filter(|id| !known(id)).map(|id| change(id, None, facts));
    of_plan.chain(others).collect()
}

fn change(id: &str, planned: Option<&Planned>, facts: &Facts) -> Change {
    let nothing = ChangeFacts::default();
    let facts = facts.changes.get(id).unwrap_or(&nothing);
    let ended = facts.ended.as_ref();
    let outcome = ended.map(|ended| ended.outcome);
    let (reason, next_step) = match ended {
        Some(ended) => (ended.reason.clone(), ended.outcome.next_step()),
        None if facts.calls.is_empty() => ("the run did not come so far".to_owned(), "resume the run"),
        None if !facts.may_have_changed() => (
            "it could not be sent, and only for want of time: the tenant did not take it, or was not reached"
                .to_owned(),
            "resume the run",
        ),
        None => {
            ("a call was announced, and how it ended is not known yet".to_owned(), "resume the run, which reads it")
        }
    };
    let plan = planned.map(|planned| &planned.change);
    let before = ended.and_then(|ended| ended.before.clone()).or_else(|| facts.before.clone());
    let after = ended.and_then(|ended| ended.after.clone()).or_else(|| facts.last_seen.clone());
    Change {
        differences: differences(plan, before.as_ref(), after.as_ref()),
        id: id.to_owned(),
        stage: planned.map(|planned| planned.stage.clone()),
        step: planned.map(|planned| planned.step.clone()),
        action: plan.map(|change| change.action.clone()),
        title: None,
        target: ended.map(|ended| &ended.target).or(plan.map(|change| &change.target)).cloned(),
        note: plan.map(|change| change.note.clone()).filter(|note| !note.raw().is_empty()),
        snapshot: facts.snapshot,
        calls: facts.calls.clone(),
        read_back: facts.read_back,
        ended: ended.map(|ended| ended.seq),
        outcome,
        reason,
        next_step: next_step.to_owned(),
        before,
        after,
        caveats: ended.map(|ended| &ended.caveats).or(plan.map(|change| &change.caveats)).cloned().unwrap_or_default(),
        way_back: way_back(facts, plan),
    }
}

/// What became of the object. Where that is exactly what was planned, the plan has the better words.
fn differences(plan: Option<&model::Change>, before: Option<&Value>, after: Option<&Value>) -> Vec<Difference> {
    let (Some(before), Some(after)) = (before, after) else {
        return Vec::new();
    };
    match plan {
        Some(plan) if plan.before == *before && plan.wanted == *after => plan.differences.clone(),
        _ => diff(before, after),
    }
}

fn way_back(facts: &ChangeFacts, plan: Option<&model::Change>) -> WayBack {
    if !facts.may_have_changed() || facts.ended.as_ref().is_some_and(|ended| ended.outcome == Outcome::Already) {
        return WayBack::NotNeeded;
    }
    match plan.map(|change| &change.undo) {
        Some(Undo::Calls(calls)) => WayBack::Calls(calls.iter().map(model::Call::summary).collect()),
        Some(Undo::Impossible(reason)) => WayBack::Impossible(reason.0.clone()),
        None => WayBack::NotKnown,
    }
}

fn rollback(change: &Change) -> Option<Rollback> {
    (change.way_back != WayBack::NotNeeded).then(|| Rollback {
        change: change.id.clone(),
        seq: change.ended.or_else(|| change.calls.last().map(|call| call.intent)),
        target: change.target.clone(),
        way_back: change.way_back.clone(),
    })
}

/// Groups by the account that an object belongs to, in the order in which accounts first appear.
fn by_account(changes: Vec<Change>) -> Vec<Account> {
    let mut accounts: Vec<Account> = Vec::new();
    for change in changes {
        let name = account_of(change.target.as_ref());
        match accounts.iter_mut().find(|account| account.name == name) {
            Some(account) => account.changes.push(change),
            None => accounts.push(Account { name, changes: vec![change] }),
        }
    }
    accounts
}

fn account_of(target: Option<&Target>) -> Untrusted {
    target.map(|target| target.of.as_ref().unwrap_or(&target.name).clone()).unwrap_or_default()
}

fn status(
    history: &History,
    facts: &Facts,
    verification: Verification,
    (changes, not_planned): (&[Change], usize),
) -> Status {
    let mut counts = BTreeMap::new();
    for change in changes {
        let word = change.outcome.map_or("not-ended", Outcome::word);
        *counts.entry(word.to_owned()).or_insert(0) += 1;
    }
    let problems = verification.problems().cloned().collect();
    let header = &history.header;
    Status {
        containment: containment(changes, not_planned),
        counts,
        mode: header.mode,
        run_id: header.run_id.clone(),
        undo_of: header.undo_of.clone(),
        case: header.case.clone(),
        tenant_id: header.tenant_id.clone(),
        cloud: header.cloud,
        approvals: facts.approvals.clone(),
        started: header.started,
        until: facts.until,
        closed: history.closed,
        interrupted: facts.interrupted.clone(),
        verdict: verification.verdict,
        records: verification.records,
        head: verification.head,
        anchor: verification.anchor,
        problems,
    }
}

fn containment(changes: &[Change], not_planned: usize) -> Containment {
    let hold = changes.iter().filter(|change| change.outcome.is_some_and(Outcome::holds)).count();
    match (hold, changes.len() + not_planned) {
        (_, 0) => Containment::NothingToDo,
        (hold, all) if hold == all => Containment::Full,
        (0, _) => Containment::None,
        _ => Containment::Partly,
    }
}

fn exposure(facts: &Facts, file: &PlanFile) -> Exposure {
    let stated = file.plan.inputs.get(INCIDENT_START).and_then(Value::as_str);
    let ms = facts.close.as_ref().and_then(|close| Some((close.seq, close.last_cut_off_ms?)));
    let last_cut_off = ms.and_then(|(seq, ms)| {
        let after = SignedDuration::from_millis(i64::try_from(ms).ok()?);
        Some(Proof { seq, what: facts.opened?.checked_add(after).ok()? })
    });
    let after_cut = |life| last_cut_off.as_ref().and_then(|cut: &Proof<Timestamp>| cut.what.checked_add(life).ok());
    Exposure {
        stated_start: stated.and_then(|text| text.parse().ok()),
        last_cut_off_ms: ms.map(|(_, ms)| ms),
        contained_ms: facts.close.as_ref().and_then(|close| close.contained_ms),
        tokens_until: after_cut(TOKEN_LIFE),
        tokens_at_the_latest: after_cut(LONG_TOKEN_LIFE),
        last_cut_off,
        first_access: None,
        open_for_ms: None,
    }
}

fn method(
    history: &History,
    facts: &Facts,
    file: &PlanFile,
    sorted: &Sorted,
    exchanges: &[(Exhibit, Option<Exchange>)],
) -> Method {
    let header = &history.header;
    // What the plan says too is said with its line.
    let on_record = |spot: &&Spot| facts.blind_spots.iter().any(|it| it.text == spot.text);
    let mut blind_spots: Vec<Spot> = sorted.blind_spots.iter().filter(|spot| !on_record(spot)).cloned().collect();
    blind_spots.extend(facts.blind_spots.iter().cloned());
    blind_spots.extend(denied(exchanges));
    blind_spots.sort();
    blind_spots.dedup();
    let mut resumed = facts.resumed.clone();
    for taken_up in &mut resumed {
        taken_up.what.identity.take_if(|us| us.is_same_as(&header.identity));
    }
    Method {
        tool: header.tool.clone(),
        host: header.host.clone(),
        os_user: header.os_user.clone(),
        command: header.command.clone(),
        identity: header.identity.clone(),
        playbook: header.playbook.clone(),
        inputs: file.plan.inputs.clone(),
        plan_digest: file.digest.clone(),
        clock: clock(exchanges),
        resumed,
        blind_spots,
    }
}

/// The tenant's clock against ours: its `Date`, taken in the middle of its second, against the middle of the exchange.
fn clock(exchanges: &[(Exhibit, Option<Exchange>)]) -> Option<Clock> {
    let mut offsets: Vec<i64> = exchanges
        .iter()
        .filter_map(|(_, head)| {
            let head = head.as_ref()?;
            let ours = i64::midpoint(head.started.as_millisecond(), head.ended.as_millisecond());
            Some(head.server_date?.as_millisecond() + 500 - ours)
        })
        .collect();
    offsets.sort_unstable();
    let offset_ms = *offsets.get(offsets.len() / 2)?;
    Some(Clock { offset_ms, samples: u32::try_from(offsets.len()).unwrap_or(u32::MAX) })
}
