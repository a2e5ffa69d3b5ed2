//! Quirks of Graph that no other test of a route shows by the way.

use jiff::SignedDuration;
use mock_server::faults::{Effect, Fault, Match};
use mock_server::{Request, Response};
use serde_json::{Value, json};

use crate::delegated::signed_in;
use crate::support::{Client, JOHANNA, VICTIM, code, sign_in, token};

fn values(body: &Value) -> Vec<Value> {
    body["value"].as_array().unwrap().clone()
}

fn rogue(client: &Client, kind: &str) -> String {
    client.tenant.incident().rogue.iter().find(|object| object.kind == kind).unwrap().id.clone()
}

fn chatbot(client: &Client) -> String {
    format!("/applications/{}", rogue(client, "application"))
}

#[test]
fn invalidating_refresh_tokens_is_no_action_of_v1() {
    let client = Client::new();
    let answer = client.write("POST", &format!("{VICTIM}/invalidateAllRefreshTokens"), &json!({}));
    assert_eq!((answer.status, code(&answer).as_str()), (400, "BadRequest"));
    assert!(client.tenant.diff_from_seed().is_empty());
}

#[test]
fn an_authenticator_or_a_key_cannot_be_registered_back() {
    let client = Client::new();
    let path = format!("{VICTIM}/authentication/microsoftAuthenticatorMethods");
    let one = format!("{path}/{}", rogue(&client, "authenticationMethod"));
    let old = client.json(&one);
    assert_eq!(client.delete(&one).status, 204);
    for collection in
        ["microsoftAuthenticatorMethods", "fido2Methods", "windowsHelloForBusinessMethods", "platformCredentialMethods"]
    {
        let back = client.write("POST", &format!("{VICTIM}/authentication/{collection}"), &old);
        assert_eq!(back.status, 405, "{collection}");
    }
    assert_eq!(client.get(&one).status, 404);
}

#[test]
fn a_pass_outlives_a_new_password_until_its_time_is_over() {
    let client = Client::new();
    let passes = format!("{VICTIM}/authentication/temporaryAccessPassMethods");
    let body = json!({"lifetimeInMinutes": 30, "isUsableOnce": false});
    assert_eq!(client.write("POST", &passes, &body).status, 201);
    assert_eq!(client.write("POST", &passes, &body).status, 400, "one for each user");
    let password = json!({"passwordProfile": {"password": "Correct-Horse-7"}});
    assert_eq!(client.write("PATCH", VICTIM, &password).status, 204);
    client.write("POST", &format!("{VICTIM}/revokeSignInSessions"), &json!({}));
    let usable = || values(&client.json(&passes))[0]["isUsable"].clone();
    assert_eq!(usable(), true);
    client.tenant.clock().advance(SignedDuration::from_mins(30));
    assert_eq!(usable(), false);
}

#[test]
fn owned_and_registered_devices_are_two_lists() {
    let client = Client::new();
    let device = rogue(&client, "device");
    client.tenant.edit(|state| state.devices.get_mut(&device).unwrap().hidden.registered_owners.clear());
    let listed = |what: &str| values(&client.json(&format!("{VICTIM}/{what}"))).iter().any(|row| row["id"] == *device);
    assert_eq!((listed("ownedDevices"), listed("registeredDevices")), (false, true));
}

#[test]
fn grants_name_objects_and_sign_ins_name_applications() {
    let client = Client::new();
    let grants = values(&client.json("/oauth2PermissionGrants"));
    for grant in &grants {
        let object = client.json(&format!("/servicePrincipals/{}", grant["clientId"].as_str().unwrap()));
        assert_ne!(object["appId"], grant["clientId"]);
    }
    let by_app = format!("/oauth2PermissionGrants?$filter=clientId%20eq%20'{}'", client.tenant.credentials().client_id);
    assert!(values(&client.json(&by_app)).is_empty(), "an application id is no object id");
    for row in values(&client.json("/auditLogs/signIns")) {
        let by_id = client.get(&format!("/servicePrincipals/{}", row["appId"].as_str().unwrap()));
        assert_eq!(by_id.status, 404);
    }
}

