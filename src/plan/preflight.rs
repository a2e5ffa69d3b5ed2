//! Whether a change will be let through and will last, told before anything is sent: from the tokens, the cloud and the
//! target. A hint, not a verdict: the claims of a token are not a contract, so what speaks against a target is shown
//! and the tenant's own answer counts. Only an action whose permission is missing altogether is left out.

use serde::Serialize;

use crate::{
    action::Registry,
    client::Reader,
    model::{
        Caveat, CaveatKind, Cloud, Identity, IdentityKind, Item, Licence, Meta, Permission, Preflight, Service, Target,
        role_name,
    },
    plan::{
        guards::{Guard, Roles},
        licences::Licences,
    },
};

/// What our tokens say, one for each service that is needed, and what the tenant has licences for.
#[derive(Clone, Debug)]
pub struct Tokens {
    /// Microsoft Graph's.
    pub graph: Identity,
    /// Exchange Online's; none where it is not needed or could not be had.
    pub exchange: Option<Identity>,
    /// The tenant's licences; none where nothing needs one, or where they cannot be read.
    pub licences: Option<Licences>,
}

impl Tokens {
    /// Reads what these actions need: Exchange's token and the licences only where some action does. A sign-in that fails
    /// is told by the read that needs it.
    pub(crate) async fn read(tenant: &Reader, actions: &[&Meta]) -> Self {
        let exchange = async {
            let needed = actions.iter().any(|meta| needs_exchange(meta));
            if needed { tenant.identity_of(Service::Exchange).await.ok() } else { None }
        };
        let licences = async {
            let needed = actions.iter().any(|meta| meta.licence.is_some());
            if needed { Licences::read(tenant).await.ok() } else { None }
        };
        let (exchange, licences) = futures_util::join!(exchange, licences);
        Self { graph: tenant.identity().clone(), exchange, licences }
    }

    /// The permissions that our tokens lack: application permissions, or the scopes of a signed-in person, who needs both
    /// these and a role.
    pub fn lacking<'a>(&self, needed: impl IntoIterator<Item = &'a Permission>) -> Vec<&'a Permission> {
        let lacks = |permission: &&Permission| {
            let token = match permission.service {
                Service::Graph => Some(&self.graph),
                Service::Exchange => self.exchange.as_ref(),
            };
            token.is_some_and(|token| !permission.is_held(token))
        };
        needed.into_iter().filter(lacks).collect()
    }
}

/// Whether an action needs Exchange's token.
pub fn needs_exchange(meta: &Meta) -> bool {
    meta.reads.iter().chain(meta.writes).any(|permission| permission.service == Service::Exchange)
}

/// What an action lacks, whatever its target.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Missing {
    /// Whether its calls do not exist in this cloud.
    pub cloud: bool,
    /// Permissions to plan it, the least of each.
    pub reads: Vec<&'static str>,
    /// Permissions to change, the least of each.
    pub writes: Vec<&'static str>,
    /// Roles that our principal needs besides.
    pub roles: Vec<&'static str>,
    /// The licence that the tenant does not have.
    pub licence: Option<&'static str>,
}

