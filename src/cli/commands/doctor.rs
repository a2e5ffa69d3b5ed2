//! `doctor`: signs in, says who we are, what this identity may and may not do, and what is missing. Changes nothing.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        args::DoctorArgs,
        connect::{Connected, connect},
        exit::{Exit, Failure},
        planning, progress,
        skew::Skew,
    },
    client::{ReadError, Reader, SignInError},
    model::{Identity, IdentityKind, Licence, Meta, Service, Untrusted, json_for_terminal, role_name},
    plan::{self, BlindSpots, Licences, Missing, Protected, Tokens, missing, needs_exchange},
};

/// A token that ends sooner is worth a word.
const SHORT: SignedDuration = SignedDuration::from_mins(10);

/// What was found.
#[derive(Debug, Serialize)]
struct Findings {
    tenant: Tenant,
    graph: Identity,
    exchange: Option<Identity>,
    checks: Vec<Check>,
    /// Whether every plan that changes something is refused for what the guards cannot see.
    plans_refused: bool,
    actions: Vec<Ability>,
}

#[derive(Debug, Serialize)]
struct Tenant {
    id: String,
    name: Option<Untrusted>,
}

/// One thing that was looked at.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Check {
    what: &'static str,
    level: Level,
    text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum Level {
    Good,
    Warning,
    Bad,
}

/// Whether an action can be used.
#[derive(Debug, Serialize)]
struct Ability {
    action: &'static str,
    can: bool,
    missing: Missing,
    /// Why its service could not be signed in to.
    sign_in: Option<String>,
}

pub(crate) async fn run(context: &Context, args: &DoctorArgs) -> Result<Exit, Failure> {
    let actions: Vec<&Meta> = match &args.playbook {
        Some(path) => planning::metas(&planning::read(context, path)?.0),
        None => REGISTRY.iter().map(|action| action.meta()).collect(),
    };
    let connected = connect(context, None).await?;
    let wait = progress::wait("looking around");
    // It can wait: whoever asks changes nothing now, and somebody else may.
    let reader = connected.session.reader().enrichment();
    let (exchange, tenant, spots, licences) = futures_util::join!(
        reader.identity_of(Service::Exchange),
        tenant(&reader),
        plan::blind_spots(&reader, &connected.protected),
        Licences::read(&reader)
    );
    drop(wait);
    let mut checks = identity_checks(&connected, &reader, context.clock.now(), exchange.as_ref());
    checks.push(recipients(&connected));
    checks.push(licence_check(licences.as_ref()));
    checks.extend(guard_checks(&connected.protected, &spots));
    let refused = exchange.as_ref().err().map(ToString::to_string);
    let tokens = Tokens { graph: reader.identity().clone(), exchange: exchange.ok(), licences: licences.ok() };
    let ability = |meta: &&'static Meta| Ability::of(meta, &tokens, &connected, refused.as_deref());
    let actions: Vec<Ability> = actions.iter().map(ability).collect();
    let Tokens { graph, exchange, .. } = tokens;
    let findings = Findings { tenant, graph, exchange, checks, plans_refused: spots.refuse, actions };
    context.out.data(&findings, || findings.words())?;
    Ok(findings.exit())
}

/// The tenant and what it calls itself, if we may know.
async fn tenant(reader: &Reader) -> Tenant {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Organization {
        display_name: Option<Untrusted>,
    }
    let path = crate::model::GraphPath::v1().fixed("organization").select("id,displayName");
    let read: Vec<Organization> = reader.list(&path).await.unwrap_or_default();
    let name = read.into_iter().next().and_then(|it| it.display_name);
    Tenant { id: reader.identity().tenant_id.clone(), name }
}

impl Check {
    fn new(what: &'static str, level: Level, text: impl Into<String>) -> Self {
        Self { what, level, text: text.into() }
    }
}

fn identity_checks(
    connected: &Connected,
    reader: &Reader,
    now: Timestamp,
    exchange: Result<&Identity, &SignInError>,
) -> Vec<Check> {
    let mut checks = vec![Check::new("Microsoft Graph", Level::Good, who(reader.identity()))];
    checks.push(match exchange {
        Ok(identity) => Check::new("Exchange Online", Level::Good, who(identity)),
        Err(error) => Check::new("Exchange Online", Level::Bad, format!("failed to {error}")),
    });
    checks.push(lifetime(reader.identity().expires, now));
    checks.push(if reader.identity().continuous {
        let text = "the tenant can end our token at once (continuous access evaluation), and we would know at once";
        Check::new("revocation", Level::Good, text)
    } else {
        let text = "without continuous access evaluation our token outlives what is done to our account";
        Check::new("revocation", Level::Good, text)
    });
    checks.push(skew(now, reader.server_now()));
    checks.push(if connected.by_secret {
        let text =
            "a client secret: whoever reads it is us; a certificate or a managed identity cannot be copied so easily";
        Check::new("credential", Level::Warning, text)
    } else {
        Check::new("credential", Level::Good, "no client secret")
    });
    checks
}

/// Who a token says that we are, with permissions and roles.
fn who(identity: &Identity) -> String {
    let list = |names: Vec<&str>| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
    let permissions = list(identity.permissions.iter().map(String::as_str).collect());
    let roles =
        list(identity.directory_roles.iter().map(|id| role_name(id)).filter(|name| *name != EVERY_APP).collect());
    format!("{}; permissions: {permissions}; roles: {roles}", identity.who())
}

/// The role id that every application's token carries; it says nothing.
const EVERY_APP: &str = "0997a1d0-0d1d-4acb-b408-d5ca73121e90";

