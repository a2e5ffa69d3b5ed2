//! The tenant: its state, its rules, and the handle through which tests and front ends use it.
//!
//! No request or answer is read or written here but by [`Tenant::handle`], which lives in `server.rs`.

pub mod apps;
pub(crate) mod attacker;
pub mod audit;
pub mod devices;
pub mod diff;
pub(crate) mod flows;
pub mod groups;
pub mod mailboxes;
pub mod methods;
pub mod roles;
pub mod stamp;
pub mod state;
pub mod table;
pub(crate) mod tokens;
pub(crate) mod unified;
pub mod users;
pub(crate) mod world;

use std::sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use serde::Serialize;
use serde_json::{Map, Value};

use self::diff::Difference;
use self::flows::Flows;
use self::state::State;
use self::tokens::Tokens;
use self::world::World;
use crate::clock::Clock;
use crate::faults::Faults;
use crate::limits::Limits;
use crate::log::{Log, LoggedRequest};
use crate::random::Random;
use crate::scenario::{Scenario, seed};
use crate::settings::Settings;

/// How many requests the log keeps.
const LOG_LIMIT: usize = 200_000;

/// A tenant. Clones are the same tenant.
///
/// ```
/// use mock_server::{Request, Scenario, Tenant};
///
/// let scenario = Scenario::builtin("aitm").expect("it is compiled in");
/// let tenant = Tenant::new(&scenario.with_users(10));
/// let answer = tenant.handle(&Request::new("GET", "/v1.0/users"));
/// assert_eq!(answer.status, 401);
/// assert_eq!(tenant.requests().len(), 1);
/// assert!(tenant.diff_from_seed().is_empty());
/// ```
#[derive(Debug, Clone)]
pub struct Tenant(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    world: RwLock<World>,
    seed: World,
    /// The scenario's seed of random numbers.
    number: u64,
    credentials: Credentials,
    incident: Incident,
    clock: Clock,
    tokens: Tokens,
    flows: Mutex<Flows>,
    faults: Faults,
    limits: Limits,
    log: Log,
    settings: RwLock<Settings>,
    random: Mutex<Random>,
}

/// What a client needs to sign in as the incident responders' application.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credentials {
    /// The tenant id.
    pub tenant_id: String,
    /// The application id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: String,
}

/// What the scenario says was done to the tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Incident {
    /// User principal names of the accounts taken over.
    pub victims: Vec<String>,
    /// The attacker's first sign-in.
    pub start: jiff::Timestamp,
    /// The attacker's last action.
    pub end: jiff::Timestamp,
    /// What was planted.
    pub rogue: Vec<RogueObject>,
}

/// One planted object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RogueObject {
    /// `authenticationMethod`, `device`, `inboxRule`, `application`, `servicePrincipal`, `oauth2PermissionGrant`,
    /// `appRoleAssignment`, `passwordCredential`, `keyCredential`, `federatedIdentityCredential`, `user`,
    /// `roleAssignment`, `administrativeUnit`, `mailboxForwarding`, `mailboxPermission`, `transportRule`,
    /// `inboundConnector` or `outboundConnector`.
    pub kind: &'static str,
    /// The object's id; for a rule, its 64-bit id in digits.
    pub id: String,
    /// The name that a person sees.
    pub name: String,
}

impl Tenant {
    /// A tenant on the system's clock.
    #[must_use]
    pub fn new(scenario: &Scenario) -> Self {
        Self::with_clock(scenario, Clock::system())
    }

    /// A tenant on the given clock.
    #[must_use]
    pub fn with_clock(scenario: &Scenario, clock: Clock) -> Self {
        let seeded = seed::plant(scenario);
        Self::of(seeded.world, scenario.seed, (seeded.credentials, seeded.incident), clock)
    }

    /// Another tenant as this one was at its start, without planting it anew: same ids, same credentials, and nothing
    /// of what was done here.
    #[must_use]
    pub fn anew(&self, clock: Clock) -> Self {
        let known = (self.0.credentials.clone(), self.0.incident.clone());
        Self::of(self.0.seed.clone(), self.0.number, known, clock)
    }

