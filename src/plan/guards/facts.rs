//! What the guards have to know of the tenant, read once for a plan. What cannot be read is told, never taken for empty.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use serde::Deserialize;

use crate::{
    client::{ReadError, ReadErrorKind, Reader},
    model::{Caveat, CaveatKind, GraphPath, Identity, Meta, Target, Untrusted, odata_literal},
    plan::{
        Protected,
        guards::roles::{GLOBAL_ADMINISTRATOR, Roles, or_blind},
    },
};

/// Plans of up to so many accounts are not measured against the size of the tenant.
pub(super) const FEW: usize = 10;

/// An object that the plan is to change, and how.
#[derive(Clone, Copy)]
pub(crate) struct Subject<'a> {
    pub(crate) target: &'a Target,
    pub(crate) meta: &'static Meta,
}

impl Subject<'_> {
    /// The account that the change can lock out, in lower case.
    pub(super) fn locks_out(&self) -> Option<String> {
        self.meta.sensitive.then(|| self.target.principal().to_lowercase())
    }
}

/// What was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Facts {
    /// Ids and principal names of emergency accounts, in lower case, each with the reason.
    pub(super) break_glass: BTreeMap<String, String>,
    /// Owners of our own application.
    pub(super) owners: BTreeSet<String>,
    /// Directory roles.
    pub(crate) roles: Roles,
    /// Global administrators that can sign in; where none of them can, those that can sign in and activate the role.
    pub(super) administrators: BTreeSet<String>,
    /// Accounts of the tenant, where they had to be counted.
    pub(super) users: Option<u64>,
    /// Entries of the emergency list that protect nobody, or not all that they should.
    pub(super) unresolved: Vec<Caveat>,
    /// What else could not be read.
    pub(super) blind: Vec<Caveat>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Person {
    id: String,
    user_principal_name: Option<Untrusted>,
    account_enabled: Option<bool>,
}

#[derive(Deserialize)]
struct Count {
    #[serde(rename = "@odata.count")]
    count: u64,
}

