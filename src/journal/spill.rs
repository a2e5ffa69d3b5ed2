//! The last resort: where a result goes that the journal could not take.

use std::{
    env, fmt,
    fs::{self, File},
    io::{self, Write as _},
    path::PathBuf,
};

use crate::{
    journal::{disk, evidence::Exhibit},
    model::json_for_terminal,
};

/// How many names are tried.
const TRIES: u32 = 64;

/// Where results went that the journal could not take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spilled {
    /// A file that holds some of them, each whole and synced.
    pub file: Option<PathBuf>,
    /// Whether some were printed on standard error: there was nowhere else left.
    pub printed: bool,
}

impl Spilled {
    /// Whether there were none.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl fmt::Display for Spilled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.file, self.printed) {
            (None, false) => Ok(()),
            (None, true) => f.write_str(" (results that it could not take are printed above)"),
            (Some(file), false) => write!(f, " (results that it could not take are in {})", file.display()),
            (Some(file), true) => {
                write!(f, " (results that it could not take are in {}, and printed above)", file.display())
            }
        }
    }
}

/// One file in the system's folder for temporary files, made when it is first needed.
pub(crate) struct Spill {
    run: String,
    folder: PathBuf,
    open: Option<Open>,
    spilled: Spilled,
}

/// A file, and how much of it is whole results.
struct Open {
    path: PathBuf,
    file: File,
    whole: u64,
}

impl Spill {
    pub(crate) fn new(run: &str) -> Self {
        Self { run: run.to_owned(), folder: env::temp_dir(), open: None, spilled: Spilled::default() }
    }

    /// Writes a line, and behind it each of its exchanges: the head, then the body. Where this fails too, all of it is
    /// printed on standard error, past the filter of the program's log.
    pub(crate) fn put(&mut self, line: &[u8], exhibits: &[Exhibit]) {
        let mut bytes = line.to_vec();
        bytes.push(b'\n');
        for exhibit in exhibits {
            bytes.extend_from_slice(&exhibit.head);
            bytes.extend_from_slice(&exhibit.body);
            bytes.push(b'\n');
        }
        match self.keep(&bytes) {
            Ok(path) => self.spilled.file = Some(path),
            Err(_) => {
                self.spilled.printed = true;
                drop(writeln!(io::stderr().lock(), "{}", printable(line, exhibits)));
            }
        }
    }

    /// Where they are.
    pub(crate) fn spilled(&self) -> Spilled {
        self.spilled.clone()
    }

    /// Writes and syncs; a file is never left with a part of a result.
    fn keep(&mut self, bytes: &[u8]) -> io::Result<PathBuf> {
        let mut open = match self.open.take() {
            Some(open) => open,
            None => self.make()?,
        };
        let kept = open.file.write_all(bytes).and_then(|()| open.file.sync_all());
        let kept = kept.and_then(|()| if open.whole == 0 { disk::sync_entries(&self.folder) } else { Ok(()) });
        if let Err(error) = kept {
            if open.whole == 0 {
                fs::remove_file(&open.path)?;
            } else {
                open.file.set_len(open.whole)?;
                self.open = Some(open);
            }
            return Err(error);
        }
        open.whole += bytes.len() as u64;
        let path = open.path.clone();
        self.open = Some(open);
        Ok(path)
    }

    fn make(&self) -> io::Result<Open> {
        let mut failed = io::ErrorKind::AlreadyExists.into();
        for n in 0..TRIES {
            let path = self.folder.join(format!("staunch-{}-{n}.spill", self.run));
            // Never a file that is there: somebody else may have put it there, or a link.
            match disk::new_file().append(true).open(&path) {
                Ok(file) => return Ok(Open { path, file, whole: 0 }),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }
}

/// The same for a terminal, each part on a line of its own: a body, which may hold anything, as a JSON string.
fn printable(line: &[u8], exhibits: &[Exhibit]) -> String {
    let mut out = "a result that could be written nowhere else, and the exchanges behind it:\n".to_owned();
    out.push_str(&String::from_utf8_lossy(line));
    for exhibit in exhibits {
        let body = serde_json::Value::from(String::from_utf8_lossy(&exhibit.body));
        out.push_str(&format!("\n{}{body}", String::from_utf8_lossy(&exhibit.head)));
    }
    json_for_terminal(&out)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Spill, printable};
    use crate::journal::{evidence::Exhibit, testing::exchange};

    fn spill_in(folder: &std::path::Path) -> Spill {
        Spill { folder: folder.to_owned(), ..Spill::new("r1") }
    }

    #[test]
    fn a_file_is_named_that_holds_all_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = spill_in(dir.path());
        fs::write(dir.path().join("staunch-r1-0.spill"), "somebody else's").unwrap();
        spill.put(b"one", &[]);
        spill.put(b"two", &[]);
        let spilled = spill.spilled();
        let file = spilled.file.clone().unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), "one\ntwo\n");
        assert_eq!(
            spilled.to_string(),
            format!(" (results that it could not take are in {})", dir.path().join("staunch-r1-1.spill").display())
        );
    }

    #[test]
    fn a_file_that_is_not_there_is_not_named() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = spill_in(&dir.path().join("not-there"));
        spill.put(b"one", &[]);
        assert_eq!((spill.spilled().file, spill.spilled().printed), (None, true));
        assert_eq!(spill.spilled().to_string(), " (results that it could not take are printed above)");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn what_a_full_disk_took_before_stays_named_and_nothing_is_left_by_half() {
        let dir = tempfile::tempdir().unwrap();
        let mut spill = spill_in(dir.path());
        spill.put(b"one", &[]);
        let open = spill.open.as_mut().unwrap();
        let (path, whole) = (open.path.clone(), open.whole);
        // From now on the disk is full.
        let kept = std::mem::replace(&mut open.file, fs::File::options().write(true).open("/dev/full").unwrap());
        spill.put(b"two", &[]);
        assert_eq!(kept.metadata().unwrap().len(), whole);
        assert_eq!((spill.spilled().file, spill.spilled().printed), (Some(path), true));
        assert!(spill.spilled().to_string().ends_with(".spill, and printed above)"));
    }

    #[test]
    fn what_is_printed_holds_the_exchanges_and_does_nothing_to_a_terminal() {
        let answer = exchange("i1", "PATCH", "https://g.example/users/x", "a\u{1b}[2J\u{9b}b");
        let printed = printable(br#"{"type":"sent"}"#, &[Exhibit::new(3, 0, answer).unwrap()]);
        assert!(printed.contains(r#"{"type":"sent"}"#) && printed.contains("https://g.example/users/x"), "{printed}");
        assert!(printed.contains(r#""a\u001b[2J\u009bb""#), "{printed}");
    }
}
