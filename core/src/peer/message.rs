//! The messages between brokers.

use serde::{Deserialize, Serialize};

use crate::quorum::messages::{Answer, Body, Message};
use crate::record::Batch;

/// What one broker says to another. To add a variant: put it at the end, derive serde's traits for what it holds, skip the lists
/// of record batches in it (`#[serde(skip)]`), and name those lists in both functions below.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum PeerMessage {
    /// Of the metadata quorum.
    Quorum(Message),
}

impl PeerMessage {
    /// The lists of record batches in it, that ride behind the header in this order.
    pub(super) fn lists(&self) -> Vec<&Vec<Batch>> {
        match self {
            PeerMessage::Quorum(message) => match &message.body {
                Body::Answer(Answer::Records { batches, .. }) => vec![batches],
                Body::Answer(
                    Answer::Vote { .. } | Answer::Diverging(_) | Answer::Refused { .. } | Answer::Heard,
                )
                | Body::Question(_)
                | Body::Flushed(_) => Vec::new(),
            },
        }
    }

    /// The same lists, to be filled.
    pub(super) fn lists_mut(&mut self) -> Vec<&mut Vec<Batch>> {
        match self {
            PeerMessage::Quorum(message) => match &mut message.body {
                Body::Answer(Answer::Records { batches, .. }) => vec![batches],
                Body::Answer(
                    Answer::Vote { .. } | Answer::Diverging(_) | Answer::Refused { .. } | Answer::Heard,
                )
                | Body::Question(_)
                | Body::Flushed(_) => Vec::new(),
            },
        }
    }
}
