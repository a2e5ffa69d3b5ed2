//! What the program says: data on stdout, talk on stderr. The only place that prints.

use std::io::{self, IsTerminal as _, Write as _};

use serde::Serialize;

use crate::{
    cli::{
        args::Format,
        exit::{Exit, Failure},
    },
    model::json_for_terminal,
};

/// Where and how to print.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Data, in the form that was asked for.
    pub(crate) fn data<T: Serialize>(self, value: &T, human: impl FnOnce() -> String) -> Result<(), Failure> {
        if !self.is_json() {
            return self.text(&human());
        }
        let json = serde_json::to_string_pretty(value)
            .map_err(|error| Failure::new(Exit::CouldNotRun, format!("failed to write JSON: {error}")))?;
        self.text(&json_for_terminal(&json))
    }

    /// Text on stdout. A closed pipe is not an error.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        let written = writeln!(stdout, "{}", text.trim_end_matches('\n')).and_then(|()| stdout.flush());
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
                Err(Failure::new(Exit::CouldNotRun, format!("failed to write to stdout: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// Talk on stderr.
    pub(crate) fn say(self, text: &str) {
        drop(writeln!(io::stderr().lock(), "{text}"));
    }

    /// An error and its hint.
    pub(crate) fn failure(self, failure: &Failure) {
        self.say(&format!("error: {}", failure.message));
        if let Some(hint) = &failure.hint {
            self.say(&format!("hint: {hint}"));
        }
    }

    /// Whether somebody is there to be asked.
    pub(crate) fn can_ask(self) -> bool {
        io::stdin().is_terminal() && io::stderr().is_terminal()
    }

    /// Whether stdout takes colours.
    pub(crate) fn colors(self) -> bool {
        console::colors_enabled()
    }

    /// Whether stderr takes colours.
    pub(crate) fn colors_on_stderr(self) -> bool {
        console::colors_enabled_stderr()
    }

    /// Width of the terminal.
    pub(crate) fn width(self) -> usize {
        usize::from(console::Term::stdout().size().1).clamp(60, 160)
    }
}
