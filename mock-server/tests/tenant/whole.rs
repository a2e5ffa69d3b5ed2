//! What concerns every route: batches, the feed, faults, error bodies, the scenario.

use mock_server::faults::{Effect, Fault, Match, RetryAfter};
use mock_server::{Abort, Request};
use serde_json::{Value, json};

use crate::support::{Client, JOHANNA, VICTIM, aitm};

#[test]
fn a_batch_answers_out_of_order_and_each_item_has_its_own_status() {
    let client = Client::new();
    let items: Vec<Value> = (0..5).map(|n| json!({"id": n.to_string(), "method": "GET", "url": VICTIM})).collect();
    let mut requests = items;
    requests.push(json!({"id": "missing", "method": "GET", "url": "/users/nobody"}));
    requests.push(json!({"id": "child", "method": "GET", "url": VICTIM, "dependsOn": ["missing"]}));
    let answer = client.write("POST", "/$batch", &json!({"requests": requests}));
    assert_eq!(answer.status, 200);
    let responses = answer.body_json()["responses"].as_array().unwrap().clone();
    let ids: Vec<&str> = responses.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_ne!(ids, ["0", "1", "2", "3", "4", "missing", "child"]);
    let status = |id: &str| responses.iter().find(|r| r["id"] == id).unwrap()["status"].as_u64().unwrap();
    assert_eq!((status("0"), status("missing"), status("child")), (200, 404, 424));
    assert_eq!(client.tenant.requests().iter().filter(|r| r.batch_item.is_some()).count(), 6);
}

#[test]
fn a_malformed_batch_is_refused_whole() {
    let client = Client::new();
    let item = |id: &str| json!({"id": id, "method": "GET", "url": "/organization"});
    let status = |requests: Vec<Value>| client.write("POST", "/$batch", &json!({"requests": requests})).status;
    assert_eq!(status(vec![item("a"), item("A")]), 400);
    assert_eq!(status((0..21).map(|n| item(&n.to_string())).collect()), 400);
    assert_eq!(status(vec![json!({"id": "1", "method": "GET", "url": "https://graph.microsoft.com/v1.0/users"})]), 400);
    assert_eq!(status(vec![json!({"id": "1", "method": "PATCH", "url": VICTIM, "body": {}})]), 400);
    assert_eq!(status(vec![]), 400);
}

#[test]
fn the_feed_tells_the_incident_and_grows_with_every_change() {
    let client = Client::new();
    let feed = |filter: &str| {
        let filter = filter.replace(' ', "%20");
        client.json(&format!("/auditLogs/directoryAudits?$filter={filter}"))["value"].as_array().unwrap().clone()
    };
    let window = "activityDateTime ge 2023-12-12T13:50:17Z and activityDateTime le 2023-12-12T14:11:43Z";
    let names: Vec<String> =
        feed(window).iter().map(|e| e["activityDisplayName"].as_str().unwrap().to_owned()).collect();
    for name in [
        "User registered security info",
        "Register device",
        "Add application",
        "Add service principal",
        "Add delegated permission grant",
        "Consent to application",
        "Update application \u{2013} Certificates and secrets management ",
    ] {
        assert!(names.iter().any(|known| known == name), "{name} is not in {names:?}");
    }
    let id = client.json(VICTIM)["id"].as_str().unwrap().to_owned();
    let hers = feed(&format!("initiatedBy/user/id eq '{id}' and {window}"));
    assert!(hers.len() >= 4);
    assert_eq!(hers[0]["initiatedBy"]["app"], Value::Null);
    let before = feed(&format!("targetResources/any(t: t/id eq '{id}')")).len();
    client.write("PATCH", VICTIM, &json!({"accountEnabled": false}));
    let after = feed(&format!("targetResources/any(t: t/id eq '{id}')"));
    assert!(after.len() > before);
    let newest = &after[0];
    assert_eq!(newest["initiatedBy"]["app"]["appId"], Value::Null);
    assert!(newest["initiatedBy"]["app"]["servicePrincipalId"].is_string());
    assert_eq!(newest["activityDateTime"], "2023-12-12T15:00:00.0000000Z");
    assert!(newest["targetResources"][0]["modifiedProperties"][0]["newValue"] == "[false]");
    assert_eq!(client.get("/auditLogs/directoryAudits?$filter=ipAddress%20eq%20'x'").status, 400);
}

#[test]
fn faults_strike_before_or_after_the_effect() {
    let client = Client::new();
    let blocked = || client.tenant.inspect(|state| !state.user(JOHANNA).unwrap().account_enabled);
    let block = || client.write("PATCH", VICTIM, &json!({"accountEnabled": false}));
    let on = || Match::method_path("PATCH", "/users/");
    client.tenant.faults().add(Fault::once(on(), Effect::Throttle(RetryAfter::Seconds(3))));
    let throttled = block();
    assert_eq!((throttled.status, throttled.get_header("retry-after")), (429, Some("3")));
    client.tenant.faults().add(Fault::once(on(), Effect::ServerError { status: 504, applied: false }));
    assert_eq!((block().status, blocked()), (504, false));
    client.tenant.faults().add(Fault::once(on(), Effect::Drop { applied: false }));
    assert_eq!((block().abort, blocked()), (Abort::BeforeHead, false));
    client.tenant.faults().add(Fault::once(on(), Effect::Drop { applied: true }));
    assert_eq!((block().abort, blocked()), (Abort::BeforeHead, true));
    assert!(client.tenant.requests().last().unwrap().mutated);
    client.tenant.faults().add(Fault::once(on(), Effect::Delay(40)));
    assert_eq!(block().delay.as_millis(), 40);
    assert_eq!(block().status, 204);
}

