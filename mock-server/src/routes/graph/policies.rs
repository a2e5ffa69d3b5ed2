//! Tenant policy and what is kept like it: objects that are plain documents, read, merged, added and deleted.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::apps::directory_target;
use crate::access::Access;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::{Call, created};
use crate::routes::table::{Route, get, write};
use crate::server::text;
use crate::tenant::audit::{ModifiedProperty, core};
use crate::tenant::state::{Document, State};
use crate::tenant::table::Table;
use crate::tenant::world::World;

const POLICY_READ: Access = Access::any(&["Policy.Read.All"]);
const AUTHORIZATION_WRITE: Access = Access::any(&["Policy.ReadWrite.Authorization"]);
/// The permission to write cannot read, and is not enough for a write by itself either.
const CONDITIONAL_ACCESS_WRITE: Access = Access::any(&["Policy.ReadWrite.ConditionalAccess"]);
const CROSS_TENANT_WRITE: Access = Access::any(&["Policy.ReadWrite.CrossTenantAccess"]);
const DOMAIN_READ: Access = Access::any(&["Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All"]);
const FEDERATION_READ: Access = Access::any(&[
    "Domain-InternalFederation.Read.All",
    "Domain-InternalFederation.ReadWrite.All",
    "Domain.Read.All",
    "Domain.ReadWrite.All",
    "Directory.Read.All",
]);
const FEDERATION_WRITE: Access = Access::any(&["Domain-InternalFederation.ReadWrite.All", "Domain.ReadWrite.All"]);

pub(super) const ROUTES: &[Route] = &[
    get("/policies/authorizationPolicy", POLICY_READ, read),
    write("PATCH", "/policies/authorizationPolicy", AUTHORIZATION_WRITE, patch),
    get("/identity/conditionalAccess/policies", POLICY_READ, list),
    get("/identity/conditionalAccess/policies/{}", POLICY_READ, read),
    write("POST", "/identity/conditionalAccess/policies", CONDITIONAL_ACCESS_WRITE, add),
    write("PATCH", "/identity/conditionalAccess/policies/{}", CONDITIONAL_ACCESS_WRITE, patch),
    write("DELETE", "/identity/conditionalAccess/policies/{}", CONDITIONAL_ACCESS_WRITE, delete),
    get("/identity/conditionalAccess/namedLocations", POLICY_READ, list),
    get("/identity/conditionalAccess/namedLocations/{}", POLICY_READ, read),
    write("POST", "/identity/conditionalAccess/namedLocations", CONDITIONAL_ACCESS_WRITE, add),
    write("PATCH", "/identity/conditionalAccess/namedLocations/{}", CONDITIONAL_ACCESS_WRITE, patch),
    write("DELETE", "/identity/conditionalAccess/namedLocations/{}", CONDITIONAL_ACCESS_WRITE, delete),
    get("/policies/crossTenantAccessPolicy/default", POLICY_READ, read),
    write("PATCH", "/policies/crossTenantAccessPolicy/default", CROSS_TENANT_WRITE, patch),
    get("/policies/crossTenantAccessPolicy/partners", POLICY_READ, list),
    get("/policies/crossTenantAccessPolicy/partners/{}", POLICY_READ, read),
    write("POST", "/policies/crossTenantAccessPolicy/partners", CROSS_TENANT_WRITE, add),
    write("PATCH", "/policies/crossTenantAccessPolicy/partners/{}", CROSS_TENANT_WRITE, patch),
    write("DELETE", "/policies/crossTenantAccessPolicy/partners/{}", CROSS_TENANT_WRITE, delete),
    get("/domains", DOMAIN_READ, list),
    get("/domains/{}", DOMAIN_READ, read),
    get("/domains/{}/federationConfiguration", FEDERATION_READ, list),
    get("/domains/{}/federationConfiguration/{}", FEDERATION_READ, read),
    write("DELETE", "/domains/{}/federationConfiguration/{}", FEDERATION_WRITE, delete),
];

