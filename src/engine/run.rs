//! Stages, lanes, and the end of a run.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;
use tokio::task::JoinSet;

use crate::{
    action::{ContractError, Registry},
    client::{Reader, Session},
    engine::{Event, Progress, Stop, lane::Lane, past::Past, recorded::RecordedSender},
    journal::{Closing, Journal, JournalError, Record, Said},
    model::{Change, Clock, Effect, Item, Outcome},
    plan::{Approved, Decision, Plan, PlanStage, PlanStep},
    playbook::{Gate, OnError, When},
};

/// What a run needs.
pub struct Deps {
    /// Who we are, and the way to the tenant.
    pub session: Session,
    /// The actions.
    pub registry: Registry,
    /// The record.
    pub journal: Journal,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who listens.
    pub progress: Arc<dyn Progress>,
    /// Who may end it.
    pub stop: Stop,
}

/// How a run goes about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// Lanes at once.
    pub concurrency: usize,
    /// Reads that settle a lost answer, and the waits before each.
    pub probes: Vec<Duration>,
    /// The same for a run that died while it set a secret: a second secret is worse than a longer wait.
    pub probes_of_secrets: Vec<Duration>,
    /// Times that one change is sent again after a lost answer.
    pub resends: u32,
    /// Reads in a row that must show a change before it counts as done. One is fast; three see through a replica
    /// that is still behind.
    pub matching_reads: u32,
}

