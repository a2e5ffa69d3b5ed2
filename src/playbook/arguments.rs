//! The arguments of an action as a playbook writes them: literals and references, checked against what the action takes.

use serde_json::Value;

use super::code;
use super::diagnostic::Problems;
use super::fields::{map, wrong_type};
use super::inputs::literal_one;
use super::parameters::{Parameter, Parameters};
use super::references::{Reference, report_template};
use super::source::{Span, quote};
use super::steps::Context;
use super::tree::{Data, Entry, Node};
use super::types::{Bounds, Type};

/// An argument's value, still with its references.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Argument {
    Literal(Value),
    Input(String),
    Each,
    List(Vec<Self>),
}

impl Argument {
    /// How it is written; `each` as the list that is gone through.
    pub(super) fn written(&self, each: Option<&str>) -> String {
        match self {
            Self::Literal(Value::String(text)) => text.to_lowercase(),
            Self::Literal(value) => value.to_string(),
            Self::Input(name) => format!("inputs.{name}"),
            Self::Each => format!("inputs.{}", each.unwrap_or("?")),
            Self::List(items) => items.iter().map(|item| item.written(each)).collect::<Vec<_>>().join(","),
        }
    }

    /// Whether any part of it satisfies `test`.
    pub(super) fn any(&self, test: &impl Fn(&Self) -> bool) -> bool {
        test(self) || matches!(self, Self::List(items) if items.iter().any(|item| item.any(test)))
    }
}

/// What `each` is in a step.
#[derive(Debug, Clone, Copy)]
pub(super) enum Each<'e> {
    /// The step has no `each:`.
    None,
    /// It has a bad one, reported already.
    Broken,
    /// One of this type.
    Of(&'e Type),
}

/// Reads the arguments beneath an action's id.
pub(super) fn read(
    action: &Entry,
    parameters: &Parameters,
    context: &Context<'_>,
    each: Each<'_>,
    problems: &mut Problems<'_>,
) -> Vec<(String, Argument)> {
    let Some(entries) = map(&action.value, "the action's arguments", problems) else {
        return Vec::new();
    };
    report_missing(action, entries, parameters, problems);
    let reader = Reader { context, each };
    let mut arguments = Vec::new();
    for entry in entries {
        match parameters.get(&entry.key) {
            Some(parameter) => {
                let argument = reader.argument(entry, parameter, problems);
                arguments.extend(argument.map(|argument| (entry.key.clone(), argument)));
            }
            None => {
                let message = format!("`{}` takes no argument {}", action.key, quote(&entry.key));
                let names = parameters.list.iter().map(|parameter| parameter.name.as_str());
                problems.error(code::UNKNOWN_ARGUMENT, entry.key_span, message).suggest(&entry.key, names);
            }
        }
    }
    arguments
}

fn report_missing(action: &Entry, given: &[Entry], parameters: &Parameters, problems: &mut Problems<'_>) {
    let is_given = |name: &str| given.iter().any(|entry| entry.key == name);
    for parameter in parameters.list.iter().filter(|parameter| parameter.required && !is_given(&parameter.name)) {
        let message = format!("`{}` needs the argument `{}`", action.key, parameter.name);
        problems.error(code::MISSING_ARGUMENT, action.key_span, message);
    }
    let sets = &parameters.alternatives;
    let listed = sets.iter().map(|set| set.join("` and `")).collect::<Vec<_>>().join("`, or `");
    let complete = sets.iter().filter(|set| set.iter().all(|name| is_given(name))).count();
    if complete == 0 && !sets.is_empty() {
        let message = format!("`{}` needs `{listed}`", action.key);
        problems.error(code::MISSING_ARGUMENT, action.key_span, message);
    } else if complete > 1 && parameters.exclusive {
        let message = format!("`{}` takes one of `{listed}`, not several", action.key);
        problems.error(code::CONFLICTING_ARGUMENTS, action.key_span, message);
    }
}

struct Reader<'r, 'c> {
    context: &'r Context<'c>,
    each: Each<'r>,
}

