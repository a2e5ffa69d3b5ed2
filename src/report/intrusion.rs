//! What is known of the intrusion: what was looked at and found, what was noted from logs, and what nobody examined; with
//! indicators to look for elsewhere, and the techniques that were countered.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::{
    Known,
    audience::Audience,
    defang::defanged,
    export::{Kind, Noted},
    labels::Labels,
    plain,
    text::{Block, Text},
    types::{Change, LeftAlone, Report},
};
use crate::model::{Catalog, Outcome, Target, Untrusted};

/// How far something was examined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Examined {
    /// Something was found, and a person had it changed.
    Found,
    /// Something was found and left as it is: it may be the intruder's or not.
    Undecided,
    /// It was looked for, and nothing was found.
    Nothing,
    /// It was looked for, and the tenant did not let us see all of it, or a guard kept us away: denied is not empty.
    NotWholly,
    /// A responder noted it from logs; this program did not see it.
    Noted,
    /// Nobody looked, as far as this record shows.
    NotExamined,
}

impl Examined {
    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Found => "found, and acted on",
            Self::Undecided => "found, and left alone",
            Self::Nothing => "looked for, nothing found",
            Self::NotWholly => "not wholly examined: something could not be read, or was refused",
            Self::Noted => "noted by the responder",
            Self::NotExamined => "not examined",
        }
    }
}

/// One of the things that an intruder of an account leaves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Trace {
    /// What.
    pub name: String,
    /// How far it was examined.
    pub examined: Examined,
    /// What was found, each with its line where there is one.
    pub found: Vec<Found>,
    /// Where else to look, and for how long it is kept.
    pub source: String,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Found {
    /// Line of the journal; none for what was left alone or noted.
    pub seq: Option<u64>,
    /// Its name, or what was noted.
    pub what: Untrusted,
    /// What it was found by.
    pub note: Option<Untrusted>,
    /// Whether it was left as it is.
    pub left_alone: bool,
}

/// Something to look for in other accounts and tenants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Indicator {
    /// Line of the journal.
    pub seq: Option<u64>,
    /// Kind of the object.
    pub kind: String,
    /// Its id; for an application its client id, which is the same in every tenant.
    pub id: String,
    /// Its name; addresses cannot be clicked, here and in what follows.
    pub name: Untrusted,
    /// What it was found by: where it sends mail, since when it is there, what it may do.
    pub found_by: Option<Untrusted>,
}

/// A technique that was countered, or a countermeasure that was taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Technique {
    /// `MITRE ATT&CK`
    pub catalog: String,
    /// `18.1`
    pub version: Option<String>,
    /// `T1539`
    pub id: String,
    /// `Steal Web Session Cookie`
    pub name: Option<String>,
    /// The actions whose changes hold and counter it; none for what the playbook states.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub actions: Vec<String>,
}

/// What an intruder leaves: name, kind of the object, where else to look. The order is that of a report to an owner.
///
/// Source: Microsoft, "How long does Microsoft Entra ID store reporting data?" and "Audit log retention policies".
const TRACES: [(&str, Option<&str>, &str); 6] = [
    ("Suspicious sign-ins", None, "Entra sign-in logs: 7 days, 30 with Entra ID P1 or P2"),
    ("Applications and consents", Some("service-principal"), "Entra audit logs: 7 days, 30 with Entra ID P1 or P2"),
    ("Security info registered", Some("auth-method"), "Entra audit logs: 7 days, 30 with Entra ID P1 or P2"),
    ("Devices registered", Some("device"), "Entra audit logs: 7 days, 30 with Entra ID P1 or P2"),
    ("Mail rules", Some("inbox-rule"), "unified audit log: 180 days, a year with E5"),
    ("Mail and files", None, "unified audit log: 180 days, a year with E5"),
];

/// What is known of the intrusion.
pub(super) fn traces(report: &Report, known: &Known<'_>) -> Vec<Trace> {
    let changes: Vec<&Change> = report.accounts.iter().flat_map(|account| &account.changes).collect();
    let looked = looked_for(report, known);
    let trace = |(name, kind, source): (&str, Option<&str>, &str)| {
        let (examined, found) = match kind {
            Some(kind) => of_kind(kind, &changes, &report.left_alone, looked.get(kind).copied()),
            None if name.starts_with("Suspicious") => of_noted(known.noted, Kind::Access),
            None => of_noted(known.noted, Kind::Effect),
        };
        Trace { name: name.to_owned(), examined, found, source: source.to_owned() }
    };
    TRACES.into_iter().map(trace).collect()
}

