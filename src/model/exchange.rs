//! One HTTP request and its answer, as evidence.

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How an exchange ended, as far as the wire shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ExchangeOutcome {
    /// A complete 2xx answer.
    Ok,
    /// 404.
    NotFound,
    /// 401 or 403: the facet is denied, which is not the same as empty.
    Denied,
    /// 429, or 503 with `Retry-After`.
    Throttled,
    /// Any other 4xx.
    Rejected,
    /// Any other 5xx, or a redirect.
    ServerError,
    /// No request reached the server.
    NotSent,
    /// Sent, and no complete answer came back.
    Lost,
}

/// One attempt of one request. Secrets are replaced by markers before it is made; the body of the answer is
/// the exact bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// Ours, new for each attempt; Graph and Exchange log it.
    pub client_request_id: String,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// `GET`, `POST`, …
    pub method: String,
    /// The full URL.
    pub url: String,
    /// What was sent beside the token: which mailbox, which consistency, which priority.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub request_headers: Vec<(String, String)>,
    /// `uti` of the token that went along: sign-in logs name it. The token itself is never kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What was sent, secrets as markers.
    pub request_body: Option<Value>,
    /// None when no status line came.
    pub status: Option<u16>,
    /// All of the answer's headers, in their order.
    pub response_headers: Vec<(String, String)>,
    /// When it was sent, by our clock.
    pub started: Timestamp,
    /// When the answer was complete, by our clock.
    pub ended: Timestamp,
    /// Monotonic milliseconds since the process began, at the start.
    pub started_mono_ms: u64,
    /// The server's `Date`.
    pub server_date: Option<Timestamp>,
    /// How it ended.
    pub outcome: ExchangeOutcome,
    /// For a read that travelled in a `$batch`: the `client-request-id` of the outer request.
    pub batch: Option<String>,
    /// The headers of the answer to that outer request: ids and time of the service are there and nowhere else.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub batch_headers: Vec<(String, String)>,
    /// The exact bytes of the answer. Stored in a file of its own.
    #[serde(skip)]
    pub body: Vec<u8>,
}
