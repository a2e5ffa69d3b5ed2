//! A whole run in every form that it is handed on in: OCSF by its schema's own files, Timesketch by its rules, the report
//! for every reader.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use common::{Ran, World, bind};
use serde_json::Value;
use staunch::{
    actions::REGISTRY,
    model::Meta,
    plan::{Discovery, Picks, PlanFile, Selection},
    report::{
        Audience, Known, Technique,
        export::{Export, Noted, noted},
    },
};

const PLAYBOOK: &str = "\
schema: staunch/v1
id: exported
version: 1.0.0
title: A run to be handed on
counters: {attack: [T1557, T1539], coun7er: [CM0071]}
inputs:
  users: {type: users, min: 1}
  incident_start: {type: timestamp}
limits: {changes: 50}
stages:
  - id: cut
    steps:
      - {id: block, each: inputs.users, do: {user.block-sign-in: {user: each}}}
      - {id: sessions, each: inputs.users, do: {user.revoke-sessions: {user: each}}}
  - id: rotate
    steps:
      - {id: password, each: inputs.users, do: {user.reset-password: {user: each, hand_over: discard}}}
  - id: persistence
    steps:
      - {id: methods, each: inputs.users, pick: operator, do: {user.remove-auth-methods: {user: each, registered_after: inputs.incident_start}}}
      - {id: devices, each: inputs.users, pick: operator, do: {device.disable: {user: each, registered_after: inputs.incident_start}}}
      - {id: rules, each: inputs.users, pick: operator, do: {mailbox.remove-inbox-rules: {user: each, effects: [forward, move]}}}
      - {id: apps, each: inputs.users, pick: operator, do: {app.disable-service-principal: {user: each, created_after: inputs.incident_start}}}
handover:
  - {to: tenant-owner, task: Delete the disabled application}
";

const NOTED: &str = r#"{"message":"sign-in from AS64500","datetime":"2023-12-12T13:50:17Z","timestamp_desc":"Entra sign-in log","kind":"access"}
{"message":"mail sent","datetime":"2023-12-12T14:03:00Z","timestamp_desc":"unified audit log","kind":"effect"}
"#;

fn meta(action: &str) -> Option<&'static Meta> {
    REGISTRY.meta(action)
}

async fn ran() -> (World, Ran) {
    ran_with(World::pick_planted).await
}

/// The incident's playbook; `choose` picks of what was found.
async fn ran_with(choose: impl FnOnce(&World, &Discovery) -> Picks) -> (World, Ran) {
    let world = World::aitm().await;
    let victim = Value::from(vec![world.victim()]);
    let start = Value::from("2023-12-12T13:50:17Z");
    let bound = bind(PLAYBOOK, &[("users", victim), ("incident_start", start)]);
    let mut plan = world.plan_with(&bound, |discovery| choose(&world, discovery)).await.plan().clone();
    plan.playbook.as_mut().unwrap().text = PLAYBOOK.to_owned();
    let ran = world.run(PlanFile::freeze(plan).unwrap()).await;
    (world, ran)
}

/// Of what was found, nothing.
fn none(_: &World, discovery: &Discovery) -> Picks {
    discovery.questions().into_iter().map(|question| (question.step, Selection::Ids(BTreeSet::new()))).collect()
}

fn export(run: &Path, noted: &[Noted]) -> Export {
    Export::read_with(run, &Known { meta: &meta, noted, marking: Some("TLP:AMBER") }).unwrap()
}

