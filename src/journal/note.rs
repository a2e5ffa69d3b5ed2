//! Signed notes and verifier keys as C2SP defines them (c2sp.org/signed-note), with Ed25519 keys only.
//!
//! A note is text, an empty line, and lines of signatures. What ours say is in `checkpoint`.

use std::fmt;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest as _, Sha256};

use crate::journal::hash::hex;

/// The type of plain Ed25519 keys.
const ED25519: u8 = 1;

/// What begins the line of a signature.
const DASH: &str = "\u{2014} ";

/// Why something is not a key for verifying.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum VkeyError {
    /// Not `NAME+ID+KEY`.
    #[error("it is not of the form NAME+ID+KEY")]
    Form,
    /// Neither hexadecimal nor Base64 where it should be, or not an Ed25519 key.
    #[error("it holds no Ed25519 key")]
    Key,
    /// The id was made from another name or key: a character was mistyped.
    #[error("its id is not that of its name and key: a character is wrong")]
    Id,
}

/// A public key with the name under which it signs: `NAME+ID+KEY`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vkey {
    name: String,
    key: VerifyingKey,
}

impl Vkey {
    pub(crate) fn new(name: &str, key: VerifyingKey) -> Self {
        Self { name: name.to_owned(), key }
    }

    /// The name under which it signs; for a run, its origin.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn id(&self) -> [u8; 4] {
        let digest: [u8; 32] = Sha256::new()
            .chain_update(&self.name)
            .chain_update([b'\n', ED25519])
            .chain_update(self.key.as_bytes())
            .finalize()
            .into();
        let [a, b, c, d, ..] = digest;
        [a, b, c, d]
    }
}

impl fmt::Display for Vkey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.key.as_bytes().as_slice()].concat();
        write!(f, "{}+{}+{}", self.name, hex(&self.id()), BASE64_STANDARD.encode(key))
    }
}

impl std::str::FromStr for Vkey {
    type Err = VkeyError;

    fn from_str(text: &str) -> Result<Self, VkeyError> {
        let mut parts = text.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VkeyError::Form);
        };
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(VkeyError::Form);
        }
        let bytes = BASE64_STANDARD.decode(key).map_err(|_| VkeyError::Key)?;
        let Some((&ED25519, key)) = bytes.split_first() else {
            return Err(VkeyError::Key);
        };
        let key = key.try_into().ok().and_then(|key| VerifyingKey::from_bytes(key).ok()).ok_or(VkeyError::Key)?;
        let vkey = Self { name: name.to_owned(), key };
        if hex(&vkey.id()) == id { Ok(vkey) } else { Err(VkeyError::Id) }
    }
}

/// Signs a text, which ends with a newline, and gives the whole note.
pub(crate) fn sign(text: &str, name: &str, key: &SigningKey) -> String {
    let id = Vkey::new(name, key.verifying_key()).id();
    let signature = [id.as_slice(), &key.sign(text.as_bytes()).to_bytes()].concat();
    format!("{text}\n{DASH}{name} {}\n", BASE64_STANDARD.encode(signature))
}

/// A note that was read; nothing about it is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note<'a> {
    /// What was signed, with its last newline.
    pub(crate) text: &'a str,
    /// Name, and bytes of id and signature.
    signatures: Vec<(&'a str, Vec<u8>)>,
}

impl<'a> Note<'a> {
    /// Reads a note; none where it does not have the form of one.
    pub(crate) fn parse(note: &'a str) -> Option<Self> {
        if note.chars().any(|c| c.is_control() && c != '\n') {
            return None;
        }
        let at = note.rfind("\n\n")?;
        let (text, rest) = (note.get(..=at)?, note.get(at + 2..)?);
        let lines = rest.strip_suffix('\n')?.split('\n');
        let signatures = lines
            .map(|line| {
                let (name, signature) = line.strip_prefix(DASH)?.split_once(' ')?;
                Some((name, BASE64_STANDARD.decode(signature).ok()?))
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Self { text, signatures })
    }

    /// Whether this key signed the text.
    pub(crate) fn is_signed_by(&self, vkey: &Vkey) -> bool {
        let holds = |signature: &[u8]| {
            signature
                .strip_prefix(&vkey.id())
                .and_then(|bytes| Signature::from_slice(bytes).ok())
                .is_some_and(|signature| vkey.key.verify_strict(self.text.as_bytes(), &signature).is_ok())
        };
        self.signatures.iter().any(|(name, signature)| *name == vkey.name && holds(signature))
    }
}

#[cfg(test)]
mod tests {
    use ed25519_dalek::SigningKey;

    use super::{Note, Vkey, VkeyError, sign};

    fn key(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    #[test]
    fn the_example_of_the_go_package_verifies() {
        // pkg.go.dev/golang.org/x/mod/sumdb/note, example of Open.
        let vkey: Vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW".parse().unwrap();
        let note = "If you think cryptography is the answer to your problem,\n\
                    then you don't know what your problem is.\n\n\
                    \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        assert!(Note::parse(note).unwrap().is_signed_by(&vkey));
        assert!(!Note::parse(&note.replace("your", "our")).unwrap().is_signed_by(&vkey));
    }

    #[test]
    fn a_key_reads_back_and_a_mistyped_one_does_not() {
        let vkey = Vkey::new("staunch/case/a/run/b", key(1).verifying_key());
        let text = vkey.to_string();
        assert_eq!(text.parse(), Ok(vkey));
        assert_eq!(text.replace("/b+", "/c+").parse::<Vkey>(), Err(VkeyError::Id));
        assert_eq!("a+b".parse::<Vkey>(), Err(VkeyError::Form));
        assert_eq!("a b+00000000+AAAA".parse::<Vkey>(), Err(VkeyError::Form));
        assert_eq!("a+00000000+AAAA".parse::<Vkey>(), Err(VkeyError::Key));
    }

    #[test]
    fn a_note_holds_under_its_own_key_and_name_only() {
        let note = sign("x\n1\n\ny\n", "n", &key(1));
        let read = Note::parse(&note).unwrap();
        assert_eq!(read.text, "x\n1\n\ny\n");
        assert!(read.is_signed_by(&Vkey::new("n", key(1).verifying_key())));
        assert!(!read.is_signed_by(&Vkey::new("n", key(2).verifying_key())));
        assert!(!read.is_signed_by(&Vkey::new("m", key(1).verifying_key())));
        for bad in ["", "x\n", "x\n\n", "x\n\ny\n", "x\n\n\u{2014} n !\n", "x\r\n\n\u{2014} n AA==\n"] {
            assert_eq!(Note::parse(bad), None, "{bad:?}");
        }
    }
}
