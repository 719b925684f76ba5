//! Record batches in Kafka's format v2: a parsed header beside the untouched bytes.

pub mod batch;
pub mod check;

pub use batch::{Batch, BatchError, BatchHeader, Codec};
