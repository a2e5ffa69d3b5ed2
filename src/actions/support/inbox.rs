//! The inbox rules of a mailbox: read with and without the hidden ones, checked to belong to it, system rules left out.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    actions::support::{
        account::{Account, UserTarget},
        rule_content::{Content, RuleEffect, content, in_words, same, shows_actions},
        switch::gone_is_none,
    },
    client::{ReadError, ReadErrorKind, Reader},
    model::{Caveat, CaveatKind, Found, ReadCmdlet, Target, Untrusted, UserRef},
};

/// `Get-Mailbox`, as far as it is needed.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Mailbox {
    guid: Option<String>,
    external_directory_object_id: Option<String>,
    exchange_guid: Option<String>,
    name: Option<String>,
    alias: Option<String>,
    user_principal_name: Option<String>,
    primary_smtp_address: Option<String>,
}

impl Mailbox {
    /// What identifies it in a cmdlet, whatever its owner is renamed to.
    fn key(&self) -> Option<&str> {
        self.guid.as_deref().or(self.exchange_guid.as_deref())
    }

    fn is_named(&self, name: &str) -> bool {
        let names = [
            self.guid.as_ref(),
            self.external_directory_object_id.as_ref(),
            self.exchange_guid.as_ref(),
            self.name.as_ref(),
            self.alias.as_ref(),
            self.user_principal_name.as_ref(),
            self.primary_smtp_address.as_ref(),
        ];
        names.iter().flatten().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// A row of `Get-InboxRule`.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(crate) struct Rule {
    /// `<mailbox>\<RuleIdentity>`.
    pub(crate) identity: String,
    /// May be empty, a blank or a dot; not unique.
    pub(crate) name: String,
    pub(crate) enabled: bool,
    pub(crate) priority: Option<i64>,
    /// The properties, without the sidecars that say their types.
    pub(crate) row: Map<String, Value>,
}

impl TryFrom<Map<String, Value>> for Rule {
    type Error = &'static str;

    fn try_from(mut row: Map<String, Value>) -> Result<Self, Self::Error> {
        row.retain(|name, _| !name.contains('@'));
        let id = match row.get("RuleIdentity") {
            // Often above the greatest signed number; a float would be another rule.
            Some(Value::Number(number)) => number.as_u64().map(|id| id.to_string()),
            Some(Value::String(text)) => text.parse::<u64>().ok().map(|id| id.to_string()),
            _ => None,
        };
        let id = id.ok_or("a rule has no unsigned 64-bit RuleIdentity")?;
        let identity = row.get("Identity").and_then(Value::as_str);
        let identity = identity.ok_or("a rule has no Identity")?.to_owned();
        if identity.rsplit_once('\\').is_none_or(|(_, last)| last != id) {
            return Err("a rule's Identity does not end with its RuleIdentity");
        }
        let text = |name| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        Ok(Self {
            identity,
            name: text("Name"),
            enabled: row.get("Enabled").and_then(Value::as_bool).ok_or("a rule is neither enabled nor disabled")?,
            priority: row.get("Priority").and_then(Value::as_i64),
            row,
        })
    }
}

impl Rule {
    fn flag(&self, name: &str) -> Option<bool> {
        self.row.get(name).and_then(Value::as_bool)
    }

    /// Whether a cmdlet could have made it.
    pub(crate) fn is_supported(&self) -> bool {
        self.flag("SupportedByTask") != Some(false)
            && self.flag("Legacy") != Some(true)
            && self.flag("InError") != Some(true)
    }

    fn belongs_to(&self, mailbox: &Mailbox) -> bool {
        let (owner, _) = self.identity.rsplit_once('\\').unwrap_or_default();
        let owner_id = self.row.get("MailboxOwnerId").and_then(Value::as_str);
        let last = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        mailbox.is_named(owner) || owner_id.is_some_and(|id| mailbox.is_named(&last(id)))
    }

    /// Whether it forwards, redirects or deletes, which none of the system rules for junk and absence does.
    fn is_hostile(&self) -> bool {
        [RuleEffect::Forward, RuleEffect::Redirect, RuleEffect::Delete].iter().any(|effect| effect.is_of(&self.row))
    }
}

/// Whose rule it is, as far as name, visibility and effects tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The user's, or the intruder's.
    Ordinary,
    /// The service's own: never touched.
    System,
    /// It has a system rule's name, but is visible or does what that rule never does: for a person to decide.
    Doubtful,
}

