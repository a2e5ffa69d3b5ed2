//! Stages and steps: what happens in which order, to what, and on which condition.
//!
//! What an action takes is checked in `arguments`; whether an order is wise, in `lint`.

use super::arguments::{self, Argument};
use super::bind::{Gate, OnError, Pick};
use super::code;
use super::diagnostic::Problems;
use super::fields::{Fields, id, list, map, text, word};
use super::inputs::Declared;
use super::parameters::Parameters;
use super::source::{Span, quote};
use super::tree::{Data, Entry, Node};
use super::types::{Kind, Type};
use super::{ActionFacts, Effect};

/// A stage as it is written.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    pub(super) id: String,
    pub(super) why: Option<String>,
    pub(super) gate: Gate,
    pub(super) steps: Vec<Step>,
}

/// A step as it is written, with what the lints need of its action.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) why: Option<String>,
    pub(super) when: Option<Condition>,
    pub(super) each: Option<String>,
    pub(super) action: String,
    pub(super) arguments: Vec<(String, Argument)>,
    pub(super) pick: Pick,
    pub(super) on_error: OnError,
    pub(super) traits: Traits,
    pub(super) places: Places,
}

/// What the catalogue says of the step's action, and what follows from its arguments.
#[derive(Debug, Clone)]
pub(super) struct Traits {
    pub(super) effect: Effect,
    pub(super) target_kind: String,
    pub(super) instead: Option<String>,
    /// Whether its targets are named by an argument, so that nothing has to be found.
    pub(super) named: bool,
    /// The user that it concerns, as written: `inputs.users`, or a name.
    pub(super) subject: Option<String>,
}

/// Where things stand, for the lints.
#[derive(Debug, Clone, Copy)]
pub(super) struct Places {
    pub(super) action: Span,
    pub(super) pick: Span,
    pub(super) each: Span,
}

/// A condition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Condition {
    /// A bool input.
    Input(String),
    /// The outcome of a step of an earlier stage.
    Outcome(String),
}

/// What a step is checked against.
pub(super) struct Context<'c> {
    pub(super) declared: &'c Declared,
    pub(super) actions: &'c [ActionFacts],
    /// Every step's id, with the number of its stage.
    pub(super) steps: Vec<(String, usize)>,
}

pub(super) fn read(
    node: &Node,
    declared: &Declared,
    actions: &[ActionFacts],
    problems: &mut Problems<'_>,
) -> Vec<Stage> {
    let nodes = list(node, "stages", problems).unwrap_or_default();
    let context = Context { declared, actions, steps: step_ids(nodes) };
    let mut stages: Vec<Stage> = Vec::new();
    let mut seen = Seen::default();
    for (number, node) in nodes.iter().enumerate() {
        if let Some(stage) = read_stage(node, number, &context, &mut seen, problems) {
            stages.push(stage);
        }
    }
    stages
}

/// The ids met so far, with their places.
#[derive(Default)]
struct Seen {
    stages: Vec<(String, Span)>,
    steps: Vec<(String, Span)>,
}

fn report_repeated(id: &str, at: Span, what: &str, seen: &mut Vec<(String, Span)>, problems: &mut Problems<'_>) {
    if let Some((_, first)) = seen.iter().find(|(other, _)| other == id) {
        let line = problems.line_of(*first);
        let message = format!("a second {what} has the id `{id}`");
        problems.error(code::DUPLICATE_ID, at, message).help(format!("it is first on line {line}"));
    }
    seen.push((id.to_owned(), at));
}

fn lookup<'n>(node: &'n Node, key: &str) -> Option<&'n Node> {
    match &node.data {
        Data::Map { entries, .. } => entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value),
        _ => None,
    }
}

/// Ids of all steps, known before any of them is read, to tell a later step from one that does not exist.
fn step_ids(stages: &[Node]) -> Vec<(String, usize)> {
    let mut ids = Vec::new();
    for (number, stage) in stages.iter().enumerate() {
        if let Some(Data::List(steps)) = lookup(stage, "steps").map(|node| &node.data) {
            let found = steps.iter().filter_map(|step| lookup(step, "id"));
            ids.extend(found.filter_map(|id| match &id.data {
                Data::Text { text, .. } => Some((text.clone(), number)),
                _ => None,
            }));
        }
    }
    ids
}

fn read_stage(
    node: &Node,
    number: usize,
    context: &Context<'_>,
    seen: &mut Seen,
    problems: &mut Problems<'_>,
) -> Option<Stage> {
    let fields = Fields::open(node, "a stage", &["id", "why", "gate", "steps"], problems)?;
    let id = fields.require("id", problems).and_then(|node| id(node, problems));
    if let Some(id) = &id {
        report_repeated(id, fields.span_of("id"), "stage", &mut seen.stages, problems);
    }
    let why = fields.get("why").and_then(|node| text(node, problems));
    let gates = [("none", Gate::None), ("verified", Gate::Verified)];
    let gate = fields.get("gate").and_then(|node| word(node, &gates, problems)).unwrap_or_default();
    let nodes = fields.require("steps", problems).and_then(|node| list(node, "steps", problems));
    let mut steps = Vec::new();
    for node in nodes.unwrap_or_default() {
        let step = StepReader { context, stage: number }.read(node, &mut seen.steps, problems);
        steps.extend(step);
    }
    Some(Stage { id: id?, why, gate, steps })
}