impl Missing {
    /// Whether nothing is missing.
    pub fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What an action lacks with these tokens in this cloud. Global administrators have every role.
pub fn missing(meta: &Meta, tokens: &Tokens, cloud: Cloud) -> Missing {
    let least = |list: &'static [Permission]| tokens.lacking(list).into_iter().map(Permission::least).collect();
    let both = [Some(&tokens.graph), tokens.exchange.as_ref()];
    let held: Vec<&str> =
        both.into_iter().flatten().flat_map(|token| &token.directory_roles).map(|id| role_name(id)).collect();
    let lacks = |role: &&&str| !held.contains(*role) && !held.contains(&"Global Administrator");
    Missing {
        cloud: !meta.part.is_in(cloud),
        reads: least(meta.reads),
        writes: least(meta.writes),
        roles: meta.roles.iter().filter(lacks).copied().collect(),
        licence: meta.licence.filter(|it| tokens.licences.as_ref().is_some_and(|has| !has.has(*it))).map(Licence::name),
    }
}

/// What is judged by: our tokens, the cloud, and what to do where a permission is missing.
pub(crate) struct Judge {
    tokens: Tokens,
    cloud: Cloud,
    /// Whether a change is kept although its permission is missing.
    keep: bool,
}

impl Judge {
    /// A judge. A change whose permission is missing is kept where that is overridden, and where our application may
    /// change nothing at all: then it is there to rehearse, and the plan is whole for another one to apply.
    pub(crate) fn new(tokens: Tokens, cloud: Cloud, registry: Registry, overridden: bool) -> Self {
        let mut writes = registry
            .iter()
            .flat_map(|action| action.meta().writes)
            .filter(|permission| permission.service == Service::Graph)
            .peekable();
        let rehearsal = writes.peek().is_some() && writes.all(|permission| !tokens.lacking([permission]).is_empty());
        Self { tokens, cloud, keep: overridden || rehearsal }
    }

    /// Why no change of this action can be made, whatever its target.
    pub(crate) fn cannot(&self, meta: &Meta) -> Option<String> {
        let missing = missing(meta, &self.tokens, self.cloud);
        if missing.cloud {
            return Some("this action does not exist in this cloud".to_owned());
        }
        if let Some(licence) = missing.licence {
            return Some(format!("the tenant has no licence of {licence}"));
        }
        let lacks = missing.writes.join(", ");
        let who = match self.tokens.graph.kind {
            IdentityKind::Application => "our application lacks the permission",
            IdentityKind::User => "the sign-in lacks the delegated permission",
        };
        (!lacks.is_empty()).then(|| format!("{who} {lacks}"))
    }

