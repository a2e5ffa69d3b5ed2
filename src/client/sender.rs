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
        obstacle::Obstacle,
        pacing::Priority,
        placeholders::{fill, masked},
        reader::graph_url,
        retry::Budget,
        session::Core,
        transport::Fault,
        wire::{Attempt, Outgoing, PRIORITY, Try},
    },
    model::{Call, Exchange, ExchangeOutcome, Password, Service, Stop, Untrusted, Verb, Write},
};

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
    /// It was certainly not executed, and nobody said that it will not be: there was no time for another attempt.
    pub later: bool,
    /// Every attempt, secrets masked; of attempts in a row that reached nobody the first and the last.
    pub exchanges: Vec<Exchange>,
    /// Warnings that Exchange put beside a 200.
    pub warnings: Vec<Untrusted>,
}

/// The client that writes. Cheap to clone.
#[derive(Clone)]
pub struct Sender {
    core: Arc<Core>,
    stop: Stop,
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

impl Sent {
    fn keep(&mut self, exchange: &Exchange) {
        let unheard = |exchange: &Exchange| exchange.outcome == ExchangeOutcome::NotSent;
        if let [.., first, last] = self.exchanges.as_mut_slice()
            && [&*first, &*last, exchange].into_iter().all(unheard)
        {
            last.clone_from(exchange);
        } else {
            self.exchanges.push(exchange.clone());
        }
    }
}

impl Sender {
    pub(super) fn new(core: Arc<Core>) -> Self {
        Self { core, stop: Stop::default() }
    }

    /// A sender whose waits end when somebody asks to stop; a call that was sent is waited for.
    #[must_use]
    pub fn until(self, stop: Stop) -> Self {
        Self { stop, ..self }
    }

    /// Sends one call. Retries only what was certainly not executed (429, 503 with `Retry-After`, 409
    /// `Directory_ConcurrencyViolation`, 423, not sent, once a 401 of an ageing token), as long as there is time; an
    /// unknown result is returned, since only the engine can read back. The first attempt carries `client_request_id`,
    /// the following ones the v5 UUID of it and of their number.
    pub async fn send(&self, call: &Call, secrets: &Secrets, client_request_id: &str) -> Sent {
        let mut sent = Sent {
            outcome: SendOutcome::NotSent { reason: "no attempt was made".to_owned() },
            later: false,
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
        let mut budget = Budget::until(wire.patient_deadline());
        let mut renewed = false;
        // A claims challenge aside, the budget ends it.
        for number in 1.. {
            let (id, deadline) = (derived_request_id(client_request_id, number), budget.deadline());
            let this = Try { id, number, deadline, patient: true, stop: self.stop.clone() };
            let attempt = match wire.attempt(&out, &this).await {
                Ok(attempt) => attempt,
                Err(obstacle) => {
                    sent.later = obstacle.is_for_now();
                    let reason = obstacle.reason();
                    match &mut sent.outcome {
                        // Its 401 asked for a fresh token, and Entra says why there is none.
                        SendOutcome::Rejected { message, .. } if matches!(obstacle, Obstacle::SignIn(_)) => {
                            *message = reason.into();
                        }
                        // After a rejection the last word is the tenant's, not that we stopped asking.
                        _ if !sent.exchanges.is_empty() => {}
                        outcome => *outcome = SendOutcome::NotSent { reason },
                    }
                    return sent;
                }
            };
            let judged = judge(out.service, &attempt);
            sent.keep(&attempt.exchange);
            sent.outcome = judged.outcome;
            sent.warnings = judged.warnings;
            let again = if attempt.token_renewed {
                !std::mem::replace(&mut renewed, true)
            } else {
                judged.again && wire.pause(out.service, &attempt, &mut budget, &self.stop).await
            };
            if !again {
                sent.later = judged.again && !attempt.token_renewed;
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
        ExchangeOutcome::ServerError if status >= 500 => unknown(format!("HTTP {status}")),
        outcome => {
            let mut complaint = Complaint::of(service, exchange);
            if let Some(meaning) = attempt.cut_off {
                complaint.message = meaning.to_owned();
            }
            match (outcome, service) {
                // A gateway's page and an empty body prove nothing, neither absence nor that nothing was done.
                (ExchangeOutcome::NotFound, _) if complaint.code.is_empty() => {
                    return unknown("HTTP 404 without the service's own words".to_owned());
                }
                (ExchangeOutcome::NotFound, Service::Graph) => return Judged::last(SendOutcome::NotFound),
                (_, Service::Exchange) if complaint.says_not_found() => return Judged::last(SendOutcome::NotFound),
                _ => {}
            }
            // Source: Graph "error responses": 423 is an object that is locked; the code of 409 asks to try again.
            let again = outcome == ExchangeOutcome::Throttled
                || status == 423
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
