//! The tenant's clock: the system's, or one that a test moves. Nobody else asks for the time.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A clock that can be shared and moved. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Debug, Clone, Copy)]
struct Reading {
    /// `None`: the system's time; otherwise time stands still here.
    fixed: Option<Timestamp>,
    offset: SignedDuration,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from(None)
    }

    /// A clock that stands at `start` until it is advanced.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::from(Some(start))
    }

    fn from(fixed: Option<Timestamp>) -> Self {
        Self(Arc::new(Mutex::new(Reading { fixed, offset: SignedDuration::ZERO })))
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let reading = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let base = reading.fixed.unwrap_or_else(Timestamp::now);
        base.checked_add(reading.offset).unwrap_or(base)
    }

    /// Moves the clock forward (or back, for a negative step). A system clock stays ahead by that much.
    pub fn advance(&self, step: SignedDuration) {
        let mut reading = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reading.offset = reading.offset.saturating_add(step);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manual_clock_moves_only_when_told() {
        let start: Timestamp = "2023-12-12T13:50:17Z".parse().unwrap();
        let clock = Clock::manual(start);
        let twin = clock.clone();
        assert_eq!(clock.now(), start);
        twin.advance(SignedDuration::from_mins(15));
        assert_eq!(clock.now().to_string(), "2023-12-12T14:05:17Z");
    }
}
