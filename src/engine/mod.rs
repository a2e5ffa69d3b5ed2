//! Runs an approved plan: the only place that can send a change.
//!
//! Evidence before every change, the intent on disk before every call, a second read after it. Never prompts,
//! never prints: it tells its progress to a listener and its facts to the journal.

mod lane;
mod past;
mod progress;
mod recorded;
mod resume;
mod run;
mod seal;
mod settle;
mod verify;
mod work;

pub use crate::model::Stop;
pub use progress::{Event, Progress};
pub use resume::{Ready, TakenUp, Undecided, resume, take_up};
pub use run::{Deps, EngineError, Options, Summary, run};
pub use seal::{SealError, check_recipient};
