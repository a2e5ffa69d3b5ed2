//! Policies, domains, risk and sign-ins of a scenario.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::seed::Seeding;
use super::spec::UserKind;
use crate::routes::graph::policies::blank_policy;
use crate::routes::graph::protection::risky_user;
use crate::tenant::stamp::Stamp;
use crate::tenant::state::Document;

fn document(value: Value) -> Document {
    match value {
        Value::Object(map) => map,
        _ => Document::new(),
    }
}

/// Adds what every tenant has, and what the incident left.
pub(super) fn plant_policies(seeding: &mut Seeding<'_>) {
    policies(seeding);
    conditional_access(seeding);
    domains(seeding);
    let victims = seeding.scenario.incident.victims.clone();
    for victim in &victims {
        risk(seeding, victim);
        sign_ins(seeding, victim);
    }
}

/// The domain whose users sign in at the identity provider of the premises: a domain is federated as a whole.
pub(super) fn federated_domain(domain: &str) -> String {
    format!("federated.{domain}")
}

fn policies(seeding: &mut Seeding<'_>) {
    let authorization = json!({
        "id": "authorizationPolicy", "allowInvitesFrom": "everyone", "allowedToSignUpEmailBasedSubscriptions": true,
        "allowedToUseSSPR": true, "allowEmailVerifiedUsersToJoinOrganization": false,
        "allowUserConsentForRiskyApps": null, "blockMsolPowerShell": false, "deletedDateTime": null,
        "description": "Used to manage authorization related settings across the company.",
        "displayName": "Authorization Policy", "guestUserRoleId": "10dae51f-b6af-4016-8d66-8c2a99b929b3",
        "defaultUserRolePermissions": {
            "allowedToCreateApps": true, "allowedToCreateSecurityGroups": true, "allowedToCreateTenants": true,
            "allowedToReadBitlockerKeysForOwnedDevice": true, "allowedToReadOtherUsers": true,
            "permissionGrantPoliciesAssigned": [
                "ManagePermissionGrantsForSelf.microsoft-user-default-legacy",
                "ManagePermissionGrantsForOwnedResource.microsoft-dynamically-managed-permissions-for-team",
            ],
        },
    });
    let default = json!({
        "isServiceDefault": true,
        "inboundTrust": {"isMfaAccepted": false, "isCompliantDeviceAccepted": false, "isHybridAzureADJoinedDeviceAccepted": false},
        "automaticUserConsentSettings": {"inboundAllowed": false, "outboundAllowed": false},
    });
    let partner = json!({
        "tenantId": "c2b9f4d7-1a60-4e83-95cd-7f0e3b8a6142", "isServiceProvider": null, "isInMultiTenantOrganization": false,
        "inboundTrust": {"isMfaAccepted": true, "isCompliantDeviceAccepted": false, "isHybridAzureADJoinedDeviceAccepted": false},
        "automaticUserConsentSettings": {"inboundAllowed": null, "outboundAllowed": null},
    });
    let state = &mut seeding.world.state;
    state.policies.insert("authorizationPolicy", document(authorization));
    state.policies.insert("crossTenantDefault", document(default));
    state.partners.insert("c2b9f4d7-1a60-4e83-95cd-7f0e3b8a6142", document(partner));
}

fn conditional_access(seeding: &mut Seeding<'_>) {
    let created = json!(Stamp(seeding.scenario.tenant.created));
    let id = seeding.named("conditional-access/mfa");
    let mut policy = blank_policy();
    policy.insert("id".to_owned(), id.clone().into());
    policy.insert("displayName".to_owned(), "Require multifactor authentication".into());
    policy.insert("state".to_owned(), "enabled".into());
    policy.insert("createdDateTime".to_owned(), created.clone());
    policy.insert(
        "grantControls".to_owned(),
        json!({
            "operator": "OR", "builtInControls": ["mfa"], "customAuthenticationFactors": [], "termsOfUse": [],
        }),
    );
    if let Some(users) =
        policy.get_mut("conditions").and_then(|conditions| conditions.pointer_mut("/users/includeUsers"))
    {
        *users = json!(["All"]);
    }
    seeding.world.state.conditional_access.insert(id, policy);
    let location = seeding.named("named-location/office");
    let office = json!({
        "@odata.type": "#microsoft.graph.ipNamedLocation", "id": location, "displayName": "Office",
        "createdDateTime": created, "modifiedDateTime": null, "deletedDateTime": null, "isTrusted": true,
        "ipRanges": [{"@odata.type": "#microsoft.graph.iPv4CidrRange", "cidrAddress": "198.51.100.0/24"}],
    });
    seeding.world.state.named_locations.insert(location, document(office));
}

