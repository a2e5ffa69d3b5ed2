//! Applications, service principals, grants and permissions of a scenario, Microsoft's own among them.

use jiff::SignedDuration;
use serde_json::json;

use super::seed::Seeding;
use super::seed_audit as feed;
use super::spec::{AppSpec, Audience, CredentialSpec, FederatedSpec, Home};
use crate::random::named_guid;
use crate::routes::graph::grants::grant_id;
use crate::tenant::apps::{
    AppRoleAssignment, Application, ApplicationHidden, EXCHANGE_APP_ID, EXCHANGE_APP_ROLES, GRAPH_APP_ID,
    GRAPH_APP_ROLES, KeyCredential, MICROSOFT_TENANT_ID, OAuth2PermissionGrant, PasswordCredential, ServicePrincipal,
};
use crate::tenant::stamp::Stamp;
use crate::tenant::state::Document;
use crate::tenant::world::app_role;

/// A tenant of which nothing is known but its id.
const FOREIGN_TENANT_ID: &str = "c2b9f4d7-1a60-4e83-95cd-7f0e3b8a6142";

/// Adds every application of the scenario, the responders' among them.
pub(super) fn plant_apps(seeding: &mut Seeding<'_>) {
    resource(seeding, "Microsoft Graph", GRAPH_APP_ID, GRAPH_APP_ROLES);
    resource(seeding, "Office 365 Exchange Online", EXCHANGE_APP_ID, EXCHANGE_APP_ROLES);
    let scenario = seeding.scenario;
    for spec in &scenario.apps {
        app(seeding, spec);
    }
    responder(seeding);
}

fn resource(seeding: &mut Seeding<'_>, name: &str, app_id: &str, roles: &[(&str, &str)]) {
    let mut principal = blank_principal(seeding, name, app_id);
    principal.app_owner_organization_id = Some(MICROSOFT_TENANT_ID.to_owned());
    principal.app_roles = roles.iter().map(|(value, id)| app_role(value, id)).collect();
    principal.sign_in_audience = Some(audience_name(Audience::AzureADMultipleOrgs).to_owned());
    seeding.world.state.service_principals.insert(principal.id.clone(), principal);
}

fn blank_principal(seeding: &Seeding<'_>, name: &str, app_id: &str) -> ServicePrincipal {
    let id = seeding.named(&format!("service-principal/{app_id}"));
    ServicePrincipal::new(&id, app_id, name, Stamp(seeding.scenario.tenant.created))
}

fn audience_name(audience: Audience) -> &'static str {
    match audience {
        Audience::AzureADMyOrg => "AzureADMyOrg",
        Audience::AzureADMultipleOrgs => "AzureADMultipleOrgs",
        Audience::AzureADandPersonalMicrosoftAccount => "AzureADandPersonalMicrosoftAccount",
    }
}

fn app(seeding: &mut Seeding<'_>, spec: &AppSpec) {
    let app_id = spec.app_id.map_or_else(|| seeding.named(&format!("app/{}", spec.name)), |id| id.to_string());
    let owners: Vec<String> = spec.owners.iter().map(|name| seeding.user_id(name)).collect();
    let principal = principal(seeding, spec, &app_id, &owners);
    let object = (spec.home == Home::Own).then(|| application(seeding, spec, &app_id, &owners));
    created_by(seeding, &owners, object.iter().map(|o| &o.id).chain([&principal.id]));
    feed::app(seeding, spec, object.as_ref(), &principal);
    planted_credentials(seeding, &app_id, spec);
    if let Some(object) = object {
        if spec.rogue {
            seeding.planted("application", &object.id, &spec.name);
        }
        seeding.world.state.applications.insert(object.id.clone(), object);
    }
    if spec.rogue {
        seeding.planted("servicePrincipal", &principal.id, &spec.name);
    }
    let id = principal.id.clone();
    seeding.world.state.service_principals.insert(id.clone(), principal);
    grants(seeding, spec, &id);
    let permissions: Vec<&str> = spec.permissions.iter().map(String::as_str).collect();
    seeding.world.set_permissions(&app_id, &permissions, Stamp(spec.created));
    for role in &spec.roles {
        seeding.world.assign_role(&id, role);
    }
    let given = seeding.world.state.app_role_assignments.values().filter(|row| spec.rogue && row.principal_id == id);
    let given: Vec<String> = given.map(|row| row.id.clone()).collect();
    for row in given {
        seeding.planted("appRoleAssignment", &row, &spec.name);
    }
}

fn created_by<'a>(seeding: &mut Seeding<'_>, owners: &[String], ids: impl Iterator<Item = &'a String>) {
    let ids: Vec<String> = ids.cloned().collect();
    if let Some(user) = owners.first().and_then(|id| seeding.world.state.users.get_mut(id)) {
        user.hidden.created_objects.extend(ids);
    }
}

