//! One consumer group: what the log holds of it, and the round of membership in progress.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;

use super::alarms::Alarm;
use super::facts::{Committed, Id, StoredGroup, StoredMember};
use super::roster::{Member, Roster};
use super::turn::Turn;
use crate::time::{Now, Timestamp};

/// Events remembered for each group.
const HISTORY_KEPT: usize = 16;

/// Where a group stands (Kafka's `ClassicGroupState`; Dead is a group that is not there).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Nobody is in it.
    Empty,
    /// Members join.
    PreparingRebalance,
    /// All have joined; the leader's assignment is awaited.
    CompletingRebalance,
    /// The assignment is stored.
    Stable,
}

impl State {
    /// The name as Kafka spells it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Empty => "Empty",
            State::PreparingRebalance => "PreparingRebalance",
            State::CompletingRebalance => "CompletingRebalance",
            State::Stable => "Stable",
        }
    }
}

/// The first rebalance of a group that was empty: it waits a while for more members.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Initial {
    /// How much longer it may be extended.
    pub remaining_ms: i32,
    /// Someone has joined since the alarm was set.
    pub extend: bool,
}

/// A group. `stored` and `offsets` are hard state: a fold over the log that only `apply` changes. All else is soft and
/// rebuilt after a failover from `stored`.
#[derive(Debug)]
pub(crate) struct Group {
    pub id: Id,
    /// The last fact about the group.
    pub stored: Option<StoredGroup>,
    /// Committed offsets by topic and partition.
    pub offsets: BTreeMap<String, BTreeMap<i32, Committed>>,
    pub state: State,
    pub initial: Option<Initial>,
    pub generation: i32,
    pub protocol: Option<String>,
    pub roster: Roster,
    history: VecDeque<(Timestamp, String)>,
}

impl Group {
    pub(crate) fn new(id: Id) -> Group {
        Group {
            id,
            stored: None,
            offsets: BTreeMap::new(),
            state: State::Empty,
            initial: None,
            generation: 0,
            protocol: None,
            roster: Roster::default(),
            history: VecDeque::new(),
        }
    }

    /// Takes up the work where the stored generation left it, after a load: all members get a fresh session.
    pub(crate) fn resume(&mut self, turn: &mut Turn<'_>) {
        let Some(stored) = &self.stored else { return };
        self.generation = stored.generation;
        self.protocol = stored.protocol.clone();
        self.roster = Roster::default();
        self.roster.protocol_type = stored.protocol_type.clone();
        self.state = if stored.members.is_empty() { State::Empty } else { State::Stable };
        let protocol = stored.protocol.clone().unwrap_or_default();
        let protocol_type = stored.protocol_type.clone().unwrap_or_default();
        for (id, member) in &stored.members {
            let doubled = member.instance.as_deref().is_some_and(|i| self.roster.of_instance(i).is_some());
            if !doubled {
                self.roster.add(id.clone(), resumed(member, &protocol), &protocol_type);
                let alarm = Alarm::Session { group: self.id.clone(), member: id.clone() };
                turn.alarm(alarm, member.session_timeout_ms);
            }
        }
        // The first of the map leads by now; the log knows better, if it names someone who is there.
        let leads = stored.leader.clone().filter(|id| self.roster.members.contains_key(id));
        self.roster.leader = leads.or(self.roster.leader.take());
    }

    /// Forgets everything but committed offsets and what happened: the group was deleted.
    pub(crate) fn start_over(&mut self) {
        let old = std::mem::replace(self, Group::new(self.id.clone()));
        self.offsets = old.offsets;
        self.history = old.history;
    }

    /// What the log should hold of the group now, with what each member is assigned.
    pub(crate) fn to_store(&self, since: Timestamp, assigned: impl Fn(&str) -> Bytes) -> StoredGroup {
        let members = self.roster.members.iter().map(|(id, member)| {
            let subscription = member.metadata(self.protocol.as_deref()).cloned().unwrap_or_default();
            let stored = StoredMember {
                instance: member.instance.clone(),
                client_id: member.client_id.clone(),
                client_host: member.client_host.clone(),
                rebalance_timeout_ms: member.rebalance_timeout_ms,
                session_timeout_ms: member.session_timeout_ms,
                subscription,
                assignment: assigned(id),
            };
            (id.clone(), stored)
        });
        StoredGroup {
            protocol_type: self.roster.protocol_type.clone(),
            generation: self.generation,
            protocol: self.protocol.clone(),
            leader: self.roster.leader.clone(),
            since: Some(since),
            members: members.collect(),
        }
    }

    /// What the stored generation assigned to a member.
    pub(crate) fn assignment(&self, member: &str) -> Bytes {
        let stored = self.stored.as_ref().and_then(|s| s.members.get(member));
        stored.map(|m| m.assignment.clone()).unwrap_or_default()
    }

    /// Starts the session of a member afresh.
    pub(crate) fn heard_of(&self, turn: &mut Turn<'_>, member: &Id) {
        if let Some(known) = self.roster.members.get(member) {
            let alarm = Alarm::Session { group: self.id.clone(), member: member.clone() };
            turn.alarm(alarm, known.session_timeout_ms);
        }
    }

    /// Whether nothing would be lost with it: it was only talked to.
    pub(crate) fn is_nothing(&self) -> bool {
        self.stored.is_none()
            && self.offsets.is_empty()
            && self.state == State::Empty
            && self.roster.pending.is_empty()
    }

    /// Remembers an event, for people who ask why.
    pub(crate) fn note(&mut self, now: Now, event: String) {
        if self.history.len() == HISTORY_KEPT {
            self.history.pop_front();
        }
        self.history.push_back((now.wall, event));
    }

    /// The last events, oldest first.
    pub(crate) fn history(&self) -> impl Iterator<Item = &(Timestamp, String)> {
        self.history.iter()
    }
}

/// A member as it is right after a load.
fn resumed(stored: &StoredMember, protocol: &str) -> Member {
    Member {
        instance: stored.instance.clone(),
        client_id: stored.client_id.clone(),
        client_host: stored.client_host.clone(),
        rebalance_timeout_ms: stored.rebalance_timeout_ms,
        session_timeout_ms: stored.session_timeout_ms,
        protocols: vec![(protocol.to_owned(), stored.subscription.clone())],
        is_new: false,
        joining: None,
        syncing: None,
        owes_sync: false,
    }
}
