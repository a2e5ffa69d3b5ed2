//! Who we are to the tenant, as the token says it.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Untrusted;

/// Whether a token speaks for an application or for a signed-in person.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityKind {
    /// App-only: permissions are in `roles`.
    Application,
    /// Delegated: permissions are in `scp`.
    User,
}

/// The claims of an access token that the record and the guards need. Decoded, never validated: the resource does that.
///
/// Source: "access token claims reference", Microsoft identity platform.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// `tid`: the tenant that issued the token.
    pub tenant_id: String,
    /// `appid` or `azp`: our application.
    pub app_id: String,
    /// `oid`: our service principal or user.
    pub object_id: String,
    /// Application or user.
    pub kind: IdentityKind,
    /// `upn`, when a person signed in.
    pub user_principal_name: Option<String>,
    /// `roles` or `scp`, sorted.
    pub permissions: Vec<String>,
    /// `wids`: template ids of directory roles, sorted.
    pub directory_roles: Vec<String>,
    /// `uti`: the token's id, which sign-in logs carry too. The token itself is never kept.
    pub token_id: Option<String>,
    /// `iat`: when it was issued.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub issued: Option<Timestamp>,
    /// `appidacr` or `azpacr`: how our application proved itself: 0 not at all, 1 by a secret, 2 by a certificate or the
    /// assertion of another issuer.
    ///
    /// Source: "access token claims reference", Microsoft identity platform.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// `exp`.
    pub expires: Option<Timestamp>,
    /// `xms_cc` names `cp1`: the resource may end this token at once, and we answer its claims challenge.
    ///
    /// Source: Microsoft identity platform, "Claims challenges, claims requests and client capabilities".
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub continuous: bool,
}

impl Identity {
    /// Whether two tokens speak for the same: what they permit may differ.
    pub fn is_same_as(&self, other: &Self) -> bool {
        let of = |it: &Self| (it.tenant_id.clone(), it.app_id.clone(), it.object_id.clone());
        of(self) == of(other)
    }

    /// Who that is, safe to print.
    pub fn who(&self) -> String {
        let [app, object] = [&self.app_id, &self.object_id].map(|id| Untrusted::from(id.as_str()).line());
        match (self.kind, &self.user_principal_name) {
            (IdentityKind::Application, _) => format!("application {app} ({object})"),
            (IdentityKind::User, Some(name)) => {
                format!("{} ({object}) through application {app}", Untrusted::from(name.as_str()).term())
            }
            (IdentityKind::User, None) => format!("user {object} through application {app}"),
        }
    }
}
