//! What a handler answers, before it becomes bytes: a success, or a failure with Graph's or Exchange's error body.

use http::HeaderMap;
use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::http::Response;

/// A handler's answer.
pub(crate) type Outcome = Result<Response, Fail>;

/// 204 without a body.
pub(crate) fn no_content() -> Response {
    Response::empty(204)
}

/// 200 with a JSON body.
pub(crate) fn ok(body: &Value) -> Response {
    Response::with_body(200, GRAPH_JSON, body.to_string().into_bytes())
}

/// 201 with a JSON body.
pub(crate) fn created(body: &Value) -> Response {
    Response::with_body(201, GRAPH_JSON, body.to_string().into_bytes())
}

const GRAPH_JSON: &str =
    "application/json;odata.metadata=minimal;odata.streaming=true;IEEE754Compatible=false;charset=utf-8";

/// A refusal.
#[derive(Debug, Clone)]
pub(crate) struct Fail(Box<Failure>);

#[derive(Debug, Clone)]
struct Failure {
    status: u16,
    code: String,
    message: String,
    inner: Map<String, Value>,
    headers: HeaderMap,
    /// A finished answer of another shape: Exchange's, HTML, or no body at all.
    finished: Option<Response>,
}

/// What the envelope of an error body repeats.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// Local date and time of the answer, to the second, without a zone mark.
    pub(crate) date: String,
    /// The server's id of the request.
    pub(crate) request_id: String,
    /// The caller's id of the request, or the server's where there is none.
    pub(crate) client_request_id: String,
}

impl Fail {
    /// A Graph error.
    pub(crate) fn graph(status: u16, code: &str, message: &str) -> Self {
        Self(Box::new(Failure {
            status,
            code: code.to_owned(),
            message: message.to_owned(),
            inner: Map::new(),
            headers: HeaderMap::new(),
            finished: None,
        }))
    }

    /// An answer whose shape is not Graph's.
    pub(crate) fn finished(response: Response) -> Self {
        let mut fail = Self::graph(response.status, "", "");
        fail.0.finished = Some(response);
        fail
    }

    /// 400 `Request_BadRequest`.
    pub(crate) fn bad_request(message: &str) -> Self {
        Self::graph(400, "Request_BadRequest", message)
    }

    /// 404 of the directory.
    pub(crate) fn not_found(id: &str) -> Self {
        Self::graph(
            404,
            "Request_ResourceNotFound",
            &format!(
                "Resource '{id}' does not exist or one of its queried reference-property objects are not present."
            ),
        )
    }

    /// 403 of the directory.
    pub(crate) fn denied() -> Self {
        Self::graph(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")
    }

    /// The same failure with a further member of `innerError`.
    pub(crate) fn inner(mut self, name: &str, value: &str) -> Self {
        self.0.inner.insert(name.to_owned(), value.into());
        self
    }

    /// The same failure with a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        let mut response = Response::default();
        response.set(name, value);
        self.0.headers.extend(response.headers);
        self
    }

    /// Graph's error code.
    #[cfg(test)]
    pub(crate) fn code(&self) -> &str {
        &self.0.code
    }

    /// The answer with its envelope.
    pub(crate) fn into_response(self, trace: &Trace) -> Response {
        let failure = *self.0;
        if let Some(response) = failure.finished {
            return response;
        }
        let mut inner = failure.inner;
        inner.insert("date".to_owned(), trace.date.clone().into());
        inner.insert("request-id".to_owned(), trace.request_id.clone().into());
        inner.insert("client-request-id".to_owned(), trace.client_request_id.clone().into());
        let body = json!({"error": {"code": failure.code, "message": failure.message, "innerError": inner}});
        let mut response = Response::json(failure.status, &body);
        response.headers.extend(failure.headers);
        response
    }
}

/// A time in the form of the `Date` header.
pub(crate) fn http_date(time: Timestamp) -> String {
    jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&time).unwrap_or_default()
}
