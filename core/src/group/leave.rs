//! Heartbeat and LeaveGroup: a member is still there, or is not any more.

use super::alarms::Alarm;
use super::facts::Id;
use super::state::{Group, State};
use super::turn::Turn;
use crate::wire::ErrorCode;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::leave_group::{MemberIdentity, MemberResponse};

impl Group {
    /// Takes a heartbeat (`classicGroupHeartbeatToClassicGroup`). A member learns by it that it must join again; while
    /// the assignment is awaited it need not: it has joined, and its sync waits or is under way.
    pub(crate) fn heartbeat(&mut self, turn: &mut Turn<'_>, request: &HeartbeatRequest) -> ErrorCode {
        let id = Id::from(request.member_id.as_str());
        if let Err(error) = self.roster.check(&id, request.group_instance_id.as_deref()) {
            return error;
        }
        if request.generation_id != self.generation {
            return ErrorCode::ILLEGAL_GENERATION;
        }
        self.heard_of(turn, &id);
        match self.state {
            State::Empty => ErrorCode::UNKNOWN_MEMBER_ID,
            State::PreparingRebalance => ErrorCode::REBALANCE_IN_PROGRESS,
            State::CompletingRebalance | State::Stable => ErrorCode::NONE,
        }
    }

    /// Lets members leave, each for itself, then rebalances once (`classicGroupLeaveToClassicGroup`).
    pub(crate) fn leave(&mut self, turn: &mut Turn<'_>, leaving: Vec<MemberIdentity>) -> Vec<MemberResponse> {
        let before = self.roster.members.len();
        let answers: Vec<MemberResponse> =
            leaving.into_iter().map(|identity| self.leave_one(turn, identity)).collect();
        if self.roster.members.len() < before {
            self.after_removal(turn, "members left");
        } else if answers.iter().any(|a| a.error_code == ErrorCode::NONE) {
            self.complete_join_if_all_in(turn);
        }
        answers
    }

    fn leave_one(&mut self, turn: &mut Turn<'_>, leaving: MemberIdentity) -> MemberResponse {
        let error_code = match self.who_leaves(&leaving) {
            Ok(id) => {
                let reason = leaving.reason.as_deref().unwrap_or("LeaveGroup");
                if self.roster.pending.remove(&id) {
                    turn.alarms.cancel(&Alarm::Session { group: self.id.clone(), member: id });
                } else {
                    self.remove(turn, &id, &reason[..reason.floor_char_boundary(255)]);
                }
                ErrorCode::NONE
            }
            Err(error) => error,
        };
        let MemberIdentity { member_id, group_instance_id, .. } = leaving;
        MemberResponse { member_id, group_instance_id, error_code }
    }

    /// An administrator names a static member by its instance id alone; everyone else names the member id.
    fn who_leaves(&self, leaving: &MemberIdentity) -> Result<Id, ErrorCode> {
        let instance = leaving.group_instance_id.as_deref();
        if leaving.member_id.is_empty() {
            let of_instance = instance.and_then(|i| self.roster.of_instance(i));
            return of_instance.cloned().ok_or(ErrorCode::UNKNOWN_MEMBER_ID);
        }
        let id = Id::from(leaving.member_id.as_str());
        if !self.roster.pending.contains(&id) {
            self.roster.check(&id, instance)?;
        }
        Ok(id)
    }
}
