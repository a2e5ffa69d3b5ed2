//! One line of a journal proved to somebody who is not to see the rest: a C2SP tlog-proof (c2sp.org/tlog-proof), with the
//! line itself as its extra data.

use std::path::Path;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::Serialize;

use crate::journal::{
    JournalError, Line, Trust,
    checkpoint::{self, Checkpoint},
    disk,
    folder::{Raw, SEAL_NOTE},
    merkle::{Hash, Tree, climbed, leaf},
    strict,
};

/// First line of a proof.
const FORMAT: &str = "c2sp.org/tlog-proof@v1";

/// Why a line cannot be proved, or a proof does not hold.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// The folder is not a run.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// There is no such line.
    #[error("prove line {seq}: the journal has {lines} lines")]
    NoLine {
        /// The line that was asked for.
        seq: u64,
        /// How many there are.
        lines: u64,
    },
    /// No signature covers the line, or the one that should is not one over these lines.
    #[error("prove line {0}: no signature covers it")]
    Unsigned(u64),
    /// The file is not a proof, or holds no line.
    #[error("read the proof: {0}")]
    Form(&'static str),
    /// None of the keys that were given signed it.
    #[error("check the proof: none of the keys that were given signed it")]
    Key,
    /// The line is not in what was signed.
    #[error("check the proof: the line is not under the root that was signed")]
    Root,
}

/// What a proof shows.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Proven {
    /// The run and case, as signed.
    pub origin: String,
    /// The key that was given and signed it.
    pub vkey: String,
    /// How many lines were signed.
    pub size: u64,
    /// The line.
    pub line: Line,
}

/// Proves line `seq` of a run, by its seal or else by the first checkpoint over it.
///
/// # Errors
/// When the record is damaged, there is no such line, or no signature covers it.
pub fn prove(run: &Path, seq: u64) -> Result<String, ProofError> {
    let raw = Raw::load(run)?;
    let bytes = raw.bytes.get(..raw.whole).unwrap_or_default();
    let lines: Vec<&[u8]> = bytes.split_inclusive(|b| *b == b'\n').filter_map(|l| l.strip_suffix(b"\n")).collect();
    let size = lines.len() as u64;
    let line = usize::try_from(seq).ok().and_then(|seq| lines.get(seq));
    let line = line.ok_or(ProofError::NoLine { seq, lines: size })?;
    let tree = Tree::of(lines.iter().copied());
    let keys = checkpoint::keys((0..).zip(raw.lines.iter().map(|line| &line.record)));
    let holds = |text: &String| {
        Checkpoint::of_note(text).is_some_and(|(signed, note)| {
            let key = checkpoint::key_for(&keys, signed.size);
            signed.size > seq
                && tree.root_at(signed.size) == Some(signed.root)
                && key.is_some_and(|key| note.is_signed_by(&key))
        })
    };
    let names = std::iter::once(SEAL_NOTE.to_owned()).chain((seq + 1..=size).map(checkpoint::path));
    let notes = names.filter_map(|name| disk::read_plain(&run.join(name)).ok());
    let note = notes.filter_map(|bytes| String::from_utf8(bytes).ok()).find(holds).ok_or(ProofError::Unsigned(seq))?;
    let (signed, _) = Checkpoint::of_note(&note).ok_or(ProofError::Unsigned(seq))?;
    let path = tree.inclusion(seq, signed.size).ok_or(ProofError::Unsigned(seq))?;
    let mut proof = format!("{FORMAT}\nextra {}\nindex {seq}\n", BASE64_STANDARD.encode(line));
    path.iter().for_each(|hash| proof.push_str(&format!("{}\n", BASE64_STANDARD.encode(hash))));
    Ok(format!("{proof}\n{note}"))
}

