//! The question that the tenant's own analysts can put to their workspace, without us.

use crate::{
    journal::{History, Record},
    model::IdentityKind,
    reconcile::Window,
};

/// A query over `MicrosoftGraphActivityLogs`: every change by our identity in the time of the run, those that our
/// journal knows marked. Ids are ours or the token's; anything else is left out.
pub fn query(history: &History) -> String {
    let Window { from, until } = Window::of(history);
    let us = &history.header.identity;
    let column = match us.kind {
        IdentityKind::Application => "ServicePrincipalId",
        IdentityKind::User => "UserId",
    };
    let id = |record: &Record| match record {
        Record::Intent { client_request_id, .. } => Some(client_request_id.clone()),
        _ => None,
    };
    let ids = history.lines.iter().filter_map(|line| id(&line.record)).filter(|id| is_plain(id));
    let ids: Vec<String> = ids.map(|id| format!("\"{id}\"")).collect();
    let who = if is_plain(&us.object_id) { us.object_id.as_str() } else { "" };
    format!(
        "let ours = dynamic([{}]);\nMicrosoftGraphActivityLogs\n| where TimeGenerated between (datetime({from}) .. \
         datetime({until}))\n| where {column} == \"{who}\" and RequestMethod !in (\"GET\", \"HEAD\", \"OPTIONS\")\n| extend \
         InJournal = ClientRequestId in (ours)\n| project TimeGenerated, InJournal, ClientRequestId, RequestId, \
         RequestMethod, RequestUri, ResponseStatusCode, IPAddress\n| order by TimeGenerated asc",
        ids.join(", ")
    )
}

fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
