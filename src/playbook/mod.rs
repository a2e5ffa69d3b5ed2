//! The playbook language: text in, [`Playbook`] out, with every error of the file at its place; inputs bound to it; lints; the
//! schema for editors.
//!
//! A playbook is data. This module knows no action: it is given a [`Catalogue`]. It reads no tenant, no file and no clock, and
//! asks nobody anything.

mod arguments;
mod bind;
mod code;
mod diagnostic;
mod document;
mod fields;
mod inputs;
mod lint;
mod outline;
mod parameters;
mod references;
mod schema;
mod source;
mod steps;
#[cfg(test)]
mod tests;
mod tree;
mod types;

use sha2::{Digest as _, Sha256};

pub use crate::model::Effect;

pub use bind::{Bound, BoundRun, BoundStage, BoundStep, Gate, OnError, Pick, When};
pub use code::{CODES, Code, Severity};
pub use diagnostic::Diagnostic;
pub use document::{Counters, Handover, Limits, SCHEMA};
pub use inputs::{InputDecl, InputError, parse_input};
pub use outline::{OutlineArgument, OutlineStage, OutlineStep};
pub use schema::schema;
pub use types::{Bounds, Kind, Type};

/// What a playbook may do: the actions that are registered.
pub trait Catalogue {
    /// All actions, in the order of registration.
    fn actions(&self) -> Vec<ActionFacts>;
}

/// What the language has to know of an action.
#[derive(Debug, Clone, PartialEq)]
pub struct ActionFacts {
    /// Its id, such as `user.block-sign-in`.
    pub id: String,
    /// What it does, verb first.
    pub title: String,
    /// JSON Schema of its input as schemars writes it, `$defs` inlined or not. A `format` of `user`, `service-principal` or
    /// `date-time` makes a string more than text. Branches of `required` beneath a top-level `oneOf` or `anyOf` say that one of
    /// several arguments has to be given.
    pub input: serde_json::Value,
    /// The kind of object that it changes, such as `auth-method`.
    pub target_kind: String,
    /// What the change is, for the lints on order.
    pub effect: Effect,
    /// A gentler action that serves the same end, such as disable for remove.
    pub instead: Option<String>,
}

/// A playbook that has no errors. Its inputs are not bound yet.
#[derive(Debug, Clone)]
pub struct Playbook {
    id: String,
    version: String,
    title: String,
    counters: Counters,
    inputs: Vec<InputDecl>,
    limits: Limits,
    stages: Vec<steps::Stage>,
    handover: Vec<Handover>,
    sha256: String,
}

impl Playbook {
    /// Its id, `[a-z][a-z0-9-]*`.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Its own version, `MAJOR.MINOR.PATCH`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// What it is for, in one line.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The techniques that it counters.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Its inputs in the order of the file.
    #[must_use]
    pub fn inputs(&self) -> &[InputDecl] {
        &self.inputs
    }

    /// How much it may change.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// What people do afterwards.
    #[must_use]
    pub fn handover(&self) -> &[Handover] {
        &self.handover
    }

    /// The ids of the actions of its steps in the order of the file, each once.
    #[must_use]
    pub fn actions(&self) -> Vec<&str> {
        let mut ids: Vec<&str> = Vec::new();
        for step in self.steps() {
            if !ids.contains(&step.action.as_str()) {
                ids.push(&step.action);
            }
        }
        ids
    }

    /// SHA-256 of the file's bytes, 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    fn steps(&self) -> impl Iterator<Item = &steps::Step> {
        self.stages.iter().flat_map(|stage| &stage.steps)
    }
}

/// Reads a playbook. `name` is the file's name as it is shown. With the playbook come the lints: warnings, by position.
///
/// # Errors
/// All errors of the file by position; at least one. A text that is no YAML has the one error at which reading broke off.
pub fn parse(
    name: &str,
    text: &str,
    catalogue: &dyn Catalogue,
) -> Result<(Playbook, Vec<Diagnostic>), Vec<Diagnostic>> {
    let source = source::Source::new(name, text);
    let mut problems = diagnostic::Problems::new(&source);
    let root = if source.check(&mut problems) { tree::read(&source, &mut problems) } else { None };
    let read = root.and_then(|root| document::read(&root, &catalogue.actions(), &mut problems));
    match read {
        Some((mut playbook, declared)) if !problems.has_errors() => {
            playbook.sha256 = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
            lint::check(&playbook, &declared, &mut problems);
            Ok((playbook, problems.finish()))
        }
        _ => {
            if !problems.has_errors() {
                problems.error(code::YAML_SYNTAX, source::Span::default(), "the text breaks off");
            }
            Err(problems.finish())
        }
    }
}

/// Reads a playbook from the bytes of a file: [`parse`], after a check that they are UTF-8.
///
/// # Errors
/// As [`parse`]; a `not-utf-8` where the bytes stop being text.
pub fn parse_bytes(
    name: &str,
    bytes: &[u8],
    catalogue: &dyn Catalogue,
) -> Result<(Playbook, Vec<Diagnostic>), Vec<Diagnostic>> {
    let text = source::decode(name, bytes).map_err(|error| vec![*error])?;
    parse(name, text, catalogue)
}
