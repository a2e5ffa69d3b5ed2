//! Plain request and response values, so that the tenant knows no HTTP library's types but names and header maps.
//!
//! Front ends translate to and from these. Nothing here knows a route.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::limits::UnderWay;

/// One request as it reached the tenant.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// The method in capitals.
    pub method: String,
    /// The path, still percent-encoded, with its leading slash.
    pub path: String,
    /// The query, still percent-encoded, without the question mark.
    pub query: String,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub body: Vec<u8>,
}

impl Request {
    /// A request with neither headers nor body; `target` may hold a query.
    #[must_use]
    pub fn new(method: &str, target: &str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self { method: method.to_owned(), path: path.to_owned(), query: query.to_owned(), ..Self::default() }
    }

    /// The same request with one header more. A name or value that HTTP forbids is left out.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        set_header(&mut self.headers, name, value);
        self
    }

    /// The same request with this bearer token.
    #[must_use]
    pub fn bearer(self, token: &str) -> Self {
        self.header("authorization", &format!("Bearer {token}"))
    }

    /// The same request with a JSON body.
    #[must_use]
    pub fn json(mut self, body: &Value) -> Self {
        self.body = body.to_string().into_bytes();
        self.header("content-type", "application/json")
    }

    /// The same request with a form body.
    #[must_use]
    pub fn form(mut self, fields: &[(&str, &str)]) -> Self {
        let mut body = form_urlencoded::Serializer::new(String::new());
        self.body = body.extend_pairs(fields).finish().into_bytes();
        self.header("content-type", "application/x-www-form-urlencoded")
    }

    /// A header's text, if it is there and is text.
    #[must_use]
    pub fn get_header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// Whether, and where, the connection breaks instead of carrying the whole answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Abort {
    /// The answer arrives whole.
    #[default]
    No,
    /// The connection closes before the first byte of the answer.
    BeforeHead,
    /// The first bytes of the status line arrive, then the connection closes.
    MidHead,
    /// The head and half of the body arrive, then the connection closes.
    MidBody,
}

/// One answer.
#[derive(Debug, Clone, Default)]
pub struct Response {
    /// The HTTP status.
    pub status: u16,
    /// The header fields.
    pub headers: HeaderMap,
    /// The body's bytes.
    pub body: Vec<u8>,
    /// How long the front end waits before it sends the answer.
    pub delay: Duration,
    /// How long the front end waits between pieces of the body; zero sends it in one.
    pub pace: Duration,
    /// Where the front end breaks the connection.
    pub abort: Abort,
    /// The place at a mailbox that the request takes until this is gone, where concurrency is limited.
    pub under_way: Option<Arc<UnderWay>>,
}

impl Response {
    /// An answer with a status and nothing else.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// A JSON answer.
    #[must_use]
    pub fn json(status: u16, body: &Value) -> Self {
        Self::with_body(status, "application/json", body.to_string().into_bytes())
    }

    /// An answer with a body of the given content type.
    #[must_use]
    pub fn with_body(status: u16, content_type: &str, body: Vec<u8>) -> Self {
        let mut response = Self::empty(status);
        response.body = body;
        response.set("content-type", content_type);
        response
    }

    /// Sets a header. A name or value that HTTP forbids is left out.
    pub fn set(&mut self, name: &str, value: &str) {
        set_header(&mut self.headers, name, value);
    }

    /// A header's text, if it is there and is text.
    #[must_use]
    pub fn get_header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON; `Null` where it is none.
    #[must_use]
    pub fn body_json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }
}

fn set_header(headers: &mut HeaderMap, name: &str, value: &str) {
    if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.to_ascii_lowercase()), HeaderValue::try_from(value)) {
        headers.insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_split_at_the_first_question_mark() {
        let request = Request::new("GET", "/v1.0/users?$filter=a?b");
        assert_eq!(request.path, "/v1.0/users");
        assert_eq!(request.query, "$filter=a?b");
    }

    #[test]
    fn a_header_with_a_line_break_is_left_out() {
        let request = Request::new("GET", "/").header("x-a", "one\r\nx-b: two");
        assert_eq!(request.get_header("x-a"), None);
    }

    #[test]
    fn a_form_is_percent_encoded() {
        let request = Request::new("POST", "/").form(&[("scope", "a b&c")]);
        assert_eq!(request.body, b"scope=a+b%26c");
    }
}
