//! The identity of the Azure resource that this runs on: five environments, five shapes of the same request.
//!
//! Source: "how to use managed identities on a virtual machine" (addresses, retries); the shapes of the others as
//! Microsoft's own libraries send them.

use std::time::Duration;

use reqwest::{
    Method, Url,
    header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::Value;
use zeroize::Zeroizing;

use super::{Grant, Surroundings, arc, entra::passes};
use crate::{
    client::{
        SignInError, claims,
        endpoints::is_safe,
        retry::Budget,
        transport::{Fault, Parcel, Raw, Thumbprint, Transport},
    },
    model::Untrusted,
};

/// Waits between the attempts at a virtual machine's endpoint: 404, 429 and 5xx are passing there.
const WAITS: [Duration; 4] =
    [Duration::from_secs(2), Duration::from_secs(4), Duration::from_secs(8), Duration::from_secs(16)];
/// How long a 410 may last: the endpoint is being updated.
const UPDATING: Duration = Duration::from_secs(70);
const ATTEMPTS: u32 = 4;
const DEADLINE: Duration = Duration::from_mins(2);

/// The identity of the resource that this runs on.
#[derive(Clone, Debug)]
pub struct ManagedIdentity {
    /// Which one; `None` is the resource's own.
    pub assigned: Option<UserAssigned>,
    /// What the machine offers.
    pub surroundings: Surroundings,
}

/// An identity that was assigned to the resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAssigned {
    /// By its client id.
    ClientId(String),
    /// By its object id.
    ObjectId(String),
    /// By its Azure resource id.
    ResourceId(String),
}

/// The environments, in the order in which they are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Host {
    ServiceFabric,
    AppService,
    MachineLearning,
    Arc,
    Machine,
}

/// What one environment wants.
struct Shape {
    api_version: &'static str,
    /// Header, and the variable that holds its value.
    secret: Option<(&'static str, &'static str)>,
    metadata: bool,
    /// Names of the parameters for client id, object id and resource id; none where only the resource's own
    /// identity can be asked for.
    ids: [Option<&'static str>; 3],
}

impl Host {
    fn of(here: &Surroundings) -> Self {
        let all = |names: &[&str]| names.iter().all(|name| here.get(name).is_some());
        if all(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER", "IDENTITY_SERVER_THUMBPRINT"]) {
            Self::ServiceFabric
        } else if all(&["IDENTITY_ENDPOINT", "IDENTITY_HEADER"]) {
            Self::AppService
        } else if all(&["MSI_ENDPOINT", "MSI_SECRET"]) {
            Self::MachineLearning
        } else if all(&["IDENTITY_ENDPOINT", "IMDS_ENDPOINT"]) || here.arc_agent.is_file() {
            Self::Arc
        } else {
            Self::Machine
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::ServiceFabric => "Service Fabric",
            Self::AppService => "App Service",
            Self::MachineLearning => "Azure Machine Learning",
            Self::Arc => "Azure Arc",
            Self::Machine => "the virtual machine",
        }
    }

    fn shape(self) -> Shape {
        let none = [None; 3];
        let identity = Some(("x-identity-header", "IDENTITY_HEADER"));
        match self {
            Self::ServiceFabric => Shape {
                api_version: "2019-07-01-preview",
                secret: Some(("secret", "IDENTITY_HEADER")),
                metadata: false,
                ids: none,
            },
            Self::AppService => Shape {
                api_version: "2019-08-01",
                secret: identity,
                metadata: true,
                ids: [Some("client_id"), Some("object_id"), Some("mi_res_id")],
            },
            Self::MachineLearning => Shape {
                api_version: "2017-09-01",
                secret: Some(("secret", "MSI_SECRET")),
                metadata: false,
                ids: [Some("clientid"), None, None],
            },
            Self::Arc => Shape { api_version: "2020-06-01", secret: None, metadata: true, ids: none },
            Self::Machine => Shape {
                api_version: "2018-02-01",
                secret: None,
                metadata: true,
                ids: [Some("client_id"), Some("object_id"), Some("msi_res_id")],
            },
        }
    }