#[test]
fn one_application_may_hold_both_kinds_of_grant() {
    let client = Client::new();
    let tenant_wide = client.json(&format!("/oauth2PermissionGrants/{}", rogue(&client, "oauth2PermissionGrant")));
    let user = client.json(VICTIM)["id"].clone();
    let body = json!({
        "clientId": tenant_wide["clientId"], "resourceId": tenant_wide["resourceId"], "consentType": "Principal",
        "principalId": user, "scope": "User.Read",
    });
    assert_eq!(client.write("POST", "/oauth2PermissionGrants", &body).status, 201);
    let path = format!("/servicePrincipals/{}/oauth2PermissionGrants", tenant_wide["clientId"].as_str().unwrap());
    let kinds: Vec<Value> = values(&client.json(&path)).iter().map(|row| row["consentType"].clone()).collect();
    assert_eq!(kinds.len(), 2);
    assert!(kinds.contains(&json!("Principal")) && kinds.contains(&json!("AllPrincipals")));
}

#[test]
fn a_token_outlives_its_permissions_and_blocking_the_application_stops_new_ones_only() {
    let client = Client::new();
    client.tenant.grant_only(&[]);
    assert_eq!(client.get("/organization").status, 200, "the old token carries the old permissions");
    let own = client.tenant.credentials().client_id;
    client.tenant.edit(|state| {
        let id = state.service_principal_of(&own).unwrap().id.clone();
        state.service_principals.get_mut(&id).unwrap().account_enabled = false;
    });
    assert_eq!(client.get("/organization").status, 200);
    assert_eq!(sign_in(&client.tenant, &[]).body_json()["error_codes"], json!([7_000_112]));
}

#[test]
fn a_service_principal_has_secrets_of_its_own() {
    let client = Client::new();
    let path = format!("/servicePrincipals/{}", rogue(&client, "servicePrincipal"));
    let added = client.write("POST", &format!("{path}/addPassword"), &json!({"passwordCredential": {}}));
    assert_eq!(added.status, 200);
    let key = added.body_json()["keyId"].clone();
    assert_eq!(client.json(&path)["passwordCredentials"][0]["keyId"], key);
    let ids: Vec<Value> = client.json(&chatbot(&client))["passwordCredentials"].as_array().unwrap().clone();
    assert!(ids.iter().all(|secret| secret["keyId"] != key), "the registration does not know it");
    assert_eq!(client.write("POST", &format!("{path}/removePassword"), &json!({"keyId": key})).status, 204);
}

#[test]
fn an_owner_without_any_role_switches_the_application_on_again() {
    let client = signed_in("johanna", &[]);
    let responder = Client::of(&client.tenant);
    let principal = format!("/servicePrincipals/{}", rogue(&client, "servicePrincipal"));
    let switch = |client: &Client, on: bool| client.write("PATCH", &principal, &json!({"accountEnabled": on})).status;
    assert_eq!((switch(&responder, false), switch(&client, true)), (204, 204));
    assert_eq!(responder.json(&principal)["accountEnabled"], true);
    let owner = client.json(VICTIM)["id"].as_str().unwrap().to_owned();
    assert_eq!(responder.delete(&format!("{principal}/owners/{owner}/$ref")).status, 204);
    assert_eq!((switch(&responder, false), switch(&client, true)), (204, 403));
}

#[test]
fn a_list_of_policies_for_consent_is_replaced_with_those_of_group_owners_in_it() {
    let client = Client::new();
    let path = "/policies/authorizationPolicy";
    let list = || client.json(path)["defaultUserRolePermissions"]["permissionGrantPoliciesAssigned"].clone();
    let owned = |list: &Value| list.to_string().contains("ManagePermissionGrantsForOwnedResource");
    assert!(owned(&list()));
    let body = json!({"defaultUserRolePermissions": {"permissionGrantPoliciesAssigned": []}});
    assert_eq!(client.write("PATCH", path, &body).status, 204);
    assert!(!owned(&list()));
}

#[test]
fn removing_a_held_role_leaves_the_eligible_one() {
    let client = Client::new();
    let per = client.json("/users/per@sunnyside08.example")["id"].clone();
    let template = "fe930be7-5e62-47db-91af-98c3a49a38b1";
    let request = |action: &str| {
        let body = json!({
            "action": action, "principalId": per, "roleDefinitionId": template, "directoryScopeId": "/",
        });
        client.write("POST", "/roleManagement/directory/roleAssignmentScheduleRequests", &body).status
    };
    assert_eq!((request("adminAssign"), request("adminRemove")), (201, 201));
    let list = "/roleManagement/directory/roleEligibilityScheduleInstances";
    assert!(values(&client.json(list)).iter().any(|row| row["principalId"] == per));
}

