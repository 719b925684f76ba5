//! A disk in memory that loses, refuses and garbles what a real one may.
//!
//! The fault model:
//! - **Power loss** ([`SimDisk::lose_power`]): of each file, of what was written since its last sync, any subset of the
//!   512-byte sectors is there, whatever the order they were written in; its length is any that it had since, on its own
//!   account, the rest zeros. Of each directory, each entry made, renamed or removed since its last sync is so or is not.
//! - **Process kill** ([`SimDisk::restart`]): everything written is there, synced or not.
//! - **Crash in the middle** ([`SimDisk::crash_after`]): the n-th operation that changes something, and all after it,
//!   fail. That one may have happened in part: of a sync of many files and directories some are synced.
//! - **Failed sync** ([`SimDisk::fail_next_sync`]): an error, after which the pages count as clean though only some
//!   sectors reached the disk, and some of the directories: the next sync says Ok, and a power loss shows what was lost.
//! - **I/O error** ([`SimDisk::fail_after`]): one operation fails and did nothing.
//! - **Full disk** ([`SimDisk::set_room`]): a write beyond the room fails with any part of it written. Room may come back.
//! - **No descriptors** ([`SimDisk::refuse_opens`]): nothing can be opened or created until that ends.
//! - **Bit rot** ([`SimDisk::flip`]): a bit of what is at rest is another one.
//! - **Lost write** ([`SimDisk::betray_after`], [`Mishap::Lost`]): a write that is called done, and whose sync is, is
//!   nowhere; its file has the length, with what was there before or zeros. Until the power goes programs read what they
//!   wrote, from memory. A sync that lies is this for each of its writes.
//! - **Misdirected write** ([`Mishap::Misdirected`]): the same, and the bytes are in another file or place, where they cover
//!   what was durable there, sector by sector; that, too, shows once the power has gone.
//! - **Failing reads** ([`SimDisk::fail_reads`]): one in so many fails, and nothing is wrong with what is there.
//! - **Older image** ([`SimDisk::roll_back`]): the machine comes back with what was durable at an earlier moment.
//! - **Wiped** ([`SimDisk::wipe`]): it comes back empty.
//!
//! That a disk is slow or stands still is a matter of time, and so of the world's: `Fault::SlowDisk`, `Fault::Stall`.

mod mishap;
mod node;
mod world;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use quipu_core::disk::{Disk, DiskErrorKind, DiskResult};

use crate::rng::Rng;
pub use mishap::Mishap;
use node::{DirNode, FileNode, NodeId};
use world::{ROOT, World, error};

/// What an unlimited disk claims to have.
const UNLIMITED: u64 = 1 << 40;

/// A simulated disk. Clones are the same disk.
#[derive(Clone)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

/// An open file of a simulated disk.
#[derive(Clone)]
pub struct SimFile {
    handle: Arc<Handle>,
}

struct Handle {
    node: NodeId,
    /// Which life of the machine it was opened in.
    life: u64,
    world: Arc<Mutex<World>>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        lock(&self.world).open -= 1;
    }
}

impl SimDisk {
    /// An empty disk whose faults are drawn from this seed.
    pub fn new(seed: u64) -> SimDisk {
        let world = World {
            files: BTreeMap::new(),
            dirs: BTreeMap::from([(ROOT, DirNode::default())]),
            next_node: 1,
            rng: Rng::new(seed),
            life: 0,
            down: false,
            changes: 0,
            crash_at: None,
            syncs_left: None,
            fail_at: None,
            fail_sync: false,
            room: None,
            refuses_opens: false,
            betray_at: None,
            betrayed: Vec::new(),
            fail_reads: 0,
            failed_reads: 0,
            image: None,
            open: 0,
            most_open: 0,
        };
        SimDisk { world: Arc::new(Mutex::new(world)) }
    }

    /// The power goes and comes back: only what was synced is certain to be there.
    pub fn lose_power(&self) {
        let mut world = self.lock();
        let World { files, dirs, rng, .. } = &mut *world;
        files.values_mut().for_each(|f| f.lose_power(rng));
        dirs.values_mut().for_each(|d| d.lose_power(rng));
        world.revive();
    }

    /// The process was killed and starts again: everything it wrote is there.
    pub fn restart(&self) {
        self.lock().revive();
    }

    /// After so many more operations that change something the machine stops, in the middle of the next.
    pub fn crash_after(&self, changes: u64) {
        let mut world = self.lock();
        world.crash_at = Some(world.changes + changes + 1);
    }

    /// After so many more syncs the machine stops, in the middle of the next.
    pub fn crash_in_sync(&self, syncs: u64) {
        self.lock().syncs_left = Some(syncs);
    }

    /// Whether the machine has stopped.
    pub fn is_down(&self) -> bool {
        self.lock().down
    }

    /// After so many more operations that change something, the next one fails with an I/O error.
    pub fn fail_after(&self, changes: u64) {
        let mut world = self.lock();
        world.fail_at = Some(world.changes + changes + 1);
    }

