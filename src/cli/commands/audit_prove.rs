//! `audit prove` and `audit check-proof`: one line of a record, shown to somebody who is not to see the rest.

use std::{
    fs::{self, File},
    io::Write as _,
};

use super::audit::{sentence, trust};
use crate::{
    cli::{
        Context,
        args::{CheckProofArgs, ProveArgs},
        custody,
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    journal::{self, ProofError},
    model::json_for_terminal,
};

pub(crate) fn prove(context: &Context, args: &ProveArgs) -> Result<Exit, Failure> {
    let path = runs::find(context, &args.run.run)?;
    let proof = match journal::prove(&path, args.seq) {
        Err(error @ ProofError::NoLine { .. }) => return Err(Failure::of(Exit::Usage, &error)),
        proof => proof.or_fail(Exit::NotVerified)?,
    };
    let Some(out) = &args.out else {
        context.out.text(&proof)?;
        return Ok(Exit::Ok);
    };
    let written = File::create_new(out).and_then(|mut file| file.write_all(proof.as_bytes()));
    written.map_err(|error| {
        Failure::new(Exit::CouldNotRun, format!("failed to write the proof {}: {error}", out.display()))
    })?;
    custody::exported(context, &path, "a proof of one line", out);
    context.out.say(&format!("written to {}; to check it: staunch audit check-proof FILE --key VKEY", out.display()));
    Ok(Exit::Ok)
}

pub(crate) fn check(context: &Context, args: &CheckProofArgs) -> Result<Exit, Failure> {
    let trust = trust(&args.keys, args.policy.as_deref())?;
    let proof = fs::read_to_string(&args.proof)
        .map_err(|error| Failure::usage(format!("failed to read the proof {}: {error}", args.proof.display())))?;
    let proven = journal::check_proof(&proof, &trust).or_fail(Exit::NotVerified)?;
    context.out.data(&proven, || {
        let line = &proven.line;
        format!(
            "holds: line {} of {}, one of {} that were signed by\n{}\n{:>5}  {}  {}",
            line.seq,
            json_for_terminal(&proven.origin),
            proven.size,
            json_for_terminal(&proven.vkey),
            line.seq,
            line.t,
            sentence(line)
        )
    })?;
    Ok(Exit::Ok)
}
