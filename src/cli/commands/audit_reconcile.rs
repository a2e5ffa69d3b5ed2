//! `audit reconcile`: a run's record against what the tenant itself logged.

use std::fs;

use crate::{
    cli::{
        Context,
        args::ReconcileArgs,
        connect::connect,
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    model::{Untrusted, json_for_terminal},
    reconcile::{self, Absence, Reconciliation, Source, Window},
};

pub(crate) async fn run(context: &Context, args: &ReconcileArgs) -> Result<Exit, Failure> {
    let (_, history) = runs::load(context, &args.run.run)?;
    let rows = match &args.activity_log {
        Some(path) => {
            let text = fs::read_to_string(path)
                .map_err(|error| Failure::usage(format!("failed to read the log {}: {error}", path.display())))?;
            Some(reconcile::activity_log(&text).or_fail(Exit::Usage)?)
        }
        None => None,
    };
    let connected = connect(context, Some(&history.header.tenant_id)).await?;
    let reader = connected.session.reader();
    if connected.session.identity().tenant_id != history.header.tenant_id {
        return Err(Failure::new(Exit::Refused, "the run is of another tenant"));
    }
    let entries = reconcile::audit_feed(&reader, Window::of(&history)).await.or_fail(Exit::CouldNotRun)?;
    let found = reconcile::reconcile(&history, &entries, rows.as_deref(), reader.server_now());
    context.out.data(&found, || words(&found))?;
    Ok(match (found.differs(), found.not_shown.is_empty()) {
        (true, _) => Exit::NotVerified,
        (false, false) => Exit::NotContained,
        (false, true) => Exit::Ok,
    })
}

fn words(found: &Reconciliation) -> String {
    let Window { from, until } = found.window;
    let mut out = format!("run {} against the tenant's records from {from:.0} to {until:.0}\n", found.run);
    out.push_str(&format!("  {} calls are shown by the tenant", found.shown));
    if found.elsewhere > 0 {
        out.push_str(&format!(
            "\n  {} calls went to Exchange: the unified audit log shows them, these records do not",
            found.elsewhere
        ));
    }
    if !found.sources.contains(&Source::GraphActivityLog) {
        out.push_str(
            "\n  compared by object and time only: the directory's audit log names no request; export \
             MicrosoftGraphActivityLogs and give it with --activity-log to compare request by request",
        );
    }
    for call in &found.not_shown {
        let why = match call.why {
            Absence::NotYet => "not shown yet: the log may be hours late, so ask again",
            Absence::MayBeDropped => "not shown: older than seven days, the tenant may have dropped it",
            Absence::Unknown => "not shown, and its answer was lost: it may not have happened",
            Absence::Missing => "NOT SHOWN, though our record says that it was accepted",
        };
        let request = json_for_terminal(&call.request);
        let (change, id) = (json_for_terminal(&call.change), json_for_terminal(&call.client_request_id));
        out.push_str(&format!("\n  {change} [#{}] {} {request} ({id}): {why}", call.seq, call.at));
    }
    for entry in &found.not_ours {
        let to: Vec<String> = entry.to.iter().map(Untrusted::term).collect();
        let (what, id) = (entry.what.term(), entry.id.term());
        out.push_str(&format!(
            "\n  NOT RECORDED BY US, though the tenant shows our identity: {} {what} {} ({id})",
            entry.at,
            to.join(", ")
        ));
    }
    if found.not_shown.is_empty() && found.not_ours.is_empty() {
        out.push_str("\n  nothing is missing on either side");
    }
    out.push_str(&format!("\n\nFor the tenant's own analysts (KQL):\n{}", json_for_terminal(&found.kql)));
    out
}
