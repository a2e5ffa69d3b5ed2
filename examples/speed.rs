//! How long containment takes, for one account and for a hundred, in a tenant that answers after 100 ms: with evidence
//! before every change, each fact on the disk, and every change seen by a second read.
//!
//! `cargo run --release --example speed`; the numbers are in `docs/measurements.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    missing_docs,
    dead_code,
    reason = "a measurement that cannot go on fails; it shares its tenants with the tests of scale"
)]

#[path = "../tests/scale/accounts.rs"]
mod accounts;
#[path = "../tests/common/mod.rs"]
mod common;
#[path = "../tests/scale/simulation.rs"]
mod simulation;

use std::{
    fs,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use mock_server::Tenant;
use staunch::{
    engine::{Event, Progress},
    model::SystemClock,
};

use crate::{
    accounts::{Planted, cut_first, many},
    simulation::Simulation,
};

const LATENCY: u64 = 100;

/// Notes when each stage begins.
#[derive(Default)]
struct Stages(Mutex<Vec<(String, Instant)>>);

impl Progress for Stages {
    fn event(&self, event: Event) {
        if let Event::Stage { id } = event {
            self.0.lock().unwrap().push((id, Instant::now()));
        }
    }
}

/// The most memory that the process has used, tenant and client together.
fn peak_megabytes() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

async fn measure(accounts: usize) {
    let tenant = Tenant::new(&many(accounts, Planted { methods: 1, devices: 1, rules: true }));
    tenant.set(|settings| settings.latency_milliseconds = LATENCY);
    let bound = cut_first(&tenant);
    let began = Instant::now();
    let simulation = Simulation::on(SystemClock::start(), tenant.clone()).await;
    let signed_in = began.elapsed();
    let stages = Arc::new(Stages::default());
    let contained = simulation.contain_and_tell(&bound, stages.clone()).await;
    let whole = began.elapsed();
    assert_eq!(contained.not_done(), [""; 0]);
    let stages = stages.0.lock().unwrap();
    let cut = stages[1].1 - stages[0].1;
    let ms = |length: Duration| length.as_millis();
    println!(
        "| {accounts} | {} | {} | {} | {} | {} | {} | {} | {} |",
        ms(signed_in),
        ms(contained.planned),
        ms(cut),
        ms(contained.ran),
        ms(whole),
        tenant.requests().len(),
        simulation.world.server.connections(),
        peak_megabytes().unwrap_or_default(),
    );
}

#[tokio::main]
async fn main() {
    println!("| accounts | signed in | planned | all cut off | run | whole | requests | connections | MB (peak) |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for accounts in [1, 1, 100, 100] {
        measure(accounts).await;
    }
}
