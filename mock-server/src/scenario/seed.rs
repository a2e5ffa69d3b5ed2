//! From a scenario to a tenant: every object, and the audit entries of how it came to be.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::Scenario;
use super::background;
use super::mail;
use super::mail::{MobileSpec, PermissionSpec, SweepSpec};
use super::seed_apps::plant_apps;
use super::seed_audit as feed;
use super::seed_groups::plant_groups;
use super::seed_policies::{federated_domain, plant_policies};
use super::spec::{DeviceSpec, MethodSpec, PhoneType, RuleSpec, Trust, UserKind, UserSpec};
use crate::random::Random;
use crate::tenant::devices::{Device, DeviceHidden};
use crate::tenant::mailboxes::{InboxRule, Mailbox, MobileDevice, Permission, RuleClass, SweepRule};
use crate::tenant::methods::{
    ALTERNATE_MOBILE_ID, AuthMethod, Details, EMAIL_ID, MOBILE_ID, MethodKind, OFFICE_ID, PASSWORD_ID,
};
use crate::tenant::stamp::Stamp;
use crate::tenant::state::{Organization, State};
use crate::tenant::table::Table;
use crate::tenant::users::{PasswordProfile, User, UserHidden};
use crate::tenant::world::World;
use crate::tenant::{Credentials, Incident, RogueObject};

/// A tenant at its start.
pub(crate) struct Seeded {
    pub(crate) world: World,
    pub(crate) credentials: Credentials,
    pub(crate) incident: Incident,
}

/// What is being built.
pub(super) struct Seeding<'a> {
    pub(super) scenario: &'a Scenario,
    pub(super) world: World,
    pub(super) random: Random,
    pub(super) rogue: Vec<RogueObject>,
    names: BTreeMap<String, String>,
}

/// Builds the tenant of a scenario.
pub(crate) fn plant(scenario: &Scenario) -> Seeded {
    let mut seeding = Seeding::new(scenario);
    for spec in &scenario.users {
        seeding.user(spec, true);
    }
    let mut random = Random::new(scenario.seed ^ 0x5eed);
    for nth in 0..scenario.background_users {
        let spec = background::user(&mut random, nth, scenario.tenant.created);
        seeding.user(&spec, false);
    }
    plant_groups(&mut seeding);
    plant_apps(&mut seeding);
    plant_policies(&mut seeding);
    mail::plant_organization(&mut seeding);
    seeding.world.audit.sort_by_key(|entry| entry.activity_date_time);
    seeding.world.state.user_names = Arc::new(std::mem::take(&mut seeding.names));
    seeding.finish()
}

impl<'a> Seeding<'a> {
    fn new(scenario: &'a Scenario) -> Self {
        let tenant = &scenario.tenant;
        let organization = Organization {
            id: tenant.id.to_string(),
            display_name: tenant.display_name.clone(),
            domain: tenant.domain.clone(),
            created_date_time: Stamp(tenant.created),
        };
        let state = State {
            organization,
            users: Table::default(),
            methods: Table::default(),
            devices: Table::default(),
            mailboxes: Table::default(),
            applications: Table::default(),
            service_principals: Table::default(),
            grants: Table::default(),
            app_role_assignments: Table::default(),
            role_assignments: Table::default(),
            role_eligibilities: Table::default(),
            groups: Table::default(),
            administrative_units: Table::default(),
            policies: Table::default(),
            conditional_access: Table::default(),
            named_locations: Table::default(),
            partners: Table::default(),
            domains: Table::default(),
            federations: Table::default(),
            risky_users: Table::default(),
            sign_ins: Table::default(),
            exchange_objects: Table::default(),
            deleted: Table::default(),
            user_names: Arc::default(),
            ids: Random::new(scenario.seed),
        };
        Self {
            scenario,
            world: World {
                state,
                audit: Vec::new(),
                unified: Vec::new(),
                queries: Table::default(),
                operations: Table::default(),
                sessions: BTreeMap::new(),
                past: Vec::new(),
            },
            random: Random::new(scenario.seed ^ 0x1d),
            rogue: Vec::new(),
            names: BTreeMap::new(),
        }
    }

    fn finish(self) -> Seeded {
        let scenario = self.scenario;
        let name_of = |name: &String| self.world.state.users.get(&self.user_id(name));
        let victims = scenario.incident.victims.iter().filter_map(name_of);
        let victims = victims.map(|user| user.user_principal_name.clone()).collect();
        Seeded {
            credentials: Credentials {
                tenant_id: scenario.tenant.id.to_string(),
                client_id: scenario.responder.app_id.to_string(),
                client_secret: scenario.responder.secret.clone(),
            },
            incident: Incident {
                victims,
                start: scenario.incident.start,
                end: scenario.incident.end,
                rogue: self.rogue,
            },
            world: self.world,
        }
    }

