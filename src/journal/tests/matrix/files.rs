//! Files that are edited, exchanged, planted, removed, or elsewhere.

use std::fs;

use super::{Layer, Row, hold, row};
use crate::journal::{testing::READS, verify::Code};

const BODY: &str = "evidence/000003-0-get-users.body";

fn evidence() -> Vec<Row> {
    vec![
        row("evidence removed", Layer::Files, &[Code::EvidenceMissing], |victim| victim.remove(BODY)),
        row("evidence made longer", Layer::Files, &[Code::EvidenceEdited], |victim| {
            let text = fs::read_to_string(victim.path(BODY)).unwrap();
            fs::write(victim.path(BODY), text + " ").unwrap();
        }),
        row("evidence edited, all digests anew", Layer::Seal, &[Code::CheckpointMismatch], |victim| {
            victim.edit_file(BODY, "true", "null");
            let bytes = fs::read(victim.path(BODY)).unwrap();
            victim.edit_json(3, |line| line["ev"][0]["body"]["sha256"] = crate::journal::sha256_hex(&bytes).into());
            victim.rehash();
        }),
        row("evidence of another request under this line", Layer::Files, &[Code::EvidenceSwapped], |victim| {
            victim.edit_line(3, r#""client_request_id":"c001-before""#, r#""client_request_id":"c001-after""#);
            victim.forge_own();
        }),
        row("one exchange claimed by two lines", Layer::Files, &[Code::BadPath, Code::UnlistedFile], |victim| {
            let three: serde_json::Value = serde_json::from_str(&victim.lines()[3]).unwrap();
            victim.edit_json(6, |line| line["ev"] = three["ev"].clone());
            victim.forge_own();
        }),
        row("the head named as the body", Layer::Files, &[Code::BadPath], |victim| {
            victim.edit_json(3, |line| line["ev"][0]["body"] = line["ev"][0]["head"].clone());
            victim.forge_own();
        }),
        row("the head of evidence is no JSON", Layer::Files, &[Code::EvidenceSwapped], |victim| {
            victim.edit_head(3, |_| "{".to_owned());
            victim.forge_own();
        }),
        row("the head of evidence names its request and no more", Layer::Files, &[Code::EvidenceSwapped], |victim| {
            victim.edit_head(3, |_| r#"{"client_request_id": "c001-before"}"#.to_owned());
            victim.forge_own();
        }),
    ]
}

fn planted() -> Vec<Row> {
    vec![
        row("a file planted beside the journal", Layer::Files, &[Code::UnlistedFile], |victim| {
            fs::write(victim.path("extra.txt"), "x").unwrap();
        }),
        row("a file planted as left by a crash", Layer::Files, &[Code::UnlistedFile], |victim| {
            fs::write(victim.path("evidence/x.torn"), "x").unwrap();
        }),
        row("a file planted, all digests anew", Layer::Files, &[Code::UnlistedFile], |victim| {
            fs::write(victim.path("extra.txt"), "x").unwrap();
            victim.forge_own();
        }),
        row("a folder planted", Layer::Files, &[Code::UnlistedFile], |victim| {
            fs::create_dir(victim.path("more")).unwrap();
        }),
        row("a file named as the folder of what is derived", Layer::Files, &[Code::UnlistedFile], |victim| {
            fs::write(victim.path("derived"), "x").unwrap();
            victim.forge_own();
        }),
        row("a file named nearly as the folder of the notes", Layer::Files, &[Code::UnlistedFile], |victim| {
            fs::write(victim.path("checkpoints.note"), "x").unwrap();
            victim.forge_own();
        }),
        row("a report in `derived`, which is no evidence", Layer::Told, &[], |victim| {
            fs::create_dir(victim.path("derived")).unwrap();
            fs::write(victim.path("derived/report.md"), "x").unwrap();
        }),
        row("the folder renamed", Layer::Told, &[Code::FolderRenamed], |victim| {
            let renamed = victim.run.with_file_name("copy");
            fs::rename(&victim.run, &renamed).unwrap();
            victim.run = renamed;
        }),
    ]
}

fn exchanged() -> Vec<Row> {
    vec![
        row("another responder in the header", Layer::Files, &[Code::HeaderMismatch], |victim| {
            victim.edit_file("run.json", "ilse", "otto");
        }),
        row("another tenant in the header", Layer::Files, &[Code::HeaderMismatch], |victim| {
            victim.edit_file("run.json", "11111111-1111-4111-8111", "99999999-1111-4111-8111");
        }),
        row("another case in the header", Layer::Files, &[Code::HeaderMismatch, Code::WrongOrigin], |victim| {
            victim.edit_file("run.json", r#""case": "ir-7""#, r#""case": "ir-8""#);
        }),
        row("another run in the header", Layer::Chain, &[Code::WrongRun, Code::HeaderMismatch], |victim| {
            victim.edit_file("run.json", r#""run_id": "r1""#, r#""run_id": "r9""#);
        }),
        row("a key twice in the header", Layer::Form, &[Code::BadHeader], |victim| {
            victim.edit_file("run.json", "{", "{\"case\":\"x\",");
        }),
        row("the header that names another plan", Layer::Files, &[Code::PlanMismatch], |victim| {
            victim.edit_header(|header| header["plan_sha256"] = "0".repeat(64).into());
            victim.forge_own();
        }),
        row("the plan edited", Layer::Files, &[Code::PlanMismatch, Code::PlanEdited], |victim| {
            victim.edit_file("plan.json", "Account", "account");
        }),
        row("the plan edited, all digests of it anew", Layer::Files, &[Code::PlanEdited], |victim| {
            edit_plan(victim, "Account", "account");
        }),
        row(
            "a read that the plan was made from edited, all digests of it anew",
            Layer::Files,
            &[Code::PlanEdited],
            |victim| {
                edit_plan(victim, "as it was", "as it is");
            },
        ),
        row("what the plan was made from taken out", Layer::Files, &[Code::PlanEdited], |victim| {
            edit_plan(victim, READS, "null");
        }),
        row("the playbook edited", Layer::Files, &[Code::PlaybookMismatch], |victim| {
            victim.edit_file("playbook.yaml", "takeover", "takeovar");
        }),
        row("the playbook removed", Layer::Files, &[Code::PlaybookMismatch], |victim| victim.remove("playbook.yaml")),
        row("the plan removed", Layer::Files, &[Code::UnreadableFile], |victim| victim.remove("plan.json")),
        row("the header removed", Layer::Files, &[Code::UnreadableFile], |victim| victim.remove("run.json")),
        row("the journal removed", Layer::Files, &[Code::UnreadableFile], |victim| victim.remove("journal.jsonl")),
    ]
}

/// Edits the plan's file, and makes header and line 0 name it as it is then.
fn edit_plan(victim: &super::Victim, from: &str, to: &str) {
    let digest = || crate::journal::sha256_hex(&fs::read(victim.path("plan.json")).unwrap());
    let before = digest();
    victim.edit_file("plan.json", from, to);
    victim.edit_file("run.json", &before, &digest());
    let header = crate::journal::sha256_hex(&fs::read(victim.path("run.json")).unwrap());
    victim.edit_json(0, |line| {
        line["record"]["header_sha256"] = header.into();
        line["record"]["plan_sha256"] = digest().into();
    });
    victim.forge_own();
}

fn closed() -> Vec<Row> {
    vec![
        row("the manifest removed", Layer::Close, &[Code::ManifestMissing], |victim| victim.remove("manifest.json")),
        row("the manifest emptied", Layer::Close, &[Code::ManifestMismatch], |victim| {
            fs::write(victim.path("manifest.json"), "{}").unwrap();
        }),
        row("the journal's digest removed", Layer::Close, &[Code::DigestMissing], |victim| {
            victim.remove("journal.sha256");
        }),
        row("the journal's digest edited", Layer::Close, &[Code::DigestMismatch], |victim| {
            fs::write(victim.path("journal.sha256"), "{}").unwrap();
        }),
    ]
}

/// Paths that leave the folder.
const PATHS: [&str; 5] = ["../../x.body", "/etc/hostname", "evidence/../run.json", "evidence/000003-0-..body", ""];

fn elsewhere() -> Vec<Row> {
    macro_rules! escape {
        ($at:expr) => {
            row(concat!("a path that leaves the folder, ", $at), Layer::Files, &[Code::BadPath], |victim| {
                victim.edit_line(3, BODY, PATHS[$at]);
                victim.forge_own();
            })
        };
    }
    vec![escape!(0), escape!(1), escape!(2), escape!(3), escape!(4)]
}

#[cfg(unix)]
fn links() -> Vec<Row> {
    use std::os::unix::fs::symlink;
    fn link(victim: &super::Victim, name: &str) {
        let (path, outside) = (victim.path(name), victim.case.path().join("outside"));
        fs::rename(&path, &outside).unwrap();
        symlink(&outside, &path).unwrap();
    }
    vec![
        row("a link for evidence", Layer::Files, &[Code::NotPlain], |victim| link(victim, BODY)),
        row("a link for the plan", Layer::Files, &[Code::NotPlain], |victim| link(victim, "plan.json")),
        row("a link for the journal", Layer::Files, &[Code::NotPlain], |victim| link(victim, "journal.jsonl")),
        row("a link for the manifest", Layer::Files, &[Code::NotPlain], |victim| link(victim, "manifest.json")),
        row("a link for the seal", Layer::Files, &[Code::NotPlain], |victim| link(victim, "seal.note")),
        row("a link for the folder of evidence", Layer::Files, &[Code::NotPlain], |victim| link(victim, "evidence")),
        row("a link for what is derived", Layer::Files, &[Code::NotPlain], |victim| {
            symlink(victim.case.path(), victim.path("derived")).unwrap();
        }),
        row("a link planted", Layer::Files, &[Code::NotPlain], |victim| {
            symlink("run.json", victim.path("evidence/000003-1-get-users.body")).unwrap();
        }),
    ]
}

#[test]
fn evidence_edited_exchanged_and_claimed_twice() {
    hold(&evidence());
}

#[test]
fn files_that_nobody_lists() {
    hold(&planted());
}

#[test]
fn header_plan_and_playbook() {
    hold(&exchanged());
}

#[test]
fn what_the_close_left() {
    hold(&closed());
}

#[test]
fn paths_that_leave_the_folder() {
    hold(&elsewhere());
}

#[cfg(unix)]
#[test]
fn links_where_plain_files_belong() {
    hold(&links());
}
