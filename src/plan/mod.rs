//! The frozen list of changes: how it is built by reading, guarded, hashed, kept in a file and approved.
//!
//! A dry run is a plan. Nothing here can send a change: it holds a [`Reader`](crate::client::Reader).

mod accept;
mod build;
mod clear;
mod discover;
mod file;
mod guards;
mod licences;
mod preflight;
mod show;
mod types;
mod undo;

pub(crate) use accept::in_words;
pub use accept::{Accept, Approved, Decision, PlanRefused};
pub use build::Recipe;
pub(crate) use build::handed_over;
pub(crate) use clear::View;
pub use clear::{Applier, Cleared};
pub use discover::{Candidate, Discovery, PickError, Picks, Question, Selection, pick_key};
pub use file::{PlanFile, PlanFileError};
pub use guards::{BlindSpots, GUARD_READS, Guard, Overrides, Protected, blind_spots};
pub use licences::Licences;
pub use preflight::{Missing, Tokens, missing, needs_exchange, unread};
pub use show::{confirmation, terminal};
pub use types::{Mode, Plan, PlanStage, PlanStep, PlaybookRef, Tally};
pub use undo::{UndoError, UndoRecipe, undo};
