//! Gates: order, fences, quotas, recovery. What each service gets is in `services.rs`.

mod services;

use std::{sync::Arc, time::Duration};

use futures_util::{future::join_all, poll};
use reqwest::{Method, Url};

use super::{
    Gates,
    brakes::{Refusal, Scope},
    budgets::Budgeted,
    gate::{Gate, Limits, Pass, Priority, Shut},
    window::Window,
};
use crate::model::{Clock, ManualClock, Service};

const LATE: Duration = Duration::from_mins(5);
const SECOND: Duration = Duration::from_secs(1);

fn clock() -> Arc<ManualClock> {
    ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap())
}

fn places(at_once: usize) -> Limits {
    Limits { at_once, most: at_once, kept: 0, windows: [None, None], guessed: false }
}

fn gate(at_once: usize) -> Arc<Gate> {
    Gate::new(places(at_once))
}

/// A gate with these quotas, of everything and of writes.
fn quotas(everything: Window, writes: Option<Window>) -> Arc<Gate> {
    Gate::new(Limits { windows: [Some(everything), writes], ..places(4) })
}

fn gates() -> Gates {
    Gates::new(Some(1))
}

fn pass(priority: Priority) -> Pass {
    Pass { priority, cost: [1, 0] }
}

fn after(wait: Option<Duration>) -> Refusal {
    Refusal { wait, ..Refusal::default() }
}

const EVIDENCE: Pass = Pass { priority: Priority::Evidence, cost: [1, 0] };

#[tokio::test]
async fn a_fence_holds_everybody_back_and_is_never_lowered() {
    let (clock, gate) = (clock(), gate(2));
    gate.throttled(Duration::ZERO, EVIDENCE, after(Some(30 * SECOND)));
    gate.throttled(Duration::ZERO, EVIDENCE, after(Some(5 * SECOND)));
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), 30 * SECOND);
    drop(gate.enter(&*clock, EVIDENCE, LATE).await.unwrap());
    assert_eq!(clock.monotonic(), 30 * SECOND);
}

#[tokio::test]
async fn a_fence_beyond_the_deadline_is_told_at_once_and_leaves_no_trace() {
    let (clock, gate) = (clock(), gate(1));
    gate.throttled(Duration::ZERO, EVIDENCE, after(Some(30 * SECOND)));
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
    let gate = quotas(Window::new(1, 10 * SECOND), None);
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
    let gate = quotas(Window::new(100, SECOND), None);
    gate.throttled(clock.monotonic(), EVIDENCE, after(Some(SECOND)));
    gate.throttled(clock.monotonic(), EVIDENCE, after(Some(SECOND)));
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
        let fence = gate.throttled(now, EVIDENCE, after(None));
        assert_eq!(gate.throttled(now, EVIDENCE, after(None)), fence, "the answers of one burst count once");
        waits.push((fence - now).as_secs());
        now = fence;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    gate.answered();
    assert_eq!(gate.throttled(now, EVIDENCE, after(None)) - now, SECOND);
}

#[tokio::test]
async fn a_quota_that_is_nearly_used_up_slows_down_before_a_429() {
    let clock = clock();
    let gates = gates();
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
    let gate = quotas(Window::new(100, 10 * SECOND), Some(Window::new(1, 150 * SECOND)));
    drop(gate.enter(&Frozen, WRITE, LATE).await.unwrap());
    let mut write = Box::pin(gate.enter(&Frozen, WRITE, LATE));
    assert!(poll!(&mut write).is_pending(), "first of all, and it waits for its quota");
    let mut read = Box::pin(gate.enter(&Frozen, EVIDENCE, LATE));
    assert!(poll!(&mut read).is_ready(), "a read does not stand behind it");
    let mut second = Box::pin(gate.enter(&Frozen, WRITE, LATE));
    assert!(poll!(&mut second).is_pending());
}

#[test]
fn too_many_of_one_kind_hold_back_no_other() {
    let refusal = |scope| Refusal { scope, ..after(Some(60 * SECOND)) };
    for (scope, refused, other) in [(Scope::Writes, WRITE, EVIDENCE), (Scope::Reads, EVIDENCE, WRITE)] {
        let gate = gate(4);
        gate.throttled(Duration::ZERO, refused, refusal(scope));
        assert_eq!((gate.fence(other), gate.fence(refused)), (Duration::ZERO, 60 * SECOND), "{scope:?}");
    }
}

