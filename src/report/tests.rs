//! The report of an incident with everything in it: what holds, what does not, what was left alone, and hostile names.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::{
    Audience, Containment, Known, Report, WayBack,
    export::{Export, Kind, Noted},
};
use crate::{
    journal::{
        Anchor, Approval, Record, SentOutcome, Verdict, sha256_hex,
        testing::{
            Bench, TENANT, USER, exchange, intent, observed, plan_digest, plan_file, secret_intent, sent, target,
        },
    },
    model::{
        Call, Caveat, CaveatKind, Change, Difference, Goal, GraphPath, Irreversible, Item, Outcome, Refusal, Replay,
        Target, Undo, Untrusted, Verb, Workload,
    },
};

/// Turns text around, clears the screen, closes code spans and cells.
const HOSTILE: &str = "a\u{1b}[2J\u{202e}`|<b>";

/// What would load, run, link or calculate, where a form does not escape it.
const BAIT: [&str; 7] = [
    "<img src=x onerror=alert(1)>",
    "</title></style><script>alert(1)</script>",
    "[click](https://evil.example) ![](https://evil.example/x.png)",
    "` | a | b |\n# heading\n- [ ] `https://evil.example`",
    "=HYPERLINK(\"https://evil.example\")",
    "{{ 7 * 7 }}{% raw %}",
    "\\| \\\\| ]( <https://evil.example>",
];

fn planned(id: &str, step: &str, target: Target, states: [Value; 2]) -> Change {
    let [before, wanted] = states;
    let call = |id: &str, body: &Value| {
        Call::graph(Verb::Patch, GraphPath::v1().fixed("users").id(id), Some(body.clone()), Replay::Set)
    };
    // The intents of these tests all go to `u1`.
    let (calls, undo) = (vec![call("u1", &wanted)], Undo::Calls(vec![call(&target.id, &before)]));
    Change {
        preflight: Default::default(),
        id: id.into(),
        step: step.into(),
        action: format!("test.{step}"),
        target,
        note: "".into(),
        differences: vec![Difference { name: "sign-in".into(), before: "open".into(), after: "shut".into() }],
        calls,
        undo,
        goal: Goal::State(wanted.clone()),
        before,
        wanted,
        caveats: vec![],
    }
}

fn enabled(on: bool) -> Value {
    json!({"accountEnabled": on, "displayName": HOSTILE})
}

fn rule() -> Target {
    target("inbox-rule", "r1", HOSTILE)
}

fn app() -> Target {
    let workload = Workload { app_id: "app1".into(), home_tenant: None, kind: None };
    Target { of: None, lane: "sp1".into(), workload: Some(workload), ..target("service-principal", "sp1", "chatbot") }
}

fn plan() -> Value {
    let user = || target("user", "u1", USER);
    let states = || [json!({"on": true}), json!({"on": false})];
    let block = planned("c001", "block", user(), [enabled(true), enabled(false)]);
    let mut sessions = planned("c002", "sessions", user(), [json!({"on": true}), json!({"on": "later"})]);
    sessions.wanted = json!({"on": false});
    sessions.undo = Undo::Impossible(Irreversible("a revocation cannot be taken back".into()));
    let already = planned("c003", "block", target("user", "u2", "mia@contoso.example"), states());
    let rule = planned("c004", "rules", rule(), states());
    let mut app = planned("c005", "apps", app(), states());
    if let Record::Intent { request, .. } = secret_intent("c005", "i5") {
        app.calls = vec![request];
    }
    app.caveats.push(Caveat::new(CaveatKind::BlindSpot, "owners of the application could not be read"));
    let never = planned("c006", "apps", user(), states());
    let change = |change: Change| serde_json::to_value(Item::Change(Box::new(change))).unwrap();
    let item = |item: Item| serde_json::to_value(item).unwrap();
    let left = Item::NotPicked {
        target: Box::new(target("device", "d1", "LAPTOP-7")),
        note: Untrusted::from("registered before the incident"),
        certain: false,
        caveats: vec![Caveat::new(CaveatKind::Undated, "the tenant gives no date for it")],
    };
    let refusal = Refusal { guard: "break-glass".into(), reason: "the account is kept for emergencies".into() };
    let refused = Item::Refused { target: Box::new(target("user", "u9", "glass@contoso.example")), refusal };
    let problem = Item::Problem { subject: "nobody@contoso.example".into(), reason: "no such user (404)".into() };
    let nothing = Item::Nothing { subject: USER.into() };
    json!({
        "title": "Account takeover *of* one",
        "tenant_id": TENANT,
        "inputs": {"users": [USER], "incident_start": "2023-12-12T11:00:00Z"},
        "recipients": ["age1x"],
        "stages": [
            {"id": "cut", "steps": [
                {"id": "block", "action": "test.block", "items": [change(block), item(Item::Already(Box::new(already)))]},
                {"id": "sessions", "action": "test.sessions", "items": [change(sessions)]}]},
            {"id": "persistence", "steps": [
                {"id": "rules", "action": "test.rules", "items": [change(rule), item(left), item(nothing)]},
                {"id": "apps", "action": "test.apps",
                 "items": [change(app), item(refused), item(problem), change(never)]}]}],
        "handover": [{"to": "tenant-owner", "task": "Delete the disabled applications"}]
    })
}

