//! A person signs in with a browser on this machine: authorization code with PKCE, answered on loopback.
//!
//! The registration needs the redirect URI `http://localhost` of the platform "mobile and desktop applications":
//! Entra ignores the port of loopback addresses. We listen on 127.0.0.1 only.
//!
//! Source: Microsoft identity platform "redirect URI (reply URL) restrictions and limitations", RFC 8252.

use std::time::Duration;

use oauth2::{AuthUrl, ClientId, CsrfToken, PkceCodeChallenge, RedirectUrl, ResponseType, Scope};
use secrecy::SecretString;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use url::Url;

use super::{
    Attendant,
    entra::{Ask, Entra, Granted},
};
use crate::client::{SignInError, aadsts::EntraError};

/// How long the person may take.
const PATIENCE: Duration = Duration::from_mins(5);
/// Largest head of a request that is read, in bytes: a code alone is about a thousand.
const LARGEST: usize = 16 << 10;
/// How long one connection may take to ask: browsers open some that never do.
const SLOWEST: Duration = Duration::from_secs(5);

/// Opens the browser, waits for its answer, and takes a token with it.
pub(super) async fn sign_in(
    entra: &Entra,
    attendant: &dyn Attendant,
    scope: &str,
    claims: Option<&str>,
) -> Result<Granted, SignInError> {
    let failed = |error: std::io::Error| SignInError::plain(format!("no port on 127.0.0.1 for the browser: {error}"));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(failed)?;
    let port = listener.local_addr().map_err(failed)?.port();
    // As it is registered, port aside: without a slash behind it.
    let redirect = RedirectUrl::new(format!("http://localhost:{port}"))
        .map_err(|error| SignInError::plain(format!("no address for the browser: {error}")))?;
    let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
    let (state, address) = address(entra, &redirect, scope, claims, challenge);
    attendant.browse(&address);
    let code = tokio::select! {
        biased;
        code = wait(&listener, port, state.secret()) => code?,
        () = entra.transport.clock.sleep(PATIENCE) => {
            return Err(SignInError::plain("nobody signed in within five minutes"));
        }
    };
    let verifier = SecretString::from(verifier.secret().as_str());
    let ask = Ask::Code { code: &code, verifier: &verifier, redirect: &redirect };
    Ok(entra.ask(&ask, scope, claims).await?)
}

fn address(
    entra: &Entra,
    redirect: &RedirectUrl,
    scope: &str,
    claims: Option<&str>,
    challenge: PkceCodeChallenge,
) -> (CsrfToken, Url) {
    let client = oauth2::basic::BasicClient::new(ClientId::new(entra.client_id.clone()))
        .set_auth_uri(AuthUrl::from_url(entra.endpoint("authorize")))
        .set_redirect_uri(redirect.clone());
    let mut request = client
        .authorize_url(CsrfToken::new_random)
        .set_response_type(&ResponseType::new("code".to_owned()))
        .add_scopes(scope.split(' ').map(|scope| Scope::new(scope.to_owned())))
        .set_pkce_challenge(challenge)
        .add_extra_param("response_mode", "query")
        .add_extra_param("prompt", "select_account");
    if let Some(claims) = claims {
        request = request.add_extra_param("claims", claims.to_owned());
    }
    let (address, state) = request.url();
    (state, address)
}

/// The answer as the browser brings it.
#[derive(Default)]
struct Answer {
    code: Option<SecretString>,
    state: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
}

/// Takes connections until one brings the answer to our question. What does not know our state is not it: it is
/// turned away, and the waiting goes on.
async fn wait(listener: &TcpListener, port: u16, state: &str) -> Result<SecretString, SignInError> {
    loop {
        let Ok((mut stream, _)) = listener.accept().await else {
            continue;
        };
        let head = tokio::time::timeout(SLOWEST, head(&mut stream)).await.ok().flatten();
        let answer = head.as_deref().and_then(|head| answer(head, port));
        let Some(answer) = answer.filter(|answer| answer.state.as_deref() == Some(state)) else {
            say(&mut stream, "400 Bad Request", "This is not the answer to a sign-in that was asked for.").await;
            continue;
        };
        if let Some(code) = answer.code {
            say(&mut stream, "200 OK", "Signed in. You can close this page and go back to the terminal.").await;
            return Ok(code);
        }
        say(&mut stream, "200 OK", "Not signed in. The terminal says why.").await;
        let error = EntraError::of_redirect(answer.error.as_deref(), answer.error_description.as_deref());
        return Err(error.into());
    }
}

/// The head of a request.
async fn head(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let read = stream.read_buf(&mut bytes).await.ok()?;
        if read == 0 || bytes.len() > LARGEST {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

/// The query of `GET /?…` that was sent to us under our own name: a foreign page cannot do that by another.
fn answer(head: &str, port: u16) -> Option<Answer> {
    let mut lines = head.split("\r\n");
    let target = lines.next()?.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
    let host = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("host").then(|| value.trim())
    })?;
    if host != format!("localhost:{port}") && host != format!("127.0.0.1:{port}") {
        return None;
    }
    let query = target.strip_prefix("/?")?;
    let mut answer = Answer::default();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let value = value.into_owned();
        match &*name {
            "code" => answer.code = Some(value.into()),
            "state" => answer.state = Some(value),
            "error" => answer.error = Some(value),
            "error_description" => answer.error_description = Some(value),
            _ => {}
        }
    }
    Some(answer)
}

/// A page of our own words only. The browser may have gone away meanwhile.
async fn say(stream: &mut TcpStream, status: &str, text: &str) {
    let page = format!("<!doctype html><meta charset=\"utf-8\"><title>staunch</title><p>{text}</p>\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\nCache-Control: no-store\r\n\
         Content-Security-Policy: default-src 'none'\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}",
        page.len()
    );
    drop(stream.write_all(answer.as_bytes()).await);
    drop(stream.shutdown().await);
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::answer;

    #[test]
    fn only_a_get_of_our_own_name_and_path_is_an_answer() {
        let ask = |head: &str| answer(head, 4711);
        let good = ask("GET /?code=a%2Bb&state=s HTTP/1.1\r\nAccept: */*\r\nhost: localhost:4711\r\n\r\n").unwrap();
        assert_eq!(good.code.unwrap().expose_secret(), "a+b");
        assert_eq!(good.state.as_deref(), Some("s"));
        assert!(ask("GET /?code=a HTTP/1.1\r\nHost: 127.0.0.1:4711\r\n\r\n").is_some());
        for bad in [
            "POST /?code=a HTTP/1.1\r\nHost: localhost:4711\r\n\r\n",
            "GET /favicon.ico HTTP/1.1\r\nHost: localhost:4711\r\n\r\n",
            "GET /?code=a HTTP/1.1\r\nHost: rebound.example:4711\r\n\r\n",
            "GET /?code=a HTTP/1.1\r\nHost: localhost:4712\r\n\r\n",
            "GET /?code=a HTTP/1.1\r\n\r\n",
            "",
        ] {
            assert!(ask(bad).is_none(), "{bad}");
        }
    }
}
