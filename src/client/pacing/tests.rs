//! Gates: order, fences, quotas, recovery; and the table of budgets.

use std::{sync::Arc, time::Duration};

use futures_util::{future::join_all, poll};
use reqwest::{Method, Url};

use super::{
    Gates,
    budgets::{Budgeted, Kind, is_directory, kind_of, units},
    gate::{Gate, Limits, Pass, Priority, Refusal, Shut},
    window::Window,
};
use crate::model::{Clock, ManualClock, Service};

const LATE: Duration = Duration::from_mins(5);
const SECOND: Duration = Duration::from_secs(1);

fn clock() -> Arc<ManualClock> {
    ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap())
}

fn gate(at_once: usize) -> Arc<Gate> {
    Gate::new(Limits { at_once, most: at_once, windows: [None, None] })
}

fn pass(priority: Priority) -> Pass {
    Pass { priority, cost: [1, 0] }
}

fn after(wait: Option<Duration>) -> Refusal {
    Refusal { wait, writes_only: false }
}

const EVIDENCE: Pass = Pass { priority: Priority::Evidence, cost: [1, 0] };

#[tokio::test]
async fn a_fence_holds_everybody_back_and_is_never_lowered() {
    let (clock, gate) = (clock(), gate(2));
    gate.throttled(Duration::ZERO, after(Some(30 * SECOND)));
    gate.throttled(Duration::ZERO, after(Some(5 * SECOND)));
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), 30 * SECOND);
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), 30 * SECOND);
}

#[tokio::test]
async fn a_fence_beyond_the_deadline_is_told_at_once_and_leaves_no_trace() {
    let (clock, gate) = (clock(), gate(1));
    gate.throttled(Duration::ZERO, after(Some(30 * SECOND)));
    let refused = gate.enter(&*clock, EVIDENCE, 29 * SECOND).await.err();
    assert_eq!(refused, Some(Shut { until: 30 * SECOND, failing: false }));
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
    let gate = Gate::new(Limits { at_once: 4, most: 4, windows: [Some(Window::new(1, 10 * SECOND)), None] });
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
    let gate = Gate::new(Limits { at_once: 4, most: 4, windows: [Some(Window::new(100, SECOND)), None] });
    gate.throttled(clock.monotonic(), after(Some(SECOND)));
    gate.throttled(clock.monotonic(), after(Some(SECOND)));
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
        let fence = gate.throttled(now, after(None));
        assert_eq!(gate.throttled(now, after(None)), fence, "the answers of one burst count once");
        waits.push((fence - now).as_secs());
        now = fence;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    gate.answered();
    assert_eq!(gate.throttled(now, after(None)) - now, SECOND);
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

const WRITE: Pass = Pass { priority: Priority::Containment, cost: [1, 1] };

/// A clock that stands still whoever waits.
struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

#[tokio::test]
async fn reads_go_on_while_writes_wait_for_their_own_quota() {
    let windows = [Some(Window::new(100, 10 * SECOND)), Some(Window::new(1, 150 * SECOND))];
    let gate = Gate::new(Limits { at_once: 4, most: 4, windows });
    drop(gate.enter(&Frozen, WRITE, LATE).await.unwrap());
    let mut write = Box::pin(gate.enter(&Frozen, WRITE, LATE));
    assert!(poll!(&mut write).is_pending(), "first of all, and it waits for its quota");
    let mut read = Box::pin(gate.enter(&Frozen, EVIDENCE, LATE));
    assert!(poll!(&mut read).is_ready(), "a read does not stand behind it");
    let mut second = Box::pin(gate.enter(&Frozen, WRITE, LATE));
    assert!(poll!(&mut second).is_pending());
}

#[tokio::test]
async fn too_many_writes_hold_back_writes_only() {
    let (clock, gate) = (clock(), gate(4));
    gate.throttled(Duration::ZERO, Refusal { wait: Some(60 * SECOND), writes_only: true });
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), Duration::ZERO);
    assert_eq!((gate.fence(EVIDENCE), gate.fence(WRITE)), (Duration::ZERO, 60 * SECOND));
    drop(gate.enter(&*clock, WRITE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), 60 * SECOND);
}

