//! What a fault does to a request, and the answers it gives instead of the true one.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::http::{Abort, Request, Response};
use crate::reply::http_date;
use crate::server::origin;

/// What the `Retry-After` header says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum RetryAfter {
    /// There is none.
    Absent,
    /// Whole seconds.
    Seconds(u64),
    /// Milliseconds, written as decimal seconds such as `2.128`.
    Decimal(u64),
    /// An HTTP date so many seconds ahead.
    Date(i64),
    /// This text, whatever it is.
    Text(String),
}

/// What happens to a request that a rule strikes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Effect {
    /// 429.
    Throttle(RetryAfter),
    /// 429 that says whose limit it is, and which.
    ThrottleScope {
        /// `x-ms-throttle-scope`, such as `Tenant/Read/<application>/<tenant>`.
        scope: String,
        /// `x-ms-throttle-information`, such as `ResourceUnitLimitExceeded`.
        information: String,
        /// `Retry-After`, in whole seconds.
        seconds: u64,
    },
    /// The true answer, with this `x-ms-throttle-limit-percentage`: near a limit.
    LimitPercentage(String),
    /// A 5xx with a `Retry-After`, before or after the request took effect.
    Unavailable {
        /// The status.
        status: u16,
        /// Whether the request took effect.
        applied: bool,
        /// The header.
        retry: RetryAfter,
    },
    /// A 5xx, before or after the request took effect.
    ServerError {
        /// The status.
        status: u16,
        /// Whether the request took effect.
        applied: bool,
    },
    /// The connection closes without an answer.
    Drop {
        /// Whether the request took effect.
        applied: bool,
    },
    /// The connection closes in the middle of the answer's status line.
    DropMidHead {
        /// Whether the request took effect.
        applied: bool,
    },
    /// The connection closes in the middle of the answer's body; the request took effect.
    DropMidBody,
    /// The true answer comes so many milliseconds late.
    Delay(u64),
    /// The true answer's body comes in small pieces, so many milliseconds apart.
    Slow(u64),
    /// The true answer's body ends half-way, with a length that says it is whole.
    Truncate,
    /// Any other answer: a gateway's HTML page, a 404 with an empty body, a 409, a 412.
    Answer {
        /// The status.
        status: u16,
        /// The content type.
        content_type: String,
        /// The body.
        body: String,
        /// Whether the request took effect.
        applied: bool,
    },
    /// 401 `InvalidAuthenticationToken`, with a claims challenge where the service asks for a fresh sign-in.
    Unauthorized {
        /// Whether there is a challenge.
        challenge: bool,
    },
    /// 403 with a claims challenge, as Graph answers insufficient claims too.
    ForbiddenChallenge,
    /// A redirect.
    Redirect {
        /// The status.
        status: u16,
        /// The address.
        location: String,
    },
    /// The true answer with this next link; its path and query are the request's where the link ends in a slash.
    NextLink(String),
    /// The true answer with a next link to this host and port, with our own address before an `@` in front of it.
    NextLinkUserinfo(String),
    /// The true answer with a next link to itself.
    NextLinkLoop,
    /// 200 with a gzip body that unpacks to so many bytes.
    GzipBomb(u64),
    /// The request takes effect, and somebody undoes it at once: a directory sync, another administrator.
    Reverted,
    /// The request takes effect, and the attacker puts back what it removed or blocked, under new ids.
    PutBack,
}

impl Effect {
    /// Whether the request reaches the tenant.
    pub(crate) fn applies(&self) -> bool {
        match self {
            Self::ServerError { applied, .. }
            | Self::Unavailable { applied, .. }
            | Self::Drop { applied }
            | Self::DropMidHead { applied }
            | Self::Answer { applied, .. } => *applied,
            Self::Throttle(_)
            | Self::ThrottleScope { .. }
            | Self::Unauthorized { .. }
            | Self::ForbiddenChallenge
            | Self::Redirect { .. }
            | Self::GzipBomb(_) => false,
            Self::LimitPercentage(_)
            | Self::DropMidBody
            | Self::Delay(_)
            | Self::Slow(_)
            | Self::Truncate
            | Self::NextLink(_)
            | Self::NextLinkUserinfo(_)
            | Self::NextLinkLoop
            | Self::Reverted
            | Self::PutBack => true,
        }
    }

