//! Plain words for readers outside the trade: of kinds of objects, of what an object was found by, of a record's verdict.
//!
//! Only names of properties are put into words. What the tenant or the intruder wrote stays as it is.

use crate::journal::Verdict;

/// Names of properties in the line of evidence of an object, as the tenant has them, and in words. What is not here is
/// plain enough.
const PROPERTIES: [(&str, &str); 40] = [
    ("ApplyCategory", "marks with the category"),
    ("ApplySystemCategory", "marks with the category"),
    ("BodyContainsWords", "the text contains"),
    ("CopyToFolder", "copies to the folder"),
    ("DeleteMessage", "deletes mail"),
    ("ExceptIfBodyContainsWords", "the text contains"),
    ("ExceptIfFrom", "it is from"),
    ("ExceptIfFromAddressContainsWords", "the sender's address contains"),
    ("ExceptIfSubjectContainsWords", "the subject contains"),
    ("ExceptIfSubjectOrBodyContainsWords", "the subject or the text contains"),
    ("ForwardAsAttachmentTo", "forwards mail, attached, to"),
    ("ForwardTo", "forwards mail to"),
    ("From", "it is from"),
    ("FromAddressContainsWords", "the sender's address contains"),
    ("HasAttachment", "it has an attachment"),
    ("HeaderContainsWords", "the header contains"),
    ("MarkAsRead", "marks mail as read"),
    ("MarkImportance", "sets the importance to"),
    ("MoveToFolder", "moves mail to the folder"),
    ("MyNameInCcBox", "the owner gets a copy"),
    ("MyNameInToBox", "the owner is addressed"),
    ("MyNameInToOrCcBox", "the owner is addressed or gets a copy"),
    ("PermanentDelete", "deletes mail for good"),
    ("PinMessage", "pins mail"),
    ("RecipientAddressContainsWords", "a recipient's address contains"),
    ("RedirectTo", "sends mail on to"),
    ("SendTextMessageNotificationTo", "sends a text message to"),
    ("SentTo", "it is sent to"),
    ("SoftDeleteMessage", "deletes mail"),
    ("SoftwareTokenActivated", "authenticator app"),
    ("StopProcessingRules", "no later rule applies"),
    ("SubjectContainsWords", "the subject contains"),
    ("SubjectOrBodyContainsWords", "the subject or the text contains"),
    ("WithImportance", "its importance is"),
    ("aaGuid", "model number"),
    ("deviceId", "device number"),
    ("deviceTag", "type"),
    ("displayName", "name"),
    ("keyStrength", "strength"),
    ("phoneNumber", "number"),
];

/// What an object is called.
pub(super) fn kind(kind: &str) -> &str {
    match kind {
        "user" => "account",
        "auth-method" => "security info",
        "inbox-rule" => "mail rule",
        "service-principal" => "application",
        other => other,
    }
}

/// What an object was found by.
pub(super) fn note(note: &str) -> String {
    let word = |piece: &str| {
        let end = piece.find([' ', ';', ',']).unwrap_or(piece.len());
        let (word, between) = piece.split_at(end);
        let plain = PROPERTIES.iter().find(|(name, _)| *name == word).map_or(word, |(_, plain)| plain);
        format!("{plain}{between}")
    };
    note.split_inclusive([' ', ';', ',']).map(word).collect()
}

/// How much the record of the work can be relied on.
pub(super) fn record(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Authentic => "is whole and signed by a known key",
        Verdict::Consistent => "is whole and signed",
        Verdict::Open => "is not closed yet",
        Verdict::TornTail => "is not closed, and its last line is incomplete",
        Verdict::Broken => "does not verify",
    }
}

#[cfg(test)]
mod tests {
    use super::note;

    #[test]
    fn properties_are_put_into_words_and_their_values_stay() {
        assert_eq!(
            note(
                "enabled; MoveToFolder RSS Feeds; MarkAsRead; if SubjectOrBodyContainsWords Re: REVISED INVOICE, ForwardToMe"
            ),
            "enabled; moves mail to the folder RSS Feeds; marks mail as read; if the subject or the text contains Re: REVISED \
             INVOICE, ForwardToMe"
        );
        let method = "registered 2023-12-12T13:53:04Z, displayName iPhone 13, deviceTag SoftwareTokenActivated";
        assert_eq!(note(method), "registered 2023-12-12T13:53:04Z, name iPhone 13, type authenticator app");
        assert_eq!(note(""), "");
    }
}
