//! What the tests of guards share: people of the scenario, roles that are given them, and what refuses a plan.

use mock_server::tenant::roles::RoleAssignment;
use serde_json::{Value, json};
use staunch::{
    plan::{PlanFile, PlanRefused},
    playbook::Bound,
};

use super::{World, bind, one_step};

pub const VICTIM: &str = "johanna@sunnyside08.example";
pub const ADMIN: &str = "ines@sunnyside08.example";
pub const GLOBAL_ADMINISTRATOR: &str = "62e90394-69f5-4237-9190-012177145e10";
pub const REASON: &str = "the owner of the tenant said so on the telephone";

/// Enough to block an account, and not to see who is privileged.
pub const SHORT_SIGHTED: [&str; 2] = ["User.Read.All", "User.EnableDisableAccount.All"];

pub fn user_id(world: &World, name: &str) -> String {
    world.tenant.inspect(|state| state.user_id(name))
}

/// Gives a principal a role in the whole tenant.
pub fn assign(world: &World, principal: &str, role: &str, eligible: bool) {
    let row = RoleAssignment {
        id: format!("made-{principal}"),
        principal_id: principal.to_owned(),
        role_definition_id: role.to_owned(),
        directory_scope_id: "/".to_owned(),
    };
    world.tenant.edit(|state| {
        let table = if eligible { &mut state.role_eligibilities } else { &mut state.role_assignments };
        table.insert(row.id.clone(), row);
    });
}

pub fn block(user: &str) -> Bound {
    one_step("user.block-sign-in", &json!({ "user": user }))
}

pub fn playbook(action: &str, changes: u32) -> String {
    format!(
        "schema: staunch/v1\nid: test\nversion: 1.0.0\ntitle: Test\ninputs:\n  users: {{type: users}}\nlimits: {{changes: {changes}}}\n\
         stages:\n  - id: only\n    steps:\n      - {{id: it, each: inputs.users, do: {{{action}: {{user: each}}}}}}\n"
    )
}

/// The sessions of eleven members are revoked.
pub fn eleven(world: &World) -> Bound {
    let users: Vec<Value> = world.tenant.inspect(|state| {
        let members = state.users.values().filter(|user| user.user_type == "Member");
        let names = members.map(|user| user.user_principal_name.clone()).filter(|name| !name.starts_with("ines"));
        names.take(11).map(Value::from).collect()
    });
    bind(&playbook("user.revoke-sessions", 50), &[("users", json!(users))])
}

pub async fn check(world: &World, file: &PlanFile) -> Result<(), PlanRefused> {
    world.clear_as(&world.session().await, file.clone()).await.map(drop)
}

/// The guards that refuse a plan.
pub fn blocking(refused: &PlanRefused) -> Vec<&str> {
    match refused {
        PlanRefused::Blocked(refusals) => refusals.iter().map(|refusal| refusal.guard.as_str()).collect(),
        _ => panic!("{refused}"),
    }
}
