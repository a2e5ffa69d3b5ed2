//! The pages that are derived from the actions: one for each, and the list of permissions. Pure: what to do with the
//! text is the caller's business.

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use crate::{
    action::{DynAction, Example, Registry},
    model::{Catalog, Meta, Permission, Service},
};

const GENERATED: &str = "<!-- Generated from the code. Do not edit: `tests/tidy.rs` says how to make it again. -->";

/// The page of one action as Markdown: what its input's rustdoc says, the input field by field, examples, and what
/// `META` knows.
pub fn page(action: &dyn DynAction) -> String {
    let (meta, schema) = (action.meta(), action.input_schema());
    let about = schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let parts = [
        GENERATED.to_owned(),
        format!("# {}", meta.title),
        format!("`{}`", meta.id),
        about.replace("\n# ", "\n## "),
        format!("## Input\n\n{}", inputs(&schema)),
        format!("## Examples\n\n{}", examples(meta.id, action.examples())),
        format!("## Facts\n\n{}", facts(meta)),
        format!("## Sources\n\n{}", sources(meta)),
    ];
    parts.join("\n\n") + "\n"
}

/// The permissions page as Markdown: what a registration needs to plan and, apart from that, to change.
pub fn permissions(registry: Registry, guards: &[Permission]) -> String {
    let metas: Vec<&Meta> = registry.iter().map(DynAction::meta).collect();
    let reads = metas.iter().flat_map(|meta| meta.reads);
    let writes = metas.iter().flat_map(|meta| meta.writes);
    let roles: BTreeSet<&str> = metas.iter().flat_map(|meta| meta.roles).copied().collect();
    let roles = roles.into_iter().map(|role| format!("- {role}")).collect::<Vec<_>>().join("\n");
    let rows = metas.iter().map(|meta| {
        format!(
            "| [`{id}`](actions/{id}.md) | {} | {} | {} |",
            names(meta.reads),
            names(meta.writes),
            list(meta.roles.iter().copied()),
            id = meta.id
        )
    });
    let parts = [
        GENERATED.to_owned(),
        "# Permissions".to_owned(),
        "Application permissions, the least privileged that is enough. A plan needs the first list only; a run needs the \
         second besides, and is best left to an application of its own. Taken together they amount to control over \
         the tenant's accounts: keep that credential accordingly."
            .to_owned(),
        format!("## To plan\n\n{}", union(reads)),
        format!("## To change, besides\n\n{}", union(writes)),
        format!(
            "## For the guards, besides\n\nThey read for a plan, and again for whoever applies it. What cannot be read is said on every plan as `BLIND`, and refuses the plan \
             where the profile says `strict_guards`. Any permission of a line is enough.\n\n{}",
            any_of(guards)
        ),
        format!("## Roles\n\nFor our service principal, besides the permissions:\n\n{roles}"),
        "An account that holds a directory role itself can be changed only by a higher role: give our service \
         principal that role for the incident, not for ever."
            .to_owned(),
        format!(
            "## By action\n\n| action | to plan | to change, besides | roles |\n|---|---|---|---|\n{}",
            rows.collect::<Vec<_>>().join("\n")
        ),
    ];
    parts.join("\n\n") + "\n"
}

/// The least privileged name of every permission once, by service.
fn union<'a>(permissions: impl Iterator<Item = &'a Permission>) -> String {
    let least: BTreeSet<(Service, &str)> = permissions.map(|it| (it.service, it.least())).collect();
    let lines = least.into_iter().map(|(service, name)| format!("- {}: `{name}`", shown(service)));
    lines.collect::<Vec<_>>().join("\n")
}

fn shown(service: Service) -> &'static str {
    match service {
        Service::Graph => "Microsoft Graph",
        Service::Exchange => "Office 365 Exchange Online",
    }
}

fn names(permissions: &[Permission]) -> String {
    list(permissions.iter().map(Permission::least))
}

