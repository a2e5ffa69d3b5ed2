//! Exchange objects that are read and set as property bags: per mailbox, and for the whole organisation.

use serde_json::{Map, Value, json};

use super::mailbox::{mailbox_of, named, server};
use super::reply::{Error, Row, Rows};
use super::{Cmdlet, Command, Run, note};
use crate::tenant::mailboxes::Mailbox;
use crate::tenant::state::Document;
use crate::tenant::world::World;

/// A kind of property bag that every mailbox has one of.
struct Bag {
    noun: &'static str,
    /// Each property with what it is at the start.
    defaults: fn() -> Value,
}

const BAGS: &[Bag] = &[
    Bag {
        noun: "CASMailbox",
        defaults: || {
            json!({
                "ActiveSyncEnabled": true, "ActiveSyncAllowedDeviceIDs": [], "ActiveSyncBlockedDeviceIDs": [],
                "EwsEnabled": null, "ImapEnabled": true, "MAPIEnabled": true, "MacOutlookEnabled": null,
                "OWAEnabled": true, "OWAforDevicesEnabled": true, "OneWinNativeOutlookEnabled": null,
                "OutlookMobileEnabled": null, "PopEnabled": true, "SmtpClientAuthenticationDisabled": null,
                "UniversalOutlookEnabled": true,
            })
        },
    },
    Bag {
        noun: "MailboxAutoReplyConfiguration",
        defaults: || {
            json!({
                "AutoReplyState": "Disabled", "ExternalAudience": "All", "ExternalMessage": null,
                "InternalMessage": null, "StartTime": null, "EndTime": null,
            })
        },
    },
    Bag {
        noun: "MailboxJunkEmailConfiguration",
        defaults: || {
            json!({
                "Enabled": true, "TrustedSendersAndDomains": [], "BlockedSendersAndDomains": [],
                "TrustedListsOnly": false, "ContactsTrusted": false, "TrustedRecipientsAndDomains": [],
            })
        },
    },
];

macro_rules! bag {
    ($noun:literal, $($property:literal),*) => {
        [
            Cmdlet {
                name: concat!("Get-", $noun), parameters: &["Identity", "ResultSize"], readable: true,
                run: Run::Read(|command, world| get_bag(command, world, $noun)),
            },
            Cmdlet {
                name: concat!("Set-", $noun), parameters: &["Identity", $($property),*], readable: false,
                run: Run::Write(|command, world| set_bag(command, world, $noun)),
            },
        ]
    };
}

const CAS: [Cmdlet; 2] = bag!(
    "CASMailbox",
    "ActiveSyncEnabled",
    "ActiveSyncAllowedDeviceIDs",
    "ActiveSyncBlockedDeviceIDs",
    "EwsEnabled",
    "ImapEnabled",
    "MAPIEnabled",
    "MacOutlookEnabled",
    "OWAEnabled",
    "OWAforDevicesEnabled",
    "OneWinNativeOutlookEnabled",
    "OutlookMobileEnabled",
    "PopEnabled",
    "SmtpClientAuthenticationDisabled",
    "UniversalOutlookEnabled"
);
const AUTO_REPLY: [Cmdlet; 2] = bag!(
    "MailboxAutoReplyConfiguration",
    "AutoReplyState",
    "ExternalAudience",
    "ExternalMessage",
    "InternalMessage",
    "StartTime",
    "EndTime"
);
const JUNK: [Cmdlet; 2] = bag!(
    "MailboxJunkEmailConfiguration",
    "Enabled",
    "TrustedSendersAndDomains",
    "BlockedSendersAndDomains",
    "TrustedListsOnly",
    "ContactsTrusted",
    "TrustedRecipientsAndDomains"
);

