//! Opening a log directory: whose it is, what the recovery point says, and each log brought to a state that holds.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use super::durable::remove_dir_if_there;
use super::error::StorageError;
use super::identity::{self, FreshIdentity};
use super::ops::{Identity, Recovered};
use super::point::{self, LogPoint, RecoveryPoint};
use super::recover_log::{Found, recover_log};
use super::state::Shelf;
use super::store::{Reclaim, Round, Store, StoreOptions, Trouble};
use super::{election, frame, names};
use crate::disk::{Disk, DiskResult};
use crate::ids::LogId;
use crate::time::Timestamp;

/// What there is in the root of the directory.
#[derive(Default)]
struct Root {
    logs: BTreeMap<LogId, String>,
    /// Directories of removed logs, with the number of the removal.
    deleted: Vec<(LogId, u64, String)>,
}

/// See [`Store::open`].
pub(crate) fn open<D: Disk>(
    disk: D,
    options: StoreOptions,
    fresh: &FreshIdentity,
    now: Timestamp,
) -> Result<(Store<D>, Recovered), StorageError> {
    let mut root = look_around(&disk)?;
    let identity = identify(&disk, &root, fresh)?;
    let (point, rescan) = load_point(&disk, options.rescan)?;
    let clean = point.clean;
    let removals = root.deleted.iter().map(|d| d.1).max().unwrap_or(0).max(point.removals);
    let shelf = Shelf::new(disk, options.max_open_files.max(1), options.index_cache_bytes);
    let mut store = empty_store(shelf, options);
    store.removals = removals;
    let election = match election::open(&store.shelf.disk)? {
        Some((file, kept)) => {
            store.election = Some(file);
            kept
        }
        None => Ok(None),
    };
    let mut logs = Vec::new();
    let mut leftovers = Vec::new();
    for (log, dir, point) in pair(&root, point) {
        let found = Found { log, dir, point, clean, rescan };
        let Some(recovered) = recover_log(&mut store, found, now, &mut leftovers)? else { continue };
        logs.push(recovered);
    }
    if !keep(&mut store, clean)? {
        spare_markers(&mut store, &mut root, &mut leftovers);
    }
    clear(&store.shelf.disk, root, &leftovers)?;
    store.space = store.shelf.disk.space()?;
    let space = store.space;
    Ok((store, Recovered { identity, clean, logs, election, space }))
}

fn look_around<D: Disk>(disk: &D) -> Result<Root, StorageError> {
    let mut root = Root::default();
    for (name, bytes) in disk.list("")? {
        if bytes.is_some() {
            continue;
        }
        if let Some(log) = names::parse_log_dir(&name) {
            if let Some(other) = root.logs.insert(log, name.clone()) {
                let why =
                    format!("the directories {other} and {name} are for the same log: move one of them away");
                return Err(StorageError::Refused(why));
            }
        } else if let Some((log, n)) = names::parse_deleted_dir(&name) {
            root.deleted.push((log, n, name));
        }
    }
    Ok(root)
}

fn identify<D: Disk>(disk: &D, root: &Root, fresh: &FreshIdentity) -> Result<Identity, StorageError> {
    if let Some(found) = identity::load(disk)? {
        fresh.check(&found)?;
        return Ok(found);
    }
    if let Some(dir) = root.logs.values().next() {
        return Err(StorageError::Refused(format!(
            "there are logs here ({dir}) but no {}: restore it from a copy, or use another log directory",
            names::IDENTITY
        )));
    }
    // These first: where there is an identity there must be a recovery point, and room for votes.
    election::make(disk)?;
    point::save(disk, &RecoveryPoint { clean: true, ..RecoveryPoint::default() })?;
    let identity = fresh.make();
    identity::save(disk, &identity)?;
    Ok(identity)
}

/// The recovery point, and whether it had to be done without.
fn load_point<D: Disk>(disk: &D, rescan: bool) -> Result<(RecoveryPoint, bool), StorageError> {
    match point::load(disk) {
        Ok(Some(point)) => Ok((point, false)),
        Ok(None) | Err(StorageError::Refused(_)) if rescan => Ok((RecoveryPoint::default(), true)),
        Ok(None) => Err(StorageError::Refused(point::unusable("it is missing"))),
        Err(e) => Err(e),
    }
}

