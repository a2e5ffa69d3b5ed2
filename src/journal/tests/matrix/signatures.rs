//! Signatures that are missing, moved, or another's.

use std::fs;

use super::{Layer, Row, hold, row, victim::forger};
use crate::journal::{
    Verdict,
    checkpoint::{self, Checkpoint},
    note,
    verify::Code,
};

fn stripped() -> Vec<Row> {
    vec![
        row("the seal removed", Layer::Seal, &[Code::SealMissing], |victim| victim.remove("seal.note")),
        row("the first checkpoint removed", Layer::Close, &[Code::CheckpointMissing], |victim| {
            victim.remove("checkpoints/000001.note");
        }),
        row("a checkpoint removed, all digests anew", Layer::Seal, &[Code::CheckpointMissing], |victim| {
            victim.remove("checkpoints/000002.note");
            victim.rehash();
        }),
        row("the checkpoint before the first intent removed", Layer::Seal, &[Code::CheckpointMissing], |victim| {
            victim.remove("checkpoints/000004.note");
            victim.forge_own();
        }),
        row("all signatures removed", Layer::Close, &[Code::SealMissing, Code::CheckpointMissing], |victim| {
            victim.remove("seal.note");
            fs::remove_dir_all(victim.path("checkpoints")).unwrap();
            fs::create_dir(victim.path("checkpoints")).unwrap();
        }),
    ]
}

/// What may be added to a closed run.
#[cfg(feature = "timestamp")]
fn attached() -> Vec<Row> {
    const STAMP: &[u8] = include_bytes!("../../../../tests/fixtures/seal/ec.tsr");
    vec![
        row("the time stamp of another seal", Layer::Anchor, &[Code::StampBad], |victim| {
            fs::write(victim.path("seal.tsr"), STAMP).unwrap();
        })
        .blind(Verdict::Broken),
        row("a time stamp of a run that is not closed", Layer::Files, &[Code::UnlistedFile], |victim| {
            victim.edit(|lines| drop(lines.pop()));
            fs::write(victim.path("seal.tsr"), STAMP).unwrap();
        }),
        row("a signature of a run that is not closed", Layer::Files, &[Code::UnlistedFile], |victim| {
            victim.edit(|lines| drop(lines.pop()));
            fs::write(victim.path("seal.sig"), "x").unwrap();
        }),
    ]
}

fn exchanged() -> Vec<Row> {
    vec![
        row("a checkpoint under another number", Layer::Close, &[Code::BadNote], |victim| {
            fs::copy(victim.path("checkpoints/000002.note"), victim.path("checkpoints/000004.note")).unwrap();
        }),
        row("the seal of another run", Layer::Seal, &[Code::WrongOrigin, Code::BadSignature], |victim| {
            fs::copy(victim.run.with_file_name("r2").join("seal.note"), victim.path("seal.note")).unwrap();
        }),
        row("the seal under another origin", Layer::Seal, &[Code::WrongOrigin, Code::BadSignature], |victim| {
            victim.edit_file("seal.note", "run/r1", "run/r2");
        }),
        row("the seal is no note", Layer::Seal, &[Code::BadNote], |victim| {
            fs::write(victim.path("seal.note"), "signed, really\n").unwrap();
        }),
        row("a seal signed by a key that the run never had", Layer::Seal, &[Code::BadSignature], |victim| {
            let seal = fs::read_to_string(victim.path("seal.note")).unwrap();
            let (checkpoint, _) = Checkpoint::of_note(&seal).unwrap();
            let seal = note::sign(&checkpoint.text(), &checkpoint.origin, &forger());
            fs::write(victim.path("seal.note"), seal).unwrap();
        }),
        row("a key of another case", Layer::Seal, &[Code::WrongOrigin], |victim| {
            victim.forge_own();
            let origin = checkpoint::origin("ir-8", "r1");
            let vkey = crate::journal::Vkey::new(&origin, forger().verifying_key()).to_string();
            victim.edit_json(0, |line| line["record"]["vkey"] = vkey.into());
            victim.rehash();
        }),
        row("one key signs two histories", Layer::Close, &[Code::Equivocation], |victim| {
            victim.signed_by(&forger());
            let (origin, size) = (checkpoint::origin("ir-7", "r1"), victim.lines().len() as u64);
            let other = Checkpoint { origin: origin.clone(), size, root: [7; 32] };
            let note = note::sign(&other.text(), &origin, &forger());
            fs::write(victim.path(&checkpoint::path(size)), note).unwrap();
        }),
    ]
}

#[test]
fn signatures_that_are_gone() {
    hold(&stripped());
}

#[cfg(feature = "timestamp")]
#[test]
fn what_others_put_to_the_seal() {
    hold(&attached());
}

#[test]
fn signatures_of_something_else() {
    hold(&exchanged());
}
