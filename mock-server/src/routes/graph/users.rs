//! Users: reading, blocking sign-in, setting a password, revoking sessions, and what hangs off a user.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::access::{ENABLE, ENABLE_GRANULAR, PASSWORD, PASSWORD_WITH_ROLE, REVOKE, USER_READ, USER_WRITE};
use crate::http::Response;
use crate::odata::filter::Filter;
use crate::odata::page::Page;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content, ok};
use crate::routes::call::{Call, Rows};
use crate::routes::table::{Route, get, write};
use crate::tenant::audit::{ModifiedProperty, Target, core};
use crate::tenant::roles::{is_privileged, may_change};
use crate::tenant::state::State;
use crate::tenant::users::{DEFAULTS, UNMODELLED, User};
use crate::tenant::world::World;

pub(super) const ROUTES: &[Route] = &[
    get("/users", USER_READ, list),
    get("/users/$count", USER_READ, count),
    get("/users/{}", USER_READ, read),
    write("PATCH", "/users/{}", USER_WRITE, patch),
    write("POST", "/users/{}/revokeSignInSessions", REVOKE, revoke),
];

const SHAPE: Shape = Shape { type_name: "user", defaults: Some(DEFAULTS), unmodelled: UNMODELLED };

/// The properties that the directory filters users by.
const FILTERS: &[&str] = &[
    "accountEnabled",
    "assignedLicenses",
    "createdDateTime",
    "department",
    "displayName",
    "givenName",
    "id",
    "jobTitle",
    "mail",
    "mailNickname",
    "onPremisesImmutableId",
    "onPremisesSyncEnabled",
    "otherMails",
    "proxyAddresses",
    "surname",
    "usageLocation",
    "userPrincipalName",
    "userType",
    "identities/issuerAssignedId",
];

/// The user that a path names.
pub(super) fn user_of<'a>(call: &Call<'_>, state: &'a State) -> Result<&'a User, Fail> {
    let key = call.key(0)?;
    state.user(key).ok_or_else(|| Fail::not_found(key))
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    call.entity("users", &SHAPE, user_of(call, &world.state)?.wire())
}

fn list(call: &Call<'_>, world: &World) -> Outcome {
    let Some(text) = call.query.get("$filter") else {
        return all(call, world);
    };
    let filter = Filter::parse_for(text, "User", FILTERS)?;
    call.require_eventual(filter.needs_eventual())?;
    let rows = filtered(&world.state, &filter);
    call.collection("users", &SHAPE, rows, DIRECTORY)
}

fn filtered(state: &State, filter: &Filter) -> Rows {
    // Names and ids are looked up, since a scan of a large tenant for each would be slow.
    let one = filter.equals("userPrincipalName").or_else(|| filter.equals("id"));
    let row = |user: &User| (user.id.clone(), user.wire());
    match one {
        Some(key) => state.user(key).map(row).into_iter().collect(),
        None => state.users.values().map(row).filter(|(_, row)| filter.matches(&Value::Object(row.clone()))).collect(),
    }
}

/// The number alone, as text; whoever accepts JSON only gets nothing.
fn count(call: &Call<'_>, world: &World) -> Outcome {
    if !call.is_eventual() {
        return Err(Fail::bad_request("$count is not currently supported."));
    }
    if call.request.get_header("accept").is_some_and(|accept| accept.starts_with("application/json")) {
        return Err(Fail::graph(
            415,
            "Request_BadRequest",
            "A supported MIME type could not be found that matches the acceptable MIME types for the request.",
        ));
    }
    let number = match call.query.get("$filter") {
        Some(text) => filtered(&world.state, &Filter::parse_for(text, "User", FILTERS)?).len(),
        None => world.state.users.len(),
    };
    Ok(Response::with_body(200, "text/plain", number.to_string().into_bytes()))
}

/// Without a filter a page is cut out of the table, however large that is.
fn all(call: &Call<'_>, world: &World) -> Outcome {
    let window = call.window(DIRECTORY)?;
    let size = if call.settings.empty_first_page && window.first { 0 } else { window.size };
    let mut page = Page { context: call.context("users"), ..Page::default() };
    page.count = (call.query.count() && window.first && call.is_eventual()).then(|| world.state.users.len());
    let mut last = window.after.as_str();
    let mut rest = world.state.users.after(&window.after);
    for (id, user) in rest.by_ref().take(size) {
        page.rows.push(SHAPE.project(user.wire(), &call.query)?.into());
        last = id;
    }
    page.next = rest.next().is_some().then(|| call.next_link(last));
    Ok(ok(&page.body()))
}

