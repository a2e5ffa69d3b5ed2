//! A time-stamp token: asked for, and checked from the digest that it is about up to the root of its authority.

use std::time::Duration;

use cms::{
    cert::CertificateChoices,
    content_info::ContentInfo,
    signed_data::{SignedData, SignerIdentifier, SignerInfo},
};
use der::{
    Decode as _, Encode as _, Tagged as _,
    asn1::{Any, Int, Null, ObjectIdentifier, OctetString},
};
use jiff::{Timestamp, civil::DateTime, tz::TimeZone};
use rustls::pki_types::{CertificateDer, UnixTime};
use sha2::{Digest as _, Sha256, Sha384, Sha512};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::{Certificate, ext::pkix::SubjectKeyIdentifier, spki::AlgorithmIdentifierOwned};

use super::{
    Nonce, Stamp, StampError, StampRoots,
    wire::{Imprint, Request, Response, Said},
};
use crate::{journal::hash::hex, model::Untrusted};

const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");
/// RFC 5652: `id-signedData`, and the attributes of a signer.
const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// RFC 3161: `id-ct-TSTInfo`.
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
/// RFC 5816: the attributes that bind the certificate of the signer, with SHA-1 and with any digest.
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
/// `id-kp-timeStamping`, as the bytes of its value.
const TIME_STAMPING: &[u8] = &[0x2b, 6, 1, 5, 5, 7, 3, 8];

/// What is sent to an authority: the digest of the seal, a nonce, and that its certificates are wanted in the answer.
///
/// # Errors
/// When it cannot be encoded.
pub fn stamp_request(seal: &[u8], nonce: &Nonce) -> Result<Vec<u8>, StampError> {
    let request = Request {
        version: 1,
        imprint: Imprint {
            algorithm: AlgorithmIdentifierOwned { oid: SHA256, parameters: Some(Any::from(Null)) },
            digest: OctetString::new(Sha256::digest(seal).to_vec()).map_err(form)?,
        },
        nonce: number(nonce)?,
        with_certificates: true,
    };
    request.to_der().map_err(form)
}

/// A nonce as a positive number: its highest bit is not used.
fn number(nonce: &Nonce) -> Result<Int, StampError> {
    let [first, rest @ ..] = nonce;
    let bytes = [&[first & 0x3f | 0x40], rest.as_slice()].concat();
    Int::new(&bytes).map_err(form)
}

fn form(error: der::Error) -> StampError {
    StampError::Form(error.to_string())
}

pub(super) fn check(
    seal: &[u8],
    answer: &[u8],
    nonce: Option<&Nonce>,
    roots: Option<&StampRoots>,
) -> Result<Stamp, StampError> {
    let wrong = StampError::Wrong;
    let signed = signed_data(answer)?;
    let content = signed.encap_content_info.econtent.as_ref().ok_or(wrong("it says nothing"))?.value();
    let said = Said::from_der(content).map_err(form)?;
    if said.imprint.algorithm.oid != SHA256 || said.imprint.digest.as_bytes() != Sha256::digest(seal).as_slice() {
        return Err(wrong("it is about something else than this seal"));
    }
    if let Some(nonce) = nonce
        && said.nonce.as_ref() != Some(&number(nonce)?)
    {
        return Err(wrong("it does not answer this request"));
    }
    let certificates = certificates(&signed);
    let [signer] = signed.signer_infos.0.as_slice() else {
        return Err(wrong("it is not signed by exactly one authority"));
    };
    let certificate = certificates.iter().find(|it| is_of(signer, it));
    let certificate = certificate.ok_or(wrong("the certificate of its authority is not in it"))?;
    let der = certificate.to_der().map_err(form)?;
    check_signature(signer, content, &der)?;
    let time = time(&said.time)?;
    let others: Vec<CertificateDer<'static>> =
        certificates.iter().filter_map(|it| it.to_der().ok()).map(CertificateDer::from).collect();
    if let Some(roots) = roots {
        check_chain(&der, &others, time, roots)?;
    }
    Ok(Stamp {
        time,
        authority: Untrusted::from(certificate.tbs_certificate().subject().to_string().as_str()).term(),
        serial: hex(said.serial.as_bytes()),
        policy: said.policy.to_string(),
        is_anchored: roots.is_some(),
    })
}

fn signed_data(answer: &[u8]) -> Result<SignedData, StampError> {
    let response = Response::from_der(answer).map_err(form)?;
    // `granted` and `grantedWithMods`.
    if response.status.status > 1 {
        let text = response.status.text.unwrap_or_default().iter().map(|text| text.as_str()).collect::<Vec<_>>();
        let text = Untrusted::from(text.join(" ").as_str()).term();
        return Err(StampError::Refused { status: response.status.status, text });
    }
    let ContentInfo { content_type, content } = response.token.ok_or(StampError::Wrong("it holds no token"))?;
    if content_type != SIGNED_DATA {
        return Err(StampError::Wrong("its token is not signed data"));
    }
    let signed: SignedData = content.decode_as().map_err(form)?;
    if signed.encap_content_info.econtent_type != TST_INFO {
        return Err(StampError::Wrong("its token is about something else than time"));
    }
    Ok(signed)
}

