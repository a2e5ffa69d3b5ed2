//! The certificate of a server with TLS: made for it, signed by itself, for this machine's names.

use std::sync::Arc;

use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::crypto::aws_lc_rs;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;
use tokio_rustls::rustls::{self, ServerConfig};

/// A certificate with its key in use.
#[derive(Clone)]
pub(super) struct Identity {
    /// In DER.
    pub(super) certificate: Vec<u8>,
    pub(super) acceptor: TlsAcceptor,
}

/// Why there is no certificate.
#[derive(Debug, thiserror::Error)]
pub(super) enum IdentityError {
    #[error("make a certificate")]
    Certificate(#[from] rcgen::Error),
    #[error("read the certificate's key: {0}")]
    Key(&'static str),
    #[error("use the certificate")]
    Use(#[from] rustls::Error),
}

impl Identity {
    pub(super) fn new() -> Result<Self, IdentityError> {
        let names = vec!["127.0.0.1".to_owned(), "localhost".to_owned()];
        let made = rcgen::generate_simple_self_signed(names)?;
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(IdentityError::Key)?;
        let certificate = made.cert.der().to_vec();
        let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![made.cert.der().clone()], key)?;
        Ok(Self { certificate, acceptor: TlsAcceptor::from(Arc::new(config)) })
    }
}
