//! The same against the stateful tenant, which shares no code with the client and checks what it is sent.

use aws_lc_rs::digest::{SHA256, digest};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use mock_server::{
    Scenario, Server, Tenant,
    faults::{Effect, Fault, Match},
};
use serde_json::Value;
use staunch::{
    client::{Certificate, Credential, Endpoints, ManagedIdentity, Session, SessionOptions, SignInError, Surroundings},
    model::{Cloud, GraphPath, ManualClock},
};

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
        let us = self.tenant.credentials();
        let endpoints = Endpoints::all_at(self.server.uri().parse().unwrap());
        let mut options = SessionOptions::new(Cloud::Global, us.tenant_id, us.client_id, credential).at(endpoints);
        options.batch = false;
        Session::open(options, ManualClock::at(jiff::Timestamp::now())).await
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
async fn a_claims_challenge_of_the_tenant_is_met() {
    let lab = Lab::start().await;
    let session = lab.open(Credential::Secret(lab.tenant.credentials().client_secret.into())).await.unwrap();
    lab.tenant.faults().add(Fault::once(Match::path("/users"), Effect::Unauthorized { challenge: true }));
    reads(&session).await;
    let tokens = lab.tenant.requests().iter().filter(|request| request.path.ends_with("/token")).count();
    assert_eq!(tokens, 2);
}
