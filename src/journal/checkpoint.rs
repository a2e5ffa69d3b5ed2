//! What is signed, by which key and when: the root of the journal's lines so far, as a C2SP checkpoint
//! (c2sp.org/tlog-checkpoint), by a key that lives in this process only.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::SigningKey;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use rand::{TryRng as _, rngs::SysRng};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::journal::{
    Record,
    merkle::{Hash, Tree},
    note::{self, Note, Vkey},
    words,
};

/// What may stand in an origin as it is.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The name of a run's log and of its keys: it binds a signature to one run of one case.
pub(crate) fn origin(case: &str, run: &str) -> String {
    format!("staunch/case/{}/run/{}", utf8_percent_encode(case, PLAIN), utf8_percent_encode(run, PLAIN))
}

/// Whether the journal is signed when this line was written.
pub(crate) fn follows(record: &Record) -> bool {
    matches!(
        record,
        Record::RunOpened { .. }
            | Record::Approved { .. }
            | Record::StageEnded { .. }
            | Record::Resumed { .. }
            | Record::Interrupted { .. }
    )
}

/// Where the note for this many lines lies.
pub(crate) fn path(size: u64) -> String {
    format!("{}/{size:06}.note", crate::journal::folder::CHECKPOINTS)
}

/// The keys of a run's processes, each with the number of the first line that it may sign.
pub(crate) fn keys<'a>(records: impl Iterator<Item = (u64, &'a Record)>) -> Vec<(u64, &'a str)> {
    let key = |(seq, record): (u64, &'a Record)| match record {
        Record::RunOpened { vkey, .. } => Some((seq, vkey.as_str())),
        Record::Resumed { continues: Some(continues), .. } => Some((seq, continues.vkey.as_str())),
        _ => None,
    };
    records.filter_map(key).collect()
}

/// The key that signs this many lines: that of the process which wrote the last of them.
pub(crate) fn key_for(keys: &[(u64, &str)], size: u64) -> Option<Vkey> {
    keys.iter().rev().find(|(from, _)| *from < size).and_then(|(_, key)| key.parse().ok())
}

/// The root over a number of lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Checkpoint {
    pub(crate) origin: String,
    pub(crate) size: u64,
    pub(crate) root: Hash,
}

impl Checkpoint {
    pub(crate) fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64_STANDARD.encode(self.root))
    }

    /// Reads the text of a note; ours have no lines of extension, so none are accepted.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut lines = text.strip_suffix('\n')?.split('\n');
        let (origin, size, root) = (lines.next()?, lines.next()?, lines.next()?);
        let number: u64 = size.parse().ok()?;
        let root: Hash = BASE64_STANDARD.decode(root).ok()?.try_into().ok()?;
        let plain = lines.next().is_none() && !origin.is_empty() && number.to_string() == size;
        plain.then(|| Self { origin: origin.to_owned(), size: number, root })
    }

    /// Reads a whole note.
    pub(crate) fn of_note(note: &str) -> Option<(Self, Note<'_>)> {
        let note = Note::parse(note)?;
        Some((Self::parse(note.text)?, note))
    }
}

/// What to note outside of the folder, so that nobody can write the folder anew: the key, and the root that it signs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Anchor {
    /// The public key, as `audit verify --key` takes it.
    pub vkey: String,
    /// Words of its digest, to be read over the phone.
    pub key_words: String,
    /// Lines under the root.
    pub size: u64,
    /// The root, in Base64 as in a checkpoint.
    pub root: String,
    /// Words of its digest.
    pub root_words: String,
}

impl Anchor {
    pub(crate) fn new(vkey: String, size: u64, root: Hash) -> Self {
        Self {
            key_words: words::of(vkey.as_bytes()),
            vkey,
            size,
            root: BASE64_STANDARD.encode(root),
            root_words: words::of(&root),
        }
    }
}

/// Signs the checkpoints of one process. Its key is drawn from the system, never leaves the memory, and is wiped when
/// this is dropped.
pub(crate) struct Signer {
    key: SigningKey,
    origin: String,
    last: Option<Checkpoint>,
}

impl Signer {
    /// Draws a key.
    pub(crate) fn draw(case: &str, run: &str) -> std::io::Result<Self> {
        let mut seed = Zeroizing::new([0; 32]);
        SysRng.try_fill_bytes(seed.as_mut()).map_err(std::io::Error::other)?;
        Ok(Self { key: SigningKey::from_bytes(&seed), origin: origin(case, run), last: None })
    }

    pub(crate) fn vkey(&self) -> String {
        Vkey::new(&self.origin, self.key.verifying_key()).to_string()
    }

    /// Lines under the newest signature.
    pub(crate) fn signed(&self) -> u64 {
        self.last.as_ref().map_or(0, |last| last.size)
    }

    /// Signs the root of a tree; none where the tree is not an extension of the one that was signed before.
    pub(crate) fn sign(&mut self, tree: &Tree) -> Option<String> {
        if let Some(last) = &self.last
            && tree.root_at(last.size) != Some(last.root)
        {
            return None;
        }
        let checkpoint = Checkpoint { origin: self.origin.clone(), size: tree.size(), root: tree.root() };
        let note = note::sign(&checkpoint.text(), &self.origin, &self.key);
        self.last = Some(checkpoint);
        Some(note)
    }
}

#[cfg(test)]
mod tests {
    use super::{Anchor, Checkpoint, Signer, origin};
    use crate::journal::{merkle::Tree, note::Vkey};

    #[test]
    fn only_an_extension_is_signed() {
        let mut signer = Signer::draw("ir 7", "r1").unwrap();
        let vkey: Vkey = signer.vkey().parse().unwrap();
        let tree = |lines: &[&str]| Tree::of(lines.iter().map(|line| line.as_bytes()));
        let note = signer.sign(&tree(&["a", "b"])).unwrap();
        let (checkpoint, read) = Checkpoint::of_note(&note).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("staunch/case/ir%207/run/r1", 2));
        assert!(read.is_signed_by(&vkey));
        assert_eq!(signer.sign(&tree(&["a"])), None, "shorter");
        assert_eq!(signer.sign(&tree(&["a", "x", "c"])), None, "another history");
        assert!(signer.sign(&tree(&["a", "b", "c"])).is_some());
        assert_eq!(signer.signed(), 3);
    }

    #[test]
    fn every_run_has_a_key_of_its_own() {
        let [a, b] = [(), ()].map(|()| Signer::draw("c", "r").unwrap().vkey());
        assert_ne!(a, b);
        let anchor = Anchor::new(a.clone(), 0, Tree::default().root());
        assert_eq!(anchor.key_words.split(' ').count(), 8);
        assert_ne!(anchor.key_words, Anchor::new(b, 0, Tree::default().root()).key_words);
    }

    #[test]
    fn an_origin_has_no_space_and_no_plus() {
        assert_eq!(origin("a+b c/d\n", "r"), "staunch/case/a%2Bb%20c%2Fd%0A/run/r");
    }

    #[test]
    fn a_checkpoint_is_three_lines_and_nothing_else() {
        let root = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
        assert!(Checkpoint::parse(&format!("o\n12\n{root}\n")).is_some());
        for bad in [
            format!("o\n012\n{root}\n"),
            format!("o\n+12\n{root}\n"),
            format!("o\n12\n{root}\nmore\n"),
            format!("o\n12\n{root}"),
            format!("\n12\n{root}\n"),
            "o\n12\nAA==\n".into(),
        ] {
            assert_eq!(Checkpoint::parse(&bad), None, "{bad:?}");
        }
    }
}
