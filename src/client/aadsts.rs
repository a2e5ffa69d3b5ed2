//! The token endpoint's errors, and what they mean to a responder in the middle of an incident.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{
    client::{
        SignInError,
        hints::{CLOCK, Hint, PASSING, hint},
    },
    model::Untrusted,
};

/// The error body of the token endpoint. `error` steers, the AADSTS numbers explain.
///
/// Source: "Microsoft Entra authentication and authorization error codes".
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(super) struct EntraError {
    error: String,
    #[serde(default)]
    error_description: String,
    /// Seen beside interaction errors.
    #[serde(default)]
    suberror: String,
    #[serde(default)]
    error_codes: Vec<u32>,
    #[serde(default)]
    correlation_id: String,
    #[serde(default)]
    trace_id: String,
}

impl oauth2::ErrorResponse for EntraError {}

impl fmt::Display for EntraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.line())
    }
}

impl EntraError {
    /// An error that came in the address of a redirect.
    pub(super) fn of_redirect(error: Option<&str>, description: Option<&str>) -> Self {
        let description = description.unwrap_or_default().to_owned();
        let code = description.strip_prefix("AADSTS").and_then(|rest| rest.split(':').next()?.parse().ok());
        Self {
            error: error.unwrap_or_default().to_owned(),
            error_codes: code.into_iter().collect(),
            error_description: description,
            suberror: String::new(),
            correlation_id: String::new(),
            trace_id: String::new(),
        }
    }

    /// `error`: what steers.
    pub(super) fn name(&self) -> &str {
        &self.error
    }

    /// Whether the same request may succeed in a moment.
    pub(super) fn is_transient(&self) -> bool {
        self.error == "temporarily_unavailable" || self.has_one_of(PASSING)
    }

    /// Whether our clock is to blame.
    pub(super) fn says_clock(&self) -> bool {
        self.has_one_of(CLOCK)
    }

    /// Whether only a person can go on from here.
    pub(super) fn needs_person(&self) -> bool {
        matches!(self.error.as_str(), "invalid_grant" | "interaction_required" | "login_required" | "consent_required")
    }

    fn has_one_of(&self, codes: &[u32]) -> bool {
        self.error_codes.iter().any(|code| codes.contains(code))
    }

    /// One line: number, meaning, what to do, ids for a support case.
    fn line(&self) -> String {
        let explained = self.error_codes.iter().find_map(|code| hint(*code).map(|hint| (code, hint)));
        let what = match explained {
            Some((code, Hint { meaning, advice, .. })) => format!("AADSTS{code}: {meaning}; {advice}"),
            None => self.unexplained(),
        };
        let ids: String = [("correlation id", &self.correlation_id), ("trace id", &self.trace_id)]
            .into_iter()
            .filter(|(_, id)| is_id(id))
            .map(|(name, id)| format!(", {name} {id}"))
            .collect();
        let sub = if is_word(&self.suberror) { format!(", {}", self.suberror) } else { String::new() };
        format!("{what} ({}{sub}{ids})", if is_word(&self.error) { &self.error } else { "unnamed error" })
    }

    fn unexplained(&self) -> String {
        let first = self.error_description.lines().next().unwrap_or_default();
        let words = Untrusted::from(first).term();
        match self.error_codes.first() {
            Some(code) => {
                format!("{words}; see https://login.microsoftonline.com/error?code={code}")
            }
            None => words,
        }
    }
}

impl From<EntraError> for SignInError {
    fn from(error: EntraError) -> Self {
        Self { message: error.line(), passing: error.is_transient(), codes: error.error_codes }
    }
}

/// `error` is a word like `invalid_client`; whatever else stands there is not repeated.
fn is_word(word: &str) -> bool {
    (1..=64).contains(&word.len()) && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn is_id(id: &str) -> bool {
    (1..=64).contains(&id.len()) && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::EntraError;
    use crate::client::SignInError;

    fn error(code: u32, description: &str) -> EntraError {
        serde_json::from_value(json!({
            "error": "invalid_client", "error_description": description, "error_codes": [code],
            "timestamp": "2023-12-12 14:00:00Z", "trace_id": "0d1c8b0f-0000-4000-8000-000000000001",
            "correlation_id": "0d1c8b0f-0000-4000-8000-000000000002", "error_uri": "https://login.microsoftonline.com/error?code=1",
        }))
        .unwrap()
    }

    #[test]
    fn a_known_number_says_what_it_means_and_what_to_do() {
        let failed = SignInError::from(error(7000222, "AADSTS7000222: …\r\nTrace ID: …"));
        assert_eq!(failed.codes, [7000222]);
        assert_eq!(
            failed.message,
            "AADSTS7000222: the client secret has expired; make a new secret for the application, or use a \
             certificate (invalid_client, correlation id 0d1c8b0f-0000-4000-8000-000000000002, trace id \
             0d1c8b0f-0000-4000-8000-000000000001)"
        );
    }

    #[test]
    fn an_unknown_number_shows_its_first_line_escaped_and_a_link() {
        let line = SignInError::from(error(123456, "AADSTS123456: odd\u{1b}[2J\r\nTrace ID")).message;
        assert!(
            line.starts_with(r#""AADSTS123456: odd\u{1b}[2J"; see https://login.microsoftonline.com/error?code=123456 (invalid_client"#),
            "{line}"
        );
        assert_eq!(line.lines().count(), 1);
    }

    #[test]
    fn ids_and_words_that_are_none_are_left_out() {
        let odd: EntraError = serde_json::from_value(json!({"error": "a\nb", "correlation_id": "\u{1b}[2J"})).unwrap();
        assert_eq!(SignInError::from(odd).message, "\"\" (unnamed error)");
    }

    #[test]
    fn passing_faults_are_known() {
        assert!(error(90033, "").is_transient());
        assert!(!error(7000215, "").is_transient());
    }
}
