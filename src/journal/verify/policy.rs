//! The rules of a run: nothing that the plan does not have; no change without approval, snapshot and intent; nothing done
//! that no read showed; nothing read or answered without the exchange that shows it.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chain::Chain,
    finding::{Code, Findings, shown},
    plan::Plan,
};
use crate::{
    journal::{Line, Purpose, Record, RunHeader, SentOutcome, folder::HEADER},
    model::{Call, HandOver, Outcome, Verdict},
};

pub(super) fn check(chain: &Chain, plan: Option<&Plan>, header: Option<&RunHeader>, found: &mut Findings) {
    one_tenant(plan, header, found);
    let mut rules = Rules { seals: plan.is_none_or(|plan| plan.seals), ..Rules::default() };
    for (seq, line) in chain.known() {
        if let Some(plan) = plan {
            rules.planned(seq, &line.record, plan, found);
        }
        shown_by_exchanges(seq, line, found);
        rules.step(seq, &line.record, found);
    }
    rules.end(chain, found);
}

/// The plan was made for the tenant that the run works in, and the token is of that tenant.
fn one_tenant(plan: Option<&Plan>, header: Option<&RunHeader>, found: &mut Findings) {
    let Some(header) = header else {
        return;
    };
    let others = [Some(&header.identity.tenant_id), plan.map(|plan| &plan.tenant_id)];
    if others.into_iter().flatten().any(|tenant| *tenant != header.tenant_id) {
        found.file(Code::TenantMismatch, HEADER, "header, identity and plan name more than one tenant");
    }
}

/// Whoever says what was read, or how a call was answered, has the exchange to show for it.
fn shown_by_exchanges(seq: u64, line: &Line, found: &mut Findings) {
    let is_shown = match &line.record {
        Record::Observed { state: Some(_), .. } | Record::Verified { verdict: Verdict::Holds, .. } => {
            !line.ev.is_empty()
        }
        Record::Sent { client_request_id, outcome, .. } if *outcome != SentOutcome::NotSent => {
            line.ev.iter().any(|ev| ev.client_request_id == *client_request_id)
        }
        _ => true,
    };
    if !is_shown {
        found.line(Code::NoExchange, seq, "no exchange stands behind what it says of the tenant");
    }
}

/// What has been recorded so far.
#[derive(Default)]
struct Rules<'a> {
    approved: bool,
    /// Whether the plan has anybody to seal secrets to.
    seals: bool,
    snapshots: BTreeSet<&'a str>,
    /// Calls that were announced and not yet said to be sent.
    intents: BTreeMap<(&'a str, u32, &'a str), &'a Call>,
    begun: BTreeSet<&'a str>,
    /// Changes that were read again after a call, so that what is left of them may be other calls than the plan's.
    probed: BTreeSet<&'a str>,
    sealed: BTreeSet<&'a str>,
    shown: BTreeSet<&'a str>,
    ended: BTreeMap<&'a str, Outcome>,
}

impl<'a> Rules<'a> {
    fn planned(&self, seq: u64, record: &Record, plan: &Plan, found: &mut Findings) {
        if let Record::Approved { digest, .. } = record
            && *digest != plan.digest
        {
            found.line(Code::ApprovalOfAnotherPlan, seq, "the digest that was approved is not that of plan.json");
        }
        if let Some(change) = record.change().filter(|change| !plan.has(change)) {
            found.line(Code::ChangeNotPlanned, seq, format!("plan.json has no change {}", shown(change)));
        } else if let Record::Intent { change, request, .. } = record
            && !self.probed.contains(change.as_str())
            && !serde_json::to_value(&request.write).is_ok_and(|write| plan.has_call(change, &write))
        {
            found.line(Code::CallNotPlanned, seq, "plan.json has no such call of this change");
        }
    }

    fn step(&mut self, seq: u64, record: &'a Record, found: &mut Findings) {
        match record {
            Record::Approved { .. } => self.approved = true,
            Record::Observed { change, state: Some(_), purpose, .. } => {
                match purpose {
                    Purpose::Before => self.snapshots.insert(change),
                    Purpose::Probe => self.shown.insert(change),
                };
                if *purpose == Purpose::Probe && self.begun.contains(change.as_str()) {
                    self.probed.insert(change);
                }
            }
            Record::Sealed { change, .. } => {
                self.sealed.insert(change);
            }
            Record::Intent { change, call, client_request_id, request, .. } => {
                self.intent(seq, change, found);
                self.intents.insert((change, *call, client_request_id), request);
            }
            Record::Sent { change, call, client_request_id, outcome, .. } => {
                let intent = self.intents.remove(&(change, *call, client_request_id));
                self.sent(seq, change, intent, *outcome, found);
            }
            Record::Verified { change, verdict: Verdict::Holds, .. } => {
                self.shown.insert(change);
            }
            Record::Ended { change, outcome, .. } => self.ended(seq, change, *outcome, found),
            _ => {}
        }
    }

    fn intent(&mut self, seq: u64, change: &'a str, found: &mut Findings) {
        if !self.approved {
            found.line(Code::IntentWithoutApproval, seq, "no approval stands before this call");
        }
        if !self.snapshots.contains(change) {
            found.line(Code::IntentWithoutSnapshot, seq, "its object was not read before this call");
        }
        self.begun.insert(change);
        self.shown.remove(change);
    }

    fn sent(&self, seq: u64, change: &str, intent: Option<&Call>, outcome: SentOutcome, found: &mut Findings) {
        let Some(request) = intent else {
            found.line(Code::SentWithoutIntent, seq, "no line announced the call that was sent, or it was sent before");
            return;
        };
        let seals = self.seals && request.secrets.iter().any(|secret| secret.hand_over == HandOver::Sealed);
        if seals && outcome != SentOutcome::NotSent && !self.sealed.contains(change) {
            found.line(Code::SecretNotSealed, seq, "the secret of this call had not been sealed before it was sent");
        }
    }

    fn ended(&mut self, seq: u64, change: &'a str, outcome: Outcome, found: &mut Findings) {
        if matches!(outcome, Outcome::Done | Outcome::DoneWillRevert) {
            if !self.begun.contains(change) {
                found.line(Code::DoneWithoutIntent, seq, "no call of this change was announced");
            }
            if !self.shown.contains(change) {
                found.line(Code::DoneWithoutProof, seq, "no read after the last call showed the wanted state");
            }
        }
        self.ended.insert(change, outcome);
    }

    fn end(&self, chain: &Chain, found: &mut Findings) {
        let closed = chain.records().find_map(|(seq, record)| match record {
            Record::Closed { outcomes, .. } => Some((seq, outcomes)),
            _ => None,
        });
        let Some((seq, outcomes)) = closed else {
            return;
        };
        for change in self.begun.iter().filter(|c| !self.ended.contains_key(**c)) {
            let text = format!("change {} has no end", shown(change));
            found.line(Code::ChangeNotEnded, seq, text);
        }
        let mut counted: BTreeMap<String, u32> = BTreeMap::new();
        for outcome in self.ended.values() {
            *counted.entry(outcome.word().to_owned()).or_insert(0) += 1;
        }
        if counted != *outcomes {
            found.line(Code::OutcomesMismatch, seq, "it counts other outcomes than the lines before it");
        }
    }
}
