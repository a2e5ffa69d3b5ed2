//! The tenant on a port of its own: carries load, and can break a connection as a fault rule asks.

use std::future::Future as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Sleep;

use crate::http::{Abort, Request, Response};
use crate::limits::UnderWay;
use crate::tenant::Tenant;

/// The largest request body that is read.
const MAX_BODY: usize = 4 << 20;

/// A tenant on a port. It stops when this is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    wire: Wire,
    accepted: Arc<AtomicUsize>,
    accepting: JoinHandle<()>,
}

/// What connections speak.
#[derive(Clone)]
enum Wire {
    Plain,
    #[cfg(feature = "tls")]
    Tls(super::tls::Identity),
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.scheme())
    }
}

impl Wire {
    fn scheme(&self) -> &'static str {
        match self {
            Self::Plain => "http",
            #[cfg(feature = "tls")]
            Self::Tls(_) => "https",
        }
    }
}

impl Server {
    /// Starts on a free loopback port.
    ///
    /// # Panics
    /// Where no loopback port can be bound. [`start_on`](Self::start_on) gives the error instead.
    #[expect(
        clippy::expect_used,
        reason = "a test server without a port is no server; the other constructor reports it"
    )]
    pub async fn start(tenant: Tenant) -> Self {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_on(tenant, address).await.expect("a free loopback port")
    }

    /// Starts on an address.
    ///
    /// # Errors
    /// Where the address cannot be bound.
    pub async fn start_on(tenant: Tenant, address: SocketAddr) -> io::Result<Self> {
        Self::listen(tenant, address, Wire::Plain).await
    }

    /// Starts with TLS on a free loopback port, under a certificate of its own for `127.0.0.1` and `localhost`.
    ///
    /// # Errors
    /// Where no port can be bound, or no certificate made.
    #[cfg(feature = "tls")]
    pub async fn start_tls(tenant: Tenant) -> io::Result<Self> {
        let identity = super::tls::Identity::new().map_err(io::Error::other)?;
        Self::listen(tenant, SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), Wire::Tls(identity)).await
    }

    /// The certificate that a client must trust, in DER; `None` without TLS.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn certificate(&self) -> Option<&[u8]> {
        match &self.wire {
            Wire::Plain => None,
            Wire::Tls(identity) => Some(&identity.certificate),
        }
    }

    async fn listen(tenant: Tenant, address: SocketAddr, wire: Wire) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let accepted = Arc::new(AtomicUsize::new(0));
        let accepting = tokio::spawn(accept(listener, tenant, wire.clone(), Arc::clone(&accepted)));
        Ok(Self { address, wire, accepted, accepting })
    }

    /// The base address, without a slash at the end.
    #[must_use]
    pub fn uri(&self) -> String {
        format!("{}://{}", self.wire.scheme(), self.address)
    }

    /// How many connections were accepted so far.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.accepted.load(Ordering::Relaxed)
    }

    /// The address bound.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

