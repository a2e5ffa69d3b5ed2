//! Delegated permission grants.

use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::access::{GRANT_READ, GRANT_WRITE};
use super::apps::{directory_target, principal_of};
use super::users::user_of;
use crate::odata::filter::Filter;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::{Call, Rows, created};
use crate::routes::table::{Route, get, write};
use crate::server::text;
use crate::tenant::apps::OAuth2PermissionGrant;
use crate::tenant::audit::{ModifiedProperty, core};
use crate::tenant::object;
use crate::tenant::world::World;

pub(super) const ROUTES: &[Route] = &[
    get("/oauth2PermissionGrants", GRANT_READ, list),
    get("/oauth2PermissionGrants/{}", GRANT_READ, read),
    write("POST", "/oauth2PermissionGrants", GRANT_WRITE, add),
    write("PATCH", "/oauth2PermissionGrants/{}", GRANT_WRITE, patch),
    write("DELETE", "/oauth2PermissionGrants/{}", GRANT_WRITE, delete),
    get("/servicePrincipals/{}/oauth2PermissionGrants", GRANT_READ, of_principal),
    get("/users/{}/oauth2PermissionGrants", GRANT_READ, of_user),
];

const SHAPE: Shape = Shape { type_name: "oAuth2PermissionGrant", defaults: None, unmodelled: &[] };
const FILTERS: &[&str] = &["clientId", "consentType", "principalId", "resourceId", "scope", "id"];

fn rows(world: &World, keep: impl Fn(&OAuth2PermissionGrant) -> bool) -> Rows {
    let kept = world.state.grants.values().filter(|grant| keep(grant));
    kept.map(|grant| (grant.id.clone(), object(grant))).collect()
}

fn answer(call: &Call<'_>, rows: Rows) -> Outcome {
    call.collection("oauth2PermissionGrants", &SHAPE, rows, DIRECTORY)
}

fn list(call: &Call<'_>, world: &World) -> Outcome {
    let mut rows = rows(world, |_| true);
    if let Some(text) = call.query.get("$filter") {
        let filter = Filter::parse_for(text, "OAuth2PermissionGrant", FILTERS)?;
        call.require_eventual(filter.needs_eventual())?;
        rows.retain(|(_, row)| filter.matches(&Value::Object(row.clone())));
    }
    answer(call, rows)
}

fn of_principal(call: &Call<'_>, world: &World) -> Outcome {
    let id = &principal_of(call, &world.state)?.id;
    answer(call, rows(world, |grant| &grant.client_id == id))
}

/// A user's list has no tenant-wide grants, though they apply to the user too.
fn of_user(call: &Call<'_>, world: &World) -> Outcome {
    let id = &user_of(call, &world.state)?.id;
    answer(call, rows(world, |grant| grant.principal_id.as_ref() == Some(id)))
}

fn grant_of(call: &Call<'_>, world: &World) -> Result<OAuth2PermissionGrant, Fail> {
    let id = call.key(0)?;
    world.state.grants.get(id).cloned().ok_or_else(|| Fail::not_found(id))
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    call.entity("oauth2PermissionGrants", &SHAPE, object(&grant_of(call, world)?))
}

fn patch(call: &Call<'_>, world: &mut World) -> Outcome {
    let grant = grant_of(call, world)?;
    let body = call.body()?;
    let scope = match (body.len(), text(&body, "scope")) {
        (1, Some(scope)) => scope.to_owned(),
        _ => {
            return Err(Fail::bad_request("Only the property 'scope' of an oAuth2PermissionGrant can be changed."));
        }
    };
    if scope == grant.scope {
        return Ok(no_content());
    }
    if let Some(grant) = world.state.grants.get_mut(&grant.id) {
        grant.scope.clone_from(&scope);
    }
    // The service logs an amended grant as one removed and one added, both with the old and the new scope.
    let scopes = (Some(grant.scope.as_str()), Some(scope.as_str()));
    note(call, world, &grant, ("Remove delegated permission grant", "Unassign"), scopes);
    note(call, world, &grant, ("Add delegated permission grant", "Assign"), scopes);
    Ok(no_content())
}