fn principal(seeding: &Seeding<'_>, spec: &AppSpec, app_id: &str, owners: &[String]) -> ServicePrincipal {
    let home = match spec.home {
        Home::Own => Some(seeding.scenario.tenant.id.to_string()),
        Home::Foreign => Some(FOREIGN_TENANT_ID.to_owned()),
        Home::Microsoft => Some(MICROSOFT_TENANT_ID.to_owned()),
        Home::ManagedIdentity => None,
    };
    let managed = spec.home == Home::ManagedIdentity;
    let mut principal = blank_principal(seeding, &spec.name, app_id);
    principal.app_owner_organization_id = home;
    principal.created_date_time = Stamp(spec.created);
    principal.reply_urls.clone_from(&spec.redirect_uris);
    principal.sign_in_audience = (!managed).then(|| audience_name(spec.audience).to_owned());
    principal.hidden.owners = owners.to_vec();
    principal.password_credentials = secrets(seeding, app_id, spec, &spec.principal_secrets);
    if managed {
        principal.service_principal_type = "ManagedIdentity".to_owned();
        principal.alternative_names = vec!["isExplicit=False".to_owned()];
    } else {
        principal.tags = vec!["WindowsAzureActiveDirectoryIntegratedApp".to_owned()];
    }
    principal
}

fn application(seeding: &Seeding<'_>, spec: &AppSpec, app_id: &str, owners: &[String]) -> Application {
    let certificates = spec.certificates.iter().map(|certificate| certificate_of(seeding, app_id, certificate, spec));
    Application {
        id: seeding.named(&format!("application/{app_id}")),
        deleted_date_time: None,
        app_id: app_id.to_owned(),
        created_date_time: Stamp(spec.created),
        description: None,
        disabled_by_microsoft_status: None,
        display_name: spec.name.clone(),
        identifier_uris: Vec::new(),
        is_disabled: None,
        publisher_domain: seeding.scenario.tenant.domain.clone(),
        sign_in_audience: audience_name(spec.audience).to_owned(),
        tags: Vec::new(),
        password_credentials: secrets(seeding, app_id, spec, &spec.secrets),
        key_credentials: certificates.collect(),
        hidden: ApplicationHidden {
            redirect_uris: spec.redirect_uris.clone(),
            owners: owners.to_vec(),
            federated: spec.federated.iter().map(|row| federated(seeding, app_id, row)).collect(),
        },
    }
}

fn secrets(
    seeding: &Seeding<'_>,
    app_id: &str,
    spec: &AppSpec,
    credentials: &[CredentialSpec],
) -> Vec<PasswordCredential> {
    let one = |credential: &CredentialSpec| {
        let value = seeding.named(&format!("secret-value/{app_id}/{}", credential.name));
        let start = Stamp(credential.created.unwrap_or(spec.created));
        secret(seeding, app_id, &credential.name, (&value, start))
    };
    credentials.iter().map(one).collect()
}

fn certificate_of(seeding: &Seeding<'_>, app_id: &str, credential: &CredentialSpec, spec: &AppSpec) -> KeyCredential {
    let start = Stamp(credential.created.unwrap_or(spec.created));
    KeyCredential {
        custom_key_identifier: Some("QUJDREVGMDEyMzQ1Njc4OQ==".to_owned()),
        display_name: Some(format!("CN={}", credential.name)),
        end_date_time: Stamp(start.0 + SignedDuration::from_hours(24 * 365 * 20)),
        key: Some("TUlJQw==".to_owned()),
        key_id: seeding.named(&format!("certificate/{app_id}/{}", credential.name)),
        start_date_time: start,
        kind: "AsymmetricX509Cert".to_owned(),
        usage: "Verify".to_owned(),
    }
}

fn federated(seeding: &Seeding<'_>, app_id: &str, spec: &FederatedSpec) -> Document {
    let row = json!({
        "id": seeding.named(&format!("federated/{app_id}/{}", spec.name)), "name": spec.name, "issuer": spec.issuer,
        "subject": spec.subject, "description": null, "audiences": ["api://AzureADTokenExchange"],
    });
    row.as_object().cloned().unwrap_or_default()
}

