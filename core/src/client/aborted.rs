//! Leaves out the records of aborted transactions, and all control records, from what was fetched.

use std::collections::BTreeSet;

use crate::ids::{Offset, ProducerId};
use crate::record::{BatchHeader, Record};

/// What a consumer knows of the transactions in one answer while it walks through its batches in order.
#[derive(Debug, Default)]
pub(crate) struct Aborted {
    /// Aborted transactions by the offset they begin at, the first one last.
    ahead: Vec<(Offset, ProducerId)>,
    /// Producers in the middle of an aborted transaction.
    open: BTreeSet<ProducerId>,
}

impl Aborted {
    /// From the list that the broker sends along for readers of committed records.
    pub(crate) fn new(list: impl Iterator<Item = (ProducerId, Offset)>) -> Aborted {
        let mut ahead: Vec<(Offset, ProducerId)> = list.map(|(id, first)| (first, id)).collect();
        ahead.sort_unstable();
        ahead.reverse();
        Aborted { ahead, open: BTreeSet::new() }
    }

    /// Whether a batch is of no concern to users: a marker, or part of an aborted transaction. To be asked in order, with
    /// the first record of the batch if it is a control batch.
    pub(crate) fn hides(&mut self, header: &BatchHeader, marker: Option<&Record>) -> bool {
        while self.ahead.last().is_some_and(|(first, _)| *first <= header.last_offset()) {
            if let Some((_, id)) = self.ahead.pop() {
                self.open.insert(id);
            }
        }
        if header.is_control() {
            if marker.is_some_and(is_abort) {
                self.open.remove(&header.producer_id);
            }
            return true;
        }
        header.is_transactional() && self.open.contains(&header.producer_id)
    }
}

/// Whether a control record ends a transaction by aborting it: its key is a version and the type 0 (`ControlRecordType`).
fn is_abort(record: &Record) -> bool {
    record.key.as_deref().is_some_and(|key| key.get(2..4) == Some(&[0, 0]))
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::ids::LeaderEpoch;
    use crate::record::BatchBuilder;
    use crate::time::Timestamp;

    fn header(producer: i64, at: i64, control: bool) -> BatchHeader {
        let mut builder = BatchBuilder::new().producer(ProducerId(producer), 0, 0).transactional();
        if control {
            builder = builder.control();
        }
        builder.push(Timestamp(1), Some(&[0, 0, 0, 0]), None);
        let mut batch = builder.build();
        batch.stamp(Offset(at), LeaderEpoch(0));
        *batch.header()
    }

    fn marker(kind: u8) -> Record {
        let key = Some(Bytes::copy_from_slice(&[0, 0, 0, kind]));
        Record { offset: Offset(0), timestamp: Timestamp(1), key, value: None, headers: Vec::new() }
    }

    #[test]
    fn an_aborted_transaction_is_hidden_from_its_first_record_to_its_marker() {
        let mut aborted = Aborted::new([(ProducerId(7), Offset(10))].into_iter());
        assert!(!aborted.hides(&header(7, 5, false), None), "an earlier transaction of the same producer");
        assert!(aborted.hides(&header(7, 10, false), None));
        assert!(!aborted.hides(&header(8, 11, false), None), "another producer");
        assert!(aborted.hides(&header(7, 12, true), Some(&marker(0))), "markers are never shown");
        assert!(!aborted.hides(&header(7, 13, false), None), "the next transaction");
    }

    #[test]
    fn a_commit_marker_does_not_end_an_aborted_transaction() {
        let mut aborted = Aborted::new([(ProducerId(7), Offset(10))].into_iter());
        assert!(aborted.hides(&header(7, 10, false), None));
        assert!(aborted.hides(&header(7, 11, true), Some(&marker(1))));
        assert!(aborted.hides(&header(7, 12, false), None));
    }
}
