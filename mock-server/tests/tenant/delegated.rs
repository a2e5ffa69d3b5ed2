//! Sign-in of users and by certificate, and what a signed-in administrator may do.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use mock_server::{Request, Response, Tenant};
use serde_json::{Value, json};

use crate::support::{Client, JOHANNA, VICTIM, aitm, code, sign_in};

const GRAPH: &str = "https://graph.microsoft.com/.default offline_access";
/// The verifier and challenge of RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

fn post(tenant: &Tenant, endpoint: &str, fields: &[(&str, &str)]) -> Response {
    let credentials = tenant.credentials();
    let mut form = vec![("client_id", credentials.client_id.as_str())];
    form.extend_from_slice(fields);
    tenant.handle(&Request::new("POST", &format!("/{}/oauth2/v2.0/{endpoint}", credentials.tenant_id)).form(&form))
}

fn device_token(tenant: &Tenant, user: &str, scope: &str) -> Value {
    let started = post(tenant, "devicecode", &[("scope", scope)]).body_json();
    assert!(tenant.approve_device(started["user_code"].as_str().unwrap(), user));
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    post(tenant, "token", &[grant, ("device_code", started["device_code"].as_str().unwrap())]).body_json()
}

/// A client signed in as `user`, who holds these roles.
pub(crate) fn signed_in(user: &str, roles: &[&str]) -> Client {
    let tenant = aitm();
    tenant.edit(|state| {
        let id = state.user_id(&format!("{user}@sunnyside08.example"));
        for (at, role) in roles.iter().enumerate() {
            let row = mock_server::tenant::roles::RoleAssignment {
                id: format!("test-{at}"),
                principal_id: id.clone(),
                role_definition_id: mock_server::tenant::roles::template(role).unwrap().id.to_owned(),
                directory_scope_id: "/".to_owned(),
            };
            state.role_assignments.insert(row.id.clone(), row);
        }
    });
    let mut client = Client::of(&tenant);
    let token = device_token(&tenant, &format!("{user}@sunnyside08.example"), GRAPH);
    client.graph = token["access_token"].as_str().unwrap().to_owned();
    client
}

#[test]
fn a_device_sign_in_is_polled_until_somebody_approves_it() {
    let tenant = aitm();
    let started = post(&tenant, "devicecode", &[("scope", GRAPH)]).body_json();
    let poll = || {
        post(
            &tenant,
            "token",
            &[
                ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                ("device_code", started["device_code"].as_str().unwrap()),
            ],
        )
    };
    assert_eq!(poll().body_json()["error"], "authorization_pending");
    assert!(!tenant.approve_device("WRONG", JOHANNA));
    assert!(tenant.approve_device(started["user_code"].as_str().unwrap(), "per@sunnyside08.example"));
    let token = poll().body_json();
    assert!(token["refresh_token"].is_string());
    assert_eq!(poll().body_json()["error"], "bad_verification_code");
    let part = token["access_token"].as_str().unwrap().split('.').nth(1).unwrap();
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    assert_eq!((&claims["idtyp"], &claims["upn"]), (&json!("user"), &json!("per@sunnyside08.example")));
    assert!(claims["scp"].as_str().unwrap().contains("User.Read.All") && claims.get("roles").is_none());
}

#[test]
fn a_device_code_expires() {
    let tenant = aitm();
    let started = post(&tenant, "devicecode", &[("scope", GRAPH)]).body_json();
    tenant.clock().advance(jiff::SignedDuration::from_secs(900));
    let grant = ("grant_type", "urn:ietf:params:oauth:grant-type:device_code");
    let late = post(&tenant, "token", &[grant, ("device_code", started["device_code"].as_str().unwrap())]);
    assert_eq!(late.body_json()["error"], "expired_token");
}

