//! Requests to the token endpoint: oauth2's grammar over our own transport, which limits, retries and logs.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use jiff::Timestamp;
use oauth2::{
    AsyncHttpClient, AuthType, AuthorizationCode, ClientId, ClientSecret, EndpointNotSet, EndpointSet, HttpRequest,
    HttpResponse, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenResponse as _, TokenUrl,
    basic::{BasicRevocationErrorResponse, BasicTokenIntrospectionResponse, BasicTokenResponse},
};
use reqwest::{
    Method, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use zeroize::Zeroizing;

use super::Grant;
use crate::client::{
    SessionOptions, SignInError,
    aadsts::EntraError,
    retry::{Budget, RetryAfter},
    transport::{Fault, Parcel, Raw, Transport},
};

type Client = oauth2::Client<
    EntraError,
    BasicTokenResponse,
    BasicTokenIntrospectionResponse,
    oauth2::StandardRevocableToken,
    BasicRevocationErrorResponse,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointSet,
>;

/// Attempts at the token endpoint.
const ATTEMPTS: u32 = 4;
/// Longest time for one sign-in with its retries.
const DEADLINE: Duration = Duration::from_mins(1);
const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/// What a token is asked with.
pub(super) enum Ask<'a> {
    /// The application's secret.
    Secret(&'a SecretString),
    /// A signed statement of who we are.
    Assertion(&'a SecretString),
    /// A person's earlier sign-in.
    Refresh(&'a SecretString),
    /// A person's sign-in that was just made. Good once.
    Code { code: &'a SecretString, verifier: &'a SecretString, redirect: &'a RedirectUrl },
}

/// Why there is no token.
#[derive(Debug)]
pub(super) enum Refused {
    /// The token endpoint says why.
    Entra(EntraError),
    /// It was not reached, or its answer is none.
    Other(SignInError),
}

impl From<Refused> for SignInError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Entra(error) => error.into(),
            Refused::Other(error) => error,
        }
    }
}

impl From<SignInError> for Refused {
    fn from(error: SignInError) -> Self {
        Self::Other(error)
    }
}

/// A token, and with what the next one can be asked.
pub(super) struct Granted {
    pub(super) grant: Grant,
    /// Only for a person who signed in.
    pub(super) refresh: Option<SecretString>,
}

impl From<&BasicTokenResponse> for Granted {
    fn from(answer: &BasicTokenResponse) -> Self {
        let token = SecretString::from(answer.access_token().secret().as_str());
        let lifetime = answer.expires_in().unwrap_or(Duration::from_hours(1));
        let refresh = answer.refresh_token().map(|token| SecretString::from(token.secret().as_str()));
        Self { grant: Grant { token, lifetime }, refresh }
    }
}

/// The sign-in service of a tenant.
pub(super) struct Entra {
    /// Our application.
    pub(super) client_id: String,
    /// Bytes out, bytes in.
    pub(super) transport: Arc<Transport>,
    base: Url,
}

impl Entra {
    /// Asks nothing yet.
    pub(super) fn new(options: &SessionOptions, transport: Arc<Transport>) -> Self {
        let mut base = options.endpoints.login.clone();
        if let Ok(mut path) = base.path_segments_mut() {
            path.clear().extend([options.tenant_id.as_str(), "oauth2", "v2.0"]);
        }
        Self { client_id: options.client_id.clone(), transport, base }
    }

    /// The sign-in service's time, as far as it is known.
    pub(super) fn now(&self) -> Timestamp {
        self.transport.server_time.now(&*self.transport.clock)
    }

    /// `…/{tenant}/oauth2/v2.0/{name}`
    pub(super) fn endpoint(&self, name: &str) -> Url {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.push(name);
        }
        url
    }

    /// A token for one resource. Passing faults are waited out, except where what we ask with is good only once.
    pub(super) async fn ask(&self, ask: &Ask<'_>, scope: &str, claims: Option<&str>) -> Result<Granted, Refused> {
        let attempts = if matches!(ask, Ask::Code { .. }) { 1 } else { ATTEMPTS };
        let clock = &self.transport.clock;
        let mut budget = Budget::new(attempts, clock.monotonic() + DEADLINE);
        for made in 1.. {
            let error = match self.once(ask, scope, claims, attempts).await {
                Ok(answer) => return Ok(Granted::from(&answer)),
                Err(RequestTokenError::ServerResponse(error)) => error,
                Err(RequestTokenError::Request(error)) => return Err(Refused::Other(error)),
                Err(RequestTokenError::Parse(..) | RequestTokenError::Other(_)) => return Err(no_token().into()),
            };
            let wait = budget.backoff(&self.transport.draw);
            if !error.is_transient() || !budget.allows(made, clock.monotonic() + wait) {
                return Err(Refused::Entra(error));
            }
            clock.sleep(wait).await;
        }
        Err(no_token().into())
    }

    async fn once(
        &self,
        ask: &Ask<'_>,
        scope: &str,
        claims: Option<&str>,
        attempts: u32,
    ) -> Result<BasicTokenResponse, RequestTokenError<SignInError, EntraError>> {
        let http = Http { entra: self, attempts };
        let scope = scope.split(' ').map(|scope| Scope::new(scope.to_owned()));
        let extra = claims.map(|claims| ("claims", claims.to_owned()));
        let own = |secret: &SecretString| secret.expose_secret().to_owned();
        match ask {
            Ask::Secret(secret) => {
                let client = self.client().set_client_secret(ClientSecret::new(own(secret)));
                let mut request = client.exchange_client_credentials().add_scopes(scope);
                if let Some((name, value)) = extra {
                    request = request.add_extra_param(name, value);
                }
                request.request_async(&http).await
            }
            Ask::Assertion(assertion) => {
                let client = self.client();
                let mut request = client
                    .exchange_client_credentials()
                    .add_scopes(scope)
                    .add_extra_param("client_assertion_type", ASSERTION_TYPE)
                    .add_extra_param("client_assertion", own(assertion));
                if let Some((name, value)) = extra {
                    request = request.add_extra_param(name, value);
                }
                request.request_async(&http).await
            }
            Ask::Refresh(token) => {
                let (client, token) = (self.client(), RefreshToken::new(own(token)));
                let mut request = client.exchange_refresh_token(&token).add_scopes(scope);
                if let Some((name, value)) = extra {
                    request = request.add_extra_param(name, value);
                }
                request.request_async(&http).await
            }
            Ask::Code { code, verifier, redirect } => {
                let client = self.client().set_redirect_uri((*redirect).clone());
                let mut request = client
                    .exchange_code(AuthorizationCode::new(own(code)))
                    .set_pkce_verifier(PkceCodeVerifier::new(own(verifier)));
                if let Some((name, value)) = extra {
                    request = request.add_extra_param(name, value);
                }
                request.request_async(&http).await
            }
        }
    }

    fn client(&self) -> Client {
        oauth2::Client::new(ClientId::new(self.client_id.clone()))
            .set_token_uri(TokenUrl::from_url(self.endpoint("token")))
            .set_auth_type(AuthType::RequestBody)
    }

    /// Posts a form that oauth2 has no word for. An error of the token endpoint comes as such.
    pub(super) async fn form<T: serde::de::DeserializeOwned>(
        &self,
        endpoint: &str,
        fields: &[(&str, &str)],
    ) -> Result<T, Refused> {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        let (answer, body) =
            self.post(self.endpoint(endpoint), headers, body.into_bytes(), ATTEMPTS).await?.into_parts();
        let body = Zeroizing::new(body);
        match serde_json::from_slice(&body) {
            Ok(value) if answer.status == 200 => Ok(value),
            _ => match serde_json::from_slice(&body) {
                Ok(error) => Err(Refused::Entra(error)),
                Err(_) => Err(no_token().into()),
            },
        }
    }

    /// Carries one token request, again after 429, 5xx and a lost connection: asking twice for a token of one's
    /// own harms nobody.
    async fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Vec<u8>,
        attempts: u32,
    ) -> Result<HttpResponse, SignInError> {
        let body = Bytes::from_owner(Zeroizing::new(body));
        let clock = &self.transport.clock;
        let mut budget = Budget::new(attempts, clock.monotonic() + DEADLINE);
        for made in 1.. {
            let parcel =
                Parcel { method: Method::POST, url: url.clone(), headers: headers.clone(), body: Some(body.clone()) };
            let raw = self.transport.send(parcel).await;
            tracing::debug!(status = raw.status, attempt = made, "token request");
            let again = match raw.status {
                None => true,
                Some(status) => raw.fault.is_some() || passes(status),
            };
            let wait = asked_wait(&raw).unwrap_or_else(|| budget.backoff(&self.transport.draw));
            if !again || !budget.allows(made, clock.monotonic() + wait) {
                return response(raw);
            }
            clock.sleep(wait).await;
        }
        Err(no_token())
    }
}

