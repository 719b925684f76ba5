//! The client's door: everything that goes into the machine and everything that comes out, on one screen.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;

use crate::ids::{BrokerId, ConnId, LeaderEpoch, Offset};
use crate::record::{Record, RecordHeader};
use crate::time::Timestamp;
use crate::wire;
use crate::wire::error::ErrorCode;

use super::settings::{ConsumerSettings, MemberSettings, ProducerSettings};

/// What the world tells the client.
#[derive(Debug)]
pub enum ClientInput {
    /// A connection asked for by [`ClientEffect::Connect`] is open.
    Connected {
        /// Which one.
        conn: ConnId,
    },
    /// A connection could not be opened, or has ended.
    Disconnected {
        /// Which one. One that the client has closed itself is ignored.
        conn: ConnId,
        /// Why, for people.
        why: String,
    },
    /// A whole frame has arrived, without its length.
    Received {
        /// On which connection.
        conn: ConnId,
        /// The frame.
        frame: Bytes,
    },
    /// The user wants something.
    Command(Command),
    /// The moment named by `next_wake` has come.
    Wake,
}

/// What the client tells the world to do.
#[derive(Debug)]
pub enum ClientEffect {
    /// Open a connection; answered by `Connected` or `Disconnected`.
    Connect {
        /// The name it is known by. Never used twice.
        conn: ConnId,
        /// Where to.
        addr: Address,
    },
    /// Write these bytes, one chunk after the other.
    Send {
        /// On which connection.
        conn: ConnId,
        /// What.
        chunks: Vec<Bytes>,
    },
    /// Close a connection.
    Close {
        /// Which one.
        conn: ConnId,
    },
    /// Something for the user.
    Event(Event),
}

/// What the user wants. A `tag` is the user's own name for a question and comes back with its answer.
#[derive(Debug)]
pub enum Command {
    /// Begin to be a producer, or go on as one with other settings. Refused while records are under way.
    Producer(ProducerSettings),
    /// Write a record; answered by [`Event::Produced`], exactly once.
    Produce {
        /// The user's name for it.
        tag: u64,
        /// The record.
        record: NewRecord,
    },
    /// Send what lingers at once.
    Flush,
    /// Begin to be a consumer, or go on as one with other settings.
    Consumer(ConsumerSettings),
    /// Read exactly these partitions from now on.
    Assign(Vec<(TopicPartition, Start)>),
    /// Go on reading a partition from elsewhere.
    Seek(TopicPartition, Start),
    /// Ask for records: each leader is asked once, and its answer delivered as [`Event::Records`] (back-pressure: no poll, no fetch).
    Poll,
    /// Join a consumer group. Partitions are then assigned by the group, and read by the consumer.
    Join(MemberSettings),
    /// All records of a partition below `next` are processed: the next commit says so.
    Processed {
        /// The partition.
        partition: TopicPartition,
        /// The offset to go on from.
        next: Offset,
    },
    /// Commit what is processed now; answered by [`Event::Committed`].
    Commit {
        /// The user's name for it.
        tag: u64,
    },
    /// Commit what is processed and leave the group; answered by [`Event::Left`].
    Leave,
    /// Send one request and get its answer, by [`Event::Answered`], exactly once.
    Call {
        /// The user's name for it.
        tag: u64,
        /// Who is to answer.
        target: Target,
        /// The question.
        request: wire::Request,
        /// How long to try, in milliseconds.
        timeout_ms: i64,
    },
}

/// What the client tells the user.
#[derive(Debug)]
pub enum Event {
    /// What became of a record.
    Produced {
        /// The user's name for it.
        tag: u64,
        /// What became of it.
        outcome: Outcome<Placed>,
    },
    /// Records of one partition, in order of offset.
    Records {
        /// The partition.
        partition: TopicPartition,
        /// The records; empty when all that was fetched lies below the position or is not for users.
        records: Vec<Fetched>,
        /// Where the consumer goes on.
        next: Offset,
        /// The high watermark (or the last stable offset when reading committed records).
        end: Offset,
    },
    /// A position is known: the consumer begins to read there.
    Positioned {
        /// The partition.
        partition: TopicPartition,
        /// Where it begins.
        offset: Offset,
        /// The position that did not exist and was replaced, if that is why.
        instead_of: Option<Offset>,
    },
    /// A partition cannot be read; it is not tried again until assigned or sought again.
    Unreadable {
        /// The partition.
        partition: TopicPartition,
        /// Why.
        failure: Failure,
    },
    /// The group has assigned partitions.
    Assigned(Assigned),
    /// The group takes partitions back: what is not marked as processed by now goes to other members.
    Revoked {
        /// The partitions.
        partitions: Vec<TopicPartition>,
        /// Whether they are lost already: somebody else may be reading them, and a commit is refused.
        lost: bool,
    },
    /// What became of a commit.
    Committed {
        /// The user's name for it; `None` for one the member made by itself.
        tag: Option<u64>,
        /// The offsets, or why not.
        outcome: Outcome<Vec<(TopicPartition, Offset)>>,
    },
    /// The group has been left.
    Left,
    /// The member cannot go on: it must join anew.
    Expelled(Failure),
    /// The answer to a call.
    Answered {
        /// The user's name for it.
        tag: u64,
        /// The answer, or why there is none.
        result: Result<wire::Response, CallError>,
    },
    /// A broker cannot be reached. The client tries on.
    Unreachable {
        /// Where.
        addr: Address,
        /// Why, for people.
        why: String,
    },
}

