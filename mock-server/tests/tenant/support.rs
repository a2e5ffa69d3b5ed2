//! What the tests of the tenant share: sign-in and short calls, straight into `Tenant::handle`.

use mock_server::{Clock, Request, Response, Scenario, Tenant};
use serde_json::{Value, json};

/// The time at which the tests' clock starts: an hour after the incident.
pub(crate) const NOW: &str = "2023-12-12T15:00:00Z";

/// The tenant of the `aitm` scenario with few others, on a clock that stands still.
pub(crate) fn aitm() -> Tenant {
    let scenario = Scenario::builtin("aitm").unwrap().with_users(30);
    Tenant::with_clock(&scenario, Clock::manual(NOW.parse().unwrap()))
}

/// The victim's user principal name.
pub(crate) const JOHANNA: &str = "johanna@sunnyside08.example";
/// The victim's address in the Graph.
pub(crate) const VICTIM: &str = "/users/johanna@sunnyside08.example";

/// A tenant and a token for each service.
pub(crate) struct Client {
    pub(crate) tenant: Tenant,
    pub(crate) graph: String,
    pub(crate) exchange: String,
}

impl Client {
    pub(crate) fn of(tenant: &Tenant) -> Self {
        Self {
            tenant: tenant.clone(),
            graph: token(tenant, "https://graph.microsoft.com/.default"),
            exchange: token(tenant, "https://outlook.office365.com/.default"),
        }
    }

    pub(crate) fn new() -> Self {
        Self::of(&aitm())
    }

    pub(crate) fn send(&self, request: Request) -> Response {
        self.tenant.handle(&request.bearer(&self.graph))
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        self.send(Request::new("GET", &format!("/v1.0{path}")))
    }

    /// A GET that must succeed.
    pub(crate) fn json(&self, path: &str) -> Value {
        let response = self.get(path);
        assert_eq!(response.status, 200, "{path}: {}", response.body_json());
        response.body_json()
    }

    pub(crate) fn write(&self, method: &str, path: &str, body: &Value) -> Response {
        self.send(Request::new(method, &format!("/v1.0{path}")).json(body))
    }

    pub(crate) fn delete(&self, path: &str) -> Response {
        self.send(Request::new("DELETE", &format!("/v1.0{path}")))
    }

    pub(crate) fn cmdlet(&self, name: &str, parameters: &Value) -> Response {
        self.tenant.handle(&self.cmdlet_request(name, parameters))
    }

    pub(crate) fn cmdlet_request(&self, name: &str, parameters: &Value) -> Request {
        let path = format!("/adminapi/beta/{}/InvokeCommand", self.tenant.credentials().tenant_id);
        Request::new("POST", &path)
            .bearer(&self.exchange)
            .json(&json!({"CmdletInput": {"CmdletName": name, "Parameters": parameters}}))
    }

    /// The rows of a cmdlet that must succeed.
    pub(crate) fn rows(&self, name: &str, parameters: &Value) -> Vec<Value> {
        let response = self.cmdlet(name, parameters);
        assert_eq!(response.status, 200, "{name}: {}", response.body_json());
        response.body_json()["value"].as_array().unwrap().clone()
    }
}

/// An access token of the responders' application.
pub(crate) fn token(tenant: &Tenant, scope: &str) -> String {
    let response = sign_in(tenant, &[("scope", scope)]);
    assert_eq!(response.status, 200, "{}", response.body_json());
    response.body_json()["access_token"].as_str().unwrap().to_owned()
}

/// A token request; `fields` replace the right ones.
pub(crate) fn sign_in(tenant: &Tenant, fields: &[(&str, &str)]) -> Response {
    let credentials = tenant.credentials();
    let mut form = vec![
        ("grant_type", "client_credentials".to_owned()),
        ("client_id", credentials.client_id),
        ("client_secret", credentials.client_secret),
        ("scope", "https://graph.microsoft.com/.default".to_owned()),
    ];
    for (name, value) in fields {
        form.retain(|(known, _)| known != name);
        if !value.is_empty() {
            form.push((name, (*value).to_owned()));
        }
    }
    let form: Vec<(&str, &str)> = form.iter().map(|(name, value)| (*name, value.as_str())).collect();
    tenant.handle(&Request::new("POST", &format!("/{}/oauth2/v2.0/token", credentials.tenant_id)).form(&form))
}

/// The error code of an answer.
pub(crate) fn code(response: &Response) -> String {
    response.body_json()["error"]["code"].as_str().unwrap_or_default().to_owned()
}
