//! Inbox rules.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::log::{note, note_dropped};
use super::mailbox::{legacy_dn, named, server};
use super::reply::{Error, Row, Rows};
use super::{Cmdlet, Command, Run};
use crate::tenant::mailboxes::{ACTIONS, CONDITIONS, InboxRule, Mailbox, RuleClass};
use crate::tenant::world::World;

pub(super) const CMDLETS: &[Cmdlet] = &[
    Cmdlet {
        name: "Get-InboxRule",
        parameters: &[
            "Identity",
            "Mailbox",
            "IncludeHidden",
            "ResultSize",
            "SkipCount",
            "BypassScopeCheck",
            "DescriptionTimeFormat",
            "DescriptionTimeZone",
        ],
        readable: false,
        run: Run::Read(get),
    },
    writing("Disable-InboxRule", TARGET, disable),
    writing("Enable-InboxRule", TARGET, enable),
    writing("Remove-InboxRule", TARGET, remove),
    writing("Set-InboxRule", SET, set),
    writing("New-InboxRule", NEW, new),
];

const fn writing(
    name: &'static str,
    parameters: &'static [&'static str],
    run: fn(&Command<'_>, &mut World) -> Result<Rows, Error>,
) -> Cmdlet {
    Cmdlet { name, parameters, readable: false, run: Run::Write(run) }
}

const TARGET: &[&str] = &["Identity", "Mailbox", "AlwaysDeleteOutlookRulesBlob"];

/// Conditions, exceptions and actions as parameters. An exception is a condition's name with a prefix.
macro_rules! rule_parameters {
    ($($own:literal),* $(,)?) => {
        &[
            $($own,)*
            "ApplyCategory", "ApplySystemCategory", "BodyContainsWords", "CopyToFolder", "DeleteMessage",
            "DeleteSystemCategory", "ExceptIfBodyContainsWords", "ExceptIfFlaggedForAction", "ExceptIfFrom",
            "ExceptIfFromAddressContainsWords", "ExceptIfFromSubscription", "ExceptIfHasAttachment",
            "ExceptIfHasClassification", "ExceptIfHeaderContainsWords", "ExceptIfMessageTypeMatches",
            "ExceptIfMyNameInCcBox", "ExceptIfMyNameInToBox", "ExceptIfMyNameInToOrCcBox",
            "ExceptIfMyNameNotInToBox", "ExceptIfReceivedAfterDate", "ExceptIfReceivedBeforeDate",
            "ExceptIfRecipientAddressContainsWords", "ExceptIfSentOnlyToMe", "ExceptIfSentTo",
            "ExceptIfSubjectContainsWords", "ExceptIfSubjectOrBodyContainsWords", "ExceptIfWithImportance",
            "ExceptIfWithinSizeRangeMaximum", "ExceptIfWithinSizeRangeMinimum", "ExceptIfWithSensitivity",
            "FlaggedForAction", "ForwardAsAttachmentTo", "ForwardTo", "From", "FromAddressContainsWords",
            "FromSubscription", "HasAttachment", "HasClassification", "HeaderContainsWords", "MarkAsRead",
            "MarkImportance", "MessageTypeMatches", "MoveToFolder", "MyNameInCcBox", "MyNameInToBox",
            "MyNameInToOrCcBox", "MyNameNotInToBox", "PinMessage", "ReceivedAfterDate", "ReceivedBeforeDate",
            "RecipientAddressContainsWords", "RedirectTo", "SendTextMessageNotificationTo", "SentOnlyToMe",
            "SentTo", "SoftDeleteMessage", "StopProcessingRules", "SubjectContainsWords",
            "SubjectOrBodyContainsWords", "WithImportance", "WithinSizeRangeMaximum",
            "WithinSizeRangeMinimum", "WithSensitivity",
        ]
    };
}
const SET: &[&str] = rule_parameters!("Identity", "Mailbox", "AlwaysDeleteOutlookRulesBlob", "Name", "Priority");
const NEW: &[&str] = rule_parameters!("Mailbox", "AlwaysDeleteOutlookRulesBlob", "Name", "Priority");

