//! Access tokens: one per service, fetched by one at a time, kept in memory only, refreshed before they end.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use reqwest::header::HeaderValue;
use secrecy::{ExposeSecret as _, SecretString};
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
/// How long a new token is waited for while the old one is good: containment does not wait for the sign-in service.
const PATIENCE: Duration = Duration::from_secs(5);
const SILENT: &str = "the sign-in service does not answer";

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
    graph: Seat,
    exchange: Seat,
}

/// The place of one service's token.
#[derive(Default)]
struct Seat {
    slot: Mutex<Slot>,
    /// Held by the one who asks for a new token.
    asking: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Slot {
    held: Option<Arc<Bearer>>,
    refused: Option<(Duration, SignInError)>,
    /// What the service demands of the next token, as JSON.
    challenge: Option<String>,
}

impl Seat {
    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What there is of a service's token.
enum Standing {
    /// One that is good for a while.
    Fresh(Arc<Bearer>),
    /// One that is good, and is to be renewed.
    Ageing(Arc<Bearer>),
    /// A new one was refused a moment ago; the old one, where it is still good.
    Refused(Option<Arc<Bearer>>, SignInError),
    /// None.
    Empty,
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
            graph: Seat::default(),
            exchange: Seat::default(),
        })
    }

    /// The token for a service. Who has none waits for the one request for it; a token that is still good serves on
    /// while it is renewed, and when that fails.
    pub(super) async fn bearer(&self, service: Service) -> Result<Arc<Bearer>, SignInError> {
        let seat = self.seat(service);
        let turn = match self.standing(seat) {
            Standing::Fresh(held) => return Ok(held),
            Standing::Ageing(held) => match seat.asking.try_lock() {
                Ok(turn) => turn,
                Err(_) => return Ok(held),
            },
            Standing::Refused(held, error) => return held.ok_or(error),
            Standing::Empty => seat.asking.lock().await,
        };
        // Somebody else may have asked meanwhile.
        let held = match self.standing(seat) {
            Standing::Fresh(held) => return Ok(held),
            Standing::Refused(held, error) => return held.ok_or(error),
            Standing::Ageing(held) => Some(held),
            Standing::Empty => None,
        };
        let challenge = seat.lock().challenge.clone();
        let fetch = self.fetch(service, challenge.as_deref());
        let fetched = match held {
            Some(_) => tokio::time::timeout(PATIENCE, fetch)
                .await
                .unwrap_or_else(|_| Err(SignInError { passing: true, ..SignInError::plain(SILENT) })),
            None => fetch.await,
        };
        let taken = self.take(seat, challenge, fetched);
        drop(turn);
        taken.or_else(|error| held.ok_or(error))
    }

    /// Keeps what a request for a token came to.
    fn take(
        &self,
        seat: &Seat,
        challenge: Option<String>,
        fetched: Result<Bearer, SignInError>,
    ) -> Result<Arc<Bearer>, SignInError> {
        let mut slot = seat.lock();
        match fetched {
            Ok(bearer) => {
                let bearer = Arc::new(bearer);
                // Another challenge may have come meanwhile: this token meets it or not, as the service will say.
                let newer = slot.challenge.take().filter(|newer| challenge.as_ref() != Some(newer));
                *slot = Slot { held: Some(Arc::clone(&bearer)), refused: None, challenge: newer };
                Ok(bearer)
            }
            Err(error) => {
                let wait = if error.passing { UNHEARD_FOR } else { REFUSED_FOR };
                slot.refused = Some((self.clock.monotonic() + wait, error.clone()));
                Err(error)
            }
        }
    }

    /// What can be done for somebody who asks now.
    fn standing(&self, seat: &Seat) -> Standing {
        let slot = seat.lock();
        let now = self.clock.monotonic();
        let good = slot.held.clone().filter(|held| now < held.expires);
        match (good, slot.refused.as_ref().filter(|(until, _)| now < *until)) {
            (Some(held), _) if now < held.refresh => Standing::Fresh(held),
            (held, Some((_, error))) => Standing::Refused(held, error.clone()),
            (Some(held), None) => Standing::Ageing(held),
            (None, None) => Standing::Empty,
        }
    }

    /// Throws away a token that was answered 401, unless it is fresh. Whether another try makes sense.
    pub(super) fn forget(&self, service: Service, bearer: &Arc<Bearer>) -> bool {
        let mut slot = self.seat(service).lock();
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
    pub(super) fn challenged(&self, service: Service, bearer: &Arc<Bearer>, demanded: String) -> bool {
        let mut slot = self.seat(service).lock();
        if slot.held.as_ref().is_some_and(|held| !Arc::ptr_eq(held, bearer)) {
            return true;
        }
        if bearer.answers.as_ref() == Some(&demanded) {
            return false;
        }
        // Others that were challenged at the same time ask for the same token; a refusal of it stands.
        if slot.held.is_some() || slot.challenge.as_ref() != Some(&demanded) {
            *slot = Slot { held: None, refused: None, challenge: Some(demanded) };
        }
        true
    }

    fn seat(&self, service: Service) -> &Seat {
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

    /// The service wanted a fresh token of us, and Entra gives us none. That it was not reached says nothing of us.
    fn cut_off(&self, error: SignInError) -> SignInError {
        if !error.is_refusal() {
            return error;
        }
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

/// Five minutes before its end, at half its life where that is only minutes, and after an hour where it is a day: what
/// was consented to or taken away since is then known.
fn refresh_after(lifetime: Duration) -> Duration {
    const EARLY: Duration = Duration::from_mins(5);
    const LONG: Duration = Duration::from_hours(2);
    if lifetime >= LONG { LONG / 2 } else { lifetime.saturating_sub(EARLY).max(lifetime / 2) }
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
                issued: None,
                proof: None,
                continuous: false,
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
        assert_eq!(refresh_after(mins(28 * 60)), mins(60));
        assert_eq!(refresh_after(mins(120)), mins(60));
        assert_eq!(refresh_after(Duration::ZERO), Duration::ZERO);
    }
}
