//! The report as Markdown. Text from the tenant stands in code spans that it cannot close; words of others are escaped.

use super::text::{Block, Span, Text};
use crate::model::{Outcome, json_for_terminal};

pub(super) fn render(blocks: &[Block], marking: Option<&str>) -> String {
    let mut out = marking.map(|marking| format!("**{marking}**\n")).unwrap_or_default();
    let mut in_list = false;
    for block in blocks {
        let is_point = matches!(block, Block::Point(..));
        if !(out.is_empty() || in_list && is_point) {
            out.push('\n');
        }
        in_list = is_point;
        match block {
            Block::Title(text) => put(&mut out, "# ", text),
            Block::Section(name) => out.push_str(&format!("## {name}\n")),
            Block::Part(text) => put(&mut out, "### ", text),
            Block::Paragraph(text) => put(&mut out, "", text),
            Block::Point(depth, text) => put(&mut out, &format!("{}- ", "  ".repeat(*depth)), text),
            Block::Listing(value) => {
                // In JSON a run of backticks can stand in a text only, where it can be escaped.
                let json = json_for_terminal(&format!("{value:#}")).replace('`', "\\u0060");
                out.push_str(&format!("```json\n{json}\n```\n"));
            }
            Block::Table { head, rows, .. } => {
                out.push_str(&format!("| {} |\n|{}\n", head.join(" | "), " --- |".repeat(head.len())));
                for row in rows {
                    out.push_str(&format!("| {} |\n", row.each_ref().map(cell).join(" | ")));
                }
            }
        }
    }
    out
}

fn put(out: &mut String, before: &str, text: &Text) {
    out.push_str(before);
    out.push_str(line(text).trim_end());
    out.push('\n');
}

fn line(text: &Text) -> String {
    joined(text, part)
}

fn joined(text: &Text, part: fn(&Span) -> String) -> String {
    let mut out = String::new();
    for span in &text.0 {
        let part = part(span);
        // Two parts that each bring a space.
        let part = if out.ends_with(' ') { part.trim_start_matches(' ') } else { &part };
        out.push_str(part);
    }
    out
}

fn part(span: &Span) -> String {
    match span {
        Span::Words(words) => words.clone(),
        Span::Said(words) => escaped(words),
        Span::Foreign(text) => text.markdown(),
        Span::Whole(text) => code(&text.whole()),
        Span::Code(text) => code(text),
        Span::Seq(seq) => format!("[#{seq}]"),
        Span::Outcome(outcome) => format!("**{}**", outcome.map_or("not-ended", Outcome::word)),
        Span::Loud(words, _) => format!("**{words}**"),
    }
}

/// A line inside a table, whose bars would end the cell. Words and text of others have theirs escaped already, and twice
/// would be not at all.
fn cell(text: &Text) -> String {
    let part = |span: &Span| match span {
        Span::Said(_) | Span::Foreign(_) => part(span),
        _ => part(span).replace('|', "\\|"),
    };
    joined(text, part).trim().to_owned()
}

/// A code span whose content cannot close it.
fn code(text: &str) -> String {
    let text = text.replace('`', "'").replace('\n', " ");
    if text.is_empty() { String::new() } else { format!("`{text}`") }
}

/// Words of others as plain text: ASCII punctuation stands behind a backslash (CommonMark 2.4) wherever it could mean
/// something. Marks of plain prose could only begin a list or, in `://` and `www.`, a link.
fn escaped(words: &str) -> String {
    let may_begin_list = words.starts_with(|c: char| c == '-' || c.is_ascii_digit());
    let prose = |c: char| matches!(c, ',' | ';' | '\'' | '"' | '/' | '%' | '=' | ':' | '(' | ')');
    let mut out = String::with_capacity(words.len());
    for c in json_for_terminal(words).chars() {
        match c {
            '\n' => out.push(' '),
            '-' | '.' if !may_begin_list => out.push(c),
            c if c.is_ascii_punctuation() && !prose(c) => out.extend(['\\', c]),
            c => out.push(c),
        }
    }
    out.replace("://", ":\\//").replace("www.", "www\\.")
}

#[cfg(test)]
mod tests {
    use super::{super::text::Text, cell, line};

    #[test]
    fn words_of_others_stay_words() {
        let said = |words: &str| line(&Text::new().said(words));
        let hostile = said("<img src=x> [a](http://b) **c** `d` | e\n# f\u{202e} www.g");
        assert_eq!(hostile, r"\<img src=x\> \[a\](http:\//b) \*\*c\*\* \`d\` \| e \# f\\u202e www\.g");
        assert_eq!(said("- a"), r"\- a");
        assert_eq!(said("1. a"), r"1\. a");
        assert_eq!(said("it is (a) plain-text reason: x. y"), "it is (a) plain-text reason: x. y");
    }

    #[test]
    fn a_code_span_cannot_be_closed() {
        let text = Text::new().code("a`b|c\u{1b}[2J");
        assert_eq!(line(&text), r"`a'b|c\u001b[2J`");
        assert_eq!(cell(&text), r"`a'b\|c\u001b[2J`");
    }
}
