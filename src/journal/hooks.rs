//! Where a test lets the writing of a journal end. A process that is killed leaves nothing else on its disk.

use std::env;

use crate::journal::Record;

/// A point at which nothing more is written, as if the process had been killed there.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Crash {
    /// The `type` of the line.
    pub kind: &'static str,
    /// Which of its type that is still to be written, from 1.
    pub nth: u32,
    /// How much of it is left.
    pub leaves: Leaves,
}

/// What a crash leaves of a line.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leaves {
    /// Nothing: neither the line nor its evidence.
    Nothing,
    /// Its evidence.
    Evidence,
    /// Its evidence, and half of the line.
    Half,
    /// All of it, durable; nobody hears of it.
    All,
}

/// The point that a test asked for.
#[derive(Default)]
pub(crate) struct Hooks {
    /// The process is killed right after this line became durable.
    pub(crate) kill_after: Option<u64>,
    /// The disk is full after so many operations of the thread that writes.
    pub(crate) full_after: Option<u64>,
    /// Nothing is written after this line.
    pub(crate) stop_after: Option<u64>,
    pub(crate) crash: Option<Crash>,
}

impl Hooks {
    /// `STAUNCH_CRASH_AFTER=<seq>`: the process kills itself right after that line became durable.
    /// `STAUNCH_FULL_AFTER=<operations>`: the disk is full from then on. Neither in a release.
    pub(crate) fn from_env() -> Self {
        let number = |name| cfg!(debug_assertions).then(|| env::var(name).ok()?.parse().ok()).flatten();
        let (kill_after, full_after) = (number("STAUNCH_CRASH_AFTER"), number("STAUNCH_FULL_AFTER"));
        Self { kill_after, full_after, ..Self::default() }
    }

    /// Whether lines have to be written one by one.
    pub(crate) fn are_set(&self) -> bool {
        self.kill_after.is_some() || self.stop_after.is_some() || self.crash.is_some()
    }

    /// What is left of this line, where it is the one over which the process dies.
    pub(crate) fn meet(&mut self, record: &Record) -> Option<Leaves> {
        let crash = self.crash.as_mut().filter(|crash| crash.kind == record.kind())?;
        crash.nth = crash.nth.saturating_sub(1);
        (crash.nth == 0).then_some(crash.leaves)
    }
}
