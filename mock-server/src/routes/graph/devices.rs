//! Devices, and the directory objects that hang off a user.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::access::{APPLICATION_READ, DEVICE_READ, DEVICE_WRITE, USER_READ};
use super::apps::principal_of;
use super::objects::{self, rows_of, typed};
use super::users::{counting_roles, user_of};
use crate::odata::filter::Filter;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::Call;
use crate::routes::table::{Key, Route, get, write};
use crate::tenant::audit::{KeyValue, ModifiedProperty, Target, core};
use crate::tenant::devices::{Device, UNMODELLED};
use crate::tenant::state::State;
use crate::tenant::world::World;

pub(super) const ROUTES: &[Route] = &[
    get("/devices", DEVICE_READ, list),
    get("/devices/{}", DEVICE_READ, read),
    write("PATCH", "/devices/{}", DEVICE_WRITE, patch),
    get("/devices/{}/registeredOwners", DEVICE_READ, registered_owners),
    get("/devices/{}/registeredUsers", DEVICE_READ, registered_users),
    get("/devices/{}/memberOf", DEVICE_READ, device_member_of),
    get("/users/{}/registeredDevices", USER_READ, registered_devices),
    get("/users/{}/ownedDevices", USER_READ, owned_devices),
    get("/users/{}/ownedObjects", USER_READ, owned_objects),
    get("/users/{}/createdObjects", USER_READ, created_objects),
    get("/users/{}/memberOf", USER_READ, member_of),
    get("/users/{}/transitiveMemberOf", USER_READ, transitive_member_of),
    get("/users/{}/memberOf/microsoft.graph.group", USER_READ, groups_of),
    get("/servicePrincipals/{}/memberOf", APPLICATION_READ, principal_member_of),
];

pub(super) const SHAPE: Shape = Shape { type_name: "device", defaults: None, unmodelled: UNMODELLED };

const FILTERS: &[&str] = &[
    "accountEnabled",
    "approximateLastSignInDateTime",
    "deviceId",
    "displayName",
    "id",
    "isCompliant",
    "isManaged",
    "mdmAppId",
    "model",
    "onPremisesSyncEnabled",
    "operatingSystem",
    "operatingSystemVersion",
    "physicalIds",
    "profileType",
    "registrationDateTime",
    "trustType",
];

/// The device that a path names: by object id, or by `deviceId` in parentheses. The device id in the plain place is a
/// common mistake, and not found.
pub(super) fn device_of<'a>(call: &Call<'_>, state: &'a State) -> Result<&'a Device, Fail> {
    match call.keys.first() {
        Some(Key::Plain(id)) => state.devices.get(&id.to_lowercase()).ok_or_else(|| Fail::not_found(id)),
        Some(Key::Named(name, value)) if name.eq_ignore_ascii_case("deviceId") => state
            .devices
            .values()
            .find(|device| device.device_id.eq_ignore_ascii_case(value))
            .ok_or_else(|| Fail::not_found(value)),
        _ => Err(Fail::bad_request("The key of the device is not known.")),
    }
}

fn list(call: &Call<'_>, world: &World) -> Outcome {
    let filter = call.query.get("$filter").map(|text| Filter::parse_for(text, "Device", FILTERS)).transpose()?;
    call.require_eventual(filter.as_ref().and_then(Filter::needs_eventual))?;
    let rows = world
        .state
        .devices
        .values()
        .map(|device| (device.id.clone(), device.wire()))
        .filter(|(_, row)| filter.as_ref().is_none_or(|filter| filter.matches(&Value::Object(row.clone()))))
        .collect();
    call.collection("devices", &SHAPE, rows, DIRECTORY)
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    call.entity("devices", &SHAPE, device_of(call, &world.state)?.wire())
}

fn patch(call: &Call<'_>, world: &mut World) -> Outcome {
    let device = device_of(call, &world.state)?;
    let (id, old) = (device.id.clone(), device.account_enabled);
    counting_roles(call, &world.state, &id, device.is_management_restricted == Some(true))?;
    // No narrower scope of a signed-in user reaches devices.
    if call.caller.user.is_some() && !call.caller.may("Directory.AccessAsUser.All") {
        return Err(Fail::denied());
    }
    let enabled = enabled_of(&call.body()?, "Device")?;
    if enabled == old {
        return Ok(no_content());
    }
    if let Some(device) = world.state.devices.get_mut(&id) {
        device.account_enabled = enabled;
    }
    note(call, world, &id, old, enabled);
    Ok(no_content())
}

