//! State and audit feed together: whoever changes the one writes into the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::apps::{AppRole, AppRoleAssignment, EXCHANGE_APP_ID, EXCHANGE_APP_ROLES, GRAPH_APP_ID};
use super::audit::{Activity, AppActor, AuditEntry, InitiatedBy, KeyValue, Target, UserActor};
use super::roles::{self, RoleAssignment};
use super::stamp::Stamp;
use super::state::{Document, State};
use super::table::Table;
use super::tokens::Caller;
use super::unified::Record;
use crate::random::named_guid;
use crate::settings::Lag;

/// The tenant's memory. A clone shares the rows that neither changes.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) state: State,
    /// Oldest first.
    pub(crate) audit: Vec<Arc<AuditEntry>>,
    /// The unified audit log, in the order of writing.
    pub(crate) unified: Vec<Record>,
    /// Queries of that log by id: jobs, not state.
    pub(crate) queries: Table<Document>,
    /// Password resets under way by id: jobs, not state.
    pub(crate) operations: Table<Document>,
    /// How many rows each session of a search of the unified audit log has been given: jobs, not state.
    pub(crate) sessions: BTreeMap<String, usize>,
    /// While there is a lag: each change's time with the state before it, oldest first.
    pub(crate) past: Vec<(Stamp, State)>,
}

/// An entry to be written.
#[derive(Debug)]
pub(crate) struct Note {
    pub(crate) activity: Activity,
    pub(crate) initiated_by: InitiatedBy,
    pub(crate) targets: Vec<Target>,
    pub(crate) details: Vec<KeyValue>,
    pub(crate) reason: String,
    pub(crate) correlation_id: String,
    pub(crate) time: Stamp,
}

impl World {
    /// Keeps the state before a change, so that reads can lag behind it.
    pub(crate) fn remember(&mut self, now: Stamp, lag: Lag) {
        let longest = lag.object.max(lag.list).max(lag.exchange).max(lag.report);
        if longest <= 0 {
            self.past.clear();
            return;
        }
        let horizon = Stamp(now.0 - SignedDuration::from_millis(longest));
        self.past.retain(|(time, _)| *time > horizon);
        self.past.push((now, self.state.clone()));
    }

    /// The tenant as a read sees it that lags so many milliseconds; `None` where that is the tenant of now.
    pub(crate) fn lagging(&self, now: Stamp, milliseconds: i64) -> Option<Self> {
        let horizon = Stamp(now.0 - SignedDuration::from_millis(milliseconds.max(0)));
        let (_, state) = self.past.iter().find(|(time, _)| milliseconds > 0 && *time > horizon)?;
        Some(Self { state: state.clone(), past: Vec::new(), ..self.clone() })
    }

    /// Appends an entry to the feed, in the order of time.
    pub(crate) fn note(&mut self, note: Note) {
        let number = self.audit.len();
        let entry = AuditEntry {
            id: entry_id(&note, number),
            category: note.activity.category.to_owned(),
            correlation_id: note.correlation_id,
            result: "success".to_owned(),
            result_reason: note.reason,
            activity_display_name: note.activity.name.to_owned(),
            activity_date_time: note.time,
            logged_by_service: note.activity.service.to_owned(),
            operation_type: note.activity.operation.to_owned(),
            initiated_by: note.initiated_by,
            target_resources: note.targets,
            additional_details: note.details,
        };
        self.unified.push(directory_record(&entry));
        let at = self.audit.partition_point(|old| old.activity_date_time <= note.time);
        self.audit.insert(at, Arc::new(entry));
    }

    /// Replaces an application's permissions on Graph and Exchange.
    pub(crate) fn set_permissions(&mut self, client_id: &str, permissions: &[&str], now: Stamp) {
        let Some(client) = self.state.service_principal_of(client_id).cloned() else {
            return;
        };
        let old: Vec<String> = self
            .state
            .app_role_assignments
            .values()
            .filter(|assignment| assignment.principal_id == client.id)
            .map(|assignment| assignment.id.clone())
            .collect();
        for id in &old {
            self.state.app_role_assignments.remove(id);
        }
        for permission in permissions {
            self.assign_permission(&client.id, &client.display_name, permission, now);
        }
    }

    fn assign_permission(&mut self, principal: &str, name: &str, permission: &str, now: Stamp) {
        let exchange = EXCHANGE_APP_ROLES.iter().any(|(value, _)| *value == permission);
        let app_id = if exchange { EXCHANGE_APP_ID } else { GRAPH_APP_ID };
        let Some(resource) = self.state.service_principal_of(app_id) else {
            return;
        };
        let (resource_id, resource_name) = (resource.id.clone(), resource.display_name.clone());
        let role = self.app_role(&resource_id, permission);
        let id = self.named(&format!("assignment/{principal}/{resource_id}/{role}"));
        let assignment = AppRoleAssignment {
            id: id.clone(),
            deleted_date_time: None,
            app_role_id: role,
            created_date_time: now,
            principal_display_name: name.to_owned(),
            principal_id: principal.to_owned(),
            principal_type: "ServicePrincipal".to_owned(),
            resource_display_name: resource_name,
            resource_id,
        };
        self.state.app_role_assignments.insert(id, assignment);
    }

    /// The id of a resource's role; one that it does not offer yet is added.
    fn app_role(&mut self, resource_id: &str, value: &str) -> String {
        let id = self.named(&format!("role/{value}"));
        let Some(resource) = self.state.service_principals.get(resource_id) else {
            return id;
        };
        if let Some(role) = resource.app_role(value) {
            return role.id.clone();
        }
        if let Some(resource) = self.state.service_principals.get_mut(resource_id) {
            resource.app_roles.push(app_role(value, &id));
        }
        id
    }

