//! Queries of the unified audit log: a job that is asked for, waited for, and read page by page.

use serde_json::{Map, Value, json};

use crate::access::Access;
use crate::odata::page::PageSize;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content};
use crate::routes::call::{Call, created};
use crate::routes::table::{Route, get, write};
use crate::server::text;
use crate::tenant::stamp::Stamp;
use crate::tenant::state::Document;
use crate::tenant::unified::Record;
use crate::tenant::world::World;

const ACCESS: Access =
    Access::any(&["AuditLogsQuery.Read.All", "AuditLogsQuery-Exchange.Read.All", "AuditLogsQuery-Entra.Read.All"]);

pub(super) const ROUTES: &[Route] = &[
    get("/security/auditLog/queries", ACCESS, list),
    write("POST", "/security/auditLog/queries", ACCESS, add),
    get("/security/auditLog/queries/{}", ACCESS, read),
    write("DELETE", "/security/auditLog/queries/{}", ACCESS, delete),
    get("/security/auditLog/queries/{}/records", ACCESS, records),
];

const QUERY: Shape = Shape { type_name: "security.auditLogQuery", defaults: None, unmodelled: &[] };
const RECORD: Shape = Shape { type_name: "security.auditLogRecord", defaults: None, unmodelled: &[] };
const PAGES: PageSize = PageSize { default: 150, max: 999 };
const LISTS: &[&str] = &[
    "recordTypeFilters",
    "operationFilters",
    "userPrincipalNameFilters",
    "ipAddressFilters",
    "objectIdFilters",
    "administrativeUnitIdFilters",
    "serviceFilters",
];

/// One tenant was seen to answer 404 with an empty message on v1.0, and as documented on beta.
fn available(call: &Call<'_>) -> Result<(), Fail> {
    if call.settings.audit_queries_beta_only && call.root.ends_with("/v1.0") {
        return Err(Fail::graph(404, "UnknownError", ""));
    }
    Ok(())
}

fn add(call: &Call<'_>, world: &mut World) -> Outcome {
    available(call)?;
    let body = call.body()?;
    if let Some(unknown) = body.keys().find(|name| {
        !LISTS.contains(&name.as_str())
            && !["displayName", "filterStartDateTime", "filterEndDateTime", "keywordFilter", "@odata.type"]
                .contains(&name.as_str())
    }) {
        return Err(Fail::bad_request(&format!(
            "The property '{unknown}' does not exist on type 'microsoft.graph.security.auditLogQuery'."
        )));
    }
    let mut row = Document::new();
    row.insert("id".to_owned(), world.state.new_id().to_string().into());
    for name in ["displayName", "filterStartDateTime", "filterEndDateTime", "keywordFilter"] {
        row.insert(name.to_owned(), body.get(name).cloned().unwrap_or_default());
    }
    for name in LISTS {
        row.insert((*name).to_owned(), body.get(*name).cloned().unwrap_or_else(|| json!([])));
    }
    row.insert("_created".to_owned(), call.now.0.to_string().into());
    let id = text(&row, "id").unwrap_or_default().to_owned();
    world.queries.insert(id, row.clone());
    Ok(created(call.context("security/auditLog/queries/$entity"), wire(&row, "notStarted")))
}

fn wire(row: &Document, status: &str) -> Map<String, Value> {
    let mut out: Map<String, Value> = row
        .iter()
        .filter(|(name, _)| !name.starts_with('_'))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    out.insert("status".to_owned(), status.into());
    out
}

/// The job runs for as long as the settings say.
fn status(call: &Call<'_>, row: &Document) -> &'static str {
    let created: Option<jiff::Timestamp> = text(row, "_created").and_then(|text| text.parse().ok());
    let age = created.map_or(i128::MAX, |created| call.now.0.duration_since(created).as_millis());
    if age >= i128::from(call.settings.audit_query_milliseconds) { "succeeded" } else { "running" }
}

fn query_of<'a>(call: &Call<'_>, world: &'a World) -> Result<&'a Document, Fail> {
    available(call)?;
    let id = call.key(0)?;
    world.queries.get(id).ok_or_else(|| Fail::not_found(id))
}

fn list(call: &Call<'_>, world: &World) -> Outcome {
    available(call)?;
    let rows = world.queries.iter().map(|(id, row)| (id.to_owned(), wire(row, status(call, row)))).collect();
    call.collection("security/auditLog/queries", &QUERY, rows, PAGES)
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    let row = query_of(call, world)?;
    call.entity("security/auditLog/queries", &QUERY, wire(row, status(call, row)))
}

fn delete(call: &Call<'_>, world: &mut World) -> Outcome {
    let id = text(query_of(call, world)?, "id").unwrap_or_default().to_owned();
    world.queries.remove(&id);
    Ok(no_content())
}

fn records(call: &Call<'_>, world: &World) -> Outcome {
    let query = query_of(call, world)?;
    if status(call, query) != "succeeded" {
        return Err(Fail::graph(400, "BadRequest", "The query has not succeeded yet."));
    }
    let organization = &world.state.organization.id;
    let ingested = Stamp(call.now.0 - jiff::SignedDuration::from_millis(call.settings.lag.audit));
    let rows = world
        .unified
        .iter()
        .filter(|record| record.time <= ingested && permitted(call, record) && wanted(query, record))
        .map(|record| (record.id.clone(), record_row(record, organization)))
        .collect();
    call.collection("security/auditLog/queries/records", &RECORD, rows, PAGES)
}

/// With the permission of one workload the records of others are absent, without a word.
fn permitted(call: &Call<'_>, record: &Record) -> bool {
    let own = if record.workload == "Exchange" {
        "AuditLogsQuery-Exchange.Read.All"
    } else {
        "AuditLogsQuery-Entra.Read.All"
    };
    call.caller.may_any(&["AuditLogsQuery.Read.All", own])
}

fn wanted(query: &Document, record: &Record) -> bool {
    let among = |name: &str, value: &str| {
        let list = query.get(name).and_then(Value::as_array);
        list.is_none_or(|list| {
            list.is_empty() || list.iter().filter_map(Value::as_str).any(|text| text.eq_ignore_ascii_case(value))
        })
    };
    let bound = |name: &str| text(query, name).and_then(|text| text.parse::<jiff::Timestamp>().ok());
    among("operationFilters", &record.operation)
        && among("userPrincipalNameFilters", &record.user_id)
        && among("recordTypeFilters", record.record_type.1)
        && among("objectIdFilters", &record.object_id)
        && among("ipAddressFilters", record.client_ip.as_deref().unwrap_or_default())
        && bound("filterStartDateTime").is_none_or(|start| record.time.0 >= start)
        && bound("filterEndDateTime").is_none_or(|end| record.time.0 < end)
}

/// Graph's `userId` is the classic key, its `userPrincipalName` the classic id.
fn record_row(record: &Record, organization: &str) -> Map<String, Value> {
    let mut data = Map::new();
    data.insert("@odata.type".to_owned(), "#microsoft.graph.security.defaultAuditData".into());
    data.extend(record.data(organization));
    let row = json!({
        "id": record.id, "createdDateTime": record.time, "auditLogRecordType": record.record_type.1,
        "operation": record.operation, "organizationId": organization, "userType": record.user_type.1,
        "userId": record.user_key, "userPrincipalName": record.user_id, "service": record.workload,
        "objectId": record.object_id, "clientIp": record.client_ip, "administrativeUnits": [""], "auditData": data,
    });
    row.as_object().cloned().unwrap_or_default()
}
