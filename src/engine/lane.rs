//! One lane of a stage: its changes in order, each taken up where it stands.

use std::sync::Arc;

use crate::{
    engine::{
        run::{EngineError, Run, Verifications, lock},
        verify::{Ending, Verification},
        work::Work,
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
    /// To be tried once more after all others of the lane.
    Later,
}

impl Lane<'_> {
    /// Runs the lane. A change that wants to be the last is tried again at the end.
    pub(crate) async fn run(self) -> Result<(), EngineError> {
        let mut later = Vec::new();
        let mut skip: Option<String> = None;
        for (step, change) in &self.changes {
            match self.one(step, change, skip.as_deref(), false).await? {
                Step::Later => later.push((step, change)),
                Step::Ended(outcome) if skips_rest(step, outcome) => {
                    skip = Some(format!("change {} did not hold and its step says on_error: next-target", change.id));
                }
                Step::Ended(_) => {}
                Step::Verify(verification) => self.verify(verification),
            }
        }
        for (step, change) in later {
            if let Step::Verify(verification) = self.one(step, change, skip.as_deref(), true).await? {
                self.verify(verification);
            }
        }
        Ok(())
    }

    fn verify(&self, verification: Box<Verification>) {
        let run = Arc::clone(self.run);
        lock(self.verifications).spawn(async move { verification.run(&run).await });
    }

    async fn one(&self, step: &PlanStep, change: &Change, skip: Option<&str>, last: bool) -> Result<Step, EngineError> {
        let past = self.run.past.changes.get(&change.id);
        if let Some(outcome) = past.and_then(|past| past.ended) {
            return Ok(Step::Ended(outcome));
        }
        if self.run.stop.requested() {
            return Ok(Step::Ended(Outcome::Skipped));
        }
        let Some(action) = self.run.registry.get(&change.action) else {
            return self.end(change, Outcome::Failed, "this version has no such action").await;
        };
        let work = Work { run: self.run, action, change, last };
        if let Some(past) = past.filter(|past| past.intents > 0) {
            return work.recover(past.clone()).await;
        }
        if let Some(reason) = skip.map(str::to_owned).or_else(|| self.run.why_skip(step)) {
            return self.end(change, Outcome::Skipped, &reason).await;
        }
        work.begin().await
    }

    async fn end(&self, change: &Change, outcome: Outcome, reason: &str) -> Result<Step, EngineError> {
        Ending::of(change).write(self.run, &change.id, outcome, reason).await?;
        self.run.note_ended(change, outcome, reason);
        Ok(Step::Ended(outcome))
    }
}

fn skips_rest(step: &PlanStep, outcome: Outcome) -> bool {
    matches!(step.on_error, OnError::NextTarget) && !outcome.holds() && outcome != Outcome::Skipped
}
