//! Guards over one target: pure, from the plan's facts and what the action says about the object.

use crate::{
    model::{Effect, Meta, Refusal, Target, role_name},
    plan::guards::{Guard, Guards, roles::Holding},
};

/// Tenants of Microsoft's own applications.
///
/// Source: `appOwnerOrganizationId` of first-party service principals; no official list is published.
const MICROSOFT: [&str; 2] = ["f8cdef31-a31e-4b4a-93e4-5f571e91255a", "72f988bf-86f1-41af-91ab-2d7cd011db47"];

/// Roles whose holders can take every other role, or reset the credentials of those who have it.
///
/// Source: "Microsoft Entra built-in roles": Privileged Role Administrator assigns roles, Privileged Authentication
/// Administrator resets the methods of any user.
const PROTECTED: [&str; 3] =
    ["Global Administrator", "Privileged Authentication Administrator", "Privileged Role Administrator"];

/// Source: "Microsoft Entra built-in roles".
const SYNC_ROLES: [&str; 2] = ["Directory Synchronization Accounts", "On Premises Directory Sync Account"];

/// How the accounts of Entra Connect and of its cloud sync are named by the set-up.
const SYNC_ACCOUNTS: [&str; 2] = ["sync_", "adtoaadsyncserviceaccount"];

/// How the set-up of Entra Connect names the application that it signs in as, where it does not use an account:
/// `ConnectSyncProvisioning_<server>_<id of the installation>`.
const SYNC_APPS: [&str; 1] = ["connectsyncprovisioning_"];

impl Guards<'_> {
    /// Every reason not to touch an object, the gravest first; `sensitive`: by a change that can lock an
    /// account out. Which of them is overridden is not
    /// asked here.
    pub(crate) fn refusals(&self, target: &Target, sensitive: bool) -> Vec<Refusal> {
        let each = [
            self.own(target),
            self.break_glass(target),
            self.last_administrator(target, sensitive),
            self.protected_role(target),
            self.sync_account(target),
            platform(target),
        ];
        each.into_iter().flatten().collect()
    }

    /// Every reason not to give an object its access back. Ourselves and the emergency accounts are not among them: to
    /// put these back is what an undo is for.
    pub(crate) fn refuse_return(&self, target: &Target, meta: &Meta) -> Vec<Refusal> {
        if meta.effect == Effect::Cut { self.protected_role(target).into_iter().collect() } else { Vec::new() }
    }

    fn own(&self, target: &Target) -> Option<Refusal> {
        let us = self.us;
        let ids = [target.principal(), &target.id];
        if ids.iter().any(|id| id.eq_ignore_ascii_case(&us.object_id)) {
            return Some(Guard::Own.refuses("this is the identity that staunch itself runs as"));
        }
        if target.workload.as_ref().is_some_and(|workload| workload.app_id.eq_ignore_ascii_case(&us.app_id)) {
            return Some(Guard::Own.refuses("this is staunch's own application"));
        }
        let owns = self.facts.owners.contains(&target.principal().to_lowercase());
        owns.then(|| Guard::Own.refuses("this is an owner of staunch's own application"))
    }

    fn break_glass(&self, target: &Target) -> Option<Refusal> {
        let own_name = (target.kind == "user").then(|| target.name.raw());
        let owner = target.of.as_ref().map(|of| of.raw());
        let names = [Some(target.principal()), Some(target.id.as_str()), owner, own_name];
        let mut listed =
            names.into_iter().flatten().filter_map(|name| self.facts.break_glass.get(&name.to_lowercase()));
        listed.next().map(|reason| Guard::BreakGlass.refuses(reason.as_str()))
    }

    fn last_administrator(&self, target: &Target, sensitive: bool) -> Option<Refusal> {
        let administrators = &self.facts.administrators;
        let last = sensitive
            && administrators.contains(&target.principal().to_lowercase())
            && administrators.iter().all(|id| self.locked.contains(id));
        last.then(|| {
            Guard::LastAdministrator
                .refuses("after this plan no global administrator could sign in: leave one out, or make another first")
        })
    }

    fn protected_role(&self, target: &Target) -> Option<Refusal> {
        let protected = |holding: &&Holding| PROTECTED.contains(&role_name(&holding.role));
        let holding = self.facts.roles.of_principal(target.principal()).iter().find(protected)?;
        Some(Guard::ProtectedRole.refuses(format!("this account {}", holding.in_words())))
    }

    fn sync_account(&self, target: &Target) -> Option<Refusal> {
        let held = self.facts.roles.of_principal(target.principal());
        let by_role = held.iter().any(|holding| SYNC_ROLES.contains(&role_name(&holding.role)));
        let account = if target.kind == "user" { Some(&target.name) } else { target.of.as_ref() };
        let (what, name, names) = match target.workload {
            Some(_) => ("application", Some(&target.name), &SYNC_APPS[..]),
            None => ("account", account, &SYNC_ACCOUNTS[..]),
        };
        let name = name.map(|name| name.raw().to_lowercase()).unwrap_or_default();
        let by_name = names.iter().any(|prefix| name.starts_with(prefix));
        let sign = if by_role { "role" } else { "name" };
        (by_role || by_name).then(|| {
            Guard::SyncAccount.refuses(format!(
                "by its {sign}, this {what} synchronises the directory; without it no password or account change arrives"
            ))
        })
    }
}

