//! What keeps us from signing in: one clear line, the number of the sign-in service, what to do, exit 1.

use mock_server::{
    faults::{Effect, Fault, Match},
    tenant::stamp::Stamp,
};

use crate::lab::{Ended, FIVE_MINUTES, Lab};

const VICTIM: &str = "users=johanna@sunnyside08.example";

/// Every verb that needs the tenant, with the least it takes.
fn verbs() -> [Vec<&'static str>; 3] {
    [vec!["plan", FIVE_MINUTES, "-i", VICTIM], vec!["run", FIVE_MINUTES, "-i", VICTIM], vec!["doctor"]]
}

/// One line that begins with `error:` and says all of this; exit 1; no request but for tokens.
fn assert_refused(lab: &Lab, ended: &Ended, says: &[&str]) {
    assert_eq!(ended.code, Some(1), "{}", ended.text());
    let errors: Vec<&str> = ended.stderr.lines().filter(|line| line.starts_with("error:")).collect();
    assert_eq!(errors.len(), 1, "{}", ended.stderr);
    for part in says {
        assert!(errors[0].contains(part), "{part} is not in: {}", errors[0]);
    }
    let others = lab.tenant.requests().into_iter().filter(|request| !request.path.ends_with("/token")).count();
    assert_eq!((others, lab.mutations()), (0, 0), "{}", ended.text());
}

fn refused_everywhere(lab: &Lab, says: &[&str]) {
    for verb in verbs() {
        assert_refused(lab, &lab.staunch(&verb), says);
    }
}

fn replace_in_profile(lab: &Lab, from: &str, to: &str) {
    let text = std::fs::read_to_string(lab.path("staunch.toml")).unwrap();
    assert!(text.contains(from), "{text}");
    lab.write("staunch.toml", &text.replace(from, to));
}

#[test]
fn a_wrong_tenant_is_one_line_with_its_number() {
    let lab = Lab::aitm();
    replace_in_profile(&lab, &lab.tenant.credentials().tenant_id, "00000000-0000-4000-8000-00000000beef");
    refused_everywhere(&lab, &["AADSTS90002", "the tenant was not found", "check tenant_id"]);
}

#[test]
fn a_token_of_another_tenant_than_the_profiles_is_refused() {
    let lab = Lab::aitm();
    let (us, url) = (lab.tenant.credentials(), lab.url());
    lab.write(
        "staunch.toml",
        &format!(
            "[tenants.lab]\ntenant_id = \"00000000-0000-4000-8000-00000000beef\"\nclient_id = \"{}\"\n\
             auth = {{ kind = \"managed-identity\" }}\n\
             endpoints = {{ login = \"{url}\", graph = \"{url}\", exchange = \"{url}\" }}\n",
            us.client_id
        ),
    );
    for verb in verbs() {
        let ended = Ended::of(lab.command(&verb).env("AZURE_POD_IDENTITY_AUTHORITY_HOST", &url).output().unwrap());
        assert_refused(&lab, &ended, &[&us.tenant_id, "00000000-0000-4000-8000-00000000beef"]);
    }
}

#[test]
fn an_application_that_is_not_there_is_one_line_with_its_number() {
    let lab = Lab::aitm();
    replace_in_profile(&lab, &lab.tenant.credentials().client_id, "00000000-0000-4000-8000-00000000beef");
    refused_everywhere(&lab, &["AADSTS700016", "does not exist in this tenant", "check client_id"]);
}

#[test]
fn an_expired_secret_is_one_line_with_its_number() {
    let lab = Lab::aitm();
    let us = lab.tenant.credentials().client_id;
    lab.tenant.edit(|state| {
        let id = state.application_of(&us).unwrap().id.clone();
        let application = state.applications.get_mut(&id).unwrap();
        for credential in &mut application.password_credentials {
            credential.end_date_time = Stamp("2023-01-01T00:00:00Z".parse().unwrap());
        }
    });
    refused_everywhere(&lab, &["AADSTS7000222", "the client secret has expired", "make a new secret"]);
}

#[test]
fn a_wrong_secret_is_one_line_with_its_number_and_without_the_secret() {
    let lab = Lab::aitm();
    for verb in verbs() {
        let ended = Ended::of(lab.command(&verb).env("LAB_SECRET", "canary-0f3b").output().unwrap());
        assert_refused(&lab, &ended, &["AADSTS7000215", "use the secret's value"]);
        assert!(!ended.text().contains("canary-0f3b"), "{}", ended.text());
    }
}

