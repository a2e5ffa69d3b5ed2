//! Applications (the registrations of this tenant), service principals (what stands for an application in it),
//! their credentials, delegated grants and application permissions.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::stamp::Stamp;
use super::state::Document;

/// The application id of Microsoft Graph.
pub const GRAPH_APP_ID: &str = "00000003-0000-0000-c000-000000000000";
/// The application id of Office 365 Exchange Online.
pub const EXCHANGE_APP_ID: &str = "00000002-0000-0ff1-ce00-000000000000";
/// The tenant in which Microsoft's own applications are registered.
pub const MICROSOFT_TENANT_ID: &str = "f8cdef31-a31e-4b4a-93e4-5f571e91255a";

/// An application registered in this tenant. The serialised names are Graph's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct Application {
    pub id: String,
    pub deleted_date_time: Option<Stamp>,
    pub app_id: String,
    pub created_date_time: Stamp,
    pub description: Option<String>,
    pub disabled_by_microsoft_status: Option<String>,
    pub display_name: String,
    pub identifier_uris: Vec<String>,
    pub is_disabled: Option<bool>,
    pub publisher_domain: String,
    pub sign_in_audience: String,
    pub tags: Vec<String>,
    pub password_credentials: Vec<PasswordCredential>,
    pub key_credentials: Vec<KeyCredential>,
    #[serde(rename = "_hidden")]
    pub hidden: ApplicationHidden,
}

/// What other properties and relationships of an application are made of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApplicationHidden {
    /// Redirect URIs of the web platform.
    pub redirect_uris: Vec<String>,
    /// Ids of the users (or service principals) who own it.
    pub owners: Vec<String>,
    /// Federated credentials.
    pub federated: Vec<Document>,
}

/// A client secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct PasswordCredential {
    pub custom_key_identifier: Option<String>,
    pub display_name: Option<String>,
    pub end_date_time: Stamp,
    pub hint: String,
    pub key_id: String,
    /// Always null on read.
    pub secret_text: Option<String>,
    pub start_date_time: Stamp,
    /// The secret that the token endpoint accepts.
    #[serde(skip)]
    pub value: String,
}

/// A certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct KeyCredential {
    pub custom_key_identifier: Option<String>,
    pub display_name: Option<String>,
    pub end_date_time: Stamp,
    pub key: Option<String>,
    pub key_id: String,
    pub start_date_time: Stamp,
    #[serde(rename = "type")]
    pub kind: String,
    pub usage: String,
}

/// A service principal. The serialised names are Graph's.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct ServicePrincipal {
    pub id: String,
    pub deleted_date_time: Option<Stamp>,
    pub account_enabled: bool,
    pub alternative_names: Vec<String>,
    pub app_display_name: Option<String>,
    pub app_id: String,
    pub app_owner_organization_id: Option<String>,
    pub app_role_assignment_required: bool,
    pub app_roles: Vec<AppRole>,
    pub created_date_time: Stamp,
    pub disabled_by_microsoft_status: Option<String>,
    pub display_name: String,
    pub is_disabled: Option<bool>,
    pub key_credentials: Vec<KeyCredential>,
    pub password_credentials: Vec<PasswordCredential>,
    pub reply_urls: Vec<String>,
    pub service_principal_names: Vec<String>,
    pub service_principal_type: String,
    pub sign_in_audience: Option<String>,
    pub tags: Vec<String>,
    #[serde(rename = "_hidden")]
    pub hidden: ServicePrincipalHidden,
}

/// The relationships of a service principal.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ServicePrincipalHidden {
    /// Ids of the users (or service principals) who own it.
    pub owners: Vec<String>,
}

/// A permission that a resource offers to applications.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct AppRole {
    pub allowed_member_types: Vec<String>,
    pub description: String,
    pub display_name: String,
    pub id: String,
    pub is_enabled: bool,
    pub origin: String,
    pub value: String,
}

