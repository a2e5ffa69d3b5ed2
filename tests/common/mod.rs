//! A tenant, a session and a case folder: what the tests of whole runs share.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part of it")]

pub(crate) mod canary;
pub mod guarding;
pub(crate) mod skip;

use std::{collections::BTreeMap, io::Read as _, path::PathBuf, pin::Pin, sync::Arc, time::Duration};

use mock_server::{Scenario, Server, Tenant};
use serde_json::Value;
use staunch::{
    actions::REGISTRY,
    client::{Credential, Endpoints, Session, SessionOptions},
    engine::{self, Deps, EngineError, Options, Stop, Summary, TakenUp},
    journal::{Approval, Crash, History, Journal, JournalError, Mode, RUN_FORMAT, RunHeader, Tool, sha256_hex},
    model::{Clock, Cloud, ManualClock, Outcome},
    plan::{
        self, Accept, Applier, Approved, Cleared, Decision, Discovery, Guard, Overrides, Picks, Plan, PlanFile,
        PlanRefused, PlaybookRef, Protected, Recipe, Selection,
    },
    playbook::{self, Bound},
};
use tempfile::TempDir;

/// One tenant with one case.
pub struct World {
    pub tenant: Tenant,
    pub server: Server,
    pub clock: Arc<dyn Clock>,
    pub protected: Protected,
    pub recipients: Vec<String>,
    pub overrides: Overrides,
    /// Longest time of one attempt, where it is not the default.
    pub attempt_timeout: Option<Duration>,
    pub case: TempDir,
}

/// No test leaves a secret of its tenant in its case.
impl Drop for World {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            canary::assert_clean(self.case.path(), &self.tenant, &[]);
        }
    }
}

/// A folder in memory where the system has such a place: thousands of worlds are made and removed, and the file system of
/// a disk remembers what was removed for minutes.
fn in_memory() -> TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

impl World {
    /// The scenario of the talk.
    pub async fn aitm() -> Self {
        let tenant = planted().anew(mock_server::Clock::system());
        Self::with(tenant, ManualClock::at(jiff::Timestamp::now())).await
    }

    pub async fn of(scenario: &Scenario) -> Self {
        Self::with(Tenant::new(scenario), ManualClock::at(jiff::Timestamp::now())).await
    }

    /// The scenario of the talk on a clock that both sides share: a wait of ours moves the tenant's time on.
    pub async fn aitm_on_one_clock() -> Self {
        let start = jiff::Timestamp::now();
        let theirs = mock_server::Clock::manual(start);
        let tenant = planted().anew(theirs.clone());
        Self::with(tenant, Arc::new(OneClock { start, theirs })).await
    }

    pub async fn with(tenant: Tenant, clock: Arc<dyn Clock>) -> Self {
        let server = Server::start(tenant.clone()).await;
        let case = in_memory();
        let overrides = Overrides::default().with(Guard::Irreversible, "a test");
        let (protected, recipients, attempt_timeout) = (Protected::default(), Vec::new(), None);
        Self { tenant, server, clock, protected, recipients, overrides, attempt_timeout, case }
    }

    /// With its case under another folder.
    pub fn with_case_in(mut self, folder: &std::path::Path) -> Self {
        self.case = tempfile::tempdir_in(folder).unwrap();
        self
    }

    pub fn case(&self) -> PathBuf {
        self.case.path().to_owned()
    }

    pub fn victim(&self) -> String {
        self.tenant.incident().victims.first().expect("the scenario has a victim").clone()
    }

    pub fn options(&self) -> SessionOptions {
        let us = self.tenant.credentials();
        let endpoints = Endpoints::all_at(self.server.uri().parse().unwrap());
        let secret = Credential::Secret(us.client_secret.into());
        let mut options = SessionOptions::new(Cloud::Global, us.tenant_id, us.client_id, secret).at(endpoints);
        options.attempt_timeout = self.attempt_timeout.unwrap_or(options.attempt_timeout);
        options
    }

    pub async fn session(&self) -> Session {
        Session::open(self.options(), self.clock.clone()).await.unwrap()
    }

    /// Plans a playbook; `pick: operator` is answered with what the scenario planted.
    pub async fn plan(&self, bound: &Bound) -> PlanFile {
        self.plan_with(bound, |discovery| self.pick_planted(discovery)).await
    }

    pub async fn plan_with(&self, bound: &Bound, choose: impl FnOnce(&Discovery) -> Picks) -> PlanFile {
        let session = self.session().await;
        let reader = session.reader();
        let discovery = Discovery::run(bound, REGISTRY, &reader).await;
        let picks = choose(&discovery);
        discovery.check(&picks).unwrap();
        let plan = discovery.plan(bound, &picks, self.recipe(bound), REGISTRY, &reader).await.unwrap();
        PlanFile::freeze(plan).unwrap()
    }

