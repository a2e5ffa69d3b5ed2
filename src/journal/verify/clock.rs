//! How far the responder's clock was from the tenant's: each answer bounds it, by its `Date` and by when it was asked for
//! and complete.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::chain::Chain;
use crate::{journal::read_head, model::Exchange};

/// The tenant's clock minus the responder's, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockOffset {
    /// At least this.
    pub least_ms: i64,
    /// At most this.
    pub most_ms: i64,
    /// Whether one offset fits all answers. If not, a clock was set meanwhile, or the servers' clocks differ, and the
    /// bounds are those of the answers that are furthest apart.
    pub is_steady: bool,
    /// Answers that say when they were made.
    pub answers: u32,
}

pub(super) fn offset(run: &Path, chain: &Chain) -> Option<ClockOffset> {
    let evidence = chain.known().flat_map(|(_, line)| &line.ev);
    estimate(evidence.filter_map(|ev| read_head(run, ev)))
}

/// A `Date` has whole seconds: the answer was made somewhere in that second, and between our two times.
fn estimate(exchanges: impl Iterator<Item = Exchange>) -> Option<ClockOffset> {
    let bounds = |exchange: Exchange| {
        let date = exchange.server_date?.as_millisecond();
        Some((date - exchange.ended.as_millisecond(), date + 1000 - exchange.started.as_millisecond()))
    };
    let bounds: Vec<(i64, i64)> = exchanges.filter_map(bounds).collect();
    let (lows, highs) = (bounds.iter().map(|it| it.0), bounds.iter().map(|it| it.1));
    let (low, high) = (lows.clone().max()?, highs.clone().min()?);
    let is_steady = low <= high;
    let (least_ms, most_ms) = if is_steady { (low, high) } else { (lows.min()?, highs.max()?) };
    Some(ClockOffset { least_ms, most_ms, is_steady, answers: u32::try_from(bounds.len()).unwrap_or(u32::MAX) })
}

#[cfg(test)]
mod tests {
    use super::{ClockOffset, estimate};
    use crate::{journal::testing::exchange, model::Exchange};

    fn answer(started: &str, ended: &str, date: &str) -> Exchange {
        let time = |text: &str| format!("2023-12-12T12:00:{text}Z").parse().unwrap();
        let (started, ended, server_date) = (time(started), time(ended), Some(time(date)));
        Exchange { started, ended, server_date, ..exchange("i", "GET", "https://g.example/", "") }
    }

    #[test]
    fn answers_bound_the_offset_together_closer_than_each_alone() {
        let one = answer("10.900", "11.000", "13");
        let other = answer("11.100", "11.200", "14");
        let offset = estimate([one.clone(), other].into_iter()).unwrap();
        assert_eq!(offset, ClockOffset { least_ms: 2800, most_ms: 3100, is_steady: true, answers: 2 });
        let set = answer("50.000", "50.100", "13");
        let offset = estimate([one, set].into_iter()).unwrap();
        assert_eq!((offset.is_steady, offset.least_ms, offset.most_ms), (false, -37_100, 3100));
        assert_eq!(estimate(std::iter::empty()), None);
    }
}
