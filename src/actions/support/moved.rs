//! Timestamps of an account that a change moves: "later than before" is the only proof there is.

use jiff::{RoundMode, Timestamp, TimestampRound, ToSpan as _, Unit};

use crate::model::{Difference, Verdict};

/// A timestamp that the tenant sets to its own time when something is done to the account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moved {
    /// Whether the account is there.
    pub(crate) exists: bool,
    /// The timestamp; null when it was never set.
    pub(crate) at: Option<Timestamp>,
}

impl Moved {
    /// The account is gone.
    pub(crate) const GONE: Self = Self { exists: false, at: None };

    /// An account with this timestamp.
    pub(crate) fn at(at: Option<Timestamp>) -> Self {
        Self { exists: true, at }
    }

    /// A moment that only a change made now can reach: one second after the last, or this second when the last one
    /// was in this very second, since the tenant keeps whole seconds. Never before the last one, so that a clock
    /// which runs behind does not turn a change into an undo.
    pub(crate) fn later(self, now: Timestamp) -> Self {
        if !self.exists {
            return self;
        }
        let floor = TimestampRound::new().smallest(Unit::Second).mode(RoundMode::Floor);
        let now = now.round(floor).unwrap_or(now);
        let wanted = match self.at {
            None => now,
            Some(last) => {
                let next = last.saturating_add(1.second()).unwrap_or(last);
                now.min(next).max(last)
            }
        };
        Self::at(Some(wanted))
    }

    /// Whether the timestamp is at least the one wanted. An account that is gone has neither sessions nor password.
    pub(crate) fn judge(wanted: Self, seen: Self) -> Verdict {
        if !seen.exists || seen.at >= wanted.at { Verdict::Holds } else { Verdict::NotYet }
    }

    /// What a plan shows: the moment itself is the tenant's choice.
    pub(crate) fn differences(self, name: &str) -> Vec<Difference> {
        let before = self.at.map_or_else(|| "never".to_owned(), |at| at.to_string());
        vec![Difference { name: name.to_owned(), before, after: "later than that".to_owned() }]
    }

    /// Whether going to `to` would mean going back in time.
    pub(crate) fn is_undo(self, to: Self) -> bool {
        to.at < self.at
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::Moved;
    use crate::model::Verdict;

    fn at(text: &str) -> Moved {
        Moved::at(Some(time(text)))
    }

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn later_than_before_is_proof_even_when_the_clocks_differ() {
        let before = at("2023-12-01T08:00:00Z");
        let wanted = before.later(time("2023-12-12T15:00:00.9Z"));
        assert_eq!(wanted, at("2023-12-01T08:00:01Z"));
        assert_eq!(Moved::judge(wanted, before), Verdict::NotYet);
        assert_eq!(Moved::judge(wanted, at("2023-12-12T14:59:58Z")), Verdict::Holds);
    }

    #[test]
    fn twice_in_one_second_still_verifies() {
        let first = at("2023-12-12T15:00:00Z");
        let wanted = first.later(time("2023-12-12T15:00:00.7Z"));
        assert_eq!(wanted, first);
        assert_eq!(Moved::judge(wanted, first), Verdict::Holds);
    }

    #[test]
    fn a_slow_clock_never_asks_for_the_past() {
        let before = at("2023-12-12T15:00:05Z");
        let wanted = before.later(time("2023-12-12T15:00:00Z"));
        assert!(!before.is_undo(wanted));
        assert!(at("2023-12-12T16:00:00Z").is_undo(before));
    }

    #[test]
    fn what_was_never_set_must_be_set_now() {
        let wanted = Moved::at(None).later(time("2023-12-12T15:00:00.7Z"));
        assert_eq!(wanted, at("2023-12-12T15:00:00Z"));
        assert_eq!(Moved::judge(wanted, Moved::at(None)), Verdict::NotYet);
    }

    #[test]
    fn an_account_that_is_gone_has_nothing_to_move() {
        assert_eq!(Moved::GONE.later(time("2023-12-12T15:00:00Z")), Moved::GONE);
        assert_eq!(Moved::judge(at("2023-12-12T15:00:00Z"), Moved::GONE), Verdict::Holds);
    }
}
