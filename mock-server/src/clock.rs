//! The tenant's clock: the system's, one that a test moves, or one that follows another. Nobody else asks for the time.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// A clock that can be shared and moved. Clones show the same time.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Mutex<Reading>>);

#[derive(Clone)]
struct Reading {
    source: Source,
    offset: SignedDuration,
}

/// What the clock goes by.
#[derive(Clone)]
enum Source {
    System,
    /// Time stands still here.
    Fixed(Timestamp),
    /// Somebody else's clock.
    Other(Arc<dyn Fn() -> Timestamp + Send + Sync>),
}

impl fmt::Debug for Reading {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} + {:?}", self.source.now(), self.offset)
    }
}

impl Source {
    fn now(&self) -> Timestamp {
        match self {
            Self::System => Timestamp::now(),
            Self::Fixed(time) => *time,
            Self::Other(clock) => clock(),
        }
    }
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::from(Source::System)
    }

    /// A clock that stands at `start` until it is advanced.
    #[must_use]
    pub fn manual(start: Timestamp) -> Self {
        Self::from(Source::Fixed(start))
    }

    /// A clock that shows what another one shows: that of a simulation, or of a client under test.
    #[must_use]
    pub fn follow(other: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self::from(Source::Other(Arc::new(other)))
    }

    fn from(source: Source) -> Self {
        Self(Arc::new(Mutex::new(Reading { source, offset: SignedDuration::ZERO })))
    }

    /// What the clock shows.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let reading = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let base = reading.source.now();
        base.checked_add(reading.offset).unwrap_or(base)
    }

    /// Moves the clock forward (or back, for a negative step). One that is not manual stays ahead by that much.
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
    #[test]
    fn a_clock_that_follows_shows_what_the_other_shows() {
        let other = Clock::manual("2023-12-12T13:50:17Z".parse().unwrap());
        let followed = other.clone();
        let clock = Clock::follow(move || followed.now());
        other.advance(SignedDuration::from_secs(3));
        assert_eq!(clock.now().to_string(), "2023-12-12T13:50:20Z");
        clock.advance(SignedDuration::from_secs(1));
        assert_eq!((clock.now() - other.now()).get_seconds(), 1);
    }
}
