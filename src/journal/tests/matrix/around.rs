//! The case around a run: runs that are taken away, exchanged or presented twice, and sealed secrets.

use std::fs;

use serde_json::Value;

use super::{Layer, Row, hold, row};
use crate::journal::verify::Code;

fn runs() -> Vec<Row> {
    let rows = vec![
        row("an earlier run removed", Layer::Case, &[Code::EarlierRunMissing], |victim| {
            fs::remove_dir_all(victim.run.with_file_name("r1")).unwrap();
        }),
        row("an earlier run's journal removed", Layer::Case, &[Code::EarlierRunChanged], |victim| {
            fs::remove_file(victim.run.with_file_name("r1").join("journal.jsonl")).unwrap();
        }),
        row("an earlier run cut off", Layer::Case, &[Code::EarlierRunChanged], |victim| {
            let path = victim.run.with_file_name("r1").join("journal.jsonl");
            let text = fs::read_to_string(&path).unwrap();
            let kept: String = text.lines().take(8).map(|line| format!("{line}\n")).collect();
            fs::write(path, kept).unwrap();
        }),
        row("an earlier run edited", Layer::Case, &[Code::EarlierRunChanged], |victim| {
            let path = victim.run.with_file_name("r1").join("journal.jsonl");
            let text = fs::read_to_string(&path).unwrap();
            fs::write(path, text.replace(r#""contained_ms":7000"#, r#""contained_ms":9000"#)).unwrap();
        }),
        row("an earlier run's seal exchanged", Layer::Case, &[Code::EarlierRunChanged], |victim| {
            fs::write(victim.run.with_file_name("r1").join("seal.note"), "x").unwrap();
        }),
        row("an earlier run of a name that leads elsewhere", Layer::Files, &[Code::BadPath], |victim| {
            victim.edit_json(0, |line| line["record"]["earlier"][0]["run"] = "../runs/r1".into());
            victim.forge_own();
        }),
        row("copied elsewhere, without the runs before it", Layer::Told, &[Code::EarlierRunsElsewhere], |victim| {
            let alone = victim.case.path().join("r2");
            fs::rename(&victim.run, &alone).unwrap();
            victim.run = alone;
        }),
    ];
    let twice = row("another folder of the case claims to be this run", Layer::Case, &[Code::RunIdReused], |victim| {
        let other = victim.run.with_file_name("r9");
        fs::create_dir(&other).unwrap();
        fs::copy(victim.path("run.json"), other.join("run.json")).unwrap();
    });
    let written_anew =
        row("another folder claims to be this run, in other bytes", Layer::Case, &[Code::RunIdReused], |victim| {
            let other = victim.run.with_file_name("r9");
            fs::create_dir(&other).unwrap();
            let header: Value = serde_json::from_slice(&fs::read(victim.path("run.json")).unwrap()).unwrap();
            fs::write(other.join("run.json"), header.to_string()).unwrap();
        });
    rows.into_iter().map(|row| row.of("r2")).chain([twice, written_anew]).collect()
}

fn secrets() -> Vec<Row> {
    let rows = vec![
        row("a sealed secret exchanged", Layer::Files, &[Code::HandoverEdited], |victim| {
            fs::write(victim.case.path().join("handover/r2/a.age"), "another").unwrap();
        }),
        row("a sealed secret that leads elsewhere", Layer::Files, &[Code::BadPath], |victim| {
            victim.edit_line(3, "handover/r2/a.age", "handover/../runs/r1/run.json");
            victim.forge_own();
        }),
        row("a sealed secret that is not in its folder", Layer::Files, &[Code::BadPath], |victim| {
            victim.edit_line(3, "handover/r2/a.age", "runs/r1/run.json");
            victim.forge_own();
        }),
        row("a sealed secret given away", Layer::Told, &[Code::HandoverGone], |victim| {
            fs::remove_dir_all(victim.case.path().join("handover")).unwrap();
        }),
    ];
    rows.into_iter().map(|row| row.of("r2")).collect()
}

#[cfg(unix)]
fn links() -> Vec<Row> {
    use std::os::unix::fs::symlink;
    vec![
        row("a link to this run beside it, which is no other run", Layer::Told, &[], |victim| {
            symlink(&victim.run, victim.run.with_file_name("latest")).unwrap();
        }),
        row("a link for a sealed secret", Layer::Files, &[Code::NotPlain], |victim| {
            let path = victim.case.path().join("handover/r2/a.age");
            fs::rename(&path, victim.case.path().join("outside")).unwrap();
            symlink("../../outside", path).unwrap();
        })
        .of("r2"),
    ]
}

#[test]
fn the_other_runs_of_the_case() {
    hold(&runs());
}

#[cfg(unix)]
#[test]
fn links_beside_the_run() {
    hold(&links());
}

#[test]
fn sealed_secrets_beside_the_run() {
    hold(&secrets());
}
