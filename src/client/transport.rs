//! Bytes out, bytes in: the one HTTP client of a session and its limits. Knows no tokens and judges no status.

use std::{
    error::Error,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use jiff::Timestamp;
use reqwest::{
    Client, Method, NoProxy, Proxy, Response, StatusCode, Url, Version,
    header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, DATE, HeaderMap, HeaderValue, TRANSFER_ENCODING},
    redirect,
};

use crate::{
    client::{
        SignInError,
        draw::Draw,
        retry::http_date,
        server_time::ServerTime,
        session::{Roots, SessionOptions},
        tls,
    },
    model::Clock,
};

const CONNECT: Duration = Duration::from_secs(10);
/// What answers on this machine answers soon.
const NEAR: Duration = Duration::from_secs(2);
/// How long a server is waited for that is not the tenant's.
const STRANGER: Duration = Duration::from_secs(30);
const IDLE: Duration = Duration::from_secs(80);

pub(super) use crate::client::tls::Thumbprint;

/// A request, ready to go.
pub(super) struct Parcel {
    /// Method.
    pub(super) method: Method,
    /// Where to.
    pub(super) url: Url,
    /// Headers.
    pub(super) headers: HeaderMap,
    /// Body.
    pub(super) body: Option<Bytes>,
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection: nothing reached the server.
    NotSent(String),
    /// Sent, and the answer is missing or cut.
    Lost(String),
    /// The answer is larger than the limit.
    TooLarge,
    /// The answer is compressed, which we never ask for: how large it would become nobody knows.
    Compressed,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSent(reason) => write!(f, "no connection: {reason}"),
            Self::Lost(reason) => write!(f, "the answer was lost: {reason}"),
            Self::TooLarge => f.write_str("is larger than the limit"),
            Self::Compressed => f.write_str("is compressed, which was not asked for"),
        }
    }
}

/// What came back, with its times.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    /// None when no status line came.
    pub(super) status: Option<u16>,
    /// Headers.
    pub(super) headers: HeaderMap,
    /// Exact bytes, as far as they came.
    pub(super) body: Vec<u8>,
    /// What is wrong with it.
    pub(super) fault: Option<Fault>,
    /// When it was sent.
    pub(super) started: Timestamp,
    /// When it was complete.
    pub(super) ended: Timestamp,
    /// Monotonic time at the start.
    pub(super) started_mono: Duration,
    /// The server's `Date`.
    pub(super) server_date: Option<Timestamp>,
}

/// The HTTP client of a session, with its sources of time and randomness.
pub(super) struct Transport {
    /// Time and waiting.
    pub(super) clock: Arc<dyn Clock>,
    /// Ids and jitter.
    pub(super) draw: Draw,
    /// The tenant's time.
    pub(super) server_time: ServerTime,
    settings: Settings,
    current: Mutex<Pool>,
}

/// A client with its pool of connections, and which one it is.
#[derive(Clone)]
struct Pool {
    generation: u64,
    client: Client,
}

struct Settings {
    https_only: bool,
    proxy: Option<Url>,
    roots: Roots,
    pinned: Option<Thumbprint>,
    connect_timeout: Duration,
    attempt_timeout: Duration,
    body_limit: usize,
}

impl Transport {
    /// To the tenant.
    pub(super) fn new(options: &SessionOptions, clock: Arc<dyn Clock>) -> Result<Self, SignInError> {
        let settings = Settings {
            https_only: options.endpoints.all_https(),
            proxy: options.proxy.clone(),
            roots: options.roots,
            pinned: None,
            connect_timeout: CONNECT,
            attempt_timeout: options.attempt_timeout,
            body_limit: options.body_limit,
        };
        Self::with(settings, options.seed, clock)
    }

    /// To a server that has nothing to do with the tenant. Plain http is the caller's to refuse.
    pub(super) fn stranger(url: &Url, body_limit: usize, clock: Arc<dyn Clock>) -> Result<Self, SignInError> {
        let settings = Settings {
            https_only: url.scheme() == "https",
            proxy: None,
            roots: Roots::default(),
            pinned: None,
            connect_timeout: CONNECT,
            attempt_timeout: STRANGER,
            body_limit,
        };
        Self::with(settings, None, clock)
    }

    /// To an endpoint of the machine itself, which may be plain http and is never behind a proxy; `pinned` is the
    /// certificate that it must show.
    pub(super) fn machine(
        options: &SessionOptions,
        clock: Arc<dyn Clock>,
        pinned: Option<Thumbprint>,
    ) -> Result<Self, SignInError> {
        let settings = Settings {
            https_only: false,
            proxy: None,
            roots: options.roots,
            pinned,
            connect_timeout: NEAR,
            attempt_timeout: CONNECT,
            body_limit: 64 << 10,
        };
        Self::with(settings, options.seed, clock)
    }

    fn with(settings: Settings, seed: Option<u64>, clock: Arc<dyn Clock>) -> Result<Self, SignInError> {
        let client =
            settings.client().map_err(|error| SignInError::plain(format!("no HTTP client: {}", chain(&error))))?;
        let generation = 0;
        Ok(Self {
            clock,
            draw: Draw::new(seed),
            server_time: ServerTime::default(),
            settings,
            current: Mutex::new(Pool { generation, client }),
        })
    }

