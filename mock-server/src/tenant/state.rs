//! The whole of a tenant's state, with the look-ups that several areas need.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::apps::{AppRoleAssignment, Application, OAuth2PermissionGrant, ServicePrincipal};
use super::devices::Device;
use super::groups::{AdministrativeUnit, Group};
use super::mailboxes::Mailbox;
use super::methods::AuthMethod;
use super::roles::RoleAssignment;
use super::stamp::Stamp;
use super::table::Table;
use super::users::User;
use crate::random::Random;

/// Everything that a caller could read or change. Copies are cheap.
#[derive(Debug, Clone)]
pub struct State {
    /// The tenant itself.
    pub organization: Organization,
    /// Users by object id.
    pub users: Table<User>,
    /// Authentication methods by user id.
    pub methods: Table<Vec<AuthMethod>>,
    /// Devices by object id.
    pub devices: Table<Device>,
    /// Mailboxes by user id.
    pub mailboxes: Table<Mailbox>,
    /// Applications by object id.
    pub applications: Table<Application>,
    /// Service principals by object id.
    pub service_principals: Table<ServicePrincipal>,
    /// Delegated grants by id.
    pub grants: Table<OAuth2PermissionGrant>,
    /// Application permissions and app assignments by id.
    pub app_role_assignments: Table<AppRoleAssignment>,
    /// Directory roles held, by assignment id.
    pub role_assignments: Table<RoleAssignment>,
    /// Directory roles that somebody may activate, by the id of the eligibility.
    pub role_eligibilities: Table<RoleAssignment>,
    /// Groups by object id.
    pub groups: Table<Group>,
    /// Administrative units by object id.
    pub administrative_units: Table<AdministrativeUnit>,
    /// The authorization policy and the cross-tenant default, by name.
    pub policies: Table<Document>,
    /// Conditional Access policies by id.
    pub conditional_access: Table<Document>,
    /// Named locations by id.
    pub named_locations: Table<Document>,
    /// Cross-tenant partners by tenant id.
    pub partners: Table<Document>,
    /// Domains by name.
    pub domains: Table<Document>,
    /// Federation configurations by id.
    pub federations: Table<Document>,
    /// Risky users by user id.
    pub risky_users: Table<Document>,
    /// The sign-in log by id.
    pub sign_ins: Table<Document>,
    /// Exchange's objects of the whole organisation, by noun and GUID.
    pub exchange_objects: Table<Document>,
    /// The recycle bin by object id.
    pub deleted: Table<Deleted>,
    /// User ids by lower-case user principal name. Seeding fills it; names do not change afterwards.
    pub(crate) user_names: Arc<BTreeMap<String, String>>,
    /// Where new ids come from.
    pub(crate) ids: Random,
}

/// An object that is kept as the JSON that Graph shows, but for members that begin with an underscore.
pub type Document = Map<String, Value>;

/// An object in the recycle bin.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Deleted {
    /// A user.
    User(Box<User>),
    /// An application.
    Application(Box<Application>),
    /// A service principal.
    ServicePrincipal(Box<ServicePrincipal>),
}

/// The tenant itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    /// The tenant id.
    pub id: String,
    /// The display name.
    pub display_name: String,
    /// The default domain.
    pub domain: String,
    /// When the tenant was made.
    pub created_date_time: Stamp,
}

impl State {
    /// A user by object id or user principal name (in any case).
    #[must_use]
    pub fn user(&self, key: &str) -> Option<&User> {
        self.users.get(&self.user_id(key))
    }

    /// A user by object id or user principal name, to be changed.
    pub fn user_mut(&mut self, key: &str) -> Option<&mut User> {
        let id = self.user_id(key);
        self.users.get_mut(&id)
    }

    /// The object id of a user named by id or user principal name; an unknown name stays as it is.
    #[must_use]
    pub fn user_id(&self, key: &str) -> String {
        let lower = key.to_lowercase();
        self.user_names.get(&lower).cloned().unwrap_or(lower)
    }

