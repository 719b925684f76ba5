//! Every request about groups, from the door to the group and back.

use super::answers::{join_refused, sync_refused};
use super::commit::{self, TopicView};
use super::describe;
use super::facts::Id;
use super::fetch;
use super::groups::Groups;
use super::join::Join;
use super::refuse::refusal;
use super::shard::Standing;
use super::state::Group;
use crate::caller::{Caller, Client};
use crate::coordinator::{Answer, Decision};
use crate::time::Now;
use crate::wire::dialect::Dialect;
use crate::wire::messages as m;
use crate::wire::{ErrorCode, Request, Response};

/// Who asks, when, and what it sees: all of a request but the request.
#[derive(Clone, Copy)]
struct Asker<'a> {
    now: Now,
    to: Caller,
    from: &'a Client,
    dialect: Dialect,
    topics: &'a dyn TopicView,
}

impl Groups {
    /// Takes a request: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, DescribeGroups, ListGroups, DeleteGroups,
    /// OffsetCommit, OffsetFetch or OffsetDelete. Any other is a mistake of the caller. Joins and syncs may wait; each is
    /// answered exactly once, now or by a later call, unless its connection goes first.
    pub fn handle(
        &mut self,
        now: Now,
        to: Caller,
        from: &Client,
        dialect: Dialect,
        request: Request,
        topics: &dyn TopicView,
    ) -> Decision {
        let mut out = Decision::default();
        let asker = Asker { now, to, from, dialect, topics };
        match request {
            Request::DescribeGroups(r) => self.describe(asker, r, &mut out),
            Request::ListGroups(r) => self.list(asker, &r, &mut out),
            Request::DeleteGroups(r) => self.delete(asker, r, &mut out),
            Request::OffsetCommit(r) => self.commit(asker, r, &mut out),
            Request::OffsetFetch(r) => self.fetch(asker, r, &mut out),
            of_one_group => match self.admit(&of_one_group) {
                Ok(shard) => self.take(shard, asker, of_one_group, &mut out),
                Err(error) => {
                    let response = heartbeat_while_loading(&of_one_group, error)
                        .unwrap_or_else(|| refusal(&of_one_group, error));
                    out.replies.push(Answer { to, response, after: Vec::new() });
                }
            },
        }
        self.decided(out)
    }

    /// The shard of a request about one group, if it is valid and this broker answers for it.
    fn admit(&self, request: &Request) -> Result<i32, ErrorCode> {
        let group_id = match request {
            Request::JoinGroup(r) => &r.group_id,
            Request::SyncGroup(r) => &r.group_id,
            Request::Heartbeat(r) => &r.group_id,
            Request::LeaveGroup(r) => &r.group_id,
            Request::OffsetDelete(r) => &r.group_id,
            other => panic!("{} is not for the group coordinator", other.key().name()),
        };
        // Committing and fetching without a group id is old custom; being a member of it never was.
        if group_id.is_empty() {
            return Err(ErrorCode::INVALID_GROUP_ID);
        }
        if let Request::JoinGroup(r) = request {
            let allowed = self.config.min_session_timeout_ms..=self.config.max_session_timeout_ms;
            if !allowed.contains(&r.session_timeout_ms) {
                return Err(ErrorCode::INVALID_SESSION_TIMEOUT);
            }
        }
        self.check(group_id)
    }

    /// The shard of a group, if this broker answers for it.
    fn check(&self, group_id: &str) -> Result<i32, ErrorCode> {
        let shard = self.shard_of(group_id);
        self.shard(shard).check().map(|()| shard)
    }

