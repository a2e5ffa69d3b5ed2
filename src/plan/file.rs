//! The plan as a file: versioned, with a digest over the exact bytes of the plan inside it.

use std::{fs, io, io::Write as _, path::Path};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use crate::{
    model::Exchange,
    plan::types::{FORMAT, Plan, PlanReads},
};

/// A plan and the digest that approval binds to.
#[derive(Clone, Debug)]
pub struct PlanFile {
    bytes: Vec<u8>,
    digest: String,
    plan: Plan,
}

/// Why a file is not a plan that can be used.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// It could not be read or written.
    #[error("read or write the plan file")]
    Io(#[from] io::Error),
    /// It has not the shape of a plan file.
    #[error("read the plan file: it is not a plan, or it was cut short or edited")]
    Shape(#[source] serde_json::Error),
    /// Another version wrote it.
    #[error("use the plan: its format is {0}, this program reads {FORMAT}")]
    Format(String),
    /// Its bytes are not those that were hashed.
    #[error("use the plan: its digest does not match its content, so it was edited after it was made")]
    Edited,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Envelope<'a> {
    digest: String,
    #[serde(borrow)]
    plan: &'a RawValue,
    /// Every exchange that the plan was made from, where it names them.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    reads: Option<&'a RawValue>,
}

/// One exchange: as the record of a run keeps it, but in one place. A body that is no text is in Base64.
#[derive(Serialize)]
struct Read<'a> {
    head: &'a Exchange,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
}

impl<'a> Read<'a> {
    fn of(exchange: &'a Exchange) -> Self {
        let body = std::str::from_utf8(&exchange.body).ok();
        let body_base64 = body.is_none().then(|| BASE64_STANDARD.encode(&exchange.body));
        Self { head: exchange, body, body_base64 }
    }
}

#[derive(Deserialize)]
struct Versioned {
    format: String,
}

impl PlanFile {
    /// Freezes a plan.
    ///
    /// # Errors
    /// When it cannot be written as JSON.
    pub fn freeze(plan: Plan) -> Result<Self, PlanFileError> {
        Self::write(plan, None).map_err(PlanFileError::Shape)
    }

    /// As [`PlanFile::freeze`], with every exchange that the plan was made from: they stand in the same file, and the plan
    /// holds their digest.
    ///
    /// # Errors
    /// As [`PlanFile::freeze`].
    pub fn freeze_with(mut plan: Plan, reads: &[Exchange]) -> Result<Self, PlanFileError> {
        let all: Vec<Read<'_>> = reads.iter().map(Read::of).collect();
        let raw = serde_json::value::to_raw_value(&all).map_err(PlanFileError::Shape)?;
        plan.reads = Some(PlanReads { count: reads.len() as u64, sha256: hex(raw.get()) });
        Self::write(plan, Some(&raw)).map_err(PlanFileError::Shape)
    }

    fn write(plan: Plan, reads: Option<&RawValue>) -> Result<Self, serde_json::Error> {
        let text = serde_json::to_string_pretty(&plan)?;
        let digest = digest(&text);
        let raw = RawValue::from_string(text)?;
        let mut bytes = serde_json::to_vec(&Envelope { digest: digest.clone(), plan: &raw, reads })?;
        bytes.push(b'\n');
        Ok(Self { bytes, digest, plan })
    }

    /// Reads a plan from the bytes of a file, and checks its digest.
    ///
    /// # Errors
    /// When the bytes are not an unedited plan of this format.
    pub fn parse(bytes: Vec<u8>) -> Result<Self, PlanFileError> {
        let envelope: Envelope<'_> = serde_json::from_slice(&bytes).map_err(PlanFileError::Shape)?;
        if digest(envelope.plan.get()) != envelope.digest {
            return Err(PlanFileError::Edited);
        }
        let versioned: Versioned = serde_json::from_str(envelope.plan.get()).map_err(PlanFileError::Shape)?;
        if versioned.format != FORMAT {
            return Err(PlanFileError::Format(versioned.format));
        }
        let plan: Plan = serde_json::from_str(envelope.plan.get()).map_err(PlanFileError::Shape)?;
        if envelope.reads.map(|reads| hex(reads.get())) != plan.reads.as_ref().map(|reads| reads.sha256.clone()) {
            return Err(PlanFileError::Edited);
        }
        let digest = envelope.digest;
        Ok(Self { bytes, digest, plan })
    }

    /// Reads a plan file.
    ///
    /// # Errors
    /// As [`PlanFile::parse`], and when the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, PlanFileError> {
        Self::parse(fs::read(path)?)
    }

    /// Writes the plan to a new file that only its owner can read, and never over another one.
    ///
    /// # Errors
    /// When the file exists or cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), PlanFileError> {
        let mut options = fs::OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let mut file = options.open(path)?;
        file.write_all(&self.bytes)?;
        Ok(file.sync_all()?)
    }

    /// The file's bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// `sha256:<hex>` over the bytes of the plan inside the file.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The plan.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

fn digest(text: &str) -> String {
    format!("sha256:{}", hex(text))
}

fn hex(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}
