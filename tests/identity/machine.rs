//! Managed identities: five environments, and what a hostile or missing endpoint must not bring about.

use std::{fs, path::Path, sync::Arc};

use serde_json::json;
use staunch::{
    client::{Credential, ManagedIdentity, Surroundings, UserAssigned},
    model::Clock as _,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use super::support::{SignIn, access_token, refused};

fn identity(here: Surroundings, assigned: Option<UserAssigned>) -> Credential {
    Credential::ManagedIdentity(ManagedIdentity { assigned, surroundings: here })
}

/// An endpoint of the machine that gives a token.
async fn endpoint() -> MockServer {
    let server = MockServer::start().await;
    let expires = "2023-12-12T22:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second().to_string();
    let body = json!({"access_token": access_token("mi"), "expires_on": expires, "token_type": "Bearer"});
    Mock::given(matchers::any()).respond_with(ResponseTemplate::new(200).set_body_json(body)).mount(&server).await;
    server
}

async fn asked(server: &MockServer) -> Request {
    let all = server.received_requests().await.unwrap();
    all.last().unwrap().clone()
}

fn header<'r>(request: &'r Request, name: &str) -> Option<&'r str> {
    request.headers.get(name).map(|value| value.to_str().unwrap())
}

fn query(request: &Request) -> String {
    request.url.query().unwrap().to_owned()
}

const GRAPH: &str = "resource=https%3A%2F%2Fgraph.microsoft.com";

#[tokio::test]
async fn app_service_is_asked_with_its_header_and_expires_on_may_be_text() {
    let (login, server) = (SignIn::start().await, endpoint().await);
    let here = || {
        Surroundings::new([
            ("IDENTITY_ENDPOINT", format!("{}/msi/token", server.uri())),
            ("IDENTITY_HEADER", "canary-header".to_owned()),
            ("IMDS_ENDPOINT", "http://127.0.0.1:1".to_owned()),
            ("MSI_ENDPOINT", "http://127.0.0.1:1".to_owned()),
            ("MSI_SECRET", "old".to_owned()),
        ])
    };
    let session = login.open(login.options(identity(here(), None))).await.unwrap();
    assert_eq!(session.identity().token_id.as_deref(), Some("mi"));
    let request = asked(&server).await;
    assert_eq!((request.url.path(), query(&request)), ("/msi/token", format!("api-version=2019-08-01&{GRAPH}")));
    assert_eq!(header(&request, "x-identity-header"), Some("canary-header"));
    for (assigned, parameter) in [
        (UserAssigned::ClientId("c 1".to_owned()), "client_id=c+1"),
        (UserAssigned::ObjectId("o".to_owned()), "object_id=o"),
        (UserAssigned::ResourceId("/subscriptions/s".to_owned()), "mi_res_id=%2Fsubscriptions%2Fs"),
    ] {
        login.open(login.options(identity(here(), Some(assigned)))).await.unwrap();
        assert!(query(&asked(&server).await).ends_with(parameter));
    }
    assert!(login.asked("token").await.is_empty(), "Entra itself is not asked");
}

#[tokio::test]
async fn machine_learning_has_the_oldest_shape() {
    let (login, server) = (SignIn::start().await, endpoint().await);
    let here = || {
        Surroundings::new([("MSI_ENDPOINT", format!("{}/msi", server.uri())), ("MSI_SECRET", "canary-msi".to_owned())])
    };
    let assigned = Some(UserAssigned::ClientId("c".to_owned()));
    login.open(login.options(identity(here(), assigned))).await.unwrap();
    let request = asked(&server).await;
    assert_eq!(query(&request), format!("api-version=2017-09-01&{GRAPH}&clientid=c"));
    assert_eq!((header(&request, "secret"), header(&request, "metadata")), (Some("canary-msi"), None));
    let assigned = Some(UserAssigned::ObjectId("o".to_owned()));
    let error = refused(login.open(login.options(identity(here(), assigned))).await);
    assert!(error.message.contains("takes no such id"), "{error}");
}

