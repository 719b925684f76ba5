//! Disks that fail and rot, and what the storage makes of it.

use quipu_core::disk::Disk;

use quipu_core::ids::ProducerId;

use super::*;

#[test]
fn a_failed_sync_kills_the_directory_for_ever() {
    let disk = SimDisk::new(1);
    let mut store = filled(&disk, 3);
    disk.fail_next_sync();
    let why = store.run(&mut vec![(Mark(2), append(3, 100))]).expect_err("nothing may be acknowledged");
    for _ in 0..3 {
        let again = store.run(&mut vec![(Mark(3), StoreOp::Checkpoint { clean: true })]);
        assert_eq!(again, Err(why.clone()), "though the disk would say Ok now");
    }
    drop(store);
    disk.lose_power();
    let (_, found) = open(&disk);
    assert!(!found.clean && found.logs[0].end.0 >= 3 && found.logs[0].damage.is_none());
}

#[test]
fn an_io_error_at_any_operation_kills_the_directory() {
    for n in 0..6 {
        let disk = SimDisk::new(n);
        let mut store = filled(&disk, 3);
        disk.fail_after(n);
        let mut round = vec![(Mark(1), append(3, 100)), (Mark(2), StoreOp::Checkpoint { clean: false })];
        assert!(store.run(&mut round).is_err(), "operation {n}");
        assert!(store.run(&mut vec![(Mark(3), append(3, 100))]).is_err());
    }
}

#[test]
fn a_cut_inside_a_batch_cuts_nothing_and_takes_the_log_out_of_use() {
    let disk = SimDisk::new(4);
    let mut store = filled(&disk, 3);
    let three = StoreOp::Append { log: LOG, batches: vec![batch(3, &[3, 4, 5], 100)], roll: false };
    run(&mut store, vec![three, StoreOp::Checkpoint { clean: false }]);
    let stored = run(&mut store, vec![StoreOp::Truncate { log: LOG, to: Offset(4) }]);
    let failure = &stored.failed[0];
    assert!(!failure.full && failure.message.contains("inside a batch that ends at 6"), "{failure:?}");
    drop(store);
    disk.lose_power();
    let (store, found) = open(&disk);
    assert_eq!((found.logs[0].end, &found.logs[0].damage), (Offset(6), &None));
    assert_eq!(store.reader().batches(all(0, 6)).expect("all of it").len(), 4);
}

#[test]
fn a_start_that_cannot_read_its_disk_fails_and_says_nothing_of_the_logs() {
    let (mut failed, mut started) = (0, 0);
    for seed in 0..300 {
        let disk = SimDisk::new(seed);
        let mut store = filled(&disk, 6);
        run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
        for at in 6..9 {
            // The segment that the recovery point has last is sealed since.
            run(
                &mut store,
                vec![StoreOp::Append { log: LOG, batches: vec![batch(at, &[at], 100)], roll: true }],
            );
        }
        drop(store);
        disk.lose_power();
        disk.fail_reads(1 + seed % 12);
        match try_open(&disk, |_| {}) {
            Err(why) => {
                assert!(why.contains("read"), "{why}");
                failed += 1;
            }
            Ok((_, found)) => {
                assert_eq!((found.logs[0].end, &found.logs[0].damage), (Offset(9), &None), "seed {seed}");
                started += 1;
            }
        }
        disk.fail_reads(0);
        disk.restart();
        let (_, found) = open(&disk);
        assert_eq!((found.logs[0].end, &found.logs[0].damage), (Offset(9), &None), "seed {seed}");
    }
    assert!(failed > 20 && started > 20, "{failed} {started}");
}

