//! Whole frames: header and body of requests and responses, read and written.

use std::fmt;

use bytes::Bytes;

use crate::wire::api::{ApiKey, Request, Response};
use crate::wire::fault::WireError;
use crate::wire::field::{At, Field};
use crate::wire::messages::header as table;
use crate::wire::older;
use crate::wire::out::Out;
use crate::wire::reader::Reader;

/// The header of a request whose key and version are known and accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestHeader {
    /// What is asked.
    pub api_key: ApiKey,
    /// In which version.
    pub version: i16,
    /// The number that the answer carries back.
    pub correlation_id: i32,
    /// `client.id`, if the client has one.
    pub client_id: Option<String>,
}

/// Why a frame is no request that can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unreadable {
    /// Shorter than key, version and correlation id: close the connection.
    TooShort {
        /// Length of the frame.
        length: usize,
    },
    /// A key that is not in the table: close the connection, as Kafka does.
    UnknownKey {
        /// The key.
        key: i16,
        /// Its version.
        version: i16,
        /// The request's correlation id.
        correlation_id: i32,
    },
    /// A version that is not accepted: close the connection, as Kafka does.
    UnsupportedVersion {
        /// The key.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// The request's correlation id.
        correlation_id: i32,
    },
    /// ApiVersions in a version that is not accepted. The connection stays open and gets
    /// [`unsupported`](crate::wire::api_versions::unsupported) in version 0 as the answer (KIP-511).
    ApiVersions {
        /// The version asked for.
        version: i16,
        /// The request's correlation id.
        correlation_id: i32,
    },
    /// Header or body are not what the version says: close the connection.
    Malformed {
        /// The key.
        key: ApiKey,
        /// Its version.
        version: i16,
        /// The request's correlation id.
        correlation_id: i32,
        /// What is wrong, and where.
        error: WireError,
    },
}

impl Unreadable {
    /// The correlation id, which is known as soon as the frame has eight bytes.
    pub fn correlation_id(&self) -> Option<i32> {
        match *self {
            Unreadable::TooShort { .. } => None,
            Unreadable::UnknownKey { correlation_id, .. }
            | Unreadable::UnsupportedVersion { correlation_id, .. }
            | Unreadable::ApiVersions { correlation_id, .. }
            | Unreadable::Malformed { correlation_id, .. } => Some(correlation_id),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unreadable::TooShort { length } => {
                write!(f, "a frame of {length} bytes is too short for a request")
            }
            Unreadable::UnknownKey { key, version, .. } => {
                write!(f, "unknown request: API key {key}, version {version}")
            }
            Unreadable::UnsupportedVersion { key, version, .. } => {
                let range = key.accepted();
                write!(
                    f,
                    "{key} version {version}: versions {} to {} are accepted",
                    range.start(),
                    range.end()
                )
            }
            Unreadable::ApiVersions { version, .. } => {
                write!(f, "ApiVersions version {version} is newer than this broker")
            }
            Unreadable::Malformed { key, version, error, .. } => {
                write!(f, "malformed {key} request of version {version}: {error}")
            }
        }
    }
}

impl std::error::Error for Unreadable {}

/// Reads a request from a frame without its length prefix. Byte fields share the frame's memory. Where an old version says
/// in another form what a newer one says (one group instead of a list), the request comes out in the newer form.
pub fn decode_request(frame: &Bytes) -> Result<(RequestHeader, Request), Unreadable> {
    let (key, version, correlation_id) = first_eight(frame)?;
    let Some(key) = ApiKey::from_number(key) else {
        return Err(Unreadable::UnknownKey { key, version, correlation_id });
    };
    if !key.accepted().contains(&version) {
        return Err(match key {
            ApiKey::ApiVersions => Unreadable::ApiVersions { version, correlation_id },
            _ => Unreadable::UnsupportedVersion { key, version, correlation_id },
        });
    }
    let (client_id, mut request) = read_request(frame, key, version)
        .map_err(|error| Unreadable::Malformed { key, version, correlation_id, error })?;
    older::raise_request(&mut request, version);
    Ok((RequestHeader { api_key: key, version, correlation_id, client_id }, request))
}

