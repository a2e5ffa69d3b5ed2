//! Exchange's `InvokeCommand`: request, answer, warnings. For reading and writing cmdlets alike.

use bytes::Bytes;
use reqwest::{
    Method, Url,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};

use crate::{
    client::wire::Outgoing,
    model::{Service, Untrusted},
};

/// The mailbox whose back end should answer.
pub(super) const ANCHOR: HeaderName = HeaderName::from_static("x-anchormailbox");
const FORMAT: HeaderName = HeaderName::from_static("x-responseformat");
const NAME: HeaderName = HeaderName::from_static("x-cmdletname");

/// `…/adminapi/beta/{tenant}/InvokeCommand`. Only `beta` works; `v1.0` answers 405.
pub(super) fn url(base: &Url, tenant_id: &str) -> Url {
    let mut url = base.clone();
    if let Ok(mut path) = url.path_segments_mut() {
        path.clear().extend(["adminapi", "beta", tenant_id, "InvokeCommand"]);
    }
    url
}

/// The body of an `InvokeCommand`. `Parameters` is an object also when there are none.
pub(super) fn body(name: &str, parameters: &Map<String, Value>) -> Value {
    serde_json::json!({ "CmdletInput": { "CmdletName": name, "Parameters": parameters } })
}

/// A request for one cmdlet; `None` when the anchor does not fit into a header.
pub(super) fn request(url: Url, name: &'static str, anchor: &str, body: Bytes, shown: Value) -> Option<Outgoing> {
    let anchor = HeaderValue::from_bytes(anchor.as_bytes()).ok()?;
    let mut out = Outgoing::new(Service::Exchange, Method::POST, url);
    let json = HeaderValue::from_static("application/json; charset=utf-8");
    out.headers.insert(CONTENT_TYPE, json);
    out.headers.insert(ANCHOR, anchor);
    out.headers.insert(FORMAT, HeaderValue::from_static("json"));
    out.headers.insert(NAME, HeaderValue::from_static(name));
    out.body = Some(body);
    out.shown = Some(shown);
    Some(out)
}

/// `Identity` and `Mailbox` that are there and empty: Exchange answers them with every object of the tenant.
///
/// Source: caution on `Get-InboxRule`, `Get-Mailbox` and others in the cmdlet reference.
pub(super) fn empty_identity(parameters: &Map<String, Value>) -> Option<&str> {
    parameters
        .iter()
        .find(|(name, value)| {
            let names = name.eq_ignore_ascii_case("Identity") || name.eq_ignore_ascii_case("Mailbox");
            names && is_empty(value)
        })
        .map(|(name, _)| name.as_str())
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::String(text) => text.trim().is_empty(),
        Value::Number(_) => false,
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => true,
    }
}

/// A page of an answer.
#[derive(Deserialize)]
pub(super) struct Page<'a> {
    /// The objects, as they came.
    #[serde(borrow)]
    pub(super) value: Vec<&'a RawValue>,
    #[serde(rename = "@odata.nextLink")]
    pub(super) next: Option<String>,
    #[serde(rename = "@adminapi.warnings", default)]
    warnings: Option<Value>,
}

impl Page<'_> {
    /// What Exchange says beside a success.
    pub(super) fn warnings(&self) -> Vec<Untrusted> {
        warnings(self.warnings.as_ref())
    }

    /// Whether a warning says that objects are missing. The text is all that Exchange gives; it must begin so,
    /// since warnings also quote names that an attacker chose.
    pub(super) fn is_cut(&self) -> bool {
        const CUT: [&str; 2] = ["There are more results available", "By default, only the first"];
        let warnings = self.warnings();
        let mut texts = warnings.iter().map(|warning| warning.raw().trim_start());
        texts.any(|text| CUT.iter().any(|cut| text.starts_with(cut)))
    }
}

