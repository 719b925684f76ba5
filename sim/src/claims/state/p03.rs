//! P3: recovery is idempotent: what a start finds it finds again, also when the first attempt stopped in the middle.

use quipu_core::storage::ops::{Recovered, RecoveredLog};
use quipu_core::storage::{FreshIdentity, Store, StoreOptions};
use quipu_core::time::Timestamp;

use crate::claims::{Claim, Verdict};
use crate::disk::SimDisk;
use crate::rng::Rng;

/// One start in so many is tried on copies of the disk.
const EVERY: u64 = 3;
/// Disk operations that a recovery stops after, at most.
const OPERATIONS: u64 = 60;

/// The claim.
pub struct RecoveryIsIdempotent {
    /// When to try; of its own, so that trying changes nothing.
    rng: Rng,
    /// Something on a disk was damaged. A start after an orderly stop goes by lengths alone: the one after it may see more.
    damaged: bool,
}

impl Default for RecoveryIsIdempotent {
    fn default() -> RecoveryIsIdempotent {
        RecoveryIsIdempotent { rng: Rng::new(3), damaged: false }
    }
}

impl Claim for RecoveryIsIdempotent {
    fn id(&self) -> &'static str {
        "P3"
    }

    fn says(&self) -> &'static str {
        "recovery finds the same again"
    }

    fn damaged(&mut self, _: usize) {
        self.damaged = true;
    }

    fn starting(&mut self, server: usize, disk: &SimDisk) -> Verdict {
        let damaged = self.damaged;
        if self.rng.below(EVERY) != 0 || disk.is_full() {
            return Ok(());
        }
        let once = copy(disk);
        // A disk that does not open is for others to judge: the start that comes next says why.
        let Ok(first) = recover(server, &once) else { return Ok(()) };
        once.restart();
        same(&first, &recover(server, &once), damaged).map_err(|why| format!("recovered twice: {why}"))?;
        let broken = copy(disk);
        let operations = self.rng.below(OPERATIONS);
        broken.crash_after(operations);
        let stopped = recover(server, &broken).is_err();
        broken.calm();
        broken.restart();
        same(&first, &recover(server, &broken), damaged).map_err(|why| {
            format!("stopped after {operations} operations ({stopped}), then recovered: {why}")
        })
    }
}

/// A copy of a disk on which nothing is about to fail.
fn copy(disk: &SimDisk) -> SimDisk {
    let copy = disk.fork();
    copy.calm();
    copy
}

fn recover(server: usize, disk: &SimDisk) -> Result<Recovered, String> {
    let node_id = server as i32 + 1;
    let fresh = FreshIdentity {
        cluster_id: None,
        new_cluster_id: "copy".into(),
        node_id,
        directory_id: [node_id as u8; 16],
    };
    let options =
        StoreOptions { synced: true, max_open_files: 64, ahead_bytes: 1024, ..StoreOptions::default() };
    Store::open(disk.clone(), options, &fresh, Timestamp(0))
        .map(|(_, found)| found)
        .map_err(|e| e.to_string())
}

fn same(first: &Recovered, again: &Result<Recovered, String>, damaged: bool) -> Verdict {
    let again = again.as_ref().map_err(|why| format!("refused: {why}"))?;
    let names = |found: &Recovered| found.logs.iter().map(|l| l.log).collect::<Vec<_>>();
    if names(first) != names(again) {
        return Err(format!("{:?} were found, then {:?}", names(first), names(again)));
    }
    first.logs.iter().zip(&again.logs).try_for_each(|(a, b)| same_log(a, b, damaged))
}

fn same_log(a: &RecoveredLog, b: &RecoveredLog, damaged: bool) -> Verdict {
    let but_for_words = |a: &RecoveredLog| RecoveredLog { damage: None, ..a.clone() };
    let seen_later = a.damage.is_none() || but_for_words(a) == but_for_words(b);
    if a == b || damaged && b.damage.is_some() && seen_later {
        Ok(())
    } else {
        Err(format!("{a:?} was found, then {b:?}"))
    }
}

#[cfg(test)]
mod tests {
    use quipu_core::ids::{LogId, Offset};

    use super::*;

    #[test]
    fn another_end_a_missing_log_and_a_refusal_are_seen_and_the_same_is_fine() {
        let disk = SimDisk::new(1);
        let mut found = recover(0, &disk).unwrap();
        found.logs.push(RecoveredLog {
            log: LogId::METADATA,
            start: Offset(0),
            end: Offset(5),
            segments: Vec::new(),
            epochs: Vec::new(),
            producers: Default::default(),
            snapshot: None,
            damage: None,
        });
        let mut shorter = found.clone();
        shorter.logs[0].end = Offset(4);
        assert!(same(&found, &Ok(shorter), false).is_err());
        assert!(same(&found, &Ok(Recovered { logs: Vec::new(), ..found.clone() }), false).is_err());
        assert!(same(&found, &Err("no".into()), false).is_err());
        assert!(same(&found, &Ok(Recovered { clean: !found.clean, ..found.clone() }), false).is_ok());
        let mut offline = found.clone();
        offline.logs[0].damage = Some("a bit flipped".into());
        assert!(same(&found, &Ok(offline.clone()), false).is_err(), "nothing was damaged");
        assert!(
            same(&found, &Ok(offline.clone()), true).is_ok(),
            "the first start had no reason to look there"
        );
        let mut worded = offline.clone();
        worded.logs[0].damage = Some("another batch lies here".into());
        assert!(same(&offline, &Ok(worded.clone()), true).is_ok(), "the second start looked closer");
        worded.logs[0].end = Offset(4);
        assert!(same(&offline, &Ok(worded), true).is_err(), "an offline log is left as it is");
        assert!(same(&offline, &Ok(found), true).is_err(), "damage does not go away");
    }
}
