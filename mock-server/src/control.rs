//! The control API under `/_tenant`: what a rehearsal or a test in another language needs to steer the tenant.
//!
//! It is no part of Microsoft's services. It answers on loopback only, to no browser, and asks for no token.

use http::HeaderMap;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::faults::Fault;
use crate::http::{Request, Response};
use crate::settings::Settings;
use crate::tenant::Tenant;

/// The path under which it lives.
const PREFIX: &str = "/_tenant";

/// Answers a control request; `None` where the request is not one.
pub(crate) fn handle(tenant: &Tenant, request: &Request, bound_to_loopback: bool) -> Option<Response> {
    let action = request.path.strip_prefix(PREFIX)?;
    if !(action.is_empty() || action.starts_with('/')) {
        return None;
    }
    if !bound_to_loopback || !is_local(&request.headers) {
        return Some(problem(403, "the control API answers on loopback only, and to no browser"));
    }
    Some(answer(tenant, request, action).unwrap_or_else(|(status, reason)| problem(status, &reason)))
}

/// The host is spelled as loopback, so that no name can be pointed here; and no page of a browser asks.
fn is_local(headers: &HeaderMap) -> bool {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text("host").unwrap_or_default();
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    matches!(name, "127.0.0.1" | "localhost" | "[::1]") && text("origin").is_none()
}

fn problem(status: u16, reason: &str) -> Response {
    Response::json(status, &json!({"error": reason}))
}

type Answer = Result<Response, (u16, String)>;

fn shown(value: &impl serde::Serialize) -> Answer {
    Ok(Response::json(200, &json!(value)))
}

fn body<T: serde::de::DeserializeOwned>(request: &Request) -> Result<T, (u16, String)> {
    serde_json::from_slice(&request.body).map_err(|error| (400, error.to_string()))
}

fn answer(tenant: &Tenant, request: &Request, action: &str) -> Answer {
    match (request.method.as_str(), action) {
        ("GET", "" | "/") => shown(&json!({
            "tenant": tenant.credentials().tenant_id, "clock": tenant.clock().now(), "incident": tenant.incident(),
        })),
        ("GET", "/credentials") => shown(&tenant.credentials()),
        ("GET", "/requests") => shown(&tenant.requests()),
        ("DELETE", "/requests") => {
            tenant.clear_requests();
            Ok(Response::empty(204))
        }
        ("GET", "/state") => shown(&tenant.state()),
        ("GET", "/diff") => shown(&tenant.diff_from_seed()),
        ("GET", "/audit") => shown(&tenant.audit()),
        ("GET", "/unified-audit") => shown(&tenant.unified_audit()),
        ("GET", "/graph-activity") => shown(&tenant.graph_activity()),
        ("GET", "/routes") => shown(&crate::routes::routes()),
        ("GET", "/clock") => shown(&json!({"now": tenant.clock().now()})),
        ("POST", "/clock") => {
            let step: Value = body(request)?;
            let seconds = step.get("advance_seconds").and_then(Value::as_i64);
            let seconds = seconds.ok_or_else(|| (400, "advance_seconds must be a whole number".to_owned()))?;
            tenant.clock().advance(SignedDuration::from_secs(seconds));
            shown(&json!({"now": tenant.clock().now()}))
        }
        ("GET", "/faults") => shown(&tenant.faults().all()),
        ("POST", "/faults") => {
            tenant.faults().add(body::<Fault>(request)?);
            Ok(Response::empty(204))
        }
        ("DELETE", "/faults") => {
            tenant.faults().clear();
            Ok(Response::empty(204))
        }
        ("GET", "/settings") => shown(&tenant.settings()),
        ("PUT", "/settings") => {
            let settings: Settings = body(request)?;
            tenant.set(|old| *old = settings);
            Ok(Response::empty(204))
        }
        ("POST", "/permissions") => {
            let names: Vec<String> = body(request)?;
            tenant.grant_only(&names.iter().map(String::as_str).collect::<Vec<_>>());
            Ok(Response::empty(204))
        }
        _ => Err((404, format!("no such control request: {} {PREFIX}{action}", request.method))),
    }
}
