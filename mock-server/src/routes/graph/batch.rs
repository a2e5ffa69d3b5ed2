//! `$batch`: up to twenty requests in one, answered in an order of the service's choosing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::handle as handle_one;
use crate::http::{Abort, Request, Response};
use crate::random::Random;
use crate::reply::{Fail, Outcome, ok};
use crate::server::Handled;
use crate::tenant::Tenant;
use crate::tenant::tokens::Caller;

const MAX_ITEMS: usize = 20;

/// One item.
#[derive(Debug)]
struct Item {
    id: String,
    request: Request,
    depends_on: Vec<String>,
}

pub(crate) fn handle(
    tenant: &Tenant,
    (outer, operation): (&Request, &str),
    version: &str,
    caller: &Arc<Caller>,
) -> Outcome {
    if outer.method != "POST" {
        return Err(Fail::graph(
            405,
            "Request_BadRequest",
            "Specified HTTP method is not allowed for the request target.",
        ));
    }
    let items = parse(outer, version)?;
    let mut answered: BTreeMap<String, u16> = BTreeMap::new();
    let mut responses = Vec::new();
    for item in &items {
        let failed = item.depends_on.iter().any(|parent| answered.get(parent).is_none_or(|status| *status >= 400));
        let response =
            if failed { failed_dependency() } else { whole(run(tenant, (item, operation), version, caller)) };
        answered.insert(item.id.to_lowercase(), response.status);
        responses.push(shape(&item.id, &response));
    }
    let seed = tenant.with_settings(|settings| settings.batch_seed);
    shuffle(&mut responses, seed);
    Ok(ok(&json!({"responses": responses})))
}

fn run(tenant: &Tenant, (item, operation): (&Item, &str), version: &str, caller: &Arc<Caller>) -> Response {
    tenant.struck(&item.request, None, Some((operation, &item.id)), |trace| {
        match super::version_of(&item.request.path) {
            Some((_, rest)) => handle_one(tenant, &item.request, (version, rest), caller, trace),
            None => Handled {
                response: Fail::bad_request("The url of the item is not valid.").into_response(trace),
                facts: crate::server::Facts::default(),
            },
        }
    })
}

/// Inside a batch a connection cannot break; the item is answered as unavailable.
fn whole(response: Response) -> Response {
    match response.abort {
        Abort::No => response,
        Abort::BeforeHead | Abort::MidHead | Abort::MidBody => Response::json(
            503,
            &json!({"error": {"code": "serviceNotAvailable", "message": "Service is unavailable."}}),
        ),
    }
}

fn failed_dependency() -> Response {
    Response::json(424, &json!({"error": {"code": "FailedDependency", "message": "Failed Dependency"}}))
}

fn shape(id: &str, response: &Response) -> Value {
    let headers: Map<String, Value> = response
        .headers
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "request-id" | "client-request-id" | "date"))
        .filter_map(|(name, value)| Some((header_case(name.as_str()), value.to_str().ok()?.into())))
        .collect();
    let mut out = Map::new();
    out.insert("id".to_owned(), id.into());
    out.insert("status".to_owned(), response.status.into());
    out.insert("headers".to_owned(), headers.into());
    if !response.body.is_empty() {
        out.insert("body".to_owned(), response.body_json());
    }
    Value::Object(out)
}

/// `content-type` as `Content-Type`.
fn header_case(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
    };
    name.split('-').map(word).collect::<Vec<_>>().join("-")
}

fn shuffle(responses: &mut [Value], seed: u64) {
    let mut random = Random::new(seed);
    for last in (1..responses.len()).rev() {
        let other = usize::try_from(random.below(last as u64 + 1)).unwrap_or(0);
        responses.swap(last, other);
    }
}

fn parse(outer: &Request, version: &str) -> Result<Vec<Item>, Fail> {
    let body: Value = serde_json::from_slice(&outer.body).unwrap_or_default();
    let Some(requests) = body.get("requests").and_then(Value::as_array) else {
        return Err(bad("Invalid batch payload format."));
    };
    if requests.is_empty() || requests.len() > MAX_ITEMS {
        return Err(bad(&format!("Number of batch requests must be between 1 and {MAX_ITEMS}.")));
    }
    let mut seen = BTreeSet::new();
    let mut items = Vec::new();
    for request in requests {
        let item = parse_item(request, outer, version)?;
        if !seen.insert(item.id.to_lowercase()) {
            return Err(bad(&format!("Request id '{}' is not unique.", item.id)));
        }
        if let Some(parent) = item.depends_on.iter().find(|parent| !seen.contains(*parent)) {
            return Err(bad(&format!("Request '{}' depends on '{parent}', which does not come before it.", item.id)));
        }
        items.push(item);
    }
    Ok(items)
}

fn bad(message: &str) -> Fail {
    Fail::graph(400, "BadRequest", message)
}

fn parse_item(item: &Value, outer: &Request, version: &str) -> Result<Item, Fail> {
    let member = |name: &str| item.get(name).and_then(Value::as_str);
    let (Some(id), Some(method), Some(url)) = (member("id"), member("method"), member("url")) else {
        return Err(bad("Every request of a batch needs id, method and url."));
    };
    if url.contains("://") || url.to_lowercase().contains("$batch") {
        return Err(bad("The url of a batched request must be relative, and no batch itself."));
    }
    let mut request = Request::new(&method.to_uppercase(), &format!("/{version}/{}", url.trim_start_matches('/')));
    if let Some(host) = outer.get_header("host") {
        request = request.header("host", host);
    }
    let headers = item.get("headers").and_then(Value::as_object);
    for (name, value) in headers.into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    if let Some(body) = item.get("body") {
        if request.get_header("content-type").is_none() {
            return Err(bad(&format!("Request '{id}' has a body but no Content-Type header.")));
        }
        request.body = body.to_string().into_bytes();
    }
    let depends = item.get("dependsOn").and_then(Value::as_array);
    let depends_on = depends.into_iter().flatten().filter_map(Value::as_str).map(str::to_lowercase).collect();
    Ok(Item { id: id.to_owned(), request, depends_on })
}
