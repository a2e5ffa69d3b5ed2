//! What stands in which section.

use serde_json::Value;

use super::{
    audience::Audience,
    plain,
    text::{Block, Text},
    types::{Containment, Exposure, Method, Report, Rollback, Status, WayBack},
};
use crate::{
    journal::{Approval, Mode, Verdict},
    model::{Identity, IdentityKind, Target},
};

/// `device "LAPTOP-1" (id)`
pub(super) fn object(text: Text, target: &Target) -> Text {
    let text = text.said(&target.kind).words(" ").foreign(&target.name).words(" (").code(&target.id);
    match &target.workload {
        Some(workload) => text.words(", client id ").code(&workload.app_id).words(")"),
        None => text.words(")"),
    }
}

/// The status box; for a technical reader with the key and the root.
pub(super) fn status(report: &Report, audience: Audience, blocks: &mut Vec<Block>) {
    let status = &report.status;
    let (word, good) = word(&report.status);
    let text = Text::new().loud(word, good).words(" — ").words(came_to_in_numbers(report));
    blocks.push(Block::Paragraph(text));
    if status.verdict == Verdict::Broken {
        let warning = "The record does not verify: what stands below may have been altered.";
        blocks.push(Block::Paragraph(Text::new().loud(warning, false)));
    }
    let mut point = |text: Text| blocks.push(Block::Point(0, text));
    for approval in &status.approvals {
        let how = match approval.how {
            Approval::Prompt => "at the prompt",
            Approval::Flag => "by the plan's digest on the command line",
            Approval::Demo => "by the rehearsal itself",
        };
        let text = Text::new().words("approved by ").said(&approval.by).words(format!(" {how}"));
        point(text.seq(approval.seq));
        for made in &approval.overrides {
            let text = if audience.is_plain() {
                Text::new().words("a safeguard was set aside on purpose")
            } else {
                Text::new().loud("OVERRIDDEN", false).words(" guard ").code(&made.guard)
            };
            let text = match &made.target {
                Some(target) => text.words(" for ").said(target),
                None => text.words(" for the plan as a whole"),
            };
            point(text.words(": ").said(&made.reason).seq(approval.seq));
        }
    }
    if status.approvals.is_empty() {
        point(Text::new().words("nobody approved it"));
    }
    let until = status.until.map_or_else(String::new, |until| format!(" to {until:.3}"));
    point(Text::new().words(format!("from {:.3}{until}, by the responder's clock (UTC)", status.started)));
    let run = Text::new().words("run ").code(&status.run_id).words(" of case ").said(&status.case);
    let run = match &status.undo_of {
        Some(undone) => run.words(", which takes back run ").code(undone),
        None => run,
    };
    point(run.words(", tenant ").code(&status.tenant_id));
    if let Some(why) = &status.interrupted {
        point(Text::new().words("interrupted: ").said(&why.what).seq(why.seq));
    } else if !status.closed {
        point(Text::new().words("not closed: the run is still going on, or it crashed; resume it"));
    }
    let good = status.verdict != Verdict::Broken;
    if audience.is_plain() {
        point(Text::new().words("the record of this work ").loud(plain::record(status.verdict), good));
    } else {
        let record = Text::new().words("record ").loud(status.verdict.word(), good);
        point(record.words(format!(", {} lines, head ", status.records)).code(&status.head));
    }
    if let Some(anchor) = status.anchor.as_ref().filter(|_| audience == Audience::Technical) {
        point(Text::new().words("signed by ").code(&anchor.vkey).words(", in words: ").words(&anchor.key_words));
        point(Text::new().words("root ").code(&anchor.root).words(", in words: ").words(&anchor.root_words));
    }
    for problem in &status.problems {
        let mut text = Text::new().words(format!("{}: ", problem.code));
        if let Some(path) = &problem.path {
            text = text.code(path).words(" ");
        }
        blocks.push(Block::Point(1, text.said(&problem.text).seq(problem.line)));
    }
}

/// The answer, with everything that it leaves open.
pub(super) fn headline(report: &Report) -> String {
    let (word, rest) = (word(&report.status).0, came_to_in_numbers(report));
    format!("{word} — {rest}")
}

fn came_to_in_numbers(report: &Report) -> String {
    let status = &report.status;
    let says = match status.verdict {
        Verdict::Broken => format!("the record says {}: ", came_to(status).0.to_lowercase()),
        _ => String::new(),
    };
    let mut counts: Vec<String> = status.counts.iter().map(|(word, count)| format!("{count} {word}")).collect();
    if counts.is_empty() {
        counts.push("no change".to_owned());
    }
    for (count, word) in [(report.not_planned.len(), "not planned"), (report.left_alone.len(), "left alone")] {
        counts.extend((count > 0).then(|| format!("{count} {word}")));
    }
    says + &counts.join(", ")
}