    fn of(seed: World, number: u64, (credentials, incident): (Credentials, Incident), clock: Clock) -> Self {
        Self(Arc::new(Inner {
            world: RwLock::new(seed.clone()),
            seed,
            number,
            credentials,
            incident,
            clock,
            tokens: Tokens::default(),
            flows: Mutex::default(),
            faults: Faults::default(),
            limits: Limits::default(),
            log: Log::new(LOG_LIMIT),
            settings: RwLock::new(Settings::default()),
            random: Mutex::new(Random::new(number)),
        }))
    }

    /// How to sign in as the incident responders' application.
    #[must_use]
    pub fn credentials(&self) -> Credentials {
        self.0.credentials.clone()
    }

    /// What was planted.
    #[must_use]
    pub fn incident(&self) -> &Incident {
        &self.0.incident
    }

    /// The clock that the tenant runs on.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The fault rules.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// The switches as they are.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.0.settings.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the switches.
    pub fn set(&self, change: impl FnOnce(&mut Settings)) {
        change(&mut self.0.settings.write().unwrap_or_else(PoisonError::into_inner));
    }

    /// Every request so far.
    #[must_use]
    pub fn requests(&self) -> Vec<LoggedRequest> {
        self.0.log.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.0.log.clear();
    }

    /// The whole state without the audit feed; passwords only as the number of times one was set.
    #[must_use]
    pub fn state(&self) -> Value {
        self.read().state.dump()
    }

    /// What differs from the state at the start.
    #[must_use]
    pub fn diff_from_seed(&self) -> Vec<Difference> {
        diff::between(&self.0.seed.state, &self.read().state)
    }

    /// Changes the tenant behind its clients' backs, as an attacker or another administrator would.
    pub fn edit<R>(&self, change: impl FnOnce(&mut State) -> R) -> R {
        change(&mut self.write().state)
    }

    /// Reads the tenant without a request.
    pub fn inspect<R>(&self, read: impl FnOnce(&State) -> R) -> R {
        read(&self.read().state)
    }

    /// The audit feed as the Graph would show it, oldest first.
    #[must_use]
    pub fn audit(&self) -> Vec<Value> {
        self.read().audit.iter().map(|entry| serde_json::json!(entry.as_ref())).collect()
    }

    /// The unified audit log, oldest first: each record with its type's name and its data.
    #[must_use]
    pub fn unified_audit(&self) -> Vec<Value> {
        let world = self.read();
        let organization = world.state.organization.id.clone();
        let mut records: Vec<_> = world.unified.iter().collect();
        records.sort_by_key(|record| record.time);
        let row = |record: &unified::Record| {
            serde_json::json!({
                "recordType": record.record_type.1,
                "userTypeName": record.user_type.1,
                "clientRequestId": record.client_request_id,
                "auditData": record.data(&organization),
            })
        };
        records.into_iter().map(row).collect()
    }

    /// The log of Graph's own requests, as `MicrosoftGraphActivityLogs` shows it: each item of a `$batch` shares the
    /// operation's id with the others, and the caller's id is there.
    #[must_use]
    pub fn graph_activity(&self) -> Vec<Value> {
        let tenant = &self.0.credentials.tenant_id;
        let graph = |request: &LoggedRequest| crate::routes::graph::version_of(&request.path).is_some();
        let row = |request: LoggedRequest| {
            let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
            let version = crate::routes::graph::version_of(&request.path).map(|(version, _)| version.to_owned());
            serde_json::json!({
                "TimeGenerated": request.time, "RequestId": request.request_id, "OperationId": request.operation_id,
                "ClientRequestId": request.client_request_id, "RequestMethod": request.method,
                "RequestUri": format!("https://graph.microsoft.com{}{query}", request.path),
                "ResponseStatusCode": request.status, "AppId": request.app_id, "ApiVersion": version,
                "TenantId": tenant,
            })
        };
        self.requests().into_iter().filter(graph).map(row).collect()
    }

    /// How many times a password of this user was set.
    #[must_use]
    pub fn passwords_set(&self, user: &str) -> u32 {
        self.inspect(|state| state.user(user).map_or(0, |user| user.hidden.passwords_set))
    }

    /// Whether this is the user's password, set through the API.
    #[must_use]
    pub fn password_is(&self, user: &str, password: &str) -> bool {
        self.inspect(|state| state.user(user).is_some_and(|user| user.hidden.password.as_deref() == Some(password)))
    }

