//! Front ends: how requests reach [`Tenant::handle`](crate::Tenant::handle) over a wire.

pub mod hyper;
#[cfg(feature = "tls")]
mod tls;
pub mod wiremock;