fn strings(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn parsed(lines: &str) -> Vec<Value> {
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the schema's files say.
struct Ocsf {
    dir: PathBuf,
}

impl Ocsf {
    fn new() -> Self {
        Self { dir: Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vendor/ocsf-schema") }
    }

    fn file(&self, name: &str) -> Value {
        let path = self.dir.join(format!("{name}.json"));
        serde_json::from_str(&fs::read_to_string(&path).unwrap_or_else(|_| panic!("{}", path.display()))).unwrap()
    }

    /// The attributes of a class or an object, with those that it inherits; of a later one the later words hold.
    fn attributes(&self, kind: &str, name: &str) -> BTreeMap<String, Value> {
        let file = self.file(&format!("{kind}/{name}"));
        let mut all = match file.get("extends").and_then(Value::as_str) {
            Some(of) => self.attributes(kind, of),
            None => BTreeMap::new(),
        };
        for (name, attribute) in file["attributes"].as_object().unwrap() {
            let known = all.entry(name.clone()).or_insert_with(|| Value::Object(serde_json::Map::new()));
            for (key, value) in attribute.as_object().into_iter().flatten() {
                match (known.get_mut(key).and_then(Value::as_object_mut), value) {
                    (Some(known), Value::Object(more)) => known.extend(more.clone()),
                    _ => known[key.as_str()] = value.clone(),
                }
            }
        }
        all
    }

    /// Every key is known, every required one is there, and the constraint of the object holds.
    fn check(&self, attributes: &BTreeMap<String, Value>, value: &Value, place: &str) {
        let value = value.as_object().unwrap_or_else(|| panic!("{place}: {value}"));
        for key in value.keys() {
            assert!(attributes.contains_key(key), "{place}: {key} is not in the schema");
        }
        for (key, attribute) in attributes {
            let required = attribute["requirement"] == "required";
            assert!(!required || value.contains_key(key), "{place}: {key} is required");
        }
        for (key, value) in value {
            for value in value.as_array().map_or_else(|| vec![value], |list| list.iter().collect()) {
                if let Some(object) = object_of(key) {
                    let attributes = self.attributes("objects", object);
                    self.check(&attributes, value, &format!("{place}.{key}"));
                    self.constraint(object, value, &format!("{place}.{key}"));
                }
            }
        }
    }

    fn constraint(&self, object: &str, value: &Value, place: &str) {
        let file = self.file(&format!("objects/{object}"));
        if let Some(any) = file["constraints"]["at_least_one"].as_array() {
            assert!(any.iter().any(|key| value.get(key.as_str().unwrap()).is_some()), "{place}: {value}");
        }
    }
}

/// The object that is the type of an attribute (`dictionary.json`).
fn object_of(attribute: &str) -> Option<&'static str> {
    Some(match attribute {
        "metadata" => "metadata",
        "product" => "product",
        "observables" => "observable",
        "actor" => "actor",
        "api" => "api",
        "request" => "request",
        "response" => "response",
        "entity" => "managed_entity",
        "user" => "user",
        "countermeasures" => "d3fend",
        "d3f_tactic" => "d3f_tactic",
        "d3f_technique" => "d3f_technique",
        "remediation" => "remediation",
        "attacks" => "attack",
        "technique" => "technique",
        "sub_technique" => "sub_technique",
        "src_endpoint" => "network_endpoint",
        _ => return None,
    })
}

/// Class, its file, its category in `categories.json`.
const CLASSES: [(u64, &str, &str); 4] = [
    (7001, "remediation_activity", "remediation"),
    (3001, "account_change", "iam"),
    (3004, "entity_management", "iam"),
    (6003, "api_activity", "application"),
];

#[tokio::test]
async fn every_ocsf_event_is_as_the_schema_of_its_class_says() {
    let (_world, ran) = ran().await;
    let events = parsed(&export(&ran.dir, &[]).ocsf(&meta));
    let (ocsf, mut seen) = (Ocsf::new(), BTreeSet::new());
    let profile = ocsf.file("profiles/security_control");
    for event in &events {
        let number = |key: &str| event[key].as_u64().unwrap_or_else(|| panic!("{key}: {event}"));
        let (uid, file, category) = *CLASSES.iter().find(|(uid, ..)| *uid == number("class_uid")).unwrap();
        let class = ocsf.file(&format!("events/{file}"));
        let categories = ocsf.file("categories");
        let category = &categories["attributes"][category];
        assert_eq!(category["uid"], event["category_uid"]);
        assert_eq!(category["caption"], event["category_name"]);
        assert_eq!(number("category_uid") * 1000 + class["uid"].as_u64().unwrap(), uid);
        assert_eq!(class["caption"], event["class_name"]);
        assert_eq!(number("type_uid"), uid * 100 + number("activity_id"));
        let mut attributes = ocsf.attributes("events", file);
        if event["metadata"].get("profiles").is_some() {
            attributes.extend(profile["attributes"].as_object().unwrap().clone());
        }
        ocsf.check(&attributes, event, &uid.to_string());
        let activity = &attributes["activity_id"]["enum"][number("activity_id").to_string()];
        // Where the schema has no word, the source's own stands.
        match number("activity_id") {
            99 => assert!(!["Other", ""].contains(&event["activity_name"].as_str().unwrap()), "{event}"),
            _ => assert_eq!(activity["caption"], event["activity_name"], "{event}"),
        }
        // 0 Unknown, 1 Success, 2 Failure and 99 Other stand in the dictionary; the class may add to them.
        let status = &attributes["status_id"]["enum"][number("status_id").to_string()];
        assert!(matches!(number("status_id"), 0 | 1 | 2 | 99) || status.is_object(), "{event}");
        seen.insert((uid, number("activity_id")));
    }
    let wanted = [
        (3001, 4),
        (3001, 5),
        (3001, 11),
        (3001, 99),
        (3004, 4),
        (3004, 9),
        (6003, 1),
        (6003, 3),
        (6003, 4),
        (7001, 2),
        (7001, 4),
    ];
    assert!(wanted.iter().all(|it| seen.contains(it)), "{seen:?}");
}

#[tokio::test]
async fn ocsf_carries_target_countermeasures_techniques_and_the_place_in_the_record() {
    let (_world, ran) = ran().await;
    let export = export(&ran.dir, &[]);
    let events = parsed(&export.ocsf(&meta));
    let run = &export.report().status.run_id;
    let of_class = |uid: u64| events.iter().filter(move |event| event["class_uid"] == uid);
    assert_eq!(of_class(7001).count(), ran.outcomes().len());
    for event in of_class(7001) {
        assert!(event["observables"][0]["value"].is_string(), "{event}");
        let measure = &event["countermeasures"][0];
        assert!(measure["d3f_technique"]["uid"].as_str().unwrap().starts_with("D3-"));
        assert!(measure["d3f_technique"]["name"].is_string() && measure["d3f_tactic"]["name"].is_string());
        assert_eq!(measure["version"], "1.2.0");
        assert_eq!(event["attacks"][0]["version"], "18.1");
        assert_eq!(event["unmapped"]["journal"]["previous_line_sha256"].as_str().unwrap().len(), 64);
    }
    let sessions = format!("{run}:sessions");
    let together = events.iter().filter(|event| event["metadata"]["correlation_uid"] == *sessions);
    let classes: BTreeSet<u64> = together.map(|event| event["class_uid"].as_u64().unwrap()).collect();
    assert_eq!(classes, BTreeSet::from([3001, 6003, 7001]));
    let uids: BTreeSet<&str> = events.iter().filter_map(|it| it["metadata"]["uid"].as_str()).collect();
    assert_eq!(uids.len(), events.len());
}

#[tokio::test]
async fn timesketch_has_its_fields_its_tags_and_what_was_noted() {
    let (_world, ran) = ran().await;
    let noted = noted(NOTED).unwrap();
    let export = export(&ran.dir, &noted);
    assert_eq!(export.report().timeline_findings, [], "nothing of a run that went well is out of order");
    let events = parsed(&export.timesketch(&meta));
    let lines: Vec<u64> = events.iter().filter_map(|event| event["seq"].as_u64()).collect();
    assert!(lines.is_sorted(), "{lines:?}");
    for event in &events {
        let text = |key: &str| event[key].as_str().unwrap_or_else(|| panic!("{key}: {event}"));
        assert!(!text("message").is_empty() && !text("timestamp_desc").is_empty());
        assert!(text("datetime").parse::<jiff::Timestamp>().is_ok() && text("datetime").ends_with('Z'));
    }
    assert_eq!(events[0]["message"], "sign-in from AS64500");
    let ended = events.iter().find(|event| event["data_type"] == "staunch:ended").unwrap();
    let tags: Vec<&str> = ended["tag"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert!(tags.contains(&"T1078.004") && tags.contains(&"D3-AL"), "{tags:?}");
    assert_eq!((&ended["attack_version"], &ended["d3fend_version"]), (&"18.1".into(), &"1.2.0".into()));
}

#[tokio::test]
async fn the_report_says_what_was_found_noted_and_not_examined_with_ids_and_indicators() {
    let (world, ran) = ran().await;
    let noted = noted(NOTED).unwrap();
    let export = export(&ran.dir, &noted);
    let report = serde_json::to_value(export.report()).unwrap();
    let examined: Vec<&str> =
        report["intrusion"].as_array().unwrap().iter().map(|it| it["examined"].as_str().unwrap()).collect();
    assert_eq!(examined, ["noted", "found", "found", "found", "found", "noted"]);
    let ids: Vec<&str> = report["techniques"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap()).collect();
    for id in ["T1539", "T1671", "D3-ANCI", "CM0082", "PR030"] {
        assert!(ids.contains(&id), "{ids:?}");
    }
    // The rogue application is named by its client id, which is the same in every tenant.
    let indicators = report["indicators"].as_array().unwrap();
    let app = indicators.iter().find(|it| it["kind"] == "service-principal").unwrap();
    let planted = &world.tenant.incident().rogue;
    assert!(planted.iter().all(|object| app["id"] != object.id.as_str()), "{app}");
    let kinds: BTreeSet<&str> = indicators.iter().map(|it| it["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, BTreeSet::from(["auth-method", "device", "inbox-rule", "service-principal"]));
    assert_eq!(report["exposure"]["first_access"], "2023-12-12T13:50:17Z");
    assert!(report["exposure"]["open_for_ms"].as_u64().unwrap() > 0);
    let markdown = export.report().markdown();
    assert!(markdown.starts_with("**TLP:AMBER**\n"), "{markdown}");
    let indicators = markdown.split("## Indicators").nth(1).unwrap();
    assert!(
        indicators.contains("[@]collector[.]example") && !indicators.contains("@collector.example"),
        "{indicators}"
    );
}

#[tokio::test]
async fn each_reader_gets_their_sections() {
    let (_world, ran) = ran().await;
    let export = export(&ran.dir, &[]);
    let sections = |audience: Audience| -> Vec<String> {
        let markdown = export.report().markdown_for(audience);
        markdown.lines().filter_map(|line| line.strip_prefix("## ")).map(str::to_owned).collect()
    };
    let technical = sections(Audience::Technical);
    let technical_text = export.report().markdown();
    for name in [
        "Response",
        "Exposure",
        "Requests",
        "To take back after recovery",
        "Evidence",
        "Method and limits",
        "Timeline",
        "Indicators to look for elsewhere",
        "Techniques and countermeasures",
    ] {
        assert!(technical.iter().any(|it| it == name), "{name}: {technical:?}");
    }
    let owner = export.report().markdown_for(Audience::Owner);
    assert!(owner.contains("whether any of it was expected") && owner.contains("## Words"));
    assert!(!owner.contains("client_request_id") && !owner.contains("PATCH ") && !owner.contains("SHA-256"));
    // Plain words: no name of a property, a guard or a kind, and no digest; the other readers have them.
    let head = export.report().status.head.as_str();
    for word in [
        "irreversible",
        head,
        "validFrom",
        "accountEnabled",
        "deviceTag",
        "SoftwareTokenActivated",
        "SubjectOrBodyContainsWords",
        "MoveToFolder",
        "auth-method",
        "inbox-rule",
        "service-principal",
    ] {
        assert!(technical_text.contains(word), "{word}");
        for reader in [Audience::Owner, Audience::Management] {
            for text in [export.report().markdown_for(reader), export.report().html(reader).unwrap()] {
                assert!(!text.contains(word), "{reader:?}: {word}: {text}");
            }
        }
    }
    for words in
        ["a safeguard was set aside", "mail rule ", "security info ", "moves mail to the folder", "is whole and signed"]
    {
        assert!(owner.contains(words), "{words}: {owner}");
    }
    assert!(sections(Audience::Management).iter().any(|it| it == "Exposure"));
    assert!(sections(Audience::Regulator).last().unwrap().contains("NIS2"));
}

#[tokio::test]
async fn a_regulator_gets_the_fields_of_a_notification_and_null_for_what_nobody_knows() {
    let (_world, ran) = ran().await;
    let fields = export(&ran.dir, &[]).report().notification().unwrap();
    let at = |path: &str| fields.pointer(path).unwrap_or_else(|| panic!("{path}: {fields}")).clone();
    for path in [
        "/early_warning/suspected_unlawful_or_malicious",
        "/early_warning/possible_cross_border_impact",
        "/incident_notification/initial_assessment/severity",
        "/final_report/type_of_threat_or_root_cause/root_cause",
        "/final_report/cross_border_impact",
    ] {
        assert_eq!(at(path), Value::Null, "{path}");
    }
    let time = |path: &str| at(path).as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let hours = |path: &str| time(path).duration_since(time("/aware_at_the_latest")).as_hours();
    assert_eq!(hours("/early_warning/due_at_the_latest"), 24);
    assert_eq!(hours("/incident_notification/due_at_the_latest"), 72);
    let applied = at("/final_report/mitigation_applied");
    assert_eq!(applied.as_array().unwrap().len(), ran.outcomes().len());
    assert!(applied.as_array().unwrap().iter().all(|it| it["journal_line"].is_u64()), "{applied}");
    // Two objects were found that nobody picked.
    assert_eq!(at("/final_report/description/contained"), "yes, but for what was left alone");
    let left = at("/final_report/mitigation_ongoing/left_alone");
    assert!(left.as_array().unwrap().iter().any(|it| it["note"].as_str().unwrap().contains("Pixel 6")), "{left}");
    assert_eq!(at("/marking"), "TLP:AMBER");
}

/// Nothing of the intruder was found: a report that names what each step could have countered invents it.
#[tokio::test]
async fn only_what_a_change_counters_is_named_and_the_playbooks_words_stand_apart() {
    let (_world, ran) = ran_with(none).await;
    let export = export(&ran.dir, &[]);
    let report = export.report();
    let ids = |of: &[Technique]| -> Vec<String> { of.iter().map(|it| it.id.clone()).collect() };
    let countered = ids(&report.techniques);
    for id in ["T1078.004", "T1539", "CM0033"] {
        assert!(countered.iter().any(|it| it == id), "{countered:?}");
    }
    for id in ["T1098.005", "T1114.003", "T1564.008", "T1528", "T1671", "T1557"] {
        assert!(countered.iter().all(|it| it != id), "{id}: {countered:?}");
    }
    assert_eq!(ids(&report.playbook_counters), ["T1557", "T1539", "CM0071"]);
    let fields = report.notification().unwrap();
    let of = |path: &str| -> Vec<String> {
        let list = fields.pointer(path).and_then(Value::as_array).unwrap_or_else(|| panic!("{path}: {fields}"));
        list.iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
    };
    let threat = "/final_report/type_of_threat_or_root_cause";
    assert_eq!(of(&format!("{threat}/techniques_that_the_playbook_counters")), ["T1557", "T1539"]);
    assert!(!fields.pointer(threat).unwrap().to_string().contains("T1110"), "{fields}");
    assert!(of("/final_report/techniques_that_the_mitigation_counters").contains(&"T1539".to_owned()));
    let markdown = report.markdown_for(Audience::Regulator);
    let stated = markdown.split("what the playbook states").nth(1).unwrap();
    assert!(stated.contains("`T1557` Adversary-in-the-Middle"), "{markdown}");
    let remedies = parsed(&export.ocsf(&meta)).into_iter().filter(|event| event["class_uid"] == 7001);
    for event in remedies {
        assert_eq!(strings(&event["unmapped"]["playbook_counters"]), ["T1557", "T1539", "CM0071"]);
    }
}

#[tokio::test]
async fn the_page_is_one_file_that_loads_and_runs_nothing() {
    let (_world, ran) = ran().await;
    let noted = noted(NOTED).unwrap();
    let export = export(&ran.dir, &noted);
    for audience in [Audience::Owner, Audience::Technical, Audience::Management, Audience::Regulator] {
        let page = export.report().html(audience).unwrap();
        assert!(page.contains("default-src 'none'") && page.contains("<svg ") && page.contains("prefers-color-scheme"));
        for part in ["<script", "javascript:", " src=", "@import", "url(", "<link", "<iframe", "<img"] {
            assert!(!page.contains(part), "{part}");
        }
        assert_eq!(page.matches("<section").count(), page.matches("</section>").count());
        assert!(page.contains("TLP:AMBER"));
    }
}

#[tokio::test]
async fn what_was_taken_back_is_exported_as_restored_and_enabled() {
    let (world, ran) = ran().await;
    let undone = world.run(world.undo_plan(&ran.dir).await).await;
    let events = parsed(&export(&undone.dir, &[]).ocsf(&meta));
    let activities = |class: u64| -> BTreeSet<&str> {
        let of_class = events.iter().filter(|event| event["class_uid"] == class);
        of_class.map(|event| event["activity_name"].as_str().unwrap()).collect()
    };
    assert_eq!(activities(7001), BTreeSet::from(["Restore"]));
    assert_eq!(activities(3001), BTreeSet::from(["Enable"]));
    assert_eq!(activities(3004), BTreeSet::from(["Create", "Enable"]));
    for event in events.iter().filter(|event| event["class_uid"] == 7001) {
        assert!(event.get("attacks").is_none(), "{event}");
        assert!(event["message"].as_str().unwrap().starts_with("Take back: "), "{event}");
        assert!(event["remediation"]["desc"].as_str().unwrap().starts_with("Take back: "), "{event}");
        let tactics = event["countermeasures"].as_array().into_iter().flatten().map(|it| &it["d3f_tactic"]["name"]);
        assert!(tactics.into_iter().all(|tactic| tactic == "Restore"), "{event}");
    }
    let unlocked = |event: &&Value| event["countermeasures"][0]["d3f_technique"]["uid"] == "D3-ULA";
    assert!(events.iter().any(|event| unlocked(&event) && event["observables"][0]["type_id"] == 31));
    let undo = export(&undone.dir, &[]);
    let tags: BTreeSet<String> =
        parsed(&undo.timesketch(&meta)).iter().flat_map(|event| strings(&event["tag"])).collect();
    assert_eq!(tags, BTreeSet::from(["D3-RUAA".to_owned(), "D3-ULA".to_owned()]));
    let report = undo.report();
    assert_eq!(report.notification(), None, "an undo mitigates nothing");
    assert!(report.techniques.is_empty());
    // No reader is told that an account which was just let in again was blocked.
    for audience in [Audience::Owner, Audience::Technical, Audience::Management, Audience::Regulator] {
        for text in
            [report.markdown_for(audience), report.terminal_for(audience, 200, false), report.html(audience).unwrap()]
        {
            assert!(!text.contains("Block sign-in") && !text.contains("NIS2"), "{text}");
            assert!(text.contains("Taken back"), "{text}");
            assert!(audience == Audience::Technical || text.contains("Take back: block sign-in"), "{text}");
        }
    }
    assert!(report.markdown().contains("**done** take back block: user"), "{}", report.markdown());
    assert!(report.intrusion.is_empty() && report.indicators.is_empty());
    let owner = report.markdown_for(Audience::Owner);
    assert!(owner.contains("was taken back as far as it can be") && !owner.contains("What is known of the intrusion"));
}
