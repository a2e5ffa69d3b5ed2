//! A hundred accounts, end to end.

use std::{fs, path::Path, time::Duration};

use staunch::journal::{Verdict, room_for, verify};

use crate::{
    accounts::{Planted, cut_first, many},
    simulation::Simulation,
    traffic::{Traffic, left_over},
};

const FEW: Planted = Planted { methods: 1, devices: 1, rules: true };

#[tokio::test(start_paused = true)]
async fn a_hundred_accounts_need_one_token_for_each_service_and_one_pool() {
    let simulation = Simulation::start(&many(100, FEW)).await;
    let contained = simulation.contain(&cut_first(&simulation.world.tenant)).await;
    assert_eq!(contained.not_done(), [""; 0]);
    assert_eq!(contained.summary.outcomes.len(), 800);
    assert_eq!(left_over(&simulation.world.tenant), [""; 0]);
    assert_eq!(verify(&contained.dir).verdict, Verdict::Consistent);
    let traffic = Traffic::of(&simulation.world.tenant);
    assert_eq!(traffic.tokens().values().sum::<usize>(), 2, "Graph and Exchange: {:?}", traffic.tokens());
    let connections = simulation.world.server.connections();
    println!(
        "100 accounts: {} requests over {connections} connections, planned in {:?}, run in {:?}, last cut-off {:?} ms",
        traffic.all.len(),
        contained.planned,
        contained.ran,
        contained.summary.last_cut_off_ms
    );
    // Over HTTP/1.1 each request in flight has a connection, and some are opened while another becomes free.
    let most = traffic.most_at_once(50);
    println!("most requests at once: {most}");
    assert!(connections * 4 <= most * 5, "{connections} connections for {most} requests at once");
    assert_eq!(traffic.refused(), 0);
    #[cfg(unix)]
    assert_room(&contained.dir, 800);
}

/// A run finds room for what it writes, and does not ask for many times as much.
#[cfg(unix)]
fn assert_room(run: &Path, changes: usize) {
    let plan = fs::read(run.join("plan.json")).unwrap();
    let (asked, taken) = (room_for(plan.len(), changes), on_disk(run));
    println!("on disk: {taken} bytes; asked for: {asked}");
    assert!(taken < asked && asked < 2 * taken, "{taken} of {asked}");
}

/// Bytes that a folder takes on its disk, in blocks.
#[cfg(unix)]
fn on_disk(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap());
    let of = |entry: fs::DirEntry| match entry.file_type().unwrap().is_dir() {
        true => on_disk(&entry.path()),
        false => entry.metadata().unwrap().blocks() * 512,
    };
    entries.map(of).sum()
}

#[tokio::test(start_paused = true)]
async fn a_window_that_shrinks_in_mid_run_costs_no_more_429s_than_are_in_flight() {
    let simulation = Simulation::start(&many(100, FEW)).await;
    let (tenant, clock) = (simulation.world.tenant.clone(), simulation.world.clock.clone());
    // A limit of 300 writes in 150 s and of 500 units in 10 s: somebody else uses up the rest.
    let squeeze = tokio::spawn(async move {
        while tenant.incident().victims.len() * 3 > tenant.requests().iter().filter(|it| it.mutated).count() {
            clock.sleep(Duration::from_millis(20)).await;
        }
        tenant.set(|settings| settings.throttling_percent = Some(10));
        clock.sleep(Duration::from_secs(200)).await;
        tenant.set(|settings| settings.throttling_percent = Some(100));
    });
    let contained = simulation.contain(&cut_first(&simulation.world.tenant)).await;
    squeeze.abort();
    assert_eq!(contained.not_done(), [""; 0]);
    assert_eq!(left_over(&simulation.world.tenant), [""; 0]);
    assert_eq!(verify(&contained.dir).verdict, Verdict::Consistent);
    let traffic = Traffic::of(&simulation.world.tenant);
    let bursts = traffic.bursts(50);
    println!("squeezed: run in {:?}, {} of {} refused", contained.ran, traffic.refused(), traffic.all.len());
    assert!(!bursts.is_empty(), "the window bound");
    assert!(bursts.len() <= 3, "one for each time that the limit is found anew, not a storm: {bursts:#?}");
    for burst in bursts {
        println!("{burst:?}");
        assert!(burst.count <= burst.in_flight, "{burst:?}");
        assert!(
            burst.last.duration_since(burst.first).as_millis() <= 50,
            "nobody left after the first answer: {burst:?}"
        );
    }
}
