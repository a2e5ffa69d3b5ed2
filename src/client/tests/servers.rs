//! The servers of these tests: a tenant that signs in and answers what a test mounts, and a socket that breaks.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use url::Url;
use wiremock::{Mock, MockServer, Request, ResponseTemplate, matchers};

use crate::{
    client::{Credential, Endpoints, Reader, Session, SessionOptions},
    model::{Clock, Cloud, ManualClock},
};

pub(super) const TENANT: &str = "5a11a000-0000-4000-8000-00000000c0de";
pub(super) const SECRET: &str = "canary-secret-7f3a";

/// An unsigned token with these claims.
pub(super) fn token(claims: &Value) -> String {
    format!("e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims.to_string()))
}

/// The answer of a token endpoint.
pub(super) fn token_answer(tenant: &str, id: &str) -> ResponseTemplate {
    let claims = json!({
        "tid": tenant, "appid": "app", "oid": "sp", "idtyp": "app", "uti": id,
        "roles": ["User.ReadWrite.All"],
    });
    ResponseTemplate::new(200).set_body_json(json!({
        "token_type": "Bearer", "expires_in": 3600, "access_token": token(&claims),
    }))
}

/// A tenant on wiremock, and a clock that stands still.
pub(super) struct Tenant {
    pub(super) server: MockServer,
    pub(super) clock: Arc<ManualClock>,
}

impl Tenant {
    /// Answers nothing yet.
    pub(super) async fn bare() -> Self {
        Self { server: MockServer::start().await, clock: ManualClock::at("2023-12-12T14:00:00Z".parse().unwrap()) }
    }

    /// Signs in everybody; token ids count up: `graph-1`, `graph-2`, `exchange-3`.
    pub(super) async fn start() -> Self {
        let tenant = Self::bare().await;
        let count = AtomicUsize::new(0);
        tenant
            .mount_login(move |request| {
                let body = String::from_utf8_lossy(&request.body).into_owned();
                let service = if body.contains("outlook.office365.com") { "exchange" } else { "graph" };
                let number = count.fetch_add(1, Ordering::SeqCst) + 1;
                token_answer(TENANT, &format!("{service}-{number}"))
            })
            .await;
        tenant
    }

    pub(super) async fn mount_login(&self, answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static) {
        Mock::given(matchers::path(format!("/{TENANT}/oauth2/v2.0/token")))
            .respond_with(answer)
            .mount(&self.server)
            .await;
    }

    /// Answers requests to this path.
    pub(super) async fn mount(
        &self,
        path: &str,
        answer: impl Fn(&Request) -> ResponseTemplate + Send + Sync + 'static,
    ) {
        Mock::given(matchers::path(path)).respond_with(answer).mount(&self.server).await;
    }

    /// Answers the first requests to this path one after the other, and all later ones like the last.
    pub(super) async fn mount_in_turn(&self, path: &str, answers: Vec<ResponseTemplate>) {
        let made = AtomicUsize::new(0);
        self.mount(path, move |_| {
            let turn = made.fetch_add(1, Ordering::SeqCst);
            answers[turn.min(answers.len() - 1)].clone()
        })
        .await;
    }

    pub(super) fn options(&self) -> SessionOptions {
        let base = Url::parse(&self.server.uri()).unwrap();
        let secret = Credential::Secret(SECRET.into());
        let mut options = SessionOptions::new(Cloud::Global, TENANT, "app", secret).at(Endpoints::all_at(base));
        options.seed = Some(1);
        options
    }

    pub(super) async fn open(&self, options: SessionOptions) -> Session {
        let clock: Arc<dyn Clock> = self.clock.clone();
        Session::open(options, clock).await.unwrap()
    }

    /// A session with reads one by one.
    pub(super) async fn plain(&self) -> Session {
        let mut options = self.options();
        options.batch = false;
        self.open(options).await
    }

    /// A reader that reads one by one.
    pub(super) async fn plain_reader(&self) -> Reader {
        self.plain().await.reader()
    }

    /// Everything that was asked besides tokens.
    pub(super) async fn requests(&self) -> Vec<Request> {
        let mut all = self.server.received_requests().await.unwrap();
        all.retain(|request| !request.url.path().ends_with("/token"));
        all
    }

    pub(super) async fn token_requests(&self) -> usize {
        let all = self.server.received_requests().await.unwrap();
        all.iter().filter(|request| request.url.path().ends_with("/token")).count()
    }

    /// `METHOD /path?query` of everything that was asked besides tokens.
    pub(super) async fn lines(&self) -> Vec<String> {
        let line = |request: &Request| {
            let query = request.url.query().map(|query| format!("?{query}"));
            format!("{} {}{}", request.method, request.url.path(), query.unwrap_or_default())
        };
        self.requests().await.iter().map(line).collect()
    }
}

/// A header of a request.
pub(super) fn header(request: &Request, name: &str) -> String {
    let value = request.headers.get(name);
    value.map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
}

/// An answer with a JSON body.
pub(super) fn json_answer(status: u16, body: &Value) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_json(body)
}

/// What a bare socket does with a request.
#[derive(Clone)]
pub(super) enum Reply {
    /// Writes these bytes and keeps the connection.
    Keep(&'static str),
    /// Writes these bytes, perhaps half an answer, and closes.
    Close(&'static str),
    /// Never answers.
    Silence,
}

/// A server on bare sockets; it answers its requests in turn, and all later ones like the last.
pub(super) struct Raw {
    pub(super) url: Url,
    seen: Arc<Mutex<Vec<(usize, String)>>>,
}

impl Raw {
    pub(super) async fn start(replies: Vec<Reply>) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").await.unwrap(), replies)
    }

    /// The same, where somebody listens already.
    pub(super) fn listen(listener: TcpListener, replies: Vec<Reply>) -> Self {
        let url = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let seen: Arc<Mutex<Vec<(usize, String)>>> = Arc::default();
        let log = Arc::clone(&seen);
        drop(tokio::spawn(async move {
            for connection in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                drop(tokio::spawn(serve(stream, connection, replies.clone(), Arc::clone(&log))));
            }
        }));
        Self { url, seen }
    }

    /// Connection number and text of each request.
    pub(super) fn seen(&self) -> Vec<(usize, String)> {
        self.seen.lock().unwrap().clone()
    }
}

async fn serve(mut stream: TcpStream, connection: usize, replies: Vec<Reply>, log: Arc<Mutex<Vec<(usize, String)>>>) {
    while let Some(text) = read_request(&mut stream).await {
        let turn = {
            let mut log = log.lock().unwrap();
            log.push((connection, text));
            log.len() - 1
        };
        match &replies[turn.min(replies.len() - 1)] {
            Reply::Keep(bytes) => stream.write_all(bytes.as_bytes()).await.unwrap(),
            Reply::Close(bytes) => {
                stream.write_all(bytes.as_bytes()).await.unwrap();
                return;
            }
            Reply::Silence => std::future::pending().await,
        }
    }
}

/// Head and body of one request; `None` at the end of the connection.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        if let Some(head) = text.find("\r\n\r\n") {
            let length = text
                .split("content-length: ")
                .nth(1)
                .and_then(|rest| rest.split("\r\n").next()?.parse().ok())
                .unwrap_or(0);
            if bytes.len() >= head + 4 + length {
                return Some(String::from_utf8_lossy(&bytes).into_owned());
            }
        }
        match stream.read_buf(&mut bytes).await {
            Ok(0) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}
