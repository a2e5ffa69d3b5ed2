//! Application permissions, and users' assignments to applications.

use serde_json::json;

use super::DIRECTORY;
use super::access::{ASSIGNMENT_READ, ASSIGNMENT_WRITE, USER_ASSIGNMENT_READ};
use super::apps::{directory_target, principal_of};
use super::users::user_of;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::{Call, created};
use crate::routes::table::{Route, get, write};
use crate::server::text;
use crate::tenant::apps::AppRoleAssignment;
use crate::tenant::audit::{ModifiedProperty, core};
use crate::tenant::object;
use crate::tenant::world::World;

pub(super) const ROUTES: &[Route] = &[
    get("/servicePrincipals/{}/appRoleAssignments", ASSIGNMENT_READ, assignments_of_principal),
    get("/servicePrincipals/{}/appRoleAssignedTo", ASSIGNMENT_READ, assignments_on_principal),
    write("DELETE", "/servicePrincipals/{}/appRoleAssignments/{}", ASSIGNMENT_WRITE, delete_assignment),
    write("POST", "/servicePrincipals/{}/appRoleAssignments", ASSIGNMENT_WRITE, add_assignment),
    get("/users/{}/appRoleAssignments", USER_ASSIGNMENT_READ, assignments_of_user),
    write("DELETE", "/servicePrincipals/{}/appRoleAssignedTo/{}", ASSIGNMENT_WRITE, delete_assigned),
    write("DELETE", "/users/{}/appRoleAssignments/{}", ASSIGNMENT_WRITE, delete_user_assignment),
];

const ASSIGNMENT: Shape = Shape { type_name: "appRoleAssignment", defaults: None, unmodelled: &[] };

fn assignments(call: &Call<'_>, world: &World, keep: impl Fn(&AppRoleAssignment) -> bool) -> Outcome {
    let rows = world
        .state
        .app_role_assignments
        .values()
        .filter(|assignment| keep(assignment))
        .map(|assignment| (assignment.id.clone(), object(assignment)))
        .collect();
    call.collection("appRoleAssignments", &ASSIGNMENT, rows, DIRECTORY)
}

fn assignments_of_principal(call: &Call<'_>, world: &World) -> Outcome {
    let id = &principal_of(call, &world.state)?.id;
    assignments(call, world, |assignment| &assignment.principal_id == id)
}

fn assignments_on_principal(call: &Call<'_>, world: &World) -> Outcome {
    let id = &principal_of(call, &world.state)?.id;
    assignments(call, world, |assignment| &assignment.resource_id == id)
}

fn assignments_of_user(call: &Call<'_>, world: &World) -> Outcome {
    let id = &user_of(call, &world.state)?.id;
    assignments(call, world, |assignment| &assignment.principal_id == id)
}

fn delete_assignment(call: &Call<'_>, world: &mut World) -> Outcome {
    let principal = principal_of(call, &world.state)?.id.clone();
    let id = call.key(1)?;
    let Some(assignment) =
        world.state.app_role_assignments.get(id).filter(|row| row.principal_id == principal).cloned()
    else {
        return Err(Fail::not_found(id));
    };
    world.state.app_role_assignments.remove(id);
    note_assignment(call, world, &assignment, "Remove app role assignment from service principal", "Unassign");
    Ok(no_content())
}

fn add_assignment(call: &Call<'_>, world: &mut World) -> Outcome {
    let principal = principal_of(call, &world.state)?.clone();
    let body = call.body()?;
    let (Some(resource_id), Some(role)) = (text(&body, "resourceId"), text(&body, "appRoleId")) else {
        return Err(Fail::bad_request("resourceId and appRoleId are required."));
    };
    let resource = world.state.service_principals.get(resource_id).ok_or_else(|| Fail::not_found(resource_id))?.clone();
    if !resource.app_roles.iter().any(|known| known.id == role) {
        return Err(Fail::bad_request("Permission being assigned was not found on application."));
    }
    let twin = |row: &AppRoleAssignment| {
        row.principal_id == principal.id && row.resource_id == resource.id && row.app_role_id == role
    };
    if world.state.app_role_assignments.values().any(twin) {
        return Err(Fail::bad_request("Permission being assigned already exists on the object"));
    }
    let assignment = AppRoleAssignment {
        id: world.state.new_id().to_string(),
        deleted_date_time: None,
        app_role_id: role.to_owned(),
        created_date_time: call.now,
        principal_display_name: principal.display_name.clone(),
        principal_id: principal.id,
        principal_type: "ServicePrincipal".to_owned(),
        resource_display_name: resource.display_name.clone(),
        resource_id: resource.id,
    };
    world.state.app_role_assignments.insert(assignment.id.clone(), assignment.clone());
    note_assignment(call, world, &assignment, "Add app role assignment to service principal", "Assign");
    Ok(created(call.context("appRoleAssignments/$entity"), object(&assignment)))
}

/// The target of the entry is the resource; the client is in the properties.
fn note_assignment(
    call: &Call<'_>,
    world: &mut World,
    row: &AppRoleAssignment,
    name: &'static str,
    operation: &'static str,
) {
    let value = world.state.permission_name(row).unwrap_or_default();
    let client = world.state.service_principals.get(&row.principal_id).map(|sp| sp.app_id.clone());
    let value = Some(json!(value));
    let (old, new) = if operation == "Assign" { (None, value) } else { (value, None) };
    let modified = vec![
        ModifiedProperty::new("AppRole.Id", None, Some(&json!(row.app_role_id))),
        ModifiedProperty::new("AppRole.Value", old.as_ref(), new.as_ref()),
        ModifiedProperty::new("ServicePrincipal.ObjectID", None, Some(&json!(row.principal_id))),
        ModifiedProperty::new("ServicePrincipal.DisplayName", None, Some(&json!(row.principal_display_name))),
        ModifiedProperty::new("ServicePrincipal.AppId", None, Some(&json!(client))),
    ];
    let target = directory_target("ServicePrincipal", &row.resource_id, &row.resource_display_name, modified);
    call.note(world, core(name, "ApplicationManagement", operation), vec![target], "");
}

fn delete_assigned(call: &Call<'_>, world: &mut World) -> Outcome {
    let resource = principal_of(call, &world.state)?.id.clone();
    delete_row(call, world, |row| row.resource_id == resource)
}

fn delete_user_assignment(call: &Call<'_>, world: &mut World) -> Outcome {
    let user = user_of(call, &world.state)?.id.clone();
    delete_row(call, world, |row| row.principal_id == user)
}

fn delete_row(call: &Call<'_>, world: &mut World, belongs: impl Fn(&AppRoleAssignment) -> bool) -> Outcome {
    let id = call.key(1)?;
    let row = world.state.app_role_assignments.get(id).filter(|row| belongs(row)).cloned();
    let row = row.ok_or_else(|| Fail::not_found(id))?;
    world.state.app_role_assignments.remove(id);
    let modified = vec![
        ModifiedProperty::new("AppRole.Id", Some(&json!(row.app_role_id)), None),
        ModifiedProperty::new("User.ObjectID", Some(&json!(row.principal_id)), None),
    ];
    let target = directory_target("ServicePrincipal", &row.resource_id, &row.resource_display_name, modified);
    let user = row.principal_type == "User";
    let name =
        if user { "Remove app role assignment from user" } else { "Remove app role assignment from service principal" };
    call.note(
        world,
        core(name, if user { "UserManagement" } else { "ApplicationManagement" }, "Unassign"),
        vec![target],
        "",
    );
    Ok(no_content())
}
