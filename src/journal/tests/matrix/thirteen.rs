//! The thirteen attacks that every design of a tamper-evident record is measured by, from an edit without any care to a
//! record that is signed anew with the run's own key.

use std::fs;

use serde_json::{Value, json};

use super::{Layer, Row, hold, row, victim::forger};
use crate::journal::verify::Code;

fn edits() -> Vec<Row> {
    vec![
        row("1 edit a line, no new digests", Layer::Chain, &[Code::BrokenChain], |victim| {
            victim.edit_line(1, "ilse", "otto");
        }),
        row("2 edit a line, all digests anew", Layer::Seal, &[Code::CheckpointMismatch], |victim| {
            victim.edit_line(1, "ilse", "otto");
            victim.rehash();
        }),
        row("3 delete a line and its evidence, all digests anew", Layer::Seal, &[Code::CheckpointMismatch], |victim| {
            victim.edit(|lines| drop(lines.remove(5)));
            victim.remove("evidence/000005-0-patch-users.head");
            victim.remove("evidence/000005-0-patch-users.body");
            victim.renumber();
            victim.rehash();
        }),
        row("4 insert a line, all digests anew", Layer::Seal, &[Code::CheckpointMismatch], |victim| {
            victim.edit(|lines| lines.insert(3, lines[2].replace(r#""stage":"cut""#, r#""stage":"more""#)));
            victim.renumber();
            victim.rehash();
        }),
        row("5 reorder lines, all digests anew", Layer::Seal, &[Code::CheckpointMismatch], |victim| {
            let lines: Vec<Value> = victim.lines().iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            for (to, from) in [(5, 6), (6, 5)] {
                victim.edit_json(to, |line| {
                    line["record"] = lines[from]["record"].clone();
                    line["ev"] = lines[from]["ev"].clone();
                });
            }
            victim.renumber();
            victim.rehash();
        }),
    ]
}

fn cuts_and_files() -> Vec<Row> {
    vec![
        row("6 cut off the end with its files", Layer::Close, &[Code::ManifestMismatch], |victim| victim.cut(8)),
        row("7 cut off the end and forge the close", Layer::Seal, &[Code::CheckpointMismatch], |victim| {
            let close = victim.lines().pop().unwrap().replace(r#"{"done":2}"#, r#"{"done":1}"#);
            victim.cut(8);
            victim.edit(|lines| lines.push(close.replace(r#""seq":14"#, r#""seq":8"#)));
            victim.rehash();
        }),
        row("8 replace the bytes of a snapshot", Layer::Files, &[Code::EvidenceEdited], |victim| {
            victim.edit_file("evidence/000003-0-get-users.body", "true", "null");
        }),
        row("9 swap two snapshots", Layer::Files, &[Code::EvidenceEdited, Code::EvidenceSwapped], |victim| {
            for part in ["head", "body"] {
                let name = |seq: u32| format!("evidence/{seq:06}-0-get-users.{part}");
                victim.swap(&name(3), &name(6));
            }
        }),
        row("10 plant a file", Layer::Files, &[Code::UnlistedFile], |victim| {
            fs::write(victim.path("evidence/000003-1-get-users.body"), "x").unwrap();
        }),
        row("11 present another run as this one", Layer::Chain, &[Code::WrongRun], |victim| {
            let other = victim.run.with_file_name("r2").join("journal.jsonl");
            fs::copy(other, victim.path("journal.jsonl")).unwrap();
        }),
    ]
}

fn signed_anew() -> Vec<Row> {
    vec![
        row("12 edit, all digests anew, strip the signatures", Layer::Seal, &[Code::SealMissing], |victim| {
            victim.edit_line(1, "ilse", "otto");
            victim.remove("seal.note");
            fs::remove_dir_all(victim.path("checkpoints")).unwrap();
            fs::create_dir(victim.path("checkpoints")).unwrap();
            victim.rehash();
        }),
        row("12b edit, all digests anew, signed by a key of their own", Layer::Anchor, &[Code::WrongKey], |victim| {
            victim.edit_line(1, "ilse", "otto");
            victim.forge_own();
        }),
        row("13 edit, all digests anew, signed by the run's own key", Layer::Anchor, &[Code::RootMismatch], |victim| {
            victim.signed_by(&forger());
            victim.edit_json(1, |line| line["record"]["by"] = json!("otto"));
            victim.forge(&forger());
        }),
    ]
}

#[test]
fn the_thirteen_are_each_found_where_they_must_be() {
    let rows = [edits(), cuts_and_files(), signed_anew()].concat();
    assert_eq!(rows.len(), 14);
    hold(&rows);
}
