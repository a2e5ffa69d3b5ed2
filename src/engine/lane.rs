//! One lane of a stage: its changes in order, each taken up where it stands.

use std::sync::Arc;

use crate::{
    engine::{
        run::{EngineError, Run, Turn, Verifications, lock},
        verify::{Ending, Verification},
        work::{Standing, Work},
    },
    model::{Change, Outcome},
    plan::PlanStep,
    playbook::OnError,
};

/// Changes that go in order, one at a time.
pub(crate) struct Lane<'a> {
    pub(crate) run: &'a Arc<Run>,
    pub(crate) changes: Vec<(&'a PlanStep, &'a Change)>,
    pub(crate) verifications: &'a Verifications,
}

/// What became of a change for now.
pub(crate) enum Step {
    /// Sent; to be verified.
    Verify(Box<Verification>),
    /// Ended.
    Ended(Outcome),
    /// To be tried once more after all others of the lane, from where it stands.
    Later(Box<Standing>),
    /// Left for `resume`.
    Left,
}

impl Lane<'_> {
    /// Runs the lane. A change that wants to be the last is tried again at the end.
    pub(crate) async fn run(self) -> Result<(), EngineError> {
        let mut later = Vec::new();
        let mut rest = Turn::Go;
        for (step, change) in &self.changes {
            match self.one(step, change, &rest).await? {
                Step::Later(standing) => later.push((step, change, standing)),
                Step::Ended(outcome) => rest = rest.or_after(step, change, Some(outcome)),
                Step::Left => rest = rest.or_after(step, change, None),
                // The tenant said no, and an earlier attempt may have taken effect: what others wait for is not done beside.
                Step::Verify(verification) if verification.doubt.is_some() && step.on_error != OnError::Continue => {
                    verification.run(self.run).await?;
                    rest = rest.or_after(step, change, self.run.outcome(&change.id));
                }
                Step::Verify(verification) => self.verify(verification),
            }
        }
        for (step, change, standing) in later {
            if let Step::Verify(verification) = self.again(step, change, *standing, &rest).await? {
                self.verify(verification);
            }
        }
        Ok(())
    }

    fn verify(&self, verification: Box<Verification>) {
        let run = Arc::clone(self.run);
        lock(self.verifications).spawn(async move { verification.run(&run).await });
    }

    async fn one(&self, step: &PlanStep, change: &Change, rest: &Turn) -> Result<Step, EngineError> {
        let past = self.run.past.changes.get(&change.id);
        if let Some(outcome) = past.and_then(|past| past.ended) {
            return Ok(Step::Ended(outcome));
        }
        if self.run.stopping() {
            return Ok(Step::Left);
        }
        let Some(action) = self.run.registry.get(&change.action) else {
            return self.end(change, Outcome::Failed, "this version has no such action").await;
        };
        let work = Work { run: self.run, action, change, last: false };
        match past.filter(|past| !past.sent().is_empty()) {
            Some(past) => work.recover(past.clone()).await,
            None => self.begin(step, work, rest).await,
        }
    }

    /// The second try of a change that wants to be the last.
    async fn again(
        &self,
        step: &PlanStep,
        change: &Change,
        standing: Standing,
        rest: &Turn,
    ) -> Result<Step, EngineError> {
        let Some(action) = self.run.registry.get(&change.action).filter(|_| !self.run.stopping()) else {
            return Ok(Step::Left);
        };
        let work = Work { run: self.run, action, change, last: true };
        if standing.sent.is_empty() { self.begin(step, work, rest).await } else { work.go_on(standing).await }
    }

    /// Begins a change of which nothing may have taken effect, where it is its turn.
    async fn begin(&self, step: &PlanStep, work: Work<'_>, rest: &Turn) -> Result<Step, EngineError> {
        match rest.clone().or_else(|| self.run.turn(step)) {
            Turn::Go => work.begin().await,
            Turn::Skip(reason) => self.end(work.change, Outcome::Skipped, &reason).await,
            Turn::Leave(reason) => {
                self.run.note_left(work.change, &reason);
                Ok(Step::Left)
            }
        }
    }

    async fn end(&self, change: &Change, outcome: Outcome, reason: &str) -> Result<Step, EngineError> {
        Ending::of(change).write(self.run, &change.id, outcome, reason).await?;
        self.run.note_ended(change, outcome, reason);
        Ok(Step::Ended(outcome))
    }
}

impl Turn {
    /// This, or what else is said where this says nothing.
    fn or_else(self, other: impl FnOnce() -> Self) -> Self {
        if matches!(self, Self::Go) { other() } else { self }
    }

    /// What the end of a change means for those after it in its lane; none where it was left.
    fn or_after(self, step: &PlanStep, change: &Change, outcome: Option<Outcome>) -> Self {
        self.or_else(|| match (step.on_error, outcome) {
            (OnError::NextTarget, None) => {
                Self::Leave(format!("change {} is left, and its step says on_error: next-target", change.id))
            }
            (OnError::NextTarget, Some(outcome)) if !outcome.holds() && outcome != Outcome::Skipped => {
                Self::Skip(format!("change {} did not hold and its step says on_error: next-target", change.id))
            }
            _ => Self::Go,
        })
    }
}
