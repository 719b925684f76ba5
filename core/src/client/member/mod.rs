//! A member of a consumer group, classic protocol: joins, syncs, beats, commits, and rejoins when the group changes.

pub(crate) mod assign;
mod commit;
mod join;

use std::collections::BTreeMap;

use crate::ids::{BrokerId, Offset};
use crate::time::Instant;
use crate::wire::messages::heartbeat::HeartbeatRequest;
use crate::wire::messages::leave_group::{LeaveGroupRequest, MemberIdentity};
use crate::wire::{ErrorCode, Request, Response};

use super::cluster::Cluster;
use super::consumer::Consumer;
use super::coordinators::Coordinators;
use super::door::{Event, Failure, TopicPartition};
use super::link::Line;
use super::net::{Ask, AskId, Done, Lost, Net, Owner, Peer};
use super::settings::MemberSettings;
use assign::{Strategy, Subscriber};
use commit::Commits;

/// What a member acts upon.
pub(crate) struct World<'a> {
    pub(crate) net: &'a mut Net,
    pub(crate) cluster: &'a mut Cluster,
    pub(crate) coordinators: &'a mut Coordinators,
    pub(crate) consumer: &'a mut Consumer,
}

/// A member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    settings: MemberSettings,
    /// Its id; empty until the coordinator gives one.
    id: String,
    generation: i32,
    stage: Stage,
    /// The request of the stage in flight.
    asking: Option<AskId>,
    retry_at: Instant,
    attempts: u32,
    assignment: Vec<TopicPartition>,
    commits: Commits,
    beating: Option<AskId>,
    next_beat: Instant,
    /// Until when leaving may take; set when the user wants to leave.
    leaving: Option<Instant>,
}

/// How far the member is.
#[derive(Debug)]
enum Stage {
    /// To send JoinGroup, or waiting for its answer.
    Join,
    /// It leads the group and waits for the topics' partitions to be known before it can assign them.
    Assign { strategy: Strategy, members: Vec<Subscriber> },
    /// To send SyncGroup (with everybody's assignment, if it leads), or waiting for its answer.
    Sync { protocol: String, assignments: BTreeMap<String, assign::Share> },
    /// To ask for the committed offsets of its partitions, or waiting for the answer.
    Offsets,
    /// At work.
    Stable,
    /// To send LeaveGroup, or waiting for its answer.
    Leave,
    /// Over.
    Gone,
}

impl Member {
    pub(crate) fn new(settings: MemberSettings) -> Member {
        Member {
            settings,
            id: String::new(),
            generation: -1,
            stage: Stage::Join,
            asking: None,
            retry_at: Instant::default(),
            attempts: 0,
            assignment: Vec::new(),
            commits: Commits::default(),
            beating: None,
            next_beat: Instant::default(),
            leaving: None,
        }
    }

    /// Whether it is no longer a member, and needs nothing any more.
    pub(crate) fn is_gone(&self) -> bool {
        matches!(self.stage, Stage::Gone)
    }

    /// Marks records as processed. Those of partitions that are no longer its own are ignored.
    pub(crate) fn processed(&mut self, of: TopicPartition, next: Offset) {
        if self.assignment.contains(&of) {
            self.commits.mark(of, next);
        }
    }

    /// Commits what is processed.
    pub(crate) fn commit(&mut self, net: &mut Net, tag: u64) {
        self.commits.want(net, tag);
    }

    /// Leaves, after a last commit.
    pub(crate) fn leave(&mut self, net: &Net) {
        if self.leaving.is_none() {
            self.leaving = Some(net.now.mono.after_ms(net.settings.request_timeout_ms));
        }
    }

    /// Another member takes its place in this client: commits that wait are answered, and its partitions are not read.
    pub(crate) fn give_up(&mut self, net: &mut Net, consumer: &mut Consumer) {
        consumer.assign(Vec::new());
        self.commits.drop_all(net, &Failure::local("the client has joined a group anew"));
    }

    /// Does everything that can be done now.
    pub(crate) fn pump(&mut self, world: &mut World<'_>) {
        if self.is_gone() || self.leave_in_time(world) {
            return;
        }
        let Some(coordinator) = world.coordinators.of(world.net, &self.settings.group) else {
            let trouble = world.coordinators.trouble(&self.settings.group).cloned();
            return match trouble {
                Some(failure) if failure.code.is_err() && !failure.code.retriable() => {
                    self.expelled(world, failure)
                }
                _ => {}
            };
        };
        self.beat(world.net, coordinator);
        self.pump_commits(world.net, coordinator);
        if self.asking.is_some() || !world.net.due(self.retry_at) {
            return;
        }
        match &self.stage {
            // What is processed is committed before the partitions may go to others.
            Stage::Join if !self.commits.is_quiet() => {}
            Stage::Join => self.ask_join(world.net, coordinator),
            Stage::Assign { .. } => self.assign_all(world, coordinator),
            Stage::Sync { .. } => self.ask_sync(world.net, coordinator),
            Stage::Offsets => self.ask_committed(world, coordinator),
            Stage::Leave => self.ask_leave(world.net, coordinator),
            Stage::Stable | Stage::Gone => {}
        }
    }

