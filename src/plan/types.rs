//! The plan as data.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    model::{Caveat, Change, Cloud, Identity, Item, Override, Preflight, Refusal},
    plan::show::object,
    playbook::{Gate, Handover, OnError, When},
};

/// Version of the format of plan files.
pub(crate) const FORMAT: &str = "staunch.plan/v1";

/// What a plan is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Mode {
    /// Contains.
    Apply,
    /// Takes back what this run did.
    Undo {
        /// The run's id.
        run: String,
    },
}

/// The playbook that a plan was made from, whole: a plan file stands alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlaybookRef {
    /// Its id.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
    /// Its bytes, as text.
    pub text: String,
}

/// A plan: reviewed, approved and run as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// `staunch.plan/v1`.
    pub format: String,
    /// Unique.
    pub id: String,
    /// Version of the program that made it.
    pub made_by: String,
    /// When.
    pub made_at: Timestamp,
    /// For which tenant; refused in any other.
    pub tenant_id: String,
    /// In which cloud.
    pub cloud: Cloud,
    /// Who read the tenant for it.
    pub identity: Identity,
    /// What it is for.
    pub mode: Mode,
    /// In words.
    pub title: String,
    /// What it was made from; none for an undo.
    pub playbook: Option<PlaybookRef>,
    /// Values of the playbook's inputs.
    pub inputs: BTreeMap<String, Value>,
    /// age recipients to which new secrets are sealed; with none they are discarded.
    pub recipients: Vec<String>,
    /// Refusals that concern the plan as a whole: it cannot be applied.
    pub blocked: Vec<Refusal>,
    /// Guards that were overridden, and for what.
    #[serde(default)]
    pub overrides: Vec<Override>,
    /// What to know of the plan as a whole: guards that could not read what they need.
    #[serde(default)]
    pub caveats: Vec<Caveat>,
    /// In order.
    pub stages: Vec<PlanStage>,
    /// What is left for people.
    pub handover: Vec<Handover>,
    /// What was read for it, which stands beside it in its file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<PlanReads>,
}

/// The exchanges that a plan was made from. Approving the plan approves what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanReads {
    /// How many.
    pub count: u64,
    /// SHA-256 of the bytes of the value of `reads` in the plan's file.
    pub sha256: String,
}

/// A stage: its steps go at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanStage {
    /// Its id.
    pub id: String,
    /// Its reason.
    pub why: Option<String>,
    /// What must hold before the next stage begins.
    pub gate: Gate,
    /// Its steps.
    pub steps: Vec<PlanStep>,
}

/// A step: one action over what it found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlanStep {
    /// Its id.
    pub id: String,
    /// Its action; the step of an undo may hold several.
    pub action: String,
    /// Its reason.
    pub why: Option<String>,
    /// Its condition.
    pub when: When,
    /// What a failed change means for the others.
    pub on_error: OnError,
    /// What was found, in order.
    pub items: Vec<Item>,
}

/// Counts of a plan's items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// To be changed.
    pub changes: usize,
    /// Of these, without a way back.
    pub irreversible: usize,
    /// Of these, expected to be refused by the tenant, or not to last.
    pub doubtful: usize,
    /// Already so.
    pub already: usize,
    /// Found and left alone.
    pub not_picked: usize,
    /// Refused by a guard.
    pub refused: usize,
    /// Could not be planned.
    pub problems: usize,
}

impl Plan {
    /// Whether nothing of what it was made for could be planned: it has problems, and nothing that it would change or that is
    /// as wanted.
    pub fn plans_nothing(&self) -> bool {
        let tally = self.tally();
        tally.problems > 0 && tally.changes == 0 && tally.already == 0
    }

    /// Every item with its step, in order.
    pub fn items(&self) -> impl Iterator<Item = (&PlanStep, &Item)> {
        self.stages
            .iter()
            .flat_map(|stage| &stage.steps)
            .flat_map(|step| step.items.iter().map(move |item| (step, item)))
    }

    /// Every change that would be made, in order.
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.items().filter_map(|(_, item)| match item {
            Item::Change(change) => Some(&**change),
            _ => None,
        })
    }

    /// Why nothing of the plan can be done, where guards refuse every change that it could hold.
    pub fn refused_whole(&self) -> Option<Refusal> {
        if self.changes().next().is_some() {
            return None;
        }
        let (target, refusal) = self.items().find_map(|(_, item)| match item {
            Item::Refused { target, refusal } => Some((target, refusal)),
            _ => None,
        })?;
        let reason = format!("{}: {}; nothing else is planned", object(target), refusal.reason);
        Some(Refusal { reason, ..refusal.clone() })
    }

    /// Counts.
    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for (_, item) in self.items() {
            match item {
                Item::Change(change) => {
                    tally.changes += 1;
                    tally.doubtful += usize::from(change.preflight != Preflight::Can);
                    tally.irreversible += usize::from(matches!(change.undo, crate::model::Undo::Impossible(_)));
                }
                Item::Already(_) => tally.already += 1,
                Item::NotPicked { .. } => tally.not_picked += 1,
                Item::Refused { .. } => tally.refused += 1,
                Item::Problem { .. } => tally.problems += 1,
                Item::Stays { .. } | Item::Nothing { .. } => {}
            }
        }
        tally
    }
}
