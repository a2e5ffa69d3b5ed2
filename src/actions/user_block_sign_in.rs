//! `user.block-sign-in`: an account that may not sign in.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::{
    action::{Action, Example},
    actions::support::{
        account::{Account, UserTarget, named_user},
        permissions::USER_READ,
        switch::{Switch, gone_is_none},
    },
    client::{ReadError, Reader},
    model::{
        Call, Capability, Caveat, CaveatKind, Effect, Found, Irreversible, Meta, Permission, Seen, Source, Target,
        UserRef, Verdict,
    },
};

/// Blocks sign-in: sets `accountEnabled` to false, so that neither password nor passkey nor refresh token opens the
/// account until it is handed back.
///
/// # Why
///
/// It closes the window in which an intruder who still has a factor signs in again while sessions are being revoked.
/// Disabling is a critical event for continuous access evaluation, so Exchange, SharePoint and Teams cut aware
/// clients off within minutes.
///
/// # Undo
///
/// Exact: the value before is set again. After that SharePoint and Teams need about 15 minutes, Exchange 35 to 40,
/// until the user gets in.
///
/// # Needs
///
/// For an account that holds a directory role, our service principal needs a higher role itself: an application
/// permission alone is refused there.
///
/// # Limits
///
/// An account mastered on-premises is enabled again by the next synchronisation unless Active Directory says the same.
/// A guest is blocked in this tenant only. Access tokens already issued live on with clients that do not know
/// continuous access evaluation, usually for an hour.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The account to block, by principal name or object id.
    user: UserRef,
}

pub(crate) struct BlockSignIn;

impl Action for BlockSignIn {
    const META: Meta = Meta {
        id: "user.block-sign-in",
        title: "Block sign-in",
        target_kind: "user",
        effect: Effect::Cut,
        instead: None,
        destroys: false,
        sensitive: true,
        always: false,
        reads: &[USER_READ],
        writes: &[Permission::graph(&[
            "User.EnableDisableAccount.All",
            "User.ReadWrite.All",
            "Directory.ReadWrite.All",
        ])],
        roles: &[],
        licence: None,
        part: Capability::Directory,
        attack: &["T1078.004"],
        d3fend: &["D3-AL"],
        coun7er: &[],
        itm: &[],
        sources: &[
            Source {
                title: "Microsoft Entra: revoke user access in an emergency",
                url: "https://learn.microsoft.com/en-us/entra/identity/users/users-revoke-access",
            },
            Source {
                title: "Microsoft Defender: respond to a compromised email account",
                url: "https://learn.microsoft.com/en-us/defender-office-365/responding-to-a-compromised-email-account",
            },
            Source {
                title: "Microsoft Graph: update user",
                url: "https://learn.microsoft.com/en-us/graph/api/user-update?view=graph-rest-1.0",
            },
        ],
        propagation: Duration::from_secs(120),
    };

    type Input = Input;
    type Target = UserTarget;
    type State = Switch;

    async fn resolve(tenant: &Reader, input: &Input) -> Result<Vec<Found<UserTarget>>, ReadError> {
        let account = Account::find(tenant, &input.user).await?;
        Ok(vec![named_user(&account, UserTarget::of(&account), Vec::new())])
    }

    async fn read(tenant: &Reader, target: &UserTarget) -> Result<Seen<Switch, UserTarget>, ReadError> {
        let account = gone_is_none(Account::read(tenant, &target.id).await)?;
        let state = account.as_ref().map_or(Switch::GONE, |account| Switch::at(account.account_enabled));
        let mut seen = Seen::plain(state);
        if let Some(account) = &account {
            seen.caveats = caveats(account);
            seen.caveats.extend(account.restricted(tenant).await);
        }
        Ok(seen)
    }

    fn describe(target: &UserTarget) -> Target {
        target.describe()
    }

    fn desired(_: &Input, now: &Switch, _: Timestamp) -> Switch {
        now.off()
    }

    fn calls(target: &UserTarget, from: &Switch, to: &Switch, _: Option<&Input>) -> Result<Vec<Call>, Irreversible> {
        Switch::calls(target.path(), *from, *to)
    }

    fn judge(wanted: &Switch, seen: &Switch) -> Verdict {
        Switch::judge(*wanted, *seen)
    }

    fn examples() -> &'static [Example] {
        &[Example { title: "Block the victim", input: "user: johanna@sunnyside08.example" }]
    }
}

fn caveats(account: &Account) -> Vec<Caveat> {
    let mut caveats = Vec::new();
    if account.is_synced() {
        caveats.push(Caveat::new(
            CaveatKind::Synced,
            "mastered on-premises: disable the account in Active Directory too, and reset its password there twice, \
             or the next synchronisation enables it again",
        ));
    }
    if account.is_guest() {
        caveats.push(Caveat::new(
            CaveatKind::Guest,
            "a guest: this blocks access to this tenant only; tell the home tenant that the account is compromised",
        ));
    }
    caveats
}

#[cfg(test)]
mod tests {
    use super::{BlockSignIn, caveats};
    use crate::{
        action::Action as _,
        actions::support::{
            account::{UserTarget, tests::account},
            switch::Switch,
        },
        model::CaveatKind,
    };

    #[test]
    fn the_calls_lead_there_and_back() {
        let target = UserTarget::of(&account());
        let (before, after) = (Switch::at(true), Switch::at(false));
        let forth = BlockSignIn::calls(&target, &before, &after, None).unwrap();
        assert_eq!(
            forth[0].summary(),
            r#"PATCH /v1.0/users/0a1b2c3d-0000-4000-8000-000000000001 {"accountEnabled":false}"#
        );
        assert!(forth[0].replay.repeatable());
        let back = BlockSignIn::calls(&target, &after, &before, None).unwrap();
        assert!(back[0].summary().ends_with(r#"{"accountEnabled":true}"#));
    }

    #[test]
    fn an_account_that_was_disabled_before_stays_so_on_undo() {
        let before = Switch::at(false);
        let target = UserTarget::of(&account());
        assert!(BlockSignIn::calls(&target, &before.off(), &before, None).unwrap().is_empty());
    }

    #[test]
    fn what_is_special_is_told() {
        let mut account = account();
        assert!(caveats(&account).is_empty());
        account.on_premises_sync_enabled = Some(true);
        account.user_type = Some("Guest".into());
        let kinds: Vec<_> = caveats(&account).iter().map(|c| c.kind).collect();
        assert_eq!(kinds, [CaveatKind::Synced, CaveatKind::Guest]);
    }
}
