//! One attempt of one request: pacing, the bearer token, the record. The only place that attaches a token.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{
    Method, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER, SET_COOKIE, WWW_AUTHENTICATE},
};
use serde_json::Value;

use crate::{
    client::{
        Endpoints, SessionOptions, SignInError, challenge,
        cmdlet::ANCHOR,
        complaint::header,
        endpoints::same_origin,
        obstacle::Obstacle,
        pacing::{Budgeted, Gates, Lane, Passage, Priority, Shut, units},
        retry::{Budget, RetryAfter},
        throttle,
        token::{Bearer, Tokens},
        transport::{Fault, Parcel, Raw, Transport},
        waits::{Listener, Waits},
    },
    model::{Clock, Exchange, ExchangeOutcome, Identity, Service, Stop},
};

/// The used share of a quota: 0.8 to 1.8, and only there above 0.8.
///
/// Source: Graph "throttling guidance".
const LIMIT_SHARE: HeaderName = HeaderName::from_static("x-ms-throttle-limit-percentage");
/// What the request cost.
///
/// Source: Graph "service-specific throttling limits", identity and access, response headers.
const RESOURCE_UNIT: HeaderName = HeaderName::from_static("x-ms-resource-unit");
/// Graph sheds the lowest first; `High` is for what a person asked for, `Low` for what can wait.
///
/// Source: Graph "throttling guidance", `x-ms-throttle-priority`.
pub(super) const PRIORITY: HeaderName = HeaderName::from_static("x-ms-throttle-priority");
/// How long a sign-in service that cannot be asked is left alone.
const UNHEARD: Duration = Duration::from_secs(5);
/// Ours on the way out; Graph echoes it.
pub(super) const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("client-request-id");

/// A request as it is asked for, the same for all its attempts.
#[derive(Clone)]
pub(super) struct Outgoing {
    /// Whose token it needs.
    pub(super) service: Service,
    /// Method.
    pub(super) method: Method,
    /// Where to.
    pub(super) url: Url,
    /// Headers, without the token.
    pub(super) headers: HeaderMap,
    /// Exact bytes of the body.
    pub(super) body: Option<Bytes>,
    /// The body as it may be kept: secrets as placeholders.
    pub(super) shown: Option<Value>,
    /// How much it matters.
    pub(super) priority: Priority,
    /// Resource units that it costs.
    pub(super) units: u32,
}

impl Outgoing {
    /// A request without a body.
    pub(super) fn new(service: Service, method: Method, url: Url) -> Self {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        let units = units(&method, &url);
        let priority = Priority::Evidence;
        Self { service, method, url, headers, body: None, shown: None, priority, units }
    }
}

/// Which attempt it is, and what limits it.
#[derive(Clone)]
pub(super) struct Try {
    /// `client-request-id`.
    pub(super) id: String,
    /// 1 for the first.
    pub(super) number: u32,
    /// On the monotonic clock.
    pub(super) deadline: Duration,
    /// Whether it waits for a sign-in service that cannot be asked for now.
    pub(super) patient: bool,
    /// Ends its waits; a request that was sent is waited for.
    pub(super) stop: Stop,
}

impl Try {
    /// The first attempt of a request that nobody stops.
    pub(super) fn first(id: String, deadline: Duration) -> Self {
        Self { id, number: 1, deadline, patient: false, stop: Stop::default() }
    }
}

/// An attempt that was made.
#[derive(Clone, Debug)]
pub(super) struct Attempt {
    /// As evidence.
    pub(super) exchange: Exchange,
    /// Why there is no whole answer.
    pub(super) fault: Option<Fault>,
    /// What the answer asks for.
    pub(super) retry_after: Option<RetryAfter>,
    /// It was a 401, or a claims challenge, and the next attempt will use a new token.
    pub(super) token_renewed: bool,
    /// A fresh token was refused too: what that means.
    pub(super) cut_off: Option<&'static str>,
}

/// The requests of a session.
pub(super) struct Wire {
    endpoints: Endpoints,
    transport: Arc<Transport>,
    tokens: Tokens,
    gates: Gates,
    waits: Waits,
    /// Longest time that a service may give no answer before what it is asked is given up.
    patience: Duration,
    /// When the session ends, on the monotonic clock.
    run_deadline: Option<Duration>,
}

