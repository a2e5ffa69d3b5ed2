//! Typed reads from the tree: a map with its known keys, a text, a list, an id. Whatever does not fit is reported, and the caller
//! goes on with what is there.

use super::code;
use super::diagnostic::Problems;
use super::source::{Span, quote};
use super::tree::{Data, Entry, Node};

/// A map whose keys are known.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'n> {
    what: &'static str,
    span: Span,
    entries: &'n [Entry],
}

impl<'n> Fields<'n> {
    /// The map, or a report that it is none. Reports keys other than `known`; `what` names the place, as in "a step".
    pub(super) fn open(
        node: &'n Node,
        what: &'static str,
        known: &[&str],
        problems: &mut Problems<'_>,
    ) -> Option<Self> {
        let entries = map(node, what, problems)?;
        for entry in entries.iter().filter(|entry| !known.contains(&entry.key.as_str())) {
            report_unknown(entry, what, known, problems);
        }
        Some(Self { what, span: node.span, entries })
    }

    pub(super) fn get(&self, key: &str) -> Option<&'n Node> {
        self.entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value)
    }

    /// Where the value of a key stands, or else the map.
    pub(super) fn span_of(&self, key: &str) -> Span {
        self.get(key).map_or(self.span, |node| node.span)
    }

    pub(super) fn require(&self, key: &str, problems: &mut Problems<'_>) -> Option<&'n Node> {
        let found = self.get(key);
        if found.is_none() {
            problems.error(code::MISSING_KEY, self.span, format!("{} needs the key `{key}`", self.what));
        }
        found
    }
}

fn report_unknown(entry: &Entry, what: &str, known: &[&str], problems: &mut Problems<'_>) {
    let message = format!("unknown key {} in {what}", quote(&entry.key));
    let diagnostic = problems.error(code::UNKNOWN_KEY, entry.key_span, message);
    if entry.key.contains(' ') && entry.value.data == Data::Null {
        diagnostic.help("inside `{…}` a comma ends a value: put text with a comma in quotes");
    } else {
        diagnostic.suggest(&entry.key, known.iter().copied());
    }
}

/// Reports a value of the wrong type, unless it is one that was reported already.
pub(super) fn wrong_type(node: &Node, wanted: &str, problems: &mut Problems<'_>) {
    if node.data == Data::Broken {
        return;
    }
    let message = format!("expected {wanted}, found {}", node.describe());
    let diagnostic = problems.error(code::WRONG_TYPE, node.span, message);
    if let (Data::Bool(_) | Data::Integer(_) | Data::Odd { .. }, true) = (&node.data, wanted.contains("text")) {
        diagnostic.help("put it in quotes to make it text");
    }
}

/// The entries of a map.
pub(super) fn map<'n>(node: &'n Node, what: &str, problems: &mut Problems<'_>) -> Option<&'n [Entry]> {
    match &node.data {
        Data::Map { entries, .. } => Some(entries),
        _ => {
            wrong_type(node, &format!("a map for {what}"), problems);
            None
        }
    }
}

/// The items of a list that must not be empty.
pub(super) fn list<'n>(node: &'n Node, what: &str, problems: &mut Problems<'_>) -> Option<&'n [Node]> {
    match &node.data {
        Data::List(items) if items.is_empty() => {
            problems.error(code::EMPTY, node.span, format!("the list of {what} is empty"));
            None
        }
        Data::List(items) => Some(items),
        _ => {
            wrong_type(node, &format!("a list of {what}"), problems);
            None
        }
    }
}

/// Text that says something. Ends of lines at its end, as blocks have them, are cut off.
pub(super) fn text(node: &Node, problems: &mut Problems<'_>) -> Option<String> {
    match &node.data {
        Data::Text { text, .. } if text.trim().is_empty() => {
            problems.error(code::EMPTY, node.span, "the text is empty");
            None
        }
        Data::Text { text, .. } => Some(text.trim_end().to_owned()),
        _ => {
            wrong_type(node, "text", problems);
            None
        }
    }
}

/// One of some words.
pub(super) fn word<T: Copy>(node: &Node, words: &[(&str, T)], problems: &mut Problems<'_>) -> Option<T> {
    let text = text(node, problems)?;
    let found = words.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        let listed = words.iter().map(|(word, _)| *word).collect::<Vec<_>>().join(", ");
        let message = format!("expected one of {listed}, found {}", quote(&text));
        problems.error(code::BAD_VALUE, node.span, message).suggest(&text, words.iter().map(|(word, _)| *word));
    }
    found.map(|(_, value)| *value)
}

/// A whole number between `min` and `max`.
pub(super) fn number(node: &Node, min: i64, max: i64, problems: &mut Problems<'_>) -> Option<i64> {
    match node.data {
        Data::Integer(value) if (min..=max).contains(&value) => Some(value),
        Data::Integer(value) => {
            let message = format!("`{value}` is not between {min} and {max}");
            problems.error(code::OUT_OF_BOUNDS, node.span, message);
            None
        }
        _ => {
            wrong_type(node, "a whole number", problems);
            None
        }
    }
}

/// An id: `[a-z][a-z0-9-]*`.
pub(super) fn id(node: &Node, problems: &mut Problems<'_>) -> Option<String> {
    let text = text(node, problems)?;
    check_name(&text, '-', node.span, problems).then_some(text)
}

/// Whether a name is `[a-z][a-z0-9]*` with `joint` allowed after the first letter; reports if not.
pub(super) fn check_name(text: &str, joint: char, span: Span, problems: &mut Problems<'_>) -> bool {
    let good = text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == joint);
    if !good {
        let message = format!("{} is not of the form [a-z][a-z0-9{joint}]*", quote(text));
        let diagnostic = problems.error(code::BAD_ID, span, message);
        let other = if joint == '-' { '_' } else { '-' };
        let fixed = text.to_lowercase().replace([other, ' '], &joint.to_string());
        if fixed != text && fixed.starts_with(|c: char| c.is_ascii_lowercase()) {
            diagnostic.help(format!("did you mean `{fixed}`?"));
        }
    }
    good
}
