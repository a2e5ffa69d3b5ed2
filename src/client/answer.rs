//! The class of a read that failed, and whether asking again may help.

use crate::{
    client::{
        ReadError, ReadErrorKind,
        complaint::{Complaint, header},
        transport::Fault,
        wire::Attempt,
    },
    model::{Exchange, ExchangeOutcome, Service, Untrusted},
};

/// A read that failed, and whether asking again may help.
#[derive(Debug)]
pub(super) struct Failure {
    /// What it is, if it stays so.
    pub(super) error: ReadError,
    /// Whether a further attempt makes sense.
    pub(super) retry: bool,
}

/// Judges the answer to a read: whole and 2xx, or why not.
pub(super) fn judge(service: Service, what: &str, attempt: &Attempt) -> Result<(), Failure> {
    let exchange = &attempt.exchange;
    let fail = |kind, complaint: Complaint, retry| {
        let error = ReadError {
            kind,
            what: what.to_owned(),
            status: exchange.status,
            code: complaint.code,
            message: Untrusted::new(complaint.message),
            request_id: header(exchange, "request-id").map(str::to_owned),
        };
        Err(Failure { error, retry })
    };
    let own = |message: &str| Complaint { message: message.to_owned(), ..Complaint::default() };
    match &attempt.fault {
        Some(Fault::NotSent(reason) | Fault::Lost(reason)) => {
            return fail(ReadErrorKind::Unavailable, own(reason), true);
        }
        Some(fault @ (Fault::TooLarge | Fault::Compressed)) => {
            return fail(ReadErrorKind::Malformed, own(&format!("the answer {fault}")), false);
        }
        None => {}
    }
    if exchange.outcome == ExchangeOutcome::Ok {
        // A gateway's page, or an answer that somebody cut and gave a new length: asking again harms nobody.
        return match serde_json::from_slice::<serde::de::IgnoredAny>(&exchange.body) {
            Ok(_) => Ok(()),
            Err(error) => fail(ReadErrorKind::Malformed, own(&format!("the answer is not whole JSON: {error}")), true),
        };
    }
    let status = exchange.status.unwrap_or_default();
    let mut complaint = Complaint::of(service, exchange);
    if let Some(meaning) = attempt.cut_off {
        complaint.message = meaning.to_owned();
    }
    let kind = kind(service, exchange, &complaint);
    // A 404 without the service's own words is not yet a proof of absence: it has been seen to pass.
    let bare = status == 404 && complaint.code.is_empty();
    let retry =
        status == 429 || status >= 500 || bare || attempt.token_renewed || complaint.code == "CmdletProxyException";
    fail(kind, complaint, retry)
}

