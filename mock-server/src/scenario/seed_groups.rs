//! Groups and administrative units of a scenario.

use super::seed::Seeding;
use super::spec::{GroupKind, GroupSpec, UnitSpec};
use crate::tenant::groups::{AdministrativeUnit, Group, Members};
use crate::tenant::stamp::Stamp;

/// Adds every group and unit of the scenario; the members' protections follow.
pub(super) fn plant_groups(seeding: &mut Seeding<'_>) {
    let scenario = seeding.scenario;
    for spec in &scenario.groups {
        group(seeding, spec);
    }
    for spec in &scenario.units {
        unit(seeding, spec);
    }
}

fn people(seeding: &Seeding<'_>, members: &[String], owners: &[String]) -> Members {
    let ids = |names: &[String]| names.iter().map(|name| seeding.user_id(name)).collect();
    Members { members: ids(members), owners: ids(owners) }
}

fn group(seeding: &mut Seeding<'_>, spec: &GroupSpec) {
    let id = seeding.named(&format!("group/{}", spec.name));
    let dynamic = spec.kind == GroupKind::Dynamic;
    for role in &spec.roles {
        seeding.world.assign_role(&id, role);
    }
    let group = Group {
        id: id.clone(),
        deleted_date_time: None,
        created_date_time: Stamp(seeding.scenario.tenant.created),
        description: None,
        display_name: spec.name.clone(),
        group_types: if dynamic { vec!["DynamicMembership".to_owned()] } else { Vec::new() },
        is_assignable_to_role: (spec.kind == GroupKind::RoleAssignable).then_some(true),
        is_management_restricted: None,
        mail: None,
        mail_enabled: false,
        mail_nickname: spec.name.to_lowercase().replace(' ', "-"),
        membership_rule: dynamic.then(|| "user.department -eq \"Sales\"".to_owned()),
        membership_rule_processing_state: dynamic.then(|| "On".to_owned()),
        on_premises_sync_enabled: (spec.kind == GroupKind::Synced).then_some(true),
        security_enabled: true,
        visibility: None,
        hidden: people(seeding, &spec.members, &spec.owners),
    };
    seeding.world.state.groups.insert(id, group);
}

fn unit(seeding: &mut Seeding<'_>, spec: &UnitSpec) {
    let id = seeding.named(&format!("unit/{}", spec.name));
    if spec.rogue {
        seeding.planted("administrativeUnit", &id, &spec.name);
    }
    let unit = AdministrativeUnit {
        id: id.clone(),
        deleted_date_time: None,
        description: None,
        display_name: spec.name.clone(),
        is_member_management_restricted: Some(spec.restricted),
        visibility: spec.hidden.then(|| "HiddenMembership".to_owned()),
        hidden: people(seeding, &spec.members, &[]),
    };
    for member in unit.hidden.members.iter().filter(|_| spec.restricted) {
        if let Some(user) = seeding.world.state.users.get_mut(member) {
            user.is_management_restricted = true;
        }
    }
    seeding.world.state.administrative_units.insert(id.clone(), unit);
    for administrator in &spec.administrators {
        let user = seeding.user_id(&administrator.user);
        let scope = format!("/administrativeUnits/{id}");
        if let Some(row) = seeding.world.role_row(&user, &administrator.role, &scope) {
            seeding.world.state.role_assignments.insert(row.id.clone(), row);
        }
    }
}
