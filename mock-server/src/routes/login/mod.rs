//! The token endpoint: client credentials, and Entra's errors with their whole bodies. Users sign in by `delegated`.

mod assertion;
mod delegated;
pub(crate) mod identity;

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use crate::http::{Request, Response};
use crate::odata::query::Query;
use crate::reply::Trace;
use crate::tenant::Tenant;
use crate::tenant::apps::{Application, EXCHANGE_APP_ID, GRAPH_APP_ID, ServicePrincipal};
use crate::tenant::roles::APPLICATION_WID;
use crate::tenant::state::State;
use crate::tenant::tokens::{Audience, Caller};

/// An error of the token endpoint.
#[derive(Debug)]
pub(super) struct Refusal {
    status: u16,
    error: &'static str,
    code: u32,
    text: String,
}

impl Refusal {
    pub(super) fn new(status: u16, error: &'static str, code: u32, text: impl Into<String>) -> Self {
        Self { status, error, code, text: text.into() }
    }

    fn into_response(self, trace: &Trace) -> Response {
        let stamp = format!("{}Z", trace.date.replace('T', " "));
        let mut description = format!("AADSTS{}: {}", self.code, self.text);
        // The service puts three more lines into the description.
        let _ = write!(
            description,
            " Trace ID: {} Correlation ID: {} Timestamp: {stamp}",
            trace.request_id, trace.client_request_id
        );
        let body = json!({
            "error": self.error,
            "error_description": description,
            "error_codes": [self.code],
            "timestamp": stamp,
            "trace_id": trace.request_id,
            "correlation_id": trace.client_request_id,
            "error_uri": format!("https://login.microsoftonline.com/error?code={}", self.code),
        });
        let mut response = Response::json(self.status, &body);
        response.set("cache-control", "no-store, no-cache");
        response
    }
}

/// A client as it named itself.
struct Client {
    id: String,
    secret: Option<String>,
}

pub(crate) fn handle(tenant: &Tenant, request: &Request, trace: &Trace) -> Response {
    token(tenant, request).unwrap_or_else(|refusal| refusal.into_response(trace))
}

fn token(tenant: &Tenant, request: &Request) -> Result<Response, Refusal> {
    let mut parts = request.path.trim_start_matches('/').splitn(2, '/');
    let (directory, endpoint) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    check_directory(&tenant.read().state, directory)?;
    let form = Query::parse(&String::from_utf8_lossy(&request.body));
    match (request.method.as_str(), endpoint) {
        ("POST", "oauth2/v2.0/token") => {}
        ("POST", "oauth2/v2.0/devicecode") => {
            return delegated::device_code(tenant, request, &form);
        }
        ("GET", "oauth2/v2.0/authorize") => {
            return delegated::authorize(tenant, &Query::parse(&request.query));
        }
        _ => {
            return Err(Refusal::new(404, "invalid_request", 900_144, "The request is not known to this endpoint."));
        }
    }
    match form.get("grant_type") {
        Some("client_credentials") => client_credentials(tenant, request, &form),
        Some(grant) => delegated::token(tenant, grant, &form),
        None => Err(missing("grant_type")),
    }
}

fn client_credentials(tenant: &Tenant, request: &Request, form: &Query) -> Result<Response, Refusal> {
    let world = tenant.read();
    let client = client_of(request, form)?;
    let application = application_of(&world.state, &client.id)?;
    let audience = audience_of(&world.state, form)?;
    match form.get("client_assertion") {
        Some(assertion) => assertion::check(tenant, request, application, assertion)?,
        None => check_secret(application, &client, tenant.now())?,
    }
    let mut caller = caller(tenant, &world.state, application, audience)?;
    caller.with_certificate = form.get("client_assertion").is_some();
    caller.continuous = declares_cp1(form);
    drop(world);
    Ok(answer(tenant, caller, &[]))
}

/// Whether the client says that it can answer claims challenges.
///
/// Source: Microsoft identity platform, "Claims challenges, claims requests and client capabilities".
fn declares_cp1(form: &Query) -> bool {
    let claims: Option<Value> = form.get("claims").and_then(|text| serde_json::from_str(text).ok());
    let values = claims.as_ref().and_then(|claims| claims.pointer("/access_token/xms_cc/values"));
    values.and_then(Value::as_array).is_some_and(|values| values.iter().any(|value| value == "cp1"))
}

