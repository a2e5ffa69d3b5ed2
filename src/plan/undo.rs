//! Undo: an ordinary plan, built from a run's folder and the tenant as it is now.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    action::{ContractError, LensError, Registry},
    client::Reader,
    journal::{History, Record},
    model::{Goal, Item, Outcome, Target},
    plan::{
        Mode, Plan, PlanFile, PlanFileError, PlanStage, PlanStep,
        build::{Draft, change_item, number},
        preflight::{Judge, Tokens, needs_exchange},
    },
    playbook::{Gate, OnError, When},
};

/// Why a run cannot be undone.
#[derive(Debug, thiserror::Error)]
pub enum UndoError {
    /// It did not end.
    #[error("undo the run: it is not closed, so not everything it did is known; resume it first")]
    Open,
    /// Its plan does not read.
    #[error("undo the run: read its plan")]
    Plan(#[from] PlanFileError),
    /// Its records do not fit the actions of this version.
    #[error("undo the run")]
    Contract(#[from] ContractError),
}

/// What a run did to one object.
struct Done {
    target: Target,
    before: Value,
    after: Value,
}

/// Builds the plan that takes back what a run did, in reverse order. Only reads.
///
/// What cannot be taken back, or is no longer as the run left it, is listed with its reason.
///
/// # Errors
/// When the run is open, or its folder does not read.
pub async fn undo(history: &History, registry: Registry, reader: &Reader, now: Timestamp) -> Result<Plan, UndoError> {
    if !history.closed {
        return Err(UndoError::Open);
    }
    let file = PlanFile::parse(history.plan.clone())?;
    let done = done(history);
    let actions = file.plan().changes().filter_map(|change| registry.get(&change.action));
    let tokens = Tokens::read(reader, actions.map(|action| action.meta()).any(needs_exchange)).await;
    let judge = Judge::new(tokens, file.plan().cloud, registry, false);
    let way = Way { done: &done, registry, reader, judge: &judge };
    let mut stages = Vec::new();
    for stage in file.plan().stages.iter().rev() {
        let mut steps = Vec::new();
        for step in stage.steps.iter().rev() {
            let items = join_all(step.items.iter().rev().map(|item| way.item(step, item)));
            let items: Vec<Item> = items.await.into_iter().filter_map(Result::transpose).collect::<Result<_, _>>()?;
            if !items.is_empty() {
                steps.push(undo_step(step, items));
            }
        }
        if !steps.is_empty() {
            let (id, why) = (stage.id.clone(), Some(format!("Takes back stage {}.", stage.id)));
            stages.push(PlanStage { id, why, gate: Gate::None, steps });
        }
    }
    let run = history.header.run_id.clone();
    let mut plan = Plan {
        id: Uuid::now_v7().to_string(),
        made_at: now,
        made_by: env!("CARGO_PKG_VERSION").to_owned(),
        tenant_id: reader.identity().tenant_id.clone(),
        identity: reader.identity().clone(),
        title: format!("Undo of run {run}"),
        mode: Mode::Undo { run },
        playbook: None,
        inputs: BTreeMap::new(),
        recipients: Vec::new(),
        blocked: Vec::new(),
        overrides: Vec::new(),
        caveats: Vec::new(),
        stages,
        handover: Vec::new(),
        ..file.plan().clone()
    };
    number(&mut plan);
    Ok(plan)
}

fn undo_step(step: &PlanStep, items: Vec<Item>) -> PlanStep {
    PlanStep {
        id: step.id.clone(),
        action: step.action.clone(),
        why: None,
        when: When::Always,
        on_error: OnError::Continue,
        items,
    }
}

/// What was changed, by change id. A change that was refused before it was sent is not among it.
fn done(history: &History) -> BTreeMap<String, Done> {
    let mut all = BTreeMap::new();
    for line in &history.lines {
        if let Record::Ended { change, outcome, before: Some(before), after, target, .. } = &line.record {
            let touched = matches!(
                outcome,
                Outcome::Done | Outcome::DoneWillRevert | Outcome::Pending | Outcome::Unverified | Outcome::Unknown
            );
            if touched {
                let after = after.clone().unwrap_or_else(|| before.clone());
                let done = Done { target: (**target).clone(), before: before.clone(), after };
                all.insert(change.clone(), done);
            }
        }
    }
    all
}

/// The way back.
struct Way<'a> {
    done: &'a BTreeMap<String, Done>,
    registry: Registry,
    reader: &'a Reader,
    judge: &'a Judge,
}

impl Way<'_> {
    async fn item(&self, step: &PlanStep, item: &Item) -> Result<Option<Item>, ContractError> {
        let Self { done, registry, reader, judge } = self;
        let Item::Change(change) = item else {
            return Ok(None);
        };
        let (Some(done), Some(action)) = (done.get(&change.id), registry.get(&change.action)) else {
            return Ok(None);
        };
        let problem = |reason: String| Ok(Some(Item::Problem { subject: done.target.name.clone(), reason }));
        if let Err(reason) = action.calls(&done.target, &done.after, &done.before, None)? {
            return Ok(Some(Item::Stays { target: Box::new(done.target.clone()), reason }));
        }
        let seen = match action.read(reader, &done.target).await {
            Ok(seen) => seen,
            Err(LensError::Contract(error)) => return Err(error),
            Err(LensError::Read(error)) => return problem(error.to_string()),
        };
        let target = seen.moved_to.unwrap_or_else(|| done.target.clone());
        let untouched = action.same(&done.after, &seen.state)?
            || action.judge(&done.before, &seen.state)? == crate::model::Verdict::Holds;
        if !untouched {
            return problem("it is no longer as the run left it; decide by hand".to_owned());
        }
        let goal = Goal::State(done.before.clone());
        let draft = Draft { step: &step.id, target, note: change.note.clone(), caveats: seen.caveats, goal };
        let item = change_item(action, draft, seen.state, reader.server_now(), &[])?;
        // No roles are read: whatever was in the way of the change was in the way of the run.
        Ok(Some(judge.judged(item, action.meta(), None)))
    }
}
