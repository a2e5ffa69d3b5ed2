//! Reads that travel together.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::{Value, json};
use wiremock::{Mock, Request, ResponseTemplate, matchers};

use super::servers::{Tenant, header, json_answer};
use crate::{
    client::{ReadError, ReadErrorKind, Reader, Session},
    model::{Clock as _, ExchangeOutcome, GraphPath, SystemClock},
};

const BATCH: &str = "/v1.0/$batch";

fn user(id: &str) -> GraphPath {
    GraphPath::v1().fixed("users").id(id).select("id")
}

async fn together(reader: &Reader, ids: &[&str]) -> Vec<Result<Value, ReadError>> {
    join_all(ids.iter().map(async |id| reader.get::<Value>(&user(id)).await)).await
}

/// Id, method and url of each request of a batch.
fn inner(request: &Request) -> Vec<Value> {
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    body["requests"].as_array().unwrap().clone()
}

/// Answers a batch by one function, last request first.
fn answer_each(request: &Request, each: impl Fn(&str, &Value) -> Value) -> ResponseTemplate {
    let mut responses: Vec<Value> = inner(request)
        .iter()
        .map(|part| {
            let mut answer = each(part["url"].as_str().unwrap(), part);
            answer["id"] = part["id"].clone();
            answer
        })
        .collect();
    responses.reverse();
    json_answer(200, &json!({ "responses": responses }))
}

#[tokio::test]
async fn reads_at_once_go_as_one_batch_and_are_matched_by_id() {
    let tenant = Tenant::start().await;
    tenant
        .mount(BATCH, |request| {
            assert_eq!(inner(request).len(), 3);
            // Written by hand: the bytes of each body must survive as they are.
            let text = r#"{"responses":[
                {"id":"3","status":404,"headers":{"Content-Type":"application/json"},"body":{"error":{"code":"Request_ResourceNotFound","message":"m"}}},
                {"id":"1","status":200,"headers":{"Cache-Control":"no-cache"},"body":{"id" : "a",  "n":1.0}},
                {"id":"2","status":200,"body":{"id":"b"}}]}"#;
            ResponseTemplate::new(200).set_body_raw(text, "application/json")
        })
        .await;
    let session = tenant.open(tenant.options()).await;
    let (reader, trace) = session.reader().traced();
    let answers = together(&reader, &["a", "b", "c#d"]).await;
    assert_eq!(answers[0].as_ref().unwrap()["id"], "a");
    assert_eq!(answers[1].as_ref().unwrap()["id"], "b");
    assert_eq!(answers[2].as_ref().unwrap_err().kind, ReadErrorKind::NotFound);

    let asked = tenant.requests().await;
    assert_eq!(asked.len(), 1);
    let parts = inner(&asked[0]);
    assert_eq!(parts[2]["url"], "/users/c%23d?$select=id");
    assert!(parts.iter().all(|part| part["method"] == "GET"));

    let exchanges = trace.take();
    assert_eq!(exchanges.len(), 3);
    let outer = header(&asked[0], "client-request-id");
    for (exchange, part) in exchanges.iter().zip(&parts) {
        assert_eq!(exchange.batch.as_ref(), Some(&outer));
        assert_eq!(part["headers"]["client-request-id"], exchange.client_request_id.as_str());
        assert_eq!((exchange.method.as_str(), &exchange.request_body), ("GET", &None));
        assert!(exchange.batch_headers.iter().any(|(name, _)| name == "date"), "{exchange:?}");
        assert_eq!(exchange.token.as_deref(), Some("graph-1"));
        assert!(exchange.url.ends_with(part["url"].as_str().unwrap()));
    }
    assert_eq!(exchanges[0].body, br#"{"id" : "a",  "n":1.0}"#);
    assert_eq!(exchanges[0].response_headers, [("Cache-Control".to_owned(), "no-cache".to_owned())]);
    assert_eq!(exchanges[2].outcome, ExchangeOutcome::NotFound);
}

#[tokio::test]
async fn a_single_read_goes_plain() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users/a", |_| json_answer(200, &json!({"id": "a"}))).await;
    let reader = tenant.open(tenant.options()).await.reader();
    for _ in 0..2 {
        assert_eq!(reader.get::<Value>(&user("a")).await.unwrap()["id"], "a");
    }
    assert_eq!(tenant.lines().await, ["GET /v1.0/users/a?$select=id"; 2]);
}

