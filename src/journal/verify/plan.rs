//! What verification must know of the plan: its digest, and whether secrets were to be sealed to anybody.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::finding::{Code, Findings, shown};
use crate::journal::{folder::PLAN, hash::sha256_hex, strict};

/// Facts of `plan.json`.
pub(super) struct PlanFacts {
    /// As the file states it, and as approval must name it.
    pub(super) digest: String,
    /// Whether the plan names recipients of new secrets; with none, a new secret is discarded.
    pub(super) seals: bool,
}

/// `plan.json`: a plan, and the digest of exactly these bytes.
#[derive(Deserialize)]
struct Envelope<'a> {
    digest: String,
    #[serde(borrow)]
    plan: &'a RawValue,
}

#[derive(Deserialize)]
struct Recipients {
    #[serde(default)]
    recipients: Vec<String>,
}

/// Reads the plan, and holds it to its digest.
pub(super) fn read(bytes: &[u8], found: &mut Findings) -> Option<PlanFacts> {
    let parsed = strict::check(bytes).and_then(|()| {
        let envelope: Envelope<'_> = serde_json::from_slice(bytes)?;
        let plan: Recipients = serde_json::from_str(envelope.plan.get())?;
        Ok((envelope, plan))
    });
    match parsed {
        Ok((envelope, plan)) => {
            let digest = format!("sha256:{}", sha256_hex(envelope.plan.get().as_bytes()));
            if digest != envelope.digest {
                found.file(Code::PlanEdited, PLAN, "its digest is not that of the plan inside it");
            }
            Some(PlanFacts { digest: envelope.digest, seals: !plan.recipients.is_empty() })
        }
        Err(error) => {
            found.file(Code::PlanEdited, PLAN, shown(&error.to_string()));
            None
        }
    }
}
