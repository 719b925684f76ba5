//! This broker's seat in the metadata quorum: what the quorum decides is carried out here. Today it is a quorum of one.

use std::time::Duration;

use bytes::Bytes;

use crate::broker::Broker;
use crate::broker::lane::Waiting;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::cluster::facts::Fact;
use crate::config::BrokerConfig;
use crate::ids::{LeaderEpoch, LogId};
use crate::log::Log;
use crate::quorum::{Config, Election, Output, Quorum, Times, Voter, Voters};
use crate::storage::ops::StoreOp;
use crate::time::Instant;

impl Broker {
    /// Takes the seat, once what this broker's disk has of the metadata is read back.
    pub(super) fn take_seat(&mut self, turn: &mut Turn) {
        let me = Voter { id: self.me, directory: self.identity.directory_id };
        let voters = Voters::Formed([(me.id, me.directory)].into());
        let election = self.election_found(turn);
        let config = Config { me, times: times(&self.config), seed: self.draw() };
        self.quorum = Some(Quorum::new(config, voters, election, turn.now.mono));
        self.steer(turn, |quorum, now, log, out| quorum.tick(now, log, out));
    }

    /// What the disk has kept of elections. It is never behind what the metadata log says itself.
    fn election_found(&mut self, turn: &mut Turn) -> Election {
        let newest = self.partitions[&LogId::METADATA].epoch;
        let kept = match std::mem::replace(&mut self.election_kept, Ok(None)) {
            Ok(kept) => kept.map_or(Ok(Election::default()), |bytes| Election::decode(&bytes)),
            Err(why) => Err(why),
        };
        let election = kept.unwrap_or_else(|why| {
            // Who is alone has promised nothing to anybody.
            turn.warn(format!(
                "what was kept of elections is lost: {why}. A quorum of one goes on without it"
            ));
            Election::default()
        });
        if election.epoch >= newest {
            election
        } else {
            Election { epoch: newest, voted: None, leader: None }
        }
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
            if let Some((quorum, log)) = self.seat() {
                quorum.settle(now, log, &mut out);
            }
        }
    }

    fn seat(&mut self) -> Option<(&mut Quorum, &Log)> {
        let metadata = self.partitions.get(&LogId::METADATA)?;
        self.quorum.as_mut().map(|quorum| (quorum, &metadata.log))
    }

    fn carry_out_quorum(&mut self, turn: &mut Turn, output: Output) {
        match output {
            Output::Keep(write, election) => {
                let state = Bytes::from(election.encode());
                self.lane.store_and_wait(turn, StoreOp::Election { state }, Waiting::Election(write));
            }
            Output::Lead { epoch, forms: _ } => self.lead_metadata(turn, epoch),
            Output::Commit(high) => {
                let metadata = self.partitions.get_mut(&LogId::METADATA).expect("the quorum looks at it");
                if metadata.log.raise_high(high) {
                    self.moved.insert(LogId::METADATA);
                }
            }
            Output::Leader(..) => {}
            Output::Fatal(why) => self.die(turn, why),
            other @ (Output::Send(..) | Output::Serve(_) | Output::Take(_) | Output::Cut(_)) => {
                panic!("there is nobody else in a quorum of one: {other:?}")
            }
        }
    }

    /// This broker is the active controller: its first record says that it has started, and opens the epoch.
    fn lead_metadata(&mut self, turn: &mut Turn, epoch: LeaderEpoch) {
        assert!(matches!(self.phase, Phase::Starting { .. }), "elected again while {:?}", self.phase);
        self.partitions.get_mut(&LogId::METADATA).expect("the quorum looks at it").epoch = epoch;
        let incarnation = self.draw();
        self.decide(turn, vec![Fact::BrokerStarted { broker: self.me, incarnation }]);
    }
}

fn times(config: &BrokerConfig) -> Times {
    let ms = Duration::from_millis;
    Times {
        election: ms(config.quorum.election_timeout_ms),
        fetch: ms(config.quorum.fetch_timeout_ms),
        request: ms(config.quorum.request_timeout_ms),
    }
}
