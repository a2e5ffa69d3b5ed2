//! What can go wrong on the way to the tenant.

use serde::{Deserialize, Serialize};

use crate::{client::hints::PASSING, model::Untrusted};

/// Why a read gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReadErrorKind {
    /// 404: no such object. For Exchange: `ManagementObjectNotFoundException`.
    NotFound,
    /// 401 or 403. Denied is not empty.
    Denied,
    /// Entra refuses us a token: nothing was asked, and it says nothing of the object.
    SignIn,
    /// The user has no Exchange Online mailbox.
    NoMailbox,
    /// Throttled beyond the budget.
    Throttled,
    /// Any other 4xx: the request is wrong.
    Rejected,
    /// 5xx, a redirect, or no connection, beyond the budget.
    Unavailable,
    /// An answer that does not have the documented shape, is truncated or is incomplete.
    Malformed,
}

/// What was asked, without what was asked of it: the query is long, and stands in the evidence.
fn place(what: &str) -> &str {
    what.split('?').next().unwrap_or(what)
}

/// What a code of Exchange's does not say to everybody.
fn no_mailbox(kind: ReadErrorKind) -> &'static str {
    if kind == ReadErrorKind::NoMailbox { "this user has no mailbox in Exchange Online: " } else { "" }
}

impl ReadErrorKind {
    /// Whether the service could not be asked for now: its answer may be had another time, without a token once there is
    /// one again.
    pub fn is_for_now(self) -> bool {
        matches!(self, Self::Throttled | Self::Unavailable | Self::SignIn)
    }
}

/// The tenant's answer, or why there is none, in one line.
fn answer(status: Option<u16>, code: &str, message: &Untrusted) -> String {
    let number = status.map_or_else(|| "no answer".to_owned(), |status| status.to_string());
    let code = Some(code).filter(|code| !code.is_empty()).map(|code| Untrusted::from(code).line());
    // Without an answer it is a line of our own: advice and ids of a support case stand at its end.
    let shown = if status.is_some() { Untrusted::term } else { Untrusted::line };
    let message = Some(message).filter(|message| !message.raw().is_empty()).map(shown);
    [Some(number), code, message].into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// A read that gave no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("read {}: {}{}", place(what), no_mailbox(*kind), answer(*status, code, message))]
pub struct ReadError {
    /// Class.
    pub kind: ReadErrorKind,
    /// What was asked, without a host.
    pub what: String,
    /// HTTP status, when there was one.
    pub status: Option<u16>,
    /// Graph's `error.code` or the innermost one; Exchange's exception type.
    pub code: String,
    /// The tenant's words.
    pub message: Untrusted,
    /// `request-id` of the answer, for a support case.
    pub request_id: Option<String>,
}

impl ReadError {
    /// An error that we found ourselves, without an answer that says so.
    pub(super) fn own(kind: ReadErrorKind, what: &str, reason: impl Into<Untrusted>) -> Self {
        Self {
            kind,
            what: what.to_owned(),
            status: None,
            code: String::new(),
            message: reason.into(),
            request_id: None,
        }
    }
}

/// A sign-in that gave no token.
#[derive(Clone, Debug, thiserror::Error)]
#[error("sign in: {message}")]
pub struct SignInError {
    /// One clear line, with the AADSTS number where there is one, what it means and what to do.
    pub message: String,
    /// AADSTS numbers.
    pub codes: Vec<u32>,
    /// The sign-in service could not be asked, or has a fault that passes: another try may be answered.
    pub passing: bool,
}

impl SignInError {
    /// Whether Entra said no, and will say it again: not a passing fault, and not a silence.
    pub(super) fn is_refusal(&self) -> bool {
        !self.codes.is_empty() && !self.codes.iter().any(|code| PASSING.contains(code))
    }

    /// An error that has no AADSTS number.
    pub(super) fn plain(message: impl Into<String>) -> Self {
        Self { message: message.into(), codes: Vec::new(), passing: false }
    }
}