fn kind(service: Service, exchange: &Exchange, complaint: &Complaint) -> ReadErrorKind {
    // Source: Graph mailbox resources answer 404 with this code for a user without an Exchange Online mailbox.
    if complaint.code == "MailboxNotEnabledForRESTAPI" {
        return ReadErrorKind::NoMailbox;
    }
    match exchange.outcome {
        ExchangeOutcome::NotFound | ExchangeOutcome::Rejected
            if service == Service::Exchange && complaint.says_not_found() =>
        {
            complaint.not_found_kind()
        }
        ExchangeOutcome::NotFound if service == Service::Graph => {
            // A gateway's page and an empty body are no proof of absence, however often they come: what is not there
            // counts as contained.
            if complaint.code.is_empty() { ReadErrorKind::Unavailable } else { ReadErrorKind::NotFound }
        }
        ExchangeOutcome::NotFound | ExchangeOutcome::Rejected => ReadErrorKind::Rejected,
        ExchangeOutcome::Denied => ReadErrorKind::Denied,
        ExchangeOutcome::Throttled => ReadErrorKind::Throttled,
        ExchangeOutcome::Ok | ExchangeOutcome::ServerError | ExchangeOutcome::NotSent | ExchangeOutcome::Lost => {
            ReadErrorKind::Unavailable
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::judge;
    use crate::{
        client::{
            ReadErrorKind,
            wire::{Attempt, outcome_of},
        },
        model::{Exchange, Service},
    };

    fn attempt(status: u16, body: &[u8]) -> Attempt {
        let exchange = Exchange {
            client_request_id: "c".to_owned(),
            attempt: 1,
            method: "GET".to_owned(),
            url: "https://graph.microsoft.com/v1.0/users/x".to_owned(),
            request_headers: Vec::new(),
            token: None,
            request_body: None,
            status: Some(status),
            response_headers: vec![("Request-Id".to_owned(), "r1".to_owned())],
            started: "2023-12-12T14:00:00Z".parse().unwrap(),
            ended: "2023-12-12T14:00:00Z".parse().unwrap(),
            started_mono_ms: 0,
            server_date: None,
            outcome: outcome_of(status, false),
            batch: None,
            batch_headers: Vec::new(),
            body: body.to_vec(),
        };
        Attempt { exchange, fault: None, retry_after: None, token_renewed: false, cut_off: None }
    }

    fn kind(service: Service, status: u16, body: &[u8]) -> (ReadErrorKind, bool) {
        let failure = judge(service, "GET /x", &attempt(status, body)).unwrap_err();
        (failure.error.kind, failure.retry)
    }

    #[test]
    fn graph_statuses_become_kinds() {
        use ReadErrorKind::{Denied, Malformed, NoMailbox, NotFound, Rejected, Throttled, Unavailable};
        let graph = |status, body: &str| kind(Service::Graph, status, body.as_bytes());
        assert!(judge(Service::Graph, "", &attempt(200, b"{}")).is_ok());
        let gone = r#"{"error":{"code":"Request_ResourceNotFound","message":"m"}}"#;
        assert_eq!(graph(404, gone), (NotFound, false));
        assert_eq!(graph(404, ""), (Unavailable, true), "an absence is told in the service's own words");
        assert_eq!(graph(404, "<html>"), (Unavailable, true), "a gateway's");
        assert_eq!(graph(404, r#"{"error":{"code":"MailboxNotEnabledForRESTAPI","message":"m"}}"#), (NoMailbox, false));
        assert_eq!(graph(401, ""), (Denied, false));
        assert_eq!(graph(403, "<html>"), (Denied, false));
        assert_eq!(graph(400, "{}"), (Rejected, false));
        assert_eq!(graph(429, ""), (Throttled, true));
        assert_eq!(graph(302, ""), (Unavailable, false));
        for status in [500, 502, 503, 504] {
            assert_eq!(graph(status, "<html>"), (Unavailable, true));
        }
        assert_ne!(graph(400, "{}").0, Malformed);
    }

    #[test]
    fn an_error_keeps_the_request_id_and_never_the_bodys_controls() {
        let body = json!({"error": {"code": "x", "message": "\u{1b}[2J"}}).to_string();
        let failure = judge(Service::Graph, "GET /x", &attempt(400, body.as_bytes())).unwrap_err();
        assert_eq!(failure.error.request_id.as_deref(), Some("r1"));
        assert_eq!(failure.error.to_string(), r#"read GET /x: 400 x "\u{1b}[2J""#);
    }

    #[test]
    fn exchange_itself_must_say_that_an_object_is_missing() {
        let exchange = |status, body: &str| kind(Service::Exchange, status, body.as_bytes()).0;
        let own = r#"{"error":{"code":"NotFound","message":"m"}}"#;
        assert_eq!(exchange(404, own), ReadErrorKind::NotFound);
        assert_eq!(exchange(404, "<html>"), ReadErrorKind::Rejected);
        assert_eq!(exchange(404, ""), ReadErrorKind::Rejected);
    }

    #[test]
    fn nul_bytes_from_exchange_are_a_denial_with_three_causes() {
        let failure = judge(Service::Exchange, "Get-Mailbox", &attempt(403, &[0; 64])).unwrap_err();
        assert_eq!(failure.error.kind, ReadErrorKind::Denied);
        let words = failure.error.message.raw();
        for cause in ["no Exchange role", "lacks this cmdlet", "after this token"] {
            assert!(words.contains(cause), "{words}");
        }
    }
}
