//! Quirks of Exchange and of its audit log that no other test of a cmdlet shows by the way.

use mock_server::faults::{Effect, Fault, Match};
use mock_server::{Request, Response};
use serde_json::{Value, json};

use crate::support::{Client, JOHANNA, aitm};

const GRADY: &str = "grady@sunnyside08.example";

/// The unified audit log from the incident on, with these parameters more.
fn search(client: &Client, more: &Value) -> Vec<Value> {
    client.tenant.clock().advance(jiff::SignedDuration::from_secs(1));
    let mut parameters = json!({"StartDate": "2023-12-12", "EndDate": "2023-12-13", "ResultSize": 5000});
    parameters.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    client.rows("Search-UnifiedAuditLog", &parameters)
}

fn data(row: &Value) -> Value {
    serde_json::from_str(row["AuditData"].as_str().unwrap()).unwrap()
}

fn rule_names(client: &Client, mailbox: &str) -> Vec<String> {
    let rows = client.rows("Get-InboxRule", &json!({"Mailbox": mailbox, "IncludeHidden": true}));
    rows.iter().map(|row| row["Name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_null_identity_is_everybody() {
    let client = Client::new();
    let all = client.rows("Get-Mailbox", &json!({"Identity": null, "ResultSize": "Unlimited"}));
    assert_eq!(all.len(), client.tenant.inspect(|state| state.mailboxes.len()));
}

#[test]
fn a_new_role_counts_with_a_new_token_only() {
    let tenant = aitm();
    tenant.assign_roles(&[]);
    let old = Client::of(&tenant);
    let status = |client: &Client| client.cmdlet("Get-InboxRule", &json!({"Mailbox": JOHANNA})).status;
    assert_eq!(status(&old), 403);
    tenant.assign_roles(&["Exchange Administrator"]);
    assert_eq!((status(&old), status(&Client::of(&tenant))), (403, 200));
}

#[test]
fn a_page_is_not_to_be_had_by_get_and_may_have_expired() {
    let client = Client::new();
    let first = client
        .cmdlet_request("Get-Mailbox", &json!({"ResultSize": "Unlimited"}))
        .header("Prefer", "odata.maxpagesize=5");
    let link = client.tenant.handle(&first).body_json()["@odata.nextLink"].as_str().unwrap().to_owned();
    let query = link.split_once('?').unwrap().1.to_owned();
    let next = Request { query, ..first };
    assert_eq!(client.tenant.handle(&Request { method: "GET".to_owned(), ..next.clone() }).status, 404);
    assert_eq!(client.tenant.handle(&next).status, 200);
    client.tenant.set(|settings| settings.exchange_pages_expire = true);
    let expired = client.tenant.handle(&next);
    assert_eq!(expired.status, 400);
    assert!(expired.body_json().to_string().contains("Expired or Invalid pagination request"));
}

#[test]
fn a_page_may_say_not_found_or_lead_away() {
    let client = Client::new();
    let request = client
        .cmdlet_request("Get-Mailbox", &json!({"ResultSize": "Unlimited"}))
        .header("Prefer", "odata.maxpagesize=5");
    let foreign = Effect::NextLink("https://collector.example/".to_owned());
    client.tenant.faults().add(Fault::once(Match::cmdlet("Get-Mailbox"), foreign));
    let first = client.tenant.handle(&request).body_json();
    assert!(first["@odata.nextLink"].as_str().unwrap().starts_with("https://collector.example/adminapi/"));
    let missing = Effect::Answer {
        status: 404,
        content_type: "application/json".to_owned(),
        body: json!({"error": {"code": "NotFound", "message": "Error executing cmdlet"}}).to_string(),
        applied: false,
    };
    client.tenant.faults().add(Fault::once(Match::cmdlet("Get-Mailbox"), missing));
    assert_eq!((client.tenant.handle(&request).status, client.tenant.handle(&request).status), (404, 200));
}

#[test]
fn a_name_is_kept_as_it_is_and_two_rules_may_share_it() {
    let client = Client::new();
    let twin = json!({"Mailbox": JOHANNA, "Name": "..", "MarkAsRead": true});
    assert_eq!(client.cmdlet("New-InboxRule", &twin).status, 200);
    let padded = json!({"Mailbox": JOHANNA, "Name": " ", "MarkAsRead": true});
    assert_eq!(client.cmdlet("New-InboxRule", &padded).status, 200);
    assert_eq!(rule_names(&client, JOHANNA), [" ", "..", "..", ".", "Newsletters", "Junk E-mail Rule"]);
    let by_name = client.cmdlet("Remove-InboxRule", &json!({"Mailbox": JOHANNA, "Identity": ".."}));
    assert_eq!(by_name.status, 400);
    assert!(by_name.body_json().to_string().contains("matches multiple entries"));
    assert_eq!(client.cmdlet("Remove-InboxRule", &json!({"Mailbox": JOHANNA, "Identity": " "})).status, 200);
    assert_eq!(rule_names(&client, JOHANNA).len(), 5);
}

#[test]
fn the_services_own_rule_is_removed_without_a_word() {
    let client = Client::new();
    let rules = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA, "IncludeHidden": true}));
    let junk = rules.iter().find(|rule| rule["Name"] == "Junk E-mail Rule").unwrap();
    let answer = client.cmdlet("Remove-InboxRule", &json!({"Identity": junk["Identity"]})).body_json();
    assert_eq!((&answer["value"], &answer["@adminapi.warnings"]), (&json!([]), &json!([])));
    assert!(!rule_names(&client, JOHANNA).contains(&"Junk E-mail Rule".to_owned()));
}

