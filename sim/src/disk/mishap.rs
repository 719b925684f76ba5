//! What a disk does behind its driver's back: writes lost or elsewhere, reads that fail, an older image, nothing at all.

use super::node::NodeId;
use super::world::{ROOT, World};
use super::{DirNode, FileNode, SimDisk};
use std::collections::BTreeMap;

/// What will become of a write that the disk says it has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mishap {
    /// It is nowhere.
    Lost,
    /// It is in the place of something else.
    Misdirected,
}

/// What a disk holds, and nothing of what is not durable.
#[derive(Clone, Debug)]
pub(super) struct Image {
    files: BTreeMap<NodeId, FileNode>,
    dirs: BTreeMap<NodeId, DirNode>,
}

impl Image {
    fn empty() -> Image {
        Image { files: BTreeMap::new(), dirs: BTreeMap::from([(ROOT, DirNode::default())]) }
    }
}

impl SimDisk {
    /// After so many more operations that change something, the next write is lost or goes elsewhere, and is called done.
    pub fn betray_after(&self, changes: u64, how: Mishap) {
        let mut world = self.lock();
        world.betray_at = Some((world.changes + changes + 1, how));
    }

    /// Whether that has come, and nobody has asked what came of it.
    pub fn has_betrayed(&self) -> bool {
        !self.lock().betrayed.is_empty()
    }

    /// What came of that, if it has come: the files and bytes that are not what they should be.
    pub fn betrayed(&self) -> Vec<(String, u64)> {
        let mut world = self.lock();
        let hit = std::mem::take(&mut world.betrayed);
        hit.into_iter().filter_map(|(node, at)| Some((world.path_of(ROOT, "", node)?, at))).collect()
    }

    /// One in so many reads fails; 0: none does.
    pub fn fail_reads(&self, one_in: u64) {
        self.lock().fail_reads = one_in;
    }

    /// Whether a read has failed since the machine started.
    pub fn has_failed_reads(&self) -> bool {
        self.lock().failed_reads > 0
    }

    /// Keeps what would be there after a power loss now, for [`SimDisk::roll_back`].
    pub fn keep_image(&self) {
        let mut world = self.lock();
        let World { files, dirs, .. } = &*world;
        let files = files.iter().map(|(id, file)| (*id, file.image())).collect();
        let dirs = dirs.iter().map(|(id, dir)| (*id, dir.image())).collect();
        world.image = Some(Image { files, dirs });
    }

    /// The machine stops, and holds again what it held when the image was kept.
    pub fn roll_back(&self) {
        let mut world = self.lock();
        let Image { files, dirs } = world.image.take().unwrap_or_else(Image::empty);
        (world.files, world.dirs) = (files, dirs);
        world.revive();
    }

    /// The machine stops, and holds nothing any more.
    pub fn wipe(&self) {
        self.lock().image = None;
        self.roll_back();
    }
}

impl World {
    /// Does a write that is betrayed, if this one is.
    pub(super) fn betray(&mut self, node: NodeId, at: u64, bytes: &bytes::Bytes) -> bool {
        let Some((_, how)) = self.betray_at.take_if(|(when, _)| *when <= self.changes) else { return false };
        self.files.get_mut(&node).expect("the file that is written to").write_nowhere(at, bytes);
        self.betrayed.push((node, at));
        if how == Mishap::Misdirected {
            let others: Vec<NodeId> = self.files.keys().copied().collect();
            let victim = others[self.rng.below(others.len() as u64) as usize];
            let file = self.files.get_mut(&victim).expect("it is among them");
            let sectors = (file.durable().len() as u64 / super::node::SECTOR).max(1);
            let to = self.rng.below(sectors) * super::node::SECTOR;
            let covered = file.scribble(to, bytes);
            if covered > 0 {
                self.betrayed.extend([(victim, to), (victim, to + covered - 1)]);
            }
        }
        true
    }

    /// Whether a read fails.
    pub(super) fn read_fails(&mut self) -> bool {
        let fails = self.fail_reads > 0 && self.rng.below(self.fail_reads) == 0;
        self.failed_reads += u64::from(fails);
        fails
    }

    fn path_of(&self, dir: NodeId, prefix: &str, wanted: NodeId) -> Option<String> {
        self.dirs.get(&dir)?.now.iter().find_map(|(name, node)| match *node == wanted {
            true => Some(format!("{prefix}{name}")),
            false => self.path_of(*node, &format!("{prefix}{name}/"), wanted),
        })
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use quipu_core::disk::Disk;

    use super::*;

    /// A disk with a synced file of 2000 bytes, all `a`.
    fn disk() -> (SimDisk, super::super::SimFile) {
        let disk = SimDisk::new(1);
        let file = disk.create("f").unwrap();
        disk.write_at(&file, 0, &[Bytes::from(vec![b'a'; 2000])]).unwrap();
        disk.sync(std::slice::from_ref(&file), &[""]).unwrap();
        (disk, file)
    }

    fn write_betrayed(how: Mishap) -> (SimDisk, Vec<(String, u64)>) {
        let (disk, file) = disk();
        disk.betray_after(0, how);
        disk.write_at(&file, 1024, &[Bytes::from(vec![b'b'; 600])]).unwrap();
        disk.sync(std::slice::from_ref(&file), &[""]).unwrap();
        assert_eq!(disk.contents("f").unwrap()[1024], b'b', "the program reads what it wrote");
        let hit = disk.betrayed();
        disk.lose_power();
        (disk, hit)
    }

    #[test]
    fn a_lost_write_is_there_until_the_power_goes() {
        let (disk, hit) = write_betrayed(Mishap::Lost);
        assert_eq!(hit, [("f".to_string(), 1024)]);
        assert_eq!(disk.contents("f").unwrap(), vec![b'a'; 2000]);
    }

    #[test]
    fn a_misdirected_write_shows_in_the_place_of_something_else() {
        let (disk, hit) = write_betrayed(Mishap::Misdirected);
        let found = disk.contents("f").unwrap();
        let at = found.iter().position(|byte| *byte == b'b').expect("it is somewhere");
        assert!(hit.contains(&("f".to_string(), at as u64)), "{hit:?} {at}");
        assert_eq!(found.len(), 2000);
    }

    #[test]
    fn an_older_image_is_what_was_durable_then_and_a_wiped_disk_holds_nothing() {
        let (disk, file) = disk();
        disk.write_at(&file, 0, &[Bytes::from_static(b"unsynced")]).unwrap();
        disk.keep_image();
        disk.sync(&[file], &[""]).unwrap();
        disk.create("g").unwrap();
        disk.roll_back();
        assert_eq!(disk.contents("f").unwrap(), vec![b'a'; 2000]);
        assert_eq!(disk.contents("g"), None);
        disk.wipe();
        assert!(disk.paths().is_empty());
    }

    #[test]
    fn reads_fail_as_often_as_they_are_told_to() {
        let (disk, file) = disk();
        disk.fail_reads(1);
        assert!(disk.read_at(&file, 0, 1).is_err() && disk.has_failed_reads());
        disk.fail_reads(0);
        assert!(disk.read_at(&file, 0, 1).is_ok());
    }
}
