//! What lets an application sign in, and who owns it: secrets, certificates, federated credentials, owners.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::access::{APPLICATION_READ, APPLICATION_WRITE, PRINCIPAL_WRITE};
use super::apps::{application_of, directory_target, principal_of};
use super::objects::{add_reference, reference, without_reference};
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content, ok};
use crate::routes::call::{Call, created};
use crate::routes::table::{Route, get, write};
use crate::server::text;
use crate::tenant::apps::PasswordCredential;
use crate::tenant::audit::{ModifiedProperty, core};
use crate::tenant::object;
use crate::tenant::stamp::Stamp;
use crate::tenant::state::State;
use crate::tenant::world::World;

pub(super) const ROUTES: &[Route] = &[
    write("POST", "/applications/{}/removePassword", APPLICATION_WRITE, remove_password),
    write("POST", "/applications/{}/addPassword", APPLICATION_WRITE, add_password),
    write("POST", "/servicePrincipals/{}/removePassword", PRINCIPAL_WRITE, remove_password),
    write("POST", "/servicePrincipals/{}/addPassword", PRINCIPAL_WRITE, add_password),
    get("/applications/{}/federatedIdentityCredentials", APPLICATION_READ, list_federated),
    get("/applications/{}/federatedIdentityCredentials/{}", APPLICATION_READ, read_federated),
    write("POST", "/applications/{}/federatedIdentityCredentials", APPLICATION_WRITE, add_federated),
    write("DELETE", "/applications/{}/federatedIdentityCredentials/{}", APPLICATION_WRITE, delete_federated),
    write("POST", "/applications/{}/owners/$ref", APPLICATION_WRITE, add_owner),
    write("DELETE", "/applications/{}/owners/{}/$ref", APPLICATION_WRITE, remove_owner),
    write("POST", "/servicePrincipals/{}/owners/$ref", PRINCIPAL_WRITE, add_owner),
    write("DELETE", "/servicePrincipals/{}/owners/{}/$ref", PRINCIPAL_WRITE, remove_owner),
];

/// The name under which the service logs every change of secrets; the dash and the space at the end are its own.
const SECRETS_ACTIVITY: &str = "Update application \u{2013} Certificates and secrets management ";

/// What an application and its service principal have in common.
struct Holder {
    id: String,
    name: String,
    kind: &'static str,
    owners: Vec<String>,
}

fn holder(call: &Call<'_>, state: &State) -> Result<Holder, Fail> {
    if call.route.path.starts_with("/applications") {
        let found = application_of(call, state)?;
        let (id, name) = (found.id.clone(), found.display_name.clone());
        return Ok(Holder { id, name, kind: "Application", owners: found.hidden.owners.clone() });
    }
    let found = principal_of(call, state)?;
    let (id, name) = (found.id.clone(), found.display_name.clone());
    Ok(Holder { id, name, kind: "ServicePrincipal", owners: found.hidden.owners.clone() })
}

fn secrets<'a>(state: &'a mut State, holder: &Holder) -> Option<&'a mut Vec<PasswordCredential>> {
    match holder.kind {
        "Application" => state.applications.get_mut(&holder.id).map(|row| &mut row.password_credentials),
        _ => state.service_principals.get_mut(&holder.id).map(|row| &mut row.password_credentials),
    }
}

fn description(secret: &PasswordCredential) -> String {
    format!(
        "[KeyIdentifier={},KeyType=Password,KeyUsage=Verify,DisplayName={}]",
        secret.key_id,
        secret.display_name.as_deref().unwrap_or_default()
    )
}

fn note_secret(call: &Call<'_>, world: &mut World, holder: &Holder, old: &Value, new: &Value) {
    let modified = vec![
        ModifiedProperty::new("KeyDescription", Some(old), Some(new)),
        ModifiedProperty::included(&["KeyDescription"]),
    ];
    let name = if holder.kind == "Application" { SECRETS_ACTIVITY } else { "Update service principal" };
    let target = directory_target(holder.kind, &holder.id, &holder.name, modified);
    call.note(world, core(name, "ApplicationManagement", "Update"), vec![target], "");
}

fn remove_password(call: &Call<'_>, world: &mut World) -> Outcome {
    let holder = holder(call, &world.state)?;
    let body = call.body()?;
    let key = text(&body, "keyId").ok_or_else(|| Fail::bad_request("keyId is required."))?;
    let known = match holder.kind {
        "Application" => world.state.applications.get(&holder.id).map(|row| &row.password_credentials),
        _ => world.state.service_principals.get(&holder.id).map(|row| &row.password_credentials),
    };
    let gone = known.and_then(|secrets| secrets.iter().find(|secret| secret.key_id.eq_ignore_ascii_case(key))).cloned();
    let gone = gone.ok_or_else(|| Fail::bad_request(&format!("No password credential found with keyId '{key}'.")))?;
    if let Some(secrets) = secrets(&mut world.state, &holder) {
        secrets.retain(|secret| secret.key_id != gone.key_id);
    }
    note_secret(call, world, &holder, &json!([description(&gone)]), &json!([]));
    Ok(no_content())
}

