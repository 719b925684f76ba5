//! From a frame to what the machine understands: decoding, and checking record batches, outside of the machine.

use bytes::Bytes;

use crate::broker::door::{Produce, ProduceTopic, Request};
use crate::exchange::replies::Ask;
use crate::record::check::{Rules, Terms, check};
use crate::time::Timestamp;
use crate::wire::dialect::Dialect;
use crate::wire::messages::produce::{ProduceRequest, TopicProduceData};
use crate::wire::{self, ApiKey, RequestHeader, Response, Unreadable, api_versions};

/// A frame understood.
#[derive(Debug)]
pub enum Entry {
    /// For the machine.
    Ask {
        /// What its answer needs.
        ask: Ask,
        /// `client.id`; empty when it sent none.
        client_id: String,
        /// What an older version of the request means.
        dialect: Dialect,
        /// What is asked.
        request: Request,
    },
    /// Answered without the machine: ApiVersions.
    Answer {
        /// What the answer needs.
        ask: Ask,
        /// The answer.
        response: Response,
        /// The software that the client names.
        software: Option<String>,
    },
}

/// Reads a frame, which took `bytes` from the shell's budget. Batches are checked by `rules` at the time `now`.
pub fn read(frame: &Bytes, bytes: usize, rules: &Rules, now: Timestamp) -> Result<Entry, Unreadable> {
    let (header, request) = match wire::decode_request(frame) {
        Ok(decoded) => decoded,
        Err(Unreadable::ApiVersions { correlation_id, .. }) => {
            let ask = Ask { version: 0, correlation: correlation_id, bytes, fetch: false, silent: false };
            let response = Response::ApiVersions(api_versions::unsupported());
            return Ok(Entry::Answer { ask, response, software: None });
        }
        Err(unreadable) => return Err(unreadable),
    };
    let ask = Ask {
        version: header.version,
        correlation: header.correlation_id,
        bytes,
        fetch: header.api_key == ApiKey::Fetch,
        silent: matches!(&request, wire::Request::Produce(produce) if produce.acks == 0),
    };
    Ok(match request {
        wire::Request::ApiVersions(request) => {
            let response = Response::ApiVersions(api_versions::answer(header.version, &request, &[]));
            let software = format!("{} {}", request.client_software_name, request.client_software_version);
            Entry::Answer { ask, response, software: Some(software) }
        }
        wire::Request::Produce(produce) => {
            let terms = Terms {
                now,
                max_decompressed_bytes: rules.max_decompressed_bytes,
                zstd_allowed: Dialect::of(header.api_key, header.version).produce_zstd,
            };
            asked(ask, header, Request::Produce(checked(produce, frame.len(), rules, &terms)))
        }
        other => asked(ask, header, Request::Api(other)),
    })
}

fn asked(ask: Ask, header: RequestHeader, request: Request) -> Entry {
    let dialect = Dialect::of(header.api_key, header.version);
    Entry::Ask { ask, client_id: header.client_id.unwrap_or_default(), dialect, request }
}

fn checked(produce: ProduceRequest, frame_bytes: usize, rules: &Rules, terms: &Terms) -> Produce {
    Produce {
        transactional_id: produce.transactional_id,
        acks: produce.acks,
        timeout_ms: produce.timeout_ms,
        frame_bytes,
        topics: produce.topic_data.into_iter().map(|topic| checked_topic(topic, rules, terms)).collect(),
    }
}

fn checked_topic(topic: TopicProduceData, rules: &Rules, terms: &Terms) -> ProduceTopic {
    let topic_rules = rules.of(&topic.name);
    let partitions = topic.partition_data.into_iter().map(|partition| {
        let records = partition.records.unwrap_or_default();
        (partition.index, check(records, topic_rules, terms))
    });
    ProduceTopic { partitions: partitions.collect(), name: topic.name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{BatchBuilder, Codec};
    use crate::wire::messages::produce::PartitionProduceData;
    use crate::wire::{ErrorCode, Out};

    /// What becomes of a batch that comes in a produce request of that version.
    fn judged(version: i16, codec: Codec) -> Result<(), i16> {
        let mut batch = BatchBuilder::new().compression(codec, None);
        batch.push(Timestamp(1_000), None, Some(b"value"));
        let partition = PartitionProduceData { index: 0, records: Some(batch.build().to_bytes()) };
        let topic = TopicProduceData { name: "t".to_owned(), partition_data: vec![partition] };
        let request = ProduceRequest { acks: 1, topic_data: vec![topic], ..Default::default() };
        let header = RequestHeader { api_key: ApiKey::Produce, version, correlation_id: 1, client_id: None };
        let mut out = Out::new();
        wire::encode_request(&mut out, &header, &request.into()).unwrap();
        let frame = out.take_joined().slice(4..);
        let parsed = read(&frame, frame.len(), &Rules::default(), Timestamp(1_000)).unwrap();
        let Entry::Ask { request: Request::Produce(mut produce), .. } = parsed else { panic!("{parsed:?}") };
        let (_, judged) = produce.topics.remove(0).partitions.remove(0);
        judged.map(drop).map_err(|refused| refused.code())
    }

    #[test]
    fn zstd_comes_in_from_produce_7_on_and_other_codecs_in_all_versions() {
        for version in 3..=11 {
            let expected = if version < 7 { Err(ErrorCode::UNSUPPORTED_COMPRESSION_TYPE.0) } else { Ok(()) };
            assert_eq!(judged(version, Codec::Zstd), expected, "version {version}");
            for codec in [Codec::None, Codec::Gzip, Codec::Snappy, Codec::Lz4] {
                assert_eq!(judged(version, codec), Ok(()), "{codec:?} in version {version}");
            }
        }
    }
}
