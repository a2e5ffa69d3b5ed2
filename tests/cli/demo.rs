//! The demo: the README's first command.

use crate::lab::Lab;

#[test]
fn the_demo_contains_the_incident_and_its_record_verifies() {
    let lab = Lab::aitm();
    let demo = lab.staunch(&["demo"]);
    assert_eq!(demo.code, Some(0), "{}", demo.text());
    for rogue in lab.planted() {
        assert!(demo.stdout.contains(&rogue.id), "the report lacks {rogue:?}:\n{}", demo.stdout);
    }
    assert!(demo.stderr.contains("audit verify: authentic"), "{}", demo.stderr);
    let line =
        demo.stderr.lines().find_map(|line| line.trim().strip_prefix("staunch audit verify ")).expect("the line");
    let args: Vec<&str> = ["audit", "verify"].into_iter().chain(line.split(' ')).collect();
    let verified = lab.staunch(&args);
    assert!(verified.stdout.starts_with("authentic"), "{}", verified.text());
    assert_eq!(verified.code, Some(0));
}

#[test]
fn the_demo_undone_leaves_only_what_cannot_be_undone() {
    let lab = Lab::aitm();
    let demo = lab.staunch(&["demo", "--undo"]);
    assert_eq!(demo.code, Some(0), "{}", demo.text());
    let left = demo.stderr.split("shows as changed after the undo").nth(1).expect("the demo says what is left");
    let left: Vec<&str> = left.lines().skip(1).filter(|line| line.contains('→')).collect();
    assert!(!left.is_empty());
    for line in left {
        let irreversible = ["signInSessionsValidFromDateTime", "lastPasswordChangeDateTime", "password", "methods"];
        assert!(irreversible.iter().any(|name| line.contains(name)), "{line}");
    }
}
