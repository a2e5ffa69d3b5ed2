//! Exchange beyond inbox rules: forwarding, delegates, protocols, mail flow, and the unified audit log.

use serde_json::{Value, json};

use crate::support::{Client, JOHANNA, code};

fn warnings(client: &Client, name: &str, parameters: &Value) -> Vec<Value> {
    let response = client.cmdlet(name, parameters);
    assert_eq!(response.status, 200, "{}", response.body_json());
    assert_eq!(response.body_json()["value"], json!([]));
    response.body_json()["@adminapi.warnings"].as_array().unwrap().clone()
}

#[test]
fn forwarding_has_two_fields_and_a_value_is_cleared_by_null() {
    let client = Client::new();
    let mailbox = || client.rows("Get-Mailbox", &json!({"Identity": JOHANNA}))[0].clone();
    let set = |parameters: &Value| {
        let mut all = parameters.clone();
        all["Identity"] = json!(JOHANNA);
        warnings(&client, "Set-Mailbox", &all)
    };
    set(&json!({"ForwardingSmtpAddress": "attacker@collector.example", "DeliverToMailboxAndForward": true}));
    assert_eq!(mailbox()["ForwardingSmtpAddress"], "smtp:attacker@collector.example");
    set(&json!({"ForwardingAddress": "grady@sunnyside08.example"}));
    assert_eq!(mailbox()["ForwardingAddress"], "Grady");
    let clear = json!({"ForwardingAddress": null, "ForwardingSmtpAddress": null, "DeliverToMailboxAndForward": false});
    assert!(set(&clear).is_empty());
    assert_eq!((&mailbox()["ForwardingAddress"], &mailbox()["ForwardingSmtpAddress"]), (&Value::Null, &Value::Null));
    assert!(set(&clear)[0].as_str().unwrap().contains("no settings of"));
    assert!(client.tenant.diff_from_seed().is_empty());
}

#[test]
fn a_list_takes_additions_only_in_a_tagged_table() {
    let client = Client::new();
    let set = |value: &Value| client.cmdlet("Set-Mailbox", &json!({"Identity": JOHANNA, "GrantSendOnBehalfTo": value}));
    assert_eq!(set(&json!({"add": ["Grady"]})).status, 400);
    assert_eq!(set(&json!("Grady")).status, 400);
    assert_eq!(set(&json!({"@odata.type": "#Exchange.GenericHashTable", "add": ["Grady"]})).status, 200);
    let granted = || client.rows("Get-Mailbox", &json!({"Identity": JOHANNA}))[0]["GrantSendOnBehalfTo"].clone();
    assert_eq!(granted(), json!(["Grady"]));
    set(&json!({"@odata.type": "#Exchange.GenericHashTable", "remove": ["Grady"]}));
    assert_eq!(granted(), json!([]));
}

#[test]
fn delegates_are_in_three_stores_and_an_absent_one_is_a_warning() {
    let client = Client::new();
    let target = json!({"Identity": JOHANNA, "User": "grady@sunnyside08.example", "AccessRights": ["FullAccess"]});
    warnings(&client, "Add-MailboxPermission", &target);
    let people = || client.rows("Get-MailboxPermission", &json!({"Identity": JOHANNA})).len();
    assert_eq!((people(), client.rows("Get-RecipientPermission", &json!({"Identity": JOHANNA})).len()), (2, 1));
    assert!(warnings(&client, "Remove-MailboxPermission", &target).is_empty());
    let again = warnings(&client, "Remove-MailboxPermission", &target);
    assert!(again[0].as_str().unwrap().contains("because the ACE doesn't exist"));
    assert!(!client.tenant.requests().last().unwrap().mutated);
    let folder = json!({"Identity": format!("{JOHANNA}:\\Calendar"), "User": "grady@sunnyside08.example"});
    assert_eq!(client.rows("Get-MailboxFolderPermission", &json!({"Identity": folder["Identity"]})).len(), 1);
    assert!(warnings(&client, "Remove-MailboxFolderPermission", &folder).is_empty());
    assert_eq!(client.rows("Get-MailboxFolderPermission", &json!({"Identity": folder["Identity"]})).len(), 0);
}