fn first_eight(frame: &Bytes) -> Result<(i16, i16, i32), Unreadable> {
    match *frame.as_ref() {
        [k0, k1, v0, v1, c0, c1, c2, c3, ..] => Ok((
            i16::from_be_bytes([k0, k1]),
            i16::from_be_bytes([v0, v1]),
            i32::from_be_bytes([c0, c1, c2, c3]),
        )),
        _ => Err(Unreadable::TooShort { length: frame.len() }),
    }
}

fn read_request(frame: &Bytes, key: ApiKey, version: i16) -> Result<(Option<String>, Request), WireError> {
    let mut input = Reader::new(frame);
    let header_version = key.request_header_version(version);
    // The client id has a two-byte length in every version, so the header's table is never read as flexible.
    let header = table::RequestHeader::read(&mut input, At::new(header_version, false))?;
    if header_version >= 2 {
        input.tags(|_, _| Ok(false)).map_err(|e| e.at("RequestHeader", "tagged fields"))?;
    }
    // What follows the body is ignored, as Kafka does: librdkafka 2.16 sends a flag of Metadata 10 in version 13 too.
    let request = Request::read(key, version, &mut input)?;
    Ok((header.client_id, request))
}

/// Writes a request, in the form of its version, as a length-prefixed frame (the client's side). Nothing is written when it fails: a field is set
/// that the version lacks, or is too long for the protocol.
pub fn encode_request(out: &mut Out, header: &RequestHeader, request: &Request) -> Result<(), WireError> {
    assert_eq!(header.api_key, request.key(), "the header must name the request's key");
    let (key, version) = (header.api_key, header.version);
    frame(out, |out| {
        let header_version = key.request_header_version(version);
        let fields = table::RequestHeader {
            request_api_key: key.number(),
            request_api_version: version,
            correlation_id: header.correlation_id,
            client_id: header.client_id.clone(),
        };
        fields.write(out, At::new(header_version, false))?;
        if header_version >= 2 {
            out.uvarint(0);
        }
        request.write(version, out)
    })
}

/// Writes a response as a length-prefixed frame, in the version of the request: what `decode_request` brought into the newest
/// form is brought back. Record bytes are not copied.
///
/// Nothing is written when it fails: a field is set that the version lacks and must not lose, or is too long for the
/// protocol.
///
/// # Panics
/// When a fetch answer still has records on disk: whoever sends it reads them first.
pub fn encode_response(
    out: &mut Out,
    correlation_id: i32,
    version: i16,
    response: &Response,
) -> Result<(), WireError> {
    let lowered = older::lower_response(response, version);
    frame(out, |out| {
        out.put(&correlation_id.to_be_bytes());
        if response.key().response_header_version(version) >= 1 {
            out.uvarint(0);
        }
        lowered.as_ref().unwrap_or(response).write(version, out)
    })
}

fn frame(out: &mut Out, write: impl FnOnce(&mut Out) -> Result<(), WireError>) -> Result<(), WireError> {
    let start = out.begin_frame();
    let written = write(out).and_then(|()| out.end_frame(start).map_err(WireError::from));
    if written.is_err() {
        out.drop_frame(start);
    }
    written
}

/// The correlation id of a response frame (without its length prefix), if it is long enough to have one.
pub fn response_correlation_id(frame: &Bytes) -> Option<i32> {
    frame.first_chunk().map(|bytes| i32::from_be_bytes(*bytes))
}

/// Reads the response to a request of that key and version from a frame without its length prefix (the client's side). It
/// keeps the form of its version: only who asked knows which one group or key an old form is about.
///
/// A broker that does not know the ApiVersions version answers in version 0 (KIP-511): that is understood too.
pub fn decode_response(key: ApiKey, version: i16, frame: &Bytes) -> Result<(i32, Response), WireError> {
    let decoded = read_response(key, version, frame);
    if key == ApiKey::ApiVersions && version > 0 && decoded.is_err() {
        return read_response(key, 0, frame).or(decoded);
    }
    decoded
}

fn read_response(key: ApiKey, version: i16, frame: &Bytes) -> Result<(i32, Response), WireError> {
    let mut input = Reader::new(frame);
    let header_version = key.response_header_version(version);
    let header = table::ResponseHeader::read(&mut input, At::new(header_version, header_version >= 1))?;
    let response = Response::read(key, version, &mut input)?;
    input.end().map_err(|fault| WireError::from(fault).at(key.name(), "response"))?;
    Ok((header.correlation_id, response))
}
