//! The types of values, shared by inputs and by the arguments of actions: their names, the form of a value, bounds.
//!
//! Pure: a JSON value comes in, the normalised JSON value or the reason why not goes out. Places in a file belong elsewhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::source::{describe_suspicious, is_suspicious, quote};

/// What one value is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A user principal name or an object id.
    User,
    /// The object id or the application id of a service principal. Not a name: names are the attacker's choice, and not unique.
    ServicePrincipal,
    /// RFC 3339 with an offset; normalised to UTC.
    Timestamp,
    /// `true` or `false`.
    Bool,
    /// A whole number of 64 bits.
    Integer,
    /// Any text.
    Text,
    /// One of these words.
    Choice(Vec<String>),
}

/// The type of a value: one of a kind, or a list of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Type {
    /// What one value is.
    pub kind: Kind,
    /// Whether it is a list.
    pub many: bool,
}

/// Bounds of a list's length, an integer's value or a text's length in characters; inclusive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// The least.
    pub min: Option<i64>,
    /// The most.
    pub max: Option<i64>,
}

/// The names of the types of inputs, as written after `type:`.
pub(super) const TYPE_NAMES: &[&str] =
    &["user", "users", "timestamp", "bool", "integer", "choice", "text", "service-principals"];

impl Type {
    /// The type of an input by its name; a choice comes without its words.
    pub(super) fn named(name: &str) -> Option<Self> {
        let (kind, many) = match name {
            "user" => (Kind::User, false),
            "users" => (Kind::User, true),
            "timestamp" => (Kind::Timestamp, false),
            "bool" => (Kind::Bool, false),
            "integer" => (Kind::Integer, false),
            "choice" => (Kind::Choice(Vec::new()), false),
            "text" => (Kind::Text, false),
            "service-principals" => (Kind::ServicePrincipal, true),
            _ => return None,
        };
        Some(Self { kind, many })
    }

    /// The type's name in the language, such as `users`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match (&self.kind, self.many) {
            (Kind::User, false) => "user",
            (Kind::User, true) => "users",
            (Kind::ServicePrincipal, false) => "service-principal",
            (Kind::ServicePrincipal, true) => "service-principals",
            (Kind::Timestamp, false) => "timestamp",
            (Kind::Timestamp, true) => "timestamps",
            (Kind::Bool, false) => "bool",
            (Kind::Bool, true) => "bools",
            (Kind::Integer, false) => "integer",
            (Kind::Integer, true) => "integers",
            (Kind::Text, false) => "text",
            (Kind::Text, true) => "texts",
            (Kind::Choice(_), false) => "choice",
            (Kind::Choice(_), true) => "choices",
        }
    }

    /// Whether a value of `self` may stand where `place` is wanted.
    pub(super) fn fits(&self, place: &Self) -> bool {
        self.many == place.many
            && match (&self.kind, &place.kind) {
                (Kind::Choice(mine), Kind::Choice(allowed)) => mine.iter().all(|word| allowed.contains(word)),
                (Kind::Choice(_), Kind::Text) => true,
                (mine, wanted) => mine == wanted,
            }
    }

    /// Whether `min` and `max` mean anything for it.
    pub(super) fn is_bounded(&self) -> bool {
        self.many || matches!(self.kind, Kind::Integer | Kind::Text)
    }

    /// The normalised value, or the reason why it is none of this type. A list loses its repetitions.
    pub(super) fn normalise(&self, value: &Value) -> Result<Value, String> {
        if !self.many {
            return self.kind.normalise(value);
        }
        let Value::Array(items) = value else {
            return Err(format!("expected a list of {}, found {}", self.name(), describe(value)));
        };
        let mut list: Vec<Value> = Vec::with_capacity(items.len());
        for item in items {
            let item = self.kind.normalise(item)?;
            if !list.iter().any(|other| same(other, &item)) {
                list.push(item);
            }
        }
        Ok(Value::Array(list))
    }
}

impl Bounds {
    /// The reason why a normalised value is out of bounds.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let (measure, unit) = match value {
            Value::Array(items) => (i64::try_from(items.len()).unwrap_or(i64::MAX), " entries"),
            Value::String(text) => (i64::try_from(text.chars().count()).unwrap_or(i64::MAX), " characters"),
            Value::Number(number) => (number.as_i64().unwrap_or(i64::MAX), ""),
            _ => return Ok(()),
        };
        match *self {
            Self { min: Some(min), .. } if measure < min => Err(format!("{measure}{unit}, but at least {min} needed")),
            Self { max: Some(max), .. } if measure > max => Err(format!("{measure}{unit}, but at most {max} allowed")),
            _ => Ok(()),
        }
    }

    /// Whether everything within `self` is within `outer`.
    pub(super) fn within(&self, outer: &Self) -> bool {
        let above = outer.min.is_none_or(|least| self.min.is_some_and(|min| min >= least));
        let below = outer.max.is_none_or(|most| self.max.is_some_and(|max| max <= most));
        above && below
    }
}

impl Kind {
    /// The normalised value, or the reason why it is none of this kind.
    pub(super) fn normalise(&self, value: &Value) -> Result<Value, String> {
        match (self, value) {
            (Self::Bool, Value::Bool(_)) => Ok(value.clone()),
            (Self::Integer, Value::Number(number)) if number.is_i64() => Ok(value.clone()),
            (Self::Bool | Self::Integer, _) => Err(self.expected(value)),
            (_, Value::String(text)) => self.normalise_text(text).map(Value::String),
            _ => Err(self.expected(value)),
        }
    }

