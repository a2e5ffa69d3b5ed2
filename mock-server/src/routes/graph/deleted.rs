//! Deleting users, applications, service principals and devices, and the recycle bin that takes all but the last.

use serde_json::{Map, Value};

use super::access::{APPLICATION_WRITE, DEVICE_WRITE, PRINCIPAL_WRITE};
use super::apps::{application_of, directory_target, principal_of};
use super::devices::device_of;
use super::objects::typed;
use super::users::{counting_roles, target as user_target, user_of};
use crate::access::Access;
use crate::reply::{Fail, Outcome, no_content, ok};
use crate::routes::call::Call;
use crate::routes::table::{Route, get, write};
use crate::tenant::audit::{Target, core};
use crate::tenant::roles::{is_privileged, may_change};
use crate::tenant::state::Deleted;
use crate::tenant::world::World;

/// Who may delete a user.
pub(super) const DELETE_USER: &[&str] = &["User.DeleteRestore.All", "User.ReadWrite.All", "Directory.ReadWrite.All"];

const READ: Access =
    Access::any(&["User.Read.All", "Application.Read.All", "Directory.Read.All", "Directory.ReadWrite.All"]);
const RESTORE: Access = Access::any(&[
    "User.DeleteRestore.All",
    "User.ReadWrite.All",
    "Application.ReadWrite.All",
    "Directory.ReadWrite.All",
]);

pub(super) const ROUTES: &[Route] = &[
    write("DELETE", "/users/{}", Access::any(DELETE_USER), delete_user),
    write("DELETE", "/applications/{}", APPLICATION_WRITE, delete_application),
    write("DELETE", "/servicePrincipals/{}", PRINCIPAL_WRITE, delete_principal),
    write("DELETE", "/devices/{}", DEVICE_WRITE, delete_device),
    get("/directory/deletedItems/{}", READ, read),
    write("POST", "/directory/deletedItems/{}/restore", RESTORE, restore),
];

fn delete_user(call: &Call<'_>, world: &mut World) -> Outcome {
    let id = user_of(call, &world.state)?.id.clone();
    soft_delete_user(call, world, &id)
}

/// Into the recycle bin, if the target's protections let it.
pub(super) fn soft_delete_user(call: &Call<'_>, world: &mut World, id: &str) -> Outcome {
    let Some(user) = world.state.users.get(id).cloned() else {
        return Err(Fail::not_found(id));
    };
    let roles = world.state.roles_of(id);
    let counting = counting_roles(call, &world.state, id, user.is_management_restricted)?;
    if (user.is_management_restricted || is_privileged(&roles)) && !may_change(&counting, &roles) {
        return Err(Fail::denied());
    }
    let target = user_target(&world.state, id, Vec::new());
    world.state.users.remove(id);
    world.state.deleted.insert(id, Deleted::User(Box::new(user)));
    call.note(world, core("Delete user", "UserManagement", "Delete"), vec![target], "");
    Ok(no_content())
}

fn delete_application(call: &Call<'_>, world: &mut World) -> Outcome {
    let application = application_of(call, &world.state)?.clone();
    let target = directory_target("Application", &application.id, &application.display_name, Vec::new());
    world.state.applications.remove(&application.id);
    world.state.deleted.insert(application.id.clone(), Deleted::Application(Box::new(application)));
    call.note(world, core("Delete application", "ApplicationManagement", "Delete"), vec![target], "");
    Ok(no_content())
}

fn delete_principal(call: &Call<'_>, world: &mut World) -> Outcome {
    let principal = principal_of(call, &world.state)?.clone();
    let target = directory_target("ServicePrincipal", &principal.id, &principal.display_name, Vec::new());
    world.state.service_principals.remove(&principal.id);
    world.state.deleted.insert(principal.id.clone(), Deleted::ServicePrincipal(Box::new(principal)));
    call.note(world, core("Remove service principal", "ApplicationManagement", "Delete"), vec![target], "");
    Ok(no_content())
}

/// There is no way back.
fn delete_device(call: &Call<'_>, world: &mut World) -> Outcome {
    let device = device_of(call, &world.state)?;
    counting_roles(call, &world.state, &device.id, device.is_management_restricted == Some(true))?;
    let (id, target) = (device.id.clone(), directory_target("Device", &device.id, &device.display_name, Vec::new()));
    world.state.devices.remove(&id);
    call.note(world, core("Delete device", "Device", "Delete"), vec![target], "");
    Ok(no_content())
}

fn row_of(item: &Deleted) -> Map<String, Value> {
    match item {
        Deleted::User(user) => typed("user", user.wire()),
        Deleted::Application(application) => typed("application", application.wire()),
        Deleted::ServicePrincipal(principal) => typed("servicePrincipal", principal.wire()),
    }
}

fn deleted_of<'a>(call: &Call<'_>, world: &'a World) -> Result<&'a Deleted, Fail> {
    let id = call.key(0)?;
    world.state.deleted.get(&id.to_lowercase()).ok_or_else(|| Fail::not_found(id))
}

fn body_of(call: &Call<'_>, item: &Deleted) -> Value {
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), call.context("directoryObjects/$entity").into());
    body.extend(row_of(item));
    Value::Object(body)
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    Ok(ok(&body_of(call, deleted_of(call, world)?)))
}

fn restore(call: &Call<'_>, world: &mut World) -> Outcome {
    let item = deleted_of(call, world)?.clone();
    let id = call.key(0)?.to_lowercase();
    let (name, target) = put(world, &item, &id);
    world.state.deleted.remove(&id);
    let category = if matches!(item, Deleted::User(_)) { "UserManagement" } else { "ApplicationManagement" };
    call.note(world, core(name, category, "Update"), vec![target], "");
    Ok(ok(&body_of(call, &item)))
}

fn put(world: &mut World, item: &Deleted, id: &str) -> (&'static str, Target) {
    let state = &mut world.state;
    match item {
        Deleted::User(user) => {
            state.users.insert(id, user.as_ref().clone());
            ("Restore user", user_target(state, id, Vec::new()))
        }
        Deleted::Application(application) => {
            state.applications.insert(id, application.as_ref().clone());
            ("Restore application", directory_target("Application", id, &application.display_name, Vec::new()))
        }
        Deleted::ServicePrincipal(principal) => {
            state.service_principals.insert(id, principal.as_ref().clone());
            ("Restore service principal", directory_target("ServicePrincipal", id, &principal.display_name, Vec::new()))
        }
    }
}
