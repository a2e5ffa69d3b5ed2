//! Files that this program derives from a record or a playbook: new, for this user only, and in no run's folder but its
//! `derived/`, since whatever else lies there is no part of the record and breaks it.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf, absolute},
};

use crate::{
    cli::{
        exit::{Exit, Failure},
        runs,
    },
    journal::{DERIVED, disk},
};

/// Writes a new file. A missing `derived/` is made.
pub(crate) fn write(file: &Path, text: &str) -> Result<(), Failure> {
    let shown = file.display();
    if let Some(run) = run_that_it_would_break(file) {
        let message =
            format!("failed to write {shown}: it would lie in the folder of a run, whose record would not verify");
        let folder = run.join(DERIVED);
        return Err(Failure::usage(message).hint(format!("write it into {}, or elsewhere", folder.display())));
    }
    let failed =
        |error: &dyn std::error::Error| Failure::new(Exit::CouldNotRun, format!("failed to write {shown}: {error}"));
    if let Some(folder) = file.parent().filter(|folder| folder.ends_with(DERIVED)) {
        disk::make_dir(folder).map_err(|error| failed(&error))?;
    }
    let opened = disk::new_file().write(true).open(file);
    let written = opened.and_then(|mut out| writeln!(out, "{}", text.trim_end_matches('\n')));
    written.map_err(|error| failed(&error))
}

/// The run in whose folder a new file would lie, outside of `derived/`: by where it really would, whatever links say.
fn run_that_it_would_break(file: &Path) -> Option<PathBuf> {
    let file = absolute(file).ok()?;
    let there = file.ancestors().skip(1).find_map(|folder| Some((fs::canonicalize(folder).ok()?, folder)));
    let (real, folder) = there?;
    let place = real.join(file.strip_prefix(folder).ok()?);
    let run = place.ancestors().skip(1).find(|folder| runs::is_run(folder))?;
    let inside = place.parent()?.strip_prefix(run).ok()?;
    (!inside.starts_with(DERIVED)).then(|| run.to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::write;
    use crate::cli::exit::Exit;

    #[test]
    fn nothing_is_written_beside_a_record() {
        let case = tempfile::tempdir().unwrap();
        let run = case.path().join("runs/r1");
        fs::create_dir_all(run.join("evidence")).unwrap();
        fs::write(run.join("run.json"), "{}").unwrap();
        let refused = |file: &str| {
            let file = run.join(file);
            write(&file, "x").is_err_and(|failure| failure.exit == Exit::Usage) && !file.exists()
        };
        for file in ["r.html", "evidence/r.html", "new/r.html", "derived", "derived.html", "new/../r.html"] {
            assert!(refused(file), "{file}");
        }
        assert!(!run.join("new").exists());
        write(&run.join("derived/r.html"), "x").unwrap();
        assert!(refused("derived/../r.html"));
        write(&case.path().join("r.html"), "x\n\n").unwrap();
        assert_eq!(fs::read_to_string(case.path().join("r.html")).unwrap(), "x\n");
        assert!(write(&case.path().join("r.html"), "y").is_err_and(|failure| failure.exit == Exit::CouldNotRun));
    }

    #[cfg(unix)]
    #[test]
    fn a_link_leads_nowhere_else_and_nobody_else_reads_it() {
        use std::os::unix::fs::{PermissionsExt as _, symlink};
        let case = tempfile::tempdir().unwrap();
        let run = case.path().join("r1");
        fs::create_dir(&run).unwrap();
        fs::write(run.join("run.json"), "{}").unwrap();
        symlink(&run, case.path().join("link")).unwrap();
        assert!(write(&case.path().join("link/r.html"), "x").is_err_and(|failure| failure.exit == Exit::Usage));
        write(&case.path().join("link/derived/r.html"), "x").unwrap();
        let mode = |path: &str| fs::metadata(run.join(path)).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode("derived"), mode("derived/r.html")), (0o700, 0o600));
    }
}