    /// Replaces an application's directory roles.
    pub(crate) fn set_roles(&mut self, client_id: &str, names: &[&str]) {
        let Some(principal) = self.state.service_principal_of(client_id).map(|client| client.id.clone()) else {
            return;
        };
        let old: Vec<String> = self
            .state
            .role_assignments
            .values()
            .filter(|assignment| assignment.principal_id == principal)
            .map(|assignment| assignment.id.clone())
            .collect();
        for id in &old {
            self.state.role_assignments.remove(id);
        }
        for name in names {
            self.assign_role(&principal, name);
        }
    }

    /// Assigns a directory role in the whole tenant.
    pub(crate) fn assign_role(&mut self, principal_id: &str, name: &str) {
        if let Some(row) = self.role_row(principal_id, name, "/") {
            self.state.role_assignments.insert(row.id.clone(), row);
        }
    }

    /// Lets somebody activate a directory role.
    pub(crate) fn make_eligible(&mut self, principal_id: &str, name: &str) {
        if let Some(row) = self.role_row(principal_id, name, "/") {
            self.state.role_eligibilities.insert(row.id.clone(), row);
        }
    }

    /// A role over a scope, under an id of the directory's own form.
    pub(crate) fn role_row(&self, principal_id: &str, name: &str, scope: &str) -> Option<RoleAssignment> {
        let template = roles::template(name)?;
        let id = self.named(&format!("role-assignment/{principal_id}/{}{scope}", template.id));
        Some(RoleAssignment {
            id,
            principal_id: principal_id.to_owned(),
            role_definition_id: template.id.to_owned(),
            directory_scope_id: scope.to_owned(),
        })
    }

    /// An id that depends on the tenant and the name only.
    pub(crate) fn named(&self, name: &str) -> String {
        let tenant = self.state.organization.id.parse().unwrap_or_default();
        named_guid(tenant, name).to_string()
    }
}

/// A permission that a resource offers.
pub(crate) fn app_role(value: &str, id: &str) -> AppRole {
    AppRole {
        allowed_member_types: vec!["Application".to_owned()],
        description: format!("Allows the app the permission {value} without a signed-in user."),
        display_name: value.to_owned(),
        id: id.to_owned(),
        is_enabled: true,
        origin: "Application".to_owned(),
        value: value.to_owned(),
    }
}

/// The caller as the feed names it: an application's id is null there, its service principal is not.
pub(crate) fn actor(caller: &Caller) -> InitiatedBy {
    if let Some(user) = &caller.user {
        let user = UserActor {
            id: user.id.clone(),
            user_principal_name: Some(user.principal_name.clone()),
            ip_address: Some("198.51.100.30".to_owned()),
            ..UserActor::default()
        };
        return InitiatedBy { app: None, user: Some(user) };
    }
    InitiatedBy {
        app: Some(AppActor {
            app_id: None,
            display_name: Some(caller.app_name.clone()),
            service_principal_id: Some(caller.object_id.clone()),
            service_principal_name: None,
        }),
        user: None,
    }
}

fn entry_id(note: &Note, number: usize) -> String {
    let prefix = if note.activity.service == "Authentication Methods" { "SSGM" } else { "Directory" };
    let letters: String = named_guid(uuid::Uuid::NAMESPACE_OID, &format!("{number}"))
        .simple()
        .to_string()
        .to_uppercase()
        .chars()
        .take(5)
        .collect();
    format!("{prefix}_{}_{letters}_{}", note.correlation_id, 10_000_000 + number)
}

/// The same change as the unified log tells it: its operations end in a dot.
fn directory_record(entry: &AuditEntry) -> Record {
    let user = entry.initiated_by.user.as_ref();
    let app = entry.initiated_by.app.as_ref();
    let target = entry.target_resources.first();
    let modified: Vec<Value> = target
        .into_iter()
        .flat_map(|target| &target.modified_properties)
        .map(|property| {
            json!({"Name": property.display_name, "NewValue": property.new_value, "OldValue": property.old_value})
        })
        .collect();
    // What was typed with a space at the end keeps it, and gets no dot.
    let operation = match entry.activity_display_name.ends_with(' ') {
        true => entry.activity_display_name.clone(),
        false => format!("{}.", entry.activity_display_name),
    };
    Record {
        id: named_guid(uuid::Uuid::NAMESPACE_OID, &entry.id).to_string(),
        time: entry.activity_date_time,
        record_type: (8, "AzureActiveDirectory"),
        operation,
        workload: "AzureActiveDirectory",
        user_id: user
            .and_then(|user| user.user_principal_name.clone())
            .or_else(|| app.and_then(|app| app.service_principal_id.clone()).map(|id| format!("ServicePrincipal_{id}")))
            .unwrap_or_else(|| "NOT-FOUND".to_owned()),
        user_key: user.map(|user| user.id.clone()).unwrap_or_else(|| "Not Available".to_owned()),
        user_type: if user.is_some() { (0, "Regular") } else { (4, "System") },
        object_id: target
            .map(|target| target.user_principal_name.clone().unwrap_or_else(|| target.id.clone()))
            .unwrap_or_default(),
        result: "Success",
        client_ip: user.and_then(|user| user.ip_address.clone()),
        client_request_id: None,
        data: json!({"AzureActiveDirectoryEventType": 1, "ModifiedProperties": modified, "InterSystemsId": entry.correlation_id}),
    }
}
