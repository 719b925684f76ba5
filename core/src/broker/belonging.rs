//! Which cluster this broker belongs to: the one that its metadata log names, or the one that it was alone.

use crate::broker::Broker;
use crate::broker::door::Effect;
use crate::broker::start::Phase;
use crate::broker::turn::Turn;
use crate::cluster::facts::Fact;
use crate::ids::{LogId, Offset};
use crate::mix::mix;
use crate::peer::hello::Me;

impl Broker {
    /// Who this broker is among its peers. Its cluster is none so far: [`Effect::Cluster`] tells it.
    pub fn me(&self) -> Me {
        // As if drawn before anything else was.
        let incarnation = mix(self.seed ^ mix(0));
        let (directory, address) = (self.identity.directory_id, self.config.peer_address.clone());
        Me { cluster: None, id: self.me, directory, incarnation, address }
    }

    /// Its cluster, once it belongs to one.
    pub(super) fn cluster_id(&self) -> Option<&str> {
        self.belongs.then_some(&self.identity.cluster_id)
    }

    /// Finds out at the start, when the metadata log is read back. That the log names a cluster is enough for a voter, also where it is
    /// not known yet that this was committed: only all voters together form a cluster, and none of them votes for another first
    /// leader once it has this in its log. Of who has no vote nobody waits for the log: it must have taken part, which it only
    /// does in what is committed.
    pub(super) fn find_cluster(&mut self, turn: &mut Turn) {
        let formed = self.controller.draft().cluster_id().map(str::to_owned);
        let log = &self.partitions[&LogId::METADATA].log;
        let has_decided = log.end() > Offset(0);
        match formed {
            Some(cluster) if self.config.is_voter() || self.has_taken_part() => self.belong(turn, cluster),
            Some(_) => {}
            // It was a cluster by itself, and its clients know it so: others may join it, but it joins no other. What an observer has is
            // the beginning of another's log, unless it started something itself.
            None if self.is_alone() || has_decided && (self.config.is_voter() || self.was_alone()) => {
                self.belong(turn, self.identity.cluster_id.clone());
            }
            None => {}
        }
    }

    /// Whether anything says that this directory was a member's: a snapshot, a registration, or other logs than the metadata.
    fn has_taken_part(&self) -> bool {
        let registered = self.controller.draft().brokers().get(&self.me);
        self.controller.image().cluster_id().is_some()
            || registered.is_some_and(|r| r.directory == Some(self.identity.directory_id))
            || matches!(&self.phase, Phase::Starting { logs } if !logs.is_empty())
    }

    /// Whether the metadata log is that of this node, from when it was alone.
    fn was_alone(&self) -> bool {
        self.controller.draft().brokers().contains_key(&self.me)
    }

    /// A fact is committed: the one that the quorum has formed says what the cluster is.
    pub(super) fn learn_cluster(&mut self, turn: &mut Turn, fact: &Fact) {
        if let Fact::QuorumFormed { cluster_id, .. } = fact {
            self.belong(turn, cluster_id.clone());
        }
    }

    /// A snapshot of committed metadata names the cluster.
    pub(super) fn learn_cluster_id(&mut self, turn: &mut Turn, cluster: String) {
        if self.cluster_id() != Some(cluster.as_str()) {
            self.belong(turn, cluster);
        }
    }

    /// It is known, for good, which cluster this broker belongs to. What its directory was called before that was made up by the node.
    fn belong(&mut self, turn: &mut Turn, cluster: String) {
        self.belongs = true;
        self.identity.cluster_id.clone_from(&cluster);
        if !self.is_alone() {
            self.member.beat_at(turn.now.mono);
            turn.info(format!("this broker belongs to the cluster {cluster}"));
            turn.out.push(Effect::Cluster(cluster));
        }
    }
}