fn certificates(signed: &SignedData) -> Vec<Certificate> {
    let all = signed.certificates.iter().flat_map(|set| set.0.iter());
    all.filter_map(|choice| match choice {
        CertificateChoices::Certificate(certificate) => Some(certificate.clone()),
        CertificateChoices::Other(_) => None,
    })
    .collect()
}

fn is_of(signer: &SignerInfo, certificate: &Certificate) -> bool {
    let body = certificate.tbs_certificate();
    match &signer.sid {
        SignerIdentifier::IssuerAndSerialNumber(id) => {
            id.issuer == *body.issuer() && id.serial_number == *body.serial_number()
        }
        SignerIdentifier::SubjectKeyIdentifier(id) => {
            body.get_extension::<SubjectKeyIdentifier>().is_ok_and(|own| own.is_some_and(|(_, own)| own == *id))
        }
    }
}

/// RFC 5652, 5.4 and RFC 3161, 2.4.2: the attributes name the content's type, its digest and the certificate, and the
/// signature is over the attributes.
fn check_signature(signer: &SignerInfo, content: &[u8], certificate: &[u8]) -> Result<(), StampError> {
    let wrong = StampError::Wrong;
    let attributes = signer.signed_attrs.as_ref().ok_or(wrong("its signature covers no attributes"))?;
    let value = |oid: ObjectIdentifier| {
        let mut found = attributes.iter().filter(|attribute| attribute.oid == oid);
        let (first, second) = (found.next(), found.next());
        first.filter(|_| second.is_none()).and_then(|attribute| attribute.values.get(0))
    };
    let names_type = value(CONTENT_TYPE).and_then(|any| any.decode_as::<ObjectIdentifier>().ok()) == Some(TST_INFO);
    let digest = digest(signer.digest_alg.oid, content).ok_or(wrong("its digest is of a kind that is not known"))?;
    let named = value(MESSAGE_DIGEST).and_then(|any| any.decode_as::<OctetString>().ok());
    if !names_type || named.is_none_or(|named| named.as_bytes() != digest) {
        return Err(wrong("it was edited: its digest is another"));
    }
    let bound = value(SIGNING_CERTIFICATE_V2).or_else(|| value(SIGNING_CERTIFICATE));
    if !bound.is_some_and(|bound| names(bound.value(), certificate)) {
        return Err(wrong("its signature does not name the certificate"));
    }
    let text = attributes.to_der().map_err(form)?;
    let certificate = CertificateDer::from(certificate);
    let key = EndEntityCert::try_from(&certificate).map_err(|_| wrong("its certificate cannot be read"))?;
    let holds = |algorithm| key.verify_signature(algorithm, &text, signature(signer)).is_ok();
    if ALL_VERIFICATION_ALGS.iter().any(|algorithm| holds(*algorithm)) {
        Ok(())
    } else {
        Err(wrong("its signature does not hold"))
    }
}

fn signature(signer: &SignerInfo) -> &[u8] {
    signer.signature.as_bytes()
}

/// Whether the attribute holds the digest of the certificate: nothing else could hash to the bytes that stand there.
fn names(attribute: &[u8], certificate: &[u8]) -> bool {
    let sha1 = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, certificate);
    let known = [SHA256, SHA384, SHA512].into_iter().filter_map(|oid| digest(oid, certificate));
    known.chain([sha1.as_ref().to_vec()]).any(|digest| attribute.windows(digest.len()).any(|part| part == digest))
}

fn digest(oid: ObjectIdentifier, bytes: &[u8]) -> Option<Vec<u8>> {
    match oid {
        SHA256 => Some(Sha256::digest(bytes).to_vec()),
        SHA384 => Some(Sha384::digest(bytes).to_vec()),
        SHA512 => Some(Sha512::digest(bytes).to_vec()),
        _ => None,
    }
}

/// `20231212120000Z` or `20231212120000.25Z` (RFC 3161, 2.4.2).
fn time(any: &Any) -> Result<Timestamp, StampError> {
    let text = std::str::from_utf8(any.value()).ok().filter(|_| any.tag() == der::Tag::GeneralizedTime);
    let civil =
        text.and_then(|text| text.strip_suffix('Z')).and_then(|text| DateTime::strptime("%Y%m%d%H%M%S%.f", text).ok());
    let zoned = civil.and_then(|civil| civil.to_zoned(TimeZone::UTC).ok());
    zoned.map(|zoned| zoned.timestamp()).ok_or(StampError::Wrong("its time cannot be read"))
}

/// That a root stands behind the authority, was in force when it stamped, and lets it stamp.
fn check_chain(
    certificate: &[u8],
    others: &[CertificateDer<'static>],
    time: Timestamp,
    roots: &StampRoots,
) -> Result<(), StampError> {
    let failed = |error: webpki::Error| StampError::Chain(error.to_string());
    let roots: Vec<CertificateDer<'_>> =
        roots.certificates().iter().map(|der| CertificateDer::from(der.as_slice())).collect();
    let anchors = roots.iter().map(anchor_from_trusted_cert).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    let certificate = CertificateDer::from(certificate);
    let seconds = u64::try_from(time.as_second()).map_err(|_| StampError::Wrong("its time cannot be read"))?;
    let time = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
    let entity = EndEntityCert::try_from(&certificate).map_err(failed)?;
    let usage = KeyUsage::required(TIME_STAMPING);
    entity.verify_for_usage(ALL_VERIFICATION_ALGS, &anchors, others, time, usage, None, None).map(drop).map_err(failed)
}
