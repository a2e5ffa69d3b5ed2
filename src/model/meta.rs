//! What an action says about itself, and the vocabulary for it.

use std::{borrow::Cow, time::Duration};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use crate::model::{Capability, Identity, IdentityKind, Licence};

/// The two services that are spoken to, each with a token of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Service {
    /// Microsoft Graph.
    Graph,
    /// Exchange Online's administration API.
    Exchange,
}

/// An application permission; any one of the names is enough, the least privileged first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Permission {
    /// Whose.
    pub service: Service,
    /// Least privileged first.
    pub any_of: &'static [&'static str],
}

impl Permission {
    /// A Graph application permission.
    pub const fn graph(any_of: &'static [&'static str]) -> Self {
        Self { service: Service::Graph, any_of }
    }

    /// An Exchange application permission.
    pub const fn exchange(any_of: &'static [&'static str]) -> Self {
        Self { service: Service::Exchange, any_of }
    }

    /// Whether a token carries it. Exchange's application permission has another name where a person signs in, and with
    /// `Directory.AccessAsUser.All` a person may do whatever their roles allow.
    ///
    /// Sources: "App-only authentication in Exchange Online PowerShell" (`Exchange.ManageAsApp`; delegated `Exchange.Manage`);
    /// Microsoft Graph permissions reference, `Directory.AccessAsUser.All`.
    pub fn is_held(&self, token: &Identity) -> bool {
        let holds = |name: &str| token.permissions.iter().any(|held| held == name);
        let named = self.any_of.iter().any(|name| holds(name));
        match (token.kind, self.service) {
            (IdentityKind::Application, _) => named,
            (IdentityKind::User, Service::Graph) => named || holds("Directory.AccessAsUser.All"),
            (IdentityKind::User, Service::Exchange) => named || holds("Exchange.Manage"),
        }
    }

    /// The least privileged name.
    pub fn least(&self) -> &'static str {
        self.any_of.first().copied().unwrap_or_default()
    }
}

/// A Microsoft cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cloud {
    /// Worldwide, and GCC.
    Global,
    /// US government L4.
    GccHigh,
    /// US government L5.
    Dod,
    /// 21Vianet.
    China,
}

impl Cloud {
    /// Every cloud.
    pub const ALL: &[Self] = &[Self::Global, Self::GccHigh, Self::Dod, Self::China];

    /// The word for it in profiles and plans.
    pub fn word(self) -> &'static str {
        match self {
            Self::Global => "global",
            Self::GccHigh => "gcc-high",
            Self::Dod => "dod",
            Self::China => "china",
        }
    }
}

/// What an action does to an intruder, for the order in which a playbook should use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effect {
    /// Ends access: blocks, revokes.
    Cut,
    /// Replaces a credential.
    Rotate,
    /// Turns a foothold off, and can turn it on again.
    Disable,
    /// Takes a foothold away.
    Remove,
}

/// Why responders do this: a published source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Source {
    /// Who says what.
    pub title: &'static str,
    /// Where.
    pub url: &'static str,
}

/// What an action says about itself. Docs page, permission list and lints derive from it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Meta {
    /// `<object>.<verb-…>`, the file's name with dots and dashes.
    pub id: &'static str,
    /// Begins with a verb.
    pub title: &'static str,
    /// Kind of the targets: `user`, `auth-method`, `device`, `inbox-rule`, `service-principal`.
    pub target_kind: &'static str,
    /// Place in the order.
    pub effect: Effect,
    /// A gentler action for the same target.
    pub instead: Option<&'static str>,
    /// What it takes away cannot be put back as it was: a method, a rule. A plan with such a change needs to be allowed
    /// to destroy.
    pub destroys: bool,
    /// A "sensitive action" of Graph: it can lock an account out, and on an account that holds a directory role our
    /// own principal needs a role besides the permission.
    ///
    /// Source: "Who can perform sensitive actions", Microsoft Graph, resource type user.
    pub sensitive: bool,
    /// The call is made even where the state looks right: a fresh revocation, a fresh password.
    pub always: bool,
    /// Permissions to plan.
    pub reads: &'static [Permission],
    /// Permissions to change, beyond those to plan.
    pub writes: &'static [Permission],
    /// Entra roles that the caller, or our service principal, needs besides.
    pub roles: &'static [&'static str],
    /// Licence needed, if any.
    pub licence: Option<Licence>,
    /// The part of the services that its calls belong to, which not every cloud has.
    #[serde(rename = "clouds", serialize_with = "as_clouds")]
    pub part: Capability,
    /// ATT&CK techniques countered (v18.1).
    pub attack: &'static [&'static str],
    /// D3FEND techniques (1.2.0).
    pub d3fend: &'static [&'static str],
    /// CISA COUN7ER countermeasures.
    pub coun7er: &'static [&'static str],
    /// Insider Threat Matrix ids.
    pub itm: &'static [&'static str],
    /// Why responders do this.
    pub sources: &'static [Source],
    /// How long a change may take to be seen: the budget of verification.
    pub propagation: Duration,
}

fn as_clouds<S: Serializer>(part: &Capability, serializer: S) -> Result<S::Ok, S::Error> {
    part.clouds().serialize(serializer)
}

/// A user principal name or a user's object id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct UserRef(pub String);

/// A service principal's object id, or an application's client id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AppRef(pub String);

impl JsonSchema for UserRef {
    fn schema_name() -> Cow<'static, str> {
        "UserRef".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "user" })
    }
}

impl JsonSchema for AppRef {
    fn schema_name() -> Cow<'static, str> {
        "AppRef".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "service-principal" })
    }
}
