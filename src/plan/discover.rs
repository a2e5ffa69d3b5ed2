//! What each step of a playbook finds, before anybody picks: only reads.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;

use crate::{
    action::{LensError, Registry},
    client::Reader,
    model::{Caveat, Cloud, Found, Meta, Target, Untrusted},
    playbook::{Bound, BoundRun, BoundStep, Pick, When},
};

/// What every step found.
#[derive(Debug)]
pub struct Discovery {
    /// By stage, step and run, in the playbook's order.
    pub(crate) steps: Vec<Vec<FoundStep>>,
}

/// What one step found.
#[derive(Debug)]
pub(crate) struct FoundStep {
    pub(crate) id: String,
    pub(crate) action: String,
    pub(crate) pick: Pick,
    pub(crate) runs: Vec<FoundRun>,
}

/// Why a step found nothing that could be picked.
#[derive(Debug)]
pub(crate) enum Unfound {
    /// Looking failed.
    Lens(LensError),
    /// The tenant's cloud does not have what the action needs; nothing was asked.
    NotInCloud(String),
}

/// What one step found for one value of `each`.
#[derive(Debug)]
pub(crate) struct FoundRun {
    pub(crate) run: BoundRun,
    pub(crate) found: Result<Vec<Found<Target>>, Unfound>,
}

/// A step that waits for a person's choice.
#[derive(Clone, Debug)]
pub struct Question {
    /// The step.
    pub step: String,
    /// Its action.
    pub action: String,
    /// What can be picked.
    pub candidates: Vec<Candidate>,
}

/// An object that can be picked.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// It.
    pub target: Target,
    /// Its line of evidence.
    pub note: Untrusted,
    /// Whether it certainly meets the step's criterion.
    pub certain: bool,
    /// What to know.
    pub caveats: Vec<Caveat>,
}

/// What was picked, by step.
pub type Picks = BTreeMap<String, Selection>;

/// What is picked in one step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// Everything that certainly meets the criterion.
    All,
    /// These ids.
    Ids(BTreeSet<String>),
}

/// Picks that do not fit what was found.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PickError {
    /// Nobody chose.
    #[error(
        "plan step {step}: {count} objects were found and none was picked; say --pick {step}=all, {step}=none or {step}=ID,ID"
    )]
    Unanswered {
        /// The step.
        step: String,
        /// How many candidates.
        count: usize,
    },
    /// More than one: the ids of phones and e-mail methods are the same for every user.
    #[error("plan step {step}: {id} was found more than once; write OWNER/ID, one of {}", keys.join(", "))]
    Ambiguous {
        /// The step.
        step: String,
        /// The id.
        id: String,
        /// The forms that say which.
        keys: Vec<String>,
    },
    /// No such object among those found.
    #[error("plan step {step}: nothing with id {id} was found")]
    Unknown {
        /// The step.
        step: String,
        /// The id.
        id: String,
    },
    /// No such step, or it does not ask.
    #[error("use --pick {0}: the playbook has no such step")]
    NoStep(String),
}

impl Discovery {
    /// Resolves every step at once. A step whose condition is false reads nothing.
    pub async fn run(bound: &Bound, registry: Registry, reader: &Reader) -> Self {
        let stages = bound
            .stages
            .iter()
            .map(|stage| join_all(stage.steps.iter().map(|step| discover_step(step, registry, reader))));
        Self { steps: join_all(stages).await }
    }

    /// The steps that need a choice and found something to choose from.
    pub fn questions(&self) -> Vec<Question> {
        self.steps.iter().flatten().filter(|step| matches!(step.pick, Pick::Operator)).filter_map(question).collect()
    }

