//! What the nodes of the quorum say to one another.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::quorum::voters::Voter;
use crate::record::Batch;

/// A message, and the epoch that its sender is in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Message {
    /// A question's number among its sender's, and the same in its answer. Nothing else has one that counts.
    pub correlation: u64,
    /// The sender's epoch.
    pub epoch: LeaderEpoch,
    /// What it says.
    pub body: Body,
}

/// What a message says.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Body {
    /// It wants an answer.
    Question(Question),
    /// It is one.
    Answer(Answer),
    /// A follower tells its leader that its disk has everything below. Of what it has fetched in this epoch.
    Flushed(Offset),
}

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Question {
    /// For a vote.
    Vote(Vote),
    /// Whether it has heard that the sender leads this epoch (Kafka: `BeginQuorumEpoch`).
    Begin,
    /// Nothing: the sender gives up its leadership (Kafka: `EndQuorumEpoch`).
    End {
        /// Who should stand for election, the most suitable first.
        successors: Vec<BrokerId>,
    },
    /// For records.
    Fetch(Fetch),
    /// For a piece of a snapshot (Kafka: `FetchSnapshot`, KIP-630).
    Piece(Wanted),
}

/// A question for a vote.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vote {
    /// Whether it asks only if it would be given (KIP-996): it binds nobody, and the epoch is the one before.
    pub pre: bool,
    /// Who asks.
    pub candidate: Voter,
    /// How far its log goes.
    pub tip: Tip,
}

/// How far a log goes. The later one may lead the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Tip {
    /// The epoch of its last record, -1 without any.
    pub epoch: LeaderEpoch,
    /// The offset after its last record.
    pub end: Offset,
}

/// A question for records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fetch {
    /// Who asks.
    pub by: Voter,
    /// How far its log goes: it wants what follows.
    pub tip: Tip,
    /// How far its disk has it.
    pub flushed: Offset,
}

/// A question for a piece of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// Who asks.
    pub by: Voter,
    /// Which snapshot: where it ends, and the epoch of the last record in it (Kafka: `SnapshotId`).
    pub of: Tip,
    /// The first byte that is wanted.
    pub from: u64,
}

/// A piece of a snapshot.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Which snapshot.
    pub of: Tip,
    /// The place of its first byte in the snapshot.
    pub from: u64,
    /// Bytes of the whole snapshot.
    pub whole: u64,
    /// CRC-32C of the whole snapshot.
    pub crc: u32,
    /// The bytes.
    pub bytes: Vec<u8>,
}

impl fmt::Debug for Piece {
    /// Of its bytes only how many there are.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Piece { of, from, whole, bytes, .. } = self;
        write!(f, "{} bytes from {from} on, of the {whole} of the snapshot {of:?}", bytes.len())
    }
}

/// What is answered.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// To a vote.
    Vote {
        /// Who answers.
        by: Voter,
        /// Whether it votes so.
        granted: bool,
        /// The leader of its epoch, if it knows one.
        leader: Option<BrokerId>,
    },
    /// To a fetch, by the leader: what follows there, and its high watermark.
    Records {
        /// Whole batches, in order. Between brokers they ride behind the message, as they are.
        #[serde(skip)]
        batches: Vec<Batch>,
        /// The leader's high watermark.
        high: Offset,
    },
    /// To a fetch, by the leader: the logs part ways. The last epoch in which they may agree, and where it ends in the leader's.
    Diverging(Tip),
    /// To anything: no.
    Refused {
        /// Why.
        why: Refusal,
        /// The leader of the answerer's epoch, if it knows one.
        leader: Option<BrokerId>,
    },
    /// To `Begin`: heard.
    Heard,
    /// To a fetch, or to a question for a piece of another snapshot, by the leader: nothing of its log follows on that of who asks. This
    /// snapshot is to be fetched.
    Snapshot(Tip),
    /// To a question for a piece, by the leader.
    Piece(Piece),
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// The question is of an epoch that is over.
    Epoch,
    /// The node that was asked does not lead.
    NotLeader,
}