#[test]
fn a_flipped_bit_below_the_recovery_point_is_never_served_and_never_cut_away() {
    let disk = SimDisk::new(4);
    let mut store = filled(&disk, 10);
    run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
    // Nothing was appended since the first: the second finds the file longer than its batches, and cuts it to them.
    run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
    let good = disk.contents(FIRST).expect("there");
    let size = good.len() as u64 / 10;
    let mut rng = Rng::new(4);
    for _ in 0..200 {
        let (at, bit) = (rng.below(good.len() as u64), rng.below(8) as u8);
        disk.flip(FIRST, at, bit);
        let hit = (at / size) as i64;
        // Nothing vouches for the leader epoch (bytes 12 to 15): it is outside the batch's CRC, as in Kafka.
        let unseen = (12..16).contains(&(at % size));
        let (store, found) = open(&disk);
        let whole = disk.contents(FIRST).expect("there");
        assert_eq!(whole.len(), good.len(), "never cut");
        match &found.logs[0].damage {
            Some(why) => assert!(hit == 9 && why.contains(FIRST) && why.contains("offset 9"), "{why}"),
            None if unseen => {}
            None => {
                let before = store.reader().batches(all(0, hit)).expect("what is before is good");
                assert_eq!(before.len() as i64, hit);
                match store.reader().read(all(hit, 10)) {
                    Err(ReadError::Damaged(why)) => {
                        assert!(why.contains(FIRST) && why.contains(&format!("offset {hit}")), "{why}");
                    }
                    other => panic!("byte {at} bit {bit}: {other:?}"),
                }
            }
        }
        drop(store);
        disk.flip(FIRST, at, bit);
    }
}

#[test]
fn a_segment_that_is_missing_or_short_below_the_recovery_point_takes_the_log_offline_every_time() {
    let disk = SimDisk::new(5);
    let mut store = filled(&disk, 5);
    run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
    drop(store);
    use quipu_core::disk::Disk;
    let file = disk.open(FIRST).expect("there");
    disk.set_len(&file, 150).expect("cut");
    for _ in 0..2 {
        let (mut store, found) = open(&disk);
        let why = found.logs[0].damage.clone().expect("damage");
        assert!(why.contains("byte 150") && why.contains("offset 0"), "{why}");
        assert!(matches!(store.reader().read(all(0, 1)), Err(ReadError::Damaged(_))));
        assert!(!run(&mut store, vec![append(5, 10)]).failed[0].full);
        assert_eq!(disk.contents(FIRST).expect("there").len(), 150);
    }
    disk.remove(FIRST).expect("removed");
    let (mut store, found) = open(&disk);
    assert!(found.logs[0].damage.clone().expect("damage").contains("is missing"));
    run(&mut store, vec![StoreOp::Remove { log: LOG }, StoreOp::Checkpoint { clean: true }]);
    let (_, found) = open(&disk);
    assert!(found.logs.is_empty() && found.clean, "what is removed is not missed");
}

#[test]
fn without_a_good_recovery_point_nothing_starts_but_a_rescan() {
    let disk = SimDisk::new(6);
    drop(filled(&disk, 5));
    disk.flip("recovery-point", 21, 1);
    let why = try_open(&disk, |_| {}).err().expect("refused");
    assert!(why.contains("recovery-point cannot be used") && why.contains("rescan"), "{why}");
    let (store, found) = try_open(&disk, |o| o.rescan = true).expect("a rescan");
    assert_eq!(found.logs[0].end, Offset(5));
    drop(store);
    open(&disk);
}

