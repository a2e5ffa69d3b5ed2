//! A playbook with its inputs filled in: no reference is left but the outcomes of steps, which are known during a run only.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Playbook;
use super::arguments::Argument;
use super::diagnostic::nearest;
use super::document::{Counters, Handover, Limits};
use super::inputs::InputError;
use super::source::harmless;
use super::steps::{Condition, Stage, Step};

/// A playbook, bound.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Bound {
    /// The playbook's id.
    pub id: String,
    /// The playbook's version.
    pub version: String,
    /// The playbook's title.
    pub title: String,
    /// The techniques that it counters.
    pub counters: Counters,
    /// SHA-256 of the playbook's bytes, lower-case hexadecimal.
    pub sha256: String,
    /// Every input with its normalised value, defaults included.
    pub inputs: BTreeMap<String, Value>,
    /// How much may be changed.
    pub limits: Limits,
    /// The stages in the order in which they run.
    pub stages: Vec<BoundStage>,
    /// What people do afterwards.
    pub handover: Vec<Handover>,
}

/// Steps that go at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundStage {
    /// Unique among stages.
    pub id: String,
    /// Why it stands where it stands.
    pub why: Option<String>,
    /// What the next stage waits for.
    pub gate: Gate,
    /// Its steps in the order of the file.
    pub steps: Vec<BoundStep>,
}

/// What must be so before the stage after this one starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gate {
    /// Its calls were answered.
    #[default]
    None,
    /// Its changes were verified as well, or the time for that is over.
    Verified,
}

/// One action and what it is applied to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundStep {
    /// Unique in the playbook.
    pub id: String,
    /// The action's id.
    pub action: String,
    /// Why it is done.
    pub why: Option<String>,
    /// On which condition it is done.
    pub when: When,
    /// Which of the found targets are changed.
    pub pick: Pick,
    /// What follows if a change fails.
    pub on_error: OnError,
    /// The action's inputs: one, or one for each of a list. Empty if the step is never done.
    pub runs: Vec<BoundRun>,
}

/// A step's condition once the inputs are known.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// It is done.
    Always,
    /// It is not done.
    Never {
        /// Why, for a plan that shows it as left out.
        reason: String,
    },
    /// It is done if all changes of an earlier stage's step hold, and there was at least one.
    Outcome {
        /// That step's id.
        step: String,
    },
}

/// Which targets are changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pick {
    /// All of them.
    All,
    /// Those that the operator chooses, none by default.
    Operator,
    /// Those of these ids.
    Ids(Vec<String>),
}

/// What follows if a change of the step fails.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnError {
    /// Everything else goes on.
    #[default]
    Continue,
    /// The rest of this target's changes is left out; other targets go on.
    NextTarget,
    /// No further change is started.
    Stop,
}

/// One input of the step's action.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BoundRun {
    /// The value that `each` stands for, if the step goes through a list.
    pub each: Option<String>,
    /// The action's input: a map of its arguments.
    pub input: Value,
}

impl Playbook {
    /// Fills the inputs in. Pure: the same values give the same result.
    ///
    /// # Errors
    /// All that is wrong with the values: unknown names, missing ones, wrong types, values out of bounds.
    pub fn bind(&self, values: &BTreeMap<String, Value>) -> Result<Bound, Vec<InputError>> {
        let inputs = self.check_inputs(values)?;
        let mut stages: Vec<BoundStage> = Vec::with_capacity(self.stages.len());
        for stage in &self.stages {
            let bound = bind_stage(stage, &inputs, &stages);
            stages.push(bound);
        }
        Ok(Bound {
            id: self.id.clone(),
            version: self.version.clone(),
            title: self.title.clone(),
            counters: self.counters.clone(),
            sha256: self.sha256.clone(),
            inputs,
            limits: self.limits.clone(),
            stages,
            handover: self.handover.clone(),
        })
    }

