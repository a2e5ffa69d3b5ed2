//! Client assertions: of a certificate, or of another issuer, verified against the keys that the tenant was told to trust.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde::Deserialize;

use super::Refusal;
use crate::http::Request;
use crate::server::origin;
use crate::tenant::Tenant;
use crate::tenant::apps::Application;
use crate::tenant::state::Document;

/// The claims that Entra looks at.
#[derive(Debug, Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    sub: String,
    exp: i64,
    nbf: Option<i64>,
}

/// What an assertion of another issuer must be addressed to.
const EXCHANGE_AUDIENCE: &str = "api://AzureADTokenExchange";

/// The claims without a look at the signature.
fn claims_of(assertion: &str) -> Option<Claims> {
    let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok()
}

/// Verifies an assertion of the application: signed by its own certificate, or by an issuer that it trusts.
pub(super) fn check(
    tenant: &Tenant,
    request: &Request,
    application: &Application,
    assertion: &str,
) -> Result<(), Refusal> {
    match claims_of(assertion) {
        Some(claims) if claims.iss != application.app_id => federated(tenant, application, assertion, &claims),
        _ => certificate(tenant, request, &application.app_id, assertion),
    }
}

/// A token of another issuer: one of the application's federated credentials must name issuer and subject.
fn federated(tenant: &Tenant, application: &Application, assertion: &str, claims: &Claims) -> Result<(), Refusal> {
    let refuse = |code, text: &str| Refusal::new(401, "invalid_client", code, text);
    let rows = &application.hidden.federated;
    let member = |row: &Document, name: &str| row.get(name).and_then(|value| value.as_str()).map(str::to_owned);
    let issuers = rows.iter().filter(|row| member(row, "issuer").as_deref() == Some(&claims.iss));
    let mut subjects = issuers.clone().filter(|row| member(row, "subject").as_deref() == Some(&claims.sub));
    if issuers.clone().next().is_none() {
        return Err(refuse(700_212, "No matching federated identity record found for presented assertion issuer."));
    }
    if subjects.next().is_none() {
        return Err(refuse(700_213, "No matching federated identity record found for presented assertion subject."));
    }
    if claims.aud != EXCHANGE_AUDIENCE {
        return Err(refuse(700_212, "No matching federated identity record found for presented assertion audience."));
    }
    let key =
        tenant.certificate(&claims.iss).ok_or_else(|| refuse(50_166, "The keys of the issuer cannot be read."))?;
    verify(assertion, Algorithm::RS256, &key)?;
    if claims.exp <= tenant.clock().now().as_second() {
        return Err(refuse(700_024, "Client assertion is not within its valid time range."));
    }
    Ok(())
}

/// The signature, and the claims that it covers. Audience and times are checked by the tenant's clock, with Entra's codes.
fn verify(assertion: &str, algorithm: Algorithm, public_key: &str) -> Result<Claims, Refusal> {
    let refuse = |text: &str| Refusal::new(401, "invalid_client", 700_027, text);
    let mut validation = Validation::new(algorithm);
    validation.validate_exp = false;
    validation.validate_aud = false;
    let key = DecodingKey::from_rsa_pem(public_key.as_bytes())
        .map_err(|_| refuse("The certificate of the application holds no RSA key."))?;
    let verified = jsonwebtoken::decode::<Claims>(assertion, &key, &validation);
    Ok(verified.map_err(|_| refuse("Client assertion failed signature validation."))?.claims)
}

/// Verifies an assertion signed by the application's certificate.
fn certificate(tenant: &Tenant, request: &Request, app_id: &str, assertion: &str) -> Result<(), Refusal> {
    let refuse = |code, text: &str| Refusal::new(401, "invalid_client", code, text);
    let header =
        jsonwebtoken::decode_header(assertion).map_err(|_| refuse(50_027, "JWT token is invalid or malformed."))?;
    let thumbprint = header.x5t_s256.or(header.x5t).unwrap_or_default();
    let trusted = tenant.certificate(&thumbprint).ok_or_else(|| {
        refuse(
            700_027,
            "The certificate with identifier used to sign the client assertion is not registered on application.",
        )
    })?;
    if !matches!(header.alg, Algorithm::PS256 | Algorithm::RS256) {
        return Err(refuse(5_002_738, "Invalid JWT token. The algorithm is not supported."));
    }
    let claims = verify(assertion, header.alg, &trusted)?;
    let now = tenant.clock().now().as_second();
    if claims.exp <= now || claims.nbf.is_some_and(|start| start > now + 300) {
        return Err(refuse(700_024, "Client assertion is not within its valid time range."));
    }
    let endpoint = format!("{}{}", origin(request), request.path);
    if claims.aud != endpoint {
        return Err(refuse(50_027, "JWT token is invalid or malformed. Its audience is not this token endpoint."));
    }
    if claims.iss != app_id || claims.sub != app_id {
        return Err(refuse(700_021, "Client assertion application identifier does not match the client_id parameter."));
    }
    Ok(())
}
