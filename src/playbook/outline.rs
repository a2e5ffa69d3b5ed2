//! The stages of a playbook as its author wrote them, references and all: for whoever shows a playbook or hands it on.
//! What is run is a [`super::Bound`] playbook, never this.

use super::arguments::Argument;
use super::steps::{Condition, Step};
use super::{Gate, OnError, Pick, Playbook};

/// Steps that go at once.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlineStage {
    /// Its id.
    pub id: String,
    /// Why it stands where it stands.
    pub why: Option<String>,
    /// What the next stage waits for.
    pub gate: Gate,
    /// In the order of the file.
    pub steps: Vec<OutlineStep>,
}

/// One action and what it is applied to.
#[derive(Debug, Clone, PartialEq)]
pub struct OutlineStep {
    /// Its id.
    pub id: String,
    /// Why it is done.
    pub why: Option<String>,
    /// The bool input that it depends on.
    pub when_input: Option<String>,
    /// The step of an earlier stage on whose outcome it depends.
    pub when_outcome: Option<String>,
    /// The input that it goes through.
    pub each: Option<String>,
    /// The action's id.
    pub action: String,
    /// What the action is given.
    pub arguments: Vec<OutlineArgument>,
    /// Which of the found targets are changed.
    pub pick: Pick,
    /// What follows if a change fails.
    pub on_error: OnError,
}

/// An argument as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlineArgument {
    /// Its name.
    pub name: String,
    /// A literal as JSON, or a reference: `inputs.users`, `each`.
    pub value: String,
    /// The inputs that it refers to.
    pub inputs: Vec<String>,
}

impl Playbook {
    /// The stages as they are written.
    #[must_use]
    pub fn outline(&self) -> Vec<OutlineStage> {
        let stage = |stage: &super::steps::Stage| OutlineStage {
            id: stage.id.clone(),
            why: stage.why.clone(),
            gate: stage.gate,
            steps: stage.steps.iter().map(outlined).collect(),
        };
        self.stages.iter().map(stage).collect()
    }
}

fn outlined(step: &Step) -> OutlineStep {
    let (when_input, when_outcome) = match &step.when {
        Some(Condition::Input(name)) => (Some(name.clone()), None),
        Some(Condition::Outcome(id)) => (None, Some(id.clone())),
        None => (None, None),
    };
    let argument = |(name, argument): &(String, Argument)| OutlineArgument {
        name: name.clone(),
        value: value(argument),
        inputs: inputs(argument, step.each.as_deref()),
    };
    OutlineStep {
        id: step.id.clone(),
        why: step.why.clone(),
        when_input,
        when_outcome,
        each: step.each.clone(),
        action: step.action.clone(),
        arguments: step.arguments.iter().map(argument).collect(),
        pick: step.pick.clone(),
        on_error: step.on_error,
    }
}

fn value(argument: &Argument) -> String {
    match argument {
        Argument::Literal(value) => value.to_string(),
        Argument::Input(name) => format!("inputs.{name}"),
        Argument::Each => "each".to_owned(),
        Argument::List(items) => format!("[{}]", items.iter().map(value).collect::<Vec<_>>().join(", ")),
    }
}

fn inputs(argument: &Argument, each: Option<&str>) -> Vec<String> {
    match argument {
        Argument::Literal(_) => Vec::new(),
        Argument::Input(name) => vec![name.clone()],
        Argument::Each => each.map(str::to_owned).into_iter().collect(),
        Argument::List(items) => items.iter().flat_map(|item| inputs(item, each)).collect(),
    }
}
