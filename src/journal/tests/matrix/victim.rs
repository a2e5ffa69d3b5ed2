//! A case that may be tampered with, and the tools of whoever tampers: everything that needs no key, and the signing anew
//! by a key of their own.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::SigningKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    journal::{
        Closing, Journal, Record, SentOutcome, Vkey,
        checkpoint::{self, Checkpoint},
        folder::SEAL_NOTE,
        merkle::Tree,
        note, sha256_hex,
        testing::{Bench, USER, approved, ended, noon, observed, secret_intent, sent, small, target, verified},
        verify,
    },
    model::{ManualClock, Outcome},
};

/// One honest case with three closed runs, which all attacks copy. The second hands over a sealed secret, the third
/// was taken up again after a crash.
static CASE: LazyLock<TempDir> = LazyLock::new(|| {
    let case = tempfile::tempdir().unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        small(case.path(), "r1").await.close().await;
        with_a_secret(case.path()).await;
        taken_up_again(case.path()).await;
    });
    case
});

async fn with_a_secret(case: &Path) {
    let bench = Bench::new(case, "r2");
    fs::create_dir_all(case.join("handover/r2")).unwrap();
    fs::write(case.join("handover/r2/a.age"), "sealed").unwrap();
    let sealed = Record::Sealed {
        change: "c001".into(),
        file: "handover/r2/a.age".into(),
        sha256: sha256_hex(b"sealed"),
        recipients: vec!["age1x".into()],
        owner: USER.into(),
    };
    let (before, after) = (json!({"set": "yesterday"}), json!({"set": "today"}));
    bench.tell(approved()).await;
    bench.tell(observed("c001", before.clone())).await;
    bench.tell(sealed).await;
    bench.tell(secret_intent("c001", "i")).await;
    bench.tell(sent("c001", "i", SentOutcome::Accepted)).await;
    bench.tell(verified("c001", after.clone())).await;
    bench.tell(ended("c001", Outcome::Done, target("user", "u1", USER), [Some(before), Some(after)])).await;
    bench.close().await;
}

/// A process that died while it wrote a line, and another that went on and closed the run.
async fn taken_up_again(case: &Path) {
    let bench = small(case, "r3").await;
    let run = bench.journal.run_dir().to_owned();
    drop(bench);
    let mut journal = fs::File::options().append(true).open(run.join("journal.jsonl")).unwrap();
    journal.write_all(b"half a line").unwrap();
    let (journal, history) = Journal::reopen(&run, ManualClock::at(noon())).unwrap();
    let resumed = Record::Resumed {
        records: history.lines.len() as u64,
        torn: history.torn.clone(),
        by: "ilse".into(),
        identity: Some(Box::new(history.header.identity.clone())),
        continues: history.continues.clone(),
    };
    journal.append(resumed, vec![]).await.unwrap();
    journal.close(Closing::default()).await.unwrap();
}

/// A copy of the case: one of its runs, and what was noted of it elsewhere.
pub(super) struct Victim {
    pub(super) case: TempDir,
    pub(super) run: PathBuf,
    /// The key that was shown when the run began.
    pub(super) key: String,
    /// The root that was shown at its end.
    pub(super) root: String,
}

impl Victim {
    pub(super) fn new(run: &str) -> Self {
        let case = tempfile::tempdir().unwrap();
        copy(CASE.path(), case.path());
        let anchor = verify(&CASE.path().join("runs").join(run)).anchor.unwrap();
        Self { run: case.path().join("runs").join(run), case, key: anchor.vkey, root: anchor.root }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.run.join(name)
    }

    pub(super) fn lines(&self) -> Vec<String> {
        fs::read_to_string(self.path("journal.jsonl")).unwrap().lines().map(str::to_owned).collect()
    }

    fn put(&self, lines: &[String]) {
        let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
        fs::write(self.path("journal.jsonl"), text).unwrap();
    }

    /// Changes the lines and nothing else.
    pub(super) fn edit(&self, edit: impl FnOnce(&mut Vec<String>)) {
        let mut lines = self.lines();
        let before = lines.clone();
        edit(&mut lines);
        assert_ne!(lines, before, "the attack did nothing");
        self.put(&lines);
    }

    /// Replaces the first such text of a line.
    pub(super) fn edit_line(&self, seq: usize, from: &str, to: &str) {
        self.edit(|lines| lines[seq] = lines[seq].replacen(from, to, 1));
    }

    /// Changes a line as JSON.
    pub(super) fn edit_json(&self, seq: usize, edit: impl FnOnce(&mut Value)) {
        self.edit(|lines| {
            let mut line = serde_json::from_str(&lines[seq]).unwrap();
            edit(&mut line);
            lines[seq] = line.to_string();
        });
    }

    pub(super) fn edit_file(&self, name: &str, from: &str, to: &str) {
        let text = fs::read_to_string(self.path(name)).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(self.path(name), text.replacen(from, to, 1)).unwrap();
    }

