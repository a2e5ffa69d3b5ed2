//! `actions`: the catalogue, from the registry.

use comfy_table::{ContentArrangement, Table, presets};
use serde_json::{Value, json};

use crate::{
    action::{DynAction, docs},
    actions::REGISTRY,
    cli::{
        Context,
        args::ActionsArgs,
        exit::{Exit, Failure},
    },
};

pub(crate) fn run(context: &Context, args: &ActionsArgs) -> Result<Exit, Failure> {
    match &args.id {
        Some(id) => {
            let known = || REGISTRY.iter().map(|action| action.meta().id).collect::<Vec<_>>().join(", ");
            let missing = || Failure::usage(format!("there is no action {id}; known: {}", known()));
            let action = REGISTRY.get(id).ok_or_else(missing)?;
            context.out.data(&facts(action), || without_comment(&docs::page(action)).to_owned())?;
        }
        None => {
            let all: Vec<Value> = REGISTRY.iter().map(facts).collect();
            context.out.data(&all, || table(context))?;
        }
    }
    Ok(Exit::Ok)
}

/// The page without the comment that tells editors of the file where it comes from.
fn without_comment(page: &str) -> &str {
    page.split_once("-->").map_or(page, |(_, page)| page.trim_start())
}

fn facts(action: &dyn DynAction) -> Value {
    json!({ "meta": action.meta(), "input": action.input_schema(), "examples": action.examples() })
}

fn table(context: &Context) -> String {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(context.out.width()).unwrap_or(100));
    for action in REGISTRY.iter() {
        let meta = action.meta();
        table.add_row([meta.id, meta.title]);
    }
    table.to_string()
}
