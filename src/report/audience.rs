//! Who reads a report, and so which sections stand in it. The facts are the same for all.

use super::{
    intrusion, response, sections,
    text::{Block, Text},
    timeline,
    types::Report,
};
use crate::journal::Mode;

/// A reader.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// Who owns the account: plain words, and what is asked of them.
    Owner,
    /// Responders and auditors: everything.
    #[default]
    Technical,
    /// Who decides: how far it came, how long it was open, what is wanted of them.
    Management,
    /// An authority: facts and times, and the fields of a notification.
    Regulator,
}

impl Audience {
    /// Whether this reader is outside the trade: plain words, and neither properties nor digests.
    pub(super) fn is_plain(self) -> bool {
        matches!(self, Self::Owner | Self::Management)
    }
}

/// The first words to an owner, who may know better: nothing in them but what a run of containment means.
const OPENING: &str = "Accounts of yours were taken to be used by somebody else, and were changed to end that. Please read what \
    was found and what was changed, and tell us whether any of it was expected.";
const OPENING_OF_UNDO: &str = "What was changed on accounts of yours was taken back as far as it can be. Please tell us what \
    does not work as before.";

/// Words that a reader outside the trade meets, for the glossary.
const GLOSSARY: [(&str, &str); 9] = [
    (
        "access token",
        "proof of a sign-in that a program shows to a service, valid for about an hour, whatever happens meanwhile",
    ),
    (
        "application consent",
        "permission that a user gives to an application to read or change data; it outlives the user's password",
    ),
    ("containment", "ending an intruder's access, before anything is repaired"),
    ("evidence", "the exact bytes that the tenant answered, kept before anything was changed"),
    ("inbox rule", "an instruction of a mailbox to move, forward or delete incoming mail by itself"),
    (
        "journal",
        "the record of a run; each line is bound to the one before it, so that a later change shows. [#12] names its line 12",
    ),
    ("second read", "asking the tenant again after a change: only what it then shows is called done"),
    ("security info", "what proves who signs in besides the password: a telephone, an app, a key"),
    ("session", "the state of being signed in, which outlives a change of the password unless it is revoked"),
];

/// The body of a report.
pub(super) fn body(report: &Report, audience: Audience) -> Vec<Block> {
    let mut blocks = vec![Block::Title(Text::new().said(&report.title))];
    match audience {
        Audience::Technical => {
            sections::status(report, audience, &mut blocks);
            intrusion::section(report, audience, &mut blocks);
            timeline::findings(report, &mut blocks);
            response::response(report, &mut blocks);
            response::left_alone(report, audience, &mut blocks);
            response::not_done(report, audience, &mut blocks);
            sections::exposure(&report.exposure, report.status.mode, &mut blocks);
            sections::requests(report, &mut blocks);
            sections::rollbacks(&report.rollback, &mut blocks);
            sections::evidence(report, &mut blocks);
            sections::method(report, &mut blocks);
        }
        Audience::Owner => {
            blocks.push(Block::Paragraph(Text::new().words(match report.status.mode {
                Mode::Apply => OPENING,
                Mode::Undo => OPENING_OF_UNDO,
            })));
            sections::status(report, audience, &mut blocks);
            intrusion::section(report, audience, &mut blocks);
            timeline::findings(report, &mut blocks);
            response::brief(report, audience, &mut blocks);
            response::left_alone(report, audience, &mut blocks);
            response::not_done(report, audience, &mut blocks);
            sections::requests(report, &mut blocks);
        }
        Audience::Management => {
            sections::status(report, audience, &mut blocks);
            timeline::findings(report, &mut blocks);
            sections::exposure(&report.exposure, report.status.mode, &mut blocks);
            response::not_done(report, audience, &mut blocks);
            sections::requests(report, &mut blocks);
            response::brief(report, audience, &mut blocks);
        }
        Audience::Regulator => {
            sections::status(report, audience, &mut blocks);
            intrusion::section(report, audience, &mut blocks);
            timeline::findings(report, &mut blocks);
            sections::exposure(&report.exposure, report.status.mode, &mut blocks);
            response::brief(report, audience, &mut blocks);
            response::not_done(report, audience, &mut blocks);
        }
    }
    blocks
}

/// What stands behind it, in documents.
pub(super) fn appendices(report: &Report, audience: Audience) -> Vec<Block> {
    let mut blocks = Vec::new();
    match audience {
        Audience::Technical => {
            timeline::section(report, audience, &mut blocks);
            intrusion::indicator_section(report, &mut blocks);
            intrusion::technique_section(report, &mut blocks);
        }
        Audience::Owner => {
            timeline::section(report, audience, &mut blocks);
            glossary(&mut blocks);
        }
        Audience::Management => glossary(&mut blocks),
        Audience::Regulator => {
            timeline::section(report, audience, &mut blocks);
            intrusion::indicator_section(report, &mut blocks);
            intrusion::technique_section(report, &mut blocks);
            if let Some(fields) = report.notification() {
                blocks.push(Block::Section("Fields of a notification (NIS2, Article 23)"));
                blocks.push(Block::Listing(fields));
            }
        }
    }
    blocks
}

fn glossary(blocks: &mut Vec<Block>) {
    blocks.push(Block::Section("Words"));
    let words = |(word, meaning): &(&str, &str)| Block::Point(0, Text::new().words(format!("{word}: {meaning}")));
    blocks.extend(GLOSSARY.iter().map(words));
}
