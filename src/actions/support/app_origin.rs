//! How applications came into reach of a user: owned, consented, assigned, or seen in the audit log; and when.

use jiff::Timestamp;
use serde::Deserialize;

use crate::{
    actions::support::{
        account::UserTarget,
        audit::{self, Audit},
        dating::Dating,
        service_principal::{ServicePrincipal, by_app_id, by_object_id},
        switch::gone_is_none,
    },
    client::{ReadError, Reader},
    model::{Caveat, GraphPath, odata_literal},
};

/// An object that the user owns. Applications carry a date, service principals do not (v1.0 metadata).
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owned {
    #[serde(rename = "@odata.type", default)]
    odata_type: Option<String>,
    id: String,
    app_id: Option<String>,
    created_date_time: Option<Timestamp>,
}

/// A delegated grant. It carries no date in v1.0, and a user's list omits the grants made for everybody.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Consent {
    /// Object id of the client's service principal.
    client_id: String,
}

/// An assignment of the user to an application.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Assignment {
    created_date_time: Option<Timestamp>,
    /// Object id of the application's service principal.
    resource_id: String,
}

/// Where a service principal can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Key {
    Object(String),
    App(String),
}

/// One reason to look at an application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// What connects it with the user.
    pub(crate) how: String,
    /// When that came to be, if it is known.
    pub(crate) at: Option<Timestamp>,
    /// The user owns it, which says more than having used it.
    pub(crate) owned: bool,
}

impl Origin {
    fn new(how: impl Into<String>, at: Option<Timestamp>) -> Self {
        Self { how: how.into(), at, owned: false }
    }

    fn owned(how: &str, at: Option<Timestamp>) -> Self {
        Self { owned: true, ..Self::new(how, at) }
    }
}

/// An application with every reason that was found for it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    /// The application as it stands in the tenant.
    pub(crate) principal: ServicePrincipal,
    /// Why it is looked at.
    pub(crate) origins: Vec<Origin>,
}

/// What was found around a user.
pub(crate) struct Around {
    /// Applications, each once.
    pub(crate) candidates: Vec<Candidate>,
    /// Why the audit log is silent, if it is.
    pub(crate) blind: Option<Caveat>,
}

/// Every application that the user owns, consented to, was assigned to, or granted something by the audit log.
pub(crate) async fn around(tenant: &Reader, user: &UserTarget, after: Option<Timestamp>) -> Result<Around, ReadError> {
    let (owned, consents, assignments) = (
        user.path().fixed("ownedObjects"),
        user.path().fixed("oauth2PermissionGrants"),
        user.path().fixed("appRoleAssignments"),
    );
    let audits = audit::entries(tenant, audit::initiated_by(&user.id), after);
    let (owned, consents, assignments, audits) = futures_util::join!(
        tenant.list::<Owned>(&owned),
        tenant.list::<Consent>(&consents),
        tenant.list::<Assignment>(&assignments),
        audits,
    );
    let (audits, blind) = match audits {
        Ok(audits) => (audits, None),
        Err(caveat) => (Vec::new(), Some(caveat)),
    };
    let mut reasons: Vec<(Key, Origin)> = owned?.iter().filter_map(of_owned).collect();
    reasons.extend(consents?.into_iter().map(of_consent));
    reasons.extend(assignments?.into_iter().map(of_assignment));
    reasons.extend(audits.iter().filter_map(of_audit));
    let candidates = fetch(tenant, reasons).await?;
    Ok(Around { candidates, blind })
}

fn of_owned(object: &Owned) -> Option<(Key, Origin)> {
    match object.odata_type.as_deref() {
        Some("#microsoft.graph.application") => Some((
            Key::App(object.app_id.clone()?),
            Origin::owned("owns the application, created", object.created_date_time),
        )),
        Some("#microsoft.graph.servicePrincipal") => {
            Some((Key::Object(object.id.clone()), Origin::owned("owns the service principal", None)))
        }
        _ => None,
    }
}

fn of_consent(consent: Consent) -> (Key, Origin) {
    (Key::Object(consent.client_id), Origin::new("consented, no date given", None))
}

