//! `schema`: the JSON Schema of playbooks, for editors.

use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        exit::{Exit, Failure},
    },
    playbook,
};

pub(crate) fn run(context: &Context) -> Result<Exit, Failure> {
    let schema = playbook::schema(&REGISTRY);
    let text = serde_json::to_string_pretty(&schema)
        .map_err(|error| Failure::new(Exit::CouldNotRun, format!("failed to print the schema: {error}")))?;
    context.out.text(&text)?;
    Ok(Exit::Ok)
}
