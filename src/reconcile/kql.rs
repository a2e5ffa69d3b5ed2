//! The questions that the tenant's own analysts can put to their workspace, without us.

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

/// A query over `OfficeActivity`, where Sentinel keeps the unified audit log: all that our identity did in Exchange in the
/// time of the run.
pub fn exchange(history: &History) -> String {
    let Window { from, until } = Window::of(history);
    let us = &history.header.identity;
    let plain = |id: &str| if is_plain(id) { id.to_owned() } else { String::new() };
    let who = match us.kind {
        IdentityKind::Application => {
            let (app, object) = (plain(&us.app_id), plain(&us.object_id));
            format!("AppId == \"{app}\" or ClientAppId == \"{app}\" or UserKey == \"{object}\"")
        }
        IdentityKind::User => {
            let name = us.user_principal_name.as_deref().filter(|name| name.split(['@', '.', '_']).all(is_plain));
            format!("UserId =~ \"{}\" or UserKey == \"{}\"", name.unwrap_or_default(), plain(&us.object_id))
        }
    };
    format!(
        "OfficeActivity\n| where TimeGenerated between (datetime({from}) .. datetime({until}))\n| where OfficeWorkload == \
         \"Exchange\" and ({who})\n| project TimeGenerated, Operation, OfficeObjectId, Parameters, UserId, ClientIP, \
         ResultStatus\n| order by TimeGenerated asc"
    )
}

fn is_plain(id: &str) -> bool {
    !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
}
