//! The opaque fields of a rebalance as Kafka's consumers fill them: a version, then a message of that version.

use bytes::Bytes;

use crate::wire::fault::{Fault, WireError};
use crate::wire::field::{At, Field};
use crate::wire::messages::consumer_protocol::{ConsumerProtocolAssignment, ConsumerProtocolSubscription};
use crate::wire::out::Out;
use crate::wire::reader::Reader;

/// The newest version known. Newer ones are read as this one: they may only append fields
/// (Kafka's `ConsumerProtocol`).
pub const NEWEST: i16 = 3;

/// Writes a subscription, the metadata of a JoinGroup protocol.
pub fn encode_subscription(
    version: i16,
    subscription: &ConsumerProtocolSubscription,
) -> Result<Bytes, WireError> {
    encode(version, subscription)
}

/// Reads a subscription and the version it was written in.
pub fn decode_subscription(bytes: &Bytes) -> Result<(i16, ConsumerProtocolSubscription), WireError> {
    decode(bytes)
}

/// Writes an assignment, what SyncGroup hands to one member.
pub fn encode_assignment(version: i16, assignment: &ConsumerProtocolAssignment) -> Result<Bytes, WireError> {
    encode(version, assignment)
}

/// Reads an assignment and the version it was written in.
pub fn decode_assignment(bytes: &Bytes) -> Result<(i16, ConsumerProtocolAssignment), WireError> {
    decode(bytes)
}

fn encode<T: Field>(version: i16, message: &T) -> Result<Bytes, WireError> {
    let mut out = Out::new();
    out.put(&version.to_be_bytes());
    message.write(&mut out, At::new(version, false))?;
    Ok(out.take_joined())
}

fn decode<T: Field>(bytes: &Bytes) -> Result<(i16, T), WireError> {
    let mut input = Reader::new(bytes);
    let version = i16::from_be_bytes(input.array()?);
    if version < 0 {
        return Err(Fault::BadLength(i64::from(version)).into());
    }
    let message = T::read(&mut input, At::new(version.min(NEWEST), false))?;
    Ok((version, message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::messages::consumer_protocol::{AssignmentTopicPartition, SubscriptionTopicPartition};

    #[test]
    fn a_subscription_reads_back_in_every_version() {
        let full = ConsumerProtocolSubscription {
            topics: vec!["orders".to_owned(), "t".to_owned()],
            user_data: Some(Bytes::from_static(b"sticky")),
            owned_partitions: vec![SubscriptionTopicPartition {
                topic: "t".to_owned(),
                partitions: vec![0, 7],
            }],
            generation_id: 5,
            rack_id: Some("r1".to_owned()),
        };
        for version in 0..=NEWEST {
            let bytes = encode_subscription(version, &full).unwrap();
            let (read_version, read) = decode_subscription(&bytes).unwrap();
            assert_eq!(read_version, version);
            assert_eq!(read.topics, full.topics);
            assert_eq!(read.user_data, full.user_data);
            assert_eq!(read.owned_partitions.len(), usize::from(version >= 1));
            assert_eq!(read.generation_id, if version >= 2 { 5 } else { -1 });
            assert_eq!(read.rack_id.is_some(), version >= 3);
        }
    }

    #[test]
    fn a_newer_version_is_read_as_the_newest_known() {
        let assignment = ConsumerProtocolAssignment {
            assigned_partitions: vec![AssignmentTopicPartition {
                topic: "t".to_owned(),
                partitions: vec![1],
            }],
            user_data: None,
        };
        let mut bytes = encode_assignment(3, &assignment).unwrap().to_vec();
        bytes[1] = 9;
        bytes.extend_from_slice(b"a field of the future");
        assert_eq!(decode_assignment(&bytes.into()).unwrap(), (9, assignment));
    }

    #[test]
    fn what_is_no_subscription_is_an_error() {
        for bytes in [&b""[..], b"\0", b"\xff\xff", b"\0\0\x7f\xff\xff\xff", b"\0\0\0\0\0\x01\0\x09abc"] {
            assert!(decode_subscription(&Bytes::copy_from_slice(bytes)).is_err(), "{bytes:?}");
        }
    }
}