fn of_assignment(assignment: Assignment) -> (Key, Origin) {
    let origin = Origin::new("assigned", assignment.created_date_time);
    (Key::Object(assignment.resource_id), origin)
}

/// An audited consent, grant or creation. Its client is the first target, or only in a modified property where the
/// first target is the resource that was opened to it.
fn of_audit(entry: &Audit) -> Option<(Key, Origin)> {
    let activity = entry.activity_display_name.trim_end_matches(['.', ' ']);
    let client = match activity {
        "Add delegated permission grant" | "Add app role assignment to service principal" => {
            entry.new_value("ServicePrincipal.ObjectID")?
        }
        "Add service principal" | "Consent to application" | "Add app role assignment grant to user" => {
            let mut targets = entry.target_resources.iter();
            let target = targets.find(|it| it.kind.as_deref() == Some("ServicePrincipal"))?;
            target.id.clone()?
        }
        _ => return None,
    };
    let origin = Origin::new(format!("audit: {activity}"), Some(entry.activity_date_time));
    Some((Key::Object(client), origin))
}

/// Reads the service principals, each key once, and unites the reasons of those that are the same one.
async fn fetch(tenant: &Reader, reasons: Vec<(Key, Origin)>) -> Result<Vec<Candidate>, ReadError> {
    let mut keys: Vec<Key> = Vec::new();
    for (key, _) in &reasons {
        if !keys.contains(key) {
            keys.push(key.clone());
        }
    }
    let reads = keys.iter().map(|key| read(tenant, key));
    let principals = futures_util::future::try_join_all(reads).await?;
    let found = keys.into_iter().zip(principals);
    Ok(unite(found.collect(), reasons))
}

async fn read(tenant: &Reader, key: &Key) -> Result<Option<ServicePrincipal>, ReadError> {
    match key {
        Key::Object(id) => gone_is_none(by_object_id(tenant, id).await),
        Key::App(app_id) => by_app_id(tenant, app_id).await,
    }
}

fn unite(found: Vec<(Key, Option<ServicePrincipal>)>, reasons: Vec<(Key, Origin)>) -> Vec<Candidate> {
    let mut all: Vec<Candidate> = Vec::new();
    for (key, principal) in found {
        let Some(principal) = principal else {
            continue; // deleted since, or an application that has no service principal here
        };
        let origins = reasons.iter().filter(|(of, _)| *of == key);
        let origins = origins.map(|(_, origin)| origin.clone());
        match all.iter_mut().find(|it| it.principal.id == principal.id) {
            Some(known) => known.origins.extend(origins),
            None => all.push(Candidate { principal, origins: origins.collect() }),
        }
    }
    all
}

/// Whether an application belongs to the window. One date inside is enough. A consent carries no date, so it counts
/// only where nothing else is dated, or where the audit log could not say that it was not widened in the window.
pub(crate) fn dating(origins: &[Origin], after: Option<Timestamp>, blind: bool) -> Dating {
    let each = || origins.iter().map(|origin| Dating::of(origin.at, after));
    if after.is_none() {
        // No window: what the user owns is meant, what the user once agreed to may serve everybody.
        let owned = origins.iter().any(|origin| origin.owned);
        return if owned { Dating::After } else { Dating::Unknown };
    }
    let dated = each().any(|dating| dating == Dating::Before);
    let undated = each().any(|dating| dating == Dating::Unknown);
    if each().any(|dating| dating == Dating::After) {
        Dating::After
    } else if undated && (!dated || blind) {
        Dating::Unknown
    } else {
        Dating::Before
    }
}

