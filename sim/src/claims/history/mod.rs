//! What must be true of what clients saw, once all is over.

pub mod h01;
pub mod h05;
pub mod h07;
pub mod h08;
pub mod h09;
pub mod h10;
pub mod h14;
pub mod h15;

use crate::claims::Verdict;
use crate::history::History;

/// A claim about a history.
pub struct HistoryClaim {
    /// Its name in the list of claims.
    pub id: &'static str,
    /// What it claims, in a sentence.
    pub says: &'static str,
    /// Whether it holds.
    pub check: fn(&History) -> Verdict,
}

/// All of them.
pub const ALL: [HistoryClaim; 8] = [
    HistoryClaim { id: "H8", says: "what is read is what was written", check: h08::check },
    HistoryClaim { id: "H1", says: "an acknowledged record is never lost", check: h01::check },
    HistoryClaim { id: "H5", says: "an idempotent producer's record is written once", check: h05::check },
    HistoryClaim { id: "H7", says: "a producer's records are in the order it sent them", check: h07::check },
    HistoryClaim {
        id: "H9",
        says: "readers see each partition in order and without a gap",
        check: h09::check,
    },
    HistoryClaim { id: "H10", says: "offsets asked for agree with what was done before", check: h10::check },
    HistoryClaim {
        id: "H14",
        says: "a committed offset is the newest, and skips nothing",
        check: h14::check,
    },
    HistoryClaim { id: "H15", says: "nobody gets in the way of good clients", check: h15::check },
];

#[cfg(test)]
pub(crate) mod tests {
    use quipu_core::client::TopicPartition;

    use crate::history::{Fate, FinalLog, Sent};

    /// A record of user 1.
    pub(crate) fn sent(fate: Fate) -> Sent {
        Sent {
            by: (1, 0),
            partition: TopicPartition::new("t", 0),
            idempotent: true,
            acks: -1,
            in_flight: 5,
            repeats: false,
            timestamp: 0,
            at: 0,
            done_at: 1,
            fate,
        }
    }

    /// A log with these records.
    pub(crate) fn log(start: i64, records: &[(i64, u64)]) -> FinalLog {
        FinalLog {
            start,
            records: records.iter().map(|(offset, number)| (*offset, *number, 0)).collect(),
            unreadable: None,
        }
    }
}
