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

/// The command line. No secret is ever given in it.
pub(crate) fn command() -> Vec<String> {
    env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Name of the machine.
pub(crate) fn host() -> String {
    gethostname::gethostname().to_string_lossy().into_owned()
}

/// The user of the machine as the system knows it, not as a variable of the environment says.
#[cfg(unix)]
pub(crate) fn user() -> String {
    let uid = rustix::process::getuid().as_raw();
    let accounts = fs::read_to_string("/etc/passwd").unwrap_or_default();
    name_of(uid, &accounts).map_or_else(|| format!("uid {uid}"), |name| format!("{name} (uid {uid})"))
}

/// The user of the machine, as it says.
#[cfg(not(unix))]
pub(crate) fn user() -> String {
    env::var("USERNAME").unwrap_or_else(|_| "unknown".to_owned())
}

/// The name of a user in the lines of `passwd(5)`. A user of a directory service has none there.
#[cfg(unix)]
fn name_of(uid: u32, accounts: &str) -> Option<&str> {
    let mut accounts = accounts.lines().map(|line| line.split(':'));
    accounts.find_map(|mut fields| {
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(uid)).then_some(name)
    })
}

/// Name of the machine's time zone, where it has one (`Europe/Berlin`).
pub(crate) fn time_zone() -> Option<String> {
    TimeZone::system().iana_name().map(str::to_owned)
}

#[cfg(all(test, unix))]
mod tests {
    use super::name_of;

    #[test]
    fn a_user_is_found_by_number() {
        let accounts = "root:x:0:0::/root:/bin/sh\n# x\nilse:x:1000:100:,,,:/home/ilse:/bin/sh\n";
        assert_eq!(name_of(1000, accounts), Some("ilse"));
        assert_eq!(name_of(100, accounts), None);
    }
}