/// Everything up to but without the close.
async fn incident(case: &Path) -> Bench {
    let plan = plan();
    let bench = Bench::with_plan(case, "r1", &plan_file(&plan));
    let approved = Record::Approved {
        digest: plan_digest(&plan),
        by: "ilse".into(),
        how: Approval::Prompt,
        overrides: Vec::new(),
        unseen: Vec::new(),
    };
    bench.add(approved, vec![]).await;
    let user = || target("user", "u1", USER);
    bench.change("c001", user(), [enabled(true), enabled(false)]).await;
    // Not exactly what was planned: the sessions end a little later.
    let states = || [json!({"on": true}), json!({"on": "later"})];
    bench.change("c002", user(), states()).await;
    let of = |change: &str, outcome, target: Target, after: Option<Value>| Record::Ended {
        change: change.into(),
        outcome,
        reason: match outcome {
            Outcome::Already => "it was so before".into(),
            _ => format!("the tenant refused: 403 {}", Untrusted::from(HOSTILE).term()),
        },
        before: Some(json!({"on": true})),
        after,
        target: Box::new(target),
        caveats: vec![],
    };
    let mia = target("user", "u2", "mia@contoso.example");
    bench.add(of("c003", Outcome::Already, mia, Some(json!({"on": true}))), vec![]).await;

    let mut denied = exchange("e-denied", "GET", "https://graph.example/v1.0/users/u1", "{}");
    denied.outcome = crate::model::ExchangeOutcome::Denied;
    denied.status = Some(403);
    bench.add(observed("c004", json!({"on": true})), vec![denied]).await;
    bench.add(intent("c004", "i4", json!({"on": false})), vec![]).await;
    bench.tell(sent("c004", "i4", SentOutcome::Rejected)).await;
    bench.add(of("c004", Outcome::Failed, rule(), None), vec![]).await;

    let sealed = Record::Sealed {
        change: "c005".into(),
        file: "handover/r1/c005.age".into(),
        sha256: sha256_hex(b"x"),
        recipients: vec!["age1x".into()],
        owner: USER.into(),
    };
    bench.tell(observed("c005", json!({"on": true}))).await;
    bench.add(sealed, vec![]).await;
    bench.add(secret_intent("c005", "i5"), vec![]).await;
    bench
}

/// The same, with every change brought to an end.
async fn closed(case: &Path) -> std::path::PathBuf {
    let bench = incident(case).await;
    bench.tell(sent("c005", "i5", SentOutcome::Unknown)).await;
    for (change, outcome) in [("c005", Outcome::Unknown), ("c006", Outcome::Skipped)] {
        let ended = Record::Ended {
            change: change.into(),
            outcome,
            reason: format!("it is {}", outcome.word()),
            before: None,
            after: None,
            target: Box::new(app()),
            caveats: vec![],
        };
        bench.add(ended, vec![]).await;
    }
    bench.close().await
}

