//! Runs for tests: what an honest program writes for a small incident.

use std::{path::Path, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::{
    journal::{
        Approval, Closing, Journal, Mode, PlaybookRef, Purpose, RUN_FORMAT, Record, RunHeader, SentOutcome, Tool,
        sha256_hex,
    },
    model::{
        Call, Cloud, Exchange, ExchangeOutcome, GraphPath, HandOver, Identity, IdentityKind, ManualClock, Outcome,
        Replay, SecretSlot, Target, Untrusted, Verb, Verdict,
    },
};

pub(crate) const PLAYBOOK: &[u8] = b"schema: staunch/v1\nid: takeover\n";
pub(crate) const USER: &str = "johanna@contoso.example";
/// What was read for the plan.
pub(crate) const READS: &str = r#"[{"head": {"method": "GET"}, "body": "{\"plan\": \"as it was\"}"}]"#;
pub(crate) const TENANT: &str = "11111111-1111-4111-8111-111111111111";

/// When the tests' incident is contained.
pub(crate) fn noon() -> Timestamp {
    "2023-12-12T12:00:00Z".parse().unwrap()
}

pub(crate) fn plan() -> Vec<u8> {
    plan_file(&plan_for(&["age1x"]))
}

/// The plan of the tests' incident: two changes, of which the first may send one of two calls.
pub(crate) fn plan_for(recipients: &[&str]) -> Value {
    let items = [
        planned("c001", &[intent("c001", "", json!({"accountEnabled": false})), secret_intent("c001", "")]),
        planned("c002", &[intent("c002", "", json!({"enabled": false}))]),
    ];
    json!({
        "title": "Account takeover",
        "tenant_id": TENANT,
        "recipients": recipients,
        "stages": [{"id": "cut", "steps": [{"id": "all", "items": items}]}],
        "reads": {"count": 1, "sha256": sha256_hex(READS.as_bytes())},
    })
}

/// An item of a plan: a change that is to send what these intents announce.
fn planned(change: &str, intents: &[Record]) -> Value {
    let calls: Vec<&Call> = intents
        .iter()
        .filter_map(|record| match record {
            Record::Intent { request, .. } => Some(request),
            _ => None,
        })
        .collect();
    json!({"change": {"id": change, "calls": calls}})
}

/// `plan.json` around a plan.
pub(crate) fn plan_file(plan: &Value) -> Vec<u8> {
    let reads = if plan["reads"].is_null() { String::new() } else { format!(r#","reads":{READS}"#) };
    format!(r#"{{"digest":"{}","plan":{plan}{reads}}}"#, plan_digest(plan)).into_bytes()
}

pub(crate) fn plan_digest(plan: &Value) -> String {
    format!("sha256:{}", sha256_hex(plan.to_string().as_bytes()))
}

pub(crate) fn header(run_id: &str, plan: &[u8]) -> RunHeader {
    RunHeader {
        format: RUN_FORMAT.into(),
        run_id: run_id.into(),
        case: "ir-7".into(),
        tool: Tool { name: "staunch".into(), version: "0.1.0".into(), commit: None, sha256: None },
        host: "ws1".into(),
        os_user: "ilse".into(),
        started: noon(),
        time_zone: None,
        authority: None,
        mode: Mode::Apply,
        undo_of: None,
        tenant_id: TENANT.into(),
        cloud: Cloud::Global,
        identity: Identity {
            tenant_id: TENANT.into(),
            app_id: "22222222-2222-4222-8222-222222222222".into(),
            object_id: "33333333-3333-4333-8333-333333333333".into(),
            kind: IdentityKind::Application,
            user_principal_name: None,
            permissions: vec!["User.Read.All".into()],
            directory_roles: Vec::new(),
            token_id: Some("uti1".into()),
            expires: None,
            issued: None,
            proof: None,
            continuous: false,
        },
        playbook: Some(PlaybookRef { id: "takeover".into(), version: "1.0.0".into(), sha256: sha256_hex(PLAYBOOK) }),
        plan_sha256: sha256_hex(plan),
        plan_id: "p1".into(),
        command: vec!["staunch".into(), "run".into()],
    }
}

pub(crate) fn exchange(id: &str, method: &str, url: &str, body: &str) -> Exchange {
    Exchange {
        client_request_id: id.into(),
        attempt: 1,
        method: method.into(),
        url: url.into(),
        request_headers: Vec::new(),
        token: None,
        request_body: None,
        status: Some(200),
        response_headers: vec![("Date".into(), "Tue, 12 Dec 2023 12:00:00 GMT".into())],
        started: noon(),
        ended: noon(),
        started_mono_ms: 5,
        server_date: Some(noon()),
        outcome: ExchangeOutcome::Ok,
        batch: None,
        batch_headers: Vec::new(),
        body: body.as_bytes().to_vec(),
    }
}

pub(crate) fn target(kind: &str, id: &str, name: &str) -> Target {
    Target {
        kind: kind.into(),
        id: id.into(),
        name: Untrusted::from(name),
        of: (kind != "user").then(|| Untrusted::from(USER)),
        lane: "u1".into(),
        owner: None,
        workload: None,
        data: Value::Null,
    }
}

pub(crate) fn approved() -> Record {
    let plan: Value = serde_json::from_slice(&plan()).unwrap();
    Record::Approved {
        digest: plan_digest(&plan["plan"]),
        by: "ilse".into(),
        how: Approval::Prompt,
        overrides: Vec::new(),
        unseen: Vec::new(),
    }
}

pub(crate) fn observed(change: &str, state: Value) -> Record {
    Record::Observed {
        change: change.into(),
        state: Some(state),
        caveats: Vec::new(),
        error: None,
        purpose: Purpose::Before,
    }
}

pub(crate) fn intent(change: &str, id: &str, wanted: Value) -> Record {
    let path = GraphPath::v1().fixed("users").id("u1");
    Record::Intent {
        change: change.into(),
        call: 0,
        client_request_id: id.into(),
        request: Call::graph(Verb::Patch, path, Some(wanted.clone()), Replay::Set),
        wanted,
        server_time: noon(),
    }
}

/// An intent whose call sets a password that is handed over sealed.
pub(crate) fn secret_intent(change: &str, id: &str) -> Record {
    let mut record = intent(change, id, json!({"passwordProfile": {"password": Call::secret("password")}}));
    if let Record::Intent { request, .. } = &mut record {
        request.secrets.push(SecretSlot { name: "password".into(), owner: USER.into(), hand_over: HandOver::Sealed });
    }
    record
}

pub(crate) fn sent(change: &str, id: &str, outcome: SentOutcome) -> Record {
    Record::Sent {
        change: change.into(),
        call: 0,
        client_request_id: id.into(),
        outcome,
        status: Some(204),
        reason: None,
        code: None,
        warnings: Vec::new(),
    }
}

pub(crate) fn verified(change: &str, state: Value) -> Record {
    Record::Verified {
        change: change.into(),
        verdict: Verdict::Holds,
        reads: 1,
        waited_ms: 0,
        state: Some(state),
        error: None,
    }
}

pub(crate) fn ended(change: &str, outcome: Outcome, target: Target, states: [Option<Value>; 2]) -> Record {
    let [before, after] = states;
    Record::Ended {
        change: change.into(),
        outcome,
        reason: match outcome {
            Outcome::Done => "the state was read back".into(),
            other => format!("the change is {}", other.word()),
        },
        before,
        after,
        target: Box::new(target),
        caveats: Vec::new(),
    }
}

/// The exchange that an honest program has behind such a line.
pub(crate) fn behind(record: &Record) -> Vec<Exchange> {
    let url = "https://graph.example/v1.0/users/u1";
    match record {
        Record::Observed { state: Some(state), .. } | Record::Verified { state: Some(state), .. } => {
            vec![exchange("read", "GET", url, &state.to_string())]
        }
        Record::Sent { client_request_id, outcome, .. } if *outcome != SentOutcome::NotSent => {
            vec![exchange(client_request_id, "PATCH", url, "")]
        }
        _ => Vec::new(),
    }
}

/// A journal under test with the clock that it runs on.
pub(crate) struct Bench {
    pub(crate) journal: Journal,
    pub(crate) clock: Arc<ManualClock>,
}

impl Bench {
    pub(crate) fn new(case: &Path, run_id: &str) -> Self {
        Self::with_plan(case, run_id, &plan())
    }

    pub(crate) fn with_plan(case: &Path, run_id: &str, plan: &[u8]) -> Self {
        let clock = ManualClock::at(noon());
        let header = header(run_id, plan);
        let journal = Journal::create(case, &header, plan, Some(PLAYBOOK), clock.clone()).unwrap();
        Self { journal, clock }
    }

    /// Appends a line, a second after the one before it.
    pub(crate) async fn add(&self, record: Record, exchanges: Vec<Exchange>) {
        self.clock.advance(Duration::from_secs(1));
        self.journal.append(record, exchanges).await.unwrap();
    }

    /// Appends a line with the exchange that an honest program has behind it.
    pub(crate) async fn tell(&self, record: Record) {
        let exchanges = behind(&record);
        self.add(record, exchanges).await;
    }

    pub(crate) async fn close(self) -> PathBuf {
        let run = self.journal.run_dir().to_owned();
        let closing = Closing { last_cut_off_ms: Some(4000), contained_ms: Some(7000) };
        self.journal.close(closing).await.unwrap();
        run
    }

    /// One change from snapshot to proof.
    pub(crate) async fn change(&self, change: &str, target: Target, states: [Value; 2]) {
        let [before, after] = states;
        let url = "https://graph.example/v1.0/users/u1";
        let read = |id: &str, state: &Value| vec![exchange(&format!("{change}-{id}"), "GET", url, &state.to_string())];
        let id = format!("{change}-call");
        self.add(observed(change, before.clone()), read("before", &before)).await;
        self.add(intent(change, &id, after.clone()), vec![]).await;
        self.add(sent(change, &id, SentOutcome::Accepted), vec![exchange(&id, "PATCH", url, "")]).await;
        self.add(verified(change, after.clone()), read("after", &after)).await;
        let states = [Some(before), Some(after)];
        self.add(ended(change, Outcome::Done, target, states), vec![]).await;
    }
}

/// Two changes that went well, up to but without the close.
pub(crate) async fn small(case: &Path, run_id: &str) -> Bench {
    let bench = Bench::new(case, run_id);
    bench.add(approved(), vec![]).await;
    let stage = || "cut".to_owned();
    bench.add(Record::StageStarted { stage: stage() }, vec![]).await;
    let user = target("user", "u1", USER);
    let states = [json!({"accountEnabled": true}), json!({"accountEnabled": false})];
    bench.change("c001", user, states).await;
    let rule = target("inbox-rule", "r1", "..");
    let states = [json!({"enabled": true}), json!({"enabled": false})];
    bench.change("c002", rule, states).await;
    bench.add(Record::StageEnded { stage: stage() }, vec![]).await;
    bench
}
