//! Profiles: what is wrong is exit 2 and names its line; what the environment says about proxies is not read.

use std::{
    io::{BufRead as _, BufReader},
    process::Stdio,
};

use crate::lab::{FIVE_MINUTES, Lab};

/// Plans with this `auth` and more; where it stands is line 4.
fn planned_with(lab: &Lab, rest: &str) -> crate::lab::Ended {
    let us = lab.tenant.credentials();
    let text = format!("[tenants.lab]\ntenant_id = \"{}\"\nclient_id = \"{}\"\n{rest}\n", us.tenant_id, us.client_id);
    lab.write("staunch.toml", &text);
    lab.staunch(&["plan", FIVE_MINUTES, "-i", "users=johanna@sunnyside08.example"])
}

#[test]
fn what_is_wrong_with_a_profile_is_exit_2_at_its_line() {
    let lab = Lab::aitm();
    for (rest, says) in [
        ("auth = { kind = \"certificate\", file = \"none.pem\" }", "staunch.toml:4: profile lab: failed to read"),
        ("auth = { kind = \"certificate\", file = \"a\", passphrase = \"hunter2\" }", "line 4"),
        ("auth = { kind = \"secret\", env = \"NOT_SET\" }", "staunch.toml:4: profile lab: the client secret"),
        ("auth = { kind = \"browser\" }", "staunch.toml:4: profile lab: auth of kind browser needs a person"),
        ("auth = { kind = \"device-code\" }", "needs a person at a terminal"),
        ("auth = { kind = \"managed-identity\" }\nroots = \"mine\"", "line 5"),
        ("auth = { kind = \"managed-identity\" }\nproxy = \"http://me:hunter2@proxy.example\"", "staunch.toml:5"),
    ] {
        let ended = planned_with(&lab, rest);
        assert_eq!(ended.code, Some(2), "{rest}: {}", ended.text());
        assert!(ended.stderr.contains(says), "{}", ended.stderr);
    }
    assert!(lab.tenant.requests().is_empty());
}

#[test]
fn proxies_of_the_environment_are_not_used() {
    let lab = Lab::aitm();
    let mut command = lab.command(&["plan", FIVE_MINUTES, "-i", "users=johanna@sunnyside08.example"]);
    for name in ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY"] {
        command.env(name, "http://127.0.0.1:1");
    }
    let ended = crate::lab::Ended::of(command.output().unwrap());
    assert_eq!(ended.code, Some(0), "{}", ended.text());
}

#[test]
fn a_run_takes_its_deadline_and_how_to_prove_from_the_command_line() {
    let lab = Lab::aitm();
    let victim = "users=johanna@sunnyside08.example";
    let ended = lab.staunch(&["plan", FIVE_MINUTES, "-i", victim, "--deadline", "0"]);
    assert_eq!(ended.code, Some(2), "{}", ended.text());
    let ended =
        lab.staunch(&["plan", FIVE_MINUTES, "-i", victim, "--deadline", "30", "--out", "p.json", "--format", "json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let plan: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    let ended = lab.staunch(&["apply", "p.json", "--approve", digest, "--verify", "strict"]);
    assert_eq!(ended.code, Some(0), "{}", ended.text());
    let journal = std::fs::read_to_string(lab.path(&format!("case/runs/{}/journal.jsonl", lab.run_id()))).unwrap();
    assert!(journal.contains("seen by 3 reads in a row"));
}

#[cfg(target_os = "linux")]
#[test]
fn the_program_leaves_no_core_file() {
    let lab = Lab::aitm();
    let mut command = lab.command(&["tenant", "serve", "--port", "0"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", child.id())).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    let words: Vec<&str> = core.split_whitespace().collect();
    assert_eq!(words[4..6], ["0", "0"], "{core}");
}
