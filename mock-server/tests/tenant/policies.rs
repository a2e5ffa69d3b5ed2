//! Credentials, owners, tenant policy, risk and the sign-in log.

use mock_server::Tenant;
use serde_json::{Value, json};

use crate::support::{Client, VICTIM, aitm, code, sign_in};

fn app(client: &Client, name: &str) -> Value {
    let rows = client.json("/applications")["value"].as_array().unwrap().clone();
    rows.into_iter().find(|row| row["displayName"] == name).unwrap()
}

fn with(permissions: &[&str]) -> (Tenant, Client) {
    let tenant = aitm();
    tenant.grant_only(permissions);
    let client = Client::of(&tenant);
    (tenant, client)
}

#[test]
fn a_secret_goes_by_its_key_id_and_its_text_is_shown_once() {
    let client = Client::new();
    let chatbot = app(&client, "chatbot");
    let path = format!("/applications/{}", chatbot["id"].as_str().unwrap());
    let key = chatbot["passwordCredentials"][0].clone();
    assert_eq!((key["secretText"].clone(), key["hint"].as_str().unwrap().len()), (Value::Null, 3));
    let remove = || client.write("POST", &format!("{path}/removePassword"), &json!({"keyId": key["keyId"]})).status;
    assert_eq!((remove(), remove()), (204, 400));
    let added =
        client.write("POST", &format!("{path}/addPassword"), &json!({"passwordCredential": {"displayName": "new"}}));
    let secret = added.body_json()["secretText"].as_str().unwrap().to_owned();
    assert!(!client.tenant.state().to_string().contains(&secret));
    let token =
        sign_in(&client.tenant, &[("client_id", chatbot["appId"].as_str().unwrap()), ("client_secret", &secret)]);
    assert_eq!(token.status, 200);
}

#[test]
fn certificates_are_replaced_as_a_whole_and_their_key_comes_by_select() {
    let client = Client::new();
    let payroll = app(&client, "Payroll");
    assert_eq!(payroll["keyCredentials"][0]["key"], Value::Null);
    let path = format!("/applications/{}", payroll["id"].as_str().unwrap());
    let keys = client.json(&format!("{path}?$select=keyCredentials"))["keyCredentials"].clone();
    assert!(keys[0]["key"].is_string());
    assert_eq!(client.write("PATCH", &path, &json!({"keyCredentials": []})).status, 204);
    assert_eq!(client.json(&path)["keyCredentials"], json!([]));
    assert_eq!(client.write("PATCH", &path, &json!({"keyCredentials": keys})).status, 204);
    assert!(client.tenant.diff_from_seed().is_empty());
}

#[test]
fn a_federated_credential_is_a_third_kind() {
    let client = Client::new();
    let path =
        format!("/applications/{}/federatedIdentityCredentials", app(&client, "Payroll")["id"].as_str().unwrap());
    let old = client.json(&path)["value"][0].clone();
    let one = format!("{path}/{}", old["id"].as_str().unwrap());
    assert_eq!((client.delete(&one).status, client.get(&one).status), (204, 404));
    let again = client.write("POST", &path, &old);
    assert_eq!(again.status, 201);
    assert_ne!(again.body_json()["id"], old["id"]);
}

#[test]
fn owners_come_and_go_by_reference() {
    let client = Client::new();
    let chatbot = app(&client, "chatbot");
    let johanna = client.json(VICTIM)["id"].as_str().unwrap().to_owned();
    let owners = format!("/applications/{}/owners", chatbot["id"].as_str().unwrap());
    assert_eq!(client.delete(&format!("{owners}/{johanna}/$ref")).status, 204);
    assert_eq!(client.json(&owners)["value"], json!([]));
    assert_eq!(
        client.delete(&format!("{owners}/{johanna}")).status,
        400,
        "without the reference mark there is no route"
    );
    let body = json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{johanna}")});
    assert_eq!(client.write("POST", &format!("{owners}/$ref"), &body).status, 204);
    assert_eq!(client.write("POST", &format!("{owners}/$ref"), &body).status, 400);
}

#[test]
fn a_disabled_registration_gets_no_token_and_the_directory_permission_does_not_reach_it() {
    let (tenant, client) = with(&["Directory.ReadWrite.All"]);
    let payroll = app(&client, "Payroll");
    let path = format!("/applications/{}", payroll["id"].as_str().unwrap());
    assert_eq!(client.write("PATCH", &path, &json!({"isDisabled": true})).status, 403);
    tenant.grant_all();
    let client = Client::of(&tenant);
    assert_eq!(client.write("PATCH", &path, &json!({"isDisabled": true})).status, 204);
    assert_eq!(client.json(&path)["isDisabled"], true);
}

