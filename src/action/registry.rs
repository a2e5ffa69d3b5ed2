//! The list of actions that everything else is derived from.

use crate::{action::DynAction, model::Meta};

/// The actions that exist, in the order of their registration.
#[derive(Clone, Copy)]
pub struct Registry(&'static [&'static dyn DynAction]);

impl Registry {
    /// A registry over a fixed list.
    pub const fn new(list: &'static [&'static dyn DynAction]) -> Self {
        Self(list)
    }

    /// All actions.
    pub fn iter(&self) -> impl Iterator<Item = &'static dyn DynAction> {
        self.0.iter().copied()
    }

    /// What the action with this id says about itself.
    pub fn meta(&self, id: &str) -> Option<&'static Meta> {
        self.get(id).map(DynAction::meta)
    }

    /// The action with this id.
    pub fn get(&self, id: &str) -> Option<&'static dyn DynAction> {
        self.iter().find(|action| action.meta().id == id)
    }
}
