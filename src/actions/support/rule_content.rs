//! What an inbox rule says: its conditions, exceptions and actions, in the closed list of what `New-InboxRule` takes.
//!
//! Source: New-InboxRule, parameter set "Identity" (`exchangepowershell/new-inboxrule`).

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Conditions, exceptions and actions by parameter name, in one canonical form, so that the same rule reads the same
/// whether Outlook or a cmdlet made it.
pub(crate) type Content = BTreeMap<String, Value>;

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// A switch; false is the same as absent.
    Flag,
    /// A single word of an enumeration, or a date.
    Text,
    /// A list of texts.
    Words,
    /// A list of recipients.
    Recipients,
    /// A folder: read as its display name, set as `mailbox:\parent\name`.
    Folder,
    /// Read as `1 MB (1,048,576 bytes)`.
    Size,
}

const ACTIONS: &[(&str, Shape)] = &[
    ("ForwardTo", Shape::Recipients),
    ("ForwardAsAttachmentTo", Shape::Recipients),
    ("RedirectTo", Shape::Recipients),
    ("SendTextMessageNotificationTo", Shape::Words),
    ("DeleteMessage", Shape::Flag),
    ("SoftDeleteMessage", Shape::Flag),
    ("MoveToFolder", Shape::Folder),
    ("CopyToFolder", Shape::Folder),
    ("MarkAsRead", Shape::Flag),
    ("MarkImportance", Shape::Text),
    ("PinMessage", Shape::Flag),
    ("ApplyCategory", Shape::Words),
    ("ApplySystemCategory", Shape::Words),
    ("DeleteSystemCategory", Shape::Words),
    ("StopProcessingRules", Shape::Flag),
];

/// Each has an exception twin, whose name begins with `ExceptIf`.
const CONDITIONS: &[(&str, Shape)] = &[
    ("From", Shape::Recipients),
    ("FromAddressContainsWords", Shape::Words),
    ("SentTo", Shape::Recipients),
    ("RecipientAddressContainsWords", Shape::Words),
    ("SubjectContainsWords", Shape::Words),
    ("BodyContainsWords", Shape::Words),
    ("SubjectOrBodyContainsWords", Shape::Words),
    ("HeaderContainsWords", Shape::Words),
    ("HasAttachment", Shape::Flag),
    ("HasClassification", Shape::Words),
    ("FlaggedForAction", Shape::Text),
    ("MessageTypeMatches", Shape::Text),
    ("WithImportance", Shape::Text),
    ("WithSensitivity", Shape::Text),
    ("MyNameInCcBox", Shape::Flag),
    ("MyNameInToBox", Shape::Flag),
    ("MyNameInToOrCcBox", Shape::Flag),
    ("MyNameNotInToBox", Shape::Flag),
    ("SentOnlyToMe", Shape::Flag),
    ("ReceivedAfterDate", Shape::Text),
    ("ReceivedBeforeDate", Shape::Text),
    ("WithinSizeRangeMaximum", Shape::Size),
    ("WithinSizeRangeMinimum", Shape::Size),
];

/// What a row says about the rule rather than about mail.
const ABOUT: &[&str] = &[
    "Description",
    "DescriptionTimeFormat",
    "DescriptionTimeZone",
    "Enabled",
    "ErrorType",
    "ExchangeVersion",
    "Id",
    "Identity",
    "InError",
    "IsValid",
    "Legacy",
    "MailboxOwnerId",
    "Name",
    "ObjectState",
    "OrganizationId",
    "PSComputerName",
    "PSShowComputerName",
    "Priority",
    "RuleIdentity",
    "RunspaceId",
    "SupportedByTask",
];

/// What a rule does to mail, as a playbook names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RuleEffect {
    /// Sends a copy on, as a message, an attachment or a text message.
    Forward,
    /// Sends it on instead of delivering it.
    Redirect,
    /// Deletes it, softly or for good. Moving it to Deleted Items is `move`.
    Delete,
    /// Moves it to a folder.
    Move,
    /// Copies it to a folder.
    Copy,
    /// Marks it as read.
    MarkRead,
}

