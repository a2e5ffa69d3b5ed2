//! The token of another issuer that stands for the application: from a file that is rotated, or from GitHub.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use jiff::{SignedDuration, Timestamp};
use reqwest::{
    Method, Url,
    header::{ACCEPT, AUTHORIZATION, HeaderMap, HeaderValue},
};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{
    Surroundings,
    entra::{asked_wait, passes},
};
use crate::{
    client::{
        SignInError, claims,
        retry::Budget,
        transport::{Parcel, Transport},
    },
    model::Cloud,
};

/// Largest token that is taken, in bytes.
const LARGEST: u64 = 64 << 10;
/// How far our clock may be ahead without anybody's harm: as much as Entra itself allows.
const SKEW: SignedDuration = SignedDuration::from_mins(5);
const ATTEMPTS: u32 = 4;
const DEADLINE: std::time::Duration = std::time::Duration::from_secs(30);

/// The token of another issuer.
#[derive(Clone, Debug)]
pub struct Federated {
    /// Where it comes from.
    pub from: FederatedFrom,
    /// Its audience, where we ask for it; `None` is the cloud's own.
    pub audience: Option<String>,
}

/// Where a federated token comes from.
#[derive(Clone, Debug)]
pub enum FederatedFrom {
    /// A file that somebody else renews: it is read for every token.
    File(PathBuf),
    /// GitHub Actions, in a job with the permission `id-token: write`.
    GitHub(Surroundings),
}

/// The audience that a cloud expects. A wrong one is only found by Entra, which then knows no such credential.
///
/// Source: "workload identity federation", audiences in national clouds.
fn audience(cloud: Cloud) -> &'static str {
    match cloud {
        Cloud::Global => "api://AzureADTokenExchange",
        Cloud::GccHigh | Cloud::Dod => "api://AzureADTokenExchangeUSGov",
        Cloud::China => "api://AzureADTokenExchangeChina",
    }
}

/// The assertion as it is now.
pub(super) async fn assertion(
    of: &Federated,
    cloud: Cloud,
    now: Timestamp,
    transport: &Transport,
) -> Result<SecretString, SignInError> {
    let text = match &of.from {
        FederatedFrom::File(path) => {
            read(path).map_err(|reason| SignInError::plain(format!("the token file {}: {reason}", path.display())))?
        }
        FederatedFrom::GitHub(here) => {
            let audience = of.audience.as_deref().unwrap_or(audience(cloud));
            github(here, audience, transport).await?
        }
    };
    checked(text, now)
}

/// What can be seen to be wrong here, Entra would only call an invalid assertion. `now` may be our own clock's, which may
/// be ahead: Entra has the last word on a token that ended a moment ago.
fn checked(token: SecretString, now: Timestamp) -> Result<SecretString, SignInError> {
    let fail = |reason: &str| Err(SignInError::plain(format!("the federated token {reason}")));
    let Ok(expires) = claims::expiry(token.expose_secret()) else {
        return fail("is not a JWT");
    };
    match expires {
        Some(at) if now.duration_since(at) > SKEW => {
            fail(&format!("ended at {at:.0}: does its issuer still renew it, and is this machine's clock right?"))
        }
        _ => Ok(token),
    }
}

fn read(path: &Path) -> Result<SecretString, String> {
    let file = fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = Zeroizing::new(String::new());
    let read = file.take(LARGEST + 1).read_to_string(&mut text).map_err(|error| error.to_string())?;
    if read as u64 > LARGEST {
        return Err("is too large for a token".to_owned());
    }
    Ok(SecretString::from(text.trim()))
}

#[derive(Deserialize)]
struct GitHubAnswer {
    value: SecretString,
}

/// Source: GitHub "OpenID Connect reference", requesting the JWT using environment variables.
async fn github(here: &Surroundings, audience: &str, transport: &Transport) -> Result<SecretString, SignInError> {
    let (Some(url), Some(token)) =
        (here.get("ACTIONS_ID_TOKEN_REQUEST_URL"), here.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN"))
    else {
        return Err(SignInError::plain(
            "GitHub offers no identity token here: give the job the permission `id-token: write`",
        ));
    };
    let mut url = Url::parse(url).map_err(|_| SignInError::plain("ACTIONS_ID_TOKEN_REQUEST_URL is not an address"))?;
    if !crate::client::endpoints::is_safe(&url) {
        return Err(SignInError::plain("ACTIONS_ID_TOKEN_REQUEST_URL is not https"));
    }
    url.query_pairs_mut().append_pair("audience", audience);
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    let bearer = Zeroizing::new(format!("Bearer {token}"));
    let mut bearer = HeaderValue::from_str(&bearer)
        .map_err(|_| SignInError::plain("ACTIONS_ID_TOKEN_REQUEST_TOKEN does not fit into a header"))?;
    bearer.set_sensitive(true);
    headers.insert(AUTHORIZATION, bearer);
    let body = fetch(transport, url, headers).await?;
    let answer: GitHubAnswer =
        serde_json::from_slice(&body).map_err(|_| SignInError::plain("GitHub's answer holds no identity token"))?;
    Ok(answer.value)
}

async fn fetch(transport: &Transport, url: Url, headers: HeaderMap) -> Result<Zeroizing<Vec<u8>>, SignInError> {
    let clock = &transport.clock;
    let mut budget = Budget::new(ATTEMPTS, clock.monotonic() + DEADLINE);
    for made in 1.. {
        let parcel = Parcel { method: Method::GET, url: url.clone(), headers: headers.clone(), body: None };
        let raw = transport.send(parcel).await;
        if raw.fault.is_none() && raw.status == Some(200) {
            return Ok(Zeroizing::new(raw.body));
        }
        let again = raw.fault.is_some() || raw.status.is_some_and(passes);
        let wait = asked_wait(&raw).unwrap_or_else(|| budget.backoff(&transport.draw));
        if !again || !budget.allows(made, clock.monotonic() + wait) {
            let reason = match (raw.fault, raw.status) {
                (Some(fault), _) => fault.to_string(),
                (None, status) => format!("HTTP {}", status.unwrap_or_default()),
            };
            let error = SignInError::plain(format!("GitHub gave no identity token: {reason}"));
            return Err(SignInError { passing: again, ..error });
        }
        clock.sleep(wait).await;
    }
    Err(SignInError::plain("no attempt was made"))
}

#[cfg(test)]
mod tests {
    use super::audience;
    use crate::model::Cloud;

    #[test]
    fn the_audience_is_that_of_the_cloud() {
        assert_eq!(audience(Cloud::Global), "api://AzureADTokenExchange");
        assert_eq!(audience(Cloud::Dod), "api://AzureADTokenExchangeUSGov");
        assert_eq!(audience(Cloud::GccHigh), "api://AzureADTokenExchangeUSGov");
        assert_eq!(audience(Cloud::China), "api://AzureADTokenExchangeChina");
    }
}
