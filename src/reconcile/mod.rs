//! Our record of a run against the tenant's own: what we did that the tenant does not show, and what the tenant shows
//! from our identity that we did not record. The one check that a responder's own machine cannot bend.
//!
//! Reads only. How the tenant's records are read is in `feed`, `search` and `unified`; how they are compared in `compare`
//! and `mailboxes`, which are pure.

mod activities;
mod compare;
mod feed;
mod kql;
mod mailboxes;
mod search;
mod unified;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

pub use compare::{Shown, reconcile};
pub use feed::{ActivityLogError, AuditEntry, LogRow, activity_log, audit_feed};
pub use kql::{exchange, query};
pub use search::search;
pub use unified::{UnifiedLog, UnifiedLogError, UnifiedRecord};

use crate::{
    journal::{History, Record},
    model::Untrusted,
};

/// How long before the first and after the last line the tenant's records are looked at: clocks differ, and what was
/// sent last is logged later.
const MARGIN: SignedDuration = SignedDuration::from_mins(5);

/// The time in which a run may have changed the tenant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Window {
    /// From.
    pub from: Timestamp,
    /// Until.
    pub until: Timestamp,
}

impl Window {
    /// From the first to the last line of a run, and a little more; by our clock and by the tenant's, which may be far apart.
    pub fn of(history: &History) -> Self {
        let of_tenant = |record: &Record| match record {
            Record::Intent { server_time, .. } => Some(*server_time),
            _ => None,
        };
        let times = || history.lines.iter().flat_map(|line| [Some(line.t), of_tenant(&line.record)]).flatten();
        let first = times().min().unwrap_or(history.header.started);
        let last = times().max().unwrap_or(history.header.started);
        let (from, until) = (first.checked_sub(MARGIN), last.checked_add(MARGIN));
        Self { from: from.unwrap_or(first), until: until.unwrap_or(last) }
    }

    pub(crate) fn holds(self, at: Timestamp) -> bool {
        self.from <= at && at <= self.until
    }
}

/// Which of the tenant's records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// `directoryAudits`.
    DirectoryAudits,
    /// An exported `MicrosoftGraphActivityLogs`.
    GraphActivityLog,
    /// The unified audit log, searched or exported: what was changed in Exchange.
    UnifiedAuditLog,
}

impl Source {
    /// Until when an entry may still come.
    ///
    /// Sources: Microsoft Entra, "Reporting latencies" (audit logs: 99 of 100 within five minutes) and Microsoft Graph,
    /// "Access activity logs", both taken with room to spare; `Search-UnifiedAuditLog` (30 minutes up to 24 hours).
    pub fn delay(self) -> SignedDuration {
        match self {
            Self::DirectoryAudits | Self::GraphActivityLog => SignedDuration::from_hours(2),
            Self::UnifiedAuditLog => SignedDuration::from_hours(24),
        }
    }

    /// After which an entry may have been dropped, with the least licence; none where the customer keeps it.
    ///
    /// Sources: Microsoft Entra, "Data retention" (seven days without a licence, thirty with P1 or P2); Microsoft Purview,
    /// "Audit (Standard)" (180 days; a year and more with Premium).
    pub fn retention(self) -> Option<SignedDuration> {
        match self {
            Self::DirectoryAudits => Some(SignedDuration::from_hours(7 * 24)),
            Self::GraphActivityLog => None,
            Self::UnifiedAuditLog => Some(SignedDuration::from_hours(180 * 24)),
        }
    }
}

/// A call of ours that a record of the tenant does not show.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotShown {
    /// Where it was looked for.
    pub source: Source,
    /// Line of its intent.
    pub seq: u64,
    /// The change.
    pub change: String,
    /// What the tenant's logs should show for it.
    pub client_request_id: String,
    /// In one line.
    pub request: String,
    /// When it was sent, by the tenant's clock.
    pub at: Timestamp,
    /// What to make of it.
    pub why: Absence,
}

/// Why a record may not show something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Absence {
    /// It is so fresh that it may still come.
    NotYet,
    /// It is so old that the tenant may have dropped it.
    MayBeDropped,
    /// Its answer was lost, so it may not have happened.
    Unknown,
    /// The record was not read whole.
    NotRead,
    /// It should be there.
    Missing,
}

/// A record of the tenant that was not read, or not whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gap {
    /// Which.
    pub source: Source,
    /// Why; the tenant's words in it are escaped.
    pub reason: String,
}

impl Gap {
    /// A gap of a record.
    pub fn new(source: Source, reason: &str) -> Self {
        Self { source, reason: reason.to_owned() }
    }
}

/// Something that the tenant shows from our identity and our journal does not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NotOurs {
    /// Where it stands.
    pub source: Source,
    /// When, by the tenant's clock.
    pub at: Timestamp,
    /// The id of the entry, or of its request.
    pub id: Untrusted,
    /// What was done.
    pub what: Untrusted,
    /// To what.
    pub to: Vec<Untrusted>,
}

/// What the comparison came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reconciliation {
    /// The run.
    pub run: String,
    /// The time that was looked at.
    pub window: Window,
    /// Which records were looked at.
    pub sources: Vec<Source>,
    /// Calls that were found in each record that should show them.
    pub shown: u64,
    /// Calls that were compared with nothing, because the record that shows them was not read.
    pub elsewhere: u64,
    /// Done by us, not shown by the tenant.
    pub not_shown: Vec<NotShown>,
    /// Shown by the tenant, not recorded by us.
    pub not_ours: Vec<NotOurs>,
    /// Records that were not read, or not whole.
    pub gaps: Vec<Gap>,
    /// For the tenant's own analysts.
    pub kql: String,
    /// The same for what was changed in Exchange.
    pub kql_exchange: String,
}

impl Reconciliation {
    /// Whether one record holds something that the other should and does not.
    pub fn differs(&self) -> bool {
        !self.not_ours.is_empty() || self.not_shown.iter().any(|call| call.why == Absence::Missing)
    }
}
