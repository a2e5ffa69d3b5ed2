//! `user.revoke-sessions`: refresh tokens and session cookies of an account become void.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    action::{Action, Example},
    actions::support::{
        account::{Account, UserTarget, named_user},
        moved::Moved,
        permissions::USER_READ,
        switch::gone_is_none,
    },
    client::{ReadError, Reader},
    model::{
        Call, Capability, Caveat, CaveatKind, Difference, Effect, Found, Irreversible, Meta, Permission, Replay, Seen,
        Source, UserRef, Verb, Verdict,
    },
};

/// Revokes all sessions: refresh tokens and Entra session cookies issued until now become void.
///
/// # Why
///
/// A stolen session cookie outlives a password change. Revoke after the account is blocked, and once more after the
/// password and the last factor were changed, since a token may have been issued in between.
///
/// # Undo
///
/// None, and none is needed: the user signs in again.
///
/// # Needs
///
/// Nothing beyond the permission.
///
/// # Limits
///
/// Access tokens already issued live on, usually for an hour; where continuous access evaluation is in force they can
/// live for 28 hours but are cut off within about 15 minutes. Session cookies that an app issued itself stay valid.
/// A guest's sessions belong to the home tenant and cannot be revoked here. That a call succeeded proves nothing, so
/// the change holds only when `signInSessionsValidFromDateTime` is seen to have moved.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The account whose sessions end, by principal name or object id.
    user: UserRef,
}

#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct SessionsTarget {
    user: UserTarget,
    /// Signs in at another tenant.
    guest: bool,
}

#[derive(Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct State {
    exists: bool,
    /// `signInSessionsValidFromDateTime`, whole seconds.
    valid_from: Option<Timestamp>,
}

impl State {
    fn of(moved: Moved) -> Self {
        Self { exists: moved.exists, valid_from: moved.at }
    }

    fn moved(self) -> Moved {
        Moved { exists: self.exists, at: self.valid_from }
    }
}

pub(crate) struct RevokeSessions;

impl Action for RevokeSessions {
    const META: Meta = Meta {
        id: "user.revoke-sessions",
        title: "Revoke all sessions",
        target_kind: "user",
        effect: Effect::Cut,
        instead: None,
        destroys: false,
        sensitive: false,
        always: true,
        reads: &[USER_READ],
        writes: &[Permission::graph(&["User.RevokeSessions.All", "User.ReadWrite.All", "Directory.ReadWrite.All"])],
        roles: &[],
        licence: None,
        part: Capability::Directory,
        attack: &["T1550.004", "T1539", "T1550.001"],
        d3fend: &["D3-ANCI", "D3-ST"],
        coun7er: &["CM0077", "CM0080"],
        itm: &["PR030"],
        sources: &[
            Source {
                title: "Microsoft Graph: user: revokeSignInSessions",
                url: "https://learn.microsoft.com/en-us/graph/api/user-revokesigninsessions?view=graph-rest-1.0",
            },
            Source {
                title: "Microsoft Entra: revoke user access in an emergency",
                url: "https://learn.microsoft.com/en-us/entra/identity/users/users-revoke-access",
            },
            Source {
                title: "Microsoft Entra: continuous access evaluation",
                url: "https://learn.microsoft.com/en-us/entra/identity/conditional-access/concept-continuous-access-evaluation",
            },
        ],
        propagation: Duration::from_secs(300),
    };

    type Input = Input;
    type Target = SessionsTarget;
    type State = State;

    async fn resolve(tenant: &Reader, input: &Input) -> Result<Vec<Found<SessionsTarget>>, ReadError> {
        let account = Account::find(tenant, &input.user).await?;
        let target = SessionsTarget { user: UserTarget::of(&account), guest: account.is_guest() };
        Ok(vec![named_user(&account, target, Vec::new())])
    }

    async fn read(tenant: &Reader, target: &SessionsTarget) -> Result<Seen<State, SessionsTarget>, ReadError> {
        let account = gone_is_none(Account::read(tenant, &target.user.id).await)?;
        let moved =
            account.as_ref().map_or(Moved::GONE, |account| Moved::at(account.sign_in_sessions_valid_from_date_time));
        let mut seen = Seen::plain(State::of(moved));
        if let Some(account) = &account {
            seen.caveats = caveats(account);
            seen.caveats.extend(account.restricted(tenant).await);
        }
        Ok(seen)
    }

    fn describe(target: &SessionsTarget) -> crate::model::Target {
        target.user.describe()
    }

    fn desired(_: &Input, now: &State, at: Timestamp) -> State {
        State::of(now.moved().later(at))
    }

