//! The gate of one budget: places, quotas, fences. Who waits is let in by importance, then in order.
//!
//! The quotas are the published ones, so that a session begins at the right pace; what the service says corrects it:
//! a 429 halves the share of a quota that is used, quiet brings it back, and places are added one by one while the
//! service keeps up (additive increase, multiplicative decrease).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    breaker::{Breaker, Circuit},
    window::{LEAST, Window},
};
use crate::model::Clock;

/// What is let in first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::client) enum Priority {
    /// A change that contains.
    Containment,
    /// What a plan, a snapshot or a proof needs.
    Evidence,
    /// What is good to know.
    Enrichment,
}

/// A request as a gate sees it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pass {
    pub(super) priority: Priority,
    /// What it takes of each quota: of everything, and of writes.
    pub(super) cost: [u32; 2],
}

impl Pass {
    /// Whether it draws on the quota of writes.
    fn is_write(self) -> bool {
        self.cost[1] > 0
    }
}

/// What a gate lets through.
pub(super) struct Limits {
    /// Requests in flight, to begin with.
    pub(super) at_once: usize,
    /// The same, where the service keeps up.
    pub(super) most: usize,
    /// Quotas.
    pub(super) windows: [Option<Window>; 2],
}

/// A 429.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::client) struct Refusal {
    /// For how long, where that was said.
    pub(in crate::client) wait: Option<Duration>,
    /// Whether only writes were too many.
    pub(in crate::client) writes_only: bool,
}

/// The gate stays shut beyond the deadline of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Shut {
    /// Until then, on the monotonic clock.
    pub(in crate::client) until: Duration,
    /// Because the service fails, not because it throttles.
    pub(in crate::client) failing: bool,
}

/// First and longest fence where the service does not say how long.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// After so long without a complaint, a twentieth of the quota is used again.
const QUIET: Duration = Duration::from_secs(10);
const STEP: f64 = 0.05;
/// How much more of a quota the service may count than we do before we slow down.
const MARGIN: f64 = 0.1;

/// The gate of one budget.
pub(super) struct Gate(Mutex<State>);

struct State {
    limits: Limits,
    in_flight: usize,
    /// Places that are used where the whole share is, and answers since one was added.
    places: usize,
    kept_up: usize,
    /// There was a 429.
    cautious: bool,
    /// All requests, or those that are no writes where writes have a quota of their own.
    all: Side,
    writes: Side,
    tickets: u64,
    changed: Duration,
    penalty: Duration,
    breaker: Breaker,
}

/// A place in the order: importance first, then who came first.
type Number = (Priority, u64);

/// One of the quotas, and who waits for it.
struct Side {
    waiting: BTreeMap<Number, Arc<Notify>>,
    /// Nobody leaves before.
    fence: Duration,
    /// The share of the quota that is used: halved when we were too fast, and slowly raised again.
    share: f64,
}

impl Side {
    fn new() -> Self {
        Self { waiting: BTreeMap::new(), fence: Duration::ZERO, share: 1.0 }
    }

    fn first(&self) -> Option<Number> {
        self.waiting.first_key_value().map(|(number, _)| *number)
    }

    fn wake(&self) {
        if let Some((_, moved)) = self.waiting.first_key_value() {
            moved.notify_one();
        }
    }
}

