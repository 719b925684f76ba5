//! What checkers remember of the metadata log of several brokers: what was committed, whose disk has held it, who votes.

use std::collections::{BTreeMap, BTreeSet};

use quipu_core::cluster::facts::Fact;
use quipu_core::ids::{BrokerId, LogId};
use quipu_core::record::{Batch, Records};

use crate::batch::{self, Written};
use crate::disk::SimDisk;
use crate::ghost::{Ghost, GhostLog};
use crate::probe::sometimes;

/// The committed metadata, by the first who called it so.
#[derive(Debug, Default)]
pub struct Canon {
    /// Committed batches, in order.
    pub batches: Vec<Written>,
    /// In which epoch each of them was first called so.
    epochs: Vec<i32>,
    /// What every batch says that anybody has ever written.
    said: BTreeMap<Key, Vec<(i64, Fact)>>,
    held: BTreeMap<Key, Held>,
    /// By broker: up to which of its batches it is known whether its disk has them.
    looked: Vec<usize>,
    /// The voters, each with its directory.
    voters: BTreeMap<usize, [u8; 16]>,
    /// Who has ever been one: with an emptied disk it may not know yet that its vote is gone.
    ever_voters: BTreeSet<usize>,
    /// In which directory each broker runs.
    directories: Vec<Option<[u8; 16]>>,
    /// Which disks have forgotten what was on them, or may have, without being empty.
    pub forgot: Vec<bool>,
    /// Something committed is lost, which no undamaged majority had: from here on anything may follow.
    pub torn: bool,
}

/// A batch at its place.
type Key = (i64, i32, u64);

/// Whose disks have a batch: brokers, each with its directory.
#[derive(Clone, Debug, Default)]
struct Held {
    /// At some time.
    ever: BTreeSet<Disk>,
    /// And were not damaged since.
    now: BTreeSet<Disk>,
}

/// A broker and its directory: one that was emptied is another.
type Disk = (usize, [u8; 16]);

fn key(batch: &Written) -> Key {
    (batch.base, batch.epoch, batch.hash)
}

impl Canon {
    /// For so many brokers.
    pub fn new(servers: usize) -> Canon {
        let (looked, forgot) = (vec![0; servers], vec![false; servers]);
        Canon { looked, forgot, directories: vec![None; servers], ..Canon::default() }
    }

    /// With these voters, brokers and directories alike; for tests.
    pub fn formed(servers: usize) -> Canon {
        Canon::formed_among(servers, servers)
    }

    /// With so many brokers, of which the first ones vote; for tests.
    pub fn formed_among(servers: usize, voters: usize) -> Canon {
        let directories: Vec<Option<[u8; 16]>> = (0..servers).map(|id| Some([id as u8; 16])).collect();
        let ever_voters = (0..voters).collect();
        let voters = directories.iter().flatten().copied().enumerate().take(voters).collect();
        Canon { voters, directories, ever_voters, ..Canon::new(servers) }
    }

    /// The offset after the last committed batch.
    pub fn end(&self) -> i64 {
        self.batches.last().map_or(0, |batch| batch.next)
    }

    /// What was committed before an epoch: who leads in that must have it. What was committed later, a slow candidate may win without.
    pub fn before(&self, epoch: i32) -> impl Iterator<Item = &Written> {
        self.batches
            .iter()
            .zip(&self.epochs)
            .filter(move |(_, in_epoch)| **in_epoch < epoch)
            .map(|(batch, _)| batch)
    }

    /// A process has opened this directory.
    pub fn started(&mut self, server: usize, directory: [u8; 16]) {
        self.directories[server] = Some(directory);
        self.looked[server] = 0;
    }

    /// The directory that a broker runs in.
    pub fn directory(&self, server: usize) -> [u8; 16] {
        self.directories[server].unwrap_or_default()
    }

    /// A disk was damaged, or emptied: whatever it held does not count any more.
    pub fn damaged(&mut self, server: usize, emptied: bool) {
        self.held.values_mut().for_each(|held| held.now.retain(|(of, _)| *of != server));
        self.forgot[server] = !emptied;
    }

    /// Somebody writes a batch.
    pub fn write(&mut self, batch: &Batch) -> Result<(), String> {
        let written = batch::read(&batch.to_bytes()).ok_or("what is written is no batch")?;
        let records = Records::read_all(batch, 1 << 20).map_err(|e| e.to_string())?;
        let facts =
            records.into_iter().map(|r| Ok((r.offset.0, Fact::decode(&r.value.unwrap_or_default())?)));
        self.said.insert(key(&written), facts.collect::<Result<_, String>>()?);
        Ok(())
    }

    /// What a batch says.
    pub fn facts(&self, batch: &Written) -> &[(i64, Fact)] {
        self.said.get(&key(batch)).map_or(&[], Vec::as_slice)
    }

