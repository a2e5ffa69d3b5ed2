//! The two verifiers, ours and `tests/verify.py`, which must agree wherever both are asked: on the verdict, and on the
//! layer that does not hold.

#[path = "../../../tests/common/skip.rs"]
mod skip;

use std::{path::Path, process::Command};

use serde::Serialize;
use serde_json::Value;

use crate::journal::{Trust, Verdict, Verification, Vkey, verify::Code, verify_with};

/// Where an attack is found first. A layer sees what the layers above it in this list cannot, and rests on them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Layer {
    /// A line or the header alone: strict JSON of a known kind.
    Form,
    /// The lines among each other: digests, places, clocks.
    Chain,
    /// The files around the journal.
    Files,
    /// The rules of a run: no change without approval, snapshot and intent.
    Rules,
    /// What the close left: manifest and digest, which anybody can make anew.
    Close,
    /// The signatures in the folder, which nobody can make anew without the key.
    Seal,
    /// The case around the run.
    Case,
    /// What was noted outside of the folder: key and root.
    Anchor,
    /// Told, and no reason to call the record broken.
    Told,
}

pub(super) fn layer(code: Code) -> Layer {
    match code {
        Code::UnknownVersion | Code::BadHeader | Code::BadLine | Code::DuplicateKey | Code::UnknownRecord => {
            Layer::Form
        }
        Code::WrongSeq
        | Code::BrokenChain
        | Code::WrongRun
        | Code::MonoBackwards
        | Code::NotOpened
        | Code::AfterClosed
        | Code::ResumeMismatch => Layer::Chain,
        Code::UnreadableFile
        | Code::NotPlain
        | Code::UnlistedFile
        | Code::BadPath
        | Code::HeaderMismatch
        | Code::PlanMismatch
        | Code::PlanEdited
        | Code::PlaybookMismatch
        | Code::EvidenceMissing
        | Code::EvidenceEdited
        | Code::EvidenceNamedTwice
        | Code::EvidenceSwapped
        | Code::HandoverEdited => Layer::Files,
        Code::IntentWithoutApproval
        | Code::IntentWithoutSnapshot
        | Code::SentWithoutIntent
        | Code::SecretNotSealed
        | Code::DoneWithoutIntent
        | Code::DoneWithoutProof
        | Code::ApprovalOfAnotherPlan
        | Code::ChangeNotPlanned
        | Code::CallNotPlanned
        | Code::NoExchange
        | Code::TenantMismatch
        | Code::ChangeNotEnded
        | Code::OutcomesMismatch => Layer::Rules,
        Code::ManifestMissing | Code::ManifestMismatch | Code::DigestMissing | Code::DigestMismatch => Layer::Close,
        Code::CheckpointMissing
        | Code::CheckpointMismatch
        | Code::BadNote
        | Code::BadSignature
        | Code::WrongOrigin
        | Code::KeyReused
        | Code::SealMissing
        | Code::Equivocation => Layer::Seal,
        Code::EarlierRunMissing | Code::EarlierRunChanged | Code::RunIdReused => Layer::Case,
        Code::WrongKey
        | Code::WrongTenant
        | Code::RootMismatch
        | Code::StampBad
        | Code::StampMissing
        | Code::SignatureBad
        | Code::SignatureMissing
        | Code::SignerUnknown => Layer::Anchor,
        Code::TornTail
        | Code::NotClosed
        | Code::Leftover
        | Code::WallClockBackwards
        | Code::FolderRenamed
        | Code::HandoverGone
        | Code::EarlierRunsElsewhere
        | Code::Continued
        | Code::OtherIdentity
        | Code::Stamped
        | Code::StampNotChecked
        | Code::Signed
        | Code::RootOfFirstLines
        | Code::NotAuthenticated => Layer::Told,
    }
}

/// The first layer that does not hold.
pub(super) fn first_layer(verification: &Verification) -> Option<Layer> {
    verification.problems().map(|finding| layer(finding.code)).min()
}

/// What both verifiers say of a folder.
pub(super) fn both(run: &Path, keys: &[&Vkey]) -> Verification {
    both_given(run, &keys.iter().map(ToString::to_string).collect::<Vec<_>>())
}

/// As `both`, given keys and roots as they were noted.
pub(super) fn both_given(run: &Path, noted: &[String]) -> Verification {
    let ours = ours(run, noted);
    if let Some((said, code)) = python(run, noted) {
        let wanted = serde_json::json!([ours.verdict.word(), first_layer(&ours)]);
        assert_eq!(serde_json::json!([said["verdict"], said["layer"]]), wanted, "{said}\n{ours:#?}");
        let others = ours.findings.iter().filter(|finding| finding.code == Code::OtherIdentity);
        let others: Vec<u64> = others.filter_map(|finding| finding.line).collect();
        assert!(!ours.verdict.is_good() || said["other_identity"] == serde_json::json!(others), "{said}\n{ours:#?}");
        assert_eq!(code, exit_code(ours.verdict));
    }
    ours
}

/// What the verifier in Python says, and its exit code; none where there is no Python.
pub(super) fn python(run: &Path, noted: &[String]) -> Option<(Value, i32)> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verify.py");
    match Command::new("python3").args(["-B".as_ref(), script.as_os_str(), run.as_os_str()]).args(noted).output() {
        Ok(output) => {
            let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
            Some((said, output.status.code().unwrap()))
        }
        Err(_) => {
            skip::skip("python3", "the second verifier was not asked");
            None
        }
    }
}

/// What our verifier says, given keys and roots as they were noted.
pub(super) fn ours(run: &Path, noted: &[String]) -> Verification {
    let trust = |text: &String| match text.parse::<Vkey>() {
        Ok(key) => Trust::keys([key]),
        Err(_) => Trust::root(text).unwrap(),
    };
    verify_with(run, &noted.iter().map(trust).fold(Trust::default(), Trust::and))
}

/// The code of a verdict, as docs/evidence-format.md has it.
fn exit_code(verdict: Verdict) -> i32 {
    match verdict {
        Verdict::Authentic => 0,
        Verdict::Consistent => 50,
        Verdict::Open => 51,
        Verdict::TornTail => 52,
        Verdict::Broken => 5,
    }
}