/// A kind of document: where it lives, and how the feed words its changes.
struct Kind {
    path: &'static str,
    type_name: &'static str,
    /// The property that addresses one, or the constant key of a single one.
    key: &'static str,
    single: bool,
    table: fn(&State) -> &Table<Document>,
    table_mut: fn(&mut State) -> &mut Table<Document>,
    activities: [&'static str; 3],
    check: fn(&Document) -> Result<(), Fail>,
}

/// Longer paths come first, since the first that fits is taken.
const KINDS: &[Kind] = &[
    Kind {
        path: "/policies/authorizationPolicy",
        type_name: "authorizationPolicy",
        key: "authorizationPolicy",
        single: true,
        table: |state| &state.policies,
        table_mut: |state| &mut state.policies,
        activities: ["", "Update authorization policy", ""],
        check: fine,
    },
    Kind {
        path: "/identity/conditionalAccess/policies",
        type_name: "conditionalAccessPolicy",
        key: "id",
        single: false,
        table: |state| &state.conditional_access,
        table_mut: |state| &mut state.conditional_access,
        activities: [
            "Add conditional access policy",
            "Update conditional access policy",
            "Delete conditional access policy",
        ],
        check: conditional_access,
    },
    Kind {
        path: "/identity/conditionalAccess/namedLocations",
        type_name: "namedLocation",
        key: "id",
        single: false,
        table: |state| &state.named_locations,
        table_mut: |state| &mut state.named_locations,
        activities: ["Add named location", "Update named location", "Delete named location"],
        check: named_location,
    },
    Kind {
        path: "/policies/crossTenantAccessPolicy/default",
        type_name: "crossTenantAccessPolicyConfigurationDefault",
        key: "crossTenantDefault",
        single: true,
        table: |state| &state.policies,
        table_mut: |state| &mut state.policies,
        activities: ["", "Update the company default cross-tenant access setting", ""],
        check: fine,
    },
    Kind {
        path: "/policies/crossTenantAccessPolicy/partners",
        type_name: "crossTenantAccessPolicyConfigurationPartner",
        key: "tenantId",
        single: false,
        table: |state| &state.partners,
        table_mut: |state| &mut state.partners,
        activities: [
            "Add a partner to cross-tenant access setting",
            "Update a partner cross-tenant access setting",
            "Delete partner specific cross-tenant access setting",
        ],
        check: fine,
    },
    Kind {
        path: "/domains/{}/federationConfiguration",
        type_name: "internalDomainFederation",
        key: "id",
        single: false,
        table: |state| &state.federations,
        table_mut: |state| &mut state.federations,
        activities: ["", "Set federation settings on domain", "Set domain authentication"],
        check: fine,
    },
    Kind {
        path: "/domains",
        type_name: "domain",
        key: "id",
        single: false,
        table: |state| &state.domains,
        table_mut: |state| &mut state.domains,
        activities: ["", "", ""],
        check: fine,
    },
];

fn fine(_: &Document) -> Result<(), Fail> {
    Ok(())
}

fn kind_of(call: &Call<'_>) -> Result<&'static Kind, Fail> {
    let found = KINDS.iter().find(|kind| call.route.path.starts_with(kind.path));
    found.ok_or_else(|| Fail::bad_request("The resource is not known."))
}

fn shape(kind: &Kind) -> Shape {
    Shape { type_name: kind.type_name, defaults: None, unmodelled: &[] }
}

/// What hangs off a domain names it; no other document has a parent.
fn belongs(call: &Call<'_>, kind: &Kind, row: &Document) -> bool {
    kind.type_name != "internalDomainFederation" || call.key(0).is_ok_and(|domain| text(row, "_domain") == Some(domain))
}

fn wire(row: &Document) -> Map<String, Value> {
    row.iter().filter(|(name, _)| !name.starts_with('_')).map(|(name, value)| (name.clone(), value.clone())).collect()
}

/// A document as a reader sees it: members of an evolvable enumeration that stand after its sentinel come only to those
/// who ask for them.
fn shown(call: &Call<'_>, row: &Document) -> Map<String, Value> {
    const LATER: [&str; 1] = ["riskRemediation"];
    let mut out = wire(row);
    let prefer = call.request.get_header("prefer").unwrap_or_default();
    if prefer.contains("include-unknown-enum-members") {
        return out;
    }
    let controls = out.get_mut("grantControls").and_then(|grant| grant.get_mut("builtInControls"));
    if let Some(Value::Array(controls)) = controls {
        for control in controls.iter_mut().filter(|control| LATER.iter().any(|name| *control == name)) {
            *control = "unknownFutureValue".into();
        }
    }
    out
}

fn list(call: &Call<'_>, world: &World) -> Outcome {
    let kind = kind_of(call)?;
    let rows = (kind.table)(&world.state).iter().filter(|(_, row)| belongs(call, kind, row));
    let rows = rows.map(|(id, row)| (id.to_owned(), shown(call, row))).collect();
    call.collection(kind.path.trim_start_matches('/'), &shape(kind), rows, DIRECTORY)
}

fn found(call: &Call<'_>, world: &World) -> Result<(&'static Kind, String, Document), Fail> {
    let kind = kind_of(call)?;
    let key = if kind.single { kind.key } else { call.key(call.keys.len().saturating_sub(1))? };
    let row = (kind.table)(&world.state).get(key).filter(|row| belongs(call, kind, row));
    row.map(|row| (kind, key.to_owned(), row.clone())).ok_or_else(|| Fail::not_found(key))
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    let (kind, _, row) = found(call, world)?;
    call.entity(kind.path.trim_start_matches('/'), &shape(kind), shown(call, &row))
}

/// Conditional Access asks for three permissions together.
fn permit(call: &Call<'_>, kind: &Kind) -> Result<(), Fail> {
    let needed = ["Policy.Read.All", "Policy.ReadWrite.ConditionalAccess", "Application.Read.All"];
    let conditional = kind.type_name == "conditionalAccessPolicy";
    if conditional && !needed.iter().all(|name| call.caller.may(name)) {
        return Err(Fail::denied());
    }
    Ok(())
}

fn patch(call: &Call<'_>, world: &mut World) -> Outcome {
    let (kind, key, old) = found(call, world)?;
    permit(call, kind)?;
    let mut new = old.clone();
    for (name, value) in call.body()? {
        match new.get_mut(&name) {
            Some(known) => merge(known, value),
            None if name.starts_with('@') => {}
            None => {
                return Err(Fail::bad_request(&format!(
                    "Property '{name}' does not exist as a declared property or extension property."
                )));
            }
        }
    }
    if new == old {
        return Ok(no_content());
    }
    if new.contains_key("modifiedDateTime") {
        new.insert("modifiedDateTime".to_owned(), json!(call.now));
    }
    (kind.check)(&new)?;
    (kind.table_mut)(&mut world.state).insert(key.clone(), new.clone());
    note(call, world, kind, 1, (&key, Some(&old), Some(&new)));
    Ok(no_content())
}

/// A complex value is merged, a collection is replaced.
fn merge(known: &mut Value, value: Value) {
    match (known, value) {
        (Value::Object(known), Value::Object(value)) => {
            for (name, value) in value {
                merge(known.entry(name).or_insert(Value::Null), value);
            }
        }
        (known, value) => *known = value,
    }
}

fn add(call: &Call<'_>, world: &mut World) -> Outcome {
    let kind = kind_of(call)?;
    permit(call, kind)?;
    let body = call.body()?;
    (kind.check)(&body)?;
    let row = complete(call, world, kind, body);
    let key = text(&row, kind.key).unwrap_or_default().to_owned();
    if (kind.table)(&world.state).contains(&key) {
        return Err(Fail::graph(409, "Request_MultipleObjectsWithSameKeyValue", "The object exists already."));
    }
    (kind.table_mut)(&mut world.state).insert(key.clone(), row.clone());
    note(call, world, kind, 0, (&key, None, Some(&row)));
    Ok(created(call.context(&format!("{}/$entity", kind.path.trim_start_matches('/'))), wire(&row)))
}

/// What the server adds to a new object.
fn complete(call: &Call<'_>, world: &mut World, kind: &Kind, body: Document) -> Document {
    let mut row = Value::Object(match kind.type_name {
        "conditionalAccessPolicy" => blank_policy(),
        _ => Document::new(),
    });
    merge(&mut row, Value::Object(body));
    let mut row = row.as_object().cloned().unwrap_or_default();
    if kind.key == "id" {
        row.insert("id".to_owned(), world.state.new_id().to_string().into());
        row.insert("createdDateTime".to_owned(), json!(call.now));
        row.insert("modifiedDateTime".to_owned(), Value::Null);
    }
    row
}

/// A policy's whole form: the server fills empty collections.
pub(crate) fn blank_policy() -> Document {
    let row = json!({
        "id": "", "templateId": null, "displayName": "", "createdDateTime": null, "modifiedDateTime": null,
        "state": "disabled", "deletedDateTime": null,
        "sessionControls": null,
        "conditions": {
            "userRiskLevels": [], "signInRiskLevels": [], "clientAppTypes": ["all"], "platforms": null,
            "locations": null, "times": null, "devices": null, "clientApplications": null,
            "applications": {"includeApplications": [], "excludeApplications": [], "includeUserActions": []},
            "users": {
                "includeUsers": [], "excludeUsers": [], "includeGroups": [], "excludeGroups": [], "includeRoles": [],
                "excludeRoles": [],
            },
        },
        "grantControls": null,
    });
    let mut row = row.as_object().cloned().unwrap_or_default();
    if let Some(Value::Object(conditions)) = row.get_mut("conditions") {
        conditions.shift_remove("times");
    }
    row
}

fn conditional_access(row: &Document) -> Result<(), Fail> {
    const STATES: [&str; 3] = ["enabled", "disabled", "enabledForReportingButNotEnforced"];
    if text(row, "displayName").is_none_or(str::is_empty) {
        return Err(Fail::bad_request("1003: A display name is required."));
    }
    if !text(row, "state").is_some_and(|state| STATES.contains(&state)) {
        return Err(Fail::bad_request("1001: The state of the policy is not valid."));
    }
    let absent = |name: &str| row.get(name).is_none_or(Value::is_null);
    if absent("conditions") || (absent("grantControls") && absent("sessionControls")) {
        return Err(Fail::bad_request("1000: The policy needs conditions, and grant or session controls."));
    }
    Ok(())
}

fn named_location(row: &Document) -> Result<(), Fail> {
    const TYPES: [&str; 2] = ["#microsoft.graph.ipNamedLocation", "#microsoft.graph.countryNamedLocation"];
    match text(row, "@odata.type") {
        Some(kind) if TYPES.contains(&kind) => Ok(()),
        _ => Err(Fail::bad_request("The @odata.type of the named location is missing or not known.")),
    }
}

fn delete(call: &Call<'_>, world: &mut World) -> Outcome {
    let (kind, key, old) = found(call, world)?;
    permit(call, kind)?;
    if kind.type_name == "namedLocation" && old.get("isTrusted") == Some(&Value::Bool(true)) {
        return Err(Fail::bad_request("A trusted named location cannot be deleted."));
    }
    (kind.table_mut)(&mut world.state).remove(&key);
    note(call, world, kind, 2, (&key, Some(&old), None));
    Ok(no_content())
}

fn note(
    call: &Call<'_>,
    world: &mut World,
    kind: &Kind,
    which: usize,
    change: (&str, Option<&Document>, Option<&Document>),
) {
    let (key, old, new) = change;
    let name = new.or(old).and_then(|row| text(row, "displayName")).unwrap_or(key);
    let value = |row: Option<&Document>| row.map(|row| Value::Object(wire(row)));
    let modified = vec![ModifiedProperty::new(kind.type_name, value(old).as_ref(), value(new).as_ref())];
    let target = directory_target("Policy", key, name, modified);
    let activity = kind.activities.get(which).copied().unwrap_or_default();
    let operation = ["Add", "Update", "Delete"].get(which).copied().unwrap_or_default();
    call.note(world, core(activity, "Policy", operation), vec![target], "");
}
