//! All coordinator shards of this broker: loading, leading, resigning, waking.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::alarms::Alarm;
use super::answers::{join_refused, sync_refused};
use super::commit::TopicView;
use super::config::GroupConfig;
use super::facts::Id;
use super::ids::MemberIds;
use super::shard::{Shard, Standing, look_for_expired, on_alarm};
use super::state::Group;
use super::turn::{Parks, Turn};
use crate::coordinator::{Answer, Decision, Fact, Replicated};
use crate::ids::ConnId;
use crate::time::{Instant, Now, Timestamp};
use crate::wire::ErrorCode;

/// Alarms looked at in one wake, over all shards. What is left brings the next wake at once.
const ALARMS_PER_WAKE: usize = 256;
/// What a look through a hundred groups counts against that.
const EXPIRY_COST: usize = 31;

/// The group coordinator of this broker (Kafka's `GroupCoordinatorService`), for all partitions of `__consumer_offsets`.
///
/// The broker appends the facts of each [`Decision`], applies them at once and in order with [`Groups::apply`], and
/// releases each answer when the log ends of its partitions are committed. When an append fails it takes the waiting
/// answers back with [`super::not_coordinator`], calls [`Groups::resign`] and loads the shard again.
#[derive(Debug)]
pub struct Groups {
    pub(super) config: GroupConfig,
    pub(super) shards: Vec<Shard>,
    pub(super) parks: Parks,
    pub(super) ids: MemberIds,
    /// The shard that the next wake begins with, so that a busy one does not starve the others.
    first: usize,
}

impl Groups {
    /// A coordinator that leads none of its `shards` (`offsets.topic.num.partitions`; at least one) yet.
    pub fn new(config: GroupConfig, shards: i32) -> Groups {
        assert!(shards > 0, "__consumer_offsets has at least one partition");
        let ids = MemberIds::new(config.id_seed);
        let shards = (0..shards).map(|_| Shard::new(Standing::Elsewhere)).collect();
        Groups { config, shards, parks: Parks::default(), ids, first: 0 }
    }

    /// The partition of `__consumer_offsets` that a group's facts lie in (`GroupCoordinatorService.partitionFor`).
    pub fn shard_of(&self, group_id: &str) -> i32 {
        let hash =
            group_id.encode_utf16().fold(0i32, |h, unit| h.wrapping_mul(31).wrapping_add(i32::from(unit)));
        // Kafka's `Utils.abs`: the one number without a positive twin counts as 0.
        hash.checked_abs().unwrap_or(0) % self.shards.len() as i32
    }

    /// Whether this broker answers for a shard: it leads it and has loaded it.
    pub fn leads(&self, shard: i32) -> bool {
        self.shard(shard).standing == Standing::Leading
    }

    /// Whether this broker is about to lead a shard, and answers "loading".
    pub fn is_loading(&self, shard: i32) -> bool {
        self.shard(shard).standing == Standing::Loading
    }

    /// This broker has become the leader of a shard's partition: from now on it replays, and answers "loading".
    pub fn lead(&mut self, shard: i32) {
        assert_eq!(self.shard(shard).standing, Standing::Elsewhere, "shard {shard} is led already");
        *self.shard_mut(shard) = Shard::new(Standing::Loading);
    }

    /// Takes the next record of a shard that is loading, in log order.
    pub fn replay(&mut self, shard: i32, key: Bytes, value: Option<Bytes>, timestamp: Timestamp) {
        let loading = self.shard_mut(shard);
        assert_eq!(loading.standing, Standing::Loading, "shard {shard} is not loading");
        loading.apply(&Fact { key, value }, timestamp);
    }

    /// A shard is replayed to its end: it answers from now on (`GroupMetadataManager.onLoaded`). Offsets in topics that
    /// `topics` does not know are forgotten, so it must show the cluster as of this leadership, or later: a topic may have
    /// been deleted while nobody led the shard.
    pub fn loaded(&mut self, now: Now, shard: i32, topics: &dyn TopicView) -> Decision {
        let loading = self.shard_mut(shard);
        assert_eq!(loading.standing, Standing::Loading, "shard {shard} is not loading");
        loading.standing = Standing::Leading;
        let mut out = Decision::default();
        let (groups, mut turn) = self.turn(shard, now, &mut out);
        for group in groups.values_mut() {
            group.resume(&mut turn);
            group.forget_missing(&mut turn, topics);
            if group.roster.members.len() > turn.config.max_size {
                group.prepare_rebalance(&mut turn, "the group is larger than group.max.size allows now");
            }
        }
        look_for_expired(&BTreeMap::new(), None, &mut turn);
        self.decided(out)
    }

    /// This broker leads a shard no more: its state is dropped, and everyone who waited is sent to look for the new
    /// coordinator. That it was not led is no error.
    pub fn resign(&mut self, shard: i32) -> Vec<Answer> {
        let waiting = self.parks.leave_shard(shard);
        let old = std::mem::replace(self.shard_mut(shard), Shard::new(Standing::Elsewhere));
        let mut groups = old.groups;
        let mut answers = Vec::new();
        for (to, place) in waiting {
            let member = groups.get_mut(&place.group).and_then(|g| g.roster.members.get_mut(&place.member));
            let Some(member) = member else { panic!("{to:?} waits for a member that is not there") };
            let joins = member.joining.take_if(|parked| parked.to == Some(to)).is_some();
            let response = if joins {
                join_refused(&place.member, ErrorCode::NOT_COORDINATOR).into()
            } else {
                sync_refused(ErrorCode::NOT_COORDINATOR).into()
            };
            answers.push(Answer { to, response, after: Vec::new() });
        }
        answers
    }

