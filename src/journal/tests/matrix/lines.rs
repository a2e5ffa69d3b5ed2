//! Lines that are edited, moved, or of no known kind, by somebody who makes everything else anew and signs it.

use std::fs;

use super::{Layer, Row, hold, row};
use crate::journal::{Verdict, verify::Code};

fn form() -> Vec<Row> {
    vec![
        row("a key twice in a line", Layer::Form, &[Code::DuplicateKey], |victim| {
            victim.edit_line(2, r#""stage":"cut""#, r#""stage":"cut","stage":"x""#);
            victim.forge_own();
        }),
        row("a type twice in a line", Layer::Form, &[Code::DuplicateKey], |victim| {
            victim.edit_line(5, r#""type":"sent""#, r#""type":"sent","type":"ended""#);
            victim.forge_own();
        }),
        row("a key twice in evidence", Layer::Files, &[Code::EvidenceSwapped], |victim| {
            victim.edit_head(3, |head| head.replacen('{', r#"{"attempt": 1,"#, 1));
            victim.forge_own();
        }),
        row("a kind of line that nobody knows", Layer::Form, &[Code::UnknownRecord], |victim| {
            victim.edit_line(2, r#""type":"stage-started""#, r#""type":"stage-imagined""#);
            victim.forge_own();
        }),
        row("a line with a field too many", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_line(4, r#""call":0"#, r#""call":0,"extra":1"#);
            victim.forge_own();
        }),
        row("a line that is no JSON and clears the screen", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit(|lines| lines[6] = "\u{1b}[2J".to_owned());
            victim.forge_own();
        }),
        row("an empty line", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit(|lines| lines.insert(6, String::new()));
            victim.forge_own();
        }),
    ]
}

/// What one reader may take for well-formed and another not.
fn odd_form() -> Vec<Row> {
    vec![
        row("a line with a field beside its record", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_json(4, |line| line["extra"] = 1.into());
            victim.forge_own();
        }),
        row("a line that lacks a field", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_json(4, |line| drop(line.as_object_mut().unwrap().remove("mono_ms")));
            victim.forge_own();
        }),
        row("a line as a list of its fields", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_json(4, |line| {
                *line = line.as_object().unwrap().values().cloned().collect::<Vec<_>>().into();
            });
            victim.forge_own();
        }),
        row("a word as an object", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_line(3, r#""purpose":"before""#, r#""purpose":{"before":null}"#);
            victim.forge_own();
        }),
        row("a time that is none", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_json(4, |line| line["t"] = "yesterday".into());
            victim.forge_own();
        }),
        row("a time of another zone", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_json(4, |line| line["t"] = "2023-12-12T13:00:04+01:00".into());
            victim.forge_own();
        }),
        row("a number with a fraction", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_line(5, r#""seq":5"#, r#""seq":5.0"#);
            victim.forge_own();
        }),
        row("a number that is none", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_line(3, r#""accountEnabled":true"#, r#""accountEnabled":NaN"#);
            victim.forge_own();
        }),
        row("half a character", Layer::Form, &[Code::BadLine], |victim| {
            victim.edit_line(1, "ilse", r"\ud800");
            victim.forge_own();
        }),
        row("a header with a field too many", Layer::Form, &[Code::BadHeader], |victim| {
            victim.edit_header(|header| header["extra"] = 1.into());
            victim.forge_own();
        }),
        row("a header of another version", Layer::Form, &[Code::UnknownVersion], |victim| {
            victim.edit_header(|header| {
                header["format"] = "staunch.run/v9".into();
                header["extra"] = 1.into();
            });
            victim.forge_own();
        }),
        row("a journal of another version", Layer::Form, &[Code::UnknownVersion], |victim| {
            victim.edit_json(0, |line| line["record"]["format"] = "staunch.journal/v9".into());
            victim.forge_own();
        }),
    ]
}

