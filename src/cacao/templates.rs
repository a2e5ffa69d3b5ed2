//! The calls of an action with the tenant's own ids taken out: what a playbook's step would send, for any target.
//!
//! They are made from what an action plans for its first example on the rehearsal tenant, and kept beside this file as
//! `calls.json`; `tests/cacao.rs` makes them again and compares.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{
    client::{Sketch, sketch},
    model::{Call, Service, Target},
};

/// What is kept.
const KEPT: &str = include_str!("calls.json");

/// The calls of one action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Template {
    /// Title of the example that they were planned for.
    pub example: String,
    /// The type of the example's target, where the tenant has several under one kind: another has another path.
    pub only_for: Option<String>,
    /// Variables that stand in them, by name, with what each holds.
    pub variables: BTreeMap<String, String>,
    /// In the order in which they are sent.
    pub calls: Vec<TemplateCall>,
}

/// One call; a variable stands in it as `__name__:value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemplateCall {
    /// Whose.
    pub service: Service,
    /// HTTP method.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Headers.
    pub headers: BTreeMap<String, String>,
    /// Body.
    pub body: Option<Value>,
}

/// The variable that holds the tenant's id.
pub(super) const TENANT: &str = "tenant_id";

impl Template {
    /// Takes the ids of a planned change out of its calls.
    pub fn of(example: &str, target: &Target, calls: &[Call]) -> Self {
        let mut names = Names::of(target);
        let calls = calls.iter().filter_map(|call| sketch(&call.write, &reference(TENANT)));
        let calls = calls.map(|call| names.take_out(call)).collect();
        let Names { used, .. } = names;
        let kind = target.data.get("kind").and_then(Value::as_str);
        let only_for = kind.and_then(|kind| kind.strip_prefix("#microsoft.graph.")).map(str::to_owned);
        Self { example: example.to_owned(), only_for, variables: used, calls }
    }
}

/// The templates of all actions, by the action's id; none when the kept file cannot be read, which a test excludes.
pub fn templates() -> BTreeMap<String, Template> {
    serde_json::from_str(KEPT).unwrap_or_default()
}

/// How CACAO refers to a variable's value (CACAO 2.0, 10.18).
pub(super) fn reference(name: &str) -> String {
    format!("__{name}__:value")
}

/// The target's own values, and the variables that were put in their place.
struct Names {
    /// Value, variable, meaning.
    known: Vec<(String, String, String)>,
    used: BTreeMap<String, String>,
}

impl Names {
    fn of(target: &Target) -> Self {
        let mut names = Self { known: Vec::new(), used: BTreeMap::new() };
        names.learn(&target.kind.replace('-', "_"), &target.data);
        names
    }

    /// Every text of the target's data, named after its place: `user.id` is `user_id`.
    fn learn(&mut self, of: &str, value: &Value) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let key_name = snake(key);
            match value {
                Value::String(text) => {
                    let says_it = key_name.starts_with(&format!("{of}_")) && key_name != format!("{of}_id");
                    let name = if says_it { key_name } else { format!("{of}_{key_name}") };
                    self.known.push((text.clone(), name, format!("`{key}` of the {}", of.replace('_', " "))));
                }
                Value::Object(_) => self.learn(&key_name, value),
                _ => {}
            }
        }
    }

    /// The variable for a whole value; the value itself where it is none of the target's.
    fn name(&mut self, value: &str) -> Option<String> {
        let (_, name, meaning) = self.known.iter().find(|(known, ..)| known == value)?;
        self.used.insert(name.clone(), meaning.clone());
        Some(reference(name))
    }

    fn take_out(&mut self, call: Sketch) -> TemplateCall {
        let decoded = |segment: &str| percent_encoding::percent_decode_str(segment).decode_utf8_lossy().into_owned();
        if call.path.contains(&reference(TENANT)) {
            self.used.insert(TENANT.to_owned(), "id of the tenant".to_owned());
        }
        let segments = call.path.split('/').map(|segment| self.name(&decoded(segment)).unwrap_or(segment.to_owned()));
        let path = segments.collect::<Vec<_>>().join("/");
        let headers = call.headers.into_iter().map(|(name, value)| {
            let value = self.name(&value).unwrap_or(value);
            (name, value)
        });
        let headers = headers.collect();
        let body = call.body.map(|body| self.take_out_of(body));
        TemplateCall { service: call.service, method: call.method.to_owned(), path, headers, body }
    }

    fn take_out_of(&mut self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.name(&text).unwrap_or(text)),
            Value::Array(items) => items.into_iter().map(|item| self.take_out_of(item)).collect(),
            Value::Object(map) => self.placeholder(&map).unwrap_or_else(|| {
                Value::Object(map.into_iter().map(|(key, value)| (key, self.take_out_of(value))).collect())
            }),
            other => other,
        }
    }

    /// `{"$secret": name}` and `{"$found": name}`: filled in when the call is sent.
    fn placeholder(&mut self, map: &Map<String, Value>) -> Option<Value> {
        let (key, value) = map.iter().next().filter(|_| map.len() == 1)?;
        let meaning = match key.as_str() {
            "$secret" => "a new secret: made when the call is sent, handed over in person, never written down here",
            "$found" => "known only after the call before it",
            _ => return None,
        };
        let name = snake(value.as_str()?);
        self.used.insert(name.clone(), meaning.to_owned());
        Some(Value::String(reference(&name)))
    }
}

/// `userPrincipalName` as `user_principal_name`.
fn snake(name: &str) -> String {
    let mut out = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        match c {
            'A'..='Z' if !out.is_empty() && !out.ends_with('_') => {
                out.push('_');
                out.push(c.to_ascii_lowercase());
            }
            c if c.is_ascii_alphanumeric() => out.push(c.to_ascii_lowercase()),
            _ => out.push('_'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Template, snake};
    use crate::model::{Call, GraphPath, Replay, Target, Untrusted, Verb};

    #[test]
    fn ids_of_the_target_become_variables_and_nothing_else_does() {
        let target = Target {
            kind: "auth-method".into(),
            id: "m1".into(),
            name: Untrusted::from("users"),
            of: None,
            lane: "u1".into(),
            owner: None,
            workload: None,
            data: json!({"user": {"id": "u1", "userPrincipalName": "a@b.example"}, "id": "m1", "label": "x",
                "kind": "#microsoft.graph.phoneAuthenticationMethod"}),
        };
        let path = GraphPath::v1().fixed("users").id("u1").fixed("authentication/methods").id("m1");
        let body = json!({"for": "a@b.example", "new": Call::secret("password"), "words": "a@b.example too", "n": 1});
        let call = Call::graph(Verb::Patch, path, Some(body), Replay::Set);
        let template = Template::of("an example", &target, &[call]);
        let found = &template.calls[0];
        assert_eq!(found.path, "/v1.0/users/__user_id__:value/authentication/methods/__auth_method_id__:value");
        let body = json!({"for": "__user_principal_name__:value", "new": "__password__:value",
            "words": "a@b.example too", "n": 1});
        assert_eq!(found.body, Some(body));
        assert_eq!(template.only_for.as_deref(), Some("phoneAuthenticationMethod"));
        let names: Vec<&str> = template.variables.keys().map(String::as_str).collect();
        assert_eq!(names, ["auth_method_id", "password", "user_id", "user_principal_name"]);
    }

    #[test]
    fn names_are_written_in_one_way() {
        assert_eq!(snake("userPrincipalName"), "user_principal_name");
        assert_eq!(snake("inbox-rule"), "inbox_rule");
    }
}
