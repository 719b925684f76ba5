//! This broker's seat in the metadata quorum: what the quorum decides is carried out here.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::answers::Part;
use crate::broker::door::Effect;
use crate::broker::lane::Waiting;
use crate::broker::start::{Phase, Purpose, REPLAY_BYTES, fact_in, unreadable};
use crate::broker::turn::Turn;
use crate::cluster::facts::Fact;
use crate::config::BrokerConfig;
use crate::ids::{BrokerId, LeaderEpoch, LogId, Offset};
use crate::log::{ForReplica, Log};
use crate::peer::message::PeerMessage;
use crate::quorum::messages::{Answer, Body, Message};
use crate::quorum::{Config, Election, Output, Quorum, Serving, Times, Voter, Voters};
use crate::record::{Batch, Records};
use crate::storage::ops::StoreOp;
use crate::time::Instant;
use crate::wire::error::ErrorCode;

/// Bytes of the metadata log in one answer to another node of the quorum.
const SERVED_BYTES: usize = 1 << 20;

impl Broker {
    /// Whether this broker is a cluster by itself. The only voter of a cluster that others may join is not.
    pub(super) fn is_alone(&self) -> bool {
        self.config.is_alone()
    }

    /// Takes the seat, once what this broker's disk has of the metadata is read back.
    pub(super) fn take_seat(&mut self, turn: &mut Turn) {
        self.find_cluster(turn);
        // A snapshot may say of some.
        self.addresses_stale = true;
        let me = Voter { id: self.me, directory: self.identity.directory_id };
        let election = match self.election_found(turn) {
            Ok(election) => election,
            Err(why) => return self.die(turn, why),
        };
        // What a snapshot holds was committed. The log reaches as far, or has begun anew there.
        let known = self.controller.position().0;
        self.metadata_log().raise_high(known);
        let config = Config { me, times: times(&self.config), seed: self.draw() };
        let mut quorum = Quorum::new(config, self.voters(), election, turn.now.mono);
        if let Some(newest) = self.snapshots.newest() {
            quorum.set_snapshot(newest);
        }
        self.quorum = Some(quorum);
        if !self.is_alone() {
            self.member.beat_at(turn.now.mono);
        }
        self.steer(turn, |quorum, now, log, out| quorum.tick(now, log, out));
    }

    /// The voters, by what the metadata log says to its end; before it says anything, by the configs.
    fn voters(&self) -> Voters {
        let formed = self.controller.draft().voters();
        if self.is_alone() {
            Voters::Formed([(self.me, self.identity.directory_id)].into())
        } else if formed.is_empty() {
            Voters::Forming(self.config.voters.keys().copied().collect())
        } else {
            Voters::Formed(formed.clone())
        }
    }

    /// What the disk has kept of elections. It is never behind what the metadata log says itself.
    fn election_found(&mut self, turn: &mut Turn) -> Result<Election, String> {
        let newest = self.partitions[&LogId::METADATA].epoch;
        let kept = match std::mem::replace(&mut self.election_kept, Ok(None)) {
            Ok(Some(bytes)) => Election::decode(&bytes),
            Ok(None) if self.is_alone() || newest == LeaderEpoch::default() => Ok(Election::default()),
            Ok(None) => Err("quorum-state is empty, but there is a metadata log".to_string()),
            Err(why) => Err(why),
        };
        let election = match kept {
            Ok(election) => election,
            // Who is alone has promised nothing to anybody.
            Err(why) if self.is_alone() => {
                turn.warn(format!(
                    "what was kept of elections is lost: {why}. A quorum of one goes on without it"
                ));
                Election::default()
            }
            Err(why) => {
                return Err(format!(
                    "what this node has voted is not known any more: {why}. Voting again could elect two leaders; empty the \
                     data directory, and it joins as a new one"
                ));
            }
        };
        let is_behind = election.epoch < newest;
        Ok(if is_behind { Election { epoch: newest, voted: None, leader: None } } else { election })
    }

    /// Tells the quorum something and carries out what comes of it, to its end.
    pub(super) fn steer(
        &mut self,
        turn: &mut Turn,
        tell: impl FnOnce(&mut Quorum, Instant, &Log, &mut Vec<Output>),
    ) {
        let now = turn.now.mono;
        let mut out = Vec::new();
        if let Some((quorum, log)) = self.seat() {
            tell(quorum, now, log, &mut out);
        }
        while !out.is_empty() {
            std::mem::take(&mut out).into_iter().for_each(|output| self.carry_out_quorum(turn, output));
            let voters = self.voters();
            if let Some((quorum, log)) = self.seat() {
                quorum.set_voters(voters);
                quorum.settle(now, log, &mut out);
            }
        }
    }

