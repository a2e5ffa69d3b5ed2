//! `app.disable-service-principal`: an application that gets no more tokens in this tenant.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    action::{Action, Example},
    actions::support::{
        account::{Account, UserTarget},
        app_origin::{Candidate, Origin, around, dating, registered},
        audit::AUDIT_READ,
        dating::{Dating, undated},
        service_principal::{Owner, Reach, ServicePrincipal, by_app_id, by_object_id, path},
        switch::{Switch, gone_is_none},
    },
    client::{ReadError, ReadErrorKind, Reader},
    model::{
        AppRef, Call, Capability, Caveat, CaveatKind, Effect, Found, Irreversible, Meta, Permission, Seen, Source,
        Target, Untrusted, UserRef, Verdict, Workload,
    },
};

/// Disables the service principal of an application: sets `accountEnabled` to false, so that nobody gets a token for it
/// in this tenant, the application itself included.
///
/// # Why
///
/// A consent survives the change of a password and the end of all sessions: the application goes on reading mail with
/// its own credential. A disabled service principal blocks new consents as well, while a deleted one comes back,
/// enabled, with the next consent.
///
/// # Undo
///
/// Exact: the value before is set again.
///
/// # Needs
///
/// Without `AuditLog.Read.All` applications are found by ownership, consent and assignment only: a grant that the user
/// made for everybody is then missed, and a consent carries no date.
///
/// # Limits
///
/// Access tokens already issued live on, usually for an hour. Whoever owns the application can enable it again: block
/// the owner too. Delegated grants stay, and work again once it is enabled. It concerns this tenant only, wherever the
/// application is registered. Give either `app` or `user`. The audit log is kept for 7 or 30 days.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("oneOf" = [{"required": ["app"]}, {"required": ["user"]}]))]
pub(crate) struct Input {
    /// One application, by the object id of its service principal or by its client id.
    #[serde(default)]
    app: Option<AppRef>,
    /// The applications that this user owns, consented to, is assigned to or gave permissions, by principal name or
    /// object id.
    #[serde(default)]
    user: Option<UserRef>,
    /// Only applications that were created, assigned or consented to at or after this moment. What carries no date is
    /// shown, never taken by itself. Without a value, only what the user owns is certain.
    #[serde(default)]
    created_after: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct AppTarget {
    /// Object id of the service principal.
    id: String,
    name: Untrusted,
    /// Through whom it was found.
    user_principal_name: Option<Untrusted>,
    workload: Workload,
}

pub(crate) struct DisableServicePrincipal;

impl Action for DisableServicePrincipal {
    const META: Meta = Meta {
        id: "app.disable-service-principal",
        title: "Disable applications",
        target_kind: "service-principal",
        effect: Effect::Disable,
        instead: None,
        destroys: false,
        sensitive: false,
        always: false,
        // It opens users, what they own, applications, grants and assignments, the last two at the least.
        reads: &[Permission::graph(&["Directory.Read.All"]), AUDIT_READ],
        writes: &[Permission::graph(&["Application.ReadWrite.All", "Directory.ReadWrite.All"])],
        roles: &[],
        licence: None,
        part: Capability::Directory,
        attack: &["T1671", "T1528", "T1550.001"],
        d3fend: &["D3-AL"],
        coun7er: &["CM0105"],
        itm: &["PR030"],
        sources: &[
            Source {
                title: "Microsoft: app consent grant investigation playbook",
                url: "https://learn.microsoft.com/en-us/security/operations/incident-response-playbook-app-consent",
            },
            Source {
                title: "Microsoft Entra: disable user sign-in for an application",
                url: "https://learn.microsoft.com/en-us/entra/identity/enterprise-apps/disable-user-sign-in-portal",
            },
            Source {
                title: "Microsoft Graph: update servicePrincipal",
                url: "https://learn.microsoft.com/en-us/graph/api/serviceprincipal-update?view=graph-rest-1.0",
            },
        ],
        propagation: Duration::from_secs(120),
    };

    type Input = Input;
    type Target = AppTarget;
    type State = Switch;

    async fn resolve(tenant: &Reader, input: &Input) -> Result<Vec<Found<AppTarget>>, ReadError> {
        match (&input.app, &input.user) {
            (Some(app), None) => of_app(tenant, app, input.created_after).await,
            (None, Some(user)) => of_user(tenant, user, input.created_after).await,
            _ => Err(refused(
                ReadErrorKind::Rejected,
                "app.disable-service-principal",
                "give either `app` or `user`, and not both",
            )),
        }
    }

    async fn read(tenant: &Reader, target: &AppTarget) -> Result<Seen<Switch, AppTarget>, ReadError> {
        // Whole, for the evidence: no `$select`.
        let principal = tenant.get::<ServicePrincipal>(&path(&target.id)).await;
        let Some(principal) = gone_is_none(principal)? else {
            return Ok(Seen::plain(Switch::GONE));
        };
        Ok(Seen {
            state: Switch::at(principal.account_enabled.unwrap_or(true)),
            moved_to: None,
            caveats: caveats(surroundings(tenant, &target.id).await),
        })
    }