    /// The service principal of an application.
    #[must_use]
    pub fn service_principal_of(&self, app_id: &str) -> Option<&ServicePrincipal> {
        self.service_principals.values().find(|principal| principal.app_id.eq_ignore_ascii_case(app_id))
    }

    /// The registration of an application, where it is in this tenant.
    #[must_use]
    pub fn application_of(&self, app_id: &str) -> Option<&Application> {
        self.applications.values().find(|application| application.app_id.eq_ignore_ascii_case(app_id))
    }

    /// Whether this user signs in at a federated identity provider: whether the domain of the name does.
    #[must_use]
    pub fn is_federated(&self, user_principal_name: &str) -> bool {
        let domain = user_principal_name.rsplit('@').next().unwrap_or_default().to_lowercase();
        let kind = self.domains.get(&domain).and_then(|domain| domain.get("authenticationType"));
        kind.is_some_and(|kind| kind == "Federated")
    }

    /// A mailbox by any of its names.
    #[must_use]
    pub fn mailbox(&self, key: &str) -> Option<&Mailbox> {
        let by_user = self.mailboxes.get(&self.user_id(key));
        by_user.or_else(|| self.mailboxes.values().find(|mailbox| mailbox.is_named(key)))
    }

    /// The template ids of the directory roles that protect a principal: held in the whole tenant, directly or
    /// through a group. Membership or ownership of a role-assignable group protects even without a role.
    #[must_use]
    pub fn roles_of(&self, principal_id: &str) -> Vec<String> {
        let mut roles = self.direct_roles_of(principal_id);
        let belongs = |group: &&Group| {
            let people = &group.hidden;
            group.is_assignable_to_role == Some(true)
                && people.members.iter().chain(&people.owners).any(|id| id == principal_id)
        };
        for group in self.groups.values().filter(belongs) {
            roles.push("role-assignable-group".to_owned());
            roles.extend(self.direct_roles_of(&group.id));
        }
        roles
    }

    /// The template ids of the directory roles assigned to a principal itself, in the whole tenant.
    #[must_use]
    pub fn direct_roles_of(&self, principal_id: &str) -> Vec<String> {
        self.role_assignments
            .values()
            .filter(|row| row.principal_id == principal_id && row.directory_scope_id == "/")
            .map(|row| row.role_definition_id.clone())
            .collect()
    }

    /// Role template ids that a principal holds over the restricted units in which an object is.
    pub(crate) fn roles_over_restricted_unit_of(&self, id: &str, principal_id: &str) -> Vec<String> {
        let holds = |scope: &str| {
            let unit = scope.strip_prefix("/administrativeUnits/").and_then(|unit| self.administrative_units.get(unit));
            unit.is_some_and(|unit| unit.restricts(id))
        };
        let ours = self.role_assignments.values().filter(|row| row.principal_id == principal_id);
        ours.filter(|row| holds(&row.directory_scope_id)).map(|row| row.role_definition_id.clone()).collect()
    }

    /// Whether an object is in a restricted management administrative unit.
    pub(crate) fn is_in_restricted_unit(&self, id: &str) -> bool {
        self.administrative_units.values().any(|unit| unit.restricts(id))
    }

    /// The name of a permission that an assignment gives.
    #[must_use]
    pub fn permission_name(&self, assignment: &AppRoleAssignment) -> Option<String> {
        let resource = self.service_principals.get(&assignment.resource_id)?;
        let role = resource.app_roles.iter().find(|role| role.id == assignment.app_role_id)?;
        Some(role.value.clone())
    }

    /// A new id.
    pub(crate) fn new_id(&mut self) -> Uuid {
        self.ids.guid()
    }

    /// Takes every row back to what it was, keeping the id source and the change counters going.
    pub(crate) fn restore(&mut self, before: &Self) {
        let (ids, mut restored) = (self.ids.clone(), before.clone());
        restored.ids = ids;
        for area in AREAS {
            (area.outlast)(&mut restored, self);
        }
        *self = restored;
    }

