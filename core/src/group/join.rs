//! JoinGroup: who is let in, under which id, and whether a rebalance follows.

use bytes::Bytes;

use super::alarms::Alarm;
use super::answers::{join_refused, joined};
use super::facts::Id;
use super::roster::{Member, member_bytes};
use super::state::{Group, State};
use super::turn::Turn;
use crate::caller::{Caller, Client};
use crate::wire::ErrorCode;
use crate::wire::dialect::Dialect;
use crate::wire::messages::join_group::JoinGroupRequest;

/// The longest client id and host that are kept of a member.
const CLIENT_MAX: usize = 255;

/// A join request with everything that belongs to it.
pub(crate) struct Join {
    pub to: Caller,
    pub dialect: Dialect,
    pub client_id: String,
    pub client_host: String,
    pub session_timeout_ms: i32,
    pub rebalance_timeout_ms: i32,
    pub member_id: String,
    pub instance: Option<Id>,
    pub protocol_type: String,
    /// In bytes of their own: a member lives longer than the frame that its request came in.
    pub protocols: Vec<(String, Bytes)>,
    pub reason: String,
}

impl Join {
    pub(crate) fn new(to: Caller, from: &Client, dialect: Dialect, request: JoinGroupRequest) -> Join {
        let own = |bytes: &Bytes| Bytes::copy_from_slice(bytes);
        let session = request.session_timeout_ms;
        // A negative one cannot be meant: taken literally, the group would rebalance without end (KAFKA-8653).
        let rebalance = request.rebalance_timeout_ms;
        Join {
            to,
            dialect,
            client_id: start_of(&from.client_id),
            client_host: start_of(&from.host),
            session_timeout_ms: session,
            rebalance_timeout_ms: if rebalance < 0 { session } else { rebalance },
            member_id: request.member_id,
            instance: request.group_instance_id.map(Id::from),
            protocol_type: request.protocol_type,
            protocols: request.protocols.into_iter().map(|p| (p.name, own(&p.metadata))).collect(),
            reason: request.reason.map_or_else(|| "not provided".to_owned(), |r| start_of(&r)),
        }
    }

    fn refuse(self, turn: &mut Turn<'_>, member_id: &str, error: ErrorCode) {
        turn.answer(self.to, join_refused(member_id, error));
    }

    /// The member that this request makes.
    fn member(&self) -> Member {
        Member {
            instance: self.instance.clone(),
            client_id: self.client_id.clone(),
            client_host: self.client_host.clone(),
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            session_timeout_ms: self.session_timeout_ms,
            protocols: self.protocols.clone(),
            is_new: true,
            joining: None,
            syncing: None,
            owes_sync: false,
        }
    }
}

fn start_of(text: &str) -> String {
    text[..text.floor_char_boundary(CLIENT_MAX)].to_owned()
}

impl Group {
    /// Takes a join (`classicGroupJoinToClassicGroup`).
    pub(crate) fn join(&mut self, turn: &mut Turn<'_>, join: Join) {
        if !self.has_room(turn, &join) {
            let id = Id::from(join.member_id.as_str());
            self.roster.pending.remove(&id);
            self.remove(turn, &id, "the group is full");
            join.refuse(turn, "", ErrorCode::GROUP_MAX_SIZE_REACHED);
            self.complete_join_if_all_in(turn);
        } else if !self.speaks_with(&join) {
            let id = join.member_id.clone();
            join.refuse(turn, &id, ErrorCode::INCONSISTENT_GROUP_PROTOCOL);
        } else if !join.member_id.is_empty() {
            self.join_again(turn, join);
        } else if let Some(instance) = join.instance.clone() {
            self.join_static(turn, join, &instance);
        } else {
            self.join_dynamic(turn, join);
        }
    }

    /// Whether the joining member fits, in number and in bytes (`acceptJoiningMember`).
    fn has_room(&self, turn: &Turn<'_>, join: &Join) -> bool {
        let known = self.roster.members.get_key_value(join.member_id.as_str());
        let most = turn.config.max_size;
        let in_number = match self.state {
            State::Empty => true,
            // Those who wait are counted: the group may have been larger before the limit was lowered.
            State::PreparingRebalance => {
                known.is_some_and(|(_, m)| m.joining.is_some()) || self.roster.joined() < most
            }
            State::CompletingRebalance | State::Stable => known.is_some() || self.roster.members.len() < most,
        };
        let before = known.map_or(0, |(id, m)| member_bytes(id, m));
        // 64 bytes: what an id not given out yet adds beyond its prefix, and the group's own fields.
        let after = member_bytes(&join.client_id, &join.member()) + 64;
        in_number && self.roster.fact_bytes() - before + after <= turn.config.max_fact_bytes
    }

