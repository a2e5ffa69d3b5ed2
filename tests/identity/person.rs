//! A person signs in: in a browser here, or with a code elsewhere.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};
use staunch::{
    client::{Attendant, Credential, Session, SignInError, UserCode},
    model::{Clock as _, IdentityKind, ReadCmdlet, SystemClock},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use url::Url;
use wiremock::{Mock, ResponseTemplate, matchers};

use super::support::{CLIENT, SignIn, TENANT, granted, jwt, refusal, refused};

/// What the person was shown, and what the browser does with an address.
#[derive(Default)]
struct Person {
    addresses: Mutex<Vec<Url>>,
    codes: Mutex<Vec<UserCode>>,
    browser: Option<fn(Url) -> Vec<String>>,
}

impl fmt::Debug for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Person")
    }
}

impl Attendant for Person {
    fn browse(&self, address: &Url) {
        self.addresses.lock().unwrap().push(address.clone());
        let requests = self.browser.map(|browser| browser(address.clone())).unwrap_or_default();
        let port = query(address)["redirect_uri"].trim_end_matches('/').rsplit(':').next().unwrap().parse().unwrap();
        drop(tokio::spawn(async move {
            for request in requests {
                drop(bring(port, &request).await);
            }
        }));
    }

    fn enter_code(&self, code: &UserCode) {
        self.codes.lock().unwrap().push(code.clone());
    }
}

/// Sends one request to loopback; the answer.
async fn bring(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.write_all(request.replace("PORT", &port.to_string()).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

fn query(address: &Url) -> BTreeMap<String, String> {
    address.query_pairs().into_owned().collect()
}

fn token(id: &str) -> String {
    jwt(
        &json!({"tid": TENANT, "appid": CLIENT, "oid": "u", "scp": "User.Read", "uti": id, "upn": "responder@sunnyside08.example"}),
    )
}

async fn browse(login: &SignIn, browser: fn(Url) -> Vec<String>) -> (Result<Session, SignInError>, Url) {
    let person = Arc::new(Person { browser: Some(browser), ..Person::default() });
    let options = login.options(Credential::Browser(person.clone()));
    let opened = Session::open(options, SystemClock::start()).await;
    let address = person.addresses.lock().unwrap()[0].clone();
    (opened, address)
}

fn get(address: &Url, query: &str) -> String {
    let state = &self::query(address)["state"];
    format!("GET /?{} HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n", query.replace("STATE", state))
}

#[tokio::test]
async fn a_browser_brings_a_code_that_only_our_verifier_redeems() {
    let login = SignIn::start().await;
    login.on("token", |_| granted(&json!({"access_token": token("person"), "refresh_token": "canary-refresh"}))).await;
    let (session, address) = browse(&login, |address| vec![get(&address, "code=canary-code&state=STATE")]).await;
    let session = session.unwrap();
    assert_eq!(session.identity().kind, IdentityKind::User);
    let asked = query(&address);
    assert_eq!(address.path(), format!("/{TENANT}/oauth2/v2.0/authorize"));
    assert_eq!(asked["client_id"], CLIENT);
    assert_eq!(asked["response_type"], "code");
    assert_eq!(asked["scope"], "https://graph.microsoft.com/.default offline_access");
    assert_eq!(asked["code_challenge_method"], "S256");
    assert!(asked["claims"].contains("cp1"));
    let form = &login.asked("token").await[0];
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "canary-code"));
    assert_eq!(form["redirect_uri"], asked["redirect_uri"]);
    assert!(!form["redirect_uri"].ends_with('/'), "as it is registered");
    let hashed = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, form["code_verifier"].as_bytes());
    assert_eq!(BASE64_URL_SAFE_NO_PAD.encode(hashed), asked["code_challenge"]);
    assert!(!form.contains_key("client_secret"));
}

#[tokio::test]
async fn an_answer_without_our_state_is_turned_away_and_waiting_goes_on() {
    let login = SignIn::start().await;
    login.on("token", |_| granted(&json!({"access_token": token("person")}))).await;
    let (session, _) = browse(&login, |address| {
        vec![
            get(&address, "code=forged&state=guess"),
            get(&address, "code=forged"),
            get(&address, "error=access_denied&state=guess"),
            get(&address, "code=forged&state=STATE").replace("localhost", "rebound.example"),
            "GET /favicon.ico HTTP/1.1\r\nHost: localhost:PORT\r\n\r\n".to_owned(),
            get(&address, "code=right&state=STATE"),
        ]
    })
    .await;
    session.unwrap();
    let codes: Vec<String> = login.asked("token").await.iter().map(|form| form["code"].clone()).collect();
    assert_eq!(codes, ["right"]);
}

#[tokio::test]
async fn a_sign_in_that_the_tenant_blocks_is_told_with_its_number() {
    let login = SignIn::start().await;
    let (session, _) = browse(&login, |address| {
        let said = "error=access_denied&error_description=AADSTS53003%3A+Access+has+been+blocked&state=STATE";
        vec![get(&address, said)]
    })
    .await;
    let error = refused(session);
    assert_eq!(error.codes, [53003]);
    assert!(error.message.contains("Conditional Access blocked the sign-in"), "{error}");
    assert!(login.asked("token").await.is_empty());
}

#[tokio::test]
async fn a_code_is_redeemed_once_whatever_happens() {
    let login = SignIn::start().await;
    login.on("token", |_| ResponseTemplate::new(503)).await;
    let (session, _) = browse(&login, |address| vec![get(&address, "code=once&state=STATE")]).await;
    refused(session);
    assert_eq!(login.asked("token").await.len(), 1);
}

