//! S9: no record at or beyond the high watermark ever leaves in an answer, and what leaves is what was written.

use quipu_core::wire::messages::fetch::PartitionData;
use quipu_core::wire::{ErrorCode, Records, Response};

use crate::batch::{self, Written};
use crate::claims::{Claim, Verdict};
use crate::ghost::{Ghost, GhostLog};
use crate::watch::Scene;

/// The claim.
pub struct OnlyCommittedIsRead;

impl Claim for OnlyCommittedIsRead {
    fn id(&self) -> &'static str {
        "S9"
    }

    fn says(&self) -> &'static str {
        "only committed records are read"
    }

    fn sending(&mut self, scene: &Scene<'_>, ghost: &Ghost, answer: &Response) -> Verdict {
        let Response::Fetch(fetch) = answer else { return Ok(()) };
        for topic in &fetch.responses {
            let named =
                scene.broker.image().topic_by_id(topic.topic_id).or(scene.broker.image().topic(&topic.topic));
            let Some(named) = named else { continue };
            for part in topic.partitions.iter().filter(|p| p.error_code == ErrorCode::NONE) {
                let id = quipu_core::ids::LogId { topic: named.id, partition: part.partition_index };
                if let Some(log) = ghost.logs.get(&id) {
                    committed(&format!("{}-{}", named.name, id.partition), log, part, scene.damaged)?;
                }
            }
        }
        Ok(())
    }
}

/// Whether all that leaves was written and is committed. No checksum covers a batch's epoch: on a damaged disk it may be any.
fn committed(name: &str, log: &GhostLog, part: &PartitionData, damaged: bool) -> Verdict {
    let Some(Records::Held(chunks)) = &part.records else { return Ok(()) };
    for batch in batch::read_all(&chunks.concat()) {
        if batch.next > log.committed {
            return Err(format!("{name}: {batch:?} leaves, but only {} is committed", log.committed));
        }
        let written = log.at(batch.base);
        let is_it =
            |w: &Written| *w == Written { epoch: if damaged { w.epoch } else { batch.epoch }, ..batch };
        if !log.has_hole && !written.is_some_and(is_it) {
            return Err(format!("{name}: {batch:?} leaves, but {written:?} was written"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quipu_core::ids::{LeaderEpoch, Offset};
    use quipu_core::record::BatchBuilder;
    use quipu_core::time::Timestamp;

    use super::*;

    fn bytes(value: &'static str) -> Bytes {
        let mut batch = BatchBuilder::plain(Timestamp(1), &[(None, Some(Bytes::from(value)))]);
        batch.stamp(Offset(4), LeaderEpoch(0));
        batch.to_bytes()
    }

    fn of_epoch(epoch: i32) -> Bytes {
        let mut batch = BatchBuilder::plain(Timestamp(1), &[(None, Some(Bytes::from("a")))]);
        batch.stamp(Offset(4), LeaderEpoch(epoch));
        batch.to_bytes()
    }

    fn part(bytes: Bytes) -> PartitionData {
        PartitionData { records: Some(Records::Held(vec![bytes])), ..Default::default() }
    }

    fn log(committed: i64) -> GhostLog {
        GhostLog::of(vec![batch::read(&bytes("a")).unwrap()], committed)
    }

    #[test]
    fn a_record_beyond_the_high_watermark_or_another_one_is_seen() {
        assert!(committed("t-0", &log(4), &part(bytes("a")), false).is_err());
        assert!(committed("t-0", &log(5), &part(bytes("b")), true).is_err());
        assert!(committed("t-0", &log(5), &part(of_epoch(7)), false).is_err());
    }

    #[test]
    fn the_last_committed_record_may_be_read() {
        assert!(committed("t-0", &log(5), &part(bytes("a")), false).is_ok());
        assert!(committed("t-0", &log(5), &part(of_epoch(7)), true).is_ok(), "a flipped bit of the epoch");
        assert!(committed("t-0", &log(0), &part(Bytes::new()), false).is_ok());
    }
}
