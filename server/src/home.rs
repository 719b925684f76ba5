//! The data directory: made when it is missing, and held by one process at a time.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::disk::sync_directory;

const LOCK_FILE: &str = ".lock";

/// A data directory that this process holds. Dropping it, or the end of the process in whatever way, lets it go.
#[derive(Debug)]
pub(crate) struct Home {
    path: PathBuf,
    _lock: File,
}

impl Home {
    /// Makes the directory if need be and takes its lock. The error says what to do.
    pub(crate) fn hold(path: &Path) -> Result<Home, String> {
        make(path)?;
        let path = path.canonicalize().map_err(|e| format!("cannot look at {}: {e}", path.display()))?;
        let lock = lock(&path)?;
        Ok(Home { path, _lock: lock })
    }

    /// Its absolute path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

fn make(path: &Path) -> Result<(), String> {
    if path.is_dir() {
        return Ok(());
    }
    let missing: Vec<&Path> =
        path.ancestors().take_while(|part| !part.as_os_str().is_empty() && !part.exists()).collect();
    fs::create_dir_all(path).map_err(|e| denied("create the data directory", path, &e))?;
    // The new names must outlive a power cut as the records below them do.
    missing.iter().try_for_each(|made| {
        let parent = made.parent().filter(|parent| !parent.as_os_str().is_empty());
        sync_directory(parent.unwrap_or(Path::new("."))).map_err(|e| e.message)
    })
}

fn lock(path: &Path) -> Result<File, String> {
    let lock = path.join(LOCK_FILE);
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(&lock)
        .map_err(|e| denied("write to the data directory", path, &e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(held(path, &mut file)),
        Err(TryLockError::Error(e)) => return Err(format!("cannot lock {}: {e}", lock.display())),
    }
    let named = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    named.map_err(|e| format!("cannot write {}: {e}", lock.display()))?;
    Ok(file)
}

fn held(path: &Path, file: &mut File) -> String {
    let mut pid = String::new();
    let _ = file.seek(SeekFrom::Start(0)).and_then(|_| file.take(32).read_to_string(&mut pid));
    let by = match pid.trim().parse::<u32>() {
        Ok(pid) => format!("process {pid}"),
        Err(_) => "another process".to_string(),
    };
    format!(
        "the data directory {} is in use by {by}; stop it first, or give this broker another one with --data-dir",
        path.display()
    )
}

fn denied(doing: &str, path: &Path, e: &io::Error) -> String {
    let advice = match e.kind() {
        io::ErrorKind::PermissionDenied => "; run as a user who may, or choose another with --data-dir",
        io::ErrorKind::ReadOnlyFilesystem => "; choose one on a writable volume with --data-dir",
        io::ErrorKind::AlreadyExists | io::ErrorKind::NotADirectory => "; a part of the path is a file",
        _ => "",
    };
    format!("cannot {doing} {}: {e}{advice}", path.display())
}

#[cfg(test)]
mod tests {
    use super::Home;
    use crate::scratch::Scratch;

    #[test]
    fn a_directory_is_made_with_its_parents_and_held_once() {
        let scratch = Scratch::new("data");
        let path = scratch.path().join("a/b");
        let first = Home::hold(&path).unwrap();
        assert!(first.path().is_absolute());
        let told = Home::hold(&path).unwrap_err();
        assert!(told.contains(&format!("in use by process {}", std::process::id())), "{told}");
        assert!(told.contains("--data-dir"), "{told}");
        drop(first);
        Home::hold(&path).unwrap();
    }

    #[test]
    fn a_file_in_the_way_is_told() {
        let scratch = Scratch::new("data");
        let path = scratch.path().join("file");
        std::fs::write(&path, "x").unwrap();
        let told = Home::hold(&path).unwrap_err();
        assert!(told.contains("a part of the path is a file"), "{told}");
        let below = Home::hold(&path.join("below")).unwrap_err();
        assert!(below.contains("a part of the path is a file"), "{below}");
    }
}