    /// The item with what is expected of its change; a change that cannot be made is refused.
    pub(crate) fn judged(&self, item: Item, meta: &Meta, roles: Option<&Roles>) -> Item {
        let Item::Change(mut change) = item else { return item };
        change.preflight = match self.cannot(meta) {
            Some(reason) if self.keep => Preflight::Cannot { reason },
            Some(reason) => {
                let refusal = Guard::Preflight.refuses(reason);
                return Item::Refused { target: Box::new(change.target), refusal };
            }
            None => of_target(meta, &change.target, &change.caveats, &self.tokens.graph, roles),
        };
        Item::Change(change)
    }
}

/// What is known of one target; without roles only whether the change will last.
fn of_target(meta: &Meta, target: &Target, caveats: &[Caveat], us: &Identity, roles: Option<&Roles>) -> Preflight {
    let text = |kind| caveats.iter().find(|caveat| caveat.kind == kind).map(|caveat| caveat.text.clone());
    let refused = roles.and_then(|roles| {
        let restricted = text(CaveatKind::RestrictedUnit).and_then(|text| out_of_unit(target, text, roles));
        let sensitive = || {
            let reach = || out_of_reach(target, us, roles);
            without_role(us, roles).or_else(reach)
        };
        restricted.or_else(|| if meta.sensitive { sensitive() } else { None })
    });
    match (refused, text(CaveatKind::Synced)) {
        (Some(reason), _) => Preflight::Cannot { reason },
        (None, Some(reason)) => Preflight::WillNotLast { reason },
        (None, None) => Preflight::Can,
    }
}

/// Why an object in a restricted unit is out of our reach: a role over another unit does not help.
fn out_of_unit(target: &Target, text: String, roles: &Roles) -> Option<String> {
    let units = roles.our_units();
    let inside = |id: &str| units.iter().any(|unit| unit.holds(id));
    if inside(&target.id) || inside(target.principal()) {
        return None;
    }
    let ours: Vec<&str> = units.iter().map(|unit| unit.id.as_str()).collect();
    let others = format!("; our roles over the units {} do not reach it", ours.join(", "));
    Some(if ours.is_empty() { text } else { text + &others })
}

/// Which role we lack for a sensitive action on the holder of a role.
fn out_of_reach(target: &Target, us: &Identity, roles: &Roles) -> Option<String> {
    let ours = our_roles(us, roles);
    let missing = |actors: &[&str]| !actors.iter().any(|role| ours.contains(role));
    let held = roles.of_principal(&target.lane).iter().filter(|holding| holding.active);
    let role = held.map(|holding| (holding.in_words(), actors(role_name(&holding.role))));
    let group = roles.is_grouped(&target.lane).then(|| ("belongs to a role-assignable group".to_owned(), PRIVILEGED));
    let (why, actors) = role.chain(group).find(|(_, actors)| !actors.is_empty() && missing(actors))?;
    let who = if us.kind == IdentityKind::Application { "our service principal needs" } else { "you need" };
    Some(format!("this account {why}: {who} the role {} for this, besides the permission", actors.join(" or ")))
}

/// Why a signed-in person can do nothing sensitive: unlike an application, for whom a permission is enough where the target
/// holds no role, a person needs a role for anybody.
///
/// Source: "Who can perform sensitive actions", Microsoft Graph, resource type user.
fn without_role(us: &Identity, roles: &Roles) -> Option<String> {
    let is_person = us.kind == IdentityKind::User;
    let ours = our_roles(us, roles);
    let enough = PERSONS.iter().any(|role| ours.contains(role)) || !roles.our_units().is_empty();
    (is_person && !enough)
        .then(|| format!("you need a role for this, besides the permission: {} or a higher one", PERSONS.join(", ")))
}

/// Roles by which a person may perform sensitive actions, on some accounts at least.
const PERSONS: &[&str] = &[
    "Authentication Administrator",
    "Helpdesk Administrator",
    "Password Administrator",
    "User Administrator",
    "Privileged Authentication Administrator",
    "Global Administrator",
];

/// Our roles by name: those of the token, which may lack them, and those that the directory shows.
fn our_roles<'a>(us: &'a Identity, roles: &'a Roles) -> Vec<&'a str> {
    let shown = roles.of_principal(&us.object_id).iter().filter(|holding| holding.active);
    let ids = us.directory_roles.iter().chain(shown.map(|holding| &holding.role));
    ids.map(|id| role_name(id)).collect()
}

const PRIVILEGED: &[&str] = &["Privileged Authentication Administrator", "Global Administrator"];

/// Who may perform sensitive actions on the holder of a role; empty where a permission alone is enough.
///
/// Source: "Who can perform sensitive actions", Microsoft Graph, resource type user; a role that it does not list is
/// out of reach of all but the highest two.
fn actors(role: &str) -> &'static [&'static str] {
    match role {
        "Directory Readers"
        | "Guest Inviter"
        | "Password Administrator"
        | "Message Center Reader"
        | "Reports Reader"
        | "Usage Summary Reports Reader" => &[],
        "Authentication Administrator" => {
            &["Authentication Administrator", "Privileged Authentication Administrator", "Global Administrator"]
        }
        "Helpdesk Administrator" | "Groups Administrator" | "User Administrator" => {
            &["User Administrator", "Privileged Authentication Administrator", "Global Administrator"]
        }
        _ => PRIVILEGED,
    }
}

#[cfg(test)]
mod tests {
    use super::{Judge, PRIVILEGED, Tokens, actors, missing, without_role};
    use crate::{
        model::{Cloud, Identity, IdentityKind, Licence, Meta, Permission, role_id},
        plan::{
            guards::{Roles, target::tests::BLOCKS},
            licences::Licences,
        },
    };

