//! Users who sign in: device code, authorization code with PKCE, refresh.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::{Refusal, answer, application_of, caller, missing};
use crate::http::{Request, Response};
use crate::odata::query::Query;
use crate::server::origin;
use crate::tenant::Tenant;
use crate::tenant::flows::{Code, DeviceRequest, Refresh};
use crate::tenant::roles::APPLICATION_WID;
use crate::tenant::state::State;
use crate::tenant::tokens::{Audience, SignedIn};

fn invalid_grant(code: u32, text: &str) -> Refusal {
    Refusal::new(400, "invalid_grant", code, text)
}

/// Starts a sign-in on another device.
pub(super) fn device_code(tenant: &Tenant, request: &Request, form: &Query) -> Result<Response, Refusal> {
    let client_id = form.get("client_id").ok_or_else(|| missing("client_id"))?;
    application_of(&tenant.read().state, client_id)?;
    let scope = form.get("scope").ok_or_else(|| missing("scope"))?;
    let device_code = tenant.new_id();
    let user_code: String = tenant.new_id().replace('-', "").to_uppercase().chars().take(9).collect();
    let page = format!("{}/common/oauth2/deviceauth", origin(request));
    let waiting = DeviceRequest {
        user_code: user_code.clone(),
        client_id: client_id.to_owned(),
        scope: scope.to_owned(),
        expires: tenant.clock().now() + SignedDuration::from_secs(900),
        user_id: None,
    };
    tenant.flows(|flows| flows.devices.insert(device_code.clone(), waiting));
    Ok(Response::json(
        200,
        &json!({
            "user_code": user_code, "device_code": device_code, "verification_uri": page, "expires_in": 900, "interval": 5,
            "message": format!("To sign in, use a web browser to open the page {page} and enter the code {user_code} to authenticate."),
        }),
    ))
}

/// Signs in whoever sits at the browser, and sends the browser back.
pub(super) fn authorize(tenant: &Tenant, query: &Query) -> Result<Response, Refusal> {
    let required = |name: &str| query.get(name).map(str::to_owned).ok_or_else(|| missing(name));
    let (client_id, redirect) = (required("client_id")?, required("redirect_uri")?);
    application_of(&tenant.read().state, &client_id)?;
    let loopback = ["http://localhost", "http://127.0.0.1"]
        .iter()
        .any(|start| redirect.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/'])));
    if !loopback {
        return Err(Refusal::new(
            400,
            "invalid_request",
            50_011,
            format!(
                "The redirect URI '{redirect}' specified in the request does not match the redirect URIs configured for the application '{client_id}'."
            ),
        ));
    }
    let Some(user_id) = tenant.flows(|flows| flows.operator.clone()) else {
        return Ok(Response::with_body(200, "text/html", b"<!DOCTYPE html><html><body>Sign in</body></html>".to_vec()));
    };
    let code = Code {
        client_id,
        redirect: redirect.clone(),
        scope: required("scope")?,
        challenge: required("code_challenge")?,
        user_id,
        used: false,
    };
    let id = tenant.new_id();
    tenant.flows(|flows| flows.codes.insert(id.clone(), code));
    let mut back = form_urlencoded::Serializer::new(String::new());
    back.append_pair("code", &id);
    if let Some(state) = query.get("state") {
        back.append_pair("state", state);
    }
    let mut response = Response::empty(302);
    response.set("location", &format!("{redirect}?{}", back.finish()));
    Ok(response)
}

/// A token for a user, by the flow of the grant.
pub(super) fn token(tenant: &Tenant, grant: &str, form: &Query) -> Result<Response, Refusal> {
    let (client_id, user_id, scope) = match grant {
        "urn:ietf:params:oauth:grant-type:device_code" => by_device(tenant, form)?,
        "authorization_code" => by_code(tenant, form)?,
        "refresh_token" => by_refresh(tenant, form)?,
        other => {
            return Err(Refusal::new(
                400,
                "unsupported_grant_type",
                70_003,
                format!("The app requested an unsupported grant type '{other}'."),
            ));
        }
    };
    issue(tenant, &client_id, &user_id, &scope)
}

type Granted = (String, String, String);

fn by_device(tenant: &Tenant, form: &Query) -> Result<Granted, Refusal> {
    let code = form.get("device_code").ok_or_else(|| missing("device_code"))?;
    let waiting = tenant.flows(|flows| flows.devices.get(code).cloned());
    let waiting = waiting.ok_or_else(|| {
        Refusal::new(
            400,
            "bad_verification_code",
            70_018,
            "Invalid verification code due to user typing in wrong user code for device code flow.",
        )
    })?;
    if waiting.expires <= tenant.clock().now() {
        return Err(Refusal::new(
            400,
            "expired_token",
            70_020,
            "The provided value for the input parameter 'device_code' is not valid. This device code has expired.",
        ));
    }
    let user_id = waiting.user_id.ok_or_else(|| {
        Refusal::new(
            400,
            "authorization_pending",
            70_016,
            "OAuth 2.0 device flow error. Authorization is pending. Continue polling.",
        )
    })?;
    tenant.flows(|flows| flows.devices.remove(code));
    Ok((waiting.client_id, user_id, waiting.scope))
}

fn by_code(tenant: &Tenant, form: &Query) -> Result<Granted, Refusal> {
    let id = form.get("code").ok_or_else(|| missing("code"))?;
    let verifier = form.get("code_verifier").ok_or_else(|| missing("code_verifier"))?;
    let code = tenant
        .flows(|flows| flows.codes.get(id).cloned())
        .ok_or_else(|| invalid_grant(70_000, "The provided authorization code is invalid."))?;
    if code.used {
        return Err(invalid_grant(
            54_005,
            "OAuth2 Authorization code was already redeemed, please retry with a new valid code or use an existing refresh token.",
        ));
    }
    if URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes())) != code.challenge {
        return Err(invalid_grant(
            501_481,
            "The Code_Verifier does not match the code_challenge supplied in the authorization request.",
        ));
    }
    if form.get("redirect_uri") != Some(code.redirect.as_str()) {
        return Err(Refusal::new(
            400,
            "invalid_client",
            500_112,
            "The reply address does not match the reply address provided when requesting the authorization code.",
        ));
    }
    tenant.flows(|flows| flows.codes.get_mut(id).map(|code| code.used = true));
    Ok((code.client_id, code.user_id, code.scope))
}

