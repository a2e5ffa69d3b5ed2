//! The comparison: pure, from a journal and what the tenant showed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    client::derived_request_id,
    journal::{History, Record, SentOutcome},
    model::{Call, Identity, Target, Untrusted, Write},
    reconcile::{
        Absence, AuditEntry, Gap, LogRow, NotOurs, NotShown, Reconciliation, Source, UnifiedLog, Window, activities,
        kql, mailboxes,
    },
};

/// How long before a call, by the tenant's clock in whole seconds, its entry may be dated.
pub(super) const EARLY: SignedDuration = SignedDuration::from_secs(5);

/// How long after a call its entry may be dated.
pub(super) const LATE: SignedDuration = SignedDuration::from_mins(5);

/// A call that was sent, or may have been.
pub(super) struct Made<'a> {
    seq: u64,
    change: &'a str,
    id: &'a str,
    pub(super) request: &'a Call,
    pub(super) at: Timestamp,
    /// None when the process died before it could say.
    outcome: Option<SentOutcome>,
    target: Option<&'a Target>,
    text: String,
    /// Ids under which its attempts went out.
    attempts: BTreeSet<String>,
}

/// What the tenant's records show of the time of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// The directory's audit log, where it was read.
    pub entries: Option<&'a [AuditEntry]>,
    /// An exported activity log of Graph, where there is one.
    pub rows: Option<&'a [LogRow]>,
    /// The unified audit log, where it was read.
    pub unified: Option<&'a UnifiedLog>,
}

/// Compares a run with the tenant's records; `now` is the time at which they were read. `others` are runs whose changes may
/// lie in the same minutes, under the same identity: what they did is no news.
pub fn reconcile(history: &History, others: &[History], shown: Shown<'_>, now: Timestamp) -> Reconciliation {
    let us = history.identities();
    let (made, known) = (made(history), others.iter().flat_map(made).collect::<Vec<_>>());
    let mut found = Reconciliation {
        run: history.header.run_id.clone(),
        window: Window::of(history),
        sources: Vec::new(),
        shown: 0,
        elsewhere: 0,
        not_shown: Vec::new(),
        not_ours: Vec::new(),
        gaps: Vec::new(),
        kql: kql::query(history),
        kql_exchange: kql::exchange(history),
    };
    let graph = |made: &&Made<'_>| matches!(made.request.write, Write::Graph { .. });
    let (at_graph, at_exchange): (Vec<&Made<'_>>, Vec<&Made<'_>>) = made.iter().partition(graph);
    let (known_graph, known_exchange): (Vec<&Made<'_>>, Vec<&Made<'_>>) = known.iter().partition(graph);
    let (mut missing, mut compared) = (Vec::new(), BTreeSet::new());
    if let Some(entries) = shown.entries {
        found.sources.push(Source::DirectoryAudits);
        missing.extend(audits(&at_graph, &known_graph, entries, &us, &mut found));
        compared.extend(at_graph.iter().map(|made| made.seq));
    }
    if let Some(rows) = shown.rows {
        found.sources.push(Source::GraphActivityLog);
        missing.extend(requests(&at_graph, &known_graph, rows, &us, &mut found));
        compared.extend(at_graph.iter().map(|made| made.seq));
    }
    if let Some(log) = shown.unified {
        found.sources.push(Source::UnifiedAuditLog);
        missing.extend(mailboxes::compare(&at_exchange, &known_exchange, log, &us, &mut found));
        found.gaps.extend(log.gap.iter().map(|reason| Gap::new(Source::UnifiedAuditLog, reason)));
        compared.extend(at_exchange.iter().map(|made| made.seq));
    }
    found.elsewhere = made.iter().filter(|made| !compared.contains(&made.seq)).count() as u64;
    let not_there: BTreeSet<u64> = missing.iter().map(|(_, made)| made.seq).collect();
    let is_shown =
        |made: &&Made<'_>| made.is_expected() && compared.contains(&made.seq) && !not_there.contains(&made.seq);
    found.shown = made.iter().filter(is_shown).count() as u64;
    let gaps: Vec<Source> = found.gaps.iter().map(|gap| gap.source).collect();
    let absent = |(source, made): (Source, &Made<'_>)| made.not_shown(source, gaps.contains(&source), now);
    found.not_shown = missing.into_iter().map(absent).collect();
    found
}

/// Each call with how it ended. Calls that were rejected or never left are not expected anywhere, but may be.
fn made(history: &History) -> Vec<Made<'_>> {
    let mut made: Vec<Made<'_>> = Vec::new();
    let mut targets: BTreeMap<&str, &Target> = BTreeMap::new();
    for line in &history.lines {
        match &line.record {
            Record::Intent { change, client_request_id, request, server_time, .. } => made.push(Made {
                seq: line.seq,
                change,
                id: client_request_id,
                request,
                at: *server_time,
                outcome: None,
                target: None,
                text: serde_json::to_string(request).unwrap_or_default(),
                attempts: attempts(client_request_id).collect(),
            }),
            Record::Sent { client_request_id, outcome, .. } => {
                if let Some(made) = made.iter_mut().rev().find(|made| made.id == client_request_id) {
                    made.outcome = Some(*outcome);
                    made.attempts.extend(line.ev.iter().map(|ev| ev.client_request_id.clone()));
                }
            }
            Record::Ended { change, target, .. } => {
                targets.insert(change, target);
            }
            _ => {}
        }
    }
    made.iter_mut().for_each(|made| made.target = targets.get(made.change).copied());
    made.retain(|made| made.outcome != Some(SentOutcome::NotSent));
    made
}

