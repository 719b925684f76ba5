//! Whether the replicas of several brokers are all in sync soon once all is healed, and nobody keeps what is no replica.

use quipu_core::broker::Broker;
use quipu_core::client::TopicPartition;
use quipu_core::ids::LogId;

use super::agenda::Moment;
use super::{Phase, World};

/// In how long every replica must be in sync once all is healed, and no other log be left.
const SYNCS_IN: Moment = 60_000_000;
/// More bytes than a throttled replica ever has to catch up on.
const CATCHES_UP: u64 = 40_000_000;
/// Once they were, for so long nobody may be put out again before it counts.
const STAYS_FOR: Moment = 5_000_000;

impl World {
    /// Whether all replicas are in sync and have been for long enough. Claims L3 and L4 are judged here.
    pub(super) fn replicas_rest(&mut self) -> bool {
        if self.servers.len() < 2
            || self.phase == Phase::Load
            || self.history.damaged
            || self.watch.canon.torn
        {
            return true;
        }
        let now = self.agenda.now();
        let syncs_in = SYNCS_IN + self.throttled_for();
        let late = now > self.whole_since() + syncs_in;
        let lags = self.out_of_sync();
        match (&lags, self.synced_since) {
            (None, None) => self.synced_since = Some(now),
            (Some(_), Some(since)) if since < self.whole_since() => self.synced_since = None,
            (Some(story), Some(_)) => {
                let story = format!("they were all in sync, and are no more: {story}");
                self.watch.breaks(
                    "L3",
                    "once all is healed all replicas come to be in sync, and stay",
                    story,
                );
            }
            (Some(story), None) if late => {
                let story = format!("{} s after all was healed: {story}", syncs_in / 1_000_000);
                self.watch.breaks(
                    "L3",
                    "once all is healed all replicas come to be in sync, and stay",
                    story,
                );
            }
            _ => {}
        }
        let rests = lags.is_none() && self.synced_since.is_some_and(|since| now >= since + STAYS_FOR);
        rests && self.nothing_strays(late)
    }

    /// Whether nobody keeps what is no replica, or it is too late for it to be removed.
    fn nothing_strays(&mut self, late: bool) -> bool {
        let Some(stray) = self.stray() else { return true };
        if late {
            self.watch.breaks("L4", "no broker keeps what it is no replica of", stray);
        }
        late
    }

    /// How much longer it may take where replicas that catch up are throttled.
    pub(super) fn throttled_for(&self) -> Moment {
        let rate = |side: &str| self.plan.config(&format!("{side}.replication.throttled.rate"), 0);
        let rates = [rate("leader"), rate("follower")].into_iter().filter(|rate| *rate > 0);
        rates.min().map_or(0, |rate| CATCHES_UP * 1_000_000 / rate as Moment)
    }

    /// A partition of which not all replicas are in sync, by the newest metadata that any broker has.
    fn out_of_sync(&self) -> Option<String> {
        let brokers = self.servers.iter().filter_map(|server| server.broker());
        let newest = brokers.max_by_key(|broker| broker.metadata_position())?;
        let lags = newest.image().partitions().find(|(.., state)| {
            state.is_reassigning() || state.isr.len() < state.replicas.len() || state.leader.is_none()
        });
        lags.map(|(topic, partition, state)| format!("{}-{partition} is {state:?}", topic.name))
    }

    /// Where a damaged disk has left fewer in sync than there must be, a leader does not know what is committed: nothing was read to its
    /// end there.
    pub(super) fn judge_ends(&mut self) {
        if !self.history.damaged {
            return;
        }
        for broker in self.servers.iter().filter_map(|server| server.broker()) {
            for (log, topic, _) in
                broker.logs().filter(|(log, ..)| broker.leads(log.id()) && !broker.knows_end(log.id()))
            {
                let of = TopicPartition::new(topic, log.id().partition);
                if let Some(read) = self.history.logs.get_mut(&of) {
                    read.unreadable = Some("its leader does not know what is committed".to_owned());
                }
            }
        }
    }

    /// A directory of a log that its broker does not have.
    fn stray(&self) -> Option<String> {
        self.servers.iter().find_map(|server| {
            let broker = server.broker().filter(|broker| broker.is_ready())?;
            let paths = server.disk.paths();
            let dirs = paths.keys().filter_map(|path| path.split_once('/')).map(|(dir, _)| dir);
            let stray = dirs.into_iter().find(|dir| is_log(dir) && !has(broker, dir))?;
            Some(format!("broker {} has {stray} on its disk", server.id + 1))
        })
    }
}

/// `<topic>-<partition>-<topic id>`.
fn is_log(dir: &str) -> bool {
    let id = dir.len().checked_sub(22).and_then(|at| dir.get(at..));
    id.and_then(quipu_core::ids::TopicId::parse).is_some()
}

fn has(broker: &Broker, dir: &str) -> bool {
    let ends = |log: LogId| dir.ends_with(&format!("-{}-{}", log.partition, log.topic));
    broker.logs().any(|(log, ..)| ends(log.id()))
}
