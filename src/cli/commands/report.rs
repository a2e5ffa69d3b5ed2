//! `report`: the incident report of a run, from its folder alone; or its export for another program.

use std::{fs, path::Path};

use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        args::{ExportForm, ReportArgs},
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    model::json_for_terminal,
    report::{
        Report,
        export::{Export, Noted, noted},
    },
};

pub(crate) fn run(context: &Context, args: &ReportArgs) -> Result<Exit, Failure> {
    let path = runs::find(context, &args.run)?;
    if let Some(form) = args.export {
        return export(context, &path, form, args.noted.as_deref());
    }
    let report = Report::read(&path).or_fail(Exit::NotVerified)?;
    if args.markdown {
        context.out.text(&report.markdown())?;
    } else {
        context.out.data(&report, || report.terminal(context.out.width(), context.out.colors()))?;
    }
    Ok(Exit::Ok)
}

fn export(context: &Context, run: &Path, form: ExportForm, file: Option<&Path>) -> Result<Exit, Failure> {
    let export = Export::read(run).or_fail(Exit::NotVerified)?;
    let noted = file.map(read_noted).transpose()?.unwrap_or_default();
    for finding in export.lint(&noted) {
        context.out.say(&format!("warning: {}", json_for_terminal(&finding.text)));
    }
    context.out.text(&match form {
        ExportForm::Ocsf => export.ocsf(&|action| REGISTRY.get(action).map(|action| action.meta())),
        ExportForm::Timesketch => export.timesketch(&noted),
    })?;
    Ok(Exit::Ok)
}

fn read_noted(path: &Path) -> Result<Vec<Noted>, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the noted events {}: {error}", path.display())))?;
    noted(&text).or_fail(Exit::Usage)
}
