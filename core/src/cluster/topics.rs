//! Decisions about topics: may it be created, where do its replicas go, may it grow.

use std::collections::BTreeMap;

use crate::cluster::brokers::Registration;
use crate::cluster::facts::Fact;
use crate::cluster::image::{Configs, MetadataImage, Topic};
use crate::cluster::names;
use crate::cluster::placement::place;
use crate::ids::{BrokerId, TopicId};
use crate::mix::mix;
use crate::wire::error::ErrorCode;

/// Why a decision is refused: the code and a sentence for the person who asked.
pub type Refusal = (ErrorCode, String);

/// A topic that somebody wants.
#[derive(Clone, Debug)]
pub struct NewTopic {
    /// Its name.
    pub name: String,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas of each.
    pub replication_factor: i16,
    /// Replicas by partition, where they were given instead.
    pub assignments: Vec<(i32, Vec<i32>)>,
    /// Its configs, already judged.
    pub configs: Configs,
}

/// Decides a new topic of as many partitions as [`Additions`](super::additions::Additions) has room for (Kafka:
/// `ReplicationControlManager.createTopic`).
pub(super) fn create(image: &MetadataImage, topic: NewTopic, id: TopicId) -> Result<Fact, Refusal> {
    if let Some(why) = names::refuse(&topic.name) {
        return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, why));
    }
    if image.topic(&topic.name).is_some() {
        return Err((ErrorCode::TOPIC_ALREADY_EXISTS, format!("Topic '{}' already exists.", topic.name)));
    }
    if let Some(other) = image.colliding(&topic.name) {
        let why = format!("Topic '{}' collides with existing topics: {other}", topic.name);
        return Err((ErrorCode::INVALID_TOPIC_EXCEPTION, why));
    }
    let replicas = if topic.assignments.is_empty() {
        let factor = replication_factor(topic.replication_factor)?;
        place(image.brokers(), 0..partition_count(topic.partitions)?, factor, seed(id))?
    } else {
        given(&topic, image.brokers())?
    };
    Ok(Fact::TopicCreated { id, name: topic.name, replicas, configs: topic.configs })
}

/// Decides that a topic grows to `count` partitions (Kafka: `ReplicationControlManager.createPartitions`).
pub(super) fn grow(
    image: &MetadataImage,
    topic: &Topic,
    count: i32,
    given: Option<&[Vec<i32>]>,
) -> Result<Fact, Refusal> {
    let has = topic.partitions.len();
    let wants = usize::try_from(count).unwrap_or(0);
    let refused = |why: String| Err((ErrorCode::INVALID_PARTITIONS, why));
    if wants == has {
        return refused(format!("Topic already has {has} partition(s)."));
    }
    if wants < has {
        return refused(format!(
            "The topic {} currently has {has} partition(s); {count} would not be an increase.",
            topic.name
        ));
    }
    // As many as the first partition has, without those that a reassignment is about to take away.
    let first = &topic.partitions[0];
    let factor = first.replicas.len() - first.removing.len();
    let replicas = match given {
        None => place(image.brokers(), has..wants, factor, seed(topic.id))?,
        Some(given) => given_partitions(image, given, wants - has, factor)?,
    };
    Ok(Fact::PartitionsAdded { id: topic.id, replicas })
}

fn given_partitions(
    image: &MetadataImage,
    given: &[Vec<i32>],
    wanted: usize,
    factor: usize,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let refused = |why: String| Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why));
    if given.len() != wanted {
        return refused(format!(
            "Attempted to add {wanted} additional partition(s), but only {} assignment(s) were specified.",
            given.len()
        ));
    }
    let replicas = given.iter().map(|r| new_assignment(r, image.brokers())).collect::<Result<Vec<_>, _>>()?;
    match replicas.iter().find(|r| r.len() != factor) {
        Some(other) => refused(format!(
            "The manual partition assignment includes a partition with {} replica(s), but this is not consistent with \
             previous partitions, which have {factor} replica(s).",
            other.len()
        )),
        None => Ok(replicas),
    }
}

