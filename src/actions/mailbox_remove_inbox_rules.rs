//! `mailbox.remove-inbox-rules`: rules are taken away, and can be made again from their snapshot.

use std::time::Duration;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    action::{Action, Example},
    actions::support::{
        inbox::{self, FoundRule, RuleTarget, addressed},
        permissions::{EXCHANGE_MANAGE, USER_READ},
        rule_content::RuleEffect,
        rule_snapshot::Snapshot,
    },
    client::{ReadError, Reader},
    model::{
        Call, Capability, Effect, Found, Irreversible, Meta, Replay, Seen, Source, Target, UserRef, Verdict,
        WriteCmdlet,
    },
};

/// Removes inbox rules, hidden ones too, that do certain things to mail.
///
/// # Why
///
/// A disabled rule can be switched on again by whoever gets into the mailbox. Prefer disabling while the investigation
/// runs, since the rule is evidence: remove what is understood.
///
/// # Undo
///
/// Best effort: the rule is made again from its snapshot, under a new identity, and disabled if it was. Not for hidden
/// rules, rules in error, rules that no cmdlet made, and rules with an action or a recipient that no cmdlet can set:
/// the plan names the reason. A folder is looked for at the top of the mailbox.
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
/// only has such a name is shown, never taken by itself.
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

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct State {
    /// None when the rule is gone.
    rule: Option<Snapshot>,
}

pub(crate) struct RemoveInboxRules;

impl Action for RemoveInboxRules {
    const META: Meta = Meta {
        id: "mailbox.remove-inbox-rules",
        title: "Remove inbox rules",
        target_kind: "inbox-rule",
        effect: Effect::Remove,
        instead: Some("mailbox.disable-inbox-rules"),
        destroys: true,
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
                title: "Exchange PowerShell: Remove-InboxRule",
                url: "https://learn.microsoft.com/en-us/powershell/module/exchangepowershell/remove-inboxrule",
            },
            Source {
                title: "Exchange PowerShell: New-InboxRule (the way back)",
                url: "https://learn.microsoft.com/en-us/powershell/module/exchangepowershell/new-inboxrule",
            },
        ],
        propagation: Duration::from_secs(120),
    };

    type Input = Input;
    type Target = RuleTarget;
    type State = State;

    async fn resolve(tenant: &Reader, input: &Input) -> Result<Vec<Found<RuleTarget>>, ReadError> {
        let rules = inbox::resolve(tenant, &input.user, &input.effects).await?;
        Ok(last_first(rules))
    }

    async fn read(tenant: &Reader, target: &RuleTarget) -> Result<Seen<State, RuleTarget>, ReadError> {
        let rule = target.find(tenant).await?;
        let moved_to = target.moved(rule.as_ref());
        let rule = match &rule {
            None => None,
            Some(rule) => Some(Snapshot::take(tenant, target, rule).await?),
        };
        Ok(Seen { state: State { rule }, moved_to, caveats: Vec::new() })
    }

    fn describe(target: &RuleTarget) -> Target {
        target.describe()
    }

    fn desired(_: &Input, _: &State, _: Timestamp) -> State {
        State { rule: None }
    }

    fn calls(target: &RuleTarget, from: &State, to: &State, _: Option<&Input>) -> Result<Vec<Call>, Irreversible> {
        let call =
            |cmdlet, parameters, replay| Call::cmdlet(cmdlet, &target.user.user_principal_name, parameters, replay);
        match (&from.rule, &to.rule) {
            (None, None) => Ok(Vec::new()),
            (Some(_), None) => Ok(vec![call(WriteCmdlet::RemoveInboxRule, target.parameters(), Replay::Delete)]),
            (None, Some(to)) => {
                let made = call(WriteCmdlet::NewInboxRule, to.new_rule(target)?, Replay::New);
                let off = call(WriteCmdlet::DisableInboxRule, addressed(Call::found("identity")), Replay::Set);
                // A new rule is enabled, and no parameter says otherwise.
                Ok(if to.enabled { vec![made] } else { vec![made, off] })
            }
            (Some(from), Some(to)) if from.says_the_same(to) => Ok(match (from.enabled, to.enabled) {
                (true, false) => vec![call(WriteCmdlet::DisableInboxRule, target.parameters(), Replay::Set)],
                (false, true) => vec![call(WriteCmdlet::EnableInboxRule, target.parameters(), Replay::Set)],
                _ => Vec::new(),
            }),
            (Some(_), Some(_)) => {
                Err(Irreversible("the rule was changed in the meantime: look at both, and decide by hand".into()))
            }
        }
    }

    fn judge(wanted: &State, seen: &State) -> Verdict {
        let enabled = |state: &State| state.rule.as_ref().map(|rule| rule.enabled);
        let holds = Self::same(wanted, seen) && enabled(wanted) == enabled(seen);
        if holds { Verdict::Holds } else { Verdict::NotYet }
    }

    /// Whether it is on says nothing about which rule it is: an earlier step may have disabled it.
    fn same(planned: &State, seen: &State) -> bool {
        match (&planned.rule, &seen.rule) {
            (Some(planned), Some(seen)) => planned.says_the_same(seen),
            (planned, seen) => planned.is_none() && seen.is_none(),
        }
    }

    fn examples() -> &'static [Example] {
        &[Example {
            title: "Remove rules that send mail out or delete it",
            input: "user: johanna@sunnyside08.example\neffects: [forward, redirect, delete, move]",
        }]
    }
}