/// oauth2's way to our transport.
struct Http<'e> {
    entra: &'e Entra,
    attempts: u32,
}

impl<'c> AsyncHttpClient<'c> for Http<'_> {
    type Error = SignInError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, SignInError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        let (parts, body) = request.into_parts();
        let url = self.entra.endpoint("token");
        Box::pin(self.entra.post(url, parts.headers, body, self.attempts))
    }
}

fn no_token() -> SignInError {
    SignInError::plain("the token endpoint's answer is not a token; check endpoint and proxy")
}

pub(super) fn asked_wait(raw: &Raw) -> Option<Duration> {
    let value = raw.headers.get(reqwest::header::RETRY_AFTER)?;
    RetryAfter::parse(value.to_str().ok()?, raw.server_date.unwrap_or(raw.ended)).map(|asked| asked.wait)
}

/// The answer as oauth2 wants it: JSON from the token endpoint, success or error. Anything else is no answer of
/// the token endpoint, and is named by its status.
fn response(raw: Raw) -> Result<HttpResponse, SignInError> {
    let passing = matches!(raw.fault, Some(Fault::NotSent(_) | Fault::Lost(_))) || raw.status.is_none_or(passes);
    let reason = match (raw.fault, raw.status) {
        (Some(Fault::NotSent(reason)), _) => format!("no connection to the token endpoint: {reason}"),
        (Some(Fault::Lost(reason)), _) => format!("the token endpoint's answer was lost: {reason}"),
        (Some(fault @ (Fault::TooLarge | Fault::Compressed)), _) => format!("the token endpoint's answer {fault}"),
        (None, Some(status)) => {
            let is_error = serde_json::from_slice::<EntraError>(&raw.body).is_ok();
            if status == 200 || is_error {
                let mut answer = HttpResponse::new(raw.body);
                *answer.headers_mut() = raw.headers;
                *answer.status_mut() = reqwest::StatusCode::from_u16(status).unwrap_or_default();
                return Ok(answer);
            }
            match status {
                429 | 500.. => {
                    format!("the token endpoint answers HTTP {status} again and again; try again in a minute")
                }
                _ => format!("the token endpoint answered HTTP {status}; check endpoint and proxy"),
            }
        }
        (None, None) => "the token endpoint gave no answer".to_owned(),
    };
    Err(SignInError { passing, ..SignInError::plain(reason) })
}

/// Whether a status says that the sign-in service cannot answer for now.
pub(super) fn passes(status: u16) -> bool {
    status == 429 || status >= 500
}
