//! What the numbers of the sign-in service mean to a responder, and what to do about them. A table, nothing else.
//!
//! Source: "Microsoft Entra authentication and authorization error codes". The numbers explain; they never steer.

/// Numbers that mean the same, their meaning, and what to do.
pub(super) struct Hint {
    /// The numbers.
    pub(super) codes: &'static [u32],
    /// What it means.
    pub(super) meaning: &'static str,
    /// What to do.
    pub(super) advice: &'static str,
}

/// Faults that pass.
pub(super) const PASSING: &[u32] = &[90033, 90024, 90006, 50033, 50087, 90012, 90055];
/// Our clock is wrong.
pub(super) const CLOCK: &[u32] = &[500133, 700024];

/// What a number means, and what to do about it.
pub(super) fn hint(code: u32) -> Option<&'static Hint> {
    HINTS.iter().find(|hint| hint.codes.contains(&code))
}

const fn of(codes: &'static [u32], meaning: &'static str, advice: &'static str) -> Hint {
    Hint { codes, meaning, advice }
}

const HINTS: &[Hint] = &[
    // The application and its credential.
    of(&[7000215], "the client secret is wrong", "use the secret's value, not its id; it may have been rotated"),
    of(&[7000222], "the client secret has expired", "make a new secret for the application, or use a certificate"),
    of(
        &[7000218, 7000216],
        "the request carried no credential",
        "configure a secret or certificate, or allow public client flows in the registration",
    ),
    of(
        &[700025],
        "the registration is a public client",
        "remove the secret or certificate, or use a confidential registration",
    ),
    of(
        &[700027],
        "the signature of the client assertion is wrong",
        "upload this certificate to this very application; check that it has not expired",
    ),
    of(&[700030, 50012, 900384], "the certificate was not accepted", "check certificate and chain"),
    of(CLOCK, "the client assertion is outside its validity", "set this machine's clock"),
    of(&[50013, 50027], "the client assertion is invalid", "check its issuer and audience, and the cloud"),
    of(
        &[700211, 700212, 700213, 7002110, 7002120, 7002130, 7002131, 7002138],
        "no federated credential of the application matches the token",
        "compare its issuer, subject and audience with the credential; check the cloud",
    ),
    of(
        &[700016, 700011],
        "the application does not exist in this tenant",
        "check client_id, tenant_id and cloud; it may lack consent here",
    ),
    of(
        &[7000112, 70001],
        "the application is disabled",
        "find out who disabled our application: the attacker, or a playbook",
    ),
    // Tenant, cloud, resource.
    of(&[90002, 50059, 90019], "the tenant was not found", "check tenant_id, and the cloud"),
    of(&[90038, 900382, 900432, 50049], "the tenant lives in another cloud", "set cloud in the profile"),
    of(
        &[500011, 650052, 65005, 650056, 650057],
        "the resource is not known to this tenant",
        "check that the service is licensed and its service principal exists",
    ),
    of(&[70011, 28002, 700022, 700023], "the scope is invalid", "this should not happen: report it"),
    of(
        &[65001, 90094, 90095, 65004],
        "consent is missing",
        "have an administrator grant the application's permissions",
    ),
    // A person who signs in.
    of(&[50034, 51004, 50020, 16000], "the user is not in this directory", "check the tenant; guests sign in at home"),
    of(&[50126, 50064, 50056], "user name or password is wrong", "try again"),
    of(&[50053], "the account is locked, or the address counts as malicious", "read the reason in the sign-in log"),
    of(
        &[50057, 50133, 50173],
        "this account was disabled or its sessions were revoked",
        "find out who contained the responder's own account",
    ),
    of(
        &[50132],
        "the session ended, since the password expired or was changed",
        "sign in again; if nobody of us changed it, find out who did",
    ),
    of(
        &[50135],
        "the password has to be changed, since the account is at risk",
        "find out why the responder's own account is flagged, before it is used",
    ),
    of(&[50055, 50144], "the password has expired", "change it, then sign in again"),
    of(&[50076, 50074, 50079, 50072, 50078, 50158], "multifactor authentication is needed", "sign in interactively"),
    of(&[50105], "the user is not assigned to the application", "assign the user"),
    of(&[70008, 700082, 70043, 70000, 50089], "the sign-in has expired or was revoked", "sign in again"),
    // Conditional Access.
    of(
        &[50097, 50129, 53000, 53001, 53002],
        "a compliant device is needed",
        "use such a device, or an application identity",
    ),
    of(
        &[53003, 530032, 530034, 530035, 53011],
        "Conditional Access blocked the sign-in",
        "exclude the response application or this location deliberately; device codes are often blocked",
    ),
    // The sign-in itself.
    of(
        &[54005, 501481],
        "the code of the browser was used before, or is not ours",
        "sign in again; if it happens again, report it",
    ),
    of(
        &[50011],
        "the registration does not know our redirect address",
        "add http://localhost to its platform `mobile and desktop applications`",
    ),
    of(&[50147], "the code challenge is missing", "this should not happen: report it"),
    of(&[70016], "the device code was not entered yet", "enter it"),
    of(&[70018], "the device code is wrong", "start again"),
    of(&[70019, 70020], "the device code has expired", "start again"),
    of(&[50196], "too many token requests in a loop", "wait some minutes; this should not happen: report it"),
    of(PASSING, "the sign-in service has a passing fault", "try again in a minute"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{HINTS, hint};

    /// Every number that the reference of error codes names for what we do.
    const KNOWN: &[u32] = &[
        7000215, 7000222, 7000218, 700025, 700027, 700030, 50012, 900384, 500133, 700024, 50013, 50027, 700016, 700011,
        7000112, 70001, 90002, 50059, 90019, 90038, 900382, 900432, 50049, 500011, 650052, 65005, 650056, 650057,
        70011, 28002, 700022, 700023, 65001, 90094, 90095, 65004, 50034, 51004, 50020, 16000, 50126, 50064, 50056,
        50053, 50055, 50057, 50132, 50133, 50135, 50144, 50076, 50074, 50079, 50072, 50078, 50158, 50097, 50129, 53000,
        53001, 53002, 53003, 530032, 530035, 53011, 530034, 50105, 50173, 70008, 700082, 70043, 70000, 50089, 54005,
        501481, 50011, 50147, 50196, 70016, 70018, 70019, 90033, 90024, 90006, 50033, 50087, 90012, 90055,
    ];

    #[test]
    fn every_known_number_has_one_hint() {
        let missing: Vec<_> = KNOWN.iter().filter(|code| hint(**code).is_none()).collect();
        assert!(missing.is_empty(), "{missing:?}");
        let mut seen = BTreeSet::new();
        for code in HINTS.iter().flat_map(|hint| hint.codes) {
            assert!(seen.insert(code), "{code} stands there twice");
        }
    }

    #[test]
    fn hints_are_fragments_of_one_line() {
        for hint in HINTS {
            for text in [hint.meaning, hint.advice] {
                assert!(!text.ends_with('.') && !text.contains('\n'), "{text}");
                assert!(text.starts_with(|c: char| c.is_lowercase() || text.starts_with("Conditional")), "{text}");
            }
        }
    }

    #[test]
    fn a_responder_who_was_contained_is_told_so() {
        for code in [50057, 50133, 50173] {
            assert!(hint(code).unwrap().advice.contains("responder's own account"), "{code}");
        }
        assert!(hint(1).is_none());
    }
}
