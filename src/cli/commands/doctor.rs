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
    client::{Reader, SignInError},
    model::{Identity, IdentityKind, Meta, Service, Untrusted, json_for_terminal, role_name},
    plan::{self, Missing, Tokens, missing, needs_exchange},
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
    let (exchange, tenant, blind) = futures_util::join!(
        reader.identity_of(Service::Exchange),
        tenant(&reader),
        plan::blind_spots(&reader, &connected.protected)
    );
    drop(wait);
    let mut checks = identity_checks(&connected, &reader, context.clock.now(), exchange.as_ref());
    checks.extend(profile_checks(&connected));
    checks.extend(blind.into_iter().map(|caveat| Check::new("guards", Level::Warning, caveat.text)));
    let refused = exchange.as_ref().err().map(ToString::to_string);
    let tokens = Tokens { graph: reader.identity().clone(), exchange: exchange.ok() };
    let ability = |meta: &&'static Meta| Ability::of(meta, &tokens, &connected, refused.as_deref());
    let actions: Vec<Ability> = actions.iter().map(ability).collect();
    let Tokens { graph, exchange } = tokens;
    let findings = Findings { tenant, graph, exchange, checks, actions };
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
    let kind = match identity.kind {
        IdentityKind::Application => "application".to_owned(),
        IdentityKind::User => {
            let name = identity.user_principal_name.as_deref().unwrap_or(&identity.object_id);
            format!("{} through application", Untrusted::from(name).term())
        }
    };
    format!("{kind} {} ({}); permissions: {permissions}; roles: {roles}", identity.app_id, identity.object_id)
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

fn profile_checks(connected: &Connected) -> Vec<Check> {
    let protected = &connected.protected;
    let emergency = match protected.break_glass.len() {
        0 => Check::new("break-glass", Level::Warning, "no emergency account is on the profile's break_glass list"),
        count => Check::new("break-glass", Level::Good, format!("{count} entries protect emergency accounts")),
    };
    let recipients = match connected.recipients.len() {
        0 => {
            let text = "no age recipient is configured: new passwords are discarded, and nobody will know them";
            Check::new("recipients", Level::Warning, text)
        }
        count => Check::new("recipients", Level::Good, format!("new passwords are sealed to {count} age recipients")),
    };
    vec![emergency, recipients]
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
                "A person is signed in: what it may do depends on that person's roles, and is not judged.".to_owned(),
            );
        }
        lines.iter().map(|line| json_for_terminal(line)).collect::<Vec<_>>().join("\n")
    }

    fn exit(&self) -> Exit {
        if self.actions.iter().any(|action| action.sign_in.is_some()) {
            Exit::CouldNotRun
        } else if self.actions.iter().any(|action| !action.can) {
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