/// Checks a proof with nothing but itself and keys that were noted elsewhere.
///
/// # Errors
/// When it is not a proof, no given key signed it, or it does not lead to the root that was signed.
pub fn check_proof(proof: &str, trust: &Trust) -> Result<Proven, ProofError> {
    let form = ProofError::Form;
    let (head, note) = proof.split_once("\n\n").ok_or(form("it has no checkpoint"))?;
    let mut lines = head.split('\n');
    if lines.next() != Some(FORMAT) {
        return Err(form("its first line is not that of a tlog-proof"));
    }
    let extra = lines.next().and_then(|line| line.strip_prefix("extra ")).ok_or(form("it does not hold the line"))?;
    let line = BASE64_STANDARD.decode(extra).map_err(|_| form("its extra data is not Base64"))?;
    let index = lines.next().and_then(|line| line.strip_prefix("index ")).ok_or(form("it has no index"))?;
    let seq: u64 = index.parse().map_err(|_| form("its index is not a number"))?;
    let hash = |text: &str| BASE64_STANDARD.decode(text).ok().and_then(|bytes| Hash::try_from(bytes).ok());
    let path: Option<Vec<Hash>> = lines.map(hash).collect();
    let path = path.ok_or(form("a hash of it is not one"))?;
    let (signed, note) = Checkpoint::of_note(note).ok_or(form("its checkpoint is not one"))?;
    let key = trust.signer(&note).filter(|key| key.name() == signed.origin).ok_or(ProofError::Key)?;
    if climbed(leaf(&line), seq, signed.size, &path) != Some(signed.root) {
        return Err(ProofError::Root);
    }
    let line: Line = strict::from_slice(&line).map_err(|_| form("what is proved is not a line of a journal"))?;
    if line.seq != seq {
        return Err(ProofError::Root);
    }
    Ok(Proven { origin: signed.origin, vkey: key.to_string(), size: signed.size, line })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{ProofError, check_proof, prove};
    use crate::journal::{History, Trust, Vkey, testing::small};

    #[tokio::test]
    async fn every_line_can_be_proved_and_says_nothing_of_the_others() {
        let case = tempfile::tempdir().unwrap();
        let bench = small(case.path(), "r1").await;
        let key: Vkey = bench.journal.anchor().vkey.parse().unwrap();
        let trust = Trust::keys([key]);
        let run = bench.journal.run_dir().to_owned();
        // Not closed: lines under a checkpoint only.
        assert_eq!(check_proof(&prove(&run, 5).unwrap(), &trust).unwrap().size, 14);
        assert_eq!(check_proof(&prove(&run, 1).unwrap(), &trust).unwrap().size, 2);
        bench.close().await;
        let lines = History::load(&run).unwrap().lines;
        for line in &lines {
            let proof = prove(&run, line.seq).unwrap();
            let proven = check_proof(&proof, &trust).unwrap();
            assert_eq!((&proven.line, proven.size), (line, 15));
            assert_eq!(proven.origin, "staunch/case/ir-7/run/r1");
        }
        assert!(!prove(&run, 1).unwrap().contains("johanna"));
        assert!(matches!(prove(&run, 15), Err(ProofError::NoLine { lines: 15, .. })));
    }

    #[tokio::test]
    async fn a_proof_that_was_touched_or_is_of_another_key_does_not_hold() {
        let case = tempfile::tempdir().unwrap();
        let bench = small(case.path(), "r1").await;
        let trust = Trust::keys([bench.journal.anchor().vkey.parse::<Vkey>().unwrap()]);
        let run = bench.close().await;
        let proof = prove(&run, 4).unwrap();
        assert!(matches!(check_proof(&proof, &Trust::default()), Err(ProofError::Key)));
        assert!(matches!(check_proof(&proof.replace("index 4", "index 5"), &trust), Err(ProofError::Root)));
        let other = prove(&run, 5).unwrap();
        let line = |proof: &str| proof.lines().nth(1).unwrap().to_owned();
        let exchanged = proof.replace(&line(&proof), &line(&other));
        assert!(matches!(check_proof(&exchanged, &trust), Err(ProofError::Root)));
        assert!(matches!(check_proof(&proof.replace("\n15\n", "\n14\n"), &trust), Err(ProofError::Key)));
        for bad in ["", "x\n\ny", "c2sp.org/tlog-proof@v1\nindex 4\n\nx\n"] {
            assert!(matches!(check_proof(bad, &trust), Err(ProofError::Form(_))), "{bad:?}");
        }
        // A record whose signatures are gone proves nothing.
        fs::remove_file(run.join("seal.note")).unwrap();
        assert!(matches!(prove(&run, 14), Err(ProofError::Unsigned(14))));
    }
}
