//! Directory objects of any type: lists that mix types, and references between objects.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome};
use crate::routes::call::{Call, Rows};
use crate::server::text;
use crate::tenant::roles::{self, RoleTemplate};
use crate::tenant::state::State;
use crate::tenant::users::DEFAULTS;
use crate::tenant::world::World;

/// What some type of object has and another has not, or that is not modelled.
const UNMODELLED: &[&str] = &[
    "alternativeSecurityIds",
    "complianceExpirationDateTime",
    "extensionAttributes",
    "isManagementRestricted",
    "isMemberManagementRestricted",
    "onPremisesSecurityIdentifier",
];

/// A collection of objects of several types knows every property of any of them.
const OBJECT: Shape = Shape { type_name: "directoryObject", defaults: None, unmodelled: UNMODELLED };

/// A list of objects of several types.
pub(super) fn answer(call: &Call<'_>, rows: Rows) -> Outcome {
    call.collection("directoryObjects", &OBJECT, rows, DIRECTORY)
}

/// A directory object, marked with its type.
pub(super) fn typed(type_name: &str, mut row: Map<String, Value>) -> Map<String, Value> {
    let mut out = Map::new();
    out.insert("@odata.type".to_owned(), format!("#microsoft.graph.{type_name}").into());
    out.append(&mut row);
    out
}

/// The object with this id, whatever it is; a user with the default properties only.
pub(super) fn object_row(state: &State, id: &str) -> Option<Map<String, Value>> {
    if let Some(user) = state.users.get(id) {
        let mut row = user.wire();
        row.retain(|name, _| DEFAULTS.contains(&name.as_str()));
        return Some(typed("user", row));
    }
    let device = || state.devices.get(id).map(|row| typed("device", row.wire()));
    let group = || state.groups.get(id).map(|row| typed("group", row.wire()));
    let application = || state.applications.get(id).map(|row| typed("application", row.wire()));
    let principal = || state.service_principals.get(id).map(|row| typed("servicePrincipal", row.wire()));
    device().or_else(group).or_else(application).or_else(principal)
}

/// The objects with these ids; what is gone is left out.
pub(super) fn rows_of(state: &State, ids: &[String]) -> Rows {
    ids.iter().filter_map(|id| Some((id.clone(), object_row(state, id)?))).collect()
}

/// An activated directory role.
pub(super) fn role_row(world: &World, role: &RoleTemplate) -> (String, Map<String, Value>) {
    let id = world.named(&format!("directory-role/{}", role.id));
    let row = json!({
        "id": id, "deletedDateTime": null, "description": null, "displayName": role.name, "roleTemplateId": role.id,
    });
    (id, typed("directoryRole", row.as_object().cloned().unwrap_or_default()))
}

/// Groups, roles and units that hold an object; nested groups too where asked for.
pub(super) fn memberships(world: &World, id: &str, transitive: bool) -> Rows {
    let state = &world.state;
    let mut found = Vec::new();
    let mut open = vec![id.to_owned()];
    while let Some(member) = open.pop() {
        for group in state.groups.values().filter(|group| group.hidden.members.contains(&member)) {
            if !found.contains(&group.id) {
                found.push(group.id.clone());
                open.extend(transitive.then(|| group.id.clone()));
            }
        }
    }
    let holders: Vec<&str> = std::iter::once(id).chain(found.iter().map(String::as_str)).collect();
    let holders = if transitive { holders.as_slice() } else { holders.get(..1).unwrap_or_default() };
    let roles: Vec<Map<String, Value>> = holders
        .iter()
        .flat_map(|holder| state.direct_roles_of(holder))
        .filter_map(|role| roles::template(&role))
        .map(|role| role_row(world, role).1)
        .collect();
    let units = state
        .administrative_units
        .values()
        .filter(|unit| unit.hidden.members.iter().any(|member| member == id))
        .map(|unit| typed("administrativeUnit", unit.wire()));
    let groups = found.iter().filter_map(|id| object_row(state, id));
    groups.chain(roles).chain(units).map(|row| (text(&row, "id").unwrap_or_default().to_owned(), row)).collect()
}

/// The id that the body of a `$ref` request names.
pub(super) fn reference(call: &Call<'_>) -> Result<String, Fail> {
    let body = call.body()?;
    let address = text(&body, "@odata.id").unwrap_or_default();
    match address.trim_end_matches('/').rsplit_once('/') {
        Some((_, id)) => Ok(id.to_lowercase()),
        None => Err(Fail::bad_request("Invalid URL format specified in @odata.id.")),
    }
}

/// Adds an id to a list of references, or says that it is there.
pub(super) fn add_reference(state: &State, ids: &[String], id: &str) -> Result<Vec<String>, Fail> {
    if object_row(state, id).is_none() {
        return Err(Fail::not_found(id));
    }
    if ids.iter().any(|known| known == id) {
        return Err(Fail::bad_request(
            "One or more added object references already exist for the following modified properties: 'members'.",
        ));
    }
    Ok(ids.iter().cloned().chain([id.to_owned()]).collect())
}

/// Takes an id out of a list of references, or says that it is not there.
pub(super) fn without_reference(ids: &[String], id: &str) -> Result<Vec<String>, Fail> {
    let kept: Vec<String> = ids.iter().filter(|known| *known != id).cloned().collect();
    if kept.len() == ids.len() { Err(Fail::not_found(id)) } else { Ok(kept) }
}
