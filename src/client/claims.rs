//! The claims of an access token, decoded and never validated: that is the resource's task.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use serde::Deserialize;

use crate::model::{Identity, IdentityKind};

/// The token is not a JWT whose claims can be read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable;

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the access token holds no readable claims")
    }
}

/// Source: "access token claims reference", Microsoft identity platform.
#[derive(Deserialize)]
struct Claims {
    tid: String,
    appid: Option<String>,
    azp: Option<String>,
    oid: Option<String>,
    idtyp: Option<String>,
    upn: Option<String>,
    scp: Option<String>,
    #[serde(default)]
    roles: Vec<String>,
    #[serde(default)]
    wids: Vec<String>,
    uti: Option<String>,
    iat: Option<i64>,
    exp: Option<i64>,
    appidacr: Option<String>,
    azpacr: Option<String>,
    #[serde(default)]
    xms_cc: Vec<String>,
}

#[derive(Deserialize)]
struct Expiry {
    exp: Option<i64>,
}

/// When a JWT of any issuer ends, as far as it says.
pub(super) fn expiry(token: &str) -> Result<Option<Timestamp>, Unreadable> {
    let Expiry { exp } = serde_json::from_slice(&payload(token)?).map_err(|_| Unreadable)?;
    Ok(exp.and_then(|at| Timestamp::from_second(at).ok()))
}

fn payload(token: &str) -> Result<Vec<u8>, Unreadable> {
    let payload = token.split('.').nth(1).ok_or(Unreadable)?;
    BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('=')).map_err(|_| Unreadable)
}

/// Who the token says that we are.
pub(super) fn identity(token: &str) -> Result<Identity, Unreadable> {
    let claims: Claims = serde_json::from_slice(&payload(token)?).map_err(|_| Unreadable)?;
    let kind = match (claims.idtyp.as_deref(), &claims.scp) {
        (Some("app"), _) | (None, None) => IdentityKind::Application,
        (Some(_), _) | (None, Some(_)) => IdentityKind::User,
    };
    let permissions = match kind {
        IdentityKind::Application => claims.roles,
        IdentityKind::User => {
            let scopes = claims.scp.unwrap_or_default();
            scopes.split_whitespace().map(str::to_owned).collect()
        }
    };
    Ok(Identity {
        tenant_id: claims.tid,
        app_id: claims.appid.or(claims.azp).unwrap_or_default(),
        object_id: claims.oid.unwrap_or_default(),
        kind,
        user_principal_name: claims.upn,
        permissions: sorted(permissions),
        directory_roles: sorted(claims.wids),
        token_id: claims.uti,
        issued: claims.iat.and_then(|at| Timestamp::from_second(at).ok()),
        proof: claims.appidacr.or(claims.azpacr),
        expires: claims.exp.and_then(|at| Timestamp::from_second(at).ok()),
        continuous: claims.xms_cc.iter().any(|capability| capability.eq_ignore_ascii_case("cp1")),
    })
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::{Unreadable, identity};
    use crate::model::IdentityKind;

    fn token(claims: &Value) -> String {
        let payload = BASE64_URL_SAFE_NO_PAD.encode(claims.to_string());
        format!("e30.{payload}.c2ln")
    }

    #[test]
    fn an_app_only_token_says_who_we_are_and_what_we_may() {
        let identity = identity(&token(&json!({
            "tid": "11111111-1111-1111-1111-111111111111", "appid": "app", "oid": "sp", "idtyp": "app",
            "roles": ["User.ReadWrite.All", "AuditLog.Read.All", "User.ReadWrite.All"],
            "wids": ["b", "a"], "uti": "u1", "exp": 1_702_393_200, "iat": 1_702_389_600,
            "appidacr": "2", "xms_cc": ["CP1"],
        })))
        .unwrap();
        assert_eq!(identity.kind, IdentityKind::Application);
        assert_eq!(identity.permissions, ["AuditLog.Read.All", "User.ReadWrite.All"]);
        assert_eq!(identity.directory_roles, ["a", "b"]);
        assert_eq!(identity.expires.unwrap().to_string(), "2023-12-12T15:00:00Z");
        assert_eq!(identity.token_id.as_deref(), Some("u1"));
        assert!(identity.continuous);
        assert_eq!(identity.issued.unwrap().to_string(), "2023-12-12T14:00:00Z");
        assert_eq!(identity.proof.as_deref(), Some("2"));
    }

    #[test]
    fn a_delegated_token_is_a_persons() {
        let identity = identity(&token(&json!({
            "tid": "t", "azp": "app", "oid": "u", "scp": "User.Read Directory.Read.All",
            "upn": "responder@sunnyside08.example", "roles": ["ignored"],
        })))
        .unwrap();
        assert_eq!(identity.kind, IdentityKind::User);
        assert_eq!(identity.permissions, ["Directory.Read.All", "User.Read"]);
        assert_eq!(identity.app_id, "app");
    }

    #[test]
    fn a_token_without_any_role_is_still_a_token() {
        let identity = identity(&token(&json!({"tid": "t", "appid": "a"}))).unwrap();
        assert!(identity.permissions.is_empty() && !identity.continuous);
        assert_eq!(identity.kind, IdentityKind::Application);
    }

    #[test]
    fn an_opaque_token_is_said_to_be_one() {
        for opaque in ["", "opaque", "a.!!!.c", "a.e30.c", "EwBgA8l6BAAU"] {
            assert_eq!(identity(opaque), Err(Unreadable), "{opaque}");
        }
    }
}
