//! How long a large tenant takes to start, and what it weighs. A process of its own, since memory is the process's.
//!
//! The limits are those of 100,000 users in a release build: `cargo test --release -p mock-server --test weight --
//! --nocapture` prints the figures. A debug build has the same limits for a twentieth of the users.

use std::io::Write as _;
use std::time::{Duration, Instant};

use mock_server::{Request, Scenario, Server, Tenant};

const USERS: usize = if cfg!(debug_assertions) { 5_000 } else { 100_000 };
const LONGEST: Duration = Duration::from_secs(5);
const MOST_KIB: u64 = 1_572_864;

/// A line of the kernel's account of this process, in KiB; `None` where there is no such account.
fn account(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The processor time of this process so far, in hundredths of a second: what else the machine does is not in it.
fn processor() -> Option<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The name in parentheses may hold blanks; the two times are the 12th and 13th field after it.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

#[tokio::test]
async fn a_large_tenant_starts_quickly_and_fits() {
    let started = Instant::now();
    let tenant = Tenant::new(&Scenario::builtin("aitm").unwrap().with_users(USERS));
    let server = Server::start(tenant.clone()).await;
    let (took, busy) = (started.elapsed(), processor());
    assert!(server.uri().starts_with("http://127.0.0.1:"));
    assert!(tenant.inspect(|state| state.users.len()) > USERS);
    assert_eq!(tenant.handle(&Request::new("GET", "/v1.0/users")).status, 401);
    let (now, peak) = (account("VmRSS:"), account("VmHWM:"));
    writeln!(
        std::io::stdout(),
        "{USERS} users: {took:.2?} ({:.2?} of processor time), {} MiB now, {} MiB at most",
        busy.map(|hundredths| Duration::from_millis(hundredths * 10)).unwrap_or_default(),
        now.unwrap_or(0) / 1024,
        peak.unwrap_or(0) / 1024
    )
    .unwrap();
    // A busy machine is not the tenant's fault, so its own time counts where it is known.
    let spent = busy.map_or(took, |hundredths| Duration::from_millis(hundredths * 10));
    assert!(spent < LONGEST, "{spent:?}");
    match peak {
        Some(kib) => assert!((1_024..MOST_KIB).contains(&kib), "{kib} KiB"),
        None => writeln!(std::io::stderr(), "memory not measured: there is no /proc/self/status").unwrap(),
    }
}
