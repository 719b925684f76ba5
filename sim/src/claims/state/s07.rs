//! S7: nothing is committed while fewer replicas are in sync than `min.insync.replicas` asks for (KIP-966).

use quipu_core::broker::door::{Effect, Note};
use quipu_core::ids::LogId;

use crate::claims::{Claim, Cluster, Verdict};
use crate::watch::Scene;

/// The claim.
pub struct EnoughInSync;

impl Claim for EnoughInSync {
    fn id(&self) -> &'static str {
        "S7"
    }

    fn says(&self) -> &'static str {
        "nothing is committed by too few"
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        let Effect::Note(Note::Committed { log, high }) = effect else { return Ok(()) };
        // Who has begun to lead in this very step has heard as a follower what is committed.
        if *log == LogId::METADATA || !scene.broker.leads(*log) || cluster.ledger.has_news(scene) {
            return Ok(());
        }
        let image = scene.broker.image();
        let (Some(topic), Some(state)) = (image.topic_by_id(log.topic), image.partition(*log)) else {
            return Ok(());
        };
        let asked = topic.configs.get("min.insync.replicas").and_then(|value| value.parse().ok());
        let needed = asked.unwrap_or(1).min(state.replicas.len());
        enough(state.isr.len(), needed)
            .map_err(|why| format!("{}-{}: {high} is committed, and {why}", topic.name, log.partition))
    }
}

fn enough(in_sync: usize, needed: usize) -> Verdict {
    if in_sync < needed { Err(format!("{in_sync} are in sync of {needed} that it takes")) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::enough;

    #[test]
    fn too_few_are_seen_and_just_enough_are_fine() {
        assert!(enough(1, 2).is_err());
        assert!(enough(2, 2).is_ok() && enough(3, 2).is_ok());
    }
}
