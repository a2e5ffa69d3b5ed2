//! Two hundred accounts under the published quotas, which their writes exceed.

use staunch::journal::{Verdict, verify};

use crate::{
    accounts::{Planted, cut_first, many},
    simulation::Simulation,
    traffic::{Traffic, left_over},
};

/// Writes to the directory that fit into [`WINDOW`] seconds.
///
/// Source: Graph "service-specific throttling limits", identity and access.
const QUOTA: usize = 3_000;
const WINDOW: i64 = 150;

#[tokio::test(start_paused = true)]
async fn two_hundred_accounts_use_the_write_quota_up_and_never_exceed_it() {
    const ACCOUNTS: usize = 200;
    let planted = Planted { methods: 8, devices: 5, rules: true };
    let simulation = Simulation::start(&many(ACCOUNTS, planted)).await;
    let tenant = &simulation.world.tenant;
    tenant.set(|settings| settings.throttling_percent = Some(100));
    let wall = std::time::Instant::now();
    let contained = simulation.contain(&cut_first(&simulation.world.tenant)).await;
    let wall = wall.elapsed();

    assert_eq!(contained.not_done(), [""; 0]);
    assert_eq!(contained.summary.outcomes.len(), ACCOUNTS * (4 + 8 + 5 + 2));
    assert_eq!(left_over(tenant), [""; 0]);
    assert_eq!(verify(&contained.dir).verdict, Verdict::Consistent);

    let traffic = Traffic::of(tenant);
    let (writes, windows) = (traffic.writes().len(), traffic.windows(WINDOW));
    let share = |used: &usize| format!("{:.1} %", *used as f64 * 100.0 / QUOTA as f64);
    println!("accounts {ACCOUNTS}, requests {}, writes {writes}, 429s {}", traffic.all.len(), traffic.refused());
    println!(
        "planned in {:.1} s, last cut-off {:.1} s, run {:.1} s (simulated); {:.1} s on this machine",
        contained.planned.as_secs_f64(),
        contained.summary.last_cut_off_ms.unwrap() as f64 / 1e3,
        contained.ran.as_secs_f64(),
        wall.as_secs_f64()
    );
    println!("write quota used in each full window: {:?}", windows.iter().map(share).collect::<Vec<_>>());

    assert_eq!(writes, ACCOUNTS * (4 + 8 + 5), "each change of the directory was sent once");
    let disabled: Vec<_> = traffic.all.iter().filter(|it| it.cmdlet.as_deref() == Some("Disable-InboxRule")).collect();
    assert!(disabled.len() == ACCOUNTS * 2 && disabled.iter().all(|it| it.mutated), "{} cmdlets", disabled.len());
    for (what, times) in traffic.effects().into_iter().filter(|(what, _)| !what.ends_with("/InvokeCommand")) {
        // An account is changed twice on one path, blocked and given a password, and revoked twice.
        let twice = what.contains("revokeSignInSessions") || what.starts_with("PATCH /v1.0/users/");
        assert_eq!(times, if twice { 2 } else { 1 }, "{what}");
    }
    for victim in &tenant.incident().victims {
        assert_eq!(tenant.passwords_set(victim), 1, "{victim}");
    }
    assert!(!windows.is_empty(), "the quota binds");
    for used in &windows {
        assert!(used * 10 >= QUOTA * 9, "{windows:?}");
    }
    assert!(traffic.refused() * 50 <= traffic.all.len(), "{} of {}", traffic.refused(), traffic.all.len());
}
