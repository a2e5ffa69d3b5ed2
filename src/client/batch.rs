//! Graph reads that are asked for together travel together: one `$batch` of up to twenty GETs. Reads only.
//!
//! A write never comes here: a lost answer would leave twenty of them unknown at once.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::future::join_all;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Map, Value, json, value::RawValue};
use tokio::sync::oneshot;

use crate::{
    client::{
        obstacle::Obstacle,
        retry::RetryAfter,
        transport::Fault,
        wire::{Attempt, CLIENT_REQUEST_ID, Outgoing, Try, Wire, asked_headers, demanded, outcome_of},
    },
    model::{Exchange, ExchangeOutcome, Service},
};

/// Most requests of one batch.
///
/// Source: Graph "combine multiple HTTP requests using JSON batching".
const MOST: usize = 20;
/// How long the first read waits for others.
const WINDOW: Duration = Duration::from_millis(2);

/// The reads that wait for company.
pub(super) struct Batcher {
    wire: Arc<Wire>,
    on: bool,
    waiting: Mutex<Vec<Item>>,
}

/// One read, and who waits for it.
struct Item {
    out: Outgoing,
    this: Try,
    /// What its batch was answered, where that settled nothing and it is asked for alone.
    refused: Option<Exchange>,
    reply: oneshot::Sender<Answered>,
}

/// What became of a read: the answer to its batch where that settled nothing, and the attempt that counts.
type Answered = (Option<Exchange>, Result<Attempt, Obstacle>);

#[derive(Deserialize)]
struct Answers<'a> {
    #[serde(borrow)]
    responses: Vec<Part<'a>>,
}

/// The answer to one request of a batch; its body as it came.
#[derive(Deserialize)]
struct Part<'a> {
    id: String,
    status: u16,
    headers: Option<Map<String, Value>>,
    #[serde(borrow)]
    body: Option<&'a RawValue>,
}

impl Batcher {
    /// Nobody waits yet.
    pub(super) fn new(wire: Arc<Wire>, on: bool) -> Self {
        let waiting = Mutex::default();
        Self { wire, on, waiting }
    }

    /// Whether reads are batched at all.
    pub(super) fn is_on(&self) -> bool {
        self.on
    }

    /// Makes one attempt of a read, together with those that are asked for at the same time. What is sent goes on
    /// when one of the askers goes away, or is stopped.
    pub(super) async fn submit(self: &Arc<Self>, out: Outgoing, this: Try) -> Answered {
        let (reply, answer) = oneshot::channel();
        let stop = this.stop.clone();
        let (full, first) = self.enqueue(Item { out, this, refused: None, reply });
        if let Some(items) = full {
            let batcher = Arc::clone(self);
            drop(tokio::spawn(async move { batcher.send(items).await }));
        } else if first {
            let batcher = Arc::clone(self);
            drop(tokio::spawn(async move {
                batcher.wire.clock().sleep(WINDOW).await;
                let items = batcher.take();
                batcher.send(items).await;
            }));
        }
        tokio::select! {
            biased;
            answer = answer => answer.unwrap_or((None, Err(Obstacle::Interrupted))),
            () = stop.wait() => (None, Err(Obstacle::Interrupted)),
        }
    }

    /// The batch that this read has filled, or whether it is the first that waits.
    fn enqueue(&self, item: Item) -> (Option<Vec<Item>>, bool) {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.push(item);
        if waiting.len() >= MOST {
            return (Some(std::mem::take(&mut *waiting)), false);
        }
        (None, waiting.len() == 1)
    }

