//! The files around the journal: that they are the ones that the lines name, and no others.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use super::{
    chain::Chain,
    chain_of,
    finding::{Code, Findings},
    plain,
};
use crate::{
    journal::{
        EvidenceRef, FileRef, MANIFEST_FORMAT, Record, RunHeader, disk,
        evidence::{file_ref, stem},
        folder::{
            CHECKPOINTS, DERIVED, EVIDENCE, HEADER, JOURNAL, MANIFEST, PLAN, PLAYBOOK, SEAL, SEAL_NOTE, SEAL_SIG,
            SEAL_TSR,
        },
        hash::sha256_hex,
        recover::is_torn,
        seal::{Manifest, digest_line},
        strict,
    },
    model::Exchange,
};

/// Paths of the plain files, relative to the run's folder, without what was derived.
pub(super) type Tree = BTreeSet<String>;

/// Lists the folder. Whatever is not a plain file, or the one folder of evidence, is a problem.
pub(super) fn list(run: &Path, found: &mut Findings) -> Tree {
    let mut tree = Tree::new();
    if let Err(error) = list_into(run, "", &mut tree, found) {
        found.file(Code::UnreadableFile, ".", error.to_string());
    }
    tree
}

fn list_into(run: &Path, under: &str, tree: &mut Tree, found: &mut Findings) -> std::io::Result<()> {
    for entry in fs::read_dir(run.join(under))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        if under.is_empty() && kind.is_dir() && name == DERIVED {
            continue;
        }
        if under.is_empty() && kind.is_dir() && [EVIDENCE, CHECKPOINTS].contains(&name.as_str()) {
            list_into(run, &name, tree, found)?;
            continue;
        }
        let path = if under.is_empty() { name } else { format!("{under}/{name}") };
        if kind.is_file() {
            tree.insert(path);
        } else if kind.is_dir() {
            found.file(Code::UnlistedFile, &path, "no run has such a folder");
        } else {
            found.file(Code::NotPlain, &path, "it is a link or a device");
        }
    }
    Ok(())
}

/// Header, plan and playbook against line 0 and the header. Gives the plan.
pub(super) fn opened(run: &Path, chain: &Chain, header: Option<&RunHeader>, found: &mut Findings) -> Option<Vec<u8>> {
    let plan = plain(run, PLAN, found);
    let first = chain.lines.first().and_then(Option::as_ref);
    let Some(Record::RunOpened { header_sha256, plan_sha256, playbook_sha256, .. }) = first.map(|line| &line.record)
    else {
        return plan;
    };
    if let Ok(bytes) = disk::read_plain(&run.join(HEADER))
        && sha256_hex(&bytes) != *header_sha256
    {
        found.file(Code::HeaderMismatch, HEADER, "it is not the one of line 0");
    }
    if let Some(plan) = &plan {
        let now = sha256_hex(plan);
        if now != *plan_sha256 || header.is_some_and(|header| header.plan_sha256 != now) {
            found.file(Code::PlanMismatch, PLAN, "it is not the one of line 0 and the header");
        }
    }
    let now = disk::read_plain(&run.join(PLAYBOOK)).ok();
    let now = now.as_deref().map(sha256_hex);
    let named = header.map(|header| header.playbook.as_ref().map(|playbook| &playbook.sha256));
    if now != *playbook_sha256 || named.is_some_and(|named| named != now.as_ref()) {
        found.file(Code::PlaybookMismatch, PLAYBOOK, "it is not the one of line 0 and the header");
    }
    plan
}

/// Every exchange that a line names: place, bytes, and that the head speaks of the same request.
pub(super) fn evidence(run: &Path, chain: &Chain, found: &mut Findings) {
    let mut seen = BTreeSet::new();
    for (seq, line) in chain.known() {
        for (index, ev) in line.ev.iter().enumerate() {
            let stem = stem(line.seq, index);
            let paths = [(&ev.head, ".head"), (&ev.body, ".body")];
            let mut bytes = [None, None];
            for ((file, suffix), slot) in paths.into_iter().zip(&mut bytes) {
                if !is_evidence_path(&file.path, &stem, suffix) {
                    let text = "evidence of this line has another name";
                    found.named(Code::BadPath, seq, &file.path, text);
                    continue;
                }
                if !seen.insert(file.path.as_str()) {
                    let text = "another line names it too";
                    found.named(Code::EvidenceNamedTwice, seq, &file.path, text);
                }
                *slot = compare(run, seq, file, found);
            }
            let [head, _] = bytes;
            if let Some(head) = head {
                speaks_of(seq, ev, &head, found);
            }
        }
        if let Record::Resumed { torn: Some(torn), .. } = &line.record {
            for file in &torn.kept {
                if is_torn_path(&file.path) {
                    compare(run, seq, file, found);
                } else {
                    let text = "what a crash left has another name";
                    found.named(Code::BadPath, seq, &file.path, text);
                }
            }
        }
    }
}

