//! Tests of the room, and the messages they are told with.

mod frames;
mod golden;
mod greeting;
mod properties;

use bytes::Bytes;

use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::peer::frame::{PREFIX_BYTES, encode};
use crate::peer::message::PeerMessage;
use crate::quorum::messages::{Answer, Body, Fetch, Message, Question, Refusal, Tip, Vote};
use crate::quorum::voters::Voter;
use crate::record::{Batch, BatchBuilder};
use crate::time::Timestamp;

const VOTER: Voter = Voter { id: BrokerId(3), directory: [7; 16] };
const TIP: Tip = Tip { epoch: LeaderEpoch(4), end: Offset(1000) };

fn message(body: Body) -> PeerMessage {
    PeerMessage::Quorum(Message { correlation: 300, epoch: LeaderEpoch(5), body })
}

/// A batch of one record at that offset.
fn batch(offset: i64, value: &[u8]) -> Batch {
    let mut builder = BatchBuilder::new();
    builder.push(Timestamp(1_700_000_000_000), None, Some(value));
    let mut batch = builder.build();
    batch.stamp(Offset(offset), LeaderEpoch(4));
    batch
}

fn records(batches: Vec<Batch>) -> PeerMessage {
    message(Body::Answer(Answer::Records { batches, high: Offset(12) }))
}

/// One message of every kind.
fn every_kind() -> Vec<(&'static str, PeerMessage)> {
    let vote = Vote { pre: true, candidate: VOTER, tip: TIP };
    let fetch = Fetch { by: VOTER, tip: TIP, flushed: Offset(900) };
    let refused = |why| Body::Answer(Answer::Refused { why, leader: Some(BrokerId(2)) });
    let granted = Answer::Vote { by: VOTER, granted: true, leader: None };
    [
        ("vote", Body::Question(Question::Vote(vote))),
        ("begin", Body::Question(Question::Begin)),
        ("end", Body::Question(Question::End { successors: vec![BrokerId(2), BrokerId(1)] })),
        ("fetch", Body::Question(Question::Fetch(fetch))),
        ("voted", Body::Answer(granted)),
        ("nothing new", Body::Answer(Answer::Records { batches: Vec::new(), high: Offset(12) })),
        ("diverging", Body::Answer(Answer::Diverging(TIP))),
        ("refused, another epoch", refused(Refusal::Epoch)),
        ("refused, no leader", refused(Refusal::NotLeader)),
        ("heard", Body::Answer(Answer::Heard)),
        ("flushed", Body::Flushed(Offset(12))),
    ]
    .map(|(name, body)| (name, message(body)))
    .into_iter()
    .chain([("records", records(vec![batch(10, b"one"), batch(11, b"two")]))])
    .collect()
}

/// The message as one stretch of bytes, length and all.
fn joined(message: &PeerMessage) -> Vec<u8> {
    encode(message).expect("it is small enough").concat()
}

/// What follows the length.
fn rest(message: &PeerMessage) -> Bytes {
    Bytes::from(joined(message)).slice(PREFIX_BYTES..)
}