    /// A number that grows with every change of any table.
    pub(crate) fn version(&self) -> u64 {
        AREAS.iter().map(|area| (area.version)(self)).sum()
    }

    /// All state as JSON. Passwords appear only as the number of times one was set.
    #[must_use]
    pub fn dump(&self) -> Value {
        let mut out = Map::new();
        out.insert("organization".to_owned(), json!(self.organization));
        for area in AREAS {
            out.insert(area.name.to_owned(), Value::Object((area.all)(self)));
        }
        Value::Object(out)
    }
}

/// One table for the dump and the difference.
pub(crate) struct Area {
    pub(crate) name: &'static str,
    pub(crate) all: fn(&State) -> Map<String, Value>,
    pub(crate) row: fn(&State, &str) -> Option<Value>,
    pub(crate) changed: for<'a> fn(&'a State, &'a State) -> Vec<&'a str>,
    version: fn(&State) -> u64,
    outlast: fn(&mut State, &State),
}

macro_rules! area {
    ($field:ident, $name:literal, $dump:expr) => {
        Area {
            name: $name,
            all: |state| state.$field.iter().map(|(id, row)| (id.to_owned(), $dump(row))).collect(),
            row: |state, id| state.$field.get(id).map($dump),
            changed: |now, before| now.$field.changed(&before.$field),
            version: |state| state.$field.version(),
            outlast: |state, other| state.$field.outlast(&other.$field),
        }
    };
}

/// Every table, in the order of the dump.
pub(crate) const AREAS: &[Area] = &[
    area!(users, "users", plain::<User>),
    area!(methods, "methods", dump_methods),
    area!(devices, "devices", plain::<Device>),
    area!(mailboxes, "mailboxes", dump_mailbox),
    area!(applications, "applications", plain::<Application>),
    area!(service_principals, "servicePrincipals", plain::<ServicePrincipal>),
    area!(grants, "oauth2PermissionGrants", plain::<OAuth2PermissionGrant>),
    area!(app_role_assignments, "appRoleAssignments", plain::<AppRoleAssignment>),
    area!(role_assignments, "roleAssignments", plain::<RoleAssignment>),
    area!(role_eligibilities, "roleEligibilities", plain::<RoleAssignment>),
    area!(groups, "groups", plain::<Group>),
    area!(administrative_units, "administrativeUnits", plain::<AdministrativeUnit>),
    area!(policies, "policies", plain::<Document>),
    area!(conditional_access, "conditionalAccessPolicies", plain::<Document>),
    area!(named_locations, "namedLocations", plain::<Document>),
    area!(partners, "crossTenantPartners", plain::<Document>),
    area!(domains, "domains", plain::<Document>),
    area!(federations, "federationConfigurations", plain::<Document>),
    area!(risky_users, "riskyUsers", plain::<Document>),
    area!(sign_ins, "signIns", plain::<Document>),
    area!(exchange_objects, "exchangeObjects", plain::<Document>),
    area!(deleted, "deletedItems", plain::<Deleted>),
];

fn plain<T: Serialize>(row: &T) -> Value {
    json!(row)
}

/// Keyed by method, so that a difference names the method and not a position.
#[expect(clippy::ptr_arg, reason = "the table's rows are vectors")]
fn dump_methods(methods: &Vec<AuthMethod>) -> Value {
    methods
        .iter()
        .map(|method| (format!("{}:{}", method.kind().collection(), method.id), json!(method)))
        .collect::<Map<_, _>>()
        .into()
}

fn dump_mailbox(mailbox: &Mailbox) -> Value {
    let rules: Map<String, Value> =
        mailbox.rules.iter().map(|rule| (rule.rule_identity.to_string(), json!(rule))).collect();
    let mut out = super::object(mailbox);
    out.insert("rules".to_owned(), rules.into());
    out.into()
}
