//! The report between its data and its looks: blocks of text whose parts say where they came from, so that each way of
//! showing them escapes for its own place.

use crate::model::{Outcome, Untrusted, shown};
use serde_json::Value;

/// Longest value shown in a difference, in characters.
const LONGEST: usize = 160;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Span {
    /// Our own words.
    Words(String),
    /// Words of the playbook, of the operator or of an error, which may hold words of the tenant.
    Said(String),
    /// Text from the tenant.
    Foreign(Untrusted),
    /// Text from the tenant, uncut.
    Whole(Untrusted),
    /// A digest, a path, an id or a value; safe on a terminal.
    Code(String),
    /// A line of the journal.
    Seq(u64),
    /// How a change ended; none when it did not.
    Outcome(Option<Outcome>),
    /// Our own words, loud; good or not.
    Loud(String, bool),
}

/// A line of text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Text(pub(super) Vec<Span>);

impl Text {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn with(mut self, span: Span) -> Self {
        self.0.push(span);
        self
    }

    /// This, and then that.
    pub(super) fn and(mut self, other: Self) -> Self {
        self.0.extend(other.0);
        self
    }

    /// Our own words.
    pub(super) fn words(self, words: impl Into<String>) -> Self {
        self.with(Span::Words(words.into()))
    }

    /// Words of others.
    pub(super) fn said(self, words: impl Into<String>) -> Self {
        self.with(Span::Said(words.into()))
    }

    /// Text from the tenant.
    pub(super) fn foreign(self, text: &Untrusted) -> Self {
        self.with(Span::Foreign(text.clone()))
    }

    /// Text from the tenant, uncut: what is looked for elsewhere.
    pub(super) fn whole(self, text: &Untrusted) -> Self {
        self.with(Span::Whole(text.clone()))
    }

    /// A digest, a path, an id.
    pub(super) fn code(self, text: impl AsRef<str>) -> Self {
        self.with(Span::Code(crate::model::json_for_terminal(text.as_ref())))
    }

    /// A value of some state.
    pub(super) fn value(self, value: &Value) -> Self {
        self.code_cut(&shown(value))
    }

    /// A value that is escaped already, cut where it is too long.
    pub(super) fn code_cut(self, text: &str) -> Self {
        let cut = match text.char_indices().nth(LONGEST) {
            Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
            None => text.to_owned(),
        };
        self.code(cut)
    }

    /// ` [#12]`, where there is a line to name.
    pub(super) fn seq(self, seq: impl Into<Option<u64>>) -> Self {
        match seq.into() {
            Some(seq) => self.words(" ").with(Span::Seq(seq)),
            None => self,
        }
    }

    pub(super) fn outcome(self, outcome: Option<Outcome>) -> Self {
        self.with(Span::Outcome(outcome))
    }

    pub(super) fn loud(self, words: &str, good: bool) -> Self {
        self.with(Span::Loud(words.to_owned(), good))
    }
}

/// A piece of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Block {
    /// The title.
    Title(Text),
    /// A section.
    Section(&'static str),
    /// A part of a section.
    Part(Text),
    /// A paragraph.
    Paragraph(Text),
    /// A point of a list, 0 for the outermost.
    Point(usize, Text),
    /// A table, which a terminal shows as one line instead.
    Table { head: [&'static str; 4], rows: Vec<[Text; 4]>, instead: Text },
    /// JSON as it is.
    Listing(Value),
}
