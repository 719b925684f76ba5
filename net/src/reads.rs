//! Reading a log directory, from any thread: what connections, and the machine's own loads, need of the storage.

use bytes::Bytes;
use quipu_core::disk::Disk;
use quipu_core::ids::{LogId, Offset};
use quipu_core::record::Batch;
use quipu_core::storage::error::ReadError;
use quipu_core::storage::ops::{Found, LogRange, Lookup};
use quipu_core::storage::reader::Reader;

/// A log directory to be read: [`Reader`] without its type of disk.
pub(crate) trait Reads: Send + Sync + 'static {
    /// The bytes of the batches of a stretch, as they lie in the log.
    fn bytes(&self, range: LogRange) -> Result<Vec<Bytes>, ReadError>;
    /// The batches of a stretch.
    fn batches(&self, range: LogRange) -> Result<Vec<Batch>, ReadError>;
    /// What an index finds.
    fn look(&self, question: &Question) -> Result<Option<Found>, ReadError>;
}

/// A question to an index.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Question {
    pub(crate) log: LogId,
    pub(crate) what: Lookup,
    /// The first offset that must not be answered.
    pub(crate) below: Offset,
}

impl<D: Disk> Reads for Reader<D> {
    fn bytes(&self, range: LogRange) -> Result<Vec<Bytes>, ReadError> {
        self.read(range)
    }

    fn batches(&self, range: LogRange) -> Result<Vec<Batch>, ReadError> {
        Reader::batches(self, range)
    }

    fn look(&self, question: &Question) -> Result<Option<Found>, ReadError> {
        Reader::look(self, question.log, question.what, question.below)
    }
}
