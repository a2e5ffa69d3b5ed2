//! YAML text to a tree in which every key and value knows where it stands.
//!
//! Here is what our subset of YAML is: one document, no anchors, no aliases, no tags, text keys, each once, at most 16 deep.
//! What the keys mean belongs to the modules that walk the tree. A derived `Deserialize` would stop at its first error and could
//! not report a key, so this reads the events of the parser beneath serde-saphyr.

use std::collections::HashMap;

use serde_saphyr::granit_parser::{Event, Parser, ScalarStyle, Span as YamlSpan, StrInput, StructureStyle};

use super::code;
use super::diagnostic::Problems;
use super::source::{Source, Span, describe_suspicious, is_suspicious, parsable, quote};

const MAX_DEPTH: usize = 16;

/// What to do instead of a template.
pub(super) const NO_TEMPLATES_HELP: &str = "write the reference alone and without quotes, as in `inputs.users`";

/// A value and its place.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) data: Data,
}

/// A value of the YAML core schema.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Data {
    /// `null`, `~` or nothing.
    Null,
    /// Plain `true` or `false`.
    Bool(bool),
    /// A plain decimal integer.
    Integer(i64),
    /// Text; `plain` if it is not in quotes and not a block, so that it may be a reference.
    Text { text: String, plain: bool },
    /// What YAML reads as a number or a boolean, in a form that no place of a playbook takes: `1.5`, `0x1F`, `True`.
    Odd { what: &'static str, text: String },
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; `flow` if written with braces.
    Map { entries: Vec<Entry>, flow: bool },
    /// Something that was reported already, of which nothing more is to be said.
    Broken,
}

/// One key of a map.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) value: Node,
}

impl Node {
    /// What the value is, for a message.
    pub(super) fn describe(&self) -> String {
        match &self.data {
            Data::Null => "nothing".to_owned(),
            Data::Bool(value) => format!("the boolean `{value}`"),
            Data::Integer(value) => format!("the number `{value}`"),
            Data::Text { text, plain: true } => format!("the text {}", quote(text)),
            Data::Text { text, plain: false } => format!("the quoted text {}", quote(text)),
            Data::Odd { what, text } => format!("the {what} {}", quote(text)),
            Data::List(_) => "a list".to_owned(),
            Data::Map { .. } => "a map".to_owned(),
            Data::Broken => "something unreadable".to_owned(),
        }
    }

    /// The text, if it may be a reference: not in quotes.
    pub(super) fn plain(&self) -> Option<&str> {
        match &self.data {
            Data::Text { text, plain: true } => Some(text),
            _ => None,
        }
    }
}

/// Reads the whole text. `None` if it broke off; what is wrong is in `problems` then, and may be in any case.
pub(super) fn read(source: &Source<'_>, problems: &mut Problems<'_>) -> Option<Node> {
    let options = serde_saphyr::granit_parser::options! {
        emit_comments: false,
        emit_anchor_events: true,
        emit_unresolved_aliases: true,
    };
    let text = parsable(source.text);
    let parser = Parser::new_from_str_with_options(&text, options);
    Reader { parser, text: &text, problems }.document()
}

struct Reader<'r, 't, 's> {
    parser: Parser<'t, StrInput<'t>>,
    text: &'t str,
    problems: &'r mut Problems<'s>,
}

impl<'t> Reader<'_, 't, '_> {
    fn document(&mut self) -> Option<Node> {
        let mut root = None;
        loop {
            let (event, span) = self.next()?;
            match event {
                Event::StreamEnd => break,
                Event::StreamStart | Event::DocumentEnd => {}
                Event::DocumentStart(..) if root.is_some() => {
                    let message = "a second document starts here; a file holds one playbook";
                    self.problems.error(code::SEVERAL_DOCUMENTS, at(&span), message);
                    return root;
                }
                Event::DocumentStart(..) => self.report_directives(at(&span)),
                other => root = Some(self.node(other, &span, 1)?),
            }
        }
        Some(root.unwrap_or(Node { span: Span::default(), data: Data::Null }))
    }

    /// Directives stand before the `---` of the document, each on a line of its own.
    fn report_directives(&mut self, document: Span) {
        let before = self.text.get(..document.start).unwrap_or_default();
        let mut start = 0;
        for line in before.split_inclusive('\n') {
            let directive = Span { start, end: start + line.trim_end().len() };
            if line.trim_start_matches('\u{feff}').starts_with('%') {
                self.problems.error(code::TAG, directive, "directives are not allowed");
            }
            start += line.len();
        }
    }

    /// The next event that is a node or the end of one; anchors are reported on the way.
    fn next(&mut self) -> Option<(Event<'t>, YamlSpan)> {
        loop {
            match self.parser.next_event()? {
                Ok((Event::Anchor(..), span)) => {
                    self.problems.error(code::ANCHOR, at(&span), "anchors are not allowed").help("write the value out");
                }
                Ok(next) => return Some(next),
                Err(error) => {
                    let marker = error.marker();
                    let start = marker.byte_offset().unwrap_or_default();
                    let message = format!("not YAML: {}", error.info());
                    self.problems.error(code::YAML_SYNTAX, Span { start, end: start }, message);
                    return None;
                }
            }
        }
    }