fn lifetime(expires: Option<Timestamp>, now: Timestamp) -> Check {
    let Some(expires) = expires else {
        return Check::new("token", Level::Warning, "it does not say when it ends");
    };
    let left = expires.duration_since(now);
    let level = if left < SHORT { Level::Warning } else { Level::Good };
    Check::new(
        "token",
        level,
        format!("lasts {} more minutes; it is renewed as long as we may sign in", left.as_mins()),
    )
}

fn skew(now: Timestamp, server: Timestamp) -> Check {
    let Skew { is_off, text } = Skew::of(now, server);
    Check::new("clock", if is_off { Level::Warning } else { Level::Good }, text)
}

fn recipients(connected: &Connected) -> Check {
    match connected.recipients.len() {
        0 => {
            let text = "no age recipient is configured: new passwords are discarded, and nobody will know them";
            Check::new("recipients", Level::Warning, text)
        }
        count => Check::new("recipients", Level::Good, format!("new passwords are sealed to {count} age recipients")),
    }
}

/// What the tenant's licences mean for an investigation.
///
/// Source: Microsoft Entra, "Data retention": audit logs are kept seven days without a licence, thirty with P1 or P2.
fn licence_check(licences: Result<&Licences, &ReadError>) -> Check {
    let what = "licences";
    match licences {
        Err(error) => Check::new(what, Level::Warning, format!("what the tenant has is not known: failed to {error}")),
        Ok(has) => {
            let held: Vec<&str> = Licence::ALL.iter().filter(|it| has.has(**it)).map(|it| it.name()).collect();
            let premium = has.has(Licence::EntraIdP1) || has.has(Licence::EntraIdP2);
            let days = if premium { 30 } else { 7 };
            let level = if premium { Level::Good } else { Level::Warning };
            let held = if held.is_empty() { "none that matters here".to_owned() } else { held.join(", ") };
            Check::new(what, level, format!("{held}; the directory's logs go back {days} days"))
        }
    }
}

/// Whom the emergency list protects, and what the guards cannot see.
fn guard_checks(protected: &Protected, spots: &BlindSpots) -> Vec<Check> {
    let mut checks: Vec<Check> = spots
        .unresolved
        .iter()
        .map(|it| Check::new("break-glass", Level::Bad, format!("{}; every plan with a change is refused", it.text)))
        .collect();
    match protected.break_glass.len().saturating_sub(spots.unresolved.len()) {
        0 if checks.is_empty() => {
            let text = "no emergency account is on the profile's break_glass list";
            checks.push(Check::new("break-glass", Level::Warning, text));
        }
        0 => {}
        count => {
            checks.push(Check::new("break-glass", Level::Good, format!("{count} entries protect emergency accounts")));
        }
    }
    let (level, more) = match protected.strict {
        true => (Level::Bad, "; the profile says strict_guards: every plan with a change is refused"),
        false => (Level::Warning, ""),
    };
    checks.extend(spots.blind.iter().map(|it| Check::new("guards", level, format!("{}{more}", it.text))));
    checks
}

impl Ability {
    fn of(meta: &'static Meta, tokens: &Tokens, connected: &Connected, refused: Option<&str>) -> Self {
        let missing = missing(meta, tokens, connected.cloud);
        let sign_in = refused.filter(|_| needs_exchange(meta)).map(str::to_owned);
        Self { action: meta.id, can: missing.is_nothing() && sign_in.is_none(), missing, sign_in }
    }

    fn words(&self) -> String {
        if self.can {
            return format!("can     {}", self.action);
        }
        let list = |what: &str, names: &[&str]| (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")));
        let parts = [
            self.sign_in.as_ref().map(|_| "no token for Exchange Online".to_owned()),
            self.missing.cloud.then(|| "it does not exist in this cloud".to_owned()),
            list("to plan, it lacks the permission", &self.missing.reads),
            list("to change, it lacks the permission", &self.missing.writes),
            list("it lacks the role", &self.missing.roles),
            self.missing.licence.map(|licence| format!("the tenant has no licence of {licence}")),
        ];
        format!("CANNOT  {}: {}", self.action, parts.into_iter().flatten().collect::<Vec<_>>().join("; "))
    }
}

impl Findings {
    fn words(&self) -> String {
        let name = self.tenant.name.as_ref().map(|name| format!(" {}", name.term())).unwrap_or_default();
        let mut lines = vec![format!("tenant {}{name}", self.tenant.id)];
        lines.extend(self.checks.iter().map(|check| {
            let level = match check.level {
                Level::Good => "good    ",
                Level::Warning => "WARNING ",
                Level::Bad => "BAD     ",
            };
            format!("{level}{}: {}", check.what, check.text)
        }));
        lines.push(String::new());
        lines.extend(self.actions.iter().map(Ability::words));
        if self.graph.kind == IdentityKind::User {
            lines.push(
                "A person is signed in, who may do what both the permissions and that person's roles allow.".to_owned(),
            );
        }
        lines.iter().map(|line| json_for_terminal(line)).collect::<Vec<_>>().join("\n")
    }

    fn exit(&self) -> Exit {
        if self.actions.iter().any(|action| action.sign_in.is_some()) {
            Exit::CouldNotRun
        } else if self.plans_refused || self.actions.iter().any(|action| !action.can) {
            Exit::NotContained
        } else {
            Exit::Ok
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::{Level, lifetime};

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn a_token_that_ends_soon_is_worth_a_word() {
        assert_eq!(lifetime(Some(at(3600)), at(0)).level, Level::Good);
        assert_eq!(lifetime(Some(at(300)), at(0)).level, Level::Warning);
        assert_eq!(lifetime(None, at(0)).level, Level::Warning);
    }
}