    /// Takes note of what a disk has by now.
    pub fn look(&mut self, server: usize, ghost: &Ghost, disk: &SimDisk) {
        let Some(log) = ghost.logs.get(&LogId::METADATA) else { return };
        let from = self.looked[server].min(log.batches.len());
        let rest = &log.batches[from..];
        let there = rest.iter().take_while(|b| log.is_durable(LogId::METADATA, b.base, disk)).count();
        self.looked[server] = from + there;
        rest[..there].iter().for_each(|batch| self.hold(server, batch));
    }

    /// A disk has a batch.
    pub fn hold(&mut self, server: usize, batch: &Written) {
        let disk = (server, self.directory(server));
        let held = self.held.entry(key(batch)).or_default();
        held.ever.insert(disk);
        if !self.forgot[server] {
            held.now.insert(disk);
        }
    }

    /// A broker begins its log anew behind a snapshot, which has all that is committed below.
    pub fn restart(&mut self, server: usize, at: i64) {
        self.looked[server] = 0;
        let inside = self.batches.iter().take_while(|b| b.next <= at).copied().collect::<Vec<_>>();
        inside.iter().for_each(|batch| self.hold(server, batch));
    }

    /// A broker cuts its log.
    pub fn cut(&mut self, server: usize, log: &GhostLog, to: i64) {
        let keep = log.batches.partition_point(|b| b.base < to);
        for batch in &log.batches[keep..] {
            if let Some(held) = self.held.get_mut(&key(batch)) {
                held.now.retain(|(of, _)| *of != server);
            }
        }
        self.looked[server] = self.looked[server].min(keep);
    }

    /// The brokers that have a vote, once some have.
    pub fn voters(&self) -> Vec<BrokerId> {
        self.voters.keys().map(|server| BrokerId(*server as i32 + 1)).collect()
    }

    /// Whether a broker may have a vote, as far as is known who has.
    pub fn may_vote(&self, server: usize) -> bool {
        self.voters.is_empty() || self.ever_voters.contains(&server)
    }

    /// Whether a disk of somebody who may vote has forgotten what was on it, without being empty.
    pub fn voter_forgot(&self) -> bool {
        (0..self.forgot.len()).any(|server| self.forgot[server] && self.may_vote(server))
    }

    /// Whether a majority of the voters has had a batch of this log on disk. The voters are those that the end of the log names.
    pub fn was_on_majority(&self, batch: &Written, log: &GhostLog) -> bool {
        let named = log.batches.iter().rev().find_map(|b| self.voters_by(b));
        let voters = named.as_ref().unwrap_or(&self.voters);
        self.held.get(&key(batch)).is_some_and(|held| is_majority(&held.ever, voters))
    }

    /// Whether a majority of the voters has a committed batch on disks that were not damaged since.
    pub fn is_safe(&self, batch: &Written) -> bool {
        self.held.get(&key(batch)).is_some_and(|held| is_majority(&held.now, &self.voters))
    }

    /// The voters, if a batch says who they are.
    fn voters_by(&self, batch: &Written) -> Option<BTreeMap<usize, [u8; 16]>> {
        self.facts(batch).iter().find_map(|(_, fact)| voters_in(fact))
    }

    /// What is committed goes up to here, by the log of this broker, which is in this epoch.
    pub fn commit(&mut self, log: &GhostLog, high: i64, epoch: i32) {
        if let Some(at) = self.parts_ways(log, high) {
            // A claim has looked whether that may be.
            self.batches.truncate(at);
            self.epochs.truncate(at);
            self.torn = true;
        }
        let end = self.end();
        let more = log.batches.iter().filter(|b| b.base >= end && b.next <= high);
        let more: Vec<Written> = more.copied().collect();
        for batch in more {
            if let Some(voters) = self.voters_by(&batch) {
                if !self.voters.is_empty() && voters.len() > self.voters.len() {
                    sometimes("quorum: a wiped voter votes again");
                }
                self.ever_voters.extend(voters.keys());
                self.voters = voters;
            }
            self.batches.push(batch);
            self.epochs.push(epoch);
        }
    }

    /// The first committed batch, by its place, in whose stead this broker has another one that it calls committed.
    pub fn parts_ways(&self, log: &GhostLog, high: i64) -> Option<usize> {
        let own = log.batches.iter().filter(|b| b.next <= high);
        own.filter_map(|b| {
            let at = self.batches.partition_point(|c| c.next <= b.base);
            self.batches.get(at).filter(|c| *c != b).map(|_| at)
        })
        .next()
    }
}

/// Whether these are a majority of the voters.
fn is_majority(who: &BTreeSet<Disk>, voters: &BTreeMap<usize, [u8; 16]>) -> bool {
    voters.iter().filter(|(id, directory)| who.contains(&(**id, **directory))).count() * 2 > voters.len()
}

fn voters_in(fact: &Fact) -> Option<BTreeMap<usize, [u8; 16]>> {
    let Fact::QuorumFormed { voters, .. } = fact else { return None };
    Some(voters.iter().map(|(id, directory)| (id.0 as usize - 1, *directory)).collect())
}
