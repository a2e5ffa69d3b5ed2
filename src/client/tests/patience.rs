//! How long a write is tried that was certainly not executed, what ends it, and what is told meanwhile.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use serde_json::json;
use wiremock::ResponseTemplate;

use super::{
    servers::{Raw, Reply, Tenant, json_answer},
    writes::{ID, PATH, answered, block, revoke, send},
};
use crate::{
    client::{Secrets, SendOutcome, Session, draw::derived_request_id},
    model::{Clock, ManualClock, Stop},
};

/// How long a write is tried.
const PATIENCE: Duration = Duration::from_mins(15);

#[tokio::test]
async fn only_time_ends_what_was_certainly_not_executed() {
    let conflict = json!({"error": {"code": "Directory_ConcurrencyViolation", "message": "m"}});
    let locked = json!({"error": {"code": "resourceLocked", "message": "m"}});
    for answer in [
        ResponseTemplate::new(429).insert_header("Retry-After", "1"),
        ResponseTemplate::new(429).insert_header("Retry-After", "0"),
        ResponseTemplate::new(429),
        ResponseTemplate::new(503).insert_header("Retry-After", "1"),
        json_answer(409, &conflict),
        json_answer(423, &locked),
    ] {
        let tenant = Tenant::start().await;
        tenant.mount(PATH, move |_| answer.clone()).await;
        let sent = send(&tenant.plain().await.sender(), &block()).await;
        assert!(matches!(sent.outcome, SendOutcome::Rejected { .. }) && sent.later, "{:?}", sent.outcome);
        let (took, made) = (tenant.clock.monotonic(), sent.exchanges.len());
        assert!((PATIENCE - Duration::from_mins(1)..=PATIENCE).contains(&took), "{took:?}: {:?}", sent.outcome);
        assert!((15..200).contains(&made), "{made}: {:?}", sent.outcome);
    }
}

#[tokio::test]
async fn a_locked_object_is_waited_for() {
    let locked = json_answer(423, &json!({"error": {"code": "resourceLocked", "message": "m"}}));
    let (sent, made) = answered(&block(), PATH, vec![locked.clone(), locked, ResponseTemplate::new(204)]).await;
    assert_eq!((sent.outcome, made), (SendOutcome::Accepted, 3));
}

#[tokio::test]
async fn a_wait_of_an_hour_is_asked_for_again_and_told_as_it_was_said() {
    let tenant = Tenant::start().await;
    let hour = json_answer(429, &json!({"error": {"code": "TooManyRequests", "message": "m"}}));
    let hour = hour.insert_header("Retry-After", "3600");
    tenant.mount_in_turn(PATH, vec![hour.clone(), ResponseTemplate::new(204), hour]).await;
    let sender = tenant.plain().await.sender();
    assert_eq!(send(&sender, &block()).await.outcome, SendOutcome::Accepted);
    let took = tenant.clock.monotonic();
    assert!(
        (Duration::from_mins(5)..Duration::from_secs(301)).contains(&took),
        "no longer than we ever wait: {took:?}"
    );
    let sent = send(&sender, &block()).await;
    let SendOutcome::Rejected { status: 429, message, .. } = &sent.outcome else { panic!("{sent:?}") };
    assert!(sent.later && message.raw().ends_with("it asks to be left alone for 3600 s"), "{message:?}");
}

#[tokio::test]
async fn no_connection_means_nothing_was_sent() {
    let tenant = Tenant::start().await;
    let mut options = tenant.options();
    options.endpoints.graph = "http://127.0.0.1:1".parse().unwrap();
    let session = tenant.open(options).await;
    let told = told(&session);
    let sent = send(&session.sender(), &block()).await;
    assert!(matches!(sent.outcome, SendOutcome::NotSent { .. }) && sent.later, "{sent:?}");
    let took = tenant.clock.monotonic();
    assert!((PATIENCE - Duration::from_mins(1)..=PATIENCE).contains(&took), "{took:?}");
    let [first, last] = sent.exchanges.as_slice() else { panic!("{:?}", sent.exchanges.len()) };
    assert!(first.attempt == 1 && last.attempt > 20, "{}", last.attempt);
    assert_eq!(last.client_request_id, derived_request_id(ID, last.attempt));
    assert_eq!(*told.lock().unwrap(), ["Microsoft Graph cannot be reached: tried until 14:15:00Z"]);

    // Whoever comes later does not begin to wait anew.
    tenant.clock.advance(Duration::from_mins(1));
    let now = tenant.clock.monotonic();
    let sent = send(&session.sender(), &revoke()).await;
    assert!(sent.later && sent.exchanges.len() == 1, "{sent:?}");
    assert_eq!(tenant.clock.monotonic(), now);
    assert!(tenant.requests().await.is_empty());
}

