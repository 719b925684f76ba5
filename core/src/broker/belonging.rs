//! Which cluster this broker belongs to: the one that its metadata log names, or the one that it was alone.

use crate::broker::Broker;
use crate::broker::door::Effect;
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
        Me { cluster: None, id: self.me, directory: self.identity.directory_id, incarnation }
    }

    /// Its cluster, once it belongs to one.
    pub(super) fn cluster_id(&self) -> Option<&str> {
        self.belongs.then_some(&self.identity.cluster_id)
    }

    /// Finds out at the start, when the metadata log is read back. That the log names a cluster is enough, also where it is not known
    /// yet that this was committed: only all voters together form a cluster, and none of them votes for another first leader
    /// once it has this in its log.
    pub(super) fn find_cluster(&mut self, turn: &mut Turn) {
        let formed = self.controller.draft().cluster_id().map(str::to_owned);
        let log = &self.partitions[&LogId::METADATA].log;
        let has_decided = log.end() > Offset(0);
        match formed {
            Some(cluster) => self.belong(turn, cluster),
            // It was a cluster by itself, and its clients know it so: others may join it, but it joins no other.
            None if has_decided || self.is_alone() => self.belong(turn, self.identity.cluster_id.clone()),
            None => {}
        }
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
