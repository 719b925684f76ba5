//! A rebalance: who is waited for, how long, and how the next generation begins.

use super::alarms::Alarm;
use super::answers::{join_refused, joined, sync_refused};
use super::facts::{Id, group_stored};
use super::roster::Member;
use super::state::{Group, Initial, State};
use super::turn::Turn;
use crate::wire::ErrorCode;

impl Group {
    /// Begins a rebalance, or moves the one under way on (`maybePrepareRebalanceOrCompleteJoin`).
    pub(crate) fn rebalance(&mut self, turn: &mut Turn<'_>, reason: &str) {
        if self.state == State::PreparingRebalance {
            self.complete_join_if_all_in(turn);
        } else {
            self.prepare_rebalance(turn, reason);
        }
    }

    /// Begins a rebalance: from now on members join.
    pub(crate) fn prepare_rebalance(&mut self, turn: &mut Turn<'_>, reason: &str) {
        self.note(turn.now, format!("rebalance of generation {} begins: {reason}", self.generation));
        if self.state == State::CompletingRebalance {
            self.refuse_syncs(turn, ErrorCode::REBALANCE_IN_PROGRESS);
        }
        for member in self.roster.members.values_mut() {
            member.owes_sync = false;
        }
        turn.alarms.cancel(&self.sync_alarm());
        let was_empty = self.state == State::Empty;
        self.state = State::PreparingRebalance;
        if was_empty {
            self.begin_initial(turn);
        } else if self.roster.all_joined() {
            self.complete_join(turn);
        } else {
            turn.alarm(self.join_alarm(), self.roster.rebalance_timeout_ms());
        }
    }

    /// The group was empty: more members are likely to come, so that a rebalance for each would be a waste.
    fn begin_initial(&mut self, turn: &mut Turn<'_>) {
        let delay_ms = turn.config.initial_rebalance_delay_ms.max(0);
        let remaining_ms = self.roster.rebalance_timeout_ms().saturating_sub(delay_ms).max(0);
        if delay_ms == 0 {
            self.complete_join(turn);
        } else {
            self.initial = Some(Initial { remaining_ms, extend: false });
            turn.alarm(self.join_alarm(), delay_ms);
        }
    }

    /// The join alarm has gone off.
    pub(crate) fn on_join_alarm(&mut self, turn: &mut Turn<'_>) {
        if self.state != State::PreparingRebalance {
            return;
        }
        match &mut self.initial {
            Some(initial) if initial.extend && initial.remaining_ms > 0 => {
                let delay_ms = turn.config.initial_rebalance_delay_ms.min(initial.remaining_ms);
                *initial = Initial { remaining_ms: initial.remaining_ms - delay_ms, extend: false };
                turn.alarm(self.join_alarm(), delay_ms);
            }
            _ => self.complete_join(turn),
        }
    }

    /// Ends the joining when nobody is missing; but not before the initial delay is over.
    pub(crate) fn complete_join_if_all_in(&mut self, turn: &mut Turn<'_>) {
        if self.state == State::PreparingRebalance && self.initial.is_none() && self.roster.all_joined() {
            self.complete_join(turn);
        }
    }

    /// Ends the joining: who has not joined is out, static members excepted, whose session decides.
    fn complete_join(&mut self, turn: &mut Turn<'_>) {
        turn.alarms.cancel(&self.join_alarm());
        self.initial = None;
        let absent = |m: &Member| m.joining.is_none() && m.instance.is_none();
        let late: Vec<Id> =
            self.roster.members.iter().filter(|(_, m)| absent(m)).map(|(id, _)| id.clone()).collect();
        for id in late {
            self.remove(turn, &id, "did not rejoin within the rebalance timeout");
        }
        if self.roster.members.is_empty() {
            self.become_empty(turn);
        } else if self.elect() {
            self.begin_generation(turn);
        } else {
            // Only static members, all silent: wait until one comes back or their sessions end.
            turn.alarm(self.join_alarm(), self.roster.rebalance_timeout_ms().max(1));
        }
    }

    /// Sees to it that the leader is someone who has joined. False when nobody has.
    fn elect(&mut self) -> bool {
        let joined = |id: &Id| self.roster.members.get(id).is_some_and(|m| m.joining.is_some());
        if !self.roster.leader.as_ref().is_some_and(joined) {
            let Some(leader) = self.roster.members.keys().find(|id| joined(id)) else { return false };
            self.roster.leader = Some(leader.clone());
        }
        true
    }

