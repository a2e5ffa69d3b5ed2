//! From what was found and picked to a plan: reads each object, and asks its action for the change.

use std::collections::BTreeSet;

use futures_util::future::{BoxFuture, join_all};
use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    action::{ContractError, DynAction, LensError, Registry},
    client::Reader,
    model::{
        Call, Caveat, CaveatKind, Change, Cloud, Found, Goal, HandOver, Item, Meta, Preflight, Target, Undo, Untrusted,
        Verdict,
    },
    plan::{
        Mode, Overrides, Plan, PlanStage, PlanStep, PlaybookRef, Protected,
        discover::{Discovery, FoundStep, Picks, Unfound},
        guards::{Facts, Guard, Guards, Subject, Totals},
        preflight::{Judge, Tokens, unread},
        show::object,
        types::FORMAT,
    },
    playbook::{Bound, BoundStage, BoundStep, Limits},
};

/// What a plan is built with, beside what was found.
#[derive(Clone, Debug)]
pub struct Recipe {
    /// The playbook's bytes.
    pub playbook: PlaybookRef,
    /// Cloud.
    pub cloud: Cloud,
    /// Now.
    pub now: Timestamp,
    /// Accounts that must not be touched.
    pub protected: Protected,
    /// Guards that are overridden, with their reasons.
    pub overrides: Overrides,
    /// age recipients for new secrets.
    pub recipients: Vec<String>,
}

impl Discovery {
    /// Builds the plan for what was picked. Only reads.
    ///
    /// # Errors
    /// When an action's own data has the wrong shape.
    pub async fn plan(
        self,
        bound: &Bound,
        picks: &Picks,
        recipe: Recipe,
        registry: Registry,
        reader: &Reader,
    ) -> Result<Plan, ContractError> {
        let builder = Builder::new(&self, picks, &recipe, registry, reader).await;
        let stages = bound.stages.iter().zip(self.steps);
        let stages = join_all(stages.map(|(stage, found)| builder.stage(stage, found, picks))).await;
        let stages = stages.into_iter().collect::<Result<Vec<_>, _>>()?;
        let mut plan = Plan {
            format: FORMAT.to_owned(),
            id: Uuid::now_v7().to_string(),
            made_by: env!("CARGO_PKG_VERSION").to_owned(),
            made_at: recipe.now,
            tenant_id: reader.identity().tenant_id.clone(),
            cloud: recipe.cloud,
            identity: reader.identity().clone(),
            mode: Mode::Apply,
            title: bound.title.clone(),
            playbook: Some(recipe.playbook.clone()),
            inputs: bound.inputs.clone(),
            recipients: recipe.recipients.clone(),
            blocked: Vec::new(),
            overrides: Vec::new(),
            caveats: Vec::new(),
            stages,
            handover: bound.handover.clone(),
            reads: None,
        };
        number(&mut plan);
        builder.judge(&mut plan, &bound.limits);
        Ok(plan)
    }
}

struct Builder<'a> {
    registry: Registry,
    reader: &'a Reader,
    recipe: &'a Recipe,
    guards: Guards<'a>,
    preflight: Judge,
}

impl<'a> Builder<'a> {
    /// Reads what guards and preflight have to know.
    async fn new(found: &Discovery, picks: &Picks, recipe: &'a Recipe, registry: Registry, reader: &'a Reader) -> Self {
        let subjects: Vec<Subject<'_>> = found
            .steps
            .iter()
            .flatten()
            .filter_map(|step| Some((step, registry.get(&step.action)?.meta())))
            .flat_map(|(step, meta)| step.picked(picks).map(move |target| Subject { target, meta }))
            .collect();
        let metas: Vec<&Meta> = subjects.iter().map(|subject| subject.meta).collect();
        let facts = Facts::read(reader, &recipe.protected, &subjects);
        let (facts, tokens) = futures_util::join!(facts, Tokens::read(reader, &metas));
        let (us, protected, overrides) = (reader.identity(), &recipe.protected, &recipe.overrides);
        let preflight = Judge::new(tokens, recipe.cloud, registry, overrides.has(Guard::Preflight));
        let guards = Guards::new(us, protected, overrides, facts, &subjects);
        Self { registry, reader, recipe, guards, preflight }
    }

