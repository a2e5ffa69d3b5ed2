//! What others put to a closed run's seal: the time stamp of an authority, and the signature of a person.

use std::path::Path;

use super::{
    chain_of,
    files::Tree,
    finding::{Code, Findings, shown},
    trust::Trust,
};
use crate::journal::{
    Stamp, StampError, check_stamp, disk,
    folder::{SEAL_NOTE, SEAL_SIG, SEAL_TSR},
    operator,
};

/// Checks both, where they are there or are asked for. Says whether somebody who is trusted signed the seal.
pub(super) fn check(run: &Path, files: &Tree, trust: &Trust, found: &mut Findings) -> bool {
    let Ok(seal) = disk::read_plain(&run.join(SEAL_NOTE)) else {
        return false;
    };
    let read = |name: &str| files.contains(name).then(|| disk::read_plain(&run.join(name)).ok()).flatten();
    stamp(&seal, read(SEAL_TSR).as_deref(), trust, found);
    signature(&seal, read(SEAL_SIG).as_deref(), trust, found)
}

fn stamp(seal: &[u8], answer: Option<&[u8]>, trust: &Trust, found: &mut Findings) {
    let Some(answer) = answer else {
        if trust.wants_stamp() {
            found.file(Code::StampMissing, SEAL_TSR, "a time stamp is asked for, and there is none");
        }
        return;
    };
    match check_stamp(seal, answer, None, trust.known_stamp_roots()) {
        Ok(stamp) => found.note_file(Code::Stamped, SEAL_TSR, words(&stamp)),
        Err(error @ StampError::NotBuilt) if !trust.wants_stamp() => {
            found.note_file(Code::StampNotChecked, SEAL_TSR, shown(&error.to_string()));
        }
        Err(error) => found.file(Code::StampBad, SEAL_TSR, chain_of(&error)),
    }
}

fn words(stamp: &Stamp) -> String {
    let Stamp { time, authority, serial, .. } = stamp;
    let rest = if stamp.is_anchored {
        "for which a root that was given stands"
    } else {
        "for which no root was given, so anybody could have made it (`--tsa-roots`)"
    };
    format!("the seal existed no later than {time}, says {authority} in stamp {serial}, {rest}")
}

fn signature(seal: &[u8], signature: Option<&[u8]>, trust: &Trust, found: &mut Findings) -> bool {
    let Some(signature) = signature else {
        if trust.wants_signature() {
            found.file(Code::SignatureMissing, SEAL_SIG, "a person's signature is asked for, and there is none");
        }
        return false;
    };
    let key = match operator::check(seal, signature) {
        Ok(key) => key,
        Err(error) => {
            found.file(Code::SignatureBad, SEAL_SIG, chain_of(&error));
            return false;
        }
    };
    let Some(signers) = trust.known_signers() else {
        let text = format!("signed with {key}; nobody said whose key that is (`--allowed-signers`)");
        found.note_file(Code::Signed, SEAL_SIG, text);
        return false;
    };
    match signers.principals(&key) {
        Some(principals) => {
            found.note_file(Code::Signed, SEAL_SIG, format!("signed by {} with {key}", shown(principals)));
            true
        }
        None => {
            found.file(
                Code::SignerUnknown,
                SEAL_SIG,
                format!("signed with {key}, which is none of the allowed signers'"),
            );
            false
        }
    }
}
