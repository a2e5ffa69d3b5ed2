//! From a plan to a closed run: approve, open the journal, run, print the report.

use std::{env, path::Path, sync::Arc, time::Duration};

use crate::cli::keep::Keep;
use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        args::Approving,
        connect::Connected,
        custody,
        decide::{self, Decisions, Resumption},
        exit::{Exit, Failure, OrFail as _},
        program,
        progress::{self, Live},
        prompt, runs,
        signals::{Asked, Signals},
        skew, stopped,
    },
    engine::{self, Deps, EngineError, Options, Stop, Summary},
    journal::{
        Anchor, Approval, Case, Handling, History, Journal, JournalError, Mode, PlaybookRef, RUN_FORMAT, RunHeader,
        room_for, sha256_hex,
    },
    model::{Item, json_for_terminal},
    plan::{self, Accept, Applier, Approved, Cleared, Decision, Plan, PlanFile, PlanRefused},
    report::{Known, Report},
};

/// What an approval is checked against, and who gives it.
pub(crate) struct Approver<'a> {
    pub(crate) context: &'a Context,
    pub(crate) connected: &'a Connected,
    pub(crate) approving: &'a Approving,
}

impl Approver<'_> {
    /// Refuses a plan that must not be run, before anybody is asked: guards and preflight look at the tenant again, as
    /// the identity and the profile that apply it.
    pub(crate) async fn clear(&self, file: PlanFile) -> Result<Cleared, Failure> {
        let applied = runs::applied(&self.context.global.case);
        self.nothing_is_open(file.plan())?;
        runs::not_begun_before(&self.context.global.case, file.digest())?;
        self.clear_against(file, &self.accept(&applied)).await
    }

    async fn clear_against(&self, file: PlanFile, against: &Accept<'_>) -> Result<Cleared, Failure> {
        let wait = progress::wait("asking the guards");
        let reader = self.connected.session.reader();
        let by = Applier { reader: &reader, protected: &self.connected.protected, registry: REGISTRY };
        let cleared = file.clear(against, by).await;
        drop(wait);
        cleared.map_err(|error| {
            let failure = Failure::of(Exit::Refused, &error);
            match error {
                PlanRefused::Blocked(_) => failure.hint(
                    "nothing was sent; plan again, which leaves out what a guard refuses, or overrides it with --override \
                     GUARD --reason TEXT",
                ),
                PlanRefused::Empty(_) => {
                    failure.hint("nothing was sent; mend what the plan calls a PROBLEM, a misspelt name perhaps, and plan again")
                }
                _ => failure,
            }
        })
    }

    /// Says what the plan does not.
    fn tell(&self, cleared: &Cleared) {
        for news in cleared.news() {
            self.context.out.say(&json_for_terminal(&news));
        }
    }

    /// Refuses to begin beside a run that has to be resumed first. One that is still at work is told as that.
    fn nothing_is_open(&self, plan: &Plan) -> Result<(), Failure> {
        let case = &self.context.global.case;
        runs::CutOff::refuse(case, plan).map_err(|refused| match Case::locked(case) {
            Err(error @ JournalError::Locked { .. }) => not_begun(&error),
            _ => refused,
        })
    }

    /// Shows the plan's confirmation and asks; on no terminal it is an error that says what to do instead.
    pub(crate) fn ask(&self, cleared: Cleared, instead: &str) -> Result<Approved, Failure> {
        let digest = self.confirm(&cleared, instead)?;
        self.decide(cleared, digest, Approval::Prompt)
    }

    fn confirm(&self, cleared: &Cleared, instead: &str) -> Result<String, Failure> {
        let file = cleared.file();
        if !self.context.out.can_ask() {
            let digest = file.digest();
            let failure = Failure::new(Exit::Refused, "the plan is not approved, and nobody is there to ask");
            return Err(failure.hint(format!("nothing was sent; {instead} (this plan: {digest})")));
        }
        self.context.out.say(&plan::confirmation(file));
        self.tell(cleared);
        prompt::approve(file)?;
        Ok(file.digest().to_owned())
    }

    /// Approves a run that died before its first approval was on record: nothing of it was changed.
    pub(crate) async fn again(&self, file: PlanFile, digest: Option<String>) -> Result<Approved, Failure> {
        let cleared = self.clear_against(file, &self.accept(&[])).await?;
        let how = if digest.is_some() { Approval::Flag } else { Approval::Prompt };
        let digest = match digest {
            Some(digest) => {
                self.tell(&cleared);
                digest
            }
            None => self.confirm(&cleared, "say `staunch resume RUN --approve DIGEST`")?,
        };
        let by = operator(self.approving.by.as_deref());
        cleared.approve(Decision { digest, by, how }, &self.accept(&[])).or_fail(Exit::Refused)
    }

    /// Approves with a digest that was given.
    pub(crate) fn decide(&self, cleared: Cleared, digest: String, how: Approval) -> Result<Approved, Failure> {
        if how != Approval::Prompt {
            self.tell(&cleared);
        }
        let applied = runs::applied(&self.context.global.case);
        let by = operator(self.approving.by.as_deref());
        cleared.approve(Decision { digest, by, how }, &self.accept(&applied)).or_fail(Exit::Refused)
    }

    fn accept<'b>(&'b self, applied: &'b [String]) -> Accept<'b> {
        Accept {
            identity: self.connected.session.identity(),
            now: self.context.clock.now(),
            max_age: Duration::from_secs(self.approving.max_age.saturating_mul(60)),
            applied,
        }
    }
}

