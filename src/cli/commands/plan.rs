//! `plan`: reads the tenant, prints what would be changed, and writes it to a file.

use serde_json::value::RawValue;

use crate::{
    cli::{
        Context,
        args::PlanArgs,
        connect::connect,
        exit::{Exit, Failure, OrFail as _},
        planning,
    },
    plan::{self, Plan, PlanFile},
};

pub(crate) async fn run(context: &Context, args: PlanArgs) -> Result<Exit, Failure> {
    let connected = connect(context, None).await?;
    let file = planning::make(context, &args.planning, &connected).await?;
    if let Some(path) = &args.out {
        file.save(path).or_fail(Exit::CouldNotRun)?;
    }
    show(context, &file)?;
    if let Some(path) = &args.out {
        let (path, digest) = (path.display(), file.digest());
        context.out.say(&match exit(file.plan()) {
            Exit::Ok => format!("written to {path}; to run it: staunch apply {path} --approve {digest}"),
            _ => format!("written to {path} as {digest}; it is REFUSED, as it says, and `apply` will not run it"),
        });
    }
    Ok(exit(file.plan()))
}

/// Whether guards leave anything of a plan.
pub(crate) fn exit(plan: &Plan) -> Exit {
    let refused = !plan.blocked.is_empty() || plan.refused_whole().is_some();
    if refused { Exit::Refused } else { Exit::Ok }
}

/// Prints a plan: as the file's own JSON, or in words.
pub(crate) fn show(context: &Context, file: &PlanFile) -> Result<(), Failure> {
    let json: Box<RawValue> = serde_json::from_slice(file.bytes())
        .map_err(|error| Failure::new(Exit::CouldNotRun, format!("failed to print the plan: {error}")))?;
    context.out.data(&json, || plan::terminal(file))
}
