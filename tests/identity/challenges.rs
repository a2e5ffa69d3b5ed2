//! Continuous access evaluation: what is declared, and a challenge that is met once.

use std::sync::atomic::{AtomicUsize, Ordering};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::future::join_all;
use serde_json::{Value, json};
use staunch::{
    client::{Credential, ReadErrorKind},
    model::GraphPath,
};
use wiremock::{Mock, Request, ResponseTemplate, matchers};

use super::support::{Fields, SignIn, access_token, granted, refusal};

const DEMAND: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1702393200"}}}"#;

fn users() -> GraphPath {
    GraphPath::v1().fixed("users")
}

/// An answer that demands a fresh token, among other challenges.
fn challenge(status: u16) -> ResponseTemplate {
    let claims = BASE64_STANDARD.encode(DEMAND);
    ResponseTemplate::new(status)
        .append_header("WWW-Authenticate", "Basic realm=\"x\"")
        .append_header(
            "WWW-Authenticate",
            format!(
                r#"Bearer claims="{claims}", authorization_uri="https://a.example/?a,b", error="insufficient_claims""#
            )
            .as_str(),
        )
        .set_body_json(
            json!({"error": {"code": "InvalidAuthenticationToken", "message": "Continuous access evaluation"}}),
        )
}

/// Grants tokens with ids that count up; from the given one on, refuses.
async fn grants(login: &SignIn, refuse_from: usize) {
    let count = AtomicUsize::new(0);
    login
        .on("token", move |_| match count.fetch_add(1, Ordering::SeqCst) {
            number if number < refuse_from => granted(&json!({"access_token": access_token(&format!("t{number}"))})),
            _ => refusal("unauthorized_client", 7000112),
        })
        .await;
}

/// Challenges every request whose token is older than `good`.
async fn challenges(login: &SignIn, status: u16, good: &str) {
    let good = format!("Bearer {}", access_token(good));
    Mock::given(matchers::path("/v1.0/users"))
        .respond_with(move |request: &Request| {
            if request.headers["authorization"].to_str().unwrap() == good {
                return ResponseTemplate::new(200).set_body_json(json!({"value": [1]}));
            }
            challenge(status)
        })
        .mount(&login.server)
        .await;
}

fn secret() -> Credential {
    Credential::Secret("canary-secret".into())
}

fn claims(form: &Fields) -> Value {
    serde_json::from_str(&form["claims"]).unwrap()
}

#[tokio::test]
async fn cp1_is_declared_with_every_token_unless_the_profile_says_no() {
    let login = SignIn::start().await;
    login.grants().await;
    login.open(login.options(secret())).await.unwrap();
    let mut options = login.options(secret());
    options.cae = false;
    login.open(options).await.unwrap();
    let forms = login.asked("token").await;
    assert_eq!(claims(&forms[0]), json!({"access_token": {"xms_cc": {"values": ["cp1"]}}}));
    assert!(!forms[1].contains_key("claims"));
}

#[tokio::test]
async fn a_challenge_is_met_by_one_fresh_token_with_what_it_demands() {
    for status in [401, 403] {
        let login = SignIn::start().await;
        grants(&login, 9).await;
        challenges(&login, status, "t1").await;
        let reader = login.open(login.options(secret())).await.unwrap().reader();
        let path = users();
        for read in join_all((0..5).map(|_| reader.list::<Value>(&path))).await {
            assert_eq!(read.unwrap(), [json!(1)]);
        }
        let forms = login.asked("token").await;
        assert_eq!(forms.len(), 2, "one fresh token for all five");
        let demanded = claims(&forms[1]);
        assert_eq!(demanded["access_token"]["nbf"]["value"], "1702393200");
        assert_eq!(demanded["access_token"]["xms_cc"]["values"], json!(["cp1"]));
    }
}

#[tokio::test]
async fn a_fresh_token_that_is_not_enough_ends_it() {
    let login = SignIn::start().await;
    grants(&login, 9).await;
    challenges(&login, 401, "never").await;
    let reader = login.open(login.options(secret())).await.unwrap().reader();
    let error = reader.list::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::Denied);
    assert!(error.message.raw().contains("our service principal was disabled or flagged"), "{error}");
    assert_eq!(login.asked("token").await.len(), 2);
}

#[tokio::test]
async fn no_fresh_token_means_that_we_were_disabled_or_flagged() {
    let login = SignIn::start().await;
    grants(&login, 1).await;
    challenges(&login, 401, "never").await;
    let reader = login.open(login.options(secret())).await.unwrap().reader();
    let error = reader.list::<Value>(&users()).await.unwrap_err();
    assert_eq!(error.kind, ReadErrorKind::SignIn);
    let words = error.message.raw();
    assert!(words.contains("our service principal was disabled or flagged: AADSTS7000112"), "{words}");
}

#[tokio::test]
async fn a_challenge_inside_a_batch_is_met_outside_of_it() {
    let login = SignIn::start().await;
    grants(&login, 9).await;
    let claims = BASE64_STANDARD.encode(DEMAND);
    let header = format!(r#"Bearer error="insufficient_claims", claims="{claims}""#);
    let part = |id: &str| json!({"id": id, "status": 401, "headers": {"WWW-Authenticate": header}, "body": {"error": {"code": "x"}}});
    let body = json!({"responses": [part("1"), part("2")]});
    Mock::given(matchers::path("/v1.0/$batch"))
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .mount(&login.server)
        .await;
    challenges(&login, 401, "t1").await;
    let mut options = login.options(secret());
    options.batch = true;
    let reader = login.open(options).await.unwrap().reader();
    let path = users();
    for read in join_all([reader.list::<Value>(&path), reader.list::<Value>(&path)]).await {
        assert_eq!(read.unwrap(), [json!(1)]);
    }
    assert_eq!(login.asked("token").await.len(), 2);
}
