//! Access tokens: one per service, fetched by one at a time, kept in memory only, refreshed before they end.

use std::{sync::Arc, time::Duration};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

use crate::{
    client::{SessionOptions, SignInError, auth::Source, claims, transport::Transport},
    model::{Clock, Identity, Service, Untrusted},
};

/// How long a refused sign-in is not tried again: Entra counts a client that asks in a loop as broken
/// (AADSTS50196).
const REFUSED_FOR: Duration = Duration::from_mins(1);
/// The same where the service could not be asked.
const UNHEARD_FOR: Duration = Duration::from_secs(5);
/// A token as young as this is not thrown away for a 401: a new one would not be better.
const YOUNG: Duration = Duration::from_mins(1);

/// A token, and what it says about us.
pub(super) struct Bearer {
    secret: SecretString,
    /// Who we are.
    pub(super) identity: Identity,
    /// The claims challenge that it was fetched for.
    answers: Option<String>,
    fetched: Duration,
    refresh: Duration,
    expires: Duration,
}

impl Bearer {
    /// `Bearer …`, marked sensitive, so that no debug output shows it.
    pub(super) fn header(&self) -> Result<HeaderValue, SignInError> {
        let text = Zeroizing::new(format!("Bearer {}", self.secret.expose_secret()));
        let mut value = HeaderValue::from_str(&text)
            .map_err(|_| SignInError::plain("the access token does not fit into a header"))?;
        value.set_sensitive(true);
        Ok(value)
    }
}

/// The tokens of a session.
pub(super) struct Tokens {
    /// The pin.
    tenant_id: String,
    source: Source,
    clock: Arc<dyn Clock>,
    graph: Mutex<Slot>,
    exchange: Mutex<Slot>,
}

#[derive(Default)]
struct Slot {
    held: Option<Arc<Bearer>>,
    refused: Option<(Duration, SignInError)>,
    /// What the service demands of the next token, as JSON.
    challenge: Option<String>,
}

impl Tokens {
    /// No token yet.
    pub(super) fn new(
        options: &SessionOptions,
        transport: Arc<Transport>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, SignInError> {
        Ok(Self {
            tenant_id: options.tenant_id.clone(),
            source: Source::new(options, transport, &clock)?,
            clock,
            graph: Mutex::default(),
            exchange: Mutex::default(),
        })
    }

    /// The token for a service. All who ask meanwhile wait for the one request; a token that is still good
    /// serves on when its refresh fails.
    pub(super) async fn bearer(&self, service: Service) -> Result<Arc<Bearer>, SignInError> {
        let mut slot = self.slot(service).lock().await;
        let now = self.clock.monotonic();
        if let Some(held) = slot.held.as_ref().filter(|held| now < held.refresh) {
            return Ok(Arc::clone(held));
        }
        let still_good = slot.held.clone().filter(|held| now < held.expires);
        let refused = slot.refused.as_ref().filter(|(until, _)| now < *until);
        let failure = match refused {
            Some((_, error)) => error.clone(),
            None => match self.fetch(service, slot.challenge.as_deref()).await {
                Ok(bearer) => {
                    let bearer = Arc::new(bearer);
                    *slot = Slot { held: Some(Arc::clone(&bearer)), ..Slot::default() };
                    return Ok(bearer);
                }
                Err(error) => {
                    let until = self.clock.monotonic() + if error.passing { UNHEARD_FOR } else { REFUSED_FOR };
                    slot.refused = Some((until, error.clone()));
                    error
                }
            },
        };
        still_good.ok_or(failure)
    }

    /// Throws away a token that was answered 401, unless it is fresh. Whether another try makes sense.
    pub(super) async fn forget(&self, service: Service, bearer: &Arc<Bearer>) -> bool {
        let mut slot = self.slot(service).lock().await;
        let now = self.clock.monotonic();
        if now.saturating_sub(bearer.fetched) < YOUNG {
            return false;
        }
        if slot.held.as_ref().is_some_and(|held| Arc::ptr_eq(held, bearer)) {
            slot.held = None;
        }
        true
    }

    /// Takes a claims challenge that a token was answered with: the next token will meet it. False where this
    /// token already was the answer to it, and is still not enough.
    pub(super) async fn challenged(&self, service: Service, bearer: &Arc<Bearer>, demanded: String) -> bool {
        let mut slot = self.slot(service).lock().await;
        if slot.held.as_ref().is_some_and(|held| !Arc::ptr_eq(held, bearer)) {
            return true;
        }
        if bearer.answers.as_ref() == Some(&demanded) {
            return false;
        }
        *slot = Slot { held: None, refused: None, challenge: Some(demanded) };
        true
    }

    fn slot(&self, service: Service) -> &Mutex<Slot> {
        match service {
            Service::Graph => &self.graph,
            Service::Exchange => &self.exchange,
        }
    }

    async fn fetch(&self, service: Service, challenge: Option<&str>) -> Result<Bearer, SignInError> {
        let granted = self.source.grant(service, challenge).await;
        let grant = granted.map_err(|error| match challenge {
            Some(_) => self.cut_off(error),
            None => error,
        })?;
        let fetched = self.clock.monotonic();
        let identity =
            claims::identity(grant.token.expose_secret()).map_err(|error| SignInError::plain(error.to_string()))?;
        self.check_pin(service, &identity)?;
        Ok(Bearer {
            secret: grant.token,
            identity,
            answers: challenge.map(str::to_owned),
            fetched,
            refresh: fetched + refresh_after(grant.lifetime),
            expires: fetched + grant.lifetime,
        })
    }

    /// The service wanted a fresh token of us, and we get none.
    fn cut_off(&self, error: SignInError) -> SignInError {
        let who = self.who();
        SignInError { message: format!("{who}: {}", error.message), ..error }
    }

    /// What it means that a fresh token is not enough.
    pub(super) fn who(&self) -> &'static str {
        if self.source.is_person() {
            "the responder's own sign-in was revoked, disabled or flagged"
        } else {
            "our service principal was disabled or flagged"
        }
    }

