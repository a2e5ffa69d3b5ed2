//! The few ways in which a run's folder touches the disk: private modes, nothing overwritten, everything fsynced.

use std::{
    cell::Cell,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Write as _},
    path::Path,
    thread,
};

use crate::journal::JournalError;

/// Most fsyncs at once. File systems gather concurrent ones into one commit of their own journal.
const SYNCS: usize = 8;

thread_local! {
    /// What a test leaves to this thread until its disk is full.
    static LEFT: Cell<Option<u64>> = const { Cell::new(None) };
}

/// For tests: after so many operations of this thread the disk is full, and stays so.
pub(crate) fn fill_after(operations: u64) {
    LEFT.set(Some(operations));
}

/// Counts an operation of a thread whose disk a test has filled.
fn room() -> io::Result<()> {
    match LEFT.get() {
        None => Ok(()),
        Some(0) => Err(io::ErrorKind::StorageFull.into()),
        Some(left) => {
            LEFT.set(Some(left - 1));
            Ok(())
        }
    }
}

/// Writes all of it. Where the disk is full, a part of it: that is what a real one does.
fn write_all(file: &mut File, bytes: &[u8]) -> io::Result<()> {
    if let Err(full) = room() {
        file.write_all(bytes.get(..bytes.len() / 2).unwrap_or_default())?;
        return Err(full);
    }
    file.write_all(bytes)
}

/// Adds to the end of an open file.
pub(crate) fn append(file: &mut File, path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    write_all(file, bytes).map_err(JournalError::io("append to", path))
}

/// Brings what was added to the disk.
pub(crate) fn sync_data(file: &File, path: &Path) -> Result<(), JournalError> {
    room().and_then(|()| file.sync_data()).map_err(JournalError::io("fsync", path))
}

/// Gives a file its final name. The folder is for the caller to fsync.
pub(crate) fn rename(from: &Path, to: &Path) -> Result<(), JournalError> {
    room().and_then(|()| fs::rename(from, to)).map_err(JournalError::io("rename", from))
}

/// Makes a folder for this user only, and its parents; a folder that is there stays as it is.
pub(crate) fn make_dir(path: &Path) -> Result<(), JournalError> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        make_dir(parent)?;
    }
    make_new_dir(path)
}

/// Makes a folder for this user only; it must not be there yet.
pub(crate) fn make_new_dir(path: &Path) -> Result<(), JournalError> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path).map_err(JournalError::io("create the folder", path))?;
    match path.parent().filter(|p| !p.as_os_str().is_empty()) {
        Some(parent) => sync_dir(parent),
        None => sync_dir(Path::new(".")),
    }
}

/// Options for a file that only this user may read and that must not be there yet.
pub(crate) fn new_file() -> OpenOptions {
    with_mode(0o600)
}

#[cfg_attr(not(unix), expect(unused_variables, reason = "Windows has no modes"))]
fn with_mode(mode: u32) -> OpenOptions {
    let mut options = File::options();
    options.create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    options
}

/// Writes a new file, without an fsync yet.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<File, JournalError> {
    write_as(new_file(), path, bytes)
}

/// The same for evidence: nobody writes to it again, not even by accident.
pub(crate) fn write_exhibit(path: &Path, bytes: &[u8]) -> Result<File, JournalError> {
    write_as(with_mode(0o400), path, bytes)
}

fn write_as(mut options: OpenOptions, path: &Path, bytes: &[u8]) -> Result<File, JournalError> {
    let open = room().and_then(|()| options.write(true).open(path));
    let mut file = open.map_err(JournalError::io("create", path))?;
    write_all(&mut file, bytes).map_err(JournalError::io("write", path))?;
    Ok(file)
}

/// Writes a new file and brings it to the disk. Its folder is for the caller to fsync.
pub(crate) fn write_new_synced(path: &Path, bytes: &[u8]) -> Result<(), JournalError> {
    let file = write_new(path, bytes)?;
    room().and_then(|()| file.sync_all()).map_err(JournalError::io("fsync", path))
}

/// Brings the entries of a folder to the disk. Windows has no such call and orders them itself.
pub(crate) fn sync_dir(path: &Path) -> Result<(), JournalError> {
    let room = if cfg!(unix) { room() } else { Ok(()) };
    room.and_then(|()| sync_entries(path)).map_err(JournalError::io("fsync the folder", path))
}

/// The same in a folder that is not of a run, where a test's full disk is another one.
pub(crate) fn sync_entries(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

/// Brings many files to the disk, several at once.
pub(crate) fn sync_all(files: &[File]) -> io::Result<()> {
    room()?;
    let share = files.len().div_ceil(SYNCS).max(1);
    if files.len() <= 2 {
        return files.iter().try_for_each(File::sync_all);
    }
    thread::scope(|scope| {
        let workers: Vec<_> =
            files.chunks(share).map(|some| scope.spawn(|| some.iter().try_for_each(File::sync_all))).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().unwrap_or_else(|_| Err(io::Error::other("an fsync panicked"))))
    })
}

/// Reads a file that must be a plain one: a link could show bytes from elsewhere.
pub(crate) fn read_plain(path: &Path) -> Result<Vec<u8>, JournalError> {
    let read = || {
        if fs::symlink_metadata(path)?.is_file() {
            fs::read(path)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a plain file"))
        }
    };
    read().map_err(JournalError::io("read", path))
}

#[cfg(test)]
mod tests {
    use std::{fs, fs::File};

    use super::{make_dir, read_plain, sync_all, write_new, write_new_synced};

    #[test]
    fn nothing_is_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        write_new_synced(&path, b"one").unwrap();
        assert!(write_new(&path, b"two").is_err());
        assert_eq!(read_plain(&path).unwrap(), b"one");
    }

    #[cfg(unix)]
    #[test]
    fn only_this_user_can_read() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("case/runs");
        make_dir(&folder).unwrap();
        write_new_synced(&folder.join("f"), b"x").unwrap();
        super::write_exhibit(&folder.join("e"), b"x").unwrap();
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(folder.clone()), 0o700);
        assert_eq!(mode(dir.path().join("case")), 0o700);
        assert_eq!(mode(folder.join("f")), 0o600);
        assert_eq!(mode(folder.join("e")), 0o400);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_is_not_read() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("real"), b"x").unwrap();
        std::os::unix::fs::symlink(dir.path().join("real"), dir.path().join("link")).unwrap();
        assert!(read_plain(&dir.path().join("link")).is_err());
    }

    #[test]
    fn any_number_of_files_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        for count in [0_usize, 1, 3, 8, 9, 40] {
            let files: Vec<File> =
                (0..count).map(|n| write_new(&dir.path().join(format!("{count}-{n}")), b"x").unwrap()).collect();
            sync_all(&files).unwrap();
        }
    }
}
