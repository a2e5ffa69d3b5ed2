//! Applications and service principals.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::access::{APPLICATION_READ, APPLICATION_WRITE, PRINCIPAL_WRITE};
use super::objects::{self, rows_of};
use crate::odata::filter::Filter;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::{Call, Rows, created};
use crate::routes::table::{Key, Route, get, write};
use crate::tenant::apps::{
    APPLICATION_UNMODELLED, Application, KeyCredential, SERVICE_PRINCIPAL_UNMODELLED, ServicePrincipal,
};
use crate::tenant::audit::{ModifiedProperty, Target, core};
use crate::tenant::stamp::Stamp;
use crate::tenant::state::State;
use crate::tenant::tokens::Caller;
use crate::tenant::world::World;

pub(super) const ROUTES: &[Route] = &[
    get("/applications", APPLICATION_READ, list_applications),
    get("/applications/{}", APPLICATION_READ, read_application),
    write("PATCH", "/applications/{}", APPLICATION_WRITE, patch_application),
    get("/applications/{}/owners", APPLICATION_READ, application_owners),
    get("/servicePrincipals", APPLICATION_READ, list_principals),
    get("/servicePrincipals/{}", APPLICATION_READ, read_principal),
    write("PATCH", "/servicePrincipals/{}", PRINCIPAL_WRITE, patch_principal),
    get("/servicePrincipals/{}/owners", APPLICATION_READ, principal_owners),
];

const APPLICATION: Shape = Shape { type_name: "application", defaults: None, unmodelled: APPLICATION_UNMODELLED };
const PRINCIPAL: Shape =
    Shape { type_name: "servicePrincipal", defaults: None, unmodelled: SERVICE_PRINCIPAL_UNMODELLED };

const FILTERS: &[&str] = &[
    "appId",
    "appOwnerOrganizationId",
    "accountEnabled",
    "createdDateTime",
    "displayName",
    "id",
    "identifierUris",
    "isDisabled",
    "publisherDomain",
    "servicePrincipalNames",
    "servicePrincipalType",
    "signInAudience",
    "tags",
    "replyUrls",
];

pub(super) fn application_of<'a>(call: &Call<'_>, state: &'a State) -> Result<&'a Application, Fail> {
    let (found, key) = match call.keys.first() {
        Some(Key::Plain(id)) => (state.applications.get(&id.to_lowercase()), id),
        Some(Key::Named(name, app_id)) if name.eq_ignore_ascii_case("appId") => (state.application_of(app_id), app_id),
        _ => {
            return Err(Fail::bad_request("The key of the application is not known."));
        }
    };
    found.ok_or_else(|| Fail::not_found(key))
}

pub(super) fn principal_of<'a>(call: &Call<'_>, state: &'a State) -> Result<&'a ServicePrincipal, Fail> {
    let (found, key) = match call.keys.first() {
        Some(Key::Plain(id)) => (state.service_principals.get(&id.to_lowercase()), id),
        Some(Key::Named(name, app_id)) if name.eq_ignore_ascii_case("appId") => {
            (state.service_principal_of(app_id), app_id)
        }
        _ => {
            return Err(Fail::bad_request("The key of the service principal is not known."));
        }
    };
    found.ok_or_else(|| Fail::not_found(key))
}

fn filtered(
    call: &Call<'_>,
    resource: &str,
    rows: impl Iterator<Item = (String, Map<String, Value>)>,
) -> Result<Rows, Fail> {
    let Some(text) = call.query.get("$filter") else {
        return Ok(rows.collect());
    };
    let filter = Filter::parse_for(text, resource, FILTERS)?;
    call.require_eventual(filter.needs_eventual())?;
    Ok(rows.filter(|(_, row)| filter.matches(&Value::Object(row.clone()))).collect())
}

fn list_applications(call: &Call<'_>, world: &World) -> Outcome {
    let rows = world.state.applications.values().map(|row| (row.id.clone(), row.wire()));
    call.collection("applications", &APPLICATION, filtered(call, "Application", rows)?, DIRECTORY)
}

fn list_principals(call: &Call<'_>, world: &World) -> Outcome {
    let rows = world.state.service_principals.values().map(|row| (row.id.clone(), row.wire()));
    call.collection("servicePrincipals", &PRINCIPAL, filtered(call, "ServicePrincipal", rows)?, DIRECTORY)
}

