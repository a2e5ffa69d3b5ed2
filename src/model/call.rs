//! Changes to the tenant as data: what would be sent, before anybody can send it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::{GraphPath, HandOver};

/// The verbs that change something in Graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum Verb {
    /// Creates or acts.
    Post,
    /// Sets properties.
    Patch,
    /// Removes by id.
    Delete,
}

/// The Exchange cmdlets that change something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WriteCmdlet {
    /// `Disable-InboxRule`
    DisableInboxRule,
    /// `Enable-InboxRule`
    EnableInboxRule,
    /// `Remove-InboxRule`
    RemoveInboxRule,
    /// `New-InboxRule`
    NewInboxRule,
}

impl WriteCmdlet {
    /// The name as Exchange spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::DisableInboxRule => "Disable-InboxRule",
            Self::EnableInboxRule => "Enable-InboxRule",
            Self::RemoveInboxRule => "Remove-InboxRule",
            Self::NewInboxRule => "New-InboxRule",
        }
    }
}

/// What may be done when the answer to a call is lost.
///
/// The HTTP method says nothing: every Exchange cmdlet is a `POST`, and a `POST` that revokes sessions is repeatable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Replay {
    /// Changes nothing.
    Read,
    /// Sets an absolute state: may be repeated.
    Set,
    /// Removes by id: may be repeated, "not found" then means done.
    Delete,
    /// Creates or acts each time: never repeated.
    New,
    /// Replaces a whole collection: never repeated without reading it again.
    Replace,
}

impl Replay {
    /// Whether the same request may be sent again when nobody knows if the first one took effect.
    pub fn repeatable(self) -> bool {
        matches!(self, Self::Read | Self::Set | Self::Delete)
    }
}

/// Where a write goes and what it carries.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Write {
    /// A Graph request.
    Graph {
        /// Verb.
        verb: Verb,
        /// Path and query.
        path: GraphPath,
        /// JSON body; secrets are placeholders.
        body: Option<Value>,
    },
    /// An Exchange cmdlet through `InvokeCommand`.
    Cmdlet {
        /// Which.
        name: WriteCmdlet,
        /// Mailbox whose back end should answer (`X-AnchorMailbox`).
        anchor: String,
        /// Parameters.
        parameters: Map<String, Value>,
    },
}

/// An alias that reads better in signatures.
pub type Request = Write;

/// A secret that is made when the call is sent, and stands in the body as `{"$secret": "<name>"}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SecretSlot {
    /// Name of the placeholder.
    pub name: String,
    /// Whose secret it is, for the file name and its first line.
    pub owner: String,
    /// What happens to it.
    pub hand_over: HandOver,
}

/// What a rejection (400) of this call means for its place in the order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnRejection {
    /// It is final.
    #[default]
    Fail,
    /// The call is tried once more after all others of its lane: the default authentication method can be
    /// deleted only when it is the last one.
    LastOfLane,
}

/// One write, as data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Call {
    /// What is sent.
    pub write: Write,
    /// What a lost answer allows.
    pub replay: Replay,
    /// What a 400 means.
    #[serde(default)]
    pub on_rejection: OnRejection,
    /// Secrets that its body needs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretSlot>,
}

impl Call {
    /// A Graph write.
    pub fn graph(verb: Verb, path: GraphPath, body: Option<Value>, replay: Replay) -> Self {
        Self { write: Write::Graph { verb, path, body }, replay, on_rejection: OnRejection::Fail, secrets: Vec::new() }
    }

    /// An Exchange write.
    pub fn cmdlet(name: WriteCmdlet, anchor: &str, parameters: Map<String, Value>, replay: Replay) -> Self {
        let write = Write::Cmdlet { name, anchor: anchor.to_owned(), parameters };
        Self { write, replay, on_rejection: OnRejection::Fail, secrets: Vec::new() }
    }

    /// The placeholder of a secret inside a body.
    pub fn secret(name: &str) -> Value {
        serde_json::json!({ "$secret": name })
    }

    /// A placeholder for a field of the target as the engine finds it after an earlier call of the same change:
    /// the id of a rule that was just created.
    pub fn found(field: &str) -> Value {
        serde_json::json!({ "$found": field })
    }

    /// Whether this call does what another one does, whatever it carries: the same verb on the same path, the same cmdlet.
    pub fn does_as(&self, other: &Self) -> bool {
        match (&self.write, &other.write) {
            (Write::Graph { verb, path, .. }, Write::Graph { verb: others, path: of_other, .. }) => {
                verb == others && path == of_other
            }
            (Write::Cmdlet { name, .. }, Write::Cmdlet { name: others, .. }) => name == others,
            _ => false,
        }
    }

    /// One line for people: `PATCH /v1.0/users/… {"accountEnabled":false}`. Placeholders stay placeholders.
    pub fn summary(&self) -> String {
        match &self.write {
            Write::Graph { verb, path, body } => {
                let verb = match verb {
                    Verb::Post => "POST",
                    Verb::Patch => "PATCH",
                    Verb::Delete => "DELETE",
                };
                match body {
                    Some(body) => format!("{verb} {} {body}", path.as_str()),
                    None => format!("{verb} {}", path.as_str()),
                }
            }
            Write::Cmdlet { name, parameters, .. } => {
                format!("{} {}", name.name(), Value::Object(parameters.clone()))
            }
        }
    }
}