#[test]
fn a_browser_sign_in_proves_its_challenge_and_its_code_works_once() {
    let tenant = aitm();
    let credentials = tenant.credentials();
    let go = |redirect: &str| {
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs([
                ("client_id", credentials.client_id.as_str()),
                ("response_type", "code"),
                ("redirect_uri", redirect),
                ("scope", GRAPH),
                ("state", "s1"),
                ("code_challenge", CHALLENGE),
                ("code_challenge_method", "S256"),
            ])
            .finish();
        tenant.handle(&Request::new("GET", &format!("/{}/oauth2/v2.0/authorize?{query}", credentials.tenant_id)))
    };
    let redirect = "http://localhost:7000";
    assert_eq!(go("https://collector.example").body_json()["error_codes"], json!([50_011]));
    assert_eq!(go("http://localhost.collector.example").status, 400);
    assert_eq!(go(redirect).status, 200, "nobody is at the browser yet");
    assert!(tenant.sign_in_as("per@sunnyside08.example"));
    let back = go(redirect).get_header("location").unwrap().to_owned();
    let id = back.split_once("code=").unwrap().1.split_once("&state=s1").unwrap().0.to_owned();
    let redeem = |verifier: &str| {
        let fields = [
            ("grant_type", "authorization_code"),
            ("code", id.as_str()),
            ("code_verifier", verifier),
            ("redirect_uri", redirect),
        ];
        post(&tenant, "token", &fields)
    };
    assert_eq!(redeem("wrong").body_json()["error_codes"], json!([501_481]));
    assert_eq!(redeem(VERIFIER).status, 200);
    assert_eq!(redeem(VERIFIER).body_json()["error_codes"], json!([54_005]));
}

#[test]
fn a_refresh_token_dies_with_the_sessions_and_an_access_token_does_not() {
    let tenant = aitm();
    let attacker = device_token(&tenant, JOHANNA, GRAPH);
    let refresh = || {
        post(
            &tenant,
            "token",
            &[("grant_type", "refresh_token"), ("refresh_token", attacker["refresh_token"].as_str().unwrap())],
        )
    };
    assert_eq!(refresh().status, 200);
    tenant.clock().advance(jiff::SignedDuration::from_secs(60));
    let responder = Client::of(&tenant);
    responder.send(Request::new("POST", &format!("/v1.0{VICTIM}/revokeSignInSessions")));
    assert_eq!(refresh().body_json()["error_codes"], json!([50_173]));
    let old = Request::new("GET", "/v1.0/organization").bearer(attacker["access_token"].as_str().unwrap());
    assert_eq!(tenant.handle(&old).status, 200);
    let fresh = device_token(&tenant, JOHANNA, GRAPH);
    assert!(fresh["access_token"].is_string());
    responder.write("PATCH", VICTIM, &json!({"accountEnabled": false}));
    let blocked = post(
        &tenant,
        "token",
        &[("grant_type", "refresh_token"), ("refresh_token", fresh["refresh_token"].as_str().unwrap())],
    );
    assert_eq!(blocked.body_json()["error_codes"], json!([50_057]));
}

#[test]
fn a_signed_in_user_needs_the_scope_and_the_role() {
    let block = json!({"accountEnabled": false});
    let nobody = signed_in("grady", &[]);
    assert_eq!((nobody.get(VICTIM).status, nobody.write("PATCH", VICTIM, &block).status), (200, 403));
    let administrator = signed_in("grady", &["User Administrator"]);
    assert_eq!(administrator.write("PATCH", VICTIM, &block).status, 204);
    assert_eq!(administrator.write("PATCH", "/users/ines@sunnyside08.example", &block).status, 403);
    let newest = administrator.tenant.audit().last().unwrap().clone();
    assert_eq!(
        (&newest["initiatedBy"]["app"], &newest["initiatedBy"]["user"]["userPrincipalName"]),
        (&Value::Null, &json!("grady@sunnyside08.example"))
    );
}

