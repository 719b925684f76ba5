//! What the storage asks of a disk: the contract only. Real files live in the server, faulty ones in the simulator.
//!
//! The contract is the weak one of POSIX under power loss. Until `sync` has answered `Ok` for a file, any subset of what
//! was written to it may be gone; until it has for a directory, a file created, renamed or removed in that directory may or
//! may not appear so. After a failed sync nothing is known about any of them, and a later `Ok` means nothing.

use std::fmt;

use bytes::Bytes;

/// Why the disk did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiskError {
    /// What kind of failure it is, as far as the storage must tell them apart.
    pub kind: DiskErrorKind,
    /// For people: the operation, the path, and what the system said.
    pub message: String,
}

/// The failures that the storage tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskErrorKind {
    /// No room (ENOSPC, EDQUOT). Room may come back.
    Full,
    /// No more files may be open at once (EMFILE, ENFILE). Nothing was done, and some may be closed again.
    TooManyOpen,
    /// There is no such file or directory.
    NotFound,
    /// Everything else: the medium cannot be trusted any more.
    Io,
}

impl DiskError {
    /// Whether something was wanting that may come back: the medium is as good as it was.
    pub fn is_shortage(&self) -> bool {
        matches!(self.kind, DiskErrorKind::Full | DiskErrorKind::TooManyOpen)
    }
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for DiskError {}

/// The answer of a disk operation.
pub type DiskResult<T> = Result<T, DiskError>;

/// One log directory on one disk. Paths are relative to it, with `/` between their parts; the empty path is the directory itself.
pub trait Disk: Clone + Send + Sync + 'static {
    /// An open file. Clones share it; the last one dropped closes it.
    type File: Clone + Send + Sync + 'static;

    /// Opens a file that exists, for reading and writing.
    fn open(&self, path: &str) -> DiskResult<Self::File>;
    /// Creates a file, or empties the one that is there. Its directory entry is durable only after a `sync` of the directory.
    fn create(&self, path: &str) -> DiskResult<Self::File>;
    /// Writes the parts one after the other, from byte `at` on. All of it or an error; after an error any part may be there.
    fn write_at(&self, file: &Self::File, at: u64, parts: &[Bytes]) -> DiskResult<()>;
    /// Reads up to `len` bytes from byte `at` on; fewer only at the end of the file.
    fn read_at(&self, file: &Self::File, at: u64, len: usize) -> DiskResult<Bytes>;
    /// Sets the length of the file: cuts what is beyond, or fills up with zeros.
    fn set_len(&self, file: &Self::File, len: u64) -> DiskResult<()>;
    /// The length of the file in bytes.
    fn len(&self, file: &Self::File) -> DiskResult<u64>;
    /// Makes contents and lengths of these files and the entries of these directories durable, all at once and in no order.
    fn sync(&self, files: &[Self::File], dirs: &[&str]) -> DiskResult<()>;
    /// Creates a directory; that it exists already is no error.
    fn create_dir(&self, path: &str) -> DiskResult<()>;
    /// Renames a file or a directory, replacing a file that has the new name.
    fn rename(&self, from: &str, to: &str) -> DiskResult<()>;
    /// Removes a file.
    fn remove(&self, path: &str) -> DiskResult<()>;
    /// Removes a directory and everything in it.
    fn remove_dir(&self, path: &str) -> DiskResult<()>;
    /// The names in a directory, sorted, with the length of each file; `None` for a directory.
    fn list(&self, path: &str) -> DiskResult<Vec<(String, Option<u64>)>>;
    /// Free and total bytes of the volume, as `statvfs` tells an unprivileged user.
    fn space(&self) -> DiskResult<(u64, u64)>;
}