    fn take(&self) -> Vec<Item> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }

    async fn send(&self, mut items: Vec<Item>) {
        items.retain(|item| !item.reply.is_closed());
        if items.len() <= 1 {
            return self.send_plain(items).await;
        }
        let id = self.wire.request_id();
        let deadline = items.iter().map(|item| item.this.deadline).max();
        let patient = items.iter().any(|item| item.this.patient);
        let outer = Try { patient, ..Try::first(id, deadline.unwrap_or_default()) };
        let request = request(self.wire.base(Service::Graph), &items);
        // The place is given up at the end, when the fences that the items ask for stand.
        let (outer, place) = match self.wire.attempt_in_place(&request, &outer).await {
            Ok(made) => made,
            Err(obstacle) => {
                for item in items {
                    item.answer(Err(obstacle.clone()));
                }
                return;
            }
        };
        match outer.exchange.outcome {
            ExchangeOutcome::Ok => {
                let challenged = self.deliver(items, &outer);
                drop(place);
                self.send_plain(challenged).await;
            }
            // The batch as such was refused: each read alone has an answer of its own.
            ExchangeOutcome::NotFound | ExchangeOutcome::Rejected => {
                drop(place);
                self.send_plain(refused(items, &outer)).await;
            }
            ExchangeOutcome::Denied if outer.exchange.status == Some(403) => {
                drop(place);
                self.send_plain(refused(items, &outer)).await;
            }
            _ => {
                for item in items {
                    let shared = share(&outer, &item);
                    item.answer(Ok(shared));
                }
            }
        }
    }

    async fn send_plain(&self, items: Vec<Item>) {
        let mut all = Vec::new();
        for item in items {
            all.push(send_one(Arc::clone(&self.wire), item));
        }
        drop(join_all(all).await);
    }

    /// Gives each read its part, whatever their order. Parts that are missing or doubled count as lost. Those
    /// whose token is challenged are to be asked again alone, where the challenge can be met.
    fn deliver(&self, items: Vec<Item>, outer: &Attempt) -> Vec<Item> {
        let answers: Option<Answers<'_>> = serde_json::from_slice(&outer.exchange.body).ok();
        let mut parts = by_id(answers.map(|answers| answers.responses).unwrap_or_default());
        let mut challenged = Vec::new();
        for (number, mut item) in (1..).zip(items) {
            let attempt = match parts.remove(&id_of(number)).flatten() {
                Some(part) => self.part(outer, &item, &part),
                None => lost(outer, &item),
            };
            if attempt.exchange.outcome == ExchangeOutcome::Denied && demanded(&attempt.exchange).is_some() {
                item.refused = Some(attempt.exchange);
                challenged.push(item);
            } else {
                item.answer(Ok(attempt));
            }
        }
        challenged
    }

    fn part(&self, outer: &Attempt, item: &Item, part: &Part<'_>) -> Attempt {
        let headers: Vec<_> = part.headers.iter().flatten().map(|(name, value)| (name.clone(), plain(value))).collect();
        let asked = headers
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case("retry-after"))
            .and_then(|(_, value)| RetryAfter::parse(value, self.wire.server_now()));
        let outcome = outcome_of(part.status, asked.is_some());
        let exchange = Exchange {
            status: Some(part.status),
            response_headers: headers,
            outcome,
            body: part.body.map(|body| body.get().into()).unwrap_or_default(),
            ..frame(&outer.exchange, item)
        };
        // One object that fails says nothing of the service, which answered the batch; a time to come back does.
        if outcome != ExchangeOutcome::ServerError || asked.is_some() {
            self.wire.learn(&item.out, &exchange, asked);
        }
        Attempt { exchange, fault: None, retry_after: asked, token_renewed: false, cut_off: None }
    }
}

async fn send_one(wire: Arc<Wire>, item: Item) {
    let made = wire.attempt(&item.out, &item.this).await;
    item.answer(made);
}

impl Item {
    fn answer(self, attempt: Result<Attempt, Obstacle>) {
        // The asker may have gone away meanwhile.
        drop(self.reply.send((self.refused, attempt)));
    }
}

/// The outer request. Its urls are relative to the version.
fn request(base: &Url, items: &[Item]) -> Outgoing {
    let requests: Vec<Value> = (1..).zip(items).map(|(number, item)| inner(number, item)).collect();
    let shown = json!({ "requests": requests });
    let mut url = base.clone();
    url.set_path("/v1.0/$batch");
    let mut out = Outgoing::new(Service::Graph, Method::POST, url);
    let json = HeaderValue::from_static("application/json");
    out.headers.insert(CONTENT_TYPE, json);
    out.units = items.iter().map(|item| item.out.units).sum();
    out.priority = items.iter().map(|item| item.out.priority).min().unwrap_or(out.priority);
    out.body = Some(shown.to_string().into());
    out.shown = Some(shown);
    out
}

