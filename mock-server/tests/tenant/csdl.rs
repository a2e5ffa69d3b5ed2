//! A reader of Graph's metadata (CSDL), as far as the comparison needs it.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use serde_json::Value;

/// What the metadata says.
#[derive(Debug, Default)]
pub(crate) struct Metadata {
    types: BTreeMap<String, Type>,
    enums: BTreeMap<String, Vec<String>>,
    roots: BTreeMap<String, String>,
    /// Bound actions and functions by name.
    actions: Vec<String>,
}

#[derive(Debug, Default)]
struct Type {
    base: Option<String>,
    properties: BTreeMap<String, String>,
}

impl Metadata {
    pub(crate) fn parse(text: &str) -> Self {
        let document = Document::parse(text).unwrap();
        let mut metadata = Self::default();
        for schema in document.descendants().filter(|node| node.has_tag_name_local("Schema")) {
            let namespace = schema.attribute("Namespace").unwrap_or_default();
            for node in schema.children().filter(Node::is_element) {
                metadata.element(namespace, node);
            }
        }
        metadata
    }

    fn element(&mut self, namespace: &str, node: Node<'_, '_>) {
        let name = node.attribute("Name").unwrap_or_default();
        let full = format!("{namespace}.{name}");
        match node.tag_name().name() {
            "EntityType" | "ComplexType" => {
                let mut kind = Type { base: node.attribute("BaseType").map(qualified), ..Type::default() };
                for property in
                    node.children().filter(|child| matches!(child.tag_name().name(), "Property" | "NavigationProperty"))
                {
                    let target = qualified(property.attribute("Type").unwrap());
                    kind.properties.insert(property.attribute("Name").unwrap().to_owned(), target);
                }
                self.types.insert(full, kind);
            }
            "EnumType" => {
                let members = node.children().filter_map(|member| member.attribute("Name"));
                self.enums.insert(full, members.map(str::to_owned).collect());
            }
            "Action" | "Function" => self.actions.push(name.to_owned()),
            "EntityContainer" => {
                for set in node.children().filter(Node::is_element) {
                    let collection = set.attribute("EntityType").map(|t| format!("Collection({})", qualified(t)));
                    let single = set.attribute("Type").map(qualified);
                    if let (Some(name), Some(target)) = (set.attribute("Name"), collection.or(single)) {
                        self.roots.insert(name.to_owned(), target);
                    }
                }
            }
            _ => {}
        }
    }

    fn property(&self, kind: &str, name: &str) -> Option<&str> {
        let mut at = self.types.get(kind);
        while let Some(found) = at {
            if let Some(target) = found.properties.get(name) {
                return Some(target);
            }
            at = found.base.as_ref().and_then(|base| self.types.get(base));
        }
        None
    }

    /// The type that a path leads to; an action's own answer is not described.
    pub(crate) fn resolve(&self, path: &str) -> Result<Option<String>, String> {
        let mut segments = path.split('/').skip(1);
        let first = segments.next().unwrap_or_default();
        let mut at = self.roots.get(first).ok_or(format!("no entity set '{first}'"))?.clone();
        for segment in segments {
            at = match (segment, element_of(&at)) {
                ("$ref" | "$count", _) => return Ok(None),
                ("{}", Some(element)) => element.to_owned(),
                // A well-known folder's name stands for its id.
                ("inbox", Some(element)) => element.to_owned(),
                (cast, Some(_)) if cast.starts_with("microsoft.graph.") => {
                    format!("Collection({cast})")
                }
                (name, element) => match self.property(element.unwrap_or(&at), name) {
                    Some(target) => target.to_owned(),
                    None if self.actions.iter().any(|action| action == name) => return Ok(None),
                    None => return Err(format!("'{at}' has no '{name}'")),
                },
            };
        }
        Ok(Some(at))
    }

    /// Every place where a value is not what the metadata says.
    pub(crate) fn check(&self, value: &Value, kind: &str, out: &mut Vec<String>) {
        if value.is_null() {
            return;
        }
        if let Some(element) = element_of(kind) {
            match value.as_array() {
                Some(items) => items.iter().for_each(|item| self.check(item, element, out)),
                None => out.push(format!("{kind}: {value} is no collection")),
            }
            return;
        }
        if let Some(primitive) = kind.strip_prefix("Edm.") {
            if !is_primitive(value, primitive) {
                out.push(format!("{kind}: {value}"));
            }
            return;
        }
        if let Some(members) = self.enums.get(kind) {
            if !value.as_str().is_some_and(|text| members.iter().any(|member| member == text)) {
                out.push(format!("{kind}: {value}"));
            }
            return;
        }
        self.check_object(value, kind, out);
    }

    fn check_object(&self, value: &Value, kind: &str, out: &mut Vec<String>) {
        let Some(fields) = value.as_object() else {
            out.push(format!("{kind}: {value} is no object"));
            return;
        };
        let tagged = fields.get("@odata.type").and_then(Value::as_str).map(|tag| tag.trim_start_matches('#'));
        let kind = tagged.unwrap_or(kind);
        if !self.types.contains_key(kind) {
            out.push(format!("{kind}: no such type"));
            return;
        }
        for (name, field) in fields.iter().filter(|(name, _)| !name.contains('@')) {
            match self.property(kind, name) {
                Some(target) => {
                    let mut inner = Vec::new();
                    self.check(field, target, &mut inner);
                    out.extend(inner.into_iter().map(|wrong| format!("{}.{name}: {wrong}", short(kind))));
                }
                // Directory objects are open types; a name that is not listed is still worth a reason.
                None => out.push(format!("{}.{name} is not in the metadata", short(kind))),
            }
        }
    }
}

fn short(kind: &str) -> &str {
    kind.rsplit('.').next().unwrap_or(kind)
}

fn element_of(kind: &str) -> Option<&str> {
    kind.strip_prefix("Collection(")?.strip_suffix(')')
}

fn qualified(name: &str) -> String {
    if let Some(element) = element_of(name) {
        return format!("Collection({})", qualified(element));
    }
    match name.split_once('.') {
        Some(("graph", rest)) => format!("microsoft.graph.{rest}"),
        // The one other alias of the file.
        Some(("self", rest)) => format!("microsoft.graph.security.{rest}"),
        _ => name.to_owned(),
    }
}

fn is_primitive(value: &Value, primitive: &str) -> bool {
    match primitive {
        "Boolean" => value.is_boolean(),
        "Int16" | "Int32" | "Int64" | "Byte" => value.is_i64() || value.is_u64(),
        "Double" | "Single" | "Decimal" => value.is_number(),
        "Guid" => value.as_str().is_some_and(|text| uuid::Uuid::parse_str(text).is_ok()),
        "DateTimeOffset" => value.as_str().is_some_and(|text| text.parse::<jiff::Timestamp>().is_ok()),
        _ => value.is_string(),
    }
}

/// Tag names with or without a namespace.
trait LocalName {
    fn has_tag_name_local(&self, name: &str) -> bool;
}

impl LocalName for Node<'_, '_> {
    fn has_tag_name_local(&self, name: &str) -> bool {
        self.tag_name().name() == name
    }
}
