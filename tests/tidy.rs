//! Rules of the house that no compiler knows: layers, module docs, sizes, forgotten files, fresh generated files.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    env, fs,
    path::{Path, PathBuf},
};

use staunch::{action::docs, actions::REGISTRY, plan::GUARD_READS};

/// Which modules of the crate a module may use.
const LAYERS: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("playbook", &["model"]),
    ("client", &["model"]),
    ("journal", &["model"]),
    ("action", &["model", "playbook", "client"]),
    ("actions", &["model", "client", "action"]),
    ("cacao", &["model", "playbook", "client", "action"]),
    ("plan", &["model", "playbook", "client", "journal", "action"]),
    ("engine", &["model", "playbook", "client", "journal", "action", "plan"]),
    ("report", &["model", "journal"]),
    ("reconcile", &["model", "journal", "client"]),
    ("store", &["model", "journal", "client"]),
    (
        "cli",
        &[
            "model",
            "playbook",
            "client",
            "journal",
            "action",
            "actions",
            "plan",
            "engine",
            "report",
            "reconcile",
            "store",
            "cacao",
            "cli",
        ],
    ),
];

const LONGEST_FILE: usize = 600;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn rust_files(under: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root().join(under)];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    assert!(!found.is_empty(), "no Rust files under {under}");
    found
}

fn all_files() -> Vec<PathBuf> {
    ["src", "tests", "mock-server"].iter().flat_map(|under| rust_files(under)).filter(|path| !in_target(path)).collect()
}

fn in_target(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "target")
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string().replace('\\', "/")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", shown(path)))
}

/// Names that follow `crate::` in a text, singly or in a braced list.
fn uses(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, _) in text.match_indices("crate::") {
        if text[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '$') {
            continue;
        }
        let rest = &text[at + "crate::".len()..];
        if let Some(list) = rest.strip_prefix('{') {
            found.extend(top_names(list));
        } else {
            found.insert(rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect());
        }
    }
    found
}

/// The first name of each entry of a braced list, whose opening brace is gone.
fn top_names(list: &str) -> Vec<String> {
    let (mut names, mut depth, mut name, mut taking) = (Vec::new(), 0, String::new(), true);
    for c in list.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                names.push(std::mem::take(&mut name));
                taking = true;
            }
            c if depth == 0 && taking && (c.is_alphanumeric() || c == '_') => name.push(c),
            c if depth == 0 && !c.is_whitespace() => taking = false,
            _ => {}
        }
    }
    names.push(name);
    names.retain(|name| !name.is_empty());
    names
}

#[test]
fn the_scanner_sees_single_and_listed_uses() {
    let text = "use crate::{\n    client::{ReadError, Reader},\n    model::Call,\n};\nlet x = crate::plan::y();";
    assert_eq!(uses(text), ["client", "model", "plan"].map(str::to_owned).into());
}

