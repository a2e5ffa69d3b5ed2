//! The directory's audit feed and the registration report.

use serde_json::{Map, Value, json};

use super::access::AUDIT_READ;
use super::users::user_of;
use crate::odata::filter::Filter;
use crate::odata::page::PageSize;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome};
use crate::routes::call::Call;
use crate::routes::table::{Route, get};
use crate::tenant::methods::{AuthMethod, Details};
use crate::tenant::object;
use crate::tenant::stamp::Stamp;
use crate::tenant::users::User;
use crate::tenant::world::World;

pub(super) const ROUTES: &[Route] = &[
    get("/auditLogs/directoryAudits", AUDIT_READ, list),
    get("/auditLogs/directoryAudits/{}", AUDIT_READ, read),
    get("/reports/authenticationMethods/userRegistrationDetails/{}", AUDIT_READ, registration),
];

const SHAPE: Shape = Shape { type_name: "directoryAudit", defaults: None, unmodelled: &[] };
const REGISTRATION: Shape = Shape { type_name: "userRegistrationDetails", defaults: None, unmodelled: &[] };
const PAGES: PageSize = PageSize { default: 1000, max: 1000 };

const FILTERS: &[&str] = &[
    "activityDateTime",
    "activityDisplayName",
    "category",
    "correlationId",
    "id",
    "initiatedBy/app/appId",
    "initiatedBy/app/displayName",
    "initiatedBy/user/displayName",
    "initiatedBy/user/id",
    "initiatedBy/user/userPrincipalName",
    "loggedByService",
    "result",
    "targetResources/displayName",
    "targetResources/id",
];

fn list(call: &Call<'_>, world: &World) -> Outcome {
    let filter =
        call.query.get("$filter").map(|text| Filter::parse_for(text, "DirectoryAudit", FILTERS)).transpose()?;
    let ingested = Stamp(call.now.0 - jiff::SignedDuration::from_millis(call.settings.lag.audit));
    let mut rows: Vec<(String, Map<String, Value>)> = world
        .audit
        .iter()
        .filter(|entry| entry.activity_date_time <= ingested)
        .map(|entry| (entry.id.clone(), object(entry.as_ref())))
        .filter(|(_, row)| filter.as_ref().is_none_or(|filter| filter.matches(&Value::Object(row.clone()))))
        .collect();
    if descending(call.query.get("$orderby"))? {
        rows.reverse();
    }
    call.collection("auditLogs/directoryAudits", &SHAPE, rows, PAGES)
}

/// Newest first unless the caller asks for the other order.
fn descending(order: Option<&str>) -> Result<bool, Fail> {
    let words: Vec<&str> = order.unwrap_or("activityDateTime desc").split_whitespace().collect();
    match words.as_slice() {
        ["activityDateTime", "desc"] => Ok(true),
        ["activityDateTime"] | ["activityDateTime", "asc"] => Ok(false),
        _ => Err(Fail::bad_request("The feed can be ordered by activityDateTime only.")),
    }
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    let id = call.key(0)?;
    let entry = world.audit.iter().find(|entry| entry.id == id).ok_or_else(|| Fail::not_found(id))?;
    call.entity("auditLogs/directoryAudits", &SHAPE, object(entry.as_ref()))
}

fn registration(call: &Call<'_>, world: &World) -> Outcome {
    let user = user_of(call, &world.state)?;
    let methods = world.state.methods.get(&user.id).map_or(&[][..], Vec::as_slice);
    let admin = !world.state.roles_of(&user.id).is_empty();
    let row = details(user, methods, admin, call.now);
    call.entity("userRegistrationDetails", &REGISTRATION, row)
}

fn details(user: &User, methods: &[AuthMethod], admin: bool, now: Stamp) -> Map<String, Value> {
    let registered: Vec<&str> = methods.iter().filter_map(report_name).collect();
    let factors = methods.iter().any(AuthMethod::is_factor);
    let preferred = methods.iter().find(|method| method.default).map_or("none", preferred_name);
    let row = json!({
        "id": user.id,
        "isAdmin": admin,
        "isMfaCapable": factors,
        "isMfaRegistered": factors,
        "isPasswordlessCapable": registered.iter().any(|name| PASSWORDLESS.contains(name)),
        "isSsprCapable": factors,
        "isSsprEnabled": true,
        "isSsprRegistered": factors,
        "isSystemPreferredAuthenticationMethodEnabled": false,
        "lastUpdatedDateTime": now,
        "methodsRegistered": registered,
        "systemPreferredAuthenticationMethods": [],
        "userDisplayName": user.display_name,
        "userPreferredMethodForSecondaryAuthentication": preferred,
        "userPrincipalName": user.user_principal_name,
        "userType": user.user_type.to_lowercase(),
    });
    row.as_object().cloned().unwrap_or_default()
}

const PASSWORDLESS: &[&str] = &["windowsHelloForBusiness", "passKeyDeviceBound", "microsoftAuthenticatorPasswordless"];

/// The report's own names for the types.
fn report_name(method: &AuthMethod) -> Option<&'static str> {
    Some(match &method.details {
        Details::Phone { phone_type, .. } => match phone_type.as_str() {
            "alternateMobile" => "alternateMobilePhone",
            "office" => "officePhone",
            _ => "mobilePhone",
        },
        Details::Email { .. } => "email",
        // Only a registration for passwordless sign-in carries a date.
        Details::MicrosoftAuthenticator { .. } if method.created_date_time.is_some() => {
            "microsoftAuthenticatorPasswordless"
        }
        Details::MicrosoftAuthenticator { .. } => "microsoftAuthenticatorPush",
        Details::SoftwareOath => "softwareOneTimePasscode",
        Details::Fido2 { .. } => "passKeyDeviceBound",
        Details::WindowsHelloForBusiness { .. } => "windowsHelloForBusiness",
        Details::PlatformCredential { .. } => "macOsSecureEnclaveKey",
        Details::TemporaryAccessPass { .. } => "temporaryAccessPass",
        Details::External { .. } => "externalAuthMethod",
        Details::Password => return None,
    })
}

fn preferred_name(method: &AuthMethod) -> &'static str {
    match &method.details {
        Details::Phone { phone_type, .. } if phone_type == "office" => "voiceOffice",
        Details::Phone { phone_type, .. } if phone_type == "alternateMobile" => "voiceAlternateMobile",
        Details::Phone { .. } => "sms",
        Details::MicrosoftAuthenticator { .. } => "push",
        Details::SoftwareOath => "oath",
        _ => "none",
    }
}
