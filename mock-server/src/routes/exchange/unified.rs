//! `Search-UnifiedAuditLog`: pages by session, at most five thousand rows at a time.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::reply::{Error, Row, Rows};
use super::{Cmdlet, Command, Run};
use crate::tenant::stamp::Stamp;
use crate::tenant::unified::Record;
use crate::tenant::world::World;

pub(super) const CMDLETS: &[Cmdlet] = &[Cmdlet {
    name: "Search-UnifiedAuditLog",
    parameters: &[
        "StartDate",
        "EndDate",
        "ResultSize",
        "SessionId",
        "SessionCommand",
        "Operations",
        "RecordType",
        "UserIds",
        "ObjectIds",
        "IPAddresses",
        "FreeText",
        "Formatted",
        "HighCompleteness",
    ],
    readable: false,
    run: Run::Write(search),
}];

/// Dates are UTC; a bare date is midnight.
fn time(command: &Command<'_>, name: &str) -> Result<Timestamp, Error> {
    let text = command.text(name).ok_or_else(|| Error::argument(&format!("{name} is required.")))?;
    let full = match text.len() {
        10 => format!("{text}T00:00:00Z"),
        _ if text.ends_with('Z') || text.contains('+') => text.clone(),
        _ => format!("{text}Z"),
    };
    full.parse().map_err(|_| Error::argument(&format!("{name} '{text}' is no date.")))
}

/// An array parameter; a bare string is refused, as by the service.
fn list(command: &Command<'_>, name: &str) -> Result<Option<Vec<String>>, Error> {
    match command.get(name) {
        None => Ok(None),
        Some(Value::Array(values)) => {
            Ok(Some(values.iter().filter_map(Value::as_str).map(str::to_lowercase).collect()))
        }
        Some(_) => Err(Error::new(
            "",
            "System.Management.Automation.ParameterBindingArgumentTransformationException",
            &format!("{name} must be an array."),
        )),
    }
}

/// The records that the call's filters let through, oldest first.
fn matching<'a>(command: &Command<'_>, world: &'a World) -> Result<Vec<&'a Record>, Error> {
    let (start, end) = (time(command, "StartDate")?, time(command, "EndDate")?);
    if start >= end {
        return Err(Error::argument("StartDate must be before EndDate."));
    }
    let (operations, users) = (list(command, "Operations")?, list(command, "UserIds")?);
    let kind = command.text("RecordType");
    let among = |wanted: &Option<Vec<String>>, value: &str| {
        wanted.as_ref().is_none_or(|wanted| wanted.contains(&value.to_lowercase()))
    };
    let ingested = Stamp(command.now.0 - jiff::SignedDuration::from_millis(command.audit_lag));
    let mut found: Vec<&Record> = world
        .unified
        .iter()
        .filter(|record| record.time <= ingested && (start..end).contains(&record.time.0))
        .filter(|record| among(&operations, &record.operation) && among(&users, &record.user_id))
        .filter(|record| kind.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case(record.record_type.1)))
        .collect();
    found.sort_by_key(|record| record.time);
    Ok(found)
}

/// Without a session the newest rows only; with one, the next rows at each call until none are left. A large set comes
/// unsorted, and may repeat its records.
fn search(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let size = command.text("ResultSize").and_then(|text| text.parse::<usize>().ok()).unwrap_or(100).clamp(1, 5000);
    let large = match command.text("SessionCommand").as_deref() {
        None | Some("ReturnNextPreviewPage") => false,
        Some("ReturnLargeSet") => true,
        Some(other) => return Err(Error::argument(&format!("SessionCommand '{other}' is not known."))),
    };
    let session = command.text("SessionId");
    if large && session.is_none() {
        return Err(Error::argument("SessionCommand needs a SessionId."));
    }
    let mut found = matching(command, world)?;
    if large && command.audit_duplicates {
        found = found.into_iter().flat_map(|record| [record, record]).collect();
    }
    if !large {
        found.reverse();
    }
    let from = session.as_ref().and_then(|id| world.sessions.get(id)).copied().unwrap_or(0);
    let page: Vec<&Record> = found.into_iter().skip(from).take(size).collect();
    // The count is that of the page, not of everything that there is.
    let count = page.len();
    let organization = &world.state.organization.id;
    let rows: Vec<Row> =
        page.into_iter().enumerate().map(|(at, record)| row(record, organization, (from + at + 1, count))).collect();
    if let Some(id) = session {
        world.sessions.insert(id, from + count);
    }
    Ok(Rows::of(rows))
}

fn row(record: &Record, organization: &str, (index, count): (usize, usize)) -> Row {
    Row::default()
        .text("RecordType", record.record_type.1)
        .time("CreationDate", record.time)
        .text("UserIds", record.user_id.as_str())
        .text("Operations", record.operation.as_str())
        .text("AuditData", json!(record.data(organization)).to_string())
        .typed("ResultIndex", "System.Int32", index)
        .typed("ResultCount", "System.Int32", count)
        .text("Identity", record.id.as_str())
        .bool("IsValid", true)
        .text("ObjectState", "Unchanged")
}
