//! What the program leaves behind when it falls: no memory image, and no words of a panic, which could hold secrets. And
//! what it asks of the system to fall less.

use std::panic::{self, PanicHookInfo};

use crate::cli::output::Output;

/// To be called before any secret is read.
pub(crate) fn begin(out: Output) {
    no_core_dumps();
    many_files();
    panic::set_hook(Box::new(move |info| out.say(&fallen(info))));
}

/// Where it fell, and nothing of why: a panic's text may quote what it stumbled over.
fn fallen(info: &PanicHookInfo<'_>) -> String {
    let place = info.location().map(|at| format!("{}:{}:{}", at.file(), at.line(), at.column()));
    format!(
        "error: a fault of the program itself, at {}; please report it\nhint: what was done is on record; \
         `staunch resume RUN` goes on with a run",
        place.as_deref().unwrap_or("an unknown place")
    )
}

/// A core file would hold tokens and passwords. Where that cannot be had, the program still runs.
///
/// Linux hands a core to a program without looking at the limit (core(5), "Piping core dumps to a program"), so there the
/// process says as well that it is not to be dumped; then nobody else's debugger gets at it either, nor at its environment.
#[cfg(unix)]
fn no_core_dumps() {
    use rustix::process::{Resource, Rlimit, setrlimit};

    if let Err(error) = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) }) {
        tracing::warn!(%error, "core dumps stay on");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the process can still be dumped");
    }
}

#[cfg(not(unix))]
fn no_core_dumps() {}

/// Connections and evidence of a big run are more files than a system gives by default: 256 on macOS, 1,024 elsewhere.
#[cfg(unix)]
fn many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    /// macOS gives no more (`OPEN_MAX`), whatever it says.
    const MOST: u64 = 10_240;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    let wanted = maximum.map_or(MOST, |maximum| maximum.min(MOST));
    if current.is_some_and(|current| current < wanted)
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
    {
        tracing::warn!(%error, "few files can be open at once");
    }
}

#[cfg(not(unix))]
fn many_files() {}

#[cfg(test)]
mod tests {
    use std::{
        panic,
        sync::{Arc, Mutex},
    };

    use super::fallen;
    use crate::cli::{args::Format, output::Output};

    const FALL: &str = "STAUNCH_TEST_FALL";

    /// Falls in a process of its own, as the program would: what `begin` sets is for good.
    #[test]
    fn a_program_that_has_begun_falls_without_a_word_of_why() {
        if std::env::var_os(FALL).is_some() {
            super::begin(Output::new(Format::Human));
            let secret = "canary-panic".to_owned();
            panic!("{secret}");
        }
        let this = "cli::hygiene::tests::a_program_that_has_begun_falls_without_a_word_of_why";
        let mut again = std::process::Command::new(std::env::current_exe().unwrap());
        let ended = again.args([this, "--exact", "--nocapture"]).env(FALL, "1").output().unwrap();
        let told = String::from_utf8_lossy(&ended.stderr);
        assert!(!ended.status.success() && told.contains("error: a fault of the program itself"), "{told}");
        let all = told.into_owned() + &String::from_utf8_lossy(&ended.stdout);
        assert!(!all.contains("canary-panic"), "{all}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_process_cannot_be_dumped() {
        use rustix::process::{DumpableBehavior, Resource, dumpable_behavior, getrlimit};

        super::no_core_dumps();
        assert_eq!(dumpable_behavior().unwrap(), DumpableBehavior::NotDumpable);
        assert_eq!(getrlimit(Resource::Core).current, Some(0));
    }

    #[cfg(unix)]
    #[test]
    fn as_many_files_as_the_system_gives_can_be_open() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

        super::many_files();
        let given = getrlimit(Resource::Nofile);
        let current = given.current.unwrap();
        setrlimit(Resource::Nofile, Rlimit { current: Some(current.min(10_240) - 1), ..given }).unwrap();
        super::many_files();
        assert_eq!(getrlimit(Resource::Nofile).current, Some(current.min(10_240)));
    }

    #[test]
    fn a_panic_is_told_by_its_place_only() {
        let told = Arc::new(Mutex::new(String::new()));
        let (log, before) = (Arc::clone(&told), panic::take_hook());
        panic::set_hook(Box::new(move |info| {
            let ours = info.payload().downcast_ref::<String>().is_some_and(|text| text.contains("canary-panic"));
            if ours {
                *log.lock().unwrap() = fallen(info);
            } else {
                before(info);
            }
        }));
        let secret = "canary-panic".to_owned();
        panic::catch_unwind(|| panic!("{secret}")).unwrap_err();
        let told = told.lock().unwrap().clone();
        assert!(told.contains("src/cli/hygiene.rs:"), "{told}");
        assert!(!told.contains("canary"), "{told}");
    }
}
