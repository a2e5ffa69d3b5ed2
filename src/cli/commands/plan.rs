//! `plan`: reads the tenant, prints what would be changed, and writes it to a file.

use std::collections::BTreeSet;

use serde_json::value::RawValue;

use crate::{
    cli::{
        Context,
        args::PlanArgs,
        connect::connect,
        exit::{Exit, Failure, OrFail as _},
        planning,
    },
    model::{Item, json_for_terminal},
    plan::{self, Plan, PlanFile},
};

pub(crate) async fn run(context: &Context, args: PlanArgs) -> Result<Exit, Failure> {
    planning::new_file(args.out.as_deref())?;
    let connected = connect(context, None).await?;
    let file = planning::make(context, &args.planning, &connected).await?;
    if let Some(path) = &args.out {
        file.save(path).or_fail(Exit::CouldNotRun)?;
    }
    show(context, &file)?;
    tell_problems(context, file.plan());
    if let Some(path) = &args.out {
        let (path, digest) = (path.display(), file.digest());
        context.out.say(&match exit(file.plan()) {
            Exit::NotContained => format!("written to {path} as {digest}; there is nothing in it to apply"),
            Exit::Ok => format!("written to {path}; to run it: staunch apply {path} --approve {digest}"),
            _ => format!("written to {path} as {digest}; it is REFUSED, as it says, and `apply` will not run it"),
        });
    }
    Ok(exit(file.plan()))
}

/// Whether guards and problems leave anything of a plan.
pub(crate) fn exit(plan: &Plan) -> Exit {
    let refused = !plan.blocked.is_empty() || plan.refused_whole().is_some();
    match refused {
        true => Exit::Refused,
        false if plan.plans_nothing() => Exit::NotContained,
        false => Exit::Ok,
    }
}

/// What could not be planned, each once, whatever many steps it stands in.
pub(crate) fn tell_problems(context: &Context, plan: &Plan) {
    let mut told = BTreeSet::new();
    for (step, item) in plan.items() {
        if let Item::Problem { subject, reason } = item
            && told.insert((subject.raw(), reason.as_str()))
        {
            let text = format!("PROBLEM in step {}: {}: {reason}", step.id, subject.term());
            context.out.say(&json_for_terminal(&text));
        }
    }
}

/// Prints a plan: as the file's own JSON, or in words.
pub(crate) fn show(context: &Context, file: &PlanFile) -> Result<(), Failure> {
    let json: Box<RawValue> = serde_json::from_slice(file.bytes())
        .map_err(|error| Failure::new(Exit::CouldNotRun, format!("failed to print the plan: {error}")))?;
    context.out.data(&json, || plan::terminal(file))
}