/// What a look at the gate says.
enum Look {
    Enter,
    Until(Shut),
    /// Somebody else is first, or all places are taken.
    Behind,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let state = State {
            places: limits.at_once,
            limits,
            in_flight: 0,
            kept_up: 0,
            cautious: false,
            all: Side::new(),
            writes: Side::new(),
            tickets: 0,
            changed: Duration::ZERO,
            penalty: FIRST,
            breaker: Breaker::new(),
        };
        Arc::new(Self(Mutex::new(state)))
    }

    /// Waits until it is this request's turn.
    pub(super) async fn enter(
        self: &Arc<Self>,
        clock: &dyn Clock,
        pass: Pass,
        deadline: Duration,
    ) -> Result<Place, Shut> {
        let (number, moved) = self.with(|state| state.queue(pass));
        let ticket = Ticket { gate: self, number, pass };
        loop {
            let now = clock.monotonic();
            match self.with(|state| state.look(now, ticket.number, pass)) {
                Look::Enter => return Ok(Place(Arc::clone(self))),
                Look::Until(shut) if shut.until > deadline => return Err(shut),
                Look::Until(shut) => clock.sleep(shut.until.saturating_sub(now)).await,
                Look::Behind => moved.notified().await,
            }
        }
    }

    /// We were too fast. Holds back everybody, for as long as was asked; where nothing was said, for longer each
    /// time. The answers of one burst count once. When the gate opens again.
    pub(super) fn throttled(&self, now: Duration, refusal: Refusal) -> Duration {
        self.with(|state| state.throttle(now, refusal))
    }

    /// The service says how much of the quota is used up: above 0.8 we slow down before we are told to, unless it is
    /// ourselves who used it, which the quota has counted already.
    pub(super) fn used(&self, now: Duration, share: f64) {
        self.with(|state| {
            let known = state.limits.windows.iter().flatten().map(|window| window.used(now)).fold(0.0, f64::max);
            let told_before = !state.changed.is_zero() && now < state.changed + FIRST;
            if share > 0.8 && share > known + MARGIN && !told_before {
                for side in [&mut state.all, &mut state.writes] {
                    side.share = (side.share * 0.8).max(LEAST);
                }
                state.changed = now;
            }
        });
    }

    /// A request cost more units than was taken for it, or less.
    pub(super) fn correct(&self, now: Duration, taken: u32, cost: u32) {
        self.with(|state| {
            if let Some(window) = &mut state.limits.windows[0] {
                window.correct(now, taken, cost);
            }
        });
    }

    /// The first quota is another one than was thought.
    pub(super) fn resize(&self, most: u32) {
        self.with(|state| {
            if let Some(window) = &mut state.limits.windows[0] {
                window.resize(most);
            }
        });
    }

    /// A request was answered well. Where others wait and the service keeps up, there will be more places.
    pub(super) fn answered(&self) {
        self.with(|state| {
            state.penalty = FIRST;
            state.grow();
        });
    }

    /// The service failed, or could not be reached.
    pub(super) fn failed(&self, now: Duration) {
        self.with(|state| state.breaker.failed(now));
    }

    /// The service answered, whatever it said.
    pub(super) fn reached(&self) {
        self.with(|state| state.breaker.reached());
    }

    /// Until when such a request is held back at least, whoever waits before it.
    pub(super) fn shut(&self, now: Duration, pass: Pass) -> Option<Shut> {
        self.with(|state| {
            if let Circuit::Open(until) = state.breaker.look(now, pass.priority, state.in_flight) {
                return Some(Shut { until, failing: true });
            }
            let until = state.wait(now, pass.cost).unwrap_or_default().max(state.fence(pass));
            (until > now).then_some(Shut { until, failing: false })
        })
    }

    /// Such a request does not leave before.
    pub(super) fn fence(&self, pass: Pass) -> Duration {
        self.with(|state| state.fence(pass))
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn side(&mut self, pass: Pass) -> &mut Side {
        if pass.is_write() { &mut self.writes } else { &mut self.all }
    }

    fn queue(&mut self, pass: Pass) -> (Number, Arc<Notify>) {
        self.tickets += 1;
        let (number, moved) = ((pass.priority, self.tickets), Arc::new(Notify::new()));
        self.side(pass).waiting.insert(number, Arc::clone(&moved));
        (number, moved)
    }

    fn fence(&self, pass: Pass) -> Duration {
        if pass.is_write() { self.all.fence.max(self.writes.fence) } else { self.all.fence }
    }

    fn look(&mut self, now: Duration, number: Number, pass: Pass) -> Look {
        let throttled = |until| Look::Until(Shut { until, failing: false });
        if now < self.fence(pass) {
            self.all.wake();
            return throttled(self.fence(pass));
        }
        self.recover(now);
        let circuit = self.breaker.look(now, pass.priority, self.in_flight);
        if let Circuit::Open(until) = circuit {
            return Look::Until(Shut { until, failing: true });
        }
        let full = circuit == Circuit::Probing || self.in_flight >= self.places();
        if full || !self.is_first(now, number, pass) {
            return Look::Behind;
        }
        if let Some(until) = self.wait(now, pass.cost) {
            // A read may have waited for a write that now waits for its own quota.
            self.all.wake();
            return throttled(until);
        }
        for (window, cost) in self.limits.windows.iter_mut().zip(pass.cost) {
            if let Some(window) = window {
                window.take(now, cost);
            }
        }
        self.side(pass).waiting.remove(&number);
        self.in_flight += 1;
        self.wake();
        Look::Enter
    }

    /// Until when the quotas make a request of this cost wait.
    fn wait(&self, now: Duration, cost: [u32; 2]) -> Option<Duration> {
        let quotas = self.limits.windows.iter().zip(cost).zip([self.all.share, self.writes.share]);
        quotas.filter_map(|((window, cost), share)| window.as_ref()?.wait(now, cost, share)).max()
    }

    /// Whether nobody goes before. Writes that wait for their own quota are passed by what does not draw on it.
    fn is_first(&self, now: Duration, number: Number, pass: Pass) -> bool {
        let (own, other) = if pass.is_write() { (&self.writes, &self.all) } else { (&self.all, &self.writes) };
        let writes_wait = || now < self.writes.fence || self.wait(now, [0, 1]).is_some();
        own.first() == Some(number)
            && (other.first().is_none_or(|other| number < other) || !pass.is_write() && writes_wait())
    }

    fn throttle(&mut self, now: Duration, refusal: Refusal) -> Duration {
        let side = if refusal.writes_only { &mut self.writes } else { &mut self.all };
        let first = now >= side.fence;
        let wait = match refusal.wait {
            Some(wait) => wait,
            None if first => {
                let longer = (self.penalty * 2).min(LONGEST);
                std::mem::replace(&mut self.penalty, longer)
            }
            None => Duration::ZERO,
        };
        side.fence = side.fence.max(now + wait);
        let until = side.fence;
        self.changed = now;
        if first {
            self.slow_down(refusal.writes_only);
        }
        until
    }

    /// One place more for each answer, which doubles them in a round; after the first 429 one in a round.
    fn grow(&mut self) {
        let needed = self.in_flight >= self.places || !self.all.waiting.is_empty();
        if !needed || self.places >= self.limits.most {
            return;
        }
        self.kept_up += 1;
        if !self.cautious || self.kept_up >= self.places {
            (self.places, self.kept_up) = (self.places + 1, 0);
        }
    }

    fn slow_down(&mut self, writes_only: bool) {
        self.cautious = true;
        self.writes.share = (self.writes.share / 2.0).max(LEAST);
        if !writes_only {
            self.all.share = (self.all.share / 2.0).max(LEAST);
            self.places = (self.places / 2).max(self.limits.at_once);
        }
    }

    fn recover(&mut self, now: Duration) {
        while self.all.share.min(self.writes.share) < 1.0 && now >= self.changed + QUIET {
            for side in [&mut self.all, &mut self.writes] {
                side.share = (side.share + STEP).min(1.0);
            }
            self.changed += QUIET;
        }
    }

    /// Fewer at once, too, while only a share is used.
    fn places(&self) -> usize {
        let (mut places, mut share) = (self.places, self.all.share);
        while share < 0.75 && places > 1 {
            places = places.div_ceil(2);
            share *= 2.0;
        }
        places
    }

    fn wake(&self) {
        self.writes.wake();
        self.all.wake();
    }
}

/// A place in a queue; given up when nobody waits in it any more.
struct Ticket<'g> {
    gate: &'g Gate,
    number: Number,
    pass: Pass,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.gate.with(|state| {
            state.side(self.pass).waiting.remove(&self.number);
            state.wake();
        });
    }
}

/// A place in flight.
pub(super) struct Place(Arc<Gate>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.with(|state| {
            state.in_flight = state.in_flight.saturating_sub(1);
            state.wake();
        });
    }
}