impl RuleEffect {
    fn properties(self) -> &'static [&'static str] {
        match self {
            Self::Forward => &["ForwardTo", "ForwardAsAttachmentTo", "SendTextMessageNotificationTo"],
            Self::Redirect => &["RedirectTo"],
            Self::Delete => &["DeleteMessage", "SoftDeleteMessage", "PermanentDelete"],
            Self::Move => &["MoveToFolder"],
            Self::Copy => &["CopyToFolder"],
            Self::MarkRead => &["MarkAsRead"],
        }
    }

    /// Whether a row has this effect.
    pub(crate) fn is_of(self, row: &Map<String, Value>) -> bool {
        self.properties().iter().any(|name| row.get(*name).is_some_and(is_set))
    }
}

fn is_set(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    }
}

fn shape(name: &str) -> Option<Shape> {
    let condition = name.strip_prefix("ExceptIf").unwrap_or(name);
    let find = |list: &[(&str, Shape)], name: &str| {
        let found = list.iter().find(|(known, _)| *known == name)?;
        Some(found.1)
    };
    find(ACTIONS, name).or_else(|| find(CONDITIONS, condition))
}

/// The content of a row.
pub(crate) fn content(row: &Map<String, Value>) -> Content {
    let set = row.iter().filter(|(_, value)| is_set(value));
    set.filter_map(|(name, value)| Some((name.clone(), canonical(shape(name)?, value)))).collect()
}

fn canonical(shape: Shape, value: &Value) -> Value {
    match (shape, value) {
        (Shape::Words, Value::String(one)) => json!([one]),
        (Shape::Recipients, Value::String(one)) => json!([recipient(one)]),
        (Shape::Recipients, Value::Array(list)) => {
            let shown = list.iter().map(|value| value.as_str().map(recipient));
            json!(shown.map(Option::unwrap_or_default).collect::<Vec<_>>())
        }
        (Shape::Folder, Value::String(path)) => {
            json!(path.rsplit_once(":\\").map_or(path.as_str(), |(_, folder)| folder))
        }
        (Shape::Size, Value::String(text)) => json!(bytes(text).unwrap_or_else(|| text.clone())),
        (Shape::Size, number) => json!(number.to_string()),
        (_, value) => value.clone(),
    }
}

/// `1 MB (1,048,576 bytes)` -> `1048576`.
fn bytes(text: &str) -> Option<String> {
    let (_, inner) = text.split_once('(')?;
    let digits: String = inner.split_once(" bytes")?.0.replace(',', "");
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// Whether the row shows any action at all. A rule made by other means than cmdlets may show none.
pub(crate) fn shows_actions(row: &Map<String, Value>) -> bool {
    let acts = ACTIONS.iter().map(|(name, _)| *name).chain(["PermanentDelete"]);
    acts.filter(|name| *name != "StopProcessingRules").any(|name| row.get(name).is_some_and(is_set))
}

/// Properties of the row that are set, but that no cmdlet can set.
pub(crate) fn unsettable(row: &Map<String, Value>) -> Vec<&str> {
    let set = row.iter().filter(|(_, value)| is_set(value));
    set.map(|(name, _)| name.as_str()).filter(|name| !ABOUT.contains(name) && shape(name).is_none()).collect()
}

/// A recipient without its display name: an address in lower case, or `EX:` and the legacy distinguished name of
/// somebody of the organisation, which holds no address. The display name comes first and may imitate an address, so
/// the text is read from its end.
fn recipient(text: &str) -> String {
    let Some(inner) = text.strip_suffix(']') else {
        return text.to_lowercase();
    };
    let marks = [inner.rfind("[SMTP:"), inner.rfind("[EX:")];
    let last = marks.into_iter().flatten().max();
    let named = last.and_then(|at| inner.get(at + 1..));
    match named.map(|named| (named, named.strip_prefix("SMTP:"))) {
        Some((_, Some(address))) => address.to_lowercase(),
        Some((internal, None)) => internal.to_owned(),
        None => text.to_lowercase(),
    }
}

/// The legacy distinguished name of a recipient of the organisation.
pub(crate) fn internal(recipient: &str) -> Option<&str> {
    recipient.strip_prefix("EX:")
}

/// Every recipient in the content.
pub(crate) fn recipients_mut(content: &mut Content) -> impl Iterator<Item = &mut Value> {
    content
        .iter_mut()
        .filter(|(name, _)| shape(name) == Some(Shape::Recipients))
        .filter_map(|(_, value)| value.as_array_mut())
        .flatten()
}

/// Recipients that cannot be sent back, since they are no address.
pub(crate) fn without_address(content: &Content) -> Vec<&str> {
    let lists = content
        .iter()
        .filter(|(name, _)| shape(name) == Some(Shape::Recipients))
        .filter_map(|(_, value)| value.as_array());
    lists
        .flatten()
        .map(|value| value.as_str().unwrap_or_default())
        .filter(|text| internal(text).is_some() || !text.contains('@'))
        .collect()
}

/// Whether two contents say the same, where a recipient of the organisation may be shown by address or by name.
pub(crate) fn same(a: &Content, b: &Content) -> bool {
    let equal = |(name, a): (&String, &Value), b: &Value| match (shape(name), a, b) {
        (Some(Shape::Recipients), Value::Array(a), Value::Array(b)) => {
            let inside = |value: &Value| value.as_str().and_then(internal).is_some();
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a == b || inside(a) != inside(b))
        }
        (_, a, b) => a == b,
    };
    a.len() == b.len() && a.iter().all(|(name, value)| b.get(name).is_some_and(|b| equal((name, value), b)))
}

