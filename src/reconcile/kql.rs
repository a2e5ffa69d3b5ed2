//! The questions that the tenant's own analysts can put to their workspace, without us.

use std::collections::BTreeSet;

use crate::{
    journal::{History, Record},
    model::{Identity, IdentityKind},
    reconcile::Window,
};

/// A query over `MicrosoftGraphActivityLogs`: every change by our identity in the time of the run, those that our
/// journal knows marked. A `$batch` is only an envelope: its items have rows of their own.
pub fn query(history: &History) -> String {
    let Window { from, until } = Window::of(history);
    let who = either(history, |us| {
        let column = match us.kind {
            IdentityKind::Application => "ServicePrincipalId",
            IdentityKind::User => "UserId",
        };
        format!("{column} == {}", quoted(&us.object_id))
    });
    let mut ids = BTreeSet::new();
    for line in &history.lines {
        if let Record::Intent { client_request_id, .. } = &line.record {
            ids.insert(client_request_id.as_str());
        }
        if matches!(line.record, Record::Sent { .. }) {
            // Each attempt has an id of its own.
            ids.extend(line.ev.iter().map(|ev| ev.client_request_id.as_str()));
        }
    }
    let ids: Vec<String> = ids.into_iter().map(quoted).collect();
    format!(
        "let ours = dynamic([{}]);\nMicrosoftGraphActivityLogs\n| where TimeGenerated between (datetime({from}) .. \
         datetime({until}))\n| where ({who}) and RequestMethod !in (\"GET\", \"HEAD\", \"OPTIONS\")\n| where \
         RequestUri !endswith \"/$batch\"\n| extend InJournal = ClientRequestId in (ours)\n| project TimeGenerated, \
         InJournal, ClientRequestId, RequestId, RequestMethod, RequestUri, ResponseStatusCode, IPAddress\n| order by \
         TimeGenerated asc",
        ids.join(", ")
    )
}

/// What a row of ours looks like: a run may have been taken up again by somebody else.
fn either(history: &History, of: impl Fn(&Identity) -> String) -> String {
    history.identities().into_iter().map(of).collect::<Vec<_>>().join(" or ")
}

/// A query over `OfficeActivity`, where Sentinel keeps the unified audit log: all that our identity did in Exchange in the
/// time of the run.
pub fn exchange(history: &History) -> String {
    let Window { from, until } = Window::of(history);
    let who = either(history, |us| {
        let object = quoted(&us.object_id);
        match us.kind {
            IdentityKind::Application => {
                let (app, principal) = (quoted(&us.app_id), quoted(&format!("ServicePrincipal_{}", us.object_id)));
                format!("AppId == {app} or ClientAppId == {app} or UserKey == {object} or UserId == {principal}")
            }
            IdentityKind::User => {
                let name = us.user_principal_name.as_deref().map(|name| format!("UserId =~ {} or ", quoted(name)));
                format!("{}UserKey == {object}", name.unwrap_or_default())
            }
        }
    });
    format!(
        "OfficeActivity\n| where TimeGenerated between (datetime({from}) .. datetime({until}))\n| where OfficeWorkload == \
         \"Exchange\" and ({who})\n| project TimeGenerated, Operation, OfficeObjectId, Parameters, UserId, ClientIP, \
         ResultStatus\n| order by TimeGenerated asc"
    )
}

/// A string literal. Ids and names come from a token, but a name may hold what would end the literal; what no name holds, a
/// control or an invisible character, is left out.
///
/// Source: Kusto Query Language, "The string data type", escaping.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c.is_ascii_graphic() || c.is_alphanumeric() => out.push(c),
            _ => {}
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_name_cannot_end_its_literal() {
        assert_eq!(quoted("per_x.example#EXT#@y.example"), "\"per_x.example#EXT#@y.example\"");
        assert_eq!(quoted("a\" or \\1 == 1\n| x"), r#""a\"or\\1==1|x""#);
    }
}
