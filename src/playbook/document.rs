//! The top of a playbook: what it is called, what it counters, how much it may change, what is handed over.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::code;
use super::diagnostic::Problems;
use super::fields::{Fields, id, list, map, number, text};
use super::inputs::{self, Declared};
use super::source::quote;
use super::steps;
use super::tree::{Data, Node};
use super::{ActionFacts, Playbook};
use crate::model::Catalog;

/// The version of the language that this build reads, as written after `schema:`.
pub const SCHEMA: &str = "staunch/v1";

/// How much a playbook may change. A plan over a limit is refused as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// The most changes.
    pub changes: u32,
    /// The most targets by kind, such as `auth-method`. A kind that is not here is limited by `changes` only.
    pub targets: BTreeMap<String, u32>,
}

/// Ids of the techniques that a playbook counters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counters {
    /// MITRE ATT&CK techniques: `T1557`, `T1550.004`.
    pub attack: Vec<String>,
    /// MITRE D3FEND techniques: `D3-ANCI`.
    pub d3fend: Vec<String>,
    /// Countermeasures of CISA's COUN7ER: `CM0071`.
    pub coun7er: Vec<String>,
    /// Sections of the Insider Threat Matrix: `AF018.002`.
    pub itm: Vec<String>,
}

impl Counters {
    /// Those of one catalogue.
    pub fn ids(&self, catalog: Catalog) -> &[String] {
        match catalog {
            Catalog::Attack => &self.attack,
            Catalog::D3fend => &self.d3fend,
            Catalog::Coun7er => &self.coun7er,
            Catalog::Itm => &self.itm,
        }
    }
}

/// Work that remains for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handover {
    /// Who is to do it, an id such as `tenant-owner`.
    pub to: String,
    /// What is to be done.
    pub task: String,
}

const KEYS: &[&str] = &["schema", "id", "version", "title", "counters", "inputs", "limits", "stages", "handover"];

/// Walks the whole file. `None` if a part without which there is no playbook is missing or bad.
pub(super) fn read(root: &Node, actions: &[ActionFacts], problems: &mut Problems<'_>) -> Option<(Playbook, Declared)> {
    // A file of another version follows another grammar: nothing else is said of it.
    if !reads_schema(root, problems) {
        return None;
    }
    let fields = Fields::open(root, "a playbook", KEYS, problems)?;
    let id = fields.require("id", problems).and_then(|node| id(node, problems));
    let version = fields.require("version", problems).and_then(|node| version(node, problems));
    let title = fields.require("title", problems).and_then(|node| title(node, problems));
    let counters = fields.get("counters").map(|node| counters(node, problems)).unwrap_or_default();
    let declared = fields.get("inputs").map(|node| inputs::read(node, problems)).unwrap_or_default();
    let limits = fields.require("limits", problems).and_then(|node| limits(node, actions, problems));
    let stages = fields.require("stages", problems);
    let stages = stages.map(|node| steps::read(node, &declared, actions, problems));
    let handover = fields.get("handover").map(|node| handover(node, problems)).unwrap_or_default();
    let inputs = declared.inputs.iter().filter_map(|(_, _, decl)| decl.clone()).collect();
    let playbook = Playbook {
        id: id?,
        version: version?,
        title: title?,
        counters,
        inputs,
        limits: limits?,
        stages: stages?,
        handover,
        sha256: String::new(),
    };
    Some((playbook, declared))
}

/// False if the file says that it is of a version that this build does not read. A missing line is reported, and read on.
fn reads_schema(root: &Node, problems: &mut Problems<'_>) -> bool {
    let Data::Map { entries, .. } = &root.data else {
        return true;
    };
    let Some(entry) = entries.iter().find(|entry| entry.key == "schema") else {
        problems
            .error(code::MISSING_KEY, root.span, "a playbook needs the key `schema`")
            .help(format!("schema: {SCHEMA}"));
        return true;
    };
    let Some(found) = text(&entry.value, problems) else {
        return true;
    };
    if found == SCHEMA {
        return true;
    }
    let message = format!("this build reads `{SCHEMA}`, not {}", quote(&found));
    let diagnostic = problems.error(code::UNSUPPORTED_SCHEMA, entry.value.span, message);
    let major = found.strip_prefix("staunch/v").is_some_and(|major| major.parse::<u32>().is_ok());
    if major {
        diagnostic.help("a newer release of staunch may read it");
    } else {
        diagnostic.suggest(&found, [SCHEMA]);
    }
    !major
}

fn title(node: &Node, problems: &mut Problems<'_>) -> Option<String> {
    let title = text(node, problems)?;
    if title.contains('\n') {
        problems.error(code::BAD_VALUE, node.span, "a title is one line");
        return None;
    }
    Some(title)
}

