//! What a cloud does not have is said in the plan, before anything is asked.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test that cannot go on fails"
)]

mod common;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use common::one_step;
use serde_json::json;
use staunch::{
    actions::REGISTRY,
    client::{Credential, Endpoints, Session, SessionOptions},
    model::{Capability, Cloud, Item, ManualClock},
    plan::{Discovery, Overrides, Picks, PlaybookRef, Protected, Recipe},
};
use wiremock::{Mock, MockServer, ResponseTemplate, matchers};

const TENANT: &str = "5a11a000-0000-4000-8000-00000000c0de";

/// A sign-in service of any cloud, and nothing else.
async fn sign_in() -> MockServer {
    let server = MockServer::start().await;
    let claims = json!({"tid": TENANT, "appid": "app", "oid": "sp", "idtyp": "app"}).to_string();
    let token = format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
    let body = json!({"token_type": "Bearer", "expires_in": 3600, "access_token": token});
    Mock::given(matchers::path_regex("/token$"))
        .respond_with(ResponseTemplate::new(200).set_body_json(body))
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn an_action_that_a_cloud_lacks_is_a_problem_of_the_plan_and_asks_nothing() {
    let server = sign_in().await;
    let endpoints = Endpoints::all_at(server.uri().parse().unwrap());
    let options = SessionOptions::new(Cloud::China, TENANT, "app", Credential::Secret("s".into())).at(endpoints);
    let clock = ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap());
    let reader = Session::open(options, clock).await.unwrap().reader();
    let bound = one_step("user.remove-auth-methods", &json!({"user": "johanna@sunnyside08.example"}));
    let discovery = Discovery::run(&bound, REGISTRY, &reader).await;
    assert!(discovery.questions().is_empty());
    let recipe = Recipe {
        playbook: PlaybookRef { id: "one".into(), version: "1.0.0".into(), sha256: String::new(), text: String::new() },
        cloud: Cloud::China,
        now: "2023-12-12T14:00:00Z".parse().unwrap(),
        protected: Protected::default(),
        recipients: Vec::new(),
        overrides: Overrides::default(),
    };
    let plan = discovery.plan(&bound, &Picks::new(), recipe, REGISTRY, &reader).await.unwrap();
    let items: Vec<_> = plan.items().map(|(_, item)| item).collect();
    let [Item::Problem { reason, .. }] = items.as_slice() else { panic!("{items:#?}") };
    assert!(reason.contains("user.remove-auth-methods is not in this cloud (china)"), "{reason}");
    let asked = server.received_requests().await.unwrap();
    assert_eq!(asked.len(), 1, "the token, and nothing else");
    let form: std::collections::BTreeMap<_, _> = url::form_urlencoded::parse(&asked[0].body).collect();
    assert_eq!(form["scope"], "https://microsoftgraph.chinacloudapi.cn/.default");
}

/// Whatever is asked for, no plan in a cloud holds a change of an action that this cloud lacks; what is missing where is
/// the table's matter.
#[test]
fn every_action_belongs_to_a_part_and_the_clouds_without_it_are_these() {
    let lacking = |cloud: Cloud| -> Vec<&str> {
        REGISTRY.iter().map(|action| action.meta()).filter(|meta| !meta.part.is_in(cloud)).map(|meta| meta.id).collect()
    };
    for cloud in [Cloud::Global, Cloud::GccHigh, Cloud::Dod] {
        assert_eq!(lacking(cloud), [""; 0], "{cloud:?}");
    }
    assert_eq!(lacking(Cloud::China), ["user.remove-auth-methods"]);
    let parts = |part| REGISTRY.iter().filter(|action| action.meta().part == part).count();
    assert_eq!(parts(Capability::Cmdlets), 2, "the two of mailboxes");
    assert_eq!(parts(Capability::AuthenticationMethods), 1);
}