    /// Takes a request about one group whose shard is led here.
    fn take(&mut self, shard: i32, asker: Asker<'_>, request: Request, out: &mut Decision) {
        match request {
            Request::JoinGroup(r) => self.join(shard, asker, r, out),
            Request::SyncGroup(r) => {
                let (groups, mut turn) = self.turn(shard, asker.now, out);
                match groups.get_mut(r.group_id.as_str()) {
                    Some(group) => group.sync(&mut turn, asker.to, asker.dialect, r),
                    None => turn.answer(asker.to, sync_refused(ErrorCode::UNKNOWN_MEMBER_ID)),
                }
            }
            Request::Heartbeat(r) => {
                let (groups, mut turn) = self.turn(shard, asker.now, out);
                let group = groups.get_mut(r.group_id.as_str());
                let error_code = group.map_or(ErrorCode::UNKNOWN_MEMBER_ID, |g| g.heartbeat(&mut turn, &r));
                turn.answer(asker.to, m::heartbeat::HeartbeatResponse { error_code, ..Default::default() });
            }
            Request::LeaveGroup(r) => self.leave(shard, asker, r, out),
            Request::OffsetDelete(r) => {
                let (groups, mut turn) = self.turn(shard, asker.now, out);
                let answer = match groups.get(r.group_id.as_str()) {
                    Some(group) => group.delete_offsets(&mut turn, r, asker.topics).into(),
                    None => refusal(&Request::OffsetDelete(r), ErrorCode::GROUP_ID_NOT_FOUND),
                };
                turn.answer(asker.to, answer);
            }
            other => panic!("{} was taken elsewhere", other.key().name()),
        }
    }

    fn join(
        &mut self,
        shard: i32,
        asker: Asker<'_>,
        request: m::join_group::JoinGroupRequest,
        out: &mut Decision,
    ) {
        let id = Id::from(request.group_id.as_str());
        let (groups, mut turn) = self.turn(shard, asker.now, out);
        let full = groups.len() >= turn.config.max_groups_per_shard;
        if let Err(error) = may_create(groups.contains_key(&id), full, &request.member_id) {
            return turn.answer(asker.to, join_refused(&request.member_id, error));
        }
        let group = groups.entry(id.clone()).or_insert_with(|| Group::new(id.clone()));
        group.join(&mut turn, Join::new(asker.to, asker.from, asker.dialect, request));
        if out.facts.is_empty() {
            self.shard_mut(shard).tidy(&id);
        }
    }

    fn leave(
        &mut self,
        shard: i32,
        asker: Asker<'_>,
        request: m::leave_group::LeaveGroupRequest,
        out: &mut Decision,
    ) {
        let (groups, mut turn) = self.turn(shard, asker.now, out);
        let members = match groups.get_mut(request.group_id.as_str()) {
            Some(group) => group.leave(&mut turn, request.members),
            None => request.members.into_iter().map(unknown_leaver).collect(),
        };
        turn.answer(asker.to, m::leave_group::LeaveGroupResponse { members, ..Default::default() });
        if out.facts.is_empty() {
            self.shard_mut(shard).tidy(&request.group_id);
        }
    }

    fn commit(
        &mut self,
        asker: Asker<'_>,
        request: m::offset_commit::OffsetCommitRequest,
        out: &mut Decision,
    ) {
        let shard = self.shard_of(&request.group_id);
        let standing = self.shard(shard).check();
        let (groups, mut turn) = self.turn(shard, asker.now, out);
        let group = groups.get(request.group_id.as_str());
        let full = groups.len() >= turn.config.max_groups_per_shard;
        let verdict = standing.and_then(|()| match group {
            Some(group) => group.check_commit(&request),
            None if request.generation_id_or_member_epoch < 0 && full => {
                Err(ErrorCode::COORDINATOR_NOT_AVAILABLE)
            }
            None if request.generation_id_or_member_epoch < 0 => Ok(()),
            None if asker.dialect.commit_tells_missing_group => Err(ErrorCode::GROUP_ID_NOT_FOUND),
            None => Err(ErrorCode::ILLEGAL_GENERATION),
        });
        if let (Ok(()), Some(group)) = (verdict, group) {
            group.commit_is_heartbeat(&mut turn, &request.member_id);
        }
        let answer = commit::commit(&mut turn, request, verdict, asker.topics);
        let after = if standing.is_ok() { vec![shard] } else { Vec::new() };
        out.replies.push(Answer { to: asker.to, response: answer.into(), after });
    }

    /// The group, if this broker answers for it and it is there, with the shard that the answer speaks of.
    fn look_up(&self, group_id: &str, after: &mut Vec<i32>) -> Result<Option<&Group>, ErrorCode> {
        let shard = self.check(group_id)?;
        if !after.contains(&shard) {
            after.push(shard);
        }
        Ok(self.shard(shard).groups.get(group_id))
    }

