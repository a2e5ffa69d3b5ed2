//! The client that writes. Only the engine names it.

use std::{collections::BTreeMap, sync::Arc};

use bytes::Bytes;
use reqwest::{
    Method,
    header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue},
};

use crate::{
    client::{
        cmdlet,
        complaint::Complaint,
        draw::derived_request_id,
        pacing::Priority,
        placeholders::{fill, masked},
        reader::graph_url,
        retry::Budget,
        session::Core,
        transport::Fault,
        wire::{Attempt, Outgoing, PRIORITY, Try},
    },
    model::{Call, Exchange, ExchangeOutcome, Password, Service, Untrusted, Verb, Write},
};

/// Attempts of one call, as long as each was certainly not executed.
const ATTEMPTS: u32 = 5;
/// Secrets for the placeholders of a call, by name.
pub type Secrets = BTreeMap<String, Password>;

/// How sending a call ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendOutcome {
    /// 2xx, whole. Not a proof: read it back.
    Accepted,
    /// 404, or Exchange's not-found: for a delete perhaps already gone.
    NotFound,
    /// Rejected before it took effect (4xx); the tenant's code and words.
    Rejected {
        /// HTTP status.
        status: u16,
        /// Error code.
        code: String,
        /// The tenant's words.
        message: Untrusted,
    },
    /// Nothing reached the server.
    NotSent {
        /// Why.
        reason: String,
    },
    /// Sent; whether it took effect is not known.
    Unknown {
        /// Why.
        reason: String,
    },
}

/// A call that was sent: its attempts, and how it ended.
#[derive(Clone, Debug)]
pub struct Sent {
    /// How.
    pub outcome: SendOutcome,
    /// Every attempt, secrets masked.
    pub exchanges: Vec<Exchange>,
    /// Warnings that Exchange put beside a 200.
    pub warnings: Vec<Untrusted>,
}

/// The client that writes. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    core: Arc<Core>,
}

/// What one attempt came to.
struct Judged {
    outcome: SendOutcome,
    warnings: Vec<Untrusted>,
    /// It was certainly not executed, and may be in a moment.
    again: bool,
}

impl Judged {
    fn last(outcome: SendOutcome) -> Self {
        Self { outcome, warnings: Vec::new(), again: false }
    }
}

impl Sender {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core }
    }

    /// Sends one call. Retries only what was certainly not executed (429, 503 with `Retry-After`, 409
    /// `Directory_ConcurrencyViolation`, not sent, once a 401 of an ageing token); an unknown result is returned, since only the engine can
    /// read back. The first attempt carries `client_request_id`, the following ones the v5 UUID of it and of
    /// their number.
    pub async fn send(&self, call: &Call, secrets: &Secrets, client_request_id: &str) -> Sent {
        let mut sent = Sent {
            outcome: SendOutcome::NotSent { reason: "no attempt was made".to_owned() },
            exchanges: Vec::new(),
            warnings: Vec::new(),
        };
        let out = match self.outgoing(&call.write, secrets) {
            Ok(out) => Outgoing { priority: Priority::Containment, ..out },
            Err(reason) => {
                sent.outcome = SendOutcome::NotSent { reason };
                return sent;
            }
        };
        let wire = &self.core.wire;
        let deadline = wire.deadline(self.core.deadline);
        let mut budget = Budget::new(ATTEMPTS, deadline);
        let mut renewed = false;
        // A claims challenge aside, the budget ends it.
        for number in 1.. {
            let this = Try { id: derived_request_id(client_request_id, number), number, deadline };
            let attempt = match wire.attempt(&out, &this).await {
                Ok(attempt) => attempt,
                Err(obstacle) => {
                    // After a rejection the last word is the tenant's, not that we stopped asking.
                    if sent.exchanges.is_empty() {
                        let reason = obstacle.reason();
                        sent.outcome = SendOutcome::NotSent { reason };
                    }
                    return sent;
                }
            };
            let judged = judge(out.service, &attempt);
            sent.exchanges.push(attempt.exchange.clone());
            sent.outcome = judged.outcome;
            sent.warnings = judged.warnings;
            let again = if attempt.token_renewed {
                !std::mem::replace(&mut renewed, true)
            } else {
                judged.again && wire.pause(&attempt, &mut budget).await
            };
            if !again {
                return sent;
            }
        }
        sent
    }

    fn outgoing(&self, write: &Write, secrets: &Secrets) -> Result<Outgoing, String> {
        let wire = &self.core.wire;
        match write {
            Write::Graph { verb, path, body } => {
                let method = match verb {
                    Verb::Post => Method::POST,
                    Verb::Patch => Method::PATCH,
                    Verb::Delete => Method::DELETE,
                };
                let url = graph_url(wire.base(Service::Graph), path).ok_or("the path would be changed on its way")?;
                let mut out = Outgoing::new(Service::Graph, method, url);
                out.headers.insert(PRIORITY, HeaderValue::from_static("High"));
                match body {
                    Some(body) => {
                        let json = HeaderValue::from_static("application/json");
                        out.headers.insert(CONTENT_TYPE, json);
                        out.body = Some(Bytes::from_owner(fill(body, secrets)?));
                        out.shown = Some(masked(body));
                    }
                    None if *verb == Verb::Post => {
                        let none = HeaderValue::from_static("0");
                        out.headers.insert(CONTENT_LENGTH, none);
                    }
                    None => {}
                }
                Ok(out)
            }
            Write::Cmdlet { name, anchor, parameters } => {
                if let Some(empty) = cmdlet::empty_identity(parameters) {
                    return Err(format!("an empty {empty} would concern every object"));
                }
                let url = cmdlet::url(wire.base(Service::Exchange), &self.core.tenant_id);
                let body = cmdlet::body(name.name(), parameters);
                let bytes = Bytes::from_owner(fill(&body, secrets)?);
                cmdlet::request(url, name.name(), anchor, bytes, masked(&body))
                    .ok_or_else(|| "the anchor holds a control character".to_owned())
            }
        }
    }
}

