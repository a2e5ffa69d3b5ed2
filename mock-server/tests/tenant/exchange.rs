//! Exchange cmdlets.

use mock_server::Request;
use serde_json::{Value, json};

use crate::support::{Client, JOHANNA, aitm};

#[test]
fn hidden_rules_need_the_switch_and_ids_keep_every_digit() {
    let client = Client::new();
    let visible = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}));
    let all = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA, "IncludeHidden": true}));
    let names = |rows: &[Value]| rows.iter().map(|r| r["Name"].as_str().unwrap().to_owned()).collect::<Vec<_>>();
    assert_eq!(names(&visible), ["..", "Newsletters"]);
    assert_eq!(names(&all), ["..", ".", "Newsletters", "Junk E-mail Rule"]);
    let rogue = &all[0];
    assert_eq!(rogue["RuleIdentity"].as_u64(), Some(15_394_007_230_974_001_153));
    assert!(rogue["Identity"].as_str().unwrap().ends_with("\\15394007230974001153"));
    assert_eq!(rogue["RuleIdentity@data.type"], "System.UInt64");
    assert_eq!(rogue["MoveToFolder"], "Deleted Items");
    assert_eq!(rogue["DeleteMessage"], false);
    assert_eq!(all[1]["ForwardTo"][0], "\"attacker@collector.example\" [SMTP:attacker@collector.example]");
}

#[test]
fn disabling_a_rule_is_read_back_and_loses_the_client_side_ones() {
    let client = Client::new();
    let identity = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}))[0]["Identity"].clone();
    let both = client.cmdlet("Disable-InboxRule", &json!({"Identity": identity, "Mailbox": JOHANNA}));
    assert_eq!(both.status, 400);
    assert_eq!(
        both.body_json()["error"]["innererror"]["internalexception"]["message"],
        "You can't use both the Identity and Mailbox parameters to specify a mailbox."
    );
    let target = json!({"Identity": identity, "Confirm": false, "Force": true});
    let answer = client.cmdlet("Disable-InboxRule", &target).body_json();
    assert_eq!((&answer["value"], &answer["@adminapi.warnings"]), (&json!([]), &json!([])));
    let rules = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA, "IncludeHidden": true}));
    assert_eq!(rules[0]["Enabled"], false);
    let grady = json!({"Mailbox": "grady@sunnyside08.example"});
    let before = client.rows("Get-InboxRule", &grady);
    assert!(before.iter().any(|rule| rule["Name"] == "Play a sound for the boss"));
    client.cmdlet("Disable-InboxRule", &json!({"Identity": before[0]["Identity"], "Confirm": false, "Force": true}));
    let after = client.rows("Get-InboxRule", &grady);
    assert_eq!(after.len(), before.len() - 1);
    assert!(!after.iter().any(|rule| rule["Name"] == "Play a sound for the boss"));
    let again = client.cmdlet("Disable-InboxRule", &target).body_json();
    assert!(again["@adminapi.warnings"][0].as_str().unwrap().contains("no settings of"));
    assert!(!client.tenant.requests().last().unwrap().mutated);
    assert_eq!(client.cmdlet("Enable-InboxRule", &target).status, 200);
    assert_eq!(client.rows("Get-InboxRule", &json!({"Identity": identity}))[0]["Enabled"], true);
}

#[test]
fn a_removed_rule_is_not_found_and_comes_back_under_a_new_id() {
    let client = Client::new();
    let old = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}))[0].clone();
    let target = json!({"Identity": old["Identity"], "Confirm": false, "Force": true});
    assert_eq!(client.rows("Remove-InboxRule", &target), Vec::<Value>::new());
    let gone = client.cmdlet("Remove-InboxRule", &target);
    assert_eq!(gone.status, 404);
    let triple = gone.body_json()["error"]["details"][0]["message"].as_str().unwrap().to_owned();
    assert!(
        triple.starts_with("Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|"),
        "{triple}"
    );
    assert_eq!(gone.body_json()["error"]["message"], "Error executing cmdlet");
    let parameters = json!({
        "Mailbox": JOHANNA, "Name": old["Name"], "MoveToFolder": old["MoveToFolder"], "MarkAsRead": true,
        "SubjectOrBodyContainsWords": old["SubjectOrBodyContainsWords"], "Priority": 1,
    });
    client.rows("New-InboxRule", &parameters);
    let new = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}))[0].clone();
    assert_eq!(new["Name"], "..");
    assert_ne!(new["RuleIdentity"], old["RuleIdentity"]);
}

