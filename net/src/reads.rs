//! Reading a log directory, from any thread: what connections, and the machine's own loads, need of the storage.

use quipu_core::disk::Disk;
use quipu_core::ids::{LogId, Offset};
use quipu_core::record::Batch;
use quipu_core::storage::error::ReadError;
use quipu_core::storage::ops::{Found, LogRange, Lookup};
use quipu_core::storage::reader::{Reader, Stretch};

/// A log directory to be read: [`Reader`] without its type of disk.
pub(crate) trait Reads: Send + Sync + 'static {
    /// The bytes of the batches of a stretch, as they lie in the log.
    fn stretch(&self, range: LogRange) -> Result<Stretch, ReadError>;
    /// Whether a stretch read a while ago is still what the log has there. Does not block.
    fn stands(&self, stretch: &Stretch) -> bool;
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
    fn stretch(&self, range: LogRange) -> Result<Stretch, ReadError> {
        Reader::stretch(self, range)
    }

    fn stands(&self, stretch: &Stretch) -> bool {
        Reader::stands(self, stretch)
    }

    fn batches(&self, range: LogRange) -> Result<Vec<Batch>, ReadError> {
        Reader::batches(self, range)
    }

    fn look(&self, question: &Question) -> Result<Option<Found>, ReadError> {
        Reader::look(self, question.log, question.what, question.below)
    }
}
