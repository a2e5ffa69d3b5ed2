//! Runs whose chain and signatures are honest and whose story is not: each rule of a run, broken once.

use serde_json::{Value, json};

use super::{Layer, Row, hold, row};
use crate::{
    journal::{
        Approval, Purpose, Record, SentOutcome,
        testing::{approved, ended, intent, observed, secret_intent, sent, target, verified},
        verify::Code,
    },
    model::Outcome,
};

fn before() -> Record {
    observed("c001", json!({"accountEnabled": true}))
}

fn say(id: &str) -> Record {
    intent("c001", id, json!({"accountEnabled": false}))
}

fn send(id: &str) -> Record {
    sent("c001", id, SentOutcome::Accepted)
}

fn proof() -> Record {
    verified("c001", json!({"accountEnabled": false}))
}

fn done() -> Record {
    ended("c001", Outcome::Done, target("user", "u1", "x"), [None, None])
}

/// A read that was denied: which is not the same as an object that is not there.
fn denied() -> Record {
    Record::Observed {
        change: "c001".into(),
        state: None,
        caveats: vec![],
        error: Some("denied".into()),
        purpose: Purpose::Before,
    }
}

fn sealed() -> Record {
    Record::Sealed {
        change: "c001".into(),
        file: "handover/told/x.age".into(),
        sha256: "0".repeat(64),
        recipients: vec![],
        owner: "x".into(),
    }
}

fn of_another_plan() -> Record {
    Record::Approved { digest: "d2".into(), by: "x".into(), how: Approval::Flag, overrides: vec![], unseen: vec![] }
}

fn read_again() -> Record {
    let mut probe = before();
    if let Record::Observed { purpose, .. } = &mut probe {
        *purpose = Purpose::Probe;
    }
    probe
}

/// What the plan does not say, or another tenant's plan does.
fn off_the_plan() -> Vec<Row> {
    fn off(id: &str) -> Record {
        intent("c001", id, json!({"accountEnabled": true}))
    }
    vec![
        row("a change that the plan does not have", Layer::Rules, &[Code::ChangeNotPlanned], |victim| {
            let call = intent("c999", "i", json!({"accountEnabled": false}));
            let answer = sent("c999", "i", SentOutcome::Accepted);
            victim.told(vec![approved(), observed("c999", json!({})), call, answer]);
        }),
        row("a call that the plan does not have", Layer::Rules, &[Code::CallNotPlanned], |victim| {
            victim.told(vec![approved(), before(), off("i"), send("i"), proof(), done()]);
        }),
        row("another call after a read of what was left, as may be", Layer::Told, &[], |victim| {
            let lost = sent("c001", "i", SentOutcome::Unknown);
            victim.told(vec![approved(), before(), say("i"), lost, read_again(), off("j"), send("j"), proof(), done()]);
        }),
        row("another call after a read before any call", Layer::Rules, &[Code::CallNotPlanned], |victim| {
            victim.told(vec![approved(), before(), read_again(), off("i"), send("i"), proof(), done()]);
        }),
        row("a header of another tenant than its plan", Layer::Rules, &[Code::TenantMismatch], |victim| {
            victim.edit_header(|header| {
                header["tenant_id"] = "9".into();
                header["identity"]["tenant_id"] = "9".into();
            });
            victim.forge_own();
        }),
        row("a token of another tenant", Layer::Rules, &[Code::TenantMismatch], |victim| {
            victim.edit_header(|header| header["identity"]["tenant_id"] = "9".into());
            victim.forge_own();
        }),
    ]
}

/// Lines of the first run that say what the tenant showed or answered.
fn without_evidence() -> Vec<Row> {
    vec![
        row("a snapshot without an exchange", Layer::Rules, &[Code::NoExchange], |victim| {
            victim.strip(3);
            victim.forge_own();
        }),
        row("an answer without an exchange", Layer::Rules, &[Code::NoExchange], |victim| {
            victim.strip(5);
            victim.forge_own();
        }),
        row("an answer with the exchange of another request", Layer::Rules, &[Code::NoExchange], |victim| {
            victim.edit_head(5, |head| head.replace("c001-call", "c002-call"));
            victim.edit_json(5, |line| line["ev"][0]["client_request_id"] = "c002-call".into());
            victim.forge_own();
        }),
        row("a proof without an exchange", Layer::Rules, &[Code::NoExchange], |victim| {
            victim.strip(6);
            victim.forge_own();
        }),
    ]
}

