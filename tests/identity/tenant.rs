//! The same against the stateful tenant, which shares no code with the client and checks what it is sent.

use std::{fs, sync::Arc};

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use mock_server::{
    Scenario, Server, Tenant,
    faults::{Effect, Fault, Match},
};
use serde_json::{Value, json};
use staunch::{
    client::{
        Attendant, Certificate, Credential, Endpoints, Federated, FederatedFrom, ManagedIdentity, Session,
        SessionOptions, SignInError, Surroundings, UserCode,
    },
    model::{Clock, Cloud, GraphPath, IdentityKind, ManualClock, SystemClock},
};
use url::Url;

use super::support::{Pair, other, ours, refused};

struct Lab {
    tenant: Tenant,
    server: Server,
}

impl Lab {
    async fn start() -> Self {
        let tenant = Tenant::new(&Scenario::builtin("aitm").unwrap());
        let server = Server::start(tenant.clone()).await;
        Self { tenant, server }
    }

    async fn open(&self, credential: Credential) -> Result<Session, SignInError> {
        self.open_by(credential, ManualClock::at(jiff::Timestamp::now())).await
    }

    async fn open_by(&self, credential: Credential, clock: Arc<dyn Clock>) -> Result<Session, SignInError> {
        let us = self.tenant.credentials();
        let endpoints = Endpoints::all_at(self.server.uri().parse().unwrap());
        let mut options = SessionOptions::new(Cloud::Global, us.tenant_id, us.client_id, credential).at(endpoints);
        options.batch = false;
        Session::open(options, clock).await
    }
}

fn certificate(pair: &Pair) -> Certificate {
    Certificate::from_pem(format!("{}{}", pair.key_pem, pair.cert_pem).as_bytes()).unwrap()
}

async fn reads(session: &Session) {
    let users = session.reader().list::<Value>(&GraphPath::v1().fixed("users").select("id")).await.unwrap();
    assert!(!users.is_empty());
}

#[tokio::test]
async fn a_certificate_that_the_tenant_trusts_signs_in_either_way_and_another_does_not() {
    let lab = Lab::start().await;
    let thumbprint = BASE64_URL_SAFE_NO_PAD.encode(digest(&SHA256, &ours().cert_der));
    lab.tenant.trust_certificate(&ours().public_pem, &thumbprint);
    let sha1 = digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, &ours().cert_der);
    lab.tenant.trust_certificate(&ours().public_pem, &BASE64_URL_SAFE_NO_PAD.encode(sha1));
    for certificate in [certificate(ours()), certificate(ours()).rs256()] {
        reads(&lab.open(Credential::Certificate(Box::new(certificate))).await.unwrap()).await;
    }
    let error = refused(lab.open(Credential::Certificate(Box::new(certificate(other())))).await);
    assert_eq!(error.codes, [700027]);
}

#[tokio::test]
async fn the_metadata_service_of_a_machine_signs_in_without_a_secret() {
    let lab = Lab::start().await;
    let surroundings = Surroundings::new([("AZURE_POD_IDENTITY_AUTHORITY_HOST", lab.server.uri())]);
    let session = lab.open(Credential::ManagedIdentity(ManagedIdentity { assigned: None, surroundings })).await;
    assert_eq!(session.unwrap().identity().tenant_id, lab.tenant.credentials().tenant_id);
}

#[tokio::test]
async fn the_other_hosts_of_a_managed_identity_are_asked_as_the_tenant_wants_it() {
    let lab = Lab::start().await;
    let folder = tempfile::tempdir().unwrap();
    let key = folder.path().join("rehearsal.key");
    let mut secret = String::new();
    lab.tenant.set(|settings| {
        settings.managed_identity.arc_key_file = key.display().to_string();
        fs::write(&key, &settings.managed_identity.arc_key).unwrap();
        secret.clone_from(&settings.managed_identity.secret);
    });
    let uri = |path: &str| format!("{}{path}", lab.server.uri());
    let app_service = [("IDENTITY_ENDPOINT", uri("/MSI/token")), ("IDENTITY_HEADER", secret.clone())];
    let machine_learning = [("MSI_ENDPOINT", uri("/aml/token")), ("MSI_SECRET", secret)];
    let arc = [("IDENTITY_ENDPOINT", uri("/metadata/identity/oauth2/token")), ("IMDS_ENDPOINT", uri(""))];
    for here in [app_service, machine_learning, arc] {
        let surroundings = Surroundings::new(here.clone()).with_arc_tokens(folder.path().to_owned());
        let identity = ManagedIdentity { assigned: None, surroundings };
        let session = lab.open(Credential::ManagedIdentity(identity)).await;
        let session = session.unwrap_or_else(|error| panic!("{}: {error}", here[0].0));
        assert_eq!(session.identity().tenant_id, lab.tenant.credentials().tenant_id);
    }
}

