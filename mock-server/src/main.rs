//! The standalone tenant: a scenario on a port, for rehearsal with any client.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;

use clap::Parser;
use mock_server::{Scenario, Server, Tenant};

/// Serves a mock Microsoft 365 tenant on a loopback port.
#[derive(Debug, Parser)]
#[command(name = "mock-server", version)]
struct Arguments {
    /// The port to listen on; 0 takes a free one.
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// A built-in scenario's name, or a scenario file.
    #[arg(long, default_value = "aitm")]
    scenario: String,
    /// How many background users there are, instead of the scenario's own number.
    #[arg(long)]
    users: Option<usize>,
}

#[tokio::main]
async fn main() -> ExitCode {
    match serve(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            writeln!(std::io::stderr(), "error: failed to {reason}").ok();
            ExitCode::FAILURE
        }
    }
}

async fn serve(arguments: Arguments) -> Result<(), String> {
    let mut scenario = load(&arguments.scenario)?;
    if let Some(users) = arguments.users {
        scenario = scenario.with_users(users);
    }
    let tenant = Tenant::new(&scenario);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, arguments.port));
    let server =
        Server::start_on(tenant.clone(), address).await.map_err(|error| format!("listen on {address}: {error}"))?;
    let credentials = tenant.credentials();
    writeln!(
        std::io::stdout(),
        "url = {}\ntenant_id = {}\nclient_id = {}\nclient_secret = {}",
        server.uri(),
        credentials.tenant_id,
        credentials.client_id,
        credentials.client_secret
    )
    .map_err(|error| format!("write to the terminal: {error}"))?;
    tokio::signal::ctrl_c().await.map_err(|error| format!("wait for the interrupt: {error}"))
}

fn load(name: &str) -> Result<Scenario, String> {
    if let Some(scenario) = Scenario::builtin(name) {
        return Ok(scenario);
    }
    let text = std::fs::read_to_string(name)
        .map_err(|error| format!("find the scenario '{name}' (built in: {}): {error}", Scenario::names().join(", ")))?;
    Scenario::parse(&text).map_err(|error| {
        let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
        format!("{error}{cause}")
    })
}
