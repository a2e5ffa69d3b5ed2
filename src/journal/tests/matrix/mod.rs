//! Every way of tampering with a record: each is done to an honest run, and must be found, by both verifiers, at the layer
//! that its row names. What each layer is, stands at `Layer`.

mod around;
mod files;
mod lines;
mod signatures;
mod stories;
mod thirteen;
mod victim;

use std::fs;

use self::victim::{Victim, forger};
use super::both::{Layer, both_given, first_layer, ours, python};
use crate::journal::{
    Verdict, Verification, verify,
    verify::{Code, Severity},
};

/// One attack.
#[derive(Clone)]
struct Row {
    attack: &'static str,
    /// Where it must be found first.
    layer: Layer,
    /// What must be among the findings.
    codes: &'static [Code],
    /// The run that it is done to.
    run: &'static str,
    /// What is said without anything noted.
    blind: Verdict,
    on: fn(&mut Victim),
}

/// An attack on the first run, which is seen in the folder alone, but where it takes an anchor.
fn row(attack: &'static str, layer: Layer, codes: &'static [Code], on: fn(&mut Victim)) -> Row {
    let blind = if layer >= Layer::Anchor { Verdict::Consistent } else { Verdict::Broken };
    Row { attack, layer, codes, run: "r1", blind, on }
}

impl Row {
    fn of(self, run: &'static str) -> Self {
        Self { run, ..self }
    }

    fn blind(self, blind: Verdict) -> Self {
        Self { blind, ..self }
    }

    /// What is wrong with how the attack was found; nothing where all is as the row says.
    fn fault(&self) -> Option<String> {
        let mut victim = Victim::new(self.run);
        (self.on)(&mut victim);
        let blind = both_given(&victim.run, &[]);
        let noted = [victim.key.clone(), victim.root.clone()];
        let known =
            if blind.verdict == Verdict::Broken { ours(&victim.run, &noted) } else { both_given(&victim.run, &noted) };
        let wanted = if self.layer == Layer::Told { Verdict::Authentic } else { Verdict::Broken };
        let found = found(&known);
        let first = first_layer(&known);
        let holds = (blind.verdict, known.verdict) == (self.blind, wanted)
            && first.unwrap_or(Layer::Told) == self.layer
            && self.codes.iter().all(|code| found.iter().any(|(other, _)| other == code));
        (!holds).then(|| {
            let (blind, known) = (blind.verdict, known.verdict);
            format!("{}: {blind} without and {known} with the anchor, first at {first:?}: {found:?}", self.attack)
        })
    }
}

fn found(verification: &Verification) -> Vec<(Code, Severity)> {
    verification.findings.iter().map(|finding| (finding.code, finding.severity)).collect()
}

/// Holds each attack to its row.
fn hold(rows: &[Row]) {
    let faults: Vec<String> = rows.iter().filter_map(Row::fault).collect();
    assert!(faults.is_empty(), "{} of {} rows:\n{}", faults.len(), rows.len(), faults.join("\n"));
}

#[test]
fn an_honest_run_is_authentic_under_what_was_noted_of_it_and_consistent_without() {
    for run in ["r1", "r2", "r3"] {
        let victim = Victim::new(run);
        assert_eq!(both_given(&victim.run, &[]).verdict, Verdict::Consistent, "{run}");
        let other = Victim::new(if run == "r1" { "r2" } else { "r1" });
        for noted in [vec![victim.key.clone()], vec![victim.root.clone()], vec![other.key.clone(), victim.key.clone()]]
        {
            let verification = both_given(&victim.run, &noted);
            assert_eq!(verification.verdict, Verdict::Authentic, "{run} {noted:?} {verification:#?}");
        }
        for foreign in [other.key, other.root] {
            assert_eq!(both_given(&victim.run, &[foreign]).verdict, Verdict::Broken, "{run}");
        }
    }
}

/// The limit of each thing that can be noted: the key does not cover what it signs anew itself, the root does; the root
/// of the beginning covers the beginning.
#[test]
fn a_stolen_key_is_seen_under_the_root_alone_and_a_first_root_covers_little() {
    let mut victim = Victim::new("r1");
    victim.signed_by(&forger());
    let authentic = both_given(&victim.run, &[victim.key.clone(), victim.root.clone()]);
    assert_eq!(authentic.verdict, Verdict::Authentic, "{authentic:#?}");
    victim.edit_line(1, r#""by":"ilse""#, r#""by":"otto""#);
    victim.forge(&forger());
    assert_eq!(both_given(&victim.run, &[victim.key.clone()]).verdict, Verdict::Authentic);
    assert_eq!(both_given(&victim.run, &[victim.root.clone()]).verdict, Verdict::Broken);

    let victim = Victim::new("r1");
    let note = fs::read_to_string(victim.path("checkpoints/000001.note")).unwrap();
    let first = note.lines().nth(2).unwrap().to_owned();
    let verification = both_given(&victim.run, &[first]);
    assert_eq!(verification.verdict, Verdict::Consistent);
    assert!(verification.findings.iter().any(|finding| finding.code == Code::RootOfFirstLines));
}

#[test]
fn what_is_neither_a_key_nor_a_root_is_refused() {
    let victim = Victim::new("r1");
    for mistyped in [&victim.root[1..], &victim.key[1..], "x"] {
        let refused = python(&victim.run, &[mistyped.to_owned()]).is_none_or(|(_, code)| code == 2);
        assert!(refused, "{mistyped}");
    }
}

#[test]
fn a_folder_that_is_no_run_is_broken_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    let codes = |verification: Verification| -> Vec<Code> {
        assert_eq!(verification.verdict, Verdict::Broken);
        verification.problems().map(|finding| finding.code).collect()
    };
    assert!(codes(verify(dir.path())).contains(&Code::UnreadableFile));
    assert!(codes(verify(&dir.path().join("nowhere"))).contains(&Code::UnreadableFile));
    fs::write(dir.path().join("journal.jsonl"), "\n\n").unwrap();
    assert!(codes(verify(dir.path())).contains(&Code::BadLine));
}