impl Reader<'_, '_> {
    fn argument(&self, entry: &Entry, parameter: &Parameter, problems: &mut Problems<'_>) -> Option<Argument> {
        let Some((kind, bounds)) = &parameter.shape else {
            let message = format!("the type of the argument `{}` is none of the language", parameter.name);
            problems.error(code::UNSUPPORTED_ARGUMENT, entry.key_span, message);
            return None;
        };
        let argument = self.value(&entry.value, kind, bounds, problems)?;
        let count = |items: &[Argument]| Value::Array(vec![Value::Null; items.len()]);
        let checked = match &argument {
            Argument::Literal(value) => bounds.check(value),
            Argument::List(items) => bounds.check(&count(items)),
            Argument::Input(_) | Argument::Each => Ok(()),
        };
        if let Err(reason) = checked {
            problems.error(code::OUT_OF_BOUNDS, entry.value.span, format!("`{}` has {reason}", parameter.name));
            return None;
        }
        Some(argument)
    }

    fn value(&self, node: &Node, kind: &Type, bounds: &Bounds, problems: &mut Problems<'_>) -> Option<Argument> {
        match Reference::read(node, problems)? {
            Some(Reference::Input(name)) => self.input(name, node.span, (kind, bounds), problems),
            Some(Reference::Each) => self.each(node.span, kind, problems),
            Some(Reference::Outcome(_)) => {
                let message = format!("an outcome is for `when`, here a `{}` is wanted", kind.name());
                problems.error(code::REFERENCE_TYPE, node.span, message);
                None
            }
            None if report_template(node, problems) => None,
            None if kind.many => self.list(node, kind, problems),
            None => literal_one(&kind.kind, node, problems).map(Argument::Literal),
        }
    }

    fn list(&self, node: &Node, kind: &Type, problems: &mut Problems<'_>) -> Option<Argument> {
        let Data::List(items) = &node.data else {
            wrong_type(node, &format!("a list for `{}`", kind.name()), problems);
            return None;
        };
        let one = Type { kind: kind.kind.clone(), many: false };
        let items: Vec<Option<Argument>> =
            items.iter().map(|item| self.value(item, &one, &Bounds::default(), problems)).collect();
        let items: Vec<Argument> = items.into_iter().collect::<Option<_>>()?;
        let literals: Option<Vec<Value>> = items
            .iter()
            .map(|item| match item {
                Argument::Literal(value) => Some(value.clone()),
                _ => None,
            })
            .collect();
        match literals {
            Some(values) => kind.normalise(&Value::Array(values)).ok().map(Argument::Literal),
            None => Some(Argument::List(items)),
        }
    }

    fn input(&self, name: &str, at: Span, place: (&Type, &Bounds), problems: &mut Problems<'_>) -> Option<Argument> {
        let (kind, bounds) = place;
        let decl = self.context.input(name, at, problems)?;
        if !decl.kind.fits(kind) {
            let message = format!("a `{}` is wanted here, `inputs.{name}` is `{}`", kind.name(), decl.kind.name());
            let diagnostic = problems.error(code::REFERENCE_TYPE, at, message);
            if decl.kind.many && decl.kind.kind == kind.kind {
                diagnostic.help(format!("say `each: inputs.{name}` in the step and write `each` here"));
            }
            return None;
        }
        if !decl.bounds.within(bounds) {
            let limit = |bound: Option<i64>| bound.map_or("any".to_owned(), |bound| bound.to_string());
            let message = format!("`inputs.{name}` may be out of the bounds of this argument");
            let help = format!("give the input `min` and `max` within {} to {}", limit(bounds.min), limit(bounds.max));
            problems.error(code::REFERENCE_TYPE, at, message).help(help);
            return None;
        }
        Some(Argument::Input(name.to_owned()))
    }

    fn each(&self, at: Span, kind: &Type, problems: &mut Problems<'_>) -> Option<Argument> {
        match self.each {
            Each::Of(each) if each.fits(kind) => return Some(Argument::Each),
            Each::Of(each) => {
                let message = format!("a `{}` is wanted here, `each` is a `{}`", kind.name(), each.name());
                problems.error(code::REFERENCE_TYPE, at, message);
            }
            Each::Broken => {}
            Each::None => {
                let help = "add `each: inputs.NAME` to the step";
                problems
                    .error(code::EACH_OUTSIDE_LOOP, at, "the step goes through no list, so there is no `each`")
                    .help(help);
            }
        }
        None
    }
}
