//! Text that came from the tenant, and so perhaps from the attacker.

use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Text chosen by somebody we do not trust: a rule's name, a device's name, an error message.
///
/// It has no `Display`: every way to a reader's eyes names the place it goes to, and escapes for it.
/// In JSON it is the text itself, since evidence must not be altered; whoever prints JSON to a terminal
/// escapes it there.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Untrusted(String);

/// Longest name shown on a terminal or in a table, in characters.
const NAME: usize = 120;
/// Longest line composed of such text.
const LINE: usize = 600;

impl Untrusted {
    /// Wraps text from outside.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text as it came: for comparison and for requests, never for a reader's eyes.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// Safe on a terminal: controls, bidirectional and invisible characters become `\u{…}`; quoted, so that
    /// leading, trailing and missing text can be seen; cut after 120 characters.
    pub fn term(&self) -> String {
        format!("\"{}\"", self.escaped(NAME))
    }

    /// As [`Untrusted::term`], uncut: where what is cut off may be what is looked for.
    pub fn whole(&self) -> String {
        format!("\"{}\"", self.escaped(usize::MAX))
    }

    /// As [`Untrusted::term`], for a line that this program composed of such text: without quotes, cut after 600
    /// characters.
    pub fn line(&self) -> String {
        self.escaped(LINE)
    }

    fn escaped(&self, most: usize) -> String {
        let mut out = String::with_capacity(self.0.len());
        for (at, c) in self.0.chars().enumerate() {
            if at == most {
                out.push('…');
                break;
            }
            escape_into(&mut out, c);
        }
        out
    }

    /// Safe inside Markdown, in a table cell too: shown as inline code whose content cannot close it.
    pub fn markdown(&self) -> String {
        let text = self.term().replace('`', "'").replace('|', "\\|");
        format!("`{text}`")
    }
}

fn escape_into(out: &mut String, c: char) {
    match c {
        '"' => out.push_str("\\\""),
        '\\' => out.push_str("\\\\"),
        c if is_poison(c) => {
            write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap_or_default();
        }
        c => out.push(c),
    }
}

/// Characters that move the cursor, hide text or turn it around.
fn is_poison(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Escapes poison inside JSON text as a `\u` sequence, so that JSON on a terminal is as safe as prose.
///
/// Sound because such characters can only stand inside JSON strings.
pub fn json_for_terminal(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c != '\n' && is_poison(c) {
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}").unwrap_or_default();
            }
        } else {
            out.push(c);
        }
    }
    out
}

impl fmt::Debug for Untrusted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.term())
    }
}

impl From<String> for Untrusted {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<&str> for Untrusted {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{Untrusted, is_poison, json_for_terminal};

    #[test]
    fn a_terminal_escape_is_shown_not_obeyed() {
        let name = Untrusted::from("\u{1b}[2Jpwned\u{202e}\r\u{9b}31m");
        assert_eq!(name.term(), r#""\u{1b}[2Jpwned\u{202e}\u{d}\u{9b}31m""#);
    }

    #[test]
    fn a_name_is_cut_and_what_is_looked_for_is_not() {
        let long = Untrusted::from("x".repeat(5_000));
        assert_eq!(long.term(), format!("\"{}…\"", "x".repeat(120)));
        assert_eq!(long.whole(), format!("\"{}\"", long.raw()));
    }

    #[test]
    fn an_empty_or_dotted_name_stays_visible() {
        assert_eq!(Untrusted::from("").term(), r#""""#);
        assert_eq!(Untrusted::from(" ").term(), r#"" ""#);
        assert_eq!(Untrusted::from("..").term(), r#""..""#);
    }

    #[test]
    fn markdown_cannot_be_closed_from_inside() {
        let shown = Untrusted::from("a`|b`<img>").markdown();
        assert_eq!(shown.matches('`').count(), 2, "{shown}");
        assert!(shown.contains("\\|"));
    }

    #[test]
    fn json_keeps_its_meaning() {
        let raw = serde_json::to_string(&Untrusted::from("a\u{202e}b\u{9b}\u{e0001}")).unwrap();
        let shown = json_for_terminal(&raw);
        assert!(!shown.chars().any(is_poison));
        assert_eq!(serde_json::from_str::<Untrusted>(&shown).unwrap(), Untrusted::from("a\u{202e}b\u{9b}\u{e0001}"));
    }

    proptest! {
        #[test]
        fn nothing_poisonous_reaches_a_terminal(text in any::<String>()) {
            let text = Untrusted::new(text);
            prop_assert!(![text.term(), text.line(), text.whole()].concat().chars().any(is_poison));
        }
    }
}