fn before_the_call() -> Vec<Row> {
    vec![
        row("a change without approval", Layer::Rules, &[Code::IntentWithoutApproval], |victim| {
            victim.told(vec![before(), say("i"), send("i"), proof(), done()]);
        }),
        row("approval after the call", Layer::Rules, &[Code::IntentWithoutApproval], |victim| {
            victim.told(vec![before(), say("i"), approved(), send("i"), proof(), done()]);
        }),
        row("approval of another plan", Layer::Rules, &[Code::ApprovalOfAnotherPlan], |victim| {
            victim.told(vec![of_another_plan()]);
        }),
        row("a change without a snapshot", Layer::Rules, &[Code::IntentWithoutSnapshot], |victim| {
            victim.told(vec![approved(), say("i"), send("i"), proof(), done()]);
        }),
        row("a change after a snapshot that was denied", Layer::Rules, &[Code::IntentWithoutSnapshot], |victim| {
            victim.told(vec![approved(), denied(), say("i"), send("i"), proof(), done()]);
        }),
        row("a change after the snapshot of another", Layer::Rules, &[Code::IntentWithoutSnapshot], |victim| {
            let other = observed("c002", Value::Null);
            victim.told(vec![approved(), other, say("i"), send("i"), proof(), done()]);
        }),
    ]
}

fn after_the_call() -> Vec<Row> {
    vec![
        row("a call without an intent", Layer::Rules, &[Code::SentWithoutIntent, Code::DoneWithoutIntent], |victim| {
            victim.told(vec![approved(), before(), send("i"), proof(), done()]);
        }),
        row("a call under another request id", Layer::Rules, &[Code::SentWithoutIntent], |victim| {
            victim.told(vec![approved(), before(), say("i"), send("j"), proof(), done()]);
        }),
        row("two answers to one call", Layer::Rules, &[Code::SentWithoutIntent], |victim| {
            victim.told(vec![approved(), before(), say("i"), send("i"), send("i"), proof(), done()]);
        }),
        row("done without a second read", Layer::Rules, &[Code::DoneWithoutProof], |victim| {
            victim.told(vec![approved(), before(), say("i"), send("i"), done()]);
        }),
        row("done by a read before the last call", Layer::Rules, &[Code::DoneWithoutProof], |victim| {
            victim.told(vec![approved(), before(), say("i"), send("i"), proof(), say("j"), send("j"), done()]);
        }),
        row("a change that has no end", Layer::Rules, &[Code::ChangeNotEnded], |victim| {
            victim.told(vec![approved(), before(), say("i"), send("i")]);
        }),
        row("a secret sent before it was sealed", Layer::Rules, &[Code::SecretNotSealed], |victim| {
            victim.told(vec![approved(), before(), secret_intent("c001", "i"), send("i"), sealed(), proof(), done()]);
        }),
        row("a secret that was never sealed", Layer::Rules, &[Code::SecretNotSealed], |victim| {
            victim.told(vec![approved(), before(), secret_intent("c001", "i"), send("i"), proof(), done()]);
        }),
        row("a last line that counts more than was done", Layer::Rules, &[Code::OutcomesMismatch], |victim| {
            victim.edit_line(14, r#""done":2"#, r#""done":3"#);
            victim.forge_own();
        }),
    ]
}

fn honest() -> Vec<Row> {
    vec![
        row("an honest story, which is called good", Layer::Told, &[], |victim| {
            victim.told(vec![approved(), before(), say("i"), send("i"), proof(), done()]);
        }),
        row("an honest story with a probe for a proof", Layer::Told, &[], |victim| {
            victim.told(vec![approved(), before(), say("i"), send("i"), read_again(), done()]);
        }),
        row("an honest story of a change that drifted", Layer::Told, &[], |victim| {
            let drifted = ended("c001", Outcome::Drifted, target("user", "u1", "x"), [None, None]);
            victim.told(vec![approved(), before(), drifted]);
        }),
        row("an honest story with a sealed secret", Layer::Told, &[Code::HandoverGone], |victim| {
            victim.told(vec![approved(), before(), sealed(), secret_intent("c001", "i"), send("i"), proof(), done()]);
        }),
    ]
}

#[test]
fn what_the_plan_must_say() {
    hold(&off_the_plan());
}

#[test]
fn what_an_exchange_must_show() {
    hold(&without_evidence());
}

#[test]
fn what_must_stand_before_a_call() {
    hold(&before_the_call());
}

#[test]
fn what_must_stand_after_a_call() {
    hold(&after_the_call());
}

#[test]
fn what_is_no_attack() {
    hold(&honest());
}