/// Where a broker listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Address {
    /// A name or an address; without brackets if it is IPv6.
    pub host: String,
    /// The port.
    pub port: u16,
}

impl Address {
    /// From a broker's answer, where ports are wider than they can be.
    pub(crate) fn of(host: &str, port: i32) -> Option<Address> {
        Some(Address { host: host.to_string(), port: u16::try_from(port).ok()? })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl std::str::FromStr for Address {
    type Err = String;

    /// Reads `host:port`, `[v6]:port` or `host` alone, with port 9092.
    fn from_str(text: &str) -> Result<Address, String> {
        let bad = || format!("'{text}' is not host:port");
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) if !host.contains(':') || host.starts_with('[') => (host, port),
            _ => (text, "9092"),
        };
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        if host.is_empty() || host.contains(['[', ']', ' ', '/']) {
            return Err(bad());
        }
        let port = port.parse().map_err(|_| bad())?;
        Ok(Address { host: host.to_string(), port })
    }
}

/// A partition as users name it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicPartition {
    /// The topic's name.
    pub topic: Arc<str>,
    /// The partition's number.
    pub partition: i32,
}

impl TopicPartition {
    /// That partition of that topic.
    pub fn new(topic: impl Into<Arc<str>>, partition: i32) -> TopicPartition {
        TopicPartition { topic: topic.into(), partition }
    }
}

impl fmt::Display for TopicPartition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.topic, self.partition)
    }
}

/// A record to write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewRecord {
    /// The topic.
    pub topic: String,
    /// The partition; `None` lets the partitioner choose.
    pub partition: Option<i32>,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` is a tombstone.
    pub value: Option<Bytes>,
    /// Headers, in order; a key may occur more than once.
    pub headers: Vec<RecordHeader>,
    /// The timestamp, not negative; `None` takes the time at which the client gets the record.
    pub timestamp: Option<Timestamp>,
}

/// A record that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The record.
    pub record: Record,
    /// Whether its timestamp is the broker's (LogAppendTime).
    pub append_time: bool,
    /// The epoch of the leader that appended it.
    pub leader_epoch: LeaderEpoch,
}

/// Where to begin to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the first record there is.
    Beginning,
    /// At the end: only what comes later.
    End,
    /// At an offset.
    Offset(Offset),
    /// At the first record of that time or later; at the end when there is none.
    Time(Timestamp),
}

/// What to do when a position does not exist (`auto.offset.reset`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// Go to the first record.
    Earliest,
    /// Go to the end.
    Latest,
    /// Report it and stop reading the partition.
    Fail,
}

/// Who is to answer a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// Any broker.
    Any,
    /// The controller, as metadata names it.
    Controller,
    /// One broker.
    Broker(BrokerId),
    /// The leader of a partition.
    Leader(TopicPartition),
    /// The coordinator of a consumer group.
    Group(String),
}

/// What became of something whose outcome matters: histories are recorded from it.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome<T> {
    /// It was done.
    Done(T),
    /// It was not done, and will not be.
    Failed(Failure),
    /// Nobody can tell: it may have been done, or may yet be.
    Unknown(Failure),
}

/// Why something was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The broker's error; `NONE` when the reason lies in the client or the network.
    pub code: ErrorCode,
    /// What happened, for people.
    pub text: String,
}

impl Failure {
    /// A reason in the client or the network.
    pub fn local(text: impl Into<String>) -> Failure {
        Failure { code: ErrorCode::NONE, text: text.into() }
    }

    /// A broker's error, said of `what`.
    pub fn broker(code: ErrorCode, what: impl fmt::Display) -> Failure {
        Failure { code, text: format!("{what}: {code}") }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Where a record was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placed {
    /// The partition.
    pub partition: TopicPartition,
    /// Its offset; `None` when the broker does not tell (acks=0, a very late duplicate).
    pub offset: Option<Offset>,
    /// Its timestamp, the broker's if the topic says so.
    pub timestamp: Timestamp,
}

/// What a group assigned to this member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assigned {
    /// The group's generation.
    pub generation: i32,
    /// This member's id.
    pub member: String,
    /// Its partitions, in order.
    pub partitions: Vec<TopicPartition>,
}

/// Why a call has no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallError {
    /// The brokers there are do not speak it, or not with these fields. It was not sent.
    Unsupported(String),
    /// It was not sent, or refused; nothing has happened.
    Failed(Failure),
    /// It was sent, and there is no answer: it may have been done.
    Unknown(Failure),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Unsupported(text) => f.write_str(text),
            CallError::Failed(failure) => failure.fmt(f),
            CallError::Unknown(failure) => write!(f, "{failure} (it may have been done all the same)"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_host_and_port_with_kafkas_port_as_default() {
        let read = |text: &str| text.parse::<Address>().map(|a| (a.host, a.port));
        assert_eq!(read("localhost:19092"), Ok(("localhost".into(), 19092)));
        assert_eq!(read("broker-1"), Ok(("broker-1".into(), 9092)));
        assert_eq!(read("[::1]:9093"), Ok(("::1".into(), 9093)));
        assert_eq!(read("::1"), Ok(("::1".into(), 9092)));
        assert!(read("localhost:port").is_err() && read(":9092").is_err() && read("a:70000").is_err());
    }
}