/// A delegated permission grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct OAuth2PermissionGrant {
    pub client_id: String,
    pub consent_type: String,
    pub id: String,
    pub principal_id: Option<String>,
    pub resource_id: String,
    pub scope: String,
}

/// An application permission, or a user's assignment to an application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "the fields are Graph's properties of the same name")]
pub struct AppRoleAssignment {
    pub id: String,
    pub deleted_date_time: Option<Stamp>,
    pub app_role_id: String,
    pub created_date_time: Stamp,
    pub principal_display_name: String,
    pub principal_id: String,
    pub principal_type: String,
    pub resource_display_name: String,
    pub resource_id: String,
}

/// Properties of an application that this tenant does not model.
pub(crate) const APPLICATION_UNMODELLED: &[&str] = &[
    "addIns",
    "applicationTemplateId",
    "authenticationBehaviors",
    "certification",
    "createdByAppId",
    "defaultRedirectUri",
    "groupMembershipClaims",
    "info",
    "isDeviceOnlyAuthSupported",
    "isFallbackPublicClient",
    "logo",
    "managerApplications",
    "nativeAuthenticationApisEnabled",
    "notes",
    "oauth2RequirePostResponse",
    "optionalClaims",
    "parentalControlSettings",
    "requestSignatureVerification",
    "samlMetadataUrl",
    "serviceManagementReference",
    "servicePrincipalLockConfiguration",
    "tokenEncryptionKeyId",
    "uniqueName",
    "verifiedPublisher",
];

/// Properties of a service principal that this tenant does not model.
pub(crate) const SERVICE_PRINCIPAL_UNMODELLED: &[&str] = &[
    "addIns",
    "appDescription",
    "applicationTemplateId",
    "createdByAppId",
    "customSecurityAttributes",
    "description",
    "homepage",
    "info",
    "loginUrl",
    "logoutUrl",
    "notes",
    "notificationEmailAddresses",
    "oauth2PermissionScopes",
    "preferredSingleSignOnMode",
    "preferredTokenSigningKeyThumbprint",
    "resourceSpecificApplicationPermissions",
    "samlSingleSignOnSettings",
    "tokenEncryptionKeyId",
    "verifiedPublisher",
];

impl Application {
    /// The object with every property, certificates' keys as null.
    pub(crate) fn wire(&self) -> Map<String, Value> {
        let mut row = super::object(self);
        row.shift_remove("_hidden");
        blank_keys(&mut row);
        row.insert(
            "api".to_owned(),
            json!({
                "acceptMappedClaims": null, "knownClientApplications": [], "requestedAccessTokenVersion": 2,
                "oauth2PermissionScopes": [], "preAuthorizedApplications": [],
            }),
        );
        row.insert("appRoles".to_owned(), json!([]));
        row.insert("publicClient".to_owned(), json!({"redirectUris": []}));
        row.insert("requiredResourceAccess".to_owned(), json!([]));
        row.insert("spa".to_owned(), json!({"redirectUris": []}));
        row.insert(
            "web".to_owned(),
            json!({
                "homePageUrl": null, "logoutUrl": null, "redirectUris": self.hidden.redirect_uris,
                "implicitGrantSettings": {"enableAccessTokenIssuance": false, "enableIdTokenIssuance": false},
            }),
        );
        row
    }
}

impl ServicePrincipal {
    /// A service principal of an application of which nothing more is known.
    #[must_use]
    pub fn new(id: &str, app_id: &str, name: &str, created: Stamp) -> Self {
        Self {
            id: id.to_owned(),
            deleted_date_time: None,
            account_enabled: true,
            alternative_names: Vec::new(),
            app_display_name: Some(name.to_owned()),
            app_id: app_id.to_owned(),
            app_owner_organization_id: None,
            app_role_assignment_required: false,
            app_roles: Vec::new(),
            created_date_time: created,
            disabled_by_microsoft_status: None,
            display_name: name.to_owned(),
            is_disabled: None,
            key_credentials: Vec::new(),
            password_credentials: Vec::new(),
            reply_urls: Vec::new(),
            service_principal_names: vec![app_id.to_owned()],
            service_principal_type: "Application".to_owned(),
            sign_in_audience: None,
            tags: Vec::new(),
            hidden: ServicePrincipalHidden::default(),
        }
    }