/// A refresh token dies with the sessions of its user.
fn by_refresh(tenant: &Tenant, form: &Query) -> Result<Granted, Refusal> {
    let id = form.get("refresh_token").ok_or_else(|| missing("refresh_token"))?;
    let known = tenant
        .flows(|flows| flows.refresh.get(id).cloned())
        .ok_or_else(|| invalid_grant(9_002_313, "Invalid request. Request is malformed or invalid."))?;
    let valid_from =
        tenant.inspect(|state| state.user(&known.user_id).map(|user| user.sign_in_sessions_valid_from_date_time.0));
    if valid_from.is_none_or(|time| time > known.issued) {
        return Err(invalid_grant(
            50_173,
            "The provided grant has expired due to it being revoked, a fresh auth token is needed. The user might have changed or reset their password.",
        ));
    }
    let scope = form.get("scope").map_or(known.scope, str::to_owned);
    Ok((known.client_id, known.user_id, scope))
}

fn issue(tenant: &Tenant, client_id: &str, user_id: &str, scope: &str) -> Result<Response, Refusal> {
    let world = tenant.read();
    let state = &world.state;
    let application = application_of(state, client_id)?;
    let user = state
        .user(user_id)
        .ok_or_else(|| invalid_grant(50_034, "The user account does not exist in the directory."))?;
    if !user.account_enabled {
        return Err(invalid_grant(50_057, "The user account is disabled."));
    }
    let (audience, uri, scopes) = scopes_of(scope)?;
    let mut caller = caller(tenant, state, application, (audience, uri))?;
    caller.user = Some(SignedIn { id: user.id.clone(), principal_name: user.user_principal_name.clone() });
    caller.roles.clone_from(&scopes);
    caller.wids = wids(state, &user.id);
    let issued: Timestamp = caller.issued;
    drop(world);
    let mut more = vec![("scope", scopes.join(" "))];
    if scope.split(' ').any(|word| word == "offline_access") {
        let token = format!("0.{}", tenant.new_id());
        let refresh =
            Refresh { client_id: client_id.to_owned(), user_id: user_id.to_owned(), scope: scope.to_owned(), issued };
        tenant.flows(|flows| flows.refresh.insert(token.clone(), refresh));
        more.push(("refresh_token", token));
    }
    Ok(answer(tenant, caller, &more))
}

fn wids(state: &State, user_id: &str) -> Vec<String> {
    let mut wids = state.direct_roles_of(user_id);
    wids.retain(|wid| wid != APPLICATION_WID);
    wids
}

/// The resource and its scopes: everything that was consented to for `.default`, otherwise what was asked for.
fn scopes_of(scope: &str) -> Result<(Audience, String, Vec<String>), Refusal> {
    const EXCHANGE: &str = "https://outlook.office365.com";
    const GRAPH: &str = "https://graph.microsoft.com";
    let own: Vec<&str> = scope
        .split(' ')
        .filter(|word| !matches!(*word, "" | "openid" | "profile" | "email" | "offline_access"))
        .collect();
    let exchange = own.iter().filter(|word| word.starts_with(EXCHANGE)).count();
    if exchange > 0 && exchange < own.len() {
        return Err(Refusal::new(
            400,
            "invalid_scope",
            28_000,
            "Provided value for the input parameter scope is not valid because it contains more than one resource.",
        ));
    }
    if exchange > 0 {
        return Ok((Audience::Exchange, EXCHANGE.to_owned(), vec!["Exchange.Manage".to_owned()]));
    }
    let bare = |word: &&str| word.strip_prefix(GRAPH).map_or(*word, |rest| rest.trim_start_matches('/')).to_owned();
    let names: Vec<String> = own.iter().map(bare).collect();
    let scopes = if names.iter().any(|name| name == ".default") {
        crate::routes::all_permissions()
            .into_iter()
            .map(str::to_owned)
            .chain(["Directory.AccessAsUser.All".to_owned()])
            .collect()
    } else {
        names
    };
    Ok((Audience::Graph, GRAPH.to_owned(), scopes))
}