fn is_evidence_path(path: &str, stem: &str, suffix: &str) -> bool {
    path.strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(suffix))
        .is_some_and(|slug| slug.bytes().all(is_slug_byte))
}

fn is_torn_path(path: &str) -> bool {
    let name = match path.split_once('/') {
        Some((EVIDENCE | CHECKPOINTS, name)) => name,
        _ => path,
    };
    is_torn(name) && name.bytes().all(|b| is_slug_byte(b) || b == b'.')
}

fn is_slug_byte(b: u8) -> bool {
    b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'
}

fn compare(run: &Path, seq: u64, file: &FileRef, found: &mut Findings) -> Option<Vec<u8>> {
    let path = run.join(&file.path);
    if path.symlink_metadata().is_err() {
        found.named(Code::EvidenceMissing, seq, &file.path, "it is not there any more");
        return None;
    }
    let bytes = match disk::read_plain(&path) {
        Ok(bytes) => bytes,
        Err(error) => {
            found.named(Code::NotPlain, seq, &file.path, chain_of(&error));
            return None;
        }
    };
    if file_ref(file.path.clone(), &bytes) != *file {
        let text = format!("it has {} other bytes than the {} that were written", bytes.len(), file.len);
        found.named(Code::EvidenceEdited, seq, &file.path, text);
    }
    Some(bytes)
}

fn speaks_of(seq: u64, ev: &EvidenceRef, head: &[u8], found: &mut Findings) {
    let text = match strict::from_slice::<Exchange>(head) {
        Ok(exchange) if exchange.client_request_id == ev.client_request_id => return,
        Ok(_) => "it speaks of another request than its line",
        Err(_) => "it is not the head of an exchange",
    };
    found.named(Code::EvidenceSwapped, seq, &ev.head.path, text);
}

/// The manifest and the journal's digest, which the close writes.
pub(super) fn sealed(run: &Path, journal: &[u8], chain: &Chain, tree: &Tree, found: &mut Findings) {
    let closed = chain.records().find_map(|(_, record)| match record {
        Record::Closed { manifest_sha256, .. } => Some(manifest_sha256),
        _ => None,
    });
    let Some(manifest_sha256) = closed else {
        return half_sealed(run, chain, tree, found);
    };
    match disk::read_plain(&run.join(MANIFEST)) {
        Ok(bytes) => {
            if sha256_hex(&bytes) != *manifest_sha256 {
                let text = "it is not the one of the last line";
                found.file(Code::ManifestMismatch, MANIFEST, text);
            }
            manifest(run, &bytes, chain, tree, found);
        }
        Err(error) => found.file(Code::ManifestMissing, MANIFEST, chain_of(&error)),
    }
    match disk::read_plain(&run.join(SEAL)) {
        Ok(bytes) if bytes == digest_line(&sha256_hex(journal)).as_bytes() => {}
        Ok(_) => found.file(Code::DigestMismatch, SEAL, "it is not that of the journal: one of the two was edited"),
        Err(error) => found.file(Code::DigestMissing, SEAL, chain_of(&error)),
    }
}

/// A crash while a run is closed leaves both files but not the last line. Then no other line is missing.
fn half_sealed(run: &Path, chain: &Chain, tree: &Tree, found: &mut Findings) {
    for path in [MANIFEST, SEAL].into_iter().filter(|p| tree.contains(*p)) {
        let text = "the run was being closed when it ended, or its last line is missing";
        found.note_file(Code::Leftover, path, text);
    }
    let manifest = tree.contains(MANIFEST).then(|| disk::read_plain(&run.join(MANIFEST)));
    if let Some(Ok(bytes)) = manifest
        && let Ok(manifest) = strict::from_slice::<Manifest>(&bytes)
        && (manifest.lines != chain.lines.len() as u64 || manifest.head != chain.head)
    {
        let text = format!("it was written behind {} lines, of which {} are here", manifest.lines, chain.lines.len());
        found.file(Code::ManifestMismatch, MANIFEST, text);
    }
}

