//! Throttling as the services do it: what each request costs, and how much fits into a window.
//!
//! Figures: `throttling-limits.md` of the Graph documentation. How many requests a mailbox takes at a time is counted
//! here too: a request is under way until its [`Response`] is gone, which a front end drops when it was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use crate::http::{Request, Response};
use serde_json::json;

/// A service with limits of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Service {
    /// Resource units of the directory.
    Directory,
    /// Writes to the directory.
    DirectoryWrites,
    /// Audit logs and usage reports.
    Reports,
    /// Writes to applications that personal accounts may use.
    PersonalApplications,
    /// Identity Protection and Conditional Access, for all applications together.
    Protection,
}

/// So many units in so many seconds.
#[derive(Debug, Clone, Copy)]
struct Limit {
    units: u64,
    seconds: i64,
    retry_after: bool,
}

impl Limit {
    fn units_at(self, percent: u64) -> u64 {
        (self.units * percent / 100).max(1)
    }
}

impl Service {
    fn limit(self, users: usize) -> Limit {
        let (units, seconds, retry_after) = match self {
            Self::Directory if users < 50 => (3500, 10, true),
            Self::Directory if users <= 500 => (5000, 10, true),
            Self::Directory => (8000, 10, true),
            Self::DirectoryWrites => (3000, 150, true),
            Self::PersonalApplications => (60, 60, true),
            Self::Reports => (5, 10, true),
            Self::Protection => (1, 1, false),
        };
        Limit { units, seconds, retry_after }
    }
}

/// The windows that are open.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    windows: Mutex<BTreeMap<Service, Window>>,
    busy: Arc<Mutex<BTreeMap<Lane, u64>>>,
}

/// An application at a mailbox of one service: what may have a few requests under way at a time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Lane {
    pub(crate) exchange: bool,
    pub(crate) app_id: String,
    pub(crate) mailbox: String,
}

/// How many requests an application may have under way at one mailbox. Graph documents the figure for Outlook; that of
/// Exchange's admin API is unpublished, and taken to be the same.
const AT_A_TIME: u64 = 4;

/// A request under way. It is over when this is dropped.
#[derive(Debug)]
pub struct UnderWay {
    lane: Lane,
    busy: Arc<Mutex<BTreeMap<Lane, u64>>>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = busy.get_mut(&self.lane) {
            *count -= 1;
            if *count == 0 {
                busy.remove(&self.lane);
            }
        }
    }
}

/// Whether a request comes through.
#[derive(Debug)]
pub(crate) enum Admission {
    /// Nothing limits it, or nothing does yet.
    Free,
    /// It took a place at a mailbox.
    Placed(Arc<UnderWay>),
    /// It gets this 429.
    Refused(Response),
}

/// What a request costs depends on the tenant too.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Circumstances {
    /// How many users there are.
    pub(crate) users: usize,
    /// Whether the request changes an application that personal accounts may use.
    pub(crate) personal: bool,
    /// The published limits times this percentage.
    pub(crate) percent: u64,
}

#[derive(Debug, Clone, Copy)]
struct Window {
    start: Timestamp,
    used: u64,
}

impl Limits {
    /// The 429 of a request that does not fit any more; counts it otherwise.
    pub(crate) fn admit(&self, request: &Request, around: Circumstances, now: Timestamp) -> Option<Response> {
        let Circumstances { users, personal, percent } = around;
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut costs = costs(request);
        if personal {
            costs.push((Service::PersonalApplications, 1));
        }
        for (service, cost) in &costs {
            let limit = service.limit(users);
            let window = windows.entry(*service).or_insert(Window { start: now, used: 0 });
            if (now - window.start).get_seconds() >= limit.seconds {
                *window = Window { start: now, used: 0 };
            }
            if window.used + cost > limit.units_at(percent) {
                let left = limit.seconds - (now - window.start).get_seconds();
                return Some(refusal(*service, limit.retry_after.then_some(left.max(1))));
            }
        }
        for (service, cost) in costs {
            windows.entry(service).and_modify(|window| window.used += cost);
        }
        None
    }