#[test]
fn disabling_a_rule_destroys_outlooks_and_logs_a_hard_delete() {
    let client = Client::new();
    let rule = client.rows("Get-InboxRule", &json!({"Mailbox": GRADY}))[0]["Identity"].clone();
    client.rows("Disable-InboxRule", &json!({"Identity": rule}));
    let found = search(&client, &json!({"Operations": ["HardDelete"]}));
    assert_eq!((found.len(), &found[0]["RecordType"]), (1, &json!("ExchangeItemGroup")));
    assert_eq!(data(&found[0])["AffectedItems"][0]["Subject"], "Outlook Rules Organizer");
    client.rows("Enable-InboxRule", &json!({"Identity": rule}));
    assert_eq!(search(&client, &json!({"Operations": ["HardDelete"]})).len(), 1, "there is nothing left to destroy");
}

#[test]
fn a_rule_made_again_is_enabled_first_and_has_other_recipients() {
    let client = Client::new();
    let old = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}))[1].clone();
    assert_eq!((&old["Name"], &old["Priority"]), (&json!("Newsletters"), &json!(3)));
    client.rows("Disable-InboxRule", &json!({"Identity": old["Identity"]}));
    client.rows("Remove-InboxRule", &json!({"Identity": old["Identity"]}));
    let again = json!({
        "Mailbox": JOHANNA, "Name": old["Name"], "MoveToFolder": old["MoveToFolder"],
        "ForwardTo": [GRADY, "someone@partner.example"],
    });
    client.rows("New-InboxRule", &again);
    let new = client.rows("Get-InboxRule", &json!({"Mailbox": JOHANNA}))[0].clone();
    assert_eq!((&new["Name"], &new["Priority"], &new["Enabled"]), (&json!("Newsletters"), &json!(1), &json!(true)));
    assert_ne!(new["RuleIdentity"], old["RuleIdentity"]);
    assert!(new["ForwardTo"][0].as_str().unwrap().starts_with("\"Grady\" [EX:/o=ExchangeLabs"), "no address inside");
    assert_eq!(new["ForwardTo"][1], "\"someone@partner.example\" [SMTP:someone@partner.example]");
}

#[test]
fn cmdlets_that_are_not_there_refuse_like_a_missing_role() {
    let client = Client::new();
    for name in ["Set-MobileDevice", "Clear-MobileDevice", "New-ComplianceSearchAction", "Search-Mailbox"] {
        let refused = client.cmdlet(name, &json!({"Identity": JOHANNA}));
        assert_eq!(refused.status, 403, "{name}");
        assert!(refused.body.iter().all(|byte| *byte == 0), "{name}");
    }
}

#[test]
fn a_folder_is_named_in_the_language_of_its_owner() {
    let client = Client::new();
    let folder = |name: &str| json!({"Identity": format!("{JOHANNA}:\\{name}"), "User": GRADY});
    assert!(client.rows("Get-MailboxFolderPermission", &folder("Kalender")).is_empty());
    let removed = client.cmdlet("Remove-MailboxFolderPermission", &folder("Kalender"));
    assert!(removed.status == 404 || !removed.body_json()["@adminapi.warnings"].as_array().unwrap().is_empty());
    assert_eq!(client.rows("Get-MailboxFolderPermission", &folder("Calendar")).len(), 1);
}

