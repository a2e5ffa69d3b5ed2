//! Setting a password as a signed-in administrator: an operation that is waited for, and may write back on premises.

use serde_json::{Map, Value, json};

use super::users::{counting_roles, target, user_of};
use crate::access::Access;
use crate::http::Response;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome};
use crate::routes::call::Call;
use crate::routes::table::{Route, get, write};
use crate::server::{origin, text};
use crate::tenant::audit::core;
use crate::tenant::methods::PASSWORD_ID;
use crate::tenant::roles::may_change;
use crate::tenant::world::World;

const ACCESS: Access = Access::methods(&["UserAuthenticationMethod.ReadWrite.All"]);

pub(super) const ROUTES: &[Route] = &[
    write("POST", "/users/{}/authentication/methods/{}/resetPassword", ACCESS, reset),
    get("/users/{}/authentication/operations/{}", ACCESS, read),
];

const OPERATION: Shape = Shape { type_name: "longRunningOperation", defaults: None, unmodelled: &["resourceLocation"] };

/// An application cannot use it, nor anybody on their own account.
fn check(call: &Call<'_>, world: &World, id: &str) -> Result<(), Fail> {
    let refused = Fail::graph(403, "accessDenied", "Request Authorization failed");
    let Some(actor) = &call.caller.user else {
        return Err(refused);
    };
    let restricted = world.state.user(id).is_some_and(|user| user.is_management_restricted);
    let Ok(roles) = counting_roles(call, &world.state, id, restricted) else {
        return Err(refused);
    };
    if actor.id == id || !may_change(&roles, &world.state.roles_of(id)) {
        return Err(refused);
    }
    Ok(())
}

fn reset(call: &Call<'_>, world: &mut World) -> Outcome {
    let user = user_of(call, &world.state)?;
    let (id, synced, federated) =
        (user.id.clone(), user.is_synced(), world.state.is_federated(&user.user_principal_name));
    check(call, world, &id)?;
    if call.key(1)? != PASSWORD_ID {
        return Err(Fail::graph(404, "resourceNotFound", "The password method was not found."));
    }
    let body = if call.request.body.is_empty() { Map::new() } else { call.body()? };
    let given = text(&body, "newPassword").map(str::to_owned);
    if federated || (synced && given.is_none()) {
        return Err(Fail::graph(
            400,
            "badRequest",
            "newPassword is required where passwords are written back, and a federated user has none.",
        ));
    }
    let generated = given.is_none().then(|| format!("Gen{}!", world.state.new_id().simple()));
    let password = given.or_else(|| generated.clone()).unwrap_or_default();
    if let Some(user) = world.state.user_mut(&id) {
        user.set_password(&password, (true, false), call.now);
    }
    let operation = world.state.new_id().to_string();
    let row = json!({
        "id": operation, "status": "succeeded", "createdDateTime": call.now, "lastActionDateTime": call.now,
        "statusDetail": null, "_user": id,
    });
    world.operations.insert(operation.clone(), row.as_object().cloned().unwrap_or_default());
    let target = target(&world.state, &id, Vec::new());
    call.note(world, core("Reset user password", "UserManagement", "Update"), vec![target], "");
    // A password that the service made up is in the answer, and nowhere else.
    let shown = generated.map_or_else(|| json!({}), |password| json!({"newPassword": password}));
    let mut response = Response::json(202, &shown);
    let version = call.root.rsplit('/').next().unwrap_or("v1.0");
    let location = format!(
        "{}/{version}/users/{id}/authentication/operations/{operation}?aadgdc=DUB02P&aadgsu=ssprprod-a",
        origin(call.request)
    );
    response.set("location", &location);
    Ok(response)
}

/// Without the query of the address that was given, the operation is not found.
fn read(call: &Call<'_>, world: &World) -> Outcome {
    let user = user_of(call, &world.state)?;
    check(call, world, &user.id)?;
    let id = call.key(1)?;
    let row = world
        .operations
        .get(id)
        .filter(|row| text(row, "_user") == Some(&user.id) && call.query.get("aadgdc").is_some());
    let mut row = row
        .cloned()
        .ok_or_else(|| Fail::graph(404, "resourceNotFound", &format!("The operation '{id}' was not found.")))?;
    row.retain(|name: &String, _: &mut Value| !name.starts_with('_'));
    call.entity("users/authentication/operations", &OPERATION, row)
}
