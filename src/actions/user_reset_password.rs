//! `user.reset-password`: a new random password that the intruder does not know.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{
    action::{Action, Example},
    actions::support::{
        account::{Account, UserTarget, named_user},
        moved::Moved,
        permissions::USER_READ,
        switch::gone_is_none,
    },
    client::{ReadError, ReadErrorKind, Reader},
    model::{
        Call, Capability, Caveat, CaveatKind, Difference, Effect, Found, GraphPath, HandOver, Irreversible, Meta,
        Permission, Replay, SecretSlot, Seen, Source, Target, Untrusted, UserRef, Verb, Verdict,
    },
};

/// Resets the password: sets a random one of 32 characters and asks for a new one at the next sign-in.
///
/// # Why
///
/// The intruder of a phishing case knows the password. Rotate it before any authentication method is removed, or
/// whoever knows it can register the next one. A password change is a critical event for continuous access evaluation
/// and voids refresh tokens that were obtained with the old one.
///
/// # Undo
///
/// None: the old password is not known to us and must not come back.
///
/// # Needs
///
/// For an account that holds a directory role, our service principal needs a higher role itself: an application
/// permission alone is refused there. With `hand_over: sealed`, a recipient key in the configuration.
///
/// # Limits
///
/// Only for passwords that are mastered in the cloud. The password of a synchronised account is reset in Active
/// Directory (twice), that of a federated domain at its identity provider, that of a guest in the home tenant: the
/// plan says so and sends nothing. App passwords, passkeys and other factors are not touched.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The account that gets a new password, by principal name or object id.
    user: UserRef,
    /// What happens to the new password: `sealed`, as without a value, encrypts it to the configured recipients in a
    /// file of its own; `discard` lets nobody know it, so that the helpdesk issues a new credential later. Where no
    /// recipient is configured it is discarded either way, and the plan says so.
    #[serde(default)]
    hand_over: Option<HandOver>,
}

