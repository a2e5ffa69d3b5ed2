//! Tenants as YAML: what a scenario may say. How it becomes a tenant is in `seed` and `background`.

mod background;
pub mod mail;
pub(crate) mod seed;
mod seed_apps;
mod seed_audit;
mod seed_groups;
mod seed_policies;
pub mod spec;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use self::mail::MailFlowSpec;
use self::spec::{AppSpec, GroupSpec, UnitSpec, UserSpec};

macro_rules! builtin {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_str!(concat!("../../scenarios/", $name, ".yaml")))),*]
    };
}

const BUILTIN: &[(&str, &str)] =
    builtin!("aitm", "consent-phish", "app-credential", "admin-takeover", "insider", "hybrid", "entra-persistence",);

/// A tenant to be built: the people of the incident, the apps, and how many others there are.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// The format's version; `tenant/v1`.
    pub schema: Schema,
    /// A short name.
    pub name: String,
    /// What happened, in a sentence or two.
    pub summary: String,
    /// The tenant itself.
    pub tenant: TenantSpec,
    /// The seed of everything generated.
    pub seed: u64,
    /// How many users there are besides those named.
    #[serde(default)]
    pub background_users: usize,
    /// The incident responders' application.
    pub responder: ResponderSpec,
    /// The incident.
    pub incident: IncidentSpec,
    /// The people who matter.
    pub users: Vec<UserSpec>,
    /// Groups.
    #[serde(default)]
    pub groups: Vec<GroupSpec>,
    /// Administrative units.
    #[serde(default)]
    pub units: Vec<UnitSpec>,
    /// Mail flow of the whole organisation.
    #[serde(default)]
    pub mail_flow: Vec<MailFlowSpec>,
    /// Applications and service principals besides Microsoft's.
    #[serde(default)]
    pub apps: Vec<AppSpec>,
}

/// The version of the format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Schema {
    /// The first and only one.
    #[serde(rename = "tenant/v1")]
    V1,
}

/// The tenant itself.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TenantSpec {
    /// The tenant id.
    #[schemars(with = "String")]
    pub id: uuid::Uuid,
    /// The display name.
    pub display_name: String,
    /// The default domain.
    pub domain: String,
    /// When it was made.
    #[schemars(with = "String")]
    pub created: Timestamp,
}

/// The application that responders sign in with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ResponderSpec {
    /// The display name.
    pub name: String,
    /// The application id.
    #[schemars(with = "String")]
    pub app_id: uuid::Uuid,
    /// The client secret; of no use anywhere else.
    pub secret: String,
    /// Directory roles by name.
    #[serde(default)]
    pub roles: Vec<String>,
}

/// When it happened and to whom. What was planted is marked `rogue` where it is described.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentSpec {
    /// Names of the users taken over.
    pub victims: Vec<String>,
    /// The attacker's first sign-in.
    #[schemars(with = "String")]
    pub start: Timestamp,
    /// The attacker's last action.
    #[schemars(with = "String")]
    pub end: Timestamp,
    /// The address that the attacker's changes came from.
    pub attacker_ip: String,
}

/// Why a scenario cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ScenarioError {
    /// The text is no scenario.
    #[error("parse the scenario")]
    Parse(#[source] Box<serde_saphyr::Error>),
    /// A name that nobody in the scenario has.
    #[error("find the user '{name}' that {place} names")]
    UnknownUser {
        /// The name.
        name: String,
        /// Where it stands.
        place: String,
    },
    /// A directory role that does not exist.
    #[error("find the directory role '{0}'")]
    UnknownRole(String),
}

impl Scenario {
    /// A scenario that is compiled in.
    #[must_use]
    pub fn builtin(name: &str) -> Option<Self> {
        let (_, yaml) = BUILTIN.iter().find(|(known, _)| *known == name)?;
        Self::parse(yaml).ok()
    }

