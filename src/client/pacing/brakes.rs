//! What holds requests back once the service complained: fences in time, and shares of the quotas.
//!
//! A complaint halves a share, quiet brings it back in steps (additive increase, multiplicative decrease). Reads and
//! writes have brakes of their own, beside those of everything: too many reads are no reason to hold back a write.

use std::time::Duration;

use super::window::LEAST;

/// First and longest fence where the service does not say how long.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_mins(1);
/// After so long without a complaint, a twentieth of the quota is used again.
const QUIET: Duration = Duration::from_secs(10);
const STEP: f64 = 0.05;
/// A fence opens later than was asked by up to a tenth, and by no more than this: who was told the same in the same
/// moment does not come back in the same moment.
const SPREAD: Duration = Duration::from_secs(1);

/// What there was too much of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::client) enum Scope {
    /// Nobody says: everything.
    #[default]
    All,
    /// Reads: writes go on.
    Reads,
    /// Writes: reads go on.
    Writes,
}

impl Scope {
    /// Of this kind of request.
    pub(super) fn of(write: bool) -> Self {
        if write { Self::Writes } else { Self::Reads }
    }
}

/// A 429, or another answer that asks to hold back.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Refusal {
    /// For how long, where that was said.
    pub(super) wait: Option<Duration>,
    /// What there was too much of.
    pub(super) scope: Scope,
    /// How much of the spread is used, from 0 to 1.
    pub(super) spread: f64,
}

/// The brakes of one budget.
pub(super) struct Brakes {
    all: Brake,
    reads: Brake,
    writes: Brake,
    /// When a share was changed last.
    changed: Duration,
    /// The next fence where the service does not say how long.
    penalty: Duration,
}

#[derive(Clone, Copy)]
struct Brake {
    /// Nobody leaves before.
    fence: Duration,
    /// The share of the quota that is used.
    share: f64,
}

impl Brakes {
    pub(super) fn new() -> Self {
        let free = Brake { fence: Duration::ZERO, share: 1.0 };
        Self { all: free, reads: free, writes: free, changed: Duration::ZERO, penalty: FIRST }
    }

    /// What is in the scope does not leave before.
    pub(super) fn fence(&self, scope: Scope) -> Duration {
        self.all.fence.max(self.brake(scope).fence)
    }

    /// The share that what is in the scope may use.
    pub(super) fn share(&self, scope: Scope) -> f64 {
        self.brake(scope).share
    }

    fn brake(&self, scope: Scope) -> &Brake {
        match scope {
            Scope::All => &self.all,
            Scope::Reads => &self.reads,
            Scope::Writes => &self.writes,
        }
    }

    fn brake_mut(&mut self, scope: Scope) -> &mut Brake {
        match scope {
            Scope::All => &mut self.all,
            Scope::Reads => &mut self.reads,
            Scope::Writes => &mut self.writes,
        }
    }

    /// We were too fast: raises the fence. Whether this is the first of a burst, whose answers count once, and then
    /// halves the share.
    pub(super) fn refused(&mut self, now: Duration, refusal: Refusal) -> bool {
        let Refusal { wait, scope, spread } = refusal;
        let first = now >= self.fence(scope);
        let wait = match wait {
            Some(wait) => wait,
            None if first => {
                let longer = (self.penalty * 2).min(LONGEST);
                std::mem::replace(&mut self.penalty, longer)
            }
            None => Duration::ZERO,
        };
        let spread = if first { (wait / 10).min(SPREAD).mul_f64(spread) } else { Duration::ZERO };
        let until = now + wait + spread;
        let fence = &mut self.brake_mut(scope).fence;
        *fence = until.max(*fence);
        self.changed = now;
        if first {
            self.ease(scope, 0.5);
        }
        first
    }

    /// Slows down without having been refused. False where that was done a moment ago, for the same reason.
    pub(super) fn slow_down(&mut self, now: Duration, factor: f64) -> bool {
        if !self.changed.is_zero() && now < self.changed + FIRST {
            return false;
        }
        self.ease(Scope::All, factor);
        self.changed = now;
        true
    }

    /// The brakes that a complaint of this scope concerns: one of everything concerns each.
    fn hit(&mut self, scope: Scope) -> Vec<&mut Brake> {
        match scope {
            Scope::All => vec![&mut self.all, &mut self.reads, &mut self.writes],
            one => vec![self.brake_mut(one)],
        }
    }

    fn ease(&mut self, scope: Scope, factor: f64) {
        for brake in self.hit(scope) {
            brake.share = (brake.share * factor).max(LEAST);
        }
    }

    /// A request was answered well.
    pub(super) fn answered(&mut self) {
        self.penalty = FIRST;
    }

    /// Brings back what quiet allows.
    pub(super) fn recover(&mut self, now: Duration) {
        while self.reads.share.min(self.writes.share) < 1.0 && now >= self.changed + QUIET {
            for brake in self.hit(Scope::All) {
                brake.share = (brake.share + STEP).min(1.0);
            }
            self.changed += QUIET;
        }
    }
}