    fn become_empty(&mut self, turn: &mut Turn<'_>) {
        self.next_generation();
        self.protocol = None;
        self.state = State::Empty;
        self.note(turn.now, format!("empty in generation {}", self.generation));
        let stored = self.to_store(turn.now.wall, |_| Default::default());
        turn.record(group_stored(&self.id, &stored));
    }

    fn begin_generation(&mut self, turn: &mut Turn<'_>) {
        self.next_generation();
        self.protocol = self.roster.select_protocol();
        assert!(self.protocol.is_some(), "a member is let in only if it shares a protocol with all others");
        self.state = State::CompletingRebalance;
        let count = self.roster.members.len();
        self.note(turn.now, format!("generation {} has {count} members", self.generation));
        let ids: Vec<Id> = self.roster.members.keys().cloned().collect();
        for id in &ids {
            let member = self.roster.members.get_mut(id).expect("its key was just listed");
            member.is_new = false;
            member.owes_sync = true;
            if let Some(parked) = member.joining.take() {
                turn.release(parked, joined(self, id));
                self.heard_of(turn, id);
            }
        }
        turn.alarm(self.sync_alarm(), self.roster.rebalance_timeout_ms());
    }

    fn next_generation(&mut self) {
        // Negative generations mean "none" on the wire, so the count starts again below zero's edge.
        self.generation = self.generation.checked_add(1).unwrap_or(0);
    }

    /// The sync alarm has gone off: members that never asked for their assignment are out (KAFKA-12890).
    pub(crate) fn on_sync_alarm(&mut self, turn: &mut Turn<'_>) {
        if !matches!(self.state, State::CompletingRebalance | State::Stable) {
            return;
        }
        let owing = self.roster.members.iter().filter(|(_, m)| m.owes_sync);
        let owing: Vec<Id> = owing.map(|(id, _)| id.clone()).collect();
        if !owing.is_empty() {
            for id in &owing {
                self.remove(turn, id, "did not sync within the rebalance timeout");
            }
            self.prepare_rebalance(turn, "members did not sync");
        }
    }

    /// The session of a member, or of an id given out, has ended.
    pub(crate) fn on_session_alarm(&mut self, turn: &mut Turn<'_>, id: &Id) {
        if self.roster.pending.remove(id) {
            self.note(turn.now, format!("member id {id} was never used"));
            self.complete_join_if_all_in(turn);
        } else if let Some(member) = self.roster.members.get(id)
            && !member.waits()
        {
            let reason = format!("session timeout of {} ms", member.session_timeout_ms);
            self.remove(turn, id, &reason);
            self.after_removal(turn, "a member's session ended");
        }
    }

    /// What follows when members are gone.
    pub(crate) fn after_removal(&mut self, turn: &mut Turn<'_>, reason: &str) {
        match self.state {
            State::Stable | State::CompletingRebalance => self.prepare_rebalance(turn, reason),
            State::PreparingRebalance => self.complete_join_if_all_in(turn),
            State::Empty => {}
        }
    }

    /// Takes a member out. Its waiting requests are told that it is unknown, so that it joins anew if it lives.
    pub(crate) fn remove(&mut self, turn: &mut Turn<'_>, id: &Id, reason: &str) {
        turn.alarms.cancel(&Alarm::Session { group: self.id.clone(), member: id.clone() });
        let Some(member) = self.roster.remove(id) else { return };
        self.note(turn.now, format!("member {id} left: {reason}"));
        if let Some(parked) = member.joining {
            let answer = join_refused("", ErrorCode::UNKNOWN_MEMBER_ID);
            turn.release(parked, answer);
        }
        if let Some(parked) = member.syncing {
            turn.release(parked, sync_refused(ErrorCode::UNKNOWN_MEMBER_ID));
        }
    }

    /// Tells everyone who waits for an assignment that there is none, and starts their sessions afresh.
    pub(crate) fn refuse_syncs(&mut self, turn: &mut Turn<'_>, error: ErrorCode) {
        let waiting = self.roster.members.iter().filter(|(_, m)| m.syncing.is_some());
        let waiting: Vec<Id> = waiting.map(|(id, _)| id.clone()).collect();
        for id in &waiting {
            let member = self.roster.members.get_mut(id).expect("its key was just listed");
            if let Some(parked) = member.syncing.take() {
                turn.release(parked, sync_refused(error));
                self.heard_of(turn, id);
            }
        }
    }

    pub(crate) fn join_alarm(&self) -> Alarm {
        Alarm::Join { group: self.id.clone() }
    }

    pub(crate) fn sync_alarm(&self) -> Alarm {
        Alarm::Sync { group: self.id.clone() }
    }
}
