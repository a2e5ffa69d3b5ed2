//! Directory roles: active, eligible, and scoped to a unit.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::objects::{answer, role_row, rows_of};
use super::users::{target as user_target, user_of};
use crate::access::Access;
use crate::odata::filter::Filter;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::{Call, Rows, created};
use crate::routes::table::{Key, Route, get, write};
use crate::server::text;
use crate::tenant::audit::{ModifiedProperty, Target, core};
use crate::tenant::roles::{RoleAssignment, RoleTemplate, TEMPLATES, template};
use crate::tenant::stamp::Stamp;
use crate::tenant::world::World;

const READ: Access = Access::any(&[
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleManagement.ReadWrite.Directory",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
const WRITE: Access = Access::any(&["RoleManagement.ReadWrite.Directory"]);
const SCHEDULE_READ: Access = Access::any(&[
    "RoleEligibilitySchedule.Read.Directory",
    "RoleAssignmentSchedule.Read.Directory",
    "RoleManagement.Read.Directory",
    "RoleManagement.Read.All",
    "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleAssignmentSchedule.ReadWrite.Directory",
    "RoleManagement.ReadWrite.Directory",
]);
const ELIGIBILITY_WRITE: Access = Access::any(&[
    "RoleEligibilitySchedule.Remove.Directory",
    "RoleEligibilitySchedule.ReadWrite.Directory",
    "RoleManagement.ReadWrite.Directory",
]);
const ACTIVE_WRITE: Access = Access::any(&[
    "RoleAssignmentSchedule.Remove.Directory",
    "RoleAssignmentSchedule.ReadWrite.Directory",
    "RoleManagement.ReadWrite.Directory",
]);

pub(super) const ROUTES: &[Route] = &[
    get("/directoryRoles", READ, list_roles),
    get("/directoryRoles/{}/members", READ, role_members),
    write("DELETE", "/directoryRoles/{}/members/{}/$ref", WRITE, remove_role_member),
    get("/roleManagement/directory/roleDefinitions", READ, definitions),
    get("/roleManagement/directory/roleAssignments", READ, assignments),
    get("/roleManagement/directory/roleAssignments/{}", READ, assignment),
    write("POST", "/roleManagement/directory/roleAssignments", WRITE, add_assignment),
    write("DELETE", "/roleManagement/directory/roleAssignments/{}", WRITE, delete_assignment),
    get("/roleManagement/directory/roleEligibilityScheduleInstances", SCHEDULE_READ, eligible_instances),
    get("/roleManagement/directory/roleAssignmentScheduleInstances", SCHEDULE_READ, active_instances),
    write("POST", "/roleManagement/directory/roleEligibilityScheduleRequests", ELIGIBILITY_WRITE, request_eligibility),
    write("POST", "/roleManagement/directory/roleAssignmentScheduleRequests", ACTIVE_WRITE, request_assignment),
    get("/users/{}/scopedRoleMemberOf", READ, scoped),
];

const ASSIGNMENT: Shape = Shape { type_name: "unifiedRoleAssignment", defaults: None, unmodelled: &["condition"] };
const FILTERS: &[&str] = &["principalId", "roleDefinitionId", "directoryScopeId", "id"];

fn plain(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn definition(role: &RoleTemplate) -> Map<String, Value> {
    plain(json!({
        "id": role.id, "description": null, "displayName": role.name, "isBuiltIn": true, "isEnabled": true,
        "resourceScopes": ["/"], "templateId": role.id, "version": "1", "rolePermissions": [],
    }))
}

fn definitions(call: &Call<'_>, _: &World) -> Outcome {
    let shape = Shape { type_name: "unifiedRoleDefinition", defaults: None, unmodelled: &[] };
    let rows = TEMPLATES.iter().map(|role| (role.id.to_owned(), definition(role))).collect();
    call.collection("roleManagement/directory/roleDefinitions", &shape, rows, DIRECTORY)
}

fn list_roles(call: &Call<'_>, world: &World) -> Outcome {
    let shape = Shape { type_name: "directoryRole", defaults: None, unmodelled: &[] };
    // Only roles that somebody holds are activated.
    let held =
        |role: &&RoleTemplate| world.state.role_assignments.values().any(|row| row.role_definition_id == role.id);
    let rows = TEMPLATES.iter().filter(held).map(|role| role_row(world, role)).collect();
    call.collection("directoryRoles", &shape, rows, DIRECTORY)
}

/// A role by the id of its object, or by `roleTemplateId` in parentheses.
fn role_of(call: &Call<'_>, world: &World) -> Result<&'static RoleTemplate, Fail> {
    let wanted = match call.keys.first() {
        Some(Key::Named(name, value)) if name.eq_ignore_ascii_case("roleTemplateId") => {
            return template(value).ok_or_else(|| Fail::not_found(value));
        }
        _ => call.key(0)?,
    };
    let bare = wanted.strip_prefix("roleTemplateId=").unwrap_or(wanted);
    TEMPLATES
        .iter()
        .find(|role| role.id == bare || role_row(world, role).0 == wanted)
        .ok_or_else(|| Fail::not_found(wanted))
}

fn role_members(call: &Call<'_>, world: &World) -> Outcome {
    let role = role_of(call, world)?;
    let ids: Vec<String> = world
        .state
        .role_assignments
        .values()
        .filter(|row| row.role_definition_id == role.id && row.directory_scope_id == "/")
        .map(|row| row.principal_id.clone())
        .collect();
    answer(call, rows_of(&world.state, &ids))
}

fn remove_role_member(call: &Call<'_>, world: &mut World) -> Outcome {
    let role = role_of(call, world)?.id;
    let member = call.key(1)?.to_lowercase();
    let held = |row: &&RoleAssignment| {
        row.role_definition_id == role && row.principal_id == member && row.directory_scope_id == "/"
    };
    let found = world.state.role_assignments.values().find(held).cloned();
    let row = found.ok_or_else(|| Fail::not_found(&member))?;
    not_oneself(call, &row)?;
    remove(call, world, &row);
    Ok(no_content())
}

fn wire(world: &World, row: &RoleAssignment) -> Map<String, Value> {
    plain(json!({
        "id": row.id, "principalId": row.principal_id, "principalOrganizationId": world.state.organization.id,
        "roleDefinitionId": row.role_definition_id, "directoryScopeId": row.directory_scope_id, "appScopeId": null,
    }))
}

fn filtered(call: &Call<'_>, rows: Rows) -> Result<Rows, Fail> {
    let Some(text) = call.query.get("$filter") else {
        return Ok(rows);
    };
    let filter = Filter::parse_for(text, "UnifiedRoleAssignment", FILTERS)?;
    Ok(rows.into_iter().filter(|(_, row)| filter.matches(&Value::Object(row.clone()))).collect())
}

fn assignments(call: &Call<'_>, world: &World) -> Outcome {
    let expand = call.query.get("$expand").is_some_and(|what| what.eq_ignore_ascii_case("roleDefinition"));
    let rows = world.state.role_assignments.values().map(|row| {
        let mut out = wire(world, row);
        if let (true, Some(role)) = (expand, template(&row.role_definition_id)) {
            out.insert("roleDefinition".to_owned(), definition(role).into());
        }
        (row.id.clone(), out)
    });
    call.collection("roleManagement/directory/roleAssignments", &ASSIGNMENT, filtered(call, rows.collect())?, DIRECTORY)
}

fn assignment_of(call: &Call<'_>, world: &World) -> Result<RoleAssignment, Fail> {
    let id = call.key(0)?;
    world.state.role_assignments.get(id).cloned().ok_or_else(|| Fail::not_found(id))
}

fn assignment(call: &Call<'_>, world: &World) -> Outcome {
    let row = wire(world, &assignment_of(call, world)?);
    call.entity("roleManagement/directory/roleAssignments", &ASSIGNMENT, row)
}

/// The three ids of a role that a body names.
fn wanted(world: &mut World, body: &Map<String, Value>) -> Result<RoleAssignment, Fail> {
    let (Some(principal), Some(role)) = (text(body, "principalId"), text(body, "roleDefinitionId")) else {
        return Err(Fail::bad_request("principalId and roleDefinitionId are required."));
    };
    if super::objects::object_row(&world.state, principal).is_none() {
        return Err(Fail::not_found(principal));
    }
    let role = template(role).ok_or_else(|| Fail::not_found(role))?;
    Ok(RoleAssignment {
        id: world.state.new_id().simple().to_string(),
        principal_id: principal.to_owned(),
        role_definition_id: role.id.to_owned(),
        directory_scope_id: text(body, "directoryScopeId").unwrap_or("/").to_owned(),
    })
}

fn same(a: &RoleAssignment, b: &RoleAssignment) -> bool {
    a.principal_id == b.principal_id
        && a.role_definition_id == b.role_definition_id
        && a.directory_scope_id == b.directory_scope_id
}

fn add_assignment(call: &Call<'_>, world: &mut World) -> Outcome {
    let row = wanted(world, &call.body()?)?;
    if world.state.role_assignments.values().any(|known| same(known, &row)) {
        return Err(Fail::bad_request(
            "A conflicting object with one or more of the specified property values is present in the directory.",
        ));
    }
    add(call, world, &row);
    Ok(created(call.context("roleManagement/directory/roleAssignments/$entity"), wire(world, &row)))
}

fn delete_assignment(call: &Call<'_>, world: &mut World) -> Outcome {
    let row = assignment_of(call, world)?;
    not_oneself(call, &row)?;
    remove(call, world, &row);
    Ok(no_content())
}

/// A global administrator cannot give up that role alone.
fn not_oneself(call: &Call<'_>, row: &RoleAssignment) -> Result<(), Fail> {
    let own = call.caller.user.as_ref().is_some_and(|user| user.id == row.principal_id);
    if own && template("Global Administrator").is_some_and(|role| role.id == row.role_definition_id) {
        return Err(Fail::bad_request("Removing self from Global Administrator built-in role is not allowed."));
    }
    Ok(())
}

fn add(call: &Call<'_>, world: &mut World, row: &RoleAssignment) {
    world.state.role_assignments.insert(row.id.clone(), row.clone());
    note(call, world, row, ("Add member to role", "Assign"));
}

fn remove(call: &Call<'_>, world: &mut World, row: &RoleAssignment) {
    world.state.role_assignments.remove(&row.id);
    note(call, world, row, ("Remove member from role", "Unassign"));
}

fn note(call: &Call<'_>, world: &mut World, row: &RoleAssignment, (name, operation): (&'static str, &'static str)) {
    let role = template(&row.role_definition_id).map_or("", |role| role.name);
    let new = |name: &str, value: &str| ModifiedProperty::new(name, None, Some(&json!(value)));
    let modified = vec![
        new("Role.ObjectID", &row.role_definition_id),
        new("Role.DisplayName", role),
        new("Role.TemplateId", &row.role_definition_id),
    ];
    let targets = vec![
        user_target(&world.state, &row.principal_id, modified),
        Target {
            id: row.role_definition_id.clone(),
            display_name: Some(role.to_owned()),
            kind: "Role".to_owned(),
            ..Target::default()
        },
    ];
    call.note(world, core(name, "RoleManagement", operation), targets, "");
}

/// A schedule's instance, as Privileged Identity Management shows a held or eligible role.
fn instance(row: &RoleAssignment, start: Stamp, eligible: bool) -> Map<String, Value> {
    let mut out = plain(json!({
        "id": row.id, "principalId": row.principal_id, "roleDefinitionId": row.role_definition_id,
        "directoryScopeId": row.directory_scope_id, "appScopeId": null, "startDateTime": start, "endDateTime": null,
        "memberType": "Direct",
    }));
    let (name, id) =
        if eligible { ("roleEligibilityScheduleId", &row.id) } else { ("roleAssignmentScheduleId", &row.id) };
    out.insert(name.to_owned(), id.clone().into());
    if !eligible {
        out.insert("assignmentType".to_owned(), "Assigned".into());
        out.insert("roleAssignmentOriginId".to_owned(), row.id.clone().into());
    }
    out
}

fn eligible_instances(call: &Call<'_>, world: &World) -> Outcome {
    let shape = Shape { type_name: "unifiedRoleEligibilityScheduleInstance", defaults: None, unmodelled: &[] };
    let start = world.state.organization.created_date_time;
    let rows = world.state.role_eligibilities.values().map(|row| (row.id.clone(), instance(row, start, true)));
    call.collection(
        "roleManagement/directory/roleEligibilityScheduleInstances",
        &shape,
        filtered(call, rows.collect())?,
        DIRECTORY,
    )
}

fn active_instances(call: &Call<'_>, world: &World) -> Outcome {
    let shape = Shape { type_name: "unifiedRoleAssignmentScheduleInstance", defaults: None, unmodelled: &[] };
    let start = world.state.organization.created_date_time;
    let rows = world.state.role_assignments.values().map(|row| (row.id.clone(), instance(row, start, false)));
    call.collection(
        "roleManagement/directory/roleAssignmentScheduleInstances",
        &shape,
        filtered(call, rows.collect())?,
        DIRECTORY,
    )
}

fn request_eligibility(call: &Call<'_>, world: &mut World) -> Outcome {
    request(call, world, true)
}

fn request_assignment(call: &Call<'_>, world: &mut World) -> Outcome {
    request(call, world, false)
}

/// A request of Privileged Identity Management; with `isValidationOnly` it only says whether it would do.
fn request(call: &Call<'_>, world: &mut World, eligible: bool) -> Outcome {
    let body = call.body()?;
    let action = text(&body, "action").unwrap_or_default().to_owned();
    let remove_only = [
        "RoleEligibilitySchedule.ReadWrite.Directory",
        "RoleAssignmentSchedule.ReadWrite.Directory",
        "RoleManagement.ReadWrite.Directory",
    ];
    if action != "adminRemove" && !call.caller.may_any(&remove_only) {
        return Err(Fail::denied());
    }
    let row = wanted(world, &body)?;
    let table = if eligible { &world.state.role_eligibilities } else { &world.state.role_assignments };
    let known = table.values().find(|known| same(known, &row)).cloned();
    let status = match (action.as_str(), &known) {
        ("adminRemove", Some(_)) => "Revoked",
        ("adminAssign", None) => "Provisioned",
        ("adminRemove", None) => {
            return Err(Fail::graph(404, "RoleAssignmentDoesNotExist", "The Role assignment does not exist."));
        }
        ("adminAssign", Some(_)) => {
            return Err(Fail::graph(400, "RoleAssignmentExists", "The Role assignment already exists."));
        }
        _ => {
            return Err(Fail::bad_request("The action must be adminAssign or adminRemove."));
        }
    };
    if let (Some(row), false) = (&known, eligible) {
        not_oneself(call, row)?;
    }
    let dry = body.get("isValidationOnly").and_then(Value::as_bool).unwrap_or(false);
    if !dry {
        apply(call, world, known.as_ref().unwrap_or(&row), (eligible, known.is_some()));
    }
    Ok(created(call.context(context(eligible)), answer_of(&body, &row, (status, dry), call)))
}

fn context(eligible: bool) -> &'static str {
    if eligible {
        "roleManagement/directory/roleEligibilityScheduleRequests/$entity"
    } else {
        "roleManagement/directory/roleAssignmentScheduleRequests/$entity"
    }
}

fn apply(call: &Call<'_>, world: &mut World, row: &RoleAssignment, (eligible, removing): (bool, bool)) {
    match (eligible, removing) {
        (false, false) => add(call, world, row),
        (false, true) => remove(call, world, row),
        (true, false) => {
            world.state.role_eligibilities.insert(row.id.clone(), row.clone());
            note(call, world, row, ("Add eligible member to role in PIM completed (permanent)", "Assign"));
        }
        (true, true) => {
            world.state.role_eligibilities.remove(&row.id);
            note(call, world, row, ("Remove eligible member from role in PIM completed (permanent)", "Unassign"));
        }
    }
}

fn answer_of(
    body: &Map<String, Value>,
    row: &RoleAssignment,
    (status, dry): (&str, bool),
    call: &Call<'_>,
) -> Map<String, Value> {
    plain(json!({
        "id": row.id, "status": status, "createdDateTime": call.now, "completedDateTime": call.now,
        "action": body.get("action"), "principalId": row.principal_id, "roleDefinitionId": row.role_definition_id,
        "directoryScopeId": row.directory_scope_id, "appScopeId": null, "isValidationOnly": dry,
        "targetScheduleId": row.id, "justification": body.get("justification"), "scheduleInfo": body.get("scheduleInfo"),
        "ticketInfo": null,
    }))
}

/// Roles held over an administrative unit only.
fn scoped(call: &Call<'_>, world: &World) -> Outcome {
    let user = user_of(call, &world.state)?;
    let shape = Shape { type_name: "scopedRoleMembership", defaults: None, unmodelled: &[] };
    let rows = world.state.role_assignments.values().filter(|row| row.principal_id == user.id).filter_map(|row| {
        let unit = row.directory_scope_id.strip_prefix("/administrativeUnits/")?;
        let role = template(&row.role_definition_id)?;
        let out = json!({
            "id": row.id, "administrativeUnitId": unit, "roleId": role_row(world, role).0,
            "roleMemberInfo": {"id": user.id, "displayName": user.display_name},
        });
        Some((row.id.clone(), plain(out)))
    });
    call.collection("scopedRoleMemberships", &shape, rows.collect(), DIRECTORY)
}
