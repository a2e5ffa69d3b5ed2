//! The least permissions of some actions, reads apart from writes, and the manifest of an application that has them.
//! Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::{Meta, Permission, Service};

/// One permission that an application needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Need {
    /// Whose.
    pub service: Service,
    /// Its name, the least privileged that is enough.
    pub permission: &'static str,
    /// Its app role id, where this program knows it.
    pub id: Option<&'static str>,
    /// The actions that need it; `guards` for what the guards read.
    pub needed_by: Vec<String>,
}

/// What some actions need.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Needs {
    /// To plan.
    pub reads: Vec<Need>,
    /// To change, besides.
    pub writes: Vec<Need>,
    /// Entra roles for our service principal, besides.
    pub roles: Vec<&'static str>,
}

/// Who needs it, and what.
type Wants<'a> = Vec<(&'a str, Permission)>;

impl Needs {
    /// The least list of these actions and of what the guards read.
    pub fn of(actions: &[&Meta], guards: &[Permission]) -> Self {
        let each = |list: fn(&Meta) -> &'static [Permission]| {
            actions.iter().flat_map(move |meta| list(meta).iter().map(|permission| (meta.id, *permission)))
        };
        let reads: Wants<'_> = each(|meta| meta.reads).collect();
        let reads = least(reads, guards);
        let mut writes = least(each(|meta| meta.writes).collect(), &[]);
        writes.retain(|write| !reads.iter().any(|read| same(read, write)));
        let roles: BTreeSet<&str> = actions.iter().flat_map(|meta| meta.roles).copied().collect();
        Self { reads, writes, roles: roles.into_iter().collect() }
    }

    /// All permissions.
    pub fn all(&self) -> impl Iterator<Item = &Need> {
        self.reads.iter().chain(&self.writes)
    }

    /// `requiredResourceAccess` of an application registration; permissions without a known id are not in it.
    ///
    /// Source: Graph, resource types requiredResourceAccess and resourceAccess: an application permission is a `Role`.
    pub fn manifest(&self) -> Vec<RequiredResourceAccess> {
        let mut by_resource: BTreeMap<Service, BTreeSet<&str>> = BTreeMap::new();
        for need in self.all() {
            by_resource.entry(need.service).or_default().extend(need.id);
        }
        by_resource.retain(|_, ids| !ids.is_empty());
        let access =
            |ids: BTreeSet<&'static str>| ids.into_iter().map(|id| ResourceAccess { id, kind: "Role" }).collect();
        let resource = |(service, ids)| RequiredResourceAccess {
            resource_app_id: resource_app_id(service),
            resource_access: access(ids),
        };
        by_resource.into_iter().map(resource).collect()
    }
}

/// Permissions of one resource, as a registration's manifest lists them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RequiredResourceAccess {
    /// Client id of the resource.
    pub resource_app_id: &'static str,
    /// Its permissions.
    pub resource_access: Vec<ResourceAccess>,
}

/// One permission in a manifest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceAccess {
    /// App role id.
    pub id: &'static str,
    /// `Role`: an application permission.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

fn same(a: &Need, b: &Need) -> bool {
    (a.service, a.permission) == (b.service, b.permission)
}

