//! What is kept of elections: what was answered is there after any crash, and nothing else is taken for it.

use quipu_core::disk::Disk;

use super::*;

fn keep(state: u64) -> StoreOp {
    StoreOp::Election { state: Bytes::copy_from_slice(&state.to_be_bytes()) }
}

fn found(recovered: &Recovered) -> Result<u64, String> {
    let state = |bytes: &Bytes| u64::from_be_bytes(bytes[..].try_into().expect("eight bytes"));
    recovered.election.clone().map(|kept| kept.as_ref().map_or(0, state))
}

#[test]
fn after_a_power_loss_anywhere_the_state_is_the_last_one_answered_or_the_one_under_way() {
    for seed in 0..400 {
        let (disk, mut rng) = (SimDisk::new(seed), Rng::new(seed));
        let mut answered = 0;
        for _ in 0..6 {
            disk.crash_after(rng.below(12));
            let Ok((mut store, recovered)) = try_open(&disk, |o| o.synced = seed % 3 > 0) else {
                disk.lose_power();
                disk.restart();
                continue;
            };
            let last = found(&recovered).expect("a crash is no damage");
            assert!(
                [answered, answered + 1].contains(&last),
                "seed {seed}: {last} found, {answered} answered"
            );
            answered = last;
            for _ in 0..rng.below(5) {
                if store.run(&mut vec![(Mark(1), keep(answered + 1))]).is_err() {
                    break;
                }
                answered += 1;
            }
            drop(store);
            if rng.percent(50) {
                disk.lose_power()
            }
            disk.restart();
        }
    }
}

#[test]
fn a_state_that_a_start_has_found_is_there_after_a_power_loss_also_when_it_was_killed_before_its_sync() {
    for seed in 0..50 {
        let disk = SimDisk::new(seed);
        let mut store = filled(&disk, 1);
        run(&mut store, vec![keep(1)]);
        disk.crash_after(seed % 2);
        assert!(store.run(&mut vec![(Mark(9), keep(2))]).is_err());
        drop(store);
        disk.restart();
        let told = found(&open(&disk).1).expect("a kill is no damage");
        disk.lose_power();
        disk.restart();
        assert_eq!(found(&open(&disk).1), Ok(told), "seed {seed}: it has spoken by that");
    }
}

#[test]
fn on_a_full_disk_a_node_votes_all_the_same() {
    let disk = SimDisk::new(1);
    let mut store = filled(&disk, 3);
    disk.set_room(Some(disk.used()));
    run(&mut store, vec![keep(1)]);
    run(&mut store, vec![keep(2)]);
    drop(store);
    disk.lose_power();
    disk.restart();
    assert_eq!(found(&open(&disk).1), Ok(2));
}

#[test]
fn a_directory_of_before_has_no_such_file_and_gets_one() {
    let disk = SimDisk::new(1);
    drop(filled(&disk, 1));
    disk.remove(ELECTION).unwrap();
    disk.sync(&[], &[""]).unwrap();
    let (mut store, recovered) = open(&disk);
    assert_eq!(found(&recovered), Ok(0));
    run(&mut store, vec![keep(1)]);
    drop(store);
    disk.lose_power();
    disk.restart();
    assert_eq!(found(&open(&disk).1), Ok(1));
}

#[test]
fn damage_to_one_place_leaves_the_other_and_damage_to_both_is_named() {
    let disk = SimDisk::new(1);
    let mut store = filled(&disk, 1);
    run(&mut store, vec![keep(1)]);
    run(&mut store, vec![keep(2)]);
    drop(store);
    disk.restart();
    disk.flip(ELECTION, 30, 1);
    assert_eq!(found(&open(&disk).1), Ok(1), "the first place has the second state");
    disk.flip(ELECTION, 4096 + 30, 1);
    let why = found(&open(&disk).1).unwrap_err();
    assert!(why.contains("quorum-state is damaged in both"), "{why}");
}
