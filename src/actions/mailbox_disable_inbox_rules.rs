//! `mailbox.disable-inbox-rules`: rules that hide or forward mail are switched off.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    action::{Action, Example},
    actions::support::{
        inbox::{self, RuleTarget},
        permissions::{EXCHANGE_MANAGE, USER_READ},
        rule_content::RuleEffect,
    },
    client::{ReadError, Reader},
    model::{
        Call, Capability, Effect, Found, Irreversible, Meta, Replay, Seen, Source, Target, UserRef, Verdict,
        WriteCmdlet,
    },
};

/// Disables inbox rules, hidden ones too, that do certain things to mail.
///
/// # Why
///
/// Rules outlive a password change: they go on forwarding mail out, and hide the answers to the fraud. Disabling keeps
/// the rule as evidence, so it comes before removal. Cut the intruder's access first, or the rule is made again.
///
/// # Undo
///
/// The rule is enabled again under the same identity.
///
/// # Needs
///
/// The application permission and, for our service principal, the role Exchange Administrator: reading rules is refused
/// to weaker roles.
///
/// # Limits
///
/// Any change of a rule also deletes Outlook's client-side rules in that mailbox, and the mailbox log may show a
/// HardDelete of "Outlook Rules Organizer". Exchange keeps no date for a rule: which rules belong to the incident is
/// for a person to decide. The service's own rules for junk mail, absence and delegates are never touched; a rule that
/// only has such a name is shown, never taken by itself. A mailbox forwards in other ways too, which are not rules.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Input {
    /// The owner of the mailbox, by principal name or object id.
    user: UserRef,
    /// Only rules that do one of these. Without a value: all rules. A rule that does not show what it does is found as
    /// uncertain.
    #[serde(default)]
    effects: Vec<RuleEffect>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct State {
    /// None when the rule is gone.
    enabled: Option<bool>,
}

pub(crate) struct DisableInboxRules;

impl Action for DisableInboxRules {
    const META: Meta = Meta {
        id: "mailbox.disable-inbox-rules",
        title: "Disable inbox rules",
        target_kind: "inbox-rule",
        effect: Effect::Disable,
        instead: None,
        destroys: false,
        sensitive: false,
        always: false,
        reads: &[USER_READ, EXCHANGE_MANAGE],
        // The same as to read: Exchange tells the two apart by role only.
        writes: &[EXCHANGE_MANAGE],
        roles: &["Exchange Administrator"],
        licence: None,
        part: Capability::Cmdlets,
        attack: &["T1114.003", "T1564.008", "T1137.005"],
        d3fend: &["D3-OE"],
        coun7er: &["CM0082"],
        itm: &["PR015.002"],
        sources: &[
            Source {
                title: "Microsoft Defender: respond to a compromised email account",
                url: "https://learn.microsoft.com/en-us/defender-office-365/responding-to-a-compromised-email-account",
            },
            Source {
                title: "Exchange PowerShell: Disable-InboxRule",
                url: "https://learn.microsoft.com/en-us/powershell/module/exchangepowershell/disable-inboxrule",
            },
            Source {
                title: "CISA COUN7ER: CM0082",
                url: "https://www.cisa.gov/eviction-strategies-tool/info-countermeasures/CM0082",
            },
        ],
        propagation: Duration::from_secs(120),
    };

    type Input = Input;
    type Target = RuleTarget;
    type State = State;

    async fn resolve(tenant: &Reader, input: &Input) -> Result<Vec<Found<RuleTarget>>, ReadError> {
        let rules = inbox::resolve(tenant, &input.user, &input.effects).await?;
        Ok(rules.into_iter().map(|rule| rule.found).collect())
    }

    async fn read(tenant: &Reader, target: &RuleTarget) -> Result<Seen<State, RuleTarget>, ReadError> {
        let rule = target.find(tenant).await?;
        Ok(Seen {
            state: State { enabled: rule.as_ref().map(|rule| rule.enabled) },
            moved_to: target.moved(rule.as_ref()),
            caveats: Vec::new(),
        })
    }

    fn describe(target: &RuleTarget) -> Target {
        target.describe()
    }

    fn desired(_: &Input, now: &State, _: Timestamp) -> State {
        State { enabled: now.enabled.map(|_| false) }
    }

    fn calls(target: &RuleTarget, from: &State, to: &State, _: Option<&Input>) -> Result<Vec<Call>, Irreversible> {
        let cmdlet = match (from.enabled, to.enabled) {
            (from, to) if from == to => return Ok(Vec::new()),
            (Some(_), Some(false)) => WriteCmdlet::DisableInboxRule,
            (Some(_), Some(true)) => WriteCmdlet::EnableInboxRule,
            _ => {
                return Err(Irreversible(
                    "the rule is gone, and enabling does not bring it back: make it again from the evidence".into(),
                ));
            }
        };
        let anchor = &target.user.user_principal_name;
        let parameters = target.parameters();
        Ok(vec![Call::cmdlet(cmdlet, anchor, parameters, Replay::Set)])
    }

    /// Wanted off: a rule that is gone does nothing either.
    fn judge(wanted: &State, seen: &State) -> Verdict {
        let holds = match wanted.enabled {
            Some(true) => seen.enabled == Some(true),
            Some(false) | None => seen.enabled != Some(true),
        };
        if holds { Verdict::Holds } else { Verdict::NotYet }
    }

    fn examples() -> &'static [Example] {
        &[
            Example {
                title: "Rules that send mail out or hide it",
                input: "user: johanna@sunnyside08.example\neffects: [forward, redirect, delete, move, mark-read]",
            },
            Example { title: "Every rule of the mailbox", input: "user: johanna@sunnyside08.example" },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{DisableInboxRules, State};
    use crate::{
        action::Action as _,
        actions::support::inbox::tests::{dots, target},
        model::{Replay, Verdict},
    };

    const ON: State = State { enabled: Some(true) };
    const OFF: State = State { enabled: Some(false) };
    const GONE: State = State { enabled: None };

    #[test]
    fn the_cmdlets_lead_there_and_back() {
        let forth = DisableInboxRules::calls(&target(dots()), &ON, &OFF, None).unwrap();
        assert_eq!(
            forth[0].summary(),
            r#"Disable-InboxRule {"Identity":"f0af9d5e-1cc7-4fbd-9c19-818339d1ecc5\\17097852595923320833","Confirm":false,"Force":true}"#
        );
        assert_eq!(forth[0].replay, Replay::Set);
        let back = DisableInboxRules::calls(&target(dots()), &OFF, &ON, None).unwrap();
        assert!(back[0].summary().starts_with("Enable-InboxRule"));
    }

    #[test]
    fn a_rule_that_was_off_stays_off() {
        assert!(DisableInboxRules::calls(&target(dots()), &OFF, &OFF, None).unwrap().is_empty());
        assert_eq!(DisableInboxRules::judge(&OFF, &OFF), Verdict::Holds);
        assert_eq!(DisableInboxRules::judge(&OFF, &ON), Verdict::NotYet);
    }

    #[test]
    fn a_rule_that_is_gone_is_contained_but_not_brought_back() {
        assert_eq!(DisableInboxRules::judge(&OFF, &GONE), Verdict::Holds);
        assert_eq!(DisableInboxRules::judge(&ON, &GONE), Verdict::NotYet);
        assert!(DisableInboxRules::calls(&target(dots()), &GONE, &ON, None).is_err());
        assert!(!DisableInboxRules::same(&ON, &GONE));
    }
}
