//! Users: reading, blocking, passwords, sessions, and who is protected.

use mock_server::Request;
use serde_json::{Value, json};

use crate::support::{Client, JOHANNA, VICTIM, aitm, code};

#[test]
fn a_user_shows_eleven_properties_unless_others_are_selected() {
    let client = Client::new();
    let user = client.json(VICTIM);
    let shown: Vec<&String> = user.as_object().unwrap().keys().filter(|key| !key.starts_with('@')).collect();
    assert_eq!(shown.len(), 11);
    assert!(user["@microsoft.graph.tips"].is_string());
    let selected = client.json(&format!("{VICTIM}?$select=accountEnabled,signInSessionsValidFromDateTime"));
    assert_eq!(selected["accountEnabled"], true);
    assert_eq!(selected["signInSessionsValidFromDateTime"], "2021-05-03T07:12:40Z");
    assert!(selected.get("@microsoft.graph.tips").is_none());
    let by_id = client.json(&format!("/users/{}", user["id"].as_str().unwrap()));
    assert_eq!(by_id["userPrincipalName"], JOHANNA);
    assert_eq!(client.get("/users/nobody@sunnyside08.example").status, 404);
    assert_eq!(client.get(&format!("{VICTIM}?$select=nonsense")).status, 400);
}

#[test]
fn users_page_and_the_first_page_may_be_empty() {
    let client = Client::new();
    client.tenant.set(|settings| settings.empty_first_page = true);
    let mut path = "/users?$top=10&$select=id".to_owned();
    let (mut ids, mut pages) = (Vec::new(), 0);
    loop {
        let page = client.json(&path);
        let rows = page["value"].as_array().unwrap();
        assert!(rows.len() <= 10 && (pages > 0 || rows.is_empty()));
        ids.extend(rows.iter().map(|row| row["id"].as_str().unwrap().to_owned()));
        pages += 1;
        let Some(link) = page["@odata.nextLink"].as_str() else {
            break;
        };
        path = link.strip_prefix("http://localhost/v1.0").unwrap().to_owned();
    }
    let total = client.tenant.inspect(|state| state.users.len());
    assert_eq!(ids.len(), total);
    ids.dedup();
    assert_eq!(ids.len(), total);
    assert!(pages > 4);
}

#[test]
fn users_filter_by_documented_properties_and_advanced_ones_need_a_header() {
    let client = Client::new();
    let found = client.json("/users?$filter=userPrincipalName%20eq%20'Johanna@sunnyside08.example'");
    assert_eq!(found["value"].as_array().unwrap().len(), 1);
    let found = client.json("/users?$filter=startswith(displayName,'joh')");
    assert_eq!(found["value"][0]["userPrincipalName"], JOHANNA);
    let response = client.get("/users?$filter=endswith(mail,'.example')");
    assert_eq!((response.status, code(&response).as_str()), (400, "Request_UnsupportedQuery"));
    let request = Request::new("GET", "/v1.0/users?$count=true&$filter=userType%20ne%20'Member'")
        .header("ConsistencyLevel", "eventual");
    let found = client.send(request).body_json();
    assert_eq!(found["@odata.count"].as_u64().unwrap() as usize, found["value"].as_array().unwrap().len());
}

#[test]
fn blocking_sign_in_shows_by_select_only_and_again_changes_nothing() {
    let client = Client::new();
    assert_eq!(client.write("PATCH", VICTIM, &json!({"accountEnabled": false})).status, 204);
    assert_eq!(client.json(&format!("{VICTIM}?$select=accountEnabled"))["accountEnabled"], false);
    client.tenant.clear_requests();
    assert_eq!(client.write("PATCH", VICTIM, &json!({"accountEnabled": false})).status, 204);
    assert!(!client.tenant.requests()[0].mutated);
    let difference = client.tenant.diff_from_seed();
    assert_eq!(difference.len(), 1);
    assert!(difference[0].path.ends_with("/accountEnabled"));
}

#[test]
fn revoking_moves_the_time_and_does_nothing_to_a_guest() {
    let client = Client::new();
    client.tenant.clock().advance(jiff::SignedDuration::from_millis(700));
    let response = client.send(Request::new("POST", &format!("/v1.0{VICTIM}/microsoft.graph.revokeSignInSessions")));
    assert_eq!((response.status, &response.body_json()["value"]), (200, &json!(true)));
    let select = "?$select=signInSessionsValidFromDateTime";
    assert_eq!(client.json(&format!("{VICTIM}{select}"))["signInSessionsValidFromDateTime"], "2023-12-12T15:00:00Z");
    let guest = "/users/auditor_partner.example%23EXT%23@sunnyside08.example";
    let before = client.json(&format!("{guest}{select}"));
    let response = client.send(Request::new("POST", &format!("/v1.0{guest}/revokeSignInSessions")));
    assert_eq!((response.status, &response.body_json()["value"]), (200, &json!(true)));
    assert_eq!(client.json(&format!("{guest}{select}")), before);
}