    fn differences(from: &State, _: &State) -> Vec<Difference> {
        from.moved().differences("sessions valid from")
    }

    fn calls(
        target: &SessionsTarget,
        from: &State,
        to: &State,
        input: Option<&Input>,
    ) -> Result<Vec<Call>, Irreversible> {
        if input.is_none() || from.moved().is_undo(to.moved()) {
            return Err(Irreversible(
                "revoked sessions do not come back; nothing is lost, the user signs in again".into(),
            ));
        }
        if target.guest {
            return Err(Irreversible(
                "a guest signs in at the home tenant, so there are no sessions to revoke here: block sign-in \
                 instead, and tell the home tenant"
                    .into(),
            ));
        }
        if !from.exists {
            return Ok(Vec::new());
        }
        let path = target.user.path().fixed("revokeSignInSessions");
        Ok(vec![Call::graph(Verb::Post, path, None, Replay::Set)])
    }

    fn judge(wanted: &State, seen: &State) -> Verdict {
        Moved::judge(wanted.moved(), seen.moved())
    }

    fn same(_: &State, _: &State) -> bool {
        // A later revocation by somebody else does not make ours wrong.
        true
    }

    fn examples() -> &'static [Example] {
        &[Example { title: "End the sessions of the victim", input: "user: johanna@sunnyside08.example" }]
    }
}

fn caveats(account: &Account) -> Vec<Caveat> {
    let mut caveats = vec![Caveat::new(
        CaveatKind::Residual,
        "access tokens already issued live on for about an hour (with continuous access evaluation for up to 28 hours, \
         but cut off within about 15 minutes), and session cookies that apps issued themselves stay valid",
    )];
    if account.is_guest() {
        caveats.push(Caveat::new(
            CaveatKind::Guest,
            "a guest: revoking has no effect, since the sessions live in the home tenant",
        ));
    }
    caveats
}

#[cfg(test)]
mod tests {
    use super::{Input, RevokeSessions, SessionsTarget, State, caveats};
    use crate::{
        action::Action as _,
        actions::support::account::{UserTarget, tests::account},
        model::{CaveatKind, Replay, UserRef, Verdict},
    };

    fn input() -> Input {
        Input { user: UserRef("johanna@sunnyside08.example".into()) }
    }

    fn target(guest: bool) -> SessionsTarget {
        SessionsTarget { user: UserTarget::of(&account()), guest }
    }

    fn valid_from(text: &str) -> State {
        State { exists: true, valid_from: Some(text.parse().unwrap()) }
    }

    #[test]
    fn it_posts_without_a_body_and_may_be_repeated() {
        let before = valid_from("2023-12-01T08:00:00Z");
        let wanted = RevokeSessions::desired(&input(), &before, "2023-12-12T15:00:00Z".parse().unwrap());
        assert_eq!(RevokeSessions::judge(&wanted, &before), Verdict::NotYet);
        let calls = RevokeSessions::calls(&target(false), &before, &wanted, Some(&input())).unwrap();
        assert_eq!(calls[0].summary(), "POST /v1.0/users/0a1b2c3d-0000-4000-8000-000000000001/revokeSignInSessions");
        assert_eq!(calls[0].replay, Replay::Set);
    }

    #[test]
    fn it_is_not_undone() {
        let (before, after) = (valid_from("2023-12-01T08:00:00Z"), valid_from("2023-12-12T15:00:00Z"));
        assert!(RevokeSessions::calls(&target(false), &after, &before, None).is_err());
        assert!(RevokeSessions::calls(&target(false), &after, &before, Some(&input())).is_err());
        assert!(
            RevokeSessions::calls(&target(false), &after, &after, None).is_err(),
            "two revocations in one second must not make the undo revoke again"
        );
    }

    #[test]
    fn a_guest_is_refused_in_words() {
        let (before, after) = (valid_from("2023-12-01T08:00:00Z"), valid_from("2023-12-12T15:00:00Z"));
        let reason = RevokeSessions::calls(&target(true), &before, &after, Some(&input())).unwrap_err();
        assert!(reason.0.contains("home tenant"));
        let mut guest = account();
        guest.user_type = Some("Guest".into());
        assert!(caveats(&guest).iter().any(|c| c.kind == CaveatKind::Guest));
    }

    #[test]
    fn somebody_elses_revocation_is_no_drift() {
        assert!(RevokeSessions::same(&valid_from("2023-12-01T08:00:00Z"), &valid_from("2023-12-12T15:00:00Z")));
    }
}
