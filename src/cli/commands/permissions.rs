//! `permissions`: the least list of playbooks, reads apart from writes, and the manifest of an application with it.

use comfy_table::{ColumnConstraint, ContentArrangement, Table, presets};
use serde_json::json;

use crate::{
    action::permissions::{Need, Needs},
    actions::REGISTRY,
    cli::{
        Context,
        args::PermissionsArgs,
        exit::{Exit, Failure},
        planning,
    },
    model::{Meta, Service},
    plan::GUARD_READS,
};

pub(crate) fn run(context: &Context, args: &PermissionsArgs) -> Result<Exit, Failure> {
    let mut actions: Vec<&Meta> = Vec::new();
    for path in &args.playbooks {
        let (playbook, _) = planning::read(context, path)?;
        actions.extend(planning::metas(&playbook));
    }
    if args.playbooks.is_empty() {
        actions.extend(REGISTRY.iter().map(|action| action.meta()));
    }
    let needs = Needs::of(&actions, GUARD_READS);
    if !args.manifest {
        context.out.data(&needs, || words(&needs))?;
        return Ok(Exit::Ok);
    }
    let manifest = json!({ "requiredResourceAccess": needs.manifest() });
    context.out.text(&format!("{manifest:#}"))?;
    for need in needs.all().filter(|need| need.id.is_none()) {
        context.out.say(&format!(
            "not in the manifest, since its id is not known here: {} of {}; add it by name in the admin center",
            need.permission,
            name(need.service)
        ));
    }
    Ok(if needs.all().all(|need| need.id.is_some()) { Exit::Ok } else { Exit::NotContained })
}

fn words(needs: &Needs) -> String {
    let roles = if needs.roles.is_empty() { "none".to_owned() } else { needs.roles.join(", ") };
    format!(
        "To plan:\n{}\n\nTo change, besides:\n{}\n\nRoles for the service principal, besides: {roles}\n\
         An account that holds a directory role itself can be changed only by a higher role.",
        table(&needs.reads),
        table(&needs.writes)
    )
}

/// A name of a permission is never broken: it is there to be copied. Who needs it stands below it where a line is too short.
fn table(needs: &[Need]) -> String {
    const WIDTH: u16 = 100;
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_width(WIDTH);
    for need in needs {
        table.add_row([name(need.service), need.permission, &need.needed_by.join(", ")]);
    }
    for column in table.column_iter_mut().take(2) {
        column.set_constraint(ColumnConstraint::ContentWidth);
    }
    table.to_string()
}

fn name(service: Service) -> &'static str {
    match service {
        Service::Graph => "Microsoft Graph",
        Service::Exchange => "Office 365 Exchange Online",
    }
}
