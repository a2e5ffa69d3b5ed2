//! A person signs in on another device, with a code. By hand, not oauth2's: Entra's error names are its own, and
//! waiting must be ours.
//!
//! Source: Microsoft identity platform "OAuth 2.0 device authorization grant flow".

use std::time::Duration;

use oauth2::basic::BasicTokenResponse;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use url::Url;

use super::{
    Attendant, UserCode,
    entra::{Entra, Granted, Refused},
};
use crate::client::{SignInError, endpoints::is_safe};

/// Longest time that a code is waited for, whatever the service says.
const LONGEST: Duration = Duration::from_mins(15);
/// Between two questions, where the service does not say; and what `slow_down` adds (RFC 8628 3.5).
const INTERVAL: Duration = Duration::from_secs(5);
const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// What the service gives to sign in with. Some endpoints spell the address `verification_url`.
#[derive(Deserialize)]
struct Offer {
    device_code: SecretString,
    user_code: String,
    #[serde(alias = "verification_url")]
    verification_uri: Url,
    expires_in: u64,
    interval: Option<u64>,
}

/// Shows a code, and asks until it was entered.
pub(super) async fn sign_in(
    entra: &Entra,
    attendant: &dyn Attendant,
    scope: &str,
    claims: Option<&str>,
) -> Result<Granted, SignInError> {
    let offer: Offer = entra.form("devicecode", &[("client_id", &entra.client_id), ("scope", scope)]).await?;
    let valid = Duration::from_secs(offer.expires_in).min(LONGEST);
    attendant.enter_code(&code(&offer, valid)?);
    let clock = &entra.transport.clock;
    let end = clock.monotonic() + valid;
    let mut interval = offer.interval.map_or(INTERVAL, Duration::from_secs).clamp(INTERVAL, INTERVAL * 6);
    let mut fields = vec![
        ("grant_type", GRANT),
        ("client_id", entra.client_id.as_str()),
        ("device_code", offer.device_code.expose_secret()),
    ];
    fields.extend(claims.map(|claims| ("claims", claims)));
    loop {
        // Never faster than asked: Entra takes that for a broken client (AADSTS50196).
        clock.sleep(entra.transport.draw.between(interval, interval + INTERVAL / 4)).await;
        if clock.monotonic() >= end {
            return Err(SignInError::plain("nobody entered the code in time"));
        }
        match entra.form::<BasicTokenResponse>("token", &fields).await {
            Ok(answer) => return Ok(Granted::from(&answer)),
            Err(Refused::Entra(error)) => match error.name() {
                "authorization_pending" => {}
                "slow_down" => interval += INTERVAL,
                "authorization_declined" => return Err(SignInError::plain("the person declined to sign in")),
                "expired_token" => return Err(SignInError::plain("nobody entered the code in time")),
                "bad_verification_code" => {
                    return Err(SignInError::plain("the sign-in service does not know its own device code"));
                }
                _ if error.is_transient() => interval += INTERVAL,
                _ => return Err(error.into()),
            },
            Err(Refused::Other(error)) => return Err(error),
        }
    }
}

/// What a person is shown: an address that is safe, and a code that is one.
fn code(offer: &Offer, valid: Duration) -> Result<UserCode, SignInError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let fits = (1..=32).contains(&offer.user_code.len()) && offer.user_code.chars().all(plain);
    if !fits || !is_safe(&offer.verification_uri) {
        return Err(SignInError::plain("the sign-in service's device code has no safe address"));
    }
    Ok(UserCode { address: offer.verification_uri.clone(), code: offer.user_code.clone(), valid })
}
