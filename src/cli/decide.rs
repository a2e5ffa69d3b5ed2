//! What became of changes that were under way when a run died, where reading cannot tell: taken from the command line, or
//! asked for.

use std::collections::BTreeMap;

use crate::{
    cli::{
        Context,
        exit::{Exit, Failure, OrFail as _},
        prompt,
    },
    engine::{TakenUp, Undecided},
    journal::{Approval, History, Said},
    model::json_for_terminal,
    plan::Plan,
};

/// What a run that is taken up needs besides its plan.
pub(crate) struct Resumption {
    pub(crate) history: History,
    pub(crate) by: String,
    pub(crate) decisions: Decisions,
    /// What still cannot be sent ends as failed.
    pub(crate) give_up: bool,
}

/// What was said on the command line, by change.
pub(crate) struct Decisions(BTreeMap<String, Said>);

impl Decisions {
    /// Reads `CHANGE=applied|not-applied|unknown`.
    pub(crate) fn parse(texts: &[String], plan: &Plan) -> Result<Self, Failure> {
        let mut said = BTreeMap::new();
        for text in texts {
            let wrong = |why: &str| Failure::usage(format!("--decide {}: {why}", json_for_terminal(text)));
            let (change, word) = text.split_once('=').ok_or_else(|| wrong("CHANGE=applied|not-applied|unknown"))?;
            let word = match word {
                "applied" => Said::Applied,
                "not-applied" => Said::NotApplied,
                "unknown" => Said::Unknown,
                _ => return Err(wrong("say applied, not-applied or unknown")),
            };
            if !plan.changes().any(|it| it.id == change) {
                return Err(wrong("the plan has no such change"));
            }
            if said.insert(change.to_owned(), word).is_some() {
                return Err(wrong("this change is decided twice"));
            }
        }
        Ok(Self(said))
    }
}

/// Has everything decided that reading could not settle. Where that cannot be had, the run is left as it is.
pub(crate) async fn settle(
    context: &Context,
    mut run: TakenUp,
    by: &str,
    decisions: &Decisions,
) -> Result<TakenUp, Failure> {
    let undecided = run.undecided().to_vec();
    for change in decisions.0.keys().filter(|change| !undecided.iter().any(|it| it.change == **change)) {
        context.out.say(&format!("{change} needs no decision: the tenant or the record shows what became of it"));
    }
    for question in undecided {
        let answer = match decisions.0.get(&question.change) {
            Some(said) => Ok((*said, Approval::Flag)),
            None if context.out.can_ask() => prompt::decide(&question).map(|said| (said, Approval::Prompt)),
            None => Err(nobody_to_ask(run.undecided(), decisions)),
        };
        match answer {
            Ok((said, how)) => run.decide(&question.change, said, by, how).await.or_fail(Exit::CouldNotRun)?,
            Err(failure) => {
                run.leave().await.or_fail(Exit::CouldNotRun)?;
                return Err(failure);
            }
        }
    }
    Ok(run)
}

fn nobody_to_ask(undecided: &[Undecided], decisions: &Decisions) -> Failure {
    let open: Vec<&Undecided> = undecided.iter().filter(|it| !decisions.0.contains_key(&it.change)).collect();
    let told = open
        .iter()
        .map(|it| format!("{}: {} ({})", it.change, json_for_terminal(&it.call), json_for_terminal(&it.reason)));
    let flags = open.iter().map(|it| format!(" --decide {}=applied|not-applied|unknown", it.change));
    let message = format!(
        "reading does not tell whether a call took effect, and nobody is there to ask; nothing was sent: {}",
        told.collect::<Vec<_>>().join("; ")
    );
    Failure::new(Exit::NotContained, message)
        .hint(format!("look at it in the tenant, then resume with{}", flags.collect::<String>()))
}
