//! Where tokens come from: takes the way that the credential needs, for one service at a time.

use std::sync::Arc;

use secrecy::SecretString;
use tokio::sync::Mutex;

use super::{
    Credential, Grant, browser,
    certificate::{Assertion, Certificate},
    device,
    entra::{Ask, Entra, Granted, Refused},
    federated,
};
use crate::{
    client::{SessionOptions, SignInError, challenge, endpoints::resource, transport::Transport},
    model::{Clock, Cloud, Service},
};

/// The source of a session's tokens.
pub(in crate::client) struct Source {
    entra: Entra,
    credential: Credential,
    cloud: Cloud,
    cae: bool,
    /// To what is not the tenant: the machine's own endpoints, the other issuer.
    beside: Option<Transport>,
    /// What a person's sign-in left: its refresh token. In memory only.
    person: Mutex<Person>,
}

#[derive(Default)]
enum Person {
    /// Nobody has signed in yet.
    #[default]
    Unknown,
    /// Somebody has.
    SignedIn { refresh: Option<SecretString> },
}

impl Source {
    /// Asks nothing yet.
    pub(in crate::client) fn new(
        options: &SessionOptions,
        transport: Arc<Transport>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, SignInError> {
        let beside = match &options.credential {
            Credential::ManagedIdentity(identity) => {
                Some(Transport::machine(options, Arc::clone(clock), identity.thumbprint()?)?)
            }
            Credential::Federated(_) => Some(Transport::new(options, Arc::clone(clock))?),
            _ => None,
        };
        Ok(Self {
            entra: Entra::new(options, transport),
            credential: options.credential.clone(),
            cloud: options.cloud,
            cae: options.cae,
            beside,
            person: Mutex::default(),
        })
    }

    /// Whether a person signs in, not an application.
    pub(in crate::client) fn is_person(&self) -> bool {
        matches!(self.credential, Credential::Browser(_) | Credential::DeviceCode(_))
    }

    /// A token for a service; `challenge` is what the service demands of it.
    pub(in crate::client) async fn grant(
        &self,
        service: Service,
        challenge: Option<&str>,
    ) -> Result<Grant, SignInError> {
        let resource = resource(self.cloud, service);
        let scope = format!("{resource}/.default");
        let claims = challenge::claims(self.cae, challenge);
        let claims = claims.as_deref();
        let granted = match (&self.credential, &self.beside) {
            (Credential::Secret(secret), _) => self.entra.ask(&Ask::Secret(secret), &scope, claims).await?,
            (Credential::Certificate(certificate), _) => self.signed(certificate, &scope, claims).await?,
            (Credential::Federated(federated), Some(beside)) => {
                let assertion = federated::assertion(federated, self.cloud, self.entra.now(), beside).await?;
                self.entra.ask(&Ask::Assertion(&assertion), &scope, claims).await?
            }
            (Credential::ManagedIdentity(identity), Some(beside)) => return identity.grant(beside, &resource).await,
            (Credential::Browser(_) | Credential::DeviceCode(_), _) => self.delegated(&scope, claims).await?,
            (Credential::Federated(_) | Credential::ManagedIdentity(_), None) => {
                return Err(SignInError::plain("there is no way to the issuer"));
            }
        };
        Ok(granted.grant)
    }

    /// With an assertion of our own. When our clock is so wrong that it is refused, the answer's `Date` has told
    /// the right time for a second one.
    async fn signed(&self, certificate: &Certificate, scope: &str, claims: Option<&str>) -> Result<Granted, Refused> {
        let audience = self.entra.endpoint("token");
        let sign = || {
            let id = self.entra.transport.draw.request_id();
            let now = self.entra.now();
            certificate.check(now).map_err(|error| SignInError::plain(format!("failed to {error}")))?;
            let (audience, client_id) = (audience.as_str(), self.entra.client_id.as_str());
            let signed = certificate.assertion(&Assertion { audience, client_id, id: &id, now });
            signed.map_err(|error| SignInError::plain(format!("the assertion cannot be signed: {error}")))
        };
        match self.entra.ask(&Ask::Assertion(&sign()?), scope, claims).await {
            Err(Refused::Entra(error)) if error.says_clock() => {
                self.entra.ask(&Ask::Assertion(&sign()?), scope, claims).await
            }
            asked => asked,
        }
    }

    /// A person signs in once, before anything else happens; later tokens come from that sign-in.
    async fn delegated(&self, scope: &str, claims: Option<&str>) -> Result<Granted, SignInError> {
        let scope = format!("{scope} offline_access");
        let mut person = self.person.lock().await;
        let granted = match &*person {
            Person::Unknown => match &self.credential {
                Credential::Browser(attendant) => browser::sign_in(&self.entra, &**attendant, &scope, claims).await?,
                Credential::DeviceCode(attendant) => device::sign_in(&self.entra, &**attendant, &scope, claims).await?,
                _ => return Err(SignInError::plain("nobody can sign in")),
            },
            Person::SignedIn { refresh: Some(token) } => {
                self.entra.ask(&Ask::Refresh(token), &scope, claims).await.map_err(sign_in_again)?
            }
            Person::SignedIn { refresh: None } => {
                return Err(SignInError::plain("the sign-in cannot be renewed: sign in again, then resume"));
            }
        };
        let before = std::mem::take(&mut *person);
        *person = match (&granted.refresh, before) {
            (None, before @ Person::SignedIn { .. }) => before,
            (refresh, _) => Person::SignedIn { refresh: refresh.clone() },
        };
        Ok(granted)
    }
}

/// A run never asks questions: what needs the person again ends here.
fn sign_in_again(refused: Refused) -> SignInError {
    match refused {
        Refused::Entra(error) if error.needs_person() => {
            let error = SignInError::from(error);
            SignInError { message: format!("sign in again, then resume: {}", error.message), ..error }
        }
        other => other.into(),
    }
}