#[test]
fn a_removed_log_is_gone_and_one_made_anew_is_empty_whatever_the_crash() {
    for seed in 0..60 {
        let disk = SimDisk::new(seed);
        let mut store = filled(&disk, 5);
        run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
        let reader = store.reader();
        disk.crash_after(seed % 12);
        let mut round = vec![(Mark(1), StoreOp::Remove { log: LOG })];
        let removed = store.run(&mut round).is_ok();
        let again = removed && store.run(&mut vec![(Mark(2), create(LOG))]).is_ok();
        if again {
            assert!(reader.batches(all(0, 1)).expect("an empty log").is_empty());
        }
        let grown = again && store.run(&mut vec![(Mark(3), append(0, 7))]).is_ok();
        drop(store);
        disk.lose_power();
        let (store, found) = open(&disk);
        let end = found.logs.first().map_or(0, |l| l.end.0);
        assert!(found.logs.iter().all(|l| l.damage.is_none()), "seed {seed}: {found:?}");
        match (removed, again, grown) {
            (false, _, _) => assert!(end == 5 || end == 0, "seed {seed}: {end}"),
            (true, _, true) => assert_eq!(end, 1, "seed {seed}"),
            (true, _, false) => assert!(end <= 1, "seed {seed}: {end}"),
        }
        if end == 1 {
            let got = store.reader().batches(all(0, 1)).expect("good");
            assert_eq!(got[0].to_bytes(), batch(0, &[0], 7).to_bytes(), "not its predecessor's");
        }
        assert!(disk.paths().keys().all(|p| !p.contains(".deleted")), "{:?}", disk.paths());
    }
}

#[test]
fn a_log_is_nothing_on_disk_before_its_first_batch_and_all_of_it_after() {
    let disk = SimDisk::new(8);
    let mut store = filled(&disk, 0);
    run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
    assert!(disk.paths().keys().all(|p| !p.contains('/')), "{:?}", disk.paths());
    assert!(store.reader().batches(all(0, 1)).expect("an empty log").is_empty());
    assert_eq!(store.reader().look(LOG, Lookup::MaxTimestamp, Offset(0)), Ok(None));
    disk.set_room(Some(disk.used()));
    assert!(run(&mut store, vec![append(0, 100)]).failed[0].full);
    disk.set_room(None);
    assert!(run(&mut store, vec![append(0, 100)]).failed[0].full, "not before it is cut back");
    assert!(run(&mut store, vec![StoreOp::Truncate { log: LOG, to: Offset(0) }]).failed.is_empty());
    assert!(run(&mut store, vec![append(0, 100)]).failed.is_empty());
    disk.lose_power();
    let (store, found) = open(&disk);
    assert_eq!((found.logs[0].end, &found.logs[0].damage), (Offset(1), &None));
    assert_eq!(store.reader().batches(all(0, 1)).expect("good").len(), 1);
}

#[test]
fn many_logs_are_kept_within_few_open_files() {
    let disk = SimDisk::new(7);
    let (mut store, _) = open(&disk);
    let logs: Vec<LogId> = (0..100).map(|partition| LogId { partition, ..LOG }).collect();
    for log in &logs {
        run(&mut store, vec![create(*log)]);
        let append = StoreOp::Append { log: *log, batches: vec![batch(0, &[1], 10)], roll: false };
        run(&mut store, vec![append]);
    }
    for log in &logs {
        store.reader().read(LogRange { log: *log, ..all(0, 1) }).expect("good");
    }
    let (open_now, most) = disk.open_files();
    // One of them is what is kept of elections.
    assert!(open_now <= 8 + 1 && most <= 12 + 1, "{open_now} {most}");
    run(&mut store, vec![StoreOp::Checkpoint { clean: true }]);
    drop(store);
    let (_store, found) = open(&disk);
    assert_eq!((found.logs.len(), disk.open_files().0), (100, 1), "an orderly start opens no segment");
}

/// Every record of a log.
fn records(batches: &[Batch]) -> Vec<(i64, i64)> {
    let open = |b: &Batch| Records::read_all(b, 1 << 20).expect("good");
    batches.iter().flat_map(open).map(|r| (r.offset.0, r.timestamp.0)).collect()
}

