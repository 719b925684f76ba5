//! Malformed frames: what the real codec writes, with bytes changed, cut off, doubled or made up.

use bytes::Bytes;
use quipu_core::record::BatchBuilder;
use quipu_core::time::Timestamp;
use quipu_core::wire::messages as m;
use quipu_core::wire::{Out, Request, RequestHeader, encode_request};

use crate::rng::Rng;

/// What all names in such a frame begin with: however it is changed, it never names what good clients use.
pub const NAME: &str = "hostile-name";

/// The frames of one connection.
pub fn frames(rng: &mut Rng) -> Vec<Bytes> {
    (0..=rng.below(3)).map(|_| frame(rng)).collect()
}

/// A frame without its length, mostly malformed.
fn frame(rng: &mut Rng) -> Bytes {
    if rng.percent(10) {
        return (0..rng.below(200)).map(|_| rng.bits() as u8).collect::<Vec<u8>>().into();
    }
    let mut bytes = well_formed(rng);
    for _ in 0..rng.below(4) {
        mutate(rng, &mut bytes);
    }
    bytes.into()
}

fn mutate(rng: &mut Rng, bytes: &mut Vec<u8>) {
    let len = bytes.len() as u64;
    let (at, upto) = (rng.below(len) as usize, rng.below(len + 1) as usize);
    match rng.below(6) {
        0 => bytes.truncate(upto),
        // Lengths that cannot be: the largest and -1.
        1 => bytes[at..].iter_mut().take(4).for_each(|b| *b = 0xff),
        2 => bytes[at..].iter_mut().take(4).zip([0x7f, 0xff, 0xff, 0xff]).for_each(|(b, new)| *b = new),
        3 => bytes.extend_from_within(at.min(upto)..at.max(upto)),
        _ if bytes.is_empty() => {}
        4 => bytes[at] ^= 1 << rng.below(8),
        _ => bytes[at] = rng.bits() as u8,
    }
}

fn well_formed(rng: &mut Rng) -> Vec<u8> {
    let request = request(rng);
    let versions = request.key().accepted();
    let span = (versions.end() - versions.start()) as u64 + 1;
    // Not every version has all fields; the newest does.
    let drawn = versions.start() + rng.below(span) as i16;
    for version in [drawn, *versions.end()] {
        let header = RequestHeader {
            api_key: request.key(),
            version,
            correlation_id: rng.bits() as i32,
            client_id: Some(NAME.into()),
        };
        let mut out = Out::new();
        if encode_request(&mut out, &header, &request).is_ok() {
            return out.take_joined()[4..].to_vec();
        }
    }
    vec![0; 8]
}

fn request(rng: &mut Rng) -> Request {
    match rng.below(8) {
        0 => m::api_versions::ApiVersionsRequest::default().into(),
        1 => m::metadata::MetadataRequest {
            topics: Some(vec![m::metadata::MetadataRequestTopic {
                name: Some(NAME.into()),
                ..Default::default()
            }]),
            ..Default::default()
        }
        .into(),
        2 => m::join_group::JoinGroupRequest {
            group_id: NAME.into(),
            session_timeout_ms: 1_000,
            protocol_type: "consumer".into(),
            protocols: vec![m::join_group::JoinGroupRequestProtocol {
                name: "range".into(),
                metadata: Bytes::from_static(&[0, 1, 0, 0]),
            }],
            ..Default::default()
        }
        .into(),
        3 => commit(),
        4 => m::create_topics::CreateTopicsRequest {
            topics: vec![m::create_topics::CreatableTopic {
                name: NAME.into(),
                num_partitions: 1,
                replication_factor: 1,
                ..Default::default()
            }],
            timeout_ms: 1_000,
            ..Default::default()
        }
        .into(),
        5 => fetch(rng),
        _ => produce(rng),
    }
}

fn commit() -> Request {
    let partition =
        m::offset_commit::OffsetCommitRequestPartition { committed_offset: 7, ..Default::default() };
    m::offset_commit::OffsetCommitRequest {
        group_id: NAME.into(),
        topics: vec![m::offset_commit::OffsetCommitRequestTopic {
            name: NAME.into(),
            partitions: vec![partition],
        }],
        ..Default::default()
    }
    .into()
}

fn fetch(rng: &mut Rng) -> Request {
    m::fetch::FetchRequest {
        max_wait_ms: 100,
        min_bytes: 1,
        session_id: rng.below(3) as i32,
        session_epoch: rng.below(3) as i32 - 1,
        topics: vec![m::fetch::FetchTopic {
            topic: NAME.into(),
            partitions: vec![m::fetch::FetchPartition::default()],
            ..Default::default()
        }],
        ..Default::default()
    }
    .into()
}

/// A batch whose checksum is right until it is changed.
fn produce(rng: &mut Rng) -> Request {
    let records = [(Some(Bytes::from_static(b"k")), Some(Bytes::from_static(b"hostile")))];
    let batch = BatchBuilder::plain(Timestamp(1_790_000_000_000), &records);
    let mut bytes = batch.to_bytes().to_vec();
    if rng.percent(50) {
        mutate(rng, &mut bytes);
    }
    m::produce::ProduceRequest {
        acks: [-1, 0, 1, 7][rng.below(4) as usize],
        timeout_ms: 1_000,
        topic_data: vec![m::produce::TopicProduceData {
            name: NAME.into(),
            partition_data: vec![m::produce::PartitionProduceData { index: 0, records: Some(bytes.into()) }],
        }],
        ..Default::default()
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_half_of_the_frames_can_be_read_and_none_names_what_is_not_its_own() {
        let mut rng = Rng::new(7);
        let mut read = 0;
        for _ in 0..2_000 {
            let frame = frame(&mut rng);
            read += u32::from(quipu_core::wire::decode_request(&frame).is_ok());
        }
        assert!((400..1_800).contains(&read), "{read} of 2000 can be read");
    }
}