/// `GET /applications` of one client id, for the date that a service principal does not carry. Foreign applications are
/// not in this tenant.
pub(crate) async fn registered(tenant: &Reader, app_id: &str) -> Result<Option<Timestamp>, ReadError> {
    let path = GraphPath::v1().fixed("applications").query("$filter", &format!("appId eq {}", odata_literal(app_id)));
    let rows: Vec<Owned> = tenant.list(&path).await?;
    Ok(rows.into_iter().find_map(|row| row.created_date_time))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::{Key, Origin, Owned, dating, of_audit, of_owned, unite};
    use crate::actions::support::{
        audit::{Audit, tests::grant},
        dating::Dating,
        service_principal::tests::chatbot,
    };

    fn at(text: &str) -> Option<Timestamp> {
        text.parse().ok()
    }

    #[test]
    fn the_client_of_a_grant_is_not_its_first_target() {
        let (key, origin) = of_audit(&grant("client-sp", "2023-12-12T13:55:40Z")).unwrap();
        assert_eq!(key, Key::Object("client-sp".into()));
        assert_eq!(origin.how, "audit: Add delegated permission grant");
    }

    #[test]
    fn the_client_of_a_consent_is() {
        let entry = |activity: &str, kind: &str| -> Audit {
            serde_json::from_value(json!({
                "activityDisplayName": activity,
                "activityDateTime": "2023-12-12T13:55:40Z",
                "targetResources": [{"type": kind, "id": "client-sp", "modifiedProperties": []}]
            }))
            .unwrap()
        };
        assert!(of_audit(&entry("Consent to application.", "ServicePrincipal")).is_some());
        assert!(of_audit(&entry("Add service principal", "ServicePrincipal")).is_some());
        assert!(of_audit(&entry("Update service principal", "ServicePrincipal")).is_none());
        assert!(of_audit(&entry("Add service principal", "Application")).is_none());
    }

    #[test]
    fn owned_groups_are_no_applications() {
        let owned = |kind: &str| -> Owned {
            serde_json::from_value(json!({
                "@odata.type": format!("#microsoft.graph.{kind}"), "id": "o", "appId": "a",
                "createdDateTime": "2023-12-12T13:55:36Z"
            }))
            .unwrap()
        };
        assert_eq!(of_owned(&owned("application")).unwrap().0, Key::App("a".into()));
        let (key, origin) = of_owned(&owned("servicePrincipal")).unwrap();
        assert_eq!((key, origin.at), (Key::Object("o".into()), None));
        assert!(of_owned(&owned("group")).is_none());
    }

    #[test]
    fn two_ways_to_one_application_are_one_candidate() {
        let (by_app, by_id) = (Key::App("a".into()), Key::Object("chatbot-sp".into()));
        let reasons = vec![
            (by_app.clone(), Origin::owned("owns", at("2023-12-12T13:55:36Z"))),
            (by_id.clone(), Origin::new("consented", None)),
            (Key::Object("gone".into()), Origin::new("consented", None)),
        ];
        let found = vec![(by_app, Some(chatbot())), (by_id, Some(chatbot())), (Key::Object("gone".into()), None)];
        let all = unite(found, reasons);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].origins.len(), 2);
    }

    #[test]
    fn the_window_decides() {
        let start = at("2023-12-12T13:50:17Z");
        let inside = Origin::new("assigned", at("2023-12-12T13:56:00Z"));
        let before = Origin::new("assigned", at("2022-03-01T00:00:00Z"));
        let undated = Origin::new("consented", None);
        let decide = |origins: &[&Origin], blind| {
            let origins: Vec<Origin> = origins.iter().map(|it| (*it).clone()).collect();
            dating(&origins, start, blind)
        };
        assert_eq!(decide(&[&before, &inside], false), Dating::After);
        assert_eq!(decide(&[&before, &undated], false), Dating::Before);
        assert_eq!(decide(&[&before, &undated], true), Dating::Unknown);
        assert_eq!(decide(&[&undated], false), Dating::Unknown);
        assert_eq!(decide(&[&before], true), Dating::Before);
    }

    #[test]
    fn without_a_window_only_what_is_owned_is_certain() {
        let owned = Origin::owned("owns", at("2022-03-01T00:00:00Z"));
        let consented = Origin::new("consented", None);
        assert_eq!(dating(&[consented.clone(), owned], None, false), Dating::After);
        assert_eq!(dating(&[consented], None, false), Dating::Unknown);
    }
}
