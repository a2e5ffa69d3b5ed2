//! What an action is: the trait, its erased form, and the registry that everything else is derived from.

mod catalogue;
pub mod docs;
mod erased;
pub mod permissions;
mod registry;

pub(crate) use erased::Erased;
pub use erased::{ContractError, DynAction, ErasedSeen, LensError};
pub use registry::Registry;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    client::{ReadError, Reader},
    model::{Call, Difference, Found, Irreversible, Meta, Seen, Target, Verdict, diff},
};
use jiff::Timestamp;

/// A lens on the tenant: which objects, which slice of their state, which state is wanted, which calls lead from
/// one state to another. It holds no client that can write, no clock, no journal and no printer.
///
/// `desired`, `calls`, `judge` and `same` are pure.
pub trait Action: Send + Sync + 'static {
    /// What the action says about itself.
    const META: Meta;
    /// What a playbook gives it. Its rustdoc is the docs page and the editor's help.
    type Input: DeserializeOwned + JsonSchema + Send + Sync;
    /// One object, by id and by a natural key.
    type Target: Serialize + DeserializeOwned + Clone + Send + Sync;
    /// Only the slice that this action owns; never an id.
    type State: Serialize + DeserializeOwned + PartialEq + Send + Sync;

    /// Which objects, in the order in which they are to be changed.
    fn resolve(
        tenant: &Reader,
        input: &Self::Input,
    ) -> impl Future<Output = Result<Vec<Found<Self::Target>>, ReadError>> + Send;

    /// The state of one object now. An object that is gone is a state, not an error.
    fn read(
        tenant: &Reader,
        target: &Self::Target,
    ) -> impl Future<Output = Result<Seen<Self::State, Self::Target>, ReadError>> + Send;

    /// What everybody else needs to know about a target. `data` is filled in by the erased form.
    fn describe(target: &Self::Target) -> Target;

    /// The state wanted. `at` is the tenant's time just before the change, for states that must be "later than".
    fn desired(input: &Self::Input, now: &Self::State, at: Timestamp) -> Self::State;

    /// The calls that lead from one state to another, in either direction. `input` is `None` when the goal is a state
    /// that was seen before: an undo.
    fn calls(
        target: &Self::Target,
        from: &Self::State,
        to: &Self::State,
        input: Option<&Self::Input>,
    ) -> Result<Vec<Call>, Irreversible>;

    /// Whether what was seen is what was wanted.
    fn judge(wanted: &Self::State, seen: &Self::State) -> Verdict {
        if wanted == seen { Verdict::Holds } else { Verdict::NotYet }
    }

    /// Whether the state that was planned for still stands, so that the planned calls are still right.
    fn same(planned: &Self::State, seen: &Self::State) -> bool {
        planned == seen
    }

    /// What a plan shows of the way from one state to the other. Escaped for a terminal.
    fn differences(from: &Self::State, to: &Self::State) -> Vec<Difference> {
        let json = |state| serde_json::to_value(state).unwrap_or_default();
        diff(&json(from), &json(to))
    }

    /// Playbook snippets: shown in the docs, and run by the conformance suite.
    fn examples() -> &'static [Example];
}

/// An input that means something in the scenario `aitm` of the embedded tenant.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Example {
    /// What it shows.
    pub title: &'static str,
    /// The action's input as YAML, without references.
    pub input: &'static str,
}