/// Least privileged first, and what is accepted instead.
fn any_of(permissions: &[Permission]) -> String {
    let lines = permissions.iter().map(|permission| format!("- {}", list(permission.any_of.iter().copied())));
    lines.collect::<Vec<_>>().join("\n")
}

fn with_higher(permissions: &[Permission]) -> String {
    let each = permissions.iter().map(|permission| {
        let higher: Vec<&str> = permission.any_of.iter().skip(1).copied().collect();
        if higher.is_empty() {
            format!("`{}`", permission.least())
        } else {
            format!("`{}` (or {})", permission.least(), list(higher.into_iter()))
        }
    });
    each.collect::<Vec<_>>().join("<br>")
}

fn list<'a>(words: impl Iterator<Item = &'a str>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    if words.is_empty() { "none".to_owned() } else { words.join(", ") }
}

/// The word under which a value is serialised.
fn word(value: impl Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().unwrap_or_default().to_owned()
}

fn facts(meta: &Meta) -> String {
    let clouds: Vec<String> = meta.part.clouds().iter().map(word).collect();
    let instead = meta.instead.map(|id| format!("[`{id}`]({id}.md)"));
    let rows = [
        ("Changes", Some(format!("{}: {}", meta.target_kind, word(meta.effect)))),
        ("Gentler", instead),
        ("Destroys", meta.destroys.then(|| "yes: needs `--allow-irreversible`".to_owned())),
        ("Made even where it looks right", meta.always.then(|| "yes".to_owned())),
        ("To plan", Some(with_higher(meta.reads))),
        ("To change, besides", Some(with_higher(meta.writes))),
        ("Roles", (!meta.roles.is_empty()).then(|| meta.roles.join(", "))),
        ("Licence", meta.licence.map(|licence| licence.name().to_owned())),
        ("Clouds", Some(clouds.join(", "))),
        ("Seen within", Some(format!("{} s", meta.propagation.as_secs()))),
    ];
    let rows = rows.into_iter().map(|(name, value)| (name.to_owned(), value));
    let rows = rows.chain(Catalog::ALL.map(|catalog| countered(catalog, meta)));
    let rows = rows.filter_map(|(name, value)| Some(format!("| {name} | {} |", value?)));
    format!("| | |\n|---|---|\n{}", rows.collect::<Vec<_>>().join("\n"))
}

/// The ids of a catalogue with their names, each under its page where it has one.
fn countered(catalog: Catalog, meta: &Meta) -> (String, Option<String>) {
    let version = catalog.version().map(|version| format!(" {version}")).unwrap_or_default();
    let each = catalog.ids(meta).iter().map(|id| {
        let id_shown = catalog.url(id).map_or_else(|| (*id).to_owned(), |url| format!("[{id}]({url})"));
        format!("{id_shown} {}", catalog.name_of(id).unwrap_or_default())
    });
    let ids: Vec<String> = each.collect();
    (format!("{}{version}", catalog.name()), (!ids.is_empty()).then(|| ids.join("<br>")))
}

fn sources(meta: &Meta) -> String {
    let lines = meta.sources.iter().map(|source| format!("- [{}]({})", source.title, source.url));
    lines.collect::<Vec<_>>().join("\n")
}

fn examples(id: &str, examples: &[Example]) -> String {
    let each = examples.iter().map(|example| {
        let input: Vec<String> = example.input.lines().map(|line| format!("    {line}")).collect();
        format!("{}:\n\n```yaml\ndo:\n  {id}:\n{}\n```", example.title, input.join("\n"))
    });
    each.collect::<Vec<_>>().join("\n\n")
}

/// The fields of an input, as a table.
fn inputs(schema: &Value) -> String {
    let required = schema.get("required").and_then(Value::as_array);
    let fields = schema.get("properties").and_then(Value::as_object);
    let rows = fields.into_iter().flatten().map(|(name, field)| {
        let needed = required.is_some_and(|all| all.iter().any(|it| it == name));
        format!("| `{name}` | {} | {} | {} |", kind(field), if needed { "yes" } else { "no" }, one_line(field))
    });
    let table =
        format!("| key | type | required | meaning |\n|---|---|---|---|\n{}", rows.collect::<Vec<_>>().join("\n"));
    match alternatives(schema) {
        None => table,
        Some(keys) => format!("{table}\n\nExactly one of {keys} is given."),
    }
}