#[tokio::test]
async fn the_whole_report() {
    let case = tempfile::tempdir().unwrap();
    let report = Report::read(&closed(case.path()).await).unwrap();
    assert_eq!(report.status.containment, Containment::Partly);
    assert_eq!(report.status.verdict, Verdict::Consistent, "{:?}", report.status.problems);
    let mut report = report;
    report.status.anchor = Some(Anchor {
        vkey: "staunch/case/ir-7/run/r1+0a1b2c3d+AbCd=".into(),
        key_words: "acorn lemon river tiger maple orbit piano wolf".into(),
        size: 9,
        root: "AbCd=".into(),
        root_words: "amber bacon cabin ember flute hotel igloo kayak".into(),
    });
    insta::with_settings!({filters => vec![("[0-9a-f]{64}", "[sha-256]")]}, {
        insta::assert_snapshot!("terminal", report.terminal(120, false));
        insta::assert_snapshot!("markdown", report.markdown());
    });
}

#[tokio::test]
async fn every_word_of_the_tenant_is_escaped_everywhere() {
    let case = tempfile::tempdir().unwrap();
    let report = Report::read(&closed(case.path()).await).unwrap();
    for text in [report.terminal(80, false), report.markdown()] {
        assert!(!text.contains(['\u{1b}', '\u{202e}']), "{text:?}");
    }
    assert!(!report.markdown().contains("a`|"));
    // Data keeps the text itself: what is done with it then is for the reader to escape.
    let data = serde_json::to_value(&report).unwrap();
    assert_eq!(data["accounts"][0]["changes"][2]["target"]["name"], HOSTILE);
}

/// A report of which every word of others is this one.
async fn baited(bait: &str) -> Report {
    let case = tempfile::tempdir().unwrap();
    let noted = [Noted {
        message: bait.into(),
        datetime: "2023-12-12T11:00:00Z".parse().unwrap(),
        timestamp_desc: bait.into(),
        kind: Kind::Effect,
    }];
    let mut known = Known::actions(&|_| None);
    known.noted = &noted;
    let mut report = Report::read_with(&closed(case.path()).await, &known).unwrap();
    report.title = bait.into();
    report.requests[0].task = bait.into();
    for left in &mut report.left_alone {
        left.note = bait.into();
        left.target.name = bait.into();
    }
    for moment in &mut report.timeline {
        moment.what = bait.into();
        moment.step = moment.step.as_ref().map(|_| bait.to_owned());
    }
    for indicator in &mut report.indicators {
        (indicator.name, indicator.kind, indicator.found_by) = (bait.into(), bait.into(), Some(bait.into()));
    }
    for account in &mut report.accounts {
        account.name = bait.into();
        for change in &mut account.changes {
            change.reason = bait.into();
            change.note = Some(bait.into());
            change.step = Some(bait.into());
            change.target.as_mut().unwrap().name = bait.into();
            for difference in &mut change.differences {
                (difference.before, difference.after) = (bait.into(), bait.into());
            }
        }
    }
    report
}

/// Whoever reads a time reads that another cannot be right.
#[tokio::test]
async fn times_that_cannot_be_right_stand_in_every_form_for_every_reader() {
    let case = tempfile::tempdir().unwrap();
    let run = closed(case.path()).await;
    let event = |message: &str, at: &str, kind| Noted {
        message: message.into(),
        datetime: at.parse().unwrap(),
        timestamp_desc: "log".into(),
        kind,
    };
    let noted = [
        event("sign-in", "2023-12-12T04:50:00Z", Kind::Access),
        event("mail sent", "2023-12-12T02:03:00Z", Kind::Effect),
    ];
    let export = Export::read_with(&run, &Known { noted: &noted, ..Known::actions(&|_| None) }).unwrap();
    let report = export.report();
    let (early, later) = ("2 h 47 min before the first access", "6 h 10 min before the start of the incident");
    let mut forms: Vec<String> = READERS.into_iter().map(|audience| report.markdown_for(audience)).collect();
    forms.extend(READERS.into_iter().map(|audience| report.html(audience).unwrap()));
    forms.extend(READERS.into_iter().map(|audience| report.terminal_for(audience, 1000, false)));
    forms.push(serde_json::to_string(report).unwrap());
    forms.push(report.notification().unwrap().to_string());
    forms.push(export.timesketch(&|_| None));
    for text in forms {
        assert!(text.contains(early) && text.contains(later), "{text}");
    }
    let without = Report::read(&run).unwrap();
    assert!(!without.markdown().contains("Times that cannot be right"));
}

