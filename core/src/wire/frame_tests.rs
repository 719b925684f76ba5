//! Frames as bytes: what is refused, what survives, and that record bytes are never copied.

use bytes::Bytes;

use crate::ids::{LogId, Offset};
use crate::storage::ops::LogRange;
use crate::wire::api::{ApiKey, Request, Response};
use crate::wire::fault::Fault;
use crate::wire::frame::{
    RequestHeader, Unreadable, decode_request, decode_response, encode_request, encode_response,
};
use crate::wire::messages::describe_quorum as quorum;
use crate::wire::messages::fetch::{FetchResponse, FetchableTopicResponse, PartitionData};
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::metadata::{MetadataRequest, MetadataResponse, MetadataResponseTopic};
use crate::wire::messages::produce::{
    LeaderIdAndEpoch, PartitionProduceData, PartitionProduceResponse, ProduceRequest, ProduceResponse,
    TopicProduceData, TopicProduceResponse,
};
use crate::wire::{ErrorCode, Out, Records, api_versions};

fn encoded(request: impl Into<Request>, version: i16) -> Bytes {
    let request = request.into();
    let client_id = Some("me".to_owned());
    let header = RequestHeader { api_key: request.key(), version, correlation_id: 7, client_id };
    let mut out = Out::new();
    encode_request(&mut out, &header, &request).unwrap();
    body(out)
}

fn answered(response: impl Into<Response>, version: i16) -> Bytes {
    let mut out = Out::new();
    encode_response(&mut out, 7, version, &response.into()).unwrap();
    body(out)
}

/// The frame behind its length prefix, which must be right.
fn body(mut out: Out) -> Bytes {
    let mut frame = out.take_joined();
    let prefix = frame.split_to(4);
    assert_eq!(prefix[..], (frame.len() as i32).to_be_bytes());
    frame
}

fn malformed(frame: &[u8]) -> (Fault, &'static str, &'static str) {
    match decode_request(&Bytes::copy_from_slice(frame)) {
        Err(Unreadable::Malformed { error, .. }) => (error.fault, error.message, error.field),
        other => panic!("not malformed: {other:?}"),
    }
}

fn header(key: i16, version: i16) -> Vec<u8> {
    let mut frame = Vec::new();
    frame.extend(key.to_be_bytes());
    frame.extend(version.to_be_bytes());
    frame.extend(7_i32.to_be_bytes());
    frame
}

fn produce(records: Bytes) -> ProduceRequest {
    let partition = PartitionProduceData { index: 0, records: Some(records) };
    let topic = TopicProduceData { name: "t".to_owned(), partition_data: vec![partition] };
    ProduceRequest { acks: -1, timeout_ms: 30_000, topic_data: vec![topic], ..Default::default() }
}

fn fetched(records: Option<Records>) -> FetchResponse {
    let partition = PartitionData { records, ..Default::default() };
    let topic = FetchableTopicResponse { partitions: vec![partition], ..Default::default() };
    FetchResponse { responses: vec![topic], ..Default::default() }
}

#[test]
fn a_frame_too_short_for_a_correlation_id_says_so() {
    for length in 0..8 {
        let frame = Bytes::copy_from_slice(&header(18, 3)[..length]);
        assert_eq!(decode_request(&frame), Err(Unreadable::TooShort { length }));
    }
}

#[test]
fn an_unknown_key_and_an_unsupported_version_keep_the_correlation_id() {
    let unknown = decode_request(&header(4, 0).into()).unwrap_err();
    assert_eq!(unknown, Unreadable::UnknownKey { key: 4, version: 0, correlation_id: 7 });
    for (key, version) in [(0, 2), (0, 12), (1, 17), (3, -1), (3, 14), (9, 0)] {
        let refused = decode_request(&header(key, version).into()).unwrap_err();
        assert!(matches!(refused, Unreadable::UnsupportedVersion { .. }), "{refused:?}");
        assert_eq!(refused.correlation_id(), Some(7));
    }
}

#[test]
fn a_newer_api_versions_is_answered_in_version_0_without_reading_its_body() {
    let mut frame = header(18, 5);
    frame.extend([0xff; 40]);
    let refused = decode_request(&frame.into()).unwrap_err();
    assert_eq!(refused, Unreadable::ApiVersions { version: 5, correlation_id: 7 });
    let answer = answered(api_versions::unsupported(), 0);
    assert_eq!(answer[..10], [0, 0, 0, 7, 0, 35, 0, 0, 0, ApiKey::ALL.len() as u8]);
    let (_, read) = decode_response(ApiKey::ApiVersions, 4, &answer).unwrap();
    assert_eq!(read, api_versions::unsupported().into(), "a client that asked in version 4 understands it");
}

