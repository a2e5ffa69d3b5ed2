//! Mailboxes and recipients.

use serde_json::{Value, json};

use super::objects::changed;
use super::reply::{Error, Row, Rows};
use super::{Cmdlet, Command, Run, note};
use crate::tenant::mailboxes::Mailbox;
use crate::tenant::state::{Document, State};
use crate::tenant::world::World;

pub(super) const CMDLETS: &[Cmdlet] = &[
    Cmdlet {
        name: "Get-Mailbox",
        parameters: &["Identity", "ResultSize", "RecipientTypeDetails", "Anr", "SortBy", "Archive"],
        readable: true,
        run: Run::Read(get_mailbox),
    },
    Cmdlet {
        name: "Set-Mailbox",
        parameters: &[
            "Identity",
            "AuditEnabled",
            "DeliverToMailboxAndForward",
            "ForwardingAddress",
            "ForwardingSmtpAddress",
            "GrantSendOnBehalfTo",
            "LitigationHoldEnabled",
            "LitigationHoldDuration",
            "RetainDeletedItemsFor",
            "SingleItemRecoveryEnabled",
            "AccountDisabled",
            "HiddenFromAddressListsEnabled",
        ],
        readable: false,
        run: Run::Write(set_mailbox),
    },
    Cmdlet {
        name: "Get-Recipient",
        parameters: &["Identity", "ResultSize", "RecipientTypeDetails", "Anr", "SortBy"],
        readable: true,
        run: Run::Read(get_recipient),
    },
];

/// The mailboxes that `-Identity` names: all for none at all.
pub(super) fn named<'a>(command: &Command<'_>, state: &'a State, parameter: &str) -> Result<Vec<&'a Mailbox>, Error> {
    let Some(identity) = command.text(parameter) else {
        return Ok(state.mailboxes.values().collect());
    };
    match state.mailbox(&identity).or_else(|| by_legacy_dn(state, &identity)) {
        Some(mailbox) => Ok(vec![mailbox]),
        None if command.unknown_is_all => Ok(state.mailboxes.values().collect()),
        None => Err(Error::not_found(&identity, &server(state))),
    }
}

/// The one mailbox that `-Mailbox` or `-Identity` names.
pub(super) fn mailbox_of<'a>(command: &Command<'_>, state: &'a State) -> Result<&'a Mailbox, Error> {
    let identity = command.text("Mailbox").or_else(|| command.text("Identity")).unwrap_or_default();
    state.mailbox(&identity).ok_or_else(|| Error::not_found(&identity, &server(state)))
}

fn by_legacy_dn<'a>(state: &'a State, identity: &str) -> Option<&'a Mailbox> {
    identity
        .starts_with("/o=")
        .then(|| state.mailboxes.values().find(|mailbox| legacy_dn(mailbox) == identity))
        .flatten()
}

/// The directory server of the messages.
pub(super) fn server(state: &State) -> String {
    let name = state.organization.domain.split('.').next().unwrap_or_default();
    format!("OS3P286A01DC003.JPNP286A001.PROD.OUTLOOK.COM/{name}")
}

/// The internal address of a mailbox, which rules carry instead of a mail address.
pub(super) fn legacy_dn(mailbox: &Mailbox) -> String {
    let tail = mailbox.guid.replace('-', "");
    format!(
        "/o=ExchangeLabs/ou=Exchange Administrative Group (FYDIBOHF23SPDLT)/cn=Recipients/cn={tail}-{}",
        mailbox.alias
    )
}

fn get_mailbox(command: &Command<'_>, world: &World) -> Result<Rows, Error> {
    let mailboxes = named(command, &world.state, "Identity")?;
    Ok(Rows::of(mailboxes.into_iter().map(mailbox_row).collect()))
}

fn get_recipient(command: &Command<'_>, world: &World) -> Result<Rows, Error> {
    let mailboxes = named(command, &world.state, "Identity")?;
    Ok(Rows::of(mailboxes.into_iter().map(recipient_row).collect()))
}

