//! A user account: found by name or id, pinned to its object id, and what is special about it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    client::{ReadError, ReadErrorKind, Reader},
    model::{Caveat, CaveatKind, Found, GraphPath, Target, Untrusted, UserRef, odata_literal},
};

/// The properties that every action on a user reads. The dates come only when they are asked for.
const PROPERTIES: &str = "id,userPrincipalName,displayName,accountEnabled,userType,onPremisesSyncEnabled,\
                          isManagementRestricted,signInSessionsValidFromDateTime,lastPasswordChangeDateTime";

/// `microsoft.graph.user`, as far as the actions need it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Account {
    /// Object id.
    pub(crate) id: String,
    /// Sign-in name.
    pub(crate) user_principal_name: String,
    /// Whether it may sign in.
    pub(crate) account_enabled: bool,
    /// `Member` or `Guest`; null on old objects.
    #[serde(default)]
    pub(crate) user_type: Option<String>,
    /// True: mastered on-premises. False: was once. Null: never.
    #[serde(default)]
    pub(crate) on_premises_sync_enabled: Option<bool>,
    /// In a restricted management administrative unit.
    #[serde(default)]
    pub(crate) is_management_restricted: Option<bool>,
    /// Refresh tokens and session cookies issued before are void.
    #[serde(default)]
    pub(crate) sign_in_sessions_valid_from_date_time: Option<Timestamp>,
    /// Last change of the password.
    #[serde(default)]
    pub(crate) last_password_change_date_time: Option<Timestamp>,
}

impl Account {
    /// Finds an account by principal name or object id.
    pub(crate) async fn find(tenant: &Reader, user: &UserRef) -> Result<Self, ReadError> {
        let wanted = user.0.trim();
        if wanted.is_empty() {
            return Err(not_found(wanted, "the reference is empty"));
        }
        let account: Self = if wanted.starts_with('$') {
            // OData would read `/users/$x@y` as a system resource.
            let name = format!("userPrincipalName eq {}", odata_literal(wanted));
            let path = GraphPath::v1().fixed("users").query("$filter", &name);
            let rows: Vec<Self> = tenant.list(&path.select(PROPERTIES)).await?;
            let row = rows.into_iter().next();
            row.ok_or_else(|| not_found(wanted, "no user has this principal name"))?
        } else {
            tenant.get(&by_key(wanted)).await?
        };
        account.named(wanted)
    }

    /// Reads an account that was found before.
    pub(crate) async fn read(tenant: &Reader, id: &str) -> Result<Self, ReadError> {
        tenant.get::<Self>(&by_key(id)).await?.named(id)
    }

    /// The answer must concern the account that was asked for.
    fn named(self, wanted: &str) -> Result<Self, ReadError> {
        let ours = [&self.id, &self.user_principal_name];
        if ours.iter().any(|name| name.eq_ignore_ascii_case(wanted)) {
            return Ok(self);
        }
        Err(ReadError {
            kind: ReadErrorKind::Malformed,
            message: format!("the answer is about {}", self.user_principal_name).into(),
            ..not_found(wanted, "")
        })
    }

    /// A guest: sessions and password live in the home tenant.
    pub(crate) fn is_guest(&self) -> bool {
        self.user_type.as_deref().is_some_and(|kind| kind.eq_ignore_ascii_case("guest"))
            || self.user_principal_name.contains("#EXT#")
    }

    /// Mastered on-premises.
    pub(crate) fn is_synced(&self) -> bool {
        self.on_premises_sync_enabled == Some(true)
    }

    /// The part of the principal name after the last `@`.
    pub(crate) fn domain(&self) -> Option<&str> {
        let (_, domain) = self.user_principal_name.rsplit_once('@')?;
        Some(domain)
    }

    /// The caveat of an account whose administrative unit keeps our permissions out.
    pub(crate) async fn restricted(&self, tenant: &Reader) -> Option<Caveat> {
        if self.is_management_restricted != Some(true) {
            return None;
        }
        Some(restricted_unit(tenant, "account", GraphPath::v1().fixed("users").id(&self.id)).await)
    }
}

/// What an object is a member of.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Membership {
    #[serde(rename = "@odata.type")]
    odata_type: Option<String>,
    id: Untrusted,
    display_name: Option<Untrusted>,
    is_member_management_restricted: Option<bool>,
}

/// The caveat of an object in a restricted management administrative unit. The unit is named, where that is to be had: a
/// role over just that one is what would help.
///
/// Source: Microsoft Entra, "Restricted management administrative units": Graph application permissions do not apply.
pub(crate) async fn restricted_unit(tenant: &Reader, object: &str, path: GraphPath) -> Caveat {
    let path = path.fixed("memberOf").select("id,displayName,isMemberManagementRestricted");
    let memberships: Vec<Membership> = tenant.hint().list(&path).await.unwrap_or_default();
    let units = units(&memberships);
    Caveat::new(
        CaveatKind::RestrictedUnit,
        format!(
            "the {object} is in a restricted management administrative unit{units}: application permissions do not apply \
             to it, so expect a refusal unless who applies holds an Entra role scoped to that unit"
        ),
    )
}

