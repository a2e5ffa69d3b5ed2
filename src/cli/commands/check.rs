//! `check`: every error and lint of playbooks, without a tenant.

use std::fs;

use serde_json::json;

use crate::{
    actions::REGISTRY,
    cli::{
        Context,
        args::CheckArgs,
        exit::{Exit, Failure},
    },
    playbook::{self, Diagnostic},
};

pub(crate) fn run(context: &Context, args: &CheckArgs) -> Result<Exit, Failure> {
    let mut all: Vec<Diagnostic> = Vec::new();
    let mut words = Vec::new();
    let mut bad = 0_usize;
    for path in &args.playbooks {
        let name = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|error| Failure::usage(format!("failed to read the playbook {name}: {error}")))?;
        let (diagnostics, verdict) = match playbook::parse(&name, &text, &REGISTRY) {
            Ok((playbook, lints)) => {
                let verdict =
                    format!("{name}: good ({} {}), {} warnings", playbook.id(), playbook.version(), lints.len());
                (lints, verdict)
            }
            Err(errors) => {
                bad += 1;
                let verdict = format!("{name}: {} errors", errors.len());
                (errors, verdict)
            }
        };
        words.extend(diagnostics.iter().map(|diagnostic| diagnostic.render(context.out.colors())));
        words.push(verdict);
        all.extend(diagnostics);
    }
    context.out.data(&json!({ "bad": bad, "diagnostics": all }), || words.join("\n"))?;
    Ok(if bad == 0 { Exit::Ok } else { Exit::Usage })
}
