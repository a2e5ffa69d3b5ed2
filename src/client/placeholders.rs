//! Secrets in the bodies of calls: put in for the bytes that go out, and for nothing else.

use serde_json::Value;
use zeroize::{Zeroize as _, Zeroizing};

use crate::client::Secrets;

/// Fields whose value is a secret wherever they stand, should a literal ever be in one.
const SECRET_FIELDS: [&str; 6] =
    ["password", "newPassword", "currentPassword", "temporaryAccessPass", "secretText", "clientSecret"];

/// The exact bytes to send, placeholders replaced; or which placeholder has no value.
pub(super) fn fill(body: &Value, secrets: &Secrets) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut filled = body.clone();
    let done = replace(&mut filled, secrets);
    let bytes = done.and_then(|()| write(&filled));
    wipe(&mut filled);
    bytes
}

/// The body as it may be kept: placeholders as they are, literals in secret fields masked.
pub(super) fn masked(body: &Value) -> Value {
    let mut shown = body.clone();
    mask(&mut shown);
    shown
}

fn replace(value: &mut Value, secrets: &Secrets) -> Result<(), String> {
    if let Some(name) = placeholder(value, "$secret") {
        let secret = secrets.get(name).ok_or_else(|| format!("the secret {name:?} is missing"))?;
        *value = Value::String(secret.expose().to_owned());
        return Ok(());
    }
    if let Some(field) = placeholder(value, "$found") {
        return Err(format!("the field {field:?} was not found before"));
    }
    match value {
        Value::Array(items) => items.iter_mut().try_for_each(|item| replace(item, secrets)),
        Value::Object(fields) => fields.values_mut().try_for_each(|field| replace(field, secrets)),
        _ => Ok(()),
    }
}

fn placeholder<'a>(value: &'a Value, kind: &str) -> Option<&'a str> {
    let object = value.as_object().filter(|object| object.len() == 1)?;
    object.get(kind)?.as_str()
}

/// Into a buffer that never has to grow, since growing would leave a copy behind.
fn write(filled: &Value) -> Result<Zeroizing<Vec<u8>>, String> {
    let mut size = Size(0);
    serde_json::to_writer(&mut size, filled).map_err(|error| error.to_string())?;
    let mut bytes = Zeroizing::new(Vec::with_capacity(size.0));
    serde_json::to_writer(&mut *bytes, filled).map_err(|error| error.to_string())?;
    Ok(bytes)
}

struct Size(usize);

impl std::io::Write for Size {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn wipe(value: &mut Value) {
    match value {
        Value::String(text) => text.zeroize(),
        Value::Array(items) => items.iter_mut().for_each(wipe),
        Value::Object(fields) => fields.values_mut().for_each(wipe),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn mask(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(mask),
        Value::Object(fields) => {
            for (name, field) in fields {
                let secret = SECRET_FIELDS.iter().any(|it| it.eq_ignore_ascii_case(name));
                if secret && field.is_string() {
                    *field = Value::String("(masked)".to_owned());
                } else {
                    mask(field);
                }
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{fill, masked, wipe};
    use crate::{
        client::Secrets,
        model::{Call, Password},
    };

    fn secrets() -> (Secrets, String) {
        let password = Password::generate();
        let text = password.expose().to_owned();
        (Secrets::from([("password".to_owned(), password)]), text)
    }

    #[test]
    fn placeholders_are_filled_at_any_depth() {
        let (secrets, text) = secrets();
        let body =
            json!({"passwordProfile": {"password": Call::secret("password")}, "list": [Call::secret("password"), 1]});
        let sent: Value = serde_json::from_slice(&fill(&body, &secrets).unwrap()).unwrap();
        assert_eq!(sent["passwordProfile"]["password"], json!(text));
        assert_eq!(sent["list"], json!([text, 1]));
    }

    #[test]
    fn what_is_missing_is_named_and_nothing_is_sent() {
        let body = json!({"a": Call::secret("other")});
        let missing = fill(&body, &secrets().0).unwrap_err();
        assert_eq!(missing, r#"the secret "other" is missing"#);
        let unfound = fill(&json!([Call::found("identity")]), &secrets().0).unwrap_err();
        assert!(unfound.contains("identity"), "{unfound}");
    }

    #[test]
    fn what_is_kept_holds_placeholders_and_no_literal_secret() {
        let body = json!({"passwordProfile": {"password": Call::secret("password"), "x": 1}, "Password": "hunter2"});
        let shown = masked(&body);
        assert_eq!(shown["passwordProfile"], body["passwordProfile"]);
        assert_eq!(shown["Password"], json!("(masked)"));
    }

    #[test]
    fn an_object_that_only_looks_like_a_placeholder_stays() {
        let body = json!({"$secret": "password", "more": 1});
        let (secrets, _) = secrets();
        let sent: Value = serde_json::from_slice(&fill(&body, &secrets).unwrap()).unwrap();
        assert_eq!(sent, body);
    }

    #[test]
    fn wiping_leaves_no_text() {
        let mut value = json!({"a": ["x", {"b": "y"}], "c": 1});
        wipe(&mut value);
        assert_eq!(value, json!({"a": ["", {"b": ""}], "c": 1}));
    }
}
