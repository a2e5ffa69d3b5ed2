//! `resume`: goes on with a run that was interrupted or killed.

use crate::{
    cli::{
        Context,
        args::ResumeArgs,
        connect::connect,
        decide::Decisions,
        execute::{self, Approver},
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    journal::has_begun,
    plan::PlanFile,
};

pub(crate) async fn run(context: &Context, args: ResumeArgs) -> Result<Exit, Failure> {
    if !has_begun(&runs::find(context, &args.run)?) {
        let message = "the run died before its first line: nothing was changed, and there is nothing to resume";
        return Err(Failure::new(Exit::Refused, message).hint("apply its plan again"));
    }
    let (path, seen) = runs::load(context, &args.run)?;
    if seen.closed {
        return Err(Failure::new(Exit::Refused, "the run is closed: there is nothing to resume"));
    }
    let file = PlanFile::parse(seen.plan.clone()).or_fail(Exit::Refused)?;
    let decisions = Decisions::parse(&args.decisions, file.plan())?;
    let connected = connect(context, Some(&seen.header.tenant_id)).await?;
    let here = &connected.session.identity().tenant_id;
    if *here != seen.header.tenant_id {
        let message = format!("the run is of tenant {}, this is tenant {here}", seen.header.tenant_id);
        return Err(Failure::new(Exit::Refused, message));
    }
    let approver = Approver { context, connected: &connected, approving: &args.approving };
    execute::resumed(&approver, &path, file, args.approve, decisions, args.give_up).await
}
