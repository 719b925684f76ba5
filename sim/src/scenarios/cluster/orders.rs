//! The lines of scenarios with several brokers.
//!
//! | line | what happens |
//! |---|---|
//! | `cluster 3 NAME=VALUE..` | three machines with empty disks, and brokers with these configs on them; `cluster 1`: one alone |
//! | `start 1`, `kill 1`, `lose-power 1`, `stop 1`, `wipe 1` | a process begins, is gone, is gone with all that was not synced, stops in order; the disk of one that is down is emptied |
//! | `kill-in-write 1 after=2`, `damage 1` | a process is gone when its disk has written or synced twice, and written once more; a bit flips in the leader epoch of the last batch of the metadata log of one that is down |
//! | `damage-snapshot 1` | a bit flips in the newest snapshot of the metadata of one that is down, or flips back |
//! | `copy-disk 1`, `older-disk 1` | what is durable on a disk is copied; one that is down gets that copy back in place of its disk |
//! | `pass 500`, `pass 500 at=2,3` | so many ms, on all clocks or on these |
//! | `absent 1 at=2,3` | brokers find that nobody listens where broker 1 is reached |
//! | `hold KINDS 1>2`, `drop ..`, `copy ..` | from now on such messages wait on the shelf, are lost, arrive and wait |
//! | `cut 1`, `open` | nothing comes to a broker nor from it; no rule holds any more |
//! | `deliver #4`, `deliver vote 1>2`, `again ..`, `lose ..` | what is on the shelf arrives, arrives and stays there, is lost; `batches=1`: cut short to so many batches |
//! | `stall 1`, `sync 1`, `go-on 1` | a disk waits, does all it was told to (`first=1`: so much of it), waits no more |
//! | `create t replicas=1,2 at=1`, `produce`, `fetch`, `reassign`, `elect`, `alter topic t NAME=VALUE` | a client asks a broker, the first that runs if none is named |
//! | `show`, `show t`, `files 1`, `shelf` | the metadata log, a partition, what a disk has of logs, the messages that wait |
//!
//! `quietly` before a line: nothing of what happens is told, as of what another scenario has told.

use quipu_core::broker::door::{Input, Request};
use quipu_core::ids::BrokerId;
use quipu_core::wire::{self, ApiKey};

use super::network::{Deed, Which, shortened, told};
use super::node::Node;
use super::{Cluster, table};
use crate::batch;
use crate::disk::SimDisk;
use crate::scenarios::given::Given;
use crate::scenarios::requests;

/// Where in a batch its leader epoch is, the highest byte first.
const EPOCH_AT: u64 = 12;

impl Cluster {
    /// Does what a line says: what happened.
    pub(in crate::scenarios) fn perform(&mut self, line: &str) -> Vec<String> {
        let loud = line.strip_prefix("quietly ");
        let given = Given::read(loud.unwrap_or(line));
        if !(self.of_machines(&given) || self.of_network(&given) || self.of_clients(&given)) {
            panic!("no command is called `{}`", given.words[0]);
        }
        self.settle();
        let told = std::mem::take(&mut self.told);
        if loud.is_some() { Vec::new() } else { told }
    }

