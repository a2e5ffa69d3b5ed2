//! Runs whose chain is honest and whose story is not: each rule of a run, broken once.

use std::{fs, path::Path};

use serde_json::json;

use crate::{
    journal::{
        Approval, Closing, Purpose, Record, SentOutcome, sha256_hex,
        testing::{
            Bench, approved, both, ended, intent, observed, plan_digest, plan_file, secret_intent, sent, target,
            verified,
        },
        verify,
        verify::Code,
    },
    model::Outcome,
};

fn codes(run: &Path) -> Vec<Code> {
    verify(run).problems().map(|finding| finding.code).collect()
}

async fn story(records: Vec<Record>) -> Vec<Code> {
    let case = tempfile::tempdir().unwrap();
    tell(Bench::new(case.path(), "r1"), records).await
}

async fn tell(bench: Bench, records: Vec<Record>) -> Vec<Code> {
    for record in records {
        bench.add(record, vec![]).await;
    }
    let run = bench.journal.run_dir().to_owned();
    bench.journal.close(Closing::default()).await.unwrap();
    both(&run, &[]).problems().map(|finding| finding.code).collect()
}

fn end(outcome: Outcome) -> Record {
    ended("c001", outcome, target("user", "u1", "x"), [None, None])
}

#[tokio::test]
async fn stories_that_break_the_rules() {
    let before = || observed("c001", json!({"accountEnabled": true}));
    let say = |id: &str| intent("c001", id, json!({"accountEnabled": false}));
    let send = |id: &str| sent("c001", id, SentOutcome::Accepted);
    let proof = || verified("c001", json!({"accountEnabled": false}));
    let probe = Record::Observed {
        change: "c001".into(),
        state: Some(json!({})),
        caveats: vec![],
        error: None,
        purpose: Purpose::Probe,
    };
    let blind = Record::Observed {
        change: "c001".into(),
        state: None,
        caveats: vec![],
        error: Some("denied".into()),
        purpose: Purpose::Before,
    };
    let sealed = || Record::Sealed {
        change: "c001".into(),
        file: "handover/r1/x.age".into(),
        sha256: "0".repeat(64),
        recipients: vec![],
        owner: "x".into(),
    };
    let other_plan = Record::Approved { digest: "d2".into(), by: "x".into(), how: Approval::Flag, overrides: vec![] };
    let done = || end(Outcome::Done);
    let stories: Vec<(Vec<Record>, Vec<Code>)> = vec![
        (vec![approved(), before(), say("i"), send("i"), proof(), done()], vec![]),
        (vec![approved(), before(), say("i"), send("i"), probe, done()], vec![]),
        (vec![approved(), before(), end(Outcome::Drifted)], vec![]),
        (vec![before(), say("i"), send("i"), proof(), done()], vec![Code::IntentWithoutApproval]),
        (vec![approved(), say("i"), send("i"), proof(), done()], vec![Code::IntentWithoutSnapshot]),
        (vec![approved(), blind, say("i"), send("i"), proof(), done()], vec![Code::IntentWithoutSnapshot]),
        (
            vec![approved(), before(), send("i"), proof(), done()],
            vec![Code::SentWithoutIntent, Code::DoneWithoutIntent],
        ),
        (vec![approved(), before(), say("i"), send("j"), proof(), done()], vec![Code::SentWithoutIntent]),
        (vec![approved(), before(), say("i"), send("i"), done()], vec![Code::DoneWithoutProof]),
        (
            vec![approved(), before(), say("i"), send("i"), proof(), say("j"), send("j"), done()],
            vec![Code::DoneWithoutProof],
        ),
        (vec![approved(), before(), say("i"), send("i")], vec![Code::ChangeNotEnded]),
        (
            vec![approved(), before(), secret_intent("c001", "i"), send("i"), sealed(), proof(), done()],
            vec![Code::SecretNotSealed],
        ),
        (vec![approved(), before(), sealed(), secret_intent("c001", "i"), send("i"), proof(), done()], vec![]),
        (vec![other_plan], vec![Code::ApprovalOfAnotherPlan]),
    ];
    for (n, (records, expected)) in stories.into_iter().enumerate() {
        assert_eq!(story(records).await, expected, "story {n}");
    }
}

#[tokio::test]
async fn a_plan_that_is_not_the_one_of_its_digest() {
    let plan = json!({"title": "Account takeover", "recipients": []});
    let digest = plan_digest(&plan);
    let approve =
        || Record::Approved { digest: digest.clone(), by: "x".into(), how: Approval::Flag, overrides: vec![] };
    let text = String::from_utf8(plan_file(&plan)).unwrap();
    let told = async |plan: &str, records| {
        let case = tempfile::tempdir().unwrap();
        tell(Bench::with_plan(case.path(), "r1", plan.as_bytes()), records).await
    };
    assert_eq!(told(&text, vec![approve()]).await, []);
    assert_eq!(told(&text.replace("takeover", "takeaway"), vec![approve()]).await, [Code::PlanEdited]);
    assert_eq!(told("{}", vec![]).await, [Code::PlanEdited]);

    // With nobody to seal it to, a new secret is discarded.
    let before = observed("c001", json!({}));
    let call = sent("c001", "i", SentOutcome::Accepted);
    let records = vec![approve(), before, secret_intent("c001", "i"), call, end(Outcome::Unverified)];
    assert_eq!(told(&text, records).await, []);
}

#[tokio::test]
async fn a_sealed_secret_that_was_exchanged_or_lies_elsewhere() {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    let run = bench.journal.run_dir().to_owned();
    fs::create_dir_all(case.path().join("handover/r1")).unwrap();
    fs::write(case.path().join("handover/r1/a.age"), "other").unwrap();
    for (file, sha256) in [("handover/r1/a.age", sha256_hex(b"a")), ("handover/../run.json", sha256_hex(b"a"))] {
        let sealed =
            Record::Sealed { change: "c001".into(), file: file.into(), sha256, recipients: vec![], owner: "x".into() };
        bench.add(sealed, vec![]).await;
    }
    let codes = codes(&run);
    assert_eq!(codes, [Code::HandoverEdited, Code::BadPath]);
    fs::remove_dir_all(case.path().join("handover")).unwrap();
    let verification = verify(&run);
    assert!(verification.findings.iter().any(|f| f.code == Code::HandoverGone));
}
