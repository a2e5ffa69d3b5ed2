//! The command line as it was typed.

mod audit;

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};

#[cfg(feature = "timestamp")]
pub(crate) use self::audit::StampArgs;
pub(crate) use self::audit::{
    AuditCommand, CheckProofArgs, CopyArgs, CustodyArgs, FetchArgs, ProveArgs, ReconcileArgs, SignArgs, VerifyArgs,
};
use crate::{cli::keep::StoreArg, plan::Guard, report::Audience};

/// Contains a compromised Microsoft 365 account from a reviewed playbook: shows the exact change, preserves evidence,
/// changes it, proves it by a second read, undoes what can be undone, and leaves a record that can be verified.
#[derive(Debug, Parser)]
#[command(name = "staunch", version, propagate_version = true, arg_required_else_help = true)]
#[command(after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    all that was asked holds (for `plan`: the plan was made)
  1    it could not run: network, authentication, disk; or it ran, and its record could not be copied to the store, or
       its report not be printed
  2    the command line, the playbook, an input or the configuration is wrong
  3    refused, nothing was changed: a guard, a stale, edited or foreign plan, no approval
  4    it ran, and something is not contained or not known; or something could not be sent for now, and `resume` goes on
       (for `plan`: nothing of it could be planned; for `doctor`: some action cannot be used, or every plan would be
       refused)
  5    a record does not verify (for `audit verify`: broken); 50 consistent, but no key was given; 51 open: it was not
       closed; 52 open, and the last line is torn
  130  interrupted, or its deadline has passed; the journal is right, `resume` goes on";

/// Options of every verb.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Profile of the configuration; `demo` is the embedded tenant
    #[arg(long, global = true, env = "STAUNCH_TENANT", value_name = "NAME")]
    pub(crate) tenant: Option<String>,
    /// Configuration file instead of ./staunch.toml or the one in the user's configuration folder
    #[arg(long, global = true, env = "STAUNCH_CONFIG", value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Folder of the case: its runs and sealed secrets
    #[arg(long, global = true, env = "STAUNCH_CASE", value_name = "DIR", default_value = "case")]
    pub(crate) case: PathBuf,
    /// Form of what goes to stdout
    #[arg(long, global = true, value_enum, default_value_t = Format::Human)]
    pub(crate) format: Format,
    /// Minutes after which nothing more is sent and the run ends (130); `resume` goes on from there
    #[arg(long, global = true, value_name = "MINUTES", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) deadline: Option<u64>,
    /// How a change is proven: by one read, or by three in a row
    #[arg(long, value_enum, global = true, default_value_t = Verify::Fast)]
    pub(crate) verify: Verify,
    /// More talk on stderr; twice for every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub(crate) verbose: u8,
}

impl Global {
    /// When nothing more is sent, from the sign-in on.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.deadline.map(|minutes| Duration::from_secs(minutes.saturating_mul(60)))
    }
}

/// Form of the data on stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Rehearse the whole way on the embedded tenant: plan, apply, verify, report; no set-up at all
    #[cfg(feature = "demo")]
    Demo(DemoArgs),
    /// Read the tenant and print what would be changed; changes nothing
    Plan(PlanArgs),
    /// Run exactly the plan of a file, after approval
    Apply(ApplyArgs),
    /// Plan, approve and apply in one sitting
    Run(RunArgs),
    /// Go on with a run that was interrupted or killed
    Resume(ResumeArgs),
    /// Plan and run the way back of a run
    Undo(UndoArgs),
    /// Check and read the record of a run
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Print the incident report of a run
    Report(ReportArgs),
    /// Sign in and say what this identity may do and what is missing, before anybody needs it; changes nothing
    Doctor(DoctorArgs),
    /// Print the least permissions of playbooks, reads apart from writes; needs no tenant
    Permissions(PermissionsArgs),
    /// List the actions, or describe one
    Actions(ActionsArgs),
    /// Check playbooks, without a tenant
    Check(CheckArgs),
    /// Print the JSON Schema of playbooks
    Schema,
    /// The embedded tenant
    #[cfg(feature = "demo")]
    #[command(subcommand)]
    Tenant(TenantCommand),
}

/// What a playbook is planned with.
#[derive(Debug, Args)]
pub(crate) struct Planning {
    /// Playbook
    #[arg(value_name = "PLAYBOOK")]
    pub(crate) playbook: PathBuf,
    /// Input; a list is separated by commas, `@FILE` takes it from a file, one value a line
    #[arg(short, long = "input", value_name = "KEY=VALUE")]
    pub(crate) inputs: Vec<String>,
    /// What to pick of what a step finds: `all` that certainly fits, `none`, or ids (OWNER/ID where an id repeats)
    #[arg(long = "pick", value_name = "STEP=all|none|ID,…")]
    pub(crate) picks: Vec<String>,
    /// age recipient to which new passwords are sealed, beside those of the profile
    #[arg(long = "recipient", value_name = "AGE-KEY")]
    pub(crate) recipients: Vec<String>,
    #[command(flatten)]
    pub(crate) overriding: Overriding,
}