    /// What guards say about the plan as a whole, and what was overridden in it.
    fn judge(&self, plan: &mut Plan, limits: &Limits) {
        let meta = |action: &str| self.registry.get(action).map(|action| action.meta());
        let totals = Totals::of(plan.changes(), |action| meta(action).is_some_and(|meta| meta.destroys));
        let (blocked, mut overridden) = self.guards.sort(self.guards.refuse_plan(limits, &totals), None);
        for change in plan.changes() {
            let Some(meta) = meta(&change.action) else { continue };
            let mut refusals = self.guards.refusals(&change.target, meta.sensitive);
            refusals.extend(self.preflight.cannot(meta).map(|reason| Guard::Preflight.refuses(reason)));
            overridden.extend(self.guards.sort(refusals, Some(&object(&change.target))).1);
        }
        overridden.sort();
        overridden.dedup();
        (plan.blocked, plan.overrides) = (blocked, overridden);
        plan.caveats = self.guards.facts().unseen();
    }

    async fn stage(
        &self,
        stage: &BoundStage,
        found: Vec<FoundStep>,
        picks: &Picks,
    ) -> Result<PlanStage, ContractError> {
        let steps = stage.steps.iter().zip(found);
        let steps = join_all(steps.map(|(step, found)| self.step(step, found, picks))).await;
        Ok(PlanStage {
            id: stage.id.clone(),
            why: stage.why.clone(),
            gate: stage.gate,
            steps: steps.into_iter().collect::<Result<_, _>>()?,
        })
    }

    async fn step(&self, step: &BoundStep, found: FoundStep, picks: &Picks) -> Result<PlanStep, ContractError> {
        let items = match self.registry.get(&step.action) {
            Some(action) => self.items(action, step, found, picks).await?,
            None => Vec::new(),
        };
        Ok(PlanStep {
            id: step.id.clone(),
            action: step.action.clone(),
            why: step.why.clone(),
            when: step.when.clone(),
            on_error: step.on_error,
            items,
        })
    }

    async fn items(
        &self,
        action: &'static dyn DynAction,
        step: &BoundStep,
        found: FoundStep,
        picks: &Picks,
    ) -> Result<Vec<Item>, ContractError> {
        let selection = found.selection(picks);
        let mut seen = BTreeSet::new();
        let mut items: Vec<BoxFuture<'_, Result<Item, ContractError>>> = Vec::new();
        for run in found.runs {
            let subject = Untrusted::from(run.run.each.as_deref().unwrap_or(&step.id));
            let objects = match run.found {
                Ok(objects) => objects,
                Err(Unfound::Lens(LensError::Contract(error))) => return Err(error),
                Err(unfound) => {
                    let reason = match unfound {
                        Unfound::Lens(LensError::Read(error)) => unread(&error, action.meta(), self.reader.identity()),
                        Unfound::Lens(error) => error.to_string(),
                        Unfound::NotInCloud(reason) => reason,
                    };
                    items.push(Box::pin(async { Ok(Item::Problem { subject, reason }) }));
                    continue;
                }
            };
            if objects.is_empty() {
                items.push(Box::pin(async { Ok(Item::Nothing { subject }) }));
            }
            for object in objects {
                if seen.insert((object.target.lane.clone(), object.target.id.clone())) {
                    let (input, picked) = (run.run.input.clone(), selection.takes(&object));
                    items.push(Box::pin(self.item(action, step, input, object, picked)));
                }
            }
        }
        join_all(items).await.into_iter().collect()
    }

    async fn item(
        &self,
        action: &'static dyn DynAction,
        step: &BoundStep,
        input: Value,
        found: Found<Target>,
        picked: bool,
    ) -> Result<Item, ContractError> {
        let Found { target, certain, note, caveats } = found;
        if !picked {
            return Ok(Item::NotPicked { target: Box::new(target), note, certain, caveats });
        }
        let refusals = self.guards.refusals(&target, action.meta().sensitive);
        if let Some(refusal) = self.guards.sort(refusals, None).0.into_iter().next() {
            return Ok(Item::Refused { target: Box::new(target), refusal });
        }
        let draft = Draft { step: &step.id, target, note, caveats, goal: Goal::Input(input) };
        let item = self.change(action, draft).await?;
        Ok(self.preflight.judged(item, action.meta(), Some(&self.guards.facts().roles)))
    }