/// What is told of waits.
fn told(session: &Session) -> Arc<Mutex<Vec<String>>> {
    let told = Arc::<Mutex<Vec<String>>>::default();
    let log = Arc::clone(&told);
    session.on_wait(Arc::new(move |wait| log.lock().unwrap().push(wait.to_string())));
    told
}

/// A clock on which a server begins to listen once so much time has passed.
struct Outage {
    clock: Arc<ManualClock>,
    ends: Duration,
    listener: Mutex<Option<SocketAddr>>,
}

impl Clock for Outage {
    fn now(&self) -> jiff::Timestamp {
        self.clock.now()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn sleep(&self, length: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        self.clock.advance(length);
        let back = (self.clock.monotonic() >= self.ends).then(|| self.listener.lock().unwrap().take()).flatten();
        Box::pin(async move {
            if let Some(address) = back {
                let answer = "HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n";
                Raw::listen(tokio::net::TcpListener::bind(address).await.unwrap(), vec![Reply::Close(answer)]);
            }
            tokio::task::yield_now().await;
        })
    }
}

#[tokio::test]
async fn a_network_that_is_gone_for_a_while_costs_no_change() {
    let tenant = Tenant::start().await;
    for ends in [20, 45, 600].map(Duration::from_secs) {
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let mut options = tenant.options();
        options.endpoints.graph = format!("http://{address}").parse().unwrap();
        let clock = ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap());
        let clock = Outage { clock, ends, listener: Mutex::new(Some(address)) };
        let clock: Arc<dyn Clock> = Arc::new(clock);
        let session = Session::open(options, Arc::clone(&clock)).await.unwrap();
        let sent = send(&session.sender(), &block()).await;
        assert_eq!(sent.outcome, SendOutcome::Accepted, "{ends:?}");
        let late = clock.monotonic() - ends;
        assert!(late <= Duration::from_secs(31), "{late:?} after it was back");
    }
}

#[tokio::test]
async fn who_asks_to_stop_ends_a_wait_at_the_gate_and_nothing_is_sent() {
    let tenant = Tenant::start().await;
    let throttled = ResponseTemplate::new(429).insert_header("Retry-After", "30");
    tenant.mount_in_turn(PATH, vec![throttled, ResponseTemplate::new(204)]).await;
    let frozen: Arc<dyn Clock> = Arc::new(Frozen);
    let mut options = tenant.options();
    options.batch = false;
    let session = Session::open(options, frozen).await.unwrap();
    let stop = Stop::default();
    let sender = session.sender().until(stop.clone());
    let (call, secrets) = (block(), Secrets::new());
    let mut waits = Box::pin(sender.send(&call, &secrets, ID));
    while tenant.requests().await.is_empty() {
        assert!(futures_util::poll!(&mut waits).is_pending());
        tokio::task::yield_now().await;
    }
    stop.request();
    let sent = waits.await;
    assert!(sent.later && matches!(sent.outcome, SendOutcome::Rejected { status: 429, .. }), "{sent:?}");
    let sent = sender.send(&call, &secrets, ID).await;
    assert!(sent.later && matches!(&sent.outcome, SendOutcome::NotSent { reason } if reason == "interrupted"));
    assert_eq!(tenant.requests().await.len(), 1);
}

/// A clock that stands still: who waits waits for ever.
struct Frozen;

impl Clock for Frozen {
    fn now(&self) -> jiff::Timestamp {
        "2023-12-12T14:00:00Z".parse().unwrap()
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }

    fn sleep(&self, _length: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}
