//! Mailboxes and their inbox rules, as Exchange keeps them.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::stamp::Stamp;
use super::state::Document;

/// A mailbox. Names follow Exchange.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mailbox {
    /// The mailbox's GUID, the first part of a rule's identity.
    pub guid: String,
    /// The user it belongs to.
    pub user_id: String,
    /// The mail nickname.
    pub alias: String,
    /// The display name.
    pub display_name: String,
    /// The user principal name.
    pub user_principal_name: String,
    /// The primary address, without a prefix.
    pub primary_smtp_address: String,
    /// When the mailbox was made.
    pub when_created: Stamp,
    /// A recipient object that mail is forwarded to; it has precedence over the address.
    pub forwarding_address: Option<String>,
    /// An address that mail is forwarded to, with its `smtp:` prefix.
    pub forwarding_smtp_address: Option<String>,
    /// Whether forwarded mail stays here too.
    pub deliver_to_mailbox_and_forward: bool,
    /// The rules in priority order.
    pub rules: Vec<InboxRule>,
    /// What was set of the mailbox's property bags, by the noun of their cmdlets.
    pub settings: BTreeMap<String, Document>,
    /// Who else may open it, send as it, or see a folder of it.
    pub permissions: Vec<Permission>,
    /// Sweep rules, which neither Graph nor `Get-InboxRule` shows.
    pub sweep_rules: Vec<SweepRule>,
    /// Mobile devices that synchronise it.
    pub mobile_devices: Vec<MobileDevice>,
}

/// One person's rights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permission {
    /// Which of the three stores it is in.
    pub kind: PermissionKind,
    /// Who has it.
    pub person: String,
    /// What they may do.
    pub rights: Vec<String>,
    /// The folder, for a right on one.
    pub folder: String,
}

/// The three stores of a mailbox's permissions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum PermissionKind {
    /// On the whole mailbox.
    Mailbox,
    /// To send as it.
    Recipient,
    /// On one folder.
    Folder,
}

/// A sweep rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the cmdlet's properties")]
pub struct SweepRule {
    pub id: String,
    pub name: String,
    pub enabled: bool,
    pub sender: String,
    pub folder: String,
}

/// A mobile device that synchronises a mailbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are the cmdlet's properties")]
pub struct MobileDevice {
    pub id: String,
    pub name: String,
    pub kind: String,
    pub first_sync: Stamp,
}

/// An inbox rule.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InboxRule {
    /// The 64-bit id; often above the greatest signed number.
    pub rule_identity: u64,
    /// The name: not unique, and may be empty.
    pub name: String,
    /// Whether it runs.
    pub enabled: bool,
    /// What makes it special.
    pub class: RuleClass,
    /// Whether the rule refers to something that is gone.
    pub in_error: bool,
    /// Conditions, exceptions and actions by parameter name.
    pub parameters: BTreeMap<String, Value>,
}

/// What Exchange lets a cmdlet do with a rule.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RuleClass {
    /// A rule that every list shows.
    #[default]
    Ordinary,
    /// A rule whose MAPI name is blanked: shown with `IncludeHidden` only.
    Hidden,
    /// A rule that lives in Outlook; any rule cmdlet that writes removes it.
    ClientSide,
    /// One of the service's own rules: shown with `IncludeHidden` only.
    System,
    /// The rule that sends meeting requests to delegates; it cannot be disabled.
    Delegate,
}

impl RuleClass {
    /// Whether `Get-InboxRule` shows it only with `IncludeHidden`.
    #[must_use]
    pub fn is_hidden(self) -> bool {
        matches!(self, Self::Hidden | Self::System | Self::Delegate)
    }
}

impl Mailbox {
    /// The identity of a rule: mailbox GUID, backslash, rule id.
    #[must_use]
    pub fn rule_path(&self, rule: &InboxRule) -> String {
        format!("{}\\{}", self.guid, rule.rule_identity)
    }

    /// The rules that `key` names: an id, a path, or a name (which several rules may share).
    pub(crate) fn rules_named(&self, key: &str) -> Vec<u64> {
        let last = key.rsplit_once('\\').map_or(key, |(_, last)| last);
        let by_id = last.parse::<u64>().ok();
        self.rules
            .iter()
            .filter(|rule| Some(rule.rule_identity) == by_id || rule.name == key || rule.name == last)
            .map(|rule| rule.rule_identity)
            .collect()
    }