    /// The next sync fails.
    pub fn fail_next_sync(&self) {
        self.lock().fail_sync = true;
    }

    /// Sets how many bytes all files together may have; `None`: any number.
    pub fn set_room(&self, bytes: Option<u64>) {
        self.lock().room = bytes;
    }

    /// No operation that was to fail or to stop the machine does any more.
    pub fn calm(&self) {
        let mut world = self.lock();
        (world.crash_at, world.syncs_left, world.fail_at, world.fail_sync) = (None, None, None, false);
        (world.betray_at, world.fail_reads) = (None, 0);
    }

    /// Whether there is hardly any room left.
    pub fn is_full(&self) -> bool {
        let world = self.lock();
        world.room.is_some_and(|room| world.used() + 8192 > room)
    }

    /// Whether no file can be opened, as when a process has as many open as it may.
    pub fn refuse_opens(&self, refuse: bool) {
        self.lock().refuses_opens = refuse;
    }

    /// Bytes of all files together.
    pub fn used(&self) -> u64 {
        self.lock().used()
    }

    /// Operations so far that changed something.
    pub fn changes(&self) -> u64 {
        self.lock().changes
    }

    /// How many files are open now, and how many were at most.
    pub fn open_files(&self) -> (usize, usize) {
        let world = self.lock();
        (world.open, world.most_open)
    }

    /// Flips a bit of a file at rest.
    ///
    /// # Panics
    /// There is no such file or byte.
    pub fn flip(&self, path: &str, at: u64, bit: u8) {
        let mut world = self.lock();
        let node = world.find(path).expect("the file to damage");
        world.files.get_mut(&node).expect("a file").flip(at, bit);
    }

    /// The contents of a file, if it is there.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        let world = self.lock();
        world.find(path).ok().and_then(|node| world.files.get(&node)).map(|f| f.now.clone())
    }

    /// Every file, by path, with its length.
    pub fn paths(&self) -> BTreeMap<String, u64> {
        let world = self.lock();
        let mut out = BTreeMap::new();
        world.collect(ROOT, "", &mut out);
        out
    }

    /// The names in a directory that a power loss leaves for certain.
    pub fn durable_names(&self, dir: &str) -> Vec<String> {
        let world = self.lock();
        let found = world.find_durable(dir).and_then(|node| world.dirs.get(&node));
        found.map(|d| d.durable().keys().cloned().collect()).unwrap_or_default()
    }

    /// The last name with that ending in a directory that is not after `name`, of those that a power loss leaves for certain.
    pub fn durable_floor(&self, dir: &str, name: &str, ending: &str) -> Option<String> {
        let world = self.lock();
        let found = world.find_durable(dir).and_then(|node| world.dirs.get(&node))?;
        let names = found.durable().range::<str, _>((Bound::Unbounded, Bound::Included(name)));
        names.rev().map(|(name, _)| name).find(|name| name.ends_with(ending)).cloned()
    }

    /// Bytes of a file that a power loss leaves for certain, if so many are there.
    pub fn durable_bytes(&self, path: &str, at: u64, len: usize) -> Option<Vec<u8>> {
        let world = self.lock();
        let file = world.find_durable(path).and_then(|node| world.files.get(&node))?;
        file.durable().get(at as usize..at as usize + len).map(<[u8]>::to_vec)
    }

    /// Another disk with the same contents and the same future.
    pub fn fork(&self) -> SimDisk {
        let world = self.lock();
        let mut copy = World {
            files: world.files.clone(),
            dirs: world.dirs.clone(),
            rng: world.rng.clone(),
            betrayed: Vec::new(),
            image: None,
            open: 0,
            most_open: 0,
            ..*world
        };
        copy.revive();
        SimDisk { world: Arc::new(Mutex::new(copy)) }
    }

    fn lock(&self) -> MutexGuard<'_, World> {
        lock(&self.world)
    }

    fn handle(&self, mut world: MutexGuard<'_, World>, node: NodeId) -> SimFile {
        world.open += 1;
        world.most_open = world.most_open.max(world.open);
        let life = world.life;
        SimFile { handle: Arc::new(Handle { node, life, world: Arc::clone(&self.world) }) }
    }
}

fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk for SimDisk {
    type File = SimFile;

    fn open(&self, path: &str) -> DiskResult<SimFile> {
        let world = self.lock();
        world.up()?;
        world.can_open(path)?;
        let node = world.find(path)?;
        if !world.files.contains_key(&node) {
            return Err(error(DiskErrorKind::Io, &format!("{path} is a directory")));
        }
        Ok(self.handle(world, node))
    }

    fn create(&self, path: &str) -> DiskResult<SimFile> {
        let mut world = self.lock();
        world.change()?;
        world.can_open(path)?;
        if world.room.is_some_and(|room| world.used() >= room) {
            return Err(error(DiskErrorKind::Full, &format!("{path}: no space left on device")));
        }
        let node = match world.find(path) {
            Ok(node) => node,
            Err(_) => {
                let node = world.new_node();
                let (dir, name) = world.parent(path)?;
                dir.link(name, node);
                world.files.insert(node, FileNode::default());
                node
            }
        };
        world.files.get_mut(&node).ok_or_else(|| error(DiskErrorKind::Io, "a directory"))?.set_len(0);
        world.done()?;
        Ok(self.handle(world, node))
    }

    fn write_at(&self, file: &SimFile, at: u64, parts: &[Bytes]) -> DiskResult<()> {
        let mut world = self.lock();
        world.change()?;
        let whole = Bytes::from(parts.concat());
        let (filled, end) = (world.file(file)?.filled, at + whole.len() as u64);
        let growth = world.room_for(filled, end);
        if growth < end.saturating_sub(filled) {
            let most = (filled + growth).saturating_sub(at).min(whole.len() as u64);
            let part = world.rng.below(most + 1) as usize;
            world.file(file)?.write(at, whole.slice(..part));
            return Err(error(DiskErrorKind::Full, "no space left on device"));
        }
        world.file(file)?;
        if !world.betray(file.handle.node, at, &whole) {
            world.file(file)?.write(at, whole);
        }
        world.done()
    }

    fn read_at(&self, file: &SimFile, at: u64, len: usize) -> DiskResult<Bytes> {
        let mut world = self.lock();
        world.up()?;
        if world.read_fails() {
            return Err(error(DiskErrorKind::Io, "the read failed"));
        }
        let now = &world.file(file)?.now;
        let from = (at as usize).min(now.len());
        let to = from.saturating_add(len).min(now.len());
        Ok(Bytes::copy_from_slice(&now[from..to]))
    }

    fn set_len(&self, file: &SimFile, len: u64) -> DiskResult<()> {
        let mut world = self.lock();
        world.change()?;
        world.file(file)?.set_len(len);
        world.done()
    }

    fn len(&self, file: &SimFile) -> DiskResult<u64> {
        let mut world = self.lock();
        world.up()?;
        Ok(world.file(file)?.now.len() as u64)
    }

    fn sync(&self, files: &[SimFile], dirs: &[&str]) -> DiskResult<()> {
        if files.is_empty() && dirs.is_empty() {
            return Ok(());
        }
        let mut world = self.lock();
        let stops = world.sync_begins()?;
        let fails = std::mem::take(&mut world.fail_sync);
        for file in files {
            let mut rng = world.fork();
            let node = world.file(file)?;
            if fails {
                node.fail_sync(&mut rng);
            } else if !stops || rng.percent(50) {
                node.sync();
            }
        }
        for path in dirs {
            let some = world.rng.percent(50);
            let dir = world.dir(path)?;
            if !(stops || fails) || some {
                dir.sync();
            }
        }
        if fails { Err(error(DiskErrorKind::Io, "the sync failed")) } else { world.done() }
    }

    fn create_dir(&self, path: &str) -> DiskResult<()> {
        let mut world = self.lock();
        world.change()?;
        if world.find(path).is_ok() {
            return world.done();
        }
        let node = world.new_node();
        let (dir, name) = world.parent(path)?;
        dir.link(name, node);
        world.dirs.insert(node, DirNode::default());
        world.done()
    }

    fn rename(&self, from: &str, to: &str) -> DiskResult<()> {
        let mut world = self.lock();
        world.change()?;
        let node = world.find(from)?;
        let (from_dir, to_dir) = (from.rsplit_once('/').map(|s| s.0), to.rsplit_once('/').map(|s| s.0));
        assert_eq!(from_dir, to_dir, "nothing is ever renamed into another directory");
        let name = to.rsplit_once('/').map_or(to, |s| s.1);
        let (dir, old) = world.parent(from)?;
        dir.rename(old, name, node);
        world.done()
    }

    fn remove(&self, path: &str) -> DiskResult<()> {
        let mut world = self.lock();
        world.change()?;
        world.find(path)?;
        let (dir, name) = world.parent(path)?;
        dir.unlink(name);
        world.done()
    }

    fn remove_dir(&self, path: &str) -> DiskResult<()> {
        let mut world = self.lock();
        world.change()?;
        let inside = world.dir(path)?;
        let names: Vec<String> = inside.now.keys().cloned().collect();
        names.iter().for_each(|name| inside.unlink(name));
        let (dir, name) = world.parent(path)?;
        dir.unlink(name);
        world.done()
    }

    fn list(&self, path: &str) -> DiskResult<Vec<(String, Option<u64>)>> {
        let world = self.lock();
        world.up()?;
        let node = world.find(path)?;
        let dir = world.dirs.get(&node).ok_or_else(|| error(DiskErrorKind::Io, "not a directory"))?;
        let length = |node| world.files.get(node).map(|f| f.now.len() as u64);
        Ok(dir.now.iter().map(|(name, node)| (name.clone(), length(node))).collect())
    }

    fn space(&self) -> DiskResult<(u64, u64)> {
        let world = self.lock();
        world.up()?;
        // What is used is only counted where it matters.
        let free = world.room.map_or(UNLIMITED, |room| room.saturating_sub(world.used()));
        Ok((free, world.room.unwrap_or(UNLIMITED)))
    }
}