fn standing(rule: &Rule, hidden: bool) -> Standing {
    let name = rule.name.as_str();
    let delegate = name.starts_with("Delegate Rule -") || name == "Schedule+ EMS Interface";
    let service = name.eq_ignore_ascii_case("Junk E-mail Rule") || name.starts_with("Microsoft.Exchange.OOF.");
    match (delegate, service) {
        (false, false) => Standing::Ordinary,
        _ if !hidden => Standing::Doubtful,
        (false, true) if rule.is_hostile() => Standing::Doubtful,
        _ => Standing::System,
    }
}

/// An inbox rule as a target.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct RuleTarget {
    pub(crate) user: UserTarget,
    /// GUID of the mailbox.
    pub(crate) mailbox: String,
    /// `<mailbox>\<RuleIdentity>`: sent without `Mailbox`, which Exchange refuses beside it.
    pub(crate) identity: String,
    pub(crate) name: Untrusted,
    /// Shown with `IncludeHidden` only.
    pub(crate) hidden: bool,
    /// With the name the natural key: a rule that is made again has a new identity.
    pub(crate) content: Content,
    /// Rules that say the same under the same name: they are not this one.
    pub(crate) twins: Vec<String>,
}

impl RuleTarget {
    /// What plan and report show. One lane for a mailbox: its rules are changed one after the other.
    pub(crate) fn describe(&self) -> Target {
        let id = self.identity.rsplit('\\').next().unwrap_or_default();
        Target {
            kind: "inbox-rule".into(),
            id: id.to_owned(),
            name: self.name.clone(),
            of: Some(self.user.user_principal_name.as_str().into()),
            lane: self.user.id.clone(),
            owner: Some(self.user.id.clone()),
            workload: None,
            data: Value::Null,
        }
    }

    /// The parameters that address the rule, without a question.
    pub(crate) fn parameters(&self) -> Map<String, Value> {
        addressed(json!(self.identity))
    }

    /// Reads the rule: under its identity, or else the one rule that says the same under the same name.
    pub(crate) async fn find(&self, tenant: &Reader) -> Result<Option<Rule>, ReadError> {
        let anchor = &self.user.user_principal_name;
        let rules = gone_is_none(rules(tenant, anchor, &self.mailbox, true).await)?;
        Ok(rules.and_then(|rules| self.pick(rules)))
    }

    fn pick(&self, rules: Vec<Rule>) -> Option<Rule> {
        if let Some(at) = rules.iter().position(|rule| rule.identity == self.identity) {
            return rules.into_iter().nth(at);
        }
        let mut alike: Vec<Rule> = rules
            .into_iter()
            .filter(|rule| {
                rule.name == self.name.raw()
                    && !self.twins.contains(&rule.identity)
                    && same(&content(&rule.row), &self.content)
            })
            .collect();
        let only = alike.pop();
        only.filter(|_| alike.is_empty())
    }

    /// The target as it is now, if it is under another identity.
    pub(crate) fn moved(&self, seen: Option<&Rule>) -> Option<Self> {
        let seen = seen.filter(|rule| rule.identity != self.identity)?;
        Some(Self { identity: seen.identity.clone(), ..self.clone() })
    }
}

/// Parameters of a cmdlet that changes the rule with this identity.
pub(crate) fn addressed(identity: Value) -> Map<String, Value> {
    let mut parameters = Map::new();
    parameters.insert("Identity".into(), identity);
    parameters.insert("Confirm".into(), json!(false));
    parameters.insert("Force".into(), json!(true));
    parameters
}

/// A rule that was found, with its row.
pub(crate) struct FoundRule {
    /// The target and its evidence.
    pub(crate) found: Found<RuleTarget>,
    /// Lower numbers run first.
    pub(crate) priority: Option<i64>,
}

/// The rules of a user's mailbox that have one of the effects; of no effects, all rules.
pub(crate) async fn resolve(
    tenant: &Reader,
    user: &UserRef,
    effects: &[RuleEffect],
) -> Result<Vec<FoundRule>, ReadError> {
    let account = Account::find(tenant, user).await?;
    let user = UserTarget::of(&account);
    let mailbox = mailbox(tenant, &user).await?;
    let anchor = &user.user_principal_name;
    let key = mailbox.key().unwrap_or(anchor);
    let (all, visible) = futures_util::try_join!(rules(tenant, anchor, key, true), rules(tenant, anchor, key, false))?;
    for rule in all.iter().chain(&visible) {
        if !rule.belongs_to(&mailbox) {
            return Err(error(ReadErrorKind::Malformed, anchor, "the answer has rules of another mailbox"));
        }
    }
    Ok(choose(&user, key, all, &visible, effects))
}

