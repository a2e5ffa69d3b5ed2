//! The journal's lines, sorted by what they are about.

use std::{collections::BTreeMap, path::Path};

use jiff::Timestamp;
use serde_json::Value;

use super::{
    handed::Handed,
    types::{Approver, CallMade, Exhibit, Proof, Sealed, Spot, TakenUp},
};
use crate::{
    journal::{Line, Purpose, Record, read_head},
    model::{Caveat, CaveatKind, Exchange, ExchangeOutcome, Outcome, Target},
};

/// What the journal says of one change.
#[derive(Default)]
pub(super) struct ChangeFacts {
    pub(super) snapshot: Option<u64>,
    pub(super) before: Option<Value>,
    pub(super) last_seen: Option<Value>,
    pub(super) read_back: Option<u64>,
    pub(super) calls: Vec<CallMade>,
    pub(super) ended: Option<Ending>,
    handed: Handed,
}

/// How a change ended.
pub(super) struct Ending {
    pub(super) seq: u64,
    pub(super) outcome: Outcome,
    pub(super) reason: String,
    pub(super) before: Option<Value>,
    pub(super) after: Option<Value>,
    pub(super) target: Target,
    pub(super) caveats: Vec<Caveat>,
}

/// The close of a run.
pub(super) struct Close {
    pub(super) seq: u64,
    pub(super) last_cut_off_ms: Option<u64>,
    pub(super) contained_ms: Option<u64>,
}

/// What the journal says.
#[derive(Default)]
pub(super) struct Facts {
    pub(super) opened: Option<Timestamp>,
    pub(super) until: Option<Timestamp>,
    pub(super) approvals: Vec<Approver>,
    pub(super) changes: BTreeMap<String, ChangeFacts>,
    /// Changes in the order in which they first appear.
    pub(super) order: Vec<String>,
    /// Secrets to hand over: those in force.
    pub(super) secrets: Vec<Sealed>,
    pub(super) resumed: Vec<Proof<TakenUp>>,
    pub(super) interrupted: Option<Proof<String>>,
    pub(super) close: Option<Close>,
    pub(super) blind_spots: Vec<Spot>,
}

impl Facts {
    pub(super) fn of(lines: &[Line]) -> Self {
        let mut facts = Self::default();
        for line in lines {
            facts.until = Some(line.t);
            if let Some(change) = line.record.change()
                && !facts.changes.contains_key(change)
            {
                facts.order.push(change.to_owned());
                facts.changes.insert(change.to_owned(), ChangeFacts::default());
            }
            facts.take(line);
        }
        facts.secrets = facts.changes.values().flat_map(|change| change.handed.now().to_vec()).collect();
        facts.secrets.sort_by_key(|sealed| sealed.seq);
        facts
    }

    fn take(&mut self, line: &Line) {
        let seq = line.seq;
        match &line.record {
            Record::RunOpened { .. } => self.opened = Some(line.t),
            Record::Approved { digest, by, how, overrides, unseen } => {
                self.blind_spots.extend(unseen.iter().map(|it| Spot { seq: Some(seq), text: it.text.clone() }));
                let (by, digest, overrides) = (by.clone(), digest.clone(), overrides.clone());
                self.approvals.push(Approver { seq, by, how: *how, digest, overrides });
            }
            Record::Cleared { unseen } => {
                self.blind_spots.extend(unseen.iter().map(|it| Spot { seq: Some(seq), text: it.text.clone() }));
            }
            Record::Resumed { by, identity, .. } => {
                self.interrupted = None;
                let identity = identity.as_deref().cloned();
                self.resumed.push(Proof { seq, what: TakenUp { by: by.clone(), identity } });
            }
            Record::Interrupted { reason } => self.interrupted = Some(Proof { seq, what: reason.clone() }),
            Record::Closed { last_cut_off_ms, contained_ms, .. } => {
                self.close = Some(Close { seq, last_cut_off_ms: *last_cut_off_ms, contained_ms: *contained_ms });
            }
            record => self.take_change(seq, record),
        }
    }

