//! Our codec against `kafka-protocol`, for every message and every version that we accept or send.

mod filler;
mod oracle;

use bytes::Bytes;
use quipu_core::wire::fault::Fault;
use quipu_core::wire::messages::delete_topics::DeleteTopicsRequest;
use quipu_core::wire::messages::offset_fetch::{OffsetFetchRequest, OffsetFetchRequestTopic};
use quipu_core::wire::{
    ApiKey, Out, Request, RequestHeader, Response, WireError, decode_request, decode_response,
    encode_request, encode_response,
};

use filler::{Dice, Filler, fields};

const ROUNDS: u64 = 30;
const CORRELATION: i32 = -559_038_737;

/// The bodies of random messages in one version.
fn bodies(message: &str, key: ApiKey, version: i16) -> impl Iterator<Item = Bytes> {
    filled(message, key, version, true)
}

/// The same without tagged fields.
fn untagged(message: &str, key: ApiKey, version: i16) -> impl Iterator<Item = Bytes> {
    filled(message, key, version, false).take(8)
}

fn filled(message: &str, key: ApiKey, version: i16, tagged: bool) -> impl Iterator<Item = Bytes> {
    let tree = fields(message, version);
    (0..ROUNDS).map(move |round| {
        let dice = Dice(round << 32 | (key.number() as u64) << 16 | version as u64);
        let null_records = key != ApiKey::Fetch;
        let mut filler = Filler { dice, flexible: key.flexible(version), null_records, tagged };
        let mut body = Vec::new();
        filler.structure(&tree, &mut body);
        body.into()
    })
}

fn ours(out: &mut Out) -> Bytes {
    let mut frame = out.take_joined();
    assert_eq!(frame.split_to(4)[..], (frame.len() as u32).to_be_bytes());
    frame
}

fn our_request(version: i16, client: Option<&str>, request: &Request) -> Result<Bytes, WireError> {
    let (api_key, client_id) = (request.key(), client.map(str::to_owned));
    let header = RequestHeader { api_key, version, correlation_id: CORRELATION, client_id };
    let mut out = Out::new();
    encode_request(&mut out, &header, request)?;
    Ok(ours(&mut out))
}

fn our_response(version: i16, response: &Response) -> Result<Bytes, WireError> {
    let mut out = Out::new();
    encode_response(&mut out, CORRELATION, version, response)?;
    Ok(ours(&mut out))
}

fn read_request(frame: &Bytes, client: Option<&str>) -> Request {
    let (header, request) = decode_request(frame).unwrap_or_else(|e| panic!("{e}: {frame:?}"));
    assert_eq!((header.correlation_id, header.client_id.as_deref()), (CORRELATION, client));
    request
}

fn read_response(key: ApiKey, version: i16, frame: &Bytes) -> Response {
    let (correlation, response) =
        decode_response(key, version, frame).unwrap_or_else(|e| panic!("{key} {version}: {e}: {frame:?}"));
    assert_eq!(correlation, CORRELATION);
    response
}

/// Undoes what decoding does to requests of old versions: it brings them into the newest form.
fn old_form(request: Request, version: i16) -> Request {
    match request {
        Request::LeaveGroup(mut leave) if version <= 2 => {
            leave.member_id = leave.members.remove(0).member_id;
            leave.into()
        }
        Request::FindCoordinator(mut find) if version <= 3 => {
            find.key = find.coordinator_keys.remove(0);
            find.into()
        }
        Request::DeleteTopics(delete) if version <= 5 => {
            let topic_names = delete.topics.into_iter().map(|topic| topic.name.unwrap()).collect();
            DeleteTopicsRequest { topic_names, timeout_ms: delete.timeout_ms, ..Default::default() }.into()
        }
        Request::OffsetFetch(mut fetch) if version <= 7 => {
            let group = fetch.groups.remove(0);
            let topics = group.topics.map(|topics| {
                let old = topics.into_iter().map(|topic| OffsetFetchRequestTopic {
                    name: topic.name,
                    partition_indexes: topic.partition_indexes,
                });
                old.collect()
            });
            OffsetFetchRequest { group_id: group.group_id, topics, groups: Vec::new(), ..fetch }.into()
        }
        other => other,
    }
}

#[test]
fn both_codecs_read_and_write_every_request_alike() {
    for &key in ApiKey::ALL {
        for version in key.accepted() {
            for (round, body) in bodies(&format!("{key}Request"), key, version).enumerate() {
                let client = [None, Some(""), Some("client-é")][round % 3];
                let theirs = oracle::request(key, version, &body);
                let their_frame = oracle::request_frame(key, version, client, &theirs).unwrap();
                let mut frame = oracle::request_header(key, version, client);
                frame.extend_from_slice(&body);
                let request = read_request(&frame.freeze(), client);
                assert_eq!(request, read_request(&their_frame, client), "{key} {version}");
                let frame = our_request(version, client, &old_form(request, version));
                assert_eq!(frame, Ok(their_frame), "{key} {version}");
            }
        }
    }
}