    pub fn recipe(&self, bound: &Bound) -> Recipe {
        Recipe {
            playbook: PlaybookRef {
                id: bound.id.clone(),
                version: bound.version.clone(),
                sha256: bound.sha256.clone(),
                text: String::new(),
            },
            cloud: Cloud::Global,
            now: self.clock.now(),
            protected: self.protected.clone(),
            recipients: self.recipients.clone(),
            overrides: self.overrides.clone(),
        }
    }

    pub fn pick_planted(&self, discovery: &Discovery) -> Picks {
        let planted: Vec<String> = self.tenant.incident().rogue.iter().map(|object| object.id.clone()).collect();
        let pick = |question: plan::Question| {
            let targets = question.candidates.into_iter().map(|candidate| candidate.target);
            let picked = targets.filter(|target| target.kind == "user" || planted.contains(&target.id));
            (question.step, Selection::Ids(picked.map(|target| target.id).collect()))
        };
        discovery.questions().into_iter().map(pick).collect()
    }

    pub async fn approve(&self, file: PlanFile) -> Approved {
        self.approve_as(&self.session().await, file).await
    }

    pub async fn approve_as(&self, session: &Session, file: PlanFile) -> Approved {
        let decision = Decision { digest: file.digest().to_owned(), by: "test".into(), how: Approval::Flag };
        let cleared = self.clear_as(session, file).await.unwrap();
        cleared.approve(decision, &self.accept(session)).unwrap()
    }

    /// Has the guards look at a plan again, as whoever is signed in.
    pub async fn clear_as(&self, session: &Session, file: PlanFile) -> Result<Cleared, PlanRefused> {
        let reader = session.reader();
        let by = Applier { reader: &reader, protected: &self.protected, registry: REGISTRY };
        file.clear(&self.accept(session), by).await
    }

    fn accept<'a>(&self, session: &'a Session) -> Accept<'a> {
        let max_age = Duration::from_secs(3600);
        Accept { identity: session.identity(), now: self.clock.now(), max_age, applied: &[] }
    }

    /// Approves and runs a plan in a new run folder.
    pub async fn run(&self, file: PlanFile) -> Ran {
        let session = self.session().await;
        let approved = self.approve_as(&session, file).await;
        self.run_approved(session, approved).await
    }

    /// Runs an approved plan in a new run folder.
    pub async fn run_approved(&self, session: Session, approved: Approved) -> Ran {
        let journal = self.journal(approved.file());
        let dir = journal.run_dir().to_owned();
        let deps = self.deps_of(session, journal);
        let summary = engine::run(approved, deps, Options::default()).await.unwrap();
        Ran { dir, summary }
    }

    /// Runs a plan as somebody else would: on the same tenant, in a case of their own.
    pub async fn run_by_others(&self, file: PlanFile) {
        let case = tempfile::tempdir().unwrap();
        let header = header(file.plan(), &file);
        let journal = Journal::create(case.path(), &header, file.bytes(), None, self.clock.clone()).unwrap();
        let approved = self.approve(file).await;
        engine::run(approved, self.deps(journal).await, Options::default()).await.unwrap();
    }

    /// Runs a plan that dies once line `last` of its journal is durable.
    pub async fn run_until(&self, file: PlanFile, last: u64) -> PathBuf {
        let journal = self.journal(&file);
        journal.stop_after(last).unwrap();
        self.run_and_die(file, journal).await
    }

    /// Runs a plan that dies while it writes a line of its journal, or ends before.
    pub async fn run_to(&self, file: PlanFile, crash: Crash) -> PathBuf {
        let journal = self.journal(&file);
        journal.crash_at(crash).unwrap();
        self.run_and_die(file, journal).await
    }

    async fn run_and_die(&self, file: PlanFile, journal: Journal) -> PathBuf {
        let dir = journal.run_dir().to_owned();
        let approved = self.approve(file).await;
        let deps = self.deps(journal.clone()).await;
        tokio::select! {
            ran = engine::run(approved, deps, Options::default()) => drop(ran),
            () = journal.stopped() => {}
        }
        dir
    }

    pub async fn resume(&self, dir: &std::path::Path) -> Result<Summary, EngineError> {
        self.take_up(dir).await?.clear(&self.protected).await?.go_on().await
    }

    /// Takes a run up again, and sends nothing yet.
    pub async fn take_up(&self, dir: &std::path::Path) -> Result<TakenUp, EngineError> {
        self.take_up_with(dir, Options::default()).await
    }

    pub async fn take_up_with(&self, dir: &std::path::Path, options: Options) -> Result<TakenUp, EngineError> {
        let (journal, history) = self.reopen(dir).await;
        let file = PlanFile::parse(history.plan.clone()).unwrap();
        let approved = match Approved::resumed(file.clone(), &history) {
            Some(approved) => approved,
            None => self.approve(file).await,
        };
        let deps = self.deps(journal).await;
        engine::take_up(approved, deps, options, &history, "test").await
    }

    /// Tasks of a run that was cut off let go of its journal one after the other.
    async fn reopen(&self, dir: &std::path::Path) -> (Journal, History) {
        for _ in 0..1_000 {
            match Journal::reopen(dir, self.clock.clone()) {
                Err(JournalError::Locked { .. }) => tokio::task::yield_now().await,
                reopened => return reopened.unwrap(),
            }
        }
        panic!("the case stays locked");
    }

    /// Owner and secret of a sealed file of the case.
    pub fn opened(&self, file: &str, key: &age::x25519::Identity) -> (String, String) {
        let bytes = std::fs::read(self.case().join(file)).unwrap();
        let sealed = age::Decryptor::new(age::armor::ArmoredReader::new(&bytes[..])).unwrap();
        let mut text = String::new();
        sealed.decrypt(std::iter::once(key as &dyn age::Identity)).unwrap().read_to_string(&mut text).unwrap();
        let (owner, secret) = text.trim_end().split_once('\n').unwrap();
        (owner.to_owned(), secret.to_owned())
    }

    pub async fn undo_plan(&self, dir: &std::path::Path) -> PlanFile {
        let history = History::load(dir).unwrap();
        let session = self.session().await;
        let (protected, overrides) = (&self.protected, &self.overrides);
        let with = plan::UndoRecipe { now: self.clock.now(), protected, overrides };
        PlanFile::freeze(plan::undo(&history, REGISTRY, &session.reader(), &with).await.unwrap()).unwrap()
    }

    pub async fn deps(&self, journal: Journal) -> Deps {
        self.deps_of(self.session().await, journal)
    }

    fn deps_of(&self, session: Session, journal: Journal) -> Deps {
        Deps {
            session,
            registry: REGISTRY,
            journal,
            clock: self.clock.clone(),
            progress: Arc::new(()),
            stop: Stop::default(),
        }
    }

    pub fn journal(&self, file: &PlanFile) -> Journal {
        let plan = file.plan();
        let header = header(plan, file);
        Journal::create(self.case.path(), &header, file.bytes(), None, self.clock.clone()).unwrap()
    }
}

