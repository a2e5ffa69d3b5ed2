//! `check`: every error and lint of playbooks, without a tenant; a good one as CACAO.

use std::{
    fs,
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use serde_json::json;

use crate::{
    actions::REGISTRY,
    cacao,
    cli::{
        Context,
        args::CheckArgs,
        derived,
        exit::{Exit, Failure, OrFail as _},
    },
    playbook::{self, Diagnostic},
};

pub(crate) fn run(context: &Context, args: &CheckArgs) -> Result<Exit, Failure> {
    if let Some(file) = &args.cacao {
        let [playbook] = args.playbooks.as_slice() else {
            return Err(Failure::usage("failed to export: --cacao takes one playbook")
                .hint("to write it to a file, say --cacao=FILE, in one word"));
        };
        return export(context, playbook, file.as_ref(), args.dated);
    }
    let mut all: Vec<Diagnostic> = Vec::new();
    let mut words = Vec::new();
    let mut bad = 0_usize;
    for path in &args.playbooks {
        let name = path.display().to_string();
        let text = read(path)?;
        let (diagnostics, verdict) = match playbook::parse(&name, &text, &REGISTRY) {
            Ok((playbook, lints)) => {
                let verdict =
                    format!("{name}: good ({} {}), {} warnings", playbook.id(), playbook.version(), lints.len());
                (lints, verdict)
            }
            Err(errors) => {
                bad += 1;
                let verdict = format!("{name}: {} errors", errors.len());
                (errors, verdict)
            }
        };
        words.extend(diagnostics.iter().map(|diagnostic| diagnostic.render(context.out.colors())));
        words.push(verdict);
        all.extend(diagnostics);
    }
    context.out.data(&json!({ "bad": bad, "diagnostics": all }), || words.join("\n"))?;
    Ok(if bad == 0 { Exit::Ok } else { Exit::Usage })
}

fn read(path: &Path) -> Result<String, Failure> {
    let name = path.display();
    fs::read_to_string(path).map_err(|error| Failure::usage(format!("failed to read the playbook {name}: {error}")))
}

/// The playbook as CACAO 2.0. Its time is that of the playbook's file, so that the same file gives the same export.
fn export(context: &Context, path: &Path, file: Option<&PathBuf>, dated: Option<Timestamp>) -> Result<Exit, Failure> {
    let name = path.display().to_string();
    let text = read(path)?;
    let said = |found: &[Diagnostic]| {
        found.iter().for_each(|it| context.out.say(&it.render(context.out.colors_on_stderr())));
    };
    let playbook = match playbook::parse(&name, &text, &REGISTRY) {
        Ok((playbook, lints)) => {
            said(&lints);
            playbook
        }
        Err(errors) => {
            said(&errors);
            return Ok(Exit::Usage);
        }
    };
    let modified = || fs::metadata(path).and_then(|it| it.modified()).ok().and_then(|at| Timestamp::try_from(at).ok());
    let dated = dated.or_else(modified).unwrap_or_else(|| context.clock.now());
    let exported = cacao::export(&playbook, REGISTRY, dated).or_fail(Exit::CouldNotRun)?;
    let Some(file) = file else {
        context.out.data(&exported, || format!("{exported:#}"))?;
        return Ok(Exit::Ok);
    };
    derived::write(file, &format!("{exported:#}"))?;
    context.out.say(&format!("written to {}", file.display()));
    Ok(Exit::Ok)
}
