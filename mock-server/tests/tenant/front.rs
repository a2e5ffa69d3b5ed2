//! The two front ends: the same answers over a wire, and what only a wire can do.

use mock_server::faults::{Effect, Fault, Match};
use mock_server::{Server, mock_server};
use serde_json::Value;

use crate::support::{aitm, token};

async fn organization(base: &str, token: &str) -> reqwest::Result<Value> {
    let request = reqwest::Client::new().get(format!("{base}/v1.0/organization")).bearer_auth(token);
    request.send().await?.json().await
}

#[tokio::test]
async fn both_front_ends_give_the_same_answer() {
    let tenant = aitm();
    let token = token(&tenant, "https://graph.microsoft.com/.default");
    let wiremock = mock_server(tenant.clone()).await;
    let hyper = Server::start(tenant.clone()).await;
    let mut first = organization(&wiremock.uri(), &token).await.unwrap();
    let mut second = organization(&hyper.uri(), &token).await.unwrap();
    assert!(second["@odata.context"].as_str().unwrap().starts_with(&hyper.uri()));
    for body in [&mut first, &mut second] {
        body.as_object_mut().unwrap().remove("@odata.context");
    }
    assert_eq!(first, second);
    assert_eq!(tenant.requests().len(), 3);
    assert!(wiremock.received_requests().await.is_none());
}

#[tokio::test]
async fn a_dropped_request_is_a_broken_connection() {
    let tenant = aitm();
    let token = token(&tenant, "https://graph.microsoft.com/.default");
    let server = Server::start(tenant.clone()).await;
    tenant.faults().add(Fault::once(Match::path("/organization"), Effect::Drop { applied: true }));
    let error = organization(&server.uri(), &token).await.unwrap_err();
    assert!(error.is_request(), "{error:?}");
    assert!(organization(&server.uri(), &token).await.is_ok());
}