#[test]
fn both_codecs_read_and_write_every_response_alike() {
    for &key in ApiKey::ALL {
        for version in key.accepted() {
            for body in bodies(&format!("{key}Response"), key, version) {
                let theirs = oracle::response(key, version, &body);
                let their_frame = oracle::response_frame(key, version, &theirs).unwrap();
                let mut frame = oracle::response_header(key, version);
                frame.extend_from_slice(&body);
                let response = read_response(key, version, &frame.freeze());
                assert_eq!(response, read_response(key, version, &their_frame), "{key} {version}");
                assert_eq!(our_response(version, &response), Ok(their_frame), "{key} {version}");
            }
        }
    }
}

/// What is read in one version is written in another: defaults of the fields that come in, and whether those that go out
/// are dropped or refused, must be Kafka's.
#[test]
fn both_codecs_carry_requests_from_version_to_version_alike() {
    let mut written = 0;
    for &key in ApiKey::ALL {
        for from in key.accepted() {
            for body in untagged(&format!("{key}Request"), key, from) {
                let theirs = oracle::request(key, from, &body);
                let frame = oracle::request_frame(key, from, None, &theirs).unwrap();
                let mut request = old_form(read_request(&frame, None), from);
                if let (Request::JoinGroup(join), 0) = (&mut request, from) {
                    join.rebalance_timeout_ms = -1;
                }
                for to in key.accepted() {
                    let their_frame = oracle::request_frame(key, to, None, &theirs);
                    written += u32::from(their_frame.is_some());
                    alike(our_request(to, None, &request), their_frame, &format!("{key} {from} to {to}"));
                }
            }
        }
    }
    assert!(written > 2000, "only {written} requests could be written in another version");
}

/// The same bytes, or refused by both. A null that the version lacks we refuse, as Kafka does; they write it all the same.
fn alike(ours: Result<Bytes, WireError>, theirs: Option<Bytes>, what: &str) {
    if !matches!(ours, Err(error) if error.fault == Fault::Null) {
        assert_eq!(ours.ok(), theirs, "{what}");
    }
}

/// Answers that we lower to an older form, or whose hints we drop, where `kafka-protocol` refuses to write them.
fn we_write_more(key: ApiKey) -> bool {
    use ApiKey::{
        DescribeGroups, DescribeQuorum, Fetch, FindCoordinator, JoinGroup, LeaveGroup, ListOffsets,
        OffsetFetch, Produce,
    };
    matches!(
        key,
        DescribeGroups
            | DescribeQuorum
            | Fetch
            | FindCoordinator
            | JoinGroup
            | LeaveGroup
            | ListOffsets
            | OffsetFetch
            | Produce
    )
}

/// Before version 7 we write no name as an empty one, as Kafka's broker does; they write null.
fn names_no_protocol(response: &Response) -> bool {
    matches!(response, Response::JoinGroup(join) if join.protocol_name.is_none())
}

#[test]
fn both_codecs_carry_responses_from_version_to_version_alike() {
    let mut written = 0;
    for &key in ApiKey::ALL {
        for from in key.accepted() {
            for body in untagged(&format!("{key}Response"), key, from) {
                let theirs = oracle::response(key, from, &body);
                let frame = oracle::response_frame(key, from, &theirs).unwrap();
                let response = read_response(key, from, &frame);
                for to in key.accepted() {
                    let their_frame = oracle::response_frame(key, to, &theirs);
                    if (their_frame.is_none() && we_write_more(key))
                        || (to <= 6 && names_no_protocol(&response))
                    {
                        continue;
                    }
                    written += u32::from(their_frame.is_some());
                    alike(our_response(to, &response), their_frame, &format!("{key} {from} to {to}"));
                }
            }
        }
    }
    assert!(written > 2000, "only {written} responses could be written in another version");
}

#[test]
fn no_cut_and_no_flipped_byte_makes_decoding_panic() {
    for &key in ApiKey::ALL {
        for version in key.accepted() {
            for (round, body) in bodies(&format!("{key}Request"), key, version).take(6).enumerate() {
                let mut frame = oracle::request_header(key, version, Some("me"));
                frame.extend_from_slice(&body);
                let mut dice = Dice(round as u64);
                for _ in 0..20 {
                    let mut broken = frame.to_vec();
                    broken.truncate(8 + dice.below(frame.len() as u64 - 7) as usize);
                    let at = 8 + dice.below(frame.len() as u64 - 8) as usize;
                    if let Some(byte) = broken.get_mut(at) {
                        *byte = [0xff, 0x80, 0x7f, dice.roll() as u8][dice.below(4) as usize];
                    }
                    if let Err(refused) = decode_request(&broken.into()) {
                        assert_eq!(refused.correlation_id(), Some(CORRELATION));
                        assert!(!refused.to_string().is_empty());
                    }
                }
            }
        }
    }
}
