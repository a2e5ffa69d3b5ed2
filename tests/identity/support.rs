//! A sign-in service that records what it is asked, and certificates made for these tests.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use staunch::{
    client::{Credential, Endpoints, Session, SessionOptions, SignInError},
    model::{Clock, Cloud, ManualClock},
};
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

pub(crate) const TENANT: &str = "5a11a000-0000-4000-8000-00000000c0de";
pub(crate) const CLIENT: &str = "c11e0000-0000-4000-8000-00000000c0de";

/// The fields of a form, or of a query.
pub(crate) type Fields = BTreeMap<String, String>;

pub(crate) struct SignIn {
    pub(crate) server: MockServer,
    pub(crate) clock: Arc<ManualClock>,
}

impl SignIn {
    pub(crate) async fn start() -> Self {
        let server = MockServer::start().await;
        Self { server, clock: ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap()) }
    }

    /// Answers `POST /{tenant}/oauth2/v2.0/{endpoint}`.
    pub(crate) async fn on(
        &self,
        endpoint: &str,
        answer: impl Fn(&Fields) -> ResponseTemplate + Send + Sync + 'static,
    ) {
        Mock::given(matchers::method("POST"))
            .and(matchers::path(format!("/{TENANT}/oauth2/v2.0/{endpoint}")))
            .respond_with(move |request: &Request| answer(&form(request)))
            .mount(&self.server)
            .await;
    }

    /// Answers every request for a token with one.
    pub(crate) async fn grants(&self) {
        self.on("token", |_| granted(&json!({}))).await;
    }

    pub(crate) fn options(&self, credential: Credential) -> SessionOptions {
        let base = self.server.uri().parse().unwrap();
        let mut options = SessionOptions::new(Cloud::Global, TENANT, CLIENT, credential).at(Endpoints::all_at(base));
        options.batch = false;
        options.seed = Some(1);
        options
    }

    pub(crate) async fn open(&self, options: SessionOptions) -> Result<Session, SignInError> {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Session::open(options, clock).await
    }

    /// The forms that reached this endpoint.
    pub(crate) async fn asked(&self, endpoint: &str) -> Vec<Fields> {
        let end = format!("/{endpoint}");
        let all = self.server.received_requests().await.unwrap();
        all.iter().filter(|request| request.url.path().ends_with(&end)).map(form).collect()
    }

    pub(crate) fn token_endpoint(&self) -> String {
        format!("{}/{TENANT}/oauth2/v2.0/token", self.server.uri())
    }
}

/// The session's error, which must be there.
pub(crate) fn refused(opened: Result<Session, SignInError>) -> SignInError {
    match opened {
        Ok(_) => panic!("signed in"),
        Err(error) => error,
    }
}

fn form(request: &Request) -> Fields {
    url::form_urlencoded::parse(&request.body).into_owned().collect()
}

/// An unsigned token.
pub(crate) fn jwt(claims: &Value) -> String {
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

pub(crate) fn access_token(id: &str) -> String {
    jwt(&json!({"tid": TENANT, "appid": CLIENT, "oid": "sp", "idtyp": "app", "uti": id}))
}

/// A token answer with more members.
pub(crate) fn granted(more: &Value) -> ResponseTemplate {
    let mut body = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": access_token("t")});
    for (name, value) in more.as_object().unwrap() {
        body[name] = value.clone();
    }
    ResponseTemplate::new(200).set_body_json(body)
}

pub(crate) fn refusal(error: &str, code: u32) -> ResponseTemplate {
    let id = "0d1c8b0f-0000-4000-8000-000000000002";
    ResponseTemplate::new(400).set_body_json(json!({
        "error": error, "error_codes": [code], "error_description": format!("AADSTS{code}: words"),
        "correlation_id": id,
    }))
}

/// A certificate and its key.
pub(crate) struct Pair {
    pub(crate) key_pem: String,
    pub(crate) cert_pem: String,
    pub(crate) cert_der: Vec<u8>,
    pub(crate) key_der: Vec<u8>,
    pub(crate) public_pem: String,
}

fn make() -> Pair {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    of_key(&key)
}

fn of_key(key: &rcgen::KeyPair) -> Pair {
    let parameters = rcgen::CertificateParams::new(vec!["ir.sunnyside08.example".to_owned()]).unwrap();
    let cert = parameters.self_signed(key).unwrap();
    Pair {
        key_pem: key.serialize_pem(),
        cert_pem: cert.pem(),
        cert_der: cert.der().to_vec(),
        key_der: key.serialize_der(),
        public_pem: key.public_key_pem(),
    }
}

/// Our certificate. Made once: an RSA key takes its time.
pub(crate) fn ours() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(make)
}

/// Somebody else's.
pub(crate) fn other() -> &'static Pair {
    static PAIR: OnceLock<Pair> = OnceLock::new();
    PAIR.get_or_init(make)
}

pub(crate) fn elliptic() -> Pair {
    of_key(&rcgen::KeyPair::generate().unwrap())
}
