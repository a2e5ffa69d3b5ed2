//! The tenant's time, as far as its `Date` headers show it.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use jiff::Timestamp;

use crate::model::Clock;

/// The freshest `Date`, and when it was received on the monotonic clock.
#[derive(Default)]
pub(super) struct ServerTime(Mutex<Option<(Timestamp, Duration)>>);

impl ServerTime {
    /// Keeps a `Date` that was just received.
    pub(super) fn note(&self, date: Timestamp, received: Duration) {
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.is_none_or(|(_, before)| received >= before) {
            *seen = Some((date, received));
        }
    }

    /// A lower bound of the tenant's time in whole seconds: a `Date` is cut to seconds and has travelled. Our
    /// own wall clock until one was seen.
    pub(super) fn now(&self, clock: &dyn Clock) -> Timestamp {
        let seen = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let estimate = match seen {
            Some((date, received)) => {
                let passed = clock.monotonic().saturating_sub(received);
                date.saturating_add(passed).unwrap_or(Timestamp::MAX)
            }
            None => clock.now(),
        };
        Timestamp::from_second(estimate.as_second()).unwrap_or(estimate)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::ServerTime;
    use crate::model::{Clock as _, ManualClock};

    #[test]
    fn the_tenants_clock_runs_on_from_its_last_date() {
        let clock = ManualClock::at("2023-12-12T14:00:00.700Z".parse().unwrap());
        let times = ServerTime::default();
        assert_eq!(times.now(&*clock).to_string(), "2023-12-12T14:00:00Z");

        times.note("2023-12-12T13:58:30Z".parse().unwrap(), clock.monotonic());
        clock.advance(Duration::from_millis(2900));
        assert_eq!(times.now(&*clock).to_string(), "2023-12-12T13:58:32Z");
    }

    #[test]
    fn an_older_answer_does_not_replace_a_fresher_one() {
        let clock = ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap());
        clock.advance(Duration::from_secs(10));
        let times = ServerTime::default();
        times.note("2023-12-12T14:00:10Z".parse().unwrap(), Duration::from_secs(10));
        times.note("2023-12-12T13:00:00Z".parse().unwrap(), Duration::from_secs(4));
        assert_eq!(times.now(&*clock).to_string(), "2023-12-12T14:00:10Z");
    }
}
