//! Many accounts at once, on a simulated clock: one token per service, one pool, no storm of 429s, the published quotas
//! used up and not exceeded, and time to the last cut-off.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    unreachable_pub,
    dead_code,
    reason = "a test that cannot go on fails, and these report what they measured"
)]

mod accounts;
#[path = "../common/mod.rs"]
mod common;
mod hundred;
mod outage;
mod quota;
mod simulation;
mod speed;
mod traffic;