/// The highest number first: the removal of a rule may shift the numbers after it.
fn last_first(mut rules: Vec<FoundRule>) -> Vec<Found<RuleTarget>> {
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.priority));
    rules.into_iter().map(|rule| rule.found).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{RemoveInboxRules, State, last_first};
    use crate::{
        action::Action as _,
        actions::support::{
            inbox::{
                FoundRule, Rule, RuleTarget,
                tests::{dots, rule, target},
            },
            rule_snapshot::tests::snapshot,
        },
        model::{Found, Replay, Verdict},
    };

    const GONE: State = State { rule: None };

    fn state(target: &RuleTarget, rule: &Rule) -> State {
        State { rule: Some(snapshot(target, rule)) }
    }

    #[test]
    fn it_is_removed_by_its_identity() {
        let target = target(dots());
        let calls = RemoveInboxRules::calls(&target, &state(&target, &dots()), &GONE, None).unwrap();
        assert_eq!(
            calls[0].summary(),
            r#"Remove-InboxRule {"Identity":"f0af9d5e-1cc7-4fbd-9c19-818339d1ecc5\\17097852595923320833","Confirm":false,"Force":true}"#
        );
        assert_eq!(calls[0].replay, Replay::Delete);
    }

    #[test]
    fn it_is_made_again_and_disabled_if_it_was() {
        let target = target(dots());
        let mut rule = dots();
        rule.enabled = false;
        let calls = RemoveInboxRules::calls(&target, &GONE, &state(&target, &rule), None).unwrap();
        assert_eq!(
            calls[0].summary(),
            r#"New-InboxRule {"Mailbox":"f0af9d5e-1cc7-4fbd-9c19-818339d1ecc5","Name":"..","Priority":1,"MarkAsRead":true,"MoveToFolder":"f0af9d5e-1cc7-4fbd-9c19-818339d1ecc5:\\Deleted Items","SubjectOrBodyContainsWords":["Re: REVISED INVOICE"],"StopProcessingRules":false,"Confirm":false,"Force":true}"#
        );
        assert_eq!(calls[0].replay, Replay::New);
        assert_eq!(
            calls[1].summary(),
            r#"Disable-InboxRule {"Identity":{"$found":"identity"},"Confirm":false,"Force":true}"#
        );
        let enabled = RemoveInboxRules::calls(&target, &GONE, &state(&target, &dots()), None);
        assert_eq!(enabled.unwrap().len(), 1);
    }

    #[test]
    fn an_undo_that_stopped_half_way_is_finished() {
        let target = target(dots());
        let mut rule = dots();
        rule.enabled = false;
        let (seen, wanted) = (state(&target, &dots()), state(&target, &rule));
        assert_eq!(RemoveInboxRules::judge(&wanted, &seen), Verdict::NotYet);
        let calls = RemoveInboxRules::calls(&target, &seen, &wanted, None).unwrap();
        assert!(calls[0].summary().starts_with("Disable-InboxRule"));
    }

    #[test]
    fn a_shifted_priority_is_no_drift_but_another_content_is() {
        let target = target(dots());
        let mut shifted = dots();
        shifted.priority = Some(4);
        assert!(RemoveInboxRules::same(&state(&target, &dots()), &state(&target, &shifted)));
        let other = state(&target, &rule(5, "..", json!({"MarkAsRead": true})));
        assert!(!RemoveInboxRules::same(&state(&target, &dots()), &other));
        assert!(RemoveInboxRules::calls(&target, &other, &state(&target, &dots()), None).is_err());
    }

    #[test]
    fn the_highest_priority_goes_first() {
        let found = |priority| FoundRule {
            priority: Some(priority),
            found: Found {
                target: target(rule(priority.unsigned_abs(), "x", json!({}))),
                certain: true,
                note: "".into(),
                caveats: Vec::new(),
            },
        };
        let order = last_first(vec![found(1), found(3), found(2)]);
        let ids: Vec<_> = order.iter().map(|it| it.target.describe().id).collect();
        assert_eq!(ids, ["3", "2", "1"]);
    }
}
