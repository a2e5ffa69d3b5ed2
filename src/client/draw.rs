//! Randomness of a session: request ids and the jitter of waits. Seeded in tests.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use uuid::Uuid;

/// A source of ids and jitter.
pub(super) struct Draw(Mutex<StdRng>);

impl Draw {
    /// Seeded, or from the machine's randomness.
    pub(super) fn new(seed: Option<u64>) -> Self {
        let rng = match seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_rng(&mut rand::rng()),
        };
        Self(Mutex::new(rng))
    }

    /// A new `client-request-id`.
    pub(super) fn request_id(&self) -> String {
        let bytes: [u8; 16] = self.rng(|rng| rng.random());
        uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
    }

    /// A length between the two, evenly spread.
    pub(super) fn between(&self, low: Duration, high: Duration) -> Duration {
        low.saturating_add(high.saturating_sub(low).mul_f64(self.fraction()))
    }

    /// A number from 0 to 1, evenly spread.
    pub(super) fn fraction(&self) -> f64 {
        self.rng(|rng| rng.random())
    }

    fn rng<T>(&self, draw: impl FnOnce(&mut StdRng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// The `client-request-id` of a later attempt of a write whose first id is in the journal: anybody can compute
/// it again.
pub(crate) fn derived_request_id(first: &str, attempt: u32) -> String {
    if attempt <= 1 {
        return first.to_owned();
    }
    let space = Uuid::parse_str(first).unwrap_or_else(|_| Uuid::new_v5(&Uuid::NAMESPACE_OID, first.as_bytes()));
    Uuid::new_v5(&space, attempt.to_string().as_bytes()).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Draw, derived_request_id};

    #[test]
    fn a_seed_repeats_and_ids_do_not() {
        let (a, b) = (Draw::new(Some(7)), Draw::new(Some(7)));
        let first = a.request_id();
        assert_eq!(first, b.request_id());
        assert_ne!(first, a.request_id());
    }

    #[test]
    fn jitter_stays_in_its_bounds() {
        let draw = Draw::new(Some(1));
        let (low, high) = (Duration::from_millis(500), Duration::from_secs(3));
        for _ in 0..500 {
            let length = draw.between(low, high);
            assert!(low <= length && length <= high);
        }
        assert_eq!(draw.between(high, low), high);
    }

    #[test]
    fn later_attempts_have_ids_that_follow_from_the_first() {
        let first = "6f2d2a1e-6f0f-4d1a-9b0a-0d1c8b0f3c11";
        assert_eq!(derived_request_id(first, 1), first);
        let second = derived_request_id(first, 2);
        assert_eq!(second, derived_request_id(first, 2));
        assert_ne!(second, first);
        assert_ne!(second, derived_request_id(first, 3));
        assert_ne!(derived_request_id("not a uuid", 2), "not a uuid");
    }
}
