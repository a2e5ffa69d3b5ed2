//! The registry as the playbook language sees it.

use crate::{
    action::Registry,
    playbook::{ActionFacts, Catalogue},
};

impl Catalogue for Registry {
    fn actions(&self) -> Vec<ActionFacts> {
        self.iter()
            .map(|action| {
                let meta = action.meta();
                ActionFacts {
                    id: meta.id.to_owned(),
                    title: meta.title.to_owned(),
                    input: action.input_schema(),
                    target_kind: meta.target_kind.to_owned(),
                    effect: meta.effect,
                    instead: meta.instead.map(str::to_owned),
                }
            })
            .collect()
    }
}