#[test]
fn who_is_refused_waits_whatever_the_answer_says_that_there_was_too_much_of() {
    for (scope, refused) in [(Scope::Reads, WRITE), (Scope::Writes, EVIDENCE)] {
        let gate = gate(4);
        let until = gate.throttled(Duration::ZERO, refused, Refusal { scope, ..after(Some(9 * SECOND)) });
        assert_eq!((until, gate.fence(refused)), (9 * SECOND, 9 * SECOND), "{scope:?}");
    }
}

#[tokio::test]
async fn too_many_reads_slow_down_reads_and_no_write() {
    let gate = quotas(Window::new(4, 10 * SECOND), Some(Window::new(4, 10 * SECOND)));
    gate.throttled(Duration::ZERO, EVIDENCE, Refusal { scope: Scope::Reads, ..after(Some(Duration::ZERO)) });
    for _ in 0..3 {
        drop(gate.enter(&Frozen, WRITE, LATE).await.unwrap());
    }
    let mut read = Box::pin(gate.enter(&Frozen, EVIDENCE, LATE));
    assert!(poll!(&mut read).is_pending(), "half of the quota is more than used up");
    assert!(gate.enter(&Frozen, WRITE, LATE).await.is_ok());
}

#[tokio::test]
async fn evidence_leaves_places_and_a_tenth_of_the_quota_to_containment() {
    let windows = [Some(Window::new(20, 10 * SECOND)), None];
    let gate = Gate::new(Limits { kept: 2, windows, ..places(17) });
    let mut places = Vec::new();
    for _ in 0..17 {
        places.push(gate.enter(&Frozen, EVIDENCE, LATE).await.unwrap());
    }
    let mut read = Box::pin(gate.enter(&Frozen, EVIDENCE, LATE));
    assert!(poll!(&mut read).is_pending(), "all places are taken");
    places.push(gate.enter(&Frozen, WRITE, LATE).await.unwrap());
    places.truncate(1);
    assert!(poll!(&mut read).is_pending(), "nine tenths of the quota are used up");
    for _ in 0..2 {
        places.push(gate.enter(&Frozen, pass(Priority::Containment), LATE).await.unwrap());
    }
    let mut write = Box::pin(gate.enter(&Frozen, WRITE, LATE));
    assert!(poll!(&mut write).is_pending(), "and now all of it");
}

#[tokio::test]
async fn a_containment_finds_a_place_where_slow_reads_hold_those_that_complaints_left() {
    let gate = Gate::new(Limits { kept: 1, ..places(8) });
    for _burst in 0..3 {
        gate.throttled(Duration::ZERO, EVIDENCE, after(Some(Duration::ZERO)));
    }
    let _slow = gate.enter(&Frozen, EVIDENCE, LATE).await.unwrap();
    let mut read = Box::pin(gate.enter(&Frozen, EVIDENCE, LATE));
    assert!(poll!(&mut read).is_pending(), "an eighth of eight is taken");
    let mut write = Box::pin(gate.enter(&Frozen, WRITE, LATE));
    assert!(poll!(&mut write).is_ready());
}

#[tokio::test]
async fn a_service_that_keeps_up_gets_more_at_once_and_a_429_takes_it_back() {
    let (clock, gate) = (clock(), Gate::new(Limits { most: 4, ..places(2) }));
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
    gate.throttled(clock.monotonic(), EVIDENCE, after(Some(SECOND)));
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
    let gate = quotas(Window::new(10, 10 * SECOND), None);
    departures(&gate, &clock, 9).await;
    gate.used(clock.monotonic(), 0.95);
    departures(&gate, &clock, 1).await;
    assert_eq!(clock.monotonic(), Duration::ZERO, "the quota has counted that");
}

#[tokio::test]
async fn a_large_tenant_has_a_larger_quota() {
    let (clock, gates) = (clock(), gates());
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
    let (clock, gates) = (clock(), gates());
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
