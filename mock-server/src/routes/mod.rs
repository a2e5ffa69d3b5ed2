//! From a request to the tenant and back: the route table, and the handlers beside it.

pub(crate) mod call;
pub(crate) mod exchange;
pub(crate) mod graph;
pub(crate) mod login;
pub(crate) mod table;

use serde::Serialize;

/// A route of Graph, for documentation and for tests that walk them all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct RouteInfo {
    /// The method in capitals.
    pub method: &'static str,
    /// The path below the version, `{}` for a key.
    pub path: &'static str,
    /// Application permissions, any one of which is enough. Least privileged first.
    pub permissions: &'static [&'static str],
    /// Whether it can change the tenant.
    pub writes: bool,
    /// Whether only the beta version has it.
    pub beta: bool,
}

/// Every route of Graph but `$batch`, in the order in which they are tried.
#[must_use]
pub fn routes() -> Vec<RouteInfo> {
    graph::ROUTES
        .iter()
        .flat_map(|routes| routes.iter())
        .map(|route| RouteInfo {
            method: route.method,
            path: route.path,
            permissions: route.access.any_of,
            writes: matches!(route.run, table::Run::Write(_)),
            beta: route.beta,
        })
        .collect()
}

/// The names of Exchange's cmdlets that the tenant answers, sorted.
#[must_use]
pub fn cmdlets() -> Vec<&'static str> {
    let mut names: Vec<&str> =
        exchange::CMDLETS.iter().flat_map(|group| group.iter()).map(|cmdlet| cmdlet.name).collect();
    names.sort_unstable();
    names
}

/// Every permission that a route accepts, sorted.
pub(crate) fn all_permissions() -> Vec<&'static str> {
    let mut names: Vec<&str> = graph::ROUTES
        .iter()
        .flat_map(|routes| routes.iter())
        .flat_map(|route| route.access.any_of)
        .copied()
        // A scope of signed-in users only.
        .filter(|name| *name != "Directory.AccessAsUser.All")
        .chain(["Exchange.ManageAsApp"])
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}
