//! Snapshots in the small world: who keeps them, trims its log behind them, and goes on from another's. And stories about them.

use super::node::{Snapshot, Write};
use super::world::World;
use crate::ids::{BrokerId, LeaderEpoch, Offset};
use crate::quorum::messages::{Answer, Body, Message, Piece, Tip};
use crate::quorum::{Role, ServingPiece};
use crate::record::batch::crc32c;

/// Bytes in one piece.
const PIECE: usize = 100;

impl World {
    /// A node keeps a snapshot of what it knows to be committed, and trims its log behind the one before, or behind this one.
    pub(super) fn keep_snapshot(&mut self, id: i32) {
        let Some(process) = &self.nodes[id as usize - 1].process else { return };
        let high = process.log.high();
        let newest = process.snapshot.as_ref().map_or(Offset(0), |s| s.of.end);
        if high <= newest || process.on_its_way.is_some() {
            return;
        }
        let mut facts = process.facts();
        facts.truncate(high.0 as usize);
        let epoch = LeaderEpoch(facts.last().expect("not empty").0);
        self.store_snapshot(id, Snapshot { of: Tip { epoch, end: high }, facts }, false);
    }

    fn store_snapshot(&mut self, id: i32, snapshot: Snapshot, fetched: bool) {
        let due = self.due(id);
        let process = self.running(id);
        process.on_its_way = Some((snapshot.clone(), fetched));
        process.store(due, Write::Snapshot(snapshot));
    }

    /// A disk has a snapshot.
    pub(super) fn snapshot_stored(&mut self, id: i32) {
        let tight = self.draw(2) == 0;
        let process = self.running(id);
        let Some((snapshot, fetched)) = process.on_its_way.take() else { return };
        let of = snapshot.of;
        if fetched {
            process.taken = Some(snapshot);
            self.step(id, |quorum, now, log, out| quorum.snapshot_kept(now, of, true, log, out));
            self.running(id).taken = None;
            return;
        }
        process.quorum.set_snapshot(of);
        let before = process.snapshot.replace(snapshot);
        let to = if tight { Some(of) } else { before.map(|before| before.of) };
        let Some(to) = to.filter(|to| process.log.raise_start(to.end)) else { return };
        let due = self.due(id);
        self.running(id).store(due, Write::Trim(to.end));
        self.trims += 1;
    }

    pub(super) fn serve_piece(&mut self, id: i32, serving: ServingPiece) {
        let Some(newest) = &self.running(id).snapshot else { return };
        let (of, whole) = (newest.of, newest.encode());
        let from = serving.from as usize;
        let answer = if of == serving.of && from < whole.len() {
            let bytes = whole[from..whole.len().min(from + PIECE)].to_vec();
            Answer::Piece(Piece {
                of,
                from: serving.from,
                whole: whole.len() as u64,
                crc: crc32c(&whole),
                bytes,
            })
        } else {
            self.replaced += 1;
            Answer::Snapshot(of)
        };
        let body = Body::Answer(answer);
        let message = Message { correlation: serving.correlation, epoch: serving.epoch, body };
        self.check_message(id, &message);
        self.send(BrokerId(id), serving.to, message);
    }

    pub(super) fn keep_fetched(&mut self, id: i32, of: Tip, bytes: &[u8]) {
        if self.running(id).on_its_way.is_some() {
            return self.step(id, |quorum, now, log, out| quorum.snapshot_kept(now, of, false, log, out));
        }
        self.store_snapshot(id, Snapshot::decode(of, bytes), true);
    }

    /// A node's log begins anew behind another's snapshot, which its disk has, and which holds only what is committed.
    pub(super) fn begin_at(&mut self, id: i32, of: Tip) {
        let due = self.due(id);
        let node = self.node(id);
        let kept = node.disk.snapshot.as_ref().map(|s| s.of.end);
        let process = node.process.as_mut().expect("it runs");
        let from = process.log.end();
        let snapshot = process.taken.take().expect("it was handed over");
        assert_eq!(snapshot.of, of);
        let facts = snapshot.facts.clone();
        process.snapshot = Some(snapshot);
        process.log.restart(of.end, Some(of.epoch), &mut process.space);
        process.store(due, Write::Restart(of));
        process.quorum.set_snapshot(of);
        self.tell(format!("{id} begins its log anew at {}: it ended at {from}", of.end));
        assert!(kept >= Some(of.end), "its disk could forget the snapshot\n{}", self.story.join("\n"));
        let known = self.committed.get(..facts.len());
        assert_eq!(known, Some(&facts[..]), "{id} takes over other records\n{}", self.story.join("\n"));
        self.caught_up += 1;
    }
}

