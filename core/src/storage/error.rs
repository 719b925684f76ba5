//! Why a log directory cannot be opened or read: sentences for people, and the few cases that callers tell apart.

use std::fmt;

use crate::disk::DiskError;

/// Why a log directory cannot be used. The text says which directory entry, what is wrong, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StorageError {
    /// It belongs to something else, has another format, or its own files are damaged.
    Refused(String),
    /// The disk failed.
    Disk(DiskError),
}

impl fmt::Display for StorageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StorageError::Refused(why) => f.write_str(why),
            StorageError::Disk(e) => write!(f, "the disk failed: {e}"),
        }
    }
}

impl std::error::Error for StorageError {}

impl From<DiskError> for StorageError {
    fn from(e: DiskError) -> StorageError {
        StorageError::Disk(e)
    }
}

/// Why a stretch of a log cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadError {
    /// The log, or the offset, is not there any more (deleted, or below the log's start), or not there yet.
    Gone(String),
    /// The bytes on disk are not what was written. Names the file, the byte and the offset. Nothing of it is served.
    Damaged(String),
    /// The disk failed.
    Io(DiskError),
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReadError::Gone(why) | ReadError::Damaged(why) => f.write_str(why),
            ReadError::Io(e) => write!(f, "the disk failed: {e}"),
        }
    }
}

impl std::error::Error for ReadError {}
