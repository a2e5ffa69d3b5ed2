//! The report as one HTML file: static, no script, nothing loaded from elsewhere, readable in the dark and on paper.
//!
//! What stands in it comes from the same blocks as every other form; here they are only put into a page. The template
//! escapes every value for HTML; text from the tenant comes with its invisible characters made visible already.

mod lanes;

use jiff::{Timestamp, tz::TimeZone};
use minijinja::{Environment, Error, value::Serde};
use serde::Serialize;

use super::{
    audience::{self, Audience},
    sections,
    text::{Block, Span, Text},
    types::{Change, Report},
};
use crate::{
    journal::Verdict,
    model::{Outcome, json_for_terminal},
};

/// The name ends in `.html`, by which the engine knows how to escape.
const NAME: &str = "report.html";
const TEMPLATE: &str = include_str!("html/report.html.j2");

/// A page as the template takes it.
#[derive(Serialize)]
struct Page {
    title: Vec<Part>,
    plain_title: String,
    marking: Option<String>,
    word: &'static str,
    good: bool,
    broken: bool,
    case: String,
    run: String,
    tiles: Vec<Tile>,
    preamble: Vec<Piece>,
    glance: Vec<Group>,
    lanes: Option<lanes::Lanes>,
    sections: Vec<Section>,
}

/// A number that a reader looks for first.
#[derive(Serialize)]
struct Tile {
    name: &'static str,
    value: String,
    look: &'static str,
}

/// A section.
#[derive(Serialize)]
struct Section {
    id: String,
    name: &'static str,
    pieces: Vec<Piece>,
}

