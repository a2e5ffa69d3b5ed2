//! References: `inputs.NAME`, `each`, `steps.ID.outcome`. They replace a whole value, are never in quotes, and are all there is. Here is what a reference may be
//! beneath `when` and `each`; beneath an argument, see `arguments`.

use super::code;
use super::diagnostic::Problems;
use super::fields::wrong_type;
use super::inputs::InputDecl;
use super::source::{Span, quote};
use super::steps::{Condition, Context, StepReader};
use super::tree::{Data, NO_TEMPLATES_HELP, Node};
use super::types::{Kind, Type};

/// What a plain text refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reference<'n> {
    Input(&'n str),
    Each,
    Outcome(&'n str),
}

impl<'n> Reference<'n> {
    /// `Some(None)` if the value is no reference, `None` if it is a bad one, which is reported.
    pub(super) fn read(node: &'n Node, problems: &mut Problems<'_>) -> Option<Option<Self>> {
        let Some(text) = node.plain() else {
            return Some(None);
        };
        if text == "each" {
            return Some(Some(Self::Each));
        }
        if let Some(name) = text.strip_prefix("inputs.") {
            return Some(Some(Self::Input(name)));
        }
        let Some(rest) = text.strip_prefix("steps.") else {
            return Some(None);
        };
        let Some(step) = rest.strip_suffix(".outcome") else {
            let message = format!("{} is no reference: of a step there is `steps.ID.outcome` only", quote(text));
            problems.error(code::BAD_VALUE, node.span, message);
            return None;
        };
        Some(Some(Self::Outcome(step)))
    }
}

impl Context<'_> {
    /// The declaration of an input that is referred to; reports one that does not exist.
    pub(super) fn input(&self, name: &str, at: Span, problems: &mut Problems<'_>) -> Option<&InputDecl> {
        let found = self.declared.get(name);
        if found.is_none() {
            let message = format!("there is no input {}", quote(name));
            problems.error(code::UNKNOWN_INPUT, at, message).suggest(name, self.declared.names());
        }
        found.flatten()
    }
}

impl StepReader<'_, '_> {
    /// The condition beneath `when`.
    pub(super) fn condition(&self, node: &Node, problems: &mut Problems<'_>) -> Option<Condition> {
        let bool_type = Type { kind: Kind::Bool, many: false };
        match Reference::read(node, problems)? {
            Some(Reference::Input(name)) => {
                let decl = self.context.input(name, node.span, problems)?;
                if decl.kind == bool_type {
                    return Some(Condition::Input(name.to_owned()));
                }
                let message = format!("`when` takes a bool, `inputs.{name}` is `{}`", decl.kind.name());
                problems.error(code::REFERENCE_TYPE, node.span, message);
            }
            Some(Reference::Outcome(step)) => return self.outcome(step, node.span, problems),
            Some(Reference::Each) => {
                problems.error(code::REFERENCE_TYPE, node.span, "`when` takes a bool, `each` is none");
            }
            None if !report_template(node, problems) => {
                wrong_type(node, "`inputs.NAME` of a bool, or `steps.ID.outcome`", problems);
            }
            None => {}
        }
        None
    }

    fn outcome(&self, step: &str, at: Span, problems: &mut Problems<'_>) -> Option<Condition> {
        let found = self.context.steps.iter().find(|(id, _)| id == step);
        match found {
            None => {
                let message = format!("there is no step {}", quote(step));
                let ids = self.context.steps.iter().filter(|(_, stage)| *stage < self.stage).map(|(id, _)| id.as_str());
                problems.error(code::UNKNOWN_STEP, at, message).suggest(step, ids);
                None
            }
            Some((_, stage)) if *stage >= self.stage => {
                let place = if *stage == self.stage { "the same" } else { "a later" };
                let message = format!("the step `{step}` is in {place} stage, its outcome is not known yet");
                problems.error(code::LATER_STEP, at, message).help("steps of a stage go at once; use an earlier stage");
                None
            }
            Some(_) => Some(Condition::Outcome(step.to_owned())),
        }
    }

    /// The list that is gone through, with the type of one of it.
    pub(super) fn each(&self, node: &Node, problems: &mut Problems<'_>) -> Option<(String, Type)> {
        let Some(Reference::Input(name)) = Reference::read(node, problems)? else {
            if !report_template(node, problems) {
                wrong_type(node, "a reference to a list, such as `inputs.users`", problems);
            }
            return None;
        };
        let decl = self.context.input(name, node.span, problems)?;
        if !decl.kind.many {
            let message = format!("`each` goes through a list, `inputs.{name}` is `{}`", decl.kind.name());
            let help = format!("leave `each` out and write `inputs.{name}` as the argument");
            problems.error(code::REFERENCE_TYPE, node.span, message).help(help);
            return None;
        }
        Some((name.to_owned(), Type { kind: decl.kind.kind.clone(), many: false }))
    }
}

/// Reports text that looks as if something should be filled in.
pub(super) fn report_template(node: &Node, problems: &mut Problems<'_>) -> bool {
    let Data::Text { text, .. } = &node.data else {
        return false;
    };
    let template = ["{{", "${", "$("].iter().any(|mark| text.contains(mark));
    if template {
        problems.error(code::NO_TEMPLATES, node.span, format!("{} is a template", quote(text))).help(NO_TEMPLATES_HELP);
    }
    template
}