/// The parameters with which `New-InboxRule` makes this content in a mailbox.
pub(crate) fn new_rule_parameters(content: &Content, mailbox: &str) -> Map<String, Value> {
    let mut parameters: Map<String, Value> = content
        .iter()
        .filter_map(|(name, value)| {
            let value = match (shape(name)?, value) {
                (Shape::Folder, Value::String(folder)) => json!(format!("{mailbox}:\\{folder}")),
                (_, value) => value.clone(),
            };
            Some((name.clone(), value))
        })
        .collect();
    // Its default is not documented, so it is always said.
    parameters.entry("StopProcessingRules").or_insert(Value::Bool(false));
    parameters
}

/// The content in words: `MoveToFolder Deleted Items; MarkAsRead; if SubjectContainsWords a, b; unless …`.
pub(crate) fn in_words(row: &Map<String, Value>) -> String {
    let content = content(row);
    let mut parts: Vec<String> = Vec::new();
    let named = |list: &[(&str, Shape)], before: &str, prefix: &str, parts: &mut Vec<String>| {
        for (name, _) in list {
            if let Some(value) = content.get(&format!("{prefix}{name}")) {
                parts.push(format!("{before}{name}{}", value_in_words(value)));
            }
        }
    };
    named(ACTIONS, "", "", &mut parts);
    parts.extend(unsettable(row).into_iter().map(str::to_owned));
    named(CONDITIONS, "if ", "", &mut parts);
    named(CONDITIONS, "unless ", "ExceptIf", &mut parts);
    parts.join("; ")
}