    fn node(&mut self, event: Event<'t>, span: &YamlSpan, depth: usize) -> Option<Node> {
        if depth > MAX_DEPTH {
            let message = format!("nested more than {MAX_DEPTH} deep");
            self.problems.error(code::TOO_DEEP, at(span), message);
            return None;
        }
        if event.tag().is_some() {
            let tag = span.tag_span().map_or_else(|| at(span), |tag| at(&tag));
            self.problems
                .error(code::TAG, tag, "tags are not allowed")
                .help("leave the tag out: types follow from the place");
        }
        let span = at(span);
        match event {
            Event::Scalar(text, style, ..) => Some(self.scalar(text.into_owned(), style, span)),
            Event::SequenceStart(..) => self.list(span, depth),
            Event::MappingStart(style, ..) => self.map(span, style == StructureStyle::Flow, depth),
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.problems.error(code::ANCHOR, span, "aliases are not allowed").help("write the value out");
                Some(Node { span, data: Data::Broken })
            }
            _ => Some(Node { span, data: Data::Null }),
        }
    }

    fn scalar(&mut self, text: String, style: ScalarStyle, span: Span) -> Node {
        // What stands in the file as itself was reported, and replaced, before.
        let escaped = text.chars().find(|c| *c != '\n' && is_suspicious(*c));
        if let Some(c) = escaped {
            self.problems.error(code::SUSPICIOUS_CHARACTER, span, format!("escaped {}", describe_suspicious(c)));
        }
        let data = if style == ScalarStyle::Plain { plain(text) } else { Data::Text { text, plain: false } };
        Node { span, data }
    }

    fn list(&mut self, span: Span, depth: usize) -> Option<Node> {
        let mut items = Vec::new();
        loop {
            let (event, item) = self.next()?;
            if event == Event::SequenceEnd {
                return Some(Node { span, data: Data::List(items) });
            }
            items.push(self.node(event, &item, depth + 1)?);
        }
    }

    fn map(&mut self, span: Span, flow: bool, depth: usize) -> Option<Node> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: HashMap<String, Span> = HashMap::new();
        let mut template = false;
        loop {
            let (event, key) = self.next()?;
            if event == Event::MappingEnd {
                break;
            }
            let (key, name) = self.key(event, &key, depth)?;
            let (event, value) = self.next()?;
            let mut value = self.node(event, &value, depth + 1)?;
            if value.data == Data::Null {
                value.span = key.span;
            }
            match name {
                Some(name) if self.is_first(&name, key.span, &mut seen) => {
                    entries.push(Entry { key: name, key_span: key.span, value });
                }
                Some(_) => {}
                // YAML reads `{{ x }}` as a map whose key is a map.
                None if flow && matches!(key.data, Data::Map { flow: true, .. }) => template = true,
                None if key.data == Data::Broken => {}
                None => {
                    let message = format!("a key is text, found {}", key.describe());
                    self.problems.error(code::WRONG_TYPE, key.span, message);
                }
            }
        }
        if template {
            let message = "`{{…}}` is a template";
            self.problems.error(code::NO_TEMPLATES, span, message).help(NO_TEMPLATES_HELP);
            return Some(Node { span, data: Data::Broken });
        }
        // A block map has no mark of its own: show its first key.
        let span = entries.first().filter(|_| !flow).map_or(span, |first| first.key_span);
        Some(Node { span, data: Data::Map { entries, flow } })
    }

    /// A key, and its text if it is one.
    fn key(&mut self, event: Event<'t>, span: &YamlSpan, depth: usize) -> Option<(Node, Option<String>)> {
        let name = event.scalar().map(|(text, _)| text.to_owned());
        Some((self.node(event, span, depth + 1)?, name))
    }

    fn is_first(&mut self, key: &str, at: Span, seen: &mut HashMap<String, Span>) -> bool {
        if let Some(first) = seen.get(key) {
            let line = self.problems.line_of(*first);
            let message = format!("the key {} stands here twice", quote(key));
            self.problems.error(code::DUPLICATE_KEY, at, message).help(format!("it is first on line {line}"));
            return false;
        }
        seen.insert(key.to_owned(), at);
        true
    }
}

fn at(span: &YamlSpan) -> Span {
    let range = span.byte_range().unwrap_or_default();
    Span { start: range.start, end: range.end.max(range.start) }
}

/// A plain scalar under the core schema, <https://yaml.org/spec/1.2.2/#103-core-schema>.
fn plain(text: String) -> Data {
    match text.as_str() {
        "" | "~" | "null" | "Null" | "NULL" => Data::Null,
        "true" => Data::Bool(true),
        "false" => Data::Bool(false),
        "True" | "TRUE" | "False" | "FALSE" => Data::Odd { what: "boolean", text },
        _ => match text.parse::<i64>() {
            Ok(value) if value.to_string() == text => Data::Integer(value),
            _ if is_number(&text) => Data::Odd { what: "number", text },
            _ => Data::Text { text, plain: true },
        },
    }
}

fn is_number(text: &str) -> bool {
    let unsigned = text.trim_start_matches(['+', '-']);
    let based = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0o"));
    based.is_some_and(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_hexdigit()))
        || matches!(unsigned.to_ascii_lowercase().as_str(), ".inf" | ".nan")
        || (text.contains(|c: char| c.is_ascii_digit()) && text.parse::<f64>().is_ok())
}
