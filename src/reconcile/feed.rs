//! The tenant's records: the directory's audit feed, read; Graph's activity log, from an exported file.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::{
    client::{ReadError, Reader},
    model::{GraphPath, Identity, IdentityKind, Untrusted},
    reconcile::Window,
};

/// `microsoft.graph.directoryAudit`, as far as it is compared.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEntry {
    /// Its id.
    pub id: Untrusted,
    /// What was done.
    pub activity_display_name: Untrusted,
    /// When.
    pub activity_date_time: Timestamp,
    /// `success`, `failure` or `timeout`.
    #[serde(default)]
    result: Option<String>,
    /// By whom.
    #[serde(default)]
    initiated_by: Option<InitiatedBy>,
    /// To what.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub(super) target_resources: Vec<Resource>,
}

#[derive(Clone, Debug, Deserialize)]
struct InitiatedBy {
    app: Option<App>,
    user: Option<User>,
}

/// `appId` is null in what the service logs; the service principal's id is what identifies an application.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct App {
    service_principal_id: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
struct User {
    id: Option<String>,
}

/// A target of an audited activity.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Resource {
    #[serde(default)]
    pub(super) id: Option<String>,
    #[serde(default)]
    pub(super) display_name: Option<String>,
    #[serde(default)]
    pub(super) user_principal_name: Option<String>,
}

fn null_is_empty<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(from)?.unwrap_or_default())
}

impl AuditEntry {
    /// Whether it tells of a change that was made, not of one that was tried.
    pub(super) fn is_done(&self) -> bool {
        !matches!(self.result.as_deref(), Some("failure" | "timeout"))
    }

    pub(super) fn is_by(&self, us: &Identity) -> bool {
        let Some(InitiatedBy { app, user }) = &self.initiated_by else {
            return false;
        };
        let app = app.as_ref().and_then(|app| app.service_principal_id.as_deref());
        let user = user.as_ref().and_then(|user| user.id.as_deref());
        app == Some(us.object_id.as_str()) || user == Some(us.object_id.as_str())
    }
}

/// Reads `GET /auditLogs/directoryAudits` for the time of a run; needs `AuditLog.Read.All`.
///
/// Whose entry it is, is looked at here: Graph documents a filter by `initiatedBy/app/appId`, which the service leaves
/// null. Source: "List directoryAudits".
///
/// # Errors
/// When the tenant does not let us read it.
pub async fn audit_feed(tenant: &Reader, window: Window) -> Result<Vec<AuditEntry>, ReadError> {
    let filter = format!("activityDateTime ge {} and activityDateTime le {}", window.from, window.until);
    tenant.list(&GraphPath::v1().fixed("auditLogs/directoryAudits").query("$filter", &filter)).await
}

/// A row of `MicrosoftGraphActivityLogs`, as far as it is compared.
///
/// Source: Azure Monitor, table reference of `MicrosoftGraphActivityLogs`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct LogRow {
    /// When.
    #[serde(default)]
    pub(super) time_generated: Option<Timestamp>,
    #[serde(default)]
    pub(super) client_request_id: Option<String>,
    #[serde(default)]
    pub(super) request_id: Option<Untrusted>,
    pub(super) request_method: String,
    pub(super) request_uri: Untrusted,
    #[serde(default)]
    response_status_code: Option<u16>,
    #[serde(default)]
    app_id: Option<String>,
    #[serde(default)]
    service_principal_id: Option<String>,
    #[serde(default)]
    user_id: Option<String>,
}

impl LogRow {
    /// A person is known by their own id, whatever application they used; an application by its principal, and by its own id
    /// where nobody was signed in. Rows that name nobody come from an export that was cut to us.
    pub(super) fn is_by(&self, us: &Identity) -> bool {
        let named = |id: &Option<String>| id.clone().filter(|id| !id.is_empty());
        let [user, app, principal] = [&self.user_id, &self.app_id, &self.service_principal_id].map(named);
        if [&user, &app, &principal].iter().all(|id| id.is_none()) {
            return true;
        }
        match us.kind {
            IdentityKind::User => user.as_ref() == Some(&us.object_id),
            IdentityKind::Application => {
                principal.as_ref() == Some(&us.object_id) || user.is_none() && app.as_ref() == Some(&us.app_id)
            }
        }
    }

    /// Whether it may have changed something. A `$batch` is only an envelope.
    pub(super) fn changes(&self) -> bool {
        let path = self.request_uri.raw().split('?').next().unwrap_or_default();
        !path.trim_end_matches('/').to_ascii_lowercase().ends_with("/$batch")
            && !["GET", "HEAD", "OPTIONS"].contains(&self.request_method.to_ascii_uppercase().as_str())
    }

    /// Whether it was carried out, as far as the row says.
    pub(super) fn is_done(&self) -> bool {
        self.response_status_code.is_none_or(|status| (200..300).contains(&status))
    }
}

/// A line of an exported activity log that is not a row of it.
#[derive(Debug, thiserror::Error)]
#[error("read line {line} of the activity log")]
pub struct ActivityLogError {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    source: serde_json::Error,
}

/// Reads an export: one JSON object a line.
///
/// # Errors
/// When a line is not a row of the table.
pub fn activity_log(text: &str) -> Result<Vec<LogRow>, ActivityLogError> {
    let lines = (1..).zip(text.trim_start_matches('\u{feff}').lines());
    lines
        .filter(|(_, text)| !text.trim().is_empty())
        .map(|(line, text)| serde_json::from_str(text).map_err(|source| ActivityLogError { line, source }))
        .collect()
}
