//! Reading Graph: answers, pages, retries, limits, evidence.

use std::{sync::Arc, time::Duration};

use serde_json::{Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::servers::{Raw, Reply, Tenant, header, json_answer};
use crate::{
    client::{
        ReadError, ReadErrorKind, Reader,
        obstacle::Obstacle,
        wire::{Outgoing, Try, Wire},
    },
    model::{Clock, ExchangeOutcome, GraphPath, Service},
};

fn users() -> GraphPath {
    GraphPath::v1().fixed("users")
}

async fn error(reader: &Reader) -> ReadError {
    reader.get::<Value>(&users()).await.unwrap_err()
}

#[tokio::test]
async fn evidence_is_the_exact_bytes_and_all_that_identifies_the_request() {
    let tenant = Tenant::start().await;
    let bytes = "{\"id\" : \"x\",\r\n \"n\": 1.0, \"u\": \"\\u00fc\"}";
    tenant
        .mount("/v1.0/users", move |_| {
            ResponseTemplate::new(200)
                .insert_header("Date", "Tue, 12 Dec 2023 13:59:30 GMT")
                .insert_header("request-id", "r-1")
                .insert_header("Set-Cookie", "x=canary-cookie")
                .set_body_raw(bytes, "application/json")
        })
        .await;
    let (reader, trace) = tenant.plain_reader().await.traced();
    let answer: Value = reader.get(&users().select("id")).await.unwrap();
    assert_eq!(answer["u"], "ü");

    let exchanges = trace.take();
    let [exchange] = exchanges.as_slice() else { panic!("{exchanges:?}") };
    assert_eq!(exchange.body, bytes.as_bytes());
    assert_eq!(exchange.outcome, ExchangeOutcome::Ok);
    assert_eq!(exchange.url, format!("{}/v1.0/users?$select=id", tenant.server.uri()));
    assert_eq!((exchange.method.as_str(), exchange.attempt, exchange.status), ("GET", 1, Some(200)));
    assert_eq!(exchange.started.to_string(), "2023-12-12T14:00:00Z");
    assert_eq!(exchange.server_date.unwrap().to_string(), "2023-12-12T13:59:30Z");
    assert!(exchange.response_headers.contains(&("request-id".to_owned(), "r-1".to_owned())));
    assert!(exchange.response_headers.iter().any(|(name, value)| name == "set-cookie" && !value.contains("canary")));
    assert!(exchange.batch.is_none() && exchange.batch_headers.is_empty());
    assert_eq!(exchange.token.as_deref(), Some("graph-1"));
    let asked: Vec<&str> = exchange.request_headers.iter().map(|(name, _)| name.as_str()).collect();
    assert!(asked.contains(&"accept") && !asked.contains(&"authorization"), "{asked:?}");
    assert!(trace.take().is_empty(), "what was taken is gone");

    let asked = &tenant.requests().await[0];
    assert_eq!(header(asked, "client-request-id"), exchange.client_request_id);
    assert!(header(asked, "user-agent").starts_with("staunch/"));
    assert_eq!(header(asked, "accept-encoding"), "identity", "what is kept is what was sent");
    assert_eq!(reader.server_now().to_string(), "2023-12-12T13:59:30Z");
    assert!(!format!("{exchange:?}").contains("Bearer"));
}

#[tokio::test]
async fn all_pages_are_read_also_after_an_empty_one_with_the_same_headers() {
    let tenant = Tenant::start().await;
    let base = tenant.server.uri();
    tenant
        .mount("/v1.0/users", move |request| {
            let next = |n: u8| json!(format!("{base}/v1.0/users?$skiptoken={n}"));
            match request.url.query().unwrap_or_default() {
                "$skiptoken=2" => json_answer(200, &json!({"value": [], "@odata.nextLink": next(3)})),
                "$skiptoken=3" => json_answer(200, &json!({"value": [3]})),
                _ => json_answer(200, &json!({"value": [1, 2], "@odata.nextLink": next(2)})),
            }
        })
        .await;
    let session = tenant.open(tenant.options()).await;
    let (reader, trace) = session.reader().traced();
    let path = users().query("$count", "true");
    assert_eq!(reader.list::<u8>(&path).await.unwrap(), [1, 2, 3]);
    assert_eq!(trace.take().len(), 3);
    for request in tenant.requests().await {
        assert_eq!(header(&request, "consistencylevel"), "eventual");
    }
}

#[tokio::test]
async fn a_link_to_another_host_gets_no_request() {
    let elsewhere = MockServer::start().await;
    for link in [format!("{}/v1.0/users?2", elsewhere.uri()), "https://graph.microsoft.com/v1.0/users?2".to_owned()] {
        let tenant = Tenant::start().await;
        tenant.mount("/v1.0/users", move |_| json_answer(200, &json!({"value": [], "@odata.nextLink": link}))).await;
        let reader = tenant.plain_reader().await;
        let error = reader.list::<Value>(&users()).await.unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::Malformed);
        assert_eq!(tenant.requests().await.len(), 1);
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn pages_that_go_in_a_circle_are_no_answer() {
    let tenant = Tenant::start().await;
    let base = tenant.server.uri();
    tenant
        .mount("/v1.0/users", move |_| {
            let next = format!("{base}/v1.0/users?again");
            json_answer(200, &json!({"value": [], "@odata.nextLink": next}))
        })
        .await;
    let error = tenant.plain_reader().await.list::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Malformed);
    assert_eq!(tenant.requests().await.len(), 2);
}

#[tokio::test]
async fn a_token_goes_to_its_own_service_only_whoever_asks() {
    let tenant = Tenant::start().await;
    let elsewhere = MockServer::start().await;
    let clock: Arc<dyn Clock> = tenant.clock.clone();
    let wire = Wire::new(tenant.options(), clock).unwrap();
    let this = Try::first("id".to_owned(), Duration::from_mins(1));
    for url in [elsewhere.uri(), tenant.server.uri().replace("http", "https")] {
        let url = format!("{url}/v1.0/users").parse().unwrap();
        let out = Outgoing::new(Service::Graph, reqwest::Method::GET, url);
        let refused = wire.attempt(&out, &this).await;
        assert!(matches!(refused, Err(Obstacle::Foreign)), "{refused:?}");
    }
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
    assert!(tenant.requests().await.is_empty());
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let elsewhere = MockServer::start().await;
    let tenant = Tenant::start().await;
    let location = elsewhere.uri();
    tenant.mount("/v1.0/users", move |_| ResponseTemplate::new(302).insert_header("Location", location.as_str())).await;
    let error = error(&tenant.plain_reader().await).await;
    assert_eq!((error.kind, error.status), (ReadErrorKind::Unavailable, Some(302)));
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
    assert_eq!(tenant.requests().await.len(), 1);
}

#[tokio::test]
async fn passing_faults_are_asked_again_each_attempt_with_its_own_id() {
    let tenant = Tenant::start().await;
    tenant
        .mount_in_turn(
            "/v1.0/users",
            vec![
                ResponseTemplate::new(429).insert_header("Retry-After", "7.5"),
                ResponseTemplate::new(504),
                ResponseTemplate::new(503).insert_header("Retry-After", "3"),
                ResponseTemplate::new(500).set_body_string("<html>"),
                json_answer(200, &json!({})),
            ],
        )
        .await;
    let (reader, trace) = tenant.plain_reader().await.traced();
    reader.get::<Value>(&users()).await.unwrap();
    let exchanges = trace.take();
    let attempts: Vec<_> = exchanges.iter().map(|it| (it.attempt, it.outcome)).collect();
    use ExchangeOutcome::{Ok, ServerError, Throttled};
    assert_eq!(attempts, [(1, Throttled), (2, ServerError), (3, Throttled), (4, ServerError), (5, Ok)]);
    let mut ids: Vec<_> = exchanges.iter().map(|it| &it.client_request_id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5);
    assert!(tenant.clock.monotonic() >= Duration::from_millis(10_500));
}

#[tokio::test]
async fn a_service_that_stays_down_is_given_up_after_six_attempts() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| ResponseTemplate::new(502)).await;
    let error = error(&tenant.plain_reader().await).await;
    assert_eq!((error.kind, error.status), (ReadErrorKind::Unavailable, Some(502)));
    assert_eq!(tenant.requests().await.len(), 6);
}

