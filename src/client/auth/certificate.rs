//! A certificate of the application with its key, and the assertion that it signs.

use std::fmt;

use aws_lc_rs::digest;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use rustls::{
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
    sign::CertifiedKey,
};
use secrecy::SecretString;
use serde::Serialize;
use zeroize::{Zeroize as _, Zeroizing};

/// Life of an assertion. Entra sets no limit, and advises five to ten minutes.
const LIFE: i64 = 600;

/// A certificate that does not serve.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// There is no certificate in the file.
    #[error("find a certificate: the file holds none")]
    NoCertificate,
    /// There is no key in the file.
    #[error("find the private key: the file holds none, or it is not PEM; put key and certificate into one file")]
    NoKey,
    /// The key is encrypted, which only PKCS#12 files may be.
    #[error("read the private key: it is encrypted PEM; use a PKCS#12 file (.pfx), or decrypt it")]
    Encrypted,
    /// The key is not one that Entra takes.
    #[error("use the private key: Entra takes RSA keys of 2048 bits and more only")]
    NotRsa,
    /// Key and certificate do not belong together.
    #[error("use the private key: none of the certificates in the file is its own")]
    Mismatch,
    /// The certificate cannot be read.
    #[error("read the certificate: it is not X.509")]
    NotX509,
    /// Its time is over.
    #[error("use the certificate: it expired at {0:.0}; make a new one and upload it to the application")]
    Expired(Timestamp),
    /// Its time has not come.
    #[error("use the certificate: it is not valid before {0:.0}; check this machine's clock, or use another one")]
    NotYetValid(Timestamp),
    /// The PKCS#12 file cannot be opened.
    #[error("open the PKCS#12 file: {0}")]
    Pkcs12(String),
}

/// A certificate of the application, with its key.
#[derive(Clone)]
pub struct Certificate {
    key: EncodingKey,
    sha256: String,
    sha1: String,
    /// From when until when it may be used.
    valid: [Timestamp; 2],
    algorithm: Algorithm,
}

impl Certificate {
    /// Reads PEM text that holds an RSA key and its certificate, in any order.
    ///
    /// # Errors
    /// What is missing or does not fit.
    pub fn from_pem(text: &[u8]) -> Result<Self, CertificateError> {
        let certificates: Vec<_> = CertificateDer::pem_slice_iter(text).filter_map(Result::ok).collect();
        let key = match PrivateKeyDer::from_pem_slice(text) {
            Ok(key) => key,
            Err(_) if text.windows(MARK.len()).any(|part| part == MARK) => return Err(CertificateError::Encrypted),
            Err(_) => return Err(CertificateError::NoKey),
        };
        Self::new(certificates, key)
    }

