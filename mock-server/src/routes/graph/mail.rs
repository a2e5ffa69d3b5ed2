//! Mailboxes through Graph: the rules that it can see, and the mailbox's settings.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::DIRECTORY;
use super::users::user_of;
use crate::access::Access;
use crate::odata::select::Shape;
use crate::reply::{Fail, Outcome, no_content, ok};
use crate::routes::call::Call;
use crate::routes::table::{Route, get, write};
use crate::tenant::mailboxes::{InboxRule, Mailbox, RuleClass};
use crate::tenant::stamp::Stamp;
use crate::tenant::state::State;
use crate::tenant::unified::Record;
use crate::tenant::world::World;

const READ: Access = Access::any(&["MailboxSettings.Read", "MailboxSettings.ReadWrite"]);
const WRITE: Access = Access::any(&["MailboxSettings.ReadWrite"]);

pub(super) const ROUTES: &[Route] = &[
    get("/users/{}/mailFolders/inbox/messageRules", READ, list),
    get("/users/{}/mailFolders/inbox/messageRules/{}", READ, read),
    write("PATCH", "/users/{}/mailFolders/inbox/messageRules/{}", WRITE, patch),
    write("DELETE", "/users/{}/mailFolders/inbox/messageRules/{}", WRITE, delete),
    get("/users/{}/mailboxSettings", READ, settings),
    write("PATCH", "/users/{}/mailboxSettings", WRITE, patch_settings),
];

const RULE: Shape = Shape { type_name: "messageRule", defaults: None, unmodelled: &[] };

/// Conditions that Graph can express, with its names.
const CONDITIONS: &[(&str, &str)] = &[
    ("BodyContainsWords", "bodyContains"),
    ("SubjectContainsWords", "subjectContains"),
    ("SubjectOrBodyContainsWords", "bodyOrSubjectContains"),
    ("FromAddressContainsWords", "senderContains"),
    ("HeaderContainsWords", "headerContains"),
    ("RecipientAddressContainsWords", "recipientContains"),
    ("HasAttachment", "hasAttachments"),
    ("SentOnlyToMe", "sentOnlyToMe"),
    ("From", "fromAddresses"),
    ("SentTo", "sentToAddresses"),
];

/// Actions that Graph can express, with its names.
const ACTIONS: &[(&str, &str)] = &[
    ("ApplyCategory", "assignCategories"),
    ("CopyToFolder", "copyToFolder"),
    ("MoveToFolder", "moveToFolder"),
    ("DeleteMessage", "delete"),
    ("ForwardTo", "forwardTo"),
    ("ForwardAsAttachmentTo", "forwardAsAttachmentTo"),
    ("RedirectTo", "redirectTo"),
    ("MarkAsRead", "markAsRead"),
    ("StopProcessingRules", "stopProcessingRules"),
];

fn mailbox_of<'a>(call: &Call<'_>, state: &'a State) -> Result<&'a Mailbox, Fail> {
    let user = user_of(call, state)?;
    state.mailboxes.get(&user.id).ok_or_else(|| {
        Fail::graph(
            404,
            "MailboxNotEnabledForRESTAPI",
            "The mailbox is either inactive, soft-deleted, or is hosted on-premise.",
        )
    })
}

/// Hidden rules, the service's own, and those that live in Outlook are not in Graph.
fn visible(mailbox: &Mailbox) -> impl Iterator<Item = (usize, &InboxRule)> {
    mailbox.rules.iter().enumerate().filter(|(_, rule)| rule.class == RuleClass::Ordinary)
}

fn rule_id(rule: &InboxRule) -> String {
    STANDARD.encode(rule.rule_identity.to_le_bytes())
}

/// A rule with a part that Graph cannot express is read-only there, and shows no part at all.
fn is_read_only(rule: &InboxRule) -> bool {
    let known = |name: &String| {
        let base = name.trim_start_matches("ExceptIf");
        CONDITIONS.iter().any(|(exchange, _)| *exchange == base) || ACTIONS.iter().any(|(exchange, _)| exchange == name)
    };
    !rule.parameters.keys().all(known)
}

