//! The codes of everything that a playbook can be told, errors and warnings, in one list.
//!
//! A code is stable: people grep for it, pages link to it. It belongs here, in a fixture and in `docs/playbook.md`; tests hold
//! the three together. The wording of a single message belongs where it is raised.

use serde::{Deserialize, Serialize};

/// How much a diagnostic weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is accepted, and a reason is given to think again.
    Warning,
}

/// One code, with what it means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Code {
    /// The stable name, `[a-z0-9-]+`.
    pub code: &'static str,
    /// What a diagnostic of this code weighs.
    pub severity: Severity,
    /// The rule that was broken, in one line.
    pub rule: &'static str,
}

macro_rules! codes {
    ($($name:ident = $code:literal, $severity:ident: $rule:literal;)*) => {
        $(pub(super) const $name: &str = $code;)*

        /// Every code, errors first, in the order in which a file is read.
        pub const CODES: &[Code] =
            &[$(Code { code: $code, severity: Severity::$severity, rule: $rule }),*];
    };
}

codes! {
    NOT_UTF_8 = "not-utf-8", Error: "a playbook is UTF-8 text";
    TOO_LARGE = "too-large", Error: "a playbook is at most 256 KiB, a line at most 2000 characters";
    SUSPICIOUS_CHARACTER = "suspicious-character", Error: "no control, bidirectional or invisible characters, escaped ones neither";
    YAML_SYNTAX = "yaml-syntax", Error: "the text is YAML 1.2";
    TOO_DEEP = "too-deep", Error: "maps and lists nest at most 16 deep";
    SEVERAL_DOCUMENTS = "several-documents", Error: "a file holds one document";
    ANCHOR = "anchor", Error: "no anchors and no aliases";
    TAG = "tag", Error: "no tags and no directives";
    DUPLICATE_KEY = "duplicate-key", Error: "a key stands once in a map";
    UNKNOWN_KEY = "unknown-key", Error: "only keys of the language";
    MISSING_KEY = "missing-key", Error: "required keys are there";
    WRONG_TYPE = "wrong-type", Error: "a value has the type of its place; a quoted 'true' is text";
    EMPTY = "empty", Error: "what must not be empty is not";
    BAD_VALUE = "bad-value", Error: "a value has the form of its type, or is one of the words allowed";
    BAD_ID = "bad-id", Error: "ids are [a-z][a-z0-9-]*, names of inputs [a-z][a-z0-9_]*";
    DUPLICATE_ID = "duplicate-id", Error: "stage ids and step ids are each unique";
    UNSUPPORTED_SCHEMA = "unsupported-schema", Error: "`schema:` names a version of the language that this build reads";
    BOUNDS_NOT_ALLOWED = "bounds-not-allowed", Error: "`min` and `max` bound lists, integers and texts only";
    MIN_OVER_MAX = "min-over-max", Error: "`min` is not over `max`";
    OUT_OF_BOUNDS = "out-of-bounds", Error: "a value is within its bounds";
    UNKNOWN_TARGET_KIND = "unknown-target-kind", Error: "`limits.targets` names kinds that some action changes";
    UNKNOWN_INPUT = "unknown-input", Error: "a reference names an input that is declared";
    UNKNOWN_STEP = "unknown-step", Error: "a reference names a step that exists";
    LATER_STEP = "later-step", Error: "an outcome is that of a step of an earlier stage";
    REFERENCE_TYPE = "reference-type", Error: "what is referred to has the type of its place";
    EACH_OUTSIDE_LOOP = "each-outside-loop", Error: "`each` is used in a step that says `each:`";
    NO_TEMPLATES = "no-templates", Error: "a reference replaces a whole value; there are no templates";
    UNKNOWN_ACTION = "unknown-action", Error: "an action is in the catalogue";
    SEVERAL_ACTIONS = "several-actions", Error: "`do` holds one action";
    UNKNOWN_ARGUMENT = "unknown-argument", Error: "an argument is one of the action's";
    MISSING_ARGUMENT = "missing-argument", Error: "an action's required arguments are there";
    CONFLICTING_ARGUMENTS = "conflicting-arguments", Error: "arguments that exclude each other are not given together";
    UNSUPPORTED_ARGUMENT = "unsupported-argument", Error: "an argument has a type that the language knows";
    CHANGE_BEFORE_CUT = "change-before-cut", Warning: "access is cut in an earlier stage than what keeps it is changed";
    METHOD_BEFORE_PASSWORD = "method-before-password", Warning: "the password is rotated before a method is removed";
    NO_CUT_AFTER_FACTORS = "no-cut-after-factors", Warning: "sessions are cut once more after the last factor changed";
    REMOVE_NOT_DISABLE = "remove-not-disable", Warning: "what can be disabled is not removed";
    NO_HANDOVER = "no-handover", Warning: "what was disabled is handed over to somebody";
    PICK_ALL_UNLIMITED = "pick-all-unlimited", Warning: "`pick: all` has a tight limit for its kind of target";
    UNUSED_INPUT = "unused-input", Warning: "an input is used";
    UNUSED_EACH = "unused-each", Warning: "a step with `each:` uses `each`";
}
