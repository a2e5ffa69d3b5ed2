//! `run`: plan, approve and apply in one sitting.

use crate::cli::{
    Context,
    args::RunArgs,
    connect::connect,
    execute::{self, Approver},
    exit::{Exit, Failure},
    planning,
};

pub(crate) async fn run(context: &Context, args: RunArgs) -> Result<Exit, Failure> {
    let connected = connect(context, None).await?;
    let file = planning::make(context, &args.planning, &connected).await?;
    context.out.say(&crate::plan::terminal(&file));
    let approver = Approver { context, connected: &connected, approving: &args.approving };
    let instead = "write it with `staunch plan … --out FILE`, then `staunch apply FILE --approve DIGEST`";
    let approved = approver.ask(approver.clear(file).await?, instead)?;
    execute::fresh(&approver, approved).await
}