impl Wire {
    /// Connects to nothing yet.
    pub(super) fn new(options: SessionOptions, clock: Arc<dyn Clock>) -> Result<Self, SignInError> {
        let began = clock.monotonic();
        let transport = Arc::new(Transport::new(&options, Arc::clone(&clock))?);
        Ok(Self {
            endpoints: options.endpoints.clone(),
            tokens: Tokens::new(&options, Arc::clone(&transport), clock)?,
            transport,
            gates: Gates::new(options.seed),
            waits: Waits::default(),
            patience: options.patience,
            run_deadline: options.run_deadline.map(|length| began + length),
        })
    }

    /// Who the token of a service says that we are.
    pub(super) async fn identity(&self, service: Service) -> Result<Identity, SignInError> {
        Ok(self.tokens.bearer(service).await?.identity.clone())
    }

    /// Time and waiting.
    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.transport.clock
    }

    /// The tenant's time.
    pub(super) fn server_now(&self) -> Timestamp {
        self.transport.server_time.now(self.clock())
    }

    /// A new `client-request-id`.
    pub(super) fn request_id(&self) -> String {
        self.transport.draw.request_id()
    }

    /// The base of a service.
    pub(super) fn base(&self, service: Service) -> &Url {
        self.endpoints.base(service)
    }

    /// Makes one attempt.
    pub(super) async fn attempt(&self, out: &Outgoing, this: &Try) -> Result<Attempt, Obstacle> {
        self.attempt_in_place(out, this).await.map(|(attempt, _)| attempt)
    }

    /// Tells each long wait from now on.
    pub(super) fn listen(&self, listener: Listener) {
        self.waits.listen(listener);
    }

    /// Makes one attempt. Nothing that takes time stands between the look at the fence and the sending. The place in
    /// flight is given up by the caller: after it has said what the answer means for all others, so that nobody leaves
    /// in between.
    pub(super) async fn attempt_in_place(&self, out: &Outgoing, this: &Try) -> Result<(Attempt, Passage), Obstacle> {
        let lane = self.lane(out);
        let (places, bearer) = loop {
            self.check_deadline()?;
            self.bearer(out.service, this).await?;
            let places = self.enter(&lane, this).await?;
            let Ok(bearer) = self.tokens.bearer(out.service).await else {
                continue;
            };
            self.check_deadline()?;
            if !lane.is_fenced(self.clock().monotonic()) {
                break (places, bearer);
            }
        };
        let mut headers = out.headers.clone();
        self.authorize(out, &bearer, &mut headers)?;
        if let Ok(id) = HeaderValue::from_str(&this.id) {
            headers.insert(CLIENT_REQUEST_ID, id);
        }
        let parcel = Parcel { method: out.method.clone(), url: out.url.clone(), headers, body: out.body.clone() };
        let raw = self.transport.send(parcel).await;
        log(out, this, &raw);
        let mut attempt = record(out, this, raw, &bearer.identity);
        self.learn(out, &attempt.exchange, attempt.retry_after);
        self.renew(out.service, &bearer, &mut attempt);
        Ok((attempt, places))
    }

    /// Waits at the gates.
    async fn enter(&self, lane: &Lane, this: &Try) -> Result<Passage, Obstacle> {
        if let Some(shut) = lane.shut(self.clock().monotonic()) {
            self.waits.at_gate(self.clock(), lane.on, shut);
        }
        tokio::select! {
            // Whoever need not wait is not stopped: what is under way comes to its end.
            biased;
            entered = lane.enter(self.clock(), this.deadline) => entered.map_err(|shut| self.shut(shut)),
            () = this.stop.wait() => Err(Obstacle::Interrupted),
        }
    }

    /// A token, as soon as there is one.
    async fn bearer(&self, service: Service, this: &Try) -> Result<Arc<Bearer>, Obstacle> {
        loop {
            let error = match self.tokens.bearer(service).await {
                Ok(bearer) => return Ok(bearer),
                Err(error) => error,
            };
            if !(error.passing && this.patient) {
                return Err(Obstacle::SignIn(error));
            }
            self.waits.failed(service, self.clock().monotonic());
            let end = self.given_up(service, this.deadline);
            if self.clock().monotonic() + UNHEARD > end {
                return Err(Obstacle::SignIn(error));
            }
            self.waits.out_of_reach(self.clock(), service, end);
            if !self.sleep(UNHEARD, &this.stop).await {
                return Err(Obstacle::Interrupted);
            }
        }
    }

    /// What an answer says to all that draw on the same budget.
    pub(super) fn learn(&self, out: &Outgoing, exchange: &Exchange, asked: Option<RetryAfter>) {
        let (lane, now) = (self.lane(out), self.clock().monotonic());
        let number = |name: &HeaderName| header(exchange, name.as_str())?.trim().parse::<f64>().ok();
        match exchange.outcome {
            ExchangeOutcome::NotSent => {
                self.waits.failed(out.service, now);
                return lane.unreached(now);
            }
            ExchangeOutcome::ServerError | ExchangeOutcome::Lost => {
                self.waits.failed(out.service, now);
                return lane.failed(now, asked.map(|asked| asked.wait));
            }
            _ => {
                self.waits.reached(out.service);
                lane.reached();
            }
        }
        if let Some(units) = number(&RESOURCE_UNIT).filter(|units| (0.0..1_000.0).contains(units)) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "just looked at")]
            lane.cost(now, units.ceil() as u32);
        }
        match (exchange.outcome, number(&LIMIT_SHARE)) {
            (ExchangeOutcome::Throttled, _) => {
                if let Some(asked) = asked.filter(|asked| asked.said > asked.wait) {
                    self.waits.asks(lane.on, now.saturating_add(asked.said));
                }
                let wait = asked.map(|asked| asked.wait);
                let until = lane.throttled(now, wait, throttle::too_much_of(exchange));
                self.waits.at_gate(self.clock(), lane.on, Shut { until, failing: false });
            }
            (_, Some(share)) => lane.used(now, share),
            (ExchangeOutcome::Ok, None) => lane.answered(),
            _ => {}
        }
    }

    /// What a 401 or 403 means for the token: a claims challenge is met once; an ageing token is replaced.
    ///
    /// Source: Graph answers insufficient claims with 403 too ("error responses").
    fn renew(&self, service: Service, bearer: &Arc<Bearer>, attempt: &mut Attempt) {
        let Some(status @ (401 | 403)) = attempt.exchange.status else {
            return;
        };
        if let Some(claims) = demanded(&attempt.exchange) {
            attempt.token_renewed = self.tokens.challenged(service, bearer, claims);
            attempt.cut_off = (!attempt.token_renewed).then(|| self.tokens.who());
        } else if status == 401 {
            attempt.token_renewed = self.tokens.forget(service, bearer);
        }
    }

    /// Waits before the next attempt, as the answer or our own backoff says; false when the budget is used up, when
    /// the service has given no answer for too long, or when somebody asks to stop. Who was throttled waits at the
    /// gate, with all others.
    pub(super) async fn pause(&self, service: Service, attempt: &Attempt, budget: &mut Budget, stop: &Stop) -> bool {
        let throttled = attempt.exchange.outcome == ExchangeOutcome::Throttled;
        let asked = attempt.retry_after.map(|asked| asked.wait);
        let own = match (throttled, asked) {
            (true, _) => budget.after_refusal(&self.transport.draw),
            (false, Some(asked)) => asked,
            (false, None) => budget.backoff(&self.transport.draw),
        };
        let next = self.clock().monotonic().saturating_add(own.max(asked.unwrap_or_default()));
        let end = self.given_up(service, budget.deadline());
        if next > end || !budget.allows(attempt.exchange.attempt, next) {
            return false;
        }
        self.waits.out_of_reach(self.clock(), service, end);
        self.sleep(own, stop).await
    }

    /// Sleeps; false where it was stopped.
    async fn sleep(&self, length: Duration, stop: &Stop) -> bool {
        if length.is_zero() {
            return true;
        }
        tokio::select! {
            biased;
            () = stop.wait() => false,
            () = self.clock().sleep(length) => true,
        }
    }

    /// When a request is given up that may take until `deadline`: sooner where the service has been gone for long.
    fn given_up(&self, service: Service, deadline: Duration) -> Duration {
        self.waits.gone_since(service).map_or(deadline, |since| deadline.min(since.saturating_add(self.patience)))
    }

    /// The tenant has so many users, on which the pace depends.
    pub(super) fn tenant_has(&self, users: u64) {
        self.gates.tenant_has(users);
    }

    /// Whether the deadline of the run has passed.
    pub(super) fn time_is_up(&self) -> bool {
        self.run_deadline.is_some_and(|end| self.clock().monotonic() >= end)
    }

    fn check_deadline(&self) -> Result<(), Obstacle> {
        if self.time_is_up() { Err(Obstacle::Deadline) } else { Ok(()) }
    }

    /// When a request has to be settled on which a change depends.
    pub(super) fn patient_deadline(&self) -> Duration {
        self.deadline(self.patience)
    }

    /// When a request that is asked for now has to be settled.
    pub(super) fn deadline(&self, longest: Duration) -> Duration {
        let own = self.clock().monotonic() + longest;
        self.run_deadline.map_or(own, |end| own.min(end))
    }

    fn lane(&self, out: &Outgoing) -> Lane {
        self.gates.lane(&Budgeted {
            service: out.service,
            method: &out.method,
            url: &out.url,
            mailbox: out.headers.get(ANCHOR).and_then(|value| value.to_str().ok()),
            priority: out.priority,
            units: out.units,
        })
    }

    /// Attaches the token, if scheme, host and port are those of the service that it is for.
    fn authorize(&self, out: &Outgoing, bearer: &Bearer, headers: &mut HeaderMap) -> Result<(), Obstacle> {
        if !same_origin(&out.url, self.base(out.service)) {
            return Err(Obstacle::Foreign);
        }
        headers.insert(AUTHORIZATION, bearer.header().map_err(Obstacle::SignIn)?);
        Ok(())
    }

    fn shut(&self, shut: Shut) -> Obstacle {
        let wait = shut.until.saturating_sub(self.clock().monotonic());
        let now = self.clock().now();
        let until = now.saturating_add(wait).unwrap_or(Timestamp::MAX);
        if shut.failing { Obstacle::Failing { until } } else { Obstacle::Fenced { until } }
    }
}

