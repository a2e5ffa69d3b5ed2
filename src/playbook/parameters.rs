//! What an action takes, read from the JSON Schema of its input: names, types, bounds, which are required, which exclude each
//! other. The one place that knows how schemars writes things down.

use serde_json::{Map, Value};

use super::types::{Bounds, Kind, Type};

/// One argument that an action takes.
#[derive(Debug, Clone)]
pub(super) struct Parameter {
    pub(super) name: String,
    /// `None` if the language has no such type.
    pub(super) shape: Option<(Type, Bounds)>,
    pub(super) required: bool,
    /// The schema of this argument as it came.
    pub(super) fragment: Value,
}

/// All that an action takes.
#[derive(Debug, Clone, Default)]
pub(super) struct Parameters {
    pub(super) list: Vec<Parameter>,
    /// Sets of arguments of which one must be given; from `oneOf` or `anyOf` of `required` at the top of the schema.
    pub(super) alternatives: Vec<Vec<String>>,
    /// Whether the alternatives exclude each other (`oneOf`).
    pub(super) exclusive: bool,
}

impl Parameters {
    /// Reads the schema of an action's input. A schema that is not that of a struct gives no parameters.
    pub(super) fn of(schema: &Value) -> Self {
        let top = follow(schema, schema);
        let required = strings(top.get("required"));
        let properties = top.get("properties").and_then(Value::as_object);
        let list = properties.into_iter().flatten().map(|(name, fragment)| Parameter {
            name: name.clone(),
            shape: shape(fragment, schema, None),
            required: required.contains(name),
            fragment: fragment.clone(),
        });
        let exclusive = top.get("oneOf").is_some();
        let branches = top.get("oneOf").or_else(|| top.get("anyOf")).and_then(Value::as_array);
        let alternatives = branches.into_iter().flatten().map(|branch| strings(branch.get("required")));
        Self { list: list.collect(), alternatives: alternatives.filter(|set| !set.is_empty()).collect(), exclusive }
    }

    pub(super) fn get(&self, name: &str) -> Option<&Parameter> {
        self.list.iter().find(|parameter| parameter.name == name)
    }
}

fn strings(list: Option<&Value>) -> Vec<String> {
    let items = list.and_then(Value::as_array).into_iter().flatten();
    items.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// The schema that a chain of local `$ref`s ends at.
pub(super) fn follow<'v>(schema: &'v Value, root: &'v Value) -> &'v Value {
    const CHAIN: usize = 8;
    let mut schema = schema;
    for _ in 0..CHAIN {
        let reference = schema.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        match reference.and_then(|pointer| root.pointer(pointer)) {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// The type and bounds of a fragment; `null`, by which schemars writes `Option`, is left out.
/// A `format` beside a `$ref` holds over that of the type that is referred to.
fn shape(fragment: &Value, root: &Value, outer: Option<&str>) -> Option<(Type, Bounds)> {
    let schema = follow(fragment, root);
    let format_of = |schema: &'_ Value| schema.get("format").and_then(Value::as_str).map(str::to_owned);
    let format = outer.map(str::to_owned).or_else(|| format_of(fragment)).or_else(|| format_of(schema));
    if let Some(words) = words(schema, root) {
        return Some((Type { kind: Kind::Choice(words), many: false }, Bounds::default()));
    }
    for key in ["anyOf", "oneOf", "allOf"] {
        if let Some(branches) = schema.get(key).and_then(Value::as_array) {
            let mut rest = branches.iter().filter(|branch| !is_null(branch));
            return match (rest.next(), rest.next()) {
                (Some(only), None) => shape(only, root, format.as_deref()),
                _ => None,
            };
        }
    }
    let object = schema.as_object()?;
    let single = |kind, low, high| Some((Type { kind, many: false }, bounds(object, low, high)));
    match type_name(object)? {
        "boolean" => single(Kind::Bool, "", ""),
        "integer" => single(Kind::Integer, "minimum", "maximum"),
        "string" => match format.as_deref() {
            Some("user") => single(Kind::User, "", ""),
            Some("service-principal") => single(Kind::ServicePrincipal, "", ""),
            Some("date-time") => single(Kind::Timestamp, "", ""),
            _ => single(Kind::Text, "minLength", "maxLength"),
        },
        "array" => {
            let (item, _) = shape(object.get("items")?, root, None)?;
            let list = Type { kind: item.kind, many: true };
            (!item.many).then(|| (list, bounds(object, "minItems", "maxItems")))
        }
        _ => None,
    }
}

/// The words of an enum: `enum`, `const`, or branches of these, as schemars writes documented variants.
fn words(schema: &Value, root: &Value) -> Option<Vec<String>> {
    if let Some(word) = schema.get("const") {
        return word.as_str().map(|word| vec![word.to_owned()]);
    }
    if schema.get("enum").is_some() {
        return Some(strings(schema.get("enum"))).filter(|words| !words.is_empty());
    }
    let branches = schema.get("oneOf").or_else(|| schema.get("anyOf"))?.as_array()?;
    let parts = branches.iter().filter(|branch| !is_null(branch)).map(|branch| words(follow(branch, root), root));
    parts.collect::<Option<Vec<_>>>().map(|parts| parts.concat()).filter(|words| !words.is_empty())
}

fn is_null(schema: &Value) -> bool {
    schema.get("type").and_then(Value::as_str) == Some("null")
}

fn type_name(schema: &Map<String, Value>) -> Option<&str> {
    match schema.get("type")? {
        Value::String(name) => Some(name),
        Value::Array(names) => names.iter().filter_map(Value::as_str).find(|name| *name != "null"),
        _ => None,
    }
}

fn bounds(schema: &Map<String, Value>, low: &str, high: &str) -> Bounds {
    let read = |key: &str| schema.get(key).and_then(Value::as_i64);
    Bounds { min: read(low), max: read(high) }
}