    /// An id that depends on the tenant and the name only.
    pub(super) fn named(&self, name: &str) -> String {
        self.world.named(name)
    }

    /// The object id of a user of the scenario.
    pub(super) fn user_id(&self, name: &str) -> String {
        self.named(&format!("user/{name}"))
    }

    /// Notes a planted object.
    pub(super) fn planted(&mut self, kind: &'static str, id: &str, name: &str) {
        self.rogue.push(RogueObject { kind, id: id.to_owned(), name: name.to_owned() });
    }

    fn user(&mut self, spec: &UserSpec, logged: bool) {
        let user = self.user_object(spec);
        let id = user.id.clone();
        self.names.insert(user.user_principal_name.to_lowercase(), id.clone());
        for role in &spec.roles {
            self.world.assign_role(&id, role);
        }
        for role in &spec.rogue_roles {
            self.world.assign_role(&id, role);
            let row = self.world.role_row(&id, role, "/");
            self.planted("roleAssignment", &row.map(|row| row.id).unwrap_or_default(), role);
        }
        if spec.rogue {
            self.planted("user", &id, &spec.display_name);
        }
        for role in &spec.eligible_roles {
            self.world.make_eligible(&id, role);
        }
        if !spec.no_mailbox && spec.kind != UserKind::Guest {
            let mailbox = self.mailbox(spec, &user);
            self.planted_mail(spec, &mailbox);
            self.world.state.mailboxes.insert(id.clone(), mailbox);
        }
        self.world.state.users.insert(id.clone(), user);
        let methods = self.methods(spec, &id);
        self.world.state.methods.insert(id.clone(), methods);
        for device in &spec.devices {
            self.device(spec, device, &id, logged);
        }
        if logged {
            for method in &spec.methods {
                feed::registered(self, &id, method);
            }
        }
    }

    fn user_object(&self, spec: &UserSpec) -> User {
        let tenant = &self.scenario.tenant;
        let synced = matches!(spec.kind, UserKind::Synced | UserKind::Federated);
        let guest = spec.kind == UserKind::Guest;
        let domain = match spec.kind {
            UserKind::Federated => federated_domain(&tenant.domain),
            _ => tenant.domain.clone(),
        };
        let address = format!("{}@{domain}", spec.name);
        let principal =
            if guest { format!("{}_partner.example#EXT#@{}", spec.name, tenant.domain) } else { address.clone() };
        let mut words = spec.display_name.split(' ');
        let mail = if guest { format!("{}@partner.example", spec.name) } else { address };
        User {
            id: self.user_id(&spec.name),
            business_phones: Vec::new(),
            display_name: spec.display_name.clone(),
            given_name: words.next().map(str::to_owned),
            job_title: spec.job_title.clone(),
            mail: (!spec.no_mailbox || guest).then(|| mail.clone()),
            mobile_phone: None,
            office_location: None,
            preferred_language: Some("en".to_owned()),
            surname: words.next().map(str::to_owned),
            user_principal_name: principal,
            account_enabled: !spec.disabled,
            created_date_time: Stamp(spec.created),
            department: spec.job_title.clone(),
            external_user_state: guest.then(|| "Accepted".to_owned()),
            is_management_restricted: false,
            last_password_change_date_time: Stamp(spec.created),
            mail_nickname: spec.name.clone(),
            on_premises_domain_name: synced.then(|| format!("corp.{}", tenant.domain)),
            on_premises_immutable_id: synced.then(|| format!("{}==", spec.name)),
            on_premises_last_sync_date_time: synced.then_some(Stamp(spec.created)),
            on_premises_sam_account_name: synced.then(|| spec.name.clone()),
            on_premises_sync_enabled: synced.then_some(true),
            other_mails: Vec::new(),
            password_policies: None,
            password_profile: PasswordProfile::default(),
            proxy_addresses: vec![format!("SMTP:{mail}")],
            sign_in_sessions_valid_from_date_time: Stamp(spec.created),
            usage_location: Some("DE".to_owned()),
            user_type: if guest { "Guest" } else { "Member" }.to_owned(),
            hidden: UserHidden::default(),
        }
    }

    fn methods(&mut self, spec: &UserSpec, user_id: &str) -> Vec<AuthMethod> {
        let mut out = vec![AuthMethod {
            id: PASSWORD_ID.to_owned(),
            created_date_time: Some(Stamp(spec.created)),
            details: Details::Password,
            default: false,
        }];
        for (at, method) in spec.methods.iter().enumerate() {
            let built = self.method(method, &format!("method/{user_id}/{at}"));
            if method.rogue {
                self.planted("authenticationMethod", &built.id, &built.label());
            }
            out.push(built);
        }
        out.sort_by_key(AuthMethod::kind);
        out
    }

