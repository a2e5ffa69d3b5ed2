//! Lag, throttling and the faults beyond a plain error.

use jiff::SignedDuration;
use mock_server::faults::{Effect, Fault, Match};
use mock_server::settings::Lag;
use mock_server::{Abort, Response};
use serde_json::{Value, json};

use crate::support::{Client, JOHANNA, VICTIM};

fn struck(client: &Client, effect: Effect) -> Response {
    client.tenant.faults().add(Fault::once(Match::path("/users"), effect));
    client.get("/users?$top=2")
}

#[test]
fn a_list_lags_behind_the_object_and_exchange_behind_both() {
    let client = Client::new();
    client.tenant.set(|settings| settings.lag = Lag { object: 1_000, list: 60_000, exchange: 5_000, ..Lag::default() });
    client.write("PATCH", VICTIM, &json!({"accountEnabled": false}));
    let by_id = || client.json(&format!("{VICTIM}?$select=accountEnabled"))["accountEnabled"].clone();
    let listed = || {
        let found =
            client.json("/users?$select=accountEnabled&$filter=userPrincipalName%20eq%20'johanna@sunnyside08.example'");
        found["value"][0]["accountEnabled"].clone()
    };
    assert_eq!((by_id(), listed()), (json!(true), json!(true)));
    client.tenant.clock().advance(SignedDuration::from_secs(1));
    assert_eq!((by_id(), listed()), (json!(false), json!(true)));
    client.tenant.clock().advance(SignedDuration::from_secs(59));
    assert_eq!((by_id(), listed()), (json!(false), json!(false)));
    let rule = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}))[0]["Identity"].clone();
    client.rows("Disable-InboxRule", &json!({"Identity": rule}));
    let enabled = || client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}))[0]["Enabled"].clone();
    assert_eq!(enabled(), true);
    client.tenant.clock().advance(SignedDuration::from_secs(5));
    assert_eq!(enabled(), false);
}

#[test]
fn each_change_becomes_visible_in_its_own_time() {
    let client = Client::new();
    client.tenant.set(|settings| settings.lag = Lag { object: 10_000, ..Lag::default() });
    let seen = || client.json(&format!("{VICTIM}?$select=accountEnabled"))["accountEnabled"].clone();
    client.write("PATCH", VICTIM, &json!({"accountEnabled": false}));
    client.tenant.clock().advance(SignedDuration::from_secs(6));
    client.write("PATCH", VICTIM, &json!({"accountEnabled": true}));
    assert_eq!(seen(), true);
    client.tenant.clock().advance(SignedDuration::from_secs(5));
    assert_eq!(seen(), false);
    client.tenant.clock().advance(SignedDuration::from_secs(5));
    assert_eq!(seen(), true);
}

#[test]
fn the_feed_is_late_too() {
    let client = Client::new();
    client.tenant.set(|settings| settings.lag.audit = 120_000);
    client.write("PATCH", VICTIM, &json!({"accountEnabled": false}));
    let newest = || client.json("/auditLogs/directoryAudits?$top=1")["value"][0]["activityDisplayName"].clone();
    assert_ne!(newest(), "Disable account");
    client.tenant.clock().advance(SignedDuration::from_secs(120));
    assert_eq!(newest(), "Disable account");
}

#[test]
fn a_token_lives_on_after_its_holder_is_disabled() {
    let client = Client::new();
    let own = client.tenant.credentials().client_id;
    let id = client.json(&format!("/servicePrincipals(appId='{own}')"))["id"].as_str().unwrap().to_owned();
    assert_eq!(
        client.write("PATCH", &format!("/servicePrincipals/{id}"), &json!({"accountEnabled": false})).status,
        204
    );
    assert_eq!(client.get(VICTIM).status, 200);
}

#[test]
fn reports_are_throttled_when_the_limits_are_on() {
    let client = Client::new();
    client.tenant.set(|settings| settings.throttling_percent = Some(100));
    let statuses: Vec<u16> = (0..6).map(|_| client.get("/auditLogs/directoryAudits?$top=1").status).collect();
    assert_eq!(statuses, [200, 200, 200, 200, 200, 429]);
    assert_eq!(client.get(VICTIM).status, 200);
}

