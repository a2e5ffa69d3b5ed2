//! A server of the S3 protocol in this process (`s3s-fs`: signatures, conditional puts, listing), behind a front that
//! makes a conditional put one act, as S3 itself does, asks for a checksum as a bucket with Object Lock does, and can be
//! told to cut connections.

use std::{
    convert::Infallible,
    fs,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
};

use hyper::{Method, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use s3s::{
    auth::SimpleAuth,
    service::{S3Service, S3ServiceBuilder},
};
use tempfile::TempDir;
use tokio::{net::TcpListener, runtime::Runtime, sync::Mutex};

const KEY: &str = "AKIAEXAMPLE";
const SECRET: &str = "example-secret-of-the-test";
const BUCKET: &str = "evidence";

/// The server, as long as this lives.
pub(crate) struct S3 {
    endpoint: String,
    root: TempDir,
    front: Arc<Front>,
    _runtime: Runtime,
}

struct Front {
    service: S3Service,
    one_by_one: Mutex<()>,
    /// Puts until every connection that carries one is cut; negative is never.
    puts_left: AtomicI64,
    /// Whether they are left without an answer instead.
    hangs: AtomicBool,
    /// Puts that take effect and are not answered.
    lost: AtomicI64,
}

/// A connection that is cut.
#[derive(Debug, thiserror::Error)]
#[error("cut")]
struct Cut;

impl S3 {
    pub(crate) fn start() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join(BUCKET)).unwrap();
        let mut builder = S3ServiceBuilder::new(s3s_fs::FileSystem::new(root.path()).unwrap());
        builder.set_auth(SimpleAuth::from_single(KEY, SECRET));
        let front = Arc::new(Front {
            service: builder.build(),
            one_by_one: Mutex::default(),
            puts_left: AtomicI64::new(-1),
            hangs: AtomicBool::new(false),
            lost: AtomicI64::new(0),
        });
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(serve(listener, Arc::clone(&front)));
        Self { endpoint, root, front, _runtime: runtime }
    }

    pub(crate) fn url(&self) -> String {
        format!("s3://{BUCKET}/cases/one")
    }

    /// What a responder's environment holds.
    pub(crate) fn env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ACCESS_KEY_ID", KEY),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ENDPOINT", &self.endpoint),
            ("AWS_ALLOW_HTTP", "true"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    /// The folder in which the server keeps the objects of the address.
    pub(crate) fn folder(&self) -> PathBuf {
        self.root.path().join(BUCKET).join("cases/one")
    }

    /// After so many more puts the network is gone; a negative number brings it back.
    pub(crate) fn cut_after(&self, puts: i64) {
        self.front.puts_left.store(puts, Ordering::SeqCst);
    }

    /// After so many more puts nothing is answered any more.
    pub(crate) fn hang_after(&self, puts: i64) {
        self.front.hangs.store(puts >= 0, Ordering::SeqCst);
        self.cut_after(puts);
    }

    /// So many puts take effect, and their answers are lost.
    pub(crate) fn lose_answers(&self, puts: i64) {
        self.front.lost.store(puts, Ordering::SeqCst);
    }
}

async fn serve(listener: TcpListener, front: Arc<Front>) -> Result<Infallible, std::io::Error> {
    loop {
        let (socket, _) = listener.accept().await?;
        let front = Arc::clone(&front);
        let answer = service_fn(move |request| {
            let front = Arc::clone(&front);
            async move { front.answer(request).await }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(socket), answer));
    }
}

impl Front {
    async fn answer(&self, request: hyper::Request<Incoming>) -> Result<s3s::HttpResponse, Cut> {
        let request = request.map(s3s::Body::from);
        if request.method() != Method::PUT {
            return self.service.call(request).await.map_err(|_| Cut);
        }
        // Amazon S3 API Reference, PutObject: a digest is required of every put that a retention of Object Lock applies to,
        // also where that is the bucket's default.
        let is_checked = |name: &str| name == "content-md5" || name.starts_with("x-amz-checksum-");
        if !request.headers().keys().any(|name| is_checked(name.as_str())) {
            return Ok(refusal());
        }
        let _turn = self.one_by_one.lock().await;
        if self.puts_left.load(Ordering::SeqCst) == 0 {
            if self.hangs.load(Ordering::SeqCst) {
                std::future::pending::<()>().await;
            }
            return Err(Cut);
        }
        self.puts_left.fetch_sub(1, Ordering::SeqCst);
        let answer = self.service.call(request).await.map_err(|_| Cut)?;
        if self.lost.fetch_sub(1, Ordering::SeqCst) > 0 { Err(Cut) } else { Ok(answer) }
    }
}

/// What S3 answers to a put without a checksum where there is a retention.
fn refusal() -> s3s::HttpResponse {
    let text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>InvalidRequest</Code><Message>Content-MD5 OR \
                x-amz-checksum- HTTP header is required for Put Object requests with Object Lock parameters</Message></Error>";
    let body = s3s::Body::from(text.to_owned());
    hyper::Response::builder().status(400).header("content-type", "application/xml").body(body).unwrap()
}