/// The ids of the first attempts of a call: those of a process that died are in no evidence.
fn attempts(first: &str) -> impl Iterator<Item = String> {
    const FIRST: u32 = 16;
    (1..=FIRST).map(move |number| derived_request_id(first, number))
}

impl Made<'_> {
    /// Whether the tenant should show it.
    pub(super) fn is_expected(&self) -> bool {
        matches!(self.outcome, Some(SentOutcome::Accepted | SentOutcome::Unknown) | None)
    }

    /// Whether an entry tells of this call or of what it brought about: its object, its time, and its activity.
    fn concerns(&self, entry: &AuditEntry) -> bool {
        let name = entry.activity_display_name.raw().trim();
        let is_named = activities::names(self.request).is_none_or(|names| names.contains(&name));
        is_named && self.touches(entry)
    }

    fn touches(&self, entry: &AuditEntry) -> bool {
        let after = entry.activity_date_time.duration_since(self.at);
        let is_target = |id: &str| {
            let named = |target: &Target| {
                target.id == id || target.lane == id || target.of.as_ref().is_some_and(|of| of.raw() == id)
            };
            !id.is_empty() && (self.target.is_some_and(named) || self.text.contains(id))
        };
        let ids = entry.target_resources.iter().flat_map(|it| [it.id.as_deref(), it.user_principal_name.as_deref()]);
        after >= -EARLY && after <= LATE && ids.flatten().any(is_target)
    }

    fn not_shown(&self, source: Source, has_gap: bool, now: Timestamp) -> NotShown {
        let age = now.duration_since(self.at);
        let why = if self.outcome != Some(SentOutcome::Accepted) {
            Absence::Unknown
        } else if age < source.delay() {
            Absence::NotYet
        } else if source.retention().is_some_and(|retention| age > retention) {
            Absence::MayBeDropped
        } else if has_gap {
            Absence::NotRead
        } else {
            Absence::Missing
        };
        NotShown {
            source,
            seq: self.seq,
            change: self.change.to_owned(),
            client_request_id: self.id.to_owned(),
            request: self.request.summary(),
            at: self.at,
            why,
        }
    }
}

