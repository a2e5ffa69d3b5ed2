//! The audit entries of what a scenario describes: how each method, device, application and grant came to be.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::seed::Seeding;
use super::spec::{AppSpec, DeviceSpec, MethodSpec, PhoneType, Trust};
use crate::random::named_guid;
use crate::tenant::apps::{AppRoleAssignment, Application, GRAPH_APP_ID, OAuth2PermissionGrant, ServicePrincipal};
use crate::tenant::audit::{Activity, AppActor, InitiatedBy, KeyValue, ModifiedProperty, Target, UserActor, core};
use crate::tenant::methods::MethodKind;
use crate::tenant::stamp::Stamp;
use crate::tenant::world::Note;

/// Appends an entry; the feed is sorted once when everything is planted.
fn note(seeding: &mut Seeding<'_>, mut note: Note) {
    let at = seeding.world.audit.len();
    let name = format!("correlation/{at}/{}", note.activity.name);
    if note.correlation_id.is_empty() {
        note.correlation_id = named_guid(seeding.scenario.tenant.id, &name).to_string();
    }
    seeding.world.note(note);
}

fn entry(activity: Activity, initiated_by: InitiatedBy, targets: Vec<Target>, time: Stamp) -> Note {
    Note {
        activity,
        initiated_by,
        targets,
        details: Vec::new(),
        reason: String::new(),
        correlation_id: String::new(),
        time,
    }
}

/// A user as actor; what the attacker did came from the attacker's address.
fn by_user(seeding: &Seeding<'_>, user_id: &str, rogue: bool) -> InitiatedBy {
    let user = seeding.world.state.users.get(user_id);
    let ip = if rogue { seeding.scenario.incident.attacker_ip.clone() } else { "198.51.100.20".to_owned() };
    InitiatedBy {
        app: None,
        user: Some(UserActor {
            id: user_id.to_owned(),
            user_principal_name: user.map(|user| user.user_principal_name.clone()),
            ip_address: Some(ip),
            ..UserActor::default()
        }),
    }
}

fn by_service(name: &str) -> InitiatedBy {
    let app = AppActor { display_name: Some(name.to_owned()), ..AppActor::default() };
    InitiatedBy { app: Some(app), user: None }
}

fn user_target(seeding: &Seeding<'_>, user_id: &str) -> Target {
    let user = seeding.world.state.users.get(user_id);
    Target {
        id: user_id.to_owned(),
        display_name: user.map(|user| user.display_name.clone()),
        kind: "User".to_owned(),
        user_principal_name: user.map(|user| user.user_principal_name.clone()),
        ..Target::default()
    }
}

fn detail(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value.to_owned() }
}

fn after(time: Stamp, milliseconds: i64) -> Stamp {
    Stamp(time.0 + SignedDuration::from_millis(milliseconds))
}

/// A method: the entry names its kind in `resultReason` only.
pub(super) fn registered(seeding: &mut Seeding<'_>, user_id: &str, spec: &MethodSpec) {
    let words = match (spec.kind, spec.phone_type) {
        (MethodKind::Phone, PhoneType::Mobile) => "User registered Mobile Phone SMS",
        (MethodKind::Phone, PhoneType::AlternateMobile) => "User registered Alternate Mobile Phone Call",
        (MethodKind::Phone, PhoneType::Office) => "User registered Office Phone",
        (MethodKind::Email, _) => "User registered Email",
        (MethodKind::MicrosoftAuthenticator, _) => "User registered Authenticator App with Notification and Code",
        (MethodKind::SoftwareOath, _) => "User registered Authenticator App with Code",
        (MethodKind::Fido2, _) => "User registered Fido",
        (MethodKind::TemporaryAccessPass, _) => "Admin registered temporary access pass method for user",
        _ => "User registered all required security info",
    };
    let time = Stamp(spec.registered);
    let activity = Activity {
        name: "User registered security info",
        category: "UserManagement",
        operation: "Add",
        service: "Authentication Methods",
    };
    let target = user_target(seeding, user_id);
    let update = entry(
        core("Update user", "UserManagement", "Update"),
        by_service("Azure MFA StrongAuthenticationService"),
        vec![Target {
            modified_properties: vec![ModifiedProperty::included(&["StrongAuthenticationMethod"])],
            ..target.clone()
        }],
        after(time, -900),
    );
    note(seeding, update);
    let mut entry = entry(activity, by_user(seeding, user_id, spec.rogue), vec![target], time);
    entry.reason = words.to_owned();
    note(seeding, entry);
}

