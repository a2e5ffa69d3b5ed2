//! Microsoft Graph: the route table's parts, and what every route shares.

mod access;
mod apps;
mod assignments;
mod audit;
pub(crate) mod batch;
mod credentials;
mod deleted;
mod devices;
mod directory;
pub(crate) mod grants;
mod groups;
mod mail;
mod methods;
mod objects;
pub(crate) mod policies;
mod preferences;
pub(crate) mod protection;
mod queries;
mod reset;
mod roles;
mod users;

use std::sync::Arc;

use super::call::Call;
use super::table::{Found, Key, Route, Run, find};
use crate::access::check_user;
use crate::http::Request;
use crate::odata::page::PageSize;
use crate::odata::query::Query;
use crate::reply::{Fail, Outcome, Trace};
use crate::server::{Facts, Handled, origin};
use crate::settings::Lag;
use crate::tenant::Tenant;
use crate::tenant::state::State;
use crate::tenant::tokens::Caller;

/// Every route of Graph.
pub(crate) const ROUTES: &[&[Route]] = &[
    directory::ROUTES,
    users::ROUTES,
    methods::ROUTES,
    methods::TYPED,
    devices::ROUTES,
    apps::ROUTES,
    grants::ROUTES,
    audit::ROUTES,
    groups::ROUTES,
    roles::ROUTES,
    reset::ROUTES,
    deleted::ROUTES,
    credentials::ROUTES,
    assignments::ROUTES,
    policies::ROUTES,
    protection::ROUTES,
    preferences::ROUTES,
    mail::ROUTES,
    queries::ROUTES,
];

/// The page sizes of the directory.
pub(crate) const DIRECTORY: PageSize = PageSize { default: 100, max: 999 };

/// The version of a Graph path and the rest.
pub(crate) fn version_of(path: &str) -> Option<(&str, &str)> {
    let (version, rest) = path.get(1..)?.split_once('/')?;
    let known = version.eq_ignore_ascii_case("v1.0") || version.eq_ignore_ascii_case("beta");
    known.then(|| (version, path.get(version.len() + 1..).unwrap_or(rest)))
}

/// Finds the route, checks the caller, runs the handler.
pub(crate) fn handle(
    tenant: &Tenant,
    request: &Request,
    (version, rest): (&str, &str),
    caller: &Arc<Caller>,
    trace: &Trace,
) -> Handled {
    let mut facts = Facts { app_id: Some(caller.app_id.clone()), mutated: false };
    let outcome = run(tenant, request, (version, rest), caller, trace, &mut facts);
    let response = outcome.unwrap_or_else(|fail| fail.into_response(trace));
    Handled { response, facts }
}

fn run(
    tenant: &Tenant,
    request: &Request,
    (version, rest): (&str, &str),
    caller: &Arc<Caller>,
    trace: &Trace,
    facts: &mut Facts,
) -> Outcome {
    let (route, keys) = match find(ROUTES, &request.method, rest) {
        Found::Route(route, keys) => (route, keys),
        Found::OtherMethod => {
            return Err(Fail::graph(
                405,
                "Request_BadRequest",
                "Specified HTTP method is not allowed for the request target.",
            ));
        }
        Found::Nothing(segment) => {
            return Err(Fail::graph(400, "BadRequest", &format!("Resource not found for the segment '{segment}'.")));
        }
    };
    if route.beta && !version.eq_ignore_ascii_case("beta") {
        let segment = route.path.rsplit('/').next().unwrap_or_default();
        return Err(Fail::graph(400, "BadRequest", &format!("Resource not found for the segment '{segment}'.")));
    }
    route.access.check(caller)?;
    if !apps::owns(caller, route.path, &keys, &tenant.read().state) {
        check_user(caller, route.path, matches!(route.run, Run::Write(_)))?;
    }
    let settings = tenant.settings();
    let call = Call {
        request,
        query: Query::parse(&request.query),
        keys,
        route,
        caller,
        now: tenant.now(),
        settings: &settings,
        root: format!("{}/{version}", origin(request)),
        id: trace.request_id.clone(),
    };
    match route.run {
        Run::Read(read) => {
            let world = tenant.read();
            let lag = settings.lag.of_read(tenant.log().count());
            match world.lagging(call.now, lag_of(route.path, lag)) {
                Some(past) => read(&call, &past),
                None => read(&call, &world),
            }
        }
        Run::Write(write) => {
            let mut world = tenant.write();
            world.remember(call.now, settings.lag);
            let before = world.state.version();
            let outcome = write(&call, &mut world);
            facts.mutated = world.state.version() != before;
            outcome
        }
    }
}

/// How late a read is: the registration report is a copy, and an index is later than its objects.
fn lag_of(path: &str, lag: Lag) -> i64 {
    if path.starts_with("/reports") {
        return lag.report.max(lag.object);
    }
    if path.ends_with("{}") { lag.object } else { lag.list }
}

/// The user whose mailbox a path leads to.
pub(crate) fn mailbox_key(path: &str) -> Option<String> {
    let (_, rest) = version_of(path)?;
    let mut parts = rest.trim_start_matches('/').splitn(3, '/');
    let (users, key, what) = (parts.next()?, parts.next()?, parts.next()?.to_lowercase());
    let mail = ["mailfolders", "mailboxsettings", "messages"].iter().any(|start| what.starts_with(start));
    (users.eq_ignore_ascii_case("users") && mail)
        .then(|| percent_encoding::percent_decode_str(key).decode_utf8_lossy().to_lowercase())
}

/// Whether a request changes an application that personal accounts may use: such writes have a limit of their own.
pub(crate) fn writes_personal_application(request: &Request, state: &State) -> bool {
    if request.method == "GET" {
        return false;
    }
    let rest = version_of(&request.path).map_or("", |(_, rest)| rest);
    let Found::Route(route, keys) = find(ROUTES, &request.method, rest) else {
        return false;
    };
    let Some(Key::Plain(key) | Key::Named(_, key)) = keys.first() else {
        return false;
    };
    let key = key.to_lowercase();
    let found = state.applications.get(&key).or_else(|| state.application_of(&key));
    route.path.starts_with("/applications/{}")
        && found.is_some_and(|row| row.sign_in_audience.contains("PersonalMicrosoftAccount"))
}