/// Who can change the password.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Master {
    /// This tenant.
    Cloud,
    /// Active Directory: Graph answers 400 for a synchronised account.
    OnPremises,
    /// The home tenant of a guest.
    HomeTenant,
    /// The identity provider of a federated domain.
    Federation(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct PasswordTarget {
    user: UserTarget,
    master: Master,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct State {
    exists: bool,
    /// `lastPasswordChangeDateTime`, whole seconds.
    last_change: Option<Timestamp>,
}

impl State {
    fn of(moved: Moved) -> Self {
        Self { exists: moved.exists, last_change: moved.at }
    }

    fn moved(self) -> Moved {
        Moved { exists: self.exists, at: self.last_change }
    }
}

/// `microsoft.graph.domain`, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    /// `Managed` or `Federated`.
    authentication_type: Option<String>,
}

pub(crate) struct ResetPassword;

impl Action for ResetPassword {
    const META: Meta = Meta {
        id: "user.reset-password",
        title: "Reset the password",
        target_kind: "user",
        effect: Effect::Rotate,
        instead: None,
        destroys: false,
        sensitive: true,
        always: true,
        reads: &[USER_READ, Permission::graph(&["Domain.Read.All", "Domain.ReadWrite.All", "Directory.Read.All"])],
        writes: &[Permission::graph(&[
            "User-PasswordProfile.ReadWrite.All",
            "User.ReadWrite.All",
            "Directory.ReadWrite.All",
        ])],
        roles: &[],
        licence: None,
        part: Capability::Directory,
        attack: &["T1078.004", "T1110.003"],
        d3fend: &["D3-CRO", "D3-RIC"],
        coun7er: &["CM0033", "CM0061"],
        itm: &[],
        sources: &[
            Source {
                title: "Microsoft Graph: update user (passwordProfile)",
                url: "https://learn.microsoft.com/en-us/graph/api/user-update?view=graph-rest-1.0",
            },
            Source {
                title: "Microsoft Entra: revoke user access in an emergency",
                url: "https://learn.microsoft.com/en-us/entra/identity/users/users-revoke-access",
            },
            Source {
                title: "Microsoft: token theft playbook",
                url: "https://learn.microsoft.com/en-us/security/operations/token-theft-playbook",
            },
        ],
        propagation: Duration::from_secs(120),
    };

    type Input = Input;
    type Target = PasswordTarget;
    type State = State;

    async fn resolve(tenant: &Reader, input: &Input) -> Result<Vec<Found<PasswordTarget>>, ReadError> {
        let account = Account::find(tenant, &input.user).await?;
        let mut caveats = Vec::new();
        let federated = match account.domain() {
            Some(domain) if !account.is_guest() && !account.is_synced() => {
                is_federated(tenant, domain, &mut caveats).await?
            }
            _ => false,
        };
        let target = PasswordTarget { user: UserTarget::of(&account), master: master(&account, federated) };
        Ok(vec![named_user(&account, target, caveats)])
    }

    async fn read(tenant: &Reader, target: &PasswordTarget) -> Result<Seen<State, PasswordTarget>, ReadError> {
        let account = gone_is_none(Account::read(tenant, &target.user.id).await)?;
        let moved = account.as_ref().map_or(Moved::GONE, |account| Moved::at(account.last_password_change_date_time));
        let restricted = match &account {
            Some(account) => account.restricted(tenant).await,
            None => None,
        };
        Ok(Seen { state: State::of(moved), moved_to: None, caveats: restricted.into_iter().collect() })
    }

    fn describe(target: &PasswordTarget) -> Target {
        target.user.describe()
    }

    fn desired(_: &Input, now: &State, at: Timestamp) -> State {
        State::of(now.moved().later(at))
    }

    fn differences(from: &State, _: &State) -> Vec<Difference> {
        from.moved().differences("password last changed")
    }

    fn calls(
        target: &PasswordTarget,
        from: &State,
        to: &State,
        input: Option<&Input>,
    ) -> Result<Vec<Call>, Irreversible> {
        if input.is_none() || from.moved().is_undo(to.moved()) {
            return Err(Irreversible(
                "the old password is not known and must not come back; issue a new credential when the account is \
                 handed back"
                    .into(),
            ));
        }
        if let Some(reason) = elsewhere(&target.master) {
            return Err(Irreversible(reason));
        }
        if !from.exists {
            return Ok(Vec::new());
        }
        Ok(vec![set_password(&target.user, hand_over(input))])
    }

    fn judge(wanted: &State, seen: &State) -> Verdict {
        Moved::judge(wanted.moved(), seen.moved())
    }

    fn same(_: &State, _: &State) -> bool {
        // A change of the password since the plan may be the intruder's: one more reason to set a new one.
        true
    }

    fn examples() -> &'static [Example] {
        &[
            Example {
                title: "A new password that nobody knows",
                input: "user: johanna@sunnyside08.example\nhand_over: discard",
            },
            Example {
                title: "A new password, sealed for the configured recipients",
                input: "user: johanna@sunnyside08.example\nhand_over: sealed",
            },
        ]
    }
}

fn hand_over(input: Option<&Input>) -> HandOver {
    input.and_then(|input| input.hand_over).unwrap_or(HandOver::Sealed)
}

/// The password is always sent: `forceChangePasswordNextSignIn` alone is answered 204 and does nothing.
fn set_password(user: &UserTarget, hand_over: HandOver) -> Call {
    let body = json!({ "passwordProfile": {
        "password": Call::secret("password"),
        "forceChangePasswordNextSignIn": true,
    }});
    let mut call = Call::graph(Verb::Patch, user.path(), Some(body), Replay::Set);
    call.secrets.push(SecretSlot { name: "password".into(), owner: user.user_principal_name.clone(), hand_over });
    call
}

