//! How to sign in: the kinds of credential, and for each the way from it to an access token.
//!
//! ```text
//! source                    which way is taken for a service; client credentials and refresh tokens
//! entra                     requests to the token endpoint: oauth2 over our transport, retries
//! certificate  federated    client assertions: signed here | issued elsewhere
//! managed      arc          the identity of the machine, in five environments | Arc's challenge
//! browser      device       a person signs in: code with PKCE on loopback | code on another device
//! surroundings              what the machine offers: variables, addresses, folders
//! ```

mod arc;
mod browser;
mod certificate;
mod device;
mod entra;
mod federated;
mod managed;
mod source;
mod surroundings;

use std::{fmt, sync::Arc, time::Duration};

pub use certificate::{Certificate, CertificateError};
pub use federated::{Federated, FederatedFrom};
pub use managed::{ManagedIdentity, UserAssigned};
use secrecy::SecretString;
pub(super) use source::Source;
pub use surroundings::Surroundings;
use url::Url;

/// How to sign in.
#[derive(Clone, Debug)]
pub enum Credential {
    /// A client secret.
    Secret(SecretString),
    /// A certificate of the application: signs an assertion for every token.
    Certificate(Box<Certificate>),
    /// The token of another issuer that the application trusts.
    Federated(Federated),
    /// The identity of the Azure resource that this runs on.
    ManagedIdentity(ManagedIdentity),
    /// A person, in a browser on this machine.
    Browser(Arc<dyn Attendant>),
    /// A person, in a browser on another device. Often blocked, for good reason: the code can be phished.
    ///
    /// Source: Microsoft Entra "authentication flows as a condition in Conditional Access policy".
    DeviceCode(Arc<dyn Attendant>),
}

/// Who talks to the person that signs in.
pub trait Attendant: fmt::Debug + Send + Sync {
    /// Asks the person to open this address here. It holds no secret that outlives the sign-in.
    fn browse(&self, address: &Url);
    /// Asks the person to enter this code at this address, on any device.
    fn enter_code(&self, code: &UserCode);
}

/// A code for a person to enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserCode {
    /// Where.
    pub address: Url,
    /// What; letters and digits.
    pub code: String,
    /// For how long it is good.
    pub valid: Duration,
}

/// A token as it was granted.
pub(super) struct Grant {
    /// The access token.
    pub(super) token: SecretString,
    /// How long it is good, from now.
    pub(super) lifetime: Duration,
}