#[test]
fn a_new_rule_sent_twice_is_there_twice() {
    let client = Client::new();
    let effect = Effect::ServerError { status: 504, applied: true };
    client.tenant.faults().add(Fault::once(Match::cmdlet("New-InboxRule"), effect));
    let new = json!({"Mailbox": JOHANNA, "Name": "twice", "MarkAsRead": true});
    let send = || client.cmdlet("New-InboxRule", &new).status;
    assert_eq!((send(), send()), (504, 200));
    assert_eq!(rule_names(&client, JOHANNA).iter().filter(|name| *name == "twice").count(), 2);
}

#[test]
fn an_empty_page_of_the_log_is_a_success() {
    let client = Client::new();
    let parameters = json!({"StartDate": "2020-01-01", "EndDate": "2020-01-02"});
    let answer: Response = client.cmdlet("Search-UnifiedAuditLog", &parameters);
    let body = answer.body_json();
    assert_eq!((answer.status, &body["value"], &body["@adminapi.warnings"]), (200, &json!([]), &json!([])));
}

#[test]
fn a_session_brings_the_whole_log_in_pages_and_repeats_rows() {
    let client = Client::new();
    let total = search(&client, &json!({"SessionId": "all", "SessionCommand": "ReturnLargeSet"})).len();
    assert!(total > 10, "{total}");
    let cut = search(&client, &json!({"ResultSize": 4}));
    assert_eq!((cut.len(), &cut[0]["ResultCount"]), (4, &json!(4)), "the count is the page's");
    let pages = |session: &str| {
        let mut rows = Vec::new();
        loop {
            let more = json!({"SessionId": session, "SessionCommand": "ReturnLargeSet", "ResultSize": 4});
            let page = search(&client, &more);
            if page.is_empty() {
                break rows;
            }
            rows.extend(page.iter().map(|row| row["Identity"].as_str().unwrap().to_owned()));
        }
    };
    let mut ids = pages("one");
    assert_eq!(ids.len(), total);
    client.tenant.set(|settings| settings.audit_duplicates = true);
    let mut twice = pages("two");
    assert_eq!(twice.len(), 2 * total);
    twice.sort_unstable();
    twice.dedup();
    ids.sort_unstable();
    assert_eq!(twice, ids, "the same rows by their id");
    let no_session = json!({"StartDate": "2023-12-12", "EndDate": "2023-12-13", "SessionCommand": "ReturnLargeSet"});
    assert_eq!(client.cmdlet("Search-UnifiedAuditLog", &no_session).status, 400);
}

#[test]
fn a_secret_removed_and_a_secret_added_are_one_operation() {
    let client = Client::new();
    let id = client.tenant.incident().rogue.iter().find(|object| object.kind == "application").unwrap().id.clone();
    let path = format!("/applications/{id}");
    let key = client.json(&path)["passwordCredentials"][0]["keyId"].clone();
    let newest = || client.tenant.audit().last().unwrap()["activityDisplayName"].clone();
    assert_eq!(client.write("POST", &format!("{path}/removePassword"), &json!({"keyId": key})).status, 204);
    let removed = newest();
    assert_eq!(client.write("POST", &format!("{path}/addPassword"), &json!({"passwordCredential": {}})).status, 200);
    assert_eq!(newest(), removed);
}

#[test]
fn a_forwarding_taken_away_is_an_empty_value_in_the_log() {
    let client = Client::new();
    let set = |address: Value| {
        let parameters = json!({"Identity": JOHANNA, "ForwardingSmtpAddress": address});
        assert_eq!(client.cmdlet("Set-Mailbox", &parameters).status, 200);
    };
    set(json!("attacker@collector.example"));
    set(Value::Null);
    assert!(client.tenant.diff_from_seed().is_empty(), "the state does not remember");
    let values: Vec<Value> = search(&client, &json!({"Operations": ["Set-Mailbox"]}))
        .iter()
        .map(|row| {
            let parameters = data(row)["Parameters"].as_array().unwrap().clone();
            parameters.iter().find(|p| p["Name"] == "ForwardingSmtpAddress").unwrap()["Value"].clone()
        })
        .collect();
    assert_eq!(values.len(), 2);
    assert!(values.contains(&json!("")) && values.contains(&json!("attacker@collector.example")));
}
