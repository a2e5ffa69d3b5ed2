//! One change: observe, compare, intend, send. Evidence and intent are on disk before anything is sent.
//!
//! How a change comes to rest:
//!
//! | what may have taken effect | and then | the change |
//! |---|---|---|
//! | nothing | the tenant said no | ends as `failed` |
//! | nothing | only time ran out: throttled, no connection, the deadline, Ctrl-C | is left |
//! | all calls: they were accepted, or reading shows it | | is verified: `done` or `unverified` |
//! | some calls | the tenant said no to the rest | is verified: `done` or `unknown` |
//! | some calls | only time ran out | is left |
//!
//! What is left has no end on record and keeps the run from being closed, so that `resume` takes it up.

use std::{collections::BTreeSet, time::Duration};

use serde_json::Value;

use crate::{
    action::{DynAction, ErasedSeen},
    client::{Secrets, SendOutcome},
    engine::{
        lane::Step,
        past::{ChangePast, OpenCall},
        recorded::{Called, Intent, Snapshot},
        run::{EngineError, Run},
        seal,
        settle::Remaining,
        verify::{APART, Ending, Verification, wait_before},
    },
    journal::{Found, Purpose},
    model::{Call, CaveatKind, Change, Goal, OnRejection, Outcome, Replay, Target, Untrusted, Verdict, diff},
    plan::Mode,
};

/// Reads in a row that have to say that nothing is to be done, where the plan or the run that is taken back had seen otherwise.
///
/// Source: terraform-provider-azuread takes five consistent reads of the directory for the truth.
const ALIKE: usize = 5;

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
    /// Calls of the plan that may have taken effect: they were accepted, or an answer to them was lost.
    pub(crate) sent: BTreeSet<u32>,
}

/// What one call, or a series of them, came to.
enum Delivery {
    /// Accepted; perhaps with something worth saying.
    Accepted(Option<String>),
    /// The answer to this call was lost, for this reason.
    Lost(OpenCall, String),
    /// The tenant said no, or the call cannot be sent as it is.
    Refused(String),
    /// It was certainly not executed, and only time ran out.
    NoTime(String),
    /// To be tried again at the end of the lane.
    Later,
}

