//! Directory roles of the tenant as the guards and the preflight need them: who holds which, and how.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde::Deserialize;

use crate::{
    client::{ReadError, ReadErrorKind, Reader},
    model::{Caveat, CaveatKind, GraphPath, Untrusted, role_name},
};

/// Template id of the role Global Administrator.
pub(crate) const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";

/// How somebody comes by a role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// It is active.
    Active,
    /// It can be activated at any time.
    Eligible,
    /// A member of a role-assignable group has it.
    Member(String),
    /// An owner of a role-assignable group can become a member.
    Owner(String),
}

/// A role and how it is held.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    /// Template id.
    pub(crate) role: String,
    /// How.
    pub(crate) how: How,
    /// Whether it is in force now: not one that has to be activated first.
    pub(crate) active: bool,
}

/// Who holds which role in the whole tenant.
#[derive(Clone, Debug, Default)]
pub(crate) struct Roles {
    holdings: BTreeMap<String, Vec<Holding>>,
    /// Members and owners of role-assignable groups, whatever roles these hold.
    grouped: BTreeSet<String>,
    /// The units in which our own principal holds a role, and who is in them.
    units: Vec<Unit>,
}

/// An administrative unit over which we hold a role.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// Its id.
    pub(crate) id: String,
    /// Whether who holds no role over it may change nothing in it.
    pub(crate) restricted: bool,
    /// Template ids of our roles over it.
    pub(crate) roles: BTreeSet<String>,
    members: BTreeSet<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Assignment {
    pub(super) principal_id: String,
    pub(super) role_definition_id: String,
    pub(super) directory_scope_id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    id: String,
    display_name: Option<Untrusted>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct UnitFacts {
    is_member_management_restricted: Option<bool>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct Id {
    id: String,
}

/// The people of a role-assignable group.
#[derive(Clone, Debug, Default)]
pub(super) struct RoleGroup {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) members: Vec<String>,
    pub(super) owners: Vec<String>,
}

impl Holding {
    /// For a refusal.
    pub(crate) fn in_words(&self) -> String {
        let role = role_name(&self.role);
        match &self.how {
            How::Active => format!("holds the role {role}"),
            How::Eligible => format!("can activate the role {role}"),
            How::Member(group) if self.active => format!("holds the role {role} through the group {group}"),
            How::Member(group) => format!("can activate the role {role} through the group {group}"),
            How::Owner(group) => format!("owns the group {group}, which has the role {role}"),
        }
    }
}

impl Roles {
    /// Reads assignments, eligibilities and role-assignable groups. What cannot be read is told and stops nothing.
    ///
    /// Source: Graph, "List unifiedRoleAssignments", "List roleEligibilityScheduleInstances", group resource type
    /// (`isAssignableToRole`: such a group has no nested groups).
    pub(crate) async fn read(tenant: &Reader) -> (Self, Vec<Caveat>) {
        let management = || GraphPath::v1().fixed("roleManagement/directory");
        let active = management().fixed("roleAssignments");
        let eligible = management().fixed("roleEligibilityScheduleInstances");
        let groups = GraphPath::v1().fixed("groups").query("$filter", "isAssignableToRole eq true");
        let groups = groups.select("id,displayName");
        let (active, eligible, groups) = futures_util::join!(
            tenant.list::<Assignment>(&active),
            tenant.list::<Assignment>(&eligible),
            read_groups(tenant, &groups)
        );
        let mut blind = Vec::new();
        let active = or_blind(
            active,
            "who holds a directory role could not be read, so accounts with protected roles and the last global administrator are not guarded",
            &mut blind,
        );
        let eligible = eligible.or_else(without_licence);
        let eligible = or_blind(
            eligible,
            "who can activate a directory role could not be read, so accounts that are only eligible for a protected role are not guarded",
            &mut blind,
        );
        let groups = or_blind(
            groups,
            "the role-assignable groups could not be read, so accounts that hold a protected role through a group are not guarded",
            &mut blind,
        );
        let mut roles = Self::of(&active, &eligible, &groups);
        let ours = units_of(&tenant.identity().object_id, &active).into_iter();
        let units = join_all(ours.map(|(id, roles)| read_unit(tenant, id, roles))).await;
        let what =
            "the administrative unit over which we hold a role could not be read, so what is in it seems out of reach";
        roles.units = units.into_iter().filter_map(|unit| or_blind(unit.map(Some), what, &mut blind)).collect();
        (roles, blind)
    }

    pub(super) fn of(active: &[Assignment], eligible: &[Assignment], groups: &[RoleGroup]) -> Self {
        let mut roles = Self::default();
        for (assignments, active) in [(active, true), (eligible, false)] {
            for assignment in assignments {
                roles.take(assignment, active, groups);
            }
        }
        let people = groups.iter().flat_map(|group| group.members.iter().chain(&group.owners));
        roles.grouped = people.map(|id| id.to_lowercase()).collect();
        roles
    }

    fn take(&mut self, assignment: &Assignment, active: bool, groups: &[RoleGroup]) {
        let principal = &assignment.principal_id;
        if assignment.directory_scope_id.as_deref().is_some_and(|scope| scope != "/") {
            return;
        }
        let how = if active { How::Active } else { How::Eligible };
        self.add(principal, assignment, how, active);
        for group in groups.iter().filter(|group| group.id.eq_ignore_ascii_case(principal)) {
            for member in &group.members {
                self.add(member, assignment, How::Member(group.name.clone()), active);
            }
            for owner in &group.owners {
                self.add(owner, assignment, How::Owner(group.name.clone()), false);
            }
        }
    }

    fn add(&mut self, principal: &str, assignment: &Assignment, how: How, active: bool) {
        let role = assignment.role_definition_id.to_lowercase();
        self.holdings.entry(principal.to_lowercase()).or_default().push(Holding { role, how, active });
    }

    /// The roles of a principal, in force or not.
    pub(crate) fn of_principal(&self, id: &str) -> &[Holding] {
        self.holdings.get(&id.to_lowercase()).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether a principal is a member or owner of a role-assignable group, which protects it even without a role.
    pub(crate) fn is_grouped(&self, id: &str) -> bool {
        self.grouped.contains(&id.to_lowercase())
    }

    /// The units over which we hold a role.
    pub(crate) fn our_units(&self) -> &[Unit] {
        &self.units
    }

    /// Those for whom a role is in force.
    pub(crate) fn holders(&self, role: &str) -> BTreeSet<&str> {
        self.with(|holding| holding.active && holding.role == role)
    }

    /// Those who can activate a role. Who owns a group that has it is not among them.
    pub(crate) fn eligible(&self, role: &str) -> BTreeSet<&str> {
        let can = |holding: &Holding| !holding.active && !matches!(holding.how, How::Owner(_));
        self.with(|holding| can(holding) && holding.role == role)
    }

    fn with(&self, holds: impl Fn(&Holding) -> bool) -> BTreeSet<&str> {
        self.holdings.iter().filter(|(_, all)| all.iter().any(&holds)).map(|(id, _)| id.as_str()).collect()
    }
}

impl Unit {
    /// Whether an object is in it.
    pub(crate) fn holds(&self, id: &str) -> bool {
        self.members.contains(&id.to_lowercase())
    }
}

/// The administrative units over which a principal holds active roles, and these; a scope can also be an application.
fn units_of(principal: &str, active: &[Assignment]) -> BTreeMap<String, BTreeSet<String>> {
    let mut units: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for ours in active.iter().filter(|assignment| assignment.principal_id.eq_ignore_ascii_case(principal)) {
        let scope = ours.directory_scope_id.as_deref().unwrap_or_default();
        if let Some(unit) = scope.strip_prefix("/administrativeUnits/") {
            units.entry(unit.to_lowercase()).or_default().insert(ours.role_definition_id.to_lowercase());
        }
    }
    units
}

async fn read_unit(tenant: &Reader, id: String, roles: BTreeSet<String>) -> Result<Unit, ReadError> {
    let unit = || GraphPath::v1().fixed("directory/administrativeUnits").id(&id);
    let (facts, members) = (unit().select("isMemberManagementRestricted"), unit().fixed("members").select("id"));
    let (facts, members) = futures_util::join!(tenant.get::<UnitFacts>(&facts), tenant.list::<Id>(&members));
    let members = members?.into_iter().map(|member| member.id.to_lowercase()).collect();
    Ok(Unit { restricted: facts?.is_member_management_restricted == Some(true), roles, members, id })
}

async fn read_groups(tenant: &Reader, path: &GraphPath) -> Result<Vec<RoleGroup>, ReadError> {
    let groups: Vec<Group> = tenant.list(path).await?;
    let read = join_all(groups.iter().map(|group| read_group(tenant, group))).await;
    read.into_iter().collect()
}

async fn read_group(tenant: &Reader, group: &Group) -> Result<RoleGroup, ReadError> {
    let people = |which| GraphPath::v1().fixed("groups").id(&group.id).fixed(which).select("id");
    let (members, owners) = (people("members"), people("owners"));
    let (members, owners) = futures_util::join!(tenant.list::<Id>(&members), tenant.list::<Id>(&owners));
    let ids = |people: Vec<Id>| people.into_iter().map(|it| it.id).collect();
    let name = group.display_name.as_ref().map_or_else(|| group.id.clone(), Untrusted::term);
    Ok(RoleGroup { id: group.id.clone(), name, members: ids(members?), owners: ids(owners?) })
}

/// Without the licence of Privileged Identity Management nobody can be eligible for a role.
fn without_licence(error: ReadError) -> Result<Vec<Assignment>, ReadError> {
    let unlicensed = error.kind != ReadErrorKind::Denied && error.code.contains("PremiumLicense");
    if unlicensed { Ok(Vec::new()) } else { Err(error) }
}

/// What was read, or nothing and a caveat that says so.
pub(super) fn or_blind<T: Default>(read: Result<T, ReadError>, what: &str, blind: &mut Vec<Caveat>) -> T {
    read.unwrap_or_else(|error| {
        blind.push(Caveat::new(CaveatKind::BlindSpot, format!("{what}: {error}")));
        T::default()
    })
}

#[cfg(test)]
pub(super) mod tests {
    use super::{Assignment, GLOBAL_ADMINISTRATOR, RoleGroup, Roles, units_of};

    pub(in crate::plan::guards) fn assignment(principal: &str, role: &str) -> Assignment {
        Assignment {
            principal_id: principal.into(),
            role_definition_id: role.into(),
            directory_scope_id: Some("/".into()),
        }
    }

    fn words(roles: &Roles, id: &str) -> Vec<String> {
        roles.of_principal(id).iter().map(super::Holding::in_words).collect()
    }

    #[test]
    fn a_role_is_held_directly_by_eligibility_and_through_a_group() {
        let group =
            RoleGroup { id: "g".into(), name: "Tier".into(), members: vec!["m".into()], owners: vec!["o".into()] };
        let roles = Roles::of(
            &[assignment("A", GLOBAL_ADMINISTRATOR), assignment("g", GLOBAL_ADMINISTRATOR)],
            &[assignment("e", GLOBAL_ADMINISTRATOR)],
            &[group],
        );
        assert_eq!(words(&roles, "a"), ["holds the role Global Administrator"]);
        assert_eq!(words(&roles, "e"), ["can activate the role Global Administrator"]);
        assert_eq!(words(&roles, "m"), ["holds the role Global Administrator through the group Tier"]);
        assert_eq!(words(&roles, "o"), ["owns the group Tier, which has the role Global Administrator"]);
        assert!(roles.is_grouped("M") && roles.is_grouped("o") && !roles.is_grouped("a"));
        assert_eq!(roles.holders(GLOBAL_ADMINISTRATOR).into_iter().collect::<Vec<_>>(), ["a", "g", "m"]);
        assert_eq!(roles.eligible(GLOBAL_ADMINISTRATOR).into_iter().collect::<Vec<_>>(), ["e"]);
    }

    #[test]
    fn a_role_in_a_unit_is_no_role_in_the_tenant() {
        let scope = Some("/administrativeUnits/u".to_owned());
        let scoped = Assignment { directory_scope_id: scope, ..assignment("a", "r") };
        let of_app = Assignment { directory_scope_id: Some("/x-app".to_owned()), ..assignment("a", "r") };
        let all = [scoped, of_app, assignment("a", "s")];
        assert_eq!(words(&Roles::of(&all, &[], &[]), "a"), ["holds the role s"]);
        let units = units_of("A", &all);
        assert_eq!(units.keys().collect::<Vec<_>>(), ["u"]);
        assert!(units["u"].iter().eq(["r"]), "only the role over it");
        assert!(units_of("b", &all).is_empty());
    }
}
