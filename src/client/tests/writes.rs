//! Sending: what is repeated, what is not, and what is said about it.

use std::{sync::Arc, time::Duration};

use serde_json::{Map, Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::servers::{Raw, Reply, TENANT, Tenant, header, json_answer, token_answer};
use crate::{
    client::{Secrets, SendOutcome, Sender, Sent, draw::derived_request_id},
    model::{Call, Clock as _, ExchangeOutcome, GraphPath, Password, Replay, Untrusted, Verb, WriteCmdlet},
};

pub(super) const ID: &str = "0193b3e0-7c1d-7000-8000-00000000000a";
pub(super) const PATH: &str = "/v1.0/users/u1";

pub(super) fn block() -> Call {
    let path = GraphPath::v1().fixed("users").id("u1");
    Call::graph(Verb::Patch, path, Some(json!({"accountEnabled": false})), Replay::Set)
}

pub(super) fn revoke() -> Call {
    let path = GraphPath::v1().fixed("users").id("u1").fixed("revokeSignInSessions");
    Call::graph(Verb::Post, path, None, Replay::Set)
}

fn disable_rule() -> Call {
    let parameters = json!({"Identity": "guid\\1", "Confirm": false}).as_object().unwrap().clone();
    Call::cmdlet(WriteCmdlet::DisableInboxRule, "johanna@sunnyside08.example", parameters, Replay::Set)
}

pub(super) async fn send(sender: &Sender, call: &Call) -> Sent {
    sender.send(call, &Secrets::new(), ID).await
}

/// Sends the call to a tenant that answers so, in turn; how it ended, and how many requests there were.
pub(super) async fn answered(call: &Call, path: &str, answers: Vec<ResponseTemplate>) -> (Sent, usize) {
    let tenant = Tenant::start().await;
    tenant.mount_in_turn(path, answers).await;
    let sent = send(&tenant.plain().await.sender(), call).await;
    let made = tenant.requests().await.len();
    assert_eq!(sent.exchanges.len(), made, "every attempt is kept");
    (sent, made)
}

#[tokio::test]
async fn a_call_goes_out_as_planned_under_the_given_id() {
    let tenant = Tenant::start().await;
    tenant.mount(PATH, |_| ResponseTemplate::new(204)).await;
    let sent = send(&tenant.plain().await.sender(), &block()).await;
    assert_eq!(sent.outcome, SendOutcome::Accepted);
    let asked = &tenant.requests().await[0];
    assert_eq!(asked.method, "PATCH");
    assert_eq!(asked.body, br#"{"accountEnabled":false}"#);
    assert_eq!(header(asked, "client-request-id"), ID);
    assert_eq!(header(asked, "x-ms-throttle-priority"), "High");
    assert_eq!(header(asked, "content-type"), "application/json");
    let [exchange] = sent.exchanges.as_slice() else { panic!() };
    assert_eq!(exchange.client_request_id, ID);
    assert_eq!(exchange.request_body, Some(json!({"accountEnabled": false})));
    assert_eq!((exchange.status, exchange.outcome), (Some(204), ExchangeOutcome::Ok));
}

#[tokio::test]
async fn a_secret_is_on_the_wire_and_nowhere_else() {
    let tenant = Tenant::start().await;
    tenant.mount(PATH, |_| ResponseTemplate::new(204)).await;
    let body = json!({"passwordProfile": {"password": Call::secret("password")}});
    let path = GraphPath::v1().fixed("users").id("u1");
    let call = Call::graph(Verb::Patch, path, Some(body.clone()), Replay::Set);
    let sender = tenant.plain().await.sender();

    let missing = send(&sender, &call).await;
    assert!(matches!(&missing.outcome, SendOutcome::NotSent { reason } if reason.contains("password")));
    assert!(tenant.requests().await.is_empty() && missing.exchanges.is_empty());

    let password = Password::generate();
    let text = password.expose().to_owned();
    let secrets = Secrets::from([("password".to_owned(), password)]);
    let sent = sender.send(&call, &secrets, ID).await;
    assert_eq!(sent.outcome, SendOutcome::Accepted);
    let asked = &tenant.requests().await[0];
    let wire: Value = serde_json::from_slice(&asked.body).unwrap();
    assert_eq!(wire["passwordProfile"]["password"], text.as_str());
    assert_eq!(sent.exchanges[0].request_body, Some(body));
    assert!(!format!("{sent:?}").contains(&text));
}

#[tokio::test]
async fn what_was_certainly_not_executed_is_sent_again_under_derived_ids() {
    let conflict = json!({"error": {"code": "Directory_ConcurrencyViolation", "message": "m"}});
    let tenant = Tenant::start().await;
    tenant
        .mount_in_turn(
            PATH,
            vec![
                ResponseTemplate::new(429).insert_header("Retry-After", "4"),
                ResponseTemplate::new(503).insert_header("Retry-After", "2.5"),
                json_answer(409, &conflict),
                ResponseTemplate::new(204),
            ],
        )
        .await;
    let sent = send(&tenant.plain().await.sender(), &block()).await;
    assert_eq!(sent.outcome, SendOutcome::Accepted);
    let ids: Vec<_> = tenant.requests().await.iter().map(|it| header(it, "client-request-id")).collect();
    let derived: Vec<_> = (1..=4).map(|number| derived_request_id(ID, number)).collect();
    assert_eq!(ids, derived);
    assert!(tenant.requests().await.iter().all(|it| it.body == br#"{"accountEnabled":false}"#));
    assert!(tenant.clock.monotonic() >= Duration::from_millis(6500));
}

#[tokio::test]
async fn a_server_error_leaves_the_outcome_unknown_and_is_not_repeated() {
    for status in [500, 502, 503, 504] {
        let (sent, made) = answered(&block(), PATH, vec![ResponseTemplate::new(status)]).await;
        let unknown = SendOutcome::Unknown { reason: format!("HTTP {status}") };
        assert_eq!((sent.outcome, made), (unknown, 1));
    }
}

#[tokio::test]
async fn refusals_are_final() {
    let denied = json!({"error": {"code": "Authorization_RequestDenied", "message": "Insufficient privileges"}});
    let (sent, made) = answered(&block(), PATH, vec![json_answer(403, &denied)]).await;
    let rejected = SendOutcome::Rejected {
        status: 403,
        code: "Authorization_RequestDenied".to_owned(),
        message: Untrusted::from("Insufficient privileges"),
    };
    assert_eq!((sent.outcome, made), (rejected, 1));
    let gone = json!({"error": {"code": "Request_ResourceNotFound", "message": "m"}});
    let (sent, made) = answered(&block(), PATH, vec![json_answer(404, &gone)]).await;
    assert!(!sent.later, "the tenant's own word");
    assert_eq!((sent.outcome, made), (SendOutcome::NotFound, 1));
    for status in [400, 409, 412] {
        let (sent, made) = answered(&block(), PATH, vec![ResponseTemplate::new(status)]).await;
        assert!(matches!(sent.outcome, SendOutcome::Rejected { status: s, .. } if s == status));
        assert_eq!(made, 1);
    }
}

#[tokio::test]
async fn a_404_that_is_not_the_services_own_proves_nothing() {
    let invoke = format!("/adminapi/beta/{TENANT}/InvokeCommand");
    for (call, path) in [(block(), PATH), (disable_rule(), &invoke)] {
        for answer in [ResponseTemplate::new(404), ResponseTemplate::new(404).set_body_string("<html>gateway</html>")] {
            let (sent, made) = answered(&call, path, vec![answer]).await;
            assert!(matches!(sent.outcome, SendOutcome::Unknown { .. }), "{sent:?}");
            assert_eq!(made, 1, "only who reads back may send again");
        }
    }
}

#[tokio::test]
async fn a_redirect_of_a_write_is_a_refusal() {
    let elsewhere = MockServer::start().await;
    let redirect = ResponseTemplate::new(307).insert_header("Location", elsewhere.uri().as_str());
    let (sent, made) = answered(&block(), PATH, vec![redirect]).await;
    assert!(matches!(sent.outcome, SendOutcome::Rejected { status: 307, .. }));
    assert_eq!(made, 1);
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

/// Sends to a bare socket in the place of Graph.
async fn sent_to(raw: &Raw, call: &Call) -> Sent {
    let tenant = Tenant::start().await;
    let mut options = tenant.options();
    options.endpoints.graph = raw.url.clone();
    options.attempt_timeout = Duration::from_millis(300);
    send(&tenant.open(options).await.sender(), call).await
}

#[tokio::test]
async fn a_lost_answer_is_unknown_wherever_it_is_cut_and_is_sent_once() {
    for reply in [
        Reply::Close(""),
        Reply::Close("HTTP/1.1 20"),
        Reply::Close("HTTP/1.1 200 OK\r\nContent-Len"),
        Reply::Close("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{\"value\":"),
        Reply::Close("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{\"val\r\n"),
        Reply::Close("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"value\":"),
        Reply::Silence,
    ] {
        let raw = Raw::start(vec![reply]).await;
        let sent = sent_to(&raw, &revoke()).await;
        assert!(matches!(sent.outcome, SendOutcome::Unknown { .. }), "{sent:?}");
        assert_eq!((raw.seen().len(), sent.exchanges.len()), (1, 1));
    }
}

#[tokio::test]
async fn an_action_without_a_body_says_so() {
    let raw = Raw::start(vec![Reply::Close(
        "HTTP/1.1 200 OK\r\nContent-Length: 14\r\nConnection: close\r\n\r\n{\"value\":true}",
    )])
    .await;
    let sent = sent_to(&raw, &revoke()).await;
    assert_eq!(sent.outcome, SendOutcome::Accepted);
    let (_, text) = &raw.seen()[0];
    assert!(text.starts_with("POST /v1.0/users/u1/revokeSignInSessions HTTP/1.1\r\n"), "{text}");
    assert_eq!(text.to_lowercase().matches("content-length: 0\r\n").count(), 1, "{text}");
}

#[tokio::test]
async fn a_503_is_repeated_on_a_new_connection() {
    let raw = Raw::start(vec![
        Reply::Keep("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        Reply::Keep("HTTP/1.1 429 Too Many Requests\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"),
        Reply::Keep("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"),
        Reply::Keep("HTTP/1.1 204 No Content\r\n\r\n"),
    ])
    .await;
    let tenant = Tenant::start().await;
    let mut options = tenant.options();
    options.endpoints.graph = raw.url.clone();
    let sender = tenant.open(options).await.sender();
    for _ in 0..2 {
        assert_eq!(send(&sender, &block()).await.outcome, SendOutcome::Accepted);
    }
    let connections: Vec<_> = raw.seen().iter().map(|(connection, _)| *connection).collect();
    assert_eq!(connections, [0, 0, 0, 1]);
}

#[tokio::test]
async fn a_path_that_would_become_another_is_not_sent() {
    let tenant = Tenant::start().await;
    let path = GraphPath::v1().fixed("users").id("u1").fixed("authentication/phoneMethods").id("..");
    let call = Call::graph(Verb::Delete, path, None, Replay::Delete);
    let sent = send(&tenant.plain().await.sender(), &call).await;
    assert!(matches!(sent.outcome, SendOutcome::NotSent { .. }), "{sent:?}");
    assert!(tenant.requests().await.is_empty());
}

#[tokio::test]
async fn warnings_beside_a_200_are_kept() {
    let invoke = format!("/adminapi/beta/{TENANT}/InvokeCommand");
    let text = "The command completed successfully but no settings of 'x' have been modified.";
    let answer = json_answer(200, &json!({"@adminapi.warnings": [text], "value": []}));
    let (sent, _) = answered(&disable_rule(), &invoke, vec![answer]).await;
    assert_eq!(sent.outcome, SendOutcome::Accepted);
    assert_eq!(sent.warnings, [Untrusted::from(text)]);

    let (sent, _) = answered(&disable_rule(), &invoke, vec![ResponseTemplate::new(200)]).await;
    assert_eq!((sent.outcome, sent.warnings.len()), (SendOutcome::Accepted, 0));
}

#[tokio::test]
async fn exchange_says_not_found_in_its_own_way() {
    let invoke = format!("/adminapi/beta/{TENANT}/InvokeCommand");
    let detail = "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|gone";
    let gone =
        json!({"error": {"code": "BadRequest", "message": "Invalid Operation", "details": [{"message": detail}]}});
    let (sent, made) = answered(&disable_rule(), &invoke, vec![json_answer(400, &gone)]).await;
    assert_eq!((sent.outcome, made), (SendOutcome::NotFound, 1));

    let nul = ResponseTemplate::new(403).set_body_bytes([0_u8; 32]);
    let (sent, _) = answered(&disable_rule(), &invoke, vec![nul]).await;
    let SendOutcome::Rejected { status: 403, message, .. } = sent.outcome else { panic!() };
    assert!(message.raw().contains("no Exchange role"), "{message:?}");
}

#[tokio::test]
async fn a_write_for_every_object_is_never_sent() {
    let tenant = Tenant::start().await;
    let parameters = Map::from_iter([("Identity".to_owned(), json!(""))]);
    let call = Call::cmdlet(WriteCmdlet::RemoveInboxRule, "a", parameters, Replay::Delete);
    let sent = send(&tenant.plain().await.sender(), &call).await;
    assert!(matches!(sent.outcome, SendOutcome::NotSent { .. }));
    assert!(tenant.requests().await.is_empty());
}

#[tokio::test]
async fn a_write_without_a_token_is_not_sent() {
    let tenant = Tenant::bare().await;
    tenant
        .mount_in_turn(
            &format!("/{TENANT}/oauth2/v2.0/token"),
            vec![
                token_answer(TENANT, "graph"),
                json_answer(400, &json!({"error": "invalid_client", "error_codes": [7000222]})),
            ],
        )
        .await;
    let sent = send(&tenant.plain().await.sender(), &disable_rule()).await;
    assert!(matches!(&sent.outcome, SendOutcome::NotSent { reason } if reason.contains("AADSTS7000222")));
}

#[tokio::test]
async fn an_ageing_token_that_is_refused_is_replaced_once() {
    let tenant = Tenant::start().await;
    tenant.mount_in_turn(PATH, vec![ResponseTemplate::new(401), ResponseTemplate::new(204)]).await;
    let sender = tenant.plain().await.sender();
    tenant.clock.advance(Duration::from_mins(10));
    let sent = send(&sender, &block()).await;
    assert_eq!((sent.outcome, tenant.token_requests().await), (SendOutcome::Accepted, 2));

    let tenant = Tenant::start().await;
    tenant.mount(PATH, |_| ResponseTemplate::new(401)).await;
    let sender = tenant.plain().await.sender();
    tenant.clock.advance(Duration::from_mins(10));
    let sent = send(&sender, &block()).await;
    assert!(matches!(sent.outcome, SendOutcome::Rejected { status: 401, .. }));
    assert_eq!(tenant.requests().await.len(), 2);
}

#[test]
fn senders_can_be_used_from_any_thread() {
    fn is_send<T: Send>(_: impl FnOnce(&'static Arc<(Sender, Call, Secrets)>) -> T) {}
    is_send(|it| it.0.send(&it.1, &it.2, ID));
}