/// The answer with a token, and what a flow adds.
fn answer(tenant: &Tenant, caller: Caller, more: &[(&str, String)]) -> Response {
    let lifetime = (caller.expires - caller.issued).get_seconds();
    let mut body = json!({
        "token_type": "Bearer",
        "expires_in": lifetime,
        "ext_expires_in": lifetime,
        "access_token": issue(tenant, caller),
    });
    for (name, value) in more {
        body.as_object_mut().map(|body| body.insert((*name).to_owned(), value.clone().into()));
    }
    let mut response = Response::json(200, &body);
    response.set("cache-control", "no-store, no-cache");
    response
}

fn check_directory(state: &State, directory: &str) -> Result<(), Refusal> {
    let organization = &state.organization;
    if [&organization.id, &organization.domain].iter().any(|name| name.eq_ignore_ascii_case(directory)) {
        return Ok(());
    }
    Err(Refusal::new(
        400,
        "invalid_request",
        90_002,
        format!(
            "Tenant '{directory}' not found. Check to make sure you have the correct tenant ID and are signing into the correct cloud. Check with your subscription administrator, this may happen if there are no active subscriptions for the tenant."
        ),
    ))
}

fn missing(parameter: &str) -> Refusal {
    Refusal::new(
        400,
        "invalid_request",
        900_144,
        format!("The request body must contain the following parameter: '{parameter}'."),
    )
}

/// The client's id and secret, from the form or from HTTP Basic (whose parts are form-encoded).
fn client_of(request: &Request, form: &Query) -> Result<Client, Refusal> {
    let basic = request
        .get_header("authorization")
        .and_then(|value| value.strip_prefix("Basic "))
        .and_then(|encoded| STANDARD.decode(encoded.trim()).ok())
        .and_then(|bytes| String::from_utf8(bytes).ok());
    if let Some((id, secret)) = basic.as_deref().and_then(|pair| pair.split_once(':')) {
        return Ok(Client { id: decode(id), secret: Some(decode(secret)) });
    }
    let id = form.get("client_id").ok_or_else(|| missing("client_id"))?.to_owned();
    Ok(Client { id, secret: form.get("client_secret").map(str::to_owned) })
}

fn decode(text: &str) -> String {
    percent_decode_str(&text.replace('+', " ")).decode_utf8_lossy().into_owned()
}

fn application_of<'a>(state: &'a State, client_id: &str) -> Result<&'a Application, Refusal> {
    state.application_of(client_id).ok_or_else(|| {
        Refusal::new(400, "unauthorized_client", 700_016, format!(
            "Application with identifier '{client_id}' was not found in the directory '{}'. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You may have sent your authentication request to the wrong tenant.",
            state.organization.display_name
        ))
    })
}

fn audience_of(state: &State, form: &Query) -> Result<(Audience, String), Refusal> {
    let scope = form.get("scope").ok_or_else(|| missing("scope"))?;
    let Some(resource) = scope.strip_suffix("/.default") else {
        return Err(Refusal::new(
            400,
            "invalid_scope",
            1_002_012,
            format!(
                "The provided value for scope {scope} is not valid. Client credential flows must have a scope value with /.default suffixed to the resource identifier (application ID URI)."
            ),
        ));
    };
    if resource.contains(' ') {
        return Err(Refusal::new(
            400,
            "invalid_scope",
            70_011,
            format!(
                "The provided request must include a 'scope' input parameter. The provided value for the input parameter 'scope' is not valid. The scope {scope} is not valid."
            ),
        ));
    }
    let bare = resource.trim_end_matches('/');
    let audience = match bare.to_lowercase().as_str() {
        "https://graph.microsoft.com" | GRAPH_APP_ID => Audience::Graph,
        "https://outlook.office365.com" | "https://outlook.office.com" | EXCHANGE_APP_ID => Audience::Exchange,
        _ => {
            return Err(Refusal::new(
                400,
                "invalid_resource",
                500_011,
                format!(
                    "The resource principal named {bare} was not found in the tenant named {}. This can happen if the application has not been installed by the administrator of the tenant or consented to by any user in the tenant. You might have sent your authentication request to the wrong tenant.",
                    state.organization.display_name
                ),
            ));
        }
    };
    Ok((audience, resource.to_owned()))
}

