//! How fast a session asks, seen by the service: fences, quotas, priorities, the deadline of the run.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use wiremock::ResponseTemplate;

use super::servers::{TENANT, Tenant, header, json_answer};
use crate::{
    client::{ReadErrorKind, Secrets, SendOutcome},
    model::{Call, Clock as _, GraphPath, ReadCmdlet, Replay, Verb},
};

const SECOND: Duration = Duration::from_secs(1);

fn users() -> GraphPath {
    GraphPath::v1().fixed("users")
}

fn block() -> Call {
    let path = GraphPath::v1().fixed("users").id("u1");
    Call::graph(Verb::Patch, path, Some(json!({"accountEnabled": false})), Replay::Set)
}

fn empty() -> ResponseTemplate {
    json_answer(200, &json!({"value": []}))
}

/// The status that each request was answered with, in order.
type Answers = Arc<Mutex<Vec<u16>>>;

/// Throttles everybody until this moment of the clock; without a header where `said` is false.
async fn throttled_until(tenant: &Tenant, path: &str, until: Duration, said: bool) -> Answers {
    let (clock, answers) = (Arc::clone(&tenant.clock), Answers::default());
    let log = Arc::clone(&answers);
    tenant
        .mount(path, move |_| {
            let left = until.saturating_sub(clock.monotonic());
            let answer = match (left.is_zero(), said) {
                (true, _) => empty(),
                (false, true) => {
                    ResponseTemplate::new(429).insert_header("Retry-After", left.as_secs_f64().to_string().as_str())
                }
                (false, false) => ResponseTemplate::new(429),
            };
            log.lock().unwrap().push(if left.is_zero() { 200 } else { 429 });
            answer
        })
        .await;
    answers
}

#[tokio::test]
async fn after_the_first_429_only_those_in_flight_are_answered_429() {
    let tenant = Tenant::start().await;
    let answers = throttled_until(&tenant, "/v1.0/users", 30 * SECOND, true).await;
    let mut options = tenant.options();
    options.batch = false;
    // A manual clock jumps over the fence while other answers are still on their way, and they raise it again.
    options.deadline = Duration::from_hours(9);
    let (reader, path) = (tenant.open(options).await.reader(), users());
    let reads = join_all((0..100).map(|_| reader.list::<Value>(&path))).await;
    assert!(reads.iter().all(Result::is_ok), "no read is lost");
    let answers = answers.lock().unwrap().clone();
    let refused = answers.iter().filter(|status| **status == 429).count();
    assert!((1..=64).contains(&refused), "{refused} of {}", answers.len());
    assert_eq!(answers.len() - refused, 100);
    let first_good = answers.iter().position(|status| *status == 200).unwrap();
    assert!(answers[first_good..].iter().all(|status| *status == 200), "one burst");
}

#[tokio::test]
async fn a_service_that_does_not_say_how_long_is_asked_once_a_second_at_most() {
    let tenant = Tenant::start().await;
    let path = "/v1.0/identityProtection/riskyUsers";
    let answers = throttled_until(&tenant, path, 20 * SECOND, false).await;
    let reader = tenant.plain_reader().await;
    let path = GraphPath::v1().fixed("identityProtection/riskyUsers");
    let reads = join_all((0..10).map(|_| reader.list::<Value>(&path))).await;
    assert!(reads.iter().all(Result::is_ok), "{reads:?}");
    let refused = answers.lock().unwrap().iter().filter(|status| **status == 429).count();
    assert!((2..=5).contains(&refused), "{refused}: after 1, 2, 4, 8 and 16 seconds at most");
    assert!(tenant.clock.monotonic() >= (20 + 9) * SECOND, "one by one");
}

#[tokio::test]
async fn reports_are_read_five_in_ten_seconds() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/auditLogs/signIns", |_| empty()).await;
    let reader = tenant.open(tenant.options()).await.reader();
    let path = GraphPath::v1().fixed("auditLogs/signIns");
    let reads = join_all((0..11).map(|_| reader.list::<Value>(&path))).await;
    assert!(reads.iter().all(Result::is_ok));
    assert!(tenant.clock.monotonic() >= 20 * SECOND);
    assert_eq!(tenant.lines().await.len(), 11, "not in a batch, which would count for all of them");
}

