//! What a notification under Directive (EU) 2022/2555 (NIS2), Article 23(4), asks for, as far as a run can say it. What it
//! cannot say is `null`, for the entity to state.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::types::{Containment, Indicator, LeftAlone, NotPlanned, Report, Technique};
use crate::{
    journal::Verdict,
    model::{Catalog, Outcome, Target},
};

/// An early warning is due 24 hours after becoming aware, a notification 72 hours: Article 23(4)(a) and (b).
const EARLY: SignedDuration = SignedDuration::from_hours(24);
const NOTIFICATION: SignedDuration = SignedDuration::from_hours(72);

/// The fields.
pub(super) fn fields(report: &Report) -> Value {
    let status = &report.status;
    // Nobody begins a run before becoming aware: these are the latest dates that can hold.
    let due = |after: SignedDuration| status.started.checked_add(after).ok().as_ref().map(shown);
    let changes = || report.accounts.iter().flat_map(|account| &account.changes);
    let applied = changes().filter(|change| change.outcome.is_some_and(Outcome::holds)).map(|change| {
        json!({
            "step": change.step, "action": change.action, "outcome": change.outcome.map(Outcome::word),
            "object": change.target.as_ref().map(object), "journal_line": change.line(),
        })
    });
    let applied: Vec<Value> = applied.collect();
    let open = changes().filter(|change| !change.outcome.is_some_and(Outcome::holds)).map(|change| {
        json!({
            "step": change.step, "action": change.action, "outcome": change.outcome.map(Outcome::word),
            "object": change.target.as_ref().map(object), "next_step": change.next_step, "journal_line": change.line(),
        })
    });
    let open: Vec<Value> = open.collect();
    json!({
        "marking": report.marking,
        "directive": "(EU) 2022/2555, Article 23(4)",
        "became_aware": null,
        "aware_at_the_latest": shown(&status.started),
        "early_warning": {
            "due_at_the_latest": due(EARLY),
            "suspected_unlawful_or_malicious": null,
            "possible_cross_border_impact": null,
        },
        "incident_notification": {
            "due_at_the_latest": due(NOTIFICATION),
            "initial_assessment": {"severity": null, "impact": null, "accounts_concerned": accounts(report)},
            "indicators_of_compromise": report.indicators.iter().map(indicator).collect::<Value>(),
        },
        "final_report": {
            "due": "one month after the incident notification",
            "description": {
                "times_to_check": report.timeline_findings.iter().map(|it| it.text.raw()).collect::<Value>(),
                "first_access": report.exposure.first_access.as_ref().map(shown),
                "access_cut": report.exposure.last_cut_off.as_ref().map(|cut| shown(&cut.what)),
                "open_for_ms": report.exposure.open_for_ms,
                "stolen_tokens_usable_until_about": report.exposure.tokens_until.as_ref().map(shown),
                "stolen_tokens_usable_at_the_latest": report.exposure.tokens_at_the_latest.as_ref().map(shown),
                "contained": contained(report),
                "severity": null, "impact": null,
            },
            // The case that the playbook was written for is stated by who chose it; nothing else is known of the threat.
            "type_of_threat_or_root_cause": {
                "techniques_that_the_playbook_counters": techniques(&report.playbook_counters), "root_cause": null,
            },
            "mitigation_applied": applied,
            "techniques_that_the_mitigation_counters": techniques(&report.techniques),
            "mitigation_ongoing": {
                "changes": open, "not_planned": not_planned(report), "left_alone": left_alone(report),
                "requests": report.requests,
            },
            "cross_border_impact": null,
        },
        "record": {"run": status.run_id, "verdict": status.verdict.word(), "head_sha256": status.head},
    })
}

fn techniques(of: &[Technique]) -> Value {
    let attack = of.iter().filter(|it| it.catalog == Catalog::Attack.name());
    attack.map(|it| json!({"id": it.id, "name": it.name, "attack_version": it.version})).collect()
}

fn shown(at: &Timestamp) -> String {
    format!("{at:.3}")
}

fn accounts(report: &Report) -> usize {
    let users = report.accounts.iter().filter(|account| {
        let targets = account.changes.iter().filter_map(|change| change.target.as_ref());
        targets.clone().any(|target| target.kind == "user" || target.of.is_some())
    });
    users.count()
}

fn indicator(it: &Indicator) -> Value {
    json!({"kind": it.kind, "id": it.id, "name": it.name, "found_by": it.found_by, "journal_line": it.seq})
}

fn object(target: &Target) -> Value {
    json!({"kind": target.kind, "id": target.id})
}

/// Wanted, and refused by a guard or impossible to plan.
fn not_planned(report: &Report) -> Value {
    let item = |it: &NotPlanned| {
        json!({
            "step": it.step, "guard": it.guard, "reason": it.reason, "object": it.target.as_ref().map(object),
            "subject": it.subject,
        })
    };
    report.not_planned.iter().map(item).collect()
}

/// Found, and the intruder's or not: nobody decided that it is to be changed.
fn left_alone(report: &Report) -> Value {
    let item = |it: &LeftAlone| json!({"step": it.step, "object": object(&it.target), "certainly_of_the_incident": it.certain, "note": it.note});
    report.left_alone.iter().map(item).collect()
}

fn contained(report: &Report) -> &'static str {
    match report.status.containment {
        _ if report.status.verdict == Verdict::Broken => "not known: the record does not verify",
        Containment::Full if !report.left_alone.is_empty() => "yes, but for what was left alone",
        Containment::Full => "yes",
        Containment::Partly => "partly",
        Containment::None => "no",
        Containment::NothingToDo => "nothing to do",
    }
}
