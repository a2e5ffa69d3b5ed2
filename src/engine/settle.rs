//! Calls of which it is not known whether they took effect: the object is read, and a person decides what reading cannot.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    action::ErasedSeen,
    engine::{
        lane::Step,
        past::{ChangePast, OpenCall},
        recorded::Unseen,
        run::EngineError,
        verify::wait_before,
        work::{Standing, Work},
    },
    journal::{Found, Purpose, Record, Said},
    model::{Call, Goal, Outcome, Replay, Target, Untrusted, Verdict},
    plan::handed_over,
};

/// What is left to send.
pub(crate) enum Remaining {
    Nothing,
    Calls(Vec<Call>),
    /// The object cannot be read, for this reason.
    Unreadable(String),
    /// The same, and only for now.
    Unreachable(String),
}

impl Work<'_> {
    /// Looks for the effect of an open call, and records what was found; nothing where the run ends before it is.
    pub(crate) async fn settle(&self, past: ChangePast) -> Result<Option<(Found, String)>, EngineError> {
        let (Some(open), Some(mut standing)) = (&past.open, self.before(&past)) else {
            return Ok(None);
        };
        let waits = self.patience(&standing, true);
        let remaining = self.remaining(&mut standing, &waits).await?;
        if self.run.stopping() && matches!(remaining, Remaining::Unreachable(_)) {
            return Ok(None);
        }
        Ok(Some(self.reconciled(open, &standing.sent, &remaining).await?))
    }

    /// Records what reading showed of an open call; `sent` are all calls that were sent, the open one among them.
    pub(crate) async fn reconciled(
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
    pub(crate) fn found(&self, open: Option<u32>, sent: &BTreeSet<u32>, remaining: &Remaining) -> (Found, String) {
        let left = match remaining {
            Remaining::Nothing => return (Found::Applied, "reading shows the wanted state".to_owned()),
            Remaining::Unreadable(reason) | Remaining::Unreachable(reason) => {
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
    pub(crate) fn may_send_again(&self, left: &[Call], sent: &BTreeSet<u32>) -> bool {
        left.iter().all(|call| call.replay.repeatable() || !self.was_sent(call, sent))
    }

    /// Goes on as a person decided; nobody having done so, the change ends here.
    pub(crate) async fn by_decision(
        self,
        mut standing: Standing,
        remaining: Remaining,
        open: Option<u32>,
        why: &str,
    ) -> Result<Step, EngineError> {
        let (said, by) = match self.run.said(&self.change.id) {
            Some((said, by)) => (said, format!(", and {} decided", Untrusted::from(by).term())),
            None => (Said::Unknown, String::new()),
        };
        let why = format!("the run was interrupted; {why}{by}");
        match (said, remaining) {
            (Said::Applied, _) => Ok(self.verify(standing, Some(format!("{why} that it took effect")))),
            (Said::NotApplied, Remaining::Calls(calls)) => {
                standing.sent.retain(|call| Some(*call) != open);
                self.deliver(standing, calls).await
            }
            (Said::NotApplied, _) => {
                self.end(standing.ending, Outcome::Failed, &format!("{why} that it did not take effect")).await
            }
            (Said::Unknown, _) => self.end(standing.ending, Outcome::Unknown, &why).await,
        }
    }

    /// The waits before each look for the effect of a call. A creation must not be made twice, so it is looked for as
    /// long as the action says that a change may take to show. The same is worth some patience where a secret is gone
    /// with the process that made it: what it set must not be set a second time.
    pub(crate) fn patience(&self, standing: &Standing, secrets_are_gone: bool) -> Vec<Duration> {
        let (options, calls) = (&self.run.options, &self.change.calls);
        if (0..).zip(calls).any(|(at, call)| call.replay == Replay::New && standing.sent.contains(&at)) {
            return waits_for(self.action.meta().propagation);
        }
        if secrets_are_gone && calls.iter().any(|call| !call.secrets.is_empty()) {
            return options.probes_of_secrets.clone();
        }
        options.probes.clone()
    }

    /// What is left to send, seen from the tenant as it is now; `probes` are the waits before each look. The first that
    /// shows the effect of what was sent is the last.
    pub(crate) async fn remaining(
        &self,
        standing: &mut Standing,
        probes: &[Duration],
    ) -> Result<Remaining, EngineError> {
        let mut last = Remaining::Unreadable("it was not read".to_owned());
        for wait in probes {
            self.run.sleep(*wait).await;
            last = self.look(standing).await?;
            // A read that was refused because the run ends shows nothing.
            if self.run.stopping() && !matches!(last, Remaining::Nothing) {
                return Ok(Remaining::Unreachable("the run ends".to_owned()));
            }
            let settled = match &last {
                Remaining::Nothing => true,
                Remaining::Calls(left) => !left.iter().any(|call| self.was_sent(call, &standing.sent)),
                Remaining::Unreadable(_) | Remaining::Unreachable(_) => false,
            };
            if settled {
                break;
            }
        }
        Ok(last)
    }

    async fn look(&self, standing: &mut Standing) -> Result<Remaining, EngineError> {
        let seen = match self.probe(&standing.target).await? {
            Ok(seen) => seen,
            Err(Unseen { reason, for_now: true }) => return Ok(Remaining::Unreachable(reason)),
            Err(Unseen { reason, for_now: false }) => return Ok(Remaining::Unreadable(reason)),
        };
        standing.ending.after = Some(seen.state.clone());
        if self.action.judge(&standing.wanted, &seen.state)? == Verdict::Holds {
            return Ok(Remaining::Nothing);
        }
        self.rest(standing, &seen)
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
    pub(crate) async fn probe(&self, target: &Target) -> Result<Result<ErasedSeen, Unseen>, EngineError> {
        let seen = self.run.tenant.observe(self.action, &self.change.id, target, Purpose::Probe).await?;
        Ok(seen.map(|(seen, _)| seen))
    }
}

/// The waits of a verification, as long as this budget lasts.
fn waits_for(budget: Duration) -> Vec<Duration> {
    let mut left = budget;
    let wait = |read| {
        let wait = wait_before(read).min(left);
        let spent = read > 0 && left.is_zero();
        left = left.saturating_sub(wait);
        (!spent).then_some(wait)
    };
    (0..).map_while(wait).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::waits_for;

    #[test]
    fn a_creation_is_looked_for_at_once_and_as_long_as_it_may_take() {
        let waits = waits_for(Duration::from_secs(120));
        assert_eq!(waits[0], Duration::ZERO);
        assert_eq!(waits.iter().sum::<Duration>(), Duration::from_secs(120));
        assert_eq!(waits_for(Duration::ZERO), [Duration::ZERO]);
    }
}
