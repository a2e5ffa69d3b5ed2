//! Device objects of the directory.

use serde::Serialize;
use serde_json::{Map, Value};

use super::stamp::Stamp;

/// A device. The serialised names are Graph's; `_hidden` never leaves the tenant through a route.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct Device {
    pub id: String,
    pub deleted_date_time: Option<Stamp>,
    pub account_enabled: bool,
    pub approximate_last_sign_in_date_time: Option<Stamp>,
    pub device_category: Option<String>,
    pub device_id: String,
    pub device_metadata: Option<String>,
    pub device_ownership: Option<String>,
    pub device_version: Option<i32>,
    pub display_name: String,
    pub enrollment_profile_name: Option<String>,
    pub enrollment_type: Option<String>,
    pub is_compliant: Option<bool>,
    pub is_managed: Option<bool>,
    pub is_management_restricted: Option<bool>,
    pub is_rooted: Option<bool>,
    pub management_type: Option<String>,
    pub manufacturer: Option<String>,
    pub mdm_app_id: Option<String>,
    pub model: Option<String>,
    pub on_premises_last_sync_date_time: Option<Stamp>,
    pub on_premises_sync_enabled: Option<bool>,
    pub operating_system: String,
    pub operating_system_version: String,
    pub physical_ids: Vec<String>,
    pub profile_type: String,
    pub registration_date_time: Option<Stamp>,
    pub system_labels: Vec<String>,
    pub trust_type: String,
    #[serde(rename = "_hidden")]
    pub hidden: DeviceHidden,
}

/// The device's relationships.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeviceHidden {
    /// Ids of the users who own it; the service keeps one at most.
    pub registered_owners: Vec<String>,
    /// Ids of the users who are registered on it.
    pub registered_users: Vec<String>,
}

/// Properties of the type that this tenant does not model.
pub(crate) const UNMODELLED: &[&str] = &[
    "alternativeSecurityIds",
    "complianceExpirationDateTime",
    "onPremisesSecurityIdentifier",
    "extensionAttributes",
    "isManagementRestricted",
];

impl Device {
    /// The object with every property.
    pub(crate) fn wire(&self) -> Map<String, Value> {
        let mut row = super::object(self);
        row.shift_remove("_hidden");
        row
    }
}