/// The warnings of a write's answer: nothing for an empty body, `None` for one that is not whole.
pub(super) fn written(body: &[u8]) -> Option<Vec<Untrusted>> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Some(Vec::new());
    }
    let answer: Value = serde_json::from_slice(body).ok()?;
    Some(warnings(answer.get("@adminapi.warnings")))
}

/// An array by contract; a lone string is taken too.
fn warnings(value: Option<&Value>) -> Vec<Untrusted> {
    let lines = match value {
        Some(Value::Array(lines)) => lines.as_slice(),
        Some(line @ Value::String(_)) => std::slice::from_ref(line),
        _ => &[],
    };
    lines
        .iter()
        .map(|line| match line.as_str() {
            Some(text) => Untrusted::from(text),
            None => Untrusted::new(line.to_string()),
        })
        .collect()
}

/// Whether "not found" can only mean the mailbox: no other object was named.
pub(super) fn concerns_mailbox(name: &str, parameters: &Map<String, Value>) -> bool {
    name == "Get-Mailbox" || name == "Get-InboxRule" && !parameters.contains_key("Identity")
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::{Page, body, concerns_mailbox, empty_identity, request, url, written};
    use crate::model::Untrusted;

    fn parameters(value: Value) -> Map<String, Value> {
        value.as_object().unwrap().clone()
    }

    #[test]
    fn the_request_is_what_exchange_documents() {
        let base = url::Url::parse("https://outlook.office365.com").unwrap();
        let address = url(&base, "11111111-1111-1111-1111-111111111111");
        assert_eq!(
            address.as_str(),
            "https://outlook.office365.com/adminapi/beta/11111111-1111-1111-1111-111111111111/InvokeCommand"
        );
        assert_eq!(
            body("Get-Mailbox", &Map::new()).to_string(),
            r#"{"CmdletInput":{"CmdletName":"Get-Mailbox","Parameters":{}}}"#
        );
        let request =
            |anchor: &str| request(address.clone(), "Get-Mailbox", anchor, b"{}".as_slice().into(), json!({}));
        assert!(request("jö@x.example").is_some());
        assert!(request("a\r\nX-Evil: 1").is_none());
    }

    #[test]
    fn empty_identities_are_found_whatever_their_spelling() {
        for bad in [
            json!({"Identity": null}),
            json!({"identity": " "}),
            json!({"Mailbox": ""}),
            json!({"Mailbox": []}),
            json!({"Identity": "x", "Mailbox": null}),
        ] {
            assert!(empty_identity(&parameters(bad.clone())).is_some(), "{bad}");
        }
        for good in [json!({}), json!({"Identity": "x"}), json!({"Filter": ""})] {
            assert!(empty_identity(&parameters(good.clone())).is_none(), "{good}");
        }
    }

    #[test]
    fn warnings_are_an_array_and_an_empty_body_has_none() {
        assert_eq!(written(b""), Some(vec![]));
        assert_eq!(written(br#"{"@adminapi.warnings":["a"],"value":[]}"#), Some(vec![Untrusted::from("a")]));
        assert_eq!(written(br#"{"@adminapi.warnings":["#), None);
    }

    #[test]
    fn a_warning_that_objects_are_missing_is_told_from_others() {
        let page = |warning: &str| {
            let text = json!({"value": [], "@adminapi.warnings": [warning]}).to_string();
            serde_json::from_str::<Page<'_>>(&text).unwrap().is_cut()
        };
        assert!(page(
            "There are more results available than are currently displayed. To view them, increase the value for the ResultSize parameter."
        ));
        assert!(!page("The inbox rule 'There are more results available' contains errors."));
    }

    #[test]
    fn not_found_means_the_mailbox_when_nothing_else_was_named() {
        assert!(concerns_mailbox("Get-InboxRule", &parameters(json!({"Mailbox": "x"}))));
        assert!(!concerns_mailbox("Get-InboxRule", &parameters(json!({"Identity": "x\\1"}))));
        assert!(!concerns_mailbox("Get-Recipient", &Map::new()));
    }
}
