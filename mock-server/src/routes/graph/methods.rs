//! Authentication methods: one list of all, and a typed collection for each type.

use serde_json::{Map, Value, json};

use super::users::{counting_roles, target, user_of};
use crate::access::Access;
use crate::http::Response;
use crate::odata::page::Page;
use crate::reply::{Fail, Outcome, no_content, ok};
use crate::routes::call::{Call, created};
use crate::routes::table::{Route, get, write};
use crate::server::text;
use crate::tenant::audit::Activity;
use crate::tenant::methods::{
    ALTERNATE_MOBILE_ID, AuthMethod, CannotRemove, Details, EMAIL_ID, KINDS, MOBILE_ID, MethodKind, OFFICE_ID, remove,
};
use crate::tenant::roles::holds;
use crate::tenant::users::User;
use crate::tenant::world::World;

const READ: Access = Access::methods(&["UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"]);
const WRITE: Access = Access::methods(&["UserAuthenticationMethod.ReadWrite.All"]);

pub(super) const ROUTES: &[Route] = &[
    get("/users/{}/authentication/methods", READ, list),
    get("/users/{}/authentication/methods/{}", READ, read_any),
    write("DELETE", "/users/{}/authentication/methods/{}", WRITE, delete_any),
    get("/users/{}/authentication/passwordMethods", granular_read!("Password"), typed_list),
    get("/users/{}/authentication/passwordMethods/{}", granular_read!("Password"), typed_read),
    write("POST", "/users/{}/authentication/phoneMethods", granular_write!("Phone"), add_phone),
    write("POST", "/users/{}/authentication/emailMethods", granular_write!("Email"), add_email),
    write("POST", "/users/{}/authentication/temporaryAccessPassMethods", granular_write!("TAP"), add_pass),
];

macro_rules! granular_read {
    ($name:literal) => {
        Access::methods(&[
            concat!("UserAuthMethod-", $name, ".Read.All"),
            concat!("UserAuthMethod-", $name, ".ReadWrite.All"),
            "UserAuthenticationMethod.Read.All",
            "UserAuthenticationMethod.ReadWrite.All",
        ])
    };
}
macro_rules! granular_write {
    ($name:literal) => {
        Access::methods(&[
            concat!("UserAuthMethod-", $name, ".ReadWrite.All"),
            "UserAuthenticationMethod.ReadWrite.All",
        ])
    };
}
use {granular_read, granular_write};

macro_rules! typed {
    ($($collection:literal $permission:literal),* $(,)?) => {
        &[$(
            get(concat!("/users/{}/authentication/", $collection), granular_read!($permission), typed_list),
            get(concat!("/users/{}/authentication/", $collection, "/{}"), granular_read!($permission), typed_read),
            write("DELETE", concat!("/users/{}/authentication/", $collection, "/{}"), granular_write!($permission), typed_delete),
        )*]
    };
}

/// List, read and delete of every type whose methods can be deleted.
pub(super) const TYPED: &[Route] = typed![
    "phoneMethods" "Phone",
    "emailMethods" "Email",
    "microsoftAuthenticatorMethods" "MicrosoftAuthApp",
    "softwareOathMethods" "SoftwareOATH",
    "fido2Methods" "Passkey",
    "windowsHelloForBusinessMethods" "WindowsHello",
    "platformCredentialMethods" "PlatformCred",
    "temporaryAccessPassMethods" "TAP",
    "externalAuthenticationMethods" "External",
];

fn methods_of<'a>(world: &'a World, user: &User) -> &'a [AuthMethod] {
    world.state.methods.get(&user.id).map_or(&[], Vec::as_slice)
}

/// The user whose methods are changed; one in a restricted unit is out of reach of most.
fn editable<'a>(call: &Call<'_>, world: &'a World) -> Result<&'a User, Fail> {
    let user = user_of(call, &world.state)?;
    match counting_roles(call, &world.state, &user.id, user.is_management_restricted) {
        Ok(_) => Ok(user),
        Err(_) => Err(Fail::graph(403, "accessDenied", "Request Authorization failed")),
    }
}

/// The type that the route's collection holds.
fn kind_of(call: &Call<'_>) -> Result<MethodKind, Fail> {
    let collection = call.route.path.split('/').nth(4).unwrap_or_default();
    let found = KINDS.into_iter().find(|kind| kind.collection() == collection);
    found.ok_or_else(|| Fail::bad_request("The collection is not known."))
}

fn context(call: &Call<'_>, user: &User, collection: &str) -> String {
    call.context(&format!("users('{}')/authentication/{collection}", user.id))
}

fn list(call: &Call<'_>, world: &World) -> Outcome {
    answer_list(call, world, None)
}

fn typed_list(call: &Call<'_>, world: &World) -> Outcome {
    answer_list(call, world, Some(kind_of(call)?))
}

