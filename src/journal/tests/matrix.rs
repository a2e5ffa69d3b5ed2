//! Every way of tampering that a digest, the chain or a rule can show: each is done to an honest run, and found.

use std::{
    fs,
    path::{Path, PathBuf},
};

use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::journal::{
    Trust, Verdict, Verification, Vkey,
    checkpoint::{self, Checkpoint},
    merkle::Tree,
    note, sha256_hex,
    testing::{both, small},
    verify,
    verify::Code,
    verify_with,
};

/// A closed run that may be tampered with, and the key that was noted when it began.
struct Victim {
    _case: TempDir,
    run: PathBuf,
    key: Vkey,
}

impl Victim {
    async fn new() -> Self {
        let case = tempfile::tempdir().unwrap();
        let bench = small(case.path(), "r1").await;
        let key = bench.journal.anchor().vkey.parse().unwrap();
        let run = bench.close().await;
        Self { _case: case, run, key }
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.run.join("journal.jsonl")).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    fn put(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.run.join("journal.jsonl"), text).unwrap();
    }

    fn edit(&self, edit: impl FnOnce(&mut Vec<String>)) {
        let mut lines = self.lines();
        let before = lines.clone();
        edit(&mut lines);
        assert_ne!(lines, before, "the attack did nothing");
        self.put(&lines);
    }

    fn edit_file(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.run.join(name)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.run.join(name), text.replacen(from, to, 1)).unwrap();
    }

    /// What a forger does who knows the format: numbers, chains and digests made anew, and all of it signed with a key
    /// of their own.
    fn forge(&self) {
        let key = SigningKey::from_bytes(&[9; 32]);
        let origin = checkpoint::origin("ir-7", "r1");
        let mut lines = self.lines();
        let genuine: Value = serde_json::from_str(&lines[0]).unwrap();
        let genuine = genuine["record"]["vkey"].as_str().unwrap();
        lines[0] = lines[0].replace(genuine, &Vkey::new(&origin, key.verifying_key()).to_string());
        rechain(&mut lines);
        let sign = |lines: &[String]| {
            let tree = Tree::of(lines.iter().map(String::as_bytes));
            let checkpoint = Checkpoint { origin: origin.clone(), size: tree.size(), root: tree.root() };
            note::sign(&checkpoint.text(), &origin, &key)
        };
        let last = lines.pop().unwrap();
        let mut manifest: Value = json_file(&self.run.join("manifest.json"));
        manifest["lines"] = json!(lines.len());
        manifest["head"] = json!(sha256_hex(lines.last().unwrap().as_bytes()));
        for file in manifest["files"].as_array_mut().unwrap() {
            let path = file["path"].as_str().unwrap().to_owned();
            if let Some(size) = path.strip_prefix("checkpoints/").and_then(|name| name.strip_suffix(".note")) {
                let note = sign(&lines[..size.parse::<usize>().unwrap().min(lines.len())]);
                fs::write(self.run.join(&path), &note).unwrap();
                *file = json!({"path": path, "len": note.len(), "sha256": sha256_hex(note.as_bytes())});
            }
        }
        let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
        fs::write(self.run.join("manifest.json"), &bytes).unwrap();
        let mut last: Value = serde_json::from_str(&last).unwrap();
        last["record"]["manifest_sha256"] = json!(sha256_hex(&bytes));
        lines.push(last.to_string());
        rechain(&mut lines);
        self.put(&lines);
        fs::write(self.run.join("seal.note"), sign(&lines)).unwrap();
        let journal = fs::read(self.run.join("journal.jsonl")).unwrap();
        let digest = format!("{}  journal.jsonl\n", sha256_hex(&journal));
        fs::write(self.run.join("journal.sha256"), digest).unwrap();
    }

    /// What is found without a key. With the key that was noted, every attack of this page is found.
    fn codes(&self) -> Vec<Code> {
        let known = both(&self.run, &[&self.key]);
        assert_eq!(known.verdict, Verdict::Broken, "{known:#?}");
        broken(&both(&self.run, &[]))
    }
}

