//! `user.remove-auth-methods`: security info that an intruder added is taken away.

use std::{collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{
    action::{Action, Example},
    actions::support::{
        account::{Account, UserTarget},
        audit::AUDIT_READ,
        auth_choice::{Choice, Hints, choose},
        auth_method::{Kind, Method},
        permissions::USER_READ,
        switch::gone_is_none,
    },
    client::{ReadError, Reader},
    model::{
        Call, Capability, Difference, Effect, Found, GraphPath, Irreversible, Meta, OnRejection, Permission, Replay,
        Seen, Source, Target, Untrusted, UserRef, Verb,
    },
};

/// Removes authentication methods ("security info") that a user has registered: phones, email, Authenticator, tokens,
/// passkeys, Windows Hello, platform credentials, access passes, external methods. Never the password.
///
/// # Why
///
/// An intruder with a session registers a factor and keeps the account after the password is changed. An access pass
/// that was minted in the incident survives a reset as well.
///
/// # Undo
///
/// A phone number or an email address is registered again, if the tenant showed it in clear. Everything else holds a
/// key that nobody can read: the user registers it again.
///
/// # Needs
///
/// For an account that holds a directory role, our service principal needs a higher role itself. With `AuditLog.Read.All`
/// the audit log helps to date what carries no date, and the registration report (Entra ID P1) tells which method is
/// the default; without it both are left out. Some tenants answer the log only with `Directory.Read.All` beside it.
///
/// # Limits
///
/// Block sign-in or rotate the password first, or whoever knows the password registers the next method. Version 1.0 of
/// Graph does not list hardware tokens and some other types, and does not tell the default method, which the tenant
/// refuses to remove while there is another: it is tried last, and once more at the end. A mobile number is kept by the
/// tenant while there is an alternate one.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The user whose methods are looked at, by principal name or object id.
    user: UserRef,
    /// Only methods registered at or after this moment. A method without a date is shown, never taken by itself.
    #[serde(default)]
    registered_after: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct MethodTarget {
    user: UserTarget,
    /// `@odata.type`.
    kind: String,
    id: String,
    label: Untrusted,
}

/// Whether the method is there, and the properties that tell it apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct State {
    present: bool,
    #[serde(default)]
    properties: BTreeMap<String, Value>,
}

pub(crate) struct RemoveAuthMethods;

impl Action for RemoveAuthMethods {
    const META: Meta = Meta {
        id: "user.remove-auth-methods",
        title: "Remove authentication methods",
        target_kind: "auth-method",
        effect: Effect::Remove,
        instead: None,
        destroys: true,
        sensitive: false,
        always: false,
        reads: &[
            USER_READ,
            Permission::graph(&["UserAuthenticationMethod.Read.All", "UserAuthenticationMethod.ReadWrite.All"]),
            AUDIT_READ,
        ],
        writes: &[Permission::graph(&["UserAuthenticationMethod.ReadWrite.All"])],
        roles: &[],
        licence: None,
        part: Capability::AuthenticationMethods,
        attack: &["T1556.006", "T1098.005", "T1621"],
        d3fend: &["D3-CR"],
        coun7er: &["CM0071"],
        itm: &[],
        sources: &[
            Source {
                title: "Microsoft Graph: authentication methods API overview",
                url: "https://learn.microsoft.com/en-us/graph/api/resources/authenticationmethods-overview?view=graph-rest-1.0",
            },
            Source {
                title: "Microsoft: token theft playbook",
                url: "https://learn.microsoft.com/en-us/security/operations/token-theft-playbook",
            },
            Source {
                title: "Microsoft Defender: respond to a compromised email account",
                url: "https://learn.microsoft.com/en-us/defender-office-365/responding-to-a-compromised-email-account",
            },
        ],
        propagation: Duration::from_secs(120),
    };

    type Input = Input;
    type Target = MethodTarget;
    type State = State;

