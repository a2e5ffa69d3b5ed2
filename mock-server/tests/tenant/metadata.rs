//! Every answer's property names and types against Graph's published metadata, where that is at hand.
//!
//! The file is Microsoft's `v1.0` CSDL. It is looked for beside the repository and not kept in it.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::Path;

use mock_server::{Request, routes};
use serde_json::Value;

use crate::csdl::Metadata;
use crate::support::{Client, VICTIM};

/// Where the file may be, from this package's folder.
const PLACES: &[&str] = &["../../shared/graph-v1.0.csdl.xml", "../../../shared/graph-v1.0.csdl.xml"];

/// What differs on purpose, with the reason.
const DIFFERENT: &[(&str, &str)] = &[
    ("servicePrincipal.createdDateTime", "live answers carry it"),
    ("defaultAuditData.", "an open type: the workload's own names"),
    ("userIdentity.userType", "live audit entries carry it"),
    ("userIdentity.homeTenantId", "live audit entries carry it"),
    ("userIdentity.homeTenantName", "live audit entries carry it"),
];

fn metadata() -> Option<Metadata> {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = PLACES.iter().find_map(|place| std::fs::read_to_string(here.join(place)).ok());
    if text.is_none() {
        writeln!(std::io::stderr(), "skipped: the metadata file is not beside the repository").ok();
    }
    text.map(|text| Metadata::parse(&text))
}

#[test]
fn every_path_is_in_the_metadata() {
    let Some(metadata) = metadata() else { return };
    // The file is that of version 1.0.
    let wrong: Vec<String> = routes()
        .iter()
        .filter(|route| !route.beta)
        .filter_map(|route| {
            metadata.resolve(route.path).err().map(|reason| format!("{} {}: {reason}", route.method, route.path))
        })
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_answer_has_the_metadatas_names_and_types() {
    let Some(metadata) = metadata() else { return };
    let client = Client::new();
    let query = serde_json::json!({"displayName": "all", "serviceFilters": []});
    assert_eq!(client.write("POST", "/security/auditLog/queries", &query).status, 201);
    client.tenant.edit(|state| {
        let device = state.devices.values().next().map(|device| device.id.clone());
        let unit = state.administrative_units.values().next().map(|unit| unit.id.clone()).unwrap();
        state.administrative_units.get_mut(&unit).unwrap().hidden.members.extend(device);
    });
    let (mut wrong, mut empty) = (BTreeSet::new(), Vec::new());
    for route in routes().iter().filter(|route| route.method == "GET" && !route.beta) {
        // Operations are for signed-in administrators.
        if route.path.contains("/operations/") {
            continue;
        }
        // A count is text, not an object.
        let Some(kind) = metadata.resolve(route.path).ok().flatten() else {
            continue;
        };
        let mut rows = 0;
        for path in concrete(&client, route.path) {
            let body = everything(&client, &path);
            let objects = match body.get("value") {
                Some(Value::Array(items)) => items.clone(),
                _ => vec![body],
            };
            let element = kind.trim_start_matches("Collection(").trim_end_matches(')');
            for object in &objects {
                let mut found = Vec::new();
                metadata.check(object, element, &mut found);
                wrong.extend(found.into_iter().map(|text| format!("{}: {text}", route.path)));
            }
            rows += objects.len();
        }
        if rows == 0 {
            empty.push(route.path);
        }
    }
    let stale: Vec<&str> = DIFFERENT
        .iter()
        .map(|(known, _)| *known)
        .filter(|known| !wrong.iter().any(|text| text.contains(known)))
        .collect();
    assert!(stale.is_empty(), "no longer different: {stale:?}");
    wrong.retain(|text| !DIFFERENT.iter().any(|(known, _)| text.contains(known)));
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(empty.is_empty(), "no object to look at: {empty:#?}");
}

/// All properties of a user must be asked for (this tenant takes a star for that), and a cast needs the index store.
fn everything(client: &Client, path: &str) -> Value {
    let is_user = path.split('/').nth(1) == Some("users") && path.split('/').count() <= 3;
    let query = if is_user {
        "?$select=*"
    } else if path.contains("microsoft.graph.") {
        "?$count=true"
    } else {
        ""
    };
    let request = Request::new("GET", &format!("/v1.0{path}{query}")).header("ConsistencyLevel", "eventual");
    let response = client.send(request);
    assert_eq!(response.status, 200, "{path}: {}", response.body_json());
    response.body_json()
}

/// The pattern with ids that exist. A list gives the ids of its objects; a report takes the users'.
fn concrete(client: &Client, pattern: &str) -> Vec<String> {
    // Not everybody has a mailbox.
    if let Some(rest) = pattern.strip_prefix("/users/{}/mail") {
        let (folder, keys) = rest.split_once("/{}").map_or((rest, false), |(folder, _)| (folder, true));
        let path = format!("{VICTIM}/mail{folder}");
        return if keys { ids(client, &path).iter().map(|id| format!("{path}/{id}")).collect() } else { vec![path] };
    }
    let mut paths = vec![String::new()];
    for segment in pattern.split('/').skip(1) {
        if segment != "{}" {
            paths.iter_mut().for_each(|path| *path = format!("{path}/{segment}"));
            continue;
        }
        paths =
            paths.iter().flat_map(|path| ids(client, path).into_iter().map(move |id| format!("{path}/{id}"))).collect();
    }
    paths
}

fn ids(client: &Client, path: &str) -> Vec<String> {
    if path == "/directory/deletedItems" {
        let kiosk = client.json("/users/kiosk@sunnyside08.example")["id"].as_str().unwrap().to_owned();
        assert_eq!(client.delete(&format!("/users/{kiosk}")).status, 204);
        return vec![kiosk];
    }
    let list = if path.ends_with("userRegistrationDetails") { "/users" } else { path };
    let response = client.get(list);
    assert_eq!(response.status, 200, "{list}: {}", response.body_json());
    let rows = response.body_json()["value"].as_array().cloned().unwrap_or_default();
    rows.iter()
        .map(|row| row["id"].as_str().or(row["tenantId"].as_str()).unwrap().replace('#', "%23").replace('/', "%2F"))
        .collect()
}
