//! Brokers that keep one metadata log: what one of them decides is known to all, whoever dies.

use std::collections::BTreeSet;

use super::{Rig, recovered};
use crate::broker::door::Input;
use crate::broker::turn::Turn;
use crate::cluster::facts::Fact;
use crate::ids::{BrokerId, LeaderEpoch, LogId};
use crate::peer::frame;
use crate::peer::message::PeerMessage;
use crate::record::Batch;
use crate::time::Instant;

const VOTERS: &str = "1@a:9192,2@b:9192,3@c:9192";

/// Three brokers and what is between them. Everything they say goes through frames.
struct Trio {
    rigs: Vec<Rig>,
    down: BTreeSet<usize>,
    now: Instant,
}

fn start(at: usize, before: Option<Rig>) -> Rig {
    let id = (at + 1).to_string();
    let (disk, election) = before.map_or_else(Default::default, |rig| (rig.disk, rig.election));
    let logs = disk.iter().map(|(log, batches)| recovered(*log, batches)).collect();
    let settings = [("node.id", id.as_str()), ("quipu.voters", VOTERS)];
    let mut rig = Rig::over_kept(&settings, logs, Ok(election.clone()));
    (rig.disk, rig.election) = (disk, election);
    rig
}

/// A message as it comes out at the other end.
fn over_the_wire(message: &PeerMessage) -> PeerMessage {
    let whole = frame::encode(message).expect("it has a frame").concat();
    frame::decode(bytes::Bytes::from(whole).slice(frame::PREFIX_BYTES..)).expect("it reads back")
}

impl Trio {
    fn new() -> Trio {
        let mut trio = Trio { rigs: Vec::new(), down: BTreeSet::new(), now: Instant(1_000_000) };
        for at in 0..3 {
            trio.rigs.push(start(at, None));
            trio.rigs[at].wake();
        }
        trio.run(8_000);
        trio
    }

    /// Lets that much time pass.
    fn run(&mut self, ms: i64) {
        let until = self.now.after_ms(ms);
        for _ in 0..100_000 {
            if self.deliver() {
                continue;
            }
            let due = |at: &usize| self.rigs[*at].broker.next_wake();
            let next = self.up().iter().filter_map(due).min().filter(|at| *at <= until);
            let Some(next) = next else {
                self.now = until;
                return;
            };
            self.now = self.now.max(next);
            for at in self.up() {
                self.rigs[at].now.mono = self.now;
                if self.rigs[at].broker.next_wake().is_some_and(|due| due <= self.now) {
                    self.rigs[at].wake();
                }
            }
        }
        panic!("it goes in circles");
    }

    /// Delivers what is under way; whether anything was.
    fn deliver(&mut self) -> bool {
        let mut any = false;
        for at in 0..3 {
            for (to, message) in std::mem::take(&mut self.rigs[at].sent) {
                any = true;
                let to = to.0 as usize - 1;
                if !self.down.contains(&to) && !self.down.contains(&at) {
                    let from = BrokerId(at as i32 + 1);
                    self.rigs[to].now.mono = self.now;
                    self.rigs[to].step(Input::Peer { from, message: over_the_wire(&message) });
                }
            }
        }
        any
    }

    fn up(&self) -> Vec<usize> {
        (0..3).filter(|at| !self.down.contains(at)).collect()
    }

    fn leader(&self) -> usize {
        let leads = |at: &usize| self.rigs[*at].broker.quorum.as_ref().is_some_and(|q| q.is_leader());
        let leaders: Vec<usize> = self.up().into_iter().filter(leads).collect();
        assert_eq!(leaders.len(), 1, "one of them leads");
        leaders[0]
    }

    fn others(&self) -> Vec<usize> {
        let leader = self.leader();
        (0..3).filter(|at| *at != leader).collect()
    }

    /// The leader decides that producer ids below this one are given out.
    fn decide(&mut self, next: i64) {
        let leader = self.leader();
        let rig = &mut self.rigs[leader];
        let mut out = Vec::new();
        let turn = &mut Turn { now: rig.now, out: &mut out };
        rig.broker.decide(turn, vec![Fact::ProducerIdsAllocated { next }]);
        rig.broker.settle(turn);
        out.into_iter().for_each(|effect| rig.effect(effect));
        if rig.prompt {
            rig.complete(&[]);
        }
    }

    fn known(&self) -> Vec<i64> {
        self.rigs.iter().map(|rig| rig.broker.controller.image().next_producer_id()).collect()
    }

    fn crash(&mut self, at: usize) {
        self.down.insert(at);
        self.rigs[at].sent.clear();
    }