    /// A token of another tenant is never used, whatever else is right about it.
    fn check_pin(&self, service: Service, identity: &Identity) -> Result<(), SignInError> {
        if identity.tenant_id.eq_ignore_ascii_case(&self.tenant_id) {
            return Ok(());
        }
        Err(SignInError::plain(format!(
            "the token for {service:?} was issued by tenant {}, and the profile pins {}; check tenant_id",
            Untrusted::from(identity.tenant_id.as_str()).term(),
            self.tenant_id,
        )))
    }
}

/// Five minutes before its end, or at half its life where that is a day or only minutes.
fn refresh_after(lifetime: Duration) -> Duration {
    const EARLY: Duration = Duration::from_mins(5);
    const LONG: Duration = Duration::from_hours(2);
    if lifetime >= LONG { lifetime / 2 } else { lifetime.saturating_sub(EARLY).max(lifetime / 2) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Bearer, refresh_after};
    use crate::model::{Identity, IdentityKind};

    #[test]
    fn the_header_shows_no_token() {
        let bearer = Bearer {
            secret: "canary-token".into(),
            identity: Identity {
                tenant_id: String::new(),
                app_id: String::new(),
                object_id: String::new(),
                kind: IdentityKind::Application,
                user_principal_name: None,
                permissions: Vec::new(),
                directory_roles: Vec::new(),
                token_id: None,
                expires: None,
            },
            answers: None,
            fetched: Duration::ZERO,
            refresh: Duration::ZERO,
            expires: Duration::ZERO,
        };
        let header = bearer.header().unwrap();
        assert_eq!(header.as_bytes(), b"Bearer canary-token");
        assert!(!format!("{header:?}").contains("canary"));
    }

    #[test]
    fn tokens_are_refreshed_before_they_end() {
        let mins = Duration::from_mins;
        assert_eq!(refresh_after(mins(75)), mins(70));
        assert_eq!(refresh_after(mins(6)), mins(3));
        assert_eq!(refresh_after(mins(28 * 60)), mins(14 * 60));
        assert_eq!(refresh_after(Duration::ZERO), Duration::ZERO);
    }
}
