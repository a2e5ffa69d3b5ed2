//! Directory roles: who holds which, and over whom a holder may act.

use serde::Serialize;

/// A directory role's template: name and well-known template id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoleTemplate {
    /// The name that the portal shows.
    pub name: &'static str,
    /// The template id, the same in every tenant.
    pub id: &'static str,
    /// Whether its holders are protected from ordinary administrators.
    guard: Guard,
}

/// Which actors may change the sensitive attributes of a role's holders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guard {
    /// Whoever may change a user without any role.
    Ordinary,
    /// Those who may change ordinary users, but for authentication administrators.
    NotByAuthenticationAdministrator,
    /// Authentication administrators among them, user administrators not.
    AuthenticationAdministrator,
    /// Privileged authentication administrators and global administrators only.
    Privileged,
}

const fn role(name: &'static str, id: &'static str, guard: Guard) -> RoleTemplate {
    RoleTemplate { name, id, guard }
}

/// The role templates that this tenant knows. Source of the guards: "Who can reset passwords / perform sensitive
/// actions" in the Graph documentation of the user resource; a role that it does not list is privileged.
pub const TEMPLATES: &[RoleTemplate] = &[
    role("Global Administrator", "62e90394-69f5-4237-9190-012177145e10", Guard::Privileged),
    role("Privileged Role Administrator", "e8611ab8-c189-46e8-94e1-60213ab1f814", Guard::Privileged),
    role("Privileged Authentication Administrator", "7be44c8a-adaf-4e2a-84d6-ab2649e08a13", Guard::Privileged),
    role("Authentication Administrator", "c4e39bd9-1100-46d3-8c65-fb160da0071f", Guard::AuthenticationAdministrator),
    role("User Administrator", "fe930be7-5e62-47db-91af-98c3a49a38b1", Guard::NotByAuthenticationAdministrator),
    role("Helpdesk Administrator", "729827e3-9c14-49f7-bb1b-9608f156bbb8", Guard::NotByAuthenticationAdministrator),
    role("Groups Administrator", "fdd7a751-b60b-444a-984c-02652fe8fa1c", Guard::NotByAuthenticationAdministrator),
    role("Password Administrator", "966707d0-3269-4727-9be2-8c3a10f19b9d", Guard::Ordinary),
    role("Directory Readers", "88d8e3e3-8f55-4a1e-953a-9b9898b8876b", Guard::Ordinary),
    role("Guest Inviter", "95e79109-95c0-4d8e-aee3-d01accf2d47b", Guard::Ordinary),
    role("Message Center Reader", "790c1fb9-7f7d-4f88-86a1-ef1f95c05c1b", Guard::Ordinary),
    role("Reports Reader", "4a5d8f65-41da-4de4-8968-e035b65339cf", Guard::Ordinary),
    role("Usage Summary Reports Reader", "75934031-6c7e-415a-99d7-48dbd49e875e", Guard::Ordinary),
    role("Exchange Administrator", "29232cdf-9323-42fd-ade2-1d097af3e4de", Guard::Privileged),
    role("Global Reader", "f2ef992c-3afb-46b9-b7cf-a126ee74c451", Guard::Privileged),
    role("Security Reader", "5d6b6bb7-de71-4623-b4af-96380a352509", Guard::Privileged),
    role("Security Administrator", "194ae4cb-b126-40b2-bd5b-6091b380977d", Guard::Privileged),
    role("Conditional Access Administrator", "b1be1c3e-b65d-4f19-8427-f6fa0d97feb9", Guard::Privileged),
    role("Cloud Application Administrator", "158c047a-c907-4556-b7ef-446551a6b5f7", Guard::Privileged),
    role("Application Administrator", "9b895d92-2cd3-44c7-9d02-a6ac2d5ea5c3", Guard::Privileged),
    role("Cloud Device Administrator", "7698a772-787b-4ac8-901f-60d6b08affd2", Guard::Privileged),
    role("Intune Administrator", "3a2c62db-5318-420d-8d74-23affee5d9d5", Guard::Privileged),
];

/// The role id that every application's token carries.
pub(crate) const APPLICATION_WID: &str = "0997a1d0-0d1d-4acb-b408-d5ca73121e90";

/// A template by name or id.
#[must_use]
pub fn template(key: &str) -> Option<&'static RoleTemplate> {
    TEMPLATES.iter().find(|role| role.name.eq_ignore_ascii_case(key) || role.id.eq_ignore_ascii_case(key))
}

/// A role held by a user or a service principal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignment {
    /// The assignment's id.
    pub id: String,
    /// The directory object that holds the role.
    pub principal_id: String,
    /// The role's template id.
    pub role_definition_id: String,
    /// `/` for the whole tenant, or an administrative unit.
    pub directory_scope_id: String,
}

/// Whether an actor holds one of the named roles.
pub(crate) fn holds(actor: &[String], names: &[&str]) -> bool {
    let mut ids = names.iter().filter_map(|name| template(name)).map(|role| role.id);
    ids.any(|id| actor.iter().any(|held| held.eq_ignore_ascii_case(id)))
}

/// Whether the holder of `target`'s roles has a privileged role, so that permissions alone do not reach the account.
pub(crate) fn is_privileged(target: &[String]) -> bool {
    target.iter().any(|id| template(id).is_none_or(|role| role.guard != Guard::Ordinary))
}

/// Whether an actor with these roles may change the sensitive attributes of a user with those.
pub(crate) fn may_change(actor: &[String], target: &[String]) -> bool {
    let holds = |name: &str| template(name).is_some_and(|role| actor.iter().any(|id| id.eq_ignore_ascii_case(role.id)));
    if holds("Global Administrator") || holds("Privileged Authentication Administrator") {
        return true;
    }
    let ordinary = || holds("User Administrator") || holds("Authentication Administrator");
    if target.is_empty() {
        return ordinary();
    }
    target.iter().all(|id| match template(id).map_or(Guard::Privileged, |role| role.guard) {
        Guard::Privileged => false,
        Guard::AuthenticationAdministrator => holds("Authentication Administrator"),
        Guard::NotByAuthenticationAdministrator => holds("User Administrator"),
        Guard::Ordinary => ordinary(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| template(name).unwrap().id.to_owned()).collect()
    }

    #[test]
    fn a_user_administrator_reaches_a_helpdesk_administrator_but_no_global_one() {
        let actor = ids(&["User Administrator"]);
        assert!(may_change(&actor, &ids(&["Helpdesk Administrator"])));
        assert!(!may_change(&actor, &ids(&["Global Administrator"])));
        assert!(!may_change(&actor, &ids(&["Helpdesk Administrator", "Exchange Administrator"])));
    }

    #[test]
    fn an_authentication_administrator_reaches_its_own_kind() {
        let actor = ids(&["Authentication Administrator"]);
        assert!(may_change(&actor, &ids(&["Authentication Administrator"])));
        assert!(!may_change(&actor, &ids(&["User Administrator"])));
    }

    #[test]
    fn readers_are_not_privileged() {
        assert!(!is_privileged(&ids(&["Directory Readers"])));
        assert!(is_privileged(&ids(&["Exchange Administrator"])));
        assert!(is_privileged(&["unknown".to_owned()]));
        assert!(!is_privileged(&[]));
    }
}