/// What a PATCH asks for.
struct Change {
    account_enabled: Option<bool>,
    password_profile: Option<Map<String, Value>>,
}

fn change_of(body: &Map<String, Value>) -> Result<Change, Fail> {
    let mut change = Change { account_enabled: None, password_profile: None };
    for (name, value) in body {
        match (name.as_str(), value) {
            ("accountEnabled", Value::Bool(enabled)) => change.account_enabled = Some(*enabled),
            ("passwordProfile", Value::Object(profile)) => change.password_profile = Some(profile.clone()),
            ("accountEnabled" | "passwordProfile", _) => {
                return Err(Fail::bad_request(&format!(
                    "Invalid value specified for property '{name}' of resource 'User'."
                )));
            }
            (name, _) => {
                return Err(Fail::bad_request(&format!(
                    "Property '{name}' of resource 'User' cannot be changed in this tenant."
                )));
            }
        }
    }
    Ok(change)
}

fn patch(call: &Call<'_>, world: &mut World) -> Outcome {
    let id = user_of(call, &world.state)?.id.clone();
    let change = change_of(&call.body()?)?;
    permit(call, &world.state, &id, &change)?;
    let password = match &change.password_profile {
        Some(profile) => new_password(&world.state, world.state.user(&id), profile)?,
        None => None,
    };
    if let Some(enabled) = change.account_enabled {
        set_enabled(call, world, &id, enabled);
    }
    if let Some((password, force)) = password {
        set_password(call, world, &id, &password, force);
    }
    Ok(no_content())
}

/// The permission for each property, then the protections of the target.
fn permit(call: &Call<'_>, state: &State, id: &str, change: &Change) -> Result<(), Fail> {
    let caller = call.caller;
    let enable = caller.may_any(ENABLE) || ENABLE_GRANULAR.iter().all(|name| caller.may(name));
    if change.account_enabled.is_some() && !enable {
        return Err(Fail::denied());
    }
    let target = state.roles_of(id);
    let restricted = state.user(id).is_some_and(|user| user.is_management_restricted);
    let role = may_change(&counting_roles(call, state, id, restricted)?, &target);
    let password = caller.may_any(PASSWORD) || (caller.may_any(PASSWORD_WITH_ROLE) && role);
    if change.password_profile.is_some() && !password {
        return Err(Fail::denied());
    }
    // A signed-in user needs the role for anybody; the scope is the lesser half. An application needs one where permissions
    // alone do not reach: for the holder of a privileged role, and in a restricted unit.
    if !role && (caller.user.is_some() || restricted || is_privileged(&target)) {
        return Err(Fail::denied());
    }
    Ok(())
}

/// The roles of the caller that count for an object. For one in a restricted unit no permission counts, nor any role but those
/// over such a unit in which it is; without any the caller is refused.
///
/// Source: Microsoft Entra, "Restricted management administrative units": "Who can modify objects?", "Programmability".
/// That page lists changes of "any Microsoft Entra properties"; sessions are revoked by setting one (Graph, "user:
/// revokeSignInSessions"), and methods are taken to be among them, which it does not say in so many words.
pub(super) fn counting_roles(call: &Call<'_>, state: &State, id: &str, restricted: bool) -> Result<Vec<String>, Fail> {
    let caller = call.caller;
    if !restricted {
        return Ok(caller.wids.clone());
    }
    let us = caller.user.as_ref().map_or(&caller.object_id, |user| &user.id);
    let roles = state.roles_over_restricted_unit_of(id, us);
    if roles.is_empty() { Err(Fail::denied()) } else { Ok(roles) }
}

/// A password and whether it must be changed at the next sign-in, without and with multifactor authentication.
type NewPassword = (String, (bool, bool));

