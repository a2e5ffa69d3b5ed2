//! Client assertions: signed with our certificate, or issued elsewhere.

use std::{fs, time::Duration};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};
use staunch::{
    client::{Certificate, CertificateError, Credential, Federated, FederatedFrom, Surroundings},
    model::{Cloud, GraphPath},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

use super::support::{CLIENT, Fields, SignIn, elliptic, granted, jwt, other, ours, refusal, refused};

fn certificate() -> Certificate {
    let pair = ours();
    Certificate::from_pem(format!("{}{}", pair.key_pem, pair.cert_pem).as_bytes()).unwrap()
}

/// Header and claims of an assertion whose signature is checked.
fn verified(form: &Fields, algorithm: Algorithm) -> (jsonwebtoken::Header, Value) {
    assert_eq!(form["client_assertion_type"], "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
    let mut validation = Validation::new(algorithm);
    validation.validate_aud = false;
    validation.validate_exp = false;
    let key = DecodingKey::from_rsa_pem(ours().public_pem.as_bytes()).unwrap();
    let decoded = jsonwebtoken::decode::<Value>(&form["client_assertion"], &key, &validation).unwrap();
    (decoded.header, decoded.claims)
}

#[tokio::test]
async fn a_certificate_signs_ps256_for_the_token_endpoint_and_names_itself() {
    let login = SignIn::start().await;
    login.grants().await;
    login.open(login.options(Credential::Certificate(Box::new(certificate())))).await.unwrap();
    let form = &login.asked("token").await[0];
    assert_eq!(form["grant_type"], "client_credentials");
    assert_eq!(form["client_id"], CLIENT);
    assert_eq!(form["scope"], "https://graph.microsoft.com/.default");
    assert!(!form.contains_key("client_secret"));
    let (header, claims) = verified(form, Algorithm::PS256);
    let sha256 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &ours().cert_der);
    assert_eq!(header.x5t_s256.unwrap(), BASE64_URL_SAFE_NO_PAD.encode(sha256));
    assert_eq!((header.typ.as_deref(), header.x5t), (Some("JWT"), None));
    assert_eq!(claims["aud"], login.token_endpoint());
    assert_eq!((&claims["iss"], &claims["sub"]), (&json!(CLIENT), &json!(CLIENT)));
    let at = "2023-12-12T14:00:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
    assert_eq!((&claims["nbf"], &claims["exp"]), (&json!(at), &json!(at + 600)));
}

#[tokio::test]
async fn rs256_is_an_option_and_names_the_sha_1_thumbprint() {
    let login = SignIn::start().await;
    login.grants().await;
    login.open(login.options(Credential::Certificate(Box::new(certificate().rs256())))).await.unwrap();
    let (header, _) = verified(&login.asked("token").await[0], Algorithm::RS256);
    let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &ours().cert_der);
    assert_eq!((header.x5t.unwrap(), header.x5t_s256), (BASE64_URL_SAFE_NO_PAD.encode(sha1), None));
}

#[tokio::test]
async fn every_token_has_an_assertion_of_its_own() {
    let login = SignIn::start().await;
    login.grants().await;
    Mock::given(matchers::path("/v1.0/users"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"value": []})))
        .mount(&login.server)
        .await;
    let session = login.open(login.options(Credential::Certificate(Box::new(certificate())))).await.unwrap();
    login.clock.advance(Duration::from_mins(59));
    session.reader().list::<Value>(&GraphPath::v1().fixed("users")).await.unwrap();
    let ids: Vec<Value> =
        login.asked("token").await.iter().map(|form| verified(form, Algorithm::PS256).1["jti"].clone()).collect();
    assert_eq!(ids.len(), 2);
    assert_ne!(ids[0], ids[1]);
}

