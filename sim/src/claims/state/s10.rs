//! S10: when a produce is answered with success, its records would be there after a power loss at that instant.

use quipu_core::broker::door::Effect;
use quipu_core::ids::LogId;
use quipu_core::wire::{ErrorCode, Response};

use crate::claims::{Claim, Verdict};
use crate::ghost::Ghost;
use crate::watch::Scene;

/// The claim.
pub struct AcknowledgedIsDurable;

impl Claim for AcknowledgedIsDurable {
    fn id(&self) -> &'static str {
        "S10"
    }

    fn says(&self) -> &'static str {
        "an acknowledged record is on disk"
    }

    fn told(&mut self, scene: &Scene<'_>, before: &Ghost, effect: &Effect) -> Verdict {
        // What was written lies there, but not as it was written.
        if scene.damaged {
            return Ok(());
        }
        let Effect::Reply { response: Response::Produce(response), .. } = effect else { return Ok(()) };
        for topic in &response.responses {
            let Some(named) = scene.broker.image().topic(&topic.name) else { continue };
            for part in &topic.partition_responses {
                let acked = part.error_code == ErrorCode::NONE && part.base_offset >= 0;
                let id = LogId { topic: named.id, partition: part.index };
                let Some(log) = before.logs.get(&id).filter(|_| acked) else { continue };
                // What retention has removed since is nobody's loss.
                if part.base_offset >= log.start && !log.is_durable(id, part.base_offset, scene.disk) {
                    return Err(format!(
                        "{}-{} offset {} is acknowledged, but a power loss now could take it",
                        topic.name, part.index, part.base_offset
                    ));
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quipu_core::disk::Disk;
    use quipu_core::ids::{LeaderEpoch, Offset, TopicId};
    use quipu_core::record::{Batch, BatchBuilder};
    use quipu_core::storage::ops::StoreOp;
    use quipu_core::time::Timestamp;

    use super::*;
    use crate::disk::SimDisk;

    const LOG: LogId = LogId { topic: TopicId([1; 16]), partition: 0 };

    /// A ghost and a disk that have the same batch, the disk's synced as far as it is said.
    fn written(sync_file: bool, sync_dir: bool) -> (Ghost, SimDisk) {
        let mut batch = BatchBuilder::plain(Timestamp(1), &[(None, Some(Bytes::from_static(b"v")))]);
        batch.stamp(Offset(0), LeaderEpoch(0));
        let mut ghost = Ghost::default();
        ghost.effect(&append(batch.clone()), |_| None);
        let disk = SimDisk::new(1);
        let dir = format!("t-0-{}", LOG.topic);
        disk.create_dir(&dir).unwrap();
        disk.sync(&[], &[""]).unwrap();
        let file = disk.create(&format!("{dir}/{:020}.log", 0)).unwrap();
        disk.write_at(&file, 0, &[batch.to_bytes()]).unwrap();
        if sync_file {
            disk.sync(&[file], &[]).unwrap();
        }
        if sync_dir {
            disk.sync(&[], &[&dir]).unwrap();
        }
        (ghost, disk)
    }

    fn append(batch: Batch) -> Effect {
        let op = StoreOp::Append { log: LOG, batches: vec![batch], roll: false };
        Effect::Store { lane: quipu_core::ids::LaneId(0), mark: quipu_core::ids::Mark(1), op }
    }

    #[test]
    fn data_or_a_name_that_is_not_synced_is_seen_and_what_is_synced_is_fine() {
        let durable = |(ghost, disk): (Ghost, SimDisk)| ghost.logs[&LOG].is_durable(LOG, 0, &disk);
        assert!(!durable(written(false, true)));
        assert!(!durable(written(true, false)), "the file's name is not on disk");
        assert!(durable(written(true, true)));
    }
}