    /// Applies a fact of the last decision, in order. `written` is the timestamp of its record.
    pub fn apply(&mut self, shard: i32, fact: &Fact, written: Timestamp) {
        let own = self.shard_mut(shard);
        assert!(own.unapplied > 0, "shard {shard} has decided no such fact");
        own.unapplied -= 1;
        own.apply(fact, written);
    }

    /// When [`Groups::on_wake`] is wanted next.
    pub fn next_deadline(&self) -> Option<Instant> {
        self.shards.iter().filter_map(|shard| shard.alarms.next()).min()
    }

    /// Ends what is due: sessions, joins, syncs, old offsets. Bounded work: what is left keeps the next deadline in the past.
    pub fn on_wake(&mut self, now: Now) -> Decision {
        let mut out = Decision::default();
        let mut budget = ALARMS_PER_WAKE;
        let count = self.shards.len();
        for at in 0..count {
            let shard = (self.first + at) % count;
            self.wake_shard(shard as i32, now, &mut budget, &mut out);
        }
        self.first = (self.first + 1) % count;
        self.decided(out)
    }

    fn wake_shard(&mut self, shard: i32, now: Now, budget: &mut usize, out: &mut Decision) {
        while let Some(alarm) = self.shard_mut(shard).alarms.pop(now.mono, budget) {
            let group = match &alarm {
                Alarm::Expiry => {
                    *budget = budget.saturating_sub(EXPIRY_COST);
                    None
                }
                Alarm::Join { group } | Alarm::Sync { group } | Alarm::Session { group, .. } => {
                    Some(group.clone())
                }
            };
            let before = out.facts.len();
            let Groups { config, shards, parks, ids, .. } = self;
            let (groups, cursor, alarms) = shards[shard as usize].parts();
            let mut turn = Turn { now, config, shard, alarms, parks, ids, out };
            on_alarm(groups, cursor, alarm, &mut turn);
            if let Some(group) = group.filter(|_| out.facts.len() == before) {
                self.shard_mut(shard).tidy(&group);
            }
        }
    }

    /// A connection has ended: what it waited for is not answered. Its members stay until their sessions end, as in Kafka.
    pub fn gone(&mut self, conn: ConnId) {
        for (to, place) in self.parks.gone(conn) {
            let group = self.shard_mut(place.shard).groups.get_mut(&place.group);
            let Some(member) = group.and_then(|g| g.roster.members.get_mut(&place.member)) else {
                panic!("{to:?} waited for a member that is not there");
            };
            for parked in [&mut member.joining, &mut member.syncing].into_iter().flatten() {
                parked.to = parked.to.filter(|own| *own != to);
            }
        }
    }

    /// A topic is gone: so are its committed offsets, lest a topic of the same name is resumed in the middle (KAFKA-2000).
    /// Shards that are loading see to it themselves when they are loaded.
    pub fn topic_deleted(&mut self, now: Now, topic: &str) -> Decision {
        struct AllBut<'a>(&'a str);
        impl TopicView for AllBut<'_> {
            fn partitions(&self, topic: &str) -> Option<i32> {
                (topic != self.0).then_some(i32::MAX)
            }
        }
        let mut out = Decision::default();
        for shard in 0..self.shards.len() as i32 {
            if self.leads(shard) {
                let (groups, mut turn) = self.turn(shard, now, &mut out);
                for group in groups.values().filter(|g| g.offsets.contains_key(topic)) {
                    group.forget_missing(&mut turn, &AllBut(topic));
                }
            }
        }
        self.decided(out)
    }

    /// How many facts of a shard were skipped because they could not be read: written by a newer broker, for another kind
    /// of group, or damaged.
    pub fn skipped(&self, shard: i32) -> u64 {
        self.shard(shard).skipped
    }

    /// What happened to a group lately, oldest first: when, and what, for people who ask why it rebalanced.
    pub fn history(&self, group_id: &str) -> Vec<(Timestamp, String)> {
        let shard = self.shard(self.shard_of(group_id));
        shard.groups.get(group_id).map_or_else(Vec::new, |g| g.history().cloned().collect())
    }

    /// Counts the facts of a decision, which are to be applied before the next input.
    pub(super) fn decided(&mut self, out: Decision) -> Decision {
        for (shard, _) in &out.facts {
            self.shard_mut(*shard).unapplied += 1;
        }
        out
    }

    /// The groups of a shard, and a turn to take with them.
    pub(super) fn turn<'a>(
        &'a mut self,
        shard: i32,
        now: Now,
        out: &'a mut Decision,
    ) -> (&'a mut BTreeMap<Id, Group>, Turn<'a>) {
        let Groups { config, shards, parks, ids, .. } = self;
        let own = &mut shards[shard as usize];
        assert_eq!(own.unapplied, 0, "facts of shard {shard} are applied before the next input");
        let (groups, _, alarms) = own.parts();
        (groups, Turn { now, config, shard, alarms, parks, ids, out })
    }

    pub(super) fn shard(&self, shard: i32) -> &Shard {
        &self.shards[shard as usize]
    }

    pub(super) fn shard_mut(&mut self, shard: i32) -> &mut Shard {
        &mut self.shards[shard as usize]
    }
}