fn platform(target: &Target) -> Option<Refusal> {
    let workload = target.workload.as_ref()?;
    if workload.home_tenant.as_deref().is_some_and(|tenant| MICROSOFT.contains(&tenant)) {
        return Some(Guard::FirstParty.refuses("this is an application of Microsoft's own; the tenant depends on it"));
    }
    (workload.kind.as_deref() == Some("ManagedIdentity"))
        .then(|| Guard::ManagedIdentity.refuses("this is a managed identity; Azure owns its credentials"))
}

#[cfg(test)]
pub(in crate::plan) mod tests {
    use std::{
        collections::{BTreeMap, BTreeSet},
        time::Duration,
    };

    use crate::{
        model::{Capability, Effect, Identity, IdentityKind, Meta, Refusal, Target, Workload, role_id},
        plan::guards::{
            Facts, Guard, Guards, Overrides, Protected, Roles, Subject,
            roles::{GLOBAL_ADMINISTRATOR, tests::assignment},
        },
    };

    fn us() -> Identity {
        Identity {
            tenant_id: "t".into(),
            app_id: "our-app".into(),
            object_id: "our-sp".into(),
            kind: IdentityKind::Application,
            user_principal_name: None,
            permissions: vec![],
            directory_roles: vec![],
            token_id: None,
            expires: None,
            issued: None,
            proof: None,
            continuous: false,
        }
    }

    fn user(id: &str, upn: &str) -> Target {
        Target {
            kind: "user".into(),
            id: id.into(),
            name: upn.into(),
            of: None,
            lane: id.into(),
            owner: None,
            workload: None,
            data: serde_json::Value::Null,
        }
    }

    fn app(app_id: &str, home: &str, kind: &str) -> Target {
        let workload = Workload { app_id: app_id.into(), home_tenant: Some(home.into()), kind: Some(kind.into()) };
        Target { kind: "service-principal".into(), workload: Some(workload), ..user("sp", "app") }
    }

    fn refusals(facts: Facts, of: &Target, sensitive: bool) -> Vec<Refusal> {
        let us = us();
        let (protected, overrides) = (Protected::default(), Overrides::default());
        Guards::new(&us, &protected, &overrides, facts, &[]).refusals(of, sensitive)
    }

    /// Names of the guards that refuse.
    fn refusing(facts: Facts, of: &Target, sensitive: bool) -> Vec<String> {
        refusals(facts, of, sensitive).into_iter().map(|refusal| refusal.guard).collect()
    }

