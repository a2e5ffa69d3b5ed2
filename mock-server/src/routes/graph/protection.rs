//! Identity Protection and the sign-in log.

use serde_json::{Map, Value, json};

use super::access::AUDIT_READ;
use super::users::target as user_target;
use crate::access::Access;
use crate::odata::filter::Filter;
use crate::odata::page::PageSize;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::Call;
use crate::routes::table::{Route, get, write};
use crate::server::text;
use crate::tenant::audit::core;
use crate::tenant::stamp::Stamp;
use crate::tenant::world::World;

const RISK_READ: Access = Access::any(&["IdentityRiskyUser.Read.All", "IdentityRiskyUser.ReadWrite.All"]);
const RISK_WRITE: Access = Access::any(&["IdentityRiskyUser.ReadWrite.All"]);

pub(super) const ROUTES: &[Route] = &[
    get("/identityProtection/riskyUsers", RISK_READ, list_risky),
    get("/identityProtection/riskyUsers/{}", RISK_READ, read_risky),
    write("POST", "/identityProtection/riskyUsers/confirmCompromised", RISK_WRITE, confirm),
    write("POST", "/identityProtection/riskyUsers/dismiss", RISK_WRITE, dismiss),
    write("POST", "/identityProtection/riskyUsers/confirmSafe", RISK_WRITE, confirm_safe),
    get("/auditLogs/signIns", AUDIT_READ, list_sign_ins),
    get("/auditLogs/signIns/{}", AUDIT_READ, read_sign_in),
];

const RISKY: Shape = Shape { type_name: "riskyUser", defaults: None, unmodelled: &[] };
const SIGN_IN: Shape = Shape { type_name: "signIn", defaults: None, unmodelled: &[] };
const RISK_PAGES: PageSize = PageSize { default: 20, max: 500 };
const LOG_PAGES: PageSize = PageSize { default: 1000, max: 1000 };
const RISK_FILTERS: &[&str] = &[
    "id",
    "isProcessing",
    "riskLevel",
    "riskState",
    "riskDetail",
    "riskLastUpdatedDateTime",
    "userPrincipalName",
    "userDisplayName",
];
const SIGN_IN_FILTERS: &[&str] = &[
    "appDisplayName",
    "appId",
    "clientAppUsed",
    "conditionalAccessStatus",
    "correlationId",
    "createdDateTime",
    "id",
    "ipAddress",
    "location/city",
    "location/countryOrRegion",
    "location/state",
    "resourceDisplayName",
    "resourceId",
    "riskState",
    "riskLevelDuringSignIn",
    "status/errorCode",
    "userDisplayName",
    "userId",
    "userPrincipalName",
];

fn filtered(
    call: &Call<'_>,
    resource: &str,
    allowed: &[&str],
    rows: Vec<(String, Map<String, Value>)>,
) -> Result<crate::routes::call::Rows, Fail> {
    let Some(text) = call.query.get("$filter") else {
        return Ok(rows);
    };
    if text.to_lowercase().contains("signineventtypes") {
        return Err(Fail::graph(
            400,
            "BadRequest",
            "Could not find a property named 'signInEventTypes' on type 'microsoft.graph.signIn'",
        ));
    }
    let filter = Filter::parse_for(text, resource, allowed)?;
    Ok(rows.into_iter().filter(|(_, row)| filter.matches(&Value::Object(row.clone()))).collect())
}

/// Without a premium licence the tenant has neither risk nor a sign-in log for applications.
fn premium(call: &Call<'_>) -> Result<(), Fail> {
    if call.settings.premium {
        return Ok(());
    }
    Err(Fail::graph(
        403,
        "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        "Neither tenant is B2C or tenant doesn't have premium license",
    ))
}

fn list_risky(call: &Call<'_>, world: &World) -> Outcome {
    premium(call)?;
    let rows = world.state.risky_users.iter().map(|(id, row)| (id.to_owned(), row.clone())).collect();
    call.collection("riskyUsers", &RISKY, filtered(call, "RiskyUser", RISK_FILTERS, rows)?, RISK_PAGES)
}

