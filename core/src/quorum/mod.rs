//! Who leads the metadata log: a pull-based Raft in the manner of KRaft (KIP-595, KIP-853, KIP-996), over the same log that
//! partitions are kept in.
//!
//! This room decides and never touches the log: it looks at it, and what is to be done to it comes out as [`Output`]s that
//! the caller carries out, in their order, and then calls [`Quorum::settle`], until nothing comes out any more. Four rules hold
//! it together:
//!
//! - No message of an epoch leaves before that epoch, and the vote in it, are durable.
//! - A voter counts up to where its disk has synced; nothing commits in an epoch before that epoch's own first record does.
//! - An answer counts only if it is the one that is awaited: a stale "diverging" must not cut a log.
//! - Who led an epoch and has been restarted never leads in that epoch again.

mod election;
mod follow;
mod jitter;
mod lead;
pub mod messages;
mod snapshot;
mod vote;
pub mod voters;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::log::Log;
use crate::quorum::election::Outgoing;
pub use crate::quorum::election::{Election, WriteId};
use crate::quorum::follow::Following;
use crate::quorum::lead::Leading;
pub use crate::quorum::lead::Progress;
use crate::quorum::messages::{Body, Message, Question, Refusal, Tip};
pub use crate::quorum::snapshot::ServingPiece;
use crate::quorum::vote::Canvass;
pub use crate::quorum::voters::{Voter, Voters};
use crate::record::Batch;
use crate::time::Instant;

/// The times of the quorum, by Kafka's names.
#[derive(Clone, Copy, Debug)]
pub struct Times {
    /// `controller.quorum.election.timeout.ms`: how long votes are waited for, and up to as much again by chance.
    pub election: Duration,
    /// `controller.quorum.fetch.timeout.ms`: how long a follower may be without an answer from its leader, and, one and a
    /// half times as long, a leader without a majority that fetches.
    pub fetch: Duration,
    /// `controller.quorum.request.timeout.ms`: how long an answer is waited for before the same is asked anew.
    pub request: Duration,
}

/// Voters that have all lost their leader take turns to stand for election, this part of the election timeout apart: long enough for
/// all of them to have found out that it is lost, and for one to be elected.
const TURNS: u32 = 20;

/// What a node of the quorum is told once.
#[derive(Clone, Debug)]
pub struct Config {
    /// This node, and the directory that its log is in.
    pub me: Voter,
    /// Its times.
    pub times: Times,
    /// What the chance in its time-outs is derived from.
    pub seed: u64,
}

/// What the caller has to do, in this order.
#[derive(Debug)]
pub enum Output {
    /// Make the election state durable, then call [`Quorum::kept`] with the same number.
    Keep(WriteId, Election),
    /// Hand a message to a node. That it arrives is not promised.
    Send(BrokerId, Message),
    /// Answer a fetch with what the log has from there on, or with nothing if that is its end.
    Serve(Serving),
    /// Answer with a piece of a snapshot; if there is another one by now, with which one that is ([`messages::Answer::Snapshot`]).
    ServePiece(ServingPiece),
    /// The leader's snapshot is here, whole: look whether it can be read, make it durable, then call [`Quorum::snapshot_kept`].
    KeepSnapshot(Tip, Vec<u8>),
    /// That snapshot is durable: begin the log anew, empty, where it ends, and go on from what it holds.
    BeginAt(Tip),
    /// This node leads now: append the record that opens the epoch.
    Lead {
        /// Which epoch.
        epoch: LeaderEpoch,
        /// The quorum has formed by this, and the record says of whom: they are the voters from now on.
        forms: Option<BTreeMap<BrokerId, [u8; 16]>>,
    },
    /// Append these batches, as the leader stamped them.
    Take(Vec<Batch>),
    /// Cut the log: this becomes its end.
    Cut(Offset),
    /// The high watermark is there now.
    Commit(Offset),
    /// Something that a person should read.
    Warn(String),
    /// Another leader, or none: what this node had decided and is not committed is not its to decide any more.
    Leader(LeaderEpoch, Option<BrokerId>),
    /// What must not be: a log to be cut below what is committed, two leaders of one epoch. This node must stop, and a person must
    /// look.
    Fatal(String),
}

/// A fetch that the leader answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Serving {
    /// Who asked.
    pub to: BrokerId,
    /// Which of its questions this answers.
    pub correlation: u64,
    /// The epoch in which this node leads.
    pub epoch: LeaderEpoch,
    /// The first offset wanted.
    pub from: Offset,
    /// The high watermark.
    pub high: Offset,
}

