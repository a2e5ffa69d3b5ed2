//! What was done, what was left alone, and what is still to do.

use super::{
    audience::Audience,
    plain,
    sections::{object, one_state},
    text::{Block, Text},
    types::{Change, NotPlanned, Report, WayBack},
};
use crate::{
    journal::{Mode, SentOutcome},
    model::{Outcome, Target},
};

/// By account: step, object, before, after, outcome, reason, way back.
pub(super) fn response(report: &Report, blocks: &mut Vec<Block>) {
    blocks.push(Block::Section(heading(report)));
    if report.accounts.is_empty() {
        blocks.push(Block::Paragraph(Text::new().words("nothing was to be changed")));
    }
    for account in &report.accounts {
        blocks.push(Block::Part(Text::new().foreign(&account.name)));
        for change in &account.changes {
            one(change, blocks);
        }
    }
}

fn heading(report: &Report) -> &'static str {
    match report.status.mode {
        Mode::Apply => "Response",
        Mode::Undo => "Taken back",
    }
}

/// A line for each change; with what differs, for a reader to whom the names of properties say something.
pub(super) fn brief(report: &Report, audience: Audience, blocks: &mut Vec<Block>) {
    blocks.push(Block::Section(heading(report)));
    for account in &report.accounts {
        blocks.push(Block::Part(Text::new().foreign(&account.name)));
        for change in &account.changes {
            blocks.push(Block::Point(0, titled(change, audience).seq(change.line())));
            let differences = change.differences.iter().filter(|_| !audience.is_plain());
            blocks.extend(differences.map(|difference| {
                let text = Text::new().code(&difference.name).words(": ").code_cut(&difference.before);
                let text = text.words(" → ").code_cut(&difference.after);
                Block::Point(1, text.seq(change.read_back.or(change.line())))
            }));
        }
    }
}

/// `done  Block sign-in: account "johanna@…"`
fn titled(change: &Change, audience: Audience) -> Text {
    let text = Text::new().outcome(change.outcome).words(" ");
    let text = match change.title.as_ref().or(change.action.as_ref()) {
        Some(title) => text.said(title).words(": "),
        None => text.code(&change.id).words(" "),
    };
    match &change.target {
        Some(target) => thing(text, target, audience),
        None => text,
    }
}

/// The object, for readers outside the trade without its id.
fn thing(text: Text, target: &Target, audience: Audience) -> Text {
    let kind = if audience.is_plain() { plain::kind(&target.kind) } else { &target.kind };
    text.said(kind).words(" ").foreign(&target.name)
}

fn one(change: &Change, blocks: &mut Vec<Block>) {
    blocks.push(Block::Point(0, named(change).seq(change.line())));
    let mut point = |text: Text| blocks.push(Block::Point(1, text));
    if let Some(note) = &change.note {
        point(Text::new().words("found: ").said(note.raw()).seq(change.snapshot.or(change.line())));
    }
    states(change, &mut point);
    point(Text::new().said(&change.reason).seq(change.line()));
    for call in &change.calls {
        let how = match call.outcome {
            Some(SentOutcome::Accepted) => "accepted",
            Some(SentOutcome::NotFound) => "not found",
            Some(SentOutcome::Rejected) => "rejected",
            Some(SentOutcome::NotSent) => "not sent",
            Some(SentOutcome::Unknown) => "answer lost",
            None => "answer not on record",
        };
        let text = Text::new().words("sent ").seq(call.intent).words(" ").code_cut(&call.request);
        let status = call.status.map_or_else(String::new, |status| format!(" ({status})"));
        let mut text = text.words(format!(": {how}{status}")).seq(call.sent);
        for warning in &call.warnings {
            text = text.words(" warning ").foreign(warning);
        }
        point(text);
    }
    match &change.way_back {
        WayBack::Calls(_) => point(Text::new().words("can be taken back").seq(change.line())),
        WayBack::Impossible(reason) => {
            point(Text::new().words("cannot be taken back: ").said(reason).seq(change.line()));
        }
        WayBack::NotNeeded | WayBack::NotKnown => {}
    }
    for caveat in &change.caveats {
        point(Text::new().words("note: ").said(&caveat.text).seq(change.line()));
    }
}

/// `done  block: user "johanna@…" (id)`
fn named(change: &Change) -> Text {
    let text = Text::new().outcome(change.outcome).words(" ").code(&change.id).words(" ");
    let text = match (&change.step, &change.action) {
        (Some(step), Some(action)) => text.said(step).words(" (").said(action).words(") "),
        _ => text,
    };
    match &change.target {
        Some(target) => object(text, target),
        None => text,
    }
}