#[test]
fn the_authorization_policy_is_merged_and_a_list_in_it_replaced() {
    let client = Client::new();
    let path = "/policies/authorizationPolicy";
    let body =
        json!({"defaultUserRolePermissions": {"allowedToCreateApps": false, "permissionGrantPoliciesAssigned": []}});
    assert_eq!(client.write("PATCH", path, &body).status, 204);
    let permissions = client.json(path)["defaultUserRolePermissions"].clone();
    assert_eq!(
        (&permissions["allowedToCreateApps"], &permissions["allowedToReadOtherUsers"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(permissions["permissionGrantPoliciesAssigned"], json!([]));
    assert_eq!(
        client.write("PATCH", path, &json!({"permissionGrantPolicyIdsAssignedToDefaultUserRole": []})).status,
        400
    );
}

#[test]
fn writing_conditional_access_takes_three_permissions() {
    let body = json!({
        "displayName": "Block", "state": "enabledForReportingButNotEnforced",
        "conditions": {"users": {"includeUsers": ["All"]}, "applications": {"includeApplications": ["All"]}},
        "grantControls": {"operator": "OR", "builtInControls": ["block"]},
    });
    let path = "/identity/conditionalAccess/policies";
    let (_, writer) = with(&["Policy.ReadWrite.ConditionalAccess"]);
    assert_eq!((writer.get(path).status, writer.write("POST", path, &body).status), (403, 403));
    let client = Client::new();
    let made = client.write("POST", path, &body);
    assert_eq!(made.status, 201, "{}", made.body_json());
    assert_eq!(made.body_json()["conditions"]["clientAppTypes"], json!(["all"]));
    let one = format!("{path}/{}", made.body_json()["id"].as_str().unwrap());
    assert_eq!(client.write("PATCH", &one, &json!({"state": "enabled"})).status, 204);
    assert_eq!(client.write("PATCH", &one, &json!({"state": "on"})).status, 400);
    assert_eq!(client.json(&one)["state"], "enabled");
    assert_eq!((client.delete(&one).status, client.get(&one).status), (204, 404));
}

#[test]
fn a_named_location_needs_its_type() {
    let client = Client::new();
    let path = "/identity/conditionalAccess/namedLocations";
    let mut body = json!({"displayName": "Attacker", "isTrusted": false, "ipRanges": []});
    assert_eq!(client.write("POST", path, &body).status, 400);
    body["@odata.type"] = json!("#microsoft.graph.ipNamedLocation");
    assert_eq!(client.write("POST", path, &body).status, 201);
}

#[test]
fn a_federation_is_found_under_its_domain_only() {
    let client = Client::new();
    let rows = client.json("/domains/federated.sunnyside08.example/federationConfiguration");
    let id = rows["value"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.json("/domains/sunnyside08.example/federationConfiguration")["value"], json!([]));
    assert_eq!(client.get(&format!("/domains/sunnyside08.example/federationConfiguration/{id}")).status, 404);
    assert_eq!(
        client.delete(&format!("/domains/federated.sunnyside08.example/federationConfiguration/{id}")).status,
        204
    );
}

#[test]
fn risk_is_confirmed_and_dismissed_and_others_are_not_found() {
    let client = Client::new();
    let johanna = client.json(VICTIM)["id"].as_str().unwrap().to_owned();
    let state = || client.json(&format!("/identityProtection/riskyUsers/{johanna}"))["riskState"].clone();
    assert_eq!(state(), "atRisk");
    let act = |what: &str| {
        client.write("POST", &format!("/identityProtection/riskyUsers/{what}"), &json!({"userIds": [johanna]})).status
    };
    assert_eq!((act("confirmCompromised"), state()), (204, json!("confirmedCompromised")));
    assert_eq!((act("dismiss"), state()), (204, json!("dismissed")));
    let grady = client.json("/users/grady@sunnyside08.example")["id"].as_str().unwrap().to_owned();
    assert_eq!(client.get(&format!("/identityProtection/riskyUsers/{grady}")).status, 404);
    assert_eq!(client.get("/identityProtection/riskyUsers?$top=1000").status, 400);
}

#[test]
fn the_sign_in_log_is_interactive_and_hides_policies_silently() {
    let (tenant, client) = with(&["AuditLog.Read.All"]);
    let rows =
        client.json("/auditLogs/signIns?$filter=ipAddress%20eq%20'203.0.113.47'")["value"].as_array().unwrap().clone();
    assert_eq!(rows.len(), 2);
    assert!(rows[0]["createdDateTime"].as_str() > rows[1]["createdDateTime"].as_str());
    assert!(rows[0].get("appliedConditionalAccessPolicies").is_none());
    let types = client.get("/auditLogs/signIns?$filter=signInEventTypes/any(t:t%20eq%20'nonInteractiveUser')");
    assert_eq!((types.status, code(&types).as_str()), (400, "BadRequest"));
    tenant.set(|settings| settings.premium = false);
    let free = client.get("/auditLogs/signIns");
    assert_eq!((free.status, code(&free).as_str()), (403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant"));
    assert_eq!(client.get("/auditLogs/directoryAudits").status, 200);
}