impl Default for Options {
    fn default() -> Self {
        let probes = [0, 1, 2].map(Duration::from_secs).to_vec();
        let probes_of_secrets = [0, 1, 2, 4, 8].map(Duration::from_secs).to_vec();
        Self { concurrency: 128, probes, probes_of_secrets, resends: 3, matching_reads: 1 }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Summary {
    /// By change.
    pub outcomes: BTreeMap<String, Outcome>,
    /// From the beginning to the last accepted cut, in milliseconds.
    pub last_cut_off_ms: Option<u64>,
    /// From the beginning to the last verification, in milliseconds.
    pub contained_ms: Option<u64>,
    /// Whether it was ended early, and can be resumed.
    pub interrupted: bool,
}

/// Why a run could not go on. What was done is in the journal.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The record could not be written: nothing is sent without it.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Plan and actions do not fit.
    #[error(transparent)]
    Contract(#[from] ContractError),
    /// A new secret could not be sealed, so it was not set.
    #[error("seal a new secret")]
    Seal(#[from] crate::engine::seal::SealError),
    /// A verification ended in a panic.
    #[error("verify a change")]
    Task(#[from] tokio::task::JoinError),
}

/// Everything that the parts of a run share.
pub(crate) struct Run {
    pub(crate) plan: Plan,
    pub(crate) registry: Registry,
    pub(crate) reader: Reader,
    pub(crate) tenant: RecordedSender,
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) progress: Arc<dyn Progress>,
    pub(crate) stop: Stop,
    pub(crate) options: Options,
    pub(crate) past: Past,
    began: Timestamp,
    shared: Mutex<Shared>,
}

#[derive(Default)]
struct Shared {
    outcomes: BTreeMap<String, Outcome>,
    /// What persons said of calls that reading could not settle, and who.
    said: BTreeMap<String, (Said, String)>,
    last_cut: Option<Timestamp>,
    halted: Option<String>,
}

/// Verifications that go on beside the stages.
pub(crate) type Verifications = Mutex<JoinSet<Result<(), EngineError>>>;

/// Runs an approved plan to its end. The journal must be new.
///
/// # Errors
/// When the record cannot be written; then nothing more is sent.
pub async fn run(approved: Approved, deps: Deps, options: Options) -> Result<Summary, EngineError> {
    approve(&approved, &deps.journal).await?;
    drive(Arc::new(Run::new(approved, deps, options, Past::default()))).await
}

pub(crate) async fn approve(approved: &Approved, journal: &Journal) -> Result<(), EngineError> {
    let Decision { digest, by, how } = approved.decision().clone();
    let overrides = approved.plan().overrides.clone();
    journal.append(Record::Approved { digest, by, how, overrides }, Vec::new()).await?;
    Ok(())
}

/// The changes that end access.
pub(crate) fn cuts(plan: &Plan, registry: Registry) -> BTreeSet<String> {
    let cuts =
        |change: &&Change| registry.get(&change.action).is_some_and(|action| action.meta().effect == Effect::Cut);
    plan.changes().filter(cuts).map(|change| change.id.clone()).collect()
}

pub(crate) async fn drive(run: Arc<Run>) -> Result<Summary, EngineError> {
    let verifications = Verifications::default();
    let ran = run_stages(&run, &verifications).await;
    if ran.is_err() {
        run.stop.request();
    }
    all_of(ran, settle_all(&verifications).await)?;
    finish(&run).await
}

async fn run_stages(run: &Arc<Run>, verifications: &Verifications) -> Result<(), EngineError> {
    for stage in &run.plan.stages {
        if run.stop.requested() {
            break;
        }
        if stage.steps.iter().any(|step| matches!(step.when, When::Outcome { .. })) {
            settle_all(verifications).await?;
        }
        run_stage(run, stage, verifications).await?;
        if matches!(stage.gate, Gate::Verified) {
            settle_all(verifications).await?;
        }
    }
    Ok(())
}

/// Both, or the error that says more: one that tells where results were put, or else the first.
pub(crate) fn all_of(first: Result<(), EngineError>, then: Result<(), EngineError>) -> Result<(), EngineError> {
    let spilled = |ended: &Result<(), EngineError>| match ended {
        Err(EngineError::Journal(error)) => error.spilled().is_some(),
        _ => false,
    };
    if spilled(&then) && !spilled(&first) { then.and(first) } else { first.and(then) }
}

async fn settle_all(verifications: &Verifications) -> Result<(), EngineError> {
    let mut tasks = std::mem::take(&mut *lock(verifications));
    let mut settled = Ok(());
    while let Some(done) = tasks.join_next().await {
        settled = all_of(settled, done.map_err(EngineError::from).flatten());
    }
    settled
}

async fn run_stage(run: &Arc<Run>, stage: &PlanStage, verifications: &Verifications) -> Result<(), EngineError> {
    if !run.past.stages.contains(&stage.id) {
        run.record(Record::StageStarted { stage: stage.id.clone() }).await?;
    }
    run.progress.event(Event::Stage { id: stage.id.clone() });
    let lanes = lanes(stage);
    let mut lanes = stream::iter(lanes.into_values())
        .map(|changes| Lane { run, changes, verifications }.run())
        .buffer_unordered(run.options.concurrency);
    let mut ran = Ok(());
    while let Some(lane) = lanes.next().await {
        if lane.is_err() {
            // What the other lanes have sent is to be answered and kept; nothing more is begun.
            run.stop.request();
        }
        ran = all_of(ran, lane);
    }
    ran?;
    if run.stop.requested() {
        return Ok(());
    }
    run.record(Record::StageEnded { stage: stage.id.clone() }).await
}

/// The changes of a stage by lane, in the order of the steps.
fn lanes(stage: &PlanStage) -> BTreeMap<&str, Vec<(&PlanStep, &Change)>> {
    let mut lanes: BTreeMap<&str, Vec<_>> = BTreeMap::new();
    for step in &stage.steps {
        for item in &step.items {
            if let Item::Change(change) | Item::Already(change) = item {
                lanes.entry(&change.target.lane).or_default().push((step, &**change));
            }
        }
    }
    lanes
}

async fn finish(run: &Run) -> Result<Summary, EngineError> {
    let began = run.past.began.unwrap_or(run.began);
    let (outcomes, last_cut) = {
        let shared = lock(&run.shared);
        (shared.outcomes.clone(), shared.last_cut.or(run.past.last_cut))
    };
    let since = |at: Timestamp| u64::try_from(at.duration_since(began).as_millis()).ok();
    let mut summary = Summary {
        last_cut_off_ms: last_cut.and_then(since),
        contained_ms: since(run.clock.now()),
        interrupted: run.stop.requested(),
        outcomes,
    };
    if summary.interrupted {
        summary.contained_ms = None;
        run.record(Record::Interrupted { reason: "asked to stop; resume goes on from here".to_owned() }).await?;
        return Ok(summary);
    }
    let closing = Closing { last_cut_off_ms: summary.last_cut_off_ms, contained_ms: summary.contained_ms };
    run.journal.clone().close(closing).await?;
    Ok(summary)
}

impl Run {
    pub(crate) fn new(approved: Approved, deps: Deps, options: Options, past: Past) -> Self {
        let Deps { session, registry, journal, clock, progress, stop } = deps;
        let outcomes =
            past.changes.iter().filter_map(|(id, past)| past.ended.map(|outcome| (id.clone(), outcome))).collect();
        let said =
            past.changes.iter().filter_map(|(id, past)| past.said.clone().map(|said| (id.clone(), said))).collect();
        let plan = approved.plan().clone();
        let halted = halted(&plan, &outcomes);
        Self {
            plan,
            registry,
            reader: session.reader(),
            tenant: RecordedSender::new(session.sender(), session.reader(), journal.clone()),
            journal,
            began: clock.now(),
            clock,
            progress,
            stop,
            options,
            past,
            shared: Mutex::new(Shared { outcomes, said, halted, ..Shared::default() }),
        }
    }

    /// Writes a record without exchanges.
    pub(crate) async fn record(&self, record: Record) -> Result<(), EngineError> {
        self.journal.append(record, Vec::new()).await?;
        Ok(())
    }

    /// Notes that a change was accepted.
    pub(crate) fn note_sent(&self, change: &Change, effect: Effect) {
        if effect == Effect::Cut {
            lock(&self.shared).last_cut = Some(self.clock.now());
        }
        self.progress.event(Event::Sent { change: change.id.clone() });
    }

    /// Notes how a change ended, and what that means for the rest.
    pub(crate) fn note_ended(&self, change: &Change, outcome: Outcome, reason: &str) {
        let halts = halts(&self.plan, change, outcome);
        let mut shared = lock(&self.shared);
        shared.outcomes.insert(change.id.clone(), outcome);
        if halts {
            shared.halted.get_or_insert_with(|| change.id.clone());
        }
        drop(shared);
        let (change, reason) = (change.id.clone(), reason.to_owned());
        self.progress.event(Event::Ended { change, outcome, reason });
    }

    /// What a person said of a change's open call, and who.
    pub(crate) fn said(&self, change: &str) -> Option<(Said, String)> {
        lock(&self.shared).said.get(change).cloned()
    }

    /// Notes what a person said; for the record, `Record::Decided` is written as well.
    pub(crate) fn note_said(&self, change: &str, said: Said, by: &str) {
        lock(&self.shared).said.insert(change.to_owned(), (said, by.to_owned()));
    }

    /// Why a change must not be begun: the run was halted, or the step's condition is not met.
    pub(crate) fn why_skip(&self, step: &PlanStep) -> Option<String> {
        let shared = lock(&self.shared);
        if let Some(change) = &shared.halted {
            return Some(format!("change {change} did not hold and its step says on_error: stop"));
        }
        match &step.when {
            When::Always => None,
            When::Never { reason } => Some(reason.clone()),
            When::Outcome { step: earlier } => {
                let holds = |change: &Change| shared.outcomes.get(&change.id).is_some_and(|outcome| outcome.holds());
                let mut of_step = self.plan.changes().filter(|change| change.step == *earlier).peekable();
                let all = of_step.peek().is_some() && of_step.all(holds);
                (!all).then(|| format!("step {earlier} does not hold"))
            }
        }
    }
}

/// Whether nothing more is begun once this change ended so.
fn halts(plan: &Plan, change: &Change, outcome: Outcome) -> bool {
    let fails = !outcome.holds() && outcome != Outcome::Pending && outcome != Outcome::Skipped;
    let mut steps = plan.stages.iter().flat_map(|stage| &stage.steps);
    fails && steps.any(|step| step.id == change.step && matches!(step.on_error, OnError::Stop))
}

/// The change over which an earlier process halted the run.
fn halted(plan: &Plan, outcomes: &BTreeMap<String, Outcome>) -> Option<String> {
    let halts = |change: &Change| outcomes.get(&change.id).is_some_and(|outcome| halts(plan, change, *outcome));
    plan.items().find_map(|(_, item)| match item {
        Item::Change(change) | Item::Already(change) if halts(change) => Some(change.id.clone()),
        _ => None,
    })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
