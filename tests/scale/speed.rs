//! How long containment takes where each answer takes 100 ms and everything else takes no time: what round trips, order
//! and pacing cost. `examples/speed.rs` measures the same with everything else.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use staunch::engine::{Event, Progress};
use tokio::time::Instant;

use crate::{
    accounts::{Planted, cut_first, many},
    simulation::Simulation,
};

/// Notes when each stage begins.
#[derive(Default)]
struct Stages(Mutex<Vec<Instant>>);

impl Progress for Stages {
    fn event(&self, event: Event) {
        if let Event::Stage { .. } = event {
            self.0.lock().unwrap().push(Instant::now());
        }
    }
}

struct Measured {
    /// What the guards took when the plan was approved.
    cleared: Duration,
    /// From the beginning of the run until every account was blocked and revoked.
    cut: Duration,
    /// Until every change was seen by a second read.
    ran: Duration,
}

async fn measure(accounts: usize) -> Measured {
    let simulation = Simulation::start(&many(accounts, Planted { methods: 1, devices: 1, rules: true })).await;
    let tenant = &simulation.world.tenant;
    tenant.set(|settings| settings.latency_milliseconds = 100);
    let stages = Arc::new(Stages::default());
    let contained = simulation.contain_and_tell(&cut_first(tenant), stages.clone()).await;
    assert_eq!(contained.not_done(), [""; 0]);
    let stages = stages.0.lock().unwrap();
    let (cut, ran) = (stages[1] - stages[0], contained.ran);
    let (planned, cleared) = (contained.planned, contained.cleared);
    println!(
        "{accounts} accounts: planned in {planned:?}, cleared in {cleared:?}, all cut off after {cut:?}, run {ran:?}"
    );
    Measured { cleared, cut, ran }
}

#[tokio::test(start_paused = true)]
async fn one_account_is_cut_off_in_half_a_second() {
    let measured = measure(1).await;
    assert!(measured.cleared <= Duration::from_millis(300), "{:?}", measured.cleared);
    assert!(measured.cut <= Duration::from_millis(500), "{:?}", measured.cut);
    assert!(measured.ran <= Duration::from_secs(3), "{:?}", measured.ran);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_accounts_are_cut_off_in_a_second() {
    let measured = measure(100).await;
    assert!(measured.cleared <= Duration::from_millis(300), "{:?}", measured.cleared);
    assert!(measured.cut <= Duration::from_secs(1), "{:?}", measured.cut);
    // Two rules each, read, disabled and read again, sixteen cmdlets at once: Exchange is what the rest waits for.
    assert!(measured.ran <= Duration::from_secs(6), "{:?}", measured.ran);
}
