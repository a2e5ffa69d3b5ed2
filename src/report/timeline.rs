//! What happened when, in two lanes: the intruder, as a responder noted it from logs; the responders, from the journal.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::{
    audience::Audience,
    export::{Kind, Noted, TimelineFinding},
    plain,
    text::{Block, Text},
    types::{Change, Report},
};
use crate::{
    journal::{Line, Mode, Record},
    model::{Outcome, Target, Untrusted},
};

/// Whose doing it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Lane {
    /// The intruder's, as somebody stated it: this program did not see it.
    Intruder,
    /// Ours, from the journal.
    Responder,
}

/// One moment.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Moment {
    /// When, UTC; ours by the responder's clock.
    pub at: Timestamp,
    /// Whose doing.
    pub lane: Lane,
    /// Line of the journal; none for the intruder's.
    pub seq: Option<u64>,
    /// In words.
    pub what: Untrusted,
    /// Step of the playbook, where a change ended.
    pub step: Option<String>,
    /// Whether that is taken back.
    pub taken_back: bool,
    /// How the change ended.
    pub outcome: Option<Outcome>,
    /// The object.
    pub target: Option<Target>,
}

/// From the journal: opening, approval, the end of each change, interruptions, the close.
pub(super) fn of_lines(lines: &[Line], changes: &[Change], mode: Mode) -> Vec<Moment> {
    let steps: BTreeMap<&str, &str> =
        changes.iter().filter_map(|change| Some((change.id.as_str(), change.step.as_deref()?))).collect();
    lines.iter().filter_map(|line| of_line(line, &steps, mode)).collect()
}

fn of_line(line: &Line, steps: &BTreeMap<&str, &str>, mode: Mode) -> Option<Moment> {
    let what = match &line.record {
        Record::RunOpened { .. } => "the run began".to_owned(),
        Record::Approved { by, .. } => format!("the plan was approved by {by}"),
        Record::Resumed { by, .. } => format!("the run was taken up again by {by}"),
        Record::Interrupted { reason } => format!("the run was interrupted: {reason}"),
        Record::Closed { .. } => "the run was closed".to_owned(),
        Record::Ended { reason, .. } => reason.clone(),
        _ => return None,
    };
    let mut moment = Moment {
        at: line.t,
        lane: Lane::Responder,
        seq: Some(line.seq),
        what: what.into(),
        step: None,
        taken_back: mode == Mode::Undo,
        outcome: None,
        target: None,
    };
    if let Record::Ended { change, outcome, target, .. } = &line.record {
        moment.step = steps.get(change.as_str()).map(|step| (*step).to_owned());
        moment.outcome = Some(*outcome);
        moment.target = Some((**target).clone());
    }
    Some(moment)
}

/// The intruder's, from what was stated and noted.
pub(super) fn of_intruder(stated: Option<Timestamp>, noted: &[Noted]) -> Vec<Moment> {
    let moment = |at, what: String| Moment {
        at,
        lane: Lane::Intruder,
        seq: None,
        what: what.into(),
        step: None,
        taken_back: false,
        outcome: None,
        target: None,
    };
    let stated = stated.map(|at| moment(at, "start of the incident, as the responder stated it".to_owned()));
    let noted = noted.iter().map(|event| {
        let kind = match event.kind {
            Kind::Access => "access",
            Kind::Effect => "effect",
        };
        moment(event.datetime, format!("{kind}: {} ({})", event.message, event.timestamp_desc))
    });
    stated.into_iter().chain(noted).collect()
}

/// As a table, and for a terminal in one line.
pub(super) fn section(report: &Report, audience: Audience, blocks: &mut Vec<Block>) {
    if report.timeline.is_empty() {
        return;
    }
    blocks.push(Block::Section("Timeline"));
    let rows = report.timeline.iter().map(|moment| {
        let at = Text::new().words(format!("{:.3}", moment.at));
        let who = Text::new().words(match moment.lane {
            Lane::Intruder => "intruder, as noted",
            Lane::Responder => "responder",
        });
        [at, who, described(moment, audience), moment.seq.map_or_else(Text::new, |seq| Text::new().seq(seq))]
    });
    let count = report.timeline.len();
    let instead = Text::new().words(format!("{count} moments; `--as html` and `--as markdown` list them"));
    blocks.push(Block::Table { head: ["time (UTC)", "whose", "what", "line"], rows: rows.collect(), instead });
}

/// Times that cannot be right: whoever reads any other time here needs to know.
pub(super) fn findings(report: &Report, blocks: &mut Vec<Block>) {
    if report.timeline_findings.is_empty() {
        return;
    }
    blocks.push(Block::Section("Times that cannot be right"));
    let point = |it: &TimelineFinding| {
        Block::Point(0, Text::new().loud("check", false).words(" ").said(it.text.line()).seq(it.seq))
    };
    blocks.extend(report.timeline_findings.iter().map(point));
}

/// The step, and whether it is taken back.
pub(super) fn step_words(moment: &Moment) -> Option<String> {
    let back = if moment.taken_back { "take back " } else { "" };
    moment.step.as_ref().map(|step| format!("{back}{step}"))
}

/// What a moment says.
pub(super) fn described(moment: &Moment, audience: Audience) -> Text {
    match (&moment.target, moment.outcome) {
        (Some(target), Some(outcome)) => {
            let text = Text::new().outcome(Some(outcome)).words(" ");
            let text = match step_words(moment) {
                Some(step) => text.said(step).words(": "),
                None => text,
            };
            let kind = if audience.is_plain() { plain::kind(&target.kind) } else { &target.kind };
            text.said(kind).words(" ").foreign(&target.name)
        }
        _ => Text::new().said(moment.what.line()),
    }
}