fn domains(seeding: &mut Seeding<'_>) {
    let tenant = seeding.scenario.tenant.domain.clone();
    let federated = seeding.scenario.users.iter().any(|user| user.kind == UserKind::Federated);
    let domain = |id: &str, kind: &str, default: bool| {
        document(json!({
            "id": id, "authenticationType": kind, "availabilityStatus": null, "isAdminManaged": true,
            "isDefault": default, "isInitial": default, "isRoot": true, "isVerified": true, "manufacturer": null,
            "model": null, "passwordNotificationWindowInDays": 14, "passwordValidityPeriodInDays": 2_147_483_647,
            "state": null, "supportedServices": ["Email", "OfficeCommunicationsOnline"],
        }))
    };
    seeding.world.state.domains.insert(tenant.clone(), domain(&tenant, "Managed", true));
    if !federated {
        return;
    }
    let name = federated_domain(&tenant);
    seeding.world.state.domains.insert(name.clone(), domain(&name, "Federated", false));
    let id = seeding.named("federation");
    let federation = json!({
        "_domain": name, "id": id, "displayName": "On-premises federation", "issuerUri": format!("http://adfs.{tenant}/trust"),
        "metadataExchangeUri": format!("https://adfs.{tenant}/mex"), "signingCertificate": "MIIC",
        "passiveSignInUri": format!("https://adfs.{tenant}/ls"), "preferredAuthenticationProtocol": "wsFed",
        "activeSignInUri": null, "signOutUri": null, "promptLoginBehavior": null,
        "isSignedAuthenticationRequestRequired": null, "nextSigningCertificate": null,
        "signingCertificateUpdateStatus": null, "federatedIdpMfaBehavior": "acceptIfMfaDoneByFederatedIdp",
        "passwordResetUri": null,
    });
    seeding.world.state.federations.insert(id, document(federation));
}

fn risk(seeding: &mut Seeding<'_>, name: &str) {
    let id = seeding.user_id(name);
    let Some(user) = seeding.world.state.users.get(&id) else {
        return;
    };
    let who = (id.as_str(), user.display_name.as_str(), user.user_principal_name.as_str());
    let row = risky_user(who, ("medium", "atRisk", "none"), Stamp(seeding.scenario.incident.start));
    seeding.world.state.risky_users.insert(id, row);
}

/// A sign-in of the user's own some hours before, and the attacker's at the start and the end of the incident.
fn sign_ins(seeding: &mut Seeding<'_>, name: &str) {
    let incident = seeding.scenario.incident.clone();
    let before = incident.start - SignedDuration::from_hours(7);
    sign_in(seeding, name, before, ("198.51.100.20", "Windows10", "Hamburg", "DE"));
    for time in [incident.start, incident.end] {
        sign_in(seeding, name, time, (&incident.attacker_ip, "Windows", "Ashburn", "US"));
    }
}

fn sign_in(
    seeding: &mut Seeding<'_>,
    name: &str,
    time: Timestamp,
    (ip, system, city, country): (&str, &str, &str, &str),
) {
    let user_id = seeding.user_id(name);
    let Some(user) = seeding.world.state.users.get(&user_id).cloned() else {
        return;
    };
    let id = seeding.named(&format!("sign-in/{name}/{time}"));
    let tenant = seeding.scenario.tenant.id.to_string();
    let row = json!({
        "id": id, "createdDateTime": Stamp(time), "userDisplayName": user.display_name,
        "userPrincipalName": user.user_principal_name.to_lowercase(), "userId": user_id,
        "appId": "00000002-0000-0ff1-ce00-000000000000", "appDisplayName": "Office 365 Exchange Online",
        "ipAddress": ip, "clientAppUsed": "Browser", "correlationId": seeding.named(&format!("correlation/{id}")),
        "conditionalAccessStatus": "success", "isInteractive": true, "riskDetail": "none",
        "riskLevelAggregated": "none", "riskLevelDuringSignIn": "none", "riskState": "none", "riskEventTypes": [],
        "riskEventTypes_v2": [], "resourceDisplayName": "Office 365 Exchange Online",
        "resourceId": "00000002-0000-0ff1-ce00-000000000000", "homeTenantId": tenant, "resourceTenantId": tenant,
        "userAgent": "Mozilla/5.0 (Windows NT 10.0; rv:109.0) Gecko/20100101 Firefox/115.0",
        "servicePrincipalId": "", "servicePrincipalName": null, "authenticationAppDeviceDetails": null,
        "status": {"errorCode": 0, "failureReason": "Other.", "additionalDetails": null},
        "deviceDetail": {
            "deviceId": "", "displayName": "", "operatingSystem": system, "browser": "Firefox 115.0",
            "isCompliant": false, "isManaged": false, "trustType": null,
        },
        "location": {
            "city": city, "state": city, "countryOrRegion": country,
            "geoCoordinates": {"altitude": null, "latitude": 0.0, "longitude": 0.0},
        },
        "appliedConditionalAccessPolicies": [{
            "id": seeding.named("conditional-access/mfa"), "displayName": "Require multifactor authentication",
            "enforcedGrantControls": ["Mfa"], "enforcedSessionControls": [], "result": "success",
        }],
    });
    seeding.world.state.sign_ins.insert(id, document(row));
}