    fn fetch(&self, asker: Asker<'_>, request: m::offset_fetch::OffsetFetchRequest, out: &mut Decision) {
        let mut after = Vec::new();
        let groups = request.groups.into_iter().map(|mut of_group| {
            let asked = fetch::asked(&mut of_group);
            let (topics, error_code) = match self.look_up(&of_group.group_id, &mut after) {
                Ok(group) => (fetch::offsets(group, asked), ErrorCode::NONE),
                Err(error) => (fetch::refused(asked, asker.dialect.fetch_offsets_tells_group_error), error),
            };
            m::offset_fetch::OffsetFetchResponseGroup { group_id: of_group.group_id, topics, error_code }
        });
        let groups = groups.collect();
        let answer = m::offset_fetch::OffsetFetchResponse { groups, ..Default::default() };
        out.replies.push(Answer { to: asker.to, response: answer.into(), after });
    }

    fn describe(
        &self,
        asker: Asker<'_>,
        request: m::describe_groups::DescribeGroupsRequest,
        out: &mut Decision,
    ) {
        let mut after = Vec::new();
        let asked = request.include_authorized_operations;
        let groups = request.groups.into_iter().map(|group_id| match self.look_up(&group_id, &mut after) {
            Ok(Some(group)) => describe::with_operations(describe::describe(group), asked),
            Ok(None) => describe::describe_missing(group_id, asker.dialect.describe_tells_missing_group),
            Err(error_code) => {
                m::describe_groups::DescribedGroup { error_code, group_id, ..Default::default() }
            }
        });
        let groups = groups.collect();
        let answer = m::describe_groups::DescribeGroupsResponse { groups, ..Default::default() };
        out.replies.push(Answer { to: asker.to, response: answer.into(), after });
    }

    /// Lists the groups of all shards led here; while one of them loads the list would be wrong.
    fn list(&self, asker: Asker<'_>, request: &m::list_groups::ListGroupsRequest, out: &mut Decision) {
        let mut answer = m::list_groups::ListGroupsResponse::default();
        let mut after = Vec::new();
        if self.shards.iter().any(|s| s.standing == Standing::Loading) {
            answer.error_code = ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
        } else {
            let groups = self.shards.iter().flat_map(|s| s.groups.values());
            answer.groups = groups.filter_map(|g| describe::list(g, request)).collect();
            after = (0..self.shards.len() as i32).filter(|s| self.leads(*s)).collect();
        }
        out.replies.push(Answer { to: asker.to, response: answer.into(), after });
    }

    fn delete(
        &mut self,
        asker: Asker<'_>,
        request: m::delete_groups::DeleteGroupsRequest,
        out: &mut Decision,
    ) {
        let mut after = Vec::new();
        let mut results = Vec::new();
        for group_id in request.groups_names {
            let error_code = match self.check(&group_id) {
                Ok(shard) => {
                    after.push(shard);
                    let (groups, mut turn) = self.turn(shard, asker.now, out);
                    describe::delete(&mut turn, groups.get(group_id.as_str()))
                }
                Err(error) => error,
            };
            results.push(m::delete_groups::DeletableGroupResult { group_id, error_code });
        }
        after.sort_unstable();
        after.dedup();
        let answer = m::delete_groups::DeleteGroupsResponse { results, ..Default::default() };
        out.replies.push(Answer { to: asker.to, response: Response::from(answer), after });
    }
}

/// Whether a join may go on: only one without a member id makes a group that is not there.
fn may_create(known: bool, full: bool, member_id: &str) -> Result<(), ErrorCode> {
    match (known, member_id.is_empty()) {
        (true, _) => Ok(()),
        (false, false) => Err(ErrorCode::UNKNOWN_MEMBER_ID),
        (false, true) if full => Err(ErrorCode::COORDINATOR_NOT_AVAILABLE),
        (false, true) => Ok(()),
    }
}

/// A member that heartbeats while its coordinator loads is fine: its session begins afresh after the load.
fn heartbeat_while_loading(request: &Request, error: ErrorCode) -> Option<Response> {
    let fine = matches!(request, Request::Heartbeat(_)) && error == ErrorCode::COORDINATOR_LOAD_IN_PROGRESS;
    fine.then(|| m::heartbeat::HeartbeatResponse::default().into())
}

fn unknown_leaver(leaving: m::leave_group::MemberIdentity) -> m::leave_group::MemberResponse {
    m::leave_group::MemberResponse {
        member_id: leaving.member_id,
        group_instance_id: leaving.group_instance_id,
        error_code: ErrorCode::UNKNOWN_MEMBER_ID,
    }
}
