//! One change: observe, compare, intend, send. Evidence and intent are on disk before anything is sent.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use crate::{
    action::{DynAction, ErasedSeen},
    client::{Secrets, SendOutcome},
    engine::{
        lane::Step,
        past::{ChangePast, OpenCall},
        recorded::{Intent, Snapshot},
        run::{EngineError, Run},
        seal,
        verify::{Ending, Verification},
    },
    journal::{Found, Purpose, Record, Said},
    model::{Call, CaveatKind, Change, Goal, OnRejection, Outcome, Replay, Target, Untrusted, Verdict, diff},
    plan::handed_over,
};

/// One change that is being made.
pub(crate) struct Work<'a> {
    pub(crate) run: &'a Run,
    pub(crate) action: &'static dyn DynAction,
    pub(crate) change: &'a Change,
    /// Whether this is its second try, after all others of its lane.
    pub(crate) last: bool,
}

/// Where a change stands once its object was read.
pub(crate) struct Standing {
    pub(crate) snapshot: Snapshot,
    pub(crate) target: Target,
    pub(crate) before: Value,
    pub(crate) wanted: Value,
    pub(crate) ending: Ending,
}

/// What one call, or a series of them, came to.
enum Delivery {
    /// Accepted; perhaps with something worth saying.
    Accepted(Option<String>),
    /// The answer to this call was lost, for this reason.
    Lost(OpenCall, String),
    /// The change has ended.
    Ended(Outcome, String),
    /// To be tried again at the end of the lane.
    Later,
}