#[test]
fn reads_and_lookups_answer_as_a_plain_list_would() {
    for seed in 0..15 {
        let (disk, mut rng) = (SimDisk::new(seed), Rng::new(seed));
        let (mut store, _) = open(&disk);
        run(&mut store, vec![create(LOG)]);
        let mut batches: Vec<Batch> = Vec::new();
        let mut end = 0;
        for i in 0..60 {
            let times: Vec<i64> = (0..1 + rng.below(4)).map(|_| rng.below(50) as i64 + i / 3).collect();
            let one = batch(end, &times, rng.below(200) as usize);
            end += times.len() as i64;
            batches.push(one.clone());
            run(&mut store, vec![StoreOp::Append { log: LOG, batches: vec![one], roll: rng.percent(10) }]);
        }
        let start = rng.below(end as u64 / 2) as i64;
        run(&mut store, vec![StoreOp::Trim { log: LOG, start: Offset(start) }]);
        compare(&store, &batches, start, &mut rng);
        run(&mut store, vec![StoreOp::Checkpoint { clean: rng.percent(50) }]);
        drop(store);
        for path in disk.paths().keys().filter(|p| p.ends_with("index")) {
            let bytes = disk.contents(path).map_or(0, |c| c.len() as u64);
            if bytes > 0 && rng.percent(40) {
                disk.flip(path, rng.below(bytes), 2);
            }
        }
        let (store, _) = open(&disk);
        compare(&store, &batches, start, &mut rng);
    }
}

fn compare(store: &Store<SimDisk>, batches: &[Batch], start: i64, rng: &mut Rng) {
    let reader = store.reader();
    let list = records(batches);
    for _ in 0..60 {
        let upto = 1 + rng.below(batches.len() as u64) as usize;
        let below = batches[upto - 1].header().next_offset().0;
        if below <= start {
            continue;
        }
        let seen = || list.iter().copied().filter(move |(o, _)| *o >= start && *o < below);
        let answer = |what| reader.look(LOG, what, Offset(below)).expect("good").map(plain);
        let time = rng.below(80) as i64;
        assert_eq!(answer(Lookup::AtOrAfter(Timestamp(time))), seen().find(|(_, t)| *t >= time));
        let largest = seen().map(|(_, t)| t).max();
        assert_eq!(answer(Lookup::MaxTimestamp), seen().find(|(_, t)| Some(*t) == largest));
        let from = start + rng.below((below - start) as u64) as i64;
        let budget = Cell::new(rng.below(3000) as usize);
        let range = LogRange { max_bytes: budget.get(), ..all(from, below) };
        let wanted = batches
            .iter()
            .filter(|b| b.header().last_offset().0 >= from && b.header().next_offset().0 <= below);
        let mut sum = 0;
        let wanted: Vec<Bytes> = wanted
            .take_while(|b| {
                let first = sum == 0;
                sum += b.size();
                first || sum <= budget.get()
            })
            .map(Batch::to_bytes)
            .collect();
        assert_eq!(reader.read(range).expect("good").concat(), wanted.concat(), "{from}..{below}");
    }
    assert!(matches!(reader.read(all(start - 1, start)), Err(ReadError::Gone(_))) || start == 0);
}

fn plain(found: Found) -> (i64, i64) {
    (found.offset.0, found.timestamp.0)
}

#[test]
fn what_a_failed_sync_left_in_the_cache_is_written_again_before_a_start_vouches_for_it() {
    for seed in 0..20 {
        let disk = SimDisk::new(seed);
        let mut store = filled(&disk, 3);
        disk.fail_next_sync();
        assert!(store.run(&mut vec![(Mark(9), append(3, 300))]).is_err());
        drop(store);
        // The process is killed and starts again: it finds the record, since the system still has its pages.
        disk.restart();
        let (store, found) = open(&disk);
        assert_eq!(found.logs[0].end, Offset(4));
        drop(store);
        disk.lose_power();
        let (_, found) = open(&disk);
        let (end, damage) = (found.logs[0].end, &found.logs[0].damage);
        assert_eq!(
            (end, damage),
            (Offset(4), &None),
            "seed {seed}: what a start has told of is there for good"
        );
    }
}