    fn method(&self, spec: &MethodSpec, name: &str) -> AuthMethod {
        let label = spec.label.clone().unwrap_or_default();
        let fixed = match (spec.kind, spec.phone_type) {
            (MethodKind::Phone, PhoneType::Mobile) => Some(MOBILE_ID),
            (MethodKind::Phone, PhoneType::AlternateMobile) => Some(ALTERNATE_MOBILE_ID),
            (MethodKind::Phone, PhoneType::Office) => Some(OFFICE_ID),
            (MethodKind::Email, _) => Some(EMAIL_ID),
            _ => None,
        };
        let id = spec.id.clone().or_else(|| fixed.map(str::to_owned)).unwrap_or_else(|| self.named(name));
        // The service knows a date only for an Authenticator registered for passwordless sign-in.
        let dated =
            spec.passwordless || !matches!(spec.kind, MethodKind::MicrosoftAuthenticator | MethodKind::SoftwareOath);
        AuthMethod {
            id,
            created_date_time: dated.then_some(Stamp(spec.registered)),
            details: details(spec, label),
            default: spec.default,
        }
    }

    fn device(&mut self, spec: &UserSpec, device: &DeviceSpec, user_id: &str, logged: bool) {
        let device_id = self.named(&format!("device-id/{}/{}", spec.name, device.name));
        let id = self.named(&format!("device/{}/{}", spec.name, device.name));
        let object = device_object(device, (&id, &device_id), user_id);
        if device.rogue {
            self.planted("device", &id, &device.name);
        }
        if logged {
            feed::device(self, user_id, device, (&id, &device_id));
        }
        self.world.state.devices.insert(id, object);
    }

    /// Notes the forwarding and the rights that the attacker gave.
    fn planted_mail(&mut self, spec: &UserSpec, mailbox: &Mailbox) {
        if let (true, Some(address)) = (spec.mail.rogue, &mailbox.forwarding_smtp_address) {
            self.planted("mailboxForwarding", &mailbox.user_id, address);
        }
        for right in spec.mail.permissions.iter().filter(|right| right.rogue) {
            self.planted("mailboxPermission", &mailbox.user_id, &right.person);
        }
    }

    fn sweep(&self, spec: &UserSpec, sweep: &SweepSpec) -> SweepRule {
        SweepRule {
            id: self.named(&format!("sweep/{}/{}", spec.name, sweep.name)),
            name: sweep.name.clone(),
            enabled: true,
            sender: sweep.sender.clone(),
            folder: sweep.folder.clone(),
        }
    }

    fn mobile(&self, spec: &UserSpec, mobile: &MobileSpec) -> MobileDevice {
        MobileDevice {
            id: self.named(&format!("mobile/{}/{}", spec.name, mobile.name)).replace('-', "").to_uppercase(),
            name: mobile.name.clone(),
            kind: "Outlook".to_owned(),
            first_sync: Stamp(mobile.first_sync),
        }
    }

    fn mailbox(&mut self, spec: &UserSpec, user: &User) -> Mailbox {
        let mut rules: Vec<InboxRule> = Vec::with_capacity(spec.rules.len() + 1);
        for rule in &spec.rules {
            let built = inbox_rule(rule, rule.id.unwrap_or_else(|| self.random.next()));
            if rule.rogue {
                self.planted("inboxRule", &built.rule_identity.to_string(), &built.name);
            }
            rules.push(built);
        }
        rules.push(junk_rule(self.random.next()));
        Mailbox {
            guid: self.named(&format!("mailbox/{}", spec.name)),
            user_id: user.id.clone(),
            alias: spec.name.clone(),
            display_name: user.display_name.clone(),
            user_principal_name: user.user_principal_name.clone(),
            primary_smtp_address: user.user_principal_name.clone(),
            when_created: Stamp(spec.created),
            forwarding_address: None,
            forwarding_smtp_address: spec.mail.forwarding_smtp_address.clone(),
            deliver_to_mailbox_and_forward: spec.mail.forwarding_smtp_address.is_some(),
            rules,
            settings: spec.mail.settings.clone(),
            permissions: spec.mail.permissions.iter().map(permission).collect(),
            sweep_rules: spec.mail.sweep.iter().map(|sweep| self.sweep(spec, sweep)).collect(),
            mobile_devices: spec.mail.mobile.iter().map(|mobile| self.mobile(spec, mobile)).collect(),
        }
    }
}