fn recipient_row(mailbox: &Mailbox) -> Row {
    Row::default()
        .text("Identity", mailbox.display_name.as_str())
        .text("Alias", mailbox.alias.as_str())
        .text("DisplayName", mailbox.display_name.as_str())
        .list("EmailAddresses", addresses(mailbox))
        .guid("Guid", &mailbox.guid)
        .guid("ExchangeGuid", &mailbox.guid)
        .text("ExternalDirectoryObjectId", mailbox.user_id.as_str())
        .text("LegacyExchangeDN", legacy_dn(mailbox))
        .text("Name", mailbox.display_name.as_str())
        .text("PrimarySmtpAddress", mailbox.primary_smtp_address.as_str())
        .text("RecipientType", "UserMailbox")
        .text("RecipientTypeDetails", "UserMailbox")
}

fn addresses(mailbox: &Mailbox) -> Vec<Value> {
    vec![format!("SMTP:{}", mailbox.primary_smtp_address).into()]
}

/// What `Set-Mailbox` sets besides forwarding, with what it is at the start.
fn settings(mailbox: &Mailbox) -> Document {
    let defaults = json!({
        "AccountDisabled": false, "AuditEnabled": true, "GrantSendOnBehalfTo": [],
        "HiddenFromAddressListsEnabled": false, "LitigationHoldEnabled": false,
        "LitigationHoldDuration": "Unlimited", "RetainDeletedItemsFor": "14.00:00:00",
        "SingleItemRecoveryEnabled": true,
    });
    let mut bag = defaults.as_object().cloned().unwrap_or_default();
    if let Some(set) = mailbox.settings.get("Mailbox") {
        bag.extend(set.clone());
    }
    bag
}

fn mailbox_row(mailbox: &Mailbox) -> Row {
    let mut row = recipient_row(mailbox)
        .text("UserPrincipalName", mailbox.user_principal_name.as_str())
        .bool("DeliverToMailboxAndForward", mailbox.deliver_to_mailbox_and_forward)
        .text("ForwardingAddress", mailbox.forwarding_address.clone())
        .text("ForwardingSmtpAddress", mailbox.forwarding_smtp_address.clone())
        .bool("IsMailboxEnabled", true)
        .text("ProhibitSendReceiveQuota", "100 GB (107,374,182,400 bytes)")
        .time("WhenCreatedUTC", mailbox.when_created);
    for (name, value) in settings(mailbox) {
        row = match value {
            Value::Array(values) => row.list(&name, values),
            value => row.text(&name, value),
        };
    }
    row
}

fn set_mailbox(command: &Command<'_>, world: &mut World) -> Result<Rows, Error> {
    let mailbox = mailbox_of(command, &world.state)?;
    let (user_id, name, old) = (mailbox.user_id.clone(), mailbox.display_name.clone(), mailbox.clone());
    let mut new = old.clone();
    new.settings.insert("Mailbox".to_owned(), changed(command, &settings(&old))?);
    if new.settings.get("Mailbox") == Some(&settings(&old)) {
        new.settings.clone_from(&old.settings);
    }
    let given = |name: &str| command.parameters.keys().any(|key| key.eq_ignore_ascii_case(name));
    if given("ForwardingSmtpAddress") {
        let prefixed = |text: String| {
            if text.starts_with("smtp:") { text } else { format!("smtp:{text}") }
        };
        new.forwarding_smtp_address = command.text("ForwardingSmtpAddress").map(prefixed);
    }
    if given("ForwardingAddress") {
        new.forwarding_address = match command.text("ForwardingAddress") {
            None => None,
            // The value is kept as the recipient's name, whatever it was given by.
            Some(text) => {
                let known = world.state.mailbox(&text).ok_or_else(|| Error::not_found(&text, &server(&world.state)))?;
                Some(known.display_name.clone())
            }
        };
    }
    if given("DeliverToMailboxAndForward") {
        new.deliver_to_mailbox_and_forward = command.flag("DeliverToMailboxAndForward");
    }
    if new == old {
        return Ok(Rows::unchanged(&name));
    }
    world.state.mailboxes.insert(user_id.clone(), new);
    note(command, world, &user_id);
    Ok(Rows::default())
}
