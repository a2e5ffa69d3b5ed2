//! What Exchange's cmdlets write into the unified audit log.

use serde_json::{Value, json};

use super::Command;
use crate::tenant::stamp::Stamp;
use crate::tenant::unified::Record;
use crate::tenant::world::World;

/// An `ExchangeAdmin` record of a cmdlet that changed something; for a rule cmdlet also the trace that it leaves in the
/// mailbox. `object` is a user's id, or the key of an object of the organisation.
pub(super) fn note(command: &Command<'_>, world: &mut World, object: &str) {
    let mailbox = world.state.mailboxes.get(object);
    let alias = mailbox.map_or_else(|| object.to_owned(), |mailbox| mailbox.alias.clone());
    let rule = command.text("Identity").or_else(|| command.text("Name")).unwrap_or_default();
    let object_id = match command.cmdlet.name.ends_with("InboxRule") {
        true => format!("{alias}\\{}", rule.rsplit('\\').next().unwrap_or_default()),
        false => alias,
    };
    let parameters: Vec<Value> =
        command.parameters.iter().map(|(name, value)| json!({"Name": name, "Value": flat(value)})).collect();
    let data = json!({
        "Parameters": parameters, "ExternalAccess": false, "AppId": command.caller.app_id,
        "ClientAppId": command.caller.app_id, "OrganizationName": world.state.organization.domain,
        "OriginatingServer": "OS3P286MB1255 (15.20.7068.030)\r\n",
        "AppAccessContext": {
            "IssuedAtTime": Stamp(command.caller.issued).seconds().trim_end_matches('Z'),
            "UniqueTokenId": command.caller.unique_id,
        },
    });
    let record = Record {
        id: world.named(&format!("ual/{}", command.id)),
        time: command.now,
        record_type: (1, "ExchangeAdmin"),
        operation: command.cmdlet.name.to_owned(),
        workload: "Exchange",
        user_id: command.caller.app_name.clone(),
        user_key: command.caller.object_id.clone(),
        user_type: (5, "Application"),
        object_id,
        result: "True",
        client_ip: None,
        client_request_id: Some(command.client_id.clone()),
        data,
    };
    world.unified.push(record);
}

/// The mailbox's own record of Outlook's rules that a rule cmdlet destroyed.
pub(super) fn note_dropped(command: &Command<'_>, world: &mut World, user_id: &str) {
    let owner = world.state.mailboxes.get(user_id).map(|mailbox| mailbox.user_principal_name.clone());
    let data = json!({
        "LogonType": 1, "InternalLogonType": 0, "ExternalAccess": false, "MailboxOwnerUPN": owner,
        "ClientInfoString": "Client=WebServices;Action=DeleteOutlookRuleBlob",
        "AffectedItems": [{"Subject": "Outlook Rules Organizer", "ParentFolder": {"Path": "\\Inbox"}}],
        "Folder": {"Path": "\\Inbox"},
    });
    let record = Record {
        id: world.named(&format!("ual/{}/blob", command.id)),
        time: command.now,
        record_type: (3, "ExchangeItemGroup"),
        operation: "HardDelete".to_owned(),
        workload: "Exchange",
        user_id: command.caller.app_name.clone(),
        user_key: command.caller.object_id.clone(),
        user_type: (5, "Application"),
        object_id: owner.unwrap_or_default(),
        result: "Succeeded",
        client_ip: None,
        client_request_id: Some(command.client_id.clone()),
        data,
    };
    world.unified.push(record);
}

/// Parameters are strings in the log, lists joined by a semicolon.
fn flat(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::Null => String::new(),
        Value::Array(values) => values.iter().map(flat).collect::<Vec<_>>().join(";"),
        other => other.to_string(),
    }
}
