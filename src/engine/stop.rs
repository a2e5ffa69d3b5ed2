//! A request to end a run: no new change is begun, what is under way is recorded.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

/// Shared between whoever hears Ctrl-C and the engine.
#[derive(Clone, Debug, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks the run to end.
    pub fn request(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether it was asked.
    pub fn requested(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}