const READERS: [Audience; 4] = [Audience::Owner, Audience::Technical, Audience::Management, Audience::Regulator];

/// Of a rule with long conditions, the address that it forwards to is all that can be looked for.
#[tokio::test]
async fn an_indicator_is_whole_however_long_it_is() {
    let case = tempfile::tempdir().unwrap();
    let mut report = Report::read(&closed(case.path()).await).unwrap();
    let note = format!("enabled; if SubjectContainsWords {}; ForwardTo out@collector.example", "invoice ".repeat(200));
    let changes = report.accounts.iter_mut().flat_map(|account| &mut account.changes);
    for change in changes.filter(|change| change.target.as_ref().is_some_and(|target| target.kind == "inbox-rule")) {
        change.note = Some(note.as_str().into());
    }
    report.indicators = super::intrusion::indicators(&report);
    let notification = report.notification().unwrap().to_string();
    for audience in [Audience::Technical, Audience::Regulator] {
        for text in [report.markdown_for(audience), report.html(audience).unwrap(), notification.clone()] {
            assert!(text.contains("ForwardTo out[@]collector[.]example"), "{text}");
        }
    }
}

/// As an independent parser of Markdown reads it.
#[tokio::test]
async fn no_word_of_others_is_markdown() {
    use pulldown_cmark::{Event, Options, Parser, Tag};
    for bait in BAIT {
        let report = baited(bait).await;
        for audience in READERS {
            let markdown = report.markdown_for(audience);
            let (mut cells, mut rows, mut titles) = (0, 0, 0);
            for event in Parser::new_ext(&markdown, Options::ENABLE_TABLES | Options::ENABLE_TASKLISTS) {
                let bad = matches!(
                    event,
                    Event::Html(_)
                        | Event::InlineHtml(_)
                        | Event::TaskListMarker(_)
                        | Event::Start(Tag::Link { .. } | Tag::Image { .. } | Tag::HtmlBlock)
                );
                assert!(!bad, "{bait}: {event:?}");
                match event {
                    Event::Start(Tag::TableCell) => cells += 1,
                    Event::Start(Tag::TableRow | Tag::TableHead) => rows += 1,
                    Event::Start(Tag::Heading { level: pulldown_cmark::HeadingLevel::H1, .. }) => titles += 1,
                    _ => {}
                }
            }
            assert_eq!((cells, titles), (rows * 4, 1), "{bait}: {markdown}");
            // A parser fills a row up, or cuts it, to the length of its head: the bars are counted too.
            for line in markdown.lines().filter(|line| line.starts_with("| ")) {
                let escaped = line.replace("\\\\", "").replace("\\|", "");
                assert_eq!(escaped.matches('|').count(), 5, "{bait}: {line}");
            }
        }
    }
}

/// The tags of a page are those of the same page with a harmless word in it.
#[tokio::test]
async fn no_word_of_others_is_html() {
    let tag = regex::Regex::new("<[^>]*>").unwrap();
    let harmless = baited("word").await;
    for bait in BAIT {
        let report = baited(bait).await;
        for audience in READERS {
            let page = report.html(audience).unwrap();
            let plain = harmless.html(audience).unwrap();
            let tags = |page: &str| -> Vec<String> { tag.find_iter(page).map(|it| it.as_str().to_owned()).collect() };
            assert_eq!(tags(&page), tags(&plain), "{bait}");
            let is_template = bait.starts_with("{{");
            assert_eq!(page.contains("{{ 7 * 7 }}"), is_template, "{bait}: what looks like a template is text");
        }
    }
}

