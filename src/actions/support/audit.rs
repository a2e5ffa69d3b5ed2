//! The directory's audit log, as a witness for what objects themselves do not tell: dates and doers.
//!
//! It is a hint, never a condition: the log lags by minutes, is kept for 7 or 30 days, and may be denied.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::{
    client::{ReadError, Reader},
    model::{Caveat, CaveatKind, GraphPath, Permission, Untrusted, odata_literal},
};

/// `GET /auditLogs/directoryAudits` and the registration report.
///
/// Source: "List directoryAudits", whose table asks for `Directory.Read.All` beside it; permissions.json takes either.
pub(crate) const AUDIT_READ: Permission = Permission::graph(&["AuditLog.Read.All"]);

/// `microsoft.graph.directoryAudit`, as far as it is used.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Audit {
    /// What was done.
    pub(crate) activity_display_name: String,
    /// When.
    pub(crate) activity_date_time: Timestamp,
    /// `success`, `failure`, `timeout`.
    #[serde(default)]
    pub(crate) result: Option<String>,
    /// For registered security info the only place that names the method.
    #[serde(default)]
    pub(crate) result_reason: Option<Untrusted>,
    /// What it was done to.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(crate) target_resources: Vec<Resource>,
}

/// A target of an audited activity.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Resource {
    /// Object id.
    #[serde(default)]
    pub(crate) id: Option<String>,
    /// `User`, `ServicePrincipal`, `Application`, …
    #[serde(default, rename = "type")]
    pub(crate) kind: Option<String>,
    /// Old and new values.
    #[serde(default, deserialize_with = "null_is_empty")]
    modified_properties: Vec<Modified>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Modified {
    display_name: Option<String>,
    new_value: Option<String>,
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

impl Audit {
    /// Whether it was carried out.
    pub(crate) fn succeeded(&self) -> bool {
        self.result.as_deref().is_none_or(|result| result == "success")
    }

    /// A new value of any target. Values are JSON inside a string, sometimes in a list: `"\"…\""`, `"[\"…\"]"`.
    pub(crate) fn new_value(&self, property: &str) -> Option<String> {
        let mut modified = self.target_resources.iter().flat_map(|target| &target.modified_properties);
        let found = modified.find(|it| it.display_name.as_deref() == Some(property))?;
        decode(found.new_value.as_deref()?)
    }
}

fn decode(text: &str) -> Option<String> {
    let text = match serde_json::from_str(text) {
        Ok(Value::String(text)) => text,
        Ok(Value::Array(list)) => list.first()?.as_str()?.to_owned(),
        // Not encoded at all.
        _ => text.to_owned(),
    };
    (!text.trim().is_empty()).then_some(text)
}

/// What was done by an account.
pub(crate) fn initiated_by(user_id: &str) -> String {
    format!("initiatedBy/user/id eq {}", odata_literal(user_id))
}

/// What of one kind was done to an account since then. The log takes five requests in ten seconds, so with a time that
/// bounds it, it is read once for all accounts.
pub(crate) async fn done_to(
    tenant: &Reader,
    user_id: &str,
    activity: &str,
    since: Option<Timestamp>,
) -> Result<Vec<Audit>, Caveat> {
    let activity = format!("activityDisplayName eq {}", odata_literal(activity));
    if since.is_none() {
        let of_user = format!("{activity} and targetResources/any(t: t/id eq {})", odata_literal(user_id));
        return entries(tenant, of_user, None).await;
    }
    let path = feed(&activity, since);
    let mut entries = sorted(tenant.list_shared(&path).await)?;
    entries.retain(|entry| entry.target_resources.iter().any(|target| target.id.as_deref() == Some(user_id)));
    Ok(entries)
}

/// Reads the entries that match, those that failed left out, oldest first. An unreadable log is a blind spot, not
/// an error.
pub(crate) async fn entries(tenant: &Reader, filter: String, since: Option<Timestamp>) -> Result<Vec<Audit>, Caveat> {
    sorted(tenant.list(&feed(&filter, since)).await)
}

fn feed(filter: &str, since: Option<Timestamp>) -> GraphPath {
    let filter = match since {
        Some(since) => format!("{filter} and activityDateTime ge {since}"),
        None => filter.to_owned(),
    };
    GraphPath::v1().fixed("auditLogs/directoryAudits").query("$filter", &filter)
}

fn sorted(read: Result<Vec<Audit>, ReadError>) -> Result<Vec<Audit>, Caveat> {
    let mut entries = read.map_err(|error| blind(&error))?;
    entries.retain(Audit::succeeded);
    entries.sort_by_key(|entry| entry.activity_date_time);
    Ok(entries)
}

fn blind(error: &ReadError) -> Caveat {
    let status = error.status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    Caveat::new(
        CaveatKind::BlindSpot,
        format!(
            "the directory's audit log could not be read ({status} {}), so it is silent here about who added what and \
             when",
            Untrusted::from(error.code.as_str()).term()
        ),
    )
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::{Audit, initiated_by};

    /// "Add delegated permission grant" with the key set of a real record: the first target is the resource, and the
    /// client is only in a modified property.
    pub(crate) fn grant(client: &str, at: &str) -> Audit {
        serde_json::from_value(json!({
            "activityDisplayName": "Add delegated permission grant",
            "activityDateTime": at,
            "operationType": "Assign",
            "result": "success",
            "targetResources": [{
                "type": "ServicePrincipal",
                "id": "graph-sp",
                "displayName": "Microsoft Graph",
                "modifiedProperties": [
                    {"displayName": "DelegatedPermissionGrant.Scope", "oldValue": null, "newValue": "\" Mail.Read\""},
                    {"displayName": "ServicePrincipal.ObjectID", "oldValue": null, "newValue": format!("\"{client}\"")}
                ]
            }]
        }))
        .unwrap()
    }

    #[test]
    fn a_value_is_decoded_twice() {
        let entry = grant("client-sp", "2023-12-12T13:55:40.1234567Z");
        assert_eq!(entry.new_value("ServicePrincipal.ObjectID").as_deref(), Some("client-sp"));
        assert_eq!(entry.new_value("DelegatedPermissionGrant.Scope").as_deref(), Some(" Mail.Read"));
        assert_eq!(entry.new_value("AppRole.Id"), None);
        assert_eq!(super::decode("[\"a\"]").as_deref(), Some("a"));
        assert_eq!(super::decode("bare").as_deref(), Some("bare"));
        assert_eq!(super::decode("\"\""), None);
    }

    #[test]
    fn nulls_where_lists_belong_are_read() {
        let entry: Audit = serde_json::from_value(json!({
            "activityDisplayName": "Add application",
            "activityDateTime": "2023-12-12T13:55:36Z",
            "result": "failure",
            "targetResources": [{"id": null, "type": null, "modifiedProperties": null}]
        }))
        .unwrap();
        assert!(!entry.succeeded());
        assert_eq!(entry.new_value("AppId"), None);
    }

    #[test]
    fn filters_quote_what_comes_from_outside() {
        assert_eq!(initiated_by("a'b"), "initiatedBy/user/id eq 'a''b'");
    }
}
