//! One partition of `__consumer_offsets` as its coordinator sees it: the groups whose facts lie there.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::time::Duration;

use super::alarms::{Alarm, Alarms};
use super::facts::{self, Id, Key, Unreadable};
use super::state::{Group, State};
use super::turn::Turn;
use crate::coordinator::{Fact, Replicated};
use crate::time::{Instant, Timestamp};
use crate::wire::ErrorCode;

/// Groups looked through for expired offsets in one go.
const GROUPS_PER_LOOK: usize = 100;

/// What this broker is to a shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing: another broker leads it, or nobody.
    Elsewhere,
    /// Its coordinator to be, still replaying.
    Loading,
    /// Its coordinator.
    Leading,
}

/// A shard.
#[derive(Debug)]
pub(crate) struct Shard {
    pub standing: Standing,
    pub groups: BTreeMap<Id, Group>,
    pub alarms: Alarms,
    /// Facts that were skipped since they could not be read.
    pub skipped: u64,
    /// Facts decided and not yet applied. The broker applies them before it brings the next input.
    pub unapplied: usize,
    /// Where the look for expired offsets goes on.
    cursor: Option<Id>,
}

impl Shard {
    pub(crate) fn new(standing: Standing) -> Shard {
        Shard {
            standing,
            groups: BTreeMap::new(),
            alarms: Alarms::default(),
            skipped: 0,
            unapplied: 0,
            cursor: None,
        }
    }

    /// Whether this broker may speak for the shard.
    pub(crate) fn check(&self) -> Result<(), ErrorCode> {
        match self.standing {
            Standing::Leading => Ok(()),
            Standing::Loading => Err(ErrorCode::COORDINATOR_LOAD_IN_PROGRESS),
            Standing::Elsewhere => Err(ErrorCode::NOT_COORDINATOR),
        }
    }

    fn take(&mut self, fact: &Fact) -> Result<(), Unreadable> {
        match facts::read_key(&fact.key)? {
            Key::Offset { group, topic, partition } => match &fact.value {
                Some(value) => {
                    let committed = facts::read_committed(value)?;
                    let offsets = &mut entry(&mut self.groups, &group).offsets;
                    offsets.entry(topic).or_default().insert(partition, committed);
                }
                None => self.forget_offset(&group, &topic, partition),
            },
            Key::Group { group } => match &fact.value {
                Some(value) => {
                    let stored = facts::read_group(value)?;
                    entry(&mut self.groups, &group).stored = Some(stored);
                }
                None => self.forget_group(&group),
            },
        }
        Ok(())
    }

    /// That there is nothing to forget is no error: compaction may have taken what the tombstone is about (KAFKA-17306).
    fn forget_offset(&mut self, group: &str, topic: &str, partition: i32) {
        let Some(known) = self.groups.get_mut(group) else { return };
        if let Some(offsets) = known.offsets.get_mut(topic) {
            offsets.remove(&partition);
            if offsets.is_empty() {
                known.offsets.remove(topic);
            }
        }
        self.tidy(group);
    }

    fn forget_group(&mut self, group: &str) {
        let Some(known) = self.groups.get_mut(group) else { return };
        known.stored = None;
        if known.state == State::Empty {
            for member in &known.roster.pending {
                let member = member.clone();
                self.alarms.cancel(&Alarm::Session { group: known.id.clone(), member });
            }
            known.start_over();
        }
        self.tidy(group);
    }

    /// Drops a group of which nothing is left.
    pub(crate) fn tidy(&mut self, group: &str) {
        if self.groups.get(group).is_some_and(Group::is_nothing) {
            self.groups.remove(group);
        }
    }
}

impl Replicated for Shard {
    fn apply(&mut self, fact: &Fact, _written: Timestamp) {
        if self.take(fact).is_err() {
            self.skipped += 1;
        }
    }
}

fn entry<'a>(groups: &'a mut BTreeMap<Id, Group>, group: &str) -> &'a mut Group {
    let id = Id::from(group);
    groups.entry(id.clone()).or_insert_with(|| Group::new(id))
}

/// Looks through the next groups for what has expired, and sets the alarm for the look after this one.
pub(crate) fn look_for_expired(
    groups: &BTreeMap<Id, Group>,
    cursor: Option<Id>,
    turn: &mut Turn<'_>,
) -> Option<Id> {
    let from = cursor.as_deref().map_or(Unbounded, Excluded);
    let mut last = None;
    for (id, group) in groups.range::<str, _>((from, Unbounded)).take(GROUPS_PER_LOOK) {
        group.expire(turn);
        last = Some(id);
    }
    let more = last.filter(|id| groups.range::<str, _>((Excluded(&***id), Unbounded)).next().is_some());
    let next = if more.is_some() {
        a_moment_later(turn)
    } else {
        turn.now.mono.after_ms(turn.config.offsets_retention_check_interval_ms.max(1))
    };
    turn.alarms.set(Alarm::Expiry, next);
    more.cloned()
}

/// Not now: the same wake must not go on with it.
fn a_moment_later(turn: &Turn<'_>) -> Instant {
    turn.now.mono + Duration::from_micros(1)
}

/// Takes an alarm that has gone off.
pub(crate) fn on_alarm(
    groups: &mut BTreeMap<Id, Group>,
    cursor: &mut Option<Id>,
    alarm: Alarm,
    turn: &mut Turn<'_>,
) {
    match alarm {
        // What this wake has decided is not applied yet: a group that it found empty would be judged by when it was so before.
        Alarm::Expiry if turn.has_decided() => turn.alarms.set(Alarm::Expiry, a_moment_later(turn)),
        Alarm::Expiry => *cursor = look_for_expired(groups, cursor.take(), turn),
        Alarm::Join { group } => with(groups, &group, |g| g.on_join_alarm(turn)),
        Alarm::Sync { group } => with(groups, &group, |g| g.on_sync_alarm(turn)),
        Alarm::Session { group, member } => with(groups, &group, |g| g.on_session_alarm(turn, &member)),
    }
}

fn with(groups: &mut BTreeMap<Id, Group>, id: &Id, act: impl FnOnce(&mut Group)) {
    if let Some(group) = groups.get_mut(id) {
        act(group);
    }
}

impl Shard {
    /// The parts that a turn needs apart from each other.
    pub(crate) fn parts(&mut self) -> (&mut BTreeMap<Id, Group>, &mut Option<Id>, &mut Alarms) {
        (&mut self.groups, &mut self.cursor, &mut self.alarms)
    }
}
