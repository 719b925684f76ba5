//! The scene of a story: a topic whose records say where they must lie, and a group that reads them.
//!
//! Each record says `partition:sequence`. When nothing is lost, doubled or reordered, the sequence of every record is
//! its offset; one look at one record is enough to see a fault.

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::{Offset, TopicPartitionList};

use crate::kafka::{Admin, PATIENCE, consumer, unique, until};

/// Where a story takes place.
#[derive(Clone, Debug)]
pub struct Scene {
    /// `HOST:PORT` of one broker, or of several with commas between.
    pub bootstrap: String,
    /// A topic that nobody else uses.
    pub topic: String,
    /// A group that nobody else uses.
    pub group: String,
    /// How many partitions the topic has.
    pub partitions: usize,
}

impl Scene {
    /// Makes the topic with so many partitions of so many replicas each, and places the group at its start.
    pub fn open(bootstrap: &str, name: &str, (partitions, replicas): (usize, i32)) -> Scene {
        let (topic, group) = (unique(name), unique(&format!("{name}-group")));
        let made = Admin::new(bootstrap).create_replicated(&topic, (partitions as i32, replicas), &[]);
        made.expect("a new topic is created");
        let scene = Scene { bootstrap: bootstrap.to_string(), topic, group, partitions };
        scene.place_at_start();
        scene
    }

    /// The group has a committed offset from the first moment: any resume without one is a fault.
    fn place_at_start(&self) {
        let mut list = TopicPartitionList::new();
        for partition in 0..self.partitions {
            list.add_partition_offset(&self.topic, partition as i32, Offset::Offset(0))
                .expect("an offset can be listed");
        }
        let consumer = consumer(&self.bootstrap, &self.group, &[]);
        // The first group makes its topic, whose partitions may still be waiting for their leaders.
        until("an empty group's offsets are set", PATIENCE, || {
            consumer.commit(&list, CommitMode::Sync).is_ok()
        });
    }
}

/// The value of a record: where it must lie, and something to carry.
pub fn value(partition: usize, sequence: usize) -> String {
    format!("{partition}:{sequence}:{}", "x".repeat(200))
}

/// Where a record must lie: partition and sequence.
pub type Place = (usize, usize);

/// Where a record says that it must lie. Nothing when it is not one of a story.
pub fn place(value: &[u8]) -> Option<Place> {
    let mut parts = std::str::from_utf8(value).ok()?.split(':');
    let mut part = || parts.next()?.parse().ok();
    Some((part()?, part()?))
}

#[test]
fn a_record_says_where_it_must_lie() {
    assert_eq!(place(value(3, 4711).as_bytes()), Some((3, 4711)));
    assert_eq!(place(b"3:"), None);
    assert_eq!(place(b"something else"), None);
}
