//! Records of the unified audit log, as far as they are compared: their common schema, and exports of them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    model::{Identity, IdentityKind, Untrusted},
    reconcile::Window,
};

/// `AuditData` of a record that Exchange wrote.
///
/// Source: Office 365 Management Activity API schema, "common schema", "Exchange Admin schema", "Exchange Mailbox schema".
#[derive(Clone, Debug)]
pub struct UnifiedRecord {
    /// Its id: rows repeat within and between pages.
    pub id: Untrusted,
    /// When; the log's times are UTC and carry no mark of it.
    pub at: Timestamp,
    /// The cmdlet, or the mailbox's operation, without the dots and spaces that some workloads put behind it.
    pub operation: Untrusted,
    /// What was changed: `alias\rule`, a mailbox, or nothing.
    pub object: Untrusted,
    /// Whose mailbox it is, where the mailbox itself wrote it.
    pub(super) owner: String,
    /// The cmdlet's parameters, all of them text.
    pub(super) parameters: BTreeMap<String, String>,
    /// Every id under which the record names who did it, in lower case.
    actors: Vec<String>,
}

/// Why a text is no export of the log.
#[derive(Debug, thiserror::Error)]
pub enum UnifiedLogError {
    /// It is neither JSON nor JSON lines.
    #[error("read the export of the unified audit log as JSON")]
    Json(#[from] serde_json::Error),
    /// It is no CSV, or has no column `AuditData`.
    #[error("read the export of the unified audit log as CSV")]
    Csv(#[from] csv::Error),
    /// It has no such column.
    #[error("read the export of the unified audit log: it has no column AuditData")]
    NoAuditData,
    /// A record lacks what every record has.
    #[error("read record {number} of the unified audit log: {reason}")]
    Record {
        /// Counted from 1.
        number: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl UnifiedRecord {
    /// Understands an `AuditData`; none for a record that another workload than Exchange wrote.
    pub(super) fn parse(data: &Map<String, Value>) -> Result<Option<Self>, &'static str> {
        let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
        if !text("Workload").eq_ignore_ascii_case("Exchange") {
            return Ok(None);
        }
        let at = time(text("CreationTime")).ok_or("it has no CreationTime")?;
        let operation = text("Operation").trim_end_matches(['.', ' ']);
        if operation.is_empty() {
            return Err("it has no Operation");
        }
        let context = data.get("AppAccessContext").and_then(|context| context.get("ClientAppId"));
        let context = context.and_then(Value::as_str).unwrap_or_default();
        let actors = [text("AppId"), text("ClientAppId"), context, text("UserKey"), text("UserId")];
        Ok(Some(Self {
            id: Untrusted::from(text("Id")),
            at,
            operation: Untrusted::from(operation),
            object: Untrusted::from(text("ObjectId")),
            owner: text("MailboxOwnerUPN").to_owned(),
            parameters: parameters(data.get("Parameters")),
            actors: actors.iter().filter(|id| !id.is_empty()).map(|id| id.to_lowercase()).collect(),
        }))
    }

    /// Whether it names us. A person works through many applications, an application is its own ids.
    pub(super) fn is_by(&self, us: &Identity) -> bool {
        let principal = format!("ServicePrincipal_{}", us.object_id);
        let person = us.user_principal_name.as_deref().unwrap_or_default();
        let ids: [&str; 3] = match us.kind {
            IdentityKind::Application => [&us.app_id, &us.object_id, &principal],
            IdentityKind::User => [&us.object_id, person, person],
        };
        ids.iter().any(|id| !id.is_empty() && self.actors.contains(&id.to_lowercase()))
    }
}

/// In most records a list of name and value; in some a text, which is not understood here.
fn parameters(given: Option<&Value>) -> BTreeMap<String, String> {
    let list = given.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let pair = |it: &Value| {
        let text = |name: &str| it.get(name).and_then(Value::as_str).map(str::to_owned);
        Some((text("Name")?, text("Value").unwrap_or_default()))
    };
    list.iter().filter_map(pair).collect()
}

/// With a zone or without one, which is UTC.
fn time(text: &str) -> Option<Timestamp> {
    let zoned = || text.parse::<Timestamp>().ok();
    let civil = || text.parse::<DateTime>().ok()?.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp());
    zoned().or_else(civil)
}

/// What was read of the log, and what is known to be missing.
#[derive(Clone, Debug, Default)]
pub struct UnifiedLog {
    /// Records of Exchange, each once.
    pub records: Vec<UnifiedRecord>,
    /// Why it may not be all of them.
    pub gap: Option<String>,
    /// Their ids, in lower case.
    known: BTreeSet<String>,
}

impl UnifiedLog {
    /// Adds a record that is not there yet.
    pub(super) fn add(&mut self, record: UnifiedRecord) -> bool {
        let id = record.id.raw().to_lowercase();
        let new = id.is_empty() || self.known.insert(id);
        if new {
            self.records.push(record);
        }
        new
    }

    /// Reads an export: CSV of the Purview portal or of `Search-UnifiedAuditLog | Export-Csv`, or JSON, as a list or one
    /// object a line, of the cmdlet's rows, of Graph's records, or of bare `AuditData`.
    ///
    /// # Errors
    /// When it is none of these, or a record of Exchange lacks its time or operation.
    pub fn parse(text: &str) -> Result<Self, UnifiedLogError> {
        let text = text.trim_start_matches('\u{feff}').trim_start();
        let rows = match text.chars().next() {
            Some('[') => serde_json::from_str(text)?,
            Some('{') => lines(text)?,
            None => Vec::new(),
            Some(_) => cells(text)?,
        };
        let mut log = Self::default();
        for (number, row) in (1..).zip(rows) {
            let fault = |reason| UnifiedLogError::Record { number, reason };
            if let Some(record) = UnifiedRecord::parse(&data(row).map_err(fault)?).map_err(fault)? {
                log.add(record);
            }
        }
        Ok(log)
    }

    /// Whether anything in it lies in the time of a run: an export of another time shows nothing of it.
    pub fn covers(&self, window: Window) -> bool {
        self.records.iter().any(|record| window.holds(record.at))
    }
}

/// `AuditData` of a row: inside it as text or as an object, or the row itself.
pub(super) fn data(mut row: Map<String, Value>) -> Result<Map<String, Value>, &'static str> {
    match row.remove("AuditData").or_else(|| row.remove("auditData")) {
        None => Ok(row),
        Some(Value::Object(data)) => Ok(data),
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|_| "its AuditData is no JSON object"),
        Some(_) => Err("its AuditData is neither text nor an object"),
    }
}

