//! Signing in: what is asked, what is refused, when a token is replaced.

use std::{sync::Arc, time::Duration};

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use wiremock::{MockServer, ResponseTemplate};

use super::servers::{Raw, Reply, SECRET, TENANT, Tenant, header, json_answer, token, token_answer};
use crate::{
    client::{ReadErrorKind, Session, SignInError},
    model::{Clock, GraphPath, ReadCmdlet},
};

fn users() -> GraphPath {
    GraphPath::v1().fixed("users")
}

async fn refused(tenant: &Tenant) -> SignInError {
    let clock: Arc<dyn Clock> = tenant.clock.clone();
    match Session::open(tenant.options(), clock).await {
        Ok(_) => panic!("signed in"),
        Err(error) => error,
    }
}

#[tokio::test]
async fn the_token_request_is_client_credentials_for_one_resource() {
    let tenant = Tenant::start().await;
    let session = tenant.open(tenant.options()).await;
    assert_eq!(session.identity().tenant_id, TENANT);
    assert_eq!(session.identity().token_id.as_deref(), Some("graph-1"));

    let asked = tenant.server.received_requests().await.unwrap();
    assert_eq!(asked.len(), 1, "Exchange's token is not fetched before it is needed");
    let form: Vec<_> = url::form_urlencoded::parse(&asked[0].body).into_owned().collect();
    for (name, value) in [
        ("grant_type", "client_credentials"),
        ("client_id", "app"),
        ("client_secret", SECRET),
        ("scope", "https://graph.microsoft.com/.default"),
    ] {
        assert!(form.contains(&(name.into(), value.into())), "{name}");
    }
    assert_eq!(header(&asked[0], "authorization"), "");
}

#[tokio::test]
async fn each_service_gets_its_own_token_and_only_that() {
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| json_answer(200, &json!({"value": []}))).await;
    let invoke = format!("/adminapi/beta/{TENANT}/InvokeCommand");
    tenant.mount(&invoke, |_| json_answer(200, &json!({"value": []}))).await;
    let reader = tenant.plain_reader().await;
    reader.list::<Value>(&users()).await.unwrap();
    let read = || reader.cmdlet::<Value>(ReadCmdlet::GetRecipient, "a", Map::new());
    for answer in join_all((0..10).map(|_| read())).await {
        answer.unwrap();
    }
    assert_eq!(tenant.token_requests().await, 2, "one for each service");
    for request in tenant.requests().await {
        let service = if request.url.path() == "/v1.0/users" { "graph-1" } else { "exchange-2" };
        let bearer = header(&request, "authorization");
        let sent = crate::client::claims::identity(bearer.strip_prefix("Bearer ").unwrap());
        assert_eq!(sent.unwrap().token_id.as_deref(), Some(service));
    }
}

#[tokio::test]
async fn a_token_of_another_tenant_is_refused_for_both_services() {
    let tenant = Tenant::bare().await;
    tenant.mount_login(|_| token_answer("0000aaaa-0000-4000-8000-000000000bad", "x")).await;
    let error = refused(&tenant).await;
    assert!(error.message.contains("0000aaaa") && error.message.contains(TENANT), "{error}");

    let tenant = Tenant::bare().await;
    tenant
        .mount_login(|request| {
            let exchange = String::from_utf8_lossy(&request.body).contains("outlook");
            token_answer(if exchange { "another" } else { TENANT }, "x")
        })
        .await;
    let reader = tenant.open(tenant.options()).await.reader();
    let read = reader.cmdlet::<Value>(ReadCmdlet::GetRecipient, "a", Map::new());
    let error = read.await.unwrap_err();
    assert!(error.message.raw().contains("another"), "{error}");
    assert_eq!(tenant.lines().await, [""; 0], "no request carried it");
}

#[tokio::test]
async fn a_wrong_secret_gives_one_clear_line_and_is_not_tried_again() {
    let tenant = Tenant::bare().await;
    tenant
        .mount_login(|_| {
            json_answer(
                401,
                &json!({
                    "error": "invalid_client", "error_codes": [7000215],
                    "error_description": "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: x",
                    "correlation_id": "c-1",
                }),
            )
        })
        .await;
    let error = refused(&tenant).await;
    assert_eq!(error.codes, [7000215]);
    assert_eq!(
        error.to_string(),
        "sign in: AADSTS7000215: the client secret is wrong; use the secret's value, not its id; it may have \
         been rotated (invalid_client, correlation id c-1)"
    );
    assert_eq!(tenant.token_requests().await, 1);
}

