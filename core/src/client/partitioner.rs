//! Which partition a record goes to when its sender did not say.

use std::collections::BTreeMap;

use super::chance::draw;
use super::settings::Partitioner;

/// The state of the choice: turns for round-robin, the sticky partition of each topic for records without a key.
#[derive(Debug)]
pub(crate) struct Placement {
    rule: Partitioner,
    seed: u64,
    turns: BTreeMap<String, u64>,
    sticky: BTreeMap<String, i32>,
}

impl Placement {
    pub(crate) fn new(rule: Partitioner, seed: u64) -> Placement {
        Placement { rule, seed, turns: BTreeMap::new(), sticky: BTreeMap::new() }
    }

    /// The partition for a record with that key, of a topic with `count` partitions (at least one).
    pub(crate) fn choose(&mut self, topic: &str, key: Option<&[u8]>, count: i32) -> i32 {
        assert!(count > 0, "a topic has at least one partition");
        match (self.rule, key) {
            (Partitioner::RoundRobin, _) => (self.next_turn(topic) % count as u64) as i32,
            (Partitioner::KeyHash, Some(key)) => (murmur2(key) & 0x7fff_ffff) as i32 % count,
            (Partitioner::KeyHash, None) => match self.sticky.get(topic) {
                Some(partition) if *partition < count => *partition,
                _ => self.stick(topic, count),
            },
        }
    }

    /// A batch of that topic has been closed: records without a key go on to another partition (KIP-480).
    pub(crate) fn batch_closed(&mut self, topic: &str) {
        self.sticky.remove(topic);
    }

    fn stick(&mut self, topic: &str, count: i32) -> i32 {
        let turn = self.next_turn(topic);
        let partition = (draw(self.seed, 2, turn) % count as u64) as i32;
        self.sticky.insert(topic.to_string(), partition);
        partition
    }

    fn next_turn(&mut self, topic: &str) -> u64 {
        match self.turns.get_mut(topic) {
            Some(turn) => {
                *turn = turn.wrapping_add(1);
                *turn
            }
            None => {
                self.turns.insert(topic.to_string(), 0);
                0
            }
        }
    }
}

/// MurmurHash2, 32 bits, with the seed of Kafka's Java client (`Utils.murmur2`): every client that hashes keys agrees on it.
pub fn murmur2(bytes: &[u8]) -> u32 {
    const M: u32 = 0x5bd1_e995;
    let mut h: u32 = 0x9747_b28c ^ bytes.len() as u32;
    let mut words = bytes.chunks_exact(4);
    for word in &mut words {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        h = h.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (i, byte) in rest.iter().enumerate() {
            h ^= u32::from(*byte) << (8 * i);
        }
        h = h.wrapping_mul(M);
    }
    h ^= h >> 13;
    h = h.wrapping_mul(M);
    h ^ (h >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_hash_as_in_the_java_client() {
        // The values of Kafka's own UtilsTest.testMurmur2.
        for (key, hash) in [
            ("21", -973932308i32),
            ("foobar", -790332482),
            ("a-little-bit-long-string", -985981536),
            ("a-little-bit-longer-string", -1486304829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        ] {
            assert_eq!(murmur2(key.as_bytes()) as i32, hash, "{key}");
        }
    }

    #[test]
    fn records_without_a_key_stay_in_one_partition_until_the_batch_closes() {
        let mut placement = Placement::new(Partitioner::KeyHash, 3);
        let first = placement.choose("t", None, 100);
        assert!((0..20).all(|_| placement.choose("t", None, 100) == first));
        let later: Vec<i32> = (0..20)
            .map(|_| {
                placement.batch_closed("t");
                placement.choose("t", None, 100)
            })
            .collect();
        assert!(later.iter().any(|p| *p != first));
    }

    #[test]
    fn round_robin_takes_turns_whatever_the_key() {
        let mut placement = Placement::new(Partitioner::RoundRobin, 3);
        let taken: Vec<i32> = (0..6).map(|_| placement.choose("t", Some(b"same"), 3)).collect();
        assert_eq!(taken, [0, 1, 2, 0, 1, 2]);
    }
}
