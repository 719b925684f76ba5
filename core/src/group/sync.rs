//! SyncGroup: the leader's assignment becomes a fact, and everyone gets a share of it.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::answers::{sync_refused, synced};
use super::facts::{Id, group_stored};
use super::state::{Group, State};
use super::turn::Turn;
use crate::caller::Caller;
use crate::wire::ErrorCode;
use crate::wire::dialect::Dialect;
use crate::wire::messages::sync_group::{SyncGroupRequest, SyncGroupRequestAssignment};

impl Group {
    /// Takes a sync (`classicGroupSyncToClassicGroup`).
    pub(crate) fn sync(
        &mut self,
        turn: &mut Turn<'_>,
        to: Caller,
        dialect: Dialect,
        request: SyncGroupRequest,
    ) {
        let id = Id::from(request.member_id.as_str());
        // From v5 on a member must say which protocol it means (KIP-559).
        if dialect.sync_names_protocol && (request.protocol_type.is_none() || request.protocol_name.is_none())
        {
            return turn.answer(to, sync_refused(ErrorCode::INCONSISTENT_GROUP_PROTOCOL));
        }
        if let Err(error) = self.check_sync(&id, &request) {
            return turn.answer(to, sync_refused(error));
        }
        match self.state {
            State::Empty => turn.answer(to, sync_refused(ErrorCode::UNKNOWN_MEMBER_ID)),
            State::PreparingRebalance => turn.answer(to, sync_refused(ErrorCode::REBALANCE_IN_PROGRESS)),
            State::CompletingRebalance => {
                self.wait_for_sync(turn, to, &id);
                if self.roster.is_leader(&id) {
                    self.assign(turn, request.assignments);
                }
            }
            State::Stable => {
                self.has_synced(turn, &id);
                turn.answer(to, synced(self, self.assignment(&id)));
            }
        }
    }

    fn check_sync(&self, id: &Id, request: &SyncGroupRequest) -> Result<(), ErrorCode> {
        self.roster.check(id, request.group_instance_id.as_deref())?;
        if request.generation_id != self.generation {
            return Err(ErrorCode::ILLEGAL_GENERATION);
        }
        let differ = |theirs: &Option<String>, ours: &Option<String>| {
            theirs.is_some() && ours.is_some() && theirs != ours
        };
        if differ(&request.protocol_type, &self.roster.protocol_type)
            || differ(&request.protocol_name, &self.protocol)
        {
            return Err(ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        }
        Ok(())
    }

    fn wait_for_sync(&mut self, turn: &mut Turn<'_>, to: Caller, id: &Id) {
        self.has_synced(turn, id);
        let parked = turn.park(to, &self.id, id);
        let member = self.roster.members.get_mut(id).expect("checked by the caller");
        if let Some(earlier) = member.syncing.replace(parked) {
            // The same member asks again: its earlier request has been given up, but must not stay unanswered.
            turn.release(earlier, sync_refused(ErrorCode::REBALANCE_IN_PROGRESS));
        }
    }

    /// The member has asked for its assignment. When all have, nobody is waited for.
    fn has_synced(&mut self, turn: &mut Turn<'_>, id: &Id) {
        self.roster.members.get_mut(id).expect("checked by the caller").owes_sync = false;
        if !self.roster.members.values().any(|m| m.owes_sync) {
            turn.alarms.cancel(&self.sync_alarm());
        }
    }

    /// The leader has spoken: the generation becomes a fact, and all who wait get their share once it is committed.
    /// A member that the leader left out gets nothing, not an error.
    fn assign(&mut self, turn: &mut Turn<'_>, assignments: Vec<SyncGroupRequestAssignment>) {
        let shares: BTreeMap<String, Bytes> =
            assignments.into_iter().map(|a| (a.member_id, a.assignment)).collect();
        let share = |id: &str| shares.get(id).cloned().unwrap_or_default();
        let fact = group_stored(&self.id, &self.to_store(turn.now.wall, share));
        let bytes = fact.value.as_ref().map_or(0, Bytes::len);
        if bytes > turn.config.max_fact_bytes {
            let most = turn.config.max_fact_bytes;
            self.note(
                turn.now,
                format!("the assignment needs {bytes} bytes, more than the {most} of a record"),
            );
            self.refuse_syncs(turn, ErrorCode::UNKNOWN_SERVER_ERROR);
            return self.prepare_rebalance(turn, "the assignment is too large to be stored");
        }
        turn.record(fact);
        self.state = State::Stable;
        self.note(turn.now, format!("generation {} is stable", self.generation));
        let waiting = self.roster.members.iter().filter(|(_, m)| m.syncing.is_some());
        let waiting: Vec<Id> = waiting.map(|(id, _)| id.clone()).collect();
        for id in &waiting {
            let member = self.roster.members.get_mut(id).expect("its key was just listed");
            if let Some(parked) = member.syncing.take() {
                turn.release(parked, synced(self, share(id)));
                self.heard_of(turn, id);
            }
        }
    }
}
