//! What must hold of the small world at every moment. The names are those of the claims in the simulator.

use bytes::Bytes;

use super::node::{Kept, Role};
use super::world::World;
use crate::ids::{LeaderEpoch, LogId, Offset};
use crate::record::Batch;
use crate::replica::messages::Incarnation;

impl World {
    /// S13: an epoch has one leader, in one run; and S4: it has all that is committed.
    pub(super) fn elected(&mut self, id: i32, log: LogId, epoch: LeaderEpoch, run: Incarnation) {
        self.seen.elections += 1;
        self.tell(format!("{id} leads {log:?} in epoch {epoch}"));
        let before = self.ghost(log).leaders.insert(epoch.0, (id, run));
        assert_eq!(before, None, "two leaders of {log:?} in epoch {epoch}\n{}", self.told());
        let (start, deleted) = (self.replica(id, log).log.start(), self.ghosts[&log].deleted);
        if self.controller.image.partitions[&log].epoch == epoch {
            assert!(
                start >= deleted,
                "{id}, elected, begins {log:?} at {start}, deleted up to {deleted}\n{}",
                self.told()
            );
            self.check_holds(log, &self.replica(id, log).kept, &format!("{id}, elected,"));
        }
    }

    fn ghost(&mut self, log: LogId) -> &mut super::world::Ghost {
        self.ghosts.get_mut(&log).expect("there is one")
    }

    /// S3: an offset holds one record in an epoch, wherever it is.
    pub(super) fn wrote(&mut self, log: LogId, batch: &Batch) {
        let kept = Kept { start: batch.header().base_offset, batches: vec![batch.clone()] };
        let (epoch, value) = kept.said(kept.start);
        let before = self.ghost(log).written.insert((kept.start, epoch), value.clone());
        assert!(
            before.is_none_or(|before| before == value),
            "two records of {log:?} at {} in epoch {epoch}\n{}",
            kept.start,
            self.told()
        );
    }

    /// S1: what is below a high watermark is so on every replica, for ever. S5: everybody in sync has it on disk.
    pub(super) fn check_committed(&mut self, id: i32, log: LogId) {
        let replica = self.replica(id, log);
        let (start, high) = (replica.log.start(), replica.log.high());
        let there: Vec<(i32, Bytes)> = (start.0..high.0).map(|at| replica.kept.said(Offset(at))).collect();
        let known = &self.ghosts[&log].committed;
        let leads = matches!(replica.role, Role::Leads(_));
        assert!(start.0 <= known.len() as i64, "{id} has {log:?} from {start} on, nobody committed so far");
        let both = there.len().min(known.len() - start.0 as usize);
        assert_eq!(
            there[..both],
            known[start.0 as usize..][..both],
            "{id} commits other records of {log:?}\n{}",
            self.told()
        );
        if there.len() > both {
            assert!(leads, "{id} follows, and commits more of {log:?} than its leader\n{}", self.told());
            self.ghost(log).committed.extend(there.into_iter().skip(both));
            self.check_in_sync(log);
        }
    }

    /// A leader says that nothing below comes back: nobody in sync has it on disk.
    pub(super) fn deleted(&mut self, log: LogId, low: Offset) {
        let ghost = self.ghost(log);
        if low > ghost.deleted {
            ghost.deleted = low;
            self.seen.deletions += 1;
            self.check_in_sync(log);
        }
    }

    /// S4, S5: whoever is in sync by what the controller has decided could be elected, even after a loss of power.
    pub(super) fn check_in_sync(&self, log: LogId) {
        let deleted = self.ghosts[&log].deleted;
        for member in &self.controller.image.partitions[&log].isr {
            let disk = &self.nodes[member.0 as usize - 1].disk[&log];
            let start = disk.start;
            assert!(
                start >= deleted,
                "{member}, in sync, has {log:?} from {start} on, deleted up to {deleted}\n{}",
                self.told()
            );
            self.check_holds(log, disk, &format!("{member}, in sync,"));
        }
    }

    fn check_holds(&self, log: LogId, kept: &Kept, who: &str) {
        let known = &self.ghosts[&log].committed;
        let end = kept.end().0.min(known.len() as i64);
        assert!(end == known.len() as i64, "{who} ends {log:?} at {end} of {}\n{}", known.len(), self.told());
        for at in kept.start.0..end {
            let (here, there) = (kept.said(Offset(at)), &known[at as usize]);
            assert_eq!(here, *there, "{who} has another record of {log:?} at {at}\n{}", self.told());
        }
    }

    /// S10: what is acknowledged is committed, and on as many disks as there must be.
    pub(super) fn acknowledge(&mut self, id: i32, log: LogId) {
        let min_isr = self.min_isr;
        let process = self.node(id).process.as_mut().expect("it runs");
        let replica = process.replicas.get_mut(&log).expect("it is kept here");
        let Role::Leads(leading) = &replica.role else { return };
        let said = |end: &Offset| leading.acknowledges(*end, &replica.log, min_isr);
        let done: Vec<Offset> =
            replica.waiting.iter().copied().filter(|end| said(end) == Some(Ok(()))).collect();
        replica.waiting.retain(|end| leading.acknowledges(*end, &replica.log, min_isr).is_none());
        for end in done {
            let at = end + -1;
            let Some((_, value)) = self.ghosts[&log].committed.get(at.0 as usize).cloned() else {
                panic!("{id} acknowledges {at} of {log:?}\n{}", self.told())
            };
            let has = |kept: &Kept| kept.start > at || kept.end() > at && kept.said(at).1 == value;
            let disks = self.nodes.iter().filter(|node| has(&node.disk[&log])).count();
            assert!(disks >= min_isr, "{at} of {log:?} is acknowledged on {disks} disks\n{}", self.told());
            self.seen.acked += 1;
            self.ghost(log).acked.insert(at, value);
        }
    }

    /// Once all is healed, everybody has the same, and everything that was acknowledged.
    pub(super) fn check_converged(&self) {
        for (log, ghost) in &self.ghosts {
            let leader = self.leader(*log).unwrap_or_else(|| panic!("{log:?} is not led\n{}", self.told()));
            let end = self.replica(leader, *log).log.end();
            for id in 1..=self.nodes.len() as i32 {
                let here = &self.replica(id, *log).log;
                let marks = (here.end(), here.flushed(), here.high());
                assert_eq!(marks, (end, end, end), "{id} is not where {leader} is\n{}", self.told());
                self.check_holds(*log, &self.replica(id, *log).kept, &id.to_string());
            }
            let isr = self.controller.image.partitions[log].isr.len();
            assert_eq!(isr, self.nodes.len(), "not all are in sync with {log:?}\n{}", self.told());
            for (at, value) in &ghost.acked {
                assert_eq!(ghost.committed[at.0 as usize].1, *value, "{at} of {log:?} is lost");
            }
        }
    }
}