/// The least name of each that the actions want, and of what the guards want where that does not cover it. What an action
/// names is never left out for a wider permission: some calls want exactly this pair of a reading and a writing one.
fn least(mut wants: Wants<'_>, guards: &[Permission]) -> Vec<Need> {
    let mut names: BTreeSet<(Service, &'static str)> =
        wants.iter().map(|(_, permission)| (permission.service, permission.least())).collect();
    for permission in guards {
        let covered = permission.any_of.iter().any(|name| names.contains(&(permission.service, *name)));
        if !covered {
            names.insert((permission.service, permission.least()));
        }
        wants.push(("guards", *permission));
    }
    names.into_iter().map(|name| need(name, &wants)).collect()
}

fn need((service, permission): (Service, &'static str), wants: &[(&str, Permission)]) -> Need {
    let by = wants.iter().filter(|(_, want)| want.service == service && want.any_of.contains(&permission));
    let needed_by: BTreeSet<String> = by.map(|(who, _)| (*who).to_owned()).collect();
    Need { service, permission, id: app_role_id(service, permission), needed_by: needed_by.into_iter().collect() }
}

/// Client id of a resource.
///
/// Source: Microsoft, "verify first-party Microsoft applications in sign-in reports".
fn resource_app_id(service: Service) -> &'static str {
    match service {
        Service::Graph => "00000003-0000-0000-c000-000000000000",
        Service::Exchange => "00000002-0000-0ff1-ce00-000000000000",
    }
}

/// App role ids, the same in every tenant of the public cloud.
///
/// Source: `provisioningInfo.json` and `permissions-descriptions.json` of microsoftgraph/microsoft-graph-devx-content, which
/// agree (the second does not have `SecurityIdentitiesActions` yet), as in the Graph permissions reference;
/// Exchange: "App-only authentication for unattended scripts in Exchange Online PowerShell".
const IDS: &[(Service, &str, &str)] = &[
    (Service::Graph, "Application.Read.All", "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30"),
    (Service::Graph, "Application.ReadWrite.All", "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9"),
    (Service::Graph, "AppRoleAssignment.ReadWrite.All", "06b708a9-e830-4db3-a914-8e69da51d44f"),
    (Service::Graph, "AuditLog.Read.All", "b0afded3-3588-46d8-8b3d-9842eff778da"),
    (Service::Graph, "DelegatedPermissionGrant.ReadWrite.All", "8e8e4742-1d95-4f68-9d56-6ee75648c72a"),
    (Service::Graph, "Device.Read.All", "7438b122-aefc-4978-80ed-43db9fcc7715"),
    (Service::Graph, "Device.ReadWrite.All", "1138cb37-bd11-4084-a2b7-9f71582aeddb"),
    (Service::Graph, "Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"),
    (Service::Graph, "Domain.Read.All", "dbb9058a-0e50-45d7-ae91-66909b5d4664"),
    (Service::Graph, "GroupMember.Read.All", "98830695-27a2-44f7-8c18-0c3ebc9698f6"),
    (Service::Graph, "GroupMember.ReadWrite.All", "dbaae8cf-10b5-4b86-a4a1-f871c94c6695"),
    (Service::Graph, "IdentityRiskyUser.ReadWrite.All", "656f6061-f9fe-4807-9708-6a2e0934df76"),
    (Service::Graph, "MailboxSettings.ReadWrite", "6931bccd-447a-43d1-b442-00a195474933"),
    (Service::Graph, "Policy.ReadWrite.Authorization", "fb221be6-99f2-473f-bd32-01c6a0e9ca3b"),
    (Service::Graph, "Policy.ReadWrite.ConditionalAccess", "01c0a623-fc9b-48e9-b794-0756f8e8f067"),
    (Service::Graph, "RoleAssignmentSchedule.Remove.Directory", "d3495511-98b7-4df3-b317-4e35c19f6129"),
    (Service::Graph, "RoleEligibilitySchedule.Read.Directory", "ff278e11-4a33-4d0c-83d2-d01dc58929a5"),
    (Service::Graph, "RoleEligibilitySchedule.Remove.Directory", "79c7e69c-0d9f-4eff-97a8-49170a5a08ba"),
    (Service::Graph, "RoleManagement.Read.Directory", "483bed4a-2ad3-4361-a73b-c83ccdbdc53c"),
    (Service::Graph, "RoleManagement.ReadWrite.Directory", "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8"),
    (Service::Graph, "SecurityIdentitiesActions.ReadWrite.All", "af2bf46f-7bf1-4be3-8bad-e17e279e8462"),
    (Service::Graph, "User-PasswordProfile.ReadWrite.All", "cc117bb9-00cf-4eb8-b580-ea2a878fe8f7"),
    (Service::Graph, "User.EnableDisableAccount.All", "3011c876-62b7-4ada-afa2-506cbbecc68c"),
    (Service::Graph, "User.Read.All", "df021288-bdef-4463-88db-98f22de89214"),
    (Service::Graph, "User.RevokeSessions.All", "77f3a031-c388-4f99-b373-dc68676a979e"),
    (Service::Graph, "UserAuthenticationMethod.Read.All", "38d9df27-64da-44fd-b7c5-a6fbac20248f"),
    (Service::Graph, "UserAuthenticationMethod.ReadWrite.All", "50483e42-d915-4231-9639-7fdb7fd190e5"),
    (Service::Exchange, "Exchange.ManageAsApp", "dc50a0fb-09a3-484d-be87-e023b12c6440"),
];

fn app_role_id(service: Service, permission: &str) -> Option<&'static str> {
    IDS.iter().find(|(of, name, _)| (*of, *name) == (service, permission)).map(|(.., id)| *id)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{IDS, Needs, least};
    use crate::model::{Permission, Service};

    #[test]
    fn app_role_ids_are_ids_and_stand_once() {
        let ids: BTreeSet<_> = IDS.iter().map(|(.., id)| uuid::Uuid::try_parse(id).unwrap()).collect();
        assert_eq!(ids.len(), IDS.len());
        let names: BTreeSet<_> = IDS.iter().map(|(_, name, _)| name).collect();
        assert_eq!(names.len(), IDS.len());
    }

    #[test]
    fn what_guards_want_is_left_out_where_the_actions_cover_it() {
        let wants = vec![
            ("a", Permission::graph(&["Directory.Read.All"])),
            ("b", Permission::graph(&["User.Read.All", "Directory.Read.All"])),
        ];
        let guards = [
            Permission::graph(&["GroupMember.Read.All", "Directory.Read.All"]),
            Permission::graph(&["RoleManagement.Read.Directory"]),
        ];
        let list = least(wants, &guards);
        let names: Vec<_> = list.iter().map(|need| need.permission).collect();
        assert_eq!(names, ["Directory.Read.All", "RoleManagement.Read.Directory", "User.Read.All"]);
        assert_eq!(list[0].needed_by, ["a", "b", "guards"]);
        assert_eq!(list[1].needed_by, ["guards"]);
    }

    #[test]
    fn a_manifest_names_resources_and_roles_by_id_and_invents_none() {
        let needs =
            Needs::of(&[], &[Permission::graph(&["User.Read.All"]), Permission::graph(&["No.Such.Permission"])]);
        assert_eq!(needs.reads[0].id, None, "{needs:?}");
        let manifest = serde_json::to_value(needs.manifest()).unwrap();
        assert_eq!(
            manifest,
            serde_json::json!([{
                "resourceAppId": "00000003-0000-0000-c000-000000000000",
                "resourceAccess": [{"id": "df021288-bdef-4463-88db-98f22de89214", "type": "Role"}],
            }])
        );
        assert_eq!(needs.reads[0].service, Service::Graph);
    }
}
