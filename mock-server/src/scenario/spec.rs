//! What a scenario says of people, groups, units and applications.

use std::collections::BTreeMap;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use super::mail::MailSpec;
use crate::tenant::mailboxes::RuleClass;
use crate::tenant::methods::MethodKind;

/// A person.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UserSpec {
    /// The part of the user principal name before the domain.
    pub name: String,
    /// The display name.
    pub display_name: String,
    /// The job title.
    #[serde(default)]
    pub job_title: Option<String>,
    /// What kind of account it is.
    #[serde(default)]
    pub kind: UserKind,
    /// When it was made.
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// Directory roles by name.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Directory roles that the attacker gave, by name.
    #[serde(default)]
    pub rogue_roles: Vec<String>,
    /// Whether the attacker made the account.
    #[serde(default)]
    pub rogue: bool,
    /// Directory roles that the user may activate.
    #[serde(default)]
    pub eligible_roles: Vec<String>,
    /// Whether sign-in is blocked.
    #[serde(default)]
    pub disabled: bool,
    /// Whether there is no mailbox.
    #[serde(default)]
    pub no_mailbox: bool,
    /// Authentication methods besides the password.
    #[serde(default)]
    pub methods: Vec<MethodSpec>,
    /// Devices.
    #[serde(default)]
    pub devices: Vec<DeviceSpec>,
    /// Inbox rules in priority order. The service's own junk rule comes by itself.
    #[serde(default)]
    pub rules: Vec<RuleSpec>,
    /// The mailbox besides its rules.
    #[serde(default)]
    pub mail: MailSpec,
}

/// What kind of account a user is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UserKind {
    /// Made and mastered in the cloud.
    #[default]
    Cloud,
    /// Mastered on premises.
    Synced,
    /// Mastered on premises, and signing in at a federated identity provider.
    Federated,
    /// Invited from another tenant.
    Guest,
}

/// A group.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupSpec {
    /// The display name.
    pub name: String,
    /// What kind of group it is.
    #[serde(default)]
    pub kind: GroupKind,
    /// Names of the members.
    #[serde(default)]
    pub members: Vec<String>,
    /// Names of the owners.
    #[serde(default)]
    pub owners: Vec<String>,
    /// Directory roles that the group holds.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// What kind of group a group is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GroupKind {
    /// Its members are assigned.
    #[default]
    Assigned,
    /// Its members are computed.
    Dynamic,
    /// It is mastered on premises.
    Synced,
    /// It may hold directory roles.
    RoleAssignable,
}

/// An administrative unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitSpec {
    /// The display name.
    pub name: String,
    /// Whether only administrators of the unit may change its members.
    #[serde(default)]
    pub restricted: bool,
    /// Whether only its members see who is in it.
    #[serde(default)]
    pub hidden: bool,
    /// Names of the members.
    #[serde(default)]
    pub members: Vec<String>,
    /// Roles over the unit.
    #[serde(default)]
    pub administrators: Vec<UnitAdministrator>,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// A role over an administrative unit.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnitAdministrator {
    /// The user's name.
    pub user: String,
    /// The role's name.
    pub role: String,
}

/// An authentication method.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MethodSpec {
    /// The type.
    #[serde(rename = "type")]
    pub kind: MethodKind,
    /// The id, where it must be a certain one.
    #[serde(default)]
    pub id: Option<String>,
    /// The display name, phone number or address.
    #[serde(default)]
    pub label: Option<String>,
    /// When it was registered. Push-only Authenticators do not show it.
    #[schemars(with = "String")]
    pub registered: Timestamp,
    /// For an Authenticator: registered for passwordless sign-in.
    #[serde(default)]
    pub passwordless: bool,
    /// For a phone: the alternate or the office one.
    #[serde(default)]
    pub phone_type: PhoneType,
    /// Whether it is the default.
    #[serde(default)]
    pub default: bool,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// Which of a user's phones.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub enum PhoneType {
    /// The mobile phone.
    #[default]
    Mobile,
    /// A second mobile phone.
    AlternateMobile,
    /// The phone in the office.
    Office,
}