#[tokio::test]
async fn a_batch_holds_at_most_twenty() {
    let tenant = Tenant::start().await;
    tenant.mount(BATCH, |request| answer_each(request, |url, _| json!({"status": 200, "body": {"url": url}}))).await;
    let reader = tenant.open(tenant.options()).await.reader();
    let ids: Vec<String> = (0..45).map(|n| format!("u{n}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    for (answer, id) in together(&reader, &ids).await.into_iter().zip(ids) {
        assert_eq!(answer.unwrap()["url"], format!("/users/{id}?$select=id"));
    }
    let mut sizes: Vec<_> = tenant.requests().await.iter().map(|it| inner(it).len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [5, 20, 20]);
}

#[tokio::test]
async fn a_throttled_item_is_asked_again_alone() {
    let tenant = Tenant::start().await;
    tenant
        .mount(BATCH, |request| {
            answer_each(request, |url, _| {
                if url.starts_with("/users/b") {
                    return json!({"status": 429, "headers": {"Retry-After": "11.5"}, "body": {"error": {"code": "TooManyRequests"}}});
                }
                json!({"status": 200, "body": {}})
            })
        })
        .await;
    tenant.mount("/v1.0/users/b", |_| json_answer(200, &json!({"late": true}))).await;
    let session = tenant.open(tenant.options()).await;
    let (reader, trace) = session.reader().traced();
    let answers = together(&reader, &["a", "b", "c"]).await;
    assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    assert_eq!(tenant.lines().await, ["POST /v1.0/$batch", "GET /v1.0/users/b?$select=id"]);
    assert!(tenant.clock.monotonic() >= Duration::from_millis(11_500));
    let throttled = trace.take().into_iter().filter(|it| it.outcome == ExchangeOutcome::Throttled);
    assert_eq!(throttled.count(), 1);
}

#[tokio::test]
async fn an_item_that_fails_and_says_when_to_come_back_holds_everybody_back() {
    let tenant = Tenant::start().await;
    tenant
        .mount(BATCH, |request| {
            answer_each(request, |url, _| match url.starts_with("/users/b") {
                true => json!({"status": 504, "headers": {"Retry-After": "30"}, "body": {}}),
                false => json!({"status": 200, "body": {}}),
            })
        })
        .await;
    tenant.mount("/v1.0/users/b", |_| json_answer(200, &json!({}))).await;
    tenant.mount("/v1.0/users/other", |_| json_answer(200, &json!({}))).await;
    let reader = tenant.open(tenant.options()).await.reader();
    let path = user("b");
    let mut failed = Box::pin(reader.get::<Value>(&path));
    let other = user("a");
    let mut answered = Box::pin(reader.get::<Value>(&other));
    assert!(futures_util::poll!(&mut failed).is_pending());
    answered.as_mut().await.unwrap();
    reader.get::<Value>(&user("other")).await.unwrap();
    assert!(tenant.clock.monotonic() >= Duration::from_secs(30));
    failed.await.unwrap();
}

#[tokio::test]
async fn an_item_that_the_answer_leaves_out_or_doubles_is_asked_again() {
    let tenant = Tenant::start().await;
    tenant
        .mount_in_turn(
            BATCH,
            vec![
                json_answer(
                    200,
                    &json!({"responses": [
                        {"id": "1", "status": 200, "body": {"right": true}},
                        {"id": "2", "status": 200, "body": {"right": false}},
                        {"id": "2", "status": 404, "body": {}},
                        {"id": "9", "status": 200, "body": {}},
                    ]}),
                ),
                // Cut in the middle: nobody has an answer.
                ResponseTemplate::new(200).set_body_raw(r#"{"responses":[{"id":"1","sta"#, "application/json"),
                json_answer(
                    200,
                    &json!({"responses": [
                        {"id": "2", "status": 200, "body": {"right": true}},
                        {"id": "1", "status": 200, "body": {"right": true}},
                    ]}),
                ),
            ],
        )
        .await;
    for id in ["b", "c"] {
        let path = format!("/v1.0/users/{id}");
        tenant.mount(&path, |_| json_answer(200, &json!({"right": true}))).await;
    }
    let session = tenant.open(tenant.options()).await;
    let (reader, trace) = session.reader().traced();
    for answer in together(&reader, &["a", "b", "c"]).await {
        assert_eq!(answer.unwrap()["right"], true);
    }
    let lost = trace.take().into_iter().filter(|it| it.outcome == ExchangeOutcome::Lost);
    assert!(lost.count() >= 2);
}

#[tokio::test]
async fn a_refused_batch_says_nothing_about_its_reads() {
    for status in [400, 403, 404, 405] {
        let tenant = Tenant::start().await;
        tenant.mount(BATCH, move |_| ResponseTemplate::new(status)).await;
        tenant.mount("/v1.0/users/a", |_| json_answer(200, &json!({}))).await;
        let gone = json!({"error": {"code": "Request_ResourceNotFound"}});
        tenant.mount("/v1.0/users/b", move |_| json_answer(404, &gone)).await;
        let (reader, trace) = tenant.open(tenant.options()).await.reader().traced();
        let answers = together(&reader, &["a", "b"]).await;
        assert!(answers[0].is_ok(), "{status}");
        assert_eq!(answers[1].as_ref().unwrap_err().kind, ReadErrorKind::NotFound);
        assert_eq!(tenant.requests().await.len(), 3, "{status}");
        // The evidence tells of the batch, too, once for each read.
        let mut statuses: Vec<_> = trace.take().iter().map(|it| (it.batch.is_some(), it.status.unwrap())).collect();
        statuses.sort_unstable();
        assert_eq!(statuses, [(false, 200), (false, 404), (true, status), (true, status)]);
    }
}

#[tokio::test]
async fn a_batch_that_fails_as_a_whole_fails_each_read_and_is_asked_again() {
    let tenant = Tenant::start().await;
    let made = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    tenant
        .mount(BATCH, move |request| {
            if made.fetch_add(1, std::sync::atomic::Ordering::SeqCst) == 0 {
                return ResponseTemplate::new(503).insert_header("Retry-After", "2");
            }
            answer_each(request, |_, _| json!({"status": 200, "body": {}}))
        })
        .await;
    let session = tenant.open(tenant.options()).await;
    let (reader, trace) = session.reader().traced();
    assert!(together(&reader, &["a", "b"]).await.iter().all(Result::is_ok));
    assert_eq!(tenant.lines().await, ["POST /v1.0/$batch"; 2]);
    let outcomes: Vec<_> = trace.take().iter().map(|it| (it.attempt, it.outcome)).collect();
    use ExchangeOutcome::{Ok, Throttled};
    assert_eq!(outcomes, [(1, Throttled), (1, Throttled), (2, Ok), (2, Ok)]);
}

#[tokio::test]
async fn batching_can_be_switched_off() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users/a", |_| json_answer(200, &json!({}))).await;
    tenant.mount("/v1.0/users/b", |_| json_answer(200, &json!({}))).await;
    let reader = tenant.plain_reader().await;
    assert!(together(&reader, &["a", "b"]).await.iter().all(Result::is_ok));
    let mut lines = tenant.lines().await;
    lines.sort();
    assert_eq!(lines, ["GET /v1.0/users/a?$select=id", "GET /v1.0/users/b?$select=id"]);
}

#[tokio::test]
async fn first_pages_travel_with_other_reads_and_later_pages_alone() {
    let tenant = Tenant::start().await;
    let base = tenant.server.uri();
    tenant
        .mount(BATCH, move |request| {
            let next = format!("{base}/v1.0/users?$skiptoken=2");
            answer_each(request, |url, part| {
                if url.starts_with("/users?") {
                    assert_eq!(part["headers"]["consistencylevel"], "eventual");
                    return json!({"status": 200, "body": {"value": [1], "@odata.nextLink": next}});
                }
                json!({"status": 200, "body": {}})
            })
        })
        .await;
    tenant
        .mount("/v1.0/users", |request| {
            assert_eq!(header(request, "consistencylevel"), "eventual");
            json_answer(200, &json!({"value": [2]}))
        })
        .await;
    let reader = tenant.open(tenant.options()).await.reader();
    let path = GraphPath::v1().fixed("users").query("$count", "true");
    let one = user("a");
    let (all, one) = tokio::join!(reader.list::<u8>(&path), reader.get::<Value>(&one));
    assert_eq!(all.unwrap(), [1, 2]);
    one.unwrap();
    assert_eq!(tenant.lines().await, ["POST /v1.0/$batch", "GET /v1.0/users?$skiptoken=2"]);
}

#[tokio::test]
async fn a_reader_that_goes_away_takes_nobody_with_it() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users/b", |_| json_answer(200, &json!({"id": "b"}))).await;
    let reader = tenant.open(tenant.options()).await.reader();
    let (a, b) = (user("a"), user("b"));
    let mut first = Box::pin(reader.get::<Value>(&a));
    assert!(futures_util::poll!(&mut first).is_pending(), "it waits for company");
    let mut second = Box::pin(reader.get::<Value>(&b));
    assert!(futures_util::poll!(&mut second).is_pending());
    drop(first);
    assert_eq!(second.await.unwrap()["id"], "b");
    assert_eq!(tenant.lines().await, ["GET /v1.0/users/b?$select=id"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_readers_on_the_real_clock_each_get_their_own_answer() {
    let tenant = Tenant::start().await;
    tenant.mount(BATCH, |request| answer_each(request, |url, _| json!({"status": 200, "body": {"url": url}}))).await;
    // On a busy machine one may come too late for any company.
    let alone = |request: &Request| {
        let url = format!("{}?{}", request.url.path(), request.url.query().unwrap_or_default());
        json_answer(200, &json!({"url": url.strip_prefix("/v1.0")}))
    };
    Mock::given(matchers::path_regex("^/v1.0/users/u[0-9]+$")).respond_with(alone).mount(&tenant.server).await;
    let session = Session::open(tenant.options(), SystemClock::start()).await;
    let reader = session.unwrap().reader();
    let all = (0..100).map(|number| {
        let reader = reader.clone();
        tokio::spawn(async move {
            let id = format!("u{number}");
            let answer: Value = reader.get(&user(&id)).await.unwrap();
            assert_eq!(answer["url"], format!("/users/{id}?$select=id"));
        })
    });
    for task in join_all(all).await {
        task.unwrap();
    }
    let asked = tenant.requests().await;
    let batches: Vec<_> = asked.iter().filter(|request| request.url.path() == BATCH).collect();
    assert!(!batches.is_empty() && batches.iter().all(|request| inner(request).len() <= 20));
    assert_eq!(tenant.token_requests().await, 1);
}