fn delete(call: &Call<'_>, world: &mut World) -> Outcome {
    let grant = grant_of(call, world)?;
    world.state.grants.remove(&grant.id);
    let scopes = (Some(grant.scope.as_str()), None);
    note(call, world, &grant, ("Remove delegated permission grant", "Unassign"), scopes);
    Ok(no_content())
}

fn add(call: &Call<'_>, world: &mut World) -> Outcome {
    let grant = new_grant(world, &call.body()?)?;
    world.state.grants.insert(grant.id.clone(), grant.clone());
    let scopes = (None, Some(grant.scope.as_str()));
    note(call, world, &grant, ("Add delegated permission grant", "Assign"), scopes);
    Ok(created(call.context("oauth2PermissionGrants/$entity"), object(&grant)))
}

fn new_grant(world: &mut World, body: &Map<String, Value>) -> Result<OAuth2PermissionGrant, Fail> {
    let required = |name: &str| {
        text(body, name).map(str::to_owned).ok_or_else(|| {
            Fail::bad_request(&format!(
                "A value is required for property '{name}' of resource 'OAuth2PermissionGrant'."
            ))
        })
    };
    let (client_id, resource_id, consent_type) =
        (required("clientId")?, required("resourceId")?, required("consentType")?);
    let principal_id = text(body, "principalId").map(str::to_owned);
    for id in [&client_id, &resource_id] {
        if !world.state.service_principals.contains(id) {
            return Err(Fail::not_found(id));
        }
    }
    if !matches!((consent_type.as_str(), &principal_id), ("AllPrincipals", None) | ("Principal", Some(_))) {
        return Err(Fail::bad_request("principalId must be given for consentType Principal, and for no other."));
    }
    let twin = |grant: &OAuth2PermissionGrant| {
        grant.client_id == client_id && grant.resource_id == resource_id && grant.principal_id == principal_id
    };
    if world.state.grants.values().any(twin) {
        return Err(Fail::graph(409, "Request_MultipleObjectsWithSameKeyValue", "Permission entry already exists."));
    }
    let id = grant_id(&world.state.new_id());
    let scope = text(body, "scope").unwrap_or_default().to_owned();
    Ok(OAuth2PermissionGrant { client_id, consent_type, id, principal_id, resource_id, scope })
}

/// Ids of grants look like base64url, unlike every other id of the directory.
pub(crate) fn grant_id(id: &uuid::Uuid) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.encode([id.as_bytes().as_slice(), id.as_bytes()].concat())
}

/// The target of the entry is the resource; the client is in the properties.
fn note(
    call: &Call<'_>,
    world: &mut World,
    grant: &OAuth2PermissionGrant,
    (name, operation): (&'static str, &'static str),
    (old, new): (Option<&str>, Option<&str>),
) {
    let quoted = |text: Option<&str>| text.map(|text| json!(text));
    let new_only = |name: &str, value: &Value| ModifiedProperty::new(name, None, Some(value));
    let modified = vec![
        ModifiedProperty::new("DelegatedPermissionGrant.Scope", quoted(old).as_ref(), quoted(new).as_ref()),
        new_only("DelegatedPermissionGrant.ConsentType", &json!(grant.consent_type)),
        new_only("DelegatedPermissionGrant.PrincipalId", &json!(grant.principal_id)),
        new_only("ServicePrincipal.ObjectID", &json!(grant.client_id)),
    ];
    let resource = world.state.service_principals.get(&grant.resource_id);
    let name_of = resource.map(|sp| sp.display_name.clone()).unwrap_or_default();
    let target = directory_target("ServicePrincipal", &grant.resource_id, &name_of, modified);
    call.note(world, core(name, "ApplicationManagement", operation), vec![target], "");
}
