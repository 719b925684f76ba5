//! What a member has processed and what of it is committed: one OffsetCommit at a time, fenced by the generation.

use std::collections::BTreeMap;

use crate::ids::{BrokerId, Offset};
use crate::time::Instant;
use crate::wire::messages::offset_commit::{
    OffsetCommitRequest, OffsetCommitRequestPartition, OffsetCommitRequestTopic, OffsetCommitResponse,
};
use crate::wire::{ErrorCode, Response};

use super::{Member, World};
use crate::client::door::{Event, Failure, Outcome, TopicPartition};
use crate::client::link::Line;
use crate::client::net::{AskId, Done, Lost, Net};

/// The commits of a member.
#[derive(Debug, Default)]
pub(crate) struct Commits {
    /// Where each partition is to go on, as far as it is processed.
    processed: BTreeMap<TopicPartition, Offset>,
    /// What is known to be committed.
    committed: BTreeMap<TopicPartition, Offset>,
    /// Users' commits that wait for the next request.
    wanted: Vec<u64>,
    /// A commit of the member's own is due.
    due: bool,
    /// When the next commit of its own is due.
    next: Option<Instant>,
    every_ms: Option<i64>,
    flight: Option<Flight>,
}

/// The commit that is under way.
#[derive(Debug)]
struct Flight {
    asking: Option<AskId>,
    tags: Vec<u64>,
    offsets: BTreeMap<TopicPartition, Offset>,
    /// Until when it is tried.
    until: Instant,
    retry_at: Instant,
    attempts: u32,
    /// Whether it may have been done.
    unknown: bool,
}

impl Commits {
    /// A new generation: nothing is processed, nothing known to be committed.
    pub(super) fn begin(&mut self, net: &Net, every_ms: Option<i64>) {
        self.processed.clear();
        self.committed.clear();
        self.due = false;
        self.every_ms = every_ms;
        self.next = every_ms.map(|ms| net.now.mono.after_ms(ms));
    }

    pub(super) fn mark(&mut self, of: TopicPartition, next: Offset) {
        let known = self.processed.entry(of).or_insert(next);
        *known = next.max(*known);
    }

    pub(super) fn want(&mut self, net: &mut Net, tag: u64) {
        self.wanted.push(tag);
        self.answer_idle(net);
    }

    /// A last commit before the partitions are given up: of the member's own if it commits by itself.
    pub(super) fn want_last(&mut self, settled: bool) {
        self.due |= settled && self.every_ms.is_some() && !self.fresh().is_empty();
    }

    /// Whether nothing is to be committed.
    pub(super) fn is_quiet(&self) -> bool {
        self.flight.is_none() && self.wanted.is_empty() && !self.due
    }

    pub(super) fn is_asking(&self, ask: AskId) -> bool {
        self.flight.as_ref().is_some_and(|f| f.asking == Some(ask))
    }

    /// Gives up everything: the offsets are no longer this member's to commit.
    pub(super) fn drop_all(&mut self, net: &mut Net, why: &Failure) {
        let flight = self.flight.take();
        let unknown = flight.as_ref().is_some_and(|f| f.unknown || f.asking.is_some());
        for tag in flight.map(|f| f.tags).unwrap_or_default() {
            let outcome = if unknown { Outcome::Unknown(why.clone()) } else { Outcome::Failed(why.clone()) };
            net.event(Event::Committed { tag: Some(tag), outcome });
        }
        for tag in std::mem::take(&mut self.wanted) {
            net.event(Event::Committed { tag: Some(tag), outcome: Outcome::Failed(why.clone()) });
        }
        self.processed.clear();
        self.due = false;
        self.next = None;
    }

    /// What is processed and not known to be committed.
    fn fresh(&self) -> BTreeMap<TopicPartition, Offset> {
        let new = self.processed.iter().filter(|(of, at)| self.committed.get(of) != Some(at));
        new.map(|(of, at)| (of.clone(), *at)).collect()
    }

    /// A commit without anything new is done at once.
    fn answer_idle(&mut self, net: &mut Net) {
        if self.flight.is_none() && self.fresh().is_empty() {
            self.due = false;
            for tag in std::mem::take(&mut self.wanted) {
                let offsets = self.committed.iter().map(|(of, at)| (of.clone(), *at)).collect();
                net.event(Event::Committed { tag: Some(tag), outcome: Outcome::Done(offsets) });
            }
        }
    }

    /// Begins a commit if one is due or wanted and none is under way.
    fn launch(&mut self, net: &mut Net) {
        if let Some(next) = self.next
            && net.due(next)
        {
            self.due = true;
            self.next = self.every_ms.map(|ms| net.now.mono.after_ms(ms));
            net.wake_at(self.next.unwrap_or(net.now.mono));
        }
        self.answer_idle(net);
        if self.flight.is_none() && (self.due || !self.wanted.is_empty()) {
            self.due = false;
            self.flight = Some(Flight {
                asking: None,
                tags: std::mem::take(&mut self.wanted),
                offsets: self.fresh(),
                until: net.now.mono.after_ms(net.settings.request_timeout_ms),
                retry_at: net.now.mono,
                attempts: 0,
                unknown: false,
            });
        }
    }

