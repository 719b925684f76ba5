//! What decisions are made against: the draft of the metadata and the controller's own configs.

use crate::cluster::change::{self, Election, Lost, Target, Terms};
use crate::cluster::facts::Fact;
use crate::cluster::image::{MetadataImage, Topic};
use crate::cluster::partition::PartitionState;
use crate::config::{BrokerConfig, TopicConfig};
use crate::ids::BrokerId;

/// One partition with its topic and its number.
pub type Place<'a> = (&'a Topic, i32, &'a PartitionState);

/// What a decision sees.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    /// The metadata with all that is decided and not yet committed.
    pub image: &'a MetadataImage,
    /// The configs that topics without their own have: the controller's, with what is altered for the whole cluster.
    pub config: &'a BrokerConfig,
}

/// Who comes and who goes with a decision.
#[derive(Clone, Copy, Debug, Default)]
pub struct Movement {
    /// May not lead any more, whatever the image says.
    pub leaves: Option<BrokerId>,
    /// May lead, whatever the image says.
    pub joins: Option<BrokerId>,
    /// Has lost records.
    pub lost: Option<Lost>,
}

impl<'a> View<'a> {
    /// The change that brings a partition to its target. With no election named it is `Online`, or `Unclean` where the topic's
    /// configs allow that (Kafka: `ReplicationControlManager.generateLeaderAndIsrUpdates`).
    pub fn change(
        &self,
        (topic, partition, state): Place<'_>,
        target: Target,
        election: Option<Election>,
        movement: Movement,
    ) -> Option<Fact> {
        let (min_isr, unclean) = self.rules_of(topic);
        let online = if unclean { Election::Unclean } else { Election::Online };
        let acceptable = |broker: BrokerId| {
            movement.leaves != Some(broker)
                && (movement.joins == Some(broker) || self.image.is_active(broker))
        };
        let terms = Terms {
            acceptable: &acceptable,
            min_isr,
            election: election.unwrap_or(online),
            lost: movement.lost,
        };
        let change = change::change(state, target, &terms)?;
        Some(Fact::PartitionChanged { topic: topic.id, partition, change })
    }

    /// `min.insync.replicas` and `unclean.leader.election.enable` of a topic.
    fn rules_of(&self, topic: &Topic) -> (usize, bool) {
        let of = |config: &TopicConfig| (config.min_insync_replicas as usize, config.unclean_leader_election);
        if topic.configs.is_empty() {
            return of(self.config.topic_defaults());
        }
        of(&TopicConfig::resolve(self.config, &topic.configs))
    }

    /// A partition by its topic's name and its number.
    pub fn find(&self, topic: &str, partition: i32) -> Option<Place<'a>> {
        let topic = self.image.topic(topic)?;
        let state = topic.partitions.get(usize::try_from(partition).ok()?)?;
        Some((topic, partition, state))
    }

    /// A broker takes part no more: it leaves every ISR, and what it led is led by another or by nobody. With records lost, it
    /// may not lead what it was eligible for either.
    pub fn leave(&self, broker: BrokerId, lost: Option<Lost>) -> Vec<Fact> {
        let movement = Movement { leaves: Some(broker), joins: None, lost };
        let touched = |state: &PartitionState| {
            let eligible = state.elr.contains(&broker) || state.last_known_elr.contains(&broker);
            state.isr.contains(&broker) || state.leader == Some(broker) || lost.is_some() && eligible
        };
        let touched = self.image.partitions().filter(|(.., state)| touched(state));
        touched
            .filter_map(|place| self.change(place, Target::of(place.2).without(broker), None, movement))
            .collect()
    }

    /// A broker takes part from now on: it may lead what nobody leads.
    pub fn join(&self, broker: BrokerId) -> Vec<Fact> {
        let movement = Movement { joins: Some(broker), ..Movement::default() };
        let leaderless = self.image.partitions().filter(|(.., state)| state.leader.is_none());
        leaderless.filter_map(|place| self.change(place, Target::of(place.2), None, movement)).collect()
    }
}
