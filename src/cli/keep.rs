//! The store of a run: which one, the claim before the first change, the copy at the close.

use std::{fs, path::Path, str::FromStr};

use crate::{
    cli::{
        Context,
        connect::Connected,
        custody,
        exit::{Exit, Failure, OrFail as _},
        signals::Signals,
    },
    journal::{Handling, RunHeader, disk},
    store::{Address, AddressError, Claim, Copied, Reach, Store, StoreError},
};

/// What `--store` takes: an address, or `none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum StoreArg {
    /// No store, whatever the profile says.
    None,
    /// This one.
    At(Address),
}

impl FromStr for StoreArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parsed = if text == "none" { Ok(Self::None) } else { text.parse().map(Self::At) };
        parsed.map_err(|error: AddressError| error.to_string())
    }
}

/// What a profile says of stores, and how they are reached.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keeping {
    pub(crate) at: Option<Address>,
    pub(crate) reach: Reach,
}

/// The store of a run, if it has one.
pub(crate) struct Keep {
    store: Option<Store>,
}

impl Keep {
    /// For a new run.
    pub(crate) fn of(connected: &Connected, asked: Option<&StoreArg>) -> Result<Self, Failure> {
        let keeping = &connected.keeping;
        Self::open(chosen(asked, keeping.at.clone()), &keeping.reach)
    }

    /// For a run that is there already: the store that it began with goes before that of the profile.
    pub(crate) fn again(connected: &Connected, run: &Path, asked: Option<&StoreArg>) -> Result<Self, Failure> {
        let keeping = &connected.keeping;
        Self::open(chosen(asked, noted(run).or_else(|| keeping.at.clone())), &keeping.reach)
    }

    fn open(at: Option<Address>, reach: &Reach) -> Result<Self, Failure> {
        let store = at.map(|at| Store::open(&at, reach).map_err(|error| failure(&error))).transpose()?;
        Ok(Self { store })
    }

    /// Makes sure that nobody else runs this plan. To be called before anything is changed.
    pub(crate) async fn claim(&self, header: &RunHeader, plan: &str) -> Result<(), Failure> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        store.claim(&Claim::of(header, plan)).await.map_err(|error| match error {
            error @ StoreError::Held { .. } => failure(&error).hint(
                "nothing was changed; if that run died, `staunch resume` it there; a new plan has a claim of its own",
            ),
            error => failure(&error).hint("nothing was changed; `--store none` goes on without a store"),
        })
    }

    /// Notes beside the runs of the case which store a run has, for `resume` and `audit copy`.
    pub(crate) fn note(&self, case: &Path, run: &str) -> Result<(), Failure> {
        let Some(store) = &self.store else {
            return Ok(());
        };
        let path = case.join(STORES).join(run);
        if path.is_file() {
            return Ok(());
        }
        disk::make_dir(&case.join(STORES)).or_fail(Exit::CouldNotRun)?;
        disk::write_new_synced(&path, format!("{}\n", store.address()).as_bytes()).or_fail(Exit::CouldNotRun)
    }

    /// Copies what `by` ran, as it ended. What was contained stays contained where the copy fails.
    pub(crate) async fn copy(
        &self,
        context: &Context,
        run: &Path,
        by: Option<&str>,
        (exit, closed): (Exit, bool),
    ) -> Exit {
        let Some(store) = &self.store else {
            return exit;
        };
        if !closed {
            context.out.say("not copied to the store: the run is not closed; `resume` copies it when it is");
            return exit;
        }
        let mut signals = Signals::new();
        let failed = tokio::select! {
            _ = signals.next() => Failure::new(Exit::CouldNotRun, "the copy was stopped"),
            copied = store.copy(run) => match copied {
                Ok(copied) => {
                    context.out.say(&words(&copied));
                    custody::note(context, run, by, Handling::Copied { to: copied.place });
                    return exit;
                }
                Err(error) => failure(&error),
            },
        };
        let (run, at) = (run.display(), store.address());
        context.out.failure(&failed.hint(format!(
            "the run is over, and recorded here; it is NOT COPIED there: staunch audit copy {run} --store {at}"
        )));
        if exit == Exit::Ok { Exit::CouldNotRun } else { exit }
    }
}

/// The folder of a case that says which store a run has.
const STORES: &str = "stores";

/// The store that a run began with.
pub(crate) fn noted(run: &Path) -> Option<Address> {
    let run = run.canonicalize().ok()?;
    let case = run.parent()?.parent()?;
    fs::read_to_string(case.join(STORES).join(run.file_name()?)).ok()?.trim().parse().ok()
}

/// What was asked for goes before anything else.
pub(crate) fn chosen(asked: Option<&StoreArg>, otherwise: Option<Address>) -> Option<Address> {
    match asked {
        Some(StoreArg::None) => None,
        Some(StoreArg::At(at)) => Some(at.clone()),
        None => otherwise,
    }
}

/// In one line.
pub(crate) fn words(copied: &Copied) -> String {
    let Copied { place, objects, new, .. } = copied;
    format!("copied to {place}: {objects} objects, {new} of them new, all read back")
}

/// A store's error with its exit code.
pub(crate) fn failure(error: &StoreError) -> Failure {
    let exit = match error {
        StoreError::Unusable { .. } => Exit::Usage,
        StoreError::Held { .. } | StoreError::NotAClaim { .. } => Exit::Refused,
        StoreError::NotWhole(_) | StoreError::Different { .. } | StoreError::Changed { .. } => Exit::NotVerified,
        StoreError::Refused { .. } | StoreError::NoCopy { .. } | StoreError::File(_) | StoreError::Exists(_) => {
            Exit::CouldNotRun
        }
    };
    Failure::of(exit, error)
}