    /// Everything that was confided to a client, or by one, and must be found nowhere outside: the secrets of the
    /// applications, every token and code that was issued, and the passwords that were set.
    #[must_use]
    pub fn secrets(&self) -> Vec<String> {
        let mut all = self.0.tokens.all();
        all.push(self.0.credentials.client_secret.clone());
        self.flows(|flows| {
            all.extend(flows.refresh.keys().chain(flows.codes.keys()).chain(flows.devices.keys()).cloned());
        });
        self.inspect(|state| {
            let credentials = state.applications.values().flat_map(|application| &application.password_credentials);
            all.extend(credentials.map(|credential| credential.value.clone()));
            all.extend(state.users.values().filter_map(|user| user.hidden.password.clone()));
        });
        all.retain(|secret| secret.len() >= 12);
        all
    }

    /// Replaces the application permissions of the responders' application. A token issued before keeps its own.
    pub fn grant_only(&self, permissions: &[&str]) {
        let mut world = self.write();
        let client = self.0.credentials.client_id.clone();
        world.set_permissions(&client, permissions, self.now());
    }

    /// Gives the responders' application every permission that a route asks for.
    pub fn grant_all(&self) {
        self.grant_only(&crate::routes::all_permissions());
    }

    /// Replaces the directory roles of the responders' application, by name or template id.
    pub fn assign_roles(&self, roles: &[&str]) {
        let mut world = self.write();
        let client = self.0.credentials.client_id.clone();
        world.set_roles(&client, roles);
    }

    /// Puts a user at the browser, so that an authorization request signs them in; false where there is no such user.
    #[must_use]
    pub fn sign_in_as(&self, user: &str) -> bool {
        let id = self.inspect(|state| state.user(user).map(|user| user.id.clone()));
        self.flows(|flows| flows.operator.clone_from(&id));
        id.is_some()
    }

    /// Approves a device sign-in by its user code; false where the code or the user is not known.
    #[must_use]
    pub fn approve_device(&self, user_code: &str, user: &str) -> bool {
        let id = self.inspect(|state| state.user(user).map(|user| user.id.clone()));
        self.flows(|flows| {
            let waiting = flows.devices.values_mut().find(|waiting| waiting.user_code == user_code);
            match (waiting, id) {
                (Some(waiting), Some(id)) => {
                    waiting.user_id = Some(id);
                    true
                }
                _ => false,
            }
        })
    }

    /// Trusts a certificate of the responders' application: its public key as PEM, and the thumbprint that assertions
    /// carry in `x5t#S256` (or `x5t`).
    pub fn trust_certificate(&self, public_key_pem: &str, thumbprint: &str) {
        self.flows(|flows| flows.certificates.insert(thumbprint.to_owned(), public_key_pem.to_owned()));
    }

    /// Trusts the public key (PEM) of another issuer, whose tokens a federated credential accepts.
    pub fn trust_issuer(&self, issuer: &str, public_key_pem: &str) {
        self.flows(|flows| flows.certificates.insert(issuer.to_owned(), public_key_pem.to_owned()));
    }

    pub(crate) fn certificate(&self, thumbprint: &str) -> Option<String> {
        self.flows(|flows| flows.certificates.get(thumbprint).cloned())
    }

    pub(crate) fn flows<R>(&self, change: impl FnOnce(&mut Flows) -> R) -> R {
        change(&mut self.0.flows.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn now(&self) -> stamp::Stamp {
        stamp::Stamp(self.0.clock.now())
    }

    pub(crate) fn settings_lock(&self) -> &RwLock<Settings> {
        &self.0.settings
    }

    pub(crate) fn tokens(&self) -> &Tokens {
        &self.0.tokens
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.0.limits
    }

    pub(crate) fn log(&self) -> &Log {
        &self.0.log
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, World> {
        self.0.world.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, World> {
        self.0.world.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn new_id(&self) -> String {
        self.0.random.lock().unwrap_or_else(PoisonError::into_inner).guid().to_string()
    }
}

/// A serialisable struct as a JSON object.
pub(crate) fn object<T: Serialize>(value: &T) -> Map<String, Value> {
    match serde_json::to_value(value) {
        Ok(Value::Object(map)) => map,
        _ => Map::new(),
    }
}
