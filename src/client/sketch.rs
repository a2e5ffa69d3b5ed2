//! What a write looks like on its way out, for documents: method, path, headers and body, without token or secret.
//! Nothing is sent from here.

use reqwest::Url;
use serde_json::Value;

use crate::{
    client::{Endpoints, cmdlet},
    model::{Cloud, Service, Verb, Write},
};

/// A request as a document shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Sketch {
    /// Whose.
    pub service: Service,
    /// HTTP method.
    pub method: &'static str,
    /// Path and query.
    pub path: String,
    /// Headers that belong to the request itself, in lower case.
    pub headers: Vec<(String, String)>,
    /// Body; secrets are placeholders.
    pub body: Option<Value>,
}

/// The request of a write; `None` when it would be refused before it is sent.
pub fn sketch(write: &Write, tenant_id: &str) -> Option<Sketch> {
    match write {
        Write::Graph { verb, path, body } => {
            let method = match verb {
                Verb::Post => "POST",
                Verb::Patch => "PATCH",
                Verb::Delete => "DELETE",
            };
            let json = ("content-type".to_owned(), "application/json".to_owned());
            let headers = body.iter().map(|_| json.clone()).collect();
            Some(Sketch {
                service: Service::Graph,
                method,
                path: path.as_str().to_owned(),
                headers,
                body: body.clone(),
            })
        }
        Write::Cmdlet { name, anchor, parameters } => {
            let url = cmdlet::url(&exchange(), tenant_id);
            let body = cmdlet::body(name.name(), parameters);
            let out = cmdlet::request(url, name.name(), anchor, bytes::Bytes::new(), body.clone())?;
            let text = |value: &reqwest::header::HeaderValue| value.to_str().unwrap_or_default().to_owned();
            let headers = out.headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
            Some(Sketch {
                service: Service::Exchange,
                method: "POST",
                path: out.url.path().to_owned(),
                headers,
                body: Some(body),
            })
        }
    }
}

fn exchange() -> Url {
    Endpoints::of(Cloud::Global).exchange
}
