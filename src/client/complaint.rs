//! What the tenant says when something fails: Graph's error bodies, Exchange's exceptions, and answers without words.

use serde_json::Value;

use crate::{
    client::{ReadErrorKind, retry::RetryAfter, throttle},
    model::{Exchange, ExchangeOutcome, Service},
};

/// What the tenant says about a failure.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Graph: `error.code`, or the innermost where that is empty or says nothing. Exchange: the exception type
    /// without its namespace, or `error.code`.
    pub(super) code: String,
    /// In its words, or in ours where it gave none.
    pub(super) message: String,
    /// Exchange's own number of the error (`Ex6F9304`).
    pub(super) exchange_code: String,
}

impl Complaint {
    /// Reads the body of an answer that is not a success. Bodies that are no JSON are expected: gateways answer
    /// HTML, Exchange answers NUL bytes.
    pub(super) fn of(service: Service, exchange: &Exchange) -> Self {
        let json: Value = serde_json::from_slice(&exchange.body).unwrap_or_default();
        let mut found = match (service, json.get("error").unwrap_or(&json)) {
            (Service::Graph, error) => graph(error),
            (Service::Exchange, error) => exception(error),
        };
        if found.message.is_empty() {
            found.message = without_words(service, exchange);
        }
        if let Some(whose) = throttle::words(exchange).filter(|_| exchange.status == Some(429)) {
            found.message = format!("{} ({whose})", found.message);
        }
        let asked = header(exchange, "retry-after")
            .filter(|_| exchange.outcome == ExchangeOutcome::Throttled)
            .and_then(|value| RetryAfter::parse(value, exchange.server_date.unwrap_or(exchange.ended)));
        if let Some(longer) = asked.and_then(RetryAfter::longer) {
            found.message = format!("{}; {longer}", found.message);
        }
        found
    }

    /// Exchange: whether it says itself that there is no such object. A bare 404 may be a gateway's.
    pub(super) fn says_not_found(&self) -> bool {
        matches!(self.code.as_str(), "ManagementObjectNotFoundException" | "NotFound")
    }

    /// Exchange: which object there is none of. `Ex41BAF5` is "The specified mailbox doesn't exist."
    pub(super) fn not_found_kind(&self) -> ReadErrorKind {
        if self.exchange_code == "Ex41BAF5" { ReadErrorKind::NoMailbox } else { ReadErrorKind::NotFound }
    }
}

/// Source: Graph "error responses": only `code` and the innermost `innererror.code` are stable; the casing of
/// `innerError` varies.
fn graph(error: &Value) -> Complaint {
    let outer = text(error, "code");
    let mut inner = error;
    while let Some(next) = inner.get("innerError").or_else(|| inner.get("innererror")).filter(|next| next.is_object()) {
        inner = next;
    }
    let innermost = text(inner, "code");
    let code = if matches!(outer, "" | "UnknownError") && !innermost.is_empty() { innermost } else { outer };
    Complaint { code: code.to_owned(), message: text(error, "message").to_owned(), exchange_code: String::new() }
}

/// A member that is a string, or nothing.
fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn without_words(service: Service, exchange: &Exchange) -> String {
    match (exchange.status, service) {
        (Some(300..=399), _) => "a redirect, which is not followed".to_owned(),
        // Source: field reports on InvokeCommand; all three look the same, a run of NUL bytes.
        (Some(403), Service::Exchange) => {
            let causes = "denied without a reason: the application has no Exchange role, or its role lacks this \
                          cmdlet, or the role was given after this token was issued";
            match header(exchange, "x-ms-diagnostics") {
                Some(diagnostics) => format!("{causes}; {diagnostics}"),
                None => causes.to_owned(),
            }
        }
        (Some(401), Service::Exchange) => {
            "the token was not accepted: is the application permission Exchange.ManageAsApp granted?".to_owned()
        }
        _ if exchange.body.is_empty() => "an empty answer".to_owned(),
        _ => "an answer that is not the service's own".to_owned(),
    }
}

/// A header of the answer.
pub(super) fn header<'a>(exchange: &'a Exchange, name: &str) -> Option<&'a str> {
    let mut headers = exchange.response_headers.iter();
    headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
}