fn answer_list(call: &Call<'_>, world: &World, kind: Option<MethodKind>) -> Outcome {
    call.query.refuse_options()?;
    let user = user_of(call, &world.state)?;
    let rows = methods_of(world, user)
        .iter()
        .filter(|method| kind.is_none_or(|kind| method.kind() == kind))
        .map(|method| wire(call, method, kind.is_some()).into())
        .collect();
    let collection = kind.map_or("methods", MethodKind::collection);
    let page = Page { context: context(call, user, collection), rows, ..Page::default() };
    Ok(ok(&page.body()))
}

/// A typed collection needs no type mark on its items.
fn wire(call: &Call<'_>, method: &AuthMethod, typed: bool) -> Map<String, Value> {
    let mut row = method.wire(call.now);
    if is_masked(call)
        && let Some(number) = row.get_mut("phoneNumber")
    {
        *number = masked(number.as_str().unwrap_or_default()).into();
    }
    if typed {
        row.shift_remove("@odata.type");
    }
    row
}

/// A signed-in authentication administrator sees the end of a number only.
fn is_masked(call: &Call<'_>) -> bool {
    let wids = &call.caller.wids;
    call.caller.user.is_some()
        && holds(wids, &["Authentication Administrator"])
        && !holds(wids, &["Privileged Authentication Administrator", "Global Administrator"])
}

fn masked(number: &str) -> String {
    let (country, rest) = number.split_once(' ').unwrap_or(("", number));
    let hidden = rest.chars().count().saturating_sub(4);
    let tail: String = rest.chars().skip(hidden).collect();
    format!("{} {}{tail}", country.replace(|c: char| c.is_ascii_digit(), "X"), "X".repeat(hidden))
}

fn read_any(call: &Call<'_>, world: &World) -> Outcome {
    answer_one(call, world, None)
}

fn typed_read(call: &Call<'_>, world: &World) -> Outcome {
    answer_one(call, world, Some(kind_of(call)?))
}

fn answer_one(call: &Call<'_>, world: &World, kind: Option<MethodKind>) -> Outcome {
    let user = user_of(call, &world.state)?;
    let id = call.key(1)?;
    let method = methods_of(world, user)
        .iter()
        .find(|method| method.id == id && kind.is_none_or(|kind| method.kind() == kind))
        .ok_or_else(|| missing(id))?;
    let collection = kind.map_or("methods", MethodKind::collection);
    let mut body = Map::new();
    body.insert("@odata.context".to_owned(), format!("{}/$entity", context(call, user, collection)).into());
    body.extend(wire(call, method, kind.is_some()));
    Ok(ok(&body.into()))
}

fn missing(id: &str) -> Fail {
    Fail::graph(
        404,
        "resourceNotFound",
        &format!("The requested authentication method '{id}' was not found for the user."),
    )
}

/// The generic collection cannot delete; the service says so in an odd way.
fn delete_any(call: &Call<'_>, world: &mut World) -> Outcome {
    let user = user_of(call, &world.state)?;
    let address = format!(
        "https://mface.windowsazure.com/odata/{}/users('{}')/authentication/methods('{}')",
        world.state.organization.id,
        user.id,
        call.key(1)?
    );
    let message = format!("No HTTP resource was found that matches the request URI '{address}'.");
    Err(Fail::graph(404, "resourceNotFound", &message).inner("message", &message))
}

fn typed_delete(call: &Call<'_>, world: &mut World) -> Outcome {
    let kind = kind_of(call)?;
    let user = editable(call, world)?.id.clone();
    let id = call.key(1)?;
    let mut methods = world.state.methods.get(&user).cloned().unwrap_or_default();
    let gone = remove(&mut methods, kind, id).map_err(|reason| refusal(reason, id))?;
    world.state.methods.insert(user.clone(), methods);
    let reason = format!("Admin deleted {} for user", method_label(&gone));
    note(call, world, &user, "Admin deleted security info", "Delete", &reason);
    Ok(no_content())
}

fn refusal(reason: CannotRemove, id: &str) -> Fail {
    let message = match reason {
        CannotRemove::Missing => return missing(id),
        CannotRemove::Default => {
            "Cannot delete default method with other methods configured. Please change default method before deletion."
        }
        CannotRemove::AlternateMobile => {
            "Cannot delete the mobile phone number while an alternate mobile phone number is registered."
        }
    };
    Fail::graph(400, "badRequest", message).inner("message", message)
}

/// The words of the audit feed for a type.
fn method_label(method: &AuthMethod) -> &'static str {
    match &method.details {
        Details::Phone { phone_type, .. } => match phone_type.as_str() {
            "alternateMobile" => "Alternate Mobile Phone Call",
            "office" => "Office Phone",
            _ => "Mobile Phone SMS",
        },
        Details::Email { .. } => "Email",
        Details::MicrosoftAuthenticator { .. } => "Authenticator App with Notification and Code",
        Details::SoftwareOath => "Authenticator App with Code",
        Details::Fido2 { .. } => "Fido",
        Details::WindowsHelloForBusiness { .. } => "Windows Hello for Business",
        Details::PlatformCredential { .. } => "Platform Credential",
        Details::TemporaryAccessPass { .. } => "temporary access pass method",
        Details::External { .. } => "external method",
        Details::Password => "password",
    }
}

