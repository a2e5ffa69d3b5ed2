//! Managed identity: the token endpoints that a machine, a web application, a notebook, a cluster or an Arc server finds
//! beside itself. They ask for no secret of the directory, and each has a shape of its own.

use serde_json::{Map, Value, json};

use super::{audience_of, caller_of, issue};
use crate::http::{Request, Response};
use crate::odata::query::Query;
use crate::reply::Trace;
use crate::settings::ManagedIdentity;
use crate::tenant::Tenant;

/// One of the five endpoints.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Host {
    /// A virtual machine's instance metadata service.
    Machine,
    /// An Arc server's agent: a challenge that only whoever can read a file of the machine answers.
    Arc,
    /// App Service, Functions, Automation.
    AppService,
    /// Azure Machine Learning.
    MachineLearning,
    /// Service Fabric.
    ServiceFabric,
}

/// The path of the machine and of Arc, which differ by the version that is asked for.
const METADATA: &str = "/metadata/identity/oauth2/token";

/// Answers a request to one of the endpoints; `None` where it is for none of them.
pub(crate) fn handle(tenant: &Tenant, request: &Request, trace: &Trace) -> Option<Response> {
    let query = Query::parse(&request.query);
    let version = query.get("api-version").unwrap_or_default();
    let host = match (request.path.as_str(), version) {
        (METADATA, "2020-06-01" | "2019-11-01") => Host::Arc,
        (METADATA, _) => Host::Machine,
        ("/MSI/token", _) => Host::AppService,
        ("/aml/token", _) => Host::MachineLearning,
        ("/fabric/token", _) => Host::ServiceFabric,
        _ => return None,
    };
    let settings = tenant.with_settings(|settings| settings.managed_identity.clone());
    let refused = if request.method == "GET" {
        refusal(host, request, version, &settings)
    } else {
        Some(problem(405, "invalid_request", "Only GET is allowed"))
    };
    Some(refused.unwrap_or_else(|| token(tenant, host, &query, trace)))
}

fn problem(status: u16, error: &str, text: &str) -> Response {
    Response::json(status, &json!({"error": error, "error_description": text}))
}

/// What each endpoint asks for before it answers.
fn refusal(host: Host, request: &Request, version: &str, settings: &ManagedIdentity) -> Option<Response> {
    let forwarded = request.get_header("x-forwarded-for").is_some();
    let metadata = request.get_header("metadata") == Some("true") && !forwarded;
    let (header, wanted) = match host {
        Host::Machine | Host::Arc if !metadata => {
            return Some(problem(400, "invalid_request", "Required metadata header not specified"));
        }
        Host::Machine => return None,
        Host::Arc => return challenge(request, settings),
        Host::AppService => ("x-identity-header", "2019-08-01"),
        Host::MachineLearning => ("secret", "2017-09-01"),
        Host::ServiceFabric => ("secret", "2019-07-01-preview"),
    };
    if version != wanted {
        return Some(problem(400, "invalid_request", "The api-version is missing or not supported"));
    }
    let known = request.get_header(header) == Some(settings.secret.as_str());
    (!known).then(|| problem(401, "unauthorized", "The secret of the request is missing or wrong"))
}

/// Arc names a file in its challenge, and wants what is in it. The caller must not read any file that it is told to.
fn challenge(request: &Request, settings: &ManagedIdentity) -> Option<Response> {
    // The agent takes the text of the file as it is.
    let given = request.get_header("authorization").and_then(|value| value.strip_prefix("Basic "));
    if given == Some(settings.arc_key.as_str()) {
        return None;
    }
    let mut response = problem(401, "unauthorized_client", "Missing or wrong Basic Authorization header");
    response.set("www-authenticate", &format!("Basic realm={}", settings.arc_key_file));
    Some(response)
}

fn token(tenant: &Tenant, host: Host, query: &Query, trace: &Trace) -> Response {
    let Some(resource) = query.get("resource") else {
        return problem(400, "invalid_request", "Required query variable 'resource' is missing");
    };
    let parameter = if host == Host::MachineLearning { "clientid" } else { "client_id" };
    // An Arc server and a cluster have the identity that they were given, and no other to choose.
    let wanted = match host {
        Host::Arc | Host::ServiceFabric => None,
        Host::Machine | Host::AppService | Host::MachineLearning => query.get(parameter),
    };
    let world = tenant.read();
    let mut identities = world.state.service_principals.values().filter(|principal| {
        principal.service_principal_type == "ManagedIdentity"
            && wanted.is_none_or(|id| principal.app_id.eq_ignore_ascii_case(id))
    });
    let Some(identity) = identities.next() else {
        return problem(400, "invalid_request", "Identity not found");
    };
    let form = Query::parse(&format!("scope={}/.default", resource.trim_end_matches('/')));
    let made = audience_of(&world.state, &form)
        .and_then(|audience| caller_of(tenant, &world.state, (&identity.app_id, &identity.display_name), audience));
    match made {
        Err(refusal) => refusal.into_response(trace),
        Ok(caller) => {
            let (expires, lifetime) = (caller.expires.as_second(), (caller.expires - caller.issued).get_seconds());
            let client_id = caller.app_id.clone();
            let mut body = Map::new();
            body.insert("access_token".to_owned(), issue(tenant, caller).into());
            body.extend(times(host, expires, lifetime));
            body.insert("resource".to_owned(), resource.into());
            body.insert("token_type".to_owned(), "Bearer".into());
            if !matches!(host, Host::Arc | Host::ServiceFabric) {
                let name = if host == Host::MachineLearning { "clientid" } else { "client_id" };
                body.insert(name.to_owned(), client_id.into());
            }
            Response::json(200, &Value::Object(body))
        }
    }
}

/// When the token ends. Numbers are text here, unlike everywhere else, and not every endpoint tells how long it lives.
fn times(host: Host, expires: i64, lifetime: i64) -> Vec<(String, Value)> {
    let mut out = vec![("expires_on".to_owned(), expires.to_string().into())];
    if matches!(host, Host::Machine | Host::Arc) {
        out.push(("expires_in".to_owned(), lifetime.to_string().into()));
        out.push(("ext_expires_in".to_owned(), lifetime.to_string().into()));
        out.push(("not_before".to_owned(), (expires - lifetime).to_string().into()));
    }
    out
}
