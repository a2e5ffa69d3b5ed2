//! Every number of the sign-in service that a responder will meet: one line, what it means, what to do, and no second try
//! but where the fault passes.

use staunch::client::Credential;

use super::support::{SignIn, refusal, refused};

/// The numbers, as the research lists them (`client.md`, 1.7).
///
/// Source: "Microsoft Entra authentication and authorization error codes".
const NUMBERS: &[u32] = &[
    7000215, 7000222, 7000218, 700025, 700027, 700030, 50012, 900384, 500133, 700024, 50013, 50027, 700016, 700011,
    7000112, 70001, 90002, 50059, 90019, 90038, 900382, 900432, 50049, 500011, 650052, 65005, 650056, 650057, 70011,
    28002, 700022, 700023, 65001, 90094, 90095, 65004, 50034, 51004, 50020, 16000, 50126, 50064, 50056, 50053, 50055,
    50057, 50132, 50133, 50135, 50144, 50076, 50074, 50079, 50072, 50078, 50158, 50097, 50129, 53000, 53001, 53002,
    53003, 530032, 530035, 53011, 530034, 50105, 50173, 70008, 700082, 70043, 70000, 50089, 54005, 501481, 50011,
    50147, 50196, 70016, 70018, 70019,
];

/// Those that pass.
const PASSING: &[u32] = &[90033, 90024, 90006, 50033, 50087, 90012, 90055];

async fn tried(code: u32) -> (String, usize) {
    let login = SignIn::start().await;
    login.on("token", move |_| refusal("invalid_client", code)).await;
    let error = refused(login.open(login.options(Credential::Secret("canary-secret".into()))).await);
    assert_eq!(error.codes, [code]);
    (error.to_string(), login.asked("token").await.len())
}

#[tokio::test]
async fn each_number_of_the_sign_in_service_is_one_line_with_what_to_do() {
    for code in NUMBERS {
        let (line, tries) = tried(*code).await;
        let explained = line.starts_with(&format!("sign in: AADSTS{code}: ")) && line.contains("; ");
        assert!(explained && !line.contains("words") && !line.contains('\n'), "{line}");
        assert!(line.contains("correlation id 0d1c8b0f-0000-4000-8000-000000000002"), "{line}");
        assert_eq!(tries, 1, "a clear no is not asked for twice: {line}");
    }
    for code in PASSING {
        let (line, tries) = tried(*code).await;
        assert!(line.contains(&format!("AADSTS{code}: ")) && tries > 1, "{tries} tries: {line}");
    }
}
