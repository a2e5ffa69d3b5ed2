//! `demo`: the whole way on the embedded tenant, from the talk's incident to a verified report.

use std::{collections::BTreeMap, fmt::Write as _};

use serde_json::json;

use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        args::{Approving, DemoArgs},
        commands::audit::trust,
        connect::{Connected, embedded},
        execute::{self, Approver},
        exit::{Exit, Failure, OrFail as _},
        planning::Prepared,
        runs,
    },
    journal::{self, Approval, History, Verdict},
    model::json_for_terminal,
    plan::{self, Discovery, Guard, Overrides, Picks, PlanFile, Selection, UndoRecipe},
    playbook,
};

const PLAYBOOK: &str = include_str!("../../../playbooks/aitm-account-takeover.yaml");

pub(crate) async fn run(context: &Context, args: DemoArgs) -> Result<Exit, Failure> {
    let connected = embedded(context, &args.scenario).await?;
    let approving = Approving { by: Some("demo".to_owned()), authority: None, max_age: 60, store: None };
    let approver = Approver { context, connected: &connected, approving: &approving };

    let file = plan(context, &connected).await?;
    context.out.say(&plan::terminal(&file));
    let (exit, key) = apply(&approver, file).await?;
    let run = runs::newest(context)?;
    verify(context, &run, key)?;
    if args.undo {
        undo(context, &approver, &run).await?;
    }
    context.out.say(&changed(&connected, args.undo));
    context.out.say(&format!("Look further:\n  staunch audit show {run}\n  staunch report {run} --markdown"));
    Ok(exit)
}

/// The plan of the shipped playbook for the scenario's victims; what the scenario planted is picked.
async fn plan(context: &Context, connected: &Connected) -> Result<PlanFile, Failure> {
    let Some(embedded) = &connected.embedded else {
        return Err(Failure::usage("the demo needs the embedded tenant"));
    };
    let incident = embedded.tenant.incident();
    let parsed = playbook::parse("aitm-account-takeover.yaml", PLAYBOOK, &REGISTRY);
    let (playbook, _) =
        parsed.map_err(|errors| Failure::usage(format!("the shipped playbook has {} errors", errors.len())))?;
    let values = BTreeMap::from([
        ("users".to_owned(), json!(incident.victims)),
        ("incident_start".to_owned(), json!(incident.start.to_string())),
    ]);
    let bound = playbook
        .bind(&values)
        .map_err(|errors| Failure::usage(errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")))?;
    let planted: Vec<String> = incident.rogue.iter().map(|object| object.id.clone()).collect();
    let overrides = Overrides::default().with(Guard::Irreversible, "the rehearsal removes what its scenario planted");
    let prepared = Prepared { overrides, ..Prepared::new(bound, PLAYBOOK.to_owned()) };
    prepared.plan(context, connected, |discovery| Ok(pick_planted(discovery, &planted))).await
}

fn pick_planted(discovery: &Discovery, planted: &[String]) -> Picks {
    let pick = |question: plan::Question| {
        let ids = question.candidates.into_iter().map(|candidate| candidate.target.id);
        (question.step, Selection::Ids(ids.filter(|id| planted.contains(id)).collect()))
    };
    discovery.questions().into_iter().map(pick).collect()
}

async fn apply(approver: &Approver<'_>, file: PlanFile) -> Result<(Exit, String), Failure> {
    let digest = file.digest().to_owned();
    let approved = approver.decide(approver.clear(file).await?, digest, Approval::Demo)?;
    execute::fresh_with_key(approver, approved).await
}

/// Checks the record against the key that was shown when the run began, as somebody who noted it would.
fn verify(context: &Context, run: &str, key: String) -> Result<(), Failure> {
    let path = runs::find(context, run)?;
    let verification = journal::verify_with(&path, &trust(&[key], None)?);
    if verification.verdict != Verdict::Authentic {
        let verdict = verification.verdict;
        return Err(Failure::new(verdict.into(), format!("the record of run {run} is {verdict}, not authentic")));
    }
    context.out.say(&format!("audit verify: {} ({} records)", verification.verdict.word(), verification.records));
    Ok(())
}

async fn undo(context: &Context, approver: &Approver<'_>, run: &str) -> Result<(), Failure> {
    let history = History::load(&runs::find(context, run)?).or_fail(Exit::NotVerified)?;
    let (reader, trace) = approver.connected.session.reader().traced();
    let (protected, overrides) = (&approver.connected.protected, &Overrides::default());
    let with = UndoRecipe { now: context.clock.now(), protected, overrides };
    let plan = plan::undo(&history, REGISTRY, &reader, &with).await.or_fail(Exit::CouldNotRun)?;
    let file = PlanFile::freeze_with(plan, &trace.take()).or_fail(Exit::CouldNotRun)?;
    context.out.say(&plan::terminal(&file));
    apply(approver, file).await.map(drop)
}

/// What differs from the seed, by the tenant's own account.
fn changed(connected: &Connected, undone: bool) -> String {
    let differences = connected.embedded.as_ref().map(|embedded| embedded.tenant.diff_from_seed()).unwrap_or_default();
    let when = if undone { "after the undo" } else { "after the run" };
    let mut out = format!("\nWhat the tenant itself shows as changed {when} ({} properties):\n", differences.len());
    for difference in differences {
        let line = format!("{}: {} → {}", difference.path, difference.before, difference.after);
        writeln!(out, "  {}", json_for_terminal(&line)).unwrap_or_default();
    }
    out
}