fn states(change: &Change, point: &mut impl FnMut(Text)) {
    let seen_after = change.read_back.or(change.line());
    match (&change.before, &change.after) {
        (Some(_), Some(after)) => {
            for difference in &change.differences {
                let text = Text::new().code(&difference.name).words(": ").code_cut(&difference.before);
                let text = text.seq(change.snapshot).words(" → ").code_cut(&difference.after);
                point(text.seq(seen_after));
            }
            if change.differences.is_empty() {
                let words = match change.outcome {
                    // What is not seen may be so.
                    None | Some(Outcome::Unknown | Outcome::Unverified | Outcome::Pending) => "not seen to change: ",
                    _ => "unchanged: ",
                };
                point(one_state(Text::new().words(words), after).seq(seen_after));
            }
        }
        (Some(before), None) => point(one_state(Text::new().words("before: "), before).seq(change.snapshot)),
        (None, Some(after)) => point(one_state(Text::new().words("after: "), after).seq(seen_after)),
        (None, None) => {}
    }
}

/// What was found and not picked.
pub(super) fn left_alone(report: &Report, audience: Audience, blocks: &mut Vec<Block>) {
    if report.left_alone.is_empty() && report.nothing_found.is_empty() {
        return;
    }
    blocks.push(Block::Section("Found and left alone"));
    for left in &report.left_alone {
        let text = match audience.is_plain() {
            true => thing(Text::new(), &left.target, audience),
            false => object(Text::new().said(&left.step).words(": "), &left.target),
        };
        let text = match &left.target.of {
            Some(of) if *of != left.target.name => text.words(" of ").foreign(of),
            _ => text,
        };
        let text = if left.certain { text } else { text.words(", not certainly of the incident") };
        blocks.push(Block::Point(0, text));
        if !left.note.raw().is_empty() {
            let note = left.note.raw();
            let note = if audience.is_plain() { plain::note(note) } else { note.to_owned() };
            blocks.push(Block::Point(1, Text::new().said(note)));
        }
        let note = |caveat: &crate::model::Caveat| Block::Point(1, Text::new().words("note: ").said(&caveat.text));
        blocks.extend(left.caveats.iter().map(note));
    }
    for (step, subject) in &report.nothing_found {
        let text = Text::new().said(step).words(": found nothing for ").foreign(subject);
        blocks.push(Block::Point(0, text));
    }
}

/// What does not hold, each with what to do next.
pub(super) fn not_done(report: &Report, audience: Audience, blocks: &mut Vec<Block>) {
    let changes = report.accounts.iter().flat_map(|account| &account.changes);
    let open: Vec<&Change> = changes.filter(|change| needs_somebody(change.outcome)).collect();
    if open.is_empty() && report.not_planned.is_empty() {
        return;
    }
    blocks.push(Block::Section("Not done, or not known"));
    for change in open {
        let what = if audience.is_plain() { titled(change, audience) } else { named(change) };
        blocks.push(Block::Point(0, what.seq(change.line())));
        let reason = Text::new().said(&change.reason).seq(change.line());
        blocks.push(Block::Point(1, reason));
        blocks.push(Block::Point(1, Text::new().words("next: ").words(&change.next_step).seq(change.line())));
    }
    for item in &report.not_planned {
        not_planned(item, audience, blocks);
    }
}

fn needs_somebody(outcome: Option<Outcome>) -> bool {
    !matches!(outcome, Some(Outcome::Done | Outcome::Already))
}

fn not_planned(item: &NotPlanned, audience: Audience, blocks: &mut Vec<Block>) {
    let (outcome, next) = match item.guard {
        Some(_) => (Outcome::Refused, Outcome::Refused.next_step()),
        None => (Outcome::Failed, Outcome::Failed.next_step()),
    };
    let mut text = Text::new().outcome(Some(outcome)).words(" when the plan was made, ").said(&item.step).words(": ");
    if let Some(target) = &item.target {
        text = if audience.is_plain() { thing(text, target, audience) } else { object(text, target) };
    }
    if let Some(subject) = &item.subject {
        text = text.foreign(subject);
    }
    blocks.push(Block::Point(0, text));
    let reason = match &item.guard {
        Some(_) if audience.is_plain() => Text::new().words("a safeguard: ").said(&item.reason),
        Some(guard) => Text::new().words("guard ").said(guard).words(": ").said(&item.reason),
        None => Text::new().said(&item.reason),
    };
    blocks.push(Block::Point(1, reason));
    blocks.push(Block::Point(1, Text::new().words("next: ").words(next)));
}
