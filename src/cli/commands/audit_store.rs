//! `audit copy` and `audit fetch`: a record into a store, and back.

use crate::{
    cli::{
        Context,
        args::{CopyArgs, FetchArgs},
        config::Config,
        custody,
        exit::{Exit, Failure, OrFail as _},
        keep::{self, Keeping, StoreArg},
        runs,
    },
    journal::{self, Handling, History},
    store::{Address, Store},
};

pub(crate) async fn copy(context: &Context, args: &CopyArgs) -> Result<Exit, Failure> {
    let path = runs::find(context, &args.run.run)?;
    let tenant = History::load(&path).or_fail(Exit::NotVerified)?.header.tenant_id;
    let store = open(context, args.store.as_ref(), keep::noted(&path), Some(&tenant))?;
    let copied = store.copy(&path).await.map_err(|error| keep::failure(&error))?;
    custody::note(context, &path, None, Handling::Copied { to: copied.place.clone() });
    context.out.data(&copied, || keep::words(&copied))?;
    Ok(Exit::Ok)
}

pub(crate) async fn fetch(context: &Context, args: &FetchArgs) -> Result<Exit, Failure> {
    let trust = super::audit::trust(&args.keys, args.policy.as_deref())?;
    let store = open(context, args.store.as_ref(), None, None)?;
    let fetched = store.fetch(&args.run, &args.out).await.map_err(|error| keep::failure(&error))?;
    context.out.say(&format!("{} files in {}", fetched.files, fetched.run.display()));
    custody::note(context, &fetched.run, None, Handling::Fetched { from: fetched.place });
    super::audit::judged(context, &journal::verify_with(&fetched.run, &trust))
}

/// The store that was named, else the one that the run began with, else the profile's.
fn open(
    context: &Context,
    asked: Option<&StoreArg>,
    noted: Option<Address>,
    tenant: Option<&str>,
) -> Result<Store, Failure> {
    let config = Config::load(context.global.config.as_deref())?;
    let keeping = match config.profile(context.global.tenant.as_deref(), tenant) {
        Ok(profile) => profile.keeping(),
        // A record can be copied where no tenant is known, once a store is named.
        Err(_) if asked.is_some() || noted.is_some() => Keeping::default(),
        Err(failure) => return Err(failure),
    };
    let Some(at) = keep::chosen(asked, noted.or(keeping.at)) else {
        return Err(Failure::usage("no store: neither --store nor the profile names one"));
    };
    Store::open(&at, &keeping.reach).map_err(|error| keep::failure(&error))
}