/// A piece of a section.
#[derive(Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
enum Piece {
    Part { text: Vec<Part> },
    Paragraph { text: Vec<Part> },
    List { items: Vec<Item> },
    Table { head: [&'static str; 4], rows: Vec<[Vec<Part>; 4]> },
    Listing { text: String },
}

/// A point of a list, with those beneath it.
#[derive(Serialize)]
struct Item {
    text: Vec<Part>,
    look: &'static str,
    below: Vec<Vec<Part>>,
}

/// A part of a line.
#[derive(Serialize)]
struct Part {
    kind: &'static str,
    look: &'static str,
    text: String,
}

/// The changes of one account, in a table.
#[derive(Serialize)]
struct Group {
    name: Vec<Part>,
    rows: Vec<Row>,
}

/// One change in a line.
#[derive(Serialize)]
struct Row {
    outcome: Vec<Part>,
    look: &'static str,
    what: Vec<Part>,
    differences: Vec<Vec<Part>>,
    line: Vec<Part>,
}

pub(super) fn render(report: &Report, audience: Audience) -> Result<String, Error> {
    let mut environment = Environment::new();
    environment.add_template(NAME, TEMPLATE)?;
    environment.get_template(NAME)?.render(Serde(page(report, audience)))
}

fn page(report: &Report, audience: Audience) -> Page {
    let (word, good) = sections::word(&report.status);
    let mut blocks = audience::body(report, audience);
    blocks.extend(audience::appendices(report, audience));
    let (preamble, sections) = sorted(&blocks);
    Page {
        title: parts(&Text::new().said(&report.title)),
        plain_title: json_for_terminal(&report.title),
        marking: report.marking.clone(),
        word,
        good,
        broken: report.status.verdict == Verdict::Broken,
        case: json_for_terminal(&report.status.case),
        run: json_for_terminal(&report.status.run_id),
        tiles: tiles(report),
        preamble,
        glance: if audience == Audience::Technical { glance(report) } else { Vec::new() },
        lanes: lanes::of(&report.timeline, audience),
        sections,
    }
}

fn tiles(report: &Report) -> Vec<Tile> {
    let (status, exposure) = (&report.status, &report.exposure);
    let total: u32 = status.counts.values().sum();
    let held = ["done", "already", "done-will-revert"].iter().filter_map(|word| status.counts.get(*word)).sum::<u32>();
    let unknown = status.counts.get("unknown").copied().unwrap_or_default();
    let all = if held == total { "good" } else { "bad" };
    let mut tiles = vec![
        Tile { name: "changes that hold", value: format!("{held} of {total}"), look: all },
        Tile { name: "unknown", value: unknown.to_string(), look: if unknown == 0 { "" } else { "bad" } },
    ];
    let mut add = |name, value: Option<String>| {
        tiles.extend(value.map(|value| Tile { name, value, look: "" }));
    };
    let left = report.left_alone.len();
    add("found and left alone", (left > 0).then(|| left.to_string()));
    add("way in open for", exposure.open_for_ms.map(sections::long));
    add("run to last cut-off", exposure.last_cut_off_ms.map(sections::seconds));
    add("run to contained", exposure.contained_ms.map(sections::seconds));
    add("stolen tokens usable until about", exposure.tokens_until.map(minute));
    let look = if status.verdict == Verdict::Broken { "bad" } else { "" };
    tiles.push(Tile { name: "record", value: status.verdict.word().to_owned(), look });
    tiles
}

/// `2023-12-12 13:00 UTC`
fn minute(at: Timestamp) -> String {
    at.to_zoned(TimeZone::UTC).strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Every change in a line, by account.
fn glance(report: &Report) -> Vec<Group> {
    let group = |account: &super::types::Account| Group {
        name: parts(&Text::new().foreign(&account.name)),
        rows: account.changes.iter().map(row).collect(),
    };
    report.accounts.iter().map(group).collect()
}

fn row(change: &Change) -> Row {
    let what = match (&change.step, &change.target) {
        (Some(step), Some(target)) if target.kind == "user" => Text::new().said(step),
        (Some(step), Some(target)) => {
            Text::new().said(step).words(": ").said(&target.kind).words(" ").foreign(&target.name)
        }
        _ => Text::new().code(&change.id),
    };
    let differences = change.differences.iter().map(|difference| {
        let text = Text::new().code(&difference.name).words(" ").code_cut(&difference.before);
        parts(&text.words(" → ").code_cut(&difference.after))
    });
    Row {
        outcome: parts(&Text::new().outcome(change.outcome)),
        look: look(change.outcome),
        what: parts(&what),
        differences: differences.collect(),
        line: parts(&change.line().map_or_else(Text::new, |seq| Text(vec![Span::Seq(seq)]))),
    }
}

/// Blocks before the first section, without what the page shows in its head; and the sections.
fn sorted(blocks: &[Block]) -> (Vec<Piece>, Vec<Section>) {
    let mut preamble = Vec::new();
    let mut sections: Vec<Section> = Vec::new();
    for block in blocks {
        if let Block::Section(name) = block {
            sections.push(Section { id: id(name), name, pieces: Vec::new() });
            continue;
        }
        match sections.last_mut() {
            Some(section) => put(&mut section.pieces, block),
            None if is_head(block) => {}
            None => put(&mut preamble, block),
        }
    }
    (preamble, sections)
}

fn is_head(block: &Block) -> bool {
    match block {
        Block::Title(_) => true,
        Block::Paragraph(text) => matches!(text.0.first(), Some(Span::Loud(..))),
        _ => false,
    }
}

fn id(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}

fn put(pieces: &mut Vec<Piece>, block: &Block) {
    match block {
        Block::Title(_) | Block::Section(_) => {}
        Block::Part(text) => pieces.push(Piece::Part { text: parts(text) }),
        Block::Paragraph(text) => pieces.push(Piece::Paragraph { text: parts(text) }),
        Block::Point(depth, text) => point(pieces, *depth, text),
        Block::Table { head, rows, .. } => {
            let rows = rows.iter().map(|row| row.each_ref().map(parts)).collect();
            pieces.push(Piece::Table { head: *head, rows });
        }
        Block::Listing(value) => pieces.push(Piece::Listing { text: json_for_terminal(&format!("{value:#}")) }),
    }
}

/// Points become items of one list; those further in go beneath the last.
fn point(pieces: &mut Vec<Piece>, depth: usize, text: &Text) {
    if !matches!(pieces.last(), Some(Piece::List { .. })) {
        pieces.push(Piece::List { items: Vec::new() });
    }
    let Some(Piece::List { items }) = pieces.last_mut() else {
        return;
    };
    match items.last_mut() {
        Some(item) if depth > 0 => item.below.push(parts(text)),
        _ => {
            let look = match text.0.first() {
                Some(Span::Outcome(outcome)) => look(*outcome),
                _ => "",
            };
            items.push(Item { text: parts(text), look, below: Vec::new() });
        }
    }
}

fn parts(text: &Text) -> Vec<Part> {
    text.0.iter().map(part).collect()
}

fn part(span: &Span) -> Part {
    let (kind, look, text) = match span {
        Span::Words(words) => ("words", "", words.clone()),
        Span::Said(words) => ("words", "", json_for_terminal(words).replace('\n', " ")),
        Span::Foreign(text) => ("foreign", "", text.term()),
        Span::Whole(text) => ("foreign", "", text.whole()),
        Span::Code(text) => ("code", "", text.replace('\n', " ")),
        Span::Seq(seq) => ("seq", "", format!("[#{seq}]")),
        Span::Outcome(outcome) => ("outcome", look(*outcome), outcome.map_or("not-ended", Outcome::word).to_owned()),
        Span::Loud(words, good) => ("loud", if *good { "good" } else { "bad" }, words.clone()),
    };
    Part { kind, look, text }
}

/// How an outcome looks.
fn look(outcome: Option<Outcome>) -> &'static str {
    match outcome {
        Some(Outcome::Done | Outcome::Already) => "good",
        Some(Outcome::DoneWillRevert | Outcome::Pending | Outcome::Skipped) => "fair",
        _ => "bad",
    }
}
