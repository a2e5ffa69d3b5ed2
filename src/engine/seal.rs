//! Secrets made at send time: generated, sealed and durable before they are set; and other placeholders of calls.

use std::{
    fs,
    io::{self, Write as _},
    path::Path,
    str::FromStr as _,
};

use age::armor::{ArmoredWriter, Format};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::{
    client::Secrets,
    engine::run::{EngineError, Run},
    journal::Record,
    model::{Call, Change, HandOver, Password, SecretSlot, Write},
};

/// Why a secret was not sealed; it was then not set either.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// A recipient is not an age public key.
    #[error("read age recipient {0}")]
    Recipient(String),
    /// age refused.
    #[error("encrypt")]
    Encrypt(#[from] age::EncryptError),
    /// The file could not be written.
    #[error("write the sealed file")]
    Io(#[from] io::Error),
}

/// Makes the secrets that calls ask for, and seals those that are handed over.
pub(crate) async fn make(run: &Run, change: &Change, calls: &[Call]) -> Result<Secrets, EngineError> {
    let mut secrets = Secrets::new();
    for slot in calls.iter().flat_map(|call| &call.secrets) {
        let password = Password::generate();
        let recipients = &run.plan.recipients;
        if slot.hand_over == HandOver::Sealed && !recipients.is_empty() {
            let (file, sha256) = seal(run, change, slot, &password)?;
            let (change, owner) = (change.id.clone(), slot.owner.clone());
            run.record(Record::Sealed { change, file, sha256, recipients: recipients.clone(), owner }).await?;
        }
        secrets.insert(slot.name.clone(), password);
    }
    Ok(secrets)
}

/// Writes `<case>/handover/<run>/<change>-<id>.age`, outside the run's folder, and syncs it and its folder.
fn seal(run: &Run, change: &Change, slot: &SecretSlot, password: &Password) -> Result<(String, String), SealError> {
    let text = zeroize::Zeroizing::new(format!("{}\n{}\n", slot.owner, password.expose()));
    let sealed = encrypt(&run.plan.recipients, text.as_bytes())?;
    let folder = run.journal.run_dir().file_name().map(Path::new).unwrap_or(Path::new("run"));
    let folder = Path::new("handover").join(folder);
    let dir = run.journal.case_dir().join(&folder);
    make_dir(&dir)?;
    let name = format!("{}-{}.age", change.id, Uuid::now_v7().simple());
    write_new(&dir.join(&name), &sealed)?;
    sync_dir(&dir)?;
    let sha256 = Sha256::digest(&sealed).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((folder.join(name).to_string_lossy().into_owned(), sha256))
}

/// Encrypts to all recipients, ASCII-armoured.
fn encrypt(recipients: &[String], text: &[u8]) -> Result<Vec<u8>, SealError> {
    let keys = recipients.iter().map(|key| recipient(key)).collect::<Result<Vec<_>, _>>()?;
    let encryptor = age::Encryptor::with_recipients(keys.iter().map(|key| key as &dyn age::Recipient))?;
    let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
    let mut writer = encryptor.wrap_output(armor)?;
    writer.write_all(text)?;
    Ok(writer.finish()?.finish()?)
}

/// Checks that a text is an age X25519 recipient.
///
/// # Errors
/// When it is not one.
pub fn check_recipient(key: &str) -> Result<(), SealError> {
    recipient(key).map(drop)
}

fn recipient(key: &str) -> Result<age::x25519::Recipient, SealError> {
    age::x25519::Recipient::from_str(key).map_err(|_| SealError::Recipient(key.to_owned()))
}

fn make_dir(dir: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(dir)?;
    for dir in dir.ancestors().take(3) {
        sync_dir(dir)?;
    }
    Ok(())
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(unix)]
fn sync_dir(dir: &Path) -> io::Result<()> {
    fs::File::open(dir)?.sync_all()
}

#[cfg(not(unix))]
fn sync_dir(_dir: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether a call waits for the id of an object that an earlier call creates.
pub(crate) fn asks_found(call: &Call) -> bool {
    parameters(call).is_some_and(|map| map.values().any(|value| found_field(value).is_some()))
}

/// The call with every `{"$found": field}` replaced by that field of the object; none when a field is missing.
pub(crate) fn fill_found(call: &Call, object: &Value) -> Option<Call> {
    let mut call = call.clone();
    if let Write::Cmdlet { parameters, .. } = &mut call.write {
        for value in parameters.values_mut() {
            if let Some(field) = found_field(value) {
                *value = object.get(field)?.clone();
            }
        }
    }
    Some(call)
}

fn parameters(call: &Call) -> Option<&Map<String, Value>> {
    match &call.write {
        Write::Cmdlet { parameters, .. } => Some(parameters),
        Write::Graph { .. } => None,
    }
}

fn found_field(value: &Value) -> Option<&str> {
    value.get("$found").and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use age::{armor::ArmoredReader, x25519::Identity};
    use serde_json::json;

    use super::{asks_found, encrypt, fill_found, recipient};
    use crate::model::{Call, Replay, WriteCmdlet};

    #[test]
    fn what_is_sealed_opens_with_the_key_and_shows_nothing_without() {
        let key = Identity::generate();
        let sealed = encrypt(&[key.to_public().to_string()], b"a secret").unwrap();
        assert!(!sealed.windows(8).any(|part| part == b"a secret"));
        let reader = age::Decryptor::new(ArmoredReader::new(&sealed[..])).unwrap();
        let mut opened = String::new();
        reader.decrypt(std::iter::once(&key as &dyn age::Identity)).unwrap().read_to_string(&mut opened).unwrap();
        assert_eq!(opened, "a secret");
    }

    #[test]
    fn a_wrong_recipient_is_named() {
        assert_eq!(recipient("age1nonsense").err().unwrap().to_string(), "read age recipient age1nonsense");
    }

    #[test]
    fn a_created_objects_id_is_filled_in() {
        let parameters = json!({"Identity": Call::found("identity"), "Confirm": false});
        let call =
            Call::cmdlet(WriteCmdlet::DisableInboxRule, "m", parameters.as_object().unwrap().clone(), Replay::Set);
        assert!(asks_found(&call));
        let filled = fill_found(&call, &json!({"identity": "guid\\7"})).unwrap();
        assert!(!asks_found(&filled));
        assert!(filled.summary().contains("guid\\\\7"), "{}", filled.summary());
        assert!(fill_found(&call, &json!({})).is_none());
    }
}
