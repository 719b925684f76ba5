//! Record batches in Kafka's format v2: a parsed header beside the untouched bytes.

pub mod batch;
pub mod build;
pub mod check;
pub mod compress;
pub mod iter;
pub mod search;
mod varint;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;

pub use batch::{Batch, BatchError, BatchHeader, Codec};
pub use build::BatchBuilder;
pub use iter::{Record, RecordError, RecordHeader, Records};