/// The name for the record: asserted, never proven.
pub(crate) fn operator(named: Option<&str>) -> String {
    let user = || env::var("USER").or_else(|_| env::var("USERNAME"));
    named.map(str::to_owned).or_else(|| user().ok()).unwrap_or_else(|| "unknown".to_owned())
}

/// Opens a run for an approved plan, runs it, and prints its report.
pub(crate) async fn fresh(approver: &Approver<'_>, approved: Approved) -> Result<Exit, Failure> {
    fresh_with_key(approver, approved).await.map(|(exit, _)| exit)
}

/// As `fresh`; gives also the key that was shown when the run began.
pub(crate) async fn fresh_with_key(approver: &Approver<'_>, approved: Approved) -> Result<(Exit, String), Failure> {
    let Approver { context, connected, approving } = *approver;
    skew::warn(context, connected);
    let header = RunHeader { authority: approving.authority.clone(), ..header(context, connected, approved.file()) };
    let keep = Keep::of(connected, approving.store.as_ref())?;
    // A claim is for good: only what can begin takes one.
    let room = room_for(approved.file().bytes().len(), approved.plan().changes().count());
    let case = Case::hold(&context.global.case, room).map_err(|error| not_begun(&error))?;
    runs::CutOff::refuse(case.folder(), approved.plan())?;
    keep.claim(&header, approved.file().digest()).await?;
    let playbook = approved.plan().playbook.as_ref().map(|playbook| playbook.text.clone().into_bytes());
    let journal = Journal::begin(case, &header, approved.file().bytes(), playbook.as_deref(), context.clock.clone())
        .map_err(|error| not_begun(&error))?;
    keep.note(journal.case_dir(), &header.run_id)?;
    let run_dir = journal.run_dir().to_owned();
    context.out.say(&format!("run {} in {}", header.run_id, run_dir.display()));
    note_elsewhere(context, "signed with a key of its own; note it outside of the folder", journal.anchor());
    custody::note(context, &run_dir, approving.by.as_deref(), Handling::Created);
    let key = journal.anchor().vkey.clone();
    let (exit, closed) = drive(context, connected, approved, journal, None).await?;
    Ok((keep.copy(context, &run_dir, approving.by.as_deref(), (exit, closed)).await, key))
}