/// A leader of three that has trimmed its log while another was away, and the one that was away.
fn behind(seed: u64) -> (World, i32, i32) {
    let mut world = World::new(3, 0, seed);
    // Until the story begins nothing takes longer than it should.
    let late = std::mem::take(&mut world.late);
    world.run(8_000);
    let leader = world.leader().expect("a leader");
    let away = (1..=3).find(|id| *id != leader).expect("another");
    world.propose(leader);
    world.run(1_000);
    world.crash(away);
    for _ in 0..3 {
        (0..20).for_each(|_| world.propose(leader));
        world.run(500);
        world.keep_snapshot(leader);
        world.run(500);
    }
    assert!(world.process(leader).log.start() > Offset(20));
    world.late = late;
    (world, leader, away)
}

/// Lets time pass until it holds, or for long enough.
fn until(world: &mut World, holds: impl Fn(&World) -> bool) -> bool {
    (0..8_000).any(|_| {
        world.run(1);
        holds(world)
    })
}

fn gathers(world: &World, id: i32) -> bool {
    matches!(&world.process(id).quorum.role, Role::Following(following) if following.gathering.is_some())
}

#[test]
fn who_was_away_while_the_leader_trimmed_its_log_goes_on_from_its_snapshot() {
    for seed in 0..10 {
        let (mut world, leader, away) = behind(seed);
        world.start(away);
        world.run(3_000);
        let (mine, theirs) = (&world.process(away).log, &world.process(leader).log);
        assert_eq!((mine.end(), mine.high(), mine.flushed()), (theirs.end(), theirs.high(), theirs.end()));
        assert_eq!(world.caught_up, 1);
        assert_eq!(world.process(away).facts(), world.process(leader).facts());
    }
}

#[test]
fn who_has_an_empty_disk_goes_on_from_the_leaders_snapshot() {
    let (mut world, leader, away) = behind(11);
    world.wipe(away);
    world.start(away);
    world.run(3_000);
    assert_eq!(world.process(away).facts(), world.process(leader).facts());
    assert_eq!(world.caught_up, 1);
}

#[test]
fn a_snapshot_that_is_replaced_while_it_is_fetched_is_begun_anew() {
    let mut replaced = 0;
    for seed in 0..10 {
        let (mut world, leader, away) = behind(seed);
        world.start(away);
        assert!(until(&mut world, |world| gathers(world, away)));
        // So many pieces that the next one may be kept in the midst of it.
        for _ in 0..3 {
            (0..5).for_each(|_| world.propose(leader));
            world.run(3);
            world.keep_snapshot(leader);
        }
        world.run(3_000);
        replaced += world.replaced;
        assert_eq!(world.process(away).facts(), world.process(leader).facts());
    }
    assert!(replaced > 0);
}

#[test]
fn a_new_leader_in_the_midst_of_it_is_asked_from_the_beginning() {
    let (mut world, leader, away) = behind(13);
    let third = (1..=3).find(|id| ![leader, away].contains(id)).expect("the third");
    world.keep_snapshot(third);
    world.start(away);
    assert!(until(&mut world, |world| gathers(world, away)));
    world.crash(leader);
    world.run(8_000);
    assert_eq!(world.leader(), Some(third), "the other one lacks what is committed");
    assert_eq!(world.process(away).facts(), world.process(third).facts());
    assert_eq!(world.process(away).log.end(), world.process(away).log.high());
}

#[test]
fn a_crash_between_the_snapshot_and_the_new_log_begins_behind_the_snapshot() {
    let mut between = 0;
    for seed in 0..60 {
        let (mut world, leader, away) = behind(seed);
        world.node(away).slow_us = 40_000;
        world.start(away);
        between += u32::from(until(&mut world, |world| {
            let disk = &world.nodes[away as usize - 1].disk;
            disk.snapshot.as_ref().is_some_and(|s| s.of.end.0 > disk.tail.end())
        }));
        world.crash(away);
        world.start(away);
        world.run(5_000);
        assert_eq!(world.process(away).facts(), world.process(leader).facts(), "seed {seed}");
    }
    assert!(between > 30, "only {between} crashes in between");
}