async fn mailbox(tenant: &Reader, user: &UserTarget) -> Result<Mailbox, ReadError> {
    let upn = &user.user_principal_name;
    let mut parameters = Map::new();
    parameters.insert("Identity".into(), json!(upn));
    let read = tenant.cmdlet::<Mailbox>(ReadCmdlet::GetMailbox, upn, parameters).await;
    let rows = read.map_err(|error| match error.kind {
        // The user is there, so it is the mailbox that is not.
        ReadErrorKind::NotFound => ReadError { kind: ReadErrorKind::NoMailbox, ..error },
        _ => error,
    })?;
    let ours = |mailbox: &Mailbox| {
        let id = mailbox.external_directory_object_id.as_deref();
        id.is_some_and(|id| id.eq_ignore_ascii_case(&user.id))
    };
    rows.into_iter()
        .find(ours)
        .ok_or_else(|| error(ReadErrorKind::NoMailbox, upn, "no mailbox belongs to this user's object id"))
}

async fn rules(tenant: &Reader, anchor: &str, mailbox: &str, hidden: bool) -> Result<Vec<Rule>, ReadError> {
    let mut parameters = Map::new();
    parameters.insert("Mailbox".into(), json!(mailbox));
    if hidden {
        parameters.insert("IncludeHidden".into(), json!(true));
    }
    parameters.insert("ResultSize".into(), json!("Unlimited"));
    tenant.cmdlet(ReadCmdlet::GetInboxRule, anchor, parameters).await
}

fn error(kind: ReadErrorKind, user: &str, message: &str) -> ReadError {
    ReadError {
        kind,
        what: format!("the mailbox of {}", Untrusted::from(user).term()),
        status: None,
        code: "mailbox".into(),
        message: message.into(),
        request_id: None,
    }
}

fn choose(
    user: &UserTarget,
    mailbox: &str,
    all: Vec<Rule>,
    visible: &[Rule],
    effects: &[RuleEffect],
) -> Vec<FoundRule> {
    let keys: Vec<(String, String, Content)> =
        all.iter().map(|rule| (rule.identity.clone(), rule.name.clone(), content(&rule.row))).collect();
    let mut found = Vec::new();
    for rule in all {
        let hidden = !visible.iter().any(|it| it.identity == rule.identity);
        let standing = standing(&rule, hidden);
        let meant = effects.is_empty() || effects.iter().any(|effect| effect.is_of(&rule.row));
        let opaque = !rule.is_supported() || !shows_actions(&rule.row);
        if standing == Standing::System || !(meant || opaque) {
            continue;
        }
        let content = content(&rule.row);
        let twins = keys
            .iter()
            .filter(|(id, name, said)| *id != rule.identity && *name == rule.name && same(said, &content))
            .map(|(id, _, _)| id.clone())
            .collect();
        found.push(FoundRule {
            priority: rule.priority,
            found: Found {
                certain: meant && standing == Standing::Ordinary,
                note: note(&rule, hidden, standing),
                caveats: caveats(opaque),
                target: RuleTarget {
                    user: user.clone(),
                    mailbox: mailbox.to_owned(),
                    identity: rule.identity,
                    name: rule.name.into(),
                    hidden,
                    content,
                    twins,
                },
            },
        });
    }
    found
}

fn note(rule: &Rule, hidden: bool, standing: Standing) -> Untrusted {
    let mut parts = Vec::new();
    if hidden {
        parts.push("hidden".to_owned());
    }
    if standing == Standing::Doubtful {
        parts.push("named like a system rule, but not like one otherwise".to_owned());
    }
    parts.push(if rule.enabled { "enabled" } else { "disabled" }.to_owned());
    if rule.flag("SupportedByTask") == Some(false) {
        parts.push("not made by a cmdlet".to_owned());
    }
    if rule.flag("InError") == Some(true) {
        parts.push("in error".to_owned());
    }
    let words = in_words(&rule.row);
    parts.push(if words.is_empty() { "shows no action".to_owned() } else { words });
    parts.join("; ").into()
}

fn caveats(opaque: bool) -> Vec<Caveat> {
    let mut caveats = vec![Caveat::new(
        CaveatKind::AffectsEvidence,
        "any change of a rule also deletes Outlook's client-side rules in this mailbox, and the mailbox log may then \
         show a HardDelete of \"Outlook Rules Organizer\", which is ours",
    )];
    if opaque {
        caveats.push(Caveat::new(CaveatKind::BlindSpot, "the tenant does not show all that this rule does"));
    }
    caveats
}

#[cfg(test)]
#[path = "inbox_tests.rs"]
pub(crate) mod tests;
