//! Which method a user signs in with by default. Only the beta version shows and sets it, and it is the one way to
//! remove a default method while others stay.

use serde_json::{Value, json};

use super::users::{target, user_of};
use crate::access::Access;
use crate::reply::{Fail, Outcome, no_content, ok};
use crate::routes::call::Call;
use crate::routes::table::{Route, beta, get, write};
use crate::server::text;
use crate::tenant::audit::{ModifiedProperty, core};
use crate::tenant::methods::{AuthMethod, Details};
use crate::tenant::world::World;

const READ: Access = Access::methods(&["UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"]);
const WRITE: Access = Access::methods(&["UserAuthenticationMethod.ReadWrite.All"]);

pub(super) const ROUTES: &[Route] = &[
    beta(get("/users/{}/authentication/signInPreferences", READ, read)),
    beta(write("PATCH", "/users/{}/authentication/signInPreferences", WRITE, patch)),
];

/// Whether a method can be what this value of the preference means.
fn fits(method: &AuthMethod, value: &str) -> bool {
    match (value, &method.details) {
        ("push", Details::MicrosoftAuthenticator { .. }) => true,
        ("oath", Details::MicrosoftAuthenticator { .. } | Details::SoftwareOath) => true,
        ("sms" | "voiceMobile", Details::Phone { phone_type, .. }) => phone_type == "mobile",
        ("voiceAlternateMobile", Details::Phone { phone_type, .. }) => phone_type == "alternateMobile",
        ("voiceOffice", Details::Phone { phone_type, .. }) => phone_type == "office",
        _ => false,
    }
}

/// The preference that a default method stands for.
pub(super) fn preference(methods: &[AuthMethod]) -> Option<&'static str> {
    let default = methods.iter().find(|method| method.default)?;
    ["push", "sms", "oath", "voiceAlternateMobile", "voiceOffice"].into_iter().find(|value| fits(default, value))
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    let user = user_of(call, &world.state)?;
    let methods = world.state.methods.get(&user.id).map_or(&[][..], Vec::as_slice);
    Ok(ok(&json!({
        "@odata.context": call.context(&format!("users('{}')/authentication/signInPreferences", user.id)),
        "isSystemPreferredAuthenticationMethodEnabled": false,
        "userPreferredMethodForSecondaryAuthentication": preference(methods),
    })))
}

/// 204 is *unconfirmed*; the documentation shows no answer.
fn patch(call: &Call<'_>, world: &mut World) -> Outcome {
    let user = user_of(call, &world.state)?.id.clone();
    let body = call.body()?;
    let wanted = text(&body, "userPreferredMethodForSecondaryAuthentication").unwrap_or_default().to_owned();
    let mut methods = world.state.methods.get(&user).cloned().unwrap_or_default();
    let old = preference(&methods);
    let Some(id) = methods.iter().find(|method| fits(method, &wanted)).map(|method| method.id.clone()) else {
        return Err(Fail::graph(400, "badRequest", "The user has no method of the preferred kind."));
    };
    if old == Some(wanted.as_str()) {
        return Ok(no_content());
    }
    for method in &mut methods {
        method.default = method.id == id;
    }
    world.state.methods.insert(user.clone(), methods);
    let modified = vec![ModifiedProperty::new(
        "StrongAuthenticationMethod",
        Some(&old.map_or(Value::Null, |old| json!([old]))),
        Some(&json!([wanted])),
    )];
    let target = target(&world.state, &user, modified);
    call.note(world, core("Update user", "UserManagement", "Update"), vec![target], "");
    Ok(no_content())
}
