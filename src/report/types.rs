//! The report as data: what `--format json` prints.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use crate::{
    journal::{Anchor, Approval, EvidenceRef, Finding, Mode, PlaybookRef, SentOutcome, Tool, Verdict},
    model::{Caveat, Cloud, Difference, ExchangeOutcome, Identity, Outcome, Override, Target, Untrusted},
};

pub use super::{
    intrusion::{Examined, Found, Indicator, Technique, Trace},
    timeline::{Lane, Moment},
};

use super::export::TimelineFinding;

/// Version of the report's JSON.
pub(crate) const FORMAT: &str = "staunch.report/v1";

/// A whole report.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// `staunch.report/v1`
    pub format: String,
    /// Title of the plan.
    pub title: String,
    /// Who may read it, by the Traffic Light Protocol: `TLP:AMBER+STRICT`.
    pub marking: Option<String>,
    /// The answer to "is it contained".
    pub status: Status,
    /// What is known of the intrusion, and what nobody examined.
    pub intrusion: Vec<Trace>,
    /// The steps of the plan.
    pub steps: Vec<Step>,
    /// What was done, by account.
    pub accounts: Vec<Account>,
    /// Found and not touched.
    pub left_alone: Vec<LeftAlone>,
    /// Wanted, but no change could be planned.
    pub not_planned: Vec<NotPlanned>,
    /// Steps that found nothing, by what they looked at.
    pub nothing_found: Vec<(String, Untrusted)>,
    /// How long the way in was open.
    pub exposure: Exposure,
    /// What others are asked to do.
    pub requests: Vec<RequestFor>,
    /// New secrets to be handed over.
    pub secrets: Vec<Sealed>,
    /// What can be taken back once the incident is over.
    pub rollback: Vec<Rollback>,
    /// Everything that was read and sent.
    pub evidence: Vec<Exhibit>,
    /// How it was done, and what it cannot show.
    pub method: Method,
    /// What happened when.
    pub timeline: Vec<Moment>,
    /// Times that cannot be right.
    pub timeline_findings: Vec<TimelineFinding>,
    /// What to look for elsewhere.
    pub indicators: Vec<Indicator>,
    /// What the changes that hold counter, whether or not it was used here.
    pub techniques: Vec<Technique>,
    /// What the playbook states that it counters: the case that it was written for.
    pub playbook_counters: Vec<Technique>,
}

/// A step of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its stage.
    pub stage: String,
    /// Its id.
    pub id: String,
    /// Its action.
    pub action: String,
}

/// How far the run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Containment {
    /// Everything that was asked holds.
    Full,
    /// Some of it does.
    Partly,
    /// None of it does.
    None,
    /// Nothing was asked.
    NothingToDo,
}

/// The status box.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Status {
    /// How far the run came.
    pub containment: Containment,
    /// Changes by the word of their outcome; those without an end are `not-ended`.
    pub counts: BTreeMap<String, u32>,
    /// Forward or back.
    pub mode: Mode,
    /// The run.
    pub run_id: String,
    /// The run that it takes back.
    pub undo_of: Option<String>,
    /// The case.
    pub case: String,
    /// The tenant.
    pub tenant_id: String,
    /// Its cloud.
    pub cloud: Cloud,
    /// Who approved it.
    pub approvals: Vec<Approver>,
    /// When it began, by the machine's clock.
    pub started: Timestamp,
    /// Time of the journal's newest line.
    pub until: Option<Timestamp>,
    /// Whether its last line is there.
    pub closed: bool,
    /// Whether it was stopped on purpose, and why.
    pub interrupted: Option<Proof<String>>,
    /// What verification says.
    pub verdict: Verdict,
    /// Whole lines of the journal.
    pub records: u64,
    /// SHA-256 of the last line.
    pub head: String,
    /// The key that signs, and the root over all lines.
    pub anchor: Option<Anchor>,
    /// What makes the record broken.
    pub problems: Vec<Finding>,
}

/// A fact with the line that it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proof<T> {
    /// Line of the journal.
    pub seq: u64,
    /// The fact.
    pub what: T,
}

/// Who approved the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Approver {
    /// Line of the journal.
    pub seq: u64,
    /// The name that was given; nobody proved it.
    pub by: String,
    /// How.
    pub how: Approval,
    /// The plan's digest.
    pub digest: String,
    /// Guards that were overridden, why, and for what.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<Override>,
}

/// Everything that was done about one account, or about one object that belongs to none.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Account {
    /// Principal name, or the object's name.
    pub name: Untrusted,
    /// In the order of the plan.
    pub changes: Vec<Change>,
}

/// One change, from the plan to its proof.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Change {
    /// `c001`
    pub id: String,
    /// Stage of the playbook.
    pub stage: Option<String>,
    /// Step of the playbook.
    pub step: Option<String>,
    /// Action.
    pub action: Option<String>,
    /// What the action says that it does, or that it is taken back.
    pub title: Option<String>,
    /// The object; under its new id where it moved.
    pub target: Option<Target>,
    /// What it was found by.
    pub note: Option<Untrusted>,
    /// Line of the snapshot.
    pub snapshot: Option<u64>,
    /// What was sent.
    pub calls: Vec<CallMade>,
    /// Line of the read that settled it.
    pub read_back: Option<u64>,
    /// Line of its end.
    pub ended: Option<u64>,
    /// How it ended; none when the run did not come so far.
    pub outcome: Option<Outcome>,
    /// In words.
    pub reason: String,
    /// What a responder does next.
    pub next_step: String,
    /// State before.
    pub before: Option<Value>,
    /// State after.
    pub after: Option<Value>,
    /// In what they differ, in words.
    pub differences: Vec<Difference>,
    /// What to know.
    pub caveats: Vec<Caveat>,
    /// Whether it can be taken back.
    pub way_back: WayBack,
}