#[test]
fn errors_have_graphs_envelope_and_every_answer_its_ids() {
    let client = Client::new();
    let response = client.send(Request::new("GET", "/v1.0/nonsense").header("client-request-id", "abc"));
    let body = response.body_json();
    assert_eq!(
        (response.status, body["error"]["message"].as_str().unwrap()),
        (400, "Resource not found for the segment 'nonsense'.")
    );
    assert_eq!(body["error"]["innerError"]["client-request-id"], "abc");
    assert_eq!(response.get_header("client-request-id"), Some("abc"));
    assert_eq!(response.get_header("date"), Some("Tue, 12 Dec 2023 15:00:00 GMT"));
    assert_eq!(body["error"]["innerError"]["request-id"].as_str(), response.get_header("request-id"));
    assert_eq!(client.delete("/organization").status, 405);
}

#[test]
fn the_same_scenario_gives_the_same_tenant() {
    assert_eq!(aitm().state(), aitm().state());
    assert_eq!(aitm().audit(), aitm().audit());
}

#[test]
fn the_scenario_plants_what_the_incident_says() {
    let tenant = mock_server::Tenant::new(&mock_server::Scenario::builtin("aitm").unwrap());
    assert!(tenant.inspect(|state| state.users.len()) > 300);
    let mut kinds: Vec<&str> = tenant.incident().rogue.iter().map(|object| object.kind).collect();
    kinds.sort_unstable();
    assert_eq!(
        kinds,
        [
            "application",
            "authenticationMethod",
            "device",
            "inboxRule",
            "inboxRule",
            "oauth2PermissionGrant",
            "servicePrincipal",
        ]
    );
    assert!(tenant.state().to_string().contains("\\u001b"), "a hostile name is somewhere");
}

#[test]
fn whatever_changes_the_tenant_is_in_the_feed() {
    let client = Client::new();
    type Change = Box<dyn Fn(&Client)>;
    let changes: Vec<(&str, Change)> = vec![
        ("block", Box::new(|c| drop(c.write("PATCH", VICTIM, &json!({"accountEnabled": false}))))),
        ("revoke", Box::new(|c| drop(c.write("POST", &format!("{VICTIM}/revokeSignInSessions"), &json!({}))))),
        (
            "email",
            Box::new(|c| {
                drop(c.write(
                    "POST",
                    &format!("{VICTIM}/authentication/emailMethods"),
                    &json!({"emailAddress": "a@b.example"}),
                ))
            }),
        ),
        (
            "rule",
            Box::new(|c| {
                drop(c.cmdlet("New-InboxRule", &json!({"Mailbox": JOHANNA, "Name": "x", "MarkAsRead": true})))
            }),
        ),
    ];
    for (name, change) in changes {
        let feed = || client.tenant.audit().len() + client.tenant.unified_audit().len();
        let before = feed();
        change(&client);
        assert!(client.tenant.requests().last().unwrap().mutated, "{name}");
        assert!(feed() > before, "{name}");
    }
}

#[test]
fn every_scenario_makes_a_tenant_whose_rogue_objects_exist() {
    for name in mock_server::Scenario::names() {
        let scenario = mock_server::Scenario::builtin(name).unwrap().with_users(5);
        let tenant = mock_server::Tenant::new(&scenario);
        let dump = tenant.state().to_string();
        let incident = tenant.incident();
        assert!(!incident.rogue.is_empty() && !incident.victims.is_empty(), "{name}");
        for object in &incident.rogue {
            assert!(!object.id.is_empty() && dump.contains(&object.id), "{name}: {object:?}");
        }
        for victim in &incident.victims {
            assert!(tenant.inspect(|state| state.user(victim).is_some()), "{name}: {victim}");
        }
        assert!(incident.start < incident.end);
    }
}

#[test]
fn the_persistence_scenario_has_all_seven_techniques() {
    let scenario = mock_server::Scenario::builtin("entra-persistence").unwrap().with_users(0);
    let tenant = mock_server::Tenant::new(&scenario);
    let count = |kind: &str| tenant.incident().rogue.iter().filter(|object| object.kind == kind).count();
    // Secrets: on a registration, on a service principal, and on the new application.
    assert_eq!((count("passwordCredential"), count("federatedIdentityCredential")), (3, 1));
    assert_eq!((count("application"), count("user"), count("administrativeUnit")), (1, 2, 2));
}