    /// Sends once and reads the whole answer. After a 503 the next request opens a new connection.
    ///
    /// Source: Graph "best practices", handling 503: retry on a new connection.
    pub(super) async fn send(&self, parcel: Parcel) -> Raw {
        let (started, started_mono) = (self.clock.now(), self.clock.monotonic());
        let pool = self.pool();
        let mut raw = Raw {
            status: None,
            headers: HeaderMap::new(),
            body: Vec::new(),
            fault: None,
            started,
            ended: started,
            started_mono,
            server_date: None,
        };
        let mut request = pool.client.request(parcel.method, parcel.url).headers(parcel.headers);
        if let Some(body) = parcel.body {
            request = request.body(body);
        }
        match request.send().await {
            Ok(answer) => self.read(answer, &mut raw).await,
            Err(error) => raw.fault = Some(fault(error)),
        }
        raw.ended = self.clock.now();
        if raw.status == Some(503) {
            self.renew(pool.generation);
        }
        raw
    }

    async fn read(&self, mut answer: Response, raw: &mut Raw) {
        let has_end = has_end(&answer);
        raw.status = Some(answer.status().as_u16());
        raw.headers = std::mem::take(answer.headers_mut());
        raw.server_date = raw.headers.get(DATE).and_then(|date| date.to_str().ok()).and_then(http_date);
        if let Some(date) = raw.server_date {
            self.server_time.note(date, self.clock.monotonic());
        }
        let coded = raw.headers.get_all(CONTENT_ENCODING).iter();
        if coded.into_iter().any(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) {
            raw.fault = Some(Fault::Compressed);
            return;
        }
        loop {
            match answer.chunk().await {
                Ok(Some(chunk)) if raw.body.len() + chunk.len() > self.settings.body_limit => {
                    raw.fault = Some(Fault::TooLarge);
                    return;
                }
                Ok(Some(chunk)) => raw.body.extend_from_slice(&chunk),
                Ok(None) if raw.body.is_empty() && !has_end => {
                    raw.fault = Some(Fault::Lost("the connection ended after the head".to_owned()));
                    return;
                }
                Ok(None) => return,
                Err(error) => {
                    raw.fault = Some(Fault::Lost(chain(&error.without_url())));
                    return;
                }
            }
        }
    }

    fn pool(&self) -> Pool {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the pool that gave a 503, once for all who used it.
    fn renew(&self, generation: u64) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.generation != generation {
            return;
        }
        if let Ok(client) = self.settings.client() {
            let generation = generation + 1;
            *current = Pool { generation, client };
        }
    }
}

/// A client for another service than the tenant, with the same roots, proxy and lack of redirects.
pub(crate) fn for_other_service(roots: Roots, proxy: Option<Url>, https_only: bool) -> reqwest::Result<Client> {
    let attempt_timeout = Duration::from_secs(30);
    Settings { https_only, proxy, roots, pinned: None, connect_timeout: CONNECT, attempt_timeout, body_limit: 0 }
        .client()
}

impl Settings {
    fn client(&self) -> reqwest::Result<Client> {
        let mut builder = Client::builder()
            .user_agent(concat!("staunch/", env!("CARGO_PKG_VERSION")))
            .redirect(redirect::Policy::none())
            .referer(false)
            .https_only(self.https_only)
            .default_headers(HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static("identity"))]))
            .connect_timeout(self.connect_timeout)
            .timeout(self.attempt_timeout)
            .pool_idle_timeout(IDLE)
            .http2_keep_alive_interval(Duration::from_secs(30))
            .no_proxy();
        if let Some(proxy) = &self.proxy {
            let except = NoProxy::from_string("localhost,127.0.0.0/8,::1");
            builder = builder.proxy(Proxy::all(proxy.clone())?.no_proxy(except));
        }
        if let Some(tls) = tls::config(self.roots, self.pinned.as_ref()) {
            builder = builder.tls_backend_preconfigured(tls);
        }
        builder.build()
    }
}

/// Whether an answer says itself where it ends. One of HTTP/1 that does not ends with its connection, and is the
/// same when that is cut.
fn has_end(answer: &Response) -> bool {
    let headers = answer.headers();
    answer.version() >= Version::HTTP_2
        || answer.status() == StatusCode::NO_CONTENT
        || headers.contains_key(CONTENT_LENGTH)
        || headers.contains_key(TRANSFER_ENCODING)
}

fn fault(error: reqwest::Error) -> Fault {
    let error = error.without_url();
    let reason = chain(&error);
    if error.is_connect() || error.is_builder() { Fault::NotSent(reason) } else { Fault::Lost(reason) }
}

/// An error with its causes, in one line.
pub(super) fn chain(error: &dyn Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let text = cause.to_string();
        if !line.contains(&text) {
            line.push_str(": ");
            line.push_str(&text);
        }
        source = cause.source();
    }
    line
}

#[cfg(test)]
mod tests {
    use super::chain;

    #[test]
    fn an_error_is_told_with_its_causes_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("outer")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::Error::other("inner"));
        assert_eq!(chain(&error), "outer: inner");
    }
}
