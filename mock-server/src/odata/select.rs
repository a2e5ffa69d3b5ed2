//! `$select`: which properties of a row are shown.

use serde_json::{Map, Value};

use super::query::Query;
use crate::reply::Fail;

/// What a type shows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// The type's name without its namespace.
    pub(crate) type_name: &'static str,
    /// The properties of an answer without `$select`; `None` where all are.
    pub(crate) defaults: Option<&'static [&'static str]>,
    /// Properties of the type whose value the tenant does not model: selected, they are null.
    pub(crate) unmodelled: &'static [&'static str],
}

impl Shape {
    /// The row as the query asks for it.
    pub(crate) fn project(&self, row: Map<String, Value>, query: &Query) -> Result<Map<String, Value>, Fail> {
        match query.get("$select") {
            Some(list) if !list.trim().is_empty() && list.trim() != "*" => self.selected(row, list),
            _ => Ok(match self.defaults {
                Some(names) => pick(row, names.iter().copied()),
                None => row,
            }),
        }
    }

    fn selected(&self, row: Map<String, Value>, list: &str) -> Result<Map<String, Value>, Fail> {
        let mut out = Map::new();
        if let Some(type_tag) = row.get("@odata.type") {
            out.insert("@odata.type".to_owned(), type_tag.clone());
        }
        // Graph adds the key whether it was asked for or not.
        if let Some(id) = row.get("id") {
            out.insert("id".to_owned(), id.clone());
        }
        for name in list.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            let root = name.split('/').next().unwrap_or(name);
            match row.iter().find(|(key, _)| key.eq_ignore_ascii_case(root)) {
                Some((key, value)) => out.insert(key.clone(), value.clone()),
                None => out.insert(self.unmodelled_name(root)?.to_owned(), Value::Null),
            };
        }
        Ok(out)
    }

    fn unmodelled_name(&self, name: &str) -> Result<&'static str, Fail> {
        let found = self.unmodelled.iter().find(|known| known.eq_ignore_ascii_case(name));
        found.copied().ok_or_else(|| {
            Fail::graph(
                400,
                "BadRequest",
                &format!(
                    "Parsing OData Select and Expand failed: Could not find a property named '{name}' on type 'microsoft.graph.{}'.",
                    self.type_name
                ),
            )
        })
    }
}

fn pick<'a>(mut row: Map<String, Value>, names: impl Iterator<Item = &'a str>) -> Map<String, Value> {
    names.filter_map(|name| row.remove(name).map(|value| (name.to_owned(), value))).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SHAPE: Shape = Shape { type_name: "user", defaults: Some(&["id", "mail"]), unmodelled: &["aboutMe"] };

    fn project(query: &str) -> Result<Value, Fail> {
        let row = json!({"id": "1", "mail": "m", "accountEnabled": true});
        let Value::Object(row) = row else { panic!() };
        SHAPE.project(row, &Query::parse(query)).map(Value::Object)
    }

    #[test]
    fn only_the_defaults_come_unasked() {
        assert_eq!(project("").unwrap(), json!({"id": "1", "mail": "m"}));
    }

    #[test]
    fn a_selected_property_comes_with_the_key() {
        assert_eq!(project("$select=AccountEnabled").unwrap(), json!({"id": "1", "accountEnabled": true}));
        assert_eq!(project("$select=aboutMe").unwrap(), json!({"id": "1", "aboutMe": null}));
    }

    #[test]
    fn an_unknown_property_is_refused() {
        assert!(project("$select=nope").is_err());
    }
}