    fn of_machines(&mut self, given: &Given<'_>) -> bool {
        match given.words[0] {
            "cluster" => {
                let configs = given.named.iter().map(|(n, v)| (n.to_string(), v.to_string()));
                *self = Cluster::new(given.words[1].parse().expect("how many"), configs.collect());
                (0..self.nodes.len()).for_each(|at| self.start(at));
            }
            "start" => named(given).into_iter().for_each(|at| self.start(at)),
            "kill" => named(given).into_iter().for_each(|at| self.kill(at)),
            "kill-in-write" => {
                let after = given.number("after", 0);
                named(given).into_iter().for_each(|at| self.kill_in_write(at, after));
            }
            "damage" => named(given).into_iter().for_each(|at| self.damage(at)),
            "copy-disk" => named(given).into_iter().for_each(|at| self.nodes[at].disk.keep_image()),
            "older-disk" => named(given).into_iter().for_each(|at| self.older_disk(at)),
            "damage-snapshot" => named(given).into_iter().for_each(|at| self.damage_snapshot(at)),
            "lose-power" => named(given).into_iter().for_each(|at| self.lose_power(at)),
            "stop" => named(given).into_iter().for_each(|at| self.step(at, Input::Stop)),
            "wipe" => named(given).into_iter().for_each(|at| self.wipe(at)),
            "pass" => {
                let ms = given.words[1].parse().expect("milliseconds");
                let on = self.at(given).unwrap_or_else(|| (0..self.nodes.len()).collect());
                self.pass(ms, &on);
            }
            "stall" => named(given).into_iter().for_each(|at| self.nodes[at].is_stalled = true),
            "go-on" => named(given).into_iter().for_each(|at| self.nodes[at].is_stalled = false),
            "sync" => {
                named(given).into_iter().for_each(|at| self.round(at, given.number("first", usize::MAX)))
            }
            _ => return false,
        }
        true
    }

    fn of_network(&mut self, given: &Given<'_>) -> bool {
        let words = &given.words[1..];
        match given.words[0] {
            "hold" => self.network.rule(Deed::Hold, Which::read(words)),
            "drop" => self.network.rule(Deed::Drop, Which::read(words)),
            "copy" => self.network.rule(Deed::Copy, Which::read(words)),
            "cut" => self.network.rule(Deed::Drop, Which::read(&["all", &format!("{}<>*", words[0])])),
            "open" => self.network.open(),
            "deliver" | "again" => {
                for mut letter in self.network.take(&Which::read(words), given.words[0] == "again") {
                    shortened(&mut letter, given.number("batches", usize::MAX));
                    self.told.push(format!("  arrives {}", told(&letter)));
                    self.deliver(&letter);
                }
            }
            "lose" => drop(self.network.take(&Which::read(words), false)),
            "absent" => {
                let broker = BrokerId(words[0].parse().expect("a broker"));
                for at in self.at(given).expect("who finds out, as at=2") {
                    self.step(at, Input::Absent { broker });
                }
            }
            _ => return false,
        }
        true
    }

    fn of_clients(&mut self, given: &Given<'_>) -> bool {
        match given.words[0] {
            "create" => self.call(given, requests::create(given)),
            "alter" => self.call(given, requests::alter(given)),
            "elect" => {
                if given.words.contains(&"unclean") {
                    self.let_go(given);
                }
                self.call(given, requests::elect(given));
            }
            "reassign" => self.call(given, requests::reassign(given)),
            "produce" => {
                let at = self.asked_of(given);
                let produce = requests::produce(given, (self.nodes[at].us / 1000) as i64);
                self.ask(at, produce, (ApiKey::Produce, 9));
            }
            "fetch" => {
                let at = self.asked_of(given);
                self.ask(at, requests::fetch(given), (ApiKey::Fetch, 12));
            }
            "show" => {
                let rows = match given.words.get(1) {
                    None => table::quorum(&self.nodes),
                    Some(topic) => table::partition(&self.nodes, topic, given.number("partition", 0)),
                };
                self.told.extend(rows);
            }
            "files" => {
                named(given).into_iter().for_each(|at| self.told.extend(table::files(&self.nodes[at])))
            }
            "shelf" => self.told.extend(self.network.shelf()),
            _ => return false,
        }
        true
    }

    fn call(&mut self, given: &Given<'_>, request: impl Into<wire::Request>) {
        let request = request.into();
        let key = request.key();
        self.ask(self.asked_of(given), Request::Api(request), (key, *key.advertised().end()));
    }

    /// Nothing is claimed of a partition any more whose leader may be anybody.
    fn let_go(&mut self, given: &Given<'_>) {
        let (topic, partition) = (given.words[1], given.number("partition", 0));
        let mut brokers = self.nodes.iter().filter_map(Node::broker);
        let found = brokers.find_map(|broker| table::id(broker, topic, partition));
        self.watch.let_go(found.unwrap_or_else(|| panic!("no broker knows a topic {topic}")));
    }

