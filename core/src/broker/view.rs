//! What a checker sees of the machine. Nothing here changes anything, and no request is answered from it.

use crate::broker::Broker;
use crate::broker::start::Phase;
use crate::cluster::image::MetadataImage;
use crate::group::GroupView;
use crate::ids::LogId;
use crate::log::Log;

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

    /// The committed metadata.
    pub fn image(&self) -> &MetadataImage {
        self.controller.image()
    }

    /// Every group coordinated here.
    pub fn groups(&self) -> Vec<GroupView> {
        self.groups.view()
    }
}