    /// The names of the scenarios that are compiled in.
    #[must_use]
    pub fn names() -> Vec<&'static str> {
        BUILTIN.iter().map(|(name, _)| *name).collect()
    }

    /// Reads a scenario.
    ///
    /// # Errors
    /// Where the text is no scenario, or names somebody or something that is not in it.
    pub fn parse(yaml: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = serde_saphyr::from_str(yaml).map_err(|error| ScenarioError::Parse(Box::new(error)))?;
        scenario.check()?;
        Ok(scenario)
    }

    /// The same scenario with another number of background users.
    #[must_use]
    pub fn with_users(mut self, users: usize) -> Self {
        self.background_users = users;
        self
    }

    /// The JSON Schema of the format.
    #[must_use]
    pub fn schema() -> Value {
        schemars::schema_for!(Self).to_value()
    }

    fn check(&self) -> Result<(), ScenarioError> {
        for (place, name) in self.user_names() {
            if !self.users.iter().any(|user| &user.name == name) {
                return Err(ScenarioError::UnknownUser { name: name.clone(), place });
            }
        }
        let of_users =
            self.users.iter().flat_map(|user| user.roles.iter().chain(&user.rogue_roles).chain(&user.eligible_roles));
        let of_units = self.units.iter().flat_map(|unit| &unit.administrators).map(|administrator| &administrator.role);
        let of_groups = self.groups.iter().flat_map(|group| &group.roles);
        let mut roles = of_users
            .chain(of_units)
            .chain(of_groups)
            .chain(self.apps.iter().flat_map(|app| &app.roles))
            .chain(&self.responder.roles);
        match roles.find(|role| crate::tenant::roles::template(role).is_none()) {
            Some(role) => Err(ScenarioError::UnknownRole(role.clone())),
            None => Ok(()),
        }
    }

    /// Every name of a user, with the place where it stands.
    fn user_names<'a>(&'a self) -> Vec<(String, &'a String)> {
        let mut names: Vec<(String, &'a String)> = Vec::new();
        let mut add = |place: String, users: Vec<&'a String>| {
            names.extend(users.into_iter().map(|name| (place.clone(), name)));
        };
        add("incident.victims".to_owned(), self.incident.victims.iter().collect());
        for app in &self.apps {
            let users = app.grants.iter().filter_map(|grant| grant.user.as_ref());
            add(format!("the app {}", app.name), app.owners.iter().chain(users).collect());
        }
        for group in &self.groups {
            add(format!("the group {}", group.name), group.members.iter().chain(&group.owners).collect());
        }
        for unit in &self.units {
            let administrators = unit.administrators.iter().map(|administrator| &administrator.user);
            add(format!("the unit {}", unit.name), unit.members.iter().chain(administrators).collect());
        }
        names
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_builtin_scenario_parses() {
        for name in Scenario::names() {
            let (_, yaml) = BUILTIN.iter().find(|(known, _)| *known == name).unwrap();
            let scenario = Scenario::parse(yaml).unwrap();
            assert_eq!(scenario.name, name);
        }
        assert!(Scenario::builtin("nope").is_none());
    }

    #[test]
    fn an_unknown_key_an_unknown_user_and_an_unknown_role_are_refused() {
        let yaml = BUILTIN[0].1;
        let error = |text: String| Scenario::parse(&text).unwrap_err().to_string();
        assert_eq!(error(yaml.replace("summary:", "sumary:")), "parse the scenario");
        assert!(error(yaml.replace("victims: [johanna]", "victims: [nobody]")).contains("nobody"));
        assert!(error(yaml.replace("Exchange Administrator", "Wizard")).contains("Wizard"));
    }

    #[test]
    fn the_schema_describes_every_field() {
        let schema = Scenario::schema();
        let fields = schema["properties"].as_object().unwrap();
        assert!(fields.values().all(|field| field.get("description").is_some() || field.get("$ref").is_some()));
    }
}