/// `MAJOR.MINOR.PATCH`, with `-PRERELEASE` if need be: <https://semver.org>.
fn version(node: &Node, problems: &mut Problems<'_>) -> Option<String> {
    let text = match &node.data {
        Data::Odd { text, .. } => text.clone(),
        Data::Integer(number) => number.to_string(),
        _ => text(node, problems)?,
    };
    let (numbers, prerelease) = text.split_once('-').unwrap_or((&text, "0"));
    let is_number = |part: &str| part == "0" || (part.parse::<u32>().is_ok() && !part.starts_with(['0', '+']));
    let is_word = |part: &str| !part.is_empty() && part.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
    if numbers.split('.').count() == 3 && numbers.split('.').all(is_number) && prerelease.split('.').all(is_word) {
        return Some(text);
    }
    let message = format!("{} is not of the form MAJOR.MINOR.PATCH", quote(&text));
    problems.error(code::BAD_VALUE, node.span, message).help("write it as 1.0.0");
    None
}

fn counters(node: &Node, problems: &mut Problems<'_>) -> Counters {
    let keys = ["attack", "d3fend", "coun7er", "itm"];
    let Some(fields) = Fields::open(node, "the counters", &keys, problems) else {
        return Counters::default();
    };
    let mut read = |key: &str, example: &str, test: fn(&str) -> bool| {
        let items = fields.get(key).and_then(|node| list(node, "ids", problems)).unwrap_or_default();
        let mut ids = Vec::new();
        for item in items {
            match text(item, problems) {
                Some(id) if test(&id) => ids.push(id),
                Some(id) => {
                    let message = format!("{} is no id of `{key}`", quote(&id));
                    problems.error(code::BAD_VALUE, item.span, message).help(format!("such as {example}"));
                }
                None => {}
            }
        }
        ids
    };
    Counters {
        attack: read("attack", "T1557 or T1550.004", |id| numbered(id, 1, 4)),
        d3fend: read("d3fend", "D3-ANCI", |id| {
            id.strip_prefix("D3-").is_some_and(|rest| {
                !rest.is_empty() && rest.chars().all(|c| c.is_ascii_uppercase() || c.is_ascii_digit())
            })
        }),
        coun7er: read("coun7er", "CM0071", |id| id.starts_with("CM") && numbered(id, 2, 4)),
        itm: read("itm", "AF018.002", |id| numbered(id, 2, 3)),
    }
}

/// So many capitals, so many digits, and perhaps a dot and three digits.
fn numbered(id: &str, letters: usize, digits: usize) -> bool {
    let (stem, part) = id.split_once('.').unwrap_or((id, "000"));
    let all_digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
    let split = stem.split_at_checked(letters);
    part.len() == 3
        && all_digits(part)
        && split.is_some_and(|(head, tail)| {
            head.chars().all(|c| c.is_ascii_uppercase()) && tail.len() == digits && all_digits(tail)
        })
}

fn limits(node: &Node, actions: &[ActionFacts], problems: &mut Problems<'_>) -> Option<Limits> {
    let fields = Fields::open(node, "the limits", &["changes", "targets"], problems)?;
    let mut limit =
        |node: &Node| number(node, 1, u32::MAX.into(), problems).and_then(|number| u32::try_from(number).ok());
    let changes = fields.get("changes").map(&mut limit);
    let mut targets = BTreeMap::new();
    if changes.is_none() {
        fields.require("changes", problems);
    }
    let kinds: Vec<&str> = actions.iter().map(|facts| facts.target_kind.as_str()).collect();
    let entries = fields.get("targets").and_then(|node| map(node, "limits by kind of target", problems));
    for entry in entries.unwrap_or_default() {
        if !kinds.contains(&entry.key.as_str()) {
            let message = format!("no action changes a {}", quote(&entry.key));
            let diagnostic = problems.error(code::UNKNOWN_TARGET_KIND, entry.key_span, message);
            let mut listed = kinds.clone();
            listed.sort_unstable();
            listed.dedup();
            diagnostic.suggest(&entry.key, listed);
        }
        let value = number(&entry.value, 1, u32::MAX.into(), problems);
        if let Some(value) = value.and_then(|value| u32::try_from(value).ok()) {
            targets.insert(entry.key.clone(), value);
        }
    }
    Some(Limits { changes: changes??, targets })
}

fn handover(node: &Node, problems: &mut Problems<'_>) -> Vec<Handover> {
    let mut tasks = Vec::new();
    for item in list(node, "tasks to hand over", problems).unwrap_or_default() {
        let Some(fields) = Fields::open(item, "a handover", &["to", "task"], problems) else {
            continue;
        };
        let to = fields.require("to", problems).and_then(|node| id(node, problems));
        let task = fields.require("task", problems).and_then(|node| text(node, problems));
        if let (Some(to), Some(task)) = (to, task) {
            tasks.push(Handover { to, task });
        }
    }
    tasks
}