#[tokio::test]
async fn a_token_endpoint_that_is_busy_is_asked_again() {
    let tenant = Tenant::bare().await;
    let busy = json_answer(400, &json!({"error": "server_error", "error_codes": [90033]}));
    tenant
        .mount_in_turn(
            &format!("/{TENANT}/oauth2/v2.0/token"),
            vec![
                ResponseTemplate::new(429).insert_header("Retry-After", "20"),
                ResponseTemplate::new(503),
                busy,
                token_answer(TENANT, "late"),
            ],
        )
        .await;
    let session = tenant.open(tenant.options()).await;
    assert_eq!(session.identity().token_id.as_deref(), Some("late"));
    assert!(tenant.clock.monotonic() >= Duration::from_secs(20));
}

#[tokio::test]
async fn what_is_not_a_token_is_named() {
    for (answer, says) in [
        (ResponseTemplate::new(404).set_body_string("<html>"), "HTTP 404"),
        (ResponseTemplate::new(200).set_body_string("<html>"), "not a token"),
        (json_answer(200, &json!({"token_type": "Bearer", "access_token": "opaque"})), "no readable claims"),
    ] {
        let tenant = Tenant::bare().await;
        tenant.mount_login(move |_| answer.clone()).await;
        let error = refused(&tenant).await;
        assert!(error.message.contains(says), "{error}");
        assert!(!format!("{error:?}").contains(SECRET));
    }
}

#[tokio::test]
async fn a_redirect_of_the_token_endpoint_is_not_followed() {
    let elsewhere = MockServer::start().await;
    let tenant = Tenant::bare().await;
    let location = elsewhere.uri();
    tenant.mount_login(move |_| ResponseTemplate::new(307).insert_header("Location", location.as_str())).await;
    assert!(refused(&tenant).await.message.contains("HTTP 307"));
    assert!(elsewhere.received_requests().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_token_is_replaced_before_it_ends_and_serves_on_when_that_fails() {
    let tenant = Tenant::bare().await;
    tenant
        .mount_in_turn(
            &format!("/{TENANT}/oauth2/v2.0/token"),
            vec![
                token_answer(TENANT, "first"),
                token_answer(TENANT, "second"),
                json_answer(400, &json!({"error": "unauthorized_client", "error_codes": [7000112]})),
            ],
        )
        .await;
    tenant.mount("/v1.0/users", |_| json_answer(200, &json!({"value": []}))).await;
    let reader = tenant.plain_reader().await;
    let minutes = |n| tenant.clock.advance(Duration::from_mins(n));
    minutes(54);
    reader.list::<Value>(&users()).await.unwrap();
    assert_eq!(tenant.token_requests().await, 1);
    minutes(2);
    reader.list::<Value>(&users()).await.unwrap();
    assert_eq!(tenant.token_requests().await, 2);

    minutes(56);
    reader.list::<Value>(&users()).await.unwrap();
    reader.list::<Value>(&users()).await.unwrap();
    assert_eq!(tenant.token_requests().await, 3, "a refused sign-in is not repeated at once");
    minutes(5);
    let error = reader.list::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::SignIn);
    assert!(error.message.raw().contains("AADSTS7000112"), "{error}");
}

#[tokio::test]
async fn nobody_but_who_renews_a_good_token_waits_for_a_slow_sign_in() {
    let tenant = Tenant::bare().await;
    let slow = token_answer(TENANT, "second").set_delay(Duration::from_hours(1));
    tenant.mount_in_turn(&format!("/{TENANT}/oauth2/v2.0/token"), vec![token_answer(TENANT, "first"), slow]).await;
    tenant.mount("/v1.0/users", |_| json_answer(200, &json!({"value": []}))).await;
    let reader = tenant.plain_reader().await;
    tenant.clock.advance(Duration::from_mins(56));
    let path = users();
    let mut renews = Box::pin(reader.list::<Value>(&path));
    while tenant.token_requests().await < 2 {
        assert!(futures_util::poll!(&mut renews).is_pending());
    }
    for read in join_all((0..5).map(|_| reader.list::<Value>(&path))).await {
        read.unwrap();
    }
    assert!(futures_util::poll!(&mut renews).is_pending());
    assert_eq!(tenant.token_requests().await, 2, "one at a time");
    // Nor does that one for long.
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    renews.await.unwrap();
    reader.list::<Value>(&path).await.unwrap();
    assert_eq!(tenant.token_requests().await, 2, "not at once again");
}

/// Who a challenge's fresh token is refused to is told so by Entra; that nobody answered says nothing of us.
#[tokio::test]
async fn a_challenge_without_an_answer_of_the_sign_in_service_is_no_alarm() {
    let tenant = Tenant::bare().await;
    let lost = ResponseTemplate::new(502).set_body_string("<html>");
    tenant.mount_in_turn(&format!("/{TENANT}/oauth2/v2.0/token"), vec![token_answer(TENANT, "first"), lost]).await;
    let demand = r#"Bearer error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ==""#;
    tenant.mount("/v1.0/users", move |_| ResponseTemplate::new(401).insert_header("WWW-Authenticate", demand)).await;
    let error = tenant.plain_reader().await.list::<Value>(&users()).await.unwrap_err();
    let line = error.to_string();
    assert!(line.contains("the token endpoint answers HTTP 502") && !line.contains("disabled"), "{line}");
}

#[tokio::test]
async fn a_401_replaces_an_ageing_token_once_and_a_fresh_one_never() {
    let tenant = Tenant::start().await;
    let first = json!({"tid": TENANT, "appid": "app", "oid": "sp", "idtyp": "app", "uti": "graph-1",
        "roles": ["User.ReadWrite.All"]});
    let first = format!("Bearer {}", token(&first));
    tenant
        .mount("/v1.0/users", move |request| {
            if header(request, "authorization") == first {
                return json_answer(401, &json!({"error": {"code": "InvalidAuthenticationToken"}}));
            }
            json_answer(200, &json!({"value": [1]}))
        })
        .await;
    let reader = tenant.plain_reader().await;
    let error = reader.list::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Denied);
    assert_eq!(tenant.token_requests().await, 1);

    tenant.clock.advance(Duration::from_mins(2));
    assert_eq!(reader.list::<Value>(&users()).await.unwrap().len(), 1);
    assert_eq!(tenant.token_requests().await, 2);
}