    fn take_change(&mut self, seq: u64, record: &Record) {
        if let Record::Observed { caveats, error, .. } = record {
            let unseen = caveats.iter().filter(|caveat| caveat.kind == CaveatKind::BlindSpot);
            let texts = unseen.map(|caveat| caveat.text.clone()).chain(error.clone());
            self.blind_spots.extend(texts.map(|text| Spot { seq: Some(seq), text }));
        }
        if let Some(change) = record.change().and_then(|change| self.changes.get_mut(change)) {
            change.take(seq, record);
        }
    }
}

impl ChangeFacts {
    fn take(&mut self, seq: u64, record: &Record) {
        self.handed.take(seq, record);
        match record {
            Record::Observed { state: Some(state), purpose: Purpose::Before, .. } => {
                self.snapshot = Some(seq);
                self.before = Some(state.clone());
            }
            Record::Observed { state: Some(state), purpose: Purpose::Probe, .. } => {
                self.read_back = Some(seq);
                self.last_seen = Some(state.clone());
            }
            Record::Intent { client_request_id, request, server_time, .. } => self.calls.push(CallMade {
                intent: seq,
                request: request.summary(),
                client_request_id: client_request_id.clone(),
                server_time: *server_time,
                sent: None,
                outcome: None,
                status: None,
                warnings: Vec::new(),
            }),
            Record::Sent { client_request_id, outcome, status, warnings, .. } => {
                let call = self.calls.iter_mut().rfind(|call| call.client_request_id == *client_request_id);
                if let Some(call) = call {
                    call.sent = Some(seq);
                    call.outcome = Some(*outcome);
                    call.status = *status;
                    call.warnings.clone_from(warnings);
                }
            }
            Record::Verified { state, .. } => {
                self.read_back = Some(seq);
                self.last_seen.clone_from(state);
            }
            Record::Ended { outcome, reason, before, after, target, caveats, .. } => {
                self.ended = Some(Ending {
                    seq,
                    outcome: *outcome,
                    reason: reason.clone(),
                    before: before.clone(),
                    after: after.clone(),
                    target: (**target).clone(),
                    caveats: caveats.clone(),
                });
            }
            _ => {}
        }
    }

    /// Whether something may have been changed: a call was answered with a success, or its answer is not known.
    pub(super) fn may_have_changed(&self) -> bool {
        use crate::journal::SentOutcome::{Accepted, Unknown};
        self.calls.iter().any(|call| matches!(call.outcome, None | Some(Accepted | Unknown)))
    }
}

/// Every exchange that the journal names, with what its head says where it can be read.
pub(super) fn exchanges(run: &Path, lines: &[Line]) -> Vec<(Exhibit, Option<Exchange>)> {
    let of_line = |line: &Line| {
        let (seq, change) = (line.seq, line.record.change().map(str::to_owned));
        let of_file = move |files: &crate::journal::EvidenceRef| {
            let head = read_head(run, files);
            let exhibit = Exhibit {
                seq,
                change: change.clone(),
                outcome: head.as_ref().map(|head| head.outcome),
                status: head.as_ref().and_then(|head| head.status),
                files: files.clone(),
            };
            (exhibit, head)
        };
        line.ev.iter().map(of_file).collect::<Vec<_>>()
    };
    lines.iter().flat_map(of_line).collect()
}

/// Reads that the tenant denied: what they would have shown is not known, which is not the same as empty.
pub(super) fn denied(exchanges: &[(Exhibit, Option<Exchange>)]) -> impl Iterator<Item = Spot> {
    let denied = exchanges.iter().filter(|(exhibit, _)| exhibit.outcome == Some(ExchangeOutcome::Denied));
    denied.map(|(exhibit, _)| Spot {
        seq: Some(exhibit.seq),
        text: format!("the tenant denied a request, see {}", exhibit.files.head.path),
    })
}
