//! How fast we ask: one gate for each budget of the services, shared by all requests of a session.
//!
//! ```text
//! budgets   which budget a request draws on, and how much: a table
//! gate      places, quotas, fences, priorities of one budget
//! breaker   a service that fails again and again is left alone
//! window    so much in so long
//! ```

mod breaker;
mod budgets;
mod gate;
mod window;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub(super) use budgets::{Budgeted, is_directory, units};
use gate::{Gate, Pass, Place};
pub(super) use gate::{Priority, Refusal, Shut};

use crate::model::Clock;
use budgets::{Kind, directory_units, kind_of, limits};

/// The gates of a session.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<Kind, Arc<Gate>>>);

/// The gates that one request has to pass, narrowest first.
pub(super) struct Lane {
    gates: Vec<Arc<Gate>>,
    pass: Pass,
    /// What the widest gate stands before.
    pub(super) on: &'static str,
}

/// A place at each gate of a lane, until it is dropped.
pub(super) struct Passage {
    _places: Vec<Place>,
}

impl Gates {
    /// The lane of a request.
    pub(super) fn lane(&self, request: &Budgeted<'_>) -> Lane {
        let kinds = kind_of(request);
        let on = kinds.last().map_or("the service", Kind::name);
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = |kind: Kind| Arc::clone(gates.entry(kind.clone()).or_insert_with(|| Gate::new(limits(&kind))));
        Lane { gates: kinds.into_iter().map(gate).collect(), pass: request.pass(), on }
    }

    /// The tenant has so many users, on which the directory's quota depends.
    pub(super) fn tenant_has(&self, users: u64) {
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

    /// We were told to hold back. When the widest gate opens again.
    pub(super) fn throttled(&self, now: Duration, refusal: Refusal) -> Duration {
        self.gates.last().map_or(now, |gate| gate.throttled(now, refusal))
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

    /// The service failed, or could not be reached.
    pub(super) fn failed(&self, now: Duration) {
        self.gates.iter().for_each(|gate| gate.failed(now));
    }

    /// The service answered, whatever it said.
    pub(super) fn reached(&self) {
        self.gates.iter().for_each(|gate| gate.reached());
    }
}

#[cfg(test)]
mod tests;
