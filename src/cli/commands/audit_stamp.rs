//! `audit stamp`: the time stamp of an authority over a run's seal (RFC 3161).

use super::audit::roots;
use crate::{
    cli::{
        Context,
        args::StampArgs,
        custody,
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    client::post,
    journal::{Handling, LARGEST_STAMP, StampError, attach_stamp, seal_of, stamp_request},
};

pub(crate) async fn run(context: &Context, args: &StampArgs) -> Result<Exit, Failure> {
    let path = runs::find(context, &args.run.run)?;
    let roots = args.tsa_roots.as_deref().map(roots).transpose()?;
    let seal = seal_of(&path).or_fail(Exit::Refused)?;
    let nonce = rand::random();
    let request = stamp_request(&seal, &nonce).or_fail(Exit::CouldNotRun)?;
    let clock = context.clock.clone();
    let answer = post(&args.tsa, "application/timestamp-query", request, LARGEST_STAMP, clock).await;
    let answer = answer.or_fail(Exit::CouldNotRun)?;
    let stamp = match attach_stamp(&path, &answer, Some(&nonce), roots.as_ref()) {
        Err(error @ (StampError::Run(_) | StampError::Journal(_) | StampError::Refused { .. })) => {
            return Err(Failure::of(Exit::CouldNotRun, &error));
        }
        stamp => stamp.or_fail(Exit::NotVerified)?,
    };
    let what = Handling::Stamped { time: stamp.time, authority: stamp.authority.clone() };
    custody::note(context, &path, args.by.as_deref(), what);
    context.out.data(&stamp, || {
        let anchored =
            if stamp.is_anchored { "" } else { "\nNo root was given (--tsa-roots): nobody vouches for it yet." };
        format!("the seal existed no later than {}, says {}{anchored}", stamp.time, stamp.authority)
    })?;
    Ok(Exit::Ok)
}
