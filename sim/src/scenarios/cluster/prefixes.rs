//! That brokers call the same records of a partition committed, and that all who are in sync have them.

use crate::batch::Written;
use crate::ghost::GhostLog;
use crate::watch::Watch;
use quipu_core::cluster::partition::PartitionState;
use quipu_core::ids::LogId;

/// Compares every log with the same one of every other broker, up to where both call it committed. Of the metadata the simulator's
/// claims M1 and M4 say more.
pub(super) fn agree(watch: &Watch) -> Result<(), String> {
    let held = || watch.ghosts.iter().enumerate().filter(|(at, _)| !watch.damaged[*at]);
    for (one, ghost) in held() {
        for (other, with) in held().skip_while(|(at, _)| *at <= one) {
            for (id, log) in ghost.logs.iter().filter(|(id, _)| !watch.is_let_go(**id)) {
                if let Some(same) = with.logs.get(id)
                    && let Some((a, b)) = differ(log, same)
                {
                    let (one, other) = (one + 1, other + 1);
                    return Err(format!("{id:?}: broker {one} has {a:?}, broker {other} has {b:?}"));
                }
            }
        }
    }
    Ok(())
}

/// Everybody who is in sync by the committed metadata, or eligible to lead, has what any broker calls committed: from among them the next
/// leader comes.
pub(super) fn are_whole<'a>(
    watch: &Watch,
    partitions: impl Iterator<Item = (&'a LogId, &'a PartitionState)>,
) -> Result<(), String> {
    for (id, state) in partitions.filter(|(id, _)| !watch.is_let_go(**id)) {
        let logs = watch.ghosts.iter().filter_map(|ghost| ghost.logs.get(id));
        let committed = logs.map(|log| log.committed).max().unwrap_or(0);
        for broker in state.isr.iter().chain(&state.elr) {
            let at = broker.0 as usize - 1;
            let end = watch.ghosts[at].logs.get(id).map_or(0, GhostLog::end);
            if end < committed && !watch.damaged[at] {
                return Err(format!(
                    "{id:?} is committed up to {committed}, and {broker} has it up to {end}"
                ));
            }
        }
    }
    Ok(())
}

fn differ<'a>(one: &'a GhostLog, other: &'a GhostLog) -> Option<(&'a Written, &'a Written)> {
    let (from, below) = (one.start.max(other.start), one.committed.min(other.committed));
    let committed = move |b: &&Written| b.base >= from && b.next <= below;
    let pairs = one.batches.iter().filter(committed).zip(other.batches.iter().filter(committed));
    pairs.into_iter().find(|(a, b)| a != b)
}
