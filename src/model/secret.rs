//! Secrets that are made here: a new password.

use rand::{RngExt as _, seq::SliceRandom as _};
use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};

/// What happens to a new password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HandOver {
    /// Encrypted to the configured age recipients, in a file of its own, before it is set.
    Sealed,
    /// Nobody ever knows it: the account stays shut until the helpdesk issues a new credential.
    Discard,
}

/// A generated password. It cannot be printed or serialised.
#[derive(Clone, Debug)]
pub struct Password(SecretString);

const LOWER: &[u8] = b"abcdefghijkmnopqrstuvwxyz";
const UPPER: &[u8] = b"ABCDEFGHJKLMNPQRSTUVWXYZ";
const DIGITS: &[u8] = b"23456789";
const SIGNS: &[u8] = b"!#%*+-=?@_";
const LENGTH: usize = 32;

impl Password {
    /// Draws 32 characters with at least two of each class and none that look alike.
    ///
    /// Entra wants three of four classes and allows 256 characters.
    pub fn generate() -> Self {
        let mut rng = rand::rng();
        let classes = [LOWER, UPPER, DIGITS, SIGNS];
        let mut drawn: Vec<u8> = Vec::with_capacity(LENGTH);
        for class in classes.iter().cycle().take(8) {
            drawn.extend(pick(&mut rng, class));
        }
        let all = classes.concat();
        while drawn.len() < LENGTH {
            drawn.extend(pick(&mut rng, &all));
        }
        drawn.shuffle(&mut rng);
        let text: String = drawn.iter().map(|byte| char::from(*byte)).collect();
        zeroize::Zeroize::zeroize(&mut drawn);
        Self(text.into())
    }

    /// The text, for the one request that sets it and the one file that seals it.
    pub(crate) fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

fn pick(rng: &mut impl rand::Rng, from: &[u8]) -> Option<u8> {
    from.get(rng.random_range(0..from.len())).copied()
}

#[cfg(test)]
mod tests {
    use super::{DIGITS, LENGTH, LOWER, Password, SIGNS, UPPER};

    #[test]
    fn every_password_has_every_class() {
        for _ in 0..200 {
            let password = Password::generate();
            let text = password.expose();
            assert_eq!(text.len(), LENGTH);
            for class in [LOWER, UPPER, DIGITS, SIGNS] {
                assert!(text.bytes().filter(|byte| class.contains(byte)).count() >= 2);
            }
        }
    }

    #[test]
    fn debug_shows_nothing() {
        let password = Password::generate();
        assert!(!format!("{password:?}").contains(password.expose()));
    }
}
