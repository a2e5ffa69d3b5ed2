//! Tests that need something of the machine. Where it is missing they say so and end, and fail where it must be there.

use std::io::Write as _;

/// Says what a test cannot do. `STAUNCH_TESTS_MUST_RUN`, which `.ci/run` sets, names what the machine has.
pub(crate) fn skip(missing: &str, so: &str) {
    let must = std::env::var("STAUNCH_TESTS_MUST_RUN").unwrap_or_default();
    assert!(!must.split_whitespace().any(|name| name == missing), "{missing} must be there: {so}");
    // Not by a macro: the harness would keep it from whoever looks on.
    drop(writeln!(std::io::stderr(), "SKIPPED: {missing} is not there, so {so}"));
}
