//! `$filter`: a subset of the expression language, parsed once and asked of JSON rows.
//!
//! Comparisons with `eq ne ge gt le lt in`, `startswith`, `endswith`, `contains`, `any` over collections, `and or not`.

use jiff::Timestamp;
use serde_json::Value;

use super::filter_parse::Parser;
use crate::reply::Fail;

/// A parsed filter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    /// Both hold.
    And(Box<Self>, Box<Self>),
    /// Either holds.
    Or(Box<Self>, Box<Self>),
    /// It does not hold.
    Not(Box<Self>),
    /// A property against a literal.
    Compare(Path, Operator, Value),
    /// A property against several literals.
    In(Path, Vec<Value>),
    /// A string function of a property and a literal.
    Text(TextFunction, Path, String),
    /// Some element of a collection fulfils the inner filter; with none: the collection is not empty.
    Any(Path, Option<Box<Self>>),
}

/// A property path, split at its slashes; inside `any` without the variable.
pub(crate) type Path = Vec<String>;

/// A comparison operator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Eq,
    Ne,
    Ge,
    Gt,
    Le,
    Lt,
}

/// A function of two strings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextFunction {
    StartsWith,
    EndsWith,
    Contains,
}

impl Filter {
    /// Parses an expression; what cannot be parsed is Graph's 400.
    pub(crate) fn parse(text: &str) -> Result<Self, Fail> {
        Parser::new(text)
            .and_then(Parser::finish)
            .map_err(|reason| Fail::bad_request(&format!("Invalid filter clause: {reason}")))
    }

    /// Parses and refuses properties that the collection cannot be filtered by.
    pub(crate) fn parse_for(text: &str, resource: &str, allowed: &[&str]) -> Result<Self, Fail> {
        let filter = Self::parse(text)?;
        let mut refused = None;
        filter.each_path(&mut Vec::new(), &mut |path| {
            if !allowed.iter().any(|name| name.eq_ignore_ascii_case(path)) {
                refused = Some(path.to_owned());
            }
        });
        refused.map_or(Ok(filter), |path| {
            Err(Fail::graph(
                400,
                "Request_UnsupportedQuery",
                &format!(
                    "Unsupported or invalid query filter clause specified for property '{path}' of resource '{resource}'."
                ),
            ))
        })
    }

    /// Whether the directory serves it only as an advanced query.
    pub(crate) fn needs_eventual(&self) -> Option<&'static str> {
        match self {
            Self::And(a, b) | Self::Or(a, b) => a.needs_eventual().or_else(|| b.needs_eventual()),
            Self::Not(_) => Some("not"),
            Self::Compare(_, Operator::Ne, _) => Some("ne"),
            Self::Text(TextFunction::EndsWith, ..) => Some("endsWith"),
            Self::Any(_, Some(inner)) => inner.needs_eventual(),
            _ => None,
        }
    }

    /// The literal that `name` must equal, where the whole filter is just that.
    pub(crate) fn equals(&self, name: &str) -> Option<&str> {
        match self {
            Self::Compare(path, Operator::Eq, Value::String(value)) => match path.as_slice() {
                [only] if only.eq_ignore_ascii_case(name) => Some(value),
                _ => None,
            },
            _ => None,
        }
    }

    fn each_path(&self, prefix: &mut Path, visit: &mut dyn FnMut(&str)) {
        let mut see = |prefix: &Path, path: &Path| {
            visit(&[prefix.as_slice(), path.as_slice()].concat().join("/"));
        };
        match self {
            Self::And(a, b) | Self::Or(a, b) => {
                a.each_path(prefix, visit);
                b.each_path(prefix, visit);
            }
            Self::Not(inner) => inner.each_path(prefix, visit),
            Self::Compare(path, ..) | Self::In(path, _) | Self::Text(_, path, _) => {
                see(prefix, path);
            }
            Self::Any(path, None) => see(prefix, path),
            Self::Any(path, Some(inner)) => {
                let depth = prefix.len();
                prefix.extend(path.iter().cloned());
                inner.each_path(prefix, visit);
                prefix.truncate(depth);
            }
        }
    }

    /// Whether a row fulfils it.
    pub(crate) fn matches(&self, row: &Value) -> bool {
        match self {
            Self::And(a, b) => a.matches(row) && b.matches(row),
            Self::Or(a, b) => a.matches(row) || b.matches(row),
            Self::Not(inner) => !inner.matches(row),
            Self::Compare(path, operator, literal) => compare(lookup(row, path), *operator, literal),
            Self::In(path, literals) => {
                literals.iter().any(|literal| compare(lookup(row, path), Operator::Eq, literal))
            }
            Self::Text(function, path, literal) => {
                lookup(row, path).as_str().is_some_and(|text| text_function(*function, text, literal))
            }
            Self::Any(path, inner) => match lookup(row, path) {
                Value::Array(items) => items.iter().any(|item| inner.as_ref().is_none_or(|inner| inner.matches(item))),
                _ => false,
            },
        }
    }
}

