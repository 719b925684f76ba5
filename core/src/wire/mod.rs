//! Kafka's protocol: one structure a message for all versions; a version exists only where bytes are read or written.

pub mod api;
pub mod dialect;
pub mod error;
pub mod fault;
mod field;
pub mod messages;
pub mod out;
mod reader;
pub mod records;
mod schema;
mod table;

pub use api::{ApiKey, Request, Response};
pub use error::ErrorCode;
pub use fault::WireError;
pub use out::Out;
pub use records::Records;
