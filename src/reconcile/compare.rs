//! The comparison: pure, from a journal and what the tenant showed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::{
    journal::{History, Record, SentOutcome},
    model::{Call, Identity, Target, Untrusted, Write},
    reconcile::{
        Absence, AuditEntry, Gap, LogRow, NotOurs, NotShown, Reconciliation, Source, UnifiedLog, Window, kql, mailboxes,
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
}

/// What the tenant's records show of the time of a run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shown<'a> {
    /// The directory's audit log.
    pub entries: &'a [AuditEntry],
    /// An exported activity log of Graph, where there is one.
    pub rows: Option<&'a [LogRow]>,
    /// The unified audit log, where it was read.
    pub unified: Option<&'a UnifiedLog>,
}

/// Compares a run with the tenant's records; `now` is the time at which they were read.
pub fn reconcile(history: &History, shown: Shown<'_>, now: Timestamp) -> Reconciliation {
    let window = Window::of(history);
    let made = made(history);
    let mut found = Reconciliation {
        run: history.header.run_id.clone(),
        window,
        sources: vec![Source::DirectoryAudits],
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
    let us = &history.header.identity;
    let mut missing = audits(&at_graph, shown.entries, us, &mut found);
    if let Some(rows) = shown.rows {
        found.sources.push(Source::GraphActivityLog);
        missing.extend(activities(&at_graph, rows, us, &mut found));
    }
    let mut compared: Vec<&Made<'_>> = at_graph.clone();
    match shown.unified {
        Some(log) => {
            found.sources.push(Source::UnifiedAuditLog);
            missing.extend(mailboxes::compare(&at_exchange, log, us, &mut found));
            found.gaps.extend(log.gap.iter().map(|reason| Gap::new(Source::UnifiedAuditLog, reason)));
            compared.extend(&at_exchange);
        }
        None => found.elsewhere = at_exchange.len() as u64,
    }
    let not_there: BTreeSet<u64> = missing.iter().map(|(_, made)| made.seq).collect();
    let expected = compared.iter().filter(|made| made.is_expected() && !not_there.contains(&made.seq));
    found.shown = expected.count() as u64;
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
            }),
            Record::Sent { client_request_id, outcome, .. } => {
                if let Some(made) = made.iter_mut().rev().find(|made| made.id == client_request_id) {
                    made.outcome = Some(*outcome);
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

impl Made<'_> {
    /// Whether the tenant should show it.
    pub(super) fn is_expected(&self) -> bool {
        matches!(self.outcome, Some(SentOutcome::Accepted | SentOutcome::Unknown) | None)
    }

    fn concerns(&self, entry: &AuditEntry) -> bool {
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

/// The directory's audit log names no request of ours, so an entry is matched by its object and its time: each call
/// takes the nearest entry that no other took, and what is left over belongs to a call where it concerns one.
fn audits<'a, 'b>(
    calls: &'b [&'a Made<'a>],
    entries: &[AuditEntry],
    us: &Identity,
    found: &mut Reconciliation,
) -> Vec<(Source, &'b Made<'a>)> {
    let window = found.window;
    let ours = entries.iter().filter(|entry| entry.is_by(us) && window.holds(entry.activity_date_time));
    let ours: Vec<&AuditEntry> = ours.collect();
    let mut taken = BTreeSet::new();
    let mut missing = Vec::new();
    for call in calls.iter().filter(|call| call.is_expected()) {
        let near = ours.iter().enumerate().filter(|(at, entry)| !taken.contains(at) && call.concerns(entry));
        match near.min_by_key(|(_, entry)| entry.activity_date_time.duration_since(call.at).abs()) {
            Some((at, _)) => {
                taken.insert(at);
            }
            None => missing.push((Source::DirectoryAudits, *call)),
        }
    }
    let unexplained = |(_, entry): &(usize, &&AuditEntry)| !calls.iter().any(|call| call.concerns(entry));
    let left = ours.iter().enumerate().filter(|(at, _)| !taken.contains(at)).filter(unexplained);
    found.not_ours.extend(left.map(|(_, entry)| {
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
    }));
    missing
}

/// Graph's activity log carries our `client-request-id`, so this is exact.
fn activities<'a, 'b>(
    calls: &'b [&'a Made<'a>],
    rows: &[LogRow],
    us: &Identity,
    found: &mut Reconciliation,
) -> Vec<(Source, &'b Made<'a>)> {
    let window = found.window;
    let in_time = |row: &LogRow| row.time_generated.is_none_or(|at| window.holds(at));
    let ours: Vec<&LogRow> = rows.iter().filter(|row| row.is_by(us) && row.changes() && in_time(row)).collect();
    let shown: BTreeSet<&str> = ours.iter().filter_map(|row| row.client_request_id.as_deref()).collect();
    let known: BTreeSet<&str> = calls.iter().map(|call| call.id).collect();
    let foreign = ours.iter().filter(|row| row.client_request_id.as_deref().is_none_or(|id| !known.contains(id)));
    found.not_ours.extend(foreign.map(|row| NotOurs {
        source: Source::GraphActivityLog,
        at: row.time_generated.unwrap_or(window.from),
        id: row.request_id.clone().unwrap_or_else(|| Untrusted::from("")),
        what: Untrusted::from(row.request_method.as_str()),
        to: vec![row.request_uri.clone()],
    }));
    let missing = calls.iter().filter(|call| call.is_expected() && !shown.contains(call.id));
    missing.map(|call| (Source::GraphActivityLog, *call)).collect()
}
