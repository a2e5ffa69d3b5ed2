//! Gates: order, fences, quotas, recovery; and the table of budgets.

use std::{sync::Arc, time::Duration};

use futures_util::{future::join_all, poll};
use reqwest::{Method, Url};

use super::{
    Gates,
    budgets::{Budgeted, Kind, is_directory, kind_of, units},
    gate::{Fenced, Gate, Limits, Pass, Priority},
    window::Window,
};
use crate::model::{Clock as _, ManualClock, Service};

const LATE: Duration = Duration::from_mins(5);
const SECOND: Duration = Duration::from_secs(1);

fn clock() -> Arc<ManualClock> {
    ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap())
}

fn gate(at_once: usize) -> Arc<Gate> {
    Gate::new(Limits { at_once, windows: [None, None] })
}

fn pass(priority: Priority) -> Pass {
    Pass { priority, cost: [1, 0] }
}

const EVIDENCE: Pass = Pass { priority: Priority::Evidence, cost: [1, 0] };

#[tokio::test]
async fn a_fence_holds_everybody_back_and_is_never_lowered() {
    let (clock, gate) = (clock(), gate(2));
    gate.throttled(Duration::ZERO, Some(30 * SECOND));
    gate.throttled(Duration::ZERO, Some(5 * SECOND));
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), 30 * SECOND);
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), 30 * SECOND);
}

#[tokio::test]
async fn a_fence_beyond_the_deadline_is_told_at_once_and_leaves_no_trace() {
    let (clock, gate) = (clock(), gate(1));
    gate.throttled(Duration::ZERO, Some(30 * SECOND));
    let refused = gate.enter(&*clock, EVIDENCE, 29 * SECOND).await.err();
    assert_eq!(refused, Some(Fenced { until: 30 * SECOND }));
    assert_eq!(clock.monotonic(), Duration::ZERO);
    clock.advance(30 * SECOND);
    assert!(gate.enter(&*clock, EVIDENCE, LATE).await.is_ok(), "the queue is empty again");
}

#[tokio::test]
async fn only_so_many_go_at_once_and_who_gives_up_blocks_nobody() {
    let (clock, gate) = (clock(), gate(2));
    let first = gate.enter(&*clock, EVIDENCE, LATE).await.unwrap();
    let _second = gate.enter(&*clock, EVIDENCE, LATE).await.unwrap();
    let mut gone = Box::pin(gate.enter(&*clock, EVIDENCE, LATE));
    assert!(poll!(&mut gone).is_pending());
    let mut third = Box::pin(gate.enter(&*clock, EVIDENCE, LATE));
    assert!(poll!(&mut third).is_pending());
    drop(gone);
    drop(first);
    assert!(third.await.is_ok());
}

#[tokio::test]
async fn containment_goes_before_evidence_and_evidence_before_enrichment() {
    let (clock, gate) = (clock(), gate(1));
    let busy = gate.enter(&*clock, EVIDENCE, LATE).await.unwrap();
    let order = std::sync::Mutex::new(Vec::new());
    let wait = |name: &'static str, priority| {
        let (order, gate, clock) = (&order, &gate, &clock);
        async move {
            let place = gate.enter(&**clock, pass(priority), LATE).await.unwrap();
            order.lock().unwrap().push(name);
            drop(place);
        }
    };
    let all = join_all([
        wait("enrichment", Priority::Enrichment),
        wait("evidence 1", Priority::Evidence),
        wait("evidence 2", Priority::Evidence),
        wait("containment", Priority::Containment),
    ]);
    let mut all = std::pin::pin!(all);
    assert!(poll!(&mut all).is_pending());
    drop(busy);
    all.await;
    assert_eq!(*order.lock().unwrap(), ["containment", "evidence 1", "evidence 2", "enrichment"]);
}

