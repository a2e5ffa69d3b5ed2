//! Progress on stderr, for whatever takes longer than a second.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    cli::output::Output,
    engine::{Event, Progress},
    model::json_for_terminal,
};

/// A wait that is shown while it lasts; it disappears when dropped. Hidden where stderr is no terminal.
pub(crate) struct Wait(ProgressBar);

/// Shows that something is going on.
pub(crate) fn wait(what: &'static str) -> Wait {
    let bar = ProgressBar::new_spinner().with_message(what);
    bar.enable_steady_tick(Duration::from_millis(120));
    Wait(bar)
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// Shows a run: a line for each change that ended, and how many are left.
pub(crate) struct Live {
    bar: ProgressBar,
    out: Output,
}

impl Live {
    pub(crate) fn new(out: Output, changes: usize) -> Self {
        let bar = ProgressBar::new(u64::try_from(changes).unwrap_or_default());
        if let Ok(style) = ProgressStyle::with_template("{spinner} {pos}/{len} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(120));
        Self { bar, out }
    }

    fn line(&self, text: &str) {
        self.bar.suspend(|| self.out.say(text));
    }
}

impl Progress for Live {
    fn event(&self, event: Event) {
        match event {
            Event::Stage { id } => {
                self.line(&format!("stage {id}"));
                self.bar.set_message(id);
            }
            Event::Sent { change } => self.bar.set_message(format!("{change} sent, verifying")),
            Event::Left { change, reason } => {
                self.line(&format!("  {change} left for resume: {}", json_for_terminal(&reason)));
            }
            Event::Waiting(wait) => self.line(&wait.to_string()),
            Event::Ended { change, outcome, reason } => {
                self.bar.inc(1);
                self.line(&format!("  {change} {}: {}", outcome.word(), json_for_terminal(&reason)));
            }
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