fn check_secret(application: &Application, client: &Client, now: crate::tenant::stamp::Stamp) -> Result<(), Refusal> {
    let Some(secret) = &client.secret else {
        return Err(Refusal::new(
            401,
            "invalid_client",
            7_000_216,
            "'client_assertion', 'client_secret' or 'request' is required for the 'client_credentials' grant type.",
        ));
    };
    let Some(credential) = application.password_credentials.iter().find(|credential| &credential.value == secret)
    else {
        return Err(Refusal::new(
            401,
            "invalid_client",
            7_000_215,
            format!(
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, not the client secret ID, for a secret added to app '{}'.",
                application.app_id
            ),
        ));
    };
    if credential.end_date_time <= now {
        return Err(Refusal::new(
            401,
            "invalid_client",
            7_000_222,
            format!(
                "The provided client secret keys for app '{}' are expired. Visit the Azure portal to create new keys for your app: https://aka.ms/NewClientSecret, or consider using certificate credentials for added security: https://aka.ms/certCreds.",
                application.app_id
            ),
        ));
    }
    Ok(())
}

fn caller(
    tenant: &Tenant,
    state: &State,
    application: &Application,
    audience: (Audience, String),
) -> Result<Caller, Refusal> {
    let names = (application.app_id.as_str(), application.display_name.as_str());
    if application.is_disabled == Some(true) {
        return Err(disabled(names));
    }
    caller_of(tenant, state, names, audience)
}

fn disabled((app_id, name): (&str, &str)) -> Refusal {
    Refusal::new(400, "unauthorized_client", 7_000_112, format!("Application '{app_id}'({name}) is disabled."))
}

/// The holder of a new token: the application's service principal with what it holds now.
fn caller_of(
    tenant: &Tenant,
    state: &State,
    (app_id, app_name): (&str, &str),
    (audience, audience_uri): (Audience, String),
) -> Result<Caller, Refusal> {
    let principal = state.service_principal_of(app_id).filter(|principal| principal.account_enabled);
    let Some(principal) = principal else {
        return Err(disabled((app_id, app_name)));
    };
    let issued = tenant.clock().now();
    let lifetime = tenant.with_settings(|settings| settings.token_seconds);
    let mut wids = state.roles_of(&principal.id);
    wids.push(APPLICATION_WID.to_owned());
    Ok(Caller {
        audience,
        audience_uri,
        tenant_id: state.organization.id.clone(),
        app_id: app_id.to_owned(),
        app_name: app_name.to_owned(),
        object_id: principal.id.clone(),
        user: None,
        with_certificate: false,
        continuous: false,
        roles: permissions(state, principal, audience),
        wids,
        issued,
        expires: issued + SignedDuration::from_secs(lifetime),
        unique_id: tenant.new_id(),
    })
}

/// The permissions that were assigned on the audience's service principal.
fn permissions(state: &State, principal: &ServicePrincipal, audience: Audience) -> Vec<String> {
    let resource = match audience {
        Audience::Graph => GRAPH_APP_ID,
        Audience::Exchange => EXCHANGE_APP_ID,
    };
    let Some(resource) = state.service_principal_of(resource) else {
        return Vec::new();
    };
    let mut names: Vec<String> = state
        .app_role_assignments
        .values()
        .filter(|assignment| assignment.principal_id == principal.id && assignment.resource_id == resource.id)
        .filter_map(|assignment| state.permission_name(assignment))
        .collect();
    names.sort();
    names
}

fn issue(tenant: &Tenant, caller: Caller) -> String {
    let mut salt = [0; 32];
    let (first, second) = salt.split_at_mut(16);
    first.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    second.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
    tenant.tokens().issue(caller, salt)
}
