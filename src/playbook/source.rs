//! The text of a file and where things are in it: lines, columns, and characters that must not be there.
//!
//! Knows nothing of YAML.

use super::code;
use super::diagnostic::{Diagnostic, Problems};

/// The largest file that is read, in bytes.
pub(super) const MAX_BYTES: usize = 256 * 1024;
/// The longest line, in characters: a diagnostic shows its whole line.
const MAX_LINE: usize = 2000;

/// A range of bytes in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

/// A file: the name that is shown, its text, and the byte at which every line starts.
#[derive(Debug)]
pub(super) struct Source<'t> {
    pub(super) name: &'t str,
    pub(super) text: &'t str,
    lines: Vec<usize>,
}

/// Where a span is: line and column from 1, both the column and the length in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
    pub(super) column: usize,
    pub(super) length: usize,
}

impl<'t> Source<'t> {
    pub(super) fn new(name: &'t str, text: &'t str) -> Self {
        let starts = text.match_indices('\n').map(|(at, _)| at + 1);
        Self { name, text, lines: std::iter::once(0).chain(starts).collect() }
    }

    /// The place of a span. A span over several lines is cut at the end of its first one.
    pub(super) fn place(&self, span: Span) -> Place {
        let line = self.lines.partition_point(|start| *start <= span.start).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or(0);
        let end = start + self.line(line).len();
        let characters = |from: usize, to: usize| self.text.get(from..to).map_or(0, |s| s.chars().count());
        let from = span.start.clamp(start, end);
        Place { line, column: characters(start, from) + 1, length: characters(from, span.end.clamp(from, end)).max(1) }
    }

    /// The text of a line, counted from 1, without its line break.
    pub(super) fn line(&self, number: usize) -> &'t str {
        let start = self.lines.get(number.wrapping_sub(1)).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        rest.split('\n').next().unwrap_or_default().trim_end_matches('\r')
    }

    /// Reports what makes the text unfit to be parsed at all. False if parsing is not worth while.
    pub(super) fn check(&self, problems: &mut Problems<'_>) -> bool {
        if self.text.len() > MAX_BYTES {
            let message = format!("the file has {} bytes, more than the {MAX_BYTES} allowed", self.text.len());
            problems.error(code::TOO_LARGE, Span::default(), message);
            return false;
        }
        let long = (1..=self.lines.len()).find(|line| self.line(*line).chars().count() > MAX_LINE);
        if let Some(line) = long {
            let start = self.lines.get(line - 1).copied().unwrap_or(0);
            let message = format!("line {line} has more than {MAX_LINE} characters");
            problems.error(code::TOO_LARGE, Span { start, end: start }, message);
            return false;
        }
        self.report_suspicious(problems);
        true
    }

    fn report_suspicious(&self, problems: &mut Problems<'_>) {
        let mut rest = self.text.char_indices().peekable();
        while let Some((at, c)) = rest.next() {
            let line_break = c == '\n' || (c == '\r' && rest.peek().is_some_and(|(_, next)| *next == '\n'));
            // A byte order mark at the very start is how some editors say UTF-8.
            let mark = at == 0 && c == '\u{feff}';
            if !line_break && !mark && is_suspicious(c) {
                let span = Span { start: at, end: at + c.len_utf8() };
                problems.error(code::SUSPICIOUS_CHARACTER, span, describe_suspicious(c));
            }
        }
    }
}

/// Whether a character could hide or reorder what a reviewer sees, or talk to the terminal: controls other than a tab,
/// bidirectional marks, characters with no width, tag characters and variation selectors.
pub(super) fn is_suspicious(c: char) -> bool {
    (c.is_control() && c != '\t')
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// What to say of a suspicious character; never the character itself.
pub(super) fn describe_suspicious(c: char) -> String {
    let kind = if c.is_control() {
        "control character"
    } else if matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
        "character that changes the direction of text"
    } else {
        "invisible character"
    };
    format!("{kind} U+{:04X} is not allowed", u32::from(c))
}

/// The text with every suspicious character replaced by U+FFFD, one for one, so that columns stay true.
pub(super) fn harmless(text: &str) -> String {
    text.chars().map(|c| if is_suspicious(c) { '\u{fffd}' } else { c }).collect()
}

/// A piece of the file in backticks for a message: harmless, and cut where it gets long.
pub(super) fn quote(text: &str) -> String {
    const SHOWN: usize = 60;
    let mut shown: String = harmless(text).chars().take(SHOWN).collect();
    if text.chars().count() > SHOWN {
        shown.push('…');
    }
    format!("`{shown}`")
}

/// The text for the parser: every suspicious character replaced by as many harmless bytes, so that the rest of the file is read,
/// and found, where it stands.
pub(super) fn parsable(text: &str) -> String {
    let (mark, rest) = text.strip_prefix('\u{feff}').map_or(("", text), |rest| ("\u{feff}", rest));
    let mut clean = String::with_capacity(text.len());
    clean.push_str(mark);
    let mut rest = rest.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => clean.push(c),
            '\r' if rest.peek() == Some(&'\n') => clean.push(c),
            '\r' => clean.push('\n'),
            c if is_suspicious(c) => clean.extend(std::iter::repeat_n('_', c.len_utf8())),
            c => clean.push(c),
        }
    }
    clean
}

/// The bytes as text, or where they stop being UTF-8.
pub(super) fn decode<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, Box<Diagnostic>> {
    std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let text = String::from_utf8_lossy(good);
        let source = Source::new(name, &text);
        let mut problems = Problems::new(&source);
        let end = Span { start: text.len(), end: text.len() };
        Box::new(problems.error(code::NOT_UTF_8, end, "the file is not UTF-8 text from here on").clone())
    })
}