fn wire(state: &State, rule: &InboxRule, at: usize) -> Map<String, Value> {
    let read_only = is_read_only(rule);
    let mut row = Map::new();
    row.insert("id".to_owned(), rule_id(rule).into());
    row.insert("displayName".to_owned(), rule.name.clone().into());
    row.insert("sequence".to_owned(), (at + 1).into());
    row.insert("isEnabled".to_owned(), rule.enabled.into());
    row.insert("hasError".to_owned(), rule.in_error.into());
    row.insert("isReadOnly".to_owned(), read_only.into());
    if !read_only {
        row.insert("conditions".to_owned(), part(state, rule, CONDITIONS, ""));
        row.insert("actions".to_owned(), part(state, rule, ACTIONS, ""));
        if rule.parameters.keys().any(|name| name.starts_with("ExceptIf")) {
            row.insert("exceptions".to_owned(), part(state, rule, CONDITIONS, "ExceptIf"));
        }
    }
    row
}

fn part(state: &State, rule: &InboxRule, names: &[(&str, &str)], prefix: &str) -> Value {
    let shown = names.iter().filter_map(|(exchange, graph)| {
        let value = rule.parameters.get(&format!("{prefix}{exchange}"))?;
        let value = match *graph {
            "fromAddresses" | "sentToAddresses" | "forwardTo" | "forwardAsAttachmentTo" | "redirectTo" => {
                value.as_array()?.iter().filter_map(Value::as_str).map(|text| recipient(state, text)).collect()
            }
            // Graph shows folders by id.
            "moveToFolder" | "copyToFolder" => json!(STANDARD.encode(value.as_str()?)),
            _ => value.clone(),
        };
        Some(((*graph).to_owned(), value))
    });
    Value::Object(shown.collect())
}

/// Graph resolves what a rule keeps without an address.
fn recipient(state: &State, text: &str) -> Value {
    let name = text.split('"').nth(1).unwrap_or_default();
    let inside = text.split_once('[').map_or("", |(_, rest)| rest.trim_end_matches(']'));
    let address = match inside.split_once(':') {
        Some(("SMTP", address)) => address.to_owned(),
        _ => state
            .mailboxes
            .values()
            .find(|mailbox| mailbox.display_name == name)
            .map(|mailbox| mailbox.primary_smtp_address.clone())
            .unwrap_or_default(),
    };
    json!({"emailAddress": {"name": name, "address": address}})
}

fn list(call: &Call<'_>, world: &World) -> Outcome {
    let mailbox = mailbox_of(call, &world.state)?;
    let rows = visible(mailbox).map(|(at, rule)| (rule_id(rule), wire(&world.state, rule, at))).collect();
    call.collection(&format!("users('{}')/mailFolders('inbox')/messageRules", mailbox.user_id), &RULE, rows, DIRECTORY)
}

fn rule_of<'a>(call: &Call<'_>, mailbox: &'a Mailbox) -> Result<(usize, &'a InboxRule), Fail> {
    let id = call.key(1)?;
    visible(mailbox)
        .find(|(_, rule)| rule_id(rule) == id)
        .ok_or_else(|| Fail::graph(404, "ErrorItemNotFound", "The specified object was not found in the store."))
}

fn read(call: &Call<'_>, world: &World) -> Outcome {
    let mailbox = mailbox_of(call, &world.state)?;
    let (at, rule) = rule_of(call, mailbox)?;
    call.entity("users/mailFolders/messageRules", &RULE, wire(&world.state, rule, at))
}

fn writable(call: &Call<'_>, world: &World) -> Result<(String, u64), Fail> {
    let mailbox = mailbox_of(call, &world.state)?;
    let (_, rule) = rule_of(call, mailbox)?;
    if is_read_only(rule) {
        return Err(Fail::graph(403, "ErrorAccessDenied", "The rule is read-only and cannot be modified or deleted."));
    }
    Ok((mailbox.user_id.clone(), rule.rule_identity))
}

/// Answers 200 with the rule, unlike most changes.
fn patch(call: &Call<'_>, world: &mut World) -> Outcome {
    let (user_id, id) = writable(call, world)?;
    let body = call.body()?;
    let enabled = match (body.len(), body.get("isEnabled")) {
        (1, Some(Value::Bool(enabled))) => *enabled,
        _ => {
            return Err(Fail::graph(400, "ErrorInvalidRequest", "Only isEnabled can be changed in this tenant."));
        }
    };
    let same =
        world.state.mailboxes.get(&user_id).is_some_and(|mailbox| {
            mailbox.rules.iter().any(|rule| rule.rule_identity == id && rule.enabled == enabled)
        });
    if !same {
        if let Some(rule) = world.state.mailboxes.get_mut(&user_id).and_then(|mailbox| mailbox.rule_mut(id)) {
            rule.enabled = enabled;
        }
        note(call, world, &user_id, "Set-InboxRule");
    }
    read(call, world)
}

