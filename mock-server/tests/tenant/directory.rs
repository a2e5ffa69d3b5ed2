//! Groups, administrative units, directory roles and the recycle bin.

use mock_server::Request;
use serde_json::{Value, json};

use crate::support::{Client, VICTIM, aitm, code};

fn id_of(client: &Client, path: &str, name: &str) -> String {
    let rows = client.json(path)["value"].as_array().unwrap().clone();
    let row = rows.iter().find(|row| row["displayName"] == name).unwrap();
    row["id"].as_str().unwrap().to_owned()
}

fn user(client: &Client, name: &str) -> String {
    client.json(&format!("/users/{name}@sunnyside08.example"))["id"].as_str().unwrap().to_owned()
}

#[test]
fn leaving_a_group_without_ref_deletes_the_user() {
    let client = Client::new();
    let (group, grady) = (id_of(&client, "/groups", "Purchasing"), user(&client, "grady"));
    let members = format!("/groups/{group}/members");
    assert_eq!(client.delete(&format!("{members}/{grady}/$ref")).status, 204);
    assert_eq!(client.json(&members)["value"].as_array().unwrap().len(), 1);
    let body = json!({"@odata.id": format!("https://graph.microsoft.com/v1.0/directoryObjects/{grady}")});
    assert_eq!(client.write("POST", &format!("{members}/$ref"), &body).status, 204);
    assert!(client.tenant.diff_from_seed().iter().all(|difference| difference.path.contains("_hidden/members")));
    assert_eq!(client.delete(&format!("{members}/{grady}")).status, 204);
    assert_eq!(client.get(&format!("/users/{grady}")).status, 404);
    assert_eq!(client.json(&format!("/directory/deletedItems/{grady}"))["displayName"], "Grady");
    let restored = client.send(Request::new("POST", &format!("/v1.0/directory/deletedItems/{grady}/restore")));
    assert_eq!(restored.status, 200);
    assert_eq!(client.get(&format!("/users/{grady}")).status, 200);
}

#[test]
fn computed_synced_and_role_assignable_groups_refuse() {
    let tenant = aitm();
    let client = Client::of(&tenant);
    let remove = |client: &Client, group: &str, name: &str| {
        let (group, member) = (id_of(client, "/groups", group), user(client, name));
        client.delete(&format!("/groups/{group}/members/{member}/$ref")).status
    };
    assert_eq!(remove(&client, "All sales", "grady"), 400);
    assert_eq!(remove(&client, "Domain staff", "klaus"), 400);
    assert_eq!(remove(&client, "Tier zero", "vault"), 204);
    tenant.grant_only(&["User.Read.All", "GroupMember.ReadWrite.All"]);
    let client = Client::of(&aitm_with(&["User.Read.All", "GroupMember.ReadWrite.All"]));
    assert_eq!(remove(&client, "Tier zero", "vault"), 403);
}

fn aitm_with(permissions: &[&str]) -> mock_server::Tenant {
    let tenant = aitm();
    tenant.grant_only(permissions);
    tenant
}

#[test]
fn a_role_assignable_group_protects_its_members() {
    let client = Client::new();
    let patch = client.write("PATCH", "/users/vault@sunnyside08.example", &json!({"accountEnabled": false}));
    assert_eq!((patch.status, code(&patch).as_str()), (403, "Authorization_RequestDenied"));
    let memberships = client.json("/users/vault@sunnyside08.example/transitiveMemberOf");
    let types: Vec<&str> =
        memberships["value"].as_array().unwrap().iter().map(|row| row["@odata.type"].as_str().unwrap()).collect();
    assert_eq!(types, ["#microsoft.graph.group", "#microsoft.graph.directoryRole"]);
}

#[test]
fn of_memberships_every_property_of_any_type_can_be_asked_for() {
    let client = Client::new();
    let select = "id,displayName,isMemberManagementRestricted";
    let rows = client.json(&format!("/users/grady@sunnyside08.example/memberOf?$select={select}"));
    let of =
        |kind: &str| rows["value"].as_array().unwrap().iter().find(|row| row["@odata.type"] == kind).unwrap().clone();
    assert_eq!(of("#microsoft.graph.group")["isMemberManagementRestricted"], serde_json::Value::Null);
    assert_eq!(of("#microsoft.graph.administrativeUnit")["isMemberManagementRestricted"], false);
}