fn note(call: &Call<'_>, world: &mut World, user: &str, name: &'static str, operation: &'static str, reason: &str) {
    let activity = Activity { name, category: "UserManagement", operation, service: "Authentication Methods" };
    let target = target(&world.state, user, Vec::new());
    call.note(world, activity, vec![target], reason);
}

fn add_phone(call: &Call<'_>, world: &mut World) -> Outcome {
    let body = call.body()?;
    let (Some(number), Some(kind)) = (text(&body, "phoneNumber"), text(&body, "phoneType")) else {
        return Err(Fail::graph(400, "badRequest", "phoneNumber and phoneType are required."));
    };
    if !number.starts_with('+') || !number.chars().all(|c| c.is_ascii_digit() || "+ x".contains(c)) {
        return Err(Fail::graph(
            400,
            "invalidPhoneNumber",
            "The phone number is not in the format +<country code> <number>x<extension>.",
        ));
    }
    let id = match kind {
        "mobile" => MOBILE_ID,
        "alternateMobile" => ALTERNATE_MOBILE_ID,
        "office" => OFFICE_ID,
        _ => {
            return Err(Fail::graph(400, "badRequest", "phoneType must be mobile, alternateMobile or office."));
        }
    };
    let details = Details::Phone {
        phone_number: number.to_owned(),
        phone_type: kind.to_owned(),
        sms_sign_in_state: "notConfigured".to_owned(),
    };
    let needs_mobile = id == ALTERNATE_MOBILE_ID;
    let user = user_of(call, &world.state)?;
    if needs_mobile && !methods_of(world, user).iter().any(|method| method.id == MOBILE_ID) {
        return Err(Fail::graph(
            400,
            "badRequest",
            "An alternate mobile phone can only be added when a mobile phone is registered.",
        ));
    }
    add(call, world, id.to_owned(), details)
}

fn add_email(call: &Call<'_>, world: &mut World) -> Outcome {
    let body = call.body()?;
    let address = text(&body, "emailAddress").filter(|address| address.contains('@'));
    let address = address.ok_or_else(|| Fail::graph(400, "badRequest", "emailAddress is required."))?;
    add(call, world, EMAIL_ID.to_owned(), Details::Email { email_address: address.to_owned() })
}

fn add_pass(call: &Call<'_>, world: &mut World) -> Outcome {
    let body = if call.request.body.is_empty() { Map::new() } else { call.body()? };
    let minutes = body.get("lifetimeInMinutes").and_then(Value::as_i64).unwrap_or(60);
    if !(10..=43_200).contains(&minutes) {
        return Err(Fail::graph(400, "badRequest", "lifetimeInMinutes must be between 10 and 43200."));
    }
    let start = match text(&body, "startDateTime").map(str::parse) {
        Some(Ok(start)) => crate::tenant::stamp::Stamp(start),
        Some(Err(_)) => {
            return Err(Fail::graph(400, "badRequest", "startDateTime is not a time."));
        }
        None => call.now,
    };
    let details = Details::TemporaryAccessPass {
        start_date_time: start,
        lifetime_in_minutes: minutes,
        is_usable_once: body.get("isUsableOnce").and_then(Value::as_bool).unwrap_or(false),
    };
    let id = world.state.new_id().to_string();
    let pass: String = world.state.new_id().simple().to_string().chars().take(12).collect();
    let mut response = add(call, world, id, details)?;
    // The pass is shown once, here.
    let mut shown = response.body_json();
    if let Some(value) = shown.get_mut("temporaryAccessPass") {
        *value = json!(pass);
    }
    response.body = shown.to_string().into_bytes();
    Ok(response)
}

fn add(call: &Call<'_>, world: &mut World, id: String, details: Details) -> Result<Response, Fail> {
    let kind = kind_of(call)?;
    let user = editable(call, world)?.clone();
    let mut methods = methods_of(world, &user).to_vec();
    let single = kind == MethodKind::TemporaryAccessPass;
    if methods.iter().any(|method| method.kind() == kind && (single || method.id == id)) {
        return Err(Fail::graph(400, "badRequest", "A method of this type is already registered for the user."));
    }
    let first_factor = !methods.iter().any(AuthMethod::is_factor);
    let mut method = AuthMethod { id, created_date_time: Some(call.now), details, default: false };
    method.default = first_factor && method.is_factor();
    let row = wire(call, &method, true);
    let reason = format!("Admin registered {} for user", method_label(&method));
    methods.push(method);
    methods.sort_by_key(AuthMethod::kind);
    world.state.methods.insert(user.id.clone(), methods);
    note(call, world, &user.id, "Admin registered security info", "Add", &reason);
    Ok(created(format!("{}/$entity", context(call, &user, kind.collection())), row))
}
