//! `audit verify` and `audit show`: whether a record holds, and what it says.

use std::{fs, path::Path};

use crate::{
    cli::{
        Context,
        args::{RunRef, VerifyArgs},
        custody,
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    journal::{
        self, AllowedSigners, ClockOffset, Handling, Line, Mode, Record, StampRoots, Subject, Trust, Verdict,
        Verification, Vkey, verify::Code,
    },
    model::{Untrusted, json_for_terminal},
};

pub(crate) fn verify(context: &Context, args: &VerifyArgs) -> Result<Exit, Failure> {
    let path = runs::find(context, &args.run.run)?;
    let mut trust = trust(&args.keys, args.policy.as_deref())?;
    for root in &args.roots {
        let root = Trust::root(root.trim());
        trust = trust.and(root.map_err(|error| Failure::usage(format!("--root: {error}")))?);
    }
    if let Some(file) = &args.allowed_signers {
        trust = trust.and(Trust::signers(signers(file)?));
    }
    if let Some(file) = &args.tsa_roots {
        trust = trust.and(Trust::stamp_roots(roots(file)?));
    }
    if let Some(tenant) = &args.tenant_id {
        trust = trust.and(Trust::tenant(tenant));
    }
    let verification = journal::verify_with(&path, &trust);
    let exit = judged(context, &verification)?;
    let Some(by) = &args.note_as else {
        return Ok(exit);
    };
    // The verdict is told, whatever becomes of the note.
    let noted = custody::add(context, &path, Some(by), Handling::Verified { verdict: verification.verdict });
    Ok(match noted {
        Ok(_) => exit,
        Err(failure) => {
            context.out.failure(&failure);
            if exit == Exit::Ok { Exit::CouldNotRun } else { exit }
        }
    })
}

/// Prints a verification; how it ends.
pub(super) fn judged(context: &Context, verification: &Verification) -> Result<Exit, Failure> {
    context.out.data(verification, || words(verification))?;
    Ok(verification.verdict.into())
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

fn signers(path: &Path) -> Result<AllowedSigners, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the allowed signers {}: {error}", path.display())))?;
    AllowedSigners::parse(&text).or_fail(Exit::Usage)
}

/// The certificates of a file.
pub(super) fn roots(path: &Path) -> Result<StampRoots, Failure> {
    let text = fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the roots {}: {error}", path.display())))?;
    StampRoots::pem(&text).or_fail(Exit::Usage)
}

fn clock(offset: &ClockOffset) -> String {
    let ClockOffset { least_ms, most_ms, is_steady, answers } = offset;
    let unsteady =
        if *is_steady { "" } else { "; no one offset fits them all: a clock was set, or the servers' differ" };
    format!("\nclock the tenant's minus ours: {least_ms} to {most_ms} ms, by {answers} of its answers{unsteady}")
}

/// Whose run it is and when it was; what a broken record says of itself may not be true.
fn subject(subject: &Subject, verdict: Verdict) -> String {
    let Subject { run_id, case, tenant_id, cloud, app_id, object_id, started, .. } = subject;
    let back = if subject.mode == Mode::Undo { ", an undo" } else { "" };
    let who = subject.user_principal_name.as_ref().unwrap_or(object_id);
    let last = subject.last.map(|last| format!(" to {last:.0}")).unwrap_or_default();
    let says = if verdict == Verdict::Broken { " (as run.json says, which may not be true)" } else { "" };
    let of = format!("{run_id} of case {case}{back}, {started:.0}{last}{says}");
    let by = format!("{tenant_id} ({}), by {who} with application {app_id}", cloud.word());
    format!("\nrun   {}\non    tenant {}", json_for_terminal(&of), json_for_terminal(&by))
}

fn words(verification: &Verification) -> String {
    let mut out = format!(
        "{}: {} records, last line's SHA-256 {}",
        verification.verdict.word(),
        verification.records,
        verification.head
    );
    if let Some(it) = &verification.subject {
        out.push_str(&subject(it, verification.verdict));
    }
    if let Some(anchor) = &verification.anchor {
        out.push_str(&format!("\nkey   {}\n      {}", json_for_terminal(&anchor.vkey), anchor.key_words));
        out.push_str(&format!("\nroot  {}\n      {}", anchor.root, anchor.root_words));
    }
    if let Some(offset) = &verification.clock {
        out.push_str(&clock(offset));
    }
    for finding in &verification.findings {
        let line = finding.line.map(|line| format!(" line {line}")).unwrap_or_default();
        let path = finding.path.as_ref().map(|path| format!(" {}", json_for_terminal(path))).unwrap_or_default();
        let code = serde_json::to_value(finding.code).unwrap_or_default();
        let code = code.as_str().unwrap_or_default();
        out.push_str(&format!("\n  {code}{line}{path}: {}", json_for_terminal(&finding.text)));
    }
    out.push_str(match verification.verdict {
        Verdict::Authentic => "\nThe record is whole, and what was given covers all of it.",
        Verdict::Consistent => {
            "\nThe record is whole and signed, but NOT AUTHENTICATED: no key was given, and whoever could write to the \
             folder could have made all of it anew. Give the key that was noted when the run began, or the root that was \
             noted at its end: staunch audit verify RUN --key VKEY, or --root ROOT. Take neither from this folder."
        }
        Verdict::Open | Verdict::TornTail => {
            "\nThe run was not closed. What stands there fits together; whether lines are missing at the end cannot be \
             told."
        }
        Verdict::Broken if verification.problems().all(|finding| finding.code == Code::UnknownVersion) => {
            "\nThe record was not checked: another version of this program wrote it."
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
            "run {} on tenant {} by {} as {}@{}",
            Untrusted::from(header.run_id.as_str()).line(),
            Untrusted::from(header.tenant_id.as_str()).line(),
            header.identity.who(),
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
        Record::Approved { digest, by, how, overrides, unseen } => {
            let overridden = overrides.iter().map(|it| {
                let target = it.target.as_deref().map(|target| format!(" for {target}")).unwrap_or_default();
                format!("; guard {} overridden{target}: {}", it.guard, it.reason)
            });
            let more = overridden.chain(unseen.iter().map(|it| format!("; guards blind: {}", it.text)));
            format!("plan {digest} approved by {by} ({how:?}){}", more.collect::<String>())
        }
        Record::Cleared { unseen } => {
            let blind = unseen.iter().map(|it| format!("; guards blind: {}", it.text));
            format!("the guards refuse nothing{}", blind.collect::<String>())
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
        Record::Resumed { records, by, identity, .. } => {
            let us = identity.as_ref().map(|us| format!(" as {}", us.who())).unwrap_or_default();
            format!("resumed by {by}{us} after {records} records")
        }
        Record::Interrupted { reason } => format!("interrupted: {reason}"),
        Record::Closed { outcomes, .. } => format!("closed: {outcomes:?}"),
    };
    json_for_terminal(text.trim_end())
}