/// A device: owner and user first, then the registration itself.
pub(super) fn device(seeding: &mut Seeding<'_>, user_id: &str, spec: &DeviceSpec, (id, device_id): (&str, &str)) {
    let time = Stamp(spec.registered);
    let target = Target {
        id: id.to_owned(),
        display_name: Some(spec.name.clone()),
        kind: "Device".to_owned(),
        ..Target::default()
    };
    for (name, offset) in [("Add registered owner to device", -288), ("Add registered users to device", -284)] {
        let targets = vec![user_target(seeding, user_id), target.clone()];
        let service = by_service("Device Registration Service");
        note(seeding, entry(core(name, "Device", "Assign"), service, targets, after(time, offset)));
    }
    let trust = if spec.trust == Trust::Workplace { "Azure AD register" } else { "Azure AD join" };
    let activity = Activity {
        name: "Register device",
        category: "Device",
        operation: "Add",
        service: "Device Registration Service",
    };
    let mut entry = entry(activity, by_user(seeding, user_id, spec.rogue), vec![target], time);
    entry.details = vec![
        detail("Device Id", device_id),
        detail("Device OS", &spec.os),
        detail("Device Trust Type", trust),
        detail("Device Profile", "RegisteredDevice"),
        detail(
            "AdditionalInfo",
            &format!("Successfully joined device using account type: User with identifier {user_id}"),
        ),
        detail("User-Agent", "Dsreg/10.0 (Windows 10.0.19045)"),
    ];
    note(seeding, entry);
}

/// A property of a new object.
fn added(name: &str, value: &Value) -> ModifiedProperty {
    ModifiedProperty::new(name, Some(&json!([])), Some(&json!([value])))
}

fn object_target(kind: &str, id: &str, name: &str, modified: Vec<ModifiedProperty>) -> Target {
    Target {
        id: id.to_owned(),
        display_name: Some(name.to_owned()),
        kind: kind.to_owned(),
        modified_properties: modified,
        ..Target::default()
    }
}

/// An application and its service principal.
pub(super) fn app(
    seeding: &mut Seeding<'_>,
    spec: &AppSpec,
    object: Option<&Application>,
    principal: &ServicePrincipal,
) {
    let time = Stamp(spec.created);
    let actor = match principal.hidden.owners.first() {
        Some(owner) => by_user(seeding, owner, spec.rogue),
        None => by_service("Microsoft Azure AD Internal - Jit Provisioning"),
    };
    if let Some(object) = object {
        registration(seeding, spec, object, &actor);
    }
    let modified = vec![
        added("AccountEnabled", &json!(true)),
        added("AppPrincipalId", &json!(principal.app_id)),
        added("DisplayName", &json!(principal.display_name)),
        ModifiedProperty::included(&["AccountEnabled", "AppPrincipalId", "DisplayName"]),
        ModifiedProperty::new("TargetId.ServicePrincipalNames", None, Some(&json!(principal.app_id))),
    ];
    let target = object_target("ServicePrincipal", &principal.id, &principal.display_name, modified);
    let activity = core("Add service principal", "ApplicationManagement", "Add");
    let mut made = entry(activity, actor, vec![target], after(time, 640));
    made.details = vec![detail("User-Agent", ""), detail("AppId", &principal.app_id)];
    note(seeding, made);
}

fn registration(seeding: &mut Seeding<'_>, spec: &AppSpec, object: &Application, actor: &InitiatedBy) {
    let time = Stamp(spec.created);
    let modified = vec![
        added("AppId", &json!(object.app_id)),
        added("AvailableToOtherTenants", &json!(object.sign_in_audience != "AzureADMyOrg")),
        added("DisplayName", &json!(object.display_name)),
        ModifiedProperty::included(&["AppId", "AvailableToOtherTenants", "DisplayName"]),
    ];
    let plain = |modified| object_target("Application", &object.id, &object.display_name, modified);
    let mut made =
        entry(core("Add application", "ApplicationManagement", "Add"), actor.clone(), vec![plain(modified)], time);
    made.details = vec![detail("User-Agent", "Mozilla/5.0"), detail("AppId", &object.app_id)];
    note(seeding, made);
    for owner in &object.hidden.owners {
        let targets = vec![user_target(seeding, owner), plain(Vec::new())];
        let activity = core("Add owner to application", "ApplicationManagement", "Assign");
        note(seeding, entry(activity, actor.clone(), targets, after(time, 120)));
    }
    for secret in &spec.secrets {
        let key = object.password_credentials.iter().find(|key| key.display_name.as_ref() == Some(&secret.name));
        let text = format!(
            "[KeyIdentifier={},KeyType=Password,KeyUsage=Verify,DisplayName={}]",
            key.map(|key| key.key_id.as_str()).unwrap_or_default(),
            secret.name
        );
        let modified = vec![
            ModifiedProperty::new("KeyDescription", Some(&json!([])), Some(&json!([text]))),
            ModifiedProperty::included(&["KeyDescription"]),
        ];
        // The dash and the space at the end are the service's.
        let activity =
            core("Update application \u{2013} Certificates and secrets management ", "ApplicationManagement", "Update");
        note(seeding, entry(activity, actor.clone(), vec![plain(modified)], after(time, 40_000)));
    }
}

