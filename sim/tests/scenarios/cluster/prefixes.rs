//! That brokers call the same records of a partition committed.

use quipu_sim::batch::Written;
use quipu_sim::ghost::GhostLog;
use quipu_sim::watch::Watch;

/// Compares every log with the same one of every other broker, up to where both call it committed. Of the metadata the simulator's
/// claims M1 and M4 say more.
pub(super) fn agree(watch: &Watch) -> Result<(), String> {
    let held = || watch.ghosts.iter().enumerate().filter(|(at, _)| !watch.damaged[*at]);
    for (one, ghost) in held() {
        for (other, with) in held().skip_while(|(at, _)| *at <= one) {
            for (id, log) in &ghost.logs {
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

fn differ<'a>(one: &'a GhostLog, other: &'a GhostLog) -> Option<(&'a Written, &'a Written)> {
    let (from, below) = (one.start.max(other.start), one.committed.min(other.committed));
    let committed = move |b: &&Written| b.base >= from && b.next <= below;
    let pairs = one.batches.iter().filter(committed).zip(other.batches.iter().filter(committed));
    pairs.into_iter().find(|(a, b)| a != b)
}