fn delete(call: &Call<'_>, world: &mut World) -> Outcome {
    let (user_id, id) = writable(call, world)?;
    if let Some(mailbox) = world.state.mailboxes.get_mut(&user_id) {
        mailbox.rules.retain(|rule| rule.rule_identity != id);
    }
    note(call, world, &user_id, "Remove-InboxRule");
    Ok(no_content())
}

fn note(call: &Call<'_>, world: &mut World, user_id: &str, operation: &str) {
    let alias = world.state.mailboxes.get(user_id).map(|mailbox| mailbox.alias.clone()).unwrap_or_default();
    let record = Record {
        id: world.named(&format!("ual/{}", call.id)),
        time: call.now,
        record_type: (1, "ExchangeAdmin"),
        operation: operation.to_owned(),
        workload: "Exchange",
        user_id: call.caller.app_name.clone(),
        user_key: call.caller.object_id.clone(),
        user_type: (5, "Application"),
        object_id: format!("{alias}\\{}", call.key(1).unwrap_or_default()),
        result: "True",
        client_ip: None,
        client_request_id: call.request.get_header("client-request-id").map(str::to_owned),
        data: json!({"AppId": call.caller.app_id, "ClientInfoString": "Client=REST;"}),
    };
    world.unified.push(record);
}

/// The words of Exchange and of Graph for the state of automatic replies.
const REPLIES: [(&str, &str); 3] = [("Disabled", "disabled"), ("Enabled", "alwaysEnabled"), ("Scheduled", "scheduled")];

fn settings(call: &Call<'_>, world: &World) -> Outcome {
    let mailbox = mailbox_of(call, &world.state)?;
    let bag = mailbox.settings.get("MailboxAutoReplyConfiguration");
    let member = |name: &str| bag.and_then(|bag| bag.get(name)).cloned().unwrap_or_default();
    let state = member("AutoReplyState");
    let status =
        REPLIES.iter().find(|(exchange, _)| Some(*exchange) == state.as_str()).map_or("disabled", |(_, graph)| graph);
    let time = |stamp: Stamp| json!({"dateTime": stamp.ticks().trim_end_matches('Z'), "timeZone": "UTC"});
    Ok(ok(&json!({
        "@odata.context": call.context(&format!("users('{}')/mailboxSettings", mailbox.user_id)),
        "archiveFolder": null, "timeZone": "UTC", "dateFormat": "yyyy-MM-dd", "timeFormat": "HH:mm",
        "delegateMeetingMessageDeliveryOptions": "sendToDelegateOnly", "userPurpose": "user",
        "automaticRepliesSetting": {
            "status": status, "externalAudience": "all", "internalReplyMessage": member("InternalMessage"),
            "externalReplyMessage": member("ExternalMessage"),
            "scheduledStartDateTime": time(call.now), "scheduledEndDateTime": time(call.now),
        },
        "language": {"locale": "en-US", "displayName": "English (United States)"},
    })))
}

fn patch_settings(call: &Call<'_>, world: &mut World) -> Outcome {
    let user_id = mailbox_of(call, &world.state)?.user_id.clone();
    let body = call.body()?;
    let wanted = body.get("automaticRepliesSetting").and_then(|setting| setting.get("status")).and_then(Value::as_str);
    let state = REPLIES.iter().find(|(_, graph)| Some(*graph) == wanted).map(|(exchange, _)| *exchange);
    let state =
        state.ok_or_else(|| Fail::graph(400, "ErrorInvalidRequest", "automaticRepliesSetting needs a status."))?;
    let same = world.state.mailboxes.get(&user_id).is_some_and(|mailbox| {
        let bag = mailbox.settings.get("MailboxAutoReplyConfiguration");
        bag.and_then(|bag| bag.get("AutoReplyState")).and_then(Value::as_str).unwrap_or("Disabled") == state
    });
    if !same {
        if let Some(mailbox) = world.state.mailboxes.get_mut(&user_id) {
            let bag = mailbox.settings.entry("MailboxAutoReplyConfiguration".to_owned()).or_default();
            bag.insert("AutoReplyState".to_owned(), state.into());
        }
        note(call, world, &user_id, "Set-MailboxAutoReplyConfiguration");
    }
    settings(call, world)
}
