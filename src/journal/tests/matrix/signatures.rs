//! Signatures that are missing, moved, or another's.

use std::fs;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::VerifyingKey;

use super::{Layer, Row, hold, row, victim::forger};
use crate::journal::{
    Verdict, Vkey,
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

/// Notes that one reader may take for the same note and another not.
fn malleable() -> Vec<Row> {
    fn seal(victim: &super::Victim, edit: impl FnOnce(&str) -> String) {
        let seal = fs::read_to_string(victim.path("seal.note")).unwrap();
        fs::write(victim.path("seal.note"), edit(&seal)).unwrap();
    }
    vec![
        row("a line at the seal that is no signature", Layer::Seal, &[Code::BadNote], |victim| {
            seal(victim, |note| format!("{note}garbage\n"));
        }),
        row("the seal without its last newline", Layer::Seal, &[Code::BadNote], |victim| {
            seal(victim, |note| note.trim_end().to_owned());
        }),
        row("the seal with another newline", Layer::Seal, &[Code::BadNote], |victim| {
            seal(victim, |note| note.trim_end().to_owned() + "\r\n");
        }),
        row("the seal in other Base64 of the same bytes", Layer::Seal, &[Code::BadNote], |victim| {
            seal(victim, |note| {
                // The last two bits before the padding belong to no byte.
                let at = note.rfind('=').unwrap() - 1;
                let other = char::from(note.as_bytes()[at] + 1);
                format!("{}{other}{}", &note[..at], &note[at + 1..])
            });
        }),
        row("the signature of somebody else at the seal, which may stand there", Layer::Told, &[], |victim| {
            seal(victim, |note| format!("{note}\u{2014} witness AAAAAAAA\n"));
        }),
        row("signed by a key of which anybody can make signatures", Layer::Seal, &[Code::BadSignature], |victim| {
            let mut neutral = [0; 32];
            neutral[0] = 1;
            let origin = victim.origin();
            let vkey = Vkey::new(&origin, VerifyingKey::from_bytes(&neutral).unwrap()).to_string();
            let id = u32::from_str_radix(vkey.split('+').nth(1).unwrap(), 16).unwrap().to_be_bytes();
            let signature = BASE64_STANDARD.encode([id.as_slice(), &neutral, &[0; 32]].concat());
            victim.forge_with(&vkey, |text| format!("{text}\n\u{2014} {origin} {signature}\n"));
        }),
        row("a signature of a person that is none", Layer::Anchor, &[Code::SignatureBad], |victim| {
            fs::write(victim.path("seal.sig"), "x").unwrap();
        })
        .blind(Verdict::Broken),
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
            let vkey = Vkey::new(&origin, forger().verifying_key()).to_string();
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
fn signatures_in_another_form() {
    hold(&malleable());
}

#[test]
fn signatures_of_something_else() {
    hold(&exchanged());
}
