//! Sign-ins under way, and the refresh tokens that they left.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// What the token endpoint remembers between requests.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    /// Device sign-ins by device code.
    pub(crate) devices: BTreeMap<String, DeviceRequest>,
    /// Authorization codes.
    pub(crate) codes: BTreeMap<String, Code>,
    /// Refresh tokens.
    pub(crate) refresh: BTreeMap<String, Refresh>,
    /// The id of the user at the browser.
    pub(crate) operator: Option<String>,
    /// Public keys (PEM) of trusted certificates by thumbprint.
    pub(crate) certificates: BTreeMap<String, String>,
}

/// A sign-in on another device.
#[derive(Debug, Clone)]
pub(crate) struct DeviceRequest {
    pub(crate) user_code: String,
    pub(crate) client_id: String,
    pub(crate) scope: String,
    pub(crate) expires: Timestamp,
    /// Who approved it.
    pub(crate) user_id: Option<String>,
}

/// An authorization code.
#[derive(Debug, Clone)]
pub(crate) struct Code {
    pub(crate) client_id: String,
    pub(crate) redirect: String,
    pub(crate) scope: String,
    pub(crate) challenge: String,
    pub(crate) user_id: String,
    pub(crate) used: bool,
}

/// A refresh token.
#[derive(Debug, Clone)]
pub(crate) struct Refresh {
    pub(crate) client_id: String,
    pub(crate) user_id: String,
    pub(crate) scope: String,
    pub(crate) issued: Timestamp,
}
