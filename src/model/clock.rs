//! Time as a parameter: nothing else in the crate asks the machine what time it is.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use jiff::Timestamp;

/// A source of time, and of waiting.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, UTC.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary start, which never runs backwards.
    fn monotonic(&self) -> Duration;
    /// Waits for `length`.
    fn sleep(&self, length: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: Instant,
}

impl SystemClock {
    /// Starts the monotonic count at zero.
    pub fn start() -> Arc<dyn Clock> {
        Arc::new(Self { started: Instant::now() })
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let now = Timestamp::now();
        // The record keeps milliseconds; more would only look exact.
        now.round(jiff::Unit::Millisecond).unwrap_or(now)
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    fn sleep(&self, length: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(length))
    }
}

/// A clock that stands still, except that a wait moves it on at once: for tests.
#[derive(Debug)]
pub struct ManualClock {
    start: Timestamp,
    passed: Mutex<Duration>,
}

impl ManualClock {
    /// A clock that stands at `start`.
    pub fn at(start: Timestamp) -> Arc<Self> {
        Arc::new(Self { start, passed: Mutex::new(Duration::ZERO) })
    }

    /// Moves the clock on.
    pub fn advance(&self, length: Duration) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        *passed = passed.saturating_add(length);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.start.saturating_add(self.monotonic()).unwrap_or(Timestamp::MAX)
    }

    fn monotonic(&self) -> Duration {
        *self.passed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn sleep(&self, length: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.advance(length);
        Box::pin(tokio::task::yield_now())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Clock as _, ManualClock};

    #[tokio::test]
    async fn a_wait_moves_a_manual_clock_and_takes_no_time() {
        let clock = ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap());
        clock.sleep(Duration::from_secs(900)).await;
        assert_eq!(clock.now().to_string(), "2023-12-12T14:15:00Z");
        assert_eq!(clock.monotonic(), Duration::from_secs(900));
    }
}
