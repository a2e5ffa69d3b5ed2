//! The commands of `docs/evidence-format.md`, run as they stand there: a stranger needs nothing of ours.

use std::{fs, path::Path, process::Command};

use crate::journal::testing::small;

const PAGE: &str = include_str!("../../../docs/evidence-format.md");

/// What the page's commands print in a run's folder, without the digests that they print to be compared.
fn check(run: &Path) -> String {
    let script = PAGE.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let output = Command::new("sh").args(["-c", script]).current_dir(run).output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    let found =
        |line: &&str| ["FAILED", "does not follow", "not listed", "No such"].iter().any(|say| line.contains(say));
    assert!(text.contains("head "), "{text}");
    text.lines().filter(found).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn the_commands_of_the_page_find_nothing_in_an_honest_run_and_something_in_others() {
    let case = tempfile::tempdir().unwrap();
    let run = small(case.path(), "r1").await.close().await;
    assert_eq!(check(&run), "");

    let journal = run.join("journal.jsonl");
    let honest = fs::read_to_string(&journal).unwrap();
    fs::write(&journal, honest.replace("\"by\":\"ilse\"", "\"by\":\"otto\"")).unwrap();
    let found = check(&run);
    assert!(found.contains("journal.jsonl: FAILED") && found.contains("does not follow"), "{found}");
    fs::write(&journal, &honest).unwrap();

    let body = run.join("evidence/000003-0-get-users.body");
    fs::remove_file(&body).unwrap();
    fs::write(body, "x").unwrap();
    fs::write(run.join("planted"), "x").unwrap();
    let found = check(&run);
    assert!(found.contains("000003-0-get-users.body: FAILED"), "{found}");
    assert!(found.contains("not listed: planted"), "{found}");
}
