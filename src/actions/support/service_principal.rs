//! A service principal: an application as it stands in this tenant, with its owners and grants.

use serde::Deserialize;

use crate::{
    client::{ReadError, Reader},
    model::{Caveat, CaveatKind, GraphPath, Untrusted, Workload, odata_literal},
};

/// `microsoft.graph.servicePrincipal`, as far as it is needed. It has no date of creation in v1.0.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ServicePrincipal {
    /// Object id: grants and assignments name this one.
    pub(crate) id: String,
    /// Client id.
    pub(crate) app_id: String,
    /// Chosen by whoever registered the application.
    pub(crate) display_name: Option<Untrusted>,
    /// Null counts as enabled.
    pub(crate) account_enabled: Option<bool>,
    /// Home tenant.
    pub(crate) app_owner_organization_id: Option<String>,
    /// `Application`, `ManagedIdentity`, `Legacy`, `SocialIdp`.
    pub(crate) service_principal_type: Option<String>,
}

impl ServicePrincipal {
    /// What the guards ask about.
    pub(crate) fn workload(&self) -> Workload {
        Workload {
            app_id: self.app_id.clone(),
            home_tenant: self.app_owner_organization_id.clone(),
            kind: self.service_principal_type.clone(),
        }
    }
}

const PROPERTIES: &str = "id,appId,displayName,accountEnabled,appOwnerOrganizationId,servicePrincipalType";

/// `/servicePrincipals/{id}`. Never by client id, where a `PATCH` would create what it does not find.
pub(crate) fn path(id: &str) -> GraphPath {
    GraphPath::v1().fixed("servicePrincipals").id(id)
}

/// By object id.
pub(crate) async fn by_object_id(tenant: &Reader, id: &str) -> Result<ServicePrincipal, ReadError> {
    tenant.get(&path(id).select(PROPERTIES)).await
}

/// By client id, if the application has a service principal in this tenant.
pub(crate) async fn by_app_id(tenant: &Reader, app_id: &str) -> Result<Option<ServicePrincipal>, ReadError> {
    let path = GraphPath::v1()
        .fixed("servicePrincipals")
        .query("$filter", &format!("appId eq {}", odata_literal(app_id)))
        .select(PROPERTIES);
    let rows: Vec<ServicePrincipal> = tenant.list(&path).await?;
    let ours = |row: &ServicePrincipal| row.app_id.eq_ignore_ascii_case(app_id);
    Ok(rows.into_iter().find(ours))
}

/// A delegated grant that the application holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Grant {
    /// `Principal`: for one user. `AllPrincipals`: for everybody.
    consent_type: Option<String>,
    /// Separated by spaces, often with one in front.
    scope: Option<String>,
}

/// Who can switch the application on again.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Owner {
    id: String,
    user_principal_name: Option<Untrusted>,
    display_name: Option<Untrusted>,
}

impl Owner {
    /// What it calls itself.
    pub(crate) fn name(&self) -> &str {
        let named = self.user_principal_name.as_ref().or(self.display_name.as_ref());
        named.map_or(&self.id, Untrusted::raw)
    }
}

/// What an application may do, and whose it is; `None` where that could not be read.
pub(crate) struct Reach {
    grants: Option<Vec<Grant>>,
    owners: Option<Vec<Owner>>,
}

impl Reach {
    /// Reads grants and owners. What is denied is told and stops nothing.
    pub(crate) async fn read(tenant: &Reader, id: &str) -> Self {
        let (grants, owners) = (path(id).fixed("oauth2PermissionGrants"), path(id).fixed("owners"));
        let (grants, owners) = futures_util::join!(tenant.list(&grants), tenant.list(&owners));
        Self { grants: grants.ok(), owners: owners.ok() }
    }

    /// One line of evidence.
    pub(crate) fn in_words(&self) -> String {
        let grants = match self.grants.as_deref() {
            None => "grants unreadable".to_owned(),
            Some([]) => "no delegated grants".to_owned(),
            Some(grants) => join(grants.iter().map(Grant::in_words)),
        };
        let owners = match self.owners.as_deref() {
            None => "owners unreadable".to_owned(),
            Some([]) => "no owner".to_owned(),
            Some(owners) => format!("owner {}", join(owners.iter().map(|it| it.name().to_owned()))),
        };
        format!("{grants}; {owners}")
    }

    /// What could not be read.
    pub(crate) fn blind(&self) -> Option<Caveat> {
        (self.grants.is_none() || self.owners.is_none())
            .then(|| Caveat::new(CaveatKind::BlindSpot, "grants or owners of this application could not be read"))
    }
}

impl Grant {
    fn in_words(&self) -> String {
        let scope = self.scope.as_deref().unwrap_or_default().trim();
        match self.consent_type.as_deref() {
            Some("AllPrincipals") => format!("granted for EVERY user: {scope}"),
            _ => format!("granted for one user: {scope}"),
        }
    }
}

fn join(parts: impl Iterator<Item = String>) -> String {
    parts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::{Reach, ServicePrincipal};

    pub(crate) fn chatbot() -> ServicePrincipal {
        serde_json::from_value(json!({
            "@odata.context": "https://graph.microsoft.com/v1.0/$metadata#servicePrincipals/$entity",
            "id": "chatbot-sp",
            "appId": "a",
            "displayName": "chatbot",
            "accountEnabled": true,
            "appOwnerOrganizationId": "11111111-0000-4000-8000-000000000000",
            "servicePrincipalType": "Application",
            "signInAudience": "AzureADandPersonalMicrosoftAccount"
        }))
        .unwrap()
    }

    pub(crate) fn reach() -> Reach {
        Reach {
            grants: serde_json::from_value(json!([
                {"id": "g", "clientId": "chatbot-sp", "consentType": "AllPrincipals", "principalId": null, "resourceId": "graph-sp", "scope": " Mail.ReadWrite User.Read"}
            ]))
            .ok(),
            owners: serde_json::from_value(json!([
                {"@odata.type": "#microsoft.graph.user", "id": "u", "userPrincipalName": "johanna@sunnyside08.example"}
            ]))
            .ok(),
        }
    }

    #[test]
    fn the_guards_get_their_facts() {
        let workload = chatbot().workload();
        assert_eq!(workload.app_id, "a");
        assert_eq!(workload.kind.as_deref(), Some("Application"));
    }

    #[test]
    fn a_grant_for_everybody_stands_out() {
        let reach = reach();
        assert_eq!(
            reach.in_words(),
            "granted for EVERY user: Mail.ReadWrite User.Read; owner johanna@sunnyside08.example"
        );
        assert!(reach.blind().is_none());
    }

    #[test]
    fn unreadable_is_not_none() {
        let reach = Reach { grants: None, owners: Some(Vec::new()) };
        assert_eq!(reach.in_words(), "grants unreadable; no owner");
        assert!(reach.blind().is_some());
    }
}
