//! What the program leaves behind when it dies with secrets in its memory: no core file, and no secret on stderr.
#![cfg(unix)]

use std::{
    os::unix::process::ExitStatusExt as _,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use mock_server::faults::{Effect, Fault, Match};

use crate::lab::{Ended, FIVE_MINUTES, Lab};

const SIGABRT: i32 = 6;

#[test]
fn an_abort_with_secrets_in_memory_leaves_no_core_and_prints_none() {
    let may = Command::new("sh").args(["-c", "ulimit -c unlimited"]).status().unwrap();
    if !may.success() {
        std::io::Write::write_all(&mut std::io::stderr(), b"SKIPPED: nobody may have core files here\n").unwrap();
        return;
    }
    let lab = Lab::aitm();
    lab.tenant
        .faults()
        .add(Fault::always(Match { method: Some("GET".into()), ..Match::default() }, Effect::Delay(60_000)));
    let staunch = assert_cmd::cargo::cargo_bin("staunch");
    let mut command = Command::new("sh");
    // Whoever starts us may want core files.
    command.args(["-c", "ulimit -c unlimited && exec \"$0\" \"$@\""]).arg(staunch);
    command.args(["plan", FIVE_MINUTES, "-i", "users=johanna@sunnyside08.example", "-vv"]);
    command.env_clear().current_dir(lab.dir.path()).env("PATH", "/usr/bin:/bin");
    command.env("LAB_SECRET", lab.tenant.credentials().client_secret).env("STAUNCH_LOG", "trace");
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let signed_in = || lab.tenant.secrets().iter().any(|secret| secret.contains(".eyJ"));
    while !signed_in() {
        thread::sleep(Duration::from_millis(5));
    }
    let killed = Command::new("kill").args(["-ABRT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.signal(), output.status.core_dumped()), (Some(SIGABRT), false));
    Ended::of(output);
    let left: Vec<_> = std::fs::read_dir(lab.dir.path()).unwrap().map(|it| it.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("core")), "{left:?}");
}
