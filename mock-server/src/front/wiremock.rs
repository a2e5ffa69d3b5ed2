//! The tenant as one responder of a wiremock server, for tests that mount other mocks beside it.
//!
//! wiremock cannot close a connection without an answer: a dropped request is answered 599 here. Use
//! [`Server`](crate::Server) where that matters.

use http::{HeaderName, HeaderValue};
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request as WireRequest, Respond, ResponseTemplate};

use crate::http::{Abort, Request};
use crate::tenant::Tenant;

/// Answers every request from the tenant.
#[derive(Debug, Clone)]
pub struct TenantResponder(pub Tenant);

impl Respond for TenantResponder {
    fn respond(&self, wire: &WireRequest) -> ResponseTemplate {
        let response = self.0.handle(&Request {
            method: wire.method.as_str().to_owned(),
            path: wire.url.path().to_owned(),
            query: wire.url.query().unwrap_or_default().to_owned(),
            headers: wire.headers.clone(),
            body: wire.body.clone(),
        });
        if response.abort != Abort::No {
            return ResponseTemplate::new(599);
        }
        let mut template =
            ResponseTemplate::new(response.status).set_delay(response.delay).set_body_bytes(response.body);
        for (name, value) in &response.headers {
            template = template.append_header::<HeaderName, HeaderValue>(name.clone(), value.clone());
        }
        template
    }
}

/// A wiremock server that answers as the tenant. Its own recording of requests is off: the tenant keeps the log.
pub async fn mock_server(tenant: Tenant) -> MockServer {
    let server = MockServer::builder().disable_request_recording().start().await;
    Mock::given(any()).respond_with(TenantResponder(tenant)).mount(&server).await;
    server
}
