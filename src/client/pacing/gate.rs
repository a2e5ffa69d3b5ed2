//! The gate of one budget: places, quotas, priorities. Who waits is let in by importance, then in order.
//!
//! The quotas are the published ones, so that a session begins at the right pace; what the service says corrects it
//! ([`Brakes`]), and places are added one by one while the service keeps up. Something is kept for changes that
//! contain: they wait for no evidence.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::{
    brakes::{Brakes, Refusal, Scope},
    breaker::{Breaker, Circuit},
    window::Window,
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

    fn scope(self) -> Scope {
        Scope::of(self.is_write())
    }

    fn contains(self) -> bool {
        self.priority == Priority::Containment
    }
}

/// What a gate lets through.
pub(super) struct Limits {
    /// Requests in flight, to begin with.
    pub(super) at_once: usize,
    /// The same, where the service keeps up.
    pub(super) most: usize,
    /// Places beside these that only a change that contains may take. Where there are such, nothing else takes the
    /// last tenth of the quotas either.
    pub(super) kept: usize,
    /// Quotas: of everything, and of writes.
    pub(super) windows: [Option<Window>; 2],
    /// Nothing is published of them, so that failing may be the service's way to say that there were too many.
    pub(super) guessed: bool,
}

/// The gate stays shut beyond the deadline of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Shut {
    /// Until then, on the monotonic clock.
    pub(in crate::client) until: Duration,
    /// Because the service fails, not because it throttles.
    pub(in crate::client) failing: bool,
}

/// How much more of a quota the service may count than we do before we slow down.
const MARGIN: f64 = 0.1;
/// The share of a quota that is left to changes that contain, where something is kept for them.
const KEPT: f64 = 0.1;

/// The gate of one budget.
pub(super) struct Gate(Mutex<State>);

struct State {
    limits: Limits,
    in_flight: usize,
    /// Places that are used where the whole share is, and answers since one was added.
    places: usize,
    kept_up: usize,
    /// The service complained.
    cautious: bool,
    reads: Queue,
    writes: Queue,
    tickets: u64,
    brakes: Brakes,
    breaker: Breaker,
}

/// A place in the order: importance first, then who came first.
type Number = (Priority, u64);

/// Who waits.
#[derive(Default)]
struct Queue(BTreeMap<Number, Arc<Notify>>);

impl Queue {
    fn first(&self) -> Option<Number> {
        self.0.first_key_value().map(|(number, _)| *number)
    }

