//! Taking up a run that did not end: first what is not known is looked for, then a person settles what reading cannot,
//! then the run goes on as any other.

use std::{collections::BTreeMap, sync::Arc};

use futures_util::{StreamExt as _, stream};

use crate::{
    engine::{
        Deps, EngineError, Options, Summary,
        past::Past,
        run::{Run, all_of, approve, cuts, drive},
        work::Work,
    },
    journal::{Approval, Found, History, Record, Said},
    model::{Call, Caveat, Change},
    plan::{Applier, Approved, Protected, View, in_words},
};

/// A run that was taken up, and that has sent nothing yet.
pub struct TakenUp {
    run: Arc<Run>,
    undecided: Vec<Undecided>,
    /// What reading showed of the calls that were open, by change.
    found: BTreeMap<String, Found>,
}

/// A run that was taken up, and that no guard holds back.
pub struct Ready {
    run: Arc<Run>,
    unseen: Vec<Caveat>,
}

/// A change with a call that reading could not settle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undecided {
    /// Its id.
    pub change: String,
    /// What was about to be sent.
    pub call: String,
    /// Why reading does not tell.
    pub reason: String,
}

/// Takes up a run: records that, and looks in the tenant for every call of which it is not known whether it took effect.
/// Sends no change.
///
/// # Errors
/// When the record cannot be written.
pub async fn take_up(
    mut approved: Approved,
    deps: Deps,
    options: Options,
    history: &History,
    by: &str,
) -> Result<TakenUp, EngineError> {
    let records = u64::try_from(history.lines.len()).unwrap_or(u64::MAX);
    let record = Record::Resumed {
        records,
        torn: history.torn.clone(),
        by: by.to_owned(),
        identity: Some(Box::new(deps.session.identity().clone())),
        continues: history.continues.clone(),
    };
    deps.journal.append(record, Vec::new()).await?;
    if !history.lines.iter().any(|line| matches!(line.record, Record::Approved { .. })) {
        approve(&mut approved, &deps.journal).await?;
    }
    let past = Past::of(history, &cuts(approved.plan(), deps.registry));
    let run = Arc::new(Run::new(approved, deps, options, past));
    let (undecided, found) = reconcile(&run).await?;
    Ok(TakenUp { run, undecided, found })
}

/// Takes up a run and goes on with it. What reading cannot settle, and nobody decided before, ends as `unknown`.
///
/// # Errors
/// As [`run`](crate::engine::run).
pub async fn resume(
    approved: Approved,
    deps: Deps,
    options: Options,
    history: &History,
    by: &str,
    protected: &Protected,
) -> Result<Summary, EngineError> {
    take_up(approved, deps, options, history, by).await?.clear(protected).await?.go_on().await
}

impl TakenUp {
    /// What a person has to decide.
    pub fn undecided(&self) -> &[Undecided] {
        &self.undecided
    }

    /// Records what a person said of a change of [`undecided`](Self::undecided).
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn decide(&mut self, change: &str, said: Said, by: &str, how: Approval) -> Result<(), EngineError> {
        let record = Record::Decided { change: change.to_owned(), said, by: by.to_owned(), how };
        self.run.record(record).await?;
        self.run.note_said(change, said, by);
        self.undecided.retain(|undecided| undecided.change != change);
        Ok(())
    }

    /// Asks the guards about every change of which nothing was sent yet, as who takes the run up and with that profile.
    /// What was begun goes on. Where they refuse one, nothing is sent, and the record says so.
    ///
    /// # Errors
    /// When a guard refuses, or the record cannot be written.
    pub async fn clear(self, protected: &Protected) -> Result<Ready, EngineError> {
        let run = &self.run;
        let unsent: Vec<&Change> = run.plan.changes().filter(|change| self.is_unsent(&change.id)).collect();
        let by = Applier { reader: &run.reader, protected, registry: run.registry };
        let View { refusals, unseen, reads, .. } = by.view(&run.plan, &unsent).await;
        if refusals.is_empty() {
            run.journal.post(Record::Cleared { unseen: unseen.clone() }, reads)?;
            return Ok(Ready { run: self.run, unseen });
        }
        let record = Record::Interrupted { reason: format!("refused: {}", in_words(&refusals)) };
        run.journal.append(record, reads).await?;
        Err(EngineError::Refused(refusals))
    }

    /// Whether nothing of a change has taken effect, and it will be sent.
    fn is_unsent(&self, change: &str) -> bool {
        let Some(past) = self.run.past.changes.get(change) else { return true };
        let open = match self.found.get(change) {
            Some(Found::Applied) => false,
            Some(Found::Indeterminate) => self.run.said(change).is_some_and(|(said, _)| said == Said::NotApplied),
            Some(Found::NotApplied) | None => true,
        };
        past.ended.is_none() && past.accepted.is_empty() && open
    }

    /// Leaves the run as it is, to be taken up again once somebody has decided.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub async fn leave(self) -> Result<(), EngineError> {
        let changes: Vec<&str> = self.undecided.iter().map(|undecided| undecided.change.as_str()).collect();
        let reason = format!("whether {} took effect is for a person to decide", changes.join(", "));
        self.run.record(Record::Interrupted { reason }).await
    }
}

impl Ready {
    /// What the guards cannot see.
    pub fn unseen(&self) -> &[Caveat] {
        &self.unseen
    }

    /// Does what is left.
    ///
    /// # Errors
    /// As [`run`](crate::engine::run).
    pub async fn go_on(self) -> Result<Summary, EngineError> {
        drive(self.run).await
    }
}

/// Looks for each open call, and records what was found.
async fn reconcile(run: &Arc<Run>) -> Result<(Vec<Undecided>, BTreeMap<String, Found>), EngineError> {
    let open = run.plan.changes().filter(|change| {
        run.past.changes.get(&change.id).is_some_and(|past| past.open.is_some() && past.ended.is_none())
    });
    let mut looks = stream::iter(open).map(|change| look(run, change)).buffered(run.options.concurrency);
    let (mut undecided, mut all, mut looked) = (Vec::new(), BTreeMap::new(), Ok(()));
    while let Some(look) = looks.next().await {
        match look {
            Ok(None) => {}
            Ok(Some((change, found, reason))) => {
                all.insert(change.id.clone(), found);
                if found == Found::Indeterminate && run.said(&change.id).is_none() {
                    undecided.push(ask(run, change, reason));
                }
            }
            Err(error) => looked = all_of(looked, Err(error)),
        }
    }
    looked.map(|()| (undecided, all))
}

async fn look<'a>(run: &Run, change: &'a Change) -> Result<Option<(&'a Change, Found, String)>, EngineError> {
    let (Some(action), Some(past)) = (run.registry.get(&change.action), run.past.changes.get(&change.id)) else {
        return Ok(None);
    };
    if run.stop.requested() {
        return Ok(None);
    }
    let work = Work { run, action, change, last: false };
    let found = work.settle(past.clone()).await?;
    Ok(found.map(|(found, reason)| (change, found, reason)))
}

/// The question for a person.
fn ask(run: &Run, change: &Change, reason: String) -> Undecided {
    let open = run.past.changes.get(&change.id).and_then(|past| past.open.as_ref());
    let call = open.and_then(|open| change.calls.get(usize::try_from(open.index).ok()?));
    Undecided { change: change.id.clone(), call: call.map(Call::summary).unwrap_or_default(), reason }
}
