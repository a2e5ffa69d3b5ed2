//! A plan in words. What is shown is what is hashed: nothing here is computed, only written out.

use std::fmt::Write as _;

use crate::{
    model::{Change, Item, Preflight, Target, Undo, json_for_terminal},
    plan::{Mode, Plan, PlanFile, PlanStep},
    playbook::{Gate, When},
};

/// The whole plan for a terminal. Text from the tenant is escaped.
pub fn terminal(file: &PlanFile) -> String {
    let plan = file.plan();
    let mut out = String::new();
    head(&mut out, file);
    for stage in &plan.stages {
        let why = stage.why.as_deref().unwrap_or_default();
        put(&mut out, 0, &format!("\nStage {}{}{why}", stage.id, if why.is_empty() { "" } else { ": " }));
        if matches!(stage.gate, Gate::Verified) {
            put(&mut out, 1, "the next stage waits until all of this is verified");
        }
        for step in &stage.steps {
            step_text(&mut out, step);
        }
    }
    for task in &plan.handover {
        put(&mut out, 0, &format!("\nLeft for {}: {}", task.to, task.task));
    }
    for caveat in &plan.caveats {
        put(&mut out, 0, &format!("\nBLIND: {}", caveat.text));
    }
    put_overrides(&mut out, plan);
    put(&mut out, 0, &format!("\n{}", summary(plan)));
    for refusal in &plan.blocked {
        put(&mut out, 0, &format!("REFUSED as a whole by guard {}: {}", refusal.guard, refusal.reason));
    }
    out
}

/// What a person is asked to confirm, generated from the plan.
pub fn confirmation(file: &PlanFile) -> String {
    let plan = file.plan();
    let mut out = String::new();
    let verb = if matches!(plan.mode, Mode::Apply) { "change" } else { "take back" };
    let tally = plan.tally();
    put(&mut out, 0, &format!("This will {verb} in tenant {}:", plan.tenant_id));
    for change in plan.changes() {
        let undo = if matches!(change.undo, Undo::Impossible(_)) { "  (cannot be undone)" } else { "" };
        put(&mut out, 1, &format!("{} {} on {}{undo}", change.id, change.action, object(&change.target)));
    }
    put_overrides(&mut out, plan);
    put(&mut out, 0, &format!("{} changes, of which {} cannot be undone.", tally.changes, tally.irreversible));
    out
}

fn put_overrides(out: &mut String, plan: &Plan) {
    for it in &plan.overrides {
        let target = it.target.as_deref().map(|target| format!(" for {target}")).unwrap_or_default();
        put(out, 0, &format!("\nOVERRIDDEN: guard {}{target}; reason given: {}", it.guard, it.reason));
    }
}

fn head(out: &mut String, file: &PlanFile) {
    let plan = file.plan();
    put(out, 0, &plan.title);
    if let Some(playbook) = &plan.playbook {
        put(out, 0, &format!("playbook {} {} (sha256 {})", playbook.id, playbook.version, playbook.sha256));
    }
    put(out, 0, &format!("tenant   {} as application {}", plan.tenant_id, plan.identity.app_id));
    put(out, 0, &format!("made     {} by staunch {}", plan.made_at, plan.made_by));
    put(out, 0, &format!("digest   {}", file.digest()));
}

fn step_text(out: &mut String, step: &PlanStep) {
    put(out, 1, &format!("{} ({})", step.id, step.action));
    match &step.when {
        When::Always => {}
        When::Never { reason } => put(out, 2, &format!("skipped: {reason}")),
        When::Outcome { step } => put(out, 2, &format!("only if step {step} holds")),
    }
    for item in &step.items {
        item_text(out, item);
    }
}

fn item_text(out: &mut String, item: &Item) {
    match item {
        Item::Change(change) => change_text(out, change),
        Item::Already(change) => put(out, 2, &format!("already so: {}", object(&change.target))),
        Item::NotPicked { target, note, caveats, .. } => {
            put(out, 2, &format!("left alone: {}", object(target)));
            put(out, 3, &note.line());
            for caveat in caveats {
                put(out, 3, &format!("note: {}", caveat.text));
            }
        }
        Item::Refused { target, refusal } => {
            put(out, 2, &format!("REFUSED: {} by guard {}: {}", object(target), refusal.guard, refusal.reason));
        }
        Item::Stays { target, reason } => put(out, 2, &format!("stays: {}: {}", object(target), reason.0)),
        Item::Problem { subject, reason } => {
            put(out, 2, &format!("PROBLEM: {}: {}", subject.term(), reason));
        }
        Item::Nothing { subject } => put(out, 2, &format!("nothing found for {}", subject.term())),
    }
}

fn change_text(out: &mut String, change: &Change) {
    put(out, 2, &format!("{} change {}", change.id, object(&change.target)));
    if !change.note.raw().is_empty() {
        put(out, 3, &format!("found: {}", change.note.line()));
    }
    for difference in &change.differences {
        put(out, 3, &format!("{}: {} → {}", difference.name, difference.before, difference.after));
    }
    let told = match &change.preflight {
        Preflight::Can => None,
        Preflight::Cannot { reason } => {
            put(out, 3, &format!("CANNOT, as it seems; the tenant's answer will count: {reason}"));
            Some(reason)
        }
        Preflight::WillNotLast { reason } => {
            put(out, 3, &format!("WILL NOT LAST: {reason}"));
            Some(reason)
        }
    };
    for call in &change.calls {
        put(out, 3, &format!("send: {}", call.summary()));
    }
    match &change.undo {
        Undo::Calls(calls) => {
            for call in calls {
                put(out, 3, &format!("undo: {}", call.summary()));
            }
        }
        Undo::Impossible(reason) => put(out, 3, &format!("no undo: {}", reason.0)),
    }
    for caveat in change.caveats.iter().filter(|caveat| Some(&caveat.text) != told) {
        put(out, 3, &format!("note: {}", caveat.text));
    }
}

/// `device "LAPTOP-1" of "johanna@…" [id]`
pub(crate) fn object(target: &Target) -> String {
    let of =
        target.of.as_ref().filter(|of| **of != target.name).map(|of| format!(" of {}", of.term())).unwrap_or_default();
    format!("{} {}{of} [{}]", target.kind, target.name.term(), json_for_terminal(&target.id))
}

fn summary(plan: &Plan) -> String {
    let tally = plan.tally();
    let doubtful = match tally.doubtful {
        0 => String::new(),
        count => format!(", {count} expected to be refused or not to last"),
    };
    format!(
        "{} changes ({} cannot be undone{doubtful}), {} already so, {} found and left alone, {} refused, {} problems",
        tally.changes, tally.irreversible, tally.already, tally.not_picked, tally.refused, tally.problems
    )
}

fn put(out: &mut String, depth: usize, line: &str) {
    // Whatever a line was made of, nothing in it may move a cursor.
    let line = json_for_terminal(line);
    writeln!(out, "{:indent$}{line}", "", indent = depth * 2).unwrap_or_default();
}
