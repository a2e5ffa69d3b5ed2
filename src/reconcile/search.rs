//! The unified audit log, asked for by `Search-UnifiedAuditLog`: pages of a session, until all came or it is known that
//! some are missing. A cmdlet that reads; Graph's `security/auditLog/queries` would make an object in the tenant.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::{
    client::{ReadError, Reader, Trace},
    model::{ExchangeOutcome, ReadCmdlet, Untrusted},
    reconcile::{
        Window,
        unified::{UnifiedLog, UnifiedRecord, data},
    },
};

/// Rows of a page: as many as one answer of Exchange holds, so that a page is never cut in two.
const PAGE: usize = 1000;

/// Rows that one session gives at most; after them it begins anew.
///
/// Source: `Search-UnifiedAuditLog`, `SessionCommand`.
const MOST: usize = 50_000;

/// Searches until one is whole.
const SEARCHES: u32 = 3;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Config {
    unified_audit_log_ingestion_enabled: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Row {
    audit_data: Option<String>,
    /// Place of the row; not positive when the search failed inside.
    result_index: Option<i64>,
}

/// Reads what administrators and applications changed in Exchange in the time of a run. `session` must never have been
/// used before: the service remembers how far a session has come. What is missing is told, not an error.
///
/// # Errors
/// When the tenant does not let us search.
pub async fn search(tenant: &Reader, window: Window, session: &str) -> Result<UnifiedLog, ReadError> {
    let mut log = UnifiedLog::default();
    for number in 1..=SEARCHES {
        log.gap = session_of(tenant, window, &format!("{session}-{number}"), &mut log).await?;
        if log.gap.is_none() {
            break;
        }
    }
    if log.records.is_empty() && log.gap.is_none() {
        log.gap = switched_off(tenant).await;
    }
    Ok(log)
}

/// An empty log says nothing where nothing is logged. Asked of Exchange: the compliance endpoint always says no.
///
/// Source: Microsoft Purview, "Search the audit log".
async fn switched_off(tenant: &Reader) -> Option<String> {
    let read = tenant.cmdlet::<Config>(ReadCmdlet::GetAdminAuditLogConfig, &anchor(tenant), Map::new()).await;
    let on = |config: &Config| config.unified_audit_log_ingestion_enabled;
    match read {
        Ok(configs) if configs.iter().any(|config| on(config) == Some(false)) => {
            Some("the tenant has switched the log off (UnifiedAuditLogIngestionEnabled)".to_owned())
        }
        Ok(_) => None,
        Err(_) => Some("it is empty, and whether the tenant writes it could not be read".to_owned()),
    }
}

/// One search, all its pages; why it is not whole.
async fn session_of(
    tenant: &Reader,
    window: Window,
    session: &str,
    log: &mut UnifiedLog,
) -> Result<Option<String>, ReadError> {
    let (reader, trace) = tenant.traced();
    let parameters = parameters(window, session);
    let mut seen = 0;
    loop {
        let rows: Vec<Row> =
            reader.cmdlet(ReadCmdlet::SearchUnifiedAuditLog, &anchor(tenant), parameters.clone()).await?;
        if let Some(gap) = doubt(&trace).or_else(|| misplaced(&rows, seen)) {
            return Ok(Some(gap));
        }
        let count = rows.len();
        seen += count;
        let mut new = 0_usize;
        for row in rows {
            match understood(row) {
                Ok(Some(record)) => new += usize::from(log.add(record)),
                Ok(None) => {}
                Err(reason) => return Ok(Some(format!("a row cannot be read: {reason}"))),
            }
        }
        if count < PAGE {
            return Ok(None);
        }
        if seen >= MOST {
            return Ok(Some(format!("it holds more than the {MOST} rows that one search gives")));
        }
        if new == 0 {
            return Ok(Some("the search gives the same rows again and again".to_owned()));
        }
    }
}

fn parameters(window: Window, session: &str) -> Map<String, Value> {
    let time = |at: jiff::Timestamp| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    // The end is not part of the search, and parts of a second are dropped.
    let until = window.until.checked_add(jiff::SignedDuration::from_secs(1)).unwrap_or(window.until);
    [
        ("StartDate", json!(time(window.from))),
        ("EndDate", json!(time(until))),
        ("RecordType", json!("ExchangeAdmin")),
        ("SessionId", json!(session)),
        ("SessionCommand", json!("ReturnLargeSet")),
        ("ResultSize", json!(PAGE)),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into_iter()
    .collect()
}

/// The mailbox of the organisation, which answers what concerns no mailbox.
fn anchor(tenant: &Reader) -> String {
    format!("APP:SystemMailbox{{bb558c35-97f1-4cb9-8ff7-d53741dc928c}}@{}", tenant.identity().tenant_id)
}

/// A warning is how a search fails inside, beside an empty success. A page that was asked for again may have been given
/// before, to nobody.
fn doubt(trace: &Trace) -> Option<String> {
    let exchanges = trace.take();
    let (last, before) = exchanges.split_last()?;
    let lost = |outcome| matches!(outcome, ExchangeOutcome::Lost | ExchangeOutcome::ServerError);
    if before.iter().any(|exchange| lost(exchange.outcome)) {
        return Some("an answer was lost, and with it perhaps a page of rows".to_owned());
    }
    let body: Value = serde_json::from_slice(&last.body).ok()?;
    let warnings = body.get("@adminapi.warnings").and_then(Value::as_array)?;
    let warning = warnings.first()?;
    let text = warning.as_str().map_or_else(|| warning.to_string(), str::to_owned);
    Some(format!("Exchange warned: {}", Untrusted::new(text).term()))
}

/// Rows are counted through, or anew on each page; anything else is a page that never came.
fn misplaced(rows: &[Row], seen: usize) -> Option<String> {
    let first = rows.first()?.result_index?;
    let fits = first == 1 || usize::try_from(first).is_ok_and(|first| first == seen + 1);
    let failed = rows.iter().any(|row| row.result_index.is_some_and(|index| index < 1));
    (!fits || failed).then(|| format!("the rows after {seen} are missing: the next one is number {first}"))
}

fn understood(row: Row) -> Result<Option<UnifiedRecord>, &'static str> {
    let text = row.audit_data.ok_or("it has no AuditData")?;
    UnifiedRecord::parse(&data(Map::from_iter([("AuditData".to_owned(), Value::String(text))]))?)
}

#[cfg(test)]
mod tests {
    use super::{Row, misplaced};

    fn rows(indices: &[i64]) -> Vec<Row> {
        indices.iter().map(|index| Row { audit_data: None, result_index: Some(*index) }).collect()
    }

    #[test]
    fn a_page_that_never_came_is_seen_by_the_numbers() {
        assert_eq!(misplaced(&rows(&[1, 2]), 0), None);
        assert_eq!(misplaced(&rows(&[3, 4]), 2), None, "counted through");
        assert_eq!(misplaced(&rows(&[1, 2]), 2), None, "counted on each page");
        assert_eq!(misplaced(&[], 2), None);
        assert!(misplaced(&rows(&[5, 6]), 2).unwrap().contains("after 2"));
        assert!(misplaced(&rows(&[-1]), 0).is_some(), "a search that failed inside");
        assert!(misplaced(&rows(&[1, 0]), 0).is_some());
    }
}