#[test]
fn a_file_reaches_ahead_of_small_batches_and_is_as_long_as_they_are_once_it_is_left_alone() {
    let batch_bytes = batch(0, &[0], 100).size();
    let length = |disk: &SimDisk| disk.contents(FIRST).expect("there").len();
    for leave in ["roll", "idle", "stop", "crash"] {
        let disk = SimDisk::new(9);
        let mut store = filled(&disk, 1);
        assert_eq!(length(&disk), batch_bytes, "a log with one record has no tail");
        run(&mut store, vec![append(1, 100)]);
        assert_eq!(length(&disk), 2 * batch_bytes + 1000);
        let checkpoint = |clean| StoreOp::Checkpoint { clean };
        match leave {
            "roll" => {
                let batches = vec![batch(2, &[2], 100)];
                drop(run(&mut store, vec![StoreOp::Append { log: LOG, batches, roll: true }]));
            }
            "idle" => {
                run(&mut store, vec![checkpoint(false)]);
                assert_eq!(
                    length(&disk),
                    2 * batch_bytes + 1000,
                    "it was written since the checkpoint before"
                );
                run(&mut store, vec![checkpoint(false)]);
            }
            "stop" => drop(run(&mut store, vec![checkpoint(true)])),
            _ => {}
        }
        disk.lose_power();
        let (_, found) = open(&disk);
        assert_eq!(length(&disk), 2 * batch_bytes, "after {leave}");
        assert!(found.logs[0].end.0 >= 2 && found.logs[0].damage.is_none(), "after {leave}");
    }
}

#[test]
fn a_file_that_is_gone_when_its_zeros_are_to_be_cut_off_takes_no_other_log_along() {
    let other = LogId { partition: 4, ..LOG };
    let disk = SimDisk::new(9);
    let (mut store, _) = try_open(&disk, |options| options.max_open_files = 1).expect("starts");
    run(&mut store, vec![create(LOG), create(other)]);
    let to_other =
        |at: i64| StoreOp::Append { log: other, batches: vec![batch(at, &[at], 100)], roll: false };
    (0..3).for_each(|at| drop(run(&mut store, vec![append(at, 100)])));
    // Only the file of the last log written to is open by now.
    (0..3).for_each(|at| drop(run(&mut store, vec![to_other(at)])));
    disk.remove(FIRST).expect("it was there");
    for _ in 0..2 {
        assert!(run(&mut store, vec![StoreOp::Checkpoint { clean: false }]).failed.is_empty());
    }
    assert!(run(&mut store, vec![to_other(3)]).failed.is_empty());
    assert!(store.reader().read(all(0, 3)).is_err(), "and who reads it is told");
}

#[test]
fn a_header_that_says_other_offsets_takes_the_log_offline_and_the_start_goes_on() {
    // Bits of the last offset delta of a batch that a producer sent: of its three records, or of one more than there are.
    for (byte, bit) in [(26, 1), (26, 4), (24, 0)] {
        let disk = SimDisk::new(1);
        let mut store = filled(&disk, 1);
        let mut builder = BatchBuilder::new().producer(ProducerId(7), 0, 0);
        (0..3).for_each(|at| builder.push(Timestamp(at), None, Some(b"v")));
        let mut batch = builder.build();
        batch.stamp(Offset(1), LeaderEpoch(0));
        run(&mut store, vec![StoreOp::Append { log: LOG, batches: vec![batch], roll: false }]);
        run(&mut store, vec![StoreOp::Checkpoint { clean: false }]);
        drop(store);
        disk.restart();
        disk.flip(FIRST, super::batch(0, &[0], 100).size() as u64 + byte, bit);
        let (_, found) = open(&disk);
        let damage = found.logs[0].damage.as_ref().expect("it is damaged");
        assert!(damage.contains(".log is damaged"), "{damage}");
    }
}