/// Goes on with the run in `path`; `digest` approves it where it died before its approval was on record.
pub(crate) async fn resumed(
    approver: &Approver<'_>,
    path: &Path,
    file: PlanFile,
    digest: Option<String>,
    decisions: Decisions,
    give_up: bool,
) -> Result<Exit, Failure> {
    let Approver { context, connected, approving } = *approver;
    skew::warn(context, connected);
    let keep = Keep::again(connected, path, approving.store.as_ref())?;
    keep.claim(&History::load(path).or_fail(Exit::NotVerified)?.header, file.digest()).await?;
    let (journal, history) = reopen(context, path)?;
    keep.note(journal.case_dir(), &history.header.run_id)?;
    let (us, begun) = (connected.session.identity(), &history.header.identity);
    if !us.is_same_as(begun) {
        context.out.say(&format!("warning: the run was begun by {}; it goes on as {}", begun.who(), us.who()));
    }
    let approved = match Approved::resumed(file.clone(), &history) {
        Some(approved) => approved,
        None => approver.again(file, digest).await?,
    };
    note_elsewhere(context, "taken up again under a new key; note it too", journal.anchor());
    let by = operator(approving.by.as_deref());
    let resumption = Some(Resumption { history, by, decisions, give_up });
    let (exit, closed) = drive(context, connected, approved, journal, resumption).await?;
    Ok(keep.copy(context, path, approving.by.as_deref(), (exit, closed)).await)
}

/// Runs it; how it ended, and whether its record is closed.
async fn drive(
    context: &Context,
    connected: &Connected,
    approved: Approved,
    journal: Journal,
    resumption: Option<Resumption>,
) -> Result<(Exit, bool), Failure> {
    let key = journal.anchor().vkey.clone();
    let stop = Stop::default();
    let run_dir = journal.run_dir().to_owned();
    let resume = command(&["resume"], &run_dir, &[]);
    let listener = tokio::spawn(listen(context.out, Signals::new(), stop.clone(), resume));
    let plan = approved.plan().clone();
    let deps = Deps {
        session: connected.session.clone(),
        registry: REGISTRY,
        journal,
        clock: context.clock.clone(),
        progress: Arc::new(Live::new(context.out, plan.changes().count())),
        stop,
    };
    let matching_reads = context.global.verify.matching_reads();
    let give_up = resumption.as_ref().is_some_and(|resumption| resumption.give_up);
    let options = Options { matching_reads, give_up, ..Options::default() };
    let stopped = |error: EngineError| stopped::failure(&run_dir, &plan, &error);
    let ran = match resumption {
        None => engine::run(approved, deps, options).await,
        Some(Resumption { history, by, decisions, .. }) => {
            let taken_up = engine::take_up(approved, deps, options, &history, &by).await.map_err(stopped)?;
            let decided = decide::settle(context, taken_up, &by, &decisions).await?;
            let ready = decided.clear(&connected.protected).await.map_err(stopped)?;
            for caveat in ready.unseen().iter().filter(|caveat| !plan.caveats.contains(caveat)) {
                context.out.say(&json_for_terminal(&format!("BLIND: {}", caveat.text)));
            }
            ready.go_on().await
        }
    };
    listener.abort();
    let summary = ran.map_err(stopped)?;
    let report = Report::read_with(&run_dir, &Known::actions(&|id| REGISTRY.meta(id))).or_fail(Exit::NotVerified)?;
    let shown = context.out.data(&report, || report.terminal(context.out.width(), context.out.colors()));
    if let Some(anchor) = &report.status.anchor {
        note_elsewhere(context, "the record is signed; note the root outside of the folder", anchor);
    }
    if report.status.closed {
        custody::note(context, &run_dir, None, Handling::Sealed);
    }
    if !summary.left.is_empty() {
        let left: Vec<&str> = summary.left.keys().map(String::as_str).collect();
        context.out.say(&format!(
            "not made for now: {}; nothing of it is lost\n\
             (with --give-up what still cannot be made ends as failed, and the record is closed)",
            left.join(", ")
        ));
    }
    context.out.say(&format!("to check the record:\n  {}", command(&["audit", "verify"], &run_dir, &["--key", &key])));
    if !summary.is_closed() {
        context.out.say(&format!("to go on with the run:\n  {}", command(&["resume"], &run_dir, &[])));
    }
    context.out.say(&report.headline());
    let exit = match shown {
        Ok(()) => exit(&plan, &summary),
        // What could not be shown is on record all the same.
        Err(failure) => {
            context.out.failure(&failure);
            failure.exit
        }
    };
    Ok((exit, summary.is_closed()))
}