    async fn resolve(tenant: &Reader, input: &Input) -> Result<Vec<Found<MethodTarget>>, ReadError> {
        let account = Account::find(tenant, &input.user).await?;
        let (user, restricted) = (UserTarget::of(&account), account.restricted(tenant).await);
        let path = user.path().fixed("authentication/methods");
        let methods: Vec<Method> = tenant.list(&path).await?;
        let hints = Hints::gather(tenant, &user, &methods, input.registered_after).await;
        let chosen = choose(methods, input.registered_after, &hints);
        let found = chosen.into_iter().map(|choice| found(&user, choice)).map(|mut found| {
            found.caveats.extend(restricted.clone());
            found
        });
        Ok(found.collect())
    }

    async fn read(tenant: &Reader, target: &MethodTarget) -> Result<Seen<State, MethodTarget>, ReadError> {
        let seen: Option<serde_json::Map<String, Value>> = gone_is_none(tenant.get(&path(target)).await)?;
        let state = match (seen, Kind::of(&target.kind)) {
            (None, _) => State::default(),
            (Some(seen), kind) => State {
                present: true,
                properties: kind
                    .map_or(&[][..], |kind| kind.properties)
                    .iter()
                    .filter_map(|name| Some(((*name).to_owned(), seen.get(*name)?.clone())))
                    .collect(),
            },
        };
        Ok(Seen::plain(state))
    }

    fn describe(target: &MethodTarget) -> Target {
        Target {
            kind: "auth-method".into(),
            id: target.id.clone(),
            name: target.label.clone(),
            of: Some(target.user.user_principal_name.as_str().into()),
            lane: target.user.id.clone(),
            owner: Some(target.user.id.clone()),
            workload: None,
            data: Value::Null,
        }
    }

    fn desired(_: &Input, _: &State, _: Timestamp) -> State {
        State::default()
    }

    fn differences(from: &State, to: &State) -> Vec<Difference> {
        let there = |state: &State| if state.present { "registered" } else { "not registered" }.to_owned();
        vec![Difference { name: "method".into(), before: there(from), after: there(to) }]
    }

    fn calls(target: &MethodTarget, from: &State, to: &State, _: Option<&Input>) -> Result<Vec<Call>, Irreversible> {
        match (from.present, to.present) {
            _ if from == to => Ok(Vec::new()),
            (_, false) => remove(target),
            (true, true) => {
                Err(Irreversible("something else is registered in its place: look at both, and decide by hand".into()))
            }
            (false, true) => put_back(target, to),
        }
    }

    fn examples() -> &'static [Example] {
        &[Example {
            title: "Remove what was registered since the incident began",
            input: "user: johanna@sunnyside08.example\nregistered_after: 2023-12-12T13:50:17Z",
        }]
    }
}

fn found(user: &UserTarget, choice: Choice) -> Found<MethodTarget> {
    Found {
        target: MethodTarget {
            user: user.clone(),
            label: choice.method.label().into(),
            kind: choice.method.odata_type,
            id: choice.method.id,
        },
        certain: choice.certain,
        note: choice.note,
        caveats: choice.caveats,
    }
}

/// The typed path: the generic one can be read but not deleted, and is all there is for an unknown type.
fn path(target: &MethodTarget) -> GraphPath {
    let authentication = target.user.path().fixed("authentication");
    let collection = Kind::of(&target.kind).map_or("methods", |kind| kind.collection);
    authentication.fixed(collection).id(&target.id)
}

fn remove(target: &MethodTarget) -> Result<Vec<Call>, Irreversible> {
    if Kind::of(&target.kind).is_none() {
        return Err(Irreversible(format!(
            "methods of type {} cannot be deleted through Graph v1.0: remove it in the Entra admin centre",
            Untrusted::from(target.kind.as_str()).term()
        )));
    }
    let mut call = Call::graph(Verb::Delete, path(target), None, Replay::Delete);
    call.on_rejection = OnRejection::LastOfLane;
    Ok(vec![call])
}