    fn seat(&mut self) -> Option<(&mut Quorum, &Log)> {
        let metadata = self.partitions.get(&LogId::METADATA)?;
        self.quorum.as_mut().map(|quorum| (quorum, &metadata.log))
    }

    fn metadata_log(&mut self) -> &mut Log {
        &mut self.partitions.get_mut(&LogId::METADATA).expect("the quorum looks at it").log
    }

    fn carry_out_quorum(&mut self, turn: &mut Turn, output: Output) {
        match output {
            Output::Keep(write, election) => {
                let state = Bytes::from(election.encode());
                self.lane.store_and_wait(turn, StoreOp::Election { state }, Waiting::Election(write));
            }
            Output::Send(to, message) => say(turn, to, message),
            Output::Serve(serving) => self.serve_metadata(turn, serving),
            Output::ServePiece(serving) => self.serve_piece(turn, serving),
            Output::KeepSnapshot(of, bytes) => self.keep_fetched_snapshot(turn, of, bytes),
            Output::BeginAt(of) => self.begin_at_snapshot(turn, of),
            Output::Warn(why) => turn.warn(why),
            Output::Lead { epoch, forms } => self.lead_metadata(turn, epoch, forms),
            Output::Take(batches) => self.take_metadata(turn, &batches),
            Output::Cut(to) => self.cut_metadata(turn, to),
            Output::Commit(high) => {
                let metadata = self.partitions.get_mut(&LogId::METADATA).expect("the quorum looks at it");
                metadata.heard.0 = high.max(metadata.heard.0);
                self.follow_marks(turn, LogId::METADATA);
            }
            Output::Leader(epoch, leader) => self.metadata_leader(turn, epoch, leader),
            Output::Fatal(why) => self.die(turn, why),
        }
    }

    /// This broker is the active controller: its first record says so, and opens the epoch.
    fn lead_metadata(
        &mut self,
        turn: &mut Turn,
        epoch: LeaderEpoch,
        forms: Option<BTreeMap<BrokerId, [u8; 16]>>,
    ) {
        self.partitions.get_mut(&LogId::METADATA).expect("the quorum looks at it").epoch = epoch;
        if self.is_alone() {
            assert!(matches!(self.phase, Phase::Starting { .. }), "elected again while {:?}", self.phase);
            let incarnation = self.draw();
            self.decide(turn, vec![Fact::BrokerStarted { broker: self.me, incarnation }]);
            return;
        }
        let cluster_id = self.identity.cluster_id.clone();
        let formed = forms.map(|voters| Fact::QuorumFormed { cluster_id, voters });
        let opening = formed.into_iter().chain([Fact::LeaderElected { leader: self.me, epoch }]);
        self.decide(turn, opening.collect());
        self.become_active(turn);
        self.member.beat_at(turn.now.mono);
    }

    /// Another leads now, or nobody: who waits here for a decision waits in vain.
    fn metadata_leader(&mut self, turn: &mut Turn, epoch: LeaderEpoch, leader: Option<BrokerId>) {
        if leader == Some(self.me) {
            return;
        }
        if !self.is_alone() {
            let who = leader.map_or("nobody yet".to_string(), |leader| format!("broker {leader}"));
            turn.info(format!("the metadata quorum is in epoch {epoch}, led by {who}"));
        }
        let metadata = self.partitions.get_mut(&LogId::METADATA).expect("the quorum looks at it");
        let waiting: Vec<Part> = metadata.waiters.drain().collect();
        self.active = None;
        self.give_up_forwarded(turn);
        if !self.is_alone() {
            self.member.beat_at(turn.now.mono);
        }
        if self.is_alone() {
            self.producer_ids.give_up(turn);
        }
        for part in waiting {
            self.part_failed(
                turn,
                part,
                ErrorCode::NOT_CONTROLLER,
                "another broker is the active controller now",
            );
        }
    }

