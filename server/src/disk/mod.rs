//! The log directory on a real file system: what the storage asks of a disk, by `std::fs` and a few calls it lacks.

mod buffers;
mod sync;

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use quipu_core::disk::{Disk, DiskError, DiskErrorKind, DiskResult};
use rustix::fs::statvfs;
use rustix::io::{Errno, pread, pwritev};

use crate::descriptors;
use buffers::Buffers;
use sync::{SyncPool, Target};

/// Parts of one vectored write at most: the limit of Linux (`IOV_MAX`).
const PARTS_A_WRITE: usize = 1024;
/// How often, and how long apart, a descriptor is asked for that must be had: ten seconds in all.
const DESCRIPTOR_TRIES: usize = 1000;
const DESCRIPTOR_PAUSE: Duration = Duration::from_millis(10);

/// A directory of a real file system. Clones share it and its sync threads.
#[derive(Clone)]
pub(crate) struct RealDisk {
    root: Arc<PathBuf>,
    pool: Arc<SyncPool>,
    buffers: Buffers,
}

/// An open file, which knows its path for the sake of error messages.
#[derive(Clone)]
pub(crate) struct RealFile(Arc<Open>);

struct Open {
    file: File,
    path: PathBuf,
}

impl RealDisk {
    /// The directory, which exists.
    pub(crate) fn new(root: PathBuf) -> RealDisk {
        RealDisk { root: Arc::new(root), pool: Arc::default(), buffers: Buffers::default() }
    }

    /// The full path of a file of ours. Paths come from the storage, never from a client as they are.
    fn at(&self, path: &str) -> PathBuf {
        let inside = Path::new(path).components().all(|part| matches!(part, Component::Normal(_)));
        assert!(inside, "the storage asked for {path:?}, which is not inside its directory");
        self.root.join(path)
    }

    fn open_with(&self, path: &str, options: &OpenOptions, doing: &str) -> DiskResult<RealFile> {
        let path = self.at(path);
        match options.open(&path) {
            Ok(file) => Ok(RealFile(Arc::new(Open { file, path }))),
            Err(e) => Err(failed(doing, &path, &e)),
        }
    }
}

impl RealFile {
    fn failed(&self, doing: &str, e: impl Into<io::Error>) -> DiskError {
        failed(doing, &self.0.path, &e.into())
    }

    /// Contents and length on disk: `fdatasync` writes what is needed to read the file back, so its length too.
    fn sync(&self) -> DiskResult<()> {
        self.0.file.sync_data().map_err(|e| self.failed("make durable", e))
    }
}

impl Disk for RealDisk {
    type File = RealFile;

    fn open(&self, path: &str) -> DiskResult<RealFile> {
        self.open_with(path, OpenOptions::new().read(true).write(true), "open")
    }

    fn create(&self, path: &str) -> DiskResult<RealFile> {
        self.open_with(path, OpenOptions::new().read(true).write(true).create(true).truncate(true), "create")
    }

    fn write_at(&self, file: &RealFile, at: u64, parts: &[Bytes]) -> DiskResult<()> {
        write_all(&file.0.file, at, parts).map_err(|e| file.failed(&format!("write at byte {at} of"), e))
    }

    fn read_at(&self, file: &RealFile, at: u64, len: usize) -> DiskResult<Bytes> {
        let mut buffer = self.buffers.take(len);
        read_up_to(&file.0.file, at, &mut buffer[..len])
            .map(|read| self.buffers.share(buffer, read))
            .map_err(|e| file.failed(&format!("read {len} bytes at byte {at} of"), e))
    }

    fn set_len(&self, file: &RealFile, len: u64) -> DiskResult<()> {
        file.0.file.set_len(len).map_err(|e| file.failed(&format!("set the length to {len} of"), e))
    }

    fn len(&self, file: &RealFile) -> DiskResult<u64> {
        file.0.file.metadata().map(|m| m.len()).map_err(|e| file.failed("look at", e))
    }

    fn sync(&self, files: &[RealFile], dirs: &[&str]) -> DiskResult<()> {
        let files = files.iter().map(|file| Target::File(file.clone()));
        let dirs = dirs.iter().map(|dir| Target::Directory(self.at(dir)));
        // Files first: on ext4 the commit that a file's sync asks for has the directories' entries in it.
        self.pool.sync_all(files.chain(dirs))
    }

