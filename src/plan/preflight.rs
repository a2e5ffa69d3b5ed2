//! Whether a change will be let through and will last, told before anything is sent: from the tokens, the cloud and the
//! target. A hint, not a verdict: the claims of a token are not a contract, so what speaks against a target is shown
//! and the tenant's own answer counts. Only an action whose permission is missing altogether is left out.

use serde::Serialize;

use crate::{
    action::Registry,
    client::{ReadError, ReadErrorKind, Reader},
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

/// Why a read for an action gave no answer; where it was denied, with the permissions to read that our token lacks. Exchange's
/// token is another one, so what it needs is named whether it is there or not.
pub fn unread(error: &ReadError, meta: &Meta, us: &Identity) -> String {
    let of_graph = error.what.starts_with("GET ");
    let lacks = |permission: &&Permission| match permission.service {
        Service::Graph => of_graph && !permission.is_held(us),
        Service::Exchange => !of_graph,
    };
    let lacking: Vec<&str> = meta.reads.iter().filter(lacks).map(Permission::least).collect();
    match error.kind {
        ReadErrorKind::Denied if !lacking.is_empty() => {
            format!("{error}; to read for {}, the permission {} is needed", meta.id, lacking.join(", "))
        }
        _ => error.to_string(),
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
        let restricted = text(CaveatKind::RestrictedUnit);
        let reach = Reach::of(target, us, roles, restricted.is_some());
        let outside = restricted.filter(|_| reach.over_units.is_empty()).map(|text| out_of_unit(text, roles));
        let sensitive = || reach.without_role().or_else(|| reach.out_of_reach(target, roles));
        outside.or_else(|| if meta.sensitive { sensitive() } else { None })
    });
    match (refused, text(CaveatKind::Synced)) {
        (Some(reason), _) => Preflight::Cannot { reason },
        (None, Some(reason)) => Preflight::WillNotLast { reason },
        (None, None) => Preflight::Can,
    }
}

/// Why an object in a restricted unit is out of our reach.
fn out_of_unit(text: String, roles: &Roles) -> String {
    let ours: Vec<&str> = roles.our_units().iter().map(|unit| unit.id.as_str()).collect();
    let others = format!("; our roles over the units {} do not reach it", ours.join(", "));
    if ours.is_empty() { text } else { text + &others }
}

/// Our roles that count for one target, by name.
struct Reach<'a> {
    is_person: bool,
    /// Whether only roles over its restricted unit count.
    restricted: bool,
    in_tenant: Vec<&'a str>,
    over_units: Vec<&'a str>,
}

impl<'a> Reach<'a> {
    /// For an object in a restricted unit no role counts but those over such a unit.
    ///
    /// Source: Microsoft Entra, "Restricted management administrative units", "Who can modify objects?".
    fn of(target: &Target, us: &'a Identity, roles: &'a Roles, restricted: bool) -> Self {
        // The lane is the object itself: the owner of a device in a unit does not bring the device into it.
        let units =
            roles.our_units().iter().filter(|unit| (unit.restricted || !restricted) && unit.holds(&target.lane));
        Self {
            is_person: us.kind == IdentityKind::User,
            restricted,
            in_tenant: if restricted { Vec::new() } else { our_roles(us, roles) },
            over_units: units.flat_map(|unit| &unit.roles).map(|id| role_name(id)).collect(),
        }
    }

    /// Why nothing sensitive can be done: a person needs a role for anybody, an application only where its permission does
    /// not apply.
    ///
    /// Source: "Who can perform sensitive actions", Microsoft Graph, resource type user.
    fn without_role(&self) -> Option<String> {
        let needed = self.is_person || self.restricted;
        let enough = SENSITIVE.iter().any(|role| self.in_tenant.contains(role) || self.over_units.contains(role));
        let scope = if self.restricted { " over its unit" } else { "" };
        (needed && !enough).then(|| format!("{} one of these roles{scope}: {}", self.need(), SENSITIVE.join(", ")))
    }

    /// Which role we lack for a sensitive action on the holder of a role. A role over a unit reaches no administrators,
    /// but for one.
    ///
    /// Source: the same, and Microsoft Entra, "Roles that can be assigned with administrative unit scope".
    fn out_of_reach(&self, target: &Target, roles: &Roles) -> Option<String> {
        let missing = |actors: &[&str]| {
            !actors.iter().any(|role| self.in_tenant.contains(role)) && !self.over_units.contains(&OVER_ADMINISTRATORS)
        };
        let held = roles.of_principal(&target.lane).iter().filter(|holding| holding.active);
        let role = held.map(|holding| (holding.in_words(), actors(role_name(&holding.role))));
        let group =
            roles.is_grouped(&target.lane).then(|| ("belongs to a role-assignable group".to_owned(), PRIVILEGED));
        let (why, actors) = role.chain(group).find(|(_, actors)| !actors.is_empty() && missing(actors))?;
        Some(format!("this account {why}: {} the role {}", self.need(), actors.join(" or ")))
    }

    fn need(&self) -> &'static str {
        if self.is_person {
            "you need, besides the permission,"
        } else {
            "our service principal needs, besides the permission,"
        }
    }
}

/// Roles of which a sensitive action needs one, for some accounts a higher one. For passwords too: they are set by
/// `passwordProfile`, a sensitive property; the shorter list of who can reset passwords is about another call.
const SENSITIVE: &[&str] = &[
    "Authentication Administrator",
    "User Administrator",
    "Privileged Authentication Administrator",
    "Global Administrator",
];

const OVER_ADMINISTRATORS: &str = "Privileged Authentication Administrator";

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
    use super::{Judge, PRIVILEGED, Reach, Tokens, actors, missing};
    use crate::{
        model::{Cloud, Identity, IdentityKind, Licence, Meta, Permission, Target, role_id, role_name},
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

    fn target(id: &str) -> Target {
        Target {
            kind: "user".into(),
            id: id.into(),
            name: id.into(),
            of: None,
            lane: id.into(),
            owner: None,
            workload: None,
            data: serde_json::Value::Null,
        }
    }

    #[test]
    fn a_person_needs_a_role_for_anybody_and_an_application_only_for_some() {
        let roles = Roles::default();
        let without_role = |us: &Identity, restricted| Reach::of(&target("u"), us, &roles, restricted).without_role();
        let mut person = token(IdentityKind::User, &["User.ReadWrite.All"]);
        assert!(without_role(&person, false).unwrap().contains("User Administrator"));
        let application = token(IdentityKind::Application, &[]);
        assert_eq!(without_role(&application, false), None);
        assert!(without_role(&application, true).unwrap().contains("over its unit"));
        for (role, enough) in
            [("User Administrator", true), ("Security Reader", false), ("Helpdesk Administrator", false)]
        {
            person.directory_roles = vec![role_id(role).unwrap().to_owned()];
            assert_eq!(without_role(&person, false).is_none(), enough, "{role}");
            assert!(without_role(&person, true).is_some(), "a role in the whole tenant does not count");
        }
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
        let usage_reader = role_name("75934031-6c7e-415a-99d7-48dbd49e875e");
        assert!(actors(usage_reader).is_empty(), "{usage_reader} is known by its id");
        assert!(actors("Helpdesk Administrator").contains(&"User Administrator"));
        assert!(!actors("Helpdesk Administrator").contains(&"Authentication Administrator"));
    }
}
