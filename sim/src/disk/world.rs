//! Everything on a simulated disk, the faults that are to come, and the one dice for all of them.

use std::collections::BTreeMap;

use quipu_core::disk::{DiskError, DiskErrorKind, DiskResult};

use super::SimFile;
use super::mishap::{Image, Mishap};
use super::node::{DirNode, FileNode, NodeId};
use crate::rng::Rng;

/// The directory itself.
pub(super) const ROOT: NodeId = 0;

pub(super) struct World {
    pub(super) files: BTreeMap<NodeId, FileNode>,
    pub(super) dirs: BTreeMap<NodeId, DirNode>,
    pub(super) next_node: NodeId,
    pub(super) rng: Rng,
    pub(super) life: u64,
    pub(super) down: bool,
    /// Changing operations so far.
    pub(super) changes: u64,
    pub(super) crash_at: Option<u64>,
    /// Syncs until the one in the middle of which the machine stops.
    pub(super) syncs_left: Option<u64>,
    pub(super) fail_at: Option<u64>,
    pub(super) fail_sync: bool,
    pub(super) room: Option<u64>,
    pub(super) refuses_opens: bool,
    pub(super) betray_at: Option<(u64, Mishap)>,
    /// Where what is durable is not what was written.
    pub(super) betrayed: Vec<(NodeId, u64)>,
    pub(super) fail_reads: u64,
    pub(super) failed_reads: u64,
    pub(super) image: Option<Image>,
    pub(super) open: usize,
    pub(super) most_open: usize,
}

pub(super) fn error(kind: DiskErrorKind, what: &str) -> DiskError {
    DiskError { kind, message: what.to_string() }
}

impl World {
    pub(super) fn revive(&mut self) {
        self.life += 1;
        self.syncs_left = None;
        (self.down, self.crash_at, self.fail_at, self.fail_sync) = (false, None, None, false);
        self.failed_reads = 0;
    }

    pub(super) fn up(&self) -> DiskResult<()> {
        if self.down { Err(error(DiskErrorKind::Io, "the machine is off")) } else { Ok(()) }
    }

    /// Before an operation that changes something. `Ok(true)`: the machine stops during this one.
    pub(super) fn change(&mut self) -> DiskResult<bool> {
        self.up()?;
        self.changes += 1;
        if self.fail_at == Some(self.changes) {
            return Err(error(DiskErrorKind::Io, "an I/O error"));
        }
        self.down = self.crash_at == Some(self.changes);
        Ok(self.down)
    }

    /// The same, before a sync.
    pub(super) fn sync_begins(&mut self) -> DiskResult<bool> {
        self.change()?;
        self.down |= self.syncs_left == Some(0);
        self.syncs_left = self.syncs_left.and_then(|left| left.checked_sub(1));
        Ok(self.down)
    }

    pub(super) fn can_open(&self, path: &str) -> DiskResult<()> {
        let refused = || error(DiskErrorKind::TooManyOpen, &format!("{path}: too many open files"));
        if self.refuses_opens { Err(refused()) } else { Ok(()) }
    }

    pub(super) fn done(&self) -> DiskResult<()> {
        self.up()
    }

    pub(super) fn find(&self, path: &str) -> DiskResult<NodeId> {
        let missing = || error(DiskErrorKind::NotFound, &format!("{path}: no such file or directory"));
        path.split('/').filter(|part| !part.is_empty()).try_fold(ROOT, |dir, part| {
            self.dirs.get(&dir).and_then(|d| d.now.get(part)).copied().ok_or_else(missing)
        })
    }

    /// What a path leads to after a power loss, for certain.
    pub(super) fn find_durable(&self, path: &str) -> Option<NodeId> {
        path.split('/')
            .filter(|part| !part.is_empty())
            .try_fold(ROOT, |dir, part| self.dirs.get(&dir).and_then(|d| d.durable().get(part)).copied())
    }

    /// The directory a path is in, and its name there.
    pub(super) fn parent<'p>(&mut self, path: &'p str) -> DiskResult<(&mut DirNode, &'p str)> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        Ok((self.dir(dir)?, name))
    }

    pub(super) fn dir(&mut self, path: &str) -> DiskResult<&mut DirNode> {
        let node = self.find(path)?;
        self.dirs.get_mut(&node).ok_or_else(|| error(DiskErrorKind::Io, "not a directory"))
    }

    /// Chances for one thing more, which do not depend on how many the thing before it took.
    pub(super) fn fork(&mut self) -> Rng {
        let rng = self.rng.clone();
        self.rng.bits();
        rng
    }

    pub(super) fn file(&mut self, file: &SimFile) -> DiskResult<&mut FileNode> {
        if file.handle.life != self.life {
            return Err(error(DiskErrorKind::Io, "the file was opened before the machine stopped"));
        }
        Ok(self.files.get_mut(&file.handle.node).expect("files are never forgotten"))
    }

    pub(super) fn collect(&self, dir: NodeId, prefix: &str, out: &mut BTreeMap<String, u64>) {
        for (name, node) in &self.dirs[&dir].now {
            match self.files.get(node) {
                Some(file) => drop(out.insert(format!("{prefix}{name}"), file.now.len() as u64)),
                None => self.collect(*node, &format!("{prefix}{name}/"), out),
            }
        }
    }

    pub(super) fn used(&self) -> u64 {
        self.used_in(ROOT)
    }

    fn used_in(&self, dir: NodeId) -> u64 {
        let size = |node: &NodeId| match self.files.get(node) {
            Some(file) => file.filled,
            None => self.used_in(*node),
        };
        self.dirs[&dir].now.values().map(size).sum()
    }

    /// How many of the bytes up to `end` there is room for.
    pub(super) fn room_for(&self, filled: u64, end: u64) -> u64 {
        let Some(room) = self.room else { return u64::MAX };
        let free = room.saturating_sub(self.used());
        end.saturating_sub(filled).min(free)
    }

    pub(super) fn new_node(&mut self) -> NodeId {
        self.next_node += 1;
        self.next_node
    }
}
