//! Kafka's protocol: one structure a message for all versions; a version exists only where bytes are read or written.

pub mod api;
pub mod api_versions;
pub mod consumer_protocol;
pub mod dialect;
pub mod error;
pub mod fault;
mod field;
pub mod frame;
#[cfg(test)]
mod frame_tests;
pub mod messages;
mod older;
mod older_offsets;
pub mod out;
mod reader;
pub mod records;
mod schema;
mod table;

pub use api::{ApiKey, Request, Response};
pub use error::ErrorCode;
pub use fault::WireError;
pub use frame::{
    RequestHeader, Unreadable, decode_request, decode_response, encode_request, encode_response,
    response_correlation_id,
};
pub use out::Out;
pub use records::Records;
pub use schema::schema_lines;
