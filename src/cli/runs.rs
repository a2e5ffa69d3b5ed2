//! Runs of a case: finding one by its folder or id, which plans were applied already, and which run has to be resumed
//! before anything else is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    cli::{
        Context,
        execute::command,
        exit::{Exit, Failure, OrFail as _},
    },
    journal::{History, has_begun},
    model::{Override, Refusal, json_for_terminal},
    plan::{Guard, Overrides, Plan, PlanFile},
};

/// The folder of a run that was given as a path, an id, or the beginning of one.
pub(crate) fn find(context: &Context, run: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(run);
    if is_run(path) {
        return Ok(path.to_owned());
    }
    let runs = context.global.case.join("runs");
    let mut fitting = ids(&runs).into_iter().filter(|id| id.starts_with(run));
    match (fitting.next(), fitting.next()) {
        (Some(id), None) => Ok(runs.join(id)),
        (Some(_), Some(_)) => Err(Failure::usage(format!("more than one run begins with {run}"))),
        _ => Err(Failure::usage(format!("there is no run {run}, neither as a folder nor in {}", runs.display()))
            .hint("say --case DIR if the case is elsewhere")),
    }
}

/// Whether this is a run's folder.
pub(crate) fn is_run(path: &Path) -> bool {
    path.join("run.json").is_file()
}

/// The id of the case's newest run: ids begin with the time.
#[cfg(feature = "demo")]
pub(crate) fn newest(context: &Context) -> Result<String, Failure> {
    let newest = ids(&context.global.case.join("runs")).pop();
    newest.ok_or_else(|| Failure::new(Exit::CouldNotRun, "the case has no run"))
}

/// Reads a run's folder.
pub(crate) fn load(context: &Context, run: &str) -> Result<(PathBuf, History), Failure> {
    let path = find(context, run)?;
    let history = History::load(&path).or_fail(Exit::NotVerified)?;
    Ok((path, history))
}

/// Digests of the plans that this case has runs of.
pub(crate) fn applied(case: &Path) -> Vec<String> {
    begun(case).map(|(_, digest)| digest).collect()
}

/// The runs of a case with the digests of their plans. A run that died before its first line applied nothing.
fn begun(case: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    let runs = case.join("runs");
    let begun = ids(&runs).into_iter().map(move |id| runs.join(id)).filter(|run| has_begun(run));
    begun.filter_map(|run| PlanFile::load(&run.join("plan.json")).ok().map(|file| (run, file.digest().to_owned())))
}

/// Refuses a plan that the case has a run of, and says which and what can be done with it.
pub(crate) fn not_begun_before(case: &Path, digest: &str) -> Result<(), Failure> {
    let Some((run, _)) = begun(case).find(|(_, of)| of == digest) else {
        return Ok(());
    };
    let id = run.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let is_closed = History::salvage(&run).is_ok_and(|history| history.closed);
    let (message, hint) = match is_closed {
        true => ("it was applied before", "plan again; what that run did is taken back by".to_owned()),
        false => ("it was begun before, and is not at its end", "go on with".to_owned()),
    };
    let verb = if is_closed { "undo" } else { "resume" };
    let failure = Failure::new(Exit::Refused, format!("failed to apply the plan: {message}, in run {id}"));
    Err(failure.hint(format!("nothing was sent; {hint} `{}`", command(&[verb], &run, &[]))))
}

/// A run that was cut off in the middle of calls: nobody knows whether these took effect. What is made on top of it may
/// do the same a second time, a password for one.
pub(crate) struct CutOff {
    id: String,
    changes: Vec<String>,
}

impl CutOff {
    /// Those of a case.
    pub(crate) fn of(case: &Path) -> Vec<Self> {
        let runs = case.join("runs");
        let cut_off = |id: String| {
            let history = History::salvage(&runs.join(&id)).ok()?;
            let changes: Vec<String> = history.under_way().into_iter().map(str::to_owned).collect();
            (!history.closed && !changes.is_empty()).then_some(Self { id, changes })
        };
        ids(&runs).into_iter().filter_map(cut_off).collect()
    }

    fn refusal(&self) -> Refusal {
        let (id, changes) = (&self.id, self.changes.join(", "));
        let reason = format!(
            "run {id} was cut off in the middle of {changes}, and nobody knows what became of it: `staunch resume {id}` \
             first, or plan again with --override {} --reason TEXT",
            Guard::OpenRun.name()
        );
        Guard::OpenRun.refuses(json_for_terminal(&reason))
    }

    fn is_overridden(&self, overrides: &[Override]) -> bool {
        overrides.iter().any(|it| it.guard == Guard::OpenRun.name() && it.target.as_ref() == Some(&self.id))
    }

    /// Refuses a new plan as a whole for each of them, unless that is overridden.
    pub(crate) fn guard(case: &Path, overrides: &Overrides, plan: &mut Plan) {
        for run in Self::of(case) {
            let refusal = run.refusal();
            match overrides.record(&refusal, Some(run.id)) {
                Some(record) => plan.overrides.push(record),
                None => plan.blocked.push(refusal),
            }
        }
    }

    /// Refuses a plan that was made before they were cut off.
    pub(crate) fn refuse(case: &Path, plan: &Plan) -> Result<(), Failure> {
        match Self::of(case).into_iter().find(|run| !run.is_overridden(&plan.overrides)) {
            Some(run) => {
                let Refusal { guard, reason } = run.refusal();
                Err(Failure::new(Exit::Refused, format!("failed to apply the plan: {guard}: {reason}")))
            }
            None => Ok(()),
        }
    }
}

/// The folders of the runs that lie beside a run, this one among them.
pub(crate) fn beside(run: &Path) -> Vec<PathBuf> {
    let run = run.canonicalize().unwrap_or_else(|_| run.to_owned());
    let Some(runs) = run.parent().filter(|runs| runs.ends_with("runs")) else {
        return Vec::new();
    };
    ids(runs).into_iter().map(|id| runs.join(id)).collect()
}

fn ids(runs: &Path) -> Vec<String> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    ids.sort();
    ids
}
