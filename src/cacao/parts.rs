//! What the steps refer to: variables, external references, agents with their authentication, targets.

use serde_json::{Map, Value, json};

use super::{Ids, object, templates::reference};
use crate::{
    client::Endpoints,
    model::{Catalog, Cloud, Meta, Service},
    playbook::{Counters, InputDecl, Kind, Playbook},
};

/// Activity of a command that looks for something.
pub(super) const FIND: &str = "analyze-collected-data";
/// Activity of a command that orders steps.
pub(super) const STEPS: &str = "step-sequence";

/// What steps add to beside the workflow.
pub(super) struct Refs<'a> {
    pub(super) references: &'a mut References,
    pub(super) variables: &'a mut Variables,
}

/// The playbook's external references, each once.
#[derive(Default)]
pub(super) struct References(Vec<Value>);

impl References {
    /// What the playbook says that it counters.
    pub(super) fn counters(&mut self, counters: &Counters) {
        for catalog in Catalog::ALL {
            for id in counters.ids(catalog) {
                self.add(of_catalog(catalog, id));
            }
        }
    }

    /// What an action counters, and why responders use it; also returned, for the step.
    pub(super) fn of(&mut self, meta: &Meta) -> Vec<Value> {
        let ids = Catalog::ALL.into_iter().flat_map(|catalog| {
            let ids = catalog.ids(meta).iter();
            ids.map(move |id| of_catalog(catalog, id))
        });
        let sources = meta.sources.iter().map(|source| json!({"name": source.title, "url": source.url}));
        let all: Vec<Value> = ids.chain(sources).collect();
        for reference in &all {
            self.add(reference.clone());
        }
        all
    }

    fn add(&mut self, reference: Value) {
        if !self.0.contains(&reference) {
            self.0.push(reference);
        }
    }

    pub(super) fn into_list(self) -> Vec<Value> {
        self.0
    }
}

fn of_catalog(catalog: Catalog, id: &str) -> Value {
    let version = catalog.version().map(|version| format!(" {version}")).unwrap_or_default();
    Value::Object(object(json!({
        "name": format!("{}{version}", catalog.name()),
        "description": catalog.name_of(id),
        "external_id": id,
        "url": catalog.url(id),
    })))
}

/// The playbook's variables. A value is a text or unknown (CACAO 2.0, 10.18).
pub(super) struct Variables(Map<String, Value>);

impl Variables {
    /// The inputs.
    pub(super) fn of(playbook: &Playbook) -> Self {
        let mut variables = Self(Map::new());
        for input in playbook.inputs() {
            variables.0.insert(variable(&input.name), declared(input));
        }
        variables
    }

    /// One that the steps fill in.
    pub(super) fn add(&mut self, name: &str, kind: &str, description: &str, value: Option<&str>) {
        let it = object(json!({"type": kind, "description": description, "value": value, "external": false}));
        self.0.entry(variable(name)).or_insert(Value::Object(it));
    }

    /// One that comes from outside.
    fn external(&mut self, name: &str, description: &str) {
        let it = json!({"type": "string", "description": description, "external": true});
        self.0.entry(variable(name)).or_insert(it);
    }

    pub(super) fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

/// `__users__`
pub(super) fn variable(name: &str) -> String {
    format!("__{name}__")
}

fn declared(input: &InputDecl) -> Value {
    let kind = match (&input.kind.kind, input.kind.many) {
        (Kind::Bool, false) => "bool",
        (Kind::Integer, false) => "integer",
        _ => "string",
    };
    let form = match (&input.kind.kind, input.kind.many) {
        (Kind::Timestamp, false) => " (RFC 3339, with offset)",
        (_, true) => " (separated by commas)",
        _ => "",
    };
    let help = input.help.as_deref().unwrap_or(input.name.as_str());
    let default = input.default.as_ref().map(|value| match value {
        Value::String(text) => text.clone(),
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().map_or_else(|| item.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join(","),
        other => other.to_string(),
    });
    Value::Object(object(json!({
        "type": kind, "description": format!("{help}{form}"), "value": default, "external": true,
    })))
}

/// Agents, targets and authentication, as far as the steps use them.
#[derive(Default)]
pub(super) struct Agents {
    pub(super) agents: Map<String, Value>,
    pub(super) targets: Map<String, Value>,
    pub(super) authentication: Map<String, Value>,
}

impl Agents {
    /// A person, by what they do.
    pub(super) fn person(&mut self, ids: &Ids, role: &str, description: &str) -> String {
        let id = ids.of("individual", role);
        let it = json!({"type": "individual", "name": role, "description": description});
        self.agents.entry(id.clone()).or_insert(it);
        id
    }

    /// A service of Microsoft's public cloud, with its token; the host is another in other clouds.
    pub(super) fn service(&mut self, ids: &Ids, service: Service, variables: &mut Variables) -> String {
        let endpoints = Endpoints::of(Cloud::Global);
        let (name, url, token) = match service {
            Service::Graph => ("Microsoft Graph", endpoints.graph, "graph_token"),
            Service::Exchange => ("Exchange Online", endpoints.exchange, "exchange_token"),
        };
        variables.external(token, &format!("Access token for {name}; from a secret store, never written down here"));
        let oauth = ids.of("oauth2", token);
        let info = json!({
            "type": "oauth2", "name": format!("Access token for {name}"), "oauth_header": "Authorization",
            "token": reference(token),
        });
        self.authentication.entry(oauth.clone()).or_insert(info);
        let id = ids.of("http-api", name);
        let host = url.host_str().unwrap_or_default();
        let it = json!({
            "type": "http-api", "name": name, "description": "Host of the public cloud",
            "address": {"dname": [host]}, "port": "443", "authentication_info": oauth,
        });
        self.agents.entry(id.clone()).or_insert(it);
        id
    }

    /// The tenant that is changed.
    pub(super) fn tenant(&mut self, ids: &Ids) -> String {
        let id = ids.of("organization", "tenant");
        let it = json!({
            "type": "organization", "name": "Microsoft 365 tenant", "description": "The tenant that the tokens are for",
        });
        self.targets.entry(id.clone()).or_insert(it);
        id
    }
}
