//! The inputs of a playbook: their declarations, and the check of the values that are given for them.
//!
//! Where a value comes from (the command line, a file, a prompt) does not belong here.

use serde::Serialize;
use serde_json::Value;

use super::code;
use super::diagnostic::Problems;
use super::fields::{Fields, check_name, list, map, text, wrong_type};
use super::source::{Span, quote};
use super::tree::{Data, Node};
use super::types::{Bounds, Kind, TYPE_NAMES, Type};

/// An input that a playbook asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct InputDecl {
    /// Its name, `[a-z][a-z0-9_]*`.
    pub name: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Type,
    /// Bounds of a list's length, an integer's value, a text's length.
    pub bounds: Bounds,
    /// The normalised value that holds if none is given. Without it the input is required.
    pub default: Option<Value>,
    /// What it is for, in the author's words.
    pub help: Option<String>,
}

/// A value that an input cannot take. The text reads after "failed to bind the inputs: ".
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InputError {
    /// No such input.
    #[error("there is no input `{name}`{}", nearest.as_ref().map(|n| format!(", did you mean `{n}`?")).unwrap_or_default())]
    Unknown {
        /// The name that was given, made harmless for a terminal.
        name: String,
        /// The declared name that was probably meant.
        nearest: Option<String>,
    },
    /// A required input has no value.
    #[error("input `{name}` ({kind}) has no value")]
    Missing {
        /// The input.
        name: String,
        /// Its type's name.
        kind: &'static str,
    },
    /// The value has the wrong type or form, or is out of bounds.
    #[error("input `{name}`: {reason}")]
    Invalid {
        /// The input.
        name: String,
        /// What is wrong with the value.
        reason: String,
    },
}

impl InputDecl {
    /// Whether a value must be given.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.default.is_none()
    }

    /// The normalised value (times in UTC, ids in lower case, lists without repetitions), checked against type and bounds.
    ///
    /// # Errors
    /// [`InputError::Invalid`] with the reason.
    pub fn check(&self, value: &Value) -> Result<Value, InputError> {
        let value = self.kind.normalise(value).map_err(|reason| self.invalid(reason))?;
        self.bounds.check(&value).map_err(|reason| self.invalid(reason))?;
        Ok(value)
    }

    fn invalid(&self, reason: String) -> InputError {
        InputError::Invalid { name: self.name.clone(), reason }
    }
}

/// The value of a text given for an input, such as the right side of `-i key=value`. A list is separated by commas or line
/// breaks. The length of a list is not checked: it may be given in several pieces, to be joined before [`InputDecl::check`].
///
/// # Errors
/// [`InputError::Invalid`] with the reason.
pub fn parse_input(decl: &InputDecl, text: &str) -> Result<Value, InputError> {
    let kind = &decl.kind.kind;
    if !decl.kind.many {
        let value = kind.parse(text).map_err(|reason| decl.invalid(reason))?;
        decl.bounds.check(&value).map_err(|reason| decl.invalid(reason))?;
        return Ok(value);
    }
    let pieces = text.split([',', '\n']).map(str::trim).filter(|piece| !piece.is_empty());
    let items: Result<Vec<Value>, String> = pieces.map(|piece| kind.parse(piece)).collect();
    decl.kind
        .normalise(&Value::Array(items.map_err(|reason| decl.invalid(reason))?))
        .map_err(|reason| decl.invalid(reason))
}

/// The declared inputs while a file is read; one whose declaration is bad has a name only, so that references to it are not
/// reported as well.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub(super) inputs: Vec<(String, Span, Option<InputDecl>)>,
}

impl Declared {
    /// `None` if there is no such input, `Some(None)` if its declaration is bad.
    pub(super) fn get(&self, name: &str) -> Option<Option<&InputDecl>> {
        self.inputs.iter().find(|(other, ..)| other == name).map(|(_, _, decl)| decl.as_ref())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.inputs.iter().map(|(name, ..)| name.as_str())
    }
}

pub(super) fn read(node: &Node, problems: &mut Problems<'_>) -> Declared {
    let mut declared = Declared::default();
    for entry in map(node, "the inputs", problems).unwrap_or_default() {
        let named = check_name(&entry.key, '_', entry.key_span, problems);
        let decl = read_one(&entry.key, &entry.value, problems).filter(|_| named);
        declared.inputs.push((entry.key.clone(), entry.key_span, decl));
    }
    declared
}

