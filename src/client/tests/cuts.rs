//! An answer that is cut, after each of its bytes: never a success, never sent twice.

use serde_json::Value;

use super::servers::{Raw, Reply, Tenant, token};
use crate::{
    client::{ReadErrorKind, Secrets, SendOutcome},
    model::{Call, GraphPath, Replay, Verb},
};

const WITH_LENGTH: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 26\r\n\r\n{\"value\": [true, 1, \"a\"] }";
const IN_CHUNKS: &str =
    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{\"value\":\r\n8\r\n [true]}\r\n0\r\n\r\n";
const UNTIL_CLOSED: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"value\": [true]}";
const EMPTY: &str = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r\n";
const NOTHING: &str = "HTTP/1.1 204 No Content\r\nrequest-id: r\r\n\r\n";

/// Every beginning of an answer that is not all of it.
fn beginnings(answer: &'static str) -> Vec<Reply> {
    (0..answer.len()).map(|end| Reply::Close(&answer[..end])).collect()
}

fn call() -> Call {
    let path = GraphPath::v1().fixed("users").id("u1").fixed("revokeSignInSessions");
    Call::graph(Verb::Post, path, None, Replay::New)
}

#[tokio::test]
async fn a_write_whose_answer_is_cut_anywhere_is_unknown_and_sent_once() {
    for answer in [WITH_LENGTH, IN_CHUNKS, UNTIL_CLOSED, EMPTY, NOTHING] {
        let beginnings = beginnings(answer);
        let cuts = beginnings.len();
        let raw = Raw::start(beginnings).await;
        let tenant = Tenant::start().await;
        let mut options = tenant.options();
        options.endpoints.graph = raw.url.clone();
        let sender = tenant.open(options).await.sender();
        for cut in 0..cuts {
            let sent = sender.send(&call(), &Secrets::new(), "id").await;
            let lost = matches!(sent.outcome, SendOutcome::Unknown { .. });
            assert!(lost, "cut after {cut} bytes of {answer:?}: {:?}", sent.outcome);
            assert_eq!(raw.seen().len(), cut + 1, "sent once");
        }
    }
}

#[tokio::test]
async fn a_write_whose_answer_is_whole_is_accepted() {
    for answer in [WITH_LENGTH, IN_CHUNKS, UNTIL_CLOSED, EMPTY, NOTHING] {
        let raw = Raw::start(vec![Reply::Close(answer)]).await;
        let tenant = Tenant::start().await;
        let mut options = tenant.options();
        options.endpoints.graph = raw.url.clone();
        let sent = tenant.open(options).await.sender().send(&call(), &Secrets::new(), "id").await;
        assert_eq!(sent.outcome, SendOutcome::Accepted, "{answer:?}");
    }
}

#[tokio::test]
async fn a_read_whose_answer_is_cut_anywhere_is_asked_again_and_never_believed() {
    for answer in [WITH_LENGTH, IN_CHUNKS] {
        for end in 0..answer.len() {
            let raw = Raw::start(vec![Reply::Close(&answer[..end]), Reply::Close(answer)]).await;
            let tenant = Tenant::start().await;
            let mut options = tenant.options();
            options.endpoints.graph = raw.url.clone();
            options.batch = false;
            let reader = tenant.open(options).await.reader();
            let list = reader.list::<Value>(&GraphPath::v1().fixed("users")).await.unwrap();
            assert_eq!(list[0], true, "cut after {end} bytes of {answer:?}");
            assert_eq!(raw.seen().len(), 2);
        }
    }
    let raw = Raw::start(vec![Reply::Close(&WITH_LENGTH[..80])]).await;
    let tenant = Tenant::start().await;
    let mut options = tenant.options();
    options.endpoints.graph = raw.url.clone();
    options.batch = false;
    let read = tenant.open(options).await.reader();
    let error = read.list::<Value>(&GraphPath::v1().fixed("users")).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Unavailable);
}

#[tokio::test]
async fn a_token_whose_answer_is_cut_is_asked_for_again() {
    let claims = serde_json::json!({"tid": super::servers::TENANT, "appid": "app", "idtyp": "app"});
    let body = format!(r#"{{"token_type":"Bearer","expires_in":3600,"access_token":"{}"}}"#, token(&claims));
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", body.len());
    let whole: &'static str = Box::leak((head + &body).into_boxed_str());
    for end in (0..whole.len()).step_by(7) {
        let raw = Raw::start(vec![Reply::Close(&whole[..end]), Reply::Close(whole)]).await;
        let tenant = Tenant::bare().await;
        let mut options = tenant.options();
        options.endpoints.login = raw.url.clone();
        tenant.open(options).await;
        assert_eq!(raw.seen().len(), 2, "cut after {end} bytes");
    }
}
