//! The signature of a person over a run's seal: an SSH signature (`PROTOCOL.sshsig`), as `ssh-keygen -Y sign` makes it
//! from a key in a file, an agent or a hardware token. Making one is ssh-keygen's; here it is checked.

use std::{fmt, path::Path};

use ssh_key::{HashAlg, PublicKey, SshSig, public::KeyData};

use crate::journal::{
    History, JournalError, disk,
    folder::{SEAL_NOTE, SEAL_SIG},
};

/// What our signatures are for: one made for another purpose does not count.
pub const SIGNATURE_NAMESPACE: &str = "staunch";

/// Why a signature does not hold, or cannot be added.
#[derive(Debug, thiserror::Error)]
pub enum SignatureError {
    /// The folder is not a run, or cannot be written.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The run goes on: there is nothing to sign yet.
    #[error("sign the run: it is not closed")]
    NotClosed,
    /// Not an SSH signature.
    #[error("read the signature: it is not an SSH signature")]
    Form(#[source] ssh_key::Error),
    /// It was made for something else.
    #[error("check the signature: it was made for another purpose than `{SIGNATURE_NAMESPACE}`")]
    Namespace,
    /// It is not over these bytes, or of a kind that is not known here.
    #[error("check the signature: it is not one over this seal (keys: Ed25519 and ECDSA P-256, also of hardware)")]
    Wrong(#[source] ssh_key::Error),
}

/// A line of a file of allowed signers that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("understand line {line} of the allowed signers: {reason}")]
pub struct SignersError {
    /// Counted from 1.
    pub line: usize,
    /// Why.
    pub reason: &'static str,
}

/// Whose signatures count: a file as ssh-keygen takes it (`ssh-keygen(1)`, ALLOWED SIGNERS), of which the option
/// `namespaces` is understood and every other is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedSigners(Vec<Signer>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Signer {
    principals: String,
    key: KeyData,
}

impl AllowedSigners {
    /// Reads a file.
    ///
    /// # Errors
    /// When a line is not understood: to skip it could let a signature pass that the file does not allow.
    pub fn parse(text: &str) -> Result<Self, SignersError> {
        let mut signers = Vec::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if text.is_empty() || text.starts_with('#') {
                continue;
            }
            signers.extend(signer(text).map_err(|reason| SignersError { line, reason })?);
        }
        Ok(Self(signers))
    }

    /// As whom a key is allowed to sign.
    pub(crate) fn principals(&self, key: &SignedBy) -> Option<&str> {
        self.0.iter().find(|signer| signer.key == key.0).map(|signer| signer.principals.as_str())
    }
}

/// One line; none where it is for other purposes than ours.
fn signer(text: &str) -> Result<Option<Signer>, &'static str> {
    let (principals, rest) = text.split_once(char::is_whitespace).ok_or("it has no key")?;
    let (options, key) = options(rest.trim_start());
    let mut ours = true;
    for option in options {
        let namespaces = option.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("namespaces"));
        let (_, list) = namespaces.ok_or("only the option `namespaces` is known")?;
        let list = list.trim_matches('"');
        if list.contains(['*', '?', '!']) {
            return Err("a pattern in `namespaces` is not known");
        }
        ours &= list.split(',').any(|name| name.trim() == SIGNATURE_NAMESPACE);
    }
    let key = PublicKey::from_openssh(key).map_err(|_| "its key is none")?;
    let principals = principals.trim_matches('"').to_owned();
    Ok(ours.then(|| Signer { principals, key: key.key_data().clone() }))
}

/// The options that stand before a key, and the key.
fn options(text: &str) -> (Vec<String>, &str) {
    if ["ssh-", "ecdsa-", "sk-"].iter().any(|kind| text.starts_with(kind)) {
        return (Vec::new(), text);
    }
    let (mut quoted, mut found) = (false, vec![String::new()]);
    for (at, c) in text.char_indices() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => return (found, text.get(at..).unwrap_or_default().trim_start()),
            ',' if !quoted => found.push(String::new()),
            _ => {}
        }
        if (c != ',' || quoted)
            && let Some(last) = found.last_mut()
        {
            last.push(c);
        }
    }
    (found, "")
}

/// The key that made a signature. Nobody said yet whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedBy(KeyData);

impl fmt::Display for SignedBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.0.algorithm(), self.0.fingerprint(HashAlg::Sha256))
    }
}