#[tokio::test]
async fn a_429_without_a_time_is_paced_by_ourselves() {
    let tenant = Tenant::start().await;
    let answers = vec![ResponseTemplate::new(429), json_answer(200, &json!({}))];
    tenant.mount_in_turn("/v1.0/users", answers).await;
    let reader = tenant.plain_reader().await;
    reader.get::<Value>(&users()).await.unwrap();
    assert!(tenant.clock.monotonic() >= Duration::from_millis(500));
}

#[tokio::test]
async fn a_429_beyond_the_deadline_holds_back_every_other_read() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| ResponseTemplate::new(429).insert_header("Retry-After", "60")).await;
    let mut options = tenant.options();
    options.deadline = Duration::from_secs(10);
    options.batch = false;
    let reader = tenant.open(options).await.reader();
    assert_eq!(error(&reader).await.kind, ReadErrorKind::Throttled);
    let other = reader.get::<Value>(&GraphPath::v1().fixed("devices")).await.unwrap_err();
    assert_eq!(other.kind, ReadErrorKind::Throttled);
    assert!(other.message.raw().contains("2023-12-12T14:01:00Z"), "{other}");
    assert_eq!(tenant.lines().await, ["GET /v1.0/users"]);
}

#[tokio::test]
async fn refusals_are_told_apart_and_asked_once() {
    let mailbox = json!({"error": {"code": "MailboxNotEnabledForRESTAPI", "message": "m"}});
    for (answer, kind) in [
        (json_answer(404, &json!({"error": {"code": "Request_ResourceNotFound"}})), ReadErrorKind::NotFound),
        (json_answer(404, &mailbox), ReadErrorKind::NoMailbox),
        (json_answer(403, &json!({"error": {"code": "Authorization_RequestDenied"}})), ReadErrorKind::Denied),
        (json_answer(400, &json!({"error": {"code": "Request_BadRequest"}})), ReadErrorKind::Rejected),
    ] {
        let tenant = Tenant::start().await;
        tenant.mount("/v1.0/users", move |_| answer.clone()).await;
        assert_eq!(error(&tenant.plain_reader().await).await.kind, kind);
        assert_eq!(tenant.requests().await.len(), 1, "{kind:?}");
    }
}