    /// The object with every property.
    pub(crate) fn wire(&self) -> Map<String, Value> {
        let mut row = super::object(self);
        row.shift_remove("_hidden");
        blank_keys(&mut row);
        row
    }

    /// The role of this name, where the resource offers it.
    #[must_use]
    pub fn app_role(&self, value: &str) -> Option<&AppRole> {
        self.app_roles.iter().find(|role| role.value == value)
    }

    /// Whether the service principal stands for one of Microsoft's own applications.
    #[must_use]
    pub fn is_microsoft(&self) -> bool {
        self.app_owner_organization_id.as_deref() == Some(MICROSOFT_TENANT_ID)
    }
}

/// Application permissions of Microsoft Graph with the ids that Microsoft publishes for them
/// (`microsoft-graph-devx-content`, provisioningInfo.json). Others get an id of this tenant's making.
pub(crate) const GRAPH_APP_ROLES: &[(&str, &str)] = &[
    ("AppRoleAssignment.ReadWrite.All", "06b708a9-e830-4db3-a914-8e69da51d44f"),
    ("Application.ReadWrite.All", "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9"),
    ("AuditLog.Read.All", "b0afded3-3588-46d8-8b3d-9842eff778da"),
    ("DelegatedPermissionGrant.ReadWrite.All", "8e8e4742-1d95-4f68-9d56-6ee75648c72a"),
    ("Device.ReadWrite.All", "1138cb37-bd11-4084-a2b7-9f71582aeddb"),
    ("Directory.Read.All", "7ab1d382-f21e-4acd-a863-ba3e13f7da61"),
    ("GroupMember.ReadWrite.All", "dbaae8cf-10b5-4b86-a4a1-f871c94c6695"),
    ("IdentityRiskyUser.ReadWrite.All", "656f6061-f9fe-4807-9708-6a2e0934df76"),
    ("MailboxSettings.ReadWrite", "6931bccd-447a-43d1-b442-00a195474933"),
    ("Policy.ReadWrite.Authorization", "fb221be6-99f2-473f-bd32-01c6a0e9ca3b"),
    ("Policy.ReadWrite.ConditionalAccess", "01c0a623-fc9b-48e9-b794-0756f8e8f067"),
    ("RoleAssignmentSchedule.Remove.Directory", "d3495511-98b7-4df3-b317-4e35c19f6129"),
    ("RoleEligibilitySchedule.Remove.Directory", "79c7e69c-0d9f-4eff-97a8-49170a5a08ba"),
    ("RoleManagement.ReadWrite.Directory", "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8"),
    ("User-PasswordProfile.ReadWrite.All", "cc117bb9-00cf-4eb8-b580-ea2a878fe8f7"),
    ("User.EnableDisableAccount.All", "3011c876-62b7-4ada-afa2-506cbbecc68c"),
    ("User.Read.All", "df021288-bdef-4463-88db-98f22de89214"),
    ("User.RevokeSessions.All", "77f3a031-c388-4f99-b373-dc68676a979e"),
    ("UserAuthenticationMethod.Read.All", "38d9df27-64da-44fd-b7c5-a6fbac20248f"),
    ("UserAuthenticationMethod.ReadWrite.All", "50483e42-d915-4231-9639-7fdb7fd190e5"),
];

/// The id of the Exchange permission that an application needs beside its directory role.
pub(crate) const EXCHANGE_APP_ROLES: &[(&str, &str)] =
    &[("Exchange.ManageAsApp", "dc50a0fb-09a3-484d-be87-e023b12c6440")];

/// A certificate's public part comes only where it was asked for.
fn blank_keys(row: &mut Map<String, Value>) {
    for key in row.get_mut("keyCredentials").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(part) = key.get_mut("key") {
            *part = Value::Null;
        }
    }
}