#[tokio::test]
async fn a_claims_challenge_of_the_tenant_is_met() {
    let lab = Lab::start().await;
    let session = lab.open(Credential::Secret(lab.tenant.credentials().client_secret.into())).await.unwrap();
    lab.tenant.faults().add(Fault::once(Match::path("/users"), Effect::Unauthorized { challenge: true }));
    reads(&session).await;
    let tokens = lab.tenant.requests().iter().filter(|request| request.path.ends_with("/token")).count();
    assert_eq!(tokens, 2);
}

const PERSON: &str = "per@sunnyside08.example";

/// A person at the tenant's own pages, who does as they are asked.
#[derive(Debug)]
struct Person(Tenant);

impl Attendant for Person {
    fn browse(&self, address: &Url) {
        assert!(self.0.sign_in_as(PERSON));
        // The tenant sends the browser back to us with a code.
        drop(tokio::spawn(reqwest::get(address.clone())));
    }

    fn enter_code(&self, code: &UserCode) {
        assert!(self.0.approve_device(&code.code, PERSON));
    }
}

#[tokio::test]
async fn a_person_signs_in_with_a_browser() {
    let lab = Lab::start().await;
    let person = Arc::new(Person(lab.tenant.clone()));
    let session = lab.open_by(Credential::Browser(person), SystemClock::start()).await.unwrap();
    assert_eq!(session.identity().kind, IdentityKind::User);
    assert_eq!(session.identity().user_principal_name.as_deref(), Some(PERSON));
    reads(&session).await;
}

#[tokio::test]
async fn a_person_signs_in_with_a_code() {
    let lab = Lab::start().await;
    let session = lab.open(Credential::DeviceCode(Arc::new(Person(lab.tenant.clone())))).await.unwrap();
    assert_eq!(session.identity().kind, IdentityKind::User);
    assert_eq!(session.identity().user_principal_name.as_deref(), Some(PERSON));
    reads(&session).await;
}

#[tokio::test]
async fn the_token_of_another_issuer_signs_in_where_the_application_trusts_it() {
    let lab = Lab::start().await;
    let (issuer, us) = ("https://token.build.example", lab.tenant.credentials().client_id);
    lab.tenant.trust_issuer(issuer, &ours().public_pem);
    let row = json!({"id": "f", "name": "build", "issuer": issuer, "subject": "repo:ir:main"});
    lab.tenant.edit(|state| {
        let id = state.application_of(&us).unwrap().id.clone();
        state.applications.get_mut(&id).unwrap().hidden.federated.push(row.as_object().unwrap().clone());
    });
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("token");
    let with = |subject: &str| {
        let exp = jiff::Timestamp::now().as_second() + 600;
        let claims = json!({"aud": "api://AzureADTokenExchange", "iss": issuer, "sub": subject, "exp": exp});
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(ours().key_pem.as_bytes()).unwrap();
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256);
        fs::write(&path, jsonwebtoken::encode(&header, &claims, &key).unwrap()).unwrap();
        Credential::Federated(Federated { from: FederatedFrom::File(path.clone()), audience: None })
    };
    reads(&lab.open(with("repo:ir:main")).await.unwrap()).await;
    let error = refused(lab.open(with("repo:ir:fork")).await);
    assert_eq!(error.codes, [700213]);
}

#[tokio::test]
async fn a_client_secret_signs_in() {
    let lab = Lab::start().await;
    reads(&lab.open(Credential::Secret(lab.tenant.credentials().client_secret.into())).await.unwrap()).await;
}
