//! The types of authentication method that Graph v1.0 knows, in one table: where each is deleted, what it shows, what
//! is lost with it.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

/// One type.
///
/// Source: the v1.0 metadata, types derived from `authenticationMethod` and the navigation properties of
/// `authentication`.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Kind {
    /// `@odata.type`.
    pub(crate) odata_type: &'static str,
    /// Collection below `/users/{id}/authentication`: only there can it be deleted.
    pub(crate) collection: &'static str,
    /// What people call it.
    pub(crate) label: &'static str,
    /// Properties that tell it apart, and make up its state. None that changes with use.
    pub(crate) properties: &'static [&'static str],
    /// Why it cannot be put back; `None` where Graph can create it.
    pub(crate) lost: Option<&'static str>,
}

/// Never deletable, and in everybody's list.
pub(crate) const PASSWORD: &str = "#microsoft.graph.passwordAuthenticationMethod";

/// `microsoft.graph.phoneAuthenticationMethod`.
pub(crate) const PHONE: &str = "#microsoft.graph.phoneAuthenticationMethod";
const EMAIL: &str = "#microsoft.graph.emailAuthenticationMethod";
const AUTHENTICATOR: &str = "#microsoft.graph.microsoftAuthenticatorAuthenticationMethod";
const SOFTWARE_OATH: &str = "#microsoft.graph.softwareOathAuthenticationMethod";
const TEMPORARY_ACCESS_PASS: &str = "#microsoft.graph.temporaryAccessPassAuthenticationMethod";

/// Every type that v1.0 can delete.
pub(crate) const KINDS: &[Kind] = &[
    Kind {
        odata_type: TEMPORARY_ACCESS_PASS,
        collection: "temporaryAccessPassMethods",
        label: "Temporary access pass",
        properties: &["startDateTime", "lifetimeInMinutes", "isUsableOnce"],
        lost: Some("the pass cannot be read, so not be put back: issue a new one"),
    },
    Kind {
        odata_type: PHONE,
        collection: "phoneMethods",
        label: "Phone",
        properties: &["phoneType", "phoneNumber"],
        lost: None,
    },
    Kind { odata_type: EMAIL, collection: "emailMethods", label: "Email", properties: &["emailAddress"], lost: None },
    Kind {
        odata_type: AUTHENTICATOR,
        collection: "microsoftAuthenticatorMethods",
        label: "Microsoft Authenticator",
        properties: &["displayName", "deviceTag"],
        lost: Some("the key is on the phone only: the user registers the app again"),
    },
    Kind {
        odata_type: SOFTWARE_OATH,
        collection: "softwareOathMethods",
        label: "Software OATH token",
        properties: &[],
        lost: Some("the tenant never shows the key: the user registers the token again"),
    },
    Kind {
        odata_type: "#microsoft.graph.fido2AuthenticationMethod",
        collection: "fido2Methods",
        label: "Passkey (FIDO2)",
        properties: &["displayName", "model", "aaGuid", "passkeyType"],
        lost: Some("the private key is in the authenticator only: the user registers the passkey again"),
    },
    Kind {
        odata_type: "#microsoft.graph.windowsHelloForBusinessAuthenticationMethod",
        collection: "windowsHelloForBusinessMethods",
        label: "Windows Hello for Business",
        properties: &["displayName", "keyStrength"],
        lost: Some("the private key is in the computer only: the user sets Windows Hello up again"),
    },
    Kind {
        odata_type: "#microsoft.graph.platformCredentialAuthenticationMethod",
        collection: "platformCredentialMethods",
        label: "Platform credential",
        properties: &["displayName", "platform", "keyStrength"],
        lost: Some("the private key is in the computer only: the user registers it again"),
    },
    Kind {
        odata_type: "#microsoft.graph.externalAuthenticationMethod",
        collection: "externalAuthenticationMethods",
        label: "External method",
        properties: &["displayName", "configurationId"],
        lost: Some("the user registers again at the external provider"),
    },
];

impl Kind {
    /// The type with this name, if v1.0 can delete it.
    pub(crate) fn of(odata_type: &str) -> Option<&'static Self> {
        KINDS.iter().find(|kind| kind.odata_type == odata_type)
    }
}

/// A method as the tenant lists it.
#[derive(Clone, Debug, Deserialize)]
#[serde(try_from = "Map<String, Value>")]
pub(crate) struct Method {
    /// `@odata.type`.
    pub(crate) odata_type: String,
    /// For phones, email and the password a constant that all users share.
    pub(crate) id: String,
    /// Null for an Authenticator that was registered for push only, and for some types always.
    pub(crate) created: Option<Timestamp>,
    /// Everything.
    pub(crate) properties: Map<String, Value>,
}

impl TryFrom<Map<String, Value>> for Method {
    type Error = &'static str;

    fn try_from(properties: Map<String, Value>) -> Result<Self, Self::Error> {
        let text = |name| properties.get(name).and_then(Value::as_str);
        let created = match text("createdDateTime") {
            None => None,
            Some(text) => Some(text.parse().map_err(|_| "a method has an unreadable date")?),
        };
        Ok(Self {
            odata_type: text("@odata.type").ok_or("a method has no type")?.to_owned(),
            id: text("id").ok_or("a method has no id")?.to_owned(),
            created,
            properties,
        })
    }
}

