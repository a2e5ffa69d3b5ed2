//! One exchange as two files: what was asked, and the exact bytes that came back.

use std::path::Path;

use serde_json::Value;

use crate::{
    journal::{EvidenceRef, FileRef, disk, folder::EVIDENCE, hash::sha256_hex, strict},
    model::Exchange,
};

/// The words that may stand in a file's name. Ids and names in a URL may come from an attacker, so a word is taken
/// from here or not at all.
const WORDS: &[(&str, &str)] = &[
    ("$batch", "batch"),
    ("InvokeCommand", "invoke-command"),
    ("appRoleAssignments", "app-role-assignments"),
    ("applications", "applications"),
    ("authentication", "authentication"),
    ("directoryAudits", "directory-audits"),
    ("devices", "devices"),
    ("domains", "domains"),
    ("emailMethods", "email-methods"),
    ("externalAuthenticationMethods", "external-authentication-methods"),
    ("fido2Methods", "fido2-methods"),
    ("mailFolders", "mail-folders"),
    ("me", "me"),
    ("messageRules", "message-rules"),
    ("methods", "methods"),
    ("microsoftAuthenticatorMethods", "microsoft-authenticator-methods"),
    ("oauth2PermissionGrants", "oauth2-permission-grants"),
    ("organization", "organization"),
    ("owners", "owners"),
    ("passwordMethods", "password-methods"),
    ("phoneMethods", "phone-methods"),
    ("platformCredentialMethods", "platform-credential-methods"),
    ("registeredDevices", "registered-devices"),
    ("registeredOwners", "registered-owners"),
    ("revokeSignInSessions", "revoke-sign-in-sessions"),
    ("roleAssignments", "role-assignments"),
    ("servicePrincipals", "service-principals"),
    ("signIns", "sign-ins"),
    ("softwareOathMethods", "software-oath-methods"),
    ("temporaryAccessPassMethods", "temporary-access-pass-methods"),
    ("token", "token"),
    ("transitiveMemberOf", "transitive-member-of"),
    ("users", "users"),
    ("windowsHelloForBusinessMethods", "windows-hello-methods"),
    ("Disable-InboxRule", "disable-inbox-rule"),
    ("Enable-InboxRule", "enable-inbox-rule"),
    ("Get-InboxRule", "get-inbox-rule"),
    ("Get-Mailbox", "get-mailbox"),
    ("Get-Recipient", "get-recipient"),
    ("New-InboxRule", "new-inbox-rule"),
    ("Remove-InboxRule", "remove-inbox-rule"),
];

/// How many words of a path are kept, the last ones.
const KEPT: usize = 3;

/// The two files of one exchange, with their bytes.
pub(crate) struct Exhibit {
    pub(crate) reference: EvidenceRef,
    pub(crate) head: Vec<u8>,
    pub(crate) body: Vec<u8>,
}

impl Exhibit {
    /// Both files with their bytes.
    pub(crate) fn files(&self) -> [(&FileRef, &[u8]); 2] {
        [(&self.reference.head, &self.head), (&self.reference.body, &self.body)]
    }

    /// Exchange number `index` of line `seq`.
    pub(crate) fn new(seq: u64, index: usize, exchange: Exchange) -> Result<Self, serde_json::Error> {
        let stem = format!("{}{}", stem(seq, index), slug(&exchange));
        let mut head = serde_json::to_vec_pretty(&exchange)?;
        head.push(b'\n');
        let body = exchange.body;
        Ok(Self {
            reference: EvidenceRef {
                head: file_ref(format!("{stem}.head"), &head),
                body: file_ref(format!("{stem}.body"), &body),
                client_request_id: exchange.client_request_id,
            },
            head,
            body,
        })
    }
}

/// Reads back what was asked in an exchange, without the answer's body; none where the head is not what it should be.
pub fn read_head(run: &Path, evidence: &EvidenceRef) -> Option<Exchange> {
    let name = evidence.head.path.strip_prefix(EVIDENCE)?.strip_prefix('/')?;
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.'));
    let bytes = plain.then(|| disk::read_plain(&run.join(EVIDENCE).join(name)))?.ok()?;
    strict::from_slice(&bytes).ok()
}

/// What the names of both files of an exchange begin with.
pub(crate) fn stem(seq: u64, index: usize) -> String {
    format!("{EVIDENCE}/{seq:06}-{index}-")
}

/// A file and what it holds.
pub(crate) fn file_ref(path: String, bytes: &[u8]) -> FileRef {
    FileRef { path, len: bytes.len() as u64, sha256: sha256_hex(bytes) }
}

/// `get-users-authentication-methods`
fn slug(exchange: &Exchange) -> String {
    let method = match exchange.method.as_str() {
        "GET" => "get",
        "POST" => "post",
        "PATCH" => "patch",
        "DELETE" => "delete",
        _ => "call",
    };
    let path = exchange.url.split(['?', '#']).next().unwrap_or_default();
    let cmdlet =
        exchange.request_body.as_ref().and_then(|body| body.pointer("/CmdletInput/CmdletName")).and_then(Value::as_str);
    let words: Vec<&str> = path.split('/').chain(cmdlet).filter_map(word).collect();
    let kept = words.len().saturating_sub(KEPT);
    let mut slug = method.to_owned();
    for word in words.into_iter().skip(kept) {
        slug.push('-');
        slug.push_str(word);
    }
    slug
}

fn word(segment: &str) -> Option<&'static str> {
    WORDS.iter().find_map(|(known, word)| (*known == segment).then_some(*word))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{Exhibit, slug};
    use crate::{
        journal::{sha256_hex, testing},
        model::Exchange,
    };

    fn exchange(method: &str, url: &str) -> Exchange {
        testing::exchange("e1", method, url, "{\"a\": 1}\r\n")
    }

    #[test]
    fn a_name_holds_known_words_only() {
        let get = |url| slug(&exchange("GET", url));
        assert_eq!(
            get("https://graph.example/v1.0/users/users/authentication/methods?$top=5"),
            "get-users-authentication-methods"
        );
        assert_eq!(get("https://graph.example/v1.0/users/..%2F..%2Fetc"), "get-users");
        assert_eq!(get("https://graph.example/johanna/pwned"), "get");
        let mut odd = exchange("../x", "https://exchange.example/adminapi/beta/t/InvokeCommand");
        odd.request_body = Some(json!({"CmdletInput": {"CmdletName": "Get-InboxRule"}}));
        assert_eq!(slug(&odd), "call-invoke-command-get-inbox-rule");
    }

    #[test]
    fn the_body_is_kept_to_the_byte_and_the_head_says_what_was_asked() {
        let made = exchange("GET", "https://graph.example/v1.0/users/u1");
        let exhibit = Exhibit::new(12, 0, made.clone()).unwrap();
        assert_eq!(exhibit.reference.head.path, "evidence/000012-0-get-users.head");
        assert_eq!(exhibit.body, made.body);
        assert_eq!(exhibit.reference.body.sha256, sha256_hex(&made.body));
        let mut read: Exchange = serde_json::from_slice(&exhibit.head).unwrap();
        read.body = made.body.clone();
        assert_eq!(read, made);
    }
}