#[test]
fn a_module_uses_lower_layers_only() {
    let layers: BTreeMap<&str, &[&str]> = LAYERS.iter().copied().collect();
    let mut wrong = Vec::new();
    for path in rust_files("src") {
        let name = shown(&path);
        let Some(module) = name.strip_prefix("src/").and_then(|rest| rest.split_once('/')).map(|(module, _)| module)
        else {
            continue;
        };
        let allowed = layers.get(module).unwrap_or_else(|| panic!("{name}: module {module} is in no layer"));
        for used in uses(&read(&path)) {
            if layers.contains_key(used.as_str()) && used != module && !allowed.contains(&used.as_str()) {
                wrong.push(format!("{name} uses crate::{used}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_writing_client_is_named_in_the_engine_only() {
    let names = |path: &PathBuf| {
        let text = read(path);
        text.contains(".sender()") || (text.contains("client") && text.contains("Sender"))
    };
    let allowed = |path: &PathBuf| ["src/client/", "src/engine/"].iter().any(|dir| shown(path).starts_with(dir));
    let wrong: Vec<String> =
        rust_files("src").into_iter().filter(|path| names(path) && !allowed(path)).map(|path| shown(&path)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_mock_shares_nothing_with_the_main_crate() {
    for path in rust_files("mock-server").iter().filter(|path| !in_target(path)) {
        assert!(!read(path).contains("staunch::"), "{}", shown(path));
    }
    let manifest = read(&root().join("mock-server/Cargo.toml"));
    assert!(!manifest.contains("path ="), "mock-server depends on another crate of the workspace");
}

#[test]
fn every_file_says_what_belongs_in_it() {
    let silent: Vec<String> =
        all_files().iter().filter(|path| !read(path).starts_with("//!")).map(|path| shown(path)).collect();
    assert!(silent.is_empty(), "{silent:#?}");
}

#[test]
fn no_file_is_too_long_to_read() {
    let long: Vec<String> = all_files()
        .iter()
        .map(|path| (shown(path), read(path).lines().count()))
        .filter(|(_, lines)| *lines > LONGEST_FILE)
        .map(|(name, lines)| format!("{name}: {lines} lines"))
        .collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn nothing_is_left_unfinished() {
    let marks = ["todo!", "unimplemented!", "FIXME", "// XXX", "#[ignore"];
    let me = root().join(file!());
    for path in all_files().iter().filter(|path| **path != me) {
        let text = read(path);
        for mark in marks {
            assert!(!text.contains(mark), "{}: {mark}", shown(path));
        }
    }
}

#[test]
fn time_is_a_parameter() {
    let allowed = ["src/model/clock.rs"];
    for path in rust_files("src").iter().filter(|path| !allowed.contains(&shown(path).as_str())) {
        for call in ["Timestamp::now", "SystemTime::now", "Instant::now", "thread::sleep", "time::sleep"] {
            assert!(!read(path).contains(call), "{}: {call}", shown(path));
        }
    }
}

#[test]
fn an_action_is_its_file() {
    let files: BTreeSet<String> = fs::read_dir(root().join("src/actions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".rs") && name != "mod.rs")
        .collect();
    let registered: BTreeSet<String> =
        REGISTRY.iter().map(|action| format!("{}.rs", action.meta().id.replace(['.', '-'], "_"))).collect();
    assert_eq!(files, registered, "every file of src/actions is an action that is registered, and is named after it");
}

/// Compares a generated file with what the program generates now; `STAUNCH_BLESS=1` writes it instead.
fn fresh(name: &str, text: &str) {
    let path = root().join(name);
    if env::var_os("STAUNCH_BLESS").is_some() {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
    }
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found.replace("\r\n", "\n") == text,
        "{name} is stale: run `STAUNCH_BLESS=1 cargo test --test tidy` and read the difference"
    );
}

#[test]
fn the_actions_pages_are_fresh() {
    let mut pages = BTreeSet::new();
    for action in REGISTRY.iter() {
        let name = format!("{}.md", action.meta().id);
        fresh(&format!("docs/actions/{name}"), &docs::page(action));
        pages.insert(name);
    }
    let found: BTreeSet<String> = fs::read_dir(root().join("docs/actions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    assert_eq!(found, pages, "docs/actions has a page of no action");
}

#[test]
fn the_permissions_page_is_fresh() {
    fresh("docs/permissions.md", &docs::permissions(REGISTRY, GUARD_READS));
}

#[test]
fn the_playbook_schema_is_fresh() {
    let schema = serde_json::to_string_pretty(&staunch::playbook::schema(&REGISTRY)).unwrap();
    fresh("docs/playbook.schema.json", &format!("{schema}\n"));
}

#[test]
fn the_schema_of_the_evidence_is_fresh() {
    let schema = serde_json::to_string_pretty(&staunch::journal::schema()).unwrap();
    fresh("docs/evidence.schema.json", &format!("{schema}\n"));
}

/// The second verifier is to stay short enough to be read whole, and the page says how long it is.
#[test]
fn the_second_verifier_is_as_long_as_its_page_says() {
    let text = read(&root().join("tests/verify.py"));
    let code = text.splitn(3, "\"\"\"").nth(2).unwrap().lines().map(str::trim);
    let lines = code.filter(|line| !line.is_empty() && !line.starts_with('#') && !line.starts_with("\"\"\"")).count();
    let page = read(&root().join("docs/evidence-format.md")).replace('\n', " ");
    assert!(page.contains(&format!("one file of {lines} lines of code")), "{lines} lines of code");
    let long: Vec<&str> = text.lines().filter(|line| line.chars().count() > 120).collect();
    assert!(long.is_empty(), "{long:#?}");
}

#[test]
fn the_command_line_page_is_fresh() {
    fresh("docs/cli.md", &staunch::cli::reference());
}

#[test]
fn every_relative_link_in_the_docs_leads_somewhere() {
    let mut pages = vec![root().join("README.md"), root().join("CHANGELOG.md")];
    let docs = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    for page in pages {
        let text = read(&page);
        for (at, _) in text.match_indices("](") {
            let link = text[at + 2..].split([')', '#']).next().unwrap_or_default();
            if !link.is_empty() && !link.contains("://") {
                assert!(page.parent().unwrap().join(link).exists(), "{}: dead link {link}", shown(&page));
            }
        }
    }
}
