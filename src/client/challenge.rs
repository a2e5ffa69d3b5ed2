//! Continuous access evaluation: what we declare with each token request, and how a claims challenge is read.
//!
//! Source: Microsoft identity platform "claims challenges, claims requests and client capabilities".

use base64::engine::DecodePaddingMode;
use base64::{Engine as _, alphabet, engine::GeneralPurpose, engine::GeneralPurposeConfig};
use serde_json::{Map, Value, json};

/// Largest challenge that is taken, in characters.
const LONGEST: usize = 16 << 10;

/// The `claims` of a token request: that we understand challenges (`cp1`), and what one demands.
pub(super) fn claims(cae: bool, challenge: Option<&str>) -> Option<String> {
    let mut wanted = challenge.and_then(|text| serde_json::from_str::<Map<String, Value>>(text).ok());
    if cae {
        let of_token = wanted.get_or_insert_default().entry("access_token").or_insert_with(|| json!({}));
        if let Some(of_token) = of_token.as_object_mut() {
            of_token.insert("xms_cc".to_owned(), json!({"values": ["cp1"]}));
        }
    }
    wanted.map(|wanted| Value::Object(wanted).to_string())
}

/// The claims that a challenge among these `WWW-Authenticate` headers demands, as JSON.
pub(super) fn demanded<'h>(headers: impl Iterator<Item = &'h str>) -> Option<String> {
    headers.filter(|header| header.len() <= LONGEST).flat_map(challenges).find_map(|challenge| {
        let insufficient = challenge.get("error")?.eq_ignore_ascii_case("insufficient_claims");
        let bearer = challenge.scheme.eq_ignore_ascii_case("bearer");
        if bearer && insufficient { decode(challenge.get("claims")?) } else { None }
    })
}

/// One challenge of a header.
#[derive(Debug, Default, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn get(&self, name: &str) -> Option<&str> {
        let mut found = self.parameters.iter().filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.as_str())
    }
}

/// Splits a header into its challenges: `Scheme name="value", name=value, Scheme …`, in any order.
///
/// Source: RFC 9110 11.6.1.
fn challenges(header: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    for part in parts(header) {
        let (head, value) = match part.split_once('=') {
            Some((head, value)) => (head.trim(), Some(value.trim())),
            None => (part.trim(), None),
        };
        let mut words = head.split_ascii_whitespace();
        let (first, second) = (words.next(), words.next());
        let name = match (first, second, value) {
            (Some(scheme), name, value) if name.is_some() || value.is_none() => {
                found.push(Challenge { scheme: scheme.to_owned(), parameters: Vec::new() });
                name
            }
            (name, ..) => name,
        };
        if let (Some(challenge), Some(name), Some(value)) = (found.last_mut(), name, value) {
            challenge.parameters.push((name.to_owned(), unquoted(value)));
        }
    }
    found
}

/// The parts between commas that are not quoted.
fn parts(header: &str) -> Vec<String> {
    let (mut parts, mut part, mut quoted, mut escaped) = (Vec::new(), String::new(), false, false);
    for c in header.chars() {
        match c {
            ',' if !quoted => parts.push(std::mem::take(&mut part)),
            c => {
                quoted ^= c == '"' && !escaped;
                escaped = quoted && c == '\\' && !escaped;
                part.push(c);
            }
        }
    }
    parts.push(part);
    parts
}

fn unquoted(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').map(|rest| rest.strip_suffix('"').unwrap_or(rest)) else {
        return value.to_owned();
    };
    let mut escaped = false;
    let keep = |c: &char| {
        escaped = *c == '\\' && !escaped;
        !escaped
    };
    inner.chars().filter(keep).collect()
}

/// Base64, in either alphabet, padded or not; or the JSON itself. Only an object is taken.
fn decode(text: &str) -> Option<String> {
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let bytes = [alphabet::STANDARD, alphabet::URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(text).ok())
        .unwrap_or_else(|| text.as_bytes().to_vec());
    let claims: Map<String, Value> = serde_json::from_slice(&bytes).ok()?;
    Some(Value::Object(claims).to_string())
}

