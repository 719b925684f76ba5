//! Who notes the rare situations of the metadata quorum: lost elections, leaders that do not know better, tails that are cut.

use std::collections::BTreeMap;

use quipu_core::broker::door::Effect;
use quipu_core::broker::view::QuorumView;
use quipu_core::ids::LogId;
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Answer, Body, Question, Wanted};
use quipu_core::storage::ops::StoreOp;

use crate::claims::Cluster;
use crate::probe::sometimes;
use crate::watch::Scene;

/// The one who notes.
pub struct Politics {
    seen: Vec<Option<QuorumView>>,
    /// Which piece of a snapshot each has asked for last.
    gathers: Vec<Option<Wanted>>,
    /// In which epoch each stands for election.
    stands: BTreeMap<usize, i32>,
    /// Elections won.
    pub won: u64,
}

impl Politics {
    /// For so many brokers.
    pub fn new(servers: usize) -> Politics {
        Politics { seen: vec![None; servers], gathers: vec![None; servers], stands: BTreeMap::new(), won: 0 }
    }

    /// A broker said or ordered something. It is not remembered yet.
    pub fn told(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) {
        match effect {
            Effect::Store { op: StoreOp::Truncate { log: LogId::METADATA, to }, .. } => {
                let log = &cluster.ghosts[scene.server].logs;
                if log.get(&LogId::METADATA).is_some_and(|log| log.end() > to.0) {
                    sometimes("quorum: an uncommitted tail is cut");
                }
            }
            Effect::Store { op: StoreOp::Restart { log: LogId::METADATA, .. }, .. }
                if self.gathers[scene.server].take().is_some() =>
            {
                sometimes("quorum: a voter catches up from a snapshot");
            }
            Effect::Send { message: PeerMessage::Quorum(message), .. } => match &message.body {
                Body::Question(Question::Vote(vote)) if !vote.pre => {
                    self.stands.insert(scene.server, message.epoch.0);
                }
                Body::Question(Question::End { .. }) => sometimes("quorum: a leader hands over"),
                Body::Answer(Answer::Vote { granted: false, .. }) => sometimes("quorum: a vote is refused"),
                Body::Answer(Answer::Diverging(_)) => sometimes("quorum: logs part ways"),
                Body::Answer(Answer::Snapshot(_)) => {
                    sometimes("quorum: a log has lost touch with its leader's")
                }
                Body::Question(Question::Piece(wanted)) => self.asked_for_piece(scene.server, wanted),
                _ => {}
            },
            _ => {}
        }
    }

    fn asked_for_piece(&mut self, server: usize, wanted: &Wanted) {
        let before = self.gathers[server].replace(*wanted);
        if before.is_some_and(|before| before.of != wanted.of) {
            sometimes("quorum: a snapshot replaced while it is fetched");
        }
    }

    /// A broker has taken an input.
    pub fn stepped(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) {
        let now = scene.broker.quorum();
        let before = std::mem::replace(&mut self.seen[scene.server], now);
        let Some(now) = now.filter(|now| before != Some(*now)) else { return };
        let led = before.is_some_and(|before| before.leads);
        if now.leads && !led {
            self.won += 1;
            self.won_by(scene.server, now, cluster);
        } else if led && !now.leads && before.is_some_and(|b| b.epoch == now.epoch) {
            sometimes("quorum: a leader gives up");
        } else if led && !now.leads {
            sometimes("quorum: a leader hears of a later epoch");
        }
        let lost = |epoch: &mut i32| *epoch < now.epoch.0 || *epoch == now.epoch.0 && now.leader.is_some();
        if self.stands.get(&scene.server).copied().is_some_and(|mut epoch| lost(&mut epoch)) {
            self.stands.remove(&scene.server);
            if !now.leads {
                sometimes("quorum: a candidate loses");
            }
        }
    }

    fn won_by(&self, server: usize, now: QuorumView, cluster: &Cluster<'_>) {
        if self.seen.iter().flatten().any(|other| other.leads && other.epoch != now.epoch) {
            sometimes("quorum: two lead, in two epochs");
        }
        let log = cluster.ghosts[server].logs.get(&LogId::METADATA);
        // Its own first record is there already.
        if log.is_some_and(|log| {
            log.batches.iter().any(|b| b.base >= cluster.canon.end() && b.epoch < now.epoch.0)
        }) {
            sometimes("quorum: elected with a tail of an earlier epoch");
        }
    }

    /// A process is gone.
    pub fn ended(&mut self, server: usize) {
        (self.seen[server], self.gathers[server]) = (None, None);
        self.stands.remove(&server);
    }
}