#[test]
fn response_headers_have_tags_in_flexible_versions_but_never_for_api_versions() {
    for &key in ApiKey::ALL {
        for version in key.accepted() {
            let expected = i16::from(key != ApiKey::ApiVersions && key.flexible(version));
            assert_eq!(key.response_header_version(version), expected, "{key} {version}");
        }
    }
    let answer = answered(api_versions::unsupported(), 3);
    assert_eq!(
        answer[4..7],
        [0, 35, ApiKey::ALL.len() as u8 + 1],
        "the error follows the correlation id at once"
    );
}

#[test]
fn the_client_id_of_a_flexible_request_has_a_two_byte_length() {
    let mut frame = header(12, 4);
    frame.extend(b"\x00\x02me\x00"); // client id, no tags
    frame.extend(b"\x02g\x00\x00\x00\x05\x02m\x00\x00"); // group, generation, member, no instance, no tags
    let (header, request) = decode_request(&frame.into()).unwrap();
    assert_eq!(header.client_id.as_deref(), Some("me"));
    let heartbeat = HeartbeatRequest {
        group_id: "g".to_owned(),
        generation_id: 5,
        member_id: "m".to_owned(),
        group_instance_id: None,
    };
    assert_eq!(request, heartbeat.into());
}

#[test]
fn a_null_client_id_is_legal() {
    let mut frame = header(16, 0);
    frame.extend([0xff, 0xff]);
    let (header, _) = decode_request(&frame.into()).unwrap();
    assert_eq!(header.client_id, None);
}

#[test]
fn an_eleven_byte_produce_that_claims_ten_million_topics_is_refused() {
    let mut frame = header(0, 9);
    frame.extend(b"\xff\xff\x00"); // no client id, no tags
    frame.extend(b"\x00\x00\x01\x00\x00\x00\x01"); // no transactional id, acks, timeout
    frame.extend(b"\x81\xad\xe2\x04"); // 10,000,000 + 1
    let fault = Fault::TooMany { count: 10_000_000, left: 0 };
    assert_eq!(malformed(&frame), (fault, "ProduceRequest", "topic_data"));
}

#[test]
fn negative_counts_and_lengths_are_refused() {
    let mut frame = header(3, 1);
    frame.extend(b"\xff\xff\xff\xff\xff\xfe");
    assert_eq!(malformed(&frame), (Fault::BadLength(-2), "MetadataRequest", "topics"));
    let mut frame = header(12, 0);
    frame.extend(b"\xff\xff\xff\xff");
    assert_eq!(malformed(&frame), (Fault::Null, "HeartbeatRequest", "group_id"));
}

#[test]
fn an_overlong_varint_is_refused() {
    for varint in [&b"\xff\xff\xff\xff\x10"[..], b"\x80\x80\x80\x80\x80\x00"] {
        let mut frame = header(3, 9);
        frame.extend(b"\xff\xff\x00");
        frame.extend(varint);
        assert_eq!(malformed(&frame), (Fault::Varint, "MetadataRequest", "topics"));
    }
}

#[test]
fn what_is_not_utf8_is_refused() {
    let mut frame = header(12, 0);
    frame.extend(b"\xff\xff\x00\x02\xc3\x28");
    assert_eq!(malformed(&frame), (Fault::NotUtf8, "HeartbeatRequest", "group_id"));
}

#[test]
fn bytes_behind_the_body_are_ignored_for_real_clients_send_them() {
    let mut frame = encoded(MetadataRequest::default(), 9).to_vec();
    let plain = decode_request(&Bytes::from(frame.clone())).unwrap();
    frame.extend([0, 0, 0]);
    assert_eq!(decode_request(&Bytes::from(frame)).unwrap(), plain);
}

#[test]
fn every_cut_of_a_request_is_refused_and_none_panics() {
    let frame = encoded(produce(Bytes::from_static(b"records")), 9);
    for length in 8..frame.len() {
        malformed(&frame[..length]);
    }
}

#[test]
fn unknown_tagged_fields_are_skipped_and_forgotten() {
    let plain = encoded(MetadataRequest::default(), 9);
    let mut tagged = plain[..plain.len() - 1].to_vec();
    tagged.extend(b"\x02\x63\x03abc\xe8\x07\x00"); // tag 99 of three bytes, tag 1000 of none
    let (_, request) = decode_request(&tagged.into()).unwrap();
    assert_eq!(request, MetadataRequest::default().into());
}

#[test]
fn a_tag_that_claims_more_than_the_frame_is_refused() {
    let plain = encoded(MetadataRequest::default(), 9);
    let mut tagged = plain[..plain.len() - 1].to_vec();
    tagged.extend(b"\x01\x63\xff\xff\xff\xff\x0f");
    let fault = Fault::Truncated { wanted: u32::MAX as usize, left: 0 };
    assert_eq!(malformed(&tagged), (fault, "MetadataRequest", "tagged fields"));
}