    fn speaks_with(&self, join: &Join) -> bool {
        if self.state == State::Empty {
            return !join.protocol_type.is_empty() && !join.protocols.is_empty();
        }
        self.roster.protocol_type.as_deref() == Some(&join.protocol_type)
            && self.roster.shares(&join.protocols)
    }

    /// A new dynamic member: from JoinGroup v4 on it is told its id first (KIP-394), so that a client whose answers get
    /// lost does not fill the group with members that nobody is.
    fn join_dynamic(&mut self, turn: &mut Turn<'_>, join: Join) {
        let id = Id::from(turn.ids.next(&join.client_id, turn.now.mono));
        if !join.dialect.join_needs_member_id {
            self.add_member(turn, join, id);
        } else if self.roster.pending.len() >= turn.config.max_pending_members {
            join.refuse(turn, "", ErrorCode::COORDINATOR_NOT_AVAILABLE);
        } else {
            let alarm = Alarm::Session { group: self.id.clone(), member: id.clone() };
            turn.alarm(alarm, join.session_timeout_ms);
            self.roster.pending.insert(id.clone());
            join.refuse(turn, &id, ErrorCode::MEMBER_ID_REQUIRED);
        }
    }

    fn join_static(&mut self, turn: &mut Turn<'_>, join: Join, instance: &Id) {
        let id = Id::from(turn.ids.next(instance, turn.now.mono));
        match self.roster.of_instance(instance).cloned() {
            Some(old) => self.replace_static(turn, join, &old, &id),
            None => self.add_member(turn, join, id),
        }
    }

    /// A join under an id that was given out before (`classicGroupJoinExistingMember`).
    fn join_again(&mut self, turn: &mut Turn<'_>, join: Join) {
        let id = Id::from(join.member_id.as_str());
        if join.instance.is_none() && self.roster.pending.contains(&id) {
            return self.add_member(turn, join, id);
        }
        if let Err(error) = self.roster.check(&id, join.instance.as_deref()) {
            return join.refuse(turn, &id, error);
        }
        let unchanged = self.roster.members[&id].protocols == join.protocols;
        let leads = self.roster.is_leader(&id);
        match self.state {
            State::Empty => join.refuse(turn, &id, ErrorCode::UNKNOWN_MEMBER_ID),
            State::PreparingRebalance => self.update_member(turn, join, &id, "joins"),
            // It did not get our answer, or it is a follower that lost its place: the generation stands.
            State::CompletingRebalance if unchanged => turn.answer(join.to, joined(self, &id)),
            State::Stable if unchanged && !leads => turn.answer(join.to, joined(self, &id)),
            // A leader joins again when something outside of the group changed, such as the partitions of a topic.
            State::Stable if leads => self.update_member(turn, join, &id, "the leader, joins again"),
            State::CompletingRebalance | State::Stable => {
                self.update_member(turn, join, &id, "joins with other metadata");
            }
        }
    }

    fn add_member(&mut self, turn: &mut Turn<'_>, join: Join, id: Id) {
        if let Some(initial) = &mut self.initial {
            initial.extend = true;
        }
        let mut member = join.member();
        member.joining = Some(turn.park(join.to, &self.id, &id));
        self.roster.add(id.clone(), member, &join.protocol_type);
        // It does not know its id until it is answered and cannot heartbeat: what ends is its patience, not its session.
        let alarm = Alarm::Session { group: self.id.clone(), member: id.clone() };
        turn.alarm(alarm, turn.config.new_member_join_timeout_ms);
        self.note(turn.now, format!("member {id} from {} joins: {}", join.client_host, join.reason));
        self.rebalance(turn, &format!("member {id} is new"));
    }

    fn update_member(&mut self, turn: &mut Turn<'_>, join: Join, id: &Id, what: &str) {
        let reason = format!("member {id} {what}: {}", join.reason);
        self.renew_member(turn, &join, id);
        self.wait_for_join(turn, &join, id);
        self.rebalance(turn, &reason);
    }

    /// Takes over what a request says of a member that is there.
    pub(crate) fn renew_member(&mut self, turn: &mut Turn<'_>, join: &Join, id: &Id) {
        let member = self.roster.members.get_mut(id).expect("checked by the caller");
        member.protocols.clone_from(&join.protocols);
        member.rebalance_timeout_ms = join.rebalance_timeout_ms;
        member.session_timeout_ms = join.session_timeout_ms;
        if let Some(earlier) = member.joining.take() {
            // The same member asks again: its earlier request has been given up, but must not stay unanswered.
            let answer = join_refused(id, ErrorCode::REBALANCE_IN_PROGRESS);
            turn.release(earlier, answer);
        }
    }

    /// Lets a join wait for the next generation.
    pub(crate) fn wait_for_join(&mut self, turn: &mut Turn<'_>, join: &Join, id: &Id) {
        let parked = turn.park(join.to, &self.id, id);
        self.roster.members.get_mut(id).expect("checked by the caller").joining = Some(parked);
    }
}