#[test]
fn a_user_taken_out_of_a_restricted_unit_can_be_blocked() {
    let tenant = aitm();
    let client = Client::of(&tenant);
    let (unit, board) = (id_of(&client, "/directory/administrativeUnits", "Board"), user(&client, "board"));
    let block =
        |client: &Client| client.write("PATCH", &format!("/users/{board}"), &json!({"accountEnabled": false})).status;
    let leave = format!("/directory/administrativeUnits/{unit}/members/{board}/$ref");
    assert_eq!((block(&client), client.delete(&leave).status), (403, 403));
    tenant.assign_roles(&["Privileged Role Administrator"]);
    let client = Client::of(&tenant);
    assert_eq!((client.delete(&leave).status, block(&client)), (204, 204));
}

#[test]
fn a_role_comes_back_under_a_new_id() {
    let client = Client::new();
    let per = user(&client, "per");
    let filter =
        format!("/roleManagement/directory/roleAssignments?$filter=principalId%20eq%20'{per}'&$expand=roleDefinition");
    let rows = client.json(&filter)["value"].as_array().unwrap().clone();
    let wide = rows.iter().find(|row| row["directoryScopeId"] == "/").unwrap();
    assert_eq!(wide["roleDefinition"]["displayName"], "Helpdesk Administrator");
    let path = format!("/roleManagement/directory/roleAssignments/{}", wide["id"].as_str().unwrap());
    assert_eq!(client.delete(&path).status, 204);
    assert_eq!(client.get(&path).status, 404);
    assert_eq!(client.write("PATCH", &format!("/users/{per}"), &json!({"accountEnabled": false})).status, 204);
    let body = json!({"principalId": per, "roleDefinitionId": wide["roleDefinitionId"], "directoryScopeId": "/"});
    let again = client.write("POST", "/roleManagement/directory/roleAssignments", &body);
    assert_eq!(again.status, 201);
    assert_ne!(again.body_json()["id"], wide["id"]);
    let scoped = client.json(&format!("/users/{per}/scopedRoleMemberOf"));
    assert_eq!(scoped["value"].as_array().unwrap().len(), 1);
}

#[test]
fn an_eligible_role_is_removed_by_a_request_that_can_be_tried_first() {
    let client = Client::new();
    let per = user(&client, "per");
    let list = format!("/roleManagement/directory/roleEligibilityScheduleInstances?$filter=principalId%20eq%20'{per}'");
    let eligible = || client.json(&list)["value"].as_array().unwrap().clone();
    let role = eligible()[0]["roleDefinitionId"].clone();
    let request = |dry: bool| {
        let body = json!({
            "action": "adminRemove", "principalId": per, "roleDefinitionId": role, "directoryScopeId": "/",
            "isValidationOnly": dry,
        });
        client.write("POST", "/roleManagement/directory/roleEligibilityScheduleRequests", &body)
    };
    assert_eq!((request(true).status, eligible().len()), (201, 1));
    assert_eq!((request(false).body_json()["status"].clone(), eligible().len()), (json!("Revoked"), 0));
    assert_eq!(request(false).status, 404);
}

#[test]
fn a_permission_to_remove_cannot_assign() {
    let client = Client::of(&aitm_with(&["User.Read.All", "RoleEligibilitySchedule.Remove.Directory"]));
    let per = user(&client, "per");
    let body = json!({"action": "adminAssign", "principalId": per, "roleDefinitionId": "Global Administrator"});
    assert_eq!(client.write("POST", "/roleManagement/directory/roleEligibilityScheduleRequests", &body).status, 403);
}

#[test]
fn a_legacy_role_is_left_by_template_id() {
    let client = Client::new();
    let (ines, template) = (user(&client, "ines"), "62e90394-69f5-4237-9190-012177145e10");
    let members = client.json(&format!("/directoryRoles/roleTemplateId={template}/members"));
    assert_eq!(members["value"][0]["id"], *ines);
    assert_eq!(client.delete(&format!("/directoryRoles(roleTemplateId='{template}')/members/{ines}/$ref")).status, 204);
    let none = client.json(&format!("/directoryRoles/roleTemplateId={template}/members"));
    assert_eq!(none["value"], json!([]));
}

#[test]
fn a_cast_needs_the_index_store() {
    let client = Client::new();
    let path = format!("{VICTIM}/memberOf/microsoft.graph.group");
    assert_eq!(client.get(&path).status, 400);
    let request = Request::new("GET", &format!("/v1.0{path}?$count=true")).header("ConsistencyLevel", "eventual");
    let found: Value = client.send(request).body_json();
    assert_eq!(found["value"][0]["displayName"], "Purchasing");
}

#[test]
fn a_device_that_is_deleted_does_not_come_back() {
    let client = Client::new();
    let device = client.json(&format!("{VICTIM}/ownedDevices"))["value"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(client.delete(&format!("/devices/{device}")).status, 204);
    assert_eq!(client.get(&format!("/directory/deletedItems/{device}")).status, 404);
}