/// What a node is at the moment.
#[derive(Debug)]
enum Role {
    /// It knows of no leader, and stands for election when the time has come (an observer asks around then).
    Unattached {
        until: Instant,
        /// The last leader wants it to be the next: nobody need be asked beforehand.
        named: bool,
    },
    /// It asks whether it would be elected (KIP-996), or to be.
    Canvassing(Canvass),
    /// It follows a leader.
    Following(Following),
    /// It leads.
    Leading(Leading),
}

/// One node of the quorum, or one observer of it.
#[derive(Debug)]
pub struct Quorum {
    config: Config,
    voters: Voters,
    election: Election,
    role: Role,
    outgoing: Outgoing,
    /// Questions asked so far: no two have the same number.
    asked: u64,
    /// How often this node stood for election, or asked around, since it last had a leader.
    attempts: u32,
    /// The newest snapshot that is durable here, if there is any. The log reaches at least as far, and is its continuation.
    snapshot: Option<Tip>,
    /// What this room has put out changes the log: until the caller has carried it out, the log is not what it will be.
    log_changes: bool,
}

impl Quorum {
    /// A node that has just started, with what its disk has kept. It leads nothing, whatever it led before. A voter that needs
    /// nobody else stands for election at the first [`Quorum::tick`].
    pub fn new(config: Config, voters: Voters, found: Election, now: Instant) -> Quorum {
        let mut quorum = Quorum {
            role: Role::Unattached { until: now, named: false },
            outgoing: Outgoing::default(),
            // An answer to the run before must not look like one to this.
            asked: config.seed >> 1,
            attempts: 0,
            snapshot: None,
            log_changes: false,
            config,
            voters,
            election: found,
        };
        if found.leader == Some(quorum.config.me.id) {
            quorum.election.leader = None;
        }
        quorum.role = match quorum.election.leader {
            Some(leader) => Role::Following(Following::new(leader, now + quorum.config.times.fetch)),
            None if quorum.is_voter() && quorum.voters.needed() == 1 => quorum.role,
            None => quorum.unattached(now),
        };
        quorum
    }

