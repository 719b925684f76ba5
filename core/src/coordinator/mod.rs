//! What every coordinator has in common: it decides facts and answers, and changes its state only by applying facts.

use bytes::Bytes;

use crate::caller::Caller;
use crate::time::Timestamp;
use crate::wire::Response;

/// One record of a coordinator's partition: what has been decided, by key. The last one for a key counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is about, in Kafka's own key format of that topic.
    pub key: Bytes,
    /// What holds from now on; `None` is a tombstone: nothing does.
    pub value: Option<Bytes>,
}

/// An answer that may have to wait.
#[derive(Debug)]
pub struct Answer {
    /// Whom to answer.
    pub to: Caller,
    /// What to answer.
    pub response: Response,
    /// Coordinator partitions whose log end, with the facts of the same decision appended, must be committed before the
    /// answer may leave: it speaks of state that a failover must not undo. Empty when it speaks of none.
    pub after: Vec<i32>,
}

/// What a coordinator makes of one input: facts to append and apply at once, in order, and answers to release later.
#[derive(Debug, Default)]
pub struct Decision {
    /// Each with the coordinator partition that it belongs to.
    pub facts: Vec<(i32, Fact)>,
    /// Answers, in the order they were decided.
    pub replies: Vec<Answer>,
}

/// State that is a fold over the facts of one coordinator partition.
///
/// The same `apply` serves facts just decided and facts replayed after a failover, so that both lead to the same state
/// (Kafka's `CoordinatorPlayback`).
pub trait Replicated {
    /// Takes one fact. `written` is the timestamp of its record. It never refuses: what cannot be read is counted and skipped.
    fn apply(&mut self, fact: &Fact, written: Timestamp);
}