    fn token(kind: IdentityKind, permissions: &[&str]) -> Identity {
        Identity {
            tenant_id: "t".into(),
            app_id: "a".into(),
            object_id: "o".into(),
            kind,
            user_principal_name: None,
            permissions: permissions.iter().map(|name| (*name).to_owned()).collect(),
            directory_roles: vec![],
            token_id: None,
            expires: None,
            issued: None,
            proof: None,
            continuous: false,
        }
    }

    #[test]
    fn any_of_the_names_is_enough_and_each_service_has_its_own_token() {
        let needed = [Permission::graph(&["A", "B"]), Permission::graph(&["C"]), Permission::exchange(&["B"])];
        let least =
            |tokens: &Tokens| -> Vec<&str> { tokens.lacking(&needed).into_iter().map(Permission::least).collect() };
        let app = |names: &[&str]| token(IdentityKind::Application, names);
        let mut tokens = Tokens { graph: app(&["B"]), exchange: Some(app(&[])), licences: None };
        assert_eq!(least(&tokens), ["C", "B"]);
        tokens.exchange = None;
        assert_eq!(least(&tokens), ["C"], "of a token that there is none of, nothing is said");
        tokens.graph = token(IdentityKind::User, &["B"]);
        assert_eq!(least(&tokens), ["C"], "the scopes of a person are looked at as well");
    }

    #[test]
    fn a_licence_is_missing_where_the_tenant_is_known_to_have_none() {
        let meta = Meta { licence: Some(Licence::EntraIdP2), ..*BLOCKS };
        let mut tokens = Tokens { graph: token(IdentityKind::Application, &[]), exchange: None, licences: None };
        assert_eq!(missing(&meta, &tokens, Cloud::Global).licence, None, "what is not known is not missing");
        tokens.licences = Some(Licences::default());
        assert_eq!(missing(&meta, &tokens, Cloud::Global).licence, Some("Microsoft Entra ID P2"));
        let judge = Judge { tokens, cloud: Cloud::Global, keep: false };
        assert_eq!(judge.cannot(&meta).unwrap(), "the tenant has no licence of Microsoft Entra ID P2");
    }

    #[test]
    fn a_person_needs_a_role_for_anybody_and_an_application_only_for_some() {
        let roles = Roles::default();
        let mut person = token(IdentityKind::User, &["User.ReadWrite.All"]);
        assert!(without_role(&person, &roles).unwrap().contains("User Administrator"));
        assert_eq!(without_role(&token(IdentityKind::Application, &[]), &roles), None);
        person.directory_roles = vec![role_id("User Administrator").unwrap().to_owned()];
        assert_eq!(without_role(&person, &roles), None);
        person.directory_roles = vec![role_id("Security Reader").unwrap().to_owned()];
        assert!(without_role(&person, &roles).is_some());
    }

    #[test]
    fn a_persons_scopes_go_by_other_names() {
        let held = |kind, name: &str, permission: Permission| permission.is_held(&token(kind, &[name]));
        let (graph, exchange) =
            (Permission::graph(&["User.Read.All"]), Permission::exchange(&["Exchange.ManageAsApp"]));
        assert!(held(IdentityKind::User, "Directory.AccessAsUser.All", graph));
        assert!(!held(IdentityKind::Application, "Directory.AccessAsUser.All", graph));
        assert!(held(IdentityKind::User, "Exchange.Manage", exchange));
        assert!(!held(IdentityKind::Application, "Exchange.Manage", exchange));
    }

    #[test]
    fn a_role_that_is_not_in_the_table_is_out_of_reach_of_all_but_the_highest() {
        assert_eq!(actors("Exchange Administrator"), PRIVILEGED);
        assert_eq!(actors("0b3f4a5c-custom"), PRIVILEGED);
        assert!(actors("Directory Readers").is_empty());
        assert!(actors("Helpdesk Administrator").contains(&"User Administrator"));
        assert!(!actors("Helpdesk Administrator").contains(&"Authentication Administrator"));
    }
}