#[tokio::test]
async fn a_containment_that_comes_while_evidence_waits_for_its_quota_goes_first() {
    let clock = clock();
    let gate = Gate::new(Limits { at_once: 4, windows: [Some(Window::new(1, 10 * SECOND)), None] });
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    let mut evidence = Box::pin(gate.enter(&*clock, EVIDENCE, LATE));
    assert!(poll!(&mut evidence).is_pending(), "it waits for the window");
    let cut = gate.enter(&*clock, pass(Priority::Containment), LATE).await.unwrap();
    assert!(poll!(&mut evidence).is_pending(), "the window is taken again");
    drop(cut);
    evidence.await.unwrap();
}

/// When `count` requests leave, one after the other.
async fn departures(gate: &Arc<Gate>, clock: &ManualClock, count: usize) -> Vec<Duration> {
    let mut left = Vec::new();
    for _ in 0..count {
        drop(gate.enter(clock, EVIDENCE, Duration::MAX).await.unwrap());
        left.push(clock.monotonic());
    }
    left
}

#[tokio::test]
async fn a_429_halves_the_rate_and_quiet_brings_it_back() {
    let clock = clock();
    let gate = Gate::new(Limits { at_once: 4, windows: [Some(Window::new(100, SECOND)), None] });
    gate.throttled(clock.monotonic(), Some(SECOND));
    gate.throttled(clock.monotonic(), Some(SECOND));
    let left = departures(&gate, &clock, 101).await;
    assert!(left[49] < 2 * SECOND && left[50] >= 2 * SECOND, "fifty in a second: {:?}", &left[48..52]);
    clock.advance(110 * SECOND);
    let left = departures(&gate, &clock, 101).await;
    assert_eq!(left[99], left[0], "a hundred again after 11 quiet tens of seconds");
    assert!(left[100] > left[0]);
}

#[tokio::test]
async fn a_service_that_does_not_say_how_long_is_left_alone_longer_each_time() {
    let gate = gate(1);
    let mut now = Duration::ZERO;
    let mut waits = Vec::new();
    for _ in 0..8 {
        let fence = gate.throttled(now, None);
        assert_eq!(gate.throttled(now, None), fence, "the answers of one burst count once");
        waits.push((fence - now).as_secs());
        now = fence;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    gate.answered();
    assert_eq!(gate.throttled(now, None) - now, SECOND);
}

#[tokio::test]
async fn a_quota_that_is_nearly_used_up_slows_down_before_a_429() {
    let clock = clock();
    let gates = Gates::default();
    let url = Url::parse("https://graph.microsoft.com/v1.0/auditLogs/signIns").unwrap();
    let request = budgeted(Service::Graph, &Method::GET, &url, None);
    let lane = gates.lane(&request);
    lane.used(clock.monotonic(), 0.8);
    for _ in 0..5 {
        drop(lane.enter(&*clock, LATE).await.unwrap());
    }
    assert_eq!(clock.monotonic(), Duration::ZERO, "0.8 itself is no reason yet");
    clock.advance(20 * SECOND);
    let start = clock.monotonic();
    lane.used(start, 1.1);
    lane.used(start, 1.1);
    for _ in 0..4 {
        drop(lane.enter(&*clock, LATE).await.unwrap());
    }
    assert_eq!(clock.monotonic(), start, "four instead of five");
    drop(lane.enter(&*clock, LATE).await.unwrap());
    assert!(clock.monotonic() > start + 10 * SECOND);
}

fn budgeted<'a>(service: Service, method: &'a Method, url: &'a Url, mailbox: Option<&'a str>) -> Budgeted<'a> {
    Budgeted { service, method, url, mailbox, priority: Priority::Evidence, units: 1 }
}

fn graph(path: &str) -> Kind {
    let url = Url::parse(&format!("https://graph.microsoft.com/v1.0/{path}")).unwrap();
    let kinds = kind_of(&budgeted(Service::Graph, &Method::GET, &url, None));
    assert_eq!(is_directory(&url), kinds == [Kind::Directory], "{path}");
    kinds[0].clone()
}

