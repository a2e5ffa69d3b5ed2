//! What a 429 says of itself: whose limit it is, and which. In words, since it decides what a responder can do.
//!
//! Source: Graph "service-specific throttling limits", `x-ms-throttle-scope`
//! (`<Tenant_Application|Tenant|Application>/<Read|Write|ReadWrite>/<app>/<tenant>`) and `x-ms-throttle-information`.

use crate::{
    client::{complaint::header, pacing::Scope},
    model::Exchange,
};

const SCOPE: &str = "x-ms-throttle-scope";
const INFORMATION: &str = "x-ms-throttle-information";

/// What there was too much of: what is not in it goes on.
pub(super) fn too_much_of(exchange: &Exchange) -> Scope {
    match scope(exchange) {
        (_, "Write") => Scope::Writes,
        (_, "Read") => Scope::Reads,
        _ if header(exchange, INFORMATION) == Some("WriteLimitExceeded") => Scope::Writes,
        _ => Scope::All,
    }
}

/// Whose limit is used up, and which, as far as the answer says so.
pub(super) fn words(exchange: &Exchange) -> Option<String> {
    let (whose, _) = scope(exchange);
    let whose = match whose {
        "Tenant" => {
            "the quota of the whole tenant is used up, by other applications too: slowing down ourselves does not help"
        }
        "Application" => "the quota of our application over all tenants is used up",
        "Tenant_Application" => "the quota of our application in this tenant is used up",
        _ => "",
    };
    let which = match header(exchange, INFORMATION).unwrap_or_default() {
        "WriteLimitExceeded" => "too many writes",
        "ResourceUnitLimitExceeded" => "too many resource units",
        "CPULimitExceeded" => "too much work for the service",
        _ => "",
    };
    let said: Vec<_> = [whose, which].into_iter().filter(|words| !words.is_empty()).collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// The first two parts of the scope.
fn scope(exchange: &Exchange) -> (&str, &str) {
    let mut parts = header(exchange, SCOPE).unwrap_or_default().split('/');
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{too_much_of, words};
    use crate::client::pacing::Scope;
    use crate::model::{Exchange, ExchangeOutcome};

    fn refused(headers: &[(&str, &str)]) -> Exchange {
        Exchange {
            client_request_id: "c".to_owned(),
            attempt: 1,
            method: "PATCH".to_owned(),
            url: "https://graph.microsoft.com/v1.0/users/x".to_owned(),
            request_headers: Vec::new(),
            token: None,
            request_body: None,
            status: Some(429),
            response_headers: headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
            started: "2023-12-12T14:00:00Z".parse().unwrap(),
            ended: "2023-12-12T14:00:00Z".parse().unwrap(),
            started_mono_ms: 0,
            server_date: None,
            outcome: ExchangeOutcome::Throttled,
            batch: None,
            batch_headers: Vec::new(),
            body: Vec::new(),
        }
    }

    #[test]
    fn a_quota_that_others_use_up_is_told_from_our_own() {
        let tenant = refused(&[("X-Ms-Throttle-Scope", "Tenant/Read/app/tenant")]);
        assert!(words(&tenant).unwrap().contains("by other applications too"), "{:?}", words(&tenant));
        let ours = [
            ("x-ms-throttle-scope", "Tenant_Application/ReadWrite/app/tenant"),
            ("x-ms-throttle-information", "ResourceUnitLimitExceeded"),
        ];
        let said = words(&refused(&ours)).unwrap();
        assert_eq!(said, "the quota of our application in this tenant is used up; too many resource units");
    }

    #[test]
    fn a_429_that_says_nothing_is_not_explained() {
        assert_eq!(words(&refused(&[])), None);
        assert_eq!(words(&refused(&[("x-ms-throttle-scope", "Galaxy/Read")])), None);
        assert_eq!(too_much_of(&refused(&[])), Scope::All);
    }

    #[test]
    fn what_there_was_too_much_of_is_told_by_scope_or_by_information() {
        let of = |name, value| too_much_of(&refused(&[(name, value)]));
        assert_eq!(of("x-ms-throttle-scope", "Tenant_Application/Write/app/tenant"), Scope::Writes);
        assert_eq!(of("x-ms-throttle-scope", "Tenant/Read/app/tenant"), Scope::Reads);
        assert_eq!(of("x-ms-throttle-scope", "Tenant_Application/ReadWrite/app/tenant"), Scope::All);
        assert_eq!(of("x-ms-throttle-information", "WriteLimitExceeded"), Scope::Writes);
        assert_eq!(of("x-ms-throttle-information", "ResourceUnitLimitExceeded"), Scope::All);
    }
}
