//! M8: who leads the metadata quorum gives that up when no majority of the voters has fetched from it for long (check-quorum).

use std::collections::BTreeMap;

use quipu_core::broker::Broker;
use quipu_core::broker::door::Input;
use quipu_core::ids::BrokerId;
use quipu_core::peer::message::PeerMessage;
use quipu_core::quorum::messages::{Body, Question};

use crate::claims::{Claim, Cluster, Verdict};
use crate::watch::Scene;

/// The longest time without a majority, in microseconds: twice one and a half of the longest fetch time-out that is drawn.
const MOST: u64 = 6_000_000;
/// A broker that stood still has this long, in microseconds, to find out.
const SLACK: u64 = 500_000;

/// The claim.
pub struct LeadersAreHeard {
    brokers: Vec<Heard>,
}

/// Who has fetched from one broker.
#[derive(Clone, Debug, Default)]
struct Heard {
    now: Option<BrokerId>,
    last: BTreeMap<BrokerId, u64>,
    /// Since when it leads, in which epoch.
    leads: Option<(i32, u64)>,
    /// Since when it has been seen to lead without a majority, and whether it was woken since: one that stands still finds nothing out.
    alone: Option<(u64, bool)>,
    woken: bool,
}

impl LeadersAreHeard {
    /// For so many brokers.
    pub fn new(servers: usize) -> LeadersAreHeard {
        LeadersAreHeard { brokers: vec![Heard::default(); servers] }
    }
}

impl Claim for LeadersAreHeard {
    fn id(&self) -> &'static str {
        "M8"
    }

    fn says(&self) -> &'static str {
        "who leads the quorum is listened to by a majority"
    }

    fn asking(&mut self, server: usize, _: &Broker, input: &Input) {
        self.brokers[server].woken = matches!(input, Input::Wake);
        self.brokers[server].now = match input {
            Input::Peer { from, message: PeerMessage::Quorum(message) }
                if matches!(message.body, Body::Question(Question::Fetch(_))) =>
            {
                Some(*from)
            }
            _ => None,
        };
    }

    fn stepped_among(&mut self, scene: &Scene<'_>, cluster: &Cluster<'_>) -> Verdict {
        let leads = scene.broker.quorum().filter(|q| q.leads).map(|q| q.epoch.0);
        self.brokers[scene.server].stepped(scene.now.mono.0, leads, &cluster.canon.voters())
    }

    fn ended(&mut self, server: usize, _: bool) {
        self.brokers[server] = Heard::default();
    }
}

impl Heard {
    fn stepped(&mut self, now: u64, leads: Option<i32>, voters: &[BrokerId]) -> Verdict {
        self.last.extend(self.now.take().map(|from| (from, now)));
        let Some(epoch) = leads else {
            (self.leads, self.alone) = (None, None);
            return Ok(());
        };
        if self.leads.is_none_or(|(before, _)| before != epoch) {
            (self.leads, self.alone) = (Some((epoch, now)), None);
        }
        let since = self.leads.map_or(now, |(_, since)| since);
        let votes = |id: &&BrokerId| self.last.get(id).is_some_and(|at| (*at).max(since) + MOST >= now);
        let (recent, voters) = (voters.iter().filter(votes).count(), voters.len());
        if since + MOST >= now || (recent + 1) * 2 > voters {
            self.alone = None;
            return Ok(());
        }
        let (alone, woken) = self.alone.get_or_insert((now, false));
        *woken |= self.woken && *alone + SLACK < now;
        if !*woken {
            return Ok(());
        }
        Err(format!("it leads in epoch {epoch}, and {recent} others of {voters} have fetched for {MOST} us"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_leader_without_a_majority_is_seen_and_one_that_is_heard_or_gives_up_is_fine() {
        let all = [1, 2, 3].map(BrokerId);
        let begun = || {
            let mut heard = Heard { now: Some(BrokerId(2)), woken: true, ..Heard::default() };
            assert!(heard.stepped(0, Some(3), &all).is_ok());
            heard
        };
        let mut lonely = begun();
        assert!(lonely.stepped(MOST + 1, Some(3), &all).is_ok(), "it may find out yet");
        assert!(lonely.clone().stepped(MOST + SLACK + 2, Some(3), &all).is_err());
        let mut still = Heard { woken: false, ..lonely.clone() };
        assert!(still.stepped(MOST + SLACK + 2, Some(3), &all).is_ok(), "it was not woken");
        assert!(lonely.stepped(MOST + SLACK + 2, None, &all).is_ok());
        let mut heard = begun();
        heard.now = Some(BrokerId(3));
        assert!(heard.stepped(MOST, Some(3), &all).is_ok() && heard.stepped(2 * MOST, Some(3), &all).is_ok());
    }
}