/// The exception behind an error. `error.message` is a constant; what counts stands in
/// `innererror.internalexception`, or as `ExCODE|Type|text` in `details`.
fn exception(error: &Value) -> Complaint {
    let internal = error.get("innererror").and_then(|inner| inner.get("internalexception"));
    let detail = error
        .get("details")
        .and_then(|details| details.get(0))
        .map(|detail| text(detail, "message"))
        .unwrap_or_default();
    let (exchange_code, detail_type, detail_text) = triple(detail);
    let internal_type = internal.map(|it| text(it, "type")).unwrap_or_default();
    let internal_text = internal.map(|it| text(it, "message")).unwrap_or_default();
    // The wrapper's own text says nothing: the exception that it carries stands in the details.
    let wrapped = internal_type.ends_with("DirectInvokeCmdletExecutionException")
        || internal_text.contains("DirectInvokeCmdletExecutionException");
    let kind = [if wrapped { "" } else { internal_type }, detail_type, text(error, "code")];
    let words = [if wrapped { "" } else { internal_text }, detail_text, text(error, "message")];
    Complaint {
        code: short(first(kind)).to_owned(),
        message: first(words).to_owned(),
        exchange_code: exchange_code.to_owned(),
    }
}

/// `Ex6F9304|Namespace.Type|text`; the code may be empty, and a plain text has neither.
fn triple(message: &str) -> (&str, &str, &str) {
    let mut parts = message.splitn(3, '|');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(code), Some(kind), Some(text)) => (code, kind, text),
        _ => ("", "", message),
    }
}

fn first(texts: [&str; 3]) -> &str {
    texts.into_iter().find(|text| !text.is_empty()).unwrap_or_default()
}

fn short(type_name: &str) -> &str {
    type_name.rsplit('.').next().unwrap_or(type_name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{exception, graph};

    #[test]
    fn the_code_is_the_outer_one_unless_it_says_nothing() {
        let code = |body: Value| graph(&body["error"]).code;
        let inner = json!({"code": "UnknownError", "innererror": {"code": "a", "innerError": {"code": "b"}}});
        assert_eq!(code(json!({"error": inner})), "b");
        let throttled = json!({"code": "TooManyRequests", "innerError": {"code": "429"}});
        assert_eq!(code(json!({"error": throttled})), "TooManyRequests");
        assert_eq!(code(json!({"error": "a string"})), "");
        assert_eq!(code(json!([1])), "");
    }

    #[test]
    fn an_exception_is_known_by_its_type_wherever_it_stands() {
        let triple = "Ex6F9304|Microsoft.Exchange.Configuration.Tasks.ManagementObjectNotFoundException|The operation couldn't be performed because object 'x' couldn't be found on 'y'.";
        let wrapper =
            "Exception of type 'Microsoft.Exchange.Admin.OData.Core.DirectInvokeCmdletExecutionException' was thrown.";
        let wrapped = exception(&json!({
            "code": "BadRequest", "message": "Error executing cmdlet",
            "details": [{"code": "Client", "target": "", "message": triple}],
            "innererror": {"internalexception": {"type": "x.DirectInvokeCmdletExecutionException", "message": wrapper}},
        }));
        assert_eq!(wrapped.code, "ManagementObjectNotFoundException");
        assert_eq!(wrapped.exchange_code, "Ex6F9304");
        assert!(wrapped.message.starts_with("The operation couldn't"));

        let plain = exception(&json!({
            "code": "BadRequest", "message": "Invalid Operation",
            "innererror": {"internalexception": {"type": "System.ArgumentException", "message": "why"}},
        }));
        assert_eq!((plain.code.as_str(), plain.message.as_str()), ("ArgumentException", "why"));

        let coarse = exception(&json!({"code": "NotFound", "message": "Invalid Operation"}));
        assert_eq!(coarse.code, "NotFound");
        let uncoded = exception(&json!({"details": [{"message": "|A.BException|text|more"}]}));
        assert_eq!((uncoded.code.as_str(), uncoded.message.as_str()), ("BException", "text|more"));
    }
}