/// Where the placement of a topic begins: topic ids are drawn, so that topics are spread.
fn seed(id: TopicId) -> u64 {
    let bits = u128::from_be_bytes(id.0);
    mix((bits >> 64) as u64) ^ bits as u64
}

fn partition_count(asked: i32) -> Result<usize, Refusal> {
    usize::try_from(asked)
        .ok()
        .filter(|n| *n > 0)
        .ok_or((ErrorCode::INVALID_PARTITIONS, "Number of partitions must be larger than 0.".into()))
}

fn replication_factor(asked: i16) -> Result<usize, Refusal> {
    let why = "Replication factor must be larger than 0, or -1 to use the default value.";
    let asked = usize::try_from(asked).ok().filter(|n| *n > 0);
    asked.ok_or((ErrorCode::INVALID_REPLICATION_FACTOR, why.into()))
}

fn given(
    topic: &NewTopic,
    brokers: &BTreeMap<BrokerId, Registration>,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    if topic.partitions != -1 || topic.replication_factor != -1 {
        let why = "A manual partition assignment was specified, but numPartitions or replicationFactor was not set to -1.";
        return Err((ErrorCode::INVALID_REQUEST, why.into()));
    }
    let mut sorted = topic.assignments.clone();
    sorted.sort_by_key(|(partition, _)| *partition);
    if sorted.iter().enumerate().any(|(i, (partition, _))| *partition != i as i32) {
        let why = "Partitions should be a consecutive 0-based integer sequence.";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why.into()));
    }
    let factor = sorted[0].1.len();
    if sorted.iter().any(|(_, replicas)| replicas.len() != factor) {
        let why = "All partitions should have the same number of replicas.";
        return Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why.into()));
    }
    sorted.iter().map(|(_, replicas)| new_assignment(replicas, brokers)).collect()
}

/// The replicas of a partition that is new: somebody has to lead it at once.
fn new_assignment(
    replicas: &[i32],
    brokers: &BTreeMap<BrokerId, Registration>,
) -> Result<Vec<BrokerId>, Refusal> {
    let replicas = one_assignment(replicas, brokers)?;
    if replicas.iter().any(|id| brokers[id].is_active()) {
        return Ok(replicas);
    }
    let why =
        "All brokers specified in the manual partition assignment are fenced or in controlled shutdown.";
    Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why.into()))
}

