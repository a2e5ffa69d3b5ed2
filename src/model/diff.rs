//! The difference between two states, in words that are safe on a terminal.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::model::{Untrusted, json_for_terminal};

/// One property that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Difference {
    /// Its name, `/`-separated below the top.
    pub name: String,
    /// Before, escaped for a terminal.
    pub before: String,
    /// After, escaped for a terminal.
    pub after: String,
}

/// The properties in which two states differ, in the order of the first.
pub fn diff(before: &Value, after: &Value) -> Vec<Difference> {
    let mut out = Vec::new();
    walk("", before, after, &mut out);
    out
}

/// One value, escaped for a terminal.
pub fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => Untrusted::from(text.as_str()).term(),
        other => json_for_terminal(&other.to_string()),
    }
}

fn walk(at: &str, before: &Value, after: &Value, out: &mut Vec<Difference>) {
    if before == after {
        return;
    }
    if let (Value::Object(old), Value::Object(new)) = (before, after) {
        let added = new.keys().filter(|key| !old.contains_key(*key));
        for key in old.keys().chain(added) {
            let name = if at.is_empty() { key.clone() } else { format!("{at}/{key}") };
            walk(&name, old.get(key).unwrap_or(&Value::Null), new.get(key).unwrap_or(&Value::Null), out);
        }
        return;
    }
    let name = if at.is_empty() { "state".to_owned() } else { at.to_owned() };
    out.push(Difference { name, before: shown(before), after: shown(after) });
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::diff;

    #[test]
    fn only_what_differs_is_listed() {
        let differences =
            diff(&json!({"a": 1, "b": {"c": true, "d": 2}}), &json!({"a": 1, "b": {"c": false, "d": 2}, "e": "x"}));
        let shown: Vec<String> =
            differences.iter().map(|d| format!("{}: {} → {}", d.name, d.before, d.after)).collect();
        assert_eq!(shown, ["b/c: true → false", "e: none → \"x\""]);
    }

    #[test]
    fn hostile_values_are_escaped() {
        let differences = diff(&json!("\u{1b}[2J"), &json!({"k": "\u{202e}"}));
        assert!(!format!("{differences:?}").contains(['\u{1b}', '\u{202e}']));
    }
}