    /// The value that a text on the command line stands for.
    pub(super) fn parse(&self, text: &str) -> Result<Value, String> {
        let value = match self {
            Self::Bool => text.parse().map(Value::Bool).ok(),
            Self::Integer => text.parse::<i64>().map(Value::from).ok(),
            _ => None,
        };
        self.normalise(&value.unwrap_or_else(|| Value::from(text)))
    }

    fn normalise_text(&self, text: &str) -> Result<String, String> {
        match self {
            Self::User => user(text),
            Self::ServicePrincipal => object_id(text).ok_or_else(|| {
                format!(
                    "{} is no object id or application id; names are not accepted, they are not unique",
                    quote(text)
                )
            }),
            Self::Timestamp => timestamp(text),
            Self::Choice(words) if !words.iter().any(|word| word == text) => {
                Err(format!("expected one of {}, found {}", words.join(", "), quote(text)))
            }
            _ => match text.chars().find(|c| *c != '\n' && is_suspicious(*c)) {
                Some(c) => Err(describe_suspicious(c)),
                None => Ok(text.to_owned()),
            },
        }
    }

    fn expected(&self, found: &Value) -> String {
        let wanted = match self {
            Self::User => "a user: a user principal name or an object id".to_owned(),
            Self::ServicePrincipal => "a service principal: an object id or an application id".to_owned(),
            Self::Timestamp => "a time such as 2023-12-12T13:50:17Z".to_owned(),
            Self::Bool => "`true` or `false`, without quotes".to_owned(),
            Self::Integer => "a whole number, without quotes".to_owned(),
            Self::Text => "text".to_owned(),
            Self::Choice(words) => format!("one of {}", words.join(", ")),
        };
        format!("expected {wanted}, found {}", describe(found))
    }
}

fn describe(value: &Value) -> String {
    match value {
        Value::Null => "nothing".to_owned(),
        Value::Bool(value) => format!("the boolean `{value}`"),
        Value::Number(value) => format!("the number `{value}`"),
        Value::String(text) => format!("the text {}", quote(text)),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "a map".to_owned(),
    }
}

/// User principal names are compared without regard to case.
fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::String(a), Value::String(b)) => a.eq_ignore_ascii_case(b),
        _ => a == b,
    }
}

fn object_id(text: &str) -> Option<String> {
    const HYPHENATED: usize = 36;
    let id = Uuid::try_parse(text).ok().filter(|_| text.len() == HYPHENATED)?;
    Some(id.hyphenated().to_string())
}

/// A user principal name has the characters that Graph documents for `userPrincipalName` (letters and digits of ASCII and
/// `' . - _ ! # ^ ~`), of which `#` is accepted only in the `#EXT#` of a guest: elsewhere it would cut a URL short.
fn user(text: &str) -> Result<String, String> {
    if let Some(id) = object_id(text) {
        return Ok(id);
    }
    let refuse = |why: &str| Err(format!("{} is no user: {why}", quote(text)));
    if text.is_empty() {
        return refuse("it is empty");
    }
    if let Some(c) = text.chars().find(|c| is_suspicious(*c)) {
        return refuse(&describe_suspicious(c));
    }
    let Some((local, domain)) = text.split_once('@') else {
        return refuse("it is neither a user principal name (name@domain) nor an object id");
    };
    let upper = local.to_ascii_uppercase();
    let name = upper.strip_suffix("#EXT#").unwrap_or(&upper);
    if name.is_empty() || domain.is_empty() {
        return refuse("a part beside the `@` is missing");
    }
    let wrong = name.chars().find(|c| !(c.is_ascii_alphanumeric() || "'.-_!^~".contains(*c)));
    let wrong = wrong.or_else(|| domain.chars().find(|c| !(c.is_ascii_alphanumeric() || ".-".contains(*c))));
    match wrong {
        Some(c) => refuse(&format!("`{c}` cannot stand in a user principal name; an object id always works")),
        None => Ok(text.to_owned()),
    }
}

fn timestamp(text: &str) -> Result<String, String> {
    let example = "write it as 2023-12-12T13:50:17Z or 2023-12-12T22:50:17+09:00";
    if !has_rfc3339_shape(text) {
        return Err(format!("{} is no time with date and offset: {example}", quote(text)));
    }
    match text.parse::<Timestamp>() {
        Ok(time) => Ok(time.to_string()),
        Err(_) => Err(format!("{} is no time of the calendar: {example}", quote(text))),
    }
}

/// jiff also reads other forms (a space, an hour alone as offset, a zone in brackets), whose reading is less plain.
fn has_rfc3339_shape(text: &str) -> bool {
    let matches = |text: &str, pattern: &str| {
        text.len() == pattern.len()
            && text.bytes().zip(pattern.bytes()).all(
                |(c, wanted)| {
                    if wanted == b'0' { c.is_ascii_digit() } else { c == wanted }
                },
            )
    };
    let Some((date_time, rest)) = text.split_at_checked("0000-00-00T00:00:00".len()) else {
        return false;
    };
    let offset =
        rest.strip_prefix('.').map_or(rest, |fraction| fraction.trim_start_matches(|c: char| c.is_ascii_digit()));
    let fraction = rest.len() - offset.len();
    matches(date_time, "0000-00-00T00:00:00")
        && (fraction == 0 || (2..=10).contains(&fraction))
        && (offset == "Z" || matches(offset, "+00:00") || matches(offset, "-00:00"))
}
