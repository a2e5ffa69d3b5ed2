//! How fast we ask: one gate for each budget of the services, shared by all requests of a session.
//!
//! ```text
//! budgets   which budget a request draws on, and how much: a table
//! gate      places, quotas, fences, priorities of one budget
//! window    so much in so long
//! ```

mod budgets;
mod gate;
mod window;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

pub(super) use budgets::{Budgeted, is_directory, units};
pub(super) use gate::{Fenced, Priority};
use gate::{Gate, Pass, Place};

use crate::model::Clock;
use budgets::{Kind, kind_of, limits};

/// The gates of a session.
#[derive(Default)]
pub(super) struct Gates(Mutex<HashMap<Kind, Arc<Gate>>>);

/// The gates that one request has to pass, narrowest first.
pub(super) struct Lane {
    gates: Vec<Arc<Gate>>,
    pass: Pass,
}

/// A place at each gate of a lane, until it is dropped.
pub(super) struct Passage {
    _places: Vec<Place>,
}

impl Gates {
    /// The lane of a request.
    pub(super) fn lane(&self, request: &Budgeted<'_>) -> Lane {
        let kinds = kind_of(request);
        let mut gates = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let gate = |kind: Kind| Arc::clone(gates.entry(kind.clone()).or_insert_with(|| Gate::new(limits(&kind))));
        Lane { gates: kinds.into_iter().map(gate).collect(), pass: request.pass() }
    }
}

impl Lane {
    /// Waits for a place at each gate, until no fence stands any more.
    pub(super) async fn enter(&self, clock: &dyn Clock, deadline: Duration) -> Result<Passage, Fenced> {
        let mut places = Vec::new();
        for gate in &self.gates {
            places.push(gate.enter(clock, self.pass, deadline).await?);
        }
        Ok(Passage { _places: places })
    }

    /// Whether a fence was raised since: then nothing more may leave.
    pub(super) fn is_fenced(&self, now: Duration) -> bool {
        self.gates.iter().any(|gate| gate.fence() > now)
    }

    /// We were told to hold back, for so long where that was said. When the widest gate opens again.
    pub(super) fn throttled(&self, now: Duration, wait: Option<Duration>) -> Duration {
        self.gates.last().map_or(now, |gate| gate.throttled(now, wait))
    }

    /// A share of the quota is used up: above 0.8 we slow down before we are told to.
    pub(super) fn used(&self, now: Duration, share: f64) {
        if share > 0.8 {
            self.gates.iter().for_each(|gate| gate.ease(now));
        }
    }

    /// A request was answered.
    pub(super) fn answered(&self) {
        self.gates.iter().for_each(|gate| gate.answered());
    }
}

#[cfg(test)]
mod tests;