/// Replicas that somebody has chosen: registered brokers, each once (Kafka: `validateManualPartitionAssignment`).
pub(super) fn one_assignment(
    replicas: &[i32],
    brokers: &BTreeMap<BrokerId, Registration>,
) -> Result<Vec<BrokerId>, Refusal> {
    let refused = |why: String| Err((ErrorCode::INVALID_REPLICA_ASSIGNMENT, why));
    if replicas.is_empty() {
        return refused("The manual partition assignment includes an empty replica list.".into());
    }
    for (i, id) in replicas.iter().enumerate() {
        if !brokers.contains_key(&BrokerId(*id)) {
            return refused(format!(
                "The manual partition assignment includes broker {id}, but no such broker is registered."
            ));
        }
        if replicas[..i].contains(id) {
            return refused(format!(
                "The manual partition assignment includes the broker {id} more than once."
            ));
        }
    }
    Ok(replicas.iter().map(|id| BrokerId(*id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(name: &str, partitions: i32, factor: i16) -> NewTopic {
        NewTopic {
            name: name.into(),
            partitions,
            replication_factor: factor,
            assignments: Vec::new(),
            configs: Configs::new(),
        }
    }

    fn code(result: Result<Fact, Refusal>) -> ErrorCode {
        result.err().map_or(ErrorCode::NONE, |(code, _)| code)
    }

    /// An image with so many brokers, each started once.
    fn image(brokers: i32) -> MetadataImage {
        let mut image = MetadataImage::default();
        for id in 1..=brokers {
            image.apply(&Fact::BrokerStarted { broker: BrokerId(id), incarnation: 7 });
        }
        image
    }

    #[test]
    fn a_topic_that_cannot_be_is_refused_with_its_own_code() {
        let mut image = image(1);
        image.apply(&create(&image, wanted("a.b", 1, 1), TopicId([1; 16])).unwrap());
        let ask = |topic| code(create(&image, topic, TopicId([2; 16])));
        assert_eq!(ask(wanted("a.b", 1, 1)), ErrorCode::TOPIC_ALREADY_EXISTS);
        assert_eq!(ask(wanted("a_b", 1, 1)), ErrorCode::INVALID_TOPIC_EXCEPTION);
        assert_eq!(ask(wanted("c", 0, 1)), ErrorCode::INVALID_PARTITIONS);
        assert_eq!(ask(wanted("c", 1, 2)), ErrorCode::INVALID_REPLICATION_FACTOR);
        assert_eq!(ask(wanted("c", 1, 0)), ErrorCode::INVALID_REPLICATION_FACTOR);
        let hole = NewTopic { assignments: vec![(0, vec![1]), (2, vec![1])], ..wanted("c", -1, -1) };
        assert_eq!(ask(hole), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        let twice = NewTopic { assignments: vec![(0, vec![1, 1])], ..wanted("c", -1, -1) };
        assert_eq!(ask(twice), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
    }

    #[test]
    fn partitions_can_only_be_added() {
        let mut image = image(1);
        image.apply(&create(&image, wanted("t", 3, 1), TopicId([1; 16])).unwrap());
        let ask = |count, given: Option<Vec<Vec<i32>>>| {
            code(grow(&image, image.topic("t").unwrap(), count, given.as_deref()))
        };
        assert_eq!(ask(3, None), ErrorCode::INVALID_PARTITIONS);
        assert_eq!(ask(-1, None), ErrorCode::INVALID_PARTITIONS);
        assert_eq!(ask(5, Some(vec![vec![1]])), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        assert_eq!(ask(5, None), ErrorCode::NONE);
    }

    #[test]
    fn partitions_are_given_as_many_replicas_as_the_others_have() {
        let mut image = image(3);
        image.apply(&create(&image, wanted("t", 1, 2), TopicId([1; 16])).unwrap());
        let topic = image.topic("t").unwrap();
        let Ok(Fact::PartitionsAdded { replicas, .. }) = grow(&image, topic, 4, None) else {
            panic!("refused")
        };
        assert!(replicas.len() == 3 && replicas.iter().all(|r| r.len() == 2), "{replicas:?}");
        let ask = |given: &[Vec<i32>]| code(grow(&image, topic, 2, Some(given)));
        assert_eq!(ask(&[vec![3]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        assert_eq!(ask(&[vec![3, 4]]), ErrorCode::INVALID_REPLICA_ASSIGNMENT);
        assert_eq!(ask(&[vec![3, 1]]), ErrorCode::NONE);
    }

    #[test]
    fn a_fenced_replica_of_a_new_topic_is_not_in_sync_and_one_with_nobody_else_is_refused() {
        let mut image = image(2);
        image.apply(&Fact::BrokerFenced { broker: BrokerId(1), incarnation: 7 });
        let given =
            |brokers: &[i32]| NewTopic { assignments: vec![(0, brokers.to_vec())], ..wanted("t", -1, -1) };
        assert_eq!(
            code(create(&image, given(&[1]), TopicId([1; 16]))),
            ErrorCode::INVALID_REPLICA_ASSIGNMENT
        );
        image.apply(&create(&image, given(&[1, 2]), TopicId([1; 16])).unwrap());
        let state = &image.topic("t").unwrap().partitions[0];
        assert_eq!((&state.isr, state.leader), (&vec![BrokerId(2)], Some(BrokerId(2))));
        assert_eq!(state.replicas, [BrokerId(1), BrokerId(2)]);
    }
}