    fn finish(&mut self, net: &mut Net, outcome: Outcome<()>) {
        let Some(flight) = self.flight.take() else { return };
        let offsets: Vec<(TopicPartition, Offset)> = flight.offsets.into_iter().collect();
        if matches!(outcome, Outcome::Done(())) {
            self.committed.extend(offsets.iter().cloned());
        }
        let tags =
            if flight.tags.is_empty() { vec![None] } else { flight.tags.into_iter().map(Some).collect() };
        for tag in tags {
            let outcome = match &outcome {
                Outcome::Done(()) => Outcome::Done(offsets.clone()),
                Outcome::Failed(why) if flight.unknown => Outcome::Unknown(why.clone()),
                Outcome::Failed(why) => Outcome::Failed(why.clone()),
                Outcome::Unknown(why) => Outcome::Unknown(why.clone()),
            };
            net.event(Event::Committed { tag, outcome });
        }
    }
}

impl Member {
    pub(super) fn pump_commits(&mut self, net: &mut Net, coordinator: BrokerId) {
        self.commits.launch(net);
        let Some(flight) = &mut self.commits.flight else { return };
        if flight.asking.is_some() || !net.due(flight.retry_at) {
            return;
        }
        let request = OffsetCommitRequest {
            group_id: self.settings.group.clone(),
            generation_id_or_member_epoch: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.settings.instance.clone(),
            topics: by_topic(&flight.offsets),
            ..Default::default()
        };
        let asking = self.ask(net, coordinator, Line::Group, request.into());
        if let Some(flight) = &mut self.commits.flight {
            flight.asking = Some(asking);
        }
    }

    pub(super) fn commit_answered(&mut self, world: &mut World<'_>, done: Done) {
        let code = match &done.result {
            Ok(Response::OffsetCommit(r)) => worst(r),
            Ok(_) => ErrorCode::UNKNOWN_SERVER_ERROR,
            Err(Lost::Unsupported(text)) => {
                return self.commits.finish(world.net, Outcome::Failed(Failure::local(text.clone())));
            }
            Err(lost) => {
                world.coordinators.doubt(&self.settings.group);
                let unknown = matches!(lost, Lost::Unknown(_));
                return self.commit_again(world.net, unknown, Failure::local(lost.text()));
            }
        };
        let failure = Failure::broker(code, format_args!("commit in group {}", self.settings.group));
        match code {
            ErrorCode::NONE => self.commits.finish(world.net, Outcome::Done(())),
            ErrorCode::NOT_COORDINATOR | ErrorCode::COORDINATOR_NOT_AVAILABLE => {
                world.coordinators.doubt(&self.settings.group);
                self.commit_again(world.net, false, failure);
            }
            ErrorCode::REBALANCE_IN_PROGRESS
            | ErrorCode::ILLEGAL_GENERATION
            | ErrorCode::UNKNOWN_MEMBER_ID => {
                self.commits.finish(world.net, Outcome::Failed(failure));
                self.obey(world, code);
            }
            ErrorCode::REQUEST_TIMED_OUT => self.commit_again(world.net, true, failure),
            code if code.retriable() => self.commit_again(world.net, false, failure),
            _ => self.commits.finish(world.net, Outcome::Failed(failure)),
        }
    }

    /// Committing the same offsets twice does no harm: it is tried again while there is time.
    fn commit_again(&mut self, net: &mut Net, unknown: bool, why: Failure) {
        let Some(flight) = &mut self.commits.flight else { return };
        flight.unknown |= unknown;
        flight.asking = None;
        flight.retry_at = net.retry_at(flight.attempts);
        flight.attempts = flight.attempts.saturating_add(1);
        if flight.retry_at > flight.until {
            self.commits.finish(net, Outcome::Failed(why));
        }
    }
}

fn worst(r: &OffsetCommitResponse) -> ErrorCode {
    let codes = r.topics.iter().flat_map(|t| &t.partitions).map(|p| p.error_code);
    codes.into_iter().find(|code| code.is_err()).unwrap_or_default()
}

fn by_topic(offsets: &BTreeMap<TopicPartition, Offset>) -> Vec<OffsetCommitRequestTopic> {
    let mut topics: Vec<OffsetCommitRequestTopic> = Vec::new();
    for (of, at) in offsets {
        let part = OffsetCommitRequestPartition {
            partition_index: of.partition,
            committed_offset: at.0,
            ..Default::default()
        };
        match topics.last_mut() {
            Some(topic) if *topic.name == *of.topic => topic.partitions.push(part),
            _ => topics.push(OffsetCommitRequestTopic { name: of.topic.to_string(), partitions: vec![part] }),
        }
    }
    topics
}