    fn guard(of: &Target) -> Option<String> {
        let entries = ["u-1".to_owned(), "Emergency@x.example".to_owned()];
        let facts = Facts::listed(&Protected { break_glass: entries.into(), ..Protected::default() });
        refusing(facts, of, true).into_iter().next()
    }

    #[test]
    fn emergency_accounts_are_refused_by_id_and_by_name() {
        assert_eq!(guard(&user("u-1", "a@x.example")).as_deref(), Some("break-glass"));
        assert_eq!(guard(&user("u-2", "emergency@x.example")).as_deref(), Some("break-glass"));
        assert_eq!(guard(&user("u-3", "a@x.example")), None);
    }

    #[test]
    fn what_belongs_to_an_emergency_account_is_refused_too() {
        let method = Target { kind: "auth-method".into(), id: "m-1".into(), ..user("u-1", "a phone") };
        assert_eq!(guard(&method).as_deref(), Some("break-glass"));
        let rule = Target { kind: "inbox-rule".into(), of: Some("emergency@x.example".into()), ..user("m-2", "..") };
        assert_eq!(guard(&rule).as_deref(), Some("break-glass"));
        let named =
            Target { kind: "inbox-rule".into(), of: Some("a@x.example".into()), ..user("m-3", "emergency@x.example") };
        assert_eq!(guard(&named), None, "a rule's name protects nothing");
    }

    #[test]
    fn ourselves_and_the_platform_are_refused() {
        assert_eq!(guard(&user("our-sp", "x")).as_deref(), Some("self"));
        assert_eq!(guard(&app("our-app", "t", "Application")).as_deref(), Some("self"));
        let microsoft = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";
        assert_eq!(guard(&app("a", microsoft, "Application")).as_deref(), Some("first-party"));
        assert_eq!(guard(&app("a", "t", "ManagedIdentity")).as_deref(), Some("managed-identity"));
        assert_eq!(guard(&app("a", "t", "Application")), None);
    }

    #[test]
    fn owners_of_our_application_are_refused() {
        let facts = Facts { owners: BTreeSet::from(["u-1".into()]), ..Facts::default() };
        assert_eq!(refusing(facts.clone(), &user("U-1", "a@x.example"), true), ["self"]);
        assert!(refusing(facts, &user("u-2", "a@x.example"), true).is_empty());
    }

    #[test]
    fn a_device_is_guarded_as_its_owner_is() {
        let device = |owner: &str| Target {
            kind: "device".into(),
            owner: Some(owner.into()),
            of: Some("a@x.example".into()),
            ..user("d-1", "LAPTOP-1")
        };
        let roles = Roles::of(&[assignment("u-1", GLOBAL_ADMINISTRATOR)], &[], &[]);
        let facts = Facts { owners: BTreeSet::from(["u-2".into()]), roles, ..Facts::default() };
        assert_eq!(refusing(facts.clone(), &device("U-1"), false), ["protected-role"]);
        assert_eq!(refusing(facts.clone(), &device("u-2"), false), ["self"], "who owns our application");
        assert_eq!(refusing(facts.clone(), &device("our-sp"), false), ["self"], "who is signed in");
        assert!(refusing(facts, &device("u-3"), false).is_empty());
    }

    #[test]
    fn a_member_of_an_emergency_group_is_refused_with_the_groups_name() {
        let facts =
            Facts { break_glass: BTreeMap::from([("u-1".into(), "a member of group g".into())]), ..Facts::default() };
        assert_eq!(refusals(facts, &user("u-1", "a@x.example"), true)[0].reason, "a member of group g");
    }

