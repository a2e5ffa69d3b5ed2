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
    model::{Change, Goal, Item, Meta, Outcome, Target},
    plan::{
        Mode, Overrides, Plan, PlanFile, PlanFileError, PlanStage, PlanStep, Protected,
        build::{Draft, change_item, number},
        guards::{Facts, Guard, Guards, Subject, Totals},
        preflight::{Judge, Tokens, unread},
        show::object,
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

/// What an undo is planned with.
#[derive(Clone, Copy, Debug)]
pub struct UndoRecipe<'a> {
    /// Now.
    pub now: Timestamp,
    /// What the profile says about guards.
    pub protected: &'a Protected,
    /// Guards that are overridden, with their reasons.
    pub overrides: &'a Overrides,
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
pub async fn undo(
    history: &History,
    registry: Registry,
    reader: &Reader,
    with: &UndoRecipe<'_>,
) -> Result<Plan, UndoError> {
    if !history.closed {
        return Err(UndoError::Open);
    }
    let file = PlanFile::parse(history.plan.clone())?;
    let done = done(history);
    let subjects: Vec<Subject<'_>> =
        file.plan().changes().filter_map(|change| done.subject(change, registry)).collect();
    let facts = Facts::read(reader, with.protected, &subjects);
    let metas: Vec<&Meta> = subjects.iter().map(|subject| subject.meta).collect();
    let tokens = Tokens::read(reader, &metas);
    let (facts, tokens) = futures_util::join!(facts, tokens);
    let judge = Judge::new(tokens, file.plan().cloud, registry, with.overrides.has(Guard::Preflight));
    let guards = Guards::new(reader.identity(), with.protected, with.overrides, facts, &subjects);
    let way = Way { done: &done, registry, reader, judge: &judge, guards: &guards };
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
        made_at: with.now,
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
        reads: None,
        ..file.plan().clone()
    };
    number(&mut plan);
    way.settle(&mut plan);
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

/// What was changed, by change id.
struct AllDone(BTreeMap<String, Done>);

impl AllDone {
    fn subject(&self, change: &Change, registry: Registry) -> Option<Subject<'_>> {
        let (done, action) = (self.0.get(&change.id)?, registry.get(&change.action)?);
        Some(Subject { target: &done.target, meta: action.meta() })
    }
}

/// A change that was refused before it was sent is not among what was changed.
fn done(history: &History) -> AllDone {
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
    AllDone(all)
}

/// The way back.
struct Way<'a> {
    done: &'a AllDone,
    registry: Registry,
    reader: &'a Reader,
    judge: &'a Judge,
    guards: &'a Guards<'a>,
}

impl Way<'_> {
    async fn item(&self, step: &PlanStep, item: &Item) -> Result<Option<Item>, ContractError> {
        let Self { done, registry, reader, judge, guards } = self;
        let Item::Change(change) = item else {
            return Ok(None);
        };
        let (Some(done), Some(action)) = (done.0.get(&change.id), registry.get(&change.action)) else {
            return Ok(None);
        };
        let problem = |reason: String| Ok(Some(Item::Problem { subject: done.target.name.clone(), reason }));
        if let Err(reason) = action.calls(&done.target, &done.after, &done.before, None)? {
            return Ok(Some(Item::Stays { target: Box::new(done.target.clone()), reason }));
        }
        let refusals = guards.sort(guards.refuse_return(&done.target, action.meta()), None).0;
        if let Some(refusal) = refusals.into_iter().next() {
            return Ok(Some(Item::Refused { target: Box::new(done.target.clone()), refusal }));
        }
        let seen = match action.read(reader, &done.target).await {
            Ok(seen) => seen,
            Err(LensError::Contract(error)) => return Err(error),
            Err(LensError::Read(error)) => return problem(unread(&error, action.meta(), reader.identity())),
        };
        let target = seen.moved_to.unwrap_or_else(|| done.target.clone());
        // What was not seen to take effect may have done so since.
        let untouched = action.same(&done.after, &seen.state)?
            || action.same(&change.wanted, &seen.state)?
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

    /// What guards say about the plan as a whole, and what was overridden in it.
    fn settle(&self, plan: &mut Plan) {
        let totals = Totals::of(plan.changes(), |_| false);
        let (blocked, mut overridden) = self.guards.sort(self.guards.refuse_return_of(&totals), None);
        for change in plan.changes() {
            let Some(meta) = self.registry.get(&change.action).map(|action| action.meta()) else { continue };
            let mut refusals = self.guards.refuse_return(&change.target, meta);
            refusals.extend(self.judge.cannot(meta).map(|reason| Guard::Preflight.refuses(reason)));
            overridden.extend(self.guards.sort(refusals, Some(&object(&change.target))).1);
        }
        overridden.sort();
        overridden.dedup();
        (plan.blocked, plan.overrides) = (blocked, overridden);
        plan.caveats = self.guards.facts().unseen();
    }
}