impl Facts {
    /// Reads what the guards need for these objects; nothing where there are none.
    pub(crate) async fn read(tenant: &Reader, protected: &Protected, subjects: &[Subject<'_>]) -> Self {
        if subjects.is_empty() {
            return Self::listed(protected);
        }
        Self::look(tenant, protected, subjects).await
    }

    /// Reads what the guards need, whatever is to be changed.
    pub(super) async fn look(tenant: &Reader, protected: &Protected, subjects: &[Subject<'_>]) -> Self {
        let mut facts = Self::listed(protected);
        let (emergency, owners, (roles, blind), users) = futures_util::join!(
            join_all(protected.break_glass.iter().map(|entry| emergency(tenant, entry))),
            owners(tenant),
            Roles::read(tenant),
            count_users(tenant, subjects),
        );
        facts.blind = blind;
        facts.roles = roles;
        for found in emergency {
            match found {
                Ok(people) => facts.break_glass.extend(people),
                Err(text) => facts.unresolved.push(Caveat::new(CaveatKind::BlindSpot, text)),
            }
        }
        let unowned = "who owns our own application could not be read, so its owners are not guarded";
        facts.owners = or_blind(owners, unowned, &mut facts.blind);
        let uncounted = "the accounts of the tenant could not be counted, so the limit in percent is not guarded";
        facts.users = or_blind(users, uncounted, &mut facts.blind);
        facts.count_administrators(tenant, subjects).await;
        facts
    }

    /// What the guards cannot see, the gravest first.
    pub(crate) fn unseen(&self) -> Vec<Caveat> {
        [self.unresolved.clone(), self.blind.clone()].concat()
    }

    /// The emergency list as it is written: it protects even if nothing can be read.
    pub(super) fn listed(protected: &Protected) -> Self {
        let reason = "this account is on the profile's break_glass list";
        let entries = protected.break_glass.iter().map(|it| (it.trim().to_lowercase(), reason.to_owned()));
        Self { break_glass: entries.collect(), ..Self::default() }
    }

    /// Which global administrators can sign in; read only where somebody who has the role, or can activate it, may be
    /// locked out.
    async fn count_administrators(&mut self, tenant: &Reader, subjects: &[Subject<'_>]) {
        let locked: BTreeSet<String> = subjects.iter().filter_map(Subject::locks_out).collect();
        let (active, eligible) = (self.roles.holders(GLOBAL_ADMINISTRATOR), self.roles.eligible(GLOBAL_ADMINISTRATOR));
        if !active.union(&eligible).any(|id| locked.contains(*id)) {
            return;
        }
        let (active, eligible) = futures_util::join!(administrators(tenant, active), administrators(tenant, eligible));
        let mut able = |read: Vec<Result<Option<String>, ReadError>>| -> BTreeSet<String> {
            let what = "whether a global administrator can sign in could not be read, so it is not counted";
            read.into_iter().filter_map(|found| or_blind(found, what, &mut self.blind)).collect()
        };
        let (active, eligible) = (able(active), able(eligible));
        self.administrators = if active.is_empty() { eligible } else { active };
    }
}

fn user(key: &str) -> GraphPath {
    GraphPath::v1().fixed("users").id(key).select("id,userPrincipalName,accountEnabled")
}

async fn administrators(tenant: &Reader, ids: BTreeSet<&str>) -> Vec<Result<Option<String>, ReadError>> {
    join_all(ids.into_iter().map(|id| administrator(tenant, id))).await
}

/// The id of an administrator that is a person and can sign in.
async fn administrator(tenant: &Reader, id: &str) -> Result<Option<String>, ReadError> {
    match tenant.get::<Person>(&user(id)).await {
        Ok(person) => Ok((person.account_enabled == Some(true)).then(|| person.id.to_lowercase())),
        // A group or an application that holds the role.
        Err(error) if error.kind == ReadErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The accounts that an entry of the emergency list names: a user by id or name, or the members of a group.
async fn emergency(tenant: &Reader, entry: &str) -> Result<Vec<(String, String)>, String> {
    let entry = entry.trim();
    let unresolved = |error: &dyn std::fmt::Display| {
        format!(
            "break_glass entry {entry} could not be looked up; it protects only the account of exactly this id or name: {error}"
        )
    };
    if entry.is_empty() {
        return Err("a break_glass entry is empty".to_owned());
    }
    match tenant.get::<Person>(&user(entry)).await {
        Ok(person) => Ok(names(person, "this account is on the profile's break_glass list")),
        Err(error) if error.kind == ReadErrorKind::NotFound => match members(tenant, entry).await {
            Ok(people) if people.is_empty() => {
                Err(format!("break_glass entry {entry} is a group in which no member is to be seen"))
            }
            Ok(people) => {
                let reason =
                    format!("this account is a member of group {entry}, which is on the profile's break_glass list");
                Ok(people.into_iter().flat_map(|person| names(person, &reason)).collect())
            }
            Err(error) if error.kind == ReadErrorKind::NotFound => {
                Err(format!("break_glass entry {entry} names no user and no group of this tenant"))
            }
            Err(error) => Err(unresolved(&error)),
        },
        Err(error) => Err(unresolved(&error)),
    }
}

async fn members(tenant: &Reader, group: &str) -> Result<Vec<Person>, ReadError> {
    let path = GraphPath::v1().fixed("groups").id(group).fixed("transitiveMembers");
    tenant.list(&path.select("id,userPrincipalName")).await
}

fn names(person: Person, reason: &str) -> Vec<(String, String)> {
    let name = person.user_principal_name.map(|name| name.raw().to_lowercase());
    let all = [Some(person.id.to_lowercase()), name].into_iter().flatten();
    all.map(|name| (name, reason.to_owned())).collect()
}

/// Who owns our application and its service principal: an owner can add a secret and become us.
async fn owners(tenant: &Reader) -> Result<BTreeSet<String>, ReadError> {
    let us: &Identity = tenant.identity();
    let ours = format!("appId eq {}", odata_literal(&us.app_id));
    let of = |kind| owners_of(tenant, kind, &ours);
    let (applications, principals) = futures_util::join!(of("applications"), of("servicePrincipals"));
    Ok(applications?.into_iter().chain(principals?).collect())
}

async fn owners_of(tenant: &Reader, kind: &'static str, filter: &str) -> Result<Vec<String>, ReadError> {
    let found = GraphPath::v1().fixed(kind).query("$filter", filter).select("id");
    let mut owners = Vec::new();
    for object in tenant.list::<Person>(&found).await? {
        let path = GraphPath::v1().fixed(kind).id(&object.id).fixed("owners").select("id");
        owners.extend(tenant.list::<Person>(&path).await?.into_iter().map(|owner| owner.id.to_lowercase()));
    }
    Ok(owners)
}

/// Counts the accounts of the tenant, where a plan touches more than a few of them.
async fn count_users(tenant: &Reader, subjects: &[Subject<'_>]) -> Result<Option<u64>, ReadError> {
    if accounts(subjects.iter().map(|subject| subject.target)).len() <= FEW {
        return Ok(None);
    }
    let path = GraphPath::v1().fixed("users").select("id").query("$count", "true").query("$top", "1");
    let count = tenant.get::<Count>(&path).await?.count;
    tenant.note_users(count);
    Ok(Some(count))
}

/// The accounts that targets belong to, by their object ids.
pub(super) fn accounts<'a>(targets: impl Iterator<Item = &'a Target>) -> BTreeSet<&'a str> {
    targets.filter(|target| target.workload.is_none()).map(Target::principal).collect()
}