#[test]
fn a_protocol_switch_that_inherits_is_null_and_stays_apart_from_false() {
    let client = Client::new();
    let read =
        || client.rows("Get-CASMailbox", &json!({"Identity": JOHANNA}))[0]["SmtpClientAuthenticationDisabled"].clone();
    assert_eq!(read(), Value::Null);
    let set = |value: Value| {
        warnings(&client, "Set-CASMailbox", &json!({"Identity": JOHANNA, "SmtpClientAuthenticationDisabled": value}))
    };
    set(json!(true));
    assert_eq!(read(), true);
    set(Value::Null);
    assert_eq!(read(), Value::Null);
}

#[test]
fn an_automatic_reply_needs_a_message() {
    let client = Client::new();
    let set = |parameters: Value| client.cmdlet("Set-MailboxAutoReplyConfiguration", &parameters).status;
    assert_eq!(set(json!({"Identity": JOHANNA, "AutoReplyState": "Enabled"})), 400);
    assert_eq!(set(json!({"Identity": JOHANNA, "AutoReplyState": "Enabled", "InternalMessage": "Away"})), 200);
}

#[test]
fn sweep_rules_and_mobile_devices_are_seen_nowhere_else() {
    let client = Client::new();
    let sweep = client.rows("Get-SweepRule", &json!({"Mailbox": JOHANNA}))[0].clone();
    warnings(&client, "Disable-SweepRule", &json!({"Identity": sweep["Identity"]}));
    assert_eq!(client.rows("Get-SweepRule", &json!({"Mailbox": JOHANNA}))[0]["Enabled"], false);
    let device = client.rows("Get-MobileDevice", &json!({"Mailbox": JOHANNA}))[0]["Identity"].clone();
    assert!(device.as_str().unwrap().contains('\u{a7}'));
    warnings(&client, "Remove-MobileDevice", &json!({"Identity": device}));
    assert!(client.rows("Get-MobileDevice", &json!({"Mailbox": JOHANNA})).is_empty());
}

#[test]
fn a_connector_in_test_mode_is_hidden_and_a_transport_rule_is_switched() {
    let client = Client::new();
    assert_eq!(client.rows("Get-OutboundConnector", &json!({})).len(), 1);
    assert_eq!(client.rows("Get-OutboundConnector", &json!({"IncludeTestModeConnectors": true})).len(), 2);
    warnings(&client, "Set-OutboundConnector", &json!({"Identity": "Partner relay", "Enabled": false}));
    warnings(&client, "Disable-TransportRule", &json!({"Identity": "External sender banner"}));
    assert_eq!(client.rows("Get-TransportRule", &json!({}))[0]["State"], "Disabled");
    assert_eq!(client.cmdlet("Disable-TransportRule", &json!({"Identity": "Nothing"})).status, 404);
}

#[test]
fn the_unified_log_has_cmdlets_with_strings_and_operations_with_dots() {
    let client = Client::new();
    let rule = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}))[0]["Identity"].clone();
    client.rows("Disable-InboxRule", &json!({"Identity": rule, "Force": true}));
    client.tenant.clock().advance(jiff::SignedDuration::from_secs(1));
    let search = |more: Value| {
        let mut parameters = json!({"StartDate": "2023-12-12", "EndDate": "2023-12-13", "ResultSize": 5000});
        parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        client.cmdlet("Search-UnifiedAuditLog", &parameters)
    };
    let rows = |more: Value| search(more).body_json()["value"].as_array().unwrap().clone();
    let found = rows(json!({"RecordType": "ExchangeAdmin"}));
    let data: Value = serde_json::from_str(found[0]["AuditData"].as_str().unwrap()).unwrap();
    assert_eq!(data["Operation"], "Disable-InboxRule");
    assert_eq!(data["CreationTime"], "2023-12-12T15:00:00");
    assert!(data["ObjectId"].as_str().unwrap().starts_with("johanna\\"));
    let parameters = data["Parameters"].as_array().unwrap();
    assert!(parameters.contains(&json!({"Name": "Force", "Value": "True"})));
    let consent = rows(json!({"Operations": ["Consent to application."]}));
    assert_eq!(consent[0]["UserIds"], JOHANNA);
    assert_eq!(search(json!({"UserIds": JOHANNA})).status, 400);
    assert_eq!(rows(json!({"UserIds": [JOHANNA.to_uppercase()], "ResultSize": 2})).len(), 2);
}