#[tokio::test]
async fn a_wrong_clock_is_put_right_by_the_date_of_the_refusal() {
    let login = SignIn::start().await;
    login
        .on("token", |form| {
            let claims = form["client_assertion"].split('.').nth(1).unwrap().to_owned();
            let claims: Value = serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
            let right = "2023-12-12T17:30:00Z".parse::<jiff::Timestamp>().unwrap().as_second();
            if claims["exp"].as_i64().unwrap() < right {
                return refusal("invalid_client", 700024).insert_header("date", "Tue, 12 Dec 2023 17:30:00 GMT");
            }
            granted(&json!({}))
        })
        .await;
    login.open(login.options(Credential::Certificate(Box::new(certificate())))).await.unwrap();
    assert_eq!(login.asked("token").await.len(), 2);
}

#[tokio::test]
async fn a_certificate_that_the_application_does_not_have_gives_one_clear_line() {
    let login = SignIn::start().await;
    login.on("token", |_| refusal("invalid_client", 700027)).await;
    let error = refused(login.open(login.options(Credential::Certificate(Box::new(certificate())))).await);
    assert_eq!(error.codes, [700027]);
    assert!(error.message.contains("upload this certificate to this very application"), "{error}");
    assert!(error.message.contains("correlation id 0d1c8b0f"), "{error}");
    assert_eq!(login.asked("token").await.len(), 1);
}

#[test]
fn key_and_certificate_are_found_in_any_order_and_must_belong_together() {
    let (ours, other) = (ours(), other());
    let read = |parts: &[&str]| Certificate::from_pem(parts.concat().as_bytes()).map(|it| format!("{it:?}"));
    let alone = read(&[&ours.cert_pem, &ours.key_pem]).unwrap();
    assert_eq!(read(&[&other.cert_pem, &ours.key_pem, &ours.cert_pem]), Ok(alone.clone()), "with its chain");
    assert!(!alone.contains("key:"), "{alone}");
    assert_eq!(read(&[&other.cert_pem, &ours.key_pem]), Err(CertificateError::Mismatch));
    assert_eq!(read(&[&ours.key_pem]), Err(CertificateError::NoCertificate));
    assert_eq!(read(&[&ours.cert_pem]), Err(CertificateError::NoKey));
    assert_eq!(read(&["nonsense"]), Err(CertificateError::NoKey));
    let locked = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    assert_eq!(read(&[&ours.cert_pem, locked]), Err(CertificateError::Encrypted));
    let elliptic = elliptic();
    assert_eq!(read(&[&elliptic.cert_pem, &elliptic.key_pem]), Err(CertificateError::NotRsa));
}

#[cfg(feature = "pkcs12")]
#[test]
fn a_pkcs_12_file_opens_with_its_passphrase_only() {
    use p12_keystore::{KeyStore, KeyStoreEntry, PrivateKey, PrivateKeyChain};

    let pair = ours();
    let chain = PrivateKeyChain::new(
        [1_u8].as_slice(),
        PrivateKey::from_der(&pair.key_der).unwrap(),
        [p12_keystore::Certificate::from_der(&pair.cert_der).unwrap()],
    );
    let mut store = KeyStore::new();
    store.add_entry("ir", KeyStoreEntry::PrivateKeyChain(chain));
    let bytes = store.writer("canary-pass").write().unwrap();
    let opened = Certificate::from_pkcs12(&bytes, &"canary-pass".into()).unwrap();
    assert_eq!(format!("{opened:?}"), format!("{:?}", certificate()));
    let wrong = Certificate::from_pkcs12(&bytes, &"other".into()).unwrap_err();
    assert_eq!(wrong, CertificateError::Pkcs12("the passphrase is wrong".to_owned()));
    assert!(matches!(Certificate::from_pkcs12(b"nonsense", &"".into()), Err(CertificateError::Pkcs12(_))));
}

fn from_file(path: &std::path::Path) -> Credential {
    Credential::Federated(Federated { from: FederatedFrom::File(path.to_owned()), audience: None })
}