fn value_in_words(value: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match value {
        Value::Bool(_) => String::new(),
        Value::Array(list) => format!(" {}", list.iter().map(text).collect::<Vec<_>>().join(", ")),
        other => format!(" {}", text(other)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{
        RuleEffect, content, in_words, new_rule_parameters, recipient, same, shows_actions, unsettable, without_address,
    };

    fn row(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    fn dots() -> Map<String, Value> {
        row(json!({
            "Name": "..", "Enabled": true, "Priority": 1, "RuleIdentity": 17_097_852_595_923_320_833_u64,
            "SubjectOrBodyContainsWords": ["Re: REVISED INVOICE"], "ExceptIfFrom": null, "HasAttachment": false,
            "MoveToFolder": "Deleted Items", "MarkAsRead": true, "ForwardTo": [], "StopProcessingRules": true
        }))
    }

    #[test]
    fn only_what_is_set_counts() {
        let content = content(&dots());
        let names: Vec<_> = content.keys().map(String::as_str).collect();
        assert_eq!(names, ["MarkAsRead", "MoveToFolder", "StopProcessingRules", "SubjectOrBodyContainsWords"]);
        assert!(unsettable(&dots()).is_empty());
    }

    #[test]
    fn effects_are_told_apart() {
        let has = |effect: RuleEffect| effect.is_of(&dots());
        assert!(has(RuleEffect::Move) && has(RuleEffect::MarkRead));
        assert!(!has(RuleEffect::Forward) && !has(RuleEffect::Delete) && !has(RuleEffect::Copy));
        assert!(RuleEffect::Delete.is_of(&row(json!({"PermanentDelete": true}))));
        assert!(!shows_actions(&row(json!({"StopProcessingRules": true}))));
    }

    #[test]
    fn an_action_that_no_cmdlet_sets_is_named() {
        let odd = row(json!({"PermanentDelete": true, "FromSubscription": ["x"], "Legacy": true}));
        assert_eq!(unsettable(&odd), ["PermanentDelete", "FromSubscription"]);
    }

    #[test]
    fn a_display_name_cannot_imitate_an_address() {
        assert_eq!(recipient(r#""x" [SMTP:X@collector.example]"#), "x@collector.example");
        assert_eq!(recipient("x@collector.example"), "x@collector.example");
        assert_eq!(recipient(r#""[SMTP:ceo@sunnyside08.example]" [SMTP:x@collector.example]"#), "x@collector.example");
        assert_eq!(
            recipient(r#""[SMTP:a@b.example]" [EX:/o=ExchangeLabs/cn=johanna]"#),
            "EX:/o=ExchangeLabs/cn=johanna"
        );
        assert_eq!(recipient("Rob Knight"), "rob knight");
    }

    #[test]
    fn a_recipient_may_be_shown_in_two_ways() {
        let to = |text: &str| content(&row(json!({"ForwardTo": [text], "MarkAsRead": true})));
        let (inside, by_address) = (to("\"x\" [EX:/o=x]"), to("x@sunnyside08.example"));
        assert!(same(&inside, &by_address) && same(&by_address, &inside));
        assert!(!same(&inside, &to("\"y\" [EX:/o=y]")));
        assert!(!same(&by_address, &to("y@sunnyside08.example")));
        assert!(!same(&inside, &content(&row(json!({"MarkAsRead": true})))));
    }

    #[test]
    fn a_rule_is_made_again_from_its_content() {
        let content = content(&row(json!({
            "MoveToFolder": "Deleted Items", "WithinSizeRangeMinimum": "1 MB (1,048,576 bytes)",
            "ForwardTo": ["\"x\" [EX:/o=ExchangeLabs/cn=x]"], "From": "a@b.example"
        })));
        assert_eq!(without_address(&content), ["EX:/o=ExchangeLabs/cn=x"]);
        let parameters = new_rule_parameters(&content, "guid");
        assert_eq!(
            Value::Object(parameters),
            json!({
                "ForwardTo": ["EX:/o=ExchangeLabs/cn=x"],
                "From": ["a@b.example"],
                "MoveToFolder": "guid:\\Deleted Items",
                "WithinSizeRangeMinimum": "1048576",
                "StopProcessingRules": false
            })
        );
    }

    #[test]
    fn a_folder_reads_the_same_however_it_was_set() {
        let set = content(&row(json!({"MoveToFolder": "guid:\\Deleted Items"})));
        assert_eq!(set, content(&row(json!({"MoveToFolder": "Deleted Items"}))));
    }

    #[test]
    fn the_words_say_what_it_does_and_when() {
        assert_eq!(
            in_words(&dots()),
            "MoveToFolder Deleted Items; MarkAsRead; StopProcessingRules; \
             if SubjectOrBodyContainsWords Re: REVISED INVOICE"
        );
    }
}