#[test]
fn a_global_administrator_cannot_give_up_the_role_alone() {
    let client = signed_in("grady", &["Global Administrator"]);
    let id = client.json("/users/grady@sunnyside08.example")["id"].as_str().unwrap().to_owned();
    let refused = client.delete("/roleManagement/directory/roleAssignments/test-0");
    assert_eq!(refused.status, 400);
    let template = "62e90394-69f5-4237-9190-012177145e10";
    let legacy = format!("/directoryRoles(roleTemplateId='{template}')/members/{id}/$ref");
    assert_eq!(client.delete(&legacy).status, 400);
    let other = client.json("/users/ines@sunnyside08.example")["id"].as_str().unwrap().to_owned();
    let legacy = format!("/directoryRoles(roleTemplateId='{template}')/members/{other}/$ref");
    assert_eq!(client.delete(&legacy).status, 204);
}

#[test]
fn a_refusal_for_want_of_a_licence_may_be_spurious() {
    let client = Client::new();
    let body = json!({"error": {
        "code": "Authentication_RequestFromNonPremiumTenantOrB2CTenant",
        "message": "Neither tenant is B2C or tenant doesn't have premium license",
    }});
    let effect = Effect::Answer {
        status: 403,
        content_type: "application/json".to_owned(),
        body: body.to_string(),
        applied: false,
    };
    client.tenant.faults().add(Fault::once(Match::path("/signIns"), effect));
    assert_eq!((client.get("/auditLogs/signIns").status, client.get("/auditLogs/signIns").status), (403, 200));
}

#[test]
fn the_feed_has_capital_booleans_a_leading_space_and_addresses_of_microsofts() {
    let client = Client::new();
    let rows = values(&client.json("/auditLogs/directoryAudits"));
    let of = |name: &str| rows.iter().filter(|row| row["activityDisplayName"] == name).collect::<Vec<_>>();
    let property = |row: &Value, name: &str| {
        let all = row["targetResources"][0]["modifiedProperties"].as_array().unwrap().clone();
        all.into_iter().find(|entry| entry["displayName"] == name).unwrap()["newValue"].clone()
    };
    let consents = of("Consent to application");
    assert!(consents.iter().any(|row| property(row, "ConsentContext.IsAdminConsent") == "\"True\""));
    assert!(consents.iter().all(|row| row["initiatedBy"]["user"]["ipAddress"] == "20.190.190.1"));
    let grants = of("Add delegated permission grant");
    let scopes: Vec<Value> = grants.iter().map(|row| property(row, "DelegatedPermissionGrant.Scope")).collect();
    assert!(scopes.iter().any(|scope| scope.as_str().unwrap().starts_with("\" User.Read")), "{scopes:?}");
}

#[test]
fn widening_a_grant_is_logged_as_its_removal_and_its_addition() {
    let client = Client::new();
    let grant = rogue(&client, "oauth2PermissionGrant");
    let before = client.tenant.audit().len();
    let body = json!({"scope": "Mail.ReadWrite MailboxSettings.ReadWrite User.Read Files.Read.All"});
    assert_eq!(client.write("PATCH", &format!("/oauth2PermissionGrants/{grant}"), &body).status, 204);
    let new: Vec<Value> = client.tenant.audit().split_off(before);
    let names: Vec<&str> = new.iter().map(|row| row["activityDisplayName"].as_str().unwrap()).collect();
    assert_eq!(names, ["Remove delegated permission grant", "Add delegated permission grant"]);
    assert!(new[0]["targetResources"].to_string().contains("Files.Read.All"), "the removal records the addition");
}

#[test]
fn the_next_page_asks_for_the_header_again_and_has_no_count() {
    let client = Client::new();
    let page = |path: &str, eventual: bool| -> Response {
        let request = Request::new("GET", &format!("/v1.0{path}"));
        client.send(if eventual { request.header("ConsistencyLevel", "eventual") } else { request })
    };
    let first = page("/users?$count=true&$top=5&$filter=userType%20ne%20'Guest'", true).body_json();
    assert!(first["@odata.count"].as_u64().unwrap() > 5);
    let next = first["@odata.nextLink"].as_str().unwrap().strip_prefix("http://localhost/v1.0").unwrap().to_owned();
    assert_eq!(page(&next, false).status, 400);
    let second = page(&next, true);
    assert_eq!((second.status, second.body_json().get("@odata.count")), (200, None));
}