fn read_risky(call: &Call<'_>, world: &World) -> Outcome {
    premium(call)?;
    let id = call.key(0)?;
    let row = world.state.risky_users.get(id).ok_or_else(|| Fail::not_found(id))?;
    call.entity("riskyUsers", &RISKY, row.clone())
}

fn confirm(call: &Call<'_>, world: &mut World) -> Outcome {
    set_risk(call, world, ("high", "confirmedCompromised", "adminConfirmedUserCompromised"), "Confirm user compromised")
}

fn dismiss(call: &Call<'_>, world: &mut World) -> Outcome {
    set_risk(call, world, ("none", "dismissed", "adminDismissedAllRiskForUser"), "Dismiss user risk")
}

fn confirm_safe(call: &Call<'_>, world: &mut World) -> Outcome {
    set_risk(call, world, ("none", "confirmedSafe", "adminConfirmedUserSafe"), "Confirm user safe")
}

fn set_risk(
    call: &Call<'_>,
    world: &mut World,
    (level, risk, detail): (&str, &str, &str),
    activity: &'static str,
) -> Outcome {
    premium(call)?;
    let body = call.body()?;
    let Some(ids) = body.get("userIds").and_then(Value::as_array) else {
        return Err(Fail::bad_request("userIds is required."));
    };
    let ids: Vec<String> = ids.iter().filter_map(Value::as_str).map(str::to_owned).collect();
    if let Some(unknown) = ids.iter().find(|id| !world.state.users.contains(id)) {
        return Err(Fail::not_found(unknown));
    }
    for id in &ids {
        let Some(user) = world.state.users.get(id) else {
            continue;
        };
        let row = risky_user((id, &user.display_name, &user.user_principal_name), (level, risk, detail), call.now);
        world.state.risky_users.insert(id.clone(), row);
    }
    let targets = ids.iter().map(|id| user_target(&world.state, id, Vec::new())).collect();
    call.note(world, core(activity, "UserManagement", "Update"), targets, "");
    Ok(no_content())
}

/// A row of the list of risky users. `isDeleted` is false whatever happened to the user.
pub(crate) fn risky_user(
    (id, name, principal): (&str, &str, &str),
    (level, risk, detail): (&str, &str, &str),
    now: Stamp,
) -> Map<String, Value> {
    let row = json!({
        "id": id, "isDeleted": false, "isProcessing": false, "riskLevel": level, "riskState": risk,
        "riskDetail": detail, "riskLastUpdatedDateTime": now.ticks(), "userDisplayName": name,
        "userPrincipalName": principal,
    });
    row.as_object().cloned().unwrap_or_default()
}

fn list_sign_ins(call: &Call<'_>, world: &World) -> Outcome {
    premium(call)?;
    let mut rows: Vec<(String, Map<String, Value>)> =
        world.state.sign_ins.iter().map(|(id, row)| (id.to_owned(), shown(call, row))).collect();
    // Newest first.
    rows.sort_by(|(_, a), (_, b)| text(b, "createdDateTime").cmp(&text(a, "createdDateTime")));
    call.collection("auditLogs/signIns", &SIGN_IN, filtered(call, "SignIn", SIGN_IN_FILTERS, rows)?, LOG_PAGES)
}

fn read_sign_in(call: &Call<'_>, world: &World) -> Outcome {
    premium(call)?;
    let id = call.key(0)?;
    let row = world.state.sign_ins.get(id).ok_or_else(|| Fail::not_found(id))?;
    call.entity("auditLogs/signIns", &SIGN_IN, shown(call, row))
}

/// The policies applied are left out, without a word, for whoever may not read policies.
fn shown(call: &Call<'_>, row: &Map<String, Value>) -> Map<String, Value> {
    let mut row = row.clone();
    if !call.caller.may("Policy.Read.All") {
        row.shift_remove("appliedConditionalAccessPolicies");
    }
    row
}
