//! What the verbs add to the custody log of the case: a run's record does not rest on it, so a log that cannot be
//! written is told and stops nothing.

use std::{env, fs, path::Path};

use super::{Context, execute::operator, exit::Failure, program};
use crate::{
    cli::exit::{Exit, OrFail as _},
    journal::{Custody, Handled, Handling, note_custody, sha256_hex},
    model::json_for_terminal,
};

/// Adds a line, or says why not.
pub(crate) fn note(context: &Context, run: &Path, by: Option<&str>, what: Handling) {
    if let Err(error) = add(context, run, by, what) {
        context.out.say(&format!("warning: {}", json_for_terminal(&error.message)));
    }
}

/// Adds a line. None where the run does not lie in a case.
pub(crate) fn add(context: &Context, run: &Path, by: Option<&str>, what: Handling) -> Result<Option<Custody>, Failure> {
    // Not every verb has a flag for the name.
    let named = env::var("STAUNCH_OPERATOR").ok();
    let handled =
        Handled { by: operator(by.or(named.as_deref())), host: program::host(), t: context.clock.now(), what };
    note_custody(run, handled).or_fail(Exit::CouldNotRun)
}

/// Notes that something was taken out of a run into a file.
pub(crate) fn exported(context: &Context, run: &Path, form: &str, file: &Path) {
    let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
    match fs::read(file) {
        Ok(bytes) => {
            let what = Handling::Exported { form: form.to_owned(), file: name, sha256: sha256_hex(&bytes) };
            note(context, run, None, what);
        }
        Err(error) => {
            let text = format!("warning: failed to read {} back for the custody log: {error}", file.display());
            context.out.say(&json_for_terminal(&text));
        }
    }
}