/// Reads one step of a stage.
pub(super) struct StepReader<'r, 'c> {
    pub(super) context: &'r Context<'c>,
    /// The number of the stage.
    pub(super) stage: usize,
}

impl StepReader<'_, '_> {
    fn read(&self, node: &Node, seen: &mut Vec<(String, Span)>, problems: &mut Problems<'_>) -> Option<Step> {
        let keys = ["id", "why", "when", "each", "do", "pick", "on_error"];
        let fields = Fields::open(node, "a step", &keys, problems)?;
        let id = fields.require("id", problems).and_then(|node| id(node, problems));
        if let Some(id) = &id {
            report_repeated(id, fields.span_of("id"), "step", seen, problems);
        }
        let why = fields.get("why").and_then(|node| text(node, problems));
        let when = fields.get("when").and_then(|node| self.condition(node, problems));
        let each = fields.get("each").map(|node| self.each(node, problems));
        let rules = [("continue", OnError::Continue), ("next-target", OnError::NextTarget), ("stop", OnError::Stop)];
        let on_error = fields.get("on_error").and_then(|node| word(node, &rules, problems)).unwrap_or_default();
        let picked = fields.get("pick").and_then(|node| pick(node, problems));
        let (entry, facts) = self.action(fields.require("do", problems)?, problems)?;
        let kind = match &each {
            None => arguments::Each::None,
            Some(None) => arguments::Each::Broken,
            Some(Some((_, kind))) => arguments::Each::Of(kind),
        };
        let parameters = Parameters::of(&facts.input);
        let arguments = arguments::read(entry, &parameters, self.context, kind, problems);
        let each = each.flatten().map(|(name, _)| name);
        let traits = traits(facts, &parameters, &arguments, each.as_deref());
        let found = if traits.named { Pick::All } else { Pick::Operator };
        Some(Step {
            id: id?,
            why,
            when,
            each,
            action: facts.id.clone(),
            arguments,
            pick: picked.unwrap_or(found),
            on_error,
            traits,
            places: Places { action: entry.key_span, pick: fields.span_of("pick"), each: fields.span_of("each") },
        })
    }

    fn action<'n>(&self, node: &'n Node, problems: &mut Problems<'_>) -> Option<(&'n Entry, &ActionFacts)> {
        let entries = map(node, "`do`", problems)?;
        let Some(entry) = entries.first() else {
            problems.error(code::EMPTY, node.span, "`do` holds no action");
            return None;
        };
        for other in entries.iter().skip(1) {
            let message = format!("a second action {} in one `do`", quote(&other.key));
            problems.error(code::SEVERAL_ACTIONS, other.key_span, message).help("give it a step of its own");
        }
        let find = |id: &str| self.context.actions.iter().find(|facts| facts.id == id);
        for entry in entries.iter().filter(|entry| find(&entry.key).is_none()) {
            let message = format!("there is no action {}", quote(&entry.key));
            let ids = self.context.actions.iter().map(|facts| facts.id.as_str());
            problems.error(code::UNKNOWN_ACTION, entry.key_span, message).suggest(&entry.key, ids);
        }
        Some((entry, find(&entry.key)?))
    }
}

fn pick(node: &Node, problems: &mut Problems<'_>) -> Option<Pick> {
    if let Data::List(_) = node.data {
        let ids = list(node, "ids to pick", problems)?.iter().map(|item| text(item, problems));
        return ids.collect::<Option<_>>().map(Pick::Ids);
    }
    let words = [("all", true), ("operator", false)];
    word(node, &words, problems).map(|all| if all { Pick::All } else { Pick::Operator })
}

fn traits(facts: &ActionFacts, parameters: &Parameters, given: &[(String, Argument)], each: Option<&str>) -> Traits {
    let kind_of =
        |name: &str| parameters.get(name).and_then(|parameter| parameter.shape.as_ref()).map(|(kind, _)| &kind.kind);
    let is_target = |kind: &Kind| Type { kind: kind.clone(), many: false }.name() == facts.target_kind;
    let user = given.iter().find(|(name, _)| kind_of(name) == Some(&Kind::User));
    Traits {
        effect: facts.effect,
        target_kind: facts.target_kind.clone(),
        instead: facts.instead.clone(),
        named: given.iter().any(|(name, _)| kind_of(name).is_some_and(is_target)),
        subject: user.map(|(_, argument)| argument.written(each)),
    }
}
