//! The form of what a run writes as JSON, as a JSON Schema made from the types that write and read it: for whoever checks
//! a record without this program.

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

use crate::{
    journal::{Line, RunHeader, seal::Manifest},
    model::Exchange,
};

/// The JSON of a run.
#[derive(JsonSchema)]
#[allow(dead_code, reason = "only its schema is used")]
#[schemars(title = "The JSON of a staunch run", deny_unknown_fields)]
struct Evidence {
    /// A line of `journal.jsonl`.
    line: Line,
    /// `run.json`.
    header: RunHeader,
    /// `manifest.json`.
    manifest: Manifest,
    /// A `.head` in `evidence/`.
    head: Exchange,
}

/// The JSON Schema (2020-12) of a line, the header, the manifest and the head of an exchange: each is a property, and
/// what a record holds besides is refused.
#[must_use]
pub fn schema() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<Evidence>().to_value()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    /// What `tests/verify.py` reads of JSON Schema; and what says nothing to it, since lists have a length of their own
    /// and numbers are as long as their format.
    const READ: [&str; 11] = [
        "$ref",
        "oneOf",
        "anyOf",
        "type",
        "enum",
        "const",
        "format",
        "items",
        "prefixItems",
        "additionalProperties",
        "required",
    ];
    const SILENT: [&str; 7] = ["title", "description", "default", "minimum", "maximum", "minItems", "maxItems"];

    fn keywords(schema: &Value, found: &mut BTreeSet<String>) {
        let Value::Object(schema) = schema else {
            return;
        };
        for (keyword, value) in schema {
            match (keyword.as_str(), value) {
                ("properties" | "$defs", Value::Object(named)) => named.values().for_each(|one| keywords(one, found)),
                (_, Value::Array(some)) => some.iter().for_each(|one| keywords(one, found)),
                _ => keywords(value, found),
            }
            found.insert(keyword.clone());
        }
    }

    #[test]
    fn the_schema_asks_for_nothing_that_the_second_verifier_does_not_read() {
        let mut found = BTreeSet::new();
        keywords(&super::schema(), &mut found);
        found.retain(|one| !READ.contains(&one.as_str()) && !SILENT.contains(&one.as_str()));
        assert_eq!(found, ["$defs", "$schema", "properties"].map(str::to_owned).into());
    }
}
