//! Groups and administrative units, their members and owners.

use serde_json::Value;

use super::DIRECTORY;
use super::apps::directory_target;
use super::deleted::soft_delete_user;
use super::objects::{add_reference, answer, reference, rows_of, without_reference};
use super::users::target as user_target;
use crate::access::Access;
use crate::odata::filter::Filter;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::{Call, Rows};
use crate::routes::table::{Route, get, write};
use crate::tenant::audit::{Activity, core};
use crate::tenant::groups::{AdministrativeUnit, Group};
use crate::tenant::state::State;
use crate::tenant::world::World;

const READ: Access = Access::any(&[
    "GroupMember.Read.All",
    "Group.Read.All",
    "GroupMember.ReadWrite.All",
    "Group.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
const MEMBERS_WRITE: Access =
    Access::any(&["GroupMember.ReadWrite.All", "Group.ReadWrite.All", "Directory.ReadWrite.All"]);
const OWNERS_WRITE: Access = Access::any(&["Group.ReadWrite.All", "Directory.ReadWrite.All"]);
const UNIT_READ: Access = Access::any(&[
    "AdministrativeUnit.Read.All",
    "AdministrativeUnit.ReadWrite.All",
    "Directory.Read.All",
    "Directory.ReadWrite.All",
]);
const UNIT_WRITE: Access = Access::any(&["AdministrativeUnit.ReadWrite.All", "Directory.ReadWrite.All"]);

pub(super) const ROUTES: &[Route] = &[
    get("/groups", READ, list),
    get("/groups/{}", READ, read),
    get("/groups/{}/members", READ, members),
    get("/groups/{}/transitiveMembers", READ, transitive_members),
    get("/groups/{}/owners", READ, owners),
    write("POST", "/groups/{}/members/$ref", MEMBERS_WRITE, add_member),
    write("DELETE", "/groups/{}/members/{}/$ref", MEMBERS_WRITE, remove_member),
    write("DELETE", "/groups/{}/members/{}", MEMBERS_WRITE, delete_member),
    write("POST", "/groups/{}/owners/$ref", OWNERS_WRITE, add_owner),
    write("DELETE", "/groups/{}/owners/{}/$ref", OWNERS_WRITE, remove_owner),
    get("/directory/administrativeUnits", UNIT_READ, list_units),
    get("/directory/administrativeUnits/{}", UNIT_READ, read_unit),
    get("/directory/administrativeUnits/{}/members", UNIT_READ, unit_members),
    write("POST", "/directory/administrativeUnits/{}/members/$ref", UNIT_WRITE, add_unit_member),
    write("DELETE", "/directory/administrativeUnits/{}/members/{}/$ref", UNIT_WRITE, remove_unit_member),
];

const GROUP: Shape = Shape {
    type_name: "group",
    defaults: None,
    unmodelled: &[
        "classification",
        "expirationDateTime",
        "preferredLanguage",
        "proxyAddresses",
        "renewedDateTime",
        "theme",
        "uniqueName",
        "securityIdentifier",
    ],
};
const UNIT: Shape =
    Shape { type_name: "administrativeUnit", defaults: None, unmodelled: &["membershipRule", "membershipType"] };
const FILTERS: &[&str] = &[
    "displayName",
    "groupTypes",
    "id",
    "isAssignableToRole",
    "mail",
    "mailNickname",
    "onPremisesSyncEnabled",
    "securityEnabled",
    "isMemberManagementRestricted",
    "visibility",
];

fn group_of<'a>(call: &Call<'_>, state: &'a State) -> Result<&'a Group, Fail> {
    let id = call.key(0)?;
    state.groups.get(&id.to_lowercase()).ok_or_else(|| Fail::not_found(id))
}

fn unit_of<'a>(call: &Call<'_>, state: &'a State) -> Result<&'a AdministrativeUnit, Fail> {
    let id = call.key(0)?;
    state.administrative_units.get(&id.to_lowercase()).ok_or_else(|| Fail::not_found(id))
}

fn filtered(call: &Call<'_>, resource: &str, rows: Rows) -> Result<Rows, Fail> {
    let Some(text) = call.query.get("$filter") else {
        return Ok(rows);
    };
    let filter = Filter::parse_for(text, resource, FILTERS)?;
    call.require_eventual(filter.needs_eventual())?;
    Ok(rows.into_iter().filter(|(_, row)| filter.matches(&Value::Object(row.clone()))).collect())
}

fn list(call: &Call<'_>, world: &World) -> Outcome {
    let rows = world.state.groups.values().map(|group| (group.id.clone(), group.wire())).collect();
    call.collection("groups", &GROUP, filtered(call, "Group", rows)?, DIRECTORY)
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    call.entity("groups", &GROUP, group_of(call, &world.state)?.wire())
}

fn members(call: &Call<'_>, world: &World) -> Outcome {
    answer(call, rows_of(&world.state, &group_of(call, &world.state)?.hidden.members))
}

/// The members and, through nested groups, theirs.
fn transitive_members(call: &Call<'_>, world: &World) -> Outcome {
    let mut found: Vec<String> = Vec::new();
    let mut open = group_of(call, &world.state)?.hidden.members.clone();
    while let Some(member) = open.pop() {
        if !found.contains(&member) {
            open.extend(world.state.groups.get(&member).into_iter().flat_map(|group| group.hidden.members.clone()));
            found.push(member);
        }
    }
    answer(call, rows_of(&world.state, &found))
}

fn owners(call: &Call<'_>, world: &World) -> Outcome {
    answer(call, rows_of(&world.state, &group_of(call, &world.state)?.hidden.owners))
}

/// What every edit of a group's people asks first.
fn editable(call: &Call<'_>, state: &State, members: bool) -> Result<Group, Fail> {
    let group = group_of(call, state)?;
    let role = group.is_assignable_to_role == Some(true) && !call.caller.may("RoleManagement.ReadWrite.Directory");
    if role || group.is_management_restricted == Some(true) {
        return Err(Fail::denied());
    }
    if members && group.is_computed() {
        return Err(Fail::bad_request(
            "Insufficient privileges to complete the operation: the membership of the group is computed or mastered on premises.",
        ));
    }
    Ok(group.clone())
}

fn save(
    call: &Call<'_>,
    world: &mut World,
    mut group: Group,
    change: impl FnOnce(&mut Group),
    about: (&'static str, &str),
) -> Outcome {
    let (name, person) = about;
    change(&mut group);
    let operation = if name.starts_with("Add") { "Assign" } else { "Unassign" };
    let targets = vec![
        user_target(&world.state, person, Vec::new()),
        directory_target("Group", &group.id, &group.display_name, Vec::new()),
    ];
    world.state.groups.insert(group.id.clone(), group);
    call.note(world, core(name, "GroupManagement", operation), targets, "");
    Ok(no_content())
}

fn add_member(call: &Call<'_>, world: &mut World) -> Outcome {
    let (group, id) = (editable(call, &world.state, true)?, reference(call)?);
    let ids = add_reference(&world.state, &group.hidden.members, &id)?;
    save(call, world, group, |group| group.hidden.members = ids, ("Add member to group", &id))
}

fn remove_member(call: &Call<'_>, world: &mut World) -> Outcome {
    let (group, id) = (editable(call, &world.state, true)?, call.key(1)?.to_lowercase());
    let ids = without_reference(&group.hidden.members, &id)?;
    save(call, world, group, |group| group.hidden.members = ids, ("Remove member from group", &id))
}

/// Without `/$ref` the service deletes the member itself, if the application may delete users.
fn delete_member(call: &Call<'_>, world: &mut World) -> Outcome {
    let (group, id) = (group_of(call, &world.state)?, call.key(1)?.to_lowercase());
    if !group.hidden.members.contains(&id) {
        return Err(Fail::not_found(&id));
    }
    if !call.caller.may_any(super::deleted::DELETE_USER) {
        return Err(Fail::denied());
    }
    soft_delete_user(call, world, &id)
}

fn add_owner(call: &Call<'_>, world: &mut World) -> Outcome {
    let (group, id) = (editable(call, &world.state, false)?, reference(call)?);
    let ids = add_reference(&world.state, &group.hidden.owners, &id)?;
    save(call, world, group, |group| group.hidden.owners = ids, ("Add owner to group", &id))
}

fn remove_owner(call: &Call<'_>, world: &mut World) -> Outcome {
    let (group, id) = (editable(call, &world.state, false)?, call.key(1)?.to_lowercase());
    let ids = without_reference(&group.hidden.owners, &id)?;
    if ids.is_empty() {
        return Err(Fail::bad_request("The group must have at least one owner, hence this owner cannot be removed."));
    }
    save(call, world, group, |group| group.hidden.owners = ids, ("Remove owner from group", &id))
}

fn list_units(call: &Call<'_>, world: &World) -> Outcome {
    let rows = world.state.administrative_units.values().map(|unit| (unit.id.clone(), unit.wire())).collect();
    call.collection("directory/administrativeUnits", &UNIT, filtered(call, "AdministrativeUnit", rows)?, DIRECTORY)
}

fn read_unit(call: &Call<'_>, world: &World) -> Outcome {
    call.entity("directory/administrativeUnits", &UNIT, unit_of(call, &world.state)?.wire())
}

fn unit_members(call: &Call<'_>, world: &World) -> Outcome {
    answer(call, rows_of(&world.state, &unit_of(call, &world.state)?.hidden.members))
}

fn add_unit_member(call: &Call<'_>, world: &mut World) -> Outcome {
    let (unit, id) = (unit_of(call, &world.state)?.clone(), reference(call)?);
    let ids = add_reference(&world.state, &unit.hidden.members, &id)?;
    save_unit(call, world, unit, ids, ("Add member to administrative unit", &id))
}

fn remove_unit_member(call: &Call<'_>, world: &mut World) -> Outcome {
    let (unit, id) = (unit_of(call, &world.state)?.clone(), call.key(1)?.to_lowercase());
    // Editing a restricted unit takes a directory role besides the permission.
    let restricted = unit.is_member_management_restricted == Some(true);
    if restricted
        && !crate::tenant::roles::holds(&call.caller.wids, &["Global Administrator", "Privileged Role Administrator"])
    {
        return Err(Fail::denied());
    }
    let ids = without_reference(&unit.hidden.members, &id)?;
    save_unit(call, world, unit, ids, ("Remove member from administrative unit", &id))
}

fn save_unit(
    call: &Call<'_>,
    world: &mut World,
    mut unit: AdministrativeUnit,
    ids: Vec<String>,
    about: (&'static str, &str),
) -> Outcome {
    let (name, person) = about;
    unit.hidden.members = ids;
    let targets = vec![
        user_target(&world.state, person, Vec::new()),
        directory_target("AdministrativeUnit", &unit.id, &unit.display_name, Vec::new()),
    ];
    world.state.administrative_units.insert(unit.id.clone(), unit);
    let restricted = world.state.is_in_restricted_unit(person);
    if let Some(user) = world.state.users.get_mut(person) {
        user.is_management_restricted = restricted;
    }
    let operation = if name.starts_with("Add") { "Assign" } else { "Unassign" };
    let activity: Activity = core(name, "AdministrativeUnit", operation);
    call.note(world, activity, targets, "");
    Ok(no_content())
}
