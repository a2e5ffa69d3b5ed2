//! Guards over a plan as a whole: how much it changes, what it destroys, and what could not be guarded.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    model::{Caveat, Change, Refusal, Target},
    plan::guards::{
        Facts, Guard, Guards,
        facts::{FEW, accounts},
    },
    playbook::Limits,
};

/// What a plan comes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Totals {
    /// Changes.
    changes: usize,
    /// Distinct objects by kind.
    targets: BTreeMap<String, u32>,
    /// Distinct accounts.
    accounts: usize,
    /// Changes that destroy, by action.
    destroyed: BTreeMap<String, u32>,
}

impl Totals {
    /// Counts changes; `destroys` says whether an action destroys.
    pub(crate) fn of<'a>(changes: impl Iterator<Item = &'a Change>, destroys: impl Fn(&str) -> bool) -> Self {
        let changes: Vec<&Change> = changes.collect();
        let distinct: BTreeSet<_> = changes.iter().map(|change| key(&change.target)).collect();
        let mut totals = Self { changes: changes.len(), ..Self::default() };
        for (kind, ..) in distinct {
            *totals.targets.entry(kind.to_owned()).or_default() += 1;
        }
        totals.accounts = accounts(changes.iter().map(|change| &change.target)).len();
        for change in changes.iter().filter(|change| destroys(&change.action)) {
            *totals.destroyed.entry(change.action.clone()).or_default() += 1;
        }
        totals
    }
}

fn key(target: &Target) -> (&str, &str, &str) {
    (&target.kind, &target.lane, &target.id)
}

impl Guards<'_> {
    /// Every reason not to make this plan at all.
    pub(crate) fn refuse_plan(&self, limits: &Limits, totals: &Totals) -> Vec<Refusal> {
        let irreversible = irreversible(totals).into_iter().collect();
        [over_limits(limits, totals), irreversible, self.refuse_all(totals)].concat()
    }

    /// Every reason not to make these changes that depends on the tenant and on who asks.
    pub(crate) fn refuse_all(&self, totals: &Totals) -> Vec<Refusal> {
        self.percent(totals).into_iter().chain(blind(&self.facts, self.protected.strict)).collect()
    }

    /// Every reason not to give all of this back at once. The limits of a playbook are about what it changes, and to put
    /// an emergency account back is what an undo is for.
    pub(crate) fn refuse_return_of(&self, totals: &Totals) -> Vec<Refusal> {
        let blind = if self.protected.strict { blind(&self.facts, true) } else { Vec::new() };
        self.percent(totals).into_iter().chain(blind).collect()
    }

    fn percent(&self, totals: &Totals) -> Option<Refusal> {
        self.facts.users.and_then(|users| percent(totals.accounts, users, self.protected.max_percent))
    }
}

fn over_limits(limits: &Limits, totals: &Totals) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    let (changes, allowed) = (totals.changes, limits.changes);
    if u32::try_from(changes).unwrap_or(u32::MAX) > allowed {
        refusals.push(Guard::Limit.refuses(format!("{changes} changes are planned, the playbook allows {allowed}")));
    }
    for (kind, count) in &totals.targets {
        if let Some(allowed) = limits.targets.get(kind).filter(|allowed| count > allowed) {
            let text = format!("changes of {count} objects of kind {kind} are planned, the playbook allows {allowed}");
            refusals.push(Guard::Limit.refuses(text));
        }
    }
    refusals
}

fn percent(accounts: usize, users: u64, allowed: u8) -> Option<Refusal> {
    let changed = u64::try_from(accounts).unwrap_or(u64::MAX);
    let over = accounts > FEW && changed.saturating_mul(100) > users.saturating_mul(u64::from(allowed));
    over.then(|| {
        Guard::Percent.refuses(format!(
            "{accounts} of the tenant's {users} accounts would be changed, the profile allows {allowed} % (max_percent)"
        ))
    })
}

fn irreversible(totals: &Totals) -> Option<Refusal> {
    let each: Vec<String> = totals.destroyed.iter().map(|(action, count)| format!("{count} by {action}")).collect();
    (!each.is_empty()).then(|| {
        Guard::Irreversible.refuses(format!(
            "some changes destroy what cannot be put back as it was ({}): say --allow-irreversible, or leave them out",
            each.join(", ")
        ))
    })
}

/// What cannot be seen and so refuses: an entry of the emergency list that protects nobody always, the rest where the
/// profile is strict.
pub(super) fn blind(facts: &Facts, strict: bool) -> Vec<Refusal> {
    let refuse = |caveat: &Caveat, why| Guard::BlindSpot.refuses(format!("{}; {why}", caveat.text));
    let unresolved = facts.unresolved.iter().map(|it| refuse(it, "mend the entry, or nobody knows whom it protects"));
    let rest = facts.blind.iter().filter(|_| strict).map(|it| refuse(it, "the profile says strict_guards"));
    unresolved.chain(rest).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{Totals, irreversible, over_limits, percent};
    use crate::playbook::Limits;

    fn totals(changes: usize, targets: &[(&str, u32)]) -> Totals {
        let targets = targets.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect();
        Totals { changes, targets, ..Totals::default() }
    }

    #[test]
    fn limits_count_all_changes_and_each_kind() {
        let allowed = Limits { changes: 3, targets: BTreeMap::from([("device".to_owned(), 1)]) };
        let refusals = over_limits(&allowed, &totals(3, &[("device", 2), ("user", 1)]));
        assert_eq!(refusals.len(), 1);
        assert!(refusals[0].reason.contains("device"), "{refusals:?}");
        assert!(over_limits(&allowed, &totals(4, &[("user", 4)]))[0].reason.contains("4 changes"));
    }

    #[test]
    fn few_accounts_are_allowed_however_small_the_tenant() {
        assert_eq!(percent(10, 10, 5), None);
        assert!(percent(11, 219, 5).is_some());
        assert_eq!(percent(11, 220, 5), None);
        assert!(percent(11, 220, 0).unwrap().reason.contains("11 of the tenant's 220"));
    }

    #[test]
    fn what_destroys_is_named_by_action() {
        let mut totals = totals(2, &[]);
        assert_eq!(irreversible(&totals), None);
        totals.destroyed.insert("user.remove-auth-methods".into(), 2);
        assert!(irreversible(&totals).unwrap().reason.contains("2 by user.remove-auth-methods"));
    }
}
