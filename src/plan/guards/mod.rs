//! Guards: they refuse, they do not ask. Their names, who is protected, and what was overridden.
//!
//! `facts` and `roles` read what the guards have to know of the tenant; `target` and `whole` are the rules, pure.

mod facts;
mod roles;
pub(super) mod target;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

pub(crate) use facts::{Facts, Subject};
pub(crate) use roles::Roles;
pub(crate) use whole::Totals;

use crate::{
    client::Reader,
    model::{Caveat, Identity, Override, Permission, Refusal},
    plan::{Plan, show::object},
};

/// What the guards read, beside what the actions read. What is denied is said on the plan.
pub const GUARD_READS: &[Permission] = &[
    Permission::graph(&[
        "RoleManagement.Read.Directory",
        "RoleManagement.Read.All",
        "Directory.Read.All",
        "RoleManagement.ReadWrite.Directory",
    ]),
    Permission::graph(&[
        "RoleEligibilitySchedule.Read.Directory",
        "RoleManagement.Read.Directory",
        "RoleManagement.Read.All",
        "RoleManagement.ReadWrite.Directory",
    ]),
    Permission::graph(&["GroupMember.Read.All", "Group.Read.All", "Directory.Read.All"]),
    Permission::graph(&["Application.Read.All", "Directory.Read.All", "Application.ReadWrite.All"]),
    Permission::graph(&["User.Read.All", "User.ReadWrite.All", "Directory.Read.All"]),
];

/// The guards that can be overridden. The tenant pin is none of them: a plan of another tenant is always refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// Ourselves: our service principal, our application, who signed in, who owns our application.
    Own,
    /// The emergency accounts of the profile, and the members of its emergency groups.
    BreakGlass,
    /// The last global administrator that can sign in.
    LastAdministrator,
    /// Accounts that hold, or can take, a role with power over all others.
    ProtectedRole,
    /// Applications of Microsoft's own.
    FirstParty,
    /// Managed identities.
    ManagedIdentity,
    /// The accounts that synchronise the directory.
    SyncAccount,
    /// More changes than the playbook allows.
    Limit,
    /// More accounts, in percent of all, than the profile allows.
    Percent,
    /// Changes that destroy what cannot be put back as it was.
    Irreversible,
    /// A guard that could not read what it needs, where the profile is strict; an emergency entry that protects nobody.
    BlindSpot,
    /// An action for which our token lacks the permission.
    Preflight,
    /// Another run of the case that was cut off in the middle of a call.
    OpenRun,
}

impl Guard {
    /// All of them.
    pub const ALL: [Self; 13] = [
        Self::Own,
        Self::BreakGlass,
        Self::LastAdministrator,
        Self::ProtectedRole,
        Self::FirstParty,
        Self::ManagedIdentity,
        Self::SyncAccount,
        Self::Limit,
        Self::Percent,
        Self::Irreversible,
        Self::BlindSpot,
        Self::Preflight,
        Self::OpenRun,
    ];

    /// The name under which it refuses and is overridden.
    pub fn name(self) -> &'static str {
        match self {
            Self::Own => "self",
            Self::BreakGlass => "break-glass",
            Self::LastAdministrator => "last-administrator",
            Self::ProtectedRole => "protected-role",
            Self::FirstParty => "first-party",
            Self::ManagedIdentity => "managed-identity",
            Self::SyncAccount => "sync-account",
            Self::Limit => "limit",
            Self::Percent => "percent",
            Self::Irreversible => "irreversible",
            Self::BlindSpot => "blind-spot",
            Self::Preflight => "preflight",
            Self::OpenRun => "open-run",
        }
    }

    /// The guard of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.name() == name)
    }

    /// A refusal by this guard.
    pub(crate) fn refuses(self, reason: impl Into<String>) -> Refusal {
        Refusal { guard: self.name().to_owned(), reason: reason.into() }
    }
}

/// What a profile says about guards.
#[derive(Clone, Debug)]
pub struct Protected {
    /// Emergency accounts: object ids or principal names of users, object ids of groups.
    pub break_glass: Vec<String>,
    /// Most accounts that one plan may touch, in percent of all; plans of up to ten accounts are always allowed.
    pub max_percent: u8,
    /// Whether a guard that cannot read what it needs refuses the plan.
    pub strict: bool,
}

impl Default for Protected {
    /// Nobody, 5 percent, not strict.
    fn default() -> Self {
        Self { break_glass: Vec::new(), max_percent: 5, strict: false }
    }
}

/// The guards that are overridden in one plan, each with its reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    reasons: BTreeMap<Guard, String>,
    /// Where they are taken from a plan: all that it lets pass.
    only: Option<Vec<Override>>,
}

