//! Where the replicas of new partitions go: spread over racks first, then over brokers, fenced ones last (Kafka:
//! `StripedReplicaPlacer`).
//!
//! Kafka's placer carries a position and a random generator from partition to partition. Here a partition's place is a
//! function of the seed, its number and the brokers, so that partitions added later go on with the pattern.

use std::collections::{BTreeMap, VecDeque};

use crate::cluster::brokers::Registration;
use crate::cluster::topics::Refusal;
use crate::ids::BrokerId;
use crate::mix::mix;
use crate::wire::error::ErrorCode;

/// Chooses `factor` replicas for each of the partitions in `range`; the first of each leads it, and is not fenced. Brokers
/// that are stopping get none.
pub fn place(
    brokers: &BTreeMap<BrokerId, Registration>,
    range: std::ops::Range<usize>,
    factor: usize,
    seed: u64,
) -> Result<Vec<Vec<BrokerId>>, Refusal> {
    let racks = racks(brokers);
    let all: usize = racks.iter().map(|r| r.unfenced.len() + r.fenced.len()).sum();
    let refused = |why: String| Err((ErrorCode::INVALID_REPLICATION_FACTOR, why));
    if racks.iter().all(|rack| rack.unfenced.is_empty()) {
        return refused("All brokers are currently fenced.".into());
    }
    if factor > all {
        return refused(format!(
            "Unable to replicate the partition {factor} time(s): only {all} broker(s) are registered."
        ));
    }
    Ok(range.map(|partition| one(&racks, partition, factor, seed)).collect())
}

/// The brokers of one rack; those without a rack are in one.
#[derive(Clone, Debug, Default)]
struct Rack {
    unfenced: Vec<BrokerId>,
    fenced: Vec<BrokerId>,
}

/// The racks in the order of their names, those with nobody unfenced last.
fn racks(brokers: &BTreeMap<BrokerId, Registration>) -> Vec<Rack> {
    let mut racks: BTreeMap<Option<&str>, Rack> = BTreeMap::new();
    for (id, broker) in brokers.iter().filter(|(_, r)| !r.stopping) {
        let rack = racks.entry(broker.rack.as_deref()).or_default();
        if broker.fenced { &mut rack.fenced } else { &mut rack.unfenced }.push(*id);
    }
    let (awake, asleep) = racks.into_values().partition::<Vec<_>, _>(|r| !r.unfenced.is_empty());
    awake.into_iter().chain(asleep).collect()
}

/// The replicas of one partition. In a round every unfenced broker leads about once: the leader's rack is another with each
/// partition, and within a rack the broker is another once all racks had their turn. Each next round is shuffled, so that
/// the brokers that follow a fenced one are not always the same.
fn one(racks: &[Rack], partition: usize, factor: usize, seed: u64) -> Vec<BrokerId> {
    let awake = racks.iter().filter(|rack| !rack.unfenced.is_empty()).count();
    let unfenced: usize = racks.iter().map(|rack| rack.unfenced.len()).sum();
    let (round, turn) = (partition / unfenced, partition % unfenced);
    let mut draw = Draw { seed: mix(seed ^ mix(round as u64)), count: 0 };
    let mut racks = racks.to_vec();
    if round > 0 {
        draw.shuffle(&mut racks[..awake]);
        racks.iter_mut().for_each(|rack| draw.shuffle(&mut rack.unfenced));
    }
    let start = draw.below(awake);
    let offsets: Vec<usize> = racks.iter().map(|rack| draw.below(rack.unfenced.len().max(1))).collect();
    let first = (start + turn) % awake;
    let order = (0..awake).map(|i| (first + i) % awake).chain(awake..racks.len());
    let mut queues: Vec<VecDeque<BrokerId>> = order
        .enumerate()
        .map(|(distance, rack)| queue(&racks[rack], offsets[rack] + turn / awake + distance))
        .collect();
    let mut replicas = Vec::with_capacity(factor);
    while replicas.len() < factor {
        let next = queues.iter_mut().filter_map(VecDeque::pop_front);
        let room = factor - replicas.len();
        replicas.extend(next.take(room));
    }
    replicas
}

/// The brokers of a rack from some position on, once around, then the fenced ones.
fn queue(rack: &Rack, from: usize) -> VecDeque<BrokerId> {
    let around = |list: &[BrokerId]| {
        let mut list = list.to_vec();
        let by = from % list.len().max(1);
        list.rotate_left(by);
        list
    };
    around(&rack.unfenced).into_iter().chain(around(&rack.fenced)).collect()
}

/// Numbers of one round of one seed.
struct Draw {
    seed: u64,
    count: u64,
}

impl Draw {
    fn below(&mut self, bound: usize) -> usize {
        self.count += 1;
        (mix(self.seed.wrapping_add(self.count)) % bound as u64) as usize
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

#[cfg(test)]
mod tests;