#[tokio::test]
async fn a_service_that_keeps_up_gets_more_at_once_and_a_429_takes_it_back() {
    let (clock, gate) = (clock(), Gate::new(Limits { at_once: 2, most: 4, windows: [None, None] }));
    let fit = async |gate: &Arc<Gate>| {
        let mut places = Vec::new();
        loop {
            let mut next = Box::pin(gate.enter(&*clock, EVIDENCE, LATE));
            match poll!(&mut next) {
                std::task::Poll::Ready(place) => places.push(place.unwrap()),
                std::task::Poll::Pending => return places,
            }
        }
    };
    let places = fit(&gate).await;
    assert_eq!(places.len(), 2);
    gate.answered();
    drop(places);
    assert_eq!(fit(&gate).await.len(), 3, "one more for an answer while all places were taken");
    (0..20).for_each(|_| gate.answered());
    assert_eq!(fit(&gate).await.len(), 3, "not where places are left");
    let places = fit(&gate).await;
    (0..40).for_each(|_| gate.answered());
    drop(places);
    assert_eq!(fit(&gate).await.len(), 4, "up to a bound");
    gate.throttled(clock.monotonic(), after(Some(SECOND)));
    clock.advance(2 * SECOND);
    assert_eq!(fit(&gate).await.len(), 1, "half of what it began with");
    clock.advance(200 * SECOND);
    let places = fit(&gate).await;
    assert_eq!(places.len(), 2, "and all of it after a while without complaints");
    gate.answered();
    drop(places);
    assert_eq!(fit(&gate).await.len(), 2, "from now on one in a round");
    let places = fit(&gate).await;
    (0..2).for_each(|_| gate.answered());
    drop(places);
    assert_eq!(fit(&gate).await.len(), 3);
}

#[tokio::test]
async fn a_service_that_fails_is_left_alone_but_a_containment_tries_it() {
    let (clock, gate) = (clock(), gate(4));
    (0..5).for_each(|_| gate.failed(clock.monotonic()));
    let write = gate.enter(&*clock, WRITE, LATE).await.unwrap();
    assert_eq!(clock.monotonic(), Duration::ZERO, "at once");
    let mut second = Box::pin(gate.enter(&*clock, WRITE, LATE));
    assert!(poll!(&mut second).is_pending(), "one at a time");
    drop(write);
    drop(second.await.unwrap());
    let refused = gate.enter(&*clock, EVIDENCE, 4 * SECOND).await.err();
    assert_eq!(refused, Some(Shut { until: 5 * SECOND, failing: true }));
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), 5 * SECOND, "half open");
    gate.reached();
    drop(gate.enter(&*clock, EVIDENCE, 6 * SECOND).await.unwrap());
}

#[tokio::test]
async fn what_we_used_ourselves_is_no_reason_to_slow_down() {
    let clock = clock();
    let gate = Gate::new(Limits { at_once: 4, most: 4, windows: [Some(Window::new(10, 10 * SECOND)), None] });
    departures(&gate, &clock, 9).await;
    gate.used(clock.monotonic(), 0.95);
    departures(&gate, &clock, 1).await;
    assert_eq!(clock.monotonic(), Duration::ZERO, "the quota has counted that");
}

#[tokio::test]
async fn a_large_tenant_has_a_larger_quota() {
    let (clock, gates) = (clock(), Gates::default());
    let url = Url::parse("https://graph.microsoft.com/v1.0/users").unwrap();
    let mut request = budgeted(Service::Graph, &Method::GET, &url, None);
    request.units = 3_500;
    for (users, wait) in [(49, true), (500, true), (501, false)] {
        gates.tenant_has(users);
        let lane = gates.lane(&request);
        let began = clock.monotonic();
        drop(lane.enter(&*clock, Duration::MAX).await.unwrap());
        drop(lane.enter(&*clock, Duration::MAX).await.unwrap());
        assert_eq!(clock.monotonic() > began, wait, "{users} users");
        clock.advance(11 * SECOND);
    }
}

#[tokio::test]
async fn a_request_that_cost_more_than_was_thought_is_counted_so() {
    let (clock, gates) = (clock(), Gates::default());
    let url = Url::parse("https://graph.microsoft.com/v1.0/users").unwrap();
    let lane = gates.lane(&budgeted(Service::Graph, &Method::GET, &url, None));
    drop(lane.enter(&*clock, LATE).await.unwrap());
    lane.cost(clock.monotonic(), 3_500);
    drop(lane.enter(&*clock, LATE).await.unwrap());
    assert!(clock.monotonic() > 10 * SECOND, "all of the window was used up by it");
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
    lane(&reports).throttled(Duration::ZERO, after(Some(9 * SECOND)));
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