    pub(super) fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub(super) fn swap(&self, one: &str, other: &str) {
        let [one, other, hold] = [one, other, "hold"].map(|name| self.path(name));
        fs::rename(&one, &hold).unwrap();
        fs::rename(&other, &one).unwrap();
        fs::rename(&hold, &other).unwrap();
    }

    /// Gives every line the number of its place, and its evidence the name that belongs there.
    pub(super) fn renumber(&self) {
        let mut lines = self.lines();
        for (seq, line) in lines.iter_mut().enumerate() {
            let mut value: Value = serde_json::from_str(line).unwrap();
            value["seq"] = json!(seq);
            for ev in value["ev"].as_array_mut().unwrap() {
                for part in ["head", "body"] {
                    let old = ev[part]["path"].as_str().unwrap().to_owned();
                    let new = format!("evidence/{seq:06}{}", &old["evidence/000000".len()..]);
                    fs::rename(self.path(&old), self.path(&format!("{new}.moved"))).unwrap();
                    ev[part]["path"] = json!(new);
                }
            }
            *line = value.to_string();
        }
        for entry in fs::read_dir(self.path("evidence")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|ending| ending == "moved") {
                fs::rename(&path, path.with_extension("")).unwrap();
            }
        }
        self.put(&lines);
    }

    /// What anybody can make anew who knows the format: the chain, and all digests that the close left.
    pub(super) fn rehash(&self) {
        let mut lines = self.lines();
        rechain(&mut lines);
        let mut last: Value = serde_json::from_str(&lines.pop().unwrap()).unwrap();
        let mut manifest: Value = serde_json::from_slice(&fs::read(self.path("manifest.json")).unwrap()).unwrap();
        manifest["lines"] = json!(lines.len());
        manifest["head"] = json!(lines.last().map(|line| sha256_hex(line.as_bytes())));
        manifest["files"] = self.listed();
        let bytes = serde_json::to_vec_pretty(&manifest).unwrap();
        fs::write(self.path("manifest.json"), &bytes).unwrap();
        last["seq"] = json!(lines.len());
        last["record"]["manifest_sha256"] = json!(sha256_hex(&bytes));
        lines.push(last.to_string());
        rechain(&mut lines);
        self.put(&lines);
        let digest = format!("{}  journal.jsonl\n", sha256_hex(&fs::read(self.path("journal.jsonl")).unwrap()));
        fs::write(self.path("journal.sha256"), digest).unwrap();
    }

    /// The files that a manifest names, as they are now.
    fn listed(&self) -> Value {
        let mut files = Vec::new();
        for folder in ["", "evidence", "checkpoints"] {
            for entry in fs::read_dir(self.path(folder)).into_iter().flatten().flatten() {
                let name = entry.file_name().into_string().unwrap();
                let at_close = ["journal.jsonl", "manifest.json", "journal.sha256", SEAL_NOTE].contains(&name.as_str());
                if entry.file_type().unwrap().is_file() && !at_close {
                    let bytes = fs::read(entry.path()).unwrap();
                    let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                    files.push(json!({"path": path, "len": bytes.len(), "sha256": sha256_hex(&bytes)}));
                }
            }
        }
        files.sort_by_key(|file| file["path"].as_str().unwrap().to_owned());
        Value::Array(files)
    }

    /// Everything anew, and signed anew by a key: of their own, or the run's own that was stolen.
    pub(super) fn forge(&self, key: &SigningKey) {
        let origin = self.origin();
        let vkey = Vkey::new(&origin, key.verifying_key()).to_string();
        self.forge_with(&vkey, |text| note::sign(text, &origin, key));
    }

    pub(super) fn origin(&self) -> String {
        let header: Value = serde_json::from_slice(&fs::read(self.path("run.json")).unwrap()).unwrap();
        let [case, run] = ["case", "run_id"].map(|name| header[name].as_str().unwrap().to_owned());
        checkpoint::origin(&case, &run)
    }

    fn checkpoint(&self, lines: &[String]) -> Checkpoint {
        let tree = Tree::of(lines.iter().map(String::as_bytes));
        Checkpoint { origin: self.origin(), size: tree.size(), root: tree.root() }
    }

    /// Cuts the run off after so many lines and goes on under another key, as after a crash, to a close of what is left.
    pub(super) fn continue_as(&self, key: &SigningKey, lines: usize) {
        let close = self.lines().pop().unwrap();
        self.cut(lines);
        let kept = self.lines();
        let origin = self.origin();
        let root = BASE64_STANDARD.encode(self.checkpoint(&kept).root);
        let mut resumed: Value = serde_json::from_str(kept.last().unwrap()).unwrap();
        resumed["seq"] = json!(lines);
        resumed["ev"] = json!([]);
        resumed["record"] = json!({
            "type": "resumed", "records": lines, "torn": null, "by": "ilse",
            "continues": {"root": root, "note": null, "vkey": Vkey::new(&origin, key.verifying_key()).to_string()},
        });
        self.edit(|all| all.extend([resumed.to_string(), close]));
        self.rehash();
        let sign = |lines: &[String]| note::sign(&self.checkpoint(lines).text(), &origin, key);
        let path = self.path(&checkpoint::path(lines as u64 + 1));
        fs::write(path, sign(&self.lines()[..=lines])).unwrap();
        self.rehash();
        fs::write(self.path(SEAL_NOTE), sign(&self.lines())).unwrap();
    }

    /// Cuts lines off the end, with their evidence and their checkpoints.
    pub(super) fn cut(&self, lines: usize) {
        self.edit(|all| all.truncate(lines));
        for folder in ["evidence", "checkpoints"] {
            for entry in fs::read_dir(self.path(folder)).unwrap() {
                let path = entry.unwrap().path();
                let of: usize = path.file_name().unwrap().to_str().unwrap()[..6].parse().unwrap();
                if of >= lines + usize::from(folder == "checkpoints") {
                    fs::remove_file(path).unwrap();
                }
            }
        }
    }

    /// Changes the header, and the digest of it in line 0.
    pub(super) fn edit_header(&self, edit: impl FnOnce(&mut Value)) {
        let mut header: Value = serde_json::from_slice(&fs::read(self.path("run.json")).unwrap()).unwrap();
        edit(&mut header);
        let bytes = serde_json::to_vec_pretty(&header).unwrap();
        fs::write(self.path("run.json"), &bytes).unwrap();
        self.edit_json(0, |line| line["record"]["header_sha256"] = sha256_hex(&bytes).into());
    }

    /// Changes the head of the first exchange of a line, and its digest there.
    pub(super) fn edit_head(&self, seq: usize, edit: impl FnOnce(&str) -> String) {
        let line: Value = serde_json::from_str(&self.lines()[seq]).unwrap();
        let path = self.path(line["ev"][0]["head"]["path"].as_str().unwrap());
        let text = edit(&fs::read_to_string(&path).unwrap());
        fs::write(&path, &text).unwrap();
        self.edit_json(seq, |line| {
            line["ev"][0]["head"]["len"] = text.len().into();
            line["ev"][0]["head"]["sha256"] = sha256_hex(text.as_bytes()).into();
        });
    }

    /// Takes away the exchanges behind a line.
    pub(super) fn strip(&self, seq: usize) {
        let line: Value = serde_json::from_str(&self.lines()[seq]).unwrap();
        for ev in line["ev"].as_array().unwrap() {
            ["head", "body"].iter().for_each(|part| self.remove(ev[part]["path"].as_str().unwrap()));
        }
        self.edit_json(seq, |line| line["ev"] = json!([]));
    }

    /// Everything anew, under a key, with notes as this makes them of their text.
    pub(super) fn forge_with(&self, vkey: &str, note: impl Fn(&str) -> String) {
        self.edit_first_key(vkey);
        let mut lines = self.lines();
        rechain(&mut lines);
        self.put(&lines);
        let sign = |lines: &[String]| note(&self.checkpoint(lines).text());
        for entry in fs::read_dir(self.path("checkpoints")).unwrap() {
            let path = entry.unwrap().path();
            let size: usize = path.file_stem().unwrap().to_str().unwrap().parse().unwrap();
            fs::write(&path, sign(&lines[..size.min(lines.len())])).unwrap();
        }
        self.rehash();
        fs::write(self.path(SEAL_NOTE), sign(&self.lines())).unwrap();
    }

    fn edit_first_key(&self, vkey: &str) {
        let mut lines = self.lines();
        let mut first: Value = serde_json::from_str(&lines[0]).unwrap();
        first["record"]["vkey"] = json!(vkey);
        lines[0] = first.to_string();
        self.put(&lines);
    }

    /// As if the run had been signed by this key, which the attacker gets hold of.
    pub(super) fn signed_by(&mut self, key: &SigningKey) {
        self.forge(key);
        let anchor = verify(&self.run).anchor.unwrap();
        (self.key, self.root) = (anchor.vkey, anchor.root);
    }

    /// Another run: what an honest program writes when it is told a story that breaks the rules.
    pub(super) fn told(&mut self, records: Vec<Record>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let bench = Bench::new(self.case.path(), "told");
            for record in records {
                bench.tell(record).await;
            }
            self.run = bench.close().await;
        });
        let anchor = verify(&self.run).anchor.unwrap();
        (self.key, self.root) = (anchor.vkey, anchor.root);
    }

    /// Signed anew by the forger's own key.
    pub(super) fn forge_own(&self) {
        self.forge(&forger());
    }
}

/// A key that the run never had.
pub(super) fn forger() -> SigningKey {
    SigningKey::from_bytes(&[9; 32])
}

/// `prev` of each line made right; nothing else.
fn rechain(lines: &mut [String]) {
    let mut prev = "0".repeat(64);
    for line in lines {
        if let Some(at) = line.find(r#""prev":""#) {
            line.replace_range(at + 8..at + 72, &prev);
        }
        prev = sha256_hex(line.as_bytes());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to)
        } else {
            // Not by `fs::copy`, which keeps that evidence is read-only: an attacker who owns it is not stopped by that.
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap()
        }
    }
}
