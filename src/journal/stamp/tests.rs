//! Answers of OpenSSL's authority, as they are and tampered with; the files are in `tests/fixtures/seal`.

use super::{StampError, StampRoots, check_stamp, stamp_request};

const SEAL: &[u8] = include_bytes!("../../../tests/fixtures/seal/seal.note");
const RSA: &[u8] = include_bytes!("../../../tests/fixtures/seal/rsa.tsr");
const EC: &[u8] = include_bytes!("../../../tests/fixtures/seal/ec.tsr");
const REFUSED: &[u8] = include_bytes!("../../../tests/fixtures/seal/refused.tsr");

fn roots(kind: &str) -> StampRoots {
    StampRoots::pem(match kind {
        "rsa" => include_str!("../../../tests/fixtures/seal/rsa-root.pem"),
        _ => include_str!("../../../tests/fixtures/seal/ec-root.pem"),
    })
    .unwrap()
}

#[test]
fn an_answer_says_when_and_a_root_stands_behind_it() {
    for (kind, answer, at) in [("rsa", RSA, "2026-11-23T00:07:21.146Z"), ("ec", EC, "2026-11-23T00:07:21.201Z")] {
        let stamp = check_stamp(SEAL, answer, None, None).unwrap();
        assert_eq!(stamp.time, at.parse().unwrap());
        assert!(!stamp.is_anchored);
        assert!(stamp.authority.contains(&format!("Time authority {kind}")), "{}", stamp.authority);
        assert_eq!(stamp.policy, "1.3.6.1.4.1.99999.1");
        assert!(check_stamp(SEAL, answer, None, Some(&roots(kind))).unwrap().is_anchored);
        let other = if kind == "rsa" { "ec" } else { "rsa" };
        let error = check_stamp(SEAL, answer, None, Some(&roots(other))).unwrap_err();
        assert!(matches!(error, StampError::Chain(_)), "{error}");
    }
}

#[test]
fn an_answer_to_another_question_does_not_count() {
    assert!(matches!(check_stamp(b"another seal", RSA, None, None), Err(StampError::Wrong(_))));
    assert!(matches!(check_stamp(SEAL, RSA, Some(&[7; 8]), None), Err(StampError::Wrong(_))));
    assert!(matches!(check_stamp(SEAL, REFUSED, None, None), Err(StampError::Refused { status: 2, .. })));
    for bad in [&b""[..], b"no", &RSA[..RSA.len() - 1], &[RSA, b"x"].concat()] {
        assert!(matches!(check_stamp(SEAL, bad, None, None), Err(StampError::Form(_))));
    }
    assert!(StampRoots::pem("no certificate").is_err());
}

/// Some bytes are not under the signature, as the copy of a root that comes along; none of them is what we read.
#[test]
fn a_flipped_byte_never_changes_what_a_stamp_says() {
    let honest = check_stamp(SEAL, EC, None, Some(&roots("ec"))).unwrap();
    let mut refused = 0;
    for at in 0..EC.len() {
        let mut answer = EC.to_vec();
        answer[at] ^= 1;
        match check_stamp(SEAL, &answer, None, Some(&roots("ec"))) {
            Ok(stamp) => assert_eq!(stamp, honest, "byte {at}"),
            Err(_) => refused += 1,
        }
    }
    assert!(refused > EC.len() / 2, "{refused} of {}", EC.len());
}

#[test]
fn a_request_is_one_that_an_authority_reads() {
    // The digest stands in it as it is, and the nonce is a positive number.
    let request = stamp_request(SEAL, &[0xff; 8]).unwrap();
    assert_eq!(request.len(), usize::from(request[1]) + 2);
    assert!(request.windows(10).any(|part| part == [0x02, 0x08, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    assert!(request.ends_with(&[0x01, 0x01, 0xff]), "certificates are asked for");
}