/// A certificate's public part is shown for a single object, and only where it was asked for.
fn with_keys(
    call: &Call<'_>,
    mut row: Map<String, Value>,
    keys: &[crate::tenant::apps::KeyCredential],
) -> Map<String, Value> {
    let asked = call.query.get("$select").is_some_and(|list| list.to_lowercase().contains("keycredentials"));
    if asked {
        row.insert("keyCredentials".to_owned(), json!(keys));
    }
    row
}

fn read_application(call: &Call<'_>, world: &World) -> Outcome {
    let application = application_of(call, &world.state)?;
    let row = with_keys(call, application.wire(), &application.key_credentials);
    call.entity("applications", &APPLICATION, row)
}

fn read_principal(call: &Call<'_>, world: &World) -> Outcome {
    let principal = principal_of(call, &world.state)?;
    let row = with_keys(call, principal.wire(), &principal.key_credentials);
    call.entity("servicePrincipals", &PRINCIPAL, row)
}

fn patch_application(call: &Call<'_>, world: &mut World) -> Outcome {
    let mut application = application_of(call, &world.state)?.clone();
    let old = application.clone();
    for (name, value) in call.body()? {
        match (name.as_str(), value) {
            ("isDisabled", Value::Bool(disabled)) => application.is_disabled = Some(disabled),
            ("isDisabled", Value::Null) => application.is_disabled = None,
            ("keyCredentials", Value::Array(keys)) => {
                application.key_credentials = kept_keys(&old.key_credentials, &keys)?
            }
            (name, _) => return Err(unchangeable("Application", name)),
        }
    }
    if application == old {
        return Ok(no_content());
    }
    let mut modified = Vec::new();
    if application.is_disabled != old.is_disabled {
        modified.extend(change("IsDisabled", &json!([old.is_disabled]), &json!([application.is_disabled])));
    }
    if application.key_credentials != old.key_credentials {
        modified.extend(change(
            "KeyDescription",
            &described(&old.key_credentials),
            &described(&application.key_credentials),
        ));
    }
    let target = directory_target("Application", &application.id, &application.display_name, modified);
    world.state.applications.insert(application.id.clone(), application);
    call.note(world, core("Update application", "ApplicationManagement", "Update"), vec![target], "");
    Ok(no_content())
}

/// A change by application id makes a service principal where there is none.
fn upsert(call: &Call<'_>, world: &mut World, app_id: &str) -> Outcome {
    let id = world.state.new_id().to_string();
    let known = world.state.application_of(app_id).map(|row| row.display_name.clone());
    let principal = ServicePrincipal::new(&id, app_id, &known.unwrap_or_default(), call.now);
    let row = principal.wire();
    let target = directory_target("ServicePrincipal", &id, &principal.display_name, Vec::new());
    world.state.service_principals.insert(id, principal);
    call.note(world, core("Add service principal", "ApplicationManagement", "Add"), vec![target], "");
    Ok(created(call.context("servicePrincipals/$entity"), row))
}

fn patch_principal(call: &Call<'_>, world: &mut World) -> Outcome {
    if let Some(Key::Named(name, app_id)) = call.keys.first()
        && name.eq_ignore_ascii_case("appId")
        && world.state.service_principal_of(app_id).is_none()
    {
        return upsert(call, world, &app_id.to_lowercase());
    }
    let mut principal = principal_of(call, &world.state)?.clone();
    let old = principal.clone();
    for (name, value) in call.body()? {
        match (name.as_str(), value) {
            ("accountEnabled", Value::Bool(enabled)) => principal.account_enabled = enabled,
            ("appRoleAssignmentRequired", Value::Bool(required)) => principal.app_role_assignment_required = required,
            ("keyCredentials", Value::Array(keys)) => {
                principal.key_credentials = kept_keys(&old.key_credentials, &keys)?
            }
            (name, _) => return Err(unchangeable("ServicePrincipal", name)),
        }
    }
    if principal == old {
        return Ok(no_content());
    }
    let mut modified = Vec::new();
    if principal.account_enabled != old.account_enabled {
        modified.extend(change("AccountEnabled", &json!([old.account_enabled]), &json!([principal.account_enabled])));
    }
    if principal.app_role_assignment_required != old.app_role_assignment_required {
        let (before, after) = (old.app_role_assignment_required, principal.app_role_assignment_required);
        modified.extend(change("AppRoleAssignmentRequired", &json!([before]), &json!([after])));
    }
    if principal.key_credentials != old.key_credentials {
        modified.extend(change(
            "KeyDescription",
            &described(&old.key_credentials),
            &described(&principal.key_credentials),
        ));
    }
    let target = directory_target("ServicePrincipal", &principal.id, &principal.display_name, modified);
    world.state.service_principals.insert(principal.id.clone(), principal);
    call.note(world, core("Update service principal", "ApplicationManagement", "Update"), vec![target], "");
    Ok(no_content())
}