/// What is known after one attempt of a write.
fn judge(service: Service, attempt: &Attempt) -> Judged {
    let exchange = &attempt.exchange;
    match &attempt.fault {
        Some(Fault::NotSent(reason)) => {
            let reason = reason.clone();
            return Judged { again: true, ..Judged::last(SendOutcome::NotSent { reason }) };
        }
        Some(Fault::Lost(reason)) => return unknown(reason.clone()),
        Some(fault @ (Fault::TooLarge | Fault::Compressed)) => return unknown(format!("the answer {fault}")),
        None => {}
    }
    let status = exchange.status.unwrap_or_default();
    match exchange.outcome {
        ExchangeOutcome::Ok => accepted(service, exchange),
        ExchangeOutcome::NotFound if service == Service::Graph => Judged::last(SendOutcome::NotFound),
        ExchangeOutcome::ServerError if status >= 500 => unknown(format!("HTTP {status}")),
        outcome => {
            let mut complaint = Complaint::of(service, exchange);
            if let Some(meaning) = attempt.cut_off {
                complaint.message = meaning.to_owned();
            }
            if service == Service::Exchange && complaint.says_not_found() {
                return Judged::last(SendOutcome::NotFound);
            }
            let again = outcome == ExchangeOutcome::Throttled
                || status == 409 && complaint.code == "Directory_ConcurrencyViolation";
            let rejected =
                SendOutcome::Rejected { status, code: complaint.code, message: Untrusted::new(complaint.message) };
            Judged { again, ..Judged::last(rejected) }
        }
    }
}

fn unknown(reason: String) -> Judged {
    Judged::last(SendOutcome::Unknown { reason })
}

/// A 2xx counts when its body is whole: none, or JSON to its end.
fn accepted(service: Service, exchange: &Exchange) -> Judged {
    let warnings = match service {
        Service::Exchange => cmdlet::written(&exchange.body),
        Service::Graph => {
            let blank = exchange.body.iter().all(u8::is_ascii_whitespace);
            let whole = blank || serde_json::from_slice::<serde::de::IgnoredAny>(&exchange.body).is_ok();
            whole.then(Vec::new)
        }
    };
    match warnings {
        Some(warnings) => Judged { warnings, ..Judged::last(SendOutcome::Accepted) },
        None => unknown("the answer is cut".to_owned()),
    }
}
