//! What a group has at hand while it takes one input: the time, its shard's alarms, and the decision in the making.

use std::collections::BTreeMap;

use crate::caller::Caller;
use crate::coordinator::{Answer, Decision, Fact};
use crate::ids::ConnId;
use crate::time::Now;
use crate::wire::Response;

use super::alarms::{Alarm, Alarms};
use super::config::GroupConfig;
use super::facts::Id;
use super::ids::MemberIds;

/// One input's worth of work in one shard.
pub(crate) struct Turn<'a> {
    pub now: Now,
    pub config: &'a GroupConfig,
    pub shard: i32,
    pub alarms: &'a mut Alarms,
    pub parks: &'a mut Parks,
    pub ids: &'a mut MemberIds,
    pub out: &'a mut Decision,
}

impl Turn<'_> {
    /// Answers, once everything decided so far in this shard is committed.
    pub(crate) fn answer(&mut self, to: Caller, response: impl Into<Response>) {
        self.out.replies.push(Answer { to, response: response.into(), after: vec![self.shard] });
    }

    /// Decides a fact.
    pub(crate) fn record(&mut self, fact: Fact) {
        self.out.facts.push((self.shard, fact));
    }

    /// Whether there are facts of this shard that are decided, and not applied before the next input.
    pub(crate) fn has_decided(&self) -> bool {
        self.out.facts.iter().any(|(shard, _)| *shard == self.shard)
    }

    /// Sets an alarm `ms` milliseconds from now.
    pub(crate) fn alarm(&mut self, alarm: Alarm, ms: i32) {
        self.alarms.set(alarm, self.now.mono.after_ms(i64::from(ms)));
    }

    /// Lets a request wait for the group.
    pub(crate) fn park(&mut self, to: Caller, group: &Id, member: &Id) -> Parked {
        let place = Place { shard: self.shard, group: group.clone(), member: member.clone() };
        let before = self.parks.0.insert(to, place);
        assert!(before.is_none(), "{to:?} waits already: a request was taken twice");
        Parked { to: Some(to) }
    }

    /// Answers a request that has waited; nobody, when its connection has gone.
    pub(crate) fn release(&mut self, parked: Parked, response: impl Into<Response>) {
        if let Some(to) = parked.to {
            self.parks.0.remove(&to);
            self.answer(to, response);
        }
    }
}

/// A join or sync that waits for the group.
#[derive(Debug)]
pub(crate) struct Parked {
    /// Whom to answer; `None` once the connection has gone. The member still counts as waiting, as in Kafka.
    pub to: Option<Caller>,
}

/// Where each waiting request waits, so that a lost connection finds its own.
#[derive(Debug, Default)]
pub(crate) struct Parks(BTreeMap<Caller, Place>);

/// The member for which a request waits.
#[derive(Debug)]
pub(crate) struct Place {
    pub shard: i32,
    pub group: Id,
    pub member: Id,
}

impl Parks {
    /// Takes out every request of a connection.
    pub(crate) fn gone(&mut self, conn: ConnId) -> Vec<(Caller, Place)> {
        let mut own = self.0.split_off(&Caller { conn, seq: 0 });
        if let Some(next) = conn.0.checked_add(1) {
            self.0.append(&mut own.split_off(&Caller { conn: ConnId(next), seq: 0 }));
        }
        own.into_iter().collect()
    }

    /// Takes out every request of a shard.
    pub(crate) fn leave_shard(&mut self, shard: i32) -> Vec<(Caller, Place)> {
        self.0.extract_if(.., |_, place| place.shard == shard).collect()
    }

    /// How many requests wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}
