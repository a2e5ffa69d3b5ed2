//! Why no attempt of a request was made.

use jiff::Timestamp;

use crate::client::{ReadError, ReadErrorKind, SignInError};

/// Why no attempt was made.
#[derive(Clone, Debug)]
pub(super) enum Obstacle {
    /// No token.
    SignIn(SignInError),
    /// The service holds everybody back for longer than this request may take.
    Fenced {
        /// Until then, by our clock.
        until: Timestamp,
    },
    /// The service fails again and again, and is left alone for longer than this request may take.
    Failing {
        /// Until then, by our clock.
        until: Timestamp,
    },
    /// The address is not the service's own: no token goes there.
    Foreign,
    /// The deadline of the run has passed.
    Deadline,
    /// Somebody asked to stop.
    Interrupted,
}

impl Obstacle {
    /// In words.
    pub(super) fn reason(&self) -> String {
        match self {
            Self::SignIn(error) => error.to_string(),
            Self::Fenced { until } => format!("throttled by the service until {until:.0}"),
            Self::Failing { until } => {
                format!("the service fails again and again, and is left alone until {until:.0}")
            }
            Self::Foreign => "the address is not the service's own".to_owned(),
            Self::Deadline => "the deadline of the run has passed".to_owned(),
            Self::Interrupted => "interrupted".to_owned(),
        }
    }

    /// Whether it can be another time. So it can without a token: that says nothing of the request.
    pub(super) fn is_for_now(&self) -> bool {
        !matches!(self, Self::Foreign)
    }

    /// As the end of a read.
    pub(super) fn read_error(&self, what: &str) -> ReadError {
        let kind = match self {
            Self::SignIn(error) if error.passing || error.codes.is_empty() => ReadErrorKind::Unavailable,
            Self::Failing { .. } | Self::Deadline | Self::Interrupted => ReadErrorKind::Unavailable,
            Self::SignIn(_) => ReadErrorKind::SignIn,
            Self::Fenced { .. } => ReadErrorKind::Throttled,
            Self::Foreign => ReadErrorKind::Malformed,
        };
        ReadError::own(kind, what, self.reason())
    }
}