    /// A rule by its id.
    pub(crate) fn rule_mut(&mut self, id: u64) -> Option<&mut InboxRule> {
        self.rules.iter_mut().find(|rule| rule.rule_identity == id)
    }

    /// What every rule cmdlet that writes does to Outlook's own rules. True where there were any.
    pub(crate) fn drop_client_side(&mut self) -> bool {
        let before = self.rules.len();
        self.rules.retain(|rule| rule.class != RuleClass::ClientSide);
        self.rules.len() != before
    }

    /// Whether `key` is this mailbox: GUID, address, user principal name, alias or user id.
    pub(crate) fn is_named(&self, key: &str) -> bool {
        [&self.guid, &self.user_id, &self.alias, &self.user_principal_name, &self.primary_smtp_address]
            .iter()
            .any(|name| name.eq_ignore_ascii_case(key))
    }
}

/// Every condition, exception and action of a rule, in the order in which `Get-InboxRule` shows them.
pub(crate) const CONDITIONS: &[&str] = &[
    "BodyContainsWords",
    "FlaggedForAction",
    "From",
    "FromAddressContainsWords",
    "FromSubscription",
    "HasAttachment",
    "HasClassification",
    "HeaderContainsWords",
    "MessageTypeMatches",
    "MyNameInCcBox",
    "MyNameInToBox",
    "MyNameInToOrCcBox",
    "MyNameNotInToBox",
    "ReceivedAfterDate",
    "ReceivedBeforeDate",
    "RecipientAddressContainsWords",
    "SentOnlyToMe",
    "SentTo",
    "SubjectContainsWords",
    "SubjectOrBodyContainsWords",
    "WithImportance",
    "WithinSizeRangeMaximum",
    "WithinSizeRangeMinimum",
    "WithSensitivity",
];

/// The actions of a rule.
pub(crate) const ACTIONS: &[&str] = &[
    "ApplyCategory",
    "ApplySystemCategory",
    "CopyToFolder",
    "DeleteMessage",
    "DeleteSystemCategory",
    "ForwardAsAttachmentTo",
    "ForwardTo",
    "MarkAsRead",
    "MarkImportance",
    "MoveToFolder",
    "PinMessage",
    "RedirectTo",
    "SendTextMessageNotificationTo",
    "SoftDeleteMessage",
    "StopProcessingRules",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: u64, name: &str) -> InboxRule {
        InboxRule {
            rule_identity: id,
            name: name.to_owned(),
            enabled: true,
            class: RuleClass::Ordinary,
            in_error: false,
            parameters: BTreeMap::new(),
        }
    }

    fn mailbox() -> Mailbox {
        Mailbox {
            guid: "f0af9d5e-1cc7-4fbd-9c19-818339d1ecc5".to_owned(),
            user_id: "u".to_owned(),
            alias: "johanna".to_owned(),
            display_name: "Johanna".to_owned(),
            user_principal_name: "johanna@sunnyside08.example".to_owned(),
            primary_smtp_address: "johanna@sunnyside08.example".to_owned(),
            when_created: Stamp("2022-01-01T00:00:00Z".parse().unwrap()),
            forwarding_address: None,
            forwarding_smtp_address: None,
            deliver_to_mailbox_and_forward: false,
            settings: BTreeMap::new(),
            permissions: Vec::new(),
            sweep_rules: Vec::new(),
            mobile_devices: Vec::new(),
            rules: vec![rule(u64::MAX, ".."), rule(7, ".."), rule(8, "")],
        }
    }

    #[test]
    fn a_name_may_mean_several_rules_and_an_id_only_one() {
        let mailbox = mailbox();
        assert_eq!(mailbox.rules_named(".."), [u64::MAX, 7]);
        assert_eq!(mailbox.rules_named("18446744073709551615"), [u64::MAX]);
        assert_eq!(mailbox.rules_named("johanna\\7"), [7]);
        assert_eq!(mailbox.rules_named(""), [8]);
    }

    #[test]
    fn an_id_above_the_signed_range_keeps_every_digit() {
        let mailbox = mailbox();
        let path = mailbox.rule_path(&mailbox.rules[0]);
        assert_eq!(path, "f0af9d5e-1cc7-4fbd-9c19-818339d1ecc5\\18446744073709551615");
    }
}
