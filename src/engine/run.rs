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
    model::{Change, Clock, Effect, Item, Outcome, Refusal},
    plan::{Approved, Decision, Plan, PlanStage, PlanStep, in_words},
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
    /// Whether what cannot be sent for now ends as failed, so that the record is closed.
    pub give_up: bool,
    /// Reads in a row that must show a change before it counts as done. One is fast; three see through a replica
    /// that is still behind.
    pub matching_reads: u32,
}

impl Default for Options {
    fn default() -> Self {
        let probes = [0, 1, 2].map(Duration::from_secs).to_vec();
        let probes_of_secrets = [0, 1, 2, 4, 8].map(Duration::from_secs).to_vec();
        Self { concurrency: 128, probes, probes_of_secrets, resends: 3, give_up: false, matching_reads: 1 }
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
    /// Whether it was ended early, by somebody or by its deadline.
    pub interrupted: bool,
    /// Changes that could not be made for now, and why.
    pub left: BTreeMap<String, String>,
}

impl Summary {
    /// Whether the record was closed. If not, the run can be resumed.
    pub fn is_closed(&self) -> bool {
        !self.interrupted && self.left.is_empty()
    }
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
    /// A guard holds back what a run that was taken up has not sent yet. Nothing was sent.
    #[error("go on with the run: {}", in_words(.0))]
    Refused(Vec<Refusal>),
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
    /// What was left for `resume`, and why.
    left: BTreeMap<String, String>,
    /// Nothing more is begun in this run, since a step says `on_error: stop`: what would be is skipped, or left.
    halted: Option<Turn>,
}

/// Whether it is a change's turn.
#[derive(Clone)]
pub(crate) enum Turn {
    Go,
    /// It is skipped.
    Skip(String),
    /// Whether it is skipped is not known yet: it is left for `resume`.
    Leave(String),
}

/// Why a run ends that has a deadline.
const DEADLINE: &str = "the deadline has passed";

/// Verifications that go on beside the stages.
pub(crate) type Verifications = Mutex<JoinSet<Result<(), EngineError>>>;

/// Runs an approved plan to its end. The journal must be new.
///
/// # Errors
/// When the record cannot be written; then nothing more is sent.
pub async fn run(mut approved: Approved, deps: Deps, options: Options) -> Result<Summary, EngineError> {
    approve(&mut approved, &deps.journal).await?;
    drive(Arc::new(Run::new(approved, deps, options, Past::default()))).await
}

pub(crate) async fn approve(approved: &mut Approved, journal: &Journal) -> Result<(), EngineError> {
    let Decision { digest, by, how } = approved.decision().clone();
    let overrides = approved.plan().overrides.clone();
    let unseen = approved.unseen().to_vec();
    let record = Record::Approved { digest, by, how, overrides, unseen };
    journal.append(record, approved.take_reads()).await?;
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
    let ended = all_of(ran, settle_all(&verifications).await);
    if matches!(ended, Err(EngineError::Journal(_))) {
        // What was handed over without waiting may have been put elsewhere since: whoever asks last is told.
        let reason = "the record could not be written".to_owned();
        all_of(ended, run.record(Record::Interrupted { reason }).await)?;
    } else {
        ended?;
    }
    finish(&run).await
}

async fn run_stages(run: &Arc<Run>, verifications: &Verifications) -> Result<(), EngineError> {
    for stage in &run.plan.stages {
        if run.stopping() {
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
    if run.stopping() || run.left_some_of(stage) {
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
    let (outcomes, left, last_cut) = {
        let shared = lock(&run.shared);
        (shared.outcomes.clone(), shared.left.clone(), shared.last_cut.or(run.past.last_cut))
    };
    let since = |at: Timestamp| u64::try_from(at.duration_since(began).as_millis()).ok();
    let mut summary = Summary {
        last_cut_off_ms: last_cut.and_then(since),
        contained_ms: since(run.clock.now()),
        interrupted: run.stopping(),
        outcomes,
        left,
    };
    if !summary.is_closed() {
        summary.contained_ms = None;
        run.record(Record::Interrupted { reason: why_open(run, &summary) }).await?;
        return Ok(summary);
    }
    let closing = Closing { last_cut_off_ms: summary.last_cut_off_ms, contained_ms: summary.contained_ms };
    run.journal.clone().close(closing).await?;
    Ok(summary)
}

/// Why a run is not closed.
fn why_open(run: &Run, summary: &Summary) -> String {
    let left: Vec<&str> = summary.left.keys().map(String::as_str).collect();
    let left = (!left.is_empty()).then(|| format!("not made for now: {}", left.join(", ")));
    let why: Vec<String> = run.stop.why().map(str::to_owned).into_iter().chain(left).collect();
    format!("{}; resume goes on from here", why.join("; "))
}

impl Run {
    pub(crate) fn new(approved: Approved, deps: Deps, options: Options, past: Past) -> Self {
        let Deps { session, registry, journal, clock, progress, stop } = deps;
        let outcomes =
            past.changes.iter().filter_map(|(id, past)| past.ended.map(|outcome| (id.clone(), outcome))).collect();
        let said =
            past.changes.iter().filter_map(|(id, past)| past.said.clone().map(|said| (id.clone(), said))).collect();
        // The session outlives the run, and whoever listens to it must not.
        let listener = Arc::downgrade(&progress);
        session.on_wait(Arc::new(move |wait| {
            if let Some(listener) = listener.upgrade() {
                listener.event(Event::Waiting(wait));
            }
        }));
        let reader = session.reader().until(stop.clone());
        let sender = session.sender().until(stop.clone());
        let plan = approved.plan().clone();
        let halted = halted(&plan, &outcomes);
        Self {
            plan,
            registry,
            tenant: RecordedSender::new(sender, reader.patient(), journal.clone()),
            reader,
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

    /// Whether the run is to end: somebody asked, or its deadline has passed. Then nothing more is begun.
    pub(crate) fn stopping(&self) -> bool {
        if self.reader.time_is_up() {
            self.stop.request_for(DEADLINE);
        }
        self.stop.requested()
    }

    /// Waits, unless the run is to end.
    pub(crate) async fn sleep(&self, length: Duration) {
        tokio::select! {
            biased;
            () = self.stop.wait() => {}
            () = self.clock.sleep(length) => {}
        }
    }

    /// Notes when an access was cut.
    pub(crate) fn note_cut(&self, effect: Effect) {
        if effect == Effect::Cut {
            lock(&self.shared).last_cut = Some(self.clock.now());
        }
    }

    /// Notes that a change was accepted.
    pub(crate) fn note_sent(&self, change: &Change, effect: Effect) {
        self.note_cut(effect);
        self.progress.event(Event::Sent { change: change.id.clone() });
    }

    /// Notes how a change ended, and what that means for the rest.
    pub(crate) fn note_ended(&self, change: &Change, outcome: Outcome, reason: &str) {
        let halts = halts(&self.plan, change, outcome);
        let mut shared = lock(&self.shared);
        shared.outcomes.insert(change.id.clone(), outcome);
        if halts {
            shared.halted.get_or_insert(halted_by(change));
        }
        drop(shared);
        let (change, reason) = (change.id.clone(), reason.to_owned());
        self.progress.event(Event::Ended { change, outcome, reason });
    }

    /// Notes that a change could not be made for now. The run is then not closed, so that it can be resumed.
    pub(crate) fn note_left(&self, change: &Change, reason: &str) {
        let mut shared = lock(&self.shared);
        shared.left.insert(change.id.clone(), reason.to_owned());
        if stops_all(&self.plan, change) {
            let reason = format!("change {} is left, and its step says on_error: stop", change.id);
            shared.halted.get_or_insert(Turn::Leave(reason));
        }
        drop(shared);
        self.progress.event(Event::Left { change: change.id.clone(), reason: reason.to_owned() });
    }

    fn left_some_of(&self, stage: &PlanStage) -> bool {
        let shared = lock(&self.shared);
        lanes(stage).into_values().flatten().any(|(_, change)| shared.left.contains_key(&change.id))
    }

    /// How a change ended, where it did.
    pub(crate) fn outcome(&self, change: &str) -> Option<Outcome> {
        lock(&self.shared).outcomes.get(change).copied()
    }

    /// What a person said of a change's open call, and who.
    pub(crate) fn said(&self, change: &str) -> Option<(Said, String)> {
        lock(&self.shared).said.get(change).cloned()
    }

    /// Notes what a person said; for the record, `Record::Decided` is written as well.
    pub(crate) fn note_said(&self, change: &str, said: Said, by: &str) {
        lock(&self.shared).said.insert(change.to_owned(), (said, by.to_owned()));
    }

    /// Whether a change of this step may be begun: the run may be halted, or the step's condition not be met.
    pub(crate) fn turn(&self, step: &PlanStep) -> Turn {
        let shared = lock(&self.shared);
        if let Some(halted) = &shared.halted {
            return halted.clone();
        }
        match &step.when {
            When::Always => Turn::Go,
            When::Never { reason } => Turn::Skip(reason.clone()),
            When::Outcome { step: earlier } => {
                let of_step: Vec<&Change> = self.plan.changes().filter(|change| change.step == *earlier).collect();
                let left = |change: &&Change| shared.left.contains_key(&change.id);
                let holds = |change: &&Change| shared.outcomes.get(&change.id).is_some_and(|outcome| outcome.holds());
                if of_step.is_empty() || !of_step.iter().all(|change| left(change) || holds(change)) {
                    Turn::Skip(format!("step {earlier} does not hold"))
                } else if of_step.iter().any(left) {
                    Turn::Leave(format!("step {earlier} is not over"))
                } else {
                    Turn::Go
                }
            }
        }
    }
}

/// Whether nothing more is begun once this change ended so.
fn halts(plan: &Plan, change: &Change, outcome: Outcome) -> bool {
    !outcome.holds() && outcome != Outcome::Pending && outcome != Outcome::Skipped && stops_all(plan, change)
}

/// Whether a change that does not hold stops all others.
fn stops_all(plan: &Plan, change: &Change) -> bool {
    let mut steps = plan.stages.iter().flat_map(|stage| &stage.steps);
    steps.any(|step| step.id == change.step && matches!(step.on_error, OnError::Stop))
}

/// What a change that halts the run means for the others.
fn halted_by(change: &Change) -> Turn {
    Turn::Skip(format!("change {} did not hold and its step says on_error: stop", change.id))
}

/// What a change over which an earlier process halted the run means for the others.
fn halted(plan: &Plan, outcomes: &BTreeMap<String, Outcome>) -> Option<Turn> {
    let halts = |change: &Change| outcomes.get(&change.id).is_some_and(|outcome| halts(plan, change, *outcome));
    plan.items().find_map(|(_, item)| match item {
        Item::Change(change) | Item::Already(change) if halts(change) => Some(halted_by(change)),
        _ => None,
    })
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
