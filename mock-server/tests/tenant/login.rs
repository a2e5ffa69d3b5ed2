//! The token endpoint, and tokens on the wire.

use mock_server::Request;
use serde_json::{Value, json};

use crate::support::{Client, aitm, code, sign_in, token};

#[test]
fn a_token_carries_the_claims_of_an_application() {
    use base64::Engine as _;
    let tenant = aitm();
    let token = token(&tenant, "https://graph.microsoft.com/.default");
    let part = token.split('.').nth(1).unwrap();
    let bytes = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap();
    let claims: Value = serde_json::from_slice(&bytes).unwrap();
    assert_eq!(claims["tid"], tenant.credentials().tenant_id);
    assert_eq!(claims["appid"], tenant.credentials().client_id);
    assert_eq!(claims["aud"], "https://graph.microsoft.com");
    assert_eq!(claims["idtyp"], "app");
    assert!(claims["roles"].as_array().unwrap().contains(&json!("User.Read.All")));
    assert!(claims["exp"].as_i64().unwrap() - claims["iat"].as_i64().unwrap() == 3599);
}

#[test]
fn sign_in_errors_have_entras_codes() {
    let tenant = aitm();
    let error = |fields: &[(&str, &str)]| {
        let response = sign_in(&tenant, fields);
        let body = response.body_json();
        assert!(body["error_description"].as_str().unwrap().starts_with("AADSTS"), "{body}");
        assert!(body["trace_id"].is_string() && body["correlation_id"].is_string());
        (response.status, body["error"].as_str().unwrap().to_owned(), body["error_codes"][0].as_u64().unwrap())
    };
    assert_eq!(error(&[("client_secret", "wrong")]), (401, "invalid_client".into(), 7_000_215));
    assert_eq!(error(&[("client_secret", "")]), (401, "invalid_client".into(), 7_000_216));
    assert_eq!(
        error(&[("client_id", "00000000-0000-0000-0000-000000000001")]),
        (400, "unauthorized_client".into(), 700_016)
    );
    assert_eq!(error(&[("scope", "https://graph.microsoft.com/User.Read")]), (400, "invalid_scope".into(), 1_002_012));
    assert_eq!(error(&[("scope", "https://nothing.example/.default")]), (400, "invalid_resource".into(), 500_011));
    assert_eq!(error(&[("grant_type", "password")]), (400, "unsupported_grant_type".into(), 70_003));
    let elsewhere =
        Request::new("POST", "/contoso.example/oauth2/v2.0/token").form(&[("grant_type", "client_credentials")]);
    assert_eq!(tenant.handle(&elsewhere).body_json()["error_codes"], json!([90_002]));
}

#[test]
fn a_client_may_authenticate_by_http_basic() {
    use base64::Engine as _;
    let tenant = aitm();
    let credentials = tenant.credentials();
    let pair = format!("{}:{}", credentials.client_id, credentials.client_secret);
    let basic = base64::engine::general_purpose::STANDARD.encode(pair);
    let request = Request::new("POST", &format!("/{}/oauth2/v2.0/token", credentials.tenant_id))
        .form(&[("grant_type", "client_credentials"), ("scope", "https://graph.microsoft.com/.default")])
        .header("authorization", &format!("Basic {basic}"));
    assert_eq!(tenant.handle(&request).status, 200);
}

#[test]
fn tokens_are_refused_when_missing_forged_foreign_or_old() {
    let client = Client::new();
    let status = |request: Request| {
        let response = client.tenant.handle(&request);
        assert_eq!(code(&response), if response.status == 401 { "InvalidAuthenticationToken" } else { "" });
        response.status
    };
    let get = || Request::new("GET", "/v1.0/organization");
    assert_eq!(status(get()), 401);
    assert_eq!(status(get().bearer("a.b.c")), 401);
    assert_eq!(status(get().bearer(&client.exchange)), 401);
    assert_eq!(status(get().bearer(&client.graph)), 200);
    client.tenant.clock().advance(jiff::SignedDuration::from_secs(3599));
    assert_eq!(status(get().bearer(&client.graph)), 401);
}

#[test]
fn a_disabled_service_principal_gets_no_token() {
    let tenant = aitm();
    let client_id = tenant.credentials().client_id;
    tenant.edit(|state| {
        let id = state.service_principal_of(&client_id).unwrap().id.clone();
        state.service_principals.get_mut(&id).unwrap().account_enabled = false;
    });
    assert_eq!(sign_in(&tenant, &[]).body_json()["error_codes"], json!([7_000_112]));
}