#[test]
fn an_authentication_administrator_sees_masked_numbers() {
    let number = |client: &Client| {
        client.json(&format!("{VICTIM}/authentication/phoneMethods"))["value"][0]["phoneNumber"].clone()
    };
    assert_eq!(number(&signed_in("grady", &["Authentication Administrator"])), "+XX XXXXXXXX0123");
    assert_eq!(number(&signed_in("grady", &["Privileged Authentication Administrator"])), "+49 1555 0100123");
}

#[test]
fn a_password_reset_is_an_operation_and_its_address_needs_its_query() {
    let client = signed_in("grady", &["Authentication Administrator"]);
    let path = |user: &str| {
        format!(
            "/users/{user}@sunnyside08.example/authentication/methods/28c10230-6103-485e-b985-444c60001490/resetPassword"
        )
    };
    let made = client.write("POST", &path("johanna"), &json!({}));
    assert_eq!(made.status, 202);
    let password = made.body_json()["newPassword"].as_str().unwrap().to_owned();
    assert!(client.tenant.password_is(JOHANNA, &password));
    let location = made.get_header("location").unwrap().strip_prefix("http://localhost/v1.0").unwrap().to_owned();
    assert_eq!(client.json(&location)["status"], "succeeded");
    assert_eq!(client.get(location.split_once('?').unwrap().0).status, 404);
    assert_eq!(client.write("POST", &path("grady"), &json!({})).status, 403, "not for one's own account");
    assert_eq!(client.write("POST", &path("klaus"), &json!({})).status, 400);
    assert_eq!(client.write("POST", &path("klaus"), &json!({"newPassword": "Correct-Horse-7"})).status, 202);
}

#[test]
fn a_device_needs_the_widest_scope() {
    let tenant = aitm();
    let mut client = Client::of(&tenant);
    let device = client.json(&format!("{VICTIM}/ownedDevices"))["value"][0]["id"].as_str().unwrap().to_owned();
    let path = format!("/devices/{device}");
    let body = json!({"accountEnabled": false});
    for (scope, status) in [("Device.ReadWrite.All", 403), ("Directory.AccessAsUser.All", 204)] {
        let token = device_token(&tenant, "ines@sunnyside08.example", scope);
        client.graph = token["access_token"].as_str().unwrap().to_owned();
        assert_eq!(client.write("PATCH", &path, &body).status, status, "{scope}");
    }
}

/// A key pair: the private key and the public key as PEM.
fn keys() -> (String, String) {
    use aws_lc_rs::encoding::{AsDer as _, Pkcs8V1Der, PublicKeyX509Der};
    use aws_lc_rs::rsa::{KeyPair, KeySize};
    use aws_lc_rs::signature::KeyPair as _;
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let pem =
        |label: &str, der: &[u8]| format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(der));
    let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
    (pem("PRIVATE KEY", private.as_ref()), pem("PUBLIC KEY", public.as_ref()))
}

#[test]
fn a_certificate_assertion_is_verified() {
    let tenant = aitm();
    let credentials = tenant.credentials();
    let (private, public) = keys();
    let endpoint = format!("http://localhost/{}/oauth2/v2.0/token", credentials.tenant_id);
    let now = tenant.clock().now().as_second();
    let assertion = |audience: &str, expires: i64| {
        let mut header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::PS256);
        header.x5t_s256 = Some("thumb".to_owned());
        let claims = json!({
            "aud": audience, "iss": credentials.client_id, "sub": credentials.client_id, "exp": expires, "nbf": now,
            "jti": "1",
        });
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
        jsonwebtoken::encode(&header, &claims, &key).unwrap()
    };
    let with =
        |assertion: &str| sign_in(&tenant, &[("client_secret", ""), ("client_assertion", assertion)]).body_json();
    assert_eq!(with(&assertion(&endpoint, now + 600))["error_codes"], json!([700_027]));
    tenant.trust_certificate(&public, "thumb");
    assert!(with(&assertion(&endpoint, now + 600))["access_token"].is_string());
    assert_eq!(with(&assertion(&endpoint, now))["error_codes"], json!([700_024]));
    assert_eq!(with(&assertion("https://login.example", now + 600))["error_codes"], json!([50_027]));
    tenant.trust_certificate(&keys().1, "thumb");
    assert_eq!(with(&assertion(&endpoint, now + 600))["error_codes"], json!([700_027]));
    assert_eq!(with("nonsense")["error_codes"], json!([50_027]));
    assert_eq!(code(&Client::of(&tenant).get(VICTIM)), "");
}

