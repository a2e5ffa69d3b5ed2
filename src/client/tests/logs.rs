//! What the log says, and what it must never say.

use std::{
    io,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};
use tracing_subscriber::fmt::MakeWriter;
use wiremock::ResponseTemplate;

use super::servers::{SECRET, TENANT, Tenant, json_answer};
use crate::{
    client::{Attendant, Credential, Federated, FederatedFrom, ManagedIdentity, Secrets, Surroundings, UserCode},
    model::{Call, GraphPath, Password, Replay, Verb},
};

#[derive(Clone, Default)]
struct Buffer(Arc<Mutex<Vec<u8>>>);

impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Buffer {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[tokio::test]
async fn the_log_names_requests_and_holds_no_secret_token_query_or_body() {
    let buffer = Buffer::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(buffer.clone())
        .finish();
    // With a single subscriber, tracing lets whichever thread logs first decide for all; other tests have none.
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::callsite::rebuild_interest_cache();

    let tenant = Tenant::start().await;
    tenant
        .mount("/v1.0/users/u1", |request| {
            if request.method == "PATCH" {
                return ResponseTemplate::new(204).insert_header("request-id", "r-77");
            }
            json_answer(200, &json!({"displayName": "canary-body"}))
        })
        .await;
    let session = tenant.plain().await;
    let path = GraphPath::v1().fixed("users").id("u1");
    let query = path.clone().query("$filter", "canary-query");
    session.reader().get::<Value>(&query).await.unwrap();
    let password = Password::generate();
    let text = password.expose().to_owned();
    let body = json!({"password": Call::secret("password")});
    let call = Call::graph(Verb::Patch, path, Some(body), Replay::Set);
    let secrets = Secrets::from([("password".to_owned(), password)]);
    session.sender().send(&call, &secrets, "id-1").await;
    drop(guard);

    let log = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    for shown in ["PATCH", "/v1.0/users/u1", "204", "id-1", "r-77"] {
        assert!(log.contains(shown), "{shown} is missing in {log}");
    }
    let bearer = tenant.requests().await[0].headers["authorization"].to_str().unwrap().to_owned();
    let token = bearer.strip_prefix("Bearer ").unwrap();
    for hidden in [SECRET, token, text.as_str(), "canary-body", "canary-query"] {
        assert!(!log.contains(hidden), "{hidden} stands in {log}");
    }
}

/// Nobody to talk to.
#[derive(Debug)]
struct Nobody;

impl Attendant for Nobody {
    fn browse(&self, _address: &url::Url) {}
    fn enter_code(&self, _code: &UserCode) {}
}

#[tokio::test]
async fn no_way_of_signing_in_leaves_its_secrets_in_the_log() {
    let buffer = Buffer::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(buffer.clone())
        .finish();
    let _second = tracing::Dispatch::new(tracing_subscriber::registry());
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::callsite::rebuild_interest_cache();

    let tenant = Tenant::bare().await;
    let claims = json!({"tid": TENANT, "appid": "app", "idtyp": "app"});
    let access = super::servers::token(&claims);
    let answer =
        json!({"token_type": "Bearer", "expires_in": 3600, "access_token": access, "refresh_token": "canary-refresh"});
    tenant.mount_login(move |_| json_answer(200, &answer)).await;
    let offer = json!({"device_code": "canary-device", "user_code": "CANARY-USER", "expires_in": 60,
        "verification_uri": "https://sunnyside08.example/device"});
    tenant.mount(&format!("/{TENANT}/oauth2/v2.0/devicecode"), move |_| json_answer(200, &offer)).await;
    let machine = json!({"access_token": super::servers::token(&claims), "expires_in": 3600});
    tenant.mount("/msi", move |_| json_answer(200, &machine)).await;
    let folder = tempfile::tempdir().unwrap();
    let assertion = super::servers::token(&json!({"sub": "canary-assertion"}));
    std::fs::write(folder.path().join("token"), &assertion).unwrap();
    let here = Surroundings::new([
        ("IDENTITY_ENDPOINT", format!("{}/msi", tenant.server.uri())),
        ("IDENTITY_HEADER", "canary-identity-header".to_owned()),
    ]);
    for credential in [
        Credential::DeviceCode(Arc::new(Nobody)),
        Credential::Federated(Federated { from: FederatedFrom::File(folder.path().join("token")), audience: None }),
        Credential::ManagedIdentity(ManagedIdentity { assigned: None, surroundings: here }),
    ] {
        let mut options = tenant.options();
        options.credential = credential;
        assert!(!format!("{options:?}").to_lowercase().contains("canary"), "{options:?}");
        tenant.open(options).await;
    }
    drop(guard);

    let log = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
    assert!(log.contains("token request"), "{log}");
    for hidden in ["canary", "CANARY", assertion.as_str(), super::servers::token(&claims).as_str()] {
        assert!(!log.contains(hidden), "{hidden} stands in {log}");
    }
}
