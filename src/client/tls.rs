//! Which server is believed: Mozilla's authorities from the binary, the platform's, or one pinned certificate.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs::default_provider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
};

use crate::client::Roots;

/// SHA-1 of a certificate, as Azure writes it into `IDENTITY_SERVER_THUMBPRINT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Thumbprint(Vec<u8>);

impl Thumbprint {
    /// Forty hexadecimal digits.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.len() != 40 || !text.is_ascii() {
            return None;
        }
        let pairs = (0..40).step_by(2).filter_map(|at| text.get(at..at + 2));
        pairs.map(|pair| u8::from_str_radix(pair, 16).ok()).collect::<Option<Vec<u8>>>().map(Self)
    }
}

/// TLS with Mozilla's roots from the binary: a tenth of a millisecond instead of several for the platform's
/// verifier, and no root that somebody added to this machine. `None` leaves it to the platform.
pub(super) fn config(roots: Roots, pinned: Option<&Thumbprint>) -> Option<ClientConfig> {
    let provider = Arc::new(default_provider());
    let builder =
        ClientConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().ok()?;
    let builder = match (roots, pinned) {
        (_, Some(thumbprint)) => {
            let pinned = Pinned { thumbprint: thumbprint.clone(), provider };
            builder.dangerous().with_custom_certificate_verifier(Arc::new(pinned))
        }
        (Roots::Platform, None) => return None,
        (Roots::Bundled, None) => {
            builder.with_root_certificates(RootCertStore::from_iter(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()))
        }
    };
    let mut tls = builder.with_no_client_auth();
    tls.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Some(tls)
}

/// Believes one certificate and no authority; who holds it must still sign the handshake with its key.
#[derive(Debug)]
struct Pinned {
    thumbprint: Thumbprint,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if digest(&SHA1_FOR_LEGACY_USE_ONLY, end_entity).as_ref() == self.thumbprint.0 {
            return Ok(ServerCertVerified::assertion());
        }
        Err(Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure))
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::{Thumbprint, config};
    use crate::client::Roots;

    #[test]
    fn bundled_roots_speak_http_2_and_the_platforms_are_left_to_reqwest() {
        let tls = config(Roots::Bundled, None).unwrap();
        assert_eq!(tls.alpn_protocols, [b"h2".to_vec(), b"http/1.1".to_vec()]);
        assert!(config(Roots::Platform, None).is_none());
    }

    #[test]
    fn a_thumbprint_is_forty_digits() {
        let text = "00112233445566778899AABBCCDDEEFFaabbccdd";
        assert!(Thumbprint::parse(text).is_some());
        assert_eq!(Thumbprint::parse(&text.to_lowercase()), Thumbprint::parse(text));
        for bad in ["", "0011", &text[..39], "zz112233445566778899AABBCCDDEEFFaabbccdd", &"é".repeat(20)] {
            assert_eq!(Thumbprint::parse(bad), None, "{bad}");
        }
    }
}
