//! What a run tells while it goes on. Only for show: the journal is the record.

use crate::{client::Wait, model::Outcome};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A stage began.
    Stage {
        /// Its id.
        id: String,
    },
    /// A change was sent and accepted; verification goes on beside.
    Sent {
        /// Its id.
        change: String,
    },
    /// A change could not be made for now, and is left for `resume`.
    Left {
        /// Its id.
        change: String,
        /// Why.
        reason: String,
    },
    /// A long wait began.
    Waiting(Wait),
    /// A change ended.
    Ended {
        /// Its id.
        change: String,
        /// How.
        outcome: Outcome,
        /// Why.
        reason: String,
    },
}

/// Listens to a run.
pub trait Progress: Send + Sync {
    /// Takes one event; must not block.
    fn event(&self, event: Event);
}

impl Progress for () {
    fn event(&self, _event: Event) {}
}
