//! The `auth` of a profile: where each kind of credential is, and who talks to a person that signs in.

use std::{
    env, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use console::style;
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;
use zeroize::Zeroizing;

use crate::{
    cli::{exit::Failure, output::Output, prompt},
    client::{
        Attendant, Certificate, CertificateError, Credential, Federated, FederatedFrom, ManagedIdentity, Surroundings,
        UserAssigned, UserCode,
    },
};

/// Where the credential is. None of it is a secret.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Auth {
    /// A client secret, in an environment variable or in a file that only its owner can read.
    Secret { env: Option<String>, file: Option<PathBuf> },
    /// A certificate with its key, in a PEM or PKCS#12 file that only its owner can read.
    Certificate { file: PathBuf, passphrase_env: Option<String>, algorithm: Option<Algorithm> },
    /// The token of another issuer: in a file that is read for every token, or from GitHub Actions.
    Federated {
        file: Option<PathBuf>,
        #[serde(default)]
        github: bool,
        audience: Option<String>,
    },
    /// The identity of the Azure resource that this runs on; its own, or one that was assigned to it.
    ManagedIdentity { client_id: Option<String>, object_id: Option<String>, resource_id: Option<String> },
    /// A person with a code on another device.
    DeviceCode {},
    /// A person with a browser on this machine.
    Browser {},
}

/// How a certificate signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Algorithm {
    /// The default.
    Ps256,
    /// For what does not take PS256 yet.
    Rs256,
}

impl Auth {
    /// What can be said without looking at anything else.
    pub(crate) fn check(&self) -> Result<(), String> {
        let fits = match self {
            Self::Secret { env, file } => (env.is_some() != file.is_some()).then_some(()).ok_or("either env or file"),
            Self::Federated { file, github, audience } => match (file, github, audience) {
                (Some(_), false, None) | (None, true, _) => Ok(()),
                (Some(_), false, Some(_)) => Err("an audience only with github = true: a file has its own"),
                _ => Err("either file or github = true"),
            },
            Self::ManagedIdentity { client_id, object_id, resource_id } => {
                let given = [client_id, object_id, resource_id].into_iter().flatten().count();
                (given <= 1).then_some(()).ok_or("at most one of client_id, object_id and resource_id")
            }
            Self::Certificate { .. } | Self::DeviceCode {} | Self::Browser {} => Ok(()),
        };
        fits.map_err(|needs| format!("auth of kind {} needs {needs}", self.kind()))
    }

    fn kind(&self) -> &'static str {
        match self {
            Self::Secret { .. } => "secret",
            Self::Certificate { .. } => "certificate",
            Self::Federated { .. } => "federated",
            Self::ManagedIdentity { .. } => "managed-identity",
            Self::DeviceCode {} => "device-code",
            Self::Browser {} => "browser",
        }
    }

    /// The credential itself. Files are looked for beside the configuration, in `base`.
    pub(crate) fn credential(&self, base: &Path, out: Output) -> Result<Credential, Failure> {
        Ok(match self {
            Self::Secret { env: Some(variable), .. } => Credential::Secret(variable_of(variable, "the client secret")?),
            Self::Secret { file: Some(file), .. } => {
                let text = Zeroizing::new(private_text(&base.join(file))?);
                Credential::Secret(SecretString::from(text.trim_end()))
            }
            Self::Secret { .. } => return Err(Failure::usage("the profile names no secret")),
            Self::Certificate { file, passphrase_env, algorithm } => {
                let read = certificate(&base.join(file), passphrase_env.as_deref(), out)?;
                let rs256 = *algorithm == Some(Algorithm::Rs256);
                Credential::Certificate(Box::new(if rs256 { read.rs256() } else { read }))
            }
            Self::Federated { file, audience, .. } => {
                let from = match file {
                    Some(file) => FederatedFrom::File(base.join(file)),
                    None => FederatedFrom::GitHub(Surroundings::of_process()),
                };
                Credential::Federated(Federated { from, audience: audience.clone() })
            }
            Self::ManagedIdentity { client_id, object_id, resource_id } => {
                let assigned = None
                    .or_else(|| client_id.clone().map(UserAssigned::ClientId))
                    .or_else(|| object_id.clone().map(UserAssigned::ObjectId))
                    .or_else(|| resource_id.clone().map(UserAssigned::ResourceId));
                Credential::ManagedIdentity(ManagedIdentity { assigned, surroundings: Surroundings::of_process() })
            }
            Self::DeviceCode {} => Credential::DeviceCode(self.attendant(out)?),
            Self::Browser {} => Credential::Browser(self.attendant(out)?),
        })
    }

    fn attendant(&self, out: Output) -> Result<Arc<dyn Attendant>, Failure> {
        if out.can_ask() {
            return Ok(Arc::new(Terminal(out)));
        }
        Err(Failure::usage(format!("auth of kind {} needs a person at a terminal", self.kind()))
            .hint("use a certificate, a federated token or a managed identity where nobody is there"))
    }
}

