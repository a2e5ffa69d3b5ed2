//! Applications, service principals and grants.

use serde_json::json;

use crate::support::{Client, VICTIM};

#[test]
fn the_rogue_application_has_its_grant_and_stops_signing_in() {
    let client = Client::new();
    let principal = client.tenant.incident().rogue.iter().find(|o| o.kind == "servicePrincipal").unwrap().id.clone();
    let found = client.json(&format!("/servicePrincipals/{principal}"));
    assert_eq!((&found["displayName"], &found["accountEnabled"]), (&json!("chatbot"), &json!(true)));
    let app_id = found["appId"].as_str().unwrap();
    assert_eq!(
        client.json(&format!("/applications(appId='{app_id}')"))["web"]["redirectUris"],
        json!(["http://localhost:7823/access"])
    );
    let by_filter = client.json(&format!("/servicePrincipals?$filter=appId%20eq%20'{app_id}'"));
    assert_eq!(by_filter["value"][0]["id"], *principal);
    let grants = client.json(&format!("/oauth2PermissionGrants?$filter=clientId%20eq%20'{principal}'"));
    assert_eq!(grants["value"][0]["consentType"], "AllPrincipals");
    assert_eq!(grants["value"][0]["scope"], "Mail.ReadWrite MailboxSettings.ReadWrite User.Read");
    let hers = client.json(&format!("{VICTIM}/oauth2PermissionGrants"));
    assert_eq!(hers["value"].as_array().unwrap().len(), 1, "the tenant-wide grant is not in a user's list");
    let owned = client.json(&format!("{VICTIM}/ownedObjects"));
    assert_eq!(owned["value"].as_array().unwrap().len(), 2);
    assert_eq!(
        client.write("PATCH", &format!("/servicePrincipals/{principal}"), &json!({"accountEnabled": false})).status,
        204
    );
    assert_eq!(client.json(&format!("/servicePrincipals/{principal}"))["accountEnabled"], false);
}

#[test]
fn a_deleted_grant_comes_back_under_a_new_id() {
    let client = Client::new();
    let grant = client.tenant.incident().rogue.iter().find(|o| o.kind == "oauth2PermissionGrant").unwrap().id.clone();
    let path = format!("/oauth2PermissionGrants/{grant}");
    let mut old = client.json(&path);
    assert_eq!(client.delete(&path).status, 204);
    assert_eq!(client.delete(&path).status, 404);
    for name in ["@odata.context", "id"] {
        old.as_object_mut().unwrap().remove(name);
    }
    let created = client.write("POST", "/oauth2PermissionGrants", &old);
    assert_eq!(created.status, 201);
    assert_ne!(created.body_json()["id"], *grant);
    assert_eq!(client.write("POST", "/oauth2PermissionGrants", &old).status, 409);
}

#[test]
fn a_change_by_application_id_makes_what_is_not_there() {
    let client = Client::new();
    let path = "/servicePrincipals(appId='0a1b2c3d-0000-4000-8000-00000000abcd')";
    assert_eq!(client.get(path).status, 404);
    assert_eq!(client.write("PATCH", path, &json!({"accountEnabled": false})).status, 201);
    assert_eq!(client.json(path)["accountEnabled"], true);
}

#[test]
fn microsofts_and_managed_principals_are_beside_ours() {
    let client = Client::new();
    let rows = client.json("/servicePrincipals")["value"].as_array().unwrap().clone();
    let owned_by = |tenant: &str| rows.iter().filter(|row| row["appOwnerOrganizationId"] == tenant).count();
    assert!(owned_by("f8cdef31-a31e-4b4a-93e4-5f571e91255a") >= 4);
    assert!(rows.iter().any(|row| row["servicePrincipalType"] == "ManagedIdentity"));
    let graph = rows.iter().find(|row| row["appId"] == "00000003-0000-0000-c000-000000000000").unwrap();
    let foreign = client.get("/applications(appId='00000003-0000-0000-c000-000000000000')");
    assert_eq!((graph["displayName"].as_str().unwrap(), foreign.status), ("Microsoft Graph", 404));
}