/// Which guards are overridden.
#[derive(Debug, Args)]
pub(crate) struct Overriding {
    /// Guard to override in this plan; each with a --reason of its own, in the same order. Both are part of the plan
    /// and of the record
    #[arg(long = "override", value_name = "GUARD", requires = "reasons", value_parser = guards())]
    pub(crate) guards: Vec<String>,
    /// Reason for the --override at the same place
    #[arg(long = "reason", value_name = "TEXT", requires = "guards")]
    pub(crate) reasons: Vec<String>,
    /// Allow changes that destroy what cannot be put back as it was: authentication methods, inbox rules
    #[arg(long)]
    pub(crate) allow_irreversible: bool,
}

fn guards() -> clap::builder::PossibleValuesParser {
    clap::builder::PossibleValuesParser::new(Guard::ALL.map(Guard::name))
}

/// How a run is approved.
#[derive(Debug, Args)]
pub(crate) struct Approving {
    /// Name of the person who approves, for the record (not proven)
    #[arg(long, env = "STAUNCH_OPERATOR", value_name = "NAME")]
    pub(crate) by: Option<String>,
    /// On whose authority the work is done, for the record: ticket, engagement, legal basis
    #[arg(long, env = "STAUNCH_AUTHORITY", value_name = "TEXT")]
    pub(crate) authority: Option<String>,
    /// Oldest plan that is applied, in minutes
    #[arg(long, value_name = "MINUTES", default_value_t = 60)]
    pub(crate) max_age: u64,
    /// Where the plan is claimed before anything is changed, so that nobody else runs it, and where the record is copied
    /// at the close: file:///FOLDER, s3://BUCKET/PREFIX, az://CONTAINER/PREFIX; `none` for no store, whatever the
    /// profile says
    #[arg(long, env = "STAUNCH_STORE", value_name = "URL")]
    pub(crate) store: Option<StoreArg>,
}

/// How a change is proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Verify {
    /// By one read.
    Fast,
    /// By three reads in a row, seconds apart: sees through a replica that is still behind.
    Strict,
}

impl Verify {
    /// Reads in a row.
    pub(crate) fn matching_reads(self) -> u32 {
        match self {
            Self::Fast => 1,
            Self::Strict => 3,
        }
    }
}

#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Take everything back at the end, and show what stays changed
    #[arg(long)]
    pub(crate) undo: bool,
    /// Scenario of the tenant
    #[arg(long, default_value = "aitm")]
    pub(crate) scenario: String,
}

#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) planning: Planning,
    /// Write the plan to a new file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct ApplyArgs {
    /// Plan file, as `plan --out` wrote it
    #[arg(value_name = "PLANFILE")]
    pub(crate) plan: PathBuf,
    /// Digest of the plan: approves it without a question
    #[arg(long, value_name = "DIGEST")]
    pub(crate) approve: Option<String>,
    #[command(flatten)]
    pub(crate) approving: Approving,
}

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) planning: Planning,
    #[command(flatten)]
    pub(crate) approving: Approving,
}

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// Folder or id of the run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Digest of the plan, for a run that died before its approval was on record
    #[arg(long, value_name = "DIGEST")]
    pub(crate) approve: Option<String>,
    /// What became of a change that was under way and that reading cannot settle; asked for on a terminal. `unknown` gives
    /// it up and goes on with the others
    #[arg(long = "decide", value_name = "CHANGE=applied|not-applied|unknown")]
    pub(crate) decisions: Vec<String>,
    /// What still cannot be sent ends as failed, so that the record is closed
    #[arg(long)]
    pub(crate) give_up: bool,
    #[command(flatten)]
    pub(crate) approving: Approving,
}

#[derive(Debug, Args)]
pub(crate) struct UndoArgs {
    /// Folder or id of the run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// Write the plan of the undo to a new file, and change nothing
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) overriding: Overriding,
    #[command(flatten)]
    pub(crate) approving: Approving,
}

#[derive(Debug, Args)]
pub(crate) struct RunRef {
    /// Folder or id of the run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Folder or id of the run
    #[arg(value_name = "RUN")]
    pub(crate) run: String,
    /// The same as `--as markdown`
    #[arg(long, conflicts_with = "form")]
    pub(crate) markdown: bool,
    /// Form, instead of text for the terminal
    #[arg(long = "as", value_enum, value_name = "FORM")]
    pub(crate) form: Option<ReportForm>,
    /// Who reads it: which sections stand in it. For a regulator `--as json` is the fields of a NIS2 notification alone
    #[arg(long, value_enum, value_name = "READER", default_value_t = Reader::Technical)]
    pub(crate) audience: Reader,
    /// Who may read it, by the Traffic Light Protocol
    #[arg(long, value_enum, value_name = "TLP", default_value_t = Tlp::AmberStrict)]
    pub(crate) tlp: Tlp,
    /// Write it to a new file. The folder `derived/` of a run is no part of its record, and is made where it is missing
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// What was noted of the intruder from logs, to be put into the timeline: one JSON object a line with `message`,
    /// `datetime` (with its offset), `timestamp_desc` and `kind` (`access` or `effect`). An effect before the first
    /// access is told
    #[arg(long, value_name = "FILE")]
    pub(crate) noted: Option<PathBuf>,
}