#[test]
fn a_delegate_rule_refuses_and_an_unknown_mailbox_is_named() {
    let client = Client::new();
    let rules = client.rows("Get-InboxRule", &json!({"Mailbox": "grady@sunnyside08.example", "IncludeHidden": true}));
    let delegate = rules.iter().find(|r| r["Name"].as_str().unwrap().starts_with("Delegate Rule")).unwrap();
    assert_eq!(client.cmdlet("Disable-InboxRule", &json!({"Identity": delegate["Identity"]})).status, 400);
    let missing = client.cmdlet("Get-InboxRule", &json!({"Mailbox": "kiosk@sunnyside08.example"}));
    assert_eq!(missing.status, 404);
    client.tenant.set(|settings| settings.unknown_identity_is_all = true);
    let everybody = client.rows("Get-InboxRule", &json!({"Mailbox": "kiosk@sunnyside08.example"}));
    assert!(everybody.len() > rules.len());
}

#[test]
fn exchange_pages_by_post_and_counts_by_result_size() {
    let client = Client::new();
    let total = client.tenant.inspect(|state| state.mailboxes.len());
    let limited = client.cmdlet("Get-Mailbox", &json!({"ResultSize": 1})).body_json();
    assert_eq!(limited["value"].as_array().unwrap().len(), 1);
    assert!(limited["@adminapi.warnings"][0].as_str().unwrap().contains("ResultSize"));
    let request = client
        .cmdlet_request("Get-Mailbox", &json!({"ResultSize": "Unlimited"}))
        .header("Prefer", "odata.maxpagesize=7");
    let mut seen = 0;
    let mut next = request.clone();
    loop {
        let page = client.tenant.handle(&next).body_json();
        seen += page["value"].as_array().unwrap().len();
        let Some(link) = page["@odata.nextLink"].as_str() else {
            break;
        };
        next = Request { query: link.split_once('?').unwrap().1.to_owned(), ..request.clone() };
    }
    assert_eq!(seen, total);
    let row = &client.rows("Get-Mailbox", &json!({"Identity": JOHANNA}))[0];
    assert_eq!(row["ForwardingSmtpAddress"], Value::Null);
    assert_eq!(row["ExchangeGuid@data.type"], "System.Guid");
}

#[test]
fn exchange_refuses_in_steps() {
    let tenant = aitm();
    tenant.grant_only(&["User.Read.All"]);
    let parameters = json!({"Mailbox": JOHANNA});
    assert_eq!(Client::of(&tenant).cmdlet("Get-InboxRule", &parameters).status, 401);
    tenant.grant_all();
    tenant.assign_roles(&["Global Reader"]);
    let client = Client::of(&tenant);
    let refused = client.cmdlet("Get-InboxRule", &parameters);
    assert_eq!(refused.status, 403);
    assert!(!refused.body.is_empty() && refused.body.iter().all(|byte| *byte == 0));
    assert_eq!(client.cmdlet("Get-Mailbox", &json!({"Identity": JOHANNA})).status, 200);
    tenant.assign_roles(&["Exchange Administrator"]);
    let client = Client::of(&tenant);
    assert_eq!(client.cmdlet("Get-InboxRule", &parameters).status, 200);
    assert_eq!(client.cmdlet("Get-Nonsense", &json!({})).status, 403);
    assert_eq!(client.cmdlet("Get-InboxRule", &json!({"Mailbox": JOHANNA, "Nonsense": 1})).status, 400);
    let mut wrong = client.cmdlet_request("Get-InboxRule", &parameters);
    wrong.path = wrong.path.replace("/beta/", "/v1.0/");
    assert_eq!(tenant.handle(&wrong).status, 405);
}