#[tokio::test]
async fn a_token_file_is_read_again_for_every_token() {
    let login = SignIn::start().await;
    login.grants().await;
    Mock::given(matchers::path("/v1.0/users"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"value": []})))
        .mount(&login.server)
        .await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let (first, second) = (jwt(&json!({"sub": "first"})), jwt(&json!({"sub": "second"})));
    fs::write(&path, format!("{first}\n")).unwrap();
    let session = login.open(login.options(from_file(&path))).await.unwrap();
    fs::write(&path, &second).unwrap();
    login.clock.advance(Duration::from_mins(59));
    session.reader().list::<Value>(&GraphPath::v1().fixed("users")).await.unwrap();
    let sent: Vec<String> = login.asked("token").await.iter().map(|form| form["client_assertion"].clone()).collect();
    assert_eq!(sent, [first, second]);
}

#[tokio::test]
async fn a_token_file_that_cannot_serve_is_named_before_anything_is_sent() {
    let login = SignIn::start().await;
    login.grants().await;
    let folder = tempfile::tempdir().unwrap();
    let at = |text: &str| text.parse::<jiff::Timestamp>().unwrap().as_second();
    for (content, says) in [
        (Some("not a token".to_owned()), "is not a JWT"),
        (Some(jwt(&json!({"exp": at("2023-12-12T13:00:00Z")}))), "ended at 2023-12-12T13:00:00Z"),
        (Some("x".repeat(70_000)), "too large"),
        (None, "token file"),
    ] {
        let path = folder.path().join("token");
        match &content {
            Some(text) => fs::write(&path, text).unwrap(),
            None => fs::remove_file(&path).unwrap(),
        }
        let error = refused(login.open(login.options(from_file(&path))).await);
        assert!(error.message.contains(says), "{error}");
    }
    assert!(login.asked("token").await.is_empty());
}

#[tokio::test]
async fn github_is_asked_for_a_token_of_the_clouds_audience() {
    let login = SignIn::start().await;
    login.grants().await;
    let github = MockServer::start().await;
    let token = jwt(&json!({"iss": "https://token.actions.githubusercontent.example"}));
    let answer = ResponseTemplate::new(200).set_body_json(json!({"count": 1, "value": token}));
    Mock::given(matchers::path("/token"))
        .and(matchers::query_param("api-version", "2.0"))
        .and(matchers::query_param("audience", "api://AzureADTokenExchangeUSGov"))
        .and(matchers::header("authorization", "Bearer canary-request-token"))
        .respond_with(answer)
        .expect(1)
        .mount(&github)
        .await;
    Mock::given(matchers::any())
        .respond_with(ResponseTemplate::new(503))
        .up_to_n_times(1)
        .with_priority(1)
        .mount(&github)
        .await;
    let here = Surroundings::new([
        ("ACTIONS_ID_TOKEN_REQUEST_URL", format!("{}/token?api-version=2.0", github.uri())),
        ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary-request-token".to_owned()),
    ]);
    let federated = Federated { from: FederatedFrom::GitHub(here), audience: None };
    let mut options = login.options(Credential::Federated(federated));
    options.cloud = Cloud::GccHigh;
    login.open(options).await.unwrap();
    assert_eq!(login.asked("token").await[0]["client_assertion"], token);
}

#[tokio::test]
async fn outside_of_github_the_missing_permission_is_named() {
    let login = SignIn::start().await;
    let with = |url: Option<&str>| {
        let url = url.map(|url| ("ACTIONS_ID_TOKEN_REQUEST_URL", url.to_owned()));
        let token = ("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "canary".to_owned());
        let here = Surroundings::new(url.into_iter().chain([token]));
        login.options(Credential::Federated(Federated { from: FederatedFrom::GitHub(here), audience: None }))
    };
    let error = refused(login.open(with(None)).await);
    assert!(error.message.contains("id-token: write"), "{error}");
    let error = refused(login.open(with(Some("http://ci.example/token"))).await);
    assert!(error.message.contains("not https"), "{error}");
}