/// A delegated grant: the grant itself, whose target is the resource, and the consent.
pub(super) fn grant(seeding: &mut Seeding<'_>, spec: &AppSpec, grant: &OAuth2PermissionGrant) {
    let time = after(Stamp(spec.created), 84_000);
    let user = grant.principal_id.clone().or_else(|| spec.owners.first().map(|name| seeding.user_id(name)));
    let mut actor = by_user(seeding, &user.unwrap_or_default(), spec.rogue);
    if let Some(user) = &mut actor.user {
        user.display_name = Some("Azure ESTS Service".to_owned());
        user.ip_address = Some("20.190.190.1".to_owned());
    }
    let correlation = named_guid(seeding.scenario.tenant.id, &format!("consent/{}", grant.id)).to_string();
    let new = |name: &str, value: Value| ModifiedProperty::new(name, None, Some(&value));
    let modified = vec![
        new("DelegatedPermissionGrant.Scope", json!(grant.scope)),
        new("DelegatedPermissionGrant.ConsentType", json!(grant.consent_type)),
        new("DelegatedPermissionGrant.PrincipalId", json!(grant.principal_id)),
        new("ServicePrincipal.ObjectID", json!(grant.client_id)),
    ];
    let target = object_target("ServicePrincipal", &grant.resource_id, "Microsoft Graph", modified);
    let activity = core("Add delegated permission grant", "ApplicationManagement", "Assign");
    let mut given = entry(activity, actor.clone(), vec![target], time);
    given.details = vec![detail("User-Agent", "EvoSTS"), detail("AppId", GRAPH_APP_ID)];
    given.correlation_id.clone_from(&correlation);
    note(seeding, given);
    let text = format!(
        "[] => [[Id: {}, ClientId: {}, PrincipalId: {}, ResourceId: {}, ConsentType: {}, Scope: {}, CreatedDateTime: , LastModifiedDateTime ]]; ",
        grant.id,
        grant.client_id,
        grant.principal_id.as_deref().unwrap_or_default(),
        grant.resource_id,
        grant.consent_type,
        grant.scope
    );
    let everybody = if grant.principal_id.is_none() { "True" } else { "False" };
    let modified = vec![
        new("ConsentContext.IsAdminConsent", json!(everybody)),
        new("ConsentContext.IsAppOnly", json!("False")),
        new("ConsentContext.OnBehalfOfAll", json!(everybody)),
        new("ConsentContext.Tags", json!("WindowsAzureActiveDirectoryIntegratedApp")),
        new("ConsentAction.Permissions", json!(text)),
    ];
    let target = object_target("ServicePrincipal", &grant.client_id, &spec.name, modified);
    let activity = core("Consent to application", "ApplicationManagement", "Assign");
    let mut consent = entry(activity, actor, vec![target], after(time, 13));
    consent.correlation_id = correlation;
    note(seeding, consent);
}

/// A user's assignment to an application, which a consent brings.
pub(super) fn assignment(seeding: &mut Seeding<'_>, spec: &AppSpec, row: &AppRoleAssignment) {
    let time = after(Stamp(spec.created), 83_990);
    let actor = by_user(seeding, &row.principal_id, spec.rogue);
    let principal = seeding.world.state.users.get(&row.principal_id).map(|user| user.user_principal_name.clone());
    let new = |name: &str, value: Value| ModifiedProperty::new(name, None, Some(&value));
    let modified = vec![
        new("AppRole.Id", json!(row.app_role_id)),
        new("AppRole.Value", json!("")),
        new("User.ObjectID", json!(row.principal_id)),
        new("User.UPN", json!(principal)),
    ];
    let target = object_target("ServicePrincipal", &row.resource_id, &spec.name, modified);
    let activity = core("Add app role assignment grant to user", "UserManagement", "Assign");
    note(seeding, entry(activity, actor, vec![target], time));
}
