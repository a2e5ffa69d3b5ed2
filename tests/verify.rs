//! How often a change has to be seen before it counts as done, in a tenant whose replicas disagree.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use common::{World, one_step};
use jiff::Timestamp;
use mock_server::Tenant;
use serde_json::json;
use staunch::{
    engine::{self, Options},
    journal::{History, Record},
    model::{Clock, Outcome},
};

const VICTIM: &str = "johanna@sunnyside08.example";

/// A clock whose waits let a tenant flap: before each read of the engine the account is blocked, or is not.
struct Flapping {
    clock: Arc<dyn Clock>,
    tenant: Tenant,
    /// Whether each read in turn shows the block; the last for ever.
    shows: Vec<bool>,
    waits: AtomicUsize,
}

impl Clock for Flapping {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, length: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        let wait = self.waits.fetch_add(1, Ordering::SeqCst);
        let shown = self.shows[wait.min(self.shows.len() - 1)];
        self.tenant.edit(|state| {
            let id = state.user(VICTIM).unwrap().id.clone();
            state.users.get_mut(&id).unwrap().account_enabled = !shown;
        });
        self.clock.sleep(length)
    }
}

/// Blocks the victim where the reads show this; the outcome, how many reads it took, in what time, and the reason.
async fn blocked(shows: &[bool], matching_reads: u32) -> (Outcome, u32, Duration, String) {
    let world = World::aitm().await;
    let file = world.plan(&one_step("user.block-sign-in", &json!({"user": VICTIM}))).await;
    let journal = world.journal(&file);
    let dir = journal.run_dir().to_owned();
    let approved = world.approve(file).await;
    let mut deps = world.deps(journal).await;
    let (clock, tenant) = (world.clock.clone(), world.tenant.clone());
    deps.clock = Arc::new(Flapping { clock, tenant, shows: shows.to_vec(), waits: AtomicUsize::new(0) });
    let options = Options { matching_reads, ..Options::default() };
    let summary = engine::run(approved, deps, options).await.unwrap();
    let lines = History::load(&dir).unwrap().lines;
    let seen = lines.iter().find_map(|line| match &line.record {
        Record::Verified { reads, waited_ms, .. } => {
            assert!(line.ev.len() >= *reads as usize, "each read is evidence: {} of {reads}", line.ev.len());
            Some((*reads, Duration::from_millis(*waited_ms)))
        }
        _ => None,
    });
    let reason = lines.iter().find_map(|line| match &line.record {
        Record::Ended { reason, .. } => Some(reason.clone()),
        _ => None,
    });
    let (reads, waited) = seen.unwrap();
    (*summary.outcomes.values().next().unwrap(), reads, waited, reason.unwrap())
}

#[tokio::test]
async fn one_read_is_enough_where_speed_counts() {
    let (outcome, reads, _, reason) = blocked(&[true, false], 1).await;
    assert_eq!((outcome, reads, reason.as_str()), (Outcome::Done, 1, "seen by a second read"));
}

#[tokio::test]
async fn three_in_a_row_see_through_a_replica_that_is_behind() {
    let (outcome, reads, waited, reason) = blocked(&[true, true, false, true], 3).await;
    assert_eq!((outcome, reads, reason.as_str()), (Outcome::Done, 6, "seen by 3 reads in a row"));
    assert!(waited >= Duration::from_secs(8), "agreeing reads are seconds apart: {waited:?}");
}

#[tokio::test]
async fn a_tenant_that_never_agrees_with_itself_is_unverified() {
    let shows: Vec<bool> = (0..400).map(|read| read % 3 != 2).chain([false]).collect();
    let (outcome, reads, _, reason) = blocked(&shows, 3).await;
    assert_eq!(outcome, Outcome::Unverified);
    assert!(reads > 3 && reason.starts_with("accepted, but"), "{reason}");
}
