//! The users who are there so that an incident happens among others: generated, the same for the same seed.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::mail::MailSpec;
use super::spec::{DeviceSpec, MethodSpec, PhoneType, RuleSpec, Trust, UserKind, UserSpec};
use crate::random::Random;
use crate::tenant::mailboxes::RuleClass;
use crate::tenant::methods::MethodKind;

const GIVEN: &[&str] = &[
    "Aiko", "Anders", "Beatriz", "Carlos", "Dana", "Emre", "Freya", "Goran", "Hana", "Ivo", "Jelena", "Kofi", "Lena",
    "Mateo", "Nadia", "Oskar", "Priya", "Quinn", "Rosa", "Sven", "Tala", "Umar", "Vera", "Wim", "Yara",
];
const FAMILY: &[&str] = &[
    "Ashgrove",
    "Birchfield",
    "Cloverdale",
    "Dunewood",
    "Elmhurst",
    "Fernhill",
    "Greystone",
    "Hazelmere",
    "Ironwell",
    "Juniper",
    "Kelpworth",
    "Larkspur",
    "Mossley",
    "Northbrook",
    "Oakhaven",
    "Pinecrest",
    "Quillwater",
    "Rowanby",
    "Silverlake",
    "Thornbury",
    "Underhill",
    "Vinebrook",
    "Willowmere",
    "Yarrowdale",
];
const TITLES: &[&str] = &["Sales", "Purchasing", "Logistics", "Accounting", "Legal", "Engineering", "Warehouse"];
const PHONES: &[&str] = &["Pixel 7", "SM-A536B", "iPhone 12", "iPhone 14", "XQ-BC52"];

/// The `nth` background user.
pub(super) fn user(random: &mut Random, nth: usize, tenant_created: Timestamp) -> UserSpec {
    let given = random.pick(GIVEN).copied().unwrap_or_default();
    let family = random.pick(FAMILY).copied().unwrap_or_default();
    let created = later(tenant_created, random, 600);
    let guest = random.chance(2);
    UserSpec {
        name: format!("{}.{}{nth:05}", given.to_lowercase(), family.to_lowercase()),
        display_name: format!("{given} {family}"),
        job_title: random.pick(TITLES).map(|title| (*title).to_owned()),
        kind: if guest { UserKind::Guest } else { UserKind::Cloud },
        created,
        roles: if random.chance(1) { vec!["Directory Readers".to_owned()] } else { Vec::new() },
        rogue_roles: Vec::new(),
        rogue: false,
        eligible_roles: Vec::new(),
        disabled: random.chance(3),
        no_mailbox: guest,
        methods: methods(random, nth, created),
        devices: devices(random, nth, created),
        rules: rules(random),
        mail: MailSpec::default(),
    }
}

fn later(start: Timestamp, random: &mut Random, days: u64) -> Timestamp {
    let seconds = random.below(days * 86_400);
    start + SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(0))
}

fn method(kind: MethodKind, label: Option<String>, registered: Timestamp) -> MethodSpec {
    MethodSpec {
        kind,
        id: None,
        label,
        registered,
        passwordless: false,
        phone_type: PhoneType::Mobile,
        default: false,
        rogue: false,
    }
}

fn methods(random: &mut Random, nth: usize, created: Timestamp) -> Vec<MethodSpec> {
    let mut out = Vec::new();
    let mut add = |random: &mut Random, percent, kind, label: Option<String>| {
        if random.chance(percent) {
            out.push(method(kind, label, later(created, random, 200)));
        }
    };
    add(random, 60, MethodKind::Phone, Some(format!("+1 555{:07}", 100_000 + nth)));
    add(random, 10, MethodKind::Email, Some(format!("private{nth}@mail.example")));
    let phone = random.pick(PHONES).map(|name| (*name).to_owned());
    add(random, 90, MethodKind::MicrosoftAuthenticator, phone);
    add(random, 5, MethodKind::SoftwareOath, None);
    add(random, 4, MethodKind::Fido2, Some("Security key".to_owned()));
    add(random, 25, MethodKind::WindowsHelloForBusiness, Some(laptop(nth)));
    if let Some(first) = out.iter_mut().find(|method| method.kind != MethodKind::Email) {
        first.default = true;
    }
    out
}

fn laptop(nth: usize) -> String {
    format!("SUN-LT-{:05}", 1000 + nth)
}

fn devices(random: &mut Random, nth: usize, created: Timestamp) -> Vec<DeviceSpec> {
    let mut out = Vec::new();
    if random.chance(85) {
        out.push(DeviceSpec {
            name: laptop(nth),
            os: "Windows".to_owned(),
            os_version: "10.0.22621.2715".to_owned(),
            trust: Trust::AzureAd,
            registered: later(created, random, 200),
            rogue: false,
        });
    }
    if random.chance(50) {
        out.push(DeviceSpec {
            name: random.pick(PHONES).map(|name| (*name).to_owned()).unwrap_or_default(),
            os: if random.chance(50) { "IPhone" } else { "Android" }.to_owned(),
            os_version: "16.6".to_owned(),
            trust: Trust::Workplace,
            registered: later(created, random, 200),
            rogue: false,
        });
    }
    out
}

fn rules(random: &mut Random) -> Vec<RuleSpec> {
    const TEMPLATES: &[(&str, &str, &str, &str)] = &[
        ("Newsletters", "FromAddressContainsWords", "newsletter@", "Newsletters"),
        ("Orders", "SubjectContainsWords", "order", "Orders"),
        ("Tickets", "SubjectContainsWords", "[ticket]", "Tickets"),
    ];
    let chosen = TEMPLATES.iter().filter(|_| random.chance(20));
    chosen
        .map(|(name, condition, word, folder)| RuleSpec {
            name: (*name).to_owned(),
            id: None,
            class: RuleClass::Ordinary,
            disabled: false,
            in_error: false,
            parameters: BTreeMap::from([
                ((*condition).to_owned(), json!([word])),
                ("MoveToFolder".to_owned(), Value::from(*folder)),
                ("StopProcessingRules".to_owned(), Value::Bool(true)),
            ]),
            rogue: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_people() {
        let start: Timestamp = "2021-04-01T08:00:00Z".parse().unwrap();
        let people = |seed| {
            let mut random = Random::new(seed);
            (0..50).map(|nth| user(&mut random, nth, start)).collect::<Vec<_>>()
        };
        assert_eq!(people(1), people(1));
        assert_ne!(people(1), people(2));
    }

    #[test]
    fn people_have_at_most_one_default_method() {
        let start: Timestamp = "2021-04-01T08:00:00Z".parse().unwrap();
        let mut random = Random::new(3);
        for nth in 0..200 {
            let person = user(&mut random, nth, start);
            assert!(person.methods.iter().filter(|method| method.default).count() <= 1);
        }
    }
}