/// Every log that is there or should be, with its directory and what the recovery point says of it. What that says of a
/// log removed since does not count.
fn pair(root: &Root, point: RecoveryPoint) -> Vec<(LogId, Option<String>, Option<LogPoint>)> {
    let removed: BTreeSet<LogId> =
        root.deleted.iter().filter(|(_, n, _)| *n > point.removals).map(|(log, _, _)| *log).collect();
    let mut points: BTreeMap<LogId, LogPoint> =
        point.logs.into_iter().filter(|p| !removed.contains(&p.log)).map(|p| (p.log, p)).collect();
    let mut all: Vec<(LogId, Option<String>, Option<LogPoint>)> = Vec::new();
    for (log, dir) in &root.logs {
        all.push((*log, Some(dir.clone()), points.remove(log)));
    }
    all.extend(points.into_iter().map(|(log, point)| (log, None, Some(point))));
    all
}

fn empty_store<D: Disk>(shelf: Shelf<D>, options: StoreOptions) -> Store<D> {
    Store {
        shelf,
        options,
        logs: BTreeMap::new(),
        dead: None,
        round: Round::new(),
        unsynced: BTreeMap::new(),
        unsynced_dirs: BTreeSet::new(),
        superseded: Vec::new(),
        reclaim: Vec::new(),
        markers: Vec::new(),
        births: 0,
        removals: 0,
        election: None,
        space: (0, 0),
    }
}

/// Makes what was found the new recovery point, no longer a clean one: from here on a crash is a crash (KAFKA-10471).
/// Answers whether there was room for it.
fn keep<D: Disk>(store: &mut Store<D>, clean: bool) -> Result<bool, StorageError> {
    match store.save_point(false) {
        Ok(true) => Ok(true),
        // A full disk must not keep a broker from starting. What stands is right, but for the flag.
        Ok(false) => {
            if clean {
                point::unclean_in_place(&store.shelf.disk)?;
            }
            Ok(false)
        }
        Err(Trouble::Dead(message)) | Err(Trouble::Log(super::ops::LogFailure { message, .. })) => {
            Err(StorageError::Disk(crate::disk::DiskError { kind: crate::disk::DiskErrorKind::Io, message }))
        }
    }
}

/// While the old recovery point stands, what it names and was trimmed or removed since must stay told by its marker, or it
/// would be missed as damage: it is emptied soon, and goes with the next recovery point.
fn spare_markers<D: Disk>(store: &mut Store<D>, root: &mut Root, leftovers: &mut Vec<String>) {
    store.reclaim.extend(root.deleted.drain(..).map(|(_, _, dir)| Reclaim::Directory(dir)));
    leftovers.retain(|path| match path.rsplit_once('/') {
        Some((dir, name)) if name.ends_with(names::DELETED) => {
            store.reclaim.push(Reclaim::Segment { path: path.clone(), dir: dir.to_string() });
            false
        }
        _ => true,
    });
}

/// Removes what is left over from before, now that nothing names it; durably, since a producer snapshot from beyond the end
/// that came back later would be taken for one of the log as it is then.
fn clear<D: Disk>(disk: &D, root: Root, leftovers: &[String]) -> DiskResult<()> {
    let mut dirs = BTreeSet::new();
    for (_, _, dir) in root.deleted {
        remove_dir_if_there(disk, &dir)?;
        dirs.insert("");
    }
    for path in leftovers {
        match path.rsplit_once('/') {
            Some((dir, _)) => {
                frame::remove_if_there(disk, path)?;
                dirs.insert(dir);
            }
            None => {
                remove_dir_if_there(disk, path)?;
                dirs.insert("");
            }
        }
    }
    let dirs: Vec<&str> = dirs.into_iter().collect();
    disk.sync(&[], &dirs)
}

/// Reads a file with a checksum; `None` when it is missing or not as it was written.
pub(crate) fn read_sealed<D: Disk>(disk: &D, path: &str, version: u32) -> DiskResult<Option<Bytes>> {
    let file = frame::read_whole(disk, path)?;
    Ok(file.and_then(|bytes| frame::unseal(version, &bytes).ok()))
}
