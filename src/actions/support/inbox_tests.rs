//! Tests of the inbox reader, on rows with the sidecars that Exchange sends.

use serde_json::{Value, json};

use super::{FoundRule, Mailbox, Rule, RuleTarget, Standing, choose, standing};
use crate::{
    actions::support::{
        account::{UserTarget, tests::account},
        rule_content::RuleEffect,
    },
    model::CaveatKind,
};

const GUID: &str = "f0af9d5e-1cc7-4fbd-9c19-818339d1ecc5";
const DOTS: u64 = 17_097_852_595_923_320_833;

pub(crate) fn rule(id: u64, name: &str, more: Value) -> Rule {
    let mut row = json!({
        "RuleIdentity": id,
        "RuleIdentity@data.type": "System.UInt64",
        "Identity": format!("{GUID}\\{id}"),
        "MailboxOwnerId": "johanna",
        "Name": name,
        "Enabled": true,
        "Priority": 1,
        "SupportedByTask": true,
        "SubjectOrBodyContainsWords@odata.type": "#Collection(String)",
    });
    let fields = row.as_object_mut().unwrap();
    fields.extend(more.as_object().unwrap().clone());
    serde_json::from_value(row).unwrap()
}

fn what_dots_says() -> Value {
    json!({
        "MoveToFolder": "Deleted Items",
        "MarkAsRead": true,
        "SubjectOrBodyContainsWords": ["Re: REVISED INVOICE"]
    })
}

pub(crate) fn dots() -> Rule {
    rule(DOTS, "..", what_dots_says())
}

fn junk(more: Value) -> Rule {
    rule(9, "Junk E-mail Rule", more)
}

fn chosen(all: Vec<Rule>, visible: &[Rule], effects: &[RuleEffect]) -> Vec<FoundRule> {
    choose(&UserTarget::of(&account()), GUID, all, visible, effects)
}

pub(crate) fn target(rule: Rule) -> RuleTarget {
    chosen(vec![rule.clone()], &[rule], &[]).remove(0).found.target
}

#[test]
fn an_id_above_the_signed_range_keeps_every_digit() {
    let target = target(dots());
    assert_eq!(target.identity, format!("{GUID}\\17097852595923320833"));
    assert_eq!(target.describe().id, "17097852595923320833");
    assert!(!target.content.keys().any(|name| name.contains('@')));
}

#[test]
fn a_float_or_a_foreign_identity_is_malformed() {
    for row in [
        json!({"RuleIdentity": 1.5, "Identity": "g\\1", "Enabled": true}),
        json!({"RuleIdentity": 7, "Identity": "g\\8", "Enabled": true}),
        json!({"RuleIdentity": 7, "Identity": "g\\7"}),
    ] {
        assert!(serde_json::from_value::<Rule>(row.clone()).is_err(), "{row}");
    }
}

#[test]
fn names_are_kept_as_they_are() {
    for name in ["", " ", ".", ".."] {
        assert_eq!(target(rule(7, name, json!({}))).name.raw(), name);
    }
}

#[test]
fn a_rule_of_another_mailbox_is_noticed() {
    let mailbox: Mailbox = serde_json::from_value(json!({
        "Guid": GUID, "Guid@odata.type": "#Guid", "Alias": "grady"
    }))
    .unwrap();
    assert!(dots().belongs_to(&mailbox));
    let other: Mailbox = serde_json::from_value(json!({"Guid": "other", "Alias": "grady"})).unwrap();
    assert!(!dots().belongs_to(&other));
    let by_owner: Mailbox = serde_json::from_value(json!({"Guid": "other", "Alias": "Johanna"})).unwrap();
    assert!(dots().belongs_to(&by_owner));
}

#[test]
fn hidden_is_what_only_the_longer_list_has() {
    let forward = rule(8, "", json!({"ForwardTo": ["\"x\" [SMTP:attacker@collector.example]"]}));
    let found = chosen(vec![dots(), forward], &[dots()], &[RuleEffect::Forward]);
    assert_eq!(found.len(), 1);
    assert!(found[0].found.target.hidden && found[0].found.certain);
    assert!(found[0].found.note.raw().starts_with("hidden; enabled; ForwardTo"));
    assert_eq!(found[0].found.caveats[0].kind, CaveatKind::AffectsEvidence);
}

#[test]
fn the_filter_leaves_out_what_does_something_else() {
    let newsletters = rule(3, "Newsletters", json!({"MoveToFolder": "Newsletters"}));
    let all = vec![dots(), newsletters.clone()];
    assert!(chosen(all.clone(), &all, &[RuleEffect::Redirect]).is_empty());
    assert_eq!(chosen(all.clone(), &all, &[RuleEffect::MarkRead]).len(), 1);
    assert_eq!(chosen(all.clone(), &all, &[]).len(), 2);
}

#[test]
fn a_rule_that_does_not_show_what_it_does_is_uncertain() {
    let opaque = rule(4, "print", json!({"SupportedByTask": false}));
    let found = chosen(vec![opaque.clone()], &[opaque], &[RuleEffect::Forward]);
    assert!(!found[0].found.certain);
    assert_eq!(found[0].found.caveats[1].kind, CaveatKind::BlindSpot);
}

#[test]
fn system_rules_are_not_touched_and_their_names_are_no_hiding_place() {
    for name in [
        "Junk E-mail Rule",
        "Junk E-Mail Rule",
        "Microsoft.Exchange.OOF.KnownExternal.Global",
        "Delegate Rule -4711",
        "Schedule+ EMS Interface",
    ] {
        let system = rule(9, name, json!({"MoveToFolder": "Junk Email"}));
        assert_eq!(standing(&system, true), Standing::System, "{name}");
        assert_eq!(standing(&system, false), Standing::Doubtful, "{name}");
        assert!(chosen(vec![system], &[], &[]).is_empty());
    }
    let forward = json!({"RedirectTo": ["attacker@collector.example"]});
    let found = chosen(vec![junk(forward)], &[], &[RuleEffect::Redirect]);
    assert!(!found[0].found.certain, "shown, never taken by itself");
}

#[test]
fn a_rule_that_was_made_again_is_found_by_what_it_says() {
    let target = target(dots());
    let again = rule(5, "..", what_dots_says());
    let seen = target.pick(vec![again.clone(), junk(json!({}))]);
    let moved = target.moved(seen.as_ref()).unwrap();
    assert_eq!(moved.identity, again.identity);
    assert_eq!(target.moved(Some(&dots())), None);
    let other = rule(6, "..", json!({"MoveToFolder": "RSS Feeds"}));
    assert!(target.pick(vec![other]).is_none());
    let ambiguous = vec![again, rule(7, "..", what_dots_says())];
    assert!(target.pick(ambiguous).is_none());
}

#[test]
fn a_twin_is_not_mistaken_for_the_rule() {
    let twin = rule(5, "..", what_dots_says());
    let found = chosen(vec![dots(), twin.clone()], &[], &[]);
    let target = &found[0].found.target;
    assert_eq!(target.twins, std::slice::from_ref(&twin.identity));
    assert!(target.pick(vec![twin]).is_none(), "the rule is gone, its twin is not it");
}
