//! What of an election must not be forgotten, and that nothing is said before it is kept.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::ids::{BrokerId, LeaderEpoch};
use crate::quorum::follow::Following;
use crate::quorum::messages::{Answer, Body, Message, Question, Refusal};
use crate::quorum::voters::Voter;
use crate::quorum::{Output, Quorum, Role};
use crate::time::Instant;

/// The election state (Kafka: `quorum-state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Election {
    /// The newest epoch that this node has heard of.
    pub epoch: LeaderEpoch,
    /// Whom it has voted for in it.
    pub voted: Option<Voter>,
    /// Who leads in it.
    pub leader: Option<BrokerId>,
}

impl Election {
    /// It as it is kept on disk.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_extend(self, vec![FORMAT]).expect("plain values always encode")
    }

    /// Reads it back. The error is for people.
    pub fn decode(bytes: &[u8]) -> Result<Election, String> {
        match bytes.split_first() {
            Some((&FORMAT, body)) => {
                postcard::from_bytes(body).map_err(|e| format!("the election state cannot be read: {e}"))
            }
            other => Err(format!(
                "the election state has format {:?}, this version reads {FORMAT}",
                other.map(|(format, _)| format)
            )),
        }
    }
}

/// The format of a kept election state.
const FORMAT: u8 = 1;

/// Names one state of the election among those of this run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct WriteId(pub u64);

/// Messages that wait at most; of more, the oldest are as good as lost on the way.
const WAITING: usize = 1_000;

/// Messages that wait for an election state to be durable.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    written: WriteId,
    kept: WriteId,
    waiting: VecDeque<(WriteId, BrokerId, Message)>,
}

impl Outgoing {
    fn keep(&mut self, election: Election, out: &mut Vec<Output>) {
        self.written.0 += 1;
        out.push(Output::Keep(self.written, election));
    }

    fn send(&mut self, to: BrokerId, message: Message, out: &mut Vec<Output>) {
        if self.is_kept() {
            out.push(Output::Send(to, message));
        } else {
            self.waiting.push_back((self.written, to, message));
            if self.waiting.len() > WAITING {
                self.waiting.pop_front();
            }
        }
    }

    /// Sends what waited for this.
    pub(super) fn kept(&mut self, write: WriteId, out: &mut Vec<Output>) {
        self.kept = self.kept.max(write);
        while let Some((_, to, message)) = self.waiting.pop_front_if(|(write, _, _)| *write <= self.kept) {
            out.push(Output::Send(to, message));
        }
    }

    /// Whether the election state is durable as it is.
    pub(super) fn is_kept(&self) -> bool {
        self.kept == self.written
    }
}

impl Quorum {
    /// Whether every message of the epoch may leave at once.
    pub(super) fn is_kept(&self) -> bool {
        self.outgoing.is_kept()
    }

    /// Enters an epoch, or learns something of the one it is in. What it has learned is durable before it says anything more.
    pub(super) fn elect(&mut self, election: Election, out: &mut Vec<Output>) {
        let before = self.election;
        assert!(election.epoch >= before.epoch, "epoch {} after {}", election.epoch, before.epoch);
        let same = election.epoch == before.epoch;
        assert!(
            !same || before.voted.is_none() || before.voted == election.voted,
            "two votes in epoch {}",
            election.epoch
        );
        if election == before {
            return;
        }
        self.election = election;
        self.outgoing.keep(election, out);
        if !same || election.leader != before.leader {
            out.push(Output::Leader(election.epoch, election.leader));
        }
    }

    /// Another node is in a later epoch.
    pub(super) fn adopt(&mut self, now: Instant, epoch: LeaderEpoch, out: &mut Vec<Output>) {
        self.attempts = 0;
        self.elect(Election { epoch, voted: None, leader: None }, out);
        self.role = self.unattached(now);
    }

    /// It is known who leads this epoch.
    pub(super) fn follow(&mut self, now: Instant, leader: BrokerId, out: &mut Vec<Output>) {
        assert_ne!(leader, self.config.me.id, "it follows itself in epoch {}", self.election.epoch);
        self.attempts = 0;
        self.elect(Election { leader: Some(leader), ..self.election }, out);
        self.role = Role::Following(Following::new(leader, now + self.config.times.fetch));
    }

    /// Asks a node something. The number of the question.
    pub(super) fn ask(&mut self, to: BrokerId, question: Question, out: &mut Vec<Output>) -> u64 {
        let correlation = self.next_correlation();
        let body = Body::Question(question);
        self.outgoing.send(to, Message { correlation, epoch: self.election.epoch, body }, out);
        correlation
    }

    /// Says no to a question.
    pub(super) fn answer(&mut self, to: BrokerId, correlation: u64, why: Refusal, out: &mut Vec<Output>) {
        let leader = self.election.leader;
        self.reply(to, correlation, Answer::Refused { why, leader }, out);
    }

    /// Answers a question.
    pub(super) fn reply(&mut self, to: BrokerId, correlation: u64, answer: Answer, out: &mut Vec<Output>) {
        let message = Message { correlation, epoch: self.election.epoch, body: Body::Answer(answer) };
        self.outgoing.send(to, message, out);
    }

    /// Tells the leader something that needs no answer.
    pub(super) fn tell(&mut self, to: BrokerId, body: Body, out: &mut Vec<Output>) {
        self.outgoing.send(to, Message { correlation: 0, epoch: self.election.epoch, body }, out);
    }
}