#[tokio::test]
async fn a_fence_of_exchange_leaves_graph_alone() {
    let tenant = Tenant::start().await;
    let invoke = format!("/adminapi/beta/{TENANT}/InvokeCommand");
    throttled_until(&tenant, &invoke, 30 * SECOND, true).await;
    tenant.mount("/v1.0/users", |_| empty()).await;
    let reader = tenant.plain_reader().await;
    let cmdlet = reader.cmdlet::<Value>(ReadCmdlet::GetRecipient, "a", Map::new());
    let mut cmdlet = Box::pin(cmdlet);
    // As far as its 429; then Graph is asked, before the fence has passed.
    while tenant.requests().await.is_empty() {
        assert!(futures_util::poll!(&mut cmdlet).is_pending());
        tokio::task::yield_now().await;
    }
    reader.list::<Value>(&users()).await.unwrap();
    assert!(tenant.clock.monotonic() < 30 * SECOND);
    cmdlet.await.unwrap();
}

#[tokio::test]
async fn any_5xx_that_says_when_to_come_back_is_a_fence_for_everybody() {
    for status in [500, 502, 503, 504] {
        let tenant = Tenant::start().await;
        let busy = ResponseTemplate::new(status).insert_header("Retry-After", "30");
        tenant.mount_in_turn("/v1.0/users/u1", vec![busy, ResponseTemplate::new(204)]).await;
        tenant.mount("/v1.0/users", |_| empty()).await;
        let session = tenant.plain().await;
        session.sender().send(&block(), &Secrets::new(), "id").await;
        session.reader().list::<Value>(&users()).await.unwrap();
        assert!(tenant.clock.monotonic() >= 30 * SECOND, "{status}");
    }
}

#[tokio::test]
async fn reads_that_were_too_many_hold_back_no_write() {
    let tenant = Tenant::start().await;
    let refused = ResponseTemplate::new(429)
        .insert_header("Retry-After", "30")
        .insert_header("x-ms-throttle-scope", "Tenant/Read/app/tenant");
    tenant.mount_in_turn("/v1.0/users", vec![refused, empty()]).await;
    tenant.mount("/v1.0/users/u1", |_| ResponseTemplate::new(204)).await;
    let (session, path) = (tenant.plain().await, users());
    let reader = session.reader();
    let mut read = Box::pin(reader.list::<Value>(&path));
    while tenant.requests().await.is_empty() {
        assert!(futures_util::poll!(&mut read).is_pending());
        tokio::task::yield_now().await;
    }
    let sent = session.sender().send(&block(), &Secrets::new(), "id").await;
    assert_eq!(sent.outcome, SendOutcome::Accepted);
    assert!(tenant.clock.monotonic() < 30 * SECOND);
    read.await.unwrap();
    assert!(tenant.clock.monotonic() >= 30 * SECOND, "the read waits");
}

#[tokio::test]
async fn the_service_is_told_what_matters() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| empty()).await;
    tenant.mount("/v1.0/users/u1", |_| ResponseTemplate::new(204)).await;
    let session = tenant.plain().await;
    session.sender().send(&block(), &Secrets::new(), "id").await;
    session.reader().list::<Value>(&users()).await.unwrap();
    session.reader().enrichment().list::<Value>(&users()).await.unwrap();
    let priorities: Vec<_> =
        tenant.requests().await.iter().map(|request| header(request, "x-ms-throttle-priority")).collect();
    assert_eq!(priorities, ["High", "", "Low"]);
}

#[tokio::test]
async fn nothing_is_sent_after_the_deadline_of_the_run() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| empty()).await;
    let mut options = tenant.options();
    options.batch = false;
    options.run_deadline = Some(Duration::from_mins(10));
    let session = tenant.open(options).await;
    tenant.clock.advance(Duration::from_mins(10) - SECOND);
    session.reader().list::<Value>(&users()).await.unwrap();
    tenant.clock.advance(SECOND);
    let error = session.reader().list::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Unavailable);
    assert!(error.message.raw().contains("deadline"), "{error}");
    let sent = session.sender().send(&block(), &Secrets::new(), "id").await;
    assert!(matches!(&sent.outcome, SendOutcome::NotSent { reason } if reason.contains("deadline")), "{sent:?}");
    assert!(sent.exchanges.is_empty());
    tenant.clock.advance(Duration::from_hours(2));
    let exchange = session.reader().cmdlet::<Value>(ReadCmdlet::GetRecipient, "a", Map::new()).await;
    assert!(exchange.unwrap_err().message.raw().contains("deadline"));
    assert_eq!((tenant.requests().await.len(), tenant.token_requests().await), (1, 1), "no token either");
}