    /// The moment at which [`Quorum::tick`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        match &self.role {
            Role::Unattached { until, .. } => Some(*until),
            Role::Canvassing(canvass) => Some(canvass.until),
            Role::Following(following) => Some(following.next_deadline()),
            Role::Leading(leading) => {
                leading.next_deadline(&self.voters, self.config.me, self.config.times, self.is_kept())
            }
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: Instant, log: &Log, out: &mut Vec<Output>) {
        match &self.role {
            Role::Unattached { until, .. } if *until <= now => self.stand(now, log, out),
            Role::Canvassing(canvass) if canvass.until <= now => self.stand(now, log, out),
            Role::Following(following) if following.until <= now => {
                self.given_up(now, following.leader(), log, out)
            }
            Role::Leading(_) => self.check_majority(now, out),
            _ => {}
        }
        self.go_on(now, log, out);
    }

    /// The election state is durable up to this write.
    pub fn kept(&mut self, now: Instant, write: WriteId, log: &Log, out: &mut Vec<Output>) {
        self.outgoing.kept(write, out);
        if self.is_kept() {
            // A vote for itself counts once it cannot be forgotten.
            self.count_votes(now, log, out);
        }
        self.go_on(now, log, out);
    }

    /// A message has come.
    pub fn receive(
        &mut self,
        now: Instant,
        from: BrokerId,
        message: Message,
        log: &Log,
        out: &mut Vec<Output>,
    ) {
        if message.epoch > self.election.epoch {
            self.adopt(now, message.epoch, out);
        }
        let stale = message.epoch < self.election.epoch;
        match message.body {
            Body::Question(_) if stale => self.answer(from, message.correlation, Refusal::Epoch, out),
            Body::Question(question) => self.question(now, from, message.correlation, question, log, out),
            Body::Answer(_) if stale => {}
            Body::Answer(answer) => self.answered(now, from, message.correlation, answer, log, out),
            Body::Flushed(_) if stale => {}
            Body::Flushed(to) => self.acknowledged(from, to),
        }
        self.go_on(now, log, out);
    }

    /// Nobody listens where a node is reached. If it leads, this one does not wait for its silence to become too long: the voters
    /// stand for election one after the other. If it still leads a majority, nobody is elected (KIP-996).
    pub fn lost(&mut self, now: Instant, node: BrokerId) {
        if !matches!(&self.role, Role::Following(following) if following.leader() == node) {
            return;
        }
        let others = self.voters.others(node);
        self.role = match others.iter().position(|id| *id == self.config.me.id) {
            Some(place) => {
                let turns = u32::try_from(place).unwrap_or(u32::MAX).saturating_add(1);
                Role::Unattached { until: now + self.config.times.election / TURNS * turns, named: false }
            }
            // Without a vote it asks around.
            None => self.unattached(now),
        };
    }

    /// The leader has been silent for too long. Voters hear from it at the same moments as a rule, and would all stand at the same moment, each
    /// with a vote for itself.
    fn given_up(&mut self, now: Instant, leader: BrokerId, log: &Log, out: &mut Vec<Output>) {
        if self.is_voter() { self.lost(now, leader) } else { self.stand(now, log, out) }
    }

    /// What came out of this room has been carried out, or the log has changed: an append, a sync.
    pub fn settle(&mut self, now: Instant, log: &Log, out: &mut Vec<Output>) {
        self.log_changes = false;
        self.go_on(now, log, out);
    }

    fn go_on(&mut self, now: Instant, log: &Log, out: &mut Vec<Output>) {
        if self.log_changes {
            return;
        }
        match &self.role {
            Role::Leading(_) => self.lead_on(now, log, out),
            Role::Following(_) => self.follow_on(now, log, out),
            Role::Unattached { .. } | Role::Canvassing(_) => {}
        }
    }

    /// The voters are others from the record at the end of the log on (KIP-853: a voter set counts as soon as it is in the log).
    pub fn set_voters(&mut self, voters: Voters) {
        self.voters = voters;
    }

    /// The voters.
    pub fn voters(&self) -> &Voters {
        &self.voters
    }

    /// The epoch that this node is in.
    pub fn epoch(&self) -> LeaderEpoch {
        self.election.epoch
    }

    /// Who leads in it, as far as this node knows.
    pub fn leader(&self) -> Option<BrokerId> {
        self.election.leader
    }

    /// Whether it leads, or follows who does. It may remember the leader of an epoch that it has given up: it asks for votes then.
    pub fn has_leader(&self) -> bool {
        matches!(self.role, Role::Leading(_) | Role::Following(_))
    }

    /// Whether this node leads.
    pub fn is_leader(&self) -> bool {
        matches!(self.role, Role::Leading(_))
    }

    fn question(
        &mut self,
        now: Instant,
        from: BrokerId,
        correlation: u64,
        question: Question,
        log: &Log,
        out: &mut Vec<Output>,
    ) {
        match question {
            // Nobody asks in another's name.
            Question::Vote(vote) if vote.candidate.id != from => {}
            Question::Fetch(fetch) if fetch.by.id != from => {}
            Question::Piece(wanted) if wanted.by.id != from => {}
            Question::Vote(vote) => self.asked_for_vote(now, from, correlation, &vote, log, out),
            Question::Begin => self.begun(now, from, correlation, out),
            Question::End { successors } => self.ended(now, from, &successors, out),
            Question::Fetch(fetch) => self.fetched_by(now, from, correlation, &fetch, log, out),
            Question::Piece(wanted) => self.piece_wanted(now, from, correlation, &wanted, out),
        }
    }

    /// Whether this node has a vote.
    fn is_voter(&self) -> bool {
        self.voters.holds(self.config.me)
    }

    /// The number of the next question.
    fn next_correlation(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    /// It waits for a leader. An observer need not wait: it asks around.
    fn unattached(&self, now: Instant) -> Role {
        let until = if self.is_voter() { self.patience(now) } else { now + self.asks_after() };
        Role::Unattached { until, named: false }
    }

    /// How long an observer waits before it asks anew who leads: well within the time that voters need to elect somebody, so that a
    /// new leader hears of it long before it would count as gone.
    fn asks_after(&self) -> Duration {
        self.config.times.request.min(self.config.times.election) / 4
    }

    /// Until when this node waits for a leader, this time.
    fn patience(&self, now: Instant) -> Instant {
        let (me, epoch) = (self.config.me.id, self.election.epoch);
        now + jitter::within(self.config.times.election, self.config.seed, me, epoch, self.attempts)
    }
}
