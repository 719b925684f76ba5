//! M5: the epoch that a broker is in never falls, and after a restart not below one that it has spoken in.

use std::collections::BTreeMap;

use quipu_core::broker::door::Effect;
use quipu_core::peer::message::PeerMessage;

use crate::claims::{Claim, Cluster, Verdict};
use crate::watch::Scene;

/// The claim.
pub struct EpochsRise {
    /// The epoch of each broker in this life.
    seen: Vec<i32>,
    /// The highest one that each has spoken in, by its directory.
    said: BTreeMap<(usize, [u8; 16]), i32>,
    /// Whose disk has forgotten something.
    mute: Vec<bool>,
}

impl EpochsRise {
    /// For so many brokers.
    pub fn new(servers: usize) -> EpochsRise {
        EpochsRise { seen: vec![0; servers], said: BTreeMap::new(), mute: vec![false; servers] }
    }
}

impl Claim for EpochsRise {
    fn id(&self) -> &'static str {
        "M5"
    }

    fn says(&self) -> &'static str {
        "epochs never fall"
    }

    fn forgets(&mut self, server: usize) {
        self.mute[server] = true;
    }

    fn told_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>, effect: &Effect) -> Verdict {
        if let Effect::Send { message: PeerMessage::Quorum(message), .. } = effect {
            let said = self.said.entry((scene.server, cluster.canon.directory(scene.server))).or_default();
            *said = message.epoch.0.max(*said);
        }
        Ok(())
    }

    fn stepped_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) -> Verdict {
        let Some(quorum) = scene.broker.quorum().filter(|_| !self.mute[scene.server]) else { return Ok(()) };
        let said = self.said.get(&(scene.server, cluster.canon.directory(scene.server)));
        rises(&mut self.seen[scene.server], said.copied(), quorum.epoch.0)
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.seen[server] = 0;
    }
}

fn rises(seen: &mut i32, said: Option<i32>, now: i32) -> Verdict {
    let before = std::mem::replace(seen, now);
    if now < before {
        return Err(format!("the epoch goes from {before} back to {now}"));
    }
    match said {
        Some(said) if now < said => Err(format!("it is in epoch {now}, and has spoken in epoch {said}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::rises;

    #[test]
    fn an_epoch_that_falls_is_seen_in_a_life_and_after_it() {
        assert!(rises(&mut 5, None, 4).is_err());
        assert!(rises(&mut 0, Some(5), 4).is_err(), "it has forgotten what others have heard");
    }

    #[test]
    fn one_that_stays_or_rises_and_one_forgotten_that_nobody_heard_of_are_fine() {
        assert!(rises(&mut 5, Some(5), 5).is_ok() && rises(&mut 5, Some(5), 9).is_ok());
        assert!(rises(&mut 0, Some(4), 4).is_ok(), "it was in epoch 5, and said nothing there");
    }
}
