//! What a change is called and the ids that it bears, in the direction of its run: forwards those of its action; where it
//! is taken back, those of the countermeasure that restores, and no technique of an intruder.

use crate::{
    journal::Mode,
    model::{Catalog, Meta},
};

/// The labels of one change.
#[derive(Clone, Copy)]
pub(super) struct Labels {
    pub(super) meta: &'static Meta,
    pub(super) mode: Mode,
}

impl Labels {
    /// `Block sign-in`, and for its way back `Take back: block sign-in`.
    pub(super) fn title(self) -> String {
        let title = self.meta.title;
        let mut letters = title.chars();
        match (self.mode, letters.next()) {
            (Mode::Undo, Some(first)) => format!("Take back: {}{}", first.to_lowercase(), letters.as_str()),
            _ => title.to_owned(),
        }
    }

    /// The ids that it bears.
    pub(super) fn ids(self, catalog: Catalog) -> Vec<&'static str> {
        let own = catalog.ids(self.meta);
        match (self.mode, catalog) {
            (Mode::Apply, _) => own.to_vec(),
            (Mode::Undo, Catalog::D3fend) => own.iter().flat_map(|id| restoring(id)).copied().collect(),
            (Mode::Undo, _) => Vec::new(),
        }
    }
}

/// The D3FEND techniques that take this one back: the ontology has some for accounts alone.
fn restoring(id: &str) -> &'static [&'static str] {
    match id {
        "D3-AL" => &["D3-ULA", "D3-RUAA"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::restoring;
    use crate::model::defence;

    #[test]
    fn what_takes_back_restores() {
        assert_eq!(restoring("D3-AL"), ["D3-ULA", "D3-RUAA"]);
        assert!(restoring("D3-AL").iter().all(|id| defence(id).is_some_and(|it| it.tactic == "Restore")));
        assert!(restoring("D3-OE").is_empty());
    }
}