/// The bags' cmdlets.
pub(super) const CMDLETS: &[Cmdlet] = &[
    CAS[0],
    CAS[1],
    AUTO_REPLY[0],
    AUTO_REPLY[1],
    JUNK[0],
    JUNK[1],
    organization("Get-TransportRule", Run::Read(get_organization)),
    switch("Disable-TransportRule"),
    switch("Enable-TransportRule"),
    connector("Get-InboundConnector", Run::Read(get_organization)),
    connector("Get-OutboundConnector", Run::Read(get_organization)),
    connector("Set-InboundConnector", Run::Write(set_organization)),
    connector("Set-OutboundConnector", Run::Write(set_organization)),
    organization("Get-RemoteDomain", Run::Read(get_organization)),
    connector("Set-RemoteDomain", Run::Write(set_organization)),
    organization("Get-AdminAuditLogConfig", Run::Read(get_organization)),
    organization("Get-OrganizationConfig", Run::Read(get_organization)),
];

const fn organization(name: &'static str, run: Run) -> Cmdlet {
    Cmdlet { name, parameters: &["Identity", "ResultSize"], readable: true, run }
}

const fn connector(name: &'static str, run: Run) -> Cmdlet {
    let parameters = &[
        "Identity",
        "ResultSize",
        "Enabled",
        "AutoForwardEnabled",
        "IncludeTestModeConnectors",
        "IsTransportRuleScoped",
    ];
    Cmdlet { name, parameters, readable: true, run }
}

const fn switch(name: &'static str) -> Cmdlet {
    Cmdlet { name, parameters: &["Identity", "Mode"], readable: false, run: Run::Write(switch_organization) }
}

/// A mailbox's bag as it is: what was set over what it is at the start.
fn bag_of(mailbox: &Mailbox, noun: &str) -> Document {
    let defaults = BAGS.iter().find(|bag| bag.noun == noun).map(|bag| (bag.defaults)()).unwrap_or_default();
    let mut bag = defaults.as_object().cloned().unwrap_or_default();
    if let Some(set) = mailbox.settings.get(noun) {
        bag.extend(set.clone());
    }
    bag
}

fn get_bag(command: &Command<'_>, world: &World, noun: &'static str) -> Result<Rows, Error> {
    let rows = named(command, &world.state, "Identity")?.into_iter().map(|mailbox| {
        let row = Row::default()
            .text("Identity", mailbox.display_name.as_str())
            .guid("Guid", &mailbox.guid)
            .text("PrimarySmtpAddress", mailbox.primary_smtp_address.as_str());
        properties(row, &bag_of(mailbox, noun))
    });
    Ok(Rows::of(rows.collect()))
}

fn properties(mut row: Row, bag: &Map<String, Value>) -> Row {
    for (name, value) in bag.iter().filter(|(name, _)| !name.starts_with('_')) {
        row = match value {
            Value::Array(values) => row.list(name, values.clone()),
            value => row.text(name, value.clone()),
        };
    }
    row
}

fn set_bag(command: &Command<'_>, world: &mut World, noun: &'static str) -> Result<Rows, Error> {
    let mailbox = mailbox_of(command, &world.state)?;
    let (user_id, name, old) = (mailbox.user_id.clone(), mailbox.display_name.clone(), bag_of(mailbox, noun));
    let new = changed(command, &old)?;
    if noun == "MailboxAutoReplyConfiguration"
        && new.get("AutoReplyState") == Some(&json!("Enabled"))
        && new.get("InternalMessage").is_none_or(Value::is_null)
    {
        return Err(Error::argument("InternalMessage is required when automatic replies are enabled."));
    }
    if new == old {
        return Ok(Rows::unchanged(&name));
    }
    if let Some(mailbox) = world.state.mailboxes.get_mut(&user_id) {
        mailbox.settings.insert(noun.to_owned(), new);
    }
    note(command, world, &user_id);
    Ok(Rows::default())
}

/// The bag with the parameters of the call; a tagged hashtable adds to a list and takes from it.
pub(super) fn changed(command: &Command<'_>, old: &Document) -> Result<Document, Error> {
    let mut new = old.clone();
    for (key, value) in &command.parameters {
        let Some(name) = old.keys().find(|name| name.eq_ignore_ascii_case(key)).cloned() else {
            continue;
        };
        let known = old.get(&name).cloned().unwrap_or_default();
        new.insert(name, applied(&known, value)?);
    }
    Ok(new)
}