/// Checks a signature over a seal.
pub(crate) fn check(seal: &[u8], signature: &[u8]) -> Result<SignedBy, SignatureError> {
    let signature = SshSig::from_pem(signature).map_err(SignatureError::Form)?;
    if signature.namespace() != SIGNATURE_NAMESPACE {
        return Err(SignatureError::Namespace);
    }
    let key = PublicKey::from(signature.public_key().clone());
    key.verify(SIGNATURE_NAMESPACE, seal, &signature).map_err(SignatureError::Wrong)?;
    Ok(SignedBy(signature.public_key().clone()))
}

/// The seal of a closed run: what a person signs, and an authority stamps.
///
/// # Errors
/// When the folder is not a run, or the run is not closed.
pub fn seal_of(run: &Path) -> Result<Vec<u8>, SignatureError> {
    if !History::load(run)?.closed {
        return Err(SignatureError::NotClosed);
    }
    Ok(disk::read_plain(&run.join(SEAL_NOTE))?)
}

/// Adds a signature over the seal to a closed run, once.
///
/// # Errors
/// When the signature does not hold, the run is not closed, or it has one.
pub fn attach_signature(run: &Path, signature: &[u8]) -> Result<SignedBy, SignatureError> {
    let key = check(&seal_of(run)?, signature)?;
    disk::write_new_synced(&run.join(SEAL_SIG), signature)?;
    disk::sync_dir(run)?;
    Ok(key)
}

#[cfg(test)]
mod tests {
    use super::{AllowedSigners, SignatureError, check, options};

    const SEAL: &[u8] = include_bytes!("../../tests/fixtures/seal/seal.note");
    const ED25519: &[u8] = include_bytes!("../../tests/fixtures/seal/ed25519.sig");
    const ECDSA: &[u8] = include_bytes!("../../tests/fixtures/seal/ecdsa.sig");
    const RSA: &[u8] = include_bytes!("../../tests/fixtures/seal/rsa.sig");
    const OTHER_PURPOSE: &[u8] = include_bytes!("../../tests/fixtures/seal/other-purpose.sig");
    const ALLOWED: &str = include_str!("../../tests/fixtures/seal/allowed_signers");

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILM+rvN+ot98qgEN796jTiQfZfG1KaT0PtFDJ/XFSqti";

    #[test]
    fn a_file_of_allowed_signers_is_read_or_refused() {
        let signers = |text: &str| AllowedSigners::parse(text).map(|signers| signers.0.len());
        assert_eq!(signers(&format!("# the team\n\njohanna@contoso.example {KEY} laptop\n")), Ok(1));
        assert_eq!(signers(&format!("a,b namespaces=\"git,staunch\" {KEY}")), Ok(1));
        assert_eq!(signers(&format!("a Namespaces=staunch {KEY}")), Ok(1));
        assert_eq!(signers(&format!("a namespaces=\"git\" {KEY}")), Ok(0), "for another purpose");
        for bad in
            ["a", "a ssh-ed25519 AAAA", "a namespaces=\"st*\" KEY", "a cert-authority KEY", "a valid-after=\"2\" KEY"]
        {
            let error = AllowedSigners::parse(&format!("# x\n{}", bad.replace("KEY", KEY))).unwrap_err();
            assert_eq!(error.line, 2, "{bad}: {error}");
        }
    }

    #[test]
    fn signatures_of_ssh_keygen_hold_over_their_seal_and_purpose_alone() {
        let signers = AllowedSigners::parse(ALLOWED).unwrap();
        for (name, signature) in [("ed25519", ED25519), ("ecdsa", ECDSA)] {
            let key = check(SEAL, signature).unwrap();
            assert_eq!(signers.principals(&key), Some(format!("{name}@contoso.example").as_str()));
            assert!(key.to_string().contains("SHA256:"), "{key}");
            assert_eq!(AllowedSigners::default().principals(&key), None);
            assert!(matches!(check(b"another seal", signature), Err(SignatureError::Wrong(_))));
        }
        assert!(matches!(check(SEAL, RSA), Err(SignatureError::Wrong(_))), "a kind of key that is not known");
        assert!(matches!(check(SEAL, OTHER_PURPOSE), Err(SignatureError::Namespace)));
        assert!(matches!(check(SEAL, b"no signature"), Err(SignatureError::Form(_))));
    }

    #[test]
    fn options_may_hold_commas_and_spaces_in_quotes() {
        let (found, rest) = options("namespaces=\"a, b\",x=1  ssh-ed25519 AAAA");
        assert_eq!(found, ["namespaces=\"a, b\"", "x=1"]);
        assert_eq!(rest, "ssh-ed25519 AAAA");
    }
}
