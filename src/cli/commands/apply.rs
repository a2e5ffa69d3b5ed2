//! `apply`: runs exactly the plan of a file, after approval.

use crate::{
    cli::{
        Context,
        args::ApplyArgs,
        connect::connect,
        execute::{self, Approver},
        exit::{Exit, Failure, OrFail as _},
    },
    journal::Approval,
    plan::{PlanFile, PlanFileError},
};

pub(crate) async fn run(context: &Context, args: ApplyArgs) -> Result<Exit, Failure> {
    let file = load(&args)?;
    let connected = connect(context, Some(&file.plan().tenant_id)).await?;
    let approver = Approver { context, connected: &connected, approving: &args.approving };
    let cleared = approver.clear(file).await?;
    let approved = match args.approve {
        Some(digest) => approver.decide(cleared, digest, Approval::Flag)?,
        None => {
            super::plan::show(context, cleared.file())?;
            let plan = args.plan.display();
            approver.ask(cleared, &format!("read it, then say `staunch apply {plan} --approve DIGEST`"))?
        }
    };
    execute::fresh(&approver, approved).await
}

fn load(args: &ApplyArgs) -> Result<PlanFile, Failure> {
    match PlanFile::load(&args.plan) {
        Err(error @ PlanFileError::Io(_)) => Err(Failure::of(Exit::Usage, &error)),
        other => other.or_fail(Exit::Refused),
    }
}