    /// What the caller gets, given the true answer where there is one.
    pub(crate) fn answer(&self, request: &Request, truth: Option<Response>, now: Timestamp) -> Response {
        let truth = truth.unwrap_or_default();
        match self {
            Self::Throttle(retry) => throttled(retry, now),
            Self::ThrottleScope { scope, information, seconds } => {
                let mut response = throttled(&RetryAfter::Seconds(*seconds), now);
                response.set("x-ms-throttle-scope", scope);
                response.set("x-ms-throttle-information", information);
                response
            }
            Self::LimitPercentage(share) => {
                let mut response = truth;
                response.set("x-ms-throttle-limit-percentage", share);
                response
            }
            Self::Unavailable { status, retry, .. } => asked_to_wait(server_error(*status), retry, now),
            Self::ServerError { status, .. } => server_error(*status),
            Self::Drop { .. } => Response { abort: Abort::BeforeHead, ..Response::default() },
            Self::DropMidHead { .. } => Response { abort: Abort::MidHead, ..truth },
            Self::DropMidBody => Response { abort: Abort::MidBody, ..truth },
            Self::Delay(milliseconds) => Response { delay: Duration::from_millis(*milliseconds), ..truth },
            Self::Slow(milliseconds) => Response { pace: Duration::from_millis(*milliseconds), ..truth },
            Self::Truncate => truncated(truth),
            Self::Answer { status, content_type, body, .. } => {
                Response::with_body(*status, content_type, body.clone().into_bytes())
            }
            Self::Unauthorized { challenge } => unauthorized(*challenge, now),
            Self::ForbiddenChallenge => Response { status: 403, ..unauthorized(true, now) },
            Self::Redirect { status, location } => {
                let mut response = Response::empty(*status);
                response.set("location", location);
                response
            }
            Self::NextLink(link) => relinked(truth, &foreign_link(link, request)),
            Self::NextLinkUserinfo(host) => {
                let target = format!("{}@{host}{}?{}", origin(request), request.path, request.query);
                relinked(truth, &target)
            }
            Self::NextLinkLoop => {
                let target = format!("{}{}?{}", origin(request), request.path, request.query);
                relinked(truth, target.trim_end_matches('?'))
            }
            Self::GzipBomb(bytes) => gzip_bomb(*bytes),
            Self::Reverted | Self::PutBack => truth,
        }
    }
}

fn truncated(mut truth: Response) -> Response {
    truth.body.truncate(truth.body.len() / 2);
    truth
}

fn foreign_link(link: &str, request: &Request) -> String {
    match link.strip_suffix('/') {
        Some(base) => format!("{base}{}?{}", request.path, request.query),
        None => link.to_owned(),
    }
}

fn relinked(mut truth: Response, link: &str) -> Response {
    if let Value::Object(mut body) = truth.body_json() {
        body.insert("@odata.nextLink".to_owned(), link.into());
        truth.body = Value::Object(body).to_string().into_bytes();
    }
    truth
}

/// 401 with a claims challenge: the token was good, and is not any more.
pub(crate) fn challenge(now: Timestamp) -> Response {
    unauthorized(true, now)
}

fn unauthorized(challenge: bool, now: Timestamp) -> Response {
    let message = if challenge {
        "Continuous access evaluation resulted in challenge with result: InteractionRequired and code: TokenIssuedBeforeRevocationTimestamp"
    } else {
        "Lifetime validation failed, the token is expired."
    };
    let body = json!({"error": {"code": "InvalidAuthenticationToken", "message": message, "innerError": {}}});
    let mut response = Response::json(401, &body);
    let mut header = String::from(
        "Bearer realm=\"\", authorization_uri=\"https://login.microsoftonline.com/common/oauth2/authorize\"",
    );
    if challenge {
        let claims = json!({"access_token": {"nbf": {"essential": true, "value": now.as_second().to_string()}}});
        let encoded = STANDARD.encode(claims.to_string());
        header.push_str(&format!(", error=\"insufficient_claims\", claims=\"{encoded}\""));
    }
    response.set("www-authenticate", &header);
    response
}

/// Zeros pack a thousand to one.
fn gzip_bomb(bytes: u64) -> Response {
    let mut packer = GzEncoder::new(Vec::new(), Compression::best());
    let block = [b' '; 65_536];
    let mut left = bytes;
    while left > 0 {
        let part = usize::try_from(left).unwrap_or(block.len()).min(block.len());
        packer.write_all(block.get(..part).unwrap_or(&block)).ok();
        left -= part as u64;
    }
    let mut response = Response::with_body(200, "application/json", packer.finish().unwrap_or_default());
    response.set("content-encoding", "gzip");
    response
}

fn throttled(retry: &RetryAfter, now: Timestamp) -> Response {
    let body = json!({"error": {
        "code": "TooManyRequests", "message": "Too many requests.",
        "innerError": {"code": "429", "status": "429"},
    }});
    asked_to_wait(Response::json(429, &body), retry, now)
}