/// The person at this terminal.
#[derive(Debug)]
struct Terminal(Output);

impl Attendant for Terminal {
    fn browse(&self, address: &Url) {
        // The address is shown in any case: the browser may be on another machine than we think.
        let opened = webbrowser::open(address.as_str()).is_ok();
        let ask = if opened { "Sign in in the browser that opens, or open:" } else { "To sign in, open:" };
        self.0.say(&format!("{ask}\n{address}"));
    }

    fn enter_code(&self, code: &UserCode) {
        let minutes = code.valid.as_secs() / 60;
        let shown = style(&code.code).bold().for_stderr();
        self.0.say(&format!("To sign in, open {} and enter {shown} within {minutes} minutes", code.address));
    }
}

fn variable_of(name: &str, what: &str) -> Result<SecretString, Failure> {
    let value = env::var(name).map(Zeroizing::new);
    let value = value
        .map_err(|_| Failure::usage(format!("{what} is to be in the environment variable {name}, which is not set")))?;
    Ok(SecretString::from(value.trim_end()))
}

/// Tries a PKCS#12 file without a passphrase before anybody is asked for one.
fn certificate(path: &Path, passphrase_env: Option<&str>, out: Output) -> Result<Certificate, Failure> {
    let bytes = Zeroizing::new(private_bytes(path)?);
    let shown = path.display();
    let unfit = |error: CertificateError| Failure::usage(format!("{shown}: failed to {error}"));
    let is_text = bytes.windows(10).any(|part| part == b"-----BEGIN");
    if is_text {
        return Certificate::from_pem(&bytes).map_err(unfit);
    }
    let passphrase = match passphrase_env {
        Some(variable) => variable_of(variable, "the passphrase of the certificate")?,
        None => match open_pkcs12(&bytes, &SecretString::default()) {
            Err(CertificateError::Pkcs12(_)) if out.can_ask() => prompt::passphrase(&format!("Passphrase of {shown}"))?,
            tried => return tried.map_err(unfit),
        },
    };
    open_pkcs12(&bytes, &passphrase).map_err(unfit)
}

#[cfg(feature = "pkcs12")]
fn open_pkcs12(bytes: &[u8], passphrase: &SecretString) -> Result<Certificate, CertificateError> {
    Certificate::from_pkcs12(bytes, passphrase)
}

#[cfg(not(feature = "pkcs12"))]
fn open_pkcs12(_bytes: &[u8], _passphrase: &SecretString) -> Result<Certificate, CertificateError> {
    Err(CertificateError::Pkcs12("this build reads PEM only".to_owned()))
}

fn private_text(path: &Path) -> Result<String, Failure> {
    let bytes = private_bytes(path)?;
    String::from_utf8(bytes).map_err(|_| Failure::usage(format!("the secret file {} is not text", path.display())))
}

/// The content of a file that others cannot read.
fn private_bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    let unreadable = |error| Failure::usage(format!("failed to read the secret file {}: {error}", path.display()));
    check_private(path, &fs::metadata(path).map_err(unreadable)?)?;
    fs::read(path).map_err(unreadable)
}

#[cfg(unix)]
fn check_private(file: &Path, metadata: &fs::Metadata) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    if metadata.permissions().mode() & 0o077 != 0 {
        let shown = file.display();
        return Err(
            Failure::usage(format!("the secret file {shown} can be read by others")).hint(format!("chmod 600 {shown}"))
        );
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_private(_file: &Path, _metadata: &fs::Metadata) -> Result<(), Failure> {
    Ok(())
}
