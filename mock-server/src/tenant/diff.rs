//! What differs between two states.

use serde::Serialize;
use serde_json::{Map, Value};

use super::state::{AREAS, State};

/// One property that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Where: area, object id and property, joined by slashes.
    pub path: String,
    /// The value before; null where there was none.
    pub before: Value,
    /// The value now; null where there is none.
    pub after: Value,
}

/// The differences from `before` to `now`, in the order of the dump.
#[must_use]
pub fn between(before: &State, now: &State) -> Vec<Difference> {
    let mut out = Vec::new();
    for area in AREAS {
        for id in (area.changed)(now, before) {
            let (old, new) = ((area.row)(before, id), (area.row)(now, id));
            compare(format!("{}/{id}", area.name), old.as_ref(), new.as_ref(), &mut out);
        }
    }
    out
}

fn compare(path: String, before: Option<&Value>, after: Option<&Value>, out: &mut Vec<Difference>) {
    match (before, after) {
        (Some(Value::Object(before)), Some(Value::Object(after))) => objects(&path, before, after, out),
        (before, after) if before == after => {}
        (before, after) => out.push(Difference {
            path,
            before: before.cloned().unwrap_or_default(),
            after: after.cloned().unwrap_or_default(),
        }),
    }
}

fn objects(path: &str, before: &Map<String, Value>, after: &Map<String, Value>, out: &mut Vec<Difference>) {
    for (name, value) in before {
        compare(format!("{path}/{name}"), Some(value), after.get(name), out);
    }
    for (name, value) in after.iter().filter(|(name, _)| !before.contains_key(*name)) {
        compare(format!("{path}/{name}"), None, Some(value), out);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_differs_is_listed() {
        let mut out = Vec::new();
        let before = json!({"a": 1, "b": {"c": [1], "d": null}, "gone": true});
        let after = json!({"a": 1, "b": {"c": [2], "d": null}, "new": 0});
        compare("x".to_owned(), Some(&before), Some(&after), &mut out);
        let paths: Vec<_> = out.iter().map(|difference| difference.path.as_str()).collect();
        assert_eq!(paths, ["x/b/c", "x/gone", "x/new"]);
        assert_eq!(out[1].after, Value::Null);
    }
}