impl Work<'_> {
    /// A change of which nothing was sent yet.
    pub(crate) async fn begin(self) -> Result<Step, EngineError> {
        let target = &self.change.target;
        let seen = self.run.tenant.observe(self.action, &self.change.id, target, Purpose::Before).await?;
        let (seen, snapshot) = match seen {
            Ok(seen) => seen,
            Err(reason) => {
                return self.end(Ending::of(self.change), Outcome::Failed, &reason).await;
            }
        };
        let standing = self.standing(seen, snapshot)?;
        if let Some((outcome, reason)) = self.nothing_to_send(&standing)? {
            return self.end(standing.ending, outcome, &reason).await;
        }
        let calls = self.change.calls.clone();
        self.deliver(standing, calls).await
    }

    /// A change of which something was sent, by a process that did not live to see the end.
    pub(crate) async fn recover(self, past: ChangePast) -> Result<Step, EngineError> {
        let Some(standing) = self.before(&past) else {
            return self.begin().await;
        };
        let all = u32::try_from(self.change.calls.len())
            .is_ok_and(|calls| (0..calls).all(|call| past.accepted.contains(&call)));
        if all {
            return Ok(self.verify(standing, Some("accepted before the run was interrupted".to_owned())));
        }
        // An open call was looked for with patience when the run was taken up.
        let waits = if past.open.is_some() { &[Duration::ZERO] } else { self.run.options.probes.as_slice() };
        let remaining = self.remaining(&standing, waits).await?;
        let open = past.open.as_ref().map(|open| open.index);
        let (found, why) = self.found(open, &past.sent(), &remaining);
        match (found, remaining) {
            (_, Remaining::Nothing) => {
                Ok(self.verify(standing, Some("it took effect before the run was interrupted".to_owned())))
            }
            (Found::Indeterminate, remaining) => self.by_decision(standing, remaining, &why).await,
            (_, Remaining::Calls(calls)) => self.deliver(standing, calls).await,
            (_, Remaining::Unreadable(_)) => self.end(standing.ending, Outcome::Unknown, &why).await,
        }
    }

    /// Looks for the effect of an open call, and records what was found.
    pub(crate) async fn settle(&self, past: ChangePast) -> Result<Option<(Found, String)>, EngineError> {
        let (Some(open), Some(standing)) = (&past.open, self.before(&past)) else {
            return Ok(None);
        };
        let remaining = self.remaining(&standing, self.patience()).await?;
        Ok(Some(self.reconciled(open, &past.sent(), &remaining).await?))
    }

    /// Records what reading showed of an open call; `sent` are all calls that were sent, the open one among them.
    async fn reconciled(
        &self,
        open: &OpenCall,
        sent: &BTreeSet<u32>,
        remaining: &Remaining,
    ) -> Result<(Found, String), EngineError> {
        let (found, reason) = self.found(Some(open.index), sent, remaining);
        let OpenCall { index: call, client_request_id } = open.clone();
        let change = self.change.id.clone();
        let record = Record::Reconciled { change, call, client_request_id, found, reason: reason.clone() };
        self.run.record(record).await?;
        Ok((found, reason))
    }

    /// What is left to send says whether an open call took effect. A creation that does not show may show later.
    fn found(&self, open: Option<u32>, sent: &BTreeSet<u32>, remaining: &Remaining) -> (Found, String) {
        let left = match remaining {
            Remaining::Nothing => return (Found::Applied, "reading shows the wanted state".to_owned()),
            Remaining::Unreadable(reason) => {
                return (Found::Indeterminate, format!("the object cannot be read: {reason}"));
            }
            Remaining::Calls(left) => left,
        };
        if left.iter().any(|call| call.replay == Replay::New && self.was_sent(call, sent)) {
            return (Found::Indeterminate, "it creates an object, and reading does not show it".to_owned());
        }
        let open = open.map(|open| BTreeSet::from([open])).unwrap_or_default();
        if open.is_empty() || left.iter().any(|call| self.was_sent(call, &open)) {
            return (Found::NotApplied, "reading does not show the wanted state".to_owned());
        }
        (Found::Applied, "reading shows the effect of this call".to_owned())
    }

    /// Whether what a call does was sent before, as one of these calls of the change.
    fn was_sent(&self, call: &Call, sent: &BTreeSet<u32>) -> bool {
        (0..).zip(&self.change.calls).any(|(at, planned)| sent.contains(&at) && call.does_as(planned))
    }

    /// Whether what is left may be sent after an answer was lost: never a second creation.
    fn may_send_again(&self, left: &[Call], sent: &BTreeSet<u32>) -> bool {
        left.iter().all(|call| call.replay.repeatable() || !self.was_sent(call, sent))
    }

    /// Goes on as a person decided; nobody having done so, the change ends here.
    async fn by_decision(self, standing: Standing, remaining: Remaining, why: &str) -> Result<Step, EngineError> {
        let (said, by) = match self.run.said(&self.change.id) {
            Some((said, by)) => (said, format!(", and {} decided", Untrusted::from(by).term())),
            None => (Said::Unknown, String::new()),
        };
        let why = format!("the run was interrupted; {why}{by}");
        match (said, remaining) {
            (Said::Applied, _) => Ok(self.verify(standing, Some(format!("{why} that it took effect")))),
            (Said::NotApplied, Remaining::Calls(calls)) => self.deliver(standing, calls).await,
            (Said::NotApplied, _) => {
                self.end(standing.ending, Outcome::Failed, &format!("{why} that it did not take effect")).await
            }
            (Said::Unknown, _) => self.end(standing.ending, Outcome::Unknown, &why).await,
        }
    }

    /// Where a change stood when its snapshot was taken, by the record of an earlier process.
    fn before(&self, past: &ChangePast) -> Option<Standing> {
        let snapshot = Snapshot::on_record(past)?;
        let (before, wanted) = (past.before.clone()?, past.wanted.clone()?);
        let ending = Ending { before: Some(before.clone()), ..Ending::of(self.change) };
        Some(Standing { snapshot, target: self.change.target.clone(), before, wanted, ending })
    }

    fn standing(&self, seen: ErasedSeen, snapshot: Snapshot) -> Result<Standing, EngineError> {
        let at = self.run.reader.server_now();
        let wanted = match &self.change.goal {
            Goal::Input(input) => self.action.desired(input, &seen.state, at)?,
            Goal::State(state) => state.clone(),
        };
        let mut ending = Ending::of(self.change);
        ending.before = Some(seen.state.clone());
        ending.caveats.extend(seen.caveats.into_iter().filter(|caveat| !self.change.caveats.contains(caveat)));
        let target = seen.moved_to.unwrap_or_else(|| self.change.target.clone());
        ending.target = target.clone();
        Ok(Standing { snapshot, target, before: seen.state, wanted, ending })
    }

    /// The outcome of a change that needs no call, or must not have one.
    fn nothing_to_send(&self, standing: &Standing) -> Result<Option<(Outcome, String)>, EngineError> {
        let always = self.action.meta().always && matches!(self.change.goal, Goal::Input(_));
        if !always && self.action.judge(&standing.wanted, &standing.before)? == Verdict::Holds {
            return Ok(Some((Outcome::Already, "it was so before".to_owned())));
        }
        if self.change.calls.is_empty() || !self.action.same(&self.change.before, &standing.before)? {
            let changed = diff(&self.change.before, &standing.before);
            let changed = changed.iter().map(|it| format!("{}: {} → {}", it.name, it.before, it.after));
            let reason = format!("since the plan was made: {}", changed.collect::<Vec<_>>().join(", "));
            return Ok(Some((Outcome::Drifted, reason)));
        }
        Ok(None)
    }

    /// Sends calls until all are accepted, or it is settled that they cannot be.
    async fn deliver(self, mut standing: Standing, mut calls: Vec<Call>) -> Result<Step, EngineError> {
        let secrets = seal::make(self.run, self.change, &calls).await?;
        let mut resends = 0;
        loop {
            let (open, reason) = match self.series(&mut standing, &calls, &secrets).await? {
                Delivery::Accepted(note) => return Ok(self.accepted(standing, note)),
                Delivery::Later => return Ok(Step::Later),
                Delivery::Ended(outcome, reason) => return self.end(standing.ending, outcome, &reason).await,
                Delivery::Lost(open, reason) => (open, reason),
            };
            let remaining = self.remaining(&standing, &self.run.options.probes).await?;
            let sent = (0..=open.index).collect();
            self.reconciled(&open, &sent, &remaining).await?;
            let unknown = match remaining {
                Remaining::Nothing => {
                    let note = format!("the answer was lost ({reason}); reading shows that it took effect");
                    return Ok(self.accepted(standing, Some(note)));
                }
                Remaining::Calls(rest) if self.may_send_again(&rest, &sent) && resends < self.run.options.resends => {
                    (calls, resends) = (rest, resends + 1);
                    continue;
                }
                Remaining::Calls(_) => "reading does not show the change".to_owned(),
                Remaining::Unreadable(why) => format!("the object cannot be read: {why}"),
            };
            let reason = format!("the answer was lost ({reason}), and {unknown}");
            return self.end(standing.ending, Outcome::Unknown, &reason).await;
        }
    }

    fn accepted(&self, standing: Standing, note: Option<String>) -> Step {
        self.run.note_sent(self.change, self.action.meta().effect);
        self.verify(standing, note)
    }

    /// One pass over the calls.
    async fn series(
        &self,
        standing: &mut Standing,
        calls: &[Call],
        secrets: &Secrets,
    ) -> Result<Delivery, EngineError> {
        let mut note = None;
        for (at, planned) in calls.iter().enumerate() {
            let Some(call) = self.with_found(standing, planned).await? else {
                let reason = "the object that was just created cannot be found".to_owned();
                return Ok(Delivery::Ended(Outcome::Unknown, reason));
            };
            let index = self.change.calls.iter().position(|of_plan| of_plan == planned).unwrap_or(at);
            match self.send(standing, index, &call, secrets).await? {
                Delivery::Accepted(said) => note = note.or(said),
                other => return Ok(other),
            }
        }
        Ok(Delivery::Accepted(note))
    }

    async fn send(
        &self,
        standing: &Standing,
        index: usize,
        call: &Call,
        secrets: &Secrets,
    ) -> Result<Delivery, EngineError> {
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let intent = Intent { change: &self.change.id, index, call, wanted: &standing.wanted };
        let (outcome, sent) = self.run.tenant.send(standing.snapshot, intent, secrets).await?;
        Ok(self.judge_answer(call, outcome, sent))
    }

    fn judge_answer(&self, call: &Call, outcome: SendOutcome, sent: OpenCall) -> Delivery {
        match outcome {
            SendOutcome::Accepted => Delivery::Accepted(None),
            SendOutcome::NotFound if call.replay == Replay::Delete => {
                Delivery::Accepted(Some("it was gone when the call came".to_owned()))
            }
            SendOutcome::NotFound => Delivery::Ended(Outcome::Failed, "the object is gone".to_owned()),
            SendOutcome::Rejected { status: 400, .. } if call.on_rejection == OnRejection::LastOfLane && !self.last => {
                Delivery::Later
            }
            SendOutcome::Rejected { status, code, message } => Delivery::Ended(
                Outcome::Failed,
                format!("the tenant refused: {status} {} {}", Untrusted::from(code).term(), message.term()),
            ),
            SendOutcome::NotSent { reason } => Delivery::Ended(Outcome::Failed, format!("nothing was sent: {reason}")),
            SendOutcome::Unknown { reason } => Delivery::Lost(sent, reason),
        }
    }

    /// The call with its `$found` placeholders filled from the object as it lives now.
    async fn with_found(&self, standing: &mut Standing, call: &Call) -> Result<Option<Call>, EngineError> {
        if !seal::asks_found(call) {
            return Ok(Some(call.clone()));
        }
        for wait in &self.run.options.probes {
            self.run.clock.sleep(*wait).await;
            if let Ok(ErasedSeen { moved_to: Some(target), .. }) = self.probe(&standing.target).await? {
                standing.ending.target = target.clone();
                standing.target = target;
                break;
            }
        }
        Ok(seal::fill_found(call, &standing.target.data))
    }

    /// How long a resumed run looks for the effect of a call. The secret of a dead process is gone: what it set may
    /// show late, and must not be set a second time.
    fn patience(&self) -> &[Duration] {
        let options = &self.run.options;
        if self.change.calls.iter().any(|call| !call.secrets.is_empty()) {
            &options.probes_of_secrets
        } else {
            &options.probes
        }
    }

    /// What is left to send, seen from the tenant as it is now; `probes` are the waits before each look.
    async fn remaining(&self, standing: &Standing, probes: &[Duration]) -> Result<Remaining, EngineError> {
        let mut last = Remaining::Unreadable("it was not read".to_owned());
        for wait in probes {
            self.run.clock.sleep(*wait).await;
            last = match self.probe(&standing.target).await? {
                Err(reason) => Remaining::Unreadable(reason),
                Ok(seen) if self.action.judge(&standing.wanted, &seen.state)? == Verdict::Holds => {
                    return Ok(Remaining::Nothing);
                }
                Ok(seen) => self.rest(standing, &seen)?,
            };
        }
        Ok(last)
    }

    fn rest(&self, standing: &Standing, seen: &ErasedSeen) -> Result<Remaining, EngineError> {
        let target = seen.moved_to.as_ref().unwrap_or(&standing.target);
        let input = match &self.change.goal {
            Goal::Input(input) => Some(input),
            Goal::State(_) => None,
        };
        Ok(match self.action.calls(target, &seen.state, &standing.wanted, input)? {
            Ok(calls) => Remaining::Calls(handed_over(calls, &self.run.plan.recipients)),
            Err(reason) => Remaining::Unreadable(reason.0),
        })
    }

    /// Reads the object once more, for the record and for a decision.
    async fn probe(&self, target: &Target) -> Result<Result<ErasedSeen, String>, EngineError> {
        let seen = self.run.tenant.observe(self.action, &self.change.id, target, Purpose::Probe).await?;
        Ok(seen.map(|(seen, _)| seen))
    }

    fn verify(&self, standing: Standing, note: Option<String>) -> Step {
        let synced = standing.ending.caveats.iter().any(|caveat| caveat.kind == CaveatKind::Synced);
        Step::Verify(Box::new(Verification {
            action: self.action,
            change: self.change.clone(),
            target: standing.target,
            wanted: standing.wanted,
            ending: standing.ending,
            synced,
            note,
        }))
    }

    async fn end(&self, ending: Ending, outcome: Outcome, reason: &str) -> Result<Step, EngineError> {
        ending.write(self.run, &self.change.id, outcome, reason).await?;
        self.run.note_ended(self.change, outcome, reason);
        Ok(Step::Ended(outcome))
    }
}

/// What is left to send.
enum Remaining {
    Nothing,
    Calls(Vec<Call>),
    Unreadable(String),
}