#[test]
fn a_password_is_set_counted_and_never_shown() {
    let client = Client::new();
    let body = |profile: Value| json!({"passwordProfile": profile});
    let force_only = client.write("PATCH", VICTIM, &body(json!({"forceChangePasswordNextSignIn": true})));
    assert_eq!((force_only.status, client.tenant.passwords_set(JOHANNA)), (204, 0));
    assert!(client.tenant.diff_from_seed().is_empty());
    let new = json!({"password": "Correct-Horse-7", "forceChangePasswordNextSignIn": true});
    assert_eq!(client.write("PATCH", VICTIM, &body(new)).status, 204);
    assert_eq!(client.tenant.passwords_set(JOHANNA), 1);
    assert!(client.tenant.password_is(JOHANNA, "Correct-Horse-7"));
    let everything = format!("{}{:?}{:?}", client.tenant.state(), client.tenant.requests(), client.tenant.audit());
    assert!(!everything.contains("Correct-Horse-7"));
    let weak = client.write("PATCH", VICTIM, &body(json!({"password": "short"})));
    assert_eq!((weak.status, client.tenant.passwords_set(JOHANNA)), (400, 1));
}

#[test]
fn protected_users_refuse() {
    let client = Client::new();
    let patch = |name: &str, body: &Value| {
        let response = client.write("PATCH", &format!("/users/{name}@sunnyside08.example"), body);
        (response.status, code(&response))
    };
    let block = json!({"accountEnabled": false});
    let password = json!({"passwordProfile": {"password": "Correct-Horse-7"}});
    let denied = (403, "Authorization_RequestDenied".to_owned());
    assert_eq!(patch("ines", &block), denied);
    assert_eq!(patch("ines", &password), denied);
    assert_eq!(patch("per", &block), denied);
    assert_eq!(patch("board", &block), denied);
    let revoked = client.write("POST", "/users/board@sunnyside08.example/revokeSignInSessions", &json!({}));
    assert_eq!((revoked.status, code(&revoked)), denied);
    let office = "/users/board@sunnyside08.example/authentication/phoneMethods/e37fc753-ff3b-4958-9484-eaa9425c82bc";
    assert_eq!(client.get(office).status, 200);
    let removed = client.delete(office);
    assert_eq!((removed.status, code(&removed)), (403, "accessDenied".to_owned()));
    assert_eq!(patch("klaus", &password).0, 400);
    let fatima = client.write("PATCH", "/users/fatima@federated.sunnyside08.example", &password);
    assert_eq!(fatima.status, 400);
    assert_eq!(patch("klaus", &block).0, 204);
}

#[test]
fn a_directory_role_of_the_application_reaches_administrators() {
    let tenant = aitm();
    tenant.assign_roles(&["User Administrator"]);
    let client = Client::of(&tenant);
    let patch = |name: &str| {
        client.write("PATCH", &format!("/users/{name}@sunnyside08.example"), &json!({"accountEnabled": false})).status
    };
    assert_eq!(patch("per"), 204);
    assert_eq!(patch("ines"), 403);
    tenant.assign_roles(&["Privileged Authentication Administrator"]);
    assert_eq!(patch("ines"), 403, "the token is older than the role");
    let client = Client::of(&tenant);
    assert_eq!(client.write("PATCH", "/users/ines@sunnyside08.example", &json!({"accountEnabled": false})).status, 204);
}

#[test]
fn each_property_of_a_user_has_its_own_permission() {
    let tenant = aitm();
    let attempt = |permissions: &[&str], body: &Value| {
        tenant.grant_only(permissions);
        Client::of(&tenant).write("PATCH", VICTIM, body).status
    };
    let block = json!({"accountEnabled": false});
    let password = json!({"passwordProfile": {"password": "Correct-Horse-7"}});
    assert_eq!(attempt(&["User.EnableDisableAccount.All"], &block), 403);
    assert_eq!(attempt(&["User.EnableDisableAccount.All", "User.Read.All"], &block), 204);
    assert_eq!(attempt(&["User.EnableDisableAccount.All", "User.Read.All"], &password), 403);
    assert_eq!(attempt(&["User-PasswordProfile.ReadWrite.All"], &password), 204);
    assert_eq!(attempt(&["User-PasswordProfile.ReadWrite.All"], &block), 403);
    assert_eq!(attempt(&["User.ReadWrite.All"], &password), 403, "it needs a directory role too");
    tenant.assign_roles(&["User Administrator"]);
    assert_eq!(attempt(&["User.ReadWrite.All"], &password), 204);
}

#[test]
fn a_count_is_text_and_needs_the_index_store() {
    let client = Client::new();
    let count = |headers: &[(&str, &str)]| {
        let request = Request::new("GET", "/v1.0/users/$count");
        client.send(headers.iter().fold(request, |request, (name, value)| request.header(name, value)))
    };
    assert_eq!(count(&[]).status, 400);
    assert_eq!(count(&[("ConsistencyLevel", "eventual"), ("Accept", "application/json")]).status, 415);
    let answer = count(&[("ConsistencyLevel", "eventual")]);
    assert_eq!(answer.get_header("content-type"), Some("text/plain"));
    assert_eq!(answer.body, client.tenant.inspect(|state| state.users.len()).to_string().into_bytes());
}