/// What the steps of the plan looked for, by kind of object, and whether it was all seen: only a step that came back with an
/// answer, and from which nothing was kept, has seen that there is nothing.
fn looked_for<'a>(report: &Report, known: &Known<'a>) -> BTreeMap<&'a str, Examined> {
    let mut looked = BTreeMap::new();
    for step in &report.steps {
        let Some(meta) = (known.meta)(&step.action) else { continue };
        let kept = report.not_planned.iter().any(|it| it.step == step.id);
        let empty = report.nothing_found.iter().any(|(of, _)| *of == step.id);
        let seen = match (kept, empty) {
            (true, _) => Examined::NotWholly,
            (false, true) => Examined::Nothing,
            (false, false) => continue,
        };
        let entry = looked.entry(meta.target_kind).or_insert(seen);
        if seen == Examined::NotWholly {
            *entry = seen;
        }
    }
    looked
}

fn of_kind(kind: &str, changes: &[&Change], left: &[LeftAlone], looked: Option<Examined>) -> (Examined, Vec<Found>) {
    let is_kind = |target: &Target| target.kind == kind;
    let of = changes.iter().filter_map(|change| Some((*change, change.target.as_ref().filter(|it| is_kind(it))?)));
    let found = |(change, target): (&Change, &Target)| Found {
        seq: change.snapshot.or(change.line()),
        what: target.name.clone(),
        note: change.note.clone(),
        left_alone: !acted_on(change),
    };
    let (left_by_run, acted): (Vec<Found>, Vec<Found>) = of.map(found).partition(|found| found.left_alone);
    let left = left.iter().filter(|left| is_kind(&left.target)).map(|left| Found {
        seq: None,
        what: left.target.name.clone(),
        note: Some(left.note.clone()).filter(|note| !note.raw().is_empty()),
        left_alone: true,
    });
    let left: Vec<Found> = left_by_run.into_iter().chain(left).collect();
    let examined = match (acted.is_empty(), left.is_empty()) {
        (false, _) => Examined::Found,
        (_, false) => Examined::Undecided,
        _ => looked.unwrap_or(Examined::NotExamined),
    };
    (examined, acted.into_iter().chain(left).collect())
}

/// Whether anything was sent about it, or it was as wanted before.
fn acted_on(change: &Change) -> bool {
    !change.calls.is_empty() || change.outcome == Some(Outcome::Already)
}

fn of_noted(noted: &[Noted], kind: Kind) -> (Examined, Vec<Found>) {
    let found: Vec<Found> = noted
        .iter()
        .filter(|event| event.kind == kind)
        .map(|event| Found {
            seq: None,
            what: event.message.as_str().into(),
            note: Some(format!("{}, {}", event.datetime, event.timestamp_desc).into()),
            left_alone: false,
        })
        .collect();
    (if found.is_empty() { Examined::NotExamined } else { Examined::Noted }, found)
}

/// Objects of the intruder that were acted on: not the accounts, which are the victims'.
pub(super) fn indicators(report: &Report) -> Vec<Indicator> {
    let changes = report.accounts.iter().flat_map(|account| &account.changes);
    let acted = changes.filter(|change| acted_on(change));
    let of = |change: &Change| {
        let target = change.target.as_ref().filter(|target| target.kind != "user")?;
        let id = target.workload.as_ref().map_or(&target.id, |workload| &workload.app_id);
        Some(Indicator {
            seq: change.snapshot.or(change.line()),
            kind: target.kind.clone(),
            id: id.clone(),
            name: defanged(&target.name),
            found_by: change.note.as_ref().map(defanged),
        })
    };
    acted.filter_map(of).collect()
}

/// The ids of the changes that hold, each once.
pub(super) fn techniques(report: &Report, known: &Known<'_>) -> Vec<Technique> {
    let mode = report.status.mode;
    let changes = report.accounts.iter().flat_map(|account| &account.changes);
    let holds = changes.filter(|change| change.outcome.is_some_and(Outcome::holds));
    let actions: BTreeSet<&str> = holds.filter_map(|change| change.action.as_deref()).collect();
    let mut found: BTreeMap<(Catalog, &str), Vec<String>> = BTreeMap::new();
    for (action, meta) in actions.into_iter().filter_map(|action| Some((action, (known.meta)(action)?))) {
        for catalog in Catalog::ALL {
            for id in (Labels { meta, mode }).ids(catalog) {
                found.entry((catalog, id)).or_default().push(action.to_owned());
            }
        }
    }
    found.into_iter().map(|((catalog, id), actions)| technique(catalog, id, actions)).collect()
}