/// The answer with its `Retry-After`.
fn asked_to_wait(mut response: Response, retry: &RetryAfter, now: Timestamp) -> Response {
    let text = match retry {
        RetryAfter::Absent => return response,
        RetryAfter::Seconds(seconds) => seconds.to_string(),
        RetryAfter::Decimal(milliseconds) => {
            format!("{}.{:03}", milliseconds / 1000, milliseconds % 1000)
        }
        RetryAfter::Date(seconds) => http_date(now + SignedDuration::from_secs(*seconds)),
        RetryAfter::Text(text) => text.clone(),
    };
    response.set("retry-after", &text);
    response
}

fn server_error(status: u16) -> Response {
    let (code, message) = match status {
        502 => ("BadGateway", "Bad gateway."),
        503 => ("serviceNotAvailable", "Service is unavailable."),
        504 => ("GatewayTimeout", "The gateway did not receive a response from the service in time."),
        _ => ("generalException", "An internal server error has occurred."),
    };
    Response::json(status, &json!({"error": {"code": code, "message": message, "innerError": {}}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_has_its_five_forms() {
        let now = "2023-12-12T13:50:17Z".parse().unwrap();
        let header = |retry| throttled(&retry, now).get_header("retry-after").map(str::to_owned);
        assert_eq!(header(RetryAfter::Absent), None);
        assert_eq!(header(RetryAfter::Seconds(3600)).as_deref(), Some("3600"));
        assert_eq!(header(RetryAfter::Decimal(2128)).as_deref(), Some("2.128"));
        assert_eq!(header(RetryAfter::Date(10)).as_deref(), Some("Tue, 12 Dec 2023 13:50:27 GMT"));
        assert_eq!(header(RetryAfter::Text("soon".to_owned())).as_deref(), Some("soon"));
    }

    #[test]
    fn a_5xx_may_ask_to_wait_and_a_429_may_say_whose_limit_it_is() {
        let (request, now) = (Request::new("GET", "/v1.0/users"), "2023-12-12T13:50:17Z".parse().unwrap());
        let busy = Effect::Unavailable { status: 503, applied: false, retry: RetryAfter::Seconds(7) };
        let answer = busy.answer(&request, None, now);
        assert_eq!((answer.status, answer.get_header("retry-after"), busy.applies()), (503, Some("7"), false));
        let (scope, information) = ("Tenant/Read/app/tenant".to_owned(), "CPULimitExceeded".to_owned());
        let answer = Effect::ThrottleScope { scope, information, seconds: 3 }.answer(&request, None, now);
        assert_eq!((answer.status, answer.get_header("retry-after")), (429, Some("3")));
        assert_eq!(answer.get_header("x-ms-throttle-scope"), Some("Tenant/Read/app/tenant"));
        assert_eq!(answer.get_header("x-ms-throttle-information"), Some("CPULimitExceeded"));
        let near = Effect::LimitPercentage("0.9".to_owned());
        let answer = near.answer(&request, Some(Response::empty(204)), now);
        assert_eq!((answer.status, answer.get_header("x-ms-throttle-limit-percentage")), (204, Some("0.9")));
    }

    #[test]
    fn insufficient_claims_may_be_a_403() {
        let request = Request::new("GET", "/v1.0/users");
        let answer = Effect::ForbiddenChallenge.answer(&request, None, "2023-12-12T13:50:17Z".parse().unwrap());
        assert_eq!(answer.status, 403);
        assert!(answer.get_header("www-authenticate").unwrap().contains("insufficient_claims"));
    }

    #[test]
    fn our_own_address_may_be_the_userinfo_of_a_foreign_link() {
        let request = Request::new("GET", "/v1.0/users?$top=1").header("host", "graph.microsoft.com");
        let truth = Response::json(200, &json!({"value": []}));
        let effect = Effect::NextLinkUserinfo("collector.example:81".to_owned());
        let answer = effect.answer(&request, Some(truth), "2023-12-12T13:50:17Z".parse().unwrap());
        let link = answer.body_json()["@odata.nextLink"].as_str().unwrap().to_owned();
        assert!(link.ends_with("graph.microsoft.com@collector.example:81/v1.0/users?$top=1"), "{link}");
    }

    #[test]
    fn a_bomb_is_small_on_the_wire() {
        let response = gzip_bomb(10_000_000);
        assert!(response.body.len() < 20_000, "{}", response.body.len());
    }

    #[test]
    fn a_foreign_link_keeps_the_path_of_the_request() {
        let request = Request::new("GET", "/v1.0/users?$top=1");
        let link = foreign_link("https://collector.example/", &request);
        assert_eq!(link, "https://collector.example/v1.0/users?$top=1");
        assert_eq!(foreign_link("http://x.example/a", &request), "http://x.example/a");
    }
}