    /// Opens a PKCS#12 file (`.pfx`, `.p12`).
    ///
    /// # Errors
    /// A wrong passphrase, no key with its certificate, or one that does not fit.
    #[cfg(feature = "pkcs12")]
    pub fn from_pkcs12(bytes: &[u8], passphrase: &SecretString) -> Result<Self, CertificateError> {
        use p12_keystore::{Pkcs12Archive, error::Error};
        use rustls::pki_types::PrivatePkcs8KeyDer;
        use secrecy::ExposeSecret as _;

        let archive = Pkcs12Archive::from_pkcs12(bytes, passphrase.expose_secret()).map_err(|error| match error {
            Error::MacError(_) => CertificateError::Pkcs12("the passphrase is wrong".to_owned()),
            error => CertificateError::Pkcs12(error.to_string()),
        })?;
        let certificates = archive.certs.iter().map(|bag| CertificateDer::from(bag.cert.as_der().to_vec())).collect();
        let key = archive.keys.first().ok_or(CertificateError::NoKey)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.key.as_der().to_vec()));
        Self::new(certificates, key)
    }

    /// The same, signing RS256 and named by its SHA-1 thumbprint: for what does not take PS256 yet.
    #[must_use]
    pub fn rs256(mut self) -> Self {
        self.algorithm = Algorithm::RS256;
        self
    }

    /// The certificate that belongs to the key, whatever else is in the file.
    fn new(
        certificates: Vec<CertificateDer<'static>>,
        mut key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        if certificates.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        let mut own = certificates.iter().filter(|it| is_pair(it, &key));
        let made = match own.next() {
            Some(certificate) => signing_key(&key).and_then(|key| {
                Ok(Self {
                    key,
                    valid: validity(certificate)?,
                    sha256: fingerprint(&digest::SHA256, certificate),
                    sha1: fingerprint(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate),
                    algorithm: Algorithm::PS256,
                })
            }),
            None => Err(CertificateError::Mismatch),
        };
        key.zeroize();
        made
    }

    /// Whether it may be used at this moment: Entra would refuse what it signs.
    ///
    /// # Errors
    /// When it may not yet, or not any more.
    pub fn check(&self, now: Timestamp) -> Result<(), CertificateError> {
        let [from, until] = self.valid;
        match now {
            now if now < from => Err(CertificateError::NotYetValid(from)),
            now if now > until => Err(CertificateError::Expired(until)),
            _ => Ok(()),
        }
    }

    /// The assertion that proves to `audience`, a token endpoint, that we are `client_id`.
    ///
    /// Source: "Microsoft identity platform application authentication certificate credentials".
    pub(super) fn assertion(&self, of: &Assertion<'_>) -> Result<SecretString, jsonwebtoken::errors::Error> {
        let mut header = Header::new(self.algorithm);
        match self.algorithm {
            Algorithm::RS256 => header.x5t = Some(self.sha1.clone()),
            _ => header.x5t_s256 = Some(self.sha256.clone()),
        }
        let now = of.now.as_second();
        let claims = Claims {
            aud: of.audience,
            iss: of.client_id,
            sub: of.client_id,
            jti: of.id,
            nbf: now,
            iat: now,
            exp: now + LIFE,
        };
        jsonwebtoken::encode(&header, &claims, &self.key).map(SecretString::from)
    }
}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Certificate").field("x5t#S256", &self.sha256).finish_non_exhaustive()
    }
}

/// What an assertion says.
pub(super) struct Assertion<'a> {
    /// The token endpoint of this cloud and tenant.
    pub(super) audience: &'a str,
    /// Our application.
    pub(super) client_id: &'a str,
    /// Never used twice.
    pub(super) id: &'a str,
    /// By the tenant's clock, where it is known: ours may be wrong.
    pub(super) now: Timestamp,
}

#[derive(Serialize)]
struct Claims<'a> {
    aud: &'a str,
    iss: &'a str,
    sub: &'a str,
    jti: &'a str,
    nbf: i64,
    iat: i64,
    exp: i64,
}

const MARK: &[u8] = b"-----BEGIN ENCRYPTED PRIVATE KEY-----";

fn fingerprint(algorithm: &'static digest::Algorithm, certificate: &CertificateDer<'_>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(digest::digest(algorithm, certificate))
}

fn validity(certificate: &CertificateDer<'_>) -> Result<[Timestamp; 2], CertificateError> {
    let (_, parsed) = x509_parser::parse_x509_certificate(certificate).map_err(|_| CertificateError::NotX509)?;
    let validity = parsed.validity();
    let time = |time: x509_parser::time::ASN1Time| Timestamp::from_second(time.timestamp());
    match (time(validity.not_before), time(validity.not_after)) {
        (Ok(from), Ok(until)) => Ok([from, until]),
        _ => Err(CertificateError::NotX509),
    }
}

fn is_pair(certificate: &CertificateDer<'static>, key: &PrivateKeyDer<'_>) -> bool {
    let Ok(key) = rustls::crypto::aws_lc_rs::sign::any_supported_type(key) else {
        return false;
    };
    CertifiedKey::new(vec![certificate.clone()], key).keys_match().is_ok()
}

/// jsonwebtoken takes PEM.
fn signing_key(key: &PrivateKeyDer<'_>) -> Result<EncodingKey, CertificateError> {
    let tag = match key {
        PrivateKeyDer::Pkcs1(_) => "RSA PRIVATE KEY",
        PrivateKeyDer::Pkcs8(_) => "PRIVATE KEY",
        _ => return Err(CertificateError::NotRsa),
    };
    let text = Zeroizing::new(pem::encode(&pem::Pem::new(tag, key.secret_der())));
    EncodingKey::from_rsa_pem(text.as_bytes()).map_err(|_| CertificateError::NotRsa)
}