/// Keys of which exactly one is given: `oneOf` of `required` at the top of the schema.
fn alternatives(schema: &Value) -> Option<String> {
    let branches = schema.get("oneOf")?.as_array()?;
    let keys = branches.iter().filter_map(|branch| branch.get("required")?.get(0)?.as_str());
    let keys: Vec<String> = keys.map(|key| format!("`{key}`")).collect();
    Some(keys.join(", "))
}

fn one_line(field: &Value) -> String {
    let text = field.get("description").and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|")
}

/// The type of a field, as a playbook writes it.
fn kind(field: &Value) -> String {
    let text = |key: &str| field.get(key).and_then(Value::as_str);
    let branches = |key: &str| field.get(key).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_null = |branch: &&Value| branch.get("type").and_then(Value::as_str) == Some("null");
    if let Some(constant) = text("const") {
        return format!("`{constant}`");
    }
    for key in ["oneOf", "anyOf"] {
        let kinds: Vec<String> = branches(key).iter().filter(|it| !is_null(it)).map(kind).collect();
        if !kinds.is_empty() {
            return kinds.join(" or ");
        }
    }
    let types = field.get("type");
    let first = types.and_then(|it| it.as_str().or_else(|| it.get(0)?.as_str()));
    match (text("format"), first) {
        (Some("user"), _) => "user".to_owned(),
        (Some("service-principal"), _) => "application".to_owned(),
        (Some("date-time"), _) => "timestamp with offset".to_owned(),
        (_, Some("array")) => format!("list of {}", field.get("items").map(kind).unwrap_or_default()),
        (_, Some("boolean")) => "true or false".to_owned(),
        (_, Some("integer")) => "whole number".to_owned(),
        (_, Some(other)) => other.to_owned(),
        (_, None) => "any".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{alternatives, inputs, kind, union};
    use crate::model::Permission;

    #[test]
    fn a_type_reads_as_a_playbook_writes_it() {
        let cases = [
            (json!({"type": "string", "format": "user"}), "user"),
            (json!({"type": ["string", "null"], "format": "date-time"}), "timestamp with offset"),
            (
                json!({"anyOf": [{"oneOf": [{"const": "sealed"}, {"const": "discard"}]}, {"type": "null"}]}),
                "`sealed` or `discard`",
            ),
            (
                json!({"type": "array", "items": {"oneOf": [{"const": "move"}, {"const": "copy"}]}}),
                "list of `move` or `copy`",
            ),
            (json!({"type": "boolean"}), "true or false"),
            (json!({}), "any"),
        ];
        for (schema, words) in cases {
            assert_eq!(kind(&schema), words);
        }
    }

    #[test]
    fn a_field_is_one_row_and_cannot_break_the_table() {
        let schema = json!({
            "properties": {"user": {"type": "string", "description": "a\nb | c"}, "app": {"type": "string"}},
            "required": ["user"],
            "oneOf": [{"required": ["app"]}, {"required": ["user"]}]
        });
        assert!(inputs(&schema).contains("| `user` | string | yes | a b \\| c |\n| `app` | string | no |  |"));
        assert_eq!(alternatives(&schema).as_deref(), Some("`app`, `user`"));
    }

    #[test]
    fn a_permission_stands_once() {
        let graph = Permission::graph(&["User.Read.All", "Directory.Read.All"]);
        let exchange = Permission::exchange(&["Exchange.ManageAsApp"]);
        assert_eq!(
            union([graph, exchange, graph].iter()),
            "- Microsoft Graph: `User.Read.All`\n- Office 365 Exchange Online: `Exchange.ManageAsApp`"
        );
    }
}
