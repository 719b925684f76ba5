//! What a simulated disk holds: for each file and directory what is durable, and what has been done since, in order.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::rng::Rng;

/// The unit that a disk writes whole or not at all.
pub(crate) const SECTOR: u64 = 512;

/// Names a file or directory for its whole life.
pub(crate) type NodeId = u64;

/// A file.
#[derive(Clone, Debug, Default)]
pub(crate) struct FileNode {
    /// As programs see it.
    pub(crate) now: Vec<u8>,
    /// Up to where it takes up room: what a length alone adds is a hole.
    pub(crate) filled: u64,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Write(u64, Bytes),
    Length(u64),
}

impl FileNode {
    /// Writes, unsynced.
    pub(crate) fn write(&mut self, at: u64, bytes: Bytes) {
        put(&mut self.now, at, &bytes);
        self.filled = self.filled.max(at + bytes.len() as u64);
        self.unsynced.push(Change::Write(at, bytes));
    }

    /// Writes what no sync will make durable, but for the length.
    pub(crate) fn write_nowhere(&mut self, at: u64, bytes: &Bytes) {
        put(&mut self.now, at, bytes);
        self.unsynced.push(Change::Length(self.now.len() as u64));
    }

    /// Writes over what is durable, as far as it goes: how many bytes. Programs see it once the power has gone.
    pub(crate) fn scribble(&mut self, at: u64, bytes: &Bytes) -> u64 {
        let covers = (self.durable.len() as u64).saturating_sub(at).min(bytes.len() as u64);
        if covers > 0 {
            put(&mut self.durable, at, &bytes[..covers as usize]);
        }
        covers
    }

    /// It as it would be after a power loss, for certain.
    pub(crate) fn image(&self) -> FileNode {
        FileNode {
            now: self.durable.clone(),
            filled: self.durable.len() as u64,
            durable: self.durable.clone(),
            unsynced: Vec::new(),
        }
    }

    /// Sets the length, unsynced.
    pub(crate) fn set_len(&mut self, len: u64) {
        self.now.resize(len as usize, 0);
        self.filled = self.filled.min(len);
        self.unsynced.push(Change::Length(len));
    }

    /// What was written since the last sync is durable. What a failed sync forgot stays forgotten.
    pub(crate) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            match change {
                Change::Write(at, bytes) => put(&mut self.durable, at, &bytes),
                Change::Length(len) => self.durable.resize(len as usize, 0),
            }
        }
    }

    /// What a power loss leaves for certain.
    pub(crate) fn durable(&self) -> &[u8] {
        &self.durable
    }

    /// A failed sync: what was unsynced is partly durable, and all of it is forgotten to be unsynced.
    pub(crate) fn fail_sync(&mut self, rng: &mut Rng) {
        self.durable = self.survivor(rng);
        self.unsynced.clear();
    }

    /// The power goes: of what was not synced some sectors are there, and any of the lengths it had.
    pub(crate) fn lose_power(&mut self, rng: &mut Rng) {
        self.now = self.survivor(rng);
        self.filled = self.now.len() as u64;
        self.durable.clone_from(&self.now);
        self.unsynced.clear();
    }

    /// Flips a bit at rest.
    pub(crate) fn flip(&mut self, at: u64, bit: u8) {
        self.now[at as usize] ^= 1 << bit;
        if let Some(byte) = self.durable.get_mut(at as usize) {
            *byte ^= 1 << bit;
        }
    }

    fn survivor(&self, rng: &mut Rng) -> Vec<u8> {
        // Now and then nothing or everything survives, which drawing sector by sector would hardly ever give.
        let chance = [0, 50, 90, 100][rng.below(4) as usize];
        let mut image = self.durable.clone();
        let mut lengths = vec![image.len() as u64];
        let mut len = image.len() as u64;
        for change in &self.unsynced {
            match change {
                Change::Write(at, bytes) => {
                    keep_sectors(&mut image, *at, bytes, chance, rng);
                    len = len.max(at + bytes.len() as u64);
                }
                Change::Length(to) => {
                    if *to < image.len() as u64 && rng.percent(chance) {
                        image[*to as usize..].fill(0);
                    }
                    len = *to;
                }
            }
            lengths.push(len);
        }
        let pick =
            if rng.percent(chance) { lengths.len() - 1 } else { rng.below(lengths.len() as u64) as usize };
        image.resize(lengths[pick] as usize, 0);
        image
    }
}

fn keep_sectors(image: &mut Vec<u8>, at: u64, bytes: &Bytes, chance: u64, rng: &mut Rng) {
    let (mut from, end) = (at, at + bytes.len() as u64);
    while from < end {
        let to = ((from / SECTOR + 1) * SECTOR).min(end);
        if rng.percent(chance) {
            put(image, from, &bytes[(from - at) as usize..(to - at) as usize]);
        }
        from = to;
    }
}

fn put(image: &mut Vec<u8>, at: u64, bytes: &[u8]) {
    let end = at as usize + bytes.len();
    if image.len() < end {
        image.resize(end, 0);
    }
    image[at as usize..end].copy_from_slice(bytes);
}

/// A directory.
#[derive(Clone, Debug, Default)]
pub(crate) struct DirNode {
    /// As programs see it.
    pub(crate) now: BTreeMap<String, NodeId>,
    durable: BTreeMap<String, NodeId>,
    unsynced: Vec<Entry>,
}

#[derive(Clone, Debug)]
enum Entry {
    Link(String, NodeId),
    Unlink(String),
    Rename(String, String, NodeId),
}

impl DirNode {
    /// Gives a name to something, unsynced.
    pub(crate) fn link(&mut self, name: &str, node: NodeId) {
        self.change(Entry::Link(name.to_string(), node));
    }

    /// Takes a name away, unsynced.
    pub(crate) fn unlink(&mut self, name: &str) {
        self.change(Entry::Unlink(name.to_string()));
    }

    /// Gives another name to something, unsynced: all of it happens or nothing.
    pub(crate) fn rename(&mut self, from: &str, to: &str, node: NodeId) {
        self.change(Entry::Rename(from.to_string(), to.to_string(), node));
    }

    fn change(&mut self, entry: Entry) {
        apply(&mut self.now, &entry);
        self.unsynced.push(entry);
    }

    /// Everything so far is durable.
    pub(crate) fn sync(&mut self) {
        self.durable.clone_from(&self.now);
        self.unsynced.clear();
    }

    /// What a power loss leaves for certain.
    pub(crate) fn durable(&self) -> &BTreeMap<String, NodeId> {
        &self.durable
    }

    /// It as it would be after a power loss, for certain.
    pub(crate) fn image(&self) -> DirNode {
        DirNode { now: self.durable.clone(), durable: self.durable.clone(), unsynced: Vec::new() }
    }

    /// The power goes: each entry made, renamed or removed since the last sync is so or is not.
    pub(crate) fn lose_power(&mut self, rng: &mut Rng) {
        let chance = [0, 50, 90, 100][rng.below(4) as usize];
        let mut image = self.durable.clone();
        self.unsynced.iter().filter(|_| rng.percent(chance)).for_each(|e| apply(&mut image, e));
        self.now = image;
        self.sync();
    }
}

fn apply(image: &mut BTreeMap<String, NodeId>, entry: &Entry) {
    match entry {
        Entry::Link(name, node) => drop(image.insert(name.clone(), *node)),
        Entry::Unlink(name) => drop(image.remove(name)),
        Entry::Rename(from, to, node) => {
            if image.get(from) == Some(node) {
                image.remove(from);
            }
            image.insert(to.clone(), *node);
        }
    }
}
