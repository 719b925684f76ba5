//! What one request adds to the cluster: counted before anything is made, and compared with what it asked for before.

use std::collections::BTreeSet;

use crate::cluster::facts::Fact;
use crate::cluster::image::{MetadataImage, Topic};
use crate::cluster::names;
use crate::cluster::topics::{self, NewTopic, Refusal};
use crate::ids::TopicId;
use crate::wire::error::ErrorCode;

/// Most partitions that one request may add (Kafka: `ReplicationControlManager.MAX_PARTITIONS_PER_BATCH`). A frame has room
/// for names of many thousand topics; what they come to is bounded here.
pub const MAX_PARTITIONS: usize = 10_000;

/// Topics and partitions that a request adds, as facts.
#[derive(Debug, Default)]
pub struct Additions {
    facts: Vec<Fact>,
    partitions: usize,
    shown: BTreeSet<String>,
}

impl Additions {
    /// Adds a topic. Answers the fact, or why it may not be.
    pub fn create(&mut self, image: &MetadataImage, topic: NewTopic, id: TopicId) -> Result<&Fact, Refusal> {
        let shown = shown(&topic.name);
        if self.shown.contains(&shown) {
            return Err((
                ErrorCode::INVALID_TOPIC_EXCEPTION,
                format!("Topic '{}' collides with another one of this request.", topic.name),
            ));
        }
        let partitions =
            if topic.assignments.is_empty() { topic.partitions } else { topic.assignments.len() as i32 };
        self.has_room(partitions)?;
        let fact = topics::create(image, topic, id)?;
        self.shown.insert(shown);
        Ok(self.add(partitions, fact))
    }

    /// Adds partitions to a topic until it has `count`. Answers the fact, or why it may not be.
    pub fn grow(
        &mut self,
        image: &MetadataImage,
        topic: &Topic,
        count: i32,
        given: Option<&[Vec<i32>]>,
    ) -> Result<&Fact, Refusal> {
        let more = count.saturating_sub(topic.partitions.len() as i32);
        self.has_room(more)?;
        let fact = topics::grow(image, topic, count, given)?;
        Ok(self.add(more, fact))
    }

    /// Whether a topic of this name is among what is added.
    pub fn creates(&self, name: &str) -> bool {
        self.shown.contains(&shown(name))
    }

    /// What was added, in order.
    pub fn into_facts(self) -> Vec<Fact> {
        self.facts
    }

    fn has_room(&self, more: i32) -> Result<(), Refusal> {
        // What is no number of partitions at all is for the decision to refuse.
        if self.partitions + usize::try_from(more).unwrap_or(0) <= MAX_PARTITIONS {
            return Ok(());
        }
        let why = format!(
            "Excessively large number of partitions per request: more than {MAX_PARTITIONS}. Ask for the rest in further requests."
        );
        Err((ErrorCode::POLICY_VIOLATION, why))
    }

    fn add(&mut self, partitions: i32, fact: Fact) -> &Fact {
        self.partitions += usize::try_from(partitions).unwrap_or(0);
        self.facts.push(fact);
        self.facts.last().expect("a fact was just added")
    }
}

fn shown(name: &str) -> String {
    names::shown_ambiguously(name).unwrap_or_else(|| name.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::image::Configs;
    use crate::ids::BrokerId;

    /// An image with one broker.
    fn alone() -> MetadataImage {
        let mut image = MetadataImage::default();
        image.apply(&Fact::BrokerStarted { broker: BrokerId(1), incarnation: 7 });
        image
    }

    fn add(to: &mut Additions, name: &str, partitions: i32) -> ErrorCode {
        let topic = NewTopic {
            name: name.into(),
            partitions,
            replication_factor: 1,
            assignments: Vec::new(),
            configs: Configs::new(),
        };
        to.create(&alone(), topic, TopicId([7; 16])).map_or_else(|(code, _)| code, |_| ErrorCode::NONE)
    }

    #[test]
    fn a_request_adds_ten_thousand_partitions_and_no_more() {
        let mut additions = Additions::default();
        assert_eq!(add(&mut additions, "a", 9_999), ErrorCode::NONE);
        assert_eq!(add(&mut additions, "b", 2), ErrorCode::POLICY_VIOLATION);
        assert_eq!(add(&mut additions, "b", i32::MAX), ErrorCode::POLICY_VIOLATION);
        assert_eq!(add(&mut additions, "c", 1), ErrorCode::NONE);
        assert_eq!(add(&mut additions, "d", 1), ErrorCode::POLICY_VIOLATION);
        assert_eq!(additions.into_facts().len(), 2);
    }

    #[test]
    fn names_that_metrics_show_as_one_collide_in_one_request_too() {
        let mut additions = Additions::default();
        assert_eq!(add(&mut additions, "a.b", 1), ErrorCode::NONE);
        assert_eq!(add(&mut additions, "a_b", 1), ErrorCode::INVALID_TOPIC_EXCEPTION);
        assert_eq!(add(&mut additions, "ab", 1), ErrorCode::NONE);
    }

    #[test]
    fn partitions_that_a_topic_grows_by_count() {
        let mut image = alone();
        let mut made = Additions::default();
        add(&mut made, "t", 5);
        made.into_facts().iter().for_each(|fact| image.apply(fact));
        let topic = image.topic("t").unwrap();
        let mut grown = Additions::default();
        let mut ask =
            |count| grown.grow(&image, topic, count, None).map_or_else(|(code, _)| code, |_| ErrorCode::NONE);
        assert_eq!(ask(10_006), ErrorCode::POLICY_VIOLATION);
        assert_eq!(ask(10_000), ErrorCode::NONE);
        assert_eq!(ask(11), ErrorCode::POLICY_VIOLATION);
    }
}
