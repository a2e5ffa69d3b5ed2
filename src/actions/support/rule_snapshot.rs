//! The snapshot of an inbox rule: all that is needed to make it again, and why that may not be possible.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{
    actions::support::{
        inbox::{Rule, RuleTarget},
        rule_content::{Content, content, internal, new_rule_parameters, recipients_mut, unsettable, without_address},
    },
    client::{ReadError, ReadErrorKind, Reader},
    model::{Irreversible, ReadCmdlet, Untrusted},
};

/// All that is needed to make the rule again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Snapshot {
    /// Not unique, and not always something to see.
    name: Untrusted,
    /// Whether it runs.
    pub(crate) enabled: bool,
    /// Shifts when other rules come and go, so it is no part of a comparison.
    priority: Option<i64>,
    content: Content,
    /// Why it cannot be made again.
    lost: Vec<String>,
}

impl Snapshot {
    /// Takes the snapshot, with addresses where the row shows names only.
    pub(crate) async fn take(tenant: &Reader, target: &RuleTarget, rule: &Rule) -> Result<Self, ReadError> {
        let content = with_addresses(tenant, target, content(&rule.row)).await?;
        Ok(Self::of(target, rule, content))
    }

    fn of(target: &RuleTarget, rule: &Rule, content: Content) -> Self {
        Self {
            name: rule.name.as_str().into(),
            enabled: rule.enabled,
            priority: rule.priority,
            lost: lost(target, rule, &content),
            content,
        }
    }

    /// Whether both are the same rule, enabled or not.
    pub(crate) fn says_the_same(&self, other: &Self) -> bool {
        (&self.name, &self.content) == (&other.name, &other.content)
    }

    /// The parameters of the `New-InboxRule` that makes the rule again.
    pub(crate) fn new_rule(&self, target: &RuleTarget) -> Result<Map<String, Value>, Irreversible> {
        if !self.lost.is_empty() {
            let why = self.lost.join("; ");
            return Err(Irreversible(format!("the rule cannot be made again: {why}")));
        }
        let mut parameters = Map::new();
        parameters.insert("Mailbox".into(), json!(target.mailbox));
        parameters.insert("Name".into(), json!(self.name.raw()));
        parameters.extend(self.priority.map(|at| ("Priority".to_owned(), json!(at))));
        parameters.extend(new_rule_parameters(&self.content, &target.mailbox));
        parameters.insert("Confirm".into(), json!(false));
        parameters.insert("Force".into(), json!(true));
        Ok(parameters)
    }
}

/// `Get-Recipient`, as far as it is needed.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Recipient {
    primary_smtp_address: Option<String>,
}

/// Puts an address in the place of every recipient that is shown by legacy name only, where the tenant knows one.
async fn with_addresses(tenant: &Reader, target: &RuleTarget, mut content: Content) -> Result<Content, ReadError> {
    for recipient in recipients_mut(&mut content) {
        let Some(name) = recipient.as_str().and_then(internal) else {
            continue;
        };
        let mut parameters = Map::new();
        parameters.insert("Identity".into(), json!(name));
        let anchor = &target.user.user_principal_name;
        let read = tenant.cmdlet(ReadCmdlet::GetRecipient, anchor, parameters);
        if let Some(address) = only_address(read.await)? {
            *recipient = json!(address);
        }
    }
    Ok(content)
}

/// The address of the one recipient that was found. None found, or not allowed to look: no address.
fn only_address(read: Result<Vec<Recipient>, ReadError>) -> Result<Option<String>, ReadError> {
    match read {
        Ok(rows) => match rows.as_slice() {
            [only] => Ok(only.primary_smtp_address.as_deref().map(str::to_lowercase)),
            _ => Ok(None),
        },
        Err(error) => match error.kind {
            ReadErrorKind::NotFound | ReadErrorKind::Denied | ReadErrorKind::Rejected => Ok(None),
            _ => Err(error),
        },
    }
}

/// Why the rule cannot be made again.
fn lost(target: &RuleTarget, rule: &Rule, content: &Content) -> Vec<String> {
    let shown = |text: &str| Untrusted::from(text).term();
    let mut lost = Vec::new();
    if target.hidden {
        lost.push("it is hidden, and a cmdlet makes no hidden rule".to_owned());
    }
    if !rule.is_supported() {
        lost.push("it is in error, or was not made by a cmdlet".to_owned());
    }
    if rule.name.is_empty() {
        lost.push("it has no name".to_owned());
    }
    let odd = unsettable(&rule.row).into_iter();
    lost.extend(odd.map(|name| format!("no cmdlet sets {}", shown(name))));
    let nobody = without_address(content).into_iter();
    lost.extend(nobody.map(|who| format!("the recipient {} has no address", shown(who))));
    lost
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::{Snapshot, only_address};
    use crate::{
        actions::support::{
            inbox::{
                Rule, RuleTarget,
                tests::{dots, rule, target},
            },
            rule_content::content,
        },
        client::{ReadError, ReadErrorKind},
    };

    /// What a read without recipients to look up takes.
    pub(crate) fn snapshot(target: &RuleTarget, rule: &Rule) -> Snapshot {
        Snapshot::of(target, rule, content(&rule.row))
    }

    #[test]
    fn what_cannot_be_made_again_says_why() {
        let cases = [
            (rule(1, "", json!({"MarkAsRead": true})), "no name"),
            (rule(2, "x", json!({"SupportedByTask": false})), "not made by a cmdlet"),
            (rule(3, "x", json!({"PermanentDelete": true})), "PermanentDelete"),
            (rule(4, "x", json!({"ForwardTo": ["\"x\" [EX:/o=x]"]})), "no address"),
        ];
        for (rule, reason) in cases {
            let target = target(rule.clone());
            let back = snapshot(&target, &rule).new_rule(&target);
            assert!(back.unwrap_err().0.contains(reason), "{reason}");
        }
        let hidden = RuleTarget { hidden: true, ..target(dots()) };
        let back = snapshot(&hidden, &dots()).new_rule(&hidden);
        assert!(back.unwrap_err().0.contains("hidden"));
    }

    #[test]
    fn an_unreadable_recipient_is_no_address_but_a_broken_read_is_an_error() {
        let failed = |kind| ReadError {
            kind,
            what: "x".into(),
            status: None,
            code: String::new(),
            message: "".into(),
            request_id: None,
        };
        assert_eq!(only_address(Err(failed(ReadErrorKind::Denied))).unwrap(), None);
        assert!(only_address(Err(failed(ReadErrorKind::Unavailable))).is_err());
        let row = |address: &str| serde_json::from_value(json!({"PrimarySmtpAddress": address})).unwrap();
        let one = only_address(Ok(vec![row("Rob@sunnyside08.example")]));
        assert_eq!(one.unwrap().as_deref(), Some("rob@sunnyside08.example"));
        assert_eq!(only_address(Ok(vec![row("a"), row("b")])).unwrap(), None);
    }

    #[test]
    fn a_snapshot_survives_the_plan_file() {
        let target = target(dots());
        let before = snapshot(&target, &dots());
        let text = serde_json::to_string(&before).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&text).unwrap(), before);
    }
}