    #[test]
    fn accounts_with_a_protected_role_and_those_that_synchronise_are_refused() {
        let role = |name| role_id(name).unwrap();
        let held = [
            assignment("u-1", GLOBAL_ADMINISTRATOR),
            assignment("u-2", role("Directory Synchronization Accounts")),
            assignment("u-4", role("Helpdesk Administrator")),
        ];
        let facts =
            Facts { roles: Roles::of(&held, &[assignment("u-3", GLOBAL_ADMINISTRATOR)], &[]), ..Facts::default() };
        let of = |id: &str, name: &str| refusing(facts.clone(), &user(id, name), false);
        assert_eq!(of("u-1", "a@x.example"), ["protected-role"]);
        assert_eq!(of("u-2", "a@x.example"), ["sync-account"]);
        assert_eq!(of("u-3", "a@x.example"), ["protected-role"]);
        assert!(of("u-4", "a@x.example").is_empty(), "a help desk is not protected");
        assert_eq!(of("u-5", "Sync_SRV_0123456789ab@x.example"), ["sync-account"]);
        assert_eq!(of("u-6", "ADToAADSyncServiceAccount@x.example"), ["sync-account"]);
        assert!(of("u-7", "synchilde@x.example").is_empty());
    }

    #[test]
    fn an_application_that_synchronises_is_refused_by_its_role_and_by_its_name() {
        let role = role_id("On Premises Directory Sync Account").unwrap();
        let facts = Facts { roles: Roles::of(&[assignment("sp", role)], &[], &[]), ..Facts::default() };
        let named = |name: &str| Target { name: name.into(), ..app("a", "t", "Application") };
        assert_eq!(refusing(facts, &named("x"), false), ["sync-account"]);
        let by_name = refusals(Facts::default(), &named("ConnectSyncProvisioning_SRV01_0123456789ab"), false);
        assert!(by_name[0].reason.starts_with("by its name"), "anybody can take it: {by_name:?}");
        let named_like_an_account = refusing(Facts::default(), &named("Sync_SRV01"), false);
        assert!(named_like_an_account.is_empty());
    }

    /// An action that can lock an account out.
    pub(in crate::plan) const BLOCKS: &Meta = &Meta {
        id: "user.block",
        title: "Block",
        target_kind: "user",
        effect: Effect::Cut,
        instead: None,
        destroys: false,
        sensitive: true,
        always: false,
        reads: &[],
        writes: &[],
        roles: &[],
        licence: None,
        part: Capability::Directory,
        attack: &[],
        d3fend: &[],
        coun7er: &[],
        itm: &[],
        sources: &[],
        propagation: Duration::ZERO,
    };

    /// Names of the guards that refuse the first of these accounts, in a plan that blocks all of them.
    fn refusing_to_block(facts: &Facts, ids: &[&str], overrides: &Overrides) -> Vec<String> {
        let targets: Vec<Target> = ids.iter().map(|id| user(id, "a@x.example")).collect();
        let subjects: Vec<_> = targets.iter().map(|target| Subject { target, meta: BLOCKS }).collect();
        let (us, protected) = (us(), Protected::default());
        let guards = Guards::new(&us, &protected, overrides, facts.clone(), &subjects);
        guards.refusals(&targets[0], true).into_iter().map(|refusal| refusal.guard).collect()
    }

    #[test]
    fn the_last_administrator_may_not_be_locked_out_but_signed_out() {
        let none = Overrides::default();
        let both = Facts { administrators: ["a".into(), "b".into()].into(), ..Facts::default() };
        assert_eq!(refusing_to_block(&both, &["a", "b"], &none), ["last-administrator"]);
        assert!(refusing_to_block(&both, &["a"], &none).is_empty(), "b is left");
        assert!(refusing(both, &user("a", "a@x.example"), false).is_empty());
    }

    #[test]
    fn an_administrator_whom_another_guard_keeps_is_left() {
        let facts = Facts {
            administrators: ["a".into(), "b".into()].into(),
            break_glass: BTreeMap::from([("b".into(), "an emergency account".into())]),
            ..Facts::default()
        };
        assert!(refusing_to_block(&facts, &["a", "b"], &Overrides::default()).is_empty());
        let overridden = Overrides::default().with(Guard::BreakGlass, "x");
        assert_eq!(refusing_to_block(&facts, &["a", "b"], &overridden), ["last-administrator"]);
    }
}
