//! Guards: they refuse, they do not ask. Their names, who is protected, and what was overridden.
//!
//! `facts` and `roles` read what the guards have to know of the tenant; `target` and `whole` are the rules, pure.

mod facts;
mod roles;
mod target;
mod whole;

use std::collections::BTreeMap;

pub(crate) use facts::{Facts, Subject};
pub(crate) use roles::Roles;
pub(crate) use whole::Totals;

use crate::{
    client::Reader,
    model::{Caveat, Identity, Override, Permission, Refusal},
    plan::{Mode, Plan, show::object},
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
    /// A guard that could not read what it needs, where the profile is strict.
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
pub struct Overrides(BTreeMap<Guard, String>);

impl Overrides {
    /// These and one more; a second reason for a guard replaces the first.
    #[must_use]
    pub fn with(mut self, guard: Guard, reason: impl Into<String>) -> Self {
        self.0.insert(guard, reason.into());
        self
    }

    /// Whether none is overridden.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The guards.
    pub fn guards(&self) -> impl Iterator<Item = Guard> {
        self.0.keys().copied()
    }

    /// Whether a guard is overridden.
    pub(crate) fn has(&self, guard: Guard) -> bool {
        self.0.contains_key(&guard)
    }

    /// What is recorded of a refusal that was overridden; none for one that stands.
    pub(crate) fn record(&self, refusal: &Refusal, target: Option<String>) -> Option<Override> {
        let reason = self.0.get(&Guard::named(&refusal.guard)?)?.clone();
        Some(Override { guard: refusal.guard.clone(), reason, target })
    }
}

/// What the guards cannot see with this identity and this profile.
pub async fn blind_spots(tenant: &Reader, protected: &Protected) -> Vec<Caveat> {
    Facts::look(tenant, protected, &[]).await.blind
}

/// Whether a plan touches ourselves or a listed emergency account, as far as that is known without a read: who applies a
/// plan, and with which profile, may not be who made it. What the plan overrides stays overridden; an undo only puts back.
pub(crate) fn refused_here(plan: &Plan, us: &Identity, protected: &Protected) -> Option<Refusal> {
    if plan.mode != Mode::Apply {
        return None;
    }
    let (facts, overrides) = (Facts::listed(protected), Overrides::default());
    let guards = Guards { us, protected, overrides: &overrides, facts };
    plan.changes().find_map(|change| {
        let shown = object(&change.target);
        let overridden = |refusal: &Refusal| {
            plan.overrides.iter().any(|it| it.guard == refusal.guard && it.target.as_ref() == Some(&shown))
        };
        let known = [Guard::Own.name(), Guard::BreakGlass.name()];
        let mut refusals = guards.refusals(&change.target, false).into_iter();
        let refusal = refusals.find(|it| known.contains(&it.guard.as_str()) && !overridden(it))?;
        Some(Refusal { reason: format!("{shown}: {}", refusal.reason), ..refusal })
    })
}

/// The rules of one plan, with all that they need to know.
pub(crate) struct Guards<'a> {
    pub(crate) us: &'a Identity,
    pub(crate) protected: &'a Protected,
    pub(crate) overrides: &'a Overrides,
    pub(crate) facts: Facts,
}

impl Guards<'_> {
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
