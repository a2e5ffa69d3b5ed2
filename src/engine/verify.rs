//! The second read: a change is done when the tenant shows it, not when it answers 204.

use std::time::Duration;

use serde_json::Value;

use crate::{
    action::{DynAction, LensError},
    engine::run::{EngineError, Run},
    journal::Record,
    model::{Caveat, Change, Exchange, Outcome, Target, Verdict},
    plan::unread,
};

/// Waits between the reads of a verification; the last one repeats until the budget ends.
const WAITS: [u64; 8] = [0, 250, 500, 1_000, 2_000, 4_000, 8_000, 10_000];

/// Shortest wait between reads that have to agree: a replica that is asked twice at once proves nothing.
pub(crate) const APART: Duration = Duration::from_secs(2);

/// The wait before a read of a verification, counted from 0.
pub(crate) fn wait_before(read: usize) -> Duration {
    Duration::from_millis(WAITS.get(read).or(WAITS.last()).copied().unwrap_or_default())
}

/// A change that was accepted, or may have been, and waits to be seen.
pub(crate) struct Verification {
    pub(crate) action: &'static dyn DynAction,
    pub(crate) change: Change,
    pub(crate) target: Target,
    pub(crate) wanted: Value,
    pub(crate) ending: Ending,
    pub(crate) synced: bool,
    pub(crate) note: Option<String>,
    /// Why it may not have been made, where only a part of it was accepted or an answer was lost: what no read shows is
    /// then unknown.
    pub(crate) doubt: Option<String>,
}

/// What is known of a change when it ends.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) before: Option<Value>,
    pub(crate) after: Option<Value>,
    pub(crate) target: Target,
    pub(crate) caveats: Vec<Caveat>,
}

/// One read of a verification.
struct Look {
    state: Result<Value, String>,
    moved_to: Option<Target>,
    verdict: Verdict,
}

/// All reads of a verification.
struct Seen {
    reads: u32,
    waited: Duration,
    exchanges: Vec<Exchange>,
}

impl Ending {
    pub(crate) fn of(change: &Change) -> Self {
        Self { before: None, after: None, target: change.target.clone(), caveats: change.caveats.clone() }
    }

    /// Writes the end of a change.
    pub(crate) async fn write(
        self,
        run: &Run,
        change: &str,
        outcome: Outcome,
        reason: &str,
    ) -> Result<(), EngineError> {
        let Self { before, after, target, caveats } = self;
        let after = after.or_else(|| before.clone().filter(|_| outcome == Outcome::Already));
        let record = Record::Ended {
            change: change.to_owned(),
            outcome,
            reason: reason.to_owned(),
            before,
            after,
            target: Box::new(target),
            caveats,
        };
        run.record(record).await
    }
}

impl Verification {
    /// Reads until the wanted state is seen as often in a row as is asked for, or the action's budget of time is
    /// spent on reads that do not show it.
    pub(crate) async fn run(mut self, run: &Run) -> Result<(), EngineError> {
        let began = run.clock.monotonic();
        let budget = self.action.meta().propagation;
        let (mut reads, mut in_a_row) = (0, 0);
        // What each read showed is evidence, not the last alone.
        let mut exchanges = Vec::new();
        loop {
            let wait = wait_before(reads as usize);
            run.sleep(if in_a_row > 0 { wait.max(APART) } else { wait }).await;
            let look = self.look(run, &mut exchanges).await?;
            reads += 1;
            let waited = run.clock.monotonic().saturating_sub(began);
            let holds = look.verdict == Verdict::Holds;
            in_a_row = if holds { in_a_row + 1 } else { 0 };
            let seen = Seen { reads, waited, exchanges: std::mem::take(&mut exchanges) };
            if holds && in_a_row >= run.options.matching_reads {
                return self.conclude(run, look, seen).await;
            }
            // A read that was refused because the run ends shows nothing.
            if run.stopping() {
                let look = Look { verdict: Verdict::NotYet, ..look };
                return self.record(run, &look, seen).map(drop);
            }
            if !holds && waited >= budget {
                return self.conclude(run, look, seen).await;
            }
            exchanges = seen.exchanges;
        }
    }

    async fn look(&self, run: &Run, exchanges: &mut Vec<Exchange>) -> Result<Look, EngineError> {
        let (reader, trace) = run.reader.traced();
        let (state, moved_to, verdict) = match self.action.read(&reader, &self.target).await {
            Ok(seen) => {
                let verdict = self.action.judge(&self.wanted, &seen.state)?;
                (Ok(seen.state), seen.moved_to, verdict)
            }
            Err(LensError::Read(error)) => {
                let reason = unread(&error, self.action.meta(), reader.identity());
                (Err(reason), None, Verdict::NotYet)
            }
            Err(LensError::Contract(error)) => return Err(error.into()),
        };
        exchanges.extend(trace.take());
        Ok(Look { state, moved_to, verdict })
    }

    /// Records what the reads showed; a verdict of a run that ends before it is sure is `not-yet`.
    fn record(&self, run: &Run, look: &Look, seen: Seen) -> Result<(), EngineError> {
        let record = Record::Verified {
            change: self.change.id.clone(),
            verdict: look.verdict,
            reads: seen.reads,
            waited_ms: u64::try_from(seen.waited.as_millis()).unwrap_or(u64::MAX),
            state: look.state.as_ref().ok().cloned(),
            error: look.state.as_ref().err().cloned(),
        };
        run.journal.post(record, seen.exchanges)?;
        Ok(())
    }

    async fn conclude(&mut self, run: &Run, look: Look, seen: Seen) -> Result<(), EngineError> {
        let (reads, waited) = (seen.reads, seen.waited);
        self.record(run, &look, seen)?;
        let Look { state, moved_to, verdict } = look;
        let (state, error) = match state {
            Ok(state) => (Some(state), None),
            Err(error) => (None, Some(error)),
        };
        let outcome = match (verdict, self.synced, &self.doubt) {
            (Verdict::Holds, false, _) => Outcome::Done,
            (Verdict::Holds, true, _) => Outcome::DoneWillRevert,
            (Verdict::NotYet, _, None) => Outcome::Unverified,
            (Verdict::NotYet, _, Some(_)) => Outcome::Unknown,
        };
        if verdict == Verdict::Holds && self.doubt.is_some() {
            run.note_cut(self.action.meta().effect);
        }
        let reason = self.reason((verdict, run.options.matching_reads), reads, waited, error);
        let mut ending = self.ending.clone();
        ending.after = state;
        if let Some(target) = moved_to {
            ending.target = target;
        }
        ending.write(run, &self.change.id, outcome, &reason).await?;
        run.note_ended(&self.change, outcome, &reason);
        Ok(())
    }

    fn reason(&self, verdict: (Verdict, u32), reads: u32, waited: Duration, error: Option<String>) -> String {
        let seconds = waited.as_secs();
        let before = if self.doubt.is_some() { "it may have taken effect" } else { "accepted" };
        let reason = match (verdict, error) {
            ((Verdict::Holds, 0 | 1), _) => "seen by a second read".to_owned(),
            ((Verdict::Holds, matching), _) => format!("seen by {matching} reads in a row"),
            ((Verdict::NotYet, _), None) => {
                format!("{before}, but {reads} reads in {seconds} s did not show it")
            }
            ((Verdict::NotYet, _), Some(error)) => {
                format!("{before}, but {reads} reads in {seconds} s did not show it; the last: {error}")
            }
        };
        [Some(reason), self.doubt.clone(), self.note.clone()].into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}