/// A reader of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Reader {
    /// Who owns the accounts: what was found and changed, and what is asked of them
    Owner,
    /// Responders and auditors: everything
    Technical,
    /// Who decides: how far it came, how long it was open, what is wanted
    Management,
    /// An authority: facts, times, and the fields of a notification
    Regulator,
}

impl From<Reader> for Audience {
    fn from(reader: Reader) -> Self {
        match reader {
            Reader::Owner => Self::Owner,
            Reader::Technical => Self::Technical,
            Reader::Management => Self::Management,
            Reader::Regulator => Self::Regulator,
        }
    }
}

/// Labels of the Traffic Light Protocol 2.0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Tlp {
    /// Anybody
    Clear,
    /// The community
    Green,
    /// The organisation and its clients
    Amber,
    /// The organisation
    AmberStrict,
    /// The recipients
    Red,
}

impl Tlp {
    /// The label as it is printed.
    pub(crate) fn label(self) -> &'static str {
        match self {
            Self::Clear => "TLP:CLEAR",
            Self::Green => "TLP:GREEN",
            Self::Amber => "TLP:AMBER",
            Self::AmberStrict => "TLP:AMBER+STRICT",
            Self::Red => "TLP:RED",
        }
    }
}

/// A form of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportForm {
    /// One HTML file: no script, nothing loaded from elsewhere
    Html,
    /// Markdown
    Markdown,
    /// JSON
    Json,
    /// OCSF 1.8, one event a line: remediation, account, entity and API activity
    Ocsf,
    /// Timesketch, one event a line: a timeline
    Timesketch,
}

#[derive(Debug, Args)]
pub(crate) struct ActionsArgs {
    /// Action to describe
    #[arg(value_name = "ID")]
    pub(crate) id: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// Playbook whose actions are looked at; without one, all actions
    #[arg(value_name = "PLAYBOOK")]
    pub(crate) playbook: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct PermissionsArgs {
    /// Playbooks; without one, all actions
    #[arg(value_name = "PLAYBOOK")]
    pub(crate) playbooks: Vec<PathBuf>,
    /// Print `requiredResourceAccess` for the manifest of an application registration
    #[arg(long)]
    pub(crate) manifest: bool,
}

#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Playbooks
    #[arg(value_name = "PLAYBOOK", required = true)]
    pub(crate) playbooks: Vec<PathBuf>,
    /// Print the one playbook as CACAO 2.0 instead, or write it to a new file
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true)]
    #[expect(clippy::option_option, reason = "clap: no flag, the flag alone, the flag with a file")]
    pub(crate) cacao: Option<Option<PathBuf>>,
    /// Time that the export says it was made at, instead of the playbook file's own
    #[arg(long, value_name = "TIME", requires = "cacao")]
    pub(crate) dated: Option<jiff::Timestamp>,
}

#[cfg(feature = "demo")]
#[derive(Debug, Subcommand)]
pub(crate) enum TenantCommand {
    /// Serve a mock tenant on a port of this machine, for rehearsal
    Serve(ServeArgs),
}

#[cfg(feature = "demo")]
#[derive(Debug, Args)]
pub(crate) struct ServeArgs {
    /// Address of this machine's loopback to listen on; any other is refused
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) listen: std::net::IpAddr,
    /// Port; 0 takes a free one
    #[arg(long, default_value_t = 8080)]
    pub(crate) port: u16,
    /// Name of a built-in scenario, or a YAML file
    #[arg(long, default_value = "aitm")]
    pub(crate) scenario: String,
    /// List the built-in scenarios and end
    #[arg(long)]
    pub(crate) list: bool,
    /// Number of users, beside those that the scenario names
    #[arg(long)]
    pub(crate) users: Option<usize>,
    /// Clock of the tenant
    #[arg(long, value_enum, default_value_t = ClockKind::System)]
    pub(crate) clock: ClockKind,
    /// Write a profile for it to a new file
    #[arg(long, value_name = "FILE")]
    pub(crate) profile: Option<PathBuf>,
}

/// What the mock tenant's time is.
#[cfg(feature = "demo")]
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ClockKind {
    /// That of this machine.
    System,
    /// An hour after the scenario's incident, until the control API advances it.
    Manual,
}
