//! Users and what the directory lets an application do to them.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::stamp::Stamp;

/// A user. The serialised names are Graph's; `_hidden` never leaves the tenant through a route.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct User {
    pub id: String,
    pub business_phones: Vec<String>,
    pub display_name: String,
    pub given_name: Option<String>,
    pub job_title: Option<String>,
    pub mail: Option<String>,
    pub mobile_phone: Option<String>,
    pub office_location: Option<String>,
    pub preferred_language: Option<String>,
    pub surname: Option<String>,
    pub user_principal_name: String,
    pub account_enabled: bool,
    pub created_date_time: Stamp,
    pub department: Option<String>,
    pub external_user_state: Option<String>,
    pub is_management_restricted: bool,
    pub last_password_change_date_time: Stamp,
    pub mail_nickname: String,
    pub on_premises_domain_name: Option<String>,
    pub on_premises_immutable_id: Option<String>,
    pub on_premises_last_sync_date_time: Option<Stamp>,
    pub on_premises_sam_account_name: Option<String>,
    pub on_premises_sync_enabled: Option<bool>,
    pub other_mails: Vec<String>,
    pub password_policies: Option<String>,
    pub password_profile: PasswordProfile,
    pub proxy_addresses: Vec<String>,
    pub sign_in_sessions_valid_from_date_time: Stamp,
    pub usage_location: Option<String>,
    pub user_type: String,
    #[serde(rename = "_hidden")]
    pub hidden: UserHidden,
}

/// Graph's `passwordProfile` as it is read: never with a password.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PasswordProfile {
    /// The user must change the password at the next sign-in.
    pub force_change_password_next_sign_in: bool,
    /// The same, after multifactor authentication.
    pub force_change_password_next_sign_in_with_mfa: bool,
    /// Always null on read.
    pub password: Option<String>,
}

/// What no route shows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UserHidden {
    /// The password of now, if one was set through the API.
    #[serde(skip)]
    pub password: Option<String>,
    /// How many times a password was set.
    pub passwords_set: u32,
    /// Ids of the directory objects that the user created.
    pub created_objects: Vec<String>,
}

/// The properties of an answer without `$select`.
pub(crate) const DEFAULTS: &[&str] = &[
    "businessPhones",
    "displayName",
    "givenName",
    "jobTitle",
    "mail",
    "mobilePhone",
    "officeLocation",
    "preferredLanguage",
    "surname",
    "userPrincipalName",
    "id",
];

/// Properties of the type that this tenant does not model.
pub(crate) const UNMODELLED: &[&str] = &[
    "aboutMe",
    "ageGroup",
    "birthday",
    "city",
    "companyName",
    "consentProvidedForMinor",
    "country",
    "creationType",
    "customSecurityAttributes",
    "employeeHireDate",
    "employeeId",
    "employeeLeaveDateTime",
    "employeeOrgData",
    "employeeType",
    "externalUserStateChangeDateTime",
    "faxNumber",
    "hireDate",
    "identityParentId",
    "isResourceAccount",
    "legalAgeGroupClassification",
    "mySite",
    "onPremisesDistinguishedName",
    "onPremisesExtensionAttributes",
    "onPremisesSecurityIdentifier",
    "onPremisesUserPrincipalName",
    "postalCode",
    "preferredDataLocation",
    "preferredName",
    "securityIdentifier",
    "showInAddressList",
    "state",
    "streetAddress",
    "deletedDateTime",
];

impl User {
    /// The object with every property, as `$select` can show it.
    pub(crate) fn wire(&self) -> Map<String, Value> {
        let mut row = super::object(self);
        row.shift_remove("_hidden");
        row.insert("identities".to_owned(), json!([self.identity()]));
        row.insert("assignedLicenses".to_owned(), json!([]));
        row
    }

    fn identity(&self) -> Value {
        json!({
            "signInType": if self.is_guest() { "federated" } else { "userPrincipalName" },
            "issuer": if self.is_guest() { "ExternalAzureAD" } else { self.domain() },
            "issuerAssignedId": if self.is_guest() { Value::Null } else { json!(self.user_principal_name) },
        })
    }

    /// The domain of the user principal name.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.user_principal_name.rsplit('@').next().unwrap_or_default()
    }

    /// Whether the user signs in at another tenant.
    #[must_use]
    pub fn is_guest(&self) -> bool {
        self.user_type == "Guest"
    }

    /// Whether the object is mastered on premises.
    #[must_use]
    pub fn is_synced(&self) -> bool {
        self.on_premises_sync_enabled == Some(true)
    }

    /// Sets a password and all that follows from it.
    pub(crate) fn set_password(&mut self, password: &str, force: (bool, bool), now: Stamp) {
        self.hidden.password = Some(password.to_owned());
        self.hidden.passwords_set += 1;
        self.last_password_change_date_time = now;
        self.password_profile.force_change_password_next_sign_in = force.0;
        self.password_profile.force_change_password_next_sign_in_with_mfa = force.1;
    }
}
