//! How many simple requests a second the standalone server carries: one process, loopback, keep-alive connections with
//! several requests in flight. `cargo run --release -p mock-server --example load -- [SECONDS] [CONNECTIONS] [IN_FLIGHT]`

use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use mock_server::{Request, Scenario, Server, Tenant};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let mut numbers = std::env::args().skip(1).map(|text| text.parse::<u64>().unwrap_or(1));
    let (seconds, connections, in_flight) =
        (numbers.next().unwrap_or(5), numbers.next().unwrap_or(4), numbers.next().unwrap_or(16));
    let scenario = Scenario::builtin("aitm").ok_or(std::io::ErrorKind::NotFound)?;
    let tenant = Tenant::new(&scenario);
    let token = token(&tenant);
    let server = Server::start(tenant).await;
    let request = format!(
        "GET /v1.0/users/johanna@sunnyside08.example?$select=id,accountEnabled HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\n\r\n",
        server.address()
    );
    let (done, answered) = (Instant::now() + Duration::from_secs(seconds), Arc::new(AtomicU64::new(0)));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let (request, answered, address) = (request.clone(), Arc::clone(&answered), server.address());
        tasks.spawn(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            drive(stream, &request.repeat(usize::try_from(in_flight).unwrap_or(1)), in_flight, (done, &answered)).await
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(std::io::Error::other)??;
    }
    let total = answered.load(Ordering::Relaxed);
    writeln!(
        std::io::stdout(),
        "{} requests/s ({total} in {seconds} s, {connections} connections, {in_flight} in flight each)",
        total / seconds.max(1)
    )
}

fn token(tenant: &Tenant) -> String {
    let credentials = tenant.credentials();
    let request = Request::new("POST", &format!("/{}/oauth2/v2.0/token", credentials.tenant_id)).form(&[
        ("grant_type", "client_credentials"),
        ("client_id", &credentials.client_id),
        ("client_secret", &credentials.client_secret),
        ("scope", "https://graph.microsoft.com/.default"),
    ]);
    let body = tenant.handle(&request).body_json();
    body.get("access_token").and_then(|token| token.as_str()).unwrap_or_default().to_owned()
}

/// Sends a block of requests, waits for as many answers, and again until the time is over.
async fn drive(
    mut stream: TcpStream,
    block: &str,
    in_flight: u64,
    (done, answered): (Instant, &AtomicU64),
) -> std::io::Result<()> {
    let mut buffer = vec![0; 64 * 1024];
    while Instant::now() < done {
        stream.write_all(block.as_bytes()).await?;
        let (mut left, mut tail) = (in_flight, Vec::new());
        while left > 0 {
            let read = stream.read(&mut buffer).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            // A status line may come in two parts: what is too short for one is looked at again.
            tail.extend_from_slice(buffer.get(..read).unwrap_or_default());
            let count = |wanted: &[u8]| tail.windows(wanted.len()).filter(|window| *window == wanted).count() as u64;
            if count(b"HTTP/1.1 4") + count(b"HTTP/1.1 5") > 0 {
                return Err(std::io::Error::other("an answer was not 200"));
            }
            left = left.saturating_sub(count(b"HTTP/1.1 200"));
            tail.drain(..tail.len().saturating_sub(11));
        }
        answered.fetch_add(in_flight, Ordering::Relaxed);
    }
    Ok(())
}
