//! The messages between brokers.

use serde::{Deserialize, Serialize};

use crate::cluster::lifecycle::{Heartbeat, Standing};
use crate::cluster::membership::RegistrationRequest;
use crate::ids::LogId;
use crate::quorum::messages::{Answer, Body, Message};
use crate::record::Batch;
use crate::replica::isr::{NotChanged, Proposal};
use crate::replica::messages::{Incarnation, News, ReplicaAnswer, ReplicaFetch, ReplicaFlushed};

/// What one broker says to another. To add a variant: put it at the end, derive serde's traits for what it holds, skip the lists
/// of record batches in it (`#[serde(skip)]`), and name those lists in both functions below.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Of the metadata quorum.
    Quorum(Message),
    /// To the active controller, of a broker.
    ToController(ToController),
    /// Of the active controller, to a broker.
    FromController(FromController),
    /// A follower asks for records.
    ReplicaFetch(ReplicaFetch),
    /// Its leader answers.
    ReplicaAnswer(ReplicaAnswer<Carried>),
    /// A follower's disk has come further.
    ReplicaFlushed(ReplicaFlushed),
    /// A client's request that the active controller decides, as its frame.
    Forward {
        /// Its number at the broker that sends it.
        correlation: u64,
        /// The frame, without its length.
        frame: Vec<u8>,
    },
    /// The answer to it.
    Forwarded {
        /// The number.
        correlation: u64,
        /// What came of it.
        outcome: Outcome,
    },
}

/// What came of a request that was forwarded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// The frame of the answer, without its length.
    Answer(Vec<u8>),
    /// Whoever was asked is not the active controller, or is it no more: another one is to be asked.
    NotController,
    /// There will be no answer, whoever is asked, and why.
    Unanswerable(String),
}

/// What a broker tells the active controller.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ToController {
    /// It wants to belong to the cluster.
    Register(RegistrationRequest),
    /// It lives.
    Heartbeat(Heartbeat),
    /// It needs a block of producer ids.
    ProducerIds(Incarnation),
    /// It leads partitions, and wants other replicas to count as in sync.
    Isr(Incarnation, Vec<(LogId, Proposal)>),
    /// Its clients ask for topics that are to be made on first use.
    Topics(Vec<String>),
}

/// What the active controller tells a broker.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FromController {
    /// It cannot register, and why.
    NotRegistered(String),
    /// What its heartbeat came to; without a standing, that run of it is not registered.
    Standing(Incarnation, Option<Standing>),
    /// What it proposed on top of these partition epochs was not done.
    NotChanged(Incarnation, Vec<(LogId, i32, NotChanged)>),
}

/// Record batches in a message: they ride behind its header.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Carried {
    /// They.
    #[serde(skip)]
    pub batches: Vec<Batch>,
}

impl PeerMessage {
    /// The lists of record batches in it, that ride behind the header in this order.
    pub(super) fn lists(&self) -> Vec<&Vec<Batch>> {
        match self {
            PeerMessage::Quorum(message) => match &message.body {
                Body::Answer(Answer::Records { batches, .. }) => vec![batches],
                Body::Answer(
                    Answer::Vote { .. }
                    | Answer::Diverging(_)
                    | Answer::Refused { .. }
                    | Answer::Heard
                    | Answer::Snapshot(_)
                    | Answer::Piece(_),
                )
                | Body::Question(_)
                | Body::Flushed(_) => Vec::new(),
            },
            PeerMessage::ReplicaAnswer(answer) => {
                let lists = answer.partitions.iter().filter_map(|(_, partition)| match &partition.news {
                    News::Records { records, .. } => Some(&records.batches),
                    News::Diverging(_) | News::Restart(_) | News::Refused(_) => None,
                });
                lists.collect()
            }
            PeerMessage::ToController(_)
            | PeerMessage::FromController(_)
            | PeerMessage::ReplicaFetch(_)
            | PeerMessage::ReplicaFlushed(_)
            | PeerMessage::Forward { .. }
            | PeerMessage::Forwarded { .. } => Vec::new(),
        }
    }

    /// The same lists, to be filled.
    pub(super) fn lists_mut(&mut self) -> Vec<&mut Vec<Batch>> {
        match self {
            PeerMessage::Quorum(message) => match &mut message.body {
                Body::Answer(Answer::Records { batches, .. }) => vec![batches],
                Body::Answer(
                    Answer::Vote { .. }
                    | Answer::Diverging(_)
                    | Answer::Refused { .. }
                    | Answer::Heard
                    | Answer::Snapshot(_)
                    | Answer::Piece(_),
                )
                | Body::Question(_)
                | Body::Flushed(_) => Vec::new(),
            },
            PeerMessage::ReplicaAnswer(answer) => {
                let lists =
                    answer.partitions.iter_mut().filter_map(|(_, partition)| match &mut partition.news {
                        News::Records { records, .. } => Some(&mut records.batches),
                        News::Diverging(_) | News::Restart(_) | News::Refused(_) => None,
                    });
                lists.collect()
            }
            PeerMessage::ToController(_)
            | PeerMessage::FromController(_)
            | PeerMessage::ReplicaFetch(_)
            | PeerMessage::ReplicaFlushed(_)
            | PeerMessage::Forward { .. }
            | PeerMessage::Forwarded { .. } => Vec::new(),
        }
    }
}
