//! What to say when a run had to stop, because its record could not be written or a guard holds the rest of it back: in one
//! line, what was changed and what not.

use std::{collections::BTreeSet, path::Path};

use crate::{
    cli::exit::{Exit, Failure},
    engine::EngineError,
    journal::{History, Record, SentOutcome},
    plan::Plan,
};

/// The failure of a run that stopped, with where each change stands by its record.
pub(crate) fn failure(path: &Path, plan: &Plan, error: &EngineError) -> Failure {
    let run = path.display();
    let (exit, hint) = match error {
        EngineError::Refused(_) => (
            Exit::Refused,
            format!(
                "nothing more was sent, and the refusal is on record; mend what the guard names and go on with \
                 `staunch resume {run}`, or plan anew"
            ),
        ),
        _ => (
            Exit::CouldNotRun,
            format!("what was done is on record; make room if the disk is full, and go on with `staunch resume {run}`"),
        ),
    };
    let mut failure = Failure::of(exit, error);
    if let Ok(history) = History::load(path) {
        failure.message.push_str(&standing(plan, &history));
    }
    failure.hint(hint)
}

/// `; changed: c001, c002; sent, but its answer is not on record: c003; not changed: c004`
fn standing(plan: &Plan, history: &History) -> String {
    let (mut open, mut lost, mut changed) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for line in &history.lines {
        match &line.record {
            Record::Intent { change, .. } => {
                open.insert(change.as_str());
            }
            Record::Sent { change, outcome, .. } => {
                open.remove(change.as_str());
                if *outcome == SentOutcome::Unknown {
                    lost.insert(change.as_str());
                }
                if *outcome == SentOutcome::Accepted {
                    changed.insert(change.as_str());
                }
            }
            _ => {}
        }
    }
    open.extend(lost);
    changed.retain(|change| !open.contains(change));
    let all: BTreeSet<&str> = plan.changes().map(|change| change.id.as_str()).collect();
    let touched: BTreeSet<&str> = open.union(&changed).copied().collect();
    let untouched = &all - &touched;
    let list = |words: &str, changes: BTreeSet<&str>| match changes.len() {
        0 => String::new(),
        _ => format!("; {words}: {}", changes.into_iter().collect::<Vec<_>>().join(", ")),
    };
    let none = if touched.is_empty() { "; nothing was changed" } else { "" };
    let known = list("changed", changed) + &list("sent, but how it was answered is not on record", open);
    format!("{none}{known}{}", list("not changed", untouched))
}
