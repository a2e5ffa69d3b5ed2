//! What is trusted from elsewhere: keys and roots that were noted when a run began or ended, or a file that lists keys.

use base64::{Engine as _, prelude::BASE64_STANDARD};

use crate::journal::{
    AllowedSigners, StampRoots, VkeyError,
    merkle::Hash,
    note::{Note, Vkey},
};

/// What is known from elsewhere. All of it must hold; with nothing of it, a record can be whole but not authentic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trust {
    keys: Vec<Vkey>,
    roots: Vec<Hash>,
    signers: Option<AllowedSigners>,
    stamp_roots: Option<StampRoots>,
    tenant: Option<String>,
    wants_stamp: bool,
    wants_signature: bool,
}

/// A root that was given is not 32 bytes in Base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it is not a root: 32 bytes in Base64, as the program shows it")]
pub struct RootError;

/// Why a policy cannot be used; lines count from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// A key on this line is none.
    #[error("use the key of line {line} of the policy")]
    Key {
        /// Which line.
        line: usize,
        /// Why.
        source: VkeyError,
    },
    /// A line asks for something that this version cannot check, so nothing may be called authentic.
    #[error(
        "understand line {line} of the policy: only `log KEY`, `quorum none`, `require timestamp` and `require signature` \
         are known"
    )]
    Unknown {
        /// Which line.
        line: usize,
    },
    /// Nothing is trusted.
    #[error("find a `log` line in the policy")]
    Empty,
}

impl Trust {
    /// These keys.
    pub fn keys(keys: impl IntoIterator<Item = Vkey>) -> Self {
        Self { keys: keys.into_iter().collect(), ..Self::default() }
    }

    /// A root that was noted, in Base64.
    ///
    /// # Errors
    /// When it is not one.
    pub fn root(text: &str) -> Result<Self, RootError> {
        let bytes = BASE64_STANDARD.decode(text).ok().and_then(|bytes| Hash::try_from(bytes).ok());
        Ok(Self { roots: vec![bytes.ok_or(RootError)?], ..Self::default() })
    }

    /// A policy (c2sp.org/tlog-policy): its `log` lines, and as our own extension `require timestamp` and
    /// `require signature`. Witnesses are not supported, and lines that ask for them are refused.
    ///
    /// # Errors
    /// When a line is not understood, or no key is there.
    pub fn policy(text: &str) -> Result<Self, PolicyError> {
        let mut policy = Self::default();
        for (line, words) in (1..).zip(text.lines().map(|line| line.split_whitespace().collect::<Vec<_>>())) {
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["log", key] | ["log", key, _] => {
                    policy.keys.push(key.parse::<Vkey>().map_err(|source| PolicyError::Key { line, source })?);
                }
                ["quorum", "none"] => {}
                ["require", "timestamp"] => policy.wants_stamp = true,
                ["require", "signature"] => policy.wants_signature = true,
                _ => return Err(PolicyError::Unknown { line }),
            }
        }
        if policy.keys.is_empty() { Err(PolicyError::Empty) } else { Ok(policy) }
    }

    /// The tenant that the run must be of.
    pub fn tenant(id: &str) -> Self {
        Self { tenant: Some(id.to_owned()), ..Self::default() }
    }

    /// People who may sign a seal. One of them must have.
    pub fn signers(signers: AllowedSigners) -> Self {
        Self { signers: Some(signers), ..Self::default() }
    }

    /// Authorities that are believed about time. One of them must have stamped the seal.
    pub fn stamp_roots(roots: StampRoots) -> Self {
        Self { stamp_roots: Some(roots), ..Self::default() }
    }

    pub(super) fn wanted_tenant(&self) -> Option<&str> {
        self.tenant.as_deref()
    }

    pub(super) fn known_signers(&self) -> Option<&AllowedSigners> {
        self.signers.as_ref()
    }

    pub(super) fn known_stamp_roots(&self) -> Option<&StampRoots> {
        self.stamp_roots.as_ref()
    }

    /// Whether a record without a time stamp is not enough.
    pub(super) fn wants_stamp(&self) -> bool {
        self.wants_stamp || self.stamp_roots.is_some()
    }

    /// Whether a record that no person signed is not enough.
    pub(super) fn wants_signature(&self) -> bool {
        self.wants_signature || self.signers.is_some()
    }

    /// Whether a key is known.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    pub(super) fn roots(&self) -> &[Hash] {
        &self.roots
    }

    /// Both.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self.roots.extend(other.roots);
        self.signers = self.signers.or(other.signers);
        self.tenant = self.tenant.or(other.tenant);
        self.stamp_roots = self.stamp_roots.or(other.stamp_roots);
        self.wants_stamp |= other.wants_stamp;
        self.wants_signature |= other.wants_signature;
        self
    }

    pub(super) fn has(&self, key: &str) -> bool {
        key.parse::<Vkey>().is_ok_and(|key| self.keys.contains(&key))
    }

    /// The trusted key that signed a note.
    pub(crate) fn signer(&self, note: &Note<'_>) -> Option<&Vkey> {
        self.keys.iter().find(|key| note.is_signed_by(key))
    }
}

#[cfg(test)]
mod tests {
    use super::{PolicyError, Trust};
    use crate::journal::{VkeyError, checkpoint::Signer};

    #[test]
    fn a_policy_is_read_or_refused() {
        let key = Signer::draw("c", "r").unwrap().vkey();
        let trust =
            Trust::policy(&format!("# case 7\n\nlog {key}\nlog {key} https://x.example\nquorum none\n")).unwrap();
        assert!(trust.has(&key));
        assert!(!trust.has("other"));
        assert!(!trust.wants_stamp() && !trust.wants_signature());
        let strict = Trust::policy(&format!("log {key}\nrequire timestamp\nrequire signature\n")).unwrap();
        assert!(strict.wants_stamp() && strict.wants_signature());
        assert_eq!(Trust::policy("quorum none\n"), Err(PolicyError::Empty));
        assert_eq!(Trust::policy(&format!("log {key}\nrequire x\n")), Err(PolicyError::Unknown { line: 2 }));
        assert_eq!(Trust::policy(&format!("log {key}\nwitness w {key}\n")), Err(PolicyError::Unknown { line: 2 }));
        let error = Trust::policy(&format!("log x{key}\n")).unwrap_err();
        assert_eq!(error, PolicyError::Key { line: 1, source: VkeyError::Id });
    }
}