/// The scenario of the talk, planted once for all tests of a process.
fn planted() -> &'static Tenant {
    static PLANTED: std::sync::OnceLock<Tenant> = std::sync::OnceLock::new();
    PLANTED.get_or_init(|| Tenant::new(&Scenario::builtin("aitm").expect("the scenario aitm is built in")))
}

/// The tenant's own clock, as ours.
struct OneClock {
    start: jiff::Timestamp,
    theirs: mock_server::Clock,
}

impl Clock for OneClock {
    fn now(&self) -> jiff::Timestamp {
        self.theirs.now()
    }

    fn monotonic(&self) -> Duration {
        Duration::try_from(self.now().duration_since(self.start)).unwrap()
    }

    fn sleep(&self, length: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.theirs.advance(length.try_into().unwrap());
        Box::pin(tokio::task::yield_now())
    }
}

/// A run that ended.
#[derive(Debug)]
pub struct Ran {
    pub dir: PathBuf,
    pub summary: Summary,
}

impl Ran {
    pub fn history(&self) -> History {
        History::load(&self.dir).unwrap()
    }

    pub fn outcomes(&self) -> Vec<Outcome> {
        self.summary.outcomes.values().copied().collect()
    }
}

fn header(plan: &Plan, file: &PlanFile) -> RunHeader {
    let (mode, undo_of) = match &plan.mode {
        plan::Mode::Apply => (Mode::Apply, None),
        plan::Mode::Undo { run } => (Mode::Undo, Some(run.clone())),
    };
    RunHeader {
        format: RUN_FORMAT.into(),
        run_id: uuid::Uuid::now_v7().to_string(),
        case: "test".into(),
        tool: Tool { name: "staunch".into(), version: "0.0.0".into(), commit: None, sha256: None },
        host: "host".into(),
        os_user: "user".into(),
        started: plan.made_at,
        time_zone: None,
        authority: None,
        mode,
        undo_of,
        tenant_id: plan.tenant_id.clone(),
        cloud: plan.cloud,
        identity: plan.identity.clone(),
        playbook: None,
        plan_sha256: sha256_hex(file.bytes()),
        plan_id: plan.id.clone(),
        command: Vec::new(),
    }
}

/// Binds a playbook's text.
pub fn bind(text: &str, values: &[(&str, Value)]) -> Bound {
    let (playbook, _) = playbook::parse("test.yaml", text, &REGISTRY)
        .unwrap_or_else(|errors| panic!("{}", errors.iter().map(|error| error.render(false)).collect::<String>()));
    let values: BTreeMap<String, Value> =
        values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    playbook.bind(&values).unwrap()
}

/// A playbook with one step: this action, with this input.
pub fn one_step(action: &str, input: &Value) -> Bound {
    bind(
        &format!(
            "schema: staunch/v1\nid: one\nversion: 1.0.0\ntitle: One step\nlimits: {{changes: 50}}\nstages:\n  - id: only\n    steps:\n      \
             - {{id: it, pick: operator, do: {{{action}: {input}}}}}\n"
        ),
        &[],
    )
}