#[test]
fn any_byte_but_zero_is_true() {
    let mut frame = encoded(MetadataRequest::default(), 9).to_vec();
    let flag = frame.len() - 4; // auto creation, two flags, no tags
    frame[flag] = 2;
    let (_, request) = decode_request(&frame.into()).unwrap();
    assert_eq!(request, MetadataRequest::default().into(), "auto creation is on by default");
}

#[test]
fn metadata_before_version_4_always_allows_topics_to_be_created() {
    for version in 0..=3 {
        let (_, request) = decode_request(&encoded(MetadataRequest::default(), version)).unwrap();
        let Request::Metadata(request) = request else { panic!("another request") };
        assert!(request.allow_auto_topic_creation);
    }
}

#[test]
fn metadata_tells_null_from_an_empty_list_from_version_1_on() {
    for topics in [None, Some(Vec::new())] {
        let asked = MetadataRequest { topics, ..Default::default() };
        for version in 1..=13 {
            assert_eq!(decode_request(&encoded(asked.clone(), version)).unwrap().1, asked.clone().into());
        }
    }
}

#[test]
fn a_metadata_answer_by_topic_id_has_a_null_name_from_version_12_on() {
    let topic = MetadataResponseTopic {
        error_code: ErrorCode::UNKNOWN_TOPIC_ID,
        name: None,
        topic_id: crate::ids::TopicId([9; 16]),
        ..Default::default()
    };
    let answer = MetadataResponse { topics: vec![topic], ..Default::default() };
    let (_, read) = decode_response(ApiKey::Metadata, 12, &answered(answer.clone(), 12)).unwrap();
    assert_eq!(read, answer.clone().into());
    let error = encode_response(&mut Out::new(), 7, 11, &answer.into()).unwrap_err();
    assert_eq!((error.fault, error.field), (Fault::Null, "name"));
}

#[test]
fn authorized_operations_that_nobody_asked_for_are_the_smallest_integer() {
    assert_eq!(MetadataResponse::default().cluster_authorized_operations, i32::MIN);
    assert_eq!(MetadataResponseTopic::default().topic_authorized_operations, i32::MIN);
}

#[test]
fn an_empty_fetch_result_is_written_as_no_bytes_and_never_as_null() {
    for records in [None, Some(Records::default()), Some(Records::Held(vec![Bytes::new()]))] {
        let old = answered(fetched(records.clone()), 4);
        assert_eq!(old[old.len() - 4..], [0, 0, 0, 0]);
        let new = answered(fetched(records), 12);
        assert_eq!(new[new.len() - 4..], [1, 0, 0, 0], "empty records, then the tags of three structures");
    }
}

#[test]
fn records_of_a_fetch_answer_are_spliced_in_and_not_copied() {
    let chunks = vec![Bytes::from(vec![1; 5000]), Bytes::from(vec![2; 100])];
    let mut out = Out::new();
    encode_response(&mut out, 7, 12, &fetched(Some(Records::Held(chunks.clone()))).into()).unwrap();
    let length = out.len();
    let mut written = Vec::new();
    out.take(&mut written);
    for chunk in &chunks {
        assert!(written.iter().any(|w| w.as_ptr() == chunk.as_ptr() && w.len() == chunk.len()));
    }
    assert_eq!(written.iter().map(Bytes::len).sum::<usize>(), length);
    let joined = Bytes::from(written.concat()).slice(4..);
    let (_, Response::Fetch(read)) = decode_response(ApiKey::Fetch, 12, &joined).unwrap() else {
        panic!("another response")
    };
    let Some(Records::Held(read)) = &read.responses[0].partitions[0].records else { panic!("no records") };
    assert_eq!(read.concat(), chunks.concat());
}

#[test]
fn records_of_a_produce_request_are_slices_of_its_frame() {
    let records = Bytes::from(vec![7; 5000]);
    for version in [3, 9, 11] {
        let frame = encoded(produce(records.clone()), version);
        let (_, Request::Produce(read)) = decode_request(&frame).unwrap() else { panic!("another request") };
        let slice = read.topic_data[0].partition_data[0].records.clone().unwrap();
        assert_eq!(slice, records);
        assert!(frame.as_ptr_range().contains(&slice.as_ptr()));
    }
}

#[test]
#[should_panic(expected = "must be read before they are sent")]
fn records_on_disk_are_never_written() {
    let range = LogRange {
        log: LogId::METADATA,
        from: Offset(0),
        below: Offset(1),
        max_bytes: 1,
        at_least_one: true,
    };
    answered(fetched(Some(Records::OnDisk(range))), 12);
}

