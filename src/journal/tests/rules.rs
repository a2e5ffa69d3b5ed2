//! Plans that are not the one of their digest, and a run that left something. The rules of a run, each broken once, are
//! in `matrix/stories`.

use serde_json::json;

use super::both::both;
use crate::{
    journal::{
        Approval, Closing, Journal, Record, SentOutcome,
        testing::{
            Bench, approved, behind, ended, intent, noon, observed, plan_digest, plan_file, plan_for, secret_intent,
            sent, target, verified,
        },
        verify::{Code, Verdict},
    },
    model::{ManualClock, Outcome},
};

async fn tell(bench: Bench, records: Vec<Record>) -> Vec<Code> {
    for record in records {
        bench.tell(record).await;
    }
    let run = bench.journal.run_dir().to_owned();
    bench.journal.close(Closing::default()).await.unwrap();
    both(&run, &[]).problems().map(|finding| finding.code).collect()
}

fn end(outcome: Outcome) -> Record {
    ended("c001", outcome, target("user", "u1", "x"), [None, None])
}

#[tokio::test]
async fn a_plan_that_is_not_the_one_of_its_digest() {
    let plan = plan_for(&[]);
    let digest = plan_digest(&plan);
    let approve = || Record::Approved {
        digest: digest.clone(),
        by: "x".into(),
        how: Approval::Flag,
        overrides: vec![],
        unseen: vec![],
    };
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
async fn a_change_that_was_left_is_open_and_can_be_made_anew() {
    let case = tempfile::tempdir().unwrap();
    let bench = Bench::new(case.path(), "r1");
    let run = bench.journal.run_dir().to_owned();
    let off = json!({"accountEnabled": false});
    let calls =
        |id: &str, outcome| [observed("c001", json!({})), intent("c001", id, off.clone()), sent("c001", id, outcome)];
    let interrupted = Record::Interrupted { reason: "not made for now: c001; resume goes on from here".into() };
    for record in [approved()].into_iter().chain(calls("i", SentOutcome::NotSent)).chain([interrupted]) {
        bench.tell(record).await;
    }
    drop(bench);
    let told = both(&run, &[]);
    assert_eq!((told.verdict, told.problems().count()), (Verdict::Open, 0), "{told:#?}");

    let (journal, history) = Journal::reopen(&run, ManualClock::at(noon())).unwrap();
    let (records, torn, continues) = (history.lines.len() as u64, history.torn, history.continues);
    let resumed = Record::Resumed { records, torn, by: "ilse".into(), identity: None, continues };
    let made = calls("j", SentOutcome::Accepted).into_iter().chain([verified("c001", json!({})), end(Outcome::Done)]);
    for record in [resumed].into_iter().chain(made) {
        let exchanges = behind(&record);
        journal.append(record, exchanges).await.unwrap();
    }
    journal.close(Closing::default()).await.unwrap();
    let told = both(&run, &[]);
    assert_eq!((told.verdict, told.problems().count()), (Verdict::Consistent, 0), "{told:#?}");
}