#[test]
fn every_path_has_its_budget() {
    for path in
        ["users/u", "users/u/authentication/methods", "devices", "servicePrincipals/s", "$batch", "organization"]
    {
        assert_eq!(graph(path), Kind::Directory, "{path}");
    }
    assert_eq!(graph("auditLogs/signIns?$top=1"), Kind::Reports);
    assert_eq!(graph("reports/authenticationMethods/userRegistrationDetails"), Kind::Reports);
    for path in ["identityProtection/riskyUsers/confirmCompromised", "identity/conditionalAccess/namedLocations/x"] {
        assert_eq!(graph(path), Kind::Risk, "{path}");
    }
    assert_eq!(graph("users/U/mailFolders/inbox/messageRules"), Kind::Outlook("u".to_owned()));
    assert_eq!(graph("users/u/mailboxSettings"), Kind::Outlook("u".to_owned()));
}

#[tokio::test]
async fn cmdlets_go_four_at_once_per_mailbox_and_eight_in_all() {
    let (clock, gates) = (clock(), Gates::default());
    let url = Url::parse("https://outlook.office365.com/adminapi/beta/t/InvokeCommand").unwrap();
    let lane = |mailbox| gates.lane(&budgeted(Service::Exchange, &Method::POST, &url, Some(mailbox)));
    let mut places = Vec::new();
    for (mailbox, fit) in [("a@x.example", 4), ("B@x.example", 4)] {
        for _ in 0..fit {
            places.push(lane(mailbox).enter(&*clock, LATE).await.unwrap());
        }
    }
    let same = lane("A@X.EXAMPLE");
    let mut same = Box::pin(same.enter(&*clock, LATE));
    assert!(poll!(&mut same).is_pending(), "the fifth of a mailbox waits");
    let other = lane("c@x.example");
    let mut other = Box::pin(other.enter(&*clock, LATE));
    assert!(poll!(&mut other).is_pending(), "the ninth of all waits");
    places.pop();
    other.await.unwrap();
}

#[test]
fn a_fence_concerns_its_budget_only() {
    let gates = Gates::default();
    let url = |path: &str| Url::parse(&format!("https://graph.microsoft.com/v1.0/{path}")).unwrap();
    let (reports, users) = (url("auditLogs/signIns"), url("users"));
    let lane = |url| gates.lane(&budgeted(Service::Graph, &Method::GET, url, None));
    lane(&reports).throttled(Duration::ZERO, Some(9 * SECOND));
    assert!(lane(&reports).is_fenced(8 * SECOND) && !lane(&reports).is_fenced(9 * SECOND));
    assert!(!lane(&users).is_fenced(Duration::ZERO));
}

#[test]
fn requests_cost_what_graph_says() {
    let cost =
        |path: &str| units(&Method::GET, &Url::parse(&format!("https://graph.microsoft.com/v1.0/{path}")).unwrap());
    assert_eq!(cost("users/u"), 2);
    assert_eq!(cost("users/u?$select=id"), 1);
    assert_eq!(cost("users?$top=5&$select=id"), 1, "never nothing");
    assert_eq!(cost("users/u?$expand=manager"), 3);
    assert_eq!(cost("groups/g/transitiveMembers"), 5);
    assert_eq!(cost("groups/g/members"), 3);
    assert_eq!(cost("servicePrincipals/s"), 1);
    assert_eq!(cost("servicePrincipals/s/appRoleAssignments"), 2);
    let url = Url::parse("https://graph.microsoft.com/v1.0/users/u").unwrap();
    assert_eq!(units(&Method::PATCH, &url), 1);
    assert_eq!(budgeted(Service::Graph, &Method::PATCH, &url, None).pass().cost, [1, 1]);
    assert_eq!(budgeted(Service::Graph, &Method::GET, &url, None).pass().cost, [1, 0]);
}