fn get(command: &Command<'_>, world: &World) -> Result<Rows, Error> {
    let identity = command.text("Identity");
    let (mailboxes, rule) = match &identity {
        Some(identity) if identity.contains('\\') => {
            check_not_both(command)?;
            let (mailbox, rule) = identity.split_once('\\').unwrap_or_default();
            let found = world.state.mailbox(mailbox).ok_or_else(|| Error::no_mailbox(mailbox))?;
            (vec![found], Some(rule.to_owned()))
        }
        _ => (named(command, &world.state, "Mailbox")?, identity.clone()),
    };
    let hidden = command.flag("IncludeHidden");
    let mut rows = Rows::default();
    for mailbox in mailboxes {
        let wanted = rule.as_deref().map(|rule| mailbox.rules_named(rule));
        for (at, rule) in mailbox.rules.iter().enumerate() {
            let asked = wanted.as_ref().is_none_or(|ids| ids.contains(&rule.rule_identity));
            if asked && (hidden || !rule.class.is_hidden()) {
                rows.rows.push(row(mailbox, rule, at + 1));
                rows.warnings.extend(rule.in_error.then(|| errored(rule)));
            }
        }
    }
    if let (true, Some(rule), false) = (rows.rows.is_empty(), &rule, command.unknown_is_all) {
        return Err(Error::not_found(rule, &server(&world.state)));
    }
    Ok(rows)
}

fn errored(rule: &InboxRule) -> String {
    format!(
        "The inbox rule '{}' contains errors. To resolve the error please edit the rule, or re-create it.",
        rule.name
    )
}

fn check_not_both(command: &Command<'_>) -> Result<(), Error> {
    if command.get("Mailbox").is_some() {
        return Err(Error::argument("You can't use both the Identity and Mailbox parameters to specify a mailbox."));
    }
    Ok(())
}

fn row(mailbox: &Mailbox, rule: &InboxRule, priority: usize) -> Row {
    let mut row = Row::default()
        .text("Description", description(rule))
        .bool("Enabled", rule.enabled)
        .text("Identity", mailbox.rule_path(rule))
        .bool("InError", rule.in_error)
        .text("ErrorType", if rule.in_error { "FolderNotFound" } else { "NoError" })
        .text("Name", rule.name.as_str())
        .typed("Priority", "System.Int32", priority)
        .typed("RuleIdentity", "System.UInt64", rule.rule_identity)
        .bool("SupportedByTask", rule.class == RuleClass::Ordinary)
        .bool("Legacy", false)
        .bool("IsValid", !rule.in_error)
        .text("ObjectState", "Unchanged")
        .text("MailboxOwnerId", mailbox.display_name.as_str());
    for name in CONDITIONS {
        row = with_parameter(row, rule, name);
        row = with_parameter(row, rule, &format!("ExceptIf{name}"));
    }
    for name in ACTIONS {
        row = with_parameter(row, rule, name);
    }
    row
}

/// Booleans are false rather than null where they are not set.
fn with_parameter(row: Row, rule: &InboxRule, name: &str) -> Row {
    const SWITCHES: &[&str] = &[
        "DeleteMessage",
        "MarkAsRead",
        "PinMessage",
        "SoftDeleteMessage",
        "StopProcessingRules",
        "HasAttachment",
        "MyNameInCcBox",
        "MyNameInToBox",
        "MyNameInToOrCcBox",
        "MyNameNotInToBox",
        "SentOnlyToMe",
    ];
    match rule.parameters.get(name) {
        Some(Value::Array(values)) => row.list(name, values.clone()),
        Some(value) => row.text(name, value.clone()),
        None if SWITCHES.contains(&name.trim_start_matches("ExceptIf")) => row.bool(name, false),
        None => row.text(name, Value::Null),
    }
}

fn description(rule: &InboxRule) -> String {
    let mut text = String::from("If the message:\r\n");
    let mut part = |names: &[&str]| {
        for name in names {
            if let Some(value) = rule.parameters.get(*name) {
                text.push_str(&format!("\t{name}: {value}\r\n"));
            }
        }
    };
    part(CONDITIONS);
    part(&[]);
    text.push_str("Take the following actions:\r\n");
    for name in ACTIONS {
        if let Some(value) = rule.parameters.get(*name) {
            text.push_str(&format!("\t{name}: {value}\r\n"));
        }
    }
    text
}

