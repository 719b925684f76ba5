//! What a checker sees of the machine. Nothing here changes anything, and no request is answered from it.

use crate::broker::Broker;
use crate::broker::start::Phase;
use crate::cluster::image::MetadataImage;
use crate::group::GroupView;
use crate::ids::{BrokerId, LeaderEpoch, LogId, Offset};
use crate::log::Log;
use crate::quorum::Quorum;
use crate::replica::{Partition, Role};

/// This broker's place in the metadata quorum, as it sees it itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QuorumView {
    /// The epoch that it is in.
    pub epoch: LeaderEpoch,
    /// Who leads in it, as far as it knows.
    pub leader: Option<BrokerId>,
    /// Whether it leads itself.
    pub leads: bool,
}

impl Broker {
    /// Every log here, with its topic's name and whether it is offline; the metadata log among them.
    pub fn logs(&self) -> impl Iterator<Item = (&Log, &str, bool)> {
        self.partitions.values().map(|p| (&p.log, p.topic.as_str(), p.offline.is_some()))
    }

    /// Whether it has read what it needs from its logs and answers everything.
    pub fn is_ready(&self) -> bool {
        matches!(self.phase, Phase::Ready)
    }

    /// Whether its log directory has failed, so that it does nothing any more; its status says why.
    pub fn is_dead(&self) -> bool {
        matches!(self.phase, Phase::Dead(_))
    }

    /// One log, if it is here.
    pub fn log(&self, id: LogId) -> Option<&Log> {
        self.partitions.get(&id).map(|p| &p.log)
    }

    /// Whether this broker leads a partition, as far as it knows.
    pub fn leads(&self, id: LogId) -> bool {
        self.partitions.get(&id).is_some_and(|p| matches!(p.role, Role::Leads(_)))
    }

    /// Whether it knows what is committed of a log at least as far as was ever told: a leader that has just come to be one does not, nor
    /// while fewer are in sync than there must be.
    pub fn knows_end(&self, id: LogId) -> bool {
        self.partitions.get(&id).is_some_and(Partition::knows_end)
    }

    /// The committed metadata.
    pub fn image(&self) -> &MetadataImage {
        self.controller.image()
    }

    /// The first offset of the metadata log that the committed metadata does not have yet.
    pub fn metadata_position(&self) -> Offset {
        self.controller.position().0
    }

    /// Its place in the metadata quorum, while it has one.
    pub fn quorum(&self) -> Option<QuorumView> {
        let view = |q: &Quorum| QuorumView { epoch: q.epoch(), leader: q.leader(), leads: q.is_leader() };
        self.quorum.as_ref().map(view)
    }

    /// How many partitions wait for a throttle: records of those that are led here, once for each replica, and those that are followed.
    pub fn throttled(&self) -> (usize, usize) {
        (self.replication.serving.resting(), self.replication.throttle.resting())
    }

    /// Every group coordinated here.
    pub fn groups(&self) -> Vec<GroupView> {
        self.groups.view()
    }
}
