//! Runs of a case: finding one by its folder or id, and which plans were applied already.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    cli::{
        Context,
        exit::{Exit, Failure, OrFail as _},
    },
    journal::{History, has_begun},
    plan::PlanFile,
};

/// The folder of a run that was given as a path, an id, or the beginning of one.
pub(crate) fn find(context: &Context, run: &str) -> Result<PathBuf, Failure> {
    let path = Path::new(run);
    if path.join("run.json").is_file() {
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

/// Digests of the plans that this case has runs of. A run that died before its first line applied nothing.
pub(crate) fn applied(case: &Path) -> Vec<String> {
    let runs = case.join("runs");
    let begun = ids(&runs).into_iter().map(|id| runs.join(id)).filter(|run| has_begun(run));
    begun.filter_map(|run| PlanFile::load(&run.join("plan.json")).ok()).map(|file| file.digest().to_owned()).collect()
}

fn ids(runs: &Path) -> Vec<String> {
    let entries = fs::read_dir(runs).into_iter().flatten().flatten();
    let mut ids: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
    ids.sort();
    ids
}
