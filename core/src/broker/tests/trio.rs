//! A few brokers, three as a rule, and what is between them: everything they say goes through frames.

use std::collections::BTreeSet;

use super::{Rig, recovered};
use crate::broker::Broker;
use crate::broker::door::Input;
use crate::broker::turn::Turn;
use crate::cluster::facts::Fact;
use crate::ids::{BrokerId, LogId};
use crate::peer::frame;
use crate::peer::message::PeerMessage;
use crate::storage::ops::RecoveredLog;
use crate::time::Instant;

/// Runs below this are the first of their brokers.
const FIRST_RESTART: u64 = 1_000;

/// A few brokers and what is between them. Everything they say goes through frames.
pub(super) struct Trio {
    pub(super) rigs: Vec<Rig>,
    /// How many of them, the first ones, vote.
    voters: usize,
    /// Who has been spoken to by whom since it started: it can answer, whether it knows an address or not.
    greeted: BTreeSet<(usize, usize)>,
    pub(super) down: BTreeSet<usize>,
    /// Brokers that run on, and that nobody hears nor reaches.
    pub(super) cut_off: BTreeSet<usize>,
    /// From whom to whom nothing comes that is about the metadata log.
    pub(super) uninformed: Option<(usize, usize)>,
    pub(super) now: Instant,
    runs: u64,
    settings: Vec<(&'static str, &'static str)>,
}

/// Where others reach a broker.
pub(super) fn address(id: usize) -> String {
    format!("host-{id}:9192")
}

fn start(
    at: usize,
    (voters, more): (usize, &[(&'static str, &'static str)]),
    before: Option<Rig>,
    run: u64,
) -> Rig {
    let (id, own) = ((at + 1).to_string(), address(at + 1));
    let all: Vec<String> = (1..=voters).map(|id| format!("{id}@{}", address(id))).collect();
    // A disk that is empty gets a new directory.
    let new = if run < FIRST_RESTART { [at as u8 + 1; 16] } else { u128::from(run).to_le_bytes() };
    let directory = before.as_ref().map_or(new, |rig| rig.broker.identity.directory_id);
    let starts = before.as_ref().map_or_else(Default::default, |rig| rig.starts.clone());
    let (disk, election, snapshot, metadata_start) = before
        .map_or_else(Default::default, |rig| (rig.disk, rig.election, rig.snapshot, rig.metadata_start));
    let mut logs: Vec<RecoveredLog> = disk.iter().map(|(log, all)| recovered(*log, all)).collect();
    for log in &mut logs {
        log.start = log.start.max(starts.get(&log.log).copied().unwrap_or_default());
    }
    for log in logs.iter_mut().filter(|log| log.log == LogId::METADATA) {
        let left = disk[&LogId::METADATA].iter().filter(|b| b.header().base_offset >= metadata_start);
        *log = recovered(LogId::METADATA, &left.cloned().collect::<Vec<_>>());
        (log.start, log.end) = (metadata_start, log.end.max(metadata_start));
        log.segments[0].base = metadata_start;
        log.snapshot = snapshot.clone();
    }
    let all = all.join(",");
    let more: Vec<(&str, String)> =
        more.iter().map(|(name, value)| (*name, value.replace("{id}", &id))).collect();
    let mut settings = vec![("node.id", id.as_str()), ("quipu.voters", &all), ("quipu.peer.listen", &own)];
    settings.extend(more.iter().map(|(name, value)| (*name, value.as_str())));
    let mut rig = Rig::in_directory(&settings, logs, (Ok(election.clone()), run), directory);
    rig.addresses = (1..=voters).map(|id| (BrokerId(id as i32), address(id))).collect();
    (rig.disk, rig.election) = (disk, election);
    (rig.trimmed, rig.starts) = (starts.clone(), starts);
    (rig.snapshot, rig.metadata_start) = (snapshot, metadata_start);
    rig
}

/// A message as it comes out at the other end.
fn over_the_wire(message: &PeerMessage) -> PeerMessage {
    let whole = frame::encode(message).expect("it has a frame").concat();
    frame::decode(bytes::Bytes::from(whole).slice(frame::PREFIX_BYTES..)).expect("it reads back")
}

impl Trio {
    pub(super) fn new() -> Trio {
        Trio::with(&[])
    }

    /// Three brokers that have these settings in common; `{id}` in a value is each one's own.
    pub(super) fn with(settings: &[(&'static str, &'static str)]) -> Trio {
        let mut trio = Trio { settings: settings.to_vec(), ..Trio::of(3) };
        (0..3).for_each(|at| trio.add(at));
        trio.run(8_000);
        trio
    }

