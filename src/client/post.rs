//! One question to a server that is no tenant: an authority for time stamps. No token is ever near it.

use std::sync::Arc;

use bytes::Bytes;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderMap, HeaderValue},
};

use crate::{
    client::{
        SignInError, endpoints,
        transport::{Parcel, Transport},
    },
    model::Clock,
};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum PostError {
    /// Not an address that anything is sent to.
    #[error("send to {0}: it is neither https nor this machine")]
    Unsafe(String),
    /// Not an address.
    #[error("read the address")]
    Address(#[from] url::ParseError),
    /// No HTTP client.
    #[error(transparent)]
    Client(#[from] SignInError),
    /// No whole answer, or one that is no success.
    #[error("get an answer from {host}: {reason}")]
    Answer {
        /// Who was asked.
        host: String,
        /// In words; safe to print.
        reason: String,
    },
}

/// Posts a body and gives the answer's, once: no redirect is followed, nothing is tried again.
///
/// # Errors
/// When the address is neither https nor loopback, the answer is no success, is lost, or is larger than the limit.
pub async fn post(
    address: &str,
    content_type: &'static str,
    body: Vec<u8>,
    limit: usize,
    clock: Arc<dyn Clock>,
) -> Result<Vec<u8>, PostError> {
    let url: Url = address.parse()?;
    if !endpoints::is_safe(&url) {
        return Err(PostError::Unsafe(url.host_str().unwrap_or_default().to_owned()));
    }
    let host = url.host_str().unwrap_or_default().to_owned();
    let transport = Transport::stranger(&url, limit, clock)?;
    let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))]);
    let raw = transport.send(Parcel { method: Method::POST, url, headers, body: Some(Bytes::from(body)) }).await;
    match (raw.fault, raw.status) {
        (None, Some(200)) => Ok(raw.body),
        (None, status) => {
            let reason = format!("status {}", status.unwrap_or_default());
            Err(PostError::Answer { host, reason })
        }
        (Some(fault), _) => Err(PostError::Answer { host, reason: fault.to_string() }),
    }
}