    fn describe(target: &AppTarget) -> Target {
        Target {
            kind: "service-principal".into(),
            id: target.id.clone(),
            name: target.name.clone(),
            of: target.user_principal_name.clone(),
            lane: target.id.clone(),
            owner: None,
            workload: Some(target.workload.clone()),
            data: Value::Null,
        }
    }

    fn desired(_: &Input, now: &Switch, _: Timestamp) -> Switch {
        now.off()
    }

    fn calls(target: &AppTarget, from: &Switch, to: &Switch, _: Option<&Input>) -> Result<Vec<Call>, Irreversible> {
        Switch::calls(path(&target.id), *from, *to)
    }

    fn judge(wanted: &Switch, seen: &Switch) -> Verdict {
        Switch::judge(*wanted, *seen)
    }

    fn examples() -> &'static [Example] {
        &[Example {
            title: "Applications that the victim brought in since the incident began",
            input: "user: johanna@sunnyside08.example\ncreated_after: 2023-12-12T13:50:17Z",
        }]
    }
}

async fn of_app(tenant: &Reader, app: &AppRef, after: Option<Timestamp>) -> Result<Vec<Found<AppTarget>>, ReadError> {
    let id = app.0.trim();
    if uuid::Uuid::try_parse(id).is_err() {
        let reason = "this is neither an object id nor a client id";
        return Err(refused(ReadErrorKind::NotFound, id, reason));
    }
    let by_id = gone_is_none(by_object_id(tenant, id).await)?;
    let principal = match by_id {
        Some(principal) => principal,
        None => by_app_id(tenant, id).await?.ok_or_else(|| {
            refused(ReadErrorKind::NotFound, id, "no service principal of this tenant has this object id or client id")
        })?,
    };
    let named = |how: &str, at| Origin { how: how.into(), at, owned: true };
    let origin = match after {
        Some(_) => named("named in the playbook, registered here", registered(tenant, &principal.app_id).await?),
        None => named("named in the playbook", None),
    };
    let candidate = Candidate { principal, origins: vec![origin] };
    let reach = Reach::read(tenant, &candidate.principal.id).await;
    let dated = dating(&candidate.origins, after, false);
    Ok(found(candidate, dated, &reach, &Search { after, ..Search::default() }).into_iter().collect())
}

async fn of_user(
    tenant: &Reader,
    user: &UserRef,
    after: Option<Timestamp>,
) -> Result<Vec<Found<AppTarget>>, ReadError> {
    let user = UserTarget::of(&Account::find(tenant, user).await?);
    let around = around(tenant, &user, after).await?;
    let search = Search { user: Some(user.user_principal_name.into()), after, blind: around.blind };
    let dated = around.candidates.into_iter().map(|candidate| {
        let dated = dating(&candidate.origins, after, search.blind.is_some());
        (candidate, dated)
    });
    let meant: Vec<_> = dated.filter(|(_, dated)| *dated != Dating::Before).collect();
    let reach = meant.iter().map(|(it, _)| Reach::read(tenant, &it.principal.id));
    let reach = futures_util::future::join_all(reach).await;
    let each = meant.into_iter().zip(&reach);
    Ok(each.filter_map(|((candidate, dated), reach)| found(candidate, dated, reach, &search)).collect())
}

/// What was looked for, and with which eyes.
#[derive(Default)]
struct Search {
    user: Option<Untrusted>,
    after: Option<Timestamp>,
    /// Why the audit log is silent, if it is.
    blind: Option<Caveat>,
}

fn found(candidate: Candidate, dated: Dating, reach: &Reach, search: &Search) -> Option<Found<AppTarget>> {
    let Candidate { principal, origins } = candidate;
    let mut caveats = Vec::new();
    match dated {
        Dating::Before => return None,
        Dating::After => {}
        Dating::Unknown => {
            caveats.push(search.after.map_or_else(unbounded, |_| undated("application", "creation or consent")));
            caveats.extend(search.blind.clone());
        }
    }
    caveats.extend(reach.blind());
    let workload = principal.workload();
    Some(Found {
        certain: dated == Dating::After,
        note: note(&origins, reach, &workload),
        caveats,
        target: AppTarget {
            name: principal.display_name.unwrap_or_else(|| principal.app_id.into()),
            id: principal.id,
            user_principal_name: search.user.clone(),
            workload,
        },
    })
}

/// The caveat of an application that a user once agreed to, where no window was given.
fn unbounded() -> Caveat {
    Caveat::new(
        CaveatKind::Undated,
        "no window was given, and the user does not own this application: it may serve others, so a person decides",
    )
}

fn note(origins: &[Origin], reach: &Reach, workload: &Workload) -> Untrusted {
    let why = origins.iter().map(|origin| match origin.at {
        Some(at) => format!("{} {at}", origin.how),
        None => origin.how.clone(),
    });
    let why = why.collect::<Vec<_>>().join(", ");
    let home = workload.home_tenant.as_deref().unwrap_or("unknown");
    format!("{why}; {}; client id {}, home tenant {home}", reach.in_words(), workload.app_id).into()
}