/// The answer in a word or two, and whether it is good. A record that does not verify proves no answer.
pub(super) fn word(status: &Status) -> (&'static str, bool) {
    match status.verdict {
        Verdict::Broken => ("NOT VERIFIED", false),
        _ => came_to(status),
    }
}

/// What the record says that it came to.
fn came_to(status: &Status) -> (&'static str, bool) {
    match (status.containment, status.mode) {
        (Containment::Full, Mode::Apply) => ("CONTAINED", true),
        (Containment::Partly, Mode::Apply) => ("PARTLY CONTAINED", false),
        (Containment::None, Mode::Apply) => ("NOT CONTAINED", false),
        (Containment::Full, Mode::Undo) => ("TAKEN BACK", true),
        (Containment::Partly, Mode::Undo) => ("PARTLY TAKEN BACK", false),
        (Containment::None, Mode::Undo) => ("NOT TAKEN BACK", false),
        (Containment::NothingToDo, _) => ("NOTHING TO DO", true),
    }
}

/// How long the way in was open.
pub(super) fn exposure(exposure: &Exposure, mode: Mode, blocks: &mut Vec<Block>) {
    if mode == Mode::Undo {
        return;
    }
    blocks.push(Block::Section("Exposure"));
    let mut point = |text: Text| blocks.push(Block::Point(0, text));
    if let Some(start) = exposure.stated_start {
        point(Text::new().words(format!("start of the incident, as the responder stated it: {start:.3}")));
    }
    if let Some(first) = exposure.first_access.filter(|first| Some(*first) != exposure.stated_start) {
        point(Text::new().words(format!("first access that was noted from logs: {first:.3}")));
    }
    match (&exposure.last_cut_off, exposure.last_cut_off_ms) {
        (Some(cut), Some(ms)) => {
            let since = seconds(ms);
            let text = format!("last access cut at {:.3}, {since} after the run began", cut.what);
            point(Text::new().words(text).seq(cut.seq));
        }
        _ => point(Text::new().words("no last cut of an access is on record")),
    }
    if let (Some(ms), Some(cut)) = (exposure.open_for_ms, &exposure.last_cut_off) {
        let text = format!("from the first access to the last cut the way in was open for {}", long(ms));
        point(Text::new().words(text).seq(cut.seq));
    }
    if let (Some(ms), Some(cut)) = (exposure.contained_ms, &exposure.last_cut_off) {
        let text = format!("the last verification ended {} after the run began", seconds(ms));
        point(Text::new().words(text).seq(cut.seq));
    }
    let until = exposure.tokens_until.map_or_else(String::new, |until| format!(", so until about {until:.0}"));
    point(Text::new().words(format!(
        "access tokens that were out before the cut cannot be revoked and live about an hour{until}; those for \
         continuous access evaluation live up to 28 hours, but a service that supports it refuses them within about \
         15 minutes"
    )));
}