fn lookup<'a>(row: &'a Value, path: &Path) -> &'a Value {
    path.iter().fold(row, |value, name| {
        if name.is_empty() {
            return value;
        }
        let fields = value.as_object();
        fields
            .and_then(|fields| fields.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)))
            .map_or(&Value::Null, |(_, value)| value)
    })
}

fn text_function(function: TextFunction, text: &str, literal: &str) -> bool {
    let (text, literal) = (text.to_lowercase(), literal.to_lowercase());
    match function {
        TextFunction::StartsWith => text.starts_with(&literal),
        TextFunction::EndsWith => text.ends_with(&literal),
        TextFunction::Contains => text.contains(&literal),
    }
}

fn compare(value: &Value, operator: Operator, literal: &Value) -> bool {
    let order = match (value, literal) {
        (Value::String(a), Value::String(b)) => Some(order_text(a, b)),
        (Value::Number(a), Value::Number(b)) => a.as_f64().partial_cmp(&b.as_f64()),
        (Value::Bool(a), Value::Bool(b)) => Some(a.cmp(b)),
        (Value::Null, Value::Null) => Some(std::cmp::Ordering::Equal),
        _ => None,
    };
    match operator {
        Operator::Eq => order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::Ne => !order.is_some_and(std::cmp::Ordering::is_eq),
        Operator::Ge => order.is_some_and(std::cmp::Ordering::is_ge),
        Operator::Gt => order.is_some_and(std::cmp::Ordering::is_gt),
        Operator::Le => order.is_some_and(std::cmp::Ordering::is_le),
        Operator::Lt => order.is_some_and(std::cmp::Ordering::is_lt),
    }
}

fn order_text(a: &str, b: &str) -> std::cmp::Ordering {
    match (a.parse::<Timestamp>(), b.parse::<Timestamp>()) {
        (Ok(a), Ok(b)) => a.cmp(&b),
        _ => a.to_lowercase().cmp(&b.to_lowercase()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn holds(filter: &str, row: &Value) -> bool {
        Filter::parse(filter).unwrap().matches(row)
    }

    #[test]
    fn equality_ignores_case_and_knows_doubled_quotes() {
        assert!(holds("mail eq 'O''Brien@X.example'", &json!({"mail": "o'brien@x.example"})));
        assert!(!holds("mail eq 'a'", &json!({"mail": null})));
        assert!(holds("mail eq null", &json!({})));
    }

    #[test]
    fn times_compare_as_instants() {
        let row = json!({"activityDateTime": "2023-12-12T13:55:36.1234567Z"});
        assert!(holds("activityDateTime ge 2023-12-12T13:55:36Z", &row));
        assert!(holds("activityDateTime le 2023-12-12T15:00:00+01:00", &row));
        assert!(!holds("activityDateTime ge 2023-12-12T13:55:37Z", &row));
    }

    #[test]
    fn any_looks_into_a_collection() {
        let row = json!({"targetResources": [{"id": "1"}, {"id": "2"}]});
        assert!(holds("targetResources/any(t: t/id eq '2')", &row));
        assert!(!holds("targetResources/any(t:t/id eq '3')", &row));
        assert!(holds("tags/any(t:t eq 'x')", &json!({"tags": ["x"]})));
    }

    #[test]
    fn and_binds_closer_than_or() {
        let row = json!({"a": 1, "b": 2});
        assert!(holds("a eq 1 or a eq 2 and b eq 9", &row));
        assert!(!holds("(a eq 1 or a eq 2) and b eq 9", &row));
        assert!(holds("not (b eq 9)", &row));
        assert!(holds("a in (3, 1)", &row));
    }

    #[test]
    fn an_unlisted_property_is_refused() {
        let failure = Filter::parse_for("city eq 'x'", "User", &["mail"]).unwrap_err();
        assert_eq!(failure.code(), "Request_UnsupportedQuery");
        assert!(Filter::parse_for("initiatedBy/user/id eq 'x'", "A", &["initiatedBy/user/id"]).is_ok());
        assert!(Filter::parse_for("t/any(x:x/id eq 'x')", "A", &["t/id"]).is_ok());
    }

    #[test]
    fn nonsense_is_refused() {
        for text in ["", "a", "a eq", "a eq 'x", "(a eq 1", "a eq 1 b", "a like 'x'", "any(x:"] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }
}