    fn wake(&self) {
        if let Some((_, moved)) = self.0.first_key_value() {
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
            reads: Queue::default(),
            writes: Queue::default(),
            tickets: 0,
            brakes: Brakes::new(),
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

    /// We were too fast. Holds back everybody in the scope, for as long as was asked; where nothing was said, for
    /// longer each time. The answers of one burst count once. When such a request may leave again.
    pub(super) fn throttled(&self, now: Duration, pass: Pass, refusal: Refusal) -> Duration {
        self.with(|state| {
            // Who was refused waits, whatever the answer says that there was too much of.
            let scope = if refusal.scope == pass.scope() { refusal.scope } else { Scope::All };
            if state.brakes.refused(now, Refusal { scope, ..refusal }) {
                state.shrink(scope);
            }
            state.fence(pass)
        })
    }

    /// The service says how much of the quota is used up: above 0.8 we slow down before we are told to, unless it is
    /// ourselves who used it, which the quota has counted already.
    pub(super) fn used(&self, now: Duration, share: f64) {
        self.with(|state| {
            let known = state.limits.windows.iter().flatten().map(|window| window.used(now)).fold(0.0, f64::max);
            if share > 0.8 && share > known + MARGIN {
                state.brakes.slow_down(now, 0.8);
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
            state.brakes.answered();
            state.grow();
        });
    }

    /// The service failed, or could not be reached.
    pub(super) fn failed(&self, now: Duration) {
        self.with(|state| state.breaker.failed(now));
    }

    /// The service failed under what we sent it, perhaps because it was too much.
    pub(super) fn strained(&self, now: Duration) {
        self.with(|state| {
            if state.limits.guessed && state.brakes.slow_down(now, 0.5) {
                state.shrink(Scope::All);
            }
        });
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
            let until = state.wait(now, pass).unwrap_or_default().max(state.fence(pass));
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
    /// The queue of such a request, and the other one.
    fn queues(&mut self, pass: Pass) -> (&mut Queue, &mut Queue) {
        if pass.is_write() { (&mut self.writes, &mut self.reads) } else { (&mut self.reads, &mut self.writes) }
    }

    fn queue(&mut self, pass: Pass) -> (Number, Arc<Notify>) {
        self.tickets += 1;
        let (number, moved) = ((pass.priority, self.tickets), Arc::new(Notify::new()));
        self.queues(pass).0.0.insert(number, Arc::clone(&moved));
        (number, moved)
    }

    fn leave(&mut self, pass: Pass, number: Number) {
        self.queues(pass).0.0.remove(&number);
        self.wake();
    }

    fn fence(&self, pass: Pass) -> Duration {
        self.brakes.fence(pass.scope())
    }

    fn look(&mut self, now: Duration, number: Number, pass: Pass) -> Look {
        let throttled = |until| Look::Until(Shut { until, failing: false });
        if now < self.fence(pass) {
            self.queues(pass).1.wake();
            return throttled(self.fence(pass));
        }
        self.brakes.recover(now);
        let circuit = self.breaker.look(now, pass.priority, self.in_flight);
        if let Circuit::Open(until) = circuit {
            return Look::Until(Shut { until, failing: true });
        }
        let full = circuit == Circuit::Probing || self.in_flight >= self.places(pass);
        if full || !self.is_first(now, number, pass) {
            return Look::Behind;
        }
        if let Some(until) = self.wait(now, pass) {
            // A read may have waited for a write that now waits for its own quota.
            self.queues(pass).1.wake();
            return throttled(until);
        }
        for (window, cost) in self.limits.windows.iter_mut().zip(pass.cost) {
            if let Some(window) = window {
                window.take(now, cost);
            }
        }
        self.in_flight += 1;
        self.leave(pass, number);
        Look::Enter
    }

    /// Until when the quotas make such a request wait.
    fn wait(&self, now: Duration, pass: Pass) -> Option<Duration> {
        let [everything, writes] = &self.limits.windows;
        let kept = if self.limits.kept == 0 || pass.contains() { 0.0 } else { KEPT };
        let share = self.share(pass) * (1.0 - kept);
        let first = everything.as_ref().and_then(|window| window.wait(now, pass.cost[0], share));
        let share = self.brakes.share(Scope::Writes);
        first.max(writes.as_ref().and_then(|window| window.wait(now, pass.cost[1], share)))
    }

    /// The share of what is there for everybody that such a request may use.
    fn share(&self, pass: Pass) -> f64 {
        self.brakes.share(if pass.is_write() { Scope::All } else { Scope::Reads })
    }

    /// Whether nobody goes before. Writes that wait for their own quota are passed by what does not draw on it.
    fn is_first(&self, now: Duration, number: Number, pass: Pass) -> bool {
        let (own, other) = if pass.is_write() { (&self.writes, &self.reads) } else { (&self.reads, &self.writes) };
        let a_write = Pass { priority: Priority::Containment, cost: [0, 1] };
        let writes_wait = || now < self.fence(a_write) || self.wait(now, a_write).is_some();
        own.first() == Some(number)
            && (other.first().is_none_or(|other| number < other) || !pass.is_write() && writes_wait())
    }

    /// One place more for each answer, which doubles them in a round; after the first complaint one in a round.
    fn grow(&mut self) {
        let needed = self.in_flight >= self.places || !self.reads.0.is_empty();
        if !needed || self.places >= self.limits.most {
            return;
        }
        self.kept_up += 1;
        if !self.cautious || self.kept_up >= self.places {
            (self.places, self.kept_up) = (self.places + 1, 0);
        }
    }

    /// Fewer places, where it was not only reads or only writes that were too many.
    fn shrink(&mut self, scope: Scope) {
        self.cautious = true;
        if scope == Scope::All {
            self.places = (self.places / 2).max(self.limits.at_once);
        }
    }

    /// Places that such a request may find taken. Fewer while only a share is used.
    fn places(&self, pass: Pass) -> usize {
        let (mut places, mut share) = (self.places, self.share(pass));
        while share < 0.75 && places > 1 {
            places = places.div_ceil(2);
            share *= 2.0;
        }
        if pass.contains() { places + self.limits.kept } else { places }
    }

    fn wake(&self) {
        self.writes.wake();
        self.reads.wake();
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
        self.gate.with(|state| state.leave(self.pass, self.number));
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
