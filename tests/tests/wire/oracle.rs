//! The same messages in `kafka-protocol`, the codec that ours is compared with.

use bytes::{Bytes, BytesMut};
use kafka_protocol::messages::{
    ApiKey as TheirKey, RequestHeader, RequestKind, ResponseHeader, ResponseKind,
};
use kafka_protocol::protocol::{Decodable, Encodable, StrBytes};
use quipu_core::wire::ApiKey;

fn their_key(key: ApiKey) -> TheirKey {
    TheirKey::try_from(key.number()).unwrap()
}

pub(crate) fn request(key: ApiKey, version: i16, body: &Bytes) -> RequestKind {
    let mut body = body.clone();
    let read = RequestKind::decode(their_key(key), &mut body, version).unwrap();
    assert!(body.is_empty(), "{key} {version}: they leave {} bytes", body.len());
    read
}

pub(crate) fn response(key: ApiKey, version: i16, body: &Bytes) -> ResponseKind {
    let mut body = body.clone();
    let read = ResponseKind::decode(their_key(key), &mut body, version).unwrap();
    assert!(body.is_empty(), "{key} {version}: they leave {} bytes", body.len());
    read
}

/// Header and body as they write them, without the length; `None` when they refuse to write it in this version.
pub(crate) fn request_frame(
    key: ApiKey,
    version: i16,
    client: Option<&str>,
    body: &RequestKind,
) -> Option<Bytes> {
    let mut frame = request_header(key, version, client);
    body.encode(&mut frame, version).ok()?;
    Some(frame.freeze())
}

pub(crate) fn request_header(key: ApiKey, version: i16, client: Option<&str>) -> BytesMut {
    let header = RequestHeader::default()
        .with_request_api_key(key.number())
        .with_request_api_version(version)
        .with_correlation_id(-559_038_737)
        .with_client_id(client.map(|text| StrBytes::from_string(text.to_owned())));
    let mut frame = BytesMut::new();
    header.encode(&mut frame, their_key(key).request_header_version(version)).unwrap();
    let mut copy = frame.clone().freeze();
    assert_eq!(
        RequestHeader::decode(&mut copy, their_key(key).request_header_version(version)).unwrap(),
        header
    );
    frame
}

/// As [`request_frame`].
pub(crate) fn response_frame(key: ApiKey, version: i16, body: &ResponseKind) -> Option<Bytes> {
    let mut frame = response_header(key, version);
    body.encode(&mut frame, version).ok()?;
    Some(frame.freeze())
}

pub(crate) fn response_header(key: ApiKey, version: i16) -> BytesMut {
    let mut frame = BytesMut::new();
    let header = ResponseHeader::default().with_correlation_id(-559_038_737);
    header.encode(&mut frame, their_key(key).response_header_version(version)).unwrap();
    frame
}