#[tokio::test]
async fn a_virtual_machine_is_asked_again_while_its_endpoint_is_not_ready() {
    let (login, server) = (SignIn::start().await, MockServer::start().await);
    let body = json!({"access_token": access_token("vm"), "expires_in": "86399", "expires_on": "1"});
    for (at, answer) in [
        ResponseTemplate::new(410),
        ResponseTemplate::new(404),
        ResponseTemplate::new(429),
        ResponseTemplate::new(500),
        ResponseTemplate::new(200).set_body_json(body),
    ]
    .into_iter()
    .enumerate()
    {
        let priority = u8::try_from(at + 1).unwrap();
        let times = if at < 4 { 1 } else { 100 };
        Mock::given(matchers::path("/metadata/identity/oauth2/token"))
            .and(matchers::header("metadata", "true"))
            .respond_with(answer)
            .up_to_n_times(times)
            .with_priority(priority)
            .mount(&server)
            .await;
    }
    let here = Surroundings::new([("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.uri())]);
    let assigned = Some(UserAssigned::ResourceId("/r".to_owned()));
    login.open(login.options(identity(here, assigned))).await.unwrap();
    assert_eq!(server.received_requests().await.unwrap().len(), 5);
    assert!(query(&asked(&server).await).starts_with("api-version=2018-02-01&"));
    assert!(query(&asked(&server).await).ends_with("msi_res_id=%2Fr"));
    let waited = login.clock.monotonic().as_secs();
    assert_eq!(waited, 10 + 4 + 8 + 16);
}

#[tokio::test]
async fn a_refusal_of_a_virtual_machine_is_final_and_told() {
    let (login, server) = (SignIn::start().await, MockServer::start().await);
    let body = json!({"error": "invalid_request", "error_description": "Identity not found\u{1b}[2J"});
    Mock::given(matchers::any())
        .respond_with(ResponseTemplate::new(400).set_body_json(body))
        .expect(1)
        .mount(&server)
        .await;
    let here = Surroundings::new([("AZURE_POD_IDENTITY_AUTHORITY_HOST", server.uri())]);
    let error = refused(login.open(login.options(identity(here, None))).await);
    assert!(error.message.ends_with(r#"gave no token: HTTP 400 "Identity not found\u{1b}[2J""#), "{error}");
}

/// An agent of Azure Arc that challenges with this file name.
async fn arc(realm: String) -> MockServer {
    let server = MockServer::start().await;
    let challenge =
        ResponseTemplate::new(401).insert_header("WWW-Authenticate", format!("Basic realm={realm}").as_str());
    let body = json!({"access_token": access_token("arc"), "expires_in": 3600});
    Mock::given(matchers::header("authorization", "Basic canary-key"))
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .with_priority(1)
        .mount(&server)
        .await;
    Mock::given(matchers::any()).respond_with(challenge).mount(&server).await;
    server
}

fn arc_surroundings(server: &MockServer, folder: &Path) -> Surroundings {
    Surroundings::new([
        ("IDENTITY_ENDPOINT", format!("{}/metadata/identity/oauth2/token", server.uri())),
        ("IMDS_ENDPOINT", server.uri()),
    ])
    .with_arc_tokens(folder.to_owned())
}

#[tokio::test]
async fn arcs_challenge_is_answered_with_the_file_of_its_own_folder() {
    let login = SignIn::start().await;
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.key"), "canary-key").unwrap();
    let server = arc(folder.path().join("a.key").display().to_string()).await;
    let session = login.open(login.options(identity(arc_surroundings(&server, folder.path()), None))).await.unwrap();
    assert_eq!(session.identity().token_id.as_deref(), Some("arc"));
    assert!(query(&asked(&server).await).starts_with("api-version=2020-06-01"));
}

#[tokio::test]
async fn arc_cannot_make_us_read_and_send_another_file() {
    let login = SignIn::start().await;
    let folder = tempfile::tempdir().unwrap();
    let tokens = folder.path().join("tokens");
    fs::create_dir(&tokens).unwrap();
    fs::write(folder.path().join("secret.key"), "canary-key").unwrap();
    fs::write(tokens.join("big.key"), "canary-key".repeat(500)).unwrap();
    for realm in [
        folder.path().join("secret.key").display().to_string(),
        format!("{}/../secret.key", tokens.display()),
        tokens.join("big.key").display().to_string(),
    ] {
        let server = arc(realm.clone()).await;
        let error = refused(login.open(login.options(identity(arc_surroundings(&server, &tokens), None))).await);
        assert!(error.message.contains("Azure Arc gave no token"), "{error}");
        let requests = server.received_requests().await.unwrap();
        assert_eq!(requests.len(), 1, "{realm}");
        assert_eq!(header(&requests[0], "authorization"), None);
    }
}

#[tokio::test]
async fn a_secret_header_never_goes_to_another_machine_in_the_clear() {
    let login = SignIn::start().await;
    for endpoint in ["http://collector.example/msi", "http://10.0.0.1/msi", "http://127.0.0.1@collector.example/", "x"]
    {
        let here = Surroundings::new([
            ("IDENTITY_ENDPOINT", endpoint.to_owned()),
            ("IDENTITY_HEADER", "canary-header".to_owned()),
        ]);
        let error = refused(login.open(login.options(identity(here, None))).await);
        assert!(error.message.contains("identity endpoint"), "{error}");
        assert!(!error.message.contains("canary"), "{error}");
    }
}

/// A TLS server of Service Fabric, with a certificate of its own, and its thumbprint.
async fn service_fabric() -> (String, String, Arc<std::sync::Mutex<String>>) {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["fabric.example".to_owned()]).unwrap().self_signed(&key).unwrap();
    let print = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, cert.der());
    let print = print.as_ref().iter().map(|byte| format!("{byte:02X}")).collect();
    let private = rustls::pki_types::PrivatePkcs8KeyDer::from(key.serialize_der());
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![cert.der().clone()], private.into())
        .unwrap();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("https://{}/token", listener.local_addr().unwrap());
    let seen: Arc<std::sync::Mutex<String>> = Arc::default();
    let log = seen.clone();
    drop(tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let mut bytes = vec![0; 4096];
            let read = stream.read(&mut bytes).await.unwrap();
            *log.lock().unwrap() = String::from_utf8_lossy(&bytes[..read]).into_owned();
            let body =
                json!({"access_token": access_token("sf"), "expires_on": 1_702_396_800, "resource": "x"}).to_string();
            let answer =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
            stream.write_all(answer.as_bytes()).await.unwrap();
            stream.shutdown().await.unwrap();
        }
    }));
    (address, print, seen)
}

