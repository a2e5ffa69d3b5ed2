//! The case around the run: that the runs before it are still there, and that no other folder claims to be it.

use std::path::Path;

use super::{
    chain::Chain,
    finding::{Code, Findings, shown},
};
use crate::journal::{Record, RunHeader, disk, folder::HEADER, ledger, strict};

pub(super) fn check(run: &Path, chain: &Chain, found: &mut Findings) {
    let Some((_, Record::RunOpened { earlier, .. })) = chain.records().next() else {
        return;
    };
    let run = run.canonicalize().ok();
    let Some(runs) = run.as_deref().and_then(Path::parent).filter(|runs| runs.ends_with("runs")) else {
        if !earlier.is_empty() {
            let text = "the runs of the case that it names are not beside it, so they were not checked";
            found.note(Code::EarlierRunsElsewhere, text);
        }
        return;
    };
    for earlier in earlier {
        let name = shown(&earlier.run);
        if earlier.run.is_empty() || !earlier.run.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
            found.line(Code::BadPath, 0, format!("{name} is not the id of a run"));
        } else if !runs.join(&earlier.run).is_dir() {
            found.line(Code::EarlierRunMissing, 0, format!("run {name} of this case is gone"));
        } else if let Some(text) = ledger::differs(runs, earlier) {
            found.line(Code::EarlierRunChanged, 0, format!("run {name} of this case: {text}"));
        }
    }
    let id_of = |folder: &Path| {
        let header = disk::read_plain(&folder.join(HEADER)).ok()?;
        strict::from_slice::<RunHeader>(&header).ok().map(|header| header.run_id)
    };
    let here = run.as_deref().and_then(id_of);
    let same = |folder: &&String| Some(runs.join(folder)) != run && here.is_some() && id_of(&runs.join(folder)) == here;
    for folder in ledger::ids(runs).iter().filter(same) {
        found.file(Code::RunIdReused, folder, "another folder of the case claims to be this run");
    }
}
