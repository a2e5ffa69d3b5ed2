//! Authentication methods and devices.

use mock_server::Request;
use serde_json::{Value, json};

use crate::support::{Client, JOHANNA, VICTIM};

#[test]
fn the_list_of_methods_has_every_type_and_takes_no_options() {
    let client = Client::new();
    let methods = client.json(&format!("{VICTIM}/authentication/methods"));
    let types: Vec<&str> =
        methods["value"].as_array().unwrap().iter().map(|m| m["@odata.type"].as_str().unwrap()).collect();
    assert!(types.contains(&"#microsoft.graph.passwordAuthenticationMethod"));
    assert_eq!(types.iter().filter(|t| t.ends_with("microsoftAuthenticatorAuthenticationMethod")).count(), 2);
    let push_only = methods["value"].as_array().unwrap().iter().find(|m| m["displayName"] == "Pixel 6").unwrap();
    assert_eq!(push_only["createdDateTime"], Value::Null);
    assert_eq!(client.get(&format!("{VICTIM}/authentication/methods?$top=1")).status, 400);
}

#[test]
fn the_default_method_goes_last_and_by_its_typed_collection_only() {
    let client = Client::new();
    let base = format!("{VICTIM}/authentication");
    let all = client.json(&format!("{base}/methods"))["value"].as_array().unwrap().clone();
    let default = all.iter().find(|m| m["displayName"] == "Pixel 6").unwrap()["id"].as_str().unwrap().to_owned();
    let generic = client.delete(&format!("{base}/methods/{default}"));
    assert_eq!(generic.status, 404);
    assert!(generic.body_json()["error"]["message"].as_str().unwrap().contains("mface.windowsazure.com"));
    let typed = format!("{base}/microsoftAuthenticatorMethods/{default}");
    let refused = client.delete(&typed);
    assert_eq!(refused.status, 400);
    assert!(refused.body_json()["error"]["message"].as_str().unwrap().starts_with("Cannot delete default method"));
    for method in &all {
        let (kind, id) = (method["@odata.type"].as_str().unwrap(), method["id"].as_str().unwrap());
        let collection = match kind.trim_start_matches("#microsoft.graph.").trim_end_matches("AuthenticationMethod") {
            "phone" => "phoneMethods",
            "windowsHelloForBusiness" => "windowsHelloForBusinessMethods",
            "microsoftAuthenticator" if id != default => "microsoftAuthenticatorMethods",
            _ => continue,
        };
        assert_eq!(client.delete(&format!("{base}/{collection}/{id}")).status, 204, "{kind}");
    }
    assert_eq!(client.delete(&typed).status, 204);
    assert_eq!(client.get(&typed).status, 404);
    assert_eq!(client.delete(&format!("{base}/passwordMethods/28c10230-6103-485e-b985-444c60001490")).status, 405);
}

#[test]
fn a_mobile_phone_stays_while_an_alternate_one_is_registered() {
    let client = Client::new();
    let base = "/users/ines@sunnyside08.example/authentication/phoneMethods";
    let mobile = "3179e48a-750b-4051-897c-87b9720928f7";
    assert_eq!(client.delete(&format!("{base}/{mobile}")).status, 400);
    assert_eq!(client.delete(&format!("{base}/b6332ec1-7057-4abe-9331-3d72feddfe41")).status, 204);
    let fido = "/users/ines@sunnyside08.example/authentication/fido2Methods/-2_GRUg2-pYz6_1YG4YAAQ2";
    assert_eq!(client.json(fido)["displayName"], "Security key");
    assert_eq!(client.delete(fido).status, 204);
    assert_eq!(client.delete(&format!("{base}/{mobile}")).status, 204);
}