    /// What the answer to an admitted request says of its cost, and of the fullest of its limits where that is used up
    /// to more than 0.8.
    pub(crate) fn announce(&self, request: &Request, around: Circumstances) -> Vec<(&'static str, String)> {
        let windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut said = Vec::new();
        let mut fullest: f64 = 0.0;
        for (service, cost) in costs(request) {
            if service == Service::Directory {
                said.push(("x-ms-resource-unit", cost.to_string()));
            }
            let used = windows.get(&service).map_or(0, |window| window.used);
            fullest = fullest.max(used as f64 / service.limit(around.users).units_at(around.percent) as f64);
        }
        if fullest > 0.8 {
            said.push(("x-ms-throttle-limit-percentage", format!("{fullest:.2}")));
        }
        said
    }

    /// Takes a place at a mailbox; none where enough requests are under way there.
    pub(crate) fn enter(&self, lane: Lane, percent: u64) -> Option<Arc<UnderWay>> {
        let mut busy = self.busy.lock().unwrap_or_else(PoisonError::into_inner);
        let count = busy.entry(lane.clone()).or_insert(0);
        if *count >= (AT_A_TIME * percent / 100).max(1) {
            return None;
        }
        *count += 1;
        Some(Arc::new(UnderWay { lane, busy: Arc::clone(&self.busy) }))
    }
}

/// The 429 of a mailbox that has enough to do.
pub(crate) fn crowded() -> Response {
    let body = json!({"error": {
        "code": "ApplicationThrottled", "message": "Application is over its MailboxConcurrency limit.",
    }});
    let mut response = Response::json(429, &body);
    response.set("retry-after", "1");
    response
}

fn refusal(service: Service, seconds: Option<i64>) -> Response {
    let body = json!({"error": {
        "code": "TooManyRequests", "message": "Too many requests.",
        "innerError": {"code": "429", "status": "429"},
    }});
    let mut response = Response::json(429, &body);
    if let Some(seconds) = seconds {
        response.set("retry-after", &seconds.to_string());
    }
    let scope = if service == Service::Protection { "Tenant/ReadWrite" } else { "Tenant_Application/ReadWrite" };
    response.set("x-ms-throttle-scope", scope);
    let information =
        if service == Service::DirectoryWrites { "WriteLimitExceeded" } else { "ResourceUnitLimitExceeded" };
    response.set("x-ms-throttle-information", information);
    response
}

fn costs(request: &Request) -> Vec<(Service, u64)> {
    let path = request.path.to_lowercase();
    let Some((_, rest)) = crate::routes::graph::version_of(&path) else {
        return Vec::new();
    };
    // A batch is a wrapper: each of its items comes by here and costs what it costs alone.
    if rest == "/$batch" {
        return Vec::new();
    }
    if rest.starts_with("/auditlogs") || rest.starts_with("/reports") {
        return vec![(Service::Reports, 1)];
    }
    if rest.starts_with("/identityprotection") || rest.starts_with("/identity/conditionalaccess") {
        return vec![(Service::Protection, 1)];
    }
    if request.method != "GET" {
        return vec![(Service::Directory, 1), (Service::DirectoryWrites, 1)];
    }
    vec![(Service::Directory, read_cost(rest, &request.query))]
}