/// Whether a signed-in user may change this application or service principal as its owner, without any role.
pub(super) fn owns(caller: &Caller, path: &str, keys: &[Key], state: &State) -> bool {
    let (Some(user), Some(key)) = (&caller.user, keys.first()) else {
        return false;
    };
    let (Key::Plain(key) | Key::Named(_, key)) = key;
    let key = key.to_lowercase();
    let owners = if path.starts_with("/applications/{}") {
        state.applications.get(&key).or_else(|| state.application_of(&key)).map(|row| &row.hidden.owners)
    } else if path.starts_with("/servicePrincipals/{}") {
        state.service_principals.get(&key).or_else(|| state.service_principal_of(&key)).map(|row| &row.hidden.owners)
    } else {
        None
    };
    owners.is_some_and(|owners| owners.contains(&user.id))
}

fn unchangeable(resource: &str, name: &str) -> Fail {
    Fail::bad_request(&format!("Property '{name}' of resource '{resource}' is read-only or has an invalid value."))
}

/// The collection is replaced as a whole: entries are known by their id, and a new one brings its key.
fn kept_keys(old: &[KeyCredential], wanted: &[Value]) -> Result<Vec<KeyCredential>, Fail> {
    let member = |entry: &Value, name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    wanted
        .iter()
        .map(|entry| {
            let id = member(entry, "keyId").unwrap_or_default();
            if let Some(known) = old.iter().find(|known| known.key_id.eq_ignore_ascii_case(&id)) {
                return Ok(known.clone());
            }
            let time = |name: &str| member(entry, name).and_then(|text| text.parse().ok()).map(Stamp);
            match (member(entry, "key"), time("startDateTime"), time("endDateTime")) {
                (Some(key), Some(start), Some(end)) => Ok(KeyCredential {
                    custom_key_identifier: member(entry, "customKeyIdentifier"),
                    display_name: member(entry, "displayName"),
                    end_date_time: end,
                    key: Some(key),
                    key_id: id,
                    start_date_time: start,
                    kind: member(entry, "type").unwrap_or_else(|| "AsymmetricX509Cert".to_owned()),
                    usage: member(entry, "usage").unwrap_or_else(|| "Verify".to_owned()),
                }),
                _ => Err(Fail::bad_request("A new key credential needs key, startDateTime and endDateTime.")),
            }
        })
        .collect()
}

fn described(keys: &[KeyCredential]) -> Value {
    let text = |key: &KeyCredential| {
        let name = key.display_name.as_deref().unwrap_or_default();
        format!("[KeyIdentifier={},KeyType={},KeyUsage={},DisplayName={name}]", key.key_id, key.kind, key.usage)
    };
    keys.iter().map(text).collect()
}

/// One changed property and the list that names it.
fn change(name: &str, old: &Value, new: &Value) -> Vec<ModifiedProperty> {
    vec![ModifiedProperty::new(name, Some(old), Some(new)), ModifiedProperty::included(&[name])]
}

/// A directory object as the target of an audit entry.
pub(super) fn directory_target(kind: &str, id: &str, name: &str, modified: Vec<ModifiedProperty>) -> Target {
    Target {
        id: id.to_owned(),
        display_name: Some(name.to_owned()),
        kind: kind.to_owned(),
        modified_properties: modified,
        ..Target::default()
    }
}

fn application_owners(call: &Call<'_>, world: &World) -> Outcome {
    let owners = &application_of(call, &world.state)?.hidden.owners;
    objects::answer(call, rows_of(&world.state, owners))
}

fn principal_owners(call: &Call<'_>, world: &World) -> Outcome {
    let owners = &principal_of(call, &world.state)?.hidden.owners;
    objects::answer(call, rows_of(&world.state, owners))
}
