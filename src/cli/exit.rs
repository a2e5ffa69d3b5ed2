//! Exit codes, and errors as a person at the terminal needs them.

use std::{error::Error, process::ExitCode};

use crate::journal::Verdict;

/// How the program ends. The numbers are documented in the README and never change their meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All that was asked holds.
    Ok = 0,
    /// It could not run: network, authentication, disk.
    CouldNotRun = 1,
    /// The command line, the playbook, an input or the configuration is wrong.
    Usage = 2,
    /// Refused, and nothing was changed.
    Refused = 3,
    /// It ran, and something is not contained or not known, or could not be sent for now.
    NotContained = 4,
    /// A record does not verify.
    NotVerified = 5,
    /// A record is whole and signed, but nothing was given to authenticate it with.
    Consistent = 50,
    /// A record was not closed.
    Open = 51,
    /// A record was not closed, and its last line is incomplete.
    TornTail = 52,
    /// Interrupted, or its deadline has passed; the journal is right.
    Interrupted = 130,
}

impl From<Verdict> for Exit {
    /// Only what is authentic is good: a program that asks no further must not take less for it.
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Authentic => Self::Ok,
            Verdict::Consistent => Self::Consistent,
            Verdict::Open => Self::Open,
            Verdict::TornTail => Self::TornTail,
            Verdict::Broken => Self::NotVerified,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

/// An error with its exit code, the chain of its causes in words, and what to do about it.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    pub(crate) message: String,
    pub(crate) hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    pub(crate) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// An error of a lower layer: "failed to …: cause: cause".
    pub(crate) fn of(exit: Exit, error: &dyn Error) -> Self {
        let mut message = format!("failed to {error}");
        let mut source = error.source();
        while let Some(cause) = source {
            message.push_str(": ");
            message.push_str(&cause.to_string());
            source = cause.source();
        }
        Self::new(exit, message)
    }
}

/// Turns errors of lower layers into failures with an exit code.
pub(crate) trait OrFail<T> {
    /// With this exit code.
    fn or_fail(self, exit: Exit) -> Result<T, Failure>;
}

impl<T, E: Error> OrFail<T> for Result<T, E> {
    fn or_fail(self, exit: Exit) -> Result<T, Failure> {
        self.map_err(|error| Failure::of(exit, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::{Exit, Failure};

    #[derive(Debug, thiserror::Error)]
    #[error("open the door")]
    struct Door(#[source] Lock);
    #[derive(Debug, thiserror::Error)]
    #[error("turn the key")]
    struct Lock(#[source] std::fmt::Error);

    #[test]
    fn a_chain_of_three_is_printed_once_each() {
        let failure = Failure::of(Exit::CouldNotRun, &Door(Lock(std::fmt::Error)));
        assert!(failure.message.starts_with("failed to open the door: turn the key: "), "{}", failure.message);
        assert_eq!(failure.message.matches("turn the key").count(), 1);
    }
}
