//! Authentication methods: the ten types that v1.0 knows, and which of them may be removed.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::stamp::Stamp;

/// The constant id of everybody's password method.
pub const PASSWORD_ID: &str = "28c10230-6103-485e-b985-444c60001490";
/// The constant id of everybody's mobile phone.
pub const MOBILE_ID: &str = "3179e48a-750b-4051-897c-87b9720928f7";
/// The constant id of everybody's alternate mobile phone.
pub const ALTERNATE_MOBILE_ID: &str = "b6332ec1-7057-4abe-9331-3d72feddfe41";
/// The constant id of everybody's office phone.
pub const OFFICE_ID: &str = "e37fc753-ff3b-4958-9484-eaa9425c82bc";
/// The constant id of everybody's email method.
pub const EMAIL_ID: &str = "3ddfcfc8-9383-446f-83cc-3ab9be4be18f";

/// A method type with its typed collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the variants are Graph's types of the same name")]
pub enum MethodKind {
    Password,
    Phone,
    Email,
    MicrosoftAuthenticator,
    SoftwareOath,
    Fido2,
    WindowsHelloForBusiness,
    PlatformCredential,
    TemporaryAccessPass,
    External,
}

/// Every type, in the order in which a list shows them.
pub const KINDS: [MethodKind; 10] = [
    MethodKind::Password,
    MethodKind::Phone,
    MethodKind::Email,
    MethodKind::MicrosoftAuthenticator,
    MethodKind::SoftwareOath,
    MethodKind::Fido2,
    MethodKind::WindowsHelloForBusiness,
    MethodKind::PlatformCredential,
    MethodKind::TemporaryAccessPass,
    MethodKind::External,
];

impl MethodKind {
    /// The `@odata.type` of the method's objects.
    #[must_use]
    pub fn odata_type(self) -> String {
        format!("#microsoft.graph.{}AuthenticationMethod", self.stem())
    }

    /// The typed collection under `authentication/`.
    #[must_use]
    pub fn collection(self) -> &'static str {
        match self {
            Self::Password => "passwordMethods",
            Self::Phone => "phoneMethods",
            Self::Email => "emailMethods",
            Self::MicrosoftAuthenticator => "microsoftAuthenticatorMethods",
            Self::SoftwareOath => "softwareOathMethods",
            Self::Fido2 => "fido2Methods",
            Self::WindowsHelloForBusiness => "windowsHelloForBusinessMethods",
            Self::PlatformCredential => "platformCredentialMethods",
            Self::TemporaryAccessPass => "temporaryAccessPassMethods",
            Self::External => "externalAuthenticationMethods",
        }
    }

    fn stem(self) -> &'static str {
        match self {
            Self::Password => "password",
            Self::Phone => "phone",
            Self::Email => "email",
            Self::MicrosoftAuthenticator => "microsoftAuthenticator",
            Self::SoftwareOath => "softwareOath",
            Self::Fido2 => "fido2",
            Self::WindowsHelloForBusiness => "windowsHelloForBusiness",
            Self::PlatformCredential => "platformCredential",
            Self::TemporaryAccessPass => "temporaryAccessPass",
            Self::External => "external",
        }
    }
}

/// One registered method of a user.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuthMethod {
    /// The method's id; for phone, email and password the same for every user.
    pub id: String,
    /// When it was registered; Graph has no date for some types.
    pub created_date_time: Option<Stamp>,
    /// What it is.
    pub details: Details,
    /// Whether it is the user's default for multifactor authentication. Version 1.0 of Graph never says so.
    pub default: bool,
}

/// The properties of each type.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub enum Details {
    Password,
    Phone { phone_number: String, phone_type: String, sms_sign_in_state: String },
    Email { email_address: String },
    MicrosoftAuthenticator { display_name: String, device_tag: String, phone_app_version: String },
    SoftwareOath,
    Fido2 { display_name: String, model: String, aa_guid: String, passkey_type: String },
    WindowsHelloForBusiness { display_name: String, key_strength: String },
    PlatformCredential { display_name: String, key_strength: String, platform: String },
    TemporaryAccessPass { start_date_time: Stamp, lifetime_in_minutes: i64, is_usable_once: bool },
    External { configuration_id: String, display_name: String },
}

