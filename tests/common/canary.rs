//! Canaries: what the tenant confided to us, or we to it, is found in no file and in no output of any test.

use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    sync::{Arc, Mutex},
};

use memchr::memmem;
use mock_server::Tenant;

/// Beginnings of what is a secret whoever made it: a private key, an age identity, the payload of a token.
const PATTERNS: [&str; 5] = [
    "-----BEGIN PRIVATE KEY",
    "-----BEGIN RSA PRIVATE KEY",
    "-----BEGIN ENCRYPTED PRIVATE KEY",
    "AGE-SECRET-KEY-",
    ".eyJ",
];

/// The tenants of this process, for outputs that do not say of which they are.
static TENANTS: Mutex<Vec<Tenant>> = Mutex::new(Vec::new());

/// From now on the secrets of this tenant are looked for in every output.
pub(crate) fn watch(tenant: &Tenant) {
    TENANTS.lock().unwrap().push(tenant.clone());
}

/// What finds one form of a secret. To make one costs more than to use it.
type Canary = Arc<memmem::Finder<'static>>;

/// What finds the secrets that were met so far: every output is held against all of them.
static FORMS: Mutex<BTreeMap<String, Vec<Canary>>> = Mutex::new(BTreeMap::new());

/// What finds every form in which the secrets of a tenant could stand in a text.
pub(crate) fn canaries(tenant: &Tenant) -> Vec<Canary> {
    let mut known = FORMS.lock().unwrap();
    let finders = |secret: &String| {
        forms(secret).iter().map(|form| Arc::new(memmem::Finder::new(form).into_owned())).collect::<Vec<_>>()
    };
    let secrets = tenant.secrets().into_iter();
    secrets.flat_map(|secret| known.entry(secret).or_insert_with_key(finders).clone()).collect()
}

fn forms(secret: &str) -> Vec<String> {
    // Of a token each part is as bad as the whole, but for its header.
    let parts = secret.split('.').skip(1).filter(|part| part.len() >= 32).map(str::to_owned);
    let json = serde_json::Value::from(secret).to_string().trim_matches('"').to_owned();
    let encoded = url::form_urlencoded::byte_serialize(secret.as_bytes()).collect();
    let mut forms: Vec<String> = parts.chain([json, encoded, secret.to_owned()]).collect();
    forms.sort();
    forms.dedup();
    forms
}

/// What of this stands in a text; never the secret itself, which would then stand in the log of the test.
fn found(bytes: &[u8], canaries: &[Canary]) -> Option<String> {
    let stands = |pattern: &&&str| memmem::find(bytes, pattern.as_bytes()).is_some();
    let pattern = PATTERNS.iter().find(stands).map(|pattern| (*pattern).to_owned());
    let at = || canaries.iter().find_map(|canary| canary.find(bytes).map(|at| format!("a secret at {at}")));
    pattern.or_else(at)
}

/// Fails where an output holds a secret of any tenant of this process.
pub(crate) fn assert_silent(output: &[u8], what: &str) {
    let all: Vec<Canary> = TENANTS.lock().unwrap().iter().flat_map(canaries).collect();
    let found = found(output, &all);
    assert!(found.is_none(), "{what} holds {found:?}");
}

/// Fails where a file under a folder holds a secret of the tenant, other than those that the test put there.
pub(crate) fn assert_clean(folder: &Path, tenant: &Tenant, own: &[std::path::PathBuf]) {
    let canaries = canaries(tenant);
    let mut open = vec![folder.to_owned()];
    while let Some(path) = open.pop() {
        if own.contains(&path) {
            continue;
        }
        if let Ok(entries) = fs::read_dir(&path) {
            open.extend(entries.flatten().map(|entry| entry.path()));
        } else if let Ok(bytes) = fs::read(&path) {
            let found = found(&bytes, &canaries).or_else(|| found(path.to_string_lossy().as_bytes(), &canaries));
            assert!(found.is_none(), "{} holds {found:?}", path.display());
        }
    }
}

#[test]
fn a_canary_that_sings_is_heard() {
    let tenant = Tenant::new(&mock_server::Scenario::builtin("aitm").unwrap());
    let (folder, secret) = (tempfile::tempdir().unwrap(), tenant.credentials().client_secret);
    let file = folder.path().join("deep").join("note.txt");
    fs::create_dir(file.parent().unwrap()).unwrap();
    fs::write(&file, format!("x{secret}x")).unwrap();
    let heard = std::panic::catch_unwind(|| assert_clean(folder.path(), &tenant, &[]));
    assert!(heard.is_err());
    assert_clean(folder.path(), &tenant, &[file]);
    assert!(found(b"AGE-SECRET-KEY-1", &[]).is_some() && found(b"nothing", &[]).is_none());
}
