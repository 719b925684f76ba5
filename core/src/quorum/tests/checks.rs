//! What must hold of the small world at every moment.

use bytes::Bytes;

use super::world::World;
use crate::ids::Offset;
use crate::quorum::messages::{Body, Message, Question};

impl World {
    /// M: what is committed once is so on every node, for ever.
    pub(super) fn commit(&mut self, id: i32, high: Offset) {
        let process = self.node(id).process.as_mut().expect("it runs");
        process.log.raise_high(high);
        let mut there: Vec<(i32, Bytes)> = process.facts();
        there.truncate(high.0 as usize);
        let both = there.len().min(self.committed.len());
        assert_eq!(
            there[..both],
            self.committed[..both],
            "{id} commits other records\n{}",
            self.story.join("\n")
        );
        if there.len() > self.committed.len() {
            self.committed = there;
        }
    }

    /// C: nothing is said that the disk could forget.
    pub(super) fn check_message(&mut self, id: i32, message: &Message) {
        let (me, kept) = (self.node(id).me, self.node(id).disk.election);
        let story = || self.story.join("\n");
        assert!(
            kept.epoch >= message.epoch,
            "{id} speaks in epoch {} before it is kept\n{}",
            message.epoch,
            story()
        );
        match &message.body {
            Body::Question(Question::Vote(vote)) if !vote.pre => {
                assert!(
                    kept.epoch > message.epoch || kept.voted == Some(me),
                    "{id} forgets its vote\n{}",
                    story()
                );
            }
            Body::Question(Question::Fetch(fetch)) => {
                let durable = self.nodes[id as usize - 1].disk.tail.end();
                assert!(fetch.flushed.0 <= durable, "{id} acknowledges what it has not\n{}", story());
            }
            Body::Flushed(to) => {
                let durable = self.nodes[id as usize - 1].disk.tail.end();
                assert!(to.0 <= durable, "{id} acknowledges {to}, its disk has {durable}\n{}", story());
            }
            _ => {}
        }
    }
}
