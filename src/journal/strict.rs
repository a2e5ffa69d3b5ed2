//! JSON that means one thing: an object that names a key twice is refused, since two readers could each take another
//! of the two; and so is what this program reads and would write otherwise, since another reader may not read it.

use std::{collections::BTreeSet, fmt};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeOwned, Deserializer, Error, MapAccess, SeqAccess, Visitor},
};
use serde_json::Value;

/// Parses JSON, without duplicate keys at any depth, with nothing behind it, and as it would be written again: `serde`
/// also takes a list for an object, an object for a word, and a time in many forms.
pub(crate) fn from_slice<T: DeserializeOwned + Serialize>(bytes: &[u8]) -> Result<T, serde_json::Error> {
    check(bytes)?;
    let read: T = serde_json::from_slice(bytes)?;
    if is_part_of(&serde_json::from_slice(bytes)?, &serde_json::to_value(&read)?) {
        Ok(read)
    } else {
        Err(serde_json::Error::custom("it has not the form in which it is written"))
    }
}

/// Whether a value says what another says. A field that older versions did not write may be missing.
fn is_part_of(value: &Value, whole: &Value) -> bool {
    match (value, whole) {
        (Value::Object(value), Value::Object(whole)) => {
            value.iter().all(|(key, value)| whole.get(key).is_some_and(|whole| is_part_of(value, whole)))
        }
        (Value::Array(value), Value::Array(whole)) => {
            value.len() == whole.len() && value.iter().zip(whole).all(|(value, whole)| is_part_of(value, whole))
        }
        _ => value == whole,
    }
}

/// Whether bytes are JSON without duplicate keys at any depth and with nothing behind it.
pub(crate) fn check(bytes: &[u8]) -> Result<(), serde_json::Error> {
    serde_json::from_slice::<Unambiguous>(bytes).map(drop)
}

/// Any JSON value whose objects name each key once. Holds nothing.
struct Unambiguous;

impl<'de> Deserialize<'de> for Unambiguous {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Unambiguous;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_unit<E: Error>(self) -> Result<Unambiguous, E> {
        Ok(Unambiguous)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unambiguous, A::Error> {
        while seq.next_element::<Unambiguous>()?.is_some() {}
        Ok(Unambiguous)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unambiguous, A::Error> {
        let mut keys = BTreeSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<Unambiguous>()?;
            if let Some(twice) = keys.replace(key) {
                return Err(A::Error::custom(format_args!("duplicate key {twice:?}")));
            }
        }
        Ok(Unambiguous)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::from_slice;

    #[test]
    fn a_key_named_twice_is_refused_at_any_depth() {
        for text in [r#"{"a":1,"a":1}"#, r#"[{"b":{"a":null,"c":[],"a":2}}]"#, r#"{"a":1,"\u0061":2}"#] {
            let error = from_slice::<Value>(text.as_bytes()).unwrap_err();
            assert!(error.to_string().contains("duplicate key"), "{error}");
        }
    }

    #[test]
    fn what_would_be_written_otherwise_is_refused() {
        #[derive(serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "kebab-case")]
        enum Word {
            One,
        }
        #[derive(serde::Serialize, serde::Deserialize)]
        struct Form {
            t: jiff::Timestamp,
            word: Word,
            more: Option<u8>,
        }
        let read = |text: &str| from_slice::<Form>(text.as_bytes()).is_ok();
        assert!(read(r#"{"word": "one", "t": "2023-12-12T12:00:00.25Z", "more": null}"#));
        assert!(read(r#"{"t":"2023-12-12T12:00:00Z","word":"one"}"#), "an older version wrote no `more`");
        for odd in [
            r#"["2023-12-12T12:00:00Z","one",null]"#,
            r#"{"t":"2023-12-12T12:00:00Z","word":{"one":null}}"#,
            r#"{"t":"2023-12-12T12:00:00.250Z","word":"one"}"#,
            r#"{"t":"2023-12-12T13:00:00+01:00","word":"one"}"#,
        ] {
            assert!(serde_json::from_str::<Form>(odd).is_ok() && !read(odd), "{odd}");
        }
    }

    #[test]
    fn plain_json_passes() {
        let text = r#"{"a":[1,-2,3.5,true,null,"x"],"b":{"a":18446744073709551615}}"#;
        assert_eq!(from_slice::<Value>(text.as_bytes()).unwrap().to_string(), text);
        assert!(from_slice::<Value>(b"{} {}").is_err());
    }
}
