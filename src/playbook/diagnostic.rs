//! What is wrong with a file, where, and what to do about it; and the pile in which one pass collects it all.
//!
//! The rules themselves belong to the modules that check them.

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use serde::Serialize;

use super::code::Severity;
use super::source::{Source, Span, harmless};

/// More than this many are of no use to anybody.
const MAX_DIAGNOSTICS: usize = 200;

/// One thing that is wrong with a file, or doubtful, with its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Diagnostic {
    /// Error or warning.
    pub severity: Severity,
    /// Stable name of the rule, one of [`CODES`](super::CODES).
    pub code: &'static str,
    /// What is wrong, in one line.
    pub message: String,
    /// The file, as it was named to [`parse`](super::parse).
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The line itself, suspicious characters replaced by U+FFFD one for one.
    pub source_line: String,
    /// Length of the marked part in characters, at least 1, never beyond the line's end but for a mark at the end itself.
    pub length: usize,
    /// What to do about it, or why the rule exists.
    pub help: Option<String>,
}

impl Diagnostic {
    /// The diagnostic for a terminal: message, place, the line with the part marked, help. `color` adds ANSI colours.
    #[must_use]
    pub fn render(&self, color: bool) -> String {
        let bytes = |characters: usize| {
            self.source_line.char_indices().nth(characters).map_or(self.source_line.len(), |(at, _)| at)
        };
        let start = self.column.saturating_sub(1);
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let snippet = Snippet::source(self.source_line.as_str())
            .line_start(self.line)
            .path(harmless(&self.file))
            .annotation(AnnotationKind::Primary.span(bytes(start)..bytes(start.saturating_add(self.length))));
        let mut report: Vec<Group<'_>> =
            vec![level.primary_title(self.message.as_str()).id(self.code).element(snippet)];
        if let Some(help) = &self.help {
            report.push(Group::with_title(Level::HELP.secondary_title(help.as_str())));
        }
        let renderer = if color { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&report)
    }
}

/// Diagnostics of one file, as they are found.
#[derive(Debug)]
pub(super) struct Problems<'s> {
    source: &'s Source<'s>,
    found: Vec<Diagnostic>,
}

impl<'s> Problems<'s> {
    pub(super) fn new(source: &'s Source<'s>) -> Self {
        Self { source, found: Vec::new() }
    }

    /// Adds an error; help can be set on what comes back.
    pub(super) fn error(&mut self, code: &'static str, at: Span, message: impl Into<String>) -> &mut Diagnostic {
        self.add(Severity::Error, code, at, message.into())
    }

    /// Adds a warning with its reason.
    pub(super) fn warn(&mut self, code: &'static str, at: Span, message: impl Into<String>, reason: &str) {
        self.add(Severity::Warning, code, at, message.into()).help = Some(reason.to_owned());
    }

    /// The line, from 1, on which a span starts.
    pub(super) fn line_of(&self, at: Span) -> usize {
        self.source.place(at).line
    }

    pub(super) fn has_errors(&self) -> bool {
        self.found.iter().any(|one| one.severity == Severity::Error)
    }

    /// All of them by position, each once, at most [`MAX_DIAGNOSTICS`].
    pub(super) fn finish(mut self) -> Vec<Diagnostic> {
        self.found.sort_by(|a, b| (a.line, a.column, a.code).cmp(&(b.line, b.column, b.code)));
        self.found.dedup();
        let more = self.found.len().saturating_sub(MAX_DIAGNOSTICS);
        self.found.truncate(MAX_DIAGNOSTICS);
        if let (Some(last), 1..) = (self.found.last_mut(), more) {
            last.help(format!("{more} more are not shown"));
        }
        self.found
    }

    fn add(&mut self, severity: Severity, code: &'static str, at: Span, message: String) -> &mut Diagnostic {
        let place = self.source.place(at);
        let diagnostic = Diagnostic {
            severity,
            code,
            message: harmless(&message),
            file: self.source.name.to_owned(),
            line: place.line,
            column: place.column,
            source_line: harmless(self.source.line(place.line)),
            length: place.length,
            help: None,
        };
        self.found.push_mut(diagnostic)
    }
}

impl Diagnostic {
    /// Sets the help.
    pub(super) fn help(&mut self, help: impl Into<String>) {
        self.help = Some(harmless(&help.into()));
    }

    /// Sets the help to "did you mean", if something is near, else to all that there is, if that is little.
    pub(super) fn suggest<'c>(&mut self, word: &str, candidates: impl IntoIterator<Item = &'c str>) {
        const LISTED: usize = 12;
        let candidates: Vec<&str> = candidates.into_iter().collect();
        if let Some(nearest) = nearest(word, &candidates) {
            self.help = Some(format!("did you mean `{nearest}`?"));
        } else if !candidates.is_empty() && candidates.len() <= LISTED {
            self.help = Some(format!("one of: {}", candidates.join(", ")));
        }
    }
}

/// The candidate that a word was probably meant to be.
pub(super) fn nearest<'c>(word: &str, candidates: &[&'c str]) -> Option<&'c str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', ' ', '.'], "-");
    let word = plain(word);
    let allowed = 1 + word.chars().count() / 4;
    candidates
        .iter()
        .map(|candidate| (strsim::damerau_levenshtein(&word, &plain(candidate)), *candidate))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, candidate)| candidate)
}