    fn create_dir(&self, path: &str) -> DiskResult<()> {
        let path = self.at(path);
        match fs::create_dir(&path) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
            Err(e) => Err(failed("create the directory", &path, &e)),
            Ok(()) => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> DiskResult<()> {
        let (from, to) = (self.at(from), self.at(to));
        fs::rename(&from, &to).map_err(|e| failed(&format!("rename to {}", to.display()), &from, &e))
    }

    fn remove(&self, path: &str) -> DiskResult<()> {
        let path = self.at(path);
        fs::remove_file(&path).map_err(|e| failed("remove", &path, &e))
    }

    fn remove_dir(&self, path: &str) -> DiskResult<()> {
        assert!(!path.is_empty(), "the log directory itself is never removed");
        let path = self.at(path);
        fs::remove_dir_all(&path).map_err(|e| failed("remove the directory", &path, &e))
    }

    fn list(&self, path: &str) -> DiskResult<Vec<(String, Option<u64>)>> {
        let path = self.at(path);
        names(&path).map_err(|e| failed("list", &path, &e))
    }

    fn space(&self) -> DiskResult<(u64, u64)> {
        let found =
            statvfs(&*self.root).map_err(|e| failed("ask for free space at", &self.root, &e.into()))?;
        let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
        Ok((bytes(found.f_bavail), bytes(found.f_blocks)))
    }
}

/// Makes the entries of a directory durable. Where no descriptor is to be had for it, some time is waited for one: a sync that
/// fails is the end of the log directory.
pub(crate) fn sync_directory(path: &Path) -> DiskResult<()> {
    for _ in 0..DESCRIPTOR_TRIES {
        match File::open(path) {
            Err(e) if is_too_many_open(&e) => thread::sleep(DESCRIPTOR_PAUSE),
            other => return synced(path, other),
        }
    }
    synced(path, File::open(path))
}

fn synced(path: &Path, directory: io::Result<File>) -> DiskResult<()> {
    directory.and_then(|d| d.sync_all()).map_err(|e| failed("make durable the directory", path, &e))
}

fn failed(doing: &str, path: &Path, e: &io::Error) -> DiskError {
    let kind = match e.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DiskErrorKind::Full,
        io::ErrorKind::NotFound => DiskErrorKind::NotFound,
        _ if is_too_many_open(e) => DiskErrorKind::TooManyOpen,
        _ => DiskErrorKind::Io,
    };
    let what_to_do = if kind == DiskErrorKind::TooManyOpen { descriptors::hint(e) } else { String::new() };
    DiskError { kind, message: format!("cannot {doing} {}: {e}{what_to_do}", path.display()) }
}

fn is_too_many_open(e: &io::Error) -> bool {
    matches!(Errno::from_io_error(e), Some(Errno::MFILE | Errno::NFILE))
}

fn write_all(file: &File, mut at: u64, parts: &[Bytes]) -> Result<(), Errno> {
    let mut slices: Vec<IoSlice<'_>> =
        parts.iter().filter(|p| !p.is_empty()).map(|p| IoSlice::new(p)).collect();
    let mut rest: &mut [IoSlice<'_>] = &mut slices;
    while !rest.is_empty() {
        match pwritev(file, &rest[..rest.len().min(PARTS_A_WRITE)], at) {
            // A write of nothing, of what is not empty, would go on for ever.
            Ok(0) => return Err(Errno::IO),
            Ok(written) => {
                at += written as u64;
                IoSlice::advance_slices(&mut rest, written);
            }
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Reads until the buffer is full or the file ends. Answers how much it was.
fn read_up_to(file: &File, at: u64, buffer: &mut [u8]) -> Result<usize, Errno> {
    let mut done = 0;
    while done < buffer.len() {
        match pread(file, &mut buffer[done..], at + done as u64) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

/// The names that are ours are UTF-8; others are left alone. What vanishes meanwhile is not there.
fn names(path: &Path) -> io::Result<Vec<(String, Option<u64>)>> {
    let mut out = Vec::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        match fs::metadata(entry.path()) {
            Ok(found) => out.push((name, (!found.is_dir()).then_some(found.len()))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {}
            Err(e) => return Err(e),
        }
    }
    out.sort();
    Ok(out)
}

#[cfg(test)]
mod storage_tests;
#[cfg(test)]
mod tests;
