//! What the report takes from `plan.json`. Tolerant: a field or an item that this version does not understand is left
//! out, since the report must be readable for as long as the record is.

use std::collections::BTreeMap;

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::types;
use crate::model::{Catalog, Caveat, Item};

/// The file.
#[derive(Default, Deserialize)]
pub(super) struct PlanFile {
    #[serde(default)]
    pub(super) digest: Option<String>,
    #[serde(default)]
    pub(super) plan: Plan,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Plan {
    pub(super) title: String,
    pub(super) inputs: BTreeMap<String, Value>,
    pub(super) stages: Vec<Stage>,
    pub(super) handover: Vec<Value>,
    playbook: Option<Playbook>,
    caveats: Vec<Value>,
}

/// The playbook's own text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Playbook {
    text: String,
}

/// What the report takes from that text.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Head {
    counters: BTreeMap<String, Vec<String>>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Stage {
    pub(super) id: String,
    pub(super) steps: Vec<Step>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Step {
    pub(super) id: String,
    pub(super) action: String,
    pub(super) items: Vec<Value>,
}

/// A task for people.
#[derive(Deserialize)]
pub(super) struct Task {
    pub(super) to: String,
    pub(super) task: String,
}

/// An item with its place.
pub(super) struct Placed<'a> {
    pub(super) stage: &'a str,
    pub(super) step: &'a Step,
    pub(super) item: Item,
}

impl PlanFile {
    /// Reads the file, or what there is of it.
    pub(super) fn parse(bytes: &[u8]) -> Self {
        serde_json::from_slice(bytes).unwrap_or_default()
    }

    /// All items in order.
    pub(super) fn items(&self) -> impl Iterator<Item = Placed<'_>> {
        self.plan.stages.iter().flat_map(|stage| {
            stage
                .steps
                .iter()
                .flat_map(|step| understood(&step.items).map(|item| Placed { stage: &stage.id, step, item }))
        })
    }

    /// All steps in order.
    pub(super) fn steps(&self) -> impl Iterator<Item = types::Step> {
        self.plan.stages.iter().flat_map(|stage| {
            let of =
                |step: &Step| types::Step { stage: stage.id.clone(), id: step.id.clone(), action: step.action.clone() };
            stage.steps.iter().map(of)
        })
    }

    /// What is to be known of the plan as a whole.
    pub(super) fn caveats(&self) -> impl Iterator<Item = Caveat> {
        understood(&self.plan.caveats)
    }

    /// The ids that the playbook states that it counters.
    pub(super) fn counters(&self) -> Vec<(Catalog, String)> {
        let head = self.plan.playbook.as_ref().and_then(|it| serde_saphyr::from_str::<Head>(&it.text).ok());
        let mut counters = head.unwrap_or_default().counters;
        let mut of = |catalog: Catalog| counters.remove(catalog.key()).unwrap_or_default();
        Catalog::ALL.into_iter().flat_map(|catalog| of(catalog).into_iter().map(move |id| (catalog, id))).collect()
    }

    /// All tasks for people.
    pub(super) fn tasks(&self) -> impl Iterator<Item = Task> {
        understood(&self.plan.handover)
    }
}

fn understood<T: DeserializeOwned>(values: &[Value]) -> impl Iterator<Item = T> {
    values.iter().filter_map(|value| serde_json::from_value(value.clone()).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::PlanFile;

    #[test]
    fn what_is_not_understood_is_left_out() {
        let file = json!({"digest": "d", "later": 1, "plan": {"title": "t", "new": {}, "stages": [
            {"id": "s", "gate": "x", "steps": [{"id": "p", "action": "a", "items": [
                {"nothing": {"subject": "u"}}, {"of-a-later-version": {}}]}]}],
            "handover": [{"to": "owner", "task": "look"}, {"whom": "x"}]}});
        let file = PlanFile::parse(file.to_string().as_bytes());
        assert_eq!(file.items().count(), 1);
        assert_eq!(file.tasks().count(), 1);
        assert_eq!(PlanFile::parse(b"not json").items().count(), 0);
        for (text, attack) in [("counters: {attack: [T1557], later: [X]}\nnew: {a: [1]}\n", 1), ("a: [", 0), ("", 0)] {
            let file = json!({"plan": {"playbook": {"id": "p", "text": text}}}).to_string();
            assert_eq!(PlanFile::parse(file.as_bytes()).counters().len(), attack, "{text}");
        }
    }
}
