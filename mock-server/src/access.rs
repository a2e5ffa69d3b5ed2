//! Who may use a route: the permissions of the token, and the answers to those who may not.

use std::sync::Arc;

use crate::faults::challenge;
use crate::http::{Request, Response};
use crate::reply::Fail;
use crate::tenant::Tenant;
use crate::tenant::roles;
use crate::tenant::tokens::{Audience, Caller};

/// The permissions that open a route.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Access {
    /// Application permissions, any one of which is enough. Least privileged first.
    pub(crate) any_of: &'static [&'static str],
    /// Which service refuses.
    pub(crate) refusal: Refusal,
}

/// The services word a missing permission differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The directory.
    Directory,
    /// The authentication methods service.
    Methods,
}

impl Access {
    /// A route of the directory.
    pub(crate) const fn any(any_of: &'static [&'static str]) -> Self {
        Self { any_of, refusal: Refusal::Directory }
    }

    /// A route of the authentication methods service.
    pub(crate) const fn methods(any_of: &'static [&'static str]) -> Self {
        Self { any_of, refusal: Refusal::Methods }
    }

    /// Lets the caller pass, or refuses as the service does.
    pub(crate) fn check(&self, caller: &Caller) -> Result<(), Fail> {
        if self.any_of.iter().any(|name| caller.may(name)) {
            return Ok(());
        }
        Err(match self.refusal {
            Refusal::Directory => Fail::denied(),
            Refusal::Methods => Fail::graph(403, "accessDenied", "Request Authorization failed"),
        })
    }
}

/// The directory roles of which a signed-in user needs one, by the beginning of the path; a global administrator needs
/// no other. Source: the role tables of the Graph documentation, coarsened to one list for each family.
const ROLES: &[(&str, &[&str])] = &[
    ("/users/{}/authentication", &["Authentication Administrator", "Privileged Authentication Administrator"]),
    (
        "/users",
        &[
            "User Administrator",
            "Helpdesk Administrator",
            "Authentication Administrator",
            "Privileged Authentication Administrator",
        ],
    ),
    ("/devices", &["Cloud Device Administrator", "Intune Administrator"]),
    ("/applications", &["Application Administrator", "Cloud Application Administrator"]),
    ("/servicePrincipals", &["Application Administrator", "Cloud Application Administrator"]),
    ("/oauth2PermissionGrants", &["Application Administrator", "Cloud Application Administrator"]),
    ("/policies", &["Conditional Access Administrator", "Security Administrator"]),
    ("/identity", &["Conditional Access Administrator", "Security Administrator"]),
    ("/roleManagement", &["Privileged Role Administrator"]),
    ("/directoryRoles", &["Privileged Role Administrator"]),
    ("/groups", &["Groups Administrator", "User Administrator"]),
    ("/auditLogs", &["Reports Reader", "Security Reader", "Security Administrator", "Global Reader"]),
    ("/reports", &["Reports Reader", "Security Reader", "Security Administrator", "Global Reader"]),
    ("/security", &["Security Reader", "Security Administrator", "Global Reader"]),
];

/// A signed-in user may do what the scope and the user's directory role both allow.
pub(crate) fn check_user(caller: &Caller, path: &str, writes: bool) -> Result<(), Fail> {
    if caller.user.is_none() {
        return Ok(());
    }
    let found = ROLES.iter().find(|(start, _)| path.starts_with(start));
    let guarded = writes
        || ["/auditLogs", "/reports", "/security", "/users/{}/authentication"]
            .iter()
            .any(|start| path.starts_with(start));
    let allowed = |names: &[&str]| roles::holds(&caller.wids, names);
    if !guarded || allowed(&["Global Administrator"]) || found.is_some_and(|(_, names)| allowed(names)) {
        return Ok(());
    }
    Err(Fail::denied())
}

impl Caller {
    /// Whether the token carries this permission.
    pub(crate) fn may(&self, permission: &str) -> bool {
        self.roles.iter().any(|role| role == permission)
    }

    /// Whether the token carries any of these permissions.
    pub(crate) fn may_any(&self, permissions: &[&str]) -> bool {
        permissions.iter().any(|permission| self.may(permission))
    }
}

/// The holder of a request's token, for Graph.
pub(crate) fn graph_caller(tenant: &Tenant, request: &Request) -> Result<Arc<Caller>, Fail> {
    let token = bearer(request).ok_or_else(|| unauthorized("Access token is empty."))?;
    if token.matches('.').count() != 2 {
        return Err(unauthorized(
            "IDX14100: JWT is not well formed, there are no dots (.).\nThe token needs to be in JWS or JWE Compact Serialization Format.",
        ));
    }
    let caller = tenant
        .tokens()
        .holder(token)
        .ok_or_else(|| unauthorized("Access token validation failure. Invalid signature."))?;
    if caller.audience != Audience::Graph {
        return Err(unauthorized("Access token validation failure. Invalid audience."));
    }
    if caller.expires <= tenant.clock().now() {
        return Err(unauthorized("Lifetime validation failed, the token is expired."));
    }
    if tenant.with_settings(|settings| settings.continuous_access) && is_revoked(tenant, &caller) {
        return Err(Fail::finished(challenge(tenant.clock().now())));
    }
    Ok(caller)
}

/// Whether the token's holder was disabled, or a user's sessions were revoked, since it was issued.
fn is_revoked(tenant: &Tenant, caller: &Caller) -> bool {
    tenant.inspect(|state| {
        let principal = state.service_principals.get(&caller.object_id);
        let disabled = principal.is_none_or(|principal| !principal.account_enabled);
        let user = caller.user.as_ref().map(|user| state.users.get(&user.id));
        let ended = user.is_some_and(|user| {
            user.is_none_or(|user| {
                !user.account_enabled || user.sign_in_sessions_valid_from_date_time.0 > caller.issued
            })
        });
        disabled || ended
    })
}

/// The holder of a request's token, for Exchange: whatever is wrong, the answer is a bare 401.
pub(crate) fn exchange_caller(tenant: &Tenant, request: &Request) -> Result<Arc<Caller>, Fail> {
    let caller = bearer(request).and_then(|token| tenant.tokens().holder(token)).filter(|caller| {
        caller.audience == Audience::Exchange
            && caller.expires > tenant.clock().now()
            && caller.may_any(&["Exchange.ManageAsApp", "Exchange.Manage"])
    });
    caller.ok_or_else(|| {
        let mut response = Response::empty(401);
        response.set("www-authenticate", "Bearer client_id=\"00000002-0000-0ff1-ce00-000000000000\", trusted_issuers=\"00000001-0000-0000-c000-000000000000@*\", token_types=\"app_asserted_user_v1 service_asserted_app_v1\"");
        Fail::finished(response)
    })
}

pub(crate) fn bearer(request: &Request) -> Option<&str> {
    let value = request.get_header("authorization")?;
    let (scheme, token) = value.split_once(' ')?;
    (scheme.eq_ignore_ascii_case("bearer") && !token.trim().is_empty()).then(|| token.trim())
}

fn unauthorized(message: &str) -> Fail {
    Fail::graph(401, "InvalidAuthenticationToken", message)
        .header("www-authenticate", "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\", client_id=\"00000003-0000-0000-c000-000000000000\"")
}