/// The password that a profile sets; a profile without one changes nothing, as in the service.
fn new_password(state: &State, user: Option<&User>, profile: &Map<String, Value>) -> Result<Option<NewPassword>, Fail> {
    let Some(user) = user else { return Ok(None) };
    if user.is_synced() {
        return Err(Fail::bad_request(
            "Unable to update the specified properties for on-premises mastered Directory Sync objects or objects currently undergoing migration.",
        ));
    }
    let Some(password) = profile.get("password").and_then(Value::as_str) else {
        return Ok(None);
    };
    if state.is_federated(&user.user_principal_name) {
        return Err(Fail::bad_request(
            "Property passwordProfile.password value is required but is empty or missing. The password of a user of a federated domain cannot be set in the cloud.",
        ));
    }
    if !is_complex(password) {
        return Err(Fail::bad_request(
            "The specified password does not comply with password complexity requirements. Please provide a different password.",
        ));
    }
    let flag = |name: &str, default| profile.get(name).and_then(Value::as_bool).unwrap_or(default);
    let force = (flag("forceChangePasswordNextSignIn", true), flag("forceChangePasswordNextSignInWithMfa", false));
    Ok(Some((password.to_owned(), force)))
}

/// Eight characters or more of three kinds out of four.
fn is_complex(password: &str) -> bool {
    let kinds: [fn(char) -> bool; 4] =
        [|c| c.is_lowercase(), |c| c.is_uppercase(), |c| c.is_ascii_digit(), |c| !c.is_alphanumeric()];
    let present = kinds.iter().filter(|kind| password.chars().any(**kind)).count();
    (8..=256).contains(&password.chars().count()) && present >= 3
}

fn set_enabled(call: &Call<'_>, world: &mut World, id: &str, enabled: bool) {
    let Some(old) = world.state.user(id).map(|user| user.account_enabled) else {
        return;
    };
    if old == enabled {
        return;
    }
    if let Some(user) = world.state.user_mut(id) {
        user.account_enabled = enabled;
    }
    let modified = vec![
        ModifiedProperty::new("AccountEnabled", Some(&json!([old])), Some(&json!([enabled]))),
        ModifiedProperty::included(&["AccountEnabled"]),
    ];
    let target = target(&world.state, id, modified);
    let name = if enabled { "Enable account" } else { "Disable account" };
    call.note(world, core("Update user", "UserManagement", "Update"), vec![target.clone()], "");
    call.note(world, core(name, "UserManagement", "Update"), vec![target], "");
}

fn set_password(call: &Call<'_>, world: &mut World, id: &str, password: &str, force: (bool, bool)) {
    if let Some(user) = world.state.user_mut(id) {
        user.set_password(password, force, call.now);
    }
    let target = target(&world.state, id, Vec::new());
    call.note(world, core("Reset user password", "UserManagement", "Update"), vec![target], "");
}

fn revoke(call: &Call<'_>, world: &mut World) -> Outcome {
    let user = user_of(call, &world.state)?;
    counting_roles(call, &world.state, &user.id, user.is_management_restricted)?;
    let (id, guest, old) = (user.id.clone(), user.is_guest(), user.sign_in_sessions_valid_from_date_time);
    if !guest {
        if let Some(user) = world.state.user_mut(&id) {
            user.sign_in_sessions_valid_from_date_time = call.now;
        }
        let modified = vec![
            ModifiedProperty::new(
                "StsRefreshTokensValidFrom",
                Some(&json!([old.seconds()])),
                Some(&json!([call.now.seconds()])),
            ),
            ModifiedProperty::included(&["StsRefreshTokensValidFrom"]),
        ];
        let target = target(&world.state, &id, modified);
        let activity = core("Update StsRefreshTokenValidFrom Timestamp", "UserManagement", "Update");
        call.note(world, activity, vec![target], "");
    }
    Ok(ok(&json!({"@odata.context": call.context("Edm.Boolean"), "value": true})))
}

/// A user as the target of an audit entry.
pub(super) fn target(state: &State, id: &str, modified_properties: Vec<ModifiedProperty>) -> Target {
    Target {
        id: id.to_owned(),
        display_name: None,
        kind: "User".to_owned(),
        user_principal_name: state.user(id).map(|user| user.user_principal_name.clone()),
        group_type: None,
        modified_properties,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_needs_length_and_variety() {
        assert!(is_complex("Correct7horse"));
        assert!(is_complex("länger-ist-8"));
        for weak in ["Ab1!", "alllowercase", "ALLUPPER1", ""] {
            assert!(!is_complex(weak), "{weak}");
        }
    }

    #[test]
    fn an_unknown_property_is_refused_before_anything_changes() {
        let body = json!({"accountEnabled": false, "jobTitle": "x"});
        assert!(change_of(body.as_object().unwrap()).is_err());
    }
}
