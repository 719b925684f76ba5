//! The records field of a fetch answer: bytes at hand, or a stretch of a log that is still to be read.

use bytes::Bytes;

use crate::storage::ops::LogRange;

/// Whole record batches, as they lie in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Records {
    /// Here they are, in order. No chunk means no records, which is not null.
    Held(Vec<Bytes>),
    /// They are on disk: whoever sends the answer reads them first and puts them in as `Held`.
    OnDisk(LogRange),
}

impl Default for Records {
    fn default() -> Records {
        Records::Held(Vec::new())
    }
}

impl Records {
    /// Bytes held; what is on disk counts nothing.
    pub fn held_bytes(&self) -> usize {
        match self {
            Records::Held(chunks) => chunks.iter().map(Bytes::len).sum(),
            Records::OnDisk(_) => 0,
        }
    }
}