    fn restart(&mut self, at: usize) {
        self.down.remove(&at);
        let before = std::mem::replace(&mut self.rigs[at], start(at, None));
        self.rigs[at] = start(at, Some(before));
        self.rigs[at].now.mono = self.now;
        self.rigs[at].wake();
    }
}

#[test]
fn what_the_leader_decides_is_known_to_all_and_so_is_who_the_voters_are() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    assert_eq!(trio.known(), [10, 10, 10]);
    let images: Vec<_> = trio.rigs.iter().map(|rig| rig.broker.controller.image()).collect();
    assert_eq!(images[0].voters().len(), 3);
    assert_eq!(images[0].encode(), images[1].encode());
    assert_eq!(images[0].encode(), images[2].encode());
    let leader = BrokerId(trio.leader() as i32 + 1);
    assert_eq!(images[0].metadata_leader().map(|(id, _)| id), Some(leader));
}

#[test]
fn a_dead_leader_is_followed_by_another_that_has_all_that_was_committed_and_what_was_not_is_cut() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    let first = trio.leader();
    let others = trio.others();
    // It writes one more fact that nobody hears of.
    trio.decide(99);
    trio.crash(first);
    trio.run(8_000);
    let second = trio.leader();
    assert!(others.contains(&second));
    trio.decide(20);
    trio.restart(first);
    assert_eq!(trio.rigs[first].disk[&LogId::METADATA].len(), 3, "its last one is still there");
    trio.run(5_000);
    assert_eq!(trio.known(), [20, 20, 20]);
    let log = |trio: &Trio, at: usize| {
        let batches = trio.rigs[at].disk[&LogId::METADATA].iter();
        batches.map(|batch| batch.to_bytes()).collect::<Vec<_>>()
    };
    assert_eq!(log(&trio, first), log(&trio, second), "on disk as well");
}

#[test]
fn nothing_is_committed_before_a_majority_has_it_on_disk() {
    let mut trio = Trio::new();
    for at in trio.others() {
        trio.rigs[at].prompt = false;
    }
    trio.decide(10);
    trio.run(300);
    assert_eq!(trio.known(), [0, 0, 0], "all have it, but only one of them on disk");
    let one = trio.others()[0];
    trio.rigs[one].complete(&[]);
    trio.run(300);
    let leader = trio.leader();
    assert_eq!(trio.known()[leader], 10);
}

#[test]
fn a_fact_that_finds_no_room_on_the_leaders_disk_is_never_known_and_a_later_epoch_begins() {
    let mut trio = Trio::new();
    let first = trio.leader();
    let epoch = |trio: &Trio| trio.rigs[trio.leader()].broker.quorum.as_ref().map(|q| q.epoch());
    let before = epoch(&trio);
    trio.others().into_iter().for_each(|at| trio.rigs[at].prompt = false);
    trio.rigs[first].prompt = false;
    trio.decide(10);
    trio.rigs[first].complete(&[LogId::METADATA]);
    for rig in &mut trio.rigs {
        rig.prompt = true;
        rig.complete(&[]);
    }
    trio.run(8_000);
    assert_eq!(trio.known(), [0, 0, 0]);
    assert!(epoch(&trio) > before);
}

#[test]
fn a_node_whose_metadata_has_another_leader_epoch_than_it_was_written_in_does_not_take_part() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    let log = |trio: &Trio, at: usize| trio.rigs[at].disk[&LogId::METADATA].clone();
    let (before, damaged) = (log(&trio, 0), trio.others()[0]);
    trio.crash(damaged);
    let batch = &mut trio.rigs[damaged].disk.get_mut(&LogId::METADATA).unwrap()[1];
    batch.stamp(batch.header().base_offset, LeaderEpoch(1 << 25));
    trio.restart(damaged);
    trio.run(8_000);
    assert!(
        trio.rigs[damaged].broker.status().dead.is_some_and(|why| why.contains("leader epoch is 33554432"))
    );
    let bytes = |log: Vec<Batch>| log.iter().map(Batch::to_bytes).collect::<Vec<_>>();
    let intact = (0..3).find(|at| *at != damaged && *at != 0).unwrap_or(0);
    assert_eq!(bytes(log(&trio, intact)), bytes(before));
    trio.crash(damaged);
    trio.decide(20);
    trio.run(3_000);
    assert_eq!(trio.known()[trio.leader()], 20, "the others go on");
}

#[test]
fn after_all_were_down_everything_committed_is_there_again() {
    let mut trio = Trio::new();
    trio.decide(10);
    trio.run(3_000);
    (0..3).for_each(|at| trio.crash(at));
    (0..3).for_each(|at| trio.restart(at));
    trio.run(8_000);
    assert_eq!(trio.known(), [10, 10, 10]);
    trio.decide(20);
    trio.run(3_000);
    assert_eq!(trio.known(), [20, 20, 20]);
}
