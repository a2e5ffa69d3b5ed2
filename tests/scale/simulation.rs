//! A tenant, a session and a run on one simulated clock, which moves on only when nobody has anything to do.
//!
//! Client and tenant live in one thread on tokio's paused time: when all of them wait, time jumps to the next moment
//! that somebody waits for. How long a wait takes is the same on a slow machine and on a fast one. The journal writes
//! in a thread of its own, which that time does not see: while it does, [`Holder`] holds the time.

use std::{pin::Pin, sync::Arc, time::Duration};

use jiff::Timestamp;
use mock_server::{Scenario, Tenant};
use staunch::{
    actions::REGISTRY,
    client::Session,
    engine::{self, Deps, Options, Progress, Stop, Summary},
    journal::Journal,
    model::{Clock, Outcome},
    plan::{Discovery, Guard, PlanFile},
    playbook::Bound,
};
use tokio::{runtime::Handle, task::JoinHandle, time::Instant};

use crate::common::World;

/// Tokio's time as the client's and the tenant's.
pub struct Simulated {
    runtime: Handle,
    start: Instant,
    origin: Timestamp,
}

impl Simulated {
    fn start() -> Arc<Self> {
        Arc::new(Self { runtime: Handle::current(), start: Instant::now(), origin: Timestamp::now() })
    }
}

impl Clock for Simulated {
    fn now(&self) -> Timestamp {
        self.origin.saturating_add(self.monotonic()).unwrap()
    }

    fn monotonic(&self) -> Duration {
        // The journal's thread asks too, and is not one of the runtime.
        let _here = self.runtime.enter();
        self.start.elapsed()
    }

    fn sleep(&self, length: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(length))
    }
}

/// Holds the time while the journal writes.
struct Holder(JoinHandle<()>);

impl Holder {
    fn of(journal: &Journal) -> Self {
        let mut waiting = journal.waiting();
        Self(tokio::spawn(async move {
            while waiting.wait_for(|waiting| *waiting > 0).await.is_ok() {
                // Tokio's paused time stands still while a blocking task runs.
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_micros(50))).await.unwrap();
            }
        }))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A tenant, and a session in it.
pub struct Simulation {
    pub world: World,
    pub session: Session,
}

/// A run that came to its end.
pub struct Contained {
    pub dir: std::path::PathBuf,
    pub file: PlanFile,
    pub summary: Summary,
    /// Simulated: to plan, and to run.
    pub planned: Duration,
    /// What the guards took when it was approved.
    pub cleared: Duration,
    pub ran: Duration,
}

impl Contained {
    /// The changes that ended otherwise than `done`, with what is known of them.
    pub fn not_done(&self) -> Vec<String> {
        let changes = self.file.plan().changes();
        let ends = changes.map(|change| (change, self.summary.outcomes.get(&change.id).copied()));
        let others = ends.filter(|(_, outcome)| *outcome != Some(Outcome::Done));
        others.map(|(change, outcome)| format!("{} {} {outcome:?}", change.id, change.action)).collect()
    }
}

impl Simulation {
    /// Tenant and client on one simulated clock. Must be started in a runtime whose time is paused.
    pub async fn start(scenario: &Scenario) -> Self {
        let clock = Simulated::start();
        let theirs = Arc::clone(&clock);
        let tenant = Tenant::with_clock(scenario, mock_server::Clock::follow(move || theirs.now()));
        tenant.set(|settings| settings.latency_milliseconds = 50);
        let mut simulation = Self::on(clock, tenant).await;
        if let Ok(memory) = tempfile::tempdir_in("/dev/shm") {
            // How fast a disk is, is not what these tests are about.
            simulation.world.case = memory;
        }
        simulation
    }

    /// Signs in.
    pub async fn on(clock: Arc<dyn Clock>, tenant: Tenant) -> Self {
        let mut world = World::with(tenant, clock).await;
        world.overrides = std::mem::take(&mut world.overrides).with(Guard::Percent, "a test");
        let session = world.session().await;
        Self { world, session }
    }

    /// Plans, picks what was planted, approves and runs, in one session.
    pub async fn contain(&self, bound: &Bound) -> Contained {
        self.contain_and_tell(bound, Arc::new(())).await
    }

    /// The same, with somebody who listens.
    pub async fn contain_and_tell(&self, bound: &Bound, progress: Arc<dyn Progress>) -> Contained {
        let clock = &self.world.clock;
        let began = clock.monotonic();
        let file = self.plan(bound).await;
        assert!(file.plan().blocked.is_empty(), "{:?}", file.plan().blocked);
        let planned = clock.monotonic() - began;
        let began = clock.monotonic();
        let approved = self.world.approve_as(&self.session, file.clone()).await;
        let cleared = clock.monotonic() - began;
        let began = clock.monotonic();
        let journal = self.world.journal(&file);
        let dir = journal.run_dir().to_owned();
        let _holder = Holder::of(&journal);
        let deps = Deps {
            session: self.session.clone(),
            registry: REGISTRY,
            journal,
            clock: clock.clone(),
            progress,
            stop: Stop::default(),
        };
        let summary = engine::run(approved, deps, Options::default()).await.unwrap();
        Contained { dir, file, summary, planned, cleared, ran: clock.monotonic() - began }
    }

    async fn plan(&self, bound: &Bound) -> PlanFile {
        let reader = self.session.reader();
        let discovery = Discovery::run(bound, REGISTRY, &reader).await;
        let picks = self.world.pick_planted(&discovery);
        discovery.check(&picks).unwrap();
        let recipe = self.world.recipe(bound);
        PlanFile::freeze(discovery.plan(bound, &picks, recipe, REGISTRY, &reader).await.unwrap()).unwrap()
    }
}