/// Phones and email addresses can be created; a phone's natural key is its type, and its id a constant.
fn put_back(target: &MethodTarget, to: &State) -> Result<Vec<Call>, Irreversible> {
    let kind = Kind::of(&target.kind)
        .ok_or_else(|| Irreversible("a method of this type cannot be created through Graph v1.0".into()))?;
    if let Some(lost) = kind.lost {
        return Err(Irreversible(lost.to_owned()));
    }
    let known = kind.properties.iter().all(|name| to.properties.get(*name).is_some_and(Value::is_string));
    if !known || to.properties.values().any(is_masked) {
        return Err(Irreversible(
            "the tenant showed the number or address masked or not at all: the user registers it again".into(),
        ));
    }
    let collection = target.user.path().fixed("authentication").fixed(kind.collection);
    let body = json!(to.properties);
    Ok(vec![Call::graph(Verb::Post, collection, Some(body), Replay::New)])
}

/// `+XX XX1234`: what an Authentication Administrator is shown.
fn is_masked(value: &Value) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.contains("XX") || text.contains('*')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{MethodTarget, RemoveAuthMethods, State, found};
    use crate::{
        action::Action as _,
        actions::support::{
            account::{UserTarget, tests::account},
            auth_choice::{Hints, choose},
            auth_method::{Method, tests::list},
        },
        model::{OnRejection, Replay, Verdict},
    };

    fn target(index: usize) -> MethodTarget {
        let user = UserTarget::of(&account());
        let method: Vec<Method> = list().into_iter().skip(index).take(1).collect();
        let choice = choose(method, None, &Hints::default()).remove(0);
        found(&user, choice).target
    }

    fn state(properties: serde_json::Value) -> State {
        State { present: true, properties: serde_json::from_value(properties).unwrap() }
    }

    #[test]
    fn every_delete_goes_to_the_typed_collection_and_may_be_tried_last() {
        let calls = RemoveAuthMethods::calls(&target(3), &state(json!({})), &State::default(), None).unwrap();
        assert_eq!(
            calls[0].summary(),
            "DELETE /v1.0/users/0a1b2c3d-0000-4000-8000-000000000001/authentication/microsoftAuthenticatorMethods/a1"
        );
        assert_eq!(calls[0].on_rejection, OnRejection::LastOfLane);
        assert_eq!(calls[0].replay, Replay::Delete);
    }

    #[test]
    fn a_phone_is_put_back_by_its_natural_key() {
        let before = state(json!({"phoneType": "mobile", "phoneNumber": "+81 0900000000"}));
        let calls = RemoveAuthMethods::calls(&target(1), &State::default(), &before, None).unwrap();
        assert_eq!(
            calls[0].summary(),
            r#"POST /v1.0/users/0a1b2c3d-0000-4000-8000-000000000001/authentication/phoneMethods {"phoneNumber":"+81 0900000000","phoneType":"mobile"}"#
        );
        assert_eq!(calls[0].replay, Replay::New);
    }

    #[test]
    fn what_was_masked_or_holds_a_key_is_not_put_back() {
        let masked = state(json!({"phoneType": "mobile", "phoneNumber": "+XX XX XX1234"}));
        for (index, before) in [(1, masked), (3, state(json!({}))), (6, state(json!({})))] {
            let back = RemoveAuthMethods::calls(&target(index), &State::default(), &before, None);
            assert!(back.is_err(), "{index}");
        }
    }

    #[test]
    fn an_unknown_type_is_not_deletable() {
        let refused = RemoveAuthMethods::calls(&target(6), &state(json!({})), &State::default(), None);
        assert!(refused.unwrap_err().0.contains("admin centre"));
    }

    #[test]
    fn another_number_in_its_place_is_drift_and_not_overwritten() {
        let ours = state(json!({"phoneType": "mobile", "phoneNumber": "+81 0900000000"}));
        let theirs = state(json!({"phoneType": "mobile", "phoneNumber": "+81 0900000009"}));
        assert!(!RemoveAuthMethods::same(&ours, &theirs));
        assert!(RemoveAuthMethods::calls(&target(1), &theirs, &ours, None).is_err());
        assert_eq!(RemoveAuthMethods::judge(&State::default(), &theirs), Verdict::NotYet);
        assert_eq!(RemoveAuthMethods::judge(&State::default(), &State::default()), Verdict::Holds);
    }
}