#[tokio::test]
async fn a_server_stops_when_it_is_dropped() {
    let tenant = aitm();
    let server = Server::start(tenant.clone()).await;
    let uri = server.uri();
    let address = server.address();
    drop(server);
    // The port is free again once the task is gone.
    let again = loop {
        match Server::start_on(tenant.clone(), address).await {
            Ok(server) => break server,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(again.uri(), uri);
}

#[tokio::test]
async fn a_body_can_break_off_in_the_middle() {
    let tenant = aitm();
    let token = token(&tenant, "https://graph.microsoft.com/.default");
    let server = Server::start(tenant.clone()).await;
    tenant.faults().add(Fault::once(Match::path("/organization"), Effect::DropMidBody));
    let client = reqwest::Client::new();
    let get = || client.get(format!("{}/v1.0/organization", server.uri())).bearer_auth(&token).send();
    let response = get().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(response.bytes().await.is_err());
    tenant.faults().add(Fault::once(Match::path("/organization"), Effect::Slow(1)));
    let slow = get().await.unwrap().bytes().await.unwrap();
    let whole = get().await.unwrap().bytes().await.unwrap();
    assert_eq!(slow, whole);
}

#[tokio::test]
async fn an_answer_can_break_off_in_its_status_line_before_or_after_it_took_effect() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let tenant = aitm();
    let token = token(&tenant, "https://graph.microsoft.com/.default");
    let server = Server::start(tenant.clone()).await;
    let victim = tenant.inspect(|state| state.user("johanna@sunnyside08.example").unwrap().id.clone());
    for applied in [false, true] {
        tenant.faults().add(Fault::once(Match::path("/users/"), Effect::DropMidHead { applied }));
        let mut stream = tokio::net::TcpStream::connect(server.address()).await.unwrap();
        let body = r#"{"accountEnabled":false}"#;
        let request = format!(
            "PATCH /v1.0/users/{victim} HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\
             content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            server.address(),
            body.len(),
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut came = String::new();
        stream.read_to_string(&mut came).await.unwrap();
        assert_eq!(came, "HTTP/1.1 "[..came.len()]);
        assert!(!came.is_empty());
        let enabled = tenant.inspect(|state| state.user("johanna@sunnyside08.example").unwrap().account_enabled);
        assert_eq!(enabled, !applied);
    }
}

#[tokio::test]
async fn a_place_at_a_mailbox_is_free_when_the_answer_was_sent() {
    let tenant = aitm();
    let token = token(&tenant, "https://graph.microsoft.com/.default");
    let server = Server::start(tenant.clone()).await;
    tenant.set(|settings| settings.throttling_percent = Some(100));
    // The bodies of the first four never end while anybody waits for them.
    tenant.faults().add(Fault::nth(Match::path("/messageRules"), 0, 4, Effect::Slow(600_000)));
    let client = reqwest::Client::new();
    let url = format!("{}/v1.0/users/johanna@sunnyside08.example/mailFolders/inbox/messageRules", server.uri());
    let get = async || client.get(&url).bearer_auth(&token).send().await.unwrap();
    let mut under_way = Vec::new();
    for _ in 0..4 {
        under_way.push(get().await);
    }
    assert!(under_way.iter().all(|response| response.status() == 200));
    let refused = get().await;
    assert_eq!((refused.status().as_u16(), refused.headers()["retry-after"].to_str().unwrap()), (429, "1"));
    assert_eq!(refused.json::<Value>().await.unwrap()["error"]["code"], "ApplicationThrottled");
    drop(under_way);
    // The server hears of the closed connections in its own time.
    while get().await.status() != 200 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_control_api_answers_on_loopback_and_to_no_browser() {
    let tenant = aitm();
    let server = Server::start(tenant.clone()).await;
    let client = reqwest::Client::new();
    let url = |action: &str| format!("{}/_tenant{action}", server.uri());
    let get = async |action: &str| client.get(url(action)).send().await.unwrap().json::<Value>().await.unwrap();
    assert_eq!(get("").await["incident"]["victims"][0], "johanna@sunnyside08.example");
    let step = client.post(url("/clock")).json(&serde_json::json!({"advance_seconds": 900})).send().await.unwrap();
    assert_eq!(step.json::<Value>().await.unwrap()["now"], "2023-12-12T15:15:00Z");
    let fault = serde_json::json!({"on": {"path": "/organization"}, "times": "always", "effect": {"delay": 1}});
    assert_eq!(client.post(url("/faults")).json(&fault).send().await.unwrap().status(), 204);
    assert_eq!(get("/faults").await.as_array().unwrap().len(), 1);
    let unknown = serde_json::json!({"on": {"paths": "x"}, "times": "always", "effect": {"delay": 1}});
    assert_eq!(client.post(url("/faults")).json(&unknown).send().await.unwrap().status(), 400);
    assert_eq!(get("/diff").await, serde_json::json!([]));
    let browser = client.get(url("/state")).header("origin", "https://collector.example").send().await.unwrap();
    assert_eq!(browser.status(), 403);
    let rebound = client.get(url("/state")).header("host", "collector.example").send().await.unwrap();
    assert_eq!(rebound.status(), 403);
    assert!(tenant.requests().is_empty(), "control requests are not the client's");
}

#[tokio::test]
async fn a_server_for_everybody_has_no_control_api() {
    let tenant = aitm();
    let everybody = std::net::SocketAddr::from(([0, 0, 0, 0], 0));
    let server = Server::start_on(tenant, everybody).await.unwrap();
    let url = format!("http://127.0.0.1:{}/_tenant/state", server.address().port());
    assert_eq!(reqwest::get(url).await.unwrap().status(), 403);
}

#[cfg(feature = "tls")]
#[tokio::test]
async fn a_server_with_tls_has_a_certificate_to_trust_and_links_of_its_scheme() {
    let tenant = aitm();
    let token = token(&tenant, "https://graph.microsoft.com/.default");
    let server = Server::start_tls(tenant).await.unwrap();
    assert!(server.uri().starts_with("https://127.0.0.1:"));
    let stranger = organization(&server.uri(), &token).await.unwrap_err();
    assert!(stranger.is_connect(), "{stranger:?}");
    let certificate = reqwest::Certificate::from_der(server.certificate().unwrap()).unwrap();
    let client = reqwest::Client::builder().tls_certs_only([certificate]).build().unwrap();
    let answer = client.get(format!("{}/v1.0/users?$top=2", server.uri())).bearer_auth(&token).send().await.unwrap();
    let link = answer.json::<Value>().await.unwrap()["@odata.nextLink"].as_str().unwrap().to_owned();
    assert!(link.starts_with(&server.uri()), "{link}");
}
