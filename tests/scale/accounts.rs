//! Tenants with many victims, and the playbook that contains them.

use mock_server::{
    Scenario, Tenant,
    scenario::spec::{DeviceSpec, MethodSpec, UserSpec},
    tenant::methods::MethodKind,
};
use staunch::playbook::Bound;

/// What an attacker left in each account.
#[derive(Clone, Copy)]
pub struct Planted {
    pub methods: usize,
    pub devices: usize,
    /// The two inbox rules of the scenario, or none.
    pub rules: bool,
}

/// The scenario of the talk with so many victims, and nobody else but those whom it names.
pub fn many(victims: usize, planted: Planted) -> Scenario {
    let mut scenario = Scenario::builtin("aitm").unwrap().with_users(0);
    let at = scenario.users.iter().position(|user| user.name == "johanna").unwrap();
    let johanna = scenario.users[at].clone();
    // She herself is left in peace.
    scenario.users[at] = victim(&johanna, None, Planted { methods: 0, devices: 0, rules: false });
    for number in 0..victims {
        let user = victim(&johanna, Some(number), planted);
        scenario.incident.victims.push(user.name.clone());
        scenario.users.push(user);
    }
    scenario.incident.victims.retain(|name| name != "johanna");
    scenario
}

fn victim(johanna: &UserSpec, number: Option<usize>, planted: Planted) -> UserSpec {
    let mut user = johanna.clone();
    if let Some(number) = number {
        user.name = format!("johanna-{number:03}");
        user.display_name = format!("Johanna {number}");
    }
    let number = number.unwrap_or_default();
    let method = user.methods.iter().find(|method| method.rogue).unwrap().clone();
    let device = user.devices.iter().find(|device| device.rogue).unwrap().clone();
    user.methods.retain(|method| !method.rogue);
    user.devices.retain(|device| !device.rogue);
    for nth in 0..planted.methods {
        let label = Some(format!("Key {number}-{nth}"));
        user.methods.push(MethodSpec {
            kind: MethodKind::Fido2,
            id: None,
            label,
            passwordless: false,
            ..method.clone()
        });
    }
    for nth in 0..planted.devices {
        user.devices.push(DeviceSpec { name: format!("ROGUE-{number}-{nth}"), ..device.clone() });
    }
    user.rules.iter_mut().for_each(|rule| rule.id = None);
    user.rules.retain(|rule| planted.rules || !rule.rogue);
    user
}

/// Cut first: block and revoke; then the password, what was planted, and the sessions once more.
pub const CUT_FIRST: &str = "\
schema: staunch/v1
id: cut-first
version: 1.0.0
title: Cut first
inputs:
  users: {type: users, min: 1, help: Accounts}
  incident_start: {type: timestamp, help: Start}
limits: {changes: 100000}
stages:
  - id: cut
    steps:
      - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}
      - {id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
  - id: rotate
    steps:
      - {id: password, each: inputs.users, do: {user.reset-password: {user: each}}}
  - id: persistence
    steps:
      - id: methods
        each: inputs.users
        do: {user.remove-auth-methods: {user: each, registered_after: inputs.incident_start}}
        pick: operator
      - id: devices
        each: inputs.users
        do: {device.disable: {user: each, registered_after: inputs.incident_start}}
        pick: operator
      - id: rules
        each: inputs.users
        do: {mailbox.disable-inbox-rules: {user: each, effects: [forward, redirect, delete, move, mark-read]}}
        pick: operator
  - id: cut-again
    steps:
      - {id: sessions-again, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
";

/// [`CUT_FIRST`] for all victims.
pub fn cut_first(tenant: &Tenant) -> Bound {
    let incident = tenant.incident();
    let values =
        [("users", serde_json::json!(incident.victims)), ("incident_start", serde_json::json!(incident.start))];
    crate::common::bind(CUT_FIRST, &values)
}