/// The directory's audit log names no request of ours, so an entry is matched by its object, its time and its activity: each
/// call takes the nearest entry that no other took. One call may be shown by several entries, but by one of each name:
/// what is left over then, nobody recorded.
fn audits<'a, 'b>(
    calls: &'b [&'a Made<'a>],
    known: &[&Made<'_>],
    entries: &[AuditEntry],
    us: &[&Identity],
    found: &mut Reconciliation,
) -> Vec<(Source, &'b Made<'a>)> {
    let window = found.window;
    let ours =
        entries.iter().filter(|entry| us.iter().any(|us| entry.is_by(us)) && window.holds(entry.activity_date_time));
    let ours: Vec<&AuditEntry> = ours.collect();
    let mut taken = BTreeSet::new();
    let mut told: BTreeSet<(*const Made<'_>, &str)> = BTreeSet::new();
    let mut missing = Vec::new();
    for call in calls.iter().filter(|call| call.is_expected()) {
        let near = ours
            .iter()
            .enumerate()
            .filter(|(at, entry)| !taken.contains(at) && entry.is_done() && call.concerns(entry));
        match near.min_by_key(|(_, entry)| entry.activity_date_time.duration_since(call.at).abs()) {
            Some((at, entry)) => {
                taken.insert(at);
                told.insert((std::ptr::from_ref(*call).cast(), entry.activity_display_name.raw()));
            }
            None => missing.push((Source::DirectoryAudits, *call)),
        }
    }
    let mut explained = |entry: &AuditEntry, name| {
        let mut calls = calls.iter().map(|call| &**call).chain(known.iter().map(|call| &**call));
        calls.any(|call| call.concerns(entry) && told.insert((std::ptr::from_ref(call).cast(), name)))
    };
    for (_, entry) in ours.iter().enumerate().filter(|(at, _)| !taken.contains(at)) {
        if !explained(entry, entry.activity_display_name.raw()) {
            found.not_ours.push(not_ours(entry));
        }
    }
    missing
}

fn not_ours(entry: &AuditEntry) -> NotOurs {
    NotOurs {
        source: Source::DirectoryAudits,
        at: entry.activity_date_time,
        id: entry.id.clone(),
        what: entry.activity_display_name.clone(),
        to: entry
            .target_resources
            .iter()
            .filter_map(|it| it.user_principal_name.as_ref().or(it.display_name.as_ref()).or(it.id.as_ref()))
            .map(|name| Untrusted::from(name.as_str()))
            .collect(),
    }
}

/// Graph's activity log carries the `client-request-id` of each attempt, so this is exact. The items of a `$batch` have rows of
/// their own.
fn requests<'a, 'b>(
    calls: &'b [&'a Made<'a>],
    known: &[&Made<'_>],
    rows: &[LogRow],
    us: &[&Identity],
    found: &mut Reconciliation,
) -> Vec<(Source, &'b Made<'a>)> {
    let window = found.window;
    let in_time = |row: &LogRow| row.time_generated.is_none_or(|at| window.holds(at));
    let ours: Vec<&LogRow> =
        rows.iter().filter(|row| us.iter().any(|us| row.is_by(us)) && row.changes() && in_time(row)).collect();
    let shown: BTreeSet<&str> =
        ours.iter().filter(|row| row.is_done()).filter_map(|row| row.client_request_id.as_deref()).collect();
    let known: BTreeSet<&String> = calls.iter().chain(known).flat_map(|call| &call.attempts).collect();
    let foreign = ours.iter().filter(|row| row.client_request_id.as_ref().is_none_or(|id| !known.contains(id)));
    found.not_ours.extend(foreign.map(|row| NotOurs {
        source: Source::GraphActivityLog,
        at: row.time_generated.unwrap_or(window.from),
        id: row.request_id.clone().unwrap_or_else(|| Untrusted::from("")),
        what: Untrusted::from(row.request_method.as_str()),
        to: vec![row.request_uri.clone()],
    }));
    let is_shown = |call: &Made<'_>| call.attempts.iter().any(|id| shown.contains(id.as_str()));
    let missing = calls.iter().filter(|call| call.is_expected() && !is_shown(call));
    missing.map(|call| (Source::GraphActivityLog, *call)).collect()
}