#[test]
fn a_hint_that_an_old_version_lacks_is_dropped_and_other_fields_are_an_error() {
    let current_leader = LeaderIdAndEpoch { leader_id: 2, leader_epoch: 5 };
    let partition = PartitionProduceResponse { current_leader, ..Default::default() };
    let topic = TopicProduceResponse { partition_responses: vec![partition], ..Default::default() };
    let answer = ProduceResponse { responses: vec![topic], ..Default::default() };
    answered(answer.clone(), 9);
    let (_, read) = decode_response(ApiKey::Produce, 10, &answered(answer.clone(), 10)).unwrap();
    assert_eq!(read, answer.into());

    let session = FetchResponse { session_id: 1, ..Default::default() };
    let mut out = Out::new();
    let error = encode_response(&mut out, 7, 6, &session.into()).unwrap_err();
    assert_eq!(
        (error.fault, error.message, error.field),
        (Fault::NotInVersion(6), "FetchResponse", "session_id")
    );
    assert!(out.is_empty(), "nothing of a frame that failed is left");
}

#[test]
fn a_frame_that_fails_leaves_the_ones_before_it() {
    let mut out = Out::new();
    encode_response(&mut out, 1, 12, &fetched(Some(Records::Held(vec![Bytes::from_static(b"r")]))).into())
        .unwrap();
    let before = out.len();
    let session = FetchResponse { session_id: 1, ..Default::default() };
    encode_response(&mut out, 2, 6, &session.into()).unwrap_err();
    assert_eq!(out.len(), before);
    encode_response(&mut out, 3, 12, &fetched(None).into()).unwrap();
    let all = out.take_joined();
    let first = u32::from_be_bytes(*all.first_chunk().unwrap()) as usize + 4;
    assert_eq!(first, before);
    assert_eq!(all[first + 4..first + 8], 3_i32.to_be_bytes());
}

#[test]
fn a_string_longer_than_32767_bytes_cannot_be_written() {
    let request = HeartbeatRequest { group_id: "g".repeat(32_768), ..Default::default() };
    for version in 0..=4 {
        let header =
            RequestHeader { api_key: ApiKey::Heartbeat, version, correlation_id: 7, client_id: None };
        let error = encode_request(&mut Out::new(), &header, &request.clone().into()).unwrap_err();
        assert_eq!((error.fault, error.field), (Fault::TooLong(32_768), "group_id"));
    }
}

#[test]
fn an_error_code_that_is_unknown_survives() {
    let answer = FetchResponse { error_code: ErrorCode(999), ..Default::default() };
    let (_, read) = decode_response(ApiKey::Fetch, 7, &answered(answer.clone(), 7)).unwrap();
    assert_eq!(read, answer.into());
    assert_eq!(ErrorCode(999).to_string(), "UNKNOWN(999)");
    assert_eq!(ErrorCode(6).to_string(), "NOT_LEADER_OR_FOLLOWER");
    assert!(ErrorCode(6).retriable() && !ErrorCode(35).retriable());
}

#[test]
fn the_state_of_a_quorum_goes_to_old_clients_without_directories_times_and_listeners() {
    let voter = quorum::ReplicaState {
        replica_id: 1,
        replica_directory_id: [7; 16],
        log_end_offset: 9,
        last_fetch_timestamp: 100,
        last_caught_up_timestamp: 90,
    };
    let told = |voter: quorum::ReplicaState, nodes| {
        let partition = quorum::DescribeQuorumResponsePartition {
            leader_id: 1,
            high_watermark: 9,
            current_voters: vec![voter.clone()],
            observers: vec![voter],
            ..Default::default()
        };
        let topic = quorum::DescribeQuorumResponseTopic {
            topic_name: "__cluster_metadata".into(),
            partitions: vec![partition],
        };
        quorum::DescribeQuorumResponse { topics: vec![topic], nodes, ..Default::default() }
    };
    let at =
        quorum::DescribeQuorumResponseListener { name: "PLAINTEXT".into(), host: "h".into(), port: 65_535 };
    let node = quorum::DescribeQuorumResponseNode { node_id: 1, listeners: vec![at] };
    let whole = told(voter.clone(), vec![node]);
    let untimed = quorum::ReplicaState { replica_id: 1, log_end_offset: 9, ..Default::default() };
    let timed = quorum::ReplicaState { replica_directory_id: [0; 16], ..voter };
    for (version, left) in [(0, told(untimed, Vec::new())), (1, told(timed, Vec::new())), (2, whole.clone())]
    {
        let (_, read) =
            decode_response(ApiKey::DescribeQuorum, version, &answered(whole.clone(), version)).unwrap();
        assert_eq!(read, left.into(), "version {version}");
    }
}
