//! S24: the end of a partition that its leader tells is not below what is committed (KIP-207).

use quipu_core::broker::Broker;
use quipu_core::broker::door::{Caller, Effect, Input, Request};
use quipu_core::ids::LogId;
use quipu_core::wire::messages::list_offsets::ListOffsetsRequest;
use quipu_core::wire::{self, ErrorCode, Response};

use crate::claims::{Claim, Cluster, Verdict};
use crate::ledger::{Page, epoch_of};
use crate::watch::Scene;

/// ListOffsets: the end.
const LATEST: i64 = -1;

/// The claim.
#[derive(Default)]
pub struct EndsAreCommitted {
    /// Who has asked in this step, and for the ends of which partitions.
    asked: Option<(Caller, Vec<(String, i32)>)>,
}

impl Claim for EndsAreCommitted {
    fn id(&self) -> &'static str {
        "S24"
    }

    fn says(&self) -> &'static str {
        "an end that is told is not below what is committed"
    }

    fn asking(&mut self, _: usize, _: &Broker, input: &Input) {
        self.asked = match input {
            Input::Request { to, request: Request::Api(wire::Request::ListOffsets(asked)), .. } => {
                Some((*to, ends_asked(asked)))
            }
            _ => None,
        };
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        let Effect::Reply { to, response: Response::ListOffsets(told) } = effect else { return Ok(()) };
        let Some((_, asked)) = self.asked.as_ref().filter(|(asked, _)| asked == to && !scene.damaged) else {
            return Ok(());
        };
        for topic in &told.topics {
            let Some(known) = scene.broker.image().topic(&topic.name) else { continue };
            for part in topic.partitions.iter().filter(|part| part.error_code == ErrorCode::NONE) {
                let id = LogId { topic: known.id, partition: part.partition_index };
                let page = cluster.ledger.page(id).zip(epoch_of(scene, id));
                let is_end = asked.iter().any(|(t, p)| *t == topic.name && *p == part.partition_index);
                if let Some((page, epoch)) = page.filter(|_| is_end) {
                    not_below(page, epoch, part.offset)
                        .map_err(|why| format!("{}-{}: {why}", topic.name, part.partition_index))?;
                }
            }
        }
        Ok(())
    }
}

fn ends_asked(asked: &ListOffsetsRequest) -> Vec<(String, i32)> {
    let all = asked.topics.iter().flat_map(|t| t.partitions.iter().map(|p| (t.name.clone(), p)));
    all.filter(|(_, p)| p.timestamp == LATEST).map(|(topic, p)| (topic, p.partition_index)).collect()
}

/// A leader that was replaced and does not know it yet may tell what was.
fn not_below(page: &Page, epoch: i32, told: i64) -> Verdict {
    if page.is_past(epoch) || told >= page.end() {
        return Ok(());
    }
    Err(format!("the leader of epoch {epoch} tells {told} as its end, and {} is committed", page.end()))
}

#[cfg(test)]
mod tests {
    use quipu_core::cluster::partition::PartitionState;
    use quipu_core::ids::{BrokerId, LeaderEpoch};

    use super::*;
    use crate::batch::Written;

    #[test]
    fn an_end_below_what_is_committed_is_seen_unless_a_deposed_leader_tells_it() {
        let (producer, producer_epoch, sequence, max_timestamp) = (-1, -1, -1, 0);
        let (base, next, size, count, hash, epoch) = (0, 5, 100, 5, 5, 1);
        let batch = Written {
            base,
            next,
            size,
            epoch,
            producer,
            producer_epoch,
            sequence,
            count,
            max_timestamp,
            hash,
        };
        let state =
            PartitionState { leader_epoch: LeaderEpoch(2), ..PartitionState::new(&[BrokerId(1)], |_| true) };
        let page = Page { committed: vec![(batch, 1)], state: Some(state), lost: false };
        assert!(not_below(&page, 2, 4).is_err());
        assert!(not_below(&page, 2, 5).is_ok() && not_below(&page, 1, 4).is_ok());
    }
}
