//! The last resort: where a result goes that the journal could not take.

use std::{
    env,
    fs::File,
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use crate::journal::{disk, evidence::Exhibit};

/// How many names are tried.
const TRIES: u32 = 64;

/// One file in the system's folder for temporary files, made when it is first needed.
pub(crate) struct Spill {
    run: String,
    open: Option<(PathBuf, File)>,
}

impl Spill {
    pub(crate) fn new(run: &str) -> Self {
        Self { run: run.to_owned(), open: None }
    }

    /// Writes a line, and behind it each of its exchanges: the head, then the body. Where this fails too, the line is
    /// kept in the program's log, which goes to standard error: there is nowhere else left.
    pub(crate) fn put(&mut self, line: &[u8], exhibits: &[Exhibit]) {
        let mut bytes = line.to_vec();
        bytes.push(b'\n');
        for exhibit in exhibits {
            bytes.extend_from_slice(&exhibit.head);
            bytes.extend_from_slice(&exhibit.body);
            bytes.push(b'\n');
        }
        if self.open.is_none() {
            self.open = (0..TRIES).find_map(|n| self.make(n).ok());
        }
        let put = |(_, file): &mut (PathBuf, File)| file.write_all(&bytes).and_then(|()| file.sync_all()).is_ok();
        if !self.open.as_mut().is_some_and(put) {
            let line = String::from_utf8_lossy(line);
            tracing::error!(%line, "a result could not be written anywhere else");
        }
    }

    /// The file, where one was needed.
    pub(crate) fn path(&self) -> Option<&Path> {
        self.open.as_ref().map(|(path, _)| path.as_path())
    }

    fn make(&self, n: u32) -> io::Result<(PathBuf, File)> {
        let path = env::temp_dir().join(format!("staunch-{}-{n}.spill", self.run));
        // Never a file that is there: somebody else may have put it there, or a link.
        let file = disk::new_file().append(true).open(&path)?;
        Ok((path, file))
    }
}
