//! Static members (KIP-345): one that restarts takes its own place again, under a new id, without a rebalance if it can.

use super::alarms::Alarm;
use super::answers::{join_refused, joined, members, sync_refused};
use super::facts::{Id, StoredGroup, group_stored};
use super::join::Join;
use super::state::{Group, State};
use super::subscription;
use super::turn::Turn;
use crate::wire::ErrorCode;
use crate::wire::messages::join_group::JoinGroupResponse;

impl Group {
    /// Gives the place of a static member to the one that joins as it now (`updateStaticMemberThenRebalanceOrCompleteJoin`).
    pub(crate) fn replace_static(&mut self, turn: &mut Turn<'_>, join: Join, old: &Id, new: &Id) {
        let old_leader = self.roster.leader.clone();
        self.fence(turn, old);
        self.roster.rename(old, new);
        self.renew_member(turn, &join, new);
        let member = self.roster.members.get_mut(new).expect("it was renamed a line above");
        member.is_new = false;
        member.client_id.clone_from(&join.client_id);
        member.client_host.clone_from(&join.client_host);
        self.heard_of(turn, new);
        self.note(turn.now, format!("member {old} came back as {new}: {}", join.reason));
        match self.state {
            State::Stable => match self.kept_assignment(turn, old, new) {
                Some(stored) => {
                    turn.record(group_stored(&self.id, &stored));
                    turn.answer(join.to, self.welcome_back(&join, new, old_leader));
                }
                None => {
                    self.wait_for_join(turn, &join, new);
                    self.prepare_rebalance(turn, "a static member came back with other metadata");
                }
            },
            // The leader may have been told the old id: its assignment would miss the new one (KAFKA-9801).
            State::CompletingRebalance => {
                self.wait_for_join(turn, &join, new);
                self.prepare_rebalance(turn, "a static member came back while its assignment was awaited");
            }
            State::PreparingRebalance | State::Empty => {
                self.wait_for_join(turn, &join, new);
                self.complete_join_if_all_in(turn);
            }
        }
    }

    /// Ends what the old id waits for: two that are one member must not both go on (KAFKA-8500).
    fn fence(&mut self, turn: &mut Turn<'_>, old: &Id) {
        turn.alarms.cancel(&Alarm::Session { group: self.id.clone(), member: old.clone() });
        let member = self.roster.members.get_mut(old).expect("a static member's id names a member");
        let (joining, syncing) = (member.joining.take(), member.syncing.take());
        if let Some(parked) = joining {
            let answer = join_refused(old, ErrorCode::FENCED_INSTANCE_ID);
            turn.release(parked, answer);
        }
        if let Some(parked) = syncing {
            turn.release(parked, sync_refused(ErrorCode::FENCED_INSTANCE_ID));
        }
    }

    /// The group with the new id in place of the old one and all assignments kept, if nothing that matters has changed:
    /// the protocol stays, and a consumer reads the same topics. (What else its metadata holds, such as the partitions
    /// it owned, differs after every restart. Kafka does not compare the topics but with KIP-814 leaves it to the leader.)
    fn kept_assignment(&self, turn: &Turn<'_>, old: &Id, new: &Id) -> Option<StoredGroup> {
        let stored = self.stored.as_ref()?;
        if self.roster.select_protocol() != self.protocol {
            return None;
        }
        if self.roster.protocol_type.as_deref() == Some(subscription::CONSUMER) {
            let before = subscription::topics(&stored.members.get(old)?.subscription);
            let after = self.roster.members[new].metadata(self.protocol.as_deref());
            if before != after.and_then(|metadata| subscription::topics(metadata)) {
                return None;
            }
        }
        let assigned = |id: &str| self.assignment(if *id == **new { old } else { id });
        let kept = self.to_store(stored.since.unwrap_or(turn.now.wall), assigned);
        let bytes = group_stored(&self.id, &kept).value.map_or(0, |value| value.len());
        (bytes <= turn.config.max_fact_bytes).then_some(kept)
    }

    /// The answer to a member whose place was kept. An old client that led before must not lead under its new id: it
    /// would assign anew while nobody waits for that. From v9 on it may, and is told to skip the assignment.
    fn welcome_back(&self, join: &Join, new: &Id, old_leader: Option<Id>) -> JoinGroupResponse {
        let answer = JoinGroupResponse { members: Vec::new(), ..joined(self, new) };
        if !join.dialect.join_skips_assignment {
            let leader = old_leader.as_deref().unwrap_or("").to_owned();
            JoinGroupResponse { leader, ..answer }
        } else if self.roster.is_leader(new) {
            JoinGroupResponse { members: members(self), skip_assignment: true, ..answer }
        } else {
            answer
        }
    }
}