fn manifest(run: &Path, bytes: &[u8], chain: &Chain, tree: &Tree, found: &mut Findings) {
    let mut wrong = |text: String| found.file(Code::ManifestMismatch, MANIFEST, text);
    let manifest: Manifest = match strict::from_slice(bytes) {
        Ok(manifest) => manifest,
        Err(error) => return wrong(super::finding::shown(&error.to_string())),
    };
    let first = chain.known().next();
    if manifest.format != MANIFEST_FORMAT
        || first.is_some_and(|(_, line)| line.run != manifest.run)
        || manifest.lines + 1 != chain.lines.len() as u64
        || manifest.head != chain.before_head
    {
        wrong("it describes another journal".to_owned());
    }
    let listed: BTreeMap<&str, &FileRef> = manifest.files.iter().map(|file| (file.path.as_str(), file)).collect();
    for path in tree {
        if ![JOURNAL, MANIFEST, SEAL, SEAL_NOTE, SEAL_TSR, SEAL_SIG].contains(&path.as_str())
            && !listed.contains_key(path.as_str())
        {
            wrong(format!("it does not list {}", super::finding::shown(path)));
        }
    }
    for file in listed.values() {
        let path = super::finding::shown(&file.path);
        if !tree.contains(&file.path) {
            wrong(format!("it lists {path}, which is not there"));
        } else if disk::read_plain(&run.join(&file.path))
            .is_ok_and(|bytes| file_ref(file.path.clone(), &bytes) != **file)
        {
            wrong(format!("it lists other bytes for {path}"));
        }
    }
}

/// Whether it lies where the signed notes do, and is not what a crash left of one.
pub(super) fn is_note(path: &str) -> bool {
    path.strip_prefix(CHECKPOINTS).is_some_and(|rest| rest.starts_with('/')) && !is_torn(path)
}

/// Files that no line names.
pub(super) fn unlisted(chain: &Chain, tree: &Tree, found: &mut Findings) {
    let mut known: BTreeSet<&str> = BTreeSet::from([HEADER, PLAN, PLAYBOOK, JOURNAL, MANIFEST, SEAL, SEAL_NOTE]);
    if chain.closed() {
        known.extend([SEAL_TSR, SEAL_SIG]);
    }
    for (_, line) in chain.known() {
        known.extend(crate::journal::folder::referenced(std::slice::from_ref(line)).map(|f| f.path.as_str()));
    }
    // Whatever else lies with the checkpoints is held to its signature.
    for path in tree.iter().filter(|path| !known.contains(path.as_str()) && !is_note(path)) {
        if !chain.closed() && may_be_left_over(path, chain.lines.len() as u64) {
            let text = "no line names it yet: the run goes on, or crashed before its line was durable";
            found.note_file(Code::Leftover, path, text);
        } else {
            found.file(Code::UnlistedFile, path, "no line names it");
        }
    }
}

/// Whether it belongs to a line that could still come, or was set aside for one.
fn may_be_left_over(path: &str, records: u64) -> bool {
    let of_later_line = path
        .strip_prefix(EVIDENCE)
        .and_then(|rest| rest.strip_prefix('/'))
        .and_then(|name| name.split_once('-'))
        .filter(|(seq, _)| seq.len() >= 6 && seq.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|(seq, _)| seq.parse::<u64>().ok())
        .is_some_and(|seq| seq >= records);
    of_later_line || is_torn_path(path)
}

/// Sealed secrets lie beside the runs of a case; a copied folder comes without them.
pub(super) fn handed_over(run: &Path, chain: &Chain, found: &mut Findings) {
    let Some(case) = run.canonicalize().ok().and_then(|run| {
        let runs = run.parent()?;
        runs.ends_with("runs").then(|| runs.parent())?.map(Path::to_owned)
    }) else {
        return;
    };
    for (seq, record) in chain.records() {
        let Record::Sealed { file, sha256, .. } = record else {
            continue;
        };
        let inside = file.starts_with("handover/") && file.split('/').all(|part| !matches!(part, "" | "." | ".."));
        if !inside || file.contains('\\') {
            let text = "a sealed secret lies in the case's folder `handover`";
            found.named(Code::BadPath, seq, file, text);
            continue;
        }
        let path = case.join(file);
        if path.symlink_metadata().is_err() {
            found.note_file(Code::HandoverGone, file, "the sealed secret is no longer beside the run");
            continue;
        }
        match disk::read_plain(&path) {
            Ok(bytes) if sha256_hex(&bytes) != *sha256 => {
                let text = "it has other bytes than when the secret was sealed";
                found.named(Code::HandoverEdited, seq, file, text);
            }
            Ok(_) => {}
            Err(error) => found.named(Code::NotPlain, seq, file, chain_of(&error)),
        }
    }
}
