//! What asks the program to end: Ctrl-C, SIGTERM of a scheduler or a supervisor, SIGHUP of a connection that is gone.

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// A person at the keyboard, who can ask a second time.
    Interrupt,
    /// The system, which may say the same twice in two ways.
    #[cfg_attr(not(unix), expect(dead_code, reason = "Windows sends none"))]
    End,
}

/// The signals, from when this is made.
pub(crate) struct Signals {
    #[cfg(unix)]
    heard: [(Asked, Option<tokio::signal::unix::Signal>); 3],
}

#[cfg(unix)]
impl Signals {
    pub(crate) fn new() -> Self {
        use tokio::signal::unix::{SignalKind, signal};

        let hang_up = if hang_up_is_left_alone() { None } else { signal(SignalKind::hangup()).ok() };
        Self {
            heard: [
                (Asked::Interrupt, signal(SignalKind::interrupt()).ok()),
                (Asked::End, signal(SignalKind::terminate()).ok()),
                (Asked::End, hang_up),
            ],
        }
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        let [first, second, third] = &mut self.heard;
        tokio::select! {
            asked = one(first) => asked,
            asked = one(second) => asked,
            asked = one(third) => asked,
        }
    }
}

#[cfg(unix)]
async fn one((asked, signal): &mut (Asked, Option<tokio::signal::unix::Signal>)) -> Asked {
    if let Some(signal) = signal
        && signal.recv().await.is_some()
    {
        return *asked;
    }
    std::future::pending().await
}

#[cfg(not(unix))]
impl Signals {
    pub(crate) fn new() -> Self {
        Self {}
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        match tokio::signal::ctrl_c().await {
            Ok(()) => Asked::Interrupt,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Whoever starts us under `nohup` wants us to outlive the connection, and to listen would undo that. Only Linux tells;
/// elsewhere SIGHUP is not listened to.
#[cfg(unix)]
fn hang_up_is_left_alone() -> bool {
    !cfg!(target_os = "linux")
        || std::fs::read_to_string("/proc/self/status").map_or(true, |status| ignores_hang_up(&status))
}

/// Source: proc_pid_status(5), `SigIgn`: a mask in hexadecimal; SIGHUP is signal 1, the lowest bit.
#[cfg(unix)]
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_none_or(|mask| mask & 1 == 1)
}

#[cfg(all(test, unix))]
mod tests {
    use super::ignores_hang_up;

    #[test]
    fn nohup_is_seen() {
        assert!(!ignores_hang_up("Name:\tstaunch\nSigIgn:\t0000000000001000\nSigCgt:\t0000000000000001\n"));
        assert!(ignores_hang_up("Name:\tstaunch\nSigIgn:\t0000000000001001\n"));
        assert!(ignores_hang_up("Name:\tstaunch\n"), "what is not known is left alone");
    }
}
