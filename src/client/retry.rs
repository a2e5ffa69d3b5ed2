//! How long to wait and when to give up: `Retry-After`, jitter, budgets. Pure but for the clock that it is given.

use std::time::Duration;

use jiff::{Timestamp, fmt::rfc2822};

use crate::client::draw::Draw;

/// Shortest and longest wait that a `Retry-After` can make us take.
const SHORTEST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_mins(5);

/// First and longest wait of our own.
const BASE: Duration = Duration::from_millis(500);
const CAP: Duration = Duration::from_secs(30);

/// A `Retry-After`: RFC 9110 10.2.3; decimals are Graph's ("throttling guidance" shows `2.128`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetryAfter {
    /// As it was said.
    pub(super) said: Duration,
    /// As long as we wait: 0.1 s … 300 s.
    pub(super) wait: Duration,
}

impl RetryAfter {
    /// Seconds, whole or with decimals, or an HTTP date.
    pub(super) fn parse(value: &str, now: Timestamp) -> Option<Self> {
        let value = value.trim();
        let seconds = match value.parse::<f64>() {
            Ok(seconds) if seconds.is_finite() => seconds,
            Ok(_) => return None,
            Err(_) => http_date(value)?.duration_since(now).as_secs_f64(),
        };
        let said = Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(Duration::MAX);
        Some(Self { said, wait: said.clamp(SHORTEST, LONGEST) })
    }

    /// What was said, in words, where it is longer than we wait.
    pub(super) fn longer(self) -> Option<String> {
        (self.said > self.wait).then(|| format!("it asks to be left alone for {} s", self.said.as_secs()))
    }
}

/// An HTTP date (`Tue, 12 Dec 2023 14:00:00 GMT`).
pub(super) fn http_date(value: &str) -> Option<Timestamp> {
    rfc2822::DateTimeParser::new().relaxed_weekday(true).parse_timestamp(value.trim()).ok()
}

/// Refusals after which a request that is throttled waits for more than it is told to: a service that always asks for
/// a second must not be asked every second.
const SOON: u32 = 8;

/// What one request with its retries may use.
pub(super) struct Budget {
    /// None where time alone is the limit.
    attempts: Option<u32>,
    refused: u32,
    deadline: Duration,
    previous: Duration,
}

impl Budget {
    /// So many attempts, until this moment of the monotonic clock. Being throttled is no attempt: the request was
    /// certainly not executed, and its turn may come as long as there is time.
    pub(super) fn new(attempts: u32, deadline: Duration) -> Self {
        Self { attempts: Some(attempts), ..Self::until(deadline) }
    }

    /// As many attempts as there is time for.
    pub(super) fn until(deadline: Duration) -> Self {
        Self { attempts: None, refused: 0, deadline, previous: BASE }
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

    /// The wait of our own before a request that was throttled comes back to the gate.
    pub(super) fn after_refusal(&mut self, draw: &Draw) -> Duration {
        self.refused += 1;
        if self.refused > SOON { self.backoff(draw) } else { Duration::ZERO }
    }

    /// Whether another attempt may follow attempt `made`, starting at `at`.
    pub(super) fn allows(&self, made: u32, at: Duration) -> bool {
        let left = self.attempts.is_none_or(|attempts| made.saturating_sub(self.refused) < attempts);
        left && at <= self.deadline
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{BASE, Budget, CAP, RetryAfter, SOON, http_date};
    use crate::client::draw::Draw;

    fn wait(value: &str) -> Option<Duration> {
        RetryAfter::parse(value, "2023-12-12T14:00:00Z".parse().unwrap()).map(|asked| asked.wait)
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
    fn being_throttled_is_no_attempt_and_slows_down_in_the_end() {
        let draw = Draw::new(Some(3));
        let mut budget = Budget::new(2, Duration::from_secs(10));
        let waits: Vec<_> = (0..100).map(|_| budget.after_refusal(&draw)).collect();
        let (soon, late) = waits.split_at(SOON as usize);
        assert!(soon.iter().all(Duration::is_zero) && late.iter().all(|wait| *wait >= BASE), "{waits:?}");
        assert!(budget.allows(101, Duration::ZERO) && !budget.allows(102, Duration::ZERO));
        assert!(!budget.allows(101, Duration::from_secs(11)));
    }

    #[test]
    fn where_time_is_the_limit_attempts_are_not() {
        let budget = Budget::until(Duration::from_secs(10));
        assert!(budget.allows(100_000, Duration::from_secs(10)));
        assert!(!budget.allows(1, Duration::from_secs(11)));
    }

    #[test]
    fn an_absurd_wait_is_told_as_it_was_said() {
        let now = "2023-12-12T14:00:00Z".parse().unwrap();
        let asked = RetryAfter::parse("3600", now).unwrap();
        assert_eq!(asked.longer().as_deref(), Some("it asks to be left alone for 3600 s"));
        assert_eq!(RetryAfter::parse("300", now).unwrap().longer(), None);
        assert_eq!(RetryAfter::parse("0", now).unwrap().longer(), None);
    }
}