impl Work<'_> {
    /// A change of which nothing may have taken effect yet.
    pub(crate) async fn begin(self) -> Result<Step, EngineError> {
        let target = &self.change.target;
        for reads in 1.. {
            let seen = self.run.tenant.observe(self.action, &self.change.id, target, Purpose::Before).await?;
            let (seen, snapshot) = match seen {
                Ok(seen) => seen,
                Err(unseen) if unseen.for_now => {
                    return self.leave(Ending::of(self.change), Outcome::Failed, &unseen.reason).await;
                }
                Err(unseen) => return self.end(Ending::of(self.change), Outcome::Failed, &unseen.reason).await,
            };
            let standing = self.standing(seen, snapshot)?;
            let Some((outcome, reason)) = self.nothing_to_send(&standing)? else {
                let calls = self.change.calls.clone();
                return self.deliver(standing, calls).await;
            };
            // Somebody was faster, or a replica is late and shows what was before the run that is taken back.
            let undo = matches!(self.run.plan.mode, Mode::Undo { .. });
            let doubtful = undo || !self.action.same(&self.change.before, &standing.before)?;
            if outcome != Outcome::Already || !doubtful || reads >= ALIKE {
                return self.end(standing.ending, outcome, &reason).await;
            }
            self.run.sleep(wait_before(reads).max(APART)).await;
            if self.run.stopping() {
                break;
            }
        }
        Ok(Step::Left)
    }

    /// A change of which something may have taken effect, sent by a process that did not live to see the end.
    pub(crate) async fn recover(self, past: ChangePast) -> Result<Step, EngineError> {
        let Some(mut standing) = self.before(&past) else {
            return self.begin().await;
        };
        let all = u32::try_from(self.change.calls.len())
            .is_ok_and(|calls| (0..calls).all(|call| past.accepted.contains(&call)));
        if all {
            return Ok(self.verify(standing, Some("accepted before the run was interrupted".to_owned())));
        }
        // An open call was looked for with patience when the run was taken up.
        let waits = if past.open.is_some() { vec![Duration::ZERO] } else { self.patience(&standing, true) };
        let remaining = self.remaining(&mut standing, &waits).await?;
        let open = past.open.as_ref().map(|open| open.index);
        let (found, why) = self.found(open, &standing.sent, &remaining);
        match (found, remaining) {
            (_, Remaining::Nothing) => {
                Ok(self.verify(standing, Some("it took effect before the run was interrupted".to_owned())))
            }
            (_, Remaining::Unreachable(_)) if self.run.said(&self.change.id).is_none() => {
                self.leave(standing.ending, Outcome::Unknown, &why).await
            }
            (Found::Indeterminate, remaining) => self.by_decision(standing, remaining, open, &why).await,
            (_, Remaining::Calls(calls)) => self.deliver(standing, calls).await,
            (_, Remaining::Unreadable(_) | Remaining::Unreachable(_)) => {
                self.end(standing.ending, Outcome::Unknown, &why).await
            }
        }
    }

    /// A change that was put off to the end of its lane, and of which something may have taken effect.
    pub(crate) async fn go_on(self, mut standing: Standing) -> Result<Step, EngineError> {
        let waits = self.patience(&standing, false);
        match self.remaining(&mut standing, &waits).await? {
            Remaining::Nothing => Ok(self.accepted(standing, None)),
            Remaining::Calls(calls) if self.may_send_again(&calls, &standing.sent) => {
                self.deliver(standing, calls).await
            }
            Remaining::Calls(_) => {
                self.end(standing.ending, Outcome::Unknown, "reading does not show the change").await
            }
            Remaining::Unreadable(why) => self.end(standing.ending, Outcome::Unknown, &why).await,
            Remaining::Unreachable(why) => self.leave(standing.ending, Outcome::Unknown, &why).await,
        }
    }

    /// Where a change stood when its snapshot was taken, by the record of an earlier process.
    pub(crate) fn before(&self, past: &ChangePast) -> Option<Standing> {
        let snapshot = Snapshot::on_record(past)?;
        let (before, wanted) = (past.before.clone()?, past.wanted.clone()?);
        let ending = Ending { before: Some(before.clone()), ..Ending::of(self.change) };
        let (target, sent) = (self.change.target.clone(), past.sent());
        Some(Standing { snapshot, target, before, wanted, ending, sent })
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
        Ok(Standing { snapshot, target, before: seen.state, wanted, ending, sent: BTreeSet::new() })
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
    pub(crate) async fn deliver(&self, mut standing: Standing, mut calls: Vec<Call>) -> Result<Step, EngineError> {
        let secrets = seal::make(self.run, self.change, &calls).await?;
        let mut resends = 0;
        loop {
            let (open, reason) = match self.series(&mut standing, &calls, &secrets).await? {
                Delivery::Accepted(note) => return Ok(self.accepted(standing, note)),
                Delivery::Later => return Ok(Step::Later(Box::new(standing))),
                Delivery::Refused(reason) => return self.refused(standing, reason).await,
                Delivery::NoTime(reason) => return self.no_time(standing, &reason).await,
                Delivery::Lost(open, reason) => (open, format!("the answer was lost ({reason})")),
            };
            let waits = self.patience(&standing, false);
            let remaining = self.remaining(&mut standing, &waits).await?;
            if let Remaining::Unreachable(why) = &remaining {
                let reason = format!("{reason}, and the object cannot be read for now: {why}");
                return self.leave(standing.ending, Outcome::Unknown, &reason).await;
            }
            self.reconciled(&open, &standing.sent, &remaining).await?;
            let unknown = match remaining {
                Remaining::Nothing => {
                    let note = format!("{reason}; reading shows that it took effect");
                    return Ok(self.accepted(standing, Some(note)));
                }
                Remaining::Calls(rest)
                    if self.may_send_again(&rest, &standing.sent) && resends < self.run.options.resends =>
                {
                    (calls, resends) = (rest, resends + 1);
                    continue;
                }
                Remaining::Calls(_) => "reading does not show the change".to_owned(),
                Remaining::Unreadable(why) | Remaining::Unreachable(why) => format!("the object cannot be read: {why}"),
            };
            return self.end(standing.ending, Outcome::Unknown, &format!("{reason}, and {unknown}")).await;
        }
    }

    fn accepted(&self, standing: Standing, note: Option<String>) -> Step {
        self.run.note_sent(self.change, self.action.meta().effect);
        self.verify(standing, note)
    }

    /// The tenant said no. Where something may have taken effect before, only reading tells what is.
    async fn refused(&self, standing: Standing, reason: String) -> Result<Step, EngineError> {
        if standing.sent.is_empty() {
            return self.end(standing.ending, Outcome::Failed, &reason).await;
        }
        let mut verification = self.verification(standing, None);
        verification.doubt = Some(reason);
        Ok(Step::Verify(Box::new(verification)))
    }

    /// Nothing more can be sent for now. An attempt before may show meanwhile.
    async fn no_time(&self, mut standing: Standing, reason: &str) -> Result<Step, EngineError> {
        if standing.sent.is_empty() {
            return self.leave(standing.ending, Outcome::Failed, reason).await;
        }
        if let Remaining::Nothing = self.remaining(&mut standing, &[Duration::ZERO]).await? {
            let note = format!("{reason}; reading shows that an earlier attempt took effect");
            return Ok(self.accepted(standing, Some(note)));
        }
        self.leave(standing.ending, Outcome::Unknown, reason).await
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
                return Ok(Delivery::Refused("the object that was just created cannot be found".to_owned()));
            };
            let index = self.change.calls.iter().position(|of_plan| of_plan == planned).unwrap_or(at);
            let index = u32::try_from(index).unwrap_or(u32::MAX);
            let delivery = self.send(standing, index, &call, secrets).await?;
            if matches!(delivery, Delivery::Accepted(_) | Delivery::Lost(..)) {
                standing.sent.insert(index);
            }
            match delivery {
                Delivery::Accepted(said) => note = note.or(said),
                other => return Ok(other),
            }
        }
        Ok(Delivery::Accepted(note))
    }

    async fn send(
        &self,
        standing: &Standing,
        index: u32,
        call: &Call,
        secrets: &Secrets,
    ) -> Result<Delivery, EngineError> {
        let intent = Intent { change: &self.change.id, index, call, wanted: &standing.wanted };
        let called = self.run.tenant.send(standing.snapshot, intent, secrets).await?;
        Ok(self.judge_answer(call, called))
    }

    fn judge_answer(&self, call: &Call, called: Called) -> Delivery {
        let no = if called.later { Delivery::NoTime } else { Delivery::Refused };
        match called.outcome {
            SendOutcome::Accepted => Delivery::Accepted(None),
            SendOutcome::NotFound if call.replay == Replay::Delete => {
                Delivery::Accepted(Some("it was gone when the call came".to_owned()))
            }
            SendOutcome::NotFound => Delivery::Refused("the object is gone".to_owned()),
            SendOutcome::Rejected { status: 400, .. } if call.on_rejection == OnRejection::LastOfLane && !self.last => {
                Delivery::Later
            }
            SendOutcome::Rejected { status, code, message } => {
                no(format!("the tenant refused: {status} {} {}", Untrusted::from(code).term(), message.term()))
            }
            SendOutcome::NotSent { reason } => no(format!("nothing was sent: {reason}")),
            SendOutcome::Unknown { reason } => Delivery::Lost(called.call, reason),
        }
    }

    /// The call with its `$found` placeholders filled from the object as it lives now.
    async fn with_found(&self, standing: &mut Standing, call: &Call) -> Result<Option<Call>, EngineError> {
        if !seal::asks_found(call) {
            return Ok(Some(call.clone()));
        }
        for wait in self.patience(standing, false) {
            self.run.sleep(wait).await;
            if self.run.stopping() {
                break;
            }
            if let Ok(ErasedSeen { moved_to: Some(target), .. }) = self.probe(&standing.target).await? {
                standing.ending.target = target.clone();
                standing.target = target;
                break;
            }
        }
        Ok(seal::fill_found(call, &standing.target.data))
    }

    pub(crate) fn verify(&self, standing: Standing, note: Option<String>) -> Step {
        Step::Verify(Box::new(self.verification(standing, note)))
    }

    fn verification(&self, standing: Standing, note: Option<String>) -> Verification {
        let synced = standing.ending.caveats.iter().any(|caveat| caveat.kind == CaveatKind::Synced);
        Verification {
            action: self.action,
            change: self.change.clone(),
            target: standing.target,
            wanted: standing.wanted,
            ending: standing.ending,
            synced,
            note,
            doubt: None,
        }
    }

    /// Leaves the change for `resume`; where that is to be no more, it ends with this outcome.
    async fn leave(&self, ending: Ending, outcome: Outcome, reason: &str) -> Result<Step, EngineError> {
        if self.run.stopping() {
            return Ok(Step::Left);
        }
        if self.run.options.give_up {
            return self.end(ending, outcome, reason).await;
        }
        self.run.note_left(self.change, reason);
        Ok(Step::Left)
    }

    pub(crate) async fn end(&self, ending: Ending, outcome: Outcome, reason: &str) -> Result<Step, EngineError> {
        ending.write(self.run, &self.change.id, outcome, reason).await?;
        self.run.note_ended(self.change, outcome, reason);
        Ok(Step::Ended(outcome))
    }
}