impl Change {
    /// The newest line of the journal about it; none when the run did not come so far.
    pub(super) fn line(&self) -> Option<u64> {
        let call = self.calls.last().map(|call| call.sent.unwrap_or(call.intent));
        self.ended.or(self.read_back.max(call)).or(self.snapshot)
    }
}

/// One call that was announced.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CallMade {
    /// Line of the intent.
    pub intent: u64,
    /// In one line; secrets are placeholders.
    pub request: String,
    /// What the tenant's logs show for it.
    pub client_request_id: String,
    /// The tenant's time just before.
    pub server_time: Timestamp,
    /// Line of the result.
    pub sent: Option<u64>,
    /// How it was answered.
    pub outcome: Option<SentOutcome>,
    /// HTTP status.
    pub status: Option<u16>,
    /// Warnings beside a success.
    pub warnings: Vec<Untrusted>,
}

/// Whether a change can be taken back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayBack {
    /// By these calls.
    Calls(Vec<String>),
    /// It cannot.
    Impossible(String),
    /// Nothing was changed.
    NotNeeded,
    /// The plan does not say.
    NotKnown,
}

/// Something that was found and not picked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LeftAlone {
    /// Step that found it.
    pub step: String,
    /// The object.
    pub target: Target,
    /// Its line of evidence.
    pub note: Untrusted,
    /// Whether the step's criterion certainly held.
    pub certain: bool,
    /// What to know.
    pub caveats: Vec<Caveat>,
}

/// Something that was wanted and could not be planned.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NotPlanned {
    /// Step that wanted it.
    pub step: String,
    /// The guard that refused it, where one did.
    pub guard: Option<String>,
    /// The object.
    pub target: Option<Target>,
    /// The value that it was looked for by.
    pub subject: Option<Untrusted>,
    /// Why.
    pub reason: String,
}

/// How long the way in was open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// The playbook's input `incident_start`: as stated by the responder.
    pub stated_start: Option<Timestamp>,
    /// When the last access was cut.
    pub last_cut_off: Option<Proof<Timestamp>>,
    /// From the start of the run to that, in milliseconds.
    pub last_cut_off_ms: Option<u64>,
    /// From the start of the run until everything was verified, in milliseconds.
    pub contained_ms: Option<u64>,
    /// Until about when access tokens that were out already may be accepted.
    pub tokens_until: Option<Timestamp>,
    /// Until when at the latest: for those of continuous access evaluation, where a service does not refuse them before.
    pub tokens_at_the_latest: Option<Timestamp>,
    /// The first access of the intruder that was stated or noted.
    pub first_access: Option<Timestamp>,
    /// From that to the last cut, in milliseconds.
    pub open_for_ms: Option<u64>,
}

/// What somebody else is asked to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RequestFor {
    /// Whom.
    pub to: String,
    /// What.
    pub task: String,
}

/// A later process that went on with the run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TakenUp {
    /// The name that was given; nobody proved it.
    pub by: String,
    /// Who it is to the tenant, where that is somebody else than who began the run.
    pub identity: Option<Identity>,
}

/// A new secret, encrypted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Sealed {
    /// Line of the journal.
    pub seq: u64,
    /// Whose.
    pub owner: Untrusted,
    /// The encrypted file, relative to the case's folder.
    pub file: String,
    /// Who can open it.
    pub recipients: Vec<String>,
}

/// A change that can be taken back, or not.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rollback {
    /// The change.
    pub change: String,
    /// Line of its end, or of its last call.
    pub seq: Option<u64>,
    /// The object.
    pub target: Option<Target>,
    /// How.
    pub way_back: WayBack,
}

/// One exchange with the tenant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exhibit {
    /// Line that names it.
    pub seq: u64,
    /// Change that it belongs to.
    pub change: Option<String>,
    /// How it ended.
    pub outcome: Option<ExchangeOutcome>,
    /// HTTP status.
    pub status: Option<u16>,
    /// Its files.
    pub files: EvidenceRef,
}

/// How it was done.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Method {
    /// Which program.
    pub tool: Tool,
    /// The machine.
    pub host: String,
    /// The machine's user.
    pub os_user: String,
    /// The command line.
    pub command: Vec<String>,
    /// Who we were to the tenant.
    pub identity: Identity,
    /// What was followed.
    pub playbook: Option<PlaybookRef>,
    /// Its inputs.
    pub inputs: BTreeMap<String, Value>,
    /// The plan's digest, as it states it.
    pub plan_digest: Option<String>,
    /// Our clock against the tenant's.
    pub clock: Option<Clock>,
    /// When the run was taken up again.
    pub resumed: Vec<Proof<TakenUp>>,
    /// What could not be seen.
    pub blind_spots: Vec<Spot>,
}

/// Our clock against the tenant's `Date` headers, which have whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Clock {
    /// Median of tenant minus ours, in milliseconds.
    pub offset_ms: i64,
    /// Answers that it was measured on.
    pub samples: u32,
}

/// Something that could not be seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Spot {
    /// Line of the journal; none when the plan says so.
    pub seq: Option<u64>,
    /// In words.
    pub text: String,
}