/// What is read of the application besides, for the evidence, and its owners for the warning.
struct Surroundings {
    owners: Vec<Owner>,
    complete: bool,
}

async fn surroundings(tenant: &Reader, id: &str) -> Surroundings {
    let at = |segment| path(id).fixed(segment);
    let (owners, held, given, grants) =
        (at("owners"), at("appRoleAssignments"), at("appRoleAssignedTo"), at("oauth2PermissionGrants"));
    let (owners, held, given, grants) = futures_util::join!(
        tenant.list::<Owner>(&owners),
        tenant.list::<Value>(&held),
        tenant.list::<Value>(&given),
        tenant.list::<Value>(&grants),
    );
    Surroundings {
        complete: owners.is_ok() && held.is_ok() && given.is_ok() && grants.is_ok(),
        owners: owners.unwrap_or_default(),
    }
}

fn caveats(around: Surroundings) -> Vec<Caveat> {
    let mut caveats = vec![Caveat::new(
        CaveatKind::Residual,
        "access tokens already issued live on, usually for an hour; leave the object disabled and do not delete it, or \
         the next consent brings it back enabled",
    )];
    if !around.owners.is_empty() {
        let owners = around.owners.iter();
        let owners: Vec<_> = owners.map(|it| Untrusted::from(it.name()).term()).collect();
        caveats.push(Caveat::new(CaveatKind::Residual, format!("an owner can enable it again: {}", owners.join(", "))));
    }
    if !around.complete {
        caveats.push(Caveat::new(
            CaveatKind::BlindSpot,
            "owners, role assignments or grants could not be read, so the evidence lacks them",
        ));
    }
    caveats
}

fn refused(kind: ReadErrorKind, what: &str, reason: &str) -> ReadError {
    ReadError {
        kind,
        what: format!("application {}", Untrusted::from(what).term()),
        status: None,
        code: "app-reference".into(),
        message: reason.into(),
        request_id: None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{AppTarget, DisableServicePrincipal, Search, Surroundings, caveats, found};
    use crate::{
        action::Action as _,
        actions::support::{
            app_origin::{Candidate, Origin},
            dating::Dating,
            service_principal::{Reach, tests::chatbot, tests::reach},
            switch::Switch,
        },
        model::{CaveatKind, Found},
    };

    fn find(dated: Dating, reach: &Reach) -> Option<Found<AppTarget>> {
        let search = Search {
            user: Some("johanna@sunnyside08.example".into()),
            after: "2023-12-12T13:50:17Z".parse().ok(),
            blind: None,
        };
        let candidate = Candidate {
            principal: chatbot(),
            origins: vec![Origin {
                how: "owns the application, created".into(),
                at: "2023-12-12T13:55:36Z".parse().ok(),
                owned: true,
            }],
        };
        found(candidate, dated, reach, &search)
    }

    #[test]
    fn it_is_switched_off_by_object_id_and_back_on() {
        let target = find(Dating::After, &reach()).unwrap().target;
        let (on, off) = (Switch::at(true), Switch::at(false));
        let forth = DisableServicePrincipal::calls(&target, &on, &off, None).unwrap();
        assert_eq!(forth[0].summary(), r#"PATCH /v1.0/servicePrincipals/chatbot-sp {"accountEnabled":false}"#);
        let back = DisableServicePrincipal::calls(&target, &off, &on, None).unwrap();
        assert!(back[0].summary().ends_with(r#"{"accountEnabled":true}"#));
    }

    #[test]
    fn the_evidence_is_in_the_note() {
        let found = find(Dating::After, &reach()).unwrap();
        assert_eq!(
            found.note.raw(),
            "owns the application, created 2023-12-12T13:55:36Z; granted for EVERY user: Mail.ReadWrite User.Read; \
             owner johanna@sunnyside08.example; client id a, home tenant 11111111-0000-4000-8000-000000000000"
        );
        assert!(found.certain && found.caveats.is_empty());
        assert!(DisableServicePrincipal::describe(&found.target).workload.is_some());
    }

    #[test]
    fn what_is_older_is_not_found_and_what_has_no_date_is_uncertain() {
        assert!(find(Dating::Before, &reach()).is_none());
        let found = find(Dating::Unknown, &reach()).unwrap();
        assert!(!found.certain);
        assert_eq!(found.caveats[0].kind, CaveatKind::Undated);
    }

    #[test]
    fn owners_and_gaps_are_told() {
        let told = caveats(Surroundings {
            owners: serde_json::from_value(json!([{"id": "u", "userPrincipalName": "j\u{202e}@x.example"}])).unwrap(),
            complete: false,
        });
        let kinds: Vec<_> = told.iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [CaveatKind::Residual, CaveatKind::Residual, CaveatKind::BlindSpot]);
        assert!(told[1].text.contains(r"\u{202e}"), "{}", told[1].text);
    }
}
