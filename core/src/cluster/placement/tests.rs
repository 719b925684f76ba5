//! Spread over racks and brokers, whatever the seed.

use super::*;
use crate::ids::Offset;

/// Brokers with their racks; a `!` before the rack is a fenced one.
fn brokers(list: &[(i32, &str)]) -> BTreeMap<BrokerId, Registration> {
    let one = |(id, rack): &(i32, &str)| {
        let fenced = rack.starts_with('!');
        let rack = Some(rack.trim_start_matches('!').to_string()).filter(|r| !r.is_empty());
        (BrokerId(*id), Registration { rack, fenced, at: Offset(1), ..Registration::alone(7) })
    };
    list.iter().map(one).collect()
}

fn placed(list: &[(i32, &str)], partitions: usize, factor: usize, seed: u64) -> Vec<Vec<i32>> {
    let placed = place(&brokers(list), 0..partitions, factor, seed).unwrap();
    placed.iter().map(|replicas| replicas.iter().map(|b| b.0).collect()).collect()
}

fn counts(ids: impl Iterator<Item = i32>) -> BTreeMap<i32, usize> {
    ids.fold(BTreeMap::new(), |mut counts, id| {
        *counts.entry(id).or_default() += 1;
        counts
    })
}

#[test]
fn one_broker_has_everything() {
    assert_eq!(placed(&[(1, "")], 3, 1, 9), [[1], [1], [1]]);
}

#[test]
fn leaders_and_replicas_are_spread_evenly_over_brokers_without_racks() {
    let three = [(1, ""), (2, ""), (3, "")];
    for seed in 0..50 {
        let placed = placed(&three, 9, 2, seed);
        assert_eq!(counts(placed.iter().map(|r| r[0])), BTreeMap::from([(1, 3), (2, 3), (3, 3)]));
        assert_eq!(counts(placed.iter().flatten().copied()), BTreeMap::from([(1, 6), (2, 6), (3, 6)]));
        assert!(placed.iter().all(|r| r[0] != r[1]), "{placed:?}");
    }
}

#[test]
fn every_partition_has_one_replica_in_each_rack_and_every_broker_the_same_load() {
    let racks = [(1, "a"), (2, "a"), (3, "a"), (4, "b"), (5, "b"), (6, "b"), (7, "c"), (8, "c"), (9, "c")];
    for seed in 0..50 {
        let placed = placed(&racks, 18, 3, seed);
        for replicas in &placed {
            let mut of: Vec<i32> = replicas.iter().map(|b| (b - 1) / 3).collect();
            of.sort_unstable();
            assert_eq!(of, [0, 1, 2], "seed {seed}: {placed:?}");
        }
        assert!(counts(placed.iter().map(|r| r[0])).values().all(|n| *n == 2), "seed {seed}: {placed:?}");
        assert!(counts(placed.iter().flatten().copied()).values().all(|n| *n == 6), "{placed:?}");
    }
}

#[test]
fn fenced_brokers_come_last_and_lead_nothing() {
    let list = [(1, ""), (2, "!"), (3, "")];
    for seed in 0..50 {
        assert!(placed(&list, 6, 2, seed).iter().flatten().all(|b| *b != 2));
        assert!(placed(&list, 6, 3, seed).iter().all(|r| r[2] == 2));
    }
    assert_eq!(
        place(&brokers(&[(1, "!")]), 0..1, 1, 0).unwrap_err().0,
        ErrorCode::INVALID_REPLICATION_FACTOR
    );
}

#[test]
fn a_rack_with_nobody_awake_gets_replicas_only_when_the_others_have_theirs() {
    let list = [(1, "a"), (2, "!b"), (3, "c")];
    assert!(placed(&list, 6, 2, 4).iter().flatten().all(|b| *b != 2));
    assert!(placed(&list, 6, 3, 4).iter().all(|r| r.contains(&2) && r[0] != 2));
}

#[test]
fn stopping_brokers_get_nothing_and_too_few_brokers_are_told() {
    let mut list = brokers(&[(1, ""), (2, "")]);
    list.get_mut(&BrokerId(2)).unwrap().stopping = true;
    assert_eq!(place(&list, 0..2, 1, 5), Ok(vec![vec![BrokerId(1)]; 2]));
    assert_eq!(place(&list, 0..2, 2, 5).unwrap_err().0, ErrorCode::INVALID_REPLICATION_FACTOR);
}

#[test]
fn partitions_added_later_are_placed_as_if_they_had_been_there_from_the_start() {
    let list = brokers(&[(1, ""), (2, ""), (3, "")]);
    let whole = place(&list, 0..12, 2, 77).unwrap();
    let parts = [place(&list, 0..5, 2, 77).unwrap(), place(&list, 5..12, 2, 77).unwrap()].concat();
    assert_eq!(whole, parts);
}

#[test]
fn another_seed_begins_elsewhere() {
    let list = [(1, ""), (2, ""), (3, "")];
    let firsts = counts((0..60).map(|seed| placed(&list, 1, 1, seed)[0][0]));
    assert!(firsts.len() == 3 && firsts.values().all(|n| *n > 8), "{firsts:?}");
}
