//! A stateful Microsoft 365 tenant that misbehaves like the real one, for tests and rehearsal.
//!
//! One [`Tenant`] answers the token endpoint, Microsoft Graph and Exchange Online's admin API under one base address.
//! It keeps state, enforces permissions from the token, writes an audit feed and a request log, and can be told to
//! fail in the ways in which the service fails ([`faults`]).
//!
//! ```
//! use mock_server::{Scenario, Server, Tenant};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() {
//! let tenant = Tenant::new(&Scenario::builtin("aitm").expect("it is compiled in"));
//! let server = Server::start(tenant.clone()).await;
//! let credentials = tenant.credentials();
//! let endpoint = format!("{}/{}/oauth2/v2.0/token", server.uri(), credentials.tenant_id);
//! // … sign in there, then work against `{server.uri()}/v1.0/…`, and afterwards ask the tenant:
//! assert!(endpoint.starts_with("http://127.0.0.1:"));
//! assert_eq!(tenant.incident().victims, ["johanna@sunnyside08.example"]);
//! assert!(tenant.diff_from_seed().is_empty());
//! # }
//! ```
//!
//! Without a port, [`Tenant::handle`] takes a [`Request`] and gives a [`Response`].

mod access;
pub mod clock;
mod control;
pub mod faults;
pub mod front;
pub mod http;
mod limits;
pub mod log;
mod odata;
mod random;
mod reply;
mod routes;
pub mod scenario;
mod server;
pub mod settings;
pub mod tenant;

pub use crate::clock::Clock;
pub use crate::front::hyper::Server;
pub use crate::front::wiremock::{TenantResponder, mock_server};
pub use crate::http::{Abort, Request, Response};
pub use crate::limits::UnderWay;
pub use crate::log::LoggedRequest;
pub use crate::routes::{RouteInfo, cmdlets, routes};
pub use crate::scenario::{Scenario, ScenarioError};
pub use crate::tenant::diff::Difference;
pub use crate::tenant::state::State;
pub use crate::tenant::{Credentials, Incident, RogueObject, Tenant};