#[tokio::test]
async fn what_hides_in_a_text_is_shown_on_the_page() {
    let case = tempfile::tempdir().unwrap();
    let report = Report::read(&closed(case.path()).await).unwrap();
    for audience in READERS {
        let page = report.html(audience).unwrap();
        assert!(!page.contains(['\u{1b}', '\u{202e}', '\u{200b}']));
        assert!(audience == Audience::Management || page.contains(r"\u{202e}"), "{audience:?}");
    }
}

#[tokio::test]
async fn every_statement_about_an_action_names_its_line() {
    let case = tempfile::tempdir().unwrap();
    let report = Report::read(&closed(case.path()).await).unwrap();
    for (audience, most) in READERS.into_iter().zip([8, 20, 8, 10]) {
        let markdown = report.markdown_for(audience);
        let section = markdown.split("\n## ").find(|part| part.starts_with("Response")).unwrap();
        for line in section.lines().filter(|line| line.trim_start().starts_with("- ")) {
            // A change that the run did not come to has no line.
            assert!(line.contains("[#"), "{audience:?}: {line}");
        }
        assert!(section.lines().count() > most, "{section}");
    }
}

#[tokio::test]
async fn a_live_a_crashed_and_a_copied_folder_tell_the_same() {
    let case = tempfile::tempdir().unwrap();
    let bench = incident(case.path()).await;
    let run = bench.journal.run_dir().to_owned();
    let live = Report::read(&run).unwrap();
    drop(bench);
    let crashed = Report::read(&run).unwrap();
    assert_eq!(live, crashed);

    let copy = tempfile::tempdir().unwrap();
    copy_dir(&run, copy.path());
    let copied = Report::read(copy.path()).unwrap();
    assert_eq!(crashed, copied);
    assert_eq!(crashed.markdown(), copied.markdown());

    // What was begun and never reached says so, and the run is not called contained.
    assert_eq!(live.status.verdict, Verdict::Open);
    assert_eq!(live.status.counts.get("not-ended"), Some(&2));
    let text = live.terminal(100, false);
    assert!(text.contains("how it ended is not known yet"), "{text}");
    assert!(text.contains("the run did not come so far"));
    assert!(text.contains("not closed: the run is still going on, or it crashed"));
}

