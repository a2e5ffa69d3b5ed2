//! `audit reconcile`: a run's record against what the tenant itself logged.

use std::{fs, path::Path};

use crate::{
    cli::{
        Context,
        args::ReconcileArgs,
        connect::connect,
        exit::{Exit, Failure, OrFail as _},
        runs,
    },
    journal::History,
    model::{Untrusted, json_for_terminal},
    reconcile::{self, Absence, Gap, NotShown, Reconciliation, Shown, Source, UnifiedLog, Window},
};

pub(crate) async fn run(context: &Context, args: &ReconcileArgs) -> Result<Exit, Failure> {
    let (dir, history) = runs::load(context, &args.run.run)?;
    let rows = args.activity_log.as_deref().map(read).transpose()?;
    let rows = rows.map(|text| reconcile::activity_log(&text).or_fail(Exit::Usage)).transpose()?;
    let exported = args.unified_log.as_deref().map(read).transpose()?;
    let exported = exported.map(|text| UnifiedLog::parse(&text).or_fail(Exit::Usage)).transpose()?;
    let connected = connect(context, Some(&history.header.tenant_id)).await?;
    let reader = connected.session.reader();
    if connected.session.identity().tenant_id != history.header.tenant_id {
        return Err(Failure::new(Exit::Refused, "the run is of another tenant"));
    }
    let window = Window::of(&history);
    let entries = reconcile::audit_feed(&reader, window).await;
    let unified = match exported {
        Some(log) => Ok(exported_of(log, window)),
        None => reconcile::search(&reader, window, &uuid::Uuid::new_v4().to_string()).await,
    };
    let shown = Shown { entries: entries.as_deref().ok(), rows: rows.as_deref(), unified: unified.as_ref().ok() };
    let mut found = reconcile::reconcile(&history, &neighbours(&dir, &history), shown, reader.server_now());
    // A record that was not read is never agreement, whatever this run had to do with it: others may have used our identity.
    let gap = |source, error| Gap::new(source, &Failure::of(Exit::CouldNotRun, error).message);
    found.gaps.extend(entries.as_ref().err().map(|error| gap(Source::DirectoryAudits, error)));
    found.gaps.extend(unified.as_ref().err().map(|error| gap(Source::UnifiedAuditLog, error)));
    context.out.data(&found, || words(&found))?;
    Ok(match (found.differs(), found.not_shown.is_empty() && found.gaps.is_empty()) {
        (true, _) => Exit::NotVerified,
        (false, false) => Exit::NotContained,
        (false, true) => Exit::Ok,
    })
}

/// The other runs of the case under the same identity, whose changes may lie in the same minutes. One that cannot be read
/// explains nothing.
fn neighbours(run: &Path, history: &History) -> Vec<History> {
    let (window, us) = (Window::of(history), history.identities());
    let is_near = |other: &History| {
        let there = Window::of(other);
        other.header.run_id != history.header.run_id
            && other.identities().iter().any(|it| us.iter().any(|us| us.object_id == it.object_id))
            && there.from <= window.until
            && window.from <= there.until
    };
    runs::beside(run).iter().filter_map(|dir| History::load(dir).ok()).filter(is_near).collect()
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("failed to read the log {}: {error}", path.display())))
}

/// An export in which nothing is of the time of the run was made for another one, or too early.
fn exported_of(mut log: UnifiedLog, window: Window) -> UnifiedLog {
    if !log.covers(window) {
        log.gap = Some("no record of Exchange in the export is of the time of the run".to_owned());
    }
    log
}

fn words(found: &Reconciliation) -> String {
    let Window { from, until } = found.window;
    let mut out = format!("run {} against the tenant's records from {from:.0} to {until:.0}\n", found.run);
    let looked_at: Vec<&str> = found.sources.iter().map(|source| name(*source)).collect();
    out.push_str(&format!(
        "  looked at: {}",
        if looked_at.is_empty() { "nothing".to_owned() } else { looked_at.join(", ") }
    ));
    out.push_str(&format!("\n  {} calls are shown by the tenant", found.shown));
    if found.elsewhere > 0 {
        out.push_str(&format!(
            "\n  {} calls were compared with nothing: the record that shows them was not read; give an export of it with \
             --unified-log or --activity-log",
            found.elsewhere
        ));
    }
    for gap in &found.gaps {
        out.push_str(&format!("\n  {} was not read whole: {}", name(gap.source), json_for_terminal(&gap.reason)));
    }
    if !found.sources.contains(&Source::GraphActivityLog) {
        out.push_str(
            "\n  compared by object and time only: the directory's audit log names no request; export \
             MicrosoftGraphActivityLogs and give it with --activity-log to compare request by request",
        );
    }
    for call in &found.not_shown {
        let why = why(call);
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
    if found.not_shown.is_empty() && found.not_ours.is_empty() && found.gaps.is_empty() {
        out.push_str("\n  nothing is missing on either side");
    }
    let (graph, exchange) = (json_for_terminal(&found.kql), json_for_terminal(&found.kql_exchange));
    out.push_str(&format!("\n\nFor the tenant's own analysts (KQL):\n{graph}\n\nThe same for Exchange:\n{exchange}"));
    out
}

fn name(source: Source) -> &'static str {
    match source {
        Source::DirectoryAudits => "the directory's audit log",
        Source::GraphActivityLog => "Graph's activity log",
        Source::UnifiedAuditLog => "the unified audit log",
    }
}

fn why(call: &NotShown) -> String {
    let log = name(call.source);
    let days = |length: jiff::SignedDuration| length.as_hours() / 24;
    match call.why {
        Absence::NotYet => {
            format!("not shown yet: {log} may be {} hours late, so ask again", call.source.delay().as_hours())
        }
        Absence::MayBeDropped => {
            let kept = call.source.retention().map(days).unwrap_or_default();
            format!("not shown: older than {kept} days, {log} may have dropped it")
        }
        Absence::Unknown => format!("not shown by {log}, and its answer was lost: it may not have happened"),
        Absence::NotRead => format!("not shown, and {log} was not read whole"),
        Absence::Missing => format!("NOT SHOWN by {log}, though our record says that it was accepted"),
    }
}