#[test]
fn a_federated_assertion_needs_issuer_subject_and_audience() {
    let tenant = aitm();
    let payroll = tenant
        .inspect(|state| state.applications.values().find(|app| app.display_name == "Payroll").unwrap().app_id.clone());
    let (private, public) = keys();
    let now = tenant.clock().now().as_second();
    let sign_in_with = |issuer: &str, subject: &str, audience: &str| {
        let claims = json!({"aud": audience, "iss": issuer, "sub": subject, "exp": now + 600});
        let key = jsonwebtoken::EncodingKey::from_rsa_pem(private.as_bytes()).unwrap();
        let assertion =
            jsonwebtoken::encode(&jsonwebtoken::Header::new(jsonwebtoken::Algorithm::RS256), &claims, &key).unwrap();
        sign_in(&tenant, &[("client_id", &payroll), ("client_secret", ""), ("client_assertion", &assertion)])
            .body_json()
    };
    let (issuer, subject, audience) =
        ("https://token.build.example", "repo:payroll:main", "api://AzureADTokenExchange");
    assert_eq!(sign_in_with(issuer, subject, audience)["error_codes"], json!([50_166]));
    tenant.trust_issuer(issuer, &public);
    assert!(sign_in_with(issuer, subject, audience)["access_token"].is_string());
    assert_eq!(sign_in_with("https://other.example", subject, audience)["error_codes"], json!([700_212]));
    assert_eq!(sign_in_with(issuer, "repo:payroll:fork", audience)["error_codes"], json!([700_213]));
    assert_eq!(sign_in_with(issuer, subject, "api://other")["error_codes"], json!([700_212]));
    tenant.trust_issuer(issuer, &keys().1);
    assert_eq!(sign_in_with(issuer, subject, audience)["error_codes"], json!([700_027]));
}

#[test]
fn a_managed_identity_asks_its_machine_and_numbers_are_text() {
    let tenant = aitm();
    let request = Request::new(
        "GET",
        "/metadata/identity/oauth2/token?api-version=2018-02-01&resource=https://graph.microsoft.com/",
    );
    assert_eq!(tenant.handle(&request).status, 400);
    let token = tenant.handle(&request.header("Metadata", "true")).body_json();
    assert!(token["expires_on"].is_string());
    let read = Request::new("GET", &format!("/v1.0{VICTIM}")).bearer(token["access_token"].as_str().unwrap());
    assert_eq!(tenant.handle(&read).status, 200, "its permission is to read users");
    let other = Request::new("GET", "/v1.0/devices").bearer(token["access_token"].as_str().unwrap());
    assert_eq!(tenant.handle(&other).status, 403);
}

#[test]
fn a_revoked_holder_is_challenged_where_access_is_continuous() {
    let tenant = aitm();
    tenant.set(|settings| settings.continuous_access = true);
    let client = Client::of(&tenant);
    let own = tenant.credentials().client_id;
    let id = client.json(&format!("/servicePrincipals(appId='{own}')"))["id"].as_str().unwrap().to_owned();
    assert_eq!(
        client.write("PATCH", &format!("/servicePrincipals/{id}"), &json!({"accountEnabled": false})).status,
        204
    );
    let challenge = client.get(VICTIM);
    assert_eq!(challenge.status, 401);
    assert!(challenge.get_header("www-authenticate").unwrap().contains("insufficient_claims"));
}
