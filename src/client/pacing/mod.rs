//! How fast we ask: one gate for each budget of the services, shared by all requests of a session.
//!
//! ```text
//! budgets   which budget a request draws on, and how much: a table
//! gate      places, quotas, priorities of one budget
//! brakes    fences, and shares of the quotas, once the service complained
//! breaker   a service that fails again and again is left alone
//! window    so much in so long
//! ```

mod brakes;
mod breaker;
mod budgets;
mod gate;
mod window;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use brakes::Refusal;
pub(super) use brakes::Scope;
pub(super) use budgets::{Budgeted, is_directory, units};
use gate::{Gate, Pass, Place};
pub(super) use gate::{Priority, Shut};

use crate::{client::draw::Draw, model::Clock};
use budgets::{Kind, directory_units, kind_of, limits};

/// The gates of a session.
pub(super) struct Gates {
    gates: Mutex<HashMap<Kind, Arc<Gate>>>,
    draw: Draw,
}

/// The gates that one request has to pass, narrowest first.
pub(super) struct Lane {
    gates: Vec<Arc<Gate>>,
    pass: Pass,
    /// What the widest gate stands before.
    pub(super) on: &'static str,
    /// How much later than it must a fence opens that this request raises, from 0 to 1.
    spread: f64,
}

/// A place at each gate of a lane, until it is dropped.
pub(super) struct Passage {
    _places: Vec<Place>,
}

impl Gates {
    /// Gates that nobody has passed yet; the seed is that of their jitter.
    pub(super) fn new(seed: Option<u64>) -> Self {
        Self { gates: Mutex::default(), draw: Draw::new(seed) }
    }

    /// The lane of a request.
    pub(super) fn lane(&self, request: &Budgeted<'_>) -> Lane {
        let kinds = kind_of(request);
        let on = kinds.last().map_or("the service", Kind::name);
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = |kind: Kind| Arc::clone(gates.entry(kind.clone()).or_insert_with(|| Gate::new(limits(&kind))));
        let gates = kinds.into_iter().map(gate).collect();
        Lane { gates, pass: request.pass(), on, spread: self.draw.fraction() }
    }

    /// The tenant has so many users, on which the directory's quota depends.
    pub(super) fn tenant_has(&self, users: u64) {
        let mut gates = self.gates.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = gates.entry(Kind::Directory).or_insert_with(|| Gate::new(limits(&Kind::Directory)));
        gate.resize(directory_units(users));
    }
}

impl Lane {
    /// Waits for a place at each gate, until no fence stands any more.
    pub(super) async fn enter(&self, clock: &dyn Clock, deadline: Duration) -> Result<Passage, Shut> {
        let mut places = Vec::new();
        for gate in &self.gates {
            places.push(gate.enter(clock, self.pass, deadline).await?);
        }
        Ok(Passage { _places: places })
    }

    /// Until when the request is held back at least, as far as that is known.
    pub(super) fn shut(&self, now: Duration) -> Option<Shut> {
        self.gates.iter().filter_map(|gate| gate.shut(now, self.pass)).max_by_key(|shut| shut.until)
    }

    /// Whether a fence was raised since: then nothing more may leave.
    pub(super) fn is_fenced(&self, now: Duration) -> bool {
        self.gates.iter().any(|gate| gate.fence(self.pass) > now)
    }

    /// We were told to hold back, for as long as was said. When the widest gate opens again.
    pub(super) fn throttled(&self, now: Duration, wait: Option<Duration>, scope: Scope) -> Duration {
        let refusal = Refusal { wait, scope, spread: self.spread };
        self.gates.last().map_or(now, |gate| gate.throttled(now, self.pass, refusal))
    }

    /// A share of a quota is used up, as the service counts.
    pub(super) fn used(&self, now: Duration, share: f64) {
        self.gates.iter().for_each(|gate| gate.used(now, share));
    }

    /// The request cost so many resource units, as the service counts.
    pub(super) fn cost(&self, now: Duration, units: u32) {
        let [taken, _] = self.pass.cost;
        self.gates.iter().for_each(|gate| gate.correct(now, taken, units));
    }

    /// A request was answered well.
    pub(super) fn answered(&self) {
        self.gates.iter().for_each(|gate| gate.answered());
    }

    /// The service could not be reached.
    pub(super) fn unreached(&self, now: Duration) {
        self.gates.iter().for_each(|gate| gate.failed(now));
    }

    /// The service failed; perhaps it says for how long it wants to be left alone.
    pub(super) fn failed(&self, now: Duration, wait: Option<Duration>) {
        self.unreached(now);
        if wait.is_some() {
            self.throttled(now, wait, Scope::All);
        } else if let Some(widest) = self.gates.last() {
            widest.strained(now);
        }
    }

    /// The service answered, whatever it said.
    pub(super) fn reached(&self) {
        self.gates.iter().for_each(|gate| gate.reached());
    }
}

#[cfg(test)]
mod tests;