/// `8 h 47 min`, rounded down.
pub(super) fn long(ms: u64) -> String {
    match (ms / 86_400_000, ms / 3_600_000 % 24, ms / 60_000 % 60) {
        (0, 0, 0) => seconds(ms),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

/// `2.340 s`
pub(super) fn seconds(ms: u64) -> String {
    format!("{}.{:03} s", ms / 1000, ms % 1000)
}

/// What others are asked to do.
pub(super) fn requests(report: &Report, blocks: &mut Vec<Block>) {
    if report.requests.is_empty() && report.secrets.is_empty() {
        return;
    }
    blocks.push(Block::Section("Requests"));
    for request in &report.requests {
        let text = Text::new().words("to ").said(&request.to).words(": ").said(&request.task);
        blocks.push(Block::Point(0, text));
    }
    for secret in &report.secrets {
        let text = Text::new().words("hand over the new secret of ").foreign(&secret.owner).words(": ");
        let text = text.code(&secret.file).words(", for ").code(secret.recipients.join(", "));
        blocks.push(Block::Point(0, text.seq(secret.seq)));
    }
}

/// What can be taken back.
pub(super) fn rollbacks(rollback: &[Rollback], blocks: &mut Vec<Block>) {
    if rollback.is_empty() {
        return;
    }
    blocks.push(Block::Section("To take back after recovery"));
    let how = "when the incident is over, `staunch undo` makes a plan of what can be taken back";
    blocks.push(Block::Paragraph(Text::new().words(how)));
    for entry in rollback {
        let mut text = Text::new().code(&entry.change).words(" ");
        if let Some(target) = &entry.target {
            text = object(text, target);
        }
        let text = match &entry.way_back {
            WayBack::Calls(_) => text.words(": can be taken back"),
            WayBack::Impossible(reason) => text.words(": cannot be taken back, ").said(reason),
            WayBack::NotKnown | WayBack::NotNeeded => text.words(": the plan does not say how"),
        };
        blocks.push(Block::Point(0, text.seq(entry.seq)));
        if let WayBack::Calls(calls) = &entry.way_back {
            blocks.extend(calls.iter().map(|call| Block::Point(1, Text::new().code_cut(call))));
        }
    }
}

/// Everything that was read and sent.
pub(super) fn evidence(report: &Report, blocks: &mut Vec<Block>) {
    blocks.push(Block::Section("Evidence"));
    let files = report.evidence.iter().flat_map(|exhibit| {
        let files = [&exhibit.files.head, &exhibit.files.body];
        files.map(|file| (exhibit.seq, file))
    });
    let bytes: u64 = files.clone().map(|(_, file)| file.len).sum();
    let count = report.evidence.len();
    let instead = format!("{count} exchanges with the tenant, {bytes} bytes; their digests stand in the journal");
    let rows = files.map(|(seq, file)| {
        let seq = Text(vec![super::text::Span::Seq(seq)]);
        let len = Text::new().words(file.len.to_string());
        [seq, Text::new().code(&file.path), len, Text::new().code(&file.sha256)]
    });
    let instead = Text::new().words(instead);
    blocks.push(Block::Table { head: ["line", "file", "bytes", "SHA-256"], rows: rows.collect(), instead });
}

/// How it was done, and what it cannot show.
pub(super) fn method(report: &Report, blocks: &mut Vec<Block>) {
    blocks.push(Block::Section("Method and limits"));
    let method = &report.method;
    let mut point = |text: Text| blocks.push(Block::Point(0, text));
    let tool = &method.tool;
    point(
        Text::new()
            .said(&tool.name)
            .words(" ")
            .said(&tool.version)
            .words(" on ")
            .said(&method.host)
            .words(" by ")
            .said(&method.os_user),
    );
    point(Text::new().words("command ").code(method.command.join(" ")));
    point(identity(&method.identity));
    if let Some(playbook) = &method.playbook {
        let text = Text::new().words("playbook ").said(&playbook.id).words(" ").said(&playbook.version);
        point(text.words(", SHA-256 ").code(&playbook.sha256));
    }
    if let Some(digest) = &method.plan_digest {
        point(Text::new().words("plan ").code(digest));
    }
    for (name, value) in &method.inputs {
        let value = Text::new().words("input ").code(name).words(": ").value(value);
        point(value);
    }
    clock(method, blocks);
    limits(report, blocks);
}

fn identity(identity: &Identity) -> Text {
    let text = match (identity.kind, &identity.user_principal_name) {
        (IdentityKind::User, Some(name)) => {
            Text::new().words("signed in as ").code(name).words(" through application ")
        }
        (IdentityKind::User, None) => {
            Text::new().words("signed in as user ").code(&identity.object_id).words(" through application ")
        }
        (IdentityKind::Application, _) => Text::new().words("signed in as application "),
    };
    let permissions = if identity.permissions.is_empty() { "none".to_owned() } else { identity.permissions.join(" ") };
    text.code(&identity.app_id).words(", permissions ").code(permissions)
}

fn clock(method: &Method, blocks: &mut Vec<Block>) {
    let mut point = |text: Text| blocks.push(Block::Point(0, text));
    if let Some(clock) = &method.clock {
        let apart = match clock.offset_ms {
            -1000..=1000 => "agreed with ours to about a second".to_owned(),
            ms if ms < 0 => format!("was {} behind ours, give or take a second", seconds(ms.unsigned_abs())),
            ms => format!("was {} ahead of ours, give or take a second", seconds(ms.unsigned_abs())),
        };
        point(Text::new().words(format!("the tenant's clock {apart}, by {} of its answers", clock.samples)));
    }
    for resumed in &method.resumed {
        let text = Text::new().words("taken up again by ").said(&resumed.what.by);
        let text = match &resumed.what.identity {
            Some(us) => text.words(", now as ").code(us.who()),
            None => text,
        };
        point(text.seq(resumed.seq));
    }
}

fn limits(report: &Report, blocks: &mut Vec<Block>) {
    let mut point = |text: Text| blocks.push(Block::Point(0, text));
    for spot in &report.method.blind_spots {
        point(Text::new().words("not seen: ").said(&spot.text).seq(spot.seq));
    }
    for limit in [
        "what no step of the plan looked at was not examined",
        "names of people were given, not proved; the identity in the tenant is from the token",
        "\"done\" means that a read after the change showed it, at that time",
        "the record is signed by a key that was made for it: compare key or root with what was noted elsewhere, or whoever \
         can write to the folder can make another under another key",
    ] {
        point(Text::new().words(limit));
    }
}

/// A state in one line, for where there is nothing to compare it with.
pub(super) fn one_state(text: Text, state: &Value) -> Text {
    text.value(state)
}
