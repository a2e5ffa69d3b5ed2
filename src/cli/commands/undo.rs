//! `undo`: plans the way back of a run, and runs it like any other plan.

use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        args::UndoArgs,
        connect::connect,
        execute::{self, Approver},
        exit::{Exit, Failure, OrFail as _},
        planning, progress, runs,
    },
    plan::{self, PlanFile, UndoRecipe},
};

pub(crate) async fn run(context: &Context, args: UndoArgs) -> Result<Exit, Failure> {
    planning::new_file(args.out.as_deref())?;
    let (_, history) = runs::load(context, &args.run)?;
    let connected = connect(context, Some(&history.header.tenant_id)).await?;
    let here = &connected.session.identity().tenant_id;
    if *here != history.header.tenant_id {
        let message = format!("the run is of tenant {}, this is tenant {here}", history.header.tenant_id);
        return Err(Failure::new(Exit::Refused, message));
    }
    let overrides = planning::overrides(&args.overriding)?;
    let wait = progress::wait("reading the tenant");
    let with = UndoRecipe { now: context.clock.now(), protected: &connected.protected, overrides: &overrides };
    let (reader, trace) = connected.session.reader().traced();
    let plan = plan::undo(&history, REGISTRY, &reader, &with).await;
    drop(wait);
    let mut plan = plan.or_fail(Exit::Refused)?;
    runs::CutOff::guard(&context.global.case, &overrides, &mut plan);
    let file = PlanFile::freeze_with(plan, &trace.take()).or_fail(Exit::CouldNotRun)?;
    if let Some(path) = &args.out {
        file.save(path).or_fail(Exit::CouldNotRun)?;
        super::plan::show(context, &file)?;
        let (path, digest) = (path.display(), file.digest());
        context.out.say(&format!("written to {path}; to run it: staunch apply {path} --approve {digest}"));
        return Ok(super::plan::exit(file.plan()));
    }
    context.out.say(&plan::terminal(&file));
    let approver = Approver { context, connected: &connected, approving: &args.approving };
    let instead = "write it with `staunch undo RUN --out FILE`, then `staunch apply FILE --approve DIGEST`";
    let approved = approver.ask(approver.clear(file).await?, instead)?;
    execute::fresh(&approver, approved).await
}
