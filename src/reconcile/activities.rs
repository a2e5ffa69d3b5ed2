//! What the directory's audit log calls a change of ours. A table, and how it is looked up.
//!
//! Source: Microsoft Entra, "Audit log activities": Core Directory, Authentication Methods and Device Registration Service.

use crate::model::{Call, Verb, Write};

const SESSIONS: &str = "Update StsRefreshTokenValidFrom Timestamp";
const USER: &str = "Update user";

/// A new password ends the sessions too.
const PASSWORD: &[&str] = &[
    "Reset user password",
    "Reset password",
    "Change user password",
    "Set force change user password",
    USER,
    SESSIONS,
];
const METHOD_GONE: &[&str] = &[
    "Admin deleted security info",
    "User deleted security info",
    "Delete FIDO2 security key(s)",
    "Delete Windows Hello for Business credential",
    "Delete passwordless phone sign-in credential",
    "Delete platform credential",
    "Remove users strong authentication phone app detail",
    "Disable Strong Authentication",
    USER,
];
const METHOD_ADDED: &[&str] = &[
    "Admin registered security info",
    "Admin updated security info",
    "User registered security info",
    "Enable Strong Authentication",
    USER,
];

/// The names under which the log may show a call; none for a call of which this table knows nothing.
pub(super) fn names(call: &Call) -> Option<&'static [&'static str]> {
    let Write::Graph { verb, path, body } = &call.write else {
        return None;
    };
    let path = path.as_str().split('?').next().unwrap_or_default();
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').skip(1).collect();
    let sets = |name: &str| body.as_ref().and_then(|body| body.get(name));
    let enabled = sets("accountEnabled").and_then(serde_json::Value::as_bool);
    Some(match (verb, segments.as_slice()) {
        (Verb::Patch, ["users", _]) if sets("passwordProfile").is_some() => PASSWORD,
        (Verb::Patch, ["users", _]) if enabled == Some(false) => &["Disable account", USER],
        (Verb::Patch, ["users", _]) if enabled == Some(true) => &["Enable account", USER],
        (Verb::Post, ["users", _, "revokeSignInSessions"]) => &[SESSIONS],
        (Verb::Delete, ["users", _, "authentication", ..]) => METHOD_GONE,
        (Verb::Post | Verb::Patch, ["users", _, "authentication", ..]) => METHOD_ADDED,
        (Verb::Patch, ["devices", _]) => &["Update device"],
        (Verb::Patch, ["servicePrincipals", _]) => &["Update service principal"],
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::names;
    use crate::model::{Call, GraphPath, Replay, Verb};

    fn patch(body: serde_json::Value) -> Call {
        Call::graph(Verb::Patch, GraphPath::v1().fixed("users").id("u1"), Some(body), Replay::Set)
    }

    #[test]
    fn the_same_path_is_another_activity_by_what_it_sets() {
        let of = |body| names(&patch(body)).unwrap();
        assert!(of(json!({"accountEnabled": false})).contains(&"Disable account"));
        assert!(!of(json!({"accountEnabled": false})).contains(&"Enable account"));
        assert!(of(json!({"accountEnabled": true})).contains(&"Enable account"));
        assert!(of(json!({"passwordProfile": {}})).contains(&"Reset user password"));
        assert_eq!(names(&patch(json!({"displayName": "x"}))), None);
    }
}