fn read_one(name: &str, node: &Node, problems: &mut Problems<'_>) -> Option<InputDecl> {
    let fields = Fields::open(node, "an input", &["type", "of", "min", "max", "default", "help"], problems)?;
    let help = fields.get("help").and_then(|node| text(node, problems));
    let kind = read_type(&fields, problems)?;
    let bounds = read_bounds(&fields, &kind, problems);
    let mut decl = InputDecl { name: name.to_owned(), kind, bounds: bounds.unwrap_or_default(), default: None, help };
    if let Some(node) = fields.get("default") {
        decl.default = Some(read_default(&decl, node, problems)?);
    }
    bounds.map(|_| decl)
}

fn read_type(fields: &Fields<'_>, problems: &mut Problems<'_>) -> Option<Type> {
    let node = fields.require("type", problems)?;
    let name = text(node, problems)?;
    let Some(mut kind) = Type::named(&name) else {
        let message = format!("{} is no type of input", quote(&name));
        problems.error(code::BAD_VALUE, node.span, message).suggest(&name, TYPE_NAMES.iter().copied());
        return None;
    };
    if let Kind::Choice(words) = &mut kind.kind {
        let node = fields.require("of", problems)?;
        for item in list(node, "choices", problems)? {
            let word = text(item, problems)?;
            if words.contains(&word) {
                problems.error(code::DUPLICATE_ID, item.span, format!("the choice {} stands here twice", quote(&word)));
            }
            words.push(word);
        }
    } else if fields.get("of").is_some() {
        let message = format!("`of` lists the words of a `choice`, this is a `{name}`");
        problems.error(code::UNKNOWN_KEY, fields.span_of("of"), message);
    }
    Some(kind)
}

fn read_bounds(fields: &Fields<'_>, kind: &Type, problems: &mut Problems<'_>) -> Option<Bounds> {
    let least = if kind.kind == Kind::Integer && !kind.many { i64::MIN } else { 0 };
    let mut good = true;
    let mut read = |key: &str| {
        let node = fields.get(key)?;
        if !kind.is_bounded() {
            let message = format!("a `{}` has no `{key}`", kind.name());
            problems.error(code::BOUNDS_NOT_ALLOWED, node.span, message).help("lists, integers and texts have bounds");
        }
        let value = super::fields::number(node, least, i64::MAX, problems);
        good &= value.is_some() && kind.is_bounded();
        value
    };
    let bounds = Bounds { min: read("min"), max: read("max") };
    if let (Some(min), Some(max)) = (bounds.min, bounds.max)
        && min > max
    {
        problems.error(code::MIN_OVER_MAX, fields.span_of("min"), format!("`min` {min} is over `max` {max}"));
        return None;
    }
    good.then_some(bounds)
}

fn read_default(decl: &InputDecl, node: &Node, problems: &mut Problems<'_>) -> Option<Value> {
    if let Some(reference) = node.plain().filter(|text| text.starts_with("inputs.")) {
        let message = format!("a default is a value, not the reference {}", quote(reference));
        problems.error(code::BAD_VALUE, node.span, message);
        return None;
    }
    let value = literal(&decl.kind, node, problems)?;
    if let Err(reason) = decl.bounds.check(&value) {
        problems.error(code::OUT_OF_BOUNDS, node.span, format!("the default has {reason}"));
        return None;
    }
    Some(value)
}

/// The normalised value of a literal, every item of a list checked at its own place.
pub(super) fn literal(kind: &Type, node: &Node, problems: &mut Problems<'_>) -> Option<Value> {
    if !kind.many {
        return literal_one(&kind.kind, node, problems);
    }
    let Data::List(items) = &node.data else {
        wrong_type(node, &format!("a list for `{}`", kind.name()), problems);
        return None;
    };
    let values: Vec<Option<Value>> = items.iter().map(|item| literal_one(&kind.kind, item, problems)).collect();
    let values = Value::Array(values.into_iter().collect::<Option<_>>()?);
    kind.normalise(&values).ok()
}

pub(super) fn literal_one(kind: &Kind, node: &Node, problems: &mut Problems<'_>) -> Option<Value> {
    let value = match &node.data {
        Data::Bool(value) => Value::Bool(*value),
        Data::Integer(value) => Value::from(*value),
        Data::Text { text, .. } => Value::from(text.as_str()),
        _ => {
            wrong_type(
                node,
                &format!("a value of type `{}`", Type { kind: kind.clone(), many: false }.name()),
                problems,
            );
            return None;
        }
    };
    match kind.normalise(&value) {
        Ok(value) => Some(value),
        Err(reason) => {
            let is_text = matches!(node.data, Data::Text { .. });
            let wrong_type = !is_text || matches!(kind, Kind::Bool | Kind::Integer);
            let code = if wrong_type { code::WRONG_TYPE } else { code::BAD_VALUE };
            problems.error(code, node.span, reason);
            None
        }
    }
}
