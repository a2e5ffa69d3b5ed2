//! What it costs to record a run so that it survives a crash: the same runs on the same tenant, whose every answer takes 50 ms,
//! with the record on this machine's disk, in memory, and with none at all.
//! `cargo bench --bench recording --features unrecorded -- [ROUNDS]`; `STAUNCH_BENCH_DISK` names the folder for the disk.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark that cannot go on ends"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::{
    env,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use common::{World, bind};
use mock_server::{
    Scenario,
    faults::{Effect, Fault, Match},
};
use serde_json::{Value, json};
use staunch::{
    engine::{self, Options},
    journal::{self, Journal},
    model::SystemClock,
    plan::PlanFile,
    playbook::Bound,
};

/// A round trip to the tenant, in milliseconds.
const ROUND_TRIP: u64 = 50;
/// Where memory looks like a disk.
const MEMORY: &str = "/dev/shm";

/// A playbook with what it is run on.
struct Load {
    name: &'static str,
    users: usize,
    stages: &'static str,
    changes: usize,
    /// Most that recording may add, in percent.
    limit: f64,
}

const LOADS: &[Load] = &[
    Load {
        name: "12 changes of 1 account and its objects, one after the other",
        users: 1,
        stages: ONE,
        changes: 12,
        limit: 10.0,
    },
    Load { name: "12 changes of 6 accounts", users: 6, stages: MANY, changes: 12, limit: 10.0 },
    Load { name: "1,000 changes of 500 accounts", users: 500, stages: MANY, changes: 1_000, limit: 25.0 },
];

/// All of one account: nothing goes at once but verification.
const ONE: &str = "  - id: only
    steps:
      - {id: s01, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s02, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s03, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s04, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s05, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s06, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s07, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s08, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s09, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s10, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s11, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
      - {id: s12, each: inputs.users, do: {user.block-sign-in: {user: each}}}
";

const MANY: &str = "  - id: only
    steps:
      - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}
      - {id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
";

/// Where a record goes.
#[derive(Clone, Copy)]
enum Record<'a> {
    Nowhere,
    Under(&'a Path),
}

fn main() {
    let rounds = env::args().filter_map(|text| text.parse().ok()).next().unwrap_or(7);
    let disk =
        env::var_os("STAUNCH_BENCH_DISK").map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    // Nothing is removed before the end: ext4 looks for minutes at every file that was just removed, each time it makes one.
    let kept = [Path::new(MEMORY), &disk].map(|under| tempfile::tempdir_in(under).unwrap());
    let [in_memory, on_disk] = kept.each_ref().map(|folder| Record::Under(folder.path()));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    println!("medians of {rounds} rounds, every answer after {ROUND_TRIP} ms, disk under {}\n", disk.display());
    println!("| run | no record | in memory | on disk | added by recording | of it by the disk | limit |");
    println!("|---|---:|---:|---:|---:|---:|---:|");
    let mut held = true;
    for load in LOADS {
        let rounds = if load.changes > 100 { rounds.min(3) } else { rounds };
        let mut times = [Vec::new(), Vec::new(), Vec::new()];
        for round in 0..rounds {
            let records = [Record::Nowhere, in_memory, on_disk];
            // In turn, each first once: what else the machine does meets all three.
            for turn in 0..records.len() {
                let at = (round + turn) % records.len();
                times[at].push(runtime.block_on(timed(load, records[at])));
            }
        }
        let [none, memory, durable] = times.map(median);
        let added = |time: Duration, to: Duration| (time.as_secs_f64() / to.as_secs_f64() - 1.0) * 100.0;
        held &= added(durable, none) <= load.limit;
        println!(
            "| {} | {} | {} | {} | {:+.1} % | {:+.1} % | {} % |",
            load.name,
            milliseconds(none),
            milliseconds(memory),
            milliseconds(durable),
            added(durable, none),
            added(durable, none) - added(memory, none),
            load.limit
        );
    }
    println!("\n{}", if held { "All within their limits." } else { "NOT all within their limits." });
    drop(kept);
    std::process::exit(i32::from(!held));
}

fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1000.0)
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

/// Plans on a tenant that answers at once, then runs on one that takes its time, and measures from the journal's first line to
/// its last.
async fn timed(load: &Load, record: Record<'_>) -> Duration {
    let scenario = Scenario::builtin("aitm").unwrap().with_users(2 * load.users + 20);
    let mut world = World::of(&scenario).await;
    world.clock = SystemClock::start();
    world.overrides = std::mem::take(&mut world.overrides).with(staunch::plan::Guard::Percent, "a benchmark");
    if let Record::Under(folder) = record {
        world = world.with_case_in(folder);
    }
    let file = world.plan(&playbook(&world, load)).await;
    assert_eq!(file.plan().changes().count(), load.changes, "{}", load.name);
    let approved = world.approve(PlanFile::parse(file.bytes().to_vec()).unwrap()).await;
    let session = world.session().await;
    world.tenant.faults().add(Fault::always(Match::default(), Effect::Delay(ROUND_TRIP)));
    let began = Instant::now();
    let journal = match record {
        Record::Nowhere => Journal::unrecorded(&world.case()).unwrap(),
        Record::Under(_) => world.journal(&file),
    };
    let run = journal.run_dir().to_owned();
    let deps = staunch::engine::Deps {
        session,
        registry: staunch::actions::REGISTRY,
        journal,
        clock: world.clock.clone(),
        progress: std::sync::Arc::new(()),
        stop: staunch::engine::Stop::default(),
    };
    let summary = engine::run(approved, deps, Options::default()).await.unwrap();
    let took = began.elapsed();
    assert!(summary.outcomes.values().all(|outcome| outcome.holds()), "{summary:?}");
    if let Record::Under(_) = record {
        assert_eq!(journal::verify(&run).verdict, journal::Verdict::Consistent);
        let case = std::mem::replace(&mut world.case, tempfile::tempdir().unwrap());
        let _kept = case.keep();
    }
    took
}

fn playbook(world: &World, load: &Load) -> Bound {
    let state = world.tenant.state();
    let users = state["users"].as_object().unwrap().values();
    // The generated ones have no role; some are blocked already.
    let plain = |user: &&Value| {
        let name = user["userPrincipalName"].as_str().unwrap_or_default();
        user["accountEnabled"] == true
            && name.split('@').next().unwrap_or_default().ends_with(|c: char| c.is_ascii_digit())
    };
    let names: Vec<Value> =
        users.filter(plain).map(|user| user["userPrincipalName"].clone()).take(load.users).collect();
    let text = format!(
        "schema: staunch/v1\nid: load\nversion: 1.0.0\ntitle: Load\ninputs:\n  users: {{type: users}}\nlimits: {{changes: 1000, targets: {{user: 500}}}}\nstages:\n{}",
        load.stages
    );
    bind(&text, &[("users", json!(names))])
}