/// Accepts until the task is aborted, which ends every connection with it.
async fn accept(listener: TcpListener, tenant: Tenant, wire: Wire, count: Arc<AtomicUsize>) {
    let local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, _)) = accepted {
                    count.fetch_add(1, Ordering::Relaxed);
                    connections.spawn(connect(stream, tenant.clone(), wire.clone(), local));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(stream: TcpStream, tenant: Tenant, wire: Wire, local: bool) {
    stream.set_nodelay(true).ok();
    match wire {
        Wire::Plain => serve(stream, tenant, local, "http").await,
        #[cfg(feature = "tls")]
        Wire::Tls(identity) => {
            // An error here is a client that does not trust the certificate, or speaks no TLS.
            if let Ok(stream) = identity.acceptor.accept(stream).await {
                serve(stream, tenant, local, "https").await;
            }
        }
    }
}

async fn serve(stream: impl AsyncRead + AsyncWrite + Unpin, tenant: Tenant, local: bool, scheme: &'static str) {
    let cut = Arc::new(AtomicBool::new(false));
    let service = service_fn(|request| answer(request, tenant.clone(), local, scheme, Arc::clone(&cut)));
    let stream = Cuttable { stream, cut: Arc::clone(&cut), broken: false };
    // An error here is a client that went away, or a connection that a fault rule broke.
    http1::Builder::new().serve_connection(TokioIo::new(stream), service).await.ok();
}

/// How many bytes of a status line leave before it is cut: the version, and nothing of the status.
const CUT_AT: usize = "HTTP/1.1 ".len();

/// A connection whose next answer can be cut in its status line.
struct Cuttable<S> {
    stream: S,
    cut: Arc<AtomicBool>,
    broken: bool,
}

impl<S: AsyncRead + Unpin> AsyncRead for Cuttable<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cuttable<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let cut = self.cut.load(Ordering::SeqCst);
        let bytes = if cut { bytes.get(..CUT_AT).unwrap_or(bytes) } else { bytes };
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes));
        self.broken = cut;
        Poll::Ready(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.broken || self.cut.load(Ordering::SeqCst) {
            let first = slices.iter().find(|slice| !slice.is_empty()).map_or(&[][..], |slice| slice);
            return self.poll_write(context, first);
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

async fn answer(
    request: http::Request<Incoming>,
    tenant: Tenant,
    local: bool,
    scheme: &str,
    cut: Arc<AtomicBool>,
) -> io::Result<http::Response<Payload>> {
    let mut request = read(request).await?;
    if scheme == "https" {
        // What links begin with.
        request = request.header("x-forwarded-proto", scheme);
    }
    let control = crate::control::handle(&tenant, &request, local);
    let response = control.unwrap_or_else(|| tenant.handle(&request));
    let latency = tenant.with_settings(|settings| settings.latency_milliseconds);
    let wait = response.delay + Duration::from_millis(latency);
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
    if response.abort == Abort::BeforeHead {
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    cut.store(response.abort == Abort::MidHead, Ordering::SeqCst);
    Ok(convert(response))
}

async fn read(request: http::Request<Incoming>) -> io::Result<Request> {
    let (head, body) = request.into_parts();
    let body = http_body_util::Limited::new(body, MAX_BODY).collect().await;
    let body = body.map_err(|_| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(Request {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        headers: head.headers,
        body: body.to_bytes().to_vec(),
    })
}

fn convert(response: Response) -> http::Response<Payload> {
    let broken = response.abort == Abort::MidBody;
    let announced = response.body.len() as u64;
    let under_way = response.under_way;
    let mut data = Bytes::from(response.body);
    if broken {
        data.truncate(data.len() / 2);
    }
    let piece = if response.pace.is_zero() { usize::MAX } else { SLOW_PIECE };
    let payload = Payload { data, announced, broken, piece, pace: response.pace, wait: None, _under_way: under_way };
    let mut out = http::Response::new(payload);
    let status = http::StatusCode::from_u16(response.status);
    *out.status_mut() = status.unwrap_or(http::StatusCode::INTERNAL_SERVER_ERROR);
    *out.headers_mut() = response.headers;
    out
}

/// How many bytes a slow body sends at a time.
const SLOW_PIECE: usize = 64;

/// How long a broken body waits between its half and the break.
const FLUSH: Duration = Duration::from_millis(20);

/// A body in one piece, in slow small ones, or the first half of one and then an error.
struct Payload {
    data: Bytes,
    announced: u64,
    broken: bool,
    piece: usize,
    pace: Duration,
    wait: Option<Pin<Box<Sleep>>>,
    /// Held until the body was sent.
    _under_way: Option<Arc<UnderWay>>,
}

impl Body for Payload {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if let Some(wait) = &mut self.wait {
            ready!(wait.as_mut().poll(context));
            self.wait = None;
        }
        if !self.data.is_empty() {
            let piece = self.piece.min(self.data.len());
            let data = self.data.split_to(piece);
            // What was written must leave before the connection breaks.
            let pace = if self.broken { FLUSH } else { self.pace };
            if !pace.is_zero() {
                self.wait = Some(Box::pin(tokio::time::sleep(pace)));
            }
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        if std::mem::take(&mut self.broken) {
            return Poll::Ready(Some(Err(io::ErrorKind::ConnectionAborted.into())));
        }
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && !self.broken
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.announced)
    }
}