fn places() -> Vec<Row> {
    vec![
        row("delete a line", Layer::Chain, &[Code::BrokenChain, Code::WrongSeq], |victim| {
            victim.edit(|lines| drop(lines.remove(4)));
        }),
        row("copy a line", Layer::Chain, &[Code::BrokenChain], |victim| {
            victim.edit(|lines| lines.insert(4, lines[3].clone()));
        }),
        row("swap two lines", Layer::Chain, &[Code::BrokenChain], |victim| victim.edit(|lines| lines.swap(5, 6))),
        row("delete the first line", Layer::Chain, &[Code::NotOpened], |victim| {
            victim.edit(|lines| drop(lines.remove(0)));
        }),
        row("open the run twice", Layer::Chain, &[Code::NotOpened], |victim| {
            victim.edit(|lines| lines[2] = lines[0].replace(r#""seq":0"#, r#""seq":2"#));
            victim.renumber();
            victim.rehash();
        }),
        row("a line behind the last", Layer::Chain, &[Code::AfterClosed], |victim| {
            victim.edit(|lines| lines.push(lines[13].clone()));
        }),
        row("half a line behind the last", Layer::Chain, &[Code::AfterClosed], |victim| {
            let text = fs::read_to_string(victim.path("journal.jsonl")).unwrap();
            fs::write(victim.path("journal.jsonl"), text + "{").unwrap();
        }),
        row("a number that is not that of the place", Layer::Chain, &[Code::WrongSeq], |victim| {
            victim.edit_line(2, r#""seq":2"#, r#""seq":3"#);
            victim.forge_own();
        }),
        row("a line of another run", Layer::Chain, &[Code::WrongRun], |victim| {
            victim.edit_line(4, r#""run":"r1""#, r#""run":"r2""#);
            victim.forge_own();
        }),
        row("the last line edited, which no other line covers", Layer::Close, &[Code::DigestMismatch], |victim| {
            victim.edit_line(14, r#""contained_ms":7000"#, r#""contained_ms":9000"#);
        }),
    ]
}

fn clocks_and_ends() -> Vec<Row> {
    vec![
        row("monotonic time runs backwards", Layer::Chain, &[Code::MonoBackwards], |victim| {
            victim.edit_line(6, r#""mono_ms":6000"#, r#""mono_ms":600"#);
            victim.forge_own();
        }),
        row("the wall clock runs backwards, as it may", Layer::Anchor, &[Code::WallClockBackwards], |victim| {
            victim.edit_line(6, "T12:00:06Z", "T11:00:06Z");
            victim.forge_own();
        }),
        row("the wall clock was set back in an honest run", Layer::Told, &[Code::WallClockBackwards], |victim| {
            victim.edit_line(6, "T12:00:06Z", "T11:00:06Z");
            victim.signed_by(&super::forger());
        }),
        row("cut back to a crash, with all that tells of more", Layer::Anchor, &[Code::RootMismatch], |victim| {
            victim.edit(|lines| lines.truncate(8));
            let more = ["manifest.json", "journal.sha256", "seal.note", "checkpoints/000014.note"];
            more.iter().for_each(|name| victim.remove(name));
        })
        .blind(Verdict::Open),
        row("cut within a line, with all that tells of more", Layer::Anchor, &[Code::TornTail], |victim| {
            let text = fs::read_to_string(victim.path("journal.jsonl")).unwrap();
            let whole: usize = text.lines().take(8).map(|line| line.len() + 1).sum();
            fs::write(victim.path("journal.jsonl"), &text[..whole + 20]).unwrap();
            let more = ["manifest.json", "journal.sha256", "seal.note", "checkpoints/000014.note"];
            more.iter().for_each(|name| victim.remove(name));
        })
        .blind(Verdict::TornTail),
        row("cut off the end, seal and manifest left", Layer::Close, &[Code::ManifestMismatch], |victim| {
            victim.edit(|lines| lines.truncate(8));
        }),
        row("cut off the end, the seal alone left", Layer::Seal, &[Code::CheckpointMismatch], |victim| {
            victim.edit(|lines| lines.truncate(8));
            let more = ["manifest.json", "journal.sha256", "checkpoints/000014.note"];
            more.iter().for_each(|name| victim.remove(name));
        }),
        row("only the last line cut off, as a crash could", Layer::Anchor, &[Code::RootMismatch], |victim| {
            victim.edit(|lines| drop(lines.pop()));
        })
        .blind(Verdict::Open),
    ]
}

/// What a crash could leave too, and what takes another key.
fn cuts_in_disguise() -> Vec<Row> {
    vec![
        row("the last line cut off, and half of the manifest", Layer::Anchor, &[Code::RootMismatch], |victim| {
            victim.edit(|lines| drop(lines.pop()));
            let manifest = fs::read(victim.path("manifest.json")).unwrap();
            fs::write(victim.path("manifest.json"), &manifest[..manifest.len() / 2]).unwrap();
            ["journal.sha256", "seal.note"].iter().for_each(|name| victim.remove(name));
        })
        .blind(Verdict::Open),
        row("all lines cut off, with all that tells of them", Layer::Anchor, &[Code::RootMismatch], |victim| {
            victim.cut(0);
            ["manifest.json", "journal.sha256", "seal.note"].iter().for_each(|name| victim.remove(name));
        })
        .blind(Verdict::Open),
        row("all but half of the first line cut off", Layer::Anchor, &[Code::RootMismatch], |victim| {
            let first = victim.lines()[0].clone();
            victim.cut(0);
            fs::write(victim.path("journal.jsonl"), &first[..50]).unwrap();
            ["manifest.json", "journal.sha256", "seal.note"].iter().for_each(|name| victim.remove(name));
        })
        .blind(Verdict::TornTail),
        row("cut off the end, and gone on with by a key of their own", Layer::Anchor, &[Code::WrongKey], |victim| {
            victim.edit_line(14, r#""done":2"#, r#""done":1"#);
            victim.continue_as(&super::forger(), 8);
        }),
        row("cut off the end, and gone on with by the same key", Layer::Seal, &[Code::KeyReused], |victim| {
            victim.signed_by(&super::forger());
            victim.edit_line(14, r#""done":2"#, r#""done":1"#);
            victim.continue_as(&super::forger(), 8);
        }),
    ]
}

fn taken_up_again() -> Vec<Row> {
    let rows = vec![
        row("a later process counts other lines", Layer::Chain, &[Code::ResumeMismatch], |victim| {
            victim.edit_json(14, |line| line["record"]["records"] = 13.into());
            victim.rehash();
        }),
        row("a later process continues other lines", Layer::Chain, &[Code::ResumeMismatch], |victim| {
            victim.edit_json(14, |line| {
                line["record"]["continues"]["root"] = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=".into();
            });
            victim.rehash();
        }),
        row("a later process says nothing of the one before", Layer::Chain, &[Code::ResumeMismatch], |victim| {
            victim.edit_json(14, |line| line["record"]["continues"] = serde_json::Value::Null);
            victim.rehash();
        }),
        row("a later process keeps the key of the one before", Layer::Seal, &[Code::BadSignature], |victim| {
            let first = victim.lines()[0].clone();
            let first: serde_json::Value = serde_json::from_str(&first).unwrap();
            victim.edit_json(14, |line| line["record"]["continues"]["vkey"] = first["record"]["vkey"].clone());
            victim.rehash();
        }),
        row("the old key's note exchanged in the later line", Layer::Seal, &[Code::CheckpointMismatch], |victim| {
            let other = fs::read_to_string(victim.run.with_file_name("r1").join("checkpoints/000014.note")).unwrap();
            victim.edit_json(14, |line| line["record"]["continues"]["note"] = other.into());
            victim.rehash();
        }),
        row("what a crash left was edited", Layer::Files, &[Code::EvidenceEdited], |victim| {
            fs::write(victim.path("journal.torn"), "another half").unwrap();
        }),
        row("what a crash left has a name elsewhere", Layer::Files, &[Code::BadPath], |victim| {
            victim.edit_json(14, |line| line["record"]["torn"]["kept"][0]["path"] = "../../x.torn".into());
            victim.rehash();
        }),
        row("lines edited from before the crash", Layer::Chain, &[Code::ResumeMismatch], |victim| {
            victim.edit_line(1, "ilse", "otto");
            victim.rehash();
        }),
    ];
    rows.into_iter().map(|row| row.of("r3")).collect()
}

#[test]
fn lines_that_are_no_lines() {
    hold(&form());
    hold(&odd_form());
}

#[test]
fn lines_out_of_their_place() {
    hold(&places());
}

#[test]
fn clocks_that_run_backwards_and_ends_that_are_gone() {
    hold(&clocks_and_ends());
    hold(&cuts_in_disguise());
}

#[test]
fn what_a_later_process_says_of_the_one_before() {
    hold(&taken_up_again());
}
