//! How long to wait and when to give up: `Retry-After`, jitter, budgets. Pure but for the clock that it is given.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

use crate::client::draw::Draw;

/// Shortest and longest wait that a `Retry-After` can ask for.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_mins(5);

/// First and longest wait of our own.
const BASE: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(30);

/// `Retry-After` as seconds, whole or with decimals, or as an HTTP date, clamped to 0.1 s … 300 s.
///
/// Source: RFC 9110 10.2.3; decimals are Graph's ("throttling guidance" shows `2.128`).
pub(super) fn retry_after(value: &str, now: Timestamp) -> Option<Duration> {
    let value = value.trim();
    let seconds = match value.parse::<f64>() {
        Ok(seconds) if seconds.is_finite() => seconds,
        Ok(_) => return None,
        Err(_) => http_date(value)?.duration_since(now).as_secs_f64(),
    };
    let clamped = seconds.clamp(SHORTEST.as_secs_f64(), LONGEST.as_secs_f64());
    Duration::try_from_secs_f64(clamped).ok()
}

/// An HTTP date (`Tue, 12 Dec 2023 14:00:00 GMT`).
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(value.trim()).ok()
}

/// Times that one request may be throttled: it was certainly not executed, and its turn may come as long as there is
/// time.
const REFUSALS: u32 = 40;

/// What one request with its retries may use.
pub(super) struct Budget {
    attempts: u32,
    refused: u32,
    deadline: Duration,
    previous: Duration,
}

impl Budget {
    /// So many attempts, until this moment of the monotonic clock.
    pub(super) fn new(attempts: u32, deadline: Duration) -> Self {
        Self { attempts, refused: 0, deadline, previous: BASE }
    }

    /// When it ends, on the monotonic clock.
    pub(super) fn deadline(&self) -> Duration {
        self.deadline
    }

    /// The next wait of our own: decorrelated jitter, so that many clients do not come back together.
    pub(super) fn backoff(&mut self, draw: &Draw) -> Duration {
        self.previous = draw.between(BASE, self.previous.saturating_mul(3)).min(CAP);
        self.previous
    }

    /// Whether another attempt may follow attempt `made`, starting at `at`.
    pub(super) fn allows(&self, made: u32, at: Duration) -> bool {
        made < self.attempts && at <= self.deadline
    }

    /// The same, where attempts that were throttled have a count of their own.
    pub(super) fn allows_after(&mut self, made: u32, throttled: bool, at: Duration) -> bool {
        if throttled {
            self.refused += 1;
            return self.refused < REFUSALS && at <= self.deadline;
        }
        self.allows(made.saturating_sub(self.refused), at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BASE, Budget, CAP, REFUSALS, http_date, retry_after};
    use crate::client::draw::Draw;

    fn wait(value: &str) -> Option<Duration> {
        retry_after(value, "2023-12-12T14:00:00Z".parse().unwrap())
    }

    #[test]
    fn whole_seconds_decimals_and_dates_are_read() {
        assert_eq!(wait("10"), Some(Duration::from_secs(10)));
        assert_eq!(wait(" 2.128 "), Some(Duration::from_millis(2128)));
        assert_eq!(wait("Tue, 12 Dec 2023 14:00:42 GMT"), Some(Duration::from_secs(42)));
    }

    #[test]
    fn waits_are_clamped() {
        assert_eq!(wait("0"), Some(Duration::from_millis(100)));
        assert_eq!(wait("-5"), Some(Duration::from_millis(100)));
        assert_eq!(wait("3600"), Some(Duration::from_mins(5)));
        assert_eq!(wait("1e300"), Some(Duration::from_mins(5)));
        assert_eq!(wait("Tue, 12 Dec 2023 13:00:00 GMT"), Some(Duration::from_millis(100)));
    }

    #[test]
    fn nonsense_is_no_wait() {
        for value in ["", "soon", "inf", "NaN", "12 seconds", "2023-12-12"] {
            assert_eq!(wait(value), None, "{value}");
        }
    }

    #[test]
    fn a_date_with_a_wrong_weekday_is_still_a_date() {
        assert_eq!(http_date("Mon, 12 Dec 2023 14:00:00 GMT"), Some("2023-12-12T14:00:00Z".parse().unwrap()));
    }

    #[test]
    fn own_waits_grow_within_bounds() {
        let draw = Draw::new(Some(3));
        let mut budget = Budget::new(6, Duration::from_mins(5));
        let waits: Vec<_> = (0..200).map(|_| budget.backoff(&draw)).collect();
        assert!(waits.iter().all(|wait| (BASE..=CAP).contains(wait)));
        assert!(waits.iter().any(|wait| *wait > BASE * 3));
    }

    #[test]
    fn a_budget_ends_by_count_and_by_time() {
        let budget = Budget::new(2, Duration::from_secs(10));
        assert!(budget.allows(1, Duration::from_secs(10)));
        assert!(!budget.allows(2, Duration::ZERO));
        assert!(!budget.allows(1, Duration::from_secs(11)));
    }

    #[test]
    fn being_throttled_counts_by_itself_and_has_an_end() {
        let mut budget = Budget::new(2, Duration::from_secs(10));
        assert!((1..REFUSALS).all(|made| budget.allows_after(made, true, Duration::ZERO)));
        assert!(budget.allows_after(REFUSALS, false, Duration::ZERO), "the first of its kind");
        assert!(!budget.allows_after(REFUSALS + 1, false, Duration::ZERO));
        assert!(!budget.allows_after(REFUSALS + 2, true, Duration::ZERO));
    }
}
