//! `report`: the incident report of a run, from its folder alone, for a reader and in a form; or its export for another
//! program.

use std::{fs, path::Path};

use serde::Serialize;

use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        args::{ReportArgs, ReportForm},
        custody, derived,
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    journal::Verdict,
    model::{Meta, json_for_terminal},
    report::{
        Audience, Known, Report,
        export::{Export, Noted, noted},
    },
};

pub(crate) fn run(context: &Context, args: &ReportArgs) -> Result<Exit, Failure> {
    check_name(args)?;
    let form = match args.form {
        None if args.markdown => Some(ReportForm::Markdown),
        None if context.out.is_json() => Some(ReportForm::Json),
        form => form,
    };
    let audience = Audience::from(args.audience);
    check_reader(form, audience)?;
    let path = runs::find(context, &args.run)?;
    let noted = args.noted.as_deref().map(read_noted).transpose()?.unwrap_or_default();
    let known = Known { meta: &meta, noted: &noted, marking: Some(args.tlp.label()) };
    let export = Export::read_with(&path, &known).or_fail(Exit::NotVerified)?;
    for finding in &export.report().timeline_findings {
        context.out.say(&format!("warning: {}", finding.text.line()));
    }
    let report = export.report();
    let text = match form {
        None => report.terminal_for(audience, context.out.width(), context.out.colors() && args.out.is_none()),
        Some(ReportForm::Markdown) => report.markdown_for(audience),
        Some(ReportForm::Html) => report.html(audience).or_fail(Exit::CouldNotRun)?,
        Some(ReportForm::Json) => json(report, audience)?,
        Some(ReportForm::Ocsf) => export.ocsf(&meta),
        Some(ReportForm::Timesketch) => export.timesketch(&meta),
    };
    match &args.out {
        None => context.out.text(&text)?,
        Some(file) => {
            derived::write(file, &text)?;
            custody::exported(context, &path, words(form), file);
            let shown = file.display();
            context.out.say(&format!("written to {shown}; it is derived from the run's folder, and no evidence"));
        }
    }
    if report.status.verdict == Verdict::Broken {
        let run = &args.run;
        context.out.say(&format!("warning: the record does not verify; `staunch audit verify {run}` says in what"));
        return Ok(Exit::NotVerified);
    }
    Ok(Exit::Ok)
}

/// What was written, for the custody log.
fn words(form: Option<ReportForm>) -> &'static str {
    match form {
        Some(ReportForm::Ocsf) => "an export for OCSF",
        Some(ReportForm::Timesketch) => "an export for Timesketch",
        _ => "a report",
    }
}

/// Timesketch knows a file of events by its ending.
fn check_name(args: &ReportArgs) -> Result<(), Failure> {
    let named = |out: &Path| out.extension().is_some_and(|ending| ending == "jsonl");
    match (&args.out, args.form) {
        (Some(out), Some(ReportForm::Timesketch)) if !named(out) => {
            Err(Failure::usage(format!("failed to write {}: Timesketch takes files that end in .jsonl", out.display())))
        }
        _ => Ok(()),
    }
}

/// What is data holds everything, whoever reads it; only the fields of a notification are made of it.
fn check_reader(form: Option<ReportForm>, audience: Audience) -> Result<(), Failure> {
    let makes_a_difference = match form {
        None | Some(ReportForm::Markdown | ReportForm::Html) => true,
        Some(ReportForm::Json) => matches!(audience, Audience::Technical | Audience::Regulator),
        Some(ReportForm::Ocsf | ReportForm::Timesketch) => audience == Audience::Technical,
    };
    if makes_a_difference {
        return Ok(());
    }
    Err(Failure::usage("failed to make the report: this form holds everything, and no --audience changes that")
        .hint("leave --audience out, or make a report for this reader with --as html or --as markdown"))
}

fn meta(action: &str) -> Option<&'static Meta> {
    REGISTRY.meta(action)
}

fn json(report: &Report, audience: Audience) -> Result<String, Failure> {
    match audience {
        Audience::Regulator => match (report.notification(), &report.status.undo_of) {
            (Some(fields), _) => pretty(&fields),
            (None, undone) => Err(Failure::usage("failed to make a notification: an undo mitigates nothing").hint(
                format!("report the run that it takes back, {}", undone.as_deref().unwrap_or("which is not named")),
            )),
        },
        _ => pretty(report),
    }
}

fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    let json = serde_json::to_string_pretty(value);
    let json = json.map_err(|error| Failure::new(Exit::CouldNotRun, format!("failed to write JSON: {error}")))?;
    Ok(json_for_terminal(&json))
}

fn read_noted(path: &Path) -> Result<Vec<Noted>, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the noted events {}: {error}", path.display())))?;
    noted(&text).or_fail(Exit::Usage)
}