    /// Checks that every question is answered and that every answer names something found.
    ///
    /// # Errors
    /// All that is wrong with the picks.
    pub fn check(&self, picks: &Picks) -> Result<(), Vec<PickError>> {
        let mut errors = Vec::new();
        for step in picks.keys() {
            if !self.steps.iter().flatten().any(|found| found.id == *step) {
                errors.push(PickError::NoStep(step.clone()));
            }
        }
        for step in self.steps.iter().flatten() {
            errors.extend(step.wrong_ids(picks));
        }
        for question in self.questions() {
            if !picks.contains_key(&question.step) {
                let count = question.candidates.len();
                errors.push(PickError::Unanswered { step: question.step, count });
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }
}

impl FoundStep {
    /// What is selected here: the command line narrows or answers, the playbook's own pick otherwise holds.
    pub(crate) fn selection(&self, picks: &Picks) -> Selection {
        match (picks.get(&self.id), &self.pick) {
            (Some(picked), _) => picked.clone(),
            (None, Pick::All) => Selection::All,
            (None, Pick::Ids(ids)) => Selection::Ids(ids.iter().cloned().collect()),
            (None, Pick::Operator) => Selection::Ids(BTreeSet::new()),
        }
    }

    /// The objects that are picked.
    pub(crate) fn picked(&self, picks: &Picks) -> impl Iterator<Item = &Target> {
        let selection = self.selection(picks);
        self.found().filter(move |found| selection.takes(found)).map(|found| &found.target)
    }

    fn found(&self) -> impl Iterator<Item = &Found<Target>> {
        self.runs.iter().filter_map(|run| run.found.as_ref().ok()).flatten()
    }

    /// The picked ids that name nothing, or more than one thing.
    fn wrong_ids(&self, picks: &Picks) -> Vec<PickError> {
        let Selection::Ids(ids) = self.selection(picks) else {
            return Vec::new();
        };
        ids.into_iter().filter_map(|id| self.wrong_id(id)).collect()
    }

    fn wrong_id(&self, id: String) -> Option<PickError> {
        let named: BTreeSet<String> =
            self.found().filter(|found| names(&found.target, &id)).map(|found| pick_key(&found.target)).collect();
        let step = self.id.clone();
        match named.len() {
            0 => Some(PickError::Unknown { step, id }),
            1 => None,
            _ => Some(PickError::Ambiguous { step, id, keys: named.into_iter().collect() }),
        }
    }
}

impl Selection {
    /// Whether an object is picked.
    pub(crate) fn takes(&self, found: &Found<Target>) -> bool {
        match self {
            Self::All => found.certain,
            Self::Ids(ids) => ids.iter().any(|id| names(&found.target, id)),
        }
    }
}

/// How an object is picked without doubt: `OWNER/ID`, or its id alone where it has no owner.
pub fn pick_key(target: &Target) -> String {
    match &target.of {
        Some(of) => format!("{}/{}", of.raw(), target.id),
        None => target.id.clone(),
    }
}

fn names(target: &Target, id: &str) -> bool {
    target.id == id || pick_key(target) == id
}

fn question(step: &FoundStep) -> Option<Question> {
    let candidates: Vec<Candidate> = step
        .found()
        .map(|found| Candidate {
            target: found.target.clone(),
            note: found.note.clone(),
            certain: found.certain,
            caveats: found.caveats.clone(),
        })
        .collect();
    let (step, action) = (step.id.clone(), step.action.clone());
    (!candidates.is_empty()).then_some(Question { step, action, candidates })
}

async fn discover_step(step: &BoundStep, registry: Registry, reader: &Reader) -> FoundStep {
    let runs: &[BoundRun] = if matches!(step.when, When::Never { .. }) { &[] } else { &step.runs };
    let found = join_all(runs.iter().map(|run| async {
        let found = match registry.get(&step.action) {
            Some(action) => match not_in_cloud(action.meta(), reader.cloud()) {
                Some(reason) => Err(Unfound::NotInCloud(reason)),
                None => action.resolve(reader, &run.input).await.map_err(Unfound::Lens),
            },
            None => Ok(Vec::new()),
        };
        FoundRun { run: run.clone(), found }
    }));
    FoundStep { id: step.id.clone(), action: step.action.clone(), pick: step.pick.clone(), runs: found.await }
}

/// Why an action cannot be planned in a cloud: its calls do not exist there.
fn not_in_cloud(meta: &Meta, cloud: Cloud) -> Option<String> {
    let missing = !meta.part.is_in(cloud);
    missing.then(|| format!("{} is not in this cloud ({}): do it by hand, or leave it out", meta.id, cloud.word()))
}