#[cfg(test)]
mod tests {
    use base64::{Engine as _, prelude::BASE64_STANDARD, prelude::BASE64_URL_SAFE_NO_PAD};
    use serde_json::{Value, json};

    use super::{challenges, claims, demanded};

    const DEMAND: &str = r#"{"access_token":{"nbf":{"essential":true,"value":"1702393200"}}}"#;

    #[test]
    fn every_token_request_declares_cp1_unless_it_is_switched_off() {
        let declared = claims(true, None).unwrap();
        assert_eq!(declared, r#"{"access_token":{"xms_cc":{"values":["cp1"]}}}"#);
        assert_eq!(claims(false, None), None);
    }

    #[test]
    fn what_is_demanded_stands_beside_what_we_declare() {
        let both: Value = serde_json::from_str(&claims(true, Some(DEMAND)).unwrap()).unwrap();
        assert_eq!(both["access_token"]["nbf"]["value"], "1702393200");
        assert_eq!(both["access_token"]["xms_cc"]["values"], json!(["cp1"]));
        assert_eq!(claims(false, Some(DEMAND)).as_deref(), Some(DEMAND));
        let elsewhere = claims(true, Some(r#"{"id_token":{"acrs":{}}}"#)).unwrap();
        assert_eq!(elsewhere, r#"{"id_token":{"acrs":{}},"access_token":{"xms_cc":{"values":["cp1"]}}}"#);
    }

    #[test]
    fn a_challenge_is_found_in_any_order_in_any_header() {
        let padded = BASE64_STANDARD.encode(DEMAND);
        let bare = BASE64_URL_SAFE_NO_PAD.encode(DEMAND);
        let quoted = DEMAND.replace('"', "\\\"");
        for headers in [
            vec![format!(r#"Bearer realm="", error="insufficient_claims", claims="{padded}""#)],
            vec![format!(
                r#"Bearer claims="{bare}", authorization_uri="https://login.example/a,b", error=insufficient_claims"#
            )],
            vec!["Negotiate".to_owned(), format!(r#"bearer CLAIMS="{padded}",ERROR="insufficient_claims""#)],
            vec![format!(r#"Basic realm="x", Bearer error="insufficient_claims", claims="{padded}", PoP nonce="n""#)],
            vec![format!(
                r#"Bearer error_description="say \"hi\", please", error="insufficient_claims", claims="{quoted}""#
            )],
        ] {
            let found = demanded(headers.iter().map(String::as_str));
            assert_eq!(found.as_deref(), Some(DEMAND), "{headers:?}");
        }
    }

    #[test]
    fn what_is_no_claims_challenge_demands_nothing() {
        let claims = BASE64_STANDARD.encode(DEMAND);
        let list = BASE64_STANDARD.encode("[]");
        for header in [
            String::new(),
            r#"Bearer realm="", authorization_uri="https://login.example""#.to_owned(),
            format!(r#"Bearer error="invalid_token", claims="{claims}""#),
            format!(r#"PoP error="insufficient_claims", claims="{claims}""#),
            r#"Bearer error="insufficient_claims", claims="%%%""#.to_owned(),
            format!(r#"Bearer error="insufficient_claims", claims="{list}""#),
            format!(r#"Bearer error="insufficient_claims", claims="{}""#, "e30=".repeat(8_000)),
        ] {
            assert_eq!(demanded([header.as_str()].into_iter()), None, "{header}");
        }
    }

    #[test]
    fn odd_headers_are_split_without_a_fall() {
        for header in [",", "=", "\"", "a=\"\\", "Bearer ,,=,", "Bearer a", "a b c=d", "\\\"=\\"] {
            drop(challenges(header));
        }
        let found = challenges("Bearer a");
        assert_eq!(found[0].scheme, "Bearer");
    }
}