/// A rule found for a write: the mailbox's user and the rule's id.
struct Place {
    user_id: String,
    rule: u64,
}

fn place(command: &Command<'_>, world: &World) -> Result<Place, Error> {
    let identity = command.text("Identity").unwrap_or_default();
    if identity.is_empty() && command.get("Identity").is_none() {
        return Err(Error::new(
            "",
            "System.Management.Automation.ParameterBindingException",
            "Cannot process command because of one or more missing mandatory parameters: Identity.",
        ));
    }
    let (mailbox, rule) = match identity.split_once('\\') {
        Some((mailbox, rule)) => {
            check_not_both(command)?;
            (mailbox.to_owned(), rule.to_owned())
        }
        None => (command.text("Mailbox").unwrap_or_default(), identity.clone()),
    };
    let found = world.state.mailbox(&mailbox).ok_or_else(|| Error::no_mailbox(&mailbox))?;
    match found.rules_named(&rule).as_slice() {
        [only] => Ok(Place { user_id: found.user_id.clone(), rule: *only }),
        [] => Err(Error::not_found(&identity, &server(&world.state))),
        _ => Err(Error::new(
            "",
            "Microsoft.Exchange.Configuration.Tasks.ManagementObjectAmbiguousException",
            &format!("The operation couldn't be performed because '{identity}' matches multiple entries."),
        )),
    }
}

fn rule_at<'a>(world: &'a World, place: &Place) -> Option<&'a InboxRule> {
    let mailbox = world.state.mailboxes.get(&place.user_id)?;
    mailbox.rules.iter().find(|rule| rule.rule_identity == place.rule)
}

/// Every write of a rule also removes the rules that live in Outlook.
fn commit(command: &Command<'_>, world: &mut World, user_id: &str, change: impl FnOnce(&mut Mailbox)) {
    let mut dropped = false;
    if let Some(mailbox) = world.state.mailboxes.get_mut(user_id) {
        dropped = mailbox.drop_client_side();
        change(mailbox);
    }
    note(command, world, user_id);
    if dropped {
        note_dropped(command, world, user_id);
    }
}

fn switch(command: &Command<'_>, world: &mut World, enabled: bool) -> Result<Rows, Error> {
    let place = place(command, world)?;
    let Some(rule) = rule_at(world, &place) else {
        return Ok(Rows::default());
    };
    if !enabled && rule.class == RuleClass::Delegate {
        return Err(Error::new(
            "",
            "Microsoft.Exchange.Data.Storage.InvalidOperationException",
            &format!("The inbox rule '{}' can't be disabled.", rule.name),
        ));
    }
    let client_side = |mailbox: &Mailbox| mailbox.rules.iter().any(|rule| rule.class == RuleClass::ClientSide);
    let blob = world.state.mailboxes.get(&place.user_id).is_some_and(client_side);
    if rule.enabled == enabled && !blob {
        return Ok(Rows::unchanged(&command.text("Identity").unwrap_or_default()));
    }
    let warnings = if rule.in_error { vec![errored(rule)] } else { Vec::new() };
    commit(command, world, &place.user_id, |mailbox| {
        if let Some(rule) = mailbox.rule_mut(place.rule) {
            rule.enabled = enabled;
        }
    });
    Ok(Rows { rows: Vec::new(), warnings })
}

fn disable(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    switch(command, world, false)
}

fn enable(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    switch(command, world, true)
}

fn remove(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let place = place(command, world)?;
    commit(command, world, &place.user_id, |mailbox| {
        mailbox.rules.retain(|rule| rule.rule_identity != place.rule);
    });
    Ok(Rows::default())
}

fn set(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let place = place(command, world)?;
    let changes = rule_changes(command, world)?;
    let name = command.text("Name");
    let priority = priority(command)?;
    commit(command, world, &place.user_id, |mailbox| {
        if let Some(rule) = mailbox.rule_mut(place.rule) {
            rule.name = name.unwrap_or_else(|| rule.name.clone());
            for (name, value) in changes {
                match value {
                    Value::Null => rule.parameters.remove(&name),
                    value => rule.parameters.insert(name, value),
                };
            }
        }
        if let Some(priority) = priority {
            move_rule(mailbox, place.rule, priority);
        }
    });
    Ok(Rows::default())
}