fn inner(number: usize, item: &Item) -> Value {
    let path = item.out.url.path();
    let mut url = path.strip_prefix("/v1.0").unwrap_or(path).to_owned();
    if let Some(query) = item.out.url.query() {
        url.push('?');
        url.push_str(query);
    }
    let mut headers: Map<String, Value> = item
        .out
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.into())))
        .collect();
    headers.insert(CLIENT_REQUEST_ID.to_string(), item.this.id.as_str().into());
    json!({ "id": id_of(number), "method": "GET", "url": url, "headers": headers })
}

fn id_of(number: usize) -> String {
    number.to_string()
}

/// Parts by their id; `None` for an id that stands there twice, since nobody knows which is right.
fn by_id(parts: Vec<Part<'_>>) -> HashMap<String, Option<Part<'_>>> {
    let mut by_id = HashMap::new();
    for part in parts {
        by_id.entry(part.id.clone()).and_modify(|doubled| *doubled = None).or_insert(Some(part));
    }
    by_id
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What the exchange of one read has in common with that of its batch: the times.
fn frame(outer: &Exchange, item: &Item) -> Exchange {
    Exchange {
        client_request_id: item.this.id.clone(),
        attempt: item.this.number,
        method: Method::GET.to_string(),
        url: item.out.url.to_string(),
        request_headers: asked_headers(&item.out.headers),
        token: outer.token.clone(),
        request_body: None,
        status: None,
        response_headers: Vec::new(),
        started: outer.started,
        ended: outer.ended,
        started_mono_ms: outer.started_mono_ms,
        server_date: outer.server_date,
        outcome: ExchangeOutcome::Lost,
        batch: Some(outer.client_request_id.clone()),
        batch_headers: outer.response_headers.clone(),
        body: Vec::new(),
    }
}

/// The fate of the batch as that of one of its reads.
fn share(outer: &Attempt, item: &Item) -> Attempt {
    let exchange = Exchange {
        status: outer.exchange.status,
        response_headers: outer.exchange.response_headers.clone(),
        batch_headers: Vec::new(),
        outcome: outer.exchange.outcome,
        body: outer.exchange.body.clone(),
        ..frame(&outer.exchange, item)
    };
    Attempt { exchange, fault: outer.fault.clone(), ..*outer }
}

/// The reads of a batch that was refused as such, each with that answer.
fn refused(items: Vec<Item>, outer: &Attempt) -> Vec<Item> {
    let with = |item: Item| Item { refused: Some(share(outer, &item).exchange), ..item };
    items.into_iter().map(with).collect()
}

/// A read that the answer to its batch leaves out.
fn lost(outer: &Attempt, item: &Item) -> Attempt {
    Attempt {
        exchange: frame(&outer.exchange, item),
        fault: Some(Fault::Lost("the answer to the batch leaves this request out".to_owned())),
        retry_after: None,
        token_renewed: false,
        cut_off: None,
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, by_id, id_of};

    #[test]
    fn parts_are_found_by_id_and_keep_their_bytes() {
        let text =
            r#"{"responses":[{"id":"2","status":404,"headers":null,"body":{"b" : 2.0}},{"id":"1","status":200}]}"#;
        let answers: Answers<'_> = serde_json::from_str(text).unwrap();
        let mut parts = by_id(answers.responses);
        let second = parts.remove(&id_of(2)).flatten().unwrap();
        assert_eq!(second.status, 404);
        assert_eq!(second.body.unwrap().get(), r#"{"b" : 2.0}"#);
        assert!(parts.remove("1").flatten().unwrap().body.is_none());
        assert!(!parts.contains_key("3"));
    }

    #[test]
    fn a_doubled_id_is_nobodys_answer() {
        let text = r#"{"responses":[{"id":"1","status":200},{"id":"1","status":404}]}"#;
        let answers: Answers<'_> = serde_json::from_str(text).unwrap();
        assert!(by_id(answers.responses).remove("1").unwrap().is_none());
    }
}
