//! Questions to a person at a terminal. All are asked between plan and run; none has an answer by default.

use std::collections::BTreeSet;

use dialoguer::{Input, MultiSelect, Password, Select};
use secrecy::SecretString;
use serde_json::Value;

use crate::{
    cli::{
        exit::{Exit, Failure},
        planning::candidate_line,
    },
    engine::Undecided,
    journal::Said,
    model::json_for_terminal,
    plan::{PlanFile, Question, pick_key},
    playbook::{InputDecl, parse_input},
};

/// Asks for an input until it fits.
pub(crate) fn input(decl: &InputDecl) -> Result<Value, Failure> {
    let help = decl.help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
    let text: String = Input::new()
        .with_prompt(format!("{}: {}{help}", decl.name, decl.kind.name()))
        .validate_with(|text: &String| parse_input(decl, text).map(drop).map_err(|error| error.to_string()))
        .interact_text()
        .map_err(gone)?;
    parse_input(decl, &text).map_err(|error| Failure::usage(error.to_string()))
}

/// Shows what a step found and asks which of it is meant; nothing is ticked beforehand.
pub(crate) fn pick(question: &Question) -> Result<BTreeSet<String>, Failure> {
    let lines: Vec<String> = question.candidates.iter().map(candidate_line).collect();
    let prompt = format!("{} ({}): space ticks, enter goes on", question.step, question.action);
    let chosen = MultiSelect::new().with_prompt(prompt).items(&lines).interact().map_err(gone)?;
    let ids = chosen.into_iter().filter_map(|at| question.candidates.get(at));
    Ok(ids.map(|candidate| pick_key(&candidate.target)).collect())
}

/// Asks for the approval of a plan: the number of its changes has to be typed.
pub(crate) fn approve(file: &PlanFile) -> Result<(), Failure> {
    let changes = file.plan().tally().changes.to_string();
    let typed: String = Input::new()
        .with_prompt(format!("Type {changes} to make these changes, anything else to leave"))
        .allow_empty(true)
        .interact_text()
        .map_err(gone)?;
    if typed.trim() == changes {
        return Ok(());
    }
    Err(Failure::new(Exit::Refused, "not approved; nothing was changed"))
}

/// Asks what became of a call that reading could not settle; nothing is chosen beforehand.
pub(crate) fn decide(question: &Undecided) -> Result<Said, Failure> {
    let Undecided { change, call, reason } = question;
    let prompt = format!("{change}: did {} take effect? ({})", json_for_terminal(call), json_for_terminal(reason));
    let answers = [
        ("it took effect", Said::Applied),
        ("it did not: send it again", Said::NotApplied),
        ("nobody can say: give it up", Said::Unknown),
    ];
    let chosen = Select::new().with_prompt(prompt).items(answers.map(|(words, _)| words)).interact().map_err(gone)?;
    Ok(answers.get(chosen).map_or(Said::Unknown, |(_, said)| *said))
}

/// Asks for a passphrase, without showing it.
pub(crate) fn passphrase(what: &str) -> Result<SecretString, Failure> {
    Password::new().with_prompt(what).allow_empty_password(true).interact().map(SecretString::from).map_err(gone)
}

fn gone(error: dialoguer::Error) -> Failure {
    Failure::new(Exit::Refused, format!("no answer ({error}); nothing was changed"))
}