#[test]
fn a_late_member_of_an_enumeration_is_unknown_unless_asked_for() {
    let client = Client::new();
    let body = json!({
        "displayName": "Remediate", "state": "disabled",
        "conditions": {"users": {"includeUsers": ["All"]}, "applications": {"includeApplications": ["All"]}},
        "grantControls": {"operator": "AND", "builtInControls": ["mfa", "riskRemediation"]},
    });
    let made = client.write("POST", "/identity/conditionalAccess/policies", &body);
    assert_eq!(made.status, 201, "{}", made.body_json());
    let path = format!("/identity/conditionalAccess/policies/{}", made.body_json()["id"].as_str().unwrap());
    assert_eq!(client.json(&path)["grantControls"]["builtInControls"], json!(["mfa", "unknownFutureValue"]));
    let request = Request::new("GET", &format!("/v1.0{path}")).header("Prefer", "include-unknown-enum-members");
    assert_eq!(client.send(request).body_json()["grantControls"]["builtInControls"], json!(["mfa", "riskRemediation"]));
}

#[test]
fn a_deleted_user_is_not_deleted_in_the_list_of_risky_users() {
    let client = Client::new();
    let id = client.json(VICTIM)["id"].as_str().unwrap().to_owned();
    assert_eq!(client.delete(VICTIM).status, 204);
    assert_eq!(client.get(VICTIM).status, 404);
    assert_eq!(client.json(&format!("/identityProtection/riskyUsers/{id}"))["isDeleted"], false);
}

#[test]
fn the_registration_report_is_a_day_old() {
    let client = Client::new();
    client.tenant.set(|settings| settings.lag.report = 86_400_000);
    let id = client.json(VICTIM)["id"].as_str().unwrap().to_owned();
    let report = || {
        let client = Client::of(&client.tenant);
        client.json(&format!("/reports/authenticationMethods/userRegistrationDetails/{id}"))["methodsRegistered"]
            .as_array()
            .unwrap()
            .len()
    };
    let before = report();
    let method =
        format!("{VICTIM}/authentication/microsoftAuthenticatorMethods/{}", rogue(&client, "authenticationMethod"));
    assert_eq!((client.delete(&method).status, client.get(&method).status), (204, 404));
    client.tenant.clock().advance(SignedDuration::from_hours(23));
    assert_eq!(report(), before);
    client.tenant.clock().advance(SignedDuration::from_hours(1));
    assert_eq!(report(), before - 1);
}

#[test]
fn a_mailbox_takes_four_requests_at_a_time() {
    let client = Client::new();
    client.tenant.set(|settings| settings.throttling_percent = Some(100));
    let rules = || client.get(&format!("/users/{JOHANNA}/mailFolders/inbox/messageRules"));
    let mut under_way: Vec<Response> = (0..4).map(|_| rules()).collect();
    assert!(under_way.iter().all(|response| response.status == 200));
    let refused = rules();
    assert_eq!((refused.status, code(&refused).as_str()), (429, "ApplicationThrottled"));
    assert_eq!(refused.get_header("retry-after"), Some("1"));
    assert_eq!(client.get("/users/grady@sunnyside08.example/mailFolders/inbox/messageRules").status, 200);
    assert_eq!(client.get(VICTIM).status, 200, "the directory is no mailbox");
    let by_cmdlet = || client.cmdlet("Get-InboxRule", &json!({"Mailbox": JOHANNA}));
    let cmdlets: Vec<Response> = (0..4).map(|_| by_cmdlet()).collect();
    assert!(cmdlets.iter().all(|response| response.status == 200), "Exchange counts for itself");
    assert_eq!(by_cmdlet().status, 429);
    under_way.pop();
    assert_eq!(rules().status, 200);
    client.tenant.set(|settings| settings.throttling_percent = None);
    assert_eq!((0..9).map(|_| rules()).filter(|response| response.status == 200).count(), 9);
}

#[test]
fn deleting_a_federated_users_password_is_refused_for_the_domain() {
    let client = Client::new();
    let domain = client.json("/domains/federated.sunnyside08.example");
    assert_eq!(domain["authenticationType"], "Federated");
    let path = "/users/fatima@federated.sunnyside08.example";
    let body = json!({"passwordProfile": {"password": "Correct-Horse-7"}});
    client
        .tenant
        .edit(|state| state.user_mut("fatima@federated.sunnyside08.example").unwrap().on_premises_sync_enabled = None);
    assert_eq!(client.write("PATCH", path, &body).status, 400);
    client.tenant.edit(|state| {
        let domain = state.domains.get_mut("federated.sunnyside08.example").unwrap();
        domain.insert("authenticationType".to_owned(), "Managed".into());
    });
    assert_eq!(client.write("PATCH", path, &body).status, 204);
    assert!(token(&client.tenant, "https://graph.microsoft.com/.default").contains('.'));
}