impl Method {
    /// Text of a property.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.properties.get(name).and_then(Value::as_str)
    }

    /// A phone of this kind: `mobile`, `alternateMobile`, `office`.
    pub(crate) fn is_phone(&self, phone_type: &str) -> bool {
        self.odata_type == PHONE && self.text("phoneType") == Some(phone_type)
    }

    /// Whether this is the method that `userPreferredMethodForSecondaryAuthentication` names. One-time codes come
    /// from the Authenticator as well as from a token.
    pub(crate) fn is_default(&self, preferred: Option<&str>) -> bool {
        match preferred {
            Some("push") => self.odata_type == AUTHENTICATOR,
            Some("oath") => matches!(self.odata_type.as_str(), AUTHENTICATOR | SOFTWARE_OATH),
            Some("sms" | "voiceMobile") => self.is_phone("mobile"),
            Some("voiceAlternateMobile") => self.is_phone("alternateMobile"),
            Some("voiceOffice") => self.is_phone("office"),
            _ => false,
        }
    }

    /// Place in the order of deletion: an access pass first, since an intruder may have minted it; the alternate
    /// number before the mobile number, which the tenant keeps as long as there is an alternate one; the default
    /// method last, which the tenant keeps as long as there is any other.
    pub(crate) fn turn(&self, preferred: Option<&str>) -> (bool, u8) {
        let rank = match self.odata_type.as_str() {
            TEMPORARY_ACCESS_PASS => 0,
            _ if self.is_phone("alternateMobile") => 2,
            _ if self.is_phone("mobile") => 3,
            _ => 1,
        };
        (self.is_default(preferred), rank)
    }

    /// What people call it, with the property that tells it apart.
    pub(crate) fn label(&self) -> String {
        let Some(kind) = Kind::of(&self.odata_type) else {
            let short = self.odata_type.rsplit('.').next().unwrap_or_default();
            return format!("Unknown method {short}");
        };
        let shown = kind.properties.iter().filter_map(|name| self.text(name)).next();
        match shown {
            Some(shown) => format!("{} {shown}", kind.label),
            None => kind.label.to_owned(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::{KINDS, Kind, Method, PASSWORD};

    /// The documented list, and one method of a type that v1.0 does not delete.
    pub(crate) fn list() -> Vec<Method> {
        serde_json::from_value(json!([
            {"@odata.type": "#microsoft.graph.passwordAuthenticationMethod", "id": "28c10230-6103-485e-b985-444c60001490", "password": null, "createdDateTime": "2022-01-01T00:00:00Z"},
            {"@odata.type": "#microsoft.graph.phoneAuthenticationMethod", "id": "3179e48a-750b-4051-897c-87b9720928f7", "phoneNumber": "+81 0900000000", "phoneType": "mobile", "smsSignInState": "notConfigured"},
            {"@odata.type": "#microsoft.graph.phoneAuthenticationMethod", "id": "b6332ec1-7057-4abe-9331-3d72feddfe41", "phoneNumber": "+81 0900000001", "phoneType": "alternateMobile", "createdDateTime": "2023-12-12T14:00:00Z"},
            {"@odata.type": "#microsoft.graph.microsoftAuthenticatorAuthenticationMethod", "id": "a1", "displayName": "Pixel", "deviceTag": "SoftwareTokenActivated", "phoneAppVersion": "6.2", "createdDateTime": null},
            {"@odata.type": "#microsoft.graph.softwareOathAuthenticationMethod", "id": "o1", "secretKey": null, "createdDateTime": "2022-05-01T00:00:00Z"},
            {"@odata.type": "#microsoft.graph.temporaryAccessPassAuthenticationMethod", "id": "t1", "createdDateTime": "2023-12-12T14:01:00Z", "startDateTime": "2023-12-12T14:01:00Z", "lifetimeInMinutes": 60, "isUsableOnce": true, "isUsable": true, "temporaryAccessPass": null},
            {"@odata.type": "#microsoft.graph.hardwareOathAuthenticationMethod", "id": "h1", "createdDateTime": "2023-12-12T14:02:00Z"}
        ]))
        .unwrap()
    }

    #[test]
    fn every_type_has_a_collection_of_its_own_and_the_password_none() {
        let mut collections: Vec<_> = KINDS.iter().map(|kind| kind.collection).collect();
        collections.sort_unstable();
        collections.dedup();
        assert_eq!(collections.len(), 9);
        assert_eq!(Kind::of(PASSWORD), None);
    }

    #[test]
    fn the_documented_list_is_read() {
        let list = list();
        assert_eq!(list[3].label(), "Microsoft Authenticator Pixel");
        assert_eq!(list[2].label(), "Phone alternateMobile");
        assert_eq!(list[4].label(), "Software OATH token");
        assert_eq!(list[6].label(), "Unknown method hardwareOathAuthenticationMethod");
        assert_eq!(list[3].created, None);
    }

    #[test]
    fn a_row_without_id_or_type_is_malformed() {
        for row in [json!({"id": "x"}), json!({"@odata.type": "#microsoft.graph.x"})] {
            assert!(serde_json::from_value::<Method>(row).is_err());
        }
        let row: Value = json!({"@odata.type": "t", "id": "x", "createdDateTime": "yesterday"});
        assert!(serde_json::from_value::<Method>(row).is_err());
    }

    #[test]
    fn the_pass_goes_first_the_alternate_before_the_mobile_and_the_default_last() {
        let ordered = |preferred| {
            let mut list = list();
            list.sort_by_key(|method| method.turn(preferred));
            list.iter().map(Method::label).collect::<Vec<_>>()
        };
        let plain = ordered(None);
        assert_eq!(plain[0], "Temporary access pass 2023-12-12T14:01:00Z");
        assert_eq!(plain[5..], ["Phone alternateMobile", "Phone mobile"]);
        assert_eq!(ordered(Some("push"))[6], "Microsoft Authenticator Pixel");
        assert_eq!(ordered(Some("oath"))[5..], ["Microsoft Authenticator Pixel", "Software OATH token"]);
        assert_eq!(ordered(Some("voiceAlternateMobile"))[6], "Phone alternateMobile");
        assert_eq!(ordered(Some("none")), plain);
    }
}