#[tokio::test]
async fn an_answer_over_the_limit_is_not_read_to_its_end() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| json_answer(200, &json!({"x": "y".repeat(2000)}))).await;
    let mut options = tenant.options();
    options.body_limit = 1000;
    // The token is an answer too, and smaller.
    let error = error(&tenant.open(options).await.reader()).await;
    assert_eq!(error.kind, ReadErrorKind::Malformed);
    assert_eq!(tenant.requests().await.len(), 1);
}

#[tokio::test]
async fn a_lost_answer_to_a_read_is_asked_again_and_both_are_kept() {
    let tenant = Tenant::start().await;
    let raw = Raw::start(vec![
        Reply::Close("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{\"id\":"),
        Reply::Close(""),
        Reply::Close("HTTP/1.1 20"),
        Reply::Close("HTTP/1.1 200 OK\r\nContent-Length: 10\r\nConnection: close\r\n\r\n{\"id\": \"x\"}"),
        Reply::Close("HTTP/1.1 200 OK\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{\"id\": \"x\"}"),
    ])
    .await;
    let mut options = tenant.options();
    options.endpoints.graph = raw.url.clone();
    let (reader, trace) = tenant.open(options).await.reader().traced();
    // The fourth answer is whole for HTTP and cut for JSON.
    assert_eq!(reader.get::<Value>(&users()).await.unwrap(), json!({"id": "x"}));
    let outcomes: Vec<_> = trace.take().iter().map(|it| (it.outcome, it.status)).collect();
    use ExchangeOutcome::{Lost, Ok};
    assert_eq!(outcomes, [(Lost, Some(200)), (Lost, None), (Lost, None), (Ok, Some(200)), (Ok, Some(200))]);
}

#[tokio::test]
async fn a_page_of_a_gateway_and_a_bare_404_are_asked_again_and_prove_nothing() {
    for (answer, kind) in [
        (ResponseTemplate::new(200).set_body_string("<html>"), ReadErrorKind::Malformed),
        (ResponseTemplate::new(200), ReadErrorKind::Malformed),
        (ResponseTemplate::new(404).set_body_string("<html>"), ReadErrorKind::Unavailable),
        (ResponseTemplate::new(404), ReadErrorKind::Unavailable),
    ] {
        let tenant = Tenant::start().await;
        tenant.mount("/v1.0/users", move |_| answer.clone()).await;
        assert_eq!(error(&tenant.plain_reader().await).await.kind, kind);
        assert_eq!(tenant.requests().await.len(), 6, "{kind:?}");
    }
}

#[tokio::test]
async fn no_connection_is_said_without_an_address_or_a_token() {
    let tenant = Tenant::start().await;
    let mut options = tenant.options();
    options.endpoints.graph = "http://127.0.0.1:1".parse().unwrap();
    let (reader, trace) = tenant.open(options).await.reader().traced();
    let error = error(&reader).await;
    assert_eq!((error.kind, error.status), (ReadErrorKind::Unavailable, None));
    assert!(error.to_string().starts_with("read GET /v1.0/users: no answer"), "{error}");
    let exchanges = trace.take();
    assert_eq!(exchanges.len(), 6);
    assert!(exchanges.iter().all(|it| it.outcome == ExchangeOutcome::NotSent));
}

#[test]
fn readers_can_be_used_from_any_thread() {
    fn is_send<T: Send>(_: impl FnOnce(&'static Reader) -> T) {}
    is_send(|reader| reader.get::<Value>(Box::leak(Box::new(users()))));
    is_send(|reader| reader.list::<Value>(Box::leak(Box::new(users()))));
    is_send(|reader| {
        let cmdlet = crate::model::ReadCmdlet::GetMailbox;
        reader.cmdlet::<Value>(cmdlet, "", serde_json::Map::new())
    });
}

#[tokio::test]
async fn a_compressed_answer_is_refused_unread_and_not_asked_for_again() {
    let tenant = Tenant::start().await;
    let bomb = vec![0x1f, 0x8b, 0x08, 0, 0, 0, 0, 0];
    let answer = move |_: &wiremock::Request| {
        ResponseTemplate::new(200).insert_header("Content-Encoding", "gzip").set_body_bytes(bomb.clone())
    };
    tenant.mount("/v1.0/users", answer).await;
    let error = tenant.plain_reader().await.get::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Malformed);
    assert!(error.message.raw().contains("compressed"), "{error}");
    assert_eq!(tenant.requests().await.len(), 1);
}
