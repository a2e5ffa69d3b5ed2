//! What a plan is made of: objects that were found, and the change that is wanted of each.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Call, Difference, Untrusted};

/// Something a responder should know about an object or a change. It explains; it never steers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Caveat {
    /// Which.
    pub kind: CaveatKind,
    /// In words.
    pub text: String,
}

/// The kinds of caveat.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CaveatKind {
    /// Mastered on-premises: a cloud change may be turned back. Makes `done` into `done-will-revert`.
    Synced,
    /// In a restricted management administrative unit: application permissions do not apply.
    RestrictedUnit,
    /// A guest: sessions and password live in the home tenant.
    Guest,
    /// The tenant gives no date for the object, so whether it belongs to the incident is a person's decision.
    Undated,
    /// The change itself alters or destroys something that may be evidence.
    AffectsEvidence,
    /// Something could not be read, so objects may be missing here.
    BlindSpot,
    /// What the change leaves open.
    Residual,
    /// What becomes of a new secret.
    Secret,
}

impl Caveat {
    /// A caveat in words.
    pub fn new(kind: CaveatKind, text: impl Into<String>) -> Self {
        Self { kind, text: text.into() }
    }
}

/// Facts about an application, for the guards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Workload {
    /// Client id.
    pub app_id: String,
    /// `appOwnerOrganizationId`: the home tenant.
    pub home_tenant: Option<String>,
    /// `servicePrincipalType`.
    pub kind: Option<String>,
}

/// One object, erased: what engine, plan and report know of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `user`, `auth-method`, `device`, `inbox-rule`, `service-principal`.
    pub kind: String,
    /// The tenant's id of the object, as it is picked by.
    pub id: String,
    /// What it calls itself.
    pub name: Untrusted,
    /// The user it belongs to, by principal name.
    pub of: Option<Untrusted>,
    /// Changes of one lane go in order, one at a time; different lanes go at once. The owner's object id, or its own.
    pub lane: String,
    /// Object id of the user it belongs to; none for what belongs to nobody.
    #[serde(default)]
    pub owner: Option<String>,
    /// For an application.
    pub workload: Option<Workload>,
    /// The action's own view of it.
    pub data: Value,
}

impl Target {
    /// Object id of the account or application that a change of it concerns. Plans of older versions name no owner.
    pub fn principal(&self) -> &str {
        self.owner.as_deref().unwrap_or(&self.lane)
    }
}

/// An object that `resolve` found.
#[derive(Clone, Debug, PartialEq)]
pub struct Found<T> {
    /// The object.
    pub target: T,
    /// Whether it certainly meets the criterion. What is uncertain is shown and can be picked by id, but is
    /// never taken by `pick: all`.
    pub certain: bool,
    /// One line of evidence for the person who picks: dates, effects, owners.
    pub note: Untrusted,
    /// What to know about it.
    pub caveats: Vec<Caveat>,
}

/// What a read saw of one object. The raw bytes are kept by the reader's trace, not here.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen<S, T> {
    /// The slice that the action owns.
    pub state: S,
    /// Where the object lives now, when it is no longer under the id that was asked for.
    pub moved_to: Option<T>,
    /// What to know about it.
    pub caveats: Vec<Caveat>,
}

impl<S, T> Seen<S, T> {
    /// A state with nothing to add.
    pub fn plain(state: S) -> Self {
        Self { state, moved_to: None, caveats: Vec::new() }
    }
}

/// Why a state cannot be reached, in words that a responder can act on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Irreversible(pub String);

/// What a change aims at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Goal {
    /// What the action desires for this input, computed again just before the change.
    Input(Value),
    /// Exactly this state: an undo.
    State(Value),
}

/// How a change is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Undo {
    /// By these calls.
    Calls(Vec<Call>),
    /// It is not.
    Impossible(Irreversible),
}

/// One change of one object, with everything that is needed to judge it beforehand and afterwards.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// `c001`, in the order of the plan.
    pub id: String,
    /// Step of the playbook.
    pub step: String,
    /// Action.
    pub action: String,
    /// Object.
    pub target: Target,
    /// What it was found by: dates, effects, grants, owners.
    pub note: Untrusted,
    /// Its state at plan time.
    pub before: Value,
    /// The state wanted, as computed at plan time.
    pub wanted: Value,
    /// The difference in words: for people, it decides nothing.
    pub differences: Vec<Difference>,
    /// What it aims at.
    pub goal: Goal,
    /// Exactly what will be sent, in order. Empty when it is already so.
    pub calls: Vec<Call>,
    /// The way back.
    pub undo: Undo,
    /// What to know.
    pub caveats: Vec<Caveat>,
    /// Whether it is expected to be let through, and to last.
    #[serde(default)]
    pub preflight: Preflight,
}

/// A guard that was overridden, with the reason that was given: part of the plan that is hashed and approved, and of
/// the record.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// Name of the guard.
    pub guard: String,
    /// The reason that was given.
    pub reason: String,
    /// What it let pass: an object, escaped; none where it concerns the plan as a whole.
    pub target: Option<String>,
}

/// What is known before anything is sent about whether a change will be let through, and will last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Preflight {
    /// Nothing speaks against it.
    #[default]
    Can,
    /// The tenant is expected to refuse it.
    Cannot {
        /// Why, and what is missing.
        reason: String,
    },
    /// It is expected to be turned back.
    WillNotLast {
        /// By what.
        reason: String,
    },
}

/// Why a guard refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    /// Name of the guard.
    pub guard: String,
    /// In words.
    pub reason: String,
}

/// What a step came to for one object, or for one value of `each`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Item {
    /// To be changed.
    Change(Box<Change>),
    /// The state is already as wanted.
    Already(Box<Change>),
    /// Found, shown, not picked.
    NotPicked {
        /// The object.
        target: Box<Target>,
        /// Its line of evidence.
        note: Untrusted,
        /// Whether the criterion certainly holds.
        certain: bool,
        /// What to know.
        caveats: Vec<Caveat>,
    },
    /// A guard refused.
    Refused {
        /// The object.
        target: Box<Target>,
        /// Why.
        refusal: Refusal,
    },
    /// In an undo: it stays as the run left it, as the run's plan had said.
    Stays {
        /// The object.
        target: Box<Target>,
        /// Why there is no way back.
        reason: Irreversible,
    },
    /// It could not be planned: an unknown user, no mailbox, a denied read.
    Problem {
        /// The value of `each`, or the object's name.
        subject: Untrusted,
        /// In words, with the error code.
        reason: String,
    },
    /// Found nothing, for this value of `each`.
    Nothing {
        /// The value of `each`.
        subject: Untrusted,
    },
}