#[tokio::test]
async fn nobody_waits_beyond_the_deadline_of_the_run() {
    let tenant = Tenant::start().await;
    throttled_until(&tenant, "/v1.0/users", Duration::from_mins(4), true).await;
    let mut options = tenant.options();
    options.batch = false;
    options.run_deadline = Some(Duration::from_mins(2));
    let reader = tenant.open(options).await.reader();
    let error = reader.list::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Throttled);
    assert_eq!(tenant.clock.monotonic(), Duration::ZERO, "it is told at once");
}

#[tokio::test]
async fn what_many_ask_for_is_read_once_and_its_failure_too() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/auditLogs/directoryAudits", |_| json_answer(200, &json!({"value": [{"id": "a"}]}))).await;
    tenant.mount("/v1.0/auditLogs/signIns", |_| ResponseTemplate::new(403)).await;
    let reader = tenant.plain_reader().await;
    let path = GraphPath::v1().fixed("auditLogs/directoryAudits");
    let reads = join_all((0..20).map(|_| reader.list_shared::<Value>(&path))).await;
    assert!(reads.iter().all(|read| read.as_ref().is_ok_and(|read| read[0]["id"] == "a")), "{reads:?}");
    let other = GraphPath::v1().fixed("auditLogs/signIns");
    for read in join_all((0..20).map(|_| reader.list_shared::<Value>(&other))).await {
        assert_eq!(read.unwrap_err().kind, ReadErrorKind::Denied);
    }
    assert_eq!(tenant.lines().await, ["GET /v1.0/auditLogs/directoryAudits", "GET /v1.0/auditLogs/signIns"]);
}

#[tokio::test]
async fn a_hint_is_done_without_where_it_would_have_to_be_waited_for() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/auditLogs/signIns", |_| empty()).await;
    let reader = tenant.plain_reader().await.hint();
    let path = GraphPath::v1().fixed("auditLogs/signIns");
    let reads = join_all((0..100).map(|_| reader.list::<Value>(&path))).await;
    assert_eq!(reads.iter().filter(|read| read.is_ok()).count(), 5);
    assert_eq!(tenant.clock.monotonic(), Duration::ZERO);
}

#[tokio::test]
async fn a_service_that_fails_again_and_again_is_said_to_be_so() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| ResponseTemplate::new(500)).await;
    let session = tenant.plain().await;
    let error = session.reader().list::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Unavailable);
    assert!(tenant.clock.monotonic() >= 5 * SECOND, "left alone after the fifth");
    let error = session.reader().hint().list::<Value>(&users()).await.unwrap_err();
    assert!(error.message.raw().contains("fails again and again"), "{error}");
}

#[tokio::test]
async fn a_quota_that_another_application_uses_up_is_told_in_words() {
    let tenant = Tenant::start().await;
    let body = json!({"error": {"code": "TooManyRequests", "message": "Too many requests."}});
    tenant
        .mount("/v1.0/users/u1", move |_| {
            json_answer(429, &body)
                .insert_header("Retry-After", "300")
                .insert_header("x-ms-throttle-scope", "Tenant/Write/app/tenant")
        })
        .await;
    let session = tenant.plain().await;
    let sent = session.sender().send(&block(), &Secrets::new(), "id").await;
    let SendOutcome::Rejected { status: 429, message, .. } = sent.outcome else {
        panic!("{sent:?}");
    };
    assert!(message.raw().contains("by other applications too"), "{}", message.raw());
    tenant.mount("/v1.0/users", |_| empty()).await;
    let now = tenant.clock.monotonic();
    session.reader().list::<Value>(&users()).await.unwrap();
    assert_eq!(tenant.clock.monotonic(), now, "only writes are held back");
}

#[tokio::test]
async fn what_a_request_cost_is_taken_from_the_answer() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| empty().insert_header("x-ms-resource-unit", "700")).await;
    let reader = tenant.plain_reader().await;
    for _ in 0..5 {
        reader.list::<Value>(&users()).await.unwrap();
    }
    assert_eq!(tenant.clock.monotonic(), Duration::ZERO);
    reader.list::<Value>(&users()).await.unwrap();
    assert!(tenant.clock.monotonic() >= 10 * SECOND, "3,500 units were used up by five requests");
}