    async fn change(&self, action: &'static dyn DynAction, draft: Draft<'_>) -> Result<Item, ContractError> {
        let seen = match action.read(self.reader, &draft.target).await {
            Ok(seen) => seen,
            Err(LensError::Contract(error)) => return Err(error),
            Err(LensError::Read(error)) => {
                let subject = draft.target.name.clone();
                let reason = unread(&error, action.meta(), self.reader.identity());
                return Ok(Item::Problem { subject, reason });
            }
        };
        let mut caveats = draft.caveats;
        for caveat in seen.caveats {
            if !caveats.contains(&caveat) {
                caveats.push(caveat);
            }
        }
        change_item(action, Draft { caveats, ..draft }, seen.state, self.reader.server_now(), &self.recipe.recipients)
    }
}

/// A change that is being made up.
pub(crate) struct Draft<'a> {
    pub(crate) step: &'a str,
    pub(crate) target: Target,
    pub(crate) note: Untrusted,
    pub(crate) caveats: Vec<Caveat>,
    pub(crate) goal: Goal,
}

/// The item for an object in a known state: a change, or already so, or a reason why there is no way.
pub(crate) fn change_item(
    action: &dyn DynAction,
    draft: Draft<'_>,
    before: Value,
    at: Timestamp,
    recipients: &[String],
) -> Result<Item, ContractError> {
    let Draft { step, target, note, mut caveats, goal } = draft;
    let (wanted, input, always) = match &goal {
        Goal::Input(input) => (action.desired(input, &before, at)?, Some(input), action.meta().always),
        Goal::State(state) => (state.clone(), None, false),
    };
    let holds = !always && action.judge(&wanted, &before)? == Verdict::Holds;
    let calls = match action.calls(&target, &before, &wanted, input)? {
        _ if holds => Vec::new(),
        Ok(calls) => handed_over(calls, recipients),
        Err(reason) => {
            return Ok(Item::Problem { subject: target.name, reason: reason.0 });
        }
    };
    let undo = match action.calls(&target, &wanted, &before, None)? {
        Ok(calls) => Undo::Calls(calls),
        Err(reason) => Undo::Impossible(reason),
    };
    caveats.extend(secret_caveats(&calls, recipients));
    let differences = action.differences(&before, &wanted)?;
    let change = Box::new(Change {
        id: String::new(),
        step: step.to_owned(),
        action: action.meta().id.to_owned(),
        target,
        note,
        before,
        wanted,
        differences,
        goal,
        calls,
        undo,
        caveats,
        preflight: Preflight::default(),
    });
    Ok(if holds { Item::Already(change) } else { Item::Change(change) })
}

/// Calls whose secrets are sealed only where there is somebody to seal them to: else they are discarded, and the
/// plan says so.
pub(crate) fn handed_over(mut calls: Vec<Call>, recipients: &[String]) -> Vec<Call> {
    if recipients.is_empty() {
        for slot in calls.iter_mut().flat_map(|call| &mut call.secrets) {
            slot.hand_over = HandOver::Discard;
        }
    }
    calls
}

fn secret_caveats(calls: &[Call], recipients: &[String]) -> Vec<Caveat> {
    let slots = calls.iter().flat_map(|call| &call.secrets);
    slots
        .map(|slot| {
            let text = match (slot.hand_over, recipients) {
                (HandOver::Sealed, to) => format!("the new secret will be sealed to {}", to.join(", ")),
                (HandOver::Discard, []) => {
                    "no age recipient is configured, so the new secret will be discarded: nobody will know it"
                        .to_owned()
                }
                (HandOver::Discard, _) => "the new secret will be discarded: nobody will know it".to_owned(),
            };
            Caveat::new(CaveatKind::Secret, text)
        })
        .collect()
}

/// Gives the changes their ids, in order.
pub(crate) fn number(plan: &mut Plan) {
    let items = plan.stages.iter_mut().flat_map(|stage| &mut stage.steps).flat_map(|step| &mut step.items);
    let changes = items.filter_map(|item| match item {
        Item::Change(change) | Item::Already(change) => Some(change),
        _ => None,
    });
    for (at, change) in changes.enumerate() {
        change.id = format!("c{:03}", at + 1);
    }
}