fn new(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let mailbox = command.text("Mailbox").unwrap_or_default();
    let found = world.state.mailbox(&mailbox).ok_or_else(|| Error::no_mailbox(&mailbox))?;
    let user_id = found.user_id.clone();
    let Some(name) = command.text("Name") else {
        return Err(Error::argument("The Name parameter is required."));
    };
    if name.chars().count() > 512 {
        return Err(Error::argument("The length of the property is too long. The maximum length is 512."));
    }
    let mut parameters: BTreeMap<String, Value> = rule_changes(command, world)?.into_iter().collect();
    parameters.retain(|_, value| !value.is_null());
    if !parameters.keys().any(|name| ACTIONS.contains(&name.as_str())) {
        return Err(Error::argument("A rule must have at least one action."));
    }
    let priority = priority(command)?;
    let rule_identity = world.state.ids.next();
    let rule =
        InboxRule { rule_identity, name, enabled: true, class: RuleClass::Ordinary, in_error: false, parameters };
    commit(command, world, &user_id, |mailbox| {
        mailbox.rules.push(rule);
        move_rule(mailbox, rule_identity, priority.unwrap_or(1));
    });
    let mailbox = world.state.mailboxes.get(&user_id);
    let made = mailbox.and_then(|mailbox| {
        let at = mailbox.rules.iter().position(|rule| rule.rule_identity == rule_identity)?;
        Some(row(mailbox, mailbox.rules.get(at)?, at + 1))
    });
    Ok(Rows::of(made.into_iter().collect()))
}

fn priority(command: &Command<'_>) -> Result<Option<usize>, Error> {
    match command.text("Priority") {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Error::argument("Priority must be a number of 0 or more.")),
    }
}

/// The others shift.
fn move_rule(mailbox: &mut Mailbox, id: u64, priority: usize) {
    if let Some(at) = mailbox.rules.iter().position(|rule| rule.rule_identity == id) {
        let rule = mailbox.rules.remove(at);
        let to = priority.saturating_sub(1).min(mailbox.rules.len());
        mailbox.rules.insert(to, rule);
    }
}

/// The conditions, exceptions and actions of a call; recipients in the form in which they are read back.
fn rule_changes(command: &Command<'_>, world: &World) -> Result<Map<String, Value>, Error> {
    const RECIPIENTS: &[&str] = &["ForwardTo", "ForwardAsAttachmentTo", "RedirectTo", "From", "SentTo"];
    let mut changes = Map::new();
    for (key, value) in &command.parameters {
        let name = command.cmdlet.parameters.iter().find(|name| name.eq_ignore_ascii_case(key)).copied();
        let Some(name) = name.filter(|name| is_rule_parameter(name)) else {
            continue;
        };
        let base = name.trim_start_matches("ExceptIf");
        let value = if RECIPIENTS.contains(&base) { recipients(world, value)? } else { value.clone() };
        changes.insert(name.to_owned(), value);
    }
    Ok(changes)
}

fn is_rule_parameter(name: &str) -> bool {
    ACTIONS.contains(&name) || CONDITIONS.contains(&name.trim_start_matches("ExceptIf"))
}

fn recipients(world: &World, value: &Value) -> Result<Value, Error> {
    let Value::Array(addresses) = value else {
        return if value.is_null() {
            Ok(Value::Null)
        } else {
            Err(Error::new(
                "",
                "System.Management.Automation.ParameterBindingArgumentTransformationException",
                "A collection of recipients is expected.",
            ))
        };
    };
    Ok(addresses.iter().map(|address| recipient(world, address.as_str().unwrap_or_default())).collect())
}

/// An internal recipient is kept without its address, an external one with it.
pub(super) fn recipient(world: &World, address: &str) -> Value {
    if address.contains('[') {
        return json!(address);
    }
    match world.state.mailbox(address) {
        Some(mailbox) => json!(format!("\"{}\" [EX:{}]", mailbox.display_name, legacy_dn(mailbox))),
        None => json!(format!("\"{address}\" [SMTP:{address}]")),
    }
}