/// A command of this program about a run, as a shell takes it.
pub(crate) fn command(verbs: &[&str], run: &Path, more: &[&str]) -> String {
    let run = run.to_string_lossy();
    let words = [&["staunch"], verbs, &[&*run], more].concat();
    shlex::try_join(words.iter().copied()).unwrap_or_else(|_| words.join(" "))
}

/// Shows what proves the record to whoever noted it.
fn note_elsewhere(context: &Context, why: &str, anchor: &Anchor) {
    let Anchor { vkey, key_words, size, root, root_words } = anchor;
    context.out.say(&format!(
        "{why}\n  key   {vkey}\n        {key_words}\n  root  {root} ({size} lines)\n        {root_words}"
    ));
}

/// The first signal ends the run cleanly, a Ctrl-C after it at once; the journal is right either way.
async fn listen(out: crate::cli::output::Output, mut signals: Signals, stop: Stop, resume: String) {
    loop {
        let asked = signals.next().await;
        if !stop.requested() {
            out.say("ending: no new change is begun (Ctrl-C again stops at once)");
            stop.request();
        } else if asked == Asked::Interrupt {
            out.say(&format!("stopped at once; this settles what is not known:\n  {resume}"));
            #[expect(clippy::exit, reason = "the second Ctrl-C does not wait for anything")]
            std::process::exit(Exit::Interrupted as i32);
        }
    }
}

fn exit(plan: &Plan, summary: &Summary) -> Exit {
    if summary.interrupted {
        return Exit::Interrupted;
    }
    let unplanned = plan.items().any(|(_, item)| matches!(item, Item::Problem { .. } | Item::Refused { .. }));
    let all_hold = summary.is_closed() && summary.outcomes.values().all(|outcome| outcome.holds());
    if all_hold && !unplanned { Exit::Ok } else { Exit::NotContained }
}

fn header(context: &Context, connected: &Connected, file: &PlanFile) -> RunHeader {
    let plan = file.plan();
    let (mode, undo_of) = match &plan.mode {
        plan::Mode::Apply => (Mode::Apply, None),
        plan::Mode::Undo { run } => (Mode::Undo, Some(run.clone())),
    };
    let playbook = plan.playbook.as_ref().map(|playbook| PlaybookRef {
        id: playbook.id.clone(),
        version: playbook.version.clone(),
        sha256: playbook.sha256.clone(),
    });
    let case = std::path::absolute(&context.global.case).unwrap_or_else(|_| context.global.case.clone());
    RunHeader {
        format: RUN_FORMAT.to_owned(),
        run_id: uuid::Uuid::now_v7().to_string(),
        case: case.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default(),
        tool: program::tool(),
        host: program::host(),
        os_user: program::user(),
        started: context.clock.now(),
        time_zone: program::time_zone(),
        authority: None,
        mode,
        undo_of,
        tenant_id: plan.tenant_id.clone(),
        cloud: plan.cloud,
        identity: connected.session.identity().clone(),
        playbook,
        plan_sha256: sha256_hex(file.bytes()),
        plan_id: plan.id.clone(),
        command: program::command(),
    }
}

/// Why a run could not begin.
fn not_begun(error: &JournalError) -> Failure {
    Failure::of(Exit::CouldNotRun, error).hint("nothing was changed")
}

/// Opens the journal of a run that did not end; one that is closed cannot be resumed.
fn reopen(context: &Context, run: &Path) -> Result<(Journal, History), Failure> {
    Journal::reopen(run, context.clock.clone()).map_err(|error: JournalError| Failure::of(Exit::CouldNotRun, &error))
}
