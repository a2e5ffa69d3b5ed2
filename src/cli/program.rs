//! What the record says of the program and the machine that wrote it.

use std::{env, fs};

use aws_lc_rs::digest::{SHA256, digest};
use jiff::tz::TimeZone;

use crate::journal::Tool;

/// This program: its version, the commit where the build was told, and the digest of the very file that runs.
pub(crate) fn tool() -> Tool {
    let sha256 = env::current_exe().and_then(fs::read).ok().map(|bytes| {
        // Not the digest of the record: in a debug build that one takes seconds for a whole executable.
        digest(&SHA256, &bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
    });
    Tool {
        name: "staunch".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit: option_env!("STAUNCH_COMMIT").map(str::to_owned),
        sha256,
    }
}

/// Name of the machine.
pub(crate) fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// Name of the machine's time zone, where it has one (`Europe/Berlin`).
pub(crate) fn time_zone() -> Option<String> {
    TimeZone::system().iana_name().map(str::to_owned)
}