/// A value, or a list with additions and removals.
pub(super) fn applied(known: &Value, value: &Value) -> Result<Value, Error> {
    match (known, value) {
        (Value::Array(known), Value::Object(change)) => {
            if change.get("@odata.type").and_then(Value::as_str) != Some("#Exchange.GenericHashTable") {
                return Err(Error::new(
                    "",
                    "System.Management.Automation.ParameterBindingArgumentTransformationException",
                    "Cannot convert the JObject to a multi-valued property.",
                ));
            }
            let list = |name: &str| change.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
            let (added, removed) = (list("add"), list("remove"));
            let kept = known.iter().filter(|value| !removed.contains(value));
            let fresh = added.iter().filter(|value| !known.contains(value));
            Ok(kept.chain(fresh).cloned().collect())
        }
        (Value::Array(_), Value::String(_)) => Err(Error::new(
            "",
            "System.Management.Automation.ParameterBindingArgumentTransformationException",
            "A collection is expected.",
        )),
        (Value::Array(_), Value::Null) => Ok(json!([])),
        (_, value) => Ok(value.clone()),
    }
}

/// What a cmdlet of the organisation is about: the noun.
fn noun_of(command: &Command<'_>) -> &'static str {
    command.cmdlet.name.split_once('-').map_or("", |(_, noun)| noun)
}

/// The objects of a noun that the call names, with their keys.
fn organization_of(command: &Command<'_>, world: &World) -> Result<Vec<(String, Document)>, Error> {
    let noun = noun_of(command);
    let all = world.state.exchange_objects.iter().filter(|(key, _)| key.split('/').next() == Some(noun));
    let all = all.map(|(key, row)| (key.to_owned(), row.clone()));
    let Some(identity) = command.text("Identity") else {
        return Ok(all.collect());
    };
    let is_named = |row: &Document| {
        ["Identity", "Name", "Guid"]
            .iter()
            .any(|name| row.get(*name).and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case(&identity)))
    };
    let found: Vec<(String, Document)> = all.filter(|(_, row)| is_named(row)).collect();
    if found.is_empty() { Err(Error::not_found(&identity, &server(&world.state))) } else { Ok(found) }
}

fn get_organization(command: &Command<'_>, world: &World) -> Result<Rows, Error> {
    let rows = organization_of(command, world)?;
    // Connectors in test mode, and those that a transport rule scopes, come only when asked for.
    let special = [("_TestMode", "IncludeTestModeConnectors"), ("_RuleScoped", "IsTransportRuleScoped")];
    let shown = rows
        .into_iter()
        .filter(|(_, row)| special.iter().all(|(mark, switch)| !row.contains_key(*mark) || command.flag(switch)));
    Ok(Rows::of(shown.map(|(_, row)| properties(Row::default(), &row)).collect()))
}

fn one_of(command: &Command<'_>, world: &World) -> Result<(String, Document), Error> {
    if command.get("Identity").is_none() {
        return Err(Error::argument("The Identity parameter is required."));
    }
    organization_of(command, world)?.pop().ok_or_else(|| Error::argument("The object is not known."))
}

fn store(command: &Command<'_>, world: &mut World, key: &str, old: &Document, new: Document) -> Rows {
    if &new == old {
        return Rows::unchanged(&command.text("Identity").unwrap_or_default());
    }
    world.state.exchange_objects.insert(key, new);
    note(command, world, key);
    Rows::default()
}

fn set_organization(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let (key, old) = one_of(command, world)?;
    let new = changed(command, &old)?;
    let new = new.into_iter().map(|(name, value)| {
        if name == "Identity" { (name, old.get("Identity").cloned().unwrap_or_default()) } else { (name, value) }
    });
    Ok(store(command, world, &key, &old, new.collect()))
}

fn switch_organization(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let (key, old) = one_of(command, world)?;
    let mut new = old.clone();
    let state = if command.cmdlet.name.starts_with("Enable") { "Enabled" } else { "Disabled" };
    new.insert("State".to_owned(), state.into());
    Ok(store(command, world, &key, &old, new))
}