impl Overrides {
    /// These and one more; a second reason for a guard replaces the first.
    #[must_use]
    pub fn with(mut self, guard: Guard, reason: impl Into<String>) -> Self {
        self.reasons.insert(guard, reason.into());
        self
    }

    /// Whether none is overridden.
    pub fn is_empty(&self) -> bool {
        self.reasons.is_empty()
    }

    /// The guards.
    pub fn guards(&self) -> impl Iterator<Item = Guard> {
        self.reasons.keys().copied()
    }

    /// What a plan overrides, and nothing beyond the objects that it names: that is what was approved.
    pub(crate) fn of(plan: &Plan) -> Self {
        let named = plan.overrides.iter().filter_map(|it| Some((Guard::named(&it.guard)?, it.reason.clone())));
        Self { reasons: named.collect(), only: Some(plan.overrides.clone()) }
    }

    /// Whether a guard is overridden.
    pub(crate) fn has(&self, guard: Guard) -> bool {
        self.reasons.contains_key(&guard)
    }

    /// What is recorded of a refusal that was overridden; none for one that stands.
    pub(crate) fn record(&self, refusal: &Refusal, target: Option<String>) -> Option<Override> {
        let reason = self.reasons.get(&Guard::named(&refusal.guard)?)?.clone();
        let record = Override { guard: refusal.guard.clone(), reason, target };
        self.only.as_ref().is_none_or(|only| only.contains(&record)).then_some(record)
    }
}

/// What the guards cannot see with this identity and this profile.
#[derive(Clone, Debug)]
pub struct BlindSpots {
    /// Entries of the emergency list that protect nobody, or not all that they should.
    pub unresolved: Vec<Caveat>,
    /// The rest.
    pub blind: Vec<Caveat>,
    /// Whether every plan that changes something is refused for it.
    pub refuse: bool,
}

/// Looks for what the guards cannot see with this identity and this profile.
pub async fn blind_spots(tenant: &Reader, protected: &Protected) -> BlindSpots {
    let facts = Facts::look(tenant, protected, &[]).await;
    let refuse = !whole::blind(&facts, protected.strict).is_empty();
    BlindSpots { unresolved: facts.unresolved, blind: facts.blind, refuse }
}

/// The rules of one plan, with all that they need to know.
pub(crate) struct Guards<'a> {
    us: &'a Identity,
    protected: &'a Protected,
    overrides: &'a Overrides,
    facts: Facts,
    /// Accounts that the plan locks out.
    locked: BTreeSet<String>,
}

impl<'a> Guards<'a> {
    /// The rules for a plan that is to change these objects.
    pub(crate) fn new(
        us: &'a Identity,
        protected: &'a Protected,
        overrides: &'a Overrides,
        facts: Facts,
        subjects: &[Subject<'_>],
    ) -> Self {
        let mut guards = Self { us, protected, overrides, facts, locked: BTreeSet::new() };
        // While nobody counts as locked out, all guards but the last administrator's speak: what they refuse is not
        // changed, and so locks nobody out.
        let let_pass = |subject: &&Subject<'_>| {
            let refusals = guards.refusals(subject.target, subject.meta.sensitive);
            guards.sort(refusals, Some(&object(subject.target))).0.is_empty()
        };
        guards.locked = subjects.iter().filter(let_pass).filter_map(Subject::locks_out).collect();
        guards
    }

    /// What was read for them.
    pub(crate) fn facts(&self) -> &Facts {
        &self.facts
    }

    /// Splits refusals into those that stand and those that are overridden.
    pub(crate) fn sort(&self, refusals: Vec<Refusal>, target: Option<&str>) -> (Vec<Refusal>, Vec<Override>) {
        let mut standing = Vec::new();
        let mut overridden = Vec::new();
        for refusal in refusals {
            match self.overrides.record(&refusal, target.map(str::to_owned)) {
                Some(record) => overridden.push(record),
                None => standing.push(refusal),
            }
        }
        (standing, overridden)
    }
}

#[cfg(test)]
mod tests {
    use super::{Guard, Overrides};

    #[test]
    fn every_guard_has_a_name_of_its_own() {
        for guard in Guard::ALL {
            assert_eq!(Guard::named(guard.name()), Some(guard));
        }
        assert_eq!(Guard::named("tenant"), None, "the tenant pin cannot be overridden");
    }

    #[test]
    fn an_override_lets_only_its_own_guard_pass() {
        let overrides = Overrides::default().with(Guard::Own, "we rotate ourselves");
        let record = overrides.record(&Guard::Own.refuses("x"), None).unwrap();
        assert_eq!((record.guard.as_str(), record.reason.as_str()), ("self", "we rotate ourselves"));
        assert_eq!(overrides.record(&Guard::Limit.refuses("x"), None), None);
    }
}