    fn check_inputs(&self, values: &BTreeMap<String, Value>) -> Result<BTreeMap<String, Value>, Vec<InputError>> {
        let names: Vec<&str> = self.inputs.iter().map(|decl| decl.name.as_str()).collect();
        let unknown = values.keys().filter(|name| !names.contains(&name.as_str()));
        let mut errors: Vec<InputError> = unknown
            .map(|name| InputError::Unknown { name: harmless(name), nearest: nearest(name, &names).map(str::to_owned) })
            .collect();
        let mut inputs = BTreeMap::new();
        for decl in &self.inputs {
            let value = match (values.get(&decl.name), &decl.default) {
                (Some(value), _) => decl.check(value),
                (None, Some(default)) => Ok(default.clone()),
                (None, None) => Err(InputError::Missing { name: decl.name.clone(), kind: decl.kind.name() }),
            };
            match value {
                Ok(value) => {
                    inputs.insert(decl.name.clone(), value);
                }
                Err(error) => errors.push(error),
            }
        }
        if errors.is_empty() { Ok(inputs) } else { Err(errors) }
    }
}

fn bind_stage(stage: &Stage, inputs: &BTreeMap<String, Value>, earlier: &[BoundStage]) -> BoundStage {
    BoundStage {
        id: stage.id.clone(),
        why: stage.why.clone(),
        gate: stage.gate,
        steps: stage.steps.iter().map(|step| bind_step(step, inputs, earlier)).collect(),
    }
}

fn bind_step(step: &Step, inputs: &BTreeMap<String, Value>, earlier: &[BoundStage]) -> BoundStep {
    let mut when = bind_when(step.when.as_ref(), inputs, earlier);
    let mut runs = Vec::new();
    if !matches!(when, When::Never { .. }) {
        runs = bind_runs(step, inputs);
    }
    if let (When::Always | When::Outcome { .. }, Some(list), true) = (&when, &step.each, runs.is_empty()) {
        when = When::Never { reason: format!("input `{list}` is empty") };
    }
    BoundStep {
        id: step.id.clone(),
        action: step.action.clone(),
        why: step.why.clone(),
        when,
        pick: step.pick.clone(),
        on_error: step.on_error,
        runs,
    }
}

fn bind_when(when: Option<&Condition>, inputs: &BTreeMap<String, Value>, earlier: &[BoundStage]) -> When {
    match when {
        None => When::Always,
        Some(Condition::Input(name)) if inputs.get(name) == Some(&Value::Bool(true)) => When::Always,
        Some(Condition::Input(name)) => When::Never { reason: format!("input `{name}` is false") },
        Some(Condition::Outcome(id)) => {
            // A step that is not done has no outcome, and what waits for it is not done either.
            let mut steps = earlier.iter().flat_map(|stage| &stage.steps).filter(|step| step.id == *id);
            if steps.any(|step| step.runs.is_empty()) {
                return When::Never { reason: format!("step `{id}` is not done") };
            }
            When::Outcome { step: id.clone() }
        }
    }
}

fn bind_runs(step: &Step, inputs: &BTreeMap<String, Value>) -> Vec<BoundRun> {
    let run = |each: Option<&Value>| {
        let fill = |(name, argument): &(String, Argument)| (name.clone(), fill_in(argument, inputs, each));
        let input: Map<String, Value> = step.arguments.iter().map(fill).collect();
        BoundRun { each: each.and_then(Value::as_str).map(str::to_owned), input: Value::Object(input) }
    };
    match &step.each {
        None => vec![run(None)],
        Some(list) => {
            inputs.get(list).and_then(Value::as_array).into_iter().flatten().map(|one| run(Some(one))).collect()
        }
    }
}

/// The value of an argument. That references exist and fit was checked when the file was read.
fn fill_in(argument: &Argument, inputs: &BTreeMap<String, Value>, each: Option<&Value>) -> Value {
    match argument {
        Argument::Literal(value) => value.clone(),
        Argument::Input(name) => inputs.get(name).cloned().unwrap_or_default(),
        Argument::Each => each.cloned().unwrap_or_default(),
        Argument::List(items) => items.iter().map(|item| fill_in(item, inputs, each)).collect(),
    }
}
