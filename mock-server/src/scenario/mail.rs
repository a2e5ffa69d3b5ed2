//! What a scenario says of mailboxes besides their rules, and of the organisation's mail flow.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::seed::Seeding;
use crate::tenant::mailboxes::PermissionKind;
use crate::tenant::state::Document;

/// A mailbox besides its rules.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct MailSpec {
    /// Where mail is forwarded to, with the `smtp:` prefix.
    pub forwarding_smtp_address: Option<String>,
    /// What was set of the property bags, by the noun of their cmdlets: `Mailbox`, `CASMailbox`,
    /// `MailboxAutoReplyConfiguration`, `MailboxJunkEmailConfiguration`.
    pub settings: BTreeMap<String, Document>,
    /// Who else has rights.
    pub permissions: Vec<PermissionSpec>,
    /// Sweep rules.
    pub sweep: Vec<SweepSpec>,
    /// Mobile devices.
    pub mobile: Vec<MobileSpec>,
    /// Whether the attacker set the forwarding.
    pub rogue: bool,
}

/// One person's rights.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PermissionSpec {
    /// Which of the three stores it is in.
    pub kind: PermissionKind,
    /// Who has it.
    pub person: String,
    /// What they may do.
    pub rights: Vec<String>,
    /// The folder, for a right on one.
    #[serde(default)]
    pub folder: String,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// A sweep rule.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepSpec {
    /// The name.
    pub name: String,
    /// Whose mail it moves.
    pub sender: String,
    /// Where to.
    pub folder: String,
}

/// A mobile device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MobileSpec {
    /// The friendly name.
    pub name: String,
    /// When it first synchronised.
    #[schemars(with = "String")]
    pub first_sync: Timestamp,
}

/// An object of the organisation's mail flow.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MailFlowSpec {
    /// What it is.
    pub kind: MailFlowKind,
    /// The name.
    pub name: String,
    /// Its properties as the cmdlet shows them.
    #[serde(default)]
    pub properties: Document,
    /// For a connector: whether it is in test mode, so that the list hides it.
    #[serde(default)]
    pub test_mode: bool,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// What an object of the mail flow is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MailFlowKind {
    /// A transport rule.
    TransportRule,
    /// A connector for mail that comes in.
    InboundConnector,
    /// A connector for mail that goes out.
    OutboundConnector,
}

/// Adds the mail flow that every organisation has, and that of the scenario.
pub(super) fn plant_organization(seeding: &mut Seeding<'_>) {
    let remote = json!({"DomainName": "*", "AutoForwardEnabled": true, "AutoReplyEnabled": true});
    plant(seeding, "RemoteDomain", "Default", remote.as_object().cloned().unwrap_or_default());
    let logs = json!({"UnifiedAuditLogIngestionEnabled": true, "AdminAuditLogEnabled": true});
    plant(seeding, "AdminAuditLogConfig", "Default", logs.as_object().cloned().unwrap_or_default());
    let organization = json!({"AuditDisabled": false, "EwsEnabled": null, "RejectDirectSend": false});
    plant(seeding, "OrganizationConfig", "Organization", organization.as_object().cloned().unwrap_or_default());
    let scenario = seeding.scenario;
    for spec in &scenario.mail_flow {
        let (noun, kind, start) = match spec.kind {
            MailFlowKind::TransportRule => {
                ("TransportRule", "transportRule", json!({"State": "Enabled", "Mode": "Enforce", "Priority": 0}))
            }
            MailFlowKind::InboundConnector => ("InboundConnector", "inboundConnector", json!({"Enabled": true})),
            MailFlowKind::OutboundConnector => ("OutboundConnector", "outboundConnector", json!({"Enabled": true})),
        };
        let mut row = start.as_object().cloned().unwrap_or_default();
        row.extend(spec.properties.clone());
        if spec.test_mode {
            row.insert("_TestMode".to_owned(), Value::Bool(true));
        }
        let id = plant(seeding, noun, &spec.name, row);
        if spec.rogue {
            seeding.planted(kind, &id, &spec.name);
        }
    }
}

fn plant(seeding: &mut Seeding<'_>, noun: &str, name: &str, properties: Document) -> String {
    let id = seeding.named(&format!("{noun}/{name}"));
    let mut row = Document::new();
    row.insert("Identity".to_owned(), name.into());
    row.insert("Name".to_owned(), name.into());
    row.insert("Guid".to_owned(), id.clone().into());
    row.extend(properties);
    seeding.world.state.exchange_objects.insert(format!("{noun}/{id}"), row);
    id
}