fn json_file(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// `prev` of each line made right; nothing else.
fn rechain(lines: &mut [String]) {
    let mut prev = "0".repeat(64);
    for line in lines {
        let at = line.find(r#""prev":""#).unwrap() + 8;
        line.replace_range(at..at + 64, &prev);
        prev = sha256_hex(line.as_bytes());
    }
}

fn broken(verification: &Verification) -> Vec<Code> {
    let codes: Vec<Code> = verification.problems().map(|finding| finding.code).collect();
    assert_eq!(verification.verdict, Verdict::Broken, "{verification:#?}");
    codes
}

fn assert_found(codes: &[Code], expected: &[Code]) {
    for code in expected {
        assert!(codes.contains(code), "{code:?} is not in {codes:?}");
    }
}

#[tokio::test]
async fn edited_deleted_inserted_and_reordered_lines() {
    type Attack = fn(&mut Vec<String>);
    let attacks: [(&str, Attack); 6] = [
        ("edit", |lines| lines[3] = lines[3].replace("true", "null")),
        ("delete", |lines| drop(lines.remove(4))),
        ("delete two", |lines| drop(lines.drain(4..6))),
        ("insert", |lines| lines.insert(4, lines[3].clone())),
        ("swap", |lines| lines.swap(5, 6)),
        ("append", |lines| lines.push(lines[4].clone())),
    ];
    for (name, attack) in attacks {
        let victim = Victim::new().await;
        victim.edit(attack);
        let codes = victim.codes();
        assert_found(&codes, &[Code::BrokenChain, Code::DigestMismatch]);
        if name != "edit" {
            assert_found(&codes, &[Code::WrongSeq]);
        }
        if name == "insert" {
            assert_found(&codes, &[Code::EvidenceNamedTwice]);
        }
        if name == "append" {
            assert_found(&codes, &[Code::AfterClosed]);
        }
    }
}

#[tokio::test]
async fn an_edit_of_the_last_line_which_no_other_line_covers() {
    let victim = Victim::new().await;
    victim.edit(|lines| {
        let last = lines.last_mut().unwrap();
        *last = last.replace("\"contained_ms\":7000", "\"contained_ms\":9000");
    });
    assert_eq!(victim.codes(), [Code::DigestMismatch, Code::CheckpointMismatch]);
}

#[tokio::test]
async fn lines_cut_off_at_the_end() {
    let victim = Victim::new().await;
    victim.edit(|lines| lines.truncate(8));
    assert_found(&victim.codes(), &[Code::ManifestMismatch]);
    // Without what the close left, it looks like a crash: open, and evidence that no line names.
    fs::remove_file(victim.run.join("manifest.json")).unwrap();
    fs::remove_file(victim.run.join("journal.sha256")).unwrap();
    assert_eq!(broken(&both(&victim.run, &[])), [Code::CheckpointMismatch, Code::CheckpointMismatch]);
    fs::remove_file(victim.run.join("seal.note")).unwrap();
    assert_eq!(broken(&both(&victim.run, &[])), [Code::CheckpointMismatch]);
    fs::remove_file(victim.run.join("checkpoints/000014.note")).unwrap();
    let verification = both(&victim.run, &[&victim.key]);
    assert_eq!(verification.verdict, Verdict::Open);
    assert!(verification.findings.iter().any(|f| f.code == Code::Leftover));
}

#[tokio::test]
async fn a_line_of_another_run_and_clocks_that_run_backwards() {
    let victim = Victim::new().await;
    victim.edit(|lines| lines[4] = lines[4].replace(r#""run":"r1""#, r#""run":"r2""#));
    victim.forge();
    assert_eq!(victim.codes(), [Code::WrongRun]);

    let victim = Victim::new().await;
    victim.edit(|lines| lines[6] = lines[6].replace(r#""mono_ms":6000"#, r#""mono_ms":600"#));
    victim.forge();
    assert_eq!(victim.codes(), [Code::MonoBackwards]);

    let victim = Victim::new().await;
    victim.edit(|lines| lines[6] = lines[6].replace("T12:00:06Z", "T11:00:06Z"));
    victim.forge();
    let verification = verify(&victim.run);
    assert!(verification.findings.iter().any(|f| f.code == Code::WallClockBackwards));

    let victim = Victim::new().await;
    victim.edit(|lines| lines[6] = lines[6].replace(r#""seq":6"#, r#""seq":7"#));
    victim.forge();
    assert_found(&victim.codes(), &[Code::WrongSeq]);
}

#[tokio::test]
async fn lines_that_cannot_be_understood_are_each_told() {
    let victim = Victim::new().await;
    victim.edit(|lines| {
        lines[2] = lines[2].replace(r#""stage":"cut""#, r#""stage":"cut","stage":"x""#);
        lines[3] = lines[3].replace(r#""type":"observed""#, r#""type":"imagined""#);
        lines[4] = lines[4].replace(r#""call":0"#, r#""call":0,"extra":1"#);
        lines[5] = lines[5].replace(r#""type":"sent""#, r#""type":"sent","type":"ended""#);
        lines[6] = "\u{1b}[2J".to_owned();
    });
    let verification = verify(&victim.run);
    let of_line = |n: u64| -> Vec<Code> {
        let of = verification.problems().filter(|finding| finding.line == Some(n));
        of.map(|finding| finding.code).collect()
    };
    assert_eq!(of_line(2), [Code::DuplicateKey]);
    assert_eq!(of_line(3), [Code::UnknownRecord]);
    assert_eq!(of_line(4), [Code::BadLine]);
    assert_eq!(of_line(5), [Code::DuplicateKey]);
    assert_eq!(of_line(6), [Code::BadLine]);
    assert!(of_line(7).contains(&Code::BrokenChain));
}

#[tokio::test]
async fn evidence_that_was_edited_swapped_removed_or_planted() {
    let body = "evidence/000003-0-get-users.body";
    let victim = Victim::new().await;
    victim.edit_file(body, "true", "null");
    assert_found(&victim.codes(), &[Code::EvidenceEdited, Code::ManifestMismatch]);

    let victim = Victim::new().await;
    fs::remove_file(victim.run.join(body)).unwrap();
    assert_found(&victim.codes(), &[Code::EvidenceMissing, Code::ManifestMismatch]);

    let victim = Victim::new().await;
    let other = "evidence/000006-0-get-users.body";
    let swap = |a: &str, b: &str| {
        let [a, b] = [a, b].map(|name| victim.run.join(name));
        let hold = victim.run.join("hold");
        fs::rename(&a, &hold).unwrap();
        fs::rename(&b, &a).unwrap();
        fs::rename(&hold, &b).unwrap();
    };
    swap(body, other);
    swap(&body.replace("body", "head"), &other.replace("body", "head"));
    let codes = victim.codes();
    let edited = codes.iter().filter(|code| **code == Code::EvidenceEdited);
    assert_eq!(edited.count(), 4);
    assert_found(&codes, &[Code::EvidenceSwapped]);

    for planted in ["evidence/000003-1-get-users.body", "extra.txt", "evidence/x.torn"] {
        let victim = Victim::new().await;
        fs::write(victim.run.join(planted), "x").unwrap();
        assert_found(&victim.codes(), &[Code::UnlistedFile, Code::ManifestMismatch]);
    }

    let victim = Victim::new().await;
    fs::create_dir(victim.run.join("more")).unwrap();
    assert_eq!(victim.codes(), [Code::UnlistedFile]);
}

#[tokio::test]
async fn evidence_swapped_between_lines_with_the_chain_made_anew() {
    let victim = Victim::new().await;
    victim.edit(|lines| {
        let id =
            |n: u64| format!(r#""client_request_id":"c001-{}"}}],"record""#, if n == 3 { "before" } else { "after" });
        lines[3] = lines[3].replace(&id(3), &id(6));
    });
    victim.forge();
    assert_eq!(victim.codes(), [Code::EvidenceSwapped]);

    // One exchange claimed by two lines.
    let victim = Victim::new().await;
    victim.edit(|lines| {
        let three: Value = serde_json::from_str(&lines[3]).unwrap();
        let mut six: Value = serde_json::from_str(&lines[6]).unwrap();
        six["ev"] = three["ev"].clone();
        lines[6] = six.to_string();
    });
    victim.forge();
    assert_found(&victim.codes(), &[Code::BadPath, Code::UnlistedFile]);
    let victim = Victim::new().await;
    victim.edit(|lines| {
        let mut three: Value = serde_json::from_str(&lines[3]).unwrap();
        three["ev"][0]["body"] = three["ev"][0]["head"].clone();
        lines[3] = three.to_string();
    });
    victim.forge();
    assert_found(&victim.codes(), &[Code::BadPath]);
}

#[cfg(unix)]
#[tokio::test]
async fn links_and_paths_that_leave_the_folder() {
    use std::os::unix::fs::symlink;
    for name in ["evidence/000003-0-get-users.body", "plan.json", "journal.jsonl", "manifest.json"] {
        let victim = Victim::new().await;
        let path = victim.run.join(name);
        let outside = victim.run.parent().unwrap().join("outside");
        fs::rename(&path, &outside).unwrap();
        symlink(&outside, &path).unwrap();
        assert_found(&victim.codes(), &[Code::NotPlain]);
    }
    let victim = Victim::new().await;
    fs::rename(victim.run.join("evidence"), victim.run.parent().unwrap().join("ev")).unwrap();
    symlink("../ev", victim.run.join("evidence")).unwrap();
    assert_found(&victim.codes(), &[Code::NotPlain]);

    for path in ["../../x.body", "/etc/hostname", "evidence/../run.json", "evidence/000003-0-..body", ""] {
        let victim = Victim::new().await;
        victim.edit(|lines| {
            lines[3] = lines[3].replace("evidence/000003-0-get-users.body", path);
        });
        victim.forge();
        assert_found(&victim.codes(), &[Code::BadPath]);
    }
}

#[tokio::test]
async fn header_plan_and_playbook_of_another_run() {
    let cases = [
        ("run.json", "ilse", "otto", Code::HeaderMismatch),
        ("plan.json", "Account", "account", Code::PlanMismatch),
        ("playbook.yaml", "takeover", "takeovar", Code::PlaybookMismatch),
    ];
    for (name, from, to, code) in cases {
        let victim = Victim::new().await;
        victim.edit_file(name, from, to);
        assert_found(&victim.codes(), &[code, Code::ManifestMismatch]);
        let victim = Victim::new().await;
        fs::remove_file(victim.run.join(name)).unwrap();
        let gone = if name == "playbook.yaml" { code } else { Code::UnreadableFile };
        assert_found(&victim.codes(), &[gone]);
    }
    let victim = Victim::new().await;
    victim.edit_file("run.json", "{", "{\"case\":\"x\",");
    assert_found(&victim.codes(), &[Code::BadHeader]);
    let victim = Victim::new().await;
    victim.edit_file("run.json", "\"run_id\": \"r1\"", "\"run_id\": \"r2\"");
    assert_found(&victim.codes(), &[Code::WrongRun, Code::HeaderMismatch]);
}

#[tokio::test]
async fn what_the_close_left() {
    for (name, missing, edited) in [
        ("manifest.json", Code::ManifestMissing, Code::ManifestMismatch),
        ("journal.sha256", Code::DigestMissing, Code::DigestMismatch),
    ] {
        let victim = Victim::new().await;
        fs::remove_file(victim.run.join(name)).unwrap();
        assert_eq!(victim.codes(), [missing]);
        let victim = Victim::new().await;
        fs::write(victim.run.join(name), "{}").unwrap();
        assert_found(&victim.codes(), &[edited]);
    }
    let victim = Victim::new().await;
    victim.edit(|lines| {
        let last = lines.last_mut().unwrap();
        *last = last.replace(r#""done":2"#, r#""done":3"#);
    });
    victim.forge();
    assert_eq!(victim.codes(), [Code::OutcomesMismatch]);
}

#[tokio::test]
async fn a_renamed_folder_is_told_and_a_derived_report_is_not_evidence() {
    let victim = Victim::new().await;
    let renamed = victim.run.with_file_name("copy");
    fs::rename(&victim.run, &renamed).unwrap();
    fs::create_dir(renamed.join("derived")).unwrap();
    fs::write(renamed.join("derived/report.md"), "x").unwrap();
    let verification = verify(&renamed);
    assert_eq!(verification.verdict, Verdict::Consistent, "{verification:#?}");
    assert!(verification.findings.iter().any(|f| f.code == Code::FolderRenamed));
}

#[tokio::test]
async fn an_honest_run_is_authentic_under_its_key_and_consistent_without() {
    let victim = Victim::new().await;
    assert_eq!(both(&victim.run, &[]).verdict, Verdict::Consistent);
    let other = Victim::new().await;
    assert_eq!(both(&victim.run, &[&other.key, &victim.key]).verdict, Verdict::Authentic);
    assert_eq!(broken(&both(&victim.run, &[&other.key])), [Code::WrongKey]);
}

/// The limit of a key that nobody noted: whoever can write to the folder can make another record under another key.
#[tokio::test]
async fn an_edit_with_everything_made_anew_and_signed_by_another_key() {
    let victim = Victim::new().await;
    victim.edit(|lines| lines[1] = lines[1].replace(r#""by":"ilse""#, r#""by":"otto""#));
    victim.forge();
    let blind = both(&victim.run, &[]);
    assert_eq!(blind.verdict, Verdict::Consistent, "{blind:#?}");
    assert!(blind.findings.iter().any(|f| f.code == Code::NotAuthenticated));
    assert_eq!(broken(&both(&victim.run, &[&victim.key])), [Code::WrongKey]);
}

#[tokio::test]
async fn signatures_that_were_stripped_moved_or_made_for_another() {
    for name in ["seal.note", "checkpoints/000001.note", "checkpoints/000002.note", "checkpoints/000004.note"] {
        let victim = Victim::new().await;
        fs::remove_file(victim.run.join(name)).unwrap();
        let code = if name == "seal.note" { Code::SealMissing } else { Code::CheckpointMissing };
        assert_found(&victim.codes(), &[code]);
    }
    let victim = Victim::new().await;
    fs::remove_file(victim.run.join("seal.note")).unwrap();
    fs::remove_dir_all(victim.run.join("checkpoints")).unwrap();
    assert_found(&victim.codes(), &[Code::SealMissing, Code::CheckpointMissing]);

    // Under another size, of another run, and no note at all.
    let victim = Victim::new().await;
    fs::copy(victim.run.join("checkpoints/000002.note"), victim.run.join("checkpoints/000004.note")).unwrap();
    assert_found(&victim.codes(), &[Code::BadNote, Code::ManifestMismatch]);
    let (victim, other) = (Victim::new().await, Victim::new().await);
    fs::copy(other.run.join("seal.note"), victim.run.join("seal.note")).unwrap();
    assert_found(&victim.codes(), &[Code::BadSignature, Code::CheckpointMismatch]);
    let victim = Victim::new().await;
    victim.edit_file("seal.note", "run/r1", "run/r2");
    assert_found(&victim.codes(), &[Code::WrongOrigin, Code::BadSignature]);
    let victim = Victim::new().await;
    fs::write(victim.run.join("seal.note"), "signed, really\n").unwrap();
    assert_found(&victim.codes(), &[Code::BadNote]);
}

#[tokio::test]
async fn a_key_that_signs_two_histories() {
    let victim = Victim::new().await;
    victim.forge();
    // The forger's own key signs line 2 once more, differently.
    let key = SigningKey::from_bytes(&[9; 32]);
    let origin = checkpoint::origin("ir-7", "r1");
    let size = victim.lines().len() as u64;
    let other = Checkpoint { origin: origin.clone(), size, root: [7; 32] };
    let name = victim.run.join(checkpoint::path(size));
    fs::write(name, note::sign(&other.text(), &origin, &key)).unwrap();
    assert_found(&victim.codes(), &[Code::Equivocation, Code::CheckpointMismatch, Code::ManifestMismatch]);
}

#[tokio::test]
async fn a_run_presented_as_another() {
    let (victim, other) = (Victim::new().await, Victim::new().await);
    let verification = verify_with(&other.run, &Trust::keys([victim.key.clone()]));
    assert_eq!(broken(&verification), [Code::WrongKey]);
    let victim = Victim::new().await;
    victim.edit_file("run.json", r#""case": "ir-7""#, r#""case": "ir-8""#);
    assert_found(&victim.codes(), &[Code::HeaderMismatch, Code::WrongOrigin]);
    let victim = Victim::new().await;
    victim.edit_file("run.json", "11111111-1111-4111-8111", "99999999-1111-4111-8111");
    assert_found(&victim.codes(), &[Code::HeaderMismatch]);
}

#[tokio::test]
async fn lines_cut_back_to_a_checkpoint_and_closed_again_by_a_forger() {
    // Everything after the approval is gone, and a close is forged: the key that was noted did not sign that.
    let victim = Victim::new().await;
    victim.edit(|lines| {
        let mut last = lines.pop().unwrap();
        lines.truncate(3);
        last = last.replace(r#""outcomes":{"done":2}"#, r#""outcomes":{}"#).replace(r#""seq":14"#, r#""seq":3"#);
        lines.push(last);
    });
    let manifest = victim.run.join("manifest.json");
    let mut listed = json_file(&manifest);
    let gone =
        |path: &str| path.starts_with("evidence/") || ["4", "14"].iter().any(|n| path.ends_with(&format!("{n}.note")));
    for file in listed["files"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        if gone(path) {
            fs::remove_file(victim.run.join(path)).unwrap();
        }
    }
    listed["files"].as_array_mut().unwrap().retain(|file| !gone(file["path"].as_str().unwrap()));
    fs::write(&manifest, listed.to_string()).unwrap();
    victim.forge();
    let blind = both(&victim.run, &[]);
    assert_eq!(blind.verdict, Verdict::Consistent, "{blind:#?}");
    assert_eq!(broken(&both(&victim.run, &[&victim.key])), [Code::WrongKey]);
}

#[test]
fn a_folder_that_is_no_run_is_broken_not_a_panic() {
    let dir = tempfile::tempdir().unwrap();
    assert_found(&broken(&verify(dir.path())), &[Code::UnreadableFile]);
    assert_found(&broken(&verify(&dir.path().join("nowhere"))), &[Code::UnreadableFile]);
    fs::write(dir.path().join("journal.jsonl"), "\n\n").unwrap();
    assert_found(&broken(&verify(dir.path())), &[Code::BadLine]);
}