#[tokio::test]
async fn service_fabric_must_show_the_certificate_that_is_pinned() {
    let login = SignIn::start().await;
    let (address, print, seen) = service_fabric().await;
    let here = |print: &str| {
        Surroundings::new([
            ("IDENTITY_ENDPOINT", address.clone()),
            ("IDENTITY_HEADER", "canary-header".to_owned()),
            ("IDENTITY_SERVER_THUMBPRINT", print.to_owned()),
        ])
    };
    let other = "00".repeat(20);
    let error = refused(login.open(login.options(identity(here(&other), None))).await);
    assert!(error.message.contains("Service Fabric gave no token"), "{error}");
    assert_eq!(*seen.lock().unwrap(), "", "nothing was sent to another");
    let error = refused(login.open(login.options(identity(here("short"), None))).await);
    assert!(error.message.contains("THUMBPRINT"), "{error}");

    let session = login.open(login.options(identity(here(&print), None))).await.unwrap();
    assert_eq!(session.identity().token_id.as_deref(), Some("sf"));
    let request = seen.lock().unwrap().to_lowercase();
    assert!(
        request.starts_with(&format!("get /token?api-version=2019-07-01-preview&{}", GRAPH.to_lowercase())),
        "{request}"
    );
    assert!(request.contains("secret: canary-header"), "{request}");
}
