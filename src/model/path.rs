//! Addresses of what is read: Graph paths built segment by segment, and the closed list of reading cmdlets.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What stays unescaped in a path segment: `(` and `'` would begin an OData key there.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~').remove(b'@');

/// What stays unescaped in a query value: `$select` lists, timestamps and quoted literals are documented bare.
const QUERY: &AsciiSet = &SEGMENT.remove(b',').remove(b':').remove(b'\'').remove(b'(').remove(b')');

/// A path below the Graph host, with its version and query, percent-encoded by construction: one segment of
/// the caller is one segment of the URL, whatever it contains.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct GraphPath(String);

impl GraphPath {
    /// Starts at `/v1.0`.
    pub fn v1() -> Self {
        Self("/v1.0".to_owned())
    }

    /// Appends segments that this program wrote, separated by `/`, as they are (`"authentication/methods"`).
    pub fn fixed(mut self, segments: &'static str) -> Self {
        self.0.push('/');
        self.0.push_str(segments);
        self
    }

    /// Appends one segment from outside. A segment of dots would be taken out by URL normalisation however it is
    /// escaped; the client refuses to send such a path.
    pub fn id(mut self, segment: &str) -> Self {
        self.0.push('/');
        if matches!(segment, "." | "..") {
            self.0.push_str(&segment.replace('.', "%2E"));
        } else {
            self.0.extend(utf8_percent_encode(segment, SEGMENT));
        }
        self
    }

    /// Adds `$select`.
    pub fn select(self, properties: &'static str) -> Self {
        self.query("$select", properties)
    }

    /// Adds a query option; the value is escaped.
    pub fn query(mut self, name: &'static str, value: &str) -> Self {
        self.0.push(if self.0.contains('?') { '&' } else { '?' });
        self.0.push_str(name);
        self.0.push('=');
        self.0.extend(utf8_percent_encode(value, QUERY));
        self
    }

    /// The path with its query, beginning with `/v1.0/`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An OData string literal: quoted, with quotes doubled.
///
/// Source: Microsoft Graph "query parameters", escaping single quotes.
pub(crate) fn odata_literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The Exchange cmdlets that only read. The planner's client can run these and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum ReadCmdlet {
    /// `Get-Mailbox`
    GetMailbox,
    /// `Get-InboxRule`
    GetInboxRule,
    /// `Get-Recipient`
    GetRecipient,
    /// `Get-AdminAuditLogConfig`
    GetAdminAuditLogConfig,
    /// `Search-UnifiedAuditLog`: a search, for which the service keeps only how far its session has come.
    SearchUnifiedAuditLog,
}

impl ReadCmdlet {
    /// The name as Exchange spells it.
    pub fn name(self) -> &'static str {
        match self {
            Self::GetMailbox => "Get-Mailbox",
            Self::GetInboxRule => "Get-InboxRule",
            Self::GetRecipient => "Get-Recipient",
            Self::GetAdminAuditLogConfig => "Get-AdminAuditLogConfig",
            Self::SearchUnifiedAuditLog => "Search-UnifiedAuditLog",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{GraphPath, odata_literal};

    #[test]
    fn one_segment_stays_one_segment() {
        let path = GraphPath::v1().fixed("users").id("../applications/x?y#z").fixed("revokeSignInSessions");
        assert_eq!(path.as_str(), "/v1.0/users/..%2Fapplications%2Fx%3Fy%23z/revokeSignInSessions");
        assert_eq!(GraphPath::v1().fixed("users").id("..").as_str(), "/v1.0/users/%2E%2E");
    }

    #[test]
    fn guests_are_addressed_with_the_hash_escaped() {
        let path = GraphPath::v1().fixed("users").id("a_b.example#EXT#@c.example").select("id,accountEnabled");
        assert_eq!(path.as_str(), "/v1.0/users/a_b.example%23EXT%23@c.example?$select=id,accountEnabled");
    }

    #[test]
    fn quotes_in_a_filter_are_doubled_and_escaped() {
        let path = GraphPath::v1()
            .fixed("users")
            .query("$filter", &format!("userPrincipalName eq {}", odata_literal("o'neil@x.example")));
        assert_eq!(path.as_str(), "/v1.0/users?$filter=userPrincipalName%20eq%20'o''neil@x.example'");
    }
}