fn permission(spec: &PermissionSpec) -> Permission {
    Permission {
        kind: spec.kind,
        person: spec.person.clone(),
        rights: spec.rights.clone(),
        folder: spec.folder.clone(),
    }
}

fn inbox_rule(spec: &RuleSpec, id: u64) -> InboxRule {
    InboxRule {
        rule_identity: id,
        name: spec.name.clone(),
        enabled: !spec.disabled,
        class: spec.class,
        in_error: spec.in_error,
        parameters: spec.parameters.clone(),
    }
}

/// The service's own rule in every mailbox.
fn junk_rule(id: u64) -> InboxRule {
    InboxRule {
        rule_identity: id,
        name: "Junk E-mail Rule".to_owned(),
        enabled: true,
        class: RuleClass::System,
        in_error: false,
        parameters: BTreeMap::from([("MoveToFolder".to_owned(), Value::from("Junk Email"))]),
    }
}

fn details(spec: &MethodSpec, label: String) -> Details {
    match spec.kind {
        MethodKind::Password => Details::Password,
        MethodKind::Phone => Details::Phone {
            phone_number: label,
            phone_type: match spec.phone_type {
                PhoneType::Mobile => "mobile",
                PhoneType::AlternateMobile => "alternateMobile",
                PhoneType::Office => "office",
            }
            .to_owned(),
            sms_sign_in_state: "notConfigured".to_owned(),
        },
        MethodKind::Email => Details::Email { email_address: label },
        MethodKind::MicrosoftAuthenticator => Details::MicrosoftAuthenticator {
            display_name: label,
            device_tag: "SoftwareTokenActivated".to_owned(),
            phone_app_version: "6.2312.8150".to_owned(),
        },
        MethodKind::SoftwareOath => Details::SoftwareOath,
        MethodKind::Fido2 => Details::Fido2 {
            display_name: label,
            model: "Security Key NFC".to_owned(),
            aa_guid: "00000000-0000-0000-0000-000000000000".to_owned(),
            passkey_type: "deviceBound".to_owned(),
        },
        MethodKind::WindowsHelloForBusiness => {
            Details::WindowsHelloForBusiness { display_name: label, key_strength: "normal".to_owned() }
        }
        MethodKind::PlatformCredential => Details::PlatformCredential {
            display_name: label,
            key_strength: "normal".to_owned(),
            platform: "macOS".to_owned(),
        },
        MethodKind::TemporaryAccessPass => Details::TemporaryAccessPass {
            start_date_time: Stamp(spec.registered),
            lifetime_in_minutes: 480,
            is_usable_once: false,
        },
        MethodKind::External => Details::External {
            configuration_id: "00000000-0000-0000-0000-0000000000e1".to_owned(),
            display_name: label,
        },
    }
}

fn device_object(spec: &DeviceSpec, (id, device_id): (&str, &str), user_id: &str) -> Device {
    let (trust, profile) = match spec.trust {
        Trust::Workplace => ("Workplace", "RegisteredDevice"),
        Trust::AzureAd => ("AzureAd", "RegisteredDevice"),
        Trust::ServerAd => ("ServerAd", "RegisteredDevice"),
    };
    let managed = (spec.trust != Trust::Workplace).then_some(true);
    Device {
        id: id.to_owned(),
        deleted_date_time: None,
        account_enabled: true,
        approximate_last_sign_in_date_time: Some(Stamp(spec.registered)),
        device_category: None,
        device_id: device_id.to_owned(),
        device_metadata: None,
        device_ownership: managed.map(|_| "Company".to_owned()),
        device_version: Some(2),
        display_name: spec.name.clone(),
        enrollment_profile_name: None,
        enrollment_type: None,
        is_compliant: managed,
        is_managed: managed,
        is_management_restricted: None,
        is_rooted: managed.map(|_| false),
        management_type: managed.map(|_| "MDM".to_owned()),
        manufacturer: None,
        mdm_app_id: managed.map(|_| "0000000a-0000-0000-c000-000000000000".to_owned()),
        model: None,
        on_premises_last_sync_date_time: (spec.trust == Trust::ServerAd).then_some(Stamp(spec.registered)),
        on_premises_sync_enabled: (spec.trust == Trust::ServerAd).then_some(true),
        operating_system: spec.os.clone(),
        operating_system_version: spec.os_version.clone(),
        physical_ids: vec![format!("[HWID]:h:{}", id.replace('-', ""))],
        profile_type: profile.to_owned(),
        registration_date_time: Some(Stamp(spec.registered)),
        system_labels: Vec::new(),
        trust_type: trust.to_owned(),
        hidden: DeviceHidden {
            registered_owners: vec![user_id.to_owned()],
            registered_users: vec![user_id.to_owned()],
        },
    }
}