    /// Nobody yet, and so many of those who come are to vote.
    pub(super) fn of(voters: usize) -> Trio {
        Trio {
            settings: Vec::new(),
            rigs: Vec::new(),
            voters,
            greeted: BTreeSet::new(),
            down: BTreeSet::new(),
            cut_off: BTreeSet::new(),
            uninformed: None,
            now: Instant(1_000_000),
            runs: 0,
        }
    }

    /// The next broker comes, with an empty disk.
    pub(super) fn add(&mut self, at: usize) {
        assert_eq!(at, self.rigs.len(), "one after the other");
        self.rigs.push(start(at, (self.voters, &self.settings), None, 42 + at as u64));
        self.rigs[at].now.mono = self.now;
        self.rigs[at].wake();
    }

    /// Lets that much time pass.
    pub(super) fn run(&mut self, ms: i64) {
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
        for at in 0..self.rigs.len() {
            for (to, message) in std::mem::take(&mut self.rigs[at].sent) {
                any = true;
                let silent = |id: &usize| self.down.contains(id) || self.cut_off.contains(id);
                let knows = self.rigs[at].addresses.get(&to) == Some(&address(to.0 as usize));
                let to = to.0 as usize - 1;
                let is_lost = self.uninformed == Some((at, to)) && matches!(message, PeerMessage::Quorum(_));
                let reaches = knows || self.greeted.contains(&(at, to));
                if reaches && to < self.rigs.len() && !silent(&to) && !silent(&at) && !is_lost {
                    self.greeted.insert((to, at));
                    let from = BrokerId(at as i32 + 1);
                    self.rigs[to].now.mono = self.now;
                    self.rigs[to].step(Input::Peer { from, message: over_the_wire(&message) });
                }
            }
        }
        any
    }

    pub(super) fn up(&self) -> Vec<usize> {
        (0..self.rigs.len()).filter(|at| !self.down.contains(at)).collect()
    }

    pub(super) fn leader(&self) -> usize {
        let leads = |at: &usize| self.rigs[*at].broker.quorum.as_ref().is_some_and(|q| q.is_leader());
        let leaders: Vec<usize> = self.up().into_iter().filter(leads).collect();
        assert_eq!(leaders.len(), 1, "one of them leads");
        leaders[0]
    }

    pub(super) fn others(&self) -> Vec<usize> {
        let leader = self.leader();
        (0..self.rigs.len()).filter(|at| *at != leader).collect()
    }

    /// The leader decides that producer ids below this one are given out.
    pub(super) fn decide(&mut self, next: i64) {
        let leader = self.leader();
        self.act(leader, |broker, turn| {
            broker.decide(turn, vec![Fact::ProducerIdsAllocated { next }]);
        });
    }

    /// A broker keeps a snapshot of its metadata.
    pub(super) fn keep_snapshot(&mut self, at: usize) {
        self.act(at, Broker::keep_own_snapshot);
    }

    pub(super) fn act(&mut self, at: usize, act: impl FnOnce(&mut Broker, &mut Turn)) {
        let rig = &mut self.rigs[at];
        let mut out = Vec::new();
        let turn = &mut Turn { now: rig.now, out: &mut out };
        act(&mut rig.broker, turn);
        rig.broker.settle(turn);
        out.into_iter().for_each(|effect| rig.effect(effect));
        if rig.prompt {
            rig.complete(&[]);
        }
    }

    pub(super) fn known(&self) -> Vec<i64> {
        self.rigs.iter().map(|rig| rig.broker.controller.image().next_producer_id()).collect()
    }

    pub(super) fn crash(&mut self, at: usize) {
        self.down.insert(at);
        self.rigs[at].sent.clear();
    }

    pub(super) fn restart(&mut self, at: usize) {
        let before = std::mem::replace(&mut self.rigs[at], start(at, (self.voters, &[]), None, 0));
        self.restart_over(at, Some(before));
    }

    /// Starts a broker on what another run of it has left, or on an empty disk.
    pub(super) fn restart_over(&mut self, at: usize, before: Option<Rig>) {
        self.down.remove(&at);
        self.runs += 1;
        let run = FIRST_RESTART * self.runs + at as u64;
        self.greeted.retain(|(to, _)| *to != at);
        self.rigs[at] = start(at, (self.voters, &self.settings), before, run);
        self.rigs[at].now.mono = self.now;
        self.rigs[at].wake();
    }
}