    fn at(&self, given: &Given<'_>) -> Option<Vec<usize>> {
        given.list("at").map(|list| list.into_iter().map(|id| id as usize - 1).collect())
    }

    /// Whom a client asks: the first that runs, if no other is named.
    fn asked_of(&self, given: &Given<'_>) -> usize {
        let named = self.at(given).map(|list| list[0]);
        let runs = || self.nodes.iter().position(|node| node.process.is_some());
        named.or_else(runs).expect("a broker that runs")
    }

    fn kill(&mut self, at: usize) {
        self.nodes[at].disk.restart();
        self.end(at, "its process is gone");
    }

    /// After so many writes and syncs of what the disk was told one more write is done, and no sync.
    fn kill_in_write(&mut self, at: usize, after: u64) {
        let node = &mut self.nodes[at];
        let mut how = "its process is gone before its disk has synced";
        if let Some(process) = &mut node.process {
            node.disk.crash_after(after);
            if process.store.run(&mut process.queue).is_ok() {
                how = "its process is gone, and its disk had less to do";
            }
        }
        node.disk.calm();
        node.disk.restart();
        self.end(at, how);
    }

    /// The newest snapshot of the metadata is not what it was any more.
    fn damage_snapshot(&mut self, at: usize) {
        let disk = &self.nodes[at].disk;
        let path = metadata_file(disk, ".checkpoint");
        let middle = disk.contents(&path).expect("it is there").len() as u64 / 2;
        disk.flip(&path, middle, 1);
        self.watch.damage(at);
        self.told.push(format!("{} | a bit flips in {path}", at + 1));
    }

    /// A disk comes back as it was when it was copied: its broker does not know.
    fn older_disk(&mut self, at: usize) {
        let node = &self.nodes[at];
        assert!(node.process.is_none(), "only the disk of a broker that is down is replaced");
        node.disk.roll_back();
        self.watch.damage(at);
        self.told.push(format!("{} | its disk is an older copy", at + 1));
    }

    /// No checksum covers the leader epoch of a batch.
    fn damage(&mut self, at: usize) {
        let disk = &self.nodes[at].disk;
        let path = metadata_file(disk, ".log");
        let bytes = disk.contents(&path).expect("it is there");
        let batches = batch::read_all(&bytes);
        let last = batches.last().expect("a batch");
        let before: u64 = batches.iter().map(|b| b.size).sum::<u64>() - last.size;
        disk.flip(&path, before + EPOCH_AT, 1);
        self.watch.damage(at);
        let base = last.base;
        self.told.push(format!("{} | a bit flips in the epoch of the metadata's batch at {base}", at + 1));
    }

    /// Nothing that was not synced is there any more: of all that a power loss may do, the most certain.
    fn lose_power(&mut self, at: usize) {
        self.nodes[at].disk.keep_image();
        self.nodes[at].disk.roll_back();
        self.end(at, "its machine lost power");
    }

    fn wipe(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        assert!(node.process.is_none(), "only the disk of a broker that is down is emptied");
        node.disk.wipe();
        node.wipes += 1;
        self.watch.wiped(at);
        self.told.push(format!("{} | its disk is empty, and will be another data directory", at + 1));
    }
}

/// The newest file of the metadata log's directory with that ending: their names begin with offsets.
fn metadata_file(disk: &SimDisk, ending: &str) -> String {
    let is_it = |path: &String| path.starts_with("__cluster_metadata") && path.ends_with(ending);
    disk.paths().into_keys().rfind(is_it).expect("a file of the metadata log")
}

/// The brokers that a line names first: `1` or `1,2`.
fn named(given: &Given<'_>) -> Vec<usize> {
    given.words[1].split(',').map(|id| id.parse::<usize>().expect("a broker") - 1).collect()
}