/// Asks how the domain authenticates. Not being allowed to ask is told, and stops nothing: the tenant refuses to
/// reset a federated user's password anyway.
async fn is_federated(tenant: &Reader, domain: &str, caveats: &mut Vec<Caveat>) -> Result<bool, ReadError> {
    let path = GraphPath::v1().fixed("domains").id(domain);
    match tenant.get::<Domain>(&path).await {
        Ok(read) => Ok(read.authentication_type.as_deref() == Some("Federated")),
        Err(error) if is_no_answer(error.kind) => {
            caveats.push(Caveat::new(
                CaveatKind::BlindSpot,
                "whether the domain is federated could not be read; if it is, the tenant will refuse the new password",
            ));
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The tenant answered, but not what was asked: another attempt would not help.
fn is_no_answer(kind: ReadErrorKind) -> bool {
    matches!(kind, ReadErrorKind::Denied | ReadErrorKind::NotFound | ReadErrorKind::Rejected)
}

fn master(account: &Account, federated: bool) -> Master {
    if account.is_guest() {
        Master::HomeTenant
    } else if account.is_synced() {
        Master::OnPremises
    } else if federated {
        Master::Federation(account.domain().unwrap_or_default().to_owned())
    } else {
        Master::Cloud
    }
}

/// Why the password cannot be reset here, and who has to do it.
fn elsewhere(master: &Master) -> Option<String> {
    let reason = match master {
        Master::Cloud => return None,
        Master::OnPremises => {
            "the account is mastered on-premises, and the cloud refuses to set its password: reset it in Active \
             Directory, twice, and let both changes replicate"
        }
        Master::HomeTenant => {
            "a guest has no password in this tenant: block sign-in here, and ask the home tenant to reset it"
        }
        Master::Federation(domain) => {
            return Some(format!(
                "the domain {} is federated, so the password is not in this tenant: reset it at the identity provider",
                Untrusted::from(domain.as_str()).term()
            ));
        }
    };
    Some(reason.to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Input, Master, PasswordTarget, ResetPassword, State, master};
    use crate::{
        action::Action as _,
        actions::support::account::{UserTarget, tests::account},
        model::{HandOver, UserRef, Verdict},
    };

    fn input(hand_over: Option<HandOver>) -> Input {
        Input { user: UserRef("johanna@sunnyside08.example".into()), hand_over }
    }

    fn target(master: Master) -> PasswordTarget {
        PasswordTarget { user: UserTarget::of(&account()), master }
    }

    fn last_change(text: &str) -> State {
        State { exists: true, last_change: Some(text.parse().unwrap()) }
    }

    #[test]
    fn the_secret_stays_a_placeholder() {
        let before = last_change("2023-11-01T08:00:00Z");
        let given = input(Some(HandOver::Sealed));
        let wanted = ResetPassword::desired(&given, &before, "2023-12-12T15:00:00Z".parse().unwrap());
        assert_eq!(ResetPassword::judge(&wanted, &before), Verdict::NotYet);
        let calls = ResetPassword::calls(&target(Master::Cloud), &before, &wanted, Some(&given)).unwrap();
        assert!(calls[0].summary().ends_with(
            r#"{"passwordProfile":{"password":{"$secret":"password"},"forceChangePasswordNextSignIn":true}}"#
        ));
        assert_eq!(calls[0].secrets[0].hand_over, HandOver::Sealed);
        assert_eq!(calls[0].secrets[0].owner, "johanna@sunnyside08.example");
    }

    #[test]
    fn without_a_word_it_is_handed_over() {
        let (before, after) = (last_change("2023-11-01T08:00:00Z"), last_change("2023-12-12T15:00:00Z"));
        let given = input(None);
        let calls = ResetPassword::calls(&target(Master::Cloud), &before, &after, Some(&given)).unwrap();
        assert_eq!(calls[0].secrets[0].hand_over, HandOver::Sealed);
        let given = input(Some(HandOver::Discard));
        let calls = ResetPassword::calls(&target(Master::Cloud), &before, &after, Some(&given)).unwrap();
        assert_eq!(calls[0].secrets[0].hand_over, HandOver::Discard);
    }

    #[test]
    fn it_is_not_undone() {
        let (before, after) = (last_change("2023-11-01T08:00:00Z"), last_change("2023-12-12T15:00:00Z"));
        for given in [None, Some(&input(None))] {
            assert!(ResetPassword::calls(&target(Master::Cloud), &after, &before, given).is_err());
        }
    }

    #[test]
    fn a_password_that_is_not_ours_is_not_sent() {
        let (before, after) = (last_change("2023-11-01T08:00:00Z"), last_change("2023-12-12T15:00:00Z"));
        for (master, words) in [
            (Master::OnPremises, "Active Directory, twice"),
            (Master::HomeTenant, "home tenant"),
            (Master::Federation("sunnyside08.example".into()), "identity provider"),
        ] {
            let given = input(None);
            let refused = ResetPassword::calls(&target(master), &before, &after, Some(&given));
            assert!(refused.unwrap_err().0.contains(words));
        }
    }

    #[test]
    fn the_master_is_told_apart() {
        let mut account = account();
        assert_eq!(master(&account, false), Master::Cloud);
        assert_eq!(master(&account, true), Master::Federation("sunnyside08.example".into()));
        account.on_premises_sync_enabled = Some(true);
        assert_eq!(master(&account, true), Master::OnPremises);
        account.user_type = Some("Guest".into());
        assert_eq!(master(&account, false), Master::HomeTenant);
    }
}