#[test]
fn graph_shows_the_rules_that_it_can_express_and_resolves_their_recipients() {
    let client = Client::new();
    let path = format!("/users/{JOHANNA}/mailFolders/inbox/messageRules");
    let rules = client.json(&path)["value"].as_array().unwrap().clone();
    let names: Vec<&str> = rules.iter().map(|rule| rule["displayName"].as_str().unwrap()).collect();
    assert_eq!(names, ["..", "Newsletters"], "neither hidden nor client-side nor system rules");
    assert_eq!(rules[0]["conditions"]["bodyOrSubjectContains"], json!(["Re: REVISED INVOICE"]));
    let one = format!("{path}/{}", rules[0]["id"].as_str().unwrap().replace('/', "%2F"));
    let patched = client.write("PATCH", &one, &json!({"isEnabled": false}));
    assert_eq!((patched.status, &patched.body_json()["isEnabled"]), (200, &json!(false)));
    let exchange = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}));
    assert_eq!((&exchange[0]["Enabled"], exchange.len()), (&json!(false), 2));
    assert_eq!((client.delete(&one).status, client.get(&one).status), (204, 404));
}

#[test]
fn a_rule_that_graph_cannot_express_is_read_only_and_empty() {
    let client = Client::new();
    let parameters = json!({"Mailbox": JOHANNA, "Name": "pin", "PinMessage": true, "SubjectContainsWords": ["x"]});
    client.rows("New-InboxRule", &parameters);
    let path = format!("/users/{JOHANNA}/mailFolders/inbox/messageRules");
    let rule = client.json(&path)["value"][0].clone();
    assert_eq!((&rule["isReadOnly"], rule.get("actions")), (&json!(true), None));
    let one = format!("{path}/{}", rule["id"].as_str().unwrap().replace('/', "%2F"));
    assert_eq!(client.write("PATCH", &one, &json!({"isEnabled": false})).status, 403);
    let missing = client.get("/users/kiosk@sunnyside08.example/mailFolders/inbox/messageRules");
    assert_eq!((missing.status, code(&missing).as_str()), (404, "MailboxNotEnabledForRESTAPI"));
}

#[test]
fn an_audit_query_is_waited_for_and_may_exist_in_beta_only() {
    let client = Client::new();
    client.tenant.set(|settings| settings.audit_query_milliseconds = 30_000);
    let body = json!({"operationFilters": ["Consent to application."], "filterStartDateTime": "2023-12-01T00:00:00Z"});
    let made = client.write("POST", "/security/auditLog/queries", &body);
    assert_eq!((made.status, &made.body_json()["status"]), (201, &json!("notStarted")));
    let path = format!("/security/auditLog/queries/{}", made.body_json()["id"].as_str().unwrap());
    assert_eq!(client.json(&path)["status"], "running");
    assert_eq!(client.get(&format!("{path}/records")).status, 400);
    client.tenant.clock().advance(jiff::SignedDuration::from_secs(30));
    assert_eq!(client.json(&path)["status"], "succeeded");
    let records = client.json(&format!("{path}/records"))["value"].as_array().unwrap().clone();
    assert_eq!((records.len(), &records[0]["userPrincipalName"]), (1, &json!(JOHANNA)));
    assert!(records[0]["auditData"]["ModifiedProperties"].is_array());
    client.tenant.set(|settings| settings.audit_queries_beta_only = true);
    let gone = client.get(&path);
    assert_eq!((gone.status, code(&gone).as_str()), (404, "UnknownError"));
    assert_eq!(client.send(mock_server::Request::new("GET", &format!("/beta{path}"))).status, 200);
    assert_eq!(client.write("POST", "/security/auditLog/queries", &json!({"serviceFilter": "Exchange"})).status, 404);
    client.tenant.set(|settings| settings.audit_queries_beta_only = false);
    assert_eq!(client.write("POST", "/security/auditLog/queries", &json!({"serviceFilter": "Exchange"})).status, 400);
}