fn lines(text: &str) -> Result<Vec<Map<String, Value>>, serde_json::Error> {
    serde_json::Deserializer::from_str(text).into_iter().collect()
}

#[derive(Deserialize)]
struct Cells {
    #[serde(rename = "AuditData")]
    audit_data: String,
}

fn cells(text: &str) -> Result<Vec<Map<String, Value>>, UnifiedLogError> {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    if !reader.headers()?.iter().any(|name| name == "AuditData") {
        return Err(UnifiedLogError::NoAuditData);
    }
    let cells = reader.deserialize::<Cells>();
    cells.map(|row| Ok(Map::from_iter([("AuditData".to_owned(), Value::String(row?.audit_data))]))).collect()
}

#[cfg(test)]
mod tests {
    use super::{UnifiedLog, UnifiedLogError};
    use crate::model::{Identity, IdentityKind};

    /// As documented for the cmdlet, shortened.
    const DATA: &str = r#"{"CreationTime":"2026-11-20T14:12:11","Id":"a1","Operation":"Remove-InboxRule","RecordType":1,
        "UserType":5,"UserKey":"K","Workload":"Exchange","ObjectId":"johanna\\17097852595923320833","UserId":"IR",
        "Parameters":[{"Name":"Identity","Value":"johanna\\17097852595923320833"}],"AppId":"APP"}"#;

    fn one(text: &str) {
        let log = UnifiedLog::parse(text).unwrap();
        assert_eq!(log.records.len(), 1, "{text}");
        let record = &log.records[0];
        assert_eq!(record.operation.raw(), "Remove-InboxRule");
        assert_eq!(record.at.to_string(), "2026-11-20T14:12:11Z");
        assert_eq!(record.parameters["Identity"], r"johanna\17097852595923320833");
    }

    #[test]
    fn every_form_of_export_is_read_and_a_record_counts_once() {
        let text = serde_json::Value::String(DATA.to_owned());
        let cell = DATA.replace('"', "\"\"");
        one(&format!("[{DATA},{DATA}]"));
        one(DATA);
        one(&format!("{}\n{}\n", DATA.replace('\n', ""), DATA.replace('\n', "").replace("a1", "A1")));
        one(&format!(r#"[{{"RecordType":"ExchangeAdmin","Identity":"a1","AuditData":{text}}}]"#));
        one(&format!(r#"{{"auditLogRecordType":"ExchangeAdmin","auditData":{DATA}}}"#));
        one(&format!("\u{feff}\"RecordId\",\"CreationDate\",\"AuditData\"\r\n\"a1\",\"11/20/2026\",\"{cell}\"\r\n"));
        let other = DATA.replace("\"Exchange\"", "\"SharePoint\"");
        assert!(UnifiedLog::parse(&other).unwrap().records.is_empty());
        assert!(UnifiedLog::parse("").unwrap().records.is_empty());
    }

    #[test]
    fn an_application_is_its_ids_and_a_person_is_not_the_application_that_they_use() {
        let us = |kind, app: &str, object: &str, name: Option<&str>| Identity {
            tenant_id: "t".into(),
            app_id: app.into(),
            object_id: object.into(),
            kind,
            user_principal_name: name.map(str::to_owned),
            permissions: Vec::new(),
            directory_roles: Vec::new(),
            token_id: None,
            expires: None,
            issued: None,
            proof: None,
            continuous: false,
        };
        let by = |data: &str, us: &Identity| UnifiedLog::parse(data).unwrap().records[0].is_by(us);
        assert!(by(DATA, &us(IdentityKind::Application, "app", "x", None)));
        assert!(by(DATA, &us(IdentityKind::Application, "x", "k", None)));
        assert!(!by(DATA, &us(IdentityKind::Application, "x", "y", None)));
        assert!(!by(DATA, &us(IdentityKind::User, "app", "y", None)));
        let person = DATA.replace("\"IR\"", "\"Johanna@sunnyside08.example\"");
        assert!(by(&person, &us(IdentityKind::User, "app", "y", Some("johanna@sunnyside08.example"))));
        let nobody = DATA.replace("\"APP\"", "\"\"").replace("\"K\"", "\"\"").replace("\"IR\"", "\"\"");
        assert!(!by(&nobody, &us(IdentityKind::User, "", "", None)), "nobody is not us");
    }

    #[test]
    fn what_is_no_export_is_refused() {
        assert!(matches!(UnifiedLog::parse("a,b\n1,2\n"), Err(UnifiedLogError::NoAuditData)));
        assert!(matches!(UnifiedLog::parse("[1]"), Err(UnifiedLogError::Json(_))));
        let cut = "AuditData\n\"{\"\"Workload\"\":\"\"Exch\"\n";
        assert!(matches!(UnifiedLog::parse(cut), Err(UnifiedLogError::Record { number: 1, .. })));
        let timeless = DATA.replace("CreationTime", "Time");
        let error = UnifiedLog::parse(&timeless).unwrap_err();
        assert_eq!(error.to_string(), "read record 1 of the unified audit log: it has no CreationTime");
    }
}
