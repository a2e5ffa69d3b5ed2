//! Warnings about a playbook that is valid but would be regretted, each with its reason and where the reason comes from.
//!
//! The order of a playbook is that of its stages: steps of one stage go at once, so "before" means in an earlier stage.

use super::arguments::Argument;
use super::bind::Pick;
use super::code;
use super::diagnostic::Problems;
use super::inputs::Declared;
use super::steps::{Condition, Step};
use super::{Effect, Playbook};

/// The kind of target that is a way to sign in.
const AUTH_METHOD: &str = "auth-method";
/// A limit up to which `pick: all` is still looked through by whoever approves the plan.
const TIGHT: u32 = 50;

const CUT_FIRST: &str = "whoever still has a session re-creates what is taken away: CISA COUN7ER CM0082 and Microsoft's guide \
    to a compromised mailbox cut sign-in and sessions first. Put a cut of the same user in an earlier stage";
const PASSWORD_FIRST: &str = "without the method the password alone may suffice, and the attacker knows it: CISA COUN7ER CM0071 \
    rotates the password before it removes a method. Reset the same user's password in an earlier stage";
const CUT_AGAIN: &str = "a token taken between the first cut and the new password or method stays valid: Microsoft's guide to \
    revoking access revokes after the reset. Revoke the same user's sessions in a later stage";
const KEEP_TRACES: &str = "what is removed is gone as evidence, and a deleted application can return by a new consent: \
    Microsoft's playbooks for malicious applications say to disable first";
const HAND_OVER: &str =
    "what is disabled waits for somebody to delete it or switch it on again: name who in `handover`";
const LIMIT_ALL: &str = "nobody looks at what is found before it is changed: only a limit on the kind of target stops a filter \
    that finds too much";

/// Reports what is doubtful.
pub(super) fn check(playbook: &Playbook, declared: &Declared, problems: &mut Problems<'_>) {
    let steps: Vec<Placed<'_>> = placed(playbook);
    for step in &steps {
        check_order(step, &steps, problems);
        check_remove(step.step, problems);
        check_pick(step.step, playbook, problems);
        check_each(step.step, problems);
    }
    check_last_cut(&steps, problems);
    check_handover(playbook, problems);
    check_unused(playbook, declared, problems);
}

/// A step with the number of its stage.
struct Placed<'p> {
    stage: usize,
    step: &'p Step,
}

fn placed(playbook: &Playbook) -> Vec<Placed<'_>> {
    let stages = playbook.stages.iter().enumerate();
    stages.flat_map(|(stage, of)| of.steps.iter().map(move |step| Placed { stage, step })).collect()
}

impl Placed<'_> {
    /// Whether this is a step of `effect` on the same user as `other`, certain to be done if `other` is.
    fn covers(&self, other: &Self, effect: Effect) -> bool {
        let certain = self.step.when.is_none() || self.step.when == other.step.when;
        certain && self.step.traits.effect == effect && self.step.traits.subject == other.step.traits.subject
    }

    fn is_persistence(&self) -> bool {
        matches!(self.step.traits.effect, Effect::Disable | Effect::Remove)
    }

    fn is_factor(&self) -> bool {
        self.step.traits.effect == Effect::Rotate
            || (self.is_persistence() && self.step.traits.target_kind == AUTH_METHOD)
    }
}

fn check_order(step: &Placed<'_>, all: &[Placed<'_>], problems: &mut Problems<'_>) {
    if !step.is_persistence() || step.step.traits.subject.is_none() {
        return;
    }
    let before = |effect| all.iter().any(|other| other.stage < step.stage && other.covers(step, effect));
    let at = step.step.places.action;
    if !before(Effect::Cut) {
        let message = format!("`{}` comes before access is cut", step.step.action);
        problems.warn(code::CHANGE_BEFORE_CUT, at, message, CUT_FIRST);
    }
    if step.is_factor() && !before(Effect::Rotate) {
        let message = format!("`{}` comes before the password is reset", step.step.action);
        problems.warn(code::METHOD_BEFORE_PASSWORD, at, message, PASSWORD_FIRST);
    }
}

/// One warning for each user, at the last step that changes a factor.
fn check_last_cut(all: &[Placed<'_>], problems: &mut Problems<'_>) {
    let factors = || all.iter().filter(|step| step.is_factor());
    for step in factors() {
        let same = |other: &&Placed<'_>| other.step.traits.subject == step.step.traits.subject;
        let last = factors().rfind(same).is_some_and(|last| std::ptr::eq(last.step, step.step));
        let cut = all.iter().any(|other| other.stage > step.stage && other.covers(step, Effect::Cut));
        if last && !cut {
            let message = format!("no session is cut after `{}`", step.step.action);
            problems.warn(code::NO_CUT_AFTER_FACTORS, step.step.places.action, message, CUT_AGAIN);
        }
    }
}

fn check_remove(step: &Step, problems: &mut Problems<'_>) {
    if let Some(instead) = &step.traits.instead {
        let message = format!("`{}` removes what `{instead}` would disable", step.action);
        problems.warn(code::REMOVE_NOT_DISABLE, step.places.action, message, KEEP_TRACES);
    }
}

fn check_pick(step: &Step, playbook: &Playbook, problems: &mut Problems<'_>) {
    let kind = &step.traits.target_kind;
    let limit = playbook.limits.targets.get(kind).copied();
    let tight = limit.is_some_and(|limit| limit <= TIGHT && limit < playbook.limits.changes);
    if step.pick == Pick::All && !step.traits.named && !tight {
        let message = match limit {
            Some(limit) => format!("`pick: all` of up to {limit} targets of kind `{kind}`"),
            None => format!("`pick: all` without a limit for targets of kind `{kind}`"),
        };
        problems.warn(code::PICK_ALL_UNLIMITED, step.places.pick, message, LIMIT_ALL);
    }
}

fn check_each(step: &Step, problems: &mut Problems<'_>) {
    let used = step.arguments.iter().any(|(_, argument)| argument.any(&|part| *part == Argument::Each));
    if step.each.is_some() && !used {
        let reason = "the same is planned once for every entry of the list";
        problems.warn(code::UNUSED_EACH, step.places.each, "`each` is not used in this step", reason);
    }
}

fn check_handover(playbook: &Playbook, problems: &mut Problems<'_>) {
    let disabled = playbook.steps().find(|step| step.traits.effect == Effect::Disable);
    if let (Some(step), true) = (disabled, playbook.handover.is_empty()) {
        let message = format!("what `{}` disables is handed over to nobody", step.action);
        problems.warn(code::NO_HANDOVER, step.places.action, message, HAND_OVER);
    }
}

fn check_unused(playbook: &Playbook, declared: &Declared, problems: &mut Problems<'_>) {
    for (name, span, _) in &declared.inputs {
        let given = |argument: &Argument| argument.any(&|part| matches!(part, Argument::Input(other) if other == name));
        let used = playbook.steps().any(|step| {
            step.each.as_ref() == Some(name)
                || step.when == Some(Condition::Input(name.clone()))
                || step.arguments.iter().any(|(_, argument)| given(argument))
        });
        if !used {
            let reason = "whoever fills it in believes that it matters";
            problems.warn(code::UNUSED_INPUT, *span, format!("the input `{name}` is not used"), reason);
        }
    }
}