impl AuthMethod {
    /// The method's type.
    #[must_use]
    pub fn kind(&self) -> MethodKind {
        match self.details {
            Details::Password => MethodKind::Password,
            Details::Phone { .. } => MethodKind::Phone,
            Details::Email { .. } => MethodKind::Email,
            Details::MicrosoftAuthenticator { .. } => MethodKind::MicrosoftAuthenticator,
            Details::SoftwareOath => MethodKind::SoftwareOath,
            Details::Fido2 { .. } => MethodKind::Fido2,
            Details::WindowsHelloForBusiness { .. } => MethodKind::WindowsHelloForBusiness,
            Details::PlatformCredential { .. } => MethodKind::PlatformCredential,
            Details::TemporaryAccessPass { .. } => MethodKind::TemporaryAccessPass,
            Details::External { .. } => MethodKind::External,
        }
    }

    /// Whether it can be a second factor, and so the default.
    #[must_use]
    pub fn is_factor(&self) -> bool {
        !matches!(self.kind(), MethodKind::Password | MethodKind::Email | MethodKind::TemporaryAccessPass)
    }

    /// A name that a person knows it by.
    #[must_use]
    pub fn label(&self) -> String {
        match &self.details {
            Details::Phone { phone_number, .. } => phone_number.clone(),
            Details::Email { email_address } => email_address.clone(),
            Details::MicrosoftAuthenticator { display_name, .. }
            | Details::Fido2 { display_name, .. }
            | Details::WindowsHelloForBusiness { display_name, .. }
            | Details::PlatformCredential { display_name, .. }
            | Details::External { display_name, .. } => display_name.clone(),
            Details::Password | Details::SoftwareOath | Details::TemporaryAccessPass { .. } => {
                self.kind().stem().to_owned()
            }
        }
    }

    /// The object as Graph shows it at `now`.
    pub(crate) fn wire(&self, now: Stamp) -> Map<String, Value> {
        let mut row = Map::new();
        row.insert("@odata.type".to_owned(), self.kind().odata_type().into());
        row.insert("id".to_owned(), self.id.clone().into());
        row.insert("createdDateTime".to_owned(), json!(self.created_date_time));
        if let Value::Object(properties) = self.properties(now) {
            row.extend(properties);
        }
        row
    }

    fn properties(&self, now: Stamp) -> Value {
        match &self.details {
            Details::Password => json!({"password": null}),
            Details::Phone { phone_number, phone_type, sms_sign_in_state } => json!({
                "phoneNumber": phone_number, "phoneType": phone_type, "smsSignInState": sms_sign_in_state,
            }),
            Details::Email { email_address } => json!({"emailAddress": email_address}),
            Details::MicrosoftAuthenticator { display_name, device_tag, phone_app_version } => json!({
                "displayName": display_name, "deviceTag": device_tag, "phoneAppVersion": phone_app_version,
            }),
            Details::SoftwareOath => json!({"secretKey": null}),
            Details::Fido2 { display_name, model, aa_guid, passkey_type } => json!({
                "displayName": display_name, "aaGuid": aa_guid, "model": model,
                "attestationCertificates": [], "attestationLevel": "attested", "passkeyType": passkey_type,
            }),
            Details::WindowsHelloForBusiness { display_name, key_strength } => {
                json!({"displayName": display_name, "keyStrength": key_strength})
            }
            Details::PlatformCredential { display_name, key_strength, platform } => json!({
                "displayName": display_name, "keyStrength": key_strength, "platform": platform,
            }),
            Details::TemporaryAccessPass { start_date_time, lifetime_in_minutes, is_usable_once } => {
                pass_properties(*start_date_time, *lifetime_in_minutes, *is_usable_once, now)
            }
            Details::External { configuration_id, display_name } => {
                json!({"configurationId": configuration_id, "displayName": display_name})
            }
        }
    }
}