#[test]
fn the_activity_log_has_the_callers_id_and_one_operation_for_a_batch() {
    let client = Client::new();
    client.tenant.clear_requests();
    client.send(Request::new("GET", "/v1.0/organization").header("client-request-id", "mine"));
    let items: Vec<Value> = (0..2).map(|n| json!({"id": n.to_string(), "method": "GET", "url": VICTIM})).collect();
    client.write("POST", "/$batch", &json!({"requests": items}));
    let log = client.tenant.graph_activity();
    assert_eq!((log.len(), &log[0]["ClientRequestId"]), (4, &json!("mine")));
    assert_eq!(log[1]["OperationId"], log[2]["OperationId"]);
    assert_eq!(log[3]["OperationId"], log[3]["RequestId"]);
    assert_eq!(log[1]["OperationId"], log[3]["RequestId"]);
}

/// The text of every module of the package and of its tests, by the file's name without its ending.
fn sources(folder: &std::path::Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|end| end == "rs") {
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            found.push((name, std::fs::read_to_string(&path).unwrap()));
        }
    }
}

#[test]
fn every_quirk_has_a_row_and_every_test_that_a_row_names_exists() {
    let here = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = std::fs::read_to_string(here.join("../docs/mock-tenant.md")).unwrap();
    let mut files = Vec::new();
    for folder in ["src", "tests"] {
        sources(&here.join(folder), &mut files);
    }
    let part = |from: &str, to: &str| page.split_once(from).unwrap().1.split_once(to).unwrap().0;
    let lists = [
        (part("### Graph quirks", "### Exchange quirks"), 58),
        (part("### Exchange quirks", "## What it does not"), 55),
    ];
    for (list, last) in lists {
        let rows: Vec<Vec<&str>> = list
            .lines()
            .map(|line| line.split('|').map(str::trim).collect::<Vec<_>>())
            .filter(|cells| cells.len() == 5 && cells[1].parse::<u32>().is_ok())
            .collect();
        let numbers: Vec<u32> = rows.iter().map(|cells| cells[1].parse().unwrap()).collect();
        assert_eq!(numbers, (1..=last).collect::<Vec<u32>>(), "a number is missing or out of order");
        for cells in rows {
            let named: Vec<&str> = cells[3].split('`').filter(|word| word.contains("::")).collect();
            assert!(!named.is_empty() || cells[3].starts_with("no test: "), "{cells:?}");
            for test in named {
                let (file, name) = test.split_once("::").unwrap();
                let there = |(stem, text): &(String, String)| stem == file && text.contains(&format!("fn {name}("));
                assert!(files.iter().any(there), "{test}");
            }
        }
    }
}

#[test]
fn every_route_refuses_without_a_permission_and_opens_with_any_one_it_names() {
    let tenant = aitm();
    let status = |permissions: &[&str], route: &mock_server::RouteInfo| {
        tenant.grant_only(permissions);
        let version = if route.beta { "beta" } else { "v1.0" };
        let path = route.path.replace("{}", "00000000-0000-0000-0000-000000000000");
        let request = Request::new(route.method, &format!("/{version}{path}")).json(&json!({}));
        let response = Client::of(&tenant).send(request.header("ConsistencyLevel", "eventual"));
        (response.status, response.body_json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    for route in mock_server::routes() {
        assert_eq!(status(&["Calendars.Read"], &route).0, 403, "{} {}", route.method, route.path);
        for permission in route.permissions {
            let (status, _) = status(&[permission], &route);
            // Adding a Conditional Access policy takes three permissions together; one to remove is for that only.
            let three = route.path == "/identity/conditionalAccess/policies" && route.method == "POST"
                || permission.contains(".Remove.");
            assert!(status != 403 || three, "{permission}: {} {}", route.method, route.path);
            assert!(status < 500, "{} {}", route.method, route.path);
        }
    }
}

#[test]
fn every_cmdlet_answers_an_empty_call_without_changing_anything() {
    let client = Client::new();
    for name in mock_server::cmdlets() {
        let response = client.cmdlet(name, &json!({}));
        assert!(matches!(response.status, 200 | 400 | 404), "{name}: {}", response.status);
    }
    assert!(client.tenant.diff_from_seed().is_empty(), "{:?}", client.tenant.diff_from_seed());
}

#[test]
fn nonsense_is_answered_and_changes_nothing() {
    let client = Client::new();
    for path in [
        "",
        "/",
        "//",
        "/v1.0",
        "/v1.0/",
        "/v1.0/users(",
        "/v1.0/users('')",
        "/adminapi/",
        "/%zz",
        "/v1.0/\u{202e}",
        "/x/oauth2/",
    ] {
        for method in ["GET", "POST", "PATCH", "DELETE", "BREW"] {
            for body in ["", "{", "[]", "null", "{\"requests\":3}"] {
                let mut request = Request::new(method, path).bearer(&client.graph);
                request.body = body.as_bytes().to_vec();
                assert!((200..500).contains(&client.tenant.handle(&request).status), "{method} {path} {body}");
            }
        }
    }
    assert!(client.tenant.diff_from_seed().is_empty());
}