fn read_cost(rest: &str, query: &str) -> u64 {
    let dear = ["/members", "/subscribedskus"];
    let middling = ["/memberof", "/transitivememberof", "/ownedobjects", "/approleassignments"];
    let roots = ["/users", "/applications", "/oauth2permissiongrants"];
    let base = if dear.iter().any(|end| rest.ends_with(end)) {
        3
    } else if middling.iter().any(|end| rest.ends_with(end)) || roots.iter().any(|root| rest.starts_with(root)) {
        2
    } else {
        1
    };
    let selects = query.contains("select=");
    u64::max(1, base - u64::from(selects))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AROUND: Circumstances = Circumstances { users: 300, personal: false, percent: 100 };

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn five_reports_in_ten_seconds_and_no_more() {
        let limits = Limits::default();
        let request = Request::new("GET", "/v1.0/auditLogs/directoryAudits");
        let now = at("2023-12-12T15:00:00Z");
        for _ in 0..5 {
            assert!(limits.admit(&request, AROUND, now).is_none());
        }
        let refused = limits.admit(&request, AROUND, now).unwrap();
        assert_eq!((refused.status, refused.get_header("retry-after")), (429, Some("10")));
        assert!(limits.admit(&request, AROUND, at("2023-12-12T15:00:10Z")).is_none());
    }

    #[test]
    fn conditional_access_refuses_without_a_time() {
        let limits = Limits::default();
        let request = Request::new("GET", "/v1.0/identity/conditionalAccess/policies");
        let now = at("2023-12-12T15:00:00Z");
        assert!(limits.admit(&request, AROUND, now).is_none());
        let refused = limits.admit(&request, AROUND, now).unwrap();
        assert_eq!(refused.get_header("retry-after"), None);
    }

    #[test]
    fn applications_of_personal_accounts_take_sixty_writes_a_minute() {
        let limits = Limits::default();
        let request = Request::new("PATCH", "/v1.0/applications/1");
        let now = at("2023-12-12T15:00:00Z");
        let personal = Circumstances { personal: true, ..AROUND };
        for _ in 0..60 {
            assert!(limits.admit(&request, personal, now).is_none());
        }
        let refused = limits.admit(&request, personal, now).unwrap();
        assert_eq!((refused.status, refused.get_header("retry-after")), (429, Some("60")));
        assert!(limits.admit(&request, AROUND, now).is_none(), "other applications have the directory's limit");
    }

    #[test]
    fn every_window_scales_with_the_percentage() {
        let now = at("2023-12-12T15:00:00Z");
        let admitted = |method: &str, path: &str, around: Circumstances| {
            let (limits, request) = (Limits::default(), Request::new(method, path));
            (0..9_000).take_while(|_| limits.admit(&request, around, now).is_none()).count()
        };
        let ten = Circumstances { percent: 10, ..AROUND };
        let personal = Circumstances { personal: true, ..ten };
        assert_eq!(admitted("GET", "/v1.0/devices", ten), 500);
        assert_eq!(admitted("GET", "/v1.0/devices", Circumstances { users: 10, ..ten }), 350);
        assert_eq!(admitted("GET", "/v1.0/devices", Circumstances { users: 1000, ..ten }), 800);
        assert_eq!(admitted("PATCH", "/v1.0/devices/1", ten), 300);
        assert_eq!(admitted("PATCH", "/v1.0/applications/1", personal), 6);
        assert_eq!(admitted("GET", "/v1.0/auditLogs/signIns", ten), 1);
        assert_eq!(admitted("GET", "/v1.0/auditLogs/signIns", Circumstances { percent: 200, ..AROUND }), 10);
        assert_eq!(admitted("GET", "/v1.0/identityProtection/riskyUsers", ten), 1);
    }

    #[test]
    fn a_batch_itself_costs_nothing() {
        assert_eq!(costs(&Request::new("POST", "/v1.0/$batch")), []);
    }

    #[test]
    fn an_answer_says_what_it_cost_and_that_a_limit_is_nearly_used_up() {
        let (limits, now) = (Limits::default(), at("2023-12-12T15:00:00Z"));
        let request = Request::new("GET", "/v1.0/users");
        assert_eq!(limits.announce(&request, AROUND), [("x-ms-resource-unit", "2".to_owned())]);
        let write = Request::new("PATCH", "/v1.0/users/1");
        for _ in 0..2_700 {
            assert!(limits.admit(&write, AROUND, now).is_none());
        }
        let said = limits.announce(&write, AROUND);
        assert_eq!(said[1], ("x-ms-throttle-limit-percentage", "0.90".to_owned()));
    }

    #[test]
    fn what_one_limit_refuses_is_not_counted_by_another() {
        let (limits, now) = (Limits::default(), at("2023-12-12T15:00:00Z"));
        let (write, read) = (Request::new("PATCH", "/v1.0/users/1"), Request::new("GET", "/v1.0/devices"));
        let admitted = (0..4_900).filter(|_| limits.admit(&write, AROUND, now).is_none()).count();
        assert_eq!(admitted, 3_000);
        assert!((0..2_000).all(|_| limits.admit(&read, AROUND, now).is_none()));
    }

    #[test]
    fn a_select_makes_a_read_cheaper() {
        assert_eq!(read_cost("/users/1", ""), 2);
        assert_eq!(read_cost("/users/1", "$select=id"), 1);
        assert_eq!(read_cost("/devices", "$select=id"), 1);
    }
}
