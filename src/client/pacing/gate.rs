//! The gate of one budget: places, quotas, fences. Who waits is let in by importance, then in order.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use super::window::{LEAST, Window};
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
    /// What it takes of each quota.
    pub(super) cost: [u32; 2],
}

/// What a gate lets through.
pub(super) struct Limits {
    /// Requests in flight.
    pub(super) at_once: usize,
    /// Quotas.
    pub(super) windows: [Option<Window>; 2],
}

/// The fence stands beyond the deadline of the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client) struct Fenced {
    /// Until then, on the monotonic clock.
    pub(in crate::client) until: Duration,
}

/// First and longest fence where the service does not say how long.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// After so long without a complaint, a twentieth of the quota is used again.
const QUIET: Duration = Duration::from_secs(10);
const STEP: f64 = 0.05;

/// The gate of one budget.
pub(super) struct Gate {
    state: Mutex<State>,
    moved: Notify,
}

struct State {
    limits: Limits,
    in_flight: usize,
    waiting: BTreeSet<(Priority, u64)>,
    tickets: u64,
    fence: Duration,
    /// The share of the quotas that is used: halved when we were too fast, and slowly raised again.
    share: f64,
    changed: Duration,
    penalty: Duration,
}

/// What a look at the gate says.
enum Look {
    Enter,
    Until(Duration),
    /// Somebody else is first, or all places are taken.
    Behind,
}

impl Gate {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        let state = State {
            limits,
            in_flight: 0,
            waiting: BTreeSet::new(),
            tickets: 0,
            fence: Duration::ZERO,
            share: 1.0,
            changed: Duration::ZERO,
            penalty: FIRST,
        };
        Arc::new(Self { state: Mutex::new(state), moved: Notify::new() })
    }

    /// Waits until it is this request's turn.
    pub(super) async fn enter(
        self: &Arc<Self>,
        clock: &dyn Clock,
        pass: Pass,
        deadline: Duration,
    ) -> Result<Place, Fenced> {
        let ticket = Ticket { gate: self, number: self.with(|state| state.queue(pass.priority)) };
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            // From here on no movement is missed.
            moved.as_mut().enable();
            let now = clock.monotonic();
            match self.with(|state| state.look(now, ticket.number, pass)) {
                Look::Enter => return Ok(Place(Arc::clone(self))),
                Look::Until(until) if until > deadline => return Err(Fenced { until }),
                Look::Until(until) => clock.sleep(until.saturating_sub(now)).await,
                Look::Behind => moved.await,
            }
        }
    }

    /// We were too fast. Holds back everybody, for as long as was asked; where nothing was said, for longer each
    /// time. The answers of one burst count once. When the gate opens again.
    pub(super) fn throttled(&self, now: Duration, wait: Option<Duration>) -> Duration {
        self.with(|state| {
            let first = now >= state.fence;
            if first {
                state.share = (state.share / 2.0).max(LEAST);
            }
            state.changed = now;
            let wait = match wait {
                Some(wait) => wait,
                None if first => {
                    let longer = (state.penalty * 2).min(LONGEST);
                    std::mem::replace(&mut state.penalty, longer)
                }
                None => Duration::ZERO,
            };
            state.fence = state.fence.max(now + wait);
            state.fence
        })
    }

    /// The quota is nearly used up.
    pub(super) fn ease(&self, now: Duration) {
        self.with(|state| {
            if now >= state.changed + FIRST || state.changed.is_zero() {
                state.share = (state.share * 0.8).max(LEAST);
                state.changed = now;
            }
        });
    }

    /// A request was answered otherwise.
    pub(super) fn answered(&self) {
        self.with(|state| state.penalty = FIRST);
    }

    /// Nobody leaves before.
    pub(super) fn fence(&self) -> Duration {
        self.with(|state| state.fence)
    }

    fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl State {
    fn queue(&mut self, priority: Priority) -> (Priority, u64) {
        self.tickets += 1;
        let number = (priority, self.tickets);
        self.waiting.insert(number);
        number
    }

    fn look(&mut self, now: Duration, ticket: (Priority, u64), pass: Pass) -> Look {
        if now < self.fence {
            return Look::Until(self.fence);
        }
        self.recover(now);
        if self.waiting.first() != Some(&ticket) || self.in_flight >= self.places() {
            return Look::Behind;
        }
        let quotas = self.limits.windows.iter().zip(pass.cost);
        let waits = quotas.filter_map(|(window, cost)| window.as_ref()?.wait(now, cost, self.share));
        if let Some(until) = waits.max() {
            return Look::Until(until);
        }
        for (window, cost) in self.limits.windows.iter_mut().zip(pass.cost) {
            if let Some(window) = window {
                window.take(now, cost);
            }
        }
        self.waiting.remove(&ticket);
        self.in_flight += 1;
        Look::Enter
    }

    fn recover(&mut self, now: Duration) {
        while self.share < 1.0 && now >= self.changed + QUIET {
            self.share = (self.share + STEP).min(1.0);
            self.changed += QUIET;
        }
    }

    /// Fewer at once, too, while only a share is used.
    fn places(&self) -> usize {
        let mut places = self.limits.at_once;
        let mut share = self.share;
        while share < 0.75 && places > 1 {
            places = places.div_ceil(2);
            share *= 2.0;
        }
        places
    }
}

/// A place in the queue; given up when nobody waits in it any more.
struct Ticket<'g> {
    gate: &'g Gate,
    number: (Priority, u64),
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.gate.with(|state| state.waiting.remove(&self.number));
        self.gate.moved.notify_waiters();
    }
}

/// A place in flight.
pub(super) struct Place(Arc<Gate>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.with(|state| state.in_flight = state.in_flight.saturating_sub(1));
        self.0.moved.notify_waiters();
    }
}
