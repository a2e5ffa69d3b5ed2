//! The report on a terminal: escaped, wrapped, coloured where that is wanted.

use console::Style;
use unicode_width::UnicodeWidthStr as _;

use super::text::{Block, Span, Text};
use crate::model::{Outcome, json_for_terminal};

/// Narrower than this, lines are left to the terminal.
const NARROWEST: usize = 40;

pub(super) fn render(blocks: &[Block], width: usize, color: bool) -> String {
    let mut page = Page { out: String::new(), width: width.max(NARROWEST), color };
    for block in blocks {
        match block {
            Block::Title(text) => page.put(0, 0, text, Some(Style::new().bold())),
            Block::Section(name) => {
                page.out.push('\n');
                page.put(0, 0, &Text::new().words(*name), Some(Style::new().bold().underlined()));
            }
            Block::Part(text) => page.put(0, 0, text, Some(Style::new().bold())),
            Block::Paragraph(text) => page.put(0, 0, text, None),
            Block::Point(depth, text) => page.put(2 + 2 * depth, 4 + 2 * depth, text, None),
            Block::Table { instead, .. } => page.put(2, 4, instead, None),
            Block::Listing(value) => page.out.push_str(&json_for_terminal(&format!("{value:#}\n"))),
        }
    }
    page.out
}

struct Page {
    out: String,
    width: usize,
    color: bool,
}

/// A piece of a line that is not broken, and how it looks.
struct Word {
    text: String,
    style: Style,
}

impl Page {
    /// Writes one line, broken at spaces.
    fn put(&mut self, indent: usize, hanging: usize, text: &Text, all: Option<Style>) {
        let mut column = indent;
        self.out.push_str(&" ".repeat(indent));
        let mut fresh = true;
        for word in words(text, all.as_ref()) {
            let wide = word.text.width();
            if !fresh && column + 1 + wide > self.width {
                self.out.push('\n');
                self.out.push_str(&" ".repeat(hanging));
                column = hanging;
            } else if !fresh {
                self.out.push(' ');
                column += 1;
            }
            let shown = word.style.force_styling(self.color).apply_to(&word.text);
            self.out.push_str(&shown.to_string());
            column += wide;
            fresh = false;
        }
        self.out.push('\n');
    }
}

/// The words of a text. Parts that touch without a space are one word; text from the tenant is never broken, since its
/// spaces may matter.
fn words(text: &Text, all: Option<&Style>) -> Vec<Word> {
    let mut words: Vec<Word> = Vec::new();
    let mut glue = false;
    for span in &text.0 {
        let (part, style) = part(span);
        let style = all.cloned().unwrap_or(style);
        let pieces = if matches!(span, Span::Foreign(_) | Span::Whole(_)) {
            vec![part.as_str()]
        } else {
            part.split(' ').collect()
        };
        for (at, piece) in pieces.into_iter().enumerate() {
            glue &= at == 0;
            match words.last_mut() {
                _ if piece.is_empty() => continue,
                Some(last) if glue => last.text.push_str(piece),
                _ => words.push(Word { text: piece.to_owned(), style: style.clone() }),
            }
            glue = true;
        }
    }
    words
}

fn part(span: &Span) -> (String, Style) {
    let plain = Style::new();
    match span {
        Span::Words(words) => (words.clone(), plain),
        Span::Said(words) => (json_for_terminal(words).replace('\n', " "), plain),
        Span::Foreign(text) => (text.term(), plain.cyan()),
        Span::Whole(text) => (text.whole(), plain.cyan()),
        Span::Code(text) => (text.replace('\n', " "), plain),
        Span::Seq(seq) => (format!("[#{seq}]"), plain.dim()),
        Span::Outcome(outcome) => (outcome.map_or("not-ended", Outcome::word).to_owned(), look(*outcome)),
        Span::Loud(words, good) => (words.clone(), if *good { plain.green().bold() } else { plain.red().bold() }),
    }
}

fn look(outcome: Option<Outcome>) -> Style {
    let style = Style::new().bold();
    match outcome {
        Some(Outcome::Done | Outcome::Already) => style.green(),
        Some(Outcome::DoneWillRevert | Outcome::Pending | Outcome::Skipped) => style.yellow(),
        _ => style.red(),
    }
}