fn copy_dir(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            fs::create_dir(&to).unwrap();
            copy_dir(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

#[tokio::test]
async fn what_can_be_taken_back_and_what_cannot() {
    let case = tempfile::tempdir().unwrap();
    let report = Report::read(&closed(case.path()).await).unwrap();
    let of: Vec<(&str, &WayBack)> =
        report.rollback.iter().map(|entry| (entry.change.as_str(), &entry.way_back)).collect();
    // What was rejected, already so or never sent needs no way back; a lost answer does.
    assert_eq!(of.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ["c001", "c002", "c005"]);
    assert!(matches!(of[0].1, WayBack::Calls(calls) if calls[0].starts_with("PATCH /v1.0/users/u1")));
    assert!(matches!(of[1].1, WayBack::Impossible(reason) if reason.contains("revocation")));
}

#[tokio::test]
async fn a_broken_record_is_reported_and_says_so_on_top() {
    let case = tempfile::tempdir().unwrap();
    let run = closed(case.path()).await;
    let path = run.join("journal.jsonl");
    let text = fs::read_to_string(&path).unwrap().replace("\"by\":\"ilse\"", "\"by\":\"otto\"");
    fs::write(&path, text.replace("\"type\":\"verified\"", "\"type\":\"verifiad\"")).unwrap();
    fs::write(run.join("plan.json"), "{").unwrap();
    let report = Report::read(&run).unwrap();
    assert_eq!(report.status.verdict, Verdict::Broken);
    let text = report.terminal(100, false);
    let top: String = text.lines().take(3).collect();
    assert!(top.contains("does not verify"), "{top}");
    assert!(top.contains("NOT VERIFIED — the record says partly contained: "), "{top}");
    assert!(report.html(Audience::Owner).unwrap().contains("<div class=\"verdict bad\">NOT VERIFIED</div>"));
    let fields = report.notification().unwrap();
    assert_eq!(fields["final_report"]["description"]["contained"], "not known: the record does not verify");
    let export = Export::read(&run).unwrap();
    for (lines, at) in [(export.ocsf(&|_| None), "/unmapped/verdict"), (export.timesketch(&|_| None), "/verdict")] {
        for line in lines.lines() {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(event.pointer(at), Some(&json!("broken")), "{line}");
        }
    }
    assert!(text.contains("unknown-record") && text.contains("broken-chain") && text.contains("plan-mismatch"));
    // Without the plan, the journal still tells which changes there were.
    assert!(text.contains("c001") && text.contains(USER));

    fs::remove_file(run.join("run.json")).unwrap();
    assert!(Report::read(&run).is_err());
}

/// Refused, impossible, or left to nobody's decision: an authority that reads "contained" must read of these too.
#[tokio::test]
async fn what_is_left_open_stands_on_top_and_in_a_notification() {
    let case = tempfile::tempdir().unwrap();
    let known = Known { marking: Some("TLP:RED"), ..Known::actions(&|_| None) };
    let mut report = Report::read_with(&closed(case.path()).await, &known).unwrap();
    let top = |report: &Report| report.terminal(200, false).lines().nth(1).unwrap().to_owned();
    assert!(top(&report).ends_with("2 not planned, 1 left alone"), "{}", top(&report));
    let fields = report.notification().unwrap();
    assert_eq!(fields["marking"], "TLP:RED");
    let ongoing = &fields["final_report"]["mitigation_ongoing"];
    assert_eq!(ongoing["not_planned"][0]["guard"], "break-glass");
    assert_eq!(ongoing["not_planned"][0]["object"]["id"], "u9");
    assert_eq!(ongoing["not_planned"][1]["subject"], "nobody@contoso.example");
    assert_eq!(ongoing["left_alone"][0]["object"], json!({"kind": "device", "id": "d1"}));
    assert_eq!(ongoing["left_alone"][0]["certainly_of_the_incident"], false);
    assert_eq!(ongoing["changes"].as_array().unwrap().len(), 3);
    let description = &fields["final_report"]["description"];
    assert_eq!(description["contained"], "partly");
    // The last access was cut at 12:00:04.
    assert_eq!(description["stolen_tokens_usable_until_about"], "2023-12-12T13:00:04.000Z");
    assert_eq!(description["stolen_tokens_usable_at_the_latest"], "2023-12-13T16:00:04.000Z");

    let contained = |report: &Report| {
        report.notification().unwrap().pointer("/final_report/description/contained").unwrap().clone()
    };
    report.status.containment = Containment::Full;
    assert_eq!(contained(&report), "yes, but for what was left alone");
    assert!(report.html(Audience::Owner).unwrap().contains("<dt>found and left alone</dt><dd>1</dd>"));
    report.left_alone.clear();
    assert_eq!(contained(&report), "yes");
}

#[tokio::test]
async fn the_words_on_top() {
    let word = |report: &Report| {
        let text = report.terminal(80, false);
        text.lines().nth(1).unwrap().to_owned()
    };
    let case = tempfile::tempdir().unwrap();
    let run = crate::journal::testing::small(case.path(), "r1").await.close().await;
    assert_eq!(word(&Report::read(&run).unwrap()), "CONTAINED — 2 done");

    let bench = Bench::new(case.path(), "r2");
    let empty = Report::read(bench.journal.run_dir()).unwrap();
    assert_eq!(word(&empty), "NOTHING TO DO — no change");
    bench.tell(observed("c001", json!({}))).await;
    let none = Report::read(bench.journal.run_dir()).unwrap();
    assert_eq!(word(&none), "NOT CONTAINED — 1 not-ended");
}

#[tokio::test]
async fn colour_changes_no_word_and_lines_keep_their_width() {
    let case = tempfile::tempdir().unwrap();
    let report = Report::read(&closed(case.path()).await).unwrap();
    let colored = report.terminal(100, true);
    assert!(colored.contains("\u{1b}["));
    assert_eq!(console::strip_ansi_codes(&colored), report.terminal(100, false));
    let long = |line: &&str| console::measure_text_width(line) > 60 && line.trim().contains(' ');
    let narrow = report.terminal(60, false);
    let long: Vec<&str> = narrow.lines().filter(long).collect();
    assert!(long.is_empty(), "{long:#?}");
}