    /// Moves towards leaving when that is wanted. Says whether it is over.
    fn leave_in_time(&mut self, world: &mut World<'_>) -> bool {
        let Some(until) = self.leaving else { return false };
        if !matches!(self.stage, Stage::Leave) {
            let members = !self.id.is_empty();
            let settled = matches!(self.stage, Stage::Stable | Stage::Offsets);
            self.commits.want_last(settled);
            if self.commits.is_quiet() {
                world.consumer.assign(Vec::new());
                (self.stage, self.asking) = (if members { Stage::Leave } else { Stage::Gone }, None);
            }
        }
        if matches!(self.stage, Stage::Gone) || world.net.due(until) {
            // Also without an answer: others may have the partitions by now.
            world.consumer.assign(Vec::new());
            self.commits.drop_all(world.net, &Failure::local("the group was left"));
            self.stage = Stage::Gone;
            world.net.event(Event::Left);
            return true;
        }
        false
    }

    fn ask(&self, net: &mut Net, coordinator: BrokerId, line: Line, request: Request) -> AskId {
        let parked = matches!(request, Request::JoinGroup(_) | Request::SyncGroup(_));
        // A coordinator holds these back until all members are in.
        let longer_ms = if parked { i64::from(self.settings.rebalance_timeout_ms) + 5_000 } else { 0 };
        let timeout_ms = net.settings.request_timeout_ms.max(longer_ms);
        let (peer, owner) = (Peer::Broker(coordinator), Owner::Member);
        net.ask(Ask::new(peer, line, owner, request, timeout_ms))
    }

    fn beat(&mut self, net: &mut Net, coordinator: BrokerId) {
        let alive = matches!(self.stage, Stage::Stable | Stage::Offsets);
        if !alive || self.beating.is_some() || !net.due(self.next_beat) {
            return;
        }
        let request = HeartbeatRequest {
            group_id: self.settings.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.settings.instance.clone(),
        };
        self.next_beat = net.now.mono.after_ms(self.settings.heartbeat_ms);
        self.beating = Some(self.ask(net, coordinator, Line::Group, request.into()));
    }

    fn ask_leave(&mut self, net: &mut Net, coordinator: BrokerId) {
        let member = MemberIdentity {
            member_id: self.id.clone(),
            group_instance_id: self.settings.instance.clone(),
            reason: Some("the consumer is being closed".into()),
        };
        let request = LeaveGroupRequest {
            group_id: self.settings.group.clone(),
            members: vec![member],
            ..Default::default()
        };
        // Not on the group's line: a JoinGroup may be parked there.
        self.asking = Some(self.ask(net, coordinator, Line::Main, request.into()));
    }

    pub(crate) fn answered(&mut self, world: &mut World<'_>, done: Done) {
        if self.beating == Some(done.ask) {
            self.beating = None;
            return match done.result {
                Ok(Response::Heartbeat(r)) => self.obey(world, r.error_code),
                Ok(_) => {}
                Err(_) => world.coordinators.doubt(&self.settings.group),
            };
        }
        if self.commits.is_asking(done.ask) {
            return self.commit_answered(world, done);
        }
        if self.asking != Some(done.ask) {
            return;
        }
        self.asking = None;
        match done.result {
            Ok(Response::JoinGroup(r)) => self.joined(world, r),
            Ok(Response::SyncGroup(r)) => self.synced(world, r),
            Ok(Response::OffsetFetch(r)) => self.offsets_found(world, r),
            // Whatever it says: the coordinator has heard.
            Ok(Response::LeaveGroup(_)) => self.leaving = Some(world.net.now.mono),
            Ok(_) => self.try_later(world.net),
            Err(Lost::Unsupported(text)) => self.expelled(world, Failure::local(text)),
            Err(_) => {
                world.coordinators.doubt(&self.settings.group);
                self.try_later(world.net);
            }
        }
    }

    /// Does what an error code of the coordinator means for a member.
    fn obey(&mut self, world: &mut World<'_>, code: ErrorCode) {
        match code {
            ErrorCode::NONE => self.attempts = 0,
            ErrorCode::REBALANCE_IN_PROGRESS => self.rejoin(world, false),
            ErrorCode::ILLEGAL_GENERATION => self.rejoin(world, true),
            ErrorCode::UNKNOWN_MEMBER_ID => {
                self.id.clear();
                self.rejoin(world, true);
            }
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                world.coordinators.doubt(&self.settings.group);
                self.try_later(world.net);
            }
            code if code.retriable() => self.try_later(world.net),
            code => {
                self.expelled(world, Failure::broker(code, format_args!("group {}", self.settings.group)))
            }
        }
    }

    fn try_later(&mut self, net: &Net) {
        self.retry_at = net.retry_at(self.attempts);
        self.attempts = self.attempts.saturating_add(1);
    }

    /// Gives the partitions up and joins the next generation. `lost`: they are somebody else's already.
    fn rejoin(&mut self, world: &mut World<'_>, lost: bool) {
        world.consumer.assign(Vec::new());
        if lost {
            self.commits.drop_all(world.net, &Failure::local("the group has moved on without this member"));
        } else {
            self.commits.want_last(true);
        }
        let partitions = std::mem::take(&mut self.assignment);
        if !partitions.is_empty() {
            world.net.event(Event::Revoked { partitions, lost });
        }
        if self.leaving.is_none() || !matches!(self.stage, Stage::Leave) {
            (self.stage, self.asking) = (Stage::Join, None);
        }
    }

    fn expelled(&mut self, world: &mut World<'_>, failure: Failure) {
        self.rejoin(world, true);
        self.stage = Stage::Gone;
        world.net.event(Event::Expelled(failure));
        if self.leaving.is_some() {
            world.net.event(Event::Left);
        }
    }
}