    /// Takes what the leader's log has. What does not follow here is left: the next fetch asks for it again.
    fn take_metadata(&mut self, turn: &mut Turn, batches: &[Batch]) {
        for batch in batches {
            let facts = match facts_of(batch) {
                Ok(facts) => facts,
                Err(why) => return self.die(turn, format!("the leader's metadata cannot be read: {why}")),
            };
            if let Err(why) = self.check_epoch(batch, &facts) {
                return turn.warn(format!("the metadata leader's answer is passed over: {why}"));
            }
            let end = batch.header().next_offset();
            match self.append_as_is(turn, LogId::METADATA, batch) {
                Ok(()) => self.controller.decided(facts, end, batch.header().leader_epoch),
                Err(why) => return turn.warn(format!("the metadata leader's answer is passed over: {why}")),
            }
        }
    }

    /// No checksum covers the leader epoch of a batch. But each epoch of the metadata log begins with the record that opens it, so
    /// that damage shows: else a node would win elections by it, and have others cut off what is committed.
    pub(super) fn check_epoch(&self, batch: &Batch, facts: &[Fact]) -> Result<(), String> {
        let opened = facts.iter().rev().find_map(|fact| match fact {
            Fact::LeaderElected { epoch, .. } => Some(*epoch),
            _ => None,
        });
        let known = || self.controller.draft().metadata_leader().map(|(_, epoch)| epoch);
        let (has, wants) = (batch.header().leader_epoch, opened.or_else(known));
        if wants.is_none_or(|wants| wants == has) {
            return Ok(());
        }
        let (at, wants) = (batch.header().base_offset, wants.unwrap_or_default());
        Err(format!(
            "the batch at offset {at} is damaged: its leader epoch is {has}, and it belongs to {wants}"
        ))
    }

    /// Cuts off what another leader's log does not have. The quorum has seen to it that nothing committed goes.
    fn cut_metadata(&mut self, turn: &mut Turn, to: Offset) {
        let Broker { partitions, tails, .. } = self;
        let metadata = partitions.get_mut(&LogId::METADATA).expect("the quorum looks at it");
        let end = metadata.log.end();
        metadata.log.truncate(to, tails);
        self.lane.store(turn, StoreOp::Truncate { log: LogId::METADATA, to });
        self.controller.cut(to);
        turn.info(format!(
            "the metadata log is cut from offset {end} to {to}: what lay beyond was never committed"
        ));
    }

    /// Answers another node's fetch.
    fn serve_metadata(&mut self, turn: &mut Turn, serving: Serving) {
        let log = self.metadata_log();
        if serving.from < log.start() {
            // It was trimmed meanwhile; the next fetch is answered with the snapshot.
            return;
        }
        match log.read_for_replica(serving.from, SERVED_BYTES) {
            ForReplica::Held(batches) => serve(turn, serving, batches),
            ForReplica::OnDisk(range) => self.loads.read(turn, range, Purpose::Serve(serving)),
        }
    }

    /// What another node is to get has been read from disk. If this broker does not lead any more, the epoch tells.
    pub(super) fn metadata_read(
        &mut self,
        turn: &mut Turn,
        serving: Serving,
        result: Result<Vec<Batch>, String>,
    ) {
        match result {
            Ok(batches) => serve(turn, serving, batches),
            Err(why) => {
                turn.warn(format!("the metadata log cannot be read for broker {}: {why}", serving.to))
            }
        }
    }
}

fn serve(turn: &mut Turn, serving: Serving, batches: Vec<Batch>) {
    let body = Body::Answer(Answer::Records { batches, high: serving.high });
    say(turn, serving.to, Message { correlation: serving.correlation, epoch: serving.epoch, body });
}

pub(super) fn say(turn: &mut Turn, to: BrokerId, message: Message) {
    turn.out.push(Effect::Send { to, message: PeerMessage::Quorum(message) });
}

/// What a batch of the metadata log says.
pub(super) fn facts_of(batch: &Batch) -> Result<Vec<Fact>, String> {
    let records = Records::read_all(batch, REPLAY_BYTES).map_err(|e| unreadable(batch, &e))?;
    records.iter().map(fact_in).collect()
}

fn times(config: &BrokerConfig) -> Times {
    let ms = Duration::from_millis;
    Times {
        election: ms(config.quorum.election_timeout_ms),
        fetch: ms(config.quorum.fetch_timeout_ms),
        request: ms(config.quorum.request_timeout_ms),
    }
}