    fn endpoint(self, here: &Surroundings) -> String {
        let variable = |name| here.get(name).map(str::to_owned);
        match self {
            Self::ServiceFabric | Self::AppService => variable("IDENTITY_ENDPOINT"),
            Self::MachineLearning => variable("MSI_ENDPOINT"),
            Self::Arc => variable("IDENTITY_ENDPOINT")
                .or_else(|| Some("http://localhost:40342/metadata/identity/oauth2/token".to_owned())),
            Self::Machine => {
                let base = here.get("AZURE_POD_IDENTITY_AUTHORITY_HOST").unwrap_or("http://169.254.169.254");
                Some(format!("{}/metadata/identity/oauth2/token", base.trim_end_matches('/')))
            }
        }
        .unwrap_or_default()
    }
}

/// `expires_in` or `expires_on`, each as a number or a string.
#[derive(Deserialize)]
struct Answer {
    access_token: SecretString,
    expires_in: Option<Value>,
    expires_on: Option<Value>,
}

impl ManagedIdentity {
    /// The certificate that the endpoint must show: Service Fabric's is its own issuer.
    pub(super) fn thumbprint(&self) -> Result<Option<Thumbprint>, SignInError> {
        if Host::of(&self.surroundings) != Host::ServiceFabric {
            return Ok(None);
        }
        let text = self.surroundings.get("IDENTITY_SERVER_THUMBPRINT").unwrap_or_default();
        let thumbprint = Thumbprint::parse(text);
        thumbprint.map(Some).ok_or_else(|| SignInError::plain("IDENTITY_SERVER_THUMBPRINT is not a SHA-1 thumbprint"))
    }

    /// A token for a resource (`https://graph.microsoft.com`).
    pub(super) async fn grant(&self, transport: &Transport, resource: &str) -> Result<Grant, SignInError> {
        let host = Host::of(&self.surroundings);
        let (url, headers) = self.request(host, resource)?;
        let mut raw = send(transport, host, &url, &headers).await;
        if host == Host::Arc && raw.status == Some(401) {
            let headers = self.answered(&raw, &headers)?;
            raw = send(transport, host, &url, &headers).await;
        }
        let passing = raw.status.is_none_or(passes);
        granted(transport, raw).map_err(|reason| {
            let error = SignInError::plain(format!("the managed identity of {} gave no token: {reason}", host.name()));
            SignInError { passing, ..error }
        })
    }

    fn request(&self, host: Host, resource: &str) -> Result<(Url, HeaderMap), SignInError> {
        let here = &self.surroundings;
        let shape = host.shape();
        let mut url = Url::parse(&host.endpoint(here))
            .map_err(|_| SignInError::plain(format!("the identity endpoint of {} is not an address", host.name())))?;
        if !(is_safe(&url) || is_link_local(&url)) {
            return Err(SignInError::plain("the identity endpoint is neither https nor on this machine"));
        }
        url.query_pairs_mut().append_pair("api-version", shape.api_version).append_pair("resource", resource);
        let [client, object, resource_id] = shape.ids;
        let id = match &self.assigned {
            None => None,
            Some(UserAssigned::ClientId(id)) => Some((client, id)),
            Some(UserAssigned::ObjectId(id)) => Some((object, id)),
            Some(UserAssigned::ResourceId(id)) => Some((resource_id, id)),
        };
        match id {
            None => {}
            Some((Some(name), id)) => drop(url.query_pairs_mut().append_pair(name, id)),
            Some((None, _)) => {
                return Err(SignInError::plain(format!("{} takes no such id of an assigned identity", host.name())));
            }
        }
        let mut headers = HeaderMap::new();
        if shape.metadata {
            headers.insert(HeaderName::from_static("metadata"), HeaderValue::from_static("true"));
        }
        if let Some((name, variable)) = shape.secret {
            headers.insert(HeaderName::from_static(name), sensitive(here.get(variable).unwrap_or_default())?);
        }
        Ok((url, headers))
    }

