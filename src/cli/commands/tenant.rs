//! `tenant serve`: the mock tenant on a port of this machine, for rehearsal.

use std::{
    fs,
    net::{IpAddr, SocketAddr},
    path::Path,
};

use comfy_table::{ContentArrangement, Table, presets};
use mock_server::{Clock, Scenario, Server, Tenant};
use serde_json::{Value, json};

use crate::cli::{
    Context,
    args::{ClockKind, ServeArgs},
    exit::{Exit, Failure},
};

pub(crate) async fn serve(context: &Context, args: ServeArgs) -> Result<Exit, Failure> {
    if args.list {
        return list(context);
    }
    let address = loopback(args.listen, args.port)?;
    let mut scenario = scenario(&args.scenario)?;
    if let Some(users) = args.users {
        scenario = scenario.with_users(users);
    }
    let tenant = Tenant::with_clock(&scenario, clock(args.clock, scenario.incident.end));
    let server = Server::start_on(tenant.clone(), address)
        .await
        .map_err(|error| Failure::new(Exit::CouldNotRun, format!("failed to listen on {address}: {error}")))?;
    let profile = profile(&tenant, &server.uri());
    if let Some(path) = &args.profile {
        write_new(path, &profile)?;
    }
    let secret = tenant.credentials().client_secret;
    context.out.text(&format!(
        "# The tenant of scenario {} is at {}. A profile for it:\n{profile}\n# Its secret, before you run staunch:\n# export STAUNCH_LAB_SECRET='{secret}'\n# Its state, request log, clock and faults: {}/_tenant",
        args.scenario,
        server.uri(),
        server.uri()
    ))?;
    context.out.say("Ctrl-C ends it");
    tokio::signal::ctrl_c().await.map_err(|error| Failure::new(Exit::CouldNotRun, error.to_string()))?;
    Ok(Exit::Ok)
}

/// The built-in scenarios with what happened in each.
fn list(context: &Context) -> Result<Exit, Failure> {
    let all: Vec<Scenario> = Scenario::names().into_iter().filter_map(Scenario::builtin).collect();
    let rows: Vec<Value> = all
        .iter()
        .map(|scenario| {
            let users = scenario.users.len() + scenario.background_users;
            json!({"name": scenario.name, "summary": scenario.summary, "users": users})
        })
        .collect();
    context.out.data(&rows, || {
        let mut table = Table::new();
        table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_width(u16::try_from(context.out.width()).unwrap_or(100));
        for scenario in &all {
            table.add_row([&scenario.name, &scenario.summary]);
        }
        table.to_string()
    })?;
    Ok(Exit::Ok)
}

/// The address to listen on. A tenant with a known secret and a control API without one is for this machine only.
fn loopback(listen: IpAddr, port: u16) -> Result<SocketAddr, Failure> {
    if listen.is_loopback() {
        return Ok((listen, port).into());
    }
    Err(Failure::usage(format!("{listen} is no loopback address; the mock tenant is for this machine only")))
}

fn clock(kind: ClockKind, end: jiff::Timestamp) -> Clock {
    match kind {
        ClockKind::System => Clock::system(),
        ClockKind::Manual => Clock::manual(end + jiff::SignedDuration::from_hours(1)),
    }
}

/// A built-in scenario by its name, or one in a file.
pub(crate) fn scenario(name: &str) -> Result<Scenario, Failure> {
    if let Some(scenario) = Scenario::builtin(name) {
        return Ok(scenario);
    }
    let known = Scenario::names().join(", ");
    let text = fs::read_to_string(name)
        .map_err(|error| Failure::usage(format!("{name} is no built-in scenario ({known}) and no file: {error}")))?;
    Scenario::parse(&text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

fn profile(tenant: &Tenant, url: &str) -> String {
    let us = tenant.credentials();
    format!(
        "[tenants.lab]\ntenant_id = \"{}\"\nclient_id = \"{}\"\nauth      = {{ kind = \"secret\", env = \"STAUNCH_LAB_SECRET\" }}\n\
         endpoints = {{ login = \"{url}\", graph = \"{url}\", exchange = \"{url}\" }}\n",
        us.tenant_id, us.client_id
    )
}

fn write_new(path: &Path, text: &str) -> Result<(), Failure> {
    use std::io::Write as _;
    let written = fs::OpenOptions::new().write(true).create_new(true).open(path);
    written
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|error| Failure::new(Exit::CouldNotRun, format!("failed to write {}: {error}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_listened_on() {
        for (address, fine) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("0.0.0.0", false),
            ("::", false),
            ("192.0.2.7", false),
        ] {
            assert_eq!(loopback(address.parse().unwrap(), 0).is_ok(), fine, "{address}");
        }
    }

    #[test]
    fn a_manual_clock_stands_an_hour_after_the_incident() {
        let end = Scenario::builtin("aitm").unwrap().incident.end;
        let clock = clock(ClockKind::Manual, end);
        assert_eq!(clock.now().to_string(), "2023-12-12T15:11:43Z");
        assert_eq!(clock.now(), clock.now());
    }
}