/// The one property that may be changed.
pub(super) fn enabled_of(body: &Map<String, Value>, resource: &str) -> Result<bool, Fail> {
    let mut enabled = None;
    for (name, value) in body {
        match (name.as_str(), value) {
            ("accountEnabled", Value::Bool(value)) => enabled = Some(*value),
            (name, _) => {
                return Err(Fail::bad_request(&format!(
                    "Property '{name}' of resource '{resource}' is read-only or has an invalid value."
                )));
            }
        }
    }
    enabled.ok_or_else(|| Fail::bad_request("The request has no property to change."))
}

fn note(call: &Call<'_>, world: &mut World, id: &str, old: bool, enabled: bool) {
    let Some(device) = world.state.devices.get(id) else {
        return;
    };
    let target = Target {
        id: id.to_owned(),
        display_name: Some(device.display_name.clone()),
        kind: "Device".to_owned(),
        modified_properties: vec![
            ModifiedProperty::new("AccountEnabled", Some(&json!([old])), Some(&json!([enabled]))),
            ModifiedProperty::included(&["AccountEnabled"]),
        ],
        ..Target::default()
    };
    let detail = |key: &str, value: &str| KeyValue { key: key.to_owned(), value: value.to_owned() };
    let details = [
        detail("DeviceId", &device.device_id),
        detail("DeviceOSType", &device.operating_system),
        detail("DeviceTrustType", &device.trust_type),
    ];
    call.note_with(world, core("Update device", "Device", "Update"), vec![target], &details);
}

fn devices_where(call: &Call<'_>, world: &World, of: fn(&Device) -> &[String]) -> Outcome {
    let user = user_of(call, &world.state)?;
    let rows = world
        .state
        .devices
        .values()
        .filter(|device| of(device).contains(&user.id))
        .map(|device| (device.id.clone(), typed("device", device.wire())))
        .collect();
    objects::answer(call, rows)
}

fn registered_devices(call: &Call<'_>, world: &World) -> Outcome {
    devices_where(call, world, |device| &device.hidden.registered_users)
}

fn owned_devices(call: &Call<'_>, world: &World) -> Outcome {
    devices_where(call, world, |device| &device.hidden.registered_owners)
}

fn registered_owners(call: &Call<'_>, world: &World) -> Outcome {
    let device = device_of(call, &world.state)?;
    objects::answer(call, rows_of(&world.state, &device.hidden.registered_owners))
}

fn registered_users(call: &Call<'_>, world: &World) -> Outcome {
    let device = device_of(call, &world.state)?;
    objects::answer(call, rows_of(&world.state, &device.hidden.registered_users))
}

fn owned_objects(call: &Call<'_>, world: &World) -> Outcome {
    let state = &world.state;
    let user = user_of(call, state)?;
    let applications = state
        .applications
        .values()
        .filter(|application| application.hidden.owners.contains(&user.id))
        .map(|application| (application.id.clone(), typed("application", application.wire())));
    let principals = state
        .service_principals
        .values()
        .filter(|principal| principal.hidden.owners.contains(&user.id))
        .map(|principal| (principal.id.clone(), typed("servicePrincipal", principal.wire())));
    objects::answer(call, applications.chain(principals).collect())
}

fn created_objects(call: &Call<'_>, world: &World) -> Outcome {
    let state = &world.state;
    let user = user_of(call, state)?;
    let rows = user.hidden.created_objects.iter().filter_map(|id| {
        let application = state.applications.get(id).map(|object| typed("application", object.wire()));
        let principal = || state.service_principals.get(id).map(|object| typed("servicePrincipal", object.wire()));
        Some((id.clone(), application.or_else(principal)?))
    });
    objects::answer(call, rows.collect())
}

fn member_of(call: &Call<'_>, world: &World) -> Outcome {
    let user = user_of(call, &world.state)?;
    objects::answer(call, objects::memberships(world, &user.id, false))
}

fn device_member_of(call: &Call<'_>, world: &World) -> Outcome {
    let device = device_of(call, &world.state)?;
    objects::answer(call, objects::memberships(world, &device.id, false))
}

fn transitive_member_of(call: &Call<'_>, world: &World) -> Outcome {
    let user = user_of(call, &world.state)?;
    objects::answer(call, objects::memberships(world, &user.id, true))
}

/// With a cast only groups come, and only from the index store.
fn groups_of(call: &Call<'_>, world: &World) -> Outcome {
    call.require_eventual(Some("cast"))?;
    let user = user_of(call, &world.state)?;
    let rows = objects::memberships(world, &user.id, false);
    let groups = rows.into_iter().filter(|(id, _)| world.state.groups.contains(id)).collect();
    objects::answer(call, groups)
}

fn principal_member_of(call: &Call<'_>, world: &World) -> Outcome {
    let principal = principal_of(call, &world.state)?;
    objects::answer(call, objects::memberships(world, &principal.id, false))
}
