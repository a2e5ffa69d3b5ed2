//! `audit verify` and `audit show`: whether a record holds, and what it says.

use std::{fs, path::Path};

use crate::{
    cli::{
        Context,
        args::{RunRef, VerifyArgs},
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    journal::{self, Line, Record, Trust, Verdict, Verification, Vkey},
    model::json_for_terminal,
};

pub(crate) fn verify(context: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let path = runs::find(context, &args.run.run)?;
    let trust = trust(&args.keys, args.policy.as_deref())?;
    let verification = journal::verify_with(&path, &trust);
    context.out.data(&verification, || words(&verification))?;
    Ok(if verification.verdict.is_good() { Exit::Ok } else { Exit::NotVerified })
}

/// Keys from the command line and from a policy.
pub(super) fn trust(keys: &[String], policy: Option<&Path>) -> Result<Trust, Failure> {
    let parse = |key: &String| {
        let parsed = key.trim().parse::<Vkey>();
        parsed.map_err(|error| Failure::usage(format!("--key {}: {error}", json_for_terminal(key))))
    };
    let given = Trust::keys(keys.iter().map(parse).collect::<Result<Vec<_>, _>>()?);
    let Some(path) = policy else {
        return Ok(given);
    };
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the policy {}: {error}", path.display())))?;
    Ok(given.and(Trust::policy(&text).or_fail(Exit::Usage)?))
}

fn words(verification: &Verification) -> String {
    let mut out = format!(
        "{}: {} records, last line's SHA-256 {}",
        verification.verdict.word(),
        verification.records,
        verification.head
    );
    if let Some(anchor) = &verification.anchor {
        out.push_str(&format!("\nkey   {}\n      {}", json_for_terminal(&anchor.vkey), anchor.key_words));
        out.push_str(&format!("\nroot  {}\n      {}", anchor.root, anchor.root_words));
    }
    for finding in &verification.findings {
        let line = finding.line.map(|line| format!(" line {line}")).unwrap_or_default();
        let path = finding.path.as_ref().map(|path| format!(" {}", json_for_terminal(path))).unwrap_or_default();
        let code = serde_json::to_value(finding.code).unwrap_or_default();
        let code = code.as_str().unwrap_or_default();
        out.push_str(&format!("\n  {code}{line}{path}: {}", json_for_terminal(&finding.text)));
    }
    out.push_str(match verification.verdict {
        Verdict::Authentic => "\nThe record is whole, and signed by the key that was given.",
        Verdict::Consistent => {
            "\nThe record is whole and signed, but NOT AUTHENTICATED: no key was given. Compare the key or the root above \
             with what was noted when the run began or ended, or give that key with --key."
        }
        Verdict::Open | Verdict::TornTail => {
            "\nThe run was not closed. What stands there fits together; whether lines are missing at the end cannot be \
             told."
        }
        Verdict::Broken => "\nThe record is not what was written.",
    });
    out
}

pub(crate) fn show(context: &Context, args: &RunRef) -> Result<Exit, Failure> {
    let (_, history) = runs::load(context, &args.run)?;
    let header = &history.header;
    context.out.data(&history.lines, || {
        let mut out = format!(
            "run {} on tenant {} by application {} as {}@{}",
            header.run_id,
            header.tenant_id,
            header.identity.app_id,
            json_for_terminal(&header.os_user),
            json_for_terminal(&header.host)
        );
        for line in &history.lines {
            out.push_str(&format!("\n{:>5}  {}  {}", line.seq, line.t, sentence(line)));
        }
        out
    })?;
    Ok(Exit::Ok)
}

/// One line of the record in words.
pub(super) fn sentence(line: &Line) -> String {
    let text = match &line.record {
        Record::RunOpened { plan_sha256, .. } => format!("run opened for plan file with SHA-256 {plan_sha256}"),
        Record::Approved { digest, by, how, overrides } => {
            let overridden = overrides.iter().map(|it| {
                let target = it.target.as_deref().map(|target| format!(" for {target}")).unwrap_or_default();
                format!("; guard {} overridden{target}: {}", it.guard, it.reason)
            });
            format!("plan {digest} approved by {by} ({how:?}){}", overridden.collect::<String>())
        }
        Record::StageStarted { stage } => format!("stage {stage} began"),
        Record::StageEnded { stage } => format!("stage {stage} was sent"),
        Record::Observed { change, error: Some(error), .. } => format!("{change} could not be read: {error}"),
        Record::Observed { change, state, purpose, .. } => {
            let state = state.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("{change} read ({purpose:?}): {state}")
        }
        Record::Sealed { change, file, owner, .. } => format!("{change} new secret of {owner} sealed in {file}"),
        Record::Intent { change, client_request_id, request, .. } => {
            format!("{change} about to send {} (client-request-id {client_request_id})", request.summary())
        }
        Record::Sent { change, outcome, status, reason, .. } => {
            let status = status.map(|status| format!(" {status}")).unwrap_or_default();
            format!("{change} sent: {outcome:?}{status} {}", reason.as_deref().unwrap_or_default())
        }
        Record::Reconciled { change, found, reason, .. } => format!("{change} looked for: {found:?}: {reason}"),
        Record::Decided { change, said, by, how } => format!("{change} decided by {by} ({how:?}): {said:?}"),
        Record::Verified { change, verdict, reads, waited_ms, .. } => {
            format!("{change} read again {reads} times in {waited_ms} ms: {verdict:?}")
        }
        Record::Ended { change, outcome, reason, .. } => format!("{change} {}: {reason}", outcome.word()),
        Record::Resumed { records, by, .. } => format!("resumed by {by} after {records} records"),
        Record::Interrupted { reason } => format!("interrupted: {reason}"),
        Record::Closed { outcomes, .. } => format!("closed: {outcomes:?}"),
    };
    json_for_terminal(text.trim_end())
}
