//! No secret in anything that the binary writes or prints, at its most talkative.

use std::{fs, path::Path};

use crate::lab::{FIVE_MINUTES, Lab};

const VICTIM: &str = "johanna@sunnyside08.example";

fn every_file(under: &Path, found: &mut Vec<Vec<u8>>) {
    for entry in fs::read_dir(under).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { every_file(&path, found) } else { found.push(fs::read(path).unwrap()) }
    }
}

/// Whether any 32 bytes of a text are the victim's password, as the tenant knows it.
fn holds_the_password(lab: &Lab, text: &[u8]) -> bool {
    let guesses =
        text.windows(32).filter(|window| !window.contains(&b' ')).filter_map(|window| std::str::from_utf8(window).ok());
    guesses.into_iter().any(|guess| lab.tenant.password_is(VICTIM, guess))
}

#[test]
fn neither_password_nor_client_secret_nor_token_is_written_or_printed() {
    let lab = Lab::aitm();
    let recipient = age::x25519::Identity::generate().to_public().to_string();
    let mut args: Vec<String> = lab.plan_args();
    args.extend(["--recipient", &recipient, "--out", "plan.json", "-vv", "--format", "json"].map(str::to_owned));
    let planned = lab.staunch(&args.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(planned.code, Some(0), "{}", planned.text());
    let plan: serde_json::Value = serde_json::from_str(&planned.stdout).unwrap();
    let digest = plan["digest"].as_str().unwrap();
    let mut command = lab.command(&["apply", "plan.json", "--approve", digest, "-vv"]);
    let applied = crate::lab::Ended::of(command.env("STAUNCH_LOG", "trace").output().unwrap());
    assert_eq!(applied.code, Some(0), "{}", applied.text());
    assert_eq!(lab.tenant.passwords_set(VICTIM), 1);
    assert_eq!(fs::read_dir(lab.path("case/handover")).unwrap().count(), 1, "the password is handed over, sealed");

    let run = lab.run_id();
    let mut texts = vec![planned.text().into_bytes(), applied.text().into_bytes()];
    for verb in [&["report", &run, "--markdown"][..], &["report", &run, "--format", "json"], &["audit", "show", &run]] {
        texts.push(lab.staunch(verb).text().into_bytes());
    }
    every_file(&lab.path("case"), &mut texts);
    let secret = lab.tenant.credentials().client_secret;
    for text in texts {
        assert!(!holds_the_password(&lab, &text), "the new password");
        for (name, secret) in [("client secret", secret.as_bytes()), ("token", b".eyJ")] {
            assert!(!text.windows(secret.len()).any(|window| window == secret), "the {name}");
        }
    }
}

#[test]
fn a_failed_sign_in_does_not_print_the_secret_that_was_tried() {
    let lab = Lab::aitm();
    let mut command = lab.command(&["plan", FIVE_MINUTES, "-i", &format!("users={VICTIM}"), "-vv"]);
    let ended =
        crate::lab::Ended::of(command.env("LAB_SECRET", "canary-0f3b").env("STAUNCH_LOG", "trace").output().unwrap());
    assert_eq!(ended.code, Some(1));
    assert!(!ended.text().contains("canary-0f3b"), "{}", ended.text());
}