fn add_password(call: &Call<'_>, world: &mut World) -> Outcome {
    let holder = holder(call, &world.state)?;
    let body = if call.request.body.is_empty() { Map::new() } else { call.body()? };
    let name = body.get("passwordCredential").and_then(|wanted| wanted.get("displayName")).and_then(Value::as_str);
    let (key_id, value) = (world.state.new_id().to_string(), world.state.new_id().simple().to_string());
    let secret = PasswordCredential {
        custom_key_identifier: None,
        display_name: name.map(str::to_owned),
        end_date_time: Stamp(call.now.0 + jiff::SignedDuration::from_hours(24 * 730)),
        hint: value.chars().take(3).collect(),
        key_id,
        secret_text: None,
        start_date_time: call.now,
        value,
    };
    let mut shown = object(&secret);
    shown.insert("@odata.context".to_owned(), call.context("microsoft.graph.passwordCredential").into());
    // The secret is shown once, here.
    shown.insert("secretText".to_owned(), secret.value.clone().into());
    let described = description(&secret);
    if let Some(secrets) = secrets(&mut world.state, &holder) {
        secrets.push(secret);
    }
    note_secret(call, world, &holder, &json!([]), &json!([described]));
    Ok(ok(&Value::Object(shown)))
}

const FEDERATED: Shape = Shape { type_name: "federatedIdentityCredential", defaults: None, unmodelled: &[] };

fn federated_of(call: &Call<'_>, state: &State) -> Result<Map<String, Value>, Fail> {
    let (application, id) = (application_of(call, state)?, call.key(1)?);
    let found =
        application.hidden.federated.iter().find(|row| text(row, "id") == Some(id) || text(row, "name") == Some(id));
    found.cloned().ok_or_else(|| Fail::not_found(id))
}

fn list_federated(call: &Call<'_>, world: &World) -> Outcome {
    let application = application_of(call, &world.state)?;
    let rows = application.hidden.federated.iter().map(|row| (String::new(), row.clone())).collect();
    let set = format!("applications('{}')/federatedIdentityCredentials", application.id);
    call.collection(&set, &FEDERATED, rows, DIRECTORY)
}

fn read_federated(call: &Call<'_>, world: &World) -> Outcome {
    let row = federated_of(call, &world.state)?;
    call.entity("applications/federatedIdentityCredentials", &FEDERATED, row)
}

fn add_federated(call: &Call<'_>, world: &mut World) -> Outcome {
    let (application, body) = (application_of(call, &world.state)?.id.clone(), call.body()?);
    for name in ["name", "issuer", "subject"] {
        if text(&body, name).is_none() {
            return Err(Fail::bad_request(&format!("A value is required for property '{name}'.")));
        }
    }
    let id = world.state.new_id().to_string();
    let row = json!({
        "id": id, "name": body.get("name"), "issuer": body.get("issuer"), "subject": body.get("subject"),
        "description": body.get("description"), "audiences": body.get("audiences").cloned().unwrap_or_else(|| json!(["api://AzureADTokenExchange"])),
    });
    let row = row.as_object().cloned().unwrap_or_default();
    if let Some(application) = world.state.applications.get_mut(&application) {
        application.hidden.federated.push(row.clone());
    }
    note_federated(call, world, &application);
    Ok(created(call.context("applications/federatedIdentityCredentials/$entity"), row))
}

fn delete_federated(call: &Call<'_>, world: &mut World) -> Outcome {
    let (application, gone) = (application_of(call, &world.state)?.id.clone(), federated_of(call, &world.state)?);
    if let Some(application) = world.state.applications.get_mut(&application) {
        application.hidden.federated.retain(|row| row != &gone);
    }
    note_federated(call, world, &application);
    Ok(no_content())
}

fn note_federated(call: &Call<'_>, world: &mut World, id: &str) {
    let name = world.state.applications.get(id).map(|row| row.display_name.clone()).unwrap_or_default();
    let modified = vec![ModifiedProperty::included(&["FederatedIdentityCredentials"])];
    let target = directory_target("Application", id, &name, modified);
    call.note(world, core("Update application", "ApplicationManagement", "Update"), vec![target], "");
}

fn set_owners(call: &Call<'_>, world: &mut World, holder: &Holder, owners: Vec<String>, adding: bool) -> Outcome {
    let name = match (holder.kind, adding) {
        ("Application", true) => "Add owner to application",
        ("Application", false) => "Remove owner from application",
        (_, true) => "Add owner to service principal",
        (_, false) => "Remove owner from service principal",
    };
    if let ("Application", Some(row)) = (holder.kind, world.state.applications.get_mut(&holder.id)) {
        row.hidden.owners = owners;
    } else if let Some(row) = world.state.service_principals.get_mut(&holder.id) {
        row.hidden.owners = owners;
    }
    let target = directory_target(holder.kind, &holder.id, &holder.name, Vec::new());
    let operation = if adding { "Assign" } else { "Unassign" };
    call.note(world, core(name, "ApplicationManagement", operation), vec![target], "");
    Ok(no_content())
}

fn add_owner(call: &Call<'_>, world: &mut World) -> Outcome {
    let holder = holder(call, &world.state)?;
    let owners = add_reference(&world.state, &holder.owners, &reference(call)?)?;
    set_owners(call, world, &holder, owners, true)
}

fn remove_owner(call: &Call<'_>, world: &mut World) -> Outcome {
    let holder = holder(call, &world.state)?;
    let owners = without_reference(&holder.owners, &call.key(1)?.to_lowercase())?;
    set_owners(call, world, &holder, owners, false)
}