#[test]
fn links_can_be_foreign_plain_or_looping() {
    let client = Client::new();
    let link = |response: Response| response.body_json()["@odata.nextLink"].as_str().unwrap().to_owned();
    let foreign = link(struck(&client, Effect::NextLink("https://collector.example/".to_owned())));
    assert_eq!(foreign, "https://collector.example/v1.0/users?$top=2");
    let looping = link(struck(&client, Effect::NextLinkLoop));
    assert_eq!(looping, "http://localhost/v1.0/users?$top=2");
    let true_one = link(client.get("/users?$top=2"));
    assert!(true_one.contains("skiptoken"));
}

#[test]
fn bodies_can_be_cut_slow_foreign_or_huge() {
    let client = Client::new();
    let cut = struck(&client, Effect::Truncate);
    assert_eq!((cut.status, cut.body_json()), (200, Value::Null));
    assert!(cut.body.starts_with(b"{\"@odata.context\""));
    assert_eq!(struck(&client, Effect::DropMidBody).abort, Abort::MidBody);
    assert_eq!(struck(&client, Effect::Slow(20)).pace.as_millis(), 20);
    let page = Effect::Answer {
        status: 403,
        content_type: "text/html".to_owned(),
        body: "<html><body>Forbidden</body></html>".to_owned(),
        applied: false,
    };
    let html = struck(&client, page);
    assert_eq!((html.status, html.get_header("content-type")), (403, Some("text/html")));
    let bomb = struck(&client, Effect::GzipBomb(50_000_000));
    assert_eq!(bomb.get_header("content-encoding"), Some("gzip"));
    assert!(bomb.body.len() < 100_000);
}

#[test]
fn a_claims_challenge_and_a_redirect_have_their_headers() {
    let client = Client::new();
    let challenge = struck(&client, Effect::Unauthorized { challenge: true });
    let header = challenge.get_header("www-authenticate").unwrap();
    assert!(challenge.status == 401 && header.contains("error=\"insufficient_claims\", claims=\"eyJ"));
    let location = "https://collector.example/".to_owned();
    let moved = struck(&client, Effect::Redirect { status: 302, location });
    assert_eq!((moved.status, moved.get_header("location")), (302, Some("https://collector.example/")));
}

#[test]
fn a_change_can_be_undone_behind_the_callers_back() {
    let client = Client::new();
    client.tenant.faults().add(Fault::once(Match::method_path("PATCH", "/users"), Effect::Reverted));
    assert_eq!(client.write("PATCH", VICTIM, &json!({"accountEnabled": false})).status, 204);
    assert!(client.tenant.diff_from_seed().is_empty());
    assert!(client.tenant.requests().last().unwrap().mutated);
}

#[test]
fn an_attacker_puts_back_rules_grants_and_methods_under_new_ids() {
    let client = Client::new();
    client.tenant.faults().add(Fault::always(Match::default(), Effect::PutBack));
    let rogue = |kind: &str| client.tenant.incident().rogue.iter().find(|o| o.kind == kind).unwrap().id.clone();
    let rules = || client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA, "IncludeHidden": true}));
    let old = rules()[0].clone();
    client.rows("Remove-InboxRule", &json!({"Identity": old["Identity"]}));
    let again = rules().into_iter().find(|rule| rule["Name"] == "..").unwrap();
    assert_ne!(again["RuleIdentity"], old["RuleIdentity"]);
    let grant = rogue("oauth2PermissionGrant");
    assert_eq!(client.delete(&format!("/oauth2PermissionGrants/{grant}")).status, 204);
    assert_eq!(client.get(&format!("/oauth2PermissionGrants/{grant}")).status, 404);
    let principal = rogue("servicePrincipal");
    let grants = client.json(&format!("/servicePrincipals/{principal}/oauth2PermissionGrants"));
    assert_eq!(grants["value"].as_array().unwrap().len(), 1);
    client.write("PATCH", &format!("/servicePrincipals/{principal}"), &json!({"accountEnabled": false}));
    assert_eq!(client.json(&format!("/servicePrincipals/{principal}"))["accountEnabled"], true);
}