/// Notes the credentials that the attacker added.
fn planted_credentials(seeding: &mut Seeding<'_>, app_id: &str, spec: &AppSpec) {
    for (prefix, kind, list) in [
        ("secret", "passwordCredential", &spec.secrets),
        ("secret", "passwordCredential", &spec.principal_secrets),
        ("certificate", "keyCredential", &spec.certificates),
    ] {
        for credential in list.iter().filter(|credential| credential.rogue) {
            let id = seeding.named(&format!("{prefix}/{app_id}/{}", credential.name));
            seeding.planted(kind, &id, &credential.name);
        }
    }
    for row in spec.federated.iter().filter(|row| row.rogue) {
        let id = seeding.named(&format!("federated/{app_id}/{}", row.name));
        seeding.planted("federatedIdentityCredential", &id, &row.name);
    }
}

fn secret(seeding: &Seeding<'_>, app_id: &str, name: &str, (value, start): (&str, Stamp)) -> PasswordCredential {
    PasswordCredential {
        custom_key_identifier: None,
        display_name: Some(name.to_owned()),
        end_date_time: Stamp(start.0 + SignedDuration::from_hours(24 * 365 * 20)),
        hint: value.chars().take(3).collect(),
        key_id: seeding.named(&format!("secret/{app_id}/{name}")),
        secret_text: None,
        start_date_time: start,
        value: value.to_owned(),
    }
}

fn grants(seeding: &mut Seeding<'_>, spec: &AppSpec, client_id: &str) {
    let resource_id = seeding.named(&format!("service-principal/{GRAPH_APP_ID}"));
    for (at, grant) in spec.grants.iter().enumerate() {
        let id = grant_id(&named_guid(seeding.scenario.tenant.id, &format!("grant/{client_id}/{at}")));
        let principal_id = grant.user.as_ref().map(|name| seeding.user_id(name));
        let row = OAuth2PermissionGrant {
            client_id: client_id.to_owned(),
            consent_type: if principal_id.is_some() { "Principal" } else { "AllPrincipals" }.to_owned(),
            id: id.clone(),
            principal_id,
            resource_id: resource_id.clone(),
            scope: grant.scope.clone(),
        };
        if spec.rogue {
            seeding.planted("oauth2PermissionGrant", &id, &spec.name);
        }
        if let Some(user) = row.principal_id.clone() {
            assign_user(seeding, spec, (client_id, &user));
        }
        feed::grant(seeding, spec, &row);
        seeding.world.state.grants.insert(id, row);
    }
}

/// A user's consent also assigns the user to the application, with the default role of zeros.
fn assign_user(seeding: &mut Seeding<'_>, spec: &AppSpec, (client_id, user_id): (&str, &str)) {
    let name = seeding.world.state.users.get(user_id).map(|user| user.display_name.clone());
    let id = seeding.named(&format!("user-assignment/{client_id}/{user_id}"));
    let row = AppRoleAssignment {
        id: id.clone(),
        deleted_date_time: None,
        app_role_id: uuid::Uuid::nil().to_string(),
        created_date_time: Stamp(spec.created),
        principal_display_name: name.unwrap_or_default(),
        principal_id: user_id.to_owned(),
        principal_type: "User".to_owned(),
        resource_display_name: spec.name.clone(),
        resource_id: client_id.to_owned(),
    };
    feed::assignment(seeding, spec, &row);
    seeding.world.state.app_role_assignments.insert(id, row);
}

/// The responders' own application, with every permission that a route asks for.
fn responder(seeding: &mut Seeding<'_>) {
    let spec = &seeding.scenario.responder;
    let (app_id, created) = (spec.app_id.to_string(), Stamp(seeding.scenario.tenant.created));
    let mut principal = blank_principal(seeding, &spec.name, &app_id);
    principal.app_owner_organization_id = Some(seeding.scenario.tenant.id.to_string());
    principal.sign_in_audience = Some(audience_name(Audience::AzureADMyOrg).to_owned());
    let application = Application {
        id: seeding.named(&format!("application/{app_id}")),
        deleted_date_time: None,
        app_id: app_id.clone(),
        created_date_time: created,
        description: Some("Signs in to contain incidents.".to_owned()),
        disabled_by_microsoft_status: None,
        display_name: spec.name.clone(),
        identifier_uris: Vec::new(),
        is_disabled: None,
        publisher_domain: seeding.scenario.tenant.domain.clone(),
        sign_in_audience: audience_name(Audience::AzureADMyOrg).to_owned(),
        tags: Vec::new(),
        password_credentials: vec![secret(seeding, &app_id, "responder", (&spec.secret, created))],
        key_credentials: Vec::new(),
        hidden: ApplicationHidden::default(),
    };
    let state = &mut seeding.world.state;
    state.applications.insert(application.id.clone(), application);
    state.service_principals.insert(principal.id.clone(), principal);
    let roles: Vec<&str> = spec.roles.iter().map(String::as_str).collect();
    seeding.world.set_permissions(&app_id, &crate::routes::all_permissions(), created);
    seeding.world.set_roles(&app_id, &roles);
}
