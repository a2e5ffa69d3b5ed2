//! The rules of a run: no change without approval, snapshot and intent; nothing done that no read showed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    chain::Chain,
    finding::{Code, Findings},
    plan::PlanFacts,
};
use crate::{
    journal::{Purpose, Record, SentOutcome},
    model::{Call, HandOver, Outcome, Verdict},
};

pub(super) fn check(chain: &Chain, plan: Option<&PlanFacts>, found: &mut Findings) {
    let mut rules = Rules { seals: plan.is_none_or(|plan| plan.seals), ..Rules::default() };
    for (seq, record) in chain.records() {
        rules.step(seq, record, found);
        if let (Record::Approved { digest, .. }, Some(plan)) = (record, plan)
            && *digest != plan.digest
        {
            found.line(Code::ApprovalOfAnotherPlan, seq, "the digest that was approved is not that of plan.json");
        }
    }
    rules.end(chain, found);
}

/// What has been recorded so far.
#[derive(Default)]
struct Rules<'a> {
    approved: bool,
    /// Whether the plan has anybody to seal secrets to.
    seals: bool,
    snapshots: BTreeSet<&'a str>,
    intents: BTreeMap<(&'a str, u32, &'a str), &'a Call>,
    begun: BTreeSet<&'a str>,
    sealed: BTreeSet<&'a str>,
    shown: BTreeSet<&'a str>,
    ended: BTreeMap<&'a str, Outcome>,
}

impl<'a> Rules<'a> {
    fn step(&mut self, seq: u64, record: &'a Record, found: &mut Findings) {
        match record {
            Record::Approved { .. } => self.approved = true,
            Record::Observed { change, state: Some(_), purpose, .. } => {
                match purpose {
                    Purpose::Before => self.snapshots.insert(change),
                    Purpose::Probe => self.shown.insert(change),
                };
            }
            Record::Sealed { change, .. } => {
                self.sealed.insert(change);
            }
            Record::Intent { change, call, client_request_id, request, .. } => {
                self.intent(seq, change, found);
                self.intents.insert((change, *call, client_request_id), request);
            }
            Record::Sent { change, call, client_request_id, outcome, .. } => {
                let intent = self.intents.get(&(change, *call, client_request_id));
                self.sent(seq, change, intent.copied(), *outcome, found);
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
            found.line(Code::SentWithoutIntent, seq, "no line announced the call that was sent");
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
            let text = format!("change {} has no end", super::finding::shown(change));
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
