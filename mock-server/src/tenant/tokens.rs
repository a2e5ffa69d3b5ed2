//! Access tokens: what the tenant issued, to whom, and until when. A token not in this list is refused, so that
//! nothing but this tenant can make one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};

/// The service that a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Audience {
    Graph,
    Exchange,
}

/// The holder of a valid token.
#[derive(Debug, Clone)]
pub(crate) struct Caller {
    pub(crate) audience: Audience,
    pub(crate) audience_uri: String,
    pub(crate) tenant_id: String,
    pub(crate) app_id: String,
    pub(crate) app_name: String,
    /// The object id of the service principal.
    pub(crate) object_id: String,
    /// The signed-in user, for a delegated token.
    pub(crate) user: Option<SignedIn>,
    /// Whether the application proved itself by a certificate.
    pub(crate) with_certificate: bool,
    /// Whether the application declared that it can answer claims challenges.
    pub(crate) continuous: bool,
    /// Application permissions, or the scopes of a delegated token.
    pub(crate) roles: Vec<String>,
    /// Template ids of the directory roles held when the token was issued.
    pub(crate) wids: Vec<String>,
    pub(crate) issued: Timestamp,
    pub(crate) expires: Timestamp,
    /// The token's own id.
    pub(crate) unique_id: String,
}

/// The user of a delegated token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SignedIn {
    pub(crate) id: String,
    pub(crate) principal_name: String,
}

impl Caller {
    /// How the application proved itself: 0 not at all, 1 by a secret, 2 by a certificate.
    fn proof(&self) -> &'static str {
        match (&self.user, self.with_certificate) {
            (Some(_), _) => "0",
            (None, true) => "2",
            (None, false) => "1",
        }
    }

    /// The claims of the token.
    pub(crate) fn claims(&self) -> Value {
        let issuer = format!("https://sts.windows.net/{}/", self.tenant_id);
        let mut claims = json!({
            "aud": self.audience_uri,
            "iss": issuer,
            "iat": self.issued.as_second(),
            "nbf": self.issued.as_second(),
            "exp": self.expires.as_second(),
            "app_displayname": self.app_name,
            "appid": self.app_id,
            "appidacr": self.proof(),
            "idp": issuer,
            "idtyp": "app",
            "oid": self.object_id,
            "sub": self.object_id,
            "tid": self.tenant_id,
            "uti": self.unique_id,
            "ver": "1.0",
            "wids": self.wids,
        });
        if let (true, Some(claims)) = (self.continuous, claims.as_object_mut()) {
            claims.insert("xms_cc".to_owned(), json!(["CP1"]));
        }
        if let (Some(user), Some(claims)) = (&self.user, claims.as_object_mut()) {
            claims.insert("idtyp".to_owned(), "user".into());
            claims.insert("oid".to_owned(), user.id.clone().into());
            claims.insert("upn".to_owned(), user.principal_name.clone().into());
            claims.insert("scp".to_owned(), self.roles.join(" ").into());
            return json!(claims);
        }
        // A principal without any permission gets a token without the claim, not with an empty one.
        if let (false, Some(claims)) = (self.roles.is_empty(), claims.as_object_mut()) {
            claims.insert("roles".to_owned(), json!(self.roles));
        }
        claims
    }
}

/// The tokens issued and not yet expired.
#[derive(Debug, Default)]
pub(crate) struct Tokens {
    issued: Mutex<HashMap<String, Arc<Caller>>>,
}

impl Tokens {
    /// Issues a token. `salt` stands for the signature, which nobody else can know.
    pub(crate) fn issue(&self, caller: Caller, salt: [u8; 32]) -> String {
        let header = json!({"typ": "JWT", "alg": "RS256", "x5t": "mock-tenant", "kid": "mock-tenant"});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signature = URL_SAFE_NO_PAD.encode(salt);
        let token = format!("{}.{}.{signature}", part(&header), part(&caller.claims()));
        let mut issued = self.issued.lock().unwrap_or_else(PoisonError::into_inner);
        // An expired token is kept for an hour, so that its holder hears "expired" and not "unknown".
        let horizon = caller.issued - jiff::SignedDuration::from_hours(1);
        issued.retain(|_, kept| kept.expires > horizon);
        issued.insert(token.clone(), Arc::new(caller));
        token
    }

    /// All tokens that are still known.
    pub(crate) fn all(&self) -> Vec<String> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect()
    }

    /// The holder of a token that this tenant issued.
    pub(crate) fn holder(&self, token: &str) -> Option<Arc<Caller>> {
        self.issued.lock().unwrap_or_else(PoisonError::into_inner).get(token).cloned()
    }
}