#[test]
fn a_disabled_application_is_one_line_with_its_number() {
    let lab = Lab::aitm();
    let us = lab.tenant.credentials().client_id;
    lab.tenant.edit(|state| {
        let id = state.service_principal_of(&us).unwrap().id.clone();
        state.service_principals.get_mut(&id).unwrap().account_enabled = false;
    });
    refused_everywhere(&lab, &["AADSTS7000112", "the application is disabled", "find out who disabled"]);
}

#[test]
fn an_application_without_any_permission_is_one_line() {
    let lab = Lab::aitm();
    lab.tenant.grant_only(&[]);
    for verb in &verbs()[..2] {
        let ended = lab.staunch(verb);
        assert_refused(&lab, &ended, &["no permission", "administrator", "consent"]);
        assert!(ended.stderr.contains("staunch permissions"), "{}", ended.stderr);
    }
    let given = ["--override", "preflight", "--reason", "a directory role is to do"];
    let tried = lab.staunch(&[&["plan", FIVE_MINUTES, "-i", VICTIM], &given[..]].concat());
    assert_eq!(tried.code, Some(4), "{}", tried.text());
    assert!(tried.stderr.contains("the permission User.Read.All is needed"), "{}", tried.stderr);
    assert!(tried.stdout.contains("403"), "the tenant's own answer counts: {}", tried.stdout);
}

/// The answer of the sign-in service is its documented one; a tenant gives it where nobody has consented.
#[test]
fn a_missing_consent_is_one_line_with_its_number() {
    let lab = Lab::aitm();
    let us = lab.tenant.credentials().client_id;
    let told = format!(
        "AADSTS65001: The user or administrator has not consented to use the application with ID '{us}' named 'ir'. Send an \
         interactive authorization request for this user and resource. Trace ID: 0f3b Correlation ID: 0f3c"
    );
    let body = serde_json::json!({
        "error": "invalid_grant", "error_description": told, "error_codes": [65001], "suberror": "consent_required",
        "trace_id": "0f3b", "correlation_id": "0f3c",
    });
    let answer =
        Effect::Answer { status: 400, content_type: "application/json".into(), body: body.to_string(), applied: false };
    lab.tenant.faults().add(Fault::always(Match::path("/oauth2/v2.0/token"), answer));
    refused_everywhere(&lab, &["AADSTS65001", "consent", "0f3c"]);
}

/// A profile that signs in with the certificate of `cert.pem`.
fn with_certificate(lab: &Lab, key: &rcgen::KeyPair, parameters: rcgen::CertificateParams) -> rcgen::Certificate {
    let certificate = parameters.self_signed(key).unwrap();
    let path = lab.write("cert.pem", &format!("{}{}", key.serialize_pem(), certificate.pem()));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    replace_in_profile(lab, "kind = \"secret\", env = \"LAB_SECRET\"", "kind = \"certificate\", file = \"cert.pem\"");
    certificate
}

fn parameters() -> rcgen::CertificateParams {
    rcgen::CertificateParams::new(vec!["ir.sunnyside08.example".to_owned()]).unwrap()
}

#[test]
fn a_certificate_that_the_application_does_not_have_is_one_line_with_its_number() {
    let lab = Lab::aitm();
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    with_certificate(&lab, &key, parameters());
    refused_everywhere(&lab, &["AADSTS700027", "upload this certificate to this very application"]);
}

/// Nothing is sent at all: not even for a token.
#[test]
fn a_certificate_whose_time_is_over_or_has_not_come_is_one_line_before_anything_is_sent() {
    let key = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
    let from_to = |from: i32, to: i32| {
        let mut made = parameters();
        (made.not_before, made.not_after) = (rcgen::date_time_ymd(from, 1, 1), rcgen::date_time_ymd(to, 1, 1));
        made
    };
    for (parameters, says) in [
        (from_to(2020, 2021), ["it expired at 2021-01-01", "make a new one"]),
        (from_to(2998, 2999), ["not valid before 2998-01-01", "clock"]),
    ] {
        let lab = Lab::aitm();
        with_certificate(&lab, &key, parameters);
        refused_everywhere(&lab, &says);
        assert!(lab.tenant.requests().is_empty());
    }
}