#[test]
fn phones_and_addresses_come_back_by_post_and_a_pass_is_shown_once() {
    let client = Client::new();
    let base = format!("{VICTIM}/authentication");
    let phones = format!("{base}/phoneMethods");
    let id = "3179e48a-750b-4051-897c-87b9720928f7";
    assert_eq!(client.delete(&format!("{phones}/{id}")).status, 204);
    let body = json!({"phoneNumber": "+49 1555 0100123", "phoneType": "mobile"});
    let created = client.write("POST", &phones, &body);
    assert_eq!((created.status, &created.body_json()["id"]), (201, &json!(id)));
    assert_eq!(client.write("POST", &phones, &body).status, 400);
    let passes = format!("{base}/temporaryAccessPassMethods");
    let pass = client.write("POST", &passes, &json!({"lifetimeInMinutes": 60, "isUsableOnce": true})).body_json();
    assert!(pass["temporaryAccessPass"].is_string());
    assert_eq!(client.json(&passes)["value"][0]["temporaryAccessPass"], Value::Null);
    assert_eq!(client.write("POST", &passes, &json!({})).status, 400);
}

#[test]
fn a_device_is_found_by_object_id_or_named_device_id() {
    let client = Client::new();
    let devices = client.json(&format!("{VICTIM}/registeredDevices"))["value"].as_array().unwrap().clone();
    assert_eq!(devices.len(), 3);
    assert_eq!(devices[0]["@odata.type"], "#microsoft.graph.device");
    let (id, device_id) = (devices[0]["id"].as_str().unwrap(), devices[0]["deviceId"].as_str().unwrap());
    assert_eq!(client.get(&format!("/devices/{device_id}")).status, 404);
    assert_eq!(client.json(&format!("/devices(deviceId='{device_id}')"))["id"], *id);
    assert_eq!(client.write("PATCH", &format!("/devices/{id}"), &json!({"accountEnabled": false})).status, 204);
    assert_eq!(client.json(&format!("/devices/{id}"))["accountEnabled"], false);
    let owners = client.json(&format!("/devices/{id}/registeredOwners"));
    assert_eq!(owners["value"][0]["userPrincipalName"], JOHANNA);
}

#[test]
fn the_registration_report_hints_at_the_default_method() {
    let client = Client::new();
    let id = client.json(VICTIM)["id"].as_str().unwrap().to_owned();
    let report = client.json(&format!("/reports/authenticationMethods/userRegistrationDetails/{id}"));
    assert_eq!(report["userPreferredMethodForSecondaryAuthentication"], "push");
    let registered = report["methodsRegistered"].as_array().unwrap();
    assert!(registered.contains(&json!("microsoftAuthenticatorPush")));
    assert!(registered.contains(&json!("microsoftAuthenticatorPasswordless")));
}

#[test]
fn a_password_reset_for_administrators_refuses_an_application() {
    let client = Client::new();
    let path = format!("{VICTIM}/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword");
    assert_eq!(client.write("POST", &path, &json!({"newPassword": "Correct-Horse-7"})).status, 403);
    assert!(client.tenant.diff_from_seed().is_empty());
}

#[test]
fn the_default_is_changed_in_beta_only_and_then_goes() {
    let client = Client::new();
    let rogue = client.tenant.incident().rogue.iter().find(|o| o.kind == "authenticationMethod").unwrap().id.clone();
    let path = format!("{VICTIM}/authentication/signInPreferences");
    let body = |value: &str| json!({"userPreferredMethodForSecondaryAuthentication": value});
    assert_eq!((client.get(&path).status, client.write("PATCH", &path, &body("sms")).status), (400, 400));
    let beta = |method: &str, body: &Value| client.send(Request::new(method, &format!("/beta{path}")).json(body));
    assert_eq!(beta("GET", &json!({})).body_json()["userPreferredMethodForSecondaryAuthentication"], "push");
    assert_eq!(beta("PATCH", &body("voiceOffice")).status, 400);
    assert_eq!(beta("PATCH", &body("sms")).status, 204);
    assert_eq!(beta("GET", &json!({})).body_json()["userPreferredMethodForSecondaryAuthentication"], "sms");
    assert_eq!(client.delete(&format!("{VICTIM}/authentication/microsoftAuthenticatorMethods/{rogue}")).status, 204);
    let left = client.json(&format!("{VICTIM}/authentication/methods"))["value"].as_array().unwrap().len();
    assert_eq!(left, 4, "the password and her three own methods stay");
}
