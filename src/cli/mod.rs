//! The command line: arguments, one file per verb, prompts, hints, exit codes. Holds nothing that a caller of the
//! library would miss.

mod args;
mod auth;
mod commands;
mod config;
mod connect;
mod custody;
mod decide;
mod derived;
mod execute;
mod exit;
mod hygiene;
mod keep;
mod output;
mod planning;
mod program;
mod progress;
mod prompt;
mod runs;
mod signals;
mod skew;
mod stopped;

use std::{io, process::ExitCode, sync::Arc};

use clap::{CommandFactory as _, Parser as _};
use tracing_subscriber::EnvFilter;

use crate::{
    cli::{
        args::{AuditCommand, Cli, Command, Global},
        exit::{Exit, Failure},
        output::Output,
    },
    model::{Clock, SystemClock},
};

/// What every verb is given.
pub(crate) struct Context {
    pub(crate) global: Global,
    pub(crate) out: Output,
    pub(crate) clock: Arc<dyn Clock>,
}

/// Parses the command line, runs the verb, and says how it ended.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Ok };
            drop(error.print());
            return exit.into();
        }
    };
    log_to_stderr(cli.global.verbose);
    hygiene::begin(Output::new(cli.global.format));
    let context = Context { out: Output::new(cli.global.format), global: cli.global, clock: SystemClock::start() };
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => {
            context.out.failure(&Failure::new(Exit::CouldNotRun, format!("failed to start: {error}")));
            return Exit::CouldNotRun.into();
        }
    };
    match runtime.block_on(dispatch(&context, cli.command)) {
        Ok(exit) => exit.into(),
        Err(failure) => {
            context.out.failure(&failure);
            failure.exit.into()
        }
    }
}

async fn dispatch(context: &Context, command: Command) -> Result<Exit, Failure> {
    match command {
        #[cfg(feature = "demo")]
        Command::Demo(args) => commands::demo::run(context, args).await,
        Command::Plan(args) => commands::plan::run(context, args).await,
        Command::Apply(args) => commands::apply::run(context, args).await,
        Command::Run(args) => commands::run::run(context, args).await,
        Command::Resume(args) => commands::resume::run(context, args).await,
        Command::Undo(args) => commands::undo::run(context, args).await,
        Command::Audit(AuditCommand::Verify(args)) => commands::audit::verify(context, &args),
        Command::Audit(AuditCommand::Show(args)) => commands::audit::show(context, &args),
        Command::Audit(AuditCommand::Reconcile(args)) => commands::audit_reconcile::run(context, &args).await,
        Command::Audit(AuditCommand::Prove(args)) => commands::audit_prove::prove(context, &args),
        Command::Audit(AuditCommand::CheckProof(args)) => commands::audit_prove::check(context, &args),
        Command::Audit(AuditCommand::Sign(args)) => commands::audit_sign::run(context, &args),
        #[cfg(feature = "timestamp")]
        Command::Audit(AuditCommand::Stamp(args)) => commands::audit_stamp::run(context, &args).await,
        Command::Audit(AuditCommand::Custody(args)) => commands::audit_custody::run(context, &args),
        Command::Audit(AuditCommand::Copy(args)) => commands::audit_store::copy(context, &args).await,
        Command::Audit(AuditCommand::Fetch(args)) => commands::audit_store::fetch(context, &args).await,
        Command::Report(args) => commands::report::run(context, &args),
        Command::Doctor(args) => commands::doctor::run(context, &args).await,
        Command::Permissions(args) => commands::permissions::run(context, &args),
        Command::Actions(args) => commands::actions::run(context, &args),
        Command::Check(args) => commands::check::run(context, &args),
        Command::Schema => commands::schema::run(context),
        #[cfg(feature = "demo")]
        Command::Tenant(args::TenantCommand::Serve(args)) => commands::tenant::serve(context, args).await,
    }
}

fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "staunch=info,warn",
        _ => "staunch=debug,warn",
    };
    let filter = EnvFilter::try_from_env("STAUNCH_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
}

/// The command line reference, as Markdown, generated from the arguments themselves.
pub fn reference() -> String {
    let mut out = String::from("# Command line\n\nGenerated from the program; `staunch help VERB` prints the same.\n");
    describe(&mut Cli::command().bin_name("staunch"), "staunch", &mut out);
    out
}

fn describe(command: &mut clap::Command, name: &str, out: &mut String) {
    let help = command.clone().bin_name(name).term_width(100).render_long_help().to_string();
    let help = help.lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
    out.push_str(&format!("\n## `{name}`\n\n```text\n{help}\n```\n"));
    let names: Vec<String> = command.get_subcommands().map(|sub| sub.get_name().to_owned()).collect();
    for sub in names.iter().filter(|sub| *sub != "help") {
        if let Some(command) = command.find_subcommand_mut(sub) {
            describe(command, &format!("{name} {sub}"), out);
        }
    }
}