/// A device.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceSpec {
    /// The display name.
    pub name: String,
    /// The operating system.
    pub os: String,
    /// The operating system's version.
    pub os_version: String,
    /// How it is joined.
    pub trust: Trust,
    /// When it was registered.
    #[schemars(with = "String")]
    pub registered: Timestamp,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// How a device is joined to the directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Trust {
    /// Registered by its owner.
    Workplace,
    /// Joined.
    AzureAd,
    /// Hybrid joined.
    ServerAd,
}

/// An inbox rule.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RuleSpec {
    /// The name.
    pub name: String,
    /// The 64-bit id, where it must be a certain one.
    #[serde(default)]
    pub id: Option<u64>,
    /// What makes it special.
    #[serde(default)]
    pub class: RuleClass,
    /// Whether it does not run.
    #[serde(default)]
    pub disabled: bool,
    /// Whether it refers to something that is gone.
    #[serde(default)]
    pub in_error: bool,
    /// Conditions, exceptions and actions by parameter name.
    pub parameters: BTreeMap<String, Value>,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// An application, a service principal, or both.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AppSpec {
    /// The display name.
    pub name: String,
    /// The application id, where it must be a certain one.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub app_id: Option<uuid::Uuid>,
    /// Where it is registered.
    pub home: Home,
    /// When it came into this tenant.
    #[schemars(with = "String")]
    pub created: Timestamp,
    /// Names of its owners.
    #[serde(default)]
    pub owners: Vec<String>,
    /// Redirect URIs.
    #[serde(default)]
    pub redirect_uris: Vec<String>,
    /// Who may sign in.
    #[serde(default)]
    pub audience: Audience,
    /// Client secrets of the registration.
    #[serde(default)]
    pub secrets: Vec<CredentialSpec>,
    /// Client secrets of the service principal, which no portal shows.
    #[serde(default)]
    pub principal_secrets: Vec<CredentialSpec>,
    /// Certificates of the registration.
    #[serde(default)]
    pub certificates: Vec<CredentialSpec>,
    /// Federated credentials of the registration.
    #[serde(default)]
    pub federated: Vec<FederatedSpec>,
    /// Delegated grants on Microsoft Graph.
    #[serde(default)]
    pub grants: Vec<GrantSpec>,
    /// Application permissions on Microsoft Graph.
    #[serde(default)]
    pub permissions: Vec<String>,
    /// Directory roles that the service principal holds.
    #[serde(default)]
    pub roles: Vec<String>,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// A secret or certificate.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CredentialSpec {
    /// The display name.
    pub name: String,
    /// When it was added, if not with the application.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub created: Option<Timestamp>,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// A federated credential.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FederatedSpec {
    /// The name.
    pub name: String,
    /// The issuer of the tokens that it accepts.
    pub issuer: String,
    /// Their subject.
    pub subject: String,
    /// Whether the attacker planted it.
    #[serde(default)]
    pub rogue: bool,
}

/// Where an application is registered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Home {
    /// Here.
    Own,
    /// In another organisation's tenant.
    Foreign,
    /// In Microsoft's.
    Microsoft,
    /// Nowhere: the platform manages it.
    ManagedIdentity,
}

/// Who may sign in to an application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Audience {
    /// This tenant's accounts.
    #[default]
    AzureADMyOrg,
    /// Any tenant's accounts.
    AzureADMultipleOrgs,
    /// Any tenant's and personal accounts.
    AzureADandPersonalMicrosoftAccount,
}

/// A delegated grant.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GrantSpec {
    /// The scopes, space-separated.
    pub scope: String,
    /// The user who consented; none for a grant to everybody.
    #[serde(default)]
    pub user: Option<String>,
}