    /// The request again, with what Azure Arc's challenge asks for.
    fn answered(&self, raw: &Raw, headers: &HeaderMap) -> Result<HeaderMap, SignInError> {
        let challenge = raw.headers.get(WWW_AUTHENTICATE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let key = arc::answer(challenge, &self.surroundings.arc_tokens)
            .map_err(|reason| SignInError::plain(format!("Azure Arc gave no token: {reason}")))?;
        let mut headers = headers.clone();
        headers.insert(AUTHORIZATION, sensitive(&Zeroizing::new(format!("Basic {}", key.expose_secret())))?);
        Ok(headers)
    }
}

/// 169.254.0.0/16, where Azure answers its own machines.
fn is_link_local(url: &Url) -> bool {
    url.scheme() == "http" && matches!(url.host(), Some(url::Host::Ipv4(address)) if address.is_link_local())
}

fn sensitive(value: &str) -> Result<HeaderValue, SignInError> {
    let mut value = HeaderValue::from_str(value)
        .map_err(|_| SignInError::plain("the secret of the identity endpoint does not fit into a header"))?;
    value.set_sensitive(true);
    Ok(value)
}

async fn send(transport: &Transport, host: Host, url: &Url, headers: &HeaderMap) -> Raw {
    let clock = &transport.clock;
    let began = clock.monotonic();
    let mut budget = Budget::new(ATTEMPTS, began + DEADLINE);
    let mut made = 0;
    loop {
        let parcel = Parcel { method: Method::GET, url: url.clone(), headers: headers.clone(), body: None };
        let raw = transport.send(parcel).await;
        made += 1;
        let next = match (host, raw.status, &raw.fault) {
            // Nobody answers there: this is no such machine.
            (_, _, Some(Fault::NotSent(_))) if made >= 2 => None,
            (Host::Machine, Some(410), _) if clock.monotonic().saturating_sub(began) < UPDATING => {
                Some(Duration::from_secs(10))
            }
            (Host::Machine, Some(404 | 429 | 500..), None) => WAITS.get(made - 1).copied(),
            (_, Some(429 | 500..), _) | (_, _, Some(_)) => {
                let wait = budget.backoff(&transport.draw);
                budget.allows(u32::try_from(made).unwrap_or(u32::MAX), clock.monotonic() + wait).then_some(wait)
            }
            _ => None,
        };
        let Some(wait) = next else {
            return raw;
        };
        clock.sleep(wait).await;
    }
}

fn granted(transport: &Transport, mut raw: Raw) -> Result<Grant, String> {
    let body = Zeroizing::new(std::mem::take(&mut raw.body));
    if let Some(fault) = &raw.fault {
        return Err(fault.to_string());
    }
    let status = raw.status.unwrap_or_default();
    if status != 200 {
        return Err(format!("HTTP {status} {}", complaint(&body)));
    }
    let answer: Answer = serde_json::from_slice(&body).map_err(|_| "its answer is no token".to_owned())?;
    let now = transport.clock.now().as_second();
    let until = |at: i64| u64::try_from(at - now).unwrap_or_default();
    let seconds = number(answer.expires_in.as_ref())
        .and_then(|length| u64::try_from(length).ok())
        .or_else(|| number(answer.expires_on.as_ref()).map(until))
        .or_else(|| claims::expiry(answer.access_token.expose_secret()).ok().flatten().map(|at| until(at.as_second())))
        .ok_or("its answer does not say how long the token is good")?;
    Ok(Grant { token: answer.access_token, lifetime: Duration::from_secs(seconds) })
}

fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// `error_description`, `message`, or `error.message`: each environment has its own.
fn complaint(body: &[u8]) -> String {
    let json: Value = serde_json::from_slice(body).unwrap_or_default();
    let nested = json.get("error").and_then(|error| error.get("message"));
    let text = json.get("error_description").or_else(|| json.get("message")).or(nested).and_then(Value::as_str);
    text.map(|text| Untrusted::from(text.lines().next().unwrap_or_default()).term()).unwrap_or_default()
}