/// Answers questions for a device code in turn, the last one for ever.
async fn device(login: &SignIn, answers: Vec<ResponseTemplate>) {
    login
        .on("devicecode", |_| {
            ResponseTemplate::new(200).set_body_json(json!({
                "device_code": "canary-device", "user_code": "ABCD-EFGH", "expires_in": 900, "interval": 5,
                "verification_uri": "https://microsoft.example/devicelogin", "message": "ignored",
            }))
        })
        .await;
    let turn = std::sync::atomic::AtomicUsize::new(0);
    login
        .on("token", move |_| {
            let at = turn.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            answers[at.min(answers.len() - 1)].clone()
        })
        .await;
}

#[tokio::test]
async fn a_device_code_is_asked_for_no_faster_than_agreed() {
    let login = SignIn::start().await;
    let pending = refusal("authorization_pending", 70016);
    let done = granted(&json!({"access_token": token("device")}));
    // The third has a passing fault.
    device(&login, vec![pending.clone(), refusal("slow_down", 0), refusal("invalid_grant", 90033), pending, done])
        .await;
    let person = Arc::new(Person::default());
    login.open(login.options(Credential::DeviceCode(person.clone()))).await.unwrap();
    let shown = person.codes.lock().unwrap().clone();
    assert_eq!(shown.len(), 1);
    assert_eq!((shown[0].code.as_str(), shown[0].valid), ("ABCD-EFGH", Duration::from_mins(15)));
    let forms = login.asked("token").await;
    assert_eq!(forms.len(), 5);
    assert!(forms.iter().all(|form| form["device_code"] == "canary-device" && form["claims"].contains("cp1")));
    let waited = login.clock.monotonic().as_secs_f64();
    assert!((45.0..57.0).contains(&waited), "5 + 5 + 10 + 15 + 15 - 5 with some jitter, not {waited}");
}

#[tokio::test]
async fn entras_own_names_end_a_device_code() {
    for (error, code, says) in [
        ("authorization_declined", 70020, "declined"),
        ("expired_token", 70019, "nobody entered the code in time"),
        ("bad_verification_code", 70018, "does not know its own device code"),
        ("access_denied", 53003, "AADSTS53003: Conditional Access blocked"),
    ] {
        let login = SignIn::start().await;
        device(&login, vec![refusal(error, code)]).await;
        let opened = login.open(login.options(Credential::DeviceCode(Arc::new(Person::default())))).await;
        let error = refused(opened);
        assert!(error.message.contains(says), "{error}");
        assert_eq!(login.asked("token").await.len(), 1);
    }
}

#[tokio::test]
async fn a_device_code_is_given_up_after_fifteen_minutes() {
    let login = SignIn::start().await;
    device(&login, vec![refusal("authorization_pending", 70016)]).await;
    let error = refused(login.open(login.options(Credential::DeviceCode(Arc::new(Person::default())))).await);
    assert!(error.message.contains("nobody entered the code"), "{error}");
    let waited = login.clock.monotonic();
    assert!(waited >= Duration::from_mins(15) && waited < Duration::from_mins(16), "{waited:?}");
}

#[tokio::test]
async fn a_code_with_an_unsafe_address_is_not_shown() {
    for (code, address) in
        [("ABCD", "http://phish.example/"), ("AB\u{1b}[2J", "https://microsoft.example/"), ("", "https://x.example/")]
    {
        let login = SignIn::start().await;
        let body = json!({"device_code": "d", "user_code": code, "expires_in": 900, "verification_url": address});
        login.on("devicecode", move |_| ResponseTemplate::new(200).set_body_json(body.clone())).await;
        let person = Arc::new(Person::default());
        let error = refused(login.open(login.options(Credential::DeviceCode(person.clone()))).await);
        assert!(error.message.contains("no safe address"), "{error}");
        assert!(person.codes.lock().unwrap().is_empty());
    }
}

#[tokio::test]
async fn one_sign_in_serves_both_services_and_is_never_repeated() {
    let login = SignIn::start().await;
    let body = |id: &str, refresh: &str| granted(&json!({"access_token": token(id), "refresh_token": refresh}));
    device(&login, vec![body("graph", "refresh-1"), body("exchange", "refresh-2"), refusal("invalid_grant", 50173)])
        .await;
    Mock::given(matchers::path_regex("InvokeCommand"))
        .respond_with(ResponseTemplate::new(200).set_body_json(json!({"value": []})))
        .mount(&login.server)
        .await;
    let person = Arc::new(Person::default());
    let session = login.open(login.options(Credential::DeviceCode(person.clone()))).await.unwrap();
    let reader = session.reader();
    let read = || reader.cmdlet::<Value>(ReadCmdlet::GetRecipient, "a", Map::new());
    read().await.unwrap();
    login.clock.advance(Duration::from_mins(61));
    let error = read().await.unwrap_err();
    assert!(error.message.raw().contains("sign in again, then resume: AADSTS50173"), "{error}");
    let forms = login.asked("token").await;
    assert_eq!(forms[1]["grant_type"], "refresh_token");
    assert_eq!(forms[1]["refresh_token"], "refresh-1");
    assert_eq!(forms[1]["scope"], "https://outlook.office365.com/.default offline_access");
    assert_eq!(forms[2]["refresh_token"], "refresh-2", "a newer one replaces it");
    assert_eq!(person.codes.lock().unwrap().len(), 1, "a run never asks questions");
}