/// The restricted units among memberships. Of one that we may not read, type and id come.
///
/// Source: Graph, "Limited information returned for inaccessible member objects".
fn units(memberships: &[Membership]) -> String {
    let is_unit = |it: &&Membership| it.odata_type.as_deref() == Some("#microsoft.graph.administrativeUnit");
    let units = memberships.iter().filter(is_unit).filter(|it| it.is_member_management_restricted != Some(false));
    let named = units.map(|unit| {
        let name = unit.display_name.as_ref().map(|name| format!("{}, ", name.term())).unwrap_or_default();
        name + &unit.id.term()
    });
    let named: Vec<String> = named.collect();
    if named.is_empty() { String::new() } else { format!(" ({})", named.join("; ")) }
}

fn by_key(key: &str) -> GraphPath {
    GraphPath::v1().fixed("users").id(key).select(PROPERTIES)
}

fn not_found(user: &str, reason: &str) -> ReadError {
    ReadError {
        kind: ReadErrorKind::NotFound,
        what: format!("user {}", Untrusted::from(user).term()),
        status: None,
        code: "user-reference".into(),
        message: reason.into(),
        request_id: None,
    }
}

/// A user as the target of an action: pinned to the object id, since a principal name can be changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct UserTarget {
    /// Object id.
    pub(crate) id: String,
    /// Sign-in name when the plan was made: the natural key.
    pub(crate) user_principal_name: String,
}

impl UserTarget {
    /// The account as a target.
    pub(crate) fn of(account: &Account) -> Self {
        Self { id: account.id.clone(), user_principal_name: account.user_principal_name.clone() }
    }

    /// `/users/{id}`.
    pub(crate) fn path(&self) -> GraphPath {
        GraphPath::v1().fixed("users").id(&self.id)
    }

    /// What plan and report show.
    pub(crate) fn describe(&self) -> Target {
        Target {
            kind: "user".into(),
            id: self.id.clone(),
            name: self.user_principal_name.as_str().into(),
            of: None,
            lane: self.id.clone(),
            owner: None,
            workload: None,
            data: Value::Null,
        }
    }
}

/// The one target of an action that was given a user by name: certain, since a person named it.
pub(crate) fn named_user<T>(account: &Account, target: T, caveats: Vec<Caveat>) -> Found<T> {
    let state = if account.account_enabled { "enabled" } else { "disabled" };
    let kind = account.user_type.as_deref().unwrap_or("Member");
    Found { target, certain: true, note: format!("{kind}, {state}, object id {}", account.id).into(), caveats }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::{Account, units};
    use crate::client::ReadErrorKind;

    /// The documented shape of a user snapshot.
    pub(crate) fn account() -> Account {
        serde_json::from_value(json!({
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#users(id)/$entity",
            "id": "0a1b2c3d-0000-4000-8000-000000000001",
            "userPrincipalName": "johanna@sunnyside08.example",
            "accountEnabled": true,
            "userType": "Member",
            "signInSessionsValidFromDateTime": "2023-12-01T08:00:00Z",
            "lastPasswordChangeDateTime": "2023-11-01T08:00:00Z",
            "onPremisesSyncEnabled": null
        }))
        .unwrap()
    }

    #[test]
    fn the_documented_shape_is_read() {
        let account = account();
        assert!(!account.is_guest() && !account.is_synced());
        assert_eq!(account.domain(), Some("sunnyside08.example"));
    }

    #[test]
    fn formerly_synced_is_not_synced() {
        let mut account = account();
        account.on_premises_sync_enabled = Some(false);
        assert!(!account.is_synced());
    }

    #[test]
    fn a_guest_is_known_by_type_or_by_name() {
        let mut guest = account();
        guest.user_type = Some("Guest".into());
        assert!(guest.is_guest());
        guest.user_type = None;
        guest.user_principal_name = "a_home.example#EXT#@sunnyside08.example".into();
        assert!(guest.is_guest());
        assert_eq!(guest.domain(), Some("sunnyside08.example"));
    }

    #[test]
    fn an_answer_about_somebody_else_is_refused() {
        let ok = account().named("JOHANNA@sunnyside08.example");
        assert!(ok.is_ok());
        let error = account().named("grady@sunnyside08.example").unwrap_err();
        assert_eq!(error.kind, ReadErrorKind::Malformed);
    }

    #[test]
    fn the_unit_that_restricts_is_named_as_far_as_it_can_be_read() {
        let unit = |id: &str| json!({"@odata.type": "#microsoft.graph.administrativeUnit", "id": id});
        let mut board = unit("b-1");
        board["displayName"] = "Board\u{202e}".into();
        board["isMemberManagementRestricted"] = true.into();
        let mut regular = unit("r-1");
        regular["isMemberManagementRestricted"] = false.into();
        let group = json!({"@odata.type": "#microsoft.graph.group", "id": "g-1", "displayName": "Everybody"});
        let of = |rows: serde_json::Value| units(&serde_json::from_value::<Vec<_>>(rows).unwrap());
        assert_eq!(of(json!([regular, group])), "");
        let told = of(json!([group, board, regular, unit("hidden-1")]));
        assert!(told.starts_with(" (\"Board") && told.ends_with("\", \"b-1\"; \"hidden-1\")"), "{told}");
        assert!(!told.contains('\u{202e}'));
    }
}