#[tokio::test]
async fn an_endpoint_without_tls_is_refused_before_anything_is_sent() {
    let tenant = Tenant::start().await;
    let mut options = tenant.options();
    options.endpoints.graph = "http://graph.example".parse().unwrap();
    let clock: Arc<dyn Clock> = tenant.clock.clone();
    let error = Session::open(options, clock).await.err().unwrap();
    assert_eq!(error.to_string(), "sign in: the endpoint graph.example is not https");
    assert_eq!(tenant.token_requests().await, 0);
}

#[tokio::test]
async fn options_show_no_secret() {
    let tenant = Tenant::start().await;
    assert!(!format!("{:?}", tenant.options()).contains(SECRET));
}

#[tokio::test]
async fn a_proxy_carries_what_is_not_on_this_machine_and_nothing_else() {
    let proxy = Raw::start(vec![Reply::Close("HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")]).await;
    let tenant = Tenant::start().await;
    tenant.mount("/v1.0/users", |_| json_answer(200, &json!({"value": []}))).await;
    let mut options = tenant.options();
    options.batch = false;
    options.proxy = Some(proxy.url.clone());
    let reader = tenant.open(options.clone()).await.reader();
    reader.list::<Value>(&users()).await.unwrap();
    assert!(proxy.seen().is_empty(), "{:?}", proxy.seen());

    options.endpoints.login = "https://login.sunnyside08.example".parse().unwrap();
    let clock: Arc<dyn Clock> = tenant.clock.clone();
    let error = Session::open(options, clock).await.err().unwrap();
    assert!(error.message.contains("no connection"), "{error}");
    assert!(proxy.seen()[0].1.starts_with("CONNECT login.sunnyside08.example:443 "), "{:?}", proxy.seen());
    assert!(proxy.seen().iter().all(|(_, text)| !text.contains(SECRET)));
}

#[tokio::test]
async fn the_platforms_authorities_can_be_trusted_instead() {
    let tenant = Tenant::start().await;
    let mut options = tenant.options();
    options.roots = crate::client::Roots::Platform;
    tenant.open(options).await;
}