/// The claims that an answer demands of the token.
pub(super) fn demanded(exchange: &Exchange) -> Option<String> {
    let headers = exchange.response_headers.iter();
    let asking = headers.filter(|(name, _)| name.eq_ignore_ascii_case(WWW_AUTHENTICATE.as_str()));
    challenge::demanded(asking.map(|(_, value)| value.as_str()))
}

/// What the status line shows; `throttling` is whether a `Retry-After` came with it.
pub(super) fn outcome_of(status: u16, throttling: bool) -> ExchangeOutcome {
    match status {
        200..=299 => ExchangeOutcome::Ok,
        404 => ExchangeOutcome::NotFound,
        401 | 403 => ExchangeOutcome::Denied,
        429 => ExchangeOutcome::Throttled,
        503 if throttling => ExchangeOutcome::Throttled,
        400..=499 => ExchangeOutcome::Rejected,
        _ => ExchangeOutcome::ServerError,
    }
}

fn record(out: &Outgoing, this: &Try, raw: Raw, us: &Identity) -> Attempt {
    let retry_after = raw
        .headers
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| RetryAfter::parse(value, raw.server_date.unwrap_or(raw.ended)));
    let outcome = match (&raw.fault, raw.status) {
        (Some(Fault::NotSent(_)), _) => ExchangeOutcome::NotSent,
        (Some(Fault::Lost(_) | Fault::TooLarge | Fault::Compressed), _) | (None, None) => ExchangeOutcome::Lost,
        (None, Some(status)) => outcome_of(status, retry_after.is_some()),
    };
    let response_headers = raw
        .headers
        .iter()
        .map(|(name, value)| {
            // A cookie may let in who shows it.
            let kept = if *name == SET_COOKIE { b"(a cookie, not kept)" } else { value.as_bytes() };
            (name.as_str().to_owned(), String::from_utf8_lossy(kept).into_owned())
        })
        .collect();
    let exchange = Exchange {
        client_request_id: this.id.clone(),
        attempt: this.number,
        method: out.method.to_string(),
        url: out.url.to_string(),
        request_headers: asked_headers(&out.headers),
        token: us.token_id.clone(),
        request_body: out.shown.clone(),
        status: raw.status,
        response_headers,
        started: raw.started,
        ended: raw.ended,
        started_mono_ms: u64::try_from(raw.started_mono.as_millis()).unwrap_or(u64::MAX),
        server_date: raw.server_date,
        outcome,
        batch: None,
        batch_headers: Vec::new(),
        body: raw.body,
    };
    Attempt { exchange, fault: raw.fault, retry_after, token_renewed: false, cut_off: None }
}

/// The headers of a request as they are kept: all that this program sets itself. The token is put beside them later.
pub(super) fn asked_headers(headers: &HeaderMap) -> Vec<(String, String)> {
    let text = |(name, value): (&HeaderName, &HeaderValue)| Some((name.to_string(), value.to_str().ok()?.to_owned()));
    headers.iter().filter(|(name, _)| **name != AUTHORIZATION).filter_map(text).collect()
}

/// What may be logged: method, path, status, ids, time. Never a query, a header or a body.
fn log(out: &Outgoing, this: &Try, raw: &Raw) {
    let request_id = raw.headers.get("request-id").and_then(|id| id.to_str().ok());
    tracing::debug!(
        method = %out.method,
        path = out.url.path(),
        status = raw.status,
        attempt = this.number,
        client_request_id = this.id,
        request_id,
        ms = raw.ended.duration_since(raw.started).as_millis(),
        "request"
    );
}
