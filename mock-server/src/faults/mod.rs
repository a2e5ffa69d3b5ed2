//! Faults by rule: which requests they meet, how often, and what then happens.

mod effect;

use std::sync::{Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub(crate) use self::effect::challenge;
pub use self::effect::{Effect, RetryAfter};
use crate::random::Random;

/// Which requests a rule meets. What is `None` matches everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Match {
    /// The method.
    pub method: Option<String>,
    /// A part of the path, in any case.
    pub path: Option<String>,
    /// The Exchange cmdlet, in any case.
    pub cmdlet: Option<String>,
}

impl Match {
    /// Requests whose path contains `part`.
    #[must_use]
    pub fn path(part: &str) -> Self {
        Self { path: Some(part.to_owned()), ..Self::default() }
    }

    /// Requests with this method whose path contains `part`.
    #[must_use]
    pub fn method_path(method: &str, part: &str) -> Self {
        Self { method: Some(method.to_owned()), ..Self::path(part) }
    }

    /// Calls of this cmdlet.
    #[must_use]
    pub fn cmdlet(name: &str) -> Self {
        Self { cmdlet: Some(name.to_owned()), ..Self::default() }
    }

    fn meets(&self, seen: &Seen<'_>) -> bool {
        let same = |wanted: &Option<String>, value: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| value.is_some_and(|v| v.eq_ignore_ascii_case(wanted)))
        };
        same(&self.method, Some(seen.method))
            && same(&self.cmdlet, seen.cmdlet)
            && self.path.as_deref().is_none_or(|part| seen.path.to_lowercase().contains(&part.to_lowercase()))
    }
}

/// How often a rule strikes among the requests it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Times {
    /// Every time.
    Always,
    /// From the `skip + 1`-th on, `count` times.
    Some {
        /// How many requests pass first.
        skip: u64,
        /// How many are struck then.
        count: u64,
    },
    /// In so many of a hundred cases, by a generator with this seed.
    Percent {
        /// How many of a hundred.
        percent: u64,
        /// The generator's seed.
        seed: u64,
    },
}

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// Which requests.
    pub on: Match,
    /// How often.
    pub times: Times,
    /// What happens.
    pub effect: Effect,
}

impl Fault {
    /// A rule that always strikes.
    #[must_use]
    pub fn always(on: Match, effect: Effect) -> Self {
        Self { on, times: Times::Always, effect }
    }

    /// A rule that strikes the first request it meets and no other.
    #[must_use]
    pub fn once(on: Match, effect: Effect) -> Self {
        Self { on, times: Times::Some { skip: 0, count: 1 }, effect }
    }

    /// A rule that strikes `count` requests after the first `skip`.
    #[must_use]
    pub fn nth(on: Match, skip: u64, count: u64, effect: Effect) -> Self {
        Self { on, times: Times::Some { skip, count }, effect }
    }
}

/// What a rule can match on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) cmdlet: Option<&'a str>,
}

/// The rules in force. The first that strikes decides.
#[derive(Debug, Default)]
pub struct Faults {
    rules: Mutex<Vec<Armed>>,
}

#[derive(Debug)]
struct Armed {
    fault: Fault,
    met: u64,
    random: Random,
}

impl Faults {
    /// Adds a rule after those that are there.
    pub fn add(&self, fault: Fault) {
        let seed = match fault.times {
            Times::Percent { seed, .. } => seed,
            Times::Always | Times::Some { .. } => 0,
        };
        let armed = Armed { fault, met: 0, random: Random::new(seed) };
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(armed);
    }

    /// The rules, in the order in which they are asked.
    #[must_use]
    pub fn all(&self) -> Vec<Fault> {
        let rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter().map(|armed| armed.fault.clone()).collect()
    }

    /// Takes all rules away.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// The effect on this request, counting it.
    pub(crate) fn strike(&self, seen: &Seen<'_>) -> Option<Effect> {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        rules.iter_mut().find_map(|armed| armed.strike(seen))
    }
}

impl Armed {
    fn strike(&mut self, seen: &Seen<'_>) -> Option<Effect> {
        if !self.fault.on.meets(seen) {
            return None;
        }
        let nth = self.met;
        self.met += 1;
        let struck = match self.fault.times {
            Times::Always => true,
            Times::Some { skip, count } => nth >= skip && nth - skip < count,
            Times::Percent { percent, .. } => self.random.chance(percent),
        };
        struck.then(|| self.fault.effect.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEEN: Seen<'_> = Seen { method: "GET", path: "/v1.0/Users", cmdlet: None };

    #[test]
    fn a_counted_rule_strikes_its_share() {
        let faults = Faults::default();
        faults.add(Fault::nth(Match::path("/users"), 1, 2, Effect::Delay(1)));
        let struck: Vec<bool> = (0..4).map(|_| faults.strike(&SEEN).is_some()).collect();
        assert_eq!(struck, [false, true, true, false]);
    }

    #[test]
    fn a_rule_for_a_cmdlet_leaves_graph_alone() {
        let faults = Faults::default();
        faults.add(Fault::always(Match::cmdlet("Get-InboxRule"), Effect::Delay(1)));
        assert_eq!(faults.strike(&SEEN), None);
        assert!(faults.strike(&Seen { cmdlet: Some("get-inboxrule"), ..SEEN }).is_some());
        faults.clear();
        assert_eq!(faults.strike(&Seen { cmdlet: Some("get-inboxrule"), ..SEEN }), None);
    }

    #[test]
    fn a_seeded_rule_strikes_the_same_requests_each_time() {
        let draw = || {
            let faults = Faults::default();
            let times = Times::Percent { percent: 30, seed: 7 };
            faults.add(Fault { on: Match::default(), times, effect: Effect::Delay(1) });
            (0..100).filter(|_| faults.strike(&SEEN).is_some()).count()
        };
        assert_eq!(draw(), draw());
        assert!((15..45).contains(&draw()), "{}", draw());
    }
}