fn pass_properties(start: Stamp, minutes: i64, once: bool, now: Stamp) -> Value {
    let end = start.0.checked_add(jiff::SignedDuration::from_mins(minutes)).unwrap_or(start.0);
    let reason = if now < start {
        "NotYetValid"
    } else if now.0 >= end {
        "Expired"
    } else {
        "EnabledByPolicy"
    };
    json!({
        "temporaryAccessPass": null,
        "startDateTime": start,
        "lifetimeInMinutes": minutes,
        "isUsableOnce": once,
        "isUsable": reason == "EnabledByPolicy",
        "methodUsabilityReason": reason,
    })
}

/// Why a method cannot be removed from the list of its user's methods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CannotRemove {
    /// There is none with this id and type.
    Missing,
    /// It is the default and others are registered.
    Default,
    /// A mobile phone while an alternate one is registered.
    AlternateMobile,
}

/// Removes a method by the rules of the typed collections.
pub(crate) fn remove(methods: &mut Vec<AuthMethod>, kind: MethodKind, id: &str) -> Result<AuthMethod, CannotRemove> {
    let at = methods.iter().position(|method| method.kind() == kind && method.id == id).ok_or(CannotRemove::Missing)?;
    let method = methods.get(at).ok_or(CannotRemove::Missing)?;
    let others = methods.iter().any(|other| other.id != id && other.is_factor());
    if method.default && others {
        return Err(CannotRemove::Default);
    }
    if method.id == MOBILE_ID && methods.iter().any(|other| other.id == ALTERNATE_MOBILE_ID) {
        return Err(CannotRemove::AlternateMobile);
    }
    Ok(methods.remove(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phone(id: &str, default: bool) -> AuthMethod {
        AuthMethod {
            id: id.to_owned(),
            created_date_time: None,
            details: Details::Phone {
                phone_number: "+1 5555550100".to_owned(),
                phone_type: "mobile".to_owned(),
                sms_sign_in_state: "notConfigured".to_owned(),
            },
            default,
        }
    }

    #[test]
    fn the_default_goes_only_when_it_is_the_last_factor() {
        let mut methods = vec![phone(MOBILE_ID, true), phone(OFFICE_ID, false)];
        assert_eq!(remove(&mut methods, MethodKind::Phone, MOBILE_ID), Err(CannotRemove::Default));
        assert!(remove(&mut methods, MethodKind::Phone, OFFICE_ID).is_ok());
        assert!(remove(&mut methods, MethodKind::Phone, MOBILE_ID).is_ok());
        assert!(methods.is_empty());
    }

    #[test]
    fn a_mobile_stays_while_an_alternate_is_there() {
        let mut methods = vec![phone(MOBILE_ID, false), phone(ALTERNATE_MOBILE_ID, false)];
        assert_eq!(remove(&mut methods, MethodKind::Phone, MOBILE_ID), Err(CannotRemove::AlternateMobile));
    }

    #[test]
    fn the_typed_collection_must_be_the_right_one() {
        let mut methods = vec![phone(MOBILE_ID, false)];
        assert_eq!(remove(&mut methods, MethodKind::Email, MOBILE_ID), Err(CannotRemove::Missing));
    }

    #[test]
    fn every_type_has_graphs_name() {
        assert_eq!(MethodKind::External.odata_type(), "#microsoft.graph.externalAuthenticationMethod");
        assert_eq!(MethodKind::Fido2.odata_type(), "#microsoft.graph.fido2AuthenticationMethod");
    }

    #[test]
    fn a_pass_is_usable_only_within_its_time() {
        let at = |text: &str| Stamp(text.parse().unwrap());
        let start = at("2023-12-12T14:00:00Z");
        let reason = |now| pass_properties(start, 60, true, now)["methodUsabilityReason"].clone();
        assert_eq!(reason(at("2023-12-12T13:59:59Z")), "NotYetValid");
        assert_eq!(reason(at("2023-12-12T14:30:00Z")), "EnabledByPolicy");
        assert_eq!(reason(at("2023-12-12T15:00:00Z")), "Expired");
    }
}
