//! The circuit breaker of one budget: a service that fails again and again is left alone for a while.

use std::time::Duration;

use super::gate::Priority;

/// Failures in a row that open the circuit.
const TRIPS: u32 = 5;
/// First and longest time that the service is left alone.
const FIRST: Duration = Duration::from_secs(5);
const LONGEST: Duration = Duration::from_secs(15);

/// What it lets through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Circuit {
    /// Everything.
    Closed,
    /// This one request, to see whether the service is back.
    Probe,
    /// Nothing while the probe is under way.
    Probing,
    /// Nothing before.
    Open(Duration),
}

/// Counts failures in a row: 5xx, and connections that fail or break.
pub(super) struct Breaker {
    failures: u32,
    until: Duration,
    pause: Duration,
}

impl Breaker {
    pub(super) fn new() -> Self {
        Self { failures: 0, until: Duration::ZERO, pause: FIRST }
    }

    /// The service failed. Those that were under way when the circuit opened do not keep it open for longer.
    pub(super) fn failed(&mut self, now: Duration) {
        self.failures = self.failures.saturating_add(1);
        if self.failures >= TRIPS && now >= self.until {
            self.until = now + self.pause;
            self.pause = (self.pause * 2).min(LONGEST);
        }
    }

    /// The service answered, whatever it said.
    pub(super) fn reached(&mut self) {
        *self = Self::new();
    }

    /// What may pass now. A change that contains is always worth a try: one at a time, it is the probe.
    pub(super) fn look(&self, now: Duration, priority: Priority, in_flight: usize) -> Circuit {
        match (self.failures >= TRIPS, now < self.until && priority != Priority::Containment) {
            (false, _) => Circuit::Closed,
            (true, true) => Circuit::Open(self.until),
            (true, false) if in_flight == 0 => Circuit::Probe,
            (true, false) => Circuit::Probing,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Breaker, Circuit, FIRST, LONGEST, TRIPS};
    use crate::client::pacing::gate::Priority::{Containment, Evidence};

    fn tripped(now: Duration) -> Breaker {
        let mut breaker = Breaker::new();
        (0..TRIPS).for_each(|_| breaker.failed(now));
        breaker
    }

    #[test]
    fn five_failures_in_a_row_open_it_and_an_answer_closes_it() {
        let mut breaker = Breaker::new();
        for _ in 1..TRIPS {
            breaker.failed(Duration::ZERO);
        }
        breaker.reached();
        breaker.failed(Duration::ZERO);
        assert_eq!(breaker.look(Duration::ZERO, Evidence, 3), Circuit::Closed, "not in a row");
        let mut breaker = tripped(Duration::ZERO);
        assert_eq!(breaker.look(Duration::ZERO, Evidence, 0), Circuit::Open(FIRST));
        breaker.reached();
        assert_eq!(breaker.look(Duration::ZERO, Evidence, 9), Circuit::Closed);
    }

    #[test]
    fn half_open_one_request_probes_and_a_failed_probe_doubles_the_wait() {
        let mut breaker = tripped(Duration::ZERO);
        assert_eq!(breaker.look(FIRST, Evidence, 0), Circuit::Probe);
        assert_eq!(breaker.look(FIRST, Evidence, 1), Circuit::Probing);
        breaker.failed(FIRST);
        assert_eq!(breaker.look(FIRST, Evidence, 0), Circuit::Open(FIRST * 3));
        breaker.failed(FIRST * 2);
        assert_eq!(breaker.look(FIRST, Evidence, 0), Circuit::Open(FIRST * 3), "a late failure adds nothing");
    }

    #[test]
    fn the_wait_has_an_end() {
        let mut breaker = tripped(Duration::ZERO);
        let mut now = Duration::ZERO;
        for _ in 0..20 {
            if let Circuit::Open(until) = breaker.look(now, Evidence, 0) {
                assert!(until - now <= LONGEST);
                now = until;
            }
            breaker.failed(now);
        }
    }

    #[test]
    fn a_containment_is_let_through_as_a_probe_while_it_is_open() {
        let breaker = tripped(Duration::ZERO);
        assert_eq!(breaker.look(Duration::ZERO, Containment, 0), Circuit::Probe);
        assert_eq!(breaker.look(Duration::ZERO, Containment, 1), Circuit::Probing);
    }
}