/// The ids that the playbook states.
pub(super) fn stated(counters: &[(Catalog, String)]) -> Vec<Technique> {
    counters.iter().map(|(catalog, id)| technique(*catalog, id, Vec::new())).collect()
}

fn technique(catalog: Catalog, id: &str, actions: Vec<String>) -> Technique {
    Technique {
        catalog: catalog.name().to_owned(),
        version: catalog.version().map(str::to_owned),
        id: id.to_owned(),
        name: catalog.name_of(id).map(str::to_owned),
        actions,
    }
}

/// What is known, item by item.
pub(super) fn section(report: &Report, audience: Audience, blocks: &mut Vec<Block>) {
    if report.intrusion.is_empty() {
        return;
    }
    blocks.push(Block::Section("What is known of the intrusion"));
    for trace in &report.intrusion {
        let good = matches!(trace.examined, Examined::Found | Examined::Nothing);
        let text = Text::new().words(format!("{}: ", trace.name));
        let text = match trace.examined {
            Examined::NotExamined => text.loud(trace.examined.words(), good).words(format!("; {}", trace.source)),
            _ => text.words(trace.examined.words()),
        };
        blocks.push(Block::Point(0, text));
        for found in &trace.found {
            let text = if found.left_alone { Text::new().words("not changed: ") } else { Text::new() };
            let text = text.foreign(&found.what);
            let text = match &found.note {
                Some(note) if audience.is_plain() => text.words(": ").said(plain::note(note.raw())),
                Some(note) => text.words(": ").said(note.raw()),
                None => text,
            };
            blocks.push(Block::Point(1, text.seq(found.seq)));
        }
    }
}

/// Indicators as a table.
pub(super) fn indicator_section(report: &Report, blocks: &mut Vec<Block>) {
    if report.indicators.is_empty() {
        return;
    }
    blocks.push(Block::Section("Indicators to look for elsewhere"));
    let row = |it: &Indicator| {
        let seq = it.seq.map_or_else(Text::new, |seq| Text::new().seq(seq));
        let object = Text::new().said(&it.kind).words(" ").code(&it.id);
        let found_by = it.found_by.as_ref().map_or_else(Text::new, |note| Text::new().whole(note));
        [object, Text::new().whole(&it.name), found_by, seq]
    };
    let rows: Vec<_> = report.indicators.iter().map(row).collect();
    let instead = Text::new().words(format!("{} objects of the intruder; `--as markdown` lists them", rows.len()));
    blocks.push(Block::Table { head: ["object", "name", "found by", "line"], rows, instead });
}

/// Techniques as a table, and apart from them what the playbook states.
pub(super) fn technique_section(report: &Report, blocks: &mut Vec<Block>) {
    if report.techniques.is_empty() && report.playbook_counters.is_empty() {
        return;
    }
    blocks.push(Block::Section("Techniques and countermeasures"));
    if !report.techniques.is_empty() {
        let what = "what the changes that hold work against, whether or not the intruder used it, and what they are";
        blocks.push(Block::Paragraph(Text::new().words(what)));
        let row = |it: &Technique| {
            let [catalog, id, name] = cells(it);
            [catalog, id, name, Text::new().said(it.actions.join(", "))]
        };
        let rows: Vec<_> = report.techniques.iter().map(row).collect();
        let instead = Text::new().words(format!("{} ids; `--as markdown` lists them", rows.len()));
        blocks.push(Block::Table { head: ["catalogue", "id", "name", "actions"], rows, instead });
    }
    if !report.playbook_counters.is_empty() {
        let what = "what the playbook states that it counters: the case that it was written for, not what was found";
        blocks.push(Block::Paragraph(Text::new().words(what)));
        let point = |it: &Technique| {
            let [catalog, id, name] = cells(it);
            Block::Point(0, catalog.words(" ").and(id).words(" ").and(name))
        };
        blocks.extend(report.playbook_counters.iter().map(point));
    }
}

fn cells(it: &Technique) -> [Text; 3] {
    let version = it.version.as_ref().map(|version| format!(" {version}")).unwrap_or_default();
    let name = it.name.clone().unwrap_or_default();
    [Text::new().words(format!("{}{version}", it.catalog)), Text::new().code(&it.id), Text::new().words(name)]
}
