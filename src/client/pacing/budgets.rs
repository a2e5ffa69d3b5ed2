//! Which budget of the services a request draws on, and how much of it.
//!
//! Source: Graph "service-specific throttling limits" (identity and access, reports, identity protection and
//! Conditional Access, Outlook). Exchange publishes no figures for its admin API; four at once is what its clients
//! have found to hold for one mailbox.

use std::time::Duration;

use reqwest::{Method, Url};

use super::{
    gate::{Limits, Pass, Priority},
    window::Window,
};
use crate::model::Service;

/// A request, as far as pacing looks at it.
#[derive(Clone, Copy)]
pub(in crate::client) struct Budgeted<'a> {
    /// Service.
    pub(in crate::client) service: Service,
    /// Method.
    pub(in crate::client) method: &'a Method,
    /// Address.
    pub(in crate::client) url: &'a Url,
    /// Mailbox that an Exchange cmdlet concerns.
    pub(in crate::client) mailbox: Option<&'a str>,
    /// How much it matters.
    pub(in crate::client) priority: Priority,
    /// Resource units.
    pub(in crate::client) units: u32,
}

impl Budgeted<'_> {
    pub(super) fn pass(&self) -> Pass {
        let batch = self.url.path().ends_with("/$batch");
        let write = self.service == Service::Graph && self.method != Method::GET && !batch;
        Pass { priority: self.priority, cost: [self.units, u32::from(write)] }
    }
}

/// A budget.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// Directory objects and everything else in Graph.
    Directory,
    /// Sign-in and audit logs.
    Reports,
    /// Identity protection and Conditional Access: shared by all applications of the tenant, and without
    /// `Retry-After`.
    Risk,
    /// Mail, in one mailbox.
    Outlook(String),
    /// Mail, in all of them.
    Mail,
    /// Cmdlets for one mailbox.
    Mailbox(String),
    /// All cmdlets.
    Exchange,
}

impl Kind {
    /// What it is the budget of, in words.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Directory => "the directory",
            Self::Reports => "the reports",
            Self::Risk => "Identity Protection and Conditional Access",
            Self::Outlook(_) => "the mailbox",
            Self::Mail => "the mailboxes",
            Self::Mailbox(_) | Self::Exchange => "Exchange",
        }
    }
}

/// Beginnings of paths, below the version, that do not belong to the directory's budget.
const OTHERS: &[(&str, Kind)] = &[
    ("auditLogs/", Kind::Reports),
    ("reports/", Kind::Reports),
    ("identityProtection/", Kind::Risk),
    ("identity/conditionalAccess/", Kind::Risk),
    ("policies/conditionalAccessPolicies", Kind::Risk),
];

/// What stands below a user and belongs to the mailbox.
const MAIL: &[&str] = &["mailFolders", "messages", "mailboxSettings", "inferenceClassification", "sendMail"];

/// Resource units of reads that cost other than one; the first that fits counts.
const UNITS: &[(&str, &str, u32)] = &[
    ("", "transitiveMembers", 5),
    ("groups", "members", 3),
    ("", "domainNameReferences", 4),
    ("", "memberOf", 2),
    ("", "transitiveMemberOf", 2),
    ("", "ownedObjects", 2),
    ("", "licenseDetails", 2),
    ("", "appRoleAssignments", 2),
    ("users", "", 2),
    ("applications", "", 2),
    ("oauth2PermissionGrants", "", 2),
    ("subscribedSkus", "", 3),
];

/// The budgets of a request, narrowest first.
pub(super) fn kind_of(request: &Budgeted<'_>) -> Vec<Kind> {
    if request.service == Service::Exchange {
        let mailbox = request.mailbox.map(|mailbox| Kind::Mailbox(mailbox.to_ascii_lowercase()));
        return mailbox.into_iter().chain([Kind::Exchange]).collect();
    }
    let path = below_version(request.url.path());
    let other = OTHERS.iter().find(|(start, _)| starts(path, start));
    let mut parts = path.split('/');
    match (other, parts.next(), parts.next(), parts.next()) {
        (Some((_, kind)), ..) => vec![kind.clone()],
        (None, Some("users"), Some(user), Some(part)) if MAIL.contains(&part) => {
            vec![Kind::Outlook(user.to_ascii_lowercase()), Kind::Mail]
        }
        _ => vec![Kind::Directory],
    }
}

/// Whether a Graph read draws on the directory's budget: only such reads may share a batch.
pub(in crate::client) fn is_directory(url: &Url) -> bool {
    let path = below_version(url.path());
    let user_mail = path.starts_with("users/") && path.split('/').nth(2).is_some_and(|part| MAIL.contains(&part));
    !user_mail && !OTHERS.iter().any(|(start, _)| starts(path, start))
}

/// The resource units of a request. Changes cost one.
///
/// Source: Graph "service-specific throttling limits", identity and access: base costs, `$select` -1,
/// `$expand` +1, `$top` below 20 -1, at least one.
pub(in crate::client) fn units(method: &Method, url: &Url) -> u32 {
    if *method != Method::GET {
        return 1;
    }
    let mut parts = below_version(url.path()).split('/');
    let (first, last) = (parts.next().unwrap_or_default(), parts.next_back().unwrap_or_default());
    let fits = |start: &str, end: &str| (start.is_empty() || start == first) && (end.is_empty() || end == last);
    let mut units = UNITS.iter().find(|(start, end, _)| fits(start, end)).map_or(1, |(.., units)| *units);
    for (name, value) in url.query_pairs() {
        match &*name {
            "$select" => units = units.saturating_sub(1),
            "$expand" => units += 1,
            "$top" if value.parse::<u32>().is_ok_and(|top| top < 20) => units = units.saturating_sub(1),
            _ => {}
        }
    }
    units.max(1)
}

fn below_version(path: &str) -> &str {
    path.trim_start_matches('/').split_once('/').map_or("", |(_, rest)| rest)
}

fn starts(path: &str, start: &str) -> bool {
    path.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start))
}

/// The directory's resource units in ten seconds, in a tenant of so many users.
///
/// Source: Graph "service-specific throttling limits", identity and access, per application and tenant.
pub(super) fn directory_units(users: u64) -> u32 {
    match users {
        0..50 => 3_500,
        50..=500 => 5_000,
        _ => 8_000,
    }
}

/// What a budget lets through. The directory's units are those of a small tenant until its size is known. Where nothing
/// is published, the number at once begins low and grows while the service keeps up.
///
/// Whether Outlook's four at once are for each mailbox or for all of them, its documentation has said both: four of all
/// is right either way. Exchange publishes nothing; its places, those kept for containment among them, end at sixteen.
pub(super) fn limits(kind: &Kind) -> Limits {
    let seconds = Duration::from_secs;
    let window = |most, length| Some(Window::new(most, seconds(length)));
    let fixed = |at_once, window| Limits { at_once, most: at_once, kept: 0, windows: [window, None], guessed: false };
    match kind {
        Kind::Directory => {
            let windows = [window(directory_units(0), 10), window(3_000, 150)];
            Limits { kept: 4, windows, ..fixed(64, None) }
        }
        Kind::Reports => fixed(4, window(5, 10)),
        Kind::Risk => fixed(1, window(1, 1)),
        Kind::Outlook(_) => fixed(4, window(10_000, 600)),
        Kind::Mail | Kind::Mailbox(_) => fixed(4, None),
        Kind::Exchange => Limits { most: 14, kept: 2, guessed: true, ..fixed(8, None) },
    }
}
