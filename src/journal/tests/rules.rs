//! Plans that are not the one of their digest. The rules of a run, each broken once, are in `matrix/stories`.

use serde_json::json;

use crate::{
    journal::{
        Approval, Closing, Record, SentOutcome,
        testing::{Bench, both, ended, observed, plan_digest, plan_file, secret_intent, sent, target},
        verify::Code,
    },
    model::Outcome,
};

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
async fn a_plan_that_is_not_the_one_of_its_digest() {
    let plan = json!({"title": "Account takeover", "recipients": []});
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
