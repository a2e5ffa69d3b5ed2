//! A service that fails for a while in the middle of a run.

use std::time::Duration;

use mock_server::faults::{Effect, Fault, Match};

use crate::{
    accounts::{Planted, cut_first, many},
    simulation::Simulation,
    traffic::{Traffic, left_over},
};

const OUTAGE: Duration = Duration::from_secs(40);

#[tokio::test(start_paused = true)]
async fn a_service_that_fails_for_a_while_is_left_alone_and_nothing_is_lost() {
    let simulation = Simulation::start(&many(50, Planted { methods: 1, devices: 1, rules: false })).await;
    let (tenant, clock) = (simulation.world.tenant.clone(), simulation.world.clock.clone());
    let outage = tokio::spawn(async move {
        while tenant.requests().iter().filter(|it| it.mutated).count() < 60 {
            clock.sleep(Duration::from_millis(20)).await;
        }
        tenant.faults().add(Fault::always(Match::path("/v1.0/"), Effect::ServerError { status: 500, applied: false }));
        clock.sleep(OUTAGE).await;
        tenant.faults().clear();
    });
    let contained = simulation.contain(&cut_first(&simulation.world.tenant)).await;
    outage.await.unwrap();
    assert_eq!(contained.not_done(), [""; 0]);
    assert_eq!(left_over(&simulation.world.tenant), [""; 0]);
    let traffic = Traffic::of(&simulation.world.tenant);
    let failed: Vec<_> = traffic.all.iter().filter(|request| request.status == 500).collect();
    let first = failed.first().unwrap().time;
    let late = failed.iter().filter(|request| request.time.duration_since(first).as_secs() >= 1).count();
    println!("an outage of {OUTAGE:?}: run in {:?}, {} requests failed, {late} after 1 s", contained.ran, failed.len());
    assert!((1..=64 + 50).contains(&failed.len()), "those in flight, and one try of each account");
    assert!(late <= 10, "then only a probe now and then: {late}");
}
